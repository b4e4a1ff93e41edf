//! The limits for reading a recording.

/// Most bytes read out of a file, unpacked: 37 hours of recording. This limits a gzip that unpacks without end.
pub const UNPACKED_MAX_BYTES: u64 = 8 << 30;
/// Longest session text read, bytes. A full grid with results of every session is about 300 kB.
pub const SESSION_TEXT_MAX_BYTES: usize = 8 << 20;
/// Most variables. Recordings of 2025 have about 330.
pub const VARIABLES_MAX: i32 = 4_096;
/// Longest record, bytes. Recordings of 2025 have about 1,100.
pub const RECORD_MAX_BYTES: i32 = 1 << 20;
/// Most sessions of one recording; a weekend has about 4.
pub const SESSIONS_MAX: usize = 64;
/// Ticks per second if the file gives none; every recording known so far has this rate.
pub const TICK_RATE_DEFAULT: u32 = 60;
