//! `boxbox-bench`: how much a server takes, how fast it acks, and what a frame costs.
//!
//! Without arguments it makes the canonical run: a server of its own (the edge and the embedded log, in a folder that is
//! deleted afterwards), 834 cars at 60 Hz, 5 frames a record, 30 seconds.

#![allow(unreachable_pub, reason = "a program: nothing is reached from outside, and pub says what a module offers")]

mod car;
mod connection;
mod freshness;
mod load;
mod process;
mod report;
mod server;

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Load generator: open loop, latency from the intended send time, so that a stalled server cannot hide its stall
#[derive(Parser, Clone, Debug)]
#[command(name = "boxbox-bench", version, max_term_width = 110)]
pub struct Options {
    /// Simulated cars, one connection each
    #[arg(long, default_value_t = 834)]
    clients: u32,
    /// Frames per second and car
    #[arg(long, default_value_t = 60.0)]
    rate: f64,
    /// Frames in a record
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=160))]
    batch: u16,
    /// Seconds that count
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Seconds before them that do not
    #[arg(long, default_value_t = 5)]
    warm_up: u64,
    /// After the run, offer this many times its rate for half as long again and report what is still acked; 0: do not
    #[arg(long, default_value_t = 0.0)]
    overload: f64,
    /// Services the server runs: `ingest` (edge and log), or `up` (all)
    #[arg(long, default_value = "ingest", value_parser = ["ingest", "up"])]
    services: String,
    /// The server's log, e.g. kafka://127.0.0.1:9092/bench; without it the embedded log in a temporary folder
    #[arg(long, env = "BOXBOX_LOG_URL")]
    log_url: Option<String>,
    /// The server's results, e.g. postgres://USER@HOST:PORT/DATABASE, made ready by `boxbox migrate`; with --archive-url
    #[arg(long, env = "BOXBOX_RESULTS_URL")]
    results_url: Option<String>,
    /// File with the password for it
    #[arg(long, env = "BOXBOX_RESULTS_PASSWORD_FILE")]
    results_password_file: Option<PathBuf>,
    /// The server's archive, e.g. clickhouse://USER@HOST:PORT/DATABASE
    #[arg(long, env = "BOXBOX_ARCHIVE_URL")]
    archive_url: Option<String>,
    /// File with the password for it
    #[arg(long, env = "BOXBOX_ARCHIVE_PASSWORD_FILE")]
    archive_password_file: Option<PathBuf>,
    /// Another process whose CPU is to be accounted, e.g. kafka=4711 (repeatable)
    #[arg(long = "also", value_name = "NAME=PID", value_parser = also)]
    also: Vec<(String, u32)>,
    /// Watch some of the cars: how long after a car has crossed the line does the API show its lap? Needs --services up
    #[arg(long)]
    freshness: bool,
    /// Seconds for a lap [default: 90; with --freshness 10]
    #[arg(long)]
    lap: Option<f64>,
    /// The server's program; by default `boxbox` beside this one
    #[arg(long)]
    server: Option<PathBuf>,
    /// Where the server's temporary folder is made; by default the system's
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Seed of the cars' phases
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

impl Options {
    /// Seconds for a lap.
    fn lap_s(&self) -> f64 {
        self.lap.unwrap_or(if self.freshness { 10.0 } else { 90.0 })
    }

    /// From one record of a car to its next.
    fn interval(&self) -> Duration {
        Duration::from_secs_f64(f64::from(self.batch) / self.rate)
    }
}

fn also(text: &str) -> Result<(String, u32), String> {
    let (name, pid) = text.split_once('=').ok_or("give NAME=PID")?;
    Ok((name.into(), pid.parse().map_err(|e| format!("{pid}: {e}"))?))
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    anyhow::ensure!(!options.freshness || options.services == "up", "laps are made and shown by all services: --services up");
    anyhow::ensure!(options.lap_s() > 1.0, "give a --lap above 1 second");
    anyhow::ensure!(options.rate > 0.0 && options.rate.is_finite(), "give a --rate above 0");
    if cfg!(debug_assertions) {
        eprintln!("boxbox-bench: built without --release: the figures mean nothing");
    }
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(load::run(options))
}
