//! Every TLS file of a configuration, loaded as the gateway loads it.

use crate::cli::doctor::domains;
use crate::cli::doctor::report::{Finding, Level, Report, last_key};
use crate::config::Config;
use crate::config::Problem;
use crate::config::sections::{
    ClientAuth, ClientTls, Exporter, Extension, HealthCheck, Server, ServerTls,
};
use crate::config::types::{Pem, PemSource};
use crate::identity::Rules;
use crate::tls::inspect::{CertificateFacts, date, named, shown};
use crate::tls::revocation::Revocations;
use crate::tls::{ServerSnapshot, client, expiry, server, time};

/// One place that TLS files are named in.
#[derive(Debug)]
pub(super) enum Block<'a> {
    /// Of an exporter; `None` is plaintext.
    Exporter { key_path: &'a str, tls: Option<&'a ClientTls>, alpn: &'static [&'static [u8]] },
    /// Of a receiver or a page; `None` is plaintext.
    Receiver { key_path: &'a str, tls: Option<&'a ServerTls>, rules: Option<&'a Rules> },
}

impl<'a> Block<'a> {
    /// All of them, used by a pipeline or not.
    pub(super) fn all(config: &'a Config) -> Vec<Self> {
        let receiver = |server: &'a Server| Self::Receiver {
            key_path: &server.key_path,
            tls: server.tls.as_ref(),
            rules: server.rules.as_deref(),
        };
        let mut blocks = Vec::new();
        for one in config.receivers.values() {
            blocks.extend(one.grpc.as_ref().map(|grpc| receiver(&grpc.server)));
            blocks.extend(one.http.as_ref().map(|http| receiver(&http.server)));
        }
        blocks.extend(config.extensions.values().filter_map(|extension| match extension {
            Extension::HealthCheck(HealthCheck { key_path, tls, .. }) => {
                Some(Self::Receiver { key_path, tls: Some(tls.as_deref()?), rules: None })
            }
            Extension::ClientIdentity(_) | Extension::FileStorage | Extension::Zpages(_) => None,
        }));
        for exporter in config.exporters.values() {
            match exporter {
                Exporter::Grpc(grpc) => {
                    let (key_path, tls) = (&*grpc.key_path, grpc.tls.as_ref());
                    blocks.push(Self::Exporter { key_path, tls, alpn: GRPC });
                }
                Exporter::Http(http) => {
                    let https = http.urls.iter().flatten().any(|url| is_https(url));
                    let (key_path, tls) = (&*http.key_path, https.then_some(&http.tls));
                    blocks.push(Self::Exporter { key_path, tls, alpn: HTTP });
                }
                Exporter::Debug(_) | Exporter::Nop => {}
            }
        }
        blocks
    }
}

/// What the exporters speak, best first.
pub(super) const GRPC: &[&[u8]] = &[b"h2"];
pub(super) const HTTP: &[&[u8]] = &[b"h2", b"http/1.1"];

pub(super) fn is_https(url: &str) -> bool {
    url.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"))
}

