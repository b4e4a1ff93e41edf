//! [`Race`]: all cars together, with the leader, the chequered flag and the order at each line.

use boxbox_schemas::frame::{Flags, SessionState};
use boxbox_schemas::meta::{MetaEntry, SessionMeta};

use super::car::{Car, Leaves, Points, seconds, us};
use super::ending::Ending;
use super::spec::{Distance, Session, Spec, Start, What};
use super::{Circuit, plan};

/// The session's state follows the light by this, s.
const STATE_LAG_S: f64 = 1.1;
/// A car drives on for this long after it took the flag, s.
pub(super) const RUN_OUT_S: f64 = 3.0;
/// How long lights and flags are shown, s.
const GO_SHOWN_S: f64 = 5.0;
const SET_SHOWN_S: f64 = 2.0;
const YELLOW_AFTER_S: f64 = 0.8;
const YELLOW_SHOWN_S: f64 = 6.0;
/// A red flag is out before the race is stopped; clients leave after it at the latest, s.
const RED_BEFORE_S: f64 = 1.0;
const STOPPED_S: f64 = 4.0;
/// A car is stopped this long before a line that it would pass, s.
const BEFORE_LINE_S: f64 = 0.3;
/// A car that stays in its stall sends for this long after all others are done, s.
const PARKED_S: f64 = 5.0;

/// A race that was driven to its end.
#[derive(Clone, Debug)]
pub struct Race {
    pub(super) circuit: Circuit,
    pub(super) start: Start,
    pub(super) session: Session,
    pub(super) distance: Distance,
    pub(super) ending: Ending,
    pub(super) cars: Vec<Car>,
    /// `None`: no lights are shown.
    pub(super) green_s: Option<f64>,
    /// When the leader began its last lap, and when it took the flag, s.
    pub(super) white_s: Option<f64>,
    pub(super) chequered_s: Option<f64>,
    /// When every car is done, s.
    pub(super) over_s: f64,
    /// Yellow flags, s.
    pub(super) yellows: Vec<(f64, f64)>,
}

impl Race {
    /// Drive the race of `spec`.
    pub fn new(spec: &Spec) -> Self {
        let mut race = Self {
            circuit: spec.circuit.clone(),
            start: spec.start,
            session: spec.session,
            distance: spec.distance,
            ending: spec.ending,
            cars: plan::cars(spec),
            green_s: (spec.session == Session::Race).then(|| seconds(spec.green_us)),
            white_s: None,
            chequered_s: None,
            over_s: 0.0,
            yellows: vec![],
        };
        race.time_lines();
        race.flag(spec);
        race.finish();
        race.touch();
        race.place();
        race.yellows = yellows(&race.cars);
        race
    }

    /// The cars in grid order; a car's slot is its index.
    pub fn cars(&self) -> &[Car] {
        &self.cars
    }

    /// The circuit.
    pub fn circuit(&self) -> &Circuit {
        &self.circuit
    }

    /// When the last client leaves, session time, µs.
    pub fn until_us(&self) -> i64 {
        self.cars.iter().map(|c| c.until_us).max().unwrap_or(0)
    }

    /// The session as the client of car `car` describes it at the start.
    pub fn meta(&self, car: usize) -> SessionMeta {
        self.meta_at(car, 0.0)
    }

    /// The same at `t`.
    pub(super) fn meta_at(&self, car: usize, t: f64) -> SessionMeta {
        let entry = |c: &Car| {
            let person = &c.drivers[c.driver_at(t)];
            MetaEntry {
                slot: c.slot,
                user_id: person.user_id,
                team_id: c.team_id,
                driver_name: person.name.clone(),
                team_name: if c.team_id > 0 { format!("Team {}", c.number) } else { String::new() },
                number: c.number.clone(),
                class_id: c.class.id,
                class_name: c.class.name.clone(),
                car_name: c.class.car.clone(),
                special: 0,
            }
        };
        let own = &self.cars[car];
        let (laps_limit, time_limit_us) = match self.distance {
            Distance::Time(us) if let Session::Qualifying { counted_laps } = self.session => (counted_laps, us),
            Distance::Laps(laps) => (laps, 0),
            Distance::Time(us) => (0, us),
            Distance::Both { laps, time_us } => (laps, time_us),
        };
        SessionMeta {
            track_id: 1,
            track_name: self.circuit.name.clone(),
            track_config: String::new(),
            track_length_m: self.circuit.length_m,
            sector_starts: self.circuit.sector_starts.clone(),
            pit_limit_mps: self.circuit.pit_limit_mps as f32,
            session_type: if self.session == Session::Race { "Race" } else { "Open Qualify" }.into(),
            laps_limit,
            time_limit_us,
            category: "road".into(),
            start_kind: if self.start == Start::Standing { 1 } else { 2 },
            team_racing: u8::from(own.team_id > 0),
            fuel_kg_per_l: 0.75,
            fuel_max_l: own.class.tank_l as f32,
            incident_limit: 0,
            own_slot: own.slot,
            entries: self.cars.iter().map(entry).collect(),
        }
    }

