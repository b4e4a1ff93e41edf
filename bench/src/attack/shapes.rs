//! [`Shape`]: the kinds of attack, and the records that each kind sends. Every record is valid: an ordinary grant may send it.

use boxbox_schemas::event::{EventCode, EventFrame};
use boxbox_schemas::frame::{CarBits, CarFrame, Presence, SessionState, TrackLoc};
use boxbox_schemas::limits::{META_ENTRIES_MAX, SEQUENCE_END};
use boxbox_schemas::meta::{MetaEntry, SessionMeta};
use boxbox_schemas::record::{Frame, Kind, Prelude, archive, seal};
use boxbox_schemas::{RunId, Sim, Source};
use bytes::Bytes;

/// What is sent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, clap::ValueEnum)]
pub enum Shape {
    /// New sessions, each with as long a description as fits
    Sessions,
    /// Laps as fast as the server takes them, with visits to the pits
    Laps,
    /// The same, with new names every few laps
    Renames,
    /// New runs of one session
    Runs,
    /// Rewinds of one stream
    Rewinds,
    /// Streams whose first number is far ahead
    Bases,
    /// Frames of one car, as fast as the server takes them
    Frames,
    /// As many connections as the server accepts, which then do nothing
    Connections,
    /// Connections to the API that do nothing
    ApiIdle,
    /// The heaviest requests of the API
    ApiHeavy,
}

/// What a connection does next.
pub enum Action {
    /// Ends its stream and begins one of this run and session.
    Open(RunId, Source),
    /// Sends a record on its stream. The number is the first sequence number after it.
    Send(Bytes, u64),
}

/// Seconds of session time from one frame of a lap to the next, and frames a lap: a lap is 10 s long, and no frame is missing that the
/// race logic needs.
const LAP_FRAME_US: i64 = 500_000;
const LAP_FRAMES: u32 = 20;
/// The length of the lap, m: 50 m/s.
const LAP_M: f64 = 500.0;
/// The fields that the frames have.
const PRESENT: Presence = Presence::LAP_PCT
    .with(Presence::SPEED)
    .with(Presence::LAP)
    .with(Presence::PIT_ROAD)
    .with(Presence::ON_TRACK)
    .with(Presence::TRACK_LOC)
    .with(Presence::SESSION_STATE);
/// Frames in a record that is as long as possible.
const FULL: u32 = 160;

/// Makes the records of one connection, without end.
pub struct Records {
    shape: Shape,
    run: RunId,
    source: Source,
    meta_rev: u32,
    sequence: u64,
    tick: u32,
    step: u64,
}

impl Records {
    /// The records of connection `number` of a shape. No two connections share a session.
    pub fn new(shape: Shape, number: u32) -> Self {
        // The honest cars' sessions have small ids.
        let source = Source { sim: Sim::SYNTHETIC, id: (u128::from(shape as u8) << 64) | (u128::from(number) << 96) | 1 << 90, session_num: 0 };
        Self { shape, run: run(), source, meta_rev: 0, sequence: 0, tick: 0, step: 0 }
    }

    /// The connection was lost: what comes begins with a new run.
    pub fn again(&mut self) {
        (self.run, self.meta_rev, self.sequence, self.tick, self.step) = (run(), 0, 0, 0, 0);
    }

    /// What the connection does next.
    pub fn next_action(&mut self) -> Action {
        let step = self.step;
        self.step += 1;
        if step == 0 {
            return Action::Open(self.run, self.source);
        }
        match self.shape {
            Shape::Sessions => match step % 3 {
                1 => self.meta(step),
                2 => self.frames(5, 16_667),
                _ => {
                    self.source.id += 1;
                    self.fresh()
                }
            },
            Shape::Runs if step.is_multiple_of(2) => self.fresh(),
            Shape::Runs => self.frames(1, 16_667),
            Shape::Bases if step.is_multiple_of(2) => self.fresh(),
            Shape::Bases => {
                self.sequence = SEQUENCE_END / 2;
                self.frames(1, 16_667)
            }
            Shape::Rewinds if step.is_multiple_of(2) => {
                let event = EventFrame { tick: 1, sim_time_us: 1, code: EventCode::REWIND, ..EventFrame::default() };
                self.tick = 1;
                self.send(Kind::EVENT, &[event])
            }
            Shape::Rewinds => self.frames(3, 16_667),
            Shape::Renames if step % 4 == 1 => self.meta(step),
            Shape::Laps | Shape::Renames => self.frames(FULL, LAP_FRAME_US),
            Shape::Frames | Shape::Connections | Shape::ApiIdle | Shape::ApiHeavy => self.frames(FULL, 16_667),
        }
    }

    fn fresh(&mut self) -> Action {
        (self.run, self.meta_rev, self.sequence, self.tick) = (run(), 0, 0, 0);
        Action::Open(self.run, self.source)
    }

    /// A description as long as fits, with names that no other has.
    fn meta(&mut self, step: u64) -> Action {
        self.meta_rev += 1;
        let entry = |slot: u16| MetaEntry {
            slot,
            user_id: u64::from(slot) + 1,
            driver_name: format!("{step:-<60}{slot}"),
            team_name: format!("{step:-<60}{slot}"),
            number: slot.to_string(),
            car_name: format!("{slot:-<20}"),
            ..MetaEntry::default()
        };
        let meta = SessionMeta {
            track_length_m: LAP_M,
            track_name: "Ring".into(),
            session_type: "race".into(),
            own_slot: 1,
            entries: (0..META_ENTRIES_MAX as u16).map(entry).collect(),
            ..SessionMeta::default()
        };
        self.send(Kind::META, &[meta])
    }

    fn frames(&mut self, count: u32, interval_us: i64) -> Action {
        let frames: Vec<CarFrame> = (0..count).map(|k| self.frame(self.tick + k, interval_us)).collect();
        self.tick += count;
        self.send(Kind::CAR, &frames)
    }

    fn frame(&self, tick: u32, interval_us: i64) -> CarFrame {
        let (sim_time_us, seconds) = (i64::from(tick) * interval_us, f64::from(tick) * interval_us as f64 / 1e6);
        let lap_s = f64::from(LAP_FRAMES) * LAP_FRAME_US as f64 / 1e6;
        let in_pits = (2..5).contains(&(tick % LAP_FRAMES)) && interval_us == LAP_FRAME_US;
        CarFrame {
            tick: (sim_time_us / 16_667) as u32,
            sim_time_us,
            presence: PRESENT,
            lap_pct: (seconds / lap_s).fract(),
            speed_mps: (LAP_M / lap_s) as f32,
            lap: (seconds / lap_s) as i16 + 1,
            bits: if in_pits { CarBits::ON_PIT_ROAD } else { CarBits::ON_TRACK },
            track_loc: if in_pits { TrackLoc::PIT_APPROACH } else { TrackLoc::ON_TRACK },
            session_state: SessionState::RACING,
            ..CarFrame::default()
        }
    }

    fn send<F: Frame>(&mut self, kind: Kind, frames: &[F]) -> Action {
        let count = frames.len() as u16;
        let prelude = Prelude { kind, run: self.run, source: self.source, slot: 1, meta_rev: self.meta_rev, first_seq: self.sequence, count };
        let payload: Vec<u8> = frames.iter().flat_map(|frame| archive(frame).to_vec()).collect();
        self.sequence += u64::from(count);
        // The names are short enough for a record, and FULL frames are too.
        Action::Send(seal(&prelude, &payload).unwrap_or_default(), self.sequence)
    }
}

fn run() -> RunId {
    RunId(u128::from(fastrand::u64(..) | 1).to_le_bytes())
}
