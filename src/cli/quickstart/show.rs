//! What arrived, in a few readable lines.
//!
//! Every text comes from a sender: control characters are escaped, long batches are cut.

use std::fmt::Write as _;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point;
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;

use crate::batch::Batch;
use crate::signal::Signal;

/// A headline and one line for each item.
pub(super) fn batch(batch: &Batch) -> String {
    let from = batch.identity.as_ref().map_or("nobody known", |identity| &identity.subject);
    let items = batch.signal.items_name().replace('_', " ");
    let one = items.strip_suffix('s').filter(|_| batch.items == 1);
    let items = one.unwrap_or(&items);
    let mut text = format!(
        "arrived at the backend: {} {items}, {} bytes, brought by {}\n",
        batch.items,
        batch.decoded.len(),
        shown(from)
    );
    let bytes = batch.decoded.to_bytes();
    let lines = match batch.signal {
        Signal::Traces => ExportTraceServiceRequest::decode(bytes).map(|r| spans(&r)),
        Signal::Metrics => ExportMetricsServiceRequest::decode(bytes).map(|r| metrics(&r)),
        Signal::Logs => ExportLogsServiceRequest::decode(bytes).map(|r| logs(&r)),
        Signal::Profiles => Ok(Vec::new()),
    };
    let lines = lines.unwrap_or_default();
    for line in lines.iter().take(MAX_LINES) {
        let _always_fits = writeln!(text, "    {}", line.trim_end());
    }
    if lines.len() > MAX_LINES {
        let _always_fits = writeln!(text, "    ... and {} more", lines.len() - MAX_LINES);
    }
    text
}

fn spans(request: &ExportTraceServiceRequest) -> Vec<String> {
    let mut lines = Vec::new();
    for resource in &request.resource_spans {
        let service = service(resource.resource.as_ref());
        for span in resource.scope_spans.iter().flat_map(|scope| &scope.spans) {
            let nanos = span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano);
            let (name, attributes) = (shown(&span.name), attributes(&span.attributes));
            let whole = nanos / 1_000_000;
            lines.push(format!("{service}  span  {name}  {whole} ms  {attributes}"));
        }
    }
    lines
}

fn metrics(request: &ExportMetricsServiceRequest) -> Vec<String> {
    let mut lines = Vec::new();
    for resource in &request.resource_metrics {
        let service = service(resource.resource.as_ref());
        for metric in resource.scope_metrics.iter().flat_map(|scope| &scope.metrics) {
            let value = metric.data.as_ref().map(value).unwrap_or_default();
            lines.push(format!("{service}  metric  {}  {value}", shown(&metric.name)));
        }
    }
    lines
}

fn value(data: &Data) -> String {
    let points = match data {
        Data::Gauge(gauge) => &gauge.data_points,
        Data::Sum(sum) => &sum.data_points,
        Data::Histogram(histogram) => {
            return format!("histogram of {} points", histogram.data_points.len());
        }
        Data::ExponentialHistogram(histogram) => {
            return format!("exponential histogram of {} points", histogram.data_points.len());
        }
        Data::Summary(summary) => {
            return format!("summary of {} points", summary.data_points.len());
        }
    };
    let shown: Vec<String> = points
        .iter()
        .take(MAX_ATTRIBUTES)
        .map(|point| match point.value {
            Some(number_data_point::Value::AsDouble(value)) => value.to_string(),
            Some(number_data_point::Value::AsInt(value)) => value.to_string(),
            None => "no value".to_owned(),
        })
        .collect();
    shown.join(", ")
}

fn logs(request: &ExportLogsServiceRequest) -> Vec<String> {
    let mut lines = Vec::new();
    for resource in &request.resource_logs {
        let service = service(resource.resource.as_ref());
        for record in resource.scope_logs.iter().flat_map(|scope| &scope.log_records) {
            let body = record.body.as_ref().map(any).unwrap_or_default();
            let severity = shown(&record.severity_text);
            lines.push(format!("{service}  log  {severity}  {body}"));
        }
    }
    lines
}

fn service(resource: Option<&Resource>) -> String {
    let attributes = resource.map(|resource| resource.attributes.as_slice()).unwrap_or_default();
    let name = attributes.iter().find(|attribute| attribute.key == "service.name");
    name.and_then(|name| name.value.as_ref()).map_or_else(|| "unknown service".to_owned(), any)
}

fn attributes(all: &[KeyValue]) -> String {
    let shown: Vec<String> = all
        .iter()
        .take(MAX_ATTRIBUTES)
        .map(|one| {
            format!("{}={}", shown(&one.key), one.value.as_ref().map(any).unwrap_or_default())
        })
        .collect();
    shown.join(" ")
}

fn any(value: &AnyValue) -> String {
    match &value.value {
        Some(Value::StringValue(text)) => shown(text),
        Some(Value::BoolValue(value)) => value.to_string(),
        Some(Value::IntValue(value)) => value.to_string(),
        Some(Value::DoubleValue(value)) => value.to_string(),
        Some(Value::ArrayValue(list)) => format!("[{} values]", list.values.len()),
        Some(Value::KvlistValue(list)) => format!("{{{} values}}", list.values.len()),
        Some(Value::BytesValue(bytes)) => format!("{} bytes", bytes.len()),
        _ => String::new(),
    }
}

/// Without control characters, and not too long for a line.
fn shown(text: &str) -> String {
    let cut = text.chars().take(MAX_TEXT);
    let mut shown: String = cut.map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(MAX_TEXT).is_some() {
        shown.push_str("...");
    }
    shown
}

const MAX_LINES: usize = 20;
const MAX_ATTRIBUTES: usize = 8;
const MAX_TEXT: usize = 120;
