//! [`StreamRace`]: the race state of one stream, and what frames, metadata and events do to it.

use boxbox_schemas::event::{ArchivedEventFrame, EventCode};
use boxbox_schemas::field::ArchivedFieldFrame;
use boxbox_schemas::frame::{ArchivedCarFrame, CarBits, Flags};
use boxbox_schemas::ids::{EntryId, RunId};
use boxbox_schemas::meta::SessionMeta;
use boxbox_schemas::results::IncidentStep;
use boxbox_schemas::slow::{ArchivedSlowFrame, SlowPresence};
use serde::{Deserialize, Serialize};

use super::car::Shown;
use super::counter::Counter;
use super::flags::Shows;
use super::lap::{Mark, OpenLap, PastLap};
use super::lines::Settle;
use super::now::{Now, missing};
use super::pits::{Came, Pits};
use super::step::{self, Sample};
use super::track::Track;
use super::{
    Claim, Context, ENERGY_NOISE_KWH, FUEL_NOISE_L, Fact, MISSING_US, OFF_TRACK_MPS, OFF_TRACK_US, SIM_INVALID_LAG_US, field_entry, is_default,
};

/// One stream's race state: pure, deterministic, serialisable (MessagePack with named fields, at most 4 KiB), cheap to clone.
///
/// Frames, metadata and events go in by sequence number; facts come out. A state written and read back at any frame
/// gives the same facts (E11).
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct StreamRace {
    /// The stream's run; known from its first call.
    pub(super) run: Option<RunId>,
    /// The driver's runs whose state was inherited, oldest first.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) before: Vec<PastRun>,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) timeline: u32,
    pub(super) last_tick: Option<u32>,
    pub(super) last_us: Option<i64>,
    /// Frames that came behind the last one and were left out.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) ignored: u64,
    /// Sequence numbers are missing since the last frame: an event may be among them.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) lost: bool,
    pub(super) track: Track,
    /// The last frame with a position.
    pub(super) at: Option<Sample>,
    /// `at` is the last one of the run before.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) at_inherited: bool,
    /// A rewind went back to this time, and no position came since, µs.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) resume_us: Option<i64>,
    /// There were blank samples since `at`.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) blank: bool,
    /// In the pits; `None` until the simulator says it.
    pub(super) in_pits: Option<bool>,
    /// Off track since, µs.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) off_since_us: Option<i64>,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) sim_invalid: bool,
    /// The simulator's "last lap" in the frame before, µs.
    pub(super) sim_last_us: Option<i64>,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) counter: Counter,
    /// When the race was let go, µs.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) green_us: Option<i64>,
    /// The green flag was out in the frame before.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) green_flag: bool,
    /// The field waits for the green light.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) before_green: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) lap: Option<OpenLap>,
    /// Laps before it, oldest first.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) past: Vec<PastLap>,
    /// The newest told lap of `past` waits for the simulator's own time.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) pending: Option<Pending>,
    /// Number of the last lap told.
    pub(super) last_number: u32,
    /// Whose car it is.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) view: View,
    pub(super) claim: Option<Claim>,
    pub(super) shown: Shown,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) shows: Shows,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) pits: Pits,
    /// Lowest fuel level in the lap that is open, l (kWh).
    #[serde(skip_serializing_if = "is_default")]
    pub(super) fuel_low_l: Option<f32>,
}

/// Who sees the car.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) enum View {
    /// Its own client.
    #[default]
    Own,
    /// Another client; `None` while no metadata says who competes in it.
    Field(Option<EntryId>),
    /// Another client, and it does not compete: a pace car, a spectator.
    Silent,
}

/// A run whose state was inherited, and how many timelines it had.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct PastRun {
    pub(super) run: RunId,
    pub(super) timeline: u32,
}

/// A lap told at its crossing, not yet settled.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Pending {
    /// When it ended: its key in `past`, µs.
    pub(super) end_us: i64,
    pub(super) revision: u32,
    /// The simulator's "last lap" before the crossing, µs.
    pub(super) before_us: Option<i64>,
}

/// The pits were entered or left, at about this time.
#[derive(Clone, Copy, Debug)]
pub(super) struct PitEdge {
    pub(super) us: i64,
    pub(super) entered: bool,
}

