//! Structured records at random through admission, race logic and a store in memory: no panic, no halt of an honest stream, and the bounds
//! of what is kept and worked hold. `BOXBOX_CAMPAIGN` makes it ten million records instead of 100,000.

#![allow(clippy::unwrap_used)] // Unwrapping is how a test says what must be.

mod support;

use boxbox_processor::partition::Partition;
use boxbox_schemas::event::{Closing, EndFrame, EndReason, EventCode, EventFrame, GapFrame, GapReason, Reject, VoidFrame};
use boxbox_schemas::field::FieldFrame;
use boxbox_schemas::frame::{CarBits, CarFrame, Flags, Presence, SessionState, TrackLoc};
use boxbox_schemas::limits::*;
use boxbox_schemas::meta::{MetaEntry, SessionMeta};
use boxbox_schemas::record::{Kind, archive};
use boxbox_schemas::slow::SlowFrame;
use boxbox_schemas::stamp::LogRecord;
use boxbox_schemas::{EntryId, LogId, RunId, check};
use boxbox_store::memory::MemoryResults;
use boxbox_store::{Sessions, Steps};
use boxbox_testkit::campaign::{campaign, seeded};
use boxbox_testkit::frames::{payload, tick_us};
use bytes::Bytes;
use fastrand::Rng;
use support::*;

/// Records between two honest ones.
const BESIDE: usize = 40;
/// After so many records everything begins anew, so that sessions stay as long as sessions are.
const ROUND: usize = 20_000;

/// A number that is small, large, at an edge, or anything.
fn any(rng: &mut Rng, around: i64) -> i64 {
    match rng.u8(0..10) {
        0..6 => around + rng.i64(-200..=200),
        6 => 0,
        7 => rng.i64(0..=SIM_TIME_MAX_US),
        8 => around + rng.i64(-100_000..=100_000),
        _ => around,
    }
}

/// What a client that follows no rules sends next; all of it would pass the checks of an edge.
struct Wild {
    client: Client,
    tick: u32,
    at: f64,
}

impl Wild {
    fn new(rng: &mut Rng) -> Self {
        let names = ["mallory", "trudy", "eve", "oscar"];
        let mut client = Client::new(rng.u128(1..4), names[rng.usize(..4)], rng.u8(1..200));
        client.as_run(RunId(rng.u128(..).to_be_bytes()));
        Self { client, tick: rng.u32(0..100_000), at: 0.0 }
    }

    fn tick(&mut self, rng: &mut Rng) -> u32 {
        self.tick = match rng.u8(0..40) {
            0 => rng.u32(..1 << 24),
            1 => self.tick.saturating_sub(rng.u32(0..5_000)),
            2 => self.tick.saturating_add(rng.u32(0..50_000)),
            _ => self.tick.saturating_add(rng.u32(0..20)),
        };
        self.tick
    }

    fn frame(&mut self, rng: &mut Rng) -> CarFrame {
        let tick = self.tick(rng);
        self.at = if rng.u8(0..60) == 0 { rng.f64() * 50.0 } else { self.at + rng.f64() * 0.02 };
        let frame = self.client.frame(tick);
        CarFrame {
            sim_time_us: if rng.u8(0..50) == 0 { any(rng, tick_us(tick)).clamp(0, SIM_TIME_MAX_US) } else { tick_us(tick) },
            lap_pct: self.at.fract(),
            lap: any(rng, self.at as i64) as i16,
            laps_completed: any(rng, self.at as i64 - 1) as i16,
            presence: Presence(frame.presence.0 & if rng.u8(0..8) == 0 { rng.u64(..) } else { u64::MAX }),
            bits: if rng.u8(0..10) == 0 { CarBits(rng.u16(..)) } else { frame.bits },
            track_loc: if rng.u8(0..10) == 0 { TrackLoc(rng.i8(-1..5)) } else { frame.track_loc },
            flags: if rng.u8(0..20) == 0 { Flags(rng.u32(..)) } else { frame.flags },
            session_state: if rng.u8(0..20) == 0 { SessionState(rng.u8(0..8)) } else { frame.session_state },
            incident_count: if rng.u8(0..20) == 0 { rng.u16(..) } else { frame.incident_count },
            speed_mps: rng.f32() * SPEED_MAX_MPS,
            ..frame
        }
    }

