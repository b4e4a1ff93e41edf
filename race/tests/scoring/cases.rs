//! The worked cases of `league/cases.json`: inputs and results of an independent script.

use std::collections::BTreeMap;

use boxbox_race::scoring::{
    Bonus, BonusKind, BonusTie, ClassificationRules, ClassifiedCar, Counted, Distance, DrivenCar, Ended, EventScore, Guests, Ineligible, Leader,
    Partial, Penalty, PenaltyKind, Points, PointsRules, RetiredOrder, Season, SeasonRules, Standing, TieBreak, TimePenalty, award, classify,
    driver_points, table, team_points,
};
use boxbox_testkit::recordings::recording;
use serde_json::Value;

fn points(value: &Value) -> Points {
    match value {
        Value::String(text) => text.parse().unwrap(),
        other => other.as_i64().unwrap().into(),
    }
}

fn list(value: &Value) -> Vec<Points> {
    value.as_array().unwrap().iter().map(points).collect()
}

fn map(value: &Value) -> BTreeMap<String, Points> {
    value.as_object().unwrap().iter().map(|(key, value)| (key.clone(), points(value))).collect()
}

fn cars(input: &Value) -> Vec<DrivenCar> {
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    let us = |value: &Value| value.as_i64().map(|ms| ms * 1000);
    let car = |row: &Value| DrivenCar {
        entry: text(row, "id"),
        class: text(row, "cls"),
        ended: if row["status"] == "retired" { Ended::Retired } else { Ended::Finished },
        laps: row["laps"].as_u64().unwrap() as u32,
        line_us: us(&row["t_ms"]),
        crossings_us: row["crossings"].as_array().into_iter().flatten().filter_map(us).collect(),
        guest: input["guest"].as_array().is_some_and(|guests| guests.contains(&row["id"])),
        ..DrivenCar::default()
    };
    input["rows"].as_array().unwrap().iter().map(car).collect()
}

fn penalties(value: &Value) -> Vec<Penalty> {
    let one = |row: &Value| {
        let kind = match (row[1].as_str().unwrap(), row[2].as_i64().unwrap_or(0)) {
            ("time", ms) => PenaltyKind::Time { us: ms * 1000 },
            ("dsq", _) => PenaltyKind::Disqualified,
            ("positions", places) => PenaltyKind::Positions { places: places as u32 },
            (other, _) => panic!("the case has an unknown penalty {other}"),
        };
        Penalty { entry: row[0].as_str().unwrap().into(), kind }
    };
    value.as_array().into_iter().flatten().map(one).collect()
}

fn order(cars: &[ClassifiedCar]) -> Value {
    let status = |standing| match standing {
        Standing::Classified => "classified",
        Standing::NotClassified => "not_classified",
        Standing::NotStarted => "not_started",
        Standing::Disqualified => "dsq",
    };
    cars.iter().map(|car| serde_json::json!([car.car.entry, car.place, status(car.status)])).collect()
}

fn scored(cars: &[ClassifiedCar], rules: &PointsRules) -> BTreeMap<String, Points> {
    award(cars, &[], &Distance::default(), rules).into_iter().map(|score| (score.entry, score.total)).collect()
}

fn seasons(input: &Value) -> Vec<Season> {
    let of = |(competitor, events): (&String, &Value)| {
        let event = |(at, event): (usize, &Value)| EventScore {
            points: (!event["p"].is_null()).then(|| points(&event["p"])),
            places: input["positions"][competitor][at].as_u64().map(|place| place as u32).into_iter().collect(),
            disqualified: event["dsq"] == true,
            kept: event["droppable"] == false,
            incidents: if at == 0 { input["incidents"][competitor].as_u64().unwrap_or(0) as u32 } else { 0 },
        };
        Season {
            competitor: competitor.clone(),
            events: events.as_array().unwrap().iter().enumerate().map(event).collect(),
            adjustment: if input["adjust"][competitor].is_null() { Points::default() } else { points(&input["adjust"][competitor]) },
            ..Season::default()
        }
    };
    input["points"].as_object().unwrap().iter().map(of).collect()
}

fn ranked(input: &Value, rules: &SeasonRules) -> Vec<(String, Points, u32, Vec<u32>)> {
    let seasons = seasons(input);
    let events = seasons.iter().map(|season| season.events.len()).max().unwrap();
    table(&seasons, events, rules).into_iter().map(|line| (line.competitor, line.points, line.rank.unwrap(), line.dropped)).collect()
}

fn one_drop() -> SeasonRules {
    SeasonRules { counted: Counted::Drop(vec![1]), ties: vec![TieBreak::Countback], ..SeasonRules::default() }
}

