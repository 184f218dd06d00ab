//! Values of every generated message type with every field set.
//!
//! Guarantees, by naming every field, that a field added to the generated types does not compile
//! here. Knows nothing of the tables. One list of 47 types, therefore longer than other files.

use opentelemetry_proto::tonic::{collector, common, logs, metrics, profiles, resource, trace};
use prost::Message;

/// A message as bytes and as `Debug` shows it.
pub(super) struct Sample {
    pub(super) bytes: Vec<u8>,
    pub(super) debug: String,
}

/// Of every message type the name, and a sample for each of the choices of its `oneof`.
pub(super) fn samples() -> Vec<(&'static str, Vec<Sample>)> {
    vec![
        ("AnyValue", (0..8).map(|choice| encoded(&any_value(choice))).collect()),
        ("ArrayValue", vec![encoded(&array_value())]),
        ("KeyValueList", vec![encoded(&key_value_list())]),
        ("KeyValue", vec![encoded(&key_value())]),
        ("InstrumentationScope", vec![encoded(&instrumentation_scope())]),
        ("EntityRef", vec![encoded(&entity_ref())]),
        ("Resource", vec![encoded(&resource())]),
        ("ExportTraceServiceRequest", vec![encoded(&export_trace_service_request())]),
        ("ResourceSpans", vec![encoded(&resource_spans())]),
        ("ScopeSpans", vec![encoded(&scope_spans())]),
        ("Span", vec![encoded(&span())]),
        ("Span.Event", vec![encoded(&span_event())]),
        ("Span.Link", vec![encoded(&span_link())]),
        ("Status", vec![encoded(&status())]),
        ("ExportMetricsServiceRequest", vec![encoded(&export_metrics_service_request())]),
        ("ResourceMetrics", vec![encoded(&resource_metrics())]),
        ("ScopeMetrics", vec![encoded(&scope_metrics())]),
        ("Metric", (0..5).map(|choice| encoded(&metric(choice))).collect()),
        ("Gauge", vec![encoded(&gauge())]),
        ("Sum", vec![encoded(&sum())]),
        ("Histogram", vec![encoded(&histogram())]),
        ("ExponentialHistogram", vec![encoded(&exponential_histogram())]),
        ("Summary", vec![encoded(&summary())]),
        ("NumberDataPoint", (0..2).map(|choice| encoded(&number_data_point(choice))).collect()),
        ("HistogramDataPoint", vec![encoded(&histogram_data_point())]),
        ("ExponentialHistogramDataPoint", vec![encoded(&exponential_histogram_data_point())]),
        (
            "ExponentialHistogramDataPoint.Buckets",
            vec![encoded(&exponential_histogram_data_point_buckets())],
        ),
        ("SummaryDataPoint", vec![encoded(&summary_data_point())]),
        (
            "SummaryDataPoint.ValueAtQuantile",
            vec![encoded(&summary_data_point_value_at_quantile())],
        ),
        ("Exemplar", (0..2).map(|choice| encoded(&exemplar(choice))).collect()),
        ("ExportLogsServiceRequest", vec![encoded(&export_logs_service_request())]),
        ("ResourceLogs", vec![encoded(&resource_logs())]),
        ("ScopeLogs", vec![encoded(&scope_logs())]),
        ("LogRecord", vec![encoded(&log_record())]),
        ("ExportProfilesServiceRequest", vec![encoded(&export_profiles_service_request())]),
        ("ProfilesDictionary", vec![encoded(&profiles_dictionary())]),
        ("ResourceProfiles", vec![encoded(&resource_profiles())]),
        ("ScopeProfiles", vec![encoded(&scope_profiles())]),
        ("Profile", vec![encoded(&profile())]),
        ("Link", vec![encoded(&link())]),
        ("ValueType", vec![encoded(&value_type())]),
        ("Sample", vec![encoded(&sample())]),
        ("Mapping", vec![encoded(&mapping())]),
        ("Stack", vec![encoded(&stack())]),
        ("Location", vec![encoded(&location())]),
        ("Line", vec![encoded(&line())]),
        ("Function", vec![encoded(&function())]),
        ("KeyValueAndUnit", vec![encoded(&key_value_and_unit())]),
    ]
}

fn encoded(message: &(impl Message + std::fmt::Debug)) -> Sample {
    Sample { bytes: message.encode_to_vec(), debug: format!("{message:?}") }
}

