//! Sessions that were made before trust was withdrawn.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, HandshakeKind};
use time::OffsetDateTime;
use tokio::time::{sleep, timeout};

use super::senders::{client, connect, post};
use super::{Scene, WITH_LIST, numbered, publish, reloaded, replace};
use crate::support::eventually::DEADLINE;
use crate::support::pki::{Leaf, TestPki, client_params};

/// Shakes hands and posts once; how the hands were shaken.
async fn visit(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
) -> Result<HandshakeKind, Box<dyn std::error::Error>> {
    let stream = connect(address, config).await?;
    let kind = stream.get_ref().1.handshake_kind().unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driving = tokio::spawn(connection);
    let answer = timeout(DEADLINE, sender.send_request(post())).await?;
    let status = answer?.status().as_u16();
    driving.abort();
    if status == 200 { Ok(kind) } else { Err(status.to_string().into()) }
}

/// One client of each version, with sessions of its own.
fn both_versions(pki: &TestPki, leaf: &Leaf) -> [Arc<ClientConfig>; 2] {
    [&rustls::version::TLS12, &rustls::version::TLS13]
        .map(|version| client(pki, Some(leaf), version, "http/1.1"))
}

/// Shakes hands twice; the second time with the session of the first.
async fn resumes(address: SocketAddr, clients: &[Arc<ClientConfig>]) {
    for client in clients {
        assert_eq!(visit(address, client).await.unwrap(), HandshakeKind::Full);
        assert_eq!(visit(address, client).await.unwrap(), HandshakeKind::Resumed);
    }
}

/// Scenario: sessions may be resumed. One client is revoked, the CA of another is removed, a third
/// one's certificate is left as it is.
/// Guarantees: with TLS 1.2 and 1.3, where certificates are demanded and where they are optional,
/// the first two do not get in with the sessions that they have; the third does, by proving itself
/// anew.
#[tokio::test]
async fn t08_no_session_from_before_a_loss_of_trust_is_resumed() {
    for client_auth in ["require", "optional"] {
        let more = format!("{WITH_LIST}, session_resumption: enabled, client_auth: {client_auth}");
        let Scene { pki, gateway, _upstream } = Scene::new(&more).await;
        let http = gateway.http();
        let stolen = both_versions(&pki, &numbered(&pki, 4711));
        let dismissed = both_versions(&pki, &pki.other_client);
        let stays = both_versions(&pki, &pki.client);
        for clients in [&stolen, &dismissed, &stays] {
            resumes(http, clients).await;
        }
        publish(&pki, 2, &[4711]);
        replace(&pki, "clients.crt", &pki.ca.pem());
        reloaded(&gateway, "http", || async {
            visit(http, &dismissed[0]).await.is_err() && visit(http, &stolen[0]).await.is_err()
        })
        .await;
        for client in stolen.iter().chain(&dismissed) {
            visit(http, client).await.unwrap_err();
        }
        for client in &stays {
            assert_eq!(visit(http, client).await.unwrap(), HandshakeKind::Full);
        }
        gateway.stop().await;
    }
}

/// Scenario: a client's certificate ends; no file changes, so its sessions are still there.
/// Guarantees: it does not get in with them.
#[tokio::test]
async fn t09_no_session_outlives_the_certificate_that_it_was_made_with() {
    let Scene { pki, gateway, _upstream } = Scene::new(", session_resumption: enabled").await;
    let mut params = client_params("short");
    let end = OffsetDateTime::now_utc() + Duration::from_secs(4);
    params.not_after = end;
    let short = both_versions(&pki, &pki.ca.issue(params));
    resumes(gateway.http(), &short).await;
    while OffsetDateTime::now_utc() < end + Duration::from_secs(1) {
        sleep(Duration::from_millis(20)).await;
    }
    for client in &short {
        visit(gateway.http(), client).await.unwrap_err();
    }
    gateway.stop().await;
}
