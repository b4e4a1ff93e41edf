//! Rules as data: how a session is classified, what its places are worth, how a season is counted. Every default is the rule that
//! docs/RULES.md names; the other values are options that leagues use.

use serde::{Deserialize, Serialize};

use super::points::Points;

/// How a session is classified (steps 1 to 6 of `score.order`).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClassificationRules {
    /// A car is classified if it has completed this part of the laps of the leader (`score.classified`).
    pub min_fraction: Points,
    /// How that number of laps becomes whole.
    pub rounding: Rounding,
    /// Whose laps are meant.
    pub of: Leader,
    /// Only cars that take the flag are classified.
    pub must_be_running: bool,
    /// Most laps that a classified car may be behind; none: as many as it likes.
    pub max_laps_down: Option<u32>,
    /// Where retired cars stand.
    pub retired: RetiredOrder,
    /// What a time penalty does (`penalty.time`).
    pub time_penalty: TimePenalty,
    /// Whose places a drop of places counts (`penalty.positions`).
    pub drop_counts: DropCounts,
    /// A drive-through that was not served, µs (`penalty.conversion`).
    pub drive_through_us: i64,
    /// A stop-and-go that was not served, µs, beside the seconds of its stop.
    pub stop_and_go_us: i64,
}

impl Default for ClassificationRules {
    fn default() -> Self {
        Self {
            min_fraction: Points::new(9, 10),
            rounding: Rounding::Floor,
            of: Leader::Class,
            must_be_running: false,
            max_laps_down: None,
            retired: RetiredOrder::Line,
            time_penalty: TimePenalty::SameLap,
            drop_counts: DropCounts::Class,
            drive_through_us: 20_000_000,
            stop_and_go_us: 20_000_000,
        }
    }
}

macro_rules! options {
    ($($(#[$doc:meta])* $name:ident { $($(#[$value_doc:meta])* $value:ident),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$value_doc])* $value),* }
    )*};
}

options! {
    /// How a number of laps becomes whole.
    Rounding {
        /// Down: Formula 1.
        #[default]
        Floor,
        /// Not at all: the exact fraction is compared.
        None,
        /// Up.
        Ceil,
    }
    /// Whose laps the laps of a car are compared with.
    Leader {
        /// The leader of its class.
        #[default]
        Class,
        /// The leader of all.
        Overall,
    }
    /// Where retired cars stand.
    RetiredOrder {
        /// By laps and the crossing of their last lap, as every car.
        #[default]
        Line,
        /// Behind all cars that took the flag.
        FinishersFirst,
    }
    /// What a time penalty does.
    TimePenalty {
        /// It is added to the time of the last lap; laps stay (FIA).
        #[default]
        SameLap,
        /// All crossings of the car are later by it; the race of the car ends with its first crossing at or after the flag.
        LapEquivalent,
    }
    /// Whose places a drop of places counts.
    DropCounts {
        /// Cars of the same class.
        #[default]
        Class,
        /// All cars.
        Overall,
    }
    /// What cars that share a place get.
    Ties {
        /// The points of their places together, in equal parts.
        #[default]
        Pool,
        /// Each the points of the place.
        Same,
    }
    /// Which places are worth points.
    ScoredBy {
        /// Those within the class.
        #[default]
        Class,
        /// Those overall.
        Overall,
    }
    /// How a season is divided where its parts depend on the number of its events.
    Halves {
        /// It is not, or as `parts` says.
        #[default]
        No,
        /// In two halves; the first has one event more if their number is odd.
        LargerFirst,
        /// In two halves; the second has one event more if their number is odd.
        LargerSecond,
    }
    /// What the drivers of a shared car get of its points.
    Share {
        /// Each who may score, all of them.
        #[default]
        Full,
        /// Each a part, by the laps that he drove.
        ByLaps,
        /// Each an equal part.
        Equally,
    }
    /// Of what the best cars of a team are taken.
    Per {
        /// Of each session.
        #[default]
        Session,
        /// Of the sums of each event.
        Event,
    }
    /// What happens to the places of cars that score nothing.
    Guests {
        /// The cars behind move up, for points only.
        #[default]
        CloseUp,
        /// Their places are lost.
        KeepPlace,
    }
    /// Who gets a bonus whose holder may not have it.
    Ineligible {
        /// It is not given.
        #[default]
        Nobody,
        /// The best that may.
        BestEligible,
    }
    /// Who gets a bonus that several hold.
    BonusTie {
        /// Each the whole bonus.
        #[default]
        All,
        /// The best placed of them.
        First,
        /// Each an equal part.
        Split,
    }
    /// What a car that is not classified scores.
    Unclassified {
        /// Nothing.
        #[default]
        Zero,
        /// The points of its place behind the classified cars.
        Table,
    }
}

/// What the places of a session are worth (steps 7 and 8 of `score.order`).
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PointsRules {
    /// Points of the first, second, … place.
    pub table: Vec<Points>,
    /// Points of every place beyond the table.
    pub beyond: Points,
    /// Everything times this; 0 means 1 (double points are 2).
    pub multiplier: Points,
    /// Tables or factors for a race that was too short, the shortest first.
    pub partial: Vec<Partial>,
    /// Cars that share a place.
    pub ties: Ties,
    /// Which places count.
    pub by: ScoredBy,
    /// The places of guests.
    pub guests: Guests,
    /// Cars that are not classified.
    pub unclassified: Unclassified,
    /// For everyone who started.
    pub participation: Points,
    /// A race with fewer laps under green is worth nothing.
    pub min_green_laps: u32,
    /// Bonuses.
    pub bonuses: Vec<Bonus>,
}

/// A rule for a race that was too short.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Partial {
    /// It applies to races of less than this part of the distance.
    pub below: Points,
    /// The table then; empty: the usual table times `factor`.
    #[serde(default)]
    pub table: Vec<Points>,
    /// The factor then.
    #[serde(default)]
    pub factor: Points,
}

