//! The gateways that are compared, and how each is configured and started.

use std::path::Path;

use crate::Outcome;
use crate::process::{Process, free_port};
use crate::scenario::Scenario;

/// One column.
#[derive(Clone, Debug)]
pub struct Peer {
    pub name: &'static str,
    program: String,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Collector,
    Envoy,
    Haproxy,
}

impl Peer {
    /// The gateway itself, then whichever of the others is there.
    pub fn all(portcullis: &str) -> Vec<Self> {
        let envoy = std::env::var("ENVOY").unwrap_or_else(|_| "target/peers/envoy".to_owned());
        let haproxy = std::env::var("HAPROXY").unwrap_or_else(|_| "/usr/sbin/haproxy".to_owned());
        let collector = std::env::var("OTELCOL").unwrap_or_default();
        let all = [
            ("portcullis", portcullis.to_owned(), Kind::Collector),
            ("HAProxy", haproxy, Kind::Haproxy),
            ("Envoy", envoy, Kind::Envoy),
            ("Collector", collector, Kind::Collector),
        ];
        all.into_iter()
            .filter(|(name, program, _)| {
                let found = Path::new(program).is_file();
                if !found && *name != "Collector" {
                    println!("{name} is left out: no program {program:?}");
                }
                found
            })
            .map(|(name, program, kind)| Self { name, program, kind })
            .collect()
    }

    /// Whether it is what others are compared with.
    pub fn is_proxy(&self) -> bool {
        matches!(self.kind, Kind::Envoy | Kind::Haproxy)
    }

    /// The size of its program in bytes.
    pub fn size(&self) -> Outcome<u64> {
        Ok(std::fs::metadata(&self.program)?.len())
    }

    /// Starts it before a sink.
    pub async fn start(&self, pki: &Path, sink: u16, scenario: &Scenario) -> Outcome<Process> {
        let port = free_port()?;
        let (template, file) = match self.kind {
            Kind::Collector => (include_str!("peers/collector.yaml"), "collector.yaml"),
            Kind::Envoy => (include_str!("peers/envoy.yaml"), "envoy.yaml"),
            Kind::Haproxy => (include_str!("peers/haproxy.cfg"), "haproxy.cfg"),
        };
        let config = template
            .replace("@PORT@", &port.to_string())
            .replace("@SINK@", &sink.to_string())
            .replace("@PKI@", &pki.display().to_string())
            .replace("@PROTOCOL@", scenario.protocol)
            .replace("@COMPRESSION@", scenario.compression);
        let path = pki.join(format!("{}-{file}", self.name));
        std::fs::write(&path, config)?;
        let path = path.display().to_string();
        let arguments: Vec<&str> = match self.kind {
            Kind::Collector => vec!["--config", &path],
            Kind::Envoy => {
                let quiet = ["--concurrency", "1", "-l", "error", "--disable-hot-restart"];
                ["-c", &path].into_iter().chain(quiet).collect()
            }
            Kind::Haproxy => vec!["-q", "-db", "-f", &path],
        };
        let arguments: Vec<_> = arguments.into_iter().map(str::to_owned).collect();
        Process::start(&self.program, &arguments, port).await
    }
}
