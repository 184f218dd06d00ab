//! The program as people start it: exit codes, signals of the system, what it prints.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use http_body_util::BodyExt as _;
use hyper::Request;
use hyper_util::rt::TokioIo;
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::support::agent::{self, span};
use crate::support::eventually::{DEADLINE, eventually};
use crate::support::upstream::Upstream;
use crate::upstream::backend::{Backend, http1, page};

fn portcullis(args: &[&str], dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.args(args).current_dir(dir).stdin(Stdio::null());
    command
}

/// Ends with the value, so that a failing test leaves no process.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        let _reaped = self.0.wait();
    }
}

impl Running {
    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.0.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }
}

/// What a process writes, line by line, while the test does other things.
pub struct Log {
    lines: mpsc::UnboundedReceiver<String>,
    passed: Vec<String>,
}

impl Log {
    pub fn of(stream: impl std::io::Read + Send + 'static) -> Self {
        let (sender, lines) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            BufReader::new(stream)
                .lines()
                .map_while(Result::ok)
                .all(|line| sender.send(line).is_ok())
        });
        Self { lines, passed: Vec::new() }
    }

    /// The next line that contains a text.
    pub async fn line(&mut self, wanted: &str) -> String {
        loop {
            let next = timeout(DEADLINE, self.lines.recv()).await;
            let line = next.unwrap_or_else(|_| panic!("no {wanted:?} in time"));
            let line = line.unwrap_or_else(|| panic!("the log ended without {wanted:?}"));
            self.passed.push(line.clone());
            if line.contains(wanted) {
                return line;
            }
        }
    }

    /// Every line up to the last that was waited for.
    pub fn passed(&self) -> &[String] {
        &self.passed
    }
}

fn config(upstream: &Upstream) -> String {
    format!(
        "
receivers: {{ otlp: {{ protocols: {{ grpc: {{ endpoint: '127.0.0.1:0' }} }} }} }}
exporters: {{ otlp_grpc: {{ endpoint: '{}', tls: {{ insecure: true }} }} }}
service:
  pipelines: {{ traces: {{ receivers: [otlp], exporters: [otlp_grpc] }} }}
  telemetry: {{ metrics: {{ level: none }} }}
",
        upstream.address
    )
}

/// Scenario: the program is started with a configuration, hung up, and told to end while a request
/// is under way.
/// Guarantees: it says where it listens and when it is ready, survives SIGHUP, answers the request
/// and ends with 0.
#[tokio::test]
async fn the_program_runs_says_so_and_drains_on_sigterm() {
    let upstream = Upstream::plaintext().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("gateway.yaml"), config(&upstream)).unwrap();
    let mut command = portcullis(&["--config", "gateway.yaml"], folder.path());
    let mut running = Running(command.stderr(Stdio::piped()).spawn().unwrap());
    let mut log = Log::of(running.0.stderr.take().unwrap());
    let started = log.line("portcullis started").await;
    assert!(started.contains(env!("CARGO_PKG_VERSION")), "{started}");
    assert!(started.contains("(plaintext)"), "{started}");
    let address = started.split("127.0.0.1:").nth(1).unwrap();
    let port: u16 = address.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap();
    log.line("Everything is ready. Begin running and processing data.").await;
    running.signal(Signal::HUP);
    log.line("looking at all certificates, as asked").await;
    upstream.hold();
    let mut client = agent::plaintext(([127, 0, 0, 1], port).into()).await;
    let waiting = tokio::spawn(async move { client.export(span("under way")).await });
    eventually("at the backend", || upstream.begun() == 1).await;
    running.signal(Signal::TERM);
    log.line("draining").await;
    upstream.release();
    waiting.await.unwrap().unwrap();
    log.line("everything that was begun has been answered").await;
    let status = tokio::task::spawn_blocking(move || running.0.wait().unwrap()).await.unwrap();
    assert_eq!(status.code(), Some(0));
}

const TRACES: &str = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"a"}]}]}]}"#;

/// Scenario: a process that may have 128 files open, with an upstream to which every request opens a
/// connection of its own; somebody opens 150 connections and says nothing.
/// Guarantees: the last of them are closed, with the reason and what to do in the log, and the sender
/// that was there before goes on: the gateway has files left for its upstream.
#[tokio::test]
async fn connections_leave_the_files_open_that_the_gateway_needs_itself() {
    let backend = Backend::start(None, http1(page("200 OK", "", ""), true)).await;
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("http");
    let yaml = format!(
        "
receivers: {{ otlp: {{ protocols: {{ http: {{ endpoint: {}, transport: unix }} }} }} }}
exporters: {{ otlp_http: {{ endpoint: 'http://{}', disable_keep_alives: true }} }}
service:
  workers: 1
  pipelines: {{ traces: {{ receivers: [otlp], exporters: [otlp_http] }} }}
  telemetry: {{ metrics: {{ level: none }} }}
",
        socket.display(),
        backend.address
    );
    std::fs::write(folder.path().join("gateway.yaml"), yaml).unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 128; exec \"$0\" --config gateway.yaml"]);
    command.arg(env!("CARGO_BIN_EXE_portcullis")).current_dir(folder.path());
    command.stdin(Stdio::null()).stderr(Stdio::piped());
    let mut running = Running(command.spawn().unwrap());
    let mut log = Log::of(running.0.stderr.take().unwrap());
    log.line("Begin running and processing data").await;
    let connect = async || tokio::net::UnixStream::connect(&socket).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(connect().await)).await.unwrap();
    tokio::spawn(connection);
    let mut silent = Vec::new();
    for _ in 0..150 {
        silent.push(connect().await);
    }
    let told = log.line("open_files").await;
    assert!(told.contains("raise the limit of open files"), "{told}");
    for _ in 0..3 {
        let request = Request::post("/v1/traces").header("host", "localhost");
        let request = request.header("content-type", "application/json");
        let request = request.body(TRACES.to_owned()).unwrap();
        let answer = timeout(DEADLINE, sender.send_request(request)).await.unwrap().unwrap();
        assert_eq!(answer.status(), 200);
        answer.into_body().collect().await.unwrap();
    }
    assert!(backend.seen.connections() >= 3, "each has its own");
}

