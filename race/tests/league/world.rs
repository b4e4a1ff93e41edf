//! A league made by acts, with cars made by hand.

use std::collections::BTreeMap;

use boxbox_race::league::{
    AccountHash, Act, Against, Bound, Car, CarKey, ChampionshipSet, ChampionshipSlug, ClassSet, ClassSlug, Digest, Drove, EntryDetails, EntrySet,
    EntrySlug, EntryStatus, EventSet, EventSlug, Facts, FactsChanged, League, LeagueSet, Line, PenaltyAt, PenaltyChanged, PenaltyGiven, PenaltySlug,
    PenaltyState, PersonAdded, PersonId, Role, RulesetAdded, RulesetRef, Sanction, SeasonSet, SeasonSlug, SeriesSet, SessionResult, SessionSet,
    SessionSlug, Subject, Table, TextId, Unclaimed, bindings, results, tables,
};
use boxbox_race::scoring::{Ended, Points, Ruleset};

pub(crate) const F1: &str =
    r#"{"format": 1, "name": "f1", "race": {"table": [25, 18, 15, 12, 10, 8, 6, 4, 2, 1]}, "season": {"ties": ["countback"]}}"#;

pub(crate) fn id<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().unwrap()
}

pub(crate) fn text() -> TextId {
    TextId::of(b"salt", "because")
}

/// A person called by a short name.
pub(crate) fn person(name: &str) -> PersonId {
    id(&format!("p-{name:0>26}"))
}

pub(crate) fn account(name: &str) -> AccountHash {
    AccountHash::of(b"salt", "iracing", name)
}

/// A car that `name` drove, with a finish after so many laps and seconds.
pub(crate) fn car(name: &str, laps: u32, s: i64) -> Car {
    Car {
        key: CarKey::of(b"salt", name),
        drivers: vec![Drove { accounts: vec![account(name)], laps }],
        laps,
        line_us: Some(s * 1_000_000),
        ..Car::default()
    }
}

/// Cars in this order, 10 laps each, a second apart.
pub(crate) fn order(names: &[&str]) -> Facts {
    let cars = names.iter().zip(900..).map(|(name, s)| car(name, 10, s)).collect();
    Facts::of(cars, None, true)
}

#[derive(Clone, Default)]
pub(crate) struct World {
    pub(crate) league: League,
    pub(crate) acts: Vec<Act>,
    pub(crate) facts: BTreeMap<SessionSlug, Facts>,
}

impl World {
    /// A league with season `s`, class `c`, a championship of drivers `d`.
    pub(crate) fn new(document: &str) -> Self {
        let mut world = Self::default();
        world.act(LeagueSet { league: id("l"), name: None, time_zone: id("Europe/Berlin"), rules: None });
        world.rules(document, 1);
        world.act(SeriesSet { series: id("gt"), name: None, sim: None });
        let rules = RulesetRef { ruleset: id("r"), version: 1 };
        world.act(SeasonSet { season: id("s"), series: id("gt"), name: None, starts: id("2026-01-01"), rules, unclaimed: Unclaimed::Guests });
        world.class("c");
        world.championship("d", |_| {});
        world
    }

    pub(crate) fn act(&mut self, act: impl Into<Act>) -> &mut Self {
        let act = act.into();
        if let Err(refusal) = self.league.check(&act) {
            panic!("{refusal}: {}", act.body());
        }
        // As it comes from the ledger.
        let act = Act::parse(&act.body()).unwrap();
        self.league.apply(self.league.head() + 1, &act);
        self.acts.push(act);
        self
    }

    pub(crate) fn rules(&mut self, document: &str, version: u32) -> &mut Self {
        let hash = Digest(Ruleset::parse(document).unwrap().hash());
        self.act(RulesetAdded { ruleset: id("r"), version, hash, document: document.into() })
    }

    pub(crate) fn class(&mut self, class: &str) -> &mut Self {
        self.act(ClassSet { season: id("s"), class: id(class), name: None, cars: vec![], scoring: Default::default() })
    }

    pub(crate) fn championship(&mut self, championship: &str, change: impl FnOnce(&mut ChampionshipSet)) -> &mut Self {
        let mut set = ChampionshipSet {
            championship: id(championship),
            season: id("s"),
            name: None,
            subject: Subject::Driver,
            classes: vec![],
            roles: vec![],
            points: BTreeMap::new(),
            rules: None,
            best_cars: None,
            event_points: Default::default(),
            countback: vec![],
            class_change: Default::default(),
        };
        change(&mut set);
        self.act(set)
    }

    pub(crate) fn event(&mut self, event: &str, index: u32, change: impl FnOnce(&mut EventSet)) -> &mut Self {
        let mut set = EventSet {
            event: id(event),
            season: id("s"),
            index,
            date: id("2026-03-08"),
            name: None,
            multiplier: 1.into(),
            droppable: true,
            cancelled: false,
        };
        change(&mut set);
        self.act(set)
    }

    pub(crate) fn session(&mut self, session: &str, event: &str, role: Role, facts: Facts) -> &mut Self {
        self.act(SessionSet { session: id(session), event: id(event), role, telemetry: vec![], file: None, counts_for: None, planned_laps: None });
        self.drove(session, facts)
    }

    pub(crate) fn drove(&mut self, session: &str, facts: Facts) -> &mut Self {
        self.act(FactsChanged { session: id(session), facts: facts.digest() });
        self.facts.insert(id(session), facts);
        self
    }

