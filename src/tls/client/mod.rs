//! The exporter's side: one `tls` block of an exporter, loaded, and handshakes with upstreams.

mod alert;
mod connector;
mod explain;
mod identity;
mod name;
mod reload;
mod standing;
mod stream;

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::Resumption;

use crate::config::Problem;
use crate::config::sections::ClientTls;
use crate::metrics::{End, Epochs};
use crate::tls::anchors::{self, Anchors};
use crate::tls::epoch::Trust;
use crate::tls::error::{CredentialsError, Loaded, next_generation, unkeyed, unusable_profile};
use crate::tls::inspect::Purpose;
use crate::tls::own::Own;
use crate::tls::revocation::{self, Revocations};
use crate::tls::verifier::{NoVerifier, ServerVerifier};
use crate::tls::{expiry, own, profile, time};

pub(crate) use alert::{is_about_protocol, words as alert_words};
pub(crate) use connector::Connector;
pub(crate) use explain::{UpstreamTlsError, tls_error};
pub(crate) use identity::OwnIdentity;
pub(crate) use reload::files;
pub(crate) use standing::Standing;
pub(crate) use stream::{Diagnosis, UpstreamStream};

/// Everything that one exporter's handshakes decide with. Immutable.
#[derive(Debug)]
pub(crate) struct ClientSnapshot {
    /// Numbered within this process; a later load has a higher number.
    pub(crate) generation: u64,
    pub(crate) config: Arc<ClientConfig>,
    pub(crate) server_name_override: Option<String>,
    /// What we show when asked; `None` when nothing is configured.
    pub(crate) own: Option<Arc<OwnIdentity>>,
    /// The one in `config`, to ask it outside of a handshake; `None` when nothing is verified.
    pub(super) verifier: Option<Arc<ServerVerifier>>,
    /// Whom the upstream's CAs took back.
    pub(crate) revocations: Option<Arc<Revocations>>,
    /// The CAs that upstreams are verified with, for messages.
    pub(super) upstream_cas: String,
    /// Unix times at which a validity ends or starts.
    pub(super) boundaries: Vec<i64>,
    /// When each certificate and list ends.
    pub(super) ends: Vec<End>,
    /// What is in force, in short.
    pub(super) epochs: Epochs,
    /// Whether the upstream must agree on HTTP/2.
    pub(super) needs_h2: bool,
}

/// Reads and vets every file of the block. `alpn` is what the exporter speaks, best first; with
/// `h2` alone an upstream that does not agree on it is refused. Blocks on the file system.
///
/// # Errors
/// Everything that is wrong with the material, each with config key, file and mend.
pub(crate) fn load(
    tls: &ClientTls,
    alpn: &'static [&'static [u8]],
) -> Result<Loaded<ClientSnapshot>, CredentialsError> {
    load_after(tls, alpn, None)
}

/// The same while `before` is in force: no revocation list is replaced by an older one.
///
/// # Errors
/// As [`load`].
pub(crate) fn reload(
    tls: &ClientTls,
    alpn: &'static [&'static [u8]],
    before: &ClientSnapshot,
) -> Result<Loaded<ClientSnapshot>, CredentialsError> {
    load_after(tls, alpn, Some(before))
}

