//! Bundles that name a certificate twice.

use std::fs;

use super::rows::{Row, row};
use super::scene::Side;

pub(super) fn rows() -> Vec<Row> {
    let ca = ["ca_duplicate", "of line 1, byte for byte: CN=Test CA (", "leave one of them"];
    let leaf = ["ca_duplicate", "of line 1, byte for byte: CN=test-client (", "leave one of them"];
    let mut upstream = row("up-ca-twice", "ca.crt", ca, |scene, path| {
        fs::write(path, scene.pki.ca.pem().repeat(2)).unwrap();
    });
    upstream.side = Side::Exporter;
    vec![
        row("ca-twice", "ca.crt", ca, |scene, path| {
            let (ca, other) = (scene.pki.ca.pem(), scene.pki.other_ca.pem());
            fs::write(path, [&*ca, &other, &ca].concat()).unwrap();
        }),
        row("ca-pinned-twice", "ca.crt", leaf, |scene, path| {
            let leaf = scene.pki.client.cert_pem();
            fs::write(path, [&*leaf, &scene.pki.ca.pem(), &leaf].concat()).unwrap();
        }),
        upstream,
    ]
}
