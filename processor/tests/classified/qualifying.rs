//! The model of a session in which the best lap decides.
//!
//! 1. A lap counts if it began before time was up, and if the session counts only so many laps, if it is one of the first so many that
//!    are no out laps, or an out lap before the last of these. The way from the stall to the first line is no lap.
//! 2. A lap wins a place if it was driven from line to line, nothing is held against it, and somebody saw all of it.
//! 3. Who has no such lap comes after all who have one, not classified; who was never in the world, or stood in its stall all the time, has
//!    not started, if its client was there to the end; else nothing is known of it.

use boxbox_sources::synth::{CarTruth, Lap, Session, Stay, Truth};

use crate::draw::{Drawn, NEAR_US};
use crate::model::{Model, OWN_TIE_US, Row, SEEN_TIE_US, Status, known, told};
use boxbox_schemas::results::Reasons;

/// Who was there until this long before the end, or longer, is not asked whether the end was seen, µs.
const ABOUT_END_US: i64 = 8_000_000;
/// What others see of a lap that is no flying lap.
const PITS: Reasons = Reasons::IN_LAP.with(Reasons::OUT_LAP);

/// The result of the session; `None` if nothing that clients are shown tells it.
pub fn of(drawn: &Drawn, truth: &Truth) -> Option<Model> {
    let end_us = truth.chequered_us?;
    told(drawn, truth, end_us)?;
    let last_told_us = end_us + drawn.spec.told.iter().filter_map(|t| t.state_lag_us).max()?;
    let first_told_us = end_us + drawn.spec.told.iter().filter_map(|t| t.state_lag_us).min()?;
    let mut rows = vec![];
    for car in 0..truth.cars.len() {
        // Whether a lap began before time was up is not asked where it began about then: clients are told at different moments.
        let about = first_told_us.min(end_us) - NEAR_US..last_told_us + NEAR_US;
        if truth.cars[car].passed.iter().any(|p| about.contains(&p.at_us)) {
            return None;
        }
        rows.push(row(drawn, truth, car, end_us)?);
    }
    rows.sort_by_key(|r| (r.best_us.is_none(), r.best_us, std::cmp::Reverse(r.laps)));
    Some(Model { rows, end_us, winner: None })
}

/// What is known of a lap.
enum Seen {
    /// Its own client was there from its beginning to its end.
    Own,
    /// Only others saw all of it.
    Others,
    /// Only others, whose clients were not running for a part of it.
    InPart,
    /// Nobody did.
    Not,
}

/// Who saw `lap` of a car; `None` where it began or ended at about the moment at which a client comes or goes.
fn seen(drawn: &Drawn, truth: &Truth, car: usize, lap: &Lap) -> Option<Seen> {
    let c = &truth.cars[car];
    let whole = |(from, until): (i64, i64)| (from..until).contains(&lap.start_us) && (from..until).contains(&lap.end_us);
    let stay = c.stay.span_us();
    // A client that goes with its car misses nothing.
    let moments =
        |(from, until): (i64, i64)| [(from, stay.map(|s| s.0)), (until, stay.map(|s| s.1))].into_iter().filter(|(at, end)| Some(*at) != *end);
    let about = |span: (i64, i64)| moments(span).any(|(at, _)| (at - lap.start_us).abs() < NEAR_US || (at - lap.end_us).abs() < NEAR_US);
    let own = c.client_us.filter(|_| drawn.clients[car]);
    if own.is_some_and(about) {
        return None;
    }
    if own.is_some_and(whole) {
        return Some(Seen::Own);
    }
    let others = || drawn.observers.iter().filter(|o| **o != car && !drawn.spec.unseen.contains(&car)).map(|o| &truth.cars[*o]);
    let spans = || others().filter_map(|o| Some((o, o.client_us?)));
    if spans().any(|(_, span)| about(span)) {
        return None;
    }
    let missing = |o: &CarTruth| o.away_us.iter().any(|(from, until)| *from < lap.end_us && *until > lap.start_us);
    Some(match spans().filter(|(_, span)| whole(*span)).map(|(o, _)| missing(o)).min() {
        Some(false) => Seen::Others,
        Some(true) => Seen::InPart,
        None => Seen::Not,
    })
}

/// Whether a client that goes at `until_us` has seen the end of the session; `None` where that is not asked.
fn to_the_end(until_us: i64, end_us: i64) -> Option<bool> {
    let asked = !(end_us - ABOUT_END_US..end_us + NEAR_US).contains(&until_us);
    asked.then_some(until_us > end_us)
}

fn row(drawn: &Drawn, truth: &Truth, car: usize, end_us: i64) -> Option<Row> {
    let c = &truth.cars[car];
    let known = known(drawn, truth, car);
    let until_us = known.map_or(i64::MIN, |(_, until)| until);
    if known.is_some() && c.stay.span_us()?.1 != until_us && c.passed.iter().any(|p| (p.at_us - until_us).abs() < NEAR_US) {
        return None;
    }
    let counted = if let Session::Qualifying { counted_laps } = drawn.spec.session { counted_laps } else { 0 };
    let mut left = if counted > 0 { counted } else { u32::MAX };
    let mut laps: Vec<(&Lap, Seen)> = vec![];
    for lap in c.laps.iter().filter(|l| l.start_us < end_us && l.end_us < until_us) {
        let seen = seen(drawn, truth, car, lap)?;
        match seen {
            // How many laps are left is not told by anything.
            Seen::Not if counted > 0 => return None,
            Seen::Not => continue,
            // Others are not shown all that is held against a lap, nor why it has no time.
            Seen::Others | Seen::InPart if drawn.clients[car] && (!lap.timed || !lap.reasons.without(PITS).is_empty()) => return None,
            _ => {}
        }
        left -= u32::from(!lap.reasons.has(Reasons::OUT_LAP));
        laps.push((lap, seen));
        if left == 0 {
            break;
        }
    }
    // The simulator gives times to 0.1 ms.
    let time_us = |l: &Lap| (l.time_us() + 50) / 100 * 100;
    let valid = laps.iter().filter(|(l, seen)| l.timed && l.reasons.is_empty() && !matches!(seen, Seen::InPart));
    let best = valid.map(|(l, seen)| (time_us(l), l.end_us, matches!(seen, Seen::Own))).min();
    // It stood in its stall from the beginning.
    let stays = matches!(c.stay, Stay::Parked { from_us, since_us, .. } if since_us <= from_us);
    let own_until_us = c.client_us.filter(|_| drawn.clients[car]).map(|(_, until)| until);
    let status = match (known, best) {
        _ if c.stay == Stay::Never && to_the_end(own_until_us?, end_us)? => Status::NotStarted,
        (None, _) => Status::NotClassified,
        (_, Some(_)) => Status::Finished,
        _ if stays && to_the_end(until_us, end_us)? => Status::NotStarted,
        _ => Status::NotClassified,
    };
    let last = laps.last().map(|(l, _)| l);
    Some(Row {
        slot: c.slot,
        class_id: drawn.class_of(car),
        laps: last.map_or(0, |l| l.number),
        status,
        crossed_us: last.map(|l| l.end_us),
        best_us: best.map(|(time_us, end_us, _)| (time_us, end_us)),
        tie_us: if best.is_some_and(|(.., own)| own) { OWN_TIE_US } else { SEEN_TIE_US },
        driven: Some(c.driven_laps),
        race: false,
        put_over: false,
    })
}
