//! What the receivers of one listener share.
//!
//! Read from the configuration once; nothing here changes afterwards but the byte budget.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use tracing::{trace, warn};

use super::budget::Budget;
use super::cors::CorsPolicy;
use super::{Peer, refusal};
use crate::aside::Aside;
use crate::coding::Coding;
use crate::config::sections::{GrpcServer, HttpServer, Server, UrlPaths};
use crate::config::types::ComponentId;
use crate::identity::Rules;
use crate::metrics::{Metrics, ReceiverMetrics};
use crate::outcome::Failure;
use crate::signal::Signal;
use crate::telemetry::{Repeats, Verdict};

/// What the workers' receivers of one listener share: settings, the byte budget, instruments.
#[derive(Clone, Debug)]
pub(crate) struct Shared(pub(super) Arc<Settings>);

/// See the module.
#[derive(Debug)]
pub(super) struct Settings {
    /// The config key of the listener, for the log.
    pub(super) key_path: String,
    /// Largest request, on the wire and again after inflating.
    pub(super) max_request_bytes: usize,
    /// Longest time to receive a body.
    pub(super) body_timeout: Duration,
    /// Longest time until the pipeline answered.
    pub(super) request_timeout: Duration,
    /// Bytes that requests may hold.
    pub(super) budget: Budget,
    /// Where long bodies are decoded.
    pub(super) aside: Aside,
    /// `auth` names an authenticator, and there is none: every request is refused.
    pub(super) locked: bool,
    /// Of the authenticator that `auth` names.
    pub(super) rules: Option<Arc<Rules>>,
    repeats: Repeats,
    paths: UrlPaths,
    /// `None` is any.
    codings: Option<Vec<Option<Coding>>>,
    pub(super) cors: Option<CorsPolicy>,
    /// Set on every answer.
    pub(super) response_headers: HeaderMap,
    pub(super) grpc: ReceiverMetrics,
    pub(super) http: ReceiverMetrics,
    metrics: Metrics,
    pub(super) warned_of_nothing: AtomicBool,
}

impl Shared {
    /// For `protocols.grpc`; OTLP/HTTP is answered there too, on the default paths.
    pub(crate) fn grpc(
        id: &ComponentId,
        server: &GrpcServer,
        aside: &Aside,
        metrics: &Metrics,
    ) -> Self {
        Self(Arc::new(Settings::new(id, &server.server, aside, metrics)))
    }

    /// For `protocols.http`; gRPC is answered there too.
    pub(crate) fn http(
        id: &ComponentId,
        server: &HttpServer,
        aside: &Aside,
        metrics: &Metrics,
    ) -> Self {
        let key_path = &server.server.key_path;
        let mut settings = Settings::new(id, &server.server, aside, metrics);
        settings.paths = server.paths.clone();
        settings.cors = server.cors.as_ref().map(CorsPolicy::new);
        settings.response_headers = response_headers(key_path, server);
        settings.codings = server.compression_algorithms.as_ref().map(|names| {
            // A configuration that was read holds known names only. An empty list is "no coding":
            // the Collector passes the compressed bytes to its decoder, which helps nobody.
            let known = names.iter().filter_map(|name| Coding::from_http_name(name));
            if names.is_empty() { vec![None] } else { known.collect() }
        });
        Self(Arc::new(settings))
    }

    /// Where its long bodies are decoded.
    #[cfg(test)]
    pub(crate) fn aside(&self) -> &Aside {
        &self.0.aside
    }
}

impl Settings {
    fn new(id: &ComponentId, server: &Server, aside: &Aside, metrics: &Metrics) -> Self {
        let key = &server.key_path;
        if server.include_metadata {
            warn!(%key, "include_metadata has no effect: no component reads what senders put there");
        }
        let locked = server.auth.is_some() && server.rules.is_none();
        if let Some(authenticator) = server.auth.as_ref().filter(|_| locked) {
            warn!(%key, %authenticator, "no such authenticator: every request is refused");
        }
        Self {
            key_path: key.clone(),
            max_request_bytes: server.max_request_bytes,
            body_timeout: server.limits.body_timeout,
            request_timeout: server.limits.request_timeout,
            budget: Budget::new(server.limits.max_in_flight_bytes),
            aside: aside.clone(),
            locked,
            rules: server.rules.clone(),
            repeats: Repeats::default(),
            paths: UrlPaths::default(),
            codings: None,
            cors: None,
            response_headers: HeaderMap::new(),
            grpc: metrics.receiver(id, "grpc"),
            http: metrics.receiver(id, "http"),
            metrics: metrics.clone(),
            warned_of_nothing: AtomicBool::new(false),
        }
    }

