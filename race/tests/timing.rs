//! Order, gaps, classification, stints, visits and flags of a race whose true values come from a formula.

#![allow(clippy::unwrap_used)] // Unwrapping is how a test says what must be.

use boxbox_race::timing::{self, Facts, Moment};
use boxbox_schemas::frame::Flags;
use boxbox_schemas::meta::{MetaEntry, SessionMeta};
use boxbox_schemas::results::{CarNow, FlagChange, LOOPS, Lap, PitEnds, PitKind, PitMoment, PitVisit, Reasons, SessionInfo, Tags};
use boxbox_schemas::{DriverId, EntryId, RunId, SessionId, ShortId, TenantId};
use boxbox_testkit::frames::source;
use boxbox_testkit::{laps, rows};
use proptest::prelude::*;

const LAPS: u32 = 6;
const GREEN_US: i64 = 10_000_000;

fn id(n: usize) -> ShortId {
    ShortId::new(&format!("car-{n:02}")).unwrap()
}

fn session(kind: &str, laps_limit: u32, cars: usize) -> SessionInfo {
    let tenant = TenantId(ShortId::new("league").unwrap());
    let entries = (0..cars).map(|n| MetaEntry { slot: n as u16, class_id: 1 + n as u32 % 2, ..Default::default() }).collect();
    SessionInfo {
        meta: Some(SessionMeta { session_type: kind.into(), laps_limit, entries, ..Default::default() }),
        ..SessionInfo::opened(tenant, source(1), 0)
    }
}

fn lap(entry: usize, number: u32, start_us: i64, time_us: i64) -> Lap {
    let driver = DriverId(id(entry));
    Lap {
        slot: entry as u16,
        sectors_us: vec![time_us / 3, time_us - time_us / 3],
        // Even speed within a lap: mini-loops are where the formula below says.
        loops_us: (1..LOOPS as i64).map(|k| time_us * k / LOOPS as i64).collect(),
        tags: if number == 1 { Tags::FIRST_LAP } else { Tags(0) },
        ..laps::lap(SessionId::default(), driver, RunId([1; 16]), number, start_us, start_us + time_us)
    }
}

/// Cars that all start at green and drive these laps, µs.
fn race(times: &[Vec<i64>]) -> Vec<Lap> {
    let mut laps = vec![];
    for (car, times) in times.iter().enumerate() {
        let mut start = GREEN_US;
        for (n, time) in times.iter().enumerate() {
            laps.push(lap(car, n as u32 + 1, start, *time));
            start += time;
        }
    }
    laps
}

/// Mini-loops passed by `at_us`, and when the last one was: the truth for even speed.
fn marks(times: &[i64], at_us: i64) -> Option<(i64, i64)> {
    let mut best = None;
    let mut start = GREEN_US;
    for (n, time) in times.iter().enumerate() {
        for k in 0..=LOOPS as i64 {
            let us = if k == LOOPS as i64 { start + time } else { start + time * k / LOOPS as i64 };
            if us <= at_us {
                best = Some((n as i64 * LOOPS as i64 + k, us));
            }
        }
        start += time;
    }
    best
}

fn when(times: &[i64], mark: i64) -> Option<i64> {
    let (n, k) = (mark / LOOPS as i64, mark % LOOPS as i64);
    let start = GREEN_US + times.iter().take(n as usize).sum::<i64>();
    match times.get(n as usize) {
        Some(time) => Some(start + time * k / LOOPS as i64),
        None => (k == 0 && n as usize == times.len()).then_some(start),
    }
}

/// The laps that a store returns for the moment: the last two of each entry that had begun.
fn laps_at(laps: &[Lap], at_us: i64) -> Vec<Lap> {
    let begun: Vec<_> = laps.iter().filter(|l| l.start_us <= at_us).cloned().collect();
    begun.chunk_by(|a, b| a.entry == b.entry).flat_map(|of| of[of.len().saturating_sub(2)..].to_vec()).collect()
}

