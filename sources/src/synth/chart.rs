//! Cars driven by a chart of moments: each crosses the line exactly when the chart says.

use boxbox_schemas::DriverId;

use super::car::{Begin, Car, Person, Piece, seconds, us};
use super::ending::{Ending, Told};
use super::motion::Motion;
use super::race::RUN_OUT_S;
use super::spec::{Class, Distance, Session, Start};
use super::{Circuit, Race};

/// Before its first line a car drives for this long, s.
const APPROACH_S: f64 = 6.0;
/// Share of a lap in which the speed at the line becomes that of the lap, and again before its end.
const RAMP: f64 = 0.1;

/// A car of a chart.
#[derive(Clone, PartialEq, Debug)]
pub struct ChartCar {
    /// Number on the car.
    pub number: String,
    /// The driver.
    pub driver: DriverId,
    /// When it crosses the line, session time, µs, strictly rising: each pair of neighbours is a lap.
    pub crossings_us: Vec<i64>,
    /// Number of the lap that the first crossing begins.
    pub first_lap: u32,
    /// Whether it goes through the pit lane at the end of lap k, by number; missing: no.
    pub pitted: Vec<bool>,
}

impl Race {
    /// A race driven by crossing times. `green_us`: when the lights go green, session time, µs; without it none are shown.
    ///
    /// A car that is there at the light has its first lap timed from it, whenever it then crosses the line.
    /// Between two crossings a car changes from its speed at the line to one that fits the lap, and back: continuous, and
    /// slow enough at the line for every lap. A car with fewer than two crossings has no lap.
    pub fn from_chart(circuit: Circuit, green_us: Option<i64>, chart: Vec<ChartCar>) -> Self {
        let length = circuit.length_m;
        let cars = chart.into_iter().enumerate().map(|(i, car)| charted(&circuit, i, car)).collect();
        let mut race = Race {
            circuit,
            start: Start::Rolling,
            session: Session::Race,
            distance: Distance::Laps(0),
            ending: Ending::default(),
            cars,
            green_s: green_us.map(seconds),
            white_s: None,
            chequered_s: None,
            over_s: f64::INFINITY,
            yellows: vec![],
        };
        race.time_lines();
        for car in &mut race.cars {
            let last = ((car.pieces[0].motion.at(seconds(car.until_us)).s_m + 0.01) / length) as usize;
            car.lines.truncate(last + 1);
            car.last_line = last;
        }
        race.place();
        race
    }
}

fn charted(circuit: &Circuit, index: usize, chart: ChartCar) -> Car {
    let length = circuit.length_m;
    let lines: Vec<f64> = chart.crossings_us.iter().map(|at| seconds(*at)).collect();
    let mean: Vec<f64> = lines.windows(2).map(|w| length / (w[1] - w[0])).collect();
    // At a line the car has the speed of the slower of the two laps, so that in neither it must drive backwards to take its time.
    let usual = mean.iter().copied().fold(40.0, f64::min);
    let at_line = |k: usize| match (k.checked_sub(1).and_then(|k| mean.get(k)), mean.get(k)) {
        (Some(a), Some(b)) => a.min(*b),
        (Some(v), None) | (None, Some(v)) => *v,
        (None, None) => usual,
    };
    let first = f64::from(chart.first_lap.saturating_sub(1)) * length;
    let begins = lines.first().copied().unwrap_or(APPROACH_S) - APPROACH_S;
    let approach_m = (at_line(0) * APPROACH_S).min(length * 0.9);
    let mut motion = Motion::at_rest(begins, first - approach_m);
    motion.drive(approach_m, approach_m / APPROACH_S, approach_m / APPROACH_S);
    for (k, w) in lines.windows(2).enumerate() {
        motion.lap(first + (k + 1) as f64 * length, w[1], at_line(k), at_line(k + 1));
    }
    let last = at_line(lines.len().saturating_sub(1));
    motion.drive(last * 2.0 * RUN_OUT_S, last, last);
    let until_s = motion.span_s().1.min(lines.last().copied().unwrap_or(begins) + RUN_OUT_S);
    let (enter, exit) = circuit.pit;
    let pitted = chart.pitted.iter().enumerate().filter(|(_, pitted)| **pitted).map(|(lap, _)| lap as f64);
    let lane = pitted.map(|lap| ((lap - 1.0 + enter) * length, (lap + exit) * length)).collect();
    let class = Class::usual().swap_remove(0);
    let piece = Piece {
        begin: Begin::Start,
        from_s: begins,
        until_s,
        stands_until_s: until_s,
        motion,
        off: vec![],
        lane,
        services: vec![],
        spins: vec![],
        points: vec![],
        fuel_l: class.tank_l,
        count: 0,
        tyre_sets: 1,
        tow_until_s: 0.0,
    };
    Car {
        slot: index as u16,
        number: chart.number.clone(),
        class,
        drivers: vec![Person { driver: chart.driver, user_id: index as u64 + 1, name: format!("Driver {}", chart.number) }],
        team_id: 0,
        grid: index as u32 + 1,
        seed: index as u64,
        stall_m: circuit.stalls.0 * length,
        pieces: vec![piece],
        swaps_s: vec![],
        contacts: vec![],
        away: vec![],
        until_us: us(until_s),
        lines: vec![],
        places: vec![],
        last_line: 0,
        finished: true,
        after: vec![],
        told: Told::default(),
        slips_s: vec![],
        client_from_s: None,
        client_until_s: None,
        leaves: None,
        left_s: f64::INFINITY,
        disqualified_s: None,
        black_s: None,
        absent: false,
        unseen: false,
    }
}

impl Motion {
    /// One lap that ends at `end_m` at `end_s`, entered at `v0` and left at `v1`.
    fn lap(&mut self, end_m: f64, end_s: f64, v0: f64, v1: f64) {
        let (from_s, from_m) = (self.span_s().1, self.end_m());
        let (ds, dt) = (end_m - from_m, end_s - from_s);
        let ramp = RAMP * dt;
        let between = (ds - ramp * (v0 + v1) / 2.0) / (dt - ramp);
        let (up, down) = (ramp * (v0 + between) / 2.0, ramp * (between + v1) / 2.0);
        self.drive(up, v0, between);
        self.drive(ds - up - down, between, between);
        self.drive(down, between, v1);
        // The rounding error: below a nanosecond.
        self.end_at(end_s, end_m);
    }
}
