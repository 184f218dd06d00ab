//! The OTLP messages as tables: what the checker, the JSON transcoder and the editor walk by.
//!
//! Guarantees to know every message that an export request of any signal can hold, exactly as the
//! `opentelemetry-proto` crate in use does (OTLP 1.11, profiles in `v1development`); a test
//! compares them. Knows nothing of bytes.

mod common;
mod logs;
mod lookup;
mod metrics;
mod profiles;
mod resource;
mod trace;
mod types;

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;

use crate::signal::Signal;

pub(crate) use lookup::{index, same};
pub(crate) use types::{EnumType, Field, Kind, Message};

/// The export request of a signal: the root of everything a sender can send.
pub(crate) fn request(signal: Signal) -> &'static Message {
    match signal {
        Signal::Traces => &trace::EXPORT_TRACE_SERVICE_REQUEST,
        Signal::Metrics => &metrics::EXPORT_METRICS_SERVICE_REQUEST,
        Signal::Logs => &logs::EXPORT_LOGS_SERVICE_REQUEST,
        Signal::Profiles => &profiles::EXPORT_PROFILES_SERVICE_REQUEST,
    }
}

/// Every message, for tables made from this one. Names are unique.
pub(crate) static MESSAGES: [&Message; 48] = [
    &common::ANY_VALUE,
    &common::ARRAY_VALUE,
    &common::KEY_VALUE_LIST,
    &common::KEY_VALUE,
    &common::INSTRUMENTATION_SCOPE,
    &common::ENTITY_REF,
    &resource::RESOURCE,
    &trace::EXPORT_TRACE_SERVICE_REQUEST,
    &trace::RESOURCE_SPANS,
    &trace::SCOPE_SPANS,
    &trace::SPAN,
    &trace::SPAN_EVENT,
    &trace::SPAN_LINK,
    &trace::STATUS,
    &metrics::EXPORT_METRICS_SERVICE_REQUEST,
    &metrics::RESOURCE_METRICS,
    &metrics::SCOPE_METRICS,
    &metrics::METRIC,
    &metrics::GAUGE,
    &metrics::SUM,
    &metrics::HISTOGRAM,
    &metrics::EXPONENTIAL_HISTOGRAM,
    &metrics::SUMMARY,
    &metrics::NUMBER_DATA_POINT,
    &metrics::HISTOGRAM_DATA_POINT,
    &metrics::EXPONENTIAL_HISTOGRAM_DATA_POINT,
    &metrics::EXPONENTIAL_HISTOGRAM_DATA_POINT_BUCKETS,
    &metrics::SUMMARY_DATA_POINT,
    &metrics::SUMMARY_DATA_POINT_VALUE_AT_QUANTILE,
    &metrics::EXEMPLAR,
    &logs::EXPORT_LOGS_SERVICE_REQUEST,
    &logs::RESOURCE_LOGS,
    &logs::SCOPE_LOGS,
    &logs::LOG_RECORD,
    &profiles::EXPORT_PROFILES_SERVICE_REQUEST,
    &profiles::PROFILES_DICTIONARY,
    &profiles::RESOURCE_PROFILES,
    &profiles::SCOPE_PROFILES,
    &profiles::PROFILE,
    &profiles::LINK,
    &profiles::VALUE_TYPE,
    &profiles::SAMPLE,
    &profiles::MAPPING,
    &profiles::STACK,
    &profiles::LOCATION,
    &profiles::LINE,
    &profiles::FUNCTION,
    &profiles::KEY_VALUE_AND_UNIT,
];
