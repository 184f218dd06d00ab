//! Spans: `opentelemetry.proto.trace.v1` and its collector request.
//!
//! Plain tables in the order of the field numbers. `tests.rs` holds them equal to the generated
//! types. Knows nothing of bytes.

use crate::otlp::schema::common::{INSTRUMENTATION_SCOPE, KEY_VALUE};
use crate::otlp::schema::resource::RESOURCE;
use crate::otlp::schema::types::{EnumType, Kind, Message, many, one};

/// `ExportTraceServiceRequest`.
pub(crate) static EXPORT_TRACE_SERVICE_REQUEST: Message = Message {
    name: "ExportTraceServiceRequest",
    fields: &[many(1, "resourceSpans", "resource_spans", Kind::Message(&RESOURCE_SPANS))],
};

/// `ResourceSpans`.
pub(crate) static RESOURCE_SPANS: Message = Message {
    name: "ResourceSpans",
    fields: &[
        one(1, "resource", "resource", Kind::Message(&RESOURCE)),
        many(2, "scopeSpans", "scope_spans", Kind::Message(&SCOPE_SPANS)),
        one(3, "schemaUrl", "schema_url", Kind::String),
    ],
};

/// `ScopeSpans`.
pub(crate) static SCOPE_SPANS: Message = Message {
    name: "ScopeSpans",
    fields: &[
        one(1, "scope", "scope", Kind::Message(&INSTRUMENTATION_SCOPE)),
        many(2, "spans", "spans", Kind::Message(&SPAN)),
        one(3, "schemaUrl", "schema_url", Kind::String),
    ],
};

/// `Span`.
pub(crate) static SPAN: Message = Message {
    name: "Span",
    fields: &[
        one(1, "traceId", "trace_id", Kind::Id(16)),
        one(2, "spanId", "span_id", Kind::Id(8)),
        one(3, "traceState", "trace_state", Kind::String),
        one(4, "parentSpanId", "parent_span_id", Kind::Id(8)),
        one(5, "name", "name", Kind::String),
        one(6, "kind", "kind", Kind::Enum(&SPAN_SPAN_KIND)),
        one(7, "startTimeUnixNano", "start_time_unix_nano", Kind::Fixed64),
        one(8, "endTimeUnixNano", "end_time_unix_nano", Kind::Fixed64),
        many(9, "attributes", "attributes", Kind::Message(&KEY_VALUE)),
        one(10, "droppedAttributesCount", "dropped_attributes_count", Kind::UInt32),
        many(11, "events", "events", Kind::Message(&SPAN_EVENT)),
        one(12, "droppedEventsCount", "dropped_events_count", Kind::UInt32),
        many(13, "links", "links", Kind::Message(&SPAN_LINK)),
        one(14, "droppedLinksCount", "dropped_links_count", Kind::UInt32),
        one(15, "status", "status", Kind::Message(&STATUS)),
        one(16, "flags", "flags", Kind::Fixed32),
    ],
};

/// `Span.SpanKind`.
pub(crate) static SPAN_SPAN_KIND: EnumType = EnumType {
    name: "Span.SpanKind",
    values: &[
        (0, "SPAN_KIND_UNSPECIFIED"),
        (1, "SPAN_KIND_INTERNAL"),
        (2, "SPAN_KIND_SERVER"),
        (3, "SPAN_KIND_CLIENT"),
        (4, "SPAN_KIND_PRODUCER"),
        (5, "SPAN_KIND_CONSUMER"),
    ],
};

/// `Span.Event`.
pub(crate) static SPAN_EVENT: Message = Message {
    name: "Span.Event",
    fields: &[
        one(1, "timeUnixNano", "time_unix_nano", Kind::Fixed64),
        one(2, "name", "name", Kind::String),
        many(3, "attributes", "attributes", Kind::Message(&KEY_VALUE)),
        one(4, "droppedAttributesCount", "dropped_attributes_count", Kind::UInt32),
    ],
};

/// `Span.Link`.
pub(crate) static SPAN_LINK: Message = Message {
    name: "Span.Link",
    fields: &[
        one(1, "traceId", "trace_id", Kind::Id(16)),
        one(2, "spanId", "span_id", Kind::Id(8)),
        one(3, "traceState", "trace_state", Kind::String),
        many(4, "attributes", "attributes", Kind::Message(&KEY_VALUE)),
        one(5, "droppedAttributesCount", "dropped_attributes_count", Kind::UInt32),
        one(6, "flags", "flags", Kind::Fixed32),
    ],
};

/// `Status`.
pub(crate) static STATUS: Message = Message {
    name: "Status",
    fields: &[
        one(2, "message", "message", Kind::String),
        one(3, "code", "code", Kind::Enum(&STATUS_STATUS_CODE)),
    ],
};

/// `Status.StatusCode`.
pub(crate) static STATUS_STATUS_CODE: EnumType = EnumType {
    name: "Status.StatusCode",
    values: &[(0, "STATUS_CODE_UNSET"), (1, "STATUS_CODE_OK"), (2, "STATUS_CODE_ERROR")],
};
