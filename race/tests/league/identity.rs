//! Traps of identity: accounts, persons, entries, teams, numbers, each at its time.

use boxbox_race::league::{
    AccountLinked, BoundTo, Car, Code, Drove, EntrySlug, Facts, MemberRole, MemberSet, PersonMerged, Rebound, Role, Subject, TeamSet, Unclaimed,
    bindings,
};

use crate::world::{F1, World, account, car, details, id, line, order, person, text};

#[test]
fn two_accounts_of_one_person_are_one_person() {
    let mut world = World::new(F1);
    world.person("a", &["a", "a2"]).entry("a", None, &["a"], |_| {}).enter(&["b"]);
    world.race("e1", 1, &["a", "b"]).race("e2", 2, &["b", "a2"]);
    assert_eq!(world.standing("d"), [line("a", 1, 43), line("b", 1, 43)]);
}

#[test]
fn persons_who_turn_out_to_be_one_are_merged_without_rewriting() {
    let mut world = World::new(F1);
    world.enter(&["a", "b"]).person("a2", &["a2"]).entry("a2", None, &["a2"], |_| {});
    world.race("e1", 1, &["a", "b"]).race("e2", 2, &["a2", "b"]);
    world.bind("e1-race").bind("e2-race");
    assert_eq!(world.of("d", "a"), Some(25.into()));
    world.act(PersonMerged { old: person("a2"), new: person("a"), reason: text() });
    assert_eq!(world.standing("d"), [line("a", 1, 50), line("b", 2, 36)]);
    for (old, new) in [("a", "a2"), ("a2", "b"), ("b", "b")] {
        let again = PersonMerged { old: person(old), new: person(new), reason: text() };
        assert!(world.league.check(&again.into()).is_err(), "{old} into {new}");
    }
}

#[test]
fn an_account_that_changes_hands_belongs_to_each_at_its_time() {
    let mut world = World::new(F1);
    world.enter(&["a", "b"]).event("e2", 2, |_| {});
    world.act(AccountLinked { person: person("b"), sim: id("iracing"), account: account("a"), from_event: Some(id("e2")), to_event: None });
    world.race("e1", 1, &["a"]);
    world.session("e2-race", "e2", Role::Feature, order(&["a"]));
    assert_eq!(world.standing("d"), [line("a", 1, 25), line("b", 1, 25)]);
}

#[test]
fn a_number_that_two_drivers_swap_changes_nothing() {
    let mut world = World::new(F1);
    world.event("e1", 1, |_| {}).event("e2", 2, |_| {});
    for (name, number) in [("a", "7"), ("b", "8")] {
        world.person(name, &[name]).entry(name, None, &[name], |of| of.number = Some(id(number)));
    }
    for (name, number) in [("a", "8"), ("b", "7")] {
        world.entry(name, Some("e2"), &[name], |of| of.number = Some(id(number)));
    }
    world.session("r1", "e1", Role::Feature, order(&["a", "b"])).session("r2", "e2", Role::Feature, order(&["a", "b"]));
    assert_eq!(world.standing("d"), [line("a", 1, 50), line("b", 2, 36)]);
    let number = |session| world.result(session).rows[0].number.clone().unwrap();
    assert_eq!((number("r1"), number("r2")), (id("7"), id("8")));
}

#[test]
fn an_unknown_car_is_never_matched_by_its_number_and_can_be_claimed_later() {
    let mut world = World::new(F1);
    world.enter(&["a"]).person("z", &[]).entry("z", None, &["z"], |of| of.number = Some(id("9")));
    let stranger = Car { number: Some(id("9")), ..car("stranger", 10, 899) };
    world.event("e", 1, |_| {}).session("r", "e", Role::Feature, Facts::of(vec![stranger, car("a", 10, 900)], None, true));
    let found = bindings(&world.league, id("r"), &world.facts[&id("r")]);
    assert_eq!((found.to_bind.len(), found.unclaimed.len()), (1, 1));
    assert!(world.result("r").rows[0].unclaimed && world.result("r").rows[0].entry.is_unclaimed());
    assert_eq!(world.standing("d"), [line("a", 1, 25)], "it has the place and no points, and the others close up");
    world.bind("r");
    // The driver registers, and shows that the account is his.
    world.act(AccountLinked { person: person("z"), sim: id("iracing"), account: account("stranger"), from_event: None, to_event: None });
    assert_eq!(world.standing("d"), [line("z", 1, 25), line("a", 2, 18)]);
}

#[test]
fn where_nobody_enters_everybody_scores() {
    let mut world = World::new(F1);
    let season = boxbox_race::league::SeasonSet {
        season: id("s"),
        series: id("gt"),
        name: None,
        starts: id("2026-01-01"),
        rules: boxbox_race::league::RulesetRef { ruleset: id("r"), version: 1 },
        unclaimed: Unclaimed::Score,
    };
    world.act(season).race("e", 1, &["a", "b"]).race("f", 2, &["a", "b"]);
    let points: Vec<_> = world.standing("d").into_iter().map(|(_, rank, points)| (rank, points)).collect();
    assert_eq!(points, [(Some(1), 50.into()), (Some(2), 36.into())], "an account without a person competes as itself");
}

