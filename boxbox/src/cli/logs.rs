//! The options of logs, error reports and traces, which every command takes.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use boxbox_schemas::trace::Sampling;
use clap::Args;

use crate::cli::verbosity::{self, Verbosity};
use crate::config_check::Findings;
use crate::data::read_secret;
use crate::logs::{LogFormat, LogOptions};
use crate::outbox::Address;
use crate::traces::TraceOptions;

/// Every so manieth session is traced unless another number is given.
const TRACE_SESSIONS: u32 = 10;
/// In such a session every so manieth car is.
const TRACE_CARS: u32 = 8;

/// What is logged, where errors are reported, and which cars are traced.
#[derive(Args)]
pub struct LogArgs {
    /// What to log on standard error: off, error, warn, info, debug or trace, or `target=level,…`
    #[arg(long, global = true, env = "BOXBOX_LOG", default_value = verbosity::DEFAULT)]
    log: Verbosity,
    /// Form of the log: auto: text, with colours on a terminal; text: without colours; json: an object on each line
    #[arg(long, global = true, env = "BOXBOX_LOG_FORMAT", value_enum, default_value_t = Format::Auto)]
    log_format: Format,
    /// Where to POST errors and panics as JSON, http:// or https://. Other users of this machine can read it in the list of processes:
    /// --error-url-file is better where the address holds a secret
    #[arg(long, global = true, value_name = "URL", env = "BOXBOX_ERROR_URL", hide_env_values = true)]
    error_url: Option<String>,
    /// File with the address of --error-url: one line
    #[arg(long, global = true, value_name = "FILE", env = "BOXBOX_ERROR_URL_FILE")]
    error_url_file: Option<PathBuf>,
    /// Collector that takes traces by OTLP over HTTP, http://HOST:4318. Without it nothing is traced. All processes need the same
    /// --trace-sessions and --trace-cars
    #[arg(long, global = true, value_name = "URL", env = "BOXBOX_OTLP_URL")]
    otlp_url: Option<String>,
    /// File with the address of --otlp-url, for one that holds a secret
    #[arg(long, global = true, value_name = "FILE", env = "BOXBOX_OTLP_URL_FILE")]
    otlp_url_file: Option<PathBuf>,
    /// Of how many sessions one is traced; 1: all
    #[arg(long, global = true, value_name = "N", env = "BOXBOX_TRACE_SESSIONS", default_value_t = TRACE_SESSIONS, value_parser = clap::value_parser!(u32).range(1..))]
    trace_sessions: u32,
    /// Of how many cars of such a session one is traced; 1: all
    #[arg(long, global = true, value_name = "N", env = "BOXBOX_TRACE_CARS", default_value_t = TRACE_CARS, value_parser = clap::value_parser!(u32).range(1..))]
    trace_cars: u32,
}

/// The form of the log.
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// Text, with colours on a terminal.
    Auto,
    /// Text without colours.
    Text,
    /// One JSON object on each line.
    Json,
}

impl From<Format> for LogFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Auto => LogFormat::Auto,
            Format::Text => LogFormat::Text,
            Format::Json => LogFormat::Json,
        }
    }
}

impl LogArgs {
    /// What is logged, and where errors are reported.
    ///
    /// # Errors
    /// If the address for reports cannot be read, or is none.
    pub fn logs(&self) -> anyhow::Result<LogOptions> {
        let reports = address("--error-url", self.error_url.as_deref(), self.error_url_file.as_deref())?;
        Ok(LogOptions { reports, ..self.lines_alone() })
    }

    /// Where traces go, if anywhere.
    ///
    /// # Errors
    /// If the address cannot be read, or is none.
    pub fn traces(&self) -> anyhow::Result<Option<TraceOptions>> {
        let collector = address("--otlp-url", self.otlp_url.as_deref(), self.otlp_url_file.as_deref())?;
        let sampling = Sampling { sessions: self.trace_sessions, streams: self.trace_cars };
        Ok(collector.map(|collector| TraceOptions { collector, sampling }))
    }

    /// What is logged, without reports.
    pub fn lines_alone(&self) -> LogOptions {
        LogOptions { filter: self.log.filter(), format: self.log_format.into(), reports: None }
    }

    /// Look for what is wrong with these options beyond their form.
    pub fn look(&self, findings: &mut Findings) {
        findings.kept(self.logs());
        findings.kept(self.traces());
    }
}

/// Whether the variable of this option (by its id) may be set and empty, which means that there is no address.
pub fn may_be_empty(id: &str) -> bool {
    ["error_url", "error_url_file", "otlp_url", "otlp_url_file"].contains(&id)
}

/// The address that an option, or its twin that names a file, gives.
fn address(option: &str, url: Option<&str>, file: Option<&Path>) -> anyhow::Result<Option<Address>> {
    Ok(match (url, file) {
        (None, None) => None,
        (Some(url), None) => Some(Address::parse(url).with_context(|| option.to_owned())?),
        (None, Some(file)) => {
            let named = || format!("{option}-file {}", file.display());
            Some(Address::parse(read_secret(file).with_context(named)?.expose()).with_context(named)?)
        }
        (Some(_), Some(_)) => bail!("give {option} or {option}-file, not both"),
    })
}
