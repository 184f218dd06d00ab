//! What we show to an upstream that asks who we are.

use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;

use crate::tls::inspect::CertificateFacts;
use crate::tls::own::Own;
use crate::tls::verifier::note_asked;

/// Our certificate towards upstreams, and where it came from.
#[derive(Clone, Debug)]
pub(crate) struct OwnIdentity {
    certified: Arc<CertifiedKey>,
    /// The leaf.
    pub(crate) leaf: CertificateFacts,
    /// Its file or key, for messages.
    pub(crate) place: String,
}

impl From<Own> for OwnIdentity {
    fn from(own: Own) -> Self {
        Self { certified: own.certified, leaf: own.leaf, place: own.place }
    }
}

/// Shows the one identity to everyone who asks, and notes that somebody asked.
#[derive(Debug)]
pub(super) struct Resolver(pub(super) Option<Arc<OwnIdentity>>);

impl ResolvesClientCert for Resolver {
    fn resolve(
        &self,
        _root_hint_subjects: &[&[u8]],
        schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        let own = self.0.as_ref();
        note_asked(own.is_some_and(|own| own.certified.key.choose_scheme(schemes).is_none()));
        // Also when the hints name other CAs: a refusal says more than silence.
        own.map(|own| Arc::clone(&own.certified))
    }

    fn has_certs(&self) -> bool {
        self.0.is_some()
    }
}
