//! What the program logs on standard error, what it counts of that, and where errors are reported.

pub mod counting;
mod fingerprint;
mod lines;
mod panics;
pub mod reports;

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

use self::counting::Counting;
use self::reports::Reports;
use crate::outbox::Address;
use crate::show::stderr;

/// The form of the lines of the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum LogFormat {
    /// Text for people; with colours on a terminal.
    #[default]
    Auto,
    /// Text without colours.
    Text,
    /// One JSON object on each line.
    Json,
}

/// What is logged and how, and where errors are reported.
pub struct LogOptions {
    /// Which parts of the program log how much.
    pub filter: EnvFilter,
    /// The form of the lines.
    pub format: LogFormat,
    /// Where errors and panics are reported, if anywhere.
    pub reports: Option<Address>,
}

/// The log of this process. Call [`Logs::end`] before the process ends.
pub struct Logs(Option<Reports>);

/// Begin to log.
///
/// # Errors
/// If errors cannot be reported.
pub fn begin(options: LogOptions) -> anyhow::Result<Logs> {
    let LogOptions { filter, format, reports } = options;
    let reports = reports.as_ref().map(Reports::open).transpose()?;
    // Standard output is for results; logs go to standard error.
    let colours = format == LogFormat::Auto && stderr::has_colours();
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match format {
        LogFormat::Json => lines::json(lines::ToStderr { colours: false }).boxed(),
        LogFormat::Auto | LogFormat::Text => fmt::layer().with_ansi(colours).with_writer(lines::ToStderr { colours }).boxed(),
    };
    // What is counted and reported does not depend on what a person wants to read.
    let counting = Counting { reports: reports.clone() }.with_filter(LevelFilter::WARN);
    tracing_subscriber::registry().with(lines.with_filter(filter)).with(counting).init();
    panics::watch(format == LogFormat::Json, reports.clone());
    Ok(Logs(reports))
}

impl Logs {
    /// Send what was not sent yet. This takes some seconds at most.
    pub fn end(&self) {
        if let Some(reports) = &self.0 {
            reports.flush();
        }
    }
}
