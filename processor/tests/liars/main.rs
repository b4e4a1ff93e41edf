//! One client lies among honest ones: the results of all others are those without the lie, and the lie can be seen. Whom a manager excludes
//! leaves no trace in the results, and reinstating undoes that exactly.

#![allow(clippy::unwrap_used, unreachable_pub, reason = "in a test, a panic is the answer")]

#[path = "../oracle/records.rs"]
#[allow(dead_code, reason = "shared with another test")]
mod records;
mod shapes;
mod world;

use boxbox_race::view::SessionView;
use boxbox_schemas::event::{Closing, Exclusion, Judging};
use boxbox_schemas::frame::{Flags, Presence, SessionState};
use boxbox_schemas::results::{About, Conflict, Lap, Tags};
use boxbox_schemas::stamp::{closed, judged};
use boxbox_sources::synth::Action;
use fastrand::Rng;
use records::{Sender, Timed, by_time, shuffled, source, tenant};
use world::*;

#[test]
fn one_client_among_honest_ones_changes_nothing_for_others() {
    for seed in [1, 2] {
        let race = race(seed);
        let honest = ended(&clients(&race, 0..CARS, &|_| {}));
        let expected = others(&honest, &race);
        assert_eq!(expected.0.len(), CARS - 1);
        assert!(disputes(&honest).is_empty(), "honest clients do not contradict each other: {:?}", disputes(&honest));
        let winner = &honest.classification()[0];
        assert!(winner.laps == 5 && winner.slot != race.cars()[LIAR].slot, "{:?}", expected.0);
        let victim = race.cars()[VICTIM].slot;
        let victims_name = |view: &SessionView| {
            let meta = view.info().unwrap().meta.clone().unwrap();
            meta.entries.iter().find(|e| e.slot == victim).map(|e| (e.driver_name.clone(), e.user_id, e.special))
        };
        type Lie<'a> = (&'a str, About, Box<dyn Fn(&mut Action) + 'a>);
        let over = |from_us: i64| {
            move |action: &mut Action| {
                if let Action::Frame(frame) = action
                    && frame.sim_time_us >= from_us
                {
                    frame.session_state = SessionState::CHECKERED;
                    frame.flags = frame.flags.with(Flags::CHECKERED);
                    frame.flags_seen = frame.flags;
                }
            }
        };
        let lies: Vec<Lie<'_>> = vec![
            (
                "the race is a practice of spectators with a limit of a second",
                About::Description,
                Box::new(|action| {
                    if let Action::Meta(meta) = action {
                        (meta.session_type, meta.laps_limit, meta.time_limit_us) = ("Practice".into(), 1, 1_000_000);
                        meta.entries.iter_mut().for_each(|e| e.special = 2);
                    }
                }),
            ),
            ("the flag at 5 s", About::State, Box::new(over(5_000_000))),
            ("the flag at 30 s", About::Flag, Box::new(over(30_000_000))),
            (
                "18 laps for another",
                About::Lap,
                Box::new(|action| {
                    if let Action::Field(frame) = action
                        && frame.slot == victim
                    {
                        // A lap in 12 s.
                        let laps = frame.sim_time_us as f64 / 12e6;
                        (frame.lap, frame.laps_completed) = (laps as i16 + 1, laps as i16);
                        frame.lap_pct = laps.fract() as f32;
                    }
                }),
            ),
            (
                "another's slot",
                About::Slot,
                Box::new(|action| {
                    if let Action::Meta(meta) = action {
                        meta.own_slot = victim;
                        for e in meta.entries.iter_mut().filter(|e| e.slot == victim) {
                            (e.driver_name, e.user_id) = ("\u{202e}Liar\u{1b}[2J".into(), 4_711);
                        }
                    }
                }),
            ),
        ];
        for (name, about, lie) in lies {
            let streams = clients(&race, 0..CARS, &lie);
            let told = ended(&streams);
            assert_eq!(others(&told, &race), expected, "{name}");
            assert_eq!(victims_name(&told), victims_name(&honest), "{name}");
            let seen = disputes(&told);
            let named = |c: &Conflict| c.about == about && c.by.contains(&driver(&race, LIAR));
            assert!(seen.iter().any(named), "{name}: {seen:?}");
            assert!(seen.iter().all(|c| c.by == [driver(&race, LIAR)]), "only who lies is named: {seen:?}");
            let mut records = shuffled(&streams, &mut Rng::with_seed(seed));
            records.push(closed(tenant(), source(), Closing::SILENCE, 1_800_000_000_000_000));
            assert_eq!(others(&view(&records), &race), expected, "{name}, in another order");
        }
    }
}

