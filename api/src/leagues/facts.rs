//! Facts of a session from a result file: of a simulator (JSON), or CSV.

use boxbox_race::league::{AccountHash, Car, CarKey, Digest, Drove, Facts, Number, Role};
use boxbox_race::scoring::{DrivenCar, Ended};
use boxbox_sources::results::{Form, ResultCar, ResultFile, ResultSession, SessionKind, read};

use super::csv::{Line, lines, time_us, told};
use crate::problem::Problem;

/// Cars of a session at most.
const CARS_MAX: usize = 500;
/// Objects and values of a result file at most. A race of 60 cars and 700 laps has some 42,000 objects and 600,000 values.
const OBJECTS_MAX: usize = 60_000;
const VALUES_MAX: usize = 900_000;
/// The columns of a result as CSV.
const COLUMNS: [&str; 14] =
    ["car", "number", "class", "model", "sim", "account", "position", "laps", "time", "best_lap", "status", "grid", "laps_led", "incidents"];

/// SHA-256 of a file.
pub(crate) fn file_digest(bytes: &[u8]) -> Digest {
    Digest::of(bytes)
}

/// The facts in a file. `part`: the name of one of its sessions; without it the one that suits `role`.
pub(crate) fn of_file(bytes: &[u8], part: Option<&str>, role: Role, salt: &[u8]) -> Result<Facts, Problem> {
    let first = bytes.iter().find(|b| !matches!(b, b' ' | b'\t' | b'\r' | b'\n' | 0 | 0xef | 0xbb | 0xbf | 0xff | 0xfe));
    if !matches!(first, Some(b'{' | b'[')) {
        return of_csv(bytes, role, salt);
    }
    // In memory a value takes some ten times the bytes that it has in the file.
    let count = |of: u8| bytes.iter().filter(|b| **b == of).count();
    if count(b'{') > OBJECTS_MAX || count(b',') + count(b'[') > VALUES_MAX {
        return Err(Problem::unprocessable(
            "bad_result_file",
            format!("The file has more than {OBJECTS_MAX} objects or {VALUES_MAX} values: no result of one event has so many."),
        ));
    }
    let file = read(bytes).map_err(|error| Problem::unprocessable("bad_result_file", error.to_string()))?;
    let (sim, session) = (sim(file.form), session(&file, part, role)?);
    if session.cars.len() > CARS_MAX {
        return Err(Problem::unprocessable("bad_result_file", format!("A session has at most {CARS_MAX} cars.")));
    }
    let cars: Vec<Car> = session.cars.iter().map(|of| car(of, sim, salt)).collect();
    let mut keys: Vec<CarKey> = cars.iter().map(|car| car.key).collect();
    keys.sort();
    keys.dedup();
    if keys.len() < cars.len() {
        return Err(Problem::unprocessable("bad_result_file", "The session has a car twice: its laps would count twice."));
    }
    Ok(Facts::of(cars, None, true))
}

fn sim(form: Form) -> &'static str {
    match form {
        Form::IRacing => "iracing",
        Form::Competizione => "acc",
        Form::CorsaServer | Form::CorsaGame => "ac",
    }
}

fn session<'a>(file: &'a ResultFile, part: Option<&str>, role: Role) -> Result<&'a ResultSession, Problem> {
    let names: Vec<&str> = file.sessions.iter().map(|session| session.name.as_str()).collect();
    let wanted = match role {
        Role::Practice => SessionKind::Practice,
        Role::Qualifying => SessionKind::Qualifying,
        _ => SessionKind::Race,
    };
    let found = match part {
        Some(part) => file.sessions.iter().find(|session| session.name.eq_ignore_ascii_case(part)),
        // The last race is the feature, where there are several.
        None => file.sessions.iter().rfind(|session| session.kind == wanted),
    };
    found
        .ok_or_else(|| Problem::unprocessable("no_such_part", format!("The file has no such session: name one of {} with `part`.", names.join(", "))))
}

