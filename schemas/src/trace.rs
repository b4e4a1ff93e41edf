//! Traces: how the way of some frames can be followed from the client to the API.
//!
//! A trace is [`TRACE_NUMBERS`] sequence numbers of one stream, about a second of driving. Its id is a hash of the stream and of the first of
//! these numbers, so that the client, the edge, the processor and the API each find it by themselves: nothing about traces is on the wire, in
//! the log or in a store, and what is sent or processed again joins the trace that it belongs to. A lap is in the trace of its last frame.
//!
//! Which streams are traced is decided by hashes as well: every so manieth session, and in it every so manieth stream ([`Sampling`]). All
//! processes must be told the same.
//!
//! Where spans go is set once for the process ([`follow`]). Until then nothing is traced, and asking costs one load of an atomic.

use std::sync::OnceLock;

use sha2::{Digest, Sha256};

use crate::ids::StreamKey;

/// Sequence numbers of one trace.
pub const TRACE_NUMBERS: u64 = 64;
/// Most traces that a record is in: a record of frames has some hundred numbers at most.
const TRACES_MAX: u64 = 4;

/// The id of a trace.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TraceId(pub [u8; 16]);

/// The id of a span.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SpanId(pub [u8; 8]);

/// A step of the way.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Stage {
    /// From the seal of a record to its ack, at the client.
    Client,
    /// From its receipt to its ack, at the edge.
    Edge,
    /// From the edge's append until the log has it.
    Log,
    /// From the reading of a record until its results are committed.
    Processor,
    /// The commit of these results.
    Store,
    /// A request to the API for what came of it.
    Api,
}

impl Stage {
    /// The name of its spans.
    pub const fn name(self) -> &'static str {
        match self {
            Stage::Client => "client.record",
            Stage::Edge => "edge.record",
            Stage::Log => "log.append",
            Stage::Processor => "processor.record",
            Stage::Store => "store.commit",
            Stage::Api => "api.request",
        }
    }

    /// The service that does it.
    pub const fn service(self) -> &'static str {
        match self {
            Stage::Client => "boxbox-client",
            Stage::Edge | Stage::Log => "boxbox-ingest",
            Stage::Processor | Stage::Store => "boxbox-processor",
            Stage::Api => "boxbox-api",
        }
    }

    /// The step that it is a part of, or that comes before it.
    const fn parent(self) -> Option<Stage> {
        match self {
            Stage::Client | Stage::Api => None,
            Stage::Edge => Some(Stage::Client),
            Stage::Log | Stage::Processor => Some(Stage::Edge),
            Stage::Store => Some(Stage::Processor),
        }
    }
}

/// What is known of a span beside its time. No names, addresses or grants.
pub type Attribute = (&'static str, Value);

/// The value of an attribute.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// A text.
    Text(String),
    /// A number.
    Number(u64),
}

/// A step of the way of some frames.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Span {
    /// The trace.
    pub trace: TraceId,
    /// The span.
    pub id: SpanId,
    /// The span that it is in, or that comes before it.
    pub parent: Option<SpanId>,
    /// The step.
    pub stage: Stage,
    /// When it began, Unix µs.
    pub start_us: i64,
    /// When it ended, Unix µs.
    pub end_us: i64,
    /// What is known of it.
    pub attributes: Vec<Attribute>,
    /// It failed.
    pub failed: bool,
}

/// Which streams are traced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sampling {
    /// Every so manieth session is; 1: all.
    pub sessions: u32,
    /// In such a session every so manieth stream is; 1: all.
    pub streams: u32,
}

impl Sampling {
    /// Whether the stream is traced.
    pub fn covers(&self, stream: &StreamKey) -> bool {
        let session = u64::from_le_bytes(*stream.session.0.first_chunk().unwrap_or(&[0; 8]));
        if !session.is_multiple_of(u64::from(self.sessions.max(1))) {
            return false;
        }
        // Of one session, whose hash says nothing more.
        let of_stream = crc32c::crc32c_append(crc32c::crc32c(stream.driver.as_str().as_bytes()), &stream.run.0);
        of_stream.is_multiple_of(self.streams.max(1))
    }
}

/// Takes spans. It must not wait.
pub trait Spans: Send + Sync + 'static {
    /// A span that has ended.
    fn take(&self, span: Span);
}

/// Follows some streams.
pub struct Tracer {
    sampling: Sampling,
    spans: Box<dyn Spans>,
}

static TRACER: OnceLock<Tracer> = OnceLock::new();

/// From now on follow the streams that `sampling` says. Only the first call of a process does something; returns whether this was it.
pub fn follow(sampling: Sampling, spans: impl Spans) -> bool {
    TRACER.set(Tracer { sampling, spans: Box::new(spans) }).is_ok()
}

/// What follows streams, if anything does.
pub fn tracer() -> Option<&'static Tracer> {
    TRACER.get()
}

/// What follows this stream, if it is followed.
pub fn of(stream: &StreamKey) -> Option<&'static Tracer> {
    tracer().filter(|tracer| tracer.sampling.covers(stream))
}

/// A record of a stream that is followed, and when something began and ended with it, Unix µs.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// The stream.
    pub stream: &'a StreamKey,
    /// The record's first sequence number.
    pub first: u64,
    /// The first sequence number after it.
    pub next: u64,
    /// Beginning.
    pub start_us: i64,
    /// End.
    pub end_us: i64,
}

