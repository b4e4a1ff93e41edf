//! [`RaceStart`]: when the race started. Lap 1 runs from the green light (`start.green`).

use boxbox_schemas::frame::{Flags, SessionState};
use serde::{Deserialize, Serialize};

use super::fact::Start;
use super::frame::{Frame, missing};
use super::sparse::is_default;
use super::track::SessionKind;

/// A green flag this long after the field has waited is that of the start, µs.
const GREEN_LAG_US: i64 = 5_000_000;

/// What is known about the start of the race. It belongs to the session, so it is kept when another car takes the slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct RaceStart {
    /// When the race started, µs.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) green_us: Option<i64>,
    /// The green flag was out in the frame before.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) green_flag: bool,
    /// The start light was on in the frame before.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) green_light: bool,
    /// The field waits for the green light.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) waiting: bool,
    /// When the field was last seen waiting, µs; `None` after the start.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) waited_us: Option<i64>,
}

impl RaceStart {
    /// Whether this frame of the own car shows the start of a session of this kind; `before_us` is the time of the frame before. A light
    /// or a flag that is out already in the first frame went out before it, so that its time is not known.
    #[inline]
    pub(super) fn shows(&mut self, frame: &Frame, before_us: Option<i64>, kind: SessionKind) -> bool {
        let seen = frame.flags_seen.with(frame.flags);
        let (flag, light) = (seen.has(Flags::GREEN), seen.has(Flags::START_GO));
        let flag_before = std::mem::replace(&mut self.green_flag, frame.flags.has(Flags::GREEN));
        let light_before = std::mem::replace(&mut self.green_light, frame.flags.has(Flags::START_GO));
        let waited = std::mem::replace(&mut self.waiting, frame.before_green());
        if self.green_us.is_some() {
            return false;
        }
        if self.waiting {
            self.waited_us = Some(frame.us);
        }
        let lately = self.waited_us.is_some_and(|us| frame.us - us <= GREEN_LAG_US);
        // In a real standing start the state changed 1.1 s after the light, so it decides only where the simulator shows no flags.
        let went = waited && frame.state == SessionState::RACING && !frame.knows_flags;
        let green = kind == SessionKind::Race && (went || flag && !flag_before && lately);
        let possible = before_us.is_some_and(|us| !missing(us, frame.us)) && (frame.pct.is_none() || frame.before_first_lap());
        (light && !light_before || green) && possible && self.begin(frame.us, kind)
    }

    /// Take over what the observer of this car knows of the start (`start.seen`). Returns when the race started, if that is new.
    pub(super) fn learn(&mut self, known: Start, kind: SessionKind) -> Option<i64> {
        self.waiting = known.waiting;
        known.green_us.filter(|us| self.begin(*us, kind))
    }

    /// Note the start: a race has one, other sessions have none (`start.once`). True if it is new.
    fn begin(&mut self, us: i64, kind: SessionKind) -> bool {
        let begins = self.green_us.is_none() && kind != SessionKind::Other;
        if begins {
            (self.green_us, self.waited_us) = (Some(us), None);
        }
        begins
    }

    /// Laps before the start are parade laps (`start.parade`).
    pub(super) fn parade(&self, kind: SessionKind) -> bool {
        kind == SessionKind::Race && self.waiting && self.green_us.is_none()
    }

    /// Go back to what was known at `to_us`.
    pub(super) fn rewind(&mut self, to_us: i64) {
        *self = Self { green_us: self.green_us.filter(|us| *us <= to_us), waiting: self.waiting, ..Self::default() };
    }
}
