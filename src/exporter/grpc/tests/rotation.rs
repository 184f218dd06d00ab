//! New certificates under load: new connections, and not one request lost.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tonic::Code;

use crate::config::sections::Exporter as Section;
use crate::exporter::testing::load::Load;
use crate::exporter::testing::web::http_config;
use crate::exporter::testing::{
    Backend, Reply, Seen, ServerOptions, batch, blueprint, eventually, grpc_config, mtls, publish,
    server_config,
};
use crate::exporter::{Blueprint, Exporter};
use crate::signal::Signal;
use crate::tls::testing::{TestPki, client_params, client_tls, pem_file, server_params};

fn prepared(backend: &Backend, pki: &TestPki) -> (Blueprint, Arc<Exporter>) {
    let mut config = grpc_config(backend.address, Some(client_tls(pki)));
    config.timeout = Duration::from_secs(60);
    let blueprint = blueprint(Section::Grpc(Box::new(config)));
    let exporter = Arc::new(Exporter::new(&blueprint));
    exporter.connect();
    (blueprint, exporter)
}

/// Scenario: ten new identities, one after the other, while four senders send.
/// Guarantees: no request fails, each identity is shown, and only the last connection stays.
#[tokio::test]
async fn a_new_identity_gets_a_new_connection_and_no_request_fails() {
    let pki = TestPki::new();
    let backend = Backend::start(Some(mtls(&pki)), |_, _| Reply::ok()).await;
    let (blueprint, exporter) = prepared(&backend, &pki);
    let load = Load::start(&exporter);
    for number in 1..=10 {
        let leaf = pki.ca.issue(client_params(&format!("client-{number}")));
        pki.write_pair("client", &leaf);
        publish(&blueprint);
        eventually("the new identity is shown", || {
            backend.peers().last().is_some_and(|der| der[..] == leaf.certificate.der()[..])
        })
        .await;
    }
    eventually("the old connections are gone", || backend.open() == 1).await;
    let sent = load.stop().await;
    assert_eq!(sent, backend.seen().len());
    assert!(sent > 40);
}

/// Scenario: no batch comes when certificates change.
/// Guarantees: the connection is replaced all the same.
#[tokio::test]
async fn an_idle_connection_is_replaced_too() {
    let pki = TestPki::new();
    let backend = Backend::start(Some(mtls(&pki)), |_, _| Reply::ok()).await;
    let (blueprint, _exporter) = prepared(&backend, &pki);
    eventually("it is connected", || backend.peers().len() == 1).await;
    publish(&blueprint);
    eventually("the new connection is up", || backend.peers().len() == 2).await;
    eventually("the old one is gone", || backend.open() == 1).await;
}

/// Scenario: the upstream is re-keyed to another CA while our bundle has both, then ours drops the
/// old one.
/// Guarantees: no request fails.
#[tokio::test]
async fn an_upstream_moves_to_another_ca_while_we_trust_both() {
    let pki = TestPki::new();
    pki.write("ca.crt", pki.ca.pem() + &pki.other_ca.pem());
    let backend = Backend::start(Some(mtls(&pki)), |_, _| Reply::ok()).await;
    let (blueprint, exporter) = prepared(&backend, &pki);
    let load = Load::start(&exporter);
    eventually("it is connected", || backend.peers().len() == 1).await;
    backend.rekey(server_config(
        &pki.other_server,
        ServerOptions {
            alpn: vec![b"h2".to_vec()],
            client_ca: Some(pki.ca.pem()),
            ..ServerOptions::default()
        },
    ));
    publish(&blueprint);
    eventually("a connection under the new CA is up", || backend.peers().len() == 2).await;
    pki.write("ca.crt", pki.other_ca.pem());
    publish(&blueprint);
    eventually("another one with the old CA gone", || backend.peers().len() == 3).await;
    eventually("the old ones are gone", || backend.open() == 1).await;
    load.stop().await;
}

/// Scenario: the new identity is one that the upstream does not take.
/// Guarantees: the old connection goes on serving, and nobody is told of a failure.
#[tokio::test]
async fn while_the_upstream_refuses_the_new_identity_the_old_connection_serves() {
    let pki = TestPki::new();
    let backend = Backend::start(Some(mtls(&pki)), |_, _| Reply::ok()).await;
    let (blueprint, exporter) = prepared(&backend, &pki);
    let load = Load::start(&exporter);
    eventually("it is connected", || backend.peers().len() == 1).await;
    pki.write_pair("client", &pki.other_client);
    publish(&blueprint);
    eventually("the new one was tried", || backend.connections() >= 3).await;
    let seen = backend.seen().len();
    eventually("requests still arrive", || backend.seen().len() > seen + 10).await;
    assert_eq!(backend.peers().len(), 1);
    let mended = pki.ca.issue(client_params("mended"));
    pki.write_pair("client", &mended);
    publish(&blueprint);
    eventually("the mended one is taken", || backend.peers().len() == 2).await;
    load.stop().await;
}

