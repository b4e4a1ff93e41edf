//! Makes the cars of a [`Spec`] with their plans: pieces of motion and the events in them.

use boxbox_schemas::DriverId;

use super::car::{Away, Begin, Car, Leaves, Person, Piece, Points, Service, seconds, us};
use super::motion::{Knot, Limits, Motion, State};
use super::spec::{Incident, Session, Spec, Start, What};

/// Distance between knots of a plan, m.
const STEP_M: f64 = 6.0;
/// Length of an excursion, m.
const OFF_M: f64 = 90.0;
/// Distance between grid positions, m.
const GRID_M: f64 = 8.0;
/// Pole position stands this far behind the line, m.
const POLE_M: f64 = 12.0;
/// Speed before a rolling start, m/s.
const PACE_MPS: f64 = 24.0;
/// Position of the leader at the green light of a rolling start, m before the line.
const PACE_ENDS_M: f64 = 90.0;
/// A towed car stands before it is taken, and its tow takes, s.
const TOW_WAIT_S: f64 = 2.5;
const TOW_S: f64 = 12.0;
/// A retired car stands this long before its driver leaves, s.
const RETIRE_S: f64 = 4.0;
/// Between spinning and standing, and how long it stands, s.
const SPIN_S: f64 = 1.2;
const SPIN_STANDS_S: f64 = 2.0;
/// Fuel into the tank, l/s; and the least time in the stall, s.
const FUEL_LPS: f64 = 3.0;
const SERVICE_S: f64 = 3.0;
const TYRES_S: f64 = 5.0;
/// A car stands this long in its stall before and after work, s.
const HALT_S: f64 = 0.4;
/// Stalls keep this far from the line, m.
const OFF_LINE_M: f64 = 12.0;
/// After a reset to where it was the car stands, s.
const RESET_STANDS_S: f64 = 1.5;
/// A reset or a cut keeps this far from the lines of its lap, m.
const OFF_LINES_M: f64 = 25.0;
/// A car that parks stands until all others are done, s.
const PARKED_S: f64 = 3_600.0;
/// A driver swap takes, s.
const SWAP_S: f64 = 8.0;

/// A driver's style.
struct Style {
    /// Share of the possible speed.
    skill: f64,
    /// From the light to moving, s.
    reaction_s: f64,
}

/// The cars of `spec`, in order of the grid, with plans that are longer than any race.
pub(super) fn cars(spec: &Spec) -> Vec<Car> {
    let count = spec.cars_in_bounds();
    let mut random = fastrand::Rng::with_seed(spec.seed);
    let mut numbers: Vec<u32> = (1..=count.max(30) as u32 * 3).collect();
    random.shuffle(&mut numbers);
    let per_class = count.div_ceil(spec.classes.len().max(1));
    let teams = spec.script.iter().any(|i| i.what == What::Swap);
    (0..count).map(|index| plan(spec, index, numbers[index], &spec.classes[index / per_class], teams, &mut random)).collect()
}

fn plan(spec: &Spec, index: usize, number: u32, class: &super::spec::Class, teams: bool, random: &mut fastrand::Rng) -> Car {
    let per_class = spec.cars_in_bounds().div_ceil(spec.classes.len().max(1));
    // Better drivers start further ahead, roughly.
    let rank = (index % per_class) as f64 / per_class as f64;
    let style = Style { skill: 1.0 - 0.022 * rank - 0.008 * random.f64(), reaction_s: 0.18 + 0.25 * random.f64() };
    let mut events: Vec<Incident> = spec.script.iter().copied().filter(|i| i.car == index).collect();
    events.extend(by_seed(spec, index, class, random));
    let (first, last) = spec.circuit.stalls;
    let stall_m = (first + (last - first) * (index as f64 + 0.5) / spec.cars_in_bounds() as f64) * spec.circuit.length_m;
    let swaps = events.iter().any(|e| e.what == What::Swap);
    let user_id = 900_000 + u64::from(number) * 10;
    let person = |n: u64| Person { driver: driver_id(number, n), user_id: user_id + n, name: name(u64::from(number) + 100 * n) };
    let mut car = Car {
        slot: index as u16,
        number: number.to_string(),
        class: class.clone(),
        drivers: (0..=u64::from(swaps)).map(person).collect(),
        team_id: if teams { 5_000 + u64::from(number) } else { 0 },
        grid: index as u32 + 1,
        seed: random.u64(..),
        // No car stands on the line, because a standing car has no crossing time.
        stall_m: if stall_m.abs() < OFF_LINE_M { OFF_LINE_M.copysign(stall_m) } else { stall_m },
        pieces: vec![],
        swaps_s: vec![],
        contacts: vec![],
        away: vec![],
        until_us: i64::MAX,
        lines: vec![],
        places: vec![],
        last_line: 0,
        finished: false,
        after: vec![],
        told: spec.told.get(index).copied().unwrap_or_default(),
        slips_s: vec![],
        client_from_s: None,
        client_until_s: None,
        leaves: None,
        left_s: f64::INFINITY,
        disqualified_s: None,
        black_s: None,
        absent: events.iter().any(|e| e.what == What::NeverStarts),
        unseen: spec.unseen.contains(&index),
    };
    drive(spec, &mut car, &style, &events);
    car
}

