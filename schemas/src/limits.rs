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

// What one driver may make a server keep. Each of these bounds is far beyond what any race has; what exceeds it is refused, counted in the
// metric `boxbox_processor_refused` by reason, and named in the session (`limited`); everything else goes on. A bound that needs a clock
// uses the time at which an edge received the record, so that a log that is processed again gives the same results.

/// Sessions that one driver may open in a day (UTC), for each partition of the log: a driver who uploads the recordings of a season opens
/// some hundreds, and each costs some kilobytes and its description.
pub const DRIVER_SESSIONS_PER_DAY: u32 = 300;
/// Runs (starts of the client) of one driver in one session: one every quarter of an hour of a race of 24 hours. Each keeps the state of its car
/// and of the cars that it sees.
pub const DRIVER_RUNS_PER_SESSION: usize = 100;
/// Laps of one car that one stream may tell of in a minute of session time. The shortest laps of any track take about 9 s; the bound leaves
/// room for parts of laps, and for cars that are put back.
pub const CAR_LAPS_PER_MINUTE: usize = 30;
/// Rows (visits to the pits, flags, incidents, states of the session) of one stream: 24 hours of 64 cars have about 15,000.
pub const STREAM_ROWS_MAX: usize = 16_000;
/// Descriptions of one session by all runs of one driver, bytes: every run in which a grid of 64 cars is described may have one.
pub const DRIVER_META_MAX_BYTES: usize = 1 << 20;
/// What a driver may make a partition keep at once, bytes: laps, rows, streams, descriptions. A recording of three hours of 64 cars needs
/// about 11 MB; in four partitions all that fits into the memory for sessions of a small server.
pub const DRIVER_KEPT_MAX_BYTES: u64 = 12 << 20;
/// What a fact about a lap keeps, with the lap that is chosen and their indices, bytes, about.
pub const LAP_BYTES: u64 = 1_500;
/// What a row of another kind keeps, bytes, about.
pub const ROW_BYTES: u64 = 800;
/// What a session keeps beside its streams and its description, bytes, about.
pub const SESSION_BYTES: u64 = 2_000;
/// What a stream keeps beside its description and the cars that it sees, bytes, about.
pub const RUN_BYTES: u64 = 8_000;
/// So much of it is given back for each second between the times at which records are received, bytes: 86 MB a day, which is what a client sees of 64 cars in 24
/// hours.
pub const DRIVER_KEPT_BYTES_PER_S: u64 = 1_000;
/// Work that a driver may cause in a partition at once beyond what the records bring along, in units. A unit is one fact about a lap or one
/// row looked at, about 0.2 µs. A driver who claims a car of which 64 clients have seen 24 hours causes 400,000.
pub const DRIVER_WORK_MAX: u64 = 1_000_000;
/// Work that each record brings along, units.
pub const RECORD_WORK: u64 = 32;
/// Work that each frame brings along, units: of 64 cars whose laps 64 clients see, each lap needs at most 64 units twice, and comes with over
/// 36 frames.
pub const FRAME_WORK: u64 = 8;

// Leagues (D1). Each bound is several times what the largest real league has; what exceeds one is refused with its name.

/// Acts, and also erasures, in one write: the entries of a season of 300 cars, each with a person, an account and a team, are 1,200.
pub const LEAGUE_ACTS_PER_WRITE: usize = 2_000;
/// Rows of any other kind in one write: a league of ten seasons that is rebuilt has some thousands of projections.
pub const LEAGUE_ROWS_PER_WRITE: usize = 20_000;
/// All texts and bodies of one write, bytes.
pub const LEAGUE_WRITE_MAX_BYTES: usize = 32 << 20;
/// Longest body of an act, bytes: a ruleset document has about 10 KB.
pub const LEAGUE_ACT_MAX_BYTES: usize = 256 << 10;
/// Longest projection, bytes.
pub const LEAGUE_DOC_MAX_BYTES: usize = 1 << 20;
/// Longest name or free text, bytes of UTF-8.
pub const LEAGUE_TEXT_MAX_BYTES: usize = 16 << 10;
/// Longest rows, or difference, of a revision, bytes: a championship of 300 entries and 24 events with the reasons for every point has about
/// 2 MB.
pub const LEAGUE_REVISION_MAX_BYTES: usize = 8 << 20;
/// Longest facts of a session, bytes: 24 hours of 64 cars have about 25,000 laps of which only sums are kept.
pub const LEAGUE_FACTS_MAX_BYTES: usize = 8 << 20;
/// Longest stored answer to a request, bytes.
pub const LEAGUE_ANSWER_MAX_BYTES: usize = 64 << 10;
/// Longest id of an actor, owner, projection, revision or idempotency key, bytes.
pub const LEAGUE_ID_MAX_BYTES: usize = 200;
/// Longest name of a kind or state, bytes.
pub const LEAGUE_KIND_MAX_BYTES: usize = 40;
/// Most rows that one read gives.
pub const LEAGUE_PAGE_MAX_ROWS: u32 = 1_000;
/// A read gives no further row once its rows have so many bytes.
pub const LEAGUE_PAGE_BYTES: usize = 8 << 20;
/// An idempotency key is known for this long at least, µs: a day.
pub const LEAGUE_KEY_KEPT_US: i64 = 24 * 3_600 * 1_000_000;
