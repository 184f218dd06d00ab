//! The threats by number: where each is tested, and those that need the program and real clients.

mod identity;

use std::collections::BTreeSet;
use std::path::Path;

use crate::refusals::{Program, s_client};
use crate::support::pki::TestPki;

/// Number, file and test.
const TESTED: &[(u8, &str, &str)] = &[
    (1, HERE, "t01_a_client_without_a_certificate_gets_an_alert_and_no_answer"),
    (2, HERE, "t02_a_client_of_another_ca_gets_an_alert_and_no_answer"),
    (3, VERIFIER, "t03_a_certificate_counts_from_its_first_to_its_last_second"),
    (3, LENIENT, "t03_a_leaf_of_version_1_ends_as_any_other"),
    (3, LENIENT, "t03_a_lenient_leaf_counts_from_its_first_to_its_last_second"),
    (4, VERIFIER, "t04_a_certificate_for_servers_alone_is_no_clients"),
    (5, VERIFIER, "t05_a_lenient_leaf_never_vouches_for_another"),
    (6, VERIFIER, "t06_an_expired_root_vouches_for_nobody_and_is_named"),
    (7, HERE, "t07_an_offered_session_is_never_resumed"),
    (7, SESSIONS, "t07_no_session_outlives_the_removal_of_its_ca"),
    (8, SESSIONS, "t08_no_session_outlives_a_revocation"),
    (8, RESUMPTION, "t08_no_session_from_before_a_loss_of_trust_is_resumed"),
    (9, SESSIONS, "t09_whoever_resumes_is_judged_again_as_of_now"),
    (9, RESUMPTION, "t09_no_session_outlives_the_certificate_that_it_was_made_with"),
    (9, SESSIONS, "t09_whoever_resumes_for_an_hour_proves_itself_anew"),
    (10, SESSIONS, "t10_no_session_is_resumed_at_another_listener"),
    (11, TRUST, "t11_a_revoked_client_is_cut_off_within_a_second"),
    (11, TRUST, "t11_a_removed_ca_ends_its_clients_connections_and_no_others"),
    (12, TRUST, "t12_a_client_certificate_that_ends_ends_its_connections"),
    (13, REVOCATION, "t13_the_newest_of_several_lists_wins_wherever_it_stands"),
    (14, REVOCATION, "t14_an_older_list_never_replaces_the_one_in_force"),
    (15, RELOAD, "t15_a_broken_pair_keeps_the_last_good_one_loudly_until_it_is_mended"),
    (16, RELOAD, "t16_files_written_in_place_one_after_the_other_are_taken_together"),
    (17, FOLDERS, "t17_a_hundred_swaps_of_a_kubernetes_volume_are_all_seen"),
    (18, RELOAD, "t18_files_that_never_rest_do_not_starve_the_reload"),
    (19, IDENTITY, "t19_an_id_that_another_trust_domains_ca_made_is_refused"),
    (19, IDENTITY, "t19_the_bundle_of_a_trust_domain_is_reloaded"),
    (20, IDENTITY, "t20_a_certificate_with_two_ids_may_send_under_neither"),
    (20, NAMES, "t20_a_certificate_with_confusing_names_gives_no_identity"),
    (20, NAMES, "t20_a_name_that_is_too_long_gives_no_identity"),
    (21, IDENTITY, "t21_a_common_name_that_reads_as_an_allowed_dns_name_is_denied"),
    (21, NAMES, "t21_a_common_name_never_passes_for_another_kind_of_name"),
    (21, NAMES, "t21_no_text_passes_for_a_name_of_another_kind"),
    (22, IDENTITY, "t22_a_name_beside_an_allowed_path_is_denied"),
    (22, NAMES, "t22_a_pattern_matches_whole_segments_and_nothing_beside_them"),
    (25, RECORDS, "a_hello_in_pieces_of_one_byte_is_understood"),
    (26, SILENCE, "peers_that_do_not_finish_their_hello_hold_no_handshake"),
    (26, RECORDS, "half_open_handshakes_are_closed"),
    (27, CONNECTION, "a_handshake_without_a_request_is_closed_in_time"),
    (28, "src/acceptor/tests.rs", "handshakes_under_way_are_capped"),
    (29, FLOODS, "control_frames_without_end_are_cut"),
    (29, FLOODS, "floods_within_streams_are_cut"),
    (29, "src/connection/tests/windows.rs", "a_peer_that_takes_no_answer_is_cut_in_time"),
    (30, "src/receiver/conformance/limits.rs", "l01_the_limit_holds_after_inflating"),
    (30, "tests/it/hostile/calls.rs", "a_deep_request_ends_nothing"),
    (30, "tests/it/hostile/calls.rs", "a_body_that_inflates_without_end_is_given_up"),
    (31, "src/listener/tests.rs", "running_out_of_descriptors_is_survived"),
    (33, RECORDS, "key_updates_without_end_are_cut"),
    (36, UPSTREAM, "t36_nothing_is_sent_to_an_upstream_that_cannot_prove_its_name"),
    (
        37,
        "tests/it/reload.rs",
        "t37_a_new_upstream_identity_loses_no_request_and_is_the_only_one_shown",
    ),
    (38, "tests/it/hostile/calls.rs", "the_gateway_is_no_proxy"),
    (46, SESSIONS, "t46_a_clock_wrong_by_a_year_is_named_in_every_refusal"),
    (46, RELOAD, "t46_a_clock_that_is_set_is_warned_about_once_and_all_is_judged_again"),
    (46, LIVE, "t46_a_clock_set_forward_ends_what_is_over_by_it"),
    (46, LIVE, "t46_a_clock_set_back_makes_no_certificate_last_longer"),
    (46, UPSTREAM, "t46_a_connected_upstream_is_judged_by_the_clock_that_was_set"),
    (47, LIFECYCLE, "t47_a_drain_answers_every_request_that_was_begun"),
    (48, LIFECYCLE, "t48_frozen_peers_do_not_hold_up_the_end"),
];

