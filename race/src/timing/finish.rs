//! When a session ends, and what decides it (rules `race.end`, `race.winner`, `race.limits`, `best.end`).

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use super::majority::{flag_held, state_held};
use super::{Facts, Ranking, by_entry, newest_shown};
use crate::stream::STANDING_MPS;
use boxbox_schemas::frame::{Flags, SessionState};
use boxbox_schemas::ids::EntryId;
use boxbox_schemas::results::{CarNow, Lap, Tags};

/// The winner crosses the line at most this long before or after the session state tells the end, µs.
const STATE_WINDOW_US: i64 = 6_000_000;
/// Where only the flag is known, the winner crosses at most this long after it was shown, µs.
const FLAG_LEAD_US: i64 = 8_000_000;
/// The clock of a race may differ by this from the light that clients saw, µs.
const CLOCK_US: i64 = 1_000_000;
/// All windows are also at most this part of the winner's last lap, so that a car crosses at most once in them.
const PART_OF_LAP: i64 = 3;
/// A winner whom no client saw is at most so many laps further than the lap in which the first of all others is.
const UNSEEN_LEAD_LAPS: u32 = 3;

/// What decided when a session ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecidedBy {
    /// The session state that a majority of the clients was shown.
    State,
    /// The chequered flag that a majority of the clients was shown.
    Flag,
    /// A car completed the laps of the race.
    LapLimit,
    /// The time of the race was over, and the leader crossed the line.
    TimeLimit,
}

impl DecidedBy {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            DecidedBy::State => "state",
            DecidedBy::Flag => "flag",
            DecidedBy::LapLimit => "lap_limit",
            DecidedBy::TimeLimit => "time_limit",
        }
    }
}

/// How a session ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Finish {
    /// Laps that begin then or later do not count, session time, µs: the winner's crossing; where it is not known, and in sessions that
    /// are no races, the moment that tells the end.
    pub end_us: i64,
    /// What decided.
    pub decided_by: DecidedBy,
    /// Who crossed the line first with the most laps; `None` if no client saw it, and if the session is not a race.
    pub winner: Option<EntryId>,
    /// No car crossed the line to end the race: it was stopped, and the laps completed by `end_us` stand.
    pub ended_without_a_crossing: bool,
}

/// Which laps [`finish`] needs, so that a caller does not have to read all of them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FinishLaps {
    /// All laps of these numbers.
    pub numbers: Vec<u32>,
    /// Of each entry the last two laps that began at or before this session time, µs.
    pub last_two_begun_by: Option<i64>,
}

/// How often to ask for [`finish_laps`]: when the race started, who led at the end of its time, who completed that lap, and who was near the
/// line when clients reported the end.
pub const FINISH_QUESTIONS: usize = 4;

/// Which laps [`finish`] needs. The answer may grow when the laps asked for are among `facts`: ask [`FINISH_QUESTIONS`] times.
pub fn finish_laps(facts: &Facts<'_>) -> FinishLaps {
    if facts.ranking() == Ranking::BestLap {
        return FinishLaps::default();
    }
    let Limits { laps, time_us } = Limits::of(facts);
    let mut numbers: Vec<u32> = time_us.map(|_| 1).into_iter().collect();
    let reported = reported_end(facts);
    if let Some(end) = reported.filter(|end| !end.by_leaving) {
        return FinishLaps { numbers, last_two_begun_by: Some(end.us) };
    }
    let due_us = time_due_us(facts);
    let by_time = due_us.and_then(|us| last_lap(facts, us).flatten()).map(|l| l.number);
    for number in [laps, by_time].into_iter().flatten() {
        if !numbers.contains(&number) {
            numbers.push(number);
        }
    }
    FinishLaps { numbers, last_two_begun_by: due_us.or(reported.map(|end| end.us)) }
}

/// How the session ended; `None` while it has not. `facts` may have fewer laps ([`finish_laps`]); more change nothing.
pub fn finish(facts: &Facts<'_>) -> Option<Finish> {
    match (facts.ranking(), reported_end(facts)) {
        (Ranking::BestLap, end) => {
            end.map(|end| Finish { end_us: end.us, decided_by: end.decided_by, winner: None, ended_without_a_crossing: false })
        }
        (Ranking::Distance, Some(end)) => {
            let limits = if end.by_leaving { limits(facts).filter(|finish| finish.end_us < end.us) } else { None };
            Some(limits.unwrap_or_else(|| reported_finish(facts, end.us, end.decided_by)))
        }
        (Ranking::Distance, None) => limits(facts),
    }
}

