//! `crl_file`: upstreams that their CA took back.

use rcgen::SerialNumber;
use time::Duration;

use super::backend::{Backend, Reply, Terms, h2, http1, page, tls};
use super::log;
use super::stage::{Expected, Stage, over_tls};
use crate::support::eventually::eventually;
use crate::support::pki::{Ca, TestPki, server_params};

const SERIAL: u64 = 4711;

/// A gRPC and an HTTP/1.1 upstream with a certificate of the first CA and this serial.
async fn backends(pki: &TestPki) -> [Backend; 2] {
    let mut params = server_params(&["localhost"]);
    params.serial_number = Some(SerialNumber::from(SERIAL));
    let leaf = pki.ca.issue(params);
    let config = tls(&leaf, &Terms::default());
    let web = tls(&leaf, &Terms { alpn: &[b"http/1.1"], ..Terms::default() });
    let answer = page("200 OK", "content-type: application/x-protobuf\r\n", "");
    [
        Backend::start(Some(config), h2(|_| Reply::ok())).await,
        Backend::start(Some(web), http1(answer, true)).await,
    ]
}

/// An exporter of each kind, with the list `upstream.crl` and further keys.
fn exporters(backends: &[Backend; 2], pki: &TestPki, more: &str) -> [(&'static str, String); 2] {
    let dir = pki.dir().display();
    let keys = format!("ca_file: {dir}/ca.crt, crl_file: {dir}/upstream.crl{more}");
    let [grpc, http] = backends;
    over_tls(grpc.name(), http.name(), &keys)
}

const DAY: Duration = Duration::days(1);

/// Scenario: the list names the upstream's certificate.
/// Guarantees: nothing is sent; the message names certificate, CA, list and file.
#[tokio::test]
async fn a_revoked_upstream_is_refused_with_words() {
    let pki = TestPki::new();
    let file = pki.write("upstream.crl", pki.ca.list(7, &[SERIAL], DAY)).display().to_string();
    let backends = backends(&pki).await;
    let mut stage = Stage::start(&exporters(&backends, &pki, "")).await;
    for which in 0..2 {
        let says = [
            "the upstream presented CN=test-server (issuer CN=Test CA, serial ",
            "its CA CN=Test CA revoked it (",
            &file,
            "; ",
        ];
        stage.expect(which, &Expected::unavailable("upstream_cert_revoked", &says)).await;
    }
    stage.end().await;
    assert!(backends.iter().all(|backend| backend.seen.requests().is_empty()));
}

/// Scenario: a list is published that names the certificate of an upstream with open connections.
/// Guarantees: they are ended and nothing more is sent; an older list does not bring it back.
#[tokio::test]
async fn a_list_that_is_published_ends_the_connections_to_whom_it_names() {
    let pki = TestPki::new();
    pki.write("upstream.crl", pki.ca.list(7, &[], DAY));
    let backends = backends(&pki).await;
    let mut stage = Stage::start(&exporters(&backends, &pki, "")).await;
    for (which, backend) in backends.iter().enumerate() {
        stage.expect_ok(which).await;
        assert!(backend.seen.open() > 0);
    }
    pki.write("upstream.crl", pki.ca.list(8, &[SERIAL], DAY));
    for backend in &backends {
        eventually("the connection is gone", || backend.seen.open() == 0).await;
    }
    let before: Vec<_> = backends.iter().map(|backend| backend.seen.requests().len()).collect();
    for which in 0..2 {
        let says = ["its CA CN=Test CA revoked it ("];
        stage.expect(which, &Expected::unavailable("upstream_cert_revoked", &says)).await;
        let said = log::of(stage.id(which)).iter().any(|line| {
            line["message"]
                == "no connection with the new certificates; it is tried again by itself"
                && line["reason"] == "upstream_cert_revoked"
        });
        assert!(said);
    }
    pki.write("upstream.crl", pki.ca.list(6, &[], DAY));
    let failing = |which: usize| {
        let block = format!("exporters.{}.tls", stage.id(which));
        stage.gateway.metric(&format!("portcullis_tls_reload_failing{{block=\"{block}\"}}"))
    };
    eventually("the older list is refused", || failing(0) == 1.0 && failing(1) == 1.0).await;
    for which in 0..2 {
        assert!(stage.over_grpc(which).await.is_err());
    }
    let after: Vec<_> = backends.iter().map(|backend| backend.seen.requests().len()).collect();
    assert_eq!(before, after, "nothing is sent");
    stage.end().await;
}

/// Scenario: the list is out of date; and there is a list, but none of the upstream's CA.
/// Guarantees: both refuse, as on the receivers' side; `revocation` can say otherwise.
#[tokio::test]
async fn doubt_about_an_upstream_refuses_it_unless_the_policy_says_otherwise() {
    let pki = TestPki::new();
    pki.write("upstream.crl", pki.ca.list(7, &[], -DAY));
    let backends = backends(&pki).await;
    let [grpc, http] = exporters(&backends, &pki, "");
    let [lenient, _] = exporters(&backends, &pki, ", revocation: { expired: allow }");
    let mut stage = Stage::start(&[grpc, http, lenient]).await;
    for which in 0..2 {
        let says = ["the revocation list of its CA CN=Test CA in ", "is out of date since "];
        stage.expect(which, &Expected::unavailable("upstream_crl_expired", &says)).await;
    }
    stage.expect_ok(2).await;
    stage.end().await;

    pki.write("upstream.crl", pki.other_ca.list(7, &[], DAY));
    let [grpc, http] = exporters(&backends, &pki, ", revocation: { scope: leaf }");
    let [lenient, _] = exporters(&backends, &pki, ", revocation: { unknown: allow }");
    let mut stage = Stage::start(&[grpc, http, lenient]).await;
    for which in 0..2 {
        let says = ["no revocation list of its CA CN=Test CA is in ", "(there: CN=Other CA)"];
        stage
            .expect(which, &Expected::unavailable("upstream_cert_revocation_unknown", &says))
            .await;
    }
    stage.expect_ok(2).await;
    stage.end().await;
}

/// Scenario: while the gateway runs, the list in force runs out and no newer one comes.
/// Guarantees: the connections made under it end, and nothing more is sent.
#[tokio::test]
async fn a_list_that_runs_out_ends_the_connections_made_under_it() {
    let pki = TestPki::new();
    pki.write("upstream.crl", pki.ca.list(7, &[], Duration::seconds(4)));
    let backends = backends(&pki).await;
    let mut stage = Stage::start(&exporters(&backends, &pki, "")).await;
    for which in 0..2 {
        stage.expect_ok(which).await;
    }
    for backend in &backends {
        eventually("the connection is gone", || backend.seen.open() == 0).await;
    }
    for which in 0..2 {
        stage
            .expect(
                which,
                &Expected::unavailable("upstream_crl_expired", &["is out of date since "]),
            )
            .await;
    }
    stage.end().await;
}

async fn refused_at_start(pki: &TestPki, backends: &[Backend; 2]) -> String {
    let [(_, grpc), _] = exporters(backends, pki, "");
    let yaml = format!(
        "receivers: {{ otlp: {{ protocols: {{ grpc: {{ endpoint: '127.0.0.1:0' }} }} }} }}
exporters: {{ otlp_grpc: {grpc} }}
service:
  telemetry: {{ metrics: {{ level: none }} }}
  pipelines: {{ traces: {{ receivers: [otlp], exporters: [otlp_grpc] }} }}
"
    );
    let config = portcullis::Config::from_yaml(&yaml).unwrap();
    match portcullis::Gateway::build(config).await {
        Ok(_) => panic!("it was started"),
        Err(error) => error.to_string(),
    }
}

/// Scenario: the file of the list is missing; the list is by another CA of the same name; it is of
/// none of the CAs.
/// Guarantees: the gateway does not start, and says which file and why; at run time the last good
/// list stays in force.
#[tokio::test]
async fn a_list_that_proves_nothing_is_refused_at_start_and_at_reload() {
    let pki = TestPki::new();
    let backends = backends(&pki).await;
    let file = pki.path("upstream.crl").display().to_string();
    let missing = refused_at_start(&pki, &backends).await;
    assert!(missing.contains(&file), "{missing}");
    let forged = Ca::new("Test CA").list(9, &[], DAY);
    for (list, why) in [
        (forged.clone(), "the list of CN=Test CA is not signed by the CA of that name in "),
        (pki.other_ca.list(1, &[], DAY), "has lists of CN=Other CA only, none of a CA in "),
    ] {
        pki.write("upstream.crl", list);
        let text = refused_at_start(&pki, &backends).await;
        assert!(text.contains(&file) && text.contains(why), "{text}");
        assert!(text.contains("exporters.otlp_grpc.tls.crl_file"), "{text}");
    }
    pki.write("upstream.crl", pki.ca.list(7, &[SERIAL], DAY));
    let mut stage = Stage::start(&exporters(&backends, &pki, "")).await;
    pki.write("upstream.crl", forged);
    let failing = |which: usize| {
        let block = format!("exporters.{}.tls", stage.id(which));
        stage.gateway.metric(&format!("portcullis_tls_reload_failing{{block=\"{block}\"}}"))
    };
    eventually("the forged list is refused", || failing(0) == 1.0 && failing(1) == 1.0).await;
    for which in 0..2 {
        let says = ["its CA CN=Test CA revoked it ("];
        stage.expect(which, &Expected::unavailable("upstream_cert_revoked", &says)).await;
    }
    stage.end().await;
}
