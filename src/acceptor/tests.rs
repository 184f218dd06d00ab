use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::*;
use crate::config::sections::{ClientAuth, ServerTls};
use crate::config::types::TlsVersion;
use crate::tls::client::UpstreamStream;
use crate::tls::store::Store;
use crate::tls::testing::{TestPki, client_tls, pem_file, raw_client, server_tls};
use crate::tls::{Connector, client, server};

/// A client with a certificate of the demanded CA shakes hands; what both sides have of it.
async fn good_client(
    pki: &TestPki,
    acceptor: &Acceptor,
    patience: Duration,
) -> (Result<Accepted, Refusal>, Alpn, UpstreamStream<UnixStream>) {
    let (_store, snapshots) =
        Store::new(client::load(&client_tls(pki), &[b"h2"]).unwrap().snapshot);
    let connector = Connector::new(snapshots, "localhost".to_owned());
    let (near, far) = UnixStream::pair().unwrap();
    let (accepted, connected) = tokio::join!(
        acceptor.accept(Stream::from(far), "good"),
        connector.connect(near, "localhost:4317", Instant::now() + patience)
    );
    let connected = connected.unwrap();
    (accepted, connected.alpn, connected.io)
}

/// Scenario: a client with a certificate of the demanded CA connects and sends five bytes.
/// Guarantees: both sides agree on h2, the bytes arrive, the identity is the certificate's, and only
/// its own gateway remembers the client.
#[tokio::test]
async fn a_client_of_the_ca_is_let_in_with_its_identity() {
    let pki = TestPki::new();
    let (_store, snapshots) = Store::new(server::load(&server_tls(&pki)).unwrap().snapshot);
    let metrics = Metrics::default();
    let (seen, of_another_gateway) = (Seen::default(), Seen::default());
    let limits = ServerLimits::default();
    let acceptor = Acceptor::noting(Some(snapshots), &limits, metrics.clone(), seen.clone());
    let (accepted, alpn, mut io) = good_client(&pki, &acceptor, Duration::from_secs(5)).await;
    let mut accepted = accepted.unwrap();
    assert_eq!((accepted.alpn, alpn), (Alpn::H2, Alpn::H2));
    let identity = accepted.identity.unwrap();
    assert_eq!(identity.subject, "CN=test-client");
    assert_eq!(identity.uris, ["spiffe://test.example/client"]);
    assert_eq!(seen.clients()[0].identity.subject, "CN=test-client");
    assert!(of_another_gateway.clients().is_empty());
    io.write_all(b"hello").await.unwrap();
    io.flush().await.unwrap();
    let mut bytes = [0; 5];
    accepted.io.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"hello");
    let of_ca =
        |count| format!("portcullis_tls_connections_by_issuer{{ca=\"CN=Test CA\"}} {count}\n");
    assert!(metrics.render().contains(&of_ca(1)), "{}", metrics.render());
    drop(accepted.standing);
    assert!(metrics.render().contains(&of_ca(0)));
}

/// Scenario: somebody shows a good certificate that was copied, without its key.
/// Guarantees: refused in both versions, and the certificate's owner is named.
#[tokio::test]
async fn a_certificate_without_its_key_is_refused_by_name() {
    let pki = TestPki::new();
    for tls13 in [false, true] {
        let (accepted, _metrics) = thief(&pki, ClientAuth::Require, tls13).await;
        let refusal = accepted.unwrap_err();
        assert_eq!(refusal.reason, "client_cert_not_proven");
        assert!(refusal.message.contains("presented CN=test-client"), "{refusal}");
    }
}

/// Scenario: the same with a certificate of X.509 v1, which the TLS library does not read, so that the
/// proof is verified here.
#[tokio::test]
async fn a_certificate_of_version_1_without_its_key_is_refused_by_name() {
    let pki = TestPki::new();
    pki.openssl_ca("my-ca");
    pki.openssl_request("v1");
    pki.openssl_sign("v1", "my-ca", "", "");
    for tls13 in [false, true] {
        let client_ca = Some(pem_file("tls.client_ca_file", pki.path("my-ca.crt")));
        let tls = ServerTls { client_ca, ..server_tls(&pki) };
        let (accepted, _metrics) = shows_without_key(&pki, tls, "v1.crt", tls13).await;
        let refusal = accepted.unwrap_err();
        assert_eq!(refusal.reason, "client_cert_not_proven", "1.3: {tls13}");
        assert!(refusal.message.contains("presented CN=v1"), "{refusal}");
    }
}

