//! SPIFFE ids by the CAs of their own trust domain.
//!
//! A bundle of the CAs of two trust domains would let each of them vouch for the ids of the other.
//! Guarantees that a leaf with a SPIFFE id is only accepted when, beside everything else that is
//! demanded of it, its chain ends in a CA of the trust domain that its id names, without leniency.
//! A trust domain whose CAs have all expired loses its ids, and the others keep theirs.

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
use crate::tls::verifier::judge::{Doubts, Fault, Judge};

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
                match anchors::load_one_of(file, &Purpose::ClientAuth, warnings) {
                    Ok(bundle) => bundles.push(bundle),
                    Err(bad) => problems.extend(bad),
                }
            }
            read.insert(domain.clone(), bundles);
        }
        if problems.is_empty() { Ok(Self(read)) } else { Err(problems) }
    }

    /// Every bundle, and of which domain it is.
    pub(in crate::tls) fn bundles(&self) -> impl Iterator<Item = (&str, &Anchors)> {
        self.0.iter().flat_map(|(domain, all)| all.iter().map(move |one| (domain.as_str(), one)))
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
            let doubts = Doubts::default();
            match self.chain(bundle, leaf, intermediates, now, &doubts) {
                Ok(()) => return Ok(()),
                Err(error) => {
                    if let Some(doubt) = doubts.behind(&error) {
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

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, SanType, date_time_ymd};

    use crate::config::sections::ServerTls;
    use crate::tls::server::{self, Admitted};
    use crate::tls::testing::{Ca, TestPki, ca_params, client_params, pem_file, server_tls};

    fn with_id(id: &str) -> CertificateParams {
        let mut params = client_params("x");
        params.subject_alt_names.push(SanType::URI(id.try_into().unwrap()));
        params
    }

    fn block(pki: &TestPki, domains: &[(&str, &str)]) -> ServerTls {
        let domain = |(name, file): &(&str, &str)| {
            ((*name).to_owned(), vec![pem_file("trust_domains", pki.path(file))])
        };
        ServerTls { trust_domains: domains.iter().map(domain).collect(), ..server_tls(pki) }
    }

    fn verdict(tls: &ServerTls, chain: &[&rcgen::Certificate]) -> Admitted {
        let loaded = server::load(tls).unwrap_or_else(|error| panic!("{error}"));
        let chain: Vec<_> = chain.iter().map(|one| one.der().to_vec()).collect();
        loaded.snapshot.admits(&chain).unwrap()
    }

    /// Scenario: one CA is trusted for senders, and the trust domain is that of an issuer below it.
    #[test]
    fn an_id_needs_the_ca_of_its_domain_wherever_that_stands_in_the_chain() {
        let pki = TestPki::new();
        let (own, other) = (pki.ca.intermediate("Own"), pki.ca.intermediate("Other"));
        pki.write("own.crt", own.pem());
        let tls = block(&pki, &[("a.example", "own.crt")]);
        let id = with_id("spiffe://a.example/web");
        let good = own.issue(id.clone());
        assert!(verdict(&tls, &[&good.certificate, &own.certificate]).admitted);
        for (leaf, chain) in [
            (other.issue(id.clone()), vec![&other.certificate]),
            (pki.ca.issue(id), vec![]),
            (own.issue(with_id("spiffe://b.example/web")), vec![&own.certificate]),
        ] {
            let chain: Vec<_> = std::iter::once(&leaf.certificate).chain(chain).collect();
            let refused = verdict(&tls, &chain);
            assert_eq!((refused.admitted, refused.reason), (false, "client_cert_trust_domain"));
            assert!(refused.why.contains("its id is spiffe://"), "{}", refused.why);
        }
        // Whoever has no id is not concerned.
        let plain = pki.ca.issue(client_params("plain"));
        assert!(verdict(&tls, &[&plain.certificate]).admitted);
    }

    /// Guarantees: an id that is not well made is refused even where the bundle would take it.
    #[test]
    fn an_id_that_breaks_the_rules_is_refused_in_the_handshake() {
        let pki = TestPki::new();
        let tls = block(&pki, &[("a.example", "ca.crt")]);
        let mut two = with_id("spiffe://a.example/web");
        two.subject_alt_names.push(SanType::URI("spiffe://a.example/db".try_into().unwrap()));
        let mut signs = with_id("spiffe://a.example/web");
        signs.key_usages = vec![rcgen::KeyUsagePurpose::CrlSign];
        for params in
            [two, signs, with_id("spiffe://a.example/../web"), with_id("SPIFFE://a.example/x")]
        {
            let leaf = pki.ca.issue(params);
            let refused = verdict(&tls, &[&leaf.certificate]);
            assert_eq!((refused.admitted, refused.reason), (false, "client_cert_spiffe_id"));
        }
        let good = pki.ca.issue(with_id("spiffe://a.example/web"));
        assert!(verdict(&tls, &[&good.certificate]).admitted);
    }

    /// Scenario: a partner lets its only CA expire.
    /// Guarantees: its ids are refused, the listener can still be loaded, and others are let in.
    #[test]
    fn a_domain_whose_cas_expired_loses_its_ids_alone() {
        let pki = TestPki::new();
        let mut params = ca_params("Partner");
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
        pki.write("partner.crt", Ca::self_signed(params).pem());
        let tls = block(&pki, &[("a.example", "ca.crt"), ("partner.example", "partner.crt")]);
        let loaded = server::load(&tls).unwrap_or_else(|error| panic!("{error}"));
        assert!(loaded.warnings.iter().any(|one| one.message.contains("no CA that can be used")));
        let partner = pki.ca.issue(with_id("spiffe://partner.example/web"));
        assert_eq!(verdict(&tls, &[&partner.certificate]).reason, "client_cert_trust_domain");
        let own = pki.ca.issue(with_id("spiffe://a.example/web"));
        assert!(verdict(&tls, &[&own.certificate]).admitted);
        pki.write("partner.crt", "nothing");
        assert!(server::load(&tls).is_err(), "a file that is no bundle is a mistake");
    }
}
