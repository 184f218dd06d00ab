//! `tls` blocks (contract 1).

use std::time::Duration;

use crate::config::types::{CipherSuite, Curve, Pem, TlsVersion};

/// Keys that server and client blocks share (contract 1.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsCommon {
    /// `ca_file` or `ca_pem`. Client: replaces the system roots. Server: no effect, warned about.
    pub ca: Option<Pem>,
    /// `cert_file` or `cert_pem`; present exactly when `key` is.
    pub cert: Option<Pem>,
    /// `key_file` or `key_pem`.
    pub key: Option<Pem>,
    /// Adds the system roots to a configured CA. Default false.
    pub include_system_ca_certs_pool: bool,
    /// Default TLS 1.2.
    pub min_version: Option<TlsVersion>,
    /// Default TLS 1.3.
    pub max_version: Option<TlsVersion>,
    /// Empty means the library's default. Suites of TLS 1.3 are always offered (as Go does).
    pub cipher_suites: Vec<CipherSuite>,
    /// Empty means the library's default; the order is the preference.
    pub curve_preferences: Vec<Curve>,
    /// Accepted; reloading is always on.
    pub reload_interval: Option<Duration>,
}

/// A server's `tls` block. Its certificate and key are always present.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerTls {
    /// The shared keys.
    pub common: TlsCommon,
    /// `client_ca_file`: its presence demands and verifies client certificates.
    pub client_ca: Option<Pem>,
    /// Accepted; reloading is always on.
    pub client_ca_file_reload: bool,
    /// Ours: refuse what only Go accepts (X.509 v1 leaf, CA:TRUE leaf, pinned leaf). Default
    /// false: published recipes make such certificates, and each is accepted with one warning.
    pub strict_x509: bool,
}

/// A client's `tls` block; absent means TLS against the system roots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientTls {
    /// The shared keys.
    pub common: TlsCommon,
    /// `insecure: true` without a CA means no TLS at all for gRPC (contract 1.2).
    pub insecure: bool,
    /// TLS without verifying chain or name; an attacker on the path reads everything.
    pub insecure_skip_verify: bool,
    /// The name sent as SNI and verified, instead of the endpoint's host. A port is cut off.
    pub server_name_override: Option<String>,
}
