//! A real iRacing recording through real QUIC: the laps are iRacing's own, whatever form the file comes in.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the answer")]

mod common;

use std::io::{Read, Write};

use boxbox_testkit::recording;
use boxbox_testkit::recordings::PHILLIP_ISLAND;
use common::place::Place;
use common::{Replayed, boxbox};
use serde_json::Value;

fn data() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn replay(file: &std::path::Path, more: &[&str]) -> Replayed {
    let data = data();
    Replayed::run(&[&[file.to_str().unwrap(), "--data", data.path().to_str().unwrap()], more].concat())
}

fn assert_phillip_island(replayed: &Replayed) {
    let laps = replayed.of("lap");
    assert_eq!(laps.iter().map(|l| l["lap"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2], "no other lap");
    let us = |v: &Value| v.as_i64().unwrap();

    // Lap 1 runs from the green light; our light is the sample that first shows it, up to one tick late.
    let (one, two) = (laps[0], laps[1]);
    // iRacing's figures, known to 0.1 ms.
    assert!((us(&one["sim_time_us"]) - 99_583_100).abs() <= 50, "{one}");
    let short = us(&one["sim_time_us"]) - us(&one["time_us"]);
    assert!((-1_500..=16_667 + 1_500).contains(&short), "lap 1 is {short} µs short");
    assert!(one["tags"].as_array().unwrap().contains(&"start_estimated".into()));
    assert!(one["tags"].as_array().unwrap().contains(&"first_lap".into()));
    assert_eq!(one["valid"], false);
    assert_eq!(one["reasons"], serde_json::json!(["incident"]));

    assert!((us(&two["sim_time_us"]) - 92_556_400).abs() <= 50, "{two}");
    assert!((us(&two["time_us"]) - 92_556_400).abs() <= 1_500, "{two}");
    assert_eq!(two["valid"], true);
    let sectors: Vec<i64> = two["sectors_us"].as_array().unwrap().iter().map(us).collect();
    for (ours, truth) in sectors.iter().zip([29_786_600, 28_242_800, 34_526_700]) {
        assert!((ours - truth).abs() <= 1_500, "{sectors:?}");
    }
    for lap in &laps {
        let sectors: Vec<i64> = lap["sectors_us"].as_array().unwrap().iter().map(us).collect();
        assert!(sectors.is_empty() || sectors.iter().sum::<i64>() == us(&lap["time_us"]), "sectors sum to the lap exactly: {lap}");
    }
    assert_eq!(two["sectors_us"].as_array().unwrap().len(), 3);

    let incidents = replayed.of("incident_count");
    assert_eq!(incidents.len(), 1, "{incidents:?}");
    assert_eq!((incidents[0]["from"].as_u64(), incidents[0]["to"].as_u64()), (Some(0), Some(1)));
    assert_eq!(us(&incidents[0]["sim_time_us"]), 111_400_000);

    let summary = replayed.all.last().unwrap();
    assert_eq!(summary["type"], "summary");
    assert_eq!(summary["frames"], summary["acked"]);
    assert_eq!(summary["ledger"]["streams"].as_array().unwrap().len(), 1);
    let ledger = &summary["ledger"];
    assert_eq!(ledger["car_frames"], summary["frames"]);
    assert_eq!((&ledger["hole"], &ledger["gap"], &ledger["admitted"]), (&0.into(), &0.into(), &ledger["expected"]));
}

#[test]
fn phillip_island_gives_iracings_own_laps() {
    const TEST: &str = "phillip_island_gives_iracings_own_laps";
    let Some(file) = recording(TEST, PHILLIP_ISLAND) else { return };
    for place in Place::both(TEST) {
        println!("on the {} profile", place.profile);
        let args = place.args();
        let replayed = Replayed::run(&place.with(&args, &[file.to_str().unwrap()]));
        assert_phillip_island(&replayed);
        assert_eq!(replayed.all.last().unwrap()["frames"], 11_800);
    }
}

#[test]
fn unpacked_and_truncated_files_give_what_is_in_them() {
    let Some(file) = recording("unpacked_and_truncated_files_give_what_is_in_them", PHILLIP_ISLAND) else { return };
    let mut bytes = vec![];
    flate2::read::GzDecoder::new(std::fs::File::open(&file).unwrap()).read_to_end(&mut bytes).unwrap();
    let folder = data();
    let path = folder.path().join("race.ibt");
    std::fs::write(&path, &bytes).unwrap();
    assert_phillip_island(&replay(&path, &[]));

    // A crash of the simulator: the file ends in the middle of a sample of lap 2.
    std::fs::write(&path, &bytes[..bytes.len() * 4 / 5 + 7]).unwrap();
    let laps = replay(&path, &[]);
    assert_eq!(laps.of("lap").iter().map(|l| l["lap"].as_u64().unwrap()).collect::<Vec<_>>(), [1]);
}

#[test]
fn the_same_recording_again_is_the_same_session_with_the_same_laps() {
    const TEST: &str = "the_same_recording_again_is_the_same_session_with_the_same_laps";
    let Some(file) = recording(TEST, PHILLIP_ISLAND) else { return };
    for place in Place::both(TEST) {
        println!("on the {} profile", place.profile);
        let args = place.args();
        let args = place.with(&args, &[file.to_str().unwrap()]);
        let (first, again) = (Replayed::run(&args), Replayed::run(&args));
        assert_eq!(first.of("lap"), again.of("lap"));
        let server = place.up();
        let session = server.only_session();
        let laps = server.get(&format!("/api/v1/sessions/{session}/laps"));
        assert_eq!(laps["laps"].as_array().unwrap().len(), 2, "each lap once");
        let incidents = server.get(&format!("/api/v1/sessions/{session}/incidents"));
        assert_eq!(incidents["incidents"].as_array().unwrap().len(), 1, "each rise of the counter once: {incidents}");
    }
}

#[test]
fn twenty_and_ten_hertz_give_the_same_laps() {
    let Some(file) = recording("twenty_and_ten_hertz_give_the_same_laps", PHILLIP_ISLAND) else { return };
    for every in ["3", "6"] {
        let replayed = replay(&file, &["--every", every]);
        let laps = replayed.of("lap");
        assert_eq!(laps.len(), 2, "{laps:?}");
        // Interpolation at 10 Hz: 0.5 ms at each line for 25 m/s², beside the recording's own noise of 1.5 ms.
        let off = laps[1]["time_us"].as_i64().unwrap() - 92_556_400;
        assert!(off.abs() <= 2_500, "every {every}: {off} µs");
        assert_eq!(replayed.of("incident_count").len(), 1);
    }
}

#[test]
fn what_is_no_recording_is_named_and_harms_nothing() {
    let folder = data();
    let cases: [(&str, &[u8]); 4] =
        [("empty.ibt", b""), ("text.ibt", b"this is no recording"), ("zeros.ibt", &[0; 4096]), ("gzip.ibt.gz", &[0x1f, 0x8b, 8, 0, 1, 2, 3])];
    for (name, content) in cases {
        let path = folder.path().join(name);
        std::fs::File::create(&path).unwrap().write_all(content).unwrap();
        let out = boxbox(&["replay", path.to_str().unwrap(), "--json", "--data", folder.path().join("data").to_str().unwrap()]).output().unwrap();
        let error = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(!out.status.success(), "{name} is refused");
        assert!(out.stdout.is_empty(), "nothing but JSON on standard output");
        assert!(error.contains(name) && !error.contains("panicked"), "{name}: {error}");
    }
    let missing = boxbox(&["replay", "no-such-file.ibt"]).output().unwrap();
    assert!(String::from_utf8_lossy(&missing.stderr).contains("no-such-file.ibt"));
}
