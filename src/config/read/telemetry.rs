//! `service.telemetry` (contract 9.2).

use std::collections::BTreeMap;

use crate::config::node::{Node, Value};
use crate::config::read::section::Section;
use crate::config::read::values::MAX;
use crate::config::sections::{
    LogEncoding, LogLevel, LogSampling, Logs, MetricNames, MetricsLevel, MetricsReader, Telemetry,
};

/// `service.telemetry`.
pub(super) fn telemetry(section: &Section<'_>) -> Telemetry {
    let (metrics_level, metrics_readers) = section.section("metrics", metrics);
    section.section("traces", traces);
    Telemetry {
        logs: section.section("logs", logs),
        metrics_level,
        metrics_readers,
        resource: resource(section),
    }
}

fn logs(section: &Section<'_>) -> Logs {
    let defaults = Logs::default();
    for key in ["development", "disable_caller", "disable_stacktrace", "disable_zap_resource"] {
        if section.boolean(key) == Some(true) {
            section.no_effect(key, "it is about Go's logger");
        }
    }
    if section.strings("error_output_paths").is_some_and(|p| p.iter().any(|p| p != "stderr")) {
        section.no_effect("error_output_paths", "what cannot be logged goes to stderr");
    }
    if section.list("processors").is_some_and(|items| !items.is_empty()) {
        section.no_effect("processors", "the gateway's own log is written, not exported");
    }
    let output_paths = section.strings("output_paths").filter(|paths| !paths.is_empty());
    let fields = section.free_texts("initial_fields");
    Logs {
        level: level(section).unwrap_or(defaults.level),
        encoding: section
            .word("encoding", &[("console", LogEncoding::Console), ("json", LogEncoding::Json)])
            .unwrap_or(defaults.encoding),
        sampling: sampling(section, defaults.sampling),
        output_paths: output_paths.unwrap_or(defaults.output_paths),
        initial_fields: fields
            .into_iter()
            .filter_map(|(key, value)| value.map(|value| (key, value)))
            .collect(),
    }
}

fn level(section: &Section<'_>) -> Option<LogLevel> {
    let text = section.string("level")?;
    Some(match text.to_lowercase().as_str() {
        "debug" => LogLevel::Debug,
        "info" | "" => LogLevel::Info,
        "warn" => LogLevel::Warn,
        "error" | "dpanic" | "panic" | "fatal" => LogLevel::Error,
        _ => {
            let message = format!("unrecognized level: {text:?}");
            section.error_help("level", "unknown_value", message, "use debug, info, warn or error");
            return None;
        }
    })
}

fn sampling(section: &Section<'_>, default: Option<LogSampling>) -> Option<LogSampling> {
    let default = default?;
    section.section("sampling", |sampling| {
        let enabled = sampling.boolean("enabled").unwrap_or(true);
        let tick = sampling.duration("tick").filter(|tick| !tick.is_zero());
        let settings = LogSampling {
            tick: tick.unwrap_or(default.tick),
            initial: sampling.number("initial", 0..=MAX).unwrap_or(default.initial),
            thereafter: sampling.number("thereafter", 0..=MAX).unwrap_or(default.thereafter),
        };
        enabled.then_some(settings)
    })
}

fn metrics(section: &Section<'_>) -> (MetricsLevel, Vec<MetricsReader>) {
    let level = section.string("level").map(|text| (text.to_lowercase(), text));
    let level = match level.as_ref().map(|(lower, _)| lower.as_str()) {
        None | Some("") | Some("normal") => MetricsLevel::Normal,
        Some("none") => MetricsLevel::None,
        Some("basic") => MetricsLevel::Basic,
        Some("detailed") => MetricsLevel::Detailed,
        Some(other) => {
            let message = format!("unknown metrics level {other:?}");
            let help = "use none, basic, normal or detailed";
            section.error_help("level", "unknown_value", message, help);
            MetricsLevel::Normal
        }
    };
    if section.list("views").is_some_and(|views| !views.is_empty()) {
        if level == MetricsLevel::Detailed {
            section.no_effect("views", "the metrics are fixed");
        } else {
            section.error(
                "views",
                "contradiction",
                "service::telemetry::metrics::views can only be set when \
                 service::telemetry::metrics::level is detailed",
            );
        }
    }
    let Some(items) = section.list("readers") else {
        return (level, default_readers(level));
    };
    if items.is_empty() && level != MetricsLevel::None {
        section.error_help(
            "readers",
            "empty",
            "collector telemetry metrics reader should exist when metric level is not none",
            "remove readers for localhost:8888, or add level: none",
        );
    }
    let readers: Vec<_> =
        items.iter().enumerate().filter_map(|(index, item)| reader(section, index, item)).collect();
    if level == MetricsLevel::None {
        return (level, Vec::new());
    }
    (level, readers)
}

fn default_readers(level: MetricsLevel) -> Vec<MetricsReader> {
    if level == MetricsLevel::None {
        return Vec::new();
    }
    vec![MetricsReader {
        key_path: "service.telemetry.metrics.readers".to_owned(),
        host: "localhost".to_owned(),
        port: 8888,
        names: MetricNames::default(),
    }]
}

