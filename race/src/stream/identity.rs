//! [`Identity`]: whose car a state is of, and in which run and timeline; [`Reporter`]: under whom its facts are reported.

use boxbox_schemas::ids::{DriverId, EntryId, RunId};
use boxbox_schemas::meta::SessionMeta;
use serde::{Deserialize, Serialize};

use super::fact::{Claim, Context};
use super::sparse::is_default;
use super::track::Track;

/// Runs of the same driver remembered before this one.
const RUNS_MAX: usize = 4;

/// Whose car it is. See the [module](self).
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
    /// Who sees the car.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) view: View,
    pub(super) claim: Option<Claim>,
    pub(super) track: Track,
}

/// Who sees the car.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) enum View {
    /// Its own client.
    #[default]
    Own,
    /// Another client; `None` while no metadata says who competes in it.
    Field(Option<EntryId>),
    /// Another client, and it does not compete: a pace car, a spectator.
    Silent,
}

/// A run whose state was inherited, and how many timelines it had.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct PastRun {
    pub(super) run: RunId,
    pub(super) timeline: u32,
}

impl Identity {
    /// What every call says: which run it is, and the slot of the car.
    pub(super) fn identify(&mut self, ctx: &Context) {
        self.run.get_or_insert(ctx.run);
        if self.claim.is_none_or(|claim| claim.slot != ctx.slot) {
            self.claim = Some(Claim { user_id: 0, team_id: 0, slot: ctx.slot });
        }
    }

    /// Who competes: the team where teams do, else the driver.
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

    /// As whom the metadata has the car in the slot of `ctx`: whose it is, and who sees it.
    pub(super) fn described(&self, ctx: &Context, meta: &SessionMeta) -> (Claim, View) {
        let of_slot = meta.entries.iter().find(|e| e.slot == ctx.slot);
        let car = if self.own() { of_slot.or_else(|| meta.own()) } else { of_slot };
        let claim = Claim { user_id: car.map_or(0, |e| e.user_id), team_id: car.map_or(0, |e| e.team_id), slot: ctx.slot };
        if self.own() {
            return (claim, View::Own);
        }
        let named = |entry: EntryId| of_slot.is_some_and(|e| e.user_id != 0 || e.team_id != 0).then_some(entry);
        (claim, field_entry(Some(meta), ctx.slot).map_or(View::Silent, |entry| View::Field(named(entry))))
    }

    /// A new run, `own`, goes on with this state. True if a run was forgotten for it: the numbers of runs move down by one.
    pub(super) fn go_on_as(&mut self, own: &Identity) -> bool {
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

    /// The number under which runs of frames of this stream are kept.
    pub(super) fn present_run(&self) -> u8 {
        self.before.len() as u8
    }

    /// The run that is kept under `number`.
    pub(super) fn run_of(&self, number: u8, present: RunId) -> RunId {
        self.before.get(usize::from(number)).map_or(present, |past| past.run)
    }
}

/// Under whom a car's facts are reported.
#[derive(Clone, Copy)]
pub(super) struct Reporter<'a> {
    pub(super) ctx: &'a Context,
    pub(super) identity: &'a Identity,
}

impl Reporter<'_> {
    pub(super) fn entry(&self) -> EntryId {
        match self.identity.view {
            View::Field(Some(entry)) => entry,
            View::Field(None) | View::Silent => field_entry(None, self.ctx.slot).unwrap_or(EntryId(self.ctx.driver.0)),
            View::Own => self.identity.entry(self.ctx.driver),
        }
    }

    pub(super) fn track(&self) -> &Track {
        &self.identity.track
    }

    pub(super) fn timeline(&self) -> u32 {
        self.identity.timeline
    }

    /// The car's own client reports it.
    pub(super) fn own(&self) -> bool {
        self.identity.own()
    }
}

/// Entry under which an observed car's facts are reported: `t:TEAM` if teams race, else `u:USER_ID`, else (no user id, or no
/// metadata) `c:SLOT`; `None` for pace cars and spectators.
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
