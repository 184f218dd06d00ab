//! Connections: TLS, HTTP/2, proxies, upstreams that are not there.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tonic::Code;

use crate::config::sections::ClientTls;
use crate::config::types::Redacted;
use crate::exporter::testing::web::{Web, http, http_config, success};
use crate::exporter::testing::{ServerOptions, batch, server_config, told_in_time};
use crate::outcome::Accepted;
use crate::signal::Signal;
use crate::tls::testing::{TestPki, client_tls};

fn mtls(pki: &TestPki, alpn: &[&[u8]]) -> rustls::ServerConfig {
    let alpn = alpn.iter().map(|name| name.to_vec()).collect();
    let client_ca = Some(pki.ca.pem());
    server_config(&pki.server, ServerOptions { alpn, client_ca, ..ServerOptions::default() })
}

/// Check H2: HTTP/2 where the upstream offers it, HTTP/1.1 where it does not.
#[tokio::test]
async fn h2_over_mtls_speaks_what_alpn_says() {
    let pki = TestPki::new();
    let offers: [(&[&[u8]], bool); 3] =
        [(&[b"h2", b"http/1.1"], true), (&[b"http/1.1"], false), (&[], false)];
    for (offer, h2) in offers {
        let web = Web::start(Some(mtls(&pki, offer)), |_, _| success()).await;
        let base = format!("https://localhost:{}", web.address.port());
        let exporter = http(http_config(&base, client_tls(&pki)));
        for _ in 0..3 {
            let outcome = exporter.export(&batch(Signal::Metrics, b"x")).await;
            assert_eq!(outcome, Ok(Accepted::default()));
        }
        // Only HTTP/2 has the authority in the request's URL.
        assert_eq!(web.seen()[0].uri.host().is_some(), h2);
        assert_eq!(web.connections(), 1);
    }
    let web = Web::start(Some(mtls(&pki, &[b"h2", b"http/1.1"])), |_, _| success()).await;
    let base = format!("https://localhost:{}", web.address.port());
    let mut config = http_config(&base, client_tls(&pki));
    config.force_attempt_http2 = false;
    http(config).export(&batch(Signal::Metrics, b"x")).await.unwrap();
    assert_eq!(web.seen()[0].uri.host(), None);
}

/// Checks H17, H18: no connection, or one that ends without an answer, is retryable.
#[tokio::test]
async fn h17_h18_an_upstream_that_is_not_there_is_a_retryable_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let exporter = http(http_config(&base, ClientTls::default()));
    let hangs_up = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _head = stream.read(&mut [0; 64]).await;
    };
    let x = batch(Signal::Traces, b"x");
    let (outcome, ()) = tokio::join!(exporter.export(&x), hangs_up);
    let failure = outcome.unwrap_err();
    assert_eq!((failure.code, failure.reason), (Code::Unavailable, "upstream_disconnected"));
    drop(listener);
    let failure = exporter.export(&x).await.unwrap_err();
    assert_eq!((failure.code, failure.reason), (Code::Unavailable, "upstream_refused"));
    assert_eq!(failure.retry_after, Some(Duration::from_secs(1)));
    assert!(failure.message.contains("nothing listens there"), "{}", failure.message);
}

#[tokio::test]
async fn a_wrong_ca_is_named_and_nothing_is_sent() {
    let pki = TestPki::new();
    let config = server_config(&pki.other_server, ServerOptions::default());
    let web = Web::start(Some(config), |_, _| success()).await;
    let base = format!("https://localhost:{}", web.address.port());
    let failure = http(http_config(&base, client_tls(&pki)))
        .export(&batch(Signal::Traces, b"x"))
        .await
        .unwrap_err();
    assert_eq!(failure.code, Code::Unavailable);
    assert!(failure.message.contains("TLS"), "{}", failure.message);
    assert!(web.seen().is_empty());
}

#[tokio::test]
async fn an_upstream_that_never_answers_is_given_up_before_the_sender_gives_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let exporter = http(http_config(&base, ClientTls::default()));
    let failure = told_in_time(&exporter, Duration::from_millis(200)).await;
    assert_eq!(failure.code, Code::DeadlineExceeded);
}

