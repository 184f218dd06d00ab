//! Upstreams to which there is no connection: each failure says what, to whom, why and what next.

use std::net::SocketAddr;
use std::time::Duration;

use rcgen::date_time_ymd;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};
use tonic::Code;

use crate::config::sections::{ClientTls, GrpcExporter};
use crate::config::types::Upstream;
use crate::exporter::testing::{
    Backend, Reply, ServerOptions, batch, grpc, grpc_config, mtls, server_config,
};
use crate::outcome::{Accepted, Failure};
use crate::signal::Signal;
use crate::tls::testing::{Leaf, TestPki, client_tls, server_params};

async fn failure(config: GrpcExporter) -> Failure {
    let failure = grpc(config).export(&batch(Signal::Traces, b"x")).await.unwrap_err();
    assert_eq!(failure.code, Code::Unavailable, "{}", failure.message);
    assert!(failure.retry_after.is_some());
    failure
}

/// Sends to an upstream with this TLS, over `localhost`.
async fn failure_over(tls: ServerConfig, client: ClientTls) -> (Failure, SocketAddr) {
    let backend = Backend::start(Some(tls), |_, _| Reply::ok()).await;
    let failure = failure(grpc_config(backend.address, Some(client))).await;
    assert!(backend.seen().is_empty(), "nothing is sent");
    (failure, backend.address)
}

fn offering_h2(client_ca: Option<String>) -> ServerOptions {
    ServerOptions { alpn: vec![b"h2".to_vec()], client_ca, ..ServerOptions::default() }
}

/// Asserts on the reason and that the text holds each of these, in this order.
fn assert_says(failure: &Failure, reason: &str, texts: &[&str]) {
    assert_eq!(failure.reason, reason, "{}", failure.message);
    let mut rest = failure.message.as_str();
    for text in texts {
        let Some((_, after)) = rest.split_once(text) else {
            panic!("{text:?} not in {}", failure.message)
        };
        rest = after;
    }
}

#[tokio::test]
async fn a_name_that_cannot_be_resolved_is_named() {
    let mut config = grpc_config(SocketAddr::from(([127, 0, 0, 1], 4317)), None);
    // An empty label never gets as far as a name server.
    config.endpoint = "no..such:4317".to_owned();
    config.upstream = Upstream::Tcp { host: "no..such".to_owned(), port: 4317 };
    let failure = failure(config).await;
    assert_says(
        &failure,
        "upstream_unresolvable",
        &[
            "the gateway's exporter otlp_grpc/up has no connection to no..such:4317: the name no..such cannot be resolved: ",
            "; check the endpoint's spelling and the DNS settings of this host",
        ],
    );
}

#[tokio::test]
async fn a_port_where_nothing_listens_is_named() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let failure = failure(grpc_config(address, None)).await;
    assert_eq!(failure.reason, "upstream_refused");
    assert_eq!(
        failure.message,
        format!(
            "the gateway's exporter otlp_grpc/up has no connection to {address}: {address} refused the connection: nothing listens there; start the upstream or correct the endpoint"
        )
    );
}

/// Scenario: packets to the upstream vanish: its queue of connections is full.
/// Guarantees: the attempt ends with the connect timeout, and an exporter beside it works on.
#[tokio::test]
async fn a_black_hole_costs_the_connect_timeout_and_nobody_else_notices() {
    let hole = TcpSocket::new_v4().unwrap();
    hole.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let hole = hole.listen(1).unwrap();
    let address = hole.local_addr().unwrap();
    let mut queued = Vec::new();
    while let Ok(stream) = timeout(Duration::from_millis(300), TcpStream::connect(address)).await {
        queued.push(stream.unwrap());
        assert!(queued.len() < 16, "the queue never fills");
    }
    let mut config = grpc_config(address, None);
    config.connect_timeout = Duration::from_millis(400);
    let backend = Backend::start(None, |_, _| Reply::ok()).await;
    let healthy = grpc(grpc_config(backend.address, None));
    let beside = async {
        for _ in 0..50 {
            let outcome = healthy.export(&batch(Signal::Traces, b"x")).await;
            assert_eq!(outcome, Ok(Accepted::default()));
        }
    };
    let began = Instant::now();
    let (failure, ()) = tokio::join!(failure(config), beside);
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(failure.reason, "upstream_timeout");
    assert_eq!(
        failure.message,
        format!(
            "the gateway's exporter otlp_grpc/up has no connection to {address}: {address} did not answer within connect_timeout: check that the upstream runs and that no firewall drops the packets"
        )
    );
}

