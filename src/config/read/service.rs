//! `service` (contract 9.1).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::config::diagnostic::Problem;
use crate::config::node::{Node, Value};
use crate::config::read::ids::{self, Reference};
use crate::config::read::mend;
use crate::config::read::section::Section;
use crate::config::read::telemetry;
use crate::config::read::values::MAX;
use crate::config::sections::{Pipeline, PipelineId, Service};
use crate::config::types::ComponentId;

/// The ids that can be named, by section.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) receivers: BTreeSet<ComponentId>,
    pub(super) processors: BTreeSet<ComponentId>,
    pub(super) exporters: BTreeSet<ComponentId>,
    pub(super) extensions: BTreeSet<ComponentId>,
}

/// `service`.
pub(super) fn service(section: &Section<'_>, known: &Known) -> Service {
    let extensions = ids::references(section, "extensions");
    check(section, &extensions, "extension", &known.extensions);
    let mut seen = BTreeSet::new();
    let extensions: Vec<_> = extensions
        .into_iter()
        .map(|reference| reference.id)
        .filter(|id| seen.insert(id.clone()))
        .collect();
    // Of what does not exist it is said elsewhere, and to list it would help nobody.
    let exists = |id: &&ComponentId| super::EXTENSIONS.contains(&id.kind.as_str());
    for id in known.extensions.difference(&seen).filter(exists) {
        section.warn(
            "extensions",
            "unused",
            format!("the extension {id} is configured but not listed, so it does not run"),
            format!("add {id} to service.extensions"),
        );
    }
    Service {
        extensions,
        pipelines: section.section("pipelines", |pipelines| pipelines_of(pipelines, known)),
        telemetry: section.section("telemetry", telemetry::telemetry),
        workers: section.number("workers", 1..=1024),
        // Beyond, the runtime of a single worker has no threads.
        side_threads: section.number("side_threads", 1..=512),
        max_edited_bytes: section
            .bytes("max_edited_bytes", 1..=MAX)
            .unwrap_or(Service::MAX_EDITED_BYTES),
        shutdown_timeout: section.duration("shutdown_timeout").unwrap_or(Duration::from_secs(30)),
    }
}

fn pipelines_of(section: &Section<'_>, known: &Known) -> BTreeMap<PipelineId, Pipeline> {
    let mut pipelines = BTreeMap::new();
    for (key, node) in section.entries() {
        section.raw(&key.text);
        let id = match ids::pipeline(&key.text) {
            Ok(id) => id,
            Err(why) => {
                let kind = key.text.split('/').next().unwrap_or_default();
                let signals = ["traces", "metrics", "logs", "profiles"];
                let help = mend::nearest(kind, signals).map_or_else(
                    || "use traces, metrics, logs or profiles, with /name for more".to_owned(),
                    |name| format!("did you mean {name:?}?"),
                );
                section.error_help(&key.text, "pipeline_id", why, help);
                continue;
            }
        };
        let pipeline = pipeline_of(section, &key.text, node, known);
        if pipelines.insert(id, pipeline).is_some() {
            section.error(&key.text, "duplicate_key", format!("duplicate name {:?}", key.text));
        }
    }
    if section.entries().is_empty() {
        section.error_help(
            "",
            "no_pipeline",
            "service must have at least one pipeline",
            "add service: {pipelines: {traces: {receivers: [otlp], exporters: [otlp_grpc]}}}",
        );
    }
    pipelines
}

fn pipeline_of(section: &Section<'_>, key: &str, node: &Node, known: &Known) -> Pipeline {
    let body = Section::new(section.path_of(key), section.span_of(key), Some(node), section.sink);
    let receivers = ids::references(&body, "receivers");
    let processors = ids::references(&body, "processors");
    let exporters = ids::references(&body, "exporters");
    body.finish();
    for (key, what, list) in
        [("receivers", "receiver", &receivers), ("exporters", "exporter", &exporters)]
    {
        let none = body.raw(key).is_none_or(|node| match &node.value {
            Value::Null => true,
            Value::List(items) => items.is_empty(),
            Value::Map(_) | Value::Scalar(_) => false,
        });
        if none && list.is_empty() {
            let key = if body.has(key) { key } else { "" };
            body.error(key, "empty", format!("must have at least one {what}"));
        }
    }
    check(&body, &receivers, "receiver", &known.receivers);
    check(&body, &processors, "processor", &known.processors);
    check(&body, &exporters, "exporter", &known.exporters);
    let mut seen = BTreeSet::new();
    for reference in &processors {
        if !seen.insert(&reference.id) {
            let message = format!("references processor \"{}\" multiple times", reference.id);
            body.sink.error(at(reference, "duplicate_key", message, None));
        }
    }
    Pipeline {
        receivers: once(receivers),
        processors: processors.into_iter().map(|reference| reference.id).collect(),
        exporters: once(exporters),
    }
}

/// A receiver or exporter that is named twice is used once.
fn once(references: Vec<Reference>) -> Vec<ComponentId> {
    let mut seen = BTreeSet::new();
    references
        .into_iter()
        .map(|reference| reference.id)
        .filter(|id| seen.insert(id.clone()))
        .collect()
}

/// Every reference must lead somewhere.
fn check(
    section: &Section<'_>,
    references: &[Reference],
    what: &str,
    known: &BTreeSet<ComponentId>,
) {
    for reference in references {
        if known.contains(&reference.id) {
            continue;
        }
        let id = reference.id.to_string();
        let names: Vec<String> = known.iter().map(ToString::to_string).collect();
        let help = match mend::nearest(&id, names.iter().map(String::as_str)) {
            Some(name) => format!("did you mean {name:?}?"),
            None => {
                let body = body_for(what, &id);
                format!("add this at the top level:  {what}s: {{ {id}: {body} }}")
            }
        };
        let message = format!("references {what} {id:?} which is not configured");
        section.sink.error(at(reference, "not_configured", message, Some(help)));
    }
}

/// The least that makes a component of this id.
fn body_for(what: &str, id: &str) -> &'static str {
    match (what, id.split('/').next().unwrap_or_default()) {
        ("receiver", "otlp") => "{protocols: {grpc: {endpoint: localhost:4317}}}",
        (_, "otlp" | "otlp_grpc") => "{endpoint: backend:4317}",
        (_, "otlp_http" | "otlphttp") => "{endpoint: https://backend:4318}",
        (_, "memory_limiter") => "{check_interval: 1s, limit_percentage: 80}",
        _ => "{}",
    }
}

fn at(
    reference: &Reference,
    reason: &'static str,
    message: String,
    help: Option<String>,
) -> Problem {
    Problem {
        span: reference.span.clone(),
        key_path: reference.path.clone(),
        message,
        help,
        reason,
    }
}
