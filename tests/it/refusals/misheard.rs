//! Upstreams that a sound identity of ours does not get past: `openssl s_server` that accepts other
//! signatures only, or behind something that changes bytes.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use super::upstreams::{Server, both, entrances, failures, gateway, send};
use super::waiting::pass_on;
use crate::support::pki::TestPki;

/// Each server's exporters, and reason, why and help.
struct Told<'a> {
    port: u16,
    /// Further keys of the `tls` block.
    tls: &'a str,
    said: [&'a str; 3],
}

fn assert_told(pki: &TestPki, rows: &[Told<'_>]) {
    let exporters: Vec<_> = rows
        .iter()
        .enumerate()
        .flat_map(|(number, row)| {
            let tls = format!("tls: {{ ca_file: ca.crt, {} }}", row.tls);
            both(&number.to_string(), row.port, &tls)
        })
        .collect();
    let program = gateway(pki, &exporters);
    let told: Vec<_> =
        entrances(&program, &exporters).into_iter().map(|port| send(pki, port)).collect();
    let lines = failures(&program, &exporters);
    for (index, (told, line)) in told.iter().zip(&lines).enumerate() {
        let [reason, why, help] = rows[index / 2].said;
        assert_eq!(line["reason"], reason, "{line}");
        assert!(told.contains(" 503"), "{told}");
        for text in [why, help] {
            assert!(line["error"].as_str().unwrap().contains(text), "no {text:?} in {line}");
            assert!(told.contains(text), "no {text:?} in {told}");
        }
    }
}

/// Scenario: servers that demand a certificate and accept signatures of RSA alone, in both versions;
/// our key is of ECDSA. One is told to accept none that TLS 1.3 has, and fails over that.
/// Guarantees: it is said that ours was kept back, and why; not that there is none. The one that fails
/// is told from those that refuse us.
#[test]
fn a_server_that_accepts_no_signature_of_ours_is_understood() {
    let pki = TestPki::new();
    let start = |words: &str| {
        Server::start(&pki, &format!("-cert server.crt -key server.key -CAfile ca.crt {words}"))
    };
    let rsa_alone = [
        start("-Verify 1 -verify_return_error -tls1_3 -client_sigalgs RSA-PSS+SHA256"),
        start("-Verify 1 -verify_return_error -tls1_2 -client_sigalgs RSA+SHA256"),
    ];
    let of_old = start("-Verify 1 -tls1_3 -client_sigalgs RSA+SHA256");
    let own = "cert_file: client.crt, key_file: client.key";
    let reason = "upstream_no_common_signature";
    let kept_back = |server: &Server| Told {
        port: server.port,
        tls: own,
        said: [
            reason,
            "it demands a client certificate, and accepts no signature that the key of ours, \
             CN=test-client (issuer CN=Test CA, serial ",
            "can make, so it was not shown; use a key of a kind that it accepts",
        ],
    };
    let fails = Told {
        port: of_old.port,
        tls: own,
        said: [
            "upstream_internal_error",
            "the upstream failed inside (alert internal_error)",
            "its log knows why; servers in Go, such as the Collector, say so when their certificate",
        ],
    };
    assert_told(&pki, &[kept_back(&rsa_alone[0]), kept_back(&rsa_alone[1]), fails]);
}

/// A network before a server that changes the last byte of each piece of one side.
fn changing(server: u16, changes_ours: bool) -> u16 {
    let network = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = network.local_addr().unwrap().port();
    // Ends with the test's process; no more connections than it makes.
    std::thread::spawn(move || {
        for mut client in network.incoming().flatten().take(64) {
            let Ok(mut server) = TcpStream::connect(("127.0.0.1", server)) else { return };
            // The first message is not changed: what follows would be gibberish to both.
            let mut hello = vec![0; 1 << 14];
            let Ok(count) = client.read(&mut hello) else { continue };
            if server.write_all(&hello[..count]).is_err() {
                continue;
            }
            let (back, answers) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || pass_on(answers, back, !changes_ours));
            std::thread::spawn(move || pass_on(client, server, changes_ours));
        }
    });
    port
}

/// Scenario: something between the gateway and `openssl s_server` changes a byte of what the one says,
/// or the other; also where our certificate is demanded.
/// Guarantees: that is told apart from a refused certificate.
#[test]
fn a_handshake_with_a_server_that_was_changed_on_its_way_is_told() {
    let pki = TestPki::new();
    let server = Server::start(&pki, "-cert server.crt -key server.key");
    let demanding =
        Server::start(&pki, "-cert server.crt -key server.key -CAfile ca.crt -Verify 1 -tls1_3");
    let own = "cert_file: client.crt, key_file: client.key";
    let reason = "upstream_tls_protocol_error";
    let theirs = [
        reason,
        "the upstream broke the TLS protocol (",
        "is there really a TLS server, and nothing in between that changes bytes?",
    ];
    let ours = [
        reason,
        "the upstream cannot ",
        ", and means what we sent; something between may change bytes",
    ];
    assert_told(
        &pki,
        &[
            Told { port: changing(server.port, false), tls: "", said: theirs },
            Told { port: changing(server.port, true), tls: "", said: ours },
            Told { port: changing(demanding.port, true), tls: own, said: ours },
        ],
    );
}