fn reader(section: &Section<'_>, index: usize, item: &Node) -> Option<MetricsReader> {
    let path = format!("{}[{index}]", section.path_of("readers"));
    let entry = Section::new(path, item.span.clone(), Some(item), section.sink);
    if entry.raw("periodic").is_some() {
        entry.no_effect("periodic", "the gateway's metrics are pulled, not pushed");
        entry.finish();
        return None;
    }
    if !entry.has("pull") {
        let help = "add pull: {exporter: {prometheus: {host: localhost, port: 8888}}}";
        entry.error_help("", "missing_key", "a reader is pull or periodic", help);
    }
    let reader = entry.section("pull", |pull| {
        pull.no_effect("producers", "there are no others");
        pull.no_effect("cardinality_limits", "labels are bounded anyway");
        pull.section("exporter", |exporter| {
            let key = if exporter.has("prometheus/development") {
                "prometheus/development"
            } else {
                "prometheus"
            };
            if !exporter.has(key) && entry.has("pull") {
                let help = "add prometheus: {host: localhost, port: 8888}";
                exporter.error_help("", "missing_key", "no prometheus exporter", help);
                return None;
            }
            exporter.section(key, prometheus)
        })
    });
    entry.finish();
    reader
}

fn prometheus(section: &Section<'_>) -> Option<MetricsReader> {
    let names = names(section);
    section.boolean("without_target_info");
    if section.boolean("without_scope_info") == Some(false) {
        section.no_effect("without_scope_info", "no metric is labelled with its scope");
    }
    section.no_effect("with_resource_constant_labels", "the resource is on target_info");
    section.no_effect("resource_constant_labels", "the resource is on target_info");
    let host = section.string("host").unwrap_or_else(|| "localhost".to_owned());
    let port = section.number("port", 0..=65_535);
    if port.is_none() && !section.has("port") {
        section.error_help("", "missing_key", "the port is missing", "add port: 8888");
    }
    Some(MetricsReader { key_path: section.path.clone(), host, port: port?, names })
}

/// Two booleans in one generation of the declarative schema, one word in the next.
fn names(section: &Section<'_>) -> MetricNames {
    let without = |key| section.boolean(key).unwrap_or(false);
    let names = MetricNames {
        type_suffix: !without("without_type_suffix"),
        units: !without("without_units"),
    };
    let Some(strategy) = section.string("translation_strategy") else { return names };
    let word = strategy.to_lowercase().replace('_', "");
    match word.split('/').next().unwrap_or_default() {
        "underscoreescapingwithsuffixes" => MetricNames { type_suffix: true, units: true },
        "underscoreescapingwithoutsuffixes" => MetricNames::default(),
        _ => {
            section.no_effect("translation_strategy", "names are those of Prometheus");
            names
        }
    }
}

/// Accepted; only `level: none` is what happens here.
fn traces(section: &Section<'_>) {
    section
        .word("level", &[("none", ()), ("basic", ()), ("normal", ()), ("detailed", ()), ("", ())]);
    let why = "the gateway makes no spans of its own";
    if section.list("processors").is_some_and(|items| !items.is_empty()) {
        section.no_effect("processors", why);
    }
    if section.strings("propagators").is_some_and(|items| !items.is_empty()) {
        section.no_effect("propagators", why);
    }
    section.no_effect("sampler", why);
    section.no_effect("limits", why);
}

/// Attributes as a map, or the declarative form with a list.
fn resource(telemetry: &Section<'_>) -> BTreeMap<String, String> {
    let declarative = telemetry.value("resource").is_some_and(|node| match &node.value {
        Value::Map(entries) => entries.iter().any(|(key, node)| {
            matches!(key.text.as_str(), "attributes" | "detectors")
                && matches!(node.value, Value::List(_) | Value::Map(_))
        }),
        Value::Null | Value::List(_) | Value::Scalar(_) => false,
    });
    if !declarative {
        let texts = telemetry.free_texts("resource");
        return texts.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
    }
    telemetry.section("resource", |resource| {
        resource.string("schema_url");
        resource.string("attributes_list");
        resource.no_effect("detectors", "nothing is detected");
        let mut attributes = BTreeMap::new();
        let list = resource.raw("attributes").map(|node| &node.value);
        if let Some(Value::Map(_)) = list {
            let texts = resource.free_texts("attributes");
            attributes.extend(texts.into_iter().filter_map(|(key, value)| Some((key, value?))));
            return attributes;
        }
        for (index, item) in resource.list("attributes").unwrap_or_default().iter().enumerate() {
            let path = format!("{}[{index}]", resource.path_of("attributes"));
            let entry = Section::new(path, item.span.clone(), Some(item), resource.sink);
            entry.string("type");
            let name = entry.filled("name");
            if name.is_none() && !entry.has("name") {
                entry.error("", "missing_key", "an attribute needs a name");
            }
            let value = entry.value("value").and_then(|node| match &node.value {
                Value::Scalar(scalar) => Some(scalar.text.clone()),
                Value::Null => Some(String::new()),
                Value::List(_) | Value::Map(_) => {
                    entry.mistyped("value", "a list or a map", "a text");
                    None
                }
            });
            entry.finish();
            attributes.extend(name.zip(value));
        }
        attributes
    })
}
