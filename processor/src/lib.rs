//! Turns the log into results: admission, race logic, effectively-once steps.
//!
//! * [`admit`]: decides which sequence numbers of a record are new (E1); pure
//! * the crate `race`: turns the frames of one stream into facts, and chooses among facts (E2, E3); pure
//! * [`partition`]: turns the records of one partition into steps; pure
//! * `resident`: which sessions of a partition are in memory; pure
//! * [`recompute`]: computes a session again from its archive, without the log
//! * [`time`]: the time of day, by which old frames are removed and old sessions retired
//! * [`Processor`]: runs this on a log, a results store and an archive. Each partition has two pumps, one for results and one for the
//!   archive, each with its own checkpoint, so that an archive that is down delays no lap (E5, E6b)
//!
//! Pure code has no clock, no I/O and no randomness, so that reprocessing a log, from its start or from any
//! checkpoint, gives the same results bit for bit (E11).

mod account;
pub mod admit;
mod closer;
mod config;
mod counts;
mod error;
mod membership;
mod metrics;
pub mod partition;
mod processor;
mod pump;
pub mod recompute;
mod releases;
mod resident;
mod session;
mod status;
pub mod time;

pub use config::Config;
pub use counts::Counts;
pub use error::ProcessorError;
pub use metrics::ProcessorMetrics;
pub use processor::{Feed, Processor};
pub use status::{PartitionStatus, Phase, PumpStatus, Status};