/// `[competitor, …]` rows of the case against the table: each column of the row says what it is.
fn same(got: &[(String, Points, u32, Vec<u32>)], expected: &Value, columns: &[&str]) {
    let rows = expected.as_array().unwrap();
    assert_eq!(got.len(), rows.len());
    for (got, row) in got.iter().zip(rows) {
        for (at, column) in columns.iter().enumerate() {
            let value = match *column {
                "competitor" => Value::from(got.0.clone()),
                "dropped" => Value::from(got.3.clone()),
                "rank" => Value::from(got.2),
                "points" => {
                    assert_eq!(got.1, points(&row[at]), "{row}");
                    continue;
                }
                // What the case says besides, and the table has not.
                _ => continue,
            };
            assert_eq!(value, row[at], "{column} of {row}");
        }
    }
}

const DROPPED_TOTAL: [&str; 5] = ["competitor", "", "dropped", "points", "rank"];

#[test]
fn all_worked_cases() {
    let Some(path) = recording("all_worked_cases", "league/cases.json") else { return };
    let cases: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(cases.len(), 36);
    for case in &cases {
        let id = case["id"].as_str().unwrap();
        println!("{id}: {}", case["title"]);
        one(id, &case["input"], &case["expected"]);
    }
}

fn one(id: &str, input: &Value, expected: &Value) {
    let plain = ClassificationRules::default();
    let with_table = || PointsRules { table: list(&input["table"]), ..PointsRules::default() };
    match id {
        "c01" | "c02" | "c03" | "c04" | "c05" | "c06" | "c07" | "c09" | "c10" => {
            let rules = ClassificationRules {
                time_penalty: if input["mode"] == "lap_equivalent" { TimePenalty::LapEquivalent } else { TimePenalty::SameLap },
                ..plain
            };
            let classified = classify(&cars(input), &penalties(&input["penalties"]), &rules);
            assert_eq!(order(&classified), expected["order"]);
            for (entry, ms) in expected["times"].as_object().into_iter().flatten() {
                let car = classified.iter().find(|car| car.car.entry == *entry).unwrap();
                assert_eq!(car.time_us, Some(ms.as_i64().unwrap() * 1000), "{entry}");
            }
            for (entry, laps) in expected["laps"].as_object().into_iter().flatten() {
                let car = classified.iter().find(|car| car.car.entry == *entry).unwrap();
                assert_eq!(Value::from(car.car.laps), *laps, "{entry}");
            }
            if expected["points"].is_object() {
                assert_eq!(scored(&classified, &with_table()), map(&expected["points"]));
            }
        }
        "c08" => {
            let before = classify(&cars(input), &[], &plain);
            let after = classify(&cars(input), &penalties(&input["penalties"]), &plain);
            assert_eq!(order(&before), expected["before"]);
            assert_eq!(order(&after), expected["after"]);
            assert_eq!(scored(&before, &with_table()), map(&expected["points_before"]));
            assert_eq!(scored(&after, &with_table()), map(&expected["points_after"]));
        }
        "c11" => {
            let classified = classify(&cars(input), &penalties(&input["penalties"]), &plain);
            assert_eq!(order(&classified), expected["overall"]);
            for class in ["X", "Y"] {
                let mut of_class: Vec<_> = classified.iter().filter(|car| car.car.class == class).collect();
                of_class.sort_by_key(|car| car.class_place);
                let entries: Value = of_class.iter().map(|car| car.car.entry.clone()).collect();
                assert_eq!(entries, expected[format!("class_{class}")]);
            }
        }
        "c12" => {
            let car = |(at, entry): (usize, &Value)| DrivenCar {
                entry: entry.as_str().unwrap().into(),
                laps: 50,
                line_us: Some(1_000_000 * (at as i64 + 1)),
                best_lap_us: input["best_lap_ms"][entry.as_str().unwrap()].as_i64(),
                ..DrivenCar::default()
            };
            let cars: Vec<_> = input["order"].as_array().unwrap().iter().enumerate().map(car).collect();
            let classified = classify(&cars, &[], &plain);
            for (name, ineligible) in [("holder_or_nobody", Ineligible::Nobody), ("best_eligible", Ineligible::BestEligible)] {
                let bonus = Bonus {
                    kind: BonusKind::FastestLap,
                    points: 1.into(),
                    top: Some(10),
                    classified: true,
                    min_distance: None,
                    ineligible,
                    tie: BonusTie::All,
                };
                let scores = award(&classified, &[], &Distance::default(), &PointsRules { bonuses: vec![bonus], ..with_table() });
                let holders: Value =
                    scores.iter().filter(|score| score.why.iter().any(|why| why.rule == "fastest lap")).map(|score| score.entry.clone()).collect();
                assert_eq!(holders, expected[name]["awarded_to"]);
                assert_eq!(scores.iter().map(|score| score.total.clone()).sum::<Points>(), points(&expected[name]["sum"]));
            }
        }
        "c13" => {
            let classified = classify(&cars(input), &[], &plain);
            let f1 = [25, 18, 15, 12, 10, 8, 6, 4, 2, 1].map(Points::from).to_vec();
            let partial = |below: (i64, i64), table: &[i64]| Partial {
                below: Points::new(below.0, below.1),
                table: table.iter().map(|points| Points::from(*points)).collect(),
                factor: Points::new(1, 2),
            };
            let half = PointsRules { table: f1.clone(), partial: vec![partial((3, 4), &[])], ..PointsRules::default() };
            let reduced = vec![
                partial((3, 4), &[19, 14, 12, 9, 8, 6, 5, 3, 2, 1]),
                partial((1, 4), &[6, 4, 3, 2, 1]),
                partial((1, 2), &[13, 10, 8, 6, 5, 4, 3, 2, 1]),
            ];
            let of_2022 = PointsRules { table: f1, partial: reduced, ..PointsRules::default() };
            for (name, rules, part) in
                [("half", &half, (1, 2)), ("t2022_under25", &of_2022, (1, 10)), ("t2022_25_50", &of_2022, (1, 4)), ("t2022_50_75", &of_2022, (1, 2))]
            {
                let distance = Distance { part: Points::new(part.0, part.1), ..Distance::default() };
                let got: BTreeMap<_, _> = award(&classified, &[], &distance, rules).into_iter().map(|score| (score.entry, score.total)).collect();
                assert_eq!(got, map(&expected[name]), "{name}");
            }
        }
        "c14" => {
            let classified = classify(&cars(input), &[], &plain);
            for (name, guests) in [("close_up", Guests::CloseUp), ("keep_place", Guests::KeepPlace)] {
                assert_eq!(scored(&classified, &PointsRules { guests, ..with_table() }), map(&expected[name]));
            }
        }
        "c15" => {
            let scores = map(&input["driver_points"]);
            let with_team = || scores.iter().map(|(driver, points)| (input["team"][driver].as_str().unwrap(), points));
            for (name, best) in [("best1", Some(1)), ("best2", Some(2)), ("all", None)] {
                assert_eq!(team_points(with_team(), best), map(&expected[name]), "{name}");
            }
        }
        "c16" => {
            let laps: BTreeMap<String, u32> =
                input["stints_laps"].as_object().unwrap().iter().map(|(driver, laps)| (driver.clone(), laps.as_u64().unwrap() as u32)).collect();
            let least = Points::new(1, 10);
            assert_eq!(driver_points(&40.into(), &laps, &least, false), map(&expected["points"]["full_to_eligible"]));
            assert_eq!(driver_points(&40.into(), &laps, &least, true), map(&expected["points"]["split_by_laps"]));
        }
        "c17" => {
            let places = input["positions"].as_object().unwrap();
            let place = |entry: &str, at: &str| input["positions"][entry][at].as_u64().map(|place| place as u32);
            // Cars that the case does not name fill the other places.
            let car = |finish: u32| {
                let named = places.keys().find(|entry| place(entry, "finish") == Some(finish));
                DrivenCar {
                    entry: named.cloned().unwrap_or_else(|| format!("other {finish}")),
                    laps: 200,
                    line_us: Some(i64::from(finish)),
                    stages: named.map(|entry| vec![place(entry, "stage1"), place(entry, "stage2")]).unwrap_or_default(),
                    ..DrivenCar::default()
                }
            };
            let classified = classify(&(1..=40).map(car).collect::<Vec<_>>(), &[], &plain);
            let stage = |at| Bonus {
                kind: BonusKind::Stage(at, list(&input["stage_table"])),
                points: Points::default(),
                top: None,
                classified: false,
                min_distance: None,
                ineligible: Ineligible::Nobody,
                tie: BonusTie::All,
            };
            let rules = PointsRules { table: list(&input["finish_table"]), ..PointsRules::default() };
            assert_eq!(scored(&classified, &rules).into_values().sum::<Points>(), points(&expected["table_sum_40_cars"]));
            let got = scored(&classified, &PointsRules { bonuses: vec![stage(0), stage(1)], ..rules });
            for (entry, expected) in map(&expected["points"]) {
                assert_eq!(got[&entry], expected, "{entry}");
            }
        }
        "c18" => {
            let rules = SeasonRules { ties: vec![TieBreak::Countback], ..SeasonRules::default() };
            same(&ranked(input, &rules), &expected["with_double"], &["competitor", "rank", "points"]);
        }
        "c19" => same(&ranked(input, &one_drop()), expected, &DROPPED_TOTAL),
        "c20" => {
            let rules = SeasonRules { absence_not_droppable: true, ..one_drop() };
            same(&ranked(input, &rules), expected, &DROPPED_TOTAL);
        }
        "c21" => {
            let columns = ["competitor", "dropped", "points", "rank"];
            same(&ranked(input, &one_drop()), &expected["not_droppable"], &columns);
            same(&ranked(input, &SeasonRules { disqualification_droppable: true, ..one_drop() }), &expected["droppable"], &columns);
        }
        "c22" => {
            let columns = ["competitor", "points", "rank"];
            same(&ranked(input, &one_drop()), &expected["all_results"], &columns);
            let counted = SeasonRules { ties: vec![TieBreak::CountbackCounted], ..one_drop() };
            same(&ranked(input, &counted), &expected["counted_only"], &columns);
        }
        "c23" => same(&ranked(input, &one_drop()), expected, &["competitor", "dropped", "points"]),
        "c24" => {
            let rules = SeasonRules { not_droppable: vec![3], ..one_drop() };
            same(&ranked(input, &rules), expected, &["competitor", "dropped", "points", "rank"]);
        }
        "c25" => {
            let columns = ["competitor", "points", "rank"];
            same(&ranked(input, &SeasonRules::default()), &expected["no_floor"], &columns);
            same(&ranked(input, &SeasonRules { floor_zero: true, ..SeasonRules::default() }), &expected["floor0"], &columns);
        }
        "c26" => {
            let penalty = points(&input["penalty"]);
            let mut scores = list(&input["event_points"]);
            let season = |scores: Vec<Points>, adjustment| Season {
                competitor: "A".into(),
                events: scores.into_iter().map(|points| EventScore { points: Some(points), ..EventScore::default() }).collect(),
                adjustment,
                ..Season::default()
            };
            let on_season = table(&[season(scores.clone(), -penalty.clone())], 3, &one_drop());
            scores[1] = scores[1].clone() - penalty;
            let on_event = table(&[season(scores, Points::default())], 3, &one_drop());
            for (got, name) in [(on_event, "on_event"), (on_season, "on_season")] {
                assert_eq!(Value::from(got[0].dropped.clone()), expected[name][0]);
                assert_eq!(got[0].points, points(&expected[name][1]), "{name}");
            }
        }
        "c27" => {
            // Who changes class goes on as another competitor (`points_stay`), or takes the scores along (`points_move`).
            let scores = input["scores"].as_array().unwrap();
            let last = |driver: &Value| scores.iter().rev().find(|row| row[0] == *driver).unwrap()[2].clone();
            let sum = |class: &dyn Fn(&Value) -> Value| {
                let mut sums: BTreeMap<String, BTreeMap<String, Points>> = BTreeMap::new();
                for row in scores {
                    let of_class = sums.entry(class(row).as_str().unwrap().into()).or_default();
                    *of_class.entry(row[0].as_str().unwrap().into()).or_default() += points(&row[3]);
                }
                sums
            };
            for (name, sums) in [("points_stay", sum(&|row| row[2].clone())), ("points_move", sum(&|row| last(&row[0])))] {
                let expected: BTreeMap<String, _> = expected[name].as_object().unwrap().iter().map(|(class, of)| (class.clone(), map(of))).collect();
                assert_eq!(sums, expected, "{name}");
            }
        }
        "c28" => {
            let before = map(&input["before"]);
            for (name, penalties) in [("rev1", vec![]), ("rev2", penalties(&serde_json::json!([["A", "dsq", 0]])))] {
                let got = scored(&classify(&cars(input), &penalties, &plain), &with_table());
                let total: BTreeMap<_, _> = before.iter().map(|(entry, points)| (entry.clone(), points.clone() + got[entry].clone())).collect();
                assert_eq!(total, map(&expected[name]), "{name}");
            }
        }
        "c29" => {
            let best = |numbers: &Value, n: usize| {
                let mut all = list(numbers);
                all.sort_by(|a, b| b.cmp(a));
                all.truncate(n);
                all
            };
            let counted = best(&input["week_races"], input["week_races"].as_array().unwrap().len().div_ceil(4));
            assert_eq!(counted.iter().cloned().sum::<Points>() / counted.len(), points(&expected["week"]));
            let season = Season {
                competitor: "A".into(),
                events: list(&input["weeks"]).into_iter().map(|points| EventScore { points: Some(points), ..EventScore::default() }).collect(),
                ..Season::default()
            };
            let line = table(&[season], 12, &SeasonRules { counted: Counted::Best(vec![8]), ..SeasonRules::default() }).remove(0);
            assert_eq!(line.points, points(&expected["season"]));
        }
        "c30" => {
            let season = Season {
                competitor: "A".into(),
                events: list(&input["points"]).into_iter().map(|points| EventScore { points: Some(points), ..EventScore::default() }).collect(),
                ..Season::default()
            };
            let parts: Vec<usize> = input["parts"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect();
            for (name, counted) in [("best4_each", Counted::Best(vec![4])), ("all_but_one_each", Counted::Drop(vec![1])), ("gross", Counted::All)] {
                let rules = SeasonRules { parts: parts.clone(), counted, ..SeasonRules::default() };
                assert_eq!(table(std::slice::from_ref(&season), 15, &rules)[0].points, points(&expected[name]), "{name}");
            }
        }
        "c31" => {
            for (name, retired) in [("line", RetiredOrder::Line), ("finishers_first", RetiredOrder::FinishersFirst)] {
                let rules = ClassificationRules { retired, ..ClassificationRules::default() };
                assert_eq!(order(&classify(&cars(input), &[], &rules)), expected[name], "{name}");
            }
        }
        "c32" => {
            let rules = ClassificationRules { drive_through_us: input["conversion_ms"].as_i64().unwrap() * 1000, ..plain };
            let penalties = [Penalty { entry: "A".into(), kind: PenaltyKind::DriveThrough }];
            assert_eq!(order(&classify(&cars(input), &penalties, &rules)), expected["order"]);
        }
        "c33" => {
            let with = |ties: &[TieBreak]| ranked(input, &SeasonRules { ties: ties.to_vec(), ..SeasonRules::default() });
            same(&with(&[TieBreak::Countback]), &expected["countback_only"], &["competitor", "points", "rank"]);
            let columns = ["competitor", "rank"];
            same(&with(&[TieBreak::Countback, TieBreak::LatestResult]), &expected["with_latest_result"], &columns);
            same(&with(&[TieBreak::Countback, TieBreak::FewerIncidents]), &expected["with_fewer_incidents"], &columns);
        }
        "c34" => {
            let car = |at: u32| DrivenCar {
                entry: format!("{at:02}"),
                laps: 50,
                line_us: Some(at.into()),
                best_lap_us: Some(at.into()),
                ..DrivenCar::default()
            };
            let classified = classify(&(1..=20).map(car).collect::<Vec<_>>(), &[], &plain);
            let sum = |rules: &PointsRules| scored(&classified, rules).into_values().sum::<Points>();
            assert_eq!(sum(&with_table()), points(&expected["sum"]));
            assert_eq!(sum(&PointsRules { multiplier: Points::new(1, 2), ..with_table() }), points(&expected["half"]));
            assert_eq!(sum(&PointsRules { multiplier: 2.into(), ..with_table() }), points(&expected["double"]));
        }
        "c35" => {
            let rules = ClassificationRules { of: Leader::Class, ..plain };
            let classified = classify(&cars(input), &[], &rules);
            assert_eq!(order(&classified), expected["overall"]);
            let class: BTreeMap<_, _> =
                classified.iter().filter_map(|car| Some((car.car.entry.clone(), Points::from(i64::from(car.class_place?))))).collect();
            assert_eq!(class, map(&expected["class_position"]));
            let mut got = scored(&classified, &with_table());
            got.retain(|_, points| !points.is_zero());
            assert_eq!(got, map(&expected["points"]));
        }
        "c36" => {
            let scores = input["scores"].as_array().unwrap();
            let sums = |column: usize| {
                let mut sums: BTreeMap<String, Points> = BTreeMap::new();
                scores.iter().for_each(|row| *sums.entry(row[column].as_str().unwrap().into()).or_default() += points(&row[3]));
                sums
            };
            assert_eq!(sums(0), map(&expected["drivers"]));
            let rows: Vec<(&str, Points)> = scores.iter().map(|row| (row[1].as_str().unwrap(), points(&row[3]))).collect();
            assert_eq!(team_points(rows.iter().map(|(team, points)| (*team, points)), None), map(&expected["teams"]));
        }
        other => panic!("no test for case {other}"),
    }
}
