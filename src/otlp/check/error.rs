//! Why a request is not OTLP.
//!
//! Guarantees a stable reason, and that no byte of the request's content is repeated.

use std::fmt;

/// A request that a decoder would refuse, or that holds an id of a wrong length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{place} at byte {offset}: {fault}; the sender's OTLP encoder is at fault, or the body was damaged on the way"
)]
pub(crate) struct CheckError {
    /// What is wrong.
    pub(crate) fault: Fault,
    /// The innermost message and field.
    pub(crate) place: Place,
    /// Number of bytes of the request before the point where it was noticed.
    pub(crate) offset: u64,
}

impl CheckError {
    /// Stable reason code.
    pub(crate) fn reason(&self) -> &'static str {
        match self.fault {
            Fault::Depth => "protobuf_depth",
            Fault::Group => "protobuf_group",
            Fault::IdLength { .. } => "id_length",
            Fault::Key => "protobuf_key",
            Fault::Overrun => "protobuf_length",
            Fault::Truncated => "protobuf_truncated",
            Fault::Utf8 => "protobuf_utf8",
            Fault::Varint => "protobuf_varint",
            Fault::WireType { .. } => "protobuf_wire_type",
        }
    }
}

/// Where in the schema a fault was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A known field.
    Field {
        /// Name of the message type.
        message: &'static str,
        /// Name of the field.
        field: &'static str,
    },
    /// Between fields, or in the key of one.
    Message {
        /// Name of the message type.
        message: &'static str,
    },
    /// In a field that OTLP does not know, or in a group of such.
    Unknown {
        /// Name of the message type.
        message: &'static str,
        /// The number of the field, or of the innermost one.
        number: u32,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field { message, field } => write!(f, "{message}.{field}"),
            Self::Message { message } => write!(f, "{message}"),
            Self::Unknown { message, number } => write!(f, "unknown field {number} of {message}"),
        }
    }
}

/// What is wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// Nesting beyond [`super::MOST_LEVELS`].
    #[error("messages are nested more than {} deep", super::MOST_LEVELS)]
    Depth,
    /// A group that ends without a start, under another number, or not at all.
    #[error("a group does not start and end in the same message")]
    Group,
    /// A trace, span or profile id that is neither absent nor of its length.
    #[error("an id of {found} bytes, where it must have {expected} or none")]
    IdLength {
        /// Its length in OTLP.
        expected: u8,
        /// The length found.
        found: u64,
    },
    /// Field number 0 or beyond 2^29 - 1, or a wire type that does not exist.
    #[error("no valid field number and wire type")]
    Key,
    /// A value goes on after the end of its message.
    #[error("the value is longer than the message it is in")]
    Overrun,
    /// The request ends inside a value.
    #[error("the request ends in the middle of it")]
    Truncated,
    /// Text is not UTF-8.
    #[error("text that is not UTF-8")]
    Utf8,
    /// A number of more than 64 bits.
    #[error("a number of more than 64 bits")]
    Varint,
    /// A known field with the wire type of another type.
    #[error("wire type {found} does not fit the field's type")]
    WireType {
        /// The wire type found.
        found: u32,
    },
}
