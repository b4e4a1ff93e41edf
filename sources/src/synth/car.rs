//! [`Car`]: its driver, and everything that it does in the race, as a list of pieces.

use boxbox_schemas::{DriverId, EntryId, ShortId};

use super::ending::Told;
use super::motion::{Motion, State};
use super::spec::Class;

/// Microseconds of a time in seconds, rounded once, ties to even (F7).
pub(super) fn us(seconds: f64) -> i64 {
    libm::rint(seconds * 1e6) as i64
}

/// Seconds of a time in microseconds.
pub(super) fn seconds(us: i64) -> f64 {
    us as f64 / 1e6
}

/// One car of a race.
#[derive(Clone, Debug)]
pub struct Car {
    /// Its slot.
    pub slot: u16,
    /// Its start number.
    pub number: String,
    /// Its class.
    pub class: Class,
    /// Its drivers: the first at the start; a second only if drivers swap.
    pub drivers: Vec<Person>,
    /// The simulator's id of its team, 0 without teams.
    pub team_id: u64,
    /// Its grid position, from 1.
    pub grid: u32,
    pub(super) seed: u64,
    pub(super) stall_m: f64,
    pub(super) pieces: Vec<Piece>,
    /// When the next driver takes over, s: the second, then the first again, and so on.
    pub(super) swaps_s: Vec<f64>,
    /// When it touches another car, s.
    pub(super) contacts: Vec<f64>,
    /// Stretches of time without connection or client.
    pub(super) away: Vec<Away>,
    /// When its client stops sending, µs.
    pub(super) until_us: i64,
    /// When it passed line k (s = k laps), s, on the final timeline.
    pub(super) lines: Vec<Option<f64>>,
    /// Its position at each of these lines, overall and in class.
    pub(super) places: Vec<(u8, u8)>,
    /// The last line that counts.
    pub(super) last_line: usize,
    /// Whether it took the chequered flag.
    pub(super) finished: bool,
    /// When it passed the lines after the last that counts, s.
    pub(super) after: Vec<Option<f64>>,
    /// What its clients are told of the end.
    pub(super) told: Told,
    /// When session time goes on by a tick too many, s.
    pub(super) slips_s: Vec<f64>,
    /// When its client is started after the car, and when it is lost for good, s.
    pub(super) client_from_s: Option<f64>,
    pub(super) client_until_s: Option<f64>,
    /// How it leaves the race before the end, and from when on it stands or is gone, s.
    pub(super) leaves: Option<Leaves>,
    pub(super) left_s: f64,
    /// When it is disqualified, and when it is shown a black flag, s.
    pub(super) disqualified_s: Option<f64>,
    pub(super) black_s: Option<(f64, f64)>,
    /// Never in the world.
    pub(super) absent: bool,
    /// No other client is shown it.
    pub(super) unseen: bool,
}

/// How a car leaves a race before its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Leaves {
    /// It stopped on the track, and its driver left.
    Stopped,
    /// It stays in its stall.
    Parked,
    /// It is gone from one moment to the next.
    Vanished,
}

/// A driver.
#[derive(Clone, PartialEq, Debug)]
pub struct Person {
    /// The driver's id on the platform.
    pub driver: DriverId,
    /// The simulator's id.
    pub user_id: u64,
    /// Name.
    pub name: String,
}

/// A time without a connection or a client.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Away {
    pub(super) from_s: f64,
    pub(super) until_s: f64,
    pub(super) restart: bool,
}

/// How a piece begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Begin {
    /// The race.
    Start,
    /// In the stall, after a jump.
    Jump { towed: bool },
    /// The car's earlier position, after a flashback.
    Flashback,
    /// Elsewhere on the track; `blank`: the first tick shows no position.
    Shift { blank: bool },
}

impl Begin {
    /// Whether the car is elsewhere than before, at the same time.
    pub(super) fn is_jump(self) -> bool {
        matches!(self, Begin::Jump { .. } | Begin::Shift { .. })
    }
}

/// A stretch of driving without a jump in position or time.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) begin: Begin,
    /// When it begins and ends as it is played, s.
    pub(super) from_s: f64,
    pub(super) until_s: f64,
    /// When it ends on the final timeline, s: a later flashback may undo its end.
    pub(super) stands_until_s: f64,
    pub(super) motion: Motion,
    /// Off track, m.
    pub(super) off: Vec<(f64, f64)>,
    /// In the pit lane, m.
    pub(super) lane: Vec<(f64, f64)>,
    /// Work in the stall.
    pub(super) services: Vec<Service>,
    /// Turning, s.
    pub(super) spins: Vec<(f64, f64)>,
    /// Points.
    pub(super) points: Vec<Points>,
    /// Fuel and points when it begins, and tyre sets used.
    pub(super) fuel_l: f64,
    pub(super) count: u16,
    pub(super) tyre_sets: u16,
    /// Towed until, s.
    pub(super) tow_until_s: f64,
}

