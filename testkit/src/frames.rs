//! Frames and records made by hand.

use boxbox_schemas::frame::{CarFrame, Presence};
use boxbox_schemas::record::{Frame, Kind, Prelude, archive, seal};
use boxbox_schemas::stamp::Stamp;
use boxbox_schemas::{DriverId, GrantId, RunId, SessionId, ShortId, Sim, Source, TenantId};
use bytes::Bytes;

/// Ticks a second of the simulator of these frames.
pub const TICK_HZ: u32 = 60;

/// Session `id` of the synthetic simulator.
pub fn source(id: u128) -> Source {
    Source { sim: Sim::SYNTHETIC, id, session_num: 0 }
}

/// Session time of a tick, µs.
pub fn tick_us(tick: u32) -> i64 {
    i64::from(tick) * 1_000_000 / i64::from(TICK_HZ)
}

/// A car at a tick and a place: `lap_pct` is the part of the lap that it has driven (0..1).
pub fn car(tick: u32, lap_pct: f64) -> CarFrame {
    CarFrame { tick, sim_time_us: tick_us(tick), presence: Presence::LAP_PCT, lap_pct, ..CarFrame::default() }
}

/// The prelude of one frame, number `first_seq` of its stream, in slot 3 and without metadata.
pub fn prelude(kind: Kind, run: RunId, source: Source, first_seq: u64) -> Prelude {
    Prelude { kind, run, source, slot: 3, meta_rev: 0, first_seq, count: 1 }
}

/// The payload of `frames`: their archives, back to back.
pub fn payload<'a, F: Frame + 'a>(frames: impl IntoIterator<Item = &'a F>) -> Vec<u8> {
    frames.into_iter().flat_map(|frame| archive(frame).to_vec()).collect()
}

/// A sealed record of `frames`, of which `prelude` says everything but how many they are.
///
/// # Panics
/// If they do not fit a record.
pub fn sealed<F: Frame>(prelude: Prelude, frames: &[F]) -> Bytes {
    seal(&Prelude { count: frames.len() as u16, ..prelude }, &payload(frames)).expect("a short record")
}

/// A sealed record whose payload is no frames: `frame_bytes` bytes for each that `prelude` counts, of a value that differs
/// from record to record. For tests of what looks at the prelude alone.
///
/// # Panics
/// If it is longer than a record may be.
pub fn opaque(prelude: &Prelude, frame_bytes: usize) -> Bytes {
    let payload = vec![prelude.first_seq as u8; usize::from(prelude.count) * frame_bytes];
    seal(prelude, &payload).expect("a short record")
}

/// The stamp of an edge on a record of `driver`, of the tenant `league`, in session `source`; `base` as the client sent it.
///
/// # Panics
/// If `driver` is no name of a driver.
pub fn stamp(driver: &str, source: &Source, base: u64) -> Stamp {
    let tenant = TenantId::new("league").expect("a valid name");
    Stamp {
        tenant,
        driver: DriverId::new(driver).expect("a valid name"),
        grant: GrantId([1; 16]),
        session: SessionId::of(&tenant, source),
        edge: ShortId::new("edge-1").expect("a valid name"),
        received_at_us: 1_700_000_000_000_000,
        base,
    }
}
