//! Who may send and who may read: keys, grants, revocations, and the certificate that clients pin (W1, W3, W10).

pub mod auth;
pub mod authority;
pub mod control;
pub mod grant;
pub mod identity;
