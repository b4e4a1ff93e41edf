//! Damaged, cut, hostile and foreign files: a named error or a warning, never a panic, never memory without bound.

use boxbox_schemas::frame::CarFrame;
use boxbox_sources::iracing::{IbtError, IbtFile, Item, ReplayOptions, Warning};
use proptest::prelude::*;

use crate::helpers::{cars, replay_file};
use crate::writer::{HEADER_BYTES, Ibt, Part, TEXT, V, gz};

/// A recording with every kind of variable that frames are made of; 60 records over a session change and a rewind.
fn sample() -> Ibt {
    let columns = [
        ("SessionTime", "s"),
        ("SessionTick", ""),
        ("SessionNum", ""),
        ("SessionState", "irsdk_SessionState"),
        ("SessionFlags", "irsdk_Flags"),
        ("IsOnTrack", ""),
        ("Lap", ""),
        ("LapCompleted", ""),
        ("LapDistPct", "%"),
        ("LapDist", "m"),
        ("Speed", "m/s"),
        ("VelocityX", "m/s"),
        ("VelocityY", "m/s"),
        ("VelocityZ", "m/s"),
        ("Lat", "deg"),
        ("Lon", "deg"),
        ("Throttle", "%"),
        ("Clutch", "%"),
        ("Gear", ""),
        ("RPM", "revs/min"),
        ("FuelLevel", "l"),
        ("LapLastLapTime", "s"),
        ("PlayerIncidents", "irsdk_IncidentFlags"),
        ("PlayerCarMyIncidentCount", ""),
        ("PlayerTrackSurface", "irsdk_TrkLoc"),
        ("PlayerTrackSurfaceMaterial", "irsdk_TrkSurf"),
        ("PlayerCarPosition", ""),
        ("PlayerCarIdx", ""),
        ("OnPitRoad", ""),
        ("PlayerCarTowTime", "s"),
        ("WaterTemp", "C"),
        ("TireSetsUsed", ""),
        ("LapBestLapTime", "s"),
    ];
    let rows: Vec<Vec<V>> = (0..60)
        .map(|i| {
            let tick = if i < 40 { 1_000 + i } else { 985 + i };
            let pct = 0.3 + i as f32 / 1_000.0;
            vec![
                V::F64(f64::from(tick) / 60.0),
                V::Int(tick),
                V::Int(i32::from(i >= 20) * 2),
                V::Int(4),
                V::Bits(0x1000_0004),
                V::Bool(true),
                V::Int(3),
                V::Int(2),
                V::F32(pct),
                V::F32(pct * 3_845.2),
                V::F32(61.0),
                V::F32(60.9),
                V::F32(0.4),
                V::F32(0.1),
                V::F64(47.2),
                V::F64(14.7),
                V::F32(1.0),
                V::F32(1.0),
                V::Int(4),
                V::F32(7_000.0),
                V::F32(30.0),
                V::F32(92.5),
                V::Int(if i == 30 { 263 } else { 0 }),
                V::Int(1),
                V::Int(3),
                V::Int(1),
                V::Int(5),
                V::Int(12),
                V::Bool(false),
                V::F32(0.0),
                V::F32(85.0),
                V::Int(1),
                V::F32(91.0),
            ]
        })
        .collect();
    Ibt::table(&columns, &rows).with_text(TEXT)
}

/// Open and replay whatever comes; what comes out is acceptable to an edge and bounded by what went in.
fn survive(bytes: Vec<u8>, every: u32) -> Result<Vec<Item>, IbtError> {
    let len = bytes.len();
    let file = IbtFile::from_bytes(bytes)?;
    let (items, stats) = replay_file(&file, ReplayOptions { every, ..ReplayOptions::default() });
    assert!(stats.records as usize <= len, "{} records of {len} bytes", stats.records);
    assert!(file.warnings().iter().chain(&stats.warnings).all(|w| !w.to_string().is_empty()));
    Ok(items)
}

