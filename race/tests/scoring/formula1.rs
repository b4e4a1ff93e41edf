//! Formula 1: official order of 68 sessions with time penalties, and the championships of eight seasons after every race.

use std::collections::BTreeMap;

use boxbox_race::scoring::{
    ClassificationRules, Distance, DrivenCar, Ended, EventScore, Penalty, PenaltyKind, Points, PointsRules, Ruleset, Season, Standing, award,
    classify, preset, table, team_points,
};
use boxbox_testkit::recordings::recording;

type Row = BTreeMap<String, String>;

fn rows(test: &str, name: &str) -> Option<Vec<Row>> {
    let path = recording(test, name)?;
    Some(csv::Reader::from_path(path).unwrap().deserialize().map(Result::unwrap).collect())
}

fn number<T: std::str::FromStr>(row: &Row, column: &str) -> Option<T> {
    row[column].parse().ok()
}

#[test]
fn sessions_with_time_penalties_come_out_in_official_order() {
    let Some(rows) = rows("sessions_with_time_penalties_come_out_in_official_order", "league/f1_time_penalties_2021_2024.csv") else { return };
    let mut sessions: BTreeMap<(String, String, String), Vec<Row>> = BTreeMap::new();
    rows.into_iter().for_each(|row| sessions.entry((row["season"].clone(), row["round"].clone(), row["kind"].clone())).or_default().push(row));
    assert_eq!(sessions.len(), 68);
    let (mut penalties_seen, mut changed) = (0, 0);
    for (session, rows) in &sessions {
        let car = |row: &Row| DrivenCar {
            entry: row["car"].clone(),
            ended: match row["status"].as_str() {
                "DNS" => Ended::NotStarted,
                "DNF" => Ended::Retired,
                _ => Ended::Finished,
            },
            laps: number(row, "laps").unwrap_or(0),
            line_us: number::<i64>(row, "time_on_the_road_ms").map(|ms| ms * 1000),
            listed: number(row, "official_position"),
            ..DrivenCar::default()
        };
        let cars: Vec<DrivenCar> = rows.iter().map(car).collect();
        let mut penalties: Vec<Penalty> = vec![];
        for row in rows {
            if let Some(ms) = number::<i64>(row, "penalty_ms").filter(|ms| *ms > 0) {
                penalties.push(Penalty { entry: row["car"].clone(), kind: PenaltyKind::Time { us: ms * 1000 } });
                penalties_seen += 1;
            }
            if row["status"] == "DSQ" {
                penalties.push(Penalty { entry: row["car"].clone(), kind: PenaltyKind::Disqualified });
            }
        }
        let classified = classify(&cars, &penalties, &ClassificationRules::default());
        let official: BTreeMap<&str, &Row> = rows.iter().map(|row| (row["car"].as_str(), row)).collect();
        for car in &classified {
            let row = official[car.car.entry.as_str()];
            assert_eq!(car.status == Standing::Classified, row["status"] == "classified", "{session:?} car {}", car.car.entry);
        }
        let timed = |cars: &[boxbox_race::scoring::ClassifiedCar]| -> Vec<String> {
            cars.iter()
                .filter(|car| car.status == Standing::Classified && number::<i64>(official[car.car.entry.as_str()], "time_on_the_road_ms").is_some())
                .map(|car| car.car.entry.clone())
                .collect()
        };
        let mut expected = timed(&classified);
        expected.sort_by_key(|entry| number::<u32>(official[entry.as_str()], "official_position"));
        assert_eq!(timed(&classified), expected, "{session:?}");
        let only_disqualified: Vec<_> = penalties.into_iter().filter(|penalty| penalty.kind == PenaltyKind::Disqualified).collect();
        changed += usize::from(timed(&classify(&cars, &only_disqualified, &ClassificationRules::default())) != expected);
    }
    assert_eq!((penalties_seen, changed), (121, 40));
}

fn rules_of(season: u32) -> Ruleset {
    let rules = preset(&format!("f1_{season}")).unwrap();
    assert!(rules.verified, "{season} is computed again here");
    rules
}

