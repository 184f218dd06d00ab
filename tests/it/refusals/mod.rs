//! Who is refused in the handshake, and what the log says of it: clients of other makers, as people
//! have them, with certificates made by `openssl` as people make them.

mod authority;
mod files;
mod misheard;
mod odd;
mod program;
mod rare;
mod table;
mod upstreams;
mod waiting;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::Value;

use crate::support::pki::{TestPki, client_params};
pub(crate) use program::{Program, curl, openssl, s_client};

/// Who shows it, what makes it, and the line in the log: reason, and parts of detail and help.
struct Row {
    name: &'static str,
    /// Extensions of a leaf that `my-ca` signs; `None` when it is made otherwise.
    extensions: Option<&'static str>,
    /// Further words for `openssl x509`.
    more: &'static str,
    reason: &'static str,
    why: &'static str,
    help: &'static str,
}

const ROWS: [Row; 9] = [
    Row {
        name: "v1",
        extensions: Some(""),
        more: "",
        reason: "client_cert_x509_v1",
        why: "presented CN=v1 (issuer CN=my-ca, serial ",
        help: "re-issue it with `-extfile <(printf 'basicConstraints=CA:FALSE\\nextendedKeyUsage=",
    },
    Row {
        name: "is-ca",
        extensions: Some("basicConstraints=critical,CA:TRUE"),
        more: "",
        reason: "client_cert_is_ca",
        why: "it is marked CA:TRUE, which is what `openssl req -x509` makes",
        help: "-addext basicConstraints=critical,CA:FALSE",
    },
    Row {
        name: "eku",
        extensions: Some("extendedKeyUsage=serverAuth"),
        more: "",
        reason: "client_cert_eku",
        why: "it allows serverAuth and not clientAuth",
        help: "re-issue it with extendedKeyUsage clientAuth; public CAs no longer issue those",
    },
    Row {
        name: "old",
        extensions: Some("extendedKeyUsage=clientAuth"),
        more: "-days -1",
        reason: "client_cert_expired",
        why: "it expired on ",
        help: "if it was just renewed, the client has not reloaded it (here it is ",
    },
    Row {
        name: "future",
        extensions: None,
        more: "",
        reason: "client_cert_not_yet_valid",
        why: "it is not valid before 2999-01-01 00:00:00 UTC (in ",
        help: "compare the clocks: here it is ",
    },
    Row {
        name: "stranger",
        extensions: None,
        more: "",
        reason: "client_cert_unknown_issuer",
        why: "its issuer CN=Other CA is not in trusted.crt (3 CAs: CN=my-ca, CN=Test CA, CN=twice)",
        help: "if it is an intermediate under one of these CAs, the client must send leaf and \
               intermediate",
    },
    Row {
        name: "weak",
        extensions: None,
        more: "",
        reason: "weak_rsa_key",
        why: "has an RSA key of 1024 bits; the least is 2048",
        help: "make a new key",
    },
    Row {
        name: "rekeyed",
        extensions: None,
        more: "",
        reason: "ca_key_changed",
        why: "trusted.crt trusts a CA of the name CN=twice but with another key",
        help: "the CA was made anew under its old name",
    },
    Row {
        name: "selfish",
        extensions: None,
        more: "",
        reason: "client_cert_is_ca",
        why: "presented CN=selfish (issuer CN=selfish, serial ",
        help: "issue a leaf",
    },
];

fn make_ca(pki: &TestPki, name: &str) {
    openssl(
        pki.dir(),
        &format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}.key -out \
             {name}.crt -subj /CN={name} -days 30"
        ),
    );
}

fn request(pki: &TestPki, name: &str, key: &str) {
    openssl(
        pki.dir(),
        &format!("req -newkey {key} -nodes -keyout {name}.key -out {name}.csr -subj /CN={name}"),
    );
}

fn sign(pki: &TestPki, name: &str, ca: &str, extensions: &str, more: &str) {
    let days = if more.contains("-days") { "" } else { "-days 30" };
    let mut words = format!(
        "x509 -req -in {name}.csr -CA {ca}.crt -CAkey {ca}.key -CAcreateserial -out {name}.crt \
         {days} {more}"
    );
    if !extensions.is_empty() {
        pki.write(&format!("{name}.ext"), extensions);
        words.push_str(&format!(" -extfile {name}.ext"));
    }
    openssl(pki.dir(), &words);
}

const P256: &str = "ec -pkeyopt ec_paramgen_curve:P-256";

