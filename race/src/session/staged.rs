//! [`Staged`]: changes of a book that are computed and not yet applied, and what they cost.

use std::collections::BTreeSet;

use boxbox_schemas::DriverId;
use boxbox_schemas::results::Lap;

use super::facts::{FactChanges, LapId, StreamTimeline};
use super::rows::Changes;

/// Changes that are computed and not yet applied.
#[derive(Default)]
pub struct Staged {
    /// Bytes that may still be added to what is kept; `None`: no bound holds.
    pub(super) room: Option<u64>,
    pub(super) facts: FactChanges,
    /// Laps about which facts have changed, by their owner's entry.
    pub(super) to_choose: BTreeSet<LapId>,
    pub(super) rows: Changes,
    /// In the order of their keys.
    pub(super) chosen: Vec<(LapId, Option<Lap>)>,
    /// Whose clients tell laps otherwise, where that has changed.
    pub(super) against: Vec<(LapId, BTreeSet<DriverId>)>,
    pub(super) work: u64,
    kept: u64,
    refused: Vec<(&'static str, u64)>,
}

impl Staged {
    /// No changes yet; so many bytes may be added to what is kept.
    pub(super) fn within(room: Option<u64>) -> Self {
        Self { room, ..Self::default() }
    }

    /// Units of work that they took: about one for each fact and each row that was looked at or changed.
    pub fn work(&self) -> u64 {
        self.work
    }

    /// Bytes that they add to what is kept, about.
    pub fn kept(&self) -> u64 {
        self.kept
    }

    /// Facts that a bound refused: the name of the bound, and how many.
    pub fn refused(&self) -> &[(&'static str, u64)] {
        &self.refused
    }

    pub(super) fn put(&mut self, id: LapId, who: StreamTimeline, fact: Lap) {
        self.facts.entry(id).or_default().insert(who, fact);
    }

    pub(super) fn refuse(&mut self, bound: &'static str) {
        match self.refused.iter_mut().find(|(known, _)| *known == bound) {
            Some((_, count)) => *count += 1,
            None => self.refused.push((bound, 1)),
        }
    }

    /// Whether there is room for `bytes` more, which are then taken (`limit.kept`).
    pub(super) fn keep(&mut self, bytes: u64) -> bool {
        let fits = self.room.is_none_or(|room| room >= bytes);
        if fits {
            self.kept += bytes;
            self.room = self.room.map(|room| room - bytes);
        } else {
            self.refuse("kept");
        }
        fits
    }
}
