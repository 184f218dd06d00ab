//! Requests in every signal, encoding and coding, and bodies that arrive as a test chooses.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{Method, Request, Version, header};
use http_body::{Body, Frame, SizeHint};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::profiles::v1development::ExportProfilesServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric, number_data_point,
};
use opentelemetry_proto::tonic::profiles::v1development::{
    Profile, ResourceProfiles, Sample, ScopeProfiles,
};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;

use crate::batch::Rope;
use crate::coding::{Coding, compress};
use crate::otlp::answer::Encoding;
use crate::signal::Signal;

/// A request body whose frames and end a test chooses.
#[derive(Debug)]
pub(super) struct TestBody {
    frames: VecDeque<Bytes>,
    end: End,
    announced: Option<u64>,
}

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The connection breaks.
    Broken,
    /// It never does.
    Never,
    /// As it should.
    Whole,
}

impl TestBody {
    pub(super) fn new(frames: impl IntoIterator<Item = Bytes>, end: End) -> Self {
        Self { frames: frames.into_iter().collect(), end, announced: None }
    }

    /// Says that it has so many bytes.
    pub(super) fn announcing(mut self, bytes: u64) -> Self {
        self.announced = Some(bytes);
        self
    }

    /// Says how many bytes it has.
    pub(super) fn announce_all(&mut self) {
        self.announced = Some(self.frames.iter().map(|frame| frame.len() as u64).sum());
    }

    pub(super) fn end(&self) -> End {
        self.end
    }
}

impl From<Bytes> for TestBody {
    fn from(whole: Bytes) -> Self {
        Self::new([whole], End::Whole)
    }
}

impl Body for TestBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match (self.frames.pop_front(), self.end) {
            (Some(frame), _) => Poll::Ready(Some(Ok(Frame::data(frame)))),
            (None, End::Whole) => Poll::Ready(None),
            (None, End::Never) => Poll::Pending,
            (None, End::Broken) => Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_empty() && self.end == End::Whole
    }

    fn size_hint(&self) -> SizeHint {
        self.announced.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// A call of gRPC with this body, framing included.
pub(super) fn call(signal: Signal, body: impl Into<TestBody>) -> Request<TestBody> {
    Request::builder()
        .method(Method::POST)
        .version(Version::HTTP_2)
        .uri(signal.grpc_path())
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(body.into())
        .unwrap()
}

/// A POST of OTLP/HTTP.
pub(super) fn post(
    signal: Signal,
    encoding: Encoding,
    body: impl Into<TestBody>,
) -> Request<TestBody> {
    Request::builder()
        .method(Method::POST)
        .uri(signal.http_path())
        .header(header::HOST, "gateway")
        .header(header::TRANSFER_ENCODING, "chunked")
        .header(header::CONTENT_TYPE, media(encoding))
        .body(body.into())
        .unwrap()
}

/// The same request with one more header.
pub(super) fn with(
    mut request: Request<TestBody>,
    name: &'static str,
    value: &str,
) -> Request<TestBody> {
    request.headers_mut().append(name, value.parse().unwrap());
    request
}

/// A message in gRPC's framing.
pub(super) fn framed(compressed: bool, message: &[u8]) -> Bytes {
    let mut framed = BytesMut::with_capacity(5 + message.len());
    framed.put_u8(u8::from(compressed));
    framed.put_u32(u32::try_from(message.len()).unwrap());
    framed.put(message);
    framed.freeze()
}

pub(super) fn compressed(coding: Coding, body: &[u8]) -> Bytes {
    compress(coding, None, &Rope::from(Bytes::copy_from_slice(body))).to_bytes()
}

pub(super) fn media(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Json => "application/json",
        Encoding::Protobuf => "application/x-protobuf",
    }
}

