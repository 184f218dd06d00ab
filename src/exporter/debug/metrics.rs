//! Verbosity `detailed` of metrics: every field.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar, ExponentialHistogramDataPoint, HistogramDataPoint, Metric,
    NumberDataPoint, SummaryDataPoint, exemplar, number_data_point,
};

use crate::exporter::debug::detailed::resource;
use crate::exporter::debug::text::{Text, hex, name, timestamp};
use crate::otlp::value::double;

pub(super) fn detailed(request: &ExportMetricsServiceRequest, text: &mut Text) {
    for (at, part) in request.resource_metrics.iter().enumerate() {
        resource("ResourceMetrics", at, &part.schema_url, part.resource.as_ref(), text);
        for (at, part) in part.scope_metrics.iter().enumerate() {
            text.line(format_args!("ScopeMetrics #{at}"));
            text.line(format_args!("ScopeMetrics SchemaURL: {}", part.schema_url));
            text.scope(part.scope.as_ref());
            for (at, part) in part.metrics.iter().enumerate() {
                text.line(format_args!("Metric #{at}"));
                metric(part, text);
            }
        }
    }
}

fn metric(metric: &Metric, text: &mut Text) {
    text.line(format_args!("Descriptor:"));
    text.line(format_args!("     -> Name: {}", metric.name));
    text.line(format_args!("     -> Description: {}", metric.description));
    text.line(format_args!("     -> Unit: {}", metric.unit));
    let kind = match &metric.data {
        None => "Empty",
        Some(Data::Gauge(_)) => "Gauge",
        Some(Data::Sum(_)) => "Sum",
        Some(Data::Histogram(_)) => "Histogram",
        Some(Data::ExponentialHistogram(_)) => "ExponentialHistogram",
        Some(Data::Summary(_)) => "Summary",
    };
    text.line(format_args!("     -> DataType: {kind}"));
    text.attributes("     ", "-> Metadata", &metric.metadata);
    match &metric.data {
        None => {}
        Some(Data::Gauge(data)) => numbers(&data.data_points, text),
        Some(Data::Sum(data)) => {
            text.line(format_args!("     -> IsMonotonic: {}", data.is_monotonic));
            temporality(data.aggregation_temporality, text);
            numbers(&data.data_points, text);
        }
        Some(Data::Histogram(data)) => {
            temporality(data.aggregation_temporality, text);
            for (at, point) in data.data_points.iter().enumerate() {
                text.line(format_args!("HistogramDataPoints #{at}"));
                histogram(point, text);
            }
        }
        Some(Data::ExponentialHistogram(data)) => {
            temporality(data.aggregation_temporality, text);
            for (at, point) in data.data_points.iter().enumerate() {
                text.line(format_args!("ExponentialHistogramDataPoints #{at}"));
                exponential(point, text);
            }
        }
        Some(Data::Summary(data)) => {
            for (at, point) in data.data_points.iter().enumerate() {
                text.line(format_args!("SummaryDataPoints #{at}"));
                summary(point, text);
            }
        }
    }
}

fn temporality(number: i32, text: &mut Text) {
    let known = AggregationTemporality::try_from(number).ok().map(|known| known.as_str_name());
    let known = name(known, "AGGREGATION_TEMPORALITY_", number);
    text.line(format_args!("     -> AggregationTemporality: {known}"));
}

/// What the points of every type begin with.
fn head(attributes: &[KeyValue], start: u64, time: u64, flags: u32, text: &mut Text) {
    text.attributes("", "Data point attributes", attributes);
    text.line(format_args!("StartTimestamp: {}", timestamp(start)));
    text.line(format_args!("Timestamp: {}", timestamp(time)));
    if flags != 0 {
        text.line(format_args!("Flags: {flags}"));
    }
}

fn numbers(points: &[NumberDataPoint], text: &mut Text) {
    for (at, point) in points.iter().enumerate() {
        text.line(format_args!("NumberDataPoints #{at}"));
        let (start, time) = (point.start_time_unix_nano, point.time_unix_nano);
        head(&point.attributes, start, time, point.flags, text);
        match point.value {
            None => {}
            Some(number_data_point::Value::AsInt(number)) => {
                text.line(format_args!("Value: {number}"));
            }
            Some(number_data_point::Value::AsDouble(number)) => {
                text.line(format_args!("Value: {}", double(number)));
            }
        }
        exemplars(&point.exemplars, text);
    }
}

