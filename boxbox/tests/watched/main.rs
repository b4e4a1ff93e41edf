//! Operations, tried out: all services under Debian's Prometheus and Alertmanager with the dashboards and alerts as they are shipped. Every
//! query returns figures under load; each of some twenty faults raises the alert that is meant for it within a minute, and beyond it only
//! what the table of inhibitions has; and after each fault nothing is lost.
//!
//! Windows, `for` and waits are divided by [`shipped::FACTOR`]; thresholds are not. `cargo xtask test` makes one fault, which takes two
//! minutes; `cargo xtask campaign` makes all of them, which takes twenty. `BOXBOX_FAULTS` chooses faults by a part of their names or alerts.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "in a test, a panic is the answer")]

#[path = "../common/mod.rs"]
mod common;
mod faults;
mod fleet;
mod page;
mod shipped;
mod small_disk;
mod tool;
mod watch;
mod webhook;
mod world;

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::{Duration, Instant};

use boxbox_testkit::campaign::campaign;
use boxbox_testkit::needed;
use boxbox_testkit::wait::{PATIENCE, block_until};
use common::boxbox;
use faults::{FAULTS, Fault, Way};
use watch::Watch;
use world::World;

/// Within this an alert must have been delivered.
const TOLD_WITHIN: Duration = Duration::from_secs(60);

/// Alerts about the machine that runs the tests, which has few processors and other work.
const OF_THE_MACHINE: [&str; 4] = ["CpuHigh", "MemoryHigh", "DiskFullSoon", "DataDiskFull"];

#[test]
fn what_ops_see() {
    const TEST: &str = "what_ops_see";
    let began = Instant::now();
    let Some(mut world) = needed(TEST, World::start()) else { return };
    every_query_returns_figures(&mut world);
    every_rule_can_be_evaluated(&world.watch);
    let chosen = std::env::var("BOXBOX_FAULTS").unwrap_or_else(|_| if campaign() { "" } else { FAULTS[0].name }.to_owned());
    let (mut told, mut wrong) = (vec![], vec![]);
    for fault in FAULTS.iter().filter(|fault| fault.name.contains(&chosen) || fault.alert.contains(&chosen)) {
        if fault.alert == "LogDiskFull" && world.disk.is_none() {
            boxbox_testkit::not_run(TEST, "the fault of a full disk: only root may mount a disk");
            continue;
        }
        match one_fault(&mut world, fault) {
            Ok(line) => told.push(line),
            Err(line) => wrong.push(line),
        }
    }
    println!("{TEST}: times divided by {}\n{}", shipped::FACTOR, told.join("\n"));
    assert!(wrong.is_empty(), "{} of {} faults:\n{}", wrong.len(), wrong.len() + told.len(), wrong.join("\n"));
    let deadman = world.watch.webhook.since(began).into_iter().filter(|d| d.receiver == "deadman");
    let deadman: Vec<_> = deadman.collect();
    assert!(!deadman.is_empty() && deadman.iter().all(|d| d.alert == "Watchdog" && d.fires), "{deadman:?}");
}

/// A race, and people who watch it: every panel shows something, and not 0 only, unless it says that this is normal.
fn every_query_returns_figures(world: &mut World) {
    let strings: Vec<String> = (0..6).map(|car| world.fleet.grant(&format!("racer-{car}"))).collect();
    let mut args = vec!["simulate", "--laps", "40", "--speed", "4", "--field", "4"];
    args.extend(strings.iter().flat_map(|string| ["--to", string.as_str()]));
    let mut race = boxbox(&args).stdout(Stdio::null()).spawn().unwrap();
    let (queries, began) = (shipped::queries(), Instant::now());
    assert!(queries.len() > 100, "{} queries", queries.len());
    let mut waiting: Vec<_> = queries.iter().collect();
    // One turn in two seconds: Prometheus asks no more often.
    while !waiting.is_empty() && began.elapsed() < PATIENCE {
        waiting.retain(|query| {
            let values = world.watch.query(&query.expr).unwrap_or_else(|error| panic!("{}: {}: {error}", query.place, query.expr));
            !(query.rests || values.iter().any(|value| *value != 0.0))
        });
        world.watch.runs();
        std::thread::sleep(Duration::from_secs(2));
    }
    race.kill().unwrap();
    race.wait().unwrap();
    let nothing: Vec<String> = waiting.iter().map(|query| format!("{}: {}", query.place, query.expr)).collect();
    assert!(nothing.is_empty(), "{} of {} queries show nothing under load:\n{}", nothing.len(), queries.len(), nothing.join("\n"));
    println!("all {} queries of all panels return figures; the last after {:.0} s", queries.len(), began.elapsed().as_secs_f64());
}

