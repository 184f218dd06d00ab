//! The end of a request on HTTP/1.1.
//!
//! Guarantees that a sender can read why its request was refused: a connection that is closed
//! while the body is still coming is reset, and the answer is lost with it. Knows nothing of OTLP.

use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Response, header};
use http_body::Body;

use super::answer::Answer;
use super::read::Source;
use super::settings::Settings;

/// Longest time to read the rest of a body that is refused. An attacker gains no memory by it.
const DRAIN_TIME: Duration = Duration::from_secs(1);

/// Least number of bytes to read of it; more when larger requests are allowed anyway.
const DRAIN_BYTES: usize = 1 << 20;

/// Reads a bounded part of what is left of a refused request, and says so when the connection
/// cannot be used again.
pub(super) async fn finish<B>(
    settings: &Settings,
    head: &Parts,
    source: &mut Source<B>,
    response: &mut Response<Answer>,
) where
    B: Body<Data = Bytes, Error: std::error::Error> + Unpin,
{
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