/// The certificates of all rows, and `trusted.crt`.
fn certificates() -> TestPki {
    let pki = TestPki::new();
    make_ca(&pki, "my-ca");
    make_ca(&pki, "twice");
    let read = |name: &str| std::fs::read_to_string(pki.path(name)).unwrap();
    pki.write("trusted.crt", read("my-ca.crt") + &pki.ca.pem() + &read("twice.crt"));
    // The same name with another key.
    make_ca(&pki, "twice");
    request(&pki, "rekeyed", P256);
    sign(&pki, "rekeyed", "twice", "extendedKeyUsage=clientAuth", "");
    for row in &ROWS {
        if let Some(extensions) = row.extensions {
            request(&pki, row.name, P256);
            sign(&pki, row.name, "my-ca", extensions, row.more);
        }
    }
    request(&pki, "weak", "rsa:1024");
    sign(&pki, "weak", "my-ca", "extendedKeyUsage=clientAuth", "");
    make_ca(&pki, "selfish");
    pki.write_pair("stranger", &pki.other_client);
    let mut params = client_params("future");
    params.not_before = rcgen::date_time_ymd(2999, 1, 1);
    params.not_after = rcgen::date_time_ymd(3000, 1, 1);
    pki.write_pair("future", &pki.ca.issue(params));
    pki
}

fn assert_says(line: &Value, name: &str, reason: &str, why: &str, help: &str) {
    let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
    assert_eq!(text("reason"), reason, "{name}: {line}");
    assert!(text("detail").contains(why), "{name}: {line}");
    assert!(text("help").contains(help), "{name}: {line}");
    assert!(text("detail").starts_with("127.0.0.1:"), "{name} without its address: {line}");
}

/// Scenario: each certificate is shown by `openssl s_client`, over TLS 1.2 and 1.3.
/// Guarantees: one line each with who, why, what next and the reason; a good client beside them is
/// served.
#[test]
fn every_refused_certificate_is_explained_in_both_versions() {
    let pki = certificates();
    for version in ["-tls1_2", "-tls1_3"] {
        let program = Program::start(&pki, "client_ca_file: trusted.crt, strict_x509: true");
        for Row { name, reason, why, help, .. } in &ROWS {
            let words = format!("{version} -cert {name}.crt -key {name}.key");
            let said = s_client(&pki, program.port, &words);
            assert!(said.contains("alert number"), "{name} {version}: {said}");
            let line = program.refusal(name);
            assert_says(&line, name, reason, why, help);
            assert!(line["detail"].as_str().unwrap().contains("(SNI localhost)"), "{line}");
        }
        let url = format!("https://localhost:{}/v1/traces", program.port);
        let good =
            "--cacert ca.crt --cert client.crt --key client.key -H content-type:application/json";
        let said = curl(&pki, &format!("{good} --data {{}} {url}"));
        assert!(said.contains(" 200"), "{said}");
    }
}

/// Scenario: the recipe's v1 leaf, the CA:TRUE leaf and the pinned leaf, without `strict_x509`.
/// Guarantees: they are served, and the log warns of each once.
#[test]
fn what_the_collector_accepts_is_accepted_with_one_warning() {
    let pki = certificates();
    let read = |name: &str| std::fs::read_to_string(pki.path(name)).unwrap();
    pki.write("all.crt", read("trusted.crt") + &read("selfish.crt") + &read("stranger.crt"));
    let program = Program::start(&pki, "client_ca_file: all.crt");
    let url = format!("https://localhost:{}/v1/traces", program.port);
    for (name, reason) in [
        ("v1", "client_cert_x509_v1"),
        ("is-ca", "client_cert_is_ca"),
        ("selfish", "client_cert_is_ca"),
        ("stranger", "client_cert_pinned"),
    ] {
        let who = format!("--cacert ca.crt --cert {name}.crt --key {name}.key");
        let words = format!("{who} -H content-type:application/json --data {{}} {url}");
        for _again in 0..2 {
            let said = curl(&pki, &words);
            assert!(said.contains(" 200"), "{name}: {said}");
        }
        let warning = program.warning(reason);
        assert!(warning["certificate"].as_str().unwrap().contains("sha256 "), "{warning}");
    }
    // Twice would have shown before this one.
    s_client(&pki, program.port, "-tls1_3 -cert old.crt -key old.key");
    assert_eq!(program.refusal("old")["reason"], "client_cert_expired");
}

/// What the client says of itself, and the line of the log.
const OTHERS: [(&str, &str, &str, &str); 8] = [
    (
        "",
        "client_cert_missing",
        "presented no certificate; this listener demands one of trusted.crt (3 CAs: ",
        "set OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and _CLIENT_KEY",
    ),
    (
        "-tls1_1 -cipher ALL@SECLEVEL=0",
        "tls_version_too_old",
        "speaks TLS 1.1 at most; this listener speaks TLS 1.2 and 1.3",
        "update the client or its TLS library",
    ),
    (
        "-tls1_2 -cipher ECDHE-ECDSA-AES128-SHA@SECLEVEL=0",
        "no_common_cipher",
        "offered no cipher suite that is allowed here: 0xc009",
        "allow ECDHE with AES-GCM or ChaCha20 there",
    ),
    (
        "-tls1_3 -groups P-521",
        "no_common_group",
        "offered no key exchange group of ours: P-521",
        "allow X25519, P-256 or P-384 there",
    ),
    (
        "-tls1_3 -alpn imap",
        "no_common_protocol",
        "offered by ALPN only imap; this listener speaks h2 and http/1.1",
        "is it an OTLP client?",
    ),
    (
        "-tls1_3 -alpn http/1.0",
        "no_common_protocol",
        "offered by ALPN only http/1.0; this listener speaks h2 and http/1.1",
        "let the client offer http/1.1 as well, or no ALPN at all",
    ),
    (
        "-tls1_2 -CAfile other-ca.crt -verify_return_error",
        "peer_rejected_us",
        "does not accept our certificate CN=test-server (issuer CN=Test CA, serial ",
        "give it our CA CN=Test CA (OTEL_EXPORTER_OTLP_CERTIFICATE, `tls.ca_file` in a Collector; \
         for Python over HTTP unset REQUESTS_CA_BUNDLE)",
    ),
    (
        "-tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256@SECLEVEL=0",
        "no_common_cipher",
        "offered no cipher suite",
        "check `cipher_suites`",
    ),
];

