//! Cars that others see (FieldFrames): laps for cars without a client, whose car is whose, own before field (E3a, E3b), and that
//! none of it depends on the order of arrival.

#![allow(clippy::unwrap_used)] // Unwrapping is how a test says what must be.

mod support;

use std::collections::BTreeMap;

use boxbox_processor::partition::Partition;
use boxbox_race::timing;
use boxbox_schemas::event::Closing;
use boxbox_schemas::results::{AnyRow, Lap, PitVisit, SessionInfo, Tags};
use boxbox_schemas::{EntryId, LogId};
use boxbox_store::memory::MemoryResults;
use boxbox_store::{PartitionState, STREAM_RACE_MAX_BYTES, Steps};
use bytes::Bytes;
use fastrand::Rng;
use proptest::prelude::*;
use support::*;

/// What everybody's metadata says: three drivers, a car of nobody here, a pace car. Slot, user, special.
const GRID: [(u16, u64, u8); 5] = [(1, 11, 0), (2, 12, 0), (3, 13, 0), (4, 14, 0), (5, 15, 1)];

/// A client of a driver in `slot` who sees all others, from tick `from` to `to`; its own car drives, if it `drives`.
fn client(name: &str, run: u8, slot: u16, from: u32, to: u32, drives: bool) -> Vec<Bytes> {
    let mut client = Client::new(1, name, run);
    client.shift = i64::from(slot) * 60;
    client.grid(slot, &GRID);
    let seen: Vec<(u16, i64)> = GRID.iter().filter(|g| g.0 != slot).map(|g| (g.0, i64::from(g.0) * 60)).collect();
    let mut tick = from;
    while tick < to {
        let next = (tick + 60).min(to);
        if drives {
            client.drive(tick, next);
        }
        client.see(tick, next, &seen);
        tick = next;
    }
    client.end();
    client.records
}

fn entry(text: &str) -> EntryId {
    EntryId::new(text).unwrap()
}

fn merge(sequences: &[Vec<Bytes>], seed: u64) -> Vec<Bytes> {
    let mut rng = Rng::with_seed(seed);
    let mut rest: Vec<_> = sequences.iter().map(|s| s.iter()).collect();
    let mut merged = vec![];
    while rest.iter().any(|r| r.len() > 0) {
        let i = rng.usize(0..rest.len());
        let stretch = if rng.bool() { 1 } else { rng.usize(1..300) };
        merged.extend(rest[i].by_ref().take(stretch).cloned());
    }
    merged
}

/// A car as a stream sees it: driver, run, slot.
type Seen = (String, String, u16);

/// What a session has at its end, but for what arrival decides.
#[derive(PartialEq, Debug)]
struct End {
    laps: Vec<Lap>,
    visits: BTreeMap<(String, String, u16, u32), PitVisit>,
    cars: BTreeMap<Seen, (EntryId, i64, Option<f64>)>,
    digest: String,
}

fn end(bench: &Bench) -> End {
    let laps: Vec<Lap> = bench.kept.laps.values().map(|l| Lap { revision: 0, ..l.clone() }).collect();
    let steps = &bench.kept.steps;
    let told = AnyRow::read_all::<PitVisit>(steps.iter().flat_map(|s| &s.rows)).unwrap();
    let visits: BTreeMap<_, _> = told.into_iter().map(|v| ((v.driver.to_string(), v.run.to_string(), v.slot, v.tick), v)).collect();
    let nows = steps.iter().flat_map(|s| &s.streams).flat_map(|s| s.now.iter().chain(s.field.iter().filter_map(|f| f.now.as_ref())));
    let cars = nows.map(|n| ((n.driver.to_string(), n.run.to_string(), n.slot), (n.entry, n.sim_time_us, n.lap_pct))).collect();
    let info: SessionInfo = steps.iter().flat_map(|s| &s.sessions).next_back().unwrap().clone();
    let folded = timing::pit_visits(&visits.values().filter(|v| !v.superseded).cloned().collect::<Vec<_>>());
    let digest = timing::digest(&timing::classification(&timing::Facts::of(&info, &laps)), &laps, &folded, &[]);
    End { laps, visits, cars, digest }
}

fn run_of(records: &[Bytes], commit_every: usize) -> End {
    let mut bench = Bench::new();
    for records in records.chunks(commit_every) {
        bench.feed(records).commit();
    }
    end(&bench)
}

