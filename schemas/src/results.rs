//! What processors compute and stores keep: laps, incident steps, ledgers, checkpoints.
//!
//! Times are session times of the simulator in µs (F7). Bit sets are stored as numbers and shown by name.

use serde::{Deserialize, Serialize};

use crate::frame::bits;
use crate::ids::{DriverId, EntryId, LogId, RunId, SessionId, Source, StreamKey, TenantId};
use crate::meta::SessionMeta;

bits! {
    /// Why a lap does not count for best. None set: it counts.
    Reasons(u32, ArchivedReasons) {
        /// The car entered the pit lane in the lap.
        IN_LAP = 1 << 0;
        /// The car was in the pits when the lap began, or left them in it.
        OUT_LAP = 1 << 1;
        /// The car left the track.
        OFF_TRACK = 1 << 2;
        /// The driver's incident counter rose.
        INCIDENT = 1 << 3;
        /// The simulator itself calls the lap invalid.
        SIM_INVALID = 1 << 4;
        /// Frames are missing or the car jumped within the lap.
        DISCONTINUITY = 1 << 5;
        /// The car was towed or reset.
        TOW = 1 << 6;
    }
}

bits! {
    /// What is worth knowing of a lap and does not change whether it counts.
    Tags(u32, ArchivedTags) {
        /// First lap of a race: timed from the green light.
        FIRST_LAP = 1 << 0;
        /// The green light is known to one tick only.
        START_ESTIMATED = 1 << 1;
        /// As [`Reasons::IN_LAP`].
        IN_LAP = 1 << 2;
        /// As [`Reasons::OUT_LAP`].
        OUT_LAP = 1 << 3;
        /// Frames were missing across a line: its time is interpolated over more than a moment.
        TIMING_ESTIMATED = 1 << 4;
        /// A yellow flag was out.
        HAD_YELLOW = 1 << 5;
        /// The simulator's own time differs from ours by more than 50 ms.
        SIM_TIME_DIFFERS = 1 << 6;
        /// It came after the session was closed (E9).
        LATE = 1 << 7;
        /// Another driver took over in the lap; it is credited to whoever crossed the line.
        DRIVER_SWAP = 1 << 8;
        /// Not every sector marker was crossed: sector times are absent.
        NO_SECTORS = 1 << 9;
        /// The client was restarted within the lap.
        RESUMED = 1 << 10;
    }
}

/// A run of frames of one stream: the evidence of a result.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Span {
    /// The driver whose stream it is.
    pub driver: DriverId,
    /// The stream's run.
    pub run: RunId,
    /// First sequence number.
    pub first_seq: u64,
    /// First sequence number after it.
    pub next_seq: u64,
}

/// A timed lap: as one stream tells it (a fact, E3), or as chosen for its entry (a result).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Lap {
    /// The session.
    pub session: SessionId,
    /// Who competes.
    pub entry: EntryId,
    /// Lap number, 1-based: laps completed before it, plus 1.
    pub number: u32,
    /// Who crossed the line at its end.
    pub driver: DriverId,
    /// The run that tells it.
    pub run: RunId,
    /// The car's slot then.
    pub slot: u16,
    /// E2: how many rewinds its stream had before it.
    pub timeline: u32,
    /// E4: a higher one replaces a lower one. 1 at the crossing.
    pub revision: u32,
    /// Session time at its start, µs.
    pub start_us: i64,
    /// Session time at its end, µs.
    pub end_us: i64,
    /// `end_us - start_us`.
    pub time_us: i64,
    /// The simulator's own time of this lap, µs.
    pub sim_time_us: Option<i64>,
    /// Sector times, µs; they sum to `time_us` exactly. Empty with [`Tags::NO_SECTORS`].
    pub sectors_us: Vec<i64>,
    /// Why it does not count for best.
    pub reasons: Reasons,
    /// What else is worth knowing.
    pub tags: Tags,
    /// Frames it was computed from.
    pub frames: u32,
    /// The simulator's tick at or before its start.
    pub start_tick: u32,
    /// The simulator's tick at or after its end.
    pub end_tick: u32,
    /// Nothing about it will change unless frames before its end arrive: the simulator's own time came, or 5 s passed without.
    pub settled: bool,
    /// E4: a rewind went back to before its end. Kept for the record, never chosen.
    pub superseded: bool,
    /// Its frames.
    pub spans: Vec<Span>,
}

impl Lap {
    /// Whether the lap counts for best.
    pub fn valid(&self) -> bool {
        self.reasons.is_empty()
    }
}

/// A change of a driver's own incident counter.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct IncidentStep {
    /// The session.
    pub session: SessionId,
    /// Who competes.
    pub entry: EntryId,
    /// Whose counter.
    pub driver: DriverId,
    /// The stream's run.
    pub run: RunId,
    /// The stream's timeline.
    pub timeline: u32,
    /// Tick of the first frame with the new count.
    pub tick: u32,
    /// Its session time, µs.
    pub sim_time_us: i64,
    /// Count before.
    pub from: u16,
    /// Count after.
    pub to: u16,
    /// E4: a rewind went back to before it. Kept for the record, not shown.
    pub superseded: bool,
}

