//! The program under test, its log as values, and the clients of other makers.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use serde_json::Value;

use crate::support::eventually::DEADLINE;
use crate::support::pki::TestPki;

/// A running gateway; killed with the value.
pub struct Program {
    child: Child,
    log: Receiver<Value>,
    /// What it said until it listened.
    pub starting: Vec<Value>,
    /// Key path and port of every listener.
    ports: Vec<(String, u16)>,
    /// The port of its first listener.
    pub port: u16,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Program {
    /// Starts it with `server.crt` of the folder and demands client certificates; `tls` are further
    /// keys of its `tls` block.
    pub fn start(pki: &TestPki, tls: &str) -> Self {
        Self::with_config(pki, &config(tls))
    }

    /// Starts it with a configuration; files are relative to the folder.
    pub fn with_config(pki: &TestPki, yaml: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        pki.write("config.yaml", yaml);
        command.args(["--config", "config.yaml"]).current_dir(pki.dir());
        Self::spawn(command)
    }

    /// Starts a command that runs it.
    pub fn spawn(mut command: Command) -> Self {
        let mut child = command
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
                .map(|line| serde_json::from_str(&line).unwrap_or(Value::String(line)))
                .all(|line| sender.send(line).is_ok())
        });
        let mut program = Self { child, log, starting: Vec::new(), ports: Vec::new(), port: 0 };
        let listeners = |lines: &[Value]| {
            lines.iter().find_map(|line| Some(line["listeners"].as_str()?.to_owned()))
        };
        program.starting = program.collect(|lines| match listeners(lines) {
            Some(_) => Vec::new(),
            None => vec!["its start".to_owned()],
        });
        let words = listeners(&program.starting).unwrap();
        let words: Vec<&str> = words.split(' ').collect();
        for pair in words.windows(2).filter(|pair| pair[0].starts_with("receivers.")) {
            let port = pair[1].rsplit(':').next().unwrap().parse().unwrap();
            program.ports.push((pair[0].to_owned(), port));
        }
        program.port = program.ports[0].1;
        program
    }

    /// The port of a server block such as `receivers.otlp.protocols.http`.
    pub fn port_of(&self, key_path: &str) -> u16 {
        self.ports.iter().find(|(key, _port)| key == key_path).expect(key_path).1
    }

    /// What it said since it was asked last.
    pub fn more(&self) -> impl Iterator<Item = Value> {
        self.log.try_iter()
    }

    /// Collects lines until nothing is missing any more; `missing` names what is.
    pub fn collect(&self, missing: impl Fn(&[Value]) -> Vec<String>) -> Vec<Value> {
        let deadline = Instant::now() + DEADLINE;
        let mut lines = Vec::new();
        loop {
            let lacking = missing(&lines);
            if lacking.is_empty() {
                return lines;
            }
            match self.log.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => lines.push(line),
                Err(_late) => {
                    let said: Vec<_> = lines.iter().map(Value::to_string).collect();
                    panic!("no line with {lacking:#?} among\n{}", said.join("\n"));
                }
            }
        }
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
