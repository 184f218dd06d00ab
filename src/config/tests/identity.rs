//! `client_identity` and the receivers that name it.

use super::{BASE, id, read};
use crate::config::sections::{Config, Extension};
use crate::config::{Problem, Problems};
use crate::identity::Kind;

const TLS: &str = "tls: {cert_file: a, key_file: b, client_ca_file: c}";

/// The base with a receiver's keys and the extension's.
fn configured(grpc: &str, extension: &str) -> Result<(Config, Problems), Problems> {
    let text = format!(
        "
receivers: {{otlp: {{protocols: {{grpc: {{{grpc}}}}}}}}}
extensions:
  client_identity: {extension}
service: {{extensions: [client_identity]}}
"
    );
    read(&[BASE, &text], &[], &[])
}

fn named() -> String {
    format!("{TLS}, auth: {{authenticator: client_identity}}")
}

fn only_error(outcome: Result<(Config, Problems), Problems>, of: &str) -> Problem {
    let problems = outcome.map(|_| ()).expect_err(of);
    assert_eq!(problems.errors.len(), 1, "{of}: {problems}");
    problems.errors[0].clone()
}

#[test]
fn rules_are_read_and_given_to_the_listener_that_names_them() {
    let extension = "
    source: [spiffe, cn]
    allow:
      - spiffe: spiffe://shop.example/ns/prod/sa/*
        signals: [traces, logs]
      - cn: agent
    deny: [{dns: '**.evil.example'}]
    trust_domains: {shop.example: /ca.pem, b.example: [/x.pem, /y.pem]}
";
    let (config, problems) = configured(&named(), extension).unwrap_or_else(|p| panic!("{p}"));
    assert_eq!(problems.warnings, []);
    let Extension::ClientIdentity(identity) = &config.extensions[&id("client_identity")] else {
        panic!()
    };
    assert_eq!(identity.rules.source, [Kind::Spiffe, Kind::Cn]);
    assert_eq!(identity.rules.deny.len(), 1);
    let server = &config.receivers[&id("otlp")].grpc.as_ref().unwrap().server;
    assert_eq!(server.rules.as_ref(), Some(&identity.rules));
    let domains = &server.tls.as_ref().unwrap().trust_domains;
    assert_eq!(domains.len(), 2);
    assert_eq!(
        domains["b.example"][1].key_path.as_ref(),
        "extensions.client_identity.trust_domains.b.example[1]"
    );
}

#[test]
fn a_wrong_rule_is_refused_at_its_key() {
    for (extension, key, reason) in [
        ("{}", "", "missing_key"),
        ("{allow: []}", ".allow", "empty"),
        ("{allow: all}", ".allow", "wrong_type"),
        ("{allow: {dns: a}}", ".allow", "wrong_type"),
        ("{allow: [dns]}", ".allow[0]", "wrong_type"),
        ("{allow: [{}]}", ".allow[0]", "missing_key"),
        ("{allow: [{signals: [logs]}]}", ".allow[0]", "missing_key"),
        ("{allow: [{dns: a, spiffe: 'spiffe://a/b'}]}", ".allow[0].dns", "contradiction"),
        ("{allow: [{dns: a}, {dns: 'a*'}]}", ".allow[1].dns", "identity_pattern"),
        ("{allow: [{dns: [a]}]}", ".allow[0].dns", "wrong_type"),
        ("{allow: [{spiffe: 'spiffe://a'}]}", ".allow[0].spiffe", "identity_pattern"),
        ("{allow: [{cn: a}]}", ".allow[0].cn", "unreachable"),
        ("{allow: [{dns: a, signals: [spans]}]}", ".allow[0].signals", "unknown_value"),
        ("{allow: [{dns: a, signals: []}]}", ".allow[0].signals", "empty"),
        ("{allow: [{dns: a, limits: {}}]}", ".allow[0].limits", "unsupported"),
        ("{allow: [{dns: a, tenant: b}]}", ".allow[0].tenant", "unsupported"),
        ("{allow: [{dsn: a}]}", ".allow[0].dsn", "unknown_key"),
        ("{allow: any, source: []}", ".source", "empty"),
        ("{allow: any, source: [dns, dns]}", ".source", "duplicate_key"),
        ("{allow: any, source: [san]}", ".source", "unknown_value"),
        ("{allow: any, deny: {dns: a}}", ".deny", "wrong_type"),
        ("{allow: any, deny: [{sha256: ab}]}", ".deny[0].sha256", "identity_pattern"),
        ("{allow: any, deny: [{dns: a, signals: [logs]}]}", ".deny[0].signals", "unknown_key"),
        ("{allow: any, limits: {}}", ".limits", "unsupported"),
        ("{allow: any, tenant: a}", ".tenant", "unsupported"),
        ("{allow: any, stamp: {}}", ".stamp", "unsupported"),
        ("{allow: any, tenant_header: X}", ".tenant_header", "unsupported"),
        ("{allow: any, audit: {path: a}}", ".audit", "unsupported"),
        (
            "{allow: any, trust_domains: {A.example: /a}}",
            ".trust_domains.A.example",
            "trust_domain",
        ),
        ("{allow: any, trust_domains: {a: ''}}", ".trust_domains.a", "empty"),
        ("{allow: any, trust_domains: {a: []}}", ".trust_domains.a", "empty"),
        (
            "{allow: [{spiffe: 'spiffe://b/x'}], trust_domains: {a: /a}}",
            ".allow[0].spiffe",
            "unreachable",
        ),
    ] {
        let error = only_error(configured(&named(), extension), extension);
        let found = (error.key_path.as_str(), error.reason);
        assert_eq!(found, (format!("extensions.client_identity{key}").as_str(), reason), "{error}");
        assert_eq!(error.span.line, 4, "{extension}: {error}");
    }
    let all = "{allow: [{dns: 'a*'}, {ip: x}], deny: [{}], stamp: {}, source: [dns]}";
    let problems = configured(&named(), all).unwrap_err();
    assert_eq!(problems.errors.len(), 4, "every problem is found at once: {problems}");
}

