//! What the checker is compared with, in tests and fuzz targets: `prost` itself.
//!
//! Guarantees to use nothing of the checker. Knows how to count items and find ids in decoded
//! values, and, slowly, in bytes that decode.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "for tests and fuzz targets only"
)]

use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest,
        profiles::v1development::ExportProfilesServiceRequest,
        trace::v1::ExportTraceServiceRequest,
    },
    metrics::v1::{Exemplar, metric::Data},
};
use prost::{DecodeError, Message as _};

use super::{CheckError, Checked, Checker};
use crate::otlp::schema::{Kind, Message, request};
use crate::signal::Signal;

/// Checks the bytes in frames of the given lengths, in turn, and compares with `prost`.
///
/// # Panics
///
/// When they disagree.
pub(crate) fn compare(signal: Signal, bytes: &[u8], frames: &[usize]) {
    let whole = in_frames(signal, bytes, &[bytes.len()]);
    let split = in_frames(signal, bytes, frames);
    match (whole, split) {
        (Ok(whole), Ok(split)) => assert_eq!(whole, split, "items depend on frames"),
        (Err(whole), Err(split)) => {
            assert_eq!((whole.fault, whole.place), (split.fault, split.place), "frames matter");
        }
        (whole, split) => panic!("frames matter: {whole:?} {split:?}"),
    }
    match (decode(signal, bytes), split) {
        (Ok(decoded), Ok(checked)) => {
            assert_eq!(decoded.items, checked.items, "items differ");
            assert!(decoded.ids_fit, "an id of a wrong length passed");
        }
        (Ok(_), Err(error)) => {
            assert_eq!(error.reason(), "id_length", "prost accepts: {error}");
            assert!(has_bad_id(request(signal), bytes), "no id of a wrong length: {error}");
        }
        (Err(error), Ok(_)) => panic!("prost refuses: {error}"),
        (Err(_), Err(_)) => {}
    }
}

/// Checks the bytes in frames of these lengths, used in turn until nothing is left.
pub(crate) fn in_frames(
    signal: Signal,
    bytes: &[u8],
    frames: &[usize],
) -> Result<Checked, CheckError> {
    let mut checker = Checker::new(signal);
    let mut rest = bytes;
    for &length in frames.iter().cycle() {
        if rest.is_empty() || frames.iter().all(|&length| length == 0) {
            break;
        }
        let (frame, tail) = rest.split_at(length.min(rest.len()));
        checker.push(frame)?;
        rest = tail;
    }
    checker.push(rest)?;
    checker.finish()
}

/// What `prost` made of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decoded {
    /// Spans, data points, log records or samples.
    pub(crate) items: u64,
    /// Whether every id is absent or of its length.
    pub(crate) ids_fit: bool,
}

/// Decodes with `prost`.
pub(crate) fn decode(signal: Signal, bytes: &[u8]) -> Result<Decoded, DecodeError> {
    let mut seen = Decoded { items: 0, ids_fit: true };
    match signal {
        Signal::Traces => traces(&mut seen, &ExportTraceServiceRequest::decode(bytes)?),
        Signal::Metrics => metrics(&mut seen, &ExportMetricsServiceRequest::decode(bytes)?),
        Signal::Logs => logs(&mut seen, &ExportLogsServiceRequest::decode(bytes)?),
        Signal::Profiles => profiles(&mut seen, &ExportProfilesServiceRequest::decode(bytes)?),
    }
    Ok(seen)
}

/// Decodes with `prost` and encodes again: the request's canonical form, without unknown fields.
pub(crate) fn encode(signal: Signal, bytes: &[u8]) -> Result<Vec<u8>, DecodeError> {
    Ok(match signal {
        Signal::Traces => ExportTraceServiceRequest::decode(bytes)?.encode_to_vec(),
        Signal::Metrics => ExportMetricsServiceRequest::decode(bytes)?.encode_to_vec(),
        Signal::Logs => ExportLogsServiceRequest::decode(bytes)?.encode_to_vec(),
        Signal::Profiles => ExportProfilesServiceRequest::decode(bytes)?.encode_to_vec(),
    })
}

