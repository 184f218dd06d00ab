//! The exporter over HTTP gets new certificates, good ones and ones that the upstream does not
//! take, while senders send.

use super::backend::{Backend, Reply, Terms, h2, http1, page, tls};
use super::log;
use super::stage::{Sending, Stage};
use crate::support::eventually::eventually;
use crate::support::pki::{TestPki, client_params};

fn exporter(backend: &Backend, pki: &TestPki) -> (&'static str, String) {
    let (name, dir) = (backend.name(), pki.dir().display());
    let keys =
        format!("ca_file: {dir}/ca.crt, cert_file: {dir}/client.crt, key_file: {dir}/client.key");
    ("otlp_http", format!("{{ endpoint: 'https://{name}', tls: {{ {keys} }} }}"))
}

/// Scenario: an identity that the upstream refuses, then a mended one, over HTTP/2 and HTTP/1.1,
/// with three senders at each, who need more connections than the pool keeps.
/// Guarantees: nobody is told of a failure: what was agreed before goes on, and it is said in the
/// log why the new identity is not in use. The mended one is taken up by itself, and the old
/// connections end.
#[tokio::test]
async fn while_the_upstream_refuses_the_new_identity_http_goes_on_with_the_old_one() {
    let pki = TestPki::new();
    let terms = |alpn| Terms { alpn, client_ca: Some(&pki.ca), ..Terms::default() };
    let new = tls(&pki.server, &terms(&[b"h2"]));
    let new = Backend::start(Some(new), h2(|_| Reply::success())).await;
    let old = tls(&pki.server, &terms(&[b"http/1.1"]));
    let answer = page("200 OK", "content-type: application/x-protobuf\r\n", "");
    let old = Backend::start(Some(old), http1(answer, true)).await;
    let stage = Stage::start(&[exporter(&new, &pki), exporter(&old, &pki)]).await;
    let mut senders = Vec::new();
    for which in [0, 1, 0, 1, 0, 1] {
        senders.push(Sending::start(stage.address(which)).await);
    }
    let first = pki.client.certificate.der().to_vec();
    pki.write_pair("client", &pki.other_client);
    for which in 0..2 {
        eventually("the new identity is refused, and that is said", || {
            log::of(stage.id(which)).iter().any(|line| {
                line["message"] == STUCK && line["reason"] == "upstream_rejected_our_certificate"
            })
        })
        .await;
    }
    for backend in [&new, &old] {
        let before = backend.seen.requests().len();
        eventually("requests still arrive", || backend.seen.requests().len() > before + 50).await;
        assert!(backend.seen.peers().iter().all(|peer| *peer == first));
    }
    let mended = pki.ca.issue(client_params("mended"));
    pki.write_pair("client", &mended);
    let mended = mended.certificate.der().to_vec();
    for backend in [&new, &old] {
        eventually("the mended identity is shown", || backend.seen.peers().contains(&mended)).await;
        let before = backend.seen.connections();
        eventually("the old connections are gone", || {
            // Each sender has one request under way at most.
            backend.seen.open() <= 4
        })
        .await;
        assert!(backend.seen.connections() - before < 50, "connections are kept");
    }
    for sender in senders {
        sender.end().await;
    }
    for backend in [&new, &old] {
        let peers = backend.seen.peers();
        let last_old = peers.iter().rposition(|peer| *peer == first).unwrap();
        let first_new = peers.iter().position(|peer| *peer == mended).unwrap();
        assert!(last_old < first_new + 4, "the old identity is not used any more");
    }
    stage.end().await;
}

const STUCK: &str = "no connection with the new certificates; it is tried again by itself";
