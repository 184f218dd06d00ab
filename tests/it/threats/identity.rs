//! Threats 19 to 22 with the whole gateway: who is let in by the name in its certificate.

use std::fs;

use http::HeaderMap;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use prost::Message as _;
use rcgen::{CertificateParams, SanType};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::refusals::Program;
use crate::reload::connect;
use crate::support::agent::{self, span};
use crate::support::eventually::{DEADLINE, eventually};
use crate::support::gateway::RunningGateway;
use crate::support::pki::{Ca, Leaf, TestPki, client_params};
use crate::support::upstream::Upstream;

/// A configuration that trusts both CAs of the folder and whose receiver has these rules.
fn yaml(pki: &TestPki, upstream: &str, rules: &str, tls: &str) -> String {
    pki.write("clients.crt", format!("{}{}", pki.ca.pem(), pki.other_ca.pem()));
    let dir = pki.dir().display();
    let guarded = format!(
        "{{ endpoint: '127.0.0.1:0', auth: {{ authenticator: client_identity }}, tls: {{ \
         cert_file: {dir}/server.crt, key_file: {dir}/server.key, client_ca_file: \
         {dir}/clients.crt{tls} }} }}"
    );
    format!(
        "
receivers: {{ otlp: {{ protocols: {{ grpc: {guarded}, http: {guarded} }} }} }}
exporters: {{ otlp_grpc: {{ endpoint: '{upstream}', tls: {{ insecure: true }} }} }}
extensions:
  client_identity:
{rules}
service:
  extensions: [client_identity]
  telemetry: {{ metrics: {{ level: none }}, logs: {{ encoding: json }} }}
  pipelines: {{ traces: {{ receivers: [otlp], exporters: [otlp_grpc] }} }}
"
    )
}

async fn gateway(pki: &TestPki, upstream: &Upstream, rules: &str, tls: &str) -> RunningGateway {
    RunningGateway::start(&yaml(pki, &upstream.address.to_string(), rules, tls)).await
}

fn names(common_name: &str, uris: &[&str], dns: &[&str]) -> CertificateParams {
    let mut params = client_params(common_name);
    let uris = uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap()));
    let dns = dns.iter().map(|name| SanType::DnsName((*name).try_into().unwrap()));
    params.subject_alt_names = uris.chain(dns).collect();
    params
}

/// Sends one request over a fresh gRPC connection.
async fn send(gateway: &RunningGateway, pki: &TestPki, leaf: &Leaf) -> Result<(), Status> {
    let Ok(mut client) = agent::mtls(gateway.grpc(), pki, Some(leaf)).await else {
        return Err(Status::unavailable("the connection is refused"));
    };
    send_over(&mut client).await
}

async fn send_over(client: &mut TraceServiceClient<Channel>) -> Result<(), Status> {
    let sent = tokio::time::timeout(DEADLINE, client.export(span("one"))).await;
    sent.expect("no answer in time").map(|_| ())
}

/// Status, headers and body of one post over HTTP/1.1.
async fn post(gateway: &RunningGateway, pki: &TestPki, leaf: &Leaf) -> (u16, HeaderMap, Vec<u8>) {
    let stream = connect(gateway.http(), pki, leaf, &[b"http/1.1"]).await;
    let body = span("one").encode_to_vec();
    let answer = agent::post(stream, "/v1/traces", "application/x-protobuf", body).await.unwrap();
    (answer.status().as_u16(), answer.headers().clone(), answer.body().to_vec())
}

fn refusals(gateway: &RunningGateway, reason: &str) -> f64 {
    gateway.metric(&format!(
        "portcullis_tls_handshakes_total{{result=\"refused\",reason=\"{reason}\"}}"
    ))
}

/// Scenario: two CAs are trusted, each for its own trust domain, and each makes an id of the other.
/// Guarantees: such an id opens no connection, over HTTP/1.1 and gRPC alike; one of a trust domain
/// that is not listed does not either.
#[tokio::test]
async fn t19_an_id_that_another_trust_domains_ca_made_is_refused() {
    let pki = TestPki::new();
    let upstream = Upstream::plaintext().await;
    let dir = pki.dir().display();
    let rules = format!(
        "    allow: [{{ spiffe: 'spiffe://a.example/**' }}, {{ spiffe: 'spiffe://b.example/**' }}]
    trust_domains: {{ a.example: {dir}/ca.crt, b.example: {dir}/other-ca.crt }}"
    );
    let gateway = gateway(&pki, &upstream, &rules, "").await;
    let make = |ca: &Ca, id: &str| ca.issue(names("x", &[id], &[]));
    let below = pki.other_ca.intermediate("Below");
    for (leaf, is_good) in [
        (make(&pki.ca, "spiffe://a.example/web"), true),
        (make(&pki.other_ca, "spiffe://b.example/web"), true),
        (make(&pki.other_ca, "spiffe://a.example/web"), false),
        (make(&pki.ca, "spiffe://b.example/web"), false),
        (make(&pki.ca, "spiffe://c.example/web"), false),
        (make(&pki.ca, "spiffe://A.example/web"), false),
        (make(&below, "spiffe://a.example/web"), false),
    ] {
        let sent = send(&gateway, &pki, &leaf).await;
        assert_eq!(sent.is_ok(), is_good, "{sent:?}");
    }
    let refused = refusals(&gateway, "client_cert_trust_domain");
    assert!(refused >= 3.0, "{refused}");
    assert!(refusals(&gateway, "client_cert_spiffe_id") >= 1.0);
}

