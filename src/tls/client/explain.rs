//! Why a TLS connection to an upstream failed, in words its owner can act on.

use std::fmt;
use std::io::{self, ErrorKind};
use std::sync::Arc;

use rustls::{AlertDescription, Error, PeerIncompatible};

use crate::tls::client::OwnIdentity;
use crate::tls::client::alert::{is_about_certificate, is_about_protocol, words};
use crate::tls::inspect::{self, shown};
use crate::tls::recorded::is_tls;
use crate::tls::time;
use crate::tls::verifier::Fault;

/// A failed handshake with an upstream. Cheap to clone; the text names wanted name, presented
/// names, issuer and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UpstreamTlsError {
    pub(super) reason: &'static str,
    pub(super) message: String,
    pub(super) help: String,
    /// Whether it was we who refused the other side's certificate.
    distrusted: bool,
}

impl UpstreamTlsError {
    /// Whether our own verification refused the upstream.
    pub(crate) fn is_distrust(&self) -> bool {
        self.distrusted
    }

    /// Stable reason code, such as `upstream_name_mismatch`; also a metric label.
    pub(crate) fn reason(&self) -> &'static str {
        self.reason
    }

    /// What happened, to whom and why.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The next step; may be empty.
    pub(crate) fn help(&self) -> &str {
        &self.help
    }
}

impl fmt::Display for UpstreamTlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if !self.help.is_empty() {
            write!(f, "; {}", self.help)?;
        }
        Ok(())
    }
}

impl std::error::Error for UpstreamTlsError {}

/// One handshake with an upstream, for explaining how it went.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    upstream: String,
    /// The name that it is asked for.
    wanted: String,
    own: Option<Arc<OwnIdentity>>,
    /// Whether the upstream asked for a certificate of ours.
    pub(super) asked: bool,
    /// Whether ours was kept back, since the upstream accepts no signature that our key can make.
    pub(super) unfit: bool,
}

impl Attempt {
    pub(super) fn new(upstream: &str, wanted: &str, own: Option<Arc<OwnIdentity>>) -> Self {
        Self {
            upstream: upstream.to_owned(),
            wanted: shown(wanted),
            own,
            asked: false,
            unfit: false,
        }
    }

    fn error(
        &self,
        reason: &'static str,
        message: impl fmt::Display,
        help: impl Into<String>,
    ) -> UpstreamTlsError {
        let message = format!("TLS to {}: {message}", self.upstream);
        UpstreamTlsError { reason, message, help: help.into(), distrusted: false }
    }

    pub(super) fn bad_name(&self, why: &str) -> UpstreamTlsError {
        let message = format!("cannot verify the name {}: it is {why}", self.wanted);
        let help = "set `tls.server_name_override` to the name in the upstream's certificate";
        self.error("upstream_bad_name", message, help)
    }

    /// For a handshake that went well with a certificate of ours that has ended.
    pub(super) fn own_ended(&self) -> UpstreamTlsError {
        let (what, place, last) = match &self.own {
            Some(own) => (own.leaf.summary(), own.place.clone(), own.leaf.not_after),
            None => ("a certificate".to_owned(), "the configuration".to_owned(), 0),
        };
        let message = format!(
            "our certificate {what} from {place} ended on {} ({}), and no connection is opened \
             with it",
            inspect::date(last),
            time::ago(last, time::now())
        );
        self.error("upstream_own_certificate_expired", message, "renew it; it is read by itself")
    }

    pub(super) fn timed_out(&self) -> UpstreamTlsError {
        let message = "the upstream did not finish the handshake in time";
        let help = "is it overloaded, or a port that waits for plaintext?";
        self.error("upstream_handshake_timeout", message, help)
    }

    pub(super) fn no_alpn(&self) -> UpstreamTlsError {
        let message = "the upstream did not agree on HTTP/2 (ALPN h2), which gRPC needs";
        let help = "enable HTTP/2 there (a proxy in front may have it off), or use the otlp_http \
                    exporter";
        self.error("upstream_no_alpn", message, help)
    }