fn driver_id(number: u32, n: u64) -> DriverId {
    let text = if n == 0 { format!("sim-{number:03}") } else { format!("sim-{number:03}-{}", n + 1) };

    DriverId::new(&text).expect("letters, digits and dashes, far below the longest")
}

/// A different name for each of the first 192 numbers.
fn name(number: u64) -> String {
    const FIRST: [&str; 12] = ["Ada", "Bo", "Cleo", "Dario", "Esra", "Finn", "Gita", "Hugo", "Ines", "Jonas", "Kira", "Luca"];
    const LAST: [&str; 16] = [
        "Almeida",
        "Berg",
        "Costa",
        "Dahl",
        "Eriksen",
        "Fontaine",
        "Garcia",
        "Hoffmann",
        "Ito",
        "Jansen",
        "Keller",
        "Lindqvist",
        "Moreau",
        "Novak",
        "Okafor",
        "Petit",
    ];
    let (first, last) = (number % 12, (number + number / 12) % 16);
    format!("{} {}", FIRST[first as usize], LAST[last as usize])
}

/// Events that the seed adds to a car.
fn by_seed(spec: &Spec, index: usize, class: &super::spec::Class, random: &mut fastrand::Rng) -> Vec<Incident> {
    let laps = spec.laps_at_most();
    let at = |lap: u32, at: f64, what: What| Incident { car: index, lap, at, what };
    let mut events = vec![];
    for stop in 0..spec.stops.min(laps.saturating_sub(2)) {
        let share = (f64::from(stop) + 0.7 + 0.6 * random.f64()) / f64::from(spec.stops + 1);
        let lap = ((share * f64::from(laps)) as u32).clamp(1, laps.saturating_sub(1));
        let fuel_l = class.tank_l * (0.05 + 0.1 * random.f64());
        events.push(at(lap, 1.0, What::Pit { fuel_l, tyres: random.bool() }));
    }
    // Drawn whether used or not, so that other options do not change another car.
    let (hit, kind, lap, place) = (random.f64(), random.f64(), random.f64(), 0.15 + 0.6 * random.f64());
    if hit < spec.trouble && laps >= 3 {
        let lap = 2 + (lap * f64::from(laps - 2)) as u32;
        let what = match kind {
            k if k < 0.4 => What::OffTrack,
            k if k < 0.65 => What::Spin,
            k if k < 0.85 => What::Contact,
            k if k < 0.93 => What::Tow,
            _ => What::Retire,
        };
        events.push(at(lap, place, what));
    }
    events
}

/// The input for the plan of a piece.
struct Course<'a> {
    spec: &'a Spec,
    car: &'a Car,
    style: &'a Style,
    /// The events ahead, by position, m.
    ahead: Vec<(f64, What)>,
    /// Driven at the pace until there, m.
    pace_until_m: f64,
    slow: f64,
}