fn car(of: &ResultCar, sim: &str, salt: &[u8]) -> Car {
    let known = of.drivers.iter().filter(|driver| !driver.account.is_empty());
    let drivers = known.map(|driver| Drove { accounts: vec![AccountHash::of(salt, sim, &driver.account)], laps: driver.laps }).collect();
    Car { number: Number::new(&of.number).ok(), drivers, disqualified: of.disqualified, ..driven(&of.driven, &of.driven.entry, salt) }
}

/// What a car drove; `name` names it within its session.
fn driven(of: &DrivenCar, name: &str, salt: &[u8]) -> Car {
    Car {
        key: CarKey::of(salt, name),
        class: of.class.clone(),
        ended: of.ended,
        laps: of.laps,
        line_us: of.line_us,
        listed: of.listed,
        crossings_us: of.crossings_us.clone(),
        best_lap_us: of.best_lap_us,
        best_lap_at_us: of.best_lap_at_us,
        laps_led: of.laps_led,
        grid: of.grid,
        incidents: of.incidents,
        stages: of.stages.clone(),
        ..Car::default()
    }
}

fn of_csv(bytes: &[u8], role: Role, salt: &[u8]) -> Result<Facts, Problem> {
    let lines = lines(bytes, &COLUMNS, CARS_MAX)?;
    let mut faults = vec![];
    let cars: Vec<Car> = lines.iter().map(|line| row(line, role, salt, &mut faults)).collect();
    for (at, car) in cars.iter().enumerate() {
        if cars[..at].iter().any(|other| other.key == car.key) {
            faults.push(format!("line {}: this car is there twice", lines[at].number));
        }
    }
    told(faults)?;
    Ok(Facts::of(cars, None, true))
}

fn row(line: &Line, role: Role, salt: &[u8], faults: &mut Vec<String>) -> Car {
    let mut wrong = |column: &str, what: &str| faults.push(format!("line {}: {column} {:?}: {what}", line.number, line.get(column)));
    let name = line.first(&["car", "account", "number"]);
    if name.is_empty() {
        wrong("car", "say which car: car, account or number");
    }
    let mut count = |column: &str| {
        let number = line.get(column).parse::<u32>().ok().filter(|number| *number <= 100_000);
        if number.is_none() && !line.get(column).is_empty() {
            wrong(column, "needs a whole number");
        }
        number
    };
    let (laps, position, grid) = (count("laps"), count("position"), count("grid"));
    let (laps_led, incidents) = (count("laps_led").unwrap_or(0), count("incidents").unwrap_or(0));
    if laps.is_none() && role != Role::Qualifying && role != Role::Practice {
        wrong("laps", "a race needs the laps of each car");
    }
    let mut time = |column: &str| {
        let us = time_us(line.get(column));
        if us.is_none() && !line.get(column).is_empty() {
            wrong(column, "needs a time such as 1:32:14.123 or 92.5");
        }
        us
    };
    let (line_us, best_lap_us) = (time("time"), time("best_lap"));
    let (ended, disqualified) = match line.get("status").to_lowercase().as_str() {
        "" | "finished" => (Ended::Finished, false),
        "dnf" | "retired" => (Ended::Retired, false),
        "dns" | "not_started" => (Ended::NotStarted, false),
        "dsq" | "disqualified" => (Ended::Finished, true),
        _ => {
            wrong("status", "needs finished, dnf, dns or dsq");
            (Ended::Finished, false)
        }
    };
    let sim = if line.get("sim").is_empty() { "iracing" } else { line.get("sim") };
    let laps = laps.unwrap_or(0);
    let drove = Some(line.get("account")).filter(|account| !account.is_empty());
    Car {
        key: CarKey::of(salt, name),
        drivers: drove.map(|account| Drove { accounts: vec![AccountHash::of(salt, sim, account)], laps }).into_iter().collect(),
        number: Number::new(line.get("number")).ok(),
        class: line.get("class").to_owned(),
        car: line.get("model").to_owned(),
        ended,
        disqualified,
        laps,
        line_us,
        listed: position.filter(|place| *place > 0),
        best_lap_us,
        laps_led,
        grid: grid.filter(|place| *place > 0),
        incidents,
        ..Car::default()
    }
}
