//! Rarer refusals: chains with a piece missing or changed, hellos of another age, and those who are
//! no clients at all.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};

use serde_json::Value;

use super::program::{self, Program, curl, openssl, s_client};
use super::{P256, assert_says, certificates, request, sign};
use crate::support::pki::TestPki;

/// Changes one bit of the signature.
fn tamper(pki: &TestPki, name: &str) {
    openssl(pki.dir(), &format!("x509 -in {name}.crt -outform DER -out {name}.der"));
    let mut der = std::fs::read(pki.path(&format!("{name}.der"))).unwrap();
    *der.last_mut().unwrap() ^= 1;
    pki.write(&format!("{name}.der"), der);
    openssl(pki.dir(), &format!("x509 -inform DER -in {name}.der -out {name}.crt"));
}

/// Scenario: `openssl s_client` shows a leaf without its intermediate, then with it; a leaf that was
/// changed; one that its CA signed with SHA-1.
/// Guarantees: each is told from the other, and who sends the whole chain is let in.
#[test]
fn incomplete_changed_and_badly_signed_chains_are_told_apart() {
    let pki = certificates();
    let client = "extendedKeyUsage=clientAuth\nauthorityKeyIdentifier=keyid";
    request(&pki, "mid", P256);
    sign(&pki, "mid", "my-ca", "basicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=hash", "");
    for (name, ca, more) in
        [("below", "mid", ""), ("changed", "my-ca", ""), ("sha1", "my-ca", "-sha1")]
    {
        request(&pki, name, P256);
        sign(&pki, name, ca, client, more);
    }
    tamper(&pki, "changed");
    let program = Program::start(&pki, "client_ca_file: trusted.crt");
    for (name, reason, why, help) in [
        (
            "below",
            "client_cert_unknown_issuer",
            "presented CN=below (issuer CN=mid, serial ",
            "if it is an intermediate under one of these CAs, the client must send leaf and \
             intermediate",
        ),
        (
            "changed",
            "bad_signature",
            "its signature is not the one that CN=my-ca made",
            "it was changed after it was signed: copy it again, or re-issue it",
        ),
        (
            "sha1",
            "cert_signature_algorithm",
            "is signed with an algorithm that is not accepted (ecdsa-with-SHA1, by CN=my-ca)",
            "re-issue it with SHA-256",
        ),
    ] {
        let said = s_client(&pki, program.port, &format!("-cert {name}.crt -key {name}.key"));
        assert!(said.contains("alert number"), "{name}: {said}");
        assert_says(&program.refusal(name), name, reason, why, help);
    }
    let url = format!("https://localhost:{}/v1/traces", program.port);
    let both = [pki.path("below.crt"), pki.path("mid.crt")];
    let both = both.map(|path| std::fs::read_to_string(path).unwrap()).concat();
    pki.write("both.crt", both);
    let words = "--cacert ca.crt --cert both.crt --key below.key -H content-type:application/json";
    let said = curl(&pki, &format!("{words} --data {{}} {url}"));
    assert!(said.contains(" 200"), "{said}");
}

/// Records and messages by hand: no client of today sends them.
const SSL3_HELLO: [u8; 52] = {
    let mut bytes = [7; 52];
    // A record of 47 bytes with a ClientHello of 43: version 3.0, 32 random bytes, no session, two
    // suites, no compression.
    let head = [0x16, 3, 0, 0, 47, 1, 0, 0, 43, 3, 0];
    let mut index = 0;
    while index < head.len() {
        bytes[index] = head[index];
        index += 1;
    }
    let tail = [0, 0, 4, 0, 0x2f, 0, 0x35, 1, 0];
    index = 0;
    while index < tail.len() {
        bytes[43 + index] = tail[index];
        index += 1;
    }
    bytes
};

/// What is sent before the sender stops speaking, and what is said of it at level `debug`.
const PROBES: [(&str, &[u8], &str, &str); 4] = [
    ("a port probe", b"", "probe", "connected and closed without a word"),
    (
        "SSL 2.0",
        b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10",
        "not_tls",
        "sent something that is not TLS",
    ),
    ("SSH", b"SSH-2.0-scanner\r\n", "not_tls", "sent something that is not TLS"),
    (
        "half a hello",
        b"\x16\x03\x01\x00\x05\x01",
        "closed_during_handshake",
        "closed the connection inside its first message",
    ),
];