fn lap_times() -> impl Strategy<Value = Vec<Vec<i64>>> {
    prop::collection::vec(prop::collection::vec(80_000_000i64..140_000_000, LAPS as usize), 2..8)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn order_and_gaps_are_those_of_the_crossing_times(times in lap_times(), part in 0.0f64..1.0) {
        let session = session("Race", 0, times.len());
        let laps = race(&times);
        // While all cars still drive.
        let end = laps.iter().filter(|l| l.number == LAPS).map(|l| l.end_us).min().unwrap();
        let at_us = GREEN_US + ((end - GREEN_US) as f64 * part) as i64;
        let recent = laps_at(&laps, at_us);
        let order = timing::order(&Moment { session: &session, at_us: Some(at_us), chequered_us: None, recent: &recent, bests: &laps, cars: &[], pit_visits: &[] });
        prop_assert_eq!(order.len(), times.len());
        let of = |entry: EntryId| times.iter().enumerate().find(|(n, _)| EntryId(id(*n)) == entry).unwrap().1;
        let place = |entry: EntryId| marks(of(entry), at_us).map(|(mark, us)| (std::cmp::Reverse(mark), us)).unwrap();
        prop_assert!(order.windows(2).all(|w| place(w[0].entry) <= place(w[1].entry)), "{:?}", order);
        for (n, standing) in order.iter().enumerate() {
            prop_assert_eq!(standing.position as usize, n + 1);
            let (mark, us) = marks(of(standing.entry), at_us).unwrap();
            prop_assert_eq!(i64::from(standing.laps), mark / LOOPS as i64);
            let leader = of(order[0].entry);
            let mut down = 0;
            let lapped = |there: i64| when(leader, there).is_some_and(|theirs| theirs <= us) || when(leader, there + 1).is_some_and(|theirs| theirs <= at_us);
            while lapped(mark + (down + 1) * LOOPS as i64) {
                down += 1;
            }
            prop_assert_eq!(i64::from(standing.laps_down), down);
            if down == 0 {
                // The gap at its last point, at least the time since the leader passed the next one; `gaps` holds when it is not told.
                let next = when(leader, mark + 1).filter(|theirs| *theirs <= at_us).map_or(0, |theirs| at_us - theirs);
                let gap = when(leader, mark).map_or(0, |theirs| us - theirs).max(next);
                prop_assert!(standing.gap_us.is_none_or(|us| us == if n == 0 { 0 } else { gap }), "{gap}: {standing:?}");
                let nearer = [standing.interval_us, standing.class_interval_us, standing.class_gap_us].into_iter().flatten();
                let most = nearer.chain(order[..n].iter().filter_map(|s| s.gap_us)).max();
                prop_assert!(standing.gap_us.is_some() || most.is_some_and(|us| us > gap), "{gap}: {standing:?}");
            } else {
                prop_assert_eq!(standing.gap_us, None);
            }
            let best = laps.iter().filter(|l| l.entry == standing.entry && l.end_us <= at_us).map(|l| l.time_us).min();
            prop_assert_eq!(standing.best_lap_us, best);
        }
        for class in [1, 2] {
            let places: Vec<_> = order.iter().filter(|s| s.class_id == class).map(|s| s.class_position).collect();
            prop_assert_eq!(&places, &(1..=places.len() as u32).collect::<Vec<_>>());
        }
    }

    #[test]
    fn rows_in_any_order_give_the_same(times in lap_times(), seed: u64, part in 0.0f64..1.0) {
        let session = session("Race", LAPS, times.len());
        let laps = race(&times);
        let mut shuffled = laps.clone();
        fastrand::Rng::with_seed(seed).shuffle(&mut shuffled);
        let (rows, same) = (timing::classification(&Facts::of(&session, &laps)), timing::classification(&Facts::of(&session, &shuffled)));
        prop_assert_eq!(&rows, &same);
        prop_assert_eq!(timing::digest(&rows, &laps, &[], &[]), timing::digest(&same, &shuffled, &[], &[]));
        let at_us = Some(GREEN_US + (600_000_000.0 * part) as i64);
        let order = |laps: &[Lap]| timing::order(&Moment { session: &session, at_us, chequered_us: None, recent: laps, bests: laps, cars: &[], pit_visits: &[] });
        prop_assert_eq!(order(&laps), order(&shuffled));
        prop_assert_eq!(timing::stints(&laps, &[]), timing::stints(&shuffled, &[]));
    }

    /// The winner is the first to complete the distance; the others end with the lap that they are in then.
    #[test]
    fn classification_is_by_laps_then_by_the_finishing_crossing(times in lap_times()) {
        let session = session("Race", LAPS, times.len());
        let laps = race(&times);
        let rows = timing::classification(&Facts::of(&session, &laps));
        let flag = laps.iter().filter(|l| l.number == LAPS).map(|l| l.end_us).min().unwrap();
        prop_assert_eq!(timing::chequered_us(&Facts::of(&session, &laps)), Some(flag));
        for row in &rows {
            let own = laps.iter().filter(|l| l.entry == row.entry);
            let last = own.filter(|l| l.start_us < flag).max_by_key(|l| l.number).unwrap();
            prop_assert_eq!((row.laps, row.finish_us, row.finished), (last.number, Some(last.end_us), true));
            prop_assert_eq!(row.total_us, Some(last.end_us - GREEN_US));
        }
        prop_assert!(rows.windows(2).all(|w| (w[1].laps, w[0].finish_us) <= (w[0].laps, w[1].finish_us)));
        // The flag alone gives the same, shown at the winner's crossing or a little later.
        let shown = FlagChange { sim_time_us: flag + 120_000, to: Flags::CHECKERED, ..flags(0, 0, Flags(0)) };
        let unlimited = SessionInfo { meta: session.meta.clone().map(|m| SessionMeta { laps_limit: 0, ..m }), ..session.clone() };
        prop_assert_eq!(timing::classification(&Facts { flags: &[shown], ..Facts::of(&unlimited, &laps) }), rows);
    }

    #[test]
    fn a_change_of_any_result_changes_the_digest(times in lap_times(), pick: prop::sample::Index, what in 0..6) {
        let laps = race(&times);
        let mut other = laps.clone();
        let lap = pick.get(&other).clone();
        let changed = other.iter_mut().find(|l| (l.entry, l.number) == (lap.entry, lap.number)).unwrap();
        match what {
            0 => changed.end_us += 1,
            1 => changed.reasons = Reasons::OFF_TRACK,
            2 => changed.sectors_us[0] += 1,
            3 => changed.loops_us[7] += 1,
            4 => changed.fuel_used_l = Some(1.5),
            _ => changed.tags = changed.tags.with(Tags::HAD_YELLOW),
        }
        let digest = |laps: &[Lap]| timing::digest(&[], laps, &[], &[]);
        prop_assert_ne!(digest(&laps), digest(&other));
        let told_by_another: Vec<_> =
            laps.iter().map(|l| Lap { run: RunId([9; 16]), revision: 7, frames: 3, tags: l.tags.with(Tags::RESUMED), ..l.clone() }).collect();
        prop_assert_eq!(digest(&laps), digest(&told_by_another));
    }

    /// Several streams see the same visits, a few ms apart, some without the exit: each visit is there once.
    #[test]
    fn each_visit_once(count in 1usize..5, tellers in 1u8..4, jitter in prop::collection::vec(-8_000i64..8_000, 30), seed: u64) {
        let mut seen = vec![];
        for n in 0..count {
            let enter = 100_000_000 * (n as i64 + 1);
            for t in 0..tellers {
                let off = jitter[(n * 3 + usize::from(t)) % jitter.len()];
                let exit_us = (t == 0 || off > 0).then_some(enter + 30_000_000 + off);
                seen.push(PitVisit { exit_us, field: t > 0, run: RunId([t; 16]), ..visit(0, enter + off) });
            }
        }
        fastrand::Rng::with_seed(seed).shuffle(&mut seen);
        let visits = timing::pit_visits(&seen);
        prop_assert_eq!(visits.len(), count);
        prop_assert!(visits.iter().all(|v| !v.field && v.exit_us.is_some()));
    }
}

