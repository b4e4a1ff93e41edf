//! [`StreamRace`]: the race state of one stream, and what frames, metadata and events do to it.

use boxbox_schemas::event::{ArchivedEventFrame, EventCode};
use boxbox_schemas::field::ArchivedFieldFrame;
use boxbox_schemas::frame::{ArchivedCarFrame, CarBits, Flags};
use boxbox_schemas::ids::{DriverId, EntryId, RunId};
use boxbox_schemas::meta::SessionMeta;
use boxbox_schemas::results::IncidentStep;
use boxbox_schemas::slow::ArchivedSlowFrame;
use serde::{Deserialize, Serialize};

use super::car::Shown;
use super::counter::Counter;
use super::lap::{Mark, OpenLap, PastLap};
use super::lines::Settle;
use super::now::{Now, missing};
use super::step::{self, Sample};
use super::track::{Kind, Track};
use super::{Claim, Context, Fact, OFF_TRACK_MPS, OFF_TRACK_US, SIM_INVALID_LAG_US, Start, field_entry};

/// One stream's race state: pure, deterministic, serialisable (MessagePack with named fields, at most 4 KiB), cheap to clone.
///
/// Frames, metadata and events go in by sequence number; facts come out. A state written and read back at any frame
/// gives the same facts (E11).
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct StreamRace {
    /// Whose stream it is; known from its first call.
    pub(super) me: Option<Producer>,
    /// The same driver's runs whose state was inherited, oldest first.
    pub(super) before: Vec<Producer>,
    pub(super) timeline: u32,
    pub(super) last_tick: Option<u32>,
    pub(super) last_us: Option<i64>,
    /// Frames that came behind the last one and were left out.
    pub(super) ignored: u64,
    /// Sequence numbers are missing since the last frame: an event may be among them.
    pub(super) lost: bool,
    pub(super) track: Track,
    /// The last frame with a position.
    pub(super) at: Option<Sample>,
    /// `at` is the last one of the run before.
    pub(super) at_inherited: bool,
    /// A rewind went back to this time, and no position came since, µs.
    pub(super) resume_us: Option<i64>,
    /// There were blank samples since `at`.
    pub(super) blank: bool,
    /// In the pits; `None` until the simulator says it.
    pub(super) in_pits: Option<bool>,
    /// Off track since, µs.
    pub(super) off_since_us: Option<i64>,
    pub(super) sim_invalid: bool,
    /// The simulator's "last lap" in the frame before, µs.
    pub(super) sim_last_us: Option<i64>,
    pub(super) counter: Counter,
    /// When the race was let go, µs.
    pub(super) green_us: Option<i64>,
    /// The green flag was out in the frame before.
    pub(super) green_flag: bool,
    /// The field waits for the green light.
    pub(super) before_green: bool,
    pub(super) lap: Option<OpenLap>,
    /// Laps before it, oldest first.
    pub(super) past: Vec<PastLap>,
    /// The newest told lap of `past` waits for the simulator's own time.
    pub(super) pending: Option<Pending>,
    /// Number of the last lap told.
    pub(super) last_number: u32,
    /// Whose car it is.
    pub(super) view: View,
    pub(super) claim: Option<Claim>,
    pub(super) shown: Shown,
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

/// Who produces a stream, and how many timelines it has had.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Producer {
    pub(super) driver: DriverId,
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
    pub fn on_meta(&mut self, ctx: &Context, meta: &SessionMeta, _out: &mut Vec<Fact>) {
        self.identify(ctx);
        let own = meta.entries.iter().find(|e| e.slot == ctx.slot).or_else(|| meta.own());
        self.claim = Some(Claim { user_id: own.map_or(0, |e| e.user_id), team_id: own.map_or(0, |e| e.team_id), slot: ctx.slot });
        if self.view != View::Own {
            self.view = field_entry(Some(meta), ctx.slot).map_or(View::Silent, |entry| View::Field(Some(entry)));
        }
        let track = Track::of(meta, ctx.slot);
        if track.lines() != self.track.lines() {
            // Lines moved under a lap: what was crossed so far cannot be told apart from what was not.
            for lap in self.past.iter_mut().map(|p| &mut p.lap).filter(|l| !l.splits_us.is_empty()).chain(&mut self.lap) {
                lap.no_sectors = true;
            }
        }
        self.track = track;
    }

    /// One frame of the own car.
    pub fn on_frame(&mut self, ctx: &Context, seq: u64, frame: &ArchivedCarFrame, out: &mut Vec<Fact>) {
        let bits = CarBits::from(&frame.bits);
        if !bits.has(CarBits::REPLAY) {
            self.take(ctx, &Now::of(frame, seq, bits), out);
        }
    }

    /// What changes slowly on the own car.
    pub fn on_slow(&mut self, ctx: &Context, _frame: &ArchivedSlowFrame, _out: &mut Vec<Fact>) {
        self.identify(ctx);
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
        self.before_green = now.before_green();
        self.shown = Shown::of(now);
        match now.pct {
            Some(pct) => self.drive(ctx, now, pct, out),
            None => self.blank = true,
        }
        self.settle_when_due(ctx, now.us, out);
    }

    /// What the observer knows of the start.
    pub(super) fn on_start(&mut self, ctx: &Context, _start: Start, _out: &mut Vec<Fact>) {
        self.identify(ctx);
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
    }

    fn identify(&mut self, ctx: &Context) {
        if self.me.is_none() {
            self.me = Some(Producer { driver: ctx.driver, run: ctx.run, timeline: 0 });
        }
        if self.claim.is_none_or(|claim| claim.slot != ctx.slot) {
            self.claim = Some(Claim { user_id: 0, team_id: 0, slot: ctx.slot });
        }
    }

    /// A frame with a position.
    fn drive(&mut self, ctx: &Context, now: &Now, pct: f64, out: &mut Vec<Fact>) {
        if !self.track.knows_length()
            && let Some(m) = now.lap_dist_m
        {
            self.track.learn_length(f64::from(m), pct);
        }
        let step = now.incidents.and_then(|reading| self.counter.read(now.us, reading));
        if let Some((from, to)) = step {
            out.push(Fact::Incident(self.incident(ctx, now, from, to)));
        }
        let moved = match self.at {
            Some(at) => step::progress(&self.track, &at, now, pct, self.blank).map(|x| (at, Sample::at(now, pct, x))),
            None => self.resume(now, pct),
        };
        let before_us = moved.map(|(from, _)| from.us);
        let edge = self.pit_edge(now, before_us);
        match moved {
            Some((from, to)) => self.advance(ctx, from, to, edge, out),
            None => {
                self.break_off(ctx, out);
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

    /// Race lap 1 begins at the green light, for a car that was there before it. The session state is no use: in a real
    /// standing start it came 1.1 s after the light.
    fn green(&mut self, ctx: &Context, now: &Now, pct: f64, before_us: Option<i64>, out: &mut Vec<Fact>) {
        let shown = now.flags.has(Flags::GREEN);
        let rose = shown && !std::mem::replace(&mut self.green_flag, shown);
        // A rolling start may show the green flag and no start lights.
        let go = now.flags_seen.has(Flags::START_GO) || (rose && self.before_green && self.track.kind == Kind::Race);
        if !go || self.green_us.is_some() || self.track.kind == Kind::Other {
            return;
        }
        self.green_us = Some(now.us);
        let was_there = before_us.is_some_and(|us| !missing(us, now.us));
        if !was_there || !now.before_first_lap() {
            return;
        }
        self.break_off(ctx, out);
        let x = if pct > 0.5 { pct - 1.0 } else { pct };
        let mut lap = OpenLap::new(now.us, now.tick, now.seq, self.track.lines().len() + 1);
        lap.number = Some(1);
        lap.from_green = true;
        lap.frames = 1;
        lap.no_sectors = self.track.line(0).is_some_and(|line| x >= line);
        if now.in_pits == Some(true) {
            lap.mark(Mark::PitOut, now.us);
        }
        self.lap = Some(lap);
        self.last_number = 0;
        self.at = Some(Sample::at(now, pct, x));
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