/// No rule has an error, and each metric that a rule names has series.
fn every_rule_can_be_evaluated(watch: &Watch) {
    let rules = watch.rules();
    assert!(rules.len() > 60, "{} rules", rules.len());
    let mut names = BTreeSet::new();
    for (name, query, error) in &rules {
        assert!(error.is_none(), "{name}: {error:?}");
        let words = query.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | ':')));
        let prefixes = ["boxbox_", "process_", "node_", "pg_", "kafka_", "ClickHouse", "probe_", "alertmanager_", "prometheus_", "slo:"];
        names.extend(words.filter(|word| prefixes.iter().any(|prefix| word.starts_with(prefix)) && word.len() > 5).map(str::to_owned));
    }
    // A level has no series for windows in which nothing happened, and none beyond those for which there are events.
    let absent: Vec<&String> = names.iter().filter(|name| watch.query(name).unwrap().is_empty()).collect();
    assert!(absent.is_empty(), "rules ask for what is not there: {absent:?}");
    println!("{} rules on {} metrics can be evaluated", rules.len(), names.len());
}

/// Makes a fault under load, waits for its alert, heals it, and sees that nothing is lost; what is to be told of it, or what was wrong with
/// the alerts.
fn one_fault(world: &mut World, fault: &Fault) -> Result<String, String> {
    let (Fault { name, alert, way }, panel) = (fault, fault.panel());
    let queries: Vec<_> = shipped::queries().into_iter().filter(|query| query.place.ends_with(&format!(": {panel}"))).collect();
    assert!(!queries.is_empty(), "there is no panel {panel:?}");
    let shown = |world: &World| queries.iter().map(|query| world.watch.series(&query.expr)).collect::<Vec<_>>();
    println!("== {name}");
    // What an earlier fault has left must not be taken for an effect of this one. Budgets remember faults for hours.
    let stays = |firing: &str| OF_THE_MACHINE.contains(&firing) || firing.contains("BudgetBurns");
    block_until("the alerts of earlier faults have resolved", || world.watch.firing().iter().all(|firing| stays(firing)));
    world.drive();
    world.acks("before the fault");
    let before: BTreeSet<String> = world.watch.firing().into_iter().collect();
    let well = shown(world);
    let since = Instant::now();
    let held = match way {
        Way::Acts(make, _) => {
            make(world);
            None
        }
        Way::Held(make) => Some(make(world)),
    };
    let delivered = |world: &World| world.watch.webhook.since(since).into_iter().filter(|d| d.fires).collect::<Vec<_>>();
    let (mut told, mut moved) = (None, false);
    while told.is_none() && since.elapsed() < TOLD_WITHIN {
        std::thread::sleep(Duration::from_millis(200));
        moved |= shown(world) != well;
        told = delivered(world).iter().any(|d| d.alert == *alert).then(|| since.elapsed());
    }
    let firing = world.watch.firing();
    drop(held);
    if let Way::Acts(_, heal) = way {
        heal(world);
    }
    let Some(told) = told else { return Err(format!("{name}: no {alert} within {TOLD_WITHIN:?}; firing: {firing:?}")) };
    if !moved {
        return Err(format!("{name}: the panel {panel:?} shows what it showed before: {well:?}"));
    }
    block_until(format!("{name}: {alert} has resolved"), || world.watch.webhook.since(since).iter().any(|d| d.alert == *alert && !d.fires));
    let resolved = since.elapsed();
    world.acks("after the fault");
    world.conserves(name);

    let all = delivered(world);
    let meant = all.iter().find(|d| d.alert == *alert).unwrap();
    let page = meant.runbook.split('#').next().unwrap();
    assert!(shipped::root().join(page).exists(), "{alert}: no runbook {page}");
    let allowed = shipped::silent_while(alert);
    let others: BTreeSet<&str> = all.iter().map(|d| d.alert.as_str()).filter(|other| other != alert && *other != "Watchdog").collect();
    let beyond: Vec<&&str> =
        others.iter().filter(|other| !allowed.iter().any(|a| a == **other) && !before.contains(**other) && !OF_THE_MACHINE.contains(other)).collect();
    if !beyond.is_empty() {
        return Err(format!("{name}: beyond {alert} these were told: {beyond:?}; all: {others:?}"));
    }
    let line = format!(
        "{name}: {alert} at the {} after {:.0} s, resolved after {:.0} s; beside it {others:?}",
        meant.receiver,
        told.as_secs_f64(),
        resolved.as_secs_f64()
    );
    println!("{line}");
    Ok(line)
}
