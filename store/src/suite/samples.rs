//! Rows to store: plain ones, and random ones that reach every field's ends.

use boxbox_schemas::event::Exclusion;
use boxbox_schemas::frame::{CAR_FRAME_BYTES, CarFrame, Flags, SessionState};
use boxbox_schemas::meta::{MetaEntry, SessionMeta};
use boxbox_schemas::results::{
    About, AnyRow, CarNow, Checkpoint, Conflict, Dispute, FlagChange, IncidentStep, Lap, Ledger, Limited, PitKind, PitVisit, Reasons, RefusedClaim,
    Row, RowHead, RowKind, SessionInfo, Span, Tags,
};
use boxbox_schemas::{DriverId, EntryId, LogId, RunId, SessionId, ShortId, Sim, Source, StreamKey, TenantId};
use bytes::Bytes;
use fastrand::Rng;

use crate::{FieldState, LapFilter, Lease, Quarantined, Step, StreamState};

pub(crate) fn log() -> LogId {
    LogId("log-1".into())
}

pub(crate) fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

pub(crate) fn driver(n: u32) -> DriverId {
    DriverId::new(&format!("driver-{n}")).unwrap()
}

pub(crate) fn entry(n: u32) -> EntryId {
    EntryId::new(&format!("entry-{n}")).unwrap()
}

pub(crate) fn run(n: u8) -> RunId {
    RunId([n; 16])
}

pub(crate) fn checkpoint(offset: u64) -> Checkpoint {
    Checkpoint { log: log(), partition: 3, offset, crc: crc(offset) }
}

/// The partition's first lease: that of the archive's tests, whose fixtures take it where a backend asks for one.
pub(crate) fn lease() -> Lease {
    Lease { log: log(), partition: 3, epoch: 1 }
}

/// The checksum that the log's record at `offset` has in these tests.
pub(crate) fn crc(offset: u64) -> u32 {
    (offset as u32).wrapping_mul(0x9e37_79b9)
}

/// The `n`-th session of a tenant.
pub(crate) fn session(tenant: TenantId, n: u32) -> SessionInfo {
    let source = Source { sim: Sim::IRACING, id: 51_234_567 + (u128::from(n) << 100), session_num: n };
    let opened_at_us = 1_790_000_000_000_000 + i64::from(n / 3);
    let id = SessionId::of(&tenant, &source);
    SessionInfo {
        id,
        tenant,
        source,
        opened_at_us,
        updated_at_us: opened_at_us + 5,
        sim_time_us: 7,
        closed: false,
        provisional: false,
        retired: false,
        meta: None,
        meta_from: None,
        rules: 1,
        disputes: vec![],
        limited: vec![],
        conflicts: vec![],
        excluded: vec![],
        refused: vec![],
    }
}

pub(crate) fn stream(session: &SessionInfo, n: u32) -> StreamKey {
    StreamKey { tenant: session.tenant, session: session.id, driver: driver(n), run: run(1) }
}

pub(crate) fn stream_state(stream: StreamKey, expected: u64) -> StreamState {
    StreamState {
        ledger: Ledger { expected, admitted: expected, ..Ledger::new(stream) },
        race: Bytes::from(vec![expected as u8; 100]),
        now: None,
        field: vec![],
    }
}

pub(crate) fn lap(session: SessionId, entry: EntryId, number: u32, revision: u32) -> Lap {
    let start_us = i64::from(number) * 92_556_100;
    let driver = driver(1);
    Lap {
        session,
        entry,
        number,
        driver,
        run: run(1),
        slot: 7,
        timeline: 0,
        revision,
        start_us,
        end_us: start_us + 92_556_100,
        time_us: 92_556_100,
        sim_time_us: Some(92_556_400),
        sectors_us: vec![29_786_600, 28_242_800, 34_526_700],
        loops_us: vec![],
        fuel_l: None,
        fuel_used_l: None,
        reasons: Reasons::OFF_TRACK.with(Reasons::INCIDENT),
        tags: Tags::HAD_YELLOW,
        frames: 5_553,
        start_tick: 100,
        end_tick: 5_653,
        settled: true,
        superseded: false,
        spans: vec![Span { driver, run: run(1), first_seq: 1_000, next_seq: 6_553 }],
    }
}