    /// For a handshake that ended in an error; `first` are the first bytes of the upstream.
    pub(super) fn failed(
        &self,
        error: &io::Error,
        fault: Option<&Fault>,
        first: &[u8],
    ) -> UpstreamTlsError {
        if let Some(fault) = fault {
            return self.distrusted(fault);
        }
        if first.first().is_some_and(|byte| !is_tls(*byte)) {
            return self.plaintext(first);
        }
        match tls_error(error) {
            Some(Error::AlertReceived(alert)) => self.alert(*alert),
            Some(Error::PeerIncompatible(why)) => self.incompatible(why),
            Some(other) => self.error(
                "upstream_tls_protocol_error",
                format!("the upstream broke the TLS protocol ({other})"),
                "is there really a TLS server, and nothing in between that changes bytes?",
            ),
            None => self.broken(error),
        }
    }

    /// For an upstream whose certificate we refuse.
    pub(super) fn distrusted(&self, fault: &Fault) -> UpstreamTlsError {
        let leaf = fault.leaf.as_deref();
        let who =
            leaf.map_or_else(|| "a certificate".to_owned(), inspect::CertificateFacts::summary);
        let message = format!("the upstream presented {who}: {}", fault.why);
        let error = self.error(fault.reason, message, fault.help.clone());
        UpstreamTlsError { distrusted: true, ..error }
    }

    fn broken(&self, error: &io::Error) -> UpstreamTlsError {
        let gone = matches!(
            error.kind(),
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
        );
        if self.asked && gone {
            return self.probably_refused("closed the connection when it had our answer");
        }
        if gone {
            return self.error(
                "upstream_closed_during_handshake",
                "the upstream closed the connection during the handshake",
                "does it speak TLS on this port, and allow connections from here?",
            );
        }
        let message = format!("the connection was lost during the handshake: {error}");
        self.error("upstream_unreachable", message, "check routes and firewalls")
    }

    /// For a read error after the handshake.
    pub(super) fn alerted(&self, error: &io::Error) -> Option<UpstreamTlsError> {
        match tls_error(error) {
            Some(Error::AlertReceived(alert)) => Some(self.alert(*alert)),
            _ => None,
        }
    }

    /// For an upstream that ends the connection before its first byte. A refusal, if it asked who
    /// we are: some send no alert.
    pub(super) fn closed_unheard(&self) -> Option<UpstreamTlsError> {
        self.asked.then(|| self.probably_refused("closed the connection right after the handshake"))
    }

    fn probably_refused(&self, what: &str) -> UpstreamTlsError {
        match &self.own {
            Some(own) if self.unfit => self.kept_back(what, own),
            Some(own) => {
                let message = format!(
                    "the upstream {what}: it probably refused our certificate {} from {}",
                    own.leaf.summary(),
                    own.place
                );
                self.error("upstream_rejected_our_certificate", message, self.trust_us(own))
            }
            None => self.demanded(what),
        }
    }

    fn demanded(&self, what: &str) -> UpstreamTlsError {
        let message =
            format!("the upstream {what}: it demands a client certificate, and none is configured");
        let help = "set `tls.cert_file` and `tls.key_file` of the exporter";
        self.error("upstream_demands_certificate", message, help)
    }

    fn kept_back(&self, what: &str, own: &OwnIdentity) -> UpstreamTlsError {
        let message = format!(
            "the upstream {what}: it demands a client certificate, and accepts no signature that the \
             key of ours, {} from {}, can make, so it was not shown",
            own.leaf.summary(),
            own.place
        );
        let help = "use a key of a kind that it accepts (some accept RSA alone, or ECDSA), or allow \
                    the signatures of ours there";
        self.error("upstream_no_common_signature", message, help)
    }

    fn trust_us(&self, own: &OwnIdentity) -> String {
        format!(
            "the upstream must trust our issuer {} (its client CA), and the certificate must be in \
             force and allow clientAuth",
            inspect::named(&own.leaf.identity.issuer)
        )
    }

