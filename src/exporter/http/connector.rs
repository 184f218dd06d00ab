//! Connections for hyper's client, with the reason when there is none.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::codegen::Service;

use crate::exporter::upstream::{ConnectError, Dialed, Dialer, Io, Lifetime};
use crate::tls::client::Diagnosis;
use crate::tls::store::Watch;
use crate::tls::{Alpn, ClientSnapshot};

/// Dials one origin, whatever URL it is asked for.
#[derive(Clone, Debug)]
pub(super) struct OriginConnector(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    dialer: Dialer,
    /// Requests carry the full URL.
    to_proxy: bool,
    turn: AtomicUsize,
    trouble: Mutex<Option<Trouble>>,
    /// When the oldest connection of the pool stops taking requests.
    rest: Mutex<Option<Instant>>,
}

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

impl OriginConnector {
    pub(super) fn new(dialer: Dialer, to_proxy: bool) -> Self {
        let turn = AtomicUsize::new(0);
        let (trouble, rest) = (Mutex::default(), Mutex::default());
        Self(Arc::new(Shared { dialer, to_proxy, turn, trouble, rest }))
    }

    /// The number of the credentials in force.
    pub(super) fn generation(&self) -> u64 {
        self.0.dialer.generation()
    }

    /// Where new credentials are announced.
    pub(super) fn watch(&self) -> Option<Watch<ClientSnapshot>> {
        self.0.dialer.watch()
    }

    /// Whether a connection carries a certificate of ours that is about to end.
    pub(super) fn is_old(&self) -> bool {
        let rest = *self.0.rest.lock().unwrap_or_else(PoisonError::into_inner);
        rest.is_some_and(|rest| rest <= Instant::now())
    }

    /// For a new pool.
    pub(super) fn forget_age(&self) {
        *self.0.rest.lock().unwrap_or_else(PoisonError::into_inner) = None;
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
        let result = shared.open().await;
        let mut trouble = shared.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        match &result {
            Ok(_) => *trouble = None,
            Err(error) => {
                let failures = trouble.as_ref().map_or(0, |before| before.failures) + 1;
                let pause = FIRST_PAUSE.saturating_mul(1 << (failures - 1).min(16));
                *trouble = Some(Trouble {
                    error: error.clone(),
                    failures,
                    not_before: Instant::now() + pause.min(LONGEST_PAUSE),
                });
            }
        }
        result
    }
}

impl Shared {
    async fn open(&self) -> Result<TokioIo<HttpIo>, ConnectError> {
        let deadline = self.dialer.deadline();
        let mut addresses = self.dialer.resolve(deadline).await?;
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % addresses.len().max(1);
        addresses.rotate_left(turn);
        let dialed =
            self.dialer.first(addresses, deadline, async |dialed, _, _| Ok(dialed)).await?;
        let Dialed { io, alpn, diagnosis, lifetime, .. } = dialed;
        self.note_age(lifetime);
        let to_proxy = self.to_proxy;
        let end = lifetime.map(|lifetime| Box::pin(sleep_until(lifetime.end)));
        Ok(TokioIo::new(HttpIo { io, alpn, diagnosis, to_proxy, end }))
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
    to_proxy: bool,
    /// When our certificate is about to end.
    end: Option<Pin<Box<Sleep>>>,
}

impl Connection for HttpIo {
    fn connected(&self) -> Connected {
        let connected = Connected::new().proxy(self.to_proxy).extra(self.diagnosis.clone());
        if self.alpn == Alpn::H2 { connected.negotiated_h2() } else { connected }
    }
}

mod stream {
    //! Passes everything on to the stream inside.

    use std::future::Future;
    use std::io;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

    use super::HttpIo;

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
            Pin::new(&mut self.io).poll_read(context, buffer)
        }
    }

    impl AsyncWrite for HttpIo {
        fn poll_write(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.io).poll_write(context, bytes)
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            bytes: &[io::IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.io).poll_write_vectored(context, bytes)
        }

        fn is_write_vectored(&self) -> bool {
            self.io.is_write_vectored()
        }

        fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.io).poll_flush(context)
        }

        fn poll_shutdown(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.io).poll_shutdown(context)
        }
    }
}
