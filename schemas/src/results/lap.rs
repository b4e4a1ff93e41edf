//! Laps: as one stream tells them, and as chosen.

use serde::{Deserialize, Serialize};

use crate::frame::bits;
use crate::ids::{DriverId, EntryId, RunId, SessionId};

/// Mini-loops of a lap: gaps between cars are known at each of them, about every 200 m of a usual track.
pub const LOOPS: usize = 20;

bits! {
    /// Why a lap does not count for best. None set: it counts.
    Reasons(u32, ArchivedReasons) {
        /// The car entered the pit lane in the lap.
        IN_LAP = 1 << 0;
        /// The car was in the pits when the lap began, or left them in it.
        OUT_LAP = 1 << 1;
        /// The car left the track.
        OFF_TRACK = 1 << 2;
        /// The driver's incident counter rose.
        INCIDENT = 1 << 3;
        /// The simulator itself calls the lap invalid.
        SIM_INVALID = 1 << 4;
        /// Frames are missing or the car jumped within the lap.
        DISCONTINUITY = 1 << 5;
        /// The car was towed or reset.
        TOW = 1 << 6;
    }
}

bits! {
    /// What is worth knowing of a lap and does not change whether it counts.
    Tags(u32, ArchivedTags) {
        /// First lap of a race: timed from the green light.
        FIRST_LAP = 1 << 0;
        /// The green light is known to one tick only.
        START_ESTIMATED = 1 << 1;
        /// As [`Reasons::IN_LAP`].
        IN_LAP = 1 << 2;
        /// As [`Reasons::OUT_LAP`].
        OUT_LAP = 1 << 3;
        /// Frames were missing across a line: its time is interpolated over more than a moment.
        TIMING_ESTIMATED = 1 << 4;
        /// A yellow flag was out.
        HAD_YELLOW = 1 << 5;
        /// The simulator's own time differs from ours by more than 50 ms.
        SIM_TIME_DIFFERS = 1 << 6;
        /// It came after the session was closed (E9).
        LATE = 1 << 7;
        /// Another driver took over in the lap; it is credited to whoever crossed the line.
        DRIVER_SWAP = 1 << 8;
        /// Not every sector marker was crossed: sector times are absent.
        NO_SECTORS = 1 << 9;
        /// The client was restarted within the lap.
        RESUMED = 1 << 10;
        /// Seen by other clients only: the car has no client of its own, or its client was away.
        FIELD = 1 << 11;
        /// Only its beginning: whoever drove it then did not cross the line. A fact, never a result.
        HEAD = 1 << 12;
        /// Only its end: whoever crossed the line took the car over in it. A fact, never a result.
        TAIL = 1 << 13;
    }
}

/// A run of frames of one stream: the evidence of a result.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Span {
    /// The driver whose stream it is.
    pub driver: DriverId,
    /// The stream's run.
    pub run: RunId,
    /// First sequence number.
    pub first_seq: u64,
    /// First sequence number after it.
    pub next_seq: u64,
}

/// A timed lap: as one stream tells it (a fact, E3), or as chosen for its entry (a result).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Lap {
    /// The session.
    pub session: SessionId,
    /// Who competes.
    pub entry: EntryId,
    /// Lap number, 1-based: laps completed before it, plus 1.
    pub number: u32,
    /// Who crossed the line at its end.
    pub driver: DriverId,
    /// The run that tells it.
    pub run: RunId,
    /// The car's slot then.
    pub slot: u16,
    /// E2: how many rewinds its stream had before it.
    pub timeline: u32,
    /// E4: a higher one replaces a lower one. 1 at the crossing.
    pub revision: u32,
    /// Session time at its start, µs.
    pub start_us: i64,
    /// Session time at its end, µs.
    pub end_us: i64,
    /// `end_us - start_us`.
    pub time_us: i64,
    /// The simulator's own time of this lap, µs.
    pub sim_time_us: Option<i64>,
    /// Sector times, µs; they sum to `time_us` exactly. Empty with [`Tags::NO_SECTORS`]. Of a part of a lap: -1 for the
    /// sectors that are not of it.
    pub sectors_us: Vec<i64>,
    /// When the car passed each mini-loop, µs after `start_us`: element k is that of [`LOOPS`] at (k+1)/[`LOOPS`] of the lap.
    /// -1 where the moment is not known. Empty if none is.
    #[serde(default)]
    pub loops_us: Vec<i64>,
    /// Fuel at its end, l (kWh for electric cars).
    #[serde(default)]
    pub fuel_l: Option<f32>,
    /// Fuel used in it, l (kWh): the level at its start less the level at its end. `None` if it was refuelled, towed,
    /// interrupted, or not driven whole.
    #[serde(default)]
    pub fuel_used_l: Option<f32>,
    /// Why it does not count for best.
    pub reasons: Reasons,
    /// What else is worth knowing.
    pub tags: Tags,
    /// Frames it was computed from.
    pub frames: u32,
    /// The simulator's tick at or before its start.
    pub start_tick: u32,
    /// The simulator's tick at or after its end.
    pub end_tick: u32,
    /// Nothing about it will change unless frames before its end arrive: the simulator's own time came, or 5 s passed without.
    pub settled: bool,
    /// E4: a rewind went back to before its end. Kept for the record, never chosen.
    pub superseded: bool,
    /// Its frames.
    pub spans: Vec<Span>,
}

impl Lap {
    /// Whether it is a lap, not a part of one.
    pub fn whole(&self) -> bool {
        !self.tags.any(Tags::HEAD.with(Tags::TAIL))
    }

    /// Whether the lap counts for best.
    pub fn valid(&self) -> bool {
        self.reasons.is_empty()
    }
}
