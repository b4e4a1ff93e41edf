//! Pit visits (`pit.visit`): what a car does from entering the pits to leaving them.
//!
//! A visit is a *stop* if the car drove in and stood in its own stall for half a second in all, else a *drive-through*. It is a *tow*
//! if the car came there without driving, and a *start* if the stream's first frame shows the car there. Standing before the green
//! light or after the chequered flag is not a stop. Frames show pit road, stall and service as yes or no, so the time of a change is
//! half-way between two frames, and all sampling rates give the same times within half a frame. Durations follow the ticks (`clock.slip`).
//!
//! Where teams race, a driver who is not in the car tells nothing of it (`swap.watching`): a visit ends for them in the last frame in
//! which they were in the car, without an exit, and begins for the next driver in the first such frame. Each row says how the car was at
//! such an end, and `timing::pit_visits` joins them (`pit.swap`).
//!
//! The speed of an observed car is computed from its motion along the track. That is good enough to see it stand, but not to see it
//! speeding, because the pit lane and the track beside it differ in length.

use boxbox_schemas::frame::{Flags, SessionState};
use boxbox_schemas::results::{PitEnds, PitKind, PitMoment, PitVisit};
use serde::{Deserialize, Serialize};

use super::frame_context::FrameContext;
use super::fuel::FUEL_NOISE_L;
use super::part::{Part, Slow};
use super::stopwatch::Stopwatch;
use crate::stream::fact::{Fact, Output};
use crate::stream::frame::{Frame, missing};
use crate::stream::identity::Origin;
use crate::stream::motion::PIT_ROAD_FLICKER_US;
use crate::stream::sparse::is_default;
use crate::stream::step::STANDING_MPS;

/// A stop has at least this much standing time in the stall, µs.
const STOP_US: i64 = PitVisit::STOP_US;
/// A car is speeding if it exceeds the limit (`pit.speeding`) by more than this, m/s,
const SPEEDING_TOLERANCE_MPS: f32 = 0.5;
/// in at least this many frames.
const SPEEDING_FRAMES: u8 = 2;
/// Number of past visits kept for a rewind.
const PAST_VISITS: usize = 2;
/// Slow frames come once a second, so the last change of tyre sets may come this long after the visit, µs.
const TYRES_LAG_US: i64 = 2_000_000;

/// The pit visits of one car.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Pits {
    /// A frame has shown whether the car is in the pits.
    known: bool,
    #[serde(skip_serializing_if = "is_default")]
    open: Option<Visit>,
    /// The visits before, oldest first.
    #[serde(skip_serializing_if = "is_default")]
    past: Vec<Visit>,
    /// Tyre sets used so far.
    #[serde(skip_serializing_if = "is_default")]
    tyre_sets: Option<u16>,
}

/// One visit.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Visit {
    tick: u32,
    /// The kind of the visit unless the car stops.
    #[serde(rename = "came")]
    arrival: PitKind,
    lap: u32,
    enter_us: i64,
    #[serde(skip_serializing_if = "is_default")]
    exit_us: Option<i64>,
    /// When it ended, seen or not; `None` while it is under way, µs.
    #[serde(skip_serializing_if = "is_default")]
    over_us: Option<i64>,
    stood: Stopwatch,
    /// It was emitted as a stop.
    #[serde(rename = "stop", alias = "told_stop", skip_serializing_if = "is_default")]
    emitted_as_stop: bool,
    /// `None` if the simulator does not say.
    #[serde(skip_serializing_if = "is_default")]
    serviced: Option<Stopwatch>,
    /// Half-way between the last two frames between which the car moved, µs.
    #[serde(rename = "moved", alias = "moved_us")]
    moved_us: i64,
    /// Lowest level so far, l.
    #[serde(rename = "low", alias = "fuel_low_l", skip_serializing_if = "is_default")]
    fuel_low_l: Option<f32>,
    /// Highest level so far, l.
    #[serde(rename = "high", skip_serializing_if = "is_default")]
    fuel_high_l: Option<f32>,
    /// Largest rise of the level, l, and when it was reached, µs.
    #[serde(rename = "added", alias = "fuel_added", skip_serializing_if = "is_default")]
    fuel_added: (f32, i64),
    /// Tyre sets used when it began.
    #[serde(rename = "sets", alias = "tyre_sets", skip_serializing_if = "is_default")]
    tyre_sets: Option<u16>,
    /// When the number of sets first rose, µs.
    #[serde(rename = "tyres", alias = "tyres_us", skip_serializing_if = "is_default")]
    tyres_us: Option<i64>,
    /// Highest speed, m/s, and when, µs.
    #[serde(rename = "max", alias = "speed_max")]
    speed_max: (f32, i64),
    /// The simulator's count of laps started, in the last frame.
    #[serde(skip_serializing_if = "is_default")]
    count: Option<i16>,
    /// How it was in the first frame, if it was under way by then: standing, in service, the simulator's count of laps.
    #[serde(skip_serializing_if = "is_default")]
    begun: Option<(bool, bool, Option<i16>)>,
    /// Its driver left the car in it.
    #[serde(skip_serializing_if = "is_default")]
    left: bool,
    /// Number of frames above the limit, and time of the last counted one, µs.
    #[serde(skip_serializing_if = "is_default")]
    fast: (u8, i64),
}

