//! Verifies senders.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};

use crate::config::sections::ClientAuth;
use crate::tls::anchors::Anchors;
use crate::tls::inspect;
use crate::tls::revocation::Revocations;
use crate::tls::verifier::judge::{Fault, Judge, Side, Verdict, warn_once};
use crate::tls::verifier::signature::{Proof, proofs};
use crate::tls::verifier::{TrustDomains, explain, note};

/// Verifies the certificates of senders, and demands one unless told otherwise.
#[derive(Debug)]
pub(in crate::tls) struct ClientVerifier {
    judge: Judge,
    mode: ClientAuth,
}

impl ClientVerifier {
    pub(in crate::tls) fn new(
        anchors: Anchors,
        algorithms: WebPkiSupportedAlgorithms,
        strict: bool,
        revocations: Option<Arc<Revocations>>,
    ) -> Self {
        let domains = TrustDomains::default();
        let side = Side::Sender;
        let judge = Judge { side, anchors, algorithms, strict, revocations, domains };
        Self { judge, mode: ClientAuth::Require }
    }

    /// The same, demanding so much.
    pub(in crate::tls) fn demanding(self, mode: ClientAuth) -> Self {
        Self { mode, ..self }
    }

    /// The same, judging SPIFFE ids by the CAs of their trust domains too.
    pub(in crate::tls) fn with_domains(mut self, domains: TrustDomains) -> Self {
        self.judge.domains = domains;
        self
    }

    /// What is demanded.
    pub(in crate::tls) fn mode(&self) -> ClientAuth {
        self.mode
    }

    /// What is thought now of a chain that was accepted before.
    pub(in crate::tls) fn verdict(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Verdict {
        // Where nothing is demanded, whoever showed nothing has no trust to lose.
        match self.mode {
            ClientAuth::Optional | ClientAuth::ReportOnly if chain.is_empty() => Verdict::Trusted,
            ClientAuth::Optional | ClientAuth::ReportOnly | ClientAuth::Require => {
                self.judge.verdict(chain, now)
            }
        }
    }

    /// The CA of the bundle that a chain ends in, by name.
    pub(in crate::tls) fn ca_of(&self, chain: &[CertificateDer<'_>]) -> Option<String> {
        let members = &self.judge.anchors.members;
        chain.iter().filter_map(|der| inspect::describe(der)).find_map(|facts| {
            let issuer = &facts.identity.issuer;
            members
                .iter()
                .any(|member| member.identity.subject == *issuer)
                .then(|| inspect::named(issuer))
        })
    }

    /// Whom the CAs took back.
    pub(in crate::tls) fn revocations(&self) -> Option<&Revocations> {
        self.judge.revocations.as_deref()
    }

    /// What a handshake at this moment would make of a chain.
    pub(in crate::tls) fn admission(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Admission {
        match self.judge.judge(leaf, intermediates, now) {
            Ok(None) => Admission::Plain,
            Ok(Some(leniency)) => {
                let (reason, why, help) = explain::leniency(Side::Sender, leniency);
                Admission::Lenient { reason, why, help }
            }
            Err(fault) => Admission::Refused(Box::new(fault)),
        }
    }

    /// Who only reports lets in whoever did not prove anything, too: as nobody.
    fn proven(
        &self,
        cert: &CertificateDer<'_>,
        proof: Result<HandshakeSignatureValid, Error>,
    ) -> Result<HandshakeSignatureValid, Error> {
        proof.or_else(|unproven| {
            note::note_fault(&explain::unproven(Side::Sender, cert));
            match self.mode {
                ClientAuth::ReportOnly => Ok(HandshakeSignatureValid::assertion()),
                ClientAuth::Optional | ClientAuth::Require => Err(unproven),
            }
        })
    }

    /// For messages: what is trusted, and where that is written.
    pub(in crate::tls) fn trusted(&self) -> (String, String) {
        (self.judge.anchors.names(), self.judge.anchors.place.clone())
    }
}

/// A verdict outside of a handshake.
#[derive(Clone, Debug)]
pub(in crate::tls) enum Admission {
    /// Accepted, although stricter peers refuse such a certificate.
    Lenient {
        /// Stable reason code.
        reason: &'static str,
        /// What is unusual.
        why: &'static str,
        /// What to do about it.
        help: &'static str,
    },
    /// Accepted.
    Plain,
    /// Refused.
    Refused(Box<Fault>),
}

impl ClientCertVerifier for ClientVerifier {
    /// None: a client that holds a certificate of another CA would send nothing, and the refusal
    /// could not name what it holds.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        self.mode == ClientAuth::Require
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match self.judge.judge(end_entity, intermediates, now) {
            Ok(leniency) => {
                if let Some(leniency) = leniency {
                    warn_once(Side::Sender, leniency, end_entity);
                }
                Ok(ClientCertVerified::assertion())
            }
            Err(fault) => {
                note::note_fault(&fault);
                match self.mode {
                    // Whoever drives the handshake sees the note and trusts no name in it.
                    ClientAuth::ReportOnly => Ok(ClientCertVerified::assertion()),
                    ClientAuth::Optional | ClientAuth::Require => Err(fault.alert.into()),
                }
            }
        }
    }

    proofs!(self: self.judge.algorithms, |cert, proof| self.proven(cert, proof));
}
