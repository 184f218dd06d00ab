//! The gateway beside HAProxy and Envoy: CPU time per acknowledged request, memory, start.
//!
//! `cargo bench --bench gateway -- [--quick] [--only NAME] [--rounds N]`; see `benches/README.md`.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark prints, and reads files that it wrote"
)]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot make its requests ends"
)]

mod load;
mod peers;
mod pki;
mod process;
#[path = "../checker/requests.rs"]
mod requests;
mod scenario;
mod sink;
mod table;

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::sleep;

use crate::load::{Aim, Connection, Load};
use crate::peers::Peer;
use crate::pki::Pki;
use crate::process::Process;
use crate::scenario::Scenario;
use crate::sink::Sink;
use crate::table::{Row, Table};

/// Anything may go wrong in a benchmark, and ends it.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Connections that are counted for their memory.
const IDLE: usize = 1000;

/// Connections at a steady rate.
const CONNECTIONS: usize = 4;

struct Options {
    quick: bool,
    only: Option<String>,
    rounds: usize,
}

impl Options {
    fn read() -> Outcome<Self> {
        let mut options = Self { quick: false, only: None, rounds: 5 };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                // What cargo adds.
                "--bench" => {}
                "--quick" => (options.quick, options.rounds) = (true, 3),
                "--only" => options.only = arguments.next(),
                "--rounds" => options.rounds = arguments.next().ok_or("how many?")?.parse()?,
                other => return Err(format!("unknown argument {other:?}").into()),
            }
        }
        Ok(options)
    }

    fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| name.starts_with(only.as_str()))
    }

    fn measured(&self) -> Duration {
        Duration::from_millis(if self.quick { 1000 } else { 3000 })
    }
}

fn main() -> Outcome<()> {
    let options = Options::read()?;
    let program = process::gateway()?;
    process::pin_load()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(&options, &program))
}

async fn run(options: &Options, program: &str) -> Outcome<()> {
    let peers = Peer::all(program);
    let bench = Bench { pki: Pki::new()?, peers, options };
    let sink = Sink::start(bench.pki.sink()?).await?;
    let mut table = Table::new(&bench.peers);
    let mut starts = Vec::new();
    for scenario in scenario::scenarios()? {
        if options.wants(scenario.name) {
            bench.measure(&scenario, &sink, &mut table, &mut starts).await?;
        }
        if scenario.name == "grpc-10" && options.wants("idle") {
            bench.idle(&scenario, &sink, &mut table).await?;
        }
    }
    println!("\n{}", table.render());
    starts.sort_unstable();
    if let (Some(median), Some(own)) = (starts.get(starts.len() / 2), bench.peers.first()) {
        println!("cold start to listening, median: {:.1} ms (limit 100)", ms(*median));
        #[expect(clippy::cast_precision_loss, reason = "some MB")]
        let size = own.size()? as f64 / 1e6;
        println!("program: {size:.1} MB (limit 20)");
    }
    Ok(())
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

struct Bench<'a> {
    pki: Pki,
    peers: Vec<Peer>,
    options: &'a Options,
}

