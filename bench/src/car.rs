//! Frames of a car that drives round and round: valid, moving, and cheap to make.

use boxbox_schemas::frame::{CarBits, CarFrame, Presence, SessionState, TrackLoc};
use boxbox_schemas::record::{Kind, Prelude, archive, seal};
use boxbox_schemas::{RunId, Source};
use bytes::Bytes;

/// Seconds for a lap.
const LAP_S: f64 = 90.0;
const LENGTH_M: f64 = 4_500.0;

/// Makes one car's records.
pub struct Car {
    run: RunId,
    source: Source,
    phase: f64,
    frame_us: f64,
    seq: u64,
}

impl Car {
    /// A car at `phase` (0..1) of the lap, `rate` frames per second.
    pub fn new(run: RunId, source: Source, phase: f64, rate: f64) -> Self {
        Self { run, source, phase, frame_us: 1e6 / rate, seq: 0 }
    }

    /// The next record, of `count` frames.
    pub fn record(&mut self, count: u16) -> Bytes {
        let prelude = Prelude { kind: Kind::CAR, run: self.run, source: self.source, slot: 1, meta_rev: 0, first_seq: self.seq, count };
        let mut payload = Vec::with_capacity(usize::from(count) * boxbox_schemas::frame::CAR_FRAME_BYTES);
        for seq in self.seq..self.seq + u64::from(count) {
            payload.extend_from_slice(&archive(&self.frame(seq)));
        }
        self.seq += u64::from(count);
        // At most 160 frames of 200 bytes fit a record by the option's range.
        seal(&prelude, &payload).unwrap_or_default()
    }

    fn frame(&self, seq: u64) -> CarFrame {
        let t_us = (seq as f64 * self.frame_us) as i64;
        let pct = (self.phase + t_us as f64 / 1e6 / LAP_S).fract();
        let wave = (pct * std::f64::consts::TAU).sin() as f32;
        CarFrame {
            tick: seq as u32,
            sim_time_us: t_us,
            presence: Presence(u64::MAX >> 27),
            lap_pct: pct,
            lap_dist_m: (pct * LENGTH_M) as f32,
            speed_mps: (LENGTH_M / LAP_S) as f32,
            velocity_mps: [50.0, wave * 0.2, 0.0],
            accel_mps2: [wave * 5.0, wave * 12.0, 9.81],
            throttle: 0.5 + wave * 0.5,
            brake: 0.5 - wave * 0.5,
            steer_rad: wave,
            rpm: 6_500.0 + wave * 900.0,
            fuel_l: 40.0,
            gear: 4,
            lap: (t_us as f64 / 1e6 / LAP_S) as i16 + 1,
            bits: CarBits::ON_TRACK,
            track_loc: TrackLoc::ON_TRACK,
            session_state: SessionState::RACING,
            ..Default::default()
        }
    }
}