const CONNECTION: &str = "src/connection/tests/mod.rs";
const FLOODS: &str = "tests/it/hostile/floods.rs";
const FOLDERS: &str = "src/tls/reload/tests/folders.rs";
const HERE: &str = "tests/it/threats/mod.rs";
const IDENTITY: &str = "tests/it/threats/identity.rs";
const LENIENT: &str = "src/tls/verifier/lenient.rs";
const LIFECYCLE: &str = "tests/it/lifecycle.rs";
const LIVE: &str = "src/tls/server/live/tests.rs";
const NAMES: &str = "src/identity/tests/mod.rs";
const RELOAD: &str = "src/tls/reload/tests/mod.rs";
const RESUMPTION: &str = "tests/it/trust/resumption.rs";
const REVOCATION: &str = "src/tls/revocation/tests/mod.rs";
const RECORDS: &str = "tests/it/hostile/records.rs";
const SILENCE: &str = "tests/it/hostile/silence.rs";
const SESSIONS: &str = "src/tls/server/tests.rs";
const TRUST: &str = "tests/it/trust/mod.rs";
const UPSTREAM: &str = "src/tls/client/tests.rs";
const VERIFIER: &str = "src/tls/verifier/tests.rs";

fn source(file: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

#[test]
fn every_threat_has_a_test_that_is_run() {
    for (index, (number, file, test)) in TESTED.iter().enumerate() {
        assert!(is_run(&source(file), test), "threat {number}: no {test} in {file}");
        assert!(!TESTED[..index].contains(&TESTED[index]), "{test} is listed twice");
    }
    for number in (1..=22).chain([36, 37]).chain(46..=48) {
        let prefix = format!("t{number:02}_");
        let is_named =
            TESTED.iter().any(|(of, _, test)| *of == number && test.starts_with(&prefix));
        assert!(is_named, "no test of threat {number} is named by its number");
    }
    let tested: BTreeSet<u8> = TESTED.iter().map(|(number, ..)| *number).collect();
    let all: BTreeSet<u8> =
        (1..=22).chain(25..=31).chain([33, 36, 37, 38]).chain(46..=48).collect();
    assert_eq!(tested, all);
}

/// Whether it is there, marked as a test or named among those that are run on every wire, and not
/// left out.
fn is_run(source: &str, test: &str) -> bool {
    if let Some((_, listed)) = source.split_once("on_every_wire!(") {
        let is_listed = listed.lines().any(|line| line.trim() == format!("{test},"));
        if is_listed && source.contains(&format!("fn {test}(")) {
            return true;
        }
    }
    let Some((before, _)) = source.split_once(&format!("fn {test}()")) else { return false };
    let before = before.strip_suffix("async ").unwrap_or(before);
    let marks: Vec<_> = before.lines().rev().take_while(|line| line.starts_with('#')).collect();
    marks.iter().any(|mark| mark.contains("test")) && !marks.iter().any(|m| m.contains("ignore"))
}

fn started(pki: &TestPki) -> Program {
    Program::start(pki, "client_ca_file: ca.crt")
}

/// Guarantees: alert 116, certificate_required, whatever protocol is offered; nobody without a
/// certificate reaches a handler.
#[test]
fn t01_a_client_without_a_certificate_gets_an_alert_and_no_answer() {
    let pki = TestPki::new();
    for protocol in ["h2", "http/1.1"] {
        let program = started(&pki);
        let said = s_client(&pki, program.port, &format!("-tls1_3 -alpn {protocol}"));
        assert!(said.contains("SSL alert number 116"), "{said}");
        assert_eq!(program.refusal("nobody")["reason"], "client_cert_missing");
    }
}

#[test]
fn t02_a_client_of_another_ca_gets_an_alert_and_no_answer() {
    let pki = TestPki::new();
    for version in ["-tls1_2", "-tls1_3"] {
        let program = started(&pki);
        let words = format!("{version} -cert other-client.crt -key other-client.key");
        let said = s_client(&pki, program.port, &words);
        assert!(said.contains("SSL alert number 48"), "{said}");
        assert_eq!(program.refusal("stranger")["reason"], "client_cert_unknown_issuer");
    }
}

/// Scenario: a client keeps its session and offers it again.
/// Guarantees: the handshake is a full one, in which the certificate is judged anew: there is no
/// session that could outlive the trust it was made under.
#[test]
fn t07_an_offered_session_is_never_resumed() {
    let pki = TestPki::new();
    let program = started(&pki);
    for version in ["-tls1_2", "-tls1_3"] {
        let who = format!("{version} -cert client.crt -key client.key -CAfile ca.crt");
        // Without a session to keep, openssl writes no file.
        let first = talk(&pki, program.port, &format!("{who} -sess_out session.pem"));
        assert!(first.contains("New, TLSv1."), "{first}");
        if !pki.path("session.pem").exists() {
            continue;
        }
        let again = talk(&pki, program.port, &format!("{who} -sess_in session.pem"));
        assert!(again.contains("New, TLSv1.") && !again.contains("Reused, "), "{again}");
        std::fs::remove_file(pki.path("session.pem")).unwrap();
    }
}

/// An accepted client that hangs up of its own accord.
fn talk(pki: &TestPki, port: u16, words: &str) -> String {
    s_client(pki, port, &format!("{words} -no_ign_eof"))
}