/// A request with so many items.
pub(super) fn export(signal: Signal, items: usize) -> Bytes {
    let bytes = match signal {
        Signal::Traces => {
            let span = Span {
                trace_id: vec![1; 16],
                span_id: vec![2; 8],
                name: "checkout".to_owned(),
                ..Span::default()
            };
            let scope = ScopeSpans { spans: vec![span; items], ..ScopeSpans::default() };
            let resource = ResourceSpans { scope_spans: vec![scope], ..ResourceSpans::default() };
            ExportTraceServiceRequest { resource_spans: vec![resource] }.encode_to_vec()
        }
        Signal::Metrics => {
            let point = NumberDataPoint {
                value: Some(number_data_point::Value::AsInt(7)),
                ..NumberDataPoint::default()
            };
            let gauge = metric::Data::Gauge(Gauge { data_points: vec![point; items] });
            let metric = Metric { name: "heat".to_owned(), data: Some(gauge), ..Metric::default() };
            let scope = ScopeMetrics { metrics: vec![metric], ..ScopeMetrics::default() };
            let resource =
                ResourceMetrics { scope_metrics: vec![scope], ..ResourceMetrics::default() };
            ExportMetricsServiceRequest { resource_metrics: vec![resource] }.encode_to_vec()
        }
        Signal::Logs => {
            let record = LogRecord { severity_text: "INFO".to_owned(), ..LogRecord::default() };
            let scope = ScopeLogs { log_records: vec![record; items], ..ScopeLogs::default() };
            let resource = ResourceLogs { scope_logs: vec![scope], ..ResourceLogs::default() };
            ExportLogsServiceRequest { resource_logs: vec![resource] }.encode_to_vec()
        }
        Signal::Profiles => {
            let sample = Sample { values: vec![1], ..Sample::default() };
            let profile = Profile { samples: vec![sample; items], ..Profile::default() };
            let scope = ScopeProfiles { profiles: vec![profile], ..ScopeProfiles::default() };
            let resource =
                ResourceProfiles { scope_profiles: vec![scope], ..ResourceProfiles::default() };
            let request = ExportProfilesServiceRequest {
                resource_profiles: vec![resource],
                ..ExportProfilesServiceRequest::default()
            };
            request.encode_to_vec()
        }
    };
    bytes.into()
}

/// A JSON request with one item.
pub(super) fn export_json(signal: Signal) -> Bytes {
    let text = match signal {
        Signal::Traces => {
            r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","name":"checkout","kind":2,"startTimeUnixNano":"1544712660000000000"}]}]}]}"#
        }
        Signal::Metrics => {
            r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"heat","gauge":{"dataPoints":[{"asInt":"7","timeUnixNano":"1544712660000000000"}]}}]}]}]}"#
        }
        Signal::Logs => {
            r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"severityNumber":9,"body":{"stringValue":"hello"}}]}]}]}"#
        }
        Signal::Profiles => {
            r#"{"resourceProfiles":[{"scopeProfiles":[{"profiles":[{"samples":[{"values":["1"]}]}]}]}]}"#
        }
    };
    Bytes::from_static(text.as_bytes())
}

/// The body of one item in this encoding.
pub(super) fn export_in(encoding: Encoding, signal: Signal) -> Bytes {
    match encoding {
        Encoding::Json => export_json(signal),
        Encoding::Protobuf => export(signal, 1),
    }
}

/// {protobuf, JSON} x {plain, gzip}.
pub(super) const VARIANTS: [(Encoding, Option<Coding>); 4] = [
    (Encoding::Protobuf, None),
    (Encoding::Protobuf, Some(Coding::Gzip)),
    (Encoding::Json, None),
    (Encoding::Json, Some(Coding::Gzip)),
];

/// A POST of a body in one of the variants.
pub(super) fn post_variant(
    signal: Signal,
    (encoding, coding): (Encoding, Option<Coding>),
    body: &Bytes,
) -> Request<TestBody> {
    match coding {
        None => post(signal, encoding, body.clone()),
        Some(coding) => {
            let request = post(signal, encoding, compressed(coding, body));
            with(request, "content-encoding", coding.http_name())
        }
    }
}
