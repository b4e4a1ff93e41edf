//! Bounds and checks that every form of result file shares, and the names of cars.

use super::file::{ResultCar, ResultError, ResultSession};

/// Most sessions in a file, cars in a session, drivers of a car.
const SESSIONS_MAX: usize = 64;
const CARS_MAX: usize = 512;
const DRIVERS_MAX: usize = 64;
/// Most laps of a car, and incident points.
pub(super) const LAPS_MAX: u32 = 100_000;
/// Longest time, µs: a hundred hours.
const TIME_MAX_US: i64 = 360_000_000_000;
/// Longest name, characters; what is beyond is cut off.
const NAME_MAX: usize = 100;

/// The fields of one form, with checks of what they hold.
pub(super) struct Checks(pub(super) &'static str);

impl Checks {
    pub(super) fn wrong(&self, what: impl Into<String>) -> ResultError {
        ResultError::Field { form: self.0, what: what.into() }
    }

    pub(super) fn parsed<T: serde::de::DeserializeOwned>(&self, value: serde_json::Value) -> Result<T, ResultError> {
        serde_json::from_value(value).map_err(|error| self.wrong(error.to_string()))
    }

    pub(super) fn at_most<T>(&self, list: &[T], most: usize, what: &str) -> Result<(), ResultError> {
        if list.len() <= most { Ok(()) } else { Err(self.wrong(format!("{} {what}, more than the {most} that make sense", list.len()))) }
    }

    pub(super) fn sessions<T>(&self, list: &[T]) -> Result<(), ResultError> {
        self.at_most(list, SESSIONS_MAX, "sessions")
    }

    pub(super) fn cars<T>(&self, list: &[T]) -> Result<(), ResultError> {
        self.at_most(list, CARS_MAX, "cars")
    }

    pub(super) fn drivers<T>(&self, list: &[T]) -> Result<(), ResultError> {
        self.at_most(list, DRIVERS_MAX, "drivers of a car")
    }

    /// A count, such as laps.
    pub(super) fn count(&self, count: i64, what: &str) -> Result<u32, ResultError> {
        let count = u32::try_from(count).ok().filter(|count| *count <= LAPS_MAX);
        count.ok_or_else(|| self.wrong(format!("{what} is not from 0 to {LAPS_MAX}")))
    }

    /// A time; `none`, and everything below 1, is no time.
    pub(super) fn time_us(&self, time: i64, unit_us: i64, none: Option<i64>, what: &str) -> Result<Option<i64>, ResultError> {
        if time <= 0 || Some(time) == none {
            return Ok(None);
        }
        let us = time.checked_mul(unit_us).filter(|us| *us <= TIME_MAX_US);
        us.map(Some).ok_or_else(|| self.wrong(format!("{what} is over 100 hours")))
    }
}

/// A name as it is kept: without control characters, and cut where it is too long.
pub(super) fn name(text: &str) -> String {
    text.trim().chars().filter(|c| !c.is_control()).take(NAME_MAX).collect()
}

/// Gives each car its entry, as `ResultCar::driven` says.
pub(super) fn name_entries(sessions: &mut [ResultSession]) {
    let distinct = |session: &ResultSession, of: &dyn Fn(&ResultCar) -> String| {
        let names: std::collections::BTreeSet<String> = session.cars.iter().map(of).filter(|name| !name.is_empty()).collect();
        names.len() == session.cars.len()
    };
    let driver = |car: &ResultCar| car.drivers.first().map(|driver| driver.name.clone()).unwrap_or_default();
    let team = |car: &ResultCar| if car.drivers.len() > 1 && !car.driven.team.is_empty() { car.driven.team.clone() } else { driver(car) };
    let number = |car: &ResultCar| car.number.clone();
    // One way for all sessions of a file, so that a car keeps its entry from qualifying to the race.
    let by_name = sessions.iter().all(|session| distinct(session, &team));
    let by_number = sessions.iter().all(|session| distinct(session, &number));
    for session in sessions {
        for (at, car) in session.cars.iter_mut().enumerate() {
            car.driven.entry = match () {
                () if by_name => team(car),
                () if by_number => car.number.clone(),
                () => {
                    let account = car.drivers.first().map(|driver| driver.account.clone()).unwrap_or_default();
                    let account = if account.is_empty() { (at + 1).to_string() } else { account };
                    format!("{} ({account})", team(car)).trim_start().to_owned()
                }
            };
        }
    }
}
