//! `start.green`, `start.grid`, `start.pits`: where lap 1 begins, for grids of any length on tracks of any length, however the simulator
//! counts and shows the start, for own cars and for cars seen by others.

#![allow(clippy::unwrap_used)]

mod common;

use boxbox_schemas::event::EventCode;
use boxbox_schemas::frame::{CarBits, CarFrame, Flags, Presence, SessionState, TrackLoc};
use boxbox_schemas::meta::SessionMeta;
use boxbox_schemas::results::{Lap, Reasons};
use common::synth::{PRESENT, blank, flagged, put, race, seen};
use common::{FieldRig, Rig};
use proptest::prelude::*;

/// The light, s. Before it the field waits.
const LIGHT_S: f64 = 20.0;
/// Speed of the car once it drives, m/s.
const MPS: f64 = 50.0;

/// How a simulator counts laps around the start: (lap, completed).
#[derive(Clone, Copy, PartialEq, Debug)]
enum Counts {
    /// 0/-1 until the line, 1/0 beyond it, half a second late: what iRacing's recordings show.
    Late,
    /// 0/-1, at the light 1/-1, at the line 2/0 for a second, then 1/0: what iRacing's developers describe.
    Flickering,
    /// 1/0 on both sides of the line.
    Same,
    /// 0/-1, from the light on 1/-1 until lap 1 is over: iRacing's counters as a script made them.
    UntilLap1,
    /// None.
    Absent,
}

/// How a simulator shows that the race starts.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Shown {
    /// A light, the state 1.1 s later.
    Light,
    /// The green flag while the state still waits.
    Flag,
    /// The green flag in the frame of the new state.
    FlagWithState,
    /// The green flag so many seconds after the state.
    FlagAfterState(f64),
    /// The state alone; there are no flags.
    State,
}

#[derive(Clone, Copy, Debug)]
struct Grid {
    length_m: f64,
    /// Where the car is at the light, m; below 0 behind the line.
    at_m: f64,
    rolls: bool,
    counts: Counts,
    shown: Shown,
}

impl Grid {
    fn meta(&self) -> SessionMeta {
        SessionMeta { track_length_m: self.length_m, ..race() }
    }

    fn begins_s(&self) -> f64 {
        if self.rolls { 0.0 } else { LIGHT_S + 0.7 }
    }

    /// Where the car is, m.
    fn m(&self, t: f64) -> f64 {
        if self.rolls { self.at_m + MPS * (t - LIGHT_S) } else { self.at_m + MPS * (t - self.begins_s()).max(0.0) }
    }

    /// When the car passes the line for the `n`-th time since it began lap 1, s.
    fn line_s(&self, n: f64) -> f64 {
        let from_s = if self.rolls { LIGHT_S } else { self.begins_s() };
        from_s + (n * self.length_m - self.at_m) / MPS
    }

    fn counters(&self, t: f64) -> (i16, i16) {
        let laps = |t: f64| (self.m(t) / self.length_m).floor() as i16;
        let (now, late) = (laps(t), laps(t - 0.5).max(if self.at_m >= 0.0 { 0 } else { -1 }));
        match self.counts {
            Counts::Late | Counts::Absent => {
                if late < 0 {
                    (0, -1)
                } else {
                    (late + 1, late)
                }
            }
            Counts::Flickering if t < LIGHT_S => (0, -1),
            Counts::Flickering if now < 0 => (1, -1),
            Counts::Flickering if laps(t - 1.0) < now => (now + 2, now),
            Counts::Flickering => (now + 1, now),
            Counts::Same => (late.max(0) + 1, late.max(0)),
            Counts::UntilLap1 if t < LIGHT_S => (0, -1),
            Counts::UntilLap1 if now < 1 => (1, -1),
            Counts::UntilLap1 => (now + 1, late),
        }
    }

    fn frame(&self, tick: u32) -> CarFrame {
        let t = f64::from(tick) / 60.0;
        let (lap, laps_completed) = self.counters(t);
        let waits_until_s = match self.shown {
            Shown::Light => LIGHT_S + 1.1,
            Shown::Flag => LIGHT_S + 0.4,
            Shown::FlagWithState | Shown::State => LIGHT_S,
            Shown::FlagAfterState(late_s) => LIGHT_S - late_s,
        };
        let mut frame = CarFrame {
            tick,
            sim_time_us: (t * 1e6).round_ties_even() as i64,
            presence: PRESENT.iter().fold(Presence(0), |all, p| all.with(*p)),
            lap_pct: (self.m(t) / self.length_m).rem_euclid(1.0),
            speed_mps: if t < self.begins_s() { 0.0 } else { MPS as f32 },
            lap,
            laps_completed,
            track_loc: TrackLoc::ON_TRACK,
            session_state: if t < waits_until_s { SessionState::PARADE } else { SessionState::RACING },
            bits: CarBits::ON_TRACK,
            bits_seen: CarBits::ON_TRACK,
            ..CarFrame::default()
        };
        match self.shown {
            Shown::State => frame.presence = frame.presence.without(Presence::FLAGS),
            Shown::Light if (LIGHT_S..LIGHT_S + 5.0).contains(&t) => frame = flagged(frame, Flags::START_GO.with(Flags::GREEN)),
            Shown::Light => {}
            _ if (LIGHT_S..LIGHT_S + 8.0).contains(&t) => frame = flagged(frame, Flags::GREEN),
            _ => {}
        }
        if self.counts == Counts::Absent {
            frame.presence = frame.presence.without(Presence::LAP).without(Presence::LAPS_COMPLETED);
            (frame.lap, frame.laps_completed) = (0, 0);
        }
        frame
    }

