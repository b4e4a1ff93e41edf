//! A league on the command line, as README tells it: what is said twice changes nothing else, what was decided is seen and taken back, and a
//! league that moves keeps its drivers.

use serde_json::{Value, json};

use crate::common::Server;
use crate::common::place::Place;
use crate::rest::Rest;
use crate::run;
use crate::stored::{by_hand, sql};

const ENTRIES: &str = "number,name,team,driver,sim,account\n7,Ann Example,Red,ann,iracing,100001\n8,Bo Example,Red,bo,iracing,100002\n";
const CY: &str = "9,Cy Example,Blue,cy,iracing,100003\n";
const RESULT: &str = "account,laps,time\n100001,20,33:20.0\n100002,20,33:23.2\n100003,19,33:30.9\n";

/// `boxbox league …` against a server.
struct League<'a> {
    place: &'a Place,
    server: &'a Server,
}

impl League<'_> {
    fn run(&self, args: &[&str]) -> (bool, String) {
        let api = self.server.api.trim_start_matches("http://").trim_end_matches('/');
        run(&[&["league"], args, &["--api", api]].concat())
    }

    #[track_caller]
    fn does(&self, args: &[&str]) -> String {
        let (well, said) = self.run(args);
        assert!(well, "{args:?}: {said}");
        said
    }

    #[track_caller]
    fn refuses(&self, args: &[&str], why: &str) {
        let (well, said) = self.run(args);
        assert!(!well && said.contains(why), "{args:?}: {said}");
    }

    fn file(&self, name: &str, text: &str) -> String {
        let file = self.place.folder().join(name);
        std::fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    }

    fn rest(&self) -> Rest<'_> {
        Rest { server: self.server, league: "gt3" }
    }

    /// What is set of the one event, with its name.
    fn event(&self) -> Value {
        let season = self.rest().get("/seasons/2026");
        let mut set = season["events"][0]["set"].clone();
        set["name"] = season["events"][0]["name"].clone();
        set
    }

    /// What is set of the one session.
    fn session(&self) -> Value {
        self.rest().get("/seasons/2026")["events"][0]["sessions"][0]["set"].clone()
    }
}

fn ledger(place: &Place, args: &[&str]) -> (bool, String) {
    let data = place.data();
    run(&[&["ledger"], args, &["--data", data.to_str().unwrap()]].concat())
}

