//! Upstreams, tried step by step.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use super::{Doctor, answer_once, upstream};
use crate::cli::ExitStatus;
use crate::tls::testing::{TestPki, server_params};

#[test]
fn an_upstream_is_probed_step_by_step() {
    let doctor = Doctor::with_upstream("server", |_| {});
    let said = doctor.say(&["--upstream"]);
    for (step, part) in [
        ("resolve:", "localhost is"),
        ("connect:", "takes the connection"),
        ("tls:", ""),
        ("chain:", "issued by CN=Test CA"),
        ("name:", "is for localhost"),
        ("alpn:", "h2"),
        ("identity:", "client.crt was asked for and accepted"),
        ("answer:", "it speaks HTTP/2"),
    ] {
        said.has("ok", &[step, part]);
    }
    said.ends(ExitStatus::Success);
}

#[test]
fn an_upstream_with_another_name_is_told_apart_from_one_of_another_ca() {
    let pki_name = "elsewhere";
    let doctor = {
        let pki = TestPki::new();
        pki.write_pair(pki_name, &pki.ca.issue(server_params(&["elsewhere.example"])));
        let port = upstream(&pki, pki_name, |_| {});
        let dir = pki.dir().display().to_string();
        let settings =
            format!("{{ endpoint: 'localhost:{port}', tls: {{ ca_file: {dir}/ca.crt }} }}");
        Doctor::with(pki, "otlp_grpc", &settings)
    };
    let said = doctor.say(&["--upstream"]);
    said.has("ok", &["chain: trusted"]);
    let parts = ["name:", "wanted localhost", "elsewhere.example", "upstream_name_mismatch"];
    said.has("problem", &parts);
    said.has("next:", &["server_name_override: elsewhere.example"]);
    said.ends(ExitStatus::Failure);

    let doctor = Doctor::with_upstream("other-server", |_| {});
    let said = doctor.say(&["--upstream"]);
    said.has("problem", &["chain:", "Other CA", "Test CA", "upstream_unknown_issuer"]);
    said.ends(ExitStatus::Failure);
}

#[test]
fn an_upstream_without_alpn_is_named() {
    let doctor = Doctor::with_upstream("server", |config| config.alpn_protocols.clear());
    let said = doctor.say(&["--upstream"]);
    said.has("problem", &["alpn:", "did not agree on HTTP/2", "upstream_no_alpn"]);
    said.has("next:", &["otlp_http"]);
    said.ends(ExitStatus::Failure);
}

#[test]
fn an_upstream_that_refuses_us_is_named() {
    let doctor = Doctor::with_upstream("server", |_| {});
    doctor.pki.write_pair("client", &doctor.pki.other_client);
    let said = doctor.say(&["--upstream"]);
    said.has("problem", &["identity:", "other-client", "upstream_rejected_our_certificate"]);
    said.ends(ExitStatus::Failure);
}

#[test]
fn an_upstream_that_is_down_or_has_no_address_is_named() {
    let free = TcpListener::bind("localhost:0").unwrap().local_addr().unwrap().port();
    for (endpoint, step, reason) in [
        (format!("localhost:{free}"), "connect:", "upstream_refused"),
        ("no-such-host.invalid:4317".to_owned(), "resolve:", "upstream_unresolvable"),
    ] {
        let settings = format!("{{ endpoint: '{endpoint}', tls: {{ insecure: true }} }}");
        let doctor = Doctor::with(TestPki::new(), "otlp_grpc", &settings);
        let said = doctor.say(&["--upstream"]);
        said.has("problem", &[step, reason]);
        said.ends(ExitStatus::Failure);
    }
}

/// Scenario: an exporter in clear, and a configuration whose exporters lead nowhere.
/// Guarantees: it is said that there is no TLS, and that there is nothing to try.
#[test]
fn plaintext_and_exporters_without_an_upstream_are_said() {
    let port = answer_once("HEAD / HTTP/1.1\r\n", "HTTP/1.1 404 Not Found\r\n\r\n".to_owned());
    let settings = format!("{{ endpoint: 'http://127.0.0.1:{port}' }}");
    let said = Doctor::with(TestPki::new(), "otlp_http", &settings).say(&["--upstream"]);
    said.has("ok", &["plaintext: there is nothing to load"]);
    said.has("ok", &["tls: not used: plaintext, which whoever is on the way can read"]);
    said.has("ok", &["answer: it speaks HTTP/1.1"]);
    said.ends(ExitStatus::Success);
    let said = Doctor::new().say(&["--upstream"]);
    said.has("ok", &["no exporter has an upstream to connect to"]);
}

/// A proxy for one connection: what it was asked for, its answer, and where the tunnel leads.
fn proxy(answer: &'static str, to: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            socket.read_exact(&mut byte).unwrap();
            asked.push(byte[0]);
        }
        assert!(asked.starts_with(b"CONNECT localhost:"), "{}", String::from_utf8_lossy(&asked));
        socket.write_all(answer.as_bytes()).unwrap();
        if !answer.contains(" 200 ") {
            return;
        }
        let mut target = std::net::TcpStream::connect(("localhost", to)).unwrap();
        let (mut back, mut there) = (target.try_clone().unwrap(), socket.try_clone().unwrap());
        std::thread::spawn(move || std::io::copy(&mut back, &mut there));
        let _until_closed = std::io::copy(&mut socket, &mut target);
    });
    port
}

/// Scenario: the exporter goes through a proxy, which opens a tunnel, refuses, or is asked in clear.
/// Guarantees: the probe takes the way that the exporter takes.
#[test]
fn an_upstream_behind_a_proxy_is_tried_through_it() {
    let doctor = |answer, scheme: &str| {
        let pki = TestPki::new();
        let to = upstream(&pki, "server", |_| {});
        let proxy = proxy(answer, to);
        let dir = pki.dir().display().to_string();
        let settings = format!(
            "{{ endpoint: '{scheme}://localhost:{to}', proxy_url: 'http://me:secret@127.0.0.1:{proxy}', \
             tls: {{ ca_file: {dir}/ca.crt, cert_file: {dir}/client.crt, key_file: {dir}/client.key }} }}"
        );
        Doctor::with(pki, "otlp_http", &settings).say(&["--upstream"])
    };
    let said = doctor("HTTP/1.1 200 Connection established\r\n\r\n", "https");
    said.has("ok", &["proxy: 127.0.0.1:", "is on the way"]);
    said.has("ok", &["proxy: opened a tunnel to localhost:"]);
    said.has("ok", &["chain:", "issued by CN=Test CA"]);
    said.has("ok", &["identity:", "asked for and accepted"]);
    assert!(!said.text.contains("secret"), "{}", said.text);
    said.ends(ExitStatus::Success);

    let said = doctor("HTTP/1.1 403 Forbidden\r\n\r\n", "https");
    said.has("problem", &["did not open a tunnel to localhost:", "403", "upstream_proxy"]);
    assert!(!said.text.contains("secret"), "{}", said.text);
    said.ends(ExitStatus::Failure);

    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let settings =
        format!("{{ endpoint: 'https://backend.example', proxy_url: 'http://127.0.0.1:{free}' }}");
    let said = Doctor::with(TestPki::new(), "otlp_http", &settings).say(&["--upstream"]);
    said.has("problem", &["connect: 127.0.0.1:", "upstream_refused"]);
    said.has("next:", &["is the proxy up, and are proxy_url"]);

    let said = doctor("", "http");
    said.has("warning", &["plaintext requests are given to the proxy", "proxy_not_probed"]);
    said.ends(ExitStatus::Success);
}
