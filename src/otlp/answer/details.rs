//! The details of a `google.rpc.Status` in JSON, and `RetryInfo`.
//!
//! Guarantees that a detail of an unknown type goes to JSON and back unchanged. Knows nothing of
//! the status around them.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost::Message as _;
use serde_json::{Map, Value, json};
use tonic_types::pb::{BadRequest, LocalizedMessage, bad_request::FieldViolation};

use crate::outcome::AnyDetail;

/// Type of the detail that says when to try again.
pub(super) const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// Type of the detail that says what is wrong with a request.
const BAD_REQUEST: &str = "type.googleapis.com/google.rpc.BadRequest";

/// Whether a detail is of this type, whatever host its URL names.
pub(super) fn is_type(detail: &AnyDetail, url: &str) -> bool {
    name(&detail.type_url) == name(url)
}

fn name(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or_default()
}

/// A detail as protobuf's JSON mapping writes an `Any`; the bytes of an unknown type are `value`
/// in base64.
pub(super) fn detail_to_json(detail: &AnyDetail) -> Value {
    let url = detail.type_url.as_str();
    if is_type(detail, RETRY_INFO)
        && let Some(delay) = read_retry_info(&detail.value)
    {
        return json!({ "@type": url, "retryDelay": duration_text(delay) });
    }
    if is_type(detail, BAD_REQUEST)
        && let Ok(bad) = BadRequest::decode(detail.value.as_slice())
    {
        let violations: Vec<_> = bad.field_violations.iter().map(violation_to_json).collect();
        return json!({ "@type": url, "fieldViolations": violations });
    }
    json!({ "@type": url, "value": STANDARD.encode(&detail.value) })
}

/// The reverse. `None` when there is no type, or a type whose fields are unknown: these cannot be
/// written as protobuf.
pub(super) fn detail_from_json(value: &Value) -> Option<AnyDetail> {
    let detail = value.as_object()?;
    let type_url = detail.get("@type")?.as_str()?.to_owned();
    let value = if let Some(Value::String(value)) = detail.get("value") {
        STANDARD.decode(value).ok()?
    } else if name(&type_url) == name(RETRY_INFO) {
        let delay = field(detail, ["retryDelay", "retry_delay"]).and_then(Value::as_str);
        write_retry_info(delay.and_then(parse_duration).unwrap_or_default())
    } else if name(&type_url) == name(BAD_REQUEST) {
        let violations = field(detail, ["fieldViolations", "field_violations"])?.as_array()?;
        let field_violations = violations.iter().filter_map(violation_from_json).collect();
        BadRequest { field_violations }.encode_to_vec()
    } else {
        return None;
    };
    Some(AnyDetail { type_url, value })
}

fn violation_to_json(violation: &FieldViolation) -> Value {
    let mut out = Map::new();
    for (name, text) in [
        ("field", &violation.field),
        ("description", &violation.description),
        ("reason", &violation.reason),
    ] {
        if !text.is_empty() {
            out.insert(name.into(), text.as_str().into());
        }
    }
    if let Some(localized) = &violation.localized_message {
        out.insert(
            "localizedMessage".into(),
            json!({ "locale": localized.locale, "message": localized.message }),
        );
    }
    Value::Object(out)
}

fn violation_from_json(value: &Value) -> Option<FieldViolation> {
    let violation = value.as_object()?;
    let localized = field(violation, ["localizedMessage", "localized_message"]);
    Some(FieldViolation {
        field: text(violation, "field"),
        description: text(violation, "description"),
        reason: text(violation, "reason"),
        localized_message: localized.and_then(Value::as_object).map(|localized| LocalizedMessage {
            locale: text(localized, "locale"),
            message: text(localized, "message"),
        }),
    })
}

fn text(object: &Map<String, Value>, name: &str) -> String {
    object.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// A serialized `RetryInfo`.
pub(super) fn write_retry_info(delay: Duration) -> Vec<u8> {
    let delay = WireDuration {
        seconds: i64::try_from(delay.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(delay.subsec_nanos()).unwrap_or_default(),
    };
    WireRetryInfo { retry_delay: Some(delay) }.encode_to_vec()
}

/// The delay of a serialized `RetryInfo`; one below zero is zero.
pub(super) fn read_retry_info(value: &[u8]) -> Option<Duration> {
    let delay = WireRetryInfo::decode(value).ok()?.retry_delay.unwrap_or_default();
    let Ok(seconds) = u64::try_from(delay.seconds) else { return Some(Duration::ZERO) };
    let nanos = u32::try_from(delay.nanos.clamp(0, 999_999_999)).unwrap_or_default();
    Some(Duration::new(seconds, nanos))
}

/// Protobuf's JSON mapping of a duration: `1.500s`.
fn duration_text(delay: Duration) -> String {
    let (seconds, nanos) = (delay.as_secs(), delay.subsec_nanos());
    match nanos {
        0 => format!("{seconds}s"),
        _ if nanos % 1_000_000 == 0 => format!("{seconds}.{:03}s", nanos / 1_000_000),
        _ if nanos % 1_000 == 0 => format!("{seconds}.{:06}s", nanos / 1_000),
        _ => format!("{seconds}.{nanos:09}s"),
    }
}

fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.strip_suffix('s')?;
    if text.starts_with('-') {
        return Some(Duration::ZERO);
    }
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if fraction.is_empty() || fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let nanos = format!("{fraction:0<9}").parse().ok()?;
    Some(Duration::new(seconds.parse().ok()?, nanos))
}

/// The value of a key in the first spelling that is there; `null` means absent.
pub(super) fn field<'a>(object: &'a Map<String, Value>, names: [&str; 2]) -> Option<&'a Value> {
    names.iter().find_map(|&name| object.get(name)).filter(|value| !value.is_null())
}

/// A whole number, written as a number or as a text.
pub(super) fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct WireRetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<WireDuration>,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct WireDuration {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}
