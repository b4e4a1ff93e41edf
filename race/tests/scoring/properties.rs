//! What holds for every session and every season, by random generation (docs/RULES.md: `score.*`).

use std::collections::BTreeMap;

use boxbox_race::scoring::{
    ClassificationRules, Counted, Distance, DrivenCar, Ended, EventScore, Guests, Penalty, PenaltyKind, Points, PointsRules, Season, SeasonRules,
    Standing, TieBreak, award, classify, table,
};
use proptest::prelude::*;

fn car(at: usize, (laps, late_us, retired, class, guest): (u32, i64, bool, u8, bool)) -> DrivenCar {
    DrivenCar {
        entry: format!("car {at:02}"),
        class: class.to_string(),
        ended: if retired { Ended::Retired } else { Ended::Finished },
        laps,
        line_us: Some(i64::from(laps) * 90_000_000 + late_us),
        grid: Some(at as u32 + 1),
        guest,
        ..DrivenCar::default()
    }
}

prop_compose! {
    fn field()(cars in prop::collection::vec((0u32..21, (0i64..40).prop_map(|s| s * 500_000), prop::bool::weighted(0.2), 0u8..3, prop::bool::weighted(0.1)), 1..30)) -> Vec<DrivenCar> {
        cars.into_iter().enumerate().map(|(at, of)| car(at, of)).collect()
    }
}

fn penalty(cars: usize) -> impl Strategy<Value = Penalty> {
    let kind = prop_oneof![
        (1i64..60).prop_map(|s| PenaltyKind::Time { us: s * 1_000_000 }),
        (1u32..5).prop_map(|places| PenaltyKind::Positions { places }),
        Just(PenaltyKind::Disqualified),
        Just(PenaltyKind::DriveThrough),
        (1i64..5).prop_map(|points| PenaltyKind::Points { points: points.into() }),
    ];
    (0..cars, kind).prop_map(|(at, kind)| Penalty { entry: format!("car {at:02}"), kind })
}

fn points_rules() -> PointsRules {
    PointsRules { table: [25, 18, 15, 12, 10, 8, 6, 4, 2, 1].map(Points::from).to_vec(), ..PointsRules::default() }
}

fn totals(cars: &[DrivenCar], penalties: &[Penalty], points: &PointsRules) -> BTreeMap<String, Points> {
    let classified = classify(cars, penalties, &ClassificationRules::default());
    award(&classified, penalties, &Distance::default(), points).into_iter().map(|score| (score.entry, score.total)).collect()
}

/// Where a car stands: its place, or behind all places.
fn rank(cars: &[DrivenCar], penalties: &[Penalty], entry: &str) -> u32 {
    let classified = classify(cars, penalties, &ClassificationRules::default());
    classified.iter().find(|car| car.car.entry == entry).unwrap().class_place.unwrap_or(u32::MAX)
}

