//! The classification of a race by what was driven, and by what clients can have seen of it: laps are the lines that the generator drove
//! a car over, and its word says who retired. Nothing here looks at a frame, nor at `race`.
//!
//! 1. A race ends when the first car has driven over the line of the lap limit (and of overtime), or over the line that ends the lap in
//!    which the leader was when time was up: of both, the earlier one. A race that is stopped ends at that moment.
//! 2. Each car ends with its first crossing at or after the end. In a race that was stopped the laps completed by then stand.
//! 3. Who has more laps is ahead; of equal laps, whose last crossing was earlier. Without a lap: who drove further. Who was disqualified
//!    is last.
//! 4. Of a car of which nothing is known from a moment on, the laps by then stand.

use boxbox_sources::synth::{CarTruth, Distance, Passed, Stay, Truth, What};

use crate::draw::{Drawn, End, NEAR_US};

/// A jump has its moment within a frame or two, µs.
const PUT_US: i64 = 300_000;
/// Two crossings within this are a tie for who sees them by frames, µs: own frames, frames of other cars.
pub const OWN_TIE_US: i64 = 1_500;
pub const SEEN_TIE_US: i64 = 12_000;
/// Who sees a car stand for this long knows that it stands, µs.
const SEEN_STANDING_US: i64 = 1_000_000;
/// No rule looks farther than this from the moment at which the end is told, µs.
const WINDOW_US: i64 = 14_000_000;

/// What became of a car.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Status {
    Finished,
    Retired,
    NotStarted,
    NotClassified,
    Disqualified,
}

impl Status {
    /// As results name it.
    pub fn name(self) -> &'static str {
        match self {
            Status::Finished => "finished",
            Status::Retired => "retired",
            Status::NotStarted => "not_started",
            Status::NotClassified => "not_classified",
            Status::Disqualified => "disqualified",
        }
    }
}

/// A car in the result.
#[derive(Clone, Debug)]
pub struct Row {
    pub slot: u16,
    pub class_id: u32,
    pub laps: u32,
    pub status: Status,
    /// Its last crossing that counts, µs.
    pub crossed_us: Option<i64>,
    /// It was put over that line.
    pub put_over: bool,
    /// In a session that is no race: its best lap, and when it was set, µs.
    pub best_us: Option<(i64, i64)>,
    /// How far these are known to within, µs.
    pub tie_us: i64,
    /// Laps driven, of cars without a lap; `None` if that is not known.
    pub driven: Option<f64>,
    /// Ranked by laps and crossings; else by best laps.
    pub race: bool,
}

/// The result, and who has won.
#[derive(Clone, Debug)]
pub struct Model {
    /// First place first.
    pub rows: Vec<Row>,
    pub end_us: i64,
    /// The car that ended the race; `None` in one that was stopped.
    pub winner: Option<usize>,
}

impl Row {
    /// Whether this car is ahead of the other for certain.
    pub fn beats(&self, other: &Self) -> bool {
        let (out, of_other) = (self.status == Status::Disqualified, other.status == Status::Disqualified);
        if out != of_other {
            return of_other;
        }
        if !self.race {
            return match (self.best_us, other.best_us) {
                (Some((a, _)), Some((b, _))) => a + self.tie_us + other.tie_us < b,
                (a, b) => a.is_some() && b.is_none(),
            };
        }
        if self.laps != other.laps {
            return self.laps > other.laps;
        }
        match (self.crossed_us, other.crossed_us) {
            // Who was put over the line keeps its place until it is passed: when it drove on is not asked.
            (Some(a), Some(b)) => a + self.tie_us + other.tie_us < b && (!self.put_over || other.put_over),
            // Less than the distance between two mini-loops is not told by anything.
            _ => self.driven.zip(other.driven).is_some_and(|(a, b)| a.max(0.0) > b.max(0.0) + 0.06),
        }
    }
}

