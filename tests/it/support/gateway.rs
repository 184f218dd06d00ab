//! The gateway under test, in this process, from YAML.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use portcullis::{Config, Ended, Gateway, Request, RunError};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::eventually::DEADLINE;

/// A running gateway. Dropping it cuts everything.
pub struct RunningGateway {
    grpc: Option<SocketAddr>,
    http: Option<SocketAddr>,
    health: Option<SocketAddr>,
    others: BTreeMap<String, SocketAddr>,
    metrics: Box<dyn Fn() -> String + Send + Sync>,
    requests: mpsc::Sender<Request>,
    running: JoinHandle<Result<Ended, RunError>>,
}

impl RunningGateway {
    /// Builds and runs it; a fault of the YAML fails the test.
    pub async fn start(yaml: &str) -> Self {
        Self::start_with(yaml, &[]).await
    }

    /// The same with further listeners, by the keys of their server blocks.
    pub async fn start_with(yaml: &str, keys: &[&str]) -> Self {
        let config = Config::from_yaml(yaml).unwrap_or_else(|problems| panic!("{problems:#?}"));
        let gateway = Gateway::build(config).await.unwrap_or_else(|error| panic!("{error}"));
        let metrics = Box::new(gateway.metrics());
        let grpc = gateway.address("receivers.otlp.protocols.grpc");
        let http = gateway.address("receivers.otlp.protocols.http");
        let health = gateway.address("extensions.health_check");
        let others = keys.iter().map(|key| ((*key).to_owned(), gateway.address(key).unwrap()));
        let others = others.collect();
        let (requests, inbox) = mpsc::channel(4);
        let running = tokio::spawn(gateway.run(inbox));
        Self { grpc, http, health, others, metrics, requests, running }
    }

    /// Where `protocols.grpc` listens.
    pub fn grpc(&self) -> SocketAddr {
        self.grpc.expect("no grpc listener in this configuration")
    }

    /// Where `protocols.http` listens.
    pub fn http(&self) -> SocketAddr {
        self.http.expect("no http listener in this configuration")
    }

    /// Where the health check listens.
    pub fn health(&self) -> SocketAddr {
        self.health.expect("no health check in this configuration")
    }

    /// Where a listener named to [`Self::start_with`] is.
    pub fn address(&self, key: &str) -> SocketAddr {
        self.others[key]
    }

    /// Everything that the metrics page shows.
    pub fn metrics(&self) -> String {
        (self.metrics)()
    }

    /// The value of a metric, by its name and labels as Prometheus writes them; 0 if there is none.
    pub fn metric(&self, name: &str) -> f64 {
        let text = (self.metrics)();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.parse().unwrap())
    }

    /// Asks it to drain, or a second time to end.
    pub async fn ask_to_end(&self) {
        self.requests.send(Request::Drain).await.unwrap();
    }

    /// Asks it to look at every certificate.
    pub async fn ask_to_reload(&self) {
        self.requests.send(Request::Reload).await.unwrap();
    }

    /// Waits until it has ended.
    pub async fn ended(self) -> Ended {
        timeout(DEADLINE, self.running).await.expect("it does not end").unwrap().unwrap()
    }

    /// Drains it.
    pub async fn stop(self) -> Ended {
        self.ask_to_end().await;
        self.ended().await
    }
}
