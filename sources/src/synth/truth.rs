//! [`Truth`]: what really happened, to the microsecond: the laps, visits, incidents and positions to expect.

use boxbox_schemas::results::{LOOPS, PitKind, Reasons, Tags};
use boxbox_schemas::{DriverId, EntryId};

use super::car::{Begin, Car, Leaves, Piece, seconds, us};
use super::motion::State;
use super::{Race, tick_us};

/// A lap with a longer time without frames gets a reason for it, s.
const MISSING_S: f64 = 1.0;
/// Off track for at least this long counts, s.
const OFF_TRACK_S: f64 = 0.2;

/// The truth about a race.
#[derive(Clone, PartialEq, Debug)]
pub struct Truth {
    /// When the lights went green, µs; the first frame that shows it is the first at or after it.
    pub green_us: Option<i64>,
    /// When the winner took the flag, µs.
    pub chequered_us: Option<i64>,
    /// Yellow flags, from and until, µs; they may overlap.
    pub yellows_us: Vec<(i64, i64)>,
    /// Cars, in order of slots.
    pub cars: Vec<CarTruth>,
    /// The result.
    pub classification: Vec<Classified>,
}

/// The truth about a car.
#[derive(Clone, PartialEq, Debug)]
pub struct CarTruth {
    /// Its slot.
    pub slot: u16,
    /// The entry.
    pub entry: EntryId,
    /// Laps that count, timed or not, by number from 1.
    pub laps: Vec<Lap>,
    /// Laps that a flashback undid, by end.
    pub undone: Vec<Lap>,
    /// Visits to the pit lane, by enter.
    pub visits: Vec<Visit>,
    /// Rises of the counter, by time.
    pub incidents: Vec<Rise>,
    /// When each line was passed, µs: element k is that between laps k and k + 1; `None` where the car was put beyond it.
    pub lines_us: Vec<Option<i64>>,
    /// When it jumped, and the time to which it went back, µs.
    pub jumps_us: Vec<i64>,
    /// Every line that it passed, those after the flag too: line k ends lap k.
    pub passed: Vec<Passed>,
    /// From when to when it was in the world, and how that ended.
    pub stay: Stay,
    /// From when to when its client sends, µs; `None`: it never does.
    pub client_us: Option<(i64, i64)>,
    /// When that client was not running in between, µs.
    pub away_us: Vec<(i64, i64)>,
    /// When it was disqualified, µs.
    pub disqualified_us: Option<i64>,
    /// How far it drove by then, in laps from the line where lap 1 begins; behind it negative.
    pub driven_laps: f64,
}

/// A line that a car passed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Passed {
    /// When, session time, µs.
    pub at_us: i64,
    /// It drove over the line; otherwise it was put beyond it.
    pub driven: bool,
}

/// How long a car was there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stay {
    /// To its own end: it took the flag, or the race was stopped, or its recording ends.
    ToTheEnd {
        /// From, µs.
        from_us: i64,
        /// Until, µs.
        until_us: i64,
    },
    /// It stopped on the track and its driver left the car, µs.
    Stopped {
        /// From, µs.
        from_us: i64,
        /// Until, µs.
        until_us: i64,
        /// From when on it stands, µs.
        since_us: i64,
    },
    /// It stays in its stall from a moment on, µs.
    Parked {
        /// From, µs.
        from_us: i64,
        /// Until, µs.
        until_us: i64,
        /// From when on it stands, µs.
        since_us: i64,
    },
    /// It was gone from one moment to the next, µs.
    Vanished {
        /// From, µs.
        from_us: i64,
        /// Until, µs.
        until_us: i64,
    },
    /// It never was in the world.
    Never,
}

impl Stay {
    /// From when to when it was in the world, µs.
    pub fn span_us(self) -> Option<(i64, i64)> {
        match self {
            Stay::Never => None,
            Stay::ToTheEnd { from_us, until_us }
            | Stay::Stopped { from_us, until_us, .. }
            | Stay::Parked { from_us, until_us, .. }
            | Stay::Vanished { from_us, until_us } => Some((from_us, until_us)),
        }
    }
}