impl Part for Pits {
    const MAX_BYTES: usize = 1_280;

    #[inline]
    fn take(&mut self, at: &FrameContext<'_>, out: &mut Output) {
        let frame = at.frame;
        // A blank sample may show the car in the garage or its stall. If it shows neither, the car may still be in the pits. In a team it
        // may show the car as another driver drives it (`swap.watching`).
        let Some(in_pits) = frame.in_pits.filter(|there| frame.pct.is_some() || (*there && !at.origin.in_team())) else { return };
        if in_pits && self.open.as_ref().is_some_and(|visit| visit.was_left(at)) {
            // The car was elsewhere in between, so this is another visit (`resume.stale`).
            self.over(at, None, out);
            self.known = false;
        }
        let known = std::mem::replace(&mut self.known, true);
        if !in_pits && self.open.is_none() {
            return;
        }
        let midpoint_us = at.before_us.map_or(frame.us, |us| us + (frame.us - us) / 2);
        let near = at.before_us.is_some_and(|us| !missing(us, frame.us));
        match (self.open.is_some(), at.drove) {
            (true, _) if in_pits => self.stay(at, midpoint_us, out),
            // If no frame shortly before showed it there, the time of the exit is not known (`pit.exit-unknown`).
            (true, _) => self.over(at, near.then_some(midpoint_us), out),
            // No client saw how the car came there (`pit.start`).
            (false, _) if !known => self.enter(at, PitKind::START, frame.us, out),
            (false, true) if self.flickered(midpoint_us) => {
                self.stay(at, midpoint_us, out);
                self.end(&at.origin, frame.us, out);
            }
            // It drove in, and becomes a stop when it has stood (`pit.drive-through`).
            (false, true) if !frame.towing => self.enter(at, PitKind::DRIVE_THROUGH, midpoint_us, out),
            // It did not drive in (`pit.tow`).
            (false, _) => self.enter(at, PitKind::TOW, if near { midpoint_us } else { frame.us }, out),
        }
    }

    /// The number of tyre sets that the car has used (`pit.tyres`).
    fn slow(&mut self, at: &Slow<'_>, out: &mut Output) {
        let (us, Some(sets)) = (at.us, at.tyre_sets) else { return };
        let before = self.tyre_sets.replace(sets);
        if let Some(visit) = self.open.as_mut() {
            let known = *visit.tyre_sets.get_or_insert(before.unwrap_or(sets));
            if sets > known {
                visit.tyres_us.get_or_insert(us);
            }
            return;
        }
        let rose = before.is_some_and(|before| sets > before);
        let late = |v: &&mut Visit| v.tyres_us.is_none() && !v.left && v.over_us.is_some_and(|over| (0..TYRES_LAG_US).contains(&(us - over)));
        if let Some(visit) = self.past.last_mut().filter(late).filter(|_| rose) {
            visit.tyres_us = Some(us.min(visit.over_us.unwrap_or(us)));
            visit.emit(&at.origin, us, self.tyre_sets, out);
        }
    }

