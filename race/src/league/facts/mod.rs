//! [`Facts`]: what was driven in a session, before anybody decided anything about it. From telemetry ([`Facts::from_view`]) or from a result
//! file; nobody edits them.

mod join;
mod view;

use serde::{Deserialize, Serialize};

use super::canon;
use super::ids::{AccountHash, CarKey, Digest, Number, SessionSlug};
use crate::scoring::Ended;

/// What was driven in a session, and its digest. It never changes: other facts are made anew.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(from = "Told", into = "Told")]
pub struct Facts {
    told: Told,
    digest: Digest,
}

/// Facts as they are stored.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Told {
    /// In order of keys.
    cars: Vec<Car>,
    planned_laps: Option<u32>,
    complete: bool,
}

impl From<Told> for Facts {
    fn from(mut told: Told) -> Self {
        told.cars.sort_by_key(|car| car.key);
        let digest = canon::digest(&told);
        Self { told, digest }
    }
}

impl From<Facts> for Told {
    fn from(facts: Facts) -> Self {
        facts.told
    }
}

impl Default for Facts {
    fn default() -> Self {
        Told::default().into()
    }
}

/// A car of a session.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Car {
    /// Which car: unique in the session, and the same whenever the facts are made again.
    pub key: CarKey,
    /// Who drove, in order of first lap.
    pub drivers: Vec<Drove>,
    /// The simulator's team, where teams race.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub team: Option<AccountHash>,
    /// Its number, as told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<Number>,
    /// Its class, as told; may be empty.
    pub class: String,
    /// What car it is, as told; may be empty.
    pub car: String,
    /// How it ended.
    pub ended: Ended,
    /// The simulator disqualified it.
    pub disqualified: bool,
    /// Laps that it completed.
    pub laps: u32,
    /// From the start of the race to the crossing that completed its last lap, µs, if it is known.
    pub line_us: Option<i64>,
    /// The place in which the source lists it; 1 is the first.
    pub listed: Option<u32>,
    /// The crossings that completed its laps, µs from the start of the race; empty if they are not known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub crossings_us: Vec<i64>,
    /// Its valid laps, by number; empty if only the best one is known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub valid_laps: Vec<ValidLap>,
    /// Its best valid lap, µs.
    pub best_lap_us: Option<i64>,
    /// When it completed its best lap, µs.
    pub best_lap_at_us: Option<i64>,
    /// Laps at whose end it led.
    pub laps_led: u32,
    /// Place on the grid; 1 is pole.
    pub grid: Option<u32>,
    /// Incident points.
    pub incidents: u32,
    /// Places at the ends of the stages, in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<Option<u32>>,
}

/// Who drove a car.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drove {
    /// The driver's accounts, as far as the source tells them: any of them says who it is.
    pub accounts: Vec<AccountHash>,
    /// Laps that the driver completed.
    pub laps: u32,
}

/// A lap that can be a best lap.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValidLap {
    /// Its number.
    pub lap: u32,
    /// Its time, µs.
    pub us: i64,
    /// When it was completed, µs, if it is known.
    pub at_us: Option<i64>,
}

impl Facts {
    /// Facts of these cars, in whichever order. `planned_laps`: laps that the race was to have; none: a time limited it, or nobody told.
    /// `complete`: the session is over, and no more is expected.
    pub fn of(cars: Vec<Car>, planned_laps: Option<u32>, complete: bool) -> Self {
        Told { cars, planned_laps, complete }.into()
    }

    /// The cars, in order of keys.
    pub fn cars(&self) -> &[Car] {
        &self.told.cars
    }

    /// Laps that the race was to have; none: a time limited it, or nobody told.
    pub fn planned_laps(&self) -> Option<u32> {
        self.told.planned_laps
    }

    /// The session is over: no more is expected.
    pub fn complete(&self) -> bool {
        self.told.complete
    }

    /// The text that is stored: JSON.
    pub fn body(&self) -> String {
        canon::compact(&self.told)
    }

    /// SHA-256 of [`Facts::body`].
    pub fn digest(&self) -> Digest {
        self.digest
    }
}

/// A combined digest of the facts of sessions, in order of sessions.
pub fn facts_digest<'a>(of: impl IntoIterator<Item = (&'a SessionSlug, &'a Digest)>) -> Digest {
    let mut of: Vec<_> = of.into_iter().collect();
    of.sort();
    canon::digest(&of)
}
