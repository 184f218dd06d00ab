//! The stream under a connection: TCP or a unix socket, with or without TLS.
//!
//! Counts its reads, so that a silent peer can be told from a busy one, and one that speaks TLS
//! where plaintext is meant from one that speaks nothing known.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::Instant;

use crate::tls::client::UpstreamStream;
use crate::tls::{LastWords, UpstreamTlsError};
use crate::write_through::{pass_through, write_through};

/// A connected stream.
#[derive(Debug)]
pub(crate) struct Io {
    stream: Stream,
    heard: Heard,
}

#[derive(Debug)]
enum Stream {
    Plain(LastWords<Socket>),
    Tls(Box<UpstreamStream<Socket>>),
}

/// A connected socket.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// What is known of what a peer said. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard(Arc<Said>);

#[derive(Debug, Default)]
struct Said {
    count: AtomicU64,
    tls: AtomicBool,
    h2: AtomicBool,
    plain: bool,
}

impl Heard {
    fn plain() -> Self {
        Self(Arc::new(Said { plain: true, ..Said::default() }))
    }

    /// How many times something was read.
    pub(crate) fn count(&self) -> u64 {
        self.0.count.load(Ordering::Relaxed)
    }

    /// Whether the first bytes on a plaintext connection were an alert of TLS.
    pub(crate) fn is_tls(&self) -> bool {
        self.0.tls.load(Ordering::Relaxed)
    }

    /// Whether the first bytes on a plaintext connection were settings of HTTP/2.
    pub(crate) fn is_h2(&self) -> bool {
        self.0.h2.load(Ordering::Relaxed)
    }

    /// Whether nothing was said on a plaintext connection.
    pub(crate) fn is_plain_silence(&self) -> bool {
        self.0.plain && self.count() == 0
    }

    fn note(&self, bytes: &[u8]) {
        let before = self.0.count.fetch_add(1, Ordering::Relaxed);
        if self.0.plain && before == 0 {
            self.0.tls.store(matches!(bytes, [ALERT, 3, ..]), Ordering::Relaxed);
            self.0.h2.store(matches!(bytes, [0, 0, _, SETTINGS, ..]), Ordering::Relaxed);
        }
    }
}

/// The first byte of what TLS servers answer to what is no TLS.
const ALERT: u8 = 21;
/// The type of the first frame of a server of HTTP/2.
const SETTINGS: u8 = 4;

impl Io {
    pub(super) fn plain(socket: Socket) -> Self {
        Self { stream: Stream::Plain(LastWords::new(socket)), heard: Heard::plain() }
    }

    pub(super) fn tls(stream: UpstreamStream<Socket>) -> Self {
        Self { stream: Stream::Tls(Box::new(stream)), heard: Heard::default() }
    }

    /// Waits until the upstream has taken our certificate, if it asked for one, and says goodbye.
    ///
    /// # Errors
    /// It does not take it.
    pub(super) async fn welcomed(&mut self, deadline: Instant) -> Result<(), UpstreamTlsError> {
        let Stream::Tls(stream) = &mut self.stream else { return Ok(()) };
        stream.welcomed(deadline).await
    }

    pub(crate) fn heard(&self) -> Heard {
        self.heard.clone()
    }
}

impl AsyncRead for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = match &mut self.stream {
            Stream::Plain(socket) => Pin::new(socket).poll_read(context, buffer),
            Stream::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        };
        if let Some(read @ [_, ..]) = buffer.filled().get(before..) {
            self.heard.note(read);
        }
        polled
    }
}

write_through!([] Io {
    Self { stream: Stream::Plain(socket), .. } => socket,
    Self { stream: Stream::Tls(stream), .. } => stream,
});

pass_through!([] Socket { Self::Tcp(socket) => socket, Self::Unix(socket) => socket });
