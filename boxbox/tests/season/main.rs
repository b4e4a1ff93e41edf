//! A season played by REST alone, on both profiles: 12 events of 30 cars, the first of them driven through the pipeline, with penalties, drops, a
//! class change, a guest, a double finale and an override. Its tables are those of an independent score; each act is in the ledger; what is changed
//! by hand in the database is found.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the answer")]

#[path = "../common/mod.rs"]
mod common;
mod console;
mod decide;
mod killed;
mod rest;
mod score;
mod stored;

use std::collections::BTreeMap;
use std::time::Duration;

use boxbox_sources::synth::{Circuit, Distance, Race, Spec};
use boxbox_testkit::wait::block_until;
use common::place::Place;
use common::{Server, boxbox, wait};
use decide::{decisions, reads, refusals};
use rest::Rest;
use score::{CARS, DROPS, Decided, Did, EVENTS, Season, TABLE};
use serde_json::{Value, json};
use stored::ledger_of;

const LEAGUE: &str = "gt";
const LAPS: u32 = 2;
const GUEST: usize = 4;
const CHANGES: usize = 1;

fn driver(car: usize) -> String {
    format!("d{car:02}")
}

/// What the generator of the synthetic race drove.
fn synthetic() -> Vec<Did> {
    let circuit = Circuit::new("Synthetic Ring", (1_400.0_f64).max(CARS as f64 * 30.0), 3);
    let race = Race::new(&Spec { cars: CARS, circuit, distance: Distance::Laps(LAPS), ..Spec::new(1) });
    let truth = race.truth();
    let mut did = vec![Did { laps: 0, ms: 0 }; CARS];
    for row in &truth.classification {
        let car = truth.cars.iter().position(|car| car.slot == row.slot).unwrap();
        did[car] = Did { laps: row.laps, ms: row.finish_us.unwrap_or(0) / 1_000 };
    }
    did
}

/// A season that is the same each time: places are a permutation of each event's own; two cars do not come far in some events.
fn season() -> Season {
    let mut driven = vec![synthetic()];
    for event in 1..EVENTS {
        let place = |car: usize| (car * 7 + event * 11) % CARS;
        let did = |car: usize| match place(car) {
            at if at == CARS - 1 => Did { laps: 12, ms: 1_100_000 + at as i64 },
            at => Did { laps: 20 - (at / 12) as u32, ms: 1_800_000 + 2_100 * at as i64 },
        };
        driven.push((0..CARS).map(did).collect());
    }
    Season { driven, decided: vec![Decided::default(); EVENTS], guest: GUEST, changes: CHANGES, changes_at: 6, finale: 2 }
}

/// The result file of an event: CSV.
fn csv(did: &[Did]) -> String {
    let mut text = "car,sim,account,laps,time\n".to_owned();
    for (car, did) in did.iter().enumerate() {
        text += &format!("{car},iracing,{},{},{}.{:03}\n", 5_000 + car, did.laps, did.ms / 1_000, did.ms % 1_000);
    }
    text
}

fn entries() -> String {
    let mut text = "entry,number,class,name,team,driver,sim,account,status\n".to_owned();
    for car in 0..CARS {
        let (class, status) = (if car % 2 == 0 { "a" } else { "b" }, if car == GUEST { "guest" } else { "" });
        text += &format!("e{car},{car},{class},Driver {car},Team {},{},iracing,{},{status}\n", car / 2, driver(car), 5_000 + car);
    }
    text
}

/// `boxbox` with these arguments; what it prints.
fn run(args: &[&str]) -> (bool, String) {
    let out = boxbox(args).output().unwrap();
    (out.status.success(), String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr))
}

#[track_caller]
fn ran(args: &[&str]) -> String {
    let (well, said) = run(args);
    assert!(well, "{args:?}: {said}");
    said
}

fn slug(event: usize) -> String {
    format!("e{event}")
}

fn race(event: usize) -> String {
    format!("e{event}-race")
}

/// The league with its rules, calendar and entries.
fn begin(place: &Place, rest: &Rest<'_>) {
    let rules =
        json!({ "format": 1, "name": "ours", "race": { "table": TABLE, "by": "overall" }, "season": { "drop": DROPS, "ties": ["countback"] } });
    let season = "2026";
    let mut acts = vec![
        json!({ "kind": "league_set", "time_zone": "Europe/Berlin", "name": "The league of the test" }),
        json!({ "kind": "ruleset_added", "ruleset": "ours", "document": rules }),
        json!({ "kind": "series_set", "series": "gt" }),
        json!({ "kind": "season_set", "season": season, "series": "gt", "starts": "2026-01-01", "rules": { "ruleset": "ours", "version": 1 } }),
        json!({ "kind": "class_set", "season": season, "class": "a" }),
        json!({ "kind": "class_set", "season": season, "class": "b" }),
        json!({ "kind": "championship_set", "season": season, "championship": "drivers", "subject": "driver" }),
        json!({ "kind": "championship_set", "season": season, "championship": "cup-a", "subject": "driver", "classes": ["a"] }),
    ];
    for event in 0..EVENTS {
        let last = event + 1 == EVENTS;
        acts.push(json!({ "kind": "event_set", "season": season, "event": slug(event), "index": event + 1, "date": "2026-03-08",
            "multiplier": if last { "2" } else { "1" }, "droppable": !last }));
    }
    rest.acts(&acts.into());
    let (file, api) = (place.folder().join("entries.csv"), rest.server.api.strip_prefix("http://").unwrap().trim_end_matches('/'));
    std::fs::write(&file, entries()).unwrap();
    let data = place.data();
    let mut args = vec!["league", "entries", "import", LEAGUE, season, file.to_str().unwrap(), "--api", api, "--data", data.to_str().unwrap()];
    let log = place.engines().map(|engines| engines.log());
    args.extend(log.iter().flat_map(|log| ["--log-url", log.as_str()]));
    let said = ran(&args);
    assert!(said.contains("30 connect strings"), "{said}");
    // The same file again changes nothing and makes no grant.
    assert!(ran(&args).contains("nothing to change"));
    let change = json!({ "kind": "entry_set", "season": season, "entry": format!("e{CHANGES}"), "from_event": slug(6), "details": {
        "class": "a", "number": CHANGES.to_string(), "persons": [person(rest, CHANGES)], "status": "registered" } });
    rest.acts(&change);
}

