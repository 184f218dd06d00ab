//! Those who wait, and those who are no clients: real programs that say nothing, or something else,
//! or whose network stands still or changes what they say.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::assert_says;
use super::program::{Program, config, curl};
use crate::support::pki::TestPki;

/// A listener whose log says everything, with more keys beside its endpoint.
fn listening(pki: &TestPki, keys: &str) -> Program {
    let endpoint = "endpoint: '127.0.0.1:0'";
    let yaml = config("client_ca_file: ca.crt")
        .replace("encoding: json", "encoding: json, level: debug")
        .replace("service:", "service:\n  workers: 1")
        .replace(endpoint, &format!("{endpoint}\n{keys}"));
    Program::with_config(pki, &yaml)
}

fn assert_is(line: &Value, name: &str, reason: &str, why: &str, level: &str) {
    assert_says(line, name, reason, why, "");
    assert_eq!(line["level"], level, "{name}: {line}");
}

/// Scenario: a port check by `bash`, and `curl` with protocols that are no TLS.
/// Guarantees: at level `debug` each is named; a PROXY header and HTTP/2 in the clear are clients' mistakes
/// and told at level `warn` with what mends them.
#[test]
fn programs_that_speak_no_tls_are_named_for_whoever_looks() {
    let pki = TestPki::new();
    let program = listening(&pki, "");
    let port = program.port;
    let check = format!("</dev/tcp/127.0.0.1/{port}");
    assert!(Command::new("bash").args(["-c", &check]).status().unwrap().success());
    let why = "connected and closed without a word";
    assert_is(&program.refusal("port check"), "port check", "probe", why, "debug");
    // The last speaks SSH.
    for scheme in ["mqtt", "dict", "gopher", "sftp"] {
        curl(&pki, &format!("{scheme}://127.0.0.1:{port}/topic"));
        let why = "sent something that is not TLS";
        assert_is(&program.refusal(scheme), scheme, "not_tls", why, "debug");
    }
    curl(&pki, &format!("--haproxy-protocol https://127.0.0.1:{port}/"));
    let line = program.refusal("PROXY");
    let why = "spoke in the clear: a PROXY protocol header arrived before TLS";
    let help = "switch the PROXY protocol off in the load balancer in front";
    assert_says(&line, "PROXY", "plaintext_on_tls_port", why, help);
    drop(program);
    let program = listening(&pki, "");
    let url = format!("http://127.0.0.1:{}/v1/traces", program.port);
    curl(&pki, &format!("--http2-prior-knowledge --data x {url}"));
    let line = program.refusal("h2c");
    let why = "HTTP/2 (as gRPC speaks it) arrived unencrypted";
    assert_says(&line, "h2c", "plaintext_on_tls_port", why, "unset OTEL_EXPORTER_OTLP_INSECURE");
}

/// Scenario: `openssl s_client` waits for a greeting, as it does where STARTTLS is meant.
/// Guarantees: it is closed after `handshake_timeout`, and named at level `debug`.
#[test]
fn a_program_that_waits_to_be_greeted_is_timed_out() {
    let pki = TestPki::new();
    let program = listening(&pki, "        handshake_timeout: 1s");
    let mut waiting = s_client(&pki, program.port, "-starttls smtp");
    let why = "did not finish the handshake within 1 s";
    assert_is(&program.refusal("silence"), "silence", "handshake_timeout", why, "debug");
    assert!(waiting.0.wait().unwrap().code().is_some(), "it was hung up on");
}

/// A program in the background; killed with the value.
struct Background(Child);

impl Drop for Background {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        let _reaped = self.0.wait();
    }
}

fn s_client(pki: &TestPki, port: u16, words: &str) -> Background {
    let child = Command::new("openssl")
        .args(["s_client", "-ign_eof", "-connect", &format!("127.0.0.1:{port}")])
        .args("-cert client.crt -key client.key".split(' '))
        .args(words.split_whitespace())
        .current_dir(pki.dir())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    Background(child)
}

/// A client behind a network that this test is.
struct Behind {
    client: TcpStream,
    /// What it said first.
    hello: Vec<u8>,
    _program: Background,
}

impl Behind {
    fn new(pki: &TestPki) -> Self {
        let network = TcpListener::bind("127.0.0.1:0").unwrap();
        let program = s_client(pki, network.local_addr().unwrap().port(), "-tls1_3");
        let mut client = network.accept().unwrap().0;
        let mut hello = vec![0; 5];
        client.read_exact(&mut hello).unwrap();
        let length = usize::from(hello[3]) << 8 | usize::from(hello[4]);
        hello.resize(5 + length, 0);
        client.read_exact(&mut hello[5..]).unwrap();
        Self { client, hello, _program: program }
    }
}

