//! The exporter's side: one `tls` block of an exporter, loaded, and handshakes with upstreams.

mod connector;
mod explain;

use std::sync::Arc;

use rustls::client::ResolvesClientCert;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::config::sections::ClientTls;
use crate::tls::error::{CredentialsError, Loaded, next_generation, problem};
use crate::tls::{own, profile};

pub(crate) use connector::{Connected, Connector, Diagnosis, UpstreamStream};
pub(crate) use explain::UpstreamTlsError;

/// Everything that one exporter's handshakes decide with. Immutable.
#[derive(Debug)]
pub(crate) struct ClientSnapshot {
    /// Numbered within this process; a later load has a higher number.
    pub(crate) generation: u64,
    pub(crate) config: Arc<ClientConfig>,
    pub(crate) server_name_override: Option<String>,
}

/// Reads and vets every file of the block. `alpn` is what the exporter speaks, best first; with
/// `h2` alone an upstream that does not agree on it is refused. Blocks on the file system.
///
/// # Errors
/// Everything that is wrong with the material, each with config key, file and mend.
pub(crate) fn load(
    tls: &ClientTls,
    alpn: &'static [&'static [u8]],
) -> Result<Loaded<ClientSnapshot>, CredentialsError> {
    let provider = profile::provider(&tls.common);
    let mut roots = RootCertStore::empty();
    if let Some(ca) = &tls.common.ca {
        for der in CertificateDer::pem_slice_iter(&own::read(ca)?) {
            let der = der.map_err(|error| problem(ca, 0, "ca_bad_entry", error.to_string(), ""))?;
            roots
                .add(der)
                .map_err(|error| problem(ca, 0, "ca_bad_entry", error.to_string(), ""))?;
        }
    } else {
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
    }
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(profile::versions(&tls.common))
        .map_err(|_unusable| CredentialsError { problems: vec![] })?
        .with_root_certificates(roots);
    let mut config = match (&tls.common.cert, &tls.common.key) {
        (Some(cert), Some(key)) => {
            let own = own::load(cert, key, &provider)
                .map_err(|problems| CredentialsError { problems })?;
            builder.with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(
                Arc::unwrap_or_clone(own),
            )))
        }
        _ => builder.with_no_client_auth(),
    };
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Ok(Loaded {
        snapshot: ClientSnapshot {
            generation: next_generation(),
            config: Arc::new(config),
            server_name_override: tls.server_name_override.clone(),
        },
        warnings: Vec::new(),
    })
}
