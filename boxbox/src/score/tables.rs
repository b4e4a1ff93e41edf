//! The tables of a season: every championship of the rules, with the reason of every point.

use std::collections::{BTreeMap, BTreeSet};

use boxbox_race::scoring::{
    ClassifiedCar, Distance, EventScore, Points, PointsRules, Ruleset, Score, ScoredBy, Season, SeasonRules, Standing, TableLine, TeamRules, award,
    classify, event_points, qualify, share_points, table, team_scores,
};
use serde::Serialize;

use super::entered::{Event, Input, Session};

/// A team, its car, and what the car scored.
type TeamCar = (String, String, Points);

/// What `score` prints.
#[derive(Serialize)]
pub struct Report {
    /// The rules.
    pub rules: RulesLine,
    /// The names of the events.
    pub events: Vec<String>,
    /// The sessions that were scored.
    pub sessions: Vec<SessionLines>,
    /// The championships.
    pub championships: Vec<Championship>,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// Which rules.
#[derive(Serialize)]
pub struct RulesLine {
    /// Their name.
    pub name: String,
    /// What they are.
    pub title: String,
    /// Their digest.
    pub hash: String,
    /// Whether published results were computed again with them.
    pub verified: bool,
}

/// A session in its order.
#[derive(Serialize)]
pub struct SessionLines {
    /// The event.
    pub event: String,
    /// The session.
    pub session: String,
    /// Its cars.
    pub cars: Vec<SessionLine>,
}

/// A car of a session.
#[derive(Serialize)]
pub struct SessionLine {
    /// The entry.
    pub entry: String,
    /// Its class.
    pub class: String,
    /// Its place overall.
    pub place: Option<u32>,
    /// Its place in its class.
    pub class_place: Option<u32>,
    /// What became of it.
    pub status: Standing,
    /// Its laps.
    pub laps: u32,
    /// Its time with penalties, µs.
    pub time_us: Option<i64>,
    /// Its points: an exact fraction.
    pub points: Points,
    /// What was decided about it.
    pub why: Vec<String>,
}

/// A championship.
#[derive(Serialize)]
pub struct Championship {
    /// Of whom: drivers, cars, teams, manufacturers.
    pub subject: &'static str,
    /// The class; empty where there is one only.
    pub class: String,
    /// The table.
    pub lines: Vec<Line>,
}

/// A line of a table.
#[derive(Serialize)]
pub struct Line {
    /// Rank, name, points, drops.
    #[serde(flatten)]
    pub table: TableLine,
    /// The points as people read them.
    pub shown: String,
    /// Its events.
    pub events: Vec<Cell>,
}

/// What a competitor has of an event.
#[derive(Serialize, Default, Clone)]
pub struct Cell {
    /// Its points; none: it was not there.
    pub points: Option<Points>,
    /// The event does not count.
    pub dropped: bool,
    /// Where the points come from.
    pub why: Vec<Why>,
}

/// Where points come from.
#[derive(Serialize, Clone)]
pub struct Why {
    /// The session.
    pub session: String,
    /// The car, if the competitor is none.
    pub entry: Option<String>,
    /// The place, or what became of the car.
    pub place: Option<u32>,
    /// What became of the car.
    pub status: Standing,
    /// The parts of the points.
    pub parts: Vec<Part>,
    /// What was decided.
    pub decisions: Vec<String>,
    /// The points of this session.
    pub points: Points,
}

/// A part of points.
#[derive(Serialize, Clone)]
pub struct Part {
    /// For what.
    pub rule: String,
    /// How many.
    pub points: Points,
}

/// A session with its order.
struct Driven<'a> {
    session: &'a Session,
    classified: Vec<ClassifiedCar>,
    distance: Distance,
    /// None: it is worth nothing.
    points: Option<PointsRules>,
    race: bool,
}