#[test]
fn later_changes_of_the_entry_list_do_not_touch_a_bound_session() {
    let mut world = World::new(F1);
    world.act(TeamSet { team: id("t1"), name: None }).act(TeamSet { team: id("t2"), name: None });
    world.championship("teams", |set| set.subject = Subject::Team);
    world.person("a", &["a"]).entry("a", None, &["a"], |of| of.team = Some(id("t1")));
    world.race("e1", 1, &["a"]).bind("e1-race");
    let before = world.result("e1-race").digest();
    world.entry("a", None, &["a"], |of| of.team = Some(id("t2")));
    assert_eq!(world.result("e1-race").digest(), before);
    world.race("e2", 2, &["a"]);
    assert_eq!(world.standing("teams"), [line("t1", 1, 25), line("t2", 1, 25)]);
    // Only a decision moves it.
    let mut details = details("c");
    (details.team, details.persons) = (Some(id("t2")), vec![person("a")]);
    let to = BoundTo::Entry { entry: id("a"), details: Box::new(details) };
    let key = world.facts[&id("e1-race")].cars()[0].key;
    world.act(Rebound { session: id("e1-race"), car: key, to, reason: text() });
    assert_eq!(world.standing("teams"), [line("t2", 1, 50)]);
    world.act(Rebound { session: id("e1-race"), car: key, to: BoundTo::LeftOut {}, reason: text() });
    assert!(world.result("e1-race").rows.is_empty());
}

#[test]
fn a_team_keeps_the_points_of_a_driver_who_left_it() {
    let mut world = World::new(F1);
    world.act(TeamSet { team: id("t1"), name: None }).act(TeamSet { team: id("t2"), name: None });
    world.championship("teams", |set| set.subject = Subject::Team);
    world.enter(&["a"]).race("e1", 1, &["a"]).race("e2", 2, &["a"]);
    let member = |team, from: Option<&str>, to: Option<&str>| MemberSet {
        team: id(team),
        person: person("a"),
        role: MemberRole::Driver,
        from_event: from.map(id),
        to_event: to.map(id),
    };
    world.act(member("t1", None, Some("e1"))).act(member("t2", Some("e2"), None));
    assert_eq!(world.standing("teams"), [line("t1", 1, 25), line("t2", 1, 25)]);
    assert_eq!(world.of("d", "a"), Some(50.into()));
}

#[test]
fn one_person_in_two_cars_has_the_better_result_of_them() {
    let mut world = World::new(F1);
    world.person("a", &["a", "a2"]).enter(&["b"]);
    world.entry("a-1", None, &["a"], |of| of.number = Some(id("1"))).entry("a-2", None, &["a"], |of| of.number = Some(id("2")));
    let cars = vec![Car { number: Some(id("1")), ..car("a", 10, 900) }, Car { number: Some(id("2")), ..car("a2", 10, 902) }, car("b", 10, 901)];
    world.event("e", 1, |_| {}).session("r", "e", Role::Feature, Facts::of(cars, None, true));
    assert_eq!(world.places("r"), [("a-1".into(), Some(1)), ("b".into(), Some(2)), ("a-2".into(), Some(3))]);
    assert_eq!(world.standing("d"), [line("a", 1, 25), line("b", 2, 18)]);
    let cell = &world.table("d").lines[0].cells[0];
    assert_eq!(cell.why.iter().map(|part| (part.entry.as_str(), part.counts)).collect::<Vec<_>>(), [("a-1", true), ("a-2", false)]);
}

#[test]
fn of_a_shared_car_those_who_drove_enough_score() {
    let rules = F1.replace(r#""season""#, r#""drivers": {"min_share": "1/10"}, "season""#);
    let mut world = World::new(&rules);
    world.person("a", &["a"]).person("b", &["b"]).person("n", &["n"]).entry("t", None, &["a", "b", "n"], |_| {});
    let shared = Car {
        drivers: [("a", 60), ("b", 35), ("n", 5)].map(|(name, laps)| Drove { accounts: vec![account(name)], laps }).to_vec(),
        ..car("t", 100, 9000)
    };
    world.event("e", 1, |_| {}).session("r", "e", Role::Feature, Facts::of(vec![shared], None, true));
    assert_eq!(world.standing("d"), [line("a", 1, 25), line("b", 1, 25), line("n", 3, 0)]);
    assert!(world.table("d").lines[2].cells[0].why[0].why.iter().any(|why| why.rule == "league.drive-time"));
}

#[test]
fn one_entry_is_one_car_of_a_session() {
    let mut world = World::new(F1);
    world.person("a", &["a", "a2"]).entry("a", None, &["a"], |_| {}).race("e", 1, &["a", "a2"]);
    let entries: Vec<EntrySlug> = world.result("e-race").rows.iter().map(|row| row.entry).collect();
    assert_eq!((entries[0], entries[1].is_unclaimed()), (id("a"), true));
    world.bind("e-race");
    let other = world.facts[&id("e-race")].cars().iter().find(|other| world.result("e-race").rows[1].car == other.key).unwrap().key;
    let to = BoundTo::Entry { entry: id("a"), details: Box::new(details("c")) };
    let refusal = world.league.check(&Rebound { session: id("e-race"), car: other, to, reason: text() }.into()).unwrap_err();
    assert_eq!((refusal.code, refusal.field.as_str()), (Code::Contradicts, "entry"));
}
