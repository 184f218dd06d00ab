//! What people see of what arrives.

use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::Event;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use proptest::prelude::*;

use super::*;
use crate::otlp::check::{check, generate};
use crate::otlp::schema;

/// A `debug` exporter that writes to a file.
struct Printed {
    _folder: tempfile::TempDir,
    path: std::path::PathBuf,
    debug: Debug,
}

impl Printed {
    fn new(verbosity: DebugVerbosity, sampling: [u64; 2]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let config = DebugExporter {
            verbosity,
            sampling_initial: sampling[0],
            sampling_thereafter: sampling[1],
            use_internal_logger: false,
            output_paths: vec![path.display().to_string()],
        };
        let id = ComponentId { kind: "debug".to_owned(), name: None };
        Self { _folder: folder, path, debug: Debug::new(&id, &config).unwrap() }
    }

    #[expect(clippy::disallowed_methods, reason = "a file this test wrote")]
    fn lines(&self) -> Vec<String> {
        self.debug.flush();
        std::fs::read_to_string(&self.path).unwrap().lines().map(str::to_owned).collect()
    }
}

fn batch(signal: Signal, request: Vec<u8>) -> Batch {
    let decoded = Bytes::from(request).into();
    let items = check(signal, &decoded).unwrap().items;
    Batch { signal, items, decoded, encoded: None, identity: None, deadline: Instant::now() }
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, key_strindex: 0 }
}

fn traces() -> Batch {
    let span = Span {
        name: "GET /".to_owned(),
        trace_id: vec![0xab; 16],
        span_id: vec![0xcd; 8],
        kind: 2,
        start_time_unix_nano: 1_700_000_000_500_000_000,
        end_time_unix_nano: 1_700_000_001_000_000_000,
        attributes: vec![text("http.route", "/")],
        events: vec![Event { name: "retry".to_owned(), ..Event::default() }],
        status: Some(Status { message: "late".to_owned(), code: 2 }),
        ..Span::default()
    };
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes: vec![text("service.name", "shop")],
                ..Resource::default()
            }),
            scope_spans: vec![ScopeSpans { spans: vec![span; 2], ..ScopeSpans::default() }],
            ..ResourceSpans::default()
        }],
    };
    batch(Signal::Traces, request.encode_to_vec())
}

#[test]
fn basic_is_one_line_with_counts() {
    let printed = Printed::new(DebugVerbosity::Basic, [2, 1]);
    printed.debug.show(&traces());
    let point = NumberDataPoint {
        value: Some(number_data_point::Value::AsInt(3)),
        ..NumberDataPoint::default()
    };
    let gauge = Data::Gauge(Gauge { data_points: vec![point; 3] });
    let metric = Metric { name: "m".to_owned(), data: Some(gauge), ..Metric::default() };
    let request = ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            scope_metrics: vec![ScopeMetrics {
                metrics: vec![metric; 2],
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }],
    };
    printed.debug.show(&batch(Signal::Metrics, request.encode_to_vec()));
    let lines = printed.lines();
    assert_eq!(lines.len(), 2);
    let after_time = |line: &str| line.split_once('\t').unwrap().1.to_owned();
    assert_eq!(
        after_time(&lines[0]),
        "info\texporter::debug\tTraces\t{\"exporter\": \"debug\", \"resource spans\": 1, \"spans\": 2}"
    );
    assert_eq!(
        after_time(&lines[1]),
        "info\texporter::debug\tMetrics\t{\"exporter\": \"debug\", \"resource metrics\": 1, \
         \"metrics\": 2, \"data points\": 6}"
    );
}

#[test]
fn normal_is_one_line_an_item() {
    let printed = Printed::new(DebugVerbosity::Normal, [2, 1]);
    printed.debug.show(&traces());
    let span = format!("    GET / {} {} http.route=/", "ab".repeat(16), "cd".repeat(8));
    assert_eq!(
        printed.lines()[1..],
        [
            "    ResourceTraces #0 service.name=shop".to_owned(),
            "    ScopeTraces #0".to_owned(),
            span.clone(),
            span
        ]
    );
}

