//! `tls` blocks (contract 1).

use std::time::Duration;

use crate::config::sections::TrustDomains;
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

/// What happens to a certificate whose issuer's revocation list does not say that it is good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDoubt {
    /// Its holder is refused.
    #[default]
    Deny,
    /// Its holder is let in.
    Allow,
}

/// Which certificates of a chain are looked up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RevocationScope {
    /// The leaf and every intermediate; each issuer needs a list.
    #[default]
    Chain,
    /// The leaf alone.
    Leaf,
}

/// Ours, `revocation`: how revocation lists are held against a chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RevocationPolicy {
    /// `scope`, default `chain`.
    pub scope: RevocationScope,
    /// `unknown`, default `deny`: no list of the certificate's issuer.
    pub unknown: OnDoubt,
    /// `expired`, default `deny`: the issuer's list is past its nextUpdate.
    pub expired: OnDoubt,
    /// `grace`, default 0: for how long after its nextUpdate a list still counts as fresh.
    pub grace: Duration,
}

/// Ours, `client_auth`: what is demanded of senders where `client_ca_file` is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// A certificate that is verified.
    #[default]
    Require,
    /// None, but one that is presented must be good.
    Optional,
    /// None; who would be refused is logged and counted.
    ReportOnly,
}

/// A server's `tls` block. Its certificate and key are always present.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// Ours, `client_crl_file`, a path or a list: revocation lists of the client CAs. Empty means
    /// that nobody is looked up.
    pub client_crl: Vec<Pem>,
    /// Ours; only with `client_crl_file`.
    pub revocation: RevocationPolicy,
    /// Ours; only with `client_ca_file`.
    pub client_auth: ClientAuth,
    /// Of the `client_identity` extension that `auth.authenticator` names; else empty.
    pub trust_domains: TrustDomains,
    /// Ours, `session_resumption`: `enabled` or `disabled`. Default: enabled without
    /// `client_ca_file`, disabled with it.
    pub session_resumption: Option<bool>,
    /// Ours, `trust_loss_grace`: how long a live connection may go on after its client's
    /// certificate expired or its CA was removed. Default 10 s; a revoked one is cut at once.
    pub trust_loss_grace: Duration,
}

impl Default for ServerTls {
    fn default() -> Self {
        Self {
            common: TlsCommon::default(),
            client_ca: None,
            client_ca_file_reload: false,
            strict_x509: false,
            client_crl: Vec::new(),
            revocation: RevocationPolicy::default(),
            client_auth: ClientAuth::default(),
            trust_domains: TrustDomains::new(),
            session_resumption: None,
            trust_loss_grace: Duration::from_secs(10),
        }
    }
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
    /// Ours, `crl_file`, a path or a list: revocation lists of the upstream's CAs.
    pub crl: Vec<Pem>,
    /// Ours; only with `crl_file`.
    pub revocation: RevocationPolicy,
}
