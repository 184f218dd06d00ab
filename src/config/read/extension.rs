//! `extensions` and the small exporters.

use std::time::Duration;

use crate::config::read::address;
use crate::config::read::delivery;
use crate::config::read::section::{Flavour, Section};
use crate::config::read::tls;
use crate::config::read::values::MAX;
use crate::config::sections::{DebugExporter, DebugVerbosity, Extension, HealthCheck};

/// `health_check`.
pub(super) fn health_check(section: &Section<'_>) -> Extension {
    let listen = address::listen(section, "localhost:13133");
    let path = section.string("path").filter(|path| !path.is_empty());
    let path = path.unwrap_or_else(|| "/".to_owned());
    if !path.starts_with('/') || !path.bytes().all(|b| b.is_ascii_graphic()) {
        section.error("path", "url_path", format!("{path:?} must start with / and hold no space"));
    }
    let (healthy_body, unhealthy_body) =
        section.section("response_body", |body| (body.string("healthy"), body.string("unhealthy")));
    section.section("check_collector_pipeline", |check| {
        if check.boolean("enabled").unwrap_or(false) {
            let why = "has no effect: ready means that every listener is open";
            check.warn("enabled", "no_effect", why, "");
        }
        check.string("interval");
        check.number::<i64>("exporter_failure_threshold", 0..=MAX);
    });
    second_version(section);
    let tls = section.optional("tls", Flavour::None, |tls| Box::new(tls::page(tls)));
    let timeout = server_keys(section, &["auth"]);
    Extension::HealthCheck(HealthCheck {
        key_path: section.path.clone(),
        listen,
        path,
        healthy_body,
        unhealthy_body,
        tls,
        timeout: timeout.unwrap_or(Duration::from_secs(5)),
    })
}

/// The blocks of another extension that shares this one's name and is switched on by `use_v2`.
fn second_version(section: &Section<'_>) {
    if section.boolean("use_v2") == Some(true) {
        section.error_help(
            "use_v2",
            "unsupported",
            "is not supported: probes would find nobody at the addresses of http and grpc",
            "remove it, and write endpoint and path for health_check itself",
        );
    }
    for key in ["http", "grpc", "component_health"] {
        section.optional(key, Flavour::None, free);
        section.no_effect(key, "use_v2 alone would read it");
    }
}

/// `zpages`.
pub(super) fn zpages(section: &Section<'_>) -> Extension {
    if section.string("endpoint").is_some_and(|endpoint| endpoint.is_empty()) {
        let message = "\"endpoint\" is required when using the \"zpages\" extension";
        section.error("endpoint", "endpoint", message);
    }
    let listen = address::listen(section, "localhost:55679");
    if section.section("expvar", |expvar| expvar.boolean("enabled")) == Some(true) {
        section.no_effect("expvar", "there are no Go variables to show");
    }
    server_keys(section, &["tls", "auth"]);
    Extension::Zpages(listen)
}

/// The rest of confighttp's server keys. What would protect the page is refused, not left out.
fn server_keys(section: &Section<'_>, unsupported: &[&str]) -> Option<Duration> {
    for key in unsupported {
        if section.optional(key, Flavour::None, free).is_some() {
            section.error_help(
                key,
                "unsupported",
                "is not supported here: the page would be served without it",
                "listen on localhost or a unix socket, and remove the block",
            );
        }
    }
    section.optional("cors", Flavour::None, free);
    section.no_effect("cors", "no other site's scripts are let in");
    section.no_effect("dialer", "a server dials nobody");
    section.no_effect("middlewares", "there is nothing to limit");
    section.no_effect("compression_algorithms", "no body is read");
    section.no_effect("max_request_body_size", "no body is read");
    section.no_effect("response_headers", "the page has its own");
    section.no_effect("include_metadata", "nothing is passed on");
    section.optional("keepalive", Flavour::None, free);
    section.no_effect("keepalive", "connections are closed when idle");
    section.no_effect("keep_alives_enabled", "connections are closed when idle");
    for key in ["read_header_timeout", "write_timeout", "idle_timeout"] {
        section.duration(key);
        section.no_effect(key, "read_timeout bounds a whole request");
    }
    section.duration("read_timeout").filter(|timeout| !timeout.is_zero())
}

/// Any keys: the block is refused or ignored as a whole.
fn free(section: &Section<'_>) {
    for (key, _) in section.entries() {
        section.raw(&key.text);
    }
}

/// `file_storage`.
pub(super) fn file_storage(section: &Section<'_>) -> Extension {
    if section.string("directory").is_some_and(|directory| directory.is_empty()) {
        section.error("directory", "empty", "must not be empty");
    }
    section.duration("timeout");
    for key in ["fsync", "create_directory", "recreate"] {
        section.boolean(key);
    }
    section.string("directory_permissions");
    section.section("compaction", |compaction| {
        for key in ["on_start", "on_rebound", "cleanup_on_start"] {
            compaction.boolean(key);
        }
        compaction.string("directory");
        for key in [
            "max_transaction_size",
            "rebound_needed_threshold_mib",
            "rebound_trigger_threshold_mib",
        ] {
            compaction.number::<i64>(key, 0..=MAX);
        }
        compaction.duration("check_interval");
    });
    let why = "has no effect: nothing is stored, and an OK means that the upstream took the batch";
    section.warn("", "no_effect", why, "");
    Extension::FileStorage
}

/// `debug` (contract 8.3).
pub(super) fn debug(section: &Section<'_>) -> DebugExporter {
    let verbosity = section.string("verbosity").map(|text| text.to_lowercase());
    let verbosity = match verbosity.as_deref() {
        None | Some("basic") => DebugVerbosity::Basic,
        Some("normal") => DebugVerbosity::Normal,
        Some("detailed") => DebugVerbosity::Detailed,
        Some(other) => {
            section.error_help(
                "verbosity",
                "unknown_value",
                format!("verbosity level {other:?} is not supported"),
                "use basic, normal or detailed",
            );
            DebugVerbosity::Basic
        }
    };
    let use_internal_logger = section.boolean("use_internal_logger").unwrap_or(true);
    let paths = section.strings("output_paths");
    let output_paths = match (use_internal_logger, paths) {
        (true, Some(paths)) if !paths.is_empty() => {
            section.error_help(
                "output_paths",
                "contradiction",
                "output_paths is not supported when use_internal_logger is true",
                "add use_internal_logger: false",
            );
            paths
        }
        (false, Some(paths)) if paths.is_empty() => {
            let message = "output_paths must not be empty when use_internal_logger is false";
            section.error("output_paths", "empty", message);
            paths
        }
        (_, paths) => paths.unwrap_or_else(|| vec!["stdout".to_owned()]),
    };
    delivery::queue(section, Flavour::Default);
    DebugExporter {
        verbosity,
        sampling_initial: section.number("sampling_initial", 0..=MAX).unwrap_or(2),
        sampling_thereafter: section.number("sampling_thereafter", 0..=MAX).unwrap_or(1),
        use_internal_logger,
        output_paths,
    }
}
