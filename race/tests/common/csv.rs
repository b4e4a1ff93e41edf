//! Real recordings as CSV, one column per simulator channel, read into car frames.

use std::collections::HashMap;
use std::io::Read;

use boxbox_schemas::frame::{CarBits, CarFrame, Flags, Presence, SessionState, TrackLoc};
use boxbox_schemas::meta::SessionMeta;

/// The frames of the recording `name`, if it is there.
pub fn recording(test: &str, name: &str) -> Option<Vec<CarFrame>> {
    let bytes = std::fs::read(boxbox_testkit::recording(test, name)?).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
    let mut reader = ::csv::Reader::from_reader(text.as_bytes());
    let columns: HashMap<String, usize> = reader.headers().unwrap().iter().enumerate().map(|(i, h)| (h.to_owned(), i)).collect();
    Some(reader.records().map(|row| frame(&columns, &row.unwrap())).collect())
}

/// The metadata from the recordings' session strings.
pub fn meta(length_m: f64, sector_starts: &[f64], session_type: &str) -> SessionMeta {
    SessionMeta { track_length_m: length_m, sector_starts: sector_starts.to_vec(), session_type: session_type.into(), ..SessionMeta::default() }
}

/// Phillip Island, F4, the whole race from the grid on.
pub fn phillip_island() -> SessionMeta {
    meta(4_406.9, &[0.0, 0.371176, 0.628746], "Race")
}

fn frame(columns: &HashMap<String, usize>, row: &::csv::StringRecord) -> CarFrame {
    let get = |name: &str| columns.get(name).map(|i| row[*i].parse::<f64>().unwrap());
    let must = |name: &str| get(name).unwrap_or_else(|| panic!("no column {name}"));
    let is = |name: &str| must(name) != 0.0;
    let us = |seconds: f64| (seconds * 1e6).round_ties_even() as i64;
    let mut bits = CarBits(0);
    bits.set(CarBits::ON_PIT_ROAD, is("OnPitRoad"));
    bits.set(CarBits::ON_TRACK, is("IsOnTrack"));
    bits.set(CarBits::TOWING, must("PlayerCarTowTime") > 0.0);
    let presence = [
        Presence::LAP_PCT,
        Presence::LAP_DIST,
        Presence::SPEED,
        Presence::LAP,
        Presence::LAPS_COMPLETED,
        Presence::LAST_LAP_TIME,
        Presence::INCIDENTS,
        Presence::TRACK_LOC,
        Presence::SESSION_STATE,
        Presence::FLAGS,
        Presence::PIT_ROAD,
        Presence::TOWING,
        Presence::ON_TRACK,
        Presence::FUEL,
    ];
    CarFrame {
        tick: must("SessionTick") as u32,
        sim_time_us: us(must("SessionTime")),
        presence: presence.into_iter().fold(Presence(0), Presence::with),
        lap_pct: must("LapDistPct"),
        lap_dist_m: must("LapDist") as f32,
        speed_mps: must("Speed") as f32,
        lap: must("Lap") as i16,
        laps_completed: must("LapCompleted") as i16,
        last_lap_time_us: us(must("LapLastLapTime")),
        incident_count: must("PlayerCarMyIncidentCount") as u16,
        fuel_l: must("FuelLevel") as f32,
        track_loc: TrackLoc(must("PlayerTrackSurface") as i8),
        session_state: SessionState(must("SessionState") as u8),
        flags: flags(must("SessionFlags") as i64 as u32),
        flags_seen: flags(must("SessionFlags") as i64 as u32),
        bits,
        bits_seen: bits,
        ..CarFrame::default()
    }
}

/// iRacing's flag word in the neutral bits that laps depend on.
fn flags(raw: u32) -> Flags {
    let bits = [
        (0x4, Flags::GREEN),
        (0x8, Flags::YELLOW),
        (0x100, Flags::YELLOW_WAVING),
        (0x200, Flags::ONE_TO_GREEN),
        (0x4000 | 0x8000, Flags::CAUTION),
        (0x2000_0000, Flags::START_READY),
        (0x4000_0000, Flags::START_SET),
        (0x8000_0000, Flags::START_GO),
    ];
    bits.into_iter().filter(|(bit, _)| raw & bit != 0).fold(Flags(0), |all, (_, flag)| all.with(flag))
}
