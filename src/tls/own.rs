//! Our own certificate chain and key.
//!
//! Guarantees that the key belongs to the first certificate of the chain.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::Problem;
use crate::config::types::{Pem, PemSource};
use crate::tls::error::problem;
use crate::tls::file;

/// Loads the pair.
pub(super) fn load(
    cert: &Pem,
    key: &Pem,
    provider: &CryptoProvider,
) -> Result<Arc<CertifiedKey>, Vec<Problem>> {
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(&read(cert).map_err(|e| vec![e])?)
            .collect::<Result<_, _>>()
            .map_err(|error| vec![problem(cert, 0, "own_cert_no_pem", error.to_string(), "")])?;
    let secret = PrivateKeyDer::from_pem_slice(&read(key).map_err(|e| vec![e])?)
        .map_err(|error| vec![problem(key, 0, "key_not_pem", error.to_string(), "")])?;
    let signer = provider
        .key_provider
        .load_private_key(secret)
        .map_err(|error| vec![problem(key, 0, "key_unsupported", error.to_string(), "")])?;
    Ok(Arc::new(CertifiedKey::new(chain, signer)))
}

/// The bytes of one piece of PEM material.
pub(super) fn read(pem: &Pem) -> Result<Vec<u8>, Problem> {
    match &pem.source {
        PemSource::File(path) => file::read(path)
            .map_err(|error| problem(pem, 0, "file_unreadable", error.to_string(), "")),
        PemSource::Inline(text) => Ok(text.expose().clone().into_bytes()),
    }
}
