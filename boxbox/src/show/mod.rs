//! What people and programs read on standard output and see on the terminal.

pub mod ask;
pub mod columns;
pub mod follow;
pub mod report;
pub mod result;
pub mod stderr;
pub mod tower;
pub mod watch;
