//! Gaps and intervals against the crossing times that were driven (`gap.leader`, `gap.interval`, `gap.consistent`), the order of past
//! moments (`order.past`), and lap numbers that make no sense.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the answer")]

mod common;

use std::collections::BTreeMap;

use boxbox_race::timing::{self, Moment, Standing};
use boxbox_schemas::meta::{MetaEntry, SessionMeta};
use boxbox_schemas::results::{CarNow, LOOPS, Lap, PitKind, PitVisit, SessionInfo, Tags};
use boxbox_schemas::{DriverId, EntryId, RunId, SessionId, ShortId, TenantId};
use boxbox_sources::synth::{Action, Circuit, Distance, Race, Spec};
use boxbox_testkit::frames::source;
use boxbox_testkit::{laps, rows};
use common::Rig;
use proptest::prelude::*;

const GREEN_US: i64 = 10_000_000;
const S: i64 = 1_000_000;

fn id(n: usize) -> ShortId {
    ShortId::new(&format!("car-{n:02}")).unwrap()
}

fn index(entry: EntryId) -> usize {
    entry.as_str()[4..].parse().unwrap()
}

fn session(kind: &str, cars: usize, classes: u32) -> SessionInfo {
    let entries = (0..cars).map(|n| MetaEntry { slot: n as u16, class_id: 1 + n as u32 % classes, ..Default::default() }).collect();
    let meta = SessionMeta { session_type: kind.into(), entries, ..Default::default() };
    SessionInfo { meta: Some(meta), ..SessionInfo::opened(TenantId(ShortId::new("league").unwrap()), source(1), 0) }
}

fn car(n: usize, sim_time_us: i64) -> CarNow {
    rows::car_now(DriverId(id(n)), n as u16, sim_time_us)
}

fn lap(n: usize, number: u32, start_us: i64, end_us: i64, loops_us: Vec<i64>) -> Lap {
    Lap { slot: n as u16, loops_us, ..laps::lap(SessionId::default(), DriverId(id(n)), RunId([1; 16]), number, start_us, end_us) }
}

/// A car that passes mark m (from 0, the light) at `at[m]` µs.
#[derive(Clone, Debug)]
struct Driven {
    at: Vec<i64>,
    /// Marks whose time no client knows.
    unknown: Vec<bool>,
}

impl Driven {
    /// Laps that were finished, and the last one of which its client knows a part.
    fn laps(&self, n: usize) -> Vec<Lap> {
        let finished = self.at.windows(LOOPS + 1).step_by(LOOPS).enumerate();
        finished.map(|(l, marks)| lap(n, l as u32 + 1, marks[0], marks[LOOPS], self.loops(l, &marks[..LOOPS]))).collect()
    }

    fn loops(&self, lap: usize, marks: &[i64]) -> Vec<i64> {
        (1..marks.len()).map(|k| if self.unknown[lap * LOOPS + k] { -1 } else { marks[k] - marks[0] }).collect()
    }

    /// Where its client shows it at `now_us`; it is heard until then.
    fn car(&self, n: usize, now_us: i64) -> CarNow {
        let passed = self.at.partition_point(|us| *us <= now_us);
        let Some(last) = passed.checked_sub(1) else { return car(n, now_us) };
        let lap = last / LOOPS;
        let marks = &self.at[lap * LOOPS..passed];
        CarNow { lap: lap as u32 + 1, lap_start_us: Some(marks[0]), loops_us: self.loops(lap, marks), ..car(n, now_us) }
    }

    /// The last mark that it passed by `now_us`.
    fn last(&self, now_us: i64) -> usize {
        self.at.partition_point(|us| *us <= now_us) - 1
    }
}

/// Cars that start within a second and drive at changing speeds, some of which stand for a while or for good.
fn field() -> impl Strategy<Value = Vec<Driven>> {
    let driven = (0i64..S, 4_000_000i64..5_000_000, prop::collection::vec((0i64..800_000, 0u16..1_000, any::<bool>()), 130), 0usize..400, 0u8..4);
    let driven = driven.prop_map(|(start, pace, marks, stops_at, unknown)| {
        let mut us = GREEN_US + start;
        let mut driven = Driven { at: vec![us], unknown: vec![false] };
        for (k, (off, event, blank)) in marks.into_iter().enumerate() {
            if k == stops_at {
                break;
            }
            let stands = match event {
                0..8 => 30 * S,
                8..11 => 200 * S,
                _ => 0,
            };
            us += pace + off + stands;
            driven.at.push(us);
            // Every fourth car has a client that loses marks; the line is always known.
            driven.unknown.push(unknown == 0 && blank && event % 2 == 0 && (k + 1) % LOOPS > 0);
        }
        driven
    });
    prop::collection::vec(driven, 2..14)
}

