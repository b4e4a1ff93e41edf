//! What a recording says of time and sessions: clocks, rewinds, pulses, session text.

use boxbox_schemas::frame::{CarBits, Flags, TrackLoc};
use boxbox_sources::iracing::{IbtError, IbtFile, Item, ReplayOptions, Warning};
use proptest::prelude::*;
use uuid::Uuid;

use crate::helpers::*;
use crate::writer::{Ibt, TEXT, V};

#[test]
fn a_new_session_number_is_a_new_session() {
    let (items, stats) = replay(clocked(&[(0, 50), (0, 51), (1, 4), (1, 5), (2, 900), (2, 901)]), ReplayOptions::default());
    assert_eq!(story(&items), ["session 0", "50", "51", "session 1", "4", "5", "session 2", "900", "901"]);
    assert_eq!((stats.sessions, stats.rewinds, stats.missing_ticks), (3, 0, 0));
    // A session that comes again goes on where it was; where its clock went back meanwhile, that is a rewind.
    let (items, _) = replay(clocked(&[(0, 50), (0, 51), (1, 4), (1, 5), (0, 60), (0, 61), (1, 3), (1, 4)]), ReplayOptions::default());
    assert_eq!(story(&items), ["session 0", "50", "51", "session 1", "4", "5", "session 0", "60", "61", "session 1", "back to 3", "3", "4"]);
}

#[test]
fn going_back_in_time_is_a_rewind_and_the_same_tick_again_is_none() {
    let (items, stats) = replay(clocked(&[(0, 10), (0, 11), (0, 11), (0, 12), (0, 15), (0, 3), (0, 4), (0, 4), (0, 5)]), ReplayOptions::default());
    assert_eq!(story(&items), ["session 0", "10", "11", "12", "15", "back to 3", "3", "4", "5"]);
    assert_eq!((stats.duplicates, stats.rewinds, stats.missing_ticks), (2, 1, 2));
    let Item::Rewind { sim_time_us, .. } = items[5] else { panic!("{:?}", items[5]) };
    assert_eq!(sim_time_us, 50_000);
}

#[test]
fn one_record_out_of_line_changes_nothing_else() {
    for bad in [(0, 9_000_000), (0, 1), (7, 12), (2, 12)] {
        let (items, stats) = replay(clocked(&[(0, 10), (0, 11), bad, (0, 13), (0, 14)]), ReplayOptions::default());
        assert_eq!(story(&items), ["session 0", "10", "11", "13", "14"], "{bad:?}");
        assert_eq!((stats.out_of_line, stats.missing_ticks), (1, 1));
    }
    let (items, stats) = replay(clocked(&[(0, 10), (0, 11), (5, 12)]), ReplayOptions::default());
    assert_eq!((story(&items), stats.out_of_line), (vec!["session 0".into(), "10".into(), "11".into()], 1));
}

#[test]
fn what_a_crash_leaves_is_no_record() {
    let mut file = clocked(&[(0, 10), (0, 11)]);
    file.extend([0; 20 * 3]);
    file.extend([0; 7]);
    let opened = IbtFile::from_bytes(file).unwrap();
    let (items, stats) = replay_file(&opened, ReplayOptions::default());
    assert_eq!((story(&items).len(), stats.zeroed), (3, 3));
    assert_eq!(stats.warnings.len(), 2);
    assert!(stats.warnings.iter().any(|w| matches!(w, Warning::CutRecord { records: 5, left_over: 7, .. })), "{:?}", stats.warnings);
    assert!(stats.warnings.contains(&Warning::RecordCount { declared: 2, found: 5 }));
}

#[test]
fn the_blank_sample_passes_as_it_is() {
    // The first sample of a recording and the one at a reset: no place, though the player is in the car.
    let columns =
        [("SessionTime", "s"), ("SessionTick", ""), ("Lap", ""), ("LapDistPct", "%"), ("PlayerTrackSurface", "irsdk_TrkLoc"), ("IsOnTrack", "")];
    let row = |tick: i32, lap, pct, loc| vec![V::F64(f64::from(tick) / 60.0), V::Int(tick), V::Int(lap), V::F32(pct), V::Int(loc), V::Bool(true)];
    let rows = [row(900, 8, 0.2166, 3), row(901, 0, 0.0, -1), row(903, 8, 0.0347, 1)];
    let (items, stats) = replay(Ibt::table(&columns, &rows).bytes(), ReplayOptions::default());
    let seen: Vec<_> = cars(&items).iter().map(|f| (f.tick, f.lap, f.lap_pct as f32, f.track_loc, f.bits)).collect();
    let on = CarBits::ON_TRACK;
    assert_eq!(
        seen,
        [(900, 8, 0.2166, TrackLoc::ON_TRACK, on), (901, 0, 0.0, TrackLoc::NOT_IN_WORLD, on), (903, 8, 0.0347, TrackLoc::PIT_STALL, on)]
    );
    assert_eq!((stats.rewinds, stats.missing_ticks), (0, 1));
}