fn send(port: u16, bytes: &[u8]) -> TcpStream {
    let mut peer = TcpStream::connect(("127.0.0.1", port)).unwrap();
    peer.write_all(bytes).unwrap();
    peer
}

/// Scenario: a port probe, a scanner, peers of another age, and one that says nothing.
/// Guarantees: at level `debug` each is named; a hello of SSL 3.0 is a client and told at level `warn`.
#[test]
fn those_who_are_no_clients_are_named_for_whoever_looks() {
    let pki = certificates();
    let yaml = program::config("client_ca_file: trusted.crt")
        .replace("encoding: json", "encoding: json, level: debug");
    let program = Program::with_config(&pki, &yaml);
    let told = |line: &Value, name: &str, reason: &str, why: &str, level: &str| {
        assert_eq!(line["reason"], reason, "{name}: {line}");
        assert_eq!(line["level"], level, "{name}: {line}");
        let detail = line["detail"].as_str().unwrap();
        assert!(detail.starts_with("127.0.0.1:") && detail.contains(why), "{name}: {line}");
    };
    for (name, bytes, reason, why) in PROBES {
        let mut peer = send(program.port, bytes);
        peer.shutdown(Shutdown::Write).unwrap();
        let _until_closed = peer.read_to_end(&mut Vec::new());
        told(&program.refusal(name), name, reason, why, "debug");
    }
    let mut old = send(program.port, &SSL3_HELLO);
    let mut answer = Vec::new();
    let _until_closed = old.read_to_end(&mut answer);
    assert_eq!(answer.first(), Some(&0x15), "an alert");
    let line = program.refusal("SSL 3.0");
    let why = "speaks SSL 3.0 at most; this listener speaks TLS 1.2 and 1.3";
    told(&line, "SSL 3.0", "tls_version_too_old", why, "warn");
    assert_eq!(line["help"], "update the client or its TLS library");
    drop(program);
    // Too short for the others on a busy machine.
    let endpoint = "endpoint: '127.0.0.1:0'";
    let short = format!("{endpoint}\n        handshake_timeout: 1s");
    let program = Program::with_config(&pki, &yaml.replace(endpoint, &short));
    let mut silent = send(program.port, b"");
    let why = "did not finish the handshake within 1 s";
    told(&program.refusal("silence"), "silence", "handshake_timeout", why, "debug");
    assert_eq!(silent.read(&mut [0]).unwrap_or(0), 0, "and it is closed");
}

/// Scenario: `openssl s_client` shows leaves whose keys nobody verifies, and one of an intermediate
/// with such a key; in TLS 1.3 it keeps most of them back, since no scheme for them is offered.
/// Guarantees: whoever shows one is told the kind of its key, and not that it did not prove to hold
/// it; whoever shows none is told that this may be why.
#[test]
fn keys_of_other_kinds_are_named_where_they_are_shown() {
    let pki = certificates();
    let explicit = format!("{P256} -pkeyopt ec_param_enc:explicit");
    let curve = "ec -pkeyopt ec_paramgen_curve:secp256k1";
    for (name, key) in [("other-curve", curve), ("explicit", &explicit), ("odd-ca", curve)] {
        request(&pki, name, key);
    }
    let client = "extendedKeyUsage=clientAuth";
    sign(&pki, "other-curve", "my-ca", client, "");
    sign(&pki, "explicit", "my-ca", client, "");
    sign(&pki, "odd-ca", "my-ca", "basicConstraints=critical,CA:TRUE", "");
    request(&pki, "below-it", P256);
    sign(&pki, "below-it", "odd-ca", client, "");
    let program = Program::start(&pki, "client_ca_file: trusted.crt");
    let unsupported = "client_cert_key_unsupported";
    let mend = "make a new key, RSA from 2048 to 8192 bits";
    for (words, reason, why, help) in [
        ("-tls1_2 -cert other-curve.crt", unsupported, "of kind EC secp256k1, which", mend),
        (
            "-tls1_3 -cert other-curve.crt",
            "client_cert_missing",
            "presented no certificate",
            "a key of a kind that is not offered here is not sent",
        ),
        ("-tls1_3 -cert explicit.crt", unsupported, "EC with explicit parameters", mend),
        (
            "-tls1_3 -cert below-it.crt -cert_chain odd-ca.crt",
            unsupported,
            "its issuer CN=odd-ca has a key of kind EC secp256k1, which cannot be verified",
            mend,
        ),
    ] {
        let file = words.split(' ').nth(2).unwrap().replace(".crt", ".key");
        let said = s_client(&pki, program.port, &format!("{words} -key {file}"));
        assert!(said.contains("alert number"), "{words}: {said}");
        assert_says(&program.refusal(words), words, reason, why, help);
    }
}

