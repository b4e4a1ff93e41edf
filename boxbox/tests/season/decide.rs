//! What is decided in the season, what is refused, and what is read.

use std::time::Duration;

use serde_json::{Value, json};

use crate::rest::Rest;
use crate::score::{CARS, Season};
use crate::{GUEST, race, same};

/// Penalties of each kind, one taken back, an override; each changes what is published in the same step.
pub(crate) fn decisions(rest: &Rest<'_>, season: &mut Season) {
    let give = |penalty: &str, event: usize, car: usize, sanction: Value| {
        rest.post(
            "/penalties",
            &json!({ "penalty": penalty, "at": { "session": race(event) }, "against": { "entry": format!("e{car}") },
            "sanction": sanction, "reason": "Too fast in the pits" }),
        )
    };
    let at_place = |season: &Season, event: usize, place: usize| {
        (0..CARS).find(|car| (car * 7 + event * 11) % CARS == place && *car != GUEST && season.driven[event][*car].laps == 20)
    };
    let car = |season: &Season, event: usize, place: usize| at_place(season, event, place).or_else(|| at_place(season, event, place + 1)).unwrap();
    let fast = car(season, 2, 0);
    let answer = give("slow-down", 2, fast, json!({ "kind": "time", "us": 5_000_000 }));
    season.decided[2].seconds.insert(fast, 5);
    let states: Vec<&str> = answer["published"].as_array().unwrap().iter().map(|of| of["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["amended", "provisional", "provisional"], "what was official is amended: {answer}");
    same(rest, season, "after a time penalty");
    // A second one on the same car adds up; then it is taken back.
    give("again", 2, fast, json!({ "kind": "time", "us": 10_000_000 }));
    season.decided[2].seconds.insert(fast, 15);
    same(rest, season, "after a second penalty");
    rest.acts(&json!({ "kind": "penalty_changed", "penalty": "again", "state": "rescinded", "reason": "It was somebody else" }));
    season.decided[2].seconds.insert(fast, 5);
    same(rest, season, "after it was taken back");
    let out = car(season, 7, 1);
    give("out", 7, out, json!({ "kind": "disqualified" }));
    season.decided[7].disqualified.push(out);
    let back = car(season, 8, 2);
    give("back", 8, back, json!({ "kind": "positions", "places": 3 }));
    season.decided[8].positions.insert(back, 3);
    let last = car(season, 11, 0);
    give("finale", 11, last, json!({ "kind": "time", "us": 30_000_000 }));
    season.decided[11].seconds.insert(last, 30);
    same(rest, season, "after all penalties");
    // An override: a lap that was not counted.
    let lapped = (0..CARS).find(|car| season.driven[9][*car].laps == 12).unwrap();
    rest.acts(&json!({ "kind": "override", "session": race(9), "entry": format!("e{lapped}"), "change": { "field": "laps", "old": 12, "new": 21 },
        "reason": "The timing lost its laps" }));
    season.driven[9][lapped].laps = 21;
    same(rest, season, "after an override");
}

/// What cannot be is refused with a stable code and changes nothing; what is sent twice is done once.
pub(crate) fn refusals(rest: &Rest<'_>) {
    let head = rest.get("")["head"].clone();
    let refused = |path: &str, body: &Value, status: u16, code: &str| {
        let (got, _, problem) = rest.ask("POST", path, &[("Content-Type", "application/json")], body.to_string().as_bytes());
        assert_eq!((got, problem["code"].as_str()), (status, Some(code)), "{body}: {problem}");
    };
    refused("/acts", &json!({ "kind": "team_set" }), 422, "malformed");
    refused("/acts", &json!({ "kind": "published" }), 422, "made_by_server");
    refused(
        "/acts",
        &json!([{ "kind": "team_set", "team": "x" }, { "kind": "person_erased", "person": "p-00000000000000000000000000" }]),
        422,
        "unknown",
    );
    refused("/acts", &json!([]), 422, "bad_acts");
    refused(
        "/penalties",
        &json!({ "penalty": "out", "at": { "session": "e7-race" }, "against": { "entry": "e1" }, "sanction": { "kind": "warning" }, "reason": "x" }),
        409,
        "exists",
    );
    refused("/publish", &json!({ "scope": { "session": "e0-race" }, "state": "official" }), 409, "state");
    refused("/publish", &json!({ "scope": { "championship": "drivers" }, "state": "official" }), 409, "state");
    let (status, _, problem) = rest.ask("POST", "/seasons/2026/entries/import", &[], b"entry,class\nA!,a\ne1,none\n");
    assert_eq!((status, problem["code"].as_str()), (422, Some("bad_csv")), "{problem}");
    assert_eq!(rest.get("")["head"], head, "nothing was written");

    let team = json!({ "kind": "team_set", "team": "late", "name": "Late" }).to_string();
    let keyed = |body: &str| rest.ask("POST", "/acts", &[("Content-Type", "application/json"), ("Idempotency-Key", "k-1")], body.as_bytes());
    let (first, again) = (keyed(&team), keyed(&team));
    assert_eq!((first.0, &first.2), (200, &again.2));
    assert_eq!(rest.get("")["head"].as_u64(), head.as_u64().map(|head| head + 1), "once");
    assert_eq!(keyed(&team.replace("late", "other")).2["code"], "key_reused");
}

/// Revisions stay readable; a table is not sent again to a client that has it.
#[expect(clippy::print_stdout, reason = "the figure is for who reads the output")]
pub(crate) fn reads(rest: &Rest<'_>) {
    let (_, etag, now) = rest.ask("GET", "/championships/drivers/table", &[], b"");
    assert!(etag.starts_with(&format!("\"{}", now["digest"].as_str().unwrap())));
    assert_eq!(rest.ask("GET", "/championships/drivers/table", &[("If-None-Match", &etag)], b"").0, 304);
    let first = rest.get("/championships/drivers/table?revision=1");
    assert_eq!((first["revision"].as_u64(), first["latest"].as_u64()), (Some(1), now["revision"].as_u64()));
    assert_ne!(first["digest"], now["digest"]);
    let revisions = rest.get("/sessions/e2-race/revisions");
    let states: Vec<&str> = revisions["revisions"].as_array().unwrap().iter().map(|of| of["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["official", "amended", "amended", "amended"]);
    assert_eq!(revisions["revisions"][1]["reason"], "Too fast in the pits");
    let why = rest.get("/sessions/e2-race/result?why=1").to_string();
    assert!(why.contains("slow-down") && !rest.get("/sessions/e2-race/result").to_string().contains("\"why\""));
    assert_eq!(rest.get("/championships/drivers/preview")["digest"], now["digest"], "what is published is what is computed now");
    println!("{:.0} reads of a table a second", rest.reads_a_second("/championships/drivers/table", Duration::from_secs(1)));
}
