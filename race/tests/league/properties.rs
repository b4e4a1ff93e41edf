//! What holds for every league, by random generation: order of input and of acts, penalties, classes, exactness.

use std::collections::BTreeMap;

use boxbox_race::league::{
    Act, Car, Cause, Facts, League, PenaltyAt, Published, Role, Sanction, Scope, SessionSlug, State, Stored, publication, recompute,
};
use boxbox_race::scoring::Points;
use proptest::prelude::*;

use crate::world::{F1, World, against, car, id, retired, text};

const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];
const EVENTS: u32 = 3;

/// What a car does in an event: laps down, seconds, retired; none: it is not there.
type Drive = Option<(u32, i64, bool)>;

fn drive() -> impl Strategy<Value = Drive> {
    prop::option::weighted(0.9, (0u32..4, 0i64..12, prop::bool::weighted(0.15)))
}

fn sanction() -> impl Strategy<Value = Sanction> {
    prop_oneof![
        (1i64..40).prop_map(|s| Sanction::Time { us: s * 500_000 }),
        (1u32..5).prop_map(|places| Sanction::Positions { places }),
        Just(Sanction::Disqualified {}),
        Just(Sanction::DriveThrough {}),
        (1i64..5).prop_map(|points| Sanction::Points { points: points.into() }),
        Just(Sanction::NoBonus {}),
    ]
}

fn facts(drives: &[Drive]) -> Facts {
    let one = |(name, drive): (&&str, &Drive)| -> Option<Car> {
        let (down, s, out) = (*drive)?;
        let make = if out { retired } else { car };
        Some(make(name, 10 - down, 900 - 90 * i64::from(down) + s))
    };
    Facts::of(NAMES.iter().zip(drives).filter_map(one).collect(), Some(10), true)
}

