//! A real recording, not made by this project: what others measured in it must come out.

use std::io::Read;
use std::path::PathBuf;

use boxbox_schemas::frame::{CarFrame, Flags, Presence, Surface, TrackLoc};
use boxbox_sources::iracing::{IbtFile, ReplayOptions};
use boxbox_testkit::recordings::PHILLIP_ISLAND;

use crate::helpers::{cars, replay_file};

/// The real recording, if it is there.
pub(crate) fn recording(test: &str) -> Option<PathBuf> {
    boxbox_testkit::recording(test, PHILLIP_ISLAND)
}

pub(crate) fn unpacked(path: &PathBuf) -> Vec<u8> {
    let mut bytes = Vec::new();
    flate2::read::MultiGzDecoder::new(std::fs::File::open(path).unwrap()).read_to_end(&mut bytes).unwrap();
    bytes
}

/// Times at which the car crosses `marker`, µs, straight between two samples.
fn crossings(frames: &[CarFrame], marker: f64) -> Vec<f64> {
    let mut times = Vec::new();
    for w in frames.windows(2) {
        let (from, mut to) = (w[0].lap_pct, w[1].lap_pct);
        let mut marker = marker;
        if to - from < -0.5 {
            to += 1.0;
            if marker < 0.5 {
                marker += 1.0;
            }
        }
        if from < marker && marker <= to {
            let (t0, t1) = (w[0].sim_time_us as f64, w[1].sim_time_us as f64);
            times.push(t0 + (t1 - t0) * (marker - from) / (to - from));
        }
    }
    times
}

#[test]
fn phillip_island() {
    let Some(path) = recording("ibt::truth::phillip_island") else { return };
    let file = IbtFile::open(&path).unwrap();
    assert_eq!(file.warnings(), []);
    assert_eq!((file.header().declared_records, file.header().tick_rate(), file.variables().len()), (11_800, 60, 274));
    assert!((file.track_length_m() - 4_406.9).abs() < 0.01, "{}", file.track_length_m());

    let meta = file.meta(2);
    assert_eq!((meta.track_name.as_str(), meta.track_id, meta.track_config.as_str()), ("Phillip Island Circuit", 152, ""));
    assert_eq!((meta.session_type.as_str(), meta.time_limit_us, meta.laps_limit), ("race", 900_000_000, 0));
    assert_eq!((meta.start_kind, meta.team_racing, meta.incident_limit, meta.category.as_str()), (1, 0, 17, "formula"));
    assert_eq!((meta.pit_limit_mps, meta.fuel_kg_per_l, meta.fuel_max_l), (20.0, 0.75, 40.0));
    assert_eq!(meta.sector_starts, [0.0, 0.371_176, 0.628_746]);
    assert_eq!((meta.own_slot, meta.entries.len(), meta.entries[0].special), (7, 15, 1));
    assert_eq!(meta.own().unwrap().car_name, "FIA F4");
    assert_eq!([file.meta(0).session_type, file.meta(1).session_type], ["practice", "qualify"]);
    assert_eq!(file.source(2).id, 83_886_469);

    let (items, stats) = replay_file(&file, ReplayOptions::default());
    assert_eq!((stats.records, stats.frames, stats.sessions, stats.rewinds, stats.missing_ticks), (11_800, 11_800, 1, 0, 0));
    assert_eq!((stats.warnings.len(), stats.absent.len()), (0, 0), "{stats:?}");
    let frames = cars(&items);
    let everything_but = [
        // What this car's recording does not have, or has not yet.
        Presence::CAR_LEFT_RIGHT,
        Presence::IN_GARAGE,
        Presence::LAST_LAP_TIME,
    ];
    let all = Presence((1 << Presence::NAMES.len()) - 1);
    let always = everything_but.iter().fold(all, |p, bit| p.without(*bit));
    assert!(frames.iter().all(|f| f.presence.without(Presence::LAST_LAP_TIME) == always));
    assert!(frames.iter().all(|f| f.track_loc == TrackLoc::ON_TRACK && f.surface == Surface::ASPHALT));

    // The light.
    let go = frames.iter().find(|f| f.flags.has(Flags::START_GO)).unwrap();
    assert_eq!(go.sim_time_us, 82_100_000);
    // The counter, and the reports that come before it.
    let step = frames.windows(2).find(|w| w[0].incident_count != w[1].incident_count).unwrap();
    assert_eq!((step[0].incident_count, step[1].incident_count, step[1].sim_time_us), (0, 1, 111_400_000));
    let reports: Vec<_> =
        frames.iter().filter(|f| f.incident_reports > 0).map(|f| (f.sim_time_us / 1_000, f.incident_report, f.incident_penalty)).collect();
    assert_eq!(reports, [(110_450, 7, 1), (111_000, 8, 2), (219_350, 7, 2), (255_300, 7, 2)]);
    // The simulator's own lap times.
    let mut official: Vec<_> = frames.iter().filter(|f| f.has(Presence::LAST_LAP_TIME)).map(|f| f.last_lap_time_us).collect();
    official.dedup();
    assert_eq!(official, [99_583_099, 92_556_396]);

    // Lap 2 and its sectors by the straight line between samples.
    let line = crossings(&frames, 0.0);
    assert_eq!(line.len(), 3);
    let first_crossing_to_second = line[1..].windows(2).map(|w| (w[1] - w[0]) / 1e6).collect::<Vec<_>>();
    assert_eq!(first_crossing_to_second.iter().map(|s| format!("{s:.4}")).collect::<Vec<_>>(), ["92.5561"]);
    let within = |marker: f64| crossings(&frames, marker).into_iter().find(|t| (line[1]..line[2]).contains(t)).unwrap();
    let (second, third) = (within(0.371_176), within(0.628_746));
    let sectors = [second - line[1], third - second, line[2] - third].map(|us| format!("{:.4}", us / 1e6));
    assert_eq!(sectors, ["29.7866", "28.2428", "34.5267"]);
}

