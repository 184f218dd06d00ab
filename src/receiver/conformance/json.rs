//! Checks J: OTLP/JSON, seen from the wire: what arrives as JSON reaches the pipeline as protobuf.

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::{Metric, metric, number_data_point};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

use super::requests::{VARIANTS, export_json, post, post_variant};
use super::wire::{Wire, on_every_wire};
use crate::otlp::answer::Encoding;
use crate::signal::Signal;

async fn decoded(wire: Wire, signal: Signal, text: &str) -> Bytes {
    let mut whole = None;
    for variant in VARIANTS.into_iter().filter(|(encoding, _)| *encoding == Encoding::Json) {
        let gate = wire.gate();
        let body = Bytes::copy_from_slice(text.as_bytes());
        let reply = gate.ask(post_variant(signal, variant, &body)).await;
        reply.http_accepted(signal, Encoding::Json);
        let bytes = gate.only().decoded.to_bytes();
        assert_eq!(whole.get_or_insert_with(|| bytes.clone()), &bytes, "gzip changes nothing");
    }
    whole.unwrap()
}

async fn span(wire: Wire, fields: &str) -> Span {
    let text = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{{fields}}}]}}]}}]}}"#);
    let request =
        ExportTraceServiceRequest::decode(decoded(wire, Signal::Traces, &text).await).unwrap();
    request.resource_spans[0].scope_spans[0].spans[0].clone()
}

async fn record(wire: Wire, fields: &str) -> LogRecord {
    let text = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{{fields}}}]}}]}}]}}"#);
    let request =
        ExportLogsServiceRequest::decode(decoded(wire, Signal::Logs, &text).await).unwrap();
    request.resource_logs[0].scope_logs[0].log_records[0].clone()
}

async fn j01_ids_are_hexadecimal_in_any_case(wire: Wire) {
    let span = span(
        wire,
        r#""traceId":"5B8EFFF798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","parentSpanId":"EEE19B7EC3C1B173""#,
    )
    .await;
    assert_eq!(span.trace_id[..2], [0x5b, 0x8e]);
    assert_eq!(span.span_id, [0xee, 0xe1, 0x9b, 0x7e, 0xc3, 0xc1, 0xb1, 0x74]);
    assert_eq!(span.parent_span_id[7], 0x73);
    for bad in ["W47/95gDgQPSabYzgT/GDA==", "5b8e", "zz8efff798038103d269b633813fc60c"] {
        let gate = wire.gate();
        let text = export_json(Signal::Traces);
        let text = std::str::from_utf8(&text).unwrap();
        let text = text.replace("5b8efff798038103d269b633813fc60c", bad);
        let reply = gate.ask(post(Signal::Traces, Encoding::Json, Bytes::from(text))).await;
        let status = reply.http_status(400, Encoding::Json);
        assert!(status.message.contains("traceId"), "it names the field: {status:?}");
        assert!(gate.seen().is_empty());
    }
}

async fn j02_enums_are_integers(wire: Wire) {
    assert_eq!(span(wire, r#""kind":3"#).await.kind, 3);
}

async fn j03_unknown_keys_are_ignored(wire: Wire) {
    let span = span(wire, r#""name":"a","tomorrow":{"deep":[1,"two",null]}"#).await;
    assert_eq!(span.name, "a");
}

async fn j04_names_are_camel_case_and_snake_case_is_taken_too(wire: Wire) {
    assert_eq!(span(wire, r#""traceState":"a=b""#).await.trace_state, "a=b");
    assert_eq!(span(wire, r#""trace_state":"a=b""#).await.trace_state, "a=b");
}

async fn j05_64_bit_integers_are_texts_or_numbers(wire: Wire) {
    let time = "1544712660123456789";
    for text in [format!(r#""timeUnixNano":"{time}""#), format!(r#""timeUnixNano":{time}"#)] {
        assert_eq!(record(wire, &text).await.time_unix_nano, 1_544_712_660_123_456_789);
    }
}

async fn j06_bytes_are_base64_special_doubles_are_texts_and_null_is_absent(wire: Wire) {
    let body = record(wire, r#""body":{"bytesValue":"AQID"}"#).await.body.unwrap();
    assert_eq!(body.value, Some(Value::BytesValue(vec![1, 2, 3])));
    let record =
        record(wire, r#""body":null,"timeUnixNano":null,"traceId":null,"attributes":null"#).await;
    assert_eq!(record, LogRecord::default());

    let text = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"gauge":{"dataPoints":[{"asDouble":"NaN"},{"asDouble":"Infinity"},{"asDouble":"-Infinity"},{"asDouble":1.5}]}}]}]}]}"#;
    let bytes = decoded(wire, Signal::Metrics, text).await;
    let request = ExportMetricsServiceRequest::decode(bytes).unwrap();
    let Metric { data: Some(metric::Data::Gauge(gauge)), .. } =
        &request.resource_metrics[0].scope_metrics[0].metrics[0]
    else {
        panic!("a gauge");
    };
    let doubles: Vec<_> = gauge
        .data_points
        .iter()
        .map(|point| match point.value {
            Some(number_data_point::Value::AsDouble(double)) => double,
            _ => panic!("a double"),
        })
        .collect();
    assert!(doubles[0].is_nan());
    assert_eq!(doubles[1..], [f64::INFINITY, f64::NEG_INFINITY, 1.5]);
}

/// Scenario: numbers that take two bytes each in JSON and eight in protobuf.
/// Guarantees: what they become is held to the limit of a request, too, before it is made.
async fn numbers_that_become_larger_than_a_request_may_be_are_refused(wire: Wire) {
    let text = |numbers: usize| {
        let zeros = vec!["0"; numbers].join(",");
        let point = format!(r#"{{"histogram":{{"dataPoints":[{{"bucketCounts":[{zeros}]}}]}}}}"#);
        format!(r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{point}]}}]}}]}}"#)
    };
    for (numbers, is_fine) in [(1000, true), (4000, false)] {
        let gate = wire.http(|server| server.server.max_request_bytes = 10_000);
        let request = post(Signal::Metrics, Encoding::Json, Bytes::from(text(numbers)));
        if is_fine {
            gate.ask(request).await.http_accepted(Signal::Metrics, Encoding::Json);
        } else {
            gate.refuses("request_too_large", request).await.http_status(413, Encoding::Json);
        }
    }
}

on_every_wire!(
    j01_ids_are_hexadecimal_in_any_case,
    j02_enums_are_integers,
    j03_unknown_keys_are_ignored,
    j04_names_are_camel_case_and_snake_case_is_taken_too,
    j05_64_bit_integers_are_texts_or_numbers,
    j06_bytes_are_base64_special_doubles_are_texts_and_null_is_absent,
    numbers_that_become_larger_than_a_request_may_be_are_refused,
);
