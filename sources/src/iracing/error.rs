//! Errors of a recording: [`IbtError`] if it cannot be read at all, [`Warning`] if the rest can still be read.

use std::path::PathBuf;

use super::limits::UNPACKED_MAX_BYTES;

/// Why a recording cannot be read. Only [`IbtError::Io`] can change on another attempt.
#[derive(Debug, thiserror::Error)]
pub enum IbtError {
    /// The file cannot be opened or read.
    #[error("cannot read {}: {cause}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        cause: std::io::Error,
    },
    /// Neither an .ibt file nor a gzip of one.
    #[error("this is no .ibt file: {why}")]
    NotIbt {
        /// How this was recognised.
        why: String,
    },
    /// It begins like an .ibt file, but ends or is damaged before the first record.
    #[error(
        "this .ibt file is cut: its {part} should end at byte {needed}, but only {have} bytes can be read; copy it again from where it was recorded"
    )]
    Cut {
        /// The part that is incomplete.
        part: &'static str,
        /// Where that part ends, bytes from the start (of the unpacked file).
        needed: u64,
        /// Number of bytes that can be read.
        have: u64,
    },
    /// A number in the header that the rest depends on is impossible.
    #[error("this .ibt file's header is damaged: {field} is {value}, but {allowed}")]
    Header {
        /// The header's field.
        field: &'static str,
        /// Its value.
        value: i64,
        /// The allowed values.
        allowed: String,
    },
    /// It is to be imported into a session of a name, but it has a lobby.
    #[error("this recording is of lobby {lobby}, which has its own session: only recordings without a lobby are joined under a name")]
    HasLobby {
        /// The lobby's id.
        lobby: u64,
    },
    /// No variable gives the time.
    #[error("this .ibt file has neither a usable SessionTime nor a usable SessionTick, so no lap in it can be timed")]
    NoClock,
}

impl IbtError {
    /// Whether another attempt can succeed: only if the system failed, not the file.
    pub fn is_retryable(&self) -> bool {
        matches!(self, IbtError::Io { cause, .. } if matches!(cause.kind(), std::io::ErrorKind::Interrupted | std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut))
    }
}

impl Warning {
    /// Whether frames that the simulator recorded are missing, or may be.
    pub fn is_incomplete(&self) -> bool {
        matches!(
            self,
            Warning::CutRecord { .. } | Warning::CutGzip { .. } | Warning::UnpacksTooLarge { .. } | Warning::RecordCount { .. } | Warning::NoRecords
        )
    }
}

/// A fault in a recording, and how it was handled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// The file ends inside a record.
    #[error("cut at byte {at}: {records} whole records read, the last {left_over} bytes are part of a record")]
    CutRecord {
        /// Where the last whole record ends.
        at: u64,
        /// Whole records before it.
        records: u64,
        /// Bytes of the incomplete record.
        left_over: u64,
    },
    /// The gzip around the file is damaged or cut.
    #[error("the gzip is damaged or cut after {at} unpacked bytes ({cause}): {records} whole records read")]
    CutGzip {
        /// Unpacked bytes before the damage.
        at: u64,
        /// Whole records before it.
        records: u64,
        /// The unpacker's message.
        cause: String,
    },
    /// Unpacking stopped at the limit.
    #[error("unpacks to more than {UNPACKED_MAX_BYTES} bytes: {records} records read up to there")]
    UnpacksTooLarge {
        /// Whole records before the bound.
        records: u64,
    },
    /// The header's number of records differs from the file's; the file's is right.
    #[error("the header says {declared} records, the file holds {found}: the recording was cut, or the simulator did not close it")]
    RecordCount {
        /// The header's value.
        declared: i64,
        /// Number of records in the file.
        found: u64,
    },
    /// The recording has no record.
    #[error("the recording holds no record")]
    NoRecords,
    /// The header's tick rate is impossible.
    #[error("the header's tick rate is {declared}: taken as {used} per second")]
    TickRate {
        /// The header's value.
        declared: i32,
        /// The value used instead.
        used: u32,
    },
    /// A variable's header does not fit the records.
    #[error("variable {name}: {why}; it is left out")]
    Variable {
        /// The variable.
        name: String,
        /// What does not fit.
        why: String,
    },
    /// A variable has a unit that cannot be converted to the frame's.
    #[error("variable {name} is in {unit:?}, which is not a unit known for it; it is left out")]
    Unit {
        /// The variable.
        name: &'static str,
        /// Its unit, as the file says.
        unit: String,
    },
    /// A variable has a type that does not fit its meaning.
    #[error("variable {name} is of type {kind} with {count} values, which does not fit its meaning; it is left out")]
    Type {
        /// The variable.
        name: &'static str,
        /// Its type, as the file says.
        kind: &'static str,
        /// How many values it has.
        count: u32,
    },
    /// There is no session text, or its position in the file is impossible.
    #[error("no session text: {why}; track, entries and rules are not known")]
    NoSessionText {
        /// Why.
        why: String,
    },
    /// Some lines of the session text cannot be parsed.
    #[error("{lines} lines of the session text were not understood and left out")]
    SessionText {
        /// Number of lines.
        lines: usize,
    },
    /// A value of the session text is invalid.
    #[error("session text: {key} is {value:?}: {done}")]
    SessionValue {
        /// Its key.
        key: &'static str,
        /// Its value.
        value: String,
        /// How it was handled.
        done: &'static str,
    },
    /// There is no SessionTime.
    #[error("no usable SessionTime: time is counted from SessionTick at {tick_rate} per second")]
    TimeFromTick {
        /// The tick rate.
        tick_rate: u32,
    },
    /// There is no SessionTick, or it stands still.
    #[error("no usable SessionTick: ticks are counted from SessionTime at {tick_rate} per second")]
    TickFromTime {
        /// The tick rate.
        tick_rate: u32,
    },
    /// There is no SessionNum.
    #[error("no usable SessionNum: everything is taken as session {used}")]
    SessionNum {
        /// The value used instead.
        used: u32,
    },
}
