//! What is peculiar to HTTP/1.1: heads that proxies read differently, and the end of a request.
//!
//! Guarantees that a sender can read why its request was refused: a connection that is closed
//! while the body is still coming is reset, and the answer is lost with it. Knows nothing of OTLP.

use std::time::Duration;

use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, header};
use tonic::Code;

use super::answer::Answer;
use super::read::{Frames, Source};
use super::refusal;
use super::settings::Settings;
use crate::outcome::Failure;

/// Longest time to read the rest of a body that is refused. An attacker gains no memory by it.
const DRAIN_TIME: Duration = Duration::from_secs(1);

/// Least number of bytes to read of it; more when larger requests are allowed anyway.
const DRAIN_BYTES: usize = 1 << 20;

/// Refuses heads that the next proxy may take for another request, or another body.
///
/// # Errors
///
/// Not exactly one `Host` (RFC 9112, 3.2), or a transfer coding beside `chunked` (RFC 9112, 6.1).
pub(super) fn check(headers: &HeaderMap) -> Result<(), Failure> {
    if headers.get_all(header::HOST).iter().count() != 1 {
        let text = "a request over HTTP/1.1 has exactly one Host header: send one";
        return Err(refusal::bad(Code::InvalidArgument, "host", text));
    }
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let only_chunked = codings.all(|value| value.as_bytes().eq_ignore_ascii_case(b"chunked"));
    if !only_chunked {
        let text = "the only Transfer-Encoding known here is chunked: compress with \
                    Content-Encoding instead";
        let failure = refusal::bad(Code::Unimplemented, "transfer_encoding", text);
        return Err(failure.with_http_status(501));
    }
    Ok(())
}

/// Refuses a request that says nothing of a body. It has none then (RFC 9112, 6.3), and what its
/// sender takes for one would be lost under a success.
///
/// # Errors
///
/// Neither `Content-Length` nor `Transfer-Encoding`.
pub(super) fn check_length(headers: &HeaderMap) -> Result<(), Failure> {
    let says = [header::CONTENT_LENGTH, header::TRANSFER_ENCODING];
    if says.iter().any(|name| headers.contains_key(name)) {
        return Ok(());
    }
    let text = "the request has neither Content-Length nor Transfer-Encoding: chunked, so it has no \
                body: send one of them (Content-Length: 0 for an empty request)";
    let failure = refusal::bad(Code::InvalidArgument, "length_required", text);
    Err(failure.with_http_status(411))
}

/// Reads a bounded part of what is left of a refused request, and says so when the connection
/// cannot be used again.
pub(super) async fn finish<B: Frames>(
    settings: &Settings,
    head: &Parts,
    source: &mut Source<B>,
    response: &mut Response<Answer>,
) {
    if !source.is_unread() {
        return;
    }
    let held_back = head.headers.contains_key(header::EXPECT) && !source.was_begun();
    let ended =
        !held_back && source.drain(DRAIN_BYTES.max(settings.max_request_bytes), DRAIN_TIME).await;
    if !ended {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
}
