//! Lies of many shapes, of one client or of two of five, and few clients that tell the truth.

use boxbox_schemas::event::EventCode;
use boxbox_schemas::field::FieldFrame;
use boxbox_schemas::frame::{Flags, SessionState, TrackLoc};
use boxbox_schemas::meta::SessionMeta;
use boxbox_schemas::results::Lap;
use boxbox_sources::synth::{Action, Race};
use fastrand::Rng;

use crate::records::{Sender, Timed, by_time, shuffled, source, tenant};
use crate::world::*;

/// What a liar sends instead of an action.
type Lie<'a> = Box<dyn Fn(&mut Sender, Action) + 'a>;

fn lying(race: &Race, car: usize, lie: &Lie<'_>) -> Vec<Timed> {
    let own = &race.cars()[car];
    let mut sender = Sender::new(own.drivers[0].driver, own.slot, 1);
    for action in race.script(car, 20).with_field(4) {
        sender.at_us = action.at_us().unwrap_or(sender.at_us);
        lie(&mut sender, action);
    }
    sender.flush();
    sender.out
}

/// Changes each action.
fn changed<'a>(change: impl Fn(&mut Action) + 'a) -> Lie<'a> {
    Box::new(move |sender, mut action| {
        change(&mut action);
        sender.act(action);
    })
}

/// Changes the frames of other cars.
fn of_others<'a>(change: impl Fn(&mut FieldFrame) + 'a) -> Lie<'a> {
    changed(move |action| {
        if let Action::Field(frame) = action {
            change(frame);
        }
    })
}

/// Sends what `more` says behind each of its frames, from the second meta on.
fn with<'a>(race: &'a Race, car: usize, more: impl Fn(u32, i64, &SessionMeta) -> Vec<Action> + 'a) -> Lie<'a> {
    let meta = race.script(car, 20).find_map(|action| if let Action::Meta(meta) = action { Some(meta) } else { None }).unwrap();
    Box::new(move |sender, action| {
        let at = if let Action::Frame(frame) = &action { Some((frame.tick, frame.sim_time_us)) } else { None };
        sender.act(action);
        if let Some((tick, us)) = at {
            more(tick, us, &meta).into_iter().for_each(|action| sender.act(action));
        }
    })
}

