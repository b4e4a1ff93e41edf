//! The client library: a program that reads a simulator uses it to send telemetry that counts exactly once.
//!
//! A [`Client`] is one run of a program. It keeps one QUIC connection to an edge, reconnects when it is lost, and keeps what
//! is not acked in memory or on disk ([`Spool`]). A [`Stream`] is one session of the simulator. Its methods never wait, and
//! fail only when they are misused. Frames are batched into records, which are sealed once and sent again byte for byte until
//! the edge acks that they are durable; the processor admits each once. Records that had to be given up (a full spool, a
//! damaged file, a record refused twice) become a gap in the stream, so a missing frame is always accounted for.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use boxbox_client::{Client, Config, Spool};
//! use boxbox_schemas::event::EndReason;
//! use boxbox_schemas::frame::{CarFrame, Presence};
//! use boxbox_schemas::meta::SessionMeta;
//! use boxbox_schemas::{Sim, Source};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! // The line that `boxbox up` or `boxbox grant create` prints.
//! let connect = "boxbox://GRANT@host:4433?pin=…".parse()?;
//! let spool = Spool::Disk { dir: "spool".into(), max_bytes: 256 << 20 };
//! let client = Client::start(Config { spool, ..Config::new(connect) }).await?;
//!
//! let stream = client.open(Source { sim: Sim::IRACING, id: 51_234_567, session_num: 2 }, 17)?;
//! stream.meta(&SessionMeta { track_name: "Phillip Island Circuit".into(), own_slot: 17, ..Default::default() })?;
//! for tick in 0..600u32 {
//!     let presence = Presence::LAP_PCT.with(Presence::SPEED);
//!     stream.car(&CarFrame { tick, sim_time_us: i64::from(tick) * 16_667, presence, lap_pct: 0.1, speed_mps: 50.0, ..Default::default() })?;
//! }
//! stream.end(599, 599 * 16_667, EndReason::FINISHED)?;
//!
//! let remained = client.finish(Duration::from_secs(10)).await;
//! assert!(remained.is_empty(), "not acked in time, kept for the next start: {remained:?}");
//! # Ok(())
//! # }
//! ```
//!
//! A program without async keeps a tokio runtime beside its own threads and calls [`Stream`]'s methods from them:
//! see `examples/minimal.rs`. [`Client::status`], [`Client::stats`] and an [`Observer`] report how the client is doing.
//!
//! The rules' names (W4, F3, E1, …) are explained in `docs/ARCHITECTURE.md`.

mod batcher;
mod client;
mod config;
mod connection;
mod core;
mod driver;
mod ended;
mod observe;
mod queue;
mod shared;
mod spans;
mod spool;
mod stream;
mod tls;

pub use batcher::StreamError;
pub use client::{Client, OpenError, StartError};
pub use config::{Batch, Config, Spool, Timing};
pub use observe::{Event, Observer, Refusal, Remained, Stats, Status, StreamId};
pub use spool::{Kept, SpoolError, delete, kept};
pub use stream::Stream;
pub use tls::pinned;