fn connect(port: u16) -> TcpStream {
    TcpStream::connect(("127.0.0.1", port)).unwrap()
}

/// Returns when the only worker has looked at everything that came before.
fn caught_up(port: u16) {
    for _turn in 0..2 {
        let mut asking = connect(port);
        asking.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        asking.read_to_end(&mut Vec::new()).unwrap();
    }
}

/// Scenario: one handshake at a time is allowed. Two clients' networks stand still after their first
/// message, and a third client comes.
/// Guarantees: the first makes room after its share of time and is named at level `debug`; the client
/// that waits until its time is over is told of at level `warn`, with what to do.
#[test]
fn a_client_that_finds_no_room_is_told_of() {
    let pki = TestPki::new();
    let keys = "        handshake_timeout: 2s\n        max_handshakes: 1";
    let program = listening(&pki, keys);
    let clients = [(); 3].map(|()| Behind::new(&pki));
    // Its time runs from here: it is over before the others' is.
    let mut late = connect(program.port);
    caught_up(program.port);
    let mut first = connect(program.port);
    first.write_all(&clients[0].hello).unwrap();
    first.read_exact(&mut [0]).unwrap();
    let mut second = connect(program.port);
    second.write_all(&clients[1].hello).unwrap();
    caught_up(program.port);
    late.write_all(&clients[2].hello).unwrap();
    let peer = |stream: &TcpStream| stream.local_addr().unwrap().to_string();
    let (first, late) = (peer(&first), peer(&late));
    let lines = program.collect(|lines| {
        let untold = |peer: &&String| !lines.iter().any(|line| line["peer"] == **peer);
        [&first, &late].into_iter().filter(untold).cloned().collect()
    });
    let of = |peer: &str| lines.iter().find(|line| line["peer"] == peer).unwrap();
    let why = "stood still in the middle of the handshake while others waited for theirs";
    assert_is(of(&first), "first", "handshake_crowded_out", why, "debug");
    let line = of(&late);
    let why = "waited in vain: too many TLS handshakes at one time";
    assert_is(line, "late", "handshake_overload", why, "warn");
    assert_eq!(line["help"], "raise `max_handshakes`, or find who connects so often");
}

/// Scenario: a network breaks in the middle of the first message of `openssl s_client`.
/// Guarantees: named at level `debug`, as it is nothing that its owner could mend.
#[test]
fn a_client_whose_network_breaks_in_its_first_message_is_named() {
    let pki = TestPki::new();
    let program = listening(&pki, "");
    let Behind { hello, .. } = Behind::new(&pki);
    let mut gateway = connect(program.port);
    gateway.write_all(&hello[..hello.len() / 2]).unwrap();
    drop(gateway);
    let why = "closed the connection inside its first message";
    let line = program.refusal("half a hello");
    assert_is(&line, "half a hello", "closed_during_handshake", why, "debug");
}

/// Passes bytes on until either side ends, and says goodbye to both; changes the last of each
/// piece if `changes`.
pub(super) fn pass_on(mut from: TcpStream, mut to: TcpStream, changes: bool) {
    let mut bytes = [0; 8192];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        bytes[count - 1] ^= u8::from(changes);
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _gone = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

/// Scenario: something between `openssl s_client` and the gateway changes a byte of what the one says,
/// or the other.
/// Guarantees: that is told apart from a bad certificate.
#[test]
fn a_handshake_that_was_changed_on_its_way_is_told() {
    let pki = TestPki::new();
    for (changes_ours, why, help) in [
        (
            false,
            "broke the TLS protocol (",
            "something between may change bytes, or it is not a TLS client",
        ),
        (
            true,
            "cannot decrypt a message (alert bad_record_mac), and means what we sent",
            "something between may change bytes, or its TLS library has a fault",
        ),
    ] {
        // One that is told of once is not told of again so soon.
        let program = listening(&pki, "");
        let Behind { client, hello, _program } = Behind::new(&pki);
        let mut gateway = connect(program.port);
        gateway.write_all(&hello).unwrap();
        let (back, answers) = (client.try_clone().unwrap(), gateway.try_clone().unwrap());
        let answering = std::thread::spawn(move || pass_on(answers, back, changes_ours));
        pass_on(client, gateway, !changes_ours);
        answering.join().unwrap();
        assert_says(&program.refusal("changed"), "changed", "tls_protocol_error", why, help);
    }
}