/// Scenario: the program is started with a certificate and key with explicit parameters.
/// Guarantees: it does not start, and says of which kind the key is.
#[test]
fn a_certificate_whose_key_nobody_verifies_is_none_to_start_with() {
    let pki = certificates();
    request(&pki, "explicit", &format!("{P256} -pkeyopt ec_param_enc:explicit"));
    sign(&pki, "explicit", "my-ca", "extendedKeyUsage=serverAuth", "");
    let yaml = program::config("client_ca_file: trusted.crt").replace("server.", "explicit.");
    pki.write("config.yaml", yaml);
    let run = std::process::Command::new("timeout")
        .args(["20", env!("CARGO_BIN_EXE_portcullis"), "--config", "config.yaml"])
        .current_dir(pki.dir())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(!run.status.success(), "{said}");
    for text in [
        "explicit.crt: receivers.otlp.protocols.http.tls.cert_file: ",
        "[own_cert_key_unsupported]",
        "of kind EC with explicit parameters",
        "supported: RSA from 2048",
    ] {
        assert!(said.contains(text), "no {text:?} in {said}");
    }
}

/// Scenario: senders that are set up wrongly send again and again; a probe asks for `/` and for the
/// health of gRPC; a body holds a secret where it is not OTLP.
/// Guarantees: whose data is lost is in the log, once, with reason and help; a probe is not, and no
/// value of a body.
#[test]
fn data_that_is_refused_for_good_is_in_the_log_once() {
    let pki = TestPki::new();
    let program = Program::start(&pki, "");
    let port = program.port;
    let ask = |words: &str, path: &str| {
        curl(&pki, &format!("--insecure {words} https://localhost:{port}{path}"))
    };
    ask("", "/");
    ask("--head", "/v1/traces");
    ask("-HContent-Type:application/grpc --data x", "/grpc.health.v1.Health/Check");
    let json = "-HContent-Type:application/json --data";
    let secret = ask(&format!("{json} {{\"resourceSpans\":\"my-password\"}}"), "/v1/traces");
    assert!(secret.contains("must be"), "{secret}");
    for (words, path, reason, detail) in [
        (json, "/v1/traces/v1/traces", "unknown_path", "leave \"/v1/traces\" off the endpoint"),
        (json, "/v1/logs", "no_pipeline", "this receiver takes no logs"),
        ("--data", "/v1/traces", "content_type", "OTLP/HTTP uses application/x-protobuf or"),
        (
            "-HContent-Type:application/grpc --data",
            "/jaeger.api_v2.CollectorService/PostSpans",
            "unknown_method",
            "jaeger",
        ),
    ] {
        for _ in 0..3 {
            ask(&format!("{words} {{}}"), path);
        }
        let line = program.collect(|lines| {
            let found = lines.iter().any(|line| line["reason"] == reason);
            if found { Vec::new() } else { vec![reason.to_owned()] }
        });
        let lines: Vec<_> = line.iter().filter(|line| !line["reason"].is_null()).collect();
        assert!(!format!("{lines:?}").contains("my-password"), "{lines:?}");
        let line = lines.last().unwrap();
        assert!(line["detail"].as_str().unwrap().contains(detail), "{line}");
        assert_eq!(line["level"], "warn", "{line}");
        let before = if reason == "unknown_path" { 2 } else { 1 };
        assert_eq!(
            lines.len(),
            before,
            "the JSON once, the probes never, the others once: {lines:?}"
        );
    }
}
