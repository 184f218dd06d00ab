//! What is not TLS where TLS is expected, TLS where it is not, and TLS that breaks its rules.

use std::process::Stdio;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls_pki_types::{PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use tokio::time::timeout;

use super::wire::Client;
use super::{Io, Scene, read_to_end, said};
use crate::reload::connect;
use crate::support::eventually::DEADLINE;
use crate::support::pki::TestPki;

/// Scenario: garbage where a ClientHello, the preface of HTTP/2 or a request is expected.
/// Guarantees: each connection is closed at once, long before any deadline; a neighbour does not
/// notice.
#[tokio::test]
async fn garbage_is_not_waited_for() {
    let scene = Scene::new(true, "handshake_timeout: 60s, read_header_timeout: 60s").await;
    let neighbour = scene.neighbour().await;
    let long = [&[0x16, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff][..], &[5; 0x4000 - 4]].concat();
    let hellos: [&[u8]; 7] = [
        b"\x00\x01\x02\x03 this is neither TLS nor HTTP\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.0\r\n",
        // A record of a kind that does not come first, a length that is not allowed, and a hello
        // that announces 16 MiB.
        b"\x17\x03\x03\x00\x05hello",
        b"\x16\x03\x01\xff\xff\x01\x00\x00\x00",
        &long,
    ];
    for hello in hellos {
        said(scene.dial_tcp().await, hello).await;
    }
    for (alpn, garbage) in [
        (&b"h2"[..], &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..]),
        (b"h2", &[0xff; 64]),
        (b"h2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
        (b"http/1.1", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        (b"http/1.1", &[0xff; 64]),
    ] {
        said(scene.dial(alpn).await, garbage).await;
    }
    neighbour.noticed_nothing().await;
    scene.gateway.stop().await;
}

/// Scenario: a TLS client comes to a port in clear. Guarantees: closed at once.
#[tokio::test]
async fn tls_on_a_port_in_clear_is_not_waited_for() {
    let scene = Scene::new(false, "read_header_timeout: 60s").await;
    let pki = TestPki::new();
    let config = client_config(&pki);
    let name = ServerName::try_from("localhost").unwrap();
    let stream = scene.dial_tcp().await;
    let shaken = tokio_rustls::TlsConnector::from(config).connect(name, stream);
    assert!(timeout(DEADLINE, shaken).await.expect("it is not closed").is_err());
    Client::begin(scene.dial(b"").await, &[]).await.call(1).await;
    scene.gateway.stop().await;
}

fn client_config(pki: &TestPki) -> Arc<ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(pki.ca.certificate.der().clone()).unwrap();
    let key = PrivateKeyDer::try_from(pki.client.key.serialize_der()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![pki.client.certificate.der().clone()], key);
    Arc::new(config.unwrap())
}

fn hello(config: &Arc<ClientConfig>) -> Vec<u8> {
    let name = ServerName::try_from("localhost").unwrap();
    let mut session = rustls::ClientConnection::new(Arc::clone(config), name).unwrap();
    let mut hello = Vec::new();
    session.write_tls(&mut hello).unwrap();
    hello
}

/// Scenario: after a good handshake the TCP stream carries a record in clear, a forged one, a part
/// of one, or ends without a word.
/// Guarantees: the connection ends there; nothing of it is taken for a request.
#[tokio::test]
async fn records_that_are_forged_or_cut_end_their_connection() {
    let scene = Scene::new(true, "read_header_timeout: 2s").await;
    let neighbour = scene.neighbour().await;
    let pki = scene.pki.as_ref().unwrap();
    let request = b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
    let forged = [&[0x17, 3, 3, 0, 64][..], &[9; 64]].concat();
    let cut = [&[0x17, 3, 3, 0, 64][..], &[9; 10]].concat();
    for (bytes, ends) in [
        (&request[..], false),
        (&forged, false),
        (&cut, false),
        (&cut, true),
        (b"\x16\x03\x03\x00\x04\x01\x00\x00\x00", false),
        (b"", true),
    ] {
        let mut stream = connect(scene.address(), pki, &pki.client, &[b"http/1.1"]).await;
        let tcp = stream.get_mut().0;
        tcp.write_all(bytes).await.unwrap();
        if ends {
            tcp.shutdown().await.unwrap();
        }
        let mut answer = Vec::new();
        let _reset = timeout(DEADLINE, tcp.read_to_end(&mut answer)).await.expect("not closed");
        assert!(answer.len() < 10_000, "tickets and an alert at most");
    }
    scene.only_open(1.0).await;
    neighbour.noticed_nothing().await;
    scene.gateway.stop().await;
}

/// Scenario: a hello byte by byte, and one in records of one byte (threat 25).
/// Guarantees: where a hello is cut does not matter.
#[tokio::test]
async fn a_hello_in_pieces_of_one_byte_is_understood() {
    let scene = Scene::new(true, "").await;
    let config = client_config(scene.pki.as_ref().unwrap());
    for in_records in [false, true] {
        let hello = hello(&config);
        let mut stream = scene.dial_tcp().await;
        if in_records {
            let records: Vec<u8> =
                hello[5..].iter().flat_map(|byte| [0x16, 3, 1, 0, 1, *byte]).collect();
            stream.write_all(&records).await.unwrap();
        } else {
            for byte in hello {
                stream.write_all(&[byte]).await.unwrap();
            }
        }
        let mut first = [0; 6];
        timeout(DEADLINE, stream.read_exact(&mut first)).await.unwrap().unwrap();
        assert_eq!((first[0], first[5]), (0x16, 2), "a ServerHello and no alert: {first:?}");
    }
    scene.gateway.stop().await;
}

/// Scenario: a client asks for new keys again and again and sends nothing (threat 33).
/// Guarantees: its connection is cut.
#[tokio::test]
async fn key_updates_without_end_are_cut() {
    let scene = Scene::new(true, "read_header_timeout: 60s").await;
    let neighbour = scene.neighbour().await;
    let pki = scene.pki.as_ref().unwrap();
    let mut stream = connect(scene.address(), pki, &pki.client, &[b"http/1.1"]).await;
    let flood = async {
        loop {
            stream.get_mut().1.refresh_traffic_keys().unwrap();
            if stream.flush().await.is_err() || stream.get_mut().0.write(&[]).await.is_err() {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, flood).await.expect("it is not cut");
    scene.only_open(1.0).await;
    neighbour.noticed_nothing().await;
    scene.gateway.stop().await;
}

/// Scenario: a client of TLS 1.2 asks to renegotiate.
/// Guarantees: that is refused, and the gateway serves on.
#[tokio::test]
async fn renegotiation_is_refused() {
    let scene = Scene::new(true, "read_header_timeout: 2s").await;
    let neighbour = scene.neighbour().await;
    let pki = scene.pki.as_ref().unwrap();
    let mut client = Command::new("timeout")
        .args(["20", "openssl", "s_client", "-tls1_2", "-servername", "localhost"])
        .args(["-cert", "client.crt", "-key", "client.key", "-CAfile", "ca.crt", "-connect"])
        .arg(scene.address().to_string())
        .current_dir(pki.dir())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut input = client.stdin.take().unwrap();
    // A line that begins with R is a command to renegotiate.
    input.write_all(b"R\n").await.unwrap();
    let output = timeout(DEADLINE, client.wait_with_output()).await.unwrap().unwrap();
    drop(input);
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(said.contains("RENEGOTIATING"), "{said}");
    assert!(said.contains("no renegotiation") || said.contains(":error:"), "{said}");
    neighbour.noticed_nothing().await;
    scene.gateway.stop().await;
}

/// Scenario: peers stop in the middle of the handshake, at every flight, and go away or stay.
/// Guarantees: those who stay are closed in time, and nobody is served without a certificate.
#[tokio::test]
async fn half_open_handshakes_are_closed() {
    let scene = Scene::new(true, "handshake_timeout: 2s").await;
    let neighbour = scene.neighbour().await;
    let config = client_config(scene.pki.as_ref().unwrap());
    for stays in [false, true] {
        let hello = hello(&config);
        let mut stream = scene.dial_tcp().await;
        stream.write_all(&hello).await.unwrap();
        let mut first = [0; 6];
        stream.read_exact(&mut first).await.unwrap();
        if stays {
            // The server's certificate and no more.
            let rest = read_to_end(&mut stream as &mut dyn Io).await;
            assert!(!rest.is_empty());
        }
    }
    scene.only_open(1.0).await;
    neighbour.noticed_nothing().await;
    scene.gateway.stop().await;
}