#[tokio::test]
async fn a_port_that_takes_connections_and_says_nothing_is_given_up() {
    let pki = TestPki::new();
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = mute.local_addr().unwrap();
    let mut config = grpc_config(address, Some(client_tls(&pki)));
    config.connect_timeout = Duration::from_millis(200);
    assert_says(
        &failure(config).await,
        "upstream_handshake_timeout",
        &["did not finish the handshake in time", "waits for plaintext?"],
    );
    let mut config = grpc_config(address, None);
    config.connect_timeout = Duration::from_millis(200);
    assert_says(
        &failure(config).await,
        "upstream_timeout",
        &[
            &address.to_string(),
            "did not speak HTTP/2 within connect_timeout: it hangs, or expects something else",
        ],
    );
}

/// Scenario: the upstream trusts another client CA. With TLS 1.3 it says so after our handshake.
/// Guarantees: the failure names our certificate, its issuer and its file, and says what to do.
#[tokio::test]
async fn an_upstream_that_refuses_our_certificate_is_quoted() {
    for only_tls12 in [false, true] {
        let pki = TestPki::new();
        let options = ServerOptions { only_tls12, ..offering_h2(Some(pki.other_ca.pem())) };
        let tls = server_config(&pki.server, options);
        let (failure, address) = failure_over(tls, client_tls(&pki)).await;
        assert_says(
            &failure,
            "upstream_rejected_our_certificate",
            &[
                "the gateway's exporter otlp_grpc/up has no connection to ",
                &format!("TLS to {address}: the upstream "),
                "does not know the CA (alert unknown_ca): it refused our certificate \
                 CN=test-client (issuer CN=Test CA, serial ",
                &pki.path("client.crt").display().to_string(),
                "; the upstream must trust our issuer CN=Test CA (its client CA)",
            ],
        );
    }
}

#[tokio::test]
async fn an_upstream_that_wants_a_certificate_gets_none_and_it_is_said() {
    let pki = TestPki::new();
    let mut client = client_tls(&pki);
    (client.common.cert, client.common.key) = (None, None);
    let (failure, _) = failure_over(mtls(&pki), client).await;
    assert_says(
        &failure,
        "upstream_demands_certificate",
        &[
            "it demands a client certificate, and none is configured",
            "; set `tls.cert_file` and `tls.key_file` of the exporter",
        ],
    );
}

/// Scenario: upstreams whose certificates do not do.
/// Guarantees: each failure names what was presented and what is wrong with it.
#[tokio::test]
async fn an_upstream_with_the_wrong_certificate_is_refused_by_name() {
    let pki = TestPki::new();
    let over = async |leaf: &Leaf| {
        let tls = server_config(leaf, offering_h2(Some(pki.ca.pem())));
        failure_over(tls, client_tls(&pki)).await.0
    };
    let elsewhere = pki.ca.issue(server_params(&["otel.elsewhere.example"]));
    assert_says(
        &over(&elsewhere).await,
        "upstream_name_mismatch",
        &["the upstream presented CN=test-server", "127.0.0.1", "otel.elsewhere.example"],
    );
    assert_says(
        &over(&pki.other_server).await,
        "upstream_unknown_issuer",
        &["the upstream presented CN=test-server (issuer CN=Other CA, serial ", "; "],
    );
    let mut params = server_params(&["127.0.0.1"]);
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
    assert_says(
        &over(&pki.ca.issue(params)).await,
        "upstream_expired",
        &["the upstream presented CN=test-server", "2021", "; "],
    );
}

#[tokio::test]
async fn an_upstream_without_http2_is_no_grpc_upstream() {
    let pki = TestPki::new();
    let without = ServerOptions { client_ca: Some(pki.ca.pem()), ..ServerOptions::default() };
    let (failure, _) = failure_over(server_config(&pki.server, without), client_tls(&pki)).await;
    assert_says(
        &failure,
        "upstream_no_alpn",
        &["the upstream did not agree on HTTP/2 (ALPN h2), which gRPC needs; enable HTTP/2 there"],
    );
}
