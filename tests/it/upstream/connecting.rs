//! Upstreams to which no connection comes up.

use tokio::net::TcpListener;

use super::ports::{closed, full};
use super::stage::{Expected, Stage, in_clear};
use crate::support::pki::TestPki;

/// Scenario: nothing listens at the endpoints.
/// Guarantees: retryable with a hint; the address, the cause and the next step are named.
#[tokio::test]
async fn an_upstream_that_is_down_is_named_and_the_sender_may_come_again() {
    let (address, _port) = closed();
    let mut stage = Stage::start(&in_clear(address, address, "")).await;
    for which in 0..2 {
        let who = format!("exporter {} has no connection to ", stage.id(which));
        let says = [
            who.as_str(),
            &format!("{address} refused the connection: nothing listens there; "),
            "start the upstream or correct the endpoint",
        ];
        stage.expect(which, &Expected::unavailable("upstream_refused", &says)).await;
    }
    stage.end().await;
}

/// Scenario: packets to the upstream vanish, since its queue of connections is full.
/// Guarantees: the attempt ends with `connect_timeout`; retryable with a hint.
#[tokio::test]
async fn an_upstream_whose_packets_vanish_costs_no_more_than_connect_timeout() {
    let (address, _queue) = full().await;
    let mut stage = Stage::start(&in_clear(address, address, ", connect_timeout: 400ms")).await;
    let says = [
        " has no connection to ",
        &format!("{address} did not answer within connect_timeout: "),
        "check that the upstream runs and that no firewall drops the packets",
    ];
    stage.expect_of_all(&Expected::unavailable("upstream_timeout", &says)).await;
    stage.end().await;
}

/// Scenario: the upstream takes connections and never says a word, in clear and over TLS.
/// Guarantees: what was not sent says so and may be sent again with a hint; what was sent is told
/// apart from it, for the upstream may have taken it.
#[tokio::test]
async fn an_upstream_that_says_nothing_is_given_up() {
    let pki = TestPki::new();
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = mute.local_addr().unwrap();
    let tls = format!(
        "endpoint: 'https://{address}', tls: {{ ca_file: {} }}, connect_timeout: 300ms",
        pki.path("ca.crt").display()
    );
    let [grpc, _] = in_clear(address, address, ", connect_timeout: 300ms");
    let [_, http] = in_clear(address, address, ", timeout: 300ms");
    let secured = ["otlp_grpc", "otlp_http"].map(|kind| (kind, format!("{{ {tls} }}")));
    let [grpc_secured, http_secured] = secured;
    let mut stage = Stage::start(&[grpc, http, grpc_secured, http_secured]).await;
    let says = [
        " has no connection to ",
        &format!("{address} took the connection but did not speak HTTP/2 within "),
        "it hangs, or expects something else on this port",
    ];
    stage.expect(0, &Expected::unavailable("upstream_timeout", &says)).await;
    let says = [
        &*format!("upstream http://{address}/v1/traces: no answer in time: "),
        "the exporter's timeout is too short; it may have taken the batch",
    ];
    stage.expect(1, &Expected::too_late(&says)).await;
    for which in 2..4 {
        let says = [
            " has no connection to ",
            &format!("TLS to {address}: the upstream did not finish the handshake in time; "),
            "is it overloaded, or a port that waits for plaintext?",
        ];
        stage.expect(which, &Expected::unavailable("upstream_handshake_timeout", &says)).await;
    }
    stage.end().await;
}

/// Scenario: a host name that does not exist.
/// Guarantees: the name is in the message, and where to look.
#[tokio::test]
async fn an_upstream_whose_name_does_not_resolve_is_named() {
    // An empty label never gets as far as a name server.
    let mut stage = Stage::start(&in_clear("no..such:4317", "no..such:4318", "")).await;
    let says = [
        " has no connection to ",
        "the name no..such cannot be resolved: ",
        "; check the endpoint's spelling and the DNS settings of this host",
    ];
    stage.expect_of_all(&Expected::unavailable("upstream_unresolvable", &says)).await;
    stage.end().await;
}
