//! [`Situations`]: how often each situation came up, and in how many races of them something does not come out.

use std::collections::BTreeMap;
use std::fmt;

use boxbox_sources::synth::{Distance, Session, Start, Truth, What};

use crate::draw::{Drawn, End};
use crate::model::{Model, Status};

/// Of each situation: how often, in how many races, in how many of these something was not as driven.
#[derive(Default)]
pub struct Situations(BTreeMap<&'static str, [usize; 3]>);

/// The kinds of incidents, and those of them that need a driven part of the race.
fn name(what: &What) -> &'static str {
    match what {
        What::Pit { .. } => "stop",
        What::DriveThrough => "drive-through",
        What::OffTrack => "off track",
        What::Spin => "spin",
        What::Contact => "contact",
        What::Tow => "tow",
        What::Reset => "reset to the pits",
        What::Flashback { .. } => "flashback",
        What::Swap => "driver swap",
        What::Disconnect { .. } => "connection lost for a while",
        What::Restart { .. } => "client restarted",
        What::Retire => "retires on the track",
        What::Slow => "slow",
        What::Park => "retires in its stall",
        What::Vanish => "car vanishes",
        What::ActiveReset { .. } => "active reset",
        What::Cut { .. } => "cut",
        What::LostTick => "lost tick",
        What::ClientLate => "client starts late",
        What::ClientLost => "client lost for good",
        What::PitStart { from_us: 0, .. } => "starts from the pits",
        What::PitStart { .. } => "car joins late",
        What::NeverStarts => "never starts",
        What::Disqualify => "disqualified",
        What::Black { .. } => "black flag",
    }
}

impl Situations {
    /// The race has come up; `right`: it came out as driven.
    pub fn note(&mut self, drawn: &Drawn, truth: &Truth, model: &Model, right: bool) {
        let mut of: BTreeMap<&'static str, usize> = BTreeMap::new();
        let mut add = |what: &'static str, count: usize| *of.entry(what).or_default() += count;
        add("races", 1);
        add(
            match drawn.end {
                End::LapLimit => "end by a lap limit",
                End::TimeLimit => "end by a time limit",
                End::BothByLaps => "both limits, laps end it",
                End::BothByTime => "both limits, time ends it",
                End::Overtime => "overtime",
                End::Stopped => "stopped",
                End::FlagOnly => "only the flag is told",
                End::LimitsOnly => "neither state nor flag is told",
                End::Qualifying => "qualifying",
            },
            1,
        );
        for incident in &drawn.spec.script {
            let car = &truth.cars[incident.car];
            let place = if incident.what.in_pits() { f64::from(incident.lap) } else { f64::from(incident.lap) - 1.0 + incident.at };
            let anyway = matches!(incident.what, What::PitStart { .. } | What::NeverStarts);
            add(name(&incident.what), usize::from(anyway || car.driven_laps >= place - 0.2));
        }
        for (car, c) in truth.cars.iter().enumerate() {
            let swaps = drawn.spec.script.iter().filter(|i| i.car == car && i.what == What::Swap && c.driven_laps > f64::from(i.lap)).count();
            add("A B A", usize::from(swaps >= 2));
            add("swap with both clients connected", usize::from(swaps >= 1 && drawn.stays && drawn.clients[car]));
            let told = drawn.spec.told[car];
            let asked = drawn.clients[car];
            add("state told early", usize::from(asked && told.state_lag_us.is_some_and(|us| us < 0)));
            add("state told more than 3 s late", usize::from(asked && told.state_lag_us.is_some_and(|us| us > 3_000_000)));
            add("flag early by more than a second", usize::from(asked && told.flag_lag_us.is_some_and(|us| us < -1_000_000)));
            add("flag late by more than 3 s", usize::from(asked && told.flag_lag_us.is_some_and(|us| us > 3_000_000)));
            add("flag never", usize::from(asked && told.flag_lag_us.is_none()));
            let seen = !drawn.observers.is_empty() && !drawn.spec.unseen.contains(&car);
            add("seen by others only", usize::from(!asked && seen));
            add("seen by no client", usize::from(!asked && !seen));
            let cool_down = c.passed.iter().filter(|p| p.at_us > model.end_us).count();
            add("a line passed on the cool-down lap", usize::from(drawn.end != End::Stopped && cool_down >= 2));
            add("put over the line", usize::from(c.passed.iter().skip(1).any(|p| !p.driven)));
        }
        let counted = matches!(drawn.spec.session, Session::Qualifying { counted_laps } if counted_laps > 0);
        let beyond = model.rows.iter().filter(|r| truth.cars[usize::from(r.slot)].laps.len() > r.laps as usize).count();
        add("laps that do not count", if drawn.end == End::Qualifying { beyond } else { 0 });
        add("counted laps", usize::from(counted));
        let most = model.rows.iter().map(|r| r.laps).max().unwrap_or(0);
        for row in &model.rows {
            add("car", 1);
            add("lapped", usize::from(row.status == Status::Finished && row.laps < most));
            add("no lap", usize::from(row.laps == 0));
            add(row.status.name(), 1);
        }
        let classes: std::collections::BTreeSet<u32> = model.rows.iter().map(|r| r.class_id).collect();
        add("several classes", usize::from(classes.len() > 1));
        if let Some(winner) = model.winner {
            let seen = !drawn.observers.is_empty() && !drawn.spec.unseen.contains(&winner);
            add("winner seen by others only", usize::from(!drawn.clients[winner] && seen));
            add("winner not seen", usize::from(!drawn.clients[winner] && !seen));
        }
        add("shuffled", usize::from(drawn.shuffled));
        add("rolling start", usize::from(drawn.spec.start == Start::Rolling));
        add("both limits", usize::from(matches!(drawn.spec.distance, Distance::Both { .. })));
        add("given up", drawn.given_up as usize);
        for (what, count) in of {
            let [times, races, wrong] = self.0.entry(what).or_default();
            (*times, *races, *wrong) = (*times + count, *races + usize::from(count > 0), *wrong + usize::from(count > 0 && !right));
        }
    }

