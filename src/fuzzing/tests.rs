//! Replays the seeds of the fuzz targets, so that what they found stays found.

use std::path::Path;

use super::{answer, checker, config, crl, grpc, identity, inflate, json, pem};

/// Scenario: every input kept from fuzzing. Guarantees: no promise is broken by any of them.
fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).expect("seeds are there") {
        let path = entry.expect("readable").path();
        let bytes = crate::tls::fuzzed::read(&path);
        let name = path.display().to_string();
        let outcome = std::panic::catch_unwind(|| run(&bytes));
        assert!(outcome.is_ok(), "{name} breaks a promise");
        count += 1;
    }
    assert!(count > 10, "{} holds only {count} seeds", folder.display());
}

#[test]
fn seeds_of_the_checker_hold() {
    replay("checker", checker);
}

#[test]
fn seeds_of_json_hold() {
    replay("json", json);
}

#[test]
fn seeds_of_grpc_framing_hold() {
    replay("grpc", grpc);
}

#[test]
fn seeds_of_pem_loading_hold() {
    replay("pem", pem);
}

#[test]
fn seeds_of_revocation_lists_hold() {
    replay("crl", crl);
}

#[test]
fn seeds_of_inflating_hold() {
    replay("inflate", inflate);
}

#[test]
fn seeds_of_identities_hold() {
    replay("identity", identity);
}

#[test]
fn seeds_of_answers_hold() {
    replay("answer", answer);
}

#[test]
fn seeds_of_configurations_hold() {
    replay("config", config);
}