#[test]
fn one_clock_stands_in_for_the_other() {
    let read = |columns: &[(&str, &str)], rows: &[Vec<V>]| {
        let file = IbtFile::from_bytes(Ibt::table(columns, rows).bytes()).unwrap();
        let clocks: Vec<_> = cars(&replay_file(&file, ReplayOptions::default()).0).iter().map(|f| (f.tick, f.sim_time_us)).collect();
        (clocks, file.warnings().to_vec())
    };
    let expected = [(600, 10_000_000), (601, 10_016_667), (603, 10_050_000)];
    let ticks = [vec![V::Int(600)], vec![V::Int(601)], vec![V::Int(603)]];
    let (clocks, warnings) = read(&[("SessionTick", "")], &ticks);
    assert_eq!(clocks, expected);
    assert!(warnings.contains(&Warning::TimeFromTick { tick_rate: 60 }));
    let times = [vec![V::F64(10.0)], vec![V::F64(10.0 + 1.0 / 60.0)], vec![V::F64(10.05)]];
    let (clocks, warnings) = read(&[("SessionTime", "s")], &times);
    assert_eq!(clocks, expected);
    assert!(warnings.contains(&Warning::TickFromTime { tick_rate: 60 }));
    let still: Vec<_> = times.iter().map(|row| vec![row[0], V::Int(5)]).collect();
    assert_eq!(read(&[("SessionTime", "s"), ("SessionTick", "")], &still).0, expected);
    let wrong_unit = IbtFile::from_bytes(Ibt::table(&[("SessionTime", "fortnight")], &times).bytes());
    assert!(matches!(wrong_unit, Err(IbtError::NoClock)));
}

#[test]
fn time_is_rounded_once_and_ties_go_to_even() {
    for (s, us) in [(81.700_000_007_943_94, 81_700_000), (0.000_000_5, 0), (0.000_001_5, 2), (-0.25, -250_000), (2_592_000.0, 2_592_000_000_000)] {
        let (items, _) =
            replay(Ibt::table(&[("SessionTime", "s"), ("SessionTick", "")], &[vec![V::F64(s), V::Int(1)]]).bytes(), ReplayOptions::default());
        assert_eq!(cars(&items)[0].sim_time_us, us);
    }
    // An impossible time is no frame.
    for s in [f64::NAN, f64::INFINITY, 1e300, 2_592_001.0] {
        let (items, stats) =
            replay(Ibt::table(&[("SessionTime", "s"), ("SessionTick", "")], &[vec![V::F64(s), V::Int(1)]]).bytes(), ReplayOptions::default());
        assert_eq!((items.len(), stats.bad_clock), (0, 1), "{s}");
    }
}

