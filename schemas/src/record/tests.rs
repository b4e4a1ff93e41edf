//! Records: golden bytes (F8), round trips, and what a damaged record must never do.

use super::*;
use crate::event::{EndFrame, EndReason, EventCode, EventFrame, GapFrame, GapReason, Reject, VoidFrame};
use crate::field::FieldFrame;
use crate::frame::*;
use crate::slow::SlowFrame;
use proptest::prelude::*;

fn prelude(kind: Kind, count: u16) -> Prelude {
    Prelude {
        kind,
        run: RunId([0xA5; 16]),
        source: Source { sim: Sim::IRACING, id: 0x0102_0304, session_num: 2 },
        slot: 17,
        meta_rev: 3,
        first_seq: 1_000_000,
        count,
    }
}

/// A frame in which every field has its own value, so that a swap of two fields changes the golden bytes.
fn distinct_frame() -> CarFrame {
    CarFrame {
        tick: 1,
        sim_time_us: 2,
        presence: Presence(u64::MAX >> 27),
        lap_pct: 0.25,
        lat_deg: -38.5,
        lon_deg: 145.25,
        last_lap_time_us: 92_556_400,
        lap_dist_m: 3.0,
        speed_mps: 4.0,
        velocity_mps: [5.0, 6.0, 7.0],
        accel_mps2: [8.0, 9.0, 10.0],
        yaw_rad: 11.0,
        pitch_rad: 12.0,
        roll_rad: 13.0,
        yaw_rate_radps: 14.0,
        heading_north_rad: 15.0,
        position_m: [16.0, 17.0, 18.0],
        throttle: 0.19,
        brake: 0.20,
        clutch: 0.21,
        steer_rad: 22.0,
        steer_max_rad: 23.0,
        rpm: 24.0,
        fuel_l: 25.0,
        fuel_rate_kgph: 26.0,
        flags: Flags(27),
        flags_seen: Flags(28),
        flags_raw: 29,
        lap: 30,
        laps_completed: 31,
        bits: CarBits(32),
        bits_seen: CarBits(33),
        incident_count: 34,
        team_incident_count: 35,
        incident_reports: 36,
        incident_report: 37,
        incident_penalty: 38,
        place: 39,
        class_place: 40,
        gear: -1,
        track_loc: TrackLoc::NOT_IN_WORLD,
        surface: Surface(43),
        car_left_right: 44,
        session_state: SessionState(45),
        spare: [0; 18],
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.chunks(32).map(|row| row.iter().map(|b| format!("{b:02x}")).collect::<String>() + "\n").collect()
}

/// F8: bytes written by the first version; every later build must write and read them alike.
#[test]
fn golden_bytes() {
    let records = [
        ("car", seal(&prelude(Kind::CAR, 2), &[archive(&distinct_frame()), archive(&CarFrame::default())].concat())),
        ("slow", seal(&prelude(Kind::SLOW, 1), &archive(&SlowFrame { tick: 1, volts: 2.0, tyre_sets_used: 3, ..Default::default() }))),
        ("field", seal(&prelude(Kind::FIELD, 1), &archive(&FieldFrame { tick: 1, slot: 2, gear: -1, lap_pct: 0.5, ..Default::default() }))),
        ("event", seal(&prelude(Kind::EVENT, 1), &archive(&EventFrame { tick: 1, sim_time_us: 2, code: EventCode::REWIND, ..Default::default() }))),
        ("gap", seal(&prelude(Kind::GAP, 1), &archive(&GapFrame { next: 1_000_010, reason: GapReason::SPOOL_FULL, ..Default::default() }))),
        ("end", seal(&prelude(Kind::END, 1), &archive(&EndFrame { tick: 1, sim_time_us: 2, reason: EndReason::FINISHED, ..Default::default() }))),
        ("void", seal(&prelude(Kind::VOID, 1), &archive(&VoidFrame { next: 1_000_010, reason: Reject::RANGE, ..Default::default() }))),
        (
            "meta",
            seal(
                &prelude(Kind::META, 1),
                &archive(&SessionMeta {
                    track_id: 1,
                    track_name: "Phillip Island".into(),
                    track_length_m: 4406.9,
                    sector_starts: vec![0.0, 0.5],
                    own_slot: 17,
                    entries: vec![crate::meta::MetaEntry { slot: 17, driver_name: "A. Driver with a longer name".into(), ..Default::default() }],
                    ..Default::default()
                }),
            ),
        ),
    ];
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1");
    for (name, record) in records {
        let path = dir.join(format!("{name}.hex"));
        let record = hex(&record.unwrap());
        if std::env::var_os("BOXBOX_WRITE_GOLDEN").is_some() && !path.exists() {
            std::fs::create_dir_all(&dir).unwrap();
            std::fs::write(&path, &record).unwrap();
        }
        assert_eq!(record, std::fs::read_to_string(&path).unwrap(), "{name}: the wire format changed; that needs a new version");
    }
}

/// The archive's layout, written by hand: little-endian numbers at the offsets that the const asserts pin.
#[test]
fn a_frame_archives_as_plain_little_endian_numbers() {
    let bytes = archive(&distinct_frame());
    assert_eq!(bytes.len(), CAR_FRAME_BYTES);
    assert_eq!(bytes[0..4], 1u32.to_le_bytes());
    assert_eq!(bytes[4..12], 2i64.to_le_bytes());
    assert_eq!(bytes[20..28], 0.25f64.to_le_bytes());
    assert_eq!(bytes[44..52], 92_556_400i64.to_le_bytes());
    assert_eq!(bytes[56..60], 4.0f32.to_le_bytes());
    assert_eq!(bytes[168..170], 34u16.to_le_bytes());
    assert_eq!(bytes[182..], [0; 18]);
}

fn any_frame() -> impl Strategy<Value = CarFrame> {
    (any::<u32>(), any::<i64>(), any::<f64>(), any::<[f32; 3]>(), any::<i16>(), any::<i8>(), any::<u32>()).prop_map(
        |(tick, t, pct, v, lap, code, flags)| CarFrame {
            tick,
            sim_time_us: t,
            lap_pct: pct,
            velocity_mps: v,
            lap,
            gear: code,
            track_loc: TrackLoc(code),
            flags: Flags(flags),
            ..Default::default()
        },
    )
}

proptest! {
    /// Unknown codes and any bit pattern of a number pass unharmed.
    #[test]
    fn frames_round_trip_bit_for_bit(frames in proptest::collection::vec(any_frame(), 1..160)) {
        let payload: Vec<u8> = frames.iter().flat_map(|f| archive(f).to_vec()).collect();
        let sealed = seal(&prelude(Kind::CAR, frames.len() as u16), &payload).unwrap();
        let record = Record::parse(sealed.clone()).unwrap();
        prop_assert_eq!(record.prelude(), &prelude(Kind::CAR, frames.len() as u16));
        prop_assert_eq!(record.next_seq().unwrap(), 1_000_000 + frames.len() as u64);
        let Content::Car(read) = record.content().unwrap() else { panic!("a car record") };
        for (frame, archived) in frames.iter().zip(read.iter()) {
            prop_assert_eq!(archive(frame).to_vec(), archive(&car_frame(archived.unwrap())).to_vec());
        }
    }

    #[test]
    fn archiving_into_a_buffer_is_archiving(frames in proptest::collection::vec(any_frame(), 1..20), name in "\\PC{0,30}") {
        let mut payload = Payload::new();
        frames.iter().for_each(|f| archive_into(f, &mut payload));
        prop_assert_eq!(&payload[..], &frames.iter().flat_map(|f| archive(f).to_vec()).collect::<Vec<u8>>()[..]);
        let meta = SessionMeta { track_name: name, sector_starts: vec![0.0, 0.5], ..Default::default() };
        payload.clear();
        archive_into(&meta, &mut payload);
        prop_assert_eq!(&payload[..], &archive(&meta)[..]);
    }

    /// Any damaged byte is found by name: length, version, or checksum.
    #[test]
    fn one_changed_byte_never_passes(at in any::<prop::sample::Index>(), xor in 1u8..) {
        let mut bytes = seal(&prelude(Kind::CAR, 1), &archive(&distinct_frame())).unwrap().to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= xor;
        prop_assert!(Record::parse(bytes.into()).is_err());
    }

    #[test]
    fn a_cut_record_is_truncated(cut in 0usize..264) {
        let bytes = seal(&prelude(Kind::CAR, 1), &archive(&distinct_frame())).unwrap();
        let is_truncated = matches!(Record::parse(bytes.slice(..cut)), Err(RecordError::Truncated { .. }));
        prop_assert!(is_truncated);
    }

    /// With a right checksum around them, random payloads of every kind are an error or content, never a panic.
    #[test]
    fn random_payloads_are_safe(kind in 0u8..=255, count in 1u16..4, payload in proptest::collection::vec(any::<u8>(), 0..900)) {
        let p = Prelude { kind: Kind(kind), count, ..prelude(Kind::CAR, 1) };
        if let Ok(record) = Record::parse(seal(&p, &payload).unwrap()) {
            let _ = crate::check::record(&record);
            let _ = record.next_seq();
        }
    }

    /// Flipping bits of valid metadata is an error or other metadata, never a panic; what passes the check keeps its bounds.
    #[test]
    fn mutated_metadata_is_safe(flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let meta = SessionMeta { track_name: "a track with a long name".into(), sector_starts: vec![0.0, 0.3], entries: vec![Default::default(); 3], ..Default::default() };
        let mut payload = archive(&meta).to_vec();
        for (at, value) in flips { let at = at.index(payload.len()); payload[at] = value; }
        let record = Record::parse(seal(&prelude(Kind::META, 1), &payload).unwrap()).unwrap();
        if crate::check::record(&record).is_ok() {
            let Ok(Content::Meta(m)) = record.content() else { panic!("checked metadata is readable") };
            let meta = session_meta(m);
            prop_assert!(meta.entries.len() <= crate::limits::META_ENTRIES_MAX);
            prop_assert!((0.0..=crate::limits::DISTANCE_MAX_M).contains(&meta.track_length_m));
        }
    }
}

#[test]
fn every_named_refusal() {
    let good = seal(&prelude(Kind::CAR, 1), &archive(&distinct_frame())).unwrap();
    let resealed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut b = good.to_vec();
        change(&mut b);
        let crc = crc32c::crc32c(&b[8..]);
        b[4..8].copy_from_slice(&crc.to_le_bytes());
        Record::parse(b.into()).map(drop)
    };
    assert_eq!(resealed(&|_| ()), Ok(()));
    assert_eq!(resealed(&|b| b[8] = 9), Err(RecordError::Version(9)));
    assert_eq!(resealed(&|b| b[14..16].fill(0)), Err(RecordError::Sequence));
    assert_eq!(resealed(&|b| b[56..64].fill(0xFF)), Err(RecordError::Sequence));
    assert_eq!(resealed(&|b| b[0..4].copy_from_slice(&40_000u32.to_le_bytes())), Err(RecordError::Length(40_000)));
    assert!(matches!(seal(&prelude(Kind::CAR, 1), &[0; 40_000]), Err(RecordError::Length(_))));
    assert!(matches!(check_length(0), Err(RecordError::Length(0))));
}

