//! The synthetic race that `demo` and `simulate` drive.

use boxbox_sources::synth::{Circuit, Distance, Race, Spec};

/// Number of cars, unless another is given.
pub const CARS: u16 = 24;

/// Which race.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RaceOptions {
    /// Laps of the winner.
    pub laps: u32,
    /// Decides how fast each car is, when it stops, and what goes wrong: the same seed gives the same race.
    pub seed: u64,
}

impl RaceOptions {
    /// The race of `cars` cars.
    pub fn race(&self, cars: usize) -> Race {
        // Long enough for the grid, and short enough that a lap is soon done.
        let length_m = (1_400.0_f64).max(cars as f64 * 30.0);
        let circuit = Circuit::new("Synthetic Ring", length_m, 3);
        Race::new(&Spec { cars, circuit, distance: Distance::Laps(self.laps), ..Spec::new(self.seed) })
    }
}
