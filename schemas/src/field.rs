//! [`FieldFrame`]: another car as one client sees it; 4 Hz by default, only cars in the world (F2).

use rkyv::{Archive, Deserialize, Serialize};

use crate::frame::{Flags, TrackLoc, bits};

bits! {
    /// Yes-or-no values of a [`FieldFrame`], and which of its fields are present.
    FieldBits(u8, ArchivedFieldBits) {
        /// Between the pit lane's cones.
        ON_PIT_ROAD = 1 << 0;
        /// `last_lap_time_us` is present.
        LAST_LAP_TIME = 1 << 1;
        /// `est_time_us` is present.
        EST_TIME = 1 << 2;
        /// `flags` are present.
        FLAGS = 1 << 3;
    }
}

/// Another car, as seen by a client.
#[derive(Clone, Copy, PartialEq, Debug, Default, Archive, Serialize, Deserialize)]
#[rkyv(derive(Debug, Clone, Copy))]
pub struct FieldFrame {
    /// The simulator's tick.
    pub tick: u32,
    /// Session time, µs.
    pub sim_time_us: i64,
    /// The other car's slot.
    pub slot: u16,
    /// Laps started, the simulator's counter.
    pub lap: i16,
    /// Laps completed, the simulator's counter.
    pub laps_completed: i16,
    /// Engine speed, rev/min.
    pub rpm: u16,
    /// Fraction of the lap, 0..1.
    pub lap_pct: f32,
    /// Flags shown to that car.
    pub flags: Flags,
    /// The simulator's own time of the last lap, µs.
    pub last_lap_time_us: i32,
    /// The simulator's estimate of the time from the line to here, µs.
    pub est_time_us: i32,
    /// Where the car is.
    pub track_loc: TrackLoc,
    /// Yes-or-no values, and which fields are present.
    pub bits: FieldBits,
    /// Overall position, 1-based, 0 unknown.
    pub place: u8,
    /// Position in class, 1-based, 0 unknown.
    pub class_place: u8,
    /// Gear: -1 reverse, 0 neutral.
    pub gear: i8,
    /// Zero; for fields to come.
    pub spare: [u8; 3],
}

/// Bytes of one archived [`FieldFrame`].
pub const FIELD_FRAME_BYTES: usize = size_of::<ArchivedFieldFrame>();
const _: () = assert!(FIELD_FRAME_BYTES == 44 && align_of::<ArchivedFieldFrame>() == 1);