impl IncidentStep {
    /// E3 for incidents: several runs of a driver tell of one counter, so a count that one has told is not told again.
    ///
    /// Takes the steps of one session in any order, gives them by (entry, driver, time), each rise of each counter once:
    /// what lies above the highest count so far. A counter that the simulator sets back within a session is not followed.
    pub fn fold(mut steps: Vec<IncidentStep>) -> Vec<IncidentStep> {
        steps.retain(|s| !s.superseded);
        steps.sort_by_key(|s| (s.entry, s.driver, s.sim_time_us, s.to, s.run));
        let mut told: Option<(EntryId, DriverId, u16)> = None;
        steps.retain_mut(|step| {
            let highest = match told {
                Some((entry, driver, highest)) if (entry, driver) == (step.entry, step.driver) => highest,
                // The first run may have begun in mid-session, with a count already.
                _ => step.from,
            };
            let news = step.to > highest;
            step.from = step.from.max(highest);
            told = Some((step.entry, step.driver, highest.max(step.to)));
            news
        });
        steps
    }
}

/// A session as the platform knows it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct SessionInfo {
    /// Its id.
    pub id: SessionId,
    /// Whose it is.
    pub tenant: TenantId,
    /// What its clients say they look at.
    pub source: Source,
    /// When its first record was received, Unix µs. For lists; it orders nothing else.
    pub opened_at_us: i64,
    /// When its last record was received, Unix µs.
    pub updated_at_us: i64,
    /// Highest session time seen, µs.
    pub sim_time_us: i64,
    /// Whether it was closed (E9).
    pub closed: bool,
    /// The description by the lowest (driver, run) that sent one, newest revision.
    pub meta: Option<SessionMeta>,
    /// Which stream `meta` is from, and its revision there.
    pub meta_from: Option<(DriverId, RunId, u32)>,
}

/// E1: where every sequence number of a stream went. `expected = admitted + void + gap + hole` at all times.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Ledger {
    /// The stream.
    pub stream: StreamKey,
    /// First sequence number that has not come: everything below it is accounted for.
    pub expected: u64,
    /// Sequence numbers processed.
    pub admitted: u64,
    /// Of those, frames of the client's own car.
    pub car_frames: u64,
    /// Sequence numbers that came again and were dropped.
    pub duplicate: u64,
    /// Sequence numbers dropped because earlier ones, unacked, had not come yet; they come again.
    pub early: u64,
    /// Admitted after the session was closed.
    pub late: u64,
    /// Refused by an edge, by [`crate::event::Reject::name`], in the order first seen.
    pub void: Vec<(String, u64)>,
    /// Given up by the client.
    pub gap: u64,
    /// Acked by an edge and never seen in the log: it must not happen.
    pub hole: u64,
    /// Records whose payload could not be read although an edge let them pass; counted in `admitted`.
    pub unreadable: u64,
    /// The stream's end came.
    pub ended: bool,
}

impl Ledger {
    /// An empty ledger: every stream begins at 0.
    pub fn new(stream: StreamKey) -> Self {
        Self {
            stream,
            expected: 0,
            admitted: 0,
            car_frames: 0,
            duplicate: 0,
            early: 0,
            late: 0,
            void: vec![],
            gap: 0,
            hole: 0,
            unreadable: 0,
            ended: false,
        }
    }
    /// Sequence numbers refused by edges.
    pub fn voided(&self) -> u64 {
        self.void.iter().map(|(_, n)| n).sum()
    }
    /// Whether every sequence number below `expected` is accounted for.
    pub fn balances(&self) -> bool {
        self.expected == self.admitted + self.voided() + self.gap + self.hole
    }
}

/// E7: how far a partition is processed, and how to know that it is still the same log.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The log.
    pub log: LogId,
    /// The partition.
    pub partition: u32,
    /// Offset of the last record processed.
    pub offset: u64,
    /// CRC32C of that record's bytes.
    pub crc: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn step(run: u8, at: i64, from: u16, to: u16) -> IncidentStep {
        let id = |t: &str| crate::ShortId::new(t).unwrap();
        IncidentStep {
            session: SessionId::default(),
            entry: EntryId(id("e")),
            driver: DriverId(id("d")),
            run: RunId([run; 16]),
            timeline: 0,
            tick: at as u32,
            sim_time_us: at,
            from,
            to,
            superseded: false,
        }
    }

    #[test]
    fn a_run_that_saw_less_adds_only_what_is_new() {
        // One run at full rate, one at a low rate that saw two rises as one, one that joined late.
        let steps = vec![step(1, 10, 0, 1), step(1, 20, 1, 2), step(2, 21, 0, 2), step(3, 30, 2, 4), step(1, 30, 2, 4)];
        let told: Vec<_> = IncidentStep::fold(steps).iter().map(|s| (s.sim_time_us, s.from, s.to)).collect();
        assert_eq!(told, [(10, 0, 1), (20, 1, 2), (30, 2, 4)]);
    }

    proptest! {
        #[test]
        fn however_often_and_in_whatever_order_a_counter_is_told_it_is_one_counter(
            rises in proptest::collection::vec((1i64..1_000, 1u16..5), 1..20), runs in 1u8..5, seed: u64,
        ) {
            let (mut at, mut count, mut truth) = (0, 0, vec![]);
            for (later, more) in rises {
                at += later;
                truth.push((at, count, count + more));
                count += more;
            }
            let mut steps: Vec<_> = (0..runs).flat_map(|run| truth.iter().map(move |(at, from, to)| step(run, *at, *from, *to))).collect();
            // Any order: rotate and reverse by the seed.
            let turn = (seed as usize) % steps.len();
            steps.rotate_left(turn);
            if seed % 2 == 0 { steps.reverse(); }
            let told: Vec<_> = IncidentStep::fold(steps).iter().map(|s| (s.sim_time_us, s.from, s.to)).collect();
            prop_assert_eq!(told, truth);
        }
    }
}
