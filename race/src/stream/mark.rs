//! [`Mark`]: a condition that holds for a lap from some moment on, and the reasons and tags that follow from it.

use boxbox_schemas::results::{Reasons, Tags};

/// A condition that holds for a lap from some moment on. It is kept with that moment, so that a rewind can remove it.
///
/// Stored states contain a mark's position in this list, so new marks go to the end.
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
    /// The fuel level rose, or was not observed: the fuel used in the lap is unknown.
    Refuelled,
    /// The car was put elsewhere: the lap has no time (`lap.jump`).
    Jumped,
    /// The car left out a part of the track (`lap.cut`).
    Cut,
    /// A full-course caution or a red flag was out (`validity.pace`).
    Pace,
    /// No client saw the car for a while before it was elsewhere (`lap.join`).
    Unseen,
    /// The car was put over the line at the lap's end (`lap.put-over`).
    PutOver,
}

impl Mark {
    pub(super) const ALL: [Mark; 17] = [
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
        Mark::Jumped,
        Mark::Cut,
        Mark::Pace,
        Mark::Unseen,
        Mark::PutOver,
    ];

    /// The reasons why the lap does not count for best (`validity.best`), and its tags.
    pub(super) fn reasons_and_tags(self) -> (Reasons, Tags) {
        let (no_reason, no_tag) = (Reasons(0), Tags(0));
        match self {
            Mark::OffTrack => (Reasons::OFF_TRACK, no_tag),
            Mark::Incident => (Reasons::INCIDENT, no_tag),
            Mark::SimInvalid => (Reasons::SIM_INVALID, no_tag),
            Mark::Missing => (Reasons::DISCONTINUITY, no_tag),
            Mark::Tow => (Reasons::TOW, no_tag),
            Mark::PitIn => (Reasons::IN_LAP, Tags::IN_LAP),         // `tag.in-lap`
            Mark::PitOut => (Reasons::OUT_LAP, Tags::OUT_LAP),      // `tag.out-lap`
            Mark::Yellow => (no_reason, Tags::HAD_YELLOW),          // `tag.had-yellow`
            Mark::Swap => (no_reason, Tags::DRIVER_SWAP),           // `tag.driver-swap`
            Mark::Estimated => (no_reason, Tags::TIMING_ESTIMATED), // `tag.timing-estimated`
            Mark::Resumed => (no_reason, Tags::RESUMED),            // `tag.resumed`
            Mark::Refuelled | Mark::Unseen => (no_reason, no_tag),
            Mark::Jumped => (Reasons::DISCONTINUITY, Tags::UNTIMED), // `tag.untimed`
            Mark::Cut => (Reasons::CUT, no_tag),
            Mark::Pace => (Reasons::PACE, no_tag),
            Mark::PutOver => (no_reason, Tags::PUT_OVER), // `tag.put-over`
        }
    }
}
