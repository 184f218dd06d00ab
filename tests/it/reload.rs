//! Certificates change on disk while the gateway runs: real files, real handshakes.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::time::Duration;

use rcgen::CertificateParams;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::lifecycle::mtls;
use crate::support::agent::{self, span};
use crate::support::eventually::{DEADLINE, eventually};
use crate::support::gateway::RunningGateway;
use crate::support::pki::{Leaf, TestPki, client_params, server_params};
use crate::support::upstream::Upstream;

/// Shakes hands as a client with a certificate; trusts both CAs.
pub async fn connect(
    address: SocketAddr,
    pki: &TestPki,
    leaf: &Leaf,
    alpn: &[&[u8]],
) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(pki.ca.certificate.der().clone()).unwrap();
    roots.add(pki.other_ca.certificate.der().clone()).unwrap();
    let key = PrivateKeyDer::try_from(leaf.key.serialize_der()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![leaf.certificate.der().clone()], key)
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
}

/// The certificate that a fresh handshake is shown.
async fn shown(address: SocketAddr, pki: &TestPki) -> CertificateDer<'static> {
    let stream = connect(address, pki, &pki.client, &[]).await;
    stream.get_ref().1.peer_certificates().unwrap()[0].clone()
}

/// Waits until fresh handshakes on both ports are shown this certificate.
async fn until_shown(gateway: &RunningGateway, pki: &TestPki, leaf: &Leaf) {
    let deadline = Instant::now() + DEADLINE;
    for address in [gateway.grpc(), gateway.http()] {
        while shown(address, pki).await != *leaf.certificate.der() {
            assert!(Instant::now() < deadline, "{address} does not show the new certificate");
            sleep(Duration::from_millis(10)).await;
        }
    }
}

fn server_leaf(pki: &TestPki) -> Leaf {
    pki.ca.issue(server_params(&["localhost", "127.0.0.1"]))
}

/// Replaces a file as most tools do.
fn replace(pki: &TestPki, name: &str, content: &str) {
    let fresh = pki.write(&format!(".{name}.new"), content);
    fs::rename(fresh, pki.path(name)).unwrap();
}

async fn scene(pki: &TestPki, more: &str) -> (Upstream, RunningGateway) {
    let upstream = Upstream::mtls(pki).await;
    let gateway = RunningGateway::start(&format!("{}{more}", mtls(&upstream, pki))).await;
    (upstream, gateway)
}

const FAILING: &str = "portcullis_tls_reload_failing{block=\"receivers.otlp.protocols.grpc.tls\"}";

/// Scenario: the pair is replaced by rename, rewritten in place, removed and made again, and its
/// paths become links that are pointed elsewhere.
/// Guarantees: fresh handshakes on either port are shown each pair, and an open connection goes on.
#[tokio::test]
async fn every_way_of_writing_a_pair_is_taken_up_and_nobody_is_cut() {
    let pki = TestPki::new();
    let (_upstream, gateway) = scene(&pki, "").await;
    let mut client = agent::mtls(gateway.grpc(), &pki, Some(&pki.client)).await.unwrap();
    client.export(span("before")).await.unwrap();

    let leaf = server_leaf(&pki);
    replace(&pki, "server.crt", &leaf.cert_pem());
    replace(&pki, "server.key", &leaf.key_pem());
    until_shown(&gateway, &pki, &leaf).await;

    let leaf = server_leaf(&pki);
    pki.write_pair("server", &leaf);
    until_shown(&gateway, &pki, &leaf).await;

    let leaf = server_leaf(&pki);
    fs::remove_file(pki.path("server.crt")).unwrap();
    fs::remove_file(pki.path("server.key")).unwrap();
    pki.write_pair("server", &leaf);
    until_shown(&gateway, &pki, &leaf).await;

    for round in ["a", "b", "c"] {
        let leaf = server_leaf(&pki);
        let folder = pki.path(&format!("..{round}"));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("server.crt"), leaf.cert_pem()).unwrap();
        fs::write(folder.join("server.key"), leaf.key_pem()).unwrap();
        symlink(format!("..{round}"), pki.path("..data_tmp")).unwrap();
        fs::rename(pki.path("..data_tmp"), pki.path("..data")).unwrap();
        if round == "a" {
            for name in ["server.crt", "server.key"] {
                fs::remove_file(pki.path(name)).unwrap();
                symlink(format!("..data/{name}"), pki.path(name)).unwrap();
            }
        }
        until_shown(&gateway, &pki, &leaf).await;
    }
    client.export(span("after")).await.unwrap();
    gateway.stop().await;
}

