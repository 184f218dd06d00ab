//! Resumption: who is let in without a full handshake. Threats 7 to 10, 35 and 54.

use std::time::Duration;

use ::time::OffsetDateTime;
use rcgen::{
    CertificateParams, CertificateRevocationListParams, KeyIdMethod, RevokedCertParams,
    SerialNumber,
};
use rustls::{ClientConfig, ClientConnection, Error};
use rustls_pki_types::ServerName;

use super::*;
use crate::tls::testing::{
    Ca, TestPki, ca_params, client_params, pem_file, raw_client, server_params, server_tls,
};
use crate::tls::time::testing::Shift;

/// Both sides of a finished handshake; the client has read its tickets.
#[expect(clippy::unwrap_in_result, reason = "the error is the verdict; all else fails the test")]
fn shake(
    snapshot: &ServerSnapshot,
    client: &Arc<ClientConfig>,
) -> Result<(ClientConnection, ServerConnection), Error> {
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = ClientConnection::new(Arc::clone(client), name).unwrap();
    let mut server = ServerConnection::new(Arc::clone(&snapshot.config)).unwrap();
    while client.wants_write() || server.wants_write() {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        let mut unread = bytes.as_slice();
        while !unread.is_empty() {
            server.read_tls(&mut unread).unwrap();
            server.process_new_packets()?;
            snapshot.date_sessions(&mut server);
        }
        let mut bytes = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        let mut unread = bytes.as_slice();
        while !unread.is_empty() {
            client.read_tls(&mut unread).unwrap();
            client.process_new_packets()?;
        }
    }
    Ok((client, server))
}

fn client(pki: &TestPki, tls13: bool) -> Arc<ClientConfig> {
    Arc::new(raw_client(&pki.path("client.crt"), &pki.path("client.key"), tls13))
}

fn load(tls: &ServerTls) -> ServerSnapshot {
    super::load(tls).unwrap().snapshot
}

fn enabled(pki: &TestPki) -> ServerTls {
    ServerTls { session_resumption: Some(true), ..server_tls(pki) }
}

fn is_resumed(snapshot: &ServerSnapshot, client: &Arc<ClientConfig>) -> bool {
    let (_client, server) = shake(snapshot, client).unwrap();
    server.handshake_kind() == Some(HandshakeKind::Resumed)
}

