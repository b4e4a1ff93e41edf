//! Order, results, stints, pit stops, flags and filters, from rows in the store to JSON.

use boxbox_schemas::frame::{Flags, SessionState};
use boxbox_schemas::meta::{MetaEntry, SessionMeta};
use boxbox_schemas::results::{AnyRow, FlagChange, PitKind, PitVisit, SessionStateChange};
use serde_json::json;

use super::*;

/// A race of three cars of two classes: `a`, `b` (GT4) and `c` (GT3), five laps each, each lap n of car k 90 + k s + n ms long.
async fn race(server: &Server) -> SessionInfo {
    let names = [("a", "GT4", 7), ("b", "GT4", 7), ("c", "GT3", 9)];
    let car = |(slot, (name, class, id)): (usize, (&str, &str, u32))| MetaEntry {
        slot: slot as u16,
        number: format!("0{slot}"),
        driver_name: format!("Driver {}", name.to_uppercase()),
        class_name: class.into(),
        class_id: id,
        ..MetaEntry::default()
    };
    let meta = SessionMeta { session_type: "Race".into(), entries: names.into_iter().enumerate().map(car).collect(), ..SessionMeta::default() };
    let home = SessionInfo { meta: Some(meta), sim_time_us: 500_000_000, ..session("local", 1) };
    let mut laps = vec![];
    for (k, (name, ..)) in names.into_iter().enumerate() {
        let mut at_us = 0;
        for n in 1..=5u32 {
            let time_us = 90_000_000 + k as i64 * 1_000_000 + i64::from(n) * 1_000;
            let id = DriverId::new(name).unwrap();
            laps.push(Lap {
                entry: EntryId(id.0),
                driver: id,
                slot: k as u16,
                number: n,
                start_us: at_us,
                end_us: at_us + time_us,
                time_us,
                sectors_us: vec![30_000_000, time_us - 30_000_000],
                loops_us: vec![-1, 5],
                reasons: if n == 1 { Reasons::OFF_TRACK } else { Reasons(0) },
                tags: if n == 1 { Tags::FIRST_LAP } else { Tags(0) },
                spans: vec![],
                ..lap(&home, n)
            });
            at_us += time_us;
        }
    }
    server.fill(&home, laps).await;
    home
}

#[tokio::test]
async fn laps_are_filtered() {
    let server = Server::start().await;
    let home = race(&server).await;
    let count = async |query: &str| -> usize {
        let list = server.get(&format!("/api/v1/sessions/{}/laps?{query}", home.id)).await.json();
        list["laps"].as_array().unwrap().len()
    };
    for (query, expected) in [
        ("", 15),
        ("entry=a", 5),
        ("driver=b&from=2&to=3", 2),
        ("class=GT4", 10),
        ("class=gt3", 5),
        ("class=7", 10),
        ("class=none", 0),
        ("class=GT4&valid=true", 8),
        ("valid=false", 3),
        ("from=6", 0),
    ] {
        assert_eq!(count(query).await, expected, "{query}");
    }
    // A filter by class walks pages as any other list does.
    let path = format!("/api/v1/sessions/{}/laps?class=GT4&limit=3", home.id);
    let (mut all, mut next) = (vec![], path.clone());
    loop {
        let page = server.get(&next).await.json();
        all.extend(page["laps"].as_array().unwrap().iter().map(|l| format!("{}{}", l["entry"].as_str().unwrap(), l["number"])));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        next = format!("{path}&cursor={cursor}");
    }
    assert_eq!(all, ["a1", "a2", "a3", "a4", "a5", "b1", "b2", "b3", "b4", "b5"]);

    let one = server.get(&format!("/api/v1/sessions/{}/laps/a/2?loops=true", home.id)).await.json();
    assert_eq!(one["loops_us"], json!([null, 5]));
    assert!(server.get(&format!("/api/v1/sessions/{}/laps/a/2", home.id)).await.json().get("loops_us").is_none());
}