pub(crate) fn incident(session: SessionId, n: u32, tick: u32) -> IncidentStep {
    let (from, to) = (tick as u16, tick as u16 + 1);
    IncidentStep {
        session,
        entry: entry(n),
        driver: driver(n),
        run: run(1),
        timeline: 0,
        tick,
        sim_time_us: i64::from(tick) * 16_667,
        from,
        to,
        superseded: false,
        late: false,
    }
}

pub(crate) fn car(of: &StreamKey, n: u32, slot: u16) -> CarNow {
    CarNow {
        session: of.session,
        entry: entry(n),
        driver: of.driver,
        run: of.run,
        slot,
        field: false,
        sim_time_us: 90_000_000,
        tick: 5_400,
        lap: 2,
        lap_start_us: Some(88_000_000),
        loops_us: vec![4_600_000, -1, 9_200_000],
        lap_pct: Some(0.123_456_789),
        speed_mps: Some(51.25),
        in_pits: Some(false),
        off_track: false,
        fuel_l: Some(23.5),
        flags: Flags::GREEN,
        state: SessionState(4),
        watching: false,
        taken_over_us: None,
    }
}

/// The car in `slot` as a stream sees it.
pub(crate) fn seen(of: &StreamKey, n: u32, slot: u16) -> FieldState {
    FieldState { slot, race: Bytes::from(vec![slot as u8; 60]), now: Some(CarNow { field: true, ..car(of, n, slot) }) }
}

pub(crate) fn visit(session: SessionId, n: u32, tick: u32) -> PitVisit {
    PitVisit {
        session,
        entry: entry(n),
        seen_as: None,
        driver: driver(n),
        run: run(1),
        slot: 7,
        timeline: 0,
        tick,
        field: false,
        kind: PitKind::STOP,
        lap: 12,
        enter_us: i64::from(tick) * 16_667,
        exit_us: Some(i64::from(tick) * 16_667 + 31_000_000),
        stationary_us: 9_100_000,
        service_us: None,
        fuel_added_l: Some(38.4),
        tyres_changed: Some(true),
        speed_max_mps: 16.6,
        speeding: false,
        superseded: false,
        late: false,
        ends: Default::default(),
    }
}

pub(crate) fn flag(session: SessionId, n: u32, tick: u32) -> FlagChange {
    FlagChange {
        session,
        entry: entry(n),
        driver: driver(n),
        run: run(1),
        timeline: 0,
        tick,
        sim_time_us: i64::from(tick) * 16_667,
        from: Flags::GREEN,
        to: Flags(u32::MAX),
        superseded: false,
        late: false,
    }
}