fn drive(spec: &Spec, car: &mut Car, style: &Style, events: &[Incident]) {
    let length = spec.circuit.length_m;
    let green = seconds(spec.green_us);
    let end_m = (f64::from(spec.laps_at_most()) + 1.5) * length;
    let place = |i: &Incident| match i.what {
        what if what.in_pits() => f64::from(i.lap) * length + car.stall_m,
        _ => (f64::from(i.lap) - 1.0 + i.at.clamp(0.0, 1.0)) * length,
    };
    let mut ahead: Vec<(f64, What)> = events.iter().map(|i| (place(i), i.what)).collect();
    ahead.sort_by(|a, b| a.0.total_cmp(&b.0));
    let offset = POLE_M + GRID_M * f64::from(car.grid - 1);
    let from_pits = events.iter().find_map(|e| if let What::PitStart { from_us, leaves_us } = e.what { Some((from_us, leaves_us)) } else { None });
    let (start, stand_s, pace_until_m) = match spec.start {
        _ if let Some((from_us, leaves_us)) = from_pits => {
            (State { s_m: out_of_pits_m(spec, car), speed_mps: 0.0, accel_mps2: 0.0 }, seconds(leaves_us - from_us).max(0.1), f64::NEG_INFINITY)
        }
        Start::Standing => (State { s_m: -offset, speed_mps: 0.0, accel_mps2: 0.0 }, green + style.reaction_s, f64::NEG_INFINITY),
        Start::Rolling => {
            let s_m = -PACE_ENDS_M - offset - PACE_MPS * green;
            (State { s_m, speed_mps: PACE_MPS, accel_mps2: 0.0 }, 0.0, s_m + PACE_MPS * (green + style.reaction_s))
        }
    };
    // Enough for two thirds of the race, but at least enough for a stop to be useful.
    let fuel_l = (car.class.burn_lpkm * end_m / 1_000.0 * 0.7 + 4.0).min(car.class.tank_l);
    let (mut t, mut from, mut stand_s) = (from_pits.map_or(0.0, |(from_us, _)| seconds(from_us)), start, stand_s);
    let mut piece_start = Begun { begin: Begin::Start, fuel_l, count: 0, tyre_sets: 1, tow_until_s: 0.0, in_stall: from_pits.is_some() };
    let mut slow = 1.0;
    loop {
        let course = Course { spec, car, style, ahead: ahead.clone(), pace_until_m, slow };
        let (mut piece, stop) = course.piece(t, from, stand_s, end_m, &piece_start);
        for (place, what) in ahead.iter().filter(|(place, _)| stop.as_ref().is_none_or(|s| *place <= s.0)) {
            let Some(at) = piece.motion.when(*place) else { continue };
            match what {
                What::Disconnect { away_us } => car.away.push(Away { from_s: at, until_s: at + seconds(*away_us), restart: false }),
                What::Restart { away_us } => car.away.push(Away { from_s: at, until_s: at + seconds(*away_us), restart: true }),
                What::Swap => car.swaps_s.push(at + SWAP_S / 2.0),
                What::Contact => car.contacts.push(at),
                What::LostTick => car.slips_s.push(at),
                What::ClientLate => car.client_from_s = Some(at),
                What::ClientLost => car.client_until_s = Some(at),
                What::Disqualify => car.disqualified_s = Some(at),
                What::Black { shown_us } => car.black_s = Some((at, at + seconds(*shown_us))),
                What::Slow => slow = 0.82,
                _ => {}
            }
        }
        let Some((place, what)) = stop else {
            car.pieces.push(piece);
            return;
        };
        ahead.retain(|(at, _)| *at > place);
        match what {
            What::Flashback { back_us } => {
                piece.until_s = piece.motion.when(place).unwrap_or(piece.until_s) + 1.0;
                piece.stands_until_s = (piece.until_s - seconds(back_us)).max(piece.from_s + 0.5);
                t = piece.stands_until_s;
                from = piece.motion.at(t);
                piece_start = Begun::after(&piece, car, t, &from, Begin::Flashback);
                // Driven differently than before, and without the events that were undone.
                slow *= 0.985;
                stand_s = 0.0;
            }
            What::Tow | What::Reset => {
                let towed = what == What::Tow;
                t = piece.until_s;
                let here = piece.motion.at(t);
                piece_start = Begun::after(&piece, car, t, &here, Begin::Jump { towed });
                // In a race a tow goes on round the track, and over the line if the stall is beyond it. Else the car is put into its stall in
                // the same lap, as a real recording of a practice shows.
                let laps = match spec.session {
                    Session::Race => libm::ceil((here.s_m - car.stall_m) / length),
                    Session::Qualifying { .. } => libm::floor(here.s_m / length) + if car.stall_m < 0.0 { 1.0 } else { 0.0 },
                };
                from = State { s_m: laps * length + car.stall_m, speed_mps: 0.0, accel_mps2: 0.0 };
                stand_s = if towed { TOW_S + SERVICE_S } else { SERVICE_S };
                piece_start.tow_until_s = if towed { t + TOW_S } else { 0.0 };
                ahead.retain(|(at, _)| *at > from.s_m);
            }
            What::ActiveReset { back_m } | What::Cut { by_m: back_m } => {
                t = piece.until_s;
                let here = piece.motion.at(t);
                let back = matches!(what, What::ActiveReset { .. });
                // Within its lap: what becomes of a line that is passed twice, or cut, is another matter.
                let lap_m = libm::floor(here.s_m / length) * length;
                let to_m = here.s_m + if back { -back_m } else { back_m };
                let to_m = to_m.clamp((lap_m + OFF_LINES_M).min(here.s_m), (lap_m + length - OFF_LINES_M).max(here.s_m));
                let before = piece.motion.before(t);
                piece_start = Begun::after(&piece, car, t, &here, Begin::Shift { blank: back && car.chance(5, us(t) as u64) < 0.5 });
                from = State { s_m: to_m, speed_mps: if back { 0.0 } else { before }, accel_mps2: 0.0 };
                stand_s = if back { RESET_STANDS_S } else { 0.0 };
                ahead.retain(|(at, _)| *at > from.s_m);
            }
            _ => {
                car.until_us = us(piece.until_s);
                car.left_s = piece.motion.when(place).unwrap_or(piece.until_s);
                car.leaves = Some(match what {
                    What::Park => Leaves::Parked,
                    What::Vanish => Leaves::Vanished,
                    _ => Leaves::Stopped,
                });
                car.pieces.push(piece);
                return;
            }
        }
        car.pieces.push(piece);
    }
}