/// Guarantees: with `report_only` it is let in, as nobody, and reported for what it is.
#[tokio::test]
async fn a_certificate_without_its_key_is_nobodys_where_it_is_only_reported() {
    let pki = TestPki::new();
    for tls13 in [false, true] {
        let (accepted, metrics) = thief(&pki, ClientAuth::ReportOnly, tls13).await;
        let accepted = accepted.unwrap();
        assert!(accepted.identity.is_none() && accepted.standing.is_none());
        let counted = "result=\"reported\",reason=\"client_cert_not_proven\"} 1";
        assert!(metrics.render().contains(counted), "{}", metrics.render());
    }
}

/// Shows the certificate of the fixture's client with a key of another one.
async fn thief(
    pki: &TestPki,
    mode: ClientAuth,
    tls13: bool,
) -> (Result<Accepted, Refusal>, Metrics) {
    let tls = ServerTls { client_auth: mode, ..server_tls(pki) };
    shows_without_key(pki, tls, "client.crt", tls13).await
}

async fn shows_without_key(
    pki: &TestPki,
    tls: ServerTls,
    copied: &str,
    tls13: bool,
) -> (Result<Accepted, Refusal>, Metrics) {
    let (_store, snapshots) = Store::new(server::load(&tls).unwrap().snapshot);
    let metrics = Metrics::default();
    let acceptor = Acceptor::new(Some(snapshots), &ServerLimits::default(), metrics.clone());
    let config = raw_client(&pki.path(copied), &pki.path("other-client.key"), tls13);
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let (near, far) = UnixStream::pair().unwrap();
    let client = async {
        let mut stream = connector.connect("localhost".try_into().unwrap(), near).await?;
        // A refusal comes by itself; whoever is let in is not spoken to.
        let wait = if tls.client_auth == ClientAuth::Require { 5 } else { 0 };
        let told = tokio::time::timeout(Duration::from_secs(wait), stream.read(&mut [0])).await;
        told.unwrap_or(Ok(0))
    };
    let (accepted, _told) = tokio::join!(acceptor.accept(Stream::from(far), "10.0.0.7:1"), client);
    (accepted, metrics)
}

/// Scenario: of the four connections that a listener takes one, and then two, say nothing.
/// Guarantees: the one has all of `handshake_timeout`; of the two one is closed after a second, so
/// that those who say nothing cannot keep others out by their number.
#[tokio::test(start_paused = true)]
async fn a_crowd_that_says_nothing_is_closed_early() {
    let pki = TestPki::new();
    let (_store, snapshots) = Store::new(server::load(&server_tls(&pki)).unwrap().snapshot);
    let limits = ServerLimits { max_connections: 4, ..ServerLimits::default() };
    let acceptor = Acceptor::new(Some(snapshots), &limits, Metrics::default());
    let silent = async || {
        let (_near, far) = UnixStream::pair().unwrap();
        let start = Instant::now();
        let refusal = acceptor.accept(Stream::from(far), "10.0.0.7:1").await.unwrap_err();
        assert!(refusal.probe, "{refusal}");
        (refusal.reason, start.elapsed().as_secs())
    };
    assert_eq!(silent().await, ("handshake_timeout", 10));
    let (one, two) = tokio::join!(silent(), silent());
    let mut both = [one, two];
    both.sort_unstable();
    assert_eq!(both, [("handshake_crowded_out", 1), ("handshake_timeout", 10)]);
}

/// Who shakes hands with a listener: the fixture's client, one of another CA, one without a
/// certificate.
const CLIENTS: [Option<&str>; 3] = [Some("client"), Some("other-client"), None];