fn visit(entry: usize, enter_us: i64) -> PitVisit {
    rows::visit(DriverId(id(entry)), entry as u16, PitKind::STOP, enter_us)
}

fn flags(entry: usize, sim_time_us: i64, to: Flags) -> FlagChange {
    FlagChange {
        session: SessionId::default(),
        entry: EntryId(id(entry)),
        driver: DriverId(id(entry)),
        run: RunId([1; 16]),
        timeline: 0,
        tick: sim_time_us as u32,
        sim_time_us,
        from: Flags(0),
        to,
        superseded: false,
        late: false,
    }
}

fn car(entry: usize, lap: u32, lap_pct: f64, sim_time_us: i64) -> CarNow {
    let lap_start_us = (lap > 0).then_some(GREEN_US);
    CarNow { lap, lap_start_us, lap_pct: Some(lap_pct), ..rows::car_now(DriverId(id(entry)), entry as u16, sim_time_us) }
}

#[test]
fn on_the_grid_the_fraction_of_the_lap_decides() {
    let session = session("Race", LAPS, 4);
    // Behind the line by 30, 10 and 20 m of 1000 m; one car stands just beyond it.
    let cars = [car(0, 0, 0.97, 5), car(1, 0, 0.99, 5), car(2, 0, 0.98, 5), car(3, 0, 0.001, 5)];
    let order = timing::order(&Moment { session: &session, at_us: None, chequered_us: None, recent: &[], bests: &[], cars: &cars, pit_visits: &[] });
    assert_eq!(order.iter().map(|s| s.entry.as_str().to_owned()).collect::<Vec<_>>(), ["car-03", "car-01", "car-02", "car-00"]);
    assert!(order.iter().skip(1).all(|s| s.gap_us.is_none() && s.laps_down == 0 && s.laps == 0));
}

