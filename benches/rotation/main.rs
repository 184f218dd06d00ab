//! What senders notice of rotations: the time from a small request to its answer, with certificates
//! that change every second and without.
//!
//! `cargo bench --bench rotation [-- --seconds N]`; see `benches/README.md`.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark prints, and reads files that it wrote"
)]
#![allow(dead_code, reason = "parts are shared with other benchmarks")]

#[path = "../gateway/load.rs"]
mod load;
#[path = "../reload/material.rs"]
mod material;
#[path = "../gateway/process.rs"]
mod process;
mod sample;
mod withdraw;

use std::time::Duration;

use bytes::{BufMut as _, BytesMut};
use http::Version;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;

use crate::load::{Aim, Connection, Shot};
use crate::material::{AUTHORITIES, ENTRIES, Form, Material};
use crate::process::Process;
use crate::sample::{Sample, steady};

/// Anything may go wrong in a benchmark, and ends it.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Between two rotations.
const ROTATE: Duration = Duration::from_secs(1);

/// Connections that carry requests by turns.
const BUSY: usize = 8;

/// Connections that only wait: their clients are judged again at each rotation, too.
const IDLE: usize = 200;

/// Phases of each kind, by turns.
const PHASES: usize = 3;

fn main() -> Outcome<()> {
    let mut phase = Duration::from_secs(20);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            // What cargo adds.
            "--bench" => {}
            "--seconds" => {
                phase = Duration::from_secs(arguments.next().ok_or("how many?")?.parse()?);
            }
            other => return Err(format!("unknown argument {other:?}").into()),
        }
    }
    let program = process::gateway()?;
    process::pin_load()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(&program, phase))
}

async fn run(program: &str, phase: Duration) -> Outcome<()> {
    let mut material = Material::new()?;
    material.revoke(Form::Pem)?;
    let (gateway, log) = start(program, &material).await?;
    let aim = Aim { port: gateway.port, tls: material.client()?, shot: span() };
    let mut idle = Vec::new();
    for _ in 0..IDLE {
        // Each of a client of its own, for each client is judged once.
        let aim = Aim { tls: material.client()?, ..aim.clone() };
        let mut connection = Connection::open(&aim).await?;
        connection.shoot(&aim.shot).await?;
        idle.push(connection);
    }
    let (mut calm, mut rotating) = (Sample::default(), Sample::default());
    let mut rotations = 0;
    for _ in 0..PHASES {
        calm.extend(steady(&aim, BUSY, phase).await?);
        // Written before, for that costs the processor of the load more than the gateway reads.
        let sets = (0..phase.as_secs()).map(|_| material.stage()).collect::<Outcome<Vec<_>>>()?;
        rotations += sets.len();
        let writer = tokio::spawn(rotate(sets));
        rotating.extend(steady(&aim, BUSY, phase).await?);
        writer.await??;
    }
    // The last ones are taken up within a second.
    tokio::time::sleep(ROTATE).await;
    let taken = std::fs::read_to_string(&log)?.matches("certificates reloaded").count();
    drop(idle);
    let [first, median, last] = withdraw::withdraw(&aim, &mut material).await?;
    gateway.stop().await?;
    println!(
        "{AUTHORITIES} authorities and a list of {ENTRIES} entries in PEM; {} requests a second on \
         {BUSY} connections, {IDLE} more wait; {rotations} rotations of everything, {taken} taken up\n",
        sample::RATE
    );
    println!("| ms | p50 | p99 | p99.9 | slowest | requests |");
    println!("|---|---|---|---|---|---|");
    println!("| without rotations | {calm} |");
    println!("| one rotation a second | {rotating} |");
    let step = rotating.quantile(0.99).saturating_sub(calm.quantile(0.99));
    println!("\nstep at p99: {:.2} ms (limit 2)", step.as_secs_f64() * 1e3);
    println!(
        "{} clients revoked at once: the first was cut {} ms after the list was there, half of \
         them after {} ms, the last after {} ms",
        withdraw::CLIENTS,
        first.as_millis(),
        median.as_millis(),
        last.as_millis()
    );
    Ok(())
}

async fn rotate(sets: Vec<material::Staged>) -> Outcome<()> {
    let mut pace = tokio::time::interval(ROTATE);
    pace.tick().await;
    for set in sets {
        set.publish()?;
        pace.tick().await;
    }
    Ok(())
}

/// A gateway on a processor of its own, and the file of its log.
async fn start(program: &str, material: &Material) -> Outcome<(Process, std::path::PathBuf)> {
    let port = process::free_port()?;
    let (config, log) = (material.path("gateway.yaml"), material.path("gateway.log"));
    let yaml = material.yaml(true).replace("127.0.0.1:0", &format!("127.0.0.1:{port}"));
    let telemetry = format!(
        "service: {{ telemetry: {{ logs: {{ output_paths: ['{}'] }}, metrics: {{ level: none }} }},",
        log.display()
    );
    std::fs::write(&config, yaml.replace("service: {", &telemetry))?;
    let arguments = ["--config".to_owned(), config.display().to_string()];
    Ok((Process::start(program, &arguments, port).await?, log))
}

/// One span over gRPC.
fn span() -> Shot {
    let span = Span {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        name: "small".to_owned(),
        ..Span::default()
    };
    let scope = ScopeSpans { spans: vec![span], ..ScopeSpans::default() };
    let resource = ResourceSpans { scope_spans: vec![scope], ..ResourceSpans::default() };
    let message = ExportTraceServiceRequest { resource_spans: vec![resource] }.encode_to_vec();
    let mut body = BytesMut::with_capacity(message.len() + 5);
    body.put_u8(0);
    body.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    body.extend_from_slice(&message);
    Shot {
        version: Version::HTTP_2,
        path: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        headers: vec![("content-type", "application/grpc"), ("te", "trailers")],
        body: body.freeze(),
    }
}