/// Loads every block and reports.
pub(super) fn examine(blocks: &[Block<'_>], report: &mut Report) {
    for block in blocks {
        match block {
            Block::Exporter { key_path, tls: None, .. }
            | Block::Receiver { key_path, tls: None, .. } => {
                report.section("files", *key_path);
                report.fine("", "plaintext: there is nothing to load");
            }
            Block::Exporter { key_path, tls: Some(tls), alpn } => {
                report.section("files", format!("{key_path}.tls"));
                match client::load(tls, alpn) {
                    Ok(loaded) => {
                        own(tls.common.cert.as_ref(), report);
                        trust(tls.common.ca.as_ref(), tls.insecure_skip_verify, report);
                        lists("crl_file", loaded.snapshot.revocations.as_deref(), report);
                        warnings(&loaded.warnings, report);
                    }
                    Err(error) => problems(&error.problems, report),
                }
            }
            Block::Receiver { key_path, tls: Some(tls), rules } => {
                report.section("files", format!("{key_path}.tls"));
                let elsewhere = rules.map(domains::key_path);
                let is_here = |problem: &&Problem| {
                    !elsewhere.as_ref().is_some_and(|other| problem.key_path.starts_with(other))
                };
                match server::load(tls) {
                    Ok(loaded) => {
                        own(tls.common.cert.as_ref(), report);
                        senders(tls, &loaded.snapshot, report);
                        lists("client_crl_file", loaded.snapshot.revocations(), report);
                        let here = loaded.warnings.iter().filter(is_here);
                        here.for_each(|problem| report.of_loader(level_of(problem), problem));
                    }
                    Err(error) => {
                        let here: Vec<_> = error.problems.iter().filter(is_here).collect();
                        if here.is_empty() {
                            report.add(domains::unusable());
                        }
                        here.iter().for_each(|problem| report.of_loader(Level::Problem, problem));
                    }
                }
            }
        }
    }
}

fn problems(problems: &[Problem], report: &mut Report) {
    problems.iter().for_each(|problem| report.of_loader(Level::Problem, problem));
}

fn warnings(warnings: &[Problem], report: &mut Report) {
    warnings.iter().for_each(|problem| report.of_loader(level_of(problem), problem));
}

/// The gateway starts with a list that is out of date, and lets nobody of that CA in.
fn level_of(warning: &Problem) -> Level {
    if warning.reason == "crl_expired" { Level::Problem } else { Level::Warning }
}

/// What is asked of senders.
fn senders(tls: &ServerTls, snapshot: &ServerSnapshot, report: &mut Report) {
    let Some(ca) = &tls.client_ca else {
        let message =
            "not set: no certificate is asked for, and whoever reaches the port is let in";
        return report.fine("client_ca_file", message);
    };
    report.fine(what(ca), format!("trusted for clients: {}", snapshot.about.client_cas));
    match tls.client_auth {
        ClientAuth::Require => {}
        ClientAuth::Optional => report.fine(
            "client_auth",
            "optional: whoever shows no certificate is let in; one that is shown must be good",
        ),
        // The configuration's own warnings say what to do about it.
        ClientAuth::ReportOnly => report.fine(
            "client_auth",
            "report_only: everybody is let in; whoever would be refused is logged and counted",
        ),
    }
}

/// The revocation lists in force.
fn lists(key: &str, lists: Option<&Revocations>, report: &mut Report) {
    let now = time::now();
    for list in lists.map(Revocations::lists).unwrap_or_default() {
        let count = match list.entries {
            0 => "nothing revoked".to_owned(),
            1 => "1 certificate revoked".to_owned(),
            count => format!("{count} certificates revoked"),
        };
        let next = list.next_update.map_or_else(
            || "without a date for the next one".to_owned(),
            |at| format!("the next one is due {} ({})", date(at), time::ago(at, now)),
        );
        let message = format!("list of {}, {}: {count}; {next}", list.issuer, list.edition);
        report.fine(format!("{key} {}", list.place), message);
    }
}

/// Our own certificate, which was loaded with its key.
fn own(cert: Option<&Pem>, report: &mut Report) {
    let Some(cert) = cert else { return };
    let Ok(shown) = server::shown(cert) else { return };
    report.fine(what(cert), format!("{}; its key fits", describe(&shown.leaf)));
    ends_soon(&what(cert), &shown.leaf, report);
}

fn trust(ca: Option<&Pem>, unverified: bool, report: &mut Report) {
    if unverified {
        report.add(Finding {
            level: Level::Warning,
            what: "insecure_skip_verify".to_owned(),
            reason: "upstream_unverified",
            message: "whoever answers is taken for the upstream".to_owned(),
            help: "name the upstream's CA in `ca_file` and leave this key out".to_owned(),
        });
        return;
    }
    match ca {
        Some(ca) => report.fine(what(ca), "trusted for this upstream"),
        None => report.fine("ca_file", "not set: the system's roots are trusted"),
    }
}

/// `cert_file certs/server.crt`.
pub(super) fn what(pem: &Pem) -> String {
    let key = last_key(&pem.key_path);
    match &pem.source {
        PemSource::File(path) => format!("{key} {}", path.display()),
        PemSource::Inline(_) => key.to_owned(),
    }
}

/// Who it is for, who says so, and until when.
pub(super) fn describe(leaf: &CertificateFacts) -> String {
    let identity = &leaf.identity;
    let dns = identity.dns.iter().map(|name| format!("DNS:{}", shown(name)));
    let ips = identity.ips.iter().map(|ip| format!("IP:{ip}"));
    let uris = identity.uris.iter().map(|uri| format!("URI:{}", shown(uri)));
    let names: Vec<_> = dns.chain(ips).chain(uris).take(NAMES_SHOWN).collect();
    let names = if names.is_empty() { "no names".to_owned() } else { names.join(", ") };
    format!(
        "{} ({names}), issued by {}, valid until {} ({})",
        named(&identity.subject),
        named(&identity.issuer),
        date(leaf.not_after),
        time::ago(leaf.not_after, time::now()),
    )
}

/// A warning for a certificate that should have been renewed by now.
pub(super) fn ends_soon(what: &str, leaf: &CertificateFacts, report: &mut Report) {
    let now = time::now();
    if expiry::is_near(leaf.not_before, leaf.not_after, now) {
        report.add(Finding {
            level: Level::Warning,
            what: what.to_owned(),
            reason: "expires_soon",
            message: format!("it ends {}", time::ago(leaf.not_after, now)),
            help: "renew it and write the files in place: they are reloaded by themselves"
                .to_owned(),
        });
    }
}

const NAMES_SHOWN: usize = 8;
