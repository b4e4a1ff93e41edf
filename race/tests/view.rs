//! [`SessionView`] against a store: a view that followed any history of steps equals a view made of the store's rows, and equals the
//! functions of `timing` called one by one.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use boxbox_race::timing::{self, Counting, DecidedBy, FINISH_QUESTIONS, Facts, FinishLaps, Moment, Ranking};
use boxbox_race::view::{LapKey, Rows, SessionView};
use boxbox_schemas::frame::{Flags, SessionState};
use boxbox_schemas::ids::{DriverId, EntryId, LogId, RunId, SessionId, ShortId, Source, StreamKey, TenantId};
use boxbox_schemas::meta::{MetaEntry, SessionMeta};
use boxbox_schemas::results::{
    AnyRow, CarNow, Checkpoint, FieldState, FlagChange, IncidentStep, LOOPS, Lap, Ledger, PitKind, PitVisit, Reasons, SessionInfo,
    SessionStateChange, Step, StreamState, Tags,
};
use boxbox_testkit::{frames, laps};
use fastrand::Rng;
use proptest::prelude::*;

const CARS: u32 = 5;
const LAPS: u32 = 7;
/// When the race ends, and some more.
const END_US: i64 = 1_000_000_000;

fn name(n: u32) -> ShortId {
    ShortId::new(&format!("car-{n}")).unwrap()
}

fn tenant() -> TenantId {
    TenantId(ShortId::new("league").unwrap())
}

fn session(n: u32) -> SessionId {
    SessionId::of(&tenant(), &source(n))
}

fn source(n: u32) -> Source {
    Source { session_num: n, ..frames::source(1) }
}

/// A store of one session, as a processor's step changes it.
#[derive(Default)]
struct Store {
    info: Option<SessionInfo>,
    laps: BTreeMap<LapKey, Lap>,
    flags: BTreeMap<(DriverId, RunId, u32, u32), FlagChange>,
    states: BTreeMap<(DriverId, RunId, u32, u32), SessionStateChange>,
    pit_visits: BTreeMap<(DriverId, RunId, u16, u32, u32), PitVisit>,
    incidents: BTreeMap<(DriverId, RunId, u32, u32), IncidentStep>,
    own: BTreeMap<(DriverId, RunId), Option<CarNow>>,
    seen: BTreeMap<(DriverId, RunId, u16), Option<CarNow>>,
}

impl Store {
    fn commit(&mut self, step: &Step) {
        let id = session(0);
        self.info = step.sessions.iter().rfind(|s| s.id == id).cloned().or(self.info.take());
        for stream in step.streams.iter().filter(|s| s.ledger.stream.session == id) {
            let of = (stream.ledger.stream.driver, stream.ledger.stream.run);
            self.own.insert(of, stream.now.clone());
            self.seen.extend(stream.field.iter().map(|f| ((of.0, of.1, f.slot), f.now.clone())));
        }
        for (_, entry, number) in step.withdrawn.iter().filter(|w| w.0 == id) {
            self.laps.remove(&(*entry, *number));
        }
        self.laps.extend(step.laps.iter().filter(|l| l.session == id).map(|l| ((l.entry, l.number), l.clone())));
        let rows: Vec<&AnyRow> = step.rows.iter().filter(|row| row.head.session == id).collect();
        let flags = AnyRow::read_all::<FlagChange>(rows.iter().copied()).unwrap().into_iter();
        self.flags.extend(flags.map(|f| ((f.driver, f.run, f.timeline, f.tick), f)));
        let states = AnyRow::read_all::<SessionStateChange>(rows.iter().copied()).unwrap().into_iter();
        self.states.extend(states.map(|s| ((s.driver, s.run, s.timeline, s.tick), s)));
        let visits = AnyRow::read_all::<PitVisit>(rows.iter().copied()).unwrap().into_iter();
        self.pit_visits.extend(visits.map(|v| ((v.driver, v.run, v.slot, v.timeline, v.tick), v)));
        let incidents = AnyRow::read_all::<IncidentStep>(rows.iter().copied()).unwrap().into_iter();
        self.incidents.extend(incidents.map(|i| ((i.driver, i.run, i.timeline, i.tick), i)));
        if step.retired.contains(&id) {
            self.seen.clear();
        }
    }

