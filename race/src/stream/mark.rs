//! [`Mark`]: what is true of a lap from some moment on, and the reasons and tags that follow.

use boxbox_schemas::results::{Reasons, Tags};

/// What is true of a lap from some moment on. Kept with the moment, so that a rewind takes it back.
///
/// Stored states hold a mark as its place in this list: new ones go to the end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mark {
    OffTrack,
    Incident,
    SimInvalid,
    Missing,
    Tow,
    PitIn,
    PitOut,
    Yellow,
    Swap,
    Estimated,
    Resumed,
    /// The fuel level rose, or it was not watched: what was used in the lap is not known.
    Refuelled,
}

impl Mark {
    pub(super) const ALL: [Mark; 12] = [
        Mark::OffTrack,
        Mark::Incident,
        Mark::SimInvalid,
        Mark::Missing,
        Mark::Tow,
        Mark::PitIn,
        Mark::PitOut,
        Mark::Yellow,
        Mark::Swap,
        Mark::Estimated,
        Mark::Resumed,
        Mark::Refuelled,
    ];

    /// Why the lap does not count for best (`validity.best`), and what else is to be known of it.
    pub(super) fn means(self) -> (Reasons, Tags) {
        let (no_reason, no_tag) = (Reasons(0), Tags(0));
        match self {
            Mark::OffTrack => (Reasons::OFF_TRACK, no_tag),
            Mark::Incident => (Reasons::INCIDENT, no_tag),
            Mark::SimInvalid => (Reasons::SIM_INVALID, no_tag),
            Mark::Missing => (Reasons::DISCONTINUITY, no_tag),
            Mark::Tow => (Reasons::TOW, no_tag),
            Mark::PitIn => (Reasons::IN_LAP, Tags::IN_LAP),
            Mark::PitOut => (Reasons::OUT_LAP, Tags::OUT_LAP),
            Mark::Yellow => (no_reason, Tags::HAD_YELLOW),
            Mark::Swap => (no_reason, Tags::DRIVER_SWAP),
            Mark::Estimated => (no_reason, Tags::TIMING_ESTIMATED),
            Mark::Resumed => (no_reason, Tags::RESUMED),
            Mark::Refuelled => (no_reason, no_tag),
        }
    }
}
