//! [`CarState`]: the race state of one car, and how frames, metadata and events change it.

use boxbox_schemas::event::{ArchivedEventFrame, EventCode};
use boxbox_schemas::field::ArchivedFieldFrame;
use boxbox_schemas::frame::{ArchivedCarFrame, CarBits};
use boxbox_schemas::ids::{DriverId, EntryId};
use boxbox_schemas::meta::SessionMeta;
use boxbox_schemas::results::{CarNow, FlagChange};
use boxbox_schemas::slow::{ArchivedSlowFrame, SlowPresence};

use super::clock::Clock;
use super::fact::{Claim, Context, Fact, Output, Start};
use super::frame::{Frame, MISSING_US, missing};
use super::identity::{Identity, Origin, View};
use super::laps::{Laps, Rewind};
use super::mark::Mark;
use super::motion::Motion;
use super::parts::{FrameContext, Parts, Slow};
use super::shown::Shown;
use super::slips::Slips;
use super::start::RaceStart;
use super::step::Sample;
use super::track::Track;

/// One car's race state: pure, deterministic, stored in at most 6 KiB, cheap to clone.
///
/// Frames, metadata and events go in, in the order of their sequence numbers; facts come out. A state that is stored and read back
/// between any two frames gives the same facts (E11). A panic of a part is caught, and [`Output::failed`] names the part (E5c). A panic
/// of the laps goes to the caller.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct CarState {
    pub(super) identity: Identity,
    pub(super) clock: Clock,
    pub(super) start: RaceStart,
    pub(super) motion: Motion,
    pub(super) laps: Laps,
    pub(super) parts: Parts,
    pub(super) shown: Shown,
}

impl CarState {
    /// The state before a stream's first frame.
    pub fn new() -> Self {
        Self::default()
    }

    /// The state of an observed car.
    pub(super) fn of_another() -> Self {
        Self { identity: Identity { view: View::Field(None), ..Identity::default() }, ..Self::default() }
    }

    /// Tick of the last frame that was processed.
    pub fn last_tick(&self) -> Option<u32> {
        self.clock.last_tick
    }

    /// Number of frames left out because they were not newer than the last one (`motion.order`).
    pub fn ignored(&self) -> u64 {
        self.clock.ignored
    }

    /// The entry: the team if teams compete, else the driver.
    pub fn entry(&self, driver: DriverId) -> EntryId {
        self.identity.entry(driver)
    }

    /// Which car its client drives, as its metadata names it; `None` before the first call. Ids are 0 where the metadata has none.
    pub fn claim(&self) -> Option<Claim> {
        self.identity.claim
    }

    /// Session time of its newest frame, if that shows where the car is, µs.
    pub fn driving_us(&self) -> Option<i64> {
        self.motion.at.filter(|_| !self.motion.blank).map(|at| at.us)
    }

    /// What its frames show of the start of the race.
    pub fn start(&self) -> Start {
        Start { waiting: self.start.waiting, green_us: self.start.green_us, no_racing: self.shown.flags.any(FlagChange::NO_RACING) }
    }

    /// By how much its simulator's session time ran ahead of its ticks. The cars that it sees have the same clock (`clock.slip`).
    pub fn slips(&self) -> Slips {
        self.clock.slips
    }

    /// The session's metadata, as the client reports it.
    pub fn on_meta(&mut self, ctx: &Context, meta: &SessionMeta, out: &mut Output) {
        self.identity.identify(ctx);
        let (claim, view) = self.identity.claim_and_view(ctx, meta);
        self.identity.claim = Some(claim);
        if ![view, View::Field(None)].contains(&self.identity.view) {
            self.forget_car(ctx, out);
        }
        self.identity.view = view;
        self.set_track(Track::of(meta, ctx.slot));
    }

    /// One frame of the own car.
    pub fn on_frame(&mut self, ctx: &Context, seq: u64, frame: &ArchivedCarFrame, out: &mut Output) {
        let bits = CarBits::from(&frame.bits);
        // A frame of a replay was not driven (`motion.replay`).
        if !bits.has(CarBits::REPLAY) {
            self.take(ctx, Frame::of(frame, seq, bits), out);
        }
    }

