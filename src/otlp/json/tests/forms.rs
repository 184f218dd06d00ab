//! Every way in which a value may be written.

use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest,
        profiles::v1development::ExportProfilesServiceRequest,
        trace::v1::ExportTraceServiceRequest,
    },
    common::v1::{AnyValue, any_value::Value},
    metrics::v1::{Metric, metric::Data, number_data_point},
    trace::v1::Span,
};

use super::read;
use crate::batch::Rope;
use crate::otlp::json::{JsonError, decode, encode};
use crate::signal::Signal;

fn span(members: &str) -> Result<Span, JsonError> {
    let text = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{{members}}}]}}]}}]}}"#);
    let request: ExportTraceServiceRequest = read(Signal::Traces, &text)?;
    Ok(request.resource_spans[0].scope_spans[0].spans[0].clone())
}

fn any_value(members: &str) -> Result<Option<Value>, JsonError> {
    let span = span(&format!(r#""attributes":[{{"key":"k","value":{{{members}}}}}]"#))?;
    Ok(span.attributes[0].value.as_ref().and_then(|value| value.value.clone()))
}

fn metric(members: &str) -> Result<Metric, JsonError> {
    let text =
        format!(r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{{members}}}]}}]}}]}}"#);
    let request: ExportMetricsServiceRequest = read(Signal::Metrics, &text)?;
    Ok(request.resource_metrics[0].scope_metrics[0].metrics[0].clone())
}

fn text(value: &str) -> Option<Value> {
    Some(Value::StringValue(value.to_owned()))
}

#[test]
fn empty_requests_are_requests() {
    for signal in Signal::ALL {
        for empty in [
            "{}",
            " { } ",
            "null",
            "\r\n\tnull\n",
            r#"{"resourceSpans":null}"#,
            r#"{"resourceSpans":[]}"#,
        ] {
            let request: ExportTraceServiceRequest = read(signal, empty).unwrap();
            assert_eq!(request, ExportTraceServiceRequest::default(), "{empty}");
        }
        assert_eq!(encode(signal, &Rope::new()), "{}");
    }
}

#[test]
fn names_are_read_in_both_spellings() {
    let camel = r#"{"resourceSpans":[{"schemaUrl":"u","scopeSpans":[{"spans":[{"parentSpanId":"0102030405060708","droppedLinksCount":3}]}]}]}"#;
    let snake = r#"{"resource_spans":[{"schema_url":"u","scope_spans":[{"spans":[{"parent_span_id":"0102030405060708","dropped_links_count":3}]}]}]}"#;
    let read_as = |text| read::<ExportTraceServiceRequest>(Signal::Traces, text).unwrap();
    assert_eq!(read_as(camel), read_as(snake));
    assert_eq!(read_as(camel).resource_spans[0].scope_spans[0].spans[0].dropped_links_count, 3);
}

