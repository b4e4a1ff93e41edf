//! Pit visits (docs/RULES.md, section 10): kinds and times, at every rate, over rewinds and restarts.

#![allow(clippy::unwrap_used)]

mod common;

use boxbox_race::timing::pit_visits;
use boxbox_schemas::event::EventCode;
use boxbox_schemas::frame::{CarBits, CarFrame, Presence, SessionState, TrackLoc};
use boxbox_schemas::meta::SessionMeta;
use boxbox_schemas::results::{PitKind, PitVisit, Row};
use common::synth::{Car, Leg, PitTrip, blank, pitting, practice, put, within};
use common::{FieldRig, Rig};
use proptest::prelude::*;

fn us(s: f64) -> i64 {
    (s * 1e6).round() as i64
}

fn meta() -> SessionMeta {
    SessionMeta { pit_limit_mps: 22.0, ..practice() }
}

fn visits(meta: &SessionMeta, frames: &[CarFrame]) -> Vec<PitVisit> {
    let mut rig = Rig::new(meta);
    rig.frames(frames);
    rig.end();
    rig.visits()
}

/// Enters at 70 s, stands 75-85 s, leaves at 95 s. Lines at 40 s and, through the lane, later.
const STOP: PitTrip = PitTrip { enter_s: 70.0, stands_s: Some((75.0, 85.0)), exit_s: 95.0, lane_mps: 20.0 };

fn one(visits: &[PitVisit]) -> &PitVisit {
    assert_eq!(visits.len(), 1, "{visits:#?}");
    &visits[0]
}

fn near(ours: i64, truth_s: f64, bound_us: i64) -> bool {
    (ours - us(truth_s)).abs() <= bound_us
}

#[test]
fn a_stop_with_all_its_values() {
    let all = visits(&meta(), &pitting(&STOP, 150.0, 60));
    let v = one(&all);
    assert_eq!((v.kind, v.lap, v.field, v.speeding, v.superseded), (PitKind::STOP, 2, false, false, false));
    let half = 8_334;
    assert!(near(v.enter_us, 70.0, half) && near(v.exit_us.unwrap(), 95.0, half), "{v:?}");
    assert!(near(v.stationary_us, 10.0, 2 * half) && near(v.service_us.unwrap(), 9.5, 2 * half), "{v:?}");
    assert!((v.fuel_added_l.unwrap() - (19.0 - 0.05 * 9.5)).abs() < 0.1, "{v:?}");
    assert!((19.9..20.1).contains(&v.speed_max_mps), "{v:?}");
    assert_eq!((v.tyres_changed, v.lane_us()), (None, Some(v.exit_us.unwrap() - v.enter_us)));
}

#[test]
fn a_visit_is_emitted_at_entry_as_a_stop_when_the_car_drives_off_and_at_exit() {
    let mut rig = Rig::new(&meta());
    let mut heard = vec![];
    for frame in pitting(&STOP, 150.0, 20) {
        let before = rig.out.facts.len();
        rig.frame(&frame);
        if rig.out.facts[before..].iter().any(|f| matches!(f, boxbox_race::stream::Fact::Row(row) if row.kind == PitVisit::KIND)) {
            let v = one(&rig.visits()).clone();
            heard.push((frame.sim_time_us / 100_000, v.kind, v.exit_us.is_some()));
        }
    }
    let (through, stop) = (PitKind::DRIVE_THROUGH, PitKind::STOP);
    assert_eq!(heard, [(700, through, false), (755, stop, false), (850, stop, false), (950, stop, true)]);
}

#[test]
fn driving_through_is_no_stop() {
    let v = &visits(&meta(), &pitting(&PitTrip { stands_s: None, ..STOP }, 150.0, 60))[0];
    assert_eq!((v.kind, v.stationary_us, v.service_us, v.fuel_added_l), (PitKind::DRIVE_THROUGH, 0, Some(0), Some(0.0)));
}

