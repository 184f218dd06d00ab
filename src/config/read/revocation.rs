//! Revocation lists and what is demanded of senders: the keys of a `tls` block that are ours.

use std::path::PathBuf;
use std::sync::Arc;

use crate::config::node::{Node, Value};
use crate::config::read::section::Section;
use crate::config::read::values::text_of;
use crate::config::sections::{ClientAuth, OnDoubt, RevocationPolicy, RevocationScope, ServerTls};
use crate::config::types::{Pem, PemSource};

/// What a server's block says about its clients, beside the CA.
pub(super) fn of_clients(tls: &Section<'_>, into: &mut ServerTls) {
    into.client_crl = lists(tls, "client_crl_file");
    into.revocation = policy(tls, "client_crl_file", !into.client_crl.is_empty());
    let mode = tls.word(
        "client_auth",
        &[
            ("require", ClientAuth::Require),
            ("optional", ClientAuth::Optional),
            ("report_only", ClientAuth::ReportOnly),
        ],
    );
    into.client_auth = mode.unwrap_or_default();
    into.session_resumption =
        tls.word("session_resumption", &[("enabled", true), ("disabled", false)]);
    if let Some(grace) = tls.duration("trust_loss_grace") {
        into.trust_loss_grace = grace;
    }
    if into.client_ca.is_some() {
        match into.client_auth {
            ClientAuth::Require => {}
            ClientAuth::Optional => tls.warn(
                "client_auth",
                "tls_clients_optional",
                "senders without a certificate are let in",
                "write `client_auth: require` once every sender has one",
            ),
            ClientAuth::ReportOnly => tls.warn(
                "client_auth",
                "tls_clients_unverified",
                "every sender is let in; who would be refused is only logged and counted",
                "write `client_auth: require` once nobody is reported any more",
            ),
        }
    } else if !tls.has("client_ca_file") {
        // Written by someone who wants senders to be verified: without a CA nobody would be.
        for (key, is_set) in
            [("client_crl_file", !into.client_crl.is_empty()), ("client_auth", mode.is_some())]
        {
            if is_set {
                tls.error_help(
                    key,
                    "tls_nobody_verified",
                    "demands nothing without client_ca_file, so everybody would be let in",
                    "add client_ca_file, which names the CA of the clients",
                );
            }
        }
        let why = "there is no client_ca_file, so no client has a certificate to lose trust in";
        tls.no_effect("trust_loss_grace", why);
    }
}

/// What is said of a list of files that is none.
pub(super) struct Words {
    /// What it should be.
    pub(super) wanted: &'static str,
    /// What its emptiness would mean.
    pub(super) empty: &'static str,
    /// What to do then.
    pub(super) help: &'static str,
}

const LISTS: Words = Words {
    wanted: "a path or a list of paths",
    empty: "is empty, so no certificate would be looked up",
    help: "name the revocation list, or remove the key to look nobody up",
};

/// Revocation lists.
pub(super) fn lists(tls: &Section<'_>, key: &str) -> Vec<Pem> {
    files(tls, key, &LISTS)
}

/// One path or a list of paths; an empty one is a mistake: checking would vanish.
pub(super) fn files(tls: &Section<'_>, key: &str, words: &Words) -> Vec<Pem> {
    let Some(node) = tls.raw(key) else { return Vec::new() };
    let nodes: &[Node] = match &node.value {
        Value::List(items) => items,
        Value::Null | Value::Scalar(_) | Value::Map(_) => std::slice::from_ref(node),
    };
    let mut files: Vec<Pem> = Vec::new();
    for (index, item) in nodes.iter().enumerate() {
        let path = match text_of(item) {
            Ok(text) => text,
            Err(found) => {
                tls.mistyped(key, &found, words.wanted);
                return Vec::new();
            }
        };
        if path.is_empty() {
            tls.error_help(key, "empty", words.empty, words.help);
            return Vec::new();
        }
        let source = PemSource::File(PathBuf::from(path));
        if files.iter().any(|file| file.source == source) {
            tls.error_help(key, "duplicate_key", "names the same file twice", "leave one of them");
            return Vec::new();
        }
        let mut key_path = tls.path_of(key);
        if matches!(node.value, Value::List(_)) {
            key_path.push_str(&format!("[{index}]"));
        }
        files.push(Pem { source, key_path: Arc::from(key_path) });
    }
    if files.is_empty() {
        tls.error_help(key, "empty", words.empty, words.help);
    }
    files
}

/// `revocation`; `lists` is the key that it belongs to.
pub(super) fn policy(tls: &Section<'_>, lists: &str, has_lists: bool) -> RevocationPolicy {
    if tls.has("revocation") && !has_lists && !tls.has(lists) {
        let message = format!("looks nobody up without {lists}");
        tls.error_help("revocation", "missing_key", message, format!("add {lists}"));
    }
    let policy = tls.section("revocation", |section| {
        let doubt = &[("deny", OnDoubt::Deny), ("allow", OnDoubt::Allow)];
        let scopes = &[("chain", RevocationScope::Chain), ("leaf", RevocationScope::Leaf)];
        let policy = RevocationPolicy {
            scope: section.word("scope", scopes).unwrap_or_default(),
            unknown: section.word("unknown", doubt).unwrap_or_default(),
            expired: section.word("expired", doubt).unwrap_or_default(),
            grace: section.duration("grace").unwrap_or_default(),
        };
        if !policy.grace.is_zero() && policy.expired == OnDoubt::Allow {
            let why = "expired lists are allowed however old they are";
            section.no_effect("grace", why);
        }
        policy
    });
    for (doubt, what) in [
        (policy.unknown, "unknown: certificates that no revocation list covers"),
        (policy.expired, "expired: certificates whose revocation list is out of date"),
    ] {
        if doubt == OnDoubt::Allow {
            tls.warn(
                "revocation",
                "tls_revocation_lenient",
                format!("{what} are let in"),
                "write `deny` once every CA publishes a list in time",
            );
        }
    }
    policy
}
