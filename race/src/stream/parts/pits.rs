//! Visits to the pit lane (`pit.visit`): from entering to leaving, what the car did in between.
//!
//! What a visit is: a *stop* if the car drove in and stood in its own stall for half a second in all, else a *drive-through*;
//! a *tow* if it came there without driving, a *start* if the stream's first frame shows it there. Standing before the green
//! light or in the cool-down is no stop. Pit road, stall and service are yes-or-no, so each edge is taken half-way between two
//! frames, and every sampling rate sees the same times within half a frame.
//!
//! An observed car's speed is how it moved along the track: enough to see it stand, not to say that it was too fast, for the
//! pit lane is not as long as the track beside it.

use boxbox_schemas::frame::SessionState;
use boxbox_schemas::results::{PitKind, PitVisit};
use serde::{Deserialize, Serialize};

use super::fuel::FUEL_NOISE_L;
use super::moment::Moment;
use super::part::{Part, Slow};
use super::stopwatch::Stopwatch;
use crate::stream::fact::{Fact, Reports};
use crate::stream::frame::{Frame, missing};
use crate::stream::identity::Reporter;
use crate::stream::sparse::is_default;

/// A car slower than this stands, m/s.
const STANDING_MPS: f32 = 0.5;
/// A stop is at least this long, all standing in the stall together, µs.
const STOP_US: i64 = PitVisit::STOP_US;
/// Faster than the limit by more than this is speeding, m/s …
const SPEEDING_TOLERANCE_MPS: f32 = 0.5;
/// … if this many frames show it.
const SPEEDING_FRAMES: u8 = 2;
/// Visits kept for a rewind to go back to.
const PAST_VISITS: usize = 2;
/// Tyre sets are shown once a second, so the last change of a visit may come this much after it, µs.
const TYRES_LAG_US: i64 = 2_000_000;

/// A stream's visits to the pits.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Pits {
    /// Some frame has said whether the car is in the pits.
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
    /// What it is unless the car stops.
    came: PitKind,
    lap: u32,
    enter_us: i64,
    #[serde(skip_serializing_if = "is_default")]
    exit_us: Option<i64>,
    /// When it was over, seen or not; `None` while it goes on, µs.
    #[serde(skip_serializing_if = "is_default")]
    over_us: Option<i64>,
    stood: Stopwatch,
    /// It was reported as a stop.
    #[serde(skip_serializing_if = "is_default")]
    told_stop: bool,
    /// `None` if the simulator does not say.
    #[serde(skip_serializing_if = "is_default")]
    serviced: Option<Stopwatch>,
    /// Half-way between the last two frames between which it moved, µs.
    moved_us: i64,
    /// Lowest level so far, l.
    #[serde(skip_serializing_if = "is_default")]
    fuel_low_l: Option<f32>,
    /// Largest rise, and when it was reached, l, µs.
    #[serde(skip_serializing_if = "is_default")]
    fuel_added: (f32, i64),
    /// Tyre sets used when it began.
    #[serde(skip_serializing_if = "is_default")]
    tyre_sets: Option<u16>,
    /// When a set was first added, µs.
    #[serde(skip_serializing_if = "is_default")]
    tyres_us: Option<i64>,
    /// Highest speed, and when, m/s, µs.
    speed_max: (f32, i64),
    /// Frames above the limit, and when the last that counts was, µs.
    #[serde(skip_serializing_if = "is_default")]
    fast: (u8, i64),
}

impl Part for Pits {
    const MAX_BYTES: usize = 1_280;

