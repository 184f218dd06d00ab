//! The backend of a quickstart: an OTLP receiver that demands client certificates of its own
//! authority and passes on what it got, in words.

use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tonic::Code;

use crate::acceptor::{Acceptor, Stream};
use crate::aside::Aside;
use crate::batch::Batch;
use crate::cli::certs::Paths;
use crate::cli::quickstart::folder::Folder;
use crate::cli::quickstart::show;
use crate::config::sections::{GrpcServer, Server, ServerLimits, ServerTls, TlsCommon};
use crate::config::types::{ComponentId, ListenAddress, Pem, PemSource};
use crate::connection::{Endpoint, Settings, UnderWay};
use crate::listener::{Accepted, BindError, Listener, RawStream};
use crate::metrics::Metrics;
use crate::outcome::{self, Failure, Outcome, Side};
use crate::pipeline::Consumer;
use crate::receiver::{self, Receiver};
use crate::shutdown::Draining;
use crate::signal::Signal;
use crate::tls::store::Store;
use crate::tls::{CredentialsError, ServerSnapshot, server};

/// Why the backend cannot start.
#[derive(Debug, thiserror::Error)]
pub(super) enum BackendError {
    /// Its certificates.
    #[error("the backend's certificates cannot be used")]
    Credentials(#[from] CredentialsError),
    /// Its port.
    #[error("the backend cannot listen")]
    Bind(#[from] BindError),
}

/// A bound backend.
pub(super) struct Backend {
    listener: Listener,
    endpoint: Arc<Endpoint<Shown>>,
    _store: Store<ServerSnapshot>,
}

/// Hands every batch to whoever prints.
#[derive(Clone)]
struct Shown(mpsc::Sender<String>);

impl Consumer for Shown {
    fn serves(&self, _: Signal) -> bool {
        true
    }

    async fn consume(&self, batch: Batch) -> Outcome {
        match self.0.send(show::batch(&batch)).await {
            Ok(()) => Ok(outcome::Accepted::default()),
            Err(_) => Err(Failure::new(
                Code::Unavailable,
                Side::Internal,
                "quickstart_over",
                "the quickstart's backend is ending",
            )),
        }
    }
}

impl Backend {
    /// Binds `localhost:port`; `arrived` gets a text for each batch.
    pub(super) async fn bind(
        folder: &Folder,
        port: u16,
        arrived: mpsc::Sender<String>,
    ) -> Result<Self, BackendError> {
        let metrics = Metrics::default();
        let listen = ListenAddress::Tcp(format!("localhost:{port}"));
        let limits = ServerLimits::default();
        let listener = Listener::bind(NAME, &listen, &limits, metrics.clone()).await?;
        let tls = ServerTls {
            common: TlsCommon {
                cert: Some(pem(&folder.backend.cert)),
                key: Some(pem(&folder.backend.key)),
                ..TlsCommon::default()
            },
            client_ca: Some(pem(&folder.backend_ca.cert)),
            ..ServerTls::default()
        };
        let (store, watch) = Store::new(server::load(&tls)?.snapshot);
        let acceptor = Acceptor::new(Some(watch), &limits, metrics.clone());
        let settings =
            Settings { key_path: NAME.to_owned(), limits: limits.clone(), keep_alive: true };
        let id = ComponentId { kind: "otlp".to_owned(), name: None };
        let server = Server { tls: Some(tls), limits, ..Server::at(NAME, listen) };
        let grpc = GrpcServer { server, read_buffer_size: 512 << 10, write_buffer_size: 32 << 10 };
        let shared = receiver::Shared::grpc(&id, &grpc, &Aside::new(1), &metrics);
        let receiver = Receiver::new(&shared, Shown(arrived));
        let endpoint = Endpoint::new(&settings, acceptor, receiver, UnderWay::default(), metrics);
        Ok(Self { listener, endpoint: Arc::new(endpoint), _store: store })
    }

    /// Serves until the drain begins.
    pub(super) async fn run(self, draining: Draining) {
        // One gateway connects, once for each of its workers.
        let (sender, mut accepted) = mpsc::channel::<Accepted>(64);
        let accepting = self.listener.run(draining.clone(), move |connection| {
            let _dropped_when_full = sender.try_send(connection);
        });
        let serving = async {
            let mut connections = JoinSet::new();
            while let Some(Accepted { stream, peer, permit }) = accepted.recv().await {
                let RawStream::Tcp(stream) = stream else { continue };
                let Ok(stream) = TcpStream::from_std(stream) else { continue };
                let endpoint = Arc::clone(&self.endpoint);
                let served = endpoint.serve(Stream::from(stream), peer, draining.clone());
                connections.spawn(async move {
                    served.await;
                    drop(permit);
                });
                while connections.try_join_next().is_some() {}
            }
            connections.shutdown().await;
        };
        tokio::join!(accepting, serving);
    }
}

/// A file as a `tls` block would name it.
pub(super) fn pem(path: &Path) -> Pem {
    Pem { source: PemSource::File(path.to_owned()), key_path: Arc::from(NAME) }
}

/// Certificate and key of a client, and whom it trusts.
pub(super) fn client_tls(own: &Paths, ca: &Paths) -> crate::config::sections::ClientTls {
    crate::config::sections::ClientTls {
        common: TlsCommon {
            ca: Some(pem(&ca.cert)),
            cert: Some(pem(&own.cert)),
            key: Some(pem(&own.key)),
            ..TlsCommon::default()
        },
        ..crate::config::sections::ClientTls::default()
    }
}

const NAME: &str = "quickstart";
