//! Frames: a car's values at a tick as a simulator reports them, with counters that lag and flicker (`lap.number`).

use std::f64::consts::{PI, TAU};

use boxbox_schemas::event::EventCode;
use boxbox_schemas::field::{FieldBits, FieldFrame};
use boxbox_schemas::frame::{CarBits, CarFrame, Flags, Presence, Surface, TrackLoc};
use boxbox_schemas::slow::{SlowFrame, SlowPresence};

use super::Race;
use super::car::{Begin, Car, Piece, seconds, us};
use super::motion::State;
use super::track::wrapped;

/// Ticks per second of session time, as iRacing has.
pub const TICK_HZ: u32 = 60;
const GRAVITY: f64 = 9.81;
const TICK_S: f64 = 1.0 / TICK_HZ as f64;
/// A car this close to its stall is in it, m.
const STALL_M: f64 = 3.0;
/// The lap counter ticks over once too often after the start, for this long, s.
const FLICKER_S: f64 = 1.0;

/// Session time of a tick, µs.
pub fn tick_us(tick: u32) -> i64 {
    (i64::from(tick) * 1_000_000 + i64::from(TICK_HZ) / 2).div_euclid(i64::from(TICK_HZ))
}

/// Session time of a tick as the clients of `car` are shown it, µs.
pub(super) fn shown_us(car: &Car, tick: u32) -> i64 {
    let us = tick_us(tick);
    if car.slips_s.is_empty() { us } else { us + tick_us(car.slipped(seconds(us)) as u32) }
}

/// The first tick at or after session time `us`.
pub(super) fn tick_from(us: i64) -> u32 {
    let near = (us.max(0) * i64::from(TICK_HZ) / 1_000_000) as u32;
    (near.saturating_sub(1)..).find(|tick| tick_us(*tick) >= us).unwrap_or(near)
}

/// The simulator's counters at a moment.
#[derive(Clone, Copy, Default)]
struct Counters {
    lap: i16,
    completed: i16,
    last_us: i64,
    place: u8,
    class_place: u8,
}

/// The fields that are always present.
const SHOWN: [Presence; 30] = [
    Presence::LAP_PCT,
    Presence::LAP_DIST,
    Presence::SPEED,
    Presence::VELOCITY,
    Presence::ACCEL,
    Presence::ATTITUDE,
    Presence::YAW_RATE,
    Presence::HEADING_NORTH,
    Presence::LAT_LON,
    Presence::POSITION_M,
    Presence::THROTTLE,
    Presence::BRAKE,
    Presence::STEER,
    Presence::STEER_MAX,
    Presence::GEAR,
    Presence::RPM,
    Presence::FUEL,
    Presence::FUEL_RATE,
    Presence::LAP,
    Presence::LAPS_COMPLETED,
    Presence::PLACE,
    Presence::INCIDENTS,
    Presence::INCIDENT_LATCH,
    Presence::TRACK_LOC,
    Presence::SURFACE,
    Presence::SESSION_STATE,
    Presence::FLAGS,
    Presence::PIT_ROAD,
    Presence::IN_STALL,
    Presence::ON_TRACK,
];

/// One car during one of its pieces.
pub(super) struct View<'a> {
    pub(super) race: &'a Race,
    pub(super) car: &'a Car,
    pub(super) piece: &'a Piece,
}

