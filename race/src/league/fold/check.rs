//! Whether an act can be the next one: rules, seasons, persons, entries.

use super::League;
use crate::league::act::{
    AccountLinked, Act, AdoptFrom, ChampionshipSet, ClassSet, EntryDetails, EntrySet, EventSet, MemberSet, PersonMerged, RulesetAdded,
    RulesetAdopted, RulesetRef, SeasonSet, SessionSet,
};
use crate::league::ids::{EventSlug, PersonId, SeasonSlug};
use crate::league::refusal::{Code, Refusal};
use crate::league::rules;
use crate::scoring::Points;

/// The largest multiplier of an event.
const MULTIPLIER_MAX: i64 = 100;

pub(super) type Check = Result<(), Refusal>;

/// Refuse unless `ok`.
pub(super) fn need(ok: bool, code: Code, field: &str, message: impl FnOnce() -> String) -> Check {
    if ok { Ok(()) } else { Err(Refusal::new(code, field, message())) }
}

/// Refuse what the league does not have.
pub(super) fn known(ok: bool, field: &str, what: &str, id: impl std::fmt::Display) -> Check {
    need(ok, Code::Unknown, field, || format!("there is no {what} {id}: make it first, or correct the id"))
}

impl League {
    /// Whether the act can be the next one. Of a list, each must be checked after those before it are applied.
    pub fn check(&self, act: &Act) -> Result<(), Refusal> {
        match (&self.league, act) {
            (None, Act::LeagueSet(_)) => {}
            (None, _) => return Err(Refusal::new(Code::State, "kind", "the league is not made yet: its first act is league_set")),
            (Some(at), Act::LeagueSet(set)) => {
                need(at.it.league == set.league, Code::Contradicts, "league", || format!("this is the ledger of {}", at.it.league))?;
            }
            (Some(_), _) => {}
        }
        match act {
            Act::LeagueSet(set) => set.rules.map_or(Ok(()), |rules| self.has_rules("rules", rules)),
            Act::RulesetAdded(added) => self.check_ruleset(added),
            Act::RulesetAdopted(adopted) => self.check_adoption(adopted),
            Act::SeriesSet(_) | Act::TeamSet(_) => Ok(()),
            Act::SeasonSet(set) => self.check_season(set),
            Act::ClassSet(set) => self.check_class(set),
            Act::EventSet(set) => self.check_event(set),
            Act::SessionSet(set) => self.check_session(set),
            Act::ChampionshipSet(set) => self.check_championship(set),
            Act::PersonAdded(added) => {
                let fresh = !self.persons.contains_key(&added.person);
                need(fresh, Code::Exists, "person", || "this id is taken; ids of persons are made by the server".into())
            }
            Act::AccountLinked(linked) => self.check_account(linked),
            Act::PersonMerged(merged) => self.check_merge(merged),
            Act::PersonErased(erased) => self.has_person("person", erased.person),
            Act::MemberSet(set) => self.check_member(set),
            Act::EntrySet(set) => self.check_entry(set),
            _ => self.check_decision(act),
        }
    }

    fn check_ruleset(&self, added: &RulesetAdded) -> Check {
        let latest = self.rulesets.keys().filter(|id| id.ruleset == added.ruleset).map(|id| id.version).max().unwrap_or(0);
        let next = latest.saturating_add(1);
        need(added.version > latest, Code::Exists, "version", || format!("it never changes; the next version is {next}"))?;
        need(added.version == next, Code::Contradicts, "version", || format!("the next version is {next}"))?;
        let (_, hash) = rules::parse(&added.document).map_err(|message| Refusal::new(Code::Malformed, "document", message))?;
        need(hash == added.hash, Code::Contradicts, "hash", || format!("the hash of this document is {hash}"))
    }

    pub(super) fn has_rules(&self, field: &str, id: RulesetRef) -> Check {
        known(self.rulesets.contains_key(&id), field, "ruleset", format_args!("{} version {}", id.ruleset, id.version))
    }