/// Many clients of one driver are one driver.
#[test]
fn many_runs_of_a_liar_have_one_vote() {
    let race = race(3);
    let expected = others(&ended(&clients(&race, 0..CARS, &|_| {})), &race);
    let mut streams = clients(&race, (0..CARS).filter(|car| *car != LIAR), &|_| {});
    let own = &race.cars()[LIAR];
    for copy in 1..9 {
        let mut sender = Sender::new(own.drivers[0].driver, own.slot, copy);
        streams.push(send(&mut sender, &race, LIAR, 20, &|action| {
            if let Action::Frame(frame) = action {
                frame.session_state = SessionState::CHECKERED;
                frame.flags = frame.flags.with(Flags::CHECKERED);
                frame.flags_seen = frame.flags;
            }
            if let Action::Meta(meta) = action {
                meta.session_type = "Practice".into();
            }
        }));
    }
    assert_eq!(others(&ended(&streams), &race), expected);
}

/// Where clients tell no state and no flag at all, one that does decides nothing.
#[test]
fn one_that_alone_tells_a_state_decides_nothing() {
    let race = race(4);
    let mute = |action: &mut Action| {
        if let Action::Frame(frame) = action {
            frame.presence.set(Presence::SESSION_STATE, false);
            frame.presence.set(Presence::FLAGS, false);
            (frame.session_state, frame.flags, frame.flags_seen) = (SessionState::INVALID, Flags(0), Flags(0));
        }
    };
    let streams = |lie: bool| -> Vec<Vec<Timed>> {
        let lying = |action: &mut Action| {
            if let Action::Frame(frame) = action {
                frame.session_state = SessionState::CHECKERED;
                // Not its lights: a light that one client alone is shown is a light.
                (frame.flags, frame.flags_seen) = (Flags::CHECKERED, Flags::CHECKERED);
            }
        };
        (0..CARS).map(|car| client(&race, car, &|action| if lie && car == LIAR { lying(action) } else { mute(action) })).collect()
    };
    let (honest, told) = (ended(&streams(false)), ended(&streams(true)));
    assert_eq!(others(&told, &race), others(&honest, &race));
    assert!(disputes(&told).iter().any(|c| c.about == About::State), "{:?}", disputes(&told));
}

/// An own car that drives the lap faster than any car can is not believed.
#[test]
fn laps_that_no_car_can_drive_are_not_chosen() {
    let race = race(5);
    let lie = |action: &mut Action| {
        if let Action::Field(frame) = action
            && frame.slot == race.cars()[VICTIM].slot
        {
            let laps = frame.sim_time_us as f64 / 5e6;
            (frame.lap, frame.laps_completed) = (laps as i16 + 1, laps as i16);
            frame.lap_pct = laps.fract() as f32;
        }
    };
    // The victim has no client, and there is no other observer.
    let streams = clients(&race, [LIAR].into_iter(), &lie);
    let told = ended(&streams);
    let of_victim: Vec<_> = told.laps().iter().filter(|l| l.slot == race.cars()[VICTIM].slot && !l.tags.has(Tags::UNTIMED)).collect();
    assert!(
        of_victim.iter().all(|l| l.time_us >= 6_000_000 || l.tags.has(Tags::FIRST_LAP)),
        "1,200 m, less what a cut leaves out, take 6 s at 150 m/s: {of_victim:?}"
    );
}

/// Two of three observers of a car without a client tell the same; what the third tells does not count.
#[test]
fn most_observers_decide_about_a_car_without_a_client() {
    let race = race(6);
    let expected = others(&ended(&clients(&race, [0, 2, 3].into_iter(), &|_| {})), &race);
    let told = ended(&clients(&race, [0, 2, 3, LIAR].into_iter(), &|action| {
        if let Action::Field(frame) = action {
            let laps = frame.sim_time_us as f64 / 13e6;
            (frame.lap, frame.laps_completed) = (laps as i16 + 1, laps as i16);
            frame.lap_pct = laps.fract() as f32;
        }
    }));
    // While two honest clients are there: who is the last to leave is not contradicted.
    let then = |(rows, laps): (Vec<String>, Vec<Lap>)| (rows, laps.into_iter().filter(|l| l.end_us < 165_000_000).collect::<Vec<_>>());
    assert_eq!(then(others(&told, &race)), then(expected));
    assert!(disputes(&told).iter().any(|c| c.about == About::Lap && c.by == [driver(&race, LIAR)]));
}

