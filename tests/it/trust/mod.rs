//! Trust is withdrawn while connections are open: who is cut off, when, and who does not notice.

mod resumption;
mod senders;

use std::fs;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use rcgen::SerialNumber;
use time::OffsetDateTime;
use tokio::io::AsyncReadExt as _;
use tokio::time::{Instant, timeout};

use crate::lifecycle::mtls;
use crate::refusals::Program;
use crate::support::eventually::{DEADLINE, eventually};
use crate::support::gateway::RunningGateway;
use crate::support::pki::{Leaf, TestPki, client_params};
use crate::support::upstream::Upstream;
use senders::Sender;

/// A gateway that trusts the clients of both CAs, by `clients.crt`.
struct Scene {
    pki: TestPki,
    gateway: RunningGateway,
    _upstream: Upstream,
}

impl Scene {
    /// With more keys in its `tls` blocks.
    async fn new(more: &str) -> Self {
        let pki = TestPki::new();
        let upstream = Upstream::mtls(&pki).await;
        pki.write("clients.crt", pki.ca.pem() + &pki.other_ca.pem());
        pki.write("clients.crl", list(&pki, 1, &[]));
        let dir = pki.dir().display().to_string();
        let clients = format!("client_ca_file: {dir}/clients.crt{more}").replace("DIR", &dir);
        let yaml =
            mtls(&upstream, &pki).replace(&format!("client_ca_file: {dir}/ca.crt"), &clients);
        let gateway = RunningGateway::start(&yaml).await;
        Self { pki, gateway, _upstream: upstream }
    }
}

/// The keys with which the lists of the first CA count; there is none of the other.
const WITH_LIST: &str = ", client_crl_file: DIR/clients.crl, revocation: { unknown: allow }";

fn replace(pki: &TestPki, name: &str, content: &str) {
    let fresh = pki.write(&format!(".{name}.new"), content);
    fs::rename(fresh, pki.path(name)).unwrap();
}

/// A client certificate of the first CA with this serial number.
fn numbered(pki: &TestPki, serial: u64) -> Leaf {
    let mut params = client_params("stolen");
    params.serial_number = Some(SerialNumber::from(serial));
    pki.ca.issue(params)
}

fn list(pki: &TestPki, number: u64, revoked: &[u64]) -> String {
    pki.ca.list(number, revoked, time::Duration::days(1))
}

/// Replaces the list; when it was there, whole.
fn publish(pki: &TestPki, number: u64, revoked: &[u64]) -> Instant {
    replace(pki, "clients.crl", &list(pki, number, revoked));
    Instant::now()
}

/// Waits until both changes of files are in force.
async fn reloaded<F: Future<Output = bool>>(
    gateway: &RunningGateway,
    protocol: &str,
    in_force: impl Fn() -> F,
) {
    let name = format!(
        "portcullis_tls_reloads_total{{block=\"receivers.otlp.protocols.{protocol}.tls\",result=\"success\"}}"
    );
    eventually("a reload", || gateway.metric(&name) > 0.5).await;
    let deadline = Instant::now() + DEADLINE;
    while !in_force().await {
        assert!(Instant::now() < deadline, "the change is not in force");
    }
}

/// Both protocols, each with a request every few milliseconds, served so far.
async fn steady(gateway: &RunningGateway, pki: &TestPki, leaf: Option<&Leaf>) -> [Sender; 2] {
    let both = [
        Sender::grpc(gateway.grpc(), pki, leaf).await,
        Sender::http1(gateway.http(), pki, leaf).await,
    ];
    for sender in &both {
        sender.goes_on(3).await;
    }
    both
}

/// An HTTP/1.1 connection that sends nothing.
async fn kept(gateway: &RunningGateway, pki: &TestPki, leaf: &Leaf) -> SendRequest<Full<Bytes>> {
    let config = senders::client(pki, Some(leaf), &rustls::version::TLS13, "http/1.1");
    let stream = senders::connect(gateway.http(), &config).await.unwrap();
    let shaken = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (sender, connection) = shaken.unwrap();
    tokio::spawn(connection);
    sender
}

/// Status, `Connection` and body of the answer to a post.
async fn refusal(sender: &mut SendRequest<Full<Bytes>>) -> (u16, String, String) {
    let answer = timeout(DEADLINE, sender.send_request(senders::post())).await.unwrap().unwrap();
    let status = answer.status().as_u16();
    let closes = answer.headers().get("connection").map(|value| value.to_str().unwrap().to_owned());
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, closes.unwrap_or_default(), String::from_utf8_lossy(&body).into_owned())
}

/// They are served as if nothing had happened.
async fn did_not_notice(senders: [Sender; 2]) {
    for (sender, fine) in senders.iter().zip([0, 200]) {
        sender.goes_on(3).await;
        sender.was_served_always(fine);
    }
}

/// They were cut off a second after a list was `written` at the latest.
async fn were_cut_off_within_a_second(senders: [Sender; 2], written: Instant) {
    for mut sender in senders {
        let took = sender.ended().await - written;
        assert!(took <= Duration::from_secs(1), "cut off {took:?} after the list was written");
    }
}

/// They were served, then told why not any more and to go, and then cut off, not later than that.
async fn were_told_and_cut_off(senders: [Sender; 2], latest: Instant) {
    for (mut sender, (fine, refused)) in senders.into_iter().zip([(0, 16), (200, 401)]) {
        let late = sender.ended().await.saturating_duration_since(latest);
        assert_eq!(late, Duration::ZERO, "cut off so much too late");
        let told = sender.told();
        let served = told.iter().take_while(|told| told.status == fine).count();
        assert!(served >= 3, "{told:?}");
        let rest = &told[served..];
        assert!(rest.iter().all(|told| told.status == refused), "{rest:?}");
        if refused == 16 {
            assert!(sender.was_told_to_go() && !rest.is_empty(), "{rest:?}");
        } else {
            // The one that was under way is answered, and then nothing can be asked any more.
            assert!(told.last().unwrap().closes && rest.len() <= 1, "{rest:?}");
        }
    }
}

