//! Traps of penalties and overrides.

use boxbox_race::league::{Against, Change, Facts, Override, PenaltyChanged, PenaltyState, Role, Sanction};
use boxbox_race::scoring::{Points, Standing};

use crate::world::{F1, World, against, car, id, in_event, in_season, line, order, person, retired, text, time};

fn three_races() -> World {
    let mut world = World::new(F1);
    world.enter(&["a", "b", "c"]).race("e1", 1, &["a", "b", "c"]).race("e2", 2, &["b", "a", "c"]).race("e3", 3, &["a", "b", "c"]);
    world
}

#[test]
fn a_second_penalty_on_the_same_car_adds_up() {
    let mut world = World::new(F1);
    world.enter(&["a", "b", "c"]).race("e", 1, &["a", "b", "c"]);
    world.penalty("p1", "e-race", "a", Sanction::Time { us: 600_000 });
    assert_eq!(world.result("e-race").rows[0].entry, id("a"), "0.6 s are less than the gap");
    world.penalty("p2", "e-race", "a", Sanction::Time { us: 600_000 });
    let result = world.result("e-race");
    assert_eq!((result.rows[1].entry, result.rows[1].added_us, result.rows[1].penalties.len()), (id("a"), 1_200_000, 2));
    let why: Vec<_> = result.rows[1].why.iter().filter(|why| why.rule == "penalty.time").collect();
    assert_eq!(why.iter().map(|why| why.penalty.unwrap()).collect::<Vec<_>>(), [id("p1"), id("p2")]);
    assert!(why.iter().all(|why| why.act.is_some()));
}

#[test]
fn a_penalty_on_the_last_car_and_on_one_that_did_not_finish_change_no_place() {
    let mut world = World::new(F1);
    world.enter(&["a", "b", "c"]).event("e", 1, |_| {});
    world.session("r", "e", Role::Feature, Facts::of(vec![car("a", 20, 1800), car("b", 20, 1810), retired("c", 4, 400)], None, true));
    let before = world.places("r");
    world.penalty("p1", "r", "b", time(30)).penalty("p2", "r", "c", time(30)).penalty("p3", "r", "c", Sanction::Positions { places: 5 });
    assert_eq!(world.places("r"), before);
    assert_eq!(before[2], ("c".into(), None));
}

#[test]
fn a_penalty_on_a_guest_moves_its_place_and_nobodys_points_wrongly() {
    let mut world = World::new(F1);
    world.enter(&["a", "b"]).person("g", &["g"]).entry("g", None, &["g"], |of| of.status = boxbox_race::league::EntryStatus::Guest);
    world.race("e", 1, &["a", "g", "b"]);
    assert_eq!(world.points("e-race"), [("a".into(), 25.into()), ("b".into(), 18.into())].into());
    world.penalty("p", "e-race", "g", time(100));
    assert_eq!(world.places("e-race").last().unwrap(), &("g".into(), Some(3)));
    assert_eq!(world.points("e-race"), [("a".into(), 25.into()), ("b".into(), 18.into())].into());
}

#[test]
fn a_penalty_on_a_car_of_another_class_leaves_a_class_alone() {
    let mut world = World::new(F1);
    world.class("x").enter(&["a", "b"]).person("y", &["y"]).entry("y", None, &["y"], |of| of.class = id("x"));
    world.championship("cup", |set| set.classes = vec![id("c")]);
    world.race("e", 1, &["a", "y", "b"]);
    let before = world.points_for("e-race", "cup");
    world.penalty("p", "e-race", "y", time(100)).penalty("q", "e-race", "y", Sanction::Disqualified {});
    assert_eq!(world.points_for("e-race", "cup"), before);
}

#[test]
fn a_penalty_that_is_rescinded_after_a_later_event_restores_every_digest() {
    let mut world = three_races();
    let (results, table) = (world.results(), world.table("d"));
    world.penalty("p", "e1-race", "a", Sanction::Disqualified {});
    world.race("e4", 4, &["c", "a", "b"]);
    assert_ne!(world.result("e1-race").digest(), results[&id("e1-race")].digest());
    world.rescind("p");
    for (session, before) in &results {
        assert_eq!(world.results()[session].digest(), before.digest(), "{session}");
    }
    world.event("e4", 4, |event| event.cancelled = true);
    assert_eq!(world.table("d").digest(), table.digest());
}

#[test]
fn a_winner_who_is_disqualified_hands_everything_on() {
    let mut world = three_races();
    world.penalty("p", "e1-race", "a", Sanction::Disqualified {});
    let result = world.result("e1-race");
    assert_eq!(result.rows.last().unwrap().status, Standing::Disqualified);
    assert_eq!(world.points("e1-race"), [("a".into(), 0.into()), ("b".into(), 25.into()), ("c".into(), 18.into())].into());
    assert_eq!(world.standing("d"), [line("b", 1, 68), line("c", 2, 48), line("a", 3, 43)]);
}