/// A lap that no car has finished is known from where cars are.
#[test]
fn the_open_lap_counts() {
    let session = session("Race", LAPS, 2);
    let loops = |times: &[i64]| times.iter().map(|s| s * 1_000_000).collect::<Vec<_>>();
    let cars = [
        CarNow { loops_us: loops(&[5, 10, 16]), ..car(0, 1, 0.16, 30_000_000) },
        CarNow { loops_us: loops(&[4, 9, 15, 20]), ..car(1, 1, 0.22, 30_000_000) },
    ];
    let order = timing::order(&Moment { session: &session, at_us: None, chequered_us: None, recent: &[], bests: &[], cars: &cars, pit_visits: &[] });
    assert_eq!(
        order.iter().map(|s| (s.entry.as_str(), s.gap_us, s.lap_pct)).collect::<Vec<_>>(),
        [("car-01", Some(0), Some(0.22)), ("car-00", Some(1_000_000), Some(0.16))]
    );
}

#[test]
fn practice_is_by_best_lap_the_first_of_equal_ones_ahead() {
    let session = session("Practice", 0, 3);
    let mut laps = race(&[vec![100_000_000, 90_000_000], vec![90_000_000, 95_000_000], vec![80_000_000, 99_000_000]]);
    // The fastest lap of all does not count.
    laps.iter_mut().find(|l| l.time_us == 80_000_000).unwrap().reasons = Reasons::OFF_TRACK;
    let rows = timing::classification(&Facts::of(&session, &laps));
    let table: Vec<_> = rows.iter().map(|r| (r.entry.as_str(), r.best_lap_us, r.gap_us)).collect();
    assert_eq!(table, [("car-01", Some(90_000_000), Some(0)), ("car-00", Some(90_000_000), Some(0)), ("car-02", Some(99_000_000), Some(9_000_000))]);
    let order =
        timing::order(&Moment { session: &session, at_us: None, chequered_us: None, recent: &laps, bests: &laps, cars: &[], pit_visits: &[] });
    assert_eq!(order.iter().map(|s| s.entry).collect::<Vec<_>>(), rows.iter().map(|r| r.entry).collect::<Vec<_>>());
}

