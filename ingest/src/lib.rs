//! The edge: QUIC in, log out, acks back.
//!
//! A client opens one control stream and up to four data streams (W2, W4). Each record is checked, stamped with who sent
//! it (F5) and appended to the log; the client hears `Ack` once the record is durable and in order (W6). Nothing is kept
//! here that a crash could lose: whatever is not acked, the client sends again.
//!
//! * [`Config`], [`Limits`]: every budget, each with its reason
//! * [`Edge`]: bind, run, drain; [`Health`]: what `/readyz` asks; [`EdgeMetrics`]: what `/metrics` shows
//!
//! The life of a record inside: `data_stream` cuts it out of its QUIC stream, `gate` checks it (W5, W7), `room` finds it a place
//! in the budgets (W9), `flow` follows it through the log and decides about acks (W6), `link` tells the client.

mod accept;
mod admission;
mod budgets;
mod config;
mod connection;
mod core;
mod decoder;
mod edge;
mod error;
mod flow;
mod flows;
mod health;
mod link;
mod metrics;
mod quic;
mod sweep;
mod validator;

pub use config::{Config, Identity, Limits};
pub use edge::Edge;
pub use error::EdgeError;
pub use health::Health;
pub use metrics::EdgeMetrics;
