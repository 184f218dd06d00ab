//! Upstreams with which TLS does not come about, or is not wanted.

use rcgen::date_time_ymd;
use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::backend::{Backend, Reply, Terms, h2, http1, page, tls};
use super::stage::{Expected, Stage, over_tls};
use crate::support::pki::{Leaf, TestPki, server_params};

/// An exporter of each kind to a backend, with the first client certificate.
fn both(backend: &Backend, pki: &TestPki) -> [(&'static str, String); 2] {
    let dir = pki.dir().display();
    with(
        backend,
        &format!("ca_file: {dir}/ca.crt, cert_file: {dir}/client.crt, key_file: {dir}/client.key"),
    )
}

fn with(backend: &Backend, tls: &str) -> [(&'static str, String); 2] {
    over_tls(backend.name(), backend.name(), tls)
}

/// Scenario: the upstream demands certificates of another CA, with TLS 1.2, and with TLS 1.3, where
/// it says so only after our handshake.
/// Guarantees: our certificate, its issuer and its file are named, and what to do; nothing is sent.
#[tokio::test]
async fn an_upstream_that_refuses_our_certificate_is_quoted() {
    let pki = TestPki::new();
    let mut backends = Vec::new();
    for versions in [ONLY_12, ONLY_13] {
        for alpn in [[b"h2".as_slice()].as_slice(), &[b"http/1.1"]] {
            let terms = Terms { versions, alpn, client_ca: Some(&pki.other_ca) };
            let config = tls(&pki.server, &terms);
            backends.push(Backend::start(Some(config), h2(|_| Reply::ok())).await);
        }
    }
    let [grpc12, http12] = both(&backends[0], &pki);
    let [grpc13, http13] = both(&backends[2], &pki);
    let [_, http12_old] = both(&backends[1], &pki);
    let [_, http13_old] = both(&backends[3], &pki);
    let mut stage = Stage::start(&[grpc12, http12, grpc13, http13, http12_old, http13_old]).await;
    for which in 0..6 {
        let file = pki.path("client.crt").display().to_string();
        let says = [
            "TLS to ",
            "refused our certificate CN=test-client (issuer CN=Test CA, serial ",
            &file,
            "; the upstream must trust our issuer CN=Test CA (its client CA)",
        ];
        stage
            .expect(which, &Expected::unavailable("upstream_rejected_our_certificate", &says))
            .await;
    }
    stage.end().await;
    assert!(backends.iter().all(|backend| backend.seen.requests().is_empty()));
}

/// Scenario: the upstream demands a certificate, and none is configured.
/// Guarantees: that is said, with the keys to set.
#[tokio::test]
async fn an_upstream_that_demands_a_certificate_is_understood() {
    let pki = TestPki::new();
    let terms = Terms { client_ca: Some(&pki.ca), ..Terms::default() };
    let backend = Backend::start(Some(tls(&pki.server, &terms)), h2(|_| Reply::ok())).await;
    let ca = format!("ca_file: {}", pki.path("ca.crt").display());
    let mut stage = Stage::start(&with(&backend, &ca)).await;
    for which in 0..2 {
        let says = [
            "it demands a client certificate, and none is configured; ",
            "set `tls.cert_file` and `tls.key_file` of the exporter",
        ];
        stage.expect(which, &Expected::unavailable("upstream_demands_certificate", &says)).await;
    }
    stage.end().await;
}

const ONLY_12: &[&SupportedProtocolVersion] = &[&TLS12];
const ONLY_13: &[&SupportedProtocolVersion] = &[&TLS13];

async fn presented(leaf: &Leaf, pki: &TestPki, reason: &str, says: &[&str]) {
    let backend = Backend::start(Some(tls(leaf, &Terms::default())), h2(|_| Reply::ok())).await;
    let mut stage = Stage::start(&both(&backend, pki)).await;
    for which in 0..2 {
        stage.expect(which, &Expected::unavailable(reason, says)).await;
    }
    stage.end().await;
    assert!(backend.seen.requests().is_empty(), "nothing is sent");
}

/// Scenario: the upstream's certificate is for another name.
/// Guarantees: wanted and presented names are told, and the keys that mend it; nothing is sent.
#[tokio::test]
async fn an_upstream_with_another_name_is_refused() {
    let pki = TestPki::new();
    let leaf = pki.ca.issue(server_params(&["otel.elsewhere.example"]));
    let says = [
        "the upstream presented CN=test-server (issuer CN=Test CA, serial ",
        "wanted localhost, but the certificate is for DNS:otel.elsewhere.example; ",
        "set `tls.server_name_override: otel.elsewhere.example` if that is the upstream you mean",
    ];
    presented(&leaf, &pki, "upstream_name_mismatch", &says).await;
}

/// Scenario: the upstream's certificate is of a CA that `ca_file` does not hold.
/// Guarantees: issuer and file are named; nothing is sent.
#[tokio::test]
async fn an_upstream_of_another_ca_is_refused() {
    let pki = TestPki::new();
    let file = pki.path("ca.crt").display().to_string();
    let says = [
        "the upstream presented CN=test-server (issuer CN=Other CA, serial ",
        "its issuer CN=Other CA is not in ",
        &file,
        "; ",
        "add that issuer there",
    ];
    presented(&pki.other_server, &pki, "upstream_unknown_issuer", &says).await;
}

/// Scenario: the upstream's certificate has ended.
/// Guarantees: it is told when; nothing is sent.
#[tokio::test]
async fn an_upstream_whose_certificate_has_ended_is_refused() {
    let pki = TestPki::new();
    let mut params = server_params(&["localhost"]);
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
    let leaf = pki.ca.issue(params);
    let says = ["the upstream presented CN=test-server", "2021-01-01", "; "];
    presented(&leaf, &pki, "upstream_expired", &says).await;
}

/// Scenario: the port speaks plaintext HTTP/1.1, and the exporters expect TLS.
/// Guarantees: that is said with what it answered, and both ways to mend it.
#[tokio::test]
async fn an_upstream_without_tls_is_named() {
    let pki = TestPki::new();
    let old = in_clear().await;
    let mut stage = Stage::start(&both(&old, &pki)).await;
    for which in 0..2 {
        let says = [
            "the upstream answered with plaintext HTTP/1.1 (HTTP/1.1 400 Bad Request); ",
            "the port speaks no TLS: use its TLS port, or `tls: { insecure: true }` (http:// for \
             otlp_http) if plaintext is meant",
        ];
        stage.expect(which, &Expected::unavailable("upstream_plaintext", &says)).await;
    }
    stage.end().await;
}

/// Scenario: the port speaks TLS, and the exporters send plaintext.
/// Guarantees: that is said.
#[tokio::test]
async fn an_upstream_with_tls_where_plaintext_was_meant_is_named() {
    let pki = TestPki::new();
    let config = tls(&pki.server, &Terms::default());
    let backend = Backend::start(Some(config), h2(|_| Reply::ok())).await;
    let address = backend.address;
    let mut stage = Stage::start(&[
        ("otlp_grpc", format!("{{ endpoint: '{address}', tls: {{ insecure: true }} }}")),
        ("otlp_http", format!("{{ endpoint: 'http://{address}' }}")),
    ])
    .await;
    let says = [
        &*format!("{address} answered with TLS: "),
        "remove tls.insecure, or use its plaintext port",
    ];
    stage.expect(0, &Expected::unavailable("upstream_expects_tls", &says)).await;
    let says =
        [&*format!("upstream http://{address}/v1/traces: "), "it answered with TLS", "https://"];
    let expected = Expected { hint: false, ..Expected::unavailable("upstream_expects_tls", &says) };
    stage.expect(1, &expected).await;
    stage.end().await;
}

/// Scenario: the upstream agrees on no protocol (ALPN), as a proxy without HTTP/2 does.
/// Guarantees: gRPC, which needs HTTP/2, says so; OTLP/HTTP goes over HTTP/1.1.
#[tokio::test]
async fn an_upstream_without_alpn_serves_http_and_not_grpc() {
    let pki = TestPki::new();
    let terms = Terms { alpn: &[], ..Terms::default() };
    let answer = page("200 OK", "content-type: application/x-protobuf\r\n", "");
    let backend = Backend::start(Some(tls(&pki.server, &terms)), http1(answer, true)).await;
    let mut stage = Stage::start(&both(&backend, &pki)).await;
    let says = [
        "the upstream did not agree on HTTP/2 (ALPN h2), which gRPC needs; ",
        "enable HTTP/2 there (a proxy in front may have it off), or use the otlp_http exporter",
    ];
    stage.expect(0, &Expected::unavailable("upstream_no_alpn", &says)).await;
    stage.expect_ok(1).await;
    stage.end().await;
    assert_eq!(backend.seen.requests().len(), 2);
}

/// Scenario: an exporter without a `tls` block, before an upstream in clear.
/// Guarantees: no block means TLS against the system's roots, as in the Collector, and never
/// plaintext; the message says how plaintext is written.
#[tokio::test]
async fn an_exporter_without_a_tls_block_speaks_tls() {
    let backend = in_clear().await;
    let mut stage =
        Stage::start(&[("otlp_grpc", format!("{{ endpoint: '{}' }}", backend.name()))]).await;
    let says = ["TLS to ", "the upstream answered with plaintext", "`tls: { insecure: true }`"];
    stage.expect(0, &Expected::unavailable("upstream_plaintext", &says)).await;
    stage.end().await;
    assert!(backend.seen.requests().is_empty());
}

/// Answers as HTTP/1.1 servers in clear do to what is no request.
async fn in_clear() -> Backend {
    Backend::start(None, |mut peer, _| {
        Box::pin(async move {
            let _hello = peer.read(&mut [0; 16]).await;
            let _told = peer.write_all(page("400 Bad Request", "", "").as_bytes()).await;
            let _drained = peer.read(&mut [0; 4096]).await;
        })
    })
    .await
}