    /// The visit that was under way at `to_us` continues. A visit that had ended by then without a seen exit is superseded by the rewind
    /// too, so it is emitted again.
    fn rewind(&mut self, origin: &Origin<'_>, to_us: i64, out: &mut Output) {
        let mut all = std::mem::take(&mut self.past);
        all.extend(self.open.take());
        all.retain(|v| v.enter_us <= to_us);
        self.open = all.pop_if(|v| v.over_us.is_none_or(|over| over > to_us));
        for visit in all.iter().filter(|v| v.exit_us.is_none()) {
            visit.emit(origin, visit.over_us.unwrap_or(to_us), self.tyre_sets, out);
        }
        self.past = all;
        if let Some(visit) = &mut self.open {
            visit.rewind(to_us);
            visit.emitted_as_stop = visit.kind(to_us) == PitKind::STOP;
            visit.emit(origin, to_us, self.tyre_sets, out);
        }
    }

    /// A visit that is under way is emitted as it is at `us`.
    fn end(&mut self, origin: &Origin<'_>, us: i64, out: &mut Output) {
        if let Some(visit) = &self.open {
            visit.emit(origin, us, self.tyre_sets, out);
        }
    }

    /// The visit that was under way at `us` ends for this driver.
    fn hand_over_car(&mut self, origin: &Origin<'_>, us: i64, in_pits: bool, out: &mut Output) {
        if let Some(mut visit) = self.open.take() {
            (visit.over_us, visit.left) = (Some(us), true);
            visit.emit(origin, us, self.tyre_sets, out);
            self.keep(visit);
        }
        // A car that this driver left on the track and takes over in the pits was put there, unless another driver drove it there.
        self.known = !in_pits;
        self.tyre_sets = None;
    }
}

impl Pits {
    fn enter(&mut self, at: &FrameContext<'_>, arrival: PitKind, enter_us: i64, out: &mut Output) {
        // The finish line may lie between the pit entry and this frame (`pit.lap`).
        let lap = if at.lap_since_us.is_some_and(|since| since > enter_us) { at.lap.saturating_sub(1) } else { at.lap };
        let mut visit = Visit { tick: at.frame.tick, arrival, lap, enter_us, moved_us: enter_us, tyre_sets: self.tyre_sets, ..Visit::default() };
        visit.see(at, enter_us);
        if arrival != PitKind::DRIVE_THROUGH {
            visit.begun = Some((visit.stood.running(), visit.in_service(), visit.count));
        }
        visit.emit(&at.origin, at.frame.us, self.tyre_sets, out);
        self.open = Some(visit);
    }

    /// The car is in the pits so soon after its exit that it was there all the time (`pit.flicker`): the visit goes on.
    fn flickered(&mut self, midpoint_us: i64) -> bool {
        self.open = self.past.pop_if(|v| v.exit_us.is_some_and(|exit| midpoint_us - exit < PIT_ROAD_FLICKER_US));
        if let Some(visit) = &mut self.open {
            (visit.exit_us, visit.over_us) = (None, None);
        }
        self.open.is_some()
    }

    fn stay(&mut self, at: &FrameContext<'_>, midpoint_us: i64, out: &mut Output) {
        let Some(visit) = &mut self.open else { return };
        let stood = visit.stood.running();
        visit.see(at, midpoint_us);
        let stop = visit.kind(at.frame.us) == PitKind::STOP;
        let became_stop = stop && !std::mem::replace(&mut visit.emitted_as_stop, stop);
        let drove_off = stood && !visit.stood.running();
        if became_stop || (stop && drove_off) {
            visit.emit(&at.origin, at.frame.us, self.tyre_sets, out);
        }
    }

    /// The visit is over. If its exit was not seen, it is known up to the car's position before.
    fn over(&mut self, at: &FrameContext<'_>, exit_us: Option<i64>, out: &mut Output) {
        let Some(mut visit) = self.open.take() else { return };
        let over_us = exit_us.or(at.before_us).unwrap_or(at.frame.us).max(visit.enter_us);
        visit.stood.stop(over_us);
        visit.serviced.iter_mut().for_each(|s| s.stop(over_us));
        visit.exit_us = exit_us.map(|us| us.max(visit.enter_us));
        visit.over_us = Some(over_us);
        if exit_us.is_some() {
            visit.see_fuel(at.frame);
        }
        visit.emit(&at.origin, over_us, self.tyre_sets, out);
        self.keep(visit);
    }

