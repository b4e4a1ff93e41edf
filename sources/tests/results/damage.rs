//! No bytes make the reader of result files stop with a panic.

use boxbox_sources::results::read;
use proptest::prelude::*;
use serde_json::{Value, json};

/// Small files of every form.
fn files() -> Vec<String> {
    let row = json!({"cust_id": 1, "team_id": -4, "display_name": "A", "finish_position": 0, "laps_complete": 5, "starting_position": 1,
        "laps_lead": 1, "interval": 0, "best_lap_time": 900_000, "incidents": 2, "reason_out": "Running", "car_class_id": 3,
        "livery": {"car_number": "5"}, "driver_results": [{"cust_id": 2, "display_name": "B", "laps_complete": 5}]});
    let line = json!({"car": {"carId": 1, "raceNumber": 5, "carGroup": "GT3", "teamName": "", "drivers": [{"firstName": "A", "lastName": "B", "playerId": "S1"}]},
        "timing": {"bestLap": 90_000, "totalTime": 900_000, "lapCount": 9}, "bIsSpectator": false});
    [
        json!({"track": {"track_name": "T"}, "session_results": [{"simsession_name": "RACE", "simsession_type_name": "Race", "results": [row]}]}),
        json!({"sessionType": "R", "trackName": "T", "sessionResult": {"leaderBoardLines": [line]}, "laps": [{"carId": 1, "driverIndex": 0}], "penalties": []}),
        json!({"TrackName": "T", "Type": "RACE", "Cars": [{"CarId": 0, "Driver": {"Team": "T"}}],
            "Result": [{"DriverName": "A", "DriverGuid": "1", "CarId": 0, "BestLap": 90_000, "TotalTime": 900_000}],
            "Laps": [{"CarId": 0, "DriverGuid": "1"}]}),
        json!({"track": "T", "players": [{"name": "A"}], "sessions": [{"name": "Race", "type": 3, "lapstotal": [1], "laps": [{"car": 0, "time": 9}],
            "bestLaps": [{"car": 0, "time": 9}], "raceResult": [0]}]}),
    ]
    .iter()
    .map(Value::to_string)
    .collect()
}

/// Puts `with` in the place of the `at`-th value that is no list and no object.
fn replace(value: &mut Value, at: &mut usize, with: &Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, at, with)),
        Value::Object(members) => members.values_mut().for_each(|member| replace(member, at, with)),
        leaf => {
            if *at == 0 {
                *leaf = with.clone();
            }
            *at = at.wrapping_sub(1);
        }
    }
}

fn strange() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(|n| json!(n)),
        any::<u64>().prop_map(|n| json!(n)),
        any::<f64>().prop_map(|n| json!(n)),
        "\\PC{0,20}".prop_map(|text| json!(text)),
        Just(json!(null)),
        Just(json!(true)),
        Just(json!([])),
        Just(json!({})),
        Just(json!([[1], {"a": 2}])),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_strange_value_in_any_place_is_read_or_refused(file in 0usize..4, at in 0usize..30, with in strange()) {
        let mut value: Value = serde_json::from_str(&files()[file]).unwrap();
        prop_assert!(read(value.to_string().as_bytes()).is_ok());
        replace(&mut value, &mut at.clone(), &with);
        let _ = read(value.to_string().as_bytes());
    }

    #[test]
    fn damaged_bytes_are_read_or_refused(file in 0usize..4, wide: bool, flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6), cut in any::<prop::sample::Index>(), shorten: bool) {
        let text = &files()[file];
        let mut bytes: Vec<u8> = if wide { text.encode_utf16().flat_map(u16::to_le_bytes).collect() } else { text.clone().into_bytes() };
        for (at, with) in flips {
            let at = at.index(bytes.len());
            bytes[at] = with;
        }
        if shorten {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(file) = read(&bytes) {
            // What is read can be scored.
            for session in file.sessions {
                let cars: Vec<_> = session.cars.into_iter().map(|car| car.driven).collect();
                let classified = boxbox_race::scoring::classify(&cars, &[], &Default::default());
                prop_assert_eq!(classified.len(), cars.len());
            }
        }
    }

    #[test]
    fn random_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(read(&bytes).is_err());
    }
}
