//! Verbosity `detailed` of traces and logs: every field.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::EntityRef;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, SeverityNumber};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};

use crate::exporter::debug::text::{Text, hex, name, timestamp, typed};

/// A resource and what is said of it.
pub(super) fn resource(
    kind: &str,
    at: usize,
    schema: &str,
    resource: Option<&Resource>,
    text: &mut Text,
) {
    text.line(format_args!("{kind} #{at}"));
    text.line(format_args!("Resource SchemaURL: {schema}"));
    let Some(resource) = resource else { return };
    text.attributes("", "Resource attributes", &resource.attributes);
    text.dropped("Resource dropped attributes", resource.dropped_attributes_count);
    for EntityRef { schema_url, r#type, id_keys, description_keys } in &resource.entity_refs {
        text.line(format_args!(
            "Entity {type} {id_keys:?} {description_keys:?} SchemaURL: {schema_url}"
        ));
    }
}

pub(super) fn traces(request: &ExportTraceServiceRequest, text: &mut Text) {
    for (at, part) in request.resource_spans.iter().enumerate() {
        resource("ResourceSpans", at, &part.schema_url, part.resource.as_ref(), text);
        for (at, part) in part.scope_spans.iter().enumerate() {
            text.line(format_args!("ScopeSpans #{at}"));
            text.line(format_args!("ScopeSpans SchemaURL: {}", part.schema_url));
            text.scope(part.scope.as_ref());
            for (at, part) in part.spans.iter().enumerate() {
                text.line(format_args!("Span #{at}"));
                span(part, text);
            }
        }
    }
}

fn span(span: &Span, text: &mut Text) {
    text.entry("Trace ID", hex(&span.trace_id));
    text.entry("Parent ID", hex(&span.parent_span_id));
    text.entry("ID", hex(&span.span_id));
    text.entry("Name", &span.name);
    let kind = SpanKind::try_from(span.kind).ok().map(|kind| kind.as_str_name());
    text.entry("Kind", name(kind, "SPAN_KIND_", span.kind));
    if !span.trace_state.is_empty() {
        text.entry("TraceState", &span.trace_state);
    }
    if span.flags != 0 {
        text.entry("Flags", format_args!("{:#x}", span.flags));
    }
    text.entry("Start time", timestamp(span.start_time_unix_nano));
    text.entry("End time", timestamp(span.end_time_unix_nano));
    let none = Status::default();
    let status = span.status.as_ref().unwrap_or(&none);
    let code = StatusCode::try_from(status.code).ok().map(|code| code.as_str_name());
    text.entry("Status code", name(code, "STATUS_CODE_", status.code));
    text.entry("Status message", &status.message);
    text.attributes("", "Attributes", &span.attributes);
    text.dropped("DroppedAttributesCount", span.dropped_attributes_count);
    if !span.events.is_empty() {
        text.line(format_args!("Events:"));
    }
    for (at, part) in span.events.iter().enumerate() {
        text.line(format_args!("SpanEvent #{at}"));
        event(part, text);
    }
    text.dropped("DroppedEventsCount", span.dropped_events_count);
    if !span.links.is_empty() {
        text.line(format_args!("Links:"));
    }
    for (at, part) in span.links.iter().enumerate() {
        text.line(format_args!("SpanLink #{at}"));
        link(part, text);
    }
    text.dropped("DroppedLinksCount", span.dropped_links_count);
}

fn event(event: &Event, text: &mut Text) {
    text.line(format_args!("     -> Name: {}", event.name));
    text.line(format_args!("     -> Timestamp: {}", timestamp(event.time_unix_nano)));
    text.line(format_args!("     -> DroppedAttributesCount: {}", event.dropped_attributes_count));
    text.attributes("     ", "-> Attributes", &event.attributes);
}

fn link(link: &Link, text: &mut Text) {
    text.line(format_args!("     -> Trace ID: {}", hex(&link.trace_id)));
    text.line(format_args!("     -> ID: {}", hex(&link.span_id)));
    text.line(format_args!("     -> TraceState: {}", link.trace_state));
    text.line(format_args!("     -> Flags: {:#x}", link.flags));
    text.line(format_args!("     -> DroppedAttributesCount: {}", link.dropped_attributes_count));
    text.attributes("     ", "-> Attributes", &link.attributes);
}

pub(super) fn logs(request: &ExportLogsServiceRequest, text: &mut Text) {
    for (at, part) in request.resource_logs.iter().enumerate() {
        resource("ResourceLog", at, &part.schema_url, part.resource.as_ref(), text);
        for (at, part) in part.scope_logs.iter().enumerate() {
            text.line(format_args!("ScopeLogs #{at}"));
            text.line(format_args!("ScopeLogs SchemaURL: {}", part.schema_url));
            text.scope(part.scope.as_ref());
            for (at, part) in part.log_records.iter().enumerate() {
                text.line(format_args!("LogRecord #{at}"));
                record(part, text);
            }
        }
    }
}

fn record(record: &LogRecord, text: &mut Text) {
    let observed = timestamp(record.observed_time_unix_nano);
    text.line(format_args!("ObservedTimestamp: {observed}"));
    text.line(format_args!("Timestamp: {}", timestamp(record.time_unix_nano)));
    if !record.event_name.is_empty() {
        text.line(format_args!("EventName: {}", record.event_name));
    }
    text.line(format_args!("SeverityText: {}", record.severity_text));
    let number = record.severity_number;
    let severity = SeverityNumber::try_from(number).ok().map(|severity| severity.as_str_name());
    let severity = name(severity, "SEVERITY_NUMBER_", number);
    text.line(format_args!("SeverityNumber: {severity}({number})"));
    match &record.body {
        Some(body) => text.line(format_args!("Body: {}", typed(body))),
        None => text.line(format_args!("Body: Empty()")),
    }
    text.attributes("", "Attributes", &record.attributes);
    text.dropped("DroppedAttributesCount", record.dropped_attributes_count);
    text.line(format_args!("Trace ID: {}", hex(&record.trace_id)));
    text.line(format_args!("Span ID: {}", hex(&record.span_id)));
    text.line(format_args!("Flags: {}", record.flags));
}