    /// Event `event` with a feature race `event-race`, in which the cars came in in this order.
    pub(crate) fn race(&mut self, event: &str, index: u32, names: &[&str]) -> &mut Self {
        self.event(event, index, |_| {}).session(&format!("{event}-race"), event, Role::Feature, order(names))
    }

    /// Persons with an account and an entry each, all of their own name, in class `c`.
    pub(crate) fn enter(&mut self, names: &[&str]) -> &mut Self {
        for name in names {
            self.person(name, &[name]).entry(name, None, &[name], |_| {});
        }
        self
    }

    pub(crate) fn person(&mut self, name: &str, accounts: &[&str]) -> &mut Self {
        self.act(PersonAdded { person: person(name), name: None });
        for of in accounts {
            self.act(boxbox_race::league::AccountLinked {
                person: person(name),
                sim: id("iracing"),
                account: account(of),
                from_event: None,
                to_event: None,
            });
        }
        self
    }

    pub(crate) fn entry(&mut self, entry: &str, from: Option<&str>, persons: &[&str], change: impl FnOnce(&mut EntryDetails)) -> &mut Self {
        let mut details = details("c");
        details.persons = persons.iter().map(|name| person(name)).collect();
        change(&mut details);
        self.act(EntrySet { season: id("s"), entry: id(entry), from_event: from.map(id), details })
    }

    pub(crate) fn penalty(&mut self, penalty: &str, session: &str, entry: &str, sanction: Sanction) -> &mut Self {
        self.penalty_at(penalty, PenaltyAt::Session(id(session)), Against::Entry(id(entry)), sanction)
    }

    pub(crate) fn penalty_at(&mut self, penalty: &str, at: PenaltyAt, against: Against, sanction: Sanction) -> &mut Self {
        self.act(PenaltyGiven { penalty: id(penalty), at, against, sanction, state: PenaltyState::InForce, reason: text() })
    }

    pub(crate) fn rescind(&mut self, penalty: &str) -> &mut Self {
        self.act(PenaltyChanged { penalty: id::<PenaltySlug>(penalty), state: PenaltyState::Rescinded, reason: text() })
    }

    /// Write the bindings that publishing the session would write.
    pub(crate) fn bind(&mut self, session: &str) -> &mut Self {
        let found: Vec<Bound> = bindings(&self.league, id(session), &self.facts[&id(session)]).to_bind;
        found.into_iter().for_each(|bound| {
            self.act(bound);
        });
        self
    }

    pub(crate) fn results(&self) -> BTreeMap<SessionSlug, SessionResult> {
        results(&self.league, id::<SeasonSlug>("s"), &self.facts)
    }

    pub(crate) fn result(&self, session: &str) -> SessionResult {
        self.results().remove(&id(session)).unwrap()
    }

    /// Entries with places.
    pub(crate) fn places(&self, session: &str) -> Vec<(String, Option<u32>)> {
        self.result(session).rows.iter().map(|row| (row.entry.to_string(), row.place)).collect()
    }

    /// Points of a session for championship `d`.
    pub(crate) fn points(&self, session: &str) -> BTreeMap<String, Points> {
        self.points_for(session, "d")
    }

    pub(crate) fn points_for(&self, session: &str, championship: &str) -> BTreeMap<String, Points> {
        let scores = self.result(session).scores.remove(&id::<ChampionshipSlug>(championship)).unwrap();
        scores.into_iter().map(|score| (score.entry.to_string(), score.points)).collect()
    }

    pub(crate) fn table(&self, championship: &str) -> Table {
        let tables = tables(&self.league, id("s"), &self.results());
        tables.into_iter().find(|table| table.championship == id(championship)).unwrap()
    }

    /// Competitors with rank and points, in order; persons by their short names.
    pub(crate) fn standing(&self, championship: &str) -> Vec<(String, Option<u32>, Points)> {
        let short = |line: &Line| line.competitor.strip_prefix("p-").unwrap_or(&line.competitor).trim_start_matches('0').to_owned();
        self.table(championship).lines.iter().map(|line| (short(line), line.rank, line.points.clone())).collect()
    }

    /// Points of one competitor.
    pub(crate) fn of(&self, championship: &str, name: &str) -> Option<Points> {
        self.standing(championship).into_iter().find(|(who, _, _)| who == name).map(|(_, _, points)| points)
    }
}

pub(crate) fn details(class: &str) -> EntryDetails {
    EntryDetails {
        class: id::<ClassSlug>(class),
        number: None,
        team: None,
        persons: vec![],
        car: None,
        manufacturer: None,
        status: EntryStatus::Registered,
    }
}

pub(crate) fn in_season() -> PenaltyAt {
    PenaltyAt::Season(id("s"))
}

pub(crate) fn in_event(event: &str) -> PenaltyAt {
    PenaltyAt::Event(id::<EventSlug>(event))
}

pub(crate) fn against(entry: &str) -> Against {
    Against::Entry(id::<EntrySlug>(entry))
}

pub(crate) fn time(s: i64) -> Sanction {
    Sanction::Time { us: s * 1_000_000 }
}

/// `("a", 1, 25)` as a line of a standing.
pub(crate) fn line(name: &str, rank: u32, points: i64) -> (String, Option<u32>, Points) {
    (name.to_owned(), Some(rank), points.into())
}

pub(crate) fn retired(name: &str, laps: u32, s: i64) -> Car {
    Car { ended: Ended::Retired, ..car(name, laps, s) }
}
