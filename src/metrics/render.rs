//! From registries to text: the Collector's names lose the `_total` that the library appends.
//!
//! The Collector's default reader sets `without_type_suffix`, so that dashboards written for it
//! ask for `otelcol_receiver_accepted_spans` (contract 9.2).

use prometheus_client::encoding::prometheus_text;
use prometheus_client::registry::Registry;

/// Renders the Collector's metrics and ours, one after the other.
pub(super) fn both(collector: &Registry, own: &Registry) -> String {
    let mut text = String::new();
    for line in encode(collector).lines() {
        push_without_suffix(&mut text, line);
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

/// Copies a line of the exposition format, with the metric's name freed of `_total`.
fn push_without_suffix(text: &mut String, line: &str) {
    let comment = ["# HELP ", "# TYPE "].into_iter().find(|mark| line.starts_with(mark));
    let (mark, rest) = line.split_at(comment.map_or(0, str::len));
    let end = rest.find(['{', ' ']).unwrap_or(rest.len());
    let (name, tail) = rest.split_at(end);
    text.push_str(mark);
    text.push_str(name.strip_suffix("_total").unwrap_or(name));
    text.push_str(tail);
    text.push('\n');
}
