//! What one connection is doing, and the service that hyper calls for each request.
//!
//! Guarantees that a request counts as under way until its answer was handed to the peer's
//! stream, or given up, and that answers the peer does not take are known. Knows nothing of timers.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Version, header};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::outcome::Failure;
use crate::pipeline::Consumer;
use crate::receiver::{Answer, Peer, Receiver};
use crate::tls::Loss;

/// Requests under way on all connections of one worker; clones count together.
#[derive(Clone, Debug, Default)]
pub(crate) struct UnderWay(Arc<AtomicUsize>);

impl UnderWay {
    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// One connection as its requests, its stream and its supervisor see it. All of them live on one
/// thread: the atomics only satisfy the compiler.
pub(super) struct Activity<C> {
    receiver: Receiver<C>,
    peer: Peer,
    under_way: UnderWay,
    in_flight: AtomicU32,
    requests: AtomicU32,
    /// Bytes arrived while no request was under way: the start of a head.
    head_begun: AtomicBool,
    closes_after_answer: AtomicBool,
    unread: Unread,
    is_flooding: AtomicBool,
    is_window_small: AtomicBool,
}

impl<C: Consumer> Activity<C> {
    pub(super) fn new(receiver: Receiver<C>, peer: Peer, under_way: UnderWay) -> Arc<Self> {
        Arc::new(Self {
            receiver,
            peer,
            under_way,
            in_flight: AtomicU32::new(0),
            requests: AtomicU32::new(0),
            head_begun: AtomicBool::new(false),
            closes_after_answer: AtomicBool::new(false),
            unread: Unread::default(),
            is_flooding: AtomicBool::new(false),
            is_window_small: AtomicBool::new(false),
        })
    }

    /// Answers one request.
    pub(super) async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Tracked<Answer, C>>, Infallible> {
        let guard = InFlight::begin(Arc::clone(&self));
        let version = request.version();
        let answered = self.receiver.answer(&self.peer, request).await;
        let Ok(mut response) = answered;
        if version < Version::HTTP_2 && self.closes_after_answer.load(Ordering::Relaxed) {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        let era = self.unread.begin();
        let waits = self.is_window_small.load(Ordering::Relaxed);
        Ok(response.map(|body| Tracked { body, waits, last: None, era, guard }))
    }
}

impl<C> Activity<C> {
    /// The peer's address, for messages.
    pub(super) fn peer(&self) -> &str {
        &self.peer.address
    }

    /// Whether requests are under way.
    pub(super) fn is_busy(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) > 0
    }

    /// Whether requests are under way that have no answer yet.
    pub(super) fn awaits_answer(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) > self.unread.count()
    }

    /// The answers that the peer has not taken.
    pub(super) fn unread(&self) -> &Unread {
        &self.unread
    }

    /// Whether an answer may not fit into the window of its stream.
    pub(super) fn set_window_small(&self, is_small: bool) {
        self.is_window_small.store(is_small, Ordering::Relaxed);
    }

    /// The peer sends frames without end that carry nothing.
    pub(super) fn floods(&self) {
        self.is_flooding.store(true, Ordering::Relaxed);
    }

    /// Whether it did.
    pub(super) fn is_flooding(&self) -> bool {
        self.is_flooding.load(Ordering::Relaxed)
    }

    /// What to send instead of an answer that hyper gave by itself, if this is one.
    pub(super) fn retell(&self, bare: &[u8]) -> Option<Vec<u8>> {
        self.receiver.retell(&self.peer, bare)
    }

    /// How many requests have begun, modulo 2^32.
    pub(super) fn requests(&self) -> u32 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Whether a request's head has begun to arrive and is not complete.
    pub(super) fn awaits_head(&self) -> bool {
        self.head_begun.load(Ordering::Relaxed)
    }

    /// From now on requests are refused.
    pub(super) fn distrust(&self, loss: &Loss) {
        self.peer.distrust.set(loss.reason, &loss.message);
    }

    /// What requests are refused with, if they are.
    pub(super) fn distrusted(&self) -> Option<&Failure> {
        self.peer.distrust.get()
    }

    /// The next HTTP/1 answer shall be the last of its connection.
    pub(super) fn close_after_answer(&self) {
        self.closes_after_answer.store(true, Ordering::Relaxed);
    }

    /// Bytes have arrived.
    pub(super) fn bytes_arrived(&self) {
        if !self.is_busy() {
            self.head_begun.store(true, Ordering::Relaxed);
        }
    }
}

/// Counts a request as under way for as long as it lives.
struct InFlight<C>(Arc<Activity<C>>);

impl<C> InFlight<C> {
    fn begin(activity: Arc<Activity<C>>) -> Self {
        activity.in_flight.fetch_add(1, Ordering::Relaxed);
        activity.requests.fetch_add(1, Ordering::Relaxed);
        activity.head_begun.store(false, Ordering::Relaxed);
        activity.under_way.0.fetch_add(1, Ordering::Relaxed);
        Self(activity)
    }
}

impl<C> Drop for InFlight<C> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.0.under_way.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Answers that were handed out and not taken by the peer, in two eras: what is left of the old one
/// when its time is up has been waiting for at least that long. One timer does for all of them.
#[derive(Debug, Default)]
pub(super) struct Unread {
    is_second: AtomicBool,
    eras: [AtomicU32; 2],
}

impl Unread {
    /// Answers in both eras.
    pub(super) fn count(&self) -> u32 {
        self.eras.iter().map(|era| era.load(Ordering::Relaxed)).sum()
    }

    /// Answers of the old era.
    pub(super) fn old(&self) -> u32 {
        self.era(!self.is_second.load(Ordering::Relaxed)).load(Ordering::Relaxed)
    }

    /// A new era begins; the old one must be over.
    pub(super) fn turn(&self) {
        self.is_second.fetch_xor(true, Ordering::Relaxed);
    }

    fn begin(&self) -> bool {
        let era = self.is_second.load(Ordering::Relaxed);
        self.era(era).fetch_add(1, Ordering::Relaxed);
        era
    }

    fn end(&self, era: bool) {
        self.era(era).fetch_sub(1, Ordering::Relaxed);
    }

    fn era(&self, is_second: bool) -> &AtomicU32 {
        let [first, second] = &self.eras;
        if is_second { second } else { first }
    }
}

/// An answer's body; the request is over when it is dropped.
pub(super) struct Tracked<B, C> {
    body: B,
    /// hyper hands an answer over as soon as one byte of it fits into the window, and the rest waits
    /// where nobody sees it. With a small window the last byte is handed over by itself, which hyper
    /// does when all before it is sent.
    waits: bool,
    last: Option<Bytes>,
    era: bool,
    guard: InFlight<C>,
}

impl<B, C> Drop for Tracked<B, C> {
    fn drop(&mut self) {
        self.guard.0.unread.end(self.era);
    }
}

impl<B: Body<Data = Bytes> + Unpin, C> Body for Tracked<B, C> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if let Some(last) = self.last.take() {
            return Poll::Ready(Some(Ok(Frame::data(last))));
        }
        let mut polled = Pin::new(&mut self.body).poll_frame(context);
        if self.waits
            && let Poll::Ready(Some(Ok(frame))) = &mut polled
            && let Some(data) = frame.data_mut().filter(|data| data.len() > 1)
        {
            self.last = Some(data.split_off(data.len() - 1));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.last.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        // Asked for before the first piece is taken.
        self.body.size_hint()
    }
}