/// All tables. `planned`: the events of the whole season, if that is known.
pub fn report(input: &Input, rules: &Ruleset, planned: Option<u32>, distances: &BTreeMap<String, Distance>) -> Report {
    let events: Vec<Vec<Driven<'_>>> = (1..)
        .zip(&input.events)
        .map(|(number, event)| driven(event, number, planned.unwrap_or(input.events.len() as u32), rules, distances.get(&event.name)))
        .collect();
    let scores: Vec<Vec<Vec<Score>>> = events.iter().map(|sessions| sessions.iter().map(scored).collect()).collect();
    let mut by_class = Championships { rules, input, competitors: BTreeMap::new(), events: events.len(), planned };
    for (at, (sessions, scores)) in events.iter().zip(&scores).enumerate() {
        for (driven, scores) in sessions.iter().zip(scores) {
            by_class.add_cars(at, driven, scores);
        }
        for (subject, rules) in [(Subject::Teams, &rules.teams), (Subject::Manufacturers, &rules.manufacturers)] {
            rules.iter().for_each(|rules| by_class.add_teams(at, sessions, subject, rules));
        }
    }
    let hash = rules.hash().iter().map(|byte| format!("{byte:02x}")).collect();
    Report {
        rules: RulesLine { name: rules.name.clone(), title: rules.title.clone(), hash, verified: rules.verified },
        events: input.events.iter().map(|event| event.name.clone()).collect(),
        sessions: sessions(input, &events, &scores),
        championships: by_class.tables(),
        notes: input.notes.clone(),
    }
}

fn driven<'a>(event: &'a Event, number: u32, planned: u32, rules: &Ruleset, distance: Option<&Distance>) -> Vec<Driven<'a>> {
    // The place in qualifying is the place on the grid, where a race says none.
    let qualifying = event.sessions.iter().rfind(|session| session.points == "qualifying");
    let qualified: BTreeMap<String, u32> = qualifying.map_or_else(BTreeMap::new, |session| {
        order(session, rules, &BTreeMap::new()).into_iter().filter_map(|car| Some((car.car.entry, car.place?))).collect()
    });
    let of_session = |session: &'a Session| {
        let race = !matches!(session.points.as_str(), "qualifying" | "sprint");
        let multiplier = rules.multiplier(number, planned);
        let points = rules.points_of(&session.points).map(|points| {
            let own = if points.multiplier.is_zero() { Points::from(1) } else { points.multiplier.clone() };
            PointsRules { multiplier: own * &multiplier, ..points.clone() }
        });
        let distance = distance.filter(|_| race).cloned().unwrap_or_default();
        Driven { session, classified: order(session, rules, &qualified), distance, points, race }
    };
    event.sessions.iter().map(of_session).collect()
}

fn order(session: &Session, rules: &Ruleset, grid: &BTreeMap<String, u32>) -> Vec<ClassifiedCar> {
    let no_grid = session.cars.iter().all(|car| car.driven.grid.is_none());
    let mut cars: Vec<_> = session.cars.iter().map(|car| car.driven.clone()).collect();
    cars.iter_mut().filter(|_| no_grid).for_each(|car| car.grid = grid.get(&car.entry).copied());
    if session.points == "qualifying" {
        qualify(&cars, &session.penalties, &rules.classification)
    } else {
        classify(&cars, &session.penalties, &rules.classification)
    }
}

fn scored(driven: &Driven<'_>) -> Vec<Score> {
    let points = driven.points.clone().unwrap_or_default();
    award(&driven.classified, &driven.session.penalties, &driven.distance, &points)
}

fn sessions(input: &Input, events: &[Vec<Driven<'_>>], scores: &[Vec<Vec<Score>>]) -> Vec<SessionLines> {
    let mut out = vec![];
    for ((event, sessions), scores) in input.events.iter().zip(events).zip(scores) {
        for (driven, scores) in sessions.iter().zip(scores) {
            let line = |(car, score): (&ClassifiedCar, &Score)| SessionLine {
                entry: car.car.entry.clone(),
                class: car.car.class.clone(),
                place: car.place,
                class_place: car.class_place,
                status: car.status,
                laps: car.car.laps,
                time_us: car.time_us,
                points: score.total.clone(),
                why: car.why.clone(),
            };
            let cars = driven.classified.iter().zip(scores).map(line).collect();
            out.push(SessionLines { event: event.name.clone(), session: driven.session.name.clone(), cars });
        }
    }
    out
}

/// Whose championship.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Drivers,
    Cars,
    Teams,
    Manufacturers,
}

