//! From a failed handshake of a listener to its explanation.

use std::io::{self, ErrorKind};

use rustls::{AlertDescription, Error, InvalidMessage, PeerIncompatible};

use crate::tls::client::{alert_words, is_about_protocol, tls_error};
use crate::tls::inspect::{named, shown};
use crate::tls::recorded::is_tls;
use crate::tls::refusal::hello::Hello;
use crate::tls::refusal::{Plaintext, Refusal};
use crate::tls::server::About;
use crate::tls::verifier::Fault;

/// One failed handshake.
#[derive(Debug)]
pub(crate) struct Handshake<'a> {
    /// Remote address.
    pub(crate) peer: &'a str,
    /// The first bytes it sent.
    pub(crate) first: &'a [u8],
    /// What the verifier found.
    pub(crate) fault: Option<&'a Fault>,
    /// The listener.
    pub(crate) about: &'a About,
}

impl Handshake<'_> {
    /// Explains an error.
    pub(crate) fn failed(&self, error: &io::Error) -> Refusal {
        if let Some(fault) = self.fault {
            return self.certificate(fault);
        }
        if self.first.first().is_some_and(|byte| !is_tls(*byte)) {
            return self.not_tls();
        }
        match tls_error(error) {
            Some(Error::NoCertificatesPresented) => self.no_certificate(),
            Some(Error::AlertReceived(alert)) => self.rejected_us(*alert),
            Some(Error::PeerIncompatible(why)) => self.incompatible(why),
            Some(Error::NoApplicationProtocol) => self.no_protocol(),
            Some(Error::InvalidMessage(InvalidMessage::UnknownProtocolVersion)) => self.too_old(),
            Some(other) => self.refusal(
                "tls_protocol_error",
                format!("broke the TLS protocol ({other})"),
                "something between may change bytes, or it is not a TLS client",
            ),
            None => self.gone(error),
        }
    }

    /// For a certificate that is judged outside of a handshake.
    pub(crate) fn distrusted(&self, fault: &Fault) -> Refusal {
        self.certificate(fault)
    }

    /// For a peer that is let in all the same, because the listener only reports.
    pub(crate) fn would_be(&self) -> Refusal {
        self.fault.map_or_else(|| self.no_certificate(), |fault| self.certificate(fault))
    }

    /// For a handshake that did not end in time.
    pub(crate) fn timed_out(&self, seconds: f64) -> Refusal {
        self.probe(
            "handshake_timeout",
            format!("did not finish the handshake within {seconds} s"),
            "",
        )
    }

    /// For a peer that came while too many handshakes were under way.
    pub(crate) fn overload(&self) -> Refusal {
        self.refusal(
            "handshake_overload",
            "waited in vain: too many TLS handshakes at one time".to_owned(),
            "raise `max_handshakes`, or find who connects so often",
        )
    }

    /// For a handshake that stood still and had to make room.
    pub(crate) fn crowded_out(&self) -> Refusal {
        self.probe(
            "handshake_crowded_out",
            "stood still in the middle of the handshake while others waited for theirs".to_owned(),
            "if it is a slow client, raise `max_handshakes`",
        )
    }

    /// For a peer without a whole hello that had to make room.
    pub(crate) fn silent_in_a_crowd(&self) -> Refusal {
        self.probe(
            "handshake_crowded_out",
            "did not say hello within a second while a quarter of `max_connections` was as silent"
                .to_owned(),
            "find who opens so many connections and sends nothing",
        )
    }

    fn who(&self) -> String {
        let hello = Hello::parse(self.first);
        match hello.and_then(|hello| hello.server_name) {
            Some(name) => format!("{} (SNI {})", self.peer, shown(&name)),
            None => self.peer.to_owned(),
        }
    }

    fn refusal(&self, reason: &'static str, what: String, help: &str) -> Refusal {
        let mut message = what;
        message.insert_str(0, &format!("{} ", self.who()));
        Refusal { reason, message, help: help.to_owned(), probe: false, subject: String::new() }
    }

    fn probe(&self, reason: &'static str, what: String, help: &str) -> Refusal {
        Refusal { probe: true, ..self.refusal(reason, what, help) }
    }

    fn certificate(&self, fault: &Fault) -> Refusal {
        let leaf = fault.leaf.as_deref();
        let what = match leaf {
            Some(leaf) => format!("presented {}: {}", leaf.summary(), fault.why),
            None => format!("was refused: {}", fault.why),
        };
        let subject = leaf.map(|leaf| leaf.identity.sha256.clone()).unwrap_or_default();
        Refusal { subject, ..self.refusal(fault.reason, what, &fault.help) }
    }

    fn no_certificate(&self) -> Refusal {
        let About { client_cas, client_ca_place, .. } = self.about;
        self.refusal(
            "client_cert_missing",
            format!(
                "presented no certificate; this listener demands one of {client_ca_place} \
                 ({client_cas})"
            ),
            "set OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and _CLIENT_KEY, or `tls.cert_file` and \
             `key_file` in a Collector; if they are set: some SDKs do not read them, Java ignores \
             them unless _CERTIFICATE is set too, a proxy in between may end TLS, and a key of a \
             kind that is not offered here is not sent",
        )
    }

    fn rejected_us(&self, alert: AlertDescription) -> Refusal {
        let words = alert_words(alert);
        let About { own_issuer, own_summary, .. } = self.about;
        match alert {
            AlertDescription::UserCanceled | AlertDescription::CloseNotify => self.probe(
                "closed_during_handshake",
                "ended the handshake of its own accord".to_owned(),
                "",
            ),
            AlertDescription::ProtocolVersion
            | AlertDescription::HandshakeFailure
            | AlertDescription::InsufficientSecurity
            | AlertDescription::IllegalParameter => self.refusal(
                "peer_rejected_us",
                format!("{words} after our answer"),
                "its TLS settings leave nothing in common with this listener",
            ),
            _ if is_about_protocol(alert) => self.refusal(
                "tls_protocol_error",
                format!("{words}, and means what we sent"),
                "something between may change bytes, or its TLS library has a fault",
            ),
            AlertDescription::CertificateExpired => self.refusal(
                "peer_rejected_us",
                format!("does not accept our certificate {own_summary}: it {words}"),
                "renew our certificate and write it to cert_file and key_file, which are read again \
                 by themselves; if it is in force (`portcullis doctor` says until when), that \
                 client's clock is wrong",
            ),
            _ => self.refusal(
                "peer_rejected_us",
                format!("does not accept our certificate {own_summary}: it {words}"),
                &format!(
                    "give it our CA {} (OTEL_EXPORTER_OTLP_CERTIFICATE, `tls.ca_file` in a \
                     Collector; for Python over HTTP unset REQUESTS_CA_BUNDLE), and check that it \
                     connects by a name in our certificate",
                    named(own_issuer)
                ),
            ),
        }
    }

    fn incompatible(&self, why: &PeerIncompatible) -> Refusal {
        use PeerIncompatible as P;

        let hello = Hello::parse(self.first).unwrap_or_default();
        // What the library misses first in an old hello is not what is wrong with it.
        if (1..0x0303).contains(&hello.version) {
            return self.too_old();
        }
        match why {
            P::Tls12NotOffered
            | P::Tls12NotOfferedOrEnabled
            | P::SupportedVersionsExtensionRequired => self.refusal(
                "tls_version_not_allowed",
                format!("offered {} at most, which is not allowed here", hello.version_name()),
                "look at `min_version` and `max_version` of both sides",
            ),
            P::NoCipherSuitesInCommon => self.refusal(
                "no_common_cipher",
                format!("offered no cipher suite that is allowed here: {}", hello.suite_codes()),
                "allow ECDHE with AES-GCM or ChaCha20 there; CBC suites and RSA key exchange are \
                 not supported; check `cipher_suites`",
            ),
            P::NoKxGroupsInCommon
            | P::NamedGroupsExtensionRequired
            | P::KeyShareExtensionRequired => self.refusal(
                "no_common_group",
                format!("offered no key exchange group of ours: {}", hello.group_names()),
                "allow X25519, P-256 or P-384 there (P-521, DHE and RSA key exchange are not \
                     supported); check `curve_preferences`",
            ),
            P::NoSignatureSchemesInCommon | P::SignatureAlgorithmsExtensionRequired => self
                .refusal(
                    "no_common_signature",
                    "accepts no signature that our key can make".to_owned(),
                    "a client that knows RSA only needs a listener with an RSA key",
                ),
            P::IncorrectCertificateTypeExtension => self.refusal(
                "tls_incompatible",
                "takes raw public keys alone, and this listener has a certificate".to_owned(),
                "allow X.509 certificates there",
            ),
            other => self.refusal(
                "tls_incompatible",
                format!("does not offer what every TLS client must ({other:?})"),
                "update its TLS library",
            ),
        }
    }

    fn too_old(&self) -> Refusal {
        let hello = Hello::parse(self.first).unwrap_or_default();
        self.refusal(
            "tls_version_too_old",
            format!(
                "speaks {} at most; this listener speaks TLS 1.2 and 1.3",
                hello.version_name()
            ),
            "update the client or its TLS library",
        )
    }

    fn no_protocol(&self) -> Refusal {
        let hello = Hello::parse(self.first).unwrap_or_default();
        let offered: Vec<_> = hello.protocols.iter().take(8).map(|name| shown(name)).collect();
        self.refusal(
            "no_common_protocol",
            format!(
                "offered by ALPN only {}; this listener speaks h2 and http/1.1",
                offered.join(", ")
            ),
            if hello.protocols.iter().any(|name| name == "http/1.0") {
                "OTLP needs HTTP/1.1 or HTTP/2, and TLS lets no connection begin without a protocol \
                 in common: let the client offer http/1.1 as well, or no ALPN at all"
            } else {
                "is it an OTLP client?"
            },
        )
    }

    fn not_tls(&self) -> Refusal {
        match Plaintext::recognise(self.first) {
            Some(plaintext) => self.refusal(
                "plaintext_on_tls_port",
                format!("spoke in the clear: {}", plaintext.words()),
                plaintext.help(),
            ),
            None => self.probe("not_tls", "sent something that is not TLS".to_owned(), ""),
        }
    }

    fn gone(&self, error: &io::Error) -> Refusal {
        if self.first.is_empty() {
            return self.probe("probe", "connected and closed without a word".to_owned(), "");
        }
        if Hello::parse(self.first).is_none() {
            return self.probe(
                "closed_during_handshake",
                "closed the connection inside its first message".to_owned(),
                "",
            );
        }
        let known = matches!(
            error.kind(),
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
        );
        let cause = if known { String::new() } else { format!(" ({error})") };
        self.refusal(
            "closed_during_handshake",
            format!(
                "closed the connection when it had our certificate {}{cause}",
                self.about.own_summary
            ),
            &format!(
                "some clients do so without an alert when they do not trust it: give them our CA \
                 {} (OTEL_EXPORTER_OTLP_CERTIFICATE) and connect by a name in our certificate; \
                 health checks do so too",
                named(&self.about.own_issuer)
            ),
        )
    }
}
