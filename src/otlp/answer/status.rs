//! `google.rpc.Status`: the body of every failure on HTTP, and `grpc-status-details-bin`.
//!
//! Guarantees that what is written fits into header blocks of ordinary peers. Knows nothing of
//! what the details say, except a `RetryInfo`.

use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;
use serde::Serialize;
use serde_json::Value;
use tonic::Code;

use super::details::{
    RETRY_INFO, detail_from_json, detail_to_json, field, integer, is_type, read_retry_info,
    write_retry_info,
};
use super::{Encoding, Status};
use crate::outcome::{AnyDetail, Failure, shorten};

/// Most bytes of details that are passed on. They travel in a trailer beside the message, and the
/// most careful peers (Java's) end a call whose header block is over 8 KiB: then code and text are
/// lost as well. A detail that does not fit is left out.
const MAX_DETAILS_BYTES: usize = 2048;
/// Keys and lengths around a detail: an upstream may send any number of empty ones.
const AROUND_DETAIL: usize = 12;

/// `google.rpc.Status` of a failure with `RetryInfo` and details; protobuf is also what
/// `grpc-status-details-bin` holds.
pub(crate) fn encode_status(failure: &Failure, encoding: Encoding) -> Bytes {
    let retry_info = failure
        .retry_after
        .map(|delay| AnyDetail { type_url: RETRY_INFO.into(), value: write_retry_info(delay) });
    let mut room = MAX_DETAILS_BYTES;
    let others = failure.details.iter().filter(|detail| {
        let size = detail.type_url.len() + detail.value.len() + AROUND_DETAIL;
        let fits = size <= room;
        room -= if fits { size } else { 0 };
        fits
    });
    let details = retry_info.iter().chain(others);
    let message = shorten(failure.message.clone());
    match encoding {
        Encoding::Protobuf => WireStatus {
            code: failure.code.into(),
            message: message.into_bytes(),
            details: details.map(WireAny::from).collect(),
        }
        .encode_to_vec()
        .into(),
        Encoding::Json => {
            let status = JsonStatus {
                code: failure.code.into(),
                message: &message,
                details: details.map(detail_to_json).collect(),
            };
            // Numbers, texts and maps with text keys: this cannot fail.
            serde_json::to_vec(&status).unwrap_or_default().into()
        }
    }
}

/// Reads a `google.rpc.Status`; `None` when it is not one, or says nothing.
pub(crate) fn decode_status(body: &[u8], encoding: Encoding) -> Option<Status> {
    let (code, message, details) = match encoding {
        Encoding::Protobuf => {
            let status = WireStatus::decode(body).ok()?;
            let details: Vec<_> = status.details.into_iter().map(AnyDetail::from).collect();
            (status.code, String::from_utf8_lossy(&status.message).into_owned(), details)
        }
        Encoding::Json => {
            let Value::Object(status) = serde_json::from_slice(body).ok()? else { return None };
            let code = field(&status, ["code", "code"]).and_then(integer).unwrap_or_default();
            let message = field(&status, ["message", "message"]).and_then(Value::as_str);
            let details = field(&status, ["details", "details"]).and_then(Value::as_array);
            let details = details.into_iter().flatten().filter_map(detail_from_json).collect();
            let code = i32::try_from(code).unwrap_or(i32::MAX);
            (code, message.unwrap_or_default().to_owned(), details)
        }
    };
    if code == 0 && message.is_empty() && details.is_empty() {
        return None;
    }
    let (retry_infos, details): (Vec<_>, Vec<_>) =
        details.into_iter().partition(|detail| is_type(detail, RETRY_INFO));
    Some(Status {
        code: Code::from(code),
        message: shorten(message),
        retry_after: longest(&retry_infos),
        details,
    })
}

/// There should be one `RetryInfo`; of several, the most careful one counts. One that cannot be
/// read still says that a retry is welcome.
fn longest(retry_infos: &[AnyDetail]) -> Option<Duration> {
    retry_infos.iter().map(|detail| read_retry_info(&detail.value).unwrap_or_default()).max()
}

#[derive(Serialize)]
struct JsonStatus<'a> {
    code: i32,
    message: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    details: Vec<Value>,
}

/// Texts are read as bytes: an ill-made text must not hide the code.
#[derive(Clone, PartialEq, prost::Message)]
struct WireStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(bytes = "vec", tag = "2")]
    message: Vec<u8>,
    #[prost(message, repeated, tag = "3")]
    details: Vec<WireAny>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct WireAny {
    #[prost(bytes = "vec", tag = "1")]
    type_url: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

impl From<&AnyDetail> for WireAny {
    fn from(detail: &AnyDetail) -> Self {
        Self { type_url: detail.type_url.clone().into_bytes(), value: detail.value.clone() }
    }
}

impl From<WireAny> for AnyDetail {
    fn from(any: WireAny) -> Self {
        Self { type_url: String::from_utf8_lossy(&any.type_url).into_owned(), value: any.value }
    }
}
