//! What the API shows.

use boxbox_schemas::meta::{MetaEntry, SessionMeta};
use boxbox_schemas::results::{AnyRow, IncidentStep};
use boxbox_store::Step;
use serde_json::json;

use super::*;

#[tokio::test]
async fn a_walk_through_pages_is_the_whole_list() {
    let server = Server::start().await;
    let mut all: Vec<SessionInfo> = (0..60).map(|n| session("local", n)).collect();
    let lease = server.results.acquire(&log(), 0).await.unwrap();
    let others = (0..9).map(|n| session("other", n));
    let laps: Vec<Lap> = (1..=40).map(|n| lap(&all[0], n)).collect();
    server.results.commit(&lease, &Step { sessions: all.iter().cloned().chain(others).collect(), laps: laps.clone(), ..empty_step() }).await.unwrap();

    all.sort_by_key(|s| (std::cmp::Reverse(s.opened_at_us), s.id));
    let expected: Vec<String> = all.iter().map(|s| s.id.to_string()).collect();
    assert_eq!(walk(&server, "/api/v1/sessions?limit=7", "sessions", "id").await, expected);
    assert_eq!(walk(&server, "/api/v1/sessions?limit=60", "sessions", "id").await, expected, "a full last page has no next");

    let path = format!("/api/v1/sessions/{}/laps?limit=9", session("local", 0).id);
    let numbers: Vec<String> = laps.iter().map(|l| l.number.to_string()).collect();
    assert_eq!(walk(&server, &path, "laps", "number").await, numbers);
}

async fn walk(server: &Server, path: &str, list: &str, key: &str) -> Vec<String> {
    let (mut found, mut next) = (vec![], path.to_owned());
    loop {
        let page = server.get(&next).await.json();
        let rows = page[list].as_array().unwrap();
        assert!(!rows.is_empty(), "an empty page after a cursor");
        found.extend(rows.iter().map(|row| row[key].to_string().trim_matches('"').to_owned()));
        match page["next_cursor"].as_str() {
            Some(cursor) => next = format!("{path}&cursor={cursor}"),
            None => return found,
        }
    }
}

#[tokio::test]
async fn a_session_tells_what_is_known() {
    let server = Server::start().await;
    let entry = MetaEntry { slot: 3, number: "044".into(), driver_name: "Max Ü".into(), special: 3, ..MetaEntry::default() };
    let meta = SessionMeta {
        track_id: 12,
        track_name: "Phillip Island".into(),
        track_length_m: 4_406.9,
        sector_starts: vec![0.0, 0.371_176],
        session_type: "Race".into(),
        entries: vec![entry],
        ..SessionMeta::default()
    };
    let known = SessionInfo { meta: Some(meta), ..session("local", 1) };
    server.fill(&known, vec![]).await;
    server.fill(&session("local", 2), vec![]).await;

    let page = server.get(&format!("/api/v1/sessions/{}", known.id)).await.json();
    assert_eq!(
        page["entries"],
        json!([{ "slot": 3, "number": "044", "driver_name": "Max Ü", "team_name": null, "car_name": null, "class_name": null, "kind": "ai" }])
    );
    assert_eq!(
        page["track"],
        json!({ "id": 12, "name": "Phillip Island", "config": null, "length_m": 4_406.9, "sector_starts": [0.0, 0.371_176], "pit_limit_mps": null })
    );
    assert_eq!((&page["id"], &page["sim"], &page["session_num"]), (&json!(known.id.to_string()), &json!("iracing"), &json!(1)));
    assert_eq!(
        (&page["source_id"], &page["opened_at_us"], &page["closed"]),
        (&json!("00000000000000000000000000000abc"), &json!(1_000), &json!(false))
    );

    let bare = server.get(&format!("/api/v1/sessions/{}", session("local", 2).id)).await.json();
    assert_eq!((&bare["track"], &bare["session_type"], &bare["entries"]), (&json!(null), &json!(null), &json!([])));
}

