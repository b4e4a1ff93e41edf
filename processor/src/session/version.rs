//! Which stored race states this build reads and writes.

/// The version of stored race states that this build writes (F8: it reads the one before as well, once there is one).
pub(super) const STATE_VERSION: u8 = 1;