#[test]
fn the_session_text_is_read_as_it_is_written() {
    // Windows-1252, with a NUL end, as the simulator writes it.
    let text: Vec<u8> = TEXT.chars().map(|c| u8::try_from(c as u32).unwrap()).chain([0, 0, 0x81]).collect();
    let rows = [vec![V::F64(1.0), V::Int(60), V::Int(2)]];
    let file =
        IbtFile::from_bytes(Ibt::table(&[("SessionTime", "s"), ("SessionTick", ""), ("SessionNum", "")], &rows).with_text(text).bytes()).unwrap();
    assert_eq!(file.warnings(), []);
    let (items, _) = replay_file(&file, ReplayOptions::default());
    let Item::Session { source, slot, meta } = &items[0] else { panic!("{:?}", items[0]) };
    assert_eq!((source.id, source.session_num, *slot), (51_234_567, 2, 12));
    assert_eq!((meta.track_name.as_str(), meta.track_config.as_str(), meta.track_id), ("Test Ring", "Grand Prix", 777));
    assert_eq!((meta.track_length_m, meta.pit_limit_mps), (3_850.0, (64.37 / 3.6) as f32));
    assert_eq!((meta.session_type.as_str(), meta.laps_limit, meta.time_limit_us), ("race", 25, 0));
    assert_eq!((meta.category.as_str(), meta.start_kind, meta.team_racing, meta.incident_limit), ("road", 2, 1, 0));
    assert_eq!((meta.fuel_kg_per_l, meta.fuel_max_l), (0.75, 104.0));
    assert_eq!(meta.sector_starts, [0.0, 0.260837, 0.505260, 0.662425]);
    assert_eq!(meta.entries.iter().map(|e| (e.slot, e.special, e.user_id)).collect::<Vec<_>>(), [(0, 1, 0), (12, 0, 123_456), (3, 3, 5)]);
    let own = meta.own().unwrap();
    assert_eq!((own.driver_name.as_str(), own.team_name.as_str()), ("José \"Pepe\": #1 - O'Brien", "'Quoted' & @Team: \"x\""));
    assert_eq!(
        (own.number.as_str(), own.class_id, own.class_name.as_str(), own.car_name.as_str(), own.team_id),
        ("007", 84, "GT3", "Test GT3", 9876)
    );
    assert_eq!(meta.entries[2].driver_name, "[AI] {Bot}");
    let practice = file.meta(0);
    assert_eq!((practice.session_type.as_str(), practice.laps_limit, practice.time_limit_us), ("practice", 0, 7_200_000_000));
    assert_eq!(file.meta(1).session_type, "qualify");
    // A session the text does not list has no type, but a track.
    assert_eq!((file.meta(9).session_type.as_str(), file.meta(9).track_id), ("", 777));
}

#[test]
fn the_track_is_as_long_as_its_samples_say() {
    let columns = [("SessionTime", "s"), ("SessionTick", ""), ("LapDistPct", "%"), ("LapDist", "m")];
    let rows: Vec<_> = (0..600)
        .map(|i| {
            let pct = if i < 5 { 0.0 } else { (i as f32 / 600.0).fract() };
            // Now and then rubbish.
            let dist = if i % 10 == 0 { 77.0 } else { pct * 3_845.2 };
            vec![V::F64(f64::from(i) / 60.0), V::Int(i), V::F32(pct), V::F32(dist)]
        })
        .collect();
    let file = IbtFile::from_bytes(Ibt::table(&columns, &rows).with_text(TEXT).bytes()).unwrap();
    assert!((file.track_length_m() - 3_845.2).abs() < 0.001, "{}", file.track_length_m());
}

#[test]
fn a_recording_without_a_lobby_is_the_same_session_each_time() {
    let text = TEXT.replace("51234567", "0");
    let rows: Vec<_> = (0..9).map(|i| vec![V::F64(f64::from(i) / 60.0), V::Int(i)]).collect();
    let written = Ibt::table(&[("SessionTime", "s"), ("SessionTick", "")], &rows).with_text(text);
    let id = |ibt: &Ibt| IbtFile::from_bytes(ibt.bytes()).unwrap().lobby_id();
    let first = id(&written);
    assert_ne!(first, 0);
    assert_eq!(Uuid::from_u128(first).get_version_num(), 8);
    assert_eq!(IbtFile::from_bytes(written.gz()).unwrap().lobby_id(), first);
    // Cut, and never closed by the simulator: the same recording.
    let mut cut = written.clone();
    cut.records.truncate(4);
    cut.declared_records = Some(0);
    assert_eq!(id(&cut), first);
    let mut other = written.clone();
    other.records.remove(0);
    assert_ne!(id(&other), first);
    // Imported anew on purpose.
    let new = Uuid::new_v4();
    let (items, _) = replay(written.bytes(), ReplayOptions { new_session: Some(new), ..ReplayOptions::default() });
    let Item::Session { source, .. } = &items[0] else { panic!("{:?}", items[0]) };
    assert_eq!(source.id, new.as_u128());
}

