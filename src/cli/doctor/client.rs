//! Whether a client would be admitted, asked of the verifier of each listener.

use std::path::Path;

use crate::cli::doctor::files::{Block, describe, ends_soon, what};
use crate::cli::doctor::named;
use crate::cli::doctor::report::{Finding, Level, Report};
use crate::identity::{Decision, Name};
use crate::signal::Signal;
use crate::tls::server::{self, Admitted};

/// Judges the client's chain by every receiver.
pub(super) fn examine(blocks: &[Block<'_>], file: &Path, report: &mut Report) {
    let pem = named("--client", file);
    report.section("client", format!("client {}", file.display()));
    let (chain, leaf) = match server::chain(&pem) {
        Ok(found) => found,
        Err(problem) => return report.of_loader(Level::Problem, &problem),
    };
    report.fine(what(&pem), describe(&leaf));
    ends_soon(&what(&pem), &leaf, report);
    for block in blocks {
        let Block::Receiver { key_path, tls, rules } = block else { continue };
        let Some(tls) = tls else {
            report.fine(*key_path, "plaintext: admits everyone who can reach the port");
            continue;
        };
        match server::load(tls).map(|loaded| loaded.snapshot.admits(&chain)) {
            Err(_) => report.add(Finding {
                level: Level::Warning,
                what: (*key_path).to_owned(),
                reason: "not_judged",
                message: "cannot be asked: its own files have problems".to_owned(),
                help: "mend the problems of its `tls` block above, then ask again".to_owned(),
            }),
            Ok(None) => report.fine(*key_path, "asks for no certificate: admits everyone"),
            Ok(Some(verdict)) => {
                let rules = rules.filter(|_| verdict.admitted);
                report.add(finding(key_path, verdict));
                if let Some(rules) = rules {
                    report.add(by_rules(key_path, &rules.decide(&leaf.identity)));
                }
            }
        }
    }
}

fn finding(key_path: &str, verdict: Admitted) -> Finding {
    let (level, message) = match (verdict.admitted, verdict.reason) {
        (true, "") => (Level::Fine, "would be admitted".to_owned()),
        (true, _) => (
            Level::Warning,
            format!("would be admitted, but stricter peers refuse it: {}", verdict.why),
        ),
        (false, _) => (Level::Problem, format!("would be refused: {}", verdict.why)),
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