fn everything(view: &SessionView) -> (String, Vec<String>, Vec<Lap>, String) {
    let rows = view.classification().iter().map(|c| format!("{c:?}")).collect();
    let laps = view.laps().iter().map(|l| Lap { revision: 0, ..l.clone() }).collect();
    let meta = view.info().unwrap().meta.as_ref().map(|m| format!("{:?}", boxbox_schemas::meta::SessionMeta { own_slot: 0, ..m.clone() }));
    (view.result().digest, rows, laps, format!("{:?} {:?} {:?} {meta:?}", view.flag_spans(), view.pit_visits(), view.incidents()))
}

/// Alone with one honest client a liar may win: a manager excludes them, and all is as if they had never been there. Reinstated, all is as if
/// they had never been excluded. Wherever in the log, open, or closed by silence; one run or all.
#[test]
fn whom_a_manager_excludes_leaves_no_trace_and_comes_back_exactly() {
    let race = race(7);
    let lie = |action: &mut Action| match action {
        Action::Meta(meta) => (meta.session_type, meta.time_limit_us) = ("Practice".into(), 1_000_000),
        Action::Frame(frame) if frame.sim_time_us > 20_000_000 => {
            frame.session_state = SessionState::CHECKERED;
            frame.flags = frame.flags.with(Flags::CHECKERED).with(Flags::BLACK);
            frame.flags_seen = frame.flags;
        }
        _ => {}
    };
    let silence = || closed(tenant(), source(), Closing::SILENCE, 1_800_000_000_000_000);
    let without = everything(&view(&[by_time(&clients(&race, [0].into_iter(), &|_| {})), vec![silence()]].concat()));
    let records = by_time(&clients(&race, [0, LIAR].into_iter(), &lie));
    let with = everything(&view(&[records.clone(), vec![silence()]].concat()));
    assert_ne!(with, without);
    let whom = Exclusion { driver: driver(&race, LIAR), run: None };
    let run = boxbox_schemas::stamp::LogRecord::parse(
        records.iter().find(|r| boxbox_schemas::stamp::LogRecord::parse((*r).clone()).unwrap().stamp.driver == whom.driver).unwrap().clone(),
    )
    .unwrap()
    .record
    .prelude()
    .run;
    for whom in [whom, Exclusion { run: Some(run), ..whom }] {
        let judge = |code| judged(tenant(), source(), code, &whom, 1_800_000_000_000_000);
        for seed in 0..6 {
            let mut rng = Rng::with_seed(seed);
            let mut log = [records.clone(), vec![silence()]].concat();
            // Before everything but the first record, in the middle, behind the close.
            let at = match seed {
                0 => 1,
                1 => log.len(),
                _ => rng.usize(1..=log.len()),
            };
            log.insert(at, judge(Judging::EXCLUDED));
            let excluded = view(&log);
            assert_eq!(everything(&excluded), without, "excluded at {at}");
            assert_eq!(excluded.info().unwrap().excluded, [whom]);
            assert!(excluded.info().unwrap().closed);
            // Twice does no harm.
            let again = rng.usize(at + 1..=log.len());
            log.insert(again, judge(Judging::EXCLUDED));
            log.insert(rng.usize(again + 1..=log.len()), judge(Judging::REINSTATED));
            let back = view(&log);
            assert_eq!(everything(&back), with, "reinstated");
            assert!(back.info().unwrap().excluded.is_empty());
        }
    }
    // A result that was closed on purpose stands.
    let asked = closed(tenant(), source(), Closing::ASKED, 1_800_000_000_000_000);
    let log = [records, vec![asked, judged(tenant(), source(), Judging::EXCLUDED, &whom, 0)]].concat();
    assert_eq!(everything(&view(&log)), with);
}