    /// The rows that a reader gets, in a random order.
    fn rows(&self, rng: &mut Rng) -> Rows {
        let mut rows = Rows {
            laps: self.laps.values().filter(|l| !l.superseded).cloned().collect(),
            flags: self.flags.values().filter(|f| !f.superseded).cloned().collect(),
            states: self.states.values().filter(|s| !s.superseded).cloned().collect(),
            pit_visits: self.pit_visits.values().filter(|v| !v.superseded).cloned().collect(),
            incidents: self.incidents.values().filter(|i| !i.superseded).cloned().collect(),
            cars: self.own.values().chain(self.seen.values()).flatten().cloned().collect(),
        };
        if rng.bool() {
            rng.shuffle(&mut rows.laps);
            rng.shuffle(&mut rows.flags);
            rng.shuffle(&mut rows.states);
            rng.shuffle(&mut rows.cars);
            rng.shuffle(&mut rows.pit_visits);
            rng.shuffle(&mut rows.incidents);
        }
        rows
    }

    fn view(&self, rng: &mut Rng) -> SessionView {
        SessionView::of(self.info.clone().unwrap()).with(self.rows(rng))
    }

    /// Of each entry the last two laps that began by then, as a store gives them.
    fn laps_at(&self, at_us: i64) -> Vec<Lap> {
        let mut begun: Vec<&Lap> = self.laps.values().filter(|l| !l.superseded && l.start_us <= at_us).collect();
        begun.sort_by_key(|l| (l.entry, l.start_us, l.number));
        begun.chunk_by(|a, b| a.entry == b.entry).flat_map(|of| &of[of.len().saturating_sub(2)..]).map(|l| (*l).clone()).collect()
    }

    fn best_laps(&self, until_us: i64, counting: &Counting) -> Vec<Lap> {
        let mut best: BTreeMap<EntryId, &Lap> = BTreeMap::new();
        let counts = |l: &&Lap| l.start_us < counting.begun_before_us && l.number >= counting.best_from_number;
        let until_us = until_us.min(counting.ended_by_us);
        for lap in self.laps.values().filter(|l| !l.superseded && l.valid() && l.end_us <= until_us).filter(counts) {
            let kept = best.entry(lap.entry).or_insert(lap);
            if (lap.deciding_us(), lap.end_us) < (kept.deciding_us(), kept.end_us) {
                *kept = lap;
            }
        }
        best.into_values().cloned().collect()
    }

    /// A view with what its order at a moment needs, and no more.
    fn light_view(&self, at_us: Option<i64>, rng: &mut Rng) -> SessionView {
        let Rows { flags, states, cars, pit_visits, .. } = self.rows(rng);
        let mut view = SessionView::of(self.info.clone().unwrap()).with(Rows { flags, states, cars, ..Rows::default() });
        for _ in 0..FINISH_QUESTIONS {
            let FinishLaps { numbers, last_two_begun_by } = view.finish_laps();
            let mut laps: Vec<Lap> = self.laps.values().filter(|l| !l.superseded && numbers.contains(&l.number)).cloned().collect();
            laps.extend(last_two_begun_by.map(|us| self.laps_at(us)).unwrap_or_default());
            view = view.with(Rows { laps, ..Rows::default() });
        }
        let counting = view.counting().unwrap();
        if counting.laps_counted > 0 {
            return view.with(Rows { laps: self.rows(rng).laps, pit_visits, ..Rows::default() });
        }
        let mut laps = self.laps_at(view.recent_until_us(at_us));
        laps.extend(self.best_laps(at_us.unwrap_or(i64::MAX), &counting));
        view.with(Rows { laps, pit_visits, ..Rows::default() })
    }

