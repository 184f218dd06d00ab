//! Whether a listener would admit a client: the verdict of its own verifier, without a handshake.

use rustls_pki_types::CertificateDer;

use crate::config::Problem;
use crate::config::types::Pem;
use crate::tls::error::problem;
use crate::tls::inspect::{self, CertificateFacts};
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

/// A client's chain as its file has it, leaf first, and the facts of the leaf.
///
/// # Errors
/// There is no certificate in it.
pub(crate) fn chain(file: &Pem) -> Result<(Vec<Vec<u8>>, CertificateFacts), Problem> {
    let material = material::load(file, "client_cert_no_pem")?;
    let blocks = material.blocks.iter().filter(|block| block.label == Label::Certificate);
    let ders: Vec<_> = blocks.map(|block| block.der.clone()).collect();
    let Some(leaf) = ders.first() else {
        let message = format!("has 0 CERTIFICATE blocks (found: {})", material.found());
        let help = "name the certificate that the client shows, not its key";
        return Err(problem(file, 0, "client_cert_no_pem", message, help));
    };
    let facts = inspect::describe(leaf).ok_or_else(|| {
        let message = "has a CERTIFICATE block that is not a certificate";
        problem(file, 0, "client_cert_bad_encoding", message, "copy the file again")
    })?;
    Ok((ders, facts))
}
