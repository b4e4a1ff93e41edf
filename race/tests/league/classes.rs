//! Traps of classes: changes, drivers in two classes, classes without a finisher, guests.

use boxbox_race::league::{ClassChange, EntryStatus, Facts, Role, Sanction};
use boxbox_race::scoring::Points;

use crate::world::{F1, World, car, id, line, order, retired};

/// A in bronze for two events, then in silver; B bronze, C and D silver. The table gives what case c27 has.
fn class_change(option: ClassChange) -> World {
    let table = F1.replace("[25, 18, 15, 12, 10, 8, 6, 4, 2, 1]", r#"[25, 18, 10], "by": "class""#);
    let mut world = World::new(&table);
    world.class("bronze").class("silver");
    for name in ["bronze", "silver"] {
        world.championship(name, |set| (set.classes, set.class_change) = (vec![id(name)], option));
    }
    world.event("e1", 1, |_| {}).event("e2", 2, |_| {}).event("e3", 3, |_| {});
    for (name, class) in [("a", "bronze"), ("b", "bronze"), ("c", "silver"), ("d", "silver")] {
        world.person(name, &[name]).entry(name, None, &[name], |of| of.class = id(class));
    }
    world.entry("a", Some("e3"), &["a"], |of| of.class = id("silver"));
    world.session("r1", "e1", Role::Feature, order(&["c", "a", "d", "b"]));
    world.session("r2", "e2", Role::Feature, order(&["d", "a", "c", "b"]));
    world.session("r3", "e3", Role::Feature, order(&["d", "c", "a", "b"]));
    world
}

#[test]
fn points_stay_in_the_class_in_which_they_were_scored() {
    let world = class_change(ClassChange::PointsStay);
    assert_eq!(world.standing("bronze"), [line("b", 1, 61), line("a", 2, 50)]);
    assert_eq!(world.standing("silver"), [line("d", 1, 68), line("c", 2, 61), line("a", 3, 10)]);
}

#[test]
fn points_move_with_the_entry() {
    let world = class_change(ClassChange::PointsMove);
    assert_eq!(world.standing("bronze"), [line("b", 1, 61)]);
    assert_eq!(world.standing("silver"), [line("d", 1, 68), line("c", 2, 61), line("a", 3, 60)]);
}

#[test]
fn a_restart_shows_the_old_class_without_a_rank() {
    let world = class_change(ClassChange::Restart);
    assert_eq!(world.standing("bronze"), [line("b", 1, 61), ("a".into(), None, 50.into())]);
    assert!(world.table("bronze").lines[1].withdrawn);
    assert_eq!(world.standing("silver"), [line("d", 1, 68), line("c", 2, 61), line("a", 3, 10)]);
}

#[test]
fn a_change_that_is_still_to_come_moves_nothing() {
    let mut world = class_change(ClassChange::PointsMove);
    let before = (world.standing("bronze"), world.standing("silver"));
    world.event("e4", 4, |_| {}).entry("b", Some("e4"), &["b"], |of| of.class = id("silver"));
    assert_eq!((world.standing("bronze"), world.standing("silver")), before);
    world.session("r4", "e4", Role::Feature, order(&["b", "d"]));
    assert_eq!(world.of("silver", "b"), Some(86.into()));
    assert!(world.standing("bronze").is_empty());
}

#[test]
fn a_driver_in_two_classes_scores_in_each() {
    let mut world = World::new(F1);
    world.class("x").championship("cup", |set| set.classes = vec![id("x")]).championship("main", |set| set.classes = vec![id("c")]);
    world.person("a", &["a"]).enter(&["b"]);
    world.entry("a-c", None, &["a"], |of| of.class = id("c")).entry("a-x", None, &["a"], |of| of.class = id("x"));
    // One car in the race of each class; the simulator tells the class.
    world.act(boxbox_race::league::ClassSet { season: id("s"), class: id("x"), name: None, cars: vec![id("Cup")], scoring: Default::default() });
    let cup = boxbox_race::league::Car { class: "Cup".into(), ..car("a", 10, 900) };
    world.event("e", 1, |_| {}).session("r1", "e", Role::Sprint, Facts::of(vec![cup], None, true));
    assert_eq!(world.places("r1"), [("a-x".into(), Some(1))]);
    assert_eq!((world.of("cup", "a"), world.of("main", "a")), (Some(25.into()), None));
}

#[test]
fn a_class_without_a_finisher_and_one_that_is_disqualified_score_nothing() {
    let mut world = World::new(F1);
    world.class("x").enter(&["a", "b"]).championship("cup", |set| set.classes = vec![id("x")]);
    for name in ["y", "z"] {
        world.person(name, &[name]).entry(name, None, &[name], |of| of.class = id("x"));
    }
    world.event("e", 1, |_| {}).session(
        "r",
        "e",
        Role::Feature,
        Facts::of(vec![car("a", 20, 1800), retired("y", 0, 0), retired("z", 0, 0)], None, true),
    );
    world.event("f", 2, |_| {}).session("q", "f", Role::Feature, order(&["y", "a", "z"]));
    for (penalty, entry) in [("p", "y"), ("q", "z")] {
        world.penalty(penalty, "q", entry, Sanction::Disqualified {});
    }
    assert!(world.points_for("q", "cup").values().all(Points::is_zero));
    assert_eq!(world.points("q")["a"], 25.into());
    assert!(world.standing("cup").iter().all(|(_, _, points)| points.is_zero()));
}

#[test]
fn guests_keep_their_place_and_the_others_close_up_or_do_not() {
    for (guests, b) in [("close_up", 18), ("keep_place", 15)] {
        let rules = F1.replace("1]}", &format!(r#"1], "guests": "{guests}"}}"#));
        let mut world = World::new(&rules);
        world.enter(&["a", "b"]).person("g", &["g"]).entry("g", None, &["g"], |of| of.status = EntryStatus::Guest);
        world.race("e", 1, &["a", "g", "b"]);
        assert_eq!(world.places("e-race"), [("a".into(), Some(1)), ("g".into(), Some(2)), ("b".into(), Some(3))]);
        assert_eq!(world.points("e-race"), [("a".into(), 25.into()), ("b".into(), b.into())].into(), "{guests}");
        assert_eq!(world.of("d", "g"), None);
    }
}
