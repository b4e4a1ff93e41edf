//! Whether an act can be the next one: bindings, penalties, overrides, publications.

use super::League;
use super::check::{Check, known, need};
use crate::league::act::{
    Act, Against, Bound, BoundTo, Change, Override, PenaltyAt, PenaltyChanged, PenaltyGiven, PenaltyState, Published, Rebound, Sanction, Scope, State,
};
use crate::league::ids::{CarKey, ChampionshipSlug, EntrySlug, SeasonSlug, SessionSlug};
use crate::league::refusal::{Code, Refusal};
use crate::scoring::Points;

/// Longest time that a decision adds to a car, µs: a day.
const TIME_MAX_US: i64 = 24 * 3_600_000_000;
/// Most laps, places, events, kg or licence points in one decision.
const COUNT_MAX: u32 = 1_000;
/// Most points in one decision.
const POINTS_MAX: i64 = 100_000;

impl League {
    pub(super) fn check_decision(&self, act: &Act) -> Check {
        match act {
            Act::Bound(bound) => self.check_bound(bound),
            Act::Rebound(rebound) => self.check_rebound(rebound),
            Act::PenaltyGiven(given) => self.check_penalty(given),
            Act::PenaltyChanged(changed) => self.check_penalty_change(changed),
            Act::Override(change) => self.check_override(change),
            Act::Published(published) => self.check_published(published),
            Act::FactsChanged(changed) => self.has_session(changed.session).map(drop),
            // The kinds that `check` took.
            _ => Ok(()),
        }
    }

    /// The season of a session that is there.
    fn has_session(&self, session: SessionSlug) -> Result<SeasonSlug, Refusal> {
        let missing = || Refusal::new(Code::Unknown, "session", format!("there is no session {session}: make it first, or correct the id"));
        self.season_of(session).ok_or_else(missing)
    }

    fn has_entry(&self, field: &str, season: SeasonSlug, entry: EntrySlug) -> Check {
        let there = entry.is_unclaimed() || self.entries.contains_key(&(season, entry));
        known(there, field, "entry of this season", entry)
    }

    fn check_bound(&self, bound: &Bound) -> Check {
        let season = self.has_session(bound.session)?;
        let taken = self.bindings.contains_key(&(bound.session, bound.car));
        need(!taken, Code::Exists, "car", || "the car is bound already; to change that, use rebound, which needs a reason".into())?;
        self.check_binding(season, bound.session, bound.car, bound.entry)?;
        self.check_details(season, &bound.details)
    }

    fn check_binding(&self, season: SeasonSlug, session: SessionSlug, car: CarKey, entry: EntrySlug) -> Check {
        known(self.entries.contains_key(&(season, entry)), "entry", "entry of this season", entry)?;
        let of_session = self.bindings.range((session, CarKey([0; 16]))..=(session, CarKey([255; 16])));
        let other = of_session.map(|(_, at)| &at.it).find(|b| b.car != car && matches!(&b.to, BoundTo::Entry { entry: of, .. } if *of == entry));
        need(other.is_none(), Code::Contradicts, "entry", || {
            format!("car {} of the session is bound to it: rebind that car first", other.map_or(String::new(), |other| other.car.to_string()))
        })
    }

    fn check_rebound(&self, rebound: &Rebound) -> Check {
        let season = self.has_session(rebound.session)?;
        match &rebound.to {
            BoundTo::Entry { entry, details } => {
                self.check_binding(season, rebound.session, rebound.car, *entry)?;
                self.check_details(season, details)
            }
            BoundTo::Unclaimed {} | BoundTo::LeftOut {} => Ok(()),
        }
    }