/// When the race ends, and the car that ends it.
fn end(drawn: &Drawn, truth: &Truth) -> Option<(i64, Option<usize>)> {
    if let Some(us) = drawn.spec.ending.stopped_us {
        return Some((us, None));
    }
    let over = |line: usize| {
        let crossing = |(car, c): (usize, &CarTruth)| c.passed.get(line).filter(|p| p.driven).map(|p| (p.at_us, car));
        truth.cars.iter().enumerate().filter_map(crossing).min()
    };
    let by_laps = |laps: u32| (laps + drawn.spec.ending.extra_laps) as usize;
    let by_time = |limit_us: i64| {
        let due_us = drawn.spec.green_us + limit_us;
        truth.cars.iter().map(|c| c.passed.iter().filter(|p| p.at_us <= due_us).count()).max().unwrap_or(0).max(1)
    };
    let line = match drawn.spec.distance {
        Distance::Laps(laps) => by_laps(laps),
        Distance::Time(us) => by_time(us),
        Distance::Both { laps, time_us } => by_laps(laps).min(by_time(time_us)),
    };
    let (end_us, car) = over(line)?;
    // Who was put over a line does not lead by that.
    let (Distance::Time(limit_us) | Distance::Both { time_us: limit_us, .. }) = drawn.spec.distance else { return Some((end_us, Some(car))) };
    let due_us = drawn.spec.green_us + limit_us;
    let led = |driven: bool| truth.cars.iter().filter_map(|c| c.passed.iter().rposition(|p| p.at_us <= due_us && (p.driven || !driven))).max();
    (led(true) == led(false)).then_some((end_us, Some(car)))
}

/// From when to when each client shows a car, µs.
fn shown(drawn: &Drawn, truth: &Truth, car: usize) -> Option<Vec<(i64, i64)>> {
    let stay = truth.cars[car].stay.span_us()?;
    let own = truth.cars[car].client_us.filter(|_| drawn.clients[car]);
    let seen = drawn.observers.iter().filter(|o| **o != car && !drawn.spec.unseen.contains(&car)).filter_map(|o| truth.cars[*o].client_us);
    let all = seen.map(|(from, until)| (from.max(stay.0), until.min(stay.1))).chain(own).filter(|(from, until)| from < until);
    Some(all.collect())
}

/// From when to when anything is known of each car, µs.
pub fn known(drawn: &Drawn, truth: &Truth, car: usize) -> Option<(i64, i64)> {
    let all = shown(drawn, truth, car)?.into_iter();
    all.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
}

/// The result of the race; `None` if nothing that clients are shown tells it.
pub fn of(drawn: &Drawn, truth: &Truth) -> Option<Model> {
    let (end_us, winner) = end(drawn, truth)?;
    assert!(
        truth.chequered_us.is_some_and(|us| (us - end_us).abs() <= 1),
        "seed {}: the flag is not at the winner's crossing: {truth:?}",
        drawn.seed
    );
    told(drawn, truth, end_us)?;
    let most = winner.and_then(|car| truth.cars[car].passed.iter().position(|p| p.at_us >= end_us)).unwrap_or(usize::MAX);
    let mut rows = vec![];
    for (car, c) in truth.cars.iter().enumerate() {
        rows.push(row(drawn, truth, car, c, (end_us, most))?);
    }
    if let Some(car) = winner {
        seen_to_win(drawn, truth, &rows, (end_us, car))?;
    }
    rows.sort_by(|a, b| {
        let key = |r: &Row| (r.status == Status::Disqualified, std::cmp::Reverse(r.laps), r.put_over, r.crossed_us);
        key(a).cmp(&key(b)).then(b.driven.unwrap_or(0.0).total_cmp(&a.driven.unwrap_or(0.0)))
    });
    Some(Model { rows, end_us, winner })
}