#[test]
fn a_disqualification_of_an_event_is_one_of_each_of_its_sessions() {
    let mut world = World::new(F1);
    world.enter(&["a", "b"]).race("e", 1, &["a", "b"]).session("sprint", "e", Role::Sprint, order(&["a", "b"]));
    world.penalty_at("p", in_event("e"), against("a"), Sanction::Disqualified {});
    for session in ["e-race", "sprint"] {
        assert_eq!(world.result(session).rows.last().unwrap().status, Standing::Disqualified, "{session}");
    }
}

#[test]
fn a_penalty_in_a_heat_changes_the_heat_only() {
    let mut world = World::new(F1);
    world.enter(&["a", "b", "c"]).race("e", 1, &["c", "b", "a"]).session("heat", "e", Role::Heat, order(&["a", "b", "c"]));
    let race = world.result("e-race").digest();
    world.penalty("p", "heat", "a", time(10));
    assert_eq!(world.places("heat")[0].0, "b");
    assert_eq!(world.result("e-race").digest(), race);
}

#[test]
fn who_was_disqualified_holds_no_pole_no_fastest_lap_and_led_no_laps() {
    let rules = F1.replace(
        r#"[25, 18, 15, 12, 10, 8, 6, 4, 2, 1]}"#,
        r#"[10, 5], "bonuses": [{"kind": "pole", "points": 1}, {"kind": "fastest_lap", "points": 1}, {"kind": "most_laps_led", "points": 1}]}"#,
    );
    let mut world = World::new(&rules);
    let mut cars = [car("a", 10, 900), car("b", 10, 901)];
    for (at, car) in cars.iter_mut().enumerate() {
        (car.grid, car.best_lap_us, car.laps_led) = (Some(at as u32 + 1), Some(90_000_000 + at as i64), 6 - at as u32 * 2);
    }
    world.enter(&["a", "b"]).event("e", 1, |_| {}).session("r", "e", Role::Feature, Facts::of(cars.to_vec(), None, true));
    assert_eq!(world.points("r")["a"], 13.into());
    world.penalty("p", "r", "a", Sanction::Disqualified {});
    assert_eq!(world.points("r"), [("a".into(), 0.into()), ("b".into(), 13.into())].into());
    let why = world.result("r").scores[&id("d")][0].why.iter().map(|why| why.text.clone()).collect::<Vec<_>>();
    assert_eq!(why, ["place 1", "pole", "fastest lap", "most laps led"]);
}

#[test]
fn a_team_penalty_hits_all_cars_of_the_team_of_the_day() {
    let mut world = World::new(F1);
    world.act(boxbox_race::league::TeamSet { team: id("t"), name: None });
    for name in ["a", "b", "c"] {
        world.person(name, &[name]).entry(name, None, &[name], |of| of.team = (name != "c").then(|| id("t")));
    }
    world.race("e", 1, &["a", "b", "c"]).penalty_at("p", in_event("e"), Against::Team(id("t")), time(30));
    assert_eq!(world.places("e-race")[0].0, "c");
    assert_eq!(world.result("e-race").rows.iter().map(|row| row.added_us).collect::<Vec<_>>(), [0, 30_000_000, 30_000_000]);
}

#[test]
fn only_a_penalty_in_force_acts() {
    let mut world = three_races();
    let before = world.result("e1-race").digest();
    world.act(boxbox_race::league::PenaltyGiven {
        penalty: id("p"),
        at: boxbox_race::league::PenaltyAt::Session(id("e1-race")),
        against: against("a"),
        sanction: time(10),
        state: PenaltyState::Proposed,
        reason: text(),
    });
    for (state, acts) in [
        (None, false),
        (Some(PenaltyState::InForce), true),
        (Some(PenaltyState::Suspended), false),
        (Some(PenaltyState::Served), false),
        (Some(PenaltyState::InForce), true),
        (Some(PenaltyState::Rescinded), false),
        // A court of appeal puts it back.
        (Some(PenaltyState::InForce), true),
        (Some(PenaltyState::Superseded), false),
    ] {
        if let Some(state) = state {
            world.act(PenaltyChanged { penalty: id("p"), state, reason: text() });
        }
        assert_eq!(world.result("e1-race").digest() != before, acts, "{state:?}");
    }
    let again = PenaltyChanged { penalty: id("p"), state: PenaltyState::InForce, reason: text() };
    assert_eq!(world.league.check(&again.into()).unwrap_err().code.as_str(), "state");
}