/// The part of the distance that was driven in races that were too short, from the official reports: Belgium 2021 ended after 1 of 44 laps
/// that counts. Japan 2022 was short too, but gave full points, because that year's rule meant only races that did not resume.
fn distance(season: u32, round: u32) -> Distance {
    if (season, round) == (2021, 12) { Distance { part: Points::new(1, 44), ..Distance::default() } } else { Distance::default() }
}

/// Who had the fastest lap where the source has no lap times at all: Monaco 2024 (race 1128), from the official classification of laps.
const FASTEST_LAPS: [(&str, &str); 1] = [("1128", "1")];

fn session(rows: &[&Row], rules: &Ruleset, points: &PointsRules, distance: &Distance) -> Vec<(String, Points, Option<u32>)> {
    let fastest = |row: &Row| FASTEST_LAPS.contains(&(row["raceId"].as_str(), row["driverId"].as_str()));
    let car = |row: &&Row| DrivenCar {
        entry: row["driverId"].clone(),
        ended: match row["positionText"].as_str() {
            "W" | "F" => Ended::NotStarted,
            "R" | "N" => Ended::Retired,
            _ => Ended::Finished,
        },
        laps: number(row, "laps").unwrap_or(0),
        listed: number(row, "positionOrder"),
        // The rank of the best lap orders as its time does; 0 is no lap.
        best_lap_us: number(row, "rank").filter(|rank| *rank > 0).or_else(|| fastest(row).then_some(1)),
        ..DrivenCar::default()
    };
    let cars: Vec<DrivenCar> = rows.iter().map(car).collect();
    let out = |row: &&&Row| matches!(row["positionText"].as_str(), "D" | "E");
    let penalties: Vec<Penalty> =
        rows.iter().filter(out).map(|row| Penalty { entry: row["driverId"].clone(), kind: PenaltyKind::Disqualified }).collect();
    let classified = classify(&cars, &penalties, &rules.classification);
    let scores = award(&classified, &penalties, distance, points);
    scores.into_iter().map(|score| (score.entry, score.total, score.place)).collect()
}

/// Season, round and driver where the source ranks drivers of equal points otherwise. In the first five, two drivers have exactly the same
/// places, so they share a rank here, and the source gives the second one the next rank. After Spain 2022 both drivers have 11 points; the
/// better best place, sixth against seventh, is ahead here and behind in the source.
const OTHERWISE: [(u32, u32, &str); 7] =
    [(1988, 7, "158"), (1990, 4, "131"), (2008, 2, "17"), (2008, 5, "15"), (2022, 2, "842"), (2022, 6, "817"), (2022, 6, "852")];