/// Scenario: the file of a trust domain changes while a client of its CA is connected.
/// Guarantees: new connections are judged by the new file, and the one that is open ends.
#[tokio::test]
async fn t19_the_bundle_of_a_trust_domain_is_reloaded() {
    let pki = TestPki::new();
    let upstream = Upstream::plaintext().await;
    pki.write("a.crt", pki.ca.pem());
    let rules = format!(
        "    allow: any\n    trust_domains: {{ a.example: {}/a.crt }}",
        pki.dir().display()
    );
    let gateway = gateway(&pki, &upstream, &rules, ", trust_loss_grace: 0s").await;
    let old = pki.ca.issue(names("old", &["spiffe://a.example/old"], &[]));
    let new = pki.other_ca.issue(names("new", &["spiffe://a.example/new"], &[]));
    let mut open = agent::mtls(gateway.grpc(), &pki, Some(&old)).await.unwrap();
    send_over(&mut open).await.unwrap();
    assert!(send(&gateway, &pki, &new).await.is_err());
    fs::rename(pki.write(".a.new", pki.other_ca.pem()), pki.path("a.crt")).unwrap();
    gateway.ask_to_reload().await;
    let reloads = "portcullis_tls_reloads_total{block=\"receivers.otlp.protocols.grpc.tls\",result=\"success\"}";
    eventually("a reload", || gateway.metric(reloads) > 0.0).await;
    send(&gateway, &pki, &new).await.unwrap();
    assert!(send(&gateway, &pki, &old).await.is_err());
    assert!(send_over(&mut open).await.is_err());
}

/// Guarantees: a certificate that holds two ids, or none that could be told, is let in under
/// neither, and the answer says why, in both protocols.
#[tokio::test]
async fn t20_a_certificate_with_two_ids_may_send_under_neither() {
    let pki = TestPki::new();
    let upstream = Upstream::plaintext().await;
    let rules = "    source: [spiffe, dns]\n    allow: [{ spiffe: 'spiffe://a.example/**' }, { dns: '**.svc' }]";
    let gateway = gateway(&pki, &upstream, rules, "").await;
    for (uris, dns, words) in [
        (&["spiffe://a.example/x", "spiffe://a.example/y"][..], &[][..], "exactly one"),
        (&["spiffe://a.example/x", "https://a.example"], &["a.svc"], "exactly one"),
        (&["spiffe://a.example/x/../y"], &["a.svc"], "segment"),
        (&["SPIFFE://a.example/x"], &["a.svc"], "lower case"),
        (&[], &["*.svc"], "no single peer"),
        (&[], &["a.svc", "b.svc"], "2 dns names"),
        (&[], &["a.svc\0.evil"], "visible ASCII"),
    ] {
        let leaf = pki.ca.issue(names("x", uris, dns));
        let status = send(&gateway, &pki, &leaf).await.unwrap_err();
        assert_eq!(status.code(), Code::PermissionDenied, "{uris:?} {dns:?}: {status:?}");
        assert!(status.message().contains(words), "{words} not in {}", status.message());
        let (code, _, body) = post(&gateway, &pki, &leaf).await;
        assert_eq!(code, 403);
        let body = tonic_types::pb::Status::decode(body.as_slice()).unwrap();
        assert_eq!((body.code, body.message.as_str()), (7, status.message()));
    }
    let good = pki.ca.issue(names("x", &["spiffe://a.example/x"], &["a.svc", "b.svc"]));
    send(&gateway, &pki, &good).await.unwrap();
    assert_eq!(post(&gateway, &pki, &good).await.0, 200);
    assert!(gateway.metric("portcullis_requests_refused_total{reason=\"identity_invalid\"}") > 0.0);
}

