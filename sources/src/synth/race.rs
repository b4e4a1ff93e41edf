//! [`Race`]: all cars together, with the leader, the chequered flag and the order at each line.

use boxbox_schemas::frame::{Flags, SessionState};
use boxbox_schemas::meta::{MetaEntry, SessionMeta};

use super::car::{Car, Points, seconds, us};
use super::spec::{Distance, Spec, Start, What};
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

/// A race that was driven to its end.
#[derive(Clone, Debug)]
pub struct Race {
    pub(super) circuit: Circuit,
    pub(super) start: Start,
    pub(super) distance: Distance,
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
            distance: spec.distance,
            cars: plan::cars(spec),
            green_s: Some(seconds(spec.green_us)),
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
            Distance::Laps(laps) => (laps, 0),
            Distance::Time(us) => (0, us),
        };
        SessionMeta {
            track_id: 1,
            track_name: self.circuit.name.clone(),
            track_config: String::new(),
            track_length_m: self.circuit.length_m,
            sector_starts: self.circuit.sector_starts.clone(),
            pit_limit_mps: self.circuit.pit_limit_mps as f32,
            session_type: "Race".into(),
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

    /// The flags and lights that all drivers see at `t`.
    pub(super) fn flags(&self, t: f64) -> Flags {
        let mut flags = Flags(0);
        let Some(green) = self.green_s else { return Flags::GREEN };
        flags.set(Flags::START_READY, t < green - SET_SHOWN_S);
        flags.set(Flags::START_SET, (green - SET_SHOWN_S..green).contains(&t));
        flags.set(Flags::START_GO, (green..green + GO_SHOWN_S).contains(&t));
        let chequered = self.chequered_s.is_some_and(|at| t >= at);
        let yellow = self.yellows.iter().any(|(from, until)| (*from..*until).contains(&t));
        flags.set(Flags::CHECKERED, chequered);
        flags.set(Flags::WHITE, !chequered && self.white_s.is_some_and(|at| t >= at));
        flags.set(Flags::YELLOW, yellow);
        flags.set(Flags::GREEN, t >= green && !chequered && !yellow);
        flags
    }

    /// The session's state at `t`: it follows the light by more than a second.
    pub(super) fn state(&self, t: f64) -> SessionState {
        match (self.green_s, self.chequered_s) {
            (Some(green), _) if t < green + STATE_LAG_S => SessionState::PARADE,
            (_, Some(_)) if t >= self.over_s => SessionState::COOL_DOWN,
            (_, Some(chequered)) if t >= chequered => SessionState::CHECKERED,
            _ => SessionState::RACING,
        }
    }

    pub(super) fn time_lines(&mut self) {
        let length = self.circuit.length_m;
        for car in &mut self.cars {
            let furthest = car.pieces.iter().map(|p| p.motion.at(p.until_s).s_m).fold(0.0, f64::max);
            car.lines = (0..=(furthest / length) as u32).map(|k| car.when(f64::from(k) * length)).collect();
        }
    }

    /// The leader finishes.
    fn flag(&mut self, spec: &Spec) {
        let last = match spec.distance {
            Distance::Laps(laps) => laps.max(1) as usize,
            Distance::Time(limit_us) => {
                let limit = seconds(spec.green_us + limit_us);
                let laps = |car: &Car| car.lines.iter().take_while(|at| at.is_none_or(|at| at <= limit)).count();
                self.cars.iter().map(laps).max().unwrap_or(1).max(1)
            }
        };
        let first = |line: usize| self.cars.iter().filter_map(|c| c.lines.get(line).copied().flatten()).min_by(f64::total_cmp);
        self.chequered_s = first(last);
        // With a time limit the last lap is not known before it ends.
        self.white_s = if matches!(spec.distance, Distance::Laps(_)) { first(last - 1).filter(|_| last > 1) } else { None };
    }

    /// Every car finishes the lap in which the flag found it, and its driver leaves soon after.
    fn finish(&mut self) {
        let flag = self.chequered_s.unwrap_or(f64::INFINITY);
        for car in &mut self.cars {
            let passed = |at: &Option<f64>| at.is_some_and(|at| at >= flag);
            let line = car.lines.iter().skip(1).position(passed).map(|i| i + 1).filter(|k| car.lines[*k].is_some_and(|at| us(at) < car.until_us));
            car.finished = line.is_some();
            match line.and_then(|k| car.lines[k].map(|at| (k, at))) {
                Some((k, at)) => {
                    car.last_line = k;
                    car.until_us = car.until_us.min(us(at + RUN_OUT_S));
                }
                None => {
                    let until = seconds(car.until_us.min(us(car.pieces.iter().map(|p| p.until_s).fold(0.0, f64::max))));
                    car.until_us = us(until);
                    car.last_line = car.lines.iter().rposition(|at| at.is_some_and(|at| at < until)).unwrap_or(0);
                }
            }
            car.lines.truncate(car.last_line + 1);
            let until = seconds(car.until_us);
            car.pieces.retain(|p| p.from_s < until);
        }
        let ends = self.cars.iter().filter(|c| c.finished).filter_map(|c| c.lines.last().copied().flatten());
        self.over_s = ends.fold(flag, f64::max);
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
        matches!(self, What::Pit { .. } | What::DriveThrough | What::Swap)
    }
}