#[test]
fn twenty_thousand_mutations() {
    let whole = sample().bytes();
    let mut rng = fastrand::Rng::with_seed(20_000);
    let (mut errors, mut replays, mut frames) = (0, 0, 0);
    for round in 0..24_000 {
        let mut bytes = whole.clone();
        // Mostly where it hurts: the header, then the variables' headers, then anywhere.
        let reach = match round % 3 {
            0 => HEADER_BYTES,
            1 => HEADER_BYTES + 33 * 144,
            _ => bytes.len(),
        };
        for _ in 0..rng.usize(1..6) {
            let at = rng.usize(..reach);
            match rng.u8(..4) {
                0 => bytes[at] ^= 1 << rng.u8(..8),
                1 => bytes[at] = rng.u8(..),
                2 => {
                    let odd = [i32::MIN, -1, 0, 1, 143, 144, 1 << 16, i32::MAX][rng.usize(..8)];
                    let at = (at & !3).min(bytes.len() - 4);
                    bytes[at..at + 4].copy_from_slice(&odd.to_le_bytes());
                }
                _ => {
                    let end = (at + rng.usize(..64)).min(bytes.len());
                    rng.fill(&mut bytes[at..end]);
                }
            }
        }
        if rng.u8(..8) == 0 {
            bytes.truncate(rng.usize(..bytes.len()));
        }
        match survive(bytes, rng.u32(..4)) {
            Ok(items) => {
                replays += 1;
                frames += cars(&items).len();
            }
            Err(e) => {
                errors += 1;
                assert!(!e.is_retryable() && e.to_string().len() > 20, "{e}");
            }
        }
    }
    // Both happen, or the mutations reach nothing.
    assert!(errors > 2_000 && replays > 5_000 && frames > 100_000, "{errors} errors, {replays} replays, {frames} frames");
}

#[test]
fn mutations_inside_a_gzip() {
    let whole = sample().gz();
    let mut rng = fastrand::Rng::with_seed(31);
    for _ in 0..2_000 {
        let mut bytes = whole.clone();
        for _ in 0..rng.usize(1..4) {
            let at = rng.usize(..bytes.len());
            bytes[at] ^= 1 << rng.u8(..8);
        }
        bytes.truncate(rng.usize(bytes.len() / 2..=bytes.len()));
        let _ = survive(bytes, 1);
    }
}

#[test]
fn cut_at_every_byte() {
    let written = sample();
    let whole = written.bytes();
    let data = whole.len() - written.records.len() * written.record_len;
    let all = cars(&survive(whole.clone(), 1).unwrap());
    for cut in 0..whole.len() {
        match survive(whole[..cut].to_vec(), 1) {
            Err(IbtError::NotIbt { .. }) => assert!(cut < 4, "{cut}"),
            Err(IbtError::Cut { needed, have, .. }) => assert!(cut < data && needed > have && have <= cut as u64, "{cut} {needed} {have}"),
            Err(e) => panic!("cut at {cut}: {e}"),
            Ok(items) => {
                assert!(cut >= data, "{cut}");
                assert!(cars(&items) == all[..(cut - data) / written.record_len], "{cut}");
            }
        }
    }
}

#[test]
fn a_cut_says_where_and_how_much_is_left() {
    let written = sample();
    let whole = written.bytes();
    let data = (whole.len() - 60 * written.record_len) as u64;
    let file = IbtFile::from_bytes(whole[..whole.len() - 1].to_vec()).unwrap();
    let (_, stats) = replay_file(&file, ReplayOptions::default());
    let record_len = written.record_len as u64;
    let at = data + 59 * record_len;
    assert_eq!(stats.warnings, [Warning::CutRecord { at, records: 59, left_over: record_len - 1 }, Warning::RecordCount { declared: 60, found: 59 }]);
    assert_eq!(
        stats.warnings[0].to_string(),
        format!("cut at byte {at}: 59 whole records read, the last {} bytes are part of a record", record_len - 1)
    );
}

#[test]
fn a_count_the_simulator_never_wrote_does_not_matter() {
    let all = cars(&survive(sample().bytes(), 1).unwrap());
    for declared in [0, -1, 1, 59, 61, i32::MAX] {
        let file = IbtFile::from_bytes(Ibt { declared_records: Some(declared), ..sample() }.bytes()).unwrap();
        let (items, stats) = replay_file(&file, ReplayOptions::default());
        assert!(cars(&items) == all);
        assert_eq!(stats.warnings, [Warning::RecordCount { declared: declared.into(), found: 60 }]);
    }
}

#[test]
fn what_is_no_ibt_file_is_a_plain_error() {
    let message = |bytes: &[u8]| match IbtFile::from_bytes(bytes.to_vec()) {
        Err(e) => e.to_string(),
        Ok(_) => panic!("taken for an .ibt file: {bytes:?}"),
    };
    assert_eq!(message(b""), "this is no .ibt file: it is empty");
    assert_eq!(message(b"ibt"), "this is no .ibt file: it has only 3 bytes");
    assert!(message(b"SessionTime,Lap,LapDistPct\n1,2,3\n").starts_with("this is no .ibt file: it begins with [53, 65, 73, 73]"));
    assert!(message(&[0x1f, 0x8b, 8, 0, 1, 2, 3]).starts_with("this is no .ibt file: it is a gzip that cannot be unpacked"));
    assert!(message(&gz(b"PNG and so on")).starts_with("this is no .ibt file"));
    assert!(message(&[2, 0, 0, 0, 1, 0, 0, 0]).contains("its header should end at byte 144, but only 8 bytes"));
    let missing = IbtFile::open("/no/such/file.ibt").err().unwrap();
    assert!(matches!(missing, IbtError::Io { .. }) && missing.to_string().contains("/no/such/file.ibt"));
    assert!(matches!(IbtFile::open(std::env::temp_dir()), Err(IbtError::Io { .. })), "a folder is no file");
}

