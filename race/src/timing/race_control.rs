//! What race control did in a session: formation, cautions, red flags (`control.formation`, `control.caution`, `control.red`), and how
//! black flags were answered ([`penalties`](super::penalties)).

use serde::{Deserialize, Serialize};

use super::majority::state_held;
use super::penalties::{Penalty, penalties};
use super::{FlagSpan, Ranking};
use boxbox_schemas::frame::{Flags, SessionState};
use boxbox_schemas::results::{CarNow, Lap, PitVisit, SessionStateChange};

/// Two cautions or red flags this close to each other are one: a flag that drops out for a moment, µs.
const SAME_US: i64 = 3_000_000;
/// Simulators change flags up to this long after the leader crosses the line, µs.
const LINE_LAG_US: i64 = 3_000_000;

/// What race control did.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct RaceControl {
    /// How the race began; `None` if no client saw the field before the green flag, and if the session is no race.
    pub formation: Option<Formation>,
    /// Full-course cautions of a race, in order of time.
    pub cautions: Vec<Caution>,
    /// Red flags, in order of time.
    pub red_flags: Vec<RedFlag>,
    /// Black flags, by (time, entry).
    pub penalties: Vec<Penalty>,
}

impl RaceControl {
    /// Laps of the leader under caution; a lap with two cautions counts once.
    pub fn caution_laps(&self) -> u32 {
        let mut counted_to = 0;
        self.cautions.iter().fold(0, |laps: u32, caution| {
            let first = caution.first_lap.max(counted_to + 1);
            counted_to = caution.last_lap.max(counted_to).min(u32::MAX - 1);
            laps.saturating_add((counted_to + 1).saturating_sub(first))
        })
    }
}

/// The time before the green flag.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Formation {
    /// When the field set off for its parade laps; in a start without them, when the warm-up began; session time, µs. `None` if no client
    /// was shown the change to that state.
    pub from_us: Option<i64>,
    /// When the flag or the light turned green, µs; `None` while it has not.
    pub until_us: Option<i64>,
}

/// A full-course caution.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Caution {
    /// Its number in the session, 1-based.
    pub number: u32,
    /// From when, session time, µs.
    pub from_us: i64,
    /// Until when, µs; `None` while it lasts.
    pub until_us: Option<i64>,
    /// The leader's lap when it came out.
    pub first_lap: u32,
    /// The leader's lap when it ended, or its lap now.
    pub last_lap: u32,
}

impl Caution {
    /// Laps of the leader under it, the first and the last one included.
    pub fn laps(&self) -> u32 {
        self.last_lap.saturating_sub(self.first_lap).saturating_add(1)
    }
}

/// A red flag.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RedFlag {
    /// Its number in the session, 1-based.
    pub number: u32,
    /// From when, session time, µs.
    pub from_us: i64,
    /// Until when, µs; `None` while it is out.
    pub until_us: Option<i64>,
}

/// What [`race_control`] is made of.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// How the session is ranked; cautions and formation are those of races.
    pub ranking: Ranking,
    /// Spans of flags ([`flag_spans`](super::flag_spans)).
    pub spans: &'a [FlagSpan],
    /// Chosen laps.
    pub laps: &'a [Lap],
    /// Folded visits to the pits ([`pit_visits`](super::pit_visits)).
    pub visits: &'a [PitVisit],
    /// Changes of the session state, of each stream.
    pub states: &'a [SessionStateChange],
    /// Where cars are, of each stream.
    pub cars: &'a [CarNow],
}

/// What race control did.
pub fn race_control(seen: &Seen<'_>) -> RaceControl {
    let race = seen.ranking == Ranking::Distance;
    let leader = LeaderLaps::of(seen.laps);
    let cautions = course(seen.spans, Flags::CAUTION).into_iter().filter(|_| race);
    let caution = |(number, (from_us, until_us)): (u32, Period)| {
        let first_lap = leader.lap_at(from_us);
        let last_lap = leader.lap_at(until_us.map_or(i64::MAX, |us| us.saturating_sub(LINE_LAG_US))).max(first_lap);
        Caution { number, from_us, until_us, first_lap, last_lap }
    };
    let red = |(number, (from_us, until_us)): (u32, Period)| RedFlag { number, from_us, until_us };
    RaceControl {
        formation: formation(seen).filter(|_| race),
        cautions: (1..).zip(cautions).map(caution).collect(),
        red_flags: (1..).zip(course(seen.spans, Flags::RED)).map(red).collect(),
        penalties: penalties(seen.spans, seen.visits),
    }
}