/// Of equally many laps the earlier last crossing is ahead, whether the car took the flag or retired.
#[test]
fn who_retires_ranks_by_laps_and_crossing() {
    let session = session("Race", 3, 3);
    let laps = race(&[vec![100_000_000; 3], vec![130_000_000, 130_000_000, 130_000_000], vec![101_000_000, 101_000_000]]);
    let rows = timing::classification(&Facts::of(&session, &laps));
    let table: Vec<_> = rows.iter().map(|r| (r.entry.as_str(), r.laps, r.finished, r.laps_down)).collect();
    assert_eq!(table, [("car-00", 3, true, 0), ("car-01", 3, true, 0), ("car-02", 2, false, 1)]);
    let slower = race(&[vec![100_000_000; 3], vec![160_000_000, 160_000_000], vec![101_000_000, 101_000_000]]);
    let rows = timing::classification(&Facts::of(&session, &slower));
    assert_eq!(rows.iter().map(|r| (r.entry.as_str(), r.finished)).collect::<Vec<_>>(), [("car-00", true), ("car-02", false), ("car-01", true)]);
}

/// Laps after the flag change nothing.
#[test]
fn cool_down_laps_do_not_count() {
    let session = session("Race", 2, 2);
    let laps = race(&[vec![100_000_000, 100_000_000, 200_000_000], vec![101_000_000, 101_000_000, 90_000_000, 90_000_000]]);
    let rows = timing::classification(&Facts::of(&session, &laps));
    assert_eq!(
        rows.iter().map(|r| (r.entry.as_str(), r.laps, r.gap_us, r.best_lap_us)).collect::<Vec<_>>(),
        [("car-00", 2, Some(0), Some(100_000_000)), ("car-01", 2, Some(2_000_000), Some(101_000_000))]
    );
    let chequered_us = timing::chequered_us(&Facts::of(&session, &laps));
    let recent: Vec<_> = laps.iter().filter(|l| l.start_us < chequered_us.unwrap()).cloned().collect();
    let cooling = CarNow { lap_start_us: Some(800_000_000), ..car(1, 5, 0.5, 900_000_000) };
    let order =
        timing::order(&Moment { session: &session, at_us: None, chequered_us, recent: &recent, bests: &[], cars: &[cooling], pit_visits: &[] });
    assert_eq!(
        order.iter().map(|s| (s.entry.as_str(), s.finished, s.laps, s.gap_us)).collect::<Vec<_>>(),
        [("car-00", true, 2, Some(0)), ("car-01", true, 2, Some(2_000_000))]
    );
}

#[test]
fn stints_break_at_stops_and_at_drivers() {
    let mut laps = race(&[vec![100_000_000; 6]]);
    laps[4].driver = DriverId(id(7));
    laps[5].driver = DriverId(id(7));
    for lap in &mut laps {
        lap.fuel_used_l = Some(2.0);
    }
    // In at the end of lap 2, out in lap 3.
    let stop = PitVisit { tyres_changed: Some(true), exit_us: Some(GREEN_US + 220_000_000), ..visit(0, GREEN_US + 190_000_000) };
    let through = PitVisit { kind: PitKind::DRIVE_THROUGH, ..visit(0, GREEN_US + 350_000_000) };
    let stints = timing::stints(&laps, &[stop, through]);
    let table: Vec<_> = stints.iter().map(|s| (s.number, s.driver, s.first_lap, s.last_lap, s.new_tyres, s.fuel_used_l)).collect();
    let (first, second) = (DriverId(id(0)), DriverId(id(7)));
    assert_eq!(table, [(1, first, 1, 2, None, Some(4.0)), (2, first, 3, 4, Some(true), Some(4.0)), (3, second, 5, 6, None, Some(4.0))]);
}

