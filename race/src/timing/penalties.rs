//! Black flags and the visits to the pits that serve them (`penalty.served`).

use serde::{Deserialize, Serialize};

use super::FlagSpan;
use boxbox_schemas::frame::Flags;
use boxbox_schemas::ids::EntryId;
use boxbox_schemas::results::{PitKind, PitVisit};

/// A penalty is cleared at most this long after the car left the pits, µs: simulators change flags up to 3 s late.
const CLEARED_LAG_US: i64 = 3_000_000;

/// What became of a black flag.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is still shown.
    Open,
    /// It was cleared by a drive through the pits.
    DriveThrough,
    /// It was cleared by a stop in the stall.
    StopAndGo,
    /// It was cleared without a visit to the pits: by race control.
    Withdrawn,
    /// The car was disqualified.
    Disqualified,
}

impl Outcome {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Open => "open",
            Outcome::DriveThrough => "drive_through",
            Outcome::StopAndGo => "stop_and_go",
            Outcome::Withdrawn => "withdrawn",
            Outcome::Disqualified => "disqualified",
        }
    }
}

/// A black flag: a penalty that a car has to serve.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Penalty {
    /// To whom it was shown.
    pub entry: EntryId,
    /// From when, session time, µs.
    pub from_us: i64,
    /// Until when, µs; `None` while it is shown.
    pub until_us: Option<i64>,
    /// What became of it.
    pub outcome: Outcome,
    /// When the visit began that served it, µs; `None` if none did.
    pub served_us: Option<i64>,
}

/// The black flags of all cars, by (time, entry), from spans of flags and folded visits.
pub(super) fn penalties(spans: &[FlagSpan], visits: &[PitVisit]) -> Vec<Penalty> {
    let of = |flag: Flags| spans.iter().filter(move |s| s.flag == flag).filter_map(|s| Some((s.entry?, s)));
    let mut penalties: Vec<Penalty> = vec![];
    for (entry, span) in of(Flags::BLACK) {
        let disqualified = || of(Flags::DISQUALIFIED).any(|(other, dq)| other == entry && becomes(span, dq));
        let visit = visits.iter().rfind(|v| v.entry == entry && serves(v, span));
        let outcome = match (span.until_us, visit) {
            _ if disqualified() => Outcome::Disqualified,
            (None, _) => Outcome::Open,
            (Some(_), Some(v)) if v.kind == PitKind::STOP => Outcome::StopAndGo,
            (Some(_), Some(_)) => Outcome::DriveThrough,
            (Some(_), None) => Outcome::Withdrawn,
        };
        let served_us = visit.filter(|_| matches!(outcome, Outcome::DriveThrough | Outcome::StopAndGo)).map(|v| v.enter_us);
        penalties.push(Penalty { entry, from_us: span.from_us, until_us: span.until_us, outcome, served_us });
    }
    penalties.sort_by_key(|p| (p.from_us, p.entry));
    penalties
}

/// Whether the car came in after the flag was shown, by driving, and the flag was cleared in this visit or right after it.
fn serves(visit: &PitVisit, black: &FlagSpan) -> bool {
    let Some(cleared_us) = black.until_us else { return false };
    let drove_in = matches!(visit.kind, PitKind::STOP | PitKind::DRIVE_THROUGH);
    let in_time = visit.enter_us >= black.from_us && visit.enter_us <= cleared_us;
    drove_in && in_time && visit.exit_us.is_none_or(|exit_us| cleared_us <= exit_us.saturating_add(CLEARED_LAG_US))
}

/// Whether the black flag became a disqualification.
fn becomes(black: &FlagSpan, disqualified: &FlagSpan) -> bool {
    let until_us = black.until_us.map_or(i64::MAX, |us| us.saturating_add(CLEARED_LAG_US));
    (black.from_us..=until_us).contains(&disqualified.from_us)
}