/// Scenario: `CN=admin.svc`, and a rule for the DNS name admin.svc.
/// Guarantees: denied before the body is read, with the rule that would be needed.
#[tokio::test]
async fn t21_a_common_name_that_reads_as_an_allowed_dns_name_is_denied() {
    let pki = TestPki::new();
    let mut upstream = Upstream::plaintext().await;
    let rules = "    source: [spiffe, dns, cn]\n    allow: [{ dns: admin.svc, signals: [traces] }]";
    let gateway = gateway(&pki, &upstream, rules, "").await;
    let spoof = pki.ca.issue(names("admin.svc", &[], &[]));
    let status = send(&gateway, &pki, &spoof).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    assert!(status.message().contains("cn:admin.svc is not allowed"), "{}", status.message());
    assert!(status.message().contains("add { cn: \"admin.svc\" }"), "{}", status.message());
    assert_eq!(post(&gateway, &pki, &spoof).await.0, 403);
    assert!(upstream.received.try_recv().is_err());
    let admin = pki.ca.issue(names("someone", &[], &["Admin.svc"]));
    send(&gateway, &pki, &admin).await.unwrap();
    assert_eq!(post(&gateway, &pki, &admin).await.0, 200);
    assert_eq!(
        gateway.metric("portcullis_requests_refused_total{reason=\"identity_denied\"}"),
        2.0
    );
}

/// Guarantees: names that begin as an allowed one, or walk beside it, are denied.
#[tokio::test]
async fn t22_a_name_beside_an_allowed_path_is_denied() {
    let pki = TestPki::new();
    let upstream = Upstream::plaintext().await;
    let rules = "    allow: [{ spiffe: 'spiffe://a.example/ns/prod/sa/*' }]\n    deny: [{ spiffe: 'spiffe://a.example/ns/prod/sa/old' }]";
    let gateway = gateway(&pki, &upstream, rules, "").await;
    for (id, is_good) in [
        ("spiffe://a.example/ns/prod/sa/web", true),
        ("spiffe://a.example/ns/prod/sa/old", false),
        ("spiffe://a.example/ns/prod/sa", false),
        ("spiffe://a.example/ns/prod/sa/web/x", false),
        ("spiffe://a.example/ns/prod/sax/web", false),
        ("spiffe://a.example/ns/dev/../prod/sa/web", false),
        ("spiffe://a.example/ns/prod/sa/..", false),
        ("spiffe://a.example.evil/ns/prod/sa/web", false),
    ] {
        let leaf = pki.ca.issue(names("x", &[id], &[]));
        let sent = send(&gateway, &pki, &leaf).await;
        let code = sent.map_or_else(|status| status.code(), |()| Code::Ok);
        assert_eq!(code, if is_good { Code::Ok } else { Code::PermissionDenied }, "{id}");
    }
}

/// Guarantees: with an authenticator nobody is anonymous, and a signal that no rule lists is
/// refused by its name.
#[tokio::test]
async fn whoever_shows_nothing_or_sends_another_signal_is_told_so() {
    let pki = TestPki::new();
    let upstream = Upstream::plaintext().await;
    let rules = "    allow: [{ dns: a.svc, signals: [logs] }]";
    let gateway = gateway(&pki, &upstream, rules, ", client_auth: optional").await;
    let mut nobody = agent::mtls(gateway.grpc(), &pki, None).await.unwrap();
    let status = send_over(&mut nobody).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert!(status.message().contains("no client certificate"), "{}", status.message());
    let leaf = pki.ca.issue(names("x", &[], &["a.svc"]));
    let status = send(&gateway, &pki, &leaf).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    assert!(status.message().contains("dns:a.svc may not send traces"), "{}", status.message());
    assert!(status.message().contains("list logs only"), "{}", status.message());
}

/// Scenario: a sender that no rule names announces a large body and never sends it, five times.
/// Guarantees: it is answered from its head alone, and the log has one line that names it, the
/// reason and the rule that would let it in.
#[tokio::test]
async fn a_denied_sender_is_answered_before_its_body_and_logged_once() {
    let pki = TestPki::new();
    let rules = "    allow: [{ dns: a.svc }]";
    let program = Program::with_config(&pki, &yaml(&pki, "127.0.0.1:9", rules, ""));
    let port = program.port_of("receivers.otlp.protocols.http");
    let leaf = pki.ca.issue(names("x", &[], &["b.svc"]));
    for _ in 0..5 {
        let mut stream = connect(([127, 0, 0, 1], port).into(), &pki, &leaf, &[b"http/1.1"]).await;
        let head = "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                    content-length: 1000000\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        let read = tokio::time::timeout(DEADLINE, stream.read_exact(&mut answer)).await;
        read.expect("it waits for the body").unwrap();
        assert_eq!(&answer, b"HTTP/1.1 403");
    }
    let line = program.refusal("dns:b.svc is not allowed");
    assert_eq!(line["reason"], "identity_denied", "{line}");
    assert!(line["detail"].as_str().unwrap().contains("add { dns: \"b.svc\" }"), "{line}");
    assert!(!program.more().any(|line| line["reason"] == "identity_denied"));
}
