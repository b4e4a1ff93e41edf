//! Qualifying, shared cars, teams (docs/RULES.md: `score.qualifying`, `score.shared_car`).

use std::collections::BTreeMap;

use boxbox_race::scoring::{
    ClassificationRules, Distance, DrivenCar, DriverRules, Penalty, PenaltyKind, Per, Points, PointsRules, Share, TeamRules, classify, event_points,
    preset, qualify, share_points, team_scores,
};

fn car(entry: &str, best_lap_us: Option<i64>, best_lap_at_us: Option<i64>) -> DrivenCar {
    DrivenCar { entry: entry.into(), laps: 4, best_lap_us, best_lap_at_us, ..DrivenCar::default() }
}

fn places(cars: &[DrivenCar], penalties: &[Penalty]) -> Vec<(String, Option<u32>)> {
    let classified = qualify(cars, penalties, &ClassificationRules::default());
    classified.into_iter().map(|car| (car.car.entry, car.place)).collect()
}

#[test]
fn qualifying_goes_by_best_laps() {
    let cars = [car("d", Some(91), Some(3)), car("a", Some(90), None), car("c", Some(91), Some(2)), car("b", Some(90), None), car("e", None, None)];
    let expected = [("a", Some(1)), ("b", Some(1)), ("c", Some(3)), ("d", Some(4)), ("e", None)];
    assert_eq!(places(&cars, &[]), expected.map(|(entry, place)| (entry.to_owned(), place)));
    let penalty = |entry: &str, kind| Penalty { entry: entry.into(), kind };
    let penalties = [penalty("a", PenaltyKind::BestLapDeleted { next_us: Some(95) }), penalty("b", PenaltyKind::Time { us: 1_000_000 })];
    let expected = [("b", Some(1)), ("c", Some(2)), ("d", Some(3)), ("a", Some(4)), ("e", None)];
    assert_eq!(places(&cars, &penalties), expected.map(|(entry, place)| (entry.to_owned(), place)));
    let penalties = [penalty("a", PenaltyKind::Positions { places: 2 }), penalty("c", PenaltyKind::Disqualified)];
    let expected = [("b", Some(1)), ("d", Some(2)), ("a", Some(3)), ("e", None), ("c", None)];
    assert_eq!(places(&cars, &penalties), expected.map(|(entry, place)| (entry.to_owned(), place)));
}

#[test]
fn drivers_of_a_shared_car_get_their_share() {
    let laps = BTreeMap::from([("a".to_owned(), 60), ("b".to_owned(), 35), ("c".to_owned(), 5)]);
    let shares = |rules: &DriverRules, leader| share_points(&40.into(), &laps, leader, rules).into_values().collect::<Vec<_>>();
    let tenth = DriverRules { min_share: Points::new(1, 10), ..DriverRules::default() };
    assert_eq!(shares(&tenth, 120), [40.into(), 40.into(), 0.into()]);
    assert_eq!(shares(&DriverRules { share: Share::ByLaps, ..DriverRules::default() }, 120), [24.into(), 14.into(), 2.into()]);
    assert_eq!(shares(&DriverRules { share: Share::Equally, ..tenth.clone() }, 120), [20.into(), 20.into(), 0.into()]);
    // At most half of the 100 laps of the leader of the class.
    assert_eq!(shares(&DriverRules { max_class_share: Some(Points::new(1, 2)), ..tenth.clone() }, 100), [0.into(), 40.into(), 0.into()]);
    assert_eq!(shares(&DriverRules { max_class_share: Some(Points::new(1, 2)), ..tenth }, 120), [40.into(), 40.into(), 0.into()]);
    // Formula 1 of 1955: the fourth place of a car that three shared.
    let rules = preset("f1_1955").unwrap().drivers;
    assert!(share_points(&3.into(), &laps, 90, &rules).into_values().all(|points| points == 1.into()));
}

#[test]
fn teams_count_the_cars_that_the_rules_say() {
    let cars: Vec<DrivenCar> = (1..=4)
        .map(|place| DrivenCar {
            entry: place.to_string(),
            team: if place == 3 { "t".into() } else { "s".into() },
            laps: 9,
            line_us: Some(place),
            best_lap_us: Some(place),
            ..DrivenCar::default()
        })
        .collect();
    let classified = classify(&cars, &[], &ClassificationRules::default());
    let of_session = |points: &PointsRules, rules: &TeamRules| -> Vec<(String, String, Points)> {
        let scores = team_scores(&classified, &[], &Distance::default(), points, true, rules);
        scores.into_iter().map(|score| (score.team, score.entry, score.total)).collect()
    };
    let teams = |name: &str, rules: Option<TeamRules>| {
        let ruleset = preset(name).unwrap();
        let rules = rules.or(ruleset.teams).unwrap();
        event_points(&[of_session(&ruleset.race, &rules)], &rules).into_values().collect::<Vec<_>>()
    };
    assert_eq!(teams("f1_1958", None), [8.into(), 4.into()]);
    assert_eq!(teams("f1_1961", None), [8.into(), 4.into()]);
    assert_eq!(teams("f1_2019", None), [56.into(), 15.into()]);
    assert_eq!(teams("f1_2019", Some(TeamRules { best: Some(2), ..TeamRules::default() })), [44.into(), 15.into()]);
    // The best two cars of each of two sessions, and of both together.
    let one = |entry: &str, points: i64| ("s".to_owned(), entry.to_owned(), Points::from(points));
    let sessions = [vec![one("1", 10), one("2", 8), one("3", 1)], vec![one("1", 1), one("2", 2), one("3", 10)]];
    let best = |per| event_points(&sessions, &TeamRules { best: Some(2), per, ..TeamRules::default() })["s"].clone();
    assert_eq!((best(Per::Session), best(Per::Event)), (30.into(), 22.into()));
}