#[tokio::test]
async fn order_results_and_entries_say_who_is_where() {
    let server = Server::start().await;
    let home = race(&server).await;
    let path = format!("/api/v1/sessions/{}", home.id);
    let results = server.get(&format!("{path}/results")).await.json();
    assert_eq!((&results["final"], results["digest"].as_str().map(str::len)), (&json!(false), Some(64)));
    let rows: Vec<_> = results["results"].as_array().unwrap().iter().map(|r| (r["entry"].clone(), r["class_position"].clone())).collect();
    assert_eq!(rows, [(json!("a"), json!(1)), (json!("b"), json!(2)), (json!("c"), json!(1))]);
    let second = &results["results"][1];
    assert_eq!((&second["driver_name"], &second["class_name"], &second["car_number"]), (&json!("Driver B"), &json!("GT4"), &json!("01")));
    assert_eq!((&second["gap_us"], &second["laps"], &second["best_lap"]), (&json!(5_000_000), &json!(5), &json!(2)));

    let order = server.get(&format!("{path}/order?at_us=200000000")).await.json();
    let first = &order["order"][0];
    // Entry b is the car ahead of c and c the first of its class.
    let table: Vec<_> =
        order["order"].as_array().unwrap().iter().map(|s| (s["entry"].clone(), s["gap_us"].clone(), s["class_gap_us"].clone())).collect();
    assert_eq!(table[2], (json!("c"), table[2].1.clone(), json!(0)));
    assert_eq!((&table[1].1, &order["order"][1]["class_interval_us"]), (&table[1].2, &order["order"][1]["interval_us"]));
    assert!(table[1].1.as_i64().unwrap() > 0 && table[2].1.as_i64() >= order["order"][2]["interval_us"].as_i64(), "{table:?}");
    assert_eq!((&order["at_us"], &order["session_us"], &order["closed"]), (&json!(200_000_000), &json!(500_000_000), &json!(false)));
    assert_eq!((&first["entry"], &first["position"], &first["laps"], &first["driver_name"]), (&json!("a"), &json!(1), &json!(2), &json!("Driver A")));

    let entries = server.get(&format!("{path}/entries")).await.json();
    let c = &entries["entries"][2];
    assert_eq!((&c["entry"], &c["laps"], &c["valid_laps"], &c["best_lap_us"]), (&json!("c"), &json!(5), &json!(4), &json!(92_002_000)));
    assert_eq!((&c["theoretical_best_us"], &c["best_sectors_us"][0], &c["class_id"]), (&json!(92_002_000), &json!(30_000_000), &json!(9)));

    let stints = server.get(&format!("{path}/stints?limit=1")).await.json();
    let stint = &stints["stints"][0];
    assert_eq!((&stint["entry"], &stint["first_lap"], &stint["last_lap"], &stint["laps"]), (&json!("a"), &json!(1), &json!(5), &json!(5)));
    assert_eq!(stints["next_cursor"], json!("a~1"));
}

