//! The checker against `prost`, at random and at the edges.

use proptest::prelude::*;

use super::generate::{Choices, message};
use super::oracle::{compare, decode, in_frames};
use crate::otlp::schema::request;
use crate::signal::Signal;

fn signal() -> impl Strategy<Value = Signal> {
    proptest::sample::select(&Signal::ALL[..])
}

fn frames() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![
        Just(vec![1]),
        proptest::collection::vec(0usize..40, 1..8),
        proptest::collection::vec(0usize..1000, 1..8),
    ]
}

/// A seed and how many fields to make from it.
fn choices() -> impl Strategy<Value = (u64, usize)> {
    (any::<u64>(), 0usize..150)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Scenario: requests with any fields in any order and any valid encoding, in frames.
    /// Guarantees: accepted with the items that `prost` counts.
    #[test]
    fn valid_requests_pass_in_any_frames(signal in signal(), (seed, fields) in choices(), frames in frames()) {
        let bytes = message(&mut Choices::new(seed, fields, false), request(signal), 100);
        prop_assert!(decode(signal, &bytes).is_ok());
        prop_assert!(in_frames(signal, &bytes, &frames).is_ok());
        compare(signal, &bytes, &frames);
    }

    /// Scenario: valid requests in which a few bytes were changed, inserted or cut.
    /// Guarantees: refused exactly when `prost` refuses or an id has a wrong length.
    #[test]
    fn damaged_requests_get_the_verdict_of_prost(
        signal in signal(),
        (seed, fields) in choices(),
        frames in frames(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4u8), 1..4),
    ) {
        let mut bytes = message(&mut Choices::new(seed, fields, true), request(signal), 100);
        for (index, byte, how) in damage {
            if bytes.is_empty() {
                break;
            }
            let at = index.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes[at] ^= 1 << (byte % 8),
                2 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
        }
        compare(signal, &bytes, &frames);
    }

    /// Scenario: random bytes.
    /// Guarantees: the verdict of `prost`.
    #[test]
    fn random_bytes_get_the_verdict_of_prost(
        signal in signal(),
        bytes in proptest::collection::vec(prop_oneof![any::<u8>(), 0u8..32], 0..60),
        frames in frames(),
    ) {
        compare(signal, &bytes, &frames);
    }
}
