//! What the receiver itself refuses, in words.
//!
//! Guarantees one code, one stable reason and one text a case, each with what to do next.

use std::time::Duration;

use prost::Message as _;
use tonic::Code;
use tonic_types::pb::{BadRequest, bad_request::FieldViolation};

use super::budget::Lack;
use super::frame::FrameError;
use crate::coding::InflateError;
use crate::otlp::check::CheckError;
use crate::otlp::json::{JsonError, TOO_LARGE};
use crate::outcome::{AnyDetail, Failure, Side};
use crate::signal::Signal;

/// When to try again a request for which there was no room.
const ROOM_AGAIN: Duration = Duration::from_secs(1);

/// The byte budget is used up.
pub(super) const NO_ROOM: &str = "in_flight_bytes";

/// The connection broke, which a sender meets by sending again.
const ABORTED: &str = "body_aborted";

/// The sender's fault.
pub(super) fn bad(code: Code, reason: &'static str, message: impl Into<String>) -> Failure {
    Failure::new(code, Side::Downstream, reason, message)
}

/// No pipeline for the signal.
pub(super) fn not_served(signal: Signal) -> Failure {
    bad(
        Code::Unimplemented,
        "no_pipeline",
        format!(
            "this receiver takes no {signal}: name it under service.pipelines of the gateway, or \
             stop sending {signal} here"
        ),
    )
}

/// `auth` is configured without an authenticator.
pub(super) fn locked() -> Failure {
    Failure::new(
        Code::Unauthenticated,
        Side::Internal,
        "no_authenticator",
        "the authenticator that the gateway's configuration names does not exist, so nobody is \
         let in: ask its operator to look at the log",
    )
}

/// Larger than `max_request_bytes`, on the wire or inflated.
pub(super) fn too_large(what: &str, limit: usize) -> Failure {
    bad(
        Code::ResourceExhausted,
        "request_too_large",
        format!(
            "the {what} is larger than {limit} bytes: send smaller batches, or raise \
             max_recv_msg_size_mib (gRPC) or max_request_body_size (HTTP) of the gateway"
        ),
    )
    .with_http_status(413)
}

/// No room in the byte budget.
pub(super) fn no_room() -> Failure {
    Failure::new(
        Code::Unavailable,
        Side::Internal,
        NO_ROOM,
        "the gateway holds as many request bytes as max_in_flight_bytes allows: try again later",
    )
    .with_retry_after(ROOM_AGAIN)
}

/// No room in the byte budget, now or ever.
pub(super) fn lack(lack: Lack) -> Failure {
    let limit = match lack {
        Lack::ForNow => return no_room(),
        Lack::ForEver(limit) => limit,
    };
    let message = format!(
        "the request alone needs more than the {limit} bytes that all requests may hold together: \
         send smaller batches, or raise max_in_flight_bytes of the gateway"
    );
    bad(Code::ResourceExhausted, "request_never_fits", message).with_http_status(413)
}

/// The body did not arrive in time.
pub(super) fn slow_body(limit: Duration) -> Failure {
    bad(
        Code::DeadlineExceeded,
        "body_timeout",
        format!("the request body did not arrive within {limit:?}: send it faster or in parts"),
    )
}

/// The pipeline did not answer in time.
pub(super) fn late() -> Failure {
    Failure::new(
        Code::DeadlineExceeded,
        Side::Upstream,
        "deadline_exceeded",
        "the backend did not answer before the request's deadline; the gateway gave the request \
         up, and it may or may not have arrived",
    )
}

/// The body was not decoded in time.
pub(super) fn slow_decoding() -> Failure {
    Failure::new(
        Code::DeadlineExceeded,
        Side::Internal,
        "deadline_exceeded",
        "the gateway has too much to decode to be done with this request before its deadline: \
         send smaller batches, or later; its operator may raise service.side_threads",
    )
}

/// A fault of the program; the reason says where.
pub(super) fn broke(reason: &'static str) -> Failure {
    Failure::new(
        Code::Internal,
        Side::Internal,
        reason,
        "the gateway broke down over this request: please report it",
    )
}