    /// Frames from 12 s before the light until the car has driven 2.4 laps.
    fn frames(&self, hz: u32) -> Vec<CarFrame> {
        let ticks = (8 * 60..(self.line_s(2.4) * 60.0) as u32).step_by((60 / hz) as usize);
        ticks.map(|tick| self.frame(tick)).collect()
    }
}

fn a_grid() -> impl Strategy<Value = (Grid, u32)> {
    let counts = prop::sample::select(vec![Counts::Late, Counts::Flickering, Counts::Same, Counts::UntilLap1, Counts::Absent]);
    let shown = prop_oneof![
        Just(Shown::Light),
        Just(Shown::Flag),
        Just(Shown::FlagWithState),
        (0.1..4.0f64).prop_map(Shown::FlagAfterState),
        Just(Shown::State)
    ];
    let place = prop_oneof![4 => -0.8..-0.001f64, 1 => 0.001..0.08f64];
    (
        prop::sample::select(vec![580.0, 900.0, 3_000.0, 6_000.0, 25_000.0f64]),
        place,
        any::<bool>(),
        counts,
        shown,
        prop::sample::select(vec![60u32, 20, 10, 4]),
    )
        .prop_map(|(length_m, place, rolls, counts, shown, hz)| {
            // Without counters nothing but the place says where lap 1 begins.
            let place = if counts == Counts::Absent { place.max(-0.49) } else { place };
            (Grid { length_m, at_m: place * length_m, rolls, counts, shown }, if length_m > 4_000.0 { hz.min(10) } else { hz })
        })
}