impl Subject {
    fn name(self) -> &'static str {
        match self {
            Subject::Drivers => "drivers",
            Subject::Cars => "cars",
            Subject::Teams => "teams",
            Subject::Manufacturers => "manufacturers",
        }
    }
}

/// A competitor's events.
struct Competitor {
    scores: Vec<EventScore>,
    cells: Vec<Cell>,
}

struct Championships<'a> {
    rules: &'a Ruleset,
    input: &'a Input,
    /// By championship, class and name.
    competitors: BTreeMap<(Subject, String, String), Competitor>,
    events: usize,
    planned: Option<u32>,
}

impl Championships<'_> {
    fn class(&self, class: &str) -> String {
        if self.rules.race.by == ScoredBy::Class { class.to_owned() } else { String::new() }
    }

    fn shared_cars(&self) -> bool {
        self.input.events.iter().flat_map(|event| &event.sessions).flat_map(|session| &session.cars).any(|car| !car.drivers.is_empty())
    }

    fn competitor(&mut self, subject: Subject, class: &str, name: &str) -> &mut Competitor {
        let (key, events) = ((subject, self.class(class), name.to_owned()), self.events);
        self.competitors
            .entry(key)
            .or_insert_with(|| Competitor { scores: vec![EventScore::default(); events], cells: vec![Cell::default(); events] })
    }

    /// What the cars of a session have, and the drivers of shared cars.
    fn add_cars(&mut self, event: usize, driven: &Driven<'_>, scores: &[Score]) {
        let shared = self.shared_cars();
        let driver_rules = self.rules.drivers.clone();
        let mut leaders: BTreeMap<&str, u32> = BTreeMap::new();
        for car in driven.classified.iter().filter(|car| car.status == Standing::Classified) {
            let laps = leaders.entry(&car.car.class).or_default();
            *laps = (*laps).max(car.car.laps);
        }
        let drivers_of: BTreeMap<&str, &BTreeMap<String, u32>> =
            driven.session.cars.iter().map(|car| (car.driven.entry.as_str(), &car.drivers)).collect();
        for (car, score) in driven.classified.iter().zip(scores) {
            if car.car.guest || (driven.points.is_none() && car.status == Standing::NotStarted) {
                continue;
            }
            let why = Why {
                session: driven.session.name.clone(),
                entry: None,
                place: score.place,
                status: car.status,
                parts: score.why.iter().map(|reason| Part { rule: reason.rule.clone(), points: reason.points.clone() }).collect(),
                decisions: car.why.clone(),
                points: score.total.clone(),
            };
            let subject = if shared { Subject::Cars } else { Subject::Drivers };
            self.add(event, subject, &car.car.entry, driven.race, score, &score.total, why.clone());
            if !shared {
                continue;
            }
            let of_car = drivers_of.get(car.car.entry.as_str()).copied().cloned().unwrap_or_default();
            // A car of one driver is in the table of drivers by its name.
            let laps = if of_car.is_empty() { BTreeMap::from([(car.car.entry.clone(), car.car.laps)]) } else { of_car };
            let leader = leaders.get(car.car.class.as_str()).copied().unwrap_or(0);
            for (driver, points) in share_points(&score.total, &laps, leader, &driver_rules) {
                let share = Part { rule: format!("{} of {} laps of {}", laps[&driver], car.car.laps, car.car.entry), points: points.clone() };
                let why = Why {
                    entry: Some(car.car.entry.clone()),
                    parts: [why.parts.clone(), vec![share]].concat(),
                    points: points.clone(),
                    ..why.clone()
                };
                self.add(event, Subject::Drivers, &driver, driven.race, score, &points, why);
            }
        }
    }

    #[allow(clippy::too_many_arguments, reason = "one score, and where it belongs")]
    fn add(&mut self, event: usize, subject: Subject, name: &str, race: bool, score: &Score, points: &Points, why: Why) {
        let competitor = self.competitor(subject, &score.class, name);
        let (total, cell) = (&mut competitor.scores[event], &mut competitor.cells[event]);
        if score.started || score.disqualified || !points.is_zero() {
            *total.points.get_or_insert_default() += points.clone();
            *cell.points.get_or_insert_default() += points.clone();
        }
        total.places.extend(score.place.filter(|_| race));
        total.disqualified |= score.disqualified;
        total.incidents = total.incidents.saturating_add(score.incidents);
        cell.why.push(why);
    }

    fn add_teams(&mut self, event: usize, sessions: &[Driven<'_>], subject: Subject, rules: &TeamRules) {
        let mut of_class: BTreeMap<String, Vec<Vec<TeamCar>>> = BTreeMap::new();
        for driven in sessions {
            let Some(points) = &driven.points else { continue };
            let manufacturers: BTreeMap<&str, &str> =
                driven.session.cars.iter().map(|car| (car.driven.entry.as_str(), car.manufacturer.as_str())).collect();
            let scores = team_scores(&driven.classified, &driven.session.penalties, &driven.distance, points, driven.race, rules);
            let mut of_session: BTreeMap<String, Vec<TeamCar>> = BTreeMap::new();
            for (car, score) in driven.classified.iter().zip(scores) {
                let team =
                    if subject == Subject::Teams { car.car.team.as_str() } else { manufacturers.get(car.car.entry.as_str()).copied().unwrap_or("") };
                if team.is_empty() || car.car.guest {
                    continue;
                }
                let why = Why {
                    session: driven.session.name.clone(),
                    entry: Some(car.car.entry.clone()),
                    place: score.place,
                    status: car.status,
                    parts: score.why.iter().map(|reason| Part { rule: reason.rule.clone(), points: reason.points.clone() }).collect(),
                    decisions: car.why.clone(),
                    points: score.total.clone(),
                };
                let competitor = self.competitor(subject, &score.class, team);
                let total = &mut competitor.scores[event];
                total.places.extend(score.place.filter(|_| driven.race));
                total.incidents = total.incidents.saturating_add(score.incidents);
                if score.started || score.disqualified {
                    total.points.get_or_insert_default();
                }
                competitor.cells[event].why.push(why);
                of_session.entry(self.class(&score.class)).or_default().push((team.to_owned(), score.entry, score.total));
            }
            of_session.into_iter().for_each(|(class, cars)| of_class.entry(class).or_default().push(cars));
        }
        for (class, sessions) in of_class {
            for (team, points) in event_points(&sessions, rules) {
                let competitor = self.competitor(subject, &class, &team);
                let total = &mut competitor.scores[event];
                total.points = total.points.is_some().then_some(points.clone());
                competitor.cells[event].points = total.points.clone();
            }
        }
    }

    fn tables(self) -> Vec<Championship> {
        let keys: BTreeSet<(Subject, String)> = self.competitors.keys().map(|(subject, class, _)| (*subject, class.clone())).collect();
        let mut out = vec![];
        for (subject, class) in keys {
            let of = self.competitors.iter().filter(|((s, c, _), _)| *s == subject && *c == class);
            let seasons: Vec<Season> = of
                .clone()
                .map(|((_, _, name), competitor)| Season {
                    competitor: name.clone(),
                    events: competitor.scores.clone(),
                    adjustment: self.input.adjustments.get(name).cloned().unwrap_or_default(),
                    excluded: self.input.excluded.get(name).copied().unwrap_or_default(),
                })
                .collect();
            // The parts of a season are those of the whole season, also half way.
            let rules = SeasonRules { events: self.planned, ..self.season_rules(subject).clone() };
            let cells: BTreeMap<&str, &Vec<Cell>> = of.map(|((_, _, name), competitor)| (name.as_str(), &competitor.cells)).collect();
            let lines = table(&seasons, self.events, &rules).into_iter().map(|line| {
                let mut events = cells.get(line.competitor.as_str()).copied().cloned().unwrap_or_default();
                (1..).zip(&mut events).for_each(|(number, cell)| cell.dropped = line.dropped.contains(&number));
                Line { shown: line.points.shown(), events, table: line }
            });
            out.push(Championship { subject: subject.name(), class: class.clone(), lines: lines.collect() });
        }
        out
    }

    fn season_rules(&self, subject: Subject) -> &SeasonRules {
        let teams = match subject {
            Subject::Drivers | Subject::Cars => None,
            Subject::Teams => self.rules.teams.as_ref(),
            Subject::Manufacturers => self.rules.manufacturers.as_ref(),
        };
        teams.map_or(&self.rules.season, |rules| &rules.season)
    }
}