#[tokio::test]
async fn pit_stops_and_flags_are_folded() {
    let server = Server::start().await;
    let home = race(&server).await;
    let lease = server.results.acquire(&log(), 0).await.unwrap();
    let who = stream(&home);
    let visit = |run: u8, tick: u32, kind| PitVisit {
        session: home.id,
        entry: EntryId(who.driver.0),
        seen_as: None,
        driver: who.driver,
        run: RunId([run; 16]),
        slot: 3,
        timeline: 0,
        tick,
        field: false,
        kind,
        lap: 2,
        enter_us: i64::from(tick) * 1_000_000,
        exit_us: Some(i64::from(tick) * 1_000_000 + 25_000_000),
        stationary_us: 8_000_000,
        service_us: None,
        fuel_added_l: Some(20.5),
        tyres_changed: None,
        speed_max_mps: 16.5,
        speeding: false,
        superseded: false,
        late: false,
        ends: Default::default(),
    };
    let flag = |tick: u32, from, to| FlagChange {
        session: home.id,
        entry: EntryId(who.driver.0),
        driver: who.driver,
        run: who.run,
        timeline: 0,
        tick,
        sim_time_us: i64::from(tick) * 1_000_000,
        from,
        to,
        superseded: false,
        late: false,
    };
    // Two runs tell of one stop.
    let visits = [visit(1, 100, PitKind::STOP), visit(2, 100, PitKind::STOP), visit(1, 300, PitKind::DRIVE_THROUGH)];
    let flags = [
        flag(20, Flags(0), Flags::START_READY),
        flag(49, Flags::START_READY, Flags::GREEN),
        flag(50, Flags::GREEN, Flags::YELLOW),
        flag(60, Flags::YELLOW, Flags(0)),
        flag(70, Flags(0), Flags::BLUE),
        flag(200, Flags::BLUE, Flags::CAUTION),
        flag(210, Flags::CAUTION, Flags(0)),
        flag(290, Flags(0), Flags::BLACK),
        flag(326, Flags::BLACK, Flags(0)),
        flag(400, Flags(0), Flags::RED),
    ];
    let state = |tick: u32, from, to| {
        let FlagChange { session, entry, driver, run, timeline, tick, sim_time_us, superseded, late, .. } = flag(tick, Flags(0), Flags(0));
        AnyRow::of(&SessionStateChange { session, entry, driver, run, timeline, tick, sim_time_us, from, to, superseded, late })
    };
    let (invalid, parade) = (SessionState::INVALID, SessionState::PARADE);
    let states = [state(15, invalid, SessionState::GET_IN_CAR), state(20, SessionState::GET_IN_CAR, parade), state(50, parade, SessionState::RACING)];
    server
        .results
        .commit(&lease, &Step { rows: visits.iter().map(AnyRow::of).chain(flags.iter().map(AnyRow::of)).chain(states).collect(), ..empty_step() })
        .await
        .unwrap();

    let path = format!("/api/v1/sessions/{}", home.id);
    let kinds = async |query: &str| -> Vec<Value> {
        let list = server.get(&format!("{path}/pit-stops{query}")).await.json();
        list["pit_stops"].as_array().unwrap().iter().map(|v| v["kind"].clone()).collect()
    };
    assert_eq!(kinds("").await, [json!("stop"), json!("drive_through")]);
    assert_eq!(kinds("?kind=drive_through").await, [json!("drive_through")]);
    assert_eq!(kinds("?kind=tow").await, Vec::<Value>::new());
    let first = &server.get(&format!("{path}/pit-stops?limit=1")).await.json()["pit_stops"][0];
    assert_eq!((&first["lane_us"], &first["stationary_us"], &first["fuel_added_l"]), (&json!(25_000_000), &json!(8_000_000), &json!(20.5)));

    let control = server.get(&format!("{path}/race-control")).await.json();
    assert_eq!((&control["cautions_count"], &control["caution_laps"]), (&json!(1), &json!(1)));
    assert_eq!(control["formation"], json!({ "from_us": 20_000_000, "until_us": 49_000_000 }));
    let caution = json!({ "number": 1, "from_us": 200_000_000, "until_us": 210_000_000, "first_lap": 3, "last_lap": 3, "laps": 1 });
    assert_eq!(control["cautions"], json!([caution]));
    let red = json!({ "number": 1, "from_us": 400_000_000, "until_us": null });
    assert_eq!(control["red_flags"], json!([red]));
    let served = json!({ "entry": "max", "from_us": 290_000_000, "until_us": 326_000_000, "outcome": "drive_through", "served_us": 300_000_000 });
    assert_eq!(control["penalties"], json!([served]));

    let flags = server.get(&format!("{path}/flags")).await.json();
    assert_eq!(flags["flags"][2], json!({ "flag": "yellow", "entry": null, "from_us": 50_000_000, "until_us": 60_000_000 }));
    assert_eq!(flags["flags"][3], json!({ "flag": "blue", "entry": "max", "from_us": 70_000_000, "until_us": 200_000_000 }));
}

