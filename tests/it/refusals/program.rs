//! The program under test, its log as values, and the clients of other makers.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use serde_json::Value;

use crate::support::eventually::DEADLINE;
use crate::support::pki::TestPki;

/// A running gateway that demands client certificates; killed with the value.
pub struct Program {
    child: Child,
    log: Receiver<Value>,
    /// The port of its one listener.
    pub port: u16,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Program {
    /// Starts it with `server.crt` of the folder; `tls` are further keys of its `tls` block.
    pub fn start(pki: &TestPki, tls: &str) -> Self {
        pki.write("config.yaml", config(tls));
        let mut child = Command::new(env!("CARGO_BIN_EXE_portcullis"))
            .args(["--config", "config.yaml"])
            .current_dir(pki.dir())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, log) = channel();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        std::thread::spawn(move || {
            lines
                .map_while(Result::ok)
                .filter_map(|line| serde_json::from_str(&line).ok())
                .all(|line| sender.send(line).is_ok())
        });
        let mut program = Self { child, log, port: 0 };
        let started = program.line("its start", |line| !line["listeners"].is_null());
        let listeners = started["listeners"].as_str().unwrap();
        let address = listeners.split(' ').nth(1).unwrap();
        program.port = address.rsplit(':').next().unwrap().parse().unwrap();
        program
    }

    fn line(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + DEADLINE;
        let mut others = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.log.recv_timeout(left) {
                Ok(line) if wanted(&line) => return line,
                Ok(line) => others.push(line.to_string()),
                Err(_late) => panic!("no line with {what} among\n{}", others.join("\n")),
            }
        }
    }

    /// The next line with a reason, whatever it is of.
    pub fn warning(&self, reason: &str) -> Value {
        let line = self.line(reason, |line| !line["certificate"].is_null());
        assert_eq!(line["reason"], reason, "{line}");
        line
    }

    /// The next refused handshake in the log.
    pub fn refusal(&self, whose: &str) -> Value {
        self.line(whose, |line| !line["reason"].is_null() && !line["peer"].is_null())
    }
}

/// A listener with `server.crt` of the folder; `tls` are further keys of its `tls` block.
pub fn config(tls: &str) -> String {
    format!(
        "
receivers:
  otlp:
    protocols:
      http:
        endpoint: '127.0.0.1:0'
        tls: {{ cert_file: server.crt, key_file: server.key, {tls} }}
exporters: {{ nop: {{}} }}
service:
  pipelines: {{ traces: {{ receivers: [otlp], exporters: [nop] }} }}
  telemetry: {{ metrics: {{ level: none }}, logs: {{ encoding: json }} }}
"
    )
}

/// Runs `openssl s_client` until the server hangs up, and returns what it printed. Words are split
/// at spaces; files are relative to the folder. Old algorithms are allowed there.
pub fn s_client(pki: &TestPki, port: u16, words: &str) -> String {
    let connect = format!("127.0.0.1:{port}");
    let cipher = if words.contains("-cipher") { "" } else { "-cipher DEFAULT@SECLEVEL=0" };
    let run = Command::new("timeout")
        .args(["20", "openssl", "s_client", "-servername", "localhost", "-ign_eof"])
        .args(["-connect", &connect])
        .args(words.split_whitespace())
        .args(cipher.split_whitespace())
        .current_dir(pki.dir())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = [run.stdout, run.stderr].concat();
    String::from_utf8_lossy(&said).into_owned()
}

/// Runs `curl`; returns what it printed.
pub fn curl(pki: &TestPki, words: &str) -> String {
    let run = Command::new("curl")
        .args(["--silent", "--show-error", "--include", "--max-time", "20", "--noproxy", "*"])
        .args(words.split_whitespace())
        .current_dir(pki.dir())
        .output()
        .unwrap();
    let said = [run.stdout, run.stderr].concat();
    String::from_utf8_lossy(&said).into_owned()
}

/// Runs `openssl` in the folder; words are split at spaces.
pub fn openssl(dir: &Path, words: &str) {
    let run =
        Command::new("openssl").args(words.split_whitespace()).current_dir(dir).output().unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "openssl {words}: {said}");
}