fn laps_at(laps: &[Lap], at_us: i64) -> Vec<Lap> {
    let begun: Vec<_> = laps.iter().filter(|l| l.start_us <= at_us).cloned().collect();
    begun.chunk_by(|a, b| a.entry == b.entry).flat_map(|of| of[of.len().saturating_sub(2)..].to_vec()).collect()
}

/// The order now, with clients that are heard now, and the same moment seen from the end of the race.
fn now_and_later(session: &SessionInfo, field: &[Driven], now_us: i64) -> [Vec<Standing>; 2] {
    let all: Vec<Lap> = field.iter().enumerate().flat_map(|(n, d)| d.laps(n)).collect();
    let end_us = field.iter().flat_map(|d| d.at.last().copied()).max().unwrap().max(now_us) + S;
    let order = |at_us: Option<i64>, recent: Vec<Lap>, cars: Vec<CarNow>| {
        timing::order(&Moment { session, at_us, chequered_us: None, recent: &recent, bests: &[], cars: &cars, pit_visits: &[] })
    };
    let known: Vec<Lap> = all.iter().filter(|l| l.end_us <= now_us).cloned().collect();
    let cars = |us: i64| field.iter().enumerate().map(|(n, d)| d.car(n, us)).collect();
    [order(None, laps_at(&known, now_us), cars(now_us)), order(Some(now_us), laps_at(&all, now_us), cars(end_us))]
}

