//! [`Drawn`]: the race of a seed, with its clients. Whatever is not a choice of the list of situations is drawn from a range.

use std::fmt;

use boxbox_sources::synth::{Circuit, Class, Distance, Ending, Race, Session, Spec, Start, Told, Truth, What};
use fastrand::Rng;

use crate::model::{self, Model};
use crate::qualifying;

/// When the lights go green, µs.
const GREEN_US: i64 = 3_000_000;
/// Two moments that are this near to each other are not told apart by frames, µs.
pub const NEAR_US: i64 = 500_000;

/// What ends a race, and what its clients are told of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    LapLimit,
    TimeLimit,
    BothByLaps,
    BothByTime,
    /// Later than the lap limit.
    Overtime,
    /// Stopped before a limit.
    Stopped,
    /// No state is told, only the flag.
    FlagOnly,
    /// Neither state nor flag is told.
    LimitsOnly,
    /// Not a race: time is up.
    Qualifying,
}

impl End {
    pub const ALL: [Self; 8] =
        [End::LapLimit, End::TimeLimit, End::BothByLaps, End::BothByTime, End::Overtime, End::Stopped, End::FlagOnly, End::LimitsOnly];
}

/// A race, its clients, and how their records arrive.
pub struct Drawn {
    pub seed: u64,
    pub end: End,
    pub spec: Spec,
    /// Cars with a client of their own.
    pub clients: Vec<bool>,
    /// Cars whose client shows the other cars.
    pub observers: Vec<usize>,
    /// Frames a second of clients, and of other cars.
    pub hz: u32,
    pub field_hz: u32,
    /// A driver's client stays connected while another drives.
    pub stays: bool,
    /// Records arrive in any order of clients.
    pub shuffled: bool,
    /// Races that were drawn before, and given up because nothing that clients are shown tells their result.
    pub given_up: u32,
}

/// What a person needs to drive the race again.
impl fmt::Display for Drawn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Spec { cars, circuit, session, distance, start, ending, .. } = &self.spec;
        writeln!(
            f,
            "seed {}: {:?}, {session:?}, {distance:?}, {ending:?}, {start:?} start, {cars} cars, {:.0} m",
            self.seed, self.end, circuit.length_m
        )?;
        let who = |of: &dyn Fn(usize) -> bool| (0..*cars).filter(|car| of(*car)).collect::<Vec<_>>();
        writeln!(
            f,
            "  without a client {:?}, observers {:?} at {} Hz, shown to no other {:?}, {} Hz, co-drivers stay: {}, shuffled: {}",
            who(&|car| !self.clients[car]),
            self.observers,
            self.field_hz,
            self.spec.unseen,
            self.hz,
            self.stays,
            self.shuffled
        )?;
        for (car, told) in self.spec.told.iter().enumerate().filter(|(car, _)| self.clients[*car]) {
            write!(f, "  {car}: state {:?} flag {:?};", told.state_lag_us, told.flag_lag_us)?;
        }
        writeln!(f)?;
        for incident in &self.spec.script {
            writeln!(f, "  car {} lap {} at {:.3}: {:?}", incident.car, incident.lap, incident.at, incident.what)?;
        }
        Ok(())
    }
}

impl Drawn {
    /// The race of `seed`, driven, and what the model makes of it.
    pub fn new(seed: u64) -> (Self, Race, Truth, Model) {
        for given_up in 0.. {
            let drawn = Self::attempt(seed, given_up);
            let race = Race::new(&drawn.spec);
            let truth = race.truth();
            if let Some(model) = model::of(&drawn, &truth) {
                return (drawn, race, truth, model);
            }
        }
        unreachable!("every seed has a race")
    }

