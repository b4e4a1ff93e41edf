//! Slow values and other cars of a lap, from the records in the archive.

use boxbox_schemas::field::FieldFrame;
use boxbox_schemas::record::{Kind, Prelude, archive, seal};
use boxbox_schemas::results::Span;
use boxbox_schemas::slow::{SlowFrame, SlowPresence};
use boxbox_store::{KeptRecord, StreamRecords};

use super::*;

/// A lap from 10 s on, whose numbers are 100..110: slow values each second, then a car seen at each half second.
async fn lap_with_records(server: &Server) -> String {
    lap_of_clock(server, 0).await
}

/// The same with a clock that slips by `ahead_us` before the lap, and by as much in the middle of it.
async fn lap_of_clock(server: &Server, ahead_us: i64) -> String {
    let home = session("local", 1);
    let of = stream(&home);
    let span = |first_seq, next_seq| Span { driver: of.driver, run: of.run, first_seq, next_seq };
    let spans = if ahead_us > 0 { vec![span(100, 110), span(2_000, 2_453)] } else { vec![span(100, 110)] };
    let lap = Lap { start_us: 10_000_000, end_us: 20_000_000, spans, ..lap(&home, 1) };
    let path = format!("/api/v1/sessions/{}/laps/{}/1", home.id, lap.entry);
    server.fill(&home, vec![lap]).await;
    let record = |seq: u64, kind: Kind, payload: &[u8]| {
        let prelude = Prelude { kind, run: of.run, source: home.source, slot: 3, meta_rev: 1, first_seq: seq, count: 1 };
        KeptRecord { first_seq: seq, next_seq: seq + 1, offset: seq, received_at_us: 0, bytes: seal(&prelude, payload).unwrap() }
    };
    let mut records = vec![];
    // One record before the lap and one after it, of either kind.
    for seq in 99..111u64 {
        let at_us = 10_000_000 + (seq as i64 - 100) * 500_000;
        let at_us = at_us + if seq < 105 { ahead_us } else { 2 * ahead_us };
        records.push(if seq % 2 == 0 {
            let presence = SlowPresence::WATER.with(SlowPresence::TYRE_TEMP);
            record(seq, Kind::SLOW, &archive(&SlowFrame { sim_time_us: at_us, presence, water_c: seq as f32, ..SlowFrame::default() }))
        } else {
            record(
                seq,
                Kind::FIELD,
                &archive(&FieldFrame { sim_time_us: at_us, slot: 7 + (seq % 4) as u16, lap: 2, place: 5, ..FieldFrame::default() }),
            )
        });
    }
    let block = ArchiveBlock {
        checkpoint: Checkpoint { log: log(), partition: 0, offset: 111, crc: 0 },
        received_at_us: 0,
        appended_at_us: 0,
        cursors: vec![(of, 111)],
        runs: vec![],
        records: vec![StreamRecords { stream: of, records }],
    };
    server.archive.append(&Lease { log: log(), partition: 0, epoch: 1 }, &block).await.unwrap();
    if ahead_us > 0 {
        // Frames of its own car, 20 ms apart: the tick goes on by 2, the line is crossed at 10 s and the slip is at 12.25 s.
        let mut frames = vec![];
        for n in -3..450i64 {
            let shown = CarFrame {
                tick: (10_000 + n * 2) as u32,
                sim_time_us: 10_000_000 + n * 20_000 + if n < 113 { ahead_us } else { 2 * ahead_us },
                presence: Presence::LAP_PCT.with(Presence::SPEED),
                lap_pct: (n as f64 / 500.0).rem_euclid(1.0),
                speed_mps: 40.0,
                ..CarFrame::default()
            };
            frames.push(shown);
        }
        server.archive_frames(&home, 2_000, &frames).await;
    }
    path
}

/// `clock.slip`: the lap's start is corrected by the slips, and so are the times of what was sent beside its frames.
#[tokio::test]
async fn times_beside_the_frames_follow_the_laps_clock() {
    let server = Server::start().await;
    let path = lap_of_clock(&server, 20_000).await;
    let slow = server.get(&format!("{path}/slow")).await.json();
    assert_eq!(slow["time_us"], serde_json::json!([0, 1_000_000, 2_000_000, 3_000_000, 4_000_000]));
    let field = server.get(&format!("{path}/field")).await.json();
    let times: Vec<i64> = field["cars"].as_array().unwrap().iter().map(|car| car["time_us"].as_i64().unwrap()).collect();
    assert_eq!(times, [500_000, 1_500_000, 2_500_000, 3_500_000, 4_500_000]);
}

#[tokio::test]
async fn slow_values_and_other_cars_of_a_lap() {
    let server = Server::start().await;
    let path = lap_with_records(&server).await;
    let slow = server.get(&format!("{path}/slow")).await.json();
    assert_eq!(slow["time_us"], serde_json::json!([0, 1_000_000, 2_000_000, 3_000_000, 4_000_000]));
    assert_eq!(slow["channels"]["water_c"], serde_json::json!([100.0, 102.0, 104.0, 106.0, 108.0]));
    let channels = slow["channels"].as_object().unwrap();
    assert!(channels.contains_key("tyre_temp_c_rr_middle") && !channels.contains_key("oil_c"), "what is absent is left out");

    let field = server.get(&format!("{path}/field")).await.json();
    let times = |of: &Value| of["cars"].as_array().unwrap().iter().map(|car| car["time_us"].as_i64().unwrap()).collect::<Vec<_>>();
    assert_eq!(times(&field), [500_000, 1_500_000, 2_500_000, 3_500_000, 4_500_000]);
    assert_eq!((&field["complete"], &field["cars"][0]["slot"], &field["cars"][0]["class_place"]), (&Value::Bool(true), &8.into(), &Value::Null));
    let part = server.get(&format!("{path}/field?from_us=1500000&to_us=4500000&slot=8")).await.json();
    assert_eq!(times(&part), [2_500_000]);
    assert_eq!(server.get(&format!("{path}/field?slot=x")).await.status, 400);
    assert_eq!(server.get(&format!("{}/9/slow", path.trim_end_matches("/1"))).await.status, 404);
}
