//! What a schema table is made of.
//!
//! Guarantees nothing by itself; knows nothing of the wire or of JSON.

/// A protobuf message type.
#[derive(Debug)]
pub(crate) struct Message {
    /// Name in its package, with the outer message for nested types: `Span.Event`.
    pub(crate) name: &'static str,
    /// Every known field, in ascending order of number.
    pub(crate) fields: &'static [Field],
}

impl Message {
    /// The field with this number, if it is known.
    pub(crate) fn field(&self, number: u32) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.number == number)
    }

    /// The field with this name in JSON, in either spelling.
    pub(crate) fn field_named(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.json == name || field.proto == name)
    }
}

/// One field of a message.
#[derive(Debug)]
pub(crate) struct Field {
    /// The number on the wire.
    pub(crate) number: u32,
    /// The name in OTLP/JSON, lowerCamelCase.
    pub(crate) json: &'static str,
    /// The name in the `.proto` file, snake_case.
    pub(crate) proto: &'static str,
    /// What a value is.
    pub(crate) kind: Kind,
    /// Whether there may be many values; numeric ones may then come packed or one by one.
    pub(crate) repeated: bool,
    /// Fields of a message with the same number here exclude each other. OTLP has at most one
    /// such choice in a message, so the number is always 0.
    pub(crate) oneof: Option<u8>,
}

/// The type of a value: those protobuf types that OTLP uses.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// Varint, false for 0.
    Bool,
    /// Any bytes; base64 in JSON.
    Bytes,
    /// 64-bit floating point, eight bytes.
    Double,
    /// Varint, one of the listed values or any other 32-bit number.
    Enum(&'static EnumType),
    /// Four bytes.
    Fixed32,
    /// Eight bytes.
    Fixed64,
    /// Bytes that are an id: none or exactly this many; hexadecimal in JSON.
    Id(usize),
    /// Varint, negative ones in ten bytes.
    Int32,
    /// Varint, negative ones in ten bytes.
    Int64,
    /// A nested message.
    Message(&'static Message),
    /// Eight bytes, signed.
    SFixed64,
    /// Zigzag varint.
    SInt32,
    /// UTF-8.
    String,
    /// Varint.
    UInt32,
    /// Varint.
    UInt64,
}

/// An enumeration. proto3 enumerations are open: other numbers are valid on the wire.
#[derive(Debug)]
pub(crate) struct EnumType {
    /// Name in its package: `Span.SpanKind`.
    pub(crate) name: &'static str,
    /// Numbers and names, as in the `.proto` file.
    pub(crate) values: &'static [(i32, &'static str)],
}

/// A singular field.
pub(super) const fn one(number: u32, json: &'static str, proto: &'static str, kind: Kind) -> Field {
    Field { number, json, proto, kind, repeated: false, oneof: None }
}

/// A repeated field.
pub(super) const fn many(
    number: u32,
    json: &'static str,
    proto: &'static str,
    kind: Kind,
) -> Field {
    Field { number, json, proto, kind, repeated: true, oneof: None }
}

/// One choice of the message's `oneof`.
pub(super) const fn choice(
    number: u32,
    json: &'static str,
    proto: &'static str,
    kind: Kind,
) -> Field {
    Field { number, json, proto, kind, repeated: false, oneof: Some(0) }
}

impl Kind {
    /// How a single value is written.
    pub(crate) const fn wire_type(self) -> u16 {
        match self {
            Self::Bool
            | Self::Enum(_)
            | Self::Int32
            | Self::Int64
            | Self::SInt32
            | Self::UInt32
            | Self::UInt64 => 0,
            Self::Double | Self::Fixed64 | Self::SFixed64 => 1,
            Self::Bytes | Self::Id(_) | Self::Message(_) | Self::String => 2,
            Self::Fixed32 => 5,
        }
    }
}
