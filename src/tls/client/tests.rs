//! Upstreams that are not who they should be: nothing is sent to them, and the error says why.

use std::time::Duration;

use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use super::connector::Connected;
use super::*;
use crate::config::sections::RevocationScope;
use crate::tls::server;
use crate::tls::store::Store;
use crate::tls::testing::{Leaf, TestPki, client_tls, pem_file, server_params, server_tls};
use crate::tls::time::testing::Shift;

/// A server that counts the bytes that a client sends inside TLS.
async fn serve(config: Arc<ServerConfig>, stream: DuplexStream) -> usize {
    let Ok(mut stream) = TlsAcceptor::from(config).accept(stream).await else { return 0 };
    let mut bytes = Vec::new();
    let _ended = stream.read_to_end(&mut bytes).await;
    bytes.len()
}

/// A server with `NAME.crt`, which our own loader might not take.
fn shows(pki: &TestPki, name: &str) -> Arc<ServerConfig> {
    let chain = CertificateDer::pem_file_iter(pki.path(&format!("{name}.crt"))).unwrap();
    let key = PrivateKeyDer::from_pem_file(pki.path(&format!("{name}.key"))).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain.map(Result::unwrap).collect(), key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config)
}

async fn connect(pki: &TestPki, tls: Arc<ServerConfig>) -> (Result<(), UpstreamTlsError>, usize) {
    connect_as(&client_tls(pki), tls).await
}

async fn connect_as(
    client: &ClientTls,
    tls: Arc<ServerConfig>,
) -> (Result<(), UpstreamTlsError>, usize) {
    let (_store, snapshots) = Store::new(load(client, &[b"h2", b"http/1.1"]).unwrap().snapshot);
    let connector = Connector::new(snapshots, "localhost".to_owned());
    let (near, far) = duplex(64 << 10);
    let deadline = Instant::now() + Duration::from_secs(10);
    let client = async {
        let mut connected = connector.connect(near, "localhost:4317", deadline).await?;
        connected.io.write_all(b"telemetry").await.unwrap();
        connected.io.shutdown().await.unwrap();
        // Who goes away at once is not there to take what the server still has to say.
        let _ended = connected.io.read_to_end(&mut Vec::new()).await;
        Ok::<(), UpstreamTlsError>(())
    };
    tokio::join!(client, serve(tls, far))
}

fn leaf(pki: &TestPki, name: &str, change: impl FnOnce(&mut rcgen::CertificateParams)) -> Leaf {
    let mut params = server_params(&[name]);
    change(&mut params);
    pki.ca.issue(params)
}

#[tokio::test]
async fn a_sound_upstream_gets_what_is_sent() {
    let pki = TestPki::new();
    let (outcome, received) = connect(&pki, shows(&pki, "server")).await;
    assert_eq!((outcome, received), (Ok(()), 9));
}

/// Threat 36: somebody between us and the upstream, with a certificate of another name, another CA,
/// another purpose.
#[tokio::test]
async fn t36_nothing_is_sent_to_an_upstream_that_cannot_prove_its_name() {
    let pki = TestPki::new();
    pki.write_pair("wrong-name", &leaf(&pki, "otel.svc", |_params| {}));
    pki.write_pair(
        "wrong-usage",
        &leaf(&pki, "localhost", |params| {
            params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        }),
    );
    pki.write_pair("nameless", &leaf(&pki, "localhost", |params| params.subject_alt_names.clear()));
    for (name, reason, why, help) in [
        (
            "wrong-name",
            "upstream_name_mismatch",
            "wanted localhost, but the certificate is for DNS:otel.svc",
            "set `tls.server_name_override: otel.svc` if that is the upstream you mean",
        ),
        (
            "nameless",
            "upstream_name_mismatch",
            "the certificate has no subjectAltName (its CN test-server does not count)",
            "subjectAltName=DNS:localhost",
        ),
        (
            "other-server",
            "upstream_unknown_issuer",
            "its issuer CN=Other CA is not in ",
            "add that issuer there",
        ),
        (
            "wrong-usage",
            "upstream_cert_eku",
            "it allows clientAuth and not serverAuth",
            "re-issue it with extendedKeyUsage serverAuth",
        ),
    ] {
        let (outcome, received) = connect(&pki, shows(&pki, name)).await;
        let error = outcome.unwrap_err();
        assert_eq!((error.reason(), received), (reason, 0), "{error}");
        let text = error.to_string();
        assert!(text.starts_with("TLS to localhost:4317: the upstream presented CN="), "{text}");
        assert!(text.contains(why) && text.contains(help), "{text}");
    }
}

