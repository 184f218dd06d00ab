//! The pages over real sockets.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::config::sections::{
    Config, Exporter, Extension, HealthCheck, MetricNames, MetricsReader, Pipeline, PipelineId,
    Service, Telemetry,
};
use crate::config::types::{ComponentId, ListenAddress};
use crate::extension::{Extensions, ListenerLine, Readiness, Surface};
use crate::metrics::Metrics;
use crate::signal::Signal;
use crate::telemetry::Recent;
use crate::tls::reload::ReloadStatus;
use crate::tls::seen::Seen;

fn id(kind: &str) -> ComponentId {
    ComponentId { kind: kind.to_owned(), name: None }
}

fn config(health: HealthCheck, reader_port: u16) -> Config {
    let extensions = BTreeMap::from([
        (id("health_check"), Extension::HealthCheck(health)),
        (id("zpages"), Extension::Zpages(ListenAddress::Tcp("127.0.0.1:0".to_owned()))),
    ]);
    let pipeline = Pipeline {
        receivers: vec![id("otlp")],
        processors: Vec::new(),
        exporters: vec![id("debug")],
    };
    let reader = MetricsReader {
        key_path: "service.telemetry.metrics.readers[0]".to_owned(),
        host: "127.0.0.1".to_owned(),
        port: reader_port,
        names: MetricNames::default(),
    };
    Config {
        receivers: BTreeMap::new(),
        processors: BTreeMap::new(),
        exporters: BTreeMap::new(),
        extensions,
        service: Service {
            extensions: vec![id("health_check"), id("zpages")],
            pipelines: BTreeMap::from([(
                PipelineId { signal: Signal::Traces, name: None },
                pipeline,
            )]),
            telemetry: Telemetry { metrics_readers: vec![reader], ..Telemetry::default() },
            workers: None,
            side_threads: None,
            max_edited_bytes: Service::MAX_EDITED_BYTES,
            shutdown_timeout: Duration::from_secs(1),
        },
    }
}

fn health() -> HealthCheck {
    HealthCheck {
        key_path: "extensions.health_check".to_owned(),
        listen: ListenAddress::Tcp("127.0.0.1:0".to_owned()),
        path: "/".to_owned(),
        healthy_body: None,
        unhealthy_body: None,
        tls: None,
        timeout: Duration::from_secs(5),
    }
}

struct Running {
    readiness: Readiness,
    metrics: Metrics,
    health: std::net::SocketAddr,
    zpages: std::net::SocketAddr,
    reader: Option<std::net::SocketAddr>,
    _task: tokio::task::JoinHandle<()>,
}

async fn start(config: &Config) -> Running {
    let readiness = Readiness::starting();
    let metrics = Metrics::default();
    let surface = Surface {
        metrics: metrics.clone(),
        readiness: readiness.clone(),
        recent: Recent::default(),
        listeners: vec![ListenerLine {
            key_path: "receivers.otlp.protocols.grpc".to_owned(),
            address: "127.0.0.1:4317".to_owned(),
            security: "mTLS",
        }],
        reloads: ReloadStatus::default(),
        seen: Seen::default(),
        secured: BTreeMap::new(),
    };
    let extensions = Extensions::bind(config, surface).await.unwrap();
    let addresses: BTreeMap<_, _> = extensions.addresses().into_iter().collect();
    Running {
        readiness,
        metrics,
        health: addresses["extensions.health_check"],
        zpages: addresses["extensions.zpages"],
        reader: addresses.get("service.telemetry.metrics.readers[0]").copied(),
        _task: tokio::spawn(extensions.run(std::future::pending())),
    }
}

async fn ask(address: std::net::SocketAddr, request: &str) -> String {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    tokio::time::timeout(Duration::from_secs(10), exchange).await.unwrap()
}

async fn get(address: std::net::SocketAddr, path: &str) -> String {
    ask(address, &format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n")).await
}

#[tokio::test]
async fn health_is_503_until_ready_200_then_503_while_draining() {
    let running = start(&config(health(), 0)).await;
    let answer = get(running.health, "/").await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("Server not available"), "{answer}");
    running.readiness.set_ready();
    let answer = get(running.health, "/").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["status"], "Server available");
    assert!(body["upSince"].as_str().is_some_and(|text| text.ends_with('Z')));
    assert!(body["uptime"].as_str().is_some_and(|text| text.ends_with('s')));
    running.readiness.set_draining();
    running.readiness.set_ready();
    assert!(get(running.health, "/").await.starts_with("HTTP/1.1 503 "));
}

