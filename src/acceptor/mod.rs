//! From an accepted socket to a connection that may carry requests: the TLS handshake under one
//! deadline and one permit, and who the peer proved to be.
//!
//! Guarantees that a refused peer is logged and counted here, once: callers just drop it.
//! Knows nothing of HTTP beyond ALPN.

mod farewell;
mod negotiated;
mod permits;
mod report;
mod stream;

use std::io;
use std::sync::Arc;

use rustls::server::Acceptor as Greeting;
use tokio::sync::SemaphorePermit;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::StartHandshake;
use tokio_rustls::server::TlsStream;

use crate::acceptor::negotiated::negotiated;
use crate::acceptor::permits::{Crowd, Permits};
use crate::acceptor::report::Report;
use crate::config::sections::ServerLimits;
use crate::identity::Identity;
use crate::metrics::Metrics;
use crate::tls::inspect;
use crate::tls::seen::Seen;
use crate::tls::store::Watch;
use crate::tls::{
    Alpn, Fault, Handshake, Live, Plaintext, Recorded, Refusal, ServerSnapshot, Standing, noted,
    time,
};

pub(crate) use stream::{Stream, Transport};

/// Shakes hands on one listener. Clones share permits and the log's memory.
#[derive(Clone, Debug)]
pub(crate) struct Acceptor(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    snapshots: Option<Watch<ServerSnapshot>>,
    live: Option<Live>,
    permits: Permits,
    silent: Crowd,
    limits: ServerLimits,
    metrics: Metrics,
    report: Report,
    seen: Seen,
}

/// A connection that may carry requests.
#[derive(Debug)]
pub(crate) struct Accepted {
    /// The stream to speak over.
    pub(crate) io: Transport,
    /// What the peer agreed to speak; [`Alpn::None`] on plaintext.
    pub(crate) alpn: Alpn,
    /// What the peer's certificate proved, where one was demanded.
    pub(crate) identity: Option<Arc<Identity>>,
    /// What let it in, to be judged again; counts it among the connections of its CA.
    pub(crate) standing: Option<Standing>,
}

impl Acceptor {
    /// `None` is a plaintext listener.
    pub(crate) fn new(
        snapshots: Option<Watch<ServerSnapshot>>,
        limits: &ServerLimits,
        metrics: Metrics,
    ) -> Self {
        Self::noting(snapshots, limits, metrics, Seen::default())
    }

    /// The same, noting in `seen` whom it lets in.
    pub(crate) fn noting(
        snapshots: Option<Watch<ServerSnapshot>>,
        limits: &ServerLimits,
        metrics: Metrics,
        seen: Seen,
    ) -> Self {
        let live = snapshots.clone().map(|snapshots| Live::new(snapshots, metrics.clone()));
        Self(Arc::new(Shared {
            snapshots,
            live,
            permits: Permits::new(limits.max_handshakes),
            silent: Crowd::of_silent(limits.max_connections),
            limits: limits.clone(),
            metrics,
            report: Report::default(),
            seen,
        }))
    }

    /// Who is connected; whoever composes the gateway has them judged again. `None` in plaintext.
    pub(crate) fn live(&self) -> Option<Live> {
        self.0.live.clone()
    }

    /// Shakes hands; `peer` is the remote address, for messages. A plaintext listener passes the
    /// stream on at once.
    ///
    /// Takes at most `handshake_timeout`. Dropping the future ends the connection.
    ///
    /// # Errors
    /// Why the peer was refused; already logged and counted.
    pub(crate) async fn accept(&self, stream: Stream, peer: &str) -> Result<Accepted, Refusal> {
        let Some(snapshots) = &self.0.snapshots else {
            return Ok(Accepted {
                io: Transport::Plain(stream),
                alpn: Alpn::None,
                identity: None,
                standing: None,
            });
        };
        let began = Instant::now();
        let deadline = began + self.0.limits.handshake_timeout;
        let _under_way = self.0.metrics.handshake_begun();
        let shaken = match self.greet(stream, peer, snapshots, deadline).await {
            // Only now, for a peer that was silent for long must not meet what was withdrawn since.
            // Boxed, for a silent peer must not hold the memory of a handshake.
            Ok((hello, _permit)) => {
                Box::pin(self.shake(hello, peer, &snapshots.current(), deadline)).await
            }
            Err(failed) => Err(failed),
        };
        let (stream, refusal) = match shaken {
            Ok(accepted) => {
                if let Transport::Tls(stream) = &accepted.io {
                    let what = negotiated(stream.get_ref().1);
                    self.0.metrics.negotiated(what, began.elapsed().as_secs_f64());
                }
                return Ok(accepted);
            }
            Err(failed) => failed,
        };
        self.0.metrics.handshake("refused", refusal.reason);
        self.0.report.say(&refusal, peer);
        if let Some((stream, answer)) = stream {
            farewell::say(stream, &answer, deadline).await;
        }
        Err(refusal)
    }

