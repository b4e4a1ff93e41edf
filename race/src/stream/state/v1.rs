//! Version 1 of a car's state: one flat struct. It is read and never written.
//!
//! The types of its fields have not changed since. If one of them changes, its old form has to be added here.

use boxbox_schemas::ids::RunId;
use serde::Deserialize;

use crate::stream::car::CarState;
use crate::stream::clock::Clock;
use crate::stream::fact::Claim;
use crate::stream::identity::{Identity, PastRun, View};
use crate::stream::laps::Laps;
use crate::stream::laps::stored::{Before, OpenLap, PastLap, Pending};
use crate::stream::motion::Motion;
use crate::stream::parts::{FlagsShown, Fuel, Guarded, IncidentCounter, Parts, Pits};
use crate::stream::shown::Shown;
use crate::stream::start::RaceStart;
use crate::stream::step::Sample;
use crate::stream::track::Track;

/// A state of version 1.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct FlatState {
    run: Option<RunId>,
    before: Vec<PastRun>,
    timeline: u32,
    last_tick: Option<u32>,
    last_us: Option<i64>,
    ignored: u64,
    lost: bool,
    track: Track,
    at: Option<Sample>,
    at_inherited: bool,
    resume_us: Option<i64>,
    blank: bool,
    in_pits: Option<bool>,
    off_since_us: Option<i64>,
    sim_invalid: bool,
    sim_last_us: Option<i64>,
    counter: IncidentCounter,
    green_us: Option<i64>,
    green_flag: bool,
    before_green: bool,
    lap: Option<OpenLap>,
    past: Vec<PastLap>,
    pending: Option<Pending>,
    last_number: u32,
    view: View,
    claim: Option<Claim>,
    shown: Shown,
    shows: FlagsShown,
    pits: Pits,
    fuel_low_l: Option<f32>,
}

impl From<FlatState> for CarState {
    #[allow(clippy::needless_update, reason = "tests compile one more part")]
    fn from(flat: FlatState) -> Self {
        let before = Before { off_since_us: flat.off_since_us, sim_invalid: flat.sim_invalid, sim_last_us: flat.sim_last_us };
        Self {
            identity: Identity { run: flat.run, before: flat.before, timeline: flat.timeline, view: flat.view, claim: flat.claim, track: flat.track },
            clock: Clock { last_tick: flat.last_tick, last_us: flat.last_us, ignored: flat.ignored, lost: flat.lost, ..Clock::default() },
            start: RaceStart { green_us: flat.green_us, green_flag: flat.green_flag, waiting: flat.before_green, ..RaceStart::default() },
            motion: Motion {
                at: flat.at,
                at_inherited: flat.at_inherited,
                resume_us: flat.resume_us,
                blank: flat.blank,
                in_pits: flat.in_pits,
                ..Motion::default()
            },
            laps: Laps {
                open: flat.lap,
                past: flat.past,
                pending: flat.pending,
                last_number: flat.last_number,
                began: false,
                before,
                awaited: None,
                unseen_us: None,
                tail: None,
            },
            parts: Parts {
                pits: Guarded::On(flat.pits),
                flags: Guarded::On(flat.shows),
                fuel: Guarded::On(Fuel { low_l: flat.fuel_low_l }),
                counter: Guarded::On(flat.counter),
                ..Parts::default()
            },
            shown: flat.shown,
        }
    }
}
