//! Jumps of any distance at any place: a car that goes back drove no lap, and laps are those that the simulator counted (`lap.jump`,
//! `lap.cut`, `lap.untimed`).

#![allow(clippy::unwrap_used)]

mod common;

use boxbox_schemas::event::EventCode;
use boxbox_schemas::frame::{CarBits, CarFrame, Presence, TrackLoc};
use boxbox_schemas::meta::SessionMeta;
use boxbox_schemas::results::{Lap, Reasons, Tags};
use common::Rig;
use common::synth::{PRESENT, blank, practice, put};
use proptest::prelude::*;

const TICK_US: i64 = 16_667;
/// The simulator's counters and its lap time follow the line after this time, s.
const LAG_S: f64 = 1.0;

/// A simulator with one car on a track of `length_m`: what it shows, and the laps that it counts.
struct Sim {
    length_m: f64,
    tick: u32,
    /// Way along the centre line since the line before lap 1, m.
    at_m: f64,
    mps: f64,
    counts: bool,
    /// Laps begun, by the simulator: 1 in lap 1.
    lap: i16,
    /// Crossings that ended a lap that the simulator counts: the tick, the lap's number, and its time if it has one.
    ended: Vec<(u32, i16, Option<i64>)>,
    began_tick: Option<u32>,
    /// It gives this lap no time.
    refuses: Option<i16>,
}

impl Sim {
    fn new(length_m: f64, at: f64, mps: f64, counts: bool) -> Self {
        Self { length_m, tick: 600, at_m: at * length_m, mps, counts, lap: 1, ended: vec![], began_tick: None, refuses: None }
    }

    fn meta(&self) -> SessionMeta {
        SessionMeta { track_length_m: self.length_m, ..practice() }
    }

    /// One tick of driving.
    fn step(&mut self) {
        self.tick += 1;
        let before = (self.at_m / self.length_m).floor();
        self.at_m += self.mps * TICK_US as f64 / 1e6;
        if (self.at_m / self.length_m).floor() > before {
            self.line();
        }
    }

    /// The car crosses the line, driving or not.
    fn line(&mut self) {
        let time_us = self.began_tick.filter(|_| self.refuses != Some(self.lap)).map(|from| i64::from(self.tick - from) * TICK_US);
        self.ended.push((self.tick, self.lap, time_us));
        self.lap += 1;
        self.began_tick = Some(self.tick);
    }

    fn frame(&self) -> CarFrame {
        let lag = (LAG_S * 60.0) as u32;
        let seen = self.ended.iter().rev().find(|(tick, ..)| tick + lag <= self.tick);
        let mut presence = PRESENT.iter().fold(Presence(0), |all, p| all.with(*p)).with(Presence::IN_STALL);
        if !self.counts {
            presence = presence.without(Presence::LAP).without(Presence::LAPS_COMPLETED);
        }
        CarFrame {
            tick: self.tick,
            sim_time_us: i64::from(self.tick) * TICK_US,
            presence,
            lap_pct: (self.at_m / self.length_m).rem_euclid(1.0),
            speed_mps: self.mps as f32,
            lap: self.lap,
            laps_completed: seen.map_or(0, |(_, lap, _)| *lap),
            last_lap_time_us: seen.and_then(|(.., us)| *us).unwrap_or(-1),
            track_loc: TrackLoc::ON_TRACK,
            bits: CarBits::ON_TRACK,
            bits_seen: CarBits::ON_TRACK,
            ..CarFrame::default()
        }
    }

    fn drive(&mut self, rig: &mut Rig, ticks: u32) {
        for _ in 0..ticks {
            self.step();
            rig.frame(&self.frame());
        }
    }

    /// Drive until `laps` more laps have ended, and long enough behind the line.
    fn drive_laps(&mut self, rig: &mut Rig, laps: f64) {
        let until_m = self.at_m + laps * self.length_m;
        while self.at_m < until_m {
            self.drive(rig, 1);
        }
    }
}

/// How a car comes to be elsewhere.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Cause {
    /// In one tick, at its speed.
    Moving,
    /// It stood before and stands after.
    Standing,
    /// Standing in the stall, before and after.
    InStall,
    /// Blank samples between.
    Blank,
    /// The client says so.
    Event,
}

const CAUSES: [Cause; 5] = [Cause::Moving, Cause::Standing, Cause::InStall, Cause::Blank, Cause::Event];