/// The end of a race by its limits (`race.limits`).
fn limits(facts: &Facts<'_>) -> Option<Finish> {
    let finishes = [lap_limit(facts), time_limit(facts)].into_iter().flatten();
    finishes.filter(|finish| !races_at(facts, finish.end_us + STATE_WINDOW_US)).min_by_key(|finish| finish.end_us)
}

/// When the winner of a race crossed the line, session time, µs ([`finish`]). `None` while there is no winner, and if the session is not
/// a race.
pub fn chequered_us(facts: &Facts<'_>) -> Option<i64> {
    finish(facts).filter(|_| facts.ranking() == Ranking::Distance).map(|finish| finish.end_us)
}

/// When the race started, µs: the simulator's own light, as its times of lap 1 say; else the earliest light that a client was shown; of lights
/// that are near to that of most cars (`race.total`).
pub fn light_us(laps: &[Lap]) -> Option<i64> {
    let first = || laps.iter().filter(|l| !l.superseded && l.number == 1 && l.tags.has(Tags::FIRST_LAP));
    let own = first().any(|l| !l.tags.has(Tags::FIELD));
    let first = || first().filter(|l| !own || !l.tags.has(Tags::FIELD));
    let simulators = first().filter(|l| !l.tags.has(Tags::SIM_TIME_DIFFERS)).filter_map(|l| l.sim_time_us.map(|us| l.end_us - us));
    earliest(simulators.collect()).or_else(|| earliest(first().map(|l| l.start_us).collect()))
}

/// The earliest of lights that is near the light of most cars: one car alone moves no light.
fn earliest(mut lights_us: Vec<i64>) -> Option<i64> {
    lights_us.sort_unstable();
    let usual_us = *lights_us.get(lights_us.len() / 2)?;
    lights_us.into_iter().find(|us| *us >= usual_us - CLOCK_US)
}

/// The limits of a race.
struct Limits {
    laps: Option<u32>,
    time_us: Option<i64>,
}

impl Limits {
    fn of(facts: &Facts<'_>) -> Self {
        let meta = facts.session.meta.as_ref();
        Self { laps: meta.map(|m| m.laps_limit).filter(|n| *n > 0), time_us: meta.map(|m| m.time_limit_us).filter(|us| *us > 0) }
    }
}

/// The end as clients report it.
#[derive(Clone, Copy)]
struct ReportedEnd {
    us: i64,
    decided_by: DecidedBy,
    /// Those who were not shown the flag have left; they were the majority.
    by_leaving: bool,
}

/// When clients report the end: by the session state, else by the flag.
fn reported_end(facts: &Facts<'_>) -> Option<ReportedEnd> {
    let over = state_held(facts.states, facts.cars, |state| state >= SessionState::CHECKERED);
    // A state that clients took back ended nothing. A client that leaves takes nothing back, and who stays longest does not for all others.
    let state =
        over.iter().find(|h| h.unseen_end || h.by_few).map(|h| ReportedEnd { us: h.from_us, decided_by: DecidedBy::State, by_leaving: false });
    state.or_else(|| {
        let shown = flag_held(facts.flags, facts.states, facts.cars, Flags::CHECKERED);
        shown.first().map(|h| ReportedEnd { us: h.from_us, decided_by: DecidedBy::Flag, by_leaving: h.by_leaving })
    })
}

/// Whether a majority reports at `us` that the session goes on.
fn races_at(facts: &Facts<'_>, us: i64) -> bool {
    let racing = |state| (SessionState::GET_IN_CAR..SessionState::CHECKERED).contains(&state);
    state_held(facts.states, facts.cars, racing).iter().any(|h| h.at(us))
}

/// Of each entry the last two laps that began by `us`.
fn around<'a>(facts: &Facts<'a>, us: i64) -> Vec<&'a Lap> {
    let begun = facts.laps.iter().filter(|l| !l.superseded && l.start_us <= us);
    let last_two = |mut of: Vec<&'a Lap>| {
        of.sort_by_key(|l| (l.start_us, l.number));
        of.split_off(of.len().saturating_sub(2))
    };
    by_entry(begun, |l| l.entry).into_values().flat_map(last_two).collect()
}

