//! One HTTP/2 connection to an upstream, and the right to send one request over it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};

use h2::client::{Connection, SendRequest};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::exporter::payload::Payload;
use crate::exporter::upstream::cork::{Cork, Corked};
use crate::exporter::upstream::dialer::Dialed;
use crate::exporter::upstream::io::Heard;
use crate::exporter::upstream::pool::Release;
use crate::exporter::upstream::{Address, ConnectError, Io, Lifetime};
use crate::tls::Alpn;
use crate::tls::client::{Diagnosis, Standing};

/// Most requests in flight on one connection, even if the upstream allows more.
const MAX_IN_FLIGHT: usize = 1000;
/// Requests sent before the upstream has said how many it takes.
const INITIAL_STREAMS: usize = 100;
/// Longest header list read, in bytes. Backends send texts of 40 kB in `grpc-message`, and the
/// code beside it must not be lost.
const MAX_HEADER_LIST: u32 = 256 * 1024;

/// An open connection.
#[derive(Debug)]
pub(crate) struct Link {
    sender: SendRequest<Payload>,
    pub(super) address: Address,
    pub(super) generation: u64,
    diagnosis: Diagnosis,
    pub(super) standing: Option<Standing>,
    state: Arc<LinkState>,
}

/// What a connection's driver and its users tell each other.
#[derive(Debug, Default)]
pub(super) struct LinkState {
    in_flight: AtomicUsize,
    closed: AtomicBool,
    why: OnceLock<String>,
    suspect: Notify,
    abandoned: Notify,
}

/// A connection together with what its driver needs.
pub(super) struct Opened {
    pub(super) link: Link,
    pub(super) connection: Connection<Corked<Io>, Payload>,
    pub(super) cork: Cork<Io>,
    pub(super) heard: Heard,
    pub(super) lifetime: Option<Lifetime>,
}

impl Link {
    /// Speaks HTTP/2 over a stream and waits for the upstream's first frame: with TLS 1.3 only
    /// that shows that it accepted our certificate.
    ///
    /// # Errors
    /// It does not speak HTTP/2, or hung up.
    pub(super) async fn open(
        dialed: Dialed,
        address: Address,
        deadline: Instant,
    ) -> Result<Opened, ConnectError> {
        let Dialed { place, io, alpn, generation, diagnosis, standing, lifetime } = dialed;
        if alpn != Alpn::H2 && generation != 0 {
            return Err(ConnectError::new(
                "upstream_no_h2",
                format!(
                    "{place} did not agree on HTTP/2 (ALPN h2), which gRPC needs: it is not a gRPC port, or a proxy in front of it terminates TLS without h2"
                ),
            ));
        }
        let heard = io.heard();
        let (io, cork) = Corked::new(io);
        let opening = async {
            let (sender, mut connection) = h2::client::Builder::new()
                .initial_max_send_streams(INITIAL_STREAMS)
                .max_header_list_size(MAX_HEADER_LIST)
                .enable_push(false)
                .handshake(io)
                .await?;
            std::future::poll_fn(|context| {
                match std::pin::Pin::new(&mut connection).poll(context) {
                    Poll::Ready(Ok(())) => Poll::Ready(Err(None)),
                    Poll::Ready(Err(error)) => Poll::Ready(Err(Some(error))),
                    Poll::Pending if heard.count() > 0 => Poll::Ready(Ok(())),
                    Poll::Pending => Poll::Pending,
                }
            })
            .await?;
            Ok::<_, Option<h2::Error>>((sender, connection))
        };
        match timeout_at(deadline, opening).await {
            Err(_) => Err(ConnectError::new(
                "upstream_timeout",
                format!(
                    "{place} took the connection but did not speak HTTP/2 within connect_timeout: it hangs, or expects something else on this port"
                ),
            )),
            Ok(Err(error)) => Err(not_opened(&place, &diagnosis, generation, &heard, error)),
            Ok(Ok((sender, connection))) => {
                let state = Arc::default();
                let link = Self { sender, address, generation, diagnosis, standing, state };
                Ok(Opened { link, connection, cork, heard, lifetime })
            }
        }
    }

