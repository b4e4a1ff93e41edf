//! Texts of leagues: what is refused in them, and what goes with a person (`league.text`, `league.erased`).

use boxbox_store::Leagues as _;

use super::leagues::{MANAGE, READ, STEWARD, begin, made, penalty};
use super::*;

#[tokio::test]
async fn texts_with_characters_that_are_not_shown_are_refused() {
    let server = Server::start().await;
    let admin = server.grant("club", MANAGE);
    begin(&server, &admin).await;
    for hidden in ['\u{1b}', '\u{7}', '\u{0}', '\u{9b}', '\u{202e}', '\u{2066}', '\u{200b}', '\u{feff}', '\u{e0041}'] {
        let text = format!("A{hidden}b");
        for act in [
            json!({ "kind": "league_set", "time_zone": "UTC", "name": text }),
            json!({ "kind": "series_set", "series": "x", "name": text }),
            json!({ "kind": "team_set", "team": "x", "name": text }),
            json!({ "kind": "person_added", "name": text }),
            json!({ "kind": "event_set", "season": "s1", "event": "x", "index": 9, "date": "2026-02-01", "name": text }),
            json!({ "kind": "class_set", "season": "s1", "class": "x", "cars": [text] }),
            json!({ "kind": "ruleset_added", "ruleset": "x", "document": { "format": 1, "name": "x", "title": text, "race": { "table": [1] } } }),
            json!([{ "kind": "penalty_given", "at": { "session": "race" }, "against": { "entry": "car-1" }, "sanction": { "kind": "warning" }, "reason": text }]),
        ] {
            server.acts(&admin, &act).await.problem(422, "bad_text");
        }
        let publish = json!({ "scope": { "session": "race" }, "state": "official", "reason": text });
        server.post(Some(&admin), "gt/publish", "", &publish.to_string()).await.problem(422, "bad_text");
    }
    // Letters of all scripts, emoji, and reasons of several lines are texts.
    for name in ["Łódź 日本 ماكس", "👩\u{200d}🚀"] {
        server.acts(&admin, &json!({ "kind": "team_set", "team": "x", "name": name })).await.json();
    }
    server.acts(&admin, &json!({ "kind": "team_set", "team": "x", "name": "a\nb" })).await.problem(422, "bad_text");
    let mut several = penalty("lines", "proposed");
    several["reason"] = "One.\r\nTwo.\n\nThree.".into();
    server.post(Some(&admin), "gt/penalties", "", &several.to_string()).await.json();
}

/// Every reason about a person goes with the person, in whichever act it was given, and those of the same request too.
#[tokio::test]
async fn no_text_about_a_person_outlives_an_erasure() {
    let server = Server::start().await;
    let (admin, steward) = (server.grant("club", MANAGE), server.grant("club", STEWARD));
    begin(&server, &admin).await;
    let table = server.league(&steward, "/championships/drivers/table").await.json();
    let persons = table["names"]["persons"].as_object().unwrap();
    let (ann, _) = persons.iter().find(|(_, name)| **name == "Ann").unwrap();
    let other = server.acts(&admin, &json!({ "kind": "person_added", "name": "Secret Annie" })).await.json()["persons"][0].clone();
    let mut given = penalty("one", "in_force");
    given["reason"] = "Secret 1".into();
    server.post(Some(&steward), "gt/penalties", "", &given.to_string()).await.json();
    server.acts(&steward, &json!({ "kind": "penalty_changed", "penalty": "one", "state": "rescinded", "reason": "Secret 2" })).await.json();
    let publish = json!({ "scope": { "session": "race" }, "state": "official", "reason": "Secret 3" });
    server.post(Some(&admin), "gt/publish", "", &publish.to_string()).await.json();
    let result = server.league(&steward, "/sessions/race/result").await.json();
    let car = result["result"]["rows"].as_array().unwrap().iter().find(|row| row["entry"] == "car-1").unwrap()["car"].clone();
    let now = json!([
        { "kind": "rebound", "session": "race", "car": car, "to": { "as": "entry", "entry": "car-1" }, "reason": "Secret 4" },
        { "kind": "entry_set", "season": "s1", "entry": "spare", "details": { "class": "c", "persons": [ann] } },
        { "kind": "penalty_given", "penalty": "two", "at": { "session": "race" }, "against": { "entry": "spare" }, "sanction": { "kind": "warning" }, "reason": "Secret 5" },
        { "kind": "override", "session": "race", "entry": "car-1", "change": { "field": "incidents", "old": 0, "new": 1 }, "reason": "Secret 6" },
        { "kind": "person_merged", "old": ann, "new": other, "reason": "Secret 7" },
        { "kind": "person_erased", "person": other },
    ]);
    server.acts(&admin, &now).await.json();
    let kept = server.results.texts_of(&"club".parse().unwrap(), &"gt".parse().unwrap(), None, None, 1_000).await.unwrap();
    for text in &kept {
        assert!(!text.text.contains("Secret") && text.text != "Ann" && text.text != "iracing/100", "{text:?} is still there");
    }
    assert!(kept.iter().any(|text| text.text == "Bo") && kept.iter().any(|text| text.text == "iracing/200"), "others keep theirs");
}