#[test]
fn detailed_shows_every_field_as_the_collector_does() {
    let printed = Printed::new(DebugVerbosity::Detailed, [2, 1]);
    printed.debug.show(&traces());
    let lines = printed.lines();
    let shown: Vec<&str> =
        lines[1..25].iter().map(|line| line.trim_start_matches("    ")).collect();
    assert_eq!(
        shown[..5],
        [
            "ResourceSpans #0",
            "Resource SchemaURL: ",
            "Resource attributes:",
            " -> service.name: Str(shop)",
            "ScopeSpans #0",
        ]
    );
    for line in [
        "        Trace ID       : abababababababababababababababab",
        "        Kind           : Server",
        "        Start time     : 2023-11-14 22:13:20.5 +0000 UTC",
        "        End time       : 2023-11-14 22:13:21 +0000 UTC",
        "        Status code    : Error",
        "        Status message : late",
        "         -> http.route: Str(/)",
        "         -> Name: retry",
    ] {
        assert!(lines.iter().any(|shown| shown == line), "{line}\n{}", lines.join("\n"));
    }
}

#[test]
fn what_a_peer_sends_cannot_make_lines_of_its_own() {
    let printed = Printed::new(DebugVerbosity::Detailed, [2, 1]);
    let body = AnyValue { value: Some(Value::StringValue("a\nLogRecord #1\u{1b}[2J".to_owned())) };
    let record = LogRecord { body: Some(body), severity_number: 10, ..LogRecord::default() };
    let request = ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            scope_logs: vec![ScopeLogs { log_records: vec![record], ..ScopeLogs::default() }],
            ..ResourceLogs::default()
        }],
    };
    printed.debug.show(&batch(Signal::Logs, request.encode_to_vec()));
    let lines = printed.lines();
    assert!(lines.contains(&"    Body: Str(a\\nLogRecord #1\\u001b[2J)".to_owned()), "{lines:?}");
    assert!(lines.contains(&"    SeverityNumber: Info2(10)".to_owned()), "{lines:?}");
    assert!(!lines.iter().any(|line| line.contains('\u{1b}')));
}

#[tokio::test(start_paused = true)]
async fn sampling_counts_by_the_second() {
    let printed = Printed::new(DebugVerbosity::Basic, [2, 3]);
    let batch = traces();
    for _ in 0..8 {
        printed.debug.show(&batch);
    }
    // The first two, then the third and the sixth of the rest.
    assert_eq!(printed.lines().len(), 4);
    tokio::time::advance(Duration::from_millis(1001)).await;
    printed.debug.show(&batch);
    assert_eq!(printed.lines().len(), 5);
}

#[test]
fn a_request_too_large_to_show_says_so() {
    let printed = Printed::new(DebugVerbosity::Detailed, [2, 1]);
    let mut huge = traces();
    huge.items = MOST_ITEMS_SHOWN + 1;
    printed.debug.show(&huge);
    let lines = printed.lines();
    assert_eq!(lines.len(), 2);
    assert!(lines[1].starts_with("    not shown: "), "{lines:?}");
}

#[test]
fn an_output_that_cannot_be_opened_is_named() {
    let config = DebugExporter {
        verbosity: DebugVerbosity::Basic,
        sampling_initial: 2,
        sampling_thereafter: 1,
        use_internal_logger: false,
        output_paths: vec!["/nowhere/out".to_owned()],
    };
    let id = ComponentId { kind: "debug".to_owned(), name: None };
    let error = Debug::new(&id, &config).unwrap_err().to_string();
    assert!(
        error.starts_with("exporters.debug.output_paths: cannot open /nowhere/out: "),
        "{error}"
    );
}

proptest! {
    /// Guarantees: any valid request of any signal can be shown, indented line by line.
    #[test]
    fn every_valid_request_can_be_shown(
        seed: u64,
        signal in prop::sample::select(&Signal::ALL),
        detailed: bool,
    ) {
        let verbosity = if detailed { DebugVerbosity::Detailed } else { DebugVerbosity::Normal };
        let printed = Printed::new(verbosity, [2, 1]);
        let mut choices = generate::Choices::new(seed, 300, false);
        let request = generate::message(&mut choices, schema::request(signal), 99);
        printed.debug.show(&batch(signal, request));
        let lines = printed.lines();
        prop_assert!(!lines[0].starts_with(' '));
        prop_assert!(lines[1..].iter().all(|line| line.starts_with("    ")), "{:?}", lines);
    }
}
