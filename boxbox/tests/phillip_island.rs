//! Traces of a real recording, through the whole pipeline: what comes out is what the simulator wrote.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the answer")]

mod common;

use boxbox_sources::iracing::{IbtFile, Variable};
use boxbox_testkit::recording;
use boxbox_testkit::recordings::PHILLIP_ISLAND;
use boxbox_testkit::wait::block_until;
use common::place::Place;
use common::{Replayed, Server};
use serde_json::Value;

/// Channels that are taken over from the recording as they are, with its names for them.
const AS_RECORDED: [(&str, &str); 12] = [
    ("speed_mps", "Speed"),
    ("throttle", "Throttle"),
    ("brake", "Brake"),
    ("gear", "Gear"),
    ("rpm", "RPM"),
    ("steer_rad", "SteeringWheelAngle"),
    ("fuel_l", "FuelLevel"),
    ("lap_pct", "LapDistPct"),
    ("lap_dist_m", "LapDist"),
    ("lat_deg", "Lat"),
    ("lon_deg", "Lon"),
    ("yaw_rate_radps", "YawRate"),
];

struct Served {
    server: Server,
    session: String,
    entry: String,
    _place: Place,
}

/// The recording replayed into a server that shows it, of each profile.
fn served(test: &str) -> impl Iterator<Item = Served> {
    let file = recording(test, PHILLIP_ISLAND);
    file.into_iter().flat_map(move |file| Place::both(test).into_iter().map(move |place| serve(&file, place)))
}

fn serve(file: &std::path::Path, place: Place) -> Served {
    eprintln!("on the {} profile", place.profile);
    let args = place.args();
    Replayed::run(&place.with(&args, &[file.to_str().unwrap()]));
    let server = place.up();
    let session = server.only_session();
    let entry = server.get(&format!("/api/v1/sessions/{session}/laps"))["laps"][0]["entry"].as_str().unwrap().to_owned();
    let served = Served { server, session, entry, _place: place };
    // The archive reads the log by itself and may need a moment longer than the laps.
    block_until("both laps are archived", || (1..=2).all(|n| served.trace(n, "channels=tick")["complete"] == true));
    served
}

impl Served {
    fn trace(&self, lap: u32, query: &str) -> Value {
        self.server.get(&format!("/api/v1/sessions/{}/laps/{}/{lap}/trace?{query}", self.session, self.entry))
    }

    fn lap(&self, lap: u32) -> String {
        format!("{}/{}/{lap}", self.session, self.entry)
    }

    fn svg(&self, path: &str) -> String {
        let url = format!("{}{path}", self.server.api);
        let svg = ureq::get(&url).call().unwrap().body_mut().read_to_string().unwrap();
        if let Some(folder) = std::env::var_os("BOXBOX_PICTURES") {
            let name = if path.contains("compare") { "compare.svg" } else { "map.svg" };
            std::fs::write(std::path::Path::new(&folder).join(name), &svg).unwrap();
        }
        svg
    }
}

fn numbers(column: &Value) -> Vec<f64> {
    column.as_array().unwrap().iter().map(|v| v.as_f64().unwrap_or_else(|| panic!("{v}"))).collect()
}

#[test]
fn a_trace_is_what_the_simulator_recorded() {
    const TEST: &str = "a_trace_is_what_the_simulator_recorded";
    served(TEST).for_each(|served| is_as_recorded(&served, &recording(TEST, PHILLIP_ISLAND).unwrap()));
}

fn is_as_recorded(served: &Served, file: &std::path::Path) {
    let names: Vec<&str> = AS_RECORDED.iter().map(|(ours, _)| *ours).collect();
    let trace = served.trace(2, &format!("channels=tick,time_us,{}", names.join(",")));
    let lap = served.server.get(&format!("/api/v1/sessions/{}/laps/{}/2", served.session, served.entry));
    let start_us = lap["start_us"].as_i64().unwrap();
    let channels = &trace["channels"];
    let ticks = numbers(&channels["tick"]);
    assert!((5_540..=5_560).contains(&ticks.len()), "92.556 s at 60 Hz: {}", ticks.len());

    let recording = IbtFile::open(file).unwrap();
    let variable = |name: &str| -> Variable { recording.variable(name).unwrap_or_else(|| panic!("{name} is not recorded")).clone() };
    let (tick, time) = (variable("SessionTick"), variable("SessionTime"));
    let variables = AS_RECORDED.map(|(ours, theirs)| (ours, variable(theirs), numbers(&channels[ours])));
    let (mut records, mut found) = (recording.records().unwrap(), 0);
    while let Some(record) = records.next().unwrap() {
        let number = |variable: &Variable| record.get(variable).unwrap().as_f64();
        let Ok(at) = ticks.binary_search_by(|t| t.total_cmp(&number(&tick))) else { continue };
        found += 1;
        let since = numbers(&channels["time_us"])[at] as i64;
        assert_eq!(start_us + since, (number(&time) * 1e6).round_ties_even() as i64);
        for (name, variable, values) in &variables {
            // JSON has the shortest digits that are the same number: of single precision where the recording is.
            let (ours, theirs) = (values[at], number(variable));
            assert!(ours == theirs || ours as f32 == theirs as f32, "{name} at tick {}: {ours}, recorded {theirs}", ticks[at]);
        }
    }
    assert_eq!(found, ticks.len(), "every sample is the recording's");
    assert!(ticks.windows(2).all(|w| w[1] == w[0] + 1.0), "none is missing");
}

