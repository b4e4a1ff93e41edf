//! What the processor's tests share: cars that drive a known track, the log records their clients would make, and
//! stores that fail on request.
// Each test uses its part; unwrapping is how a test says what must be.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used)]

pub mod log;
pub mod stores;

use boxbox_log::memory::MemoryLog;
use boxbox_log::{Completion, Completions, Log, Outcome, Ticket};
use boxbox_processor::Config;
use boxbox_processor::partition::Partition;
use boxbox_schemas::event::{Closing, EndFrame, EndReason, EventCode, EventFrame, GapFrame, GapReason, Reject, VoidFrame};
use boxbox_schemas::field::FieldFrame;
use boxbox_schemas::frame::{CarBits, CarFrame, Presence, TrackLoc};
use boxbox_schemas::meta::{MetaEntry, SessionMeta};
use boxbox_schemas::record::{Kind, Prelude, archive, seal};
use boxbox_schemas::results::Lap;
use boxbox_schemas::slow::SlowFrame;
use boxbox_schemas::stamp::Stamp;
use boxbox_schemas::{DriverId, LogId, RunId, SessionId, TenantId};
use boxbox_store::{Pace, PartitionState, Step};
pub use boxbox_testkit::frames::source;
use boxbox_testkit::frames::{TICK_HZ, car, payload, prelude, stamp, tick_us};
use boxbox_testkit::wait::block_until;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// One lap of the test track: 20 s at a steady speed.
pub const LAP_TICKS: u32 = 1200;
/// Cars send at 10 Hz.
pub const TICK_STEP: u32 = 6;
const TRACK_M: f64 = 1000.0;

pub fn tenant() -> TenantId {
    TenantId::new("league").unwrap()
}

pub fn session(id: u128) -> SessionId {
    SessionId::of(&tenant(), &source(id))
}

pub fn driver(name: &str) -> DriverId {
    DriverId::new(name).unwrap()
}

pub fn run(n: u8) -> RunId {
    RunId([n; 16])
}

/// A configuration whose waits are some milliseconds.
pub fn quick() -> Config {
    let ms = Duration::from_millis;
    Config {
        news_every: ms(5),
        quiet_every: ms(20),
        pace: Some(Pace { every: ms(20), idle: ms(10), bytes: 4 << 20 }),
        retry_first: ms(1),
        retry_last: ms(10),
        ..Config::default()
    }
}

/// A client's stream: what it sends, as an edge logs it.
pub struct Client {
    stamp: Stamp,
    prelude: Prelude,
    /// Ticks added to where the car would be: another offset is another drive.
    pub shift: i64,
    pub incidents: u16,
    /// The log records so far.
    pub records: Vec<Bytes>,
}

impl Client {
    pub fn new(source_id: u128, driver_name: &str, run_number: u8) -> Self {
        let mut stamp = stamp(driver_name, &source(source_id), 0);
        stamp.received_at_us += i64::from(run_number);
        let prelude = Prelude { slot: 1, ..prelude(Kind::CAR, run(run_number), source(source_id), 0) };
        Self { stamp, prelude, shift: 0, incidents: 0, records: vec![] }
    }

    /// A whole stream: metadata, `laps` laps and a bit from tick `from`, and the end.
    pub fn laps(source_id: u128, driver_name: &str, run_number: u8, from: u32, laps: u32) -> Vec<Bytes> {
        let mut client = Self::new(source_id, driver_name, run_number);
        client.meta(1, 0);
        client.drive(from, from + laps * LAP_TICKS + LAP_TICKS / 2);
        client.end();
        client.records
    }

    /// A client whose driver has an incident at tick 2380, and takes it back: he drives on from tick 2200.
    pub fn flashback(source_id: u128, driver_name: &str) -> Self {
        let mut client = Self::new(source_id, driver_name, 1);
        client.meta(7, 0);
        client.drive(300, 2380);
        client.incidents = 4;
        client.drive(2380, 2500);
        client.rewind(2200);
        client.incidents = 0;
        client
    }

    /// The next records as another run's, which begins now.
    pub fn as_run(&mut self, run: RunId) {
        (self.prelude.run, self.prelude.first_seq) = (run, 0);
    }

    /// The next record comes so much later.
    pub fn wait(&mut self, time: Duration) {
        self.stamp.received_at_us += time.as_micros() as i64;
    }

    pub fn next_seq(&self) -> u64 {
        self.prelude.first_seq
    }

