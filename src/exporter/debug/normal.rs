//! Verbosity `normal`: one line an item.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogramDataPoint, HistogramDataPoint, NumberDataPoint, SummaryDataPoint,
    number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;

use crate::exporter::debug::text::{Text, hex, pairs};
use crate::otlp::value::{as_string, double};

/// A line for each resource and scope: what they are called, and their attributes.
pub(super) fn resource(
    kind: &str,
    at: usize,
    schema: &str,
    resource: Option<&Resource>,
    text: &mut Text,
) {
    let attributes = resource.map(|resource| resource.attributes.as_slice()).unwrap_or_default();
    text.line(format_args!("{kind} #{at}{}{}", in_brackets(schema), after_space(attributes)));
}

pub(super) fn scope(
    kind: &str,
    at: usize,
    schema: &str,
    scope: Option<&InstrumentationScope>,
    text: &mut Text,
) {
    let none = InstrumentationScope::default();
    let scope = scope.unwrap_or(&none);
    let version = match scope.version.as_str() {
        "" => String::new(),
        version => format!("@{version}"),
    };
    let name = match scope.name.as_str() {
        "" => String::new(),
        name => format!(" {name}"),
    };
    let (schema, attributes) = (in_brackets(schema), after_space(&scope.attributes));
    text.line(format_args!("{kind} #{at}{name}{version}{schema}{attributes}"));
}

fn in_brackets(schema: &str) -> String {
    if schema.is_empty() { String::new() } else { format!(" [{schema}]") }
}

fn after_space(attributes: &[KeyValue]) -> String {
    if attributes.is_empty() { String::new() } else { format!(" {}", pairs(attributes, " ")) }
}

pub(super) fn traces(request: &ExportTraceServiceRequest, text: &mut Text) {
    for (at, part) in request.resource_spans.iter().enumerate() {
        resource("ResourceTraces", at, &part.schema_url, part.resource.as_ref(), text);
        for (at, part) in part.scope_spans.iter().enumerate() {
            scope("ScopeTraces", at, &part.schema_url, part.scope.as_ref(), text);
            for span in &part.spans {
                let (trace, id) = (hex(&span.trace_id), hex(&span.span_id));
                let attributes = after_space(&span.attributes);
                text.line(format_args!("{} {trace} {id}{attributes}", span.name));
            }
        }
    }
}

pub(super) fn logs(request: &ExportLogsServiceRequest, text: &mut Text) {
    for (at, part) in request.resource_logs.iter().enumerate() {
        resource("ResourceLog", at, &part.schema_url, part.resource.as_ref(), text);
        for (at, part) in part.scope_logs.iter().enumerate() {
            scope("ScopeLog", at, &part.schema_url, part.scope.as_ref(), text);
            for record in &part.log_records {
                let body = record.body.as_ref().map(as_string).unwrap_or_default();
                text.line(format_args!("{body}{}", after_space(&record.attributes)));
            }
        }
    }
}

pub(super) fn metrics(request: &ExportMetricsServiceRequest, text: &mut Text) {
    for (at, part) in request.resource_metrics.iter().enumerate() {
        resource("ResourceMetrics", at, &part.schema_url, part.resource.as_ref(), text);
        for (at, part) in part.scope_metrics.iter().enumerate() {
            scope("ScopeMetrics", at, &part.schema_url, part.scope.as_ref(), text);
            for metric in &part.metrics {
                data(&metric.name, metric.data.as_ref(), text);
            }
        }
    }
}

fn data(name: &str, data: Option<&Data>, text: &mut Text) {
    let mut point = |attributes: &[KeyValue], value: String| {
        text.line(format_args!("{name}{{{}}} {value}", pairs(attributes, ",")));
    };
    match data {
        None => {}
        Some(Data::Gauge(data)) => {
            data.data_points.iter().for_each(|p| point(&p.attributes, number(p)));
        }
        Some(Data::Sum(data)) => {
            data.data_points.iter().for_each(|p| point(&p.attributes, number(p)));
        }
        Some(Data::Histogram(data)) => {
            data.data_points.iter().for_each(|p| point(&p.attributes, histogram(p)));
        }
        Some(Data::ExponentialHistogram(data)) => {
            data.data_points.iter().for_each(|p| point(&p.attributes, exponential(p)));
        }
        Some(Data::Summary(data)) => {
            data.data_points.iter().for_each(|p| point(&p.attributes, summary(p)));
        }
    }
}

fn number(point: &NumberDataPoint) -> String {
    match point.value {
        None => String::new(),
        Some(number_data_point::Value::AsInt(number)) => number.to_string(),
        Some(number_data_point::Value::AsDouble(number)) => double(number),
    }
}

fn totals(count: u64, sum: Option<f64>, min: Option<f64>, max: Option<f64>) -> String {
    let mut out = format!("count={count}");
    for (name, value) in [("sum", sum), ("min", min), ("max", max)] {
        if let Some(value) = value {
            out.push_str(&format!(" {name}={}", double(value)));
        }
    }
    out
}

fn histogram(point: &HistogramDataPoint) -> String {
    let mut out = totals(point.count, point.sum, point.min, point.max);
    let bounds = point.explicit_bounds.iter().map(|bound| format!("le{}=", double(*bound)));
    for (count, bound) in point.bucket_counts.iter().zip(bounds.chain([String::new()])) {
        out.push_str(&format!(" {bound}{count}"));
    }
    out
}

fn exponential(point: &ExponentialHistogramDataPoint) -> String {
    let mut out = totals(point.count, point.sum, point.min, point.max);
    out.push_str(&format!(" scale={}", point.scale));
    for (name, buckets) in [("negative", &point.negative), ("positive", &point.positive)] {
        if let Some(Buckets { offset, bucket_counts }) = buckets {
            out.push_str(&format!(" {name}={offset}:{bucket_counts:?}"));
        }
    }
    if point.zero_count > 0 {
        out.push_str(&format!(" zero={}", point.zero_count));
    }
    out
}

fn summary(point: &SummaryDataPoint) -> String {
    let mut out = totals(point.count, Some(point.sum), None, None);
    for value in &point.quantile_values {
        out.push_str(&format!(" q{}={}", double(value.quantile), double(value.value)));
    }
    out
}