/// Work in the stall.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Service {
    pub(super) from_s: f64,
    pub(super) until_s: f64,
    pub(super) fuel_l: f64,
    pub(super) tyres: bool,
}

/// Incident points.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Points {
    /// When the simulator reports it, s.
    pub(super) at_s: f64,
    /// When the counter rises, s.
    pub(super) counted_s: f64,
    pub(super) points: u16,
    /// iRacing's code: 1 out of control, 2 off track, 8 car.
    pub(super) report: u8,
}

impl Piece {
    /// Fuel at `t` in state `at`, l.
    pub(super) fn fuel_l(&self, class: &Class, t: f64, at: &State) -> f64 {
        let from_m = self.motion.at(self.from_s).s_m;
        let burnt = (at.s_m - from_m) / 1_000.0 * class.burn_lpkm;
        let added: f64 = self.services.iter().map(|s| s.fuel_l * ((t - s.from_s) / (s.until_s - s.from_s)).clamp(0.0, 1.0)).sum();
        (self.fuel_l - burnt + added).clamp(0.0, class.tank_l)
    }

    /// Points counted by `t`.
    pub(super) fn count(&self, t: f64) -> u16 {
        self.count + self.points.iter().filter(|p| p.counted_s <= t).map(|p| p.points).sum::<u16>()
    }

    /// Tyre sets used by `t`.
    pub(super) fn tyre_sets(&self, t: f64) -> u16 {
        self.tyre_sets + self.services.iter().filter(|s| s.tyres && s.until_s <= t).count() as u16
    }

    /// Whether `s_m` lies in one of `ranges`.
    pub(super) fn within(ranges: &[(f64, f64)], s_m: f64) -> bool {
        ranges.iter().any(|(from, until)| (*from..*until).contains(&s_m))
    }
}

impl Car {
    /// The entry: the team in team races, else the driver.
    pub fn entry(&self) -> EntryId {
        match self.team_id {
            0 => EntryId(self.drivers[0].driver.0),
            // "t:" and at most 20 digits are always a valid id.
            id => ShortId::new(&format!("t:{id}")).map_or(EntryId(self.drivers[0].driver.0), EntryId),
        }
    }

    /// When its first lap begins, s: at the light, for a car that was there.
    pub(super) fn first_start_s(&self, green_s: Option<f64>) -> Option<f64> {
        green_s.filter(|green| self.pieces[0].from_s <= *green)
    }

    /// The driver in the car at `t`.
    pub(super) fn driver_at(&self, t: f64) -> usize {
        self.swaps_s.iter().filter(|swap| t >= **swap).count() % self.drivers.len()
    }

    /// How far its clock is ahead at `t`, in ticks.
    pub(super) fn slipped(&self, t: f64) -> i64 {
        self.slips_s.iter().filter(|at| **at <= t).count() as i64
    }

    /// The piece of the final timeline at `t`.
    pub(super) fn piece_at(&self, t: f64) -> &Piece {
        self.pieces.iter().find(|p| (p.from_s..p.stands_until_s).contains(&t)).unwrap_or(&self.pieces[self.pieces.len() - 1])
    }

    /// Where it is at session time `us` on the timeline that stands, m; 0 is the line from which lap 1 is counted.
    pub fn progress_m(&self, us: i64) -> f64 {
        let t = seconds(us);
        self.piece_at(t).motion.at(t).s_m
    }

    /// When it first is at `s_m` on the timeline that stands, s.
    pub(super) fn when(&self, s_m: f64) -> Option<f64> {
        self.pieces.iter().find_map(|p| p.motion.when(s_m).filter(|t| (p.from_s..p.stands_until_s).contains(t)))
    }

    /// When it passed line `k` on the timeline that stands, s, and whether it drove over it: otherwise it was put beyond it.
    pub(super) fn passed_s(&self, k: usize, length_m: f64) -> Option<(f64, bool)> {
        let line_m = k as f64 * length_m;
        let put = || self.pieces.iter().find(|p| p.begin.is_jump() && p.motion.at(p.from_s).s_m >= line_m).map(|p| (p.from_s, false));
        // A car that starts in the pits can stand beyond the line from which lap 1 is counted.
        let first = &self.pieces[0];
        let beyond = (first.motion.at(first.from_s).s_m > line_m).then_some((first.from_s, false));
        beyond.or_else(|| self.when(line_m).map(|at| (at, true))).or_else(put)
    }

    /// Adds incident points that the plan did not have.
    pub(super) fn add_points(&mut self, points: Points) {
        let Some(i) = self.pieces.iter().position(|p| (p.from_s..p.stands_until_s).contains(&points.at_s)) else { return };
        self.pieces[i].points.push(points);
        self.pieces[i + 1..].iter_mut().for_each(|p| p.count += points.points);
    }

    /// A pseudo-random number in 0..1 that depends only on this car, `kind` and `n`.
    pub(super) fn chance(&self, kind: u64, n: u64) -> f64 {
        fastrand::Rng::with_seed(self.seed ^ kind.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ n.wrapping_mul(0xd1b5_4a32_d192_ed03)).f64()
    }
}
