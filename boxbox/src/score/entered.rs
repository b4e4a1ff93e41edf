//! What was entered: events, their sessions, and the cars in them.

use std::collections::BTreeMap;

use boxbox_race::scoring::{DrivenCar, Excluded, Penalty, Points};

/// Everything that is scored.
#[derive(Default)]
pub struct Input {
    /// The events, in their order.
    pub events: Vec<Event>,
    /// Points added and taken off for the season, by entry.
    pub adjustments: BTreeMap<String, Points>,
    /// Who is left out of the ranking.
    pub excluded: BTreeMap<String, Excluded>,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// An event.
pub struct Event {
    /// Its name.
    pub name: String,
    /// Its sessions.
    pub sessions: Vec<Session>,
}

/// A session.
pub struct Session {
    /// Its name.
    pub name: String,
    /// What it is worth: `race`, `sprint`, `qualifying`, or one of the tables of the rules.
    pub points: String,
    /// The cars.
    pub cars: Vec<Car>,
    /// What was decided.
    pub penalties: Vec<Penalty>,
}

/// A car.
pub struct Car {
    /// How it was driven.
    pub driven: DrivenCar,
    /// Its manufacturer; empty if the file does not say.
    pub manufacturer: String,
    /// Its drivers and the laps of each, if there are several.
    pub drivers: BTreeMap<String, u32>,
}

impl Input {
    /// The event of this name, which is made if there is none.
    pub fn event(&mut self, name: &str) -> &mut Event {
        let at = self.events.iter().position(|event| event.name == name).unwrap_or_else(|| {
            self.events.push(Event { name: name.to_owned(), sessions: vec![] });
            self.events.len() - 1
        });
        &mut self.events[at]
    }
}
