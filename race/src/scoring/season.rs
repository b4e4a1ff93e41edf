//! Steps 9 to 12 of the score (`score.order`): from the scores of events to the table of a championship.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::points::Points;
use super::rules::{Counted, SeasonRules, TieBreak};

/// What one competitor (driver or team) has in one event.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct EventScore {
    /// Points of all its sessions; none: it missed the event.
    pub points: Option<Points>,
    /// Its places in the races of the event, for countbacks; a team has those of all its cars.
    pub places: Vec<u32>,
    /// It was disqualified in a session of the event.
    pub disqualified: bool,
    /// This event may not be dropped by this competitor (a ban, say).
    pub kept: bool,
    /// Incident points.
    pub incidents: u32,
}

/// A competitor's season.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Season {
    /// The competitor: opaque, unique in the championship.
    pub competitor: String,
    /// Its events, in their order; shorter than the season if the last ones are missed.
    pub events: Vec<EventScore>,
    /// Points added (above 0) or taken off for the season; no drop takes them away.
    pub adjustment: Points,
    /// It is left out of the ranking.
    #[serde(default)]
    pub excluded: Excluded,
}

/// Whether a competitor is left out of the ranking.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Excluded {
    /// It is ranked.
    #[default]
    No,
    /// It loses its rank and keeps its points.
    Rank,
    /// It loses both.
    Points,
}

/// A line of the table.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TableLine {
    /// The competitor.
    pub competitor: String,
    /// Its rank; several can share one. None if it is excluded or has too few starts.
    pub rank: Option<u32>,
    /// What counts, with the adjustment.
    pub points: Points,
    /// All its events together.
    pub gross: Points,
    /// The events (1 is the first) that do not count.
    pub dropped: Vec<u32>,
    /// The adjustment.
    pub adjustment: Points,
    /// Starts.
    pub starts: u32,
    /// The tie-break that put it ahead of the next line with as many points.
    pub ahead_by: Option<TieBreak>,
}

/// The table of a championship of `events` events. The order of `seasons` changes nothing.
pub fn table(seasons: &[Season], events: usize, rules: &SeasonRules) -> Vec<TableLine> {
    let mut lines: Vec<Compared<'_>> = seasons.iter().map(|season| Compared::of(season, events, rules)).collect();
    lines.sort_by(|a, b| {
        let points = b.line.points.cmp(&a.line.points);
        a.unranked.cmp(&b.unranked).then(points).then_with(|| broken(a, b, rules).1).then_with(|| a.line.competitor.cmp(&b.line.competitor))
    });
    for at in 0..lines.len() {
        let (before, rest) = lines.split_at_mut(at);
        let Some(of) = rest.first_mut().filter(|of| !of.unranked) else { continue };
        let shared = before.last_mut().filter(|other| other.line.points == of.line.points).and_then(|other| {
            let (by, _) = broken(other, of, rules);
            other.line.ahead_by = by;
            if by.is_none() { other.line.rank } else { None }
        });
        of.line.rank = shared.or(Some(at as u32 + 1));
    }
    lines.into_iter().map(|of| of.line).collect()
}

/// A line, with what it is compared by: made once, because in a table of thousands each line is compared many times.
struct Compared<'a> {
    line: TableLine,
    season: &'a Season,
    unranked: bool,
    /// Its places, the best first: of all events, and of those that count.
    places: Vec<u32>,
    counted: Vec<u32>,
}

impl<'a> Compared<'a> {
    fn of(season: &'a Season, events: usize, rules: &SeasonRules) -> Self {
        let line = line(season, events, rules);
        let places = |counted_only: bool| {
            let counts = |event: &usize| !(counted_only && line.dropped.contains(&(*event as u32 + 1)));
            let of = season.events.iter().enumerate().filter(|(event, _)| counts(event));
            let mut places: Vec<u32> = of.flat_map(|(_, score)| score.places.iter().copied()).collect();
            places.sort_unstable();
            places
        };
        let (all, counted) = (places(false), places(true));
        let unranked = season.excluded != Excluded::No || line.starts < rules.min_starts;
        Self { line, season, unranked, places: all, counted }
    }
}