#[test]
fn points_of_a_session_go_with_a_drop_and_points_of_a_season_do_not() {
    let drop = F1.replace(r#""ties""#, r#""drop": 1, "ties""#);
    let mut world = World::new(&drop);
    world.enter(&["a", "b", "c"]).race("e1", 1, &["a", "b", "c"]).race("e2", 2, &["b", "c", "a"]).race("e3", 3, &["b", "a", "c"]);
    assert_eq!(world.of("d", "a"), Some(43.into()));
    world.penalty("p", "e2-race", "a", Sanction::Points { points: 5.into() });
    assert_eq!(world.of("d", "a"), Some(43.into()));
    let five = Sanction::SeasonPoints { points: 5.into(), championship: None };
    world.penalty_at("q", in_season(), Against::Person(person("a")), five);
    assert_eq!(world.of("d", "a"), Some(38.into()));
    let table = world.table("d");
    let of_a = table.lines.iter().find(|line| line.competitor == person("a").to_string()).unwrap();
    assert_eq!((of_a.adjustment.clone(), of_a.why[0].penalty), ((-5).into(), Some(id("q"))));
}

#[test]
fn a_penalty_without_a_car_is_shown() {
    let mut world = three_races();
    world.enter(&["z"]).penalty("p", "e1-race", "z", time(5));
    assert_eq!(world.result("e1-race").without_car, ["p"]);
}

#[test]
fn an_override_counts_and_is_shown_for_ever() {
    let mut world = three_races();
    let before = world.result("e1-race");
    let set = |change| Override { session: id("e1-race"), entry: id("c"), change, reason: text() };
    world.act(set(Change::LineUs { old: Some(902_000_000), new: Some(899_000_000) }));
    let result = world.result("e1-race");
    assert_eq!((result.rows[0].entry, result.rows[0].overrides.len(), result.rows[0].overrides[0].outdated), (id("c"), 1, false));
    assert!(result.rows[0].why.iter().any(|why| why.rule == "result.override" && why.act == Some(world.league.head())));
    // Set back to what was driven: the order is that of before, and the override is still to be seen.
    world.act(set(Change::LineUs { old: Some(902_000_000), new: Some(902_000_000) }));
    let back = world.result("e1-race");
    assert_eq!(back.rows.iter().map(|row| row.entry).collect::<Vec<_>>(), before.rows.iter().map(|row| row.entry).collect::<Vec<_>>());
    assert_eq!(back.rows[2].overrides.len(), 1);
    world.act(set(Change::Place { old: Some(3), new: 1 })).act(set(Change::Points {
        championship: id("d"),
        old: 25.into(),
        new: "12.5".parse().unwrap(),
    }));
    assert_eq!(world.places("e1-race"), [("c".into(), Some(1)), ("a".into(), Some(2)), ("b".into(), Some(3))]);
    assert_eq!(world.points("e1-race")["c"], Points::new(25, 2));
    // Other facts than those that the decision saw: it still counts, and says so.
    world.drove("e1-race", order(&["a", "c", "b"]));
    let later = world.result("e1-race");
    assert!(later.rows[0].overrides.iter().any(|shown| shown.outdated && matches!(shown.change, Change::LineUs { .. })));
}

#[test]
fn a_deleted_lap_time_moves_qualifying_and_equal_laps_go_to_who_was_first() {
    use boxbox_race::league::{Car, ValidLap};
    let lap = |lap, us| ValidLap { lap, us, at_us: Some(i64::from(lap) * 100_000_000) };
    let quali = |name: &str, laps: Vec<ValidLap>| {
        let best = laps.iter().min_by_key(|lap| lap.us).copied();
        Car { valid_laps: laps, best_lap_us: best.map(|b| b.us), best_lap_at_us: best.and_then(|b| b.at_us), line_us: None, ..car(name, 5, 0) }
    };
    let mut world = World::new(F1);
    let cars = vec![
        quali("a", vec![lap(2, 89_000_000), lap(3, 90_000_000)]),
        quali("b", vec![lap(2, 90_000_000)]),
        quali("c", vec![lap(4, 90_000_000)]),
        quali("n", vec![]),
    ];
    world.enter(&["a", "b", "c", "n"]).event("e", 1, |_| {}).session("q", "e", Role::Qualifying, Facts::of(cars, None, true));
    assert_eq!(world.places("q"), [("a".into(), Some(1)), ("b".into(), Some(2)), ("c".into(), Some(3)), ("n".into(), None)]);
    world.penalty("p", "q", "a", Sanction::LapTimeDeleted { lap: 2 });
    assert_eq!(world.places("q"), [("b".into(), Some(1)), ("a".into(), Some(2)), ("c".into(), Some(3)), ("n".into(), None)]);
    world.penalty("t", "q", "b", time(60));
    assert_eq!(world.places("q")[0].0, "b", "a time penalty is for races");
    world.penalty("x", "q", "b", Sanction::Disqualified {});
    assert_eq!(world.places("q")[0], ("a".into(), Some(1)));
}
