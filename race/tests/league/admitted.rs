//! What a new act must be (`league.admitted`), and what a person sees of it.

use boxbox_race::league::{
    Act, Against, Change, Code, EntrySlug, EventSet, LeagueSet, Override, PenaltyGiven, PenaltyState, Role, RulesetAdded, Sanction, SessionSet,
    Subject, override_sees,
};
use boxbox_race::scoring::{Points, Ruleset};

use crate::world::{F1, World, against, id, in_season, line, person, text, time};

fn world() -> World {
    let mut world = World::new(F1);
    world.enter(&["a", "b"]).race("e1", 1, &["a", "b"]).bind("e1-race");
    world
}

fn refused(world: &World, act: impl Into<Act>) -> (Code, String) {
    let act = act.into();
    // A ledger that was written before may have such an act: it can be read, and verify finds no fault in it.
    assert_eq!(world.league.check(&act), Ok(()));
    let refusal = world.league.admit(&act).expect_err("refused");
    (refusal.code, refusal.to_string())
}

fn given(at: boxbox_race::league::PenaltyAt, against: Against, sanction: Sanction) -> PenaltyGiven {
    PenaltyGiven { penalty: id("p"), at, against, sanction, state: PenaltyState::InForce, reason: text() }
}

#[test]
fn telemetry_that_is_named_twice_is_refused() {
    let session = |ids: &[&str]| SessionSet {
        session: id("x"),
        event: id("e1"),
        role: Role::Feature,
        telemetry: ids.iter().map(|of| id(of)).collect(),
        file: None,
        counts_for: None,
        planned_laps: None,
    };
    let (one, two) = ("00112233445566778899aabbccddeeff", "10112233445566778899aabbccddeeff");
    let world = world();
    assert_eq!(world.league.admit(&session(&[one, two]).into()), Ok(()));
    for ids in [&[one, one][..], &[one, two, one], &[two, one, one]] {
        assert_eq!(refused(&world, session(ids)).0, Code::Contradicts);
    }
}

#[test]
fn a_decision_about_a_season_that_would_do_nothing_is_refused() {
    let mut world = world();
    world.championship("cars", |of| of.subject = Subject::Entry);
    world.championship("crews", |of| of.subject = Subject::Team);
    world.act(boxbox_race::league::TeamSet { team: id("red"), name: None });
    let competitors = [("d", Against::Person(person("a"))), ("cars", against("a")), ("crews", Against::Team(id("red")))];
    for (championship, _) in &competitors {
        for (of, against) in &competitors {
            for sanction in [
                Sanction::SeasonPoints { points: 3.into(), championship: Some(id(championship)) },
                Sanction::Excluded { keeps_points: true, championship: Some(id(championship)) },
            ] {
                let act = given(in_season(), *against, sanction);
                match of == championship {
                    true => {
                        let mut after = world.clone();
                        let before = after.table(championship);
                        after.act(act);
                        assert_ne!(after.table(championship).lines, before.lines, "what is taken acts: {championship}");
                    }
                    false => assert_eq!(refused(&world, act).0, Code::Contradicts, "{of} in {championship}"),
                }
            }
        }
    }
    let about = given(in_season(), against("a"), Sanction::SeasonPoints { points: 3.into(), championship: Some(id("d")) });
    assert!(refused(&world, about).1.contains(&person("a").to_string()), "it says whom to name instead");
}

#[test]
fn fractions_with_large_denominators_are_refused() {
    let world = world();
    let small: Points = "1/1000".parse().unwrap();
    let large: Points = "1/1001".parse().unwrap();
    let at = boxbox_race::league::PenaltyAt::Session(id("e1-race"));
    let acts = |points: &Points| -> Vec<Act> {
        let of_session = given(at, against("a"), Sanction::Points { points: points.clone() });
        let of_season = given(in_season(), Against::Person(person("a")), Sanction::SeasonPoints { points: points.clone(), championship: None });
        let change = Change::Points { championship: id("d"), old: 25.into(), new: points.clone() };
        let event = EventSet { multiplier: points.clone(), ..world.league.event(id("e1")).unwrap().clone() };
        let document = F1.replace("[25,", &format!("[\"{}\", 25,", Points::from(25) + points.clone()));
        let hash = boxbox_race::league::Digest(Ruleset::parse(&document).unwrap().hash());
        vec![
            of_session.into(),
            of_season.into(),
            Override { session: id("e1-race"), entry: id("a"), change, reason: text() }.into(),
            event.into(),
            RulesetAdded { ruleset: id("other"), version: 1, hash, document }.into(),
        ]
    };
    for act in acts(&small) {
        assert_eq!(world.league.admit(&act), Ok(()), "{}", act.body());
    }
    for act in acts(&large) {
        assert_eq!(refused(&world, act).0, Code::OutOfBounds);
    }
    for name in boxbox_race::scoring::PRESETS {
        let document = boxbox_race::scoring::preset_document(name).unwrap();
        let hash = boxbox_race::league::Digest(Ruleset::parse(document).unwrap().hash());
        let added = RulesetAdded { ruleset: id("own"), version: 1, hash, document: document.into() };
        assert_eq!(world.league.admit(&added.into()), Ok(()), "{name}");
    }
}

