//! Prints what an .ibt recording holds: `cargo run --release -p boxbox-client --example ibt_info -- FILE.ibt`

// A command line tool's output is its purpose.
#![allow(clippy::print_stdout)]

use std::collections::BTreeMap;

use boxbox_schemas::frame::Presence;
use boxbox_sources::iracing::{IbtError, IbtFile, Item, ReplayOptions};

fn main() -> std::process::ExitCode {
    let Some(path) = std::env::args_os().nth(1) else {
        eprintln!("usage: ibt_info FILE.ibt or FILE.ibt.gz");
        return 2.into();
    };
    match IbtFile::open(path).and_then(|file| print(&file)) {
        Ok(()) => 0.into(),
        Err(e) => {
            eprintln!("{e}");
            1.into()
        }
    }
}

fn print(file: &IbtFile) -> Result<(), IbtError> {
    let header = file.header();
    println!(
        "version {}, {} ticks/s, {} variables, {} bytes a record",
        header.version,
        header.tick_rate(),
        file.variables().len(),
        header.record_len
    );
    println!("lap of {:.1} m, own slot {}, lobby {:x}", file.track_length_m(), file.slot(), file.lobby_id());
    let mut replay = file.replay(ReplayOptions::default())?;
    let mut fields: BTreeMap<&str, u64> = BTreeMap::new();
    let mut last = None;
    while let Some(item) = replay.next().transpose()? {
        match item {
            Item::Session { source, meta, .. } => {
                println!(
                    "session {}: {} at {} {}, {} entries, sectors at {:?}",
                    source.session_num,
                    meta.session_type,
                    meta.track_name,
                    meta.track_config,
                    meta.entries.len(),
                    meta.sector_starts
                );
            }
            Item::Car(frame) => {
                let present = Presence::NAMES.iter().filter(|(bit, _)| frame.has(*bit));
                present.for_each(|(_, name)| *fields.entry(name).or_default() += 1);
                if last.is_none() {
                    println!("first frame: tick {}, {:.4} s", frame.tick, frame.sim_time_us as f64 / 1e6);
                }
                if frame.has(Presence::LAST_LAP_TIME) && last != Some(frame.last_lap_time_us) {
                    println!(
                        "  {:.4} s: lap {} of {:.4} s by the simulator",
                        frame.sim_time_us as f64 / 1e6,
                        frame.laps_completed,
                        frame.last_lap_time_us as f64 / 1e6
                    );
                }
                last = Some(frame.last_lap_time_us);
            }
            Item::Rewind { tick, sim_time_us } => println!("  rewind to tick {tick}, {:.4} s", sim_time_us as f64 / 1e6),
            Item::Slow(_) => {}
        }
    }
    let stats = replay.stats();
    println!(
        "{} records: {} frames, {} slow frames, {} sessions, {} rewinds, {} ticks missing",
        stats.records, stats.frames, stats.slow_frames, stats.sessions, stats.rewinds, stats.missing_ticks
    );
    println!(
        "dropped: {} duplicates, {} out of line, {} without a possible clock, {} zero",
        stats.duplicates, stats.out_of_line, stats.bad_clock, stats.zeroed
    );
    for (_, name) in Presence::NAMES {
        match fields.get(name).copied().unwrap_or(0) {
            all if all == stats.frames => {}
            0 => println!("  {} is in no frame", name.to_lowercase()),
            some => println!("  {} is in {some} frames", name.to_lowercase()),
        }
    }
    for (variable, count) in &stats.absent {
        println!("  {variable}: {} not finite, {} out of range", count.not_finite, count.out_of_range);
    }
    for warning in file.warnings().iter().chain(&stats.warnings) {
        println!("warning: {warning}");
    }
    Ok(())
}