fn load_after(
    tls: &ClientTls,
    alpn: &'static [&'static [u8]],
    before: Option<&ClientSnapshot>,
) -> Result<Loaded<ClientSnapshot>, CredentialsError> {
    let provider = profile::provider(&tls.common);
    let mut warnings = Vec::new();
    let mut problems = Vec::new();
    let anchors = trusted(tls, &mut warnings).map_err(|bad| problems.extend(bad));
    let own = match (&tls.common.cert, &tls.common.key) {
        (Some(cert), Some(key)) => {
            own::load(cert, key, &Purpose::ClientAuth, &provider, &mut warnings)
                .map(Some)
                .map_err(|bad| problems.extend(bad))
        }
        _ => Ok(None),
    };
    let name = tls
        .server_name_override
        .as_deref()
        .map(|text| name::host_of(text).map_err(|why| bad_override(text, &why)));
    let name = name.transpose().map_err(|bad| problems.push(bad));
    let (Ok(anchors), Ok(own), Ok(name)) = (anchors, own, name) else {
        return Err(CredentialsError { problems });
    };
    let (mut ends, boundaries) = dated(own.as_ref(), anchors.as_ref());
    let trust = trust(tls, anchors.as_ref());
    let upstream_cas =
        anchors.as_ref().map_or_else(|| "any CA (not verified)".to_owned(), Anchors::names);
    let algorithms = provider.signature_verification_algorithms;
    let builder = ClientConfig::builder_with_details(provider, Arc::new(time::Handshakes))
        .with_protocol_versions(profile::versions(&tls.common))
        .map_err(|error| unusable_profile(&error))?
        .dangerous();
    let revocations = match &anchors {
        Some(anchors) => {
            let before = before.and_then(|before| before.revocations.as_deref());
            let inputs = revocation::Inputs { policy: tls.revocation, anchors, algorithms, before };
            revocation::load(&tls.crl, &inputs, &mut warnings)
                .map_err(|problems| CredentialsError { problems })?
                .map(Arc::new)
        }
        None => None,
    };
    ends.extend(expiry::lists(revocations.as_deref()));
    let epochs = trust.with(revocations.as_deref(), own.as_ref());
    let verifier = anchors
        .map(|anchors| Arc::new(ServerVerifier::new(anchors, algorithms, revocations.clone())));
    let builder = match &verifier {
        Some(verifier) => {
            builder.with_custom_certificate_verifier(Arc::<ServerVerifier>::clone(verifier))
        }
        None => builder.with_custom_certificate_verifier(Arc::new(NoVerifier(algorithms))),
    };
    let own = own.map(|own| Arc::new(OwnIdentity::from(own)));
    let resolver = identity::Resolver(own.clone());
    let mut config = builder.with_client_cert_resolver(Arc::new(resolver));
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    // Upstream connections are few and long: resumption saves nothing and would let a session
    // outlive the certificate it was made with.
    config.resumption = Resumption::disabled();
    Ok(Loaded {
        snapshot: ClientSnapshot {
            generation: next_generation(),
            config: Arc::new(config),
            server_name_override: name,
            own,
            verifier,
            revocations,
            upstream_cas,
            boundaries,
            ends,
            epochs,
            needs_h2: alpn == [b"h2".as_slice()],
        },
        warnings,
    })
}

/// When what the files hold ends, and when it must be judged anew.
fn dated(own: Option<&Own>, anchors: Option<&Anchors>) -> (Vec<End>, Vec<i64>) {
    let (own, anchors) = (own.into_iter(), anchors.into_iter());
    let ends = own.clone().flat_map(Own::ends);
    let boundaries = own.map(|own| own.leaf.not_after);
    (
        ends.chain(anchors.clone().flat_map(Anchors::ends)).collect(),
        boundaries.chain(anchors.flat_map(Anchors::boundaries)).collect(),
    )
}

fn trust(tls: &ClientTls, anchors: Option<&Anchors>) -> Trust {
    let mut trust = Trust::default();
    anchors.into_iter().for_each(|anchors| trust.bundle("", anchors));
    trust.setting("policy", (tls.insecure_skip_verify, tls.revocation));
    trust
}

/// `None` when nothing is to be verified.
fn trusted(tls: &ClientTls, warnings: &mut Vec<Problem>) -> Result<Option<Anchors>, Vec<Problem>> {
    let with_system = tls.common.include_system_ca_certs_pool;
    let anchors = match &tls.common.ca {
        Some(ca) => anchors::load(ca, with_system, &Purpose::ServerAuth, warnings).map(Some),
        None if tls.insecure_skip_verify => Ok(None),
        None => anchors::system("tls").map(Some).map_err(|bad| vec![bad]),
    };
    if !tls.insecure_skip_verify {
        return anchors;
    }
    // The bundle was still read: a file that is named must be there.
    anchors.map(|_unused| None)
}

fn bad_override(text: &str, why: &str) -> Problem {
    let text = crate::tls::inspect::shown(text);
    unkeyed(
        "upstream_bad_name",
        format!("`server_name_override: {text}` is not a host name: {why}"),
        "write the name alone, such as `otel.example.com`",
    )
}

#[cfg(test)]
mod tests;