    /// The same answers without the view, function by function.
    fn order(&self, at_us: Option<i64>, rng: &mut Rng) -> Vec<timing::Standing> {
        let (info, rows) = (self.info.clone().unwrap(), self.rows(rng));
        let facts = facts(&info, &rows);
        let chequered_us = timing::chequered_us(&facts);
        let counting = Counting::of(&facts, timing::finish(&facts).as_ref());
        let at = at_us.unwrap_or(i64::MAX);
        let mut recent = self.laps_at(chequered_us.map_or(at, |flag| at.min(flag - 1)));
        recent.retain(|l| l.end_us <= counting.ended_by_us && counting.at_most.is_none_or(|most| l.number <= most));
        // Which laps count depends on those before them, also of a past moment.
        let of = self.laps.values().filter(|l| !l.superseded).collect::<Vec<_>>();
        let of_entry = of.chunk_by(|a, b| a.entry == b.entry).map(|of| counting.timed().counting(of.iter().copied()));
        let bests =
            of_entry.filter_map(|of| timing::best_lap(of.into_iter().filter(|l| l.number >= counting.best_from_number && l.end_us <= at)).cloned());
        let (bests, pit_visits) = (bests.collect::<Vec<_>>(), &rows.pit_visits);
        let within = |car: &CarNow| CarNow { lap: if counting.at_most.is_none_or(|most| car.lap <= most) { car.lap } else { 0 }, ..car.clone() };
        let cars: Vec<CarNow> = rows.cars.iter().map(within).collect();
        timing::order(&Moment { session: &info, at_us, chequered_us, recent: &recent, bests: &bests, cars: &cars, pit_visits })
    }
}

fn facts<'a>(session: &'a SessionInfo, rows: &'a Rows) -> Facts<'a> {
    Facts { session, laps: &rows.laps, flags: &rows.flags, states: &rows.states, cars: &rows.cars, pit_visits: &rows.pit_visits }
}

// ---- histories -----------------------------------------------------------------------------------------------------

fn info(rng: &mut Rng, id: u32) -> SessionInfo {
    let entries = (0..CARS).map(|n| MetaEntry { slot: n as u16, class_id: 1 + n % 2, ..Default::default() }).collect();
    let session_type = rng.choice(["Race", "Race", "Practice"]).unwrap().to_string();
    let (laps_limit, time_limit_us) = *rng.choice(&[(0, 0), (LAPS - 1, 0), (0, 350_000_000), (LAPS - 1, 350_000_000), (1, 0)]).unwrap();
    let meta = SessionMeta { session_type, laps_limit, time_limit_us, entries, ..Default::default() };
    SessionInfo {
        updated_at_us: rng.i64(..),
        sim_time_us: rng.i64(0..END_US),
        closed: rng.bool(),
        meta: (rng.u8(0..10) > 0).then_some(meta),
        ..SessionInfo::opened(tenant(), source(id), 0)
    }
}

/// A lap of a car whose speed depends on its number, with slightly different values each time.
fn lap(rng: &mut Rng) -> Lap {
    let (car, number) = (rng.u32(0..CARS), rng.u32(1..=LAPS));
    let pace_us = 100_000_000 + i64::from(car) * rng.i64(1_000_000..1_100_000);
    let (start_us, time_us) = (i64::from(number - 1) * pace_us + rng.i64(0..500_000), pace_us - rng.i64(0..3) * 250_000);
    let (session, driver) = (session(u32::from(rng.u8(0..8) == 0)), DriverId(name(car + 10 * rng.u32(0..2))));
    Lap {
        entry: EntryId(name(car)),
        slot: car as u16,
        sim_time_us: rng.bool().then(|| time_us + rng.i64(-2_000..2_000)),
        sectors_us: vec![time_us / 2, time_us - time_us / 2],
        loops_us: (1..LOOPS as i64).map(|k| time_us * k / LOOPS as i64).collect(),
        fuel_used_l: rng.bool().then_some(2.5),
        reasons: if rng.u8(0..4) == 0 { Reasons::OFF_TRACK } else { Reasons(0) },
        tags: if number == 1 { Tags::FIRST_LAP } else { *rng.choice(&[Tags(0), Tags(0), Tags::OUT_LAP]).unwrap() },
        superseded: rng.u8(0..6) == 0,
        ..laps::lap(session, driver, RunId([rng.u8(0..2); 16]), number, start_us, start_us + time_us)
    }
}

