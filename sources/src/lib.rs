//! Sources: simulators to frames.
//!
//! * [`iracing`]: reads .ibt recordings and replays them as frames
//! * [`synth`]: a synthetic race, seeded, with its truth to the microsecond
//!
//! A source knows its simulator's formats, but not the network: a program that sends frames takes them from a source and gives
//! them to a client.

pub mod iracing;
pub mod synth;