fn row(drawn: &Drawn, truth: &Truth, car: usize, c: &CarTruth, (end_us, most): (i64, usize)) -> Option<Row> {
    let known = known(drawn, truth, car);
    let (from_us, until_us) = known.unwrap_or((i64::MAX, i64::MIN));
    let stopped = drawn.end == End::Stopped;
    let last = c.passed.iter().skip(1).position(|p| p.at_us >= end_us).map(|i| i + 1);
    let finishes = last.filter(|_| !stopped);
    let counting = match (finishes, last) {
        // No car has more laps than the winner.
        (Some(line), _) => line.min(most),
        (None, Some(line)) => line - 1,
        (None, None) => c.passed.len().saturating_sub(1),
    };
    // Put over the line after the end: no rule says what that is.
    if finishes.is_some_and(|line| !c.passed[line].driven) {
        return None;
    }
    let near = |us: i64| c.passed.iter().any(|p| (p.at_us - us).abs() < NEAR_US);
    if known.is_some() && (near(until_us) && c.stay.span_us()?.1 != until_us || near(from_us) && from_us > drawn.spec.green_us) {
        return None;
    }
    let laps = (1..=counting).rev().find(|line| c.passed[*line].at_us < until_us).unwrap_or(0);
    // Who comes after the last crossing, or has one within a gap of all who saw the car, is not asked.
    let crossed: Option<&Passed> = Some(laps).filter(|laps| *laps > 0).map(|laps| &c.passed[laps]);
    let unseen = |us: i64| !shown(drawn, truth, car).unwrap_or_default().iter().any(|(from, until)| (from + NEAR_US..=*until).contains(&us));
    if crossed.is_some_and(|p| p.at_us < from_us || unseen(p.at_us) || away(c, p.at_us)) {
        return None;
    }
    // When the lap began in which a client joined after the end is only estimated.
    if from_us > end_us && known.is_some() {
        return None;
    }
    // What flags are shown to a car that never is in the world is not asked.
    if c.stay == Stay::Never && drawn.has(car, |w| *w == What::Disqualify) {
        return None;
    }
    let disqualified = c.disqualified_us.is_some_and(|us| (from_us..until_us).contains(&us));
    if known.is_some() && c.disqualified_us.is_some_and(|us| (us - until_us).abs() < NEAR_US || (us - from_us).abs() < NEAR_US) {
        return None;
    }
    // A standstill that somebody saw. In the pits at the moment when a race is stopped, a retirement cannot be told from a stop.
    let stood_us = if let Stay::Stopped { since_us, .. } | Stay::Parked { since_us, .. } = c.stay { Some(since_us) } else { None };
    let retired = stood_us.is_some_and(|us| us + SEEN_STANDING_US < until_us && !(stopped && us > end_us));
    if stopped && matches!(c.stay, Stay::Parked { .. }) {
        return None;
    }
    // Clients report the stop later than it is, and nobody tells of a car that is gone in between whether it drove then.
    let last_lag_us = drawn.spec.told.iter().filter_map(|t| t.state_lag_us).max().unwrap_or(0);
    if stopped && known.is_some() && (end_us - NEAR_US..end_us + last_lag_us + SEEN_STANDING_US + NEAR_US).contains(&until_us) {
        return None;
    }
    // In the pits at the end, a retirement cannot be told from a stop.
    let in_pits = c.visits.iter().any(|v| v.enter_us < until_us && v.exit_us.is_none_or(|us| us > until_us));
    if finishes != Some(laps) && !retired && in_pits {
        return None;
    }
    let status = match c.stay {
        _ if disqualified => Status::Disqualified,
        _ if finishes.is_some_and(|line| line.min(most) == laps && c.passed[line].at_us < until_us) && laps > 0 => Status::Finished,
        Stay::Never => Status::NotStarted,
        _ if known.is_none() => Status::NotClassified,
        _ if retired => Status::Retired,
        _ if stopped && until_us > end_us && laps > 0 => Status::Finished,
        _ => Status::NotClassified,
    };
    let own = drawn.clients[car] && c.client_us.is_some_and(|(from, until)| crossed.is_some_and(|p| (from..until).contains(&p.at_us)));
    let tie_us = match crossed {
        Some(p) if !p.driven => PUT_US,
        _ if own => OWN_TIE_US,
        _ => SEEN_TIE_US,
    };
    Some(Row {
        slot: c.slot,
        class_id: drawn.class_of(car),
        laps: laps as u32,
        status,
        crossed_us: crossed.map(|p| p.at_us),
        put_over: crossed.is_some_and(|p| !p.driven),
        best_us: None,
        race: true,
        tie_us,
        driven: if known.is_none() {
            Some(0.0)
        } else {
            // How far a car came that nobody saw any more is not known.
            Some(c.driven_laps).filter(|_| c.stay.span_us().is_none_or(|(_, until)| until <= until_us))
        },
    })
}

