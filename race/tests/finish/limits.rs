//! The end by limits, and beyond them.

use boxbox_race::timing::{DecidedBy, classification, finish};
use boxbox_schemas::EntryId;
use fastrand::Rng;

use crate::driven::{Driven, Limit, Told};
use crate::rows::{S, id, lap, session};

const RACES: u64 = 300;

/// `race.limits`, `race.end`: by laps, by time, by both; with the state of all clients, with the flag, and with neither.
#[test]
fn races_with_limits_end_as_driven() {
    let mut ended = [0; 3];
    for seed in 0..RACES {
        let rng = &mut Rng::with_seed(seed);
        let limit = *rng.choice(&[Limit::Laps, Limit::Time, Limit::Both]).unwrap();
        let driven = Driven::of(rng, limit, 0);
        let mut told = driven.told();
        match seed % 3 {
            0 => driven.with_states(&mut told, |_| Some(driven.end_us + 20_000)),
            1 => driven.with_flags(&mut told, |_| Some(driven.end_us + 20_000)),
            _ => {}
        }
        let decided_by = finish(&told.facts(&driven.info)).map(|f| f.decided_by);
        match (seed % 3, decided_by) {
            // A race in which every client has gone is decided by what is left: the limits.
            (0, Some(DecidedBy::State)) | (1, Some(DecidedBy::Flag)) | (2, Some(DecidedBy::LapLimit | DecidedBy::TimeLimit)) => {
                ended[(seed % 3) as usize] += 1;
            }
            (0 | 1, Some(_)) if driven.clients().is_empty() => {}
            other => panic!("{seed}: {other:?}"),
        }
        driven.check(&told).unwrap_or_else(|e| panic!("{seed} {limit:?}: {e}"));
    }
    assert!(ended.iter().all(|n| *n >= 50), "{ended:?}");
}

/// Green-white-chequered, overtime: laps beyond the limit count until the state says so, even if the flag of one lap too early is shown
/// to a few.
#[test]
fn a_race_goes_on_beyond_its_laps_until_the_state_ends_it() {
    for seed in 0..RACES {
        let rng = &mut Rng::with_seed(seed);
        let extra = rng.u32(1..4);
        let driven = Driven::of(rng, Limit::Laps, extra);
        if driven.clients().is_empty() {
            continue;
        }
        let mut told = driven.told();
        driven.with_states(&mut told, |_| Some(driven.end_us + rng_us(seed, -5 * S, 5 * S)));
        driven.check(&told).unwrap_or_else(|e| panic!("{seed}: {e}"));
        // While it goes on, it has not ended: nothing is known yet of what comes after the limit.
        let limit = driven.info.meta.as_ref().unwrap().laps_limit;
        let reached_us = told.laps.iter().filter(|l| l.number == limit).map(|l| l.end_us).min().unwrap();
        let until_us = reached_us + 10 * S;
        if until_us > driven.end_us - 6 * S {
            continue;
        }
        let mut live = told.clone();
        live.laps.retain(|l| l.end_us <= until_us);
        live.states.retain(|s| s.sim_time_us <= until_us);
        live.cars.iter_mut().for_each(|c| c.sim_time_us = c.sim_time_us.min(until_us));
        assert_eq!(finish(&live.facts(&driven.info)), None, "{seed}");
    }
}

fn rng_us(seed: u64, from: i64, to: i64) -> i64 {
    Rng::with_seed(!seed).i64(from..to)
}

/// `race.limits`: the leader at the end of the time is passed in that lap, by a car that was a lap behind or none.
#[test]
fn who_passes_the_leader_in_the_last_lap_wins() {
    let s = |s: f64| (s * 1e6) as i64;
    let info = session("Race", 3, 0, s(100.0));
    // The time is over at 100 s after the light at 0. Car 0 has begun lap 4 by then, car 1 is in lap 3 and completes lap 4 first.
    let ends = [[35.0, 65.0, 95.0, 128.0, 160.0], [35.5, 66.0, 104.0, 127.0, 158.0], [50.0, 99.0, 140.0, 180.0, 220.0]];
    let mut told = Told::default();
    for (car, ends) in ends.iter().enumerate() {
        let starts = std::iter::once(0.0).chain(*ends);
        told.laps.extend(ends.iter().zip(starts).zip(1..).map(|((end, start), number)| lap(car, number, s(start), s(*end))));
    }
    let end = finish(&told.facts(&info)).unwrap();
    assert_eq!((end.decided_by, end.winner, end.end_us), (DecidedBy::TimeLimit, Some(EntryId(id(1))), s(127.0)));
    let laps: Vec<u32> = classification(&told.facts(&info)).iter().map(|c| c.laps).collect();
    assert_eq!(laps, [4, 4, 3]);
}
