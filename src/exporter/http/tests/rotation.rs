//! New certificates under load: new connections, and not one request lost.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::config::sections::Exporter as Section;
use crate::exporter::testing::load::Load;
use crate::exporter::testing::web::{Web, http_config, success};
use crate::exporter::testing::{
    ServerOptions, batch, blueprint, eventually, publish, server_config,
};
use crate::exporter::{Blueprint, Exporter};
use crate::signal::Signal;
use crate::tls::testing::{TestPki, client_params, client_tls};

async fn prepared(pki: &TestPki, alpn: &[u8]) -> (Web, Blueprint, Arc<Exporter>) {
    let options = ServerOptions {
        alpn: vec![alpn.to_vec()],
        client_ca: Some(pki.ca.pem()),
        ..ServerOptions::default()
    };
    let web = Web::start(Some(server_config(&pki.server, options)), |_, _| success()).await;
    let base = format!("https://localhost:{}", web.address.port());
    let blueprint = blueprint(Section::Http(Box::new(http_config(&base, client_tls(pki)))));
    let exporter = Arc::new(Exporter::new(&blueprint));
    exporter.connect();
    (web, blueprint, exporter)
}

/// Scenario: five new identities, one after the other, while four senders send.
/// Guarantees: no request fails, each identity is shown, and the old connections end.
#[tokio::test]
async fn a_new_identity_gets_new_connections_and_no_request_fails() {
    for alpn in [b"h2".as_slice(), b"http/1.1"] {
        let pki = TestPki::new();
        let (web, blueprint, exporter) = prepared(&pki, alpn).await;
        let load = Load::start(&exporter);
        for number in 1..=5 {
            let leaf = pki.ca.issue(client_params(&format!("client-{number}")));
            pki.write_pair("client", &leaf);
            publish(&blueprint);
            eventually("the new identity is shown", || {
                web.peers().last().is_some_and(|der| der[..] == leaf.certificate.der()[..])
            })
            .await;
        }
        eventually("the old connections are gone", || web.open() <= 4).await;
        let sent = load.stop().await;
        assert_eq!(sent, web.seen().len());
    }
}

/// Scenario: no batch comes when certificates change.
/// Guarantees: the old connection is let go all the same.
#[tokio::test]
async fn an_idle_connection_is_let_go() {
    let pki = TestPki::new();
    for alpn in [b"h2".as_slice(), b"http/1.1"] {
        let (web, blueprint, exporter) = prepared(&pki, alpn).await;
        exporter.export(&batch(Signal::Logs, b"x")).await.unwrap();
        assert_eq!(web.open(), 1);
        publish(&blueprint);
        eventually("the connection is gone", || web.open() == 0).await;
    }
}

/// Scenario: a certificate of ours with a few seconds left, and no newer one.
/// Guarantees: the idle connection does not outlive it, and afterwards it is said why there is none.
#[tokio::test]
async fn a_connection_does_not_outlive_the_certificate_that_it_carries() {
    let pki = TestPki::new();
    let mut params = client_params("short-lived");
    params.not_after = (SystemTime::now() + Duration::from_secs(5)).into();
    pki.write_pair("client", &pki.ca.issue(params));
    let (web, _blueprint, exporter) = prepared(&pki, b"http/1.1").await;
    exporter.export(&batch(Signal::Logs, b"x")).await.unwrap();
    assert_eq!(web.open(), 1);
    eventually("the connection is gone", || web.open() == 0).await;
    let failure = exporter.export(&batch(Signal::Logs, b"x")).await.unwrap_err();
    assert_eq!(failure.reason, "upstream_own_certificate_expired", "{}", failure.message);
}