impl Tracer {
    /// A step of a record has ended: a span in each trace that it has frames of.
    pub fn record(&self, stage: Stage, part: &Part<'_>, failed: bool, attributes: impl Fn() -> Vec<Attribute>) {
        for trace in traces(part.stream, part.first, part.next) {
            let id = span_id(&trace, stage, part.first);
            let parent = stage.parent().map(|parent| span_id(&trace, parent, part.first));
            let mut attributes = attributes();
            attributes.push(("boxbox.first_seq", Value::Number(part.first)));
            attributes.push(("boxbox.numbers", Value::Number(part.next - part.first)));
            self.spans.take(Span { trace, id, parent, stage, start_us: part.start_us, end_us: part.end_us, attributes, failed });
        }
    }

    /// A span that is no step of a record.
    pub fn span(&self, span: Span) {
        self.spans.take(span);
    }
}

/// The trace of a sequence number of a stream.
pub fn trace_of(stream: &StreamKey, number: u64) -> TraceId {
    let first = number - number % TRACE_NUMBERS;
    let mut hash = Sha256::new();
    hash.update(b"boxbox trace");
    for text in [stream.tenant.as_str(), stream.driver.as_str()] {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    hash.update(stream.session.0);
    hash.update(stream.run.0);
    hash.update(first.to_le_bytes());
    let hash = hash.finalize();
    // A hash is longer than an id, and no id is all zero but by a chance that does not happen.
    TraceId(*hash.first_chunk().unwrap_or(&[1; 16]))
}

/// The traces that the numbers `first..next` are in.
fn traces(stream: &StreamKey, first: u64, next: u64) -> impl Iterator<Item = TraceId> + '_ {
    let (begin, end) = (first / TRACE_NUMBERS, next.saturating_sub(1).max(first) / TRACE_NUMBERS);
    (begin..=end.min(begin + TRACES_MAX - 1)).map(|trace| trace_of(stream, trace * TRACE_NUMBERS))
}

/// The span of a step of the record that begins with `first`.
fn span_id(trace: &TraceId, stage: Stage, first: u64) -> SpanId {
    let mut hash = Sha256::new();
    hash.update(b"boxbox span");
    hash.update(trace.0);
    hash.update(stage.name());
    hash.update(first.to_le_bytes());
    SpanId(*hash.finalize().first_chunk().unwrap_or(&[1; 8]))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::{DriverId, RunId, SessionId, TenantId};

    use super::*;

    fn stream(session: u8, driver: &str) -> StreamKey {
        StreamKey {
            tenant: TenantId::new("league").unwrap(),
            session: SessionId([session; 16]),
            driver: DriverId::new(driver).unwrap(),
            run: RunId([7; 16]),
        }
    }

    /// The ids are part of what processes of several versions agree on.
    #[test]
    fn ids_stay_what_they_are() {
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        let trace = trace_of(&stream(1, "max"), 130);
        assert_eq!(trace, trace_of(&stream(1, "max"), 191));
        assert_ne!(trace, trace_of(&stream(1, "max"), 192));
        assert_ne!(trace, trace_of(&stream(1, "maxi"), 130));
        assert_ne!(trace, trace_of(&stream(2, "max"), 130));
        assert_eq!(hex(&trace.0), "00d63fbeec555a10cd3d5c7c7b1cd3c0");
        assert_eq!(hex(&span_id(&trace, Stage::Edge, 128).0), "ccf6083166ed59f9");
    }

    #[test]
    fn a_record_is_in_each_trace_that_it_has_frames_of() {
        let stream = stream(1, "max");
        let of = |first, next| traces(&stream, first, next).collect::<Vec<_>>();
        assert_eq!(of(0, 5), [trace_of(&stream, 0)]);
        assert_eq!(of(62, 67), [trace_of(&stream, 0), trace_of(&stream, 64)]);
        assert_eq!(of(59, 64), [trace_of(&stream, 0)]);
        assert_eq!(of(3, 3), [trace_of(&stream, 3)]);
        assert_eq!(of(0, 1 << 40).len(), TRACES_MAX as usize, "a record cannot make many spans");
    }

    #[test]
    fn each_step_knows_the_step_before_it() {
        let trace = trace_of(&stream(1, "max"), 0);
        let steps = [Stage::Client, Stage::Edge, Stage::Log, Stage::Processor, Stage::Store, Stage::Api];
        let ids: BTreeSet<SpanId> = steps.iter().map(|stage| span_id(&trace, *stage, 0)).collect();
        assert_eq!(ids.len(), steps.len());
        assert_eq!(Stage::Store.parent().and_then(Stage::parent).and_then(Stage::parent), Some(Stage::Client));
    }

    #[test]
    fn about_as_many_streams_are_followed_as_asked_for() {
        let of = |sampling: Sampling| (0..=255).flat_map(|s| ["a", "b", "c", "d"].map(|d| stream(s, d))).filter(|s| sampling.covers(s)).count();
        assert_eq!(of(Sampling { sessions: 1, streams: 1 }), 1_024);
        let some = of(Sampling { sessions: 4, streams: 1 });
        assert!((100..400).contains(&some), "{some}");
        // All four streams of a session, or none.
        assert!(some.is_multiple_of(4));
        assert!(of(Sampling { sessions: 1, streams: 2 }).is_multiple_of(256));
        assert_eq!(of(Sampling { sessions: 0, streams: 0 }), 1_024, "0 is no number to divide by");
    }
}
