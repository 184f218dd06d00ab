//! `client_identity`, and the receivers that name it as their authenticator.
//!
//! Guarantees that rules which are written are applied by somebody, and that a listener which names
//! them has certificates to apply them to.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::node::{Node, Value};
use crate::config::read::revocation;
use crate::config::read::section::Section;
use crate::config::read::values::describe;
use crate::config::sections::{
    ClientAuth, ClientIdentity, Extension, OtlpReceiver, Server, Service, TrustDomains,
};
use crate::config::types::ComponentId;
use crate::identity::{Allow, Kind, Pattern, Rule, Rules, is_trust_domain};
use crate::signal::Signal;

/// `extensions.client_identity`.
pub(super) fn client_identity(section: &Section<'_>) -> Extension {
    for (key, what) in LATER {
        later(section, key, what);
    }
    let source = source(section);
    let trust_domains = trust_domains(section);
    let rules = Rules {
        key_path: section.path.clone(),
        allow: allow(section, &source, &trust_domains),
        deny: each(section, "deny", pattern).unwrap_or_default(),
        source,
    };
    Extension::ClientIdentity(ClientIdentity { rules: Arc::new(rules), trust_domains })
}

fn later(section: &Section<'_>, key: &str, what: &str) {
    if section.raw(key).is_some() {
        section.error_help(
            key,
            "unsupported",
            format!("this version does not have it: {what}"),
            "remove it, or stay with a version that has it",
        );
    }
}

fn source(section: &Section<'_>) -> Vec<Kind> {
    let Some(names) = section.strings("source") else { return vec![Kind::Spiffe, Kind::Dns] };
    let mut kinds = Vec::new();
    for name in &names {
        match Kind::ALL.into_iter().find(|kind| kind.name() == name) {
            Some(kind) if kinds.contains(&kind) => {
                section.error("source", "duplicate_key", format!("{name:?} is there twice"));
            }
            Some(kind) => kinds.push(kind),
            None => section.error_help(
                "source",
                "unknown_value",
                format!("{name:?} is no kind of identity"),
                format!("use of: {}", Kind::ALL.map(Kind::name).join(", ")),
            ),
        }
    }
    if names.is_empty() {
        let help = "write source: [spiffe, dns], or remove the key, which means the same";
        section.error_help("source", "empty", "is empty, so nobody would have a name", help);
    }
    kinds
}

fn trust_domains(section: &Section<'_>) -> TrustDomains {
    let mut domains = BTreeMap::new();
    section.section("trust_domains", |map| {
        for (key, _) in map.entries() {
            if !is_trust_domain(&key.text) {
                map.raw(&key.text);
                map.error_help(
                    &key.text,
                    "trust_domain",
                    format!("{:?} is no name of a trust domain", key.text),
                    "write it as SPIFFE ids have it between spiffe:// and the next slash",
                );
                continue;
            }
            domains.insert(key.text.clone(), revocation::files(map, &key.text, &CA_FILES));
        }
    });
    domains
}

fn allow(section: &Section<'_>, source: &[Kind], domains: &TrustDomains) -> Allow {
    let help = "write rules such as [{ spiffe: spiffe://shop.example/ns/prod/sa/* }], or allow: \
                any to admit every verified certificate";
    match section.raw("allow").map(|node| &node.value) {
        None | Some(Value::Null) => {
            let message = "allow is missing, and nobody would be let in";
            section.error_help(
                if section.has("allow") { "allow" } else { "" },
                "missing_key",
                message,
                help,
            );
        }
        Some(Value::Scalar(scalar)) if scalar.text == "any" => return Allow::Any,
        Some(Value::Scalar(_) | Value::Map(_)) => {
            let node = section.raw("allow");
            let found = node.map(describe).unwrap_or_default();
            let message = format!("must be a list of rules, or the word any; found {found}");
            section.error_help("allow", "wrong_type", message, help);
        }
        Some(Value::List(items)) if items.is_empty() => {
            section.error_help("allow", "empty", "is empty, so nobody would be let in", help);
        }
        Some(Value::List(_)) => {}
    }
    let rules = each(section, "allow", |rule| {
        for (key, what) in LATER_IN_RULES {
            later(rule, key, what);
        }
        let signals = signals(rule);
        let pattern = pattern(rule)?;
        reachable(rule, &pattern, source, domains);
        Some(Rule { pattern, signals })
    });
    Allow::Rules(rules.unwrap_or_default())
}

