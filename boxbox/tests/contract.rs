//! The API is as its OpenAPI document says: Schemathesis asks a running server what the document allows and forbids, and
//! checks every answer: no 5xx, documented statuses, content types, headers and bodies, wrong input refused.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the answer")]

mod common;

use std::process::Command;
use std::time::{Duration, Instant};

use boxbox_testkit::campaign::{campaign, seeded};
use boxbox_testkit::not_run;
use common::boxbox;
use common::place::Place;
use serde_json::{Value, json};

/// Asking takes about a minute; the rest is margin for a loaded machine.
const DEADLINE: Duration = Duration::from_secs(600);
/// Requests made up for each operation; in a campaign more.
const EXAMPLES: &str = "40";
const EXAMPLES_CAMPAIGN: &str = "1000";

#[test]
fn the_api_is_as_its_document_says() {
    const TEST: &str = "the_api_is_as_its_document_says";
    let mut ask = match boxbox_testkit::schemathesis() {
        Ok(command) => command,
        Err(error) => return not_run(TEST, format!("{error:#}").lines().next().unwrap_or_default()),
    };
    // What the stores hold is the same, what asks them is not: both are asked.
    for place in Place::both(TEST) {
        eprintln!("{TEST}: on the {} profile", place.profile);
        is_as_its_document_says(TEST, &place, ask_again(&mut ask));
    }
}

/// The same command once more.
fn ask_again(ask: &mut Command) -> Command {
    let mut again = Command::new(ask.get_program());
    again.args(ask.get_args()).envs(ask.get_envs().filter_map(|(name, value)| Some((name, value?))));
    again
}

fn is_as_its_document_says(test: &str, place: &Place, mut ask: Command) {
    let folder = place.folder();
    let args = place.args();
    let demo = place.with(&args, &["demo", "--speed", "30"]);
    assert!(boxbox(&demo).stdout(std::process::Stdio::null()).status().unwrap().success());
    let server = place.up();
    let laps = server.get(&format!("/api/v1/sessions/{}/laps", server.only_session()));
    let (lap, last) = (&laps["laps"][0], laps["laps"].as_array().unwrap().last().unwrap());
    let mut document = server.get("/api/v1/openapi.json");
    acquaint(&mut document, lap, last);
    let schema = folder.join("openapi.json");
    std::fs::write(&schema, document.to_string()).unwrap();

    // Deterministic in every run; a campaign asks differently each time, and says how.
    let campaign = campaign();
    let seed = if campaign { seeded(test).u32(1..).to_string() } else { "1".into() };
    eprintln!("{test}: seed {seed}");
    ask.args(["run", schema.to_str().unwrap(), "--url", &server.api, "--checks", "all", "--workers", "1", "--seed", &seed]);
    ask.args(["--max-examples", if campaign { EXAMPLES_CAMPAIGN } else { EXAMPLES }, "--phases", "examples,coverage,fuzzing"]);
    // A cursor or a list of channels is text to the document and has a form to us: what is refused with 400 is well refused.
    ask.args(["--exclude-checks", "positive_data_acceptance", "--request-timeout", "20", "--no-color", "--warnings", "off"]);
    ask.args(["--suppress-health-check", "all", "-H", "X-Boxbox:1"]);
    let memory: &[&str] = if campaign { &["--generation-database", "none"] } else { &["--generation-deterministic"] };
    ask.args(memory);
    let log = folder.join("schemathesis.log");
    let out = std::fs::File::create(&log).unwrap();
    let began = Instant::now();
    let mut child = ask.current_dir(folder).stdin(std::process::Stdio::null()).stdout(out.try_clone().unwrap()).stderr(out).spawn().unwrap();
    let status = common::wait(&mut child, DEADLINE);
    let said = std::fs::read_to_string(&log).unwrap();
    assert!(status.success(), "Schemathesis (seed {seed}) found:\n{said}");
    eprintln!("{test}: asked for {:.0} s\n{}", began.elapsed().as_secs_f64(), said.lines().rev().take(12).collect::<Vec<_>>().join("\n"));
    assert_eq!(server.get("/livez")["live"], true);
}

/// Tells the generator of things that are there, beside what the document allows anyway: else it would see 404 only.
fn acquaint(document: &mut Value, lap: &Value, last: &Value) {
    let reference = |lap: &Value| format!("{}/{}/{}", lap["session"].as_str().unwrap(), lap["entry"].as_str().unwrap(), lap["number"]);
    let there = |name: &str| match name {
        "session" => Some(json!([lap["session"]])),
        "entry" => Some(json!([lap["entry"]])),
        "number" => Some(json!([lap["number"], last["number"]])),
        "a" => Some(json!([reference(lap)])),
        "b" => Some(json!([reference(last)])),
        "channels" => Some(json!(["time_us,speed_mps", "tick"])),
        _ => None,
    };
    let mut told = 0;
    for item in document["paths"].as_object_mut().unwrap().values_mut() {
        for operation in item.as_object_mut().unwrap().values_mut() {
            for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
                if let Some(values) = there(parameter["name"].as_str().unwrap()) {
                    parameter["example"] = values[0].clone();
                    parameter["schema"] = json!({ "anyOf": [{ "enum": values }, parameter["schema"].take()] });
                    told += 1;
                }
            }
        }
    }
    assert!(told > 20, "the document names its parameters otherwise now");
}
