//! The final result of a session (docs/RULES.md: `race.rank`, `race.status`, `best.lap`).

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::status::Known;
use super::{Counting, Facts, Finish, Ranking, Status, Why, by_entry, class_of, class_positions, finish, light_us, newest_car};
use crate::stream::field_entry;
use boxbox_schemas::ids::{DriverId, EntryId};
use boxbox_schemas::meta::SessionMeta;
use boxbox_schemas::results::{CarNow, Lap, Tags};

/// One entry in the classification of a session.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Classified {
    /// Place overall, 1-based.
    pub position: u32,
    /// Place in its class, 1-based.
    pub class_position: u32,
    /// Who competes.
    pub entry: EntryId,
    /// Who drove, by the laps that count, in order of first lap; without a lap, whose clients were in the car.
    pub drivers: Vec<DriverId>,
    /// The car's slot.
    pub slot: u16,
    /// The simulator's id of its class; 0 if the description does not say.
    pub class_id: u32,
    /// Laps that count.
    pub laps: u32,
    /// What became of it.
    pub status: Status,
    /// Why; `None` while it runs.
    pub why: Option<Why>,
    /// In a race, it has finished.
    pub finished: bool,
    /// The value that decides its place is that of another entry too; who set it first is ahead.
    pub tied: bool,
    /// Its last crossing that counts, session time, µs; `None` without a lap.
    pub finish_us: Option<i64>,
    /// Races: from the light to that crossing, µs.
    pub total_us: Option<i64>,
    /// Laps behind the winner.
    pub laps_down: u32,
    /// Behind the winner, µs; `None` a lap or more down. In practice and qualifying: by best laps.
    pub gap_us: Option<i64>,
    /// Time of its best valid lap that counts, µs: the simulator's own where it reported one.
    pub best_lap_us: Option<i64>,
    /// Number of that lap.
    pub best_lap: Option<u32>,
}

/// A row before it has its place, and what else decides the place.
struct Ranked {
    row: Classified,
    /// When the best lap was set, µs.
    best_set_us: Option<i64>,
    /// Its last crossing that counts, or when it drove on behind a line over which it was put; `None` if it never did, µs.
    passed_us: Option<i64>,
    /// It was put over the line at the end of its last lap.
    put_over: bool,
    /// How far it came in a lap that it did not complete: mini-loops of lap 1.
    loops: usize,
}

/// The classification of a session from all its rows.
///
/// A race is ranked by laps completed, then by the last crossing that counts, then by entry. Any other session is ranked by best valid
/// lap; of equal laps the earlier one is ahead. Who is disqualified comes last. Everyone who was there is in it.
pub fn classification(facts: &Facts<'_>) -> Vec<Classified> {
    let finish = finish(facts);
    let counting = Counting::of(facts, finish.as_ref());
    let light_us = light_us(facts.laps);
    let laps = by_entry(facts.laps.iter().filter(|l| !l.superseded), |l| l.entry);
    let cars = by_entry(facts.cars.iter(), |c| c.entry);
    let mut ranked: Vec<Ranked> = slots(facts, &laps, &cars)
        .into_iter()
        .map(|(entry, slot)| {
            let all = laps.get(&entry).map_or(&[][..], Vec::as_slice);
            let cars = cars.get(&entry).map_or(&[][..], Vec::as_slice);
            ranked(facts, (entry, slot), all, cars, (&counting, finish.as_ref(), light_us))
        })
        .collect();
    let out = |r: &Classified| r.status == Status::Disqualified;
    match facts.ranking() {
        // Who was put over the line has been passed by all who drove over it before the car drove on (`lap.put-over`).
        Ranking::Distance => ranked.sort_by_key(|Ranked { row, loops, passed_us, .. }| {
            (out(row), Reverse(row.laps), passed_us.is_none(), *passed_us, row.status == Status::NotStarted, Reverse(*loops), row.entry)
        }),
        Ranking::BestLap => ranked.sort_by_key(|Ranked { row, best_set_us, .. }| {
            (out(row), row.best_lap_us.is_none(), row.best_lap_us, *best_set_us, row.status == Status::NotStarted, Reverse(row.laps), row.entry)
        }),
    }
    let put_over: Vec<EntryId> = ranked.iter().filter(|r| r.put_over).map(|r| r.row.entry).collect();
    let mut rows: Vec<Classified> = ranked.into_iter().map(|r| r.row).collect();
    place(facts.ranking(), &mut rows, &put_over);
    rows
}

/// Everyone who was there, and the car's slot: the entries that have a lap, those whose car a client saw, and the cars of the description. Pace cars and
/// spectators do not compete.
fn slots(facts: &Facts<'_>, laps: &BTreeMap<EntryId, Vec<&Lap>>, cars: &BTreeMap<EntryId, Vec<&CarNow>>) -> BTreeMap<EntryId, u16> {
    let meta: Option<&SessionMeta> = facts.session.meta.as_ref();
    let described = meta.map_or(&[][..], |m| m.entries.as_slice());
    let competes = |slot: u16| described.iter().all(|e| e.slot != slot || !matches!(e.special, 1 | 2));
    let driven = laps.iter().filter_map(|(entry, of)| of.iter().max_by_key(|l| l.number).map(|l| (*entry, l.slot)));
    let seen = cars.iter().filter_map(|(entry, of)| newest_car(of.iter().copied()).map(|c| (*entry, c.slot))).filter(|(_, slot)| competes(*slot));
    let mut slots: BTreeMap<EntryId, u16> = seen.chain(driven).collect();
    // A car of the description whose slot no other has: no client saw it.
    let taken: Vec<u16> = slots.values().copied().chain(cars.values().flatten().map(|c| c.slot)).collect();
    let unseen = described.iter().filter(|e| competes(e.slot) && !taken.contains(&e.slot));
    let unseen: Vec<_> = unseen.filter_map(|e| field_entry(meta, e.slot).map(|entry| (entry, e.slot))).collect();
    for (entry, slot) in unseen {
        slots.entry(entry).or_insert(slot);
    }
    slots
}

