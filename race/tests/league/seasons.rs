//! Traps of seasons: the calendar, drops, multipliers, rules that change, exclusions, manufacturers.

use boxbox_race::league::{AdoptFrom, Against, BestCars, EventPoints, Facts, Per, Role, RulesetAdopted, Sanction, Subject, TeamSet};
use boxbox_race::scoring::Points;

use crate::world::{F1, World, car, id, in_season, line, order, person, text};

fn with(rule: &str) -> String {
    F1.replace(r#""season": {"#, &format!(r#""season": {{{rule}, "#))
}

#[test]
fn an_event_that_is_added_before_others_takes_its_place_in_the_calendar() {
    let mut world = World::new(F1);
    world.event("e1", 10, |_| {}).event("e3", 30, |_| {});
    world.enter(&["b"]).person("a", &["a"]).entry("a", None, &["a"], |of| of.team = None);
    world.act(TeamSet { team: id("t"), name: None }).championship("teams", |set| set.subject = Subject::Team);
    // From e3 on in a team.
    world.entry("a", Some("e3"), &["a"], |of| of.team = Some(id("t")));
    world.session("r1", "e1", Role::Feature, order(&["a", "b"])).session("r3", "e3", Role::Feature, order(&["a", "b"]));
    world.race("e2", 20, &["a", "b"]);
    let events: Vec<_> = world.table("d").events.iter().map(|event| (event.event, event.number)).collect();
    assert_eq!(events, [(id("e1"), 1), (id("e2"), 2), (id("e3"), 3)]);
    assert_eq!(world.standing("teams"), [line("t", 1, 25)], "e2 is before e3: the team has nothing of it");
}

#[test]
fn an_event_that_is_cancelled_after_it_was_scored_counts_no_more() {
    let mut world = World::new(&with(r#""best": 2"#));
    world.enter(&["a", "b"]).race("e1", 1, &["a", "b"]).race("e2", 2, &["b", "a"]);
    let before = world.table("d");
    world.race("e3", 3, &["b", "a"]);
    assert_eq!(world.of("d", "b"), Some(50.into()));
    world.event("e3", 3, |event| event.cancelled = true);
    assert_eq!(world.table("d").digest(), before.digest());
    assert_eq!(world.places("e3-race")[0].0, "b", "its result can still be read");
}

#[test]
fn rules_that_change_in_mid_season_leave_earlier_events_alone() {
    let mut world = World::new(F1);
    world.enter(&["a", "b"]).race("e1", 1, &["a", "b"]).race("e2", 2, &["b", "a"]);
    world.rules(&F1.replace("25, 18", "100, 50"), 2);
    let adopt = |from| RulesetAdopted { season: id("s"), championship: None, ruleset: id("r"), version: 2, from, reason: text() };
    world.act(adopt(AdoptFrom::Event(id("e2"))));
    assert_eq!(world.standing("d"), [line("b", 1, 118), line("a", 2, 75)]);
    assert_eq!(world.result("e1-race").ruleset.version, 1);
    world.act(adopt(AdoptFrom::RecomputeAll));
    assert_eq!(world.standing("d"), [line("a", 1, 150), line("b", 1, 150)]);
}

#[test]
fn half_points_of_a_double_event_are_exact() {
    let rules = F1.replace("2, 1]}", r#"2, 1], "partial": [{"below": "3/4", "factor": "1/2"}]}"#);
    let mut world = World::new(&rules);
    world.enter(&["a", "b"]).event("e", 1, |event| event.multiplier = 2.into());
    let facts = |planned| Facts::of(vec![car("a", 10, 900), car("b", 10, 901)], Some(planned), true);
    world.session("r", "e", Role::Feature, facts(20));
    assert_eq!(world.points("r")["a"], 25.into(), "12.5 x 2");
    world.event("e", 1, |_| {});
    assert_eq!(world.points("r")["a"], Points::new(25, 2));
    world.drove("r", facts(11));
    assert_eq!(world.points("r")["a"], 25.into());
}

#[test]
fn a_double_finale_moves_on_when_the_calendar_grows() {
    let mut world = World::new(&with(r#""last_event": 2"#));
    world.enter(&["a"]).race("e1", 1, &["a"]);
    assert_eq!(world.of("d", "a"), Some(50.into()));
    world.race("e2", 2, &["a"]);
    assert_eq!(world.of("d", "a"), Some(75.into()));
}

#[test]
fn more_best_events_than_driven_and_more_drops_than_events() {
    for (rule, points) in [(r#""best": 9"#, 43), (r#""drop": 9"#, 0)] {
        let mut world = World::new(&with(rule));
        world.enter(&["a", "b"]).race("e1", 1, &["a", "b"]).race("e2", 2, &["b", "a"]);
        assert_eq!(world.of("d", "a"), Some(points.into()), "{rule}");
    }
}

#[test]
fn an_event_that_is_not_droppable_stays() {
    let mut world = World::new(&with(r#""drop": 1"#));
    world.enter(&["a", "b"]).race("e1", 1, &["a", "b"]).race("e2", 2, &["b", "a"]);
    assert_eq!(world.of("d", "a"), Some(25.into()));
    world.event("e2", 2, |event| event.droppable = false);
    assert_eq!(world.of("d", "a"), Some(18.into()));
}

#[test]
fn all_scores_equal_share_the_first_rank_and_negative_totals_can_tie() {
    let mut world = World::new(F1);
    world.enter(&["a", "b", "c"]).race("e1", 1, &["a", "b", "c"]).race("e2", 2, &["b", "c", "a"]).race("e3", 3, &["c", "a", "b"]);
    assert_eq!(world.standing("d"), [line("a", 1, 58), line("b", 1, 58), line("c", 1, 58)]);
    for name in ["a", "b"] {
        let sanction = Sanction::SeasonPoints { points: 60.into(), championship: None };
        world.penalty_at(name, in_season(), Against::Person(person(name)), sanction);
    }
    assert_eq!(world.standing("d"), [line("c", 1, 58), line("a", 2, -2), line("b", 2, -2)]);
}

#[test]
fn an_excluded_competitor_leaves_a_shared_rank() {
    let mut world = World::new(F1);
    world.enter(&["a", "b", "c"]).race("e1", 1, &["a", "b", "c"]).race("e2", 2, &["b", "a", "c"]);
    assert_eq!(world.standing("d"), [line("a", 1, 43), line("b", 1, 43), line("c", 3, 30)]);
    for (penalty, keeps_points, points) in [("p", true, 43), ("q", false, 0)] {
        world.penalty_at(penalty, in_season(), Against::Person(person("a")), Sanction::Excluded { keeps_points, championship: None });
        assert_eq!(world.standing("d"), [line("b", 1, 43), line("c", 2, 30), ("a".into(), None, points.into())]);
    }
}

#[test]
fn teams_have_their_best_cars_per_session_or_event() {
    let cars = ["a1", "b1", "a2", "b2", "a3"];
    for (best, a, b) in [(None, 50, 30), (Some(1), 25, 18), (Some(2), 40, 30)] {
        let mut world = World::new(F1);
        world.act(TeamSet { team: id("a"), name: None }).act(TeamSet { team: id("b"), name: None });
        world.championship("teams", |set| {
            (set.subject, set.best_cars) = (Subject::Team, best.map(|cars| BestCars { cars, per: Per::Session }));
        });
        for name in cars {
            world.person(name, &[name]).entry(name, None, &[name], |of| of.team = Some(id(&name[..1])));
        }
        world.race("e", 1, &cars);
        assert_eq!(world.standing("teams"), [line("a", 1, a), line("b", 2, b)], "{best:?}");
    }
}

#[test]
fn a_manufacturer_has_its_best_bike() {
    let mut world = World::new(F1);
    world.championship("makers", |set| (set.subject, set.best_cars) = (Subject::Manufacturer, Some(BestCars { cars: 1, per: Per::Session })));
    for (name, maker) in [("a", "m"), ("b", "m"), ("c", "n")] {
        world.person(name, &[name]).entry(name, None, &[name], |of| of.manufacturer = Some(id(maker)));
    }
    world.race("e1", 1, &["a", "b", "c"]).race("e2", 2, &["c", "b", "a"]);
    assert_eq!(world.standing("makers"), [line("m", 1, 43), line("n", 2, 40)]);
}

#[test]
fn sessions_of_an_event_are_added_or_the_best_counts() {
    let rules = F1.replace(r#""season""#, r#""sprint": {"table": [8, 7]}, "qualifying": {"table": [1]}, "season""#);
    for (event_points, points) in [(EventPoints::Sum, 27), (EventPoints::Best, 18)] {
        let mut world = World::new(&rules);
        world.championship("d", |set| set.event_points = event_points);
        let quali = ["a", "b"].iter().zip([90, 91]).map(|(name, s)| boxbox_race::league::Car {
            best_lap_us: Some(s * 1_000_000),
            line_us: None,
            ..car(name, 5, 0)
        });
        world.enter(&["a", "b"]).race("e", 1, &["b", "a"]).session("sprint", "e", Role::Sprint, order(&["a", "b"]));
        world.session("quali", "e", Role::Qualifying, Facts::of(quali.collect(), None, true));
        world.session("practice", "e", Role::Practice, order(&["a", "b"]));
        assert_eq!(world.of("d", "a"), Some(points.into()), "{event_points:?}");
        assert_eq!(world.result("e-race").rows[1].grid, Some(1), "the grid is the order of qualifying");
    }
}

#[test]
fn one_starter_no_qualifying_and_nobody_who_led() {
    let rules = F1.replace("2, 1]}", r#"2, 1], "bonuses": [{"kind": "pole", "points": 5}, {"kind": "most_laps_led", "points": 5}]}"#);
    let mut world = World::new(&rules);
    world.enter(&["a"]).race("e", 1, &["a"]);
    assert_eq!(world.points("e-race"), [("a".into(), 25.into())].into());
}