/// A row of a kind that this version does not know.
pub(crate) fn newer(session: SessionId, n: u32, tick: u32) -> AnyRow {
    let kind = RowKind(ShortId::new("newer_kind").unwrap());
    AnyRow { kind, head: visit(session, n, tick).head(), body: r#"{"colour": "blue"}"#.into() }
}

/// Rows of a kind, to be carried.
pub(crate) fn rows<T: Row>(of: &[T]) -> Vec<AnyRow> {
    of.iter().map(AnyRow::of).collect()
}

pub(crate) fn empty_step(offset: u64) -> Step {
    Step::new(checkpoint(offset))
}

/// A step that says `revision` everywhere, so that a torn one would show.
pub(crate) fn step_of_revision(session: &SessionInfo, revision: u32) -> Step {
    let laps: Vec<Lap> = (1..=5).map(|n| lap(session.id, entry(n), 1, revision)).collect();
    let key = stream(session, 1);
    let state = StreamState {
        now: Some(CarNow { tick: revision, ..car(&key, 1, 7) }),
        field: (0..3).map(|slot| FieldState { race: Bytes::from(vec![revision as u8; 70]), ..seen(&key, 2, slot) }).collect(),
        ..stream_state(key, revision.into())
    };
    Step {
        streams: vec![state],
        sessions: vec![SessionInfo { sim_time_us: revision.into(), ..session.clone() }],
        facts: laps.clone(),
        laps,
        ..empty_step(revision.into())
    }
}

/// `count` frames of a car that moves on smoothly, from sequence number `first` on.
pub(crate) fn frames(first: u64, count: u64) -> Bytes {
    let mut out = Vec::with_capacity(count as usize * CAR_FRAME_BYTES);
    for seq in first..first + count {
        let at = seq as f32 / 60.0;
        let frame = CarFrame {
            tick: seq as u32,
            sim_time_us: seq as i64 * 16_667,
            lap_pct: f64::from(at) / 90.0,
            speed_mps: 50.0 + at.sin(),
            ..CarFrame::default()
        };
        out.extend_from_slice(&rkyv::to_bytes::<rkyv::rancor::Error>(&frame).unwrap());
    }
    out.into()
}

// Random ones.

fn number(rng: &mut Rng) -> i64 {
    let ends = [0, 1, -1, i64::MAX, i64::MIN];
    if rng.bool() { ends[rng.usize(..ends.len())] } else { rng.i64(..) }
}

fn float(rng: &mut Rng) -> f64 {
    let f = f64::from_bits(rng.u64(..));
    if f.is_finite() { f } else { rng.f64() }
}

fn single(rng: &mut Rng) -> f32 {
    let f = f32::from_bits(rng.u32(..));
    if f.is_finite() { f } else { rng.f32() }
}

fn text(rng: &mut Rng) -> String {
    (0..rng.usize(0..12)).map(|_| rng.char(..)).collect()
}

/// Any description, mostly of what no simulator would say.
pub(crate) fn random_meta(rng: &mut Rng) -> SessionMeta {
    let some_entry = |rng: &mut Rng| MetaEntry {
        slot: rng.u16(..),
        user_id: rng.u64(..),
        team_id: rng.u64(..),
        driver_name: text(rng),
        team_name: text(rng),
        number: text(rng),
        class_id: rng.u32(..),
        class_name: text(rng),
        car_name: text(rng),
        special: rng.u8(..),
    };
    SessionMeta {
        track_id: rng.u32(..),
        track_name: text(rng),
        track_config: text(rng),
        track_length_m: float(rng),
        sector_starts: (0..rng.usize(0..5)).map(|_| float(rng)).collect(),
        pit_limit_mps: single(rng),
        session_type: text(rng),
        laps_limit: rng.u32(..),
        time_limit_us: number(rng),
        category: text(rng),
        start_kind: rng.u8(..),
        team_racing: rng.u8(..),
        fuel_kg_per_l: single(rng),
        fuel_max_l: single(rng),
        incident_limit: rng.u16(..),
        own_slot: rng.u16(..),
        entries: (0..rng.usize(0..4)).map(|_| some_entry(rng)).collect(),
    }
}

fn random_car(rng: &mut Rng, of: &StreamKey, slot: u16) -> CarNow {
    CarNow {
        entry: entry(rng.u32(0..3)),
        field: rng.bool(),
        sim_time_us: number(rng),
        tick: rng.u32(..),
        lap: rng.u32(..),
        lap_start_us: rng.bool().then(|| number(rng)),
        loops_us: (0..rng.usize(0..4)).map(|_| number(rng)).collect(),
        lap_pct: rng.bool().then(|| float(rng)),
        speed_mps: rng.bool().then(|| single(rng)),
        in_pits: [None, Some(true), Some(false)][rng.usize(0..3)],
        fuel_l: rng.bool().then(|| single(rng)),
        flags: Flags(rng.u32(..)),
        ..car(of, 0, slot)
    }
}

fn random_seen(rng: &mut Rng, of: &StreamKey) -> FieldState {
    let slot = rng.u16(5..9);
    let race: Vec<u8> = (0..rng.usize(0..200)).map(|_| rng.u8(..)).collect();
    FieldState { slot, race: race.into(), now: rng.bool().then(|| random_car(rng, of, slot)) }
}

/// A random step over few keys, so that rows meet again.
pub(crate) fn random_step(rng: &mut Rng, offset: u64, tenants: &[TenantId]) -> Step {
    let sessions: Vec<SessionInfo> = tenants.iter().flat_map(|t| (0..3).map(|n| session(*t, n))).collect();
    let some = |rng: &mut Rng| rng.usize(0..6);
    let mut step = empty_step(offset);
    // All sessions in the first step, so that every row has one.
    step.sessions = sessions.clone();
    step.sessions.retain(|_| offset == 1 || rng.bool());
    for info in &mut step.sessions {
        (info.opened_at_us, info.updated_at_us, info.sim_time_us, info.closed) = (rng.i64(0..4), number(rng), number(rng), rng.bool());
        (info.retired, info.provisional) = (rng.u8(0..8) == 0, rng.bool());
        let entries = || [1, 2].map(|n| EntryId(driver(n).0)).to_vec();
        info.disputes = (0..rng.u32(0..3)).map(|n| Dispute { seen_as: EntryId(driver(n).0), entries: entries() }).collect();
        info.limited = (0..rng.u32(0..3)).map(|n| Limited { driver: driver(n), bound: "laps".into(), refused: rng.u64(..) }).collect();
        let about = if rng.bool() { About::Slot } else { About::Lap };
        info.conflicts =
            Conflict::of(about, "x", rng.bool().then_some(7), (0..rng.u32(0..3)).map(driver), (0..rng.u32(0..3)).map(driver)).into_iter().collect();
        info.excluded = (0..rng.u32(0..3)).map(|n| Exclusion { driver: driver(n), run: rng.bool().then(|| run(3)) }).collect();
        info.refused = (0..rng.u32(0..2)).map(|n| RefusedClaim { driver: driver(n), entry: EntryId(driver(n).0) }).collect();
        info.meta = rng.bool().then(|| random_meta(rng));
        info.meta_from = rng.bool().then(|| (driver(rng.u32(..)), RunId(rng.u128(..).to_be_bytes()), rng.u32(..)));
    }
    for _ in 0..some(rng) {
        let stream = StreamKey { run: run(rng.u8(0..2)), ..stream(rng.choice(&sessions).unwrap(), rng.u32(0..3)) };
        let mut n = || rng.u64(0..1 << 48);
        let counts = Ledger {
            expected: n(),
            admitted: n(),
            car_frames: n(),
            duplicate: n(),
            early: n(),
            late: n(),
            gap: n(),
            hole: n(),
            unreadable: n(),
            ..Ledger::new(stream)
        };
        let void = vec![("range".into(), n()), ("not_finite".into(), n())];
        let race: Vec<u8> = (0..rng.usize(0..=crate::STREAM_RACE_MAX_BYTES)).map(|_| rng.u8(..)).collect();
        let mut field: Vec<FieldState> = (0..some(rng)).map(|_| random_seen(rng, &stream)).collect();
        field.sort_by_key(|f| f.slot);
        let now = rng.bool().then(|| random_car(rng, &stream, 7));
        step.streams.push(StreamState { ledger: Ledger { void, ended: rng.bool(), ..counts }, race: race.into(), now, field });
    }
    let any_lap = |rng: &mut Rng| {
        let lap = lap(rng.choice(&sessions).unwrap().id, entry(rng.u32(0..3)), rng.u32(0..4), rng.u32(..));
        Lap {
            driver: driver(rng.u32(0..2)),
            timeline: rng.u32(0..2),
            start_us: if rng.bool() { rng.i64(0..4) } else { number(rng) },
            end_us: if rng.bool() { rng.i64(0..4) } else { number(rng) },
            time_us: rng.i64(0..3),
            loops_us: (0..rng.usize(0..4)).map(|_| number(rng)).collect(),
            fuel_l: rng.bool().then(|| single(rng)),
            fuel_used_l: rng.bool().then(|| single(rng)),
            sim_time_us: rng.bool().then(|| number(rng)),
            sectors_us: (0..rng.usize(0..4)).map(|_| number(rng)).collect(),
            reasons: Reasons(if rng.bool() { 0 } else { rng.u32(..) }),
            tags: Tags(rng.u32(..)),
            superseded: rng.u8(0..4) == 0,
            ..lap
        }
    };
    step.facts = (0..some(rng)).map(|_| any_lap(rng)).collect();
    step.laps = (0..some(rng)).map(|_| Lap { number: if rng.bool() { rng.u32(1..4) } else { rng.u32(1..) }, ..any_lap(rng) }).collect();
    step.withdrawn = (0..some(rng)).map(|_| any_lap(rng)).map(|l| (l.session, l.entry, l.number)).collect();
    for _ in 0..some(rng) {
        let step_of = incident(rng.choice(&sessions).unwrap().id, rng.u32(0..2), rng.u32(0..3));
        step.rows.push(AnyRow::of(&IncidentStep {
            entry: entry(rng.u32(0..2)),
            sim_time_us: rng.i64(0..3),
            from: rng.u16(..),
            to: rng.u16(..),
            superseded: rng.bool(),
            late: rng.bool(),
            ..step_of
        }));
    }
    for _ in 0..some(rng) {
        let row = visit(rng.choice(&sessions).unwrap().id, rng.u32(0..2), rng.u32(0..3));
        step.rows.push(AnyRow::of(&PitVisit {
            entry: entry(rng.u32(0..2)),
            slot: rng.u16(0..2),
            timeline: rng.u32(0..2),
            kind: PitKind(rng.u8(..)),
            enter_us: rng.i64(0..3),
            exit_us: rng.bool().then(|| number(rng)),
            service_us: rng.bool().then(|| number(rng)),
            fuel_added_l: rng.bool().then(|| single(rng)),
            tyres_changed: [None, Some(true), Some(false)][rng.usize(0..3)],
            speed_max_mps: single(rng),
            seen_as: rng.bool().then(|| entry(rng.u32(0..2))),
            superseded: rng.bool(),
            late: rng.bool(),
            ..row
        }));
        let row = flag(rng.choice(&sessions).unwrap().id, rng.u32(0..2), rng.u32(0..3));
        step.rows.push(AnyRow::of(&FlagChange {
            entry: entry(rng.u32(0..2)),
            sim_time_us: rng.i64(0..3),
            from: Flags(rng.u32(..)),
            to: Flags(rng.u32(..)),
            superseded: rng.bool(),
            late: rng.bool(),
            ..row
        }));
        let row = newer(rng.choice(&sessions).unwrap().id, rng.u32(0..2), rng.u32(0..3));
        let until_us = rng.bool().then(|| number(rng));
        let head = RowHead { until_us, field: rng.bool(), superseded: rng.bool(), late: rng.bool(), ..row.head };
        step.rows.push(AnyRow { head, body: format!("[{}]", rng.u32(..)).into(), ..row });
    }
    step.retired = sessions.iter().map(|s| s.id).filter(|_| rng.u8(0..20) == 0).collect();
    step.quarantine =
        (0..some(rng)).map(|_| Quarantined { offset: rng.u64(0..50), reason: text(rng), record: text(rng).into_bytes().into() }).collect();
    step
}

pub(crate) fn random_filter(rng: &mut fastrand::Rng) -> LapFilter {
    let some = |rng: &mut fastrand::Rng| rng.u8(0..3) == 0;
    LapFilter {
        entry: some(rng).then(|| entry(rng.u32(0..3))),
        driver: some(rng).then(|| driver(rng.u32(0..2))),
        from_number: some(rng).then(|| rng.u32(0..5)),
        to_number: some(rng).then(|| rng.u32(0..5)),
        valid: some(rng).then(|| rng.bool()),
    }
}