    fn alert(&self, alert: AlertDescription) -> UpstreamTlsError {
        use AlertDescription as A;

        let says = words(alert);
        match alert {
            A::CertificateRequired | A::NoCertificate if self.own.is_none() => self.demanded(says),
            A::HandshakeFailure if self.asked && self.own.is_none() => self.demanded(says),
            A::NoApplicationProtocol => self.no_alpn(),
            A::ProtocolVersion => self.error(
                "upstream_tls_version",
                format!("the upstream {says}"),
                "it speaks neither TLS 1.2 nor 1.3, or `min_version` / `max_version` leave nothing \
                 in common",
            ),
            A::UnrecognisedName => self.error(
                "upstream_unknown_name",
                format!("the upstream, asked for {}, {says}", self.wanted),
                "set `tls.server_name_override` to a name that it serves",
            ),
            A::HandshakeFailure | A::InsufficientSecurity if !self.asked => self.error(
                "upstream_no_common_cipher",
                format!("the upstream {says}"),
                "check `cipher_suites`, `curve_preferences` and the upstream's own (RSA key exchange \
                 and CBC suites are not supported here); one that has no certificate says so, too",
            ),
            A::InternalError if !self.asked => self.error(
                "upstream_internal_error",
                format!("the upstream {says}"),
                "its log knows why; servers in Go, such as the Collector, say so when their \
                 certificate or key cannot be read",
            ),
            _ if is_about_protocol(alert) => self.error(
                "upstream_tls_protocol_error",
                format!("the upstream {says}, and means what we sent"),
                "something between may change bytes, or its TLS library has a fault",
            ),
            _ => match &self.own {
                Some(own) if self.unfit => self.kept_back(says, own),
                Some(own) if is_about_certificate(alert) || self.asked => {
                    let message = format!(
                        "the upstream {says}: it refused our certificate {} from {}",
                        own.leaf.summary(),
                        own.place
                    );
                    self.error("upstream_rejected_our_certificate", message, self.trust_us(own))
                }
                None if self.asked && is_about_certificate(alert) => self.demanded(says),
                _ => self.error(
                    "upstream_alert",
                    format!("the upstream {says}"),
                    "its log knows why",
                ),
            },
        }
    }

    fn incompatible(&self, why: &PeerIncompatible) -> UpstreamTlsError {
        use PeerIncompatible as P;

        match why {
            P::ServerDoesNotSupportTls12Or13 | P::ServerTlsVersionIsDisabledByOurConfig => self
                .error(
                    "upstream_tls_version",
                    "the upstream speaks a TLS version that is not allowed here",
                    "TLS 1.0 and 1.1 are not supported; for 1.2 look at `min_version`",
                ),
            P::NoCertificateRequestSignatureSchemesInCommon => self.error(
                "upstream_no_common_signature",
                "the upstream demands a client certificate, and accepts no signature of TLS 1.3 from \
                 it",
                "allow ECDSA or RSA-PSS with SHA-256 there",
            ),
            other => self.error(
                "upstream_no_common_cipher",
                format!("the upstream and this exporter have no algorithm in common ({other:?})"),
                "check `cipher_suites`, `curve_preferences` and the kind of key that each side has",
            ),
        }
    }

    fn plaintext(&self, first: &[u8]) -> UpstreamTlsError {
        let text = String::from_utf8_lossy(first);
        let what = if text.starts_with("HTTP/") {
            let line = shown(text.lines().next().unwrap_or_default());
            format!("plaintext HTTP/1.1 ({line})")
        } else if matches!(first, [0, 0, _, 4, ..] | [0, 0, _, 7, ..]) {
            "plaintext HTTP/2".to_owned()
        } else if text.starts_with("SSH-") {
            "SSH".to_owned()
        } else {
            "something that is not TLS".to_owned()
        };
        self.error(
            "upstream_plaintext",
            format!("the upstream answered with {what}"),
            "the port speaks no TLS: use its TLS port, or `tls: { insecure: true }` (http:// for \
             otlp_http) if plaintext is meant",
        )
    }
}

/// The TLS library's error inside an I/O error.
pub(crate) fn tls_error(error: &io::Error) -> Option<&Error> {
    let inner = error.get_ref()?;
    inner.downcast_ref::<Error>().or_else(|| inner.source()?.downcast_ref::<Error>())
}
