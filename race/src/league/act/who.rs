//! Acts about persons, teams and entries. Each statement has its time by events, so that an earlier result keeps the team and the class of
//! the day (`league.validity`).

use serde::{Deserialize, Serialize};

use crate::league::ids::{
    AccountHash, ClassSlug, EntrySlug, EventSlug, ManufacturerSlug, Number, PersonId, SeasonSlug, SimSlug, TeamSlug, TextId, Told,
};

/// A person.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersonAdded {
    /// The new id.
    pub person: PersonId,
    /// The name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<TextId>,
}

/// An account of a person.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountLinked {
    /// Whose account.
    pub person: PersonId,
    /// The simulator, or `grant`.
    pub sim: SimSlug,
    /// The account.
    pub account: AccountHash,
    /// The first event; none: from ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_event: Option<EventSlug>,
    /// The last event; none: without end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_event: Option<EventSlug>,
}

/// Two persons turned out to be one. Nothing is rewritten: `old` means `new` from now on, in all results.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersonMerged {
    /// The id that is given up.
    pub old: PersonId,
    /// The id that stays.
    pub new: PersonId,
    /// Why.
    pub reason: TextId,
}

/// The texts and accounts of a person were erased. The opaque id stays in results.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersonErased {
    /// Who.
    pub person: PersonId,
}

/// A team.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TeamSet {
    /// The team.
    pub team: TeamSlug,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<TextId>,
}

/// Who is in a team. An act about the same team, person and first event replaces the one before.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberSet {
    /// The team.
    pub team: TeamSlug,
    /// The person.
    pub person: PersonId,
    /// As what.
    pub role: MemberRole,
    /// The first event; none: from ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_event: Option<EventSlug>,
    /// The last event; none: without end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_event: Option<EventSlug>,
}

/// As what a person is in a team.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberRole {
    /// Drives.
    Driver,
    /// Drives if another cannot.
    Reserve,
    /// Speaks for it.
    Manager,
}

/// An entry, made, or changed from an event on: it opens a new interval and closes the one before. An act with the same first event replaces
/// the interval. Sessions that are bound keep what they were bound to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntrySet {
    /// The season.
    pub season: SeasonSlug,
    /// The entry; unique in the season.
    pub entry: EntrySlug,
    /// The first event for which this holds; none: from the beginning of the season.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_event: Option<EventSlug>,
    /// What holds from then on.
    pub details: EntryDetails,
}

/// What an entry is in an interval.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntryDetails {
    /// Its class.
    pub class: ClassSlug,
    /// Its number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<Number>,
    /// Its team.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<TeamSlug>,
    /// Who drives it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub persons: Vec<PersonId>,
    /// The car, as the simulator calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub car: Option<Told>,
    /// Whom its points count for in a championship of manufacturers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manufacturer: Option<ManufacturerSlug>,
    /// How it takes part.
    #[serde(default)]
    pub status: EntryStatus,
}

/// How an entry takes part.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryStatus {
    /// For points.
    #[default]
    Registered,
    /// Outside the championship: it has its places and no points.
    Guest,
    /// For points, in the place of another.
    Reserve,
    /// Not any more.
    Withdrawn,
}