    fn keep(&mut self, visit: Visit) {
        while self.past.len() >= PAST_VISITS {
            self.past.remove(0);
        }
        self.past.push(visit);
    }
}

impl Visit {
    fn kind(&self, us: i64) -> PitKind {
        if self.arrival == PitKind::DRIVE_THROUGH && self.stood.total_us(us) >= STOP_US { PitKind::STOP } else { self.arrival }
    }

    /// Whether the car cannot have stayed in the pits since its last position: other laps are counted now. If the car can have driven here,
    /// one lap more is the line in the pit lane.
    fn was_left(&self, at: &FrameContext<'_>) -> bool {
        if !at.before_us.is_some_and(|us| missing(us, at.frame.us)) {
            return false;
        }
        match self.count.zip(at.frame.lap).map(|(then, now)| i32::from(now) - i32::from(then)) {
            Some(0) => false,
            Some(1) => !at.drove,
            Some(_) => true,
            None => at.gap && !at.drove,
        }
    }

    /// Update the visit from a frame in the pits; `midpoint_us` is half-way between this frame and the one before.
    fn see(&mut self, at: &FrameContext<'_>, midpoint_us: i64) {
        let (frame, speed_mps) = (at.frame, at.speed_mps);
        if frame.pct.is_none() {
            return;
        }
        let midpoint_us = midpoint_us.max(self.enter_us);
        self.count = frame.lap.or(self.count);
        // On the grid and after the race a car is not being served (`pit.standing`).
        let racing = !at.waiting && frame.state < SessionState::CHECKERED && !frame.flags.has(Flags::CHECKERED);
        let in_stall = frame.in_stall || !frame.knows_stall;
        let standing = racing && in_stall && speed_mps.is_some_and(|v| v < STANDING_MPS);
        if standing {
            // A speed that is computed from two frames shows that the car stood at the first of them already.
            self.stood.start(if frame.speed_mps.is_some() { midpoint_us } else { self.moved_us });
        } else {
            // While no frame shows the car, it stands only if it still does after that.
            let seen_us = at.before_us.filter(|us| missing(*us, frame.us)).map_or(midpoint_us, |us| us.max(self.enter_us));
            self.stood.stop(seen_us);
            self.moved_us = seen_us;
        }
        // Service lasts while the simulator says so (`pit.service`).
        if let Some(serviced) = frame.in_service {
            let watch = self.serviced.get_or_insert_default();
            if serviced { watch.start(midpoint_us) } else { watch.stop(midpoint_us) }
        }
        // In the first frame of the visit, a computed speed includes the way before the pits, so it is not a speed in the pit lane.
        if let Some(v) = speed_mps.filter(|_| frame.speed_mps.is_some() || self.tick != frame.tick) {
            if v > self.speed_max.0 {
                self.speed_max = (v, frame.us);
            }
            let limit_mps = at.origin.track().pit_limit_mps;
            let fast = at.origin.own() && limit_mps > 0.0 && v > limit_mps + SPEEDING_TOLERANCE_MPS;
            if fast && self.fast.0 < SPEEDING_FRAMES {
                self.fast = (self.fast.0 + 1, frame.us);
            }
        }
        self.see_fuel(frame);
    }

    fn see_fuel(&mut self, frame: &Frame) {
        let Some(level_l) = frame.fuel_l else { return };
        let low_l = self.fuel_low_l.map_or(level_l, |low| low.min(level_l));
        self.fuel_low_l = Some(low_l);
        self.fuel_high_l = Some(self.fuel_high_l.map_or(level_l, |high| high.max(level_l)));
        if level_l - low_l > self.fuel_added.0.max(FUEL_NOISE_L) {
            self.fuel_added = (level_l - low_l, frame.us);
        }
    }