/// Where a car stands that begins in its stall, m. In a session without a light no lap has begun there: lap 1 begins with the first line, also
/// if the stall lies beyond it.
fn out_of_pits_m(spec: &Spec, car: &Car) -> f64 {
    let before_line = spec.session != Session::Race && car.stall_m > 0.0;
    if before_line { car.stall_m - spec.circuit.length_m } else { car.stall_m }
}

/// The state at the beginning of a piece.
struct Begun {
    begin: Begin,
    fuel_l: f64,
    count: u16,
    tyre_sets: u16,
    tow_until_s: f64,
    in_stall: bool,
}

impl Begun {
    fn after(piece: &Piece, car: &Car, t: f64, at: &State, begin: Begin) -> Self {
        Self {
            begin,
            fuel_l: piece.fuel_l(&car.class, t, at),
            count: piece.count(t),
            tyre_sets: piece.tyre_sets(t),
            tow_until_s: 0.0,
            in_stall: matches!(begin, Begin::Jump { .. }),
        }
    }
}

impl Course<'_> {
    /// The piece from `from` at `t` on, and what ends it.
    fn piece(&self, t: f64, from: State, stand_s: f64, end_m: f64, begun: &Begun) -> (Piece, Option<(f64, What)>) {
        let stop = self.ahead.iter().copied().find(|(_, what)| what.ends_piece());
        // A car that flashes back drives on for a second first.
        let margin_m = if matches!(stop, Some((_, What::Flashback { .. }))) { 200.0 } else { 0.0 };
        let end_m = stop.map_or(end_m, |(place, _)| place + margin_m).max(from.s_m + 1.0);
        let here: Vec<(f64, What)> = self.ahead.iter().copied().filter(|(place, _)| *place <= end_m).collect();
        let length = self.spec.circuit.length_m;
        let mut lane: Vec<(f64, f64)> = here
            .iter()
            .filter(|(_, what)| what.in_pits())
            .map(|(place, _)| libm::rint((place - self.car.stall_m) / length))
            .map(|line| ((line - 1.0 + self.spec.circuit.pit.0) * length, (line + self.spec.circuit.pit.1) * length))
            .collect();
        if begun.in_stall {
            let line = libm::rint((from.s_m - self.car.stall_m) / length);
            lane.insert(0, (from.s_m - 1.0, (line + self.spec.circuit.pit.1) * length));
        }
        let off: Vec<(f64, f64)> = here.iter().filter(|(_, what)| *what == What::OffTrack).map(|(place, _)| (*place, place + OFF_M)).collect();
        let knots = self.knots(from.s_m, stand_s, end_m, &here, &lane, &off);
        let class = &self.car.class;
        let limits = Limits { accel: class.accel_mps2, brake: class.brake_mps2, v_max: class.v_max_mps };
        let motion = Motion::along(&knots, limits, t, from.speed_mps);
        let (services, spins) = (services(&motion, &here), spins(&motion, &here));
        let points = self.points(&motion, &here);
        let until_s = motion.span_s().1;
        let piece = Piece {
            begin: begun.begin,
            from_s: t,
            until_s,
            stands_until_s: until_s,
            motion,
            off,
            lane,
            services,
            spins,
            points,
            fuel_l: begun.fuel_l,
            count: begun.count,
            tyre_sets: begun.tyre_sets,
            tow_until_s: begun.tow_until_s,
        };
        (piece, stop)
    }

    fn knots(&self, from_m: f64, stand_s: f64, end_m: f64, here: &[(f64, What)], lane: &[(f64, f64)], off: &[(f64, f64)]) -> Vec<Knot> {
        let stands: Vec<(f64, f64)> = here.iter().filter_map(|(place, what)| Some((*place, stands_s(what)?))).chain([(from_m, stand_s)]).collect();
        let marks = lane.iter().chain(off).flat_map(|(a, b)| [*a, *b]).chain(stands.iter().map(|s| s.0)).chain([self.pace_until_m, end_m]);
        let first = libm::floor(from_m / STEP_M) as i64 + 1;
        let mut places: Vec<f64> = (first..).map(|n| n as f64 * STEP_M).take_while(|s| *s < end_m).chain(marks).collect();
        places.retain(|s| (from_m..=end_m).contains(s));
        places.sort_by(f64::total_cmp);
        places.dedup_by(|b, a| *b - *a < 1e-3 && !stands.iter().any(|s| s.0 == *b));
        places.dedup();
        let stand = |s: f64| stands.iter().filter(|(place, _)| *place == s).map(|(_, time)| *time).sum();
        places.into_iter().map(|s| Knot { s, v: self.speed(s, lane, off), stand: stand(s) }).collect()
    }

    /// How fast this driver goes at `s`, m/s.
    fn speed(&self, s: f64, lane: &[(f64, f64)], off: &[(f64, f64)]) -> f64 {
        if s <= self.pace_until_m {
            return PACE_MPS;
        }
        if lane.iter().any(|(from, until)| (*from..=*until).contains(&s)) {
            return self.spec.circuit.pit_limit_mps - 0.3;
        }
        let lap = libm::floor(s / self.spec.circuit.length_m);
        let form = 1.0 + 0.008 * (self.car.chance(1, lap as i64 as u64) - 0.5);
        // As fuel burns off, the car gets faster.
        let weight = 1.0 - 0.008 * (1.0 - (s / 1_000.0 * self.car.class.burn_lpkm / self.car.class.tank_l).clamp(0.0, 1.0));
        let curvature = self.spec.circuit.point(s).curvature_1pm.abs().max(1e-5);
        let corner = libm::sqrt(self.car.class.corner_mps2 / curvature);
        let grass = if Piece::within(off, s) { 0.6 } else { 1.0 };
        let slow_from = self.ahead.iter().find(|(_, what)| *what == What::Slow).map_or(f64::INFINITY, |(place, _)| *place);
        let slow = if s >= slow_from { 0.82 } else { self.slow };
        corner.min(self.car.class.v_max_mps) * self.style.skill * form * weight * grass * slow
    }

    fn points(&self, motion: &Motion, here: &[(f64, What)]) -> Vec<Points> {
        let points = here.iter().filter_map(|(place, what)| {
            let at = motion.when(*place)?;
            let (at_s, points, report) = match what {
                What::OffTrack => (at + 0.3, 1, 2),
                What::Spin => (at - 0.4, 2, 1),
                _ => return None,
            };
            Some(Points { at_s, counted_s: at_s + 0.1 + 0.3 * self.car.chance(2, us(at) as u64), points, report })
        });
        points.collect()
    }
}

