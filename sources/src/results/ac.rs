//! Assetto Corsa: the result that its server writes, and `race_out.json` of the game itself. Times are in ms; 999,999,999 is no time.

use std::collections::{BTreeMap, BTreeSet};

use boxbox_race::scoring::{DrivenCar, Ended};
use serde::Deserialize;
use serde_json::Value;

use super::checks::{Checks, LAPS_MAX, name, name_entries};
use super::file::{Form, ResultCar, ResultDriver, ResultError, ResultFile, ResultSession, SessionKind};

const SERVER: Checks = Checks("the result of Assetto Corsa's server");
const GAME: Checks = Checks("race_out.json of Assetto Corsa");
const UNIT_US: i64 = 1_000;
/// Stands for no time.
const NO_TIME: i64 = 999_999_999;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ServerFile {
    #[serde(default)]
    track_name: String,
    r#type: String,
    cars: Vec<ServerCar>,
    result: Vec<ServerRow>,
    #[serde(default)]
    laps: Option<Vec<ServerLap>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ServerCar {
    car_id: i64,
    driver: ServerDriver,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct ServerDriver {
    team: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ServerRow {
    driver_name: String,
    #[serde(default)]
    driver_guid: String,
    car_id: i64,
    #[serde(default)]
    best_lap: i64,
    #[serde(default)]
    total_time: i64,
    #[serde(default)]
    has_penalty: bool,
    #[serde(default)]
    disqualified: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ServerLap {
    car_id: i64,
    #[serde(default)]
    driver_guid: String,
}

pub(super) fn server(value: Value) -> Result<ResultFile, ResultError> {
    let file: ServerFile = SERVER.parsed(value)?;
    SERVER.cars(&file.result)?;
    let kind = match file.r#type.to_ascii_uppercase().as_str() {
        "PRACTICE" | "BOOKING" => SessionKind::Practice,
        "QUALIFY" => SessionKind::Qualifying,
        "RACE" => SessionKind::Race,
        other => return Err(SERVER.wrong(format!("Type {} is neither PRACTICE, QUALIFY nor RACE", name(other)))),
    };
    let teams: BTreeMap<i64, &str> = file.cars.iter().map(|car| (car.car_id, car.driver.team.as_str())).collect();
    // A place on the server can have another driver later, so laps go by driver and car.
    let mut laps_of: BTreeMap<(i64, &str), u32> = BTreeMap::new();
    for lap in file.laps.iter().flatten() {
        let laps = laps_of.entry((lap.car_id, &lap.driver_guid)).or_default();
        *laps = (*laps + 1).min(LAPS_MAX);
    }
    let (mut cars, mut seen): (Vec<ResultCar>, BTreeSet<(i64, &str)>) = (vec![], BTreeSet::new());
    for row in file.result.iter().filter(|row| !row.driver_name.is_empty()) {
        // Some files list a driver twice; the first line is his result.
        if !seen.insert((row.car_id, &row.driver_guid)) {
            continue;
        }
        let laps = laps_of.get(&(row.car_id, row.driver_guid.as_str())).copied().unwrap_or(0);
        let total_us = SERVER.time_us(row.total_time, UNIT_US, None, "TotalTime")?;
        let driven = DrivenCar {
            team: name(teams.get(&row.car_id).copied().unwrap_or_default()),
            ended: if laps == 0 && total_us.is_none() { Ended::NotStarted } else { Ended::Finished },
            laps,
            line_us: total_us.filter(|_| kind == SessionKind::Race && laps > 0),
            listed: Some(cars.len() as u32 + 1),
            best_lap_us: SERVER.time_us(row.best_lap, UNIT_US, Some(NO_TIME), "BestLap")?,
            ..DrivenCar::default()
        };
        let drivers = vec![ResultDriver { account: name(&row.driver_guid), name: name(&row.driver_name), laps }];
        cars.push(ResultCar { driven, number: String::new(), drivers, disqualified: false });
    }
    let mut sessions = vec![ResultSession { name: name(&file.r#type), kind, cars }];
    name_entries(&mut sessions);
    let mut notes = vec!["the file does not say who took the flag: cars are ordered by laps and time".to_owned()];
    if file.result.iter().any(|row| row.has_penalty || row.disqualified) {
        notes.push("the file has penalties of a server manager; whether they count is a decision, so give those that do".into());
    }
    Ok(ResultFile { form: Form::CorsaServer, track: name(&file.track_name), sessions, notes })
}

#[derive(Deserialize)]
struct GameFile {
    #[serde(default)]
    track: String,
    players: Vec<Player>,
    sessions: Vec<GameSession>,
}

#[derive(Deserialize)]
struct Player {
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GameSession {
    #[serde(default)]
    name: String,
    r#type: i64,
    #[serde(default)]
    laps: Vec<GameLap>,
    #[serde(default, rename = "lapstotal")]
    laps_total: Vec<i64>,
    #[serde(default)]
    best_laps: Vec<BestLap>,
    #[serde(default)]
    race_result: Vec<i64>,
}

#[derive(Deserialize)]
struct GameLap {
    car: i64,
    time: i64,
}

#[derive(Deserialize)]
struct BestLap {
    car: i64,
    time: i64,
}

pub(super) fn game(value: Value) -> Result<ResultFile, ResultError> {
    let file: GameFile = GAME.parsed(value)?;
    GAME.cars(&file.players)?;
    GAME.sessions(&file.sessions)?;
    let mut sessions = file.sessions.iter().map(|session| game_session(session, &file.players)).collect::<Result<Vec<_>, _>>()?;
    // Places without a player, as servers have them, are no cars.
    for session in &mut sessions {
        session.cars.retain(|car| car.drivers.iter().any(|driver| !driver.name.is_empty()));
    }
    name_entries(&mut sessions);
    let notes = vec!["the file does not say who took the flag: cars are ordered by laps and time".into()];
    Ok(ResultFile { form: Form::CorsaGame, track: name(&file.track), sessions, notes })
}

fn game_session(session: &GameSession, players: &[Player]) -> Result<ResultSession, ResultError> {
    let kind = match session.r#type {
        1 => SessionKind::Practice,
        2 => SessionKind::Qualifying,
        3 => SessionKind::Race,
        other => return Err(GAME.wrong(format!("a session has type {other}, which is neither practice (1), qualifying (2) nor race (3)"))),
    };
    let mut of_car: Vec<Vec<i64>> = vec![vec![]; players.len()];
    for lap in &session.laps {
        let laps = usize::try_from(lap.car).ok().and_then(|car| of_car.get_mut(car));
        laps.ok_or_else(|| GAME.wrong(format!("a lap is of car {}, which is no player", lap.car)))?.push(lap.time);
    }
    let mut cars = vec![];
    for (at, player) in players.iter().enumerate() {
        let times = &of_car[at];
        let laps = match session.laps_total.get(at) {
            Some(laps) => GAME.count(*laps, "lapstotal")?,
            None => GAME.count(times.len() as i64, "number of laps")?,
        };
        // A lap may have no time; then the time of the race is not known.
        let known = times.iter().map(|ms| GAME.time_us(*ms, UNIT_US, Some(NO_TIME), "time")).collect::<Result<Option<Vec<i64>>, _>>()?;
        let known = known.filter(|times| times.len() == laps as usize && laps > 0);
        let mut sum_us = 0i64;
        let mut crossings_us = vec![];
        for us in known.iter().flatten() {
            sum_us = sum_us.saturating_add(*us);
            crossings_us.push(sum_us);
        }
        // In a race its best laps are times of the race, so they are read where there are no laps only.
        let best = times.iter().copied().filter(|ms| *ms > 0 && *ms < NO_TIME).min();
        let listed_best = || session.best_laps.iter().find(|best| best.car == at as i64).map(|best| best.time).filter(|_| kind != SessionKind::Race);
        let race = kind == SessionKind::Race;
        let driven = DrivenCar {
            ended: if laps == 0 { Ended::NotStarted } else { Ended::Finished },
            laps,
            line_us: crossings_us.last().copied().filter(|_| race),
            listed: session.race_result.iter().position(|car| *car == at as i64).map(|place| place as u32 + 1),
            crossings_us: if race { crossings_us } else { vec![] },
            best_lap_us: best.or_else(listed_best).map_or(Ok(None), |ms| GAME.time_us(ms, UNIT_US, Some(NO_TIME), "best lap"))?,
            ..DrivenCar::default()
        };
        let drivers = vec![ResultDriver { account: String::new(), name: name(&player.name), laps }];
        cars.push(ResultCar { driven, number: String::new(), drivers, disqualified: false });
    }
    Ok(ResultSession { name: name(&session.name), kind, cars })
}