    /// Waits for a whole ClientHello, and then for a permit: whoever says nothing, or half of it,
    /// costs a socket and no permit, and among very many of them not even that for long.
    async fn greet(
        &self,
        stream: Stream,
        peer: &str,
        snapshots: &Watch<ServerSnapshot>,
        deadline: Instant,
    ) -> Result<(StartHandshake<Recorded<Stream>>, SemaphorePermit<'_>), Refused> {
        let mut hello = LazyConfigAcceptor::new(Greeting::default(), Recorded::new(stream));
        let silent = self.0.silent.join();
        // Both branches are cancel-safe: whichever loses is dropped.
        let heard = tokio::select! {
            heard = timeout_at(deadline, &mut hello) => Some(heard),
            () = self.0.silent.is_there() => None,
        };
        drop(silent);
        let snapshot = snapshots.current();
        let handshake = Handshake { peer, first: &[], fault: None, about: &snapshot.about };
        let hello = match heard {
            None => return Err((None, handshake.silent_in_a_crowd())),
            Some(Err(_elapsed)) => return Err((None, self.timed_out(&handshake))),
            Some(Ok(Ok(hello))) => hello,
            Some(Ok(Err(error))) => {
                let Some(io) = hello.take_io() else {
                    return Err((None, handshake.failed(&error)));
                };
                return Err(unheard(io, &error, handshake, deadline).await);
            }
        };
        match self.0.permits.take(deadline).await {
            Some(permit) => Ok((hello, permit)),
            None => Err((None, handshake.overload())),
        }
    }

    async fn shake(
        &self,
        hello: StartHandshake<Recorded<Stream>>,
        peer: &str,
        snapshot: &ServerSnapshot,
        deadline: Instant,
    ) -> Result<Accepted, Refused> {
        let about = &snapshot.about;
        let explain = |fault| Handshake { peer, first: &[], fault, about };
        let config = Arc::clone(&snapshot.config);
        let handshake = hello
            .into_stream_with(config, |connection| snapshot.date_sessions(connection))
            .into_fallible();
        // Both branches are cancel-safe: whichever loses is dropped.
        let bounded = async {
            tokio::select! {
                shaken = timeout_at(deadline, handshake) => Some(shaken),
                () = self.0.permits.needed() => None,
            }
        };
        let (outcome, note) = noted(bounded).await;
        let Some(outcome) = outcome else { return Err((None, explain(None).crowded_out())) };
        let mut stream = match outcome {
            Err(_elapsed) => return Err((None, self.timed_out(&explain(None)))),
            Ok(Err((error, io))) => {
                return Err(unheard(io, &error, explain(note.fault.as_ref()), deadline).await);
            }
            Ok(Ok(stream)) => stream,
        };
        stream.get_mut().0.forget();
        if let Some(fault) = snapshot.refuses_resumed(stream.get_ref().1, time::unix(time::now())) {
            return Err((None, explain(None).distrusted(&fault)));
        }
        Ok(self.welcome(Box::new(stream), peer, snapshot, note.fault.as_ref()))
    }

    fn timed_out(&self, handshake: &Handshake<'_>) -> Refusal {
        handshake.timed_out(self.0.limits.handshake_timeout.as_secs_f64())
    }

    /// The handshake is done; a `fault` is the verifier's, where it only reports.
    fn welcome(
        &self,
        stream: Box<TlsStream<Recorded<Stream>>>,
        peer: &str,
        snapshot: &ServerSnapshot,
        fault: Option<&Fault>,
    ) -> Accepted {
        let connection = stream.get_ref().1;
        let alpn = Alpn::from_negotiated(connection.alpn_protocol());
        // A certificate that was not accepted proves nothing.
        let chain = connection.peer_certificates().filter(|_chain| fault.is_none());
        let identity = chain
            .and_then(|chain| chain.first())
            .and_then(|leaf| inspect::describe(leaf))
            .map(|facts| Arc::new(facts.identity));
        let mut standing = None;
        if let (Some(identity), Some(chain)) = (&identity, chain) {
            self.0.seen.record(identity, chain.iter().map(AsRef::as_ref));
            standing = self.0.live.as_ref().map(|live| live.note(chain, snapshot));
        }
        if snapshot.only_reports() && chain.is_none() {
            let refusal = Handshake { peer, first: &[], fault, about: &snapshot.about }.would_be();
            self.0.metrics.handshake("reported", refusal.reason);
            self.0.report.would_refuse(&refusal, peer);
        } else {
            self.0.metrics.handshake("ok", "");
        }
        Accepted { io: Transport::Tls(stream), alpn, identity, standing }
    }
}

/// A refusal, and what there is to say to the peer, if it can be told anything.
type Refused = (Option<(Stream, Vec<u8>)>, Refusal);

/// A handshake that failed by what the peer sent.
async fn unheard(
    io: Recorded<Stream>,
    error: &io::Error,
    handshake: Handshake<'_>,
    deadline: Instant,
) -> Refused {
    let (mut stream, mut first) = io.into_parts();
    farewell::hear_out(&mut stream, &mut first, deadline).await;
    let answer = Plaintext::recognise(&first).map(|plaintext| plaintext.answer());
    let refusal = Handshake { first: &first, ..handshake }.failed(error);
    (Some((stream, answer.unwrap_or_default())), refusal)
}

#[cfg(test)]
mod tests;
