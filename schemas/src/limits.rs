//! Every bound of the wire and of records, in one place, each with its reason.

/// Longest record, prelude included, bytes. Small enough that one buffer per stream is cheap, large enough for
/// 163 frames (2.7 s at 60 Hz) in one record when a spool drains.
pub const RECORD_MAX_BYTES: usize = 32 * 1024;
/// Unacked bytes a live stream may have outstanding (W9). About 5 s of 60 Hz frames.
pub const STREAM_UNACKED_MAX_BYTES: usize = 64 * 1024;
/// Data streams per connection (W4). Idle QUIC streams cost memory at the edge.
pub const STREAMS_PER_CONNECTION: u32 = 4;
/// Highest sequence number plus one (W4): leaves room to carry it in 6 bytes.
pub const SEQUENCE_END: u64 = 1 << 48;
/// Highest number at which a stream may begin on a connection, and longest gap: whatever a stream sends, 60 Hz of 64 cars for three
/// days stay below it. A client that claims more was never acked so far, and would leave a hole of as many numbers (E1, W5).
pub const FIRST_BASE_MAX: u64 = 1 << 30;
/// Longest control message body, bytes: a grant of 1 KiB and room for names.
pub const CONTROL_MAX_BYTES: usize = 4 * 1024;
/// Longest grant token, bytes.
pub const GRANT_MAX_BYTES: usize = 1024;
/// Longest tenant, driver or entry id, bytes: a UUID in text (36) fits.
pub const SHORT_ID_MAX_BYTES: usize = 40;
/// Longest string inside session metadata, bytes of UTF-8.
pub const META_STRING_MAX_BYTES: usize = 128;
/// Entries (cars) in session metadata. iRacing has 64 slots, rFactor 2 up to 128.
pub const META_ENTRIES_MAX: usize = 128;
/// Sector starts in session metadata.
pub const META_SECTORS_MAX: usize = 64;
/// Handshake and hello must each be done within this many milliseconds.
pub const HANDSHAKE_MS: u64 = 2_000;
/// A connection with no packets for this long is closed, milliseconds.
pub const IDLE_MS: u64 = 15_000;
/// Clients send a keep-alive this often, milliseconds.
pub const KEEP_ALIVE_MS: u64 = 5_000;
/// A client with data outstanding and no ack for this long reconnects, milliseconds (W8).
pub const ACK_SILENCE_MS: u64 = 3_000;
/// Highest plausible car speed, m/s (432 km/h); a higher speed is a jump, not motion.
pub const SPEED_MAX_MPS: f32 = 150.0;
/// Longest lap, and farthest distance round one, m (1,000 km): over 45 times the Nordschleife. A longer one is
/// not a real track, and code that divides a lap into steps needs a bound for their number.
pub const DISTANCE_MAX_M: f64 = 1_000_000.0;
/// Longest session time, µs (30 days): a bound against absurd clocks.
pub const SIM_TIME_MAX_US: i64 = 30 * 24 * 3_600 * 1_000_000;

/// Longest race state of a stream, bytes (E5c): a step may write the state of every live stream of its partition, many times a second.
pub const STREAM_RACE_MAX_BYTES: usize = 6 * 1024;