#[test]
fn a_flag_of_the_course_is_out_while_more_than_half_of_the_clients_see_it() {
    let (yellow, none, s) = (Flags::YELLOW, Flags(0), 1_000_000);
    // Three clients of which the last one hangs with the flag out, and one that has left with it.
    let changes = [
        (0, 10, yellow),
        (0, 50, none),
        (1, 12, yellow),
        (1, 60, none),
        (2, 0, Flags::GREEN),
        (2, 30, yellow),
        (3, 5, yellow),
        (0, 90, yellow),
        (1, 91, yellow),
    ];
    let changes = changes.map(|(car, at, to)| flags(car, at * s, to));
    let cars = [(0, 100), (1, 99), (2, 100), (3, 8)].map(|(n, at)| car(n, 1, 0.5, at * s));
    let spans: Vec<_> = timing::flag_spans(&changes, &[], &cars).into_iter().map(|f| (f.flag, f.from_us / s, f.until_us.map(|us| us / s))).collect();
    // At 10 and at 12 client 2 shows no yellow: one and two of three. From 50 on it is one of three, of which two are needed.
    assert_eq!(spans.into_iter().filter(|f| f.0 == yellow).collect::<Vec<_>>(), [(yellow, 12, Some(60)), (yellow, 90, None)]);
}

#[test]
fn a_cars_own_flags_are_its_own() {
    let changes = [flags(0, 10, Flags::BLUE), flags(0, 20, Flags(0)), flags(1, 15, Flags::BLUE), flags(1, 17, Flags::BLUE.with(Flags::BLACK))];
    let spans: Vec<_> =
        timing::flag_spans(&changes, &[], &[]).into_iter().map(|s| (s.flag, s.entry.unwrap().as_str().to_owned(), s.from_us, s.until_us)).collect();
    assert_eq!(
        spans,
        [(Flags::BLUE, "car-00".into(), 10, Some(20)), (Flags::BLUE, "car-01".into(), 15, None), (Flags::BLACK, "car-01".into(), 17, None)]
    );
}

#[test]
fn the_theoretical_best_is_made_of_valid_sectors() {
    let mut laps = race(&[vec![90_000_000; 3]]);
    for (lap, sectors) in laps.iter_mut().zip([[30, 60], [35, 55], [20, 70]]) {
        lap.sectors_us = sectors.iter().map(|s| s * 1_000_000).collect();
    }
    laps[2].reasons = Reasons::OFF_TRACK;
    laps[0].fuel_used_l = Some(2.5);
    let cars = [CarNow { fuel_l: Some(10.0), ..car(0, 4, 0.5, 1) }];
    let summaries = timing::summaries(&Facts { cars: &cars, ..Facts::of(&session("Practice", 0, 1), &laps) });
    let s = &summaries[0];
    assert_eq!(
        (s.theoretical_best_us, s.best_sectors_us.clone(), s.best_sectors_lap.clone()),
        (Some(85_000_000), vec![30_000_000, 55_000_000], vec![1, 2])
    );
    assert_eq!((s.laps, s.valid_laps, s.best_lap, s.fuel_per_lap_l, s.fuel_laps_left), (3, 2, Some(1), Some(2.5), Some(4.0)));
}

/// The gap of a car that stands grows, even if it was ahead at the last point that it passed; no gap is negative.
#[test]
fn a_car_that_stands_falls_back() {
    let session = session("Race", LAPS, 2);
    let loops = |times: &[i64]| times.iter().map(|s| s * 1_000_000).collect::<Vec<_>>();
    let now_us = GREEN_US + 60_000_000;
    let cars = [
        CarNow { loops_us: loops(&[5, 10, 15]), ..car(0, 1, 0.16, now_us) },
        CarNow { loops_us: loops(&[6, 11, 16, 20, 25]), ..car(1, 1, 0.3, now_us) },
    ];
    let order = timing::order(&Moment { session: &session, at_us: None, chequered_us: None, recent: &[], bests: &[], cars: &cars, pit_visits: &[] });
    let table: Vec<_> = order.iter().map(|s| (s.entry.as_str(), s.gap_us, s.interval_us)).collect();
    assert_eq!(table, [("car-01", Some(0), Some(0)), ("car-00", Some(40_000_000), Some(40_000_000))]);
}