    pub(super) fn state(&self) -> Arc<LinkState> {
        Arc::clone(&self.state)
    }

    /// Whether new requests must go elsewhere.
    pub(super) fn is_closed(&self) -> bool {
        self.state.is_closed()
    }

    /// Sends no new requests over it; those in flight go on.
    pub(crate) fn close(&self) {
        self.state.close();
    }

    /// Asks the driver to find out whether the peer is still there.
    pub(crate) fn suspect(&self) {
        self.state.suspect.notify_one();
    }

    pub(super) fn has_room(&self) -> bool {
        let most = self.sender.current_max_send_streams().min(MAX_IN_FLIGHT);
        self.state.in_flight() < most
    }

    /// The right to send one request. `None` when the connection is going away.
    pub(super) fn lease(self: &Arc<Self>, release: Release) -> Option<Lease> {
        let mut sender = self.sender.clone();
        // Says only whether a GOAWAY has come: a fresh handle has nothing to wait for.
        let mut context = Context::from_waker(Waker::noop());
        if let Poll::Ready(Err(_)) = sender.poll_ready(&mut context) {
            self.close();
            return None;
        }
        self.state.in_flight.fetch_add(1, Ordering::Relaxed);
        Some(Lease { sender, link: Arc::clone(self), release })
    }

    /// Why the connection broke, as far as it is known.
    pub(crate) fn why_it_broke(&self) -> Option<String> {
        if let Some(error) = self.diagnosis.get() {
            return Some(error.to_string());
        }
        self.state.why.get().cloned()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.state.abandoned.notify_one();
    }
}

impl LinkState {
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    pub(super) async fn suspected(&self) {
        self.suspect.notified().await;
    }

    pub(super) async fn abandoned(&self) {
        self.abandoned.notified().await;
    }

    /// Whether new requests must go elsewhere.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Sends no new requests over it.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    pub(super) fn ended(&self, why: Option<String>) {
        if let Some(why) = why {
            let _first = self.why.set(why);
        }
        self.close();
    }
}

/// The right to send one request over a connection, counted until it is dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) sender: SendRequest<Payload>,
    pub(crate) link: Arc<Link>,
    release: Release,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.link.state.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.release.one();
    }
}

/// Why a stream did not become an HTTP/2 connection.
fn not_opened(
    place: &str,
    diagnosis: &Diagnosis,
    generation: u64,
    heard: &Heard,
    error: Option<h2::Error>,
) -> ConnectError {
    if let Some(error) = diagnosis.get() {
        return error.into();
    }
    if error.is_none() && (heard.is_h2() || generation != 0 && heard.count() > 0) {
        return ConnectError::new(
            "upstream_disconnected",
            format!(
                "{place} took leave (GOAWAY) before it was asked anything: it is shutting down, or overloaded; its log knows why"
            ),
        );
    }
    let detail = error.map_or_else(|| "end of stream".to_owned(), |error| error.to_string());
    if heard.is_tls() {
        return ConnectError::expects_tls(&place);
    }
    if heard.count() > 0 {
        return ConnectError::new(
            "upstream_not_h2",
            format!(
                "{place} answered with something that is not HTTP/2 ({detail}): gRPC needs an HTTP/2 port; for OTLP over HTTP use otlp_http, for a TLS port do not set tls.insecure"
            ),
        );
    }
    if generation == 0 {
        return ConnectError::new(
            "upstream_closed",
            format!(
                "{place} hung up before it said anything ({detail}): it probably expects TLS on this port; remove tls.insecure or use its plaintext port"
            ),
        );
    }
    ConnectError::new(
        "upstream_closed_after_handshake",
        format!(
            "{place} closed the connection right after the TLS handshake ({detail}) without a reason: it may be overloaded, or not be a gRPC server; its log knows why"
        ),
    )
}
