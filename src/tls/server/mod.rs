//! The listener's side: one `tls` block of a receiver, loaded.

mod admit;
mod live;
mod reload;
mod sessions;

use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::server::NoServerSessionStorage;
use rustls::sign::SingleCertAndKey;
use rustls::{HandshakeKind, ServerConfig, ServerConnection};
use rustls_pki_types::{CertificateDer, UnixTime};

use crate::config::Problem;
use crate::config::sections::{ClientAuth, ServerTls};
use crate::metrics::{End, Epochs};
use crate::tls::anchors::{self, Anchors};
use crate::tls::epoch::Trust;
use crate::tls::error::{CredentialsError, Loaded, next_generation, unkeyed, unusable_profile};
use crate::tls::inspect::Purpose;
use crate::tls::own::Own;
use crate::tls::revocation::{self, Revocations};
use crate::tls::server::sessions::Sessions;
use crate::tls::verifier::{ClientVerifier, Fault, TrustDomains, Verdict};
use crate::tls::{expiry, own, profile, time};

pub(crate) use admit::{Admitted, Shown, shown, trust_domains};
pub(crate) use live::{Live, Loss, Standing};
pub(crate) use reload::files;

/// Everything that one listener's handshakes decide with. Immutable; a connection reads it once.
#[derive(Debug)]
pub(crate) struct ServerSnapshot {
    /// Numbered within this process; a later load has a higher number.
    pub(crate) generation: u64,
    /// What is made of client certificates; `None` when nobody is asked for one.
    pub(super) client_auth: Option<ClientAuth>,
    pub(crate) config: Arc<ServerConfig>,
    /// The one in `config`, to ask it outside of a handshake.
    pub(super) verifier: Option<Arc<ClientVerifier>>,
    /// For messages.
    pub(crate) about: About,
    /// Unix times at which a validity ends or starts; the first is the end of our own leaf's.
    pub(super) boundaries: Vec<i64>,
    /// When each certificate and list ends.
    pub(super) ends: Vec<End>,
    /// What is in force, in short.
    pub(super) epochs: Epochs,
    /// Those of `config`; `None` when none are resumed.
    sessions: Option<Arc<Sessions>>,
    /// How long a connection may go on after its client's trust was lost.
    pub(super) trust_loss_grace: Duration,
}

impl ServerSnapshot {
    /// Whether those who would be refused are let in and reported.
    pub(crate) fn only_reports(&self) -> bool {
        self.client_auth == Some(ClientAuth::ReportOnly)
    }

    /// What is made of client certificates; `None` when nobody is asked for one.
    pub(crate) fn client_auth(&self) -> Option<ClientAuth> {
        self.client_auth
    }