fn any_value(choice: u8) -> common::v1::AnyValue {
    let value = match choice {
        0 => common::v1::any_value::Value::StringValue("s".to_owned()),
        1 => common::v1::any_value::Value::BoolValue(true),
        2 => common::v1::any_value::Value::IntValue(i64::MIN),
        3 => common::v1::any_value::Value::DoubleValue(1.5),
        4 => common::v1::any_value::Value::ArrayValue(array_value()),
        5 => common::v1::any_value::Value::KvlistValue(key_value_list()),
        6 => common::v1::any_value::Value::BytesValue(vec![0xff]),
        _ => common::v1::any_value::Value::StringValueStrindex(i32::MIN),
    };
    common::v1::AnyValue { value: Some(value) }
}

fn array_value() -> common::v1::ArrayValue {
    common::v1::ArrayValue { values: vec![any_value(0)] }
}

fn key_value_list() -> common::v1::KeyValueList {
    common::v1::KeyValueList { values: vec![key_value()] }
}

fn key_value() -> common::v1::KeyValue {
    common::v1::KeyValue { key: "s".to_owned(), value: Some(any_value(0)), key_strindex: i32::MIN }
}

fn instrumentation_scope() -> common::v1::InstrumentationScope {
    common::v1::InstrumentationScope {
        name: "s".to_owned(),
        version: "s".to_owned(),
        attributes: vec![key_value()],
        dropped_attributes_count: u32::MAX,
    }
}

fn entity_ref() -> common::v1::EntityRef {
    common::v1::EntityRef {
        schema_url: "s".to_owned(),
        r#type: "s".to_owned(),
        id_keys: vec!["s".to_owned()],
        description_keys: vec!["s".to_owned()],
    }
}

fn resource() -> resource::v1::Resource {
    resource::v1::Resource {
        attributes: vec![key_value()],
        dropped_attributes_count: u32::MAX,
        entity_refs: vec![entity_ref()],
    }
}

fn export_trace_service_request() -> collector::trace::v1::ExportTraceServiceRequest {
    collector::trace::v1::ExportTraceServiceRequest { resource_spans: vec![resource_spans()] }
}

fn resource_spans() -> trace::v1::ResourceSpans {
    trace::v1::ResourceSpans {
        resource: Some(resource()),
        scope_spans: vec![scope_spans()],
        schema_url: "s".to_owned(),
    }
}

fn scope_spans() -> trace::v1::ScopeSpans {
    trace::v1::ScopeSpans {
        scope: Some(instrumentation_scope()),
        spans: vec![span()],
        schema_url: "s".to_owned(),
    }
}

fn span() -> trace::v1::Span {
    trace::v1::Span {
        trace_id: vec![0xff; 16],
        span_id: vec![0xff; 8],
        trace_state: "s".to_owned(),
        parent_span_id: vec![0xff; 8],
        flags: u32::MAX,
        name: "s".to_owned(),
        kind: 2,
        start_time_unix_nano: u64::MAX,
        end_time_unix_nano: u64::MAX,
        attributes: vec![key_value()],
        dropped_attributes_count: u32::MAX,
        events: vec![span_event()],
        dropped_events_count: u32::MAX,
        links: vec![span_link()],
        dropped_links_count: u32::MAX,
        status: Some(status()),
    }
}

fn span_event() -> trace::v1::span::Event {
    trace::v1::span::Event {
        time_unix_nano: u64::MAX,
        name: "s".to_owned(),
        attributes: vec![key_value()],
        dropped_attributes_count: u32::MAX,
    }
}

fn span_link() -> trace::v1::span::Link {
    trace::v1::span::Link {
        trace_id: vec![0xff; 16],
        span_id: vec![0xff; 8],
        trace_state: "s".to_owned(),
        attributes: vec![key_value()],
        dropped_attributes_count: u32::MAX,
        flags: u32::MAX,
    }
}

fn status() -> trace::v1::Status {
    trace::v1::Status { message: "s".to_owned(), code: 2 }
}

fn export_metrics_service_request() -> collector::metrics::v1::ExportMetricsServiceRequest {
    collector::metrics::v1::ExportMetricsServiceRequest {
        resource_metrics: vec![resource_metrics()],
    }
}

fn resource_metrics() -> metrics::v1::ResourceMetrics {
    metrics::v1::ResourceMetrics {
        resource: Some(resource()),
        scope_metrics: vec![scope_metrics()],
        schema_url: "s".to_owned(),
    }
}

fn scope_metrics() -> metrics::v1::ScopeMetrics {
    metrics::v1::ScopeMetrics {
        scope: Some(instrumentation_scope()),
        metrics: vec![metric(0)],
        schema_url: "s".to_owned(),
    }
}

