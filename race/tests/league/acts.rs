//! The form of acts.

use boxbox_race::league::{Act, Code, Sanction};

const PENALTY: &str = r#"{"kind":"penalty_given","penalty":"p1","at":{"session":"monza-race"},"against":{"entry":"car-7"},
    "sanction":{"kind":"time","us":5000000},"reason":"0000000000000000000000000000000000000000000000000000000000000001"}"#;

#[test]
fn an_act_is_read_and_written_canonically() {
    let act = Act::parse(PENALTY).unwrap();
    assert_eq!(act.kind(), "penalty_given");
    assert!(matches!(&act, Act::PenaltyGiven(given) if given.sanction == Sanction::Time { us: 5_000_000 }));
    let body = act.body();
    assert_eq!(Act::parse(&body).unwrap(), act);
    assert!(body.starts_with(r#"{"against":{"entry":"car-7"},"at""#), "{body}");
}

#[test]
fn an_unknown_field_is_refused() {
    for (with, without) in
        [(r#""us":5000000"#, r#""us":5000000,"points":1"#), (r#""penalty":"p1""#, r#""penalty":"p1","name":"Ann""#), (r#""p1""#, r#""P 1""#)]
    {
        let refusal = Act::parse(&PENALTY.replace(with, without)).unwrap_err();
        assert_eq!(refusal.code, Code::Malformed, "{refusal}");
    }
    let disqualified = PENALTY.replace(r#"{"kind":"time","us":5000000}"#, r#"{"kind":"disqualified","us":1}"#);
    assert!(Act::parse(&disqualified).is_err());
}

mod refusals {
    use boxbox_race::league::{
        Act, AdoptFrom, Change, Code, EventSet, LeagueSet, Override, PenaltyAt, PenaltyGiven, PenaltyState, Role, RulesetAdded, RulesetAdopted,
        Sanction, SessionSet,
    };

    use crate::world::{F1, World, against, id, person, text, time};

    fn refused(world: &World, act: impl Into<Act>) -> (Code, String) {
        let refusal = world.league.check(&act.into()).unwrap_err();
        assert!(!refusal.message.is_empty() && !refusal.field.is_empty());
        (refusal.code, refusal.field)
    }

    #[test]
    fn each_names_the_field_and_the_kind() {
        let mut world = World::new(F1);
        let set = |league: &str| LeagueSet { league: id(league), name: None, time_zone: id("UTC"), rules: None };
        assert_eq!(refused(&World::default(), boxbox_race::league::TeamSet { team: id("t"), name: None }), (Code::State, "kind".into()));
        assert_eq!(refused(&world, set("other")), (Code::Contradicts, "league".into()));
        world.enter(&["a"]).race("e", 1, &["a"]);
        let event = |event: &str, index, multiplier: i64| EventSet {
            event: id(event),
            season: id("s"),
            index,
            date: id("2026-02-28"),
            name: None,
            multiplier: multiplier.into(),
            droppable: true,
            cancelled: false,
        };
        assert_eq!(refused(&world, event("f", 1, 1)), (Code::Contradicts, "index".into()));
        assert_eq!(refused(&world, event("f", 2, 0)), (Code::OutOfBounds, "multiplier".into()));
        let session = SessionSet {
            session: id("x"),
            event: id("nowhere"),
            role: Role::Feature,
            telemetry: vec![],
            file: None,
            counts_for: None,
            planned_laps: None,
        };
        assert_eq!(refused(&world, session.clone()), (Code::Unknown, "event".into()));
        assert_eq!(refused(&world, SessionSet { event: id("e"), planned_laps: Some(0), ..session }), (Code::OutOfBounds, "planned_laps".into()));
        let adopted =
            RulesetAdopted { season: id("s"), championship: None, ruleset: id("r"), version: 9, from: AdoptFrom::RecomputeAll, reason: text() };
        assert_eq!(refused(&world, adopted), (Code::Unknown, "ruleset".into()));
        let added = |version, document: &str| RulesetAdded { ruleset: id("r"), version, hash: Default::default(), document: document.into() };
        assert_eq!(refused(&world, added(1, F1)), (Code::Exists, "version".into()));
        assert_eq!(refused(&world, added(3, F1)), (Code::Contradicts, "version".into()));
        assert_eq!(refused(&world, added(2, F1)), (Code::Contradicts, "hash".into()));
        assert_eq!(refused(&world, added(2, &F1.replace("25", "x"))), (Code::Malformed, "document".into()));
        let given =
            |at, sanction| PenaltyGiven { penalty: id("p"), at, against: against("a"), sanction, state: PenaltyState::InForce, reason: text() };
        let race = PenaltyAt::Session(id("e-race"));
        assert_eq!(refused(&world, given(race, time(0))), (Code::OutOfBounds, "sanction.us".into()));
        assert_eq!(refused(&world, given(PenaltyAt::Season(id("s")), time(5))), (Code::Contradicts, "at".into()));
        let season_points = Sanction::SeasonPoints { points: 1.into(), championship: None };
        assert_eq!(refused(&world, given(race, season_points)), (Code::Contradicts, "at".into()));
        assert_eq!(refused(&world, PenaltyGiven { against: against("b"), ..given(race, time(5)) }), (Code::Unknown, "against.entry".into()));
        let place = Override { session: id("e-race"), entry: id("a"), change: Change::Place { old: None, new: 0 }, reason: text() };
        assert_eq!(refused(&world, place), (Code::OutOfBounds, "change.new".into()));
        let again = boxbox_race::league::PersonAdded { person: person("a"), name: None };
        assert_eq!(refused(&world, again), (Code::Exists, "person".into()));
        // What is refused changes nothing, and what is allowed is allowed again.
        world.act(event("f", 2, 2)).act(event("f", 2, 2));
    }

    #[test]
    fn ids_and_dates_are_what_they_look_like() {
        use boxbox_race::league::{Date, EntrySlug, Number, PersonId, TimeZone};
        for (text, ok) in [("2024-02-29", true), ("2026-02-29", false), ("2026-13-01", false), ("2026-1-1", false), ("2026-00-10", false)] {
            assert_eq!(text.parse::<Date>().is_ok(), ok, "{text}");
        }
        for (text, ok) in [("a", true), ("7-b", true), ("-a", false), ("A", false), ("", false), ("a_b", false), (&"a".repeat(41), false)] {
            assert_eq!(text.parse::<EntrySlug>().is_ok(), ok, "{text}");
        }
        assert!("p-abc".parse::<PersonId>().is_err() && "Ann Example".parse::<Number>().is_err() && "a b".parse::<TimeZone>().is_err());
    }
}

#[test]
fn the_digests_of_a_small_season_stay_what_they_are() {
    use crate::world::{F1, World, time};
    let mut world = World::new(F1);
    world.enter(&["a", "b"]).race("e", 1, &["a", "b"]).penalty("p", "e-race", "a", time(5));
    let found = [world.facts.values().next().unwrap().digest(), world.result("e-race").digest(), world.table("d").digest()].map(|of| of.to_string());
    // If a field was added or moved by intent, these change, and every published revision is computed anew: say so in the change log.
    assert_eq!(
        found,
        [
            "81a9b63a3bb658e23b4ab27c78e3528fef772d6d948eb507656259b53319cf69",
            "1e0e7a61f1c6e8e249795fb56137c28b66cd850700ad02ffa66d889715aaf243",
            "7a86232597ad7ee38a6da6435e8bf18b51cf9bbd8fb92fc5575f2d20f0d90357"
        ]
    );
}
