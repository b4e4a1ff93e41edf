//! Visits to the pit lane (domain.md 12.6): from entering to leaving, what the car did in between.
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

use super::clocked::Clocked;
use super::now::{Now, missing};
use super::stream::{StreamRace, View};
use super::{Context, FUEL_NOISE_L, Fact, is_default};

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
/// Tyre sets are told once a second, so the last change of a visit may come this much after it, µs.
const TYRES_LAG_US: i64 = 2_000_000;

/// A stream's visits to the pits.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Pits {
    /// Some frame has said whether the car is in the pits.
    pub(super) known: bool,
    #[serde(skip_serializing_if = "is_default")]
    open: Option<Visit>,
    /// The visits before, oldest first.
    #[serde(skip_serializing_if = "is_default")]
    past: Vec<Visit>,
    /// Tyre sets used so far.
    #[serde(skip_serializing_if = "is_default")]
    tyre_sets: Option<u16>,
}

/// How the car came to where a frame shows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Came {
    /// It drove.
    Driven,
    /// It was put there, or nobody saw how it came.
    Jumped,
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
    stood: Clocked,
    /// It was told as a stop.
    #[serde(skip_serializing_if = "is_default")]
    told_stop: bool,
    /// `None` if the simulator does not say.
    #[serde(skip_serializing_if = "is_default")]
    serviced: Option<Clocked>,
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

impl Visit {
    fn kind(&self, us: i64) -> PitKind {
        if self.came == PitKind::DRIVE_THROUGH && self.stood.total_us(us) >= STOP_US { PitKind::STOP } else { self.came }
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
}

impl StreamRace {
    /// One frame, after what it means for the lap. `before_us` is when the car's position before it was, if one is known.
    #[inline]
    pub(super) fn watch_pits(&mut self, ctx: &Context, now: &Now, came: Came, before_us: Option<i64>, out: &mut Vec<Fact>) {
        // A blank sample may say that the car is in the garage or its stall; that it is not says nothing.
        let Some(in_pits) = now.in_pits.filter(|there| *there || now.pct.is_some()) else { return };
        let known = std::mem::replace(&mut self.pits.known, true);
        if !in_pits && self.pits.open.is_none() {
            return;
        }
        let half_us = before_us.map_or(now.us, |us| us + (now.us - us) / 2);
        let near = before_us.is_some_and(|us| !missing(us, now.us));
        match (self.pits.open.is_some(), came) {
            (true, _) if in_pits => self.stay_in_pits(ctx, now, half_us, out),
            (true, _) => self.leave_pits(ctx, now, half_us, near, out),
            (false, _) if !known => self.enter_pits(ctx, now, PitKind::START, now.us, out),
            (false, Came::Driven) if !now.towing => self.enter_pits(ctx, now, PitKind::DRIVE_THROUGH, half_us, out),
            (false, _) => self.enter_pits(ctx, now, PitKind::TOW, if near { half_us } else { now.us }, out),
        }
    }

    fn enter_pits(&mut self, ctx: &Context, now: &Now, came: PitKind, enter_us: i64, out: &mut Vec<Fact>) {
        // The line may lie between the entry and this frame.
        let number = self.open_number();
        let lap = if self.lap.as_ref().is_some_and(|lap| lap.start_us > enter_us) { number.saturating_sub(1) } else { number };
        let tyre_sets = self.pits.tyre_sets;
        self.pits.open = Some(Visit { tick: now.tick, came, lap, enter_us, moved_us: enter_us, tyre_sets, ..Visit::default() });
        self.see_visit(now, enter_us);
        self.tell_open_visit(ctx, now.us, out);
    }

    fn stay_in_pits(&mut self, ctx: &Context, now: &Now, half_us: i64, out: &mut Vec<Fact>) {
        let stood = self.pits.open.as_ref().is_some_and(|v| v.stood.running());
        self.see_visit(now, half_us);
        let Some(visit) = &mut self.pits.open else { return };
        let stop = visit.kind(now.us) == PitKind::STOP;
        let became_stop = stop && !std::mem::replace(&mut visit.told_stop, stop);
        let drove_off = stood && !visit.stood.running();
        if became_stop || (stop && drove_off) {
            self.tell_open_visit(ctx, now.us, out);
        }
    }

    /// The car is out; `near` if a frame shortly before still showed it there, so that the moment is known.
    fn leave_pits(&mut self, ctx: &Context, now: &Now, half_us: i64, near: bool, out: &mut Vec<Fact>) {
        let Some(mut visit) = self.pits.open.take() else { return };
        let half_us = half_us.max(visit.enter_us);
        visit.stood.stop(half_us);
        visit.serviced.iter_mut().for_each(|s| s.stop(half_us));
        visit.exit_us = near.then_some(half_us);
        visit.over_us = Some(half_us);
        self.see_fuel(&mut visit, now);
        out.push(Fact::row(&self.told_visit(ctx, &visit, half_us)));
        while self.pits.past.len() >= PAST_VISITS {
            self.pits.past.remove(0);
        }
        self.pits.past.push(visit);
    }

