//! One row for each way a handshake of a listener fails, with what is said of it.

use std::io::{Error as IoError, ErrorKind};

use rustls::{AlertDescription as Alert, Error, PeerIncompatible};

use super::*;
use crate::tls::server::About;

fn about() -> About {
    About {
        own_issuer: "CN=our-ca".to_owned(),
        own_summary: "CN=gateway (issuer CN=our-ca, serial 1, sha256 ab)".to_owned(),
        client_cas: "1 CA: CN=clients".to_owned(),
        client_ca_place: "/certs/ca.crt".to_owned(),
    }
}

fn explain(first: &[u8], error: &IoError) -> Refusal {
    let about = about();
    Handshake { peer: "10.0.0.7:5000", first, fault: None, about: &about }.failed(error)
}

fn tls(error: Error) -> IoError {
    IoError::new(ErrorKind::InvalidData, error)
}

/// A ClientHello of TLS 1.2 with one suite, one group, SNI and ALPN.
fn hello(version: u16) -> Vec<u8> {
    let sni = [&[0, 0, 0, 9, 0, 7, 0, 0, 4][..], b"otel"].concat();
    let groups = [0, 10, 0, 4, 0, 2, 0, 25];
    let alpn = [&[0, 16, 0, 7, 0, 5, 4][..], b"imap"].concat();
    let extensions = [&sni[..], &groups, &alpn].concat();
    let mut body = version.to_be_bytes().to_vec();
    body.extend_from_slice(&[7; 32]);
    body.extend_from_slice(&[0, 0, 2, 0xc0, 0x09, 1, 0]);
    body.extend_from_slice(&u16::try_from(extensions.len()).unwrap().to_be_bytes());
    body.extend_from_slice(&extensions);
    let mut message = vec![1, 0];
    message.extend_from_slice(&u16::try_from(body.len()).unwrap().to_be_bytes());
    message.extend_from_slice(&body);
    let mut record = vec![0x16, 3, 1];
    record.extend_from_slice(&u16::try_from(message.len()).unwrap().to_be_bytes());
    record.extend_from_slice(&message);
    record
}

#[test]
fn every_error_of_the_library_has_a_reason_and_a_next_step() {
    let rows = [
        (Error::NoCertificatesPresented, "client_cert_missing", "/certs/ca.crt (1 CA: CN=clients)"),
        (
            Error::AlertReceived(Alert::UnknownCA),
            "peer_rejected_us",
            "CN=gateway (issuer CN=our-ca",
        ),
        (Error::AlertReceived(Alert::BadCertificate), "peer_rejected_us", "CN=gateway"),
        (
            Error::AlertReceived(Alert::CertificateExpired),
            "peer_rejected_us",
            "the certificate is out of date",
        ),
        (Error::AlertReceived(Alert::HandshakeFailure), "peer_rejected_us", "after our answer"),
        (
            Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon),
            "no_common_cipher",
            "0xc009",
        ),
        (Error::PeerIncompatible(PeerIncompatible::NoKxGroupsInCommon), "no_common_group", "P-521"),
        (
            Error::PeerIncompatible(PeerIncompatible::NoSignatureSchemesInCommon),
            "no_common_signature",
            "accepts no signature that our key can make",
        ),
        (
            Error::PeerIncompatible(PeerIncompatible::Tls12NotOfferedOrEnabled),
            "tls_version_not_allowed",
            "offered TLS 1.2 at most",
        ),
        (Error::NoApplicationProtocol, "no_common_protocol", "imap"),
        (Error::DecryptError, "tls_protocol_error", "broke the TLS protocol"),
        (
            Error::AlertReceived(Alert::DecodeError),
            "tls_protocol_error",
            "cannot read a message (alert decode_error), and means what we sent",
        ),
        (
            Error::PeerIncompatible(PeerIncompatible::IncorrectCertificateTypeExtension),
            "tls_incompatible",
            "takes raw public keys alone",
        ),
        (
            Error::PeerIncompatible(PeerIncompatible::NullCompressionRequired),
            "tls_incompatible",
            "does not offer what every TLS client must (NullCompressionRequired)",
        ),
    ];
    for (error, reason, part) in rows {
        let refusal = explain(&hello(0x0303), &tls(error));
        assert_eq!(refusal.reason, reason, "{refusal}");
        assert!(refusal.message.starts_with("10.0.0.7:5000 (SNI otel) "), "{refusal}");
        assert!(refusal.message.contains(part), "{refusal}");
        assert!(!refusal.help.is_empty() && !refusal.probe, "{refusal}");
    }
}

#[test]
fn an_old_client_is_told_its_version_whatever_the_library_misses_first() {
    for (version, name) in [(0x0301, "TLS 1.0"), (0x0302, "TLS 1.1")] {
        for missing in [
            PeerIncompatible::SignatureAlgorithmsExtensionRequired,
            PeerIncompatible::NoKxGroupsInCommon,
        ] {
            let refusal = explain(&hello(version), &tls(Error::PeerIncompatible(missing)));
            assert_eq!(refusal.reason, "tls_version_too_old");
            assert!(refusal.message.contains(&format!("speaks {name} at most")), "{refusal}");
        }
    }
}

#[test]
fn who_goes_away_early_is_a_probe_and_who_goes_away_late_is_not() {
    let gone = IoError::from(ErrorKind::UnexpectedEof);
    let hello = hello(0x0303);
    for (first, reason, probe) in [
        (&b""[..], "probe", true),
        (&hello[..20], "closed_during_handshake", true),
        (b"\0\0\0\0", "not_tls", true),
        (b"SSH-2.0-scanner\r\n", "not_tls", true),
        (&hello, "closed_during_handshake", false),
        (b"GET / HTTP/1.1\r\n", "plaintext_on_tls_port", false),
        (b"PROXY TCP4 1.2.3.4", "plaintext_on_tls_port", false),
        (b"PRI * HTTP/2.0\r\n", "plaintext_on_tls_port", false),
    ] {
        let refusal = explain(first, &gone);
        assert_eq!((refusal.reason, refusal.probe), (reason, probe), "{refusal}");
    }
}

#[test]
fn a_request_line_is_shown_without_its_query_and_without_control_characters() {
    let line = b"GET /v1/traces?token=secret HTTP/1.1\r\nAuthorization: x\r\n";
    let refusal = explain(line, &IoError::from(ErrorKind::InvalidData));
    assert!(refusal.message.contains("`GET /v1/traces`"), "{refusal}");
    assert!(!refusal.to_string().contains("secret"), "{refusal}");
    let refusal = explain(b"GET /\x1b[2J\x07 HTTP/1.1\r\n", &IoError::from(ErrorKind::InvalidData));
    assert!(!refusal.message.contains(char::is_control), "{refusal}");
}

proptest::proptest! {
    #[test]
    fn no_first_bytes_make_it_panic(noise: Vec<u8>, at in 0_usize..120, cut in 0_usize..120) {
        let gone = IoError::from(ErrorKind::UnexpectedEof);
        let _any = explain(&noise, &gone);
        let mut bytes = hello(0x0303);
        if let (Some(byte), Some(new)) = (bytes.get_mut(at), noise.first()) {
            *byte = *new;
        }
        bytes.truncate(cut);
        let _any = explain(&bytes, &tls(Error::NoApplicationProtocol));
    }
}
