//! [`Frame`]: one frame as the race logic sees it. Absent values are `None`; a blank sample has no position (`motion.blank`).

use boxbox_schemas::field::{ArchivedFieldFrame, FieldBits};
use boxbox_schemas::frame::{ArchivedCarFrame, CarBits, Flags, Presence, SessionState, TrackLoc};

/// A gap between two frames is noted in the lap if it is at least this long, µs. No sensible sampling rate has such gaps.
pub(super) const MISSING_US: i64 = 1_000_000;

/// One frame. Frames of all simulators, of own and of observed cars, are converted to this before a rule is applied.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) us: i64,
    pub(super) tick: u32,
    pub(super) seq: u64,
    /// Fraction of the lap; `None` in a blank sample: the car is not in the world, or it has no driver.
    pub(super) pct: Option<f64>,
    pub(super) speed_mps: Option<f32>,
    pub(super) lap_dist_m: Option<f32>,
    /// Fuel, l (kWh).
    pub(super) fuel_l: Option<f32>,
    /// The simulator's count of laps started.
    pub(super) lap: Option<i16>,
    pub(super) laps_completed: Option<i16>,
    /// The simulator's time of the last lap, µs; 0 while there is none, below 0 if the simulator refuses one (`validity.refused`).
    pub(super) last_lap_us: i64,
    pub(super) incidents: Option<u16>,
    pub(super) off_track: bool,
    pub(super) in_stall: bool,
    /// On pit road, in the stall or the garage; `None` if the simulator does not say.
    pub(super) in_pits: Option<bool>,
    /// The simulator shows whether the car is on pit road, not only whether it is in its stall.
    pub(super) knows_pit_road: bool,
    /// The simulator shows whether the car is in its stall.
    pub(super) knows_stall: bool,
    /// Being serviced; `None` if the simulator does not say.
    pub(super) in_service: Option<bool>,
    pub(super) towing: bool,
    pub(super) electric: bool,
    pub(super) sim_invalid: bool,
    /// The simulator shows flags, and the frame is the own car's.
    pub(super) knows_flags: bool,
    pub(super) flags: Flags,
    pub(super) flags_seen: Flags,
    pub(super) state: SessionState,
}

impl Frame {
    #[inline]
    pub(super) fn of(f: &ArchivedCarFrame, seq: u64, bits: CarBits) -> Self {
        let p = Presence::from(&f.presence);
        let loc = if p.has(Presence::TRACK_LOC) { Some(TrackLoc::from(&f.track_loc)) } else { None };
        let is = |presence: Presence, bit: CarBits| p.has(presence) && bits.has(bit);
        let in_garage = is(Presence::IN_GARAGE, CarBits::IN_GARAGE);
        let in_stall = is(Presence::IN_STALL, CarBits::IN_STALL) || loc == Some(TrackLoc::PIT_STALL);
        let not_driven = p.has(Presence::ON_TRACK) && !bits.has(CarBits::ON_TRACK);
        let pct = f.lap_pct.to_native();
        let blank = loc == Some(TrackLoc::NOT_IN_WORLD) || not_driven || in_garage || !p.has(Presence::LAP_PCT) || !pct.is_finite();
        let in_pits = if p.has(Presence::PIT_ROAD) {
            Some(bits.has(CarBits::ON_PIT_ROAD) || in_stall || in_garage)
        } else if let Some(loc) = loc {
            // Without the bit for pit road, the approach, which includes pit road, is the best approximation.
            Some(in_stall || in_garage || loc == TrackLoc::PIT_APPROACH)
        } else if p.any(Presence::IN_STALL.with(Presence::IN_GARAGE)) {
            Some(in_stall || in_garage)
        } else {
            None
        };
        let flags = p.has(Presence::FLAGS);
        Self {
            us: f.sim_time_us.to_native(),
            tick: f.tick.to_native(),
            seq,
            pct: (!blank).then_some(pct),
            speed_mps: p.has(Presence::SPEED).then(|| f.speed_mps.to_native()),
            lap_dist_m: p.has(Presence::LAP_DIST).then(|| f.lap_dist_m.to_native()),
            fuel_l: p.has(Presence::FUEL).then(|| f.fuel_l.to_native()),
            lap: p.has(Presence::LAP).then(|| f.lap.to_native()),
            laps_completed: p.has(Presence::LAPS_COMPLETED).then(|| f.laps_completed.to_native()),
            last_lap_us: if p.has(Presence::LAST_LAP_TIME) { f.last_lap_time_us.to_native() } else { 0 },
            incidents: p.has(Presence::INCIDENTS).then(|| f.incident_count.to_native()),
            off_track: loc == Some(TrackLoc::OFF_TRACK),
            in_stall,
            in_pits,
            knows_pit_road: loc.is_some() || p.has(Presence::PIT_ROAD),
            knows_stall: loc.is_some() || p.has(Presence::IN_STALL),
            in_service: p.has(Presence::PIT_SERVICE).then(|| bits.has(CarBits::PIT_SERVICE)),
            electric: bits.has(CarBits::ELECTRIC),
            knows_flags: flags,
            towing: is(Presence::TOWING, CarBits::TOWING),
            sim_invalid: bits.has(CarBits::SIM_LAP_INVALID),
            flags: if flags { Flags::from(&f.flags) } else { Flags(0) },
            flags_seen: if flags { Flags::from(&f.flags_seen).with(Flags::from(&f.flags)) } else { Flags(0) },
            state: if p.has(Presence::SESSION_STATE) { SessionState::from(&f.session_state) } else { SessionState::INVALID },
        }
    }

