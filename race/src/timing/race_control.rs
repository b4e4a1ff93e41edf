//! What race control did in a session: formation, cautions, red flags (`control.caution`, `control.red`), and how black flags were
//! answered ([`penalties`](super::penalties)).

use serde::{Deserialize, Serialize};

use super::penalties::{Penalty, penalties};
use super::{FlagSpan, Ranking};
use boxbox_schemas::frame::Flags;
use boxbox_schemas::results::{Lap, PitVisit};

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
    /// When the field set off behind the pace car, session time, µs; `None` if no session state says so.
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
    /// For how long the simulator's countdown stood still under it, µs: 0 if it ran on; `None` if no countdown is known.
    pub clock_stopped_us: Option<i64>,
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
    /// When the session state told of parade laps, from and until, µs; `None` if no state is known.
    pub parade_us: Option<(i64, i64)>,
    /// Readings of the simulator's countdown: session time and time remaining, µs, by time. Empty if none are known.
    pub countdown: &'a [(i64, i64)],
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
    let red = |(number, (from_us, until_us)): (u32, Period)| {
        let clock_stopped_us = until_us.and_then(|until_us| stood_still_us(seen.countdown, from_us, until_us));
        RedFlag { number, from_us, until_us, clock_stopped_us }
    };
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

fn formation(seen: &Seen<'_>) -> Option<Formation> {
    let green_us = first_green_us(seen.spans);
    let waits = Flags::START_READY.with(Flags::START_SET).with(Flags::ONE_TO_GREEN);
    let waited = seen.spans.iter().any(|s| waits.has(s.flag) && green_us.is_none_or(|green| s.from_us < green));
    let from_us = seen.parade_us.map(|(from_us, _)| from_us).filter(|us| green_us.is_none_or(|green| *us < green));
    (waited || from_us.is_some()).then_some(Formation { from_us, until_us: green_us })
}

/// By how much less than the session's time the countdown fell between the two moments; `None` without a reading before and after.
fn stood_still_us(countdown: &[(i64, i64)], from_us: i64, until_us: i64) -> Option<i64> {
    let before = countdown.iter().rfind(|(us, _)| *us <= from_us)?;
    let after = countdown.iter().find(|(us, _)| *us >= until_us)?;
    let (passed, fell) = (after.0.saturating_sub(before.0), before.1.saturating_sub(after.1));
    Some(passed.saturating_sub(fell).max(0))
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
