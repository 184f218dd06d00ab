//! Data points: `opentelemetry.proto.metrics.v1` and its collector request.
//!
//! Plain tables in the order of the field numbers. `tests.rs` holds them equal to the generated
//! types. Knows nothing of bytes.

use crate::otlp::schema::common::{INSTRUMENTATION_SCOPE, KEY_VALUE};
use crate::otlp::schema::resource::RESOURCE;
use crate::otlp::schema::types::{EnumType, Kind, Message, choice, many, one};

/// `ExportMetricsServiceRequest`.
pub(crate) static EXPORT_METRICS_SERVICE_REQUEST: Message = Message {
    name: "ExportMetricsServiceRequest",
    fields: &[many(1, "resourceMetrics", "resource_metrics", Kind::Message(&RESOURCE_METRICS))],
};

/// `ResourceMetrics`.
pub(crate) static RESOURCE_METRICS: Message = Message {
    name: "ResourceMetrics",
    fields: &[
        one(1, "resource", "resource", Kind::Message(&RESOURCE)),
        many(2, "scopeMetrics", "scope_metrics", Kind::Message(&SCOPE_METRICS)),
        one(3, "schemaUrl", "schema_url", Kind::String),
    ],
};

/// `ScopeMetrics`.
pub(crate) static SCOPE_METRICS: Message = Message {
    name: "ScopeMetrics",
    fields: &[
        one(1, "scope", "scope", Kind::Message(&INSTRUMENTATION_SCOPE)),
        many(2, "metrics", "metrics", Kind::Message(&METRIC)),
        one(3, "schemaUrl", "schema_url", Kind::String),
    ],
};

/// `Metric`.
pub(crate) static METRIC: Message = Message {
    name: "Metric",
    fields: &[
        one(1, "name", "name", Kind::String),
        one(2, "description", "description", Kind::String),
        one(3, "unit", "unit", Kind::String),
        choice(5, "gauge", "gauge", Kind::Message(&GAUGE)),
        choice(7, "sum", "sum", Kind::Message(&SUM)),
        choice(9, "histogram", "histogram", Kind::Message(&HISTOGRAM)),
        choice(
            10,
            "exponentialHistogram",
            "exponential_histogram",
            Kind::Message(&EXPONENTIAL_HISTOGRAM),
        ),
        choice(11, "summary", "summary", Kind::Message(&SUMMARY)),
        many(12, "metadata", "metadata", Kind::Message(&KEY_VALUE)),
    ],
};

/// `Gauge`.
pub(crate) static GAUGE: Message = Message {
    name: "Gauge",
    fields: &[many(1, "dataPoints", "data_points", Kind::Message(&NUMBER_DATA_POINT))],
};

/// `Sum`.
pub(crate) static SUM: Message = Message {
    name: "Sum",
    fields: &[
        many(1, "dataPoints", "data_points", Kind::Message(&NUMBER_DATA_POINT)),
        one(
            2,
            "aggregationTemporality",
            "aggregation_temporality",
            Kind::Enum(&AGGREGATION_TEMPORALITY),
        ),
        one(3, "isMonotonic", "is_monotonic", Kind::Bool),
    ],
};

/// `Histogram`.
pub(crate) static HISTOGRAM: Message = Message {
    name: "Histogram",
    fields: &[
        many(1, "dataPoints", "data_points", Kind::Message(&HISTOGRAM_DATA_POINT)),
        one(
            2,
            "aggregationTemporality",
            "aggregation_temporality",
            Kind::Enum(&AGGREGATION_TEMPORALITY),
        ),
    ],
};

/// `ExponentialHistogram`.
pub(crate) static EXPONENTIAL_HISTOGRAM: Message = Message {
    name: "ExponentialHistogram",
    fields: &[
        many(1, "dataPoints", "data_points", Kind::Message(&EXPONENTIAL_HISTOGRAM_DATA_POINT)),
        one(
            2,
            "aggregationTemporality",
            "aggregation_temporality",
            Kind::Enum(&AGGREGATION_TEMPORALITY),
        ),
    ],
};

/// `Summary`.
pub(crate) static SUMMARY: Message = Message {
    name: "Summary",
    fields: &[many(1, "dataPoints", "data_points", Kind::Message(&SUMMARY_DATA_POINT))],
};

/// `AggregationTemporality`.
pub(crate) static AGGREGATION_TEMPORALITY: EnumType = EnumType {
    name: "AggregationTemporality",
    values: &[
        (0, "AGGREGATION_TEMPORALITY_UNSPECIFIED"),
        (1, "AGGREGATION_TEMPORALITY_DELTA"),
        (2, "AGGREGATION_TEMPORALITY_CUMULATIVE"),
    ],
};