/// Laps 1 and 2 of `laps` are those that the car drove from the light on, to `near_us`.
fn as_driven(laps: &[Lap], grid: &Grid, light_us: i64, near_us: i64) -> Result<(), TestCaseError> {
    let us = |n: f64| (grid.line_s(n) * 1e6).round() as i64;
    let timed: Vec<_> = laps.iter().map(|l| (l.number, l.start_us, l.end_us)).collect();
    prop_assert_eq!(timed.iter().map(|l| l.0).collect::<Vec<_>>(), vec![1, 2], "{:?}", timed);
    prop_assert_eq!(timed[0].1, light_us);
    prop_assert!((timed[0].2 - us(1.0)).abs() <= near_us && timed[0].2 == timed[1].1 && (timed[1].2 - us(2.0)).abs() <= near_us, "{timed:?}");
    for lap in laps.iter().filter(|lap| !lap.sectors_us.is_empty()) {
        prop_assert_eq!(lap.sectors_us.iter().sum::<i64>(), lap.time_us);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn lap_1_runs_from_the_light_to_the_line((grid, hz) in a_grid(), seed: u64) {
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut own, mut other) = (Rig::new(&grid.meta()), FieldRig::new(&grid.meta()));
        let frames = grid.frames(hz);
        for frame in &frames {
            own.frame(frame);
            if random.u32(0..200) == 0 {
                own.store_and_load();
            }
            // The car as another client sees it, whose own frames show the same start.
            if frame.tick % 15 == 0 {
                other.race.on_start(&other.ctx, own.race.start(), &mut other.out);
                other.frame(&seen(frame));
            }
        }
        own.end();
        other.end();
        let light_us = frames.iter().map(|f| f.sim_time_us).find(|us| *us >= 20_000_000).unwrap();
        as_driven(&own.laps(), &grid, light_us, 2)?;
        prop_assert!(own.laps().iter().all(|l| l.valid()));
        if grid.counts != Counts::Absent {
            // Fractions of cars seen by others have half the digits.
            as_driven(&other.laps(), &grid, light_us, 2_000)?;
        }
    }

    /// A car that goes to its pits at the light, in front of the line or beyond it, has its lap 1 from the light.
    #[test]
    fn who_escapes_to_the_pits_has_a_lap_1_from_the_light(
        at_m in -300.0..-5.0f64,
        after_s in -0.3..0.6f64,
        blanks in 0u32..6,
        stall in prop::sample::select(vec![0.93, 0.97, 0.02, 0.05]),
        waits_s in 1.0..30.0f64,
        counts in prop::sample::select(vec![Counts::Late, Counts::Same, Counts::UntilLap1]),
        event: bool,
        late: bool,
    ) {
        let grid = Grid { length_m: 3_000.0, at_m, rolls: false, counts, shown: Shown::Light };
        // Its way from the stall on is that of a car that stood there.
        let stall_m = if stall > 0.5 { (stall - 1.0) * 3_000.0 } else { stall * 3_000.0 };
        let moved_us = ((waits_s + after_s) * 1e6) as i64;
        let from_pits = Grid { at_m: stall_m, ..grid };
        let reset_us = 20_000_000 + (after_s * 1e6) as i64;
        let mut rig = Rig::new(&grid.meta());
        let drives_us = reset_us + moved_us.max(1_000_000);
        let mut blanks_left = blanks;
        let mut told = !event;
        for tick in 600..((f64::from(60) * 200.0) as u32) {
            let here = grid.frame(tick);
            if here.sim_time_us < reset_us {
                // Who joins late is not in the world before.
                rig.frame(&if late { blank(here) } else { here });
                continue;
            }
            if !told {
                told = true;
                rig.event(EventCode::RESET, tick, here.sim_time_us);
            }
            // The frame of a car that began to drive later.
            let shift = ((drives_us - 20_700_000) * 60 / 1_000_000) as u32;
            let then = from_pits.frame((tick.saturating_sub(shift)).max(1_201));
            let mut frame = CarFrame { lap_pct: then.lap_pct, speed_mps: then.speed_mps, lap: then.lap, laps_completed: then.laps_completed, ..here };
            let stands = frame.speed_mps == 0.0;
            if here.sim_time_us < drives_us + 8_000_000 {
                put(&mut frame, CarBits::ON_PIT_ROAD);
                frame.track_loc = if stands { TrackLoc::PIT_STALL } else { TrackLoc::PIT_APPROACH };
            }
            if blanks_left > 0 {
                blanks_left -= 1;
                frame = blank(frame);
            }
            rig.frame(&frame);
        }
        rig.end();
        let laps = rig.laps();
        let end_us = drives_us + ((3_000.0 - stall_m) / MPS * 1e6) as i64;
        prop_assert_eq!(laps[0].number, 1);
        prop_assert_eq!(laps[0].start_us, 20_000_000);
        prop_assert!((laps[0].end_us - end_us).abs() <= 20_000, "{:?} against {}", laps[0], end_us);
        prop_assert!(laps[0].reasons.has(Reasons::OUT_LAP));
        prop_assert_eq!(laps[1].number, 2);
        prop_assert!((laps[1].time_us - 60_000_000).abs() <= 10 && laps[1].valid());
    }

    /// A rewind to between the light and the line, wherever the car stood.
    #[test]
    fn a_rewind_to_the_grid_keeps_lap_1((grid, _) in a_grid(), back_s in 0.1..0.9f64, on_s in 0.0..20.0f64) {
        let length_m = grid.length_m.min(6_000.0);
        let grid = Grid { length_m, at_m: grid.at_m / grid.length_m * length_m, shown: Shown::Light, ..grid };
        let mut rig = Rig::new(&grid.meta());
        let from = ((LIGHT_S + 1.0 + on_s.min(grid.line_s(1.0) - LIGHT_S - 1.5)) * 60.0) as u32;
        let to = ((LIGHT_S + back_s) * 60.0).ceil() as u32;
        let end = (grid.line_s(2.4) * 60.0) as u32;
        (480..from).for_each(|tick| rig.frame(&grid.frame(tick)));
        rig.event(EventCode::REWIND, to, (f64::from(to) / 60.0 * 1e6) as i64);
        (to..end).for_each(|tick| rig.frame(&grid.frame(tick)));
        rig.end();
        as_driven(&rig.laps(), &grid, 20_000_000, 2)?;
    }
}

#[test]
fn a_start_that_was_over_before_the_first_frame_is_none() {
    for shown in [Shown::Light, Shown::Flag, Shown::FlagWithState, Shown::State] {
        let grid = Grid { length_m: 3_000.0, at_m: -20.0, rolls: false, counts: Counts::Late, shown };
        let mut rig = Rig::new(&grid.meta());
        rig.frames(grid.frames(60).iter().filter(|f| f.sim_time_us > 20_450_000));
        rig.end();
        assert_eq!(rig.race.start().green_us, None, "{shown:?}");
        assert!(rig.laps().iter().all(|l| l.number > 1 || l.timed_us().is_none()), "{shown:?}: {:?}", rig.numbers());
    }
}
