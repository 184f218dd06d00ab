//! The proof that a peer holds its certificate's key, also for certificates that webpki cannot
//! parse.

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{
    WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
    verify_tls13_signature_with_raw_key,
};
use rustls::{CertificateError, DigitallySignedStruct, Error, PeerMisbehaved};
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer};
use webpki::{EndEntityCert, RawPublicKeyEntity};
use x509_parser::prelude::{FromDer, X509Certificate};

/// What a peer signed in a handshake.
pub(super) struct Proof<'a> {
    pub(super) message: &'a [u8],
    pub(super) cert: &'a CertificateDer<'a>,
    pub(super) signed: &'a DigitallySignedStruct,
}

impl Proof<'_> {
    /// Of TLS 1.2.
    pub(super) fn verify12(
        &self,
        algorithms: &WebPkiSupportedAlgorithms,
    ) -> Result<HandshakeSignatureValid, Error> {
        let Self { message, cert, signed } = *self;
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
        let verifies = |one: &&dyn SignatureVerificationAlgorithm| {
            key.verify_signature(*one, message, signed.signature()).is_ok()
        };
        // TLS 1.2 does not say which curve a scheme is for; only the one that fits the key
        // verifies.
        if candidates.iter().any(verifies) {
            Ok(HandshakeSignatureValid::assertion())
        } else {
            Err(CertificateError::BadSignature.into())
        }
    }

    /// Of TLS 1.3.
    pub(super) fn verify13(
        &self,
        algorithms: &WebPkiSupportedAlgorithms,
    ) -> Result<HandshakeSignatureValid, Error> {
        let Self { message, cert, signed } = *self;
        if EndEntityCert::try_from(cert).is_ok() {
            return verify_tls13_signature(message, cert, signed, algorithms);
        }
        verify_tls13_signature_with_raw_key(message, &spki(cert)?, signed, algorithms)
    }
}

/// The part that is the same in the library's traits for verifiers of either side: which algorithms
/// verify a proof, and what becomes of the outcome for a certificate.
macro_rules! proofs {
    ($verifier:ident: $algorithms:expr, $outcome:expr) => {
        fn verify_tls12_signature(
            &$verifier,
            message: &[u8],
            cert: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            let proof = Proof { message, cert, signed }.verify12(&$algorithms);
            $outcome(cert, proof)
        }

        fn verify_tls13_signature(
            &$verifier,
            message: &[u8],
            cert: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            let proof = Proof { message, cert, signed }.verify13(&$algorithms);
            $outcome(cert, proof)
        }

        fn supported_verify_schemes(&$verifier) -> Vec<SignatureScheme> {
            $algorithms.supported_schemes()
        }
    };
}

pub(super) use proofs;

fn spki(cert: &CertificateDer<'_>) -> Result<SubjectPublicKeyInfoDer<'static>, Error> {
    let (_rest, parsed) = X509Certificate::from_der(cert).map_err(|_unreadable| bad_encoding())?;
    Ok(SubjectPublicKeyInfoDer::from(parsed.tbs_certificate.subject_pki.raw.to_vec()))
}

fn bad_encoding() -> Error {
    CertificateError::BadEncoding.into()
}