#[test]
fn two_laps_compared_end_at_the_difference_of_their_times() {
    served("two_laps_compared_end_at_the_difference_of_their_times").for_each(|served| compares_well(&served));
}

fn compares_well(served: &Served) {
    let ask = |a: u32, b: u32| served.server.get(&format!("/api/v1/compare?a={}&b={}&step_m=10&channels=speed_mps", served.lap(a), served.lap(b)));
    let (there, back) = (ask(1, 2), ask(2, 1));
    let (delta, dist_m) = (numbers(&there["delta_us"]), numbers(&there["lap_dist_m"]));
    // The simulator's own lap times: 99.5831 s and 92.5564 s; ours of lap 1 may be a tick short (start_estimated).
    let (time_a, time_b) = (there["a"]["time_us"].as_f64().unwrap(), there["b"]["time_us"].as_f64().unwrap());
    assert!((delta[delta.len() - 1] - (time_b - time_a)).abs() <= 2_000.0, "{delta:?}");
    assert!((delta[delta.len() - 1] - (92_556_400.0 - 99_583_100.0)).abs() <= 16_667.0 + 3_000.0);
    assert_eq!((delta[0], dist_m[0], dist_m[dist_m.len() - 1]), (0.0, 0.0, there["length_m"].as_f64().unwrap()));
    assert_eq!(numbers(&back["delta_us"]), delta.iter().map(|d| -d).collect::<Vec<_>>());
    // Sane: behind the first 200 m, which hold the start from the grid, no 10 m change it by more than both cars can take for
    // them: 10 m at 15 m/s.
    for (pair, m) in delta.windows(2).zip(&dist_m).filter(|(_, m)| **m > 200.0) {
        assert!((pair[1] - pair[0]).abs() < 700_000.0, "{} µs at {m} m", pair[1] - pair[0]);
    }
    // Time along the lap from outside: 1 / v over every metre. The car drives 0.65 % further than its lap distance says (the
    // recording's speed over time, from 500 to 4,000 m: 3,522.6 m), and slower where it does.
    let trace = served.trace(2, "by=distance&step_m=1&channels=speed_mps");
    let (speed, at_us) = (numbers(&trace["channels"]["speed_mps"]), numbers(&trace["channels"]["time_us"]));
    let (from, to) = (500usize, 4_000usize);
    let integrated: f64 = speed[from..to].iter().zip(&speed[from + 1..=to]).map(|(a, b)| 2e6 / (a + b)).sum();
    let taken = at_us[to] - at_us[from];
    assert!((integrated / taken - 1.0).abs() < 0.02, "{integrated} µs by speed, {taken} by the clock");
    // The same race as other people wrote it out (CSV): 77.867 s between its samples next to these places, 60 a second.
    assert!((taken - 77_866_667.0).abs() < 2.0 * 16_667.0, "{taken}");
    assert!(at_us.windows(2).all(|w| w[1] >= w[0]), "time does not run back");
}

#[test]
fn pictures_are_drawn() {
    served("pictures_are_drawn").for_each(|served| draws(&served));
}

fn draws(served: &Served) {
    let compare = served.svg(&format!("/api/v1/compare.svg?a={}&b={}", served.lap(1), served.lap(2)));
    assert!(compare.starts_with("<svg ") && compare.contains("Phillip Island") && compare.contains("1:32.55"), "{}", &compare[..400]);
    assert!(compare.matches("<polyline").count() >= 3, "two speeds and a delta");
    let map = served.svg(&format!("/api/v1/sessions/{}/laps/{}/2/map.svg", served.session, served.entry));
    assert!(map.contains("Start / finish") && map.contains(">S2<") && map.contains(">S3<") && map.contains(">N<"));
    assert!(!map.contains("NaN") && !compare.contains("NaN"));
}
