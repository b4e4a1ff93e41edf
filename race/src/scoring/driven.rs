//! What goes into a session's score: the cars as they were driven, and the penalties that were decided.

use serde::{Deserialize, Serialize};

use super::points::Points;

/// A car of a session as it was driven, before any penalty.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DrivenCar {
    /// The entry: opaque, unique in the session.
    pub entry: String,
    /// The class; empty where there is only one.
    pub class: String,
    /// The team of the day; empty if it has none.
    pub team: String,
    /// How it ended.
    pub ended: Ended,
    /// Laps that it completed.
    pub laps: u32,
    /// From the start of the race to the crossing that completed its last lap, µs, if it is known.
    pub line_us: Option<i64>,
    /// The place in which the source lists the car (1 is the first). It orders cars of equal laps where a time is not known.
    pub listed: Option<u32>,
    /// The crossings that completed its laps, µs from the start of the race; empty if they are not known.
    pub crossings_us: Vec<i64>,
    /// Its best valid lap, µs.
    pub best_lap_us: Option<i64>,
    /// When it completed its best lap, µs; of equal laps the earlier counts.
    pub best_lap_at_us: Option<i64>,
    /// Laps at whose end it led.
    pub laps_led: u32,
    /// Place on the grid (1 is pole).
    pub grid: Option<u32>,
    /// Incident points.
    pub incidents: u32,
    /// Places at the ends of the stages, in their order.
    pub stages: Vec<Option<u32>>,
    /// It takes part outside the championship.
    pub guest: bool,
}

/// How a car ended its session.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// It took the flag.
    #[default]
    Finished,
    /// It did not.
    Retired,
    /// It did not take part.
    NotStarted,
}

/// A decision against (or for) one car of the session.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Penalty {
    /// The entry.
    pub entry: String,
    /// What was decided.
    #[serde(flatten)]
    pub kind: PenaltyKind,
}

/// What a penalty does, and in which step of the score (`score.order`).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PenaltyKind {
    /// Step 1: this many laps are credited (above 0) or taken off (below 0).
    Laps {
        /// Laps.
        laps: i32,
    },
    /// Step 1: the best lap is deleted.
    BestLapDeleted {
        /// The next best valid lap, µs, and when it was completed, if there is one.
        next_us: Option<i64>,
    },
    /// Step 2: out of the results.
    Disqualified,
    /// Step 3: added to the time, µs.
    Time {
        /// µs.
        us: i64,
    },
    /// Step 3: a drive-through that was not served; the rules convert it.
    DriveThrough,
    /// Step 3: a stop-and-go of so many seconds that was not served; the rules convert it.
    StopAndGo {
        /// Seconds of the stop.
        seconds: u32,
    },
    /// Step 5: so many places back.
    Positions {
        /// Places.
        places: u32,
    },
    /// Step 8: points of this session taken off.
    Points {
        /// Points, above 0.
        points: Points,
    },
    /// Step 8: no bonus of this session.
    NoBonus,
}
