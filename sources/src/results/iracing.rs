//! iRacing's result of a subsession. Times are in 1/10,000 s, -1 is no time; places count from 0; teams have negative ids.

use boxbox_race::scoring::{DrivenCar, Ended};
use serde::Deserialize;

use super::checks::{Checks, name, name_entries};
use super::file::{Form, ResultCar, ResultDriver, ResultError, ResultFile, ResultSession, SessionKind};

const CHECKS: Checks = Checks("iRacing's result");
/// A unit of its times, µs.
const UNIT_US: i64 = 100;

#[derive(Deserialize)]
struct File {
    session_results: Vec<Session>,
    #[serde(default)]
    track: Track,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Track {
    track_name: String,
}

#[derive(Deserialize)]
struct Session {
    #[serde(default)]
    simsession_name: String,
    #[serde(default)]
    simsession_type_name: String,
    results: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    #[serde(default)]
    cust_id: Option<i64>,
    #[serde(default)]
    team_id: Option<i64>,
    #[serde(default)]
    display_name: String,
    finish_position: i64,
    laps_complete: i64,
    #[serde(default = "none")]
    starting_position: i64,
    #[serde(default)]
    laps_lead: i64,
    #[serde(default = "none")]
    interval: i64,
    #[serde(default = "none")]
    best_lap_time: i64,
    #[serde(default)]
    incidents: i64,
    #[serde(default)]
    reason_out: String,
    #[serde(default)]
    car_class_id: Option<i64>,
    #[serde(default)]
    car_class_name: String,
    #[serde(default)]
    car_class_short_name: String,
    #[serde(default)]
    livery: Livery,
    #[serde(default)]
    driver_results: Vec<Driver>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Livery {
    car_number: String,
}

#[derive(Deserialize)]
struct Driver {
    cust_id: i64,
    #[serde(default)]
    display_name: String,
    laps_complete: i64,
}

fn none() -> i64 {
    -1
}

pub(super) fn read(value: serde_json::Value) -> Result<ResultFile, ResultError> {
    let file: File = CHECKS.parsed(value)?;
    CHECKS.sessions(&file.session_results)?;
    let mut sessions = vec![];
    for session in &file.session_results {
        CHECKS.cars(&session.results)?;
        let kind = kind(session)?;
        let cars = session.results.iter().map(|row| car(row, kind)).collect::<Result<Vec<_>, _>>()?;
        let name = name(if session.simsession_name.is_empty() { &session.simsession_type_name } else { &session.simsession_name });
        sessions.push(ResultSession { name, kind, cars });
    }
    // The race is first in the file; what came first is first here.
    sessions.sort_by_key(|session| match session.kind {
        SessionKind::Practice => 0,
        SessionKind::Qualifying => 1,
        SessionKind::Race => 2,
    });
    name_entries(&mut sessions);
    // The interval to the winner orders cars, but is no race time: that is nowhere in the file. It is kept as the time behind the winner.
    let notes = vec!["the file has no race times: time penalties change the order by the intervals of cars on the lead lap, and of no others".into()];
    Ok(ResultFile { form: Form::IRacing, track: name(&file.track.track_name), sessions, notes })
}

fn kind(session: &Session) -> Result<SessionKind, ResultError> {
    let text = format!("{} {}", session.simsession_type_name, session.simsession_name).to_ascii_lowercase();
    let is = |word: &str| text.contains(word);
    match () {
        () if is("practice") || is("warmup") || is("warm up") || is("testing") => Ok(SessionKind::Practice),
        () if is("qual") => Ok(SessionKind::Qualifying),
        () if is("race") || is("heat") || is("feature") || is("consolation") => Ok(SessionKind::Race),
        () => Err(CHECKS.wrong(format!("a session is neither practice, qualifying nor race: {}", name(&text)))),
    }
}

fn car(row: &Row, kind: SessionKind) -> Result<ResultCar, ResultError> {
    CHECKS.drivers(&row.driver_results)?;
    let place = CHECKS.count(row.finish_position, "finish_position")? + 1;
    let laps = CHECKS.count(row.laps_complete, "laps_complete")?;
    let grid = if row.starting_position < 0 { None } else { Some(CHECKS.count(row.starting_position, "starting_position")? + 1) };
    let running = row.reason_out.is_empty() || row.reason_out.eq_ignore_ascii_case("running");
    // In the winner's lap the interval is the time behind him; -1 is a lap or more.
    let behind = (kind == SessionKind::Race && laps > 0 && row.interval >= 0).then_some(row.interval);
    let line_us = match behind {
        Some(0) => Some(0),
        Some(behind) => CHECKS.time_us(behind, UNIT_US, None, "interval")?,
        None => None,
    };
    let class = [&row.car_class_short_name, &row.car_class_name].into_iter().map(|text| name(text)).find(|text| !text.is_empty());
    let drivers = match row.driver_results.as_slice() {
        [] => vec![ResultDriver { account: row.cust_id.map(|id| id.to_string()).unwrap_or_default(), name: name(&row.display_name), laps }],
        drivers => drivers
            .iter()
            .map(|driver| {
                let laps = CHECKS.count(driver.laps_complete, "laps_complete of a driver")?;
                Ok(ResultDriver { account: driver.cust_id.to_string(), name: name(&driver.display_name), laps })
            })
            .collect::<Result<_, ResultError>>()?,
    };
    let driven = DrivenCar {
        class: class.or(row.car_class_id.map(|id| id.to_string())).unwrap_or_default(),
        team: if row.team_id.is_some() { name(&row.display_name) } else { String::new() },
        ended: if running { Ended::Finished } else { Ended::Retired },
        laps,
        line_us,
        listed: Some(place),
        best_lap_us: CHECKS.time_us(row.best_lap_time, UNIT_US, None, "best_lap_time")?,
        laps_led: CHECKS.count(row.laps_lead, "laps_lead")?,
        grid,
        incidents: CHECKS.count(row.incidents, "incidents")?,
        ..DrivenCar::default()
    };
    let disqualified = row.reason_out.eq_ignore_ascii_case("disqualified");
    Ok(ResultCar { driven, number: name(&row.livery.car_number), drivers, disqualified })
}
