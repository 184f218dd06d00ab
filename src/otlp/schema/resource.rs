//! The origin of telemetry: `opentelemetry.proto.resource.v1`.
//!
//! Plain tables in the order of the field numbers. `tests.rs` holds them equal to the generated
//! types. Knows nothing of bytes.

use crate::otlp::schema::common::{ENTITY_REF, KEY_VALUE};
use crate::otlp::schema::types::{Kind, Message, many, one};

/// `Resource`.
pub(crate) static RESOURCE: Message = Message {
    name: "Resource",
    fields: &[
        many(1, "attributes", "attributes", Kind::Message(&KEY_VALUE)),
        one(2, "droppedAttributesCount", "dropped_attributes_count", Kind::UInt32),
        many(3, "entityRefs", "entity_refs", Kind::Message(&ENTITY_REF)),
    ],
};
