//! Steps 9 to 12 of `score.order`.

use std::collections::{BTreeMap, BTreeSet};

use super::adjusted::adjusted;
use super::shares::{self, Part};
use super::{Cell, CellWhy, Line, Table, TableEvent};
use crate::league::act::{ChampionshipSet, ClassChange, EventPoints, Per, Scope, State, Subject};
use crate::league::facts::facts_digest;
use crate::league::ids::{ClassSlug, EventSlug, SeasonSlug, SessionSlug};
use crate::league::result::{CarScore, Row, SessionResult, Why};
use crate::league::{League, rules};
use crate::scoring::{self, EventScore, Excluded, Points, Season, Standing};

/// The tables of all championships of a season, by slug, from the results of its sessions.
pub fn tables(league: &League, season: SeasonSlug, results: &BTreeMap<SessionSlug, SessionResult>) -> Vec<Table> {
    tables_where(league, season, results, |_| true)
}

/// The tables as readers see them: of the sessions that are published (`result.published`).
pub(crate) fn published_tables(league: &League, season: SeasonSlug, results: &BTreeMap<SessionSlug, SessionResult>) -> Vec<Table> {
    tables_where(league, season, results, |session| league.published(Scope::Session(session)).is_some())
}

fn tables_where(
    league: &League,
    season: SeasonSlug,
    results: &BTreeMap<SessionSlug, SessionResult>,
    counts: impl Fn(SessionSlug) -> bool,
) -> Vec<Table> {
    let counted: Vec<&SessionResult> = results.values().filter(|result| counts(result.session)).collect();
    let of_season = league.championships.values().map(|at| &at.it).filter(|championship| championship.season == season);
    of_season.filter_map(|championship| Counting::of(league, championship, &counted)?.table()).collect()
}

/// A championship while its table is made.
struct Counting<'a> {
    league: &'a League,
    championship: &'a ChampionshipSet,
    /// The events that count, and their sessions that count.
    events: Vec<(EventSlug, Vec<&'a SessionResult>)>,
    /// The class of each entry at the last event that was driven.
    classes: BTreeMap<String, ClassSlug>,
}

/// What a competitor has so far.
#[derive(Default)]
struct Tally {
    /// By event: what it has of each car in each session.
    parts: BTreeMap<usize, Vec<Scored>>,
    /// It scored in the championship with an entry that is still in it.
    stays: bool,
}

/// What a competitor has of a car in a session.
struct Scored {
    session: SessionSlug,
    entry: String,
    points: Points,
    counts: bool,
    place: Option<u32>,
    started: bool,
    disqualified: bool,
    incidents: u32,
    why: Vec<Why>,
}

