//! Proxies that the environment names, with the program as people start it.

use std::process::Stdio;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::backend::{Backend, Reply, Terms, h2, http1, page, tls};
use crate::support::agent::{self, span};
use crate::support::eventually::DEADLINE;
use crate::support::pki::{TestPki, server_params};

/// A proxy that leads every tunnel to one address, and notes what it was asked.
async fn proxy(to: std::net::SocketAddr) -> (String, Arc<Mutex<Vec<String>>>, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://me:pa55@{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let noting = Arc::clone(&asked);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut relaying = JoinSet::new();
        while let Ok((mut client, _)) = listener.accept().await {
            let asked = Arc::clone(&noting);
            relaying.spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(client.read_u8().await.unwrap());
                }
                asked.lock().unwrap().push(String::from_utf8(head).unwrap());
                client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                let mut upstream = TcpStream::connect(to).await.unwrap();
                let _ended = tokio::io::copy_bidirectional(&mut client, &mut upstream).await;
            });
        }
    });
    (url, asked, tasks)
}

/// Scenario: `HTTPS_PROXY` is set, and the upstream's name is known to the proxy alone.
/// Guarantees: both exporters ask it for a tunnel, with the password that it wants, and TLS goes
/// through it to the upstream, whose name is verified; the password is not in the log.
#[tokio::test]
async fn both_exporters_reach_an_upstream_through_the_proxy_of_the_environment() {
    let pki = TestPki::new();
    let leaf = pki.ca.issue(server_params(&["backend.example"]));
    let grpc = tls(&leaf, &Terms { alpn: &[b"h2"], ..Terms::default() });
    let http = tls(&leaf, &Terms { alpn: &[b"http/1.1"], ..Terms::default() });
    let grpc = Backend::start(Some(grpc), h2(|_| Reply::ok())).await;
    let answer = page("200 OK", "content-type: application/x-protobuf\r\n", "");
    let http = Backend::start(Some(http), http1(answer, true)).await;
    for (backend, exporter, block) in [
        (&grpc, "otlp_grpc", "endpoint: 'backend.example:4317'"),
        (&http, "otlp_http", "endpoint: 'https://backend.example:4318'"),
    ] {
        let (url, asked, _tasks) = proxy(backend.address).await;
        pki.write(
            "config.yaml",
            format!(
                "receivers: {{ otlp: {{ protocols: {{ grpc: {{ endpoint: '127.0.0.1:0' }} }} }} }}
exporters: {{ {exporter}: {{ {block}, tls: {{ ca_file: ca.crt }} }} }}
service:
  pipelines: {{ traces: {{ receivers: [otlp], exporters: [{exporter}] }} }}
  telemetry: {{ metrics: {{ level: none }}, logs: {{ encoding: json }} }}
"
            ),
        );
        let mut program = Command::new(env!("CARGO_BIN_EXE_portcullis"))
            .args(["--config", "config.yaml"])
            .current_dir(pki.dir())
            .env("HTTPS_PROXY", &url)
            .env_remove("NO_PROXY")
            .env_remove("no_proxy")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut log = BufReader::new(program.stderr.take().unwrap()).lines();
        let mut said = String::new();
        let address = loop {
            let line = timeout(DEADLINE, log.next_line()).await.unwrap().unwrap().unwrap();
            said.push_str(&line);
            let line: serde_json::Value = serde_json::from_str(&line).unwrap();
            if let Some(listeners) = line["listeners"].as_str() {
                break listeners.split(' ').nth(1).unwrap().parse().unwrap();
            }
        };
        let mut client = agent::plaintext(address).await;
        client.export(span("through a proxy")).await.unwrap();
        assert_eq!(backend.seen.requests().len(), 1);
        program.start_kill().unwrap();
        while let Ok(Some(line)) = timeout(DEADLINE, log.next_line()).await.unwrap() {
            said.push_str(&line);
        }
        let asked = asked.lock().unwrap();
        assert!(asked[0].starts_with("CONNECT backend.example:431"), "{asked:?}");
        assert!(asked[0].contains("Proxy-Authorization: Basic "), "{asked:?}");
        assert!(!said.contains("pa55"), "{said}");
    }
}