fn metric(choice: u8) -> metrics::v1::Metric {
    let data = match choice {
        0 => metrics::v1::metric::Data::Gauge(gauge()),
        1 => metrics::v1::metric::Data::Sum(sum()),
        2 => metrics::v1::metric::Data::Histogram(histogram()),
        3 => metrics::v1::metric::Data::ExponentialHistogram(exponential_histogram()),
        _ => metrics::v1::metric::Data::Summary(summary()),
    };
    metrics::v1::Metric {
        name: "s".to_owned(),
        description: "s".to_owned(),
        unit: "s".to_owned(),
        metadata: vec![key_value()],
        data: Some(data),
    }
}

fn gauge() -> metrics::v1::Gauge {
    metrics::v1::Gauge { data_points: vec![number_data_point(0)] }
}

fn sum() -> metrics::v1::Sum {
    metrics::v1::Sum {
        data_points: vec![number_data_point(0)],
        aggregation_temporality: 2,
        is_monotonic: true,
    }
}

fn histogram() -> metrics::v1::Histogram {
    metrics::v1::Histogram { data_points: vec![histogram_data_point()], aggregation_temporality: 2 }
}

fn exponential_histogram() -> metrics::v1::ExponentialHistogram {
    metrics::v1::ExponentialHistogram {
        data_points: vec![exponential_histogram_data_point()],
        aggregation_temporality: 2,
    }
}

fn summary() -> metrics::v1::Summary {
    metrics::v1::Summary { data_points: vec![summary_data_point()] }
}

fn number_data_point(choice: u8) -> metrics::v1::NumberDataPoint {
    let value = match choice {
        0 => metrics::v1::number_data_point::Value::AsDouble(1.5),
        _ => metrics::v1::number_data_point::Value::AsInt(i64::MIN),
    };
    metrics::v1::NumberDataPoint {
        attributes: vec![key_value()],
        start_time_unix_nano: u64::MAX,
        time_unix_nano: u64::MAX,
        exemplars: vec![exemplar(0)],
        flags: u32::MAX,
        value: Some(value),
    }
}

fn histogram_data_point() -> metrics::v1::HistogramDataPoint {
    metrics::v1::HistogramDataPoint {
        attributes: vec![key_value()],
        start_time_unix_nano: u64::MAX,
        time_unix_nano: u64::MAX,
        count: u64::MAX,
        sum: Some(1.5),
        bucket_counts: vec![u64::MAX],
        explicit_bounds: vec![1.5],
        exemplars: vec![exemplar(0)],
        flags: u32::MAX,
        min: Some(1.5),
        max: Some(1.5),
    }
}

fn exponential_histogram_data_point() -> metrics::v1::ExponentialHistogramDataPoint {
    metrics::v1::ExponentialHistogramDataPoint {
        attributes: vec![key_value()],
        start_time_unix_nano: u64::MAX,
        time_unix_nano: u64::MAX,
        count: u64::MAX,
        sum: Some(1.5),
        scale: -2,
        zero_count: u64::MAX,
        positive: Some(exponential_histogram_data_point_buckets()),
        negative: Some(exponential_histogram_data_point_buckets()),
        flags: u32::MAX,
        exemplars: vec![exemplar(0)],
        min: Some(1.5),
        max: Some(1.5),
        zero_threshold: 1.5,
    }
}

fn exponential_histogram_data_point_buckets()
-> metrics::v1::exponential_histogram_data_point::Buckets {
    metrics::v1::exponential_histogram_data_point::Buckets {
        offset: -2,
        bucket_counts: vec![u64::MAX],
    }
}

fn summary_data_point() -> metrics::v1::SummaryDataPoint {
    metrics::v1::SummaryDataPoint {
        attributes: vec![key_value()],
        start_time_unix_nano: u64::MAX,
        time_unix_nano: u64::MAX,
        count: u64::MAX,
        sum: 1.5,
        quantile_values: vec![summary_data_point_value_at_quantile()],
        flags: u32::MAX,
    }
}

fn summary_data_point_value_at_quantile() -> metrics::v1::summary_data_point::ValueAtQuantile {
    metrics::v1::summary_data_point::ValueAtQuantile { quantile: 1.5, value: 1.5 }
}

fn exemplar(choice: u8) -> metrics::v1::Exemplar {
    let value = match choice {
        0 => metrics::v1::exemplar::Value::AsDouble(1.5),
        _ => metrics::v1::exemplar::Value::AsInt(i64::MIN),
    };
    metrics::v1::Exemplar {
        filtered_attributes: vec![key_value()],
        time_unix_nano: u64::MAX,
        span_id: vec![0xff; 8],
        trace_id: vec![0xff; 16],
        value: Some(value),
    }
}

fn export_logs_service_request() -> collector::logs::v1::ExportLogsServiceRequest {
    collector::logs::v1::ExportLogsServiceRequest { resource_logs: vec![resource_logs()] }
}

