//! What `docs/metrics.md` says of the metrics, asked of a running gateway.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::lifecycle::mtls;
use crate::refusals::Program;
use crate::reload::connect;
use crate::support::agent;
use crate::support::eventually::eventually;
use crate::support::gateway::RunningGateway;
use crate::support::pki::{Ca, TestPki, ca_params, server_params};
use crate::support::upstream::Upstream;

/// The first cells of the page's tables.
fn documented() -> BTreeSet<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let page = fs::read_to_string(page).unwrap();
    let names = page.lines().filter_map(|line| line.strip_prefix("| `portcullis_"));
    let names = names.filter_map(|rest| rest.split('`').next());
    names.map(|name| format!("portcullis_{}", name.trim_end_matches("_total"))).collect()
}

/// Guarantees: the page names exactly the metrics that the code registers.
#[test]
fn the_page_of_metrics_names_each_of_them_and_no_other() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/metrics");
    let mut registered = BTreeSet::new();
    for file in ["certificates.rs", "handshakes.rs", "instruments.rs"] {
        let source = fs::read_to_string(folder.join(file)).unwrap();
        let texts = source.split('"').skip(1).step_by(2);
        registered.extend(texts.filter(|text| text.starts_with("portcullis_")).map(String::from));
    }
    assert_eq!(registered, documented());
}