#[test]
fn slow_frames_come_each_second_and_on_change() {
    let rows: Vec<_> =
        (0..150).map(|i| vec![V::F64(f64::from(i) / 60.0), V::Int(i), V::F32(20.0 + i as f32), V::Int(1 + i32::from(i >= 130))]).collect();
    let bytes = Ibt::table(&[("SessionTime", "s"), ("SessionTick", ""), ("WaterTemp", "C"), ("TireSetsUsed", "")], &rows).bytes();
    let (items, stats) = replay(bytes, ReplayOptions::default());
    assert_eq!(slows(&items).iter().map(|f| f.tick).collect::<Vec<_>>(), [0, 60, 120, 130]);
    assert_eq!(stats.slow_frames, 4);
}

#[test]
fn a_report_is_one_however_long_it_stands() {
    let words = [0, 263, 0, 520, 520, 520, 519, 0, 519, 519];
    let rows: Vec<_> = words.iter().enumerate().map(|(i, word)| vec![V::F64(i as f64 / 60.0), V::Int(i as i32), V::Int(*word)]).collect();
    let bytes = Ibt::table(&[("SessionTime", "s"), ("SessionTick", ""), ("PlayerIncidents", "irsdk_IncidentFlags")], &rows).bytes();
    let reports = |every| -> Vec<_> {
        let (items, _) = replay(bytes.clone(), ReplayOptions { every, ..ReplayOptions::default() });
        cars(&items).iter().map(|f| (f.incident_reports, f.incident_report, f.incident_penalty)).collect()
    };
    let none = (0, 0, 0);
    assert_eq!(reports(1), [none, (1, 7, 1), none, (1, 8, 2), none, none, (1, 7, 2), none, (1, 7, 2), none]);
    assert_eq!(reports(4), [none, (2, 8, 2), (2, 7, 2), none]);
}

/// One tick of the real variables: flags, reports and pit road come and go within a tick.
fn pulses() -> impl Strategy<Value = Vec<(u32, i32, bool, u32)>> {
    prop::collection::vec(
        (any::<u32>(), prop_oneof![4 => Just(0), 1 => Just(263), 1 => Just(520), 1 => Just(0x100)], any::<bool>(), 1..4_u32),
        1..200,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// F2: sampling at any rate loses no pulse.
    #[test]
    fn decimation_loses_no_pulse(ticks in pulses(), every in 0..20_u32) {
        let mut tick = 0;
        let rows: Vec<_> = ticks.iter().map(|(flags, report, pit, step)| {
            tick += *step as i32;
            vec![V::F64(f64::from(tick) / 60.0), V::Int(tick), V::Bits(*flags), V::Int(*report), V::Bool(*pit)]
        }).collect();
        let columns = [("SessionTime", "s"), ("SessionTick", ""), ("SessionFlags", "irsdk_Flags"), ("PlayerIncidents", ""), ("OnPitRoad", "")];
        let bytes = Ibt::table(&columns, &rows).bytes();
        let all = cars(&replay(bytes.clone(), ReplayOptions::default()).0);
        let (items, stats) = replay(bytes, ReplayOptions { every, ..ReplayOptions::default() });
        let some = cars(&items);
        prop_assert_eq!(all.len(), rows.len());
        prop_assert_eq!(some.first().map(|f| f.tick), all.first().map(|f| f.tick));
        prop_assert_eq!(some.last().map(|f| f.tick), all.last().map(|f| f.tick));
        let mut from = 0;
        for (n, f) in some.iter().enumerate() {
            let to = all.iter().position(|a| a.tick == f.tick).unwrap() + 1;
            let span = &all[from..to];
            prop_assert_eq!(f.flags_seen, span.iter().fold(Flags::default(), |seen, a| seen.with(a.flags)));
            prop_assert_eq!(f.bits_seen, span.iter().fold(CarBits::default(), |seen, a| seen.with(a.bits)));
            prop_assert_eq!(u32::from(f.incident_reports), span.iter().map(|a| u32::from(a.incident_reports)).sum::<u32>());
            let last = span.iter().rev().find(|a| a.incident_reports > 0).map_or((0, 0), |a| (a.incident_report, a.incident_penalty));
            prop_assert_eq!((f.incident_report, f.incident_penalty), last);
            prop_assert_eq!((f.flags, f.bits, f.flags_raw), (span[span.len() - 1].flags, span[span.len() - 1].bits, span[span.len() - 1].flags_raw));
            if n > 0 && n + 1 < some.len() {
                prop_assert!(f.tick - some[n - 1].tick >= every);
            }
            from = to;
        }
        prop_assert_eq!(from, all.len());
        prop_assert_eq!(stats.frames + stats.decimated, all.len() as u64);
    }
}