    /// The qualifying session of `seed`, driven, and what the model makes of it.
    pub fn qualifying(seed: u64) -> (Self, Race, Truth, Model) {
        for given_up in 0.. {
            let drawn = Self::attempt_qualifying(seed, given_up);
            let race = Race::new(&drawn.spec);
            let truth = race.truth();
            if let Some(model) = qualifying::of(&drawn, &truth) {
                return (drawn, race, truth, model);
            }
        }
        unreachable!("every seed has a session")
    }

    fn attempt_qualifying(seed: u64, given_up: u32) -> Self {
        let mut rng = Rng::with_seed(!seed.wrapping_mul(0x9e37_79b9).wrapping_add(u64::from(given_up)));
        let cars = rng.usize(4..=7);
        let circuit = Circuit::new("Model", 900.0 + 300.0 * rng.f64(), rng.u64(..));
        let mut classes = Class::usual();
        classes.truncate(rng.usize(1..=3));
        let time_us = rng.i64(90_000_000..170_000_000);
        let spec = Spec {
            cars,
            circuit,
            classes,
            session: Session::Qualifying { counted_laps: rng.u32(0..=3) },
            distance: Distance::Time(time_us),
            green_us: 0,
            ending: Ending { cool_down_laps: [0.5, 1.2, 2.1][rng.usize(..3)], ..Ending::default() },
            told: told(End::Qualifying, cars, &mut rng),
            ..Spec::calm(rng.u64(..))
        };
        let mut drawn = Self {
            seed,
            end: End::Qualifying,
            spec,
            clients: vec![true; cars],
            observers: vec![],
            hz: [10, 20, 60][rng.usize(..3)],
            field_hz: 4,
            stays: false,
            shuffled: rng.u8(..4) == 0,
            given_up,
        };
        drawn.watch(&mut rng);
        drawn.run(&mut rng);
        drawn
    }

    /// When each car drives off, and what happens to it.
    fn run(&mut self, rng: &mut Rng) {
        for car in 0..self.spec.cars {
            let mut script = vec![(1, 0.0, What::PitStart { from_us: 0, leaves_us: rng.i64(1_000_000..40_000_000) })];
            // What only its own client tells of a car is not asked of one without.
            for _ in 0..if self.clients[car] { rng.usize(..5) } else { 0 } {
                let (mut lap, at) = (rng.u32(1..=4), 0.08 + 0.84 * rng.f64());
                // The way out of the pits of a car whose stall lies beyond the line.
                let out = u32::from(2 * car < self.spec.cars);
                let what = match rng.u8(..25) {
                    0 => What::Pit { fuel_l: 4.0, tyres: rng.bool() },
                    1 => What::DriveThrough,
                    2 => What::Spin,
                    3 | 4 => What::OffTrack,
                    5 => What::Disconnect { away_us: rng.i64(1_000_000..15_000_000) },
                    6 => What::Retire,
                    7 => What::Park,
                    8 => What::Cut { by_m: 20.0 + 100.0 * rng.f64() },
                    9 => What::LostTick,
                    10 | 19 if !self.observers.contains(&car) => What::NeverStarts,
                    11 => What::Tow,
                    12 => What::Reset,
                    13 => {
                        lap = rng.u32(out..=1);
                        What::Reset
                    }
                    14 => {
                        // A car whose stall lies before the line stands there all the time; any other comes back at once.
                        lap = 0;
                        What::Park
                    }
                    15 | 18 => What::Restart { away_us: rng.i64(1_000_000..6_000_000) },
                    16 | 20 | 21 if !self.observers.contains(&car) => What::ClientLost,
                    17 | 22 | 23 if !self.observers.contains(&car) => What::ClientLate,
                    _ => What::Slow,
                };
                script.push((lap, at, what));
            }
            for (lap, at, what) in script {
                self.spec = std::mem::replace(&mut self.spec, Spec::calm(0)).with(car, lap, at, what);
            }
        }
    }