/// Put the car `by` of a lap elsewhere, after `away_s` without frames; `recount` is what the simulator's counter does.
fn put_elsewhere(sim: &mut Sim, rig: &mut Rig, by: f64, cause: Cause, away_s: f64, recount: i16) {
    let mps = sim.mps;
    let stands = matches!(cause, Cause::Standing | Cause::InStall);
    let shown = |sim: &Sim| {
        let mut frame = sim.frame();
        if cause == Cause::InStall {
            frame.track_loc = TrackLoc::PIT_STALL;
            put(&mut frame, CarBits::ON_PIT_ROAD);
            put(&mut frame, CarBits::IN_STALL);
        }
        frame
    };
    if stands {
        sim.mps = 0.0;
        (0..30).for_each(|_| {
            sim.step();
            rig.frame(&shown(sim));
        });
    }
    if away_s > 0.0 {
        sim.tick += (away_s * 60.0) as u32;
        rig.missing(10);
    }
    if cause == Cause::Blank {
        (0..3).for_each(|_| {
            sim.tick += 1;
            rig.frame(&blank(sim.frame()));
        });
    }
    if cause == Cause::Event {
        rig.event(EventCode::RESET, sim.tick, i64::from(sim.tick) * TICK_US);
    }
    sim.at_m += by * sim.length_m;
    sim.lap += recount;
    if stands {
        (0..30).for_each(|_| {
            sim.step();
            rig.frame(&shown(sim));
        });
    }
    sim.mps = mps;
}

fn numbers(laps: &[Lap]) -> Vec<i16> {
    laps.iter().map(|l| l.number as i16).collect()
}

/// A car that is put back, and stays in its lap.
#[derive(Clone, Copy, Debug)]
struct PutBack {
    km: f64,
    /// Where it is in its lap, and how much of that it is put back, as fractions.
    from: f64,
    back: f64,
    mps: f64,
    cause: Cause,
    away_s: f64,
    counts: bool,
    stored: bool,
}

impl PutBack {
    /// Whether the frames say that the car did not drive on over the line to where it was put. Where frames are missing and no counter tells it, it
    /// can have done so if that is the shorter way.
    fn is_decidable(&self) -> bool {
        let Self { from, back, away_s, counts, .. } = *self;
        away_s == 0.0 || from * back < 0.5 || counts
    }

