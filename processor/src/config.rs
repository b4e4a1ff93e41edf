//! [`Config`]: the settings of a processor.

use std::time::Duration;

use boxbox_store::Pace;

/// The settings of a processor.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// Most bytes read from the log at once: some milliseconds of work.
    pub read_bytes: usize,
    /// Steps with news (a lap, an incident) are committed at most this often. A lap waits at most this long, and a busy partition writes
    /// its streams' states no more often.
    pub news_every: Duration,
    /// Steps without news are merged up to this age. After a crash, so much is processed again.
    pub quiet_every: Duration,
    /// Most records in a step, whatever its age.
    pub step_records: u64,
    /// Most bytes of quarantined records in a step, whatever its age.
    pub step_quarantine_bytes: usize,
    /// Longest run of frames in the archive, session time.
    pub run_span: Duration,
    /// When blocks are archived; `None`: the archive's own pace.
    pub pace: Option<Pace>,
    /// How often laps are copied to the table for analyses over seasons.
    pub export_every: Duration,
    /// A processor that shares its store and sends no beat for this long loses its partitions to others (E5b). It sends five beats in
    /// this time.
    pub member_ttl: Duration,
    /// The archive removes its oldest frames beyond this, bytes; `None`: it keeps them.
    pub archive_max_bytes: Option<u64>,
    /// The archive removes frames received longer ago than this, a few percent of it a day; `None`: it keeps them.
    pub archive_max_age: Option<Duration>,
    /// How often the archive removes such frames.
    pub retain_every: Duration,
    /// A session is closed when no record of it has come for this long while its partition is level with the log (E9a).
    pub close_after: Duration,
    /// A closed session is retired when its last record is this old, by this machine's clock (E9a).
    pub retire_after: Duration,
    /// What results and archive have committed is released to the log after this time: longer than a system keeps written data in memory.
    pub release_after: Duration,
    /// If the log has removed records that were not processed: go on behind them, and count them. Otherwise their partition stops.
    pub skip_removed: bool,
    /// A closed session leaves memory when nothing of it has come for this long, or for twice as long at most.
    pub leave_after: Duration,
    /// Most bytes that the sessions of all partitions may take in memory, about. Beyond this those leave first that were used least
    /// recently, open or closed; one that alone takes more is parked (`session.park`).
    pub session_max_bytes: u64,
    /// The processor is not ready while results are older than this: the age of the oldest record whose results are not committed.
    pub ready_lag: Duration,
    /// First pause before a retry; it doubles up to `retry_last`.
    pub retry_first: Duration,
    /// Longest pause before a retry: results continue at most this long after an outage ends.
    pub retry_last: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            read_bytes: 256 << 10,
            news_every: Duration::from_millis(200),
            quiet_every: Duration::from_secs(1),
            step_records: 50_000,
            step_quarantine_bytes: 4 << 20,
            run_span: Duration::from_secs(10),
            pace: None,
            export_every: Duration::from_secs(10),
            member_ttl: Duration::from_secs(5),
            archive_max_bytes: None,
            archive_max_age: None,
            retain_every: Duration::from_secs(60),
            close_after: Duration::from_secs(5 * 60),
            retire_after: Duration::from_secs(30 * 24 * 3_600),
            release_after: Duration::from_secs(120),
            skip_removed: false,
            leave_after: Duration::from_secs(10),
            session_max_bytes: 256 << 20,
            ready_lag: Duration::from_secs(60),
            retry_first: Duration::from_millis(20),
            retry_last: Duration::from_secs(1),
        }
    }
}
