//! Certificates change under load: whoever writes the files, in whatever order, no request and no
//! handshake fails, and the last certificate written is served within a second.
//!
//! `ROTATIONS` says how often each writer writes (default 3). `tests/rotation` runs it long.

mod follower;
pub mod load;
mod upstream;

mod writers;

use std::time::Duration;

use tokio::time::Instant;

use crate::support::gateway::RunningGateway;
use crate::support::pki::{Ca, Leaf, TestPki, server_params};
use follower::Follower;
use load::Load;
use writers::{Material, Style, Writer};

/// From the last write to the moment at which fresh handshakes are shown the new certificate: the
/// promise where it is measured. Beside all other tests on two cores everything may stand still for
/// a second; what is left there is that no event was missed, for the poll comes after ten.
fn promptly() -> Duration {
    Duration::from_secs(if std::env::var_os("ROTATIONS").is_some() { 1 } else { 5 })
}

/// How often to rotate.
fn rotations() -> u32 {
    std::env::var("ROTATIONS").map_or(3, |count| count.parse().expect("ROTATIONS is a number"))
}

/// Pauses between the steps of writers that are not atomic: from none to longer than the gateway
/// lets a set of files settle.
fn gap(round: u32) -> Duration {
    Duration::from_millis([0, 3, 40, 170, 20, 240, 1, 90][round as usize % 8])
}

/// A gateway with both ports on the files of one writer, and senders that never stop.
struct Stage {
    pki: TestPki,
    writer: Writer,
    gateway: RunningGateway,
    load: Load,
    extra_cas: Vec<String>,
    follower: Follower,
}

impl Stage {
    async fn new(style: Style, what: &str) -> Self {
        let follower = Follower::of(format!("{style:?}{what}"));
        let pki = TestPki::new();
        let extra_cas = (0..4).map(|n| Ca::new(&format!("Extra CA {n}")).pem()).collect();
        let first =
            Material { cert: pki.server.cert_pem(), key: pki.server.key_pem(), ca: pki.ca.pem() };
        let writer = Writer::new(&pki.path("mount"), style, &first).await;
        let tls = format!(
            "{{ cert_file: '{}', key_file: '{}', client_ca_file: '{}' }}",
            writer.cert_file().display(),
            writer.key_file().display(),
            writer.ca_file().display(),
        );
        let gateway = RunningGateway::start(&format!(
            "receivers:
  otlp:
    protocols:
      grpc: {{ endpoint: '127.0.0.1:0', tls: {tls} }}
      http: {{ endpoint: '127.0.0.1:0', tls: {tls} }}
exporters: {{ nop: }}
service:
  telemetry: {{ metrics: {{ level: none }} }}
  pipelines: {{ traces: {{ receivers: [otlp], exporters: [nop] }} }}
"
        ))
        .await;
        let load = Load::start(gateway.grpc(), gateway.http(), &pki).await;
        Self { pki, writer, gateway, load, extra_cas, follower }
    }

    /// A new key, a new certificate, and a bundle with another CA beside the clients' own.
    fn renewed(&self, round: u32) -> (Material, Leaf) {
        let leaf = self.pki.ca.issue(server_params(&["localhost"]));
        let extra = &self.extra_cas[round as usize % self.extra_cas.len()];
        let ca = format!("{}{extra}", self.pki.ca.pem());
        (Material { cert: leaf.cert_pem(), key: leaf.key_pem(), ca }, leaf)
    }

    async fn rotate(&mut self, round: u32, gap: Duration) {
        self.load.begin(round);
        let (material, leaf) = self.renewed(round);
        self.writer.write(&material, gap).await;
        self.expect(round, &leaf).await;
        self.follower.rotated(round, &self.load);
    }

    async fn expect(&mut self, round: u32, leaf: &Leaf) {
        let written = Instant::now();
        let shown = self.load.shown(leaf.certificate.der(), promptly()).await;
        self.follower.took_up(round, &self.load, written, shown);
    }

    async fn end(self, rotations: u32) {
        self.follower.end(rotations, self.load).await;
        self.gateway.stop().await;
    }
}

async fn survives(style: Style) {
    let mut stage = Stage::new(style, "").await;
    let rotations = rotations();
    for round in 0..rotations {
        stage.rotate(round, gap(round)).await;
    }
    stage.end(rotations).await;
}

#[tokio::test]
async fn files_written_in_place_certificate_first_fail_nothing() {
    survives(Style::InPlaceCertFirst).await;
}

#[tokio::test]
async fn files_written_in_place_key_first_fail_nothing() {
    survives(Style::InPlaceKeyFirst).await;
}

#[tokio::test]
async fn files_renamed_one_by_one_fail_nothing() {
    survives(Style::RenameEach).await;
}

#[tokio::test]
async fn a_kubernetes_data_swap_fails_nothing() {
    survives(Style::KubernetesSwap).await;
}

#[tokio::test]
async fn a_folder_moved_away_and_replaced_fails_nothing() {
    survives(Style::DirectoryMoved).await;
}

#[tokio::test]
async fn files_deleted_and_created_anew_fail_nothing() {
    survives(Style::DeleteThenCreate).await;
}

#[tokio::test]
async fn links_that_are_retargeted_fail_nothing() {
    survives(Style::SymlinkRetarget).await;
}

#[tokio::test]
async fn files_written_in_pieces_fail_nothing() {
    survives(Style::PartialWrites).await;
}

#[tokio::test]
async fn spiffe_helpers_order_of_writes_fails_nothing() {
    survives(Style::SpiffeHelper).await;
}

#[tokio::test]
async fn certificate_and_key_in_one_file_fail_nothing() {
    survives(Style::CombinedFile).await;
}

#[tokio::test]
async fn files_unlinked_and_installed_fail_nothing() {
    survives(Style::Install).await;
}

#[tokio::test]
async fn the_bundle_first_through_hidden_temporary_files_fails_nothing() {
    survives(Style::Rsync).await;
}

#[tokio::test]
async fn a_hundred_kubernetes_swaps_in_a_row_end_with_the_last() {
    let mut stage = Stage::new(Style::KubernetesSwap, ", 100 in a row").await;
    let bursts = rotations().div_ceil(10);
    for burst in 0..bursts {
        let mut last = None;
        stage.load.begin(burst);
        for round in 0..100 {
            let (material, leaf) = stage.renewed(round);
            stage.writer.write(&material, Duration::ZERO).await;
            last = Some(leaf);
        }
        stage.expect(burst, &last.unwrap()).await;
        stage.follower.rotated(burst, &stage.load);
    }
    stage.end(bursts * 100).await;
}