/// The first of those with the most laps, unless another car had completed more by then: then the winner is not among them.
fn first_of_most<'a>(crossings: impl Iterator<Item = &'a Lap>, known: &[&Lap]) -> Option<&'a Lap> {
    let first = crossings.min_by_key(|l| (Reverse(l.number), l.end_us, l.entry))?;
    (!known.iter().any(|l| l.number > first.number && l.end_us <= first.end_us)).then_some(first)
}

/// Whether this lap ends with a car that drives over the line for the lead. Not if it was put over that line; nor if it was put over the line
/// before, and another car passed that line before it drove on, and that later than `us` (`lap.put-over`).
fn for_the_lead(laps: &[&Lap], lap: &Lap, us: i64) -> bool {
    let put = laps.iter().find(|l| l.entry == lap.entry && l.number + 1 == lap.number && l.tags.has(Tags::PUT_OVER));
    let drove_on_us = lap.loops_us.iter().find(|us| **us >= 0).map_or(lap.end_us, |us| lap.start_us + us);
    let passes = |o: &&&Lap| put.is_some_and(|put| o.number == put.number && !o.tags.has(Tags::PUT_OVER) && (us..drove_on_us).contains(&o.end_us));
    !lap.tags.has(Tags::PUT_OVER) && !laps.iter().any(|o| passes(&o))
}

/// The finish of a race whose end is reported at `us` (`race.winner`).
fn reported_finish(facts: &Facts<'_>, us: i64, decided_by: DecidedBy) -> Finish {
    let ahead_us = if decided_by == DecidedBy::State { STATE_WINDOW_US } else { FLAG_LEAD_US };
    let laps = around(facts, us);
    let leading: Vec<&Lap> = laps.iter().copied().filter(|l| for_the_lead(&laps, l, us - STATE_WINDOW_US)).collect();
    // How long a lap without a time lasted says nothing: a reset makes it short.
    let usual_us = laps.iter().filter_map(|l| l.timed_us()).min();
    let part_us = |l: &Lap| l.timed_us().or(usual_us).unwrap_or(l.time_us) / PART_OF_LAP;
    let near = |l: &Lap| {
        let part = part_us(l);
        (us - STATE_WINDOW_US.min(part)..=us + ahead_us.min(part)).contains(&l.end_us)
    };
    // Clients may report late, so that the window holds only cars behind the winner, or none.
    let before = |l: &Lap| (us - part_us(l)..=us).contains(&l.end_us) && drove_on(facts, l);
    let late = |l: &&Lap| near(l) || decided_by == DecidedBy::Flag && before(l);
    let crossing = first_of_most(leading.iter().copied().filter(late), &leading);
    let same = |l: &&&Lap| crossing.is_some_and(|c| l.number == c.number && l.end_us <= c.end_us);
    let winner = leading.iter().filter(same).filter(|l| near(l) || before(l)).min_by_key(|l| (l.end_us, l.entry)).copied();
    let crosses_later = laps.iter().any(|l| l.end_us > us);
    // Nobody crossed the line to end it (`race.stopped`).
    let nobody = !crosses_later && winner.is_none_or(|l| premature(facts, l)) && known_until_us(facts) > us.saturating_add(STATE_WINDOW_US);
    let leads = |l: &Lap| near(l) && !leading.iter().any(|o| o.number == l.number && o.end_us < l.end_us);
    let stopped = nobody || !winner.is_some_and(leads) && out_of_reach(facts, &laps, us);
    match winner.filter(|_| !stopped) {
        Some(l) => Finish { end_us: l.end_us, decided_by, winner: Some(l.entry), ended_without_a_crossing: false },
        None => Finish { end_us: us, decided_by, winner: None, ended_without_a_crossing: stopped },
    }
}