/// Guarantees: a broken configuration ends with 1 and names what is wrong, all of it.
#[test]
fn a_broken_configuration_is_refused_with_every_problem() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("gateway.yaml"),
        "receivers: { otlp: { protocols: { grpc: { endpont: x } } } }\nexporters: { nope: }\n",
    )
    .unwrap();
    let output = portcullis(&["--config", "gateway.yaml"], folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(err.contains("endpont") && err.contains("nope"), "{err}");
}

/// Scenario: the quickstart in an empty folder, and a second time.
/// Guarantees: the batch arrives both times, the certificates are kept, keys are for the owner
/// only, and the configuration it wrote is accepted.
#[test]
fn the_quickstart_works_in_an_empty_folder_and_again() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    for verb in ["made", "kept"] {
        let output = portcullis(&["quickstart", "--once"], folder.path()).output().unwrap();
        let (out, err) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(0), "{out}\n{err}");
        assert!(out.contains(&format!("[1/4] {verb}")), "{out}");
        assert!(out.contains("take the money") && out.contains("CN=gateway"), "{out}");
    }
    let made = folder.path().join("portcullis-quickstart");
    let key = std::fs::metadata(made.join("senders/sender.key")).unwrap();
    assert_eq!(key.permissions().mode() & 0o777, 0o600);
}

/// Scenario: the quickstart's folder holds a gateway.yaml of the user's own.
/// Guarantees: it is refused, and nothing in the folder changes.
#[test]
fn the_quickstart_never_writes_over_a_file_of_the_user() {
    let folder = tempfile::tempdir().unwrap();
    let mine = folder.path().join("gateway.yaml");
    std::fs::write(&mine, "mine").unwrap();
    let output =
        portcullis(&["quickstart", "--once", "--dir", "."], folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let mut text = String::new();
    std::fs::File::open(&mine).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "mine");
    assert!(String::from_utf8_lossy(&output.stderr).contains("--force"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// Scenario: the configuration comes through a pipe, as from a tool that makes it.
#[test]
fn a_configuration_is_read_from_standard_input() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = portcullis(&["validate", "--config", "/dev/stdin"], folder.path());
    let mut running =
        Running(command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    let mut stdin = running.0.stdin.take().unwrap();
    stdin
        .write_all(
            b"receivers: {otlp: {protocols: {grpc: }}}\nexporters: {nop: }\n\
              service: {pipelines: {logs: {receivers: [otlp], exporters: [nope]}}}\n",
        )
        .unwrap();
    drop(stdin);
    let mut told = String::new();
    running.0.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    assert_eq!(running.0.wait().unwrap().code(), Some(1));
    assert!(told.contains("/dev/stdin:3:"), "{told}");
}

/// Scenario: whoever should read the log does not, and far more is logged than a pipe holds.
/// Guarantees: requests are answered all the same, and the program ends when it is told to.
#[tokio::test]
async fn a_log_that_nobody_reads_stops_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("http");
    let yaml = format!(
        "
receivers: {{ otlp: {{ protocols: {{ http: {{ endpoint: {}, transport: unix }} }} }} }}
exporters: {{ otlp_http: {{ endpoint: 'http://127.0.0.1:1', compression: none }}, nop: {{}} }}
service:
  workers: 1
  pipelines:
    traces: {{ receivers: [otlp], exporters: [otlp_http] }}
    logs: {{ receivers: [otlp], exporters: [nop] }}
  telemetry: {{ metrics: {{ level: none }}, logs: {{ sampling: {{ enabled: false }} }} }}
",
        socket.display()
    );
    std::fs::write(folder.path().join("gateway.yaml"), yaml).unwrap();
    let mut command = portcullis(&["--config", "gateway.yaml"], folder.path());
    let mut running = Running(command.stderr(Stdio::piped()).spawn().unwrap());
    let _unread = running.0.stderr.take().unwrap();
    let listens = || std::os::unix::net::UnixStream::connect(&socket).is_ok();
    eventually("it listens", listens).await;
    let post = async |path: &str, text: &str| {
        let stream = tokio::net::UnixStream::connect(&socket).await.unwrap();
        let body = text.as_bytes().to_vec();
        let answer = timeout(DEADLINE, agent::post(stream, path, "application/json", body)).await;
        answer.expect("no answer in time").unwrap().status().as_u16()
    };
    let logs = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"severityText":"a"}]}]}]}"#;
    // Half a kilobyte of log each; a pipe holds 64.
    for _ in 0..300 {
        assert_eq!(post("/v1/traces", TRACES).await, 503);
    }
    assert_eq!(post("/v1/logs", logs).await, 200);
    running.signal(Signal::TERM);
    let ended = tokio::task::spawn_blocking(move || running.0.wait().unwrap());
    assert_eq!(timeout(DEADLINE, ended).await.expect("it does not end").unwrap().code(), Some(0));
}
