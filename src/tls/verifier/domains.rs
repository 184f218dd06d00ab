//! SPIFFE ids by the CAs of their own trust domain.
//!
//! A bundle of the CAs of two trust domains would let each of them vouch for the ids of the other.
//! Guarantees that a leaf with a SPIFFE id is only accepted when, beside everything else that is
//! demanded of it, its chain ends in a CA of the trust domain that its id names, without leniency.

use std::cell::Cell;
use std::collections::BTreeMap;

use rustls::CertificateError;
use rustls_pki_types::{CertificateDer, UnixTime};

use crate::config::Problem;
use crate::config::sections;
use crate::identity::{SpiffeId, Unfit, shown, spiffe_id};
use crate::metrics::End;
use crate::tls::anchors::{self, Anchors};
use crate::tls::inspect::{self, CertificateFacts, Purpose, named};
use crate::tls::verifier::explain;
use crate::tls::verifier::judge::{Fault, Judge, is_same};

/// The CAs of each trust domain. Where there are none, ids are not looked at.
#[derive(Debug, Default)]
pub(in crate::tls) struct TrustDomains(BTreeMap<String, Vec<Anchors>>);

impl TrustDomains {
    /// Reads and vets every bundle. Blocks on the file system.
    ///
    /// # Errors
    /// Everything that is wrong with the files.
    pub(in crate::tls) fn load(
        domains: &sections::TrustDomains,
        warnings: &mut Vec<Problem>,
    ) -> Result<Self, Vec<Problem>> {
        let mut read = BTreeMap::new();
        let mut problems = Vec::new();
        for (domain, files) in domains {
            let mut bundles = Vec::new();
            for file in files {
                match anchors::load(file, false, &Purpose::ClientAuth, warnings) {
                    Ok(bundle) => bundles.push(bundle),
                    Err(bad) => problems.extend(bad),
                }
            }
            read.insert(domain.clone(), bundles);
        }
        if problems.is_empty() { Ok(Self(read)) } else { Err(problems) }
    }

    /// Unix times at which a bundle must be judged anew.
    pub(in crate::tls) fn boundaries(&self) -> impl Iterator<Item = i64> {
        self.0.values().flatten().flat_map(Anchors::boundaries)
    }

    /// When each CA ends.
    pub(in crate::tls) fn ends(&self) -> impl Iterator<Item = End> {
        self.0.values().flatten().flat_map(Anchors::ends)
    }
}

impl Judge {
    /// Whether the CAs of its trust domain vouch for a leaf that has a SPIFFE id.
    pub(super) fn judge_domain(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Fault> {
        if self.domains.0.is_empty() {
            return Ok(());
        }
        let Some(facts) = inspect::describe(leaf) else {
            return Err(explain::unreadable(self.side, &webpki::Error::BadDer));
        };
        let id = match spiffe_id(&facts.identity) {
            Ok(None) => return Ok(()),
            Ok(Some(id)) => id,
            Err(unfit) => return Err(invalid(facts, &unfit)),
        };
        let Some(bundles) = self.domains.0.get(id.trust_domain()) else {
            return Err(unknown_domain(facts, &id, self.domains.0.keys()));
        };
        for bundle in bundles {
            let doubt = Cell::new(None);
            match self.chain(bundle, leaf, intermediates, now, &doubt) {
                Ok(()) => return Ok(()),
                Err(error) => {
                    if let Some(doubt) = doubt.take().filter(|doubt| is_same(doubt, &error)) {
                        return Err(explain::doubted(self.side, doubt, facts));
                    }
                }
            }
        }
        Err(foreign(facts, &id, bundles))
    }
}

fn invalid(leaf: CertificateFacts, unfit: &Unfit) -> Fault {
    Fault {
        reason: "client_cert_spiffe_id",
        why: format!("it {unfit}"),
        help: "have its issuer make it by the rules for X.509-SVIDs".to_owned(),
        leaf: Some(Box::new(leaf)),
        alert: CertificateError::ApplicationVerificationFailure,
    }
}

fn unknown_domain<'a>(
    leaf: CertificateFacts,
    id: &SpiffeId,
    known: impl Iterator<Item = &'a String>,
) -> Fault {
    let known: Vec<_> = known.take(SHOWN).map(String::as_str).collect();
    Fault {
        reason: "client_cert_trust_domain",
        why: format!(
            "its id is {}, and trust_domains lists no CA for {} (it lists {})",
            shown(&id.to_string()),
            shown(id.trust_domain()),
            known.join(", ")
        ),
        help: "if workloads of that trust domain may send, add it to trust_domains with its CAs"
            .to_owned(),
        leaf: Some(Box::new(leaf)),
        alert: CertificateError::ApplicationVerificationFailure,
    }
}

fn foreign(leaf: CertificateFacts, id: &SpiffeId, bundles: &[Anchors]) -> Fault {
    let cas: Vec<_> =
        bundles.iter().map(|bundle| format!("{} of {}", bundle.names(), bundle.place)).collect();
    Fault {
        reason: "client_cert_trust_domain",
        why: format!(
            "its id is {}, and its issuer {} is no CA of that trust domain (there is {})",
            shown(&id.to_string()),
            named(&leaf.identity.issuer),
            cas.join(", ")
        ),
        help: "if that CA issues for the trust domain, add it to the file under trust_domains; if \
               it does not, it made an id that is not its own"
            .to_owned(),
        leaf: Some(Box::new(leaf)),
        alert: CertificateError::ApplicationVerificationFailure,
    }
}

const SHOWN: usize = 8;