    /// The signal whose OTLP/HTTP path this is.
    pub(super) fn signal_of_path(&self, path: &str) -> Option<Signal> {
        Signal::ALL.into_iter().zip(&self.paths.0).find_map(|(s, own)| (own == path).then_some(s))
    }

    /// The OTLP/HTTP path of a signal.
    pub(super) fn path_of(&self, signal: Signal) -> &str {
        self.paths.0.get(signal.index()).map_or("", String::as_str)
    }

    /// Whether `compression_algorithms` lets this coding pass on OTLP/HTTP.
    pub(super) fn allows(&self, coding: Option<Coding>) -> bool {
        self.codings.as_ref().is_none_or(|allowed| allowed.contains(&coding))
    }

    /// Counts a request that the receiver itself refuses.
    pub(super) fn refused(&self, peer: &Peer, failure: Failure) -> Failure {
        self.metrics.refusal(failure.reason);
        trace!(
            listener = %self.key_path,
            peer = %peer.address,
            reason = failure.reason,
            error = ?failure.message,
            "request refused",
        );
        if let Some(who) = peer.admission.who(&failure)
            && let Verdict::Say { repeated, unsaid } =
                self.repeats.weigh(failure.reason, who, &peer.address)
        {
            warn!(
                listener = %self.key_path,
                peer = %peer.address,
                reason = failure.reason,
                detail = %failure.message,
                repeated,
                other_refusals_not_logged = unsaid,
                "a request was refused, for the rules do not let its sender in",
            );
        }
        if failure.reason == refusal::NO_ROOM {
            self.said_full(&failure);
        }
        failure
    }

    /// Senders come again by themselves; whoever runs the gateway learns of it here alone.
    fn said_full(&self, failure: &Failure) {
        if let Verdict::Say { repeated, unsaid } = self.repeats.weigh(failure.reason, "", "") {
            warn!(
                listener = %self.key_path,
                reason = failure.reason,
                max_in_flight_bytes = self.budget.limit(),
                repeated,
                other_refusals_not_logged = unsaid,
                help = "look whether the backend is slow, for requests wait for its answer; raise \
                        max_in_flight_bytes if memory allows",
                "requests are refused for lack of room: the listener holds all the bytes that it may; \
                 their senders try again",
            );
        }
    }

    /// The same for one that brought data, which is lost if the sender would only be refused again:
    /// its operator may see nothing of the answer, so the gateway's reads it in the log.
    pub(super) fn refused_data(&self, peer: &Peer, failure: Failure) -> Failure {
        if let Some(detail) = refusal::for_good(&failure)
            && let Verdict::Say { repeated, unsaid } =
                self.repeats.weigh(failure.reason, peer.admission.subject(), &peer.address)
        {
            warn!(
                listener = %self.key_path,
                peer = %peer.address,
                reason = failure.reason,
                detail,
                repeated,
                other_refusals_not_logged = unsaid,
                "a request was refused, and its data with it: sent again, it would be refused again",
            );
        }
        self.refused(peer, failure)
    }

    /// Says once that a sender's JSON holds text but nothing of OTLP: with unknown names ignored,
    /// as OTLP demands, a misspelled name loses data without any error.
    pub(super) fn found_nothing(&self, peer: &Peer, signal: Signal, unknown: &str) {
        if !self.warned_of_nothing.swap(true, Ordering::Relaxed) {
            warn!(
                listener = %self.key_path,
                peer = %peer.address,
                %signal,
                unknown,
                "a JSON request holds no items, but a name that OTLP does not know: it may be \
                 misspelled (OTLP demands that unknown ones are ignored); said once, whoever \
                 sends it",
            );
        }
    }
}

/// The configured headers; one that HTTP cannot carry is left out with a warning.
fn response_headers(key: &str, server: &HttpServer) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in &server.response_headers {
        let parsed = HeaderName::from_bytes(name.as_bytes());
        match (parsed, HeaderValue::from_str(value.expose())) {
            (Ok(name), Ok(value)) => {
                headers.append(name, value);
            }
            _ => warn!(%key, header = ?name, "response_headers: not a valid header, left out"),
        }
    }
    headers
}
