//! [`Profile`]: a pair of stores, what the processing makes of a log in them, and an API that shows it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use boxbox_api::{Api, Config, Stores};
use boxbox_log::embedded::EmbeddedLog;
use boxbox_log::memory::MemoryLog;
use boxbox_log::{Limits, Log};
use boxbox_processor::partition::Partition;
use boxbox_race::timing;
use boxbox_schemas::StreamKey;
use boxbox_schemas::grant::{Authority, SigningKey};
use boxbox_schemas::record::{Kind, Prelude};
use boxbox_schemas::results::{CarNow, Checkpoint, FlagChange, IncidentStep, Lap, Ledger, PitVisit, SessionInfo, SessionStateChange};
use boxbox_schemas::stamp::LogRecord;
use boxbox_store::clickhouse::{self, ClickHouseArchive};
use boxbox_store::memory::{MemoryArchive, MemoryResults};
use boxbox_store::postgres::PostgresResults;
use boxbox_store::sqlite::{SqliteArchive, SqliteResults};
use boxbox_store::{Archive, ArchiveBlock, FrameRun, Leagues, Lease, PartitionState, Piece, Sessions, Steps, rows_of};
use bytes::{Bytes, BytesMut};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::common::place::Engines;
use crate::logs;
use crate::records::Input;

/// Records of a block of the archive.
const RECORDS_A_BLOCK: usize = 1_000;

/// A results store as a processor and as a reader see it.
pub trait ResultsStore: Steps + Sessions + Leagues {}
impl<T: Steps + Sessions + Leagues> ResultsStore for T {}

/// Where results and frames are kept, and a log can be.
pub struct Profile {
    pub name: &'static str,
    pub results: Arc<dyn ResultsStore>,
    pub archive: Arc<dyn Archive>,
    folder: Option<tempfile::TempDir>,
    engines: Option<Engines>,
}

impl Profile {
    pub fn memory() -> Self {
        Self { name: "memory", results: Arc::new(MemoryResults::new()), archive: Arc::new(MemoryArchive::new()), folder: None, engines: None }
    }

    pub async fn sqlite() -> Self {
        Self::sqlite_in(tempfile::tempdir().unwrap()).await
    }

    /// With the files in `folder`: `results.db` and `archive.db`.
    pub async fn sqlite_in(folder: tempfile::TempDir) -> Self {
        let results = SqliteResults::open(&folder.path().join("results.db")).await.unwrap();
        let archive = SqliteArchive::open(&folder.path().join("archive.db")).await.unwrap();
        Self { name: "sqlite", results: Arc::new(results), archive: Arc::new(archive), folder: Some(folder), engines: None }
    }

    /// Kafka, PostgreSQL and ClickHouse; `None` (said as NOT RUN) where there are none.
    pub async fn servers(test: &str) -> Option<Self> {
        let engines = Engines::new(test)?;
        engines.prepare();
        let (results_password, archive_password) = (engines.results_password(), engines.archive_password());
        let results = PostgresResults::open(&engines.results(), Some(results_password.expose())).await.unwrap();
        // As `boxbox migrate` has made the tables.
        let options = clickhouse::Options { max_age: Some(Duration::from_secs(30 * 86_400)), ..Default::default() };
        let postgres = (engines.results(), results_password.expose());
        let archive =
            ClickHouseArchive::open(&engines.archive(), Some(archive_password.expose()), (&postgres.0, Some(postgres.1)), options).await.unwrap();
        Some(Self { name: "servers", results: Arc::new(results), archive: Arc::new(archive), folder: None, engines: Some(engines) })
    }

    /// A new log of this profile: in memory, files in the folder, or a topic.
    pub async fn log(&self, name: &str, partitions: u32) -> Arc<dyn Log> {
        match (&self.engines, &self.folder) {
            (Some(engines), _) => {
                let url = format!("kafka://{}/{}-{name}?partitions={partitions}", engines.brokers, engines.name);
                boxbox_log::open(&url, Default::default()).await.unwrap()
            }
            (None, Some(folder)) => {
                let options = boxbox_log::embedded::Options { partitions: Some(partitions), ..Default::default() };
                Arc::new(EmbeddedLog::open(folder.path().join(name), options).unwrap())
            }
            (None, None) => Arc::new(MemoryLog::inline(partitions, Limits::default())),
        }
    }