fn flag(rng: &mut Rng) -> FlagChange {
    let (car, tick) = (rng.u32(0..CARS), rng.u32(0..6));
    let flags = [Flags(0), Flags::GREEN, Flags::YELLOW, Flags::GREEN.with(Flags::CHECKERED)];
    FlagChange {
        session: session(u32::from(rng.u8(0..8) == 0)),
        entry: EntryId(name(car)),
        driver: DriverId(name(car)),
        run: RunId([rng.u8(0..2); 16]),
        timeline: 0,
        tick,
        sim_time_us: i64::from(tick) * 140_000_000 + rng.i64(0..3_000_000),
        from: *rng.choice(&flags).unwrap(),
        to: *rng.choice(&flags).unwrap(),
        superseded: rng.u8(0..3) == 0,
        late: false,
    }
}

fn state(rng: &mut Rng) -> SessionStateChange {
    let FlagChange { session, entry, driver, run, timeline, tick, sim_time_us, superseded, late, .. } = flag(rng);
    // The end comes late, and not to all.
    let over = sim_time_us > END_US / 3 && rng.u8(0..3) == 0;
    let to = if over { SessionState::CHECKERED } else { SessionState::RACING };
    SessionStateChange { session, entry, driver, run, timeline, tick, sim_time_us, from: SessionState::INVALID, to, superseded, late }
}

fn visit(rng: &mut Rng) -> PitVisit {
    let (car, tick) = (rng.u32(0..CARS), rng.u32(0..6));
    let enter_us = i64::from(tick) * 150_000_000 + rng.i64(0..100_000);
    PitVisit {
        session: session(u32::from(rng.u8(0..8) == 0)),
        entry: EntryId(name(car)),
        seen_as: None,
        driver: DriverId(name(rng.u32(0..CARS))),
        run: RunId([rng.u8(0..2); 16]),
        slot: car as u16,
        timeline: 0,
        tick,
        field: rng.bool(),
        kind: *rng.choice(&[PitKind::STOP, PitKind::DRIVE_THROUGH, PitKind::START]).unwrap(),
        lap: tick,
        enter_us,
        exit_us: rng.bool().then_some(enter_us + 30_000_000),
        stationary_us: rng.i64(0..10_000_000),
        service_us: None,
        fuel_added_l: None,
        tyres_changed: None,
        speed_max_mps: 16.0,
        speeding: rng.bool(),
        superseded: rng.u8(0..3) == 0,
        late: false,
        ends: Default::default(),
    }
}

fn incident(rng: &mut Rng) -> IncidentStep {
    let (car, tick) = (rng.u32(0..CARS), rng.u32(0..6));
    IncidentStep {
        session: session(u32::from(rng.u8(0..8) == 0)),
        entry: EntryId(name(car)),
        driver: DriverId(name(car)),
        run: RunId([rng.u8(0..2); 16]),
        timeline: rng.u32(0..2),
        tick,
        sim_time_us: i64::from(tick) * 10_000_000,
        // Steps of one counter: every stream that reports a step has the same counts before and after.
        from: tick as u16,
        to: tick as u16 + 1,
        superseded: rng.u8(0..3) == 0,
        late: false,
    }
}

