//! A success is a promise: what was acknowledged is at every backend, whoever died meanwhile.

mod backend;
mod senders;

use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{sleep, timeout};

use self::backend::Backend;
use self::senders::{Kind, Sender};
use crate::process::Running;
use crate::support::eventually::{DEADLINE, eventually};

/// A gateway process, its folder and its two backends.
struct Scene {
    folder: tempfile::TempDir,
    gateway: Option<Running>,
    backends: [Backend; 2],
    seed: u64,
}

/// What happens to them.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// SIGKILL.
    Killed,
    /// SIGTERM, and it may finish.
    Ended,
    /// SIGHUP, some times in a row.
    HungUp,
    /// SIGSTOP, and SIGCONT after a while.
    Stopped,
    /// All connections of a backend are cut, and it comes back after a while.
    BackendKilled,
    /// A backend takes requests and does not answer for a while.
    BackendSilent,
    /// The gateway is killed while a backend holds requests that it has not answered.
    KilledWhileSilent,
    /// Everybody at the same time.
    AllKilled,
}

const EVENTS: [Event; 8] = [
    Event::Killed,
    Event::Ended,
    Event::HungUp,
    Event::Stopped,
    Event::BackendKilled,
    Event::BackendSilent,
    Event::KilledWhileSilent,
    Event::AllKilled,
];

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let (one, two) = (Backend::at(&path("one")), Backend::at(&path("two")));
        std::fs::write(path("gateway.yaml"), config(folder.path())).unwrap();
        let seed = RandomState::new().hash_one(0_u8) | 1;
        let mut scene = Self { folder, gateway: None, backends: [one, two], seed };
        scene.backends.iter_mut().for_each(Backend::live);
        scene.start();
        scene
    }

    fn start(&mut self) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command.args(["--config", "gateway.yaml"]).current_dir(self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.gateway = Some(Running(command.spawn().unwrap()));
    }

    /// xorshift, below `most`.
    fn random(&mut self, most: u64) -> u64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        self.seed % most
    }

    async fn pause(&mut self, most: u64) {
        let millis = self.random(most);
        sleep(Duration::from_millis(millis)).await;
    }

    fn signal(&self, signal: Signal) {
        let id = self.gateway.as_ref().unwrap().0.id();
        kill_process(Pid::from_raw(i32::try_from(id).unwrap()).unwrap(), signal).unwrap();
    }

    /// Waits until it is there; before that it does not take signals either.
    async fn listens(&self) {
        let socket = self.folder.path().join("http");
        let connects = || std::os::unix::net::UnixStream::connect(&socket).is_ok();
        eventually("it listens", connects).await;
    }

    async fn pass(&mut self, event: Event) {
        let which = usize::try_from(self.random(2)).unwrap();
        match event {
            Event::Killed => {
                // Dropping kills.
                self.gateway = None;
                self.start();
            }
            Event::Ended => {
                self.listens().await;
                self.signal(Signal::TERM);
                let mut ending = self.gateway.take().unwrap();
                let ended = tokio::task::spawn_blocking(move || ending.0.wait().unwrap().code());
                let code = timeout(DEADLINE, ended).await.expect("it does not end").unwrap();
                assert_eq!(code, Some(0));
                self.start();
            }
            Event::HungUp => {
                self.listens().await;
                for _ in 0..self.random(20) {
                    self.signal(Signal::HUP);
                }
            }
            Event::Stopped => {
                self.signal(Signal::STOP);
                self.pause(300).await;
                self.signal(Signal::CONT);
            }
            Event::BackendKilled => {
                self.backends[which].die();
                self.pause(200).await;
                self.backends[which].live();
            }
            Event::BackendSilent => {
                self.backends[which].hold();
                self.pause(300).await;
                self.backends[which].release();
            }
            Event::KilledWhileSilent => {
                self.backends[which].hold();
                self.pause(100).await;
                self.gateway = None;
                self.backends[which].release();
                self.start();
            }
            Event::AllKilled => {
                self.gateway = None;
                self.backends.iter_mut().for_each(Backend::die);
                self.start();
                self.backends.iter_mut().for_each(Backend::live);
            }
        }
        self.pause(150).await;
    }
}

fn config(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "
receivers:
  otlp:
    protocols:
      grpc: {{ endpoint: {folder}/grpc, transport: unix }}
      http: {{ endpoint: {folder}/http, transport: unix }}
processors:
  batch: {{ timeout: 1s }}
  attributes: {{ actions: [ {{ key: by, value: gateway, action: upsert }} ] }}
exporters:
  otlp_grpc/one: {{ endpoint: 'unix://{folder}/one', tls: {{ insecure: true }}, compression: none }}
  otlp_grpc/two: {{ endpoint: 'unix://{folder}/two', tls: {{ insecure: true }}, compression: none }}
  debug: {{ verbosity: basic }}
  nop: {{}}
service:
  pipelines:
    traces:
      receivers: [otlp]
      processors: [batch, attributes]
      exporters: [otlp_grpc/one, otlp_grpc/two, debug, nop]
  telemetry: {{ metrics: {{ level: none }} }}
"
    )
}

/// Scenario: senders of gRPC and HTTP, protobuf and JSON, compressed and not, number their spans;
/// the gateway and its backends are killed, ended, hung up and stopped while they do. Four seconds,
/// for each process needs a moment; `EVENTS=500 cargo test --test it acknowledged::` makes a long
/// run of it.
/// Guarantees: every span of a request that was answered with success is at both backends.
#[tokio::test]
async fn whatever_was_acknowledged_is_at_every_backend_whoever_was_killed() {
    let mut scene = Scene::new();
    let seed = scene.seed;
    let senders: Vec<_> =
        Kind::ALL.into_iter().map(|kind| Sender::start(kind, scene.folder.path())).collect();
    let all_served = async || {
        for sender in &senders {
            let before = sender.acknowledged().len();
            let goes_on = || sender.acknowledged().len() > before;
            eventually("each sender is served", goes_on).await;
        }
    };
    all_served().await;
    let wanted = std::env::var("EVENTS").ok().and_then(|text| text.parse().ok());
    let events = wanted.unwrap_or(EVENTS.len());
    for number in 0..events {
        // Each once, then by chance.
        let index = match EVENTS.get(number) {
            Some(_) => number,
            None => usize::try_from(scene.random(EVENTS.len() as u64)).unwrap(),
        };
        scene.pass(EVENTS[index]).await;
    }
    all_served().await;
    let (mut acknowledged, mut refused) = (0, 0);
    for sender in senders {
        let (kind, names, failed) = sender.stop().await;
        for backend in &scene.backends {
            let lost = names.iter().filter(|name| !backend.has(name)).count();
            assert_eq!(lost, 0, "{kind:?}: of {} acknowledged, seed {seed}", names.len());
        }
        acknowledged += names.len();
        refused += failed;
    }
    eprintln!("{events} events, {acknowledged} spans acknowledged, {refused} requests failed");
}
