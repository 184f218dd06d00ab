//! The life of one connection: handshake, HTTP/1 or HTTP/2, deadlines, drain.
//!
//! Guarantees that every state of a connection has a deadline and that nothing of one connection
//! reaches another. Knows nothing of sockets' origin and of what requests mean.

mod activity;
mod io;
mod meter;
mod protocols;
mod supervise;
mod trust;

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, timeout};
use tracing::{debug, info, warn};

use crate::acceptor::{Accepted, Acceptor, Stream, Transport};
use crate::config::sections::ServerLimits;
use crate::connection::activity::Activity;
use crate::connection::io::{Guarded, Preface, ReadAhead};
use crate::connection::protocols::Protocols;
use crate::connection::supervise::{End, Terms, UNREAD};
use crate::connection::trust::Trust;
use crate::metrics::Metrics;
use crate::pipeline::Consumer;
use crate::receiver::{Distrust, Peer, Receiver};
use crate::shutdown::Draining;
use crate::telemetry::Quota;
use crate::tls::Alpn;

pub(crate) use activity::UnderWay;

/// What the connections of one listener on one worker share.
pub(crate) struct Endpoint<C> {
    key_path: String,
    acceptor: Acceptor,
    receiver: Receiver<C>,
    protocols: Protocols,
    http1_terms: Terms,
    http2_terms: Terms,
    first_bytes: Duration,
    write_timeout: Duration,
    under_way: UnderWay,
    metrics: Metrics,
    /// What is said of peers that do harm.
    attacks: Mutex<Quota>,
}

/// The settings of an [`Endpoint`].
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The server block's config key.
    pub(crate) key_path: String,
    /// Its limits.
    pub(crate) limits: ServerLimits,
    /// Whether an HTTP/1 connection may carry more than one request.
    pub(crate) keep_alive: bool,
}

impl<C: Consumer> Endpoint<C> {
    /// Requests under way are counted in `under_way`.
    pub(crate) fn new(
        settings: &Settings,
        acceptor: Acceptor,
        receiver: Receiver<C>,
        under_way: UnderWay,
        metrics: Metrics,
    ) -> Self {
        let limits = &settings.limits;
        Self {
            key_path: settings.key_path.clone(),
            acceptor,
            receiver,
            protocols: Protocols::new(limits, settings.keep_alive),
            http1_terms: Terms::http1(limits),
            http2_terms: Terms::http2(limits),
            first_bytes: limits.header_timeout,
            write_timeout: limits.write_timeout,
            under_way,
            metrics,
            attacks: Mutex::new(Quota::new(1, Duration::from_secs(10))),
        }
    }

    /// Serves one connection until it ends, is given up, or is drained. Dropping the future cuts
    /// it.
    pub(crate) async fn serve(
        self: Arc<Self>,
        stream: Stream,
        address: Arc<str>,
        mut draining: Draining,
    ) {
        let _open = self.metrics.connection_opened(&self.key_path);
        // Boxed, for its memory is needed no longer than the handshake lasts.
        let mut handshake = Box::pin(self.begin(stream, &address));
        // A connection that is still shaking hands has nothing to lose. Both are cancel-safe.
        let begun = tokio::select! {
            begun = &mut handshake => begun,
            () = draining.begun() => None,
        };
        drop(handshake);
        let Some((accepted, ahead, preface)) = begun else { return };
        let distrust = Distrust::default();
        let admission = self.receiver.admit(accepted.identity.as_deref());
        let peer = Peer { address, identity: accepted.identity, admission, distrust };
        let trust = Trust::of(accepted.standing);
        let activity = Activity::new(self.receiver.clone(), peer, self.under_way.clone());
        let io =
            Guarded::new(accepted.io, ahead, preface, self.write_timeout, Arc::clone(&activity));
        let io = TokioIo::new(io);
        // Boxed, as hyper moves it several times before it begins, and it is large.
        let service = service_fn(|request| Box::pin(Arc::clone(&activity).answer(request)));
        let end = match preface {
            Preface::Http2 => {
                let connection = pin!(self.protocols.http2.serve_connection(io, service));
                let terms = &self.http2_terms;
                supervise::run(connection, &activity, terms, trust, &mut draining).await
            }
            Preface::Http1 => {
                let connection = pin!(self.protocols.http1.serve_connection(io, service));
                let terms = &self.http1_terms;
                supervise::run(connection, &activity, terms, trust, &mut draining).await
            }
            Preface::Nothing => return,
        };
        if let Some(failure) = activity.distrusted() {
            self.metrics.connection_distrusted(failure.reason);
            info!(
                listener = %self.key_path,
                peer = activity.peer(),
                reason = failure.reason,
                detail = %failure.message,
                "a connection was ended, for its client is not trusted any more"
            );
        }
        let end = if activity.is_flooding() { End::Expired(FLOOD) } else { end };
        self.report(activity.peer(), &end);
    }

    /// From the socket to the first bytes of HTTP; `None` if they never come.
    async fn begin(&self, stream: Stream, address: &str) -> Option<(Accepted, ReadAhead, Preface)> {
        // A refusal is logged and counted by the acceptor.
        let mut accepted = self.acceptor.accept(stream, address).await.ok()?;
        let mut ahead = ReadAhead::default();
        let preface = match accepted.alpn {
            Alpn::H2 => Preface::Http2,
            _ if matches!(accepted.io, Transport::Tls(_)) => Preface::Http1,
            _ => match timeout(self.first_bytes, ahead.sniff(&mut accepted.io)).await {
                Ok(Ok(preface)) => preface,
                Ok(Err(error)) => {
                    debug!(listener = %self.key_path, peer = %address, %error, "connection broke");
                    return None;
                }
                Err(_) => {
                    self.report(address, &End::Expired("no_request"));
                    return None;
                }
            },
        };
        Some((accepted, ahead, preface))
    }

    /// What a stranger can bring about is for the debug level only, but for what harms: that is told
    /// once in a while.
    fn report(&self, peer: &str, end: &End) {
        let listener = &self.key_path;
        match end {
            End::Expired(reason) => {
                self.metrics.connection_ended(reason);
                let weigh = || {
                    let mut attacks = self.attacks.lock().unwrap_or_else(PoisonError::into_inner);
                    attacks.take(Instant::now())
                };
                match told(reason).and_then(|text| Some((text, weigh()?))) {
                    Some((text, others)) => {
                        warn!(listener, peer, reason, others_not_logged = others, "{text}");
                    }
                    None => debug!(listener, peer, reason, "connection closed"),
                }
            }
            End::Served(Ok(())) => debug!(listener, peer, "connection ended"),
            End::Served(Err(error)) => {
                debug!(listener, peer, error = error as &dyn std::error::Error, "connection broke");
            }
        }
    }
}

/// What is said of a peer that does harm.
fn told(reason: &str) -> Option<&'static str> {
    match reason {
        FLOOD => {
            Some("a connection was cut: its peer sent HTTP/2 frames without end that carry nothing")
        }
        UNREAD => Some("a connection was cut: its peer did not read answers within write_timeout"),
        _ => None,
    }
}

const FLOOD: &str = "frame_flood";

#[cfg(test)]
mod tests;
