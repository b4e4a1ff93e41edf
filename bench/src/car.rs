//! [`Car`]: makes records of a car that drives laps at constant speed. Its frames are valid, change from tick to tick, and cost little.

use boxbox_schemas::frame::{CarBits, CarFrame, Presence, SessionState, TrackLoc};
use boxbox_schemas::record::{Kind, Prelude, archive, seal};
use boxbox_schemas::{RunId, Source};
use bytes::Bytes;

/// Speed of the car, m/s.
const SPEED_MPS: f64 = 50.0;

/// Makes the records of one car.
pub struct Car {
    run: RunId,
    source: Source,
    phase: f64,
    frame_us: f64,
    lap_s: f64,
    seq: u64,
}

/// A crossing of the line within a record.
pub struct Crossing {
    /// Session time of the crossing, µs.
    pub at_us: i64,
    /// Time from the crossing to the record's last frame.
    pub before_last: std::time::Duration,
}

impl Car {
    /// A car at `phase` (0..1) of a lap of `lap_s` seconds, `rate` frames per second.
    pub fn new(run: RunId, source: Source, phase: f64, rate: f64, lap_s: f64) -> Self {
        Self { run, source, phase, frame_us: 1e6 / rate, lap_s, seq: 0 }
    }

    /// The crossing that ended a whole lap, if there was one between the frame before the last `count` frames and the last.
    pub fn crossing(&self, count: u16) -> Option<Crossing> {
        let laps = |seq: u64| self.phase + seq as f64 * self.frame_us / 1e6 / self.lap_s;
        let last = self.seq.checked_sub(1)?;
        let line = laps(last).floor();
        // The lap before the first crossing is not a whole lap.
        let crossed = line > laps(last.checked_sub(count.into())?) && line >= 2.0;
        let at_us = (line - self.phase) * self.lap_s * 1e6;
        let before_us = last as f64 * self.frame_us - at_us;
        crossed.then(|| Crossing { at_us: at_us as i64, before_last: std::time::Duration::from_secs_f64(before_us.max(0.0) / 1e6) })
    }

    /// The source of its session.
    pub fn source(&self) -> Source {
        self.source
    }

    /// The next record, of `count` frames.
    pub fn record(&mut self, count: u16) -> Bytes {
        let prelude = Prelude { kind: Kind::CAR, run: self.run, source: self.source, slot: 1, meta_rev: 0, first_seq: self.seq, count };
        let mut payload = Vec::with_capacity(usize::from(count) * boxbox_schemas::frame::CAR_FRAME_BYTES);
        for seq in self.seq..self.seq + u64::from(count) {
            payload.extend_from_slice(&archive(&self.frame(seq)));
        }
        self.seq += u64::from(count);
        // The range of the option --batch keeps records below the limit: 160 frames of 200 bytes.
        seal(&prelude, &payload).unwrap_or_default()
    }

    fn frame(&self, seq: u64) -> CarFrame {
        let t_us = (seq as f64 * self.frame_us) as i64;
        let length_m = SPEED_MPS * self.lap_s;
        let pct = (self.phase + t_us as f64 / 1e6 / self.lap_s).fract();
        let wave = (pct * std::f64::consts::TAU).sin() as f32;
        CarFrame {
            tick: seq as u32,
            sim_time_us: t_us,
            presence: Presence(u64::MAX >> 27),
            lap_pct: pct,
            lap_dist_m: (pct * length_m) as f32,
            speed_mps: SPEED_MPS as f32,
            velocity_mps: [50.0, wave * 0.2, 0.0],
            accel_mps2: [wave * 5.0, wave * 12.0, 9.81],
            throttle: 0.5 + wave * 0.5,
            brake: 0.5 - wave * 0.5,
            steer_rad: wave,
            rpm: 6_500.0 + wave * 900.0,
            fuel_l: 40.0,
            gear: 4,
            lap: (t_us as f64 / 1e6 / self.lap_s) as i16 + 1,
            bits: CarBits::ON_TRACK,
            track_loc: TrackLoc::ON_TRACK,
            session_state: SessionState::RACING,
            ..Default::default()
        }
    }
}