/// Whether the car had no client at `us`, or nearly so.
fn away(car: &CarTruth, us: i64) -> bool {
    car.away_us.iter().any(|(from, until)| (from - NEAR_US..until + NEAR_US).contains(&us))
}

impl Drawn {
    /// Cars are spread over the classes evenly, the first class first.
    pub fn class_of(&self, car: usize) -> u32 {
        let classes = &self.spec.classes;
        classes[car / self.spec.cars.div_ceil(classes.len())].id
    }
}

/// Most of the clients that are there at the end are told of it, where anything is told at all.
pub fn told(drawn: &Drawn, truth: &Truth, end_us: i64) -> Option<()> {
    let lag = |car: usize| match drawn.end {
        End::LimitsOnly => Some(0),
        End::FlagOnly => drawn.spec.told[car].flag_lag_us,
        _ => drawn.spec.told[car].state_lag_us,
    };
    let there = (0..truth.cars.len()).filter(|car| drawn.clients[*car]).filter_map(|car| Some((car, truth.cars[car].client_us?.1)));
    let there: Vec<(usize, i64)> = there.filter(|(_, until)| *until > end_us - 2_000_000).collect();
    let told = there.iter().filter(|(car, until)| lag(*car).is_some_and(|lag| *until > end_us + lag + NEAR_US)).count();
    (2 * told > there.len()).then_some(())
}

/// If the winner's crossing was seen, it has won. Otherwise the others' results must be the same for every moment at which it can have
/// been.
fn seen_to_win(drawn: &Drawn, truth: &Truth, rows: &[Row], (end_us, winner): (i64, usize)) -> Option<()> {
    let near_limit = |us: i64| truth.cars.iter().any(|c| c.passed.iter().any(|p| (p.at_us - us - drawn.spec.green_us).abs() < NEAR_US));
    if let Distance::Time(us) | Distance::Both { time_us: us, .. } = drawn.spec.distance
        && near_limit(us)
    {
        return None;
    }
    let seen = known(drawn, truth, winner).is_some_and(|(from, until)| from + NEAR_US < end_us && end_us + NEAR_US < until);
    if seen && rows[winner].status == Status::Finished {
        return Some(());
    }
    if drawn.end == End::LimitsOnly {
        return None;
    }
    // What others can take for the end: the crossing of the next car that completes as many laps, or else the moment that is told.
    let line = truth.cars[winner].passed.iter().position(|p| p.at_us >= end_us)?;
    let others = || truth.cars.iter().enumerate().filter(|(car, _)| *car != winner && known(drawn, truth, *car).is_some()).map(|(_, c)| c);
    let crossings = |from: i64, until: i64| {
        let within = move |c: &CarTruth| -> Vec<usize> { (0..c.passed.len()).filter(|k| (from..until).contains(&c.passed[*k].at_us)).collect() };
        others().flat_map(within).collect::<Vec<usize>>()
    };
    let next = others().filter_map(|c| c.passed.get(line)).map(|p| p.at_us).filter(|us| (end_us..end_us + WINDOW_US).contains(us)).min();
    let last_told = drawn.spec.told.iter().filter_map(|t| if drawn.end == End::FlagOnly { t.flag_lag_us } else { t.state_lag_us }).max()?;
    let taken_us = next.unwrap_or(end_us + last_told.max(0) + NEAR_US);
    let lapped = crossings(end_us - NEAR_US, taken_us + NEAR_US).into_iter().any(|k| k < line);
    // Who led the others before is no winner either.
    let most = others().map(|c| c.passed.iter().skip(1).filter(|p| p.at_us < end_us).count()).max().unwrap_or(0);
    let led = crossings(end_us - WINDOW_US, end_us).into_iter().any(|k| k >= most);
    (!lapped && !led).then_some(())
}
