//! Reports of the end that come early, late, to some clients, or to none; winners whom no client saw; races that are stopped.

use boxbox_race::timing::{DecidedBy, FINISH_QUESTIONS, FinishLaps, Status, Why, classification, finish, finish_laps};
use boxbox_schemas::frame::{Flags, SessionState};
use boxbox_schemas::results::{Lap, Tags};
use fastrand::Rng;

use crate::driven::{Driven, Limit, Told};
use crate::rows::{LIGHT_US, S, car, flag, lap, session, state};

const RACES: u64 = 400;

/// `race.winner`: the state up to 5.8 s early or late, the flag up to 5.5 s early or a quarter of a lap late; to each client at its own
/// moment within that range.
#[test]
fn a_report_early_or_late_names_the_same_winner() {
    let mut decided = [0; 2];
    for seed in 0..RACES {
        let rng = &mut Rng::with_seed(seed);
        let limit = *rng.choice(&[Limit::Laps, Limit::Time, Limit::Both]).unwrap();
        let driven = Driven::of(rng, limit, 0);
        // Of a leader who stopped just behind the line, the rows do not tell whether it stopped before or after it had won.
        let led = |of: &Vec<i64>| of.last().is_some_and(|at| (driven.end_us - 14 * S..driven.end_us).contains(at));
        let stopped_in_the_lead = driven.crossings.iter().zip(&driven.retired).any(|(of, stop)| stop.is_some() && led(of));
        if driven.clients().is_empty() || stopped_in_the_lead {
            continue;
        }
        let mut told = driven.told();
        let (state, range) = (rng.bool(), if rng.bool() { -1.0..0.0 } else { 0.0..1.0 });
        let late = |rng: &mut Rng| range.start + (range.end - range.start) * rng.f64();
        // 5.8 s at most, and less than a third of a lap.
        let most = if state {
            5.8e6f64.min(driven.shortest_us as f64 / 3.2)
        } else if range.end > 0.5 {
            driven.shortest_us as f64 / 4.0
        } else {
            5.5e6
        };
        let moments: Vec<i64> = (0..driven.cars()).map(|_| driven.end_us + (late(rng) * most) as i64).collect();
        if state {
            driven.with_states(&mut told, |n| Some(moments[n]));
            driven.with_flags(&mut told, |n| Some(moments[n] + 20 * S));
        } else {
            driven.with_flags(&mut told, |n| Some(moments[n]));
        }
        let ended = finish(&told.facts(&driven.info)).unwrap();
        assert_eq!(ended.decided_by, if state { DecidedBy::State } else { DecidedBy::Flag });
        decided[usize::from(state)] += 1;
        driven.check(&told).unwrap_or_else(|e| panic!("{seed} state {state} {range:?}: {e}"));
        // Of few laps the same: what a reader asks for suffices.
        assert_eq!(finish(&asked(&driven, &told).facts(&driven.info)), Some(ended), "{seed}");
    }
    assert!(decided.iter().all(|n| *n >= 50), "{decided:?}");
}

/// The rows with the laps alone that [`finish_laps`] asks for, as a reader gets them.
fn asked(driven: &Driven, told: &Told) -> Told {
    let mut few = Told { laps: vec![], ..told.clone() };
    for _ in 0..FINISH_QUESTIONS {
        let FinishLaps { numbers, last_two_begun_by } = finish_laps(&few.facts(&driven.info));
        few.laps = told.laps.iter().filter(|l| numbers.contains(&l.number)).cloned().collect();
        for of in told.laps.chunk_by(|a, b| a.entry == b.entry) {
            let begun: Vec<&Lap> = of.iter().filter(|l| last_two_begun_by.is_some_and(|us| l.start_us <= us)).collect();
            few.laps.extend(begun[begun.len().saturating_sub(2)..].iter().filter(|l| !numbers.contains(&l.number)).map(|l| (*l).clone()));
        }
    }
    few
}

