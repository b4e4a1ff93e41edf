//! [`Spec`]: the specification of a synthetic race.

use boxbox_schemas::limits::META_ENTRIES_MAX;

use super::Circuit;
use super::ending::{Ending, Told};

/// A race to be driven. Equal specifications give equal races, byte for byte.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The seed for everything that is not specified.
    pub seed: u64,
    /// Cars, 1 to 128.
    pub cars: usize,
    /// The circuit.
    pub circuit: Circuit,
    /// Classes, the fastest first; cars are spread over them evenly.
    pub classes: Vec<Class>,
    /// The kind of session.
    pub session: Session,
    /// The length.
    pub distance: Distance,
    /// The start.
    pub start: Start,
    /// When the lights go green, session time, µs.
    pub green_us: i64,
    /// Pit stops of each car beyond those in the script.
    pub stops: u32,
    /// Share of cars, 0..1, that get an event from the seed: off track, a spin, a contact, a tow, a retirement.
    pub trouble: f64,
    /// The events that happen in any case.
    pub script: Vec<Incident>,
    /// What happens beyond the limits, and after the flag.
    pub ending: Ending,
    /// How the end is told to each car's clients, by car; to those that are not in it, at the winner's crossing.
    pub told: Vec<Told>,
    /// Cars that no other client is shown.
    pub unseen: Vec<usize>,
}

impl Spec {
    /// 24 cars in three classes, 8 laps of a short circuit from a standing start, one stop each, some incidents.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            cars: 24,
            circuit: Circuit::new("Synthetic Ring", 1_400.0, 3),
            classes: Class::usual(),
            session: Session::Race,
            distance: Distance::Laps(8),
            start: Start::Standing,
            green_us: 5_000_000,
            stops: 1,
            trouble: 0.3,
            script: vec![],
            ending: Ending::default(),
            told: vec![],
            unseen: vec![],
        }
    }

    /// As [`Spec::new`], without stops and incidents: only the events of the script.
    pub fn calm(seed: u64) -> Self {
        Self { stops: 0, trouble: 0.0, ..Self::new(seed) }
    }

    /// `what` happens to car `car` (from 0) at fraction `at` of lap `lap` (from 1).
    #[must_use]
    pub fn with(mut self, car: usize, lap: u32, at: f64, what: What) -> Self {
        self.script.push(Incident { car, lap, at, what });
        self
    }

    /// The number of cars, within what a session holds.
    pub(super) fn cars_in_bounds(&self) -> usize {
        self.cars.clamp(1, META_ENTRIES_MAX)
    }

    /// Most laps that any car can drive.
    pub(super) fn laps_at_most(&self) -> u32 {
        // No car averages 90 m/s.
        let within = |us: i64| (us.max(0) as f64 / 1e6 * 90.0 / self.circuit.length_m) as u32 + 2;
        let laps = match self.distance {
            Distance::Laps(laps) => laps.max(1),
            Distance::Time(us) => within(us),
            Distance::Both { laps, time_us } => laps.max(1).min(within(time_us)),
        };
        laps + self.ending.extra_laps
    }
}

/// How long a race is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Distance {
    /// Laps of the winner.
    Laps(u32),
    /// The leader finishes the lap it is in this long after green, µs.
    Time(i64),
    /// Whichever of the two comes first.
    Both {
        /// Laps of the winner.
        laps: u32,
        /// The leader finishes the lap it is in this long after green, µs.
        time_us: i64,
    },
}

/// The kinds of sessions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Session {
    /// A race, with lights at its start.
    Race,
    /// Everyone for themselves until time is up; the best lap decides. Cars are to start from their stalls ([`What::PitStart`]).
    Qualifying {
        /// Only so many laps count of each car, out laps not among them; 0: all.
        counted_laps: u32,
    },
}

/// How a race starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start {
    /// From the grid.
    Standing,
    /// A rolling start at a pace that ends at the green light.
    Rolling,
}

