//! [`Reports`]: errors and panics, sent to another server as JSON (`--error-url`), so that a person learns of them without reading logs.
//!
//! One report is one POST. The same error is reported once a minute, with how often it came meanwhile.

use std::fmt::{Debug, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime};

use boxbox_schemas::text::plain;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::{Map, Value};
use tracing::Event;
use tracing::field::{Field, Visit};

use super::fingerprint::Repeats;
use crate::cli::secret::masked;
use crate::instance;
use crate::outbox::{Address, Courier, Outbox};

/// Reports that wait to be sent.
const WAITING_MAX: usize = 64;
/// Most of a text in a report, characters.
const TEXT_MAX_CHARS: usize = 2_000;
/// Most of a backtrace, characters.
const BACKTRACE_MAX_CHARS: usize = 16_000;
/// What became of a report.
const OUTCOMES: [&str; 3] = ["sent", "limited", "failed"];

boxbox_schemas::metrics! {
    /// Reports of errors.
    pub struct ReportMetrics("boxbox_error") {
        /// Errors and panics for the address of `--error-url`: sent there, left out because the same or many others came, not taken there.
        reports: counter by "outcome" of OUTCOMES,
    }
}

static ENDED: [AtomicU64; OUTCOMES.len()] = [const { AtomicU64::new(0) }; OUTCOMES.len()];

/// Shows the counts as metrics.
pub fn measuring() -> impl Fn() + Send + Sync + 'static {
    let metrics = ReportMetrics::new();
    move || OUTCOMES.into_iter().zip(&ENDED).for_each(|(outcome, n)| metrics.reports.with(outcome).absolute(n.load(Relaxed)))
}

/// Where errors are reported.
#[derive(Clone)]
pub struct Reports {
    outbox: Outbox<Report>,
    repeats: Arc<Mutex<Repeats>>,
}

/// One report.
#[derive(Serialize, Debug)]
pub struct Report {
    /// When, RFC 3339.
    time: String,
    /// `error` or `panic`.
    kind: &'static str,
    /// Which version of the program.
    version: &'static str,
    /// Which process: host and process id.
    instance: &'static str,
    /// The part of the program.
    target: String,
    /// File and line of the program.
    place: String,
    /// What happened.
    message: String,
    /// What the program says about it.
    #[serde(skip_serializing_if = "Map::is_empty")]
    fields: Map<String, Value>,
    /// How often the same happened since it was last reported.
    left_out: u64,
    /// Which calls led there, of a panic.
    #[serde(skip_serializing_if = "Option::is_none")]
    backtrace: Option<String>,
}

impl Reports {
    /// Report to this address.
    ///
    /// # Errors
    /// As [`Outbox::open`].
    pub fn open(address: &Address) -> anyhow::Result<Self> {
        let outbox = Outbox::open("error-reports", address, WAITING_MAX, Counted)?;
        Ok(Self { outbox, repeats: Arc::new(Mutex::new(Repeats::new(Instant::now()))) })
    }

    /// Report an error that is logged.
    pub fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let place = format!("{}:{}", metadata.file().unwrap_or("?"), metadata.line().unwrap_or(0));
        self.report(&place, |left_out| {
            let mut fields = Fields::default();
            event.record(&mut fields);
            let Fields { message, fields } = fields;
            Report { target: metadata.target().to_owned(), message, fields, ..Report::new("error", &place, left_out) }
        });
    }

    /// Report a panic; `backtrace` is made only if it is reported.
    pub fn panic(&self, place: &str, message: &str, backtrace: impl FnOnce() -> String) {
        self.report(place, |left_out| {
            let backtrace = Some(shown(&backtrace(), BACKTRACE_MAX_CHARS, str::to_owned));
            Report { target: "panic".into(), message: text(message), backtrace, ..Report::new("panic", place, left_out) }
        });
    }

    /// Wait a while until all of them are sent.
    pub fn flush(&self) {
        self.outbox.flush();
    }

    fn report(&self, place: &str, make: impl FnOnce(u64) -> Report) {
        // The lock is not held while the report is made.
        let happens = self.repeats.lock().happens(place, Instant::now());
        if !happens.is_some_and(|left_out| self.outbox.offer(make(left_out))) {
            ENDED[1].fetch_add(1, Relaxed);
        }
    }
}

