//! [`OwnCar`]: the car of a stream's own client: its state, and what is kept when the state has been dropped.

use boxbox_schemas::meta::{MetaEntry, SessionMeta};
use boxbox_schemas::{DriverId, EntryId};
use serde::{Deserialize, Serialize};

use super::car::CarState;
use super::fact::{Claim, Output};
use super::identity::field_entry;
use super::state::{FlatState, HEADER_MAX_BYTES, VERSION, VERSION_BEFORE, is_known};

/// The own car of a stream. See the [module](self).
#[derive(Clone, PartialEq, Debug)]
pub struct OwnCar {
    /// Its first frame has come, so it is decided which run it continues (E2).
    pub begun: bool,
    /// The car's slot in the stream's last record.
    pub slot: u16,
    /// Whose car it is; kept when the race state has been dropped.
    pub car: Option<Car>,
    /// The race state; `None` after the lap logic has panicked, or after the state has exceeded its bound (E5c).
    pub race: Option<CarState>,
}

/// Whose car a stream's client drives.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Car {
    /// The entry under which other clients see it ([`field_entry`]).
    pub seen_as: EntryId,
    /// Who competes in it.
    pub entry: EntryId,
}

/// The part of the stored state that comes before the race state.
#[derive(Serialize, Deserialize)]
struct Header {
    begun: bool,
    #[serde(default)]
    slot: u16,
    #[serde(default)]
    car: Option<Car>,
}

/// Version 1 contained the race state.
#[derive(Deserialize)]
struct Version1 {
    begun: bool,
    #[serde(default)]
    slot: u16,
    #[serde(default)]
    car: Option<Car>,
    race: Option<FlatState>,
}

impl Default for OwnCar {
    fn default() -> Self {
        Self { begun: false, slot: 0, car: None, race: Some(CarState::new()) }
    }
}

impl OwnCar {
    /// The state as it is stored. A part that exceeds its bound is switched off and named in `out`; if the rest is too long, the error says
    /// so.
    pub fn encode(&mut self, out: &mut Output) -> Result<Vec<u8>, String> {
        let mut bytes = vec![VERSION];
        let header = Header { begun: self.begun, slot: self.slot, car: self.car };
        rmp_serde::encode::write_named(&mut bytes, &header).map_err(|e| e.to_string())?;
        if bytes.len() > HEADER_MAX_BYTES {
            return Err(format!("{} bytes beside the race state, more than {HEADER_MAX_BYTES}", bytes.len()));
        }
        if let Some(race) = &mut self.race {
            race.encode_into(&mut bytes, out)?;
        }
        Ok(bytes)
    }

    /// A stored state; the error says what cannot be read.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        let mut state = is_known(bytes)?;
        if bytes[0] == VERSION_BEFORE {
            let Version1 { begun, slot, car, race } = rmp_serde::from_slice(state).map_err(|e| e.to_string())?;
            return Ok(Self { begun, slot, car, race: race.map(CarState::from) });
        }
        let header = Header::deserialize(&mut rmp_serde::Deserializer::new(&mut state));
        let Header { begun, slot, car } = header.map_err(|e| e.to_string())?;
        let race = if state.is_empty() { None } else { Some(CarState::decode_from(&mut state)?) };
        Ok(Self { begun, slot, car, race })
    }

    /// Take whose car it is from the race state; `driver` is the stream's driver.
    pub fn claim(&mut self, driver: DriverId) {
        self.car = self.race.as_ref().and_then(|race| Some(Car::of(race.claim()?, race.entry(driver), driver)));
    }
}

impl Car {
    /// The car that `driver` drives for `entry`. Other clients see it under the simulator's ids ([`field_entry`]).
    fn of(claim: Claim, entry: EntryId, driver: DriverId) -> Self {
        let team = entry != EntryId(driver.0);
        let seen_as = SessionMeta {
            team_racing: u8::from(team),
            entries: vec![MetaEntry { slot: claim.slot, user_id: claim.user_id, team_id: claim.team_id, ..MetaEntry::default() }],
            ..SessionMeta::default()
        };
        Self { seen_as: field_entry(Some(&seen_as), claim.slot).unwrap_or(entry), entry }
    }
}
