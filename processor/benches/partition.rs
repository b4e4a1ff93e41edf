//! What the pure part of the processor costs, race logic and all: frames of cars' own clients, frames of other cars, and a
//! step of many streams.
//!
//! `cargo bench -p boxbox-processor`

#![allow(missing_docs)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::hint::black_box;
use std::time::Duration;

use boxbox_store::Step;
use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use support::{Bench, Client};

/// Cars in one session: a full grid of 60 Hz clients is 50,000 frames/s.
const CARS: u8 = 100;
/// Cars that one client sees, and ticks for which it does: six laps.
const SEEN: u16 = 60;
const SEEN_UNTIL_TICK: u32 = 7_200;

/// Everybody drives two laps, records in turns as they would arrive.
fn drives() -> Vec<Bytes> {
    let streams: Vec<Vec<Bytes>> = (0..CARS).map(|n| Client::laps(1, &format!("driver-{n}"), 1, 300 + u32::from(n), 2)).collect();
    (0..streams[0].len()).flat_map(|i| streams.iter().filter_map(move |s| s.get(i)).cloned()).collect()
}

fn car_frames(records: &[Bytes]) -> u64 {
    let mut bench = Bench::new();
    bench.feed(records);
    bench.partition.take_counts().car_frames
}

/// One client sees a grid go round: how many frames that makes, and the records.
fn seen() -> (u64, Vec<Bytes>) {
    let mut client = Client::new(1, "driver", 1);
    let slots = 2..2 + SEEN;
    client.grid(1, &slots.clone().map(|slot| (slot, u64::from(slot), 0)).collect::<Vec<_>>());
    client.see(300, SEEN_UNTIL_TICK, &slots.map(|slot| (slot, -i64::from(slot))).collect::<Vec<_>>());
    // Metadata takes one number, each frame one.
    (client.next_seq() - 1, client.records)
}

fn process(c: &mut Criterion) {
    let mut group = c.benchmark_group("partition");
    group.sample_size(20).measurement_time(Duration::from_secs(5));
    let (own, (others, seen)) = (drives(), seen());
    for (name, frames, records) in [("frames", car_frames(&own), own), ("frames of other cars", others, seen)] {
        group.throughput(Throughput::Elements(frames));
        group.bench_function(name, |b| {
            b.iter_batched_ref(Bench::new, |bench| black_box(bench.feed(&records)).partition.has_news(), BatchSize::LargeInput);
        });
    }
    group.finish();
}

fn step(c: &mut Criterion) {
    let records = drives();
    let (most, last) = records.split_at(records.len() - 10 * usize::from(CARS));
    let stepped = || {
        let mut bench = Bench::new();
        bench.feed(most).commit();
        bench.feed(last);
        bench
    };
    let step: Step = stepped().partition.step().expect("records were processed");
    let bytes: usize = step.streams.iter().map(|s| s.race.len()).sum();
    eprintln!("a step of {} streams holds {} bytes of race state each", step.streams.len(), bytes / step.streams.len());
    let mut group = c.benchmark_group("partition");
    group.throughput(Throughput::Elements(step.streams.len() as u64)).sample_size(20).measurement_time(Duration::from_secs(3));
    group.bench_function("step, streams", |b| b.iter_batched_ref(stepped, |bench| black_box(bench.partition.step()), BatchSize::LargeInput));
    group.finish();
}

criterion_group!(benches, process, step);
criterion_main!(benches);