/// A rule that can match nobody is a mistake, and its author believes somebody to be let in.
fn reachable(rule: &Section<'_>, pattern: &Pattern, source: &[Kind], domains: &TrustDomains) {
    let kind = pattern.kind();
    if !source.is_empty() && !source.contains(&kind) {
        rule.error_help(
            kind.name(),
            "unreachable",
            format!("matches nobody: source does not list {kind}"),
            format!("add {kind} to source, at the place where it should decide"),
        );
    }
    if let Some(domain) = pattern.trust_domain()
        && !domains.is_empty()
        && !domains.contains_key(domain)
    {
        rule.error_help(
            kind.name(),
            "unreachable",
            format!("matches nobody: trust_domains does not list {domain}"),
            format!("add trust_domains: {{ {domain}: /path/to/its/bundle.pem }}"),
        );
    }
}

/// The one identity of a rule.
fn pattern(rule: &Section<'_>) -> Option<Pattern> {
    let mut found = None;
    let mut written: Option<Kind> = None;
    for kind in Kind::ALL {
        let Some(text) = rule.string(kind.name()) else {
            if rule.has(kind.name()) {
                // Of a wrong type, which has been said.
                written.get_or_insert(kind);
            }
            continue;
        };
        if let Some(first) = written {
            rule.error_help(
                kind.name(),
                "contradiction",
                format!("a rule has one identity, and this one has {first} too"),
                "make two rules of it; either admits",
            );
            continue;
        }
        written = Some(kind);
        match Pattern::parse(kind, &text) {
            Ok(pattern) => found = Some(pattern),
            Err(why) => rule.error_help(kind.name(), "identity_pattern", why.to_string(), FORMS),
        }
    }
    // A key that is not known may be a misspelled one.
    let has_others = rule.entries().iter().any(|(key, _)| !BESIDE.contains(&key.text.as_str()));
    if written.is_none() && !has_others {
        let help = format!("add one of: {}", Kind::ALL.map(Kind::name).join(", "));
        rule.error_help("", "missing_key", "the rule names nobody", help);
    }
    found
}

fn signals(rule: &Section<'_>) -> [bool; 4] {
    let Some(names) = rule.strings("signals") else { return [true; 4] };
    let mut signals = [false; 4];
    for name in &names {
        match Signal::from_name(name).and_then(|signal| signals.get_mut(signal.index())) {
            Some(signal) => *signal = true,
            None => rule.error_help(
                "signals",
                "unknown_value",
                format!("{name:?} is no signal"),
                "use of: traces, metrics, logs, profiles",
            ),
        }
    }
    if names.is_empty() {
        let help = "name signals, or remove the key to allow all of them";
        rule.error_help("signals", "empty", "is empty, so nothing could be sent", help);
    }
    signals
}

