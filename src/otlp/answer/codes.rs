//! Which HTTP status says what a gRPC code says, and back (contract 6.5).
//!
//! Knows nothing of bodies.

use tonic::Code;

use crate::outcome::Failure;

/// The HTTP status of a failure: its own, or the one its code maps to.
pub(crate) fn http_status(failure: &Failure) -> u16 {
    failure.http_status.unwrap_or(match failure.code {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => 503,
        Code::ResourceExhausted => 429,
        Code::InvalidArgument => 400,
        Code::Unauthenticated => 401,
        Code::PermissionDenied => 403,
        Code::Unimplemented => 404,
        Code::Ok
        | Code::Unknown
        | Code::NotFound
        | Code::AlreadyExists
        | Code::FailedPrecondition
        | Code::Internal => 500,
    })
}

/// The code that an HTTP status maps to. Any status that is not listed is [`Code::Unknown`],
/// which nobody retries; 413 is one of them, and [`Failure::http_status`] carries it on.
pub(crate) fn code_of_http(status: u16) -> Code {
    match status {
        400 => Code::InvalidArgument,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::Unimplemented,
        429 => Code::ResourceExhausted,
        502..=504 => Code::Unavailable,
        _ => Code::Unknown,
    }
}
