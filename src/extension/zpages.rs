//! `zpages`: one status page for people, under the Collector's paths.
//!
//! Static HTML without scripts. Every text on it is escaped: subjects of certificates and messages
//! may hold what a peer sent.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::config::sections::{Config, Exporter};
use crate::extension::Surface;
use crate::extension::readiness::{Readiness, State};
use crate::extension::server::{Respond, host_is_direct, plain, typed};
use crate::metrics::{Exported, LastFailure, Metrics};
use crate::telemetry::Recent;
use crate::tls::reload::{BlockStatus, ReloadStatus};
use crate::tls::seen::{Client, Seen};
use crate::tls::time as clock;

/// One listener of a receiver.
#[derive(Clone, Debug)]
pub(crate) struct ListenerLine {
    /// The config key, such as `receivers.otlp.protocols.grpc`.
    pub(crate) key_path: String,
    /// The bound address.
    pub(crate) address: String,
    /// `mTLS`, `TLS` or `plaintext`.
    pub(crate) security: &'static str,
}

/// Answers with the status page.
pub(super) fn responder(pages: Arc<Pages>) -> Respond {
    Arc::new(move |request| {
        if !host_is_direct(request) {
            let text = "ask for this page by address or as localhost, not by another name\n";
            return plain(StatusCode::MISDIRECTED_REQUEST, text);
        }
        match request.uri().path() {
            "/" | "/debug" | "/debug/" | "/debug/servicez" | "/debug/pipelinez"
            | "/debug/extensionz" => {
                typed(StatusCode::OK, "text/html; charset=utf-8", pages.render())
            }
            "/debug/clientsz" => {
                typed(StatusCode::OK, "application/json", clients(&pages.seen.clients()))
            }
            _ => plain(
                StatusCode::NOT_FOUND,
                "404 page not found; the status page is at /debug/servicez, whom the listeners let in \
                 at /debug/clientsz\n",
            ),
        }
    })
}

/// Everything on the page that does not change, and whom to ask for the rest.
pub(super) struct Pages {
    pipelines: Vec<[String; 4]>,
    listeners: Vec<ListenerLine>,
    extensions: String,
    exporters: Vec<[String; 2]>,
    metrics: Metrics,
    reloads: ReloadStatus,
    readiness: Readiness,
    recent: Recent,
    seen: Seen,
}

impl Pages {
    pub(super) fn new(config: &Config, surface: &Surface) -> Self {
        let pipelines = config.service.pipelines.iter().map(|(id, pipeline)| {
            [
                id.to_string(),
                join(&pipeline.receivers),
                join(&pipeline.processors),
                join(&pipeline.exporters),
            ]
        });
        Self {
            pipelines: pipelines.collect(),
            listeners: surface.listeners.clone(),
            extensions: join(&config.service.extensions),
            exporters: config.exporters.iter().map(|(id, one)| [id.to_string(), to(one)]).collect(),
            metrics: surface.metrics.clone(),
            reloads: surface.reloads.clone(),
            readiness: surface.readiness.clone(),
            recent: surface.recent.clone(),
            seen: surface.seen.clone(),
        }
    }

    fn render(&self) -> String {
        let mut page = String::from(HEAD);
        let state = match self.readiness.state() {
            State::Draining => "draining: no new requests are taken".to_owned(),
            State::Ready { start, .. } => {
                format!("ready, for {} s", start.elapsed().as_secs())
            }
            State::Starting => "starting".to_owned(),
        };
        let version = env!("CARGO_PKG_VERSION");
        push(&mut page, format_args!("<p>Version {version}, {}.</p>", Escaped(&state)));
        push(&mut page, format_args!("<p>Extensions: {}.</p>", Escaped(&self.extensions)));
        let rows = self.listeners.iter().map(|l| [&*l.key_path, &*l.address, l.security]);
        push_table(&mut page, "Listeners", ["Key", "Address", "Security"], rows);
        let rows = self.pipelines.iter().map(|columns| columns.each_ref().map(String::as_str));
        let heads = ["Pipeline", "Receivers", "Processors", "Exporters"];
        push_table(&mut page, "Pipelines", heads, rows);
        let exported = self.metrics.exported();
        let rows: Vec<_> =
            self.exporters.iter().map(|[id, to]| exports(id, to, exported.get(id))).collect();
        let rows = rows.iter().map(|columns| columns.each_ref().map(String::as_str));
        let heads = ["Exporter", "Sends to", "Items sent", "Items not sent", "Last failure"];
        push_table(&mut page, "Exporters", heads, rows);
        let blocks: Vec<_> =
            self.reloads.blocks().into_iter().map(|(key, block)| row(key, &block)).collect();
        let rows = blocks.iter().map(|columns| columns.each_ref().map(String::as_str));
        let heads = ["TLS block", "In force", "Until", "Reloaded", "Files that cannot be used"];
        push_table(&mut page, "Certificates", heads, rows);
        let recent = self.recent.records();
        let rows = recent.iter().rev().map(|r| [&*r.time, r.level, &*r.text]);
        push_table(&mut page, "Latest warnings and errors", ["Time", "Level", "What"], rows);
        page.push_str("</body></html>\n");
        page
    }
}