/// One handshake over one version of TLS: the subject that was proved, or the reason of a refusal.
async fn shaken(
    pki: &TestPki,
    mode: ClientAuth,
    client: Option<&str>,
    version: TlsVersion,
) -> (Result<Option<String>, &'static str>, Metrics) {
    let metrics = Metrics::default();
    let tls = ServerTls { client_auth: mode, ..server_tls(pki) };
    let (_store, snapshots) = Store::new(server::load(&tls).unwrap().snapshot);
    let acceptor = Acceptor::new(Some(snapshots), &ServerLimits::default(), metrics.clone());
    let mut tls = client_tls(pki);
    tls.common.max_version = Some(version);
    tls.common.min_version = Some(version);
    tls.common.cert = client.map(|name| pem_file("cert_file", pki.path(&format!("{name}.crt"))));
    tls.common.key = client.map(|name| pem_file("key_file", pki.path(&format!("{name}.key"))));
    let (_store, snapshots) = Store::new(client::load(&tls, &[b"h2"]).unwrap().snapshot);
    let connector = Connector::new(snapshots, "localhost".to_owned());
    let (near, far) = UnixStream::pair().unwrap();
    let deadline = Instant::now() + Duration::from_secs(5);
    let connect = async {
        // The refused hear it only when they read.
        let mut connected = connector.connect(near, "localhost:4317", deadline).await.ok()?;
        connected.io.write_all(b"x").await.ok()?;
        connected.io.flush().await.ok()?;
        connected.io.read_u8().await.ok()
    };
    let accept = async {
        let mut accepted = acceptor.accept(Stream::from(far), "192.0.2.7:1").await;
        if let Ok(accepted) = &mut accepted {
            assert_eq!(accepted.io.read_u8().await.unwrap(), b'x');
        }
        accepted
            .map(|accepted| accepted.identity.map(|identity| identity.subject.clone()))
            .map_err(|refusal| refusal.reason)
    };
    (tokio::join!(accept, connect).0, metrics)
}

/// Scenario: every mode of `client_auth` meets every kind of client over TLS 1.2 and 1.3.
/// Guarantees: only `report_only` lets a bad certificate in, only `require` refuses those without
/// one, and nobody has an identity whose certificate was not accepted.
#[tokio::test]
async fn each_mode_of_client_auth_lets_in_whom_it_says() {
    let proved = || Ok(Some("CN=test-client".to_owned()));
    let unknown = Err("client_cert_unknown_issuer");
    let cases = [
        (ClientAuth::Require, [proved(), unknown.clone(), Err("client_cert_missing")]),
        (ClientAuth::Optional, [proved(), unknown, Ok(None)]),
        (ClientAuth::ReportOnly, [proved(), Ok(None), Ok(None)]),
    ];
    let pki = TestPki::new();
    for version in [TlsVersion::V12, TlsVersion::V13] {
        for (mode, expected) in &cases {
            for (client, expected) in CLIENTS.into_iter().zip(expected) {
                let (outcome, _metrics) = shaken(&pki, *mode, client, version).await;
                assert_eq!(&outcome, expected, "{mode:?} {client:?} {version:?}");
            }
        }
    }
}

/// Guarantees: with `report_only` those who would be refused are counted, each with the reason that
/// `require` would give; others are not.
#[tokio::test]
async fn report_only_counts_who_would_be_refused_and_why() {
    let pki = TestPki::new();
    for (client, labels) in [
        (Some("client"), "{result=\"ok\",reason=\"\"}"),
        (Some("other-client"), "{result=\"reported\",reason=\"client_cert_unknown_issuer\"}"),
        (None, "{result=\"reported\",reason=\"client_cert_missing\"}"),
    ] {
        let (outcome, metrics) =
            shaken(&pki, ClientAuth::ReportOnly, client, TlsVersion::V13).await;
        assert!(outcome.is_ok());
        let text = metrics.render();
        let counted = text.lines().filter(|line| line.contains("handshakes_total{"));
        let counted: Vec<&str> = counted.collect();
        assert_eq!(counted.len(), 1, "{text}");
        assert!(counted[0].contains(labels) && counted[0].ends_with(" 1"), "{counted:?}");
    }
}