/// Scenario: the clock is set a day ahead while an upstream is connected whose certificate ends in an
/// hour.
/// Guarantees: it is judged by the same clock as a handshake.
#[tokio::test]
async fn t46_a_connected_upstream_is_judged_by_the_clock_that_was_set() {
    let pki = TestPki::new();
    let hour = ::time::OffsetDateTime::now_utc() + Duration::from_secs(3600);
    pki.write_pair("short", &leaf(&pki, "localhost", |params| params.not_after = hour));
    let (_store, snapshots) = Store::new(load(&client_tls(&pki), &[b"h2"]).unwrap().snapshot);
    let connector = Connector::new(snapshots.clone(), "localhost".to_owned());
    let (near, far) = duplex(64 << 10);
    let deadline = Instant::now() + Duration::from_secs(10);
    let (connected, _upstream) = tokio::join!(
        connector.connect(near, "localhost:4317", deadline),
        TlsAcceptor::from(shows(&pki, "short")).accept(far)
    );
    let standing = connected.unwrap().standing;
    assert_eq!(standing.refused_by(&snapshots.current()), None);
    let _ahead = Shift::by(86400);
    let refused = standing.refused_by(&snapshots.current()).unwrap();
    assert_eq!(refused.reason(), "upstream_expired");
}

/// Scenario: an upstream refuses our certificate after our handshake and closes; we learn of it in the
/// middle of a write.
/// Guarantees: its alert, which came before, is the reason that is told.
#[tokio::test]
async fn a_refusal_that_breaks_a_write_is_still_heard() {
    let pki = TestPki::new();
    let (_store, snapshots) = Store::new(load(&client_tls(&pki), &[b"h2"]).unwrap().snapshot);
    let connector = Connector::new(snapshots, "localhost".to_owned());
    let (near, far) = duplex(64 << 10);
    let deadline = Instant::now() + Duration::from_secs(10);
    let (connected, refused) = tokio::join!(
        connector.connect(near, "localhost:4317", deadline),
        TlsAcceptor::from(refuses_ours(&pki)).accept(far)
    );
    assert!(refused.is_err());
    drop(refused);
    assert_hears_the_alert(connected.unwrap()).await;
}

/// Scenario: the same over TCP, where the upstream has not read all that we sent, so that its end
/// resets the connection; and the event loop has not been told of the alert when we write again.
/// Guarantees: the alert is the reason, every time.
#[tokio::test]
async fn a_refusal_before_a_reset_is_heard_although_the_write_fails_first() {
    let pki = TestPki::new();
    let strict = refuses_ours(&pki);
    for _again in 0..20 {
        let (_store, snapshots) = Store::new(load(&client_tls(&pki), &[b"h2"]).unwrap().snapshot);
        let connector = Connector::new(snapshots, "localhost".to_owned());
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (go_on, wait) = std::sync::mpsc::channel();
        let strict = Arc::clone(&strict);
        let upstream = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut session = rustls::ServerConnection::new(strict).unwrap();
            session.complete_io(&mut socket).unwrap_err();
            // Until something is there that it will not read.
            wait.recv().unwrap();
        });
        let socket = tokio::net::TcpStream::connect(address).await.unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut connected = connector.connect(socket, "localhost:4317", deadline).await.unwrap();
        connected.io.write_all(b"before").await.unwrap();
        connected.io.flush().await.unwrap();
        go_on.send(()).unwrap();
        // Blocks the event loop on purpose.
        upstream.join().unwrap();
        assert_hears_the_alert(connected).await;
    }
}

/// A server that trusts no CA of ours.
fn refuses_ours(pki: &TestPki) -> Arc<ServerConfig> {
    let mut tls = server_tls(pki);
    tls.client_ca = Some(pem_file("tls.client_ca_file", pki.path("other-ca.crt")));
    Arc::clone(&server::load(&tls).unwrap().snapshot.config)
}

async fn assert_hears_the_alert<S: AsyncRead + AsyncWrite + Unpin>(mut connected: Connected<S>) {
    connected.io.write_all(b"telemetry").await.unwrap();
    connected.io.flush().await.unwrap();
    connected.io.read_u8().await.unwrap_err();
    let told = connected.diagnosis.get().unwrap();
    assert_eq!(told.reason(), "upstream_rejected_our_certificate");
    assert!(told.to_string().contains("(alert unknown_ca): it refused our certificate"), "{told}");
}

/// Scenario: lists of the upstream's CA that name it, that are out of date, that are of another CA,
/// and one that says nothing about it.
/// Guarantees: all but the last refuse it before a byte is sent, each with its own reason.
#[tokio::test]
async fn nothing_is_sent_to_an_upstream_that_may_have_been_revoked() {
    let pki = TestPki::new();
    let leaf = leaf(&pki, "localhost", |params| {
        params.serial_number = Some(rcgen::SerialNumber::from(4711_u64));
    });
    pki.write_pair("listed", &leaf);
    let day = ::time::Duration::days(1);
    for (list, reason) in [
        (pki.ca.list(1, &[4711], day), Some("upstream_cert_revoked")),
        (pki.ca.list(1, &[4711], -day), Some("upstream_cert_revoked")),
        (pki.ca.list(1, &[], -day), Some("upstream_crl_expired")),
        (pki.other_ca.list(1, &[], day), Some("upstream_cert_revocation_unknown")),
        (pki.ca.list(1, &[4712], day), None),
    ] {
        let mut client = client_tls(&pki);
        client.crl = vec![pem_file("tls.crl_file", pki.write("upstream.crl", list))];
        client.revocation.scope = RevocationScope::Leaf;
        let (outcome, received) = connect_as(&client, shows(&pki, "listed")).await;
        assert_eq!(outcome.as_ref().err().map(UpstreamTlsError::reason), reason, "{outcome:?}");
        assert_eq!(received, if reason.is_some() { 0 } else { 9 });
        assert!(outcome.err().is_none_or(|error| error.is_distrust()));
    }
}

