//! What a server shows to those who watch it: every metric from the start, sums that agree, one lap followed by its trace from the client to the
//! API, and logs that programs and people can read.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the answer")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;
use std::process::Stdio;

use boxbox_testkit::sink::Sink;
use boxbox_testkit::wait::block_until;
use common::conserved::{off_balance, sums};
use common::{Server, boxbox};
use serde_json::Value;

const METRICS: &str = include_str!("../../docs/METRICS.md");

/// The chapters of docs/METRICS.md that a server on files does not have.
const ELSEWHERE: [&str; 2] = ["Kafka:", "The control topic:"];

/// `up` on files in `data`.
fn up(data: &Path) -> Vec<&str> {
    vec!["up", "--data", data.to_str().unwrap(), "--quic-port", "0", "--api-port", "0"]
}

/// The rows of the tables of docs/METRICS.md that a server on files has: name, type and labels.
fn rows() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let chapters = METRICS.split("\n## ").filter(|chapter| !ELSEWHERE.iter().any(|title| chapter.starts_with(title)));
    chapters.flat_map(str::lines).filter_map(|line| {
        let cells: Vec<&str> = line.strip_prefix("| `")?.split(" | ").collect();
        Some((cells.first()?.strip_suffix('`')?, *cells.get(1)?, *cells.get(2)?))
    })
}

/// The samples of a scrape: name with labels, and value.
fn samples(text: &str) -> BTreeMap<&str, f64> {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' ')).map(|(k, v)| (k, v.parse().unwrap())).collect()
}

#[test]
fn every_metric_is_there_from_the_start_and_counts_nothing_yet() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&up(folder.path()));
    let (status, text) = server.ask("/metrics", None);
    assert_eq!(status, 200, "{text}");
    let samples = samples(&text);
    let mut seen = 0;
    for (name, kind, labels) in rows() {
        seen += 1;
        // Histograms with labels begin with their first value; until then the scrape has their help text only.
        if kind == "histogram" {
            assert!(!labels.is_empty() || samples.contains_key(&*format!("{name}_count")), "{name} is not there");
            continue;
        }
        assert!(text.contains(&format!("# TYPE {name} {kind}\n")), "{name} is no {kind} in\n{text}");
        // Labels whose values the page names, of which there is one.
        let label =
            labels.strip_prefix('`').and_then(|rest| rest.split_once("`: ")).filter(|_| !labels.contains("; ") && !labels.contains(" values, "));
        let series = match label {
            Some((label, values)) if label != "version" => values.split(", ").map(|value| format!("{name}{{{label}=\"{value}\"}}")).collect(),
            _ if labels.is_empty() => vec![name.to_owned()],
            _ => vec![],
        };
        for series in series {
            let value = samples.get(&*series).unwrap_or_else(|| panic!("{series} is not there:\n{text}"));
            let may_count = name.starts_with("process_") || name.starts_with("boxbox_runtime_") || name.starts_with("boxbox_api_");
            assert!(kind != "counter" || may_count || name.contains("_warnings_") || *value == 0.0, "{series} is {value} at the start");
        }
    }
    assert!(seen > 120, "{seen} metrics are on the page");
    assert!(!text.contains("=\"other\"} 1"), "a label has a value that it does not declare:\n{text}");
    // Nothing is shown that is not on the page.
    let known: BTreeSet<&str> = rows().map(|(name, ..)| name).collect();
    let shown = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    assert_eq!(shown.filter(|name| !known.contains(name)).collect::<Vec<_>>(), Vec::<&str>::new());
}

