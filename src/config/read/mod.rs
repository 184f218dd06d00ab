//! The merged and expanded tree becomes a [`Config`], or a list of everything that is wrong.

mod address;
mod delivery;
mod exporter;
mod extension;
mod identity;
mod ids;
mod keepalive;
mod listeners;
mod mend;
mod processor;
mod receiver;
mod revocation;
mod section;
mod service;
mod statement;
mod telemetry;
mod tls;
mod transform;
mod values;
mod wrapped;

use std::collections::BTreeMap;

use crate::config::diagnostic::Problems;
use crate::config::node::{Node, Value};
use crate::config::read::section::{Section, Sink};
use crate::config::read::service::Known;
use crate::config::sections::{Config, Exporter, Extension, OtlpReceiver, Processor};
use crate::config::types::ComponentId;

/// Reads the whole tree.
pub(super) fn config(root: &Node) -> (Config, Problems) {
    let sink = Sink::default();
    let (root, only) = match wrapped::unwrapped(root, &sink) {
        Ok(root) => (root, None),
        Err(problem) => (root, Some(problem)),
    };
    let top = Section::new(String::new(), root.span.clone(), Some(root), &sink);
    if root.value == Value::Null {
        top.error_help("", "empty", "empty configuration file", "start with a sample of config/");
    }
    let mut receivers = components(&top, "receivers", &RECEIVERS, receiver_of);
    let processors = components(&top, "processors", &PROCESSORS, processor_of);
    let exporters = components(&top, "exporters", &EXPORTERS, exporter_of);
    let extensions = components(&top, "extensions", &EXTENSIONS, extension_of);
    connectors(&top);
    if root.value != Value::Null {
        for (key, what) in [("receivers", "receiver"), ("exporters", "exporter")] {
            if !top.has(key) {
                let message = format!("no {what} configuration specified in config");
                top.error(key, "missing_key", message);
            }
        }
    }
    let ids = |key| ids_of(&top, key);
    // Connectors are refused once, not again wherever a pipeline names one.
    let or_connector = |key| ids(key).union(&ids("connectors")).cloned().collect();
    let known = Known {
        receivers: or_connector("receivers"),
        processors: ids("processors"),
        exporters: or_connector("exporters"),
        extensions: ids("extensions"),
    };
    let service = top.section("service", |section| service::service(section, &known));
    top.finish();
    identity::resolve(
        &mut receivers,
        &extensions,
        &known.extensions,
        &service,
        |id, key, message, help| at_key(&top, id, key, "auth", message, &help),
    );
    let config = Config { receivers, processors, exporters, extensions, service };
    check_references(&top, &config);
    for (other, listener) in listeners::meeting(&config) {
        let key = format!("{}.endpoint", listener.key_path);
        let message = format!("{other} listens on that address already");
        let help = "give each its own; one receiver and port is enough for gRPC and HTTP";
        at_key(&top, listener.id, &key, "listen_twice", message, help);
    }
    // What else could be said of such a file is about another program.
    let alone = |problem| Problems { errors: vec![problem], warnings: Vec::new() };
    (config, only.map_or_else(|| sink.into_problems(), alone))
}

/// Every id of a section, those with faults included: a fault is reported once.
fn ids_of(top: &Section<'_>, key: &str) -> std::collections::BTreeSet<ComponentId> {
    match top.raw(key).map(|node| &node.value) {
        Some(Value::Map(entries)) => {
            entries.iter().filter_map(|(key, _)| ids::parse(&key.text).ok()).collect()
        }
        _ => Default::default(),
    }
}