#[test]
fn events_are_counted_from_one_and_time_zones_are_on_earth() {
    let world = world();
    let event = EventSet { index: 0, ..world.league.event(id("e1")).unwrap().clone() };
    assert_eq!(refused(&world, event).0, Code::OutOfBounds);
    for (zone, there) in [("Europe/Berlin", true), ("UTC", true), ("Mars/Olympus", false), ("Europe/Atlantis", false), ("europe", false)] {
        let act: Act = LeagueSet { time_zone: id(zone), ..world.league.set().unwrap().clone() }.into();
        match there {
            true => assert_eq!(world.league.admit(&act), Ok(()), "{zone}"),
            false => assert_eq!(refused(&world, act).0, Code::Unknown, "{zone}"),
        }
    }
}

#[test]
fn what_a_penalty_cannot_become_is_said_in_words() {
    let mut world = world();
    world.penalty("p", "e1-race", "a", time(5)).rescind("p");
    let again = boxbox_race::league::PenaltyChanged { penalty: id("p"), state: PenaltyState::Rescinded, reason: text() };
    assert_eq!(world.league.check(&again.into()).unwrap_err().message, "the penalty is rescinded already");
}

#[test]
fn an_override_must_see_what_is_there() {
    let mut world = world();
    world.penalty("p", "e1-race", "a", Sanction::Points { points: 2.into() });
    let check = |world: &World, change: Change| {
        let of = Override { session: id("e1-race"), entry: id::<EntrySlug>("a"), change, reason: text() };
        override_sees(&world.league, &world.facts, &of).is_ok()
    };
    let points = |old: i64| Change::Points { championship: id("d"), old: old.into(), new: 1.into() };
    for (change, sees) in [
        (Change::Laps { old: 10, new: 9 }, true),
        (Change::Laps { old: 11, new: 9 }, false),
        (Change::LineUs { old: Some(900_000_000), new: None }, true),
        (Change::LineUs { old: None, new: None }, false),
        (Change::Incidents { old: 1, new: 0 }, false),
        (Change::Disqualified { old: true, new: true }, false),
        (Change::Place { old: Some(1), new: 2 }, true),
        (Change::Place { old: Some(2), new: 2 }, false),
        (points(23), true),
        (points(25), false),
    ] {
        assert_eq!(check(&world, change.clone()), sees, "{change:?}");
    }
    // A later override of the same field is compared with what is there without the first.
    world.act(Override { session: id("e1-race"), entry: id("a"), change: Change::Laps { old: 10, new: 8 }, reason: text() });
    assert!(check(&world, Change::Laps { old: 10, new: 9 }) && !check(&world, Change::Laps { old: 8, new: 9 }));
}

#[test]
fn the_points_of_a_table_name_the_decisions_that_made_the_place() {
    let mut world = world();
    let why = |world: &World, name: &str| {
        let table = world.table("d");
        let of = table.lines.iter().find(|line| line.competitor == person(name).to_string()).unwrap();
        of.cells[0].why[0].why.clone()
    };
    let before = world.table("d").digest();
    world.penalty("slow", "e1-race", "a", time(5)).penalty("off", "e1-race", "a", Sanction::Points { points: 2.into() });
    assert_eq!(world.standing("d"), [line("b", 1, 25), line("a", 2, 16)]);
    assert_ne!(world.table("d").digest(), before);
    let of = why(&world, "a");
    let named: Vec<_> = of.iter().filter_map(|why| Some((why.rule.as_str(), why.penalty?.to_string()))).collect();
    assert_eq!(named, [("penalty.points", "off".to_owned()), ("penalty.time", "slow".to_owned())]);
    assert!(of.iter().all(|why| why.penalty.is_none() || why.act.is_some()), "with the act");
    let sum: Points = of.iter().filter_map(|why| why.points.clone()).sum();
    assert_eq!(sum, 16.into(), "the parts are still the points");
    assert!(why(&world, "b").iter().all(|why| why.penalty.is_none()));
}