/// At a moment without any data there is no order; between the light and the first point, the next point decides.
#[test]
fn what_is_not_known_has_no_order() {
    let session = session("Race", LAPS, 2);
    let laps = race(&[vec![100_000_000], vec![90_000_000]]);
    let later = CarNow { lap_start_us: Some(GREEN_US + 100_000_000), ..car(0, 2, 0.5, 300_000_000) };
    let at = |at_us| {
        timing::order(&Moment {
            session: &session,
            at_us: Some(at_us),
            chequered_us: None,
            recent: &laps,
            bests: &[],
            cars: std::slice::from_ref(&later),
            pit_visits: &[],
        })
    };
    assert_eq!(at(GREEN_US - 1), []);
    assert_eq!(at(GREEN_US + 1_000_000).iter().map(|s| s.entry.as_str().to_owned()).collect::<Vec<_>>(), ["car-01", "car-00"]);
}

/// One car, two drivers: who came in, and who took over, with the car at the end and at the beginning of what each saw.
fn swap(left: PitMoment, taken: PitMoment) -> [PitVisit; 2] {
    let into = PitVisit {
        stationary_us: 20_000_000,
        service_us: Some(20_000_000),
        fuel_added_l: Some(0.0),
        tyres_changed: Some(false),
        ends: PitEnds { last: Some(left), fuel_l: Some((14.0, 14.5)), ..PitEnds::default() },
        ..visit(0, left.us - 30_000_000)
    };
    let out = PitVisit {
        driver: DriverId(id(1)),
        kind: PitKind::START,
        exit_us: Some(taken.us + 25_000_000),
        stationary_us: 15_000_000,
        service_us: Some(15_000_000),
        ends: PitEnds { first: Some(taken), fuel_l: Some((59.5, 60.0)), ..PitEnds::default() },
        enter_us: taken.us,
        ..into.clone()
    };
    [into, out]
}

const LEFT: PitMoment = PitMoment { us: 200_000_000, standing: true, in_service: true, lap: Some(3), tyre_sets: Some(1) };
const TAKEN: PitMoment = PitMoment { us: 225_000_000, ..LEFT };

#[test]
fn a_swap_adds_up_what_its_drivers_saw() {
    let joined = timing::pit_visits(&swap(LEFT, TAKEN));
    assert_eq!(joined.len(), 1);
    let v = &joined[0];
    assert_eq!((v.kind, v.stationary_us, v.service_us), (PitKind::STOP, 60_000_000, Some(60_000_000)));
    assert_eq!((v.driver, v.driver_out(), v.lane_us()), (DriverId(id(0)), DriverId(id(1)), Some(80_000_000)));
    assert_eq!((v.driver_at(TAKEN.us - 1), v.driver_at(TAKEN.us)), (DriverId(id(0)), DriverId(id(1))));
    assert_eq!((v.fuel_added_l, v.tyres_changed), (Some(46.0), Some(false)));
    // A car that rolled when its driver left it did not stand until the next driver came.
    let rolls = timing::pit_visits(&swap(PitMoment { standing: false, in_service: false, ..LEFT }, TAKEN));
    assert_eq!((rolls[0].stationary_us, rolls[0].service_us), (35_000_000, Some(35_000_000)));
    // Sets of tyres rose while seats were changed; or no client knows.
    assert_eq!(timing::pit_visits(&swap(LEFT, PitMoment { tyre_sets: Some(2), ..TAKEN }))[0].tyres_changed, Some(true));
    assert_eq!(timing::pit_visits(&swap(LEFT, PitMoment { tyre_sets: None, ..TAKEN }))[0].tyres_changed, None);
    // Hours of repair, in one lap.
    let hours = timing::pit_visits(&swap(LEFT, PitMoment { us: LEFT.us + 7_200_000_000, ..TAKEN }));
    assert_eq!((hours.len(), hours[0].stationary_us), (1, 7_235_000_000));
    // Another lap: the car was driven in between, and what fuel was added is not known.
    for (taken, count) in
        [(PitMoment { lap: Some(4), ..TAKEN }, 2), (PitMoment { lap: None, ..TAKEN }, 1), (PitMoment { lap: None, us: 501_000_000, ..TAKEN }, 2)]
    {
        let visits = timing::pit_visits(&swap(LEFT, taken));
        assert_eq!(visits.len(), count, "{taken:?}");
        assert!(count == 1 || visits.iter().all(|v| v.fuel_added_l.is_none()), "{visits:#?}");
    }
}

