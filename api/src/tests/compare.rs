//! Two laps on one axis, and the pictures.

use boxbox_schemas::meta::{MetaEntry, SessionMeta};

use super::*;

/// A session on a track of 1,000 m with laps 1 and 2 (1 s and 0.99 s), all their frames archived.
async fn driven(server: &Server, n: u32, track_id: u32) -> SessionInfo {
    let name = "<script>alert(\"1\")</script> & Max";
    let meta = SessionMeta {
        track_id,
        track_name: "Phillip <Island>".into(),
        track_length_m: 1_000.0,
        sector_starts: vec![0.0, 0.4],
        entries: vec![MetaEntry { slot: 3, driver_name: name.into(), ..MetaEntry::default() }],
        ..SessionMeta::default()
    };
    let home = SessionInfo { meta: Some(meta), ..session("local", n) };
    let short = Lap { end_us: 2_990_000, time_us: 990_000, ..lap(&home, 2) };
    server.fill(&home, vec![lap(&home, 1), short, lap(&home, 3)]).await;
    server.archive(&home, 0, 350).await;
    home
}

#[tokio::test]
async fn a_comparison_is_the_difference_of_the_laps_and_turns_its_sign() {
    let server = Server::start().await;
    let home = driven(&server, 1, 152).await;
    let ask = async |a: u32, b: u32| {
        server.get(&format!("/api/v1/compare?a={}/max/{a}&b={}/max/{b}&step_m=100&channels=speed_mps,gear,time_us", home.id, home.id)).await.json()
    };
    let (there, back, same) = (ask(1, 2).await, ask(2, 1).await, ask(1, 1).await);
    let delta = |of: &Value| of["delta_us"].as_array().unwrap().iter().map(|d| d.as_i64().unwrap()).collect::<Vec<_>>();
    assert_eq!(delta(&there), [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -10_000], "only the last hundredth is driven faster");
    assert_eq!(delta(&back), delta(&there).iter().map(|d| -d).collect::<Vec<_>>());
    assert_eq!(delta(&same), [0; 11]);
    assert_eq!((&there["lap_dist_m"][3], &there["length_m"], &there["sectors_m"][1]), (&300.0.into(), &1000.0.into(), &400.0.into()));
    assert_eq!((&there["channels"]["speed_mps"]["a"][1], &there["channels"]["speed_mps"]["b"][1]), (&(110.0 / 8.0).into(), &(210.0 / 8.0).into()));
    assert_eq!((&there["channels"]["time_us"]["b"][10], &there["a"]["number"]), (&990_000.into(), &1.into()));
}

#[tokio::test]
async fn what_cannot_be_compared_is_said() {
    let server = Server::start().await;
    let (home, other) = (driven(&server, 1, 152).await, driven(&server, 2, 7).await);
    let bare = session("local", 3);
    server.fill(&bare, vec![lap(&bare, 1)]).await;
    let of = |a: &SessionInfo, n: u32, b: &SessionInfo, m: u32| format!("?a={}/max/{n}&b={}/max/{m}", a.id, b.id);
    let cases = [
        (of(&home, 1, &other, 1), 422, "tracks_differ"),
        (of(&home, 1, &bare, 1), 422, "tracks_differ"),
        (of(&home, 1, &home, 3), 409, "trace_incomplete"),
        (of(&bare, 1, &bare, 1), 409, "trace_incomplete"),
        (of(&home, 1, &home, 9), 404, "not_found"),
        ("?a=x&b=y".to_owned(), 400, "bad_lap"),
        (format!("?a={}/max/1/2&b={}/max/1", home.id, home.id), 400, "bad_lap"),
        (format!("?a={}/max/1", home.id), 400, "bad_query"),
    ];
    for (query, status, code) in cases {
        println!("{query}");
        server.get(&format!("/api/v1/compare{query}")).await.problem(status, code);
        server.get(&format!("/api/v1/compare.svg{query}")).await.problem(status, code);
    }
    // Frames without any place: neither an axis nor a map.
    let map = format!("/api/v1/sessions/{}/laps/max/1/map.svg", bare.id);
    server.get(&map).await.problem(422, "no_path");
}

#[tokio::test]
async fn pictures_are_svg_whatever_people_call_themselves() {
    let server = Server::start().await;
    let home = driven(&server, 1, 152).await;
    let compare = format!("/api/v1/compare.svg?a={}/max/1&b={}/max/2", home.id, home.id);
    let map = format!("/api/v1/sessions/{}/laps/max/1/map.svg", home.id);
    for path in [compare, map] {
        let answer = server.get(&path).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("image/svg+xml")), "{path}");
        assert!(answer.header("content-security-policy").is_some_and(|policy| policy.contains("default-src 'none'")));
        assert!(answer.body.starts_with("<svg ") && answer.body.ends_with("</svg>\n"), "{path}");
        assert!(!answer.body.contains("<script") && !answer.body.contains("Phillip <"), "{path}");
        assert!(answer.body.contains("&lt;script&gt;") && answer.body.contains("Phillip &lt;Island&gt;"), "{path}");
        assert!(!answer.body.contains("NaN") && !answer.body.contains("inf"), "{path}");
    }
}
