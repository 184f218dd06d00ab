//! `docs/refusals.md`: every message has a reason code that the code gives and a test that asserts its
//! text.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: PathBuf, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(path, text);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            text.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn every_message_of_the_table_has_its_reason_and_its_test() {
    assert!(rows_of("docs/refusals.md", 0) > 60);
}

#[test]
fn every_certificate_of_the_table_has_its_reason_and_its_test() {
    assert!(rows_of("docs/certificates.md", 2) > 50);
}

/// Checks every row of a page's tables: the reason codes in one of its cells, and the tests in the last.
fn rows_of(page: &str, reasons: usize) -> usize {
    let text = fs::read_to_string(root().join(page)).unwrap();
    let mut source = String::new();
    sources(root().join("src"), &mut source);
    let lines: Vec<&str> = text.lines().collect();
    let is_row = |at: &usize| {
        let head = lines.get(at + 1).is_some_and(|next| next.starts_with("| ---"));
        lines[*at].starts_with("| ") && !lines[*at].starts_with("| ---") && !head
    };
    let mut rows = 0;
    for line in (0..lines.len()).filter(is_row).map(|at| lines[at]) {
        let cells: Vec<&str> = line.split(" | ").collect();
        assert_eq!(cells.len(), 4, "{line}");
        let quoted = |cell: &str| -> Vec<String> {
            cell.split('`').skip(1).step_by(2).map(ToOwned::to_owned).collect()
        };
        // Beside reason codes, a cell may name settings.
        let is_reason = |word: &&String| {
            reasons == 0
                || word.contains('_') && !word.contains([':', ' ']) && *word != "strict_x509"
        };
        for reason in quoted(cells[reasons]).iter().filter(is_reason) {
            assert!(source.contains(&format!("\"{reason}\"")), "no {reason} in the code");
        }
        let places = quoted(cells[3]);
        assert!(!places.is_empty(), "no test: {line}");
        let mut file = String::new();
        let mut names = 0;
        for place in &places {
            if place.contains('/') {
                file = fs::read_to_string(root().join(place)).unwrap_or_else(|_| panic!("{place}"));
            } else {
                assert!(file.contains(place.as_str()), "no {place}: {line}");
                names += 1;
            }
        }
        assert!(names > 0, "no test is named: {line}");
        rows += 1;
    }
    rows
}

/// Guarantees: a reason that the handshakes of either side give cannot be left out of the page.
#[test]
fn every_reason_of_the_handshakes_is_in_the_page() {
    let page = fs::read_to_string(root().join("docs/refusals.md")).unwrap();
    let mut source = String::new();
    for folder in ["src/tls/refusal", "src/tls/verifier", "src/tls/client", "src/acceptor"] {
        sources(root().join(folder), &mut source);
    }
    let is_reason = |text: &&str| {
        let starts = ["client_c", "upstream_", "no_common_", "tls_", "handshake_", "peer_rejected"];
        starts.iter().any(|start| text.starts_with(start))
            && text
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    // Keys of the configuration, and what is said of it.
    let keys = ["client_ca_file", "client_ca_pem", "client_crl_file", "tls_profile"];
    let reasons: BTreeSet<&str> = source.split('"').filter(is_reason).collect();
    assert!(reasons.len() > 50, "{reasons:?}");
    for reason in reasons {
        assert!(keys.contains(&reason) || page.contains(&format!("`{reason}`")), "no {reason}");
    }
}
