//! The model of a session in which the best lap decides.
//!
//! 1. A lap counts if it began before time was up, and if the session counts only so many laps, if it is one of the first so many that
//!    are no out laps.
//! 2. A lap wins a place if it was driven from line to line, and nothing is held against it.
//! 3. Who has no such lap comes after all who have one.

use boxbox_sources::synth::{Lap, Session, Truth};

use crate::draw::{Drawn, NEAR_US};
use crate::model::{Model, OWN_TIE_US, Row, SEEN_TIE_US, Status, known, told};
use boxbox_schemas::results::Reasons;

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

fn row(drawn: &Drawn, truth: &Truth, car: usize, end_us: i64) -> Option<Row> {
    let c = &truth.cars[car];
    let known = known(drawn, truth, car);
    let until_us = known.map_or(i64::MIN, |(_, until)| until);
    if known.is_some() && c.stay.span_us()?.1 != until_us && c.passed.iter().any(|p| (p.at_us - until_us).abs() < NEAR_US) {
        return None;
    }
    let counted = if let Session::Qualifying { counted_laps } = drawn.spec.session { counted_laps } else { 0 };
    let mut left = if counted > 0 { counted } else { u32::MAX };
    let mut laps: Vec<&Lap> = vec![];
    for lap in c.laps.iter().filter(|l| l.start_us < end_us && l.end_us < until_us) {
        // All cars leave the pits in lap 1.
        left -= u32::from(lap.number > 1 && !lap.reasons.has(Reasons::OUT_LAP));
        laps.push(lap);
        if left == 0 {
            break;
        }
    }
    // The simulator gives times to 0.1 ms.
    let time_us = |l: &&&Lap| (l.time_us() + 50) / 100 * 100;
    let best = laps.iter().filter(|l| l.timed && l.reasons.is_empty()).map(|l| (time_us(&l), l.end_us)).min();
    let status = match (known, best, c.driven_laps) {
        (None, ..) => {
            if c.stay.span_us().is_none() {
                Status::NotStarted
            } else {
                Status::NotClassified
            }
        }
        (_, Some(_), _) => Status::Finished,
        _ => Status::NotClassified,
    };
    Some(Row {
        slot: c.slot,
        class_id: drawn.class_of(car),
        laps: laps.last().map_or(0, |l| l.number),
        status,
        crossed_us: laps.last().map(|l| l.end_us),
        best_us: best,
        tie_us: if drawn.clients[car] { OWN_TIE_US } else { SEEN_TIE_US },
        driven: c.driven_laps,
        race: false,
    })
}