    /// What the listener asks of its clients, in a few words.
    pub(crate) fn security(&self) -> &'static str {
        match self.client_auth {
            None => "TLS",
            Some(ClientAuth::Optional) => "TLS, client certificates optional",
            Some(ClientAuth::ReportOnly) => "TLS, client certificates only reported",
            Some(ClientAuth::Require) => "mTLS",
        }
    }

    /// What is thought at `now` of a chain, leaf first, that this or an earlier snapshot let in.
    /// Whoever only reports has a verdict, too, and does not act on it.
    pub(super) fn verdict(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Verdict {
        // Without client certificates nothing was proved that could be lost.
        self.verifier.as_ref().map_or(Verdict::Trusted, |verifier| verifier.verdict(chain, now))
    }

    /// Why the client of a resumed session would not be let in any more; `None` if it would, or if
    /// it proved itself in a full handshake.
    pub(crate) fn refuses_resumed(
        &self,
        connection: &ServerConnection,
        now: UnixTime,
    ) -> Option<Fault> {
        if self.verifier.is_none()
            || self.only_reports()
            || connection.handshake_kind() != Some(HandshakeKind::Resumed)
        {
            return None;
        }
        match self.verdict(connection.peer_certificates().unwrap_or_default(), now) {
            Verdict::Trusted => None,
            Verdict::Revoked(fault) | Verdict::Expired(fault) | Verdict::Untrusted(fault) => {
                Some(fault)
            }
        }
    }

    /// Has the sessions of this connection remember when its client proved itself. To be called
    /// between its hello and the rest of the handshake.
    pub(crate) fn date_sessions(&self, connection: &mut ServerConnection) {
        let Some(sessions) = &self.sessions else { return };
        let resumed = connection.received_resumption_data().map(<[u8]>::to_vec);
        connection.set_resumption_data(&resumed.unwrap_or_else(|| sessions.proof()));
    }

    /// The CA of the bundle that vouches for a client, for a metric's label: what is not named by
    /// the bundle is `other`.
    pub(crate) fn ca_of(&self, chain: &[CertificateDer<'_>]) -> String {
        let ca = self.verifier.as_ref().and_then(|verifier| verifier.ca_of(chain));
        ca.unwrap_or_else(|| "other".to_owned())
    }

    /// Whether a list that is in force names a certificate of this chain. A hint and no verdict: who
    /// signed what is not verified.
    pub(super) fn lists(&self, chain: &[CertificateDer<'_>]) -> bool {
        self.revocations()
            .is_some_and(|lists| chain.iter().any(|der| lists.check_pinned(der).is_err()))
    }

    /// The clients' revocation lists in force.
    pub(crate) fn revocations(&self) -> Option<&Revocations> {
        self.verifier.as_ref().and_then(|verifier| verifier.revocations())
    }
}

/// What refusals tell about this listener.
#[derive(Clone, Debug, Default)]
pub(crate) struct About {
    /// The issuer of our own certificate.
    pub(crate) own_issuer: String,
    /// Its subject, issuer, serial and fingerprint.
    pub(crate) own_summary: String,
    /// The client CAs, such as `1 CA: CN=a`.
    pub(crate) client_cas: String,
    /// The file that names them.
    pub(crate) client_ca_place: String,
}

/// Reads and vets every file of the block. Blocks on the file system.
///
/// # Errors
/// Everything that is wrong with the material, each with config key, file and mend.
pub(crate) fn load(tls: &ServerTls) -> Result<Loaded<ServerSnapshot>, CredentialsError> {
    load_after(tls, None)
}

/// The same while `before` is in force: no revocation list is replaced by an older one.
///
/// # Errors
/// As [`load`].
pub(crate) fn reload(
    tls: &ServerTls,
    before: &ServerSnapshot,
) -> Result<Loaded<ServerSnapshot>, CredentialsError> {
    load_after(tls, Some(before))
}

fn load_after(
    tls: &ServerTls,
    before: Option<&ServerSnapshot>,
) -> Result<Loaded<ServerSnapshot>, CredentialsError> {
    let provider = profile::provider(&tls.common);
    let mut warnings = Vec::new();
    let serving = before.map(|before| before.about.own_summary.as_str());
    let Vetted { own, anchors, domains } = vet(tls, &provider, serving, &mut warnings)?;
    let mut about = About {
        own_issuer: own.leaf.identity.issuer.clone(),
        own_summary: own.leaf.summary(),
        ..About::default()
    };
    let (mut ends, boundaries) = dated(&own, anchors.as_ref(), &domains);
    let trust = trust(tls, anchors.as_ref(), &domains);
    let clock = Arc::new(time::Handshakes);
    let builder = ServerConfig::builder_with_details(Arc::clone(&provider), clock)
        .with_protocol_versions(profile::versions(&tls.common))
        .map_err(|error| unusable_profile(&error))?;
    let algorithms = provider.signature_verification_algorithms;
    let verifier = verifier(tls, anchors, algorithms, before, &mut warnings)?;
    let verifier = verifier.map(|one| Arc::new(one.with_domains(domains)));
    let builder = match &verifier {
        None => builder.with_no_client_auth(),
        Some(verifier) => {
            (about.client_cas, about.client_ca_place) = verifier.trusted();
            builder.with_client_cert_verifier(Arc::<ClientVerifier>::clone(verifier))
        }
    };
    let lists = verifier.as_ref().and_then(|one| one.revocations());
    ends.extend(expiry::lists(lists));
    let epochs = trust.with(lists, Some(&own));
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(own.certified)));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let mode = verifier.as_ref().map(|verifier| verifier.mode());
    let sessions = resumption(&mut config, tls.session_resumption, mode);
    // Early data can be replayed.
    config.max_early_data_size = 0;
    Ok(Loaded {
        snapshot: ServerSnapshot {
            generation: next_generation(),
            client_auth: mode,
            config: Arc::new(config),
            verifier,
            about,
            boundaries,
            ends,
            epochs,
            sessions,
            trust_loss_grace: tls.trust_loss_grace,
        },
        warnings,
    })
}

/// What the files of a block hold, each fit for its use.
struct Vetted {
    own: Own,
    anchors: Option<Anchors>,
    domains: TrustDomains,
}

