//! [`SessionMeta`]: a client's description of its session: track, sectors, entries, rules. Sent when it changes.
//!
//! Names are only here; frames and results have opaque ids. So erasing a driver takes effect in the stores at once.

use rkyv::{Archive, Deserialize, Serialize};

use crate::event::Reject;
use crate::limits::{DISTANCE_MAX_M, META_ENTRIES_MAX, META_SECTORS_MAX, META_STRING_MAX_BYTES};

/// A client's description of its session. Absent values are an empty text, 0, or an empty list.
#[derive(Clone, PartialEq, Debug, Default, Archive, Serialize, Deserialize, serde::Serialize, serde::Deserialize)]
#[rkyv(derive(Debug))]
pub struct SessionMeta {
    /// The simulator's track id.
    pub track_id: u32,
    /// Track, e.g. `Phillip Island Circuit`.
    pub track_name: String,
    /// Configuration of the track.
    pub track_config: String,
    /// Length of the lap, m, as exact as the client knows it.
    pub track_length_m: f64,
    /// Where sectors start, as fractions of the lap, ascending, the first 0.
    pub sector_starts: Vec<f64>,
    /// Pit lane speed limit, m/s.
    pub pit_limit_mps: f32,
    /// `practice`, `qualify`, `race`, …, as the simulator names it.
    pub session_type: String,
    /// Laps of a race; 0 if a time or nothing limits it.
    pub laps_limit: u32,
    /// Time limit, µs; 0 if laps or nothing limit it.
    pub time_limit_us: i64,
    /// `road`, `oval`, …
    pub category: String,
    /// 1 if the race starts from a standstill, 2 if rolling.
    pub start_kind: u8,
    /// 1 if teams compete, and drivers take turns in a car.
    pub team_racing: u8,
    /// Fuel density, kg/l.
    pub fuel_kg_per_l: f32,
    /// Tank, l.
    pub fuel_max_l: f32,
    /// Points at which a driver is disqualified.
    pub incident_limit: u16,
    /// The slot of the client's own car.
    pub own_slot: u16,
    /// The cars.
    pub entries: Vec<MetaEntry>,
}

/// One car of a session.
#[derive(Clone, PartialEq, Debug, Default, Archive, Serialize, Deserialize, serde::Serialize, serde::Deserialize)]
#[rkyv(derive(Debug))]
pub struct MetaEntry {
    /// The slot (iRacing: CarIdx). A slot is reused after a car has left.
    pub slot: u16,
    /// The simulator's user id.
    pub user_id: u64,
    /// The simulator's team id.
    pub team_id: u64,
    /// The present driver.
    pub driver_name: String,
    /// The team.
    pub team_name: String,
    /// Car number as written on the car.
    pub number: String,
    /// The simulator's class id.
    pub class_id: u32,
    /// Class.
    pub class_name: String,
    /// Car.
    pub car_name: String,
    /// 1 for a pace car, 2 for a spectator, 3 for an AI driver.
    pub special: u8,
}

impl SessionMeta {
    /// The description with texts that can be shown to people as they are ([`plain`](crate::text::plain)).
    #[must_use]
    pub fn plain(mut self) -> Self {
        let Self { track_name, track_config, session_type, category, entries, .. } = &mut self;
        let of_cars = entries.iter_mut().flat_map(|e| [&mut e.driver_name, &mut e.team_name, &mut e.number, &mut e.class_name, &mut e.car_name]);
        for text in [track_name, track_config, session_type, category].into_iter().chain(of_cars) {
            let shown = match crate::text::plain(text) {
                std::borrow::Cow::Owned(shown) => shown,
                std::borrow::Cow::Borrowed(_) => continue,
            };
            *text = shown;
        }
        self
    }

    /// The client's own entry, if the list has it.
    pub fn own(&self) -> Option<&MetaEntry> {
        self.entries.iter().find(|e| e.slot == self.own_slot)
    }

    /// Length of the lap, m, if known. A length beyond the bound counts as unknown: edges refuse it, but code that computes with a length
    /// must not rely on that.
    pub fn known_length_m(&self) -> Option<f64> {
        Some(self.track_length_m).filter(|m| *m > 0.0 && *m <= DISTANCE_MAX_M)
    }

    /// Check all bounds (W7).
    pub fn check(&self) -> Result<(), Reject> {
        let text = |s: &String| s.len() <= META_STRING_MAX_BYTES;
        let entry = |e: &MetaEntry| [&e.driver_name, &e.team_name, &e.number, &e.class_name, &e.car_name].into_iter().all(text);
        let ascending = self.sector_starts.windows(2).all(|w| w[0] < w[1]);
        let in_lap = self.sector_starts.iter().all(|s| (0.0..1.0).contains(s));
        let numbers =
            self.track_length_m.is_finite() && self.pit_limit_mps.is_finite() && self.fuel_kg_per_l.is_finite() && self.fuel_max_l.is_finite();
        if !numbers {
            return Err(Reject::NOT_FINITE);
        }
        let bounded = self.sector_starts.len() <= META_SECTORS_MAX && self.entries.len() <= META_ENTRIES_MAX;
        let first = self.sector_starts.first().is_none_or(|s| *s == 0.0);
        let length = (0.0..=DISTANCE_MAX_M).contains(&self.track_length_m);
        let texts = [&self.track_name, &self.track_config, &self.session_type, &self.category].into_iter().all(text);
        if bounded && ascending && in_lap && first && length && texts && self.entries.iter().all(entry) { Ok(()) } else { Err(Reject::META) }
    }
}

const _: () = assert!(align_of::<ArchivedSessionMeta>() == 1 && align_of::<ArchivedMetaEntry>() == 1);
