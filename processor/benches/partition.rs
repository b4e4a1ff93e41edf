//! What the pure part of the processor costs: the race logic alone, frames of cars' own clients and frames of other cars with admission
//! and race logic, and a step of many streams.
//!
//! `cargo bench --workspace --bench partition`

#![allow(missing_docs)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::hint::black_box;
use std::time::Duration;

use boxbox_race::stream::{CarState, Context, Output};
use boxbox_schemas::frame::CarFrame;
use boxbox_schemas::record::{Content, Kind, Record};
use boxbox_sources::synth::{Action, Race, Spec};
use boxbox_store::Step;
use boxbox_testkit::frames::{prelude, sealed, source};
use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use support::{Bench, Client, driver, run, session};

/// Cars in one session: a full grid of 60 Hz clients is 50,000 frames/s.
const CARS: u8 = 100;
/// Frames of one record.
const PER_RECORD: usize = 100;
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

/// A car of the synthetic race at 60 Hz, with everything that its simulator shows: frames, and the records of them.
fn one_car() -> (CarState, u64, Vec<Record>) {
    let race = Race::new(&Spec::new(1));
    let frames: Vec<CarFrame> = race.script(0, 60).filter_map(|a| if let Action::Frame(f) = a { Some(f) } else { None }).collect();
    let records = frames.chunks(PER_RECORD).map(|of| Record::parse(sealed(prelude(Kind::CAR, run(1), source(1), 0), of)).expect("a sealed record"));
    let mut car = CarState::new();
    car.on_meta(&context(), &race.meta(0), &mut Output::default());
    (car, frames.len() as u64, records.collect())
}

fn context() -> Context {
    Context { session: session(1), driver: driver("driver"), run: run(1), slot: 0 }
}

/// The race logic on all frames. Checked access to each frame is part of the work (F3).
fn drive(mut car: CarState, records: &[Record]) -> CarState {
    let (context, mut out, mut seq) = (context(), Output::default(), 1);
    for record in records {
        let Ok(Content::Car(frames)) = record.content() else { unreachable!("records of car frames") };
        for frame in frames.iter().flatten() {
            car.on_frame(&context, seq, frame, &mut out);
            seq += 1;
        }
    }
    black_box(out);
    car
}

fn race_logic(c: &mut Criterion) {
    let (car, frames, records) = one_car();
    let mut group = c.benchmark_group("race logic alone");
    group.sample_size(20).measurement_time(Duration::from_secs(5)).throughput(Throughput::Elements(frames));
    group.bench_function("frames", |b| b.iter_batched(|| car.clone(), |car| drive(car, &records), BatchSize::LargeInput));
    group.finish();
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

criterion_group!(benches, race_logic, process, step);
criterion_main!(benches);