/// Whether the car drove on behind this lap: it completed another one, or the newest that is known of it moves or is in the pits. Else it
/// retired in the lead.
fn drove_on(facts: &Facts<'_>, lap: &Lap) -> bool {
    let moves = |c: &CarNow| c.lap_pct.is_some() && (c.in_pits == Some(true) || c.speed_mps.is_none_or(|mps| mps >= STANDING_MPS));
    let newest = newest_shown(facts.cars.iter().filter(|c| c.entry == lap.entry));
    let later = facts.laps.iter().any(|l| !l.superseded && l.entry == lap.entry && l.number == lap.number + 1);
    later || newest.is_none_or(moves)
}

/// Whether the race has a limit and none was reached at the end of this lap.
fn premature(facts: &Facts<'_>, lap: &Lap) -> bool {
    let Limits { laps, time_us } = Limits::of(facts);
    let time_left = time_us.is_some_and(|_| time_due_us(facts).is_some_and(|due| lap.end_us < due - CLOCK_US));
    let laps_left = laps.is_some_and(|n| lap.number < n);
    match (laps, time_us) {
        (None, None) => false,
        (Some(_), Some(_)) => laps_left && time_left,
        _ => laps_left || time_left,
    }
}

/// Whether the race has limits and none of them can have been reached at `us`, not even by a car that no client saw. `laps`: of each entry the
/// last two that began by then.
fn out_of_reach(facts: &Facts<'_>, laps: &[&Lap], us: i64) -> bool {
    let limits = Limits::of(facts);
    let most = laps.iter().map(|l| l.number).max().unwrap_or(0);
    let laps_left = limits.laps.is_none_or(|n| most + UNSEEN_LEAD_LAPS <= n);
    let time_left = limits.time_us.is_none_or(|_| time_due_us(facts).is_some_and(|due| us < due - FLAG_LEAD_US));
    (limits.laps.is_some() || limits.time_us.is_some()) && laps_left && time_left
}

/// Up to when anything is known of the session, µs; for ever once it is closed.
fn known_until_us(facts: &Facts<'_>) -> i64 {
    if facts.session.closed { i64::MAX } else { facts.cars.iter().map(|c| c.sim_time_us).max().unwrap_or(i64::MIN) }
}

/// The first car that completes the laps of the race ends it.
fn lap_limit(facts: &Facts<'_>) -> Option<Finish> {
    let limit = Limits::of(facts).laps?;
    let first =
        facts.laps.iter().filter(|l| !l.superseded && l.number == limit && !l.tags.has(Tags::PUT_OVER)).min_by_key(|l| (l.end_us, l.entry))?;
    Some(Finish { end_us: first.end_us, decided_by: DecidedBy::LapLimit, winner: Some(first.entry), ended_without_a_crossing: false })
}

/// When the time of the race is over, µs.
fn time_due_us(facts: &Facts<'_>) -> Option<i64> {
    Limits::of(facts).time_us.and_then(|limit| Some(light_us(facts.laps)?.saturating_add(limit)))
}

/// The race ends with the lap in which the leader is when the time is over, and with the first car that completes that lap.
fn time_limit(facts: &Facts<'_>) -> Option<Finish> {
    let due_us = time_due_us(facts)?;
    let (decided_by, ended_without_a_crossing) = (DecidedBy::TimeLimit, false);
    Some(match last_lap(facts, due_us)? {
        Some(last) => {
            // Who was behind then may have passed the leader since.
            let done = facts.laps.iter().filter(|l| !l.superseded && l.number == last.number && l.end_us >= due_us && !l.tags.has(Tags::PUT_OVER));
            let first = done.min_by_key(|l| (l.end_us, l.entry)).unwrap_or(last);
            Finish { end_us: first.end_us, decided_by, winner: Some(first.entry), ended_without_a_crossing }
        }
        None => Finish { end_us: due_us, decided_by, winner: None, ended_without_a_crossing },
    })
}

/// The lap in which the leader was at `due_us`, as the first car completed it; `Some(None)` if the leader was not seen to complete it, and
/// `None` if no car has crossed the line since.
fn last_lap<'a>(facts: &Facts<'a>, due_us: i64) -> Option<Option<&'a Lap>> {
    let laps = around(facts, due_us);
    let leading: Vec<&Lap> = laps.iter().copied().filter(|l| for_the_lead(&laps, l, due_us)).collect();
    let mut crossings = leading.iter().copied().filter(|l| l.end_us >= due_us).peekable();
    crossings.peek()?;
    Some(first_of_most(crossings, &leading))
}