impl StreamRace {
    /// The state before a stream's first frame.
    pub fn new() -> Self {
        Self::default()
    }

    /// Tick of the last frame taken.
    pub fn last_tick(&self) -> Option<u32> {
        self.last_tick
    }

    /// Frames left out because they came behind the last one of their timeline.
    pub fn ignored(&self) -> u64 {
        self.ignored
    }

    /// What the client knows of the session.
    pub fn on_meta(&mut self, ctx: &Context, meta: &SessionMeta, out: &mut Vec<Fact>) {
        self.identify(ctx);
        let of_slot = meta.entries.iter().find(|e| e.slot == ctx.slot);
        let own = if self.view == View::Own { of_slot.or_else(|| meta.own()) } else { of_slot };
        self.claim = Some(Claim { user_id: own.map_or(0, |e| e.user_id), team_id: own.map_or(0, |e| e.team_id), slot: ctx.slot });
        if self.view != View::Own {
            let named = |entry: EntryId| of_slot.is_some_and(|e| e.user_id != 0 || e.team_id != 0).then_some(entry);
            let view = field_entry(Some(meta), ctx.slot).map_or(View::Silent, |entry| View::Field(named(entry)));
            if ![view, View::Field(None)].contains(&self.view) {
                self.forget_car(ctx, out);
            }
            self.view = view;
        }
        self.lay_track(Track::of(meta, ctx.slot));
    }

    fn lay_track(&mut self, track: Track) {
        if track.lines() != self.track.lines() {
            // Lines moved under a lap: what was crossed so far cannot be told apart from what was not.
            for lap in self.past.iter_mut().map(|p| &mut p.lap).filter(|l| !l.splits_us.is_empty()).chain(&mut self.lap) {
                lap.no_sectors = true;
            }
        }
        self.track = track;
    }

    /// A new run keeps what it knows itself of its session, and goes on with the rest.
    pub(super) fn keep_description(&mut self, own: StreamRace) {
        if own.track.described {
            self.lay_track(own.track);
            (self.claim, self.view) = (own.claim, own.view);
        }
    }

    /// One frame of the own car.
    pub fn on_frame(&mut self, ctx: &Context, seq: u64, frame: &ArchivedCarFrame, out: &mut Vec<Fact>) {
        let bits = CarBits::from(&frame.bits);
        if !bits.has(CarBits::REPLAY) {
            self.take(ctx, &Now::of(frame, seq, bits), out);
        }
    }

    /// What changes slowly on the own car.
    pub fn on_slow(&mut self, ctx: &Context, frame: &ArchivedSlowFrame, out: &mut Vec<Fact>) {
        self.identify(ctx);
        if SlowPresence::from(&frame.presence).has(SlowPresence::TYRE_SETS) {
            self.tyre_sets(ctx, frame.sim_time_us.to_native(), frame.tyre_sets_used.to_native(), out);
        }
    }

    /// One frame of an observed car.
    pub(super) fn on_field_frame(&mut self, ctx: &Context, seq: u64, frame: &ArchivedFieldFrame, out: &mut Vec<Fact>) {
        if self.view != View::Silent {
            self.take(ctx, &Now::of_field(frame, seq), out);
        }
    }

    fn take(&mut self, ctx: &Context, now: &Now, out: &mut Vec<Fact>) {
        self.identify(ctx);
        if self.last_tick.is_some_and(|last| now.tick <= last) && self.lost {
            // Ticks fall only after a rewind: its event was among what is missing.
            self.rewind(ctx, now.tick, now.us, now.seq, out);
        }
        if self.last_tick.is_some_and(|last| now.tick <= last) || self.last_us.is_some_and(|last| now.us <= last) {
            self.ignored += 1;
            return;
        }
        self.lost = false;
        self.last_us = Some(now.us);
        self.last_tick = Some(now.tick);
        if self.view == View::Own {
            self.before_green = now.before_green();
        }
        self.shown = Shown::of(now);
        self.watch_flags(ctx, now, out);
        let before_us = self.at.map(|at| at.us).or(self.resume_us);
        let came = match now.pct {
            Some(pct) => self.drive(ctx, now, pct, out),
            None => {
                if !self.blank && self.in_pits == Some(true) {
                    self.hand_over(ctx, out);
                }
                self.blank = true;
                Came::Jumped
            }
        };
        self.watch_pits(ctx, now, came, before_us, out);
        self.settle_when_due(ctx, now.us, out);
    }

