//! The order of events, and what holds at one of them (`league.calendar`, `league.validity`).

use super::League;
use crate::league::act::{AdoptFrom, EntryDetails, EventSet, RulesetRef};
use crate::league::ids::{ChampionshipSlug, Date, EntrySlug, EventSlug, PersonId, SeasonSlug, TeamSlug};

/// The place of an event among all events of a league: by the season's first day, then by the season's calendar.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct EventOrder<'a> {
    starts: &'a Date,
    pub(crate) season: SeasonSlug,
    index: u32,
    event: EventSlug,
}

impl League {
    /// Where an event is in time.
    pub(crate) fn order_of(&self, event: EventSlug) -> Option<EventOrder<'_>> {
        let set = &self.events.get(&event)?.it;
        let starts = &self.seasons.get(&set.season)?.it.set.starts;
        Some(EventOrder { starts, season: set.season, index: set.index, event })
    }

    /// The events of a season that count, in their order.
    pub fn calendar(&self, season: SeasonSlug) -> Vec<EventSlug> {
        let mut events: Vec<&EventSet> = self.events.values().map(|at| &at.it).filter(|event| event.season == season && !event.cancelled).collect();
        events.sort_by_key(|event| (event.index, event.event));
        events.into_iter().map(|event| event.event).collect()
    }

    /// Whether what holds from one event to another (both included) holds at `event`.
    pub(crate) fn holds(&self, from: Option<EventSlug>, to: Option<EventSlug>, event: EventSlug) -> bool {
        let at = self.order_of(event);
        from.is_none_or(|from| self.order_of(from) <= at) && to.is_none_or(|to| at <= self.order_of(to))
    }

    /// What an entry is at an event: the interval with the latest first event that is not after it.
    pub fn entry_at(&self, season: SeasonSlug, entry: EntrySlug, event: EventSlug) -> Option<&EntryDetails> {
        let intervals = &self.entries.get(&(season, entry))?.it.intervals;
        let begun = intervals.iter().filter(|(from, _)| self.holds(**from, None, event));
        begun.max_by_key(|(from, _)| from.and_then(|from| self.order_of(from))).map(|(_, details)| details)
    }

    /// The team in which a person drives at an event, if there is exactly one.
    pub(crate) fn team_at(&self, person: PersonId, event: EventSlug) -> Option<TeamSlug> {
        use crate::league::act::MemberRole;
        let drives = |role| matches!(role, MemberRole::Driver | MemberRole::Reserve);
        let of = self.members.values().map(|at| &at.it).filter(|member| drives(member.role) && self.person(member.person) == person);
        let mut teams: Vec<TeamSlug> = of.filter(|m| self.holds(m.from_event, m.to_event, event)).map(|member| member.team).collect();
        teams.sort();
        teams.dedup();
        if let [team] = teams[..] { Some(team) } else { None }
    }

    /// The rules by which a season, or a championship of it, goes at an event (`league.rules`).
    pub(crate) fn rules_at(&self, season: SeasonSlug, championship: Option<ChampionshipSlug>, event: Option<EventSlug>) -> Option<RulesetRef> {
        let season = &self.seasons.get(&season)?.it;
        let adopted = |of: Option<ChampionshipSlug>| {
            let holds = season.adopted.iter().filter(|((whose, from), _)| {
                *whose == of
                    && match from {
                        AdoptFrom::RecomputeAll => true,
                        AdoptFrom::Event(from) => event.is_some_and(|event| self.holds(Some(*from), None, event)),
                    }
            });
            let begin = |from: &AdoptFrom| if let AdoptFrom::Event(from) = from { self.order_of(*from) } else { None };
            holds.max_by_key(|((_, from), _)| begin(from)).map(|(_, adopted)| adopted.rules)
        };
        let own = |championship: ChampionshipSlug| self.championships.get(&championship).and_then(|at| at.it.rules);
        championship.and_then(|id| adopted(Some(id)).or_else(|| own(id))).or_else(|| adopted(None)).or(Some(season.set.rules))
    }
}
