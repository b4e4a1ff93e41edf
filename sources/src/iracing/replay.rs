//! A recording as a client would have sent it: [`Replay`] turns records into frames, sessions and rewinds.
//!
//! One record is read ahead, so that a single record out of line (a torn sector, a flipped bit in a tick) is dropped
//! instead of becoming a session or a rewind.

use std::collections::VecDeque;

use boxbox_schemas::Source;
use boxbox_schemas::frame::{CarBits, CarFrame, Flags};
use boxbox_schemas::meta::SessionMeta;
use boxbox_schemas::slow::{SlowFrame, SlowPresence};
use uuid::Uuid;

use super::clock::{Clock, Step};
use super::error::IbtError;
use super::file::IbtFile;
use super::limits::SESSIONS_MAX;
use super::named::Named;
use super::records::Records;
use super::stats::ReadStats;

/// Options of a replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayOptions {
    /// Return a car frame every this many ticks, 1 (or 0) for each. Pulses of the ticks between are in the next frame.
    pub every: u32,
    /// Use this id for the lobby instead of the recording's own, so that it is imported as a new session.
    pub new_session: Option<Uuid>,
    /// Import a recording without a lobby into the session of this name: see [`Named`](super::named::Named).
    pub named: Option<String>,
}

impl Default for ReplayOptions {
    fn default() -> Self {
        Self { every: 1, new_session: None, named: None }
    }
}

/// One item that a client would have sent.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// The following items belong to this session, until the next one. A session may come again: then it continues.
    Session {
        /// The session.
        source: Source,
        /// The slot of the recording's own car.
        slot: u16,
        /// Its metadata.
        meta: Box<SessionMeta>,
    },
    /// One tick of the car.
    Car(CarFrame),
    /// Tyres, fluids, weather: each second, and when the best lap or the tyres change.
    Slow(SlowFrame),
    /// F4: the simulator's clock went back within the session, to the frame that follows.
    Rewind {
        /// The tick returned to.
        tick: u32,
        /// Its session time, µs.
        sim_time_us: i64,
    },
}

/// An iterator over a recording. An error is its last item; damage is not an error, it ends the replay with a warning.
pub struct Replay {
    file: IbtFile,
    options: ReplayOptions,
    named: Option<Named>,
    records: Records,
    stats: ReadStats,
    items: VecDeque<Item>,
    ahead: Ahead,
    spare: Vec<u8>,
    /// The last record used, of any session.
    before: Option<Clock>,
    session: Option<u32>,
    /// Each session so far with its last record.
    sessions: Vec<(u32, Option<Clock>)>,
    pulses: Pulses,
    /// The last record skipped, in case none follows.
    passed_over: Option<CarFrame>,
    car_tick: Option<u32>,
    last_slow: Option<SlowFrame>,
    done: bool,
}

/// The record after the current one.
enum Ahead {
    NotRead,
    Record(Sample),
    End,
}

struct Sample {
    clock: Clock,
    record: Vec<u8>,
}

impl IbtFile {
    /// The recording as a client would have sent it.
    pub fn replay(&self, options: ReplayOptions) -> Result<Replay, IbtError> {
        Replay::new(self.clone(), options)
    }
}

impl Replay {
    fn new(file: IbtFile, options: ReplayOptions) -> Result<Self, IbtError> {
        let named = options.named.as_deref().map(|name| Named::of(&file, name)).transpose()?;
        Ok(Self {
            records: file.records()?,
            file,
            options,
            named,
            stats: ReadStats::default(),
            items: VecDeque::new(),
            ahead: Ahead::NotRead,
            spare: Vec::new(),
            before: None,
            session: None,
            sessions: Vec::new(),
            pulses: Pulses::default(),
            passed_over: None,
            car_tick: None,
            last_slow: None,
            done: false,
        })
    }

    /// The counts so far.
    pub fn stats(&self) -> &ReadStats {
        &self.stats
    }

    /// Handle one record; false after the last.
    fn step(&mut self) -> Result<bool, IbtError> {
        if matches!(self.ahead, Ahead::NotRead) {
            self.ahead = self.read()?;
        }
        let Ahead::Record(sample) = std::mem::replace(&mut self.ahead, Ahead::End) else { return Ok(false) };
        self.ahead = self.read()?;
        let after = match &self.ahead {
            Ahead::Record(after) => Some(after.clock),
            Ahead::NotRead | Ahead::End => None,
        };
        let rate = self.tick_rate();
        let listed = self.file.inner.text.sessions().iter().any(|s| s.session_num == sample.clock.num);
        if self.before.is_some_and(|before| sample.clock.out_of_line(before, after, rate, listed)) {
            self.stats.out_of_line += 1;
        } else {
            self.take(sample.clock, &sample.record);
        }
        self.spare = sample.record;
        Ok(true)
    }

    /// The next record that has a clock.
    fn read(&mut self) -> Result<Ahead, IbtError> {
        let mut record = std::mem::take(&mut self.spare);
        record.resize(self.file.inner.layout.record_len, 0);
        while self.records.next_into(&mut record)? {
            self.stats.records += 1;
            let inner = &self.file.inner;
            // The first record of a recording may be all zeros, with its session time and tick.
            if self.stats.records > 1 && record.iter().all(|b| *b == 0) {
                self.stats.zeroed += 1;
            } else if let Some(clock) = Clock::read(&inner.columns.clock, &inner.text, inner.layout.header.tick_rate(), &record, &mut self.stats) {
                return Ok(Ahead::Record(Sample { clock, record }));
            } else {
                self.stats.bad_clock += 1;
            }
        }
        Ok(Ahead::End)
    }

