//! Whatever a lap, a description and a request say: they are answered, and an answer takes a bounded amount of memory.
//!
//! The process's allocator counts, so these tests are a binary of their own. They ask the API over its socket, on the stores'
//! reference and on the embedded profile. PostgreSQL and ClickHouse are not asked: what is made of laps, descriptions and
//! frames is made above the stores' traits, by the same code whatever is below, and that all backends give the same laps,
//! descriptions and frames for the same question is what the stores' own suite says.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the answer")]

mod any;
mod counting;
mod every;
mod server;

use std::sync::{Mutex, MutexGuard};

use boxbox_schemas::SessionId;
use boxbox_schemas::frame::{CarFrame, Presence};
use boxbox_schemas::meta::SessionMeta;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use any::Question;
use counting::Counting;
use server::{Answer, Driven, Server};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What one answer may take at once. The longest there is compares two laps of 36,000 frames at 36,000 places
/// ([`the_longest_answer_is_within_the_bound`]) and takes 66 MiB: 18 MiB of columns, and a text of 20 MiB in a buffer that
/// doubles, so that there are 16 and 32 MiB of it while it grows the last time. The rest is room for more channels.
const ANSWER_MAX_BYTES: usize = 96 << 20;

const HOUR_US: i64 = 3_600_000_000;

/// One test at a time: the allocator counts for the whole process.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// `count` frames spread over a lap of `length_m` that takes from 0 to `end_us`; `say` changes each.
fn lap(end_us: i64, length_m: f64, count: u32, say: impl Fn(&mut CarFrame)) -> Driven {
    let frame = |k: u32| {
        let share = f64::from(k) / f64::from(count);
        let presence = Presence::LAP_PCT.with(Presence::LAP_DIST).with(Presence::SPEED);
        let mut frame = CarFrame { tick: k, presence, lap_pct: share, speed_mps: 50.0, ..CarFrame::default() };
        frame.sim_time_us = (share * end_us as f64) as i64;
        frame.lap_dist_m = (share * length_m) as f32;
        say(&mut frame);
        frame
    };
    Driven { start_us: 0, end_us, frames: (0..count).map(frame).collect(), missing: 0 }
}

fn described(track_length_m: f64) -> Option<SessionMeta> {
    Some(SessionMeta { track_length_m, sector_starts: vec![0.0, 0.5], ..SessionMeta::default() })
}

fn trace(session: SessionId, query: &str) -> String {
    format!("/api/v1/sessions/{session}/laps/max/1/trace?{query}")
}

/// Both laps of `session`.
fn pair(session: SessionId) -> String {
    format!("a={session}/max/1&b={session}/max/2")
}

#[track_caller]
fn within(answer: Answer, status: u16, of: &str) {
    assert_eq!(answer.status, status, "{of}");
    assert!(answer.most <= ANSWER_MAX_BYTES, "{of} took {} MiB", answer.most >> 20);
}

/// 30 days are a legal session time, and a car may honestly stand in its stall for a night.
#[test]
fn a_long_lap_in_short_steps_is_refused() {
    let _alone = alone();
    runtime().block_on(async {
        for mut server in Server::both().await {
            for hours in [8, 30 * 24] {
                let session = server.session(described(4_000.0), &[lap(hours * HOUR_US, 4_000.0, 50, |_| ())]).await;
                let of = format!("{} h on {}", hours, server.name);
                within(server.get(&trace(session, "by=time&step_ms=1")).await, 400, &of);
                within(server.get(&trace(session, "by=time&step_ms=60000")).await, if hours == 8 { 200 } else { 400 }, &of);
                within(server.get(&trace(session, "by=distance&step_m=0.5")).await, 200, &of);
            }
        }
    });
}