    /// What a frame in the lane says of the visit; `half_us` is half-way between it and the one before.
    fn see_visit(&mut self, now: &Now, half_us: i64) {
        let Some(mut visit) = self.pits.open.take() else { return };
        let half_us = half_us.max(visit.enter_us);
        let speed_mps = self.shown.speed_mps;
        if now.pct.is_some() {
            let racing = !self.before_green && now.state != SessionState::COOL_DOWN;
            let in_stall = now.in_stall || !now.knows_stall;
            let standing = racing && in_stall && speed_mps.is_some_and(|v| v < STANDING_MPS);
            // A speed that was measured between two frames says that the car stood at the first of them already.
            let since_us = if now.speed_mps.is_some() { half_us } else { visit.moved_us };
            if standing {
                visit.stood.start(since_us)
            } else {
                visit.stood.stop(half_us)
            }
            if !standing {
                visit.moved_us = half_us;
            }
            if let Some(serviced) = now.in_service {
                let clock = visit.serviced.get_or_insert_default();
                if serviced { clock.start(half_us) } else { clock.stop(half_us) }
            }
            // One that was measured from before the lane is not the lane's.
            if let Some(v) = speed_mps.filter(|_| now.speed_mps.is_some() || visit.tick != now.tick) {
                if v > visit.speed_max.0 {
                    visit.speed_max = (v, now.us);
                }
                let limit_mps = self.track.pit_limit_mps;
                let fast = self.view == View::Own && limit_mps > 0.0 && v > limit_mps + SPEEDING_TOLERANCE_MPS;
                if fast && visit.fast.0 < SPEEDING_FRAMES {
                    visit.fast = (visit.fast.0 + 1, now.us);
                }
            }
            self.see_fuel(&mut visit, now);
        }
        self.pits.open = Some(visit);
    }

    fn see_fuel(&self, visit: &mut Visit, now: &Now) {
        let Some(level_l) = now.fuel_l else { return };
        let low_l = visit.fuel_low_l.map_or(level_l, |low| low.min(level_l));
        visit.fuel_low_l = Some(low_l);
        if level_l - low_l > visit.fuel_added.0.max(FUEL_NOISE_L) {
            visit.fuel_added = (level_l - low_l, now.us);
        }
    }

    /// The simulator says how many sets of tyres the car has used.
    pub(super) fn tyre_sets(&mut self, ctx: &Context, us: i64, sets: u16, out: &mut Vec<Fact>) {
        let before = self.pits.tyre_sets.replace(sets);
        if let Some(visit) = self.pits.open.as_mut() {
            let known = *visit.tyre_sets.get_or_insert(before.unwrap_or(sets));
            if sets > known {
                visit.tyres_us.get_or_insert(us);
            }
            return;
        }
        let rose = before.is_some_and(|before| sets > before);
        let late = |v: &&mut Visit| v.tyres_us.is_none() && v.over_us.is_some_and(|over| (0..TYRES_LAG_US).contains(&(us - over)));
        if let Some(visit) = self.pits.past.last_mut().filter(late).filter(|_| rose) {
            visit.tyres_us = Some(us.min(visit.over_us.unwrap_or(us)));
            let visit = visit.clone();
            out.push(Fact::row(&self.told_visit(ctx, &visit, us)));
        }
    }

    /// Back to `to_us`: the visit that was going on then goes on. Those that the rewind takes back although they were over by
    /// then, because nobody saw them end, are told again.
    pub(super) fn rewind_pits(&mut self, ctx: &Context, to_us: i64, out: &mut Vec<Fact>) {
        let mut all = std::mem::take(&mut self.pits.past);
        all.extend(self.pits.open.take());
        all.retain(|v| v.enter_us <= to_us);
        self.pits.open = all.pop_if(|v| v.over_us.is_none_or(|over| over > to_us));
        for visit in all.iter().filter(|v| v.exit_us.is_none()) {
            out.push(Fact::row(&self.told_visit(ctx, visit, visit.over_us.unwrap_or(to_us))));
        }
        self.pits.past = all;
        if let Some(visit) = &mut self.pits.open {
            visit.rewind(to_us);
            visit.told_stop = visit.kind(to_us) == PitKind::STOP;
        }
        self.tell_open_visit(ctx, to_us, out);
    }

    /// The visit that goes on, as it is at `us`.
    pub(super) fn tell_open_visit(&self, ctx: &Context, us: i64, out: &mut Vec<Fact>) {
        if let Some(visit) = &self.pits.open {
            out.push(Fact::row(&self.told_visit(ctx, visit, us)));
        }
    }

    fn told_visit(&self, ctx: &Context, visit: &Visit, us: i64) -> PitVisit {
        PitVisit {
            session: ctx.session,
            entry: self.told_as(ctx),
            driver: ctx.driver,
            run: ctx.run,
            slot: ctx.slot,
            timeline: self.timeline,
            tick: visit.tick,
            field: self.view != View::Own,
            kind: visit.kind(us),
            lap: visit.lap,
            enter_us: visit.enter_us,
            exit_us: visit.exit_us,
            stationary_us: visit.stood.total_us(us),
            service_us: visit.serviced.as_ref().map(|s| s.total_us(us)),
            fuel_added_l: visit.fuel_low_l.map(|_| visit.fuel_added.0),
            tyres_changed: visit.tyre_sets.map(|_| visit.tyres_us.is_some()),
            speed_max_mps: visit.speed_max.0,
            speeding: visit.fast.0 >= SPEEDING_FRAMES,
            superseded: false,
            seen_as: None,
            late: false,
        }
    }
}
