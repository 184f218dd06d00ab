//! Log records: `opentelemetry.proto.logs.v1` and its collector request.
//!
//! Plain tables in the order of the field numbers. `tests.rs` holds them equal to the generated
//! types. Knows nothing of bytes.

use crate::otlp::schema::common::{ANY_VALUE, INSTRUMENTATION_SCOPE, KEY_VALUE};
use crate::otlp::schema::resource::RESOURCE;
use crate::otlp::schema::types::{EnumType, Kind, Message, many, one};

/// `ExportLogsServiceRequest`.
pub(crate) static EXPORT_LOGS_SERVICE_REQUEST: Message = Message {
    name: "ExportLogsServiceRequest",
    fields: &[many(1, "resourceLogs", "resource_logs", Kind::Message(&RESOURCE_LOGS))],
};

/// `ResourceLogs`.
pub(crate) static RESOURCE_LOGS: Message = Message {
    name: "ResourceLogs",
    fields: &[
        one(1, "resource", "resource", Kind::Message(&RESOURCE)),
        many(2, "scopeLogs", "scope_logs", Kind::Message(&SCOPE_LOGS)),
        one(3, "schemaUrl", "schema_url", Kind::String),
    ],
};

/// `ScopeLogs`.
pub(crate) static SCOPE_LOGS: Message = Message {
    name: "ScopeLogs",
    fields: &[
        one(1, "scope", "scope", Kind::Message(&INSTRUMENTATION_SCOPE)),
        many(2, "logRecords", "log_records", Kind::Message(&LOG_RECORD)),
        one(3, "schemaUrl", "schema_url", Kind::String),
    ],
};

/// `SeverityNumber`.
pub(crate) static SEVERITY_NUMBER: EnumType = EnumType {
    name: "SeverityNumber",
    values: &[
        (0, "SEVERITY_NUMBER_UNSPECIFIED"),
        (1, "SEVERITY_NUMBER_TRACE"),
        (2, "SEVERITY_NUMBER_TRACE2"),
        (3, "SEVERITY_NUMBER_TRACE3"),
        (4, "SEVERITY_NUMBER_TRACE4"),
        (5, "SEVERITY_NUMBER_DEBUG"),
        (6, "SEVERITY_NUMBER_DEBUG2"),
        (7, "SEVERITY_NUMBER_DEBUG3"),
        (8, "SEVERITY_NUMBER_DEBUG4"),
        (9, "SEVERITY_NUMBER_INFO"),
        (10, "SEVERITY_NUMBER_INFO2"),
        (11, "SEVERITY_NUMBER_INFO3"),
        (12, "SEVERITY_NUMBER_INFO4"),
        (13, "SEVERITY_NUMBER_WARN"),
        (14, "SEVERITY_NUMBER_WARN2"),
        (15, "SEVERITY_NUMBER_WARN3"),
        (16, "SEVERITY_NUMBER_WARN4"),
        (17, "SEVERITY_NUMBER_ERROR"),
        (18, "SEVERITY_NUMBER_ERROR2"),
        (19, "SEVERITY_NUMBER_ERROR3"),
        (20, "SEVERITY_NUMBER_ERROR4"),
        (21, "SEVERITY_NUMBER_FATAL"),
        (22, "SEVERITY_NUMBER_FATAL2"),
        (23, "SEVERITY_NUMBER_FATAL3"),
        (24, "SEVERITY_NUMBER_FATAL4"),
    ],
};

/// `LogRecord`.
pub(crate) static LOG_RECORD: Message = Message {
    name: "LogRecord",
    fields: &[
        one(1, "timeUnixNano", "time_unix_nano", Kind::Fixed64),
        one(2, "severityNumber", "severity_number", Kind::Enum(&SEVERITY_NUMBER)),
        one(3, "severityText", "severity_text", Kind::String),
        one(5, "body", "body", Kind::Message(&ANY_VALUE)),
        many(6, "attributes", "attributes", Kind::Message(&KEY_VALUE)),
        one(7, "droppedAttributesCount", "dropped_attributes_count", Kind::UInt32),
        one(8, "flags", "flags", Kind::Fixed32),
        one(9, "traceId", "trace_id", Kind::Id(16)),
        one(10, "spanId", "span_id", Kind::Id(8)),
        one(11, "observedTimeUnixNano", "observed_time_unix_nano", Kind::Fixed64),
        one(12, "eventName", "event_name", Kind::String),
    ],
};
