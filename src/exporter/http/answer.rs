//! Reads an OTLP/HTTP answer under a size limit.
//!
//! Guarantees that an upstream's 2xx stays a success when only its words cannot be read (the
//! Collector counts such data as failed, and it would be sent again), except that an answer over
//! the limit is a failure that is not retried (check L9).

use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tonic::Code;
use tracing::warn;

use crate::batch::{Batch, Rope};
use crate::coding::{Coding, InflateError, Inflater};
use crate::exporter::advice::advice;
use crate::exporter::http::retry_after;
use crate::exporter::whom::Whom;
use crate::otlp::answer::{self, Encoding};
use crate::outcome::{Accepted, Failure, Outcome};

/// Largest answer read, in bytes, before and after inflating (OTLP 1.11 recommends 4 MiB).
pub(super) const MAX_ANSWER: usize = 4 * 1024 * 1024;
/// What a 429 without `Retry-After` becomes: RESOURCE_EXHAUSTED without a hint would make senders
/// on gRPC drop data that the upstream only wants later.
const SOON: Duration = Duration::from_secs(1);

/// An answer as it came.
#[derive(Debug)]
pub(super) struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    /// `None` when it was too large.
    body: Option<Bytes>,
}

/// Reads an answer to its end. Of a failure its status says most: who answers it before the request
/// was read whole may reset the connection behind it, and the words that came by then must do.
///
/// # Errors
/// The connection broke in the middle of a success.
pub(super) async fn read(response: Response<Incoming>) -> Result<Answer, hyper::Error> {
    let (head, mut body) = response.into_parts();
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = match frame {
            Err(_broken) if !head.status.is_success() => break,
            frame => frame?,
        };
        let Ok(piece) = frame.into_data() else { continue };
        if whole.len() + piece.len() > MAX_ANSWER {
            return Ok(Answer { status: head.status, headers: head.headers, body: None });
        }
        whole.extend_from_slice(&piece);
    }
    Ok(Answer { status: head.status, headers: head.headers, body: Some(whole.freeze()) })
}

/// What is said of an answer that was read as this.
#[cfg(any(test, fuzzing))]
pub(crate) fn read_answer(
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    batch: &Batch,
    whom: Whom<'_>,
) -> Outcome {
    Answer { status, headers, body: Some(body) }.outcome(batch, whom)
}

impl Answer {
    /// What the upstream said.
    pub(super) fn outcome(&self, batch: &Batch, whom: Whom<'_>) -> Outcome {
        let body = self.inflated();
        if self.status.is_success() {
            return match body {
                Ok(body) => Ok(self.accepted(batch, &body)),
                Err(Unreadable::Damaged) => Ok(Accepted::default()),
                Err(Unreadable::TooLarge) => {
                    let text = "its answer is larger than 4 MiB and was not read; it may have taken the batch";
                    Err(whom.failure(Code::Internal, "upstream_answer_too_large", text))
                }
            };
        }
        if self.status.is_redirection() {
            return Err(self.redirected(whom));
        }
        Err(self.refused(&body.unwrap_or_default(), whom))
    }

    fn accepted(&self, batch: &Batch, body: &[u8]) -> Accepted {
        let Some(encoding) = self.encoding() else { return Accepted::default() };
        answer::decode_success(batch.signal, body, encoding).unwrap_or_else(|error| {
            warn!(signal = %batch.signal, %error, "upstream's success has a body that cannot be read; taken as a success");
            Accepted::default()
        })
    }

    fn refused(&self, body: &[u8], whom: Whom<'_>) -> Failure {
        let number = self.status.as_u16();
        let code = answer::code_of_http(number);
        let status = self.encoding().and_then(|encoding| answer::decode_status(body, encoding));
        if status.is_none() && number == 400 && wants_tls(body) {
            let text = "it answered that this port wants TLS: write https:// into the exporter's endpoint, or use its plaintext port";
            return whom.failure(Code::Unavailable, "upstream_expects_tls", text);
        }
        let text = match &status {
            Some(status) if !status.message.is_empty() => {
                let next = advice(code, &status.message);
                format!("it answered HTTP status {number}: {}{next}", status.message)
            }
            Some(_) => format!("it answered HTTP status {number}"),
            None => {
                let kind = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
                format!(
                    "it answered HTTP status {number} without an OTLP status (content type {:?}){}",
                    kind.unwrap_or("none"),
                    hint(number)
                )
            }
        };
        let mut failed = whom.failure(code, reason(number), &text);
        failed.retry_after = self.retry_after(status.as_ref().and_then(|s| s.retry_after));
        if let Some(status) = status {
            failed.details = status.details;
        }
        // No code says it, and its 500 would not tell a sender that smaller batches help.
        failed.http_status = (number == 413).then_some(413);
        failed
    }