#[test]
fn every_driver_after_every_race_of_eight_seasons() {
    let test = "every_driver_after_every_race_of_eight_seasons";
    let (Some(races), Some(results), Some(sprints), Some(standings)) = (
        rows(test, "f1_cc0/races.csv"),
        rows(test, "f1_cc0/results.csv"),
        rows(test, "f1_cc0/sprint_results.csv"),
        rows(test, "f1_cc0/driver_standings.csv"),
    ) else {
        return;
    };
    let mut calendar: BTreeMap<u32, BTreeMap<u32, String>> = BTreeMap::new();
    for race in &races {
        calendar.entry(number(race, "year").unwrap()).or_default().insert(number(race, "round").unwrap(), race["raceId"].clone());
    }
    let (mut compared, mut wrong_points, mut wrong_order) = (0, vec![], vec![]);
    for (season, rounds) in &calendar {
        let rules = rules_of(*season);
        let mut seasons: BTreeMap<String, Season> = BTreeMap::new();
        for (index, (round, race)) in rounds.iter().enumerate() {
            let of = |all: &[Row]| all.iter().filter(|row| row["raceId"] == *race).cloned().collect::<Vec<Row>>();
            let (raced, sprinted) = (of(&results), of(&sprints));
            let scored = session(&raced.iter().collect::<Vec<_>>(), &rules, &rules.race, &distance(*season, *round));
            for (driver, points, place) in scored {
                let season = seasons.entry(driver.clone()).or_insert_with(|| Season { competitor: driver, ..Season::default() });
                season.events.resize(index + 1, EventScore::default());
                let event = &mut season.events[index];
                *event = EventScore { points: Some(points), places: place.into_iter().collect(), ..EventScore::default() };
            }
            if let Some(sprint) = rules.sprint.as_ref().filter(|_| !sprinted.is_empty()) {
                for (driver, points, _) in session(&sprinted.iter().collect::<Vec<_>>(), &rules, sprint, &Distance::default()) {
                    let season = seasons.entry(driver.clone()).or_insert_with(|| Season { competitor: driver, ..Season::default() });
                    season.events.resize(index + 1, EventScore::default());
                    let event = &mut season.events[index];
                    event.points = Some(event.points.clone().unwrap_or_default() + points);
                }
            }
            let all: Vec<Season> = seasons.values().cloned().collect();
            let lines = table(&all, index + 1, &rules.season);
            for line in lines.iter().filter(|line| !line.points.is_zero()) {
                let Some(official) = standings.iter().find(|row| row["raceId"] == *race && row["driverId"] == line.competitor) else {
                    wrong_points.push(format!("{season} round {round}: driver {} is not in the standings", line.competitor));
                    continue;
                };
                compared += 1;
                if line.points != official["points"].parse().unwrap() {
                    wrong_points
                        .push(format!("{season} round {round}: driver {} has {}, official {}", line.competitor, line.points, official["points"]));
                }
                let otherwise = OTHERWISE.contains(&(*season, *round, line.competitor.as_str()));
                if (line.rank != number(official, "position")) != otherwise {
                    wrong_order
                        .push(format!("{season} round {round}: driver {} is {:?}, official {}", line.competitor, line.rank, official["position"]));
                }
            }
        }
    }
    println!("{compared} places compared");
    assert_eq!(wrong_points, Vec::<String>::new());
    assert_eq!(wrong_order, Vec::<String>::new());
}

#[test]
fn team_standings_of_eight_seasons() {
    let test = "team_standings_of_eight_seasons";
    let (Some(rounds), Some(standings)) = (rows(test, "league/f1_team_points_by_round.csv"), rows(test, "league/f1_team_standings.csv")) else {
        return;
    };
    let mut wrong = vec![];
    let years: std::collections::BTreeSet<&str> = standings.iter().map(|row| row["season"].as_str()).collect();
    for year in years {
        let rules = rules_of(year.parse().unwrap()).teams.unwrap().season;
        let of_year: Vec<&Row> = rounds.iter().filter(|row| row["season"] == year).collect();
        let events = of_year.iter().filter_map(|row| number::<usize>(row, "round")).max().unwrap();
        let mut seasons: BTreeMap<String, Season> = BTreeMap::new();
        for round in 1..=events {
            let of_round = of_year.iter().filter(|row| number(row, "round") == Some(round));
            let scores: Vec<(&str, Points)> = of_round.clone().map(|row| (row["team"].as_str(), row["points"].parse().unwrap())).collect();
            for (team, points) in team_points(scores.iter().map(|(team, points)| (*team, points)), None) {
                let season = seasons.entry(team.clone()).or_insert_with(|| Season { competitor: team.clone(), ..Season::default() });
                season.events.resize(round, EventScore::default());
                let races = of_round.clone().filter(|row| row["team"] == team && row["kind"] == "race");
                let places = races.filter_map(|row| number(row, "car_position")).collect();
                season.events[round - 1] = EventScore { points: Some(points), places, ..EventScore::default() };
            }
        }
        let lines = table(&seasons.into_values().collect::<Vec<_>>(), events, &rules);
        for official in standings.iter().filter(|row| row["season"] == year) {
            let line = lines.iter().find(|line| line.competitor == official["team"]);
            let points = line.map(|line| line.points.clone()).unwrap_or_default();
            let published: Points = official["published_points"].parse().unwrap();
            if points != published {
                wrong.push(format!("{year} {}: {points}, published {published}", official["team"]));
            }
            if !published.is_zero() && line.and_then(|line| line.rank) != number(official, "published_position") {
                wrong.push(format!(
                    "{year} {}: rank {:?}, published {}",
                    official["team"],
                    line.and_then(|line| line.rank),
                    official["published_position"]
                ));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}
