//! What became of each entry (rule `race.status`).

use serde::{Deserialize, Serialize};

use super::{Facts, Finish, Ranking, newest_shown};
use crate::stream::STANDING_MPS;
use boxbox_schemas::frame::{Flags, SessionState};
use boxbox_schemas::ids::EntryId;
use boxbox_schemas::results::{CarNow, FlagChange, Lap, PitKind, PitVisit};

/// A car that a client saw this long before it reported the end of a stopped race was still there, µs.
const SEEN_BEFORE_US: i64 = 1_000_000;

/// A car that was seen this long before a session ended was seen at its end, µs.
const SEEN_AT_END_US: i64 = 5_000_000;

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
    /// It was there and never began a lap; in a session that is no race, nor drove out of its pits.
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
    /// It never began a lap; in a session that is no race, it never drove out of its pits.
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
    /// Its last crossing that ends a lap begun before the end of the session, µs.
    pub(super) crossed_us: Option<i64>,
    /// It has a best lap.
    pub(super) timed: bool,
    /// Its rows of where its car is, of all clients.
    pub(super) cars: &'a [&'a CarNow],
}

impl Known<'_> {
    /// The newest row of its car.
    fn newest(&self) -> Option<&CarNow> {
        newest_shown(self.cars.iter().copied())
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
            return match (over, started || self.left_the_pits(facts)) {
                (true, false) if !self.seen_at_the_end(facts, finish) => says(Status::NotClassified, Why::NotSeen),
                (_, false) => says(Status::NotStarted, Why::NoLapBegun),
                (false, true) => (Status::Running, None),
                (true, true) if self.timed => says(Status::Finished, Why::SetATime),
                (true, true) => says(Status::NotClassified, Why::NoTime),
            };
        }
        match finish {
            Some(f) if !self.laps.is_empty() && self.crossed_us.is_some_and(|us| us >= f.end_us) => says(Status::Finished, Why::TookTheFlag),
            _ if !started => says(Status::NotStarted, Why::NoLapBegun),
            None => (Status::Running, None),
            Some(f) if f.ended_without_a_crossing && self.drove_at(facts, f.end_us) => says(Status::Finished, Why::RaceStopped),
            Some(f) => self.unfinished(f.end_us, facts.session.closed),
        }
    }

    /// Whether it drove out of its pits, and may be back there by now. The way to its first line is no lap.
    fn left_the_pits(&self, facts: &Facts<'_>) -> bool {
        let out = |v: &PitVisit| v.exit_us.is_some() || v.kind != PitKind::START;
        let mut visits = facts.pit_visits.iter().filter(|v| !v.superseded && v.entry == self.entry);
        visits.any(out) || self.cars.iter().any(|c| c.in_pits == Some(false))
    }

    /// Whether a client saw its car until about the end, so that it cannot have driven unseen.
    fn seen_at_the_end(&self, facts: &Facts<'_>, finish: Option<&Finish>) -> bool {
        let end_us = finish.map(|f| f.end_us).or_else(|| facts.cars.iter().map(|c| c.sim_time_us).max());
        self.newest().zip(end_us).is_some_and(|(car, end_us)| car.sim_time_us >= end_us - SEEN_AT_END_US)
    }

    /// Whether it still drove when the race was stopped at `us`: its next crossing was not overdue, and a client saw it until that client
    /// reported the end.
    fn drove_at(&self, facts: &Facts<'_>, us: i64) -> bool {
        let timed_us = self.laps.iter().filter_map(|l| l.timed_us()).max();
        let overdue = |last: &&Lap| us - last.end_us > 2 * timed_us.unwrap_or(last.time_us);
        let last_us = |c: &CarNow| reported_end_us(facts, c).map_or(us, |own| own.min(us)) - SEEN_BEFORE_US;
        !self.laps.last().is_none_or(overdue) && self.newest().is_some_and(|car| car.sim_time_us >= last_us(car))
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

/// When the client that sees this car first reported the end of the session, µs.
fn reported_end_us(facts: &Facts<'_>, car: &CarNow) -> Option<i64> {
    let of_client = facts.states.iter().filter(|s| !s.superseded && (s.driver, s.run) == (car.driver, car.run));
    of_client.filter(|s| s.to >= SessionState::CHECKERED).map(|s| s.sim_time_us).min()
}