    /// The observer's simulator went back.
    pub(super) fn on_rewind(&mut self, ctx: &Context, to_tick: u32, to_us: i64, seq: u64, out: &mut Vec<Fact>) {
        self.identify(ctx);
        self.rewind(ctx, to_tick, to_us, seq, out);
    }

    /// Something happened.
    pub fn on_event(&mut self, ctx: &Context, seq: u64, event: &ArchivedEventFrame, out: &mut Vec<Fact>) {
        self.identify(ctx);
        match EventCode::from(&event.code) {
            EventCode::REWIND => self.rewind(ctx, event.tick.to_native(), event.sim_time_us.to_native(), seq, out),
            EventCode::RESET => {
                self.break_off(ctx, out);
                self.at = None;
            }
            EventCode::DRIVER_SWAP => self.mark(Mark::Swap, event.sim_time_us.to_native()),
            _ => {}
        }
    }

    /// Sequence numbers `first` to `next` (exclusive) will never come: a gap, a void or a hole.
    ///
    /// Time says how long the stretch was, so this only notes that an event may be among them.
    pub fn on_missing(&mut self, ctx: &Context, first: u64, next: u64, _out: &mut Vec<Fact>) {
        self.identify(ctx);
        self.lost |= next > first;
    }

    /// The stream is over: what waits for the simulator's own time settles without it.
    pub fn on_end(&mut self, ctx: &Context, out: &mut Vec<Fact>) {
        self.identify(ctx);
        self.settle(ctx, Settle::Now, out);
        self.hand_over(ctx, out);
        self.tell_open_visit(ctx, self.last_us.unwrap_or(0), out);
    }

    /// Another car has taken the slot: nothing of the one before goes on.
    fn forget_car(&mut self, ctx: &Context, out: &mut Vec<Fact>) {
        self.settle(ctx, Settle::Now, out);
        let old = std::mem::take(self);
        let Self { run, before, timeline, last_tick, last_us, ignored, lost, track, green_us, before_green, view, claim, .. } = old;
        *self = Self { run, before, timeline, last_tick, last_us, ignored, lost, track, green_us, before_green, view, claim, ..Self::default() };
    }

    pub(super) fn identify(&mut self, ctx: &Context) {
        self.run.get_or_insert(ctx.run);
        if self.claim.is_none_or(|claim| claim.slot != ctx.slot) {
            self.claim = Some(Claim { user_id: 0, team_id: 0, slot: ctx.slot });
        }
    }

    /// A frame with a position.
    fn drive(&mut self, ctx: &Context, now: &Now, pct: f64, out: &mut Vec<Fact>) -> Came {
        if !self.track.knows_length()
            && let Some(m) = now.lap_dist_m
        {
            self.track.learn_length(f64::from(m), pct);
        }
        let step = now.incidents.and_then(|reading| self.counter.read(now.us, reading));
        if let Some((from, to)) = step {
            out.push(Fact::row(&self.incident(ctx, now, from, to)));
        }
        let moved = match self.at {
            Some(at) => step::progress(&self.track, &at, now, pct, self.blank).map(|x| (at, Sample::at(now, pct, x))),
            None => self.resume(now, pct),
        };
        let before_us = moved.map(|(from, _)| from.us);
        if let (None, Some((from, to))) = (now.speed_mps, moved)
            && (1..MISSING_US).contains(&(to.us - from.us))
        {
            self.shown.speed_mps = Some(((to.x - from.x).abs() * self.track.length_m() / (to.us - from.us) as f64 * 1e6) as f32);
        }
        let edge = self.pit_edge(now, before_us);
        match moved {
            Some((from, to)) => self.advance(ctx, from, to, edge, out),
            None => {
                self.break_off(ctx, out);
                self.take_over(now, pct);
                self.at = Some(Sample::at(now, pct, pct));
            }
        }
        self.blank = false;
        self.resume_us = None;
        self.at_inherited = false;
        self.green(ctx, now, pct, before_us, out);
        self.watch(now, before_us);
        if step.is_some() {
            self.mark(Mark::Incident, now.us);
        }
        self.sim_time_came(ctx, now.last_lap_us, out);
        self.sim_last_us = Some(now.last_lap_us);
        if moved.is_some() { Came::Driven } else { Came::Jumped }
    }

