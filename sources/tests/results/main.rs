//! Result files of simulators, written by the test in the forms that the simulators write.

#![allow(clippy::unwrap_used, unused_crate_dependencies, reason = "a test may stop at what it did not expect")]

mod damage;

use std::collections::BTreeMap;

use boxbox_race::scoring::{Distance, DrivenCar, Ended, Points, Standing, award, classify, driver_points, preset, qualify};
use boxbox_sources::results::{Form, ResultError, ResultFile, SessionKind, read};
use boxbox_testkit::recordings::recording;
use serde_json::{Value, json};

type Row = BTreeMap<String, String>;

fn rows(test: &str, name: &str) -> Option<Vec<Row>> {
    let path = recording(test, name)?;
    Some(csv::Reader::from_path(path).unwrap().deserialize().map(Result::unwrap).collect())
}

fn number(row: &Row, column: &str) -> i64 {
    row[column].parse().unwrap()
}

fn read_value(value: &Value) -> Result<ResultFile, ResultError> {
    read(value.to_string().as_bytes())
}

/// A session of iRacing's form.
fn session(name: &str, kind: &str, results: Vec<Value>) -> Value {
    json!({"simsession_number": 0, "simsession_type_name": kind, "simsession_name": name, "results": results})
}

#[test]
fn the_league_race_from_its_result_file_has_the_points_that_were_awarded() {
    let test = "the_league_race_from_its_result_file_has_the_points_that_were_awarded";
    let Some(rows) = rows(test, "league/iracing_league_race_46557088.csv") else { return };
    let of = |session: &str| -> Vec<Value> {
        let rows = rows.iter().filter(|row| row["session"] == session).enumerate();
        rows.map(|(at, row)| {
            json!({
                "cust_id": 1_000 + at, "display_name": row["driver"], "finish_position": number(row, "finish_position_0based"),
                "starting_position": number(row, "starting_position_0based"), "laps_complete": number(row, "laps_complete"),
                "laps_lead": number(row, "laps_led"), "interval": number(row, "interval_1e4s"), "best_lap_time": number(row, "best_lap_1e4s"),
                "incidents": number(row, "incidents"), "reason_out": row["reason_out"], "car_class_id": number(row, "car_class_id"),
                "livery": {"car_number": row["car_number"], "color1": "ffffff"}, "league_points": number(row, "league_points"),
            })
        })
        .collect()
    };
    let sessions = vec![
        session("RACE", "Race", of("RACE")),
        session("QUALIFY", "Lone Qualifying", of("QUALIFY")),
        session("PRACTICE", "Open Practice", of("PRACTICE")),
    ];
    let file = json!({"subsession_id": 46557088, "track": {"track_name": "A track"}, "session_results": sessions});
    let bare = read_value(&file).unwrap();
    assert_eq!(read_value(&json!({"type": "event_result", "data": file})).unwrap(), bare);
    assert_eq!((bare.form, bare.track.as_str()), (Form::IRacing, "A track"));
    assert_eq!(
        bare.sessions.iter().map(|s| (s.kind, s.cars.len())).collect::<Vec<_>>(),
        [(SessionKind::Practice, 26), (SessionKind::Qualifying, 27), (SessionKind::Race, 27)]
    );
    let driven = |at: usize| bare.sessions[at].cars.iter().map(|car| car.driven.clone()).collect::<Vec<DrivenCar>>();
    let rules = preset("scca").unwrap();
    let classified = classify(&driven(2), &[], &rules.classification);
    for (place, car) in (0..).zip(&classified) {
        let row = rows.iter().find(|row| row["session"] == "RACE" && row["driver"] == car.car.entry).unwrap();
        assert_eq!(number(row, "finish_position_0based"), place, "{}", car.car.entry);
    }
    for score in award(&classified, &[], &Distance::default(), &rules.race) {
        let row = rows.iter().find(|row| row["session"] == "RACE" && row["driver"] == score.entry).unwrap();
        assert_eq!(score.total, row["league_points"].parse().unwrap(), "{}", score.entry);
    }
    assert_eq!(classified.iter().map(|car| car.car.laps_led).sum::<u32>(), 25);
    // The grid of the race is the order of qualifying.
    let qualified: Vec<String> = qualify(&driven(1), &[], &rules.classification).into_iter().map(|car| car.car.entry).collect();
    let mut grid = driven(2);
    grid.sort_by_key(|car| car.grid);
    assert_eq!(grid.into_iter().map(|car| car.entry).collect::<Vec<_>>(), qualified);
}

