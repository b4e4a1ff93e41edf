//! How fast race logic is: frames per second on one core, and bytes of a stored state.
//!
//! `cargo run --release -p boxbox-processor --example race_speed`

// A program for a person to read.
#![allow(clippy::print_stdout)]

use std::time::Instant;

use boxbox_processor::race::{Context, StreamRace};
use boxbox_schemas::frame::{CarBits, CarFrame, Presence, TrackLoc};
use boxbox_schemas::ids::{DriverId, RunId, SessionId, Sim, Source};
use boxbox_schemas::meta::SessionMeta;
use boxbox_schemas::record::{Content, Kind, Prelude, Record, archive, seal};

/// Frames of one record, as a draining client fills it.
const PER_RECORD: u32 = 100;
/// Ten laps of a minute at 60 Hz.
const FRAMES: u32 = 36_000;
/// Times the drive is repeated, each by a new stream.
const ROUNDS: u32 = 100;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let records = (0..FRAMES / PER_RECORD).map(record).collect::<Result<Vec<_>, _>>()?;
    let ctx = Context { session: SessionId([1; 16]), driver: DriverId::new("driver-1")?, run: RunId([1; 16]), slot: 3 };
    let meta = SessionMeta {
        track_length_m: 3_000.0,
        sector_starts: vec![0.0, 0.26, 0.51, 0.66],
        session_type: "Practice".into(),
        ..SessionMeta::default()
    };
    let (mut facts, mut laps, mut state) = (Vec::new(), 0, StreamRace::new());
    let began = Instant::now();
    for _ in 0..ROUNDS {
        state = StreamRace::new();
        state.on_meta(&ctx, &meta, &mut facts);
        let mut seq = 1;
        for record in &records {
            // Checked access to each frame is part of the work (F3).
            let Content::Car(frames) = record.content()? else { continue };
            for frame in frames.iter() {
                state.on_frame(&ctx, seq, frame?, &mut facts);
                seq += 1;
            }
        }
        laps += facts.len();
        facts.clear();
    }
    let seconds = began.elapsed().as_secs_f64();
    let frames = f64::from(FRAMES * ROUNDS);
    println!("{:.2} M frames/s on one core, {:.0} ns a frame, {laps} lap facts", frames / seconds / 1e6, seconds / frames * 1e9);
    println!("stored state: {} bytes", rmp_serde::to_vec_named(&state)?.len());
    Ok(())
}

/// Record `n` of a car at 50 m/s.
fn record(n: u32) -> Result<Record, Box<dyn std::error::Error>> {
    let presence = [
        Presence::LAP_PCT,
        Presence::SPEED,
        Presence::LAP,
        Presence::INCIDENTS,
        Presence::TRACK_LOC,
        Presence::FLAGS,
        Presence::PIT_ROAD,
        Presence::LAST_LAP_TIME,
    ];
    let presence = presence.into_iter().fold(Presence(0), Presence::with);
    let mut payload = Vec::new();
    for tick in n * PER_RECORD..(n + 1) * PER_RECORD {
        let laps = 0.5 + f64::from(tick) / 3_600.0;
        let frame = CarFrame {
            tick,
            sim_time_us: i64::from(tick) * 50_000 / 3,
            presence,
            lap_pct: laps.fract(),
            speed_mps: 50.0,
            lap: laps as i16,
            track_loc: TrackLoc::ON_TRACK,
            bits: CarBits::ON_TRACK,
            ..CarFrame::default()
        };
        payload.extend_from_slice(&archive(&frame));
    }
    let source = Source { sim: Sim::SYNTHETIC, id: 1, session_num: 0 };
    let prelude = Prelude {
        kind: Kind::CAR,
        run: RunId([1; 16]),
        source,
        slot: 3,
        meta_rev: 1,
        first_seq: u64::from(n * PER_RECORD) + 1,
        count: PER_RECORD as u16,
    };
    Ok(Record::parse(seal(&prelude, &payload)?)?)
}