    /// Which of its drivers drives each car at `t`.
    pub(super) fn drivers_at(&self, t: f64) -> impl Iterator<Item = usize> + '_ {
        self.cars.iter().map(move |car| car.driver_at(t))
    }

    /// The flags and lights that the drivers of `car` see at `t`.
    pub(super) fn flags(&self, car: &Car, t: f64) -> Flags {
        let mut flags = Flags(0);
        // Without a light the session is green from its beginning.
        let green = self.green_s.unwrap_or(f64::NEG_INFINITY);
        flags.set(Flags::START_READY, t < green - SET_SHOWN_S);
        flags.set(Flags::START_SET, (green - SET_SHOWN_S..green).contains(&t));
        flags.set(Flags::START_GO, (green..green + GO_SHOWN_S).contains(&t));
        let lag = car.told.flag_lag_us.map(seconds);
        let chequered = self.chequered_s.zip(lag).is_some_and(|(at, lag)| t >= at + lag);
        flags.set(Flags::RED, self.ending.stopped_us.is_some_and(|at| t >= seconds(at) - RED_BEFORE_S));
        flags.set(Flags::DISQUALIFIED, car.disqualified_s.is_some_and(|at| t >= at));
        flags.set(Flags::BLACK, car.black_s.is_some_and(|(from, until)| (from..until).contains(&t)));
        let yellow = self.yellows.iter().any(|(from, until)| (*from..*until).contains(&t));
        flags.set(Flags::CHECKERED, chequered);
        flags.set(Flags::WHITE, !chequered && self.white_s.is_some_and(|at| t >= at));
        flags.set(Flags::YELLOW, yellow);
        flags.set(Flags::GREEN, t >= green && !chequered && !yellow);
        flags
    }

    /// The session's state at `t` as the clients of `car` are told: it follows the light by more than a second.
    pub(super) fn state(&self, car: &Car, t: f64) -> SessionState {
        let Some(lag) = car.told.state_lag_us.map(seconds) else { return SessionState::INVALID };
        match (self.green_s, self.chequered_s) {
            (Some(green), _) if t < green + STATE_LAG_S => SessionState::PARADE,
            (_, Some(_)) if t >= self.over_s + lag.max(0.0) => SessionState::COOL_DOWN,
            (_, Some(chequered)) if t >= chequered + lag => SessionState::CHECKERED,
            _ => SessionState::RACING,
        }
    }

    pub(super) fn time_lines(&mut self) {
        let length = self.circuit.length_m;
        for car in &mut self.cars {
            let furthest = car.pieces.iter().map(|p| p.motion.at(p.until_s).s_m).fold(0.0, f64::max);
            let last = if car.absent { 0 } else { (furthest / length) as u32 };
            car.lines = (0..=last).map(|k| car.when(f64::from(k) * length)).collect();
        }
    }

    /// The leader finishes.
    fn flag(&mut self, spec: &Spec) {
        if let Some(stopped) = self.ending.stopped_us {
            self.chequered_s = Some(seconds(stopped));
            return;
        }
        if let (Session::Qualifying { .. }, Distance::Time(limit_us)) = (spec.session, spec.distance) {
            self.chequered_s = Some(seconds(spec.green_us + limit_us));
            return;
        }
        let by_laps = |laps: u32| (laps.max(1) + spec.ending.extra_laps) as usize;
        let by_time = |limit_us: i64| {
            let limit = seconds(spec.green_us + limit_us);
            let passed = |car: &Car, k: usize| car.passed_s(k, self.circuit.length_m).is_some_and(|(at, _)| at <= limit);
            let laps = |car: &Car| (0..car.lines.len()).take_while(|k| passed(car, *k)).count();
            self.cars.iter().map(laps).max().unwrap_or(1).max(1)
        };
        let last = match spec.distance {
            Distance::Laps(laps) => by_laps(laps),
            Distance::Time(limit_us) => by_time(limit_us),
            Distance::Both { laps, time_us } => by_laps(laps).min(by_time(time_us)),
        };
        let first = |line: usize| self.cars.iter().filter_map(|c| c.lines.get(line).copied().flatten()).min_by(f64::total_cmp);
        self.chequered_s = first(last);
        // With a time limit the last lap is not known before it ends.
        self.white_s = if matches!(spec.distance, Distance::Laps(_)) { first(last - 1).filter(|_| last > 1) } else { None };
    }

    /// Every car finishes the lap in which the flag found it, and its driver leaves soon after. A race that is stopped ends for all at
    /// once.
    fn finish(&mut self) {
        let flag = self.chequered_s.unwrap_or(f64::INFINITY);
        let (stopped, cool_down) = (self.ending.stopped_us.is_some(), self.ending.cool_down_laps);
        for car in &mut self.cars {
            let passed = |at: &Option<f64>| at.is_some_and(|at| at >= flag);
            let line = car.lines.iter().skip(1).position(passed).map(|i| i + 1).filter(|k| car.lines[*k].is_some_and(|at| us(at) < car.until_us));
            car.finished = line.is_some() && !stopped;
            match line.and_then(|k| car.lines[k].map(|at| (k, at))) {
                Some((k, at)) if stopped => {
                    car.last_line = k - 1;
                    car.until_us = car.until_us.min(us((flag + STOPPED_S).min(at - BEFORE_LINE_S)));
                }
                Some((k, at)) => {
                    car.last_line = k;
                    let on = (cool_down > 0.0).then(|| car.when((k as f64 + cool_down) * self.circuit.length_m)).flatten();
                    car.until_us = car.until_us.min(us(on.unwrap_or(at + RUN_OUT_S)));
                }
                None => {
                    let until = seconds(car.until_us.min(us(car.pieces.iter().map(|p| p.until_s).fold(0.0, f64::max))));
                    car.until_us = us(until);
                    car.last_line = car.lines.iter().rposition(|at| at.is_some_and(|at| at < until)).unwrap_or(0);
                }
            }
            let until = seconds(car.until_us);
            let after = car.lines.split_off(car.last_line + 1);
            if cool_down > 0.0 {
                car.after = after.into_iter().take_while(|at| at.is_none_or(|at| at < until)).collect();
            }
            car.pieces.retain(|p| p.from_s < until);
        }
        let ends = self.cars.iter().filter(|c| c.finished).filter_map(|c| c.lines.last().copied().flatten());
        self.over_s = ends.fold(flag, f64::max);
        let last = self.cars.iter().filter(|c| c.leaves != Some(Leaves::Parked)).map(|c| c.until_us).max().unwrap_or(i64::MAX);
        for car in self.cars.iter_mut().filter(|c| c.leaves == Some(Leaves::Parked)) {
            car.until_us = car.until_us.min(last.saturating_add(us(PARKED_S)));
        }
    }

    /// A contact happens to the car that has it in its plan and to the nearest other car.
    fn touch(&mut self) {
        let length = self.circuit.length_m;
        let asked: Vec<(usize, f64)> = self.cars.iter().enumerate().flat_map(|(i, c)| c.contacts.iter().map(move |t| (i, *t))).collect();
        for (one, t) in asked {
            let at = us(t);
            if at >= self.cars[one].until_us {
                continue;
            }
            let apart = |other: usize| {
                let d = (self.cars[one].progress_m(at) - self.cars[other].progress_m(at)) / length;
                (d - libm::rint(d)).abs()
            };
            let others = (0..self.cars.len()).filter(|o| *o != one && self.cars[*o].until_us > at);
            let other = others.min_by(|a, b| apart(*a).total_cmp(&apart(*b)));
            for car in [Some(one), other].into_iter().flatten() {
                let counted_s = t + 0.1 + 0.3 * self.cars[car].chance(2, at as u64);
                self.cars[car].add_points(Points { at_s: t, counted_s, points: 4, report: 8 });
            }
        }
    }

    /// The position of every car when it passed each line: positions change only there, as in simulators.
    pub(super) fn place(&mut self) {
        let places: Vec<Vec<(u8, u8)>> = self.cars.iter().map(|car| (0..car.lines.len()).map(|line| self.place_at(car, line)).collect()).collect();
        for (car, places) in self.cars.iter_mut().zip(places) {
            car.places = places;
        }
    }

    fn place_at(&self, car: &Car, line: usize) -> (u8, u8) {
        let Some(at) = car.lines[line] else { return (0, 0) };
        let ahead = |other: &&Car| {
            let last = other.lines.iter().rposition(|t| t.is_some_and(|t| t <= at));
            last.is_some_and(|last| last > line || (last == line && other.lines[last] < car.lines[line]))
        };
        let count = |class: Option<u32>| self.cars.iter().filter(|o| class.is_none_or(|c| o.class.id == c)).filter(ahead).count() as u8;
        (count(None).saturating_add(1), count(Some(car.class.id)).saturating_add(1))
    }
}

/// Yellow flags are out after every spin.
fn yellows(cars: &[Car]) -> Vec<(f64, f64)> {
    let spins = cars.iter().flat_map(|c| c.pieces.iter().flat_map(|p| p.spins.iter().filter(|s| s.1 < p.stands_until_s).map(|s| s.1)));
    spins.map(|at| (at + YELLOW_AFTER_S, at + YELLOW_AFTER_S + YELLOW_SHOWN_S)).collect()
}

impl What {
    /// Whether it brings the car into the pit lane.
    pub fn in_pits(&self) -> bool {
        matches!(self, What::Pit { .. } | What::DriveThrough | What::Swap | What::Park)
    }
}
