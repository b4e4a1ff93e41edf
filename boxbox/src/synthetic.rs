//! A synthetic car whose lap times are known exactly: what the demo drives, and a truth to test against.
//!
//! Progress within a lap of duration `T` is `u + b/(2π)·sin(2πu)` with `u` the fraction of `T` gone: smooth, faster near
//! the line than across from it, and at the line exactly when `T` is over. `b` follows from `T`, so that the car crosses
//! the line at one speed in every lap, as nothing with a mass can change its speed at once.

use std::f64::consts::TAU;

use boxbox_schemas::frame::{CarBits, CarFrame, Presence, SessionState, TrackLoc};
use boxbox_schemas::meta::{MetaEntry, SessionMeta};

/// Ticks per second of session time, as iRacing has.
pub const TICK_HZ: u32 = 60;
const LENGTH_M: f64 = 1_200.0;
const SECTORS: [f64; 3] = [0.0, 0.3, 0.7];
/// Speed at the line, m/s.
const LINE_MPS: f64 = 80.0;
const SLOT: u16 = 7;

/// One car, alone on a short track, from a little before the line on.
pub struct SyntheticCar {
    // Session time at which each lap begins, µs; the last is where driving ends.
    starts_us: Vec<i64>,
}

impl SyntheticCar {
    /// A car that drives laps of these times, µs, after an approach to the line of `approach_us`.
    pub fn new(approach_us: i64, laps_us: &[i64]) -> Self {
        let mut starts_us = vec![approach_us];
        starts_us.extend(laps_us.iter().scan(approach_us, |t, lap| {
            *t += lap;
            Some(*t)
        }));
        Self { starts_us }
    }

    /// The session as its client describes it.
    pub fn meta(&self) -> SessionMeta {
        SessionMeta {
            track_name: "Demo Ring".into(),
            track_length_m: LENGTH_M,
            sector_starts: SECTORS.to_vec(),
            session_type: "Practice".into(),
            own_slot: SLOT,
            entries: vec![MetaEntry {
                slot: SLOT,
                driver_name: "Synthetic Driver".into(),
                number: "7".into(),
                car_name: "Demo GT".into(),
                ..Default::default()
            }],
            ..Default::default()
        }
    }

    /// The slot of the car.
    pub fn slot(&self) -> u16 {
        SLOT
    }

    /// The frames, tick by tick, until a second after the last lap.
    pub fn frames(&self) -> impl Iterator<Item = CarFrame> + '_ {
        let end_us = self.starts_us.last().map_or(0, |t| t + 1_000_000);
        (1u32..)
            .map(|tick| (tick, i64::from(tick) * 1_000_000 / i64::from(TICK_HZ)))
            .take_while(move |(_, t)| *t < end_us)
            .map(|(tick, t)| self.frame(tick, t))
    }

    fn frame(&self, tick: u32, t_us: i64) -> CarFrame {
        // Lap 0 is the approach: the tail of a lap as long as the first.
        let lap = self.starts_us.partition_point(|start| *start <= t_us);
        let duration = |lap: usize| match (self.starts_us.get(lap.wrapping_sub(1)), self.starts_us.get(lap)) {
            (Some(from), Some(to)) => (to - from) as f64,
            _ => self.starts_us.get(1).map_or(1e6, |to| (to - self.starts_us[0]) as f64),
        };
        let length_us = duration(lap);
        let u = if lap == 0 { 1.0 - (self.starts_us[0] - t_us) as f64 / length_us } else { (t_us - self.starts_us[lap - 1]) as f64 / length_us };
        let mean_mps = LENGTH_M * 1e6 / length_us;
        let swing = LINE_MPS / mean_mps - 1.0;
        let pct = (u + swing / TAU * libm::sin(TAU * u)).clamp(0.0, 1.0);
        let speed = mean_mps * (1.0 + swing * libm::cos(TAU * u));
        let accelerating = libm::sin(TAU * u) < 0.0;
        // Like a simulator, the last lap's time shows up a second after the line.
        let told = self.starts_us.partition_point(|start| start + 1_000_000 <= t_us);
        let last_lap_time_us = if told >= 2 { self.starts_us[told - 1] - self.starts_us[told - 2] } else { 0 };
        let mut presence =
            [Presence::LAP_PCT, Presence::LAP_DIST, Presence::SPEED, Presence::THROTTLE, Presence::BRAKE, Presence::LAP, Presence::LAPS_COMPLETED]
                .into_iter()
                .chain([Presence::TRACK_LOC, Presence::PIT_ROAD, Presence::ON_TRACK, Presence::SESSION_STATE, Presence::INCIDENTS])
                .fold(Presence::default(), Presence::with);
        presence.set(Presence::LAST_LAP_TIME, last_lap_time_us > 0);
        CarFrame {
            tick,
            sim_time_us: t_us,
            presence,
            lap_pct: pct,
            lap_dist_m: (pct * LENGTH_M) as f32,
            speed_mps: speed as f32,
            throttle: if accelerating { 1.0 } else { 0.2 },
            brake: if accelerating { 0.0 } else { 0.3 },
            last_lap_time_us,
            lap: lap as i16,
            laps_completed: lap as i16 - 1,
            bits: CarBits::ON_TRACK,
            bits_seen: CarBits::ON_TRACK,
            track_loc: TrackLoc::ON_TRACK,
            session_state: SessionState::RACING,
            ..Default::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_car_is_on_the_line_exactly_when_a_lap_ends() {
        let car = SyntheticCar::new(3_000_000, &[20_123_456, 19_876_543]);
        let at = |t| car.frame(0, t).lap_pct;
        for line in [3_000_000, 23_123_456, 42_999_999] {
            assert!(at(line - 100) > 0.999_9 && at(line + 100) < 0.000_1, "{line}");
        }
        assert!(car.frames().all(|f| boxbox_schemas::limits::SPEED_MAX_MPS > f.speed_mps && f.speed_mps > 0.0));
    }
}
