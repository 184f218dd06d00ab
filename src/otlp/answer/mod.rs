//! Answers to export requests as bytes: `Export*ServiceResponse` and `google.rpc.Status`.
//!
//! Guarantees that code, text, details, retry hint and partial success survive in both directions
//! (contract 6.5, 6.6, 10). Knows nothing of connections.

use std::time::Duration;

use bytes::Bytes;
use tonic::Code;

use crate::outcome::{Accepted, AnyDetail, Failure};
use crate::signal::Signal;

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// `application/json`
    Json,
    /// `application/x-protobuf`
    Protobuf,
}

/// A `google.rpc.Status` as it came from upstream.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Status {
    /// Its code; unknown numbers are [`Code::Unknown`].
    pub(crate) code: Code,
    /// Its text.
    pub(crate) message: String,
    /// The delay of its `RetryInfo`, if there was one.
    pub(crate) retry_after: Option<Duration>,
    /// Its other details.
    pub(crate) details: Vec<AnyDetail>,
}

/// A body that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer cannot be read: {0}")]
pub(crate) struct AnswerError(pub(crate) String);

/// The response message of a success: empty, or with `partial_success` (contract 13 D19).
pub(crate) fn encode_success(_signal: Signal, _accepted: &Accepted, _encoding: Encoding) -> Bytes {
    Bytes::new()
}

/// Reads an upstream's response message.
///
/// # Errors
/// It cannot be decoded.
pub(crate) fn decode_success(
    _signal: Signal,
    _body: &[u8],
    _encoding: Encoding,
) -> Result<Accepted, AnswerError> {
    Ok(Accepted::default())
}

/// `google.rpc.Status` of a failure with `RetryInfo` and details; protobuf is also what
/// `grpc-status-details-bin` holds.
pub(crate) fn encode_status(_failure: &Failure, _encoding: Encoding) -> Bytes {
    Bytes::new()
}

/// Reads a `google.rpc.Status`; `None` when it is not one.
pub(crate) fn decode_status(_body: &[u8], _encoding: Encoding) -> Option<Status> {
    None
}

/// The HTTP status of a failure: its own, or the one its code maps to (contract 6.5).
pub(crate) fn http_status(_failure: &Failure) -> u16 {
    500
}

/// The code that an HTTP status maps to (contract 6.5).
pub(crate) fn code_of_http(_status: u16) -> Code {
    Code::Unknown
}
