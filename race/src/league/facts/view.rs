//! Facts from the telemetry (`result.facts`).

use std::collections::{BTreeMap, BTreeSet};

use boxbox_schemas::ids::{DriverId, EntryId};
use boxbox_schemas::meta::MetaEntry;
use boxbox_schemas::results::{Lap, SessionInfo, Tags};

use super::{Car, Drove, Facts, ValidLap};
use crate::league::ids::{AccountHash, CarKey, Number};
use crate::scoring::Ended;
use crate::timing::{Classified, Counting, Ranking, Status, competitor};
use crate::view::SessionView;

/// Accounts of this name are drivers of grants.
const GRANT: &str = "grant";

impl Facts {
    /// What the rows of a session say, under the league's salt. `None` while the session is not described. The rows alone decide: what a league
    /// decides is not in them.
    pub fn from_view(view: &SessionView, salt: &[u8]) -> Option<Facts> {
        let (info, counting) = (view.info()?, view.counting()?);
        let classified = view.classification();
        let race = Ranking::of(info) == Ranking::Distance;
        let light_us = classified.iter().find_map(|c| Some(c.finish_us? - c.total_us?)).filter(|_| race);
        let laps: BTreeMap<EntryId, Vec<&Lap>> =
            view.laps().chunk_by(|a, b| a.entry == b.entry).map(|of| (of[0].entry, counting.counting(of))).collect();
        let led = if race { laps_led(&laps) } else { BTreeMap::new() };
        let mut incidents: BTreeMap<EntryId, u32> = BTreeMap::new();
        view.incidents().iter().for_each(|step| *incidents.entry(step.entry).or_default() += u32::from(step.to.saturating_sub(step.from)));
        let of = Session { view, info, counting: &counting, light_us, race, salt };
        let none = vec![];
        let cars = classified.iter().map(|row| {
            let laps = laps.get(&row.entry).unwrap_or(&none);
            let car = of.car(row, laps);
            Car { laps_led: led.get(&row.entry).copied().unwrap_or(0), incidents: incidents.get(&row.entry).copied().unwrap_or(0), ..car }
        });
        let planned_laps = info.meta.as_ref().map(|meta| meta.laps_limit).filter(|laps| race && *laps > 0);
        Some(Facts::of(cars.collect(), planned_laps, info.closed && !info.provisional))
    }
}

/// What all cars of a session have in common.
struct Session<'a> {
    view: &'a SessionView,
    info: &'a SessionInfo,
    counting: &'a Counting,
    /// When the race started, session time, µs; none in other sessions.
    light_us: Option<i64>,
    race: bool,
    salt: &'a [u8],
}

