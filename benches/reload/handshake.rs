//! Full mTLS handshakes in memory: what they cost the server.

use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection};
use rustls_pki_types::ServerName;
use tokio::time::Instant;

use crate::Outcome;

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
