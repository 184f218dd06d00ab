//! The health check over TLS, as the Collector's documentation shows it.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;

use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;

use crate::refusals::curl;
use crate::reload::connect;
use crate::support::eventually::{DEADLINE, eventually};
use crate::support::gateway::RunningGateway;
use crate::support::pki::{TestPki, server_params};
use portcullis::{Config, Gateway};

/// The documented block, with more keys of `tls`.
fn yaml(pki: &TestPki, more: &str) -> String {
    let dir = pki.dir().display();
    format!(
        "receivers: {{ otlp: {{ protocols: {{ grpc: {{ endpoint: '127.0.0.1:0' }} }} }} }}\n\
         exporters: {{ nop: }}\n\
         extensions:\n  health_check:\n    endpoint: '127.0.0.1:0'\n    tls:\n      \
         ca_file: '{dir}/ca.crt'\n      cert_file: '{dir}/server.crt'\n      \
         key_file: '{dir}/server.key'\n{more}    path: /health/status\n\
         service:\n  extensions: [health_check]\n  \
         pipelines: {{ traces: {{ receivers: [otlp], exporters: [nop] }} }}\n"
    )
}

/// What curl prints; the gateway runs on this thread's runtime.
async fn ask(pki: &Arc<TestPki>, address: SocketAddr, words: &str) -> String {
    let url = format!("https://localhost:{}/health/status", address.port());
    let (pki, words) = (Arc::clone(pki), format!("--cacert ca.crt {words} {url}"));
    tokio::task::spawn_blocking(move || curl(&pki, &words)).await.unwrap()
}

/// Guarantees: probes over HTTP/1.1 and HTTP/2 are answered, one in the clear is told to use TLS, and
/// a certificate that is replaced is shown.
#[tokio::test]
async fn a_health_check_with_tls_is_answered_over_tls_alone() {
    let pki = Arc::new(TestPki::new());
    let gateway = RunningGateway::start(&yaml(&pki, "")).await;
    let address = gateway.health();
    let http1 = ask(&pki, address, "--http1.1").await;
    assert!(http1.starts_with("HTTP/1.1 200"), "{http1}");
    let http2 = ask(&pki, address, "--http2").await;
    assert!(http2.starts_with("HTTP/2 200"), "{http2}");
    assert!(http2.contains("Server available"), "{http2}");
    let clear = {
        let (pki, words) = (Arc::clone(&pki), format!("http://{address}/health/status"));
        tokio::task::spawn_blocking(move || curl(&pki, &words)).await.unwrap()
    };
    assert!(clear.contains("this port speaks TLS"), "{clear}");
    let next = pki.ca.issue(server_params(&["another.example"]));
    pki.write_pair("server", &next);
    eventually("the reload", || {
        gateway.metric("portcullis_tls_reloads_total{block=\"extensions.health_check.tls\",result=\"success\"}") > 0.5
    })
    .await;
    let other = ask(&pki, address, "--http1.1").await;
    assert!(other.contains("localhost"), "the old name is still served: {other}");
    assert!(!other.contains("200"), "{other}");
    gateway.stop().await;
}

/// Guarantees: with `client_ca_file` a probe needs a certificate; without one it gets no answer.
#[tokio::test]
async fn a_health_check_that_demands_certificates_answers_nobody_without() {
    let pki = Arc::new(TestPki::new());
    let more = format!("      client_ca_file: '{}/ca.crt'\n", pki.dir().display());
    let gateway = RunningGateway::start(&yaml(&pki, &more)).await;
    let known = ask(&pki, gateway.health(), "--cert client.crt --key client.key").await;
    assert!(known.starts_with("HTTP/2 200"), "{known}");
    let unknown = ask(&pki, gateway.health(), "").await;
    assert!(!unknown.contains("200") && unknown.contains("certificate required"), "{unknown}");
    gateway.stop().await;
}