/// The person in an entry.
fn person(rest: &Rest<'_>, car: usize) -> String {
    let entries = rest.get("/seasons/2026/entries?limit=500");
    let entry = entries["entries"].as_array().unwrap().iter().find(|entry| entry["entry"] == format!("e{car}")).unwrap();
    entry["intervals"][0][1]["persons"][0].as_str().unwrap().to_owned()
}

/// The first event, through the pipeline.
fn drive(place: &Place, server: &Server) -> String {
    let strings = place.folder().join("entries.csv.connect");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&strings).unwrap().permissions().mode() & 0o777, 0o600, "connect strings are secrets");
    }
    let laps = LAPS.to_string();
    let args = ["simulate", "--to-file", strings.to_str().unwrap(), "--speed", "30", "--laps", &laps, "--rate", "20", "--seed", "1"];
    let mut race = boxbox(&args).stdout(std::process::Stdio::null()).spawn().unwrap();
    assert!(wait(&mut race, Duration::from_secs(180)).success());
    let session = server.only_session();
    let ended =
        || server.get(&format!("/api/v1/sessions/{session}/ledger?limit=500"))["streams"].as_array().unwrap().iter().all(|s| s["ended"] == true);
    block_until("all clients have ended", ended);
    let closed = ureq::post(format!("{}/api/v1/sessions/{session}/close", server.api.trim_end_matches('/'))).header("X-Boxbox", "1").send_empty();
    assert_eq!(closed.unwrap().status().as_u16(), 202);
    block_until("the session is closed", || server.get(&format!("/api/v1/sessions/{session}/results"))["final"] == true);
    session
}

/// Points of each car in a published table, by car.
fn table(rest: &Rest<'_>, championship: &str) -> BTreeMap<usize, i64> {
    let document = rest.get(&format!("/championships/{championship}/table"));
    let names = &document["names"]["persons"];
    let car = |line: &Value| {
        let name = names[line["competitor"].as_str().unwrap()].as_str().unwrap_or_else(|| panic!("no name: {line}"));
        name.strip_prefix("Driver ").unwrap().parse().unwrap()
    };
    let lines = document["table"]["lines"].as_array().unwrap();
    lines.iter().map(|line| (car(line), line["points"].as_str().unwrap().parse().unwrap())).collect()
}

fn same(rest: &Rest<'_>, season: &Season, when: &str) {
    assert_eq!(table(rest, "drivers"), season.net(None), "drivers, {when}");
    assert_eq!(table(rest, "cup-a"), season.net(Some('a')), "cup of class a, {when}");
}

#[test]
fn a_season_by_rest_alone() {
    for place in Place::both("a_season_by_rest_alone") {
        let server = place.up();
        let rest = Rest { server: &server, league: LEAGUE };
        let mut season = season();
        begin(&place, &rest);
        let driven = drive(&place, &server);

        for event in 0..EVENTS {
            let mut set = json!({ "kind": "session_set", "session": race(event), "event": slug(event), "role": "feature" });
            if event == 0 {
                set["telemetry"] = json!([driven]);
            }
            rest.acts(&set);
            let facts = format!("/sessions/{}/facts", race(event));
            rest.file(&facts, &if event == 0 { String::new() } else { csv(&season.driven[event]) });
            rest.publish(&json!({ "session": race(event) }), if event < 6 { "official" } else { "provisional" });
        }
        for championship in ["drivers", "cup-a"] {
            rest.publish(&json!({ "championship": championship }), "provisional");
        }
        same(&rest, &season, "as driven");
        decisions(&rest, &mut season);
        refusals(&rest);
        reads(&rest);
        let acts = rest.ledger();
        let head = rest.get("")["head"].as_u64().unwrap();
        assert_eq!((acts.len() as u64, acts.iter().filter(|act| act["kind"] == "penalty_given").count()), (head, 5), "each act is in the ledger");
        let text = json!(acts).to_string();
        assert!(!text.contains("Driver 1") && !text.contains("Too fast"), "no name and no reason is in the ledger");

        let tables: Vec<Value> = ["drivers", "cup-a"].map(|of| rest.get(&format!("/championships/{of}/table?why=1"))).into();
        assert!(server.terminate().success());
        ledger_of(&place, &tables);
    }
}
