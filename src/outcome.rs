//! The answer to one export: what a backend, or the gateway itself, said of a batch.
//!
//! One type serves every hop, so that nothing of an answer (code, details, retry hint, partial
//! success) is lost between upstream and sender. Knows nothing of HTTP or gRPC framing.

use std::time::Duration;

use tonic::Code;

/// What became of a batch.
pub type Outcome = Result<Accepted, Failure>;

/// The batch was accepted, possibly in part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// Present when the backend rejected some items or sent a warning (OTLP "Partial Success").
    pub partial_success: Option<PartialSuccess>,
}

/// OTLP's `Export*PartialSuccess`, the same shape for every signal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartialSuccess {
    /// Number of rejected spans, data points, log records or profiles; 0 for a mere warning.
    pub rejected: i64,
    /// The backend's words, in English, at most [`MAX_MESSAGE_BYTES`] long.
    pub message: String,
}

/// The batch was not accepted.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// gRPC status code. HTTP answers are derived from it unless `http_status` is set.
    pub code: Code,
    /// What happened, to whom, why and what to do next; at most [`MAX_MESSAGE_BYTES`] long.
    pub message: String,
    /// Stable reason code, also the metric label, such as `upstream_unreachable`.
    pub reason: &'static str,
    /// Whose fault it is.
    pub side: Side,
    /// When the sender may try again; becomes `RetryInfo` and `Retry-After`.
    pub retry_after: Option<Duration>,
    /// An HTTP status to answer instead of the one derived from `code`, such as 413.
    pub http_status: Option<u16>,
    /// `google.protobuf.Any` details received from upstream, passed on as they came, except a
    /// `RetryInfo`, which is in `retry_after`.
    pub details: Vec<AnyDetail>,
}

/// One `google.protobuf.Any` of a `google.rpc.Status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnyDetail {
    /// Such as `type.googleapis.com/google.rpc.BadRequest`.
    pub type_url: String,
    /// The serialized message.
    pub value: Vec<u8>,
}

/// Which side of the gateway caused a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The sender.
    Downstream,
    /// The gateway itself.
    Internal,
    /// The backend or the way to it.
    Upstream,
}

/// Longest text passed on in a status message or a partial success, in bytes. A longer one makes
/// HTTP/2 peers reset the stream because of their header list limits (`observed.md` "Data").
pub const MAX_MESSAGE_BYTES: usize = 2048;

impl Failure {
    /// A failure with no retry hint, no details and the HTTP status that `code` maps to.
    pub fn new(code: Code, side: Side, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: shorten(message.into()),
            reason,
            side,
            retry_after: None,
            http_status: None,
            details: Vec::new(),
        }
    }

    /// The same failure with a hint when to try again.
    #[must_use]
    pub fn with_retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }

    /// The same failure answered with this status on OTLP/HTTP.
    #[must_use]
    pub fn with_http_status(mut self, status: u16) -> Self {
        self.http_status = Some(status);
        self
    }

    /// Whether a sender that follows OTLP may send the same batch again: the codes of OTLP
    /// "Failures", and `RESOURCE_EXHAUSTED` only with a retry hint.
    pub fn is_retryable(&self) -> bool {
        match self.code {
            Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unavailable
            | Code::DataLoss => true,
            Code::ResourceExhausted => self.retry_after.is_some(),
            Code::Ok
            | Code::Unknown
            | Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::FailedPrecondition
            | Code::Unimplemented
            | Code::Internal
            | Code::Unauthenticated => false,
        }
    }
}

/// Cuts a text to [`MAX_MESSAGE_BYTES`] at a character boundary and marks the cut.
pub fn shorten(mut text: String) -> String {
    const MARK: &str = "... (shortened)";
    if text.len() > MAX_MESSAGE_BYTES {
        text.truncate(text.floor_char_boundary(MAX_MESSAGE_BYTES - MARK.len()));
        text.push_str(MARK);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_at_a_character_and_marked() {
        let exact = "x".repeat(MAX_MESSAGE_BYTES);
        assert_eq!(shorten(exact.clone()), exact);
        let cut = shorten("\u{e9}".repeat(MAX_MESSAGE_BYTES));
        assert!(cut.len() <= MAX_MESSAGE_BYTES);
        assert!(cut.ends_with("(shortened)"));
    }

    #[test]
    fn resource_exhausted_is_retryable_only_with_a_hint() {
        let failure = Failure::new(Code::ResourceExhausted, Side::Upstream, "x", "y");
        assert!(!failure.is_retryable());
        assert!(failure.with_retry_after(Duration::from_secs(1)).is_retryable());
    }
}
