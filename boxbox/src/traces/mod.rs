//! Traces: spans of followed streams ([`boxbox_schemas::trace`]) go to a collector over OTLP (`--otlp-url`). Off unless that is given.

mod otlp;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use boxbox_schemas::trace::{self, Sampling, Span, Spans};

use crate::outbox::{Address, Courier, Outbox};

/// Where collectors take spans, if the address has no path.
const PATH: &str = "/v1/traces";
/// Spans that wait to be sent; about 2 MB.
const WAITING_MAX: usize = 8_192;
/// What became of a span.
const OUTCOMES: [&str; 3] = ["sent", "dropped", "failed"];

boxbox_schemas::metrics! {
    /// Spans.
    pub struct SpanMetrics("boxbox_trace") {
        /// Spans for the address of `--otlp-url`: sent there, left out because too many waited, not taken there.
        spans: counter by "outcome" of OUTCOMES,
    }
}

static ENDED: [AtomicU64; OUTCOMES.len()] = [const { AtomicU64::new(0) }; OUTCOMES.len()];

/// Shows the counts as metrics.
pub fn measuring() -> impl Fn() + Send + Sync + 'static {
    let metrics = SpanMetrics::new();
    move || OUTCOMES.into_iter().zip(&ENDED).for_each(|(outcome, n)| metrics.spans.with(outcome).absolute(n.load(Relaxed)))
}

/// Where spans go, and which streams are followed.
#[derive(Clone, Debug)]
pub struct TraceOptions {
    /// The collector.
    pub collector: Address,
    /// Which streams.
    pub sampling: Sampling,
}

/// The traces of this process. Call [`Traces::end`] before the process ends.
pub struct Traces(Outbox<Span>);

/// Begin to send spans.
///
/// # Errors
/// As [`Outbox::open`].
pub fn begin(options: &TraceOptions) -> anyhow::Result<Traces> {
    let outbox = Outbox::open("traces", &options.collector.or_path(PATH)?, WAITING_MAX, Packed)?;
    // Once in a process: it is called once.
    trace::follow(options.sampling, Sent(outbox.clone()));
    Ok(Traces(outbox))
}

impl Traces {
    /// Send what was not sent yet. This takes some seconds at most.
    pub fn end(&self) {
        self.0.flush();
    }
}

/// Puts spans into the queue.
struct Sent(Outbox<Span>);

impl Spans for Sent {
    fn take(&self, span: Span) {
        if !self.0.offer(span) {
            ENDED[1].fetch_add(1, Relaxed);
        }
    }
}

struct Packed;

impl Courier<Span> for Packed {
    const TOGETHER: usize = 512;
    const LINGER: Duration = Duration::from_millis(500);

    fn pack(&mut self, spans: Vec<Span>) -> Option<String> {
        Some(otlp::document(&spans).to_string())
    }

    fn ended(&mut self, spans: u64, sent: bool) {
        ENDED[if sent { 0 } else { 2 }].fetch_add(spans, Relaxed);
    }
}