/// No client saw the winner: no car is given the cool-down lap for it, and everyone ends with the first crossing after the end.
#[test]
fn a_winner_whom_no_client_saw_gives_no_car_a_lap() {
    let mut tried = 0;
    for seed in 0..RACES {
        let rng = &mut Rng::with_seed(seed);
        let mut driven = Driven::of(rng, Limit::Both, 0);
        let winner = driven.winner;
        let alone = driven.crossings.iter().enumerate().all(|(n, of)| n == winner || of.iter().all(|at| (at - driven.end_us).abs() > 13 * S));
        if !alone || driven.clients().iter().filter(|n| **n != winner).count() < 2 {
            continue;
        }
        driven.own[winner] = true;
        let mut told = driven.told();
        driven.with_states(&mut told, |n| (n != winner).then_some(driven.end_us + 20_000));
        let gone = boxbox_schemas::EntryId(crate::rows::id(winner));
        told.laps.retain(|l| l.entry != gone);
        told.cars.retain(|c| c.entry != gone);
        told.states.retain(|s| s.entry != gone);
        let Some(ended) = finish(&told.facts(&driven.info)) else { continue };
        if ended.decided_by != DecidedBy::State {
            continue;
        }
        let expected: Vec<_> = driven.places().into_iter().filter(|p| p.0 != gone).collect();
        let rows = classification(&told.facts(&driven.info));
        let places: Vec<_> = rows.iter().filter(|r| r.laps > 0).map(|r| (r.entry, r.laps, r.finish_us, r.finished)).collect();
        assert_eq!(places, expected.into_iter().filter(|p| p.1 > 0).collect::<Vec<_>>(), "{seed}");
        assert_eq!((ended.winner, ended.ended_without_a_crossing), (None, false));
        tried += 1;
    }
    assert!(tried >= 20, "{tried}");
}

/// `race.stopped`: a red flag in the middle of a lap, and no car crosses the line any more.
#[test]
fn a_race_that_is_stopped_keeps_its_laps() {
    for seed in 0..RACES {
        let rng = &mut Rng::with_seed(seed);
        let mut driven = Driven::of(rng, Limit::Both, 0);
        driven.info.closed = true;
        let stopped_us = rng.i64(LIGHT_US + 150 * S..LIGHT_US + 250 * S);
        let due_us = LIGHT_US + driven.info.meta.as_ref().unwrap().time_limit_us;
        if stopped_us > driven.end_us - 10 * S || stopped_us > due_us {
            continue;
        }
        driven.retired.iter_mut().for_each(|stop| *stop = None);
        let mut told = driven.told();
        told.laps.retain(|l| l.end_us <= stopped_us);
        driven.with_states(&mut told, |_| Some(stopped_us));
        let ended = finish(&told.facts(&driven.info)).unwrap();
        assert_eq!((ended.end_us, ended.winner, ended.ended_without_a_crossing), (stopped_us, None, true), "{seed}");
        for row in classification(&told.facts(&driven.info)).iter().filter(|r| r.laps > 0) {
            let laps = told.laps.iter().filter(|l| l.entry == row.entry).count();
            assert_eq!(row.laps as usize, laps, "{seed}");
            // A car that crossed the line within two laps still drove.
            let last_us = row.finish_us.unwrap();
            if stopped_us - last_us < driven.shortest_us * 2 {
                assert_eq!((row.status, row.why), (Status::Finished, Some(Why::RaceStopped)), "{seed}");
            }
        }
    }
}

/// `best.end`: by the state, by the flag, and by the laps that count.
#[test]
fn a_qualifying_ends() {
    let session = session("Lone Qualify", 2, 2, 480 * S);
    let out = |l: Lap| Lap { tags: Tags::OUT_LAP, ..l };
    // Car 0: an out lap, two laps, and beyond them an out lap and a faster one. Car 1: its best lap begins before the end, a faster one
    // after it.
    let laps = vec![
        out(lap(0, 1, 10 * S, 90 * S)),
        lap(0, 2, 90 * S, 156 * S),
        lap(0, 3, 156 * S, 221 * S),
        out(lap(0, 4, 221 * S, 230 * S)),
        lap(0, 5, 230 * S, 281 * S),
        out(lap(1, 1, 10 * S, 95 * S)),
        lap(1, 2, 95 * S, 159 * S),
        lap(1, 3, 159 * S, 222 * S),
    ];
    for (by_state, end_us, best_of_1) in [(true, 300 * S, 63 * S), (true, 158 * S, 64 * S), (false, 158 * S, 64 * S)] {
        let mut told = Told { laps: laps.clone(), cars: vec![car(0, 5, 320 * S), car(1, 4, 320 * S)], ..Told::default() };
        for client in 0..2 {
            told.states.push(state(client, 5 * S, SessionState::RACING));
            if by_state {
                told.states.push(state(client, end_us, SessionState::CHECKERED));
            } else {
                told.flags.push(flag(client, end_us, Flags::CHECKERED));
            }
        }
        let rows = classification(&told.facts(&session));
        let bests: Vec<_> = rows.iter().map(|r| (r.entry.as_str(), r.best_lap_us)).collect();
        assert_eq!(bests, [("car-01", Some(best_of_1)), ("car-00", Some(65 * S))], "{by_state} {end_us}");
        assert!(rows[1].laps <= 3, "{by_state} {end_us}: {} laps", rows[1].laps);
        assert!(rows.iter().all(|r| r.status == Status::Finished && !r.finished));
    }
}