#[test]
fn each_number_of_the_header_is_checked() {
    let whole = sample().bytes();
    let with = |at: usize, value: i32| {
        let mut bytes = whole.clone();
        bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        IbtFile::from_bytes(bytes)
    };
    let odd = [i32::MIN, -1, 0, i32::MAX];
    for (field, at) in [("numVars", 24), ("varHeaderOffset", 28), ("bufLen", 36), ("varBuf[0].bufOffset", 52)] {
        for value in odd {
            match with(at, value) {
                Err(IbtError::Header { field: named, value: said, .. }) => assert_eq!((named, said), (field, value.into())),
                // An offset that is possible but lies beyond the end.
                Err(IbtError::Cut { .. }) => assert!(value == i32::MAX && at != 24 && at != 36, "{field} {value}"),
                Err(e) => panic!("{field} {value}: {e}"),
                Ok(_) => panic!("{field} {value}: taken"),
            }
        }
    }
    // The records cannot begin among the variables' headers.
    assert!(matches!(with(52, 144 + 50), Err(IbtError::Header { field: "varBuf[0].bufOffset", .. })));
    // More variables than there are: what follows is not taken for one.
    assert!(with(24, 4_096).is_err());
    // What a replay can do without is only warned of.
    for (at, values) in [(8, odd), (16, odd), (20, odd), (32, odd), (136, odd)] {
        for value in values {
            let file = with(at, value).unwrap_or_else(|e| panic!("{at} {value}: {e}"));
            let (items, _) = replay_file(&file, ReplayOptions::default());
            assert_eq!(cars(&items).len(), 60, "{at} {value}");
            let named = file.warnings().iter().any(|w| match at {
                8 => matches!(w, Warning::TickRate { used: 60, .. }),
                _ => matches!(w, Warning::NoSessionText { .. }),
            });
            assert!(named || at == 32 || at == 136 || (at, value) == (16, i32::MAX), "{at} {value}: {:?}", file.warnings());
        }
    }
}

#[test]
fn a_variable_that_does_not_fit_is_left_out_alone() {
    let all = cars(&survive(sample().bytes(), 1).unwrap());
    let speed = 10;
    let record_len = sample().record_len as i32;
    for (kind, offset, count) in
        [(4, record_len - 3, 1), (4, -1, 1), (4, i32::MAX, 1), (4, 0, 0), (4, 0, -5), (4, 0, i32::MAX), (4, 16, i32::MAX / 4), (6, 0, 1), (-1, 0, 1)]
    {
        let mut damaged = sample();
        let var = &mut damaged.vars[speed];
        (var.kind, var.offset, var.count) = (kind, offset, count);
        let file = IbtFile::from_bytes(damaged.bytes()).unwrap();
        assert!(file.warnings().iter().any(|w| matches!(w, Warning::Variable { name, .. } if name == "Speed")), "{:?}", file.warnings());
        let without: Vec<_> =
            all.iter().map(|f| CarFrame { speed_mps: 0.0, presence: f.presence.without(boxbox_schemas::frame::Presence::SPEED), ..*f }).collect();
        assert_eq!(cars(&replay_file(&file, ReplayOptions::default()).0), without);
    }
    // Two of a name: the first counts.
    let mut twice = sample();
    twice.vars[speed + 1].name = "Speed".into();
    let file = IbtFile::from_bytes(twice.bytes()).unwrap();
    assert!(file.warnings().iter().any(|w| w.to_string() == "variable Speed: another one has that name; it is left out"));
    assert_eq!(cars(&replay_file(&file, ReplayOptions::default()).0)[0].speed_mps, 61.0);
}

#[test]
fn a_damaged_end_of_a_gzip_costs_only_the_end() {
    let written = sample();
    let all = cars(&survive(written.bytes(), 1).unwrap());
    let mut bytes = written.gz();
    let last = bytes.len() - 5;
    // The checksum: every record has been read by then.
    bytes[last] ^= 0x40;
    let file = IbtFile::from_bytes(bytes.clone()).unwrap();
    let (items, stats) = replay_file(&file, ReplayOptions::default());
    assert!(cars(&items) == all);
    assert!(matches!(stats.warnings[..], [Warning::CutGzip { records: 60, .. }]), "{:?}", stats.warnings);
}

