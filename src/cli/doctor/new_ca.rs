//! Which clients of the running gateway a new bundle of client CAs would lock out.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::cli::doctor::files::{Block, what};
use crate::cli::doctor::report::{Finding, Level, Report};
use crate::cli::doctor::{http, named};
use crate::config::Config;
use crate::config::sections::{Extension, ServerTls};
use crate::config::types::ListenAddress;
use crate::tls::inspect::{self, shown};
use crate::tls::server;

/// Asks the gateway whom it has seen, and judges each by the bundle.
pub(super) fn examine(
    config: &Config,
    blocks: &[Block<'_>],
    file: &Path,
    status: Option<&str>,
    report: &mut Report,
) {
    report.section("new_ca", format!("new client CA {}", file.display()));
    let clients = match seen(config, status) {
        Ok(clients) => clients,
        Err((message, help)) => return report.add(unasked(message, help)),
    };
    let count = clients.len();
    report.fine("running gateway", format!("has seen {count} client certificates"));
    for block in blocks {
        let Block::Receiver { key_path, tls: Some(tls), .. } = block else { continue };
        if tls.client_ca.is_some() {
            judge(key_path, tls, file, &clients, report);
        }
    }
}

fn judge(key_path: &str, tls: &ServerTls, file: &Path, clients: &[Seen], report: &mut Report) {
    let pem = named("--new-ca", file);
    let then = ServerTls { client_ca: Some(pem.clone()), ..tls.clone() };
    let then = match server::load(&then) {
        Ok(loaded) => {
            report.fine(what(&pem), format!("trusts {}", loaded.snapshot.about.client_cas));
            for warning in loaded.warnings.iter().filter(|w| w.key_path == "--new-ca") {
                report.of_loader(Level::Warning, warning);
            }
            loaded.snapshot
        }
        Err(error) => {
            return error.problems.iter().for_each(|p| report.of_loader(Level::Problem, p));
        }
    };
    let now = server::load(tls).ok().map(|loaded| loaded.snapshot);
    for client in clients {
        let admitted_now = now.as_ref().and_then(|now| now.admits(&client.chain));
        // A client of another receiver, or one that is out already.
        if admitted_now.is_some_and(|verdict| !verdict.admitted) {
            continue;
        }
        let Some(verdict) = then.admits(&client.chain) else { continue };
        let who = format!("{key_path}: {}", client.name);
        if verdict.admitted {
            report.fine(who, "stays");
        } else {
            report.add(Finding {
                level: Level::Problem,
                what: who,
                reason: verdict.reason,
                message: format!("would break: {}", verdict.why),
                help: "keep its present CA in the bundle until it has a certificate of the new one"
                    .to_owned(),
            });
        }
    }
}

fn unasked(message: String, help: &str) -> Finding {
    Finding {
        level: Level::Problem,
        what: "running gateway".to_owned(),
        reason: "status_unreachable",
        message,
        help: help.to_owned(),
    }
}

/// A client certificate that the gateway has seen.
struct Seen {
    name: String,
    chain: Vec<Vec<u8>>,
}

#[derive(Deserialize)]
struct Page {
    clients: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    chain: Vec<String>,
}

type Unasked = (String, &'static str);

fn seen(config: &Config, status: Option<&str>) -> Result<Vec<Seen>, Unasked> {
    let authority = match status {
        Some(url) => {
            let rest = url.strip_prefix("http://").unwrap_or(url);
            rest.split('/').next().unwrap_or_default().to_owned()
        }
        None => configured(config).ok_or_else(|| (
            "the configuration has no zpages extension on TCP to ask".to_owned(),
            "add `zpages: { endpoint: localhost:55679 }` to `extensions` and `service.extensions`, \
             or name the address with --status",
        ))?,
    };
    let body = http::get(&authority, "/debug/clientsz").map_err(|error| {
        let message = format!("{authority} does not tell which clients it has seen: {error}");
        (message, "is the gateway running, with the zpages extension at this address?")
    })?;
    let page: Page = serde_json::from_slice(&body).map_err(|error| {
        let message = format!("{authority} answered with something else: {error}");
        (message, "is it a gateway of this version?")
    })?;
    Ok(page.clients.iter().filter_map(Row::read).collect())
}

impl Row {
    fn read(&self) -> Option<Seen> {
        let chain: Option<Vec<_>> =
            self.chain.iter().map(|text| STANDARD.decode(text).ok()).collect();
        let chain = chain?;
        let leaf = inspect::describe(chain.first()?)?;
        Some(Seen { name: shown(&leaf.summary()), chain })
    }
}

/// The address of the first zpages extension in use, as seen from this host.
fn configured(config: &Config) -> Option<String> {
    let used = config.service.extensions.iter().filter_map(|id| config.extensions.get(id));
    used.into_iter().find_map(|extension| match extension {
        Extension::Zpages(ListenAddress::Tcp(listen)) => Some(reachable(listen)),
        _ => None,
    })
}

/// An address that stands for all of them is not one to connect to.
fn reachable(listen: &str) -> String {
    match listen.rsplit_once(':') {
        Some(("" | "0.0.0.0", port)) => format!("127.0.0.1:{port}"),
        Some(("[::]", port)) => format!("[::1]:{port}"),
        _ => listen.to_owned(),
    }
}
