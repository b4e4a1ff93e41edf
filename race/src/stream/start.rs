//! [`RaceStart`]: when the race was let go. Lap 1 runs from the green light (`start.green`).

use boxbox_schemas::frame::Flags;
use serde::{Deserialize, Serialize};

use super::fact::Start;
use super::frame::Frame;
use super::sparse::is_default;
use super::track::Kind;

/// The start of the race, as far as it is known. It belongs to the session, so another car in the slot keeps it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct RaceStart {
    /// When the race was let go, µs.
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
    /// Whether this frame shows the start of a session of this kind. The session state is no use: in a real standing start it
    /// came 1.1 s after the light.
    #[inline]
    pub(super) fn shows(&mut self, frame: &Frame, kind: Kind) -> bool {
        let shown = frame.flags.has(Flags::GREEN);
        let rose = shown && !std::mem::replace(&mut self.green_flag, shown);
        // A rolling start may show the green flag and no start lights.
        let go = frame.flags_seen.has(Flags::START_GO) || (rose && self.waiting && kind == Kind::Race);
        go && self.begin(frame.us, kind)
    }

    /// What the observer of this car knows of the start (`start.seen`). When the race was let go, if that is new.
    pub(super) fn learn(&mut self, known: Start, kind: Kind) -> Option<i64> {
        self.waiting = known.waiting;
        known.green_us.filter(|us| self.begin(*us, kind))
    }

    /// A session that is no race has no start, and a race has one (`start.once`).
    fn begin(&mut self, us: i64, kind: Kind) -> bool {
        let begins = self.green_us.is_none() && kind != Kind::Other;
        if begins {
            self.green_us = Some(us);
        }
        begins
    }

    /// Laps before the start are parade laps (`start.parade`).
    pub(super) fn parade(&self, kind: Kind) -> bool {
        kind == Kind::Race && self.waiting && self.green_us.is_none()
    }

    /// As it was known at `to_us`.
    pub(super) fn rewind(&mut self, to_us: i64) {
        *self = Self { green_us: self.green_us.filter(|us| *us <= to_us), green_flag: false, waiting: self.waiting };
    }
}