/// Scenario: the CA of a connected probe is taken out of `client_ca_file`.
/// Guarantees: its connection is among those of its CA while it lasts, and is ended long before its
/// deadline, and counted.
#[tokio::test]
async fn a_probe_that_loses_its_trust_is_cut_off() {
    let pki = Arc::new(TestPki::new());
    pki.write("clients.crt", pki.ca.pem());
    let more = format!(
        "      client_ca_file: '{}/clients.crt'\n    read_timeout: 600s\n",
        pki.dir().display()
    );
    let gateway = RunningGateway::start(&yaml(&pki, &more)).await;
    let mut connected = connect(gateway.health(), &pki, &pki.client, &[]).await;
    let of_ca = "portcullis_tls_connections_by_issuer{ca=\"CN=Test CA\"}";
    eventually("its CA to be counted", || gateway.metric(of_ca) > 0.5).await;
    pki.write("clients.crt", pki.other_ca.pem());
    let _cut = timeout(DEADLINE, connected.read_u8()).await.unwrap().unwrap_err();
    let ended = "portcullis_connections_revoked_total{reason=\"client_cert_unknown_issuer\"}";
    eventually("the count", || gateway.metric(ended) > 0.5 && gateway.metric(of_ca) < 0.5).await;
    gateway.stop().await;
}

/// Guarantees: files that cannot be used are refused at start, by the key that names them.
#[tokio::test]
async fn a_health_check_without_its_certificate_does_not_start() {
    let pki = TestPki::new();
    std::fs::remove_file(pki.path("server.crt")).unwrap();
    let config = Config::from_yaml(&yaml(&pki, "")).unwrap();
    let refused = Gateway::build(config).await.map(|_| ()).unwrap_err();
    let text = refused.to_string();
    for part in ["extensions.health_check.tls.cert_file", "server.crt", "file_missing"] {
        assert!(text.contains(part), "{part:?} not in {text}");
    }
}

/// Guarantees: the binary is its own probe of a health check over TLS. It takes the certificate of
/// the named CA, or the named certificate itself, for the right name alone; it shows a certificate of
/// its own where one is demanded; and it says what is missing.
#[tokio::test]
async fn the_binary_probes_a_health_check_over_tls() {
    let pki = Arc::new(TestPki::new());
    let gateway = RunningGateway::start(&yaml(&pki, "")).await;
    let more = format!("      client_ca_file: '{}/ca.crt'\n", pki.dir().display());
    let demanding = RunningGateway::start(&yaml(&pki, &more)).await;
    let own = "--cert-file client.crt --key-file client.key";
    for (gateway, host, words, status, said) in [
        (&gateway, "https://localhost", "--ca-file ca.crt".to_owned(), 0, "ready"),
        (&gateway, "https://localhost", "--ca-file server.crt".to_owned(), 0, "ready"),
        (&gateway, "https://localhost", "--ca-file other-ca.crt".to_owned(), 1, "Other CA"),
        (&gateway, "https://localhost", "--ca-file none.crt".to_owned(), 1, "file_missing"),
        (
            &gateway,
            "https://localhost",
            "--ca-file ca.crt --server-name a.example".to_owned(),
            1,
            "a.example",
        ),
        (&gateway, "http://localhost", "--ca-file ca.crt".to_owned(), 1, "https://"),
        (&gateway, "http://localhost", String::new(), 1, "400"),
        (&demanding, "https://localhost", format!("--ca-file ca.crt {own}"), 0, "ready"),
        (&demanding, "https://localhost", "--ca-file ca.crt".to_owned(), 1, "--cert-file"),
    ] {
        let endpoint = format!("{host}:{}/health/status", gateway.health().port());
        let (pki, line) = (Arc::clone(&pki), format!("healthcheck --endpoint {endpoint} {words}"));
        let run = tokio::task::spawn_blocking(move || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
            command.args(line.split_whitespace()).current_dir(pki.dir()).output().unwrap()
        });
        let run = run.await.unwrap();
        let text = String::from_utf8([run.stdout, run.stderr].concat()).unwrap();
        assert_eq!(run.status.code(), Some(status), "{host} {words}: {text}");
        assert!(text.contains(said), "{host} {words}: {said:?} not in {text}");
    }
    gateway.stop().await;
    demanding.stop().await;
}
