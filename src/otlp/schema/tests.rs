//! The tables against the generated types: what `prost` encodes must read as the tables say.

use std::collections::BTreeSet;

use opentelemetry_proto::tonic::{
    logs::v1::SeverityNumber,
    metrics::v1::AggregationTemporality,
    trace::v1::{span::SpanKind, status::StatusCode},
};

use super::samples::samples;
use super::{EnumType, Field, Kind, MESSAGES, Message, request};
use crate::signal::Signal;

/// Scenario: every generated type is encoded with every field set to a telling value.
/// Guarantees: number, wire type, kind and name of every field, none missing, none too many.
#[test]
fn tables_read_what_the_generated_types_write() {
    let samples = samples();
    let names: Vec<_> = samples.iter().map(|(name, _)| *name).collect();
    let tables: Vec<_> = MESSAGES.iter().map(|message| message.name).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>(), tables.iter().collect());
    for (name, samples) in samples {
        let message = MESSAGES.iter().find(|message| message.name == name).expect("it is listed");
        let mut seen = BTreeSet::new();
        for sample in &samples {
            seen.extend(read(message, &sample.bytes));
        }
        let known: BTreeSet<_> = message.fields.iter().map(|field| field.number).collect();
        assert_eq!(seen, known, "{name}");
        for field in message.fields {
            names_match(field, &samples.iter().map(|sample| &*sample.debug).collect::<String>());
        }
    }
}

/// The numbers of the fields in these bytes, each of which has the value that samples have.
fn read(message: &Message, mut bytes: &[u8]) -> BTreeSet<u32> {
    let mut seen = BTreeSet::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let number = u32::try_from(key >> 3).expect("it is small");
        let field = message.field(number).expect("a known field");
        let place = format!("{}.{}", message.name, field.proto);
        seen.insert(number);
        let mut value = match key & 7 {
            0 => {
                let start = bytes;
                varint(&mut bytes);
                &start[..start.len() - bytes.len()]
            }
            1 => bytes.split_off(..8).expect("eight bytes"),
            2 => {
                let length = usize::try_from(varint(&mut bytes)).expect("it is small");
                bytes.split_off(..length).expect("all of it")
            }
            5 => bytes.split_off(..4).expect("four bytes"),
            _ => panic!("{place} has wire type {}", key & 7),
        };
        let wire_type = field.kind.wire_type();
        let packed = field.repeated && wire_type < 2;
        assert_eq!(key & 7, u64::from(if packed { 2 } else { wire_type }), "{place}");
        match field.kind {
            Kind::Bool => assert_eq!(varint(&mut value), 1, "{place}"),
            Kind::Enum(_) => assert_eq!(varint(&mut value), 2, "{place}"),
            Kind::Int32 => assert_eq!(varint(&mut value), 0xffff_ffff_8000_0000, "{place}"),
            Kind::Int64 => assert_eq!(varint(&mut value), 1 << 63, "{place}"),
            Kind::SInt32 => assert_eq!(varint(&mut value), 3, "{place}"),
            Kind::UInt32 => assert_eq!(varint(&mut value), 0xffff_ffff, "{place}"),
            Kind::UInt64 => assert_eq!(varint(&mut value), u64::MAX, "{place}"),
            Kind::Double => assert_eq!(value, 1.5f64.to_le_bytes(), "{place}"),
            Kind::Fixed64 => assert_eq!(value, [0xff; 8], "{place}"),
            Kind::SFixed64 => assert_eq!(value, i64::MIN.to_le_bytes(), "{place}"),
            Kind::Fixed32 => assert_eq!(value, [0xff; 4], "{place}"),
            Kind::String => assert_eq!(value, b"s", "{place}"),
            Kind::Bytes => assert_eq!(value, [0xff], "{place}"),
            Kind::Id(length) => assert_eq!(value, vec![0xff; length], "{place}"),
            Kind::Message(inner) => drop(read(inner, value)),
        }
    }
    seen
}

fn varint(bytes: &mut &[u8]) -> u64 {
    prost::encoding::decode_varint(bytes).expect("prost wrote it")
}

/// `Debug` shows fields and types under the names in the `.proto` files; the names of choices are
/// those of the enum's variants.
fn names_match(field: &Field, debug: &str) {
    let camel = lower_camel(field.proto);
    assert_eq!(field.json, camel);
    let shown = if field.oneof.is_some() {
        let (first, rest) = camel.split_at(1);
        format!("{}{rest}(", first.to_uppercase())
    } else {
        format!("{}: ", field.proto)
    };
    assert!(debug.contains(&shown), "{shown} is not in {debug}");
    if let Kind::Message(inner) = field.kind {
        let shown = format!("{} {{", inner.name.rsplit('.').next().unwrap_or_default());
        assert!(debug.contains(&shown), "{shown} is not in {debug}");
    }
}

fn lower_camel(snake: &str) -> String {
    let mut words = snake.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let (initial, rest) = word.split_at(1);
        name + &initial.to_uppercase() + rest
    })
}

/// Guarantees: the numbers and names of every enumeration, none missing, none too many.
#[test]
fn enumerations_have_the_values_of_the_generated_types() {
    let enums: Vec<&EnumType> = MESSAGES
        .iter()
        .flat_map(|message| message.fields)
        .filter_map(|field| match field.kind {
            Kind::Enum(of) => Some(of),
            _ => None,
        })
        .collect();
    for of in enums {
        let name = |number: i32| match of.name {
            "AggregationTemporality" => {
                AggregationTemporality::try_from(number).ok().map(|value| value.as_str_name())
            }
            "SeverityNumber" => {
                SeverityNumber::try_from(number).ok().map(|value| value.as_str_name())
            }
            "Span.SpanKind" => SpanKind::try_from(number).ok().map(|value| value.as_str_name()),
            "Status.StatusCode" => {
                StatusCode::try_from(number).ok().map(|value| value.as_str_name())
            }
            other => panic!("{other} is not compared"),
        };
        let generated: Vec<_> =
            (-100..1000).filter_map(|number| Some((number, name(number)?))).collect();
        assert_eq!(of.values, generated, "{}", of.name);
    }
}

/// Guarantees: what the walkers rely on.
#[test]
fn tables_are_in_order() {
    let names: BTreeSet<_> = MESSAGES.iter().map(|message| message.name).collect();
    assert_eq!(names.len(), MESSAGES.len(), "names are unique");
    for message in MESSAGES {
        assert!(message.fields.is_sorted_by_key(|field| field.number), "{}", message.name);
        assert!(message.fields.iter().all(|field| (1..=16).contains(&field.number)));
        assert!(message.fields.iter().all(|field| field.oneof.is_none() || !field.repeated));
    }
    for signal in Signal::ALL {
        assert_eq!(request(signal).fields.first().map(|field| field.number), Some(1));
        assert!(request(signal).name.starts_with("Export"));
    }
}
