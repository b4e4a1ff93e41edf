//! Race logic: frames of one stream in, facts out (E2, E3). Pure: no clock, no I/O, no randomness, no hash order.
//!
//! [`CarState`] is the state of one car as its own client shows it, [`OtherCar`] that of one that another client sees. It turns
//! frames into timed laps, pit visits, changes of flags and incident steps, and survives restarts: it is stored, a client's new
//! run inherits it, and a rewind takes it back. [`choose`](crate::session::choose) is the fold that picks one stream's fact for
//! each lap of an entry. `docs/RULES.md` has the rules; comments name them.
//!
//! A state is made of
//!
//! * `identity`: whose car it is, which run and timeline; `clock`: the last frame taken; `start`: the start of the race;
//! * `motion`: where the car is and how it came there;
//! * `laps`: the lap that is open, the laps before it, and what makes a lap valid;
//! * `parts`: what watches the car beside its laps (pits, flags, fuel, incidents), each behind the same small trait, with a bound of
//!   bytes and its own guard: a part that panics is switched off until the next lap, and the laps go on.
//!
//! How a lap is found (`motion`, `laps`): progress round the track is unwrapped from `lap_pct`, a line is crossed where
//! progress passes it, and the moment is interpolated linearly between the two frames, in µs of the simulator's clock,
//! rounded once, ties to even. The error is at most a·Δt²/(8v): 14 µs at 60 Hz, 0.5 ms at 10 Hz, 3.3 ms at 4 Hz for
//! 25 m/s² at 60 m/s. (A cubic through the speeds was tried on real laps at 60 to 4 Hz: within 5 µs of the same result,
//! for the noise of the simulator's own distance is larger.)
//!
//! What is no motion never makes a lap: a jump farther than the car could have driven ends the lap unfinished, and the
//! next crossing opens a new one. A stretch of a second or more without frames is bridged where the unwrapping is
//! certain: the lap stays a lap, with the reason `DISCONTINUITY`, and with the tag `TIMING_ESTIMATED` if a line was in it.

mod car;
mod clock;
mod fact;
mod frame;
mod identity;
mod laps;
mod mark;
mod motion;
mod other_car;
mod others;
mod own_car;
mod parts;
mod shown;
mod sparse;
mod start;
mod state;
mod step;
mod track;

pub use car::CarState;
pub use fact::{Claim, Context, Fact, Reports, Start};
pub(crate) use frame::missing;
pub use identity::field_entry;
pub use other_car::OtherCar;
pub use others::{OtherCars, StoredCar};
pub use own_car::{Car, OwnCar};
