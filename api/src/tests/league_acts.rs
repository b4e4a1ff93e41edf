//! What acts can say, as the document has it; and a session that is attached in one step.

use std::collections::BTreeSet;

use boxbox_race::league::{Act, LeagueSlug};

use super::leagues::{MANAGE, begin};
use super::*;
use crate::leagues::{Loaded, read_acts};

/// The names in `` `…` `` that an error of serde expects.
fn expected(error: &str) -> BTreeSet<String> {
    let list = error.split("expected").nth(1).unwrap_or_else(|| panic!("{error}"));
    let list = list.split(" at line").next().unwrap_or_default().split(". The").next().unwrap_or_default();
    list.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn refusal(act: &Value) -> String {
    Act::parse(&act.to_string()).expect_err("refused").message
}

fn names(of: &Value) -> BTreeSet<String> {
    of.as_object().unwrap().keys().cloned().collect()
}

/// Beside what the ledger has: what the server makes of it.
const SENT_ONLY: [(&str, &str); 1] = [("ruleset_added", "preset")];

#[tokio::test]
async fn each_kind_of_act_and_each_of_its_fields_is_in_the_document() {
    let server = Server::start().await;
    let document = server.get("/api/v1/openapi.json").await.json();
    let schemas = &document["components"]["schemas"];
    let of_kind = |kind: &str| {
        let mut all =
            schemas.as_object().unwrap().values().filter(|schema| schema["properties"]["kind"]["const"] == kind && schema["properties"].is_object());
        all.next().unwrap_or_else(|| panic!("{kind} is not in the document")).clone()
    };
    for kind in Act::KINDS {
        let schema = of_kind(kind);
        let mut told = names(&schema["properties"]);
        told.remove("kind");
        for (_, field) in SENT_ONLY.iter().filter(|(of, _)| of == kind) {
            told.remove(*field);
        }
        assert_eq!(told, expected(&refusal(&json!({ "kind": kind, "zz": 1 }))), "{kind}");
    }
    // Each example is read, with and without what may be left out, and not without what may not.
    let loaded = Loaded::none("gt3".parse().unwrap());
    let read = |act: &Value| read_acts(&loaded, [0; 16], act).map(|draft| draft.acts.len());
    let sent: Vec<&str> =
        document["components"]["schemas"]["Act"]["discriminator"]["mapping"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(sent.len(), Act::KINDS.len() - 3, "published, bound and facts_changed are the server's");
    for kind in sent {
        let schema = of_kind(kind);
        let example = &schema["examples"][0];
        assert!(read(example).is_ok_and(|acts| acts == 1), "{example}");
        let required: BTreeSet<&str> = schema["required"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        for field in names(example).iter().filter(|field| *field != "kind" && *field != "preset") {
            let mut less = example.clone();
            less.as_object_mut().unwrap().remove(field);
            assert_eq!(read(&less).is_ok(), !required.contains(field.as_str()), "{kind} without {field}");
        }
    }
    assert_eq!(
        document["paths"]["/api/v1/leagues/{league}/acts"]["post"]["requestBody"]["content"]["application/json"]["schema"]["oneOf"][0]["$ref"],
        "#/components/schemas/Act"
    );
    assert!("gt3".parse::<LeagueSlug>().is_ok());
}

#[tokio::test]
async fn what_is_within_an_act_is_in_the_document() {
    let server = Server::start().await;
    let document = server.get("/api/v1/openapi.json").await.json();
    let schemas = &document["components"]["schemas"];
    let variants = |name: &str, tag: &str| -> BTreeSet<String> {
        let all = schemas[name]["oneOf"].as_array().unwrap().iter();
        all.map(|of| {
            if tag.is_empty() {
                names(&of["properties"]).into_iter().next().unwrap()
            } else {
                of["properties"][tag]["const"].as_str().unwrap().to_owned()
            }
        })
        .collect()
    };
    let given = |field: &str, value: Value| {
        let mut act = json!({ "kind": "penalty_given", "penalty": "p", "at": { "session": "s" }, "against": { "entry": "e" }, "sanction": { "kind": "warning" }, "reason": "0".repeat(64) });
        act[field] = value;
        act
    };
    assert_eq!(variants("Sanction", "kind"), expected(&refusal(&given("sanction", json!({ "kind": "zz" })))));
    assert_eq!(variants("PenaltyAt", ""), expected(&refusal(&given("at", json!({ "zz": "x" })))));
    assert_eq!(variants("Against", ""), expected(&refusal(&given("against", json!({ "zz": "x" })))));
    for sanction in schemas["Sanction"]["oneOf"].as_array().unwrap() {
        let kind = &sanction["properties"]["kind"]["const"];
        let mut told = names(&sanction["properties"]);
        told.remove("kind");
        let error = refusal(&given("sanction", json!({ "kind": kind, "zz": 1 })));
        let known = if error.contains("there are no fields") { BTreeSet::new() } else { expected(&error) };
        assert_eq!(told, known, "{kind}: {error}");
    }
    let change = |change: Value| json!({ "kind": "override", "session": "s", "entry": "e", "change": change, "reason": "0".repeat(64) });
    assert_eq!(variants("Change", "field"), expected(&refusal(&change(json!({ "field": "zz" })))));
    for of in schemas["Change"]["oneOf"].as_array().unwrap() {
        let field = &of["properties"]["field"]["const"];
        let mut told = names(&of["properties"]);
        told.remove("field");
        assert_eq!(told, expected(&refusal(&change(json!({ "field": field, "zz": 1 })))), "{field}");
    }
    let rebound = |to: Value| json!({ "kind": "rebound", "session": "s", "car": "0".repeat(32), "to": to, "reason": "0".repeat(64) });
    assert_eq!(variants("BoundTo", "as"), expected(&refusal(&rebound(json!({ "as": "zz" })))));
    let entered = json!({ "kind": "entry_set", "season": "s", "entry": "e", "details": { "zz": 1 } });
    assert_eq!(names(&schemas["EntryDetails"]["properties"]), expected(&refusal(&entered)));
}

const FILE: &str = "account,number,class,laps,time\n100,1,GT3,10,900.0\n300,33,GT3,10,905.0\n";

/// A session and its facts in one write, or nothing; what is not named stays.
#[tokio::test]
async fn a_session_is_attached_in_one_step() {
    let server = Server::start().await;
    let admin = server.grant("club", MANAGE);
    begin(&server, &admin).await;
    let attach = async |query: &str, body: &str| server.post(Some(&admin), &format!("gt/sessions/{query}"), "", body).await;
    let head = async || server.league(&admin, "").await.json()["head"].as_u64().unwrap();
    let before = head().await;
    for (query, body, status, code) in [
        ("new/attach?event=e1&role=sprint", "account,laps\n100,x\n", 422, "bad_csv"),
        ("new/attach?event=e1&role=sprint", "{", 422, "bad_result_file"),
        ("new/attach?event=e1&telemetry=00112233445566778899aabbccddeeff", "", 422, "no_facts"),
        ("new/attach?event=e1", "", 422, "no_facts"),
        ("new/attach?event=none", FILE, 422, "unknown"),
        ("new/attach?event=e1&counts_for=none", FILE, 422, "unknown"),
        ("new/attach?event=e1&planned_laps=0", FILE, 422, "out_of_bounds"),
        ("new/attach?event=e1&telemetry=00112233445566778899aabbccddeeff", FILE, 422, "malformed"),
        ("new/attach?event=e1&telemetry=zz", "", 422, "malformed"),
        ("new/attach", FILE, 422, "malformed"),
        ("new/attach?event=e1&role=none", FILE, 400, "bad_query"),
        ("new/attach?event=e1&colour=red", FILE, 400, "bad_query"),
    ] {
        attach(query, body).await.problem(status, code);
        assert_eq!(head().await, before, "{query}: nothing was written");
        server.league(&admin, "/sessions/new/result").await.problem(404, "not_found");
    }
    let answer = attach("new/attach?event=e1&role=sprint&counts_for=drivers&planned_laps=10", FILE).await.json();
    assert_eq!((answer["first"].as_u64(), answer["head"].as_u64()), (Some(before + 1), Some(before + 2)), "the session and its facts");
    let unclaimed = &answer["unclaimed"][0];
    assert_eq!((answer["unclaimed_count"].as_u64(), &unclaimed["number"], &unclaimed["class"]), (Some(1), &json!("33"), &json!("GT3")), "{answer}");
    let set = async || {
        let season = server.league(&admin, "/seasons/s1").await.json();
        let sessions = season["events"][0]["sessions"].as_array().unwrap().clone();
        sessions.into_iter().find(|session| session["session"] == "new").unwrap()["set"].clone()
    };
    let first = set().await;
    let again = attach("new/attach", FILE).await.json();
    assert_eq!(again["head"].as_u64(), Some(before + 2), "the same again changes nothing: {again}");
    attach("new/attach?planned_laps=12", &FILE.replace("905.0", "906.0")).await.json();
    let second = set().await;
    for field in ["role", "counts_for", "event"] {
        assert_eq!(second[field], first[field], "{field} stays");
    }
    assert_eq!((&first["planned_laps"], &second["planned_laps"]), (&json!(10), &json!(12)));
    assert_ne!(first["file"], second["file"]);

    // Cars without an entry are told when they are published too; not where a decision is about them, nor where they score.
    let publish = async || server.post(Some(&admin), "gt/publish", "", r#"{"scope":{"session":"new"},"state":"provisional"}"#).await.json();
    assert_eq!(publish().await["unclaimed_count"], 1);
    let result = server.league(&admin, "/sessions/new/result").await.json();
    let car = result["result"]["rows"].as_array().unwrap().iter().find(|row| row["unclaimed"] == true).unwrap()["car"].clone();
    server.acts(&admin, &json!({ "kind": "rebound", "session": "new", "car": car, "to": { "as": "unclaimed" }, "reason": "A guest" })).await.json();
    assert_eq!(publish().await["unclaimed_count"], 0);
}
