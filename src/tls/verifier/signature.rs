//! The proof that a peer holds its certificate's key, also for certificates that webpki cannot
//! parse.

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{
    WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
    verify_tls13_signature_with_raw_key,
};
use rustls::{CertificateError, DigitallySignedStruct, Error, PeerMisbehaved};
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use webpki::{EndEntityCert, RawPublicKeyEntity};
use x509_parser::prelude::{FromDer, X509Certificate};

/// TLS 1.2.
pub(super) fn tls12(
    message: &[u8],
    cert: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    if EndEntityCert::try_from(cert).is_ok() {
        return verify_tls12_signature(message, cert, signed, algorithms);
    }
    let spki = spki(cert)?;
    let key = RawPublicKeyEntity::try_from(&spki).map_err(|_unreadable| bad_encoding())?;
    let candidates = algorithms
        .mapping
        .iter()
        .find(|(scheme, _)| *scheme == signed.scheme)
        .map(|(_, candidates)| *candidates)
        .ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
    // TLS 1.2 does not say which curve a scheme is for; only the one that fits the key verifies.
    if candidates.iter().any(|one| key.verify_signature(*one, message, signed.signature()).is_ok())
    {
        Ok(HandshakeSignatureValid::assertion())
    } else {
        Err(CertificateError::BadSignature.into())
    }
}

/// TLS 1.3.
pub(super) fn tls13(
    message: &[u8],
    cert: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    if EndEntityCert::try_from(cert).is_ok() {
        return verify_tls13_signature(message, cert, signed, algorithms);
    }
    verify_tls13_signature_with_raw_key(message, &spki(cert)?, signed, algorithms)
}

fn spki(cert: &CertificateDer<'_>) -> Result<SubjectPublicKeyInfoDer<'static>, Error> {
    let (_rest, parsed) = X509Certificate::from_der(cert).map_err(|_unreadable| bad_encoding())?;
    Ok(SubjectPublicKeyInfoDer::from(parsed.tbs_certificate.subject_pki.raw.to_vec()))
}

fn bad_encoding() -> Error {
    CertificateError::BadEncoding.into()
}
