//! The OTLP messages as tables: what the checker, the JSON transcoder and the editor walk by.
//!
//! Guarantees to know every message that an export request of any signal can hold, exactly as the
//! `opentelemetry-proto` crate in use does (OTLP 1.11, profiles in `v1development`); a test
//! compares them. Knows nothing of bytes.

mod common;
mod logs;
mod metrics;
mod profiles;
mod resource;
mod trace;
mod types;

use crate::signal::Signal;

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