    /// `input` as it is read from a log of this profile; of a profile without servers, as it is.
    pub async fn carried(&self, input: &Input) -> Input {
        if self.engines.is_none() {
            return input.clone();
        }
        let log = self.log(&input.name, 1).await;
        logs::append(&*log, &input.records).await;
        Input { records: logs::read(&*log).await, ..input.clone() }
    }

    /// Close the stores, and remove what servers have of them.
    pub fn remove(self) {
        let Self { results, archive, engines, .. } = self;
        drop((results, archive));
        if let Some(engines) = engines {
            engines.remove();
        }
    }

    /// [`process`] in this profile's store.
    pub async fn process(&self, input: &Input, until: usize) -> Lease {
        process(&*self.results, input, until).await
    }

    /// What the store holds for a processor to go on with.
    pub async fn load(&self, input: &Input) -> (Lease, PartitionState) {
        load(&*self.results, input).await
    }

    /// [`go_on`] in this profile's store.
    pub async fn go_on(&self, input: &Input, lease: &Lease, state: PartitionState, until: usize) {
        go_on(&*self.results, input, lease, state, until).await;
    }

    /// Keep the frames of all cars. Every record is admitted that is not a duplicate: a log with other losses has no traces here.
    pub async fn keep_frames(&self, input: &Input, lease: &Lease) {
        self.archive.load(lease).await.unwrap();
        let mut cursors: BTreeMap<StreamKey, u64> = BTreeMap::new();
        let mut offset = 0;
        for records in input.records.chunks(RECORDS_A_BLOCK) {
            let mut runs: BTreeMap<StreamKey, (Vec<Piece>, BytesMut)> = BTreeMap::new();
            for bytes in records {
                let record = LogRecord::parse(bytes.clone()).unwrap();
                let Prelude { kind, first_seq, count, .. } = *record.record.prelude();
                if kind == Kind::CLOSED {
                    continue;
                }
                let next = cursors.entry(record.stream()).or_default();
                let known = next.saturating_sub(first_seq).min(u64::from(count));
                *next = (*next).max(record.record.next_seq().unwrap());
                let payload = record.record.payload();
                if kind == Kind::CAR && known < u64::from(count) {
                    let (pieces, frames) = runs.entry(record.stream()).or_default();
                    Piece { first_seq: first_seq + known, count: u64::from(count) - known }.put_behind(pieces);
                    frames.extend_from_slice(&payload[payload.len() / usize::from(count) * known as usize..]);
                }
            }
            offset += records.len() as u64;
            // Retention and TTL go by these times; no answer shows them.
            let now_us = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as i64;
            let block = ArchiveBlock {
                checkpoint: Checkpoint { log: input.log(), partition: 0, offset: offset - 1, crc: crc(&records[records.len() - 1]) },
                received_at_us: now_us,
                appended_at_us: now_us,
                cursors: cursors.iter().map(|(stream, next)| (*stream, *next)).collect(),
                runs: runs.into_iter().map(|(stream, (pieces, frames))| FrameRun::of(stream, pieces, frames.freeze()).unwrap()).collect(),
                records: vec![],
            };
            self.archive.append(lease, &block).await.unwrap();
        }
    }

    /// Everything that is stored of the race's sessions, oldest first.
    pub async fn outcomes(&self, input: &Input) -> Vec<Outcome> {
        let (results, tenant) = (&self.results, input.tenant());
        let mut outcomes = vec![];
        for info in results.sessions(&tenant, None, u32::from(u16::MAX)).await.unwrap().into_iter().rev() {
            let session = info.id;
            let mut flags: Vec<FlagChange> = rows_of(&**results, &tenant, &session).await.unwrap();
            // As the answers list them.
            flags.sort_by_key(|f| (f.sim_time_us, f.entry, f.driver, f.run, f.timeline, f.tick));
            outcomes.push(Outcome {
                laps: results.laps(&tenant, &session, &Default::default(), None, i32::MAX as u32).await.unwrap(),
                visits: rows_of(&**results, &tenant, &session).await.unwrap(),
                incidents: rows_of(&**results, &tenant, &session).await.unwrap(),
                flags,
                states: rows_of(&**results, &tenant, &session).await.unwrap(),
                cars: results.cars(&tenant, &session).await.unwrap(),
                ledgers: results.ledgers(&tenant, &session).await.unwrap(),
                info,
            });
        }
        outcomes
    }