fn export(place: &Place, name: &str, more: &[&str]) -> String {
    let data = place.data();
    let out = crate::common::boxbox(&[&["ledger", "export", "gt3", "--data", data.to_str().unwrap()], more].concat()).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let file = place.folder().join(name);
    std::fs::write(&file, out.stdout).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn a_league_on_the_command_line() {
    let place = Place::embedded();
    let server = place.up();
    let league = League { place: &place, server: &server };
    begin(&league);
    attach(&league);
    decide(&league);
    assert!(server.terminate().success());
    moved(&place);
}

/// A league with an event, of which only what is said changes.
fn begin(league: &League<'_>) {
    let init = ["init", "gt3", "--name", "GT3 Club", "--rules", "f1-2010", "--season", "2026", "--starts", "2026-01-01", "--teams"];
    league.does(&init);
    league.refuses(&init, "there is a league gt3 already");
    league.refuses(&["init", "gt4", "--rules", "f2-1988"], "f2-1988");
    league.does(&["entries", "import", "gt3", "2026", &league.file("entries.csv", &format!("{ENTRIES}{CY}")), "--no-strings"]);
    let monza = ["event", "gt3", "2026", "monza"];
    let with = |more: &[&'static str]| [&monza[..], more].concat();
    league.refuses(&monza, "--index");
    league.refuses(&with(&["--index", "0", "--date", "2026-03-08"]), "--index");
    league.does(&with(&["--index", "3", "--date", "2026-03-08", "--name", "Monza 2 h", "--multiplier", "2", "--not-droppable"]));
    let mut before = league.event();
    assert_eq!((&before["multiplier"], &before["droppable"], &before["name"]), (&json!("2"), &json!(false), &json!("Monza 2 h")));
    league.does(&with(&["--date", "2026-03-09"]));
    before["date"] = "2026-03-09".into();
    assert_eq!(league.event(), before, "only the date was said");
    league.does(&with(&["--droppable"]));
    before["droppable"] = true.into();
    assert_eq!(league.event(), before, "only that it may be dropped was said");
    assert!(league.does(&monza).contains("nothing to change"));
}

/// A session and its facts are attached in one step, and again.
fn attach(league: &League<'_>) {
    let (bad, good) = (league.file("bad.csv", "acount,laps\n1,2\n"), league.file("monza.csv", &format!("{RESULT}100009,18,33:40.0\n")));
    let monza = ["sessions", "attach", "gt3", "monza", "monza-race", "--file"];
    league.refuses(&[&monza[..], &[&bad, "--planned-laps", "20"]].concat(), "best_lap");
    let season = league.rest().get("/seasons/2026");
    assert_eq!(season["events"][0]["sessions"], json!([]), "what is refused changes nothing");
    league.does(&[&monza[..], &[&good, "--planned-laps", "20", "--counts-for", "drivers"]].concat());
    let set = league.session();
    assert_eq!((&set["role"], &set["planned_laps"], &set["counts_for"]), (&json!("feature"), &json!(20), &json!(["drivers"])));
    let again = league.file("monza.csv", &format!("{RESULT}100009,17,33:40.0\n"));
    league.does(&[&monza[..], &[&again]].concat());
    let set = league.session();
    assert_eq!((&set["role"], &set["planned_laps"], &set["counts_for"]), (&json!("feature"), &json!(20), &json!(["drivers"])));
}

/// Publications, a penalty that is seen and taken back.
fn decide(league: &League<'_>) {
    let said = league.does(&["publish", "gt3", "--session", "monza-race", "--state", "official"]);
    assert!(said.contains("cars without an entry: ") && said.contains("17 laps"), "{said}");
    league.does(&["publish", "gt3", "--championship", "drivers"]);
    let penalty = ["penalty", "gt3", "monza-race", "car-7", "--reason", "Speeding in the pits", "--seconds"];
    for wrong in ["-2", "0", "2s"] {
        league.refuses(&[&penalty[..], &[wrong]].concat(), "--seconds");
    }
    let said = league.does(&[&penalty[..], &["3.5"]].concat());
    assert!(said.contains("Ann Example -14"), "who it changed has a name: {said}");
    let id = said.lines().find_map(|line| line.strip_prefix("penalty ")).unwrap_or_else(|| panic!("no id: {said}")).to_owned();
    for list in [&["penalties", "gt3"][..], &["penalties", "gt3", "monza-race"]] {
        let said = league.does(list);
        for expected in [&id, "car-7", "3.5 s", "in force", "Speeding in the pits"] {
            assert!(said.contains(expected), "{expected}: {said}");
        }
    }
    let said = league.does(&["result", "gt3", "monza-race"]);
    let heads: Vec<&str> = said.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(heads[..8], ["place", "entry", "number", "drivers", "class", "laps", "time", "decided"], "{said}");
    let ann = said.lines().find(|line| line.contains("Ann Example")).unwrap();
    assert!(ann.starts_with('2') && ann.contains("33:23.500") && ann.contains(&id), "{said}");
    for who in ["car-7", "7", "ann example"] {
        let said = league.does(&["result", "gt3", "monza-race", "--why", who]);
        assert!(said.contains("place 2") && said.contains("penalty.time") && said.contains(&id), "{who}: {said}");
    }
    let said = league.does(&["standings", "gt3", "drivers"]);
    assert_eq!(said.lines().nth(1).unwrap().split_whitespace().collect::<Vec<_>>(), ["rank", "driver", "points", "monza"], "{said}");
    let said = league.does(&["standings", "gt3", "drivers", "--why", "Ann"]);
    assert!(said.contains(&id) && said.contains("penalty.time"), "{said}");
    league.does(&["rescind", "gt3", &id, "--reason", "It was Bo"]);
    assert!(league.does(&["penalties", "gt3"]).contains("rescinded"));
    let first = league.does(&["standings", "gt3", "drivers"]);
    assert!(first.lines().nth(2).unwrap().contains("Ann Example"), "{first}");
}

/// The league on another machine: with its texts it goes on; without them no driver is taken for another.
fn moved(place: &Place) {
    let (whole, without) = (export(place, "gt3.ndjson", &[]), export(place, "without.ndjson", &["--without-texts"]));
    let other = Place::embedded();
    let (well, said) = ledger(&other, &["import", "gt3", &without]);
    assert!(well && said.contains("how its accounts are hashed"), "{said}");
    let (well, said) = ledger(&other, &["verify"]);
    assert!(!well && said.contains("the salt of its accounts is missing"), "{said}");

    let server = other.up();
    let league = League { place: &other, server: &server };
    let entries = league.file("entries.csv", ENTRIES);
    let again = ["entries", "import", "gt3", "2026", &entries, "--no-strings"];
    league.refuses(&again, "without its texts");
    let race = ["sessions", "attach", "gt3", "monza", "monza-race", "--file", &league.file("race.csv", RESULT)];
    league.refuses(&race, "without its texts");
    // What needs no account can be decided all the same, and somebody is erased meanwhile.
    league.does(&["event", "gt3", "2026", "spa", "--index", "4", "--date", "2026-04-01"]);
    let list = league.rest().get("/seasons/2026/entries");
    let cy = list["entries"].as_array().unwrap().iter().find(|entry| entry["entry"] == "car-9").unwrap();
    league.rest().acts(&json!({ "kind": "person_erased", "person": cy["intervals"][0][1]["persons"][0] }));
    assert!(server.terminate().success());

    let (well, said) = ledger(&other, &["import", "gt3", &whole]);
    assert!(well && said.contains("0 of them new"), "{said}");
    let (well, said) = ledger(&other, &["verify"]);
    assert!(well, "{said}");
    sql(&other, "DROP TRIGGER league_texts_update; UPDATE league_texts SET text = 'Eve' WHERE text = 'Bo Example'");
    let server = other.up();
    let league = League { place: &other, server: &server };
    let table = league.does(&["standings", "gt3", "drivers"]);
    assert!(table.contains("Ann Example"), "the texts are there: {table}");
    assert!(!table.contains("Cy Example"), "who was erased stays erased: {table}");
    assert!(!table.contains("Eve"), "a text that was changed by hand is not shown: {table}");
    assert!(league.does(&again).contains("nothing to change"), "the same drivers are known");
    assert!(server.terminate().success());
    let (well, said) = ledger(&other, &["verify"]);
    assert!(!well && said.contains("text "), "{said}");
    by_hand(
        place,
        &[
            ("DROP TRIGGER league_texts_update; UPDATE league_texts SET owner = 'league' WHERE text = 'Ann Example'", "text "),
            ("DROP TRIGGER league_texts_update; UPDATE league_texts SET text = 'Eve' WHERE text = 'Speeding in the pits'", "text "),
            ("DELETE FROM league_texts WHERE owner = 'league-salt'", "salt"),
        ],
    );
}