/// A lap.
#[derive(Clone, PartialEq, Debug)]
pub struct Lap {
    /// Its number, from 1.
    pub number: u32,
    /// The driver who crossed the line at its end.
    pub driver: DriverId,
    /// Whether it was driven from line to line (lap 1: from the green light), so that it has a time.
    pub timed: bool,
    /// Session time at its start, µs; of lap 1 the green light.
    pub start_us: i64,
    /// Session time at its end, µs.
    pub end_us: i64,
    /// Sector times, µs; they sum to the lap exactly.
    pub sectors_us: Vec<i64>,
    /// When it passed each mini-loop, µs after its start, as [`boxbox_schemas::results::Lap::loops_us`].
    pub loops_us: Vec<i64>,
    /// Why it does not count for best.
    pub reasons: Reasons,
    /// Its other tags.
    pub tags: Tags,
    /// Fuel at its end, l.
    pub fuel_l: f64,
    /// Fuel used in it, l; `None` if it was refuelled or not timed.
    pub fuel_used_l: Option<f64>,
    /// Position at its end.
    pub place: u8,
    /// Position in class at its end.
    pub class_place: u8,
}

impl Lap {
    /// Its time, µs.
    pub fn time_us(&self) -> i64 {
        self.end_us - self.start_us
    }
}

/// A visit to the pit lane.
#[derive(Clone, PartialEq, Debug)]
pub struct Visit {
    /// The kind of visit.
    pub kind: PitKind,
    /// Number of the lap in which the car came in.
    pub lap: u32,
    /// When it came in, µs.
    pub enter_us: i64,
    /// When it left, µs; `None` if it did not.
    pub exit_us: Option<i64>,
    /// How long it stood in its stall, µs.
    pub stationary_us: i64,
    /// How long it was serviced, µs.
    pub service_us: i64,
    /// Fuel added, l.
    pub fuel_l: f64,
    /// Whether tyres were changed.
    pub tyres: bool,
}

/// A rise of a driver's counter.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Rise {
    /// Session time of the simulator's report, µs.
    pub reported_us: i64,
    /// Session time of the first tick with the new count, µs.
    pub counted_us: i64,
    /// The points added.
    pub points: u16,
}

/// A line of the result.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Classified {
    /// Position overall, from 1.
    pub position: u32,
    /// Position in class, from 1.
    pub class_position: u32,
    /// The car's slot.
    pub slot: u16,
    /// The entry.
    pub entry: EntryId,
    /// Laps completed.
    pub laps: u32,
    /// Whether it took the chequered flag.
    pub finished: bool,
    /// When it completed the last of them, µs.
    pub finish_us: Option<i64>,
}

impl Race {
    /// What really happened.
    pub fn truth(&self) -> Truth {
        Truth {
            green_us: self.green_s.map(us),
            chequered_us: self.chequered_s.map(us),
            yellows_us: self.yellows.iter().map(|(from, until)| (us(*from), us(*until))).collect(),
            cars: self.cars.iter().map(|car| self.car_truth(car)).collect(),
            classification: self.classification(),
        }
    }

    fn car_truth(&self, car: &Car) -> CarTruth {
        let laps = (1..car.lines.len()).filter_map(|n| self.lap(car, n, car.lines[n - 1], car.lines[n]?)).collect();
        let rises = car.pieces.iter().flat_map(|p| p.points.iter().filter(|x| x.counted_s < p.stands_until_s));
        let mut incidents: Vec<Rise> = rises
            .map(|p| (us(p.at_s), tick_us(super::frames::tick_from(us(p.counted_s))), p.points))
            .map(|(reported_us, counted_us, points)| Rise { reported_us, counted_us, points })
            .filter(|rise| rise.counted_us < car.until_us)
            .collect();
        incidents.sort_by_key(|r| r.counted_us);
        CarTruth {
            slot: car.slot,
            entry: car.entry(),
            laps,
            undone: self.undone(car),
            visits: self.visits(car),
            incidents,
            lines_us: car.lines.iter().map(|at| at.map(us)).collect(),
            jumps_us: car.pieces.iter().filter(|p| p.begin != Begin::Start).map(|p| us(p.from_s)).collect(),
            passed: self.passed(car),
            stay: stay(car),
            client_us: client_us(car),
            away_us: car.away.iter().filter(|a| a.restart).map(|a| (us(a.from_s), us(a.until_s))).collect(),
            disqualified_us: car.disqualified_s.map(us).filter(|at| *at < car.until_us),
            driven_laps: car.progress_m(car.until_us) / self.circuit.length_m,
        }
    }

