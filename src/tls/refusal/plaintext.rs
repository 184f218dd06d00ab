//! A peer that speaks in the clear to a TLS port: what it spoke, and an answer it can read.

use crate::tls::inspect::shown;

/// What was spoken instead of TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Plaintext {
    /// An HTTP/1 request, by its first line.
    Http1(String),
    /// The preface of HTTP/2, as gRPC sends it.
    Http2,
    /// A PROXY protocol header.
    Proxy,
}

impl Plaintext {
    /// From the first bytes of a peer; `None` for anything else.
    pub(crate) fn recognise(first: &[u8]) -> Option<Self> {
        // A short first packet may hold a part only.
        if first.len() >= 4 && (first.starts_with(b"PRI ") || b"PRI * HTTP/2".starts_with(first)) {
            return Some(Self::Http2);
        }
        if first.starts_with(b"PROXY ") || first.starts_with(b"\r\n\r\n\0\r\nQUIT\n") {
            return Some(Self::Proxy);
        }
        let is_request = METHODS.iter().any(|method| first.starts_with(method.as_bytes()));
        is_request.then(|| {
            let line = first.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
            // A query may carry a secret.
            let line = line.split(|byte| *byte == b'?').next().unwrap_or_default();
            Self::Http1(shown(&String::from_utf8_lossy(line)))
        })
    }

    /// What it was, for a message.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Http1(line) => format!("HTTP/1.1 `{line}` arrived unencrypted"),
            Self::Http2 => "HTTP/2 (as gRPC speaks it) arrived unencrypted".to_owned(),
            Self::Proxy => "a PROXY protocol header arrived before TLS".to_owned(),
        }
    }

    /// What to do about it.
    pub(crate) fn help(&self) -> &'static str {
        match self {
            Self::Http1(_) => {
                "this port speaks TLS: use https:// in OTEL_EXPORTER_OTLP_ENDPOINT, or in the \
                 `endpoint` of a Collector's exporter"
            }
            Self::Http2 => {
                "this port speaks TLS: use https:// in OTEL_EXPORTER_OTLP_ENDPOINT, or unset \
                 OTEL_EXPORTER_OTLP_INSECURE; in a Collector remove `tls.insecure: true`"
            }
            Self::Proxy => "switch the PROXY protocol off in the load balancer in front",
        }
    }

    /// An answer in the protocol that was spoken; empty if there is none.
    pub(crate) fn answer(&self) -> Vec<u8> {
        match self {
            Self::Http1(_) => {
                let body = format!("plaintext_on_tls_port: {}\n", self.help());
                // Some SDKs show the first line alone.
                format!(
                    "HTTP/1.1 400 Bad Request: {}\r\nContent-Type: text/plain; charset=utf-8\r\n\
                     Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    self.help(),
                    body.len()
                )
                .into_bytes()
            }
            Self::Http2 => {
                let debug = format!("plaintext_on_tls_port: {}", self.help());
                let length = u32::try_from(8 + debug.len()).unwrap_or_default().to_be_bytes();
                // An empty SETTINGS, which must come first, then GOAWAY on stream 0.
                let mut frames = vec![0, 0, 0, 4, 0, 0, 0, 0, 0];
                frames.extend_from_slice(length.get(1..).unwrap_or_default());
                frames.extend_from_slice(&[7, 0, 0, 0, 0, 0]);
                frames.extend_from_slice(&[0; 4]);
                frames.extend_from_slice(&INADEQUATE_SECURITY.to_be_bytes());
                frames.extend_from_slice(debug.as_bytes());
                frames
            }
            Self::Proxy => Vec::new(),
        }
    }
}

const METHODS: [&str; 9] =
    ["GET ", "POST ", "PUT ", "HEAD ", "OPTIONS ", "PATCH ", "DELETE ", "CONNECT ", "TRACE "];

/// RFC 9113 section 7.
const INADEQUATE_SECURITY: u32 = 0xc;