    /// A slow frame of the own car.
    pub fn on_slow(&mut self, ctx: &Context, frame: &ArchivedSlowFrame, out: &mut Output) {
        self.identity.identify(ctx);
        let tyre_sets = SlowPresence::from(&frame.presence).has(SlowPresence::TYRE_SETS).then(|| frame.tyre_sets_used.to_native());
        let origin = Origin { ctx, identity: &self.identity };
        self.parts.slow(&Slow { origin, us: self.clock.corrected_us(frame.sim_time_us.to_native()), tyre_sets }, out);
        self.mark_open_lap(out);
    }

    /// One frame of an observed car.
    pub(super) fn on_field_frame(&mut self, ctx: &Context, seq: u64, frame: &ArchivedFieldFrame, out: &mut Output) {
        if self.identity.view != View::NotCompeting {
            self.take(ctx, Frame::of_field(frame, seq), out);
        }
    }

    /// The slips of the observer's clock.
    pub(super) fn on_slips(&mut self, slips: Slips) {
        self.clock.slips = slips;
    }

    /// What the observer of this car knows of the start (`start.seen`). Frames of an observed car come four times a second and do not show
    /// the start, so the frame nearest to the green light says where the car was.
    pub(super) fn on_start(&mut self, ctx: &Context, start: Start, out: &mut Output) {
        self.identity.identify(ctx);
        if let (true, Some(us)) = (start.no_racing, self.clock.last_us) {
            self.laps.mark(Mark::Pace, us);
        }
        let Some(us) = self.start.learn(start, self.identity.track.kind) else { return };
        // The count may show 2 for a second after the line.
        let there = |at: &Sample| !missing(at.us, us) && !missing(us, at.us) && at.lap.is_none_or(|n| n <= 2);
        let Some(at) = self.motion.at.filter(there) else { return };
        if !self.laps.begin_at_light(us) {
            let origin = Origin { ctx, identity: &self.identity };
            self.motion.at = Some(self.laps.begin_race(&origin, us, at, self.motion.at, &mut out.facts));
        }
    }

    /// The observer's simulator went back, to a tick and a session time that is corrected by its slips.
    pub(super) fn on_rewind(&mut self, ctx: &Context, to_tick: u32, to_us: i64, seq: u64, out: &mut Output) {
        self.identity.identify(ctx);
        self.rewind(ctx, (to_tick, to_us), seq, out);
    }

    /// An event of the stream.
    pub fn on_event(&mut self, ctx: &Context, seq: u64, event: &ArchivedEventFrame, out: &mut Output) {
        self.identity.identify(ctx);
        let (tick, us) = (event.tick.to_native(), event.sim_time_us.to_native());
        match EventCode::from(&event.code) {
            EventCode::REWIND => self.rewind(ctx, (tick, self.clock.corrected_at_us(tick, us)), seq, out),
            // The lap ends as after a jump (`lap.reset`).
            EventCode::RESET => {
                let us = self.clock.corrected_us(us);
                let origin = Origin { ctx, identity: &self.identity };
                let counts = self.motion.at.is_some_and(|at| at.lap.is_some());
                self.laps.jump(&origin, (self.motion.at, self.motion.at.map(|at| at.us)), (us, None), counts, &mut out.facts);
                self.motion.reset_us = self.motion.at.map(|at| at.us).or(self.motion.reset_us);
                self.motion.at = None;
            }
            // A lap of two drivers is no measure of either (`swap.event`).
            EventCode::DRIVER_SWAP => self.laps.mark(Mark::Swap, self.clock.corrected_us(us)),
            _ => {}
        }
    }

    /// Sequence numbers `first` to `next` (exclusive) will never come: a gap, a void or a hole.
    ///
    /// The time of the next frame says how long the gap is. This call only notes that an event may be missing.
    pub fn on_missing(&mut self, ctx: &Context, first: u64, next: u64, _out: &mut Output) {
        self.identity.identify(ctx);
        self.clock.lost |= next > first;
    }

    /// The stream is over: a lap that waits for the simulator's own time settles without it.
    pub fn on_end(&mut self, ctx: &Context, out: &mut Output) {
        self.identity.identify(ctx);
        let origin = Origin { ctx, identity: &self.identity };
        self.laps.settle_now(&origin, &mut out.facts);
        self.laps.decide_now(&origin, &mut out.facts);
        if let Some(at) = &self.motion.at {
            self.laps.close_unseen(&origin, at, 0, &mut out.facts);
        }
        let watching = origin.in_team() && self.motion.blank;
        if !(watching && self.motion.in_pits == Some(true)) {
            self.laps.emit_head(&origin, &self.motion, 0, &mut out.facts);
        }
        let left_us = self.motion.last_us().filter(|_| watching);
        self.parts.end(&origin, left_us.or(self.clock.last_us).unwrap_or(0), out);
        self.mark_open_lap(out);
    }