fn resource_logs() -> logs::v1::ResourceLogs {
    logs::v1::ResourceLogs {
        resource: Some(resource()),
        scope_logs: vec![scope_logs()],
        schema_url: "s".to_owned(),
    }
}

fn scope_logs() -> logs::v1::ScopeLogs {
    logs::v1::ScopeLogs {
        scope: Some(instrumentation_scope()),
        log_records: vec![log_record()],
        schema_url: "s".to_owned(),
    }
}

fn log_record() -> logs::v1::LogRecord {
    logs::v1::LogRecord {
        time_unix_nano: u64::MAX,
        observed_time_unix_nano: u64::MAX,
        severity_number: 2,
        severity_text: "s".to_owned(),
        body: Some(any_value(0)),
        attributes: vec![key_value()],
        dropped_attributes_count: u32::MAX,
        flags: u32::MAX,
        trace_id: vec![0xff; 16],
        span_id: vec![0xff; 8],
        event_name: "s".to_owned(),
    }
}

fn export_profiles_service_request()
-> collector::profiles::v1development::ExportProfilesServiceRequest {
    collector::profiles::v1development::ExportProfilesServiceRequest {
        resource_profiles: vec![resource_profiles()],
        dictionary: Some(profiles_dictionary()),
    }
}

fn profiles_dictionary() -> profiles::v1development::ProfilesDictionary {
    profiles::v1development::ProfilesDictionary {
        mapping_table: vec![mapping()],
        location_table: vec![location()],
        function_table: vec![function()],
        link_table: vec![link()],
        string_table: vec!["s".to_owned()],
        attribute_table: vec![key_value_and_unit()],
        stack_table: vec![stack()],
    }
}

fn resource_profiles() -> profiles::v1development::ResourceProfiles {
    profiles::v1development::ResourceProfiles {
        resource: Some(resource()),
        scope_profiles: vec![scope_profiles()],
        schema_url: "s".to_owned(),
    }
}

fn scope_profiles() -> profiles::v1development::ScopeProfiles {
    profiles::v1development::ScopeProfiles {
        scope: Some(instrumentation_scope()),
        profiles: vec![profile()],
        schema_url: "s".to_owned(),
    }
}

fn profile() -> profiles::v1development::Profile {
    profiles::v1development::Profile {
        sample_type: Some(value_type()),
        samples: vec![sample()],
        time_unix_nano: u64::MAX,
        duration_nano: u64::MAX,
        period_type: Some(value_type()),
        period: i64::MIN,
        profile_id: vec![0xff; 16],
        dropped_attributes_count: u32::MAX,
        original_payload_format: "s".to_owned(),
        original_payload: vec![0xff],
        attribute_indices: vec![i32::MIN],
    }
}

fn link() -> profiles::v1development::Link {
    profiles::v1development::Link { trace_id: vec![0xff; 16], span_id: vec![0xff; 8] }
}

fn value_type() -> profiles::v1development::ValueType {
    profiles::v1development::ValueType { type_strindex: i32::MIN, unit_strindex: i32::MIN }
}

fn sample() -> profiles::v1development::Sample {
    profiles::v1development::Sample {
        stack_index: i32::MIN,
        attribute_indices: vec![i32::MIN],
        link_index: i32::MIN,
        values: vec![i64::MIN],
        timestamps_unix_nano: vec![u64::MAX],
    }
}

fn mapping() -> profiles::v1development::Mapping {
    profiles::v1development::Mapping {
        memory_start: u64::MAX,
        memory_limit: u64::MAX,
        file_offset: u64::MAX,
        filename_strindex: i32::MIN,
        attribute_indices: vec![i32::MIN],
    }
}

fn stack() -> profiles::v1development::Stack {
    profiles::v1development::Stack { location_indices: vec![i32::MIN] }
}

fn location() -> profiles::v1development::Location {
    profiles::v1development::Location {
        mapping_index: i32::MIN,
        address: u64::MAX,
        lines: vec![line()],
        attribute_indices: vec![i32::MIN],
    }
}

fn line() -> profiles::v1development::Line {
    profiles::v1development::Line { function_index: i32::MIN, line: i64::MIN, column: i64::MIN }
}

fn function() -> profiles::v1development::Function {
    profiles::v1development::Function {
        name_strindex: i32::MIN,
        system_name_strindex: i32::MIN,
        filename_strindex: i32::MIN,
        start_line: i64::MIN,
    }
}

fn key_value_and_unit() -> profiles::v1development::KeyValueAndUnit {
    profiles::v1development::KeyValueAndUnit {
        key_strindex: i32::MIN,
        value: Some(any_value(0)),
        unit_strindex: i32::MIN,
    }
}
