//! Classifications against a model of them that knows what was driven, and nothing of `race` or of frames ([`model`]).
//!
//! Races are drawn by seed ([`draw`]): every kind of end, told early, late or never; cars without a client, or that no client sees; tows,
//! resets, cuts, swaps, lost clients, lost ticks. Every place, place in class, number of laps and status must be that of the model, and
//! each situation must have come up often enough. A race that does not come out prints what a person needs to drive it again:
//! `BOXBOX_RACE=SEED` is that race alone.
//!
//! 200 races in `cargo xtask test`, 1,000 in a campaign.

#![allow(clippy::unwrap_used, clippy::print_stdout, unreachable_pub, reason = "in a test, a panic is the answer")]

mod clients;
mod draw;
mod model;
mod qualifying;
#[path = "../oracle/records.rs"]
#[allow(dead_code, reason = "shared with another test")]
mod records;
mod reviewed;
mod shapes;
mod situations;

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use boxbox_processor::partition::Partition;
use boxbox_race::timing::Classified;
use boxbox_race::view::SessionView;
use boxbox_schemas::LogId;
use boxbox_sources::synth::{Race, Truth};
use boxbox_store::memory::MemoryResults;
use boxbox_store::{PartitionState, Steps};
use boxbox_testkit::campaign::{campaign, number};
use bytes::Bytes;
use draw::Drawn;
use model::{Model, Row};
use situations::Situations;

const WORKERS: u64 = 2;
/// A step is committed every so many records.
const EVERY: usize = 300;

/// Runs a future that never waits: the memory store answers at once.
fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("the memory store waits"),
    }
}

/// The classification that the processing of `records` comes to.
fn classified(records: &[Bytes]) -> Vec<Classified> {
    viewed(records).classification()
}

/// What the processing of `records` comes to.
fn viewed(records: &[Bytes]) -> SessionView {
    let (store, log) = (MemoryResults::new(), LogId("classified".into()));
    let lease = now(store.acquire(&log, 0)).unwrap();
    let mut partition = Partition::restore(log, 0, 1, PartitionState::default()).unwrap();
    let mut view = SessionView::new(records::session());
    for (n, chunk) in records.chunks(EVERY).enumerate() {
        for (i, record) in chunk.iter().enumerate() {
            partition.process((n * EVERY + i) as u64, record);
        }
        if let Some(step) = partition.step() {
            assert_eq!(step.quarantine, [], "a record is refused");
            now(store.commit(&lease, &step)).unwrap();
            view.apply(&step);
        }
    }
    view
}

/// What of the classification is not as driven.
fn differences(told: &[Classified], model: &Model) -> Vec<String> {
    let mut all = vec![];
    let mut places = vec![];
    for (place, c) in told.iter().enumerate() {
        let Some(row) = model.rows.iter().find(|r| r.slot == c.slot) else {
            all.push(format!("car {} is in the result and not in the race", c.slot));
            continue;
        };
        if c.position != place as u32 + 1 {
            all.push(format!("car {} in row {} has place {}", c.slot, place + 1, c.position));
        }
        if c.laps != row.laps {
            all.push(format!("car {}: {} laps, not {}", c.slot, c.laps, row.laps));
        }
        let (status, expected) = (c.status.name(), row.status.name());
        if status != expected {
            all.push(format!("car {}: {status}, not {expected}", c.slot));
        }
        let before = |same: &dyn Fn(&Row) -> bool| places.iter().filter(|r: &&&Row| same(r)).count() as u32 + 1;
        let (class_place, in_class) = (c.class_position, before(&|r| r.class_id == row.class_id));
        if (c.class_id, class_place) != (row.class_id, in_class) {
            all.push(format!("car {}: place {class_place} in class {}, not {in_class} in {}", c.slot, c.class_id, row.class_id));
        }
        if let Some(wrong) = places.iter().find(|ahead| row.beats(ahead)) {
            all.push(format!("car {} is behind car {} and was ahead", row.slot, wrong.slot));
        }
        places.push(row);
    }
    let missing = model.rows.iter().filter(|r| told.iter().all(|c| c.slot != r.slot));
    all.extend(missing.map(|r| format!("car {} is missing ({}, {} laps)", r.slot, r.status.name(), r.laps)));
    all
}

/// Everything about a race that does not come out.
fn report(drawn: &Drawn, model: &Model, told: &[Classified], differences: &[String]) -> String {
    let mut text = format!("{drawn}  the winner is car {:?}, the end {:.3} s\n", model.winner, model.end_us as f64 / 1e6);
    let seconds = |us: Option<i64>| us.map_or("-".to_owned(), |us| format!("{:.4}", us as f64 / 1e6));
    for row in &model.rows {
        _ = writeln!(text, "  driven: car {} {} laps {} {}", row.slot, row.laps, seconds(row.crossed_us), row.status.name());
    }
    for c in told {
        let (status, why) = (c.status.name(), c.why.map_or("", |why| why.name()));
        _ = writeln!(text, "  told {}: car {} {} laps {} {status} {why}", c.position, c.slot, c.laps, seconds(c.finish_us));
    }
    differences.iter().for_each(|d| _ = writeln!(text, "  -> {d}"));
    text
}

/// Of the sessions that `drive` makes of seeds 1 to `count`, or of the one asked for, each must come out as driven.
fn check(count: u64, drive: fn(u64) -> (Drawn, Race, Truth, Model), must_show: &[&'static str], times: usize) {
    // One session alone, or all.
    let asked = number::<u64>("BOXBOX_RACE");
    let seeds = asked.map_or(1..=count, |seed| seed..=seed);
    let next = AtomicU64::new(*seeds.start());
    let work = || {
        let (mut situations, mut failed) = (Situations::default(), vec![]);
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if !seeds.contains(&seed) {
                return (situations, failed);
            }
            let (drawn, race, truth, model) = drive(seed);
            let told = classified(&clients::records(&drawn, &race));
            let differences = differences(&told, &model);
            situations.note(&drawn, &truth, &model, differences.is_empty());
            if !differences.is_empty() {
                failed.push((seed, report(&drawn, &model, &told, &differences)));
            }
        }
    };
    let (situations, mut failed) = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
        let done = workers.into_iter().map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        done.fold((Situations::default(), vec![]), |(a, mut failed), (b, of)| {
            failed.extend(of);
            (a.with(b), failed)
        })
    });
    failed.sort();
    println!("{situations}");
    failed.iter().for_each(|(_, report)| println!("{report}"));
    let seeds: Vec<u64> = failed.iter().map(|(seed, _)| *seed).collect();
    assert!(seeds.is_empty(), "{} of {count} do not come out as driven: BOXBOX_RACE={seeds:?}", seeds.len());
    if asked.is_none() {
        let rare = situations.rarer_than(times, must_show);
        assert!(rare.is_empty(), "hardly ever seen: {rare:?}");
    }
}

#[test]
fn every_place_lap_and_status_of_a_race_is_as_driven() {
    let (races, times) = if campaign() { (1_000, 50) } else { (200, 10) };
    check(races, Drawn::new, situations::OF_RACES, times);
}

#[test]
fn every_place_lap_and_status_of_a_qualifying_is_as_driven() {
    let (sessions, times) = if campaign() { (300, 50) } else { (60, 10) };
    check(sessions, Drawn::qualifying, situations::OF_QUALIFYING, times);
}
