//! The value types of configuration: what a key may hold once it has been read.
//!
//! Parse, don't validate: whoever holds one of these never checks it again.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// A component's id: `type` or `type/name` (contract 9.1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ComponentId {
    /// The type as the operator wrote it, such as `otlp` or `otlp_grpc`.
    pub kind: String,
    /// The part after the slash, if any.
    pub name: Option<String>,
}

impl fmt::Display for ComponentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{}/{name}", self.kind),
            None => f.write_str(&self.kind),
        }
    }
}

/// A value that is never shown: `Debug` and `Display` print `[REDACTED]` (configopaque).
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Redacted<T>(T);

impl<T> Redacted<T> {
    /// Hides a value.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself, for the one place that sends or parses it.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[REDACTED]")
    }
}

impl<T> fmt::Display for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[REDACTED]")
    }
}

/// PEM material and the config key that names it, so that an error can name both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pem {
    /// Where the bytes are.
    pub source: PemSource,
    /// The full key path, such as `receivers.otlp.protocols.grpc.tls.cert_file`.
    pub key_path: Arc<str>,
}

/// Where PEM material comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PemSource {
    /// A path (`*_file`).
    File(PathBuf),
    /// The text itself (`*_pem`).
    Inline(Redacted<String>),
}

/// A TLS version that a config may name. 1.0 and 1.1 are refused when the config is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2.
    V12,
    /// TLS 1.3.
    V13,
}

/// A key exchange group (contract 1.4). `P521` is refused when the config is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    /// NIST P-256.
    P256,
    /// NIST P-384.
    P384,
    /// X25519.
    X25519,
    /// The post-quantum hybrid X25519MLKEM768.
    X25519MlKem768,
}

/// A cipher suite that rustls offers, under the name Go and the Collector give it (contract 1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CipherSuite {
    /// `TLS_AES_128_GCM_SHA256`
    Tls13Aes128GcmSha256,
    /// `TLS_AES_256_GCM_SHA384`
    Tls13Aes256GcmSha384,
    /// `TLS_CHACHA20_POLY1305_SHA256`
    Tls13Chacha20Poly1305Sha256,
    /// `TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256`
    EcdheEcdsaAes128GcmSha256,
    /// `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256`
    EcdheRsaAes128GcmSha256,
    /// `TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384`
    EcdheEcdsaAes256GcmSha384,
    /// `TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384`
    EcdheRsaAes256GcmSha384,
    /// `TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256`
    EcdheEcdsaChacha20Poly1305Sha256,
    /// `TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256`
    EcdheRsaChacha20Poly1305Sha256,
}

/// Where a server listens (confignet).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// `host:port`; the host may be empty, a name or an address; port 0 lets the system choose.
    Tcp(String),
    /// A socket file; a leading `@` names an abstract socket.
    Unix(PathBuf),
}

/// Where an exporter connects to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upstream {
    /// Host (name or address, without brackets) and port.
    Tcp {
        /// Name to resolve, or an address.
        host: String,
        /// TCP port.
        port: u16,
    },
    /// A socket file.
    Unix(PathBuf),
}

/// Compression of what an exporter sends (contract 4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// `deflate`: the zlib format, as the Collector sends it. HTTP only.
    Deflate,
    /// `gzip`.
    Gzip,
    /// `lz4` frames. HTTP only.
    Lz4,
    /// `none` or the empty string.
    None,
    /// `snappy`: framed on gRPC, block format on HTTP.
    Snappy,
    /// `x-snappy-framed`. HTTP only.
    SnappyFramed,
    /// `zlib`. HTTP only.
    Zlib,
    /// `zstd`.
    Zstd,
}

/// A configured header: its name and its hidden value, in the order they were written.
pub type Headers = Vec<(String, Redacted<String>)>;