/// A car that `stream` reports: the one it drives, or (`seen`) the one in that slot, with the entry of its owner at that time.
fn car(rng: &mut Rng, stream: &StreamKey, seen: Option<u16>) -> CarNow {
    let lap = rng.u32(0..=LAPS + 1);
    let lap_start_us = i64::from(lap.saturating_sub(1)) * 101_000_000;
    CarNow {
        session: stream.session,
        entry: EntryId(name(seen.map_or(u32::from(stream.driver.as_str().as_bytes()[4] - b'0'), |slot| u32::from(slot) + 20 * rng.u32(0..2)))),
        driver: stream.driver,
        run: stream.run,
        slot: seen.unwrap_or(rng.u16(0..3)),
        field: seen.is_some(),
        sim_time_us: lap_start_us + rng.i64(0..100_000_000),
        tick: 0,
        lap,
        lap_start_us: (lap > 0).then_some(lap_start_us),
        loops_us: (1..rng.i64(1..20)).map(|k| k * 5_000_000).collect(),
        lap_pct: rng.bool().then(|| rng.f64()),
        speed_mps: None,
        in_pits: rng.bool().then(|| rng.bool()),
        off_track: false,
        fuel_l: rng.bool().then(|| rng.f32()),
        flags: Flags(0),
        state: SessionState(4),
        watching: false,
        taken_over_us: None,
    }
}

/// `observers`: how many drivers see cars.
fn stream(rng: &mut Rng, observers: u32) -> StreamState {
    let session = session(u32::from(rng.u8(0..8) == 0));
    let key = StreamKey { tenant: tenant(), session, driver: DriverId(name(rng.u32(0..observers))), run: RunId([rng.u8(0..2); 16]) };
    let slots: BTreeSet<u16> = (0..rng.usize(0..3)).map(|_| rng.u16(0..CARS as u16 + 2)).collect();
    let seen = |rng: &mut Rng, slot: u16| (rng.u8(0..5) > 0).then(|| car(rng, &key, Some(slot)));
    let field = slots.into_iter().map(|slot| FieldState { slot, race: Default::default(), now: seen(rng, slot) }).collect();
    let now = (rng.u8(0..5) > 0).then(|| car(rng, &key, None));
    StreamState { ledger: Ledger::new(key), race: Default::default(), now, field }
}

fn step(rng: &mut Rng, offset: u64, observers: u32) -> Step {
    let mut step = Step::new(Checkpoint { log: LogId("log".into()), partition: 0, offset, crc: 0 });
    if offset == 0 || rng.u8(0..4) == 0 {
        step.sessions = vec![info(rng, 0), info(rng, 1)];
    }
    let mut few = |most: usize| rng.usize(0..=most);
    let counts = (few(4), few(2), few(2), few(2), few(2), few(2), few(1));
    step.laps = (0..counts.0).map(|_| lap(rng)).collect();
    step.withdrawn = (0..counts.1).map(|_| lap(rng)).map(|l| (l.session, l.entry, l.number)).collect();
    step.rows = (0..counts.2).map(|_| AnyRow::of(&flag(rng))).collect();
    step.rows.extend((0..counts.3).map(|_| AnyRow::of(&visit(rng))));
    step.rows.extend((0..counts.4).map(|_| AnyRow::of(&incident(rng))));
    step.rows.extend((0..counts.6).filter(|_| offset.is_multiple_of(3)).map(|_| AnyRow::of(&state(rng))));
    step.streams = (0..counts.5).map(|_| stream(rng, observers)).collect();
    step.retired = if rng.u8(0..30) == 0 { vec![session(0)] } else { vec![] };
    step
}

