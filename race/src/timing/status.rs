//! What became of each entry (rule `race.status`).

use serde::{Deserialize, Serialize};

use super::{Facts, Finish, Ranking};
use crate::stream::STANDING_MPS;
use boxbox_schemas::frame::Flags;
use boxbox_schemas::ids::EntryId;
use boxbox_schemas::results::{CarNow, FlagChange, Lap};

/// A car that was seen this long before a race was stopped still drove then, µs.
const SEEN_BEFORE_US: i64 = 5_000_000;

/// What became of an entry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It drives, or may drive on: the session is not over for it.
    Running,
    /// In a race it took the flag, or the race was stopped while it drove; in other sessions it has a time.
    Finished,
    /// It drove, and stopped before the end.
    Retired,
    /// It was there and never began a lap.
    NotStarted,
    /// The session is over, and it has neither finished nor is it known to have retired.
    NotClassified,
    /// The disqualify flag was shown to it.
    Disqualified,
}

/// Why an entry has its status.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// It crossed the line after the end of the race.
    TookTheFlag,
    /// The race was stopped while it drove.
    RaceStopped,
    /// It has a valid time.
    SetATime,
    /// It has no valid time.
    NoTime,
    /// Its driver left the car, or the car is no more in the world.
    LeftTheCar,
    /// It stood in the pits at the end.
    InThePits,
    /// It stood on the track at the end.
    Stopped,
    /// No client saw what it did at the end.
    NotSeen,
    /// It was there at the end and did not cross the line any more.
    DidNotTakeTheFlag,
    /// It never began a lap.
    NoLapBegun,
    /// The disqualify flag was shown to it, and not taken back.
    DisqualifyFlag,
}

macro_rules! names {
    ($Type:ident { $($variant:ident: $name:literal,)+ }) => {
        impl $Type {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its name.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

names!(Status {
    Running: "running",
    Finished: "finished",
    Retired: "retired",
    NotStarted: "not_started",
    NotClassified: "not_classified",
    Disqualified: "disqualified",
});

names!(Why {
    TookTheFlag: "took_the_flag",
    RaceStopped: "race_stopped",
    SetATime: "set_a_time",
    NoTime: "no_time",
    LeftTheCar: "left_the_car",
    InThePits: "in_the_pits",
    Stopped: "stopped",
    NotSeen: "not_seen",
    DidNotTakeTheFlag: "did_not_take_the_flag",
    NoLapBegun: "no_lap_begun",
    DisqualifyFlag: "disqualify_flag",
});

/// What is known of one entry.
pub(super) struct Known<'a> {
    pub(super) entry: EntryId,
    /// Its laps that count, by number.
    pub(super) laps: &'a [&'a Lap],
    /// It has a best lap.
    pub(super) timed: bool,
    /// Its rows of where its car is, of all clients.
    pub(super) cars: &'a [&'a CarNow],
}

impl Known<'_> {
    /// The newest row of its car; of equal ones its own client's.
    fn newest(&self) -> Option<&CarNow> {
        self.cars.iter().max_by_key(|c| (c.sim_time_us, !c.field, std::cmp::Reverse((c.driver, c.run, c.slot)))).copied()
    }

    /// Its status, and why; `None` while it runs.
    pub(super) fn status(&self, facts: &Facts<'_>, finish: Option<&Finish>) -> (Status, Option<Why>) {
        let says = |status, why| (status, Some(why));
        if self.disqualified(facts.flags) {
            return says(Status::Disqualified, Why::DisqualifyFlag);
        }
        let started = !self.laps.is_empty() || self.cars.iter().any(|c| c.lap > 0);
        let over = finish.is_some() || facts.session.closed;
        if over && self.laps.is_empty() && self.cars.is_empty() {
            // Whether it started is not known.
            return says(Status::NotClassified, Why::NotSeen);
        }
        if facts.ranking() == Ranking::BestLap {
            return match (over, self.timed, started) {
                (_, _, false) => says(Status::NotStarted, Why::NoLapBegun),
                (false, ..) => (Status::Running, None),
                (true, true, _) => says(Status::Finished, Why::SetATime),
                (true, false, _) => says(Status::NotClassified, Why::NoTime),
            };
        }
        let last_us = self.laps.last().map(|l| l.end_us);
        match finish {
            Some(f) if last_us.is_some_and(|us| us >= f.end_us) => says(Status::Finished, Why::TookTheFlag),
            _ if !started => says(Status::NotStarted, Why::NoLapBegun),
            None => (Status::Running, None),
            Some(f) if f.ended_without_a_crossing && self.drove_at(f.end_us) => says(Status::Finished, Why::RaceStopped),
            Some(f) => self.unfinished(f.end_us, facts.session.closed),
        }
    }

    /// Whether it still drove when the race was stopped: a client saw it then, and its next crossing was not overdue.
    fn drove_at(&self, us: i64) -> bool {
        self.laps.last().is_some_and(|l| us - l.end_us <= 2 * l.time_us) && self.newest().is_some_and(|car| car.sim_time_us >= us - SEEN_BEFORE_US)
    }

    /// A car that has not crossed the line since the end of the race. That its client is lost says nothing.
    fn unfinished(&self, end_us: i64, closed: bool) -> (Status, Option<Why>) {
        let says = |status, why| (status, Some(why));
        let Some(car) = self.newest() else { return says(Status::NotClassified, Why::NotSeen) };
        let (there, standing) = (car.sim_time_us >= end_us, car.speed_mps.is_some_and(|mps| mps < STANDING_MPS));
        match (car.lap_pct, car.in_pits) {
            (None, _) => says(Status::Retired, Why::LeftTheCar),
            (_, Some(true)) if there && (standing || closed) => says(Status::Retired, Why::InThePits),
            (_, in_pits) if standing && in_pits != Some(true) => says(Status::Retired, Why::Stopped),
            _ if !there => says(Status::NotClassified, Why::NotSeen),
            _ if closed => says(Status::NotClassified, Why::DidNotTakeTheFlag),
            _ => (Status::Running, None),
        }
    }

    /// Whether the disqualify flag is the last that was shown to it. A black flag is a penalty to serve.
    fn disqualified(&self, flags: &[FlagChange]) -> bool {
        let last =
            flags.iter().filter(|f| !f.superseded && f.entry == self.entry).max_by_key(|f| (f.sim_time_us, f.timeline, f.tick, f.driver, f.run));
        let own_until_us = self.cars.iter().filter(|c| !c.field).map(|c| c.sim_time_us).max().or(last.map(|f| f.sim_time_us));
        // Others show the flag of a car whose own client is lost, or that never had one.
        let others = self.cars.iter().any(|c| c.field && c.flags.has(Flags::DISQUALIFIED) && own_until_us.is_none_or(|us| c.sim_time_us > us));
        others || last.is_some_and(|f| f.to.has(Flags::DISQUALIFIED))
    }
}
