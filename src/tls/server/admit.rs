//! Whether a listener would admit a client: the verdict of its own verifier, without a handshake.

use rustls_pki_types::CertificateDer;

use crate::config::types::Pem;
use crate::config::{Problem, sections};
use crate::tls::anchors;
use crate::tls::error::problem;
use crate::tls::examine::is_authority;
use crate::tls::inspect::{self, CertificateFacts, Purpose};
use crate::tls::pem::Label;
use crate::tls::server::ServerSnapshot;
use crate::tls::verifier::Admission;
use crate::tls::{material, time};

/// The verdict on a client certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Admitted {
    /// Whether the handshake would succeed.
    pub(crate) admitted: bool,
    /// Stable reason code; empty when there is nothing to say.
    pub(crate) reason: &'static str,
    /// Why not, or what is unusual; one clause about the certificate.
    pub(crate) why: String,
    /// What to do about it.
    pub(crate) help: String,
}

impl ServerSnapshot {
    /// Judges a chain, leaf first, as a handshake at this moment would; `None` when this listener
    /// demands no certificates.
    pub(crate) fn admits(&self, chain: &[Vec<u8>]) -> Option<Admitted> {
        let verifier = self.verifier.as_ref()?;
        let chain: Vec<_> = chain.iter().map(|der| CertificateDer::from(der.as_slice())).collect();
        let (leaf, rest) = chain.split_first()?;
        Some(match verifier.admission(leaf, rest, time::unix(time::now())) {
            Admission::Plain => {
                Admitted { admitted: true, reason: "", why: String::new(), help: String::new() }
            }
            Admission::Lenient { reason, why, help } => {
                Admitted { admitted: true, reason, why: why.to_owned(), help: help.to_owned() }
            }
            Admission::Refused(fault) => {
                Admitted { admitted: false, reason: fault.reason, why: fault.why, help: fault.help }
            }
        })
    }
}

/// What one file of a trust domain holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DomainBundle {
    /// The trust domain.
    pub(crate) domain: String,
    /// The file.
    pub(crate) place: String,
    /// Its CAs, such as `1 CA: CN=a`.
    pub(crate) cas: String,
}

/// Judges the bundles of trust domains by themselves: those that can be used, warnings, and what is
/// wrong. Blocks on the file system.
pub(crate) fn trust_domains(
    domains: &sections::TrustDomains,
) -> (Vec<DomainBundle>, Vec<Problem>, Vec<Problem>) {
    let mut warnings = Vec::new();
    let mut problems = Vec::new();
    let mut bundles = Vec::new();
    for (domain, files) in domains {
        for file in files {
            match anchors::load_one_of(file, &Purpose::ClientAuth, &mut warnings) {
                Err(bad) => problems.extend(bad),
                Ok(bundle) => bundles.push(DomainBundle {
                    domain: domain.clone(),
                    cas: bundle.names(),
                    place: bundle.place,
                }),
            }
        }
    }
    (bundles, warnings, problems)
}

/// A client's certificates.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    /// As their file has them, but the leaf first.
    pub(crate) chain: Vec<Vec<u8>>,
    /// The facts of the leaf.
    pub(crate) leaf: CertificateFacts,
    /// Where the leaf stands in the file, when CAs stand before it.
    pub(crate) behind: Option<usize>,
}

/// What a file of a client's certificates holds.
///
/// # Errors
/// There is no certificate in it.
pub(crate) fn shown(file: &Pem) -> Result<Shown, Problem> {
    let material = material::load(file, "client_cert_no_pem")?;
    let mut chain = Vec::new();
    let mut all = Vec::new();
    for block in material.blocks.iter().filter(|block| block.label == Label::Certificate) {
        let facts = inspect::describe(&block.der).ok_or_else(|| {
            let message = "has a CERTIFICATE block that is not a certificate";
            problem(file, block.line, "client_cert_bad_encoding", message, "copy the file again")
        })?;
        chain.push(block.der.clone());
        all.push(facts);
    }
    // One that some other of them issued, and that issued none: what is meant is plain then.
    let issuers: Vec<_> = all.iter().map(|facts| &facts.identity.issuer).collect();
    let is_leaf = |facts: &CertificateFacts| {
        !is_authority(facts) && !issuers.contains(&&facts.identity.subject)
    };
    let first_is_ca = all.first().is_some_and(is_authority);
    let behind = all.iter().position(is_leaf).filter(|at| first_is_ca && *at > 0);
    if let Some(at) = behind {
        let (der, facts) = (chain.remove(at), all.remove(at));
        chain.insert(0, der);
        all.insert(0, facts);
    }
    match all.into_iter().next() {
        Some(leaf) => Ok(Shown { chain, leaf, behind }),
        None => {
            let message = format!("has 0 CERTIFICATE blocks (found: {})", material.found());
            let mend = material.blocks.first().and_then(|block| match &block.label {
                Label::CertificateRequest | Label::Other(_) => Some(block.label.mend()),
                _ => None,
            });
            let help = mend.filter(|mend| !mend.is_empty()).unwrap_or(
                "name the certificate that the client shows: not its key, and no revocation list",
            );
            Err(problem(file, 0, "client_cert_no_pem", message, help))
        }
    }
}
