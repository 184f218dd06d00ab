//! A gateway as a process: started on a core of its own, measured from outside.

use std::process::Stdio;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use crate::Outcome;

/// The core of the gateway that is measured.
pub const GATEWAY_CORE: &str = "0";

/// The core of everything else.
pub const LOAD_CORE: &str = "1";

/// A running gateway; ends when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    pid: u32,
    pub port: u16,
    /// From start to listening.
    pub started_in: Duration,
}

impl Process {
    /// Starts a program on the gateways' core and waits until its port answers.
    pub async fn start(program: &str, arguments: &[String], port: u16) -> Outcome<Self> {
        let began = Instant::now();
        let mut child = Command::new("taskset")
            .args(["-c", GATEWAY_CORE, program])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()?;
        let pid = child.id().ok_or("it ended at once")?;
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            if let Some(status) = child.try_wait()? {
                return Err(format!("{program} ended: {status}").into());
            }
            if began.elapsed() > Duration::from_secs(20) {
                return Err(format!("{program} does not listen").into());
            }
            sleep(Duration::from_millis(1)).await;
        }
        Ok(Self { child, pid, port, started_in: began.elapsed() })
    }

    /// User and system time so far.
    pub fn cpu(&self) -> Outcome<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid))?;
        let fields: Vec<&str> =
            stat.rsplit_once(')').ok_or("no command")?.1.split_whitespace().collect();
        let ticks =
            |index: usize| -> Outcome<u64> { Ok(fields.get(index).ok_or("short")?.parse()?) };
        Ok(Duration::from_millis((ticks(11)? + ticks(12)?) * 1000 / ticks_per_second()))
    }

    /// Resident kB now.
    pub fn resident(&self) -> Outcome<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no VmRSS")?;
        Ok(line.split_whitespace().nth(1).ok_or("no number")?.parse()?)
    }

    /// Ends it.
    pub async fn stop(mut self) -> Outcome<()> {
        self.child.kill().await?;
        Ok(())
    }
}

/// The gateway to be measured: what `PORTCULLIS` names, else a release build. Not the one that cargo
/// makes for benchmarks, for test dependencies switch features on in it.
pub fn gateway() -> Outcome<String> {
    if let Ok(program) = std::env::var("PORTCULLIS") {
        return Ok(program);
    }
    let status = std::process::Command::new(env!("CARGO"))
        .args(["build", "--release", "--quiet", "--bin", "portcullis"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()?;
    if !status.success() {
        return Err("cannot build the gateway".into());
    }
    let target = std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".to_owned());
    Ok(format!("{target}/release/portcullis"))
}

fn ticks_per_second() -> u64 {
    rustix::param::clock_ticks_per_second()
}

/// Keeps this process on the load's core; call before threads are started.
pub fn pin_load() -> Outcome<()> {
    let status = std::process::Command::new("taskset")
        .args(["-acp", LOAD_CORE, &std::process::id().to_string()])
        .stdout(Stdio::null())
        .status()?;
    if status.success() { Ok(()) } else { Err("taskset failed: are there two cores?".into()) }
}

/// A port that is free now.
pub fn free_port() -> Outcome<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
