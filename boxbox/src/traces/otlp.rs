//! Spans as OTLP's JSON: what a collector takes at `/v1/traces` (OpenTelemetry Protocol 1.9, section "JSON Protobuf Encoding"): ids in hex,
//! numbers of 64 bits as text.

use std::collections::BTreeMap;

use boxbox_schemas::trace::{Span, Value as Of};
use serde_json::{Value, json};

use crate::instance;

/// A span is one of inside a service.
const KIND_INTERNAL: u8 = 1;
/// The status of what failed.
const STATUS_ERROR: u8 = 2;

/// The document for these spans, by the service that each is of.
pub fn document(spans: &[Span]) -> Value {
    let mut services = BTreeMap::<&str, Vec<Value>>::new();
    for span in spans {
        services.entry(span.stage.service()).or_default().push(one(span));
    }
    let of_service = |(service, spans): (&str, Vec<Value>)| {
        let name = json!({ "key": "service.name", "value": { "stringValue": service } });
        let version = json!({ "key": "service.version", "value": { "stringValue": env!("CARGO_PKG_VERSION") } });
        let instance = json!({ "key": "service.instance.id", "value": { "stringValue": instance::name() } });
        json!({ "resource": { "attributes": [name, version, instance] }, "scopeSpans": [{ "scope": { "name": "boxbox" }, "spans": spans }] })
    };
    json!({ "resourceSpans": services.into_iter().map(of_service).collect::<Vec<_>>() })
}

fn one(span: &Span) -> Value {
    let Span { trace, id, parent, stage, start_us, end_us, attributes, failed } = span;
    let attribute = |(key, value): &(&str, Of)| {
        let value = match value {
            Of::Text(text) => json!({ "stringValue": text }),
            Of::Number(number) => json!({ "intValue": number.to_string() }),
        };
        json!({ "key": key, "value": value })
    };
    let mut all = json!({
        "traceId": hex(&trace.0),
        "spanId": hex(&id.0),
        "name": stage.name(),
        "kind": KIND_INTERNAL,
        "startTimeUnixNano": nanoseconds(*start_us),
        "endTimeUnixNano": nanoseconds((*end_us).max(*start_us)),
        "attributes": attributes.iter().map(attribute).collect::<Vec<_>>(),
        "status": if *failed { json!({ "code": STATUS_ERROR }) } else { json!({}) },
    });
    if let Some(parent) = parent {
        all["parentSpanId"] = hex(&parent.0).into();
    }
    all
}

fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn nanoseconds(us: i64) -> String {
    (i128::from(us.max(0)) * 1_000).to_string()
}

#[cfg(test)]
mod tests {
    use boxbox_schemas::trace::{SpanId, Stage, TraceId};

    use super::*;

    #[test]
    fn a_document_has_each_span_under_its_service() {
        let span = |stage, parent, failed| Span {
            trace: TraceId([0xab; 16]),
            id: SpanId([1; 8]),
            parent,
            stage,
            start_us: 1_700_000_000_000_001,
            end_us: 1_700_000_000_000_005,
            attributes: vec![("boxbox.bytes", Of::Number(u64::MAX)), ("http.route", Of::Text("/a".into()))],
            failed,
        };
        let spans = [span(Stage::Edge, Some(SpanId([2; 8])), false), span(Stage::Api, None, true), span(Stage::Log, None, false)];
        let document = document(&spans);
        let services = document["resourceSpans"].as_array().unwrap();
        let name = |service: &Value| service["resource"]["attributes"][0]["value"]["stringValue"].as_str().unwrap().to_owned();
        assert_eq!(services.iter().map(name).collect::<Vec<_>>(), ["boxbox-api", "boxbox-ingest"]);
        let edge = &services[1]["scopeSpans"][0]["spans"];
        assert_eq!(edge.as_array().unwrap().len(), 2);
        assert_eq!(edge[0]["traceId"], "ab".repeat(16));
        assert_eq!((&edge[0]["parentSpanId"], &edge[1]["parentSpanId"]), (&json!("0202020202020202"), &Value::Null));
        assert_eq!(edge[0]["startTimeUnixNano"], "1700000000000001000");
        assert_eq!(edge[0]["attributes"][0]["value"]["intValue"], u64::MAX.to_string());
        assert_eq!(services[0]["scopeSpans"][0]["spans"][0]["status"]["code"], STATUS_ERROR);
    }
}
