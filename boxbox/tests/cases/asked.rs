//! [`Asked`]: a case that was replayed, and the API to ask about it.

use serde_json::Value;
use tokio::runtime::Runtime;

use crate::NEAR_US;
use crate::pipeline::{Profile, Shown};
use crate::recordings::Recorded;
use boxbox_testkit::recording;

/// A case whose frames are all processed.
pub struct Asked {
    shown: Shown,
    agent: ureq::Agent,
    _runtime: Runtime,
}

/// Replays `files` of the folder `cases`, each as the driver beside it; `None` (and NOT RUN) where the recordings are missing.
pub fn case(test: &'static str, files: &[(&str, &'static str)]) -> Option<Asked> {
    case_with(test, files, false)
}

/// As [`case`]; with `close_between`, silence closes the session before the next file comes.
pub fn case_with(test: &'static str, files: &[(&str, &'static str)], close_between: bool) -> Option<Asked> {
    let folder = recording(test, "cases")?;
    let paths = files.iter().map(|(file, driver)| (folder.join(format!("{file}.ibt.gz")), *driver)).collect();
    let input = Recorded::of_files(files[0].0, paths).input_closed(close_between);
    let runtime = Runtime::new().unwrap();
    let shown = runtime.block_on(async {
        let profile = Profile::memory();
        let lease = profile.process(&input, input.records.len()).await;
        profile.keep_frames(&input, &lease).await;
        profile.serve(&input).await
    });
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    Some(Asked { shown, agent, _runtime: runtime })
}

impl Asked {
    /// The answer of the API to `path` behind `/api/v1`.
    pub fn get(&self, path: &str) -> Value {
        let url = format!("{}/api/v1{path}", self.shown.base);
        let text = self.agent.get(&url).call().unwrap().body_mut().read_to_string().unwrap();
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{url}: {e}: {text}"))
    }

    /// Ids of all sessions, oldest first.
    pub fn sessions(&self) -> Vec<String> {
        let all = self.get("/sessions?limit=500");
        let mut ids: Vec<String> = all["sessions"].as_array().unwrap().iter().map(|s| s["id"].as_str().unwrap().to_owned()).collect();
        ids.reverse();
        ids
    }

    /// What the API says of the only session at `path`.
    pub fn of_session(&self, path: &str) -> Value {
        let ids = self.sessions();
        assert_eq!(ids.len(), 1, "one session");
        self.get(&format!("/sessions/{}{path}", ids[0]))
    }

    /// The rows of the results, first place first.
    pub fn results(&self) -> Vec<Value> {
        self.of_session("/results")["results"].as_array().unwrap().clone()
    }

    /// Entry, laps and whether it finished, first place first.
    pub fn places(&self) -> Vec<(String, u64, bool)> {
        self.results()
            .iter()
            .map(|r| (r["entry"].as_str().unwrap().to_owned(), r["laps"].as_u64().unwrap(), r["finished"].as_bool().unwrap()))
            .collect()
    }

    /// The result of one entry.
    pub fn result(&self, entry: &str) -> Value {
        let results = self.results();
        results.iter().find(|r| r["entry"] == entry).unwrap_or_else(|| panic!("{entry} is not in {results:#?}")).clone()
    }

    /// Laps by number: number, time in seconds.
    pub fn laps(&self) -> Vec<(u64, f64)> {
        laps_of(&self.of_session("/laps?limit=500"))
    }

    /// Visits to the pits.
    pub fn visits(&self) -> Vec<Value> {
        self.of_session("/pit-stops?limit=500")["pit_stops"].as_array().unwrap().clone()
    }

    /// Visits that are stops.
    pub fn stops(&self) -> Vec<Value> {
        self.visits().into_iter().filter(|v| v["kind"] == "stop").collect()
    }

    /// Stints.
    pub fn stints(&self) -> Vec<Value> {
        self.of_session("/stints?limit=500")["stints"].as_array().unwrap().clone()
    }
}

/// The laps of an answer that have a time: number, time in seconds.
pub fn laps_of(answer: &Value) -> Vec<(u64, f64)> {
    let laps = answer["laps"].as_array().unwrap();
    laps.iter().filter_map(|l| Some((l["number"].as_u64()?, l["time_us"].as_i64()? as f64 / 1e6))).collect()
}

/// These laps, with these times in seconds, and no others.
#[track_caller]
pub fn same_laps(laps: &[(u64, f64)], expected: &[(u64, f64)]) {
    let near = |(a, b): (&(u64, f64), &(u64, f64))| a.0 == b.0 && (a.1 - b.1).abs() * 1e6 <= NEAR_US as f64;
    assert!(laps.len() == expected.len() && laps.iter().zip(expected).all(near), "laps are {laps:?}, not {expected:?}");
}

/// A time of an answer in µs is that many seconds.
#[track_caller]
pub fn seconds(value: &Value, expected: f64) {
    let us = value.as_i64().unwrap_or_else(|| panic!("{value} is no time"));
    assert!((us as f64 - expected * 1e6).abs() <= NEAR_US as f64, "{us} us, not {expected} s");
}
