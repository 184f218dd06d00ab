//! Trust is withdrawn while connections are open.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use prost::Message as _;
use rcgen::{CertificateRevocationListParams, KeyIdMethod, RevokedCertParams, SerialNumber};
use time::OffsetDateTime;
use tokio::time::{Instant, sleep, timeout};

use crate::lifecycle::mtls;
use crate::reload::connect;
use crate::support::agent::{self, span};
use crate::support::eventually::DEADLINE;
use crate::support::gateway::RunningGateway;
use crate::support::pki::{Leaf, TestPki, client_params};
use crate::support::upstream::Upstream;

/// A gateway whose client CAs are in `clients.crt`, with more keys in its `tls` blocks.
async fn gateway(upstream: &Upstream, pki: &TestPki, more: &str) -> RunningGateway {
    let dir = pki.dir().display().to_string();
    let clients = format!("client_ca_file: {dir}/clients.crt{more}");
    let yaml = mtls(upstream, pki).replace(&format!("client_ca_file: {dir}/ca.crt"), &clients);
    RunningGateway::start(&yaml).await
}

fn replace(pki: &TestPki, name: &str, content: &str) {
    let fresh = pki.write(&format!(".{name}.new"), content);
    fs::rename(fresh, pki.path(name)).unwrap();
}

/// Sends without a pause over one client until told to stop, and counts.
struct Steady {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<Vec<tonic::Status>>,
}

impl Steady {
    async fn start(address: SocketAddr, pki: &TestPki, leaf: &Leaf) -> Self {
        let mut client = agent::mtls(address, pki, Some(leaf)).await.unwrap();
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (stopping, sending) = (Arc::clone(&stop), Arc::clone(&sent));
        let task = tokio::spawn(async move {
            let mut errors = Vec::new();
            while !stopping.load(Ordering::SeqCst) {
                match client.export(span("steady")).await {
                    Ok(_) => drop(sending.fetch_add(1, Ordering::SeqCst)),
                    Err(status) => errors.push(status),
                }
                sleep(Duration::from_millis(2)).await;
            }
            errors
        });
        Self { stop, sent, task }
    }

    async fn errors(self) -> Vec<tonic::Status> {
        self.stop.store(true, Ordering::SeqCst);
        assert!(self.sent.load(Ordering::SeqCst) > 0);
        self.task.await.unwrap()
    }
}

