//! What a request is that is not what it was sent as.
//!
//! Guarantees a bound on the work, and that nothing is named unless its first bytes, with an item
//! among them, fit one other signal alone.

use super::{CheckError, Checker};
use crate::signal::Signal;

/// The signal that the first pieces of a request fit which failed as `asked`.
pub(crate) fn looks_like<'a>(
    asked: Signal,
    error: &CheckError,
    pieces: &(impl Iterator<Item = &'a [u8]> + Clone),
) -> Option<Signal> {
    // What went well for so long is of the signal, and damaged.
    if error.offset > MOST_BYTES as u64 {
        return None;
    }
    let mut fitting = Signal::ALL
        .into_iter()
        .filter(|other| *other != asked && fits(Checker::new(*other), pieces.clone()));
    fitting.next().filter(|_one| fitting.next().is_none())
}

/// Whether nothing is wrong with the start, and it is a whole request or has a whole item. Fewer
/// bytes fit several signals.
fn fits<'a>(mut checker: Checker, pieces: impl Iterator<Item = &'a [u8]>) -> bool {
    let mut left = MOST_BYTES;
    for piece in pieces {
        let piece = piece.get(..left).unwrap_or(piece);
        if checker.push(piece).is_err() {
            return false;
        }
        left -= piece.len();
        if left == 0 {
            break;
        }
    }
    checker.items_so_far() > 1 || checker.finish().is_ok_and(|whole| whole.items > 0)
}

