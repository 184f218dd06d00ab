//! Who is judged, how often, and who loses trust. The clock is the test's own.

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::*;
use crate::config::sections::{ClientAuth, ServerTls};
use crate::tls::server;
use crate::tls::store::Store;
use crate::tls::testing::{Ca, Leaf, TestPki, client_params, pem_file, server_tls};
use crate::tls::time::testing::Shift;

/// A listener whose client CAs are those of the folder's `ca.crt`.
struct Scene {
    pki: TestPki,
    tls: ServerTls,
    store: Store<ServerSnapshot>,
    live: Live,
    metrics: Metrics,
    tasks: JoinSet<()>,
}

impl Scene {
    fn new(client_auth: ClientAuth) -> Self {
        let pki = TestPki::new();
        let tls = ServerTls { client_auth, ..server_tls(&pki) };
        let (store, snapshots) = Store::new(server::load(&tls).unwrap().snapshot);
        let metrics = Metrics::default();
        let live = Live::new(snapshots, metrics.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(live.clone().judge());
        Self { pki, tls, store, live, metrics, tasks }
    }

    fn note(&self, leaf: &Leaf) -> Standing {
        self.live.note(&[leaf.certificate.der().clone()], &self.store.watch().current())
    }

    fn trust(&self, cas: &[&Ca]) {
        let bundle: String = cas.iter().map(|ca| ca.pem()).collect();
        self.pki.write("ca.crt", bundle);
        let before = self.store.watch().current();
        self.store.publish(server::reload(&self.tls, &before).unwrap().snapshot);
    }

    fn judged(&self, result: &str) -> usize {
        let name = format!("portcullis_tls_live_reverify_total{{result=\"{result}\"}} ");
        let text = self.metrics.render();
        text.lines().find_map(|line| line.strip_prefix(&name)).map_or(0, |n| n.parse().unwrap())
    }

    async fn until_judged(&self, result: &str, count: usize) {
        let enough = async {
            while self.judged(result) < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(60), enough).await.unwrap_or_else(|_| {
            panic!("{} of {count} judged {result}", self.judged(result));
        });
    }

    async fn loss(standing: Standing) -> Loss {
        timeout(Duration::from_secs(600), standing.lost()).await.expect("still trusted")
    }
}

/// A client certificate from an hour ago until so many seconds from now.
fn lasting(pki: &TestPki, seconds: u64) -> Leaf {
    let mut params = client_params("short");
    let now = ::time::OffsetDateTime::now_utc();
    params.not_before = now - Duration::from_secs(3600);
    params.not_after = now + Duration::from_secs(seconds);
    pki.ca.issue(params)
}

/// Scenario: 10,000 connections of 50 clients are open; the server's pair is renewed, then the CA
/// of half of the clients is removed.
/// Guarantees: 50 verifications for each change; every connection of those clients, and no other,
/// loses trust.
#[tokio::test]
async fn a_change_of_trust_costs_one_verification_for_each_client() {
    let scene = Scene::new(ClientAuth::Require);
    scene.trust(&[&scene.pki.ca, &scene.pki.other_ca]);
    let leaves: Vec<_> = (0..50)
        .map(|index| {
            let ca = if index % 2 == 0 { &scene.pki.ca } else { &scene.pki.other_ca };
            ca.issue(client_params(&format!("client-{index}")))
        })
        .collect();
    let mut standings: Vec<_> =
        (0..10_000).map(|index| scene.note(&leaves[index % leaves.len()])).collect();
    scene.trust(&[&scene.pki.ca, &scene.pki.other_ca]);
    scene.until_judged("trusted", 50).await;
    scene.trust(&[&scene.pki.ca]);
    scene.until_judged("untrusted", 25).await;
    scene.until_judged("trusted", 75).await;
    for (index, standing) in standings.drain(..).enumerate() {
        let lost = standing.client.lost.borrow().is_some();
        assert_eq!(lost, index % 2 == 1, "connection {index}");
    }
    assert_eq!((scene.judged("trusted"), scene.judged("untrusted")), (75, 25));
    assert!(scene.live.connected().clients.is_empty(), "whoever left is forgotten");
}

/// Scenario: of many clients, the one that connected last is revoked.
/// Guarantees: it does not wait until the others were judged.
#[tokio::test]
async fn the_revoked_are_judged_first() {
    let scene = Scene::new(ClientAuth::Require);
    let crl = scene.pki.path("ca.crl");
    let tls = ServerTls {
        client_crl: vec![pem_file("tls.client_crl_file", crl)],
        ..server_tls(&scene.pki)
    };
    let key = rcgen::KeyPair::generate().unwrap();
    let mut standings: Vec<_> = (1..=10 * AT_A_TIME as u64)
        .map(|serial| {
            let mut params = client_params("many");
            params.serial_number = Some(serial.into());
            let leaf = params.signed_by(&key, &scene.pki.ca.issuer).unwrap();
            scene.live.note(&[leaf.der().clone()], &scene.store.watch().current())
        })
        .collect();
    let revoked = rcgen::RevokedCertParams {
        serial_number: (10 * AT_A_TIME as u64).into(),
        revocation_time: ::time::OffsetDateTime::now_utc(),
        reason_code: None,
        invalidity_date: None,
    };
    let list = rcgen::CertificateRevocationListParams {
        this_update: ::time::OffsetDateTime::now_utc(),
        next_update: ::time::OffsetDateTime::now_utc() + Duration::from_secs(86400),
        crl_number: 1.into(),
        issuing_distribution_point: None,
        revoked_certs: vec![revoked],
        key_identifier_method: rcgen::KeyIdMethod::Sha256,
    };
    let list = list.signed_by(&scene.pki.ca.issuer).unwrap();
    scene.pki.write("ca.crl", list.pem().unwrap());
    scene.store.publish(server::load(&tls).unwrap().snapshot);
    let lost = Scene::loss(standings.pop().unwrap()).await;
    assert_eq!((lost.reason, lost.grace), ("client_cert_revoked", None));
    let judged = scene.judged("trusted");
    assert!(judged <= 3 * AT_A_TIME, "{judged} were judged before");
    scene.until_judged("trusted", standings.len()).await;
}

/// Scenario: a handshake began under a snapshot that is replaced before it ends.
/// Guarantees: its client is judged by the new one at once; let in again later, it is not among the
/// lost.
#[tokio::test(start_paused = true)]
async fn nobody_slips_through_while_trust_changes() {
    let scene = Scene::new(ClientAuth::Require);
    let old = scene.store.watch().current();
    scene.trust(&[&scene.pki.other_ca]);
    // Of another client, for whom the next round is planned early.
    let mut params = client_params("neighbour");
    params.not_after = ::time::OffsetDateTime::now_utc() + Duration::from_secs(3600);
    let _neighbour = scene.note(&scene.pki.other_ca.issue(params));
    // The round for the new snapshot is over by then.
    tokio::time::sleep(Duration::from_millis(1)).await;
    let began = Instant::now();
    let chain = [scene.pki.client.certificate.der().clone()];
    let late = scene.live.note(&chain, &old);
    let lost = Scene::loss(late).await;
    assert_eq!(lost.grace, Some(Duration::from_secs(10)), "{lost:?}");
    assert!(began.elapsed() < LEAST_WAIT, "after {:?}", began.elapsed());
    scene.trust(&[&scene.pki.ca]);
    let again = scene.note(&scene.pki.client);
    scene.trust(&[&scene.pki.ca, &scene.pki.other_ca]);
    scene.until_judged("trusted", 1).await;
    assert!(again.client.lost.borrow().is_none());
}

/// Scenario: trust in a CA is withdrawn and given back; the client connects again while those whom
/// the withdrawal concerns are still being judged.
/// Guarantees: nothing of it reaches the new connection, which the snapshot in force let in; the
/// next withdrawal does.
#[tokio::test]
async fn the_verdict_of_an_older_snapshot_cuts_off_nobody_whom_a_newer_one_let_in() {
    let scene = Scene::new(ClientAuth::Require);
    let _before = scene.note(&scene.pki.client);
    scene.trust(&[&scene.pki.other_ca]);
    let withdrawn = scene.store.watch().current();
    let due = scene.live.due(&withdrawn);
    let (key, client, now) = &due[0];
    let verdict = judge_one(&withdrawn, client, *now);
    assert!(matches!(verdict, Verdict::Untrusted(_)), "{verdict:?}");
    scene.trust(&[&scene.pki.ca]);
    let again = scene.note(&scene.pki.client);
    scene.live.settle(key, client, &withdrawn, verdict, &mut Told::default());
    assert!(again.client.lost.borrow().is_none());
    assert!(scene.live.due(&withdrawn).is_empty(), "an older snapshot judges nobody any more");
    scene.trust(&[&scene.pki.other_ca]);
    assert_eq!(Scene::loss(again).await.reason, "client_cert_unknown_issuer");
}

/// Guarantees: under `report_only` whoever would be cut off goes on, counted.
#[tokio::test]
async fn whoever_only_reports_cuts_nobody_off() {
    let scene = Scene::new(ClientAuth::ReportOnly);
    let standing = scene.note(&scene.pki.client);
    scene.trust(&[&scene.pki.other_ca]);
    scene.until_judged("reported", 1).await;
    assert!(standing.client.lost.borrow().is_none());
    assert_eq!(scene.judged("untrusted"), 0);
}

/// Scenario: the clock is set a year ahead while a client with a certificate for 30 days is
/// connected.
/// Guarantees: it loses trust within seconds, in words that name the time here.
#[tokio::test(start_paused = true)]
async fn t46_a_clock_set_forward_ends_what_is_over_by_it() {
    let scene = Scene::new(ClientAuth::Require);
    let standing = scene.note(&lasting(&scene.pki, 30 * DAY));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let _ahead = Shift::by(365 * DAY as i64);
    let start = Instant::now();
    let lost = Scene::loss(standing).await;
    assert!(start.elapsed() <= MOST_WAIT, "after {:?}", start.elapsed());
    assert_eq!(lost.reason, "client_cert_expired");
    assert!(lost.message.contains("(here it is "), "{}", lost.message);
}

/// Scenario: the clock is set back by a year while a client with a certificate for 300 seconds is
/// connected.
/// Guarantees: the certificate lasts no longer for it; another client that comes by the new time
/// is judged by it.
#[tokio::test(start_paused = true)]
async fn t46_a_clock_set_back_makes_no_certificate_last_longer() {
    let scene = Scene::new(ClientAuth::Require);
    let leaf = lasting(&scene.pki, 300);
    let standing = scene.note(&leaf);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let _back = Shift::by(-365 * DAY as i64);
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert!(standing.client.lost.borrow().is_none(), "cut off at once");
    let other = scene.note(&leaf);
    assert!(!Arc::ptr_eq(&other.client, &standing.client), "the old time is held against it");
    let start = Instant::now();
    let lost = Scene::loss(standing).await;
    assert_eq!(lost.reason, "client_cert_expired");
    let seconds = start.elapsed().as_secs();
    assert!((190..=210).contains(&seconds), "after {seconds} s");
    assert!(other.client.lost.borrow().is_none());
    assert_eq!(scene.tasks.len(), 1, "the judge goes on");
}

const DAY: u64 = 86400;

/// Scenario: a bundle names an intermediate instead of the root above it; then neither.
/// Guarantees: connections are counted under the CA that vouches for them now, and under none once
/// nobody does.
#[tokio::test]
async fn connections_are_counted_under_the_ca_that_vouches_for_them_now() {
    let scene = Scene::new(ClientAuth::Require);
    let middle = scene.pki.ca.intermediate("Middle CA");
    let leaf = middle.issue(client_params("shop"));
    let chain = [leaf.certificate.der().clone(), middle.certificate.der().clone()];
    let note = || scene.live.note(&chain, &scene.store.watch().current());
    let counted = |ca: &str| {
        let name = format!("portcullis_tls_connections_by_issuer{{ca=\"CN={ca}\"}} ");
        let text = scene.metrics.render();
        text.lines().find_map(|line| line.strip_prefix(&name)).map_or("", |n| n).to_owned()
    };
    let (first, second) = (note(), note());
    assert_eq!(counted("Test CA"), "2");
    scene.trust(&[&middle]);
    scene.until_judged("trusted", 1).await;
    assert_eq!([counted("Test CA"), counted("Middle CA")], ["0", "2"]);
    let third = note();
    drop(first);
    assert_eq!(counted("Middle CA"), "2");
    scene.trust(&[&scene.pki.other_ca]);
    scene.until_judged("untrusted", 1).await;
    assert_eq!(counted("Middle CA"), "0");
    drop((second, third));
    assert_eq!(counted("Middle CA"), "0");
}
