//! Proxies that the environment names, with the program as people start it.

use std::net::SocketAddr;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::timeout;

use super::backend::{Backend, Reply, Terms, h2, http1, page, tls};
use super::ports;
use super::proxies::{CREDENTIALS, Proxy};
use crate::support::agent::{self, span};
use crate::support::eventually::DEADLINE;
use crate::support::pki::{TestPki, server_params};

/// The program with this configuration, and of all variables of proxies these.
fn program(
    pki: &TestPki,
    yaml: &str,
    variables: &[(&str, &str)],
) -> (Child, Lines<BufReader<ChildStderr>>) {
    pki.write("config.yaml", yaml);
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    let mut program = command
        .args(["--config", "config.yaml"])
        .current_dir(pki.dir())
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let log = BufReader::new(program.stderr.take().unwrap()).lines();
    (program, log)
}

/// One pipeline through all exporters, to names that a proxy knows and to this host, and one to what
/// is taken out.
fn six_ways(grpc: SocketAddr, web: SocketAddr) -> String {
    format!(
        "receivers:
  otlp: {{ protocols: {{ grpc: {{ endpoint: '127.0.0.1:0' }} }} }}
  otlp/spared: {{ protocols: {{ grpc: {{ endpoint: '127.0.0.1:0' }} }} }}
exporters:
  otlp_grpc: {{ endpoint: 'grpc.example:4317', tls: {{ ca_file: ca.crt }} }}
  otlp_grpc/clear: {{ endpoint: 'clear.example:4317', tls: {{ insecure: true }} }}
  otlp_http: {{ endpoint: 'https://web.example:4318', tls: {{ ca_file: ca.crt }} }}
  otlp_http/clear: {{ endpoint: 'http://plain.example:4318' }}
  otlp_grpc/near: {{ endpoint: '{}', tls: {{ insecure: true }} }}
  otlp_http/near: {{ endpoint: 'http://localhost:{}' }}
  otlp_http/spared: {{ endpoint: 'http://no..such:4318' }}
service:
  pipelines:
    traces:
      receivers: [otlp]
      exporters: [otlp_grpc, otlp_grpc/clear, otlp_http, otlp_http/clear, otlp_grpc/near, otlp_http/near]
    traces/spared: {{ receivers: [otlp/spared], exporters: [otlp_http/spared] }}
  telemetry: {{ metrics: {{ level: none }}, logs: {{ encoding: json }} }}
",
        grpc,
        web.port()
    )
}

/// What the program says that it listens on, such as "KEY ADDRESS, KEY ADDRESS".
async fn listeners(log: &mut Lines<BufReader<ChildStderr>>, said: &mut String) -> String {
    loop {
        let line = timeout(DEADLINE, log.next_line()).await.unwrap().unwrap().unwrap();
        said.push_str(&line);
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        if let Some(listeners) = line["listeners"].as_str() {
            return listeners.to_owned();
        }
    }
}

fn address(listeners: &str, key: &str) -> SocketAddr {
    let mut words = listeners.split([' ', ',']).filter(|word| !word.is_empty());
    words.find(|word| *word == key).unwrap();
    words.next().unwrap().parse().unwrap()
}