    /// The next record: `count` frames whose archives are `payload`, taking `numbers` sequence numbers.
    pub fn put(&mut self, kind: Kind, count: u16, numbers: u64, payload: &[u8]) {
        let prelude = Prelude { kind, count, ..self.prelude };
        let record = seal(&prelude, payload).expect("test records are short");
        // The base of a client whose every record was acked before the next was sent.
        self.stamp.base = self.prelude.first_seq;
        self.stamp.received_at_us += 100_000;
        self.records.push(self.stamp.seal(&record));
        self.prelude.first_seq += numbers;
    }

    pub fn meta(&mut self, slot: u16, team: u64) {
        (self.prelude.slot, self.prelude.meta_rev) = (slot, self.prelude.meta_rev + 1);
        let entry = MetaEntry { slot, user_id: 7, team_id: team, number: "7".into(), ..MetaEntry::default() };
        let meta = SessionMeta {
            track_id: 1,
            track_length_m: TRACK_M,
            sector_starts: vec![0.0, 0.4],
            session_type: "practice".into(),
            own_slot: slot,
            team_racing: u8::from(team != 0),
            entries: vec![entry],
            ..SessionMeta::default()
        };
        self.put(Kind::META, 1, 1, &archive(&meta));
    }

    /// Metadata with all cars: slot, user id, and whether it is a pace car (1).
    pub fn grid(&mut self, slot: u16, cars: &[(u16, u64, u8)]) {
        (self.prelude.slot, self.prelude.meta_rev) = (slot, self.prelude.meta_rev + 1);
        let entry = |&(slot, user_id, special): &(u16, u64, u8)| MetaEntry { slot, user_id, special, ..MetaEntry::default() };
        let meta = SessionMeta {
            track_id: 1,
            track_length_m: TRACK_M,
            session_type: "practice".into(),
            own_slot: slot,
            entries: cars.iter().map(entry).collect(),
            ..SessionMeta::default()
        };
        self.put(Kind::META, 1, 1, &archive(&meta));
    }

    /// See other cars from tick `from` to `to`, exclusive, four times a second: of each its slot, and the ticks added to where it
    /// would be.
    pub fn see(&mut self, from: u32, to: u32, cars: &[(u16, i64)]) {
        for tick in (from..to).step_by(15) {
            let frame = |(slot, shift): (u16, i64)| {
                let laps = (i64::from(tick) + shift) as f64 / f64::from(LAP_TICKS);
                FieldFrame {
                    tick,
                    sim_time_us: tick_us(tick),
                    slot,
                    lap: laps.floor() as i16 + 1,
                    laps_completed: laps.floor() as i16,
                    lap_pct: (laps - laps.floor()) as f32,
                    track_loc: TrackLoc::ON_TRACK,
                    ..FieldFrame::default()
                }
            };
            let frames: Vec<FieldFrame> = cars.iter().copied().map(frame).collect();
            self.put(Kind::FIELD, cars.len() as u16, cars.len() as u64, &payload(&frames));
        }
    }

    /// Its metadata and records are of the car in `slot` from now on.
    pub fn in_slot(&mut self, slot: u16) {
        (self.prelude.slot, self.prelude.meta_rev) = (slot, self.prelude.meta_rev + 1);
    }

    /// Drive from tick `from` to `to`, exclusive; five frames a record.
    pub fn drive(&mut self, from: u32, to: u32) {
        self.drive_every(from, to, TICK_STEP);
    }

    /// The same with a frame every `step` ticks.
    pub fn drive_every(&mut self, from: u32, to: u32, step: u32) {
        let ticks: Vec<u32> = (from..to).step_by(step as usize).collect();
        for ticks in ticks.chunks(5) {
            let frames: Vec<CarFrame> = ticks.iter().map(|tick| self.frame(*tick)).collect();
            self.put(Kind::CAR, ticks.len() as u16, ticks.len() as u64, &payload(&frames));
        }
    }

    pub fn frame(&self, tick: u32) -> CarFrame {
        let laps = (i64::from(tick) + self.shift) as f64 / f64::from(LAP_TICKS);
        let count = laps.floor() as i16;
        CarFrame {
            presence: Presence::LAP_PCT
                .with(Presence::SPEED)
                .with(Presence::LAP)
                .with(Presence::LAPS_COMPLETED)
                .with(Presence::INCIDENTS)
                .with(Presence::TRACK_LOC)
                .with(Presence::ON_TRACK),
            speed_mps: (TRACK_M * f64::from(TICK_HZ) / f64::from(LAP_TICKS)) as f32,
            lap: count + 1,
            laps_completed: count,
            incident_count: self.incidents,
            track_loc: TrackLoc::ON_TRACK,
            bits: CarBits::ON_TRACK,
            ..car(tick, laps - laps.floor())
        }
    }

