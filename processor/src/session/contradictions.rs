//! [`Contradictions`]: what the clients of a session tell against each other.

use std::collections::BTreeMap;
use std::ops::Range;

use boxbox_schemas::DriverId;
use boxbox_schemas::results::Conflict;

/// What the clients of a session tell against each other.
#[derive(Default)]
pub(super) struct Contradictions {
    /// Of the description.
    pub(super) described: Vec<Conflict>,
    /// The time that goes by may decide some of it.
    pub(super) described_open: bool,
    /// Of claims to teams.
    pub(super) claims: Vec<Conflict>,
    /// Of each driver who contradicts a claim, between which session times of the newest frame, µs, that changes nothing.
    pub(super) undecided: BTreeMap<DriverId, Range<i64>>,
}