/// Scenario: an https upstream behind a proxy that wants a password.
/// Guarantees: the proxy is asked for a tunnel to the upstream, and TLS goes through it to its end.
#[tokio::test]
async fn a_tunnel_through_a_proxy_carries_tls_to_the_upstream() {
    let pki = TestPki::new();
    let web = Web::start(Some(mtls(&pki, &[b"http/1.1"])), |_, _| success()).await;
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config =
        http_config(&format!("https://localhost:{}", web.address.port()), client_tls(&pki));
    let url = format!("http://me:secret@{}", proxy.local_addr().unwrap());
    config.proxy_url = Some(Redacted::new(url));
    let exporter = http(config);
    let relay = async {
        let (mut client, _) = proxy.accept().await.unwrap();
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            asked.push(client.read_u8().await.unwrap());
        }
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
        let mut upstream = tokio::net::TcpStream::connect(web.address).await.unwrap();
        let _ended = tokio::io::copy_bidirectional(&mut client, &mut upstream).await;
        String::from_utf8(asked).unwrap()
    };
    let sending = async {
        let outcome = exporter.export(&batch(Signal::Traces, b"x")).await;
        drop(exporter);
        outcome
    };
    let (outcome, asked) = tokio::join!(sending, relay);
    assert_eq!(outcome, Ok(Accepted::default()));
    assert!(asked.starts_with(&format!("CONNECT localhost:{} HTTP/1.1\r\n", web.address.port())));
    assert!(asked.contains("Proxy-Authorization: Basic bWU6c2VjcmV0\r\n"), "{asked}");
    assert_eq!(web.seen().len(), 1);
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named_without_its_password() {
    let pki = TestPki::new();
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = http_config("https://backend.example:4318", client_tls(&pki));
    let url = format!("http://me:secret@{}", proxy.local_addr().unwrap());
    config.proxy_url = Some(Redacted::new(url));
    let exporter = http(config);
    let refusing = async {
        let (mut client, _) = proxy.accept().await.unwrap();
        let _head = client.read(&mut [0; 512]).await;
        client.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await.unwrap();
    };
    let x = batch(Signal::Traces, b"x");
    let (outcome, ()) = tokio::join!(exporter.export(&x), refusing);
    let failure = outcome.unwrap_err();
    assert_eq!((failure.code, failure.reason), (Code::Unavailable, "upstream_proxy"));
    assert!(failure.message.contains("407"), "{}", failure.message);
    assert!(!failure.message.contains("secret"), "{}", failure.message);
}

/// Scenario: the upstream hangs up after every answer without having said so.
/// Guarantees: the request that follows goes over a fresh connection, and none fails.
#[tokio::test]
async fn a_kept_connection_that_was_closed_meanwhile_costs_no_request() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        let mut served = 0;
        while served < 20 {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\nx") {
                asked.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            served += 1;
        }
        served
    });
    let exporter = http(http_config(&base, ClientTls::default()));
    for _ in 0..20 {
        let outcome = exporter.export(&batch(Signal::Traces, b"x")).await;
        assert_eq!(outcome, Ok(Accepted::default()));
    }
    assert_eq!(serving.await.unwrap(), 20);
}

/// Scenario: the upstream trusts another client CA and says so after our handshake (TLS 1.3), while
/// several senders wait for the first connections.
/// Guarantees: each is told which certificate was refused, by which alert, and what to do, and may
/// try again.
#[tokio::test]
async fn an_upstream_that_refuses_our_certificate_is_quoted() {
    for protocol in [b"h2".as_slice(), b"http/1.1"] {
        let pki = TestPki::new();
        let options = ServerOptions {
            alpn: vec![protocol.to_vec()],
            client_ca: Some(pki.other_ca.pem()),
            ..ServerOptions::default()
        };
        let web = Web::start(Some(server_config(&pki.server, options)), |_, _| success()).await;
        let base = format!("https://localhost:{}", web.address.port());
        let texts = [
            base.as_str(),
            "does not know the CA (alert unknown_ca): it refused our certificate CN=test-client \
             (issuer CN=Test CA, serial ",
            "; the upstream must trust our issuer CN=Test CA (its client CA)",
        ];
        for _again in 0..10 {
            let exporter = http(http_config(&base, client_tls(&pki)));
            let x = batch(Signal::Traces, b"x");
            let told = tokio::join!(
                exporter.export(&x),
                exporter.export(&x),
                exporter.export(&x),
                exporter.export(&x)
            );
            for failure in [told.0, told.1, told.2, told.3] {
                let failure = failure.unwrap_err();
                let message = &failure.message;
                assert_eq!(failure.reason, "upstream_rejected_our_certificate", "{message}");
                assert_eq!(failure.code, Code::Unavailable);
                for text in texts {
                    assert!(message.contains(text), "{text:?} not in {message}");
                }
            }
        }
        assert!(web.seen().is_empty());
    }
}

/// Scenario: an upstream whose handshake hangs, and a sender with less patience than
/// `connect_timeout`.
/// Guarantees: it is told that nothing was sent.
#[tokio::test]
async fn a_request_that_was_never_sent_is_not_called_late() {
    let pki = TestPki::new();
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("https://localhost:{}", mute.local_addr().unwrap().port());
    let exporter = http(http_config(&base, client_tls(&pki)));
    let failure = told_in_time(&exporter, Duration::from_millis(1500)).await;
    assert_eq!((failure.code, failure.reason), (Code::Unavailable, "upstream_timeout"));
    assert_eq!(
        failure.message,
        format!(
            "the gateway's exporter otlp_grpc/up has no connection to {base}/v1/traces: the connection was not up in time: check that the upstream runs and that no firewall drops the packets"
        )
    );
}