    fn passed(&self, car: &Car) -> Vec<Passed> {
        let line = |k: usize| car.passed_s(k, self.circuit.length_m).map(|(at, driven)| Passed { at_us: us(at), driven });
        if car.absent { vec![] } else { (0..).map_while(line).take_while(|p| p.at_us < car.until_us).collect() }
    }

    /// Lap `n` from `start` (lap 1: the light, if there is one) to `end`, s.
    fn lap(&self, car: &Car, n: usize, start: Option<f64>, end: f64) -> Option<Lap> {
        let light = car.first_start_s(self.green_s).filter(|_| n == 1);
        let (first, known) = (light.is_some(), light.or(start));
        let timed = known.is_some_and(|start| !car.jumped_between(start, end));
        // Without a start: since the jump.
        let start = known.or_else(|| car.pieces.iter().map(|p| p.from_s).filter(|t| *t < end).max_by(f64::total_cmp))?;
        let lap_m = (n - 1) as f64 * self.circuit.length_m;
        let crossed = |part: f64| car.when(lap_m + part * self.circuit.length_m).filter(|_| timed).map(us);
        let (start_us, end_us) = (us(start), us(end));
        let starts = self.circuit.sector_starts.iter().skip(1).map(|part| crossed(*part));
        let lines: Option<Vec<i64>> = std::iter::once(Some(start_us)).chain(starts).chain([Some(end_us)]).collect();
        let sectors_us = lines.filter(|_| timed).map(|lines| lines.windows(2).map(|w| w[1] - w[0]).collect()).unwrap_or_default();
        let loops = (1..LOOPS).map(|k| crossed(k as f64 / LOOPS as f64).map_or(-1, |at| at - start_us)).chain([end_us - start_us]);
        let (reasons, tags) = self.marks(car, start, end, first);
        let fuel = |t: f64| {
            let piece = car.piece_at(t);
            piece.fuel_l(&car.class, t, &piece.motion.at(t))
        };
        let refuelled = car.pieces.iter().flat_map(|p| &p.services).any(|s| s.fuel_l > 0.0 && s.from_s < end && s.until_s > start);
        let (place, class_place) = car.places.get(n).copied().unwrap_or_default();
        Some(Lap {
            number: n as u32,
            driver: car.drivers[car.driver_at(end)].driver,
            timed,
            start_us,
            end_us,
            sectors_us,
            loops_us: if timed { loops.collect() } else { vec![] },
            reasons,
            tags,
            fuel_l: fuel(end),
            fuel_used_l: (timed && !refuelled).then(|| fuel(start) - fuel(end)),
            place,
            class_place,
        })
    }

