use std::collections::BTreeMap;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;
use crate::config::sections::{
    ClientAuth, Exporter, GrpcServer, OtlpReceiver, Pipeline, PipelineId, Server, ServerTls,
    Service, Telemetry,
};
use crate::config::types::{ComponentId, ListenAddress};
use crate::signal::Signal;
use crate::tls::testing::{TestPki, server_tls};

fn id(kind: &str) -> ComponentId {
    ComponentId { kind: kind.to_owned(), name: None }
}

/// One plaintext receiver on a free port, one pipeline, nothing behind it.
fn config() -> Config {
    let server = Server::at(KEY, ListenAddress::Tcp("127.0.0.1:0".to_owned()));
    let grpc = GrpcServer { server, read_buffer_size: 512 << 10, write_buffer_size: 32 << 10 };
    let pipeline = Pipeline {
        receivers: vec![id("otlp")],
        processors: Vec::new(),
        exporters: vec![id("nop")],
    };
    let pipelines = BTreeMap::from([(PipelineId { signal: Signal::Traces, name: None }, pipeline)]);
    Config {
        receivers: BTreeMap::from([(id("otlp"), OtlpReceiver { grpc: Some(grpc), http: None })]),
        processors: BTreeMap::new(),
        exporters: BTreeMap::from([(id("nop"), Exporter::Nop)]),
        extensions: BTreeMap::new(),
        service: Service {
            extensions: Vec::new(),
            pipelines,
            telemetry: Telemetry::default(),
            workers: Some(2),
            side_threads: None,
            max_edited_bytes: Service::MAX_EDITED_BYTES,
            shutdown_timeout: Duration::from_secs(10),
        },
    }
}

/// Scenario: a gateway from a configuration made by hand gets one request and is asked to drain.
/// Guarantees: the request is answered, and the end leaves nothing behind.
#[tokio::test]
async fn a_gateway_answers_and_drains() {
    let gateway = Gateway::build(config()).await.unwrap();
    let address = gateway.address(KEY).unwrap();
    let (requests, inbox) = mpsc::channel(1);
    let running = tokio::spawn(gateway.run(inbox));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 "), "{answer}");
    requests.send(Request::Drain).await.unwrap();
    assert_eq!(running.await.unwrap().unwrap(), Ended { unanswered: 0 });
}

/// Guarantees: `service.side_threads` is how much long work is done at a time, and each processor
/// does some without it.
#[tokio::test]
async fn long_work_has_the_room_that_the_configuration_gives_it() {
    for (configured, expected) in [(Some(1), 1), (Some(3), 3), (None, load::cores())] {
        let mut config = config();
        config.service.side_threads = configured;
        let loaded = Loaded::load(config, Metrics::default()).unwrap();
        assert_eq!(loaded.plan.endpoints[0].receiver.aside().room(), expected);
    }
}

/// Scenario: two gateways with the same port.
/// Guarantees: the second is not built, and its error names key, port, holder and a next step.
#[tokio::test]
async fn a_taken_port_is_reported_with_key_and_holder() {
    let first = Gateway::build(config()).await.unwrap();
    let mut second = config();
    let address = first.address(KEY).unwrap();
    let receiver = second.receivers.get_mut(&id("otlp")).unwrap();
    receiver.grpc.as_mut().unwrap().server.listen = ListenAddress::Tcp(address.to_string());
    let Err(error) = Gateway::build(second).await else { panic!("it was built") };
    let text = error.to_string();
    let expected = format!("receivers.otlp.protocols.grpc.endpoint: {address} is taken by ");
    assert!(text.starts_with(&expected), "{text}");
    assert!(text.contains(&format!("(pid {})", std::process::id())), "{text}");
}

/// Scenario: the same listener with each way to treat client certificates.
/// Guarantees: start-up line and status page say mTLS only where a certificate is demanded.
#[tokio::test]
async fn a_listener_is_called_mtls_only_if_it_demands_certificates() {
    let pki = TestPki::new();
    let demanding = server_tls(&pki);
    let with = |client_auth| ServerTls { client_auth, ..demanding.clone() };
    let cases = [
        (None, "plaintext"),
        (Some(ServerTls { client_ca: None, ..demanding.clone() }), "TLS"),
        (Some(with(ClientAuth::Optional)), "TLS, client certificates optional"),
        (Some(with(ClientAuth::ReportOnly)), "TLS, client certificates only reported"),
        (Some(with(ClientAuth::Require)), "mTLS"),
    ];
    for (tls, expected) in cases {
        let mut config = config();
        let receiver = config.receivers.get_mut(&id("otlp")).unwrap();
        receiver.grpc.as_mut().unwrap().server.tls = tls;
        let gateway = Gateway::build(config).await.unwrap();
        assert_eq!(gateway.lines()[0].security, expected);
    }
}

const KEY: &str = "receivers.otlp.protocols.grpc";