impl Bench<'_> {
    fn aim(&self, process: &Process, scenario: &Scenario) -> Outcome<Aim> {
        let h2 = scenario.shot.version == http::Version::HTTP_2;
        let tls = self.pki.client(if h2 { "h2" } else { "http/1.1" })?;
        Ok(Aim { port: process.port, tls, shot: scenario.shot.clone() })
    }

    /// CPU time per request of every peer, in interleaved rounds.
    async fn measure(
        &self,
        scenario: &Scenario,
        sink: &Sink,
        table: &mut Table,
        starts: &mut Vec<Duration>,
    ) -> Outcome<()> {
        let mut processes = Vec::new();
        for peer in &self.peers {
            let process = peer.start(&self.pki.path(), sink.port, scenario).await?;
            if processes.is_empty() {
                starts.push(process.started_in);
            }
            processes.push(process);
        }
        let mut cpu = Row::new(scenario.title, "us", scenario.limit, self.peers.len());
        let mut rate = Row::new("", "", None, self.peers.len());
        let title = "resident MB under the 512-span load";
        let mut resident = Row::new(title, "MB", None, self.peers.len());
        for _ in 0..self.options.rounds {
            for (at, process) in processes.iter().enumerate() {
                let round = self.round(process, scenario, sink).await;
                let name = self.peers.get(at).map_or("", |peer| peer.name);
                let round = round.map_err(|error| format!("{}, {name}: {error}", scenario.name))?;
                cpu.add(at, round.cpu);
                rate.add(at, round.rate);
                resident.add(at, round.resident);
            }
        }
        println!("{}: requests/s {:.0?}", scenario.name, rate.medians());
        println!("{}: us {:.1?}, spread {:.2?}", scenario.name, cpu.medians(), cpu.spreads());
        table.push(cpu);
        if scenario.name == "grpc-512" {
            table.push(resident);
        }
        if scenario.name == "grpc-10" {
            let slowest = rate.medians().into_iter().fold(f64::INFINITY, f64::min);
            table.push(self.latency(&processes, scenario, slowest / 2.0).await?);
        }
        for process in processes {
            process.stop().await?;
        }
        Ok(())
    }

    /// The time in which 99 of 100 requests are answered, at the same steady rate for all.
    async fn latency(&self, all: &[Process], scenario: &Scenario, rate: f64) -> Outcome<Row> {
        let title = "p99 latency at half the slowest one's load, 10 spans";
        let mut row = Row::new(title, "ms", None, self.peers.len());
        for _ in 0..self.options.rounds {
            for (at, process) in all.iter().enumerate() {
                let aim = self.aim(process, scenario)?;
                let time = self.options.measured();
                let mut taken = load::steady(&aim, CONNECTIONS, rate, time).await?;
                taken.sort_unstable();
                let slow = taken.get(taken.len() * 99 / 100).ok_or("no requests")?;
                row.add(at, ms(*slow));
            }
        }
        println!("latency: {rate:.0} requests/s, ms {:.2?}", row.medians());
        Ok(row)
    }

    #[expect(clippy::cast_precision_loss, reason = "thousands of requests")]
    async fn round(&self, process: &Process, scenario: &Scenario, sink: &Sink) -> Outcome<Round> {
        let aim = self.aim(process, scenario)?;
        let arrived = sink.requests.load(Ordering::Relaxed);
        let mut load = match scenario.kept {
            Some((connections, streams)) => Load::keep_up(&aim, connections, streams),
            None => Load::reconnect(&aim, 8),
        };
        load.run(self.options.measured() / 3).await?;
        let (cpu, done) = (process.cpu()?, load.done());
        load.run(self.options.measured()).await?;
        let cpu = process.cpu()?.checked_sub(cpu).ok_or("time ran backwards")?;
        let requests = load.done() - done;
        if sink.requests.load(Ordering::Relaxed) - arrived < load.done() {
            return Err("it acknowledged what did not arrive".into());
        }
        let resident = process.resident()?;
        drop(load);
        // So that the next one does not pay for what is left.
        sleep(Duration::from_millis(100)).await;
        Ok(Round {
            cpu: cpu.as_secs_f64() * 1e6 / requests as f64,
            rate: requests as f64 / self.options.measured().as_secs_f64(),
            resident: resident as f64 / 1e3,
        })
    }

    /// Memory of connections that have sent one request and then nothing.
    #[expect(clippy::cast_precision_loss, reason = "some MB")]
    async fn idle(&self, scenario: &Scenario, sink: &Sink, table: &mut Table) -> Outcome<()> {
        let mut row = Row::new("kB per idle mTLS h2 connection", "kB", None, self.peers.len());
        for (at, peer) in self.peers.iter().enumerate() {
            let process = peer.start(&self.pki.path(), sink.port, scenario).await?;
            let aim = self.aim(&process, scenario)?;
            let mut first = Connection::open(&aim).await?;
            first.shoot(&aim.shot).await?;
            let before = process.resident()?;
            let mut open = Vec::new();
            for _ in 0..IDLE {
                let mut connection = Connection::open(&aim).await?;
                connection.shoot(&aim.shot).await?;
                open.push(connection);
            }
            sleep(Duration::from_secs(1)).await;
            let grown = process.resident()?.saturating_sub(before);
            row.add(at, grown as f64 / IDLE as f64);
            drop(open);
            process.stop().await?;
        }
        println!("idle: kB {:.1?}", row.medians());
        table.push(row);
        Ok(())
    }
}

struct Round {
    cpu: f64,
    rate: f64,
    resident: f64,
}