/// By a description, by every frame's distance, or by some frames' only.
#[test]
fn a_length_that_no_lap_has_is_not_believed() {
    let _alone = alone();
    runtime().block_on(async {
        for mut server in Server::both().await {
            for absurd in [1e7f32, 1e30, f32::MAX, -1e30] {
                let honest = || lap(90_000_000, 4_000.0, 50, |_| ());
                let lying = || lap(90_000_000, 4_000.0, 50, |f| f.lap_dist_m = absurd);
                let partly = || lap(90_000_000, 4_000.0, 50, |f| f.lap_dist_m = if f.tick % 3 > 0 { absurd } else { f.lap_dist_m });
                for (meta, driven, status) in [
                    // The frames know better.
                    (described(absurd.into()), honest(), 200),
                    (None, partly(), 200),
                    // The description has no length.
                    (described(absurd.into()), lying(), 422),
                    (None, lying(), 422),
                    // The description is enough.
                    (described(4_000.0), lying(), 200),
                ] {
                    // The other lap's length is known: also the mean of the two has its bound.
                    let session = server.session(meta.clone(), &[driven, honest()]).await;
                    let of = format!("{absurd} m on {}, described as {:?}", server.name, meta.map(|m| m.track_length_m));
                    within(server.get(&trace(session, "by=distance")).await, status, &of);
                    within(server.get(&format!("/api/v1/compare?{}", pair(session))).await, status, &of);
                    within(server.get(&format!("/api/v1/compare.svg?{}", pair(session))).await, status, &of);
                }
            }
        }
    });
}

/// The head of a request has room for 3,000 names of channels; a third of them does.
#[test]
fn a_channel_named_often_is_one_column() {
    let _alone = alone();
    runtime().block_on(async {
        let often = vec!["tick"; 1_000].join(",");
        for mut server in Server::both().await {
            let session = server.session(described(15_000.0), &[lap(90_000_000, 15_000.0, 50, |_| ()), lap(90_000_000, 15_000.0, 50, |_| ())]).await;
            within(server.get(&trace(session, &format!("by=distance&step_m=0.5&channels={often}"))).await, 200, server.name);
            within(server.get(&format!("/api/v1/compare?{}&step_m=0.5&channels={often}", pair(session))).await, 200, server.name);
        }
    });
}

/// The bound is one of the answers' own: the longest that is allowed comes near it and is given.
#[test]
fn the_longest_answer_is_within_the_bound() {
    let _alone = alone();
    let all = any::CHANNELS.join(",");
    runtime().block_on(async {
        for mut server in Server::both().await {
            // Numbers with as many digits as there are.
            let long = || {
                lap(600_000_000, 17_999.0, 36_000, |f| {
                    let k = f.tick as f32 + 1.0;
                    *f = CarFrame { presence: Presence(u64::MAX), ..*f };
                    (f.lat_deg, f.lon_deg) = (-1.0 / f64::from(k) / 3e5, 1.0 / f64::from(k) / 7e5);
                    for number in [&mut f.throttle, &mut f.brake, &mut f.clutch, &mut f.steer_rad, &mut f.rpm, &mut f.fuel_l, &mut f.yaw_rad] {
                        *number = -1.0 / k / 3e7;
                    }
                    (f.accel_mps2, f.velocity_mps, f.yaw_rate_radps, f.heading_north_rad) = ([-1.0 / k / 3e7; 3], [1e-9 / k; 3], 1e-9 / k, 1e-9 / k);
                })
            };
            let session = server.session(described(17_999.0), &[long(), long()]).await;
            let longest = server.get(&format!("/api/v1/compare?{}&step_m=0.5&channels={all}", pair(session))).await;
            println!("{}: {} bytes, at most {} at once", server.name, longest.bytes, longest.most);
            within(longest, 200, server.name);
            assert!(longest.most > ANSWER_MAX_BYTES / 2, "on {} the bound says nothing: {}", server.name, longest.most);
            for path in [trace(session, &format!("channels={all}")), trace(session, "").replace("trace?", "map.svg")] {
                within(server.get(&path).await, 200, server.name);
            }
        }
    });
}

/// The property: any lap, any description, any question.
#[test]
fn whatever_is_asked_of_whatever_lap_is_answered_within_the_bound() {
    let _alone = alone();
    let runtime = runtime();
    let mut servers = runtime.block_on(Server::both());
    let config = ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() };
    // The runner wants a function; what the servers hold grows from case to case.
    let servers = std::cell::RefCell::new(&mut servers);
    let cases = (proptest::option::of(any::meta()), proptest::collection::vec(any::driven(), 2), proptest::collection::vec(any::question(), 1..8));
    TestRunner::new(config)
        .run(&cases, |(meta, laps, questions)| {
            for server in servers.borrow_mut().iter_mut() {
                runtime.block_on(async {
                    let session = server.session(meta.clone(), &laps).await;
                    for question in &questions {
                        let answer = server.get(&Question::path(question, session)).await;
                        prop_assert!(answer.status == 200 || (400..500).contains(&answer.status), "{answer:?} on {} to {question:?}", server.name);
                        prop_assert!(answer.most <= ANSWER_MAX_BYTES, "{answer:?} on {} to {question:?}", server.name);
                    }
                    Ok(())
                })?;
            }
            Ok(())
        })
        .unwrap();
}

