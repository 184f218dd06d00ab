//! Both encodings, both directions.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::{
    logs::v1::ExportLogsServiceResponse, metrics::v1::ExportMetricsServiceResponse,
    profiles::v1development::ExportProfilesServiceResponse, trace::v1::ExportTraceServiceResponse,
};
use prost::Message as _;
use tonic::Code;
use tonic_types::{ErrorDetails, StatusExt as _};

use super::{
    AnswerError, Encoding, Status, code_of_http, decode_status, decode_success, encode_status,
    encode_success, http_status,
};
use crate::outcome::{Accepted, AnyDetail, Failure, MAX_MESSAGE_BYTES, PartialSuccess, Side};
use crate::signal::Signal;

const BOTH: [Encoding; 2] = [Encoding::Json, Encoding::Protobuf];

fn partial(rejected: i64, message: &str) -> Accepted {
    Accepted { partial_success: Some(PartialSuccess { rejected, message: message.into() }) }
}

fn failure() -> Failure {
    Failure::new(Code::Unavailable, Side::Upstream, "x", "wait a \"little\"")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn a_full_success_is_an_empty_message() {
    for signal in Signal::ALL {
        for accepted in [Accepted::default(), partial(0, ""), partial(-1, "")] {
            assert_eq!(encode_success(signal, &accepted, Encoding::Protobuf), "");
            assert_eq!(encode_success(signal, &accepted, Encoding::Json), "{}");
        }
        for body in ["", "\n\0"] {
            let read = decode_success(signal, body.as_bytes(), Encoding::Protobuf);
            assert_eq!(read, Ok(Accepted::default()));
        }
        for body in ["", "{}", " null ", r#"{"partialSuccess":{}}"#, r#"{"partialSuccess":null}"#] {
            let read = decode_success(signal, body.as_bytes(), Encoding::Json);
            assert_eq!(read, Ok(Accepted::default()), "{body}");
        }
    }
}

#[test]
fn a_partial_success_survives_both_encodings_of_every_signal() {
    for signal in Signal::ALL {
        for accepted in [partial(3, "too old"), partial(0, "slow down"), partial(i64::MAX, "")] {
            for encoding in BOTH {
                let body = encode_success(signal, &accepted, encoding);
                assert_eq!(decode_success(signal, &body, encoding), Ok(accepted.clone()));
            }
        }
    }
}

#[test]
fn a_partial_success_is_what_the_generated_types_read() {
    let accepted = partial(3, "too old");
    let [traces, metrics, logs, profiles] =
        Signal::ALL.map(|signal| encode_success(signal, &accepted, Encoding::Protobuf));
    let traces = ExportTraceServiceResponse::decode(traces).unwrap().partial_success.unwrap();
    assert_eq!((traces.rejected_spans, traces.error_message.as_str()), (3, "too old"));
    let metrics = ExportMetricsServiceResponse::decode(metrics).unwrap().partial_success.unwrap();
    assert_eq!((metrics.rejected_data_points, metrics.error_message.as_str()), (3, "too old"));
    let logs = ExportLogsServiceResponse::decode(logs).unwrap().partial_success.unwrap();
    assert_eq!((logs.rejected_log_records, logs.error_message.as_str()), (3, "too old"));
    let profiles =
        ExportProfilesServiceResponse::decode(profiles).unwrap().partial_success.unwrap();
    assert_eq!((profiles.rejected_profiles, profiles.error_message.as_str()), (3, "too old"));
}

#[test]
fn a_partial_success_in_json_has_the_names_of_its_signal() {
    let names = ["rejectedSpans", "rejectedDataPoints", "rejectedLogRecords", "rejectedProfiles"];
    for (signal, name) in Signal::ALL.into_iter().zip(names) {
        let body = encode_success(signal, &partial(3, "no"), Encoding::Json);
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let inner = body.get("partialSuccess").unwrap();
        assert_eq!(inner, &serde_json::json!({ name: "3", "errorMessage": "no" }));
    }
    let snake = br#"{"x":[1],"partial_success":{"rejected_spans":3,"error_message":"no"}}"#;
    assert_eq!(decode_success(Signal::Traces, snake, Encoding::Json), Ok(partial(3, "no")));
}

#[test]
fn a_success_that_cannot_be_read_is_an_error() {
    let read = decode_success(Signal::Logs, b"<html>", Encoding::Protobuf);
    let Err(AnswerError(text)) = read else { panic!("{read:?}") };
    assert!(text.starts_with("not a protobuf ExportLogsServiceResponse: "), "{text}");
    for body in ["<html>", "[]", r#"{"partialSuccess":3}"#, r#"{"partialSuccess":{}"#] {
        let read = decode_success(Signal::Traces, body.as_bytes(), Encoding::Json);
        assert!(read.is_err(), "{body}");
    }
    let deep = "[".repeat(1_000_000);
    assert!(decode_success(Signal::Traces, deep.as_bytes(), Encoding::Json).is_err());
    let not_text = b"\n\x05\x08\x01\x12\x01\xff";
    let read = decode_success(Signal::Traces, not_text, Encoding::Protobuf);
    assert_eq!(read, Ok(partial(1, "\u{fffd}")));
}

#[test]
fn a_status_survives_both_encodings() {
    let mut sent = failure().with_retry_after(Duration::from_millis(1500));
    sent.details = vec![
        AnyDetail { type_url: "type.example/unknown.Thing".into(), value: vec![0, 255, 7] },
        AnyDetail {
            type_url: "type.googleapis.com/google.rpc.BadRequest".into(),
            value: b"\n\x06\n\x01f\x12\x01d".to_vec(),
        },
    ];
    for encoding in BOTH {
        let read = decode_status(&encode_status(&sent, encoding), encoding);
        let expected = Status {
            code: Code::Unavailable,
            message: sent.message.clone(),
            retry_after: sent.retry_after,
            details: sent.details.clone(),
        };
        assert_eq!(read, Some(expected), "{encoding:?}");
    }
}

#[test]
fn a_status_in_json_is_as_protobuf_maps_it() {
    let mut sent = failure().with_retry_after(Duration::from_millis(1500));
    assert_eq!(
        text(&encode_status(&failure(), Encoding::Json)),
        r#"{"code":14,"message":"wait a \"little\""}"#
    );
    let url = "type.googleapis.com/google.rpc.BadRequest";
    sent.details =
        vec![AnyDetail { type_url: url.into(), value: b"\n\x06\n\x01f\x12\x01d".to_vec() }];
    let body: serde_json::Value =
        serde_json::from_slice(&encode_status(&sent, Encoding::Json)).unwrap();
    let details = serde_json::json!([
        { "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1.500s" },
        { "@type": url, "fieldViolations": [{ "field": "f", "description": "d" }] },
    ]);
    assert_eq!(body.get("details"), Some(&details));
}

#[test]
fn a_status_in_protobuf_is_what_tonic_reads_and_writes() {
    let sent = failure().with_retry_after(Duration::from_secs(7));
    let bytes = encode_status(&sent, Encoding::Protobuf);
    let status = tonic::Status::with_details(Code::Unavailable, "", bytes);
    let delay = status.get_error_details().retry_info().unwrap().retry_delay;
    assert_eq!(delay, sent.retry_after);

    let mut details = ErrorDetails::with_retry_info(Some(Duration::from_millis(250)));
    details.set_error_info("quota", "example", [("a".to_owned(), "b".to_owned())]);
    let theirs = tonic::Status::with_error_details(Code::ResourceExhausted, "full", details);
    let read = decode_status(theirs.details(), Encoding::Protobuf).unwrap();
    assert_eq!((read.code, read.message.as_str()), (Code::ResourceExhausted, "full"));
    assert_eq!(read.retry_after, Some(Duration::from_millis(250)));
    assert_eq!(read.details.len(), 1);
    assert_eq!(read.details[0].type_url, "type.googleapis.com/google.rpc.ErrorInfo");
}

#[test]
fn durations_in_json_are_read_in_every_form() {
    for (written, expected) in [
        ("0s", Duration::ZERO),
        ("3s", Duration::from_secs(3)),
        ("3.25s", Duration::from_millis(3250)),
        ("0.000000001s", Duration::from_nanos(1)),
        ("-3s", Duration::ZERO),
        ("soon", Duration::ZERO),
    ] {
        let body = format!(
            r#"{{"code":"8","details":[{{"@type":"x/google.rpc.RetryInfo","retryDelay":"{written}"}}]}}"#
        );
        let read = decode_status(body.as_bytes(), Encoding::Json).unwrap();
        assert_eq!(read.retry_after, Some(expected), "{written}");
        assert_eq!(read.code, Code::ResourceExhausted);
    }
    for nanos in [1_u64, 1_000, 1_000_000, 1_500_000_000, 7_000_000_000] {
        let sent = failure().with_retry_after(Duration::from_nanos(nanos));
        let read = decode_status(&encode_status(&sent, Encoding::Json), Encoding::Json).unwrap();
        assert_eq!(read.retry_after, sent.retry_after);
    }
}

#[test]
fn what_is_not_a_status_is_none() {
    for body in ["", "{}", "[]", "null", "<html>", "404 page not found", r#"{"error":"x"}"#] {
        assert_eq!(decode_status(body.as_bytes(), Encoding::Json), None, "{body}");
        assert_eq!(decode_status(body.as_bytes(), Encoding::Protobuf), None, "{body}");
    }
    let read = decode_status(br#"{"code":99,"message":"odd"}"#, Encoding::Json).unwrap();
    assert_eq!(read.code, Code::Unknown);
    let read = decode_status(br#"{"message":"code is not used"}"#, Encoding::Json).unwrap();
    assert_eq!((read.code, read.message.as_str()), (Code::Ok, "code is not used"));
    let odd = br#"{"code":3,"details":[7,{"@type":"x/y.Z","a":1},{"@type":3}]}"#;
    assert_eq!(decode_status(odd, Encoding::Json).unwrap().details, vec![]);
}

#[test]
fn long_texts_and_details_are_cut_to_what_peers_can_read() {
    let long = "x".repeat(40_000);
    let mut sent = failure();
    sent.message = long.clone();
    let small = AnyDetail { type_url: "a/b".into(), value: vec![1; 100] };
    let large = AnyDetail { type_url: "a/b".into(), value: vec![1; 40_000] };
    sent.details = vec![large, small.clone()];
    for encoding in BOTH {
        let body = encode_status(&sent, encoding);
        assert!(body.len() < 3 * MAX_MESSAGE_BYTES);
        let read = decode_status(&body, encoding).unwrap();
        assert!(read.message.ends_with("(shortened)"));
        assert_eq!(read.details, vec![small.clone()]);
        let body = encode_success(Signal::Logs, &partial(1, &long), encoding);
        assert!(body.len() < 2 * MAX_MESSAGE_BYTES);
    }
}

#[test]
fn http_statuses_follow_the_tables() {
    let table = [
        (Code::Cancelled, 503),
        (Code::DeadlineExceeded, 503),
        (Code::Aborted, 503),
        (Code::OutOfRange, 503),
        (Code::Unavailable, 503),
        (Code::DataLoss, 503),
        (Code::ResourceExhausted, 429),
        (Code::InvalidArgument, 400),
        (Code::Unauthenticated, 401),
        (Code::PermissionDenied, 403),
        (Code::Unimplemented, 404),
        (Code::Internal, 500),
        (Code::Unknown, 500),
        (Code::NotFound, 500),
        (Code::AlreadyExists, 500),
        (Code::FailedPrecondition, 500),
    ];
    for (code, status) in table {
        assert_eq!(http_status(&Failure::new(code, Side::Internal, "x", "y")), status, "{code:?}");
    }
    let large = Failure::new(Code::ResourceExhausted, Side::Downstream, "x", "y");
    assert_eq!(http_status(&large.with_http_status(413)), 413);
    for status in [400, 401, 403, 404, 429, 503] {
        let failure = Failure::new(code_of_http(status), Side::Upstream, "x", "y");
        assert_eq!(http_status(&failure), status);
    }
    for (status, expected) in
        [(502, 503), (504, 503), (409, 500), (418, 500), (413, 500), (500, 500)]
    {
        let failure = Failure::new(code_of_http(status), Side::Upstream, "x", "y");
        assert_eq!(http_status(&failure), expected);
    }
}
