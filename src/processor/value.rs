//! What edits make of a value.
//!
//! Guarantees the results of the Collector's `attributes` processor. Knows nothing of lists.

use aws_lc_rs::digest;
use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message as _;
use prost::encoding::{DecodeContext, decode_key, skip_field};
use regex::Regex;

use crate::otlp::value::as_string;
use crate::processor::editor::Strings;
use crate::processor::plan::Target;

/// Decodes a value, and resolves a reference to the string table of a profiles request. A list or
/// map that is very long counts as no value: an element of two bytes takes thirty times as much.
pub(super) fn decode(bytes: &[u8], strings: &Strings<'_>) -> Option<AnyValue> {
    if bytes.len() > MOST_DECODED && holds_others(bytes)? {
        return Some(AnyValue::default());
    }
    let mut value = AnyValue::decode(bytes).ok()?;
    if let Some(Value::StringValueStrindex(index)) = value.value {
        let text = strings.text(index).unwrap_or_default();
        value.value = Some(Value::StringValue(String::from_utf8(text.into_owned()).ok()?));
    }
    Some(value)
}

/// Whether an encoded value is, or was before it became something else, a list or a map.
fn holds_others(mut bytes: &[u8]) -> Option<bool> {
    const LIST: u32 = 5;
    const MAP: u32 = 6;
    while !bytes.is_empty() {
        let (field, wire_type) = decode_key(&mut bytes).ok()?;
        if matches!(field, LIST | MAP) {
            return Some(true);
        }
        skip_field(wire_type, field, &mut bytes, DecodeContext::default()).ok()?;
    }
    Some(false)
}

/// The value in another type, encoded, where that can be done.
pub(super) fn convert(value: AnyValue, target: Target) -> Option<Vec<u8>> {
    let converted = match (target, value.value?) {
        (Target::String, Value::StringValue(_)) => return None,
        (Target::String, other) => Value::StringValue(as_string(&AnyValue { value: Some(other) })),
        (Target::Int, Value::BoolValue(flag)) => Value::IntValue(flag.into()),
        #[expect(clippy::cast_possible_truncation, reason = "the nearest integer is wanted")]
        (Target::Int, Value::DoubleValue(number)) => Value::IntValue(number as i64),
        (Target::Int, Value::StringValue(text)) => Value::IntValue(text.parse().ok()?),
        (Target::Double, Value::BoolValue(flag)) => Value::DoubleValue(flag.into()),
        #[expect(clippy::cast_precision_loss, reason = "the nearest double is wanted")]
        (Target::Double, Value::IntValue(number)) => Value::DoubleValue(number as f64),
        (Target::Double, Value::StringValue(text)) => Value::DoubleValue(text.parse().ok()?),
        (Target::Int | Target::Double, _) => return None,
    };
    Some(AnyValue { value: Some(converted) }.encode_to_vec())
}

/// The SHA-256 of a scalar as hexadecimal text, encoded. An empty text, and what is not a scalar,
/// becomes an empty text, so that nothing of it is left.
pub(super) fn hash(value: AnyValue) -> Vec<u8> {
    let bytes = match value.value {
        Some(Value::StringValue(text)) => text.into_bytes(),
        Some(Value::BoolValue(flag)) => vec![flag.into()],
        Some(Value::IntValue(number)) => number.to_le_bytes().to_vec(),
        Some(Value::DoubleValue(number)) => number.to_le_bytes().to_vec(),
        _ => Vec::new(),
    };
    let hashed = if bytes.is_empty() {
        String::new()
    } else {
        let digest = digest::digest(&digest::SHA256, &bytes);
        digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    };
    text(hashed)
}

/// The groups of a pattern over a text, encoded, if it is a text and matches.
pub(super) fn extract<'p>(
    value: AnyValue,
    pattern: &Regex,
    groups: &'p [(usize, String)],
) -> Option<Vec<(&'p str, Vec<u8>)>> {
    let Some(Value::StringValue(subject)) = value.value else { return None };
    let found = pattern.captures(&subject)?;
    let group =
        |index| found.get(index).map_or_else(String::new, |group| group.as_str().to_owned());
    Some(groups.iter().map(|(index, name)| (name.as_str(), text(group(*index)))).collect())
}

fn text(text: String) -> Vec<u8> {
    AnyValue { value: Some(Value::StringValue(text)) }.encode_to_vec()
}

/// Of a list or map.
const MOST_DECODED: usize = 1 << 20;