    #[inline]
    fn take(&mut self, at: &Moment<'_>, out: &mut Reports) {
        let frame = at.frame;
        // A blank sample may say that the car is in the garage or its stall; that it is not says nothing.
        let Some(in_pits) = frame.in_pits.filter(|there| *there || frame.pct.is_some()) else { return };
        let known = std::mem::replace(&mut self.known, true);
        if !in_pits && self.open.is_none() {
            return;
        }
        let half_us = at.before_us.map_or(frame.us, |us| us + (frame.us - us) / 2);
        let near = at.before_us.is_some_and(|us| !missing(us, frame.us));
        match (self.open.is_some(), at.drove) {
            (true, _) if in_pits => self.stay(at, half_us, out),
            (true, _) => self.leave(at, half_us, near, out),
            (false, _) if !known => self.enter(at, PitKind::START, frame.us, out),
            (false, true) if !frame.towing => self.enter(at, PitKind::DRIVE_THROUGH, half_us, out),
            (false, _) => self.enter(at, PitKind::TOW, if near { half_us } else { frame.us }, out),
        }
    }

    /// The simulator says how many sets of tyres the car has used (`pit.tyres`).
    fn slow(&mut self, at: &Slow<'_>, out: &mut Reports) {
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
        let late = |v: &&mut Visit| v.tyres_us.is_none() && v.over_us.is_some_and(|over| (0..TYRES_LAG_US).contains(&(us - over)));
        if let Some(visit) = self.past.last_mut().filter(late).filter(|_| rose) {
            visit.tyres_us = Some(us.min(visit.over_us.unwrap_or(us)));
            visit.report(&at.by, us, out);
        }
    }

    /// The visit that was going on at `to_us` goes on. Those that the rewind takes back although they were over by then, because
    /// their end was not seen, are reported again.
    fn rewind(&mut self, by: &Reporter<'_>, to_us: i64, out: &mut Reports) {
        let mut all = std::mem::take(&mut self.past);
        all.extend(self.open.take());
        all.retain(|v| v.enter_us <= to_us);
        self.open = all.pop_if(|v| v.over_us.is_none_or(|over| over > to_us));
        for visit in all.iter().filter(|v| v.exit_us.is_none()) {
            visit.report(by, visit.over_us.unwrap_or(to_us), out);
        }
        self.past = all;
        if let Some(visit) = &mut self.open {
            visit.rewind(to_us);
            visit.told_stop = visit.kind(to_us) == PitKind::STOP;
            visit.report(by, to_us, out);
        }
    }

    /// The visit that goes on is reported as it is at `us`.
    fn end(&mut self, by: &Reporter<'_>, us: i64, out: &mut Reports) {
        if let Some(visit) = &self.open {
            visit.report(by, us, out);
        }
    }
}

impl Pits {
    fn enter(&mut self, at: &Moment<'_>, came: PitKind, enter_us: i64, out: &mut Reports) {
        // The line may lie between the entry and this frame (`pit.lap`).
        let lap = if at.lap_since_us.is_some_and(|since| since > enter_us) { at.lap.saturating_sub(1) } else { at.lap };
        let mut visit = Visit { tick: at.frame.tick, came, lap, enter_us, moved_us: enter_us, tyre_sets: self.tyre_sets, ..Visit::default() };
        visit.see(at, enter_us);
        visit.report(&at.by, at.frame.us, out);
        self.open = Some(visit);
    }

    fn stay(&mut self, at: &Moment<'_>, half_us: i64, out: &mut Reports) {
        let Some(visit) = &mut self.open else { return };
        let stood = visit.stood.running();
        visit.see(at, half_us);
        let stop = visit.kind(at.frame.us) == PitKind::STOP;
        let became_stop = stop && !std::mem::replace(&mut visit.told_stop, stop);
        let drove_off = stood && !visit.stood.running();
        if became_stop || (stop && drove_off) {
            visit.report(&at.by, at.frame.us, out);
        }
    }

    /// The car is out; `near` if a frame shortly before still showed it there, so that the moment is known (`pit.exit-unknown`).
    fn leave(&mut self, at: &Moment<'_>, half_us: i64, near: bool, out: &mut Reports) {
        let Some(mut visit) = self.open.take() else { return };
        let half_us = half_us.max(visit.enter_us);
        visit.stood.stop(half_us);
        visit.serviced.iter_mut().for_each(|s| s.stop(half_us));
        visit.exit_us = near.then_some(half_us);
        visit.over_us = Some(half_us);
        visit.see_fuel(at.frame);
        visit.report(&at.by, half_us, out);
        while self.past.len() >= PAST_VISITS {
            self.past.remove(0);
        }
        self.past.push(visit);
    }
}