/// Scenario: variables for both schemes, whose proxies alone know the names of upstreams; two
/// upstreams on this host; one that `NO_PROXY` takes out; and a variable that Go does not read.
/// Guarantees: as in Go, each scheme goes through its proxy, TLS and gRPC in a tunnel, gRPC also in the
/// clear; this host is reached without; what is taken out is looked for directly; no password is in the log.
#[tokio::test]
async fn the_environment_leads_exporters_as_it_does_in_go() {
    let pki = TestPki::new();
    let leaf = pki.ca.issue(server_params(&["grpc.example", "web.example"]));
    let h2_only = tls(&leaf, &Terms { alpn: &[b"h2"], ..Terms::default() });
    let old_only = tls(&leaf, &Terms { alpn: &[b"http/1.1"], ..Terms::default() });
    let answer = || http1(page("200 OK", "content-type: application/x-protobuf\r\n", ""), true);
    let grpc = Backend::start(Some(h2_only), h2(|_| Reply::ok())).await;
    let clear = Backend::start(None, h2(|_| Reply::ok())).await;
    let web = Backend::start(Some(old_only), answer()).await;
    let plain = Backend::start(None, answer()).await;
    let near_grpc = Backend::start(None, h2(|_| Reply::ok())).await;
    let near_web = Backend::start(None, answer()).await;
    let tunnels = [
        ("grpc.example:", grpc.address),
        ("clear.example:", clear.address),
        ("web.example:", web.address),
    ];
    let secure = Proxy::leading(&tunnels).await;
    let open = Proxy::leading(&[("plain.example:", plain.address)]).await;
    let (dead, _held) = ports::closed();
    let yaml = six_ways(near_grpc.address, near_web.address);
    let (secure_url, open_url, dead) = (secure.url(), open.url(), format!("http://{dead}"));
    let variables = [
        ("https_proxy", &*secure_url),
        ("HTTP_PROXY", &open_url),
        ("http_proxy", &dead),
        ("ALL_PROXY", &dead),
        ("NO_PROXY", "192.0.2.0/24, .such"),
    ];
    let (mut program, mut log) = program(&pki, &yaml, &variables);
    let mut said = String::new();
    let listeners = listeners(&mut log, &mut said).await;
    let address = |key| address(&listeners, key);
    let mut client = agent::plaintext(address("receivers.otlp.protocols.grpc")).await;
    client.export(span("through proxies")).await.unwrap();
    let mut client = agent::plaintext(address("receivers.otlp/spared.protocols.grpc")).await;
    let told = client.export(span("spared")).await.unwrap_err();
    assert!(told.message().contains("the name no..such cannot be resolved"), "{told:?}");
    for backend in [&grpc, &clear, &web, &plain, &near_grpc, &near_web] {
        assert_eq!(backend.seen.requests().len(), 1);
    }
    program.start_kill().unwrap();
    while let Ok(Some(line)) = timeout(DEADLINE, log.next_line()).await.unwrap() {
        said.push_str(&line);
    }
    assert!(!said.contains("pa55") && !said.contains("bWU6"), "{said}");
    let mut asked: Vec<_> = secure.asked().iter().chain(&open.asked()).cloned().collect();
    for head in &asked {
        assert!(head.to_lowercase().contains(&CREDENTIALS.to_lowercase()), "{head}");
    }
    asked.iter_mut().for_each(|head| head.truncate(head.find("\r\n").unwrap()));
    asked.sort();
    asked.dedup();
    assert_eq!(
        asked,
        [
            "CONNECT clear.example:4317 HTTP/1.1",
            "CONNECT grpc.example:4317 HTTP/1.1",
            "CONNECT web.example:4318 HTTP/1.1",
            "POST http://plain.example:4318/v1/traces HTTP/1.1",
        ]
    );
}

/// Scenario: variables that name a proxy of another kind, or none at all.
/// Guarantees: the program does not start and go another way: it says which variable, and why, without
/// the password.
#[tokio::test]
async fn a_variable_that_cannot_be_used_is_refused_at_start() {
    let pki = TestPki::new();
    for (exporter, variable, value, says) in [
        (
            "otlp_grpc: { endpoint: 'backend.example:4317' }",
            "HTTPS_PROXY",
            "socks5://me:pa55@p:1",
            "names a proxy of scheme \"socks5\"",
        ),
        (
            "otlp_http: { endpoint: 'http://backend.example' }",
            "http_proxy",
            "https://me:pa55@p:1",
            "names a proxy of scheme \"https\"",
        ),
        (
            "otlp_http: { endpoint: 'http://backend.example' }",
            "HTTP_PROXY",
            "me:pa55@ p:1",
            "is not the URL of an http:// proxy",
        ),
    ] {
        let name = exporter.split_once(':').unwrap().0;
        let yaml = format!(
            "receivers: {{ otlp: {{ protocols: {{ grpc: {{ endpoint: '127.0.0.1:0' }} }} }} }}
exporters: {{ {exporter} }}
service:
  pipelines: {{ traces: {{ receivers: [otlp], exporters: [{name}] }} }}
  telemetry: {{ metrics: {{ level: none }} }}
"
        );
        let (mut program, mut log) = program(&pki, &yaml, &[(variable, value)]);
        let mut said = String::new();
        while let Ok(Some(line)) = timeout(DEADLINE, log.next_line()).await.unwrap() {
            said.push_str(&line);
            said.push('\n');
        }
        let status = timeout(DEADLINE, program.wait()).await.unwrap().unwrap();
        assert_eq!(status.code(), Some(1), "{said}");
        let says = format!("the environment's variable {variable} {says}");
        assert!(said.contains(&says), "{says:?} is not in {said}");
        assert!(!said.contains("pa55"), "{said}");
    }
}