fn lies(race: &Race, car: usize) -> Vec<(&'static str, Lie<'_>)> {
    let victim = race.cars()[VICTIM].slot;
    let from = |from_us: i64, change: fn(&mut boxbox_schemas::frame::CarFrame)| {
        changed(move |action| {
            if let Action::Frame(frame) = action
                && frame.sim_time_us >= from_us
            {
                change(frame);
            }
        })
    };
    vec![
        (
            "the slot of another in every record",
            Box::new(move |sender: &mut Sender, action| {
                sender.flush();
                sender.prelude.slot = victim;
                sender.act(action);
            }),
        ),
        (
            "another slot in every record",
            Box::new(move |sender: &mut Sender, action| {
                sender.flush();
                sender.prelude.slot = (sender.prelude.slot + 1) % 9;
                sender.act(action);
            }),
        ),
        (
            "everybody is of one team, in a team race",
            changed(|action| {
                if let Action::Meta(meta) = action {
                    meta.team_racing = 1;
                    meta.entries.iter_mut().for_each(|e| e.team_id = 9);
                }
            }),
        ),
        (
            "its own id is the victim's",
            changed(move |action| {
                if let Action::Meta(meta) = action {
                    let user = meta.entries.iter().find(|e| e.slot == victim).unwrap().user_id;
                    let own = meta.own_slot;
                    meta.entries.iter_mut().filter(|e| e.slot == own).for_each(|e| e.user_id = user);
                }
            }),
        ),
        (
            "who is where is turned round",
            changed(|action| {
                if let Action::Meta(meta) = action {
                    let users: Vec<u64> = meta.entries.iter().rev().map(|e| e.user_id).collect();
                    meta.entries.iter_mut().zip(users).for_each(|(e, user)| e.user_id = user);
                }
            }),
        ),
        ("no car is in the world", of_others(|frame| frame.track_loc = TrackLoc::NOT_IN_WORLD)),
        ("everybody is off the track", of_others(|frame| frame.track_loc = TrackLoc::OFF_TRACK)),
        ("everybody stands in the pits", of_others(|frame| frame.track_loc = TrackLoc::PIT_STALL)),
        ("everybody drives into the pits", of_others(|frame| frame.track_loc = TrackLoc::PIT_APPROACH)),
        ("everybody is anywhere", of_others(|frame| frame.track_loc = TrackLoc((frame.tick / 30 % 5) as i8 - 1))),
        ("everybody has driven 1,000 laps", of_others(|frame| (frame.lap, frame.laps_completed) = (1_001, 1_000))),
        ("everybody has driven none", of_others(|frame| (frame.lap, frame.laps_completed) = (0, 0))),
        ("all stand still", of_others(|frame| frame.lap_pct = 0.5)),
        ("all drive backwards", of_others(|frame| frame.lap_pct = 1.0 - frame.lap_pct)),
        ("all are a lap ahead and half a lap on", of_others(|frame| (frame.lap, frame.lap_pct) = (frame.lap + 1, (frame.lap_pct + 0.5).fract()))),
        ("cars that are not there", of_others(|frame| frame.slot += 20)),
        ("each car is its neighbour", of_others(|frame| frame.slot ^= 1)),
        (
            "descriptions that flip 20 times a second",
            with(race, car, |tick, _, meta| {
                let mut other = meta.clone();
                if tick / 3 % 2 == 0 {
                    (other.session_type, other.track_length_m, other.laps_limit, other.team_racing) = ("Practice".into(), 99_000.0, 1, 1);
                    other.entries.iter_mut().for_each(|e| (e.special, e.team_id) = (1, u64::from(e.slot / 2) + 1));
                }
                vec![Action::Meta(other)]
            }),
        ),
        (
            "events of every kind",
            with(race, car, |tick, us, _| if tick % 60 == 0 { vec![Action::Event(EventCode(tick as u16 / 60 % 9), tick, us)] } else { vec![] }),
        ),
        ("every flag at 5 s", from(5_000_000, |frame| (frame.flags, frame.flags_seen) = (Flags(u32::MAX), Flags(u32::MAX)))),
        ("every state in turn", from(0, |frame| frame.session_state = SessionState((frame.tick / 60 % 7) as u8))),
        ("a cool-down from the start", from(0, |frame| frame.session_state = SessionState::COOL_DOWN)),
        ("a warm-up to the end", from(0, |frame| frame.session_state = SessionState::WARMUP)),
        ("its clock is an hour ahead", from(0, |frame| frame.sim_time_us += 3_600_000_000)),
        (
            "texts that steer terminals, everywhere",
            changed(|action| {
                if let Action::Meta(meta) = action {
                    let steer = |text: &mut String| text.insert_str(0, "\u{1b}]0;x\u{7}\u{202e}\u{200b}\u{85}\u{feff}");
                    [&mut meta.track_name, &mut meta.track_config, &mut meta.session_type, &mut meta.category].into_iter().for_each(steer);
                    let cars = meta.entries.iter_mut();
                    cars.flat_map(|e| [&mut e.driver_name, &mut e.team_name, &mut e.number, &mut e.class_name, &mut e.car_name]).for_each(steer);
                }
            }),
        ),
    ]
}

fn streams(race: &Race, cars: usize, liars: &[usize], lie: usize) -> Vec<Vec<Timed>> {
    let truth: Lie<'_> = changed(|_| {});
    let of_car = |car: usize| if liars.contains(&car) { lying(race, car, &lies(race, car)[lie].1) } else { lying(race, car, &truth) };
    (0..cars).map(of_car).collect()
}