    /// The header counts on 429 and 503 only, as in the Collector; the hint in a status on whatever
    /// may be sent again.
    fn retry_after(&self, of_status: Option<Duration>) -> Option<Duration> {
        let header = || self.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let delay = || header().and_then(|value| retry_after::parse(value, SystemTime::now()));
        match self.status.as_u16() {
            429 => Some(delay().or(of_status).unwrap_or(SOON)),
            503 => delay().or(of_status),
            502 | 504 => of_status,
            _ => None,
        }
    }

    fn redirected(&self, whom: Whom<'_>) -> Failure {
        let to = self.headers.get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or("");
        let text = format!(
            "it answered HTTP status {} and sends us to {to:?}; redirects are not followed: write the final URL into the exporter's endpoint",
            self.status.as_u16()
        );
        whom.failure(Code::Unknown, "upstream_redirect", &text)
    }

    /// How the body is written, parameters such as a charset and case aside.
    fn encoding(&self) -> Option<Encoding> {
        let value = self.headers.get(CONTENT_TYPE)?.to_str().ok()?;
        let media = value.split(';').next()?.trim();
        let is = |name: &str| media.eq_ignore_ascii_case(name);
        if is("application/json") {
            Some(Encoding::Json)
        } else if is("application/x-protobuf") {
            Some(Encoding::Protobuf)
        } else {
            None
        }
    }

    fn inflated(&self) -> Result<Bytes, Unreadable> {
        let body = self.body.as_ref().ok_or(Unreadable::TooLarge)?;
        let name = self.headers.get(CONTENT_ENCODING).and_then(|v| v.to_str().ok()).unwrap_or("");
        let coding = match Coding::from_http_name(name) {
            Some(None) => return Ok(body.clone()),
            Some(Some(coding)) => coding,
            None => return Err(Unreadable::Damaged),
        };
        let mut out = Rope::new();
        let mut inflater = Inflater::new(coding, MAX_ANSWER);
        match inflater.push(body, &mut out).and_then(|()| inflater.finish(&mut out)) {
            Ok(()) => Ok(out.to_bytes()),
            Err(InflateError::TooLarge { .. }) => Err(Unreadable::TooLarge),
            Err(error) => {
                warn!(%error, "upstream's answer cannot be inflated");
                Err(Unreadable::Damaged)
            }
        }
    }
}

enum Unreadable {
    Damaged,
    TooLarge,
}

/// Whether it is what Go, nginx or Apache answer to plaintext on a port with TLS. Our configuration
/// is wrong then, and not the batch.
fn wants_tls(body: &[u8]) -> bool {
    let start = String::from_utf8_lossy(body.get(..1024).unwrap_or(body));
    let says = |words: &&str| start.contains(*words);
    [
        "HTTP request to an HTTPS server",
        "plain HTTP request was sent to HTTPS port",
        "speaking plain HTTP to an SSL-enabled server port",
    ]
    .iter()
    .any(says)
}

/// What to look at when an answer is not OTLP's own: it may come from anything on the way.
fn hint(status: u16) -> &'static str {
    match status {
        401 | 403 => ": check the exporter's headers and certificate",
        407 => {
            ": the proxy wants a user and a password; write them into its URL, as http://USER:PASSWORD@HOST:PORT"
        }
        404 | 405 | 415 => ": is OTLP over HTTP served at this URL?",
        413 => ": the batch is too large for it",
        502..=504 => ": what is behind it is down or slow",
        _ => ": its log knows more",
    }
}

/// A closed set of labels for an open set of numbers.
fn reason(status: u16) -> &'static str {
    match status {
        400 => "upstream_http_400",
        401 => "upstream_http_401",
        403 => "upstream_http_403",
        404 => "upstream_http_404",
        407 => "upstream_http_407",
        408 => "upstream_http_408",
        413 => "upstream_http_413",
        415 => "upstream_http_415",
        429 => "upstream_http_429",
        500 => "upstream_http_500",
        502 => "upstream_http_502",
        503 => "upstream_http_503",
        504 => "upstream_http_504",
        100..=499 => "upstream_http_4xx",
        _ => "upstream_http_5xx",
    }
}
