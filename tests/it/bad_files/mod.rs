//! Files of certificates that cannot be used, each in every way that files go bad: at start they
//! are refused, and while the gateway runs the last good ones stay in force, with the same words.

mod doubled;
mod forms;
mod rows;
mod scene;

use serde_json::Value;

use crate::refusals::Program;
use crate::rotation::load::Load;
use rows::rows;
use scene::{Scene, Side};

/// Scenario: every row's file is bad when the gateway starts.
/// Guarantees: it does not start, and says of each file which key names it, what is wrong, why by a
/// stable reason, and what mends it; all at once.
#[test]
fn every_bad_file_stops_the_start_with_its_key_reason_and_mend() {
    let scene = Scene::new();
    for row in rows().iter().filter(|row| row.at_start) {
        row.spoil(&scene);
    }
    let run = scene.command().output().unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    assert_eq!(run.status.code(), Some(1), "{said}");
    for row in rows().iter().filter(|row| row.at_start) {
        let lines: Vec<&str> = said.lines().collect();
        let with_help = lines.windows(2).filter(|pair| pair[1].starts_with("    help: "));
        let told = with_help.map(|pair| pair.join("\n"));
        let told = told.filter(|text| row.missing_in(text).is_empty()).count();
        assert_eq!(told, 1, "{}: {:?} in\n{said}", row.name, row.pieces());
    }
}

/// Scenario: the gateway runs and is used when all of these files go bad, and later they are mended
/// with new material.
/// Guarantees: the same words as at start, each in the log, however many at a time; the last good certificates are shown
/// meanwhile; the new ones are taken up by themselves; no request and no handshake fails.
#[tokio::test]
async fn every_bad_file_of_a_running_gateway_keeps_the_last_good_one_until_it_is_mended() {
    let scene = Scene::new();
    let program = Program::spawn(scene.command());
    let address = |row: &str| {
        let port = program.port_of(&format!("receivers.otlp/{row}.protocols.http"));
        std::net::SocketAddr::from(([127, 0, 0, 1], port))
    };
    let load = Load::start(address("cert-expired"), address("crl-older"), &scene.pki).await;

    for row in &rows() {
        row.spoil(&scene);
    }
    let of_row = |line: &Value, row: &rows::Row| line["block"] == row.block().as_str();
    scene::told(&program, |lines| {
        let told = |row: &&rows::Row| {
            lines.iter().any(|line| {
                let error = line["error"].as_str().unwrap_or_default();
                of_row(line, row)
                    && line["reason"] == row.reason
                    && row.missing_in(error).is_empty()
            })
        };
        let untold = rows().into_iter().filter(|row| !told(&row));
        untold.map(|row| format!("{}: {:?}", row.name, row.pieces())).collect()
    })
    .await;
    let before = scene.pki.server.certificate.der();
    for row in rows().iter().filter(|row| row.side == Side::Receiver) {
        assert_eq!(&scene.shown(address(row.name)).await, before, "{}", row.name);
    }

    for row in &rows() {
        scene.mend(row);
    }
    scene::told(&program, |lines| {
        let taken = |row: &rows::Row| {
            let mut lines = lines.iter().filter(|line| of_row(line, row));
            lines.any(|line| line["msg"] == "certificates reloaded")
        };
        let waiting = rows().into_iter().filter(|row| !taken(row));
        waiting.map(|row| format!("reload of {}", row.name)).collect()
    })
    .await;
    for row in rows().iter().filter(|row| row.side == Side::Receiver) {
        let after = scene.renewed.certificate.der();
        assert_eq!(&scene.shown(address(row.name)).await, after, "{}", row.name);
    }
    let (requests, handshakes, failures) = load.stop().await;
    assert!(failures.is_empty(), "{failures:#?}");
    assert!(requests > 50 && handshakes > 10, "{requests} requests, {handshakes} handshakes");
}