#[test]
fn standing_for_a_moment_or_outside_the_stall_or_before_the_green_is_no_stop() {
    let short = PitTrip { stands_s: Some((75.0, 75.4)), ..STOP };
    assert_eq!(one(&visits(&meta(), &pitting(&short, 150.0, 60))).kind, PitKind::DRIVE_THROUGH);
    // A queue in the lane.
    let mut frames = pitting(&STOP, 150.0, 60);
    frames.iter_mut().filter(|f| f.track_loc == TrackLoc::PIT_STALL).for_each(|f| {
        f.track_loc = TrackLoc::PIT_APPROACH;
        f.bits = f.bits.without(CarBits::IN_STALL);
    });
    assert_eq!(one(&visits(&meta(), &frames)).kind, PitKind::DRIVE_THROUGH);
    for state in [SessionState::WARMUP, SessionState::PARADE, SessionState::CHECKERED, SessionState::COOL_DOWN] {
        let mut frames = pitting(&STOP, 150.0, 60);
        frames.iter_mut().for_each(|f| f.session_state = state);
        assert_eq!(one(&visits(&meta(), &frames)).kind, PitKind::DRIVE_THROUGH, "{state:?}");
    }
    // If the simulator does not show stalls, standing in the pit lane is a stop.
    let mut frames = pitting(&STOP, 150.0, 60);
    frames.iter_mut().for_each(|f| f.presence = f.presence.without(Presence::TRACK_LOC.with(Presence::IN_STALL)));
    assert_eq!(one(&visits(&meta(), &frames)).kind, PitKind::STOP);
}

#[test]
fn a_pit_road_that_drops_out_for_a_moment_is_one_visit() {
    let lane = |f: &mut CarFrame| {
        f.bits = f.bits.without(CarBits::ON_PIT_ROAD);
        f.track_loc = TrackLoc::ON_TRACK;
    };
    // One tick, some ticks, most of a second; once, often; before the stall and behind it; at the line, which is in the lane.
    for hz in [60, 20, 10, 4] {
        for (long_s, every_s) in [(0.001f64, 1.1), (0.05, 0.4), (0.5, 2.5)] {
            let trip = PitTrip { enter_s: 99.0, stands_s: Some((106.0, 113.0)), exit_s: 120.0, lane_mps: 20.0 };
            let plain = pitting(&trip, 200.0, hz);
            let mut frames = plain.clone();
            for from_s in (0..40).map(|k| 99.5 + f64::from(k) * every_s).filter(|s| !(105.0..113.5).contains(s) && *s < 119.0) {
                within(&mut frames, from_s, from_s + long_s.max(1.0 / f64::from(hz)), lane);
            }
            let (mut rig, mut whole) = (Rig::new(&meta()), Rig::new(&meta()));
            rig.frames(&frames);
            whole.frames(&plain);
            let same = |v: &PitVisit| (v.kind, v.lap, v.enter_us, v.exit_us);
            assert_eq!(same(one(&rig.visits())), same(one(&whole.visits())), "{hz} Hz, {long_s} s every {every_s} s");
            let reasons = |rig: &Rig| rig.laps().iter().map(|l| (l.number, l.reasons, l.tags)).collect::<Vec<_>>();
            assert_eq!(reasons(&rig), reasons(&whole), "{hz} Hz, {long_s} s every {every_s} s");
        }
    }
}

#[test]
fn a_visit_after_a_tow_or_a_reset_has_its_lap() {
    for reset in [false, true] {
        let frames = pitting(&STOP, 150.0, 60);
        let mut rig = Rig::new(&meta());
        rig.frames(frames.iter().filter(|f| f.sim_time_us < us(65.0)));
        if reset {
            rig.event(EventCode::RESET, 3_900, us(65.0));
        }
        rig.frames(frames.iter().filter(|f| f.sim_time_us >= us(76.0)));
        rig.end();
        assert_eq!((one(&rig.visits()).kind, one(&rig.visits()).lap), (PitKind::TOW, 2), "reset event: {reset}");
    }
}

#[test]
fn two_short_stands_make_a_stop() {
    let mut frames = pitting(&PitTrip { stands_s: Some((75.0, 76.0)), ..STOP }, 150.0, 60);
    // It creeps for a moment in the middle: 0.4 and 0.4 s.
    within(&mut frames, 75.4, 75.6, |f| f.speed_mps = 1.0);
    let v = one(&visits(&meta(), &frames)).clone();
    assert_eq!(v.kind, PitKind::STOP);
    assert!(near(v.stationary_us, 0.8, 40_000), "{v:?}");
}