/// A list of the first CA; the client is on it or not.
fn publish(pki: &TestPki, number: u64, client_revoked: bool) {
    let now = OffsetDateTime::now_utc();
    let leaf = x509_parser::parse_x509_certificate(pki.client.certificate.der()).unwrap().1;
    let entry = RevokedCertParams {
        serial_number: SerialNumber::from_slice(leaf.raw_serial()),
        revocation_time: now,
        reason_code: None,
        invalidity_date: None,
    };
    let list = CertificateRevocationListParams {
        this_update: now,
        next_update: now + Duration::from_secs(86400),
        crl_number: SerialNumber::from(number),
        issuing_distribution_point: None,
        revoked_certs: client_revoked.then_some(entry).into_iter().collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    pki.write("ca.crl", list.signed_by(&pki.ca.issuer).unwrap().pem().unwrap());
}

#[test]
fn sessions_are_resumed_only_where_that_is_asked_for_or_nobody_proves_anything() {
    let pki = TestPki::new();
    let plain = ServerTls { client_ca: None, ..server_tls(&pki) };
    let off = ServerTls { session_resumption: Some(false), ..plain.clone() };
    for tls13 in [false, true] {
        for (tls, resumed) in [
            (server_tls(&pki), false),
            (enabled(&pki), true),
            // It would not be told from one that was accepted.
            (ServerTls { client_auth: ClientAuth::ReportOnly, ..enabled(&pki) }, false),
            (plain.clone(), true),
            (off.clone(), false),
        ] {
            let (snapshot, client) = (load(&tls), client(&pki, tls13));
            assert!(!is_resumed(&snapshot, &client));
            assert_eq!(is_resumed(&snapshot, &client), resumed, "1.3: {tls13}");
        }
    }
}

/// Threat 7: a client resumes after its CA was removed. Before the removal it can.
#[test]
fn t07_no_session_outlives_the_removal_of_its_ca() {
    for tls13 in [false, true] {
        let pki = TestPki::new();
        let tls = enabled(&pki);
        let (snapshot, client) = (load(&tls), client(&pki, tls13));
        shake(&snapshot, &client).unwrap();
        assert!(is_resumed(&snapshot, &client));
        pki.write("ca.crt", pki.other_ca.pem());
        let after = reload(&tls, &snapshot).unwrap().snapshot;
        let error = shake(&after, &client).map(|_both| ()).unwrap_err();
        assert!(matches!(error, Error::InvalidCertificate(_)), "1.3: {tls13}: {error:?}");
    }
}

/// Threat 8: a client resumes after it was revoked.
#[test]
fn t08_no_session_outlives_a_revocation() {
    for tls13 in [false, true] {
        let pki = TestPki::new();
        publish(&pki, 1, false);
        let tls = ServerTls {
            client_crl: vec![pem_file("tls.client_crl_file", pki.path("ca.crl"))],
            ..enabled(&pki)
        };
        let (snapshot, client) = (load(&tls), client(&pki, tls13));
        shake(&snapshot, &client).unwrap();
        assert!(is_resumed(&snapshot, &client));
        publish(&pki, 2, true);
        let after = reload(&tls, &snapshot).unwrap().snapshot;
        let error = shake(&after, &client).map(|_both| ()).unwrap_err();
        assert!(matches!(error, Error::InvalidCertificate(_)), "1.3: {tls13}: {error:?}");
    }
}

/// Threat 9: a client resumes after its certificate expired, with no file changed.
#[test]
fn t09_whoever_resumes_is_judged_again_as_of_now() {
    let pki = TestPki::new();
    for tls13 in [false, true] {
        let (snapshot, client) = (load(&enabled(&pki)), client(&pki, tls13));
        let (_client, first) = shake(&snapshot, &client).unwrap();
        let (_client, resumed) = shake(&snapshot, &client).unwrap();
        assert_eq!(resumed.handshake_kind(), Some(HandshakeKind::Resumed));
        assert!(snapshot.refuses_resumed(&resumed, UnixTime::now()).is_none());
        let never = UnixTime::since_unix_epoch(Duration::from_secs(1 << 38));
        let fault = snapshot.refuses_resumed(&resumed, never);
        assert!(fault.is_some(), "1.3: {tls13}");
        assert!(snapshot.refuses_resumed(&first, never).is_none(), "it was verified just now");
    }
}

/// Threat 9: a client resumes again and again, each time before its session ends, and never shows
/// that it still holds its key.
#[tokio::test(start_paused = true)]
async fn t09_whoever_resumes_for_an_hour_proves_itself_anew() {
    let pki = TestPki::new();
    for tls13 in [false, true] {
        let (snapshot, client) = (load(&enabled(&pki)), client(&pki, tls13));
        assert!(!is_resumed(&snapshot, &client));
        let minutes = |count: u64| tokio::time::advance(Duration::from_secs(60 * count));
        for _ in 0..5 {
            minutes(11).await;
            assert!(is_resumed(&snapshot, &client), "1.3: {tls13}");
        }
        minutes(6).await;
        assert!(!is_resumed(&snapshot, &client), "1.3: {tls13}");
        assert!(is_resumed(&snapshot, &client), "1.3: {tls13}: after the new proof");
    }
}

/// Threat 10: a session of one listener is offered to another one.
#[test]
fn t10_no_session_is_resumed_at_another_listener() {
    let pki = TestPki::new();
    for tls13 in [false, true] {
        let (one, other, client) =
            (load(&enabled(&pki)), load(&enabled(&pki)), client(&pki, tls13));
        shake(&one, &client).unwrap();
        assert!(!is_resumed(&other, &client));
    }
}

/// Threats 35 and 54: nothing can be replayed, and no ticket holds a session.
#[test]
fn there_is_no_early_data_and_no_stateless_ticket() {
    let pki = TestPki::new();
    let config = load(&enabled(&pki)).config;
    assert_eq!(config.max_early_data_size, 0);
    assert!(!config.send_half_rtt_data);
    assert!(!config.ticketer.enabled());
}

/// Threat 46. Scenario: everything is valid for thirty days, and this machine's clock is wrong by a
/// year, ahead or behind.
/// Guarantees: the listener's own files, the CA and the client are refused, each in words that say
/// what the clock says; handshakes go by the same clock.
#[test]
fn t46_a_clock_wrong_by_a_year_is_named_in_every_refusal() {
    let now = OffsetDateTime::now_utc();
    let month = |mut params: CertificateParams| {
        params.not_before = now - Duration::from_secs(3600);
        params.not_after = now + Duration::from_secs(30 * 86400);
        params
    };
    let (own, ca, client) = (server_params(&["localhost"]), ca_params("month"), client_params("c"));
    for (days, word) in [(365, "expired"), (-365, "not_yet_valid")] {
        let pki = TestPki::new();
        let year = now + ::time::Duration::days(days);
        let says = format!("{}-{:02}-{:02}", year.year(), u8::from(year.month()), year.day());
        let client = pki.ca.issue(month(client.clone()));
        pki.write_pair("client", &client);
        let good = load(&server_tls(&pki));
        pki.write_pair("server", &pki.ca.issue(month(own.clone())));
        let other = pki.write("month.crt", Ca::self_signed(month(ca.clone())).pem());
        let monthly =
            ServerTls { client_ca: Some(pem_file("client_ca_file", other)), ..server_tls(&pki) };
        super::load(&monthly).unwrap();

        let _wrong = Shift::by(days * 86400);
        let problems = super::load(&monthly).unwrap_err().problems;
        let reasons: Vec<_> = problems.iter().map(|problem| problem.reason).collect();
        assert_eq!(reasons, [format!("own_cert_{word}"), format!("ca_{word}")]);
        for problem in &problems {
            let help = problem.help.as_deref().unwrap();
            assert!(help.contains("clock") && help.contains(&format!("says {says}")), "{help}");
        }
        let verdict = good.admits(&[client.certificate.der().to_vec()]).unwrap();
        assert_eq!(verdict.reason, format!("client_cert_{word}"));
        assert!(verdict.help.contains(&format!("here it is {says}")), "{}", verdict.help);
        for tls13 in [false, true] {
            let client = raw_client(&pki.path("client.crt"), &pki.path("client.key"), tls13);
            let refused = shake(&good, &Arc::new(client)).map(|_both| ()).unwrap_err();
            assert!(matches!(refused, Error::InvalidCertificate(_)), "{refused:?}");
        }
    }
}

/// Scenario: our own certificate has ended, and serves for want of another; then a CA is taken out
/// of the bundle, and an older certificate is put in the place of ours.
/// Guarantees: whom to trust changes even so, and it is said that ours is over; another one that
/// is over is refused.
#[test]
fn trust_is_withdrawn_though_our_own_certificate_has_ended() {
    let pki = TestPki::new();
    let ends_at = |seconds| {
        let mut params = server_params(&["localhost"]);
        params.not_after = OffsetDateTime::now_utc() + Duration::from_secs(seconds);
        pki.write_pair("server", &pki.ca.issue(params));
    };
    let tls = server_tls(&pki);
    ends_at(30 * 86400);
    let before = load(&tls);
    let judged = |by: &ServerSnapshot| {
        by.verdict(&[pki.client.certificate.der().clone()], time::unix(time::now()))
    };
    assert!(matches!(judged(&before), Verdict::Trusted));
    pki.write("ca.crt", pki.other_ca.pem());
    let _later = Shift::by(31 * 86400);
    let after = reload(&tls, &before).unwrap();
    assert!(after.warnings.iter().any(|warning| warning.reason == "own_cert_expired"));
    assert!(matches!(judged(&after.snapshot), Verdict::Untrusted(_)));
    ends_at(20 * 86400);
    let problems = reload(&tls, &before).unwrap_err().problems;
    assert_eq!(problems[0].reason, "own_cert_expired");
}

/// Shows no certificate.
#[derive(Debug)]
struct Nobody;

impl rustls::client::ResolvesClientCert for Nobody {
    fn resolve(
        &self,
        _hints: &[&[u8]],
        _schemes: &[rustls::SignatureScheme],
    ) -> Option<Arc<rustls::sign::CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

/// Guarantees: where certificates are optional, whoever showed none has nothing to lose by resuming.
#[test]
fn whoever_needs_no_certificate_resumes_without_one() {
    let pki = TestPki::new();
    let tls = ServerTls { client_auth: ClientAuth::Optional, ..enabled(&pki) };
    for tls13 in [false, true] {
        let (snapshot, client) = (load(&tls), client(&pki, tls13));
        let mut nobody = ClientConfig::clone(&client);
        nobody.client_auth_cert_resolver = Arc::new(Nobody);
        let nobody = Arc::new(nobody);
        shake(&snapshot, &nobody).unwrap();
        let (_client, resumed) = shake(&snapshot, &nobody).unwrap();
        assert_eq!(resumed.handshake_kind(), Some(HandshakeKind::Resumed), "1.3: {tls13}");
        let refused = snapshot.refuses_resumed(&resumed, UnixTime::now());
        assert!(refused.is_none(), "1.3: {tls13}: {refused:?}");
    }
}

/// Guarantees: the short name of what is trusted is the same for the same, and another one with any
/// other CA, list or setting; our own certificate has a name of its own.
#[test]
fn what_is_in_force_has_a_name_by_which_gateways_are_compared() {
    let pki = TestPki::new();
    publish(&pki, 1, false);
    let tls = ServerTls {
        client_crl: vec![pem_file("tls.client_crl_file", pki.path("ca.crl"))],
        ..server_tls(&pki)
    };
    let first = load(&tls).epochs;
    assert_eq!(load(&tls).epochs, first);
    let strict = ServerTls { strict_x509: true, ..tls.clone() };
    let mut known = vec![first.trust.clone(), load(&strict).epochs.trust];
    publish(&pki, 2, true);
    known.push(load(&tls).epochs.trust);
    pki.write("ca.crt", pki.ca.pem() + &pki.other_ca.pem());
    known.push(load(&tls).epochs.trust);
    assert_eq!(load(&tls).epochs.identity, first.identity);
    pki.write_pair("server", &pki.ca.issue(server_params(&["localhost"])));
    let renewed = load(&tls).epochs;
    assert_eq!(Some(&renewed.trust), known.last());
    assert_ne!(renewed.identity, first.identity);
    let count = known.len();
    known.sort();
    known.dedup();
    assert_eq!(known.len(), count, "{known:?}");
}
