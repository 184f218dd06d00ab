//! What a finished handshake agreed on, in the names of the TLS library.

use rustls::{HandshakeKind, ProtocolVersion, ServerConnection};

use crate::metrics::Negotiated;

pub(super) fn negotiated(connection: &ServerConnection) -> Negotiated {
    let group = connection.negotiated_key_exchange_group().and_then(|group| group.name().as_str());
    let suite = connection.negotiated_cipher_suite();
    let cipher = suite.and_then(|suite| suite.suite().as_str());
    Negotiated {
        version: match connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => "1.2",
            Some(ProtocolVersion::TLSv1_3) => "1.3",
            _ => "",
        },
        group: group.unwrap_or_default(),
        cipher: cipher.unwrap_or_default(),
        resumed: match connection.handshake_kind() {
            Some(HandshakeKind::Resumed) => "true",
            _ => "false",
        },
    }
}