/// One section of components by id.
fn components<T>(
    top: &Section<'_>,
    key: &str,
    types: &[&str],
    read: fn(&str, &Section<'_>) -> Option<T>,
) -> BTreeMap<ComponentId, T> {
    let mut found = BTreeMap::new();
    top.section(key, |section| {
        for (name, node) in section.entries() {
            section.raw(&name.text);
            let Some(id) = ids::component(section, &name.text, &name.text) else { continue };
            let path = section.path_of(&name.text);
            let body = Section::new(path, name.span.clone(), Some(node), section.sink);
            let Some(component) = read(&id.kind, &body) else {
                unknown_type(section, &name.text, &id, types);
                continue;
            };
            body.finish();
            if found.insert(id, component).is_some() {
                let message = format!("duplicate name {:?}", name.text);
                section.error(&name.text, "duplicate_key", message);
            }
        }
    });
    found
}

fn unknown_type(section: &Section<'_>, key: &str, id: &ComponentId, types: &[&str]) {
    let help = mend::component(&section.path, &id.kind, types);
    let message = format!("unknown type: {:?} for id: {:?}", id.kind, id.to_string());
    section.error_help(key, "unknown_component", message, help);
}

fn receiver_of(kind: &str, body: &Section<'_>) -> Option<OtlpReceiver> {
    Some(match kind {
        "otlp" => receiver::otlp(body),
        "nop" => OtlpReceiver { grpc: None, http: None },
        _ => return None,
    })
}

fn processor_of(kind: &str, body: &Section<'_>) -> Option<Processor> {
    Some(match kind {
        "attributes" => processor::attributes(body),
        "batch" => processor::batch(body),
        "memory_limiter" => processor::memory_limiter(body),
        "resource" => processor::resource(body),
        "transform" => transform::transform(body),
        _ => return None,
    })
}

fn exporter_of(kind: &str, body: &Section<'_>) -> Option<Exporter> {
    if let Some(name) = match kind {
        "otlp" => Some("otlp_grpc"),
        "otlphttp" => Some("otlp_http"),
        _ => None,
    } {
        let message = format!("{kind:?} alias is deprecated; use {name:?} instead");
        body.warn("", "deprecated", message, "");
    }
    Some(match kind {
        "debug" => Exporter::Debug(extension::debug(body)),
        "nop" => Exporter::Nop,
        "otlp" | "otlp_grpc" => Exporter::Grpc(Box::new(exporter::grpc(body))),
        "otlphttp" | "otlp_http" => Exporter::Http(Box::new(exporter::http(body))),
        _ => return None,
    })
}

fn extension_of(kind: &str, body: &Section<'_>) -> Option<Extension> {
    Some(match kind {
        "client_identity" => identity::client_identity(body),
        "file_storage" => extension::file_storage(body),
        "health_check" => extension::health_check(body),
        "zpages" => extension::zpages(body),
        _ => return None,
    })
}

fn connectors(top: &Section<'_>) {
    if let Some(Value::Map(entries)) = top.raw("connectors").map(|node| &node.value)
        && !entries.is_empty()
    {
        let help = "name the exporters in the first pipeline directly, and leave what derives \
                    other data, such as spanmetrics, in a Collector";
        top.error_help("connectors", "unsupported", "connectors are not supported", help);
    }
}

/// What one component says about another.
fn check_references(top: &Section<'_>, config: &Config) {
    for (id, exporter) in &config.exporters {
        let queue = match exporter {
            Exporter::Grpc(exporter) => exporter.queue.as_ref(),
            Exporter::Http(exporter) => exporter.queue.as_ref(),
            Exporter::Debug(_) | Exporter::Nop => None,
        };
        let Some(storage) = queue.and_then(|queue| queue.storage.as_ref()) else { continue };
        if !matches!(config.extensions.get(storage), Some(Extension::FileStorage)) {
            let message = format!("storage {storage} is no file_storage extension of this file");
            let help = "add extensions: {file_storage: {directory: /var/lib/portcullis}}";
            let key = format!("exporters.{id}.sending_queue.storage");
            at_key(top, id, &key, "not_configured", message, help);
        }
    }
}

/// Reports at a key whose place is looked up again by its path.
fn at_key(
    top: &Section<'_>,
    id: &ComponentId,
    key_path: &str,
    reason: &'static str,
    message: String,
    help: &str,
) {
    let (section, rest) = key_path.split_once('.').unwrap_or((key_path, ""));
    let span = top
        .raw(section)
        .and_then(|node| find(node, &id.to_string(), rest))
        .unwrap_or_else(|| top.span_of(section));
    top.sink.error(crate::config::diagnostic::Problem {
        span,
        key_path: key_path.to_owned(),
        message,
        help: Some(help.to_owned()),
        reason,
    });
}

/// The place of `id.a.b` below a node; ids may hold dots.
fn find(node: &Node, id: &str, rest: &str) -> Option<crate::config::diagnostic::Span> {
    let keys = rest.strip_prefix(id)?.split('.').filter(|key| !key.is_empty());
    let mut node = node;
    let mut span = None;
    for key in std::iter::once(id).chain(keys) {
        let Value::Map(entries) = &node.value else { return span };
        let Some((key, next)) = entries.iter().find(|(k, _)| k.text == key) else { return span };
        span = Some(key.span.clone());
        node = next;
    }
    span
}

const RECEIVERS: [&str; 2] = ["nop", "otlp"];
const PROCESSORS: [&str; 5] = ["attributes", "batch", "memory_limiter", "resource", "transform"];
const EXPORTERS: [&str; 6] = ["debug", "nop", "otlp", "otlp_grpc", "otlp_http", "otlphttp"];
const EXTENSIONS: [&str; 4] = ["client_identity", "file_storage", "health_check", "zpages"];
