//! [`Described`]: the newest description of a session by one client, and how it is stored between steps.

use std::ops::RangeInclusive;
use std::sync::Arc;

use boxbox_schemas::limits::{RECORD_MAX_BYTES, STREAM_RACE_MAX_BYTES};
use boxbox_schemas::meta::SessionMeta;
use serde::{Deserialize, Serialize};

use crate::stream::SLOTS_END;

/// The version of the stored form.
const VERSION: u8 = 1;
/// Slots that no car has, under which the parts of a description are stored. Slots of cars are indices into a simulator's grid.
pub const DESCRIBED_SLOTS: RangeInclusive<u16> = SLOTS_END..=SLOTS_END + 15;
/// The slot, which no car has either, under which is stored when a client showed what.
pub const COVERAGE_SLOT: u16 = SLOTS_END + 16;
/// A description comes in one record; its stored form has short tags instead of offsets, so that it is no longer.
const _: () = assert!(16 * (STREAM_RACE_MAX_BYTES - 1) >= RECORD_MAX_BYTES + STREAM_RACE_MAX_BYTES);

/// The newest description of one client. Cheap to clone.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Described {
    /// Its revision in its stream.
    pub rev: u32,
    /// Since when it is true: session time of the client's last own frame before it, or of the first one behind it, µs. `None` until there is one.
    pub at_us: Option<i64>,
    /// What it says.
    pub meta: Arc<SessionMeta>,
}

/// Its stored form.
#[derive(Serialize, Deserialize)]
struct Stored(u32, Option<i64>, SessionMeta);

impl Described {
    /// As it is stored: parts of at most [`STREAM_RACE_MAX_BYTES`], each with its slot. Empty if it is too long: then others describe the
    /// session.
    pub fn store(&self) -> Vec<(u16, Vec<u8>)> {
        // Field names would double the length.
        let stored = Stored(self.rev, self.at_us, (*self.meta).clone());
        let bytes = rmp_serde::to_vec(&stored).unwrap_or_default();
        let parts = bytes.chunks(STREAM_RACE_MAX_BYTES - 2);
        let count = parts.len();
        if count == 0 || count > DESCRIBED_SLOTS.len() {
            return vec![];
        }
        // Each part says how many there are: parts of a longer description that was stored before are left where they are.
        DESCRIBED_SLOTS.zip(parts.map(|part| [&[VERSION, count as u8][..], part].concat())).collect()
    }

    /// Read it from its parts, in order of slots; `None` where there are none. The error says what cannot be read.
    pub fn restore(parts: &[&[u8]]) -> Result<Option<Self>, String> {
        let Some(first) = parts.first() else { return Ok(None) };
        let &[VERSION, count, ..] = *first else { return Err(format!("it has version {:?}; this build reads {VERSION}", first.first())) };
        let parts = parts.get(..usize::from(count)).ok_or_else(|| format!("{} parts of {count}", parts.len()))?;
        let bytes: Vec<u8> = parts.iter().flat_map(|part| part.get(2..).unwrap_or_default()).copied().collect();
        let Stored(rev, at_us, meta) = rmp_serde::from_slice(&bytes).map_err(|e| e.to_string())?;
        Ok(Some(Self { rev, at_us, meta: Arc::new(meta) }))
    }
}

#[cfg(test)]
mod tests {
    use boxbox_schemas::limits::{META_ENTRIES_MAX, META_SECTORS_MAX};
    use boxbox_schemas::meta::MetaEntry;
    use boxbox_schemas::record::{PRELUDE_BYTES, archive};

    use super::*;

    fn entry(slot: u16, text: &str) -> MetaEntry {
        let text = || text.to_owned();
        let (user_id, team_id, class_id) = (u64::MAX, u64::MAX, u32::MAX);
        MetaEntry {
            slot,
            user_id,
            team_id,
            driver_name: text(),
            team_name: text(),
            number: text(),
            class_id,
            class_name: text(),
            car_name: text(),
            special: 3,
        }
    }

    #[test]
    fn the_longest_that_a_record_holds_is_stored_and_read_back() {
        for (entries, bytes) in [(0, 0), (1, 3), (64, 70), (META_ENTRIES_MAX, 37), (50, 110)] {
            let text = "ß".repeat(bytes / 2);
            let meta = SessionMeta {
                track_length_m: 1.0 / 3.0,
                sector_starts: (0..META_SECTORS_MAX).map(|n| n as f64 / 64.1).collect(),
                entries: (0..entries as u16).map(|n| entry(n, &text)).collect(),
                ..SessionMeta::default()
            };
            assert!(PRELUDE_BYTES + archive(&meta).len() <= RECORD_MAX_BYTES);
            let described = Described { rev: u32::MAX, at_us: Some(-1), meta: Arc::new(meta) };
            let parts = described.store();
            assert!(!parts.is_empty() && parts.iter().all(|(_, part)| part.len() <= STREAM_RACE_MAX_BYTES), "{entries} of {bytes}");
            let mut parts: Vec<&[u8]> = parts.iter().map(|(_, part)| &part[..]).collect();
            assert_eq!(Described::restore(&parts), Ok(Some(described.clone())));
            // What is left of a longer one.
            parts.push(b"rest");
            assert_eq!(Described::restore(&parts), Ok(Some(described)));
            assert!(Described::restore(&parts[..0]).unwrap().is_none());
        }
        assert!(Described::restore(&[&b"\x09\x01"[..]]).is_err());
        assert!(Described::restore(&[&b"\x01\x02"[..]]).is_err());
    }
}
