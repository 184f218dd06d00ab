//! What becomes of an upstream's answer, given as bytes, for fuzzing.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use crate::batch::Batch;
use crate::exporter::whom::Whom;
use crate::exporter::{grpc, http as web};
use crate::outcome::Outcome;

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
    grpc::read_answer(status, headers, body, trailers, batch, WHOM)
}

/// Of an answer over HTTP.
pub(crate) fn over_http(answer: Read, batch: &Batch) -> Outcome {
    web::read_answer(answer.status, answer.headers, answer.body, batch, WHOM)
}

const WHOM: Whom<'static> = Whom { exporter: "otlp", upstream: "backend:4317" };