#[tokio::test]
async fn a_lap_is_shown_as_it_is() {
    let server = Server::start().await;
    let home = session("local", 1);
    let clean = Lap { reasons: Reasons::default(), tags: Tags::default(), sim_time_us: Some(999_900), ..lap(&home, 2) };
    server.fill(&home, vec![lap(&home, 1), clean]).await;
    let path = format!("/api/v1/sessions/{}/laps", home.id);
    let first = server.get(&format!("{path}/max/1")).await.json();
    let expected = json!({
        "session": home.id.to_string(), "entry": "max", "number": 1, "driver": "max", "slot": 3, "revision": 2,
        "start_us": 1_000_000, "end_us": 2_000_000, "time_us": 1_000_000, "sim_time_us": null, "sectors_us": [400_000, 600_000],
        "fuel_l": null, "fuel_used_l": null, "field": false, "valid": false, "reasons": ["in_lap", "off_track"], "tags": ["had_yellow"], "frames": 100, "settled": true,
        "spans": [{ "driver": "max", "run": "07".repeat(16), "first_seq": 100, "next_seq": 200 }],
    });
    assert_eq!(first, expected);
    let all = server.get(&path).await.json();
    assert_eq!((&all["laps"][0], &all["laps"][1]["valid"], &all["laps"][1]["reasons"]), (&first, &json!(true), &json!([])));
    server.get(&format!("{path}/max/3")).await.problem(404, "not_found");
    assert_eq!(server.ask("HEAD", &path, &[]).await.body, "");
}

#[tokio::test]
async fn a_trace_has_the_laps_frames_as_columns() {
    let server = Server::start().await;
    let home = session("local", 1);
    // Other kinds of records take sequence numbers too: two of lap 1's are no frames.
    server.fill(&home, vec![Lap { frames: 98, ..lap(&home, 1) }, lap(&home, 2)]).await;
    server.archive(&home, 50, 198).await;
    server.archive(&home, 200, 250).await;
    let path = format!("/api/v1/sessions/{}/laps/max", home.id);

    let trace = server.get(&format!("{path}/1/trace")).await.json();
    assert_eq!((&trace["frames"], &trace["complete"], &trace["time_us"]), (&json!(98), &json!(true), &json!(1_000_000)));
    let channels = trace["channels"].as_object().unwrap();
    assert!(channels.values().all(|c| c.as_array().unwrap().len() == 98));
    assert_eq!((&channels["time_us"][0], &channels["time_us"][97]), (&json!(0), &json!(970_000)));
    assert_eq!((&channels["speed_mps"][0], &channels["gear"][0]), (&json!(12.5), &json!(-1)));
    assert_eq!((&channels["brake"][0], &channels["brake"][1], &channels["throttle"][0]), (&json!(0.25), &json!(null), &json!(null)));
    assert!(["lap_pct", "rpm", "steer_rad"].iter().all(|c| channels.contains_key(*c)));

    let half = server.get(&format!("{path}/2/trace?channels=tick,time_us")).await.json();
    assert_eq!((&half["frames"], &half["complete"]), (&json!(50), &json!(false)), "the rest is not archived yet");
    assert_eq!(half["channels"].as_object().unwrap().keys().collect::<Vec<_>>(), ["tick", "time_us"]);
    let some = server.get(&format!("{path}/1/trace?channels=tick&limit=3")).await.json();
    assert_eq!((&some["channels"]["tick"], &some["complete"]), (&json!([100, 101, 102]), &json!(false)));
    server.get(&format!("{path}/9/trace")).await.problem(404, "not_found");
}

#[tokio::test]
async fn incidents_and_ledgers_are_shown() {
    let server = Server::start().await;
    let home = session("local", 1);
    server.fill(&home, vec![]).await;
    let lease = server.results.acquire(&log(), 0).await.unwrap();
    let who = stream(&home);
    let step = |tick: u32, superseded| IncidentStep {
        session: home.id,
        entry: EntryId(who.driver.0),
        driver: who.driver,
        run: who.run,
        timeline: 0,
        tick,
        sim_time_us: 111_400_000,
        from: 0,
        to: 1,
        superseded,
        late: false,
    };
    server.results.commit(&lease, &Step { rows: [step(9, false), step(7, true)].iter().map(AnyRow::of).collect(), ..empty_step() }).await.unwrap();

    let incidents = server.get(&format!("/api/v1/sessions/{}/incidents", home.id)).await.json();
    let run = "07".repeat(16);
    assert_eq!(
        incidents,
        json!({ "incidents": [{ "entry": "max", "driver": "max", "run": run, "tick": 9, "sim_time_us": 111_400_000, "from": 0, "to": 1 }], "next_cursor": null })
    );
    let ledger = server.get(&format!("/api/v1/sessions/{}/ledger", home.id)).await.json();
    let expected = json!({
        "driver": "max", "run": run, "expected": 110, "admitted": 100, "car_frames": 90, "duplicate": 0, "early": 0, "late": 0,
        "void": { "range": 3 }, "gap": 7, "hole": 0, "unreadable": 0, "ended": false, "balances": true,
    });
    assert_eq!(ledger["streams"], json!([expected]));
}