impl Session<'_> {
    fn car(&self, row: &Classified, laps: &[&Lap]) -> Car {
        let told = competitor(self.info.meta.as_ref(), row.slot);
        let begin_us = self.light_us.unwrap_or(0);
        let text = |of: fn(&MetaEntry) -> &String| told.map(|entry| of(entry).clone()).unwrap_or_default();
        // Known crossing by crossing, or not at all: its place in the list is the number of its lap.
        let whole = laps.iter().zip(1..).all(|(lap, number)| lap.number == number) && laps.len() == row.laps as usize;
        let crossings_us = if whole && self.light_us.is_some() { laps.iter().map(|lap| lap.end_us - begin_us).collect() } else { vec![] };
        let valid_laps = self.valid_laps(row.entry, begin_us);
        Car {
            key: CarKey::of(self.salt, &self.identity(row.entry, told)),
            drivers: self.drivers(row, laps, told),
            team: self.team(row.entry),
            number: told.and_then(|entry| Number::new(entry.number.trim_matches(['"', '#', ' '])).ok()),
            class: text(|entry| &entry.class_name),
            car: text(|entry| &entry.car_name),
            ended: match row.status {
                Status::NotStarted => Ended::NotStarted,
                Status::Retired | Status::NotClassified => Ended::Retired,
                Status::Disqualified if row.laps == 0 => Ended::Retired,
                Status::Running | Status::Finished | Status::Disqualified => Ended::Finished,
            },
            disqualified: row.status == Status::Disqualified,
            laps: row.laps,
            line_us: row.total_us.filter(|_| self.race),
            // In practice and qualifying a car without a valid lap has no place.
            listed: Some(row.position).filter(|_| self.race || row.best_lap_us.is_some()),
            crossings_us,
            best_lap_us: row.best_lap_us,
            best_lap_at_us: valid_laps.iter().find(|lap| Some(lap.lap) == row.best_lap).and_then(|lap| lap.at_us),
            valid_laps,
            ..Car::default()
        }
    }

    /// What names the car for as long as the session lasts: the simulator's own id, if it has one, since the entry of a car becomes another
    /// one when its client comes later than others see the car.
    fn identity(&self, entry: EntryId, told: Option<&MetaEntry>) -> String {
        let teams = self.info.meta.as_ref().is_some_and(|meta| meta.team_racing == 1);
        match told {
            Some(car) if !teams && car.user_id != 0 => format!("u:{}", car.user_id),
            _ => entry.as_str().to_owned(),
        }
    }

    fn team(&self, entry: EntryId) -> Option<AccountHash> {
        entry.as_str().strip_prefix("t:").map(|team| AccountHash::of(self.salt, self.info.source.sim.name(), &format!("team {team}")))
    }

    /// Who drove, in order of first lap. Laps that only others saw say nothing of their driver; then the description does, where teams do
    /// not race.
    fn drivers(&self, row: &Classified, laps: &[&Lap], told: Option<&MetaEntry>) -> Vec<Drove> {
        let teams = self.info.meta.as_ref().is_some_and(|meta| meta.team_racing == 1);
        let user = told.map(|car| car.user_id).filter(|id| *id != 0 && !teams);
        let user = user.map(|id| AccountHash::of(self.salt, self.info.source.sim.name(), &id.to_string()));
        let own: Vec<&&Lap> = laps.iter().filter(|lap| !lap.tags.has(Tags::FIELD)).collect();
        let mut order: Vec<DriverId> = vec![];
        for driver in own.iter().map(|lap| lap.driver) {
            if !order.contains(&driver) {
                order.push(driver);
            }
        }
        if order.is_empty() && laps.is_empty() {
            order.clone_from(&row.drivers);
        }
        if let (true, Some(user)) = (order.is_empty(), user) {
            return vec![Drove { accounts: vec![user], laps: row.laps }];
        }
        let alone = order.len() == 1;
        let drove = order.into_iter().map(|driver| {
            let grant = AccountHash::of(self.salt, GRANT, driver.as_str());
            let driven = own.iter().filter(|lap| lap.driver == driver).count() as u32;
            // A car with one driver was his all the time, seen by his own client or not.
            Drove { accounts: std::iter::once(grant).chain(user.filter(|_| alone)).collect(), laps: if alone { row.laps } else { driven } }
        });
        drove.collect()
    }

    fn valid_laps(&self, entry: EntryId, begin_us: i64) -> Vec<ValidLap> {
        let of = self.view.laps().iter().filter(|lap| lap.entry == entry);
        let timed = self.counting.timed().counting(of).into_iter().filter(|lap| lap.valid() && lap.number >= self.counting.best_from_number);
        timed.map(|lap| ValidLap { lap: lap.number, us: lap.deciding_us(), at_us: Some(lap.end_us - begin_us) }).collect()
    }
}

/// At the end of how many laps each car led: it completed that lap first.
fn laps_led(laps: &BTreeMap<EntryId, Vec<&Lap>>) -> BTreeMap<EntryId, u32> {
    let numbers: BTreeSet<u32> = laps.values().flatten().map(|lap| lap.number).collect();
    let mut first: BTreeMap<u32, (i64, EntryId)> = BTreeMap::new();
    for lap in laps.values().flatten().filter(|lap| !lap.tags.has(Tags::PUT_OVER)) {
        let crossed = (lap.end_us, lap.entry);
        first.entry(lap.number).and_modify(|earliest| *earliest = crossed.min(*earliest)).or_insert(crossed);
    }
    let mut led: BTreeMap<EntryId, u32> = BTreeMap::new();
    for (_, entry) in numbers.iter().filter_map(|number| first.get(number)) {
        *led.entry(*entry).or_default() += 1;
    }
    led
}
