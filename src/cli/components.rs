//! `portcullis components`: what a configuration can use, in the shape the Collector prints.

use std::io::{self, Write};

/// Writes the listing as YAML.
pub(super) fn list(out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "buildinfo:")?;
    writeln!(out, "    command: {}", env!("CARGO_PKG_NAME"))?;
    writeln!(out, "    description: {}", env!("CARGO_PKG_DESCRIPTION"))?;
    writeln!(out, "    version: {}", env!("CARGO_PKG_VERSION"))?;
    for (section, components) in SECTIONS {
        writeln!(out, "{section}:")?;
        for component in *components {
            writeln!(out, "    - name: {}", component.name)?;
            if let Some(alias) = component.alias {
                writeln!(out, "      alias: {alias}")?;
            }
            writeln!(out, "      note: {}", component.note)?;
            if !component.signals.is_empty() {
                writeln!(out, "      stability:")?;
                for signal in component.signals {
                    let level = if *signal == "profiles" { "Development" } else { "Beta" };
                    writeln!(out, "        {signal}: {level}")?;
                }
            }
        }
    }
    Ok(())
}

struct Component {
    name: &'static str,
    alias: Option<&'static str>,
    note: &'static str,
    signals: &'static [&'static str],
}

const fn component(
    name: &'static str,
    alias: Option<&'static str>,
    note: &'static str,
    signals: &'static [&'static str],
) -> Component {
    Component { name, alias, note, signals }
}

const ALL: &[&str] = &["logs", "metrics", "profiles", "traces"];
const NO_PROFILES: &[&str] = &["logs", "metrics", "traces"];

const SECTIONS: &[(&str, &[Component])] = &[
    (
        "receivers",
        &[
            component("nop", None, "receives nothing", ALL),
            component("otlp", None, "gRPC and HTTP, both on either port", ALL),
        ],
    ),
    (
        "processors",
        &[
            component("attributes", None, "edits attributes of items", NO_PROFILES),
            component("batch", None, "accepted; batches pass as they come", ALL),
            component("memory_limiter", None, "accepted; requests are bounded anyway", ALL),
            component("resource", None, "edits attributes of resources", NO_PROFILES),
            component("transform", None, "set with a literal, delete_key", NO_PROFILES),
        ],
    ),
    (
        "exporters",
        &[
            component("debug", None, "shows what arrives", ALL),
            component("nop", None, "drops what arrives", ALL),
            component("otlp_grpc", Some("otlp"), "OTLP over gRPC", ALL),
            component("otlp_http", Some("otlphttp"), "OTLP over HTTP, protobuf or JSON", ALL),
        ],
    ),
    (
        "extensions",
        &[
            component(
                "client_identity",
                None,
                "rules by the name in a client certificate; an authenticator of receivers",
                &[],
            ),
            component("file_storage", None, "accepted; used with a persistent queue", &[]),
            component("health_check", None, "200 when ready, 503 otherwise", &[]),
            component("zpages", None, "a status page", &[]),
        ],
    ),
];