    fn meta(&mut self, rng: &mut Rng) {
        let cars = rng.u16(0..20);
        let entries = (0..cars).map(|n| MetaEntry {
            slot: if rng.bool() { n } else { rng.u16(..) },
            user_id: rng.u64(0..12),
            team_id: rng.u64(0..4),
            special: rng.u8(0..4),
            driver_name: "n".repeat(rng.usize(0..40)),
            ..MetaEntry::default()
        });
        let entries: Vec<MetaEntry> = entries.collect();
        let meta = SessionMeta {
            track_length_m: rng.f64() * 6_000.0,
            sector_starts: if rng.bool() { vec![0.0, 0.3, 0.7] } else { vec![] },
            session_type: ["practice", "race", "qualify", ""][rng.usize(..4)].into(),
            laps_limit: rng.u32(0..30),
            own_slot: rng.u16(0..20),
            team_racing: rng.u8(0..2),
            start_kind: rng.u8(0..3),
            entries,
            ..SessionMeta::default()
        };
        self.client.put(Kind::META, 1, 1, &archive(&meta));
    }

    fn go_on(&mut self, rng: &mut Rng) {
        let tick = self.tick(rng);
        match rng.u8(0..40) {
            0..22 => {
                let frames: Vec<CarFrame> = (0..rng.usize(1..12)).map(|_| self.frame(rng)).collect();
                self.client.put(Kind::CAR, frames.len() as u16, frames.len() as u64, &payload(&frames));
            }
            22..28 => {
                let frame = |rng: &mut Rng| FieldFrame {
                    tick,
                    sim_time_us: tick_us(tick),
                    slot: rng.u16(0..70),
                    lap: any(rng, self.at as i64) as i16,
                    laps_completed: any(rng, self.at as i64) as i16,
                    lap_pct: rng.f32(),
                    track_loc: TrackLoc(rng.i8(-1..4)),
                    ..FieldFrame::default()
                };
                let frames: Vec<FieldFrame> = (0..rng.usize(1..30)).map(|_| frame(rng)).collect();
                self.client.put(Kind::FIELD, frames.len() as u16, frames.len() as u64, &payload(&frames));
            }
            28..31 => self.meta(rng),
            31..35 => {
                let code = [EventCode::REWIND, EventCode::RESET, EventCode::DRIVER_SWAP, EventCode(rng.u16(..))][rng.usize(..4)];
                let event = EventFrame { tick, sim_time_us: any(rng, tick_us(tick)).clamp(0, SIM_TIME_MAX_US), code, ..EventFrame::default() };
                self.client.put(Kind::EVENT, 1, 1, &archive(&event));
            }
            35 => self.client.put(Kind::SLOW, 1, 1, &archive(&SlowFrame { sim_time_us: tick_us(tick), ..SlowFrame::default() })),
            36 => {
                let numbers = if rng.u8(0..10) == 0 { rng.u64(1..1 << 40) } else { rng.u64(1..100) };
                let next = (self.client.next_seq() + numbers).min(SEQUENCE_END - 1);
                if next > self.client.next_seq() {
                    let gap = GapFrame { next, reason: GapReason::SPOOL_FULL, ..GapFrame::default() };
                    self.client.put(Kind::GAP, 1, next - self.client.next_seq(), &archive(&gap));
                }
            }
            37 => {
                let void = VoidFrame { next: self.client.next_seq() + 3, reason: Reject::RANGE, ..VoidFrame::default() };
                self.client.put(Kind::VOID, 1, 3, &archive(&void));
            }
            38 => self.client.hole(rng.u64(1..4)),
            _ => self.client.put(Kind::END, 1, 1, &archive(&EndFrame { reason: EndReason::FINISHED, ..EndFrame::default() })),
        }
    }
}