    fn take(&mut self, clock: Clock, record: &[u8]) {
        if self.session != Some(clock.num) && !self.enter(clock.num) {
            self.stats.bad_clock += 1;
            return;
        }
        let last = self.sessions.iter().find(|(num, _)| *num == clock.num).and_then(|(_, last)| *last);
        match last.map(|last| clock.after(last, self.tick_rate())) {
            Some(Step::Duplicate) => {
                self.stats.duplicates += 1;
                return;
            }
            Some(Step::Jitter) => {
                self.stats.out_of_line += 1;
                return;
            }
            Some(Step::Back) => {
                self.flush();
                self.restart();
                self.stats.rewinds += 1;
                self.items.push_back(Item::Rewind { tick: clock.tick, sim_time_us: clock.time_us });
            }
            // Ticks spent in another session are not missing.
            Some(Step::Forward(missing)) if last == self.before => self.stats.missing_ticks += u64::from(missing),
            Some(Step::Forward(_)) | None => {}
        }
        if let Some((_, last)) = self.sessions.iter_mut().find(|(num, _)| *num == clock.num) {
            *last = Some(clock);
        }
        self.before = Some(clock);
        self.car(clock, record);
        self.slow(clock, record);
    }

    /// Change to session `num`; false if there are too many.
    fn enter(&mut self, num: u32) -> bool {
        if !self.sessions.iter().any(|(known, _)| *known == num) {
            if self.sessions.len() >= SESSIONS_MAX {
                return false;
            }
            self.sessions.push((num, None));
        }
        self.flush();
        self.restart();
        self.session = Some(num);
        self.stats.sessions += 1;
        let mut source = self.file.source(num);
        if let Some(id) = self.options.new_session {
            source.id = id.as_u128();
        }
        let (mut slot, mut meta) = (self.file.slot(), self.file.meta(num));
        if let Some(named) = &self.named {
            source.id = named.session_id;
            slot = named.slot;
            named.describe(&mut meta);
        }
        self.items.push_back(Item::Session { source, slot, meta: Box::new(meta) });
        true
    }

    /// Restart the decimation: the next frames are returned whatever came before.
    fn restart(&mut self) {
        self.car_tick = None;
        self.last_slow = None;
    }

    fn car(&mut self, clock: Clock, record: &[u8]) {
        let frame = self.file.inner.columns.car.frame(clock.tick, clock.time_us, record, &mut self.stats);
        self.pulses.add(&frame);
        if self.car_tick.is_none_or(|last| clock.tick - last >= self.options.every) {
            self.give(frame);
        } else {
            self.stats.decimated += 1;
            self.passed_over = Some(frame);
        }
    }

    fn give(&mut self, frame: CarFrame) {
        self.passed_over = None;
        self.car_tick = Some(frame.tick);
        self.stats.frames += 1;
        self.items.push_back(Item::Car(self.pulses.put_into(frame)));
    }

    /// Return the last skipped record, so that its pulses are not lost where the ticks end.
    fn flush(&mut self) {
        if let Some(frame) = self.passed_over.take() {
            self.stats.decimated -= 1;
            self.give(frame);
        }
    }

    fn slow(&mut self, clock: Clock, record: &[u8]) {
        let frame = self.file.inner.columns.slow.frame(clock.tick, clock.time_us, record, &mut self.stats);
        let due = self.last_slow.as_ref().is_none_or(|last| {
            clock.tick - last.tick >= self.tick_rate()
                || frame.presence != last.presence
                || frame.best_lap_time_us != last.best_lap_time_us
                || frame.tyre_sets_used != last.tyre_sets_used
        });
        if due && frame.presence != SlowPresence::default() {
            self.stats.slow_frames += 1;
            self.items.push_back(Item::Slow(frame));
            self.last_slow = Some(frame);
        }
    }

    fn tick_rate(&self) -> u32 {
        self.file.inner.layout.header.tick_rate()
    }
}

impl Iterator for Replay {
    type Item = Result<Item, IbtError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(item) = self.items.pop_front() {
                return Some(Ok(item));
            }
            if self.done {
                return None;
            }
            match self.step() {
                Ok(true) => {}
                Ok(false) => {
                    self.done = true;
                    self.flush();
                    self.stats.warnings = self.records.warnings().to_vec();
                }
                Err(e) => {
                    self.done = true;
                    return Some(Err(e));
                }
            }
        }
    }
}

/// The pulses since the last frame returned: a pulse of one tick must survive decimation.
#[derive(Default)]
struct Pulses {
    flags: Flags,
    bits: CarBits,
    reports: u8,
    last_report: (u8, u8),
    /// The report as of the last tick. A report usually lasts one tick; one that lasts longer is still one report.
    standing: (u8, u8),
}

impl Pulses {
    fn add(&mut self, frame: &CarFrame) {
        self.flags = self.flags.with(frame.flags);
        self.bits = self.bits.with(frame.bits);
        let report = (frame.incident_report, frame.incident_penalty);
        if report != self.standing && report != (0, 0) {
            self.reports = self.reports.saturating_add(1);
            self.last_report = report;
        }
        self.standing = report;
    }

    /// `frame` with the pulses seen up to it.
    fn put_into(&mut self, frame: CarFrame) -> CarFrame {
        let seen = std::mem::replace(self, Self { standing: self.standing, ..Self::default() });
        let (incident_report, incident_penalty) = seen.last_report;
        CarFrame { flags_seen: seen.flags, bits_seen: seen.bits, incident_reports: seen.reports, incident_report, incident_penalty, ..frame }
    }
}