/// Scenario: another key, without its certificate; then the certificate too.
/// Guarantees: the last good pair is shown meanwhile, the health check stays at 200 and says which
/// file, why, since when and what is in force until when; the mend ends the alarm by itself.
#[tokio::test]
async fn a_bad_set_keeps_the_last_good_one_and_says_so_until_it_is_mended() {
    let pki = TestPki::new();
    let upstream = Upstream::mtls(&pki).await;
    let health = "extensions: { health_check: { endpoint: '127.0.0.1:0' } }\n";
    let yaml =
        mtls(&upstream, &pki).replace("service:\n", "service:\n  extensions: [health_check]\n");
    let gateway = RunningGateway::start(&format!("{health}{yaml}")).await;
    let before = shown(gateway.grpc(), &pki).await;
    let leaf = server_leaf(&pki);
    replace(&pki, "server.key", &leaf.key_pem());
    eventually("the alarm", || gateway.metric(FAILING) > 0.5).await;
    assert_eq!(shown(gateway.grpc(), &pki).await, before);
    let text = get(gateway.health()).await;
    assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
    let body: serde_json::Value =
        serde_json::from_str(text.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    let blocks = body["certificatesNotReloaded"].as_array().unwrap();
    let block = &blocks[0];
    assert_eq!(block["block"], "receivers.otlp.protocols.grpc.tls");
    let file = pki.path("server.key").display().to_string();
    assert_eq!(block["problems"][0]["file"], file.as_str(), "{block}");
    assert!(block["serving"].as_str().unwrap().contains("CN=test-server"), "{block}");
    for key in ["since", "servingUntil"] {
        assert!(block[key].as_str().unwrap().ends_with('Z'), "{block}");
    }
    replace(&pki, "server.crt", &leaf.cert_pem());
    until_shown(&gateway, &pki, &leaf).await;
    eventually("the alarm ends", || gateway.metric(FAILING) < 0.5).await;
    assert!(!get(gateway.health()).await.contains("certificatesNotReloaded"));
    gateway.stop().await;
}

async fn get(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut text = String::new();
    timeout(DEADLINE, stream.read_to_string(&mut text)).await.unwrap().unwrap();
    text
}

/// Scenario: the client CA's file names another CA.
/// Guarantees: a client of the new one gets in, a fresh connection of the old one does not.
#[tokio::test]
async fn another_client_ca_decides_for_fresh_handshakes() {
    let pki = TestPki::new();
    let dir = pki.dir().display().to_string();
    let upstream = Upstream::mtls(&pki).await;
    pki.write("clients.crt", pki.ca.pem());
    let yaml = mtls(&upstream, &pki).replace(
        &format!("client_ca_file: {dir}/ca.crt"),
        &format!("client_ca_file: {dir}/clients.crt"),
    );
    let gateway = RunningGateway::start(&yaml).await;
    agent::mtls(gateway.grpc(), &pki, Some(&pki.client))
        .await
        .unwrap()
        .export(span("in"))
        .await
        .unwrap();
    replace(&pki, "clients.crt", &pki.other_ca.pem());
    let deadline = Instant::now() + DEADLINE;
    while !gets_in(&gateway, &pki, &pki.other_client).await {
        assert!(Instant::now() < deadline, "the new CA's client is refused");
    }
    assert!(!gets_in(&gateway, &pki, &pki.client).await);
    gateway.stop().await;
}

async fn gets_in(gateway: &RunningGateway, pki: &TestPki, leaf: &Leaf) -> bool {
    match agent::mtls(gateway.grpc(), pki, Some(leaf)).await {
        Ok(mut client) => client.export(span("in?")).await.is_ok(),
        Err(_) => false,
    }
}

/// Scenario: the same bytes are written again; then SIGHUP.
/// Guarantees: no new generation, however often.
#[tokio::test]
async fn the_same_bytes_make_no_new_generation() {
    let pki = TestPki::new();
    let (_upstream, gateway) = scene(&pki, "").await;
    let reloads = "portcullis_tls_reloads_total{block=\"receivers.otlp.protocols.grpc.tls\",result=\"success\"}";
    for _ in 0..3 {
        replace(&pki, "server.crt", &pki.server.cert_pem());
        gateway.ask_to_reload().await;
    }
    // A change of another file, once taken up, shows that the others were looked at.
    let leaf = pki.ca.issue(client_params("another"));
    pki.write_pair("client", &leaf);
    let upstream_block =
        "portcullis_tls_reloads_total{block=\"exporters.otlp_grpc.tls\",result=\"success\"}";
    eventually("the exporter's identity is new", || gateway.metric(upstream_block) > 0.5).await;
    assert!(gateway.metric(reloads) < 0.5);
    gateway.stop().await;
}

/// Scenario: a pair that is valid from a few seconds on.
/// Guarantees: it is refused first, and taken up by itself once it is valid.
#[tokio::test]
async fn a_pair_that_is_not_valid_yet_is_taken_up_when_it_is() {
    let pki = TestPki::new();
    let (_upstream, gateway) = scene(&pki, "").await;
    let mut params: CertificateParams = server_params(&["localhost"]);
    params.not_before = time::OffsetDateTime::now_utc() + Duration::from_secs(4);
    let leaf = pki.ca.issue(params);
    pki.write_pair("server", &leaf);
    eventually("the alarm", || gateway.metric(FAILING) > 0.5).await;
    until_shown(&gateway, &pki, &leaf).await;
    gateway.stop().await;
}

/// Scenario: the gateway's identity towards the backend is replaced by one of a CA it trusts too,
/// while two clients, one on each of two workers, send.
/// Guarantees: no request fails; once the new one is in force, the backend soon sees no other.
#[tokio::test]
async fn t37_a_new_upstream_identity_loses_no_request_and_is_the_only_one_shown() {
    let pki = TestPki::new();
    let upstream = Upstream::mtls(&pki).await;
    let yaml = format!("{}  workers: 2\n", mtls(&upstream, &pki));
    let gateway = RunningGateway::start(&yaml).await;
    let mut clients = Vec::new();
    for _ in 0..2 {
        clients.push(agent::mtls(gateway.grpc(), &pki, Some(&pki.client)).await.unwrap());
    }
    let block =
        "portcullis_tls_reloads_total{block=\"exporters.otlp_grpc.tls\",result=\"success\"}";
    for round in 1..=3 {
        let leaf = pki.ca.issue(client_params("gateway"));
        replace(&pki, "client.key", &leaf.key_pem());
        replace(&pki, "client.crt", &leaf.cert_pem());
        let deadline = Instant::now() + DEADLINE;
        let mut in_a_row = 0;
        while in_a_row < 5 {
            assert!(Instant::now() < deadline, "the old identity is still shown");
            let before = upstream.shown().len();
            for client in &mut clients {
                client.export(span("steady")).await.unwrap();
            }
            let shown = upstream.shown().split_off(before);
            let is_new = shown.iter().all(|shown| shown == leaf.certificate.der());
            in_a_row = if shown.len() == 2 && is_new { in_a_row + 1 } else { 0 };
        }
        assert!(gateway.metric(block) > f64::from(round) - 0.5);
        for _ in 0..20 {
            for client in &mut clients {
                client.export(span("after")).await.unwrap();
            }
        }
        let late = upstream.shown().split_off(upstream.shown().len() - 40);
        assert!(late.iter().all(|shown| shown == leaf.certificate.der()), "an old one came back");
    }
    gateway.stop().await;
}
