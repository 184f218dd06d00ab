//! `keepalive` of HTTP servers and clients, and the flat keys that it replaced.
//!
//! The Collector took one or the other for a while and knows only the block today. Here both are
//! read, since configurations of both ages are about; written together they are refused, as there.

use std::time::Duration;

use crate::config::read::section::{Flavour, Section};

/// An HTTP server: whether HTTP/1.1 connections are used again, and how long they may idle.
/// `idle_timeout` is what the flat key of that name said.
pub(super) fn http_server(
    section: &Section<'_>,
    idle_timeout: Option<Duration>,
) -> (bool, Option<Duration>) {
    let flat = (section.boolean("keep_alives_enabled").unwrap_or(true), idle_timeout);
    exclusive(section, &["idle_timeout", "keep_alives_enabled"]);
    let idle = |block: &Section<'_>| block.duration("idle_timeout").filter(|d| !d.is_zero());
    match section.optional("keepalive", Flavour::Some, idle) {
        Some(_) if !section.has("keepalive") => flat,
        Some(timeout) => (true, timeout),
        None => (false, None),
    }
}

/// What an HTTP client keeps of connections that carry nothing.
pub(super) struct IdleConnections {
    /// Every request on a connection of its own.
    pub(super) disabled: bool,
    /// How long one is kept.
    pub(super) timeout: Duration,
    /// How many are kept; 0 is unlimited.
    pub(super) total: usize,
    /// How many are kept of one upstream.
    pub(super) per_host: usize,
}

/// An HTTP client.
pub(super) fn http_client(section: &Section<'_>) -> IdleConnections {
    let disabled = section.boolean("disable_keep_alives").unwrap_or(false);
    let flat = IdleConnections { disabled, ..idle_connections(section) };
    exclusive(
        section,
        &["idle_conn_timeout", "max_idle_conns", "max_idle_conns_per_host", "disable_keep_alives"],
    );
    match section.optional("keepalive", Flavour::Some, idle_connections) {
        Some(_) if !section.has("keepalive") => flat,
        Some(block) => block,
        None => IdleConnections { disabled: true, ..flat },
    }
}

fn idle_connections(section: &Section<'_>) -> IdleConnections {
    let count = |key| section.number::<usize>(key, 0..=1_000_000);
    IdleConnections {
        disabled: false,
        timeout: section.duration("idle_conn_timeout").unwrap_or(Duration::from_secs(90)),
        total: count("max_idle_conns").unwrap_or(100),
        per_host: count("max_idle_conns_per_host").filter(|count| *count > 0).unwrap_or(2),
    }
}

fn exclusive(section: &Section<'_>, flat: &[&str]) {
    if !section.has("keepalive") {
        return;
    }
    for key in flat.iter().filter(|key| section.has(key)) {
        section.error_help(
            key,
            "contradiction",
            format!("{key} and the keepalive block cannot be used together"),
            "move it into the block, where disable_keep_alives and keep_alives_enabled are \
             called enabled",
        );
    }
}