/// What all answers that are made or wait to be read may take at once, with the sockets' own buffers: far below the 512 MiB that
/// docker-compose.yml gives a service.
const ALL_MAX_BYTES: usize = 400 << 20;
/// The limit of a request's time, and the way of a short answer on a busy machine.
const ANSWER_MAX_TIME: std::time::Duration = std::time::Duration::from_secs(15);
/// What an answer about a whole session may take.
const SESSION_MAX_BYTES: usize = 144 << 20;

/// The property for all of the API: every route, every parameter, whatever is given for it.
#[test]
fn whatever_is_given_for_any_parameter_of_any_route_stays_within_the_budgets() {
    let _alone = alone();
    let runtime = runtime();
    let mut servers = runtime.block_on(Server::both());
    let mut sessions = vec![];
    let mut routes = vec![];
    for server in &mut servers {
        runtime.block_on(async {
            let driven = || lap(90_000_000, 4_000.0, 2_000, |f| f.presence = Presence(u64::MAX));
            let small = server.session(described(4_000.0), &[driven(), driven()]).await;
            sessions.push([small, server.laps(3_000, described(4_000.0)).await]);
            routes = every::routes(&server.body("/api/v1/openapi.json").await);
        });
    }
    let config = ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() };
    let servers = std::cell::RefCell::new(&mut servers);
    TestRunner::new(config)
        .run(&(every::asked(), any::<bool>()), |(asked, long)| {
            for (server, of) in servers.borrow_mut().iter_mut().zip(&sessions) {
                let (route, path) = asked.of(&routes, of[usize::from(long)]);
                let began = std::time::Instant::now();
                let answer = runtime.block_on(server.ask(&route.method, &path));
                // Without a log no session can be closed.
                let fine = (200..500).contains(&answer.status) || answer.status == 503 && route.method == "POST";
                prop_assert!(fine, "{answer:?} on {} to {path}", server.name);
                prop_assert!(answer.most <= SESSION_MAX_BYTES, "{answer:?} on {} to {path}", server.name);
                prop_assert!(began.elapsed() <= ANSWER_MAX_TIME, "{:?} on {} to {path}", began.elapsed(), server.name);
            }
            Ok(())
        })
        .unwrap();
}

/// A long race's laps, by everybody at once: each is answered or told to come again, and the memory is that of two.
#[test]
fn many_long_answers_at_once_take_the_memory_of_a_few() {
    let _alone = alone();
    runtime().block_on(async {
        for mut server in Server::both().await {
            let session = server.laps(95_000, described(4_000.0)).await;
            let one = server.get(&format!("/api/v1/sessions/{session}/results")).await;
            assert_eq!(one.status, 200, "on {}", server.name);
            assert!(one.most <= SESSION_MAX_BYTES, "one took {} MiB on {}", one.most >> 20, server.name);
            let counted = counting::begin();
            let paths = ["results", "entries", "stints", "race-control"].map(|of| format!("/api/v1/sessions/{session}/{of}"));
            let all = futures::future::join_all((0..32).map(|n| server.get(&paths[n % paths.len()]))).await;
            println!("{}: one {} MiB, 32 at once {} MiB", server.name, one.most >> 20, counted.most() >> 20);
            assert!(counted.most() <= ALL_MAX_BYTES, "{} MiB on {}", counted.most() >> 20, server.name);
            assert!(all.iter().all(|answer| matches!(answer.status, 200 | 429 | 503)), "{all:?}");
            assert!(all.iter().any(|answer| answer.status == 200), "{all:?}");
        }
    });
}