/// Two classes, two championships of drivers, one drop, three events.
fn world(drives: &[Vec<Drive>]) -> World {
    let mut world = World::new(&F1.replace(r#""season": {"#, r#""season": {"drop": 1, "#).replace("2, 1]}", r#"2, 1], "by": "class"}"#));
    world.class("x").championship("cup", |set| set.classes = vec![id("x")]);
    for (at, name) in NAMES.iter().enumerate() {
        world.person(name, &[name]).entry(name, None, &[name], |of| of.class = id(if at % 3 == 0 { "x" } else { "c" }));
    }
    for (event, drives) in (1..).zip(drives) {
        let slug = format!("e{event}");
        world.event(&slug, event, |_| {}).session(&format!("r{event}"), &slug, Role::Feature, facts(drives));
    }
    world
}

fn digests(world: &World) -> (BTreeMap<SessionSlug, String>, Vec<String>) {
    let results = world.results().into_iter().map(|(id, result)| (id, result.digest().to_string())).collect();
    (results, ["d", "cup"].map(|name| world.table(name).digest().to_string()).to_vec())
}

prop_compose! {
    fn season()(drives in prop::collection::vec(prop::collection::vec(drive(), NAMES.len()), EVENTS as usize)) -> Vec<Vec<Drive>> {
        drives
    }
}

fn decision() -> impl Strategy<Value = (u32, usize, Sanction)> {
    (1..=EVENTS, 0..NAMES.len(), sanction())
}

fn decide(world: &mut World, penalty: &str, (event, at, sanction): &(u32, usize, Sanction)) {
    world.penalty_at(penalty, PenaltyAt::Session(id(&format!("r{event}"))), against(NAMES[*at]), sanction.clone());
}

fn total(world: &World, name: &str) -> Points {
    world.of("d", name).unwrap_or_default()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn neither_the_order_of_cars_nor_that_of_acts_that_commute_changes_a_digest(drives in season(), decisions in prop::collection::vec(decision(), 0..5), seed in any::<u64>()) {
        let mut one = world(&drives);
        for (at, of) in decisions.iter().enumerate() {
            decide(&mut one, &format!("p{at}"), of);
        }
        let mut random = fastrand::Rng::with_seed(seed);
        // Every order in which each act is allowed when it comes: what it refers to is there.
        let (mut left, mut league, mut acts): (Vec<Act>, League, Vec<Act>) = (one.acts.clone(), League::default(), vec![]);
        random.shuffle(&mut left);
        while !left.is_empty() {
            let at = left.iter().position(|act| league.check(act).is_ok()).expect("an act that can be next");
            let act = left.remove(at);
            league.apply(acts.len() as u64 + 1, &act);
            acts.push(act);
        }
        let bare = |league: &League| league.docs().into_iter().map(|doc| (doc.kind, doc.id, doc.body.to_string())).collect::<Vec<_>>();
        prop_assert_eq!(bare(&league), bare(&one.league));
        let mut shuffled = World { league, acts, facts: one.facts.clone() };
        for facts in shuffled.facts.values_mut() {
            let mut cars = facts.cars().to_vec();
            random.shuffle(&mut cars);
            *facts = Facts::of(cars, facts.planned_laps(), facts.complete());
        }
        prop_assert_eq!(digests(&shuffled), digests(&one));
    }

    #[test]
    fn the_docs_that_an_act_changes_are_all_that_changed(drives in season(), decisions in prop::collection::vec(decision(), 0..5)) {
        let mut one = world(&drives);
        for (at, of) in decisions.iter().enumerate() {
            decide(&mut one, &format!("p{at}"), of);
        }
        let (mut league, mut docs) = (League::default(), BTreeMap::new());
        for (seq, act) in (1..).zip(&one.acts) {
            for doc in league.apply(seq, act) {
                docs.insert((doc.kind, doc.id.clone()), doc);
            }
        }
        prop_assert_eq!(docs.into_values().collect::<Vec<_>>(), league.docs());
    }

    #[test]
    fn a_penalty_never_helps_the_penalised_car_and_rescinding_it_restores_every_digest(drives in season(), others in prop::collection::vec(decision(), 0..4), extra in decision()) {
        let mut world = world(&drives);
        for (at, of) in others.iter().enumerate() {
            decide(&mut world, &format!("p{at}"), of);
        }
        let (before, name) = (digests(&world), NAMES[extra.1]);
        let session = format!("r{}", extra.0);
        let place = |world: &World| world.places(&session).into_iter().find(|(entry, _)| entry == name).and_then(|(_, place)| place).unwrap_or(u32::MAX);
        let (place_before, total_before) = (place(&world), total(&world, name));
        decide(&mut world, "extra", &extra);
        prop_assert!(place(&world) >= place_before);
        prop_assert!(total(&world, name) <= total_before);
        world.rescind("extra");
        prop_assert_eq!(digests(&world), before);
    }

    #[test]
    fn the_standings_of_a_class_are_those_of_its_cars_alone(drives in season(), decisions in prop::collection::vec(decision(), 0..5)) {
        let mut all = world(&drives);
        let alone: Vec<Vec<Drive>> = drives.iter().map(|event| event.iter().enumerate().map(|(at, drive)| drive.filter(|_| at % 3 == 0)).collect()).collect();
        let mut alone = world(&alone);
        for (at, of) in decisions.iter().enumerate() {
            decide(&mut all, &format!("p{at}"), of);
            decide(&mut alone, &format!("p{at}"), of);
        }
        prop_assert_eq!(all.standing("cup"), alone.standing("cup"));
    }

    #[test]
    fn every_point_is_explained(drives in season(), decisions in prop::collection::vec(decision(), 0..5)) {
        let mut world = world(&drives);
        for (at, of) in decisions.iter().enumerate() {
            decide(&mut world, &format!("p{at}"), of);
        }
        for line in world.table("d").lines {
            let mut counted = line.adjustment.clone();
            for cell in &line.cells {
                let of_cell: Points = cell.why.iter().filter(|part| part.counts).map(|part| part.points.clone()).sum();
                prop_assert_eq!(cell.points.clone().unwrap_or_default(), of_cell);
                for part in &cell.why {
                    let named: Points = part.why.iter().filter_map(|why| why.points.clone()).sum();
                    prop_assert_eq!(&part.points, &named);
                }
                if !cell.dropped {
                    counted += cell.points.clone().unwrap_or_default();
                }
            }
            prop_assert_eq!(line.points, counted);
        }
    }

    #[test]
    fn what_is_published_anew_is_what_changed_and_is_published_once(drives in season(), decisions in prop::collection::vec((decision(), any::<bool>()), 1..5)) {
        let mut world = world(&drives);
        let mut stored: BTreeMap<Scope, (Published, String)> = BTreeMap::new();
        let scopes: Vec<Scope> = world.facts.keys().map(|session| Scope::Session(*session)).chain([Scope::Championship(id("d"))]).collect();
        for scope in scopes {
            let made = publication(&world.league, scope, State::Official, &world.facts, None, None).unwrap();
            world.act(made.published.clone());
            stored.insert(scope, (made.published, made.body));
        }
        for (at, (of, taken_back)) in decisions.iter().enumerate() {
            let before = digests(&world);
            decide(&mut world, &format!("p{at}"), of);
            if *taken_back {
                world.rescind(&format!("p{at}"));
            }
            let again = |world: &World, stored: &BTreeMap<Scope, (Published, String)>| {
                let latest = stored.iter().map(|(scope, (published, body))| (*scope, Stored { published, body })).collect();
                recompute(&world.league, &world.facts, &latest, Some(text()))
            };
            let made = again(&world, &stored);
            prop_assert_eq!(made.is_empty(), digests(&world) == before);
            for revision in made {
                prop_assert_eq!((revision.published.state, revision.cause), (State::Amended, Cause::Decision));
                world.act(revision.published.clone());
                stored.insert(revision.published.scope, (revision.published, revision.body));
            }
            prop_assert!(again(&world, &stored).is_empty());
        }
    }
}