#[test]
fn every_car_has_laps_and_each_comes_from_the_best_source() {
    let records = [client("anna", 1, 1, 0, 5000, true), client("bert", 1, 2, 0, 2600, true), client("carl", 1, 3, 0, 5000, false)];
    let End { laps, cars, .. } = run_of(&records.concat(), 1000);
    let of = |name: &str| laps.iter().filter(|l| l.entry == entry(name)).collect::<Vec<_>>();
    let told = |name: &str| of(name).iter().map(|l| (l.number, l.tags.has(Tags::FIELD))).collect::<Vec<_>>();
    assert_eq!(told("anna"), [(2, false), (3, false), (4, false)]);
    assert_eq!(told("bert"), [(2, false), (3, true), (4, true)], "his client was away from lap 3 on");
    assert_eq!(told("carl"), [(2, true), (3, true), (4, true)], "his client never sent his own car");
    assert_eq!(told("u:14"), [(2, true), (3, true), (4, true)], "nobody's client");
    assert!(laps.iter().all(|l| !["u:11", "u:12", "u:13", "u:15"].contains(&l.entry.as_str())), "no car is there twice, and no pace car");
    for lap in &laps {
        assert!((lap.time_us - 20_000_000).abs() < 5_000, "{} lap {}: {} µs", lap.entry, lap.number, lap.time_us);
        assert_eq!(lap.driver.0, lap.entry.0, "credited to who drove, not to who saw it");
    }
    let bert = &cars[&("anna".into(), run(1).to_string(), 2)];
    assert_eq!(bert.0, entry("bert"), "where a car is says whose it is, too");
}

/// Who claims a car may be known long after others have told of it.
#[test]
fn a_car_finds_its_owner() {
    let anna = client("anna", 1, 1, 0, 3900, true);
    let bert = client("bert", 1, 2, 0, 100, true);
    let mut bench = Bench::new();
    bench.feed(&anna).commit();
    assert!(bench.kept.laps.contains_key(&(entry("u:12"), 2)));
    bench.feed(&bert[..1]).commit();
    assert!(bench.kept.laps.keys().all(|(e, _)| *e != entry("u:12")), "withdrawn there");
    let lap = &bench.kept.laps[&(entry("bert"), 2)];
    assert!(lap.tags.has(Tags::FIELD) && lap.driver == driver("bert"));
    assert_eq!(end(&bench).cars[&("anna".into(), run(1).to_string(), 2)].0, entry("bert"));
}

/// The observer's simulator goes back, and with it every car in it: laps that were undone are told anew, once.
#[test]
fn an_observer_that_goes_back_takes_the_others_along() {
    let mut anna = Client::new(1, "anna", 1);
    anna.grid(1, &GRID);
    let see = |anna: &mut Client, from: u32, to: u32| {
        for tick in (from..to).step_by(60) {
            anna.drive(tick, tick + 60);
            anna.see(tick, tick + 60, &[(2, 120)]);
        }
    };
    see(&mut anna, 0, 2520);
    let before = anna.records.len();
    anna.rewind(1800);
    let behind = anna.records.len();
    see(&mut anna, 1800, 3900);
    let bert = (entry("u:12"), 2);
    let mut bench = Bench::new();
    bench.feed(&anna.records[..before]).commit();
    assert_eq!(bench.kept.laps[&bert].timeline, 0);
    bench.feed(&anna.records[before..behind]).commit();
    assert!(!bench.kept.laps.contains_key(&bert), "it ended behind where the simulator went back to");
    bench.feed(&anna.records[behind..]).commit();
    let lap = &bench.kept.laps[&bert];
    assert!(lap.timeline > 0 && (lap.time_us - 20_000_000).abs() < 5_000, "{lap:?}");
    let numbers: Vec<u32> = bench.kept.laps.keys().filter(|(e, _)| *e == bert.0).map(|(_, n)| *n).collect();
    assert_eq!(numbers, [2, 3]);
}

/// E2: a run that goes on from another one's state goes by what its own client says of the session.
#[test]
fn a_run_that_goes_on_keeps_its_own_metadata() {
    let (mut first, mut second) = (Client::new(1, "anna", 1), Client::new(1, "anna", 2));
    first.meta(1, 0);
    first.drive(300, 2000);
    second.meta(4, 9);
    second.drive(2012, 5000);
    let mut bench = Bench::new();
    bench.feed(&first.records).feed(&second.records).commit();
    let told: Vec<_> = bench.kept.laps.values().map(|l| (l.entry.as_str(), l.number, l.slot)).collect();
    assert_eq!(told, [("t:9", 2, 4), ("t:9", 3, 4), ("t:9", 4, 4)]);
}

/// Two drivers say that a car is theirs: it is recorded, and what others see counts for the lower one.
#[test]
fn a_disputed_car_is_not_merged() {
    let records = [client("anna", 1, 1, 0, 3900, true), client("zoe", 1, 2, 0, 3900, true), client("bert", 1, 2, 0, 3900, true)];
    let mut bench = Bench::new();
    bench.feed(&records.concat()).commit();
    assert_eq!(bench.partition.take_counts().disputed, 1);
    for name in ["zoe", "bert"] {
        assert!(!bench.kept.laps[&(entry(name), 3)].tags.has(Tags::FIELD), "{name} keeps what their own client told");
    }
    let facts: Vec<_> = bench.kept.steps.iter().flat_map(|s| &s.facts).filter(|f| f.entry == entry("u:12")).collect();
    assert!(!facts.is_empty(), "and what others saw is kept");
}