/// By how many cars, and who lies: one of six, or two of five who agree.
fn no_shape_changes_anything_for_others(cars: usize, liars: &[usize]) {
    let race = race(21);
    let honest = ended(&clients(&race, 0..cars, &|_| {}));
    let expected = but(&honest, &race, liars);
    assert!(expected.1.len() >= (cars - liars.len()) * 4, "{expected:?}");
    let mut wrong = vec![];
    for (n, (name, _)) in lies(&race, 0).iter().enumerate() {
        let streams = streams(&race, cars, liars, n);
        let told = ended(&streams);
        let info = told.info().unwrap();
        let texts = format!("{:?}", info.meta);
        assert!(!["\\u{1b}", "\\u{7}", "\\u{202e}", "\\u{200b}", "\\u{85}", "\\u{feff}"].iter().any(|c| texts.contains(c)), "{name}: {texts}");
        let (rows, laps) = but(&told, &race, liars);
        if rows != expected.0 {
            wrong.push(format!("{name}: {rows:#?}\ninstead of {:#?}", expected.0));
        } else if laps != expected.1 {
            let odd: Vec<&Lap> = laps.iter().filter(|lap| !expected.1.contains(lap)).collect();
            wrong.push(format!("{name}: {} laps instead of {}: {odd:?}", laps.len(), expected.1.len()));
        }
        let mut records = shuffled(&streams, &mut Rng::with_seed(n as u64));
        records.push(boxbox_schemas::stamp::closed(tenant(), source(), boxbox_schemas::event::Closing::SILENCE, 1_800_000_000_000_000));
        if but(&view(&records), &race, liars) != (rows, laps) {
            wrong.push(format!("{name}: other results in another order"));
        }
    }
    assert!(wrong.is_empty(), "{} lies:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn no_shape_of_a_lie_of_one_changes_anything_for_others() {
    no_shape_changes_anything_for_others(6, &[LIAR]);
}

#[test]
fn no_shape_of_a_lie_of_two_of_five_changes_anything_for_others() {
    no_shape_changes_anything_for_others(5, &[0, 3]);
}

/// The newer of two descriptions, or the older one, is of a track so long that no car could have driven round it.
#[test]
fn a_length_that_one_alone_tells_takes_no_lap_away() {
    let race = race(22);
    let of_victim = |change: &dyn Fn(&mut Action)| {
        let told = ended(&clients(&race, [VICTIM, LIAR].into_iter(), change));
        let laps = told.laps().iter().filter(|lap| lap.slot == race.cars()[VICTIM].slot);
        laps.map(|lap| Lap { revision: 0, ..lap.clone() }).collect::<Vec<_>>()
    };
    let expected = of_victim(&|_| {});
    assert!(expected.len() >= 5, "{expected:?}");
    for length_m in [99_000.0, 1.0] {
        let told = of_victim(&|action| {
            if let Action::Meta(meta) = action {
                meta.track_length_m = length_m;
            }
        });
        assert_eq!(told, expected, "{length_m} m");
    }
}

/// A client that is alone is believed: there is no other to compare it with.
#[test]
fn few_honest_clients_get_all_laps() {
    let race = race(23);
    let laps = |who: &[usize]| {
        let told = view(&by_time(&clients(&race, who.iter().copied(), &|_| {})));
        let disputes = disputes(&told);
        assert!(disputes.is_empty(), "{who:?}: {disputes:?}");
        race.cars().iter().map(|car| told.laps().iter().filter(|lap| lap.slot == car.slot).count()).collect::<Vec<_>>()
    };
    let all = laps(&[0, 1, 2, 3, 4, 5]);
    assert!(all.iter().all(|laps| *laps >= 4), "{all:?}");
    for who in [&[0][..], &[3], &[5], &[0, 1], &[2, 5], &[0, 3, 4]] {
        let told = laps(who);
        who.iter().for_each(|car| assert_eq!(told[*car], all[*car], "own laps of {car} of {who:?}"));
        // Who leaves at the finish does not see the last of others.
        let seen = told.iter().zip(&all).all(|(told, all)| *told + 2 >= *all && told <= all);
        assert!(seen, "{who:?}: {told:?} of {all:?}");
    }
}