    fn check_penalty(&self, given: &PenaltyGiven) -> Check {
        need(!self.penalties.contains_key(&given.penalty), Code::Exists, "penalty", || {
            "this slug is taken; a penalty is changed by penalty_changed".into()
        })?;
        let season = match given.at {
            PenaltyAt::Session(session) => self.has_session(session)?,
            PenaltyAt::Event(event) => {
                let missing = || Refusal::new(Code::Unknown, "at.event", format!("there is no event {event}: make it first, or correct the id"));
                self.event(event).map(|event| event.season).ok_or_else(missing)?
            }
            PenaltyAt::Season(season) => self.has_season("at.season", season).map(|()| season)?,
        };
        match given.against {
            Against::Entry(entry) => self.has_entry("against.entry", season, entry)?,
            Against::Person(person) => self.has_person("against.person", person)?,
            Against::Team(team) => known(self.teams.contains_key(&team), "against.team", "team", team)?,
            Against::Manufacturer(_) => {}
        }
        let in_season = matches!(given.at, PenaltyAt::Season(_));
        let acts_here = given.sanction.in_session().is_some() || matches!(given.sanction, Sanction::LapTimeDeleted { .. });
        need(!(in_season && acts_here), Code::Contradicts, "at", || "this sanction acts in a session or an event, not in a season".into())?;
        need(in_season || !given.sanction.in_season(), Code::Contradicts, "at", || "this sanction acts in a season: say which in `at`".into())?;
        let manufacturer = matches!(given.against, Against::Manufacturer(_));
        need(in_season || !manufacturer, Code::Contradicts, "against", || "a manufacturer can lose points of a season only".into())?;
        let begins = matches!(given.state, PenaltyState::Proposed | PenaltyState::InForce | PenaltyState::Suspended);
        need(begins, Code::State, "state", || "a penalty begins as proposed, in_force or suspended".into())?;
        self.check_sanction(&given.sanction, season)
    }

    fn check_sanction(&self, sanction: &Sanction, season: SeasonSlug) -> Check {
        let bounds = |ok: bool, field: &str, bound: &str| need(ok, Code::OutOfBounds, field, || bound.to_owned());
        let count = |n: u32, field: &str| bounds((1..=COUNT_MAX).contains(&n), field, "1 to 1,000");
        let of_season = |id: &Option<ChampionshipSlug>| match id {
            Some(id) => {
                known(self.championships.get(id).is_some_and(|at| at.it.season == season), "sanction.championship", "championship of this season", id)
            }
            None => Ok(()),
        };
        let most = Points::from(POINTS_MAX);
        match sanction {
            Sanction::Laps { laps } => {
                bounds(*laps != 0 && laps.unsigned_abs() <= COUNT_MAX, "sanction.laps", "1 to 1,000 laps, below 0 to take off")
            }
            Sanction::LapTimeDeleted { lap } => bounds(*lap > 0, "sanction.lap", "the number of a lap; 1 is the first"),
            Sanction::BestLapDeleted { next_us } => bounds(next_us.is_none_or(|us| us > 0), "sanction.next_us", "above 0, in µs"),
            Sanction::Time { us } => bounds(*us > 0 && *us <= TIME_MAX_US, "sanction.us", "above 0 and at most a day, in µs"),
            Sanction::StopAndGo { seconds } => bounds(*seconds <= 3_600, "sanction.seconds", "at most 3,600"),
            Sanction::Positions { places } | Sanction::GridDrop { places } => count(*places, "sanction.places"),
            Sanction::Points { points } => bounds(*points > Points::default() && *points <= most, "sanction.points", "above 0 and at most 100,000"),
            Sanction::SeasonPoints { points, championship } => {
                let size = if points.is_negative() { -points.clone() } else { points.clone() };
                bounds(!size.is_zero() && size <= most, "sanction.points", "not 0 and at most 100,000; below 0 gives points")?;
                of_season(championship)
            }
            Sanction::Excluded { championship, .. } => of_season(championship),
            Sanction::RaceBan { events } => count(*events, "sanction.events"),
            Sanction::Ballast { kg } => count(*kg, "sanction.kg"),
            Sanction::LicencePoints { points } => count(*points, "sanction.points"),
            Sanction::Disqualified {} | Sanction::DriveThrough {} | Sanction::NoBonus {} | Sanction::PitStart {} => Ok(()),
            Sanction::QualifyingBan {} | Sanction::Reprimand {} | Sanction::Warning {} => Ok(()),
        }
    }

