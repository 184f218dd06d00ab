//! What a verified certificate proved about a peer.
//!
//! Plain facts for logs, rules and stamps; knows nothing of TLS libraries or sockets.
//! Every string comes from a peer: whoever prints one escapes it and caps its length.

use std::net::IpAddr;
use std::time::SystemTime;

/// The facts of one leaf certificate, in the forms people compare them in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Subject distinguished name as RFC 4514 text, such as `CN=shop,O=Example`.
    pub subject: String,
    /// Issuer distinguished name as RFC 4514 text.
    pub issuer: String,
    /// Subject common name, if there is exactly one.
    pub common_name: Option<String>,
    /// Serial number in lower-case hexadecimal, without separators.
    pub serial: String,
    /// SHA-256 of the certificate's DER bytes in lower-case hexadecimal.
    pub sha256: String,
    /// DNS names of the subject alternative name extension.
    pub dns: Vec<String>,
    /// URIs of the subject alternative name extension; SPIFFE ids are among them.
    pub uris: Vec<String>,
    /// E-mail addresses of the subject alternative name extension.
    pub emails: Vec<String>,
    /// IP addresses of the subject alternative name extension.
    pub ips: Vec<IpAddr>,
    /// First instant at which the certificate is valid.
    pub not_before: SystemTime,
    /// Last instant at which the certificate is valid.
    pub not_after: SystemTime,
}