/// Answers that are not read are in memory: as many as there is room for.
#[test]
fn answers_that_nobody_reads_are_bounded() {
    let _alone = alone();
    let all = any::CHANNELS.join(",");
    runtime().block_on(async {
        for mut server in Server::both().await {
            let long = || lap(600_000_000, 17_999.0, 36_000, |f| (f.presence, f.lat_deg) = (Presence(u64::MAX), 1.0 / f64::from(f.tick + 1)));
            let session = server.session(described(17_999.0), &[long(), long()]).await;
            let path = format!("/api/v1/compare?{}&step_m=0.5&channels={all}", pair(session));
            let counted = counting::begin();
            let unread = futures::future::join_all((0..40).map(|_| server.begin(&path))).await;
            let statuses: Vec<u16> = unread.iter().map(|(status, _)| *status).collect();
            println!("{}: {} MiB, {statuses:?}", server.name, counted.most() >> 20);
            assert!(counted.most() <= ALL_MAX_BYTES, "{} MiB on {}", counted.most() >> 20, server.name);
            assert!(statuses.contains(&200) && statuses.iter().all(|status| matches!(status, 200 | 429 | 503)), "{statuses:?}");
            assert!(statuses.iter().filter(|status| **status == 200).count() < 40, "there was room for all: this test says nothing");
            drop(unread);
            // And they are gone with those who did not read them.
            let until = std::time::Instant::now() + boxbox_testkit::wait::PATIENCE;
            while server.get(&path).await.status != 200 {
                assert!(std::time::Instant::now() < until, "never answered again");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    });
}

/// What the answer to a decision may take, by the end of its route: as the API counts it.
const POSTED_MAX_MIB: [(&str, usize); 5] =
    [("/acts", 72), ("/penalties", 72), ("/seasons/s1/entries/import", 72), ("/publish", 144), ("/sessions/race/facts", 144)];

/// A body as long as the route allows, made of `piece`s.
fn long(path: &str, begin: &str, piece: &str, end: &str) -> Vec<u8> {
    let most = if path.ends_with("/facts") { 8 << 20 } else { 1 << 20 };
    let count = (most - begin.len() - end.len()) / piece.len();
    [begin, &piece.repeat(count), end].concat().into_bytes()
}

/// The property for bodies: the longest, of whatever shape, into a league that is there.
#[test]
fn whatever_body_is_posted_stays_within_what_its_route_is_counted_with() {
    let _alone = alone();
    let made = serde_json::json!([
        { "kind": "league_set", "time_zone": "UTC", "name": "Grand Tour" },
        { "kind": "ruleset_added", "ruleset": "r", "preset": "f1-2010" },
        { "kind": "series_set", "series": "s" },
        { "kind": "season_set", "season": "s1", "series": "s", "starts": "2026-01-01", "rules": { "ruleset": "r", "version": 1 } },
        { "kind": "class_set", "season": "s1", "class": "c" },
        { "kind": "event_set", "season": "s1", "event": "e1", "index": 1, "date": "2026-02-01" },
        { "kind": "session_set", "session": "race", "event": "e1", "role": "feature" },
    ]);
    // JSON of many small values, of long texts, deep, of many names; tables of empty, short and many cells; results.
    let shapes: [(&str, &str, &str); 12] = [
        ("[0", ",0", "]"),
        ("[[]", ",[]", "]"),
        ("[{}", ",{}", "]"),
        ("[{\"kind\":\"team_set\"}", ",{\"kind\":\"team_set\",\"team\":\"t\"}", "]"),
        ("{\"a\":[\"\"", ",\"\"", "]}"),
        ("\"", "a", "\""),
        ("", "[", ""),
        ("number,name,account\n", "1,A,1\n", ""),
        ("number,name,account\n", "\n", ""),
        ("number,name,account\n", ",", ""),
        ("account,laps,time\n", "1,1,1\n", ""),
        ("{\"sessionResult\":{\"leaderBoardLines\":[{}", ",{}", "]}}"),
    ];
    runtime().block_on(async {
        for server in Server::both().await {
            let begun = server.post("/api/v1/leagues/gt/acts", made.to_string().as_bytes()).await;
            assert_eq!(begun.status, 200, "on {}", server.name);
            for (route, mib) in POSTED_MAX_MIB {
                let path = format!("/api/v1/leagues/gt{route}");
                let mut most = 0;
                for (begin, piece, end) in shapes {
                    let answer = server.post(&path, &long(&path, begin, piece, end)).await;
                    assert!((200..500).contains(&answer.status), "{answer:?} on {} to {route} with {begin}{piece}", server.name);
                    assert!(answer.most <= mib << 20, "{} MiB on {} to {route} with {begin}{piece}", answer.most >> 20, server.name);
                    most = most.max(answer.most);
                }
                println!("{} {route}: at most {} MiB", server.name, most >> 20);
            }
        }
    });
}
