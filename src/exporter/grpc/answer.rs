//! Reads a gRPC answer under a size limit.
//!
//! Guarantees that an upstream's OK stays an OK when only its words cannot be read, except that
//! an answer over the limit is a failure that is not retried (check L9).

use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Response, StatusCode};
use tonic::Code;
use tracing::warn;

use crate::batch::{Batch, Rope};
use crate::coding::{Coding, Inflater};
use crate::exporter::advice::advice;
use crate::exporter::grpc::status;
use crate::exporter::whom::Whom;
use crate::otlp::answer::{self, Encoding};
use crate::outcome::{Accepted, Failure, Outcome};

/// Largest answer read, in bytes, before and after inflating (OTLP 1.11 recommends 4 MiB).
pub(super) const MAX_ANSWER: usize = 4 * 1024 * 1024;
/// Flag and length before a message.
const PREFIX: usize = 5;

/// An answer as it came.
#[derive(Debug)]
pub(super) struct Answer {
    http: StatusCode,
    headers: HeaderMap,
    body: Body,
    /// The headers themselves when the answer is only trailers.
    trailers: Option<HeaderMap>,
}

#[derive(Debug)]
enum Body {
    Whole(Bytes),
    TooLarge,
}

/// Reads an answer to its end.
///
/// # Errors
/// The stream or the connection broke.
pub(super) async fn read(response: Response<RecvStream>) -> Result<Answer, h2::Error> {
    let (head, mut stream) = response.into_parts();
    let mut answer = Answer {
        http: head.status,
        headers: head.headers,
        body: Body::Whole(Bytes::new()),
        trailers: None,
    };
    if stream.is_end_stream() {
        return Ok(answer);
    }
    let mut first = Bytes::new();
    let mut whole = BytesMut::new();
    while let Some(piece) = stream.data().await {
        let piece = piece?;
        stream.flow_control().release_capacity(piece.len())?;
        if whole.len() + first.len() + piece.len() > MAX_ANSWER + PREFIX {
            // Dropping the stream resets it.
            answer.body = Body::TooLarge;
            return Ok(answer);
        }
        if first.is_empty() && whole.is_empty() {
            first = piece;
        } else {
            whole.extend_from_slice(&std::mem::take(&mut first));
            whole.extend_from_slice(&piece);
        }
    }
    answer.body = Body::Whole(if whole.is_empty() { first } else { whole.freeze() });
    answer.trailers = stream.trailers().await?;
    Ok(answer)
}

/// What is said of an answer that was read as this.
#[cfg(any(test, fuzzing))]
pub(crate) fn read_answer(
    http: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    trailers: Option<HeaderMap>,
    batch: &Batch,
    whom: Whom<'_>,
) -> Outcome {
    Answer { http, headers, body: Body::Whole(body), trailers }.outcome(batch, whom)
}

impl Answer {
    /// What the upstream said.
    pub(super) fn outcome(&self, batch: &Batch, whom: Whom<'_>) -> Outcome {
        let Body::Whole(body) = &self.body else {
            return Err(too_large(whom));
        };
        let trailers = self.trailers.as_ref().unwrap_or(&self.headers);
        let Some(status) = status::read(trailers) else {
            return Err(self.without_status(whom));
        };
        if status.code != Code::Ok {
            let next = advice(status.code, &status.message);
            let text = format!("it answered {:?}: {}{next}", status.code, status.message);
            let mut failed = whom.failure(status.code, status::reason(status.code), &text);
            failed.retry_after = status.retry_after;
            failed.details = status.details;
            return Err(failed);
        }
        match self.message(body) {
            Message::TooLarge => Err(too_large(whom)),
            Message::None => Ok(Accepted::default()),
            Message::Bytes(message) => {
                match answer::decode_success(batch.signal, &message, Encoding::Protobuf) {
                    Ok(accepted) => Ok(accepted),
                    Err(error) => {
                        warn!(signal = %batch.signal, %error, "upstream's OK has a body that cannot be read; taken as OK");
                        Ok(Accepted::default())
                    }
                }
            }
        }
    }

    fn without_status(&self, whom: Whom<'_>) -> Failure {
        let number = self.http.as_u16();
        let kind = self.headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("none");
        let code = status::of_http(self.http);
        if kind.starts_with("application/grpc") {
            let text = format!(
                "its answer in gRPC has no grpc-status (HTTP status {number}): it broke off, or a proxy before it dropped the trailers; it may have taken the batch"
            );
            return whom.failure(code, "upstream_no_grpc_status", &text);
        }
        let text = format!(
            "it did not answer in gRPC (HTTP status {number}, content type {kind:?}): is a gRPC service behind this endpoint?"
        );
        whom.failure(code, "upstream_not_grpc", &text)
    }

    fn message(&self, body: &Bytes) -> Message {
        let Some((prefix, message)) = body.split_at_checked(PREFIX) else { return Message::None };
        let [flag, length @ ..] = prefix else { return Message::None };
        let length = length.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
        if length > MAX_ANSWER {
            return Message::TooLarge;
        }
        let Some(message) = message.get(..length) else { return Message::None };
        if *flag == 0 {
            return Message::Bytes(body.slice_ref(message));
        }
        let name = self.headers.get("grpc-encoding").and_then(|v| v.to_str().ok()).unwrap_or("");
        let Some(Some(coding)) = Coding::from_grpc_name(name) else { return Message::None };
        let mut inflated = Rope::new();
        let mut inflater = Inflater::new(coding, MAX_ANSWER);
        let result =
            inflater.push(message, &mut inflated).and_then(|()| inflater.finish(&mut inflated));
        match result {
            Ok(()) => Message::Bytes(inflated.to_bytes()),
            Err(crate::coding::InflateError::TooLarge { .. }) => Message::TooLarge,
            Err(error) => {
                warn!(%error, "upstream's OK has a body that cannot be inflated; taken as OK");
                Message::None
            }
        }
    }
}

enum Message {
    Bytes(Bytes),
    None,
    TooLarge,
}

fn too_large(whom: Whom<'_>) -> Failure {
    // Not RESOURCE_EXHAUSTED: that is 429 on HTTP, and a sender would send the batch again that
    // the upstream may have taken.
    let text = "its answer is larger than 4 MiB and was not read; it may have taken the batch";
    whom.failure(Code::Internal, "upstream_answer_too_large", text)
}
