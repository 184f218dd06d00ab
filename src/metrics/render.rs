//! From registries to text, with the names that a reader of the Collector would have.
//!
//! The Collector's default reader sets `without_type_suffix` and `without_units`, so that dashboards
//! written for it ask for `otelcol_receiver_accepted_spans`; one that is configured without these
//! keys, as charts do, says `otelcol_receiver_accepted_spans_total` (contract 9.2).

use prometheus_client::encoding::prometheus_text;
use prometheus_client::registry::Registry;

use crate::config::sections::MetricNames;

/// Renders the Collector's metrics and ours, one after the other.
pub(super) fn both(collector: &Registry, own: &Registry, names: MetricNames) -> String {
    let mut text = String::new();
    for line in encode(collector).lines() {
        push_renamed(&mut text, line, names);
    }
    text.push_str(&encode(own));
    text
}

fn encode(registry: &Registry) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail, and no collector here reports an error of its own.
    if prometheus_text::encode(&mut text, registry).is_err() {
        text.clear();
    }
    text
}

/// Copies a line of the exposition format; the metric's name comes with `_total` if it counts.
fn push_renamed(text: &mut String, line: &str, names: MetricNames) {
    let comment = ["# HELP ", "# TYPE "].into_iter().find(|mark| line.starts_with(mark));
    let (mark, rest) = line.split_at(comment.map_or(0, str::len));
    let end = rest.find(['{', ' ']).unwrap_or(rest.len());
    let (name, tail) = rest.split_at(end);
    let stem = name.strip_suffix("_total");
    text.push_str(mark);
    text.push_str(stem.unwrap_or(name));
    if names.units {
        text.push_str(unit(stem.unwrap_or(name)));
    }
    if names.type_suffix && stem.is_some() {
        text.push_str("_total");
    }
    text.push_str(tail);
    text.push('\n');
}

/// The unit of those few whose name does not end in it; items and requests have none.
fn unit(name: &str) -> &'static str {
    match name {
        "otelcol_process_memory_rss" => "_bytes",
        "otelcol_process_uptime" => "_seconds",
        _ => "",
    }
}
