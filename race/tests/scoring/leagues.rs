//! A league race and a team race of iRacing: points as awarded, laps and shares of drivers, classes.

use std::collections::BTreeMap;

use boxbox_race::scoring::{ClassificationRules, Distance, DrivenCar, Ended, Points, Rounding, Standing, award, classify, driver_points, preset};
use boxbox_testkit::recordings::recording;

type Row = BTreeMap<String, String>;

fn rows(test: &str, name: &str) -> Option<Vec<Row>> {
    let path = recording(test, name)?;
    Some(csv::Reader::from_path(path).unwrap().deserialize().map(Result::unwrap).collect())
}

fn number<T: std::str::FromStr>(row: &Row, column: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    row[column].parse().unwrap()
}

#[test]
fn the_league_race_has_the_points_that_were_awarded() {
    let Some(rows) = rows("the_league_race_has_the_points_that_were_awarded", "league/iracing_league_race_46557088.csv") else { return };
    let race: Vec<&Row> = rows.iter().filter(|row| row["session"] == "RACE").collect();
    assert_eq!(race.len(), 27);
    let car = |row: &&Row| DrivenCar {
        entry: row["driver"].clone(),
        ended: if row["reason_out"] == "Running" { Ended::Finished } else { Ended::Retired },
        laps: number(row, "laps_complete"),
        listed: Some(number::<u32>(row, "finish_position_0based") + 1),
        ..DrivenCar::default()
    };
    // The league scores every place, also of cars that were disconnected.
    let rules = preset("scca").unwrap();
    let (classification, points) = (rules.classification, rules.race);
    let classified = classify(&race.iter().map(car).collect::<Vec<_>>(), &[], &classification);
    for (place, car) in (1..).zip(&classified) {
        let row = race.iter().find(|row| row["driver"] == car.car.entry).unwrap();
        assert_eq!(number::<u32>(row, "finish_position_0based") + 1, place, "{}", car.car.entry);
    }
    for score in award(&classified, &[], &Distance::default(), &points) {
        let row = race.iter().find(|row| row["driver"] == score.entry).unwrap();
        assert_eq!(score.total, row["league_points"].parse().unwrap(), "{}", score.entry);
    }
}

#[test]
fn drivers_of_the_team_race_score_by_their_share() {
    let Some(rows) = rows("drivers_of_the_team_race_score_by_their_share", "league/iracing_team_race_46219719.csv") else { return };
    let mut teams: BTreeMap<&str, BTreeMap<String, u32>> = BTreeMap::new();
    for row in &rows {
        teams.entry(&row["team"]).or_default().insert(row["driver"].clone(), number(row, "driver_laps"));
    }
    assert_eq!((teams.len(), rows.len()), (57, 83));
    for row in &rows {
        assert_eq!(teams[row["team"].as_str()].values().sum::<u32>(), number::<u32>(row, "team_laps"), "{}", row["team"]);
    }
    for (least, expected) in [(10, 81), (25, 78), (40, 71), (50, 60)] {
        let score = |laps: &BTreeMap<String, u32>| driver_points(&1.into(), laps, &Points::new(least, 100), false);
        let scoring: usize = teams.values().map(|laps| score(laps).values().filter(|points| !points.is_zero()).count()).sum();
        assert_eq!(scoring, expected, "{least} %");
    }
    let mut cars: BTreeMap<&str, DrivenCar> = BTreeMap::new();
    for row in &rows {
        cars.entry(&row["team"]).or_insert_with(|| DrivenCar {
            entry: row["team"].clone(),
            class: row["class"].clone(),
            laps: number(row, "team_laps"),
            listed: Some(number::<u32>(row, "finish_position_0based") + 1),
            ..DrivenCar::default()
        });
    }
    let cars: Vec<DrivenCar> = cars.into_values().collect();
    let enough = |fraction: (i64, i64), rounding| {
        let rules = ClassificationRules { min_fraction: Points::new(fraction.0, fraction.1), rounding, ..ClassificationRules::default() };
        let classified = classify(&cars, &[], &rules);
        ["C1", "C2", "C3", "C4"].map(|class| classified.iter().filter(|car| car.car.class == class && car.status == Standing::Classified).count())
    };
    assert_eq!(enough((9, 10), Rounding::Floor), [6, 10, 11, 4]);
    assert_eq!(enough((6, 10), Rounding::None), [10, 11, 16, 4]);
}
