//! The encrypted stream to an upstream, which notices why it broke.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::client::TlsStream;

use crate::tls::client::UpstreamTlsError;
use crate::tls::client::explain::Attempt;
use crate::tls::inspect::{self, CertificateFacts};
use crate::tls::last_words::LastWords;
use crate::tls::recorded::Recorded;
use crate::write_through::write_through;

/// Why a connection that had been set up broke, once it is known. With TLS 1.3 an upstream judges
/// our certificate after our handshake is over: the refusal surfaces as a failed read, or as the
/// end of the stream before the first byte. Clones share the answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Diagnosis(Arc<OnceLock<UpstreamTlsError>>);

impl Diagnosis {
    /// The reason, if TLS was it.
    pub(crate) fn get(&self) -> Option<UpstreamTlsError> {
        self.0.get().cloned()
    }
}

/// The encrypted stream. Watches its own first reads for a refusal of our certificate.
#[derive(Debug)]
pub(crate) struct UpstreamStream<S> {
    stream: TlsStream<Recorded<LastWords<S>>>,
    diagnosis: Diagnosis,
    attempt: Box<Attempt>,
    /// Whether the upstream has said anything yet.
    heard: bool,
}

impl<S> UpstreamStream<S> {
    pub(super) fn new(stream: TlsStream<Recorded<LastWords<S>>>, attempt: Attempt) -> Self {
        let (diagnosis, attempt) = (Diagnosis::default(), Box::new(attempt));
        Self { stream, diagnosis, attempt, heard: false }
    }

    pub(super) fn diagnosis(&self) -> Diagnosis {
        self.diagnosis.clone()
    }

    /// Whether the upstream asked for a certificate of ours.
    pub(crate) fn was_asked(&self) -> bool {
        self.attempt.asked
    }

    /// What the upstream's certificate says.
    pub(crate) fn presented(&self) -> Option<CertificateFacts> {
        let leaf = self.stream.get_ref().1.peer_certificates()?.first()?;
        inspect::describe(leaf)
    }

    fn learn(&self, found: Option<UpstreamTlsError>) {
        if let Some(found) = found {
            // The first reason is the reason.
            let _known = self.diagnosis.0.set(found);
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for UpstreamStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        match &polled {
            Poll::Ready(Ok(())) if buffer.filled().len() > before => self.heard = true,
            Poll::Ready(Ok(())) if !self.heard && buffer.remaining() > 0 => {
                self.learn(self.attempt.closed_unheard());
            }
            Poll::Ready(Err(error)) if !self.heard && is_gone(error) => {
                self.learn(self.attempt.closed_unheard());
            }
            Poll::Ready(Err(error)) => self.learn(self.attempt.alerted(error)),
            _ => {}
        }
        polled.map_err(in_plain_words)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> UpstreamStream<S> {
    /// Waits until the upstream has taken our certificate, if it asked for one, then says goodbye.
    /// It shows that by a session ticket or by a first byte of its own; one that is silent until
    /// `deadline`, or for a second, is taken to agree.
    ///
    /// # Errors
    /// It does not take it.
    pub(crate) async fn welcomed(&mut self, deadline: Instant) -> Result<(), UpstreamTlsError> {
        if self.attempt.asked {
            let word = std::future::poll_fn(|context| self.poll_word(context));
            let _silent = timeout_at(deadline.min(Instant::now() + PATIENCE), word).await;
        }
        match self.diagnosis.get() {
            Some(refused) => Err(refused),
            None => {
                let _rude = timeout_at(deadline, self.shutdown()).await;
                Ok(())
            }
        }
    }

    fn poll_word(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut scratch = [0; 64];
        let polled = Pin::new(&mut *self).poll_read(context, &mut ReadBuf::new(&mut scratch));
        let tickets = self.stream.get_ref().1.tls13_tickets_received();
        if polled.is_ready() || tickets > 0 { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// How long a refusal may take to arrive. Nothing waits for it but a probe.
const PATIENCE: Duration = Duration::from_secs(1);

const CUT: &str = "the connection ended without a goodbye of TLS (close_notify): the program there was \
                   stopped, or something between cut it";

/// The TLS library would send readers to its manual for programmers.
fn in_plain_words(error: io::Error) -> io::Error {
    if error.kind() == ErrorKind::UnexpectedEof {
        io::Error::new(ErrorKind::UnexpectedEof, CUT)
    } else {
        error
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::BrokenPipe
            | ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
            | ErrorKind::UnexpectedEof
    )
}

write_through!([S: AsyncRead + AsyncWrite + Unpin] UpstreamStream<S> { Self { stream, .. } => stream });