#[test]
fn speeding_needs_two_frames_above_the_limit_and_its_tolerance() {
    let fast = |mps: f32, seconds: f64| {
        let mut frames = pitting(&STOP, 150.0, 60);
        within(&mut frames, 72.0, 72.0 + seconds, |f| f.speed_mps = mps);
        one(&visits(&meta(), &frames)).speeding
    };
    assert!(fast(22.6, 0.034) && !fast(22.6, 0.016) && !fast(22.4, 1.0));
    // The limit is unknown.
    let mut frames = pitting(&STOP, 150.0, 60);
    within(&mut frames, 72.0, 73.0, |f| f.speed_mps = 60.0);
    assert!(!one(&visits(&practice(), &frames)).speeding);
}

#[test]
fn a_tow_into_the_pits_is_no_stop() {
    // Out on the track at 70 s, in the stall in the next frame: by a jump, through a blank sample, and with the simulator's bit for towing.
    for (blanks, towing) in [(0, false), (3, false), (0, true)] {
        let mut frames = pitting(&STOP, 150.0, 60);
        frames.retain(|f| f.sim_time_us < us(70.0) || f.sim_time_us >= us(76.0));
        let first = frames.iter().position(|f| f.sim_time_us >= us(76.0)).unwrap();
        for f in &mut frames[first..] {
            (f.tick, f.sim_time_us) = (f.tick - 360, f.sim_time_us - us(6.0));
        }
        frames[first..first + blanks].iter_mut().for_each(|f| *f = blank(*f));
        if towing {
            frames[first..first + 60].iter_mut().for_each(|f| put(f, CarBits::TOWING));
        }
        let all = visits(&meta(), &frames);
        let v = one(&all);
        assert_eq!(v.kind, PitKind::TOW, "{blanks} {towing} {v:?}");
        assert!(near(v.enter_us, 70.0, 60_000) && v.exit_us.is_some() && v.stationary_us > 8_000_000, "{v:?}");
    }
}

#[test]
fn a_reset_event_into_the_pits_is_a_tow() {
    let frames = pitting(&STOP, 150.0, 60);
    let mut rig = Rig::new(&meta());
    rig.frames(frames.iter().filter(|f| f.sim_time_us < us(70.0)));
    rig.event(EventCode::RESET, 4_200, us(70.0));
    rig.frames(frames.iter().filter(|f| f.sim_time_us >= us(70.0)));
    assert_eq!(one(&rig.visits()).kind, PitKind::TOW);
}

#[test]
fn a_car_that_begins_in_the_pits_or_the_garage() {
    let frames: Vec<_> = pitting(&STOP, 150.0, 60).into_iter().filter(|f| f.sim_time_us >= us(80.0)).collect();
    let v = one(&visits(&meta(), &frames)).clone();
    assert_eq!((v.kind, v.enter_us, v.lap), (PitKind::START, us(80.0), 0));
    assert!(near(v.exit_us.unwrap(), 95.0, 8_334));
    let mut garage = frames.clone();
    within(&mut garage, 80.0, 84.0, |f| {
        put(f, CarBits::IN_GARAGE);
        f.bits = f.bits.without(CarBits::ON_PIT_ROAD.with(CarBits::IN_STALL));
        f.presence = f.presence.with(Presence::IN_GARAGE);
        f.track_loc = TrackLoc::NOT_IN_WORLD;
    });
    let v = one(&visits(&meta(), &garage)).clone();
    assert_eq!((v.kind, v.enter_us), (PitKind::START, us(80.0)));
    assert!(near(v.exit_us.unwrap(), 95.0, 8_334));
    // A blank sample before it shows nothing about the pits.
    let mut first_blank = frames;
    first_blank[0] = blank(first_blank[0]);
    first_blank[0].bits = CarBits(0);
    assert_eq!(one(&visits(&meta(), &first_blank)).kind, PitKind::START);
}

#[test]
fn an_exit_that_was_not_seen() {
    let mut frames = pitting(&STOP, 150.0, 60);
    frames.retain(|f| !(us(90.0)..us(98.0)).contains(&f.sim_time_us));
    let v = one(&visits(&meta(), &frames)).clone();
    assert_eq!((v.kind, v.exit_us), (PitKind::STOP, None));
    // The stream ends in the stall.
    let frames: Vec<_> = pitting(&STOP, 80.0, 60);
    let v = one(&visits(&meta(), &frames)).clone();
    assert_eq!((v.kind, v.exit_us), (PitKind::STOP, None));
    assert!(near(v.stationary_us, 5.0, 30_000), "{v:?}");
}