#[test]
fn every_other_failure_of_openssl_and_curl_is_explained() {
    let pki = certificates();
    for (words, reason, why, help) in OTHERS {
        let program = Program::start(&pki, "client_ca_file: trusted.crt");
        s_client(&pki, program.port, words);
        assert_says(&program.refusal(words), words, reason, why, help);
    }
    let program = Program::start(&pki, "client_ca_file: trusted.crt");
    let said = curl(&pki, &format!("https://localhost:{}/", program.port));
    assert!(said.contains("SSL certificate problem"), "{said}");
    let line = program.refusal("curl");
    assert_says(&line, "curl", "peer_rejected_us", "does not accept our certificate", "our CA");
}

/// Scenario: HTTP/1.1 and HTTP/2 in the clear arrive on a TLS port.
/// Guarantees: the peer reads in its own protocol what is wrong; the log names the request without
/// its query.
#[test]
fn plaintext_on_a_tls_port_is_answered_in_its_own_protocol() {
    let pki = certificates();
    let program = Program::start(&pki, "client_ca_file: trusted.crt");
    let url = format!("http://127.0.0.1:{}/v1/traces?token=secret", program.port);
    let said = curl(&pki, &format!("--data x {url}"));
    let first = "HTTP/1.1 400 Bad Request: this port speaks TLS: use https://";
    assert!(said.starts_with(first), "{said}");
    assert!(said.contains("plaintext_on_tls_port: this port speaks TLS: use https://"), "{said}");
    let line = program.refusal("curl");
    let why = "spoke in the clear: HTTP/1.1 `POST /v1/traces` arrived unencrypted";
    assert_says(&line, "curl", "plaintext_on_tls_port", why, "use https://");

    let program = Program::start(&pki, "client_ca_file: trusted.crt");
    let mut h2c = TcpStream::connect(("127.0.0.1", program.port)).unwrap();
    h2c.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
    let mut answer = Vec::new();
    h2c.read_to_end(&mut answer).unwrap();
    assert_eq!(answer[..9], [0, 0, 0, 4, 0, 0, 0, 0, 0], "SETTINGS come first");
    assert_eq!(answer[12], 7, "then GOAWAY");
    let text = String::from_utf8_lossy(&answer);
    assert!(
        text.contains("plaintext_on_tls_port: this port speaks TLS: use https:// in"),
        "{text}"
    );
    let why = "HTTP/2 (as gRPC speaks it) arrived unencrypted";
    assert_says(&program.refusal("h2c"), "h2c", "plaintext_on_tls_port", why, "INSECURE");
}

/// Scenario: a health check connects and closes, a scanner sends bytes that are nothing.
/// Guarantees: no warning; the next client's refusal is the first line.
#[test]
fn probes_and_scanners_are_kept_apart_from_refused_clients() {
    let pki = certificates();
    let program = Program::start(&pki, "client_ca_file: trusted.crt");
    drop(TcpStream::connect(("127.0.0.1", program.port)).unwrap());
    for bytes in [&b"\0\x01\x02\x03\x04"[..], b"\x16\x03\x01\x00\x05\x01", b"SSH-2.0-x\r\n"] {
        let mut scanner = TcpStream::connect(("127.0.0.1", program.port)).unwrap();
        scanner.write_all(bytes).unwrap();
        scanner.shutdown(std::net::Shutdown::Write).unwrap();
        let _until_closed = scanner.read_to_end(&mut Vec::new());
    }
    s_client(&pki, program.port, "-tls1_3");
    assert_eq!(program.refusal("no certificate")["reason"], "client_cert_missing");
}

/// Scenario: one client with one bad certificate tries again and again, then another one.
/// Guarantees: one line, not one for each try.
#[test]
fn the_same_refusal_is_not_said_twice() {
    let pki = certificates();
    let program = Program::start(&pki, "client_ca_file: trusted.crt");
    for _again in 0..4 {
        s_client(&pki, program.port, "-tls1_2 -cert old.crt -key old.key");
    }
    s_client(&pki, program.port, "-tls1_2 -cert eku.crt -key eku.key");
    assert_eq!(program.refusal("old")["reason"], "client_cert_expired");
    assert_eq!(program.refusal("eku")["reason"], "client_cert_eku");
}
