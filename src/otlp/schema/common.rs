//! Messages shared by all signals: `opentelemetry.proto.common.v1`.
//!
//! Plain tables in the order of the field numbers. `tests.rs` holds them equal to the generated
//! types. Knows nothing of bytes.

use crate::otlp::schema::types::{Kind, Message, choice, many, one};

/// `AnyValue`.
pub(crate) static ANY_VALUE: Message = Message {
    name: "AnyValue",
    fields: &[
        choice(1, "stringValue", "string_value", Kind::String),
        choice(2, "boolValue", "bool_value", Kind::Bool),
        choice(3, "intValue", "int_value", Kind::Int64),
        choice(4, "doubleValue", "double_value", Kind::Double),
        choice(5, "arrayValue", "array_value", Kind::Message(&ARRAY_VALUE)),
        choice(6, "kvlistValue", "kvlist_value", Kind::Message(&KEY_VALUE_LIST)),
        choice(7, "bytesValue", "bytes_value", Kind::Bytes),
        choice(8, "stringValueStrindex", "string_value_strindex", Kind::Int32),
    ],
};

/// `ArrayValue`.
pub(crate) static ARRAY_VALUE: Message = Message {
    name: "ArrayValue",
    fields: &[many(1, "values", "values", Kind::Message(&ANY_VALUE))],
};

/// `KeyValueList`.
pub(crate) static KEY_VALUE_LIST: Message = Message {
    name: "KeyValueList",
    fields: &[many(1, "values", "values", Kind::Message(&KEY_VALUE))],
};

/// `KeyValue`.
pub(crate) static KEY_VALUE: Message = Message {
    name: "KeyValue",
    fields: &[
        one(1, "key", "key", Kind::String),
        one(2, "value", "value", Kind::Message(&ANY_VALUE)),
        one(3, "keyStrindex", "key_strindex", Kind::Int32),
    ],
};

/// `InstrumentationScope`.
pub(crate) static INSTRUMENTATION_SCOPE: Message = Message {
    name: "InstrumentationScope",
    fields: &[
        one(1, "name", "name", Kind::String),
        one(2, "version", "version", Kind::String),
        many(3, "attributes", "attributes", Kind::Message(&KEY_VALUE)),
        one(4, "droppedAttributesCount", "dropped_attributes_count", Kind::UInt32),
    ],
};

/// `EntityRef`.
pub(crate) static ENTITY_REF: Message = Message {
    name: "EntityRef",
    fields: &[
        one(1, "schemaUrl", "schema_url", Kind::String),
        one(2, "type", "type", Kind::String),
        many(3, "idKeys", "id_keys", Kind::String),
        many(4, "descriptionKeys", "description_keys", Kind::String),
    ],
};