    fn incident(&self, ctx: &Context, now: &Now, from: u16, to: u16) -> IncidentStep {
        IncidentStep {
            session: ctx.session,
            entry: self.told_as(ctx),
            driver: ctx.driver,
            run: ctx.run,
            timeline: self.timeline,
            tick: now.tick,
            sim_time_us: now.us,
            from,
            to,
            superseded: false,
            late: false,
        }
    }

    /// The pits entered or left, taken half-way between the two frames: they are yes-or-no.
    fn pit_edge(&mut self, now: &Now, before_us: Option<i64>) -> Option<PitEdge> {
        let entered = now.in_pits?;
        let before = self.in_pits.replace(entered)?;
        let us = before_us.map_or(now.us, |us| us + (now.us - us) / 2);
        (before != entered).then_some(PitEdge { us, entered })
    }

    pub(super) fn apply(&mut self, edge: PitEdge) {
        let Some(lap) = &mut self.lap else { return };
        if edge.entered {
            lap.mark(Mark::PitIn, edge.us);
        } else if !lap.has(Mark::PitIn) {
            lap.mark(Mark::PitOut, edge.us);
        }
    }

    /// What this frame says of the lap that is open after it.
    fn watch(&mut self, now: &Now, before_us: Option<i64>) {
        let off_us = self.off_track(now, before_us);
        let invalid_rose = now.sim_invalid && !self.sim_invalid;
        self.sim_invalid = now.sim_invalid;
        let Some(lap) = &mut self.lap else { return };
        if let Some(us) = off_us {
            lap.mark(Mark::OffTrack, us.max(lap.start_us));
        }
        if now.sim_invalid && (invalid_rose || now.us - lap.start_us >= SIM_INVALID_LAG_US) {
            lap.mark(Mark::SimInvalid, now.us);
        }
        if now.flags_seen.any(Flags::YELLOW.with(Flags::YELLOW_WAVING).with(Flags::CAUTION)) {
            lap.mark(Mark::Yellow, now.us);
        }
        if now.towing {
            lap.mark(Mark::Tow, now.us);
        }
        if let Some(level_l) = now.fuel_l {
            let low_l = self.fuel_low_l.map_or(level_l, |low| low.min(level_l));
            self.fuel_low_l = Some(low_l);
            if level_l - low_l > if now.electric { ENERGY_NOISE_KWH } else { FUEL_NOISE_L } {
                lap.mark(Mark::Refuelled, now.us);
            }
        }
        if let (None, Some(_), Some(number)) = (lap.number, lap.half_us, now.sim_lap_number()) {
            // Aligned once, in the second half of the lap, where the counter neither lags nor flickers.
            lap.number = Some(number);
        }
    }

    /// When the car had been off track for long enough, if it has. An excursion lasts from half-way before its first
    /// frame to half-way after its last, so that every sampling rate sees the same on average.
    fn off_track(&mut self, now: &Now, before_us: Option<i64>) -> Option<i64> {
        let half_way = before_us.filter(|us| !missing(*us, now.us)).map_or(now.us, |us| us + (now.us - us) / 2);
        let off = now.off_track && now.speed_mps.is_none_or(|v| v > OFF_TRACK_MPS);
        let (since, until) = match (self.off_since_us, off) {
            (None, false) => return None,
            (Some(since), false) => {
                self.off_since_us = None;
                (since, half_way)
            }
            (since, true) => (*self.off_since_us.insert(since.unwrap_or(half_way)), now.us),
        };
        (until - since >= OFF_TRACK_US).then_some(since + OFF_TRACK_US)
    }

    pub(super) fn mark(&mut self, mark: Mark, us: i64) {
        if let Some(lap) = &mut self.lap {
            lap.mark(mark, us);
        }
    }
}
