//! A synthetic race whose truth is known to the microsecond, for demos and tests.
//!
//! [`Race::new`] drives a whole race from a [`Spec`]: cars of several classes on a [`Circuit`], with stops, incidents and
//! counters that lag and flicker like a simulator's. [`Race::script`] has what one car's client sends and what happens to it,
//! [`Race::truth`] the results to expect. The race is pure, without clock and I/O: one seed gives one race, byte for byte.
//!
//! Position is an analytic function of time (constant acceleration between knots, closed form both ways), so that crossings
//! are known beyond the microsecond to which they are given. [`Race::from_chart`] drives cars by given crossing times.
//!
//! ```
//! use boxbox_sources::synth::{Action, Race, Spec, What};
//!
//! let race = Race::new(&Spec { cars: 4, ..Spec::calm(7) }.with(2, 3, 0.4, What::OffTrack));
//! let frames = race.script(2, 60).filter(|action| matches!(action, Action::Frame(_))).count();
//! let truth = race.truth();
//! assert!(frames > 1_000 && truth.cars[2].laps.len() >= 7);
//! assert_eq!(truth.cars[2].incidents[0].points, 1);
//! ```

mod car;
mod chart;
mod ending;
mod frames;
mod motion;
mod plan;
mod race;
mod script;
mod spec;
#[cfg(test)]
mod tests;
mod track;
mod truth;

pub use car::{Car, Person};
pub use chart::ChartCar;
pub use ending::{Ending, Told};
pub use frames::{TICK_HZ, tick_us};
pub use race::Race;
pub use script::{Action, Script};
pub use spec::{Class, Distance, Incident, Session, Spec, Start, What};
pub use track::{Circuit, TrackPoint};
pub use truth::{CarTruth, Classified, Lap, Passed, Rise, Stay, Truth, Visit};