/// The rules of a list; `None` when it is none.
fn each<T>(
    section: &Section<'_>,
    key: &str,
    read: impl Fn(&Section<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    let node = section.raw(key)?;
    let items: &[Node] = match &node.value {
        Value::List(items) => items,
        Value::Null if key == "deny" => return None,
        _ if key == "allow" => return None,
        _ => {
            section.mistyped(key, &describe(node), "a list of rules");
            return None;
        }
    };
    let rules = items.iter().enumerate().filter_map(|(index, item)| {
        let path = format!("{}[{index}]", section.path_of(key));
        let rule = Section::new(path, item.span.clone(), Some(item), section.sink);
        let value = read(&rule);
        rule.finish();
        value
    });
    Some(rules.collect())
}

/// Gives every listener the rules of the authenticator that it names. `fail` reports at a key path,
/// for the receiver of an id.
pub(super) fn resolve(
    receivers: &mut BTreeMap<ComponentId, OtlpReceiver>,
    extensions: &BTreeMap<ComponentId, Extension>,
    known: &std::collections::BTreeSet<ComponentId>,
    service: &Service,
    mut fail: impl FnMut(&ComponentId, &str, String, String),
) {
    let mut used = Vec::new();
    for (id, receiver) in receivers.iter_mut() {
        let grpc = receiver.grpc.as_mut().map(|grpc| &mut grpc.server);
        let http = receiver.http.as_mut().map(|http| &mut http.server);
        for server in [grpc, http].into_iter().flatten() {
            let Some(auth) = server.auth.clone() else { continue };
            let key = format!("{}.auth.authenticator", server.key_path);
            match extensions.get(&auth) {
                Some(Extension::ClientIdentity(found)) => {
                    used.push(auth.clone());
                    if !service.extensions.contains(&auth) {
                        let message = format!("{auth} is not in service.extensions");
                        fail(id, &key, message, format!("add {auth} to service.extensions"));
                    }
                    if let Err((message, help)) = apply(found, server) {
                        fail(id, &key, message.to_owned(), help.to_owned());
                    }
                }
                _ if known.contains(&auth) => {
                    let message =
                        format!("requested authenticator {auth} is not a server authenticator");
                    fail(id, &key, message, ADD.to_owned());
                }
                _ => {
                    let message = format!(
                        "failed to resolve authenticator \"{auth}\": authenticator not found"
                    );
                    fail(id, &key, message, ADD.to_owned());
                }
            }
        }
    }
    for (id, _) in extensions.iter().filter(|(id, one)| {
        matches!(one, Extension::ClientIdentity(_))
            && service.extensions.contains(id)
            && !used.contains(id)
    }) {
        let message = "no receiver names it, so its rules would hold for nobody".to_owned();
        let help =
            format!("add auth: {{ authenticator: {id} }} beside the tls block of a receiver");
        fail(id, &format!("extensions.{id}"), message, help);
    }
}

fn apply(
    identity: &ClientIdentity,
    server: &mut Server,
) -> Result<(), (&'static str, &'static str)> {
    let Some(tls) = server.tls.as_mut().filter(|tls| tls.client_ca.is_some()) else {
        return Err((
            "identities come from client certificates, and this listener asks for none",
            "add tls.client_ca_file, which names the CA of the clients",
        ));
    };
    if tls.client_auth == ClientAuth::ReportOnly {
        return Err((
            "client_auth: report_only lets in whom the authenticator would refuse",
            "write client_auth: require, or optional; or remove auth while you look who comes",
        ));
    }
    tls.trust_domains.clone_from(&identity.trust_domains);
    server.rules = Some(Arc::clone(&identity.rules));
    Ok(())
}

const LATER: [(&str, &str); 5] = [
    ("limits", "nobody would be limited"),
    ("tenant", "nothing would be told to the upstream"),
    ("stamp", "nothing would be stamped"),
    ("tenant_header", "nothing would be told to the upstream"),
    ("audit", "nothing would be written"),
];

const BESIDE: [&str; 3] = ["limits", "signals", "tenant"];

const LATER_IN_RULES: [(&str, &str); 2] =
    [("limits", "nobody would be limited"), ("tenant", "nothing would be told to the upstream")];

const ADD: &str = "add extensions: {client_identity: {allow: any}}, list client_identity in \
                   service.extensions, and name it here; or remove auth and let \
                   tls.client_ca_file decide alone";

const FORMS: &str = "a * stands for one whole part, ** for the rest: spiffe://shop.example/ns/*/sa/web, \
                     spiffe://shop.example/**, *.shop.example, **.shop.example, *@shop.example; cn, \
                     ip and sha256 are written out";

const CA_FILES: revocation::Words = revocation::Words {
    wanted: "a path or a list of paths",
    empty: "is empty, so nobody of this trust domain would be let in",
    help: "name the file with the CAs of this trust domain",
};