    fn check(self) -> Result<(), TestCaseError> {
        let Self { km, from, back, mps, cause, away_s, counts, stored } = self;
        let mut sim = Sim::new(km * 1_000.0, 0.7, mps, counts);
        let mut rig = Rig::new(&sim.meta());
        // Lap 1 is joined in the middle; lap 2 is driven whole; the jump is in lap 3.
        sim.drive_laps(&mut rig, 1.3 + from);
        let jump_us = i64::from(sim.tick) * TICK_US;
        // From beyond the line of lap 3, so that the car stays in it.
        let by = -(from * back);
        put_elsewhere(&mut sim, &mut rig, by, cause, away_s, 0);
        if stored {
            rig.store_and_load();
        }
        sim.drive_laps(&mut rig, from - by.abs() + 2.3);
        rig.end();
        let laps = rig.laps();
        let timed: Vec<i16> = laps.iter().filter(|l| l.timed_us().is_some()).map(|l| l.number as i16).collect();
        let near = by.abs() * km * 1_000.0 < 20.0;
        prop_assert!(laps.iter().all(|l| l.end_us <= jump_us || l.start_us >= jump_us || !l.valid() || near), "{self:?}: {laps:?}");
        if counts {
            // Lap 1 began before the client joined.
            let counted: Vec<i16> = sim.ended.iter().map(|e| e.1).filter(|n| *n > 1).collect();
            prop_assert_eq!(numbers(&laps), counted, "{:?}: {:?}", self, laps);
        } else {
            // Without a counter only what was driven from line to line counts.
            prop_assert!(timed.len() < sim.ended.len(), "{self:?}: {laps:?}");
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    /// A car that is put back, and stays in its lap, drives on: its laps are those that the simulator counted, each once, and the lap of the
    /// jump has no time that counts.
    #[test]
    fn a_car_that_is_put_back_drove_no_lap(
        km in prop::sample::select(vec![0.5, 1.2, 4.0, 25.0]),
        from in 0.2..0.98f64,
        back in 0.0..0.9f64,
        mps in 30.0..80.0f64,
        cause in prop::sample::select(CAUSES.to_vec()),
        away_s in prop::sample::select(vec![0.0, 0.0, 0.3, 0.6, 0.9, 2.0, 25.0]),
        counts: bool,
        stored: bool,
    ) {
        let put = PutBack { km, from, back, mps, cause, away_s, counts, stored };
        prop_assume!(put.is_decidable());
        put.check()?;
    }

    /// An active reset over the line, to before it: the simulator counts the lap again from there.
    #[test]
    fn a_reset_to_before_the_line_makes_no_lap(
        km in prop::sample::select(vec![0.5, 1.2, 4.0, 25.0]),
        beyond_m in 20.0..120.0f64,
        before_m in 20.0..120.0f64,
        mps in 30.0..80.0f64,
        cause in prop::sample::select(CAUSES.to_vec()),
        times in 1usize..4,
        settled: bool,
    ) {
        let mut sim = Sim::new(km * 1_000.0, 0.7, mps, true);
        let mut rig = Rig::new(&sim.meta());
        sim.drive_laps(&mut rig, 0.3 + beyond_m / sim.length_m + if settled { 1.0 } else { 0.0 });
        let first = sim.ended.len();
        for _ in 0..times {
            put_elsewhere(&mut sim, &mut rig, -(beyond_m + before_m) / (km * 1_000.0), cause, 0.0, -1);
            // What the simulator has told of the lap stays; the second crossing ends the same lap.
            sim.ended.truncate(first);
            let ended = sim.ended.clone();
            sim.drive_laps(&mut rig, (beyond_m + before_m) / (km * 1_000.0));
            sim.ended = ended;
        }
        sim.drive_laps(&mut rig, 2.2);
        rig.end();
        let laps = rig.laps();
        let whole_us = (km * 1e9 / mps) as i64;
        let timed: Vec<&Lap> = laps.iter().filter(|l| l.timed_us().is_some()).collect();
        // A lap is as long as the track: none contains a reset.
        prop_assert!(timed.iter().all(|l| (l.time_us - whole_us).abs() < 40_000), "{whole_us}: {timed:?}");
        let mut all = numbers(&laps);
        all.dedup();
        prop_assert_eq!(all, sim.ended.iter().map(|e| e.1).filter(|n| *n > 1).collect::<Vec<_>>(), "{:?}", laps);
    }

    /// A car that leaves out a part of the track: the lap is told, with its time, and does not count; unless the simulator gives it that time.
    #[test]
    fn a_cut_leaves_a_lap_that_does_not_count(
        km in prop::sample::select(vec![1.2, 4.0, 25.0]),
        from in 0.05..0.8f64,
        cut_m in 40.0..250.0f64,
        mps in 30.0..80.0f64,
        counts: bool,
        refused: bool,
    ) {
        let mut sim = Sim::new(km * 1_000.0, 0.7, mps, counts);
        let mut rig = Rig::new(&sim.meta());
        sim.drive_laps(&mut rig, 0.3 + from);
        put_elsewhere(&mut sim, &mut rig, cut_m / (km * 1_000.0), Cause::Moving, 0.0, 0);
        sim.refuses = refused.then_some(2);
        sim.drive_laps(&mut rig, 2.2);
        rig.end();
        let laps = rig.laps();
        let cut = laps.iter().find(|l| l.number == if counts { 2 } else { 1 }).unwrap();
        let whole_us = ((km * 1_000.0 - cut_m) / mps * 1e6) as i64;
        prop_assert!((cut.time_us - whole_us).abs() < 40_000 && cut.timed_us().is_some(), "{whole_us}: {cut:?}");
        // A lap that the simulator counts and refuses has that reason too (`validity.refused`).
        let expected = if refused { Reasons::CUT } else { Reasons(0) };
        prop_assert_eq!(if refused { cut.reasons.without(Reasons::SIM_INVALID) } else { cut.reasons }, expected, "{:?}", cut);
        prop_assert!(laps.iter().filter(|l| l.number != cut.number).all(|l| l.valid()));
    }
}

/// A car at full speed does not turn back while a few frames are missing (`motion.back`).
#[test]
fn a_moving_car_that_is_put_back_while_few_frames_are_missing_drove_no_lap() {
    for counts in [false, true] {
        let put = PutBack { km: 4.0, from: 0.658, back: 0.0219, mps: 67.4, cause: Cause::Moving, away_s: 0.3, counts, stored: false };
        put.check().unwrap();
    }
}

/// A car that is put back to just behind the line that began its lap, while frames are missing, and stands there or drives on: the counter is
/// asked once it can be read (`lap.asked`).
#[test]
fn a_car_that_is_put_just_behind_its_line_drove_no_lap() {
    for (from, back, cause, away_s) in [(0.7, 0.985, Cause::Standing, 25.0), (0.7, 0.985, Cause::Moving, 25.0), (0.95, 0.99, Cause::Moving, 2.0)] {
        for stored in [false, true] {
            PutBack { km: 4.0, from, back, mps: 60.0, cause, away_s, counts: true, stored }.check().unwrap();
        }
    }
    // It stays there.
    let mut sim = Sim::new(4_000.0, 0.7, 60.0, true);
    let mut rig = Rig::new(&sim.meta());
    sim.drive_laps(&mut rig, 2.0);
    put_elsewhere(&mut sim, &mut rig, -0.68, Cause::Standing, 25.0, 0);
    sim.mps = 0.0;
    sim.drive(&mut rig, 600);
    rig.end();
    assert_eq!(rig.numbers(), [2]);
}

#[test]
fn a_tow_keeps_lap_number_and_place() {
    // In mid-lap; and just behind the line, where the counter is right once the car has stood for a while.
    for (laps, stands) in [(1.5, 0), (1.32, 600)] {
        let mut sim = Sim::new(4_000.0, 0.7, 59.0, true);
        let mut rig = Rig::new(&sim.meta());
        sim.drive_laps(&mut rig, laps);
        if stands > 0 {
            sim.mps = 0.0;
            sim.drive(&mut rig, stands);
        }
        let before = rig.race.now(&rig.ctx).unwrap();
        put_elsewhere(&mut sim, &mut rig, 0.77, Cause::Blank, 0.0, 0);
        sim.mps = 0.0;
        sim.drive(&mut rig, 600);
        let towed = rig.race.now(&rig.ctx).unwrap();
        assert_eq!((towed.lap, towed.lap_start_us), (before.lap, before.lap_start_us), "{laps}");
        assert_eq!(towed.loops_us[..before.loops_us.len()], before.loops_us);
        assert!(towed.loops_us[before.loops_us.len()..].iter().all(|us| *us < 0), "no client saw it pass these");
        sim.mps = 18.0;
        sim.drive_laps(&mut rig, 1.4);
        rig.end();
        let lap = rig.lap(3);
        assert_eq!((lap.timed_us(), lap.valid(), lap.tags.has(Tags::UNTIMED)), (None, false, true), "{laps}");
        assert_eq!(rig.numbers(), [2, 3, 4], "{laps}");
    }
}

#[test]
fn a_lap_that_is_counted_while_the_car_is_not_shown_is_a_lap() {
    for (ticks, away) in [(30, false), (600, false), (30, true)] {
        let mut sim = Sim::new(4_000.0, 0.7, 60.0, true);
        let mut rig = Rig::new(&sim.meta());
        // To 1 m short of the end of lap 3.
        sim.drive_laps(&mut rig, 2.3 - 0.000_3);
        for n in 0..ticks {
            sim.step();
            let mut frame = blank(sim.frame());
            frame.lap = sim.lap;
            frame.laps_completed = if n < 10 { 2 } else { 3 };
            rig.frame(&frame);
        }
        if away {
            // It comes back in the pits.
            sim.at_m += 1_000.0;
            sim.mps = 0.0;
            sim.drive(&mut rig, 600);
        }
        rig.end();
        assert_eq!(rig.numbers(), [2, 3], "{ticks} {away}");
        let (end_us, line_us) = (rig.lap(3).end_us, i64::from(sim.ended[2].0) * TICK_US);
        assert!(rig.lap(3).timed_us().is_none() && (end_us - line_us).abs() <= 200_000, "{end_us} {line_us}");
    }
}

/// `swap.lap`: the end of a stream leaves the open lap as it is, so that another driver can finish it.
#[test]
fn the_end_of_a_stream_takes_no_open_lap_away() {
    let mut sim = Sim::new(4_000.0, 0.7, 60.0, true);
    let mut rig = Rig::new(&sim.meta());
    sim.drive_laps(&mut rig, 2.0);
    let before = rig.race.now(&rig.ctx).unwrap();
    rig.end();
    assert_eq!(rig.race.now(&rig.ctx).unwrap(), before);
}
