//! Spans of the records of streams that are followed: see [`boxbox_schemas::trace`].

use std::time::Duration;

use boxbox_schemas::StreamKey;
use boxbox_schemas::record::Kind;
use boxbox_schemas::trace::{self, Part, Stage, Value};

use crate::flow::Completed;

/// The log has completed a record at `end_us`, Unix µs.
pub(crate) fn completed(stream: &StreamKey, record: &Completed, end_us: i64) {
    // A lap is in the trace of its frames; what else a client says has no trace.
    let Some(tracer) = trace::tracer().filter(|_| record.what.kind == Kind::CAR) else { return };
    let failed = record.verdict.is_err() || record.what.void.is_some();
    let ago = |time: Duration| end_us.saturating_sub(i64::try_from(time.as_micros()).unwrap_or(i64::MAX));
    let part = Part { stream, first: record.first, next: record.mark, start_us: ago(record.took), end_us };
    tracer.record(Stage::Edge, &part, failed, || vec![("boxbox.bytes", Value::Number(record.bytes.into()))]);
    tracer.record(Stage::Log, &Part { start_us: ago(record.in_log), ..part }, record.verdict.is_err(), Vec::new);
}