/// `clock.slip`: session time skips a tick in the lap, and the trace follows the ticks, as the lap's time does.
#[tokio::test]
async fn a_trace_follows_the_ticks() {
    let server = Server::start().await;
    let home = session("local", 1);
    let meta = SessionMeta { track_length_m: 1_000.0, ..SessionMeta::default() };
    // All times of the lap are corrected by the slip, so that it is as long as it was driven.
    server.fill(&SessionInfo { meta: Some(meta), ..home.clone() }, vec![lap(&home, 1)]).await;
    let mut frames = frames(100, 200);
    frames.iter_mut().filter(|f| f.tick >= 150).for_each(|f| f.sim_time_us += 10_000);
    server.archive_frames(&home, 100, &frames).await;
    let path = format!("/api/v1/sessions/{}/laps/max/1/trace", home.id);
    let times = async |query: &str| server.get(&format!("{path}?{query}channels=time_us,tick")).await.json()["channels"].clone();
    assert_eq!(times("").await["time_us"], json!((0..100).map(|n| n * 10_000).collect::<Vec<_>>()));
    assert_eq!(times("step_ms=100&").await["tick"], json!((0..10).map(|n| 100 + n * 10).chain([199]).collect::<Vec<_>>()));
    assert_eq!(times("by=distance&step_m=100&").await["time_us"], json!((0..11).map(|n| n * 100_000).collect::<Vec<_>>()));
}

#[tokio::test]
async fn a_trace_along_the_lap_has_equal_steps_and_the_laps_own_ends() {
    let server = Server::start().await;
    let home = session("local", 1);
    // Lap 1 runs from 1 s to 2 s: 100 frames 10 ms apart, which say that the car drives 1,000 m at a steady speed.
    let meta = SessionMeta { track_length_m: 1_000.0, ..SessionMeta::default() };
    server.fill(&SessionInfo { meta: Some(meta), ..home.clone() }, vec![lap(&home, 1), lap(&home, 2)]).await;
    server.archive(&home, 0, 250).await;
    let path = format!("/api/v1/sessions/{}/laps/max", home.id);
    let trace = server.get(&format!("{path}/1/trace?by=distance&step_m=50&channels=speed_mps,gear,brake,tick")).await.json();
    let c = &trace["channels"];
    assert_eq!((&trace["points"], &trace["complete"], &trace["frames"]), (&json!(21), &json!(true), &json!(100)));
    assert_eq!((&c["lap_dist_m"][0], &c["lap_dist_m"][1], &c["lap_dist_m"][20]), (&json!(0.0), &json!(50.0), &json!(1000.0)));
    assert_eq!((&c["time_us"][0], &c["time_us"][1], &c["time_us"][20]), (&json!(0), &json!(50_000), &json!(1_000_000)));
    assert_eq!((&c["tick"][1], &c["speed_mps"][1], &c["gear"][7]), (&json!(105), &json!(105.0 / 8.0), &json!(-1)));
    // Every second frame has no brake: between it and its neighbour there is none either; exactly at one there is.
    assert_eq!((&c["brake"][2], &c["brake"][1]), (&json!(0.25), &json!(null)));

    let by_time = server.get(&format!("{path}/1/trace?step_ms=25&channels=time_us,tick,speed_mps")).await.json();
    let c = &by_time["channels"];
    assert_eq!((&by_time["points"], &c["time_us"][1], &c["tick"][1]), (&json!(41), &json!(25_000), &json!(102)));
    assert_eq!(c["speed_mps"][1], json!(102.5 / 8.0));

    // Half a lap is there: its end is not made up.
    let half = server.get(&format!("{path}/2/trace?by=distance&step_m=100&channels=tick")).await.json();
    assert_eq!((&half["complete"], &half["channels"]["lap_dist_m"][5]), (&json!(false), &json!(490.0)));
    assert_eq!(half["points"], json!(6));
}