fn ranked(
    facts: &Facts<'_>,
    (entry, slot): (EntryId, u16),
    all: &[&Lap],
    cars: &[&CarNow],
    (counting, finish, light_us): (&Counting, Option<&Finish>, Option<i64>),
) -> Ranked {
    let laps = counting.counting(all.iter().copied());
    let crossed_us = all.iter().filter(|l| l.start_us < counting.begun_before_us).map(|l| l.end_us).max();
    let mut drivers: Vec<DriverId> = vec![];
    let own = cars.iter().filter(|c| !c.field && laps.is_empty()).map(|c| c.driver);
    for driver in laps.iter().map(|l| l.driver).chain(own) {
        if !drivers.contains(&driver) {
            drivers.push(driver);
        }
    }
    let best = counting.best(all.iter().copied());
    let known = Known { entry, laps: &laps, crossed_us, timed: best.is_some(), cars };
    let (status, why) = known.status(facts, finish);
    let finish_us = laps.last().map(|l| l.end_us);
    let row = Classified {
        position: 0,
        class_position: 0,
        entry,
        drivers,
        slot,
        class_id: class_of(facts.session, slot),
        laps: laps.last().map_or(0, |l| l.number),
        status,
        why,
        finished: facts.ranking() == Ranking::Distance && status == Status::Finished,
        tied: false,
        finish_us,
        // From one light for all (`race.total`).
        total_us: light_us.zip(finish_us).map(|(light, us)| us - light),
        laps_down: 0,
        gap_us: None,
        best_lap_us: best.map(Lap::deciding_us),
        best_lap: best.map(|l| l.number),
    };
    let loops = cars.iter().filter(|c| c.lap == 1).map(|c| c.loops_us.len()).max().unwrap_or(0);
    let put_over = laps.last().is_some_and(|l| l.tags.has(Tags::PUT_OVER));
    let passed_us = match put_over {
        false => finish_us,
        // It never drove over the last line of the race, and took the flag with its next crossing.
        true if counting.at_most == Some(row.laps) => all.iter().filter(|l| l.number > row.laps).map(|l| l.end_us).min(),
        true => drove_on_us(all, cars, row.laps + 1),
    };
    Ranked { row, best_set_us: best.map(|l| l.end_us), passed_us, put_over, loops }
}

/// When a car that was put over the line passed the first mini-loop of lap `number`, as far as that is known, µs.
fn drove_on_us(laps: &[&Lap], cars: &[&CarNow], number: u32) -> Option<i64> {
    let first = |start_us: i64, loops_us: &[i64]| loops_us.iter().find(|us| **us >= 0).map(|us| start_us + us);
    let driven = laps.iter().filter(|l| l.number == number).map(|l| first(l.start_us, &l.loops_us).or(Some(l.end_us)));
    let open = cars.iter().filter(|c| c.lap == number).map(|c| first(c.lap_start_us?, &c.loops_us));
    driven.chain(open).flatten().min()
}

/// Places, gaps and ties of rows that are in order. The last crossing of those who were `put_over` the line is no time to compare.
fn place(ranking: Ranking, rows: &mut [Classified], put_over: &[EntryId]) {
    let decides = |r: &Classified| match ranking {
        Ranking::Distance => r.finish_us.filter(|_| !put_over.contains(&r.entry)).map(|us| (r.laps, us)),
        Ranking::BestLap => r.best_lap_us.map(|us| (0, us)),
    };
    let tied: Vec<bool> = rows.iter().map(|r| decides(r).is_some() && rows.iter().filter(|o| decides(o) == decides(r)).count() > 1).collect();
    let winner = rows.first().cloned();
    for (place, (row, tied)) in rows.iter_mut().zip(tied).enumerate() {
        (row.position, row.tied) = (place as u32 + 1, tied);
        let Some(winner) = &winner else { continue };
        match ranking {
            Ranking::Distance => {
                row.laps_down = winner.laps.saturating_sub(row.laps);
                // A time between cars on one lap, else whole laps (`race.gap`).
                let level = row.laps == winner.laps && row.status != Status::Disqualified && (place == 0 || !put_over.contains(&row.entry));
                row.gap_us = row.finish_us.zip(winner.finish_us).filter(|_| level).map(|(us, first)| us - first);
            }
            Ranking::BestLap => row.gap_us = row.best_lap_us.zip(winner.best_lap_us).map(|(us, first)| us - first),
        }
    }
    class_positions(rows, |r| r.class_id, |r, place| r.class_position = place);
}
