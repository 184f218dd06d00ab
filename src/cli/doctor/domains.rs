//! The bundles of trust domains, which belong to an extension and not to one receiver.

use crate::cli::doctor::report::{Finding, Level, Report};
use crate::config::Config;
use crate::config::sections::Extension;
use crate::identity::Rules;
use crate::tls::server;

/// Loads the bundles of every `client_identity` and reports.
pub(super) fn examine(config: &Config, report: &mut Report) {
    for extension in config.extensions.values() {
        let Extension::ClientIdentity(identity) = extension else { continue };
        if identity.trust_domains.is_empty() {
            continue;
        }
        report.section("files", key_path(&identity.rules));
        let (bundles, warnings, problems) = server::trust_domains(&identity.trust_domains);
        for bundle in bundles {
            report.fine(format!("{} {}", bundle.domain, bundle.place), bundle.cas);
        }
        problems.iter().for_each(|one| report.of_loader(Level::Problem, one));
        warnings.iter().for_each(|one| report.of_loader(Level::Warning, one));
    }
}

/// The key under which they are written.
pub(super) fn key_path(rules: &Rules) -> String {
    format!("{}.trust_domains", rules.key_path)
}

/// Of a receiver whose own files are good.
pub(super) fn unusable() -> Finding {
    Finding {
        level: Level::Warning,
        what: String::new(),
        reason: "not_judged",
        message: "cannot be loaded: the bundles of its trust domains have problems".to_owned(),
        help: "mend them where they are listed".to_owned(),
    }
}