/// `NumberDataPoint`.
pub(crate) static NUMBER_DATA_POINT: Message = Message {
    name: "NumberDataPoint",
    fields: &[
        one(2, "startTimeUnixNano", "start_time_unix_nano", Kind::Fixed64),
        one(3, "timeUnixNano", "time_unix_nano", Kind::Fixed64),
        choice(4, "asDouble", "as_double", Kind::Double),
        many(5, "exemplars", "exemplars", Kind::Message(&EXEMPLAR)),
        choice(6, "asInt", "as_int", Kind::SFixed64),
        many(7, "attributes", "attributes", Kind::Message(&KEY_VALUE)),
        one(8, "flags", "flags", Kind::UInt32),
    ],
};

/// `HistogramDataPoint`.
pub(crate) static HISTOGRAM_DATA_POINT: Message = Message {
    name: "HistogramDataPoint",
    fields: &[
        one(2, "startTimeUnixNano", "start_time_unix_nano", Kind::Fixed64),
        one(3, "timeUnixNano", "time_unix_nano", Kind::Fixed64),
        one(4, "count", "count", Kind::Fixed64),
        one(5, "sum", "sum", Kind::Double),
        many(6, "bucketCounts", "bucket_counts", Kind::Fixed64),
        many(7, "explicitBounds", "explicit_bounds", Kind::Double),
        many(8, "exemplars", "exemplars", Kind::Message(&EXEMPLAR)),
        many(9, "attributes", "attributes", Kind::Message(&KEY_VALUE)),
        one(10, "flags", "flags", Kind::UInt32),
        one(11, "min", "min", Kind::Double),
        one(12, "max", "max", Kind::Double),
    ],
};

/// `ExponentialHistogramDataPoint`.
pub(crate) static EXPONENTIAL_HISTOGRAM_DATA_POINT: Message = Message {
    name: "ExponentialHistogramDataPoint",
    fields: &[
        many(1, "attributes", "attributes", Kind::Message(&KEY_VALUE)),
        one(2, "startTimeUnixNano", "start_time_unix_nano", Kind::Fixed64),
        one(3, "timeUnixNano", "time_unix_nano", Kind::Fixed64),
        one(4, "count", "count", Kind::Fixed64),
        one(5, "sum", "sum", Kind::Double),
        one(6, "scale", "scale", Kind::SInt32),
        one(7, "zeroCount", "zero_count", Kind::Fixed64),
        one(8, "positive", "positive", Kind::Message(&EXPONENTIAL_HISTOGRAM_DATA_POINT_BUCKETS)),
        one(9, "negative", "negative", Kind::Message(&EXPONENTIAL_HISTOGRAM_DATA_POINT_BUCKETS)),
        one(10, "flags", "flags", Kind::UInt32),
        many(11, "exemplars", "exemplars", Kind::Message(&EXEMPLAR)),
        one(12, "min", "min", Kind::Double),
        one(13, "max", "max", Kind::Double),
        one(14, "zeroThreshold", "zero_threshold", Kind::Double),
    ],
};

/// `ExponentialHistogramDataPoint.Buckets`.
pub(crate) static EXPONENTIAL_HISTOGRAM_DATA_POINT_BUCKETS: Message = Message {
    name: "ExponentialHistogramDataPoint.Buckets",
    fields: &[
        one(1, "offset", "offset", Kind::SInt32),
        many(2, "bucketCounts", "bucket_counts", Kind::UInt64),
    ],
};

/// `SummaryDataPoint`.
pub(crate) static SUMMARY_DATA_POINT: Message = Message {
    name: "SummaryDataPoint",
    fields: &[
        one(2, "startTimeUnixNano", "start_time_unix_nano", Kind::Fixed64),
        one(3, "timeUnixNano", "time_unix_nano", Kind::Fixed64),
        one(4, "count", "count", Kind::Fixed64),
        one(5, "sum", "sum", Kind::Double),
        many(
            6,
            "quantileValues",
            "quantile_values",
            Kind::Message(&SUMMARY_DATA_POINT_VALUE_AT_QUANTILE),
        ),
        many(7, "attributes", "attributes", Kind::Message(&KEY_VALUE)),
        one(8, "flags", "flags", Kind::UInt32),
    ],
};

/// `SummaryDataPoint.ValueAtQuantile`.
pub(crate) static SUMMARY_DATA_POINT_VALUE_AT_QUANTILE: Message = Message {
    name: "SummaryDataPoint.ValueAtQuantile",
    fields: &[one(1, "quantile", "quantile", Kind::Double), one(2, "value", "value", Kind::Double)],
};

/// `Exemplar`.
pub(crate) static EXEMPLAR: Message = Message {
    name: "Exemplar",
    fields: &[
        one(2, "timeUnixNano", "time_unix_nano", Kind::Fixed64),
        choice(3, "asDouble", "as_double", Kind::Double),
        one(4, "spanId", "span_id", Kind::Id(8)),
        one(5, "traceId", "trace_id", Kind::Id(16)),
        choice(6, "asInt", "as_int", Kind::SFixed64),
        many(7, "filteredAttributes", "filtered_attributes", Kind::Message(&KEY_VALUE)),
    ],
};