/// Scenario: a client is let in and a batch passes.
/// Guarantees: what is served is what the page names, and those of certificates and handshakes have
/// their values.
#[tokio::test]
async fn certificates_and_handshakes_are_measured() {
    let pki = TestPki::new();
    let upstream = Upstream::mtls(&pki).await;
    let gateway = RunningGateway::start(&mtls(&upstream, &pki)).await;
    let stream = connect(gateway.http(), &pki, &pki.client, &[b"http/1.1"]).await;
    let body = prost::Message::encode_to_vec(&agent::span("a"));
    let answer = agent::post(stream, "/v1/traces", "application/x-protobuf", body).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(gateway.metric("portcullis_tls_handshakes_in_flight"), 0.0);
    eventually("the first look at the files", || {
        gateway.metrics().matches("portcullis_tls_epoch_info{").count() == 3
    })
    .await;
    let text = gateway.metrics();
    let value = |start: &str, parts: &[&str]| -> f64 {
        let mut lines = text.lines().filter(|line| line.starts_with(start));
        let line = lines.find(|line| parts.iter().all(|part| line.contains(part)));
        let line = line.unwrap_or_else(|| panic!("no {start} with {parts:?} in\n{text}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    let own = &["block=\"receivers.otlp.protocols.http.tls\"", "role=\"own\"", "CN=test-server"];
    let begins = value("portcullis_tls_not_before_timestamp_seconds{", own);
    let ends = value("portcullis_tls_not_after_timestamp_seconds{", own);
    assert!(0.0 < begins && begins < ends, "{begins} {ends}");
    let upstream_ca = &["block=\"exporters.otlp_grpc.tls\"", "role=\"ca\"", "CN=Test CA"];
    assert!(value("portcullis_tls_not_after_timestamp_seconds{", upstream_ca) > begins);
    let agreed = &["version=\"1.3\"", "group=\"X25519", "cipher=\"TLS13_", "resumed=\"false\""];
    assert_eq!(value("portcullis_tls_negotiated_total{", agreed), 1.0);
    assert_eq!(value("portcullis_tls_handshake_seconds_count", &[]), 1.0);
    assert!(value("portcullis_tls_handshake_seconds_sum", &[]) > 0.0);
    // Both ports have the same files: the same epochs; the exporter's are its own.
    let epoch = |block: &str| {
        let block = format!("block=\"{block}.tls\"");
        let mut lines = text.lines().filter(|line| line.starts_with("portcullis_tls_epoch_info{"));
        let line = lines.find(|line| line.contains(&block)).unwrap();
        line.split_once(',').unwrap().1.to_owned()
    };
    let http = epoch("receivers.otlp.protocols.http");
    assert_eq!(http, epoch("receivers.otlp.protocols.grpc"));
    assert_ne!(http, epoch("exporters.otlp_grpc"));

    // The CAs change, our own certificate does not.
    pki.write("ca.crt", pki.ca.pem() + &pki.other_ca.pem());
    gateway.ask_to_reload().await;
    let of = |line: &str, label: &str| {
        let rest = line.split_once(&format!("{label}=\"")).unwrap().1;
        rest.split('"').next().unwrap().to_owned()
    };
    eventually("the new epoch", || {
        let text = gateway.metrics();
        let mut lines = text.lines().filter(|line| line.starts_with("portcullis_tls_epoch_info{"));
        let line = lines.find(|line| line.contains("protocols.http.tls")).unwrap();
        assert_eq!(of(line, "identity"), of(&http, "identity"));
        of(line, "trust") != of(&http, "trust")
    })
    .await;
    let documented = documented();
    let text = gateway.metrics();
    let served = text.lines().filter_map(|line| line.strip_prefix("# TYPE portcullis_"));
    let served = served.filter_map(|line| line.split(' ').next());
    for name in served.map(|name| format!("portcullis_{}", name.trim_end_matches("_total"))) {
        assert!(documented.contains(&name), "{name} is not in docs/metrics.md");
    }
    gateway.stop().await;
}

/// Scenario: a gateway starts with a certificate of 20 days, a CA of 5 and a list of 12 hours; then
/// the certificate is replaced by one of 6 days.
/// Guarantees: one warning for each, with its block, its role, its name and how long it is left; the
/// new certificate is warned of anew, and nothing is said twice.
#[test]
fn what_ends_soon_is_warned_of_once_by_name() {
    let pki = TestPki::new();
    let now = time::OffsetDateTime::now_utc();
    let days = |days: i64| now + time::Duration::days(days) + time::Duration::hours(1);
    let mut params = ca_params("Short CA");
    params.not_after = days(5);
    let short = Ca::self_signed(params);
    pki.write("bundle.crt", short.pem());
    pki.write("short.crl", short.list(1, &[], time::Duration::hours(12)));
    let issue = |left: i64| {
        let mut params = server_params(&["localhost"]);
        params.not_after = days(left);
        pki.write_pair("server", &pki.ca.issue(params));
    };
    issue(20);
    let program = Program::start(&pki, "client_ca_file: bundle.crt, client_crl_file: short.crl");
    let said = |lines: &[Value], role: &str, name: &str, left: &str| {
        let fits = |line: &&Value| {
            line["role"] == role
                && line["name"] == name
                && line["level"] == "warn"
                && line["block"] == "receivers.otlp.protocols.http.tls"
                && line["msg"].as_str().is_some_and(|text| text.contains(left))
        };
        lines.iter().filter(fits).count()
    };
    let first = [
        ("own", "CN=test-server", "ends in 20 days: renew it"),
        ("ca", "CN=Short CA", "ends in 5 days: renew it"),
        ("crl", "CN=Short CA", "ends in "),
    ];
    let mut lines = program.collect(|lines| {
        let missing = first.iter().filter(|(role, name, left)| said(lines, role, name, left) == 0);
        missing.map(|row| format!("{row:?}")).collect()
    });
    issue(6);
    lines.extend(program.collect(|lines| {
        let reload = |line: &&Value| line["msg"] == "certificates reloaded";
        for line in lines.iter().filter(reload) {
            let trust = |key: &str| {
                let words = line[key].as_str().unwrap_or_default();
                words.split_once(" (trust ").and_then(|(_, rest)| rest.get(..8)).map(String::from)
            };
            // Another certificate of our own, and the same CA.
            assert!(trust("after").is_some() && trust("before") == trust("after"), "{line}");
        }
        let told = said(lines, "own", "CN=test-server", "ends in 6 days: renew it") > 0;
        if told { Vec::new() } else { vec!["the new certificate".to_owned()] }
    }));
    for (role, name, left) in first {
        assert_eq!(said(&lines, role, name, left), 1, "{role}");
    }
}
