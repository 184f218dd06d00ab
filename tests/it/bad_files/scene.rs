//! A folder for each row with good files, a configuration that names them all, and the mend.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};
use tokio_rustls::rustls::pki_types::CertificateDer;

use super::rows::{Row, rows};
use crate::refusals::Program;
use crate::reload::connect;
use crate::support::eventually::DEADLINE;
use crate::support::pki::{Ca, Leaf, TestPki, client_params, server_params};

/// Whose `tls` block it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Receiver,
    Exporter,
}

pub struct Scene {
    pub pki: TestPki,
    /// What receivers show after the mend.
    pub renewed: Leaf,
    renewed_client: Leaf,
}

impl Scene {
    /// Everything good.
    pub fn new() -> Self {
        let pki = TestPki::new();
        let renewed = pki.ca.issue(server_params(&["localhost", "127.0.0.1"]));
        let renewed_client = pki.ca.issue(client_params("gateway"));
        let scene = Self { pki, renewed, renewed_client };
        for row in &rows() {
            fs::create_dir(scene.pki.path(row.name)).unwrap();
            let leaf =
                if row.side == Side::Receiver { &scene.pki.server } else { &scene.pki.client };
            scene.write(row, leaf, 5);
        }
        scene.pki.write("config.yaml", config());
        // The program may run under another uid.
        fs::set_permissions(scene.pki.dir(), fs::Permissions::from_mode(0o755)).unwrap();
        scene
    }

    fn write(&self, row: &Row, leaf: &Leaf, number: u64) {
        let file = |name: &str| format!("{}/{name}", row.name);
        self.pki.write(&file("own.key"), leaf.key_pem());
        self.pki.write(&file("own.crt"), leaf.cert_pem());
        self.pki.write(&file("ca.crt"), self.pki.ca.pem());
        if row.has_list() {
            self.pki.write(&file("list.crl"), list(&self.pki.ca, number));
        }
    }

    /// The file of a row.
    pub fn path(&self, row: &Row) -> PathBuf {
        self.pki.path(&format!("{}/{}", row.name, row.file))
    }

    /// Good files again, of a new certificate.
    pub fn mend(&self, row: &Row) {
        remove(&self.path(row));
        let receiver = row.side == Side::Receiver;
        self.write(row, if receiver { &self.renewed } else { &self.renewed_client }, 9);
    }

    /// The program under a user who is not root: root may read everything.
    pub fn command(&self) -> Command {
        let program = env!("CARGO_BIN_EXE_portcullis");
        let mut command = if is_root() {
            // Where it was built may be closed to others.
            let copy = self.pki.path("portcullis");
            if !copy.exists() && fs::hard_link(program, &copy).is_err() {
                fs::copy(program, &copy).unwrap();
            }
            let mut command = Command::new("setpriv");
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "./portcullis"]);
            command
        } else {
            Command::new(program)
        };
        command.args(["--config", "config.yaml"]).current_dir(self.pki.dir());
        command
    }

    /// The certificate that a fresh handshake is shown.
    pub async fn shown(&self, address: SocketAddr) -> CertificateDer<'static> {
        let stream = connect(address, &self.pki, &self.pki.client, &[]).await;
        stream.get_ref().1.peer_certificates().unwrap()[0].clone()
    }
}

/// Waits until nothing is missing in the log any more, while the load goes on.
pub async fn told(program: &Program, missing: impl Fn(&[Value]) -> Vec<String>) {
    let deadline = Instant::now() + DEADLINE;
    let mut lines = Vec::new();
    loop {
        lines.extend(program.more());
        let lacking = missing(&lines);
        if lacking.is_empty() {
            return;
        }
        if Instant::now() > deadline {
            let said: Vec<_> = lines.iter().map(Value::to_string).collect();
            panic!("no line with {lacking:#?} among\n{}", said.join("\n"));
        }
        sleep(Duration::from_millis(20)).await;
    }
}

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whatever is there.
pub fn remove(path: &PathBuf) {
    let _was_no_folder = fs::remove_dir(path);
    let _was_no_file = fs::remove_file(path);
}

/// A list with a number, in PEM.
pub fn list(ca: &Ca, number: u64) -> String {
    ca.list(number, &[], time::Duration::days(40))
}

fn config() -> String {
    let (mut receivers, mut exporters) = (String::new(), String::new());
    let (mut taking, mut giving) = (Vec::new(), Vec::new());
    for row in rows() {
        let name = row.name;
        let list = |key: &str| {
            if row.has_list() { format!(", {key}: {name}/list.crl") } else { String::new() }
        };
        let own = format!("cert_file: {name}/own.crt, key_file: {name}/own.key");
        if row.side == Side::Receiver {
            receivers.push_str(&format!(
                "  otlp/{name}: {{ protocols: {{ http: {{ endpoint: '127.0.0.1:0', tls: {{ {own}, \
                 client_ca_file: {name}/ca.crt{} }} }} }} }}\n",
                list("client_crl_file")
            ));
            taking.push(format!("otlp/{name}"));
        } else {
            exporters.push_str(&format!(
                "  otlp_grpc/{name}: {{ endpoint: 'localhost:1', tls: {{ {own}, ca_file: \
                 {name}/ca.crt{} }} }}\n",
                list("crl_file")
            ));
            giving.push(format!("otlp_grpc/{name}"));
        }
    }
    format!(
        "
receivers:
  otlp: {{ protocols: {{ http: {{ endpoint: '127.0.0.1:0' }} }} }}
{receivers}
exporters:
  nop: {{}}
{exporters}
service:
  pipelines:
    traces: {{ receivers: [{}], exporters: [nop] }}
    traces/unused: {{ receivers: [otlp], exporters: [{}] }}
  telemetry: {{ metrics: {{ level: none }}, logs: {{ encoding: json }} }}
",
        taking.join(", "),
        giving.join(", ")
    )
}
