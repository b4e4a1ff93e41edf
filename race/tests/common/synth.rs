//! A car whose position is an analytic function of time, so that every crossing is known: s(t) = s₀ + v·τ + a·sin(ωτ).

use std::cell::Cell;

use boxbox_schemas::field::{FieldBits, FieldFrame};
use boxbox_schemas::frame::{CarBits, CarFrame, Flags, Presence, SessionState, TrackLoc};
use boxbox_schemas::meta::SessionMeta;

pub const LENGTH_M: f64 = 3_000.0;
/// Where sectors start.
pub const STARTS: [f64; 4] = [0.0, 0.260837, 0.505260, 0.662425];

/// One way of driving, from `from_s` on.
#[derive(Clone, Copy, Debug)]
pub struct Leg {
    pub from_s: f64,
    pub at_m: f64,
    pub mean_mps: f64,
    pub swing_m: f64,
    pub omega: f64,
}

impl Leg {
    fn at_m(&self, t: f64) -> f64 {
        let tau = t - self.from_s;
        self.at_m + self.mean_mps * tau + self.swing_m * (self.omega * tau).sin()
    }
    fn speed_mps(&self, t: f64) -> f64 {
        self.mean_mps + self.swing_m * self.omega * (self.omega * (t - self.from_s)).cos()
    }
}

/// A car: legs in the order of time. Laps end where s is a multiple of the track's length.
#[derive(Clone, Debug)]
pub struct Car {
    pub legs: Vec<Leg>,
    /// The simulator's "last lap", kept: laps done, µs.
    last: Cell<Option<(i64, i64)>>,
}

impl Default for Car {
    /// 35 to 85 m/s with up to 25 m/s² both ways, from 700 m before the line.
    fn default() -> Self {
        Self::driving(Leg { from_s: 0.0, at_m: -700.0, mean_mps: 60.0, swing_m: 25.0, omega: 1.0 })
    }
}

impl Car {
    pub fn driving(leg: Leg) -> Self {
        Self { legs: vec![leg], last: Cell::new(None) }
    }
    fn leg(&self, t: f64) -> &Leg {
        self.legs.iter().rev().find(|l| l.from_s <= t).unwrap_or(&self.legs[0])
    }
    pub fn at_m(&self, t: f64) -> f64 {
        self.leg(t).at_m(t)
    }
    pub fn speed_mps(&self, t: f64) -> f64 {
        self.leg(t).speed_mps(t)
    }

    /// From `t` on the car drives another way, with no jump in place.
    pub fn then(&mut self, t: f64, mean_mps: f64, swing_m: f64, omega: f64) {
        let at_m = self.at_m(t);
        self.legs.retain(|l| l.from_s < t);
        self.legs.push(Leg { from_s: t, at_m, mean_mps, swing_m, omega });
        self.last.set(None);
    }

    /// When the car is at `m` metres, s; it always drives forward.
    pub fn time_at(&self, m: f64) -> f64 {
        let (mut low, mut high) = (-1_000.0, 100_000.0);
        for _ in 0..80 {
            let middle = (low + high) / 2.0;
            if self.at_m(middle) < m { low = middle } else { high = middle }
        }
        high
    }

    /// The whole laps within `from_s..to_s`: start and end, s.
    pub fn laps(&self, from_s: f64, to_s: f64) -> Vec<(f64, f64)> {
        let first = (self.at_m(from_s) / LENGTH_M).floor() as i64 + 1;
        let line = |n: i64| self.time_at(n as f64 * LENGTH_M);
        (first..).map(|n| (line(n), line(n + 1))).take_while(|(_, end)| *end <= to_s).collect()
    }

    /// What the simulator shows at tick `tick` of `hz`.
    pub fn frame(&self, tick: u32, hz: f64) -> CarFrame {
        self.frame_at(tick, (f64::from(tick) / hz * 1e6).round_ties_even() as i64)
    }

    /// The frame of `tick` at session time `us`. The counters lag half a second and the lap time 1.5 s, as real ones do.
    pub fn frame_at(&self, tick: u32, us: i64) -> CarFrame {
        let t = us as f64 / 1e6;
        let lap_of = |t: f64| (self.at_m(t) / LENGTH_M).floor();
        let lap = lap_of(t - 0.5) as i16 + 1;
        let last_lap_time_us = self.last_lap_us(lap_of(t - 1.5) as i64);
        CarFrame {
            tick,
            sim_time_us: us,
            presence: PRESENT.iter().fold(Presence(0), |all, p| all.with(*p)),
            lap_pct: (self.at_m(t) / LENGTH_M).rem_euclid(1.0),
            speed_mps: self.speed_mps(t) as f32,
            lap,
            laps_completed: lap - 1,
            last_lap_time_us,
            track_loc: TrackLoc::ON_TRACK,
            session_state: SessionState::RACING,
            bits: CarBits::ON_TRACK,
            bits_seen: CarBits::ON_TRACK,
            ..CarFrame::default()
        }
    }

    /// The simulator's own time of the last of `done` laps, to 0.1 ms as real ones.
    fn last_lap_us(&self, done: i64) -> i64 {
        if let Some((known, us)) = self.last.get()
            && known == done
        {
            return us;
        }
        let line = |n: i64| self.time_at(n as f64 * LENGTH_M);
        let us = if done >= 1 { ((line(done) - line(done - 1)) * 1e4).round_ties_even() as i64 * 100 } else { 0 };
        self.last.set(Some((done, us)));
        us
    }

