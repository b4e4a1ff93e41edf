//! What a new act must be beside what [`League::check`] asks of every act (`league.admitted`). A ledger that was written before such a rule stays
//! readable, and `verify` finds no fault in it.

use super::League;
use super::check::{Check, need};
use crate::league::act::{Act, Against, Change, EventSet, LeagueSet, PenaltyAt, PenaltyGiven, RulesetAdded, Sanction, SessionSet, Subject};
use crate::league::ids::{ChampionshipSlug, PersonId, SeasonSlug, TimeZone};
use crate::league::refusal::{Code, Refusal};
use crate::scoring::{Points, Ruleset};

/// Largest denominator of points that people decide: a sum of many fractions with large ones has thousands of digits.
const DENOMINATOR_MAX: u32 = 1_000;
/// The time zones of the IANA database, one a line.
const ZONES: &str = include_str!("../zones.txt");

impl League {
    /// Whether people may decide this now: [`League::check`] holds, and the act does something that it can do.
    pub fn admit(&self, act: &Act) -> Result<(), Refusal> {
        self.check(act)?;
        match act {
            Act::LeagueSet(set) => admit_zone(set),
            Act::RulesetAdded(added) => admit_ruleset(added),
            Act::EventSet(set) => admit_event(set),
            Act::SessionSet(set) => admit_session(set),
            Act::PenaltyGiven(given) => self.admit_penalty(given),
            Act::Override(change) => match &change.change {
                Change::Points { new, .. } => small("change.new", new),
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn admit_penalty(&self, given: &PenaltyGiven) -> Check {
        match &given.sanction {
            Sanction::Points { points } | Sanction::SeasonPoints { points, .. } => small("sanction.points", points)?,
            _ => {}
        }
        match (given.at, &given.sanction) {
            (PenaltyAt::Season(season), Sanction::SeasonPoints { championship, .. } | Sanction::Excluded { championship, .. }) => {
                self.has_competitor(season, *championship, &given.against)
            }
            _ => Ok(()),
        }
    }

    /// Some championship that the decision is about has competitors of this kind, or it would do nothing (`season.adjustment`).
    fn has_competitor(&self, season: SeasonSlug, named: Option<ChampionshipSlug>, against: &Against) -> Check {
        let (subject, kind) = match against {
            Against::Entry(_) => (Subject::Entry, "an entry"),
            Against::Person(_) => (Subject::Driver, "a person"),
            Against::Team(_) => (Subject::Team, "a team"),
            Against::Manufacturer(_) => (Subject::Manufacturer, "a manufacturer"),
        };
        let of: Vec<_> =
            self.championships.values().map(|at| &at.it).filter(|of| of.season == season && named.is_none_or(|id| of.championship == id)).collect();
        let ok = of.is_empty() || of.iter().any(|of| of.subject == subject);
        need(ok, Code::Contradicts, "against", || {
            let kinds: Vec<String> = of.iter().map(|of| format!("{} in {}", competitors(of.subject), of.championship)).collect();
            let persons = if let Against::Entry(entry) = against { self.persons_of(season, *entry) } else { vec![] };
            let instead: Vec<String> = persons.iter().map(PersonId::to_string).collect();
            let hint = if instead.is_empty() { String::new() } else { format!("; the persons of the entry are {}", instead.join(", ")) };
            format!("{kind} is no competitor there: the competitors are {}{hint}", kinds.join(", "))
        })
    }
}

fn competitors(subject: Subject) -> &'static str {
    match subject {
        Subject::Driver => "persons",
        Subject::Team => "teams",
        Subject::Manufacturer => "manufacturers",
        Subject::Class => "classes",
        Subject::Entry => "entries",
    }
}

fn small(field: &str, points: &Points) -> Check {
    need(points.denominator_at_most(DENOMINATOR_MAX), Code::OutOfBounds, field, || {
        format!("{points} has a denominator above {DENOMINATOR_MAX}: round it")
    })
}

fn admit_zone(set: &LeagueSet) -> Check {
    let known = |zone: &TimeZone| ZONES.lines().any(|name| name == zone.as_str());
    need(known(&set.time_zone), Code::Unknown, "time_zone", || {
        format!("there is no time zone {}: write the name of an area and a city such as Europe/Berlin, or UTC", set.time_zone)
    })
}

fn admit_event(set: &EventSet) -> Check {
    need(set.index > 0, Code::OutOfBounds, "index", || "1 is the first event".into())?;
    small("multiplier", &set.multiplier)
}

fn admit_session(set: &SessionSet) -> Check {
    let twice = set.telemetry.iter().enumerate().find(|(at, id)| set.telemetry[..*at].contains(id));
    need(twice.is_none(), Code::Contradicts, "telemetry", || {
        format!("{} is there twice: its laps would count twice", twice.map_or(String::new(), |(_, id)| id.to_string()))
    })
}

/// Every number of the rules that has a denominator.
fn admit_ruleset(added: &RulesetAdded) -> Check {
    let Ok(rules) = Ruleset::parse(&added.document) else { return Ok(()) };
    // The canonical form has every number of points as a text.
    let rules = rules.canonical();
    let large = rules.split('"').find(|text| text.parse::<Points>().is_ok_and(|points| !points.denominator_at_most(DENOMINATOR_MAX)));
    need(large.is_none(), Code::OutOfBounds, "document", || {
        format!("{} has a denominator above {DENOMINATOR_MAX}: round it", large.unwrap_or_default())
    })
}
