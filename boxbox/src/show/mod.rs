//! What people and programs see on standard output and on the terminal.

pub mod follow;
pub mod report;
pub mod result;
pub mod tower;
pub mod watch;
