//! Computes order, gaps, stints, best laps, fuel and classification from laps, pit visits, flags and cars (E3c).
//!
//! Pure functions of stored rows: the same rows in any order give the same answer, for any moment. The answer is provisional while
//! a session runs and final once it is closed. Rules: docs/RULES.md, sections 10 to 15.

mod classification;
mod counting;
mod digest;
mod finish;
mod flags;
mod gaps;
mod majority;
mod order;
mod passings;
mod past;
mod penalties;
mod pits;
mod race_control;
mod runner;
mod standing;
mod status;
mod stints;
mod summary;
mod unheard;

pub use self::classification::{Classified, classification};
pub use self::counting::{Counting, best_lap};
pub use self::digest::digest;
pub use self::finish::{DecidedBy, FINISH_QUESTIONS, Finish, FinishLaps, chequered_us, finish, finish_laps, light_us};
pub use self::flags::{FlagSpan, flag_spans};
pub use self::majority::{Held, Reports, majority};
pub use self::order::{newest_car, order, with_laps_begun_by_others};
pub use self::penalties::{Outcome, Penalty};
pub use self::pits::pit_visits;
pub use self::race_control::{Caution, Formation, RaceControl, RedFlag, Seen, flags_out, race_control};
pub use self::standing::{Moment, Standing};
pub use self::status::{Status, Why};
pub use self::stints::{Stint, stints};
pub use self::summary::{Summary, summaries};
pub use self::unheard::unheard;
use boxbox_schemas::ids::EntryId;
use boxbox_schemas::meta::{MetaEntry, SessionMeta};
use boxbox_schemas::results::{CarNow, FlagChange, Lap, PitVisit, SessionInfo, SessionStateChange};

/// What decides the order of a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ranking {
    /// Races: laps completed, then the earlier crossing.
    Distance,
    /// The best valid lap: practice, qualifying, and everything else.
    BestLap,
}

impl Ranking {
    /// How this session is ranked (`race.ranking`).
    pub fn of(session: &SessionInfo) -> Self {
        let race = session.meta.as_ref().is_some_and(|m| m.session_type.to_ascii_lowercase().contains("race"));
        if race { Ranking::Distance } else { Ranking::BestLap }
    }
}

/// The rows of a session that decide when it ends and what its result is.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The session.
    pub session: &'a SessionInfo,
    /// Its chosen laps.
    pub laps: &'a [Lap],
    /// Changes of flags, of each stream.
    pub flags: &'a [FlagChange],
    /// Changes of the session state, of each stream.
    pub states: &'a [SessionStateChange],
    /// Where cars are, of each stream.
    pub cars: &'a [CarNow],
    /// Visits to the pits, of each stream.
    pub pit_visits: &'a [PitVisit],
}

impl<'a> Facts<'a> {
    /// A session of which only laps are known.
    pub fn of(session: &'a SessionInfo, laps: &'a [Lap]) -> Self {
        Self { session, laps, flags: &[], states: &[], cars: &[], pit_visits: &[] }
    }

    /// How the session is ranked.
    pub fn ranking(&self) -> Ranking {
        Ranking::of(self.session)
    }
}

/// The car in `slot` as the session's description has it; `None` also for pace cars and spectators.
pub fn competitor(meta: Option<&SessionMeta>, slot: u16) -> Option<&MetaEntry> {
    meta?.entries.iter().find(|e| e.slot == slot && !matches!(e.special, 1 | 2))
}

/// The class of the car in `slot`; 0 if the description does not say.
pub(crate) fn class_of(session: &SessionInfo, slot: u16) -> u32 {
    competitor(session.meta.as_ref(), slot).map_or(0, |e| e.class_id)
}

/// The newest of the rows of one car; of equal ones its own client's. A driver who is not in the car shows nothing of it.
pub(crate) fn newest_shown<'a>(cars: impl Iterator<Item = &'a CarNow>) -> Option<&'a CarNow> {
    cars.max_by_key(|c| (!c.watching, c.sim_time_us, !c.field, std::cmp::Reverse((c.driver, c.run, c.slot))))
}

/// Places within each class, 1-based, for rows that are in overall order: `class(row)` is its class (`order.class`).
pub(crate) fn class_positions<T>(rows: &mut [T], class: impl Fn(&T) -> u32, set: impl Fn(&mut T, u32)) {
    let mut next: std::collections::BTreeMap<u32, u32> = Default::default();
    for row in rows {
        let place = next.entry(class(row)).or_insert(0);
        *place += 1;
        set(row, *place);
    }
}

/// Groups rows by entry, in order of entries.
pub(crate) fn by_entry<'a, T: 'a>(
    rows: impl Iterator<Item = &'a T>,
    entry: impl Fn(&T) -> EntryId,
) -> std::collections::BTreeMap<EntryId, Vec<&'a T>> {
    let mut groups: std::collections::BTreeMap<EntryId, Vec<&'a T>> = Default::default();
    for row in rows {
        groups.entry(entry(row)).or_default().push(row);
    }
    groups
}
