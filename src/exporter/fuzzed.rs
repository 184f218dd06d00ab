//! What becomes of an upstream's answer, given as bytes, for fuzzing.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use tonic::Code;

use crate::batch::Batch;
use crate::exporter::{grpc, http as web};
use crate::outcome::{Failure, Outcome, Side};

/// An answer as it would be read from a connection.
pub(crate) struct Read {
    /// The HTTP status.
    pub(crate) status: StatusCode,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The whole body.
    pub(crate) body: Bytes,
    /// What followed the body, over gRPC.
    pub(crate) trailers: Option<HeaderMap>,
}

/// Of an answer over gRPC.
pub(crate) fn over_grpc(answer: Read, batch: &Batch) -> Outcome {
    let Read { status, headers, body, trailers } = answer;
    grpc::read_answer(status, headers, body, trailers, batch, failure)
}

/// Of an answer over HTTP.
pub(crate) fn over_http(answer: Read, batch: &Batch) -> Outcome {
    web::read_answer(answer.status, answer.headers, answer.body, batch, failure)
}

fn failure(code: Code, reason: &'static str, text: &str) -> Failure {
    Failure::new(code, Side::Upstream, reason, text)
}