/// A request as text that tells any two apart; unlike values themselves, NaN equals NaN.
///
/// # Panics
///
/// When `prost` refuses it.
pub(crate) fn shown(signal: Signal, bytes: &[u8]) -> String {
    fn shown_as<M: prost::Message + Default + std::fmt::Debug>(bytes: &[u8]) -> String {
        format!("{:?}", M::decode(bytes).expect("prost accepts it"))
    }
    match signal {
        Signal::Traces => shown_as::<ExportTraceServiceRequest>(bytes),
        Signal::Metrics => shown_as::<ExportMetricsServiceRequest>(bytes),
        Signal::Logs => shown_as::<ExportLogsServiceRequest>(bytes),
        Signal::Profiles => shown_as::<ExportProfilesServiceRequest>(bytes),
    }
}

impl Decoded {
    fn ids(&mut self, trace_id: &[u8], span_id: &[u8]) {
        self.ids_fit &= matches!(trace_id.len(), 0 | 16) && matches!(span_id.len(), 0 | 8);
    }

    fn exemplars(&mut self, exemplars: &[Exemplar]) {
        for exemplar in exemplars {
            self.ids(&exemplar.trace_id, &exemplar.span_id);
        }
    }
}

fn traces(seen: &mut Decoded, request: &ExportTraceServiceRequest) {
    let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
    for span in scopes.flat_map(|scope| &scope.spans) {
        seen.items += 1;
        seen.ids(&span.trace_id, &span.span_id);
        seen.ids(&[], &span.parent_span_id);
        for link in &span.links {
            seen.ids(&link.trace_id, &link.span_id);
        }
    }
}

fn metrics(seen: &mut Decoded, request: &ExportMetricsServiceRequest) {
    let scopes = request.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
    for data in scopes.flat_map(|scope| &scope.metrics).filter_map(|metric| metric.data.as_ref()) {
        let items = match data {
            Data::Gauge(gauge) => &gauge.data_points,
            Data::Sum(sum) => &sum.data_points,
            Data::Histogram(histogram) => {
                histogram.data_points.iter().for_each(|point| seen.exemplars(&point.exemplars));
                seen.items += histogram.data_points.len() as u64;
                continue;
            }
            Data::ExponentialHistogram(histogram) => {
                histogram.data_points.iter().for_each(|point| seen.exemplars(&point.exemplars));
                seen.items += histogram.data_points.len() as u64;
                continue;
            }
            Data::Summary(summary) => {
                seen.items += summary.data_points.len() as u64;
                continue;
            }
        };
        items.iter().for_each(|point| seen.exemplars(&point.exemplars));
        seen.items += items.len() as u64;
    }
}

fn logs(seen: &mut Decoded, request: &ExportLogsServiceRequest) {
    let scopes = request.resource_logs.iter().flat_map(|resource| &resource.scope_logs);
    for record in scopes.flat_map(|scope| &scope.log_records) {
        seen.items += 1;
        seen.ids(&record.trace_id, &record.span_id);
    }
}

fn profiles(seen: &mut Decoded, request: &ExportProfilesServiceRequest) {
    let scopes = request.resource_profiles.iter().flat_map(|resource| &resource.scope_profiles);
    for profile in scopes.flat_map(|scope| &scope.profiles) {
        seen.items += profile.samples.len() as u64;
        seen.ids(&profile.profile_id, &[]);
    }
    for link in request.dictionary.iter().flat_map(|dictionary| &dictionary.link_table) {
        seen.ids(&link.trace_id, &link.span_id);
    }
}

/// Whether an id of a wrong length occurs in bytes that decode, also where a later value of the
/// same field replaces it. Groups, whose content is not known, are passed over field by field.
fn has_bad_id(message: &Message, mut bytes: &[u8]) -> bool {
    let mut groups = 0u32;
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        match key & 7 {
            0 => drop(varint(&mut bytes)),
            1 => bytes = &bytes[8..],
            2 => {
                let length = usize::try_from(varint(&mut bytes)).expect("it decodes");
                let (value, rest) = bytes.split_at(length);
                bytes = rest;
                // Inside of a group even a known number may hold anything.
                let known = |number| if groups == 0 { message.field(number) } else { None };
                let field = u32::try_from(key >> 3).ok().and_then(known);
                let bad = match field.map(|field| field.kind) {
                    Some(Kind::Id(expected)) => length != 0 && length != expected,
                    Some(Kind::Message(inner)) => has_bad_id(inner, value),
                    _ => false,
                };
                if bad {
                    return true;
                }
            }
            3 => groups += 1,
            4 => groups -= 1,
            _ => bytes = &bytes[4..],
        }
    }
    false
}

fn varint(bytes: &mut &[u8]) -> u64 {
    prost::encoding::decode_varint(bytes).expect("it decodes")
}
