//! Race logic: turns the frames of one stream into facts (E2). Pure: no clock, no I/O, no randomness, no hash order.
//!
//! [`CarState`] is the state of a car whose own client sends its frames; [`OtherCar`] is the state of a car that another client
//! sees. The state turns frames into timed laps, pit visits, changes of flags and incident steps. It is stored, a client's new run
//! inherits it, and a rewind sets it back. [`choose`](crate::session::choose) picks one stream's fact for each lap of an entry.
//! `docs/RULES.md` has the rules; comments give their names.
//!
//! A state is made of
//!
//! * `identity`: whose car it is, its run and timeline; `clock`: the last frame, and how far session time ran ahead of the ticks; `start`:
//!   the start of the race;
//! * `motion`: the car's last position, and what lies between it and the next one;
//! * `laps`: the open lap, the laps before it, and what makes a lap valid;
//! * `parts`: everything else that is observed on a car (pits, flags, fuel, incidents). Each part implements the same small trait and
//!   has a bound of bytes. A part that panics is switched off until the next lap, and the laps continue.
//!
//! How a lap is timed (`motion`, `laps`): progress round the track is unwrapped from `lap_pct`, the car crosses a line when
//! its progress passes it, and the time of the crossing is interpolated linearly between the two frames, in µs of the simulator's clock,
//! rounded once, ties to even. The error is at most a·Δt²/(8v): 14 µs at 60 Hz, 0.5 ms at 10 Hz, 3.3 ms at 4 Hz for
//! 25 m/s² at 60 m/s. (A cubic through the speeds was tried on real laps at 60 to 4 Hz: within 5 µs of the same result,
//! because the noise of the simulator's own distance is larger.)
//!
//! Only motion makes a lap time. After a jump farther than the car could have driven, the lap has no time, and counts only if the
//! simulator counts it (`lap.jump`, `lap.untimed`). A second or more without frames is bridged if the unwrapping is certain: the lap gets the reason `DISCONTINUITY`, and the
//! tag `TIMING_ESTIMATED` if a line was crossed in that time.

mod car;
mod clock;
mod fact;
mod frame;
mod identity;
mod lap_clock;
mod laps;
mod mark;
mod motion;
mod other_car;
mod others;
mod own_car;
mod parts;
mod shown;
mod slips;
mod sparse;
mod start;
mod state;
mod step;
mod track;

pub use car::CarState;
pub use fact::{Claim, Context, Fact, Output, Start};
pub(crate) use frame::missing;
pub use identity::field_entry;
pub use lap_clock::{LapClock, since_start_us};
pub use other_car::OtherCar;
pub(crate) use others::SLOTS_END;
pub use others::{OtherCars, StoredCar};
pub use own_car::{Car, OwnCar};
pub(crate) use parts::FUEL_NOISE_L;
pub use parts::PARTS;
pub use slips::Slips;
pub(crate) use step::STANDING_MPS;
