//! `Export*ServiceResponse`, in protobuf the same message for every signal.
//!
//! Guarantees that a full success is an empty body or `{}` (contract 13 D19). Knows nothing of
//! failures.

use bytes::Bytes;
use prost::Message as _;
use serde_json::{Map, Value};

use super::details::{field, integer};
use super::{AnswerError, Encoding};
use crate::outcome::{Accepted, PartialSuccess, shorten};
use crate::signal::Signal;

/// The response message of a success: empty, or with `partial_success`.
pub(crate) fn encode_success(signal: Signal, accepted: &Accepted, encoding: Encoding) -> Bytes {
    let partial = accepted.partial_success.clone().and_then(meaningful);
    match (encoding, partial) {
        (Encoding::Protobuf, None) => Bytes::new(),
        (Encoding::Json, None) => Bytes::from_static(b"{}"),
        (Encoding::Protobuf, Some(partial)) => {
            let partial = WirePartialSuccess {
                rejected: partial.rejected,
                error_message: partial.message.into_bytes(),
            };
            WireResponse { partial_success: Some(partial) }.encode_to_vec().into()
        }
        (Encoding::Json, Some(partial)) => {
            let mut inner = Map::new();
            if partial.rejected != 0 {
                let [name, _] = rejected_names(signal);
                inner.insert(name.into(), partial.rejected.to_string().into());
            }
            if !partial.message.is_empty() {
                inner.insert("errorMessage".into(), partial.message.into());
            }
            serde_json::json!({ "partialSuccess": inner }).to_string().into()
        }
    }
}

/// Reads an upstream's response message. A body of no bytes is a full success in either encoding:
/// backends that have nothing to say send none.
///
/// # Errors
/// It cannot be decoded.
pub(crate) fn decode_success(
    signal: Signal,
    body: &[u8],
    encoding: Encoding,
) -> Result<Accepted, AnswerError> {
    if body.is_empty() {
        return Ok(Accepted::default());
    }
    let partial = match encoding {
        Encoding::Protobuf => {
            let response = WireResponse::decode(body).map_err(|error| {
                AnswerError(format!("not a protobuf {}: {error}", message_name(signal)))
            })?;
            response.partial_success.map(|partial| PartialSuccess {
                rejected: partial.rejected,
                message: String::from_utf8_lossy(&partial.error_message).into_owned(),
            })
        }
        Encoding::Json => from_json(signal, body)?,
    };
    Ok(Accepted { partial_success: partial.and_then(meaningful) })
}

fn from_json(signal: Signal, body: &[u8]) -> Result<Option<PartialSuccess>, AnswerError> {
    let wrong = |why: &str| AnswerError(format!("not a JSON {}: {why}", message_name(signal)));
    let value: Value = serde_json::from_slice(body).map_err(|error| wrong(&error.to_string()))?;
    let response = match &value {
        Value::Object(response) => response,
        Value::Null => return Ok(None),
        _ => return Err(wrong("it is not an object")),
    };
    let partial = match field(response, ["partialSuccess", "partial_success"]) {
        None => return Ok(None),
        Some(Value::Object(partial)) => partial,
        Some(_) => return Err(wrong("partialSuccess is not an object")),
    };
    let rejected = match field(partial, rejected_names(signal)) {
        None => 0,
        Some(value) => integer(value).ok_or_else(|| wrong("the rejected count is not a number"))?,
    };
    let message = match field(partial, ["errorMessage", "error_message"]) {
        None => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(_) => return Err(wrong("errorMessage is not a text")),
    };
    Ok(Some(PartialSuccess { rejected, message }))
}

/// OTLP says that an empty `partial_success` means the same as none. A count below zero means
/// nothing, and would run counters backwards.
fn meaningful(partial: PartialSuccess) -> Option<PartialSuccess> {
    let rejected = partial.rejected.max(0);
    (rejected > 0 || !partial.message.is_empty())
        .then(|| PartialSuccess { rejected, message: shorten(partial.message) })
}

/// The count's name in JSON, in both spellings.
fn rejected_names(signal: Signal) -> [&'static str; 2] {
    match signal {
        Signal::Traces => ["rejectedSpans", "rejected_spans"],
        Signal::Metrics => ["rejectedDataPoints", "rejected_data_points"],
        Signal::Logs => ["rejectedLogRecords", "rejected_log_records"],
        Signal::Profiles => ["rejectedProfiles", "rejected_profiles"],
    }
}

fn message_name(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "ExportTraceServiceResponse",
        Signal::Metrics => "ExportMetricsServiceResponse",
        Signal::Logs => "ExportLogsServiceResponse",
        Signal::Profiles => "ExportProfilesServiceResponse",
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct WireResponse {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<WirePartialSuccess>,
}

/// The text is read as bytes: an ill-made text must not turn a success into a failure.
#[derive(Clone, PartialEq, prost::Message)]
struct WirePartialSuccess {
    #[prost(int64, tag = "1")]
    rejected: i64,
    #[prost(bytes = "vec", tag = "2")]
    error_message: Vec<u8>,
}
