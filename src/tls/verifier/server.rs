//! Verifies upstreams.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::EndEntityCert;

use crate::tls::anchors::Anchors;
use crate::tls::inspect;
use crate::tls::revocation::Revocations;
use crate::tls::verifier::judge::{Fault, Judge, Leniency, Side, warn_once};
use crate::tls::verifier::signature::{Proof, proofs};
use crate::tls::verifier::{TrustDomains, explain, mismatch, note};

/// Chain and name.
#[derive(Debug)]
pub(in crate::tls) struct ServerVerifier(Judge);

/// Neither: only that the upstream holds the key of whatever it shows (`insecure_skip_verify`).
#[derive(Debug)]
pub(in crate::tls) struct NoVerifier(pub(in crate::tls) WebPkiSupportedAlgorithms);

impl ServerVerifier {
    pub(in crate::tls) fn new(
        anchors: Anchors,
        algorithms: WebPkiSupportedAlgorithms,
        revocations: Option<Arc<Revocations>>,
    ) -> Self {
        Self(Judge {
            side: Side::Upstream,
            anchors,
            algorithms,
            strict: false,
            revocations,
            domains: TrustDomains::default(),
        })
    }
}

impl ServerVerifier {
    /// Why a chain that was accepted before would not be now; `None` if it would.
    pub(in crate::tls) fn fault(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        now: UnixTime,
    ) -> Option<Fault> {
        self.judge(end_entity, intermediates, server_name, now).err()
    }

    /// Chain and name as of `now`.
    fn judge(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<Option<Leniency>, Fault> {
        let leniency = self.0.judge(end_entity, intermediates, now)?;
        // A v1 certificate cannot be parsed here; it has no names to be valid for either.
        EndEntityCert::try_from(end_entity)
            .and_then(|leaf| leaf.verify_is_valid_for_subject_name(server_name))
            .map_err(|error| {
                mismatch::name_mismatch(server_name, inspect::describe(end_entity), &error)
            })?;
        Ok(leniency)
    }
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let judged = self.judge(end_entity, intermediates, server_name, now);
        match judged {
            Ok(leniency) => {
                if let Some(leniency) = leniency {
                    warn_once(Side::Upstream, leniency, end_entity);
                }
                Ok(ServerCertVerified::assertion())
            }
            Err(fault) => {
                note::note_fault(&fault);
                Err(fault.alert.into())
            }
        }
    }

    proofs!(self: self.0.algorithms, |cert, proof: Proven| {
        proof.inspect_err(|_unproven| note::note_fault(&explain::unproven(Side::Upstream, cert)))
    });
}

impl ServerCertVerifier for NoVerifier {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    proofs!(self: self.0, |_cert, proof: Proven| proof);
}

type Proven = Result<HandshakeSignatureValid, Error>;