#[test]
fn the_session_text_may_be_anything() {
    let all = cars(&survive(sample().bytes(), 1).unwrap());
    for text in [
        "",
        "\0\0\0",
        "---\n...\n",
        "---\nWeekendInfo: 5\nDriverInfo:\n- - - -\n",
        "rubbish WeekendInfo: : :\n\t\t- x: : y",
        "WeekendInfo:\n TrackLength: inf km\n SubSessionID: -9\nSplitTimeInfo:\n Sectors:\n - SectorStartPct: nan\n - SectorStartPct: 7\n - SectorStartPct: 0.5\n",
    ] {
        let file = IbtFile::from_bytes(sample().with_text(text).bytes()).unwrap();
        let (items, _) = replay_file(&file, ReplayOptions::default());
        assert!(cars(&items) == all, "{text:?}");
        assert!((file.track_length_m() - 3_845.2).abs() < 0.01);
        assert_ne!(file.lobby_id(), 0);
    }
    // Deeper and longer than anything real.
    let deep = format!("---\n{}", (0..5_000).map(|i| format!("{}k:\n", " ".repeat(i))).collect::<String>());
    survive(sample().with_text(deep).bytes(), 1).unwrap();
    let dashes = format!("---\n{}\n", "- ".repeat(100_000));
    survive(sample().with_text(dashes).bytes(), 1).unwrap();
}

#[test]
fn more_and_longer_names_than_fit_into_a_record() {
    let mut text = String::from("---\nDriverInfo:\n DriverCarIdx: 100\n Drivers:\n");
    for slot in 0..200 {
        let name = "Ünïcödé ".repeat(40);
        text += &format!(
            " - CarIdx: {slot}\n   UserName: {name}\n   TeamName: {name}\n   CarScreenName: {name}\n   CarClassShortName: {name}\n   CarNumber: \"{slot}\"\n"
        );
    }
    let file = IbtFile::from_bytes(sample().with_text(text).bytes()).unwrap();
    let (items, _) = replay_file(&file, ReplayOptions::default());
    let Item::Session { meta, .. } = &items[0] else { panic!("{:?}", items[0]) };
    assert_eq!(meta.entries.len(), 128);
    assert_eq!(meta.own().unwrap().number, "100");
    assert!(meta.own().unwrap().driver_name.starts_with("Ünï"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Records of random bytes: every frame that comes out is acceptable, every record is accounted for.
    #[test]
    fn random_records(seed: u64, records in 1..80_usize, every in 0..5_u32) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut written = sample();
        let clock = [0..8, 8..12, 12..16];
        written.records = (0..records).map(|n| {
            let mut record = vec![0; written.record_len];
            rng.fill(&mut record);
            // Mostly a sound clock, or nothing would ever come out.
            if rng.u8(..8) > 0 {
                record[clock[0].clone()].copy_from_slice(&(n as f64 / 60.0).to_le_bytes());
                record[clock[1].clone()].copy_from_slice(&(n as i32).to_le_bytes());
                record[clock[2].clone()].copy_from_slice(&rng.i32(..3).to_le_bytes());
            }
            record
        }).collect();
        survive(written.bytes(), every).unwrap();
    }

    #[test]
    fn random_bytes_behind_a_version(mut bytes in prop::collection::vec(any::<u8>(), 4..2_000)) {
        bytes[..4].copy_from_slice(&2_i32.to_le_bytes());
        let _ = survive(bytes, 1);
    }

    /// The tolerant reader of the session text: any text, any change of a real one.
    #[test]
    fn random_session_text(at in 0..TEXT.len(), with in "(\\PC|[\n\t \"':#-]){0,60}", len in 0..200_usize) {
        let mut text = TEXT.as_bytes().to_vec();
        let end = (at + len).min(text.len());
        text.splice(at..end, with.bytes());
        survive(sample().with_text(text).bytes(), 1).unwrap();
    }
}

/// A recording far larger than what may be held in memory, as a sparse file: its records are zero, as after a crash.
#[cfg(target_os = "linux")]
#[test]
fn large_files_are_not_loaded() {
    let resident_kib = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|l| l.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    let written = Ibt { order: [Part::Vars, Part::Text, Part::Data], ..sample() };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("large.ibt");
    std::fs::write(&path, written.bytes()).unwrap();
    let before = resident_kib();
    std::fs::File::options().write(true).open(&path).unwrap().set_len(1 << 30).unwrap();
    let file = IbtFile::open(&path).unwrap();
    let mut replay = file.replay(ReplayOptions::default()).unwrap();
    assert_eq!(replay.by_ref().filter(|i| matches!(i, Ok(Item::Car(_)))).count(), 60);
    assert!(replay.stats().zeroed > 1_000_000);
    // The other tests of this process run meanwhile; the file is 1 GiB.
    let grown = resident_kib() - before;
    assert!(grown < 512 * 1024, "grew by {grown} KiB");
}
