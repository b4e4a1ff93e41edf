//! The HTTP API: sessions, laps, traces, incidents and ledgers as JSON; health and metrics for operators.
//!
//! * A page for people is at `/`. Everything else is under `/api/v1` and described by `/api/v1/openapi.json`, with a reader at
//!   `/api/docs`; `/livez`, `/readyz`, `/api/health` and `/metrics` are for operators. All requests only read, except those that close
//!   a session or open it again, and those that decide something in a league.
//! * Times are integers of microseconds and end in `_us`, other units are in the names too; reasons and tags are lists of
//!   lower-case words; ids are text. Errors are `application/problem+json` (RFC 9457) with a `code` for programs.
//! * On a loopback address, people and programs of this machine read [`Config::local_tenant`]'s data without a grant; pages of
//!   other addresses cannot read it through a browser, and what a proxy passes on needs a grant. On any other address, and with
//!   [`Config::always_grants`], every request except the probes, the page and the API's description needs a grant to read (W3), and
//!   reads its tenant's data only.
//! * Each request has a budget of memory and time, and no client can take the places of all others: `heavy.rs`, `unread.rs`,
//!   `connections.rs`.
//!
//! ```no_run
//! # async fn example(sessions: std::sync::Arc<dyn boxbox_store::Sessions>, leagues: std::sync::Arc<dyn boxbox_store::Leagues>, archive: std::sync::Arc<dyn boxbox_store::Archive>,
//! #   authority: tokio::sync::watch::Receiver<std::sync::Arc<boxbox_schemas::grant::Authority>>, stop: tokio_util::sync::CancellationToken) -> Result<(), boxbox_api::ApiError> {
//! let config = boxbox_api::Config { listen: ([127, 0, 0, 1], 7480).into(), ..Default::default() };
//! let api = boxbox_api::Api::bind(config, Some(boxbox_api::Stores { sessions, leagues, archive }), None, authority, vec![], None).await?;
//! println!("http://{}", api.local_addr());
//! api.run(stop).await
//! # }
//! ```

mod access;
mod app;
mod append;
mod bodies;
mod client;
mod config;
mod connections;
mod cross_site;
mod cursor;
mod door;
mod extract;
mod followed;
mod heavy;
mod held;
mod layers;
mod leagues;
mod metrics;
mod openapi;
mod page;
mod paths;
mod problem;
mod read;
mod records;
mod routes;
mod scrape;
mod server;
mod stored;
mod svg;
#[cfg(test)]
mod tests;
mod trace;
mod turns;
mod unread;
mod who;
mod write_timeout;

pub use app::{Check, Stores};
pub use client::{Network, NotANetwork};
pub use config::Config;
pub use metrics::ApiMetrics;
pub use scrape::Scrape;
pub use server::{Api, ApiError};