impl View<'_> {
    /// The frame of `tick`; its pulses are only those of this tick.
    pub(super) fn frame(&self, tick: u32) -> CarFrame {
        let t = seconds(tick_us(tick));
        let mut frame = CarFrame { tick, sim_time_us: shown_us(self.car, tick), ..CarFrame::default() };
        let shown = SHOWN.iter().fold(Presence::PIT_SERVICE.with(Presence::TOWING), |all, p| all.with(*p));
        frame.presence = shown;
        frame.flags = self.race.flags(self.car, t);
        frame.flags_seen = frame.flags;
        frame.session_state = self.race.state(self.car, t);
        if self.car.told.state_lag_us.is_none() {
            frame.presence = frame.presence.without(Presence::SESSION_STATE);
        }
        frame.bits = CarBits::ON_TRACK;
        if self.blank(t) {
            // The first sample, and that of a reset, reports the car on track but without a position.
            frame.track_loc = TrackLoc::NOT_IN_WORLD;
            frame.bits_seen = frame.bits;
            return frame;
        }
        let state = self.piece.motion.at(t);
        self.counters(t).show(&mut frame);
        self.whereabouts(t, &state, &mut frame);
        self.dynamics(t, &state, &mut frame);
        frame.incident_count = self.piece.count(t);
        for points in self.piece.points.iter().filter(|p| (p.at_s..p.at_s + TICK_S).contains(&t)) {
            frame.incident_reports += 1;
            frame.incident_report = points.report;
        }
        frame.bits_seen = frame.bits;
        frame
    }

    /// What the client of a driver shows who is not in the car: the session, and no car.
    pub(super) fn beside(&self, tick: u32) -> CarFrame {
        let f = self.frame(tick);
        let presence = [Presence::SESSION_STATE, Presence::FLAGS, Presence::TRACK_LOC, Presence::ON_TRACK].into_iter();
        CarFrame {
            tick,
            sim_time_us: f.sim_time_us,
            presence: presence.filter(|p| f.presence.has(*p)).fold(Presence(0), Presence::with),
            flags: f.flags,
            flags_seen: f.flags,
            session_state: f.session_state,
            track_loc: TrackLoc::NOT_IN_WORLD,
            ..CarFrame::default()
        }
    }

    /// The first tick of the session and of a piece that begins with a jump.
    fn blank(&self, t: f64) -> bool {
        let shows = matches!(self.piece.begin, Begin::Flashback | Begin::Shift { blank: false });
        self.car.absent || !shows && t < self.piece.from_s + TICK_S
    }

    fn counters(&self, t: f64) -> Counters {
        let car = self.car;
        let (mut lap, mut completed) = match self.race.green_s {
            Some(green) => (i16::from(t >= green), if self.race.start == super::Start::Rolling && t < green { -1 } else { 0 }),
            // As in a real recording of a car on its way from its stall to the first line.
            None => (0, -1),
        };
        let (mut last_us, mut shown) = (0, None);
        let length = self.race.circuit.length_m;
        for (k, at) in self.known_lines().enumerate() {
            let Some(at) = at else {
                // The car jumped over the line: the line counts as soon as the car is beyond it.
                if self.piece.motion.at(t).s_m >= k as f64 * length && self.piece.motion.at(self.piece.from_s).s_m >= k as f64 * length {
                    (lap, completed, last_us) = (k as i16 + 1, k as i16, 0);
                }
                continue;
            };
            // The lap may tick over while the fraction is still a little short of the line.
            if t >= at - 0.02 + 0.2 * car.chance(3, k as u64) {
                // Not if a chart has the car cross the line at the green light.
                let from_grid = k == 0 && self.race.green_s.is_some_and(|green| at > green + FLICKER_S);
                let flickers = from_grid && t < at + FLICKER_S;
                lap = k as i16 + 1 + i16::from(flickers);
            }
            if t >= at + 0.5 + 1.7 * car.chance(4, k as u64) {
                completed = k as i16;
                last_us = self.sim_lap_us(k, at).unwrap_or(0);
            }
            if t >= at + 0.3 {
                shown = car.places.get(k).copied().or(shown);
            }
        }
        let in_class = self.race.cars.iter().take_while(|c| c.slot != car.slot).filter(|c| c.class.id == car.class.id).count() as u8;
        let (place, class_place) = shown.unwrap_or((car.grid.min(255) as u8, in_class + 1));
        Counters { lap, completed, last_us, place, class_place }
    }

    /// Lines passed until this piece, with those that a later flashback undoes.
    fn known_lines(&self) -> impl Iterator<Item = Option<f64>> {
        let (length, piece) = (self.race.circuit.length_m, self.piece);
        let undone = piece.stands_until_s < piece.until_s;
        let own = move |k: usize| {
            let at = if undone { piece.motion.when(k as f64 * length) } else { None };
            at.filter(|t| (piece.stands_until_s..piece.until_s).contains(t))
        };
        let counts = self.car.lines.len();
        let lines = counts + self.car.after.len() + usize::from(undone);
        let line = move |k: usize| self.car.lines.get(k).or_else(|| self.car.after.get(k - counts)).copied().flatten();
        (0..lines).map(move |k| own(k).or(line(k)))
    }

    /// The simulator's own time of the lap that ends at line `k`, to 0.1 ms.
    fn sim_lap_us(&self, k: usize, end: f64) -> Option<i64> {
        let start = match (k, self.car.first_start_s(self.race.green_s)) {
            (0, _) => return None,
            (1, Some(green)) => green,
            _ => self.known_lines().nth(k - 1)??,
        };
        (!self.car.jumped_between(start, end)).then(|| libm::rint((end - start) * 1e4) as i64 * 100)
    }

    fn whereabouts(&self, t: f64, state: &State, frame: &mut CarFrame) {
        let length = self.race.circuit.length_m;
        let pct = state.s_m / length - libm::floor(state.s_m / length);
        frame.lap_pct = pct;
        frame.lap_dist_m = (pct * length) as f32;
        let off = Piece::within(&self.piece.off, state.s_m);
        let lane = Piece::within(&self.piece.lane, state.s_m);
        let from_stall = (state.s_m - self.car.stall_m) / length;
        let in_stall = lane && (from_stall - libm::rint(from_stall)).abs() * length < STALL_M;
        let near_lane = Piece::within(&self.piece.lane, state.s_m + 40.0);
        (frame.track_loc, frame.surface) = match (off, in_stall, near_lane || lane) {
            (true, ..) => (TrackLoc::OFF_TRACK, Surface::GRASS),
            (_, true, _) => (TrackLoc::PIT_STALL, Surface::CONCRETE),
            (_, _, true) => (TrackLoc::PIT_APPROACH, Surface::ASPHALT),
            _ => (TrackLoc::ON_TRACK, Surface::ASPHALT),
        };
        frame.bits.set(CarBits::ON_PIT_ROAD, lane);
        frame.bits.set(CarBits::IN_STALL, in_stall);
        frame.bits.set(CarBits::PIT_SERVICE, self.piece.services.iter().any(|s| (s.from_s..s.until_s).contains(&t)));
        frame.bits.set(CarBits::TOWING, t < self.piece.tow_until_s);
    }

    fn dynamics(&self, t: f64, state: &State, frame: &mut CarFrame) {
        let point = self.race.circuit.point(state.s_m);
        let class = &self.car.class;
        let (v, a) = (state.speed_mps, state.accel_mps2);
        // In a spin the car turns once round while it slides on.
        let turning = self.piece.spins.iter().find(|(from, until)| (*from..*until).contains(&t));
        let slip = turning.map_or(0.0, |(from, until)| TAU * (t - from) / (until - from));
        let slip_rate = turning.map_or(0.0, |(from, until)| TAU / (until - from));
        let yaw = wrapped(point.heading_rad + slip);
        let (lat, lon) = point.lat_lon_deg();
        (frame.lat_deg, frame.lon_deg) = (lat, lon);
        frame.position_m = [point.x_m as f32, point.y_m as f32, 0.0];
        frame.speed_mps = v as f32;
        frame.velocity_mps = [(v * libm::cos(slip)) as f32, (-v * libm::sin(slip)) as f32, 0.0];
        let across = v * v * point.curvature_1pm;
        let touched = self.piece.points.iter().any(|p| p.report == 8 && (p.at_s..p.at_s + TICK_S).contains(&t));
        frame.accel_mps2 = [a as f32, (across + if touched { 55.0 } else { 0.0 }) as f32, GRAVITY as f32];
        frame.yaw_rad = yaw as f32;
        frame.pitch_rad = (-a * 0.002).clamp(-0.05, 0.05) as f32;
        frame.roll_rad = (across * 0.0015).clamp(-0.05, 0.05) as f32;
        frame.yaw_rate_radps = (v * point.curvature_1pm + slip_rate) as f32;
        frame.heading_north_rad = (PI / 2.0 - yaw).rem_euclid(TAU) as f32;
        frame.throttle =
            if a > 0.05 { (0.25 + 0.75 * a / (class.accel_mps2 * (1.0 - v / class.v_max_mps).max(0.02))).clamp(0.0, 1.0) as f32 } else { 0.0 };
        frame.brake = if a < -0.5 { (-a / class.brake_mps2).clamp(0.0, 1.0) as f32 } else { 0.0 };
        frame.steer_rad = (point.curvature_1pm * 2.7 * 13.0).clamp(-7.0, 7.0) as f32;
        frame.steer_max_rad = 7.85;
        let gear = 1.0 + libm::floor(5.999 * v / class.v_max_mps);
        frame.gear = if v < 0.1 { 0 } else { gear as i8 };
        frame.rpm = (1_500.0 + 6_000.0 * if v < 0.1 { 0.0 } else { 0.35 + 0.65 * v / (class.v_max_mps * gear / 6.0) }) as f32;
        frame.fuel_l = self.piece.fuel_l(class, t, state) as f32;
        // l/km at v m/s is 3.6·v l/h for each l/km; 0.75 kg/l.
        frame.fuel_rate_kgph = (class.burn_lpkm * v * 3.6 * 0.75) as f32;
    }

    /// Tyres and weather at `tick`.
    pub(super) fn slow(&self, tick: u32) -> SlowFrame {
        let t = seconds(tick_us(tick));
        let state = self.piece.motion.at(t);
        let temp = |wheel: f64| [80.0 + wheel, 84.0 + wheel, 82.0 + wheel].map(|c| (c + state.speed_mps * 0.1) as f32);
        let wear = (1.0 - state.s_m.max(0.0) / 400_000.0).clamp(0.0, 1.0) as f32;
        let shown = [
            SlowPresence::TYRE_WEAR,
            SlowPresence::TYRE_TEMP,
            SlowPresence::TYRE_PRESSURE,
            SlowPresence::WATER,
            SlowPresence::OIL_TEMP,
            SlowPresence::AIR_TEMP,
            SlowPresence::TRACK_TEMP,
            SlowPresence::TYRE_SETS,
        ];
        SlowFrame {
            tick,
            sim_time_us: shown_us(self.car, tick),
            presence: shown.into_iter().fold(SlowPresence(0), SlowPresence::with),
            tyre_wear: [[wear; 3]; 4],
            tyre_temp_c: [temp(0.0), temp(1.5), temp(-2.0), temp(-1.0)],
            tyre_pressure_kpa: [178.0, 178.5, 176.0, 176.5],
            water_c: 88.0,
            oil_c: 102.0,
            air_c: 22.0,
            track_c: 31.5,
            tyre_sets_used: self.piece.tyre_sets(t),
            ..SlowFrame::default()
        }
    }

    /// The car as the client of `observer` sees it at `tick`.
    pub(super) fn field(&self, observer: &Car, tick: u32) -> Option<FieldFrame> {
        let f = self.frame(tick);
        if f.track_loc == TrackLoc::NOT_IN_WORLD {
            return None;
        }
        let mut bits = FieldBits::FLAGS;
        bits.set(FieldBits::ON_PIT_ROAD, f.bits.has(CarBits::ON_PIT_ROAD));
        bits.set(FieldBits::LAST_LAP_TIME, f.last_lap_time_us > 0);
        Some(FieldFrame {
            tick,
            sim_time_us: shown_us(observer, tick),
            slot: self.car.slot,
            lap: f.lap,
            laps_completed: f.laps_completed,
            rpm: f.rpm as u16,
            // The nearest number below 1: the fraction of a car just before the line must not become that of the next lap.
            lap_pct: (f.lap_pct as f32).min(1.0 - f32::EPSILON / 2.0),
            flags: f.flags,
            last_lap_time_us: f.last_lap_time_us as i32,
            est_time_us: 0,
            track_loc: f.track_loc,
            bits,
            place: f.place,
            class_place: f.class_place,
            gear: f.gear,
            spare: [0; 3],
        })
    }
}

