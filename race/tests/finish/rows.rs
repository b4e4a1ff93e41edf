//! Rows by hand.

use boxbox_schemas::frame::{Flags, SessionState};
use boxbox_schemas::meta::{MetaEntry, SessionMeta};
use boxbox_schemas::results::{CarNow, FlagChange, LOOPS, Lap, Reasons, SessionInfo, SessionStateChange, Tags};
use boxbox_schemas::{DriverId, EntryId, RunId, SessionId, ShortId, Sim, Source, TenantId};

pub(crate) const S: i64 = 1_000_000;
pub(crate) const LIGHT_US: i64 = 20 * S;

pub(crate) fn id(n: usize) -> ShortId {
    ShortId::new(&format!("car-{n:02}")).unwrap()
}

/// The session of a kind with so many cars in two classes, and its limits.
pub(crate) fn session(kind: &str, cars: usize, laps_limit: u32, time_limit_us: i64) -> SessionInfo {
    let source = Source { sim: Sim::SYNTHETIC, id: 1, session_num: 0 };
    let entries = (0..cars).map(|n| MetaEntry { slot: n as u16, user_id: 100 + n as u64, class_id: 1 + n as u32 % 2, ..MetaEntry::default() });
    let meta = SessionMeta { session_type: kind.into(), laps_limit, time_limit_us, entries: entries.collect(), ..SessionMeta::default() };
    SessionInfo { meta: Some(meta), ..SessionInfo::opened(TenantId(id(99)), source, 0) }
}

pub(crate) fn lap(car: usize, number: u32, start_us: i64, end_us: i64) -> Lap {
    Lap {
        session: SessionId::default(),
        entry: EntryId(id(car)),
        number,
        driver: DriverId(id(car)),
        run: RunId([1; 16]),
        slot: car as u16,
        timeline: 0,
        revision: 1,
        start_us,
        end_us,
        time_us: end_us - start_us,
        sim_time_us: None,
        sectors_us: vec![],
        loops_us: vec![-1; LOOPS - 1],
        fuel_l: None,
        fuel_used_l: None,
        reasons: Reasons(0),
        tags: if number == 1 { Tags::FIRST_LAP } else { Tags(0) },
        frames: 1,
        start_tick: 0,
        end_tick: 1,
        settled: true,
        superseded: false,
        spans: vec![],
    }
}

/// A car of its own client, driving at `us`.
pub(crate) fn car(n: usize, lap: u32, us: i64) -> CarNow {
    CarNow {
        session: SessionId::default(),
        entry: EntryId(id(n)),
        driver: DriverId(id(n)),
        run: RunId([1; 16]),
        slot: n as u16,
        field: false,
        sim_time_us: us,
        tick: 0,
        lap,
        lap_start_us: None,
        loops_us: vec![],
        lap_pct: Some(0.5),
        speed_mps: Some(50.0),
        in_pits: Some(false),
        off_track: false,
        fuel_l: None,
        flags: Flags(0),
        state: SessionState::INVALID,
        watching: false,
        taken_over_us: None,
    }
}

/// The car as client 50 sees it.
pub(crate) fn seen(car: CarNow) -> CarNow {
    CarNow { field: true, driver: DriverId(id(50)), ..car }
}

pub(crate) fn state(client: usize, us: i64, to: SessionState) -> SessionStateChange {
    let FlagChange { session, entry, driver, run, timeline, tick, sim_time_us, superseded, late, .. } = flag(client, us, Flags(0));
    SessionStateChange { session, entry, driver, run, timeline, tick, sim_time_us, from: SessionState::INVALID, to, superseded, late }
}

pub(crate) fn flag(client: usize, us: i64, to: Flags) -> FlagChange {
    FlagChange {
        session: SessionId::default(),
        entry: EntryId(id(client)),
        driver: DriverId(id(client)),
        run: RunId([1; 16]),
        timeline: 0,
        tick: (us / 1_000) as u32,
        sim_time_us: us,
        from: Flags(0),
        to,
        superseded: false,
        late: false,
    }
}