    /// This run continues the state `from` of an earlier run of the same driver (E2, `resume.inherit`). An open lap stays open: it gets
    /// the tag `RESUMED` and the frames of both runs. Metadata that this run has received itself replaces the inherited metadata.
    pub fn inherit(&mut self, from: &CarState, out: &mut Output) {
        // The state of a run before its first frame. This pattern lists all fields, so that a new one is not forgotten.
        let Self { identity, clock, start: _, motion: _, laps: _, parts: _, shown: _ } = std::mem::replace(self, from.clone());
        self.laps.continue_in_run(self.identity.present_run(), self.motion.at.map_or(0, |at| at.seq + 1));
        if self.identity.start_run(&identity) {
            self.laps.forget_oldest_run();
        }
        self.motion.at_inherited = self.motion.at.is_some();
        (self.clock.ignored, self.clock.lost) = (clock.ignored, clock.lost);
        self.parts.hand_over(out);
        self.mark_open_lap(out);
        if identity.track.described {
            self.set_track(identity.track);
            (self.identity.claim, self.identity.view) = (identity.claim, identity.view);
        }
    }

    /// Where the car is; `None` before its first frame.
    pub fn now(&self, ctx: &Context) -> Option<CarNow> {
        if self.identity.view == View::NotCompeting {
            return None;
        }
        let (sim_time_us, tick) = (self.clock.last_us?, self.clock.last_tick?);
        let begun = self.laps.open_lap_times();
        let Shown { pct, speed_mps, off_track, in_pits, fuel_l, flags, state } = self.shown;
        Some(CarNow {
            session: ctx.session,
            entry: Origin { ctx, identity: &self.identity }.entry(),
            driver: ctx.driver,
            run: ctx.run,
            slot: ctx.slot,
            field: !self.identity.own(),
            sim_time_us,
            tick,
            lap: self.laps.open_number(&self.identity.track, self.motion.at.as_ref()),
            lap_start_us: begun.filter(|(.., taken_over)| !taken_over).map(|(since_us, ..)| since_us),
            taken_over_us: begun.filter(|(.., taken_over)| *taken_over).map(|(since_us, ..)| since_us),
            loops_us: begun.map_or_else(Vec::new, |(_, loops_us, _)| loops_us.to_vec()),
            lap_pct: pct,
            speed_mps,
            // A blank sample may show the car in the garage or its stall. If it shows neither, the car may still be in the pits.
            in_pits: in_pits.filter(|there| *there || pct.is_some()),
            off_track,
            fuel_l,
            flags,
            state,
            watching: self.identity.own()
                && self.identity.track.team_id != 0
                && self.motion.blank
                && self.motion.last_us().is_none_or(|us| missing(us, sim_time_us)),
        })
    }

    fn take(&mut self, ctx: &Context, mut frame: Frame, out: &mut Output) {
        self.identity.identify(ctx);
        if self.clock.rewind_was_lost(&frame) {
            self.rewind(ctx, (frame.tick, self.clock.corrected_at_us(frame.tick, frame.us)), frame.seq, out);
        }
        let own = self.identity.own();
        let lost = self.clock.lost;
        let last_us = self.clock.last_us;
        let newer = if own {
            let Self { clock, motion, identity, .. } = self;
            let place = (frame.pct, frame.speed_mps);
            let last_tick = clock.last_tick;
            clock.take(&mut frame, || motion.driven_us(&identity.track, last_tick?, place))
        } else {
            self.clock.take_observed(&mut frame)
        };
        if !newer {
            return;
        }
        let frame = &frame;
        let gap = last_us.is_some_and(|us| missing(us, frame.us));
        if gap {
            // The simulator's time of a lap that ended long ago is not what the next frame shows.
            self.laps.settle_stale(&Origin { ctx, identity: &self.identity }, frame.us, &mut out.facts);
        }
        let started = own && self.start.shows(frame, last_us, self.identity.track.kind);
        self.shown = Shown::of(frame);
        let before_us = self.motion.last_us();
        if started && frame.pct.is_none() {
            self.begin_race(ctx, frame, (before_us, self.motion.at), out);
        }
        let drove = match frame.pct {
            Some(pct) => self.take_position(ctx, (frame, pct), (started, before_us), lost, out),
            None => {
                self.take_blank(ctx, frame, out);
                false
            }
        };
        let origin = Origin { ctx, identity: &self.identity };
        let at = FrameContext {
            origin,
            frame,
            drove,
            before_us,
            gap,
            speed_mps: self.shown.speed_mps,
            waiting: self.start.waiting,
            lap: self.laps.open_number(&self.identity.track, self.motion.at.as_ref()),
            lap_since_us: self.laps.open_since_us(),
            lap_began: self.laps.take_began(),
        };
        self.parts.take(&at, out);
        self.laps.settle_when_due(&origin, frame, &mut out.facts);
        self.mark_open_lap(out);
    }