    fn marks(&self, car: &Car, start: f64, end: f64, first: bool) -> (Reasons, Tags) {
        let (mut reasons, mut tags) = (Reasons(0), Tags(0));
        let overlaps = |from: f64, until: f64| from < end && until > start;
        let visits = self.visits(car);
        let (start_us, end_us) = (us(start), us(end));
        let entered_by = |until_us: i64| visits.iter().any(|v| v.kind != PitKind::TOW && (start_us..until_us).contains(&v.enter_us));
        let entered = entered_by(end_us);
        let in_pits = visits.iter().any(|v| v.enter_us <= start_us && v.exit_us.is_none_or(|exit| exit > start_us)) || out_of_stall(car, start);
        let left = |exit: i64| (start_us..end_us).contains(&exit) && !entered_by(exit);
        let out = in_pits || visits.iter().any(|v| v.exit_us.is_some_and(left));
        reasons.set(Reasons::IN_LAP, entered);
        reasons.set(Reasons::OUT_LAP, out);
        tags.set(Tags::IN_LAP, entered);
        tags.set(Tags::OUT_LAP, out);
        tags.set(Tags::FIRST_LAP, first);
        tags.set(Tags::START_ESTIMATED, first);
        let pieces = car.pieces.iter();
        let off = |p: &Piece, (from, until): (f64, f64)| {
            let (a, b) = (p.motion.when(from)?, p.motion.when(until).unwrap_or(p.stands_until_s).min(p.stands_until_s));
            (b - a >= OFF_TRACK_S && overlaps(a + OFF_TRACK_S, b)).then_some(())
        };
        reasons.set(Reasons::OFF_TRACK, pieces.clone().any(|p| p.off.iter().any(|range| off(p, *range).is_some())));
        let counted = |p: &Piece| p.points.iter().any(|x| x.counted_s < p.stands_until_s && (start..end).contains(&x.counted_s));
        reasons.set(Reasons::INCIDENT, pieces.clone().any(counted));
        reasons.set(Reasons::DISCONTINUITY, car.away.iter().any(|a| a.restart && a.until_s - a.from_s >= MISSING_S && overlaps(a.from_s, a.until_s)));
        reasons.set(Reasons::TOW, pieces.clone().any(|p| p.tow_until_s > 0.0 && overlaps(p.from_s, p.tow_until_s)));
        tags.set(Tags::HAD_YELLOW, self.yellows.iter().any(|(from, until)| overlaps(*from, *until)));
        tags.set(Tags::DRIVER_SWAP, car.swaps_s.iter().any(|at| (start..end).contains(at)));
        tags.set(Tags::RESUMED, car.away.iter().any(|a| a.restart && overlaps(a.from_s, a.until_s)));
        (reasons, tags)
    }

    /// Laps that ended in driving that a flashback took back.
    fn undone(&self, car: &Car) -> Vec<Lap> {
        let length = self.circuit.length_m;
        let ends = car.pieces.iter().filter(|p| p.stands_until_s < p.until_s).flat_map(|p| {
            let line = (p.motion.at(p.until_s).s_m / length) as usize;
            (1..=line).filter_map(|k| Some((k, p.motion.when(k as f64 * length)?))).filter(|(_, at)| (p.stands_until_s..p.until_s).contains(at))
        });
        ends.filter_map(|(k, at)| self.lap(car, k, car.lines.get(k - 1).copied().flatten(), at))
            .map(|lap| Lap { sectors_us: vec![], ..lap })
            .collect()
    }

    fn visits(&self, car: &Car) -> Vec<Visit> {
        let mut visits: Vec<Visit> = car.pieces.iter().flat_map(|p| p.lane.iter().filter_map(|lane| self.visit(car, p, *lane))).collect();
        visits.retain(|v| v.enter_us < car.until_us);
        // A car that comes in for two reasons comes in once.
        visits.dedup_by_key(|v| v.enter_us);
        visits
    }

    fn visit(&self, car: &Car, piece: &Piece, (from_m, until_m): (f64, f64)) -> Option<Visit> {
        let within = |t: &f64| *t < piece.stands_until_s && us(*t) < car.until_us;
        let begun = piece.motion.at(piece.from_s);
        let jumped = matches!(piece.begin, Begin::Jump { .. }) && from_m < begun.s_m;
        let enter = if jumped { piece.from_s } else { piece.motion.when(from_m)? };
        let exit = piece.motion.when(until_m).filter(within);
        let over = exit.unwrap_or(piece.stands_until_s.min(seconds(car.until_us)));
        let services: Vec<_> = piece.services.iter().filter(|s| s.from_s >= enter && s.until_s <= over).collect();
        let stationary: f64 = standing(piece, enter, over);
        let kind = match (jumped, stationary >= 0.5) {
            (true, _) => PitKind::TOW,
            (false, true) => PitKind::STOP,
            (false, false) => PitKind::DRIVE_THROUGH,
        };
        Some(Visit {
            kind,
            lap: (begun.s_m.max(from_m) / self.circuit.length_m).max(0.0) as u32 + 1,
            enter_us: us(enter),
            exit_us: exit.map(us),
            stationary_us: us(stationary),
            service_us: services.iter().map(|s| us(s.until_s - s.from_s)).sum(),
            fuel_l: services.iter().map(|s| s.fuel_l).sum(),
            tyres: services.iter().any(|s| s.tyres),
        })
        .filter(|_| within(&enter))
    }