fn totals(count: u64, values: [Option<f64>; 3], text: &mut Text) {
    text.line(format_args!("Count: {count}"));
    for (name, value) in ["Sum", "Min", "Max"].into_iter().zip(values) {
        if let Some(value) = value {
            text.line(format_args!("{name}: {}", double(value)));
        }
    }
}

fn histogram(point: &HistogramDataPoint, text: &mut Text) {
    head(&point.attributes, point.start_time_unix_nano, point.time_unix_nano, point.flags, text);
    totals(point.count, [point.sum, point.min, point.max], text);
    for (at, bound) in point.explicit_bounds.iter().enumerate() {
        text.line(format_args!("ExplicitBounds #{at}: {}", double(*bound)));
    }
    for (at, count) in point.bucket_counts.iter().enumerate() {
        text.line(format_args!("Buckets #{at}, Count: {count}"));
    }
    exemplars(&point.exemplars, text);
}

fn exponential(point: &ExponentialHistogramDataPoint, text: &mut Text) {
    head(&point.attributes, point.start_time_unix_nano, point.time_unix_nano, point.flags, text);
    totals(point.count, [point.sum, point.min, point.max], text);
    text.line(format_args!("Scale: {}", point.scale));
    // Bucket i of scale s begins at 2 to the power of i / 2^s.
    let bound = |index: f64| double((index * (-f64::from(point.scale)).exp2()).exp2());
    let buckets = |buckets: &Option<Buckets>| {
        let (offset, counts) = match buckets {
            Some(buckets) => (buckets.offset, buckets.bucket_counts.as_slice()),
            None => (0, &[][..]),
        };
        let indices = (0..).map(move |at: u32| f64::from(offset) + f64::from(at));
        indices.zip(counts.to_vec()).collect::<Vec<_>>()
    };
    for (index, count) in buckets(&point.negative).into_iter().rev() {
        let (lower, upper) = (bound(index + 1.0), bound(index));
        text.line(format_args!("Bucket [-{lower}, -{upper}), Count: {count}"));
    }
    if point.zero_count != 0 {
        let (zero, count) = (double(point.zero_threshold), point.zero_count);
        text.line(format_args!("Bucket [-{zero}, {zero}], Count: {count}"));
    }
    for (index, count) in buckets(&point.positive) {
        let (lower, upper) = (bound(index), bound(index + 1.0));
        text.line(format_args!("Bucket ({lower}, {upper}], Count: {count}"));
    }
    exemplars(&point.exemplars, text);
}

fn summary(point: &SummaryDataPoint, text: &mut Text) {
    head(&point.attributes, point.start_time_unix_nano, point.time_unix_nano, point.flags, text);
    totals(point.count, [Some(point.sum), None, None], text);
    for (at, value) in point.quantile_values.iter().enumerate() {
        let (quantile, value) = (double(value.quantile), double(value.value));
        text.line(format_args!("QuantileValue #{at}: Quantile {quantile}, Value {value}"));
    }
}

fn exemplars(exemplars: &[Exemplar], text: &mut Text) {
    if !exemplars.is_empty() {
        text.line(format_args!("Exemplars:"));
    }
    for (at, part) in exemplars.iter().enumerate() {
        text.line(format_args!("Exemplar #{at}"));
        text.line(format_args!("     -> Trace ID: {}", hex(&part.trace_id)));
        text.line(format_args!("     -> Span ID: {}", hex(&part.span_id)));
        text.line(format_args!("     -> Timestamp: {}", timestamp(part.time_unix_nano)));
        match part.value {
            None => {}
            Some(exemplar::Value::AsInt(number)) => {
                text.line(format_args!("     -> Value: {number}"));
            }
            Some(exemplar::Value::AsDouble(number)) => {
                text.line(format_args!("     -> Value: {}", double(number)));
            }
        }
        text.attributes("     ", "-> FilteredAttributes", &part.filtered_attributes);
    }
}