/// Scenario: two clients of one CA send all the time on HTTP/2 and HTTP/1.1, the first has an idle
/// connection, too; a list is published that names the first.
/// Guarantees: every connection of it has ended one second after the list was written; the other
/// client has no error.
#[tokio::test]
async fn t11_a_revoked_client_is_cut_off_within_a_second() {
    let Scene { pki, gateway, _upstream } = Scene::new(WITH_LIST).await;
    let stolen = numbered(&pki, 4711);
    let stays = steady(&gateway, &pki, Some(&pki.client)).await;
    let goes = steady(&gateway, &pki, Some(&stolen)).await;
    let config = senders::client(&pki, Some(&stolen), &rustls::version::TLS13, "h2");
    let mut idle = senders::connect(gateway.http(), &config).await.unwrap();
    let written = publish(&pki, 2, &[4711]);
    were_cut_off_within_a_second(goes, written).await;
    let mut sink = Vec::new();
    let _reset_or_end = idle.read_to_end(&mut sink).await;
    assert!(
        written.elapsed() <= Duration::from_secs(1),
        "the idle one after {:?}",
        written.elapsed()
    );
    did_not_notice(stays).await;
    gateway.stop().await;
}

/// Scenario: the clients of one CA send all the time; their CA is taken out of the bundle.
/// Guarantees: they are refused as UNAUTHENTICATED and 401, told to go by GOAWAY and
/// `Connection: close`, and cut off within the grace even if they do not listen; a client of the
/// other CA has no error.
#[tokio::test]
async fn t11_a_removed_ca_ends_its_clients_connections_and_no_others() {
    let Scene { pki, gateway, _upstream } = Scene::new(", trust_loss_grace: 2s").await;
    let stays = steady(&gateway, &pki, Some(&pki.client)).await;
    let goes = steady(&gateway, &pki, Some(&pki.other_client)).await;
    let mut kept = kept(&gateway, &pki, &pki.other_client).await;
    replace(&pki, "clients.crt", &pki.ca.pem());
    let latest = Instant::now() + Duration::from_secs(1 + 2);
    // Each port has a `tls` block of its own, and learns of it by itself.
    eventually("a refusal over gRPC", || goes[0].told().last().unwrap().status == 16).await;
    eventually("a goodbye over HTTP", || goes[1].told().last().unwrap().closes).await;
    let (status, closes, body) = refusal(&mut kept).await;
    assert_eq!((status, closes.as_str()), (401, "close"), "{body}");
    assert!(body.contains("not accepted any more"), "{body}");
    were_told_and_cut_off(goes, latest).await;
    did_not_notice(stays).await;
    gateway.stop().await;
}

/// Scenario: the certificate of connections in use ends; no file changes.
/// Guarantees: as above, with the second that the certificate's last second lasts.
#[tokio::test]
async fn t12_a_client_certificate_that_ends_ends_its_connections() {
    let Scene { pki, gateway, _upstream } = Scene::new(", trust_loss_grace: 1s").await;
    let stays = steady(&gateway, &pki, Some(&pki.client)).await;
    let mut params = client_params("short");
    let end = OffsetDateTime::now_utc() + Duration::from_secs(4);
    params.not_after = end;
    let goes = steady(&gateway, &pki, Some(&pki.ca.issue(params))).await;
    let left = Duration::try_from(end - OffsetDateTime::now_utc()).unwrap();
    // One second that the last second lasts, one to learn of it, one of grace.
    were_told_and_cut_off(goes, Instant::now() + left + Duration::from_secs(3)).await;
    did_not_notice(stays).await;
    gateway.stop().await;
}

/// Scenario: certificates are optional; one client shows one, which is revoked, another shows none.
/// Guarantees: the first is cut off, for whoever shows a certificate is held to it; the second goes
/// on.
#[tokio::test]
async fn t11_where_certificates_are_optional_a_revoked_one_still_ends_its_connections() {
    let more = format!("{WITH_LIST}, client_auth: optional");
    let Scene { pki, gateway, _upstream } = Scene::new(&more).await;
    let anonymous = steady(&gateway, &pki, None).await;
    let goes = steady(&gateway, &pki, Some(&numbered(&pki, 4711))).await;
    let written = publish(&pki, 2, &[4711]);
    were_cut_off_within_a_second(goes, written).await;
    did_not_notice(anonymous).await;
    gateway.stop().await;
}

/// Scenario: under `report_only`, a connected client is revoked.
/// Guarantees: it goes on, and the log names it and says what would have happened.
#[tokio::test]
async fn where_loss_of_trust_is_only_reported_a_revoked_client_goes_on() {
    let pki = TestPki::new();
    pki.write("clients.crl", list(&pki, 1, &[]));
    let tls = "client_ca_file: ca.crt, client_crl_file: clients.crl, client_auth: report_only";
    let program = Program::start(&pki, tls);
    let address = ([127, 0, 0, 1], program.port).into();
    let sender = Sender::http1(address, &pki, Some(&numbered(&pki, 4711))).await;
    sender.goes_on(3).await;
    publish(&pki, 2, &[4711]);
    let line = program.warning("client_cert_revoked");
    let text = line.to_string();
    for words in ["CN=stolen", "would be cut off", "report_only", "clients.crl"] {
        assert!(text.contains(words), "no {words:?} in {text}");
    }
    sender.goes_on(3).await;
    sender.was_served_always(200);
}