impl Visit {
    fn kind(&self, us: i64) -> PitKind {
        if self.came == PitKind::DRIVE_THROUGH && self.stood.total_us(us) >= STOP_US { PitKind::STOP } else { self.came }
    }

    /// What a frame in the lane says of the visit; `half_us` is half-way between it and the one before.
    fn see(&mut self, at: &Moment<'_>, half_us: i64) {
        let (frame, speed_mps) = (at.frame, at.speed_mps);
        if frame.pct.is_none() {
            return;
        }
        let half_us = half_us.max(self.enter_us);
        let racing = !at.waiting && frame.state != SessionState::COOL_DOWN;
        let in_stall = frame.in_stall || !frame.knows_stall;
        let standing = racing && in_stall && speed_mps.is_some_and(|v| v < STANDING_MPS);
        if standing {
            // A speed that was measured between two frames says that the car stood at the first of them already.
            self.stood.start(if frame.speed_mps.is_some() { half_us } else { self.moved_us });
        } else {
            self.stood.stop(half_us);
            self.moved_us = half_us;
        }
        if let Some(serviced) = frame.in_service {
            let watch = self.serviced.get_or_insert_default();
            if serviced { watch.start(half_us) } else { watch.stop(half_us) }
        }
        // One that was measured from before the lane is not the lane's.
        if let Some(v) = speed_mps.filter(|_| frame.speed_mps.is_some() || self.tick != frame.tick) {
            if v > self.speed_max.0 {
                self.speed_max = (v, frame.us);
            }
            let limit_mps = at.by.track().pit_limit_mps;
            let fast = at.by.own() && limit_mps > 0.0 && v > limit_mps + SPEEDING_TOLERANCE_MPS;
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
        if level_l - low_l > self.fuel_added.0.max(FUEL_NOISE_L) {
            self.fuel_added = (level_l - low_l, frame.us);
        }
    }

    /// Take back what happened after `to_us`. Of what is not kept moment by moment, only what comes after counts then.
    fn rewind(&mut self, to_us: i64) {
        self.exit_us = None;
        self.over_us = None;
        self.stood.rewind(to_us);
        self.serviced.iter_mut().for_each(|s| s.rewind(to_us));
        self.moved_us = self.moved_us.min(to_us);
        if self.fuel_added.1 > to_us {
            (self.fuel_added, self.fuel_low_l) = ((0.0, 0), None);
        }
        if self.speed_max.1 > to_us {
            self.speed_max = (0.0, 0);
        }
        if self.fast.1 > to_us {
            self.fast = (0, 0);
        }
        self.tyres_us = self.tyres_us.filter(|us| *us <= to_us);
    }

    /// The visit as it is at `us`.
    fn report(&self, by: &Reporter<'_>, us: i64, out: &mut Reports) {
        let ctx = by.ctx;
        out.facts.push(Fact::row(&PitVisit {
            session: ctx.session,
            entry: by.entry(),
            driver: ctx.driver,
            run: ctx.run,
            slot: ctx.slot,
            timeline: by.timeline(),
            tick: self.tick,
            field: !by.own(),
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
            came: PitKind(u8::MAX),
            lap: u32::MAX,
            enter_us: us,
            exit_us: Some(us),
            over_us: Some(us),
            stood: Stopwatch::longest(),
            told_stop: true,
            serviced: Some(Stopwatch::longest()),
            moved_us: us,
            fuel_low_l: Some(1.5),
            fuel_added: (1.5, us),
            tyre_sets: Some(u16::MAX),
            tyres_us: Some(us),
            speed_max: (1.5, us),
            fast: (u8::MAX, us),
        };
        // What goes on has no end, and what is over has stopped.
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