/// A class of equal cars.
#[derive(Clone, PartialEq, Debug)]
pub struct Class {
    /// The simulator's id.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// Its car.
    pub car: String,
    /// Acceleration from a standstill, m/s².
    pub accel_mps2: f64,
    /// Braking, m/s².
    pub brake_mps2: f64,
    /// Cornering, m/s².
    pub corner_mps2: f64,
    /// Highest speed, m/s.
    pub v_max_mps: f64,
    /// Tank, l.
    pub tank_l: f64,
    /// Fuel burnt, l a kilometre.
    pub burn_lpkm: f64,
}

impl Class {
    /// GT3, GT4 and a touring car.
    pub fn usual() -> Vec<Class> {
        let class = |id, name: &str, car: &str, [accel, brake, corner, v_max]: [f64; 4], tank_l, burn_lpkm| Class {
            id,
            name: name.into(),
            car: car.into(),
            accel_mps2: accel,
            brake_mps2: brake,
            corner_mps2: corner,
            v_max_mps: v_max,
            tank_l,
            burn_lpkm,
        };
        vec![
            class(11, "GT3", "Synthetic GT3", [8.5, 16.0, 17.5, 76.0], 104.0, 0.62),
            class(12, "GT4", "Synthetic GT4", [6.8, 13.5, 14.5, 68.0], 80.0, 0.5),
            class(13, "TCR", "Synthetic TCR", [6.0, 12.0, 13.0, 64.0], 60.0, 0.42),
        ]
    }
}

/// An event that happens to a car.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Incident {
    /// The car, from 0.
    pub car: usize,
    /// The lap, from 1.
    pub lap: u32,
    /// Position in the lap, as a fraction. A stop is at the stall.
    pub at: f64,
    /// The kind of event.
    pub what: What,
}

/// The kinds of events.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum What {
    /// In at the end of the lap, service in the stall, out.
    Pit {
        /// Fuel to add, l.
        fuel_l: f64,
        /// Whether tyres are changed.
        tyres: bool,
    },
    /// Through the pit lane without a stop.
    DriveThrough,
    /// Over the grass for 90 m; one point.
    OffTrack,
    /// A turn on the track, and a standstill of two seconds; two points.
    Spin,
    /// Touches the car nearest to it at that moment; four points for both.
    Contact,
    /// Stops, and is towed to its stall.
    Tow,
    /// Reset to the pits from full speed, at once.
    Reset,
    /// A second later the driver goes back by this long, and drives on differently.
    Flashback {
        /// How far back, µs.
        back_us: i64,
    },
    /// Stops in its stall, and another driver takes over, with another client.
    Swap,
    /// The connection is lost for this long; the client continues and sends everything later.
    Disconnect {
        /// How long, µs.
        away_us: i64,
    },
    /// The client is closed and started again this much later: a new run, without frames of the time in between.
    Restart {
        /// How long, µs.
        away_us: i64,
    },
    /// Stops, and the driver leaves.
    Retire,
    /// Slow from here to the end.
    Slow,
    /// Into its stall, and stays there.
    Park,
    /// The car is gone from one moment to the next, and its client too.
    Vanish,
    /// Put back by some metres, at a standstill.
    ActiveReset {
        /// How far back, m.
        back_m: f64,
    },
    /// Over a cut: further round the lap from one tick to the next, at the same speed.
    Cut {
        /// How far, m.
        by_m: f64,
    },
    /// Session time goes on by two ticks, the simulator's tick and the car by one.
    LostTick,
    /// The client is started here; the car was driven before.
    ClientLate,
    /// The client is lost for good; the car drives on.
    ClientLost,
    /// Starts from its stall. Position in the lap means nothing.
    PitStart {
        /// The car is in the world from this session time on, µs.
        from_us: i64,
        /// When it drives off, session time, µs.
        leaves_us: i64,
    },
    /// In the session, and never in the world. Position in the lap means nothing.
    NeverStarts,
    /// The flag of disqualification is shown to it from here on.
    Disqualify,
    /// A black flag is shown to it for this long.
    Black {
        /// How long, µs.
        shown_us: i64,
    },
}
