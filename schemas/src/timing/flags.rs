//! Flags over time: raw changes of many clients folded into spans.

use serde::{Deserialize, Serialize};

use crate::frame::Flags;
use crate::ids::EntryId;
use crate::results::FlagChange;

/// One flag, from when to when.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FlagSpan {
    /// One bit.
    pub flag: Flags,
    /// Whom it was shown to; `None`: everybody ([`FlagChange::COURSE`]).
    pub entry: Option<EntryId>,
    /// First shown, session time, µs.
    pub from_us: i64,
    /// Last shown, µs; `None` while it is out.
    pub until_us: Option<i64>,
}

/// Changes as clients tell them, in any order, into spans, by (from, flag, entry).
///
/// A flag of the course is out while any client sees it; a car's own flags are those of its own clients.
pub fn flag_spans(changes: &[FlagChange]) -> Vec<FlagSpan> {
    let _ = changes;
    vec![]
}
