//! What the pure part of the processor costs: frames through admission and race logic, and a step of many streams.
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

/// Everybody drives two laps, records in turns as they would arrive.
fn drives() -> Vec<Bytes> {
    let streams: Vec<Vec<Bytes>> = (0..CARS).map(|n| Client::laps(1, &format!("driver-{n}"), 1, 300 + u32::from(n), 2)).collect();
    (0..streams[0].len()).flat_map(|i| streams.iter().filter_map(move |s| s.get(i)).cloned()).collect()
}

fn frames(records: &[Bytes]) -> u64 {
    let mut bench = Bench::new();
    bench.feed(records);
    bench.partition.take_counts().car_frames
}

fn process(c: &mut Criterion) {
    let records = drives();
    let mut group = c.benchmark_group("partition");
    group.throughput(Throughput::Elements(frames(&records))).sample_size(20).measurement_time(Duration::from_secs(5));
    group.bench_function("frames", |b| {
        b.iter_batched_ref(Bench::new, |bench| black_box(bench.feed(&records)).partition.has_news(), BatchSize::LargeInput);
    });
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
