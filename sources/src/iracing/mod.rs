//! Reads .ibt recordings (iRacing's telemetry files) and replays them as frames.
//!
//! [`IbtFile::open`] checks a file's layout and session text, [`IbtFile::replay`] yields what a live client would have
//! sent: sessions, car frames, slow frames, rewinds. Files are read from front to back and never held whole: memory is
//! two records and a buffer for a file of any size. A gzipped file is recognised by its content.
//!
//! No content of a file is trusted. A file that cannot be read at all gives an [`IbtError`]. Values that are damaged, missing or in
//! an unexpected unit are left out, counted in [`ReadStats`] and named by a [`Warning`], and the rest is read.

mod car;
mod clock;
mod column;
mod columns;
mod error;
mod file;
mod layout;
mod limits;
mod meta;
mod named;
mod numbered;
mod records;
mod replay;
mod slow;
mod stats;
mod stream;
mod survey;
mod units;
mod yaml;

pub use error::{IbtError, Warning};
pub use file::IbtFile;
pub use layout::{Header, Value, ValueType, Variable};
pub use limits::{RECORD_MAX_BYTES, SESSION_TEXT_MAX_BYTES, SESSIONS_MAX, TICK_RATE_DEFAULT, UNPACKED_MAX_BYTES, VARIABLES_MAX};
pub use meta::{ListedSession, SessionText};
pub use records::{Record, Records};
pub use replay::{Item, Replay, ReplayOptions};
pub use stats::{AbsentCount, ReadStats};
