//! Connections for hyper's client, with the reason when there is none.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};
use tonic::codegen::Service;

use crate::exporter::upstream::{ConnectError, Dialed, Dialer, Heard, Io, Lifetime};
use crate::tls::Alpn;
use crate::tls::client::{Diagnosis, Standing};

/// Dials one origin with the credentials of one generation, whatever URL it is asked for.
#[derive(Clone, Debug)]
pub(super) struct OriginConnector(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    dialer: Dialer,
    /// With whatever credentials are in force.
    in_force: Dialer,
    /// Requests carry the full URL.
    to_proxy: bool,
    turn: AtomicUsize,
    trouble: Mutex<Option<Trouble>>,
    /// When the oldest connection of the pool stops taking requests.
    rest: Mutex<Option<Instant>>,
    /// What is known of the connection that was opened last.
    latest: Mutex<(Diagnosis, Heard)>,
    broken: Broken,
    /// How many connections are open.
    open: Arc<AtomicUsize>,
    /// Of the open connections.
    standings: Mutex<Vec<Weak<Standing>>>,
    /// `max_conns_per_host`, where it is limited: a connection holds one for its life.
    slots: Option<Arc<Semaphore>>,
    h2: AtomicBool,
}

/// The connection that broke last for a reason of TLS, and when.
type Broken = Arc<Mutex<Option<(Instant, Diagnosis)>>>;

/// The last attempts failed.
#[derive(Clone, Debug)]
struct Trouble {
    error: ConnectError,
    failures: u32,
    not_before: Instant,
}

/// The pause after the first failed attempt, and the longest one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// For so long the end of a connection may be the reason of an error that does not say of which
/// connection it is.
const LATELY: Duration = Duration::from_secs(2);

impl OriginConnector {
    /// Opens at most `max` connections at a time; 0 is unlimited.
    pub(super) fn new(dialer: Dialer, in_force: Dialer, to_proxy: bool, max: usize) -> Self {
        let turn = AtomicUsize::new(0);
        let (trouble, rest, latest) = (Mutex::default(), Mutex::default(), Mutex::default());
        let (open, h2) = (Arc::default(), AtomicBool::new(false));
        let slots = (max > 0).then(|| Arc::new(Semaphore::new(max)));
        let standings = Mutex::default();
        Self(Arc::new(Shared {
            dialer,
            in_force,
            to_proxy,
            turn,
            trouble,
            rest,
            latest,
            broken: Broken::default(),
            open,
            standings,
            slots,
            h2,
        }))
    }

    /// The number of its credentials.
    pub(super) fn generation(&self) -> u64 {
        self.0.dialer.generation()
    }

    /// Whether the upstream has agreed on HTTP/2.
    pub(super) fn speaks_h2(&self) -> bool {
        self.0.h2.load(Ordering::Relaxed)
    }

    /// Why an upstream at the end of an open connection is not trusted by `dialer`; `None` if all
    /// are.
    pub(super) fn distrusted_by(&self, dialer: &Dialer) -> Option<ConnectError> {
        let standings = self.0.standings.lock().unwrap_or_else(PoisonError::into_inner);
        standings.iter().filter_map(Weak::upgrade).find_map(|held| dialer.distrusts(&held))
    }

    /// Whether both lead to the same connections.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// How many of its connections are open.
    pub(super) fn open(&self) -> usize {
        self.0.open.load(Ordering::Relaxed)
    }

    /// What is known of the connection that was opened last: an error of one that never carried a
    /// request does not say which it was. When several were opened at a time, the one that broke is
    /// meant.
    pub(super) fn latest(&self) -> (Diagnosis, Heard) {
        let latest = self.0.latest.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let broken = self.0.broken.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match broken {
            Some((at, diagnosis)) if at.elapsed() < LATELY => (diagnosis, latest.1),
            _ => latest,
        }
    }

    /// Whether a connection carries a certificate of ours that is about to end.
    pub(super) fn is_old(&self) -> bool {
        let rest = *self.0.rest.lock().unwrap_or_else(PoisonError::into_inner);
        rest.is_some_and(|rest| rest <= Instant::now())
    }

    /// Why connecting failed a moment ago, and when to try again.
    pub(super) fn trouble(&self) -> Option<(ConnectError, Duration)> {
        let trouble = self.0.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let trouble = trouble.as_ref().filter(|trouble| trouble.not_before > Instant::now())?;
        let seconds = if trouble.failures < 5 { 1 } else { 5 };
        Some((trouble.error.clone(), Duration::from_secs(seconds)))
    }

    async fn connect(self) -> Result<TokioIo<HttpIo>, ConnectError> {
        let shared = &self.0;
        let deadline = shared.dialer.deadline();
        // Not a fault of the upstream's: nothing to be noted.
        let slot = shared.slot(deadline).await?;
        let result = shared.open(deadline, slot).await;
        match &result {
            Ok(_) => *shared.trouble.lock().unwrap_or_else(PoisonError::into_inner) = None,
            Err(error) => self.note(error),
        }
        result
    }