/// Steps 10 and 11 for one competitor.
fn line(season: &Season, events: usize, rules: &SeasonRules) -> TableLine {
    let missed = EventScore::default();
    let score = |event: usize| season.events.get(event).unwrap_or(&missed);
    let points = |event: usize| score(event).points.clone().unwrap_or_default();
    let dropped = dropped(events, rules, &score);
    let gross: Points = (0..events).map(points).sum();
    let counted: Points = (0..events).filter(|event| !dropped.contains(event)).map(points).sum();
    let total = match season.excluded {
        Excluded::Points => Points::default(),
        Excluded::No | Excluded::Rank => counted + season.adjustment.clone(),
    };
    let total = if rules.floor_zero && total.is_negative() { Points::default() } else { total };
    TableLine {
        competitor: season.competitor.clone(),
        rank: None,
        points: total,
        gross,
        dropped: dropped.into_iter().map(|event| event as u32 + 1).collect(),
        adjustment: season.adjustment.clone(),
        starts: season.events.iter().take(events).filter(|event| event.points.is_some()).count() as u32,
        ahead_by: None,
    }
}

/// The events that do not count: in each part the lowest that may be dropped; of equal ones the earliest (`season.drops`).
fn dropped<'a>(events: usize, rules: &SeasonRules, score: &dyn Fn(usize) -> &'a EventScore) -> Vec<usize> {
    if events < rules.min_events as usize {
        return vec![];
    }
    // Half way through a season its parts are those of the whole season.
    let parts = rules.parts_of(rules.events.map_or(events, |planned| events.max(planned as usize)));
    let (mut begin, mut out) = (0, vec![]);
    for (part, length) in parts.iter().enumerate() {
        let end = (begin + length).min(events);
        let of_part = |numbers: &[usize]| numbers.get(part).or(numbers.last()).copied();
        let drops = match &rules.counted {
            Counted::All => (end - begin).checked_div(rules.drop_for_each as usize).unwrap_or(0),
            Counted::Drop(drops) => of_part(drops).unwrap_or(0),
            Counted::Best(best) => of_part(best).map_or(0, |best| (end - begin).saturating_sub(best)),
        };
        let droppable = |event: &usize| {
            let one = score(*event);
            let kept = rules.not_droppable.contains(&(*event as u32 + 1)) || one.kept;
            let disqualified = one.disqualified && !rules.disqualification_droppable;
            let absent = one.points.is_none() && rules.absence_not_droppable;
            !kept && !disqualified && !absent
        };
        let mut lowest: Vec<usize> = (begin..end).filter(droppable).collect();
        // An event that was missed counts 0, so it goes first among the zeros only if it is the earlier one.
        lowest.sort_by_key(|event| (score(*event).points.clone().unwrap_or_default(), *event));
        out.extend(lowest.into_iter().take(drops));
        begin = end;
    }
    out.sort_unstable();
    out
}

/// Which item of the chain separates two competitors with equal points, and how (less is ahead). None: they share the rank.
fn broken(a: &Compared<'_>, b: &Compared<'_>, rules: &SeasonRules) -> (Option<TieBreak>, Ordering) {
    for item in &rules.ties {
        let order = match item {
            TieBreak::Countback => countback(&a.places, &b.places),
            TieBreak::CountbackCounted => countback(&a.counted, &b.counted),
            TieBreak::BestEvent => best_event(b.season).cmp(&best_event(a.season)),
            TieBreak::LatestResult => latest_result(a.season, b.season),
            TieBreak::FewerIncidents => incidents(a.season).cmp(&incidents(b.season)),
            TieBreak::FewerStarts => a.line.starts.cmp(&b.line.starts),
        };
        if order != Ordering::Equal {
            return (Some(*item), order);
        }
    }
    (None, Ordering::Equal)
}

/// Most first places, then most second places, and so on: of two sorted lists the one with the smaller place where they first differ, or, if
/// one is the beginning of the other, the longer one. A double event has its place once.
fn countback(a: &[u32], b: &[u32]) -> Ordering {
    let first = a.iter().zip(b).map(|(a, b)| a.cmp(b)).find(|order| *order != Ordering::Equal);
    first.unwrap_or_else(|| b.len().cmp(&a.len()))
}

fn best_event(season: &Season) -> Points {
    season.events.iter().filter_map(|event| event.points.clone()).max().unwrap_or_default()
}

/// The latest event in which the best places differ; no place is behind every place.
fn latest_result(a: &Season, b: &Season) -> Ordering {
    let best = |season: &Season, event: usize| season.events.get(event).and_then(|event| event.places.iter().min().copied()).unwrap_or(u32::MAX);
    let last = a.events.len().max(b.events.len());
    (0..last).rev().map(|event| best(a, event).cmp(&best(b, event))).find(|order| *order != Ordering::Equal).unwrap_or(Ordering::Equal)
}

fn incidents(season: &Season) -> u64 {
    season.events.iter().map(|event| u64::from(event.incidents)).sum()
}