    fn attempt(seed: u64, given_up: u32) -> Self {
        let mut rng = Rng::with_seed(seed.wrapping_mul(0x9e37_79b9).wrapping_add(u64::from(given_up)));
        let end = End::ALL[(seed % End::ALL.len() as u64) as usize];
        let cars = rng.usize(5..=8);
        let laps = rng.u32(3..=5);
        let circuit = Circuit::new("Model", 900.0 + 300.0 * rng.f64(), rng.u64(..));
        let mut classes = Class::usual();
        classes.truncate(rng.usize(1..=3));
        // Before the end of a race by laps, and beyond it.
        let lap_us = (circuit.length_m / 42.0 * 1e6) as i64;
        let (short_us, long_us) = (lap_us * i64::from(laps) - rng.i64(0..lap_us), 600_000_000);
        let by_laps = Distance::Laps(laps);
        let both = |laps, time_us| Distance::Both { laps, time_us };
        let distance = match end {
            End::LapLimit | End::Overtime => by_laps,
            End::TimeLimit | End::Qualifying => Distance::Time(short_us),
            End::BothByLaps => both(laps, long_us),
            End::BothByTime => both(30, short_us),
            End::Stopped => [Distance::Laps(30), Distance::Time(long_us), both(30, long_us)][rng.usize(..3)],
            End::FlagOnly | End::LimitsOnly => [by_laps, Distance::Time(short_us), both(laps, long_us), both(30, short_us)][rng.usize(..4)],
        };
        let ending = Ending {
            extra_laps: if end == End::Overtime { rng.u32(1..=3) } else { 0 },
            stopped_us: (end == End::Stopped).then(|| GREEN_US + short_us),
            cool_down_laps: [0.5, 1.2, 1.2, 2.1][rng.usize(..4)],
        };
        let told = told(end, cars, &mut rng);
        let rolling = !matches!(end, End::FlagOnly | End::LimitsOnly) && rng.u8(..4) == 0;
        let spec = Spec {
            cars,
            circuit,
            classes,
            distance,
            start: if rolling { Start::Rolling } else { Start::Standing },
            green_us: GREEN_US,
            stops: u32::from(rng.u8(..4) == 0),
            ending,
            told,
            ..Spec::calm(rng.u64(..))
        };
        let mut drawn = Self {
            seed,
            end,
            spec,
            clients: vec![true; cars],
            observers: vec![],
            hz: [10, 10, 10, 20, 20, 60][rng.usize(..6)],
            field_hz: [4, 4, 10][rng.usize(..3)],
            stays: rng.bool(),
            shuffled: rng.u8(..4) == 0,
            given_up,
        };
        drawn.watch(&mut rng);
        drawn.trouble(laps, &mut rng);
        drawn
    }

    /// Who has a client, and who sees whom.
    fn watch(&mut self, rng: &mut Rng) {
        let cars = self.spec.cars;
        let count = rng.usize(0..=3);
        while self.observers.len() < count {
            let car = rng.usize(..cars);
            if !self.observers.contains(&car) {
                self.observers.push(car);
            }
        }
        for car in (0..cars).filter(|car| !self.observers.contains(car)) {
            // A car without a client, and one that no client sees at all.
            let (alone, unseen) = (rng.u8(..4) == 0 && count > 0, rng.u8(..24) == 0);
            self.clients[car] = !alone && !unseen;
            if unseen {
                self.spec.unseen.push(car);
            }
        }
    }