#[test]
fn at_ten_hertz_nothing_that_lasts_a_tick_is_lost() {
    let Some(path) = recording("ibt::truth::at_ten_hertz_nothing_that_lasts_a_tick_is_lost") else { return };
    let file = IbtFile::open(&path).unwrap();
    let (items, stats) = replay_file(&file, ReplayOptions { every: 6, ..ReplayOptions::default() });
    let frames = cars(&items);
    assert_eq!((stats.frames, stats.decimated), (frames.len() as u64, 11_800 - frames.len() as u64));
    // 11,799 ticks in steps of 6, and the last one.
    assert_eq!(frames.len(), 1 + 11_799 / 6 + 1);
    let reports: Vec<_> = frames.iter().filter(|f| f.incident_reports > 0).map(|f| (f.incident_reports, f.incident_report)).collect();
    assert_eq!(reports, [(1, 7), (1, 8), (1, 7), (1, 7)]);
    let go = frames.iter().find(|f| f.flags_seen.has(Flags::START_GO)).unwrap();
    assert!((82_100_000..82_200_000).contains(&go.sim_time_us));
}

/// Wherever a copy was cut, all whole records before the cut come out as they are.
#[test]
fn cut_anywhere_the_rest_is_whole() {
    let Some(path) = recording("ibt::truth::cut_anywhere_the_rest_is_whole") else { return };
    let whole = unpacked(&path);
    let frames = cars(&replay_file(&IbtFile::from_bytes(whole.clone()).unwrap(), ReplayOptions::default()).0);
    let data = 79_151;
    let mut rng = fastrand::Rng::with_seed(7);
    let cuts = (0..40).map(|_| rng.usize(data..whole.len())).chain([data, data + 1, data + 1_063, data + 1_064, whole.len() - 1]);
    for cut in cuts {
        let file = IbtFile::from_bytes(whole[..cut].to_vec()).unwrap();
        let (items, stats) = replay_file(&file, ReplayOptions::default());
        let records = (cut - data) / 1_064;
        assert!(cars(&items) == frames[..records], "cut at {cut}");
        assert!(!stats.warnings.is_empty(), "cut at {cut}");
    }
    // The same for the packed file: fewer records, but those that come are right, and the cut is named.
    let packed = std::fs::read(&path).unwrap();
    for _ in 0..15 {
        let cut = rng.usize(packed.len() / 20..packed.len());
        let file = IbtFile::from_bytes(packed[..cut].to_vec()).unwrap();
        let (items, stats) = replay_file(&file, ReplayOptions::default());
        let got = cars(&items);
        assert!(got.len() > 100 && got == frames[..got.len()], "cut at {cut}: {}", got.len());
        assert!(stats.warnings.iter().any(|w| w.to_string().contains("gzip is damaged or cut")), "{:?}", stats.warnings);
    }
}

/// Single flipped bits cost the records they are in at most: no session, no rewind, no other frame comes of them.
#[test]
fn flipped_bits_cost_their_own_records() {
    let Some(path) = recording("ibt::truth::flipped_bits_cost_their_own_records") else { return };
    let whole = unpacked(&path);
    let frames = cars(&replay_file(&IbtFile::from_bytes(whole.clone()).unwrap(), ReplayOptions::default()).0);
    let (data, record_len) = (79_151, 1_064);
    let mut rng = fastrand::Rng::with_seed(11);
    let mut dropped = 0;
    for _ in 0..12 {
        let mut bytes = whole.clone();
        // Well apart, not the first: what comes before the first is not known. Half of them in the clock.
        let hit: Vec<usize> = (1..200).map(|n| n * 59 - rng.usize(..50)).collect();
        for record in &hit {
            let at = data + record * record_len + if rng.bool() { rng.usize(..16) } else { rng.usize(..record_len) };
            bytes[at] ^= 1 << rng.u8(..8);
        }
        let file = IbtFile::from_bytes(bytes).unwrap();
        let (items, stats) = replay_file(&file, ReplayOptions::default());
        assert_eq!((stats.sessions, stats.rewinds, stats.duplicates), (1, 0, 0), "{stats:?}");
        dropped += stats.out_of_line + stats.bad_clock;
        let got = cars(&items);
        let mut untouched = frames.iter().enumerate().filter(|(n, _)| !hit.contains(n)).map(|(_, f)| f);
        let clean: std::collections::HashSet<u32> = untouched.clone().map(|f| f.tick).collect();
        // The pulse of a record that is lost is lost with it; nothing else changes.
        for f in got.iter().filter(|f| clean.contains(&f.tick)) {
            assert_eq!(Some(f), untouched.next());
        }
        assert_eq!(untouched.next(), None);
    }
    assert!(dropped > 300, "{dropped}");
}
