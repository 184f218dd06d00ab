//! Handshakes with upstreams under a deadline.

use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use crate::tls::client::explain::Attempt;
use crate::tls::client::stream::{Diagnosis, UpstreamStream};
use crate::tls::client::{ClientSnapshot, Standing, UpstreamTlsError, name};
use crate::tls::last_words::LastWords;
use crate::tls::profile::Alpn;
use crate::tls::recorded::Recorded;
use crate::tls::store::Watch;
use crate::tls::time;
use crate::tls::verifier::noted;

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
    /// How long the certificate that we showed is still in force; `None` when none was shown.
    pub(crate) own_left: Option<Duration>,
    /// To hold the upstream against a later snapshot.
    pub(crate) standing: Standing,
    /// Says later why the connection broke, if TLS is the reason.
    pub(crate) diagnosis: Diagnosis,
}

impl Connector {
    /// `server_name` is the endpoint's host; `server_name_override` of the snapshot wins.
    pub(crate) fn new(snapshots: Watch<ClientSnapshot>, server_name: String) -> Self {
        Self { snapshots, host: server_name }
    }

    /// The same with other snapshots.
    pub(crate) fn with(&self, snapshots: Watch<ClientSnapshot>) -> Self {
        Self { snapshots, host: self.host.clone() }
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
        let wanted = snapshot.server_name_override.as_deref().unwrap_or(&self.host);
        let mut attempt = Attempt::new(upstream, wanted, snapshot.own.clone());
        let name = name::host_of(wanted)
            .and_then(|host| ServerName::try_from(host).map_err(|error| error.to_string()))
            .map(|name| name.to_owned())
            .map_err(|why| attempt.bad_name(&why))?;
        let handshake = TlsConnector::from(Arc::clone(&snapshot.config))
            .connect(name.clone(), Recorded::new(LastWords::new(stream)))
            .into_fallible();
        let (outcome, note) = noted(timeout_at(deadline, handshake)).await;
        (attempt.asked, attempt.unfit) = (note.asked, note.unfit);
        let mut stream = match outcome {
            Err(_elapsed) => return Err(attempt.timed_out()),
            Ok(Err((error, io))) => {
                let (_stream, first) = io.into_parts();
                return Err(attempt.failed(&error, note.fault.as_ref(), &first));
            }
            Ok(Ok(stream)) => stream,
        };
        stream.get_mut().0.forget();
        let alpn = Alpn::from_negotiated(stream.get_ref().1.alpn_protocol());
        if snapshot.needs_h2 && alpn != Alpn::H2 {
            return Err(attempt.no_alpn());
        }
        let shown = snapshot.own.as_ref().filter(|_| attempt.asked && !attempt.unfit);
        let own_left = match shown.map(|own| own.leaf.not_after.saturating_sub(time::now())) {
            Some(seconds) if seconds < LEAST_LEFT => return Err(attempt.own_ended()),
            left => left.and_then(|left| u64::try_from(left).ok()).map(Duration::from_secs),
        };
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let standing = Standing::new(chain, name, attempt.clone());
        let io = UpstreamStream::new(stream, attempt);
        let (generation, diagnosis) = (snapshot.generation, io.diagnosis());
        Ok(Connected { io, alpn, generation, own_left, standing, diagnosis })
    }
}

/// A certificate of ours that ends within so many seconds opens no connection.
const LEAST_LEFT: i64 = 2;
