//! The final result of a session (docs/RULES.md: `race.end`, `race.rank`, `best.lap`).

use serde::{Deserialize, Serialize};

use super::{Ranking, best_lap, by_entry, class_of, class_positions};
use boxbox_schemas::frame::Flags;
use boxbox_schemas::ids::{DriverId, EntryId};
use boxbox_schemas::results::{FlagChange, Lap, SessionInfo, Tags};

/// The chequered flag is due when the winner crosses the line. Simulators show it up to this much later, µs.
const FLAG_LAG_US: i64 = 3_000_000;
/// The flag may also show up to this much early, because a change of flags has the time of a frame, µs.
const FLAG_LEAD_US: i64 = 250_000;

/// One entry in the classification of a session.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Classified {
    /// Place overall, 1-based.
    pub position: u32,
    /// Place in its class, 1-based.
    pub class_position: u32,
    /// Who competes.
    pub entry: EntryId,
    /// Who drove, by the laps that count, in order of first lap.
    pub drivers: Vec<DriverId>,
    /// The car's slot.
    pub slot: u16,
    /// The simulator's id of its class; 0 if the description does not say.
    pub class_id: u32,
    /// Laps that count.
    pub laps: u32,
    /// It took the chequered flag.
    pub finished: bool,
    /// Its last crossing that counts, session time, µs; `None` without a lap.
    pub finish_us: Option<i64>,
    /// Races: from the start to that crossing, µs.
    pub total_us: Option<i64>,
    /// Laps behind the winner.
    pub laps_down: u32,
    /// Behind the winner, µs; `None` a lap or more down. In practice and qualifying: by best laps.
    pub gap_us: Option<i64>,
    /// Time of its best valid lap that counts, µs.
    pub best_lap_us: Option<i64>,
    /// Number of that lap.
    pub best_lap: Option<u32>,
}

/// When the winner of a race crossed the line, session time, µs. A lap that begins then or later does not count. `None` while there is
/// no winner, and if the session is not a race.
///
/// If the race has a number of laps, the first car to complete them is the winner. Otherwise the chequered flag ends the race, and
/// the time is the leader's crossing nearest to it. `laps`: all laps, or at least those of that number.
pub fn chequered_us(session: &SessionInfo, laps: &[Lap], flags: &[FlagChange]) -> Option<i64> {
    if Ranking::of(session) != Ranking::Distance {
        return None;
    }
    let limit = session.meta.as_ref().map_or(0, |m| m.laps_limit);
    if limit > 0 {
        return laps.iter().filter(|l| l.number == limit).map(|l| l.end_us).min();
    }
    let flag_us = flag_shown_us(flags)?;
    // Of the cars that crossed around the flag, the winner has the most laps; of those with equally many, it crossed first.
    let about_then = laps.iter().filter(|l| (flag_us - FLAG_LAG_US..=flag_us + FLAG_LEAD_US).contains(&l.end_us));
    let crossing = about_then.map(|l| (std::cmp::Reverse(l.number), l.end_us)).min();
    Some(crossing.map_or(flag_us, |(_, us)| us))
}

/// Which laps [`chequered_us`] needs of a session with these changes of flags.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FinishLaps {
    /// None: the session is not a race, or no chequered flag was shown.
    None,
    /// All laps of this number.
    Numbered(u32),
    /// Of each entry the last two laps that began at or before this session time, µs. No lap is so short that the lap which ended
    /// around the flag is missing from these two.
    LastTwoBegunBy(i64),
}

/// Which laps [`chequered_us`] needs, so that a caller does not have to read all of them.
pub fn finish_laps(session: &SessionInfo, flags: &[FlagChange]) -> FinishLaps {
    let limit = session.meta.as_ref().map_or(0, |m| m.laps_limit);
    match Ranking::of(session) {
        Ranking::BestLap => FinishLaps::None,
        Ranking::Distance if limit > 0 => FinishLaps::Numbered(limit),
        Ranking::Distance => flag_shown_us(flags).map_or(FinishLaps::None, |us| FinishLaps::LastTwoBegunBy(us.saturating_add(FLAG_LEAD_US))),
    }
}

/// When the chequered flag was first shown to any car.
fn flag_shown_us(flags: &[FlagChange]) -> Option<i64> {
    let shown = |f: &&FlagChange| !f.superseded && f.to.has(Flags::CHECKERED) && !f.from.has(Flags::CHECKERED);
    flags.iter().filter(shown).map(|f| f.sim_time_us).min()
}

/// The classification of `session` from all its chosen laps and its changes of flags.
///
/// A race is ranked by laps completed, then cars that took the chequered flag before cars that did not, then by the last crossing that
/// counts, then by entry. Any other session is ranked by best valid lap; of equal laps the earlier one is ahead.
pub fn classification(session: &SessionInfo, laps: &[Lap], flags: &[FlagChange]) -> Vec<Classified> {
    let flag_us = chequered_us(session, laps, flags);
    let start_us = laps.iter().filter(|l| l.number == 1 && l.tags.has(Tags::FIRST_LAP)).map(|l| l.start_us).min();
    let counting = laps.iter().filter(|l| !l.superseded && flag_us.is_none_or(|flag| l.start_us < flag));
    let mut rows: Vec<Classified> = by_entry(counting, |l| l.entry).into_values().filter_map(|of| row(session, of, flag_us, start_us)).collect();
    match Ranking::of(session) {
        Ranking::Distance => rows.sort_by_key(|r| (std::cmp::Reverse(r.laps), !r.finished, r.finish_us, r.entry)),
        Ranking::BestLap => {
            let set_us = |r: &Classified| laps.iter().find(|l| l.entry == r.entry && Some(l.number) == r.best_lap).map(|l| l.end_us);
            rows.sort_by_key(|r| (r.best_lap_us.is_none(), r.best_lap_us, set_us(r), std::cmp::Reverse(r.laps), r.entry));
        }
    }
    let winner = rows.first().cloned();
    for (place, row) in rows.iter_mut().enumerate() {
        row.position = place as u32 + 1;
        let Some(winner) = &winner else { continue };
        match Ranking::of(session) {
            Ranking::Distance => {
                row.laps_down = winner.laps.saturating_sub(row.laps);
                row.gap_us = row.finish_us.zip(winner.finish_us).filter(|_| row.laps_down == 0).map(|(us, first)| us - first);
            }
            Ranking::BestLap => row.gap_us = row.best_lap_us.zip(winner.best_lap_us).map(|(us, first)| us - first),
        }
    }
    class_positions(&mut rows, |r| r.class_id, |r, place| r.class_position = place);
    rows
}

fn row(session: &SessionInfo, mut laps: Vec<&Lap>, flag_us: Option<i64>, start_us: Option<i64>) -> Option<Classified> {
    laps.sort_by_key(|l| l.number);
    let last = *laps.last()?;
    let mut drivers: Vec<DriverId> = vec![];
    for lap in &laps {
        if !drivers.contains(&lap.driver) {
            drivers.push(lap.driver);
        }
    }
    let best = best_lap(laps.iter().copied());
    Some(Classified {
        position: 0,
        class_position: 0,
        entry: last.entry,
        drivers,
        slot: last.slot,
        class_id: class_of(session, last.slot),
        laps: last.number,
        finished: flag_us.is_some_and(|flag| last.end_us >= flag),
        finish_us: Some(last.end_us),
        total_us: start_us.map(|start| last.end_us - start),
        laps_down: 0,
        gap_us: None,
        best_lap_us: best.map(|l| l.time_us),
        best_lap: best.map(|l| l.number),
    })
}
