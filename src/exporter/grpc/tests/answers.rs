//! What upstreams say, and what senders are told.

use crate::exporter::testing::{Backend, Reply, batch, grpc, grpc_config, mtls};
use crate::outcome::Accepted;
use crate::signal::Signal;
use crate::tls::testing::{TestPki, client_tls};

/// Scenario: one batch of each signal over mTLS.
/// Guarantees: the upstream gets the very bytes on the right path with gRPC's headers.
#[tokio::test]
async fn a_batch_arrives_as_it_is_over_mtls() {
    let pki = TestPki::new();
    let backend = Backend::start(Some(mtls(&pki)), |_, _| Reply::ok()).await;
    let exporter = grpc(grpc_config(backend.address, Some(client_tls(&pki))));
    for signal in Signal::ALL {
        let outcome = exporter.export(&batch(signal, b"any bytes")).await;
        assert_eq!(outcome, Ok(Accepted::default()));
    }
    let seen = backend.seen();
    assert_eq!(seen.len(), 4);
    for (request, signal) in seen.iter().zip(Signal::ALL) {
        assert_eq!(request.uri.path(), signal.grpc_path());
        assert_eq!(request.uri.scheme_str(), Some("https"));
        assert_eq!(request.uri.authority().unwrap().as_str(), backend.address.to_string());
        assert_eq!(&request.body[..], b"\0\0\0\0\x09any bytes");
        assert_eq!(request.headers["te"], "trailers");
        assert_eq!(request.headers["content-type"], "application/grpc");
        assert!(request.headers["user-agent"].to_str().unwrap().starts_with("portcullis/"));
        assert!(request.headers["grpc-timeout"].to_str().unwrap().ends_with('m'));
        assert!(!request.headers.contains_key("grpc-encoding"));
    }
    assert_eq!(backend.connections(), 1);
}
