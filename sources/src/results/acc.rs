//! What a server of Assetto Corsa Competizione dumps after a session. Times are in ms; 2,147,483,647 is no time.

use std::collections::BTreeMap;

use boxbox_race::scoring::{DrivenCar, Ended};
use serde::Deserialize;
use serde_json::Value;

use super::checks::{Checks, name, name_entries};
use super::file::{Form, ResultCar, ResultDriver, ResultError, ResultFile, ResultSession, SessionKind};

const CHECKS: Checks = Checks("Competizione's result");
const UNIT_US: i64 = 1_000;
/// Stands for no time.
const NO_TIME: i64 = i32::MAX as i64;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    session_type: String,
    #[serde(default)]
    track_name: String,
    session_result: SessionResult,
    #[serde(default)]
    laps: Option<Vec<Lap>>,
    #[serde(default)]
    penalties: Option<Vec<Value>>,
    #[serde(default, rename = "post_race_penalties")]
    post_race_penalties: Option<Vec<Value>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SessionResult {
    leader_board_lines: Option<Vec<Line>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    car: Car,
    timing: Timing,
    #[serde(default, rename = "bIsSpectator")]
    spectator: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Car {
    car_id: i64,
    #[serde(default)]
    race_number: Option<i64>,
    #[serde(default)]
    car_group: String,
    #[serde(default)]
    team_name: String,
    #[serde(default)]
    drivers: Vec<Driver>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Driver {
    first_name: String,
    last_name: String,
    player_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Timing {
    #[serde(default)]
    best_lap: i64,
    #[serde(default)]
    total_time: i64,
    lap_count: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Lap {
    #[serde(default)]
    car_id: Option<i64>,
    #[serde(default)]
    driver_index: i64,
}

pub(super) fn read(value: Value) -> Result<ResultFile, ResultError> {
    let file: File = CHECKS.parsed(value)?;
    let lines = file.session_result.leader_board_lines.unwrap_or_default();
    CHECKS.cars(&lines)?;
    let kind = kind(&file.session_type)?;
    // Laps of each driver of a car. Older files have none, and laps of cars that left are there without a line.
    let mut driven: BTreeMap<(i64, i64), u32> = BTreeMap::new();
    for lap in file.laps.iter().flatten() {
        if let Some(car) = lap.car_id {
            *driven.entry((car, lap.driver_index)).or_default() += 1;
        }
    }
    let mut cars = vec![];
    for (at, line) in lines.iter().filter(|line| !line.spectator).enumerate() {
        cars.push(car(line, at as u32 + 1, kind, &driven)?);
    }
    let mut sessions = vec![ResultSession { name: name(&file.session_type), kind, cars }];
    name_entries(&mut sessions);
    let penalties = file.penalties.map_or(0, |list| list.len()) + file.post_race_penalties.map_or(0, |list| list.len());
    let mut notes = vec!["the file does not say who took the flag: cars are ordered by laps and time".to_owned()];
    if penalties > 0 {
        notes.push(format!("the file has {penalties} penalties of the simulator; whether they count is a decision, so give those that do"));
    }
    Ok(ResultFile { form: Form::Competizione, track: name(&file.track_name), sessions, notes })
}

/// `FP`, `P`, `Q`, `Q1`, `R`, `R2`.
fn kind(session: &str) -> Result<SessionKind, ResultError> {
    match session.to_ascii_uppercase().trim_end_matches(|c: char| c.is_ascii_digit()) {
        "FP" | "P" => Ok(SessionKind::Practice),
        "Q" => Ok(SessionKind::Qualifying),
        "R" => Ok(SessionKind::Race),
        _ => Err(CHECKS.wrong(format!("sessionType {} is neither practice (FP), qualifying (Q) nor race (R)", name(session)))),
    }
}

fn car(line: &Line, place: u32, kind: SessionKind, laps_of: &BTreeMap<(i64, i64), u32>) -> Result<ResultCar, ResultError> {
    CHECKS.drivers(&line.car.drivers)?;
    let laps = CHECKS.count(line.timing.lap_count, "lapCount")?;
    let total_us = CHECKS.time_us(line.timing.total_time, UNIT_US, Some(NO_TIME), "totalTime")?;
    let drivers = (0..).zip(&line.car.drivers).map(|(at, driver)| {
        let full = name(&format!("{} {}", driver.first_name.trim(), driver.last_name.trim()));
        let laps = laps_of.get(&(line.car.car_id, at)).copied().unwrap_or(if line.car.drivers.len() == 1 { laps } else { 0 });
        ResultDriver { account: name(&driver.player_id), name: full, laps }
    });
    let driven = DrivenCar {
        class: name(&line.car.car_group),
        team: name(&line.car.team_name),
        ended: if laps == 0 && total_us.is_none() { Ended::NotStarted } else { Ended::Finished },
        laps,
        line_us: total_us.filter(|_| kind == SessionKind::Race && laps > 0),
        listed: Some(place),
        best_lap_us: CHECKS.time_us(line.timing.best_lap, UNIT_US, Some(NO_TIME), "bestLap")?,
        ..DrivenCar::default()
    };
    let number = line.car.race_number.map(|number| number.to_string()).unwrap_or_default();
    Ok(ResultCar { driven, number, drivers: drivers.collect(), disqualified: false })
}
