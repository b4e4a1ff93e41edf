//! Race logic alone on one core: an own car's frames, an observed car's frames, and what it costs to store a state.
//!
//! `cargo bench -p boxbox-race --bench race`

#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::hint::black_box;
use std::time::Duration;

use boxbox_race::stream::{CarState, Context, OtherCar, Output};
use boxbox_schemas::frame::CarFrame;
use boxbox_schemas::ids::{RunId, Sim, Source};
use boxbox_schemas::record::{Content, Kind, Prelude, Record, archive, seal};
use common::synth::{PitTrip, pitting, practice, seen};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

/// Frames of one record.
const PER_RECORD: usize = 100;

/// Five minutes with a pit stop: laps, mini-loops, sectors, fuel, flags, a visit.
fn drive(hz: u32) -> Vec<CarFrame> {
    pitting(&PitTrip { enter_s: 70.0, stands_s: Some((75.0, 85.0)), exit_s: 95.0, lane_mps: 20.0 }, 300.0, hz)
}

fn records(kind: Kind, frames: &[CarFrame]) -> Vec<Record> {
    let seal_all = |chunk: &[CarFrame]| {
        let payload: Vec<u8> = match kind {
            Kind::CAR => chunk.iter().flat_map(|f| archive(f).to_vec()).collect(),
            _ => chunk.iter().flat_map(|f| archive(&seen(f)).to_vec()).collect(),
        };
        let source = Source { sim: Sim::SYNTHETIC, id: 1, session_num: 0 };
        let prelude = Prelude { kind, run: RunId([1; 16]), source, slot: 3, meta_rev: 1, first_seq: 0, count: chunk.len() as u16 };
        Record::parse(seal(&prelude, &payload).unwrap()).unwrap()
    };
    frames.chunks(PER_RECORD).map(seal_all).collect()
}

/// Checked access to each frame is part of the work (F3).
fn own(ctx: &Context, records: &[Record]) -> CarState {
    let (mut race, mut out, mut seq) = (CarState::new(), Output::default(), 0);
    race.on_meta(ctx, &practice(), &mut out);
    for record in records {
        let Content::Car(frames) = record.content().unwrap() else { unreachable!() };
        for frame in frames.iter() {
            race.on_frame(ctx, seq, frame.unwrap(), &mut out);
            seq += 1;
        }
    }
    black_box(out);
    race
}

fn field(ctx: &Context, records: &[Record]) -> OtherCar {
    let (mut race, mut out, mut seq) = (OtherCar::new(), Output::default(), 0);
    race.on_meta(ctx, &practice(), &mut out);
    for record in records {
        let Content::Field(frames) = record.content().unwrap() else { unreachable!() };
        for frame in frames.iter() {
            race.on_frame(ctx, seq, frame.unwrap(), &mut out);
            seq += 1;
        }
    }
    black_box(out);
    race
}

fn race(c: &mut Criterion) {
    let ctx = common::context(1);
    let (at_60, at_4) = (drive(60), drive(4));
    let (cars, fields) = (records(Kind::CAR, &at_60), records(Kind::FIELD, &at_4));
    let mut group = c.benchmark_group("race");
    group.sample_size(20).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    group.throughput(Throughput::Elements(at_60.len() as u64));
    group.bench_function("own frames", |b| b.iter_batched(|| (), |()| own(&ctx, &cars), BatchSize::SmallInput));
    group.throughput(Throughput::Elements(at_4.len() as u64));
    group.bench_function("field frames", |b| b.iter_batched(|| (), |()| field(&ctx, &fields), BatchSize::SmallInput));
    let (mut own, mut field, mut out) = (own(&ctx, &cars), field(&ctx, &fields), Output::default());
    let (own_bytes, field_bytes) = (own.encode(&mut out).unwrap().len(), field.encode(&mut out).unwrap().len());
    eprintln!("bytes of state per car: own {own_bytes}, observed {field_bytes}");
    group.throughput(Throughput::Elements(1));
    group.bench_function("encode own state", |b| b.iter(|| black_box(&mut own).encode(&mut out).unwrap()));
    group.bench_function("encode field state", |b| b.iter(|| black_box(&mut field).encode(&mut out).unwrap()));
    group.finish();
}

criterion_group!(benches, race);
criterion_main!(benches);