/// The body ended with an error of the connection.
pub(super) fn aborted(error: &dyn std::error::Error) -> Failure {
    let mut message = format!("the request body cannot be read: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        message.push_str(": ");
        message.push_str(&error.to_string());
        cause = error.source();
    }
    bad(Code::InvalidArgument, ABORTED, message)
}

/// The framing of gRPC is wrong.
pub(super) fn framing(error: FrameError) -> Failure {
    match error {
        FrameError::TooLarge { limit, .. } => too_large("gRPC message", limit),
        other => bad(other.code(), other.reason(), other.to_string()),
    }
}

/// Compressed without saying how.
pub(super) fn flag_without_coding() -> Failure {
    // INTERNAL is what gRPC's compression document demands.
    bad(
        Code::Internal,
        "grpc_compressed_flag",
        "the gRPC message is marked as compressed, but the call has no grpc-encoding: name the \
         encoding or clear the flag",
    )
}

/// Not in the coding announced.
pub(super) fn inflating(error: &InflateError) -> Failure {
    match error {
        InflateError::TooLarge { limit } => too_large("inflated request", *limit),
        InflateError::Corrupt { .. } => {
            undecodable("compression_corrupt", "", error.to_string(), error.to_string())
        }
        InflateError::Truncated { .. } => {
            undecodable("compression_truncated", "", error.to_string(), error.to_string())
        }
    }
}

/// Not OTLP in protobuf, or what it looks like instead of the signal that it was sent as.
pub(super) fn not_otlp(error: &CheckError, instead: Option<Signal>) -> Failure {
    let CheckError { place, offset, fault } = error;
    let message = match instead {
        None => error.to_string(),
        Some(signal) => format!(
            "{place} at byte {offset}: {fault}; this looks like {signal}: send it to {} (or to the \
             path that the gateway has for {signal}), over gRPC to {}",
            signal.http_path(),
            signal.grpc_path(),
        ),
    };
    undecodable(error.reason(), &place.to_string(), fault.to_string(), message)
}

/// Not OTLP in JSON, or too much of it.
pub(super) fn not_json(error: &JsonError, limit: usize) -> Failure {
    if error.reason == TOO_LARGE {
        return too_large("request in protobuf", limit);
    }
    undecodable(error.reason, &error.path, error.message.clone(), error.to_string())
}

/// The body is not what it should be: 400 / `INVALID_ARGUMENT` with a `BadRequest` detail.
fn undecodable(reason: &'static str, field: &str, description: String, message: String) -> Failure {
    let violation = FieldViolation {
        field: field.to_owned(),
        description,
        reason: reason.to_uppercase(),
        localized_message: None,
    };
    let detail = AnyDetail {
        type_url: "type.googleapis.com/google.rpc.BadRequest".to_owned(),
        value: BadRequest { field_violations: vec![violation] }.encode_to_vec(),
    };
    let mut failure = bad(Code::InvalidArgument, reason, message);
    failure.details.push(detail);
    failure
}

/// What the log says of a refusal that sending again does not mend, and that is not by the rules;
/// `None` of any other.
pub(super) fn for_good(failure: &Failure) -> Option<&str> {
    let by_code = matches!(
        failure.code,
        Code::InvalidArgument | Code::Unimplemented | Code::ResourceExhausted
    );
    if !by_code || failure.side != Side::Downstream || failure.reason == ABORTED {
        return None;
    }
    // The others quote values, which may be anybody's.
    let quotes = failure.reason.starts_with("json_");
    Some(if quotes { "the body is not OTLP/JSON: the answer says where" } else { &failure.message })
}

/// A text of a peer, for a message to that peer: printable and short.
pub(super) fn quote(text: &str) -> String {
    let mut quoted: String = text.chars().take(80).flat_map(char::escape_debug).collect();
    if text.chars().nth(80).is_some() {
        quoted.push_str("...");
    }
    format!("\"{quoted}\"")
}
