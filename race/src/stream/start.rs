//! [`RaceStart`]: when the race started. Lap 1 runs from the green light (`start.green`).

use boxbox_schemas::frame::Flags;
use serde::{Deserialize, Serialize};

use super::fact::Start;
use super::frame::Frame;
use super::sparse::is_default;
use super::track::SessionKind;

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
    /// The field waits for the green light.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) waiting: bool,
}

impl RaceStart {
    /// Whether this frame shows the start of a session of this kind. The session state is not used, because in a real standing start it
    /// changed 1.1 s after the light.
    #[inline]
    pub(super) fn shows(&mut self, frame: &Frame, kind: SessionKind) -> bool {
        let shown = frame.flags.has(Flags::GREEN);
        let rose = shown && !std::mem::replace(&mut self.green_flag, shown);
        // A rolling start may show the green flag and no start lights.
        let go = frame.flags_seen.has(Flags::START_GO) || (rose && self.waiting && kind == SessionKind::Race);
        go && self.begin(frame.us, kind)
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
            self.green_us = Some(us);
        }
        begins
    }

    /// Laps before the start are parade laps (`start.parade`).
    pub(super) fn parade(&self, kind: SessionKind) -> bool {
        kind == SessionKind::Race && self.waiting && self.green_us.is_none()
    }

    /// Go back to what was known at `to_us`.
    pub(super) fn rewind(&mut self, to_us: i64) {
        *self = Self { green_us: self.green_us.filter(|us| *us <= to_us), green_flag: false, waiting: self.waiting };
    }
}
