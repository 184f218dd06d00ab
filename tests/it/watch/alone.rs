//! A gateway in namespaces of its own, and a writer whom nobody hears.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::process::{Log, Running};
use crate::support::pki::TestPki;

/// A gateway process that sees mounts and limits of its own.
pub struct Alone {
    pub address: SocketAddr,
    pub log: Log,
    running: Running,
}

/// Whether the system lets this user have such a process; if not, why.
pub fn may_unshare() -> Result<(), String> {
    let probe = "echo 0 > /proc/sys/user/max_inotify_instances && mount --bind /tmp /tmp";
    let output = Command::new("unshare").args(["-Urm", "sh", "-c", probe]).output();
    let output = output.map_err(|error| format!("unshare cannot be run: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(()) } else { Err(format!("unshare -Urm: {said}")) }
}

impl Alone {
    /// Runs `before`, then the gateway, with the pair in the folder `live` of `pki`.
    pub async fn start(pki: &TestPki, tls: &str, before: &str) -> Self {
        let yaml = format!(
            "receivers:
  otlp:
    protocols:
      grpc:
        endpoint: '127.0.0.1:0'
        tls:
          {{ cert_file: live/tls.crt, key_file: live/tls.key, client_ca_file: trust/ca.crt, {tls} }}
exporters: {{ nop: }}
service:
  telemetry: {{ logs: {{ level: debug }}, metrics: {{ level: none }} }}
  pipelines: {{ traces: {{ receivers: [otlp], exporters: [nop] }} }}
"
        );
        pki.write("gateway.yaml", yaml);
        // Two folders deep: the folder above a file's own is watched, too, and that of this test is
        // where all programs write.
        std::fs::create_dir(pki.path("trust")).unwrap();
        pki.write("trust/ca.crt", pki.ca.pem());
        let script = format!("{before} && exec \"$0\" --config gateway.yaml");
        // Where nothing is to be changed, it must run without the right to do so.
        let mut command = if before == "true" || before.starts_with("export ") {
            Command::new("sh")
        } else {
            let mut command = Command::new("unshare");
            command.args(["-Urm", "sh"]);
            command
        };
        let child = command
            .args(["-c", &script, env!("CARGO_BIN_EXE_portcullis")])
            .current_dir(pki.dir())
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let mut running = Running(child.unwrap());
        let mut log = Log::of(running.0.stderr.take().unwrap());
        let started = log.line("portcullis started").await;
        let port = started.split("127.0.0.1:").nth(1).unwrap();
        let port: u16 = port.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap();
        log.line("Everything is ready").await;
        Self { address: ([127, 0, 0, 1], port).into(), log, running }
    }

    /// Runs a command that sees the mounts of the gateway.
    pub async fn run(&self, command: &str) {
        let id = self.running.0.id().to_string();
        let output = tokio::process::Command::new("nsenter")
            .args(["--target", &id, "--user", "--mount", "--preserve-credentials", "--wd"])
            .args(["sh", "-c", command])
            .output()
            .await
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}: {said}");
    }
}

/// Holds two files of a folder mapped into memory, and writes to them through that: no event tells
/// of it, as none does of what another machine writes to a file system that both share.
pub struct Unseen {
    writer: Running,
    said: Log,
}

const WRITER: &str = "
import mmap, sys
live, fresh = sys.argv[1:]
names = ['tls.crt', 'tls.key']
files = [open(f'{live}/{name}', 'r+b') for name in names]
maps = [mmap.mmap(file.fileno(), 0) for file in files]
print('mapped', flush=True)
sys.stdin.readline()
for name, map in zip(names, maps):
    map[:] = open(f'{fresh}/{name}', 'rb').read()
print('written', flush=True)
sys.stdin.readline()
";

impl Unseen {
    /// Makes ready to write the pair of `fresh` over that of `live`, before anybody watches; all
    /// files have the same size. `None` without Python.
    pub async fn prepare(live: &Path, fresh: &Path) -> Option<Self> {
        let child: Child = Command::new("python3")
            .args(["-c", WRITER])
            .args([live, fresh])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let mut writer = Running(child);
        let mut said = Log::of(writer.0.stdout.take().unwrap());
        said.line("mapped").await;
        Some(Self { writer, said })
    }

    /// Writes.
    pub async fn write(&mut self) {
        use std::io::Write as _;
        self.writer.0.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        self.said.line("written").await;
    }
}
