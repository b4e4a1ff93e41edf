//! [`Car`]: its driver, and everything that it does in the race, as a list of pieces.

use boxbox_schemas::{DriverId, EntryId, ShortId};

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
    /// When the second driver takes over, s.
    pub(super) swap_s: Option<f64>,
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
        usize::from(self.swap_s.is_some_and(|swap| t >= swap))
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
