//! The other side: the gateway's own identity and the backend's authority change under load, in
//! front of a backend that demands a client certificate and checks it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;

use super::follower::Follower;
use super::load::Load;
use super::writers::{Material, Style, Writer};
use super::{gap, promptly, rotations};
use crate::support::gateway::RunningGateway;
use crate::support::pki::{Ca, Leaf, TestPki, client_params, server_params};

/// A gRPC backend that can change its certificate and the CA it demands, and says who came.
struct Backend {
    address: SocketAddr,
    tls: watch::Sender<Arc<ServerConfig>>,
    /// The client leaf of the newest request.
    caller: watch::Receiver<Vec<u8>>,
    serving: JoinHandle<()>,
}

impl Backend {
    async fn start(first: Arc<ServerConfig>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tls, current) = watch::channel(first);
        let (seen, caller) = watch::channel(Vec::new());
        let serving = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(connection(socket, current.clone(), seen.clone()));
            }
        });
        Self { address, tls, caller, serving }
    }

    /// Waits for a request that this leaf brought.
    async fn called_by(&mut self, leaf: &Leaf, within: Duration) -> bool {
        let der = leaf.certificate.der().to_vec();
        timeout(within, self.caller.wait_for(|seen| *seen == der)).await.is_ok()
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Serves until the peer goes, or until the backend's certificate changes: then says GOAWAY, as
/// servers that are restarted do, and answers what is under way.
async fn connection(
    socket: TcpStream,
    mut current: watch::Receiver<Arc<ServerConfig>>,
    seen: watch::Sender<Vec<u8>>,
) {
    let acceptor = TlsAcceptor::from(Arc::clone(&current.borrow_and_update()));
    // A refused peer is the gateway's failure, and shows in the load.
    let Ok(stream) = acceptor.accept(socket).await else { return };
    let leaf = stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    let mut leaving = false;
    loop {
        tokio::select! {
            accepted = connection.accept() => match accepted {
                Some(Ok((request, respond))) => {
                    seen.send_replace(leaf.clone());
                    tokio::spawn(answer(request, respond));
                }
                _ => return,
            },
            changed = current.changed(), if !leaving => {
                leaving = true;
                if changed.is_err() { return }
                connection.graceful_shutdown();
            }
        }
    }
}

async fn answer(
    request: http::Request<h2::RecvStream>,
    mut respond: h2::server::SendResponse<Bytes>,
) -> Option<()> {
    let mut body = request.into_body();
    while let Some(frame) = body.data().await {
        body.flow_control().release_capacity(frame.ok()?.len()).ok()?;
    }
    let head = Response::builder().header("content-type", "application/grpc").body(()).ok()?;
    let mut stream = respond.send_response(head, false).ok()?;
    stream.send_data(Bytes::from_static(&[0; 5]), false).ok()?;
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    stream.send_trailers(trailers).ok()
}

fn server(leaf: &Leaf, client_cas: &[&Ca]) -> Arc<ServerConfig> {
    let mut roots = RootCertStore::empty();
    for ca in client_cas {
        roots.add(CertificateDer::from_pem_slice(ca.pem().as_bytes()).unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let key = PrivateKeyDer::from_pem_slice(leaf.key_pem().as_bytes()).unwrap();
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(vec![leaf.certificate.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config)
}

/// Senders, the gateway, and a backend that demands an identity which a writer replaces.
struct Stage {
    /// Its folder holds every file.
    _pki: TestPki,
    backend: Backend,
    writer: Writer,
    gateway: RunningGateway,
    load: Load,
    follower: Follower,
}

impl Stage {
    async fn new(what: &str, style: Style, first: &Material, tls: Arc<ServerConfig>) -> Self {
        let follower = Follower::of(format!("upstream, {what}"));
        let pki = TestPki::new();
        let backend = Backend::start(tls).await;
        let writer = Writer::new(&pki.path("mount"), style, first).await;
        let tls = format!(
            "{{ cert_file: '{0}/server.crt', key_file: '{0}/server.key', client_ca_file: '{0}/ca.crt' }}",
            pki.dir().display()
        );
        let gateway = RunningGateway::start(&format!(
            "receivers:
  otlp:
    protocols:
      grpc: {{ endpoint: '127.0.0.1:0', tls: {tls} }}
      http: {{ endpoint: '127.0.0.1:0', tls: {tls} }}
exporters:
  otlp_grpc:
    endpoint: localhost:{}
    tls: {{ cert_file: '{}', key_file: '{}', ca_file: '{}' }}
service:
  telemetry: {{ metrics: {{ level: none }} }}
  pipelines: {{ traces: {{ receivers: [otlp], exporters: [otlp_grpc] }} }}
",
            backend.address.port(),
            writer.cert_file().display(),
            writer.key_file().display(),
            writer.ca_file().display(),
        ))
        .await;
        let load = Load::start(gateway.grpc(), gateway.http(), &pki).await;
        Self { _pki: pki, backend, writer, gateway, load, follower }
    }

    async fn expect_caller(&mut self, round: u32, leaf: &Leaf) {
        let written = Instant::now();
        let came = self.backend.called_by(leaf, promptly()).await;
        self.follower.took_up(round, &self.load, written, came);
    }

    async fn end(self, rotations: u32) {
        self.follower.end(rotations, self.load).await;
        self.gateway.stop().await;
    }
}

async fn identity_survives(style: Style) {
    let (server_ca, client_ca) = (Ca::new("Backend CA"), Ca::new("Gateways CA"));
    let backend = server(&server_ca.issue(server_params(&["localhost"])), &[&client_ca]);
    let identity = |round: u32| client_ca.issue(client_params(&format!("gateway-{round}")));
    let material =
        |leaf: &Leaf| Material { cert: leaf.cert_pem(), key: leaf.key_pem(), ca: server_ca.pem() };
    let mut stage =
        Stage::new(&format!("identity, {style:?}"), style, &material(&identity(0)), backend).await;
    let rotations = rotations();
    for round in 1..=rotations {
        stage.load.begin(round);
        let leaf = identity(round);
        stage.writer.write(&material(&leaf), gap(round)).await;
        stage.expect_caller(round, &leaf).await;
        stage.follower.rotated(round - 1, &stage.load);
    }
    stage.end(rotations).await;
}

#[tokio::test]
async fn the_identity_for_the_backend_changes_in_place_and_nothing_fails() {
    identity_survives(Style::InPlaceCertFirst).await;
}

#[tokio::test]
async fn the_identity_for_the_backend_changes_by_a_swap_and_nothing_fails() {
    identity_survives(Style::KubernetesSwap).await;
}

#[tokio::test]
async fn the_identity_for_the_backend_changes_by_rename_and_nothing_fails() {
    identity_survives(Style::RenameEach).await;
}

/// Both authorities move on, each the way people are told to: the verifier learns the new one
/// beside the old, then the certificates change, then the old one goes.
#[tokio::test]
async fn both_authorities_between_gateway_and_backend_change_and_nothing_fails() {
    let mut server_ca = Ca::new("Backend CA 0");
    let mut client_ca = Ca::new("Gateways CA 0");
    let mut leaf = client_ca.issue(client_params("gateway-0"));
    let mut backend_leaf = server_ca.issue(server_params(&["localhost"]));
    let material = |leaf: &Leaf, cas: &[&Ca]| Material {
        cert: leaf.cert_pem(),
        key: leaf.key_pem(),
        ca: cas.iter().map(|ca| ca.pem()).collect(),
    };
    let first = material(&leaf, &[&server_ca]);
    let backend = server(&backend_leaf, &[&client_ca]);
    // At once, so that a request with the new identity proves that the bundle is in force, too.
    let mut stage = Stage::new("both authorities", Style::KubernetesSwap, &first, backend).await;
    let rotations = rotations();
    for round in 1..=rotations {
        stage.load.begin(round);
        let next_server_ca = Ca::new(&format!("Backend CA {round}"));
        let next_client_ca = Ca::new(&format!("Gateways CA {round}"));
        // The backend learns the gateway's new authority; the gateway uses it, and learns the
        // backend's new one.
        stage.backend.tls.send_replace(server(&backend_leaf, &[&client_ca, &next_client_ca]));
        leaf = next_client_ca.issue(client_params(&format!("gateway-{round}")));
        stage.writer.write(&material(&leaf, &[&server_ca, &next_server_ca]), gap(round)).await;
        stage.expect_caller(round, &leaf).await;
        // The backend shows its new certificate and forgets the gateway's old authority.
        backend_leaf = next_server_ca.issue(server_params(&["localhost"]));
        stage.backend.tls.send_replace(server(&backend_leaf, &[&next_client_ca]));
        // The gateway forgets the backend's old authority.
        leaf = next_client_ca.issue(client_params(&format!("gateway-{round}b")));
        stage.writer.write(&material(&leaf, &[&next_server_ca]), gap(round)).await;
        stage.expect_caller(round, &leaf).await;
        stage.follower.rotated(round - 1, &stage.load);
        (server_ca, client_ca) = (next_server_ca, next_client_ca);
    }
    stage.end(rotations).await;
}