/// Senders mostly begin with a resource of less than that.
const MOST_BYTES: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
    use opentelemetry_proto::tonic::logs::v1::{LogRecord, LogsData, ResourceLogs, ScopeLogs};
    use opentelemetry_proto::tonic::metrics::v1::{
        Metric, MetricsData, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, metric::Data,
        number_data_point,
    };
    use opentelemetry_proto::tonic::profiles::v1development::{
        Profile, ProfilesData, ResourceProfiles, Sample, ScopeProfiles, ValueType,
    };
    use opentelemetry_proto::tonic::resource::v1::Resource;
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, TracesData};
    use prost::Message as _;

    use super::*;

    fn text(text: &str) -> Option<AnyValue> {
        Some(AnyValue { value: Some(Value::StringValue(text.to_owned())) })
    }

    fn attributes() -> Vec<KeyValue> {
        let value = text("checkout");
        vec![KeyValue { key: "service.name".to_owned(), value, ..KeyValue::default() }]
    }

    /// As SDKs send it; the data of each signal has the shape of its request.
    fn sent(signal: Signal) -> Vec<u8> {
        let resource = Some(Resource { attributes: attributes(), ..Resource::default() });
        let now = 1_700_000_000_000_000_000;
        match signal {
            Signal::Traces => {
                let span = Span {
                    trace_id: b"0123456789abcdef".to_vec(),
                    span_id: b"01234567".to_vec(),
                    name: "GET /".to_owned(),
                    start_time_unix_nano: now,
                    end_time_unix_nano: now,
                    attributes: attributes(),
                    ..Span::default()
                };
                let scope_spans =
                    vec![ScopeSpans { spans: vec![span; 3], ..ScopeSpans::default() }];
                let one = ResourceSpans { resource, scope_spans, ..ResourceSpans::default() };
                TracesData { resource_spans: vec![one] }.encode_to_vec()
            }
            Signal::Metrics => {
                let point = NumberDataPoint {
                    time_unix_nano: now,
                    value: Some(number_data_point::Value::AsInt(7)),
                    ..NumberDataPoint::default()
                };
                let metric = Metric {
                    name: "requests".to_owned(),
                    unit: "1".to_owned(),
                    data: Some(Data::Sum(Sum { data_points: vec![point; 3], ..Sum::default() })),
                    ..Metric::default()
                };
                let scope_metrics =
                    vec![ScopeMetrics { metrics: vec![metric; 3], ..ScopeMetrics::default() }];
                let one = ResourceMetrics { resource, scope_metrics, ..ResourceMetrics::default() };
                MetricsData { resource_metrics: vec![one] }.encode_to_vec()
            }
            Signal::Logs => {
                let record = LogRecord {
                    time_unix_nano: now,
                    observed_time_unix_nano: now,
                    severity_number: 9,
                    body: text("paid"),
                    attributes: attributes(),
                    ..LogRecord::default()
                };
                let scope_logs =
                    vec![ScopeLogs { log_records: vec![record; 3], ..ScopeLogs::default() }];
                let one = ResourceLogs { resource, scope_logs, ..ResourceLogs::default() };
                LogsData { resource_logs: vec![one] }.encode_to_vec()
            }
            Signal::Profiles => {
                let profile = Profile {
                    sample_type: Some(ValueType { type_strindex: 1, unit_strindex: 2 }),
                    samples: vec![Sample { values: vec![7], ..Sample::default() }; 3],
                    time_unix_nano: now,
                    ..Profile::default()
                };
                let scope_profiles =
                    vec![ScopeProfiles { profiles: vec![profile], ..ScopeProfiles::default() }];
                let one =
                    ResourceProfiles { resource, scope_profiles, ..ResourceProfiles::default() };
                ProfilesData { resource_profiles: vec![one], dictionary: None }.encode_to_vec()
            }
        }
    }

    /// Feeds it in pieces, as it arrives; `None` if nothing is wrong with it as `asked`.
    fn guess(asked: Signal, body: &[u8], length: usize) -> Option<Option<Signal>> {
        let mut checker = Checker::new(asked);
        let pieces: Vec<&[u8]> = body.chunks(length).collect();
        let failed = pieces.iter().position(|piece| checker.push(piece).is_err())?;
        let mut checker = Checker::new(asked);
        let error = pieces[..=failed].iter().find_map(|piece| checker.push(piece).err())?;
        Some(looks_like(asked, &error, &pieces[..=failed].iter().copied()))
    }

    /// Scenario: what an SDK sends of each signal arrives where another one is taken.
    /// Guarantees: it is named, whole or in pieces, unless so little has come that it may be
    /// anything; never as something else.
    #[test]
    fn a_request_at_the_address_of_another_signal_is_named() {
        for asked in Signal::ALL {
            for is in Signal::ALL.into_iter().filter(|is| *is != asked) {
                let body = sent(is);
                for length in [body.len(), 256, 7, 1] {
                    let guessed = guess(asked, &body, length);
                    let named = guessed == Some(Some(is));
                    let unsure = length < 256 && guessed == Some(None);
                    assert!(named || unsure, "{is} as {asked} in {length}: {guessed:?}");
                }
            }
        }
    }

    /// Scenario: a byte of a request is another one, or it ends early.
    /// Guarantees: it is not taken for another signal.
    #[test]
    fn damage_is_not_taken_for_another_signal() {
        for asked in Signal::ALL {
            let whole = sent(asked);
            for at in 0..whole.len() {
                let is = whole[at];
                for byte in [0, 1, 0x0a, 0x12, 0xff, is ^ 1, is ^ 3, is ^ 0x80] {
                    let mut body = whole.clone();
                    body[at] = byte;
                    let guessed = guess(asked, &body, body.len()).flatten();
                    assert_eq!(guessed, None, "{asked}: {byte:#04x} at {at}");
                }
                assert_eq!(guess(asked, &whole[..at], at.max(1)), None, "{asked} cut at {at}");
            }
        }
    }

    /// Guarantees: what fits several signals, or none, or has no item, is not named, and neither is
    /// what went well for long.
    #[test]
    fn what_may_be_anything_is_not_named() {
        let cases: [&[u8]; 4] = [
            b"",
            // A resource and no records, then a field with a wire type of another.
            &[10, 2, 10, 0, 8, 1],
            // A field of number 0.
            &[2, 0],
            b"{\"resourceLogs\":[]}",
        ];
        for body in cases {
            for asked in Signal::ALL {
                let guessed = guess(asked, body, body.len().max(1)).flatten();
                assert_eq!(guessed, None, "{body:?} as {asked}");
            }
        }
        let late: Vec<u8> = sent(Signal::Traces).repeat(200);
        let late = [late, sent(Signal::Logs)].concat();
        assert_eq!(guess(Signal::Traces, &late, late.len()), Some(None));
    }
}