    fn classification(&self) -> Vec<Classified> {
        let laps = |c: &Car| c.last_line as u32;
        let finish = |c: &Car| c.lines.get(c.last_line).copied().flatten().filter(|_| c.last_line > 0).map(us);
        let mut order: Vec<&Car> = self.cars.iter().collect();
        order.sort_by_key(|c| (std::cmp::Reverse(laps(c)), finish(c).unwrap_or(i64::MAX), c.grid));
        let mut classes = std::collections::BTreeMap::new();
        let place = |(i, c): (usize, &&Car)| {
            let in_class = classes.entry(c.class.id).or_insert(0);
            *in_class += 1;
            Classified {
                position: i as u32 + 1,
                class_position: *in_class,
                slot: c.slot,
                entry: c.entry(),
                laps: laps(c),
                finished: c.finished,
                finish_us: finish(c),
            }
        };
        order.iter().enumerate().map(place).collect()
    }
}

/// Whether a car that begins in its stall is still in the pit lane at `t`. That is no visit: it did not come in.
fn out_of_stall(car: &Car, t: f64) -> bool {
    let piece = &car.pieces[0];
    let at = |t: f64| piece.motion.at(t).s_m;
    let lane = piece.lane.first().filter(|lane| Piece::within(&[**lane], at(piece.from_s)));
    t < piece.stands_until_s && lane.is_some_and(|lane| Piece::within(&[*lane], at(t)))
}

fn stay(car: &Car) -> Stay {
    let (from_us, until_us, since_us) = (us(car.pieces[0].from_s), car.until_us, us(car.left_s));
    match car.leaves {
        _ if car.absent => Stay::Never,
        // The race was over for it before it came to that.
        Some(_) if until_us <= since_us && car.leaves != Some(Leaves::Vanished) => Stay::ToTheEnd { from_us, until_us },
        // A car that took the flag on its way has not left before the end.
        None => Stay::ToTheEnd { from_us, until_us },
        Some(_) if car.finished => Stay::ToTheEnd { from_us, until_us },
        Some(Leaves::Stopped) => Stay::Stopped { from_us, until_us, since_us },
        Some(Leaves::Parked) => Stay::Parked { from_us, until_us, since_us },
        Some(Leaves::Vanished) => Stay::Vanished { from_us, until_us },
    }
}

fn client_us(car: &Car) -> Option<(i64, i64)> {
    let from_us = us(car.client_from_s.unwrap_or(0.0).max(car.pieces[0].from_s));
    let until_us = car.client_until_s.map_or(car.until_us, us).min(car.until_us);
    (from_us < until_us).then_some((from_us, until_us))
}

/// How long a car is slower than 0.5 m/s between two moments, s: by a search over what it does in steps of a tick, then exactly
/// at both ends.
fn standing(piece: &Piece, from: f64, until: f64) -> f64 {
    let slow = |t: f64| piece.motion.at(t).speed_mps < 0.5;
    let exactly = |mut a: f64, mut b: f64| {
        let at_a = slow(a);
        for _ in 0..50 {
            let middle = 0.5 * (a + b);
            if slow(middle) == at_a { a = middle } else { b = middle }
        }
        b
    };
    let (mut total, mut since, mut t) = (0.0, slow(from).then_some(from), from);
    while t < until {
        let next = (t + 1.0 / 60.0).min(until);
        match (since, slow(next)) {
            (None, true) => since = Some(exactly(t, next)),
            (Some(begun), false) => {
                total += exactly(t, next) - begun;
                since = None;
            }
            _ => {}
        }
        t = next;
    }
    total + since.map_or(0.0, |begun| until - begun)
}

impl Race {
    /// The fraction of its lap at which car `car` truly is at `t` s, unwrapped: 1.25 is a quarter into lap 2.
    pub fn laps_driven(&self, car: usize, t: f64) -> f64 {
        let State { s_m, .. } = self.cars[car].piece_at(t).motion.at(t);
        s_m / self.circuit.length_m
    }

    /// When car `car` truly passed `laps` laps, s.
    pub fn time_at(&self, car: usize, laps: f64) -> Option<f64> {
        self.cars[car].when(laps * self.circuit.length_m)
    }
}
