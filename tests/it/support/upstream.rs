//! A backend behind the gateway: tonic's own server, so that two implementations meet.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use rustls::pki_types::CertificateDer;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tonic::codec::CompressionEncoding;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

use super::pki::TestPki;

/// A running backend; it ends with the value.
pub struct Upstream {
    /// Where it listens.
    pub address: SocketAddr,
    /// Every request it has answered with OK.
    pub received: mpsc::UnboundedReceiver<ExportTraceServiceRequest>,
    begun: Arc<AtomicUsize>,
    shown: Arc<Mutex<Vec<CertificateDer<'static>>>>,
    gate: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

impl Upstream {
    /// In clear, on a free port.
    pub async fn plaintext() -> Self {
        Self::start(None).await
    }

    /// With the first CA's certificate for `localhost`, demanding a client certificate of it.
    pub async fn mtls(pki: &TestPki) -> Self {
        let tls = ServerTlsConfig::new()
            .identity(Identity::from_pem(pki.server.cert_pem(), pki.server.key_pem()))
            .client_ca_root(Certificate::from_pem(pki.ca.pem()));
        Self::start(Some(tls)).await
    }

    async fn start(tls: Option<ServerTlsConfig>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, received) = mpsc::unbounded_channel();
        let (gate, is_open) = watch::channel(true);
        let begun = Arc::new(AtomicUsize::new(0));
        let shown = Arc::default();
        let service =
            Service { sender, is_open, begun: Arc::clone(&begun), shown: Arc::clone(&shown) };
        let service = TraceServiceServer::new(service).accept_compressed(CompressionEncoding::Gzip);
        let mut server = Server::builder();
        if let Some(tls) = tls {
            server = server.tls_config(tls).unwrap();
        }
        let serving = server.add_service(service).serve_with_incoming(TcpIncoming::from(listener));
        let serving = tokio::spawn(async move { serving.await.unwrap() });
        Self { address, received, begun, shown, gate, serving }
    }

    /// From now on requests wait for [`Self::release`].
    pub fn hold(&self) {
        self.gate.send_replace(false);
    }

    /// Answers everything that waits.
    pub fn release(&self) {
        self.gate.send_replace(true);
    }

    /// The certificate that each request so far came with, where one was demanded.
    pub fn shown(&self) -> Vec<CertificateDer<'static>> {
        self.shown.lock().unwrap().clone()
    }

    /// How many requests have reached it.
    pub fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

struct Service {
    sender: mpsc::UnboundedSender<ExportTraceServiceRequest>,
    is_open: watch::Receiver<bool>,
    begun: Arc<AtomicUsize>,
    shown: Arc<Mutex<Vec<CertificateDer<'static>>>>,
}

#[tonic::async_trait]
impl TraceService for Service {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        if let Some(leaf) = request.peer_certs().and_then(|chain| chain.first().cloned()) {
            self.shown.lock().unwrap().push(leaf);
        }
        let mut is_open = self.is_open.clone();
        let ended = is_open.wait_for(|is_open| *is_open).await.is_err();
        if ended || self.sender.send(request.into_inner()).is_err() {
            return Err(Status::unavailable("the backend is ending"));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}