impl What {
    /// Whether the car's motion ends there, or goes on elsewhere.
    fn ends_piece(&self) -> bool {
        use What::{ActiveReset, Cut, Flashback, Park, Reset, Retire, Tow, Vanish};
        matches!(self, Tow | Reset | Flashback { .. } | Retire | Park | Vanish | ActiveReset { .. } | Cut { .. })
    }
}

/// How long a car stands for `what`, s.
fn stands_s(what: &What) -> Option<f64> {
    match what {
        What::Pit { fuel_l, tyres } => Some(2.0 * HALT_S + (fuel_l / FUEL_LPS).max(if *tyres { TYRES_S } else { 0.0 }).max(SERVICE_S)),
        What::Swap => Some(2.0 * HALT_S + SWAP_S),
        What::Spin => Some(SPIN_STANDS_S),
        What::Tow => Some(TOW_WAIT_S),
        What::Retire => Some(RETIRE_S),
        What::Park => Some(PARKED_S),
        _ => None,
    }
}

fn services(motion: &Motion, here: &[(f64, What)]) -> Vec<Service> {
    let service = |(place, what): &(f64, What)| {
        let (fuel_l, tyres) = match what {
            What::Pit { fuel_l, tyres } => (*fuel_l, *tyres),
            What::Swap => (0.0, false),
            _ => return None,
        };
        let from_s = motion.when(*place)? + HALT_S;
        Some(Service { from_s, until_s: from_s + stands_s(what)? - 2.0 * HALT_S, fuel_l, tyres })
    };
    here.iter().filter_map(service).collect()
}

fn spins(motion: &Motion, here: &[(f64, What)]) -> Vec<(f64, f64)> {
    here.iter().filter(|(_, what)| *what == What::Spin).filter_map(|(place, _)| motion.when(*place)).map(|at| (at - SPIN_S, at)).collect()
}
