use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::*;
use crate::tls::store::Store;
use crate::tls::testing::{TestPki, client_tls, raw_client, server_tls};
use crate::tls::{Connector, client, server};

/// Scenario: a client with a certificate of the demanded CA connects and sends five bytes.
/// Guarantees: both sides agree on h2, the bytes arrive, the identity is the certificate's.
#[tokio::test]
async fn a_client_of_the_ca_is_let_in_with_its_identity() {
    let pki = TestPki::new();
    let (_store, snapshots) = Store::new(server::load(&server_tls(&pki)).unwrap().snapshot);
    let metrics = Metrics::default();
    let acceptor = Acceptor::new(Some(snapshots), &ServerLimits::default(), metrics.clone());
    let (_store, snapshots) =
        Store::new(client::load(&client_tls(&pki), &[b"h2"]).unwrap().snapshot);
    let connector = Connector::new(snapshots, "localhost".to_owned());
    let (near, far) = UnixStream::pair().unwrap();
    let deadline = Instant::now() + Duration::from_secs(5);
    let (accepted, connected) = tokio::join!(
        acceptor.accept(Stream::from(far), "test"),
        connector.connect(near, "localhost:4317", deadline)
    );
    let (mut accepted, mut connected) = (accepted.unwrap(), connected.unwrap());
    assert_eq!((accepted.alpn, connected.alpn), (Alpn::H2, Alpn::H2));
    let identity = accepted.identity.unwrap();
    assert_eq!(identity.subject, "CN=test-client");
    assert_eq!(identity.uris, ["spiffe://test.example/client"]);
    connected.io.write_all(b"hello").await.unwrap();
    connected.io.flush().await.unwrap();
    let mut bytes = [0; 5];
    accepted.io.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"hello");
    let of_ca =
        |count| format!("portcullis_tls_connections_by_issuer{{ca=\"CN=Test CA\"}} {count}\n");
    assert!(metrics.render().contains(&of_ca(1)), "{}", metrics.render());
    drop(accepted._of_ca);
    assert!(metrics.render().contains(&of_ca(0)));
}

/// Scenario: somebody shows a good certificate that was copied, without its key.
/// Guarantees: refused in both versions, and the certificate's owner is named.
#[tokio::test]
async fn a_certificate_without_its_key_is_refused_by_name() {
    let pki = TestPki::new();
    for tls13 in [false, true] {
        let (_store, snapshots) = Store::new(server::load(&server_tls(&pki)).unwrap().snapshot);
        let acceptor = Acceptor::new(Some(snapshots), &ServerLimits::default(), Metrics::default());
        let config = raw_client(&pki.path("client.crt"), &pki.path("other-client.key"), tls13);
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let (near, far) = UnixStream::pair().unwrap();
        let client = async {
            let mut stream = connector.connect("localhost".try_into().unwrap(), near).await?;
            stream.read(&mut [0]).await
        };
        let (accepted, _told) =
            tokio::join!(acceptor.accept(Stream::from(far), "10.0.0.7:1"), client);
        let refusal = accepted.unwrap_err();
        assert_eq!(refusal.reason, "client_cert_not_proven");
        assert!(refusal.message.contains("presented CN=test-client"), "{refusal}");
    }
}