impl Report {
    fn new(kind: &'static str, place: &str, left_out: u64) -> Self {
        Self {
            time: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
            kind,
            version: env!("CARGO_PKG_VERSION"),
            instance: instance::name(),
            target: String::new(),
            place: place.to_owned(),
            message: String::new(),
            fields: Map::new(),
            left_out,
            backtrace: None,
        }
    }
}

/// A text as it may leave this machine: without secrets and control characters, and not too long.
fn text(text: &str) -> String {
    shown(text, TEXT_MAX_CHARS, |text| plain(text).into_owned())
}

fn shown(text: &str, most: usize, clean: impl FnOnce(&str) -> String) -> String {
    clean(&masked(text)).chars().take(most).collect()
}

/// The message and the fields of an event.
#[derive(Default)]
struct Fields {
    message: String,
    fields: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        self.fields.insert(field.name().to_owned(), value);
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut said = String::new();
        let _ = write!(said, "{value:?}");
        if field.name() == "message" { self.message = text(&said) } else { self.put(field, text(&said).into()) }
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" { self.message = text(value) } else { self.put(field, text(value).into()) }
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
}

/// Packs one report into one document, and counts.
struct Counted;

impl Courier<Report> for Counted {
    const TOGETHER: usize = 1;
    const LINGER: Duration = Duration::ZERO;
    // An error may happen once: a receiver that restarts must not miss it.
    const AGAIN: &[Duration] = &[Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(30)];

    fn pack(&mut self, reports: Vec<Report>) -> Option<String> {
        serde_json::to_string(reports.first()?).ok()
    }

    fn ended(&mut self, reports: u64, sent: bool) {
        ENDED[if sent { 0 } else { 2 }].fetch_add(reports, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::super::counting::Counting;
    use super::*;
    use boxbox_testkit::sink::Sink;

    #[test]
    fn an_error_is_reported_once_with_what_the_program_says_and_without_secrets() {
        let sink = Sink::start();
        let reports = Reports::open(&Address::parse(&sink.url("/hook")).unwrap()).unwrap();
        let layer = Counting { reports: Some(reports.clone()) };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            for n in 0..5_u64 {
                tracing::error!(partition = n, error = "boxbox://v4.public.abc@h:1?pin=x", name = "\u{1b}[2Jmax", "a step failed");
            }
            tracing::warn!("not an error");
        });
        reports.panic("race/src/x.rs:7:1", "index out of bounds", || "0: boxbox_race::x".into());
        reports.flush();
        let bodies: Vec<Value> = sink.bodies().iter().map(|body| serde_json::from_str(body).unwrap()).collect();
        assert_eq!(bodies.len(), 2, "{bodies:?}");
        let [error, panic] = &bodies[..] else { unreachable!() };
        assert_eq!((error["kind"].as_str(), error["message"].as_str()), (Some("error"), Some("a step failed")));
        assert!(error["instance"].as_str().unwrap().ends_with(&format!("/{}", std::process::id())), "{error}");
        assert_eq!((error["fields"]["partition"].as_u64(), error["fields"]["name"].as_str()), (Some(0), Some("[2Jmax")));
        assert!(error["place"].as_str().unwrap().contains("reports.rs:"), "{error}");
        assert!(!error.to_string().contains("v4.public.abc"), "{error}");
        assert_eq!((panic["kind"].as_str(), panic["place"].as_str()), (Some("panic"), Some("race/src/x.rs:7:1")));
        assert_eq!(panic["backtrace"].as_str(), Some("0: boxbox_race::x"));
    }
}