    /// A frame of an observed car.
    #[inline]
    pub(super) fn of_field(f: &ArchivedFieldFrame, seq: u64) -> Self {
        let (bits, loc) = (FieldBits::from(&f.bits), TrackLoc::from(&f.track_loc));
        let pct = f64::from(f.lap_pct.to_native());
        let blank = loc == TrackLoc::NOT_IN_WORLD || !pct.is_finite();
        let in_stall = loc == TrackLoc::PIT_STALL;
        let flags = if bits.has(FieldBits::FLAGS) { Flags::from(&f.flags) } else { Flags(0) };
        Self {
            us: f.sim_time_us.to_native(),
            tick: f.tick.to_native(),
            seq,
            pct: (!blank).then_some(pct),
            speed_mps: None,
            lap_dist_m: None,
            fuel_l: None,
            lap: Some(f.lap.to_native()),
            laps_completed: Some(f.laps_completed.to_native()),
            last_lap_us: if bits.has(FieldBits::LAST_LAP_TIME) { i64::from(f.last_lap_time_us.to_native()) } else { 0 },
            incidents: None,
            off_track: loc == TrackLoc::OFF_TRACK,
            in_stall,
            in_pits: Some(bits.has(FieldBits::ON_PIT_ROAD) || in_stall),
            knows_pit_road: true,
            knows_stall: true,
            in_service: None,
            electric: false,
            // Only the car's own client reports its flags.
            knows_flags: false,
            towing: false,
            sim_invalid: false,
            flags,
            flags_seen: flags,
            state: SessionState::INVALID,
        }
    }

    /// The simulator's own number of the lap being driven, 1-based.
    pub(super) fn sim_lap_number(&self) -> Option<u32> {
        let number = self.lap.or(self.laps_completed.map(|n| n.saturating_add(1)))?;
        u32::try_from(number).ok().filter(|n| *n > 0)
    }

    /// Laps completed by the simulator's count. `None` while its two counters disagree: the number of the lap changes at the line, the
    /// number of laps completed up to 2.2 s later, and a reset may set back only one.
    pub(super) fn laps_counted(&self) -> Option<u32> {
        let (by_lap, completed) = (self.lap.map(|n| i32::from(n) - 1), self.laps_completed.map(i32::from));
        let agree = by_lap.is_none() || completed.is_none() || by_lap == completed;
        by_lap.or(completed).filter(|_| agree).and_then(|n| u32::try_from(n).ok())
    }

    /// Whether the lap counters are still those before the end of lap 1. Parade laps count 1/0, then 0/-1. The count of laps begun may show
    /// 2 for a second after the line.
    pub(super) fn before_first_lap(&self) -> bool {
        self.laps_completed.map_or(self.lap.is_none_or(|n| n <= 1), |n| n <= 0)
    }

    /// Whether the simulator's counters say that the car is behind the line from which its lap 1 counts (`start.grid`). iRacing shows 0/-1
    /// there and 1/0 beyond it.
    pub(super) fn before_line(&self) -> bool {
        self.laps_completed.map_or(self.lap == Some(0), |n| n < 0)
    }

    /// Whether the field still waits for the green light.
    pub(super) fn before_green(&self) -> bool {
        (SessionState::GET_IN_CAR..=SessionState::PARADE).contains(&self.state)
    }
}

/// Whether the time between two frames is long enough to be noted as a gap.
pub(crate) fn missing(from_us: i64, to_us: i64) -> bool {
    to_us - from_us >= MISSING_US
}
