//! About how many bytes results take in a processor's memory: what it decides by how many sessions it keeps there.
//!
//! The figures are a little above what was measured, since too much is harmless: a session then leaves memory earlier.

use super::{AnyRow, FieldState, Lap, SessionInfo, SessionState, Span};
use crate::ids::DriverId;
use crate::meta::MetaEntry;

/// Keys and links of an entry of a map.
const ENTRY_BYTES: usize = 96;
/// A map reserves room for this many entries at a time, and each lap has a map of its facts.
const RESERVED: usize = 11;
/// A stream and its race state, apart from what its bytes say.
const STREAM_BYTES: usize = 4 << 10;
/// A car that a stream sees, likewise.
const FIELD_BYTES: usize = 1 << 10;
/// How many times as long a state is in memory as it is stored.
const DECODED: usize = 4;
/// A session without anything.
const SESSION_BYTES: usize = 2 << 10;

/// A stream's fact about a lap.
pub fn fact_bytes(lap: &Lap) -> u64 {
    ((size_of::<Lap>() + ENTRY_BYTES) * 3 / 2 + parts_bytes(lap)) as u64
}

/// A chosen lap, with the map of its facts.
pub fn lap_bytes(lap: &Lap) -> u64 {
    ((size_of::<Lap>() + ENTRY_BYTES) * (RESERVED + 1) + parts_bytes(lap)) as u64
}

fn parts_bytes(lap: &Lap) -> usize {
    (lap.sectors_us.len() + lap.loops_us.len()) * size_of::<i64>() + lap.spans.len() * size_of::<Span>() + ENTRY_BYTES
}

/// A row of another kind.
pub fn row_bytes(row: &AnyRow) -> u64 {
    ((size_of::<AnyRow>() + ENTRY_BYTES) * 3 / 2 + row.body.len()) as u64
}

/// A stream whose race state has these bytes, apart from its [`field_bytes`].
pub fn stream_bytes(race: &[u8]) -> u64 {
    (STREAM_BYTES + DECODED * race.len()) as u64
}

/// A car that a stream sees, or a part of what its client said of the session.
pub fn field_bytes(field: &FieldState) -> u64 {
    (FIELD_BYTES + DECODED * field.race.len()) as u64
}

/// A session's description.
pub fn info_bytes(info: &SessionInfo) -> u64 {
    let meta = info.meta.as_ref().map_or(0, |meta| {
        let text: usize = meta.entries.iter().map(|entry| size_of_val(entry) + text_of(entry) + ENTRY_BYTES).sum();
        size_of_val(meta) + meta.track_name.len() + meta.track_config.len() + text
    });
    let drivers: usize = info.conflicts.iter().map(|conflict| conflict.by.len() + conflict.against.len()).sum();
    let told = size_of_val(&*info.conflicts) + drivers * size_of::<DriverId>() + size_of_val(&*info.excluded) + size_of_val(&*info.refused);
    (SESSION_BYTES + meta + told) as u64
}

fn text_of(entry: &MetaEntry) -> usize {
    [&entry.driver_name, &entry.team_name, &entry.number, &entry.class_name, &entry.car_name].into_iter().map(String::len).sum()
}

impl SessionState {
    /// About how many bytes it takes in a processor's memory.
    pub fn bytes(&self) -> u64 {
        let streams: u64 = self.streams.iter().map(|s| stream_bytes(&s.race) + s.field.iter().map(field_bytes).sum::<u64>()).sum();
        let laps: u64 = self.facts.iter().map(fact_bytes).chain(self.laps.iter().map(lap_bytes)).sum();
        info_bytes(&self.info) + streams + laps + self.rows.iter().map(row_bytes).sum::<u64>()
    }
}
