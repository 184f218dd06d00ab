//! The certificate that an upstream showed, judged again while the connection lives.
//!
//! Guarantees that a connection can be held against a later snapshot without asking the upstream,
//! which has no reason to help.

use rustls_pki_types::{CertificateDer, ServerName};

use crate::tls::client::explain::Attempt;
use crate::tls::client::{ClientSnapshot, UpstreamTlsError};
use crate::tls::time;

/// What a connection remembers of its handshake.
#[derive(Debug)]
pub(crate) struct Standing {
    /// Leaf first.
    chain: Vec<CertificateDer<'static>>,
    name: ServerName<'static>,
    attempt: Attempt,
}

impl Standing {
    pub(super) fn new(
        chain: &[CertificateDer<'_>],
        name: ServerName<'static>,
        attempt: Attempt,
    ) -> Self {
        let chain = chain.iter().map(|der| der.clone().into_owned()).collect();
        Self { chain, name, attempt }
    }

    /// Why the upstream would not be let in with this snapshot; `None` if it would.
    pub(crate) fn refused_by(&self, snapshot: &ClientSnapshot) -> Option<UpstreamTlsError> {
        let (leaf, intermediates) = self.chain.split_first()?;
        let verifier = snapshot.verifier.as_ref()?;
        let now = time::unix(time::now());
        let fault = verifier.fault(leaf, intermediates, &self.name, now)?;
        Some(self.attempt.distrusted(&fault))
    }
}
