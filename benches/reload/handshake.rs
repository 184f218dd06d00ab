//! Full mTLS handshakes in memory: what they cost the server.

use std::sync::Arc;
use std::time::Duration;

use rustls::client::Resumption;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use rustls_pki_types::ServerName;
use tokio::time::Instant;

use crate::Outcome;
use crate::material::Material;

/// A client that shows its certificate and resumes nothing.
pub fn client(material: &Material) -> Outcome<Arc<ClientConfig>> {
    let leaf = material.client()?;
    let mut roots = RootCertStore::empty();
    roots.add(material.authority())?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![leaf.certificate], leaf.key)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// The server's share of one handshake.
pub fn cost(server: &Arc<ServerConfig>, client: &Arc<ClientConfig>) -> Outcome<Duration> {
    let mut client = ClientConnection::new(Arc::clone(client), ServerName::try_from("localhost")?)?;
    let mut spent = Duration::ZERO;
    let began = Instant::now();
    let mut server = ServerConnection::new(Arc::clone(server))?;
    spent += began.elapsed();
    while client.is_handshaking() || server.is_handshaking() {
        let mut flight = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut flight)?;
        }
        let began = Instant::now();
        let mut rest = flight.as_slice();
        while !rest.is_empty() {
            server.read_tls(&mut rest)?;
            server.process_new_packets()?;
        }
        let mut answer = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut answer)?;
        }
        spent += began.elapsed();
        let mut rest = answer.as_slice();
        while !rest.is_empty() {
            client.read_tls(&mut rest)?;
            client.process_new_packets()?;
        }
    }
    Ok(spent)
}