impl<'a> Counting<'a> {
    fn of(league: &'a League, championship: &'a ChampionshipSet, results: &[&'a SessionResult]) -> Option<Self> {
        let scored = |event: EventSlug| {
            let of = results.iter().copied().filter(|result| result.event == event && result.scores.contains_key(&championship.championship));
            (event, of.collect::<Vec<_>>())
        };
        let events: Vec<_> = league.calendar(championship.season).into_iter().map(scored).collect();
        let mut classes = BTreeMap::new();
        for row in events.iter().flat_map(|(_, sessions)| sessions).flat_map(|result| &result.rows) {
            if let Some(class) = row.class {
                classes.insert(row.entry.to_string(), class);
            }
        }
        Some(Self { league, championship, events, classes })
    }

    fn table(&self) -> Option<Table> {
        let (season_rules, hash) = rules::season(self.league, self.championship)?;
        let mut tallies = self.tallies();
        let adjusted = adjusted(self.league, self.championship);
        // Who never scored here has a line only if a decision names this championship.
        for (competitor, _) in adjusted.iter().filter(|(_, adjusted)| adjusted.named) {
            tallies.entry(competitor.clone()).or_insert_with(|| Tally { stays: true, ..Tally::default() });
        }
        let restart = self.championship.class_change == ClassChange::Restart;
        let gone = |tally: &Tally| restart && !tally.stays;
        let seasons: Vec<Season> = tallies
            .iter()
            .map(|(competitor, tally)| {
                let decided = adjusted.get(competitor).cloned().unwrap_or_default();
                let excluded = if decided.excluded == Excluded::No && gone(tally) { Excluded::Rank } else { decided.excluded };
                Season { competitor: competitor.clone(), events: self.event_scores(tally), adjustment: decided.points, excluded }
            })
            .collect();
        let lines = scoring::table(&seasons, self.events.len(), &season_rules);
        let mut scores: BTreeMap<String, Vec<EventScore>> = seasons.into_iter().map(|season| (season.competitor, season.events)).collect();
        let sessions = || self.events.iter().flat_map(|(_, sessions)| sessions.iter());
        let is_official = |result: &&SessionResult| {
            let published = self.league.published(Scope::Session(result.session));
            published.is_some_and(|published| published.state != State::Provisional)
        };
        let lines: Vec<Line> = lines
            .into_iter()
            .map(|line| {
                let tally = tallies.remove(&line.competitor).unwrap_or_default();
                let why = adjusted.get(&line.competitor).map(|decided| decided.why.clone()).unwrap_or_default();
                let withdrawn = gone(&tally);
                let cells = self.cells(tally, scores.remove(&line.competitor).unwrap_or_default(), &line.dropped);
                Line {
                    rank: line.rank,
                    competitor: line.competitor,
                    points: line.points,
                    gross: line.gross,
                    adjustment: line.adjustment,
                    starts: line.starts,
                    withdrawn,
                    ahead_by: line.ahead_by,
                    cells,
                    why,
                }
            })
            .collect();
        let events = self.events.iter().zip(1..).map(|((event, sessions), number)| TableEvent {
            event: *event,
            number,
            sessions: sessions.iter().map(|result| result.session).collect(),
        });
        Some(Table {
            championship: self.championship.championship,
            season: self.championship.season,
            subject: self.championship.subject,
            // Before the first session nothing is final.
            state: if sessions().next().is_some() && sessions().all(is_official) { State::Official } else { State::Provisional },
            facts: facts_digest(sessions().map(|result| (&result.session, &result.facts))),
            rules: hash,
            events: events.collect(),
            lines,
        })
    }

    /// What everyone has of each car in each session.
    fn tallies(&self) -> BTreeMap<String, Tally> {
        let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
        for (at, (event, sessions)) in self.events.iter().enumerate() {
            let mut of_event: BTreeMap<String, Vec<Scored>> = BTreeMap::new();
            for result in sessions {
                self.of_session(result, *event, &mut of_event, &mut tallies);
            }
            if let Some((best, Per::Event)) = rules::best_cars(self.league, self.championship, *event) {
                of_event.values_mut().for_each(|scored| keep_best_cars(scored, best));
            }
            for (competitor, scored) in of_event {
                tallies.entry(competitor).or_default().parts.insert(at, scored);
            }
        }
        tallies
    }

    /// What everyone has of each car in one session.
    fn of_session(
        &self,
        result: &SessionResult,
        event: EventSlug,
        of_event: &mut BTreeMap<String, Vec<Scored>>,
        tallies: &mut BTreeMap<String, Tally>,
    ) {
        let Some(scores) = result.scores.get(&self.championship.championship) else { return };
        let rows: BTreeMap<&str, &Row> = result.rows.iter().map(|row| (row.entry.as_str(), row)).collect();
        let mut leaders: BTreeMap<Option<ClassSlug>, u32> = BTreeMap::new();
        for row in result.rows.iter().filter(|row| row.status != Standing::Disqualified) {
            let most = leaders.entry(row.class).or_default();
            *most = row.laps.max(*most);
        }
        let drivers = rules::drivers(self.league, self.championship, event);
        let mut here: BTreeMap<String, Vec<Scored>> = BTreeMap::new();
        for (score, row) in scores.iter().filter_map(|score| Some((score, *rows.get(score.entry.as_str())?))).filter(|(score, _)| self.is_in(score)) {
            let leader = leaders.get(&row.class).copied().unwrap_or(0);
            for part in shares::parts(self.championship.subject, row, score, leader, &drivers) {
                tallies.entry(part.competitor.clone()).or_default().stays |= self.still_in(score);
                here.entry(part.competitor.clone()).or_default().push(self.scored(result, row, score, part));
            }
        }
        for (competitor, mut scored) in here {
            match (self.championship.subject, rules::best_cars(self.league, self.championship, event)) {
                // A person who drove several cars in a session has the best result of them (`league.two-cars`).
                (Subject::Driver, _) => keep_best_cars(&mut scored, 1),
                (_, Some((best, Per::Session))) => keep_best_cars(&mut scored, best),
                _ => {}
            }
            of_event.entry(competitor).or_default().extend(scored);
        }
    }

    fn scored(&self, result: &SessionResult, row: &Row, score: &CarScore, part: Part) -> Scored {
        let mut why = score.why.clone();
        // What made the place that the points are for (`result.why`); points of an override are among the parts of the score already.
        let in_points = |of: &Why| score.why.iter().any(|other| other.act == of.act && other.penalty == of.penalty);
        why.extend(row.why.iter().filter(|of| of.act.is_some() && !in_points(of)).cloned());
        if !part.scores {
            why.push(Why { rule: "league.drive-time".into(), text: "did not drive the part of the laps that is needed".into(), ..Why::default() });
        } else if part.points != score.points {
            why.push(Why {
                rule: "league.drive-time".into(),
                text: format!("{} of {}", part.points.shown(), score.points.shown()),
                ..Why::default()
            });
        }
        Scored {
            session: result.session,
            entry: row.entry.to_string(),
            points: part.points,
            counts: true,
            place: score.place.filter(|_| part.scores && rules::in_countback(self.championship, result.role)),
            started: row.status != Standing::NotStarted,
            disqualified: row.status == Standing::Disqualified,
            incidents: row.incidents,
            why,
        }
    }

    /// Whether a score counts here: by the class of the day, or, if points move, by the class of now.
    fn is_in(&self, score: &CarScore) -> bool {
        let class = match self.championship.class_change {
            ClassChange::PointsMove => self.classes.get(score.entry.as_str()).copied().or(score.class),
            ClassChange::PointsStay | ClassChange::Restart => score.class,
        };
        self.championship.classes.is_empty() || class.is_some_and(|class| self.championship.classes.contains(&class))
    }

    /// Whether the entry of a score is still in a class of the championship.
    fn still_in(&self, score: &CarScore) -> bool {
        let now = self.classes.get(score.entry.as_str()).copied().or(score.class);
        self.championship.classes.is_empty() || now.is_some_and(|class| self.championship.classes.contains(&class))
    }

    /// Step 9.
    fn event_scores(&self, tally: &Tally) -> Vec<EventScore> {
        let one = |(at, (event, _)): (usize, &(EventSlug, _))| {
            let kept = self.league.events.get(event).is_some_and(|event| !event.it.droppable);
            let Some(scored) = tally.parts.get(&at) else { return EventScore { kept, ..EventScore::default() } };
            let points = self.points(scored);
            EventScore {
                points: Some(points).filter(|points| scored.iter().any(|part| part.started) || !points.is_zero()),
                // Of a person's cars the counted one; a team has the places of all its cars.
                places: scored
                    .iter()
                    .filter(|part| part.counts || self.championship.subject != Subject::Driver)
                    .filter_map(|part| part.place)
                    .collect(),
                disqualified: scored.iter().any(|part| part.disqualified),
                kept,
                incidents: scored.iter().map(|part| part.incidents).sum(),
            }
        };
        self.events.iter().enumerate().map(one).collect()
    }

    /// The sessions of an event as one score.
    fn points(&self, scored: &[Scored]) -> Points {
        let mut by_session: BTreeMap<SessionSlug, Points> = BTreeMap::new();
        for part in scored.iter().filter(|part| part.counts) {
            *by_session.entry(part.session).or_default() += part.points.clone();
        }
        match self.championship.event_points {
            EventPoints::Sum => by_session.into_values().sum(),
            EventPoints::Best => by_session.into_values().max().unwrap_or_default(),
        }
    }

    fn cells(&self, mut tally: Tally, scores: Vec<EventScore>, dropped: &[u32]) -> Vec<Cell> {
        let one = |(at, score): (usize, EventScore)| {
            let parts = tally.parts.remove(&at).unwrap_or_default();
            let why = |part: Scored| CellWhy { session: part.session, entry: part.entry, points: part.points, counts: part.counts, why: part.why };
            Cell {
                event: self.events[at].0,
                points: score.points,
                dropped: dropped.contains(&(at as u32 + 1)),
                disqualified: score.disqualified,
                why: parts.into_iter().map(why).collect(),
            }
        };
        scores.into_iter().enumerate().map(one).collect()
    }
}

/// Of several cars those with most points count; of cars with as many, the better placed.
fn keep_best_cars(scored: &mut [Scored], best: usize) {
    let mut cars: BTreeMap<&str, (Points, Option<u32>)> = BTreeMap::new();
    for part in scored.iter() {
        let of = cars.entry(&part.entry).or_default();
        of.0 += part.points.clone();
        of.1 = of.1.into_iter().chain(part.place).min();
    }
    let mut order: Vec<(&str, (Points, Option<u32>))> = cars.into_iter().collect();
    order.sort_by(|(a, (a_points, a_place)), (b, (b_points, b_place))| {
        b_points.cmp(a_points).then(a_place.unwrap_or(u32::MAX).cmp(&b_place.unwrap_or(u32::MAX))).then(a.cmp(b))
    });
    let counted: BTreeSet<String> = order.into_iter().take(best).map(|(entry, _)| entry.to_owned()).collect();
    for part in scored {
        part.counts = counted.contains(&part.entry);
    }
}