/// Guarantees: rules that are written are never without effect.
#[test]
fn an_authenticator_that_could_not_decide_is_refused_with_its_mend() {
    let auth = "auth: {authenticator: client_identity}";
    for (grpc, help) in [
        (auth.to_owned(), "add tls.client_ca_file"),
        (format!("tls: {{cert_file: a, key_file: b}}, {auth}"), "add tls.client_ca_file"),
        (
            format!(
                "tls: {{cert_file: a, key_file: b, client_ca_file: c, client_auth: report_only}}, {auth}"
            ),
            "client_auth: require",
        ),
    ] {
        let error = only_error(configured(&grpc, "{allow: any}"), &grpc);
        assert_eq!(error.key_path, "receivers.otlp.protocols.grpc.auth.authenticator", "{error}");
        assert!(error.to_string().contains(help), "{error}");
    }
    let error = only_error(configured(TLS, "{allow: any}"), "nobody names it");
    assert_eq!((error.key_path.as_str(), error.reason), ("extensions.client_identity", "auth"));
    assert_eq!(error.span.line, 4, "{error}");

    let unlisted = format!(
        "receivers: {{otlp: {{protocols: {{grpc: {{{}}}}}}}}}\nextensions: {{client_identity: {{allow: any}}}}",
        named()
    );
    let error = only_error(read(&[BASE, &unlisted], &[], &[]), "unlisted");
    assert!(error.to_string().contains("add client_identity to service.extensions"), "{error}");

    let other = named().replace("authenticator: client_identity", "authenticator: zpages");
    let text = format!(
        "receivers: {{otlp: {{protocols: {{grpc: {{{other}}}}}}}}}\nextensions: {{zpages: }}\nservice: {{extensions: [zpages]}}"
    );
    let error = only_error(read(&[BASE, &text], &[], &[]), "zpages");
    assert!(error.message.contains("is not a server authenticator"), "{error}");
}

/// Scenario: either port answers both protocols, and only one of them has the authenticator.
#[test]
fn a_second_port_without_the_authenticator_is_warned_about() {
    let text = format!(
        "
receivers: {{otlp: {{protocols: {{grpc: {{{}}}, http: {{{TLS}}}}}}}}}
extensions: {{client_identity: {{allow: any}}}}
service: {{extensions: [client_identity]}}
",
        named()
    );
    let (_, problems) = read(&[BASE, &text], &[], &[]).unwrap_or_else(|p| panic!("{p}"));
    let [warning] = problems.warnings.as_slice() else { panic!("{problems}") };
    assert_eq!(warning.key_path, "receivers.otlp.protocols.http");
    assert_eq!(warning.reason, "auth_gap");
}