/// The client certificates seen, for `portcullis doctor --new-ca`.
fn clients(clients: &[Client]) -> String {
    let rows = clients.iter().map(|client| {
        let identity = &client.identity;
        let not_after = identity.not_after.duration_since(UNIX_EPOCH).unwrap_or_default();
        serde_json::json!({
            "sha256": identity.sha256,
            "subject": identity.subject,
            "issuer": identity.issuer,
            "not_after_unix": not_after.as_secs(),
            "last_seen_unix": client.last_seen,
            "handshakes": client.handshakes,
            "chain": client.chain.iter().map(|der| STANDARD.encode(der)).collect::<Vec<_>>(),
        })
    });
    serde_json::json!({ "clients": rows.collect::<Vec<_>>() }).to_string()
}

/// Where an exporter sends to.
fn to(exporter: &Exporter) -> String {
    match exporter {
        Exporter::Debug(_) => "the log".to_owned(),
        Exporter::Grpc(exporter) => exporter.endpoint.clone(),
        Exporter::Http(exporter) => {
            let urls: Vec<_> =
                exporter.urls.iter().flatten().map(|url| without_query(url)).collect();
            urls.join(" ")
        }
        Exporter::Nop => "nowhere".to_owned(),
    }
}

/// Keys may stand there.
fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

fn exports(id: &str, to: &str, exported: Option<&Exported>) -> [String; 5] {
    let Exported { sent, failed, last_failure } = exported.cloned().unwrap_or_default();
    let last = last_failure.map_or_else(
        || "none since the start".to_owned(),
        |LastFailure { at, reason, message }| {
            let ago = clock::ago(clock::seconds(at), clock::now());
            format!("{ago} ({}): {reason}: {message}", when(at))
        },
    );
    [id.to_owned(), to.to_owned(), sent.to_string(), failed.to_string(), last]
}

/// To the second: nobody who reads it compares more.
fn when(at: SystemTime) -> String {
    OffsetDateTime::from(at).truncate_to_second().format(&Rfc3339).unwrap_or_default()
}

fn row(key_path: String, block: &BlockStatus) -> [String; 5] {
    let refused = block.refused.as_ref().map(|refused| {
        let problems: Vec<_> = refused.problems.iter().map(ToString::to_string).collect();
        format!("since {}: {}", when(refused.since), problems.join("; "))
    });
    [
        key_path,
        block.serving.what.clone(),
        block.serving.until.map(when).unwrap_or_default(),
        block.last_reload.map_or_else(|| "not since the start".to_owned(), when),
        refused.unwrap_or_default(),
    ]
}

fn join<T: ToString>(ids: &[T]) -> String {
    ids.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

fn push_table<'a, const N: usize>(
    page: &mut String,
    title: &str,
    heads: [&str; N],
    rows: impl Iterator<Item = [&'a str; N]>,
) {
    push(page, format_args!("<h2>{title}</h2><table><tr>"));
    for head in heads {
        push(page, format_args!("<th>{head}</th>"));
    }
    page.push_str("</tr>\n");
    for row in rows {
        page.push_str("<tr>");
        for cell in row {
            push(page, format_args!("<td>{}</td>", Escaped(cell)));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</table>\n");
}

fn push(page: &mut String, text: std::fmt::Arguments<'_>) {
    let _infallible = page.write_fmt(text);
}

/// Text made safe between tags and in quoted attributes.
struct Escaped<'a>(&'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

const HEAD: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
    <title>Portcullis</title><style>\
    body{font:14px system-ui,sans-serif;margin:2em}\
    table{border-collapse:collapse}th,td{border:1px solid #bbb;padding:.3em .6em;text-align:left;\
    vertical-align:top;overflow-wrap:anywhere}th{background:#eee}\
    </style></head><body><h1>Portcullis</h1>\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_a_subject_is_shown_and_not_run() {
        let text = Escaped("CN=<script>alert('x')</script>&\"").to_string();
        assert_eq!(text, "CN=&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;&quot;");
    }
}
