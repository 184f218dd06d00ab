//! Profiles: `opentelemetry.proto.profiles.v1development` and its collector request.
//!
//! Plain tables in the order of the field numbers. `tests.rs` holds them equal to the generated
//! types. Knows nothing of bytes.

use crate::otlp::schema::common::{ANY_VALUE, INSTRUMENTATION_SCOPE};
use crate::otlp::schema::resource::RESOURCE;
use crate::otlp::schema::types::{Kind, Message, many, one};

/// `ExportProfilesServiceRequest`.
pub(crate) static EXPORT_PROFILES_SERVICE_REQUEST: Message = Message {
    name: "ExportProfilesServiceRequest",
    fields: &[
        many(1, "resourceProfiles", "resource_profiles", Kind::Message(&RESOURCE_PROFILES)),
        one(2, "dictionary", "dictionary", Kind::Message(&PROFILES_DICTIONARY)),
    ],
};

/// `ProfilesDictionary`.
pub(crate) static PROFILES_DICTIONARY: Message = Message {
    name: "ProfilesDictionary",
    fields: &[
        many(1, "mappingTable", "mapping_table", Kind::Message(&MAPPING)),
        many(2, "locationTable", "location_table", Kind::Message(&LOCATION)),
        many(3, "functionTable", "function_table", Kind::Message(&FUNCTION)),
        many(4, "linkTable", "link_table", Kind::Message(&LINK)),
        many(5, "stringTable", "string_table", Kind::String),
        many(6, "attributeTable", "attribute_table", Kind::Message(&KEY_VALUE_AND_UNIT)),
        many(7, "stackTable", "stack_table", Kind::Message(&STACK)),
    ],
};

/// `ResourceProfiles`.
pub(crate) static RESOURCE_PROFILES: Message = Message {
    name: "ResourceProfiles",
    fields: &[
        one(1, "resource", "resource", Kind::Message(&RESOURCE)),
        many(2, "scopeProfiles", "scope_profiles", Kind::Message(&SCOPE_PROFILES)),
        one(3, "schemaUrl", "schema_url", Kind::String),
    ],
};

/// `ScopeProfiles`.
pub(crate) static SCOPE_PROFILES: Message = Message {
    name: "ScopeProfiles",
    fields: &[
        one(1, "scope", "scope", Kind::Message(&INSTRUMENTATION_SCOPE)),
        many(2, "profiles", "profiles", Kind::Message(&PROFILE)),
        one(3, "schemaUrl", "schema_url", Kind::String),
    ],
};

/// `Profile`.
pub(crate) static PROFILE: Message = Message {
    name: "Profile",
    fields: &[
        one(1, "sampleType", "sample_type", Kind::Message(&VALUE_TYPE)),
        many(2, "samples", "samples", Kind::Message(&SAMPLE)),
        one(3, "timeUnixNano", "time_unix_nano", Kind::Fixed64),
        one(4, "durationNano", "duration_nano", Kind::UInt64),
        one(5, "periodType", "period_type", Kind::Message(&VALUE_TYPE)),
        one(6, "period", "period", Kind::Int64),
        one(7, "profileId", "profile_id", Kind::Id(16)),
        one(8, "droppedAttributesCount", "dropped_attributes_count", Kind::UInt32),
        one(9, "originalPayloadFormat", "original_payload_format", Kind::String),
        one(10, "originalPayload", "original_payload", Kind::Bytes),
        many(11, "attributeIndices", "attribute_indices", Kind::Int32),
    ],
};

/// `Link`.
pub(crate) static LINK: Message = Message {
    name: "Link",
    fields: &[
        one(1, "traceId", "trace_id", Kind::Id(16)),
        one(2, "spanId", "span_id", Kind::Id(8)),
    ],
};

/// `ValueType`.
pub(crate) static VALUE_TYPE: Message = Message {
    name: "ValueType",
    fields: &[
        one(1, "typeStrindex", "type_strindex", Kind::Int32),
        one(2, "unitStrindex", "unit_strindex", Kind::Int32),
    ],
};

/// `Sample`.
pub(crate) static SAMPLE: Message = Message {
    name: "Sample",
    fields: &[
        one(1, "stackIndex", "stack_index", Kind::Int32),
        many(2, "attributeIndices", "attribute_indices", Kind::Int32),
        one(3, "linkIndex", "link_index", Kind::Int32),
        many(4, "values", "values", Kind::Int64),
        many(5, "timestampsUnixNano", "timestamps_unix_nano", Kind::Fixed64),
    ],
};

/// `Mapping`.
pub(crate) static MAPPING: Message = Message {
    name: "Mapping",
    fields: &[
        one(1, "memoryStart", "memory_start", Kind::UInt64),
        one(2, "memoryLimit", "memory_limit", Kind::UInt64),
        one(3, "fileOffset", "file_offset", Kind::UInt64),
        one(4, "filenameStrindex", "filename_strindex", Kind::Int32),
        many(5, "attributeIndices", "attribute_indices", Kind::Int32),
    ],
};

/// `Stack`.
pub(crate) static STACK: Message = Message {
    name: "Stack",
    fields: &[many(1, "locationIndices", "location_indices", Kind::Int32)],
};

/// `Location`.
pub(crate) static LOCATION: Message = Message {
    name: "Location",
    fields: &[
        one(1, "mappingIndex", "mapping_index", Kind::Int32),
        one(2, "address", "address", Kind::UInt64),
        many(3, "lines", "lines", Kind::Message(&LINE)),
        many(4, "attributeIndices", "attribute_indices", Kind::Int32),
    ],
};

/// `Line`.
pub(crate) static LINE: Message = Message {
    name: "Line",
    fields: &[
        one(1, "functionIndex", "function_index", Kind::Int32),
        one(2, "line", "line", Kind::Int64),
        one(3, "column", "column", Kind::Int64),
    ],
};

/// `Function`.
pub(crate) static FUNCTION: Message = Message {
    name: "Function",
    fields: &[
        one(1, "nameStrindex", "name_strindex", Kind::Int32),
        one(2, "systemNameStrindex", "system_name_strindex", Kind::Int32),
        one(3, "filenameStrindex", "filename_strindex", Kind::Int32),
        one(4, "startLine", "start_line", Kind::Int64),
    ],
};

/// `KeyValueAndUnit`.
pub(crate) static KEY_VALUE_AND_UNIT: Message = Message {
    name: "KeyValueAndUnit",
    fields: &[
        one(1, "keyStrindex", "key_strindex", Kind::Int32),
        one(2, "value", "value", Kind::Message(&ANY_VALUE)),
        one(3, "unitStrindex", "unit_strindex", Kind::Int32),
    ],
};