    pub fn slow(&mut self) {
        self.put(Kind::SLOW, 1, 1, &archive(&SlowFrame::default()));
    }

    /// F4: the simulator goes back to `tick`.
    pub fn rewind(&mut self, tick: u32) {
        self.put(Kind::EVENT, 1, 1, &archive(&EventFrame { tick, sim_time_us: tick_us(tick), code: EventCode::REWIND, ..EventFrame::default() }));
    }

    pub fn gap(&mut self, numbers: u64) {
        let gap = GapFrame { next: self.next_seq() + numbers, reason: GapReason::SPOOL_FULL, ..GapFrame::default() };
        self.put(Kind::GAP, 1, numbers, &archive(&gap));
    }

    pub fn void(&mut self, numbers: u64) {
        let void = VoidFrame { next: self.next_seq() + numbers, reason: Reject::RANGE, ..VoidFrame::default() };
        self.put(Kind::VOID, 1, numbers, &archive(&void));
    }

    /// Records were acked and are not in the log.
    pub fn hole(&mut self, numbers: u64) {
        self.prelude.first_seq += numbers;
    }

    /// The next record as another tenant's, in this session.
    pub fn as_tenant(&mut self, tenant: TenantId) {
        self.stamp.tenant = tenant;
    }

    pub fn end(&mut self) {
        self.put(Kind::END, 1, 1, &archive(&EndFrame { reason: EndReason::FINISHED, ..EndFrame::default() }));
    }
}

/// A record that closes, reopens or retires a session (E9a).
pub fn closing(source_id: u128, closing: Closing) -> Bytes {
    boxbox_schemas::stamp::closed(tenant(), source(source_id), closing, 1_700_000_100_000_000)
}

/// A partition's processing with a store of its own, both without any runtime.
pub struct Bench {
    pub partition: Partition,
    pub kept: Kept,
    offset: u64,
}

/// What a store would hold.
#[derive(Default)]
pub struct Kept {
    pub laps: BTreeMap<(boxbox_schemas::EntryId, u32), Lap>,
    pub steps: Vec<Step>,
}

impl Bench {
    pub fn new() -> Self {
        let partition = Partition::restore(LogId("bench".into()), 0, 1, PartitionState::default()).unwrap();
        Self { partition, kept: Kept::default(), offset: 0 }
    }

    pub fn feed<'a>(&mut self, records: impl IntoIterator<Item = &'a Bytes>) -> &mut Self {
        for record in records {
            self.partition.process(self.offset, record);
            self.offset += 1;
        }
        self
    }

    /// Commit what is pending.
    pub fn commit(&mut self) -> &mut Self {
        if let Some(step) = self.partition.step() {
            for (_, entry, number) in &step.withdrawn {
                self.kept.laps.remove(&(*entry, *number));
            }
            self.kept.laps.extend(step.laps.iter().map(|l| ((l.entry, l.number), l.clone())));
            self.kept.steps.push(step);
        }
        self
    }
}

/// Counts outcomes, all of which must be good ones.
#[derive(Default)]
pub struct Told(AtomicUsize);

impl Completions for Told {
    fn completed(&self, batch: &[Completion]) {
        assert!(batch.iter().all(|c| matches!(c.outcome, Outcome::Durable(_))));
        self.0.fetch_add(batch.len(), Ordering::SeqCst);
    }
}

/// Append to a log, each record to its session's partition; they are durable when this returns.
pub fn append<'a>(log: &dyn Log, records: impl IntoIterator<Item = &'a Bytes>) {
    let told = Arc::new(Told::default());
    let writer = log.writer(told.clone()).unwrap();
    let mut appended = 0;
    for record in records {
        let session = boxbox_schemas::stamp::LogRecord::parse(record.clone()).map_or(SessionId::default(), |r| r.stamp.session);
        append_to(&*writer, session.partition(log.partitions()), record.clone());
        appended += 1;
    }
    block_until("the records are durable", || told.0.load(Ordering::SeqCst) == appended);
}

pub fn append_to(writer: &dyn boxbox_log::Writer, partition: u32, record: Bytes) {
    writer.append(partition, SessionId::default(), record, Ticket::default()).unwrap();
}

pub fn inline_log(partitions: u32) -> MemoryLog {
    MemoryLog::inline(partitions, boxbox_log::Limits::default())
}