#[tokio::test]
async fn an_upstream_that_speaks_no_tls_is_named() {
    let pki = TestPki::new();
    let (_store, snapshots) = Store::new(load(&client_tls(&pki), &[b"h2"]).unwrap().snapshot);
    let connector = Connector::new(snapshots, "localhost".to_owned());
    let (near, mut far) = duplex(64 << 10);
    let answering = async {
        far.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        far
    };
    let deadline = Instant::now() + Duration::from_secs(10);
    let (outcome, _far) =
        tokio::join!(connector.connect(near, "localhost:80", deadline), answering);
    let error = outcome.unwrap_err();
    assert!(error.to_string().contains("HTTP/1.1 400 Bad Request"), "{error}");
}

/// Scenario: an upstream has answered, and its connection is cut. Guarantees: that is told in words for
/// operators.
#[tokio::test]
async fn a_connection_that_is_cut_is_told_in_plain_words() {
    let pki = TestPki::new();
    let (_store, snapshots) = Store::new(load(&client_tls(&pki), &[b"h2"]).unwrap().snapshot);
    let connector = Connector::new(snapshots, "localhost".to_owned());
    let (near, far) = duplex(64 << 10);
    let deadline = Instant::now() + Duration::from_secs(10);
    let cutting = async {
        let mut stream = TlsAcceptor::from(shows(&pki, "server")).accept(far).await.unwrap();
        stream.write_all(b"HTTP").await.unwrap();
        stream.flush().await.unwrap();
    };
    let (connected, ()) =
        tokio::join!(connector.connect(near, "localhost:4317", deadline), cutting);
    let mut io = connected.unwrap().io;
    let error = io.read_to_end(&mut Vec::new()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
    assert!(
        error.to_string().starts_with("the connection ended without a goodbye of TLS"),
        "{error}"
    );
}

/// Guarantees: what no program at hand does has its words, too.
#[test]
fn failures_without_a_known_trigger_are_told() {
    use std::io::{Error as IoError, ErrorKind};

    use rustls::{AlertDescription, Error, PeerIncompatible};

    let attempt = explain::Attempt::new("10.0.0.7:4317", "otel", None);
    let tls = |error| IoError::new(ErrorKind::InvalidData, error);
    for (error, reason, part) in [
        (
            IoError::from(ErrorKind::HostUnreachable),
            "upstream_unreachable",
            "the connection was lost during the handshake: host unreachable; check routes",
        ),
        (
            tls(Error::PeerIncompatible(
                PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon,
            )),
            "upstream_no_common_signature",
            "demands a client certificate, and accepts no signature of TLS 1.3",
        ),
        (
            tls(Error::AlertReceived(AlertDescription::AccessDenied)),
            "upstream_alert",
            "the upstream denied access (alert access_denied); its log knows why",
        ),
    ] {
        let told = attempt.failed(&error, None, &[0x16]);
        assert_eq!(told.reason(), reason, "{told}");
        let text = told.to_string();
        assert!(text.starts_with("TLS to 10.0.0.7:4317: ") && text.contains(part), "{text}");
    }
}

/// Scenario: two connections to one upstream that offers sessions.
/// Guarantees: the second is a full handshake, in which certificates are verified.
#[tokio::test]
async fn no_session_with_an_upstream_is_resumed() {
    let pki = TestPki::new();
    let upstream = shows(&pki, "server");
    let (_store, snapshots) = Store::new(load(&client_tls(&pki), &[b"h2"]).unwrap().snapshot);
    let connector = Connector::new(snapshots, "localhost".to_owned());
    for _connection in 0..2 {
        let (near, far) = duplex(64 << 10);
        let deadline = Instant::now() + Duration::from_secs(10);
        let (connected, accepted) = tokio::join!(
            connector.connect(near, "localhost:4317", deadline),
            TlsAcceptor::from(Arc::clone(&upstream)).accept(far)
        );
        let (mut connected, mut accepted) = (connected.unwrap(), accepted.unwrap());
        let kind = accepted.get_ref().1.handshake_kind();
        assert_ne!(kind, Some(rustls::HandshakeKind::Resumed));
        // Whoever reads something has read what came before it: the sessions that are offered.
        accepted.write_all(b"x").await.unwrap();
        accepted.flush().await.unwrap();
        connected.io.read_u8().await.unwrap();
    }
}
