//! [`Followed`]: which trace the answer to a request belongs to. See [`boxbox_schemas::trace`].

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use axum::http::StatusCode;
use axum::http::header::{HeaderName, HeaderValue};
use axum::response::Response;
use boxbox_schemas::results::Lap;
use boxbox_schemas::trace::{self, Span, SpanId, Stage, TraceId, Value};
use boxbox_schemas::{StreamKey, TenantId};

/// The header of an answer that names its trace.
const TRACE_HEADER: HeaderName = HeaderName::from_static("x-trace-id");

/// The trace of what an answer is about: a handler puts it into the answer's extensions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Followed(TraceId);

impl Followed {
    /// The trace of the last frame of a lap, if its stream is followed.
    pub(crate) fn lap(tenant: TenantId, lap: &Lap) -> Option<Self> {
        trace::tracer()?;
        let last = lap.spans.last()?;
        let stream = StreamKey { tenant, session: lap.session, driver: last.driver, run: last.run };
        trace::of(&stream)?;
        Some(Self(trace::trace_of(&stream, last.next_seq.checked_sub(1)?)))
    }
}

/// The answer to a request of `route` that came at `began` is about to be sent: if it is about something that is followed, that is told to the
/// client and to the trace.
pub(crate) fn answered(response: &mut Response, route: &'static str, began: Instant) {
    let Some(Followed(trace)) = response.extensions().get::<Followed>().copied() else { return };
    let Some(tracer) = trace::tracer() else { return };
    let hex: String = trace.0.iter().map(|byte| format!("{byte:02x}")).collect();
    if let Ok(value) = HeaderValue::from_str(&hex) {
        response.headers_mut().insert(TRACE_HEADER, value);
    }
    let end_us = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64);
    let took_us = i64::try_from(began.elapsed().as_micros()).unwrap_or(i64::MAX);
    let status = response.status();
    tracer.span(Span {
        trace,
        // Each request is its own, also of the same lap.
        id: SpanId(uuid::Uuid::new_v4().as_u64_pair().0.to_le_bytes()),
        parent: None,
        stage: Stage::Api,
        start_us: end_us.saturating_sub(took_us),
        end_us,
        attributes: vec![("http.route", Value::Text(route.to_owned())), ("http.response.status_code", Value::Number(status.as_u16().into()))],
        failed: status >= StatusCode::INTERNAL_SERVER_ERROR,
    });
}
