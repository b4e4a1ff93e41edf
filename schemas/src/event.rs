//! Frames for single moments and for missing ranges: event, gap, end; void and closed, which only the server writes.

use rkyv::{Archive, Deserialize, Serialize};

use crate::frame::codes;

codes! {
    /// What happened.
    EventCode(u16, ArchivedEventCode) {
        /// F4: the simulator went back; `tick` and `sim_time_us` are those returned to.
        REWIND = 1;
        /// Another driver took over the car.
        DRIVER_SWAP = 2;
        /// The car was reset to the pits or towed.
        RESET = 3;
    }
}

/// One moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Archive, Serialize, Deserialize)]
#[rkyv(derive(Debug, Clone, Copy))]
pub struct EventFrame {
    /// The simulator's tick.
    pub tick: u32,
    /// Session time, µs.
    pub sim_time_us: i64,
    /// What happened.
    pub code: EventCode,
    /// Zero; for fields to come.
    pub spare: [u8; 18],
}

codes! {
    /// Why frames will never come.
    GapReason(u16, ArchivedGapReason) {
        /// The client's spool was full and dropped its oldest records (W8).
        SPOOL_FULL = 1;
        /// The edge refused the record twice (W7).
        REFUSED = 2;
        /// The spool's file was damaged there.
        SPOOL_DAMAGED = 3;
    }
}

/// A range of the sequence that the client gave up: `first_seq` of the record to `next` exclusive.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Archive, Serialize, Deserialize)]
#[rkyv(derive(Debug, Clone, Copy))]
pub struct GapFrame {
    /// First sequence number after the gap.
    pub next: u64,
    /// Why.
    pub reason: GapReason,
    /// Zero; for fields to come.
    pub spare: [u8; 6],
}

codes! {
    /// Why a stream is over.
    EndReason(u16, ArchivedEndReason) {
        /// The driver left or the recording ended.
        FINISHED = 1;
        /// The simulator went on to another session.
        SESSION_CHANGED = 2;
    }
}

/// The client says that its stream ends here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Archive, Serialize, Deserialize)]
#[rkyv(derive(Debug, Clone, Copy))]
pub struct EndFrame {
    /// The simulator's last tick.
    pub tick: u32,
    /// Its session time, µs.
    pub sim_time_us: i64,
    /// Why.
    pub reason: EndReason,
    /// Zero; for fields to come.
    pub spare: [u8; 2],
}

codes! {
    /// Why an edge replaced a record by a void, or refuses content (W7).
    Reject(u16, ArchivedReject) {
        /// The payload is no valid archive of its kind.
        ARCHIVE = 1;
        /// A number is NaN or infinite.
        NOT_FINITE = 2;
        /// A value lies outside what is physically or logically possible.
        RANGE = 3;
        /// The record's kind is not for clients or not known.
        KIND = 4;
        /// The grant does not cover this kind of record.
        ABILITY = 5;
        /// Metadata breaks a bound.
        META = 6;
        /// An absent field is not zero.
        ABSENT = 7;
    }
}

impl Reject {
    /// The reason in a word, for metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Reject::ARCHIVE => "archive",
            Reject::NOT_FINITE => "not_finite",
            Reject::RANGE => "range",
            Reject::KIND => "kind",
            Reject::ABILITY => "ability",
            Reject::META => "meta",
            Reject::ABSENT => "absent",
            _ => "unknown",
        }
    }
}

/// The edge's replacement for a record whose content it refuses: `first_seq` to `next` exclusive (W7).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Archive, Serialize, Deserialize)]
#[rkyv(derive(Debug, Clone, Copy))]
pub struct VoidFrame {
    /// First sequence number after the refused record.
    pub next: u64,
    /// Why.
    pub reason: Reject,
    /// Zero; for fields to come.
    pub spare: [u8; 6],
}

codes! {
    /// How the server changes a session's life (E9).
    Closing(u16, ArchivedClosing) {
        /// Closed: nobody has sent for long enough.
        SILENCE = 1;
        /// Closed: somebody asked for it.
        ASKED = 2;
        /// Opened again: what came late counts.
        REOPENED = 3;
        /// Closed for good: its working state is dropped, its results stay.
        RETIRED = 4;
    }
}

impl Closing {
    /// It in a word, for metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Closing::SILENCE => "silence",
            Closing::ASKED => "asked",
            Closing::REOPENED => "reopened",
            Closing::RETIRED => "retired",
            _ => "unknown",
        }
    }
}

/// The server closes a session, or opens it again (E9).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Archive, Serialize, Deserialize)]
#[rkyv(derive(Debug, Clone, Copy))]
pub struct ClosedFrame {
    /// Which of it, and why.
    pub reason: Closing,
    /// Zero; for fields to come.
    pub spare: [u8; 14],
}

const _: () = {
    assert!(size_of::<ArchivedEventFrame>() == 32 && align_of::<ArchivedEventFrame>() == 1);
    assert!(size_of::<ArchivedGapFrame>() == 16 && align_of::<ArchivedGapFrame>() == 1);
    assert!(size_of::<ArchivedEndFrame>() == 16 && align_of::<ArchivedEndFrame>() == 1);
    assert!(size_of::<ArchivedVoidFrame>() == 16 && align_of::<ArchivedVoidFrame>() == 1);
    assert!(size_of::<ArchivedClosedFrame>() == 16 && align_of::<ArchivedClosedFrame>() == 1);
};