proptest! {
    #[test]
    fn the_order_of_the_input_changes_nothing(mut cars in field(), mut penalties in prop::collection::vec(penalty(10), 0..6), seed in any::<u64>()) {
        let before = totals(&cars, &penalties, &points_rules());
        let order: Vec<_> = classify(&cars, &penalties, &ClassificationRules::default());
        let mut random = fastrand::Rng::with_seed(seed);
        random.shuffle(&mut cars);
        random.shuffle(&mut penalties);
        prop_assert_eq!(totals(&cars, &penalties, &points_rules()), before);
        prop_assert_eq!(classify(&cars, &penalties, &ClassificationRules::default()), order);
    }

    #[test]
    fn a_penalty_never_improves_the_penalised_car(cars in field(), penalties in prop::collection::vec(penalty(10), 0..6), extra in penalty(10)) {
        prop_assume!(cars.iter().any(|car| car.entry == extra.entry));
        let with: Vec<Penalty> = penalties.iter().cloned().chain([extra.clone()]).collect();
        prop_assert!(rank(&cars, &with, &extra.entry) >= rank(&cars, &penalties, &extra.entry));
        let (before, after) = (totals(&cars, &penalties, &points_rules()), totals(&cars, &with, &points_rules()));
        prop_assert!(after[&extra.entry] <= before[&extra.entry]);
    }

    #[test]
    fn places_that_are_all_filled_give_the_whole_table(cars in field()) {
        let cars: Vec<DrivenCar> = cars.into_iter().map(|car| DrivenCar { guest: false, class: String::new(), ..car }).collect();
        let classified = classify(&cars, &[], &ClassificationRules::default()).iter().filter(|car| car.status == Standing::Classified).count();
        let whole: Points = points_rules().table.into_iter().take(classified).sum();
        let scored: Points = totals(&cars, &[], &points_rules()).into_values().sum();
        // A shared last scoring place shares points of places that no other car has; never more than the table.
        prop_assert!(scored <= points_rules().table.into_iter().sum());
        prop_assert!(classified < 10 || scored >= whole);
    }

    #[test]
    fn closing_up_never_takes_points_from_anyone(cars in field()) {
        let kept = totals(&cars, &[], &PointsRules { guests: Guests::KeepPlace, ..points_rules() });
        let closed = totals(&cars, &[], &points_rules());
        prop_assert!(kept.iter().all(|(entry, points)| closed[entry] >= *points));
    }

    #[test]
    fn a_class_scores_as_if_it_raced_alone(cars in field(), penalties in prop::collection::vec(penalty(10), 0..6)) {
        let all = totals(&cars, &penalties, &points_rules());
        for class in ["0", "1", "2"] {
            let alone: Vec<DrivenCar> = cars.iter().filter(|car| car.class == class).cloned().collect();
            for (entry, points) in totals(&alone, &penalties, &points_rules()) {
                prop_assert_eq!(&all[&entry], &points);
            }
        }
    }

    #[test]
    fn the_counted_events_are_the_best_that_may_count(scores in prop::collection::vec(prop::option::of(0i64..30), 1..12), drops in 0usize..14, raised in 0usize..12) {
        let season = |scores: &[Option<i64>]| Season {
            competitor: "A".into(),
            events: scores.iter().map(|points| EventScore { points: points.map(Points::from), ..EventScore::default() }).collect(),
            ..Season::default()
        };
        let rules = SeasonRules { counted: Counted::Drop(vec![drops]), ..SeasonRules::default() };
        let line = table(&[season(&scores)], scores.len(), &rules).remove(0);
        let mut best: Vec<i64> = scores.iter().map(|points| points.unwrap_or(0)).collect();
        best.sort_unstable_by(|a, b| b.cmp(a));
        let counted: i64 = best.iter().take(scores.len().saturating_sub(drops)).sum();
        prop_assert_eq!(&line.points, &Points::from(counted));
        let dropped: Points = line.dropped.iter().map(|event| Points::from(scores[*event as usize - 1].unwrap_or(0))).sum();
        prop_assert_eq!(line.gross.clone() - line.points.clone(), dropped);
        let mut more = scores.clone();
        let at = raised % scores.len();
        more[at] = Some(more[at].unwrap_or(0) + 3);
        prop_assert!(table(&[season(&more)], scores.len(), &rules)[0].points >= line.points);
    }

    #[test]
    fn ranks_of_shared_places_skip(totals in prop::collection::vec(0i64..4, 1..12)) {
        let season = |(at, points): (usize, &i64)| Season {
            competitor: format!("{at:02}"),
            events: vec![EventScore { points: Some((*points).into()), ..EventScore::default() }],
            ..Season::default()
        };
        let seasons: Vec<Season> = totals.iter().enumerate().map(season).collect();
        let rules = SeasonRules { ties: vec![TieBreak::Countback], ..SeasonRules::default() };
        for line in table(&seasons, 1, &rules) {
            let better = totals.iter().filter(|points| Points::from(**points) > line.points).count() as u32;
            prop_assert_eq!(line.rank, Some(better + 1));
        }
    }
}
