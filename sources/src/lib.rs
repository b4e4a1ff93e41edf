//! Sources: simulators to frames.
//!
//! * [`iracing`]: reads .ibt recordings and replays them as frames
//! * [`results`]: reads result files of simulators, for those who have no telemetry of a session
//! * [`synth`]: a synthetic race, seeded, with its truth to the microsecond
//!
//! A source knows its simulator's formats, but not the network: a program that sends frames takes them from a source and gives
//! them to a client.

pub mod iracing;
pub mod results;
pub mod synth;