    /// Frames of `from_s..to_s` at `hz`, the simulator running at 60 ticks a second.
    pub fn frames(&self, from_s: f64, to_s: f64, hz: u32) -> Vec<CarFrame> {
        let ticks = |s: f64| (s * 60.0).ceil() as u32;
        (ticks(from_s)..ticks(to_s)).step_by((60 / hz) as usize).map(|tick| self.frame(tick, 60.0)).collect()
    }
}

pub const PRESENT: [Presence; 12] = [
    Presence::LAP_PCT,
    Presence::SPEED,
    Presence::LAP,
    Presence::LAPS_COMPLETED,
    Presence::LAST_LAP_TIME,
    Presence::INCIDENTS,
    Presence::TRACK_LOC,
    Presence::SESSION_STATE,
    Presence::FLAGS,
    Presence::PIT_ROAD,
    Presence::TOWING,
    Presence::ON_TRACK,
];

pub fn practice() -> SessionMeta {
    meta("Practice")
}
pub fn race() -> SessionMeta {
    meta("Race")
}
fn meta(session_type: &str) -> SessionMeta {
    SessionMeta { track_length_m: LENGTH_M, sector_starts: STARTS.to_vec(), session_type: session_type.into(), ..SessionMeta::default() }
}

/// The frame as a blank sample: what simulators show in the tick of a reset.
pub fn blank(mut frame: CarFrame) -> CarFrame {
    (frame.lap, frame.lap_pct, frame.speed_mps, frame.track_loc) = (0, 0.0, 0.0, TrackLoc::NOT_IN_WORLD);
    frame
}

/// The frame with `flag` shown.
pub fn flagged(mut frame: CarFrame, flag: Flags) -> CarFrame {
    (frame.flags, frame.flags_seen) = (frame.flags.with(flag), frame.flags_seen.with(flag));
    frame
}

/// `frames` changed where session time, in s, is within `from_s..to_s`.
pub fn within(frames: &mut [CarFrame], from_s: f64, to_s: f64, change: impl Fn(&mut CarFrame)) {
    let us = |s: f64| (s * 1e6).round() as i64;
    frames.iter_mut().filter(|f| (us(from_s)..us(to_s)).contains(&f.sim_time_us)).for_each(change);
}

pub fn put(frame: &mut CarFrame, bit: CarBits) {
    frame.bits = frame.bits.with(bit);
    frame.bits_seen = frame.bits_seen.with(bit);
}

/// The own frame of a car as another client sees it.
pub fn seen(own: &CarFrame) -> FieldFrame {
    let mut bits = FieldBits::LAST_LAP_TIME;
    bits.set(FieldBits::ON_PIT_ROAD, own.bits.has(CarBits::ON_PIT_ROAD));
    FieldFrame {
        tick: own.tick,
        sim_time_us: own.sim_time_us,
        slot: 8,
        lap: own.lap,
        laps_completed: own.laps_completed,
        lap_pct: own.lap_pct as f32,
        last_lap_time_us: own.last_lap_time_us as i32,
        track_loc: own.track_loc,
        bits,
        ..FieldFrame::default()
    }
}

/// Driving through the pit lane, with or without a stop. Session times, s.
#[derive(Clone, Copy, Debug)]
pub struct PitTrip {
    pub enter_s: f64,
    /// Start and end of standing in its stall.
    pub stands_s: Option<(f64, f64)>,
    pub exit_s: f64,
    /// Speed in the lane, m/s.
    pub lane_mps: f64,
}

/// 50 m/s from 2 km before the line, and through the pit lane once: the analytic car, and its frames of `to_s` seconds at `hz`.
pub fn pitting(trip: &PitTrip, to_s: f64, hz: u32) -> Vec<CarFrame> {
    let mut car = Car::driving(Leg { from_s: 0.0, at_m: 1_000.0, mean_mps: 50.0, swing_m: 0.0, omega: 1.0 });
    car.then(trip.enter_s, trip.lane_mps, 0.0, 1.0);
    if let Some((from, to)) = trip.stands_s {
        car.then(from, 0.0, 0.0, 1.0);
        car.then(to, trip.lane_mps, 0.0, 1.0);
    }
    car.then(trip.exit_s, 50.0, 0.0, 1.0);
    let mut frames = car.frames(0.0, to_s, hz);
    frames.iter_mut().for_each(|f| {
        f.presence = f.presence.with(Presence::FUEL).with(Presence::PIT_SERVICE).with(Presence::IN_STALL);
        // 0.05 l/s.
        f.fuel_l = 50.0 - f.sim_time_us as f32 / 20e6;
    });
    within(&mut frames, trip.enter_s, trip.exit_s, |f| {
        put(f, CarBits::ON_PIT_ROAD);
        f.track_loc = TrackLoc::PIT_APPROACH;
    });
    if let Some((from, to)) = trip.stands_s {
        within(&mut frames, from - 0.3, to + 0.3, |f| {
            put(f, CarBits::IN_STALL);
            f.track_loc = TrackLoc::PIT_STALL;
        });
        // Service begins after 0.25 s and ends 0.25 s before the car drives off; 2 l/s are added.
        let (begin, done) = (from + 0.25, (to - 0.25).max(from + 0.25));
        within(&mut frames, begin, done, |f| put(f, CarBits::PIT_SERVICE));
        frames.iter_mut().for_each(|f| {
            let t = f.sim_time_us as f64 / 1e6;
            f.fuel_l += (2.0 * (t.clamp(begin, done) - begin)) as f32;
        });
    }
    frames
}
