//! Rulesets as documents: faults and where they are, digests, presets.

use boxbox_race::scoring::{
    BonusKind, Counted, Distance, DrivenCar, EventScore, PRESETS, Points, Ruleset, Season, Share, award, classify, find_preset, preset,
    preset_document, table,
};
use proptest::prelude::*;

/// A document with `more` after its first fields, from line 2 on.
fn document(more: &str) -> String {
    format!("{{\"format\": 1, \"name\": \"ours\",\n{more}}}")
}

const RACE: &str = "\"race\": {\"table\": [25, 18, 15]}";

/// Line and field of every fault.
fn faults(document: &str) -> Vec<(u32, String)> {
    match Ruleset::parse(document) {
        Ok(ruleset) => panic!("no fault found: {ruleset:?}"),
        Err(errors) => {
            // A message says more than the field.
            errors.iter().for_each(|error| assert!(error.message.len() > 10 && error.line > 0 && error.column > 0, "{error}"));
            errors.into_iter().map(|error| (error.line, error.field)).collect()
        }
    }
}

#[test]
fn every_kind_of_fault_is_found_at_its_line() {
    let cases = [
        // What is no field, or is there twice.
        ("\"race\": {\n\"tabel\": [25]}", vec![(2, "race.table"), (3, "race.tabel")]),
        ("\"race\": {\"table\": [2]},\n\"race\": {\"table\": [1]}", vec![(3, "race")]),
        // Tables.
        ("\"race\": {\"table\": [25,\n18,\n20]}", vec![(4, "race.table[2]")]),
        ("\"race\": {\"table\": [25, -1]}", vec![(2, "race.table[1]")]),
        ("\"race\": {\"table\": [2], \"beyond\": 3}", vec![(2, "race.beyond")]),
        ("\"race\": {\"table\": []}", vec![(2, "race.table")]),
        ("\"race\": {\"table\": [\"2,5\"]}", vec![(2, "race.table[0]")]),
        ("\"race\": {\"table\": [2e1]}", vec![(2, "race.table[0]")]),
        ("\"race\": {\"table\": 25}", vec![(2, "race.table")]),
        ("\"race\": {\"table\": [2], \"multiplier\": 0}", vec![(2, "race.multiplier")]),
        // Fractions.
        ("\"race\": {\"table\": [2]},\n\"classification\": {\"min_fraction\": 90}", vec![(3, "classification.min_fraction")]),
        (
            "\"race\": {\"table\": [2], \"partial\": [{\"below\": 1.5, \"factor\": 2}]}",
            vec![(2, "race.partial[0].below"), (2, "race.partial[0].factor")],
        ),
        ("\"race\": {\"table\": [2]},\n\"drivers\": {\"min_share\": \"-1/2\"}", vec![(3, "drivers.min_share")]),
        // Contradictions.
        ("\"race\": {\"table\": [2], \"partial\": [{\"below\": 0.5, \"factor\": 0.5, \"table\": [1]}]}", vec![(2, "race.partial[0]")]),
        ("\"race\": {\"table\": [2], \"partial\": [{\"below\": 0.5}]}", vec![(2, "race.partial[0]")]),
        (
            "\"race\": {\"table\": [2], \"partial\": [{\"below\": 0.5, \"factor\": 0},\n{\"below\": \"1/2\", \"factor\": 0.5}]}",
            vec![(3, "race.partial[1].below")],
        ),
        ("\"race\": {\"table\": [2]},\n\"season\": {\"drop\": 1, \"best\": 3}", vec![(3, "season")]),
        ("\"race\": {\"table\": [2]},\n\"season\": {\"halves\": \"larger_first\", \"parts\": [6, 5]}", vec![(3, "season.halves")]),
        ("\"race\": {\"table\": [2]},\n\"season\": {\"drop\": 1, \"drop_for_each\": 4}", vec![(3, "season")]),
        ("\"race\": {\"table\": [2]},\n\"years\": {\"first\": 1990, \"last\": 1981}", vec![(3, "years")]),
        // Drops against events.
        ("\"race\": {\"table\": [2]},\n\"season\": {\"events\": 4,\n\"drop\": 5}", vec![(4, "season.drop")]),
        ("\"race\": {\"table\": [2]},\n\"season\": {\"events\": 4, \"drop\": 4}", vec![(3, "season.drop")]),
        ("\"race\": {\"table\": [2]},\n\"season\": {\"events\": 4, \"best\": 5}", vec![(3, "season.best")]),
        ("\"race\": {\"table\": [2]},\n\"season\": {\"parts\": [6, 5],\n\"drop\": [1, 5]}", vec![(4, "season.drop[1]")]),
        ("\"race\": {\"table\": [2]},\n\"season\": {\"parts\": [6, 5], \"drop\": [1, 1, 1]}", vec![(3, "season.drop")]),
        ("\"race\": {\"table\": [2]},\n\"season\": {\"events\": 4, \"drop\": 2, \"not_droppable\": [1, 2, 3]}", vec![(3, "season.drop")]),
        (
            "\"race\": {\"table\": [2]},\n\"season\": {\"events\": 4, \"not_droppable\": [5, 1, 1]}",
            vec![(3, "season.not_droppable[0]"), (3, "season.not_droppable[2]")],
        ),
        (
            "\"race\": {\"table\": [2]},\n\"season\": {\"events\": 4, \"min_starts\": 5, \"min_events\": 6}",
            vec![(3, "season.min_events"), (3, "season.min_starts")],
        ),
        ("\"race\": {\"table\": [2]},\n\"season\": {\"events\": 12, \"parts\": [6, 5]}", vec![(3, "season.parts")]),
        ("\"race\": {\"table\": [2]},\n\"season\": {\"ties\": [\"countback\", \"countback\"]}", vec![(3, "season.ties[1]")]),
        ("\"race\": {\"table\": [2]},\n\"season\": {\"ties\": [\"coutback\"]}", vec![(3, "season.ties[0]")]),
        // Bonuses.
        ("\"race\": {\"table\": [2], \"bonuses\": [\n{\"kind\": \"stage\", \"stage\": 1}]}", vec![(3, "race.bonuses[0]")]),
        (
            "\"race\": {\"table\": [2], \"bonuses\": [\n{\"kind\": \"stage\", \"stage\": 1, \"table\": [1, 2]}]}",
            vec![(3, "race.bonuses[0].table[1]")],
        ),
        (
            "\"race\": {\"table\": [2], \"bonuses\": [{\"kind\": \"pole\", \"points\": 1},\n{\"kind\": \"pole\", \"points\": 2}]}",
            vec![(3, "race.bonuses[1].kind")],
        ),
        ("\"race\": {\"table\": [2], \"bonuses\": [{\"kind\": \"pole\"}]}", vec![(2, "race.bonuses[0].points")]),
        ("\"race\": {\"table\": [2], \"bonuses\": [{\"kind\": \"pol\", \"points\": 1}]}", vec![(2, "race.bonuses[0].kind")]),
        ("\"race\": {\"table\": [2], \"bonuses\": [{\"kind\": \"pole\", \"points\": 1, \"most\": 3}]}", vec![(2, "race.bonuses[0]")]),
        ("\"race\": {\"table\": [2], \"bonuses\": [{\"kind\": \"clean\", \"points\": 1}]}", vec![(2, "race.bonuses[0]")]),
        ("\"race\": {\"table\": [2], \"bonuses\": [{\"kind\": \"led_a_lap\", \"points\": 1, \"tie\": \"first\"}]}", vec![(2, "race.bonuses[0].tie")]),
        // Teams and other tables have the same checks.
        (
            "\"race\": {\"table\": [2]},\n\"teams\": {\"best\": 0,\n\"season\": {\"drop\": 1, \"events\": 1}}",
            vec![(3, "teams.best"), (4, "teams.season.drop")],
        ),
        (
            "\"race\": {\"table\": [2]},\n\"tables\": {\"heat\": {\"table\": [1, 2]}, \"sprint\": {\"table\": [1]}}",
            vec![(3, "tables.heat.table[1]"), (3, "tables.sprint")],
        ),
        // Words and texts.
        ("\"race\": {\"table\": [2], \"ties\": \"pol\"}", vec![(2, "race.ties")]),
        ("\"race\": {\"table\": [2]},\n\"verified\": 1", vec![(3, "verified")]),
    ];
    let mut wrong = vec![];
    for (more, expected) in cases {
        let expected: Vec<(u32, String)> = expected.into_iter().map(|(line, field)| (line, field.to_owned())).collect();
        let mut found = faults(&document(more));
        found.sort();
        let mut wanted = expected.clone();
        wanted.sort();
        if found != wanted {
            wrong.push(format!("{more}: {found:?}, not {wanted:?}"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn all_faults_are_told_at_once_in_the_order_of_the_document() {
    let text = "{\n\"format\": 2,\n\"name\": \"Ours!\",\n\"race\": {\"table\": [1, 2]},\n\"colour\": 1,\n\"season\": {\"best\": 0}\n}";
    let expected = [(2, "format"), (3, "name"), (4, "race.table[1]"), (5, "colour"), (6, "season.best")];
    assert_eq!(faults(text), expected.map(|(line, field)| (line, field.to_owned())));
    let errors = Ruleset::parse(&document("\"race\": {\"tabel\": [25]}")).unwrap_err();
    assert!(errors.iter().any(|error| error.to_string() == "line 2, column 10: race.tabel: unknown field; did you mean table?"), "{errors:?}");
}

#[test]
fn what_is_no_json_is_refused_with_its_line() {
    let cases = [
        ("", 1),
        ("{", 1),
        ("{\"format\": 1,\n}", 2),
        ("{\"format\": 1\n\"name\": \"a\"}", 2),
        ("{\"format\": 01}", 1),
        ("{\"name\": \"a\nb\"}", 1),
        ("{\"name\": ours}", 1),
        ("{}\n{}", 2),
        ("{\"name\": \"\\ud800\"}", 1),
    ];
    for (text, line) in cases {
        assert_eq!(faults(text).first().map(|(line, _)| *line), Some(line), "{text:?}");
    }
    assert_eq!(faults("[]").len(), 1);
    assert_eq!(faults(&"[".repeat(100_000)).len(), 1);
    assert_eq!(faults(&" ".repeat(1_000_000)).len(), 1);
    // 100 faults are enough to tell.
    let many: String = (0..1_000).map(|n| format!("\"x{n}\": 1,")).collect();
    assert_eq!(faults(&document(&format!("{many}{RACE}"))).len(), 100);
}

#[test]
fn documents_that_mean_the_same_have_one_digest() {
    let hash = |text: &str| Ruleset::parse(text).unwrap().hash();
    let usual = hash(&document("\"race\": {\"table\": [25, 12.5], \"beyond\": 0.5}, \"season\": {\"drop\": 1}"));
    let same = [
        "{\"season\":{\"drop\":[1]},\"race\":{\"beyond\":\"1/2\",\"table\":[\"25\",\"25/2\"]},\"name\":\"ours\",\"format\":1}",
        "\u{feff}{ \"format\" : 1 , \"name\": \"\\u006furs\",\r\n\t\"race\": {\"table\": [\"50/2\", \"12.50\"], \"beyond\": \"2/4\", \"bonuses\": []}, \"season\": {\"drop\": 1, \"floor_zero\": false}, \"sprint\": null}",
    ];
    for text in same {
        assert_eq!(hash(text), usual, "{text}");
    }
    let others = [
        "\"race\": {\"table\": [25, 12.51], \"beyond\": 0.5}, \"season\": {\"drop\": 1}",
        "\"race\": {\"table\": [25, 12.5], \"beyond\": 0.5}, \"season\": {\"drop\": 2}",
        "\"race\": {\"table\": [25, 12.5]}, \"season\": {\"drop\": 1}",
        "\"race\": {\"table\": [25, 12.5], \"beyond\": 0.5}, \"season\": {\"best\": 1}",
        "\"sprint\": {\"table\": [25, 12.5], \"beyond\": 0.5}, \"race\": {\"table\": [25, 12.5], \"beyond\": 0.5}, \"season\": {\"drop\": 1}",
    ];
    for text in others {
        assert_ne!(hash(&document(text)), usual, "{text}");
    }
}

#[test]
fn every_preset_can_be_read_and_written_again() {
    let mut hashes = std::collections::BTreeSet::new();
    for name in PRESETS {
        let ruleset = Ruleset::parse(preset_document(name).unwrap()).unwrap_or_else(|errors| panic!("{name}: {errors:?}"));
        assert_eq!(ruleset.name, name);
        assert!(!ruleset.title.is_empty() && !ruleset.source.is_empty(), "{name}");
        let again = Ruleset::parse(&ruleset.canonical()).unwrap_or_else(|errors| panic!("{name}: {errors:?}"));
        assert_eq!((&again, again.hash()), (&ruleset, ruleset.hash()), "{name}");
        assert!(hashes.insert(ruleset.hash()), "{name} is another one too");
    }
}

#[test]
fn a_digest_stays_what_it_was() {
    // What a league has adopted keeps its digest in every later version.
    let hex = |hash: [u8; 32]| hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let ruleset = Ruleset::parse(&document(RACE)).unwrap();
    assert_eq!(ruleset.canonical(), "{\"format\":1,\"name\":\"ours\",\"race\":{\"table\":[\"25\",\"18\",\"15\"]}}");
    assert_eq!(hex(ruleset.hash()), "800d2ea6dbf0ee57ef9efcd0c0913eee79a5cacb7a8343b2cad8d47836a70ec3");
}

#[test]
fn a_name_finds_its_preset() {
    let name = |name: &str| preset(name).map(|ruleset| ruleset.name);
    for (asked, found) in [
        ("f1_1988", "f1_1981"),
        ("f1-1988", "f1_1981"),
        ("F1-2010", "f1_2010"),
        ("f1_2016", "f1_2015"),
        ("f1_2014", "f1_2014"),
        ("f1_2026", "f1_2025"),
        ("f1", "f1_2025"),
        ("wec", "wec_2024"),
        ("wec_6h", "wec_2024"),
        ("nascar-cup-2020", "nascar_cup_2017"),
        ("motogp_2023", "motogp"),
        ("f1_sprint_2021", "f1_sprint_2021"),
    ] {
        assert_eq!(name(asked).as_deref(), Some(found), "{asked}");
    }
    for year in 1950..=2026 {
        assert!(preset(&format!("f1_{year}")).unwrap().years.unwrap().contain(year), "{year}");
    }
    for (asked, says) in [
        ("f1-3000", "there is no ruleset for f1 in 3000: those that are known are of 1950 to 2026; f1 is the newest"),
        ("f1_2027", "there is no ruleset for f1 in 2027: those that are known are of 1950 to 2026; f1 is the newest"),
        ("f1_1949", "there is no ruleset for f1 in 1949: those that are known are of 1950 to 2026; f1 is the newest"),
        ("formula", "there is no ruleset called \"formula\""),
    ] {
        assert_eq!(find_preset(asked).unwrap_err().to_string(), says);
        assert_eq!(name(asked), None);
    }
    for open in PRESETS {
        let family = open.rsplit_once('_').filter(|(_, year)| year.len() == 4).map_or(open, |(family, _)| family);
        assert_eq!(name(&format!("{family}_3000")), None, "no season that is not known has rules: {family}");
    }
    assert_eq!((name("f1_1949"), name("f2"), name(""), name("_"), name("f1_19880")), (None, None, None, None, None));
}

/// The points of places 1 to `cars` of a race.
fn places(name: &str, session: &str, cars: u32) -> Vec<Points> {
    let rules = preset(name).unwrap();
    let cars: Vec<DrivenCar> =
        (1..=cars).map(|place| DrivenCar { entry: format!("{place:03}"), laps: 10, line_us: Some(place.into()), ..DrivenCar::default() }).collect();
    let classified = classify(&cars, &[], &rules.classification);
    award(&classified, &[], &Distance::default(), rules.points_of(session).unwrap()).into_iter().map(|score| score.place_points).collect()
}

fn points(all: &[i64]) -> Vec<Points> {
    all.iter().copied().map(Points::from).collect()
}

#[test]
fn tables_are_those_of_the_rulebooks() {
    let cases: [(&str, &str, u32, &[i64]); 21] = [
        ("f1_1950", "race", 6, &[8, 6, 4, 3, 2, 0]),
        ("f1_1960", "race", 7, &[8, 6, 4, 3, 2, 1, 0]),
        ("f1_1961", "race", 7, &[9, 6, 4, 3, 2, 1, 0]),
        ("f1_1991", "race", 7, &[10, 6, 4, 3, 2, 1, 0]),
        ("f1_2003", "race", 9, &[10, 8, 6, 5, 4, 3, 2, 1, 0]),
        ("f1_2010", "race", 11, &[25, 18, 15, 12, 10, 8, 6, 4, 2, 1, 0]),
        ("f1_2021", "sprint", 4, &[3, 2, 1, 0]),
        ("f1_2022", "sprint", 9, &[8, 7, 6, 5, 4, 3, 2, 1, 0]),
        ("motogp", "race", 16, &[25, 20, 16, 13, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]),
        ("motogp", "sprint", 10, &[12, 9, 7, 6, 5, 4, 3, 2, 1, 0]),
        ("indycar", "race", 27, &[50, 40, 35, 32, 30, 28, 26, 24, 22, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 5, 5]),
        ("imsa", "race", 8, &[350, 320, 300, 280, 260, 250, 240, 230]),
        ("imsa", "qualifying", 8, &[35, 32, 30, 28, 26, 25, 24, 23]),
        ("wec", "race", 11, &[25, 18, 15, 12, 10, 8, 6, 4, 2, 1, 0]),
        ("wec", "hours_8_to_10", 11, &[38, 27, 23, 18, 15, 12, 9, 6, 3, 2, 0]),
        ("wec", "le_mans", 12, &[50, 36, 30, 24, 20, 16, 12, 8, 4, 2, 1, 1]),
        ("dtm", "qualifying", 4, &[3, 2, 1, 0]),
        ("supercars", "race", 13, &[300, 276, 258, 240, 222, 204, 192, 180, 168, 156, 144, 138, 132]),
        ("supercars", "half", 3, &[150, 138, 129]),
        ("nxt", "feature", 16, &[25, 21, 19, 17, 16, 15, 14, 13, 12, 10, 8, 6, 4, 2, 1, 0]),
        ("arl_endurance", "race", 25, &[50, 40, 34, 30, 27, 24, 21, 19, 17, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]),
    ];
    for (name, session, cars, expected) in cases {
        assert_eq!(places(name, session, cars), points(expected), "{name} {session}");
    }
    let sum = |name, session, cars| places(name, session, cars).into_iter().sum::<Points>();
    assert_eq!(sum("nascar_cup_2017", "race", 40), 674.into());
    assert_eq!(sum("nascar_cup_2026", "race", 40), 689.into());
    assert_eq!(places("imsa", "race", 31)[28..], points(&[20, 10, 10]));
    assert_eq!(places("imsa", "qualifying", 31)[28..], points(&[2, 1, 1]));
    assert_eq!(places("wec_2023", "race", 12)[9..], [Points::from(1), Points::new(1, 2), Points::new(1, 2)]);
    let stages: Points = preset("nascar_cup_2017").unwrap().race.bonuses.iter().map(stage_sum).sum();
    assert_eq!(stages, 110.into());
}

fn stage_sum(bonus: &boxbox_race::scoring::Bonus) -> Points {
    if let BonusKind::Stage(_, table) = &bonus.kind { table.iter().cloned().sum() } else { Points::default() }
}

#[test]
fn seasons_of_formula_1_count_as_their_rulebooks_say() {
    // The season, the events, and which of them count for a driver who wins all and for whom the earliest wins are dropped.
    for (year, events, dropped) in [
        (1950, 7, vec![1, 2, 3]),
        (1954, 9, vec![1, 2, 3, 4]),
        (1958, 11, vec![1, 2, 3, 4, 5]),
        (1959, 9, vec![1, 2, 3, 4]),
        (1960, 10, vec![1, 2, 3, 4]),
        (1962, 9, vec![1, 2, 3, 4]),
        (1964, 10, vec![1, 2, 3, 4]),
        (1967, 11, vec![1, 7]),
        (1973, 15, vec![1, 9]),
        (1979, 15, vec![1, 2, 3, 8, 9, 10, 11]),
        (1980, 14, vec![1, 2, 8, 9]),
        (1988, 16, vec![1, 2, 3, 4, 5]),
        (1991, 16, vec![]),
    ] {
        let rules = preset(&format!("f1_{year}")).unwrap();
        let event = EventScore { points: Some(9.into()), ..EventScore::default() };
        let line = table(&[Season { competitor: "a".into(), events: vec![event; events], ..Season::default() }], events, &rules.season).remove(0);
        assert_eq!(line.dropped, dropped, "{year}");
    }
    let double = preset("f1_2014").unwrap();
    assert_eq!((double.multiplier(18, 19), double.multiplier(19, 19)), (1.into(), 2.into()));
    assert_eq!(preset("f1_2015").unwrap().multiplier(19, 19), 1.into());
    assert_eq!((preset("f1_1955").unwrap().drivers.share, preset("f1_1958").unwrap().drivers.share), (Share::Equally, Share::Full));
    assert_eq!(preset("f1_1988").unwrap().season.counted, Counted::Best(vec![11]));
    assert_eq!(preset("f1_1988").unwrap().teams.unwrap().season.counted, Counted::All);
}

#[test]
fn short_races_are_worth_what_their_season_says() {
    let winner = |name: &str, part: (i64, i64), green_laps| {
        let rules = preset(name).unwrap();
        let car = DrivenCar { entry: "a".into(), laps: 3, line_us: Some(1), best_lap_us: Some(1), ..DrivenCar::default() };
        let distance = Distance { part: Points::new(part.0, part.1), green_laps };
        award(&classify(&[car], &[], &rules.classification), &[], &distance, &rules.race).remove(0).total
    };
    for (name, part, green, expected) in [
        ("f1_1974", (1, 10), None, Points::from(9)),
        ("f1_1975", (29, 100), None, 0.into()),
        ("f1_1975", (30, 100), None, Points::new(9, 2)),
        ("f1_1975", (60, 100), None, 9.into()),
        ("f1_1991", (14, 81), None, 5.into()),
        ("f1_1991", (3, 4), None, 10.into()),
        ("f1_2020", (1, 44), Some(1), 0.into()),
        ("f1_2020", (1, 44), Some(2), Points::new(27, 2)),
        ("f1_2022", (1, 5), Some(2), 6.into()),
        ("f1_2022", (49, 100), None, 13.into()),
        ("f1_2022", (50, 100), None, 20.into()),
        ("f1_2022", (75, 100), None, 26.into()),
        ("f1_2025", (75, 100), None, 25.into()),
        ("supercars", (49, 100), None, 0.into()),
    ] {
        assert_eq!(winner(name, part, green), expected, "{name} {part:?} {green:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever is done to a document, reading it ends with a ruleset or with faults inside it.
    #[test]
    fn a_damaged_document_is_read_or_refused(preset in 0..PRESETS.len(), cuts in prop::collection::vec((0usize..4_000, 0usize..30, "[\\PC\n\"{}\\[\\],:0-9]{0,6}"), 1..4)) {
        let mut text: Vec<char> = preset_document(PRESETS[preset]).unwrap().chars().collect();
        for (at, len, with) in cuts {
            let at = at % text.len();
            let end = (at + len).min(text.len());
            text.splice(at..end, with.chars());
            prop_assume!(!text.is_empty());
        }
        let text: String = text.into_iter().collect();
        let lines = text.lines().count().max(1) as u32;
        match Ruleset::parse(&text) {
            Ok(ruleset) => prop_assert_eq!(Ruleset::parse(&ruleset.canonical()), Ok(ruleset)),
            Err(errors) => prop_assert!(!errors.is_empty() && errors.iter().all(|error| (1..=lines + 1).contains(&error.line))),
        }
    }
}

/// Who is ahead by places is who has more of the best place in which the two differ; and a table of thousands who are level is made at once.
#[test]
fn a_countback_counts_places_however_many_are_level() {
    use boxbox_race::scoring::{SeasonRules, TieBreak};
    let rules = SeasonRules { ties: vec![TieBreak::Countback], ..SeasonRules::default() };
    let season = |name: String, places: &[u32]| Season {
        competitor: name,
        events: vec![EventScore { points: Some(Points::default()), places: places.to_vec(), ..EventScore::default() }],
        ..Season::default()
    };
    let lists: [&[u32]; 8] = [&[1, 9], &[9, 1, 9], &[1, 1], &[], &[2, 2, 2], &[2], &[2, 3], &[2, 3]];
    let seasons: Vec<Season> = lists.iter().enumerate().map(|(at, places)| season(at.to_string(), places)).collect();
    let lines = table(&seasons, 1, &rules);
    let order: Vec<_> = lines.iter().map(|line| (line.competitor.as_str(), line.rank)).collect();
    let expected = [("2", 1), ("1", 2), ("0", 3), ("4", 4), ("6", 5), ("7", 5), ("5", 7), ("3", 8)].map(|(name, rank)| (name, Some(rank)));
    assert_eq!(order, expected);

    let begun = std::time::Instant::now();
    let many: Vec<Season> = (0..20_000).map(|at| season(format!("{at:05}"), &[20_000, 20_000 - at % 2])).collect();
    let lines = table(&many, 1, &rules);
    assert_eq!((lines[0].rank, lines[9_999].rank, lines[10_000].rank), (Some(1), Some(1), Some(10_001)));
    assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{:?}", begun.elapsed());
}