/// Points beside those of the place.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bonus {
    /// For what.
    pub kind: BonusKind,
    /// How many.
    #[serde(default)]
    pub points: Points,
    /// Only for the first so many places.
    #[serde(default)]
    pub top: Option<u32>,
    /// Only for classified cars.
    #[serde(default)]
    pub classified: bool,
    /// Only if the race had at least this part of its distance.
    #[serde(default)]
    pub min_distance: Option<Points>,
    /// When the holder may not have it.
    #[serde(default)]
    pub ineligible: Ineligible,
    /// When several hold it.
    #[serde(default)]
    pub tie: BonusTie,
}

/// For what a bonus is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BonusKind {
    /// First on the grid.
    Pole,
    /// The best valid lap.
    FastestLap,
    /// Led at least one lap.
    LedALap,
    /// Led most laps; not given if no car led.
    MostLapsLed,
    /// At most so many incident points.
    Clean(u32),
    /// Most places gained from the grid.
    MostPlacesGained,
    /// The table of a stage (0 is the first).
    Stage(usize, Vec<Points>),
}

/// How the events of a season count (steps 9 to 12 of `score.order`).
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SeasonRules {
    /// How many events it has, if that is fixed.
    pub events: Option<u32>,
    /// The parts of the season, as numbers of events; empty: one part.
    pub parts: Vec<usize>,
    /// Two parts, whatever the number of events; without `parts`.
    pub halves: Halves,
    /// All points of the last event times this; 0 means 1.
    pub last_event: Points,
    /// How many events of each part count, or do not.
    pub counted: Counted,
    /// One drop for each so many events of a part, instead of `counted`; 0: none.
    pub drop_for_each: u32,
    /// Events (1 is the first) that may not be dropped.
    pub not_droppable: Vec<u32>,
    /// Whether an event that was missed may be dropped; without a word it may.
    pub absence_not_droppable: bool,
    /// Whether an event with a disqualification may be dropped.
    pub disqualification_droppable: bool,
    /// Drops apply from so many events on.
    pub min_events: u32,
    /// A total is not shown below 0.
    pub floor_zero: bool,
    /// Starts that are needed for a rank.
    pub min_starts: u32,
    /// What decides between equal totals, in this order; what stays equal shares its rank.
    pub ties: Vec<TieBreak>,
}

/// How many events of each part count.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counted {
    /// All.
    #[default]
    All,
    /// All but the n lowest; the list has one number for each part, or one for all.
    Drop(Vec<usize>),
    /// The n best; as above.
    Best(Vec<usize>),
}

/// What decides between equal totals.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TieBreak {
    /// Most first places, then most second places, … of races, dropped ones too.
    Countback,
    /// The same, of counted races only.
    CountbackCounted,
    /// The best score of a single event.
    BestEvent,
    /// The better place in the latest race in which the places differ.
    LatestResult,
    /// Fewer incident points.
    FewerIncidents,
    /// Fewer starts.
    FewerStarts,
}

impl SeasonRules {
    /// The parts of a season of `events` events, as numbers of events.
    pub fn parts_of(&self, events: usize) -> Vec<usize> {
        match self.halves {
            Halves::LargerFirst => vec![events.div_ceil(2), events / 2],
            Halves::LargerSecond => vec![events / 2, events.div_ceil(2)],
            Halves::No if self.parts.is_empty() => vec![events],
            Halves::No => self.parts.clone(),
        }
    }
}

/// What the drivers of a shared car get.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DriverRules {
    /// Only those who drove at least this part of the laps of their car.
    pub min_share: Points,
    /// Only those who drove at most this part of the laps of the leader of their class.
    pub max_class_share: Option<Points>,
    /// How the points are shared.
    pub share: Share,
}

/// How a championship of teams or manufacturers counts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TeamRules {
    /// Only so many of its cars, the best.
    pub best: Option<u32>,
    /// The best of what.
    pub per: Per,
    /// Whether bonuses of cars count.
    pub bonuses: bool,
    /// The points of the places of a race, if they are others than those of drivers.
    pub table: Vec<Points>,
    /// How its season counts.
    pub season: SeasonRules,
}

impl Default for TeamRules {
    fn default() -> Self {
        Self { best: None, per: Per::Session, bonuses: true, table: vec![], season: SeasonRules::default() }
    }
}