/// What must hold between the rows of any order of a race.
fn consistent(order: &[Standing]) -> Result<(), String> {
    let mut most: BTreeMap<Option<u32>, (u32, i64)> = BTreeMap::new();
    for s in order {
        let not_more = |a: Option<i64>, b: Option<i64>| a.zip(b).is_none_or(|(a, b)| a <= b);
        let times = [s.interval_us, s.class_interval_us, s.class_gap_us, s.gap_us];
        // Of the first car of a class the values in class are 0.
        let of_class = if s.class_position == 1 { vec![(0, 3)] } else { vec![(0, 1), (1, 2), (2, 3), (0, 3)] };
        for (nearer, farther) in of_class {
            if !not_more(times[nearer], times[farther]) {
                return Err(format!("{times:?} do not rise: {s:?}"));
            }
        }
        for (laps, us) in [
            (s.laps_down, s.gap_us),
            (s.interval_laps, s.interval_us),
            (s.class_laps_down, s.class_gap_us),
            (s.class_interval_laps, s.class_interval_us),
        ] {
            if laps > 0 && us.is_some() || us.is_some_and(|us| us < 0) {
                return Err(format!("{laps} laps and {us:?} µs: {s:?}"));
            }
        }
        if s.interval_laps > s.laps_down || s.class_interval_laps > s.class_laps_down || s.class_laps_down > s.laps_down {
            return Err(format!("laps do not rise: {s:?}"));
        }
        for (class, laps, us) in [(None, s.laps_down, s.gap_us), (Some(s.class_id), s.class_laps_down, s.class_gap_us)] {
            let most = most.entry(class).or_insert((0, 0));
            if laps == 0 && us.is_none() {
                // Nothing is known of it.
                continue;
            }
            if laps < most.0 || us.is_some_and(|us| us < most.1) {
                return Err(format!("nearer than the car ahead ({most:?}): {s:?}"));
            }
            *most = (laps, us.unwrap_or(most.1));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    /// `gap.consistent`: in any field at any moment, whatever clients do not know.
    #[test]
    fn no_car_is_farther_from_the_car_ahead_than_from_the_leader(field in field(), part in 0.0f64..1.0, classes in 1u32..4) {
        let session = session("Race", field.len(), classes);
        let end = field.iter().map(|d| *d.at.last().unwrap()).max().unwrap();
        let now_us = GREEN_US + S + ((end - GREEN_US) as f64 * part) as i64;
        for order in now_and_later(&session, &field, now_us) {
            prop_assert_eq!(order.len(), field.len());
            consistent(&order).map_err(TestCaseError::fail)?;
        }
    }

    /// Times are those that were driven, at the last mark that the car passed; whole laps are those that were driven. A time that is
    /// missing contradicts a nearer car's, or is between two cars that stand.
    #[test]
    fn gaps_are_the_times_that_were_driven(field in field(), part in 0.0f64..1.0, classes in 1u32..4) {
        let field: Vec<Driven> = field.into_iter().map(|d| Driven { unknown: vec![false; d.at.len()], ..d }).collect();
        let session = session("Race", field.len(), classes);
        let end = field.iter().map(|d| *d.at.last().unwrap()).max().unwrap();
        let now_us = GREEN_US + S + ((end - GREEN_US) as f64 * part) as i64;
        for order in now_and_later(&session, &field, now_us) {
            let place = |s: &Standing| { let d = &field[index(s.entry)]; let m = d.last(now_us); (std::cmp::Reverse(m), d.at[m]) };
            prop_assert!(order.windows(2).all(|w| place(&w[0]) <= place(&w[1])));
            for (n, s) in order.iter().enumerate().skip(1) {
                let own = &field[index(s.entry)];
                let mark = own.last(now_us);
                let stands = |d: &Driven| now_us - d.at[d.last(now_us)] > 60 * S;
                let truth = |ahead: &Standing| {
                    let ahead = &field[index(ahead.entry)];
                    let (theirs, us) = (ahead.last(now_us), own.at[mark]);
                    // The lead in whole laps: how often the other car has been here before.
                    let laps = (1..).take_while(|m| { let there = mark + m * LOOPS; there < theirs || there == theirs && ahead.at[there] <= us }).count();
                    let next = ahead.at.get(mark + 1).filter(|at| **at <= now_us).map_or(0, |at| now_us - at);
                    (laps as u32, (us - ahead.at[mark]).max(next), stands(own) && stands(ahead))
                };
                let in_class: Vec<&Standing> = order[..n].iter().filter(|o| o.class_id == s.class_id).collect();
                let (interval, gap) = (truth(&order[n - 1]), truth(&order[0]));
                prop_assert_eq!((s.interval_laps, s.laps_down), (interval.0, gap.0));
                let is = |told: Option<i64>, (laps, us, stand): (u32, i64, bool), nearer: Option<i64>| match told {
                    Some(told) => told == us && laps == 0,
                    None => laps > 0 || stand || nearer.is_some_and(|nearer| us < nearer) || us < 0,
                };
                prop_assert!(is(s.interval_us, interval, None), "{:?} {:?}", interval, s);
                let before = order[..n].iter().filter_map(|o| o.gap_us).max();
                let nearest = [s.interval_us, s.class_interval_us, s.class_gap_us].into_iter().flatten().chain(before).max();
                prop_assert!(is(s.gap_us, gap, nearest), "{:?} {:?}", gap, s);
                if let (Some(ahead), Some(first)) = (in_class.last(), in_class.first()) {
                    let (interval, gap) = (truth(ahead), truth(first));
                    prop_assert_eq!((s.class_interval_laps, s.class_laps_down), (interval.0, gap.0));
                    prop_assert!(is(s.class_interval_us, interval, s.interval_us), "{:?} {:?}", interval, s);
                    let before = in_class.iter().filter_map(|o| o.class_gap_us).max();
                    let nearest = [s.interval_us, s.class_interval_us].into_iter().flatten().chain(before).max();
                    prop_assert!(is(s.class_gap_us, gap, nearest), "{:?} {:?}", gap, s);
                }
            }
        }
    }

    /// Numbers and times that no race has cost no time and make no panic.
    #[test]
    fn numbers_that_make_no_sense_cost_nothing(
        rows in prop::collection::vec((0usize..8, prop_oneof![Just(0u32), Just(u32::MAX), any::<u32>(), 1u32..4],
            prop_oneof![Just(i64::MIN), Just(i64::MAX), any::<i64>(), 0i64..100 * S], any::<i64>(), 0usize..60), 1..40),
        at_us in prop_oneof![Just(None), any::<i64>().prop_map(Some)], flag in prop_oneof![Just(None), any::<i64>().prop_map(Some)],
    ) {
        let session = session("Race", 8, 2);
        let (mut laps, mut cars): (Vec<Lap>, Vec<CarNow>) = (vec![], vec![]);
        for (n, number, start_us, us, loops) in rows {
            let loops_us = vec![us; loops];
            if loops % 2 == 0 {
                laps.push(Lap { start_us, end_us: us, time_us: us, ..lap(n, number, 0, S, loops_us) });
            } else {
                cars.push(CarNow { lap: number, lap_start_us: Some(start_us), loops_us, ..car(n, us) });
            }
        }
        let began = std::time::Instant::now();
        let order = timing::order(&Moment { session: &session, at_us, chequered_us: flag, recent: &laps, bests: &laps, cars: &cars, pit_visits: &[] });
        prop_assert!(consistent(&order).is_ok(), "{:?}", order);
        prop_assert!(began.elapsed().as_millis() < 100);
    }
}

/// The laps and visits of a race, as each car's own client tells them.
fn facts(race: &Race) -> (Vec<Lap>, Vec<PitVisit>) {
    let (mut laps, mut visits) = (vec![], vec![]);
    for (n, driven) in race.cars().iter().enumerate() {
        let mut rig = Rig::new(&race.meta(n));
        (rig.ctx.driver, rig.ctx.slot) = (driven.drivers[0].driver, n as u16);
        for action in race.script(n, 20) {
            match action {
                Action::Frame(frame) => rig.frame(&frame),
                Action::Event(code, tick, us) => rig.event(code, tick, us),
                _ => {}
            }
        }
        rig.end();
        laps.extend(rig.laps());
        visits.extend(rig.visits());
    }
    (laps, visits)
}

/// `gap.consistent` and `order.past` over whole synthetic races with stops, spins, tows and retirements: every moment, every pair.
#[test]
fn every_moment_of_synthetic_races_is_consistent() {
    let (mut pairs, mut measured, mut in_pits) = (0, 0, 0);
    for seed in 0..6 {
        let race = Race::new(&Spec { cars: 12, distance: Distance::Laps(5), circuit: Circuit::new("Ring", 1_400.0, 3), ..Spec::new(seed) });
        let (laps, visits) = facts(&race);
        let truth = race.truth();
        let meta = Some(race.meta(0));
        let session = SessionInfo { meta, ..SessionInfo::opened(TenantId::new("t").unwrap(), source(1), 0) };
        let (from, until) = (truth.green_us.unwrap(), truth.chequered_us.unwrap());
        for at_us in (from..until).step_by(1_700_000) {
            let recent = laps_at(&laps, at_us);
            let moment =
                Moment { session: &session, at_us: Some(at_us), chequered_us: None, recent: &recent, bests: &[], cars: &[], pit_visits: &visits };
            let order = timing::order(&moment);
            consistent(&order).unwrap();
            pairs += order.len() - 1;
            measured += order.iter().skip(1).filter(|s| s.laps_down > 0 || s.gap_us.is_some()).count();
            for s in &order {
                let car = truth.cars.iter().find(|c| c.entry == s.entry).unwrap();
                let near = |us: i64| (us - at_us).abs() < 60_000;
                if car.visits.iter().any(|v| near(v.enter_us) || v.exit_us.is_some_and(near)) || car.visits.iter().any(|v| v.exit_us.is_none()) {
                    continue;
                }
                let there = car.visits.iter().any(|v| v.enter_us <= at_us && v.exit_us.is_none_or(|exit| at_us < exit));
                // A car that never comes in says nothing about pits without its client.
                assert!(s.in_pits == Some(there) || s.in_pits.is_none() && !there && car.visits.is_empty(), "seed {seed} at {at_us}: {s:?}");
                in_pits += usize::from(there);
            }
        }
    }
    println!("{measured} of {pairs} gaps known, {in_pits} rows in the pits");
    assert!(pairs > 2_000 && measured * 100 > pairs * 95 && in_pits > 20, "{measured} of {pairs}, {in_pits}");
}

/// `gap.stands`: between two cars that stand since lap 1 there is no time, however long they stand, now and from later.
#[test]
fn between_two_cars_that_stand_there_is_no_time() {
    let even = |count: i64, us: i64| Driven { at: (0..=count).map(|m| GREEN_US + m * us).collect(), unknown: vec![false; count as usize + 1] };
    let field = [even(140, 4_500_000), even(7, 4_600_000), even(5, 4_700_000)];
    let session = session("Race", 3, 1);
    let table = |now_us| {
        now_and_later(&session, &field, now_us).map(|order| order.iter().map(|s| (index(s.entry), s.laps_down, s.interval_us)).collect::<Vec<_>>())
    };
    // While they drive, and just after they stopped, there is one.
    let driving = table(GREEN_US + 22 * S);
    assert!(driving.iter().all(|rows| rows.iter().all(|(.., us)| us.is_some())), "{driving:?}");
    for rows in table(GREEN_US + 630 * S) {
        assert_eq!(rows, [(0, 0, Some(0)), (1, 6, None), (2, 6, None)]);
    }
    // A red flag: no car moves, and nothing is measured.
    let field = field.map(|d| Driven { at: d.at[..6].to_vec(), ..d });
    assert!(now_and_later(&session, &field, GREEN_US + 300 * S).iter().flatten().skip(1).all(|s| s.position == 1 || s.interval_us.is_none()));
}

/// `gap.silent`: where a car is whose client was lost is not known; the cars around it keep their gaps.
#[test]
fn a_car_that_is_not_heard_has_no_gap() {
    let even = |us: i64| Driven { at: (0..60).map(|m| GREEN_US + m * us).collect(), unknown: vec![false; 60] };
    let field = [even(4_500_000), even(4_510_000), even(4_520_000)];
    let (session, now_us) = (session("Race", 3, 1), GREEN_US + 150 * S);
    let laps: Vec<Lap> = field.iter().enumerate().flat_map(|(n, d)| d.laps(n)).filter(|l| l.end_us <= now_us).collect();
    let gaps = |heard_us: i64| {
        let cars = [field[0].car(0, now_us), field[1].car(1, heard_us), field[2].car(2, now_us)];
        let order =
            timing::order(&Moment { session: &session, at_us: None, chequered_us: None, recent: &laps, bests: &[], cars: &cars, pit_visits: &[] });
        order.iter().map(|s| (index(s.entry), s.gap_us.is_some())).collect::<Vec<_>>()
    };
    assert_eq!(gaps(now_us - S), [(0, true), (1, true), (2, true)]);
    assert_eq!(gaps(now_us - 15 * S), [(0, true), (2, true), (1, false)]);
}

fn visit(n: usize, kind: PitKind, enter_us: i64, exit_us: Option<i64>) -> PitVisit {
    let visit = rows::visit(DriverId(id(n)), 0, kind, enter_us);
    PitVisit { entry: EntryId(id(0)), run: RunId([n as u8 + 1; 16]), tick: (enter_us / S) as u32, exit_us, stationary_us: 20 * S, ..visit }
}

/// `order.past`: the driver who drove then, and whether the car was in the pits: over a stop in which the second driver takes over.
#[test]
fn a_past_moment_says_who_drove_and_who_was_in_the_pits() {
    let by = |n: usize, number: u32, from: i64, until: i64, tags: Tags| Lap {
        entry: EntryId(id(0)),
        driver: DriverId(id(n)),
        tags,
        ..lap(0, number, from * S, until * S, vec![])
    };
    // Driver 0 comes in at 180 s, driver 1 takes over in the stall at 200 s and leaves at 230 s.
    let laps = [by(0, 1, 10, 100, Tags::FIRST_LAP), by(1, 2, 100, 240, Tags::DRIVER_SWAP), by(1, 3, 240, 330, Tags(0))];
    let visits = [visit(0, PitKind::STOP, 180 * S, None), visit(1, PitKind::START, 200 * S, Some(230 * S))];
    let session = session("Race", 1, 1);
    let cars = [CarNow { entry: EntryId(id(0)), driver: DriverId(id(1)), ..car(1, 400 * S) }];
    for (s, driver, in_pits) in [(50, 0, false), (150, 0, false), (190, 0, true), (210, 1, true), (235, 1, false), (300, 1, false)] {
        let recent = laps_at(&laps, s * S);
        let at_us = Some(s * S);
        let order =
            timing::order(&Moment { session: &session, at_us, chequered_us: None, recent: &recent, bests: &[], cars: &cars, pit_visits: &visits });
        assert_eq!((order[0].driver, order[0].in_pits), (DriverId(id(driver)), Some(in_pits)), "at {s} s");
    }
    // Without visits and without a client's word nothing is known.
    let recent = laps_at(&laps, 50 * S);
    let order = timing::order(&Moment {
        session: &session,
        at_us: Some(50 * S),
        chequered_us: None,
        recent: &recent,
        bests: &[],
        cars: &[],
        pit_visits: &[],
    });
    assert_eq!(order[0].in_pits, None);
}

/// `order.laps`: in practice the laps of a car are one number, also after a lap that was broken off.
#[test]
fn laps_in_practice_are_one_number() {
    let session = session("Practice", 1, 1);
    // Laps 1 to 3 before the client came, 4 and 5 driven, 6 broken off, 7 under way.
    let laps = [lap(0, 4, 10 * S, 100 * S, vec![]), lap(0, 5, 100 * S, 191 * S, vec![])];
    let cars = [CarNow { lap: 7, lap_start_us: Some(300 * S), ..car(0, 320 * S) }];
    let order =
        timing::order(&Moment { session: &session, at_us: None, chequered_us: None, recent: &laps, bests: &laps, cars: &cars, pit_visits: &[] });
    let facts = timing::Facts { cars: &cars, ..timing::Facts::of(&session, &laps) };
    let (summaries, results) = (timing::summaries(&facts), timing::classification(&facts));
    assert_eq!((order[0].laps, results[0].laps, summaries[0].laps, summaries[0].known_laps), (5, 5, 5, 2));
}
