//! The options of the synthetic race that `demo` and `simulate` drive.

use clap::Args;

use crate::race::{CARS, RaceOptions};
use crate::{demo, simulate};

/// Which race.
#[derive(Args)]
pub struct RaceArgs {
    #[arg(
        long,
        env = "BOXBOX_CARS",
        value_parser = clap::value_parser!(u16).range(1..=128),
        help = format!("Cars, each with its own client (1 to 128) [default: {CARS}; simulate --to: as many as there are strings]")
    )]
    cars: Option<u16>,
    /// Laps of the winner
    #[arg(long, env = "BOXBOX_LAPS", default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    laps: u32,
    #[arg(
        long,
        env = "BOXBOX_RACE_SPEED",
        value_parser = speed,
        help = format!("Times real time [default: demo {}, simulate {}]", demo::SPEED, simulate::SPEED)
    )]
    speed: Option<f64>,
    /// Seed of the race: decides how fast each car is, when it stops, and what goes wrong. The same seed gives the same race
    #[arg(long, env = "BOXBOX_RACE_SEED", default_value_t = 1)]
    seed: u64,
}

impl RaceArgs {
    /// Number of cars, if it was given.
    pub fn cars(&self) -> Option<usize> {
        self.cars.map(usize::from)
    }

    /// Times real time; `default` if none was given.
    pub fn speed_or(&self, default: f64) -> f64 {
        self.speed.unwrap_or(default)
    }

    /// The options that the commands take.
    pub fn options(&self) -> RaceOptions {
        RaceOptions { laps: self.laps, seed: self.seed }
    }
}

fn speed(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|s: &f64| s.is_finite() && *s > 0.0).ok_or_else(|| "give a number above 0".into())
}
