//! Data of one signal that arrives as a request of another.
//!
//! Unknown names are ignored, as OTLP demands. Those of other signals are known: what they hold would
//! be lost under a success.

use super::error::{Parsed, fault};
use super::number::quoted;
use super::plan::Plan;
use crate::signal::Signal;

/// Refuses a name that the request's own signal does not know, and that holds data of another.
pub(super) fn check(name: &[u8], value: &[u8]) -> Parsed<()> {
    if !holds_something(value) {
        return Ok(());
    }
    let other = Signal::ALL.into_iter().find(|signal| Plan::request(*signal).find(name).is_some());
    let Some(other) = other else { return Ok(()) };
    let message = format!(
        "{} is of {other}: send it to {} (or to the path that the gateway has for {other})",
        quoted(name),
        other.http_path(),
    );
    Err(fault("json_other_signal", message))
}

/// Whether a value is more than nothing, or lists of nothing.
fn holds_something(value: &[u8]) -> bool {
    value != b"null" && value.iter().any(|byte| !b"[]{}, \t\r\n".contains(byte))
}