    /// An API that shows people of this machine the tenant of `input`. To be called within a runtime.
    pub async fn serve(&self, input: &Input) -> Shown {
        let config = Config { local_tenant: input.tenant(), ..Config::default() };
        let key = SigningKey::generate().unwrap();
        let (authority, watching) = tokio::sync::watch::channel(Arc::new(Authority::new([key.public()], [])));
        let stores = Stores { sessions: self.results.clone(), leagues: self.results.clone(), archive: self.archive.clone() };
        let api = Api::bind(config, Some(stores), None, watching, vec![], None).await.unwrap();
        let (base, stop) = (format!("http://{}", api.local_addr()), CancellationToken::new());
        tokio::spawn(api.run(stop.clone()));
        Shown { base, _stop: stop.drop_guard(), _authority: authority }
    }
}

/// An API that runs until this is dropped.
pub struct Shown {
    pub base: String,
    _stop: DropGuard,
    _authority: tokio::sync::watch::Sender<Arc<Authority>>,
}

/// What a session came to.
#[derive(Clone, PartialEq, Debug)]
pub struct Outcome {
    pub info: SessionInfo,
    pub laps: Vec<Lap>,
    pub visits: Vec<PitVisit>,
    pub incidents: Vec<IncidentStep>,
    pub flags: Vec<FlagChange>,
    pub states: Vec<SessionStateChange>,
    pub cars: Vec<CarNow>,
    pub ledgers: Vec<Ledger>,
}

impl Outcome {
    /// What of `other` is not as here: the first row of each kind, or how many there are.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        fn first<T: PartialEq + std::fmt::Debug>(what: &str, here: &[T], there: &[T]) -> Option<String> {
            let pair = here.iter().zip(there).find(|(a, b)| a != b);
            let count = || (here.len() != there.len()).then(|| format!("{} {what}, not {}", there.len(), here.len()));
            pair.map(|(a, b)| format!("{what}: {b:?}, not {a:?}")).or_else(count)
        }
        let all = [
            first("session", std::slice::from_ref(&self.info), std::slice::from_ref(&other.info)),
            first("laps", &self.laps, &other.laps),
            first("visits", &self.visits, &other.visits),
            first("incidents", &self.incidents, &other.incidents),
            first("flags", &self.flags, &other.flags),
            first("states", &self.states, &other.states),
            first("cars", &self.cars, &other.cars),
            first("ledgers", &self.ledgers, &other.ledgers),
        ];
        all.into_iter().flatten().collect()
    }

    /// The digest of its final result.
    pub fn digest(&self) -> String {
        let visits = timing::pit_visits(&self.visits);
        let incidents = IncidentStep::fold(self.incidents.clone());
        let Self { info: session, laps, flags, states, cars, visits: pit_visits, .. } = self;
        let classified = timing::classification(&timing::Facts { session, laps, flags, states, cars, pit_visits });
        timing::digest(&classified, &self.laps, &visits, &incidents)
    }
}

/// Process the records of `input` from where `results` stands to record `until`, as a processor does.
pub async fn process(results: &dyn ResultsStore, input: &Input, until: usize) -> Lease {
    let (lease, state) = load(results, input).await;
    go_on(results, input, &lease, state, until).await;
    lease
}

async fn load(results: &dyn ResultsStore, input: &Input) -> (Lease, PartitionState) {
    let lease = results.acquire(&input.log(), 0).await.unwrap();
    let state = results.load(&lease).await.unwrap();
    (lease, state)
}

/// Process the records of `input` from `state` to record `until`.
async fn go_on(results: &dyn ResultsStore, input: &Input, lease: &Lease, state: PartitionState, until: usize) {
    let mut at = state.checkpoint.as_ref().map_or(0, |c| c.offset as usize + 1);
    let mut partition = Partition::restore(input.log(), 0, 1, state).unwrap();
    for end in input.steps(at, until) {
        for (offset, record) in input.records.iter().enumerate().take(end).skip(at) {
            partition.process(offset as u64, record);
        }
        at = end;
        let step = partition.step().unwrap();
        assert_eq!(step.quarantine, [], "{}: a record is refused", input.name);
        results.commit(lease, &step).await.unwrap();
    }
}

fn crc(record: &Bytes) -> u32 {
    // What a store compares is whether it is the same record as before; any fixed number of it will do.
    record.iter().fold(0u32, |sum, byte| sum.rotate_left(5) ^ u32::from(*byte))
}