#[test]
fn a_visit_over_the_line_belongs_to_the_lap_it_began_in() {
    // 50 m short of the line, over it in the lane.
    let trip = PitTrip { enter_s: 99.0, stands_s: Some((110.0, 113.0)), exit_s: 120.0, lane_mps: 20.0 };
    let mut rig = Rig::new(&meta());
    rig.frames(&pitting(&trip, 200.0, 60));
    assert_eq!((rig.numbers()[0], one(&rig.visits()).lap), (2, 2));
    assert_eq!(one(&rig.visits()).kind, PitKind::STOP);
}

#[test]
fn tyres_are_changed_if_sets_rise_in_the_visit() {
    let changed = |changes: &[(f64, u16)]| {
        let mut rig = Rig::new(&meta());
        let mut changes = changes.to_vec();
        for f in pitting(&STOP, 150.0, 20) {
            rig.frame(&f);
            while changes.first().is_some_and(|c| us(c.0) <= f.sim_time_us) {
                rig.tyre_sets(f.tick, f.sim_time_us, changes.remove(0).1);
            }
        }
        one(&rig.visits()).tyres_changed
    };
    assert_eq!(changed(&[(10.0, 1), (80.0, 2)]), Some(true));
    assert_eq!(changed(&[(10.0, 1), (80.0, 1)]), Some(false));
    assert_eq!(changed(&[(10.0, 1), (95.9, 2)]), Some(true), "shown once a second");
    assert_eq!(changed(&[(10.0, 1), (60.0, 2)]), Some(false));
    assert_eq!(changed(&[(10.0, 1), (99.0, 2)]), Some(false));
    assert_eq!(changed(&[]), None);
}

#[test]
fn a_client_restarted_in_the_stall_keeps_the_whole_visit() {
    let frames = pitting(&STOP, 150.0, 60);
    let mut rig = Rig::new(&meta());
    rig.frames(frames.iter().filter(|f| f.sim_time_us < us(78.0)));
    rig.restart();
    rig.frames(frames.iter().filter(|f| f.sim_time_us >= us(82.0)));
    let visits = rig.visits();
    assert_eq!(visits.len(), 2);
    assert_eq!((visits[0].exit_us, visits[0].tick), (None, visits[1].tick));
    let v = &visits[1];
    assert_eq!((v.kind, v.run.0[0]), (PitKind::STOP, 2));
    assert!(near(v.enter_us, 70.0, 8_334) && near(v.exit_us.unwrap(), 95.0, 8_334) && near(v.stationary_us, 10.0, 20_000), "{v:?}");
    assert_eq!(boxbox_race::timing::pit_visits(&visits), std::slice::from_ref(v));
}

#[test]
fn rewinds_into_and_over_a_visit() {
    let frames = pitting(&STOP, 150.0, 60);
    // (drive to, back to): before it, into the lane, into the stall, from far behind it, and out of it to just after.
    for (to, back) in [(80.0, 60.0), (80.0, 72.0), (88.0, 80.0), (120.0, 80.0), (120.0, 60.0), (120.0, 97.0)] {
        let mut rig = Rig::new(&meta());
        rig.frames(frames.iter().filter(|f| f.sim_time_us < us(to)));
        rig.event(EventCode::REWIND, (back * 60.0) as u32, us(back));
        let open: Vec<_> = rig.visits().iter().map(|v| (v.exit_us.is_some(), v.timeline)).collect();
        let expected = match back {
            60.0 => vec![],
            97.0 => vec![(true, 0)],
            _ => vec![(false, 1)],
        };
        assert_eq!(open, expected, "{to} → {back}");
        rig.store_and_load();
        rig.frames(frames.iter().filter(|f| f.sim_time_us >= us(back)));
        rig.end();
        let all = rig.visits();
        let v = one(&all);
        assert_eq!((v.kind, v.lap), (PitKind::STOP, 2), "{to} → {back}");
        assert!(near(v.enter_us, 70.0, 8_334) && near(v.exit_us.unwrap(), 95.0, 8_334), "{to} → {back}: {v:?}");
        assert!(near(v.stationary_us, 10.0, 20_000) && near(v.service_us.unwrap(), 9.5, 40_000), "{to} → {back}: {v:?}");
    }
    // The rewind undoes the stop; this time the car drives through.
    let mut rig = Rig::new(&meta());
    rig.frames(frames.iter().filter(|f| f.sim_time_us < us(80.0)));
    rig.event(EventCode::REWIND, 4_320, us(72.0));
    let through = pitting(&PitTrip { stands_s: None, ..STOP }, 150.0, 60);
    rig.frames(through.iter().filter(|f| f.sim_time_us >= us(72.0)));
    assert_eq!((one(&rig.visits()).kind, one(&rig.visits()).stationary_us), (PitKind::DRIVE_THROUGH, 0));
}