    /// What happens to cars, of each kind equally often.
    fn trouble(&mut self, laps: u32, rng: &mut Rng) {
        let mut script = vec![];
        for car in 0..self.spec.cars {
            let (observes, own) = (self.observers.contains(&car), self.clients[car]);
            let mut add = |lap: u32, at: f64, what: What| script.push((car, lap, at, what));
            for _ in 0..[0, 1, 1, 1, 2][rng.usize(..5)] {
                let (lap, at) = (rng.u32(1..=laps), 0.08 + 0.84 * rng.f64());
                match rng.u8(..22) {
                    0 => add(lap, at, What::Pit { fuel_l: 4.0 + 12.0 * rng.f64(), tyres: rng.bool() }),
                    1 => add(lap, at, What::DriveThrough),
                    2 => add(lap, at, What::Spin),
                    3 => add(lap, at, What::Tow),
                    4 => add(lap, at, What::Reset),
                    5 if own => add(lap, at, What::Flashback { back_us: rng.i64(1_500_000..7_000_000) }),
                    6 | 7 => {
                        let first = rng.u32(1..laps);
                        add(first, at, What::Swap);
                        if rng.u8(..3) > 0 {
                            add(first + rng.u32(1..=laps - first), at, What::Swap);
                        }
                    }
                    8 if own => add(lap, at, What::Disconnect { away_us: rng.i64(1_000_000..15_000_000) }),
                    9 if own && !observes => add(lap, at, What::Restart { away_us: rng.i64(200_000..9_000_000) }),
                    10 => add(lap, at, What::Retire),
                    11 => add(lap, at, What::Park),
                    12 => add(lap, at, What::Vanish),
                    13 => add(lap, at, What::ActiveReset { back_m: 100.0 + 500.0 * rng.f64() }),
                    14 => add(lap, at, What::Cut { by_m: 20.0 + 100.0 * rng.f64() }),
                    15 if own => (0..rng.u32(1..=3)).for_each(|n| add(lap, (at + 0.01 * f64::from(n)).min(0.99), What::LostTick)),
                    16 if own && !observes => add(lap, at, What::ClientLate),
                    17 if own && !observes => add(lap, at, What::ClientLost),
                    18 => {
                        let from_us = if rng.bool() { 0 } else { GREEN_US + rng.i64(1_000_000..20_000_000) };
                        add(1, 0.0, What::PitStart { from_us, leaves_us: from_us.max(GREEN_US) + rng.i64(200_000..8_000_000) });
                    }
                    19 if own && !observes => add(1, 0.0, What::NeverStarts),
                    20 => add(lap, at, if rng.bool() { What::Disqualify } else { What::Black { shown_us: rng.i64(1_000_000..30_000_000) } }),
                    21 => add(lap, at, What::Slow),
                    _ => {}
                }
            }
        }
        for (car, lap, at, what) in script {
            self.spec = std::mem::replace(&mut self.spec, Spec::calm(0)).with(car, lap, at, what);
        }
    }

    /// Whether something of this kind is in the script of a car.
    pub fn has(&self, car: usize, kind: impl Fn(&What) -> bool) -> bool {
        self.spec.script.iter().any(|i| i.car == car && kind(&i.what))
    }
}

/// The delays of state and flag, for each car.
fn told(end: End, cars: usize, rng: &mut Rng) -> Vec<Told> {
    // One server tells the session: its delay is the same for all, and each client adds its own.
    let state_us = rng.i64(if end == End::Stopped { 0 } else { -1_500_000 }..4_500_000);
    let early = rng.u8(..4) == 0;
    let flag_us = rng.i64(if early { -5_500_000..-500_000 } else { -200_000..4_500_000 });
    let mut of_car = |_| {
        let own_us = rng.i64(0..800_000);
        let flag_lag_us = match (end, rng.u8(..4)) {
            (End::LimitsOnly, _) => None,
            // All are shown it at about the same moment.
            (End::FlagOnly, _) => Some(flag_us + own_us / 2),
            // Each has its own delay, as the state decides.
            (_, 0) => None,
            (End::Stopped, _) => Some(state_us + own_us),
            (_, 1) => Some(rng.i64(-6_000_000..-500_000)),
            (_, 2) => Some(rng.i64(500_000..8_000_000)),
            _ => Some(0),
        };
        let stateless = matches!(end, End::FlagOnly | End::LimitsOnly);
        Told { state_lag_us: (!stateless).then_some(state_us + own_us), flag_lag_us }
    };
    (0..cars).map(&mut of_car).collect()
}
