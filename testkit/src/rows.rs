//! Rows other than laps, made by hand: where a car is, and a visit to the pits.

use boxbox_schemas::frame::{Flags, SessionState};
use boxbox_schemas::results::{CarNow, PitEnds, PitKind, PitVisit};
use boxbox_schemas::{DriverId, EntryId, RunId, SessionId};

/// The car in `slot` of an entry that has one driver, as its client reports it at `sim_time_us` of a race: on the track and in no lap, with
/// nothing else known of it.
pub fn car_now(driver: DriverId, slot: u16, sim_time_us: i64) -> CarNow {
    CarNow {
        session: SessionId::default(),
        entry: EntryId(driver.0),
        driver,
        run: RunId([1; 16]),
        slot,
        field: false,
        sim_time_us,
        tick: 0,
        lap: 0,
        lap_start_us: None,
        loops_us: vec![],
        lap_pct: None,
        speed_mps: None,
        in_pits: Some(false),
        off_track: false,
        fuel_l: None,
        flags: Flags(0),
        state: SessionState::RACING,
        watching: false,
        taken_over_us: None,
    }
}

/// A visit in lap 1 of the car in `slot`, as its client reports it: from `enter_us` on, without a standstill or an exit.
pub fn visit(driver: DriverId, slot: u16, kind: PitKind, enter_us: i64) -> PitVisit {
    PitVisit {
        session: SessionId::default(),
        entry: EntryId(driver.0),
        seen_as: None,
        driver,
        run: RunId([1; 16]),
        slot,
        timeline: 0,
        tick: 0,
        field: false,
        kind,
        lap: 1,
        enter_us,
        exit_us: None,
        stationary_us: 0,
        service_us: None,
        fuel_added_l: None,
        tyres_changed: None,
        speed_max_mps: 0.0,
        speeding: false,
        superseded: false,
        late: false,
        ends: PitEnds::default(),
    }
}
