//! The edge: QUIC in, log out, acks back.
//!
//! A client opens one control stream and up to four data streams (W2, W4). The edge checks each record, puts a stamp with
//! the sender in front of it (F5) and appends both to the log. It sends an `Ack` once the record is durable and in order
//! (W6). An edge keeps nothing that a crash could lose: the client sends again whatever is not acked.
//!
//! * [`Config`], [`Limits`]: every limit, each with its reason
//! * [`Lives`]: tells the edge that a session is closed on purpose
//! * [`Edge`]: bind, run, drain; [`Health`]: for `/readyz`; [`EdgeMetrics`]: for `/metrics`
//!
//! What happens to a record, by module: `decoder` cuts it out of its QUIC stream, `validator` checks it (W5, W7), `budgets`
//! bounds how much is in flight (W9), `flow` follows it through the log and decides about acks (W6), `link` sends them. The
//! task that does all this for one client is in `connection`.

mod accept;
mod admission;
mod budgets;
mod config;
mod connection;
mod core;
mod decoder;
mod edge;
mod error;
mod expiry;
mod flow;
mod flows;
mod health;
mod life;
mod link;
mod metrics;
mod pace;
mod quic;
mod reports;
mod spans;
mod sweep;
mod traffic;
mod validator;

pub use config::{Config, Identity, Limits, Rate};
pub use edge::Edge;
pub use error::EdgeError;
pub use expiry::ExpiryClock;
pub use health::Health;
pub use life::{Answer, Life, Lives};
pub use metrics::EdgeMetrics;
