//! OTLP/JSON to protobuf and back, by walking the schema tables (contract 6.4, 10.5).
//!
//! Guarantees bounded depth and memory: no tree is built in either direction, and the protobuf
//! form of a text is at most about four times as long as the text. What `decode` makes passes the
//! checker. Knows nothing of connections.
//!
//! What is accepted beyond proto3's JSON mapping, so that no sender loses data: snake_case names,
//! names of enumerations, numbers as texts anywhere, base64 in both alphabets. What is refused
//! although the Collector takes it: invalid UTF-8, lone surrogates, data after the request, two
//! choices of one `oneof`. A key that comes twice means what two fields mean in protobuf: lists
//! are joined, objects are merged, of other values the last one holds. `null` means absent; in a
//! list it is an empty element, so that the others keep their positions.

mod astray;
mod cursor;
mod decode;
mod encode;
mod error;
mod number;
mod plan;
mod text;
mod wire;
mod writer;

#[cfg(test)]
mod tests;

use crate::signal::Signal;

pub(crate) use decode::Decoded;
#[cfg(any(test, fuzzing))]
pub(crate) use encode::encode;
pub(crate) use encode::encode_up_to;
pub(crate) use error::{JsonError, TOO_LARGE};

/// The protobuf form of an OTLP/JSON export request, and which names were ignored.
///
/// # Errors
/// Not JSON, not a request of this signal, or larger than `most` bytes in protobuf.
pub(crate) fn decode_up_to(signal: Signal, text: &[u8], most: usize) -> Result<Decoded, JsonError> {
    decode::decode(signal, text, most)
}

/// The same without a limit.
///
/// # Errors
/// As there.
#[cfg(any(test, fuzzing))]
pub(crate) fn decode(signal: Signal, text: &[u8]) -> Result<Decoded, JsonError> {
    decode_up_to(signal, text, usize::MAX)
}
