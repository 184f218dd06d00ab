//! Backends that cannot be used, as `openssl s_server` plays them with what `openssl` makes: what the
//! gateway's log says, and what the sender is told.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::authority::{authority, publish};
use super::program::{Program, curl};
use super::rare::forged_key;
use super::{P256, request, sign};
use crate::support::pki::TestPki;

/// `openssl s_server` in the folder; killed with the value.
pub(super) struct Server {
    child: Child,
    pub(super) port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Server {
    /// Words are split at spaces; files are relative to the folder.
    pub(super) fn start(pki: &TestPki, words: &str) -> Self {
        let mut child = Command::new("openssl")
            .args(["s_server", "-accept", "127.0.0.1:0", "-alpn", "h2"])
            .args(words.split_whitespace())
            .current_dir(pki.dir())
            // It ends when its input does.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines
            .find_map(|line| line.ok()?.strip_prefix("ACCEPT ")?.rsplit(':').next()?.parse().ok());
        // It stands still when nobody reads what it prints.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, port: port.unwrap() }
    }
}

/// A gateway with a receiver for each of these exporters, and no limit on what it logs.
pub(super) fn gateway(pki: &TestPki, exporters: &[(String, String)]) -> Program {
    let (mut receivers, mut blocks, mut pipelines) = (String::new(), String::new(), String::new());
    for (id, block) in exporters {
        let name = id.replace('/', "-");
        receivers.push_str(&format!(
            "  otlp/{name}: {{ protocols: {{ http: {{ endpoint: '127.0.0.1:0' }} }} }}\n"
        ));
        blocks.push_str(&format!("  {id}: {{ {block} }}\n"));
        pipelines.push_str(&format!(
            "    traces/{name}: {{ receivers: [otlp/{name}], exporters: [{id}] }}\n"
        ));
    }
    pki.write("span.json", SPAN);
    Program::with_config(
        pki,
        &format!(
            "receivers:\n{receivers}exporters:\n{blocks}service:\n  pipelines:\n{pipelines}  \
             telemetry: {{ metrics: {{ level: none }}, logs: {{ encoding: json, sampling: {{ \
             enabled: false }} }} }}\n"
        ),
    )
}

const SPAN: &str = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":
"0102030405060708090a0b0c0d0e0f10","spanId":"0102030405060708","name":"a"}]}]}]}"#;

/// Where senders reach each exporter.
pub(super) fn entrances(program: &Program, exporters: &[(String, String)]) -> Vec<u16> {
    let receiver = |id: &str| format!("receivers.otlp/{}.protocols.http", id.replace('/', "-"));
    exporters.iter().map(|(id, _)| program.port_of(&receiver(id))).collect()
}

/// Sends a span through the exporter behind this port; what the sender was told.
pub(super) fn send(pki: &TestPki, port: u16) -> String {
    let url = format!("http://127.0.0.1:{port}/v1/traces");
    curl(pki, &format!("-H content-type:application/json --data @span.json {url}"))
}

/// The lines about failed exports of all these exporters.
pub(super) fn failures(program: &Program, exporters: &[(String, String)]) -> Vec<Value> {
    let is = |line: &Value, id: &str| line["exporter"] == id && !line["items"].is_null();
    let lines = program.collect(|lines| {
        let untold = exporters.iter().filter(|(id, _)| !lines.iter().any(|line| is(line, id)));
        untold.map(|(id, _)| id.clone()).collect()
    });
    let line = |id: &str| lines.iter().find(|line| is(line, id)).unwrap().clone();
    exporters.iter().map(|(id, _)| line(id)).collect()
}

/// Both kinds of exporter to a server.
pub(super) fn both(name: &str, port: u16, more: &str) -> [(String, String); 2] {
    [
        (format!("otlp_grpc/{name}"), format!("endpoint: 'localhost:{port}', {more}")),
        (format!("otlp_http/{name}"), format!("endpoint: 'https://localhost:{port}', {more}")),
    ]
}