/// All answers of a view, at many moments.
fn answers(view: &SessionView) -> impl PartialEq + std::fmt::Debug + use<> {
    let orders: Vec<_> = (0..=20).map(|k| Some(END_US / 20 * k)).chain([None]).map(|at| view.order(at)).collect();
    let cars: Vec<_> = (0..40).map(|n| view.car(EntryId(name(n))).cloned()).collect();
    let lasts: Vec<_> = (0..CARS).map(|n| view.last_lap(EntryId(name(n))).cloned()).collect();
    let folds = (view.result(), view.stints(), view.pit_visits(), view.flag_spans(), view.incidents(), view.summaries());
    (view.info().cloned(), view.laps().to_vec(), view.fastest_lap().cloned(), (orders, cars, lasts), folds)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn a_view_that_followed_a_history_equals_a_view_of_the_store(seed: u64, steps in 1u64..60) {
        let rng = &mut Rng::with_seed(seed);
        let (mut store, mut view, mut feed) = (Store::default(), SessionView::new(session(0)), vec![]);
        for offset in 0..steps {
            feed.push(step(rng, offset, 3));
            store.commit(&feed[offset as usize]);
            view.apply(&feed[offset as usize]);
            if rng.u8(0..10) == 0 {
                // The feed was too fast: read the store. Of what it had, the last steps may come (again).
                view = SessionView::new(session(0));
                view.replace(store.info.clone(), store.rows(rng));
                let again = feed.len() - rng.usize(0..=feed.len().min(3));
                feed[again..].iter().for_each(|step| _ = view.apply(step));
            }
        }
        prop_assert_eq!(answers(&view), answers(&store.view(rng)));
    }

    #[test]
    fn the_view_equals_the_functions_called_one_by_one(seed: u64, steps in 1u64..60) {
        let rng = &mut Rng::with_seed(seed);
        let mut store = Store::default();
        // Of three observers one may be alone with a car, which then does not count (`seen.stranger`); these functions do not know that.
        (0..steps).for_each(|offset| store.commit(&step(rng, offset, 2)));
        let (view, rows, info) = (store.view(rng), store.rows(rng), store.info.clone().unwrap());
        for at_us in (0..=20).map(|k| Some(END_US / 20 * k)).chain([None]) {
            let order = store.order(at_us, rng);
            prop_assert_eq!(&view.order(at_us), &order, "at {:?}", at_us);
            prop_assert_eq!(&store.light_view(at_us, rng).order(at_us), &order, "of few rows, at {:?}", at_us);
        }
        let classified = timing::classification(&facts(&info, &rows));
        prop_assert_eq!(view.finish(), timing::finish(&facts(&info, &rows)));
        for at_us in [None, Some(END_US / 3)] {
            prop_assert_eq!(store.light_view(at_us, rng).finish(), view.finish());
        }
        let (visits, incidents) = (timing::pit_visits(&rows.pit_visits), IncidentStep::fold(rows.incidents.clone()));
        let result = view.result();
        prop_assert_eq!(&result.classified, &classified);
        prop_assert_eq!(&view.classification(), &classified);
        prop_assert_eq!(result.digest, timing::digest(&classified, &rows.laps, &visits, &incidents));
        prop_assert_eq!(view.stints(), timing::stints(&rows.laps, &visits));
        prop_assert_eq!(view.flag_spans(), timing::flags_out(timing::flag_spans(&rows.flags, &rows.states, &rows.cars), Ranking::of(&info)));
        prop_assert_eq!(view.pit_visits(), visits);
        let best = |c: &timing::Classified| Some((c.best_lap_us?, rows.laps.iter().find(|l| (l.entry, Some(l.number)) == (c.entry, c.best_lap))?.end_us));
        prop_assert_eq!(view.fastest_lap().map(|l| (l.deciding_us(), l.end_us)), classified.iter().filter_map(best).min());
    }

    #[test]
    fn changes_are_what_changed(seed: u64, steps in 1u64..60) {
        let rng = &mut Rng::with_seed(seed);
        let (mut store, mut view) = (Store::default(), SessionView::new(session(0)));
        let laps = |view: &SessionView| -> BTreeMap<LapKey, Lap> { view.laps().iter().map(|l| ((l.entry, l.number), l.clone())).collect() };
        for offset in 0..steps {
            let step = step(rng, offset, 3);
            store.commit(&step);
            let before = view.clone();
            // Sometimes the step is lost.
            let changes = match rng.u8(0..8) {
                0 => continue,
                1 => view.replace(store.info.clone(), store.rows(rng)),
                _ => view.apply(&step),
            };
            let (old, new) = (laps(&before), laps(&view));
            let keys = |of: &BTreeMap<LapKey, Lap>, without: &BTreeMap<LapKey, Lap>| -> BTreeSet<LapKey> {
                of.keys().filter(|key| !without.contains_key(key)).copied().collect()
            };
            prop_assert_eq!(&changes.new, &keys(&new, &old));
            prop_assert_eq!(&changes.withdrawn, &keys(&old, &new));
            prop_assert!(changes.revised.iter().all(|key| old.contains_key(key) && new.contains_key(key)));
            prop_assert!(old.iter().all(|(key, lap)| new.get(key).is_none_or(|now| now == lap || changes.revised.contains(key))));
            // Who streams, and so what more than half of them show, depends on states and cars.
            prop_assert!(changes.flags || changes.states || changes.cars || changes.description || before.flag_spans() == view.flag_spans());
            prop_assert!(changes.pit_visits || before.pit_visits() == view.pit_visits());
            prop_assert!(changes.incidents || before.incidents() == view.incidents());
            prop_assert!(changes.cars || (0..40).all(|n| before.car(EntryId(name(n))) == view.car(EntryId(name(n)))));
            let (was, is) = (before.info(), view.info());
            prop_assert_eq!(changes.description, was.and_then(|i| i.meta.as_ref()) != is.and_then(|i| i.meta.as_ref()));
            prop_assert_eq!(changes.life, was.map(|i| (i.closed, i.retired)) != is.map(|i| (i.closed, i.retired)));
        }
    }
}