/// The flags as race control shows them: iRacing sets "one lap to green" from the moment in which cars are put on the grid, in some
/// practices all the time, and again after the finish. It means something only in a race, before its green flag and under a caution
/// (`flag.one-to-green`).
pub fn flags_out(spans: Vec<FlagSpan>, ranking: Ranking) -> Vec<FlagSpan> {
    let green_us = first_green_us(&spans);
    let cautions = course(&spans, Flags::CAUTION);
    let mut out: Vec<FlagSpan> = vec![];
    for span in spans {
        if span.flag != Flags::ONE_TO_GREEN {
            out.push(span);
        } else if ranking == Ranking::Distance {
            let allowed = std::iter::once((i64::MIN, green_us)).chain(cautions.iter().copied());
            out.extend(allowed.filter_map(|period| {
                let (from_us, until_us) = common((span.from_us, span.until_us), period)?;
                Some(FlagSpan { from_us, until_us, ..span.clone() })
            }));
        }
    }
    out.sort_by_key(|s| (s.from_us, s.flag.0, s.entry));
    out
}

/// From when to when, µs.
type Period = (i64, Option<i64>);

/// What two periods have in common.
fn common(a: Period, b: Period) -> Option<Period> {
    let until_us = match (a.1, b.1) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
    let from_us = a.0.max(b.0);
    until_us.is_none_or(|us| us > from_us).then_some((from_us, until_us))
}

/// When a flag of the course was out; spans with less than [`SAME_US`] between them are one.
fn course(spans: &[FlagSpan], flag: Flags) -> Vec<Period> {
    let mut of: Vec<Period> = spans.iter().filter(|s| s.flag == flag && s.entry.is_none()).map(|s| (s.from_us, s.until_us)).collect();
    of.sort_unstable_by_key(|(from_us, until_us)| (*from_us, until_us.is_none(), *until_us));
    let mut out: Vec<Period> = vec![];
    for (from_us, until_us) in of {
        match out.last_mut() {
            Some((_, last)) if last.is_none_or(|last| from_us.saturating_sub(last) < SAME_US) => *last = last.zip(until_us).map(|(a, b)| a.max(b)),
            _ => out.push((from_us, until_us)),
        }
    }
    out
}

/// When green was shown first, by flag or by light.
fn first_green_us(spans: &[FlagSpan]) -> Option<i64> {
    let green = Flags::GREEN.with(Flags::START_GO);
    spans.iter().filter(|s| s.entry.is_none() && green.has(s.flag)).map(|s| s.from_us).min()
}

/// How the race began (`control.formation`).
fn formation(seen: &Seen<'_>) -> Option<Formation> {
    let green_us = first_green_us(seen.spans);
    let waits = Flags::START_READY.with(Flags::START_SET).with(Flags::ONE_TO_GREEN);
    let waited = seen.spans.iter().any(|s| waits.has(s.flag) && green_us.is_none_or(|green| s.from_us < green));
    let began = |state| began_us(seen, state).find(|(us, _)| green_us.is_none_or(|green| *us < green));
    let parade = began(SessionState::PARADE);
    // Before green, parade laps may still come.
    let began = parade.or_else(|| green_us.and_then(|_| began(SessionState::WARMUP)));
    let from_us = began.and_then(|(us, seen)| seen.then_some(us));
    (waited || parade.is_some()).then_some(Formation { from_us, until_us: green_us })
}

/// When a majority was shown this state, µs, and whether a client was shown how it began: who joins later is shown the state at once.
fn began_us(seen: &Seen<'_>, state: SessionState) -> impl Iterator<Item = (i64, bool)> {
    let change = move |s: &&SessionStateChange| !s.superseded && s.to == state && s.from != SessionState::INVALID;
    let first_us = seen.states.iter().filter(change).map(|s| s.sim_time_us).min();
    let held = state_held(seen.states, seen.cars, move |s| s == state);
    held.into_iter().map(move |held| (held.from_us, first_us.is_some_and(|us| us <= held.from_us)))
}

/// When each lap of the race was first completed by a car: number and session time, µs, by number.
struct LeaderLaps(Vec<(u32, i64)>);

impl LeaderLaps {
    fn of(laps: &[Lap]) -> Self {
        let mut ends: Vec<(u32, i64)> = laps.iter().filter(|l| !l.superseded).map(|l| (l.number, l.end_us)).collect();
        ends.sort_unstable();
        ends.dedup_by_key(|(number, _)| *number);
        Self(ends)
    }

    /// The lap that the leader is in.
    fn lap_at(&self, us: i64) -> u32 {
        self.0.iter().filter(|(_, end_us)| *end_us <= us).map(|(number, _)| *number).max().unwrap_or(0).saturating_add(1)
    }
}