/// As many cars as metadata can name: what is kept of them is bounded, in number and in size.
#[test]
fn what_a_client_sees_is_bounded() {
    let grid: Vec<(u16, u64, u8)> = (0..128).map(|slot| (slot, u64::MAX - u64::from(slot), 0)).collect();
    let mut anna = Client::new(1, "anna", 1);
    anna.grid(0, &grid);
    let seen: Vec<(u16, i64)> = (0..128).map(|slot| (slot, i64::from(slot) * 9)).collect();
    for tick in (0..6000).step_by(60) {
        anna.drive(tick, tick + 60);
        anna.see(tick, tick + 60, &seen);
    }
    let mut bench = Bench::new();
    let mut slots = std::collections::BTreeSet::new();
    for records in anna.records.chunks(50) {
        bench.feed(records).commit();
        for stream in &bench.kept.steps.last().unwrap().streams {
            let longest = stream.field.iter().map(|f| f.race.len()).max().unwrap_or(0);
            assert!(stream.race.len() <= STREAM_RACE_MAX_BYTES / 2 && longest <= STREAM_RACE_MAX_BYTES, "{} and {longest} bytes", stream.race.len());
            slots.extend(stream.field.iter().filter(|f| f.now.is_some()).map(|f| f.slot));
        }
    }
    assert_eq!(slots, (1..=64).collect(), "the first 64, without its own");
    assert!(bench.kept.laps.contains_key(&(entry(&format!("u:{}", u64::MAX - 64)), 2)), "with all entries its metadata fits");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    #[test]
    fn the_order_between_observers_changes_nothing(seed: u64, commit_every in 1usize..400) {
        let clients = clients(0);
        let (straight, shuffled) = (run_of(&clients.concat(), 1000), run_of(&merge(&clients, seed), commit_every));
        prop_assert_eq!(&straight.laps, &shuffled.laps);
        prop_assert_eq!(&straight.digest, &shuffled.digest);
        prop_assert_eq!(straight, shuffled);
    }

    /// The same frames by two edges, each client's sequence twice; of some the second time behind the close: the same results.
    #[test]
    fn sent_twice_and_late_is_the_same(seed: u64, close_at in any::<prop::sample::Index>()) {
        let (clients, again) = (clients(0), clients(10));
        let mut records = merge(&[clients.clone(), again].concat(), seed);
        records.insert(close_at.index(records.len()), closing(1, Closing::SILENCE));
        records.extend([closing(1, Closing::REOPENED), closing(1, Closing::SILENCE)]);
        let straight = run_of(&[clients.concat(), vec![closing(1, Closing::SILENCE)]].concat(), 1000);
        prop_assert_eq!(straight.digest, run_of(&records, 300).digest);
    }

    /// E11: processed on from any checkpoint, it is the same, field cars and whose they are included.
    #[test]
    fn from_a_checkpoint_the_same(seed: u64, at in any::<prop::sample::Index>()) {
        let records = merge(&clients(0), seed);
        let at = at.index(records.len());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let state = |stops: &[usize]| runtime.block_on(async {
            let (results, log, mut next) = (MemoryResults::new(), LogId("log".into()), 0);
            for stop in stops.iter().copied().chain([records.len()]) {
                let lease = results.acquire(&log, 0).await.unwrap();
                let mut partition = Partition::restore(log.clone(), 0, 1, results.load(&lease).await.unwrap()).unwrap();
                for record in &records[next..stop] {
                    partition.process(next as u64, record);
                    next += 1;
                }
                if let Some(step) = partition.step() {
                    results.commit(&lease, &step).await.unwrap();
                }
            }
            let lease = results.acquire(&log, 0).await.unwrap();
            results.load(&lease).await.unwrap()
        });
        let (whole, stopped): (PartitionState, _) = (state(&[]), state(&[at]));
        prop_assert!(whole == stopped, "stopped behind record {at}");
    }
}

/// Two who drive, one restarted in mid-race, one who only watches, from different moments on.
fn clients(runs: u8) -> Vec<Vec<Bytes>> {
    let anna = [client("anna", runs + 1, 1, 0, 2500, true), client("anna", runs + 2, 1, 2520, 5100, true)].concat();
    vec![anna, client("bert", runs + 1, 2, 600, 4000, true), client("carl", runs + 1, 3, 1300, 5100, false)]
}