/// Scenario: one handshake at a time is allowed; two peers say nothing, two send the first bytes of
/// a ClientHello and stop.
/// Guarantees: they cost no permit, so a good client is let in at once; they are closed in time.
#[tokio::test(start_paused = true)]
async fn silent_peers_take_no_permit_from_others() {
    let pki = TestPki::new();
    let (_store, snapshots) = Store::new(server::load(&server_tls(&pki)).unwrap().snapshot);
    let limits = ServerLimits { max_handshakes: 1, ..ServerLimits::default() };
    let acceptor = Acceptor::new(Some(snapshots), &limits, Metrics::default());
    let start = Instant::now();
    let mut silent = Vec::new();
    for said in [&b""[..], b"", b"\x16", b"\x16\x03\x01\x02\x00\x01\x00"] {
        let (mut near, far) = UnixStream::pair().unwrap();
        near.write_all(said).await.unwrap();
        let acceptor = acceptor.clone();
        let task = tokio::spawn(async move { acceptor.accept(Stream::from(far), "silent").await });
        silent.push((near, task));
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
    let (accepted, _alpn, _io) = good_client(&pki, &acceptor, Duration::from_secs(5)).await;
    assert!(accepted.is_ok());
    assert!(start.elapsed() < Duration::from_secs(1), "took {:?}", start.elapsed());
    for (near, task) in silent {
        assert_eq!(task.await.unwrap().unwrap_err().reason, "handshake_timeout");
        drop(near);
    }
    assert!(start.elapsed() < Duration::from_secs(12), "took {:?}", start.elapsed());
}

/// Scenario: a peer sends its ClientHello and nothing more, where one handshake is allowed.
/// Guarantees: the cap holds. The next waits until the first has had its share of time, and no
/// longer.
#[tokio::test(start_paused = true)]
async fn handshakes_under_way_are_capped() {
    let pki = TestPki::new();
    let (_store, snapshots) = Store::new(server::load(&server_tls(&pki)).unwrap().snapshot);
    let limits = ServerLimits { max_handshakes: 1, ..ServerLimits::default() };
    let acceptor = Acceptor::new(Some(snapshots), &limits, Metrics::default());
    let config = Arc::new(raw_client(&pki.path("client.crt"), &pki.path("client.key"), true));
    let name = "localhost".try_into().unwrap();
    let mut session = rustls::ClientConnection::new(config, name).unwrap();
    let mut hello = Vec::new();
    session.write_tls(&mut hello).unwrap();
    let start = Instant::now();
    let (mut stuck, far) = UnixStream::pair().unwrap();
    stuck.write_all(&hello).await.unwrap();
    let first = tokio::spawn({
        let acceptor = acceptor.clone();
        async move { acceptor.accept(Stream::from(far), "stuck").await }
    });
    tokio::time::sleep(Duration::from_millis(10)).await;
    let (accepted, _alpn, _io) = good_client(&pki, &acceptor, Duration::from_secs(30)).await;
    assert!(accepted.is_ok());
    let waited = start.elapsed();
    assert!(waited >= Duration::from_secs(1), "it did not wait: {waited:?}");
    assert!(waited < Duration::from_secs(2), "it waited for {waited:?}");
    assert_eq!(first.await.unwrap().unwrap_err().reason, "handshake_crowded_out");
}

/// Scenario: a client connects and is silent; trust in its CA is withdrawn; then it says hello.
/// Guarantees: it meets the trust that is in force by then.
#[tokio::test]
async fn a_client_that_was_silent_for_a_while_meets_what_is_in_force_then() {
    let pki = TestPki::new();
    let tls = server_tls(&pki);
    let (store, snapshots) = Store::new(server::load(&tls).unwrap().snapshot);
    let acceptor = Acceptor::new(Some(snapshots), &ServerLimits::default(), Metrics::default());
    let config = raw_client(&pki.path("client.crt"), &pki.path("client.key"), true);
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let (near, far) = UnixStream::pair().unwrap();
    let client = async {
        tokio::task::yield_now().await;
        pki.write("ca.crt", pki.other_ca.pem());
        store.publish(server::load(&tls).unwrap().snapshot);
        connector.connect("localhost".try_into().unwrap(), near).await.map(drop)
    };
    let (accepted, _told) = tokio::join!(acceptor.accept(Stream::from(far), "10.0.0.7:1"), client);
    assert_eq!(accepted.unwrap_err().reason, "client_cert_unknown_issuer");
}
