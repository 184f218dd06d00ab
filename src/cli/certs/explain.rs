//! Says what each written file is for: which config key names it and which variable an SDK reads.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use time::macros::format_description;

use crate::cli::certs::files::PairPaths;
use crate::cli::certs::issue::Pair;

/// After `certs ca`.
pub(super) fn authority(paths: &PairPaths, pair: &Pair, out: &mut dyn Write) -> io::Result<()> {
    let cert = absolute(&paths.cert);
    writeln!(out, "wrote {}  (valid until {})", paths.cert.display(), end(pair))?;
    writeln!(out, "  The authority's certificate, public: for everyone who shall trust it.")?;
    writeln!(out, "    gateway, to demand certificates of senders that it signed:")?;
    writeln!(out, "      receivers.otlp.protocols.grpc.tls.client_ca_file: {cert}")?;
    writeln!(out, "    gateway, if it signed the backend's certificate:")?;
    writeln!(out, "      exporters.otlp_grpc.tls.ca_file: {cert}")?;
    writeln!(out, "    senders, if it signed the gateway's certificate:")?;
    writeln!(out, "      OTEL_EXPORTER_OTLP_CERTIFICATE={cert}")?;
    writeln!(out, "wrote {}  (mode 0600)", paths.key.display())?;
    writeln!(out, "  Signs new certificates. Neither gateway nor senders need it: keep it away")?;
    writeln!(out, "  from them and out of version control.")
}

/// After `certs server`.
pub(super) fn server(
    paths: &PairPaths,
    pair: &Pair,
    ca: &PairPaths,
    out: &mut dyn Write,
) -> io::Result<()> {
    writeln!(out, "wrote {}  (valid until {})", paths.cert.display(), end(pair))?;
    writeln!(out, "  What a listener shows to those who connect. On the gateway:")?;
    let key_path = "receivers.otlp.protocols.grpc.tls";
    writeln!(out, "      {key_path}.cert_file: {}", absolute(&paths.cert))?;
    writeln!(out, "wrote {}  (mode 0600)", paths.key.display())?;
    writeln!(out, "  Its private key:")?;
    writeln!(out, "      {key_path}.key_file: {}", absolute(&paths.key))?;
    writeln!(out, "  Senders trust it by its authority:")?;
    writeln!(out, "      OTEL_EXPORTER_OTLP_CERTIFICATE={}", absolute(&ca.cert))?;
    note_cut(pair, out)
}

/// After `certs client`.
pub(super) fn client(
    paths: &PairPaths,
    pair: &Pair,
    ca: &PairPaths,
    out: &mut dyn Write,
) -> io::Result<()> {
    let (cert, key) = (absolute(&paths.cert), absolute(&paths.key));
    writeln!(out, "wrote {}  (valid until {})", paths.cert.display(), end(pair))?;
    writeln!(out, "wrote {}  (mode 0600)", paths.key.display())?;
    writeln!(out, "  What a sender identifies itself with. For an SDK:")?;
    writeln!(out, "      OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE={cert}")?;
    writeln!(out, "      OTEL_EXPORTER_OTLP_CLIENT_KEY={key}")?;
    writeln!(out, "  For the gateway as a sender:")?;
    writeln!(out, "      exporters.otlp_grpc.tls.cert_file: {cert}")?;
    writeln!(out, "      exporters.otlp_grpc.tls.key_file: {key}")?;
    writeln!(out, "  The other side accepts it by its authority:")?;
    let key_path = "receivers.otlp.protocols.grpc.tls.client_ca_file";
    writeln!(out, "      {key_path}: {}", absolute(&ca.cert))?;
    note_cut(pair, out)
}

fn note_cut(pair: &Pair, out: &mut dyn Write) -> io::Result<()> {
    if pair.cut_to_authority {
        writeln!(
            out,
            "  Note: the authority ends on {}, and so does this certificate.",
            end(pair)
        )?;
    }
    Ok(())
}

fn end(pair: &Pair) -> String {
    pair.not_after.format(format_description!("[year]-[month]-[day]")).unwrap_or_default()
}

fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| PathBuf::from(path)).display().to_string()
}
