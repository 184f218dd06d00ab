//! What is said of each step on the way to an upstream.

use std::io;

use crate::cli::doctor::files::what;
use crate::cli::doctor::report::{Finding, Level, Report};
use crate::config::sections::ClientTls;
use crate::tls::client::UpstreamTlsError;

/// How far it got is in the report.
pub(super) struct Stopped;

/// Reports a connection that was not made.
pub(super) fn unconnected(
    address: &str,
    error: &io::Error,
    when_down: &'static str,
    report: &mut Report,
) -> Stopped {
    let (reason, help) = match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => {
            ("upstream_refused", when_down)
        }
        io::ErrorKind::TimedOut => {
            ("upstream_timeout", "does the upstream run, and does a firewall drop the packets?")
        }
        _ => ("upstream_unreachable", "check routes and firewalls"),
    };
    report.add(failed("connect", reason, format!("{address}: {error}"), help));
    Stopped
}

/// Reports a failed handshake under the step that it failed in.
pub(super) fn refused(error: &UpstreamTlsError, report: &mut Report) -> Stopped {
    let step = match error.reason() {
        "upstream_no_alpn" => "alpn",
        "upstream_name_mismatch" | "upstream_bad_name" | "upstream_unknown_name" => "name",
        "upstream_rejected_our_certificate"
        | "upstream_demands_certificate"
        | "upstream_no_common_signature" => "identity",
        "upstream_expired" | "upstream_not_yet_valid" | "upstream_unknown_issuer" => "chain",
        reason if reason.starts_with("upstream_cert_") => "chain",
        _ => "tls",
    };
    if step == "name" && error.reason() == "upstream_name_mismatch" {
        report.fine("chain", "trusted");
    }
    report.add(failed(step, error.reason(), error.message().to_owned(), error.help()));
    Stopped
}

/// Reports what became of our certificate.
pub(super) fn identity(tls: &ClientTls, was_asked: bool, report: &mut Report) {
    let message = match (&tls.common.cert, was_asked) {
        (Some(cert), true) => format!("{} was asked for and accepted", what(cert)),
        (Some(cert), false) => {
            format!("{} was not asked for: the upstream knows nobody", what(cert))
        }
        (None, true) => "none configured; the upstream asked and went on without".to_owned(),
        (None, false) => "none configured, and none was asked for".to_owned(),
    };
    report.fine("identity", message);
}

/// The last step: whether it speaks what it should.
pub(super) fn answered(
    answer: io::Result<Vec<u8>>,
    is_h2: bool,
    report: &mut Report,
) -> Result<(), Stopped> {
    let (protocol, fits) = match &answer {
        Ok(bytes) if is_h2 => ("HTTP/2", matches!(bytes.get(3), Some(4))),
        Ok(bytes) => ("HTTP/1.1", bytes.starts_with(b"HTTP/1")),
        Err(_) => (if is_h2 { "HTTP/2" } else { "HTTP/1.1" }, false),
    };
    if fits {
        report.fine("answer", format!("it speaks {protocol}"));
        return Ok(());
    }
    let (reason, message) = match answer {
        Err(error) => ("upstream_silent", format!("no answer in {protocol}: {error}")),
        Ok(bytes) if bytes.is_empty() => {
            ("upstream_closed", format!("it closed the connection instead of answering {protocol}"))
        }
        Ok(bytes) if bytes.first().is_some_and(|byte| (20..=23).contains(byte)) => {
            ("upstream_speaks_tls", "it answered with TLS".to_owned())
        }
        Ok(_) => ("upstream_other_protocol", format!("its answer is not {protocol}")),
    };
    let help = match reason {
        "upstream_speaks_tls" => "the port wants TLS: leave `insecure: true` (or http://) out",
        _ => "is it the right port, and an OTLP backend?",
    };
    report.add(failed("answer", reason, message, help));
    Err(Stopped)
}

/// A step that failed.
pub(super) fn failed(step: &str, reason: &'static str, message: String, help: &str) -> Finding {
    let (what, help) = (step.to_owned(), help.to_owned());
    Finding { level: Level::Problem, what, reason, message, help }
}

/// No answer by the deadline.
pub(super) fn late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "no answer within connect_timeout")
}
