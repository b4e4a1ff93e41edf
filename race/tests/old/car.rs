//! Who a stream's car is, and where it is now.

use boxbox_schemas::frame::{Flags, SessionState};
use boxbox_schemas::ids::{DriverId, EntryId};
use boxbox_schemas::results::CarNow;
use serde::{Deserialize, Serialize};

use super::now::Now;
use super::stream::{StreamRace, View};
use super::{Claim, Context, Start, is_default};

/// What the newest frame shows of the car.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Shown {
    /// `None` in a blank sample.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) pct: Option<f64>,
    /// As the simulator says it; of an observed car, as it moved.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) speed_mps: Option<f32>,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) off_track: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) in_pits: Option<bool>,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) fuel_l: Option<f32>,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) flags: Flags,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) state: SessionState,
}

impl Shown {
    #[inline]
    pub(super) fn of(now: &Now) -> Self {
        let Now { pct, speed_mps, off_track, in_pits, fuel_l, flags, state, .. } = *now;
        Self { pct, speed_mps, off_track, in_pits, fuel_l, flags, state }
    }
}

impl StreamRace {
    /// The state of an observed car.
    pub(super) fn of_another() -> Self {
        Self { view: View::Field(None), ..Self::default() }
    }

    /// Who competes: the team where teams do, else the driver.
    pub fn entry(&self, driver: DriverId) -> EntryId {
        match self.track.team_id {
            0 => EntryId(driver.0),
            // "t:" and at most 20 digits are always a valid id.
            id => EntryId::new(&format!("t:{id}")).unwrap_or(EntryId(driver.0)),
        }
    }

    /// Under whom the facts of this state are told.
    pub(super) fn told_as(&self, ctx: &Context) -> EntryId {
        match self.view {
            View::Field(Some(entry)) => entry,
            View::Field(None) | View::Silent => super::field_entry(None, ctx.slot).unwrap_or(EntryId(ctx.driver.0)),
            View::Own => self.entry(ctx.driver),
        }
    }

    /// Which car its client drives, as its metadata names it; `None` before the first call. Ids are 0 where nobody says.
    pub fn car(&self) -> Option<Claim> {
        self.claim
    }

    /// What its frames say of the start of the race.
    pub fn start(&self) -> Start {
        Start { waiting: self.before_green, green_us: self.green_us }
    }

    /// Where the car is; `None` before its first frame.
    pub fn now(&self, ctx: &Context) -> Option<CarNow> {
        if self.view == View::Silent {
            return None;
        }
        let (sim_time_us, tick) = (self.last_us?, self.last_tick?);
        let begun = self.lap.as_ref().filter(|lap| lap.taken_over.is_none());
        let Shown { pct, speed_mps, off_track, in_pits, fuel_l, flags, state } = self.shown;
        Some(CarNow {
            session: ctx.session,
            entry: self.told_as(ctx),
            driver: ctx.driver,
            run: ctx.run,
            slot: ctx.slot,
            field: self.view != View::Own,
            sim_time_us,
            tick,
            lap: self.open_number(),
            lap_start_us: begun.map(|lap| lap.start_us),
            loops_us: begun.map_or_else(Vec::new, |lap| lap.loops_us.clone()),
            lap_pct: pct,
            speed_mps,
            // A blank sample may say that it is in the garage or its stall; that it is not says nothing.
            in_pits: in_pits.filter(|there| *there || pct.is_some()),
            off_track,
            fuel_l,
            flags,
            state,
        })
    }

    /// Number of the lap that is open; 0 if none is, or its number is not known yet.
    pub(super) fn open_number(&self) -> u32 {
        let Some(lap) = &self.lap else { return 0 };
        let counted = self.at.and_then(|at| at.counted());
        lap.number.or(counted).or_else(|| (self.last_number > 0).then_some(self.last_number + 1)).unwrap_or(0)
    }
}