    /// There is no connection: for a moment nobody needs to try again.
    pub(super) fn note(&self, error: &ConnectError) {
        let mut trouble = self.0.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let failures = trouble.as_ref().map_or(0, |before| before.failures) + 1;
        let pause = FIRST_PAUSE.saturating_mul(1 << (failures - 1).min(16));
        *trouble = Some(Trouble {
            error: error.clone(),
            failures,
            not_before: Instant::now() + pause.min(LONGEST_PAUSE),
        });
    }
}

impl Shared {
    async fn open(
        &self,
        deadline: Instant,
        slot: Option<OwnedSemaphorePermit>,
    ) -> Result<TokioIo<HttpIo>, ConnectError> {
        let mut addresses = self.dialer.resolve(deadline).await?;
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % addresses.len().max(1);
        addresses.rotate_left(turn);
        let dialed =
            self.dialer.first(addresses, deadline, async |dialed, _, _| Ok(dialed)).await?;
        let Dialed { io, alpn, generation, diagnosis, standing, lifetime, .. } = dialed;
        // While newer credentials are not in use their verdict counts all the same.
        if generation != self.in_force.generation()
            && let Some(held) = &standing
            && let Some(error) = self.in_force.distrusts(held)
        {
            return Err(error);
        }
        self.note_age(lifetime);
        let known = (diagnosis.clone(), io.heard());
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = known;
        let standing = standing.map(Arc::new);
        {
            let mut standings = self.standings.lock().unwrap_or_else(PoisonError::into_inner);
            standings.retain(|held| held.strong_count() > 0);
            standings.extend(standing.iter().map(Arc::downgrade));
        }
        let to_proxy = self.to_proxy;
        let end = lifetime.map(|lifetime| Box::pin(sleep_until(lifetime.end)));
        self.h2.store(alpn == Alpn::H2, Ordering::Relaxed);
        let open = Open::new(&self.open, slot);
        Ok(TokioIo::new(HttpIo {
            io,
            alpn,
            diagnosis,
            broken: Arc::clone(&self.broken),
            to_proxy,
            end,
            _open: open,
            _standing: standing,
        }))
    }

    /// Waits until another connection may be opened. A request that waits takes a connection of the
    /// pool meanwhile, when one is free.
    async fn slot(&self, deadline: Instant) -> Result<Option<OwnedSemaphorePermit>, ConnectError> {
        let Some(slots) = &self.slots else { return Ok(None) };
        match timeout_at(deadline, Arc::clone(slots).acquire_owned()).await {
            Ok(permit) => Ok(permit.ok()),
            Err(_late) => Err(ConnectError::no_connection_free()),
        }
    }

    fn note_age(&self, lifetime: Option<Lifetime>) {
        let mut rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        let both = rest.iter().copied().chain(lifetime.map(|lifetime| lifetime.rest));
        *rest = both.min();
    }
}

impl Service<Uri> for OriginConnector {
    type Response = TokioIo<HttpIo>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect())
    }
}

/// A stream and what hyper's client asks about it.
#[derive(Debug)]
pub(super) struct HttpIo {
    io: Io,
    alpn: Alpn,
    diagnosis: Diagnosis,
    broken: Broken,
    to_proxy: bool,
    /// When our certificate is about to end.
    end: Option<Pin<Box<Sleep>>>,
    _open: Open,
    /// For as long as the connection lives.
    _standing: Option<Arc<Standing>>,
}

/// Counts a connection as open for as long as it lives.
#[derive(Debug)]
struct Open {
    count: Arc<AtomicUsize>,
    _slot: Option<OwnedSemaphorePermit>,
}

impl Open {
    fn new(count: &Arc<AtomicUsize>, slot: Option<OwnedSemaphorePermit>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self { count: Arc::clone(count), _slot: slot }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

impl HttpIo {
    /// Notes why the connection broke, if that is known.
    fn note_end(&self) {
        if self.diagnosis.get().is_some() {
            let broken = Some((Instant::now(), self.diagnosis.clone()));
            *self.broken.lock().unwrap_or_else(PoisonError::into_inner) = broken;
        }
    }
}

impl Connection for HttpIo {
    fn connected(&self) -> Connected {
        let connected = Connected::new()
            .proxy(self.to_proxy)
            .extra(self.diagnosis.clone())
            .extra(self.io.heard());
        if self.alpn == Alpn::H2 { connected.negotiated_h2() } else { connected }
    }
}

mod stream {
    //! Passes everything on to the stream inside, until its end.

    use std::future::Future;
    use std::io;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use tokio::io::{AsyncRead, ReadBuf};

    use super::HttpIo;
    use crate::write_through::write_through;

    const ENDED: &str =
        "the certificate that we showed on it is about to end, so the connection was closed";

    impl AsyncRead for HttpIo {
        fn poll_read(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            if let Some(end) = &mut self.end
                && end.as_mut().poll(context).is_ready()
            {
                return Poll::Ready(Err(io::Error::other(ENDED)));
            }
            let polled = Pin::new(&mut self.io).poll_read(context, buffer);
            if polled.is_ready() {
                self.note_end();
            }
            polled
        }
    }

    write_through!([] HttpIo { Self { io, .. } => io });
}
