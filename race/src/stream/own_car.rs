//! [`OwnCar`]: the car of a stream's own client: its state, and what stays known of it when the state was given up.

use boxbox_schemas::meta::{MetaEntry, SessionMeta};
use boxbox_schemas::{DriverId, EntryId};
use serde::{Deserialize, Serialize};

use super::car::CarState;
use super::fact::{Claim, Reports};
use super::identity::field_entry;
use super::state::{AROUND_MAX_BYTES, FlatState, VERSION, VERSION_BEFORE, is_known};

/// The own car of a stream. See the [module](self).
#[derive(Clone, PartialEq, Debug)]
pub struct OwnCar {
    /// Its first frame has come: whom it goes on from is decided (E2).
    pub begun: bool,
    /// The slot of the car, of the stream's last record.
    pub slot: u16,
    /// Whose car it is; stays known when the race state is gone.
    pub car: Option<Car>,
    /// The race state; `None` once the laps have panicked over it, or it has outgrown its bound (E5).
    pub race: Option<CarState>,
}

/// Whose car a stream's client drives.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Car {
    /// As whom other clients see it ([`field_entry`]).
    pub seen_as: EntryId,
    /// Who competes in it.
    pub entry: EntryId,
}

/// What is stored before the race state.
#[derive(Serialize, Deserialize)]
struct Around {
    begun: bool,
    #[serde(default)]
    slot: u16,
    #[serde(default)]
    car: Option<Car>,
}

/// Version 1 had the race state within.
#[derive(Deserialize)]
struct Before {
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
    /// As it is stored. A part that has outgrown its bound is switched off and named in `out`; if the rest is too long, the error says
    /// so.
    pub fn encode(&mut self, out: &mut Reports) -> Result<Vec<u8>, String> {
        let mut bytes = vec![VERSION];
        let around = Around { begun: self.begun, slot: self.slot, car: self.car };
        rmp_serde::encode::write_named(&mut bytes, &around).map_err(|e| e.to_string())?;
        if bytes.len() > AROUND_MAX_BYTES {
            return Err(format!("{} bytes beside the race state, more than {AROUND_MAX_BYTES}", bytes.len()));
        }
        if let Some(race) = &mut self.race {
            race.encode_into(&mut bytes, out)?;
        }
        Ok(bytes)
    }

    /// As it was stored; the error says what cannot be read.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        let mut state = is_known(bytes)?;
        if bytes[0] == VERSION_BEFORE {
            let Before { begun, slot, car, race } = rmp_serde::from_slice(state).map_err(|e| e.to_string())?;
            return Ok(Self { begun, slot, car, race: race.map(CarState::from) });
        }
        let around = Around::deserialize(&mut rmp_serde::Deserializer::new(&mut state));
        let Around { begun, slot, car } = around.map_err(|e| e.to_string())?;
        let race = if state.is_empty() { None } else { Some(CarState::decode_from(&mut state)?) };
        Ok(Self { begun, slot, car, race })
    }

    /// The car is `driver`'s, as its race state has it now.
    pub fn claim(&mut self, driver: DriverId) {
        self.car = self.race.as_ref().and_then(|race| Some(Car::of(race.claim()?, race.entry(driver), driver)));
    }
}

impl Car {
    /// The car that `driver` drives, for `entry`. Others know it by the simulator's ids, as [`field_entry`] has it.
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
