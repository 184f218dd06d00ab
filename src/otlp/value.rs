//! An attribute's value as text, as the Collector's `AsString` has it.
//!
//! Guarantees that a text stays as it is and that everything else is on one line. Knows nothing of
//! escaping what a peer sent.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;

/// A value as text: numbers in decimal, bytes in base64, lists and maps as JSON with sorted keys.
pub(crate) fn as_string(value: &AnyValue) -> String {
    match &value.value {
        None => String::new(),
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::BoolValue(flag)) => flag.to_string(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) => double(*number),
        Some(Value::BytesValue(bytes)) => STANDARD.encode(bytes),
        Some(Value::StringValueStrindex(index)) => index.to_string(),
        Some(Value::ArrayValue(_) | Value::KvlistValue(_)) => json(value).to_string(),
    }
}

/// What the Collector calls the type of a value: `Str`, `Int` and so on.
pub(crate) fn type_name(value: &AnyValue) -> &'static str {
    match &value.value {
        None => "Empty",
        Some(Value::StringValue(_) | Value::StringValueStrindex(_)) => "Str",
        Some(Value::BoolValue(_)) => "Bool",
        Some(Value::IntValue(_)) => "Int",
        Some(Value::DoubleValue(_)) => "Double",
        Some(Value::BytesValue(_)) => "Bytes",
        Some(Value::ArrayValue(_)) => "Slice",
        Some(Value::KvlistValue(_)) => "Map",
    }
}

/// A number as ECMAScript writes it: `1`, `0.5`, `1e+21`.
pub(crate) fn double(number: f64) -> String {
    let size = number.abs();
    if number.is_nan() {
        "NaN".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{number:e}");
        match text.split_once('e') {
            Some((digits, power)) if !power.starts_with('-') => format!("{digits}e+{power}"),
            _ => text,
        }
    } else {
        number.to_string()
    }
}

fn json(value: &AnyValue) -> serde_json::Value {
    match &value.value {
        None => serde_json::Value::Null,
        Some(Value::BoolValue(flag)) => (*flag).into(),
        Some(Value::IntValue(number)) => (*number).into(),
        Some(Value::DoubleValue(number)) => match double(*number).parse::<serde_json::Number>() {
            Ok(number) => serde_json::Value::Number(number),
            Err(_) => double(*number).into(),
        },
        Some(Value::ArrayValue(list)) => list.values.iter().map(json).collect(),
        Some(Value::KvlistValue(map)) => map
            .values
            .iter()
            .map(|entry| {
                (entry.key.clone(), entry.value.as_ref().map_or_else(Default::default, json))
            })
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Some(Value::StringValue(_) | Value::BytesValue(_) | Value::StringValueStrindex(_)) => {
            as_string(value).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::{ArrayValue, KeyValue, KeyValueList};

    use super::*;

    fn any(value: Value) -> AnyValue {
        AnyValue { value: Some(value) }
    }

    #[test]
    fn numbers_are_written_as_ecmascript_does() {
        let cases = [
            (0.0, "0"),
            (1.0, "1"),
            (-0.5, "-0.5"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1.5e-7, "1.5e-7"),
            (f64::NAN, "NaN"),
        ];
        for (number, text) in cases {
            assert_eq!(double(number), text);
        }
    }

    #[test]
    fn lists_and_maps_are_json_with_sorted_keys() {
        let list = any(Value::ArrayValue(ArrayValue {
            values: vec![
                any(Value::DoubleValue(2.0)),
                any(Value::StringValue("a\n".to_owned())),
                any(Value::BytesValue(vec![0xff])),
                AnyValue { value: None },
                any(Value::DoubleValue(f64::INFINITY)),
            ],
        }));
        let entry =
            |key: &str, value| KeyValue { key: key.to_owned(), value, ..KeyValue::default() };
        let map = any(Value::KvlistValue(KeyValueList {
            values: vec![entry("b", Some(list)), entry("a", None)],
        }));
        assert_eq!(as_string(&map), r#"{"a":null,"b":[2,"a\n","/w==",null,"+Inf"]}"#);
        assert_eq!(as_string(&any(Value::IntValue(-3))), "-3");
        assert_eq!(as_string(&any(Value::BytesValue(vec![0xff]))), "/w==");
    }
}