    fn check_adoption(&self, adopted: &RulesetAdopted) -> Check {
        self.has_season("season", adopted.season)?;
        self.has_rules("ruleset", RulesetRef { ruleset: adopted.ruleset, version: adopted.version })?;
        if let Some(id) = adopted.championship {
            let of = self.championships.get(&id).map(|at| at.it.season);
            known(of == Some(adopted.season), "championship", "championship of this season", id)?;
        }
        match adopted.from {
            AdoptFrom::Event(event) => self.has_event_of("from.event", event, adopted.season),
            AdoptFrom::RecomputeAll => Ok(()),
        }
    }

    pub(super) fn has_season(&self, field: &str, id: SeasonSlug) -> Check {
        known(self.seasons.contains_key(&id), field, "season", id)
    }

    pub(super) fn has_event(&self, field: &str, id: EventSlug) -> Check {
        known(self.events.contains_key(&id), field, "event", id)
    }

    fn has_event_of(&self, field: &str, id: EventSlug, season: SeasonSlug) -> Check {
        self.has_event(field, id)?;
        let ok = self.events.get(&id).is_some_and(|at| at.it.season == season);
        need(ok, Code::Contradicts, field, || format!("event {id} is not of season {season}"))
    }

    pub(super) fn has_person(&self, field: &str, id: PersonId) -> Check {
        known(self.persons.contains_key(&id), field, "person", id)
    }

    fn check_season(&self, set: &SeasonSet) -> Check {
        known(self.series.contains_key(&set.series), "series", "series", set.series)?;
        self.has_rules("rules", set.rules)?;
        let Some(before) = self.seasons.get(&set.season) else { return Ok(()) };
        let same = before.it.set.rules == set.rules;
        need(same, Code::Contradicts, "rules", || "the rules of a season are changed by ruleset_adopted, which says from when and why".into())
    }

    fn check_class(&self, set: &ClassSet) -> Check {
        self.has_season("season", set.season)?;
        let others = self.classes.values().map(|at| &at.it).filter(|class| class.season == set.season && class.class != set.class);
        for other in others {
            if let Some(car) = other.cars.iter().find(|car| set.cars.contains(car)) {
                return Err(Refusal::new(Code::Contradicts, "cars", format!("{car} is of class {}: take it out there first", other.class)));
            }
        }
        Ok(())
    }

    fn check_event(&self, set: &EventSet) -> Check {
        self.has_season("season", set.season)?;
        if let Some(before) = self.events.get(&set.event) {
            let of = before.it.season;
            need(of == set.season, Code::Contradicts, "season", || format!("the event is of season {of}; make another event"))?;
        }
        let taken = self.events.values().map(|at| &at.it).find(|e| e.season == set.season && e.event != set.event && e.index == set.index);
        need(taken.is_none(), Code::Contradicts, "index", || {
            format!("event {} has it; numbers need not be consecutive", taken.map_or("", |taken| taken.event.as_str()))
        })?;
        let ok = set.multiplier > Points::default() && set.multiplier <= MULTIPLIER_MAX.into();
        need(ok, Code::OutOfBounds, "multiplier", || format!("above 0 and at most {MULTIPLIER_MAX}; an event that counts nothing is cancelled"))
    }

    fn check_session(&self, set: &SessionSet) -> Check {
        self.has_event("event", set.event)?;
        if let Some(before) = self.sessions.get(&set.session) {
            let of = before.it.set.event;
            need(of == set.event, Code::Contradicts, "event", || format!("the session is of event {of}; make another session"))?;
        }
        let both = !set.telemetry.is_empty() && set.file.is_some();
        need(!both, Code::Contradicts, "file", || "a session is from the telemetry or from a file, not from both".into())?;
        for id in &set.telemetry {
            let other = self.sessions.values().find(|at| at.it.set.session != set.session && at.it.set.telemetry.contains(id));
            need(other.is_none(), Code::Contradicts, "telemetry", || {
                format!("{id} is session {} already", other.map_or("", |at| at.it.set.session.as_str()))
            })?;
        }
        let season = self.events.get(&set.event).map(|at| at.it.season);
        for id in set.counts_for.iter().flatten() {
            known(self.championships.get(id).map(|at| at.it.season) == season, "counts_for", "championship of this season", id)?;
        }
        need(set.planned_laps != Some(0), Code::OutOfBounds, "planned_laps", || "at least 1, or leave it out".into())
    }