/// A round with its own log and store.
async fn round(rng: &mut Rng, records: usize) {
    let (results, log) = (MemoryResults::new(), LogId("log".into()));
    let mut lease = results.acquire(&log, 0).await.unwrap();
    let mut partition = restored(&results, &log, &mut lease).await;
    let honest_laps = (records / BESIDE / 40).clamp(1, 12) as u32;
    let mut honest = Client::laps(1, "bert", 1, 300, honest_laps).into_iter();
    let mut wild: Vec<Wild> = (0..6).map(|_| Wild::new(rng)).collect();
    let mut offset = 0;
    let (mut work, mut frames) = (0, 0);
    let mut process = |partition: &mut Partition, record: &Bytes| {
        partition.process(offset, record);
        offset += 1;
    };
    for n in 0..records {
        if n % BESIDE == 0 {
            honest.next().iter().for_each(|record| process(&mut partition, record));
        }
        let who = rng.usize(..wild.len());
        if rng.u32(0..400) == 0 {
            wild[who] = Wild::new(rng);
        }
        let of = &mut wild[who];
        of.go_on(rng);
        for record in std::mem::take(&mut of.client.records) {
            // An edge would have refused it; the client's next record then shows a hole.
            let passes = LogRecord::parse(record.clone()).is_ok_and(|record| check::record(&record.record).is_ok());
            if !passes {
                continue;
            }
            frames += record.len() as u64 / 40;
            process(&mut partition, &record);
            if rng.u8(0..50) == 0 {
                process(&mut partition, &record);
            }
        }
        if rng.u32(0..1_000) == 0 {
            let how = [Closing::SILENCE, Closing::ASKED, Closing::REOPENED][rng.usize(..3)];
            process(&mut partition, &closing(rng.u128(2..4), how));
        }
        if rng.u32(0..700) == 0
            && let Some(step) = partition.step()
        {
            results.commit(&lease, &step).await.expect("a step within its bounds");
            if rng.bool() {
                partition = restored(&results, &log, &mut lease).await;
            }
        }
        let counts = partition.take_counts();
        assert!(counts.quarantined.iter().all(|(reason, _)| *reason != "panic"), "record {n}: {:?}", counts.quarantined);
        assert_eq!(counts.parts, [], "record {n}");
        work += counts.work;
        assert!(counts.work <= 400_000, "record {n}: {} units of work", counts.work);
    }
    honest.for_each(|record| process(&mut partition, &record));
    if let Some(step) = partition.step() {
        results.commit(&lease, &step).await.unwrap();
    }
    let drivers = 4;
    let most = drivers * DRIVER_WORK_MAX + records as u64 * 2 * RECORD_WORK + frames * FRAME_WORK;
    assert!(work <= most, "{work} units of work, more than {most}");
    let state = results.load(&lease).await.unwrap();
    for account in &state.accounts {
        assert!(account.kept <= DRIVER_KEPT_MAX_BYTES + 100_000 && account.work <= DRIVER_WORK_MAX, "{account:?}");
    }
    let own = results.laps(&tenant(), &session(1), &Default::default(), None, 10_000).await.unwrap();
    let own = own.iter().filter(|lap| lap.entry == EntryId(driver("bert").0)).count();
    assert_eq!(own, honest_laps as usize - 1, "the honest laps, from the second on");
    let limited: Vec<_> = state.sessions.iter().flat_map(|info| &info.limited).filter(|limited| limited.driver == driver("bert")).collect();
    assert!(limited.is_empty(), "{limited:?}");
}

async fn restored(results: &MemoryResults, log: &LogId, lease: &mut boxbox_store::Lease) -> Partition {
    *lease = results.acquire(log, 0).await.unwrap();
    Partition::restore(log.clone(), 0, 1, results.load(lease).await.unwrap()).expect("what was stored can be read")
}

#[tokio::test]
async fn records_at_random_neither_panic_nor_halt_the_honest_nor_exceed_a_bound() {
    let mut rng = seeded("fuzz");
    let all = if campaign() { 10_000_000 } else { 100_000 };
    for _ in 0..all / ROUND {
        round(&mut rng, ROUND).await;
    }
}