#[test]
fn keys_may_be_escaped() {
    assert_eq!(span(r#""n\u0061me":"x""#).unwrap().name, "x");
}

#[test]
fn unknown_keys_are_skipped_and_told() {
    let strange = r#""x":{"a":[1,{"b":"\"\\\/\b\f\n\r\t\u20ac"},[],{},null,true,false,-1.5e+3]},"#;
    let found = span(&format!(r#"{strange}"name":"x","y":[[[]]]"#)).unwrap();
    assert_eq!(found.name, "x");
    let decoded = decode(Signal::Traces, br#"{"resourceSpan":[{"a":1}],"b":2}"#).unwrap();
    assert_eq!((decoded.request.len(), decoded.ignored), (0, 2));
    assert_eq!(decoded.first_ignored.as_deref(), Some("\"resourceSpan\""));
}

#[test]
fn ids_are_hex_in_any_case_and_empty_is_absent() {
    let id = "0102030405060708090a0b0c0d0e0fAF".to_owned();
    for text in [id.to_uppercase(), id.to_lowercase(), id] {
        let bytes = span(&format!(r#""traceId":"{text}""#)).unwrap().trace_id;
        assert_eq!(bytes, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0xaf]);
    }
    for absent in [r#""traceId":"""#, r#""traceId":null"#, ""] {
        assert!(span(absent).unwrap().trace_id.is_empty(), "{absent}");
    }
    assert_eq!(span(r#""spanId":"\u0030102030405060708""#).unwrap().span_id[0], 1);
}

#[test]
fn enumerations_are_numbers_or_names() {
    for kind in ["3", "\"3\"", "\"SPAN_KIND_CLIENT\"", "3.0"] {
        assert_eq!(span(&format!(r#""kind":{kind}"#)).unwrap().kind, 3, "{kind}");
    }
    assert_eq!(span(r#""kind":77"#).unwrap().kind, 77);
    assert_eq!(span(r#""kind":-1"#).unwrap().kind, -1);
    assert_eq!(span(r#""status":{"code":"STATUS_CODE_ERROR"}"#).unwrap().status.unwrap().code, 2);
}

#[test]
fn integers_are_numbers_or_texts_and_exact() {
    for (written, value) in [
        ("0", 0),
        ("-0", 0),
        ("\"007\"", 7),
        ("\"-9223372036854775808\"", i64::MIN),
        ("-9223372036854775808", i64::MIN),
        ("9223372036854775807", i64::MAX),
        ("\"9223372036854775807\"", i64::MAX),
        ("1e3", 1000),
        ("1.5E+1", 15),
        ("120e-1", 12),
        ("0e999999999", 0),
        ("1544712660300000000.0", 1_544_712_660_300_000_000),
        ("\"\\u0031\"", 1),
    ] {
        let found = any_value(&format!(r#""intValue":{written}"#));
        assert_eq!(found, Ok(Some(Value::IntValue(value))), "{written}");
    }
    let time = span(r#""startTimeUnixNano":"18446744073709551615","flags":"4294967295""#).unwrap();
    assert_eq!((time.start_time_unix_nano, time.flags), (u64::MAX, u32::MAX));
    let time = span(r#""startTimeUnixNano":1.5447126603e18"#).unwrap();
    assert_eq!(time.start_time_unix_nano, 1_544_712_660_300_000_000);
}

#[test]
fn doubles_are_numbers_texts_or_names() {
    for (written, value) in [
        ("1", 1.0),
        ("-0.25e-2", -0.0025),
        ("\"1.5\"", 1.5),
        ("\"Infinity\"", f64::INFINITY),
        ("\"-Infinity\"", f64::NEG_INFINITY),
        ("1e-400", 0.0),
        ("0.1", 0.1),
        ("1.7976931348623157e308", f64::MAX),
    ] {
        let found = any_value(&format!(r#""doubleValue":{written}"#));
        assert_eq!(found, Ok(Some(Value::DoubleValue(value))), "{written}");
    }
    let Ok(Some(Value::DoubleValue(nan))) = any_value(r#""doubleValue":"NaN""#) else { panic!() };
    assert!(nan.is_nan());
}

#[test]
fn bytes_are_base64_of_either_kind() {
    for written in ["+/8=", "+/8", "-_8=", "-_8", r"\u002b/8="] {
        let found = any_value(&format!(r#""bytesValue":"{written}""#));
        assert_eq!(found, Ok(Some(Value::BytesValue(vec![0xfb, 0xff]))), "{written}");
    }
}

#[test]
fn texts_are_unescaped() {
    let found = any_value(r#""stringValue":"\"\\\/\b\f\n\r\t\u20AC\ud83e\udd80é🦀\u0000""#);
    assert_eq!(found, Ok(text("\"\\/\u{8}\u{c}\n\r\t\u{20ac}\u{1f980}é🦀\0")));
    for length in 0..40 {
        let plain = "x".repeat(length);
        assert_eq!(any_value(&format!(r#""stringValue":"{plain}""#)), Ok(text(&plain)));
        let found = any_value(&format!(r#""stringValue":"{plain}\n{plain}""#));
        assert_eq!(found, Ok(text(&format!("{plain}\n{plain}"))));
    }
}

#[test]
fn a_choice_keeps_its_presence() {
    assert_eq!(any_value(r#""stringValue":"""#), Ok(text("")));
    assert_eq!(any_value(r#""intValue":"0""#), Ok(Some(Value::IntValue(0))));
    assert_eq!(any_value(r#""boolValue":false"#), Ok(Some(Value::BoolValue(false))));
    assert_eq!(any_value(r#""doubleValue":0"#), Ok(Some(Value::DoubleValue(0.0))));
    assert_eq!(any_value(r#""bytesValue":"""#), Ok(Some(Value::BytesValue(vec![]))));
    assert_eq!(any_value(r#""stringValue":null,"intValue":1"#), Ok(Some(Value::IntValue(1))));
    assert_eq!(any_value(""), Ok(None));
    let found = metric(r#""gauge":{"dataPoints":[{"asInt":"0"}]}"#).unwrap();
    let Some(Data::Gauge(gauge)) = found.data else { panic!("{found:?}") };
    assert_eq!(gauge.data_points[0].value, Some(number_data_point::Value::AsInt(0)));
}

#[test]
fn optional_doubles_keep_their_presence() {
    let found = metric(r#""histogram":{"dataPoints":[{"sum":0,"min":0.0}]}"#).unwrap();
    let Some(Data::Histogram(histogram)) = found.data else { panic!("{found:?}") };
    let point = &histogram.data_points[0];
    assert_eq!((point.sum, point.min, point.max), (Some(0.0), Some(0.0), None));
}

#[test]
fn defaults_are_not_written() {
    let zeros = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"","name":"","kind":0,"startTimeUnixNano":"0","droppedEventsCount":0,"flags":0,"attributes":[],"links":null}]}]}]}"#;
    let decoded = decode(Signal::Traces, zeros.as_bytes()).unwrap();
    assert_eq!(&decoded.request[..], b"\x0a\x04\x12\x02\x12\x00");
}

#[test]
fn a_key_that_comes_twice_means_what_two_fields_mean() {
    let found = span(r#""name":"a","name":"b","links":[{"flags":1}],"links":[{"flags":2}],"status":{"code":2},"status":{"message":"m"}"#).unwrap();
    assert_eq!(found.name, "b");
    assert_eq!(found.links.iter().map(|link| link.flags).collect::<Vec<_>>(), [1, 2]);
    let status = found.status.unwrap();
    assert_eq!((status.code, status.message.as_str()), (2, "m"));
    assert_eq!(span(r#""name":"a","name":"""#).unwrap().name, "");
    assert_eq!(span(r#""kind":3,"kind":0"#).unwrap().kind, 0);
    assert_eq!(any_value(r#""intValue":1,"intValue":2"#), Ok(Some(Value::IntValue(2))));
}

#[test]
fn null_in_a_list_keeps_the_positions_of_the_others() {
    let found = any_value(r#""arrayValue":{"values":[{"intValue":1},null,{"intValue":3}]}"#);
    let Ok(Some(Value::ArrayValue(list))) = found else { panic!("{found:?}") };
    let one = |value| AnyValue { value: Some(Value::IntValue(value)) };
    assert_eq!(list.values, [one(1), AnyValue { value: None }, one(3)]);
    let request: ExportProfilesServiceRequest =
        read(Signal::Profiles, r#"{"dictionary":{"stringTable":["",null,"a"]}}"#).unwrap();
    assert_eq!(request.dictionary.unwrap().string_table, ["", "", "a"]);
    let found = metric(
        r#""histogram":{"dataPoints":[{"bucketCounts":["1",null,3],"explicitBounds":[null,2]}]}"#,
    )
    .unwrap();
    let Some(Data::Histogram(histogram)) = found.data else { panic!("{found:?}") };
    assert_eq!(histogram.data_points[0].bucket_counts, [1, 0, 3]);
    assert_eq!(histogram.data_points[0].explicit_bounds, [0.0, 2.0]);
}

#[test]
fn signed_numbers_keep_their_sign() {
    let found = metric(
        r#""exponentialHistogram":{"dataPoints":[{"scale":-3,"positive":{"offset":-2147483648,"bucketCounts":[7]}}]}"#,
    );
    let Ok(Some(Data::ExponentialHistogram(histogram))) = found.map(|metric| metric.data) else {
        panic!()
    };
    let point = &histogram.data_points[0];
    assert_eq!((point.scale, point.positive.as_ref().unwrap().offset), (-3, i32::MIN));
}

#[test]
fn long_messages_get_long_lengths() {
    for count in [1, 10, 100, 1000] {
        let record = format!(r#"{{"body":{{"stringValue":"{}"}}}}"#, "x".repeat(count));
        let records = vec![record; count].join(" , ");
        let text =
            format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{records}]}}]}}]}}"#);
        let request: ExportLogsServiceRequest = read(Signal::Logs, &text).unwrap();
        let records = &request.resource_logs[0].scope_logs[0].log_records;
        assert_eq!(records.len(), count);
        assert_eq!(records[count - 1].body.as_ref().unwrap().value, text_of(count));
    }
    fn text_of(count: usize) -> Option<Value> {
        text(&"x".repeat(count))
    }
}

#[test]
fn what_is_written_follows_the_rules_of_otlp() {
    let spans = r#"{"resourceSpans":[{"resource":{},"scopeSpans":[{"spans":[{"traceId":"0102030405060708090a0b0c0d0e0fff","name":"a\"\\\n\u0001é","kind":3,"startTimeUnixNano":"5","attributes":[{"key":"b","value":{"bytesValue":"+/8="}},{"key":"d","value":{"doubleValue":1.5}},{"key":"n","value":{"doubleValue":"NaN"}},{"key":"i","value":{"intValue":"-7"}},{"key":"t","value":{"boolValue":true}},{"key":"e","value":{}}],"droppedLinksCount":4}]}]}]}"#;
    let decoded = decode(Signal::Traces, spans.as_bytes()).unwrap();
    assert_eq!(encode(Signal::Traces, &Rope::from(decoded.request)), spans);
}
