//! What the operator asks of a running gateway.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// A request to a running gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Finish what is under way and end; a second one ends at once (SIGTERM, SIGINT).
    Drain,
    /// Read certificates again (SIGHUP).
    Reload,
}

/// SIGTERM, SIGINT and SIGHUP of this process.
#[derive(Debug)]
pub(crate) struct SystemRequests {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl SystemRequests {
    /// Takes the three over from the system's defaults, which would end the process.
    ///
    /// # Errors
    /// When the system refuses. Must be called within a runtime.
    pub(crate) fn install() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// The next request. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Request {
        tokio::select! {
            _ = self.terminate.recv() => Request::Drain,
            _ = self.interrupt.recv() => Request::Drain,
            _ = self.hang_up.recv() => Request::Reload,
        }
    }

    /// Passes requests on until nobody listens.
    pub(crate) async fn forward(mut self, to: mpsc::Sender<Request>) {
        loop {
            let request = self.next().await;
            if to.send(request).await.is_err() {
                return;
            }
        }
    }
}
