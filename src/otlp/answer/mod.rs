//! Answers to export requests as bytes: `Export*ServiceResponse` and `google.rpc.Status`.
//!
//! Guarantees that code, text, details, retry hint and partial success survive in both directions
//! (contract 6.5, 6.6, 10), and that reading never fails for what OTLP lets a peer send. Knows
//! nothing of connections.

mod codes;
mod details;
mod status;
mod success;

#[cfg(test)]
mod tests;

use std::time::Duration;

use tonic::Code;

use crate::outcome::AnyDetail;

pub(crate) use codes::{code_of_http, http_status};
pub(crate) use status::{decode_status, encode_status};
pub(crate) use success::{decode_success, encode_success};

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
    /// Its code; unknown numbers are [`Code::Unknown`]. [`Code::Ok`] means that the body does not
    /// say: OTLP/HTTP does not use the field, the HTTP status tells.
    pub(crate) code: Code,
    /// Its text, shortened.
    pub(crate) message: String,
    /// The delay of its `RetryInfo`, if there was one.
    pub(crate) retry_after: Option<Duration>,
    /// Its other details.
    pub(crate) details: Vec<AnyDetail>,
}

/// A body that is not what it should be. The batch itself may well have been accepted: sending it
/// again on this error alone makes duplicates.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer cannot be read: {0}")]
pub(crate) struct AnswerError(pub(crate) String);
