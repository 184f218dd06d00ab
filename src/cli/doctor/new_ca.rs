//! Which clients of the running gateway a new bundle of client CAs would lock out.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::cli::doctor::files::{Block, what};
use crate::cli::doctor::report::{Finding, Level, Report};
use crate::cli::doctor::{http, named};
use crate::config::Config;
use crate::config::sections::{ClientAuth, Extension, ServerTls};
use crate::config::types::{ListenAddress, Pem};
use crate::tls::inspect::{self, shown};
use crate::tls::{ServerSnapshot, server, time};

/// Asks the gateway whom it has seen, and judges each by the bundle.
pub(super) fn examine(
    config: &Config,
    blocks: &[Block<'_>],
    file: &Path,
    status: Option<&str>,
    report: &mut Report,
) {
    report.section("new_ca", format!("new client CA {}", file.display()));
    let demanding: Vec<_> = blocks
        .iter()
        .filter_map(|block| match block {
            Block::Receiver { key_path, tls: Some(tls), .. } if tls.client_ca.is_some() => {
                Some((*key_path, *tls))
            }
            Block::Receiver { .. } | Block::Exporter { .. } => None,
        })
        .collect();
    let pem = named("--new-ca", file);
    if demanding.is_empty() {
        let message = "no receiver has a client_ca_file that this could take the place of";
        let help = "is it the right configuration?";
        return report.add(warning("receivers", "no_client_ca", message, help));
    }
    let mut loaded = Vec::new();
    for (key_path, tls) in demanding {
        let then = ServerTls { client_ca: Some(pem.clone()), ..tls.clone() };
        if let Some(then) = load(key_path, &pem, &then, loaded.is_empty(), report) {
            loaded.push((key_path, tls, then));
        }
    }
    let clients = match seen(config, status) {
        Ok(clients) => clients,
        Err((message, help)) => return report.add(unasked(message, help)),
    };
    if clients.is_empty() {
        let message = "has seen no client certificate since its start: nothing can be said of any";
        let help = "ask again when its clients have connected";
        return report.add(warning("running gateway", "no_clients_seen", message, help));
    }
    let counted = match clients.len() {
        1 => "has seen 1 client certificate".to_owned(),
        count => format!("has seen {count} client certificates"),
    };
    report.fine("running gateway", counted);
    for (key_path, tls, then) in &loaded {
        judge(key_path, tls, then, &clients, report);
    }
}

/// What a receiver would be with the bundle; what is to be said of the bundle is said once.
fn load(
    key_path: &str,
    pem: &Pem,
    then: &ServerTls,
    is_first: bool,
    report: &mut Report,
) -> Option<ServerSnapshot> {
    match server::load(then) {
        Ok(loaded) => {
            if is_first {
                let cas = &loaded.snapshot.about.client_cas;
                report.fine(what(pem), format!("trusts {cas}"));
                for warning in loaded.warnings.iter().filter(|w| w.key_path == *pem.key_path) {
                    report.of_loader(Level::Warning, warning);
                }
            }
            Some(loaded.snapshot)
        }
        Err(error) => {
            let of_it = error.problems.iter().filter(|p| p.key_path == *pem.key_path);
            let of_it: Vec<_> = of_it.collect();
            if of_it.is_empty() {
                let message = "cannot be asked: with this bundle, or without it, its own files \
                               have problems";
                for problem in &error.problems {
                    report.of_loader(Level::Problem, problem);
                }
                report.add(warning(key_path, "not_judged", message, "mend them, then ask again"));
            } else if is_first {
                of_it.iter().for_each(|problem| report.of_loader(Level::Problem, problem));
            }
            None
        }
    }
}

fn judge(
    key_path: &str,
    tls: &ServerTls,
    then: &ServerSnapshot,
    clients: &[Seen],
    report: &mut Report,
) {
    let now = server::load(tls).ok().map(|loaded| loaded.snapshot);
    let (mut stay, mut break_, mut others) = (0, 0, 0);
    for client in clients {
        let admitted_now = now.as_ref().and_then(|now| now.admits(&client.chain));
        // A client of another receiver, or one that is out already.
        if admitted_now.is_some_and(|verdict| !verdict.admitted) {
            others += 1;
            continue;
        }
        let Some(verdict) = then.admits(&client.chain) else { continue };
        let who = format!("{key_path}: {}", client.name);
        let seen = format!("last seen {}", time::ago(client.last_seen, time::now()));
        if verdict.admitted {
            stay += 1;
            report.fine(who, format!("stays; {seen}"));
            continue;
        }
        break_ += 1;
        let (level, words) = match tls.client_auth {
            ClientAuth::ReportOnly => (Level::Warning, "would be reported (report_only)"),
            ClientAuth::Optional | ClientAuth::Require => (Level::Problem, "would break"),
        };
        report.add(Finding {
            level,
            what: who,
            reason: verdict.reason,
            message: format!("{words}: {}; {seen}", verdict.why),
            help: "keep its present CA in the bundle until it has a certificate of the new one"
                .to_owned(),
        });
    }
    let mut sum = format!("{stay} of {} would stay, {break_} would not", stay + break_);
    if others > 0 {
        sum.push_str(&format!("; {others} more are not admitted by this receiver now"));
    }
    report.fine(key_path, sum);
}

fn warning(what: &str, reason: &'static str, message: &str, help: &str) -> Finding {
    let (what, message, help) = (what.to_owned(), message.to_owned(), help.to_owned());
    Finding { level: Level::Warning, what, reason, message, help }
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
    /// Unix time.
    last_seen: i64,
}

#[derive(Deserialize)]
struct Page {
    clients: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    chain: Vec<String>,
    last_seen_unix: i64,
}

type Unasked = (String, &'static str);

fn seen(config: &Config, status: Option<&str>) -> Result<Vec<Seen>, Unasked> {
    let authority = match status {
        Some(url) => authority(url)?,
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

/// Host and port of an address such as `http://localhost:55679` or `localhost:55679`.
fn authority(url: &str) -> Result<String, Unasked> {
    let help = "write it as `http://localhost:55679`";
    let rest = match url.split_once("://") {
        Some(("http", rest)) => rest,
        Some((scheme, _)) => {
            let scheme = shown(scheme);
            return Err((
                format!("--status has the scheme {scheme}; the page is plain HTTP"),
                help,
            ));
        }
        None => url,
    };
    let authority = rest.split('/').next().unwrap_or_default();
    match authority.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
            Ok(authority.to_owned())
        }
        _ => Err((format!("--status {} names no host with a port", shown(url)), help)),
    }
}

impl Row {
    fn read(&self) -> Option<Seen> {
        let chain: Option<Vec<_>> =
            self.chain.iter().map(|text| STANDARD.decode(text).ok()).collect();
        let chain = chain?;
        let leaf = inspect::describe(chain.first()?)?;
        Some(Seen { name: shown(&leaf.summary()), chain, last_seen: self.last_seen_unix })
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
