//! A lap made by hand.

use boxbox_schemas::results::{Lap, Reasons, Tags};
use boxbox_schemas::{DriverId, EntryId, RunId, SessionId};

/// Lap `number` of an entry that has one driver, from `start_us` to `end_us`: valid and settled, in slot 3, of 100 frames, with
/// nothing known of it but its times.
pub fn lap(session: SessionId, driver: DriverId, run: RunId, number: u32, start_us: i64, end_us: i64) -> Lap {
    Lap {
        session,
        entry: EntryId(driver.0),
        number,
        driver,
        run,
        slot: 3,
        timeline: 0,
        revision: 1,
        start_us,
        end_us,
        time_us: end_us - start_us,
        sim_time_us: None,
        sectors_us: vec![],
        loops_us: vec![],
        fuel_l: None,
        fuel_used_l: None,
        reasons: Reasons(0),
        tags: Tags(0),
        frames: 100,
        start_tick: 1,
        end_tick: 2,
        settled: true,
        superseded: false,
        spans: vec![],
    }
}
