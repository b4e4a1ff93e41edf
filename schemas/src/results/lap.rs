//! Laps: facts of one stream, and chosen laps.

use serde::{Deserialize, Serialize};

use crate::frame::bits;
use crate::ids::{DriverId, EntryId, RunId, SessionId};

/// Number of mini-loops of a lap. Gaps between cars are measured at each of them, about every 200 m on a usual track.
pub const LOOPS: usize = 20;

bits! {
    /// Why a lap does not count for best. If none is set, it counts.
    Reasons(u32, ArchivedReasons) {
        /// The car entered the pit lane in the lap.
        IN_LAP = 1 << 0;
        /// The car was in the pits when the lap began, or left them during the lap.
        OUT_LAP = 1 << 1;
        /// The car left the track.
        OFF_TRACK = 1 << 2;
        /// The driver's incident counter rose.
        INCIDENT = 1 << 3;
        /// The simulator marks the lap as invalid.
        SIM_INVALID = 1 << 4;
        /// Frames are missing or the car jumped within the lap.
        DISCONTINUITY = 1 << 5;
        /// The car was towed or reset.
        TOW = 1 << 6;
        /// The car came farther than it drove: it left out a part of the track.
        CUT = 1 << 7;
        /// A full-course caution or a red flag was out.
        PACE = 1 << 8;
    }
}

bits! {
    /// Further properties of a lap. They do not change whether it counts.
    Tags(u32, ArchivedTags) {
        /// First lap of a race: timed from the green light.
        FIRST_LAP = 1 << 0;
        /// The green light is known to one tick only.
        START_ESTIMATED = 1 << 1;
        /// See [`Reasons::IN_LAP`].
        IN_LAP = 1 << 2;
        /// See [`Reasons::OUT_LAP`].
        OUT_LAP = 1 << 3;
        /// Frames were missing at a line, so the time of its crossing is interpolated over a longer gap.
        TIMING_ESTIMATED = 1 << 4;
        /// A yellow flag was out.
        HAD_YELLOW = 1 << 5;
        /// The simulator's own time differs from ours by more than 50 ms.
        SIM_TIME_DIFFERS = 1 << 6;
        /// It came after the session was closed (E9b).
        LATE = 1 << 7;
        /// Another driver took over during the lap. It counts for the driver who crossed the line.
        DRIVER_SWAP = 1 << 8;
        /// Not every sector marker was crossed: sector times are absent.
        NO_SECTORS = 1 << 9;
        /// The client was restarted within the lap.
        RESUMED = 1 << 10;
        /// Seen by another client: the car has no client, or its client was away.
        FIELD = 1 << 11;
        /// Only the beginning of a lap: its driver left the car before the line. A fact, never a result.
        HEAD = 1 << 12;
        /// Only the end of a lap: its driver took over the car during the lap. A fact, never a result.
        TAIL = 1 << 13;
        /// The simulator counts the lap, and it has no time: the car was put elsewhere in it, or no client saw its beginning or its end.
        UNTIMED = 1 << 14;
        /// The client that reports the lap joined in it, and the simulator counted it. Where it began is estimated.
        JOINED = 1 << 15;
        /// The car did not drive over the line at its end: it was put beyond it, and the simulator counted the lap.
        PUT_OVER = 1 << 16;
    }
}

/// A range of frames of one stream from which a result was computed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Span {
    /// The stream's driver.
    pub driver: DriverId,
    /// The stream's run.
    pub run: RunId,
    /// First sequence number.
    pub first_seq: u64,
    /// First sequence number after it.
    pub next_seq: u64,
}

/// A timed lap: a fact of one stream, or the lap that was chosen for its entry, which is a result (E3a).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Lap {
    /// The session.
    pub session: SessionId,
    /// The entry.
    pub entry: EntryId,
    /// Lap number, 1-based: laps completed before it, plus 1.
    pub number: u32,
    /// The driver who crossed the line at its end.
    pub driver: DriverId,
    /// The stream's run.
    pub run: RunId,
    /// The car's slot at that time.
    pub slot: u16,
    /// Number of rewinds of its stream before it (E4).
    pub timeline: u32,
    /// A higher revision replaces a lower one (E4). 1 at the crossing.
    pub revision: u32,
    /// Session time at its start, µs.
    pub start_us: i64,
    /// Session time at its end, µs.
    pub end_us: i64,
    /// `end_us - start_us`. With [`Tags::UNTIMED`] it is how long the lap lasted and no lap time ([`Lap::timed_us`]).
    pub time_us: i64,
    /// The simulator's own time of this lap, µs.
    pub sim_time_us: Option<i64>,
    /// Sector times, µs; they sum to `time_us` exactly. Empty with [`Tags::NO_SECTORS`]. In a partial lap, -1 for
    /// the sectors that are not part of it.
    pub sectors_us: Vec<i64>,
    /// When the car passed each mini-loop, µs after `start_us`: element k is that of [`LOOPS`] at (k+1)/[`LOOPS`] of the lap.
    /// -1 if its time is unknown. Empty if all are unknown.
    #[serde(default)]
    pub loops_us: Vec<i64>,
    /// Fuel at its end, l (kWh for electric cars).
    #[serde(default)]
    pub fuel_l: Option<f32>,
    /// Fuel used in it, l (kWh): the level at its start less the level at its end. `None` if the car was refuelled or
    /// towed, or if the lap was interrupted or partial.
    #[serde(default)]
    pub fuel_used_l: Option<f32>,
    /// Why it does not count for best.
    pub reasons: Reasons,
    /// Its further properties.
    pub tags: Tags,
    /// Number of frames that it was computed from.
    pub frames: u32,
    /// The simulator's tick at or before its start.
    pub start_tick: u32,
    /// The simulator's tick at or after its end.
    pub end_tick: u32,
    /// The lap is final unless a rewind supersedes it: the simulator's own time has come, or 5 s have passed without it.
    pub settled: bool,
    /// A rewind went back to before its end (E4). The lap is kept but never chosen.
    pub superseded: bool,
    /// The ranges of frames that it was computed from.
    pub spans: Vec<Span>,
}

impl Lap {
    /// Whether it is a whole lap, not a partial one.
    pub fn whole(&self) -> bool {
        !self.tags.any(Tags::HEAD.with(Tags::TAIL))
    }

    /// The lap if it began at `us`: its time, and its mini-loops, which count from there.
    #[must_use]
    pub fn starting_at(mut self, us: i64) -> Self {
        let earlier_us = self.start_us - us;
        self.loops_us.iter_mut().filter(|loop_us| **loop_us >= 0).for_each(|loop_us| *loop_us += earlier_us);
        Self { start_us: us, time_us: self.end_us - us, ..self }
    }

    /// Its time, µs; `None` if it has none ([`Tags::UNTIMED`]).
    pub fn timed_us(&self) -> Option<i64> {
        (!self.tags.has(Tags::UNTIMED)).then_some(self.time_us)
    }

    /// The time that decides where lap times are compared: the simulator's own where it reported one, else ours, µs.
    pub fn deciding_us(&self) -> i64 {
        self.sim_time_us.unwrap_or(self.time_us)
    }

    /// Whether the lap counts for best.
    pub fn valid(&self) -> bool {
        self.reasons.is_empty()
    }
}
