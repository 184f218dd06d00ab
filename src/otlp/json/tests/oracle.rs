//! Random requests there and back, and against `opentelemetry-proto`'s own JSON.

use opentelemetry_proto::tonic::collector::{
    logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest,
    trace::v1::ExportTraceServiceRequest,
};
use proptest::prelude::*;
use prost::Message;

use crate::batch::Rope;
use crate::otlp::check::check;
use crate::otlp::check::generate::{Choices, message};
use crate::otlp::check::oracle::shown;
use crate::otlp::json::{decode, encode};
use crate::otlp::schema::request;
use crate::signal::Signal;

fn requests() -> impl Strategy<Value = (Signal, Vec<u8>)> {
    (proptest::sample::select(&Signal::ALL[..]), any::<u64>(), 0usize..150).prop_map(
        |(signal, seed, fields)| {
            let mut choices = Choices::new(seed, fields, false);
            (signal, message(&mut choices, request(signal), 100))
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Scenario: a request in any valid wire form, with fields in pieces, repeated and unknown.
    /// Guarantees: its JSON is JSON, and says what `prost` reads in it.
    #[test]
    fn requests_survive_the_way_through_json((signal, bytes) in requests()) {
        let text = encode(signal, &Rope::from_iter(bytes.chunks(7).map(bytes::Bytes::copy_from_slice)));
        if !bytes.is_empty() {
            prop_assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&text).is_ok() || deep(&text));
        }
        let back = decode(signal, &text).map(|decoded| decoded.request);
        prop_assert!(back.is_ok(), "{back:?} {}", String::from_utf8_lossy(&text));
        let back = back.unwrap_or_default();
        prop_assert!(check(signal, &Rope::from(back.clone())).is_ok());
        prop_assert_eq!(shown(signal, &back), shown(signal, &bytes));
    }

    /// Scenario: the JSON that `opentelemetry-proto` makes of a request.
    /// Guarantees: the same request.
    #[test]
    fn their_json_is_read((signal, bytes) in requests()) {
        if let Some(text) = their_json(signal, &bytes) {
            let back = decode(signal, text.as_bytes()).map(|decoded| decoded.request);
            prop_assert!(back.is_ok(), "{back:?} {text}");
            prop_assert_eq!(shown(signal, &back.unwrap_or_default()), shown(signal, &bytes));
        }
    }

    /// Scenario: JSON of a request with some characters changed.
    /// Guarantees: no panic, and what is still accepted passes the checker.
    #[test]
    fn damaged_json_is_refused_or_passes_the_checker(
        (signal, bytes) in requests(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), "[\\x00-\\x7f]", 0..3u8), 1..4),
    ) {
        let mut text = encode(signal, &Rope::from(bytes::Bytes::from(bytes))).to_vec();
        for (index, characters, how) in damage {
            let at = index.index(text.len());
            match how {
                0 => text[at] = characters.as_bytes()[0],
                1 => text.insert(at, characters.as_bytes()[0]),
                _ => drop(text.remove(at)),
            }
            if text.is_empty() { break; }
        }
        if let Ok(decoded) = decode(signal, &text) {
            prop_assert!(check(signal, &Rope::from(decoded.request)).is_ok());
        }
    }
}

/// `serde_json` reads up to 128 levels of its own.
fn deep(text: &[u8]) -> bool {
    text.iter().filter(|byte| **byte == b'{').count() > 60
}

fn their_json(signal: Signal, bytes: &[u8]) -> Option<String> {
    // They write numbers that are not finite as null, against the mapping.
    let text = shown(signal, bytes);
    if ["(NaN)", "(inf)", "(-inf)"].iter().any(|number| text.contains(number)) {
        return None;
    }
    match signal {
        Signal::Traces => json_of::<ExportTraceServiceRequest>(bytes),
        Signal::Metrics => json_of::<ExportMetricsServiceRequest>(bytes),
        Signal::Logs => json_of::<ExportLogsServiceRequest>(bytes),
        // They write `originalPayload` as a list of numbers, against the mapping.
        Signal::Profiles => None,
    }
}

fn json_of<M: Message + Default + serde::Serialize>(bytes: &[u8]) -> Option<String> {
    serde_json::to_string(&M::decode(bytes).expect("decodes")).ok()
}
