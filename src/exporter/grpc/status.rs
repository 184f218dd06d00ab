//! `grpc-status` and its companions, and what stands for them when they are missing.

use std::borrow::Cow;
use std::time::Duration;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::{HeaderMap, StatusCode};
use tonic::Code;

use crate::otlp::answer::{self, Encoding, Status};

/// The status in trailers; `None` without a readable `grpc-status`.
pub(super) fn read(trailers: &HeaderMap) -> Option<Status> {
    let number = trailers.get("grpc-status")?;
    let code = Code::from_bytes(number.as_bytes());
    let message = trailers.get("grpc-message").map(|value| percent_decode(value.as_bytes()));
    let details = trailers
        .get("grpc-status-details-bin")
        .and_then(|value| BASE64.decode(value.as_bytes()).ok())
        .and_then(|bytes| answer::decode_status(&bytes, Encoding::Protobuf));
    let mut status = details.unwrap_or(Status {
        code,
        message: String::new(),
        retry_after: None,
        details: Vec::new(),
    });
    status.code = code;
    if let Some(message) = message {
        status.message = message.into_owned();
    }
    Some(status)
}

/// Binary headers come with padding or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The text of a `grpc-message`; what is not a valid escape stays as it is.
fn percent_decode(bytes: &[u8]) -> Cow<'_, str> {
    if !bytes.contains(&b'%') {
        return String::from_utf8_lossy(bytes);
    }
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [first, after @ ..] = rest {
        if let (b'%', [high, low, beyond @ ..]) = (*first, after)
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            decoded.push(high << 4 | low);
            rest = beyond;
        } else {
            decoded.push(*first);
            rest = after;
        }
    }
    Cow::Owned(String::from_utf8_lossy(&decoded).into_owned())
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// The code when an answer has no gRPC status ("HTTP to gRPC Status Code Mapping").
pub(super) fn of_http(status: StatusCode) -> Code {
    match status.as_u16() {
        400 => Code::Internal,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::Unimplemented,
        429 | 502 | 503 | 504 => Code::Unavailable,
        _ => Code::Unknown,
    }
}

/// Code, reason and retry hint when a stream ended without an answer ("Errors" of gRPC over
/// HTTP/2).
pub(super) fn of_broken_stream(error: &h2::Error) -> (Code, &'static str, Option<Duration>) {
    if error.is_library() && error.is_go_away() {
        return (Code::Unavailable, "upstream_protocol_error", None);
    }
    if error.is_library() && error.is_reset() {
        // It would answer the same again.
        return (Code::Internal, "upstream_protocol_error", None);
    }
    if error.is_io() || error.is_go_away() {
        return (Code::Unavailable, "upstream_disconnected", None);
    }
    match error.reason() {
        Some(h2::Reason::REFUSED_STREAM) => (Code::Unavailable, "upstream_refused_stream", None),
        Some(h2::Reason::CANCEL) => (Code::Cancelled, "upstream_cancelled", None),
        Some(h2::Reason::ENHANCE_YOUR_CALM) => {
            // Retryable only with a hint, and slowing down is what it asks for.
            (Code::ResourceExhausted, "upstream_calm", Some(Duration::from_secs(1)))
        }
        Some(h2::Reason::INADEQUATE_SECURITY) => {
            (Code::PermissionDenied, "upstream_inadequate_security", None)
        }
        _ => (Code::Internal, "upstream_reset", None),
    }
}

/// The reason code of a status that the upstream answered.
pub(crate) fn reason(code: Code) -> &'static str {
    match code {
        Code::Ok => "upstream_ok",
        Code::Cancelled => "upstream_status_cancelled",
        Code::Unknown => "upstream_status_unknown",
        Code::InvalidArgument => "upstream_status_invalid_argument",
        Code::DeadlineExceeded => "upstream_status_deadline_exceeded",
        Code::NotFound => "upstream_status_not_found",
        Code::AlreadyExists => "upstream_status_already_exists",
        Code::PermissionDenied => "upstream_status_permission_denied",
        Code::ResourceExhausted => "upstream_status_resource_exhausted",
        Code::FailedPrecondition => "upstream_status_failed_precondition",
        Code::Aborted => "upstream_status_aborted",
        Code::OutOfRange => "upstream_status_out_of_range",
        Code::Unimplemented => "upstream_status_unimplemented",
        Code::Internal => "upstream_status_internal",
        Code::Unavailable => "upstream_status_unavailable",
        Code::DataLoss => "upstream_status_data_loss",
        Code::Unauthenticated => "upstream_status_unauthenticated",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percent_encoded_message_is_decoded_and_broken_escapes_stay() {
        assert_eq!(percent_decode(b"no%20such%C3%A9"), "no such\u{e9}");
        assert_eq!(percent_decode(b"100% of %zz%"), "100% of %zz%");
        assert_eq!(percent_decode(b"plain"), "plain");
    }
}