#[test]
fn others_see_what_no_driver_of_the_car_saw() {
    let [into, out] = swap(LEFT, TAKEN);
    let seen = PitVisit {
        field: true,
        driver: DriverId(id(5)),
        exit_us: out.exit_us.map(|us| us + 100_000),
        enter_us: into.enter_us - 100_000,
        stationary_us: 59_900_000,
        service_us: None,
        fuel_added_l: None,
        tyres_changed: None,
        ends: PitEnds::default(),
        ..into.clone()
    };
    let folded = |rows: &[&PitVisit]| timing::pit_visits(&rows.iter().map(|v| (*v).clone()).collect::<Vec<_>>());
    assert_eq!(folded(&[&seen, &out, &into]), folded(&[&into, &out]), "drivers of the car saw all of it");
    for (rows, enter_us, exit_us) in [([&into, &seen], into.enter_us, seen.exit_us), ([&out, &seen], seen.enter_us, out.exit_us)] {
        let visits = folded(&rows);
        assert_eq!(visits.len(), 1, "{visits:#?}");
        let v = &visits[0];
        assert_eq!((v.kind, v.field, v.enter_us, v.exit_us, v.stationary_us), (PitKind::STOP, false, enter_us, exit_us, 59_900_000));
        assert_eq!(v.fuel_added_l, None, "no client saw the level from entry to exit");
    }
}

#[test]
fn who_watches_is_not_the_driver() {
    let now = |driver: usize, run: u8, watching: bool, sim_time_us: i64| CarNow {
        driver: DriverId(id(driver)),
        run: RunId([run; 16]),
        watching,
        ..car(0, 4, 0.5, sim_time_us)
    };
    let driver = |cars: &[CarNow]| timing::newest_car(cars).map(|c| c.driver);
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        // Driver 1 drives; driver 0 watches, is heard later, and drove in an earlier run.
        let cars = [now(0, 1, false, 500), now(0, 2, true, 900), now(1, 1, false, 800)];
        assert_eq!(driver(&order.map(|n| cars[n].clone())), Some(DriverId(id(1))));
        // No driver of the team is in the car, and another client sees it.
        let cars = [now(0, 1, true, 900), now(1, 1, true, 950), CarNow { field: true, ..now(7, 1, false, 100) }];
        assert!(timing::newest_car(&order.map(|n| cars[n].clone())).unwrap().field);
    }
    assert_eq!(driver(&[now(0, 1, true, 900), now(1, 1, true, 950)]), Some(DriverId(id(1))));
}

#[test]
fn a_lap_that_another_driver_began_has_its_marks_in_the_live_order() {
    let begun = CarNow { loops_us: vec![5, 10, -1], lap_start_us: Some(100), watching: true, ..car(0, 4, 0.2, 130) };
    let after = vec![-1, -1, -1, 3, -1, 9];
    let taken = CarNow { driver: DriverId(id(1)), loops_us: after, lap_start_us: None, taken_over_us: Some(120), ..car(0, 4, 0.3, 140) };
    let cars = timing::with_laps_begun_by_others(&[taken.clone(), begun.clone()]).into_owned();
    assert_eq!((cars[0].lap_start_us, cars[0].loops_us.as_slice()), (Some(100), [5, 10, -1, 23, -1, 29].as_slice()));
    assert_eq!(cars[1], begun);
    // Another lap, or another car.
    for other in [CarNow { lap: 3, ..begun.clone() }, CarNow { entry: EntryId(id(3)), ..begun }] {
        let cars = timing::with_laps_begun_by_others(&[taken.clone(), other]).into_owned();
        assert_eq!(cars[0], CarNow { lap: 0, ..taken.clone() });
    }
}
