//! `portcullis doctor` against a gateway that runs and has served several clients.

use std::process::Command;

use tokio::time::Instant;

use crate::reload::connect;
use crate::support::eventually::DEADLINE;
use crate::support::gateway::RunningGateway;
use crate::support::pki::{TestPki, client_params};

fn config(pki: &TestPki, zpages: &str) -> String {
    let dir = pki.dir().display();
    let own = format!("cert_file: {dir}/server.crt, key_file: {dir}/server.key");
    format!(
        "
receivers:
  otlp:
    protocols:
      grpc: {{ endpoint: '127.0.0.1:0', tls: {{ {own}, client_ca_file: {dir}/both.crt }} }}
      http: {{ endpoint: '127.0.0.1:0', tls: {{ {own}, client_ca_file: {dir}/ca.crt }} }}
exporters: {{ nop: {{}} }}
extensions: {{ zpages: {{ endpoint: '{zpages}' }} }}
service:
  extensions: [zpages]
  pipelines: {{ traces: {{ receivers: [otlp], exporters: [nop] }} }}
  telemetry: {{ metrics: {{ level: none }} }}
"
    )
}

/// Exit code and output; the gateway under test goes on meanwhile.
async fn doctor(pki: &TestPki, words: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.args(["doctor", "--config", "gateway.yaml"]).args(words).current_dir(pki.dir());
    let run = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    (run.status.code(), String::from_utf8(run.stdout).unwrap())
}

/// Scenario: two clients of the first CA and one of the other have connected to one receiver, and
/// the bundle is to be changed to the other CA.
/// Guarantees: each client is named with what becomes of it, by receiver; who is not let in by a
/// receiver now is not counted as broken there; exit code 1 while somebody would break, 0 when
/// nobody would; as JSON the same.
#[tokio::test]
async fn a_new_ca_is_held_against_the_clients_that_the_running_gateway_has_seen() {
    let pki = TestPki::new();
    pki.write("both.crt", pki.ca.pem() + &pki.other_ca.pem());
    let gateway =
        RunningGateway::start_with(&config(&pki, "127.0.0.1:0"), &["extensions.zpages"]).await;
    let second = pki.ca.issue(client_params("second"));
    for leaf in [&pki.client, &second, &pki.other_client] {
        connect(gateway.grpc(), &pki, leaf, &[b"h2"]).await;
    }
    let zpages = gateway.address("extensions.zpages").to_string();
    pki.write("gateway.yaml", config(&pki, &zpages));

    // The gateway notes a client once its own side of the handshake is done.
    let deadline = Instant::now() + DEADLINE;
    let mut said = String::new();
    while !said.contains("has seen 3 client certificates") {
        assert!(Instant::now() < deadline, "{said}");
        said = doctor(&pki, &["--new-ca", "other-ca.crt"]).await.1;
    }
    let line = |parts: &[&str]| {
        let fits = |line: &&str| parts.iter().all(|part| line.contains(part));
        assert!(said.lines().any(|line| fits(&line)), "no line with {parts:?} in\n{said}");
    };
    line(&["ok", "--new-ca other-ca.crt: trusts 1 CA: CN=Other CA"]);
    for name in ["CN=test-client", "CN=second"] {
        line(&[
            "problem",
            "protocols.grpc: ",
            name,
            "would break: its issuer CN=Test CA is not in",
        ]);
        line(&["problem", "protocols.http: ", name, "would break", "client_cert_unknown_issuer"]);
    }
    line(&["ok", "protocols.grpc: CN=other-client", "stays; last seen "]);
    line(&["ok", "protocols.grpc: 1 of 3 would stay, 2 would not"]);
    line(&["protocols.http: 0 of 2 would stay, 2 would not; 1 more are not admitted by this"]);
    assert!(said.contains("\n4 problems, "), "{said}");

    let (code, said) = doctor(&pki, &["--new-ca", "other-ca.crt", "--format", "json"]).await;
    assert_eq!(code, Some(1));
    let report: serde_json::Value = serde_json::from_str(&said).unwrap();
    let section = report["sections"].as_array().unwrap().last().unwrap();
    assert_eq!(section["check"], "new_ca");
    let findings = section["findings"].as_array().unwrap();
    let broken = findings.iter().filter(|one| one["reason"] == "client_cert_unknown_issuer");
    assert_eq!(broken.count(), 4, "{report}");

    let (code, said) = doctor(&pki, &["--new-ca", "both.crt"]).await;
    assert!(said.contains("protocols.grpc: 3 of 3 would stay, 0 would not"), "{said}");
    assert_eq!(code, Some(0), "{said}");
    gateway.stop().await;

    let (code, said) = doctor(&pki, &["--new-ca", "both.crt"]).await;
    let gone = format!("{zpages} does not tell which clients it has seen: ");
    assert!(said.contains(&gone) && said.contains("[status_unreachable]"), "{said}");
    assert_eq!(code, Some(1), "{said}");
}

/// Guarantees: a page of something else, and a gateway without the page, are told from one that is
/// not there.
#[tokio::test]
async fn a_gateway_that_cannot_tell_its_clients_is_named_with_the_mend() {
    let pki = TestPki::new();
    pki.write("both.crt", pki.ca.pem() + &pki.other_ca.pem());
    let without = config(&pki, "127.0.0.1:0").replace("  extensions: [zpages]\n", "");
    pki.write("gateway.yaml", without);
    let (code, said) = doctor(&pki, &["--new-ca", "both.crt"]).await;
    assert_eq!(code, Some(1), "{said}");
    for part in ["has no zpages extension on TCP to ask", "[status_unreachable]", "--status"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    // The OTLP port itself is no status page.
    let gateway = RunningGateway::start(&config(&pki, "127.0.0.1:0")).await;
    let status = format!("http://{}", gateway.grpc());
    let (code, said) = doctor(&pki, &["--new-ca", "both.crt", "--status", &status]).await;
    assert!(said.contains("does not tell which clients it has seen"), "{said}");
    assert_eq!(code, Some(1), "{said}");
    gateway.stop().await;
}