/// A server, and what is said of it.
struct Row {
    name: &'static str,
    ca: &'static str,
    /// Of its certificate.
    extensions: &'static str,
    /// Further words for `openssl x509` and `openssl s_server`.
    signed: &'static str,
    served: &'static str,
    /// Further keys of our `tls` block.
    tls: &'static str,
    /// Reason, why and help.
    said: [&'static str; 3],
}

const SOUND: Row = Row {
    name: "sound",
    ca: "my-ca",
    extensions: "extendedKeyUsage=serverAuth",
    signed: "",
    served: "",
    tls: "",
    said: [""; 3],
};

const ROWS: [Row; 9] = [
    Row {
        name: "critical",
        extensions: "1.2.3.4=critical,ASN1:UTF8String:ours",
        said: [
            "upstream_cert_extension",
            "has a critical extension that is not understood (1.2.3.4)",
            "re-issue it without marking that extension critical",
        ],
        ..SOUND
    },
    Row {
        name: "below-0",
        signed: "-set_serial -5",
        said: [
            "upstream_cert_bad_encoding",
            "its serial number is not a positive one",
            "re-issue it with a common tool and its defaults",
        ],
        ..SOUND
    },
    Row {
        name: "v1",
        ca: "last",
        extensions: "",
        said: [
            "upstream_cert_x509_v1",
            "it is in X.509 v1 form, and no CA of cas.crt signed it",
            "subjectAltName=DNS:otel.example.com",
        ],
        ..SOUND
    },
    Row {
        name: "too-deep",
        ca: "further",
        served: "-cert_chain issuers.crt",
        said: [
            "upstream_cert_chain",
            "its chain of 3 certificates is longer than one of its CAs allows (`pathlen` of",
            "issue it under the CA that sets the limit",
        ],
        ..SOUND
    },
    Row {
        name: "bound",
        ca: "narrow",
        served: "-cert_chain narrow.crt",
        said: [
            "upstream_cert_name_constraint",
            "its names are outside of what its CA may vouch for: DNS:localhost",
            "issue it under a CA whose name constraints allow these names",
        ],
        ..SOUND
    },
    Row {
        name: "copied",
        served: "-key forged.key",
        said: [
            "upstream_cert_not_proven",
            "it did not prove that it holds the certificate's private key",
            "check that its certificate and its key belong together; if they do, somebody else",
        ],
        ..SOUND
    },
    Row {
        name: "of-stale",
        tls: "crl_file: stale.crl",
        said: [
            "upstream_crl_expired",
            "the revocation list of its CA CN=my-ca in stale.crl is out of date since 2024-02-01",
            "fetch the CA's current list, or mend this machine's clock",
        ],
        ..SOUND
    },
    Row {
        name: "listless",
        tls: "crl_file: other.crl",
        said: [
            "upstream_cert_revocation_unknown",
            "no revocation list of its CA CN=my-ca is in other.crl (there: CN=other)",
            "add that CA's list",
        ],
        ..SOUND
    },
    Row {
        name: "elsewhere",
        served: "-servername otel.elsewhere.example -servername_fatal -cert2 server.crt -key2 \
                 server.key",
        said: [
            "upstream_unknown_name",
            "the upstream, asked for localhost, does not serve that name (alert unrecognized_name)",
            "set `tls.server_name_override` to a name that it serves",
        ],
        ..SOUND
    },
];

/// Everything that the rows name.
fn certificates() -> TestPki {
    let pki = TestPki::new();
    authority(&pki, "my-ca");
    authority(&pki, "other");
    let past = "-crl_lastupdate 20240101000000Z -crl_nextupdate 20240201000000Z";
    publish(&pki, "my-ca", "stale.crl", past);
    publish(&pki, "other", "other.crl", "");
    let sub_ca = "basicConstraints=critical,CA:TRUE";
    for (name, ca, extensions) in [
        ("last", "my-ca", format!("{sub_ca},pathlen:0")),
        ("further", "last", sub_ca.to_owned()),
        (
            "narrow",
            "my-ca",
            format!("{sub_ca}\nnameConstraints=critical,permitted;DNS:example.com"),
        ),
    ] {
        request(&pki, name, P256);
        sign(&pki, name, ca, &extensions, "");
    }
    let read = |name: &str| std::fs::read_to_string(pki.path(name)).unwrap();
    pki.write("issuers.crt", read("further.crt") + &read("last.crt"));
    pki.write("cas.crt", read("my-ca.crt") + &read("other.crt"));
    for Row { name, ca, extensions, signed, .. } in &ROWS {
        request(&pki, name, P256);
        let extensions = match *extensions {
            "" => String::new(),
            some => format!("{some}\nsubjectAltName=DNS:localhost"),
        };
        sign(&pki, name, ca, &extensions, signed);
    }
    forged_key(&pki, "copied.crt", "forged.key");
    pki
}

/// Scenario: each of these servers, over gRPC and OTLP/HTTP.
/// Guarantees: log and sender are told what it presented, what is wrong with it and what mends it, with
/// the reason; the sender may try again.
#[test]
fn servers_with_rare_faults_are_named_to_the_log_and_to_the_sender() {
    let pki = certificates();
    let mut servers = Vec::new();
    let mut exporters = Vec::new();
    for Row { name, served, tls, .. } in &ROWS {
        let key = if served.contains("-key ") { String::new() } else { format!("-key {name}.key") };
        let server = Server::start(&pki, &format!("-cert {name}.crt {key} {served}"));
        let tls = format!("tls: {{ ca_file: cas.crt, {tls} }}");
        exporters.extend(both(name, server.port, &tls));
        servers.push(server);
    }
    let program = gateway(&pki, &exporters);
    let told: Vec<_> =
        entrances(&program, &exporters).into_iter().map(|port| send(&pki, port)).collect();
    let lines = failures(&program, &exporters);
    for (index, ((id, _), (told, line))) in
        exporters.iter().zip(told.iter().zip(&lines)).enumerate()
    {
        let [reason, why, help] = ROWS[index / 2].said;
        assert_eq!(line["reason"], reason, "{id}: {line}");
        assert!(told.contains(" 503"), "{id}: {told}");
        let error = line["error"].as_str().unwrap();
        for text in [&format!("exporter {id} "), "TLS to 127.0.0.1:", why, help] {
            assert!(error.contains(text), "{id}: no {text:?} in {error}");
            assert!(told.contains(text), "{id}: no {text:?} in {told}");
        }
    }
}

/// Scenario: `openssl s_server` is stopped, so that connections come up and nobody shakes hands.
/// Guarantees: the attempt ends, and that is told to log and sender.
#[test]
fn a_server_that_stands_still_is_named() {
    let pki = TestPki::new();
    let server = Server::start(&pki, "-cert server.crt -key server.key");
    let stopped = Command::new("kill").args(["-STOP", &server.child.id().to_string()]).status();
    assert!(stopped.unwrap().success());
    let exporters = both("still", server.port, "connect_timeout: 500ms, tls: { ca_file: ca.crt }");
    let program = gateway(&pki, &exporters);
    let told = entrances(&program, &exporters).into_iter().map(|port| send(&pki, port));
    let told: Vec<_> = told.collect();
    for (line, told) in failures(&program, &exporters).iter().zip(&told) {
        assert_eq!(line["reason"], "upstream_handshake_timeout", "{line}");
        let text = "the upstream did not finish the handshake in time; is it overloaded, or a port \
                    that waits for plaintext?";
        assert!(told.contains(text), "{told}");
    }
}

/// Scenario: servers that trust another client CA, one with TLS 1.2 and one with TLS 1.3, where the
/// refusal comes after our handshake; fifty exporters, some at the same time.
/// Guarantees: each hears the alert, and not just that the connection broke; all say the same.
#[test]
fn a_server_that_refuses_our_certificate_is_understood_every_time() {
    let pki = TestPki::new();
    let demands = "-Verify 1 -verify_return_error -CAfile other-ca.crt";
    let own = "tls: { ca_file: ca.crt, cert_file: client.crt, key_file: client.key }";
    let servers = ["-tls1_2", "-tls1_3"].map(|version| {
        Server::start(&pki, &format!("-cert server.crt -key server.key {demands} {version}"))
    });
    let mut exporters = Vec::new();
    for number in 0..25 {
        // Of the 1.3 server more: there it is hard to hear.
        let server = &servers[usize::from(number % 5 != 0)];
        exporters.extend(both(&number.to_string(), server.port, own));
    }
    let program = gateway(&pki, &exporters);
    let told: Vec<String> = std::thread::scope(|scope| {
        let pki = &pki;
        let entrances = entrances(&program, &exporters);
        let quarters = entrances.chunks(13).map(|some| {
            let some = some.to_vec();
            scope.spawn(move || some.into_iter().map(|port| send(pki, port)).collect::<Vec<_>>())
        });
        let running: Vec<_> = quarters.collect();
        running.into_iter().flat_map(|one| one.join().unwrap()).collect()
    });
    let lines = failures(&program, &exporters);
    assert_eq!(lines.len(), 50);
    let mut texts = BTreeSet::new();
    for ((id, _), (told, line)) in exporters.iter().zip(told.iter().zip(&lines)) {
        assert_eq!(line["reason"], "upstream_rejected_our_certificate", "{id}: {line}");
        let error = line["error"].as_str().unwrap();
        let (who, text) = error.split_once(": the upstream ").unwrap();
        assert!(
            who.starts_with(&format!("the gateway's exporter {id} has no connection to ")),
            "{error}"
        );
        assert!(told.contains(text), "{text} not in {told}");
        texts.insert(text.to_owned());
    }
    let alert = "does not know the CA (alert unknown_ca): it refused our certificate CN=test-client \
                 (issuer CN=Test CA, serial ";
    let help = " from client.crt; the upstream must trust our issuer CN=Test CA (its client CA), and \
                the certificate must be in force and allow clientAuth";
    let text = texts.first().unwrap();
    assert!(texts.len() == 1 && text.starts_with(alert) && text.ends_with(help), "{texts:#?}");
}