    /// Undo what happened after `to_us`. A maximum that was reached later begins again, because its history is not kept.
    fn rewind(&mut self, to_us: i64) {
        (self.exit_us, self.over_us, self.left) = (None, None, false);
        self.stood.rewind(to_us);
        self.serviced.iter_mut().for_each(|s| s.rewind(to_us));
        self.moved_us = self.moved_us.min(to_us);
        if self.fuel_added.1 > to_us {
            (self.fuel_added, self.fuel_low_l, self.fuel_high_l) = ((0.0, 0), None, None);
        }
        if self.speed_max.1 > to_us {
            self.speed_max = (0.0, 0);
        }
        if self.fast.1 > to_us {
            self.fast = (0, 0);
        }
        self.tyres_us = self.tyres_us.filter(|us| *us <= to_us);
    }

    /// What shows whether another driver's visit is part of this one, if this visit ends at `us`.
    fn ends(&self, us: i64, tyre_sets: Option<u16>) -> PitEnds {
        let in_service = self.in_service();
        PitEnds {
            first: self.begun.map(|(standing, in_service, lap)| PitMoment {
                us: self.enter_us,
                standing,
                in_service,
                lap,
                tyre_sets: self.tyre_sets,
            }),
            gone: self.over_us.is_some() && self.exit_us.is_none() && !self.left,
            last: self.exit_us.is_none().then(|| PitMoment { us, standing: self.stood.running(), in_service, lap: self.count, tyre_sets }),
            fuel_l: self.fuel_low_l.zip(self.fuel_high_l),
            handovers: vec![],
        }
    }

    fn in_service(&self) -> bool {
        self.serviced.as_ref().is_some_and(Stopwatch::running)
    }

    /// Emit the visit as it is at `us`; `tyre_sets` have been used so far.
    fn emit(&self, origin: &Origin<'_>, us: i64, tyre_sets: Option<u16>, out: &mut Output) {
        let ctx = origin.ctx;
        out.facts.push(Fact::row(&PitVisit {
            session: ctx.session,
            entry: origin.entry(),
            driver: ctx.driver,
            run: ctx.run,
            slot: ctx.slot,
            timeline: origin.timeline(),
            tick: self.tick,
            field: !origin.own(),
            kind: self.kind(us),
            lap: self.lap,
            enter_us: self.enter_us,
            exit_us: self.exit_us,
            stationary_us: self.stood.total_us(us),
            service_us: self.serviced.as_ref().map(|s| s.total_us(us)),
            fuel_added_l: self.fuel_low_l.map(|_| self.fuel_added.0),
            tyres_changed: self.tyre_sets.map(|_| self.tyres_us.is_some()),
            speed_max_mps: self.speed_max.0,
            speeding: self.fast.0 >= SPEEDING_FRAMES,
            superseded: false,
            seen_as: None,
            late: false,
            ends: self.ends(us, tyre_sets),
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_state_fits() {
        let us = i64::MAX;
        let visit = Visit {
            tick: u32::MAX,
            arrival: PitKind(u8::MAX),
            lap: u32::MAX,
            enter_us: us,
            exit_us: Some(us),
            over_us: Some(us),
            stood: Stopwatch::longest(),
            emitted_as_stop: true,
            serviced: Some(Stopwatch::longest()),
            moved_us: us,
            fuel_low_l: Some(1.5),
            fuel_high_l: Some(1.5),
            fuel_added: (1.5, us),
            tyre_sets: Some(u16::MAX),
            tyres_us: Some(us),
            speed_max: (1.5, us),
            fast: (u8::MAX, us),
            count: Some(i16::MAX),
            begun: Some((true, true, Some(i16::MAX))),
            left: true,
        };
        // A visit that is under way has no exit, and its stopwatches run.
        let open = Visit {
            exit_us: None,
            over_us: None,
            stood: visit.stood.running_on(us),
            serviced: visit.serviced.as_ref().map(|s| s.running_on(us)),
            ..visit.clone()
        };
        let pits = Pits { known: true, open: Some(open), past: vec![visit; PAST_VISITS], tyre_sets: Some(u16::MAX) };
        let bytes = rmp_serde::to_vec_named(&pits).unwrap().len();
        assert!((Pits::MAX_BYTES - 64..=Pits::MAX_BYTES).contains(&bytes), "{bytes}");
    }
}
