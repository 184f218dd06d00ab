//! Certificates and `tls` blocks for unit tests of this crate.

#[path = "../../tests/it/support/pki.rs"]
mod pki;

use std::path::Path;
use std::sync::Arc;

use crate::config::sections::{ClientTls, ServerTls, TlsCommon};
use crate::config::types::{Pem, PemSource, Redacted};

pub(crate) use pki::{Ca, Leaf, TestPki, client_params, server_params};

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
