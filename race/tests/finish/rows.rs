//! Rows by hand.

use boxbox_schemas::frame::{Flags, SessionState};
use boxbox_schemas::meta::{MetaEntry, SessionMeta};
use boxbox_schemas::results::{CarNow, FlagChange, LOOPS, Lap, SessionInfo, SessionStateChange, Tags};
use boxbox_schemas::{DriverId, EntryId, RunId, SessionId, ShortId, Sim, Source, TenantId};
use boxbox_testkit::{laps, rows};

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
    let lap = laps::lap(SessionId::default(), DriverId(id(car)), RunId([1; 16]), number, start_us, end_us);
    let tags = if number == 1 { Tags::FIRST_LAP } else { Tags(0) };
    Lap { slot: car as u16, loops_us: vec![-1; LOOPS - 1], tags, ..lap }
}

/// A car that its client reports, driving at `us`.
pub(crate) fn car(n: usize, lap: u32, us: i64) -> CarNow {
    let car = rows::car_now(DriverId(id(n)), n as u16, us);
    CarNow { lap, lap_pct: Some(0.5), speed_mps: Some(50.0), state: SessionState::INVALID, ..car }
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