    /// A frame with a position. True if the car drove there. `started`: the race starts in it; `seen_us`: when its place was known before.
    /// `lost`: sequence numbers before it are missing.
    #[inline]
    fn take_position(
        &mut self,
        ctx: &Context,
        (frame, pct): (&Frame, f64),
        (started, seen_us): (bool, Option<i64>),
        lost: bool,
        out: &mut Output,
    ) -> bool {
        if !self.identity.track.knows_length()
            && let Some(m) = frame.lap_dist_m
        {
            self.identity.track.learn_length(f64::from(m), pct);
        }
        let left_us = if (Origin { ctx, identity: &self.identity }).in_team() { self.motion.absent_since_us(frame) } else { None };
        if let Some(us) = left_us {
            self.begin_stretch(ctx, us, out);
        }
        let origin = Origin { ctx, identity: &self.identity };
        let last = self.motion.at;
        let Self { start, motion, laps, shown, .. } = self;
        let track = origin.track();
        let driven = motion.driven(track, frame, pct, || laps.section(track));
        let before_us = driven.map(|(from, ..)| from.us);
        if let (None, Some((from, to, _))) = (frame.speed_mps, driven)
            && (1..MISSING_US).contains(&(to.us - from.us))
        {
            shown.speed_mps = Some(((to.x - from.x).abs() * track.length_m() / (to.us - from.us) as f64 * 1e6) as f32);
        }
        let edge = motion.pit_edge(frame, before_us);
        match driven {
            Some((from, mut to, cut)) => {
                if motion.blank {
                    laps.unseen_us = None;
                }
                // Pit lane and track are not equally long, and what is missing cannot be compared with the speed (`lap.cut`).
                let mark = if lost { Mark::Missing } else { Mark::Cut };
                let mark = (cut && edge.is_none()).then_some(mark);
                laps.advance(&origin, (motion, start), (from, &mut to), (edge, mark), &mut out.facts);
                motion.set_position(to);
            }
            None => {
                let mut to = Sample::at(frame, pct, pct);
                if !laps.start_from_pits(&origin, start, frame, &mut to, last) {
                    let counts = frame.sim_lap_number().is_some();
                    let known_us = last.map(|at| at.us).or(motion.reset_us);
                    laps.jump(&origin, (last, known_us), (frame.us, Some(pct)), counts, &mut out.facts);
                    laps.take_over_lap(&origin, start, frame, pct, (last.is_some(), left_us.is_some()));
                    to.x = laps.progress_after_jump(last.as_ref(), pct);
                }
                motion.set_position(to);
            }
        }
        if started {
            self.begin_race(ctx, frame, (seen_us, last), out);
        }
        let origin = Origin { ctx, identity: &self.identity };
        self.laps.follow_counters(&origin, frame, self.motion.at.as_ref(), &mut out.facts);
        self.laps.mark_validity(frame, before_us);
        self.laps.ask_counter(&origin, frame, &mut out.facts);
        self.laps.see_sim_lap_time(&origin, frame.last_lap_us, &mut out.facts);
        driven.is_some()
    }