    fn check_championship(&self, set: &ChampionshipSet) -> Check {
        self.has_season("season", set.season)?;
        if let Some(before) = self.championships.get(&set.championship) {
            let same = before.it.season == set.season && before.it.subject == set.subject;
            need(same, Code::Contradicts, "championship", || "season and subject of a championship stay; make another one".into())?;
        }
        for class in &set.classes {
            known(self.classes.contains_key(&(set.season, *class)), "classes", "class of this season", class)?;
        }
        set.rules.map_or(Ok(()), |rules| self.has_rules("rules", rules))?;
        need(set.best_cars.is_none_or(|best| best.cars > 0), Code::OutOfBounds, "best_cars.cars", || "at least 1, or leave best_cars out".into())?;
        let rules = self.rules_at(set.season, Some(set.championship), None).or(set.rules).and_then(|id| self.rulesets.get(&id)?.it.rules.as_ref());
        for name in set.points.values() {
            let there = rules.is_none_or(|rules| rules::has_part(rules, name.as_str()));
            need(there, Code::Unknown, "points", || format!("the ruleset has no part {name}: race, sprint, qualifying, one of its tables, or none"))?;
        }
        Ok(())
    }

    fn check_account(&self, linked: &AccountLinked) -> Check {
        self.has_person("person", linked.person)?;
        let merged = self.person(linked.person);
        need(merged == linked.person, Code::State, "person", || format!("this person was merged: link the account to {merged}"))?;
        self.check_span(linked.from_event, linked.to_event)
    }

    fn check_span(&self, from: Option<EventSlug>, to: Option<EventSlug>) -> Check {
        from.map_or(Ok(()), |event| self.has_event("from_event", event))?;
        to.map_or(Ok(()), |event| self.has_event("to_event", event))?;
        let ordered = from.zip(to).is_none_or(|(from, to)| self.order_of(from) <= self.order_of(to));
        need(ordered, Code::Contradicts, "to_event", || "it is before from_event".into())
    }

    fn check_merge(&self, merged: &PersonMerged) -> Check {
        self.has_person("old", merged.old)?;
        self.has_person("new", merged.new)?;
        need(merged.old != merged.new, Code::Contradicts, "new", || "a person cannot be merged into itself".into())?;
        let already = self.person(merged.old);
        need(already == merged.old, Code::State, "old", || format!("it was merged into {already} already"))?;
        need(self.person(merged.new) != merged.old, Code::Contradicts, "new", || "it was merged into `old`: swap the two".into())
    }

    fn check_member(&self, set: &MemberSet) -> Check {
        known(self.teams.contains_key(&set.team), "team", "team", set.team)?;
        self.has_person("person", set.person)?;
        self.check_span(set.from_event, set.to_event)
    }

    fn check_entry(&self, set: &EntrySet) -> Check {
        self.has_season("season", set.season)?;
        need(!set.entry.is_unclaimed(), Code::OutOfBounds, "entry", || "slugs that begin with u- are for cars without an entry".into())?;
        set.from_event.map_or(Ok(()), |event| self.has_event_of("from_event", event, set.season))?;
        self.check_details(set.season, &set.details)
    }

    pub(super) fn check_details(&self, season: SeasonSlug, details: &EntryDetails) -> Check {
        known(self.classes.contains_key(&(season, details.class)), "details.class", "class of this season", details.class)?;
        details.team.map_or(Ok(()), |team| known(self.teams.contains_key(&team), "details.team", "team", team))?;
        for (at, person) in details.persons.iter().enumerate() {
            self.has_person("details.persons", *person)?;
            need(!details.persons[..at].contains(person), Code::Contradicts, "details.persons", || format!("{person} is there twice"))?;
        }
        Ok(())
    }
}