#[test]
fn the_team_race_from_its_result_file_has_its_drivers() {
    let test = "the_team_race_from_its_result_file_has_its_drivers";
    let Some(rows) = rows(test, "league/iracing_team_race_46219719.csv") else { return };
    let mut teams: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    rows.iter().for_each(|row| teams.entry(&row["team"]).or_default().push(row));
    let results = (0..).zip(&teams).map(|(at, (team, drivers))| {
        let drivers_of = drivers
            .iter()
            .map(|row| json!({"cust_id": 7, "team_id": -9, "display_name": row["driver"], "laps_complete": number(row, "driver_laps")}));
        let row = drivers[0];
        json!({
            "team_id": -1_000 - at, "display_name": team, "finish_position": number(row, "finish_position_0based"),
            "laps_complete": number(row, "team_laps"), "interval": number(row, "team_interval_1e4s"), "car_class_id": 5,
            "car_class_short_name": row["class"], "reason_out": row["reason_out"], "driver_results": drivers_of.collect::<Vec<_>>(),
        })
    });
    let file = read_value(&json!({"session_results": [session("RACE", "Race", results.collect())]})).unwrap();
    let cars = &file.sessions[0].cars;
    assert_eq!((cars.len(), cars.iter().map(|car| car.drivers.len()).sum::<usize>()), (57, 83));
    assert!(cars.iter().all(|car| car.drivers.iter().map(|driver| driver.laps).sum::<u32>() == car.driven.laps));
    for (least, expected) in [(10, 81), (25, 78), (40, 71), (50, 60)] {
        let scoring = |car: &boxbox_sources::results::ResultCar| {
            let laps = car.drivers.iter().map(|driver| (driver.name.clone(), driver.laps)).collect();
            driver_points(&1.into(), &laps, &Points::new(least, 100), false).into_values().filter(|points| !points.is_zero()).count()
        };
        assert_eq!(cars.iter().map(scoring).sum::<usize>(), expected, "{least} %");
    }
    let classified = classify(&cars.iter().map(|car| car.driven.clone()).collect::<Vec<_>>(), &[], &Default::default());
    let count = |class: &str| classified.iter().filter(|car| car.car.class == class && car.status == Standing::Classified).count();
    assert_eq!(["C1", "C2", "C3", "C4"].map(count), [6, 10, 11, 4]);
}

/// A car of Competizione's form.
fn acc_car(id: i64, number: i64, drivers: &[&str], laps: i64, total_ms: i64, best_ms: i64) -> Value {
    let drivers: Vec<Value> =
        drivers.iter().map(|driver| json!({"firstName": driver, "lastName": "X", "shortName": "X", "playerId": format!("S{driver}")})).collect();
    json!({
        "car": {"carId": id, "raceNumber": number, "carModel": 1, "cupCategory": 0, "carGroup": "GT3", "teamName": "Ours", "drivers": drivers},
        "currentDriverIndex": 0, "missingMandatoryPitstop": 0, "driverTotalTimes": [0.0],
        "timing": {"lastLap": best_ms, "lastSplits": [], "bestLap": best_ms, "bestSplits": [], "totalTime": total_ms, "lapCount": laps, "lastSplitId": 0},
    })
}

fn acc(kind: Value, cars: Vec<Value>, laps: Vec<(i64, i64)>) -> Value {
    let laps: Vec<Value> =
        laps.into_iter().map(|(car, driver)| json!({"carId": car, "driverIndex": driver, "laptime": 1, "isValidForBest": true})).collect();
    json!({
        "sessionType": kind, "trackName": "spa", "sessionIndex": 2,
        "sessionResult": {"bestlap": 1, "isWetSession": 0, "type": 1, "leaderBoardLines": cars},
        "laps": laps, "penalties": [{"carId": 1001, "driverIndex": 0, "reason": "Cutting", "penalty": "DriveThrough", "penaltyValue": 3, "clearedInLap": 0}],
    })
}

