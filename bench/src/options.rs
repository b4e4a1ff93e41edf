//! [`Options`]: the command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::server::Launch;

/// Load generator: open loop, with latency measured from the intended send time, so that a stalled server cannot hide its stall
#[derive(Parser, Clone, Debug)]
#[command(name = "boxbox-bench", version, max_term_width = 110)]
pub struct Options {
    /// Simulated cars, one connection each
    #[arg(long, default_value_t = 834)]
    pub clients: u32,
    /// Frames per second and car
    #[arg(long, default_value_t = 60.0)]
    pub rate: f64,
    /// Frames per record
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=160))]
    pub batch: u16,
    /// Seconds that are measured
    #[arg(long, default_value_t = 30)]
    pub seconds: u64,
    /// Seconds before the measurement
    #[arg(long, default_value_t = 5)]
    pub warm_up: u64,
    /// After the run, offer this many times its rate for half as long again and report how much is still acked; 0: do not
    #[arg(long, default_value_t = 0.0)]
    pub overload: f64,
    /// Services that the server runs: `ingest` (edge and log), or `up` (all)
    #[arg(long, default_value = "ingest", value_parser = ["ingest", "up"])]
    pub services: String,
    /// The server's log, e.g. kafka://127.0.0.1:9092/bench; without it, the embedded log in a temporary folder
    #[arg(long, env = "BOXBOX_LOG_URL")]
    pub log_url: Option<String>,
    /// The server's results, e.g. postgres://USER@HOST:PORT/DATABASE, prepared by `boxbox migrate`; needs --archive-url
    #[arg(long, env = "BOXBOX_RESULTS_URL")]
    pub results_url: Option<String>,
    /// File with the password of the results
    #[arg(long, env = "BOXBOX_RESULTS_PASSWORD_FILE")]
    pub results_password_file: Option<PathBuf>,
    /// The server's archive, e.g. clickhouse://USER@HOST:PORT/DATABASE
    #[arg(long, env = "BOXBOX_ARCHIVE_URL")]
    pub archive_url: Option<String>,
    /// File with the password of the archive
    #[arg(long, env = "BOXBOX_ARCHIVE_PASSWORD_FILE")]
    pub archive_password_file: Option<PathBuf>,
    /// Another process whose CPU time is reported, e.g. kafka=4711 (repeatable)
    #[arg(long = "also", value_name = "NAME=PID", value_parser = also)]
    pub also: Vec<(String, u32)>,
    /// Measure for some of the cars how long after a crossing of the line the API shows the lap. Needs --services up
    #[arg(long)]
    pub freshness: bool,
    /// Seconds for a lap [default: 90; with --freshness 10]
    #[arg(long)]
    pub lap: Option<f64>,
    /// The server's program; by default `boxbox` beside this one
    #[arg(long)]
    pub server: Option<PathBuf>,
    /// Folder in which the server's temporary folder is made; by default the system's
    #[arg(long)]
    pub folder: Option<PathBuf>,
    /// Seed of the cars' send times
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// One JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

impl Options {
    /// Seconds of a lap.
    pub fn lap_s(&self) -> f64 {
        self.lap.unwrap_or(if self.freshness { 10.0 } else { 90.0 })
    }

    /// How the server is started.
    pub fn launch(&self) -> Launch {
        let mut args: Vec<OsString> = vec!["--connections".into(), (self.clients * 2 + 16).to_string().into()];
        for (name, value) in [("--results-url", &self.results_url), ("--archive-url", &self.archive_url)] {
            args.extend(value.iter().flat_map(|value| [name.into(), value.into()]));
        }
        for (name, file) in [("--results-password-file", &self.results_password_file), ("--archive-password-file", &self.archive_password_file)] {
            args.extend(file.iter().flat_map(|file| [name.into(), file.into()]));
        }
        let services = self.services.clone();
        Launch { program: self.server.clone(), services, within: self.folder.clone(), log_url: self.log_url.clone(), args, memory_max_bytes: None }
    }

    /// Time from one record of a car to its next.
    pub fn interval(&self) -> Duration {
        Duration::from_secs_f64(f64::from(self.batch) / self.rate)
    }
}

fn also(text: &str) -> Result<(String, u32), String> {
    let (name, pid) = text.split_once('=').ok_or("give NAME=PID")?;
    Ok((name.into(), pid.parse().map_err(|e| format!("{pid}: {e}"))?))
}