    /// The race starts in this frame. The car has a lap 1 if it was there before (`start.there`): its place was known at `seen_us`, and `last`
    /// is its position before the frame, if that was a frame and not a rewind.
    fn begin_race(&mut self, ctx: &Context, frame: &Frame, (seen_us, last): (Option<i64>, Option<Sample>), out: &mut Output) {
        let there = seen_us.is_some_and(|us| !missing(us, frame.us)) && frame.before_first_lap();
        let Some(mut at) = frame.pct.map(|pct| Sample::at(frame, pct, pct)).or(last).filter(|_| there) else { return };
        at.before_line |= last.is_some_and(|at| at.before_line);
        let origin = Origin { ctx, identity: &self.identity };
        self.motion.at = Some(self.laps.begin_race(&origin, frame.us, at, self.motion.at, &mut out.facts));
    }

    /// A frame without a position.
    fn take_blank(&mut self, ctx: &Context, frame: &Frame, out: &mut Output) {
        let origin = Origin { ctx, identity: &self.identity };
        self.laps.blank_counts(&origin, frame, self.motion.at.as_ref(), &mut out.facts);
        if !self.motion.blank && self.motion.in_pits == Some(true) {
            self.laps.emit_head(&origin, &self.motion, 0, &mut out.facts);
            if let Some(us) = self.motion.last_us().filter(|_| origin.in_team()) {
                self.parts.end(&origin, us, out);
            }
        }
        self.motion.blank = true;
    }

    /// This driver is in the car again, and another driver may have driven it since `us`: a new stretch of driving begins, as if its stream
    /// began here (`swap.stretch`). Its facts have a new timeline, so that the two parts that a driver may drive of one lap are two facts.
    fn begin_stretch(&mut self, ctx: &Context, us: i64, out: &mut Output) {
        let origin = Origin { ctx, identity: &self.identity };
        let in_pits = self.motion.in_pits != Some(false);
        self.laps.settle_now(&origin, &mut out.facts);
        self.laps.emit_head(&origin, &self.motion, 1, &mut out.facts);
        self.laps.hand_over_car(&origin, self.motion.at, &mut out.facts);
        self.parts.hand_over_car(&origin, us, in_pits, out);
        self.mark_open_lap(out);
        self.identity.timeline += 1;
        self.motion = Motion::default();
    }

    /// The simulator went back to `to`, a tick and a corrected session time (`rewind.undo`); `seq` is the sequence number of the rewind event.
    fn rewind(&mut self, ctx: &Context, to: (u32, i64), seq: u64, out: &mut Output) {
        // All fields are listed, so that a new one is not forgotten. `shown` stays as it is until the next frame.
        let Self { identity, clock, start, motion, laps, parts, shown: _ } = self;
        let (to_tick, to_us) = to;
        identity.timeline += 1;
        let origin = Origin { ctx, identity };
        if origin.own() {
            let entry = origin.entry();
            let rewind = |run, timeline| Fact::Rewind { entry, driver: ctx.driver, run, timeline, to_us, to_tick };
            out.facts.extend(identity.before.iter().map(|p| rewind(p.run, p.timeline + 1)));
            out.facts.push(rewind(ctx.run, identity.timeline));
        }
        let rewind = Rewind { to_us, seq, last_us: clock.last_us.unwrap_or(to_us), at: motion.at };
        laps.rewind(&origin, &rewind, &mut out.facts);
        parts.rewind(&origin, to_us, out);
        start.rewind(to_us);
        clock.rewind(to_tick, to_us);
        *motion = Motion::after_rewind(to_us);
        self.mark_open_lap(out);
    }

    /// Another car has taken the slot: the state begins again (`seen.slot`), except for the stream's identity and what belongs to the session.
    fn forget_car(&mut self, ctx: &Context, out: &mut Output) {
        let origin = Origin { ctx, identity: &self.identity };
        self.laps.settle_now(&origin, &mut out.facts);
        let Self { identity, clock, start, motion: _, laps: _, parts: _, shown: _ } = std::mem::take(self);
        *self = Self { identity, clock, start: RaceStart { green_flag: false, ..start }, ..Self::default() };
    }

    fn set_track(&mut self, track: Track) {
        if track.lines() != self.identity.track.lines() {
            self.laps.lines_moved();
        }
        self.identity.track = track;
    }

    /// Give the open lap the marks that parts have set.
    #[inline]
    pub(super) fn mark_open_lap(&mut self, out: &mut Output) {
        if out.marks.is_empty() {
            return;
        }
        if let Some(since_us) = self.laps.open_since_us() {
            out.marks.iter().for_each(|(mark, us)| self.laps.mark(*mark, since_us.max(*us)));
        }
        out.marks.clear();
    }
}