impl Counters {
    fn show(self, frame: &mut CarFrame) {
        frame.lap = self.lap;
        frame.laps_completed = self.completed;
        frame.last_lap_time_us = self.last_us;
        frame.presence.set(Presence::LAST_LAP_TIME, self.last_us > 0);
        frame.place = self.place;
        frame.class_place = self.class_place;
    }
}

impl Car {
    /// Whether the car was put elsewhere between two moments, s: a jump that ends on the line does not cross it.
    pub(super) fn jumped_between(&self, from_s: f64, until_s: f64) -> bool {
        self.pieces.iter().any(|p| p.begin.is_jump() && p.from_s >= from_s && p.from_s <= until_s)
    }
}

/// Frames of ticks in between are not sent: their pulses are in the next frame that is sent.
#[derive(Default)]
pub(super) struct Latch {
    flags: Flags,
    bits: CarBits,
    reports: u8,
    report: u8,
}

impl Latch {
    /// `frame` is not sent.
    pub(super) fn skip(&mut self, frame: &CarFrame) {
        self.flags = self.flags.with(frame.flags_seen);
        self.bits = self.bits.with(frame.bits_seen);
        self.reports = self.reports.saturating_add(frame.incident_reports);
        if frame.incident_reports > 0 {
            self.report = frame.incident_report;
        }
    }

    /// `frame` is sent, with what was skipped before it.
    pub(super) fn send(&mut self, frame: CarFrame) -> CarFrame {
        self.skip(&frame);
        let latch = std::mem::take(self);
        CarFrame { flags_seen: latch.flags, bits_seen: latch.bits, incident_reports: latch.reports, incident_report: latch.report, ..frame }
    }
}

/// The event that a client sends when a piece begins.
pub(super) fn begin_event(car: &Car, piece: &Piece) -> Option<(EventCode, u32, i64)> {
    let tick = tick_from(us(piece.from_s));
    match piece.begin {
        Begin::Start | Begin::Shift { .. } => None,
        Begin::Jump { .. } => Some((EventCode::RESET, tick, shown_us(car, tick))),
        Begin::Flashback => Some((EventCode::REWIND, tick, shown_us(car, tick))),
    }
}