/// A proposal that was dropped was never decided, and drivers do not read what is not published.
#[tokio::test]
async fn drivers_read_what_was_decided_and_published() {
    let server = Server::start().await;
    let (driver, steward, admin) = (server.grant("club", READ), server.grant("club", STEWARD), server.grant("club", MANAGE));
    begin(&server, &admin).await;
    for (id, states) in
        [("dropped", &["rescinded"][..]), ("replaced", &["superseded"]), ("held", &["suspended", "rescinded"]), ("given", &["in_force"])]
    {
        server.post(Some(&steward), "gt/penalties", "", &penalty(id, "proposed").to_string()).await.json();
        for state in states {
            server.acts(&steward, &json!({ "kind": "penalty_changed", "penalty": id, "state": state, "reason": "Looked at again" })).await.json();
        }
    }
    let shown = async |token: &str| {
        let all = server.league(token, "/penalties").await.json()["penalties"].clone();
        all.as_array().unwrap().iter().map(|of| of["penalty"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(shown(&driver).await, ["given", "held"]);
    assert_eq!(shown(&steward).await, ["dropped", "given", "held", "replaced"]);

    let before = server.league(&driver, "/championships/drivers/table").await.json();
    let act = json!({ "kind": "event_set", "season": "s1", "event": "e2", "index": 2, "date": "2026-03-01" });
    assert_eq!(server.acts(&admin, &act).await.json()["published"], json!([]), "an event that is to come amends nothing");
    let file = "account,laps,time\n200,10,900.0\n100,10,902.0\n";
    let attached = server.post(Some(&admin), "gt/sessions/second/attach?event=e2", "", file).await.json();
    assert_eq!(attached["published"], json!([]), "{attached}");
    assert_eq!(server.league(&driver, "/championships/drivers/table").await.json(), before, "the second race is not published");
    let published = server.post(Some(&admin), "gt/publish", "", r#"{"scope":{"session":"second"},"state":"provisional"}"#).await.json();
    assert_eq!(published["published"].as_array().map(Vec::len), Some(2), "{published}");
    let names = &published["names"]["persons"];
    assert!(names.as_object().unwrap().values().any(|name| name == "Ann"), "who is in a difference has a name: {published}");
    let table = server.league(&driver, "/championships/drivers/table").await.json();
    assert_ne!(table["table"]["lines"], before["table"]["lines"]);
}

/// A number that no ledger has is a fault of the request.
#[tokio::test]
async fn numbers_that_are_too_large_are_refused() {
    let server = Server::start().await;
    let admin = server.grant("club", MANAGE);
    server.acts(&admin, &made()).await.json();
    for after in [u64::MAX, u64::MAX / 2, 9_007_199_254_740_992] {
        server.league(&admin, &format!("/ledger?after={after}")).await.problem(400, "bad_query");
    }
    assert_eq!(server.league(&admin, "/ledger?after=9007199254740991").await.json()["acts"], json!([]));
    let detail = server.get_as(&admin, "/api/v1/leagues/Gt").await.problem(400, "bad_path")["detail"].clone();
    assert!(detail.as_str().unwrap().contains("league") && !detail.as_str().unwrap().contains("hexadecimal"), "{detail}");
}