#[test]
fn frames_received_are_frames_admitted_and_one_lap_is_followed_from_client_to_api() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let collector = Sink::start();
    let url = collector.url("");
    let tracing = ["--otlp-url", &url, "--trace-sessions", "1", "--trace-cars", "1"];
    let server = Server::start(&[&up(data)[..], &tracing].concat());
    let race = ["simulate", "--data", data.to_str().unwrap(), "--cars", "2", "--laps", "2", "--speed", "50", "--field", "2"];
    let race = boxbox(&[&race[..], &tracing].concat()).output().unwrap();
    assert!(race.status.success(), "{}", String::from_utf8_lossy(&race.stderr));

    // At rest everything adds up.
    let mut text = String::new();
    block_until("everything is processed and archived", || {
        text = server.ask("/metrics", None).1;
        let sums = sums(&text);
        let of = |name: &str| sums[name];
        of("boxbox_processor_lag_records") + of("boxbox_processor_archive_lag_records") + of("boxbox_edge_connections") == 0.0
            && of("boxbox_processor_records_total") >= of("boxbox_edge_records_acked_total")
    });
    let samples = samples(&text);
    for of in ["own", "slow", "others"] {
        let [received, acked, admitted] =
            ["edge_frames_received", "edge_frames_acked", "processor_frames"].map(|name| samples[&*format!("boxbox_{name}_total{{of=\"{of}\"}}")]);
        assert_eq!((received, acked), (admitted, admitted), "{of}");
        assert!(of == "slow" || admitted > 100.0, "{of}: {admitted}");
    }
    assert_eq!(off_balance(&text), Vec::<String>::new());
    assert!(samples["boxbox_processor_freshness_seconds_count"] >= 4.0, "two cars drive two laps each");
    assert!(samples["boxbox_edge_clients_reconnects_total"] == 0.0 && samples["boxbox_edge_records_void_total{reason=\"range\"}"] == 0.0);

    // A lap names its trace, and the trace has every step of its last frames.
    let laps = server.get(&format!("/api/v1/sessions/{}/laps", server.only_session()));
    let lap = &laps["laps"].as_array().unwrap()[1];
    let path = format!("/api/v1/sessions/{}/laps/{}/{}", server.only_session(), lap["entry"].as_str().unwrap(), lap["number"]);
    let answer = ureq::get(format!("{}{path}", server.api)).call().unwrap();
    let trace = answer.headers()["x-trace-id"].to_str().unwrap().to_owned();
    let steps = ["client.record", "edge.record", "log.append", "processor.record", "store.commit", "api.request"];
    let mut spans = vec![];
    block_until("the collector has every step of the lap's trace", || {
        spans = spans_of(&collector.bodies(), &trace);
        steps.iter().all(|step| spans.iter().any(|span| span["name"] == *step))
    });
    let ids: BTreeMap<&str, &Value> = spans.iter().map(|span| (span["spanId"].as_str().unwrap(), span)).collect();
    assert_eq!(ids.len(), spans.len(), "no span comes twice");
    // From the commit back to the client, step by step.
    let mut at = spans.iter().find(|span| span["name"] == "store.commit").unwrap();
    for step in ["processor.record", "edge.record", "client.record"] {
        at = ids[at["parentSpanId"].as_str().unwrap()];
        assert_eq!(at["name"], step);
    }
    let all = collector.bodies().concat();
    for secret in ["v4.public.", "boxbox://", "127.0.0.1"] {
        assert!(!all.contains(secret), "a trace holds {secret}");
    }
    #[cfg(unix)]
    assert!(server.terminate().success());
}

fn spans_of(bodies: &[String], trace: &str) -> Vec<Value> {
    let mut found = vec![];
    for body in bodies {
        let document: Value = serde_json::from_str(body).unwrap();
        for resource in document["resourceSpans"].as_array().unwrap() {
            let spans = resource["scopeSpans"][0]["spans"].as_array().unwrap();
            found.extend(spans.iter().filter(|span| span["traceId"] == trace).cloned());
        }
    }
    found
}

/// What `up` logs at info in a format, from its start to its end with a race in between.
fn logged(format: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let (data, log) = (folder.path().join("data"), folder.path().join("log.txt"));
    let args = [&up(&data)[..], &["--log", "info", "--log-format", format, "--close-after", "1s"]].concat();
    let mut command = boxbox(&args);
    command.stderr(Stdio::from(File::create(&log).unwrap()));
    let server = Server::start_by(command, &args);
    let race = ["simulate", "--data", data.to_str().unwrap(), "--cars", "1", "--laps", "1", "--speed", "50"];
    assert!(boxbox(&race).status().unwrap().success());
    block_until("the session is closed", || server.metric("boxbox_processor_closings_total{how=\"silence\"}") == 1.0);
    drop(server);
    std::fs::read_to_string(&log).unwrap()
}

/// What a person at a console needs first.
const SAID: [&str; 4] = ["boxbox starts", "a session is opened", "a session is closed", "client connected"];

#[test]
fn logs_as_json_are_an_object_on_each_line() {
    let text = logged("json");
    let objects: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}"))).collect();
    for said in SAID {
        assert!(objects.iter().any(|object| object["message"].as_str().is_some_and(|message| message.starts_with(said))), "{said}: {text}");
    }
    let start = objects.iter().find(|object| object["message"] == "boxbox starts").unwrap();
    assert!(start["version"].is_string() && start["data"].as_str().unwrap().ends_with("data"), "{start}");
    assert!(objects.iter().all(|object| object["timestamp"].is_string() && object["level"].is_string() && object["target"].is_string()));
}

#[test]
fn logs_that_go_to_a_file_have_no_colours() {
    let text = logged("auto");
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    for said in SAID {
        assert!(text.contains(said), "{said}: {text}");
    }
}
