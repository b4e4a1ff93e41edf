//! Which sessions of a partition are in memory. The others are in the store, with everything that is committed of them, and come back
//! when a record needs them: so memory follows what is going on, not history. Pure, as the rest of [`Partition`]: the pump loads what
//! [`Partition::process`] asks for (E9d).
//!
//! A session that leaves and comes back is as after a restart of the processor, so the results are the same wherever that happens
//! (E11). It leaves only when everything of it is committed.

use std::collections::{BTreeMap, BTreeSet};

use boxbox_schemas::SessionId;
use boxbox_schemas::results::memory::{fact_bytes, info_bytes, lap_bytes, row_bytes};
use boxbox_schemas::results::{SessionInfo, SessionKey};
use boxbox_store::Step;

/// What a session's place in memory depends on.
#[derive(Default)]
pub(crate) struct Residence {
    /// About how many bytes it takes: exact, by the figures of [`memory`](boxbox_schemas::results::memory), when it has come from the store;
    /// then at least as many, since what changes again is counted again.
    pub(crate) bytes: u64,
    /// How many records of the partition had been processed when the last one of it came.
    pub(crate) used: u64,
    /// It is too large, and here without its streams and its book (`session.park`).
    pub(crate) parked: bool,
    /// The part of `bytes` that its description takes.
    pub(crate) info: u64,
}

impl Residence {
    pub(crate) fn new(info: &SessionInfo) -> Self {
        let info = info_bytes(info);
        Self { bytes: info, info, ..Self::default() }
    }

    /// A part of it took `before` bytes and takes `after`.
    pub(crate) fn changed(&mut self, before: u64, after: u64) {
        self.bytes = (self.bytes + after).saturating_sub(before);
    }

    /// The step has got what is new.
    pub(crate) fn grew(&mut self, Grown { facts, laps, rows }: Grown, step: &Step, info: &SessionInfo, described: bool) {
        let laps = step.laps[laps..].iter().filter(|lap| lap.revision == 1).map(lap_bytes);
        let new = step.facts[facts..].iter().map(fact_bytes).chain(laps).chain(step.rows[rows..].iter().map(row_bytes));
        self.bytes += new.sum::<u64>();
        if described {
            let before = std::mem::replace(&mut self.info, info_bytes(info));
            self.changed(before, self.info);
        }
    }
}

/// How much a step had before a session put its own there.
pub(crate) struct Grown {
    facts: usize,
    laps: usize,
    rows: usize,
}

impl Grown {
    pub(crate) fn before(step: &Step) -> Self {
        Self { facts: step.facts.len(), laps: step.laps.len(), rows: step.rows.len() }
    }
}

/// The sessions of a partition that are not in memory.
#[derive(Default)]
pub(crate) struct Elsewhere {
    /// Those that are open, with the number of their records so far.
    pub(crate) open: BTreeMap<SessionId, (SessionKey, u64)>,
    /// Sessions that a record has named and the store does not have: they are new.
    pub(crate) new: BTreeSet<SessionId>,
    /// Sessions that are here and parked.
    pub(crate) parked: BTreeSet<SessionId>,
}

impl Elsewhere {
    /// Whether the session is known to be new; it is opened now.
    pub(crate) fn opens(&mut self, session: &SessionId) -> bool {
        self.new.remove(session)
    }

    /// Whether the session is known to be new.
    pub(crate) fn has_none(&self, session: &SessionId) -> bool {
        self.new.contains(session)
    }

    /// A step was taken: what it opens will be in the store, and a session that it retires is parked no more.
    pub(crate) fn step_taken(&mut self, parked: impl Fn(&SessionId) -> bool) {
        self.new.clear();
        self.parked.retain(parked);
    }
}
