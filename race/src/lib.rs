//! Everything that racing means. Pure: no clock, no I/O, no async, no random numbers, no hash order.
//!
//! * [`stream`]: frames of one stream in, facts of its car out (E2, E3)
//! * [`session`]: the facts of many streams become one session's: whose a car is, which fact counts for each lap
//! * [`timing`]: order, gaps, classification, stints, bests: folds over what was chosen
//! * [`view`]: one session from its rows, for the programs that show it: the folds are called in one place
//!
//! Whatever happens here is a function of the records, so that reprocessing a log, from its start or from any checkpoint, gives
//! the same results bit for bit (E11).

pub mod session;
pub mod stream;
pub mod timing;
pub mod view;
