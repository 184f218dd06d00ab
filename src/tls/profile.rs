//! What TLS speaks: provider, versions, cipher suites, groups, from configuration.
//!
//! Guarantees an explicit provider, so that no process-wide default decides, and one order of
//! groups for both directions. Knows nothing of certificates.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs::{self, cipher_suite, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::version::{TLS12, TLS13};
use rustls::{SupportedCipherSuite, SupportedProtocolVersion};

use crate::config::sections::TlsCommon;
use crate::config::types::{CipherSuite, Curve, TlsVersion};

/// The protocol that ALPN settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alpn {
    /// `h2`.
    H2,
    /// `http/1.1`.
    Http1,
    /// The peer took no part in ALPN, or the connection is plaintext.
    None,
}

impl Alpn {
    /// From what the TLS library says was agreed on.
    pub(crate) fn from_negotiated(protocol: Option<&[u8]>) -> Self {
        match protocol {
            Some(b"h2") => Self::H2,
            Some(b"http/1.1") => Self::Http1,
            _ => Self::None,
        }
    }
}

/// The provider with the configured cipher suites and groups, in the order of preference.
pub(super) fn provider(tls: &TlsCommon) -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = if tls.curve_preferences.is_empty() {
        DEFAULT_GROUPS.to_vec()
    } else {
        tls.curve_preferences.iter().map(|curve| group(*curve)).collect()
    };
    if !tls.cipher_suites.is_empty() {
        // As in Go, the list is about TLS 1.2; the suites of 1.3 are always offered.
        let chosen: Vec<_> = tls.cipher_suites.iter().map(|suite| suite_of(*suite)).collect();
        provider.cipher_suites.retain(|suite| suite.tls13().is_some() || chosen.contains(suite));
    }
    Arc::new(provider)
}

/// The versions between `min_version` and `max_version`.
pub(super) fn versions(tls: &TlsCommon) -> &'static [&'static SupportedProtocolVersion] {
    let min = tls.min_version.unwrap_or(TlsVersion::V12);
    let max = tls.max_version.unwrap_or(TlsVersion::V13);
    match (min, max) {
        (TlsVersion::V12, TlsVersion::V12) => &ONLY_12,
        (TlsVersion::V12, TlsVersion::V13) => &BOTH,
        (TlsVersion::V13, _) => &ONLY_13,
    }
}

static ONLY_12: [&SupportedProtocolVersion; 1] = [&TLS12];
static BOTH: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
static ONLY_13: [&SupportedProtocolVersion; 1] = [&TLS13];

fn group(curve: Curve) -> &'static dyn SupportedKxGroup {
    match curve {
        Curve::P256 => kx_group::SECP256R1,
        Curve::P384 => kx_group::SECP384R1,
        Curve::X25519 => kx_group::X25519,
        Curve::X25519MlKem768 => kx_group::X25519MLKEM768,
    }
}

fn suite_of(suite: CipherSuite) -> SupportedCipherSuite {
    match suite {
        CipherSuite::Tls13Aes128GcmSha256 => cipher_suite::TLS13_AES_128_GCM_SHA256,
        CipherSuite::Tls13Aes256GcmSha384 => cipher_suite::TLS13_AES_256_GCM_SHA384,
        CipherSuite::Tls13Chacha20Poly1305Sha256 => cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        CipherSuite::EcdheEcdsaAes128GcmSha256 => {
            cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
        }
        CipherSuite::EcdheRsaAes128GcmSha256 => cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        CipherSuite::EcdheEcdsaAes256GcmSha384 => {
            cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
        }
        CipherSuite::EcdheRsaAes256GcmSha384 => cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        CipherSuite::EcdheEcdsaChacha20Poly1305Sha256 => {
            cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
        }
        CipherSuite::EcdheRsaChacha20Poly1305Sha256 => {
            cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
        }
    }
}

/// The hybrid first: recorded traffic stays secret even from a later quantum computer.
const DEFAULT_GROUPS: [&dyn SupportedKxGroup; 4] =
    [kx_group::X25519MLKEM768, kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1];