#[test]
fn a_history_has_what_it_is_to_show() {
    // The properties above hold of empty sessions too: these must not be.
    let (mut seen, rng) = (BTreeSet::new(), &mut Rng::with_seed(1));
    for _ in 0..400 {
        let mut store = Store::default();
        let steps = rng.u64(5..60);
        (0..steps).for_each(|offset| store.commit(&step(rng, offset, 3)));
        let (view, info) = (store.view(rng), store.info.clone().unwrap());
        seen.extend((view.order(None).len() > CARS as usize).then_some("cars that only others see"));
        seen.extend((Ranking::of(&info) == Ranking::BestLap).then_some("no race"));
        seen.extend(store.laps.values().any(|l| l.superseded).then_some("superseded laps"));
        seen.extend(view.finish().map(|finish| match (finish.decided_by, finish.winner) {
            (DecidedBy::State, Some(_)) => "the state and a crossing",
            (DecidedBy::State, None) => "the state",
            (DecidedBy::Flag, Some(_)) => "a flag and a crossing",
            (DecidedBy::Flag, None) => "a flag",
            (DecidedBy::LapLimit, _) => "a race of so many laps that ended",
            (DecidedBy::TimeLimit, _) => "a race of so much time that ended",
        }));
        seen.extend(view.counting().filter(|c| c.laps_counted > 0).map(|_| "counted laps"));
    }
    assert_eq!(seen.len(), 10, "{seen:?}");
}

#[test]
fn nothing_is_said_of_a_session_without_a_description() {
    let view = SessionView::new(session(0)).with(Rows { laps: vec![Lap { superseded: false, ..lap(&mut Rng::with_seed(1)) }], ..Rows::default() });
    assert_eq!((view.order(None), view.classification(), view.chequered_us()), (vec![], vec![], None));
    assert_eq!(view.laps().len(), 1);
}