/// Scenario: twice as many connections as are served at one time are open and say nothing.
/// Guarantees: a probe is answered at once all the same; probes that time out end the process.
#[tokio::test]
async fn silent_connections_keep_no_probe_waiting() {
    let running = start(&config(health(), 0)).await;
    running.readiness.set_ready();
    let mut silent = Vec::new();
    for _ in 0..256 {
        silent.push(TcpStream::connect(running.health).await.unwrap());
    }
    let start = tokio::time::Instant::now();
    for _ in 0..3 {
        assert!(get(running.health, "/").await.starts_with("HTTP/1.1 200 "));
    }
    // Those that say nothing have five seconds.
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}

#[tokio::test]
async fn health_has_the_configured_path_and_bodies() {
    let settings = HealthCheck {
        path: "/healthz".to_owned(),
        healthy_body: Some("fine".to_owned()),
        ..health()
    };
    let running = start(&config(settings, 0)).await;
    running.readiness.set_ready();
    assert!(get(running.health, "/healthz").await.ends_with("\r\n\r\nfine"));
    let answer = get(running.health, "/").await;
    assert!(answer.starts_with("HTTP/1.1 404 ") && answer.contains("/healthz"), "{answer}");
}

#[tokio::test]
async fn metrics_are_served_and_other_methods_are_refused() {
    let running = start(&config(health(), 0)).await;
    running.metrics.refusal("body_too_large");
    let reader = running.reader.unwrap();
    let answer = get(reader, "/metrics").await;
    assert!(answer.contains("portcullis_requests_refused_total"), "{answer}");
    assert!(answer.contains("text/plain; version=0.0.4"), "{answer}");
    assert!(get(reader, "/").await.starts_with("HTTP/1.1 404 "));
    let answer = ask(reader, "POST /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
}

#[tokio::test]
async fn a_taken_metrics_port_is_no_reason_to_stop() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let running = start(&config(health(), taken.local_addr().unwrap().port())).await;
    assert!(running.reader.is_none());
}

#[tokio::test]
async fn a_taken_health_port_names_its_key_and_address() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let settings = HealthCheck { listen: ListenAddress::Tcp(address.clone()), ..health() };
    let surface = Surface {
        metrics: Metrics::default(),
        readiness: Readiness::starting(),
        recent: Recent::default(),
        listeners: Vec::new(),
        reloads: ReloadStatus::default(),
        seen: Seen::default(),
        secured: BTreeMap::new(),
    };
    let error = Extensions::bind(&config(settings, 0), surface).await.err().unwrap();
    let text = error.to_string();
    assert!(text.contains("extensions.health_check") && text.contains(&address), "{text}");
}

#[tokio::test]
async fn the_status_page_shows_pipelines_and_refuses_foreign_host_names() {
    let running = start(&config(health(), 0)).await;
    running.readiness.set_ready();
    let answer = get(running.zpages, "/debug/servicez").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    for text in ["receivers.otlp.protocols.grpc", "mTLS", "<td>traces</td>", "default-src 'none'"] {
        assert!(answer.contains(text), "{text} in {answer}");
    }
    let rebound = "GET / HTTP/1.1\r\nHost: rebound.example\r\n\r\n";
    assert!(ask(running.zpages, rebound).await.starts_with("HTTP/1.1 421 "));
}

/// Guarantees: whoever looks at the page sees which exporter fails, since when and why.
#[tokio::test]
async fn the_status_page_shows_what_became_of_the_batches_of_each_exporter() {
    let mut config = config(health(), 0);
    config.exporters.insert(id("nop"), Exporter::Nop);
    let running = start(&config).await;
    assert!(get(running.zpages, "/debug/").await.contains("none since the start"));
    let exporter = running.metrics.exporter(&id("nop"), "b.example", 1, None);
    exporter.sent(Signal::Logs, 7);
    exporter.send_failed(Signal::Traces, 2);
    exporter.said_of_failure("upstream_refused", "nothing <listens> there");
    let answer = get(running.zpages, "/debug").await;
    for text in [
        "<td>nop</td><td>nowhere</td><td>7</td><td>2</td>",
        "upstream_refused: nothing &lt;listens&gt; there",
    ] {
        assert!(answer.contains(text), "{text} in {answer}");
    }
}