#[test]
fn competizione_is_read_in_every_encoding() {
    // The file lists the second car first, as some do.
    let cars = vec![
        acc_car(1_002, 7, &["Bö"], 20, 1_901_000, 91_500),
        acc_car(1_001, 5, &["Ann", "Zoë"], 20, 1_900_500, 92_000),
        acc_car(1_003, 8, &["Cy"], 0, 0, i64::from(i32::MAX)),
    ];
    let laps = (0..20).map(|lap| (1_001, i64::from(lap >= 12))).chain([(1_999, 0)]).collect();
    let text = acc(json!("R"), cars, laps).to_string();
    let file = read(text.as_bytes()).unwrap();
    let utf16 = |big: bool| text.encode_utf16().flat_map(move |unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect::<Vec<u8>>();
    let marked = |mark: &[u8], bytes: Vec<u8>| [mark, &bytes].concat();
    let (le, be) = (utf16(false), utf16(true));
    let same = [le.clone(), be.clone(), marked(&[0xff, 0xfe], le), marked(&[0xfe, 0xff], be), marked(&[0xef, 0xbb, 0xbf], text.clone().into_bytes())];
    same.iter().for_each(|bytes| assert_eq!(read(bytes).as_ref(), Ok(&file)));
    let cars = &file.sessions[0].cars;
    let driven: Vec<DrivenCar> = cars.iter().map(|car| car.driven.clone()).collect();
    let order: Vec<_> = classify(&driven, &[], &Default::default()).into_iter().map(|car| (car.car.entry, car.time_us, car.status)).collect();
    assert_eq!(
        order,
        [
            ("Ours".into(), Some(1_900_500_000), Standing::Classified),
            ("Bö X".into(), Some(1_901_000_000), Standing::Classified),
            ("Cy X".into(), None, Standing::NotStarted),
        ]
    );
    assert_eq!(cars[1].drivers.iter().map(|driver| (driver.name.as_str(), driver.laps)).collect::<Vec<_>>(), [("Ann X", 12), ("Zoë X", 8)]);
    assert_eq!((cars[2].driven.best_lap_us, cars[0].number.as_str()), (None, "7"));
    assert!(file.notes.iter().any(|note| note.contains("1 penalties")), "{:?}", file.notes);
    for (kind, expected) in [(json!("FP"), SessionKind::Practice), (json!("Q1"), SessionKind::Qualifying), (json!("R2"), SessionKind::Race)] {
        assert_eq!(read_value(&acc(kind, vec![], vec![])).unwrap().sessions[0].kind, expected);
    }
    for unknown in [json!("H"), json!(""), json!("RACE"), json!(10)] {
        assert!(matches!(read_value(&acc(unknown, vec![], vec![])), Err(ResultError::Field { .. })));
    }
}

#[test]
fn corsa_server_counts_the_laps_of_the_driver_who_is_listed() {
    let car =
        |id: i64, team: &str| json!({"CarId": id, "Driver": {"Name": "n", "Team": team, "Guid": "g"}, "Model": "m", "Skin": "s", "BallastKG": 0});
    let row = |guid: &str, id: i64, best: i64, total: i64| json!({"DriverName": format!("Driver {guid}"), "DriverGuid": guid, "CarId": id, "CarModel": "m", "BestLap": best, "TotalTime": total});
    let lap = |guid: &str, id: i64| json!({"DriverName": "n", "DriverGuid": guid, "CarId": id, "Timestamp": 1, "LapTime": 100_000, "Sectors": [1], "Cuts": 0});
    let laps: Vec<Value> = (0..3).map(|_| lap("1", 0)).chain((0..2).map(|_| lap("2", 1))).chain([lap("9", 2), lap("9", 1)]).collect();
    let file = |kind: &str| {
        json!({
            "TrackName": "monza", "TrackConfig": "", "Type": kind, "DurationSecs": 0, "RaceLaps": 3, "Cars": [car(0, "A"), car(1, ""), car(2, "C")],
            "Result": [row("1", 0, 99_000, 303_000), row("2", 1, 98_000, 201_000), row("1", 0, 999_999_999, 0), row("3", 2, 999_999_999, 0)],
            "Laps": laps, "Events": null,
        })
    };
    let race = read_value(&file("RACE")).unwrap();
    let cars: Vec<_> =
        race.sessions[0].cars.iter().map(|car| (car.driven.entry.as_str(), car.driven.laps, car.driven.line_us, car.driven.ended)).collect();
    // The places of a driver who left are not those of the driver who took his car.
    assert_eq!(
        cars,
        [
            ("Driver 1", 3, Some(303_000_000), Ended::Finished),
            ("Driver 2", 2, Some(201_000_000), Ended::Finished),
            ("Driver 3", 0, None, Ended::NotStarted)
        ]
    );
    let qualifying = read_value(&file("QUALIFY")).unwrap();
    assert_eq!((qualifying.sessions[0].kind, qualifying.sessions[0].cars[0].driven.line_us), (SessionKind::Qualifying, None));
    assert!(matches!(read_value(&file("DRIFT")), Err(ResultError::Field { .. })));
}

#[test]
fn corsa_game_adds_laps_up() {
    let lap = |car: i64, lap: i64, time: i64| json!({"lap": lap, "car": car, "sectors": [], "time": time});
    let players = json!([{"name": "", "car": "x", "skin": ""}, {"name": "Ann", "car": "x", "skin": ""}, {"name": "Bo", "car": "x", "skin": ""}]);
    let file = json!({"track": "spa", "number_of_sessions": 2, "players": players, "extras": [], "sessions": [
        {"name": "Qualify", "type": 2, "lapsCount": 0, "duration": 15, "laps": [], "lapstotal": [0, 4, 3],
         "bestLaps": [{"car": 1, "time": 143_743, "lap": 0}, {"car": 2, "time": 142_000, "lap": 0}]},
        {"name": "Race", "type": 3, "lapsCount": 2, "duration": 0, "lapstotal": [0, 2, 2], "raceResult": [2, 1, 0],
         "laps": [lap(1, 0, 150_000), lap(1, 1, 140_000), lap(2, 0, 149_000), lap(2, 1, 140_500)],
         "bestLaps": [{"car": 1, "time": 290_000, "lap": 1}]},
    ]});
    let read = read_value(&file).unwrap();
    let bests: Vec<_> = read.sessions[0].cars.iter().map(|car| (car.driven.entry.as_str(), car.driven.best_lap_us)).collect();
    assert_eq!(bests, [("Ann", Some(143_743_000)), ("Bo", Some(142_000_000))]);
    let race: Vec<_> = read.sessions[1].cars.iter().map(|car| (car.driven.line_us, car.driven.best_lap_us, car.driven.listed)).collect();
    assert_eq!(race, [(Some(290_000_000), Some(140_000_000), Some(2)), (Some(289_500_000), Some(140_500_000), Some(1))]);
    assert_eq!(read.sessions[1].cars[0].driven.crossings_us, [150_000_000, 290_000_000]);
}

#[test]
fn what_is_no_result_file_is_refused() {
    assert_eq!(read(b""), Err(ResultError::NoJson("EOF while parsing a value at line 1 column 0".into())));
    assert!(matches!(read(b"event,entry\n1,2\n"), Err(ResultError::NoJson(_))));
    assert_eq!(read(&[0xff, 0xfe, 0x00, 0xd8]), Err(ResultError::NoText));
    assert_eq!(read(&[0xc3, 0x28, 0x41]), Err(ResultError::NoText));
    for unknown in [json!({}), json!([1]), json!(null), json!({"session_result": []}), json!({"sessionResult": {}}), json!({"data": {}})] {
        assert_eq!(read_value(&unknown), Err(ResultError::Unknown), "{unknown}");
    }
    let row = json!({"finish_position": 0, "laps_complete": 5, "display_name": "A"});
    let with = |field: &str, value: Value| {
        let mut row = row.clone();
        row[field] = value;
        read_value(&json!({"session_results": [session("RACE", "Race", vec![row])]}))
    };
    assert!(with("incidents", json!(3)).is_ok());
    for (field, value) in [
        ("laps_complete", json!(-1)),
        ("laps_complete", json!(1e9)),
        ("laps_complete", json!("5")),
        ("laps_complete", json!(4_000_000_000i64)),
        ("finish_position", json!(-1)),
        ("incidents", json!(-1)),
        ("best_lap_time", json!(i64::MAX)),
        ("interval", json!(i64::MAX)),
        ("driver_results", json!([{"laps_complete": 1}])),
    ] {
        let error = with(field, value.clone()).unwrap_err();
        assert!(matches!(&error, ResultError::Field { .. }), "{field} {value}: {error}");
    }
    let many = (0..600).map(|_| row.clone()).collect();
    assert!(read_value(&json!({"session_results": [session("RACE", "Race", many)]})).is_err());
    assert!(read_value(&json!({"session_results": [session("SOCIAL", "Party", vec![])]})).is_err());
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(matches!(read(deep.as_bytes()), Err(ResultError::NoJson(_))));
}
