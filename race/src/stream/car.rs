//! [`CarState`]: the race state of one stream's car, and what frames, metadata and events do to it.

use boxbox_schemas::event::{ArchivedEventFrame, EventCode};
use boxbox_schemas::field::ArchivedFieldFrame;
use boxbox_schemas::frame::{ArchivedCarFrame, CarBits};
use boxbox_schemas::ids::{DriverId, EntryId};
use boxbox_schemas::meta::SessionMeta;
use boxbox_schemas::results::CarNow;
use boxbox_schemas::slow::{ArchivedSlowFrame, SlowPresence};

use super::clock::Clock;
use super::fact::{Claim, Context, Fact, Reports, Start};
use super::frame::{Frame, MISSING_US, missing};
use super::identity::{Identity, Reporter, View};
use super::laps::{Back, Laps};
use super::mark::Mark;
use super::motion::Motion;
use super::parts::{Moment, Parts, Slow};
use super::shown::Shown;
use super::start::RaceStart;
use super::step::Sample;
use super::track::Track;

/// One car's race state: pure, deterministic, stored in at most 4 KiB, cheap to clone.
///
/// Frames, metadata and events go in by sequence number; facts come out. A state written and read back at any frame
/// gives the same facts (E11). A panic of a part is contained, and the part is named in [`Reports::failed`]; a panic of the laps
/// goes to the caller.
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

    /// Tick of the last frame taken.
    pub fn last_tick(&self) -> Option<u32> {
        self.clock.last_tick
    }

    /// Frames left out because they came behind the last one of their timeline.
    pub fn ignored(&self) -> u64 {
        self.clock.ignored
    }

    /// Who competes: the team where teams do, else the driver.
    pub fn entry(&self, driver: DriverId) -> EntryId {
        self.identity.entry(driver)
    }

    /// Which car its client drives, as its metadata names it; `None` before the first call. Ids are 0 where the metadata has none.
    pub fn claim(&self) -> Option<Claim> {
        self.identity.claim
    }

    /// What its frames say of the start of the race.
    pub fn start(&self) -> Start {
        Start { waiting: self.start.waiting, green_us: self.start.green_us }
    }

    /// What the client knows of the session.
    pub fn on_meta(&mut self, ctx: &Context, meta: &SessionMeta, out: &mut Reports) {
        self.identity.identify(ctx);
        let (claim, view) = self.identity.described(ctx, meta);
        self.identity.claim = Some(claim);
        if ![view, View::Field(None)].contains(&self.identity.view) {
            self.forget_car(ctx, out);
        }
        self.identity.view = view;
        self.lay_track(Track::of(meta, ctx.slot));
    }

    /// One frame of the own car.
    pub fn on_frame(&mut self, ctx: &Context, seq: u64, frame: &ArchivedCarFrame, out: &mut Reports) {
        let bits = CarBits::from(&frame.bits);
        if !bits.has(CarBits::REPLAY) {
            self.take(ctx, &Frame::of(frame, seq, bits), out);
        }
    }

    /// What changes slowly on the own car.
    pub fn on_slow(&mut self, ctx: &Context, frame: &ArchivedSlowFrame, out: &mut Reports) {
        self.identity.identify(ctx);
        let tyre_sets = SlowPresence::from(&frame.presence).has(SlowPresence::TYRE_SETS).then(|| frame.tyre_sets_used.to_native());
        let by = Reporter { ctx, identity: &self.identity };
        self.parts.slow(&Slow { by, us: frame.sim_time_us.to_native(), tyre_sets }, out);
        self.keep_marks(out);
    }

    /// One frame of an observed car.
    pub(super) fn on_field_frame(&mut self, ctx: &Context, seq: u64, frame: &ArchivedFieldFrame, out: &mut Reports) {
        if self.identity.view != View::Silent {
            self.take(ctx, &Frame::of_field(frame, seq), out);
        }
    }

    /// What the observer of this car knows of the start (`start.seen`). The car's own frames come four times a second and need
    /// not show it: the frame next to the light says where the car was.
    pub(super) fn on_start(&mut self, ctx: &Context, start: Start, out: &mut Reports) {
        self.identity.identify(ctx);
        let Some(us) = self.start.learn(start, self.identity.track.kind) else { return };
        let there = |at: &Sample| !missing(at.us, us) && !missing(us, at.us) && at.lap.is_none_or(|n| n <= 1);
        let Some(at) = self.motion.at.filter(there) else { return };
        if !self.laps.began_at_light(us) {
            let by = Reporter { ctx, identity: &self.identity };
            self.motion.at = Some(self.laps.begin_race(&by, us, at, self.motion.at, &mut out.facts));
        }
    }

    /// The observer's simulator went back.
    pub(super) fn on_rewind(&mut self, ctx: &Context, to_tick: u32, to_us: i64, seq: u64, out: &mut Reports) {
        self.identity.identify(ctx);
        self.rewind(ctx, (to_tick, to_us), seq, out);
    }

    /// Something happened.
    pub fn on_event(&mut self, ctx: &Context, seq: u64, event: &ArchivedEventFrame, out: &mut Reports) {
        self.identity.identify(ctx);
        match EventCode::from(&event.code) {
            EventCode::REWIND => self.rewind(ctx, (event.tick.to_native(), event.sim_time_us.to_native()), seq, out),
            EventCode::RESET => {
                let by = Reporter { ctx, identity: &self.identity };
                self.laps.break_off(&by, self.motion.at, &mut out.facts);
                self.motion.at = None;
            }
            EventCode::DRIVER_SWAP => self.laps.mark(Mark::Swap, event.sim_time_us.to_native()),
            _ => {}
        }
    }

    /// Sequence numbers `first` to `next` (exclusive) will never come: a gap, a void or a hole.
    ///
    /// Time says how long the stretch was, so this only notes that an event may be among them.
    pub fn on_missing(&mut self, ctx: &Context, first: u64, next: u64, _out: &mut Reports) {
        self.identity.identify(ctx);
        self.clock.lost |= next > first;
    }

    /// The stream is over: what waits for the simulator's own time settles without it.
    pub fn on_end(&mut self, ctx: &Context, out: &mut Reports) {
        self.identity.identify(ctx);
        let by = Reporter { ctx, identity: &self.identity };
        self.laps.settle_now(&by, &mut out.facts);
        self.laps.leave_car(&by, self.motion.at.as_ref(), &mut out.facts);
        self.parts.end(&by, self.clock.last_us.unwrap_or(0), out);
        self.keep_marks(out);
    }

    /// E2: this run goes on where `from`, an earlier one of the same driver, ends (`resume.inherit`). A lap that is open stays open:
    /// it will carry `RESUMED` and the frames of both runs. What this run has heard of its session already holds.
    pub fn inherit(&mut self, from: &CarState, out: &mut Reports) {
        // What a run has before its first frame: no field may be missing here.
        let Self { identity, clock, start: _, motion: _, laps: _, parts: _, shown: _ } = std::mem::replace(self, from.clone());
        self.laps.go_on(self.identity.present_run(), self.motion.at.map_or(0, |at| at.seq + 1));
        if self.identity.go_on_as(&identity) {
            self.laps.forget_oldest_run();
        }
        self.motion.at_inherited = self.motion.at.is_some();
        (self.clock.ignored, self.clock.lost) = (clock.ignored, clock.lost);
        self.parts.hand_over(out);
        self.keep_marks(out);
        if identity.track.described {
            self.lay_track(identity.track);
            (self.identity.claim, self.identity.view) = (identity.claim, identity.view);
        }
    }

    /// Where the car is; `None` before its first frame.
    pub fn now(&self, ctx: &Context) -> Option<CarNow> {
        if self.identity.view == View::Silent {
            return None;
        }
        let (sim_time_us, tick) = (self.clock.last_us?, self.clock.last_tick?);
        let begun = self.laps.begun_here();
        let Shown { pct, speed_mps, off_track, in_pits, fuel_l, flags, state } = self.shown;
        Some(CarNow {
            session: ctx.session,
            entry: Reporter { ctx, identity: &self.identity }.entry(),
            driver: ctx.driver,
            run: ctx.run,
            slot: ctx.slot,
            field: !self.identity.own(),
            sim_time_us,
            tick,
            lap: self.laps.open_number(self.motion.at.as_ref()),
            lap_start_us: begun.map(|(since_us, _)| since_us),
            loops_us: begun.map_or_else(Vec::new, |(_, loops_us)| loops_us.to_vec()),
            lap_pct: pct,
            speed_mps,
            // A blank sample may say that it is in the garage or its stall; that it is not says nothing.
            in_pits: in_pits.filter(|there| *there || pct.is_some()),
            off_track,
            fuel_l,
            flags,
            state,
        })
    }

    fn take(&mut self, ctx: &Context, frame: &Frame, out: &mut Reports) {
        self.identity.identify(ctx);
        if self.clock.rewind_was_lost(frame) {
            self.rewind(ctx, (frame.tick, frame.us), frame.seq, out);
        }
        if !self.clock.take(frame) {
            return;
        }
        if self.identity.own() {
            self.start.waiting = frame.before_green();
        }
        self.shown = Shown::of(frame);
        let before_us = self.motion.last_us();
        let drove = match frame.pct {
            Some(pct) => self.take_position(ctx, frame, pct, out),
            None => {
                self.take_blank(ctx, out);
                false
            }
        };
        let by = Reporter { ctx, identity: &self.identity };
        let moment = Moment {
            by,
            frame,
            drove,
            before_us,
            speed_mps: self.shown.speed_mps,
            waiting: self.start.waiting,
            lap: self.laps.open_number(self.motion.at.as_ref()),
            lap_since_us: self.laps.open_since_us(),
            lap_began: self.laps.began(),
        };
        self.parts.take(&moment, out);
        self.laps.settle_when_due(&by, frame.us, &mut out.facts);
        self.keep_marks(out);
    }

    /// A frame with a position. Whether the car drove there.
    #[inline]
    fn take_position(&mut self, ctx: &Context, frame: &Frame, pct: f64, out: &mut Reports) -> bool {
        if !self.identity.track.knows_length()
            && let Some(m) = frame.lap_dist_m
        {
            self.identity.track.learn_length(f64::from(m), pct);
        }
        let by = Reporter { ctx, identity: &self.identity };
        let Self { start, motion, laps, shown, .. } = self;
        let track = by.track();
        let driven = motion.driven(track, frame, pct, || laps.section(track));
        let before_us = driven.map(|(from, _)| from.us);
        if let (None, Some((from, to))) = (frame.speed_mps, driven)
            && (1..MISSING_US).contains(&(to.us - from.us))
        {
            shown.speed_mps = Some(((to.x - from.x).abs() * track.length_m() / (to.us - from.us) as f64 * 1e6) as f32);
        }
        let edge = motion.pit_edge(frame, before_us);
        match driven {
            Some((from, mut to)) => {
                laps.advance(&by, (motion, start), (from, &mut to), edge, &mut out.facts);
                motion.arrive(to);
            }
            None => {
                laps.break_off(&by, motion.at, &mut out.facts);
                laps.take_over(&by, start, frame, pct, motion.at.is_some());
                motion.arrive(Sample::at(frame, pct, pct));
            }
        }
        // Race lap 1 begins at the green light, for a car that was there before it (`start.there`).
        if start.shows(frame, track.kind) && before_us.is_some_and(|us| !missing(us, frame.us)) && frame.before_first_lap() {
            motion.at = Some(laps.begin_race(&by, frame.us, Sample::at(frame, pct, pct), motion.at, &mut out.facts));
        }
        laps.judge(frame, before_us);
        laps.sim_time(&by, frame.last_lap_us, &mut out.facts);
        driven.is_some()
    }

    /// A frame without a position.
    fn take_blank(&mut self, ctx: &Context, out: &mut Reports) {
        if !self.motion.blank && self.motion.in_pits == Some(true) {
            let by = Reporter { ctx, identity: &self.identity };
            self.laps.leave_car(&by, self.motion.at.as_ref(), &mut out.facts);
        }
        self.motion.blank = true;
    }

    /// The simulator went back to `to`, a tick and a session time; `seq` is the sequence number of the event that says so
    /// (`rewind.undo`).
    fn rewind(&mut self, ctx: &Context, to: (u32, i64), seq: u64, out: &mut Reports) {
        // What a rewind takes back: no field may be missing here. What the newest frame shows is shown until the next.
        let Self { identity, clock, start, motion, laps, parts, shown: _ } = self;
        let (to_tick, to_us) = to;
        identity.timeline += 1;
        let by = Reporter { ctx, identity };
        if by.own() {
            let entry = by.entry();
            let told = |run, timeline| Fact::Rewind { entry, driver: ctx.driver, run, timeline, to_us, to_tick };
            out.facts.extend(identity.before.iter().map(|p| told(p.run, p.timeline + 1)));
            out.facts.push(told(ctx.run, identity.timeline));
        }
        let back = Back { to_us, seq, last_us: clock.last_us.unwrap_or(to_us), at: motion.at };
        laps.rewind(&by, &back, &mut out.facts);
        parts.rewind(&by, to_us, out);
        start.rewind(to_us);
        clock.rewind(to_tick, to_us);
        *motion = Motion::returned_to(to_us);
        self.keep_marks(out);
    }

    /// Another car has taken the slot: nothing of the one before goes on (`seen.slot`), but whose stream it is and what belongs to the
    /// session.
    fn forget_car(&mut self, ctx: &Context, out: &mut Reports) {
        let by = Reporter { ctx, identity: &self.identity };
        self.laps.settle_now(&by, &mut out.facts);
        let Self { identity, clock, start, motion: _, laps: _, parts: _, shown: _ } = std::mem::take(self);
        *self = Self { identity, clock, start: RaceStart { green_flag: false, ..start }, ..Self::default() };
    }

    fn lay_track(&mut self, track: Track) {
        if track.lines() != self.identity.track.lines() {
            self.laps.lines_moved();
        }
        self.identity.track = track;
    }

    /// What parts said of the open lap becomes part of it.
    #[inline]
    pub(super) fn keep_marks(&mut self, out: &mut Reports) {
        if out.marks.is_empty() {
            return;
        }
        if let Some(since_us) = self.laps.open_since_us() {
            out.marks.iter().for_each(|(mark, us)| self.laps.mark(*mark, since_us.max(*us)));
        }
        out.marks.clear();
    }
}