/// Scenario: the CA of the upstream is taken out of our bundle.
/// Guarantees: nothing more is sent over the connection that was made under it.
#[tokio::test]
async fn trust_that_is_withdrawn_ends_the_connection_made_under_it() {
    let pki = TestPki::new();
    let backend = Backend::start(Some(mtls(&pki)), |_, _| Reply::ok()).await;
    let (blueprint, exporter) = prepared(&backend, &pki);
    exporter.export(&batch(Signal::Traces, b"x")).await.unwrap();
    pki.write("ca.crt", pki.other_ca.pem());
    publish(&blueprint);
    eventually("the connection is gone", || backend.open() == 0).await;
    let failure = exporter.export(&batch(Signal::Traces, b"x")).await.unwrap_err();
    assert_eq!((failure.code, failure.reason), (Code::Unavailable, "upstream_unknown_issuer"));
    assert_eq!(backend.seen().len(), 1);
}

/// Scenario: a certificate of ours with a few seconds left, an upstream that never answers, and no
/// newer certificate.
/// Guarantees: the connection does not outlive the certificate, and afterwards it is said why there
/// is none.
#[tokio::test]
async fn a_connection_does_not_outlive_the_certificate_that_it_carries() {
    let pki = TestPki::new();
    let backend = Backend::start(Some(mtls(&pki)), |_, _| Reply::Hang).await;
    let mut params = client_params("short-lived");
    params.not_after = (SystemTime::now() + Duration::from_secs(5)).into();
    pki.write_pair("client", &pki.ca.issue(params));
    let (_blueprint, exporter) = prepared(&backend, &pki);
    let failure = exporter.export(&batch(Signal::Traces, b"x")).await.unwrap_err();
    assert_eq!((failure.code, failure.reason), (Code::Unavailable, "upstream_disconnected"));
    assert!(
        failure.message.ends_with(
            "the certificate that we showed on it is about to end, so the connection was closed"
        ),
        "{}",
        failure.message
    );
    eventually("the connection is gone", || backend.open() == 0).await;
    let failure = exporter.export(&batch(Signal::Traces, b"x")).await.unwrap_err();
    assert_eq!(failure.reason, "upstream_own_certificate_expired", "{}", failure.message);
    assert!(failure.message.contains("our certificate CN=short-lived"), "{}", failure.message);
    assert!(failure.message.ends_with("; renew it; it is read by itself"), "{}", failure.message);
}

/// Scenario: a list is published that names the upstream's certificate, and the upstream, which
/// knows why, answers no new handshake.
/// Guarantees: the connections made before end all the same, without being asked, over gRPC and
/// over HTTP.
#[tokio::test]
async fn a_revoked_upstream_cannot_stay_by_keeping_silent() {
    let pki = TestPki::new();
    let mut params = server_params(&["localhost", "127.0.0.1"]);
    params.serial_number = Some(rcgen::SerialNumber::from(4711_u64));
    let leaf = pki.ca.issue(params);
    let day = time::Duration::days(1);
    let list = pki.write("upstream.crl", pki.ca.list(1, &[], day));
    let mut client = client_tls(&pki);
    client.crl = vec![pem_file("tls.crl_file", list)];
    let alpn =
        |name: &[u8]| ServerOptions { alpn: vec![name.to_vec()], ..ServerOptions::default() };
    let success = |_: usize, _: &Seen| {
        let mut head = Reply::head();
        head.headers_mut().insert("grpc-status", "0".parse().unwrap());
        Reply::Full(head, Bytes::new(), None)
    };
    for over_http in [false, true] {
        pki.write("upstream.crl", pki.ca.list(1, &[], day));
        let backend = Backend::start(Some(server_config(&leaf, alpn(b"h2"))), success).await;
        let section = if over_http {
            let base = format!("https://localhost:{}", backend.address.port());
            Section::Http(Box::new(http_config(&base, client.clone())))
        } else {
            Section::Grpc(Box::new(grpc_config(backend.address, Some(client.clone()))))
        };
        let blueprint = blueprint(section);
        let exporter = Exporter::new(&blueprint);
        exporter.connect();
        exporter.export(&batch(Signal::Traces, b"x")).await.unwrap();
        assert_eq!(backend.open(), 1);
        // It refuses before it shows a certificate.
        backend.rekey(server_config(&leaf, alpn(b"nothing-known")));
        pki.write("upstream.crl", pki.ca.list(2, &[4711], day));
        publish(&blueprint);
        eventually("the connection is gone", || backend.open() == 0).await;
        assert!(exporter.export(&batch(Signal::Traces, b"x")).await.is_err());
        assert_eq!(backend.seen().len(), 1);
    }
}
