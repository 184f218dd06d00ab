//! Handshakes with upstreams under a deadline.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::tls::client::{ClientSnapshot, UpstreamTlsError};
use crate::tls::profile::Alpn;
use crate::tls::store::Watch;

/// Opens TLS to one upstream, each time with the snapshot in force.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    snapshots: Watch<ClientSnapshot>,
    host: String,
}

/// A TLS connection to an upstream.
#[derive(Debug)]
pub(crate) struct Connected<S> {
    /// The stream to speak over.
    pub(crate) io: UpstreamStream<S>,
    /// What the upstream agreed to speak.
    pub(crate) alpn: Alpn,
    /// [`ClientSnapshot::generation`] of the handshake.
    pub(crate) generation: u64,
    /// Says later why the connection broke, if TLS is the reason.
    pub(crate) diagnosis: Diagnosis,
}

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

impl Connector {
    /// `server_name` is the endpoint's host; `server_name_override` of the snapshot wins.
    pub(crate) fn new(snapshots: Watch<ClientSnapshot>, server_name: String) -> Self {
        Self { snapshots, host: server_name }
    }

    /// Shakes hands over a connected stream; `upstream` is its address, for messages.
    ///
    /// # Errors
    /// Why not, with a stable reason.
    pub(crate) async fn connect<S>(
        &self,
        stream: S,
        upstream: &str,
        deadline: Instant,
    ) -> Result<Connected<S>, UpstreamTlsError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let snapshot = self.snapshots.current();
        let failed = |reason, message: String| UpstreamTlsError {
            reason,
            message: format!("TLS to {upstream}: {message}"),
            help: String::new(),
        };
        let name = snapshot.server_name_override.as_deref().unwrap_or(&self.host);
        let name = ServerName::try_from(name.to_owned())
            .map_err(|error| failed("upstream_bad_name", error.to_string()))?;
        let handshake = TlsConnector::from(Arc::clone(&snapshot.config)).connect(name, stream);
        let stream = match timeout_at(deadline, handshake).await {
            Err(_) => return Err(failed("upstream_handshake_timeout", "timed out".to_owned())),
            Ok(Err(error)) => return Err(failed("upstream_tls", error.to_string())),
            Ok(Ok(stream)) => stream,
        };
        let alpn = Alpn::from_negotiated(stream.get_ref().1.alpn_protocol());
        let diagnosis = Diagnosis::default();
        Ok(Connected {
            io: UpstreamStream { stream, diagnosis: diagnosis.clone() },
            alpn,
            generation: snapshot.generation,
            diagnosis,
        })
    }
}

/// The encrypted stream. Watches its own first reads for a refusal of our certificate.
#[derive(Debug)]
pub(crate) struct UpstreamStream<S> {
    stream: TlsStream<S>,
    diagnosis: Diagnosis,
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for UpstreamStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for UpstreamStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