    /// These and those of `other`.
    pub fn with(mut self, other: Self) -> Self {
        for (what, counts) in other.0 {
            let all = self.0.entry(what).or_default();
            all.iter_mut().zip(counts).for_each(|(a, b)| *a += b);
        }
        self
    }

    /// Those of `asked` that came up fewer than `times` times.
    pub fn rarer_than(&self, times: usize, asked: &[&'static str]) -> Vec<(&'static str, usize)> {
        let times_of = |what: &&'static str| (*what, self.0.get(what).map_or(0, |counts| counts[0]));
        asked.iter().map(times_of).filter(|(_, count)| *count < times).collect()
    }
}

/// What races must show.
pub const OF_RACES: &[&str] = &[
    "A B A",
    "a line passed on the cool-down lap",
    "active reset",
    "black flag",
    "both limits, laps end it",
    "both limits, time ends it",
    "car joins late",
    "car vanishes",
    "client lost for good",
    "client restarted",
    "client starts late",
    "connection lost for a while",
    "cut",
    "disqualified",
    "drive-through",
    "driver swap",
    "end by a lap limit",
    "end by a time limit",
    "finished",
    "flag early by more than a second",
    "flag late by more than 3 s",
    "flag never",
    "flashback",
    "lapped",
    "lost tick",
    "neither state nor flag is told",
    "never starts",
    "no lap",
    "not_classified",
    "not_started",
    "only the flag is told",
    "overtime",
    "put over the line",
    "reset to the pits",
    "retired",
    "retires in its stall",
    "retires on the track",
    "rolling start",
    "seen by no client",
    "seen by others only",
    "several classes",
    "shuffled",
    "slow",
    "spin",
    "starts from the pits",
    "state told early",
    "state told more than 3 s late",
    "stop",
    "stopped",
    "swap with both clients connected",
    "tow",
    "winner seen by others only",
];

/// What qualifying sessions must show.
pub const OF_QUALIFYING: &[&str] = &[
    "a line passed on the cool-down lap",
    "client lost for good",
    "client restarted",
    "client starts late",
    "connection lost for a while",
    "counted laps",
    "cut",
    "drive-through",
    "finished",
    "laps that do not count",
    "lost tick",
    "never starts",
    "not_classified",
    "not_started",
    "off track",
    "reset to the pits",
    "retires in its stall",
    "retires on the track",
    "seen by others only",
    "several classes",
    "slow",
    "spin",
    "stop",
    "tow",
];

impl fmt::Display for Situations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<36} {:>7} {:>7} {:>9}", "situation", "times", "races", "not right")?;
        for (what, [times, races, wrong]) in &self.0 {
            writeln!(f, "{what:<36} {times:>7} {races:>7} {wrong:>9}")?;
        }
        Ok(())
    }
}