/// One HTTP/1.1 connection that is kept.
async fn http1(address: SocketAddr, pki: &TestPki, leaf: &Leaf) -> SendRequest<Full<Bytes>> {
    let stream = connect(address, pki, leaf, &[b"http/1.1"]).await;
    let (sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

/// Status, `Connection` header and body of one post, or that the connection is gone.
async fn post(sender: &mut SendRequest<Full<Bytes>>) -> hyper::Result<(u16, String, String)> {
    let request = Request::post("/v1/traces")
        .header("host", "localhost")
        .header("content-type", "application/x-protobuf")
        .body(Full::new(Bytes::from(span("h1").encode_to_vec())))
        .unwrap();
    let answer = timeout(DEADLINE, sender.send_request(request)).await.unwrap()?;
    let status = answer.status().as_u16();
    let close = answer.headers().get("connection").map(|value| value.to_str().unwrap().to_owned());
    let body = answer.into_body().collect().await?.to_bytes();
    Ok((status, close.unwrap_or_default(), String::from_utf8_lossy(&body).into_owned()))
}

/// Scenario: two clients of two CAs send all the time over HTTP/2 and one over HTTP/1.1; one CA is
/// taken out of the bundle.
/// Guarantees: who lost its CA is told so (401, `Connection: close`, a reason) and cannot go on;
/// the other client has no error at all.
#[tokio::test]
async fn a_removed_ca_ends_its_clients_connections_and_no_others() {
    let pki = TestPki::new();
    let upstream = Upstream::mtls(&pki).await;
    pki.write("clients.crt", format!("{}{}", pki.ca.pem(), pki.other_ca.pem()));
    let gateway = gateway(&upstream, &pki, "").await;
    let stays = Steady::start(gateway.grpc(), &pki, &pki.client).await;
    let goes = Steady::start(gateway.grpc(), &pki, &pki.other_client).await;
    let mut old = http1(gateway.http(), &pki, &pki.other_client).await;
    let mut kept = http1(gateway.http(), &pki, &pki.client).await;
    assert_eq!(post(&mut old).await.unwrap().0, 200);
    replace(&pki, "clients.crt", &pki.ca.pem());
    let deadline = Instant::now() + DEADLINE;
    loop {
        let before = goes.sent.load(Ordering::SeqCst);
        sleep(Duration::from_millis(200)).await;
        if goes.sent.load(Ordering::SeqCst) == before {
            break;
        }
        assert!(Instant::now() < deadline, "the distrusted client is still served");
    }
    let (status, close, body) = post(&mut old).await.unwrap();
    assert_eq!((status, close.as_str()), (401, "close"), "{body}");
    assert!(body.contains("not accepted any more"), "{body}");
    assert_eq!(post(&mut kept).await.unwrap().0, 200);
    assert!(!goes.errors().await.is_empty());
    assert!(stays.errors().await.is_empty());
    gateway.stop().await;
}

/// Scenario: the certificate of a kept HTTP/1.1 connection ends while the connection is used.
/// Guarantees: it is refused within two seconds of the end, without any reload.
#[tokio::test]
async fn a_client_certificate_that_ends_ends_its_connection() {
    let pki = TestPki::new();
    let upstream = Upstream::mtls(&pki).await;
    pki.write("clients.crt", pki.ca.pem());
    let gateway = gateway(&upstream, &pki, "").await;
    let mut params = client_params("short");
    let end = OffsetDateTime::now_utc() + Duration::from_secs(4);
    params.not_after = end;
    let leaf = pki.ca.issue(params);
    let stays = Steady::start(gateway.grpc(), &pki, &pki.client).await;
    let mut sender = http1(gateway.http(), &pki, &leaf).await;
    assert_eq!(post(&mut sender).await.unwrap().0, 200);
    let judged = end + Duration::from_secs(2);
    while OffsetDateTime::now_utc() < judged {
        sleep(Duration::from_millis(20)).await;
    }
    let (status, close, body) = post(&mut sender).await.unwrap();
    assert_eq!((status, close.as_str()), (401, "close"), "{body}");
    assert!(body.contains("expired"), "{body}");
    assert!(stays.errors().await.is_empty());
    gateway.stop().await;
}

fn list(pki: &TestPki, number: u64, revoked: &[u64]) -> String {
    let now = OffsetDateTime::now_utc();
    let revoked = revoked.iter().map(|serial| RevokedCertParams {
        serial_number: SerialNumber::from(*serial),
        revocation_time: now,
        reason_code: None,
        invalidity_date: None,
    });
    CertificateRevocationListParams {
        this_update: now - Duration::from_secs(60),
        next_update: now + Duration::from_secs(86400),
        crl_number: SerialNumber::from(number),
        issuing_distribution_point: None,
        revoked_certs: revoked.collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    }
    .signed_by(&pki.ca.issuer)
    .unwrap()
    .pem()
    .unwrap()
}

/// Scenario: a list is published that names the certificate of an open, idle HTTP/1.1 connection
/// and of a busy HTTP/2 one.
/// Guarantees: both are cut with the reload, the idle one without waiting for a request; another
/// client of the same CA has no error.
#[tokio::test]
async fn a_revoked_client_is_cut_at_once() {
    let pki = TestPki::new();
    let upstream = Upstream::mtls(&pki).await;
    pki.write("clients.crt", pki.ca.pem());
    pki.write("clients.crl", list(&pki, 1, &[]));
    let crl = format!(", client_crl_file: {}", pki.path("clients.crl").display());
    let gateway = gateway(&upstream, &pki, &crl).await;
    let mut params = client_params("stolen");
    params.serial_number = Some(SerialNumber::from(4711_u64));
    let leaf = pki.ca.issue(params);
    let stays = Steady::start(gateway.grpc(), &pki, &pki.client).await;
    let goes = Steady::start(gateway.grpc(), &pki, &leaf).await;
    let mut idle = http1(gateway.http(), &pki, &leaf).await;
    assert_eq!(post(&mut idle).await.unwrap().0, 200);
    let start = Instant::now();
    replace(&pki, "clients.crl", &list(&pki, 2, &[4711]));
    while !idle.is_closed() {
        // Well before the grace of a connection that is merely not trusted any more.
        assert!(start.elapsed() < Duration::from_secs(5), "a revoked client is still connected");
        sleep(Duration::from_millis(5)).await;
    }
    let deadline = Instant::now() + DEADLINE;
    loop {
        let before = goes.sent.load(Ordering::SeqCst);
        sleep(Duration::from_millis(200)).await;
        if goes.sent.load(Ordering::SeqCst) == before {
            break;
        }
        assert!(Instant::now() < deadline, "the revoked client is still served");
    }
    assert!(!goes.errors().await.is_empty());
    assert!(stays.errors().await.is_empty());
    gateway.stop().await;
}
