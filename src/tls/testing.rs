//! Certificates and `tls` blocks for unit tests of this crate.

#[path = "../../tests/it/support/pki.rs"]
mod pki;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::sections::{ClientTls, ServerTls, TlsCommon};
use crate::config::types::{Pem, PemSource, Redacted};

pub(crate) use pki::{Ca, Leaf, TestPki, ca_params, client_params, server_params};

/// A `*_file` key.
pub(crate) fn pem_file(key: &str, path: impl AsRef<Path>) -> Pem {
    Pem { source: PemSource::File(path.as_ref().to_owned()), key_path: Arc::from(key) }
}

/// A `*_pem` key.
pub(crate) fn pem_inline(key: &str, text: &str) -> Pem {
    Pem { source: PemSource::Inline(Redacted::new(text.to_owned())), key_path: Arc::from(key) }
}

/// A receiver's block: certificate for `localhost`, client certificates of the first CA demanded.
pub(crate) fn server_tls(pki: &TestPki) -> ServerTls {
    ServerTls {
        common: TlsCommon {
            cert: Some(pem_file(
                "receivers.otlp.protocols.grpc.tls.cert_file",
                pki.path("server.crt"),
            )),
            key: Some(pem_file(
                "receivers.otlp.protocols.grpc.tls.key_file",
                pki.path("server.key"),
            )),
            ..TlsCommon::default()
        },
        client_ca: Some(pem_file(
            "receivers.otlp.protocols.grpc.tls.client_ca_file",
            pki.path("ca.crt"),
        )),
        ..ServerTls::default()
    }
}

/// An exporter's block that trusts the first CA and shows `client.crt`.
pub(crate) fn client_tls(pki: &TestPki) -> ClientTls {
    ClientTls {
        common: TlsCommon {
            ca: Some(pem_file("exporters.otlp_grpc.tls.ca_file", pki.path("ca.crt"))),
            cert: Some(pem_file("exporters.otlp_grpc.tls.cert_file", pki.path("client.crt"))),
            key: Some(pem_file("exporters.otlp_grpc.tls.key_file", pki.path("client.key"))),
            ..TlsCommon::default()
        },
        ..ClientTls::default()
    }
}

impl TestPki {
    /// Runs `openssl` in the folder. Words are split at spaces; files are named relative to it.
    pub(crate) fn openssl(&self, words: &str) {
        let run = Command::new("openssl")
            .current_dir(self.dir())
            .args(words.split_whitespace())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stderr);
        assert!(run.status.success(), "openssl {words}: {said}");
    }

    /// Makes `NAME.key` on P-256 and `NAME.csr` with `CN=NAME`.
    pub(crate) fn openssl_request(&self, name: &str) {
        self.openssl(&format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}.key -out \
             {name}.csr -subj /CN={name}"
        ));
    }

    /// Makes `CA.crt` and `CA.key` with `CN=CA`, as recipes do.
    pub(crate) fn openssl_ca(&self, ca: &str) {
        self.openssl(&format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {ca}.key -out \
             {ca}.crt -subj /CN={ca} -days 30"
        ));
    }

    /// Signs `NAME.csr` with extensions, one a line; none at all gives X.509 v1.
    pub(crate) fn openssl_sign(&self, name: &str, ca: &str, extensions: &str, more: &str) {
        let mut words = format!(
            "x509 -req -in {name}.csr -CA {ca}.crt -CAkey {ca}.key -CAcreateserial -days 30 -out \
             {name}.crt {more}"
        );
        if !extensions.is_empty() {
            self.write(&format!("{name}.ext"), extensions);
            words.push_str(&format!(" -extfile {name}.ext"));
        }
        self.openssl(&words);
    }
}

/// A client that shows whatever it is given and trusts everybody, for TLS 1.2 or 1.3.
pub(crate) fn raw_client(cert: &Path, key: &Path, tls13: bool) -> ClientConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let chain = CertificateDer::pem_file_iter(cert).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(key).unwrap();
    let signer = provider.key_provider.load_private_key(key).unwrap();
    let versions = if tls13 { [&rustls::version::TLS13] } else { [&rustls::version::TLS12] };
    let algorithms = provider.signature_verification_algorithms;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(crate::tls::verifier::NoVerifier(algorithms)))
        .with_client_cert_resolver(Arc::new(Always(Arc::new(CertifiedKey::new(chain, signer)))));
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesClientCert for Always {
    fn resolve(
        &self,
        _hints: &[&[u8]],
        _schemes: &[rustls::SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}
