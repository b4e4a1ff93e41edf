//! What clients of one session tell against each other ([`Conflict`]), and whose reports do not count ([`Silenced`]).

use serde::{Deserialize, Serialize};

use crate::event::Exclusion;
use crate::ids::{DriverId, EntryId, RunId};

/// Most conflicts that are kept of a session.
pub const CONFLICTS_MAX: usize = 64;
/// Most drivers that a conflict names on each side.
pub const CONFLICT_DRIVERS_MAX: usize = 8;
/// Most exclusions of a session: more drivers and runs than a session has in earnest.
pub const EXCLUSIONS_MAX: usize = 256;

/// What clients do not agree about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// A value of the session's description.
    Description,
    /// Who is in a slot.
    Slot,
    /// Whose car it is.
    Car,
    /// In which team a driver is.
    Team,
    /// A lap.
    Lap,
    /// The session state.
    State,
    /// A flag that is shown to all.
    Flag,
}

impl About {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            About::Description => "description",
            About::Slot => "slot",
            About::Car => "car",
            About::Team => "team",
            About::Lap => "lap",
            About::State => "state",
            About::Flag => "flag",
        }
    }
}

/// Who told something that does not count, against whom. Clients may differ in good faith: it is for people to judge.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Conflict {
    /// What it is about.
    pub about: About,
    /// Which value: `session_type`, `t:12`, `checkered`.
    pub what: String,
    /// Which slot, if one is meant.
    #[serde(default)]
    pub slot: Option<u16>,
    /// Whose laps, if one is meant.
    #[serde(default)]
    pub entry: Option<EntryId>,
    /// Whose clients told what does not count, in order; the first [`CONFLICT_DRIVERS_MAX`].
    pub by: Vec<DriverId>,
    /// Whose clients told otherwise, in order; the first [`CONFLICT_DRIVERS_MAX`].
    pub against: Vec<DriverId>,
    /// How many: laps, where laps are meant; else drivers who told it.
    pub count: u32,
}

impl Conflict {
    /// The conflict that `by` told something against `against`; `None` if no driver did.
    pub fn of(
        about: About,
        what: &str,
        slot: Option<u16>,
        by: impl Iterator<Item = DriverId>,
        against: impl Iterator<Item = DriverId>,
    ) -> Option<Self> {
        let drivers = |of: &mut dyn Iterator<Item = DriverId>| of.collect::<std::collections::BTreeSet<_>>();
        let (mut by, mut against) = (by, against);
        let (by, against) = (drivers(&mut by), drivers(&mut against));
        let first = |of: &std::collections::BTreeSet<DriverId>| of.iter().take(CONFLICT_DRIVERS_MAX).copied().collect();
        let count = u32::try_from(by.len()).unwrap_or(u32::MAX);
        (!by.is_empty()).then(|| Self { about, what: what.to_owned(), slot, entry: None, by: first(&by), against: first(&against), count })
    }
}

/// A driver's claim to drive for an entry, which does not count: most others say that the car is another's (`entry.claim`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct RefusedClaim {
    /// The driver.
    pub driver: DriverId,
    /// The entry: a team, or a car as others see it.
    pub entry: EntryId,
}

/// Whose reports do not count in a session.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silenced<'a> {
    /// Whom a person has excluded.
    pub excluded: &'a [Exclusion],
    /// Claims that do not count.
    pub refused: &'a [RefusedClaim],
}

impl Silenced<'_> {
    /// Whether anybody is.
    pub fn any(&self) -> bool {
        !self.excluded.is_empty() || !self.refused.is_empty()
    }

    /// Whether a driver's claim to a car, as others see it, does not count.
    pub fn refuses(&self, driver: DriverId, seen_as: EntryId) -> bool {
        self.refused.contains(&RefusedClaim { driver, entry: seen_as })
    }

    /// Whether a report does not count; `field`: it is about a car that the client sees, not about its own.
    pub fn covers(&self, driver: DriverId, run: RunId, entry: EntryId, field: bool) -> bool {
        let claim = RefusedClaim { driver, entry };
        self.excluded.iter().any(|e| e.covers(driver, run)) || !field && self.refused.contains(&claim)
    }
}