/// Reads all of them, to say of all what is wrong.
fn vet(
    tls: &ServerTls,
    provider: &CryptoProvider,
    serving: Option<&str>,
    warnings: &mut Vec<Problem>,
) -> Result<Vetted, CredentialsError> {
    let (Some(cert), Some(key)) = (&tls.common.cert, &tls.common.key) else {
        return Err(incomplete().into());
    };
    let mut problems = Vec::new();
    let own = own::load_while(cert, key, &Purpose::ServerAuth, provider, warnings, serving)
        .map_err(|bad| problems.extend(bad));
    let with_system = tls.common.include_system_ca_certs_pool;
    let anchors = tls
        .client_ca
        .as_ref()
        .map(|ca| anchors::load(ca, with_system, &Purpose::ClientAuth, warnings))
        .transpose()
        .map_err(|bad| problems.extend(bad));
    let domains =
        TrustDomains::load(&tls.trust_domains, warnings).map_err(|bad| problems.extend(bad));
    if let Some(ca) = &tls.common.ca {
        // Without effect on a listener, but a file that is named must be there, as the Collector
        // has it.
        problems.extend(crate::tls::material::load(ca, "ca_no_pem").err());
    }
    match (own, anchors, domains) {
        (Ok(own), Ok(anchors), Ok(domains)) if problems.is_empty() => {
            Ok(Vetted { own, anchors, domains })
        }
        _ => Err(CredentialsError { problems }),
    }
}

/// When what the files hold ends, and when it must be judged anew; our own leaf first.
fn dated(own: &Own, anchors: Option<&Anchors>, domains: &TrustDomains) -> (Vec<End>, Vec<i64>) {
    let mut ends: Vec<_> = own.ends().collect();
    ends.extend(anchors.into_iter().flat_map(Anchors::ends).chain(domains.ends()));
    let mut boundaries = vec![own.leaf.not_after];
    boundaries.extend(anchors.into_iter().flat_map(Anchors::boundaries));
    boundaries.extend(domains.boundaries());
    (ends, boundaries)
}

fn trust(tls: &ServerTls, anchors: Option<&Anchors>, domains: &TrustDomains) -> Trust {
    let mut trust = Trust::default();
    anchors.into_iter().for_each(|anchors| trust.bundle("", anchors));
    domains.bundles().for_each(|(domain, bundle)| trust.bundle(domain, bundle));
    trust.setting("policy", (tls.client_auth, tls.strict_x509, tls.revocation));
    trust
}

/// A resumed session never sees the verifier: whoever was let in once would stay in, past the end
/// of the certificate and of the trust in its CA. So each snapshot begins without sessions, and
/// [`ServerSnapshot::refuses_resumed`] judges again whoever resumes one of them.
fn resumption(
    config: &mut ServerConfig,
    asked: Option<bool>,
    mode: Option<ClientAuth>,
) -> Option<Arc<Sessions>> {
    // A session remembers the certificate and not that it was only reported.
    let resumes = mode != Some(ClientAuth::ReportOnly);
    let wanted = resumes && asked.unwrap_or_else(|| mode.is_none());
    let sessions = wanted.then(Sessions::new).flatten().map(Arc::new);
    if let Some(sessions) = &sessions {
        config.session_storage = Arc::<Sessions>::clone(sessions);
    } else {
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    sessions
}

/// `None` when nobody is asked for a certificate.
fn verifier(
    tls: &ServerTls,
    anchors: Option<Anchors>,
    algorithms: WebPkiSupportedAlgorithms,
    before: Option<&ServerSnapshot>,
    warnings: &mut Vec<Problem>,
) -> Result<Option<ClientVerifier>, CredentialsError> {
    let Some(anchors) = anchors else { return Ok(None) };
    let inputs = revocation::Inputs {
        policy: tls.revocation,
        anchors: &anchors,
        algorithms,
        before: before.and_then(ServerSnapshot::revocations),
    };
    let revocations = revocation::load(&tls.client_crl, &inputs, warnings)
        .map_err(|problems| CredentialsError { problems })?
        .map(Arc::new);
    let verifier = ClientVerifier::new(anchors, algorithms, tls.strict_x509, revocations);
    Ok(Some(verifier.demanding(tls.client_auth)))
}

fn incomplete() -> Problem {
    let message = "a listener's `tls` block has no certificate or no key".to_owned();
    unkeyed("tls_incomplete", message, "set `cert_file` and `key_file`")
}

#[cfg(test)]
mod tests;
