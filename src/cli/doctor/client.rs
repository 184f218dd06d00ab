//! Whether a client would be admitted, asked of the verifier of each listener.

use std::path::Path;

use crate::cli::doctor::files::{Block, describe, ends_soon, what};
use crate::cli::doctor::named;
use crate::cli::doctor::report::{Finding, Level, Report};
use crate::config::sections::ClientAuth;
use crate::identity::{Decision, Name};
use crate::signal::Signal;
use crate::tls::server::{self, Admitted, Shown};

/// Judges the client's chain by every receiver.
pub(super) fn examine(blocks: &[Block<'_>], file: &Path, report: &mut Report) {
    let pem = named("--client", file);
    report.section("client", format!("client {}", file.display()));
    let Shown { chain, leaf, behind } = match server::shown(&pem) {
        Ok(shown) => shown,
        Err(problem) => return report.of_loader(Level::Problem, &problem),
    };
    report.fine(what(&pem), describe(&leaf));
    if let Some(behind) = behind {
        report.add(out_of_order(&what(&pem), behind));
    }
    ends_soon(&what(&pem), &leaf, report);
    if !blocks.iter().any(|block| matches!(block, Block::Receiver { .. })) {
        report.add(Finding {
            level: Level::Warning,
            what: "receivers".to_owned(),
            reason: "not_judged",
            message: "there is no receiver that could admit it".to_owned(),
            help: "name the gateway's configuration with --config".to_owned(),
        });
    }
    for block in blocks {
        let Block::Receiver { key_path, tls, rules } = block else { continue };
        let Some(tls) = tls else {
            report.fine(*key_path, "plaintext: admits everyone who can reach the port");
            continue;
        };
        match server::load(tls).map(|loaded| loaded.snapshot) {
            Err(_) => report.add(Finding {
                level: Level::Warning,
                what: (*key_path).to_owned(),
                reason: "not_judged",
                message: "cannot be asked: its own files have problems".to_owned(),
                help: "mend the problems of its `tls` block above, then ask again".to_owned(),
            }),
            Ok(snapshot) => match snapshot.admits(&chain).zip(snapshot.client_auth()) {
                None => report.fine(*key_path, "asks for no certificate: admits everyone"),
                Some((verdict, mode)) => {
                    let rules = rules.filter(|_| verdict.admitted);
                    report.add(finding(key_path, mode, verdict));
                    if let Some(rules) = rules {
                        report.add(by_rules(key_path, &rules.decide(&leaf.identity)));
                    }
                }
            },
        }
    }
}

/// Clients show the first certificate of the file as their own, and need its key.
fn out_of_order(what: &str, behind: usize) -> Finding {
    Finding {
        level: Level::Problem,
        what: what.to_owned(),
        reason: "client_cert_chain_order",
        message: format!(
            "its leaf is certificate {} of the file, behind its CA: most clients take the first, \
             and find that their key does not belong to it (it is judged here as if it came first)",
            behind + 1
        ),
        help: "write the leaf first, then the CA that signed it, and so on".to_owned(),
    }
}

fn finding(key_path: &str, mode: ClientAuth, verdict: Admitted) -> Finding {
    let why = verdict.why;
    let (level, message) = match (verdict.admitted, verdict.reason, mode) {
        (true, "", _) => (Level::Fine, "would be admitted".to_owned()),
        (true, _, _) => {
            (Level::Warning, format!("would be admitted, but stricter peers refuse it: {why}"))
        }
        (false, _, ClientAuth::Require) => (Level::Problem, format!("would be refused: {why}")),
        (false, _, ClientAuth::Optional) => (
            Level::Problem,
            format!(
                "would be refused, while whoever shows no certificate is let in (client_auth: \
                 optional): {why}"
            ),
        ),
        (false, _, ClientAuth::ReportOnly) => (
            Level::Warning,
            format!(
                "is let in and reported (client_auth: report_only); `require` would refuse it: {why}"
            ),
        ),
    };
    Finding {
        level,
        what: key_path.to_owned(),
        reason: verdict.reason,
        message,
        help: verdict.help,
    }
}

/// What the rules say of whoever the handshake admits.
fn by_rules(key_path: &str, decision: &Decision) -> Finding {
    let (level, reason, message) = match decision {
        Decision::Admitted { name, signals } => {
            let signals = Signal::ALL.into_iter().zip(signals).filter(|(_, allowed)| **allowed);
            let signals: Vec<_> = signals.map(|(signal, _)| signal.name()).collect();
            let who = name.as_ref().map_or_else(|| "nobody by name".to_owned(), Name::to_string);
            (Level::Fine, "", format!("may send {} as {who}", signals.join(", ")))
        }
        Decision::Refused(denial) => {
            (Level::Problem, denial.reason(), format!("every request would be refused: {denial}"))
        }
    };
    Finding {
        level,
        what: key_path.to_owned(),
        reason,
        message,
        help: match decision {
            Decision::Admitted { .. } => String::new(),
            Decision::Refused(_) => "docs/identity.md explains the rules".to_owned(),
        },
    }
}
