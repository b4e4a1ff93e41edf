//! Frames for single moments and for missing ranges: event, gap, end; void, closed and judged, which only the
//! server writes.

use rkyv::{Archive, Deserialize, Serialize};

use crate::frame::codes;
use crate::ids::{DriverId, RunId};
use crate::limits::SHORT_ID_MAX_BYTES;

codes! {
    /// The kind of an event.
    EventCode(u16, ArchivedEventCode) {
        /// The simulator went back (F4); `tick` and `sim_time_us` are those returned to.
        REWIND = 1;
        /// Another driver took over the car.
        DRIVER_SWAP = 2;
        /// The car was reset to the pits or towed.
        RESET = 3;
    }
}

/// An event at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Archive, Serialize, Deserialize)]
#[rkyv(derive(Debug, Clone, Copy))]
pub struct EventFrame {
    /// The simulator's tick.
    pub tick: u32,
    /// Session time, µs.
    pub sim_time_us: i64,
    /// The kind of the event.
    pub code: EventCode,
    /// Zero; for fields to come.
    pub spare: [u8; 18],
}

codes! {
    /// Why frames are missing for good.
    GapReason(u16, ArchivedGapReason) {
        /// The client's spool was full and dropped its oldest records (W8).
        SPOOL_FULL = 1;
        /// The edge refused the record twice (W7).
        REFUSED = 2;
        /// The spool's file was damaged there.
        SPOOL_DAMAGED = 3;
    }
}

/// A range of sequence numbers that the client dropped: `first_seq` of the record to `next` exclusive.
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

/// The end of a stream, reported by its client.
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
        /// The payload is not a valid archive of its kind.
        ARCHIVE = 1;
        /// A number is NaN or infinite.
        NOT_FINITE = 2;
        /// A value lies outside what is physically or logically possible.
        RANGE = 3;
        /// Clients may not send this kind of record, or it is unknown.
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
    /// Every [`Reject::name`].
    pub const NAMES: &'static [&'static str] = &["archive", "not_finite", "range", "kind", "ability", "meta", "absent", "unknown"];

    /// The reason as one word, for metrics and logs.
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
    /// Whether the server closes a session, opens it again or retires it (E9).
    Closing(u16, ArchivedClosing) {
        /// Closed until frames come: no client has sent for long enough.
        SILENCE = 1;
        /// Closed until it is opened again: a person or program requested it.
        ASKED = 2;
        /// Opened again: late facts count.
        REOPENED = 3;
        /// Closed for good: its working state is dropped, its results are kept.
        RETIRED = 4;
    }
}

impl Closing {
    /// Every [`Closing::name`].
    pub const NAMES: &'static [&'static str] = &["silence", "asked", "reopened", "retired", "unknown"];

    /// The code as one word, for metrics and logs.
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

/// The server closes a session, opens it again or retires it (E9a).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Archive, Serialize, Deserialize)]
#[rkyv(derive(Debug, Clone, Copy))]
pub struct ClosedFrame {
    /// Which of these, and why.
    pub reason: Closing,
    /// Zero; for fields to come.
    pub spare: [u8; 14],
}

codes! {
    /// Whether a person excludes a driver's reports from a session, or takes that back.
    Judging(u16, ArchivedJudging) {
        /// They do not count.
        EXCLUDED = 1;
        /// They count again.
        REINSTATED = 2;
    }
}

impl Judging {
    /// Every [`Judging::name`].
    pub const NAMES: &'static [&'static str] = &["excluded", "reinstated", "unknown"];

    /// The code as one word, for metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Judging::EXCLUDED => "excluded",
            Judging::REINSTATED => "reinstated",
            _ => "unknown",
        }
    }
}

/// A driver, or one run of a driver, whose reports a person has excluded from a session.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, serde::Serialize, serde::Deserialize)]
pub struct Exclusion {
    /// The driver.
    pub driver: DriverId,
    /// The run; `None`: all of the driver's.
    pub run: Option<RunId>,
}

impl Exclusion {
    /// Whether a stream is meant.
    pub fn covers(&self, driver: DriverId, run: RunId) -> bool {
        self.driver == driver && self.run.is_none_or(|of| of == run)
    }
}

/// A person excludes a driver, or a run of a driver, from a session, or reinstates them (E9e).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Archive, Serialize, Deserialize)]
#[rkyv(derive(Debug, Clone, Copy))]
pub struct JudgedFrame {
    /// Which of these.
    pub code: Judging,
    /// Bytes of `driver` that are its id.
    pub driver_len: u8,
    /// 1 if one run is meant, 0 if all runs of the driver are.
    pub one_run: u8,
    /// The driver's id, zeros behind it.
    pub driver: [u8; SHORT_ID_MAX_BYTES],
    /// The run, or zeros.
    pub run: [u8; 16],
    /// Zero; for fields to come.
    pub spare: [u8; 4],
}

impl JudgedFrame {
    /// The frame that says `code` of `whom`.
    pub fn of(code: Judging, whom: &Exclusion) -> Self {
        let id = whom.driver.as_str().as_bytes();
        let mut driver = [0; SHORT_ID_MAX_BYTES];
        driver.iter_mut().zip(id).for_each(|(to, from)| *to = *from);
        // Ids have 40 bytes at most.
        let driver_len = id.len() as u8;
        Self { code, driver_len, one_run: u8::from(whom.run.is_some()), driver, run: whom.run.map_or([0; 16], |run| run.0), spare: [0; 4] }
    }
}

impl ArchivedJudgedFrame {
    /// Who is meant; `None` if the id is none.
    pub fn whom(&self) -> Option<Exclusion> {
        let id = std::str::from_utf8(self.driver.get(..usize::from(self.driver_len))?).ok()?;
        Some(Exclusion { driver: DriverId::new(id).ok()?, run: (self.one_run == 1).then_some(RunId(self.run)) })
    }
}

const _: () = {
    assert!(size_of::<ArchivedEventFrame>() == 32 && align_of::<ArchivedEventFrame>() == 1);
    assert!(size_of::<ArchivedGapFrame>() == 16 && align_of::<ArchivedGapFrame>() == 1);
    assert!(size_of::<ArchivedEndFrame>() == 16 && align_of::<ArchivedEndFrame>() == 1);
    assert!(size_of::<ArchivedVoidFrame>() == 16 && align_of::<ArchivedVoidFrame>() == 1);
    assert!(size_of::<ArchivedClosedFrame>() == 16 && align_of::<ArchivedClosedFrame>() == 1);
    assert!(size_of::<ArchivedJudgedFrame>() == 64 && align_of::<ArchivedJudgedFrame>() == 1);
};
