//! A car's state as it is stored: a version, then MessagePack with named fields, so that a later build may add some (F8).
//!
//! Version 2 is a map of the parts, by name, and a map of the rest. Each part has its own bound and is dropped alone; the rest may use
//! the bytes that the parts leave. Version 1 was one flat map (`v1`).

mod v1;

use boxbox_schemas::limits::STREAM_RACE_MAX_BYTES;
use serde::{Deserialize, Serialize};

use super::car::CarState;
use super::clock::Clock;
use super::fact::Output;
use super::identity::Identity;
use super::laps::Laps;
use super::motion::Motion;
use super::parts::Parts;
use super::shown::Shown;
use super::start::RaceStart;

pub(super) use self::v1::FlatState;

/// The version that this build writes. The build reads the previous version too.
pub(super) const VERSION: u8 = 2;
/// The previous version.
pub(super) const VERSION_BEFORE: u8 = 1;

/// The header that is stored before a car's state is at most this long, bytes: ids of two entries and some small numbers.
pub(super) const HEADER_MAX_BYTES: usize = 128;
/// The state without its parts may use the bytes that the parts leave, at least this many.
const CORE_BYTES: usize = STREAM_RACE_MAX_BYTES - HEADER_MAX_BYTES - Parts::MAX_BYTES;
/// 64 sectors, and a restart and a rewind in every lap, need this much.
const _: () = assert!(CORE_BYTES >= 2_350);

/// The state without its parts.
#[derive(Serialize)]
struct CoreRef<'a> {
    identity: &'a Identity,
    clock: &'a Clock,
    start: &'a RaceStart,
    motion: &'a Motion,
    laps: &'a Laps,
    shown: &'a Shown,
}

/// [`CoreRef`], for reading.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Core {
    identity: Identity,
    clock: Clock,
    start: RaceStart,
    motion: Motion,
    laps: Laps,
    shown: Shown,
}

impl CarState {
    /// The state as it is stored, at most [`STREAM_RACE_MAX_BYTES`] long. A part that exceeds its bound is switched off and named in
    /// `out`; if the rest is too long, the error says so.
    pub fn encode(&mut self, out: &mut Output) -> Result<Vec<u8>, String> {
        let mut bytes = vec![VERSION];
        self.encode_into(&mut bytes, out)?;
        Ok(bytes)
    }

    /// The bytes that stand for a state that was dropped.
    pub(super) fn encode_none() -> Vec<u8> {
        vec![VERSION]
    }

    /// A stored state; `None` if it was dropped. The error says what cannot be read.
    pub fn decode(bytes: &[u8]) -> Result<Option<Self>, String> {
        match (is_known(bytes)?, bytes[0]) {
            (flat, VERSION_BEFORE) => {
                let flat: Option<FlatState> = rmp_serde::from_slice(flat).map_err(|e| e.to_string())?;
                Ok(flat.map(Self::from))
            }
            ([], _) => Ok(None),
            (mut state, _) => Self::decode_from(&mut state).map(Some),
        }
    }

    pub(super) fn encode_into(&mut self, bytes: &mut Vec<u8>, out: &mut Output) -> Result<(), String> {
        self.parts.encode(bytes, out).map_err(|e| e.to_string())?;
        // A part that was switched off may have marked the lap.
        self.mark_open_lap(out);
        let Self { identity, clock, start, motion, laps, parts: _, shown } = self;
        rmp_serde::encode::write_named(bytes, &CoreRef { identity, clock, start, motion, laps, shown }).map_err(|e| e.to_string())?;
        if bytes.len() <= STREAM_RACE_MAX_BYTES { Ok(()) } else { Err(format!("{} bytes, more than {STREAM_RACE_MAX_BYTES}", bytes.len())) }
    }

    pub(super) fn decode_from(bytes: &mut &[u8]) -> Result<Self, String> {
        let mut from = rmp_serde::Deserializer::new(bytes);
        let parts = Parts::deserialize(&mut from).map_err(|e| e.to_string())?;
        let Core { identity, clock, start, motion, laps, shown } = Core::deserialize(&mut from).map_err(|e| e.to_string())?;
        Ok(Self { identity, clock, start, motion, laps, parts, shown })
    }
}

/// The bytes after the version of a stored state, if this build reads that version.
pub(super) fn is_known(bytes: &[u8]) -> Result<&[u8], String> {
    match bytes.split_first() {
        Some((&(VERSION | VERSION_BEFORE), state)) => Ok(state),
        version => Err(format!("it has version {:?}; this build reads {VERSION_BEFORE} and {VERSION}", version.map(|(v, _)| v))),
    }
}
