//! [`Identity`]: whose car a state describes, with run and timeline; [`Origin`]: the entry, driver, run and timeline of its facts.

use boxbox_schemas::ids::{DriverId, EntryId, RunId};
use boxbox_schemas::meta::SessionMeta;
use serde::{Deserialize, Serialize};

use super::fact::{Claim, Context};
use super::sparse::is_default;
use super::track::Track;

/// Number of the driver's earlier runs that are kept.
const RUNS_MAX: usize = 4;

/// Whose car a state describes. See the [module](self).
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Identity {
    /// The stream's run; known from its first call.
    pub(super) run: Option<RunId>,
    /// The driver's runs whose state was inherited, oldest first.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) before: Vec<PastRun>,
    /// How often the run has gone back (E4).
    #[serde(skip_serializing_if = "is_default")]
    pub(super) timeline: u32,
    /// Which client sees the car.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) view: View,
    pub(super) claim: Option<Claim>,
    pub(super) track: Track,
}

/// Which client sees the car.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) enum View {
    /// Its own client.
    #[default]
    Own,
    /// Another client; `None` while no metadata names the car's entry.
    Field(Option<EntryId>),
    /// Another client, and the car does not compete: a pace car or a spectator.
    #[serde(rename = "Silent")]
    NotCompeting,
}

/// A run whose state was inherited, and how many timelines it had.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct PastRun {
    pub(super) run: RunId,
    pub(super) timeline: u32,
}

impl Identity {
    /// Keep what every call passes: the run and the car's slot.
    pub(super) fn identify(&mut self, ctx: &Context) {
        self.run.get_or_insert(ctx.run);
        if self.claim.is_none_or(|claim| claim.slot != ctx.slot) {
            self.claim = Some(Claim { user_id: 0, team_id: 0, slot: ctx.slot });
        }
    }

    /// The entry: the team if teams compete, else the driver (`entry.team`).
    pub(super) fn entry(&self, driver: DriverId) -> EntryId {
        match self.track.team_id {
            0 => EntryId(driver.0),
            // "t:" and at most 20 digits are always a valid id.
            id => EntryId::new(&format!("t:{id}")).unwrap_or(EntryId(driver.0)),
        }
    }

    pub(super) fn own(&self) -> bool {
        self.view == View::Own
    }

    /// What the metadata says about the car in the slot of `ctx`: whose car it is, and which client sees it.
    pub(super) fn claim_and_view(&self, ctx: &Context, meta: &SessionMeta) -> (Claim, View) {
        let of_slot = meta.entries.iter().find(|e| e.slot == ctx.slot);
        let car = if self.own() { of_slot.or_else(|| meta.own()) } else { of_slot };
        let claim = Claim { user_id: car.map_or(0, |e| e.user_id), team_id: car.map_or(0, |e| e.team_id), slot: ctx.slot };
        if self.own() {
            return (claim, View::Own);
        }
        let named = |entry: EntryId| of_slot.is_some_and(|e| e.user_id != 0 || e.team_id != 0).then_some(entry);
        (claim, field_entry(Some(meta), ctx.slot).map_or(View::NotCompeting, |entry| View::Field(named(entry))))
    }

    /// A new run, `own`, continues this state. True if the oldest run was removed: then the numbers of all runs move down by one.
    pub(super) fn start_run(&mut self, own: &Identity) -> bool {
        if let Some(run) = self.run.take() {
            self.before.push(PastRun { run, timeline: self.timeline });
        }
        let full = self.before.len() > RUNS_MAX;
        if full {
            self.before.remove(0);
        }
        (self.run, self.timeline) = (own.run, own.timeline);
        full
    }

    /// The number of the present run in the spans of laps.
    pub(super) fn present_run(&self) -> u8 {
        self.before.len() as u8
    }

    /// The run with this number.
    pub(super) fn run_of(&self, number: u8, present: RunId) -> RunId {
        self.before.get(usize::from(number)).map_or(present, |past| past.run)
    }
}

/// Where a car's facts come from: entry, driver, run, timeline, and the track.
#[derive(Clone, Copy)]
pub(super) struct Origin<'a> {
    pub(super) ctx: &'a Context,
    pub(super) identity: &'a Identity,
}

impl Origin<'_> {
    pub(super) fn entry(&self) -> EntryId {
        match self.identity.view {
            View::Field(Some(entry)) => entry,
            View::Field(None) | View::NotCompeting => field_entry(None, self.ctx.slot).unwrap_or(EntryId(self.ctx.driver.0)),
            View::Own => self.identity.entry(self.ctx.driver),
        }
    }

    pub(super) fn track(&self) -> &Track {
        &self.identity.track
    }

    pub(super) fn timeline(&self) -> u32 {
        self.identity.timeline
    }

    /// Several drivers may share the car.
    pub(super) fn in_team(&self) -> bool {
        self.own() && self.track().team_id != 0
    }

    /// The facts come from the car's own client.
    pub(super) fn own(&self) -> bool {
        self.identity.own()
    }
}

/// The entry of an observed car: `t:TEAM` if teams race, else `u:USER_ID`, else (no user id, or no
/// metadata) `c:SLOT`; `None` for pace cars and spectators (`seen.entry`).
pub fn field_entry(meta: Option<&SessionMeta>, slot: u16) -> Option<EntryId> {
    let car = meta.and_then(|m| m.entries.iter().find(|e| e.slot == slot));
    let text = match (meta, car) {
        (_, Some(car)) if matches!(car.special, 1 | 2) => return None,
        (Some(meta), Some(car)) if meta.team_racing == 1 && car.team_id != 0 => format!("t:{}", car.team_id),
        (_, Some(car)) if car.user_id != 0 => format!("u:{}", car.user_id),
        _ => format!("c:{slot}"),
    };
    // A letter, a colon and at most 20 digits are always a valid id.
    EntryId::new(&text).ok()
}