    fn check_penalty_change(&self, changed: &PenaltyChanged) -> Check {
        use PenaltyState::{InForce, Proposed, Rescinded, Served, Superseded, Suspended};
        known(self.penalties.contains_key(&changed.penalty), "penalty", "penalty", changed.penalty)?;
        let now = self.penalties.get(&changed.penalty).map_or(Proposed, |at| at.it.state());
        let can = match now {
            Proposed => !matches!(changed.state, Proposed | Served),
            InForce | Suspended | Served => changed.state != now && changed.state != Proposed,
            // A court of appeal may put back what stewards took back.
            Rescinded => matches!(changed.state, InForce | Superseded),
            Superseded => false,
        };
        need(can, Code::State, "state", || match changed.state {
            same if same == now => format!("the penalty is {} already", now.in_words()),
            new => format!("a penalty that is {} cannot become {}: give another one", now.in_words(), new.in_words()),
        })
    }

    fn check_override(&self, change: &Override) -> Check {
        let season = self.has_session(change.session)?;
        self.has_entry("entry", season, change.entry)?;
        let bounds = |ok: bool, bound: &str| need(ok, Code::OutOfBounds, "change.new", || bound.to_owned());
        match &change.change {
            Change::Laps { new, .. } | Change::LapsLed { new, .. } | Change::Incidents { new, .. } => bounds(*new <= 100_000, "at most 100,000"),
            Change::LineUs { new, .. } | Change::BestLapUs { new, .. } => bounds(new.is_none_or(|us| us > 0), "above 0, in µs"),
            Change::Grid { new, .. } => bounds(new.is_none_or(|place| (1..=COUNT_MAX).contains(&place)), "1 to 1,000"),
            Change::Place { new, .. } => bounds((1..=COUNT_MAX).contains(new), "1 to 1,000"),
            Change::Points { championship, new, .. } => {
                let of_season = self.championships.get(championship).is_some_and(|at| at.it.season == season);
                known(of_season, "change.championship", "championship of this season", championship)?;
                bounds(*new <= POINTS_MAX.into() && -new.clone() <= POINTS_MAX.into(), "at most 100,000, above or below 0")
            }
            Change::Ended { .. } | Change::Disqualified { .. } => Ok(()),
        }
    }

    fn check_published(&self, published: &Published) -> Check {
        match published.scope {
            Scope::Session(session) => {
                self.has_session(session)?;
                let facts = self.facts_of(session);
                need(facts == Some(published.facts), Code::Contradicts, "facts", || {
                    "these are not the facts of the session: compute the result again".into()
                })?;
            }
            Scope::Championship(id) => known(self.championships.contains_key(&id), "scope.championship", "championship", id)?,
        }
        let latest = self.published(published.scope);
        let next = latest.map_or(1, |latest| latest.revision + 1);
        need(published.revision == next, Code::Contradicts, "revision", || format!("the next revision is {next}: compute it again"))?;
        need(published.seq <= self.head, Code::Contradicts, "seq", || format!("there are {} acts", self.head))?;
        let final_before = latest.is_some_and(|latest| latest.state != State::Provisional);
        match published.state {
            State::Official => need(!final_before, Code::State, "state", || "it is official already: what changes it now is amended".into()),
            State::Amended => {
                need(final_before, Code::State, "state", || "only what was official can be amended".into())?;
                need(published.reason.is_some(), Code::ReasonNeeded, "reason", || "say why an official result is amended".into())
            }
            State::Provisional => {
                let moved = latest.is_none_or(|latest| latest.facts != published.facts);
                need(!final_before || moved, Code::State, "state", || "it is official, and its facts are the same: amend it".into())
            }
        }
    }
}