#[test]
fn content_that_edges_refuse() {
    let refused = |frame: CarFrame| {
        let record = Record::parse(seal(&prelude(Kind::CAR, 1), &archive(&frame)).unwrap()).unwrap();
        crate::check::record(&record).err()
    };
    let good = CarFrame { presence: Presence::LAP_PCT.with(Presence::SPEED), lap_pct: 0.5, speed_mps: 50.0, ..Default::default() };
    assert_eq!(refused(good), None);
    assert_eq!(refused(CarFrame { speed_mps: f32::NAN, ..good }), Some(Reject::NOT_FINITE));
    assert_eq!(refused(CarFrame { lap_pct: f64::INFINITY, ..good }), Some(Reject::NOT_FINITE));
    assert_eq!(refused(CarFrame { accel_mps2: [0.0, f32::NAN, 0.0], ..good }), Some(Reject::NOT_FINITE));
    assert_eq!(refused(CarFrame { speed_mps: 1_000.0, ..good }), Some(Reject::RANGE));
    assert_eq!(refused(CarFrame { sim_time_us: i64::MAX, ..good }), Some(Reject::RANGE));
    let at = |lap_dist_m: f32| CarFrame { presence: good.presence.with(Presence::LAP_DIST), lap_dist_m, ..good };
    for (possible, beyond) in [(1e6, 1_000_000.1), (-1e6, -1_000_000.1), (4_406.9, 1e30), (0.0, f32::MIN)] {
        assert_eq!((refused(at(possible)), refused(at(beyond))), (None, Some(Reject::RANGE)), "{possible} {beyond}");
        // Also where the frame does not say that it is real.
        assert_eq!(refused(CarFrame { presence: good.presence, ..at(beyond) }), Some(Reject::RANGE));
    }
    assert_eq!(refused(CarFrame { presence: Presence::LAP_PCT, ..good }), Some(Reject::ABSENT));
    let meta = |track_length_m: f64| {
        let meta = SessionMeta { track_length_m, ..Default::default() };
        let record = Record::parse(seal(&prelude(Kind::META, 1), &archive(&meta)).unwrap()).unwrap();
        (crate::check::record(&record).err(), meta.known_length_m())
    };
    assert_eq!((meta(0.0), meta(4_406.9), meta(1e6)), ((None, None), (None, Some(4_406.9)), (None, Some(1e6))));
    for impossible in [-0.1, 1_000_000.1, 1e30, f64::MAX] {
        assert_eq!(meta(impossible), (Some(Reject::META), None), "{impossible}");
    }
    for no_number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(meta(no_number), (Some(Reject::NOT_FINITE), None), "{no_number}");
    }
    let void = seal(&prelude(Kind::VOID, 1), &archive(&VoidFrame { next: 1_000_001, ..Default::default() })).unwrap();
    assert_eq!(crate::check::record(&Record::parse(void).unwrap()), Err(Reject::KIND));
}
