//! The listener's side: one `tls` block of a receiver, loaded.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::config::sections::ServerTls;
use crate::tls::error::{CredentialsError, Loaded, next_generation, problem};
use crate::tls::{own, profile};

/// Everything that one listener's handshakes decide with. Immutable; a connection reads it once.
#[derive(Debug)]
pub(crate) struct ServerSnapshot {
    /// Numbered within this process; a later load has a higher number.
    pub(crate) generation: u64,
    /// Whether client certificates are demanded.
    pub(crate) demands_certificates: bool,
    pub(crate) config: Arc<ServerConfig>,
}

/// Reads and vets every file of the block. Blocks on the file system.
///
/// # Errors
/// Everything that is wrong with the material, each with config key, file and mend.
pub(crate) fn load(tls: &ServerTls) -> Result<Loaded<ServerSnapshot>, CredentialsError> {
    let provider = profile::provider(&tls.common);
    let (Some(cert), Some(key)) = (&tls.common.cert, &tls.common.key) else {
        return Err(CredentialsError { problems: Vec::new() });
    };
    let own = own::load(cert, key, &provider).map_err(|problems| CredentialsError { problems })?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(profile::versions(&tls.common))
        .map_err(|error| problem(cert, 0, "tls_profile", error.to_string(), ""))?;
    let builder = match &tls.client_ca {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let mut roots = RootCertStore::empty();
            for der in CertificateDer::pem_slice_iter(&own::read(ca)?) {
                let der =
                    der.map_err(|error| problem(ca, 0, "ca_bad_entry", error.to_string(), ""))?;
                roots
                    .add(der)
                    .map_err(|error| problem(ca, 0, "ca_bad_entry", error.to_string(), ""))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .clear_root_hint_subjects()
                .build()
                .map_err(|error| problem(ca, 0, "ca_no_pem", error.to_string(), ""))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config =
        builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::unwrap_or_clone(own))));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Loaded {
        snapshot: ServerSnapshot {
            generation: next_generation(),
            demands_certificates: tls.client_ca.is_some(),
            config: Arc::new(config),
        },
        warnings: Vec::new(),
    })
}