#[test]
fn a_rewind_keeps_a_visit_whose_exit_was_not_seen() {
    let mut frames = pitting(&STOP, 150.0, 60);
    frames.retain(|f| !(us(90.0)..us(98.0)).contains(&f.sim_time_us));
    let mut rig = Rig::new(&meta());
    rig.frames(frames.iter().filter(|f| f.sim_time_us < us(130.0)));
    rig.event(EventCode::REWIND, 120 * 60, us(120.0));
    let all = rig.visits();
    assert_eq!((one(&all).timeline, one(&all).exit_us), (1, None));
}

/// If standing and the stall flicker, the state stays small and there is one visit.
#[test]
fn a_car_that_jerks_in_its_stall_is_one_stop() {
    let mut frames = pitting(&PitTrip { stands_s: Some((75.0, 90.0)), exit_s: 95.0, ..STOP }, 150.0, 60);
    for n in 0..70 {
        let t = 75.5 + f64::from(n) * 0.2;
        within(&mut frames, t, t + 0.1, |f| f.speed_mps = 0.7);
    }
    let mut rig = Rig::new(&meta());
    let mut largest = 0;
    for f in &frames {
        rig.frame(f);
        largest = largest.max(rig.store_and_load());
    }
    let v = one(&rig.visits()).clone();
    assert_eq!(v.kind, PitKind::STOP);
    assert!(near(v.stationary_us, 8.0, 1_300_000) && largest < 2_000, "{v:?}, {largest} bytes");
}

/// A client is started again after two hours, or sees another car again after them: both times the car stands in its stall, 40 laps later.
#[test]
fn a_visit_does_not_go_on_where_the_car_was_elsewhere() {
    let frames = pitting(&STOP, 150.0, 20);
    let before = frames.iter().filter(|f| f.sim_time_us < us(80.0)).copied();
    let later = frames.iter().filter(|f| f.sim_time_us >= us(82.0)).map(|f| CarFrame {
        tick: f.tick + 7_200 * 60,
        sim_time_us: f.sim_time_us + us(7_200.0),
        lap: f.lap + 40,
        laps_completed: f.laps_completed + 40,
        ..*f
    });
    let (before, later): (Vec<_>, Vec<_>) = (before.collect(), later.collect());
    let mut own = Rig::new(&meta());
    own.frames(&before);
    own.restart();
    own.frames(&later);
    own.end();
    let mut field = FieldRig::new(&meta());
    field.frames(&before);
    field.frames(&later);
    field.end();
    for visits in [pit_visits(&own.visits()), pit_visits(&field.visits())] {
        assert_eq!(visits.iter().map(|v| v.kind).collect::<Vec<_>>(), [PitKind::STOP, PitKind::START], "{visits:#?}");
        assert!(near(visits[0].stationary_us, 5.0, 200_000) && visits[0].exit_us.is_none(), "{visits:#?}");
        assert!(near(visits[1].stationary_us, 3.0, 200_000) && near(visits[1].exit_us.unwrap(), 7_295.0, 60_000), "{visits:#?}");
    }
    // Out on the track again: the car stood as long as it was seen.
    let mut own = Rig::new(&meta());
    own.frames(&before);
    own.restart();
    own.frames(later.iter().filter(|f| f.sim_time_us > us(7_300.0)));
    let v = one(&pit_visits(&own.visits())).clone();
    assert!(v.kind == PitKind::STOP && near(v.stationary_us, 5.0, 200_000) && v.exit_us.is_none(), "{v:?}");
}

#[test]
fn practice_starts_on_the_track_and_stays_there() {
    let car = Car::driving(Leg { from_s: 0.0, at_m: 1_000.0, mean_mps: 50.0, swing_m: 0.0, omega: 1.0 });
    assert_eq!(visits(&meta(), &car.frames(0.0, 200.0, 20)), []);
}

fn a_trip() -> impl Strategy<Value = PitTrip> {
    (60.0..80.0f64, 3.0..8.0f64, prop::option::of(1.5..12.0f64), 3.0..8.0f64, 12.0..25.0f64).prop_map(|(enter_s, before, stands, after, lane_mps)| {
        let stall_s = enter_s + before;
        let go_s = stall_s + stands.unwrap_or(0.0);
        PitTrip { enter_s, stands_s: stands.map(|_| (stall_s, go_s)), exit_s: go_s + after, lane_mps }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    /// Every rate, and every other client, sees the same visit, within half a frame at each edge.
    #[test]
    fn resampling_changes_no_visit(trip in a_trip()) {
        let (kind, stood_s) = trip.stands_s.map_or((PitKind::DRIVE_THROUGH, 0.0), |(from, to)| (PitKind::STOP, to - from));
        for hz in [60u32, 20, 10, 4] {
            let frames = pitting(&trip, 140.0, hz);
            let own = visits(&meta(), &frames);
            let mut field = FieldRig::new(&meta());
            field.frames(&frames);
            field.end();
            let frame_us = 1_000_000 / i64::from(hz);
            for (v, field) in [(one(&own), false), (one(&field.visits()), true)] {
                prop_assert_eq!((v.kind, v.field), (kind, field), "{} Hz", hz);
                prop_assert!(near(v.enter_us, trip.enter_s, frame_us / 2 + 1), "{} Hz {:?}", hz, v);
                prop_assert!(near(v.exit_us.unwrap(), trip.exit_s, frame_us / 2 + 1), "{} Hz {:?}", hz, v);
                let bound_us = if field { frame_us * 5 / 4 } else { frame_us };
                prop_assert!(near(v.stationary_us, stood_s, bound_us + 1), "{} Hz {:?}", hz, v);
                if let (false, Some(_)) = (field, trip.stands_s) {
                    prop_assert!(near(v.service_us.unwrap(), stood_s - 0.5, frame_us + 1), "{} Hz {:?}", hz, v);
                    prop_assert!((f64::from(v.fuel_added_l.unwrap()) - 1.95 * (stood_s - 0.5)).abs() <= 0.7, "{} Hz {:?}", hz, v);
                }
                let fast = !field && trip.lane_mps > 22.5;
                prop_assert!(v.speeding == fast || (trip.lane_mps - 22.5).abs() < 0.01);
            }
        }
    }

    /// After any number of rewinds, exactly the visits that were driven last are there, each once.
    #[test]
    fn rewinds_leave_each_visit_once(trip in a_trip(), backs in prop::collection::vec((60.0..110.0f64, 0.0..30.0f64), 1..4)) {
        let frames = pitting(&trip, 140.0, 20);
        let mut rig = Rig::new(&meta());
        let mut at = 0.0;
        for (to, back) in backs {
            let to = to.max(at);
            rig.frames(frames.iter().filter(|f| f.sim_time_us >= us(at) && f.sim_time_us < us(to)));
            at = ((to - back).max(0.0) * 20.0).floor() / 20.0;
            rig.event(EventCode::REWIND, (at * 60.0).round() as u32, us(at));
            rig.store_and_load();
        }
        rig.frames(frames.iter().filter(|f| f.sim_time_us >= us(at)));
        rig.end();
        let all = rig.visits();
        let v = one(&all);
        let kind = if trip.stands_s.is_some() { PitKind::STOP } else { PitKind::DRIVE_THROUGH };
        prop_assert_eq!(v.kind, kind);
        prop_assert!(near(v.enter_us, trip.enter_s, 76_000) && near(v.exit_us.unwrap(), trip.exit_s, 76_000), "{:?}", v);
        let stood_s = trip.stands_s.map_or(0.0, |(from, to)| to - from);
        prop_assert!(near(v.stationary_us, stood_s, 200_000), "{:?}", v);
    }
}
