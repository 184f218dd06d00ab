//! The load: a fixed number of requests in flight, each followed by the next (closed loop).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Version};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::Outcome;

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is sent.
#[derive(Clone, Debug)]
pub struct Shot {
    pub version: Version,
    pub path: &'static str,
    pub headers: Vec<(&'static str, &'static str)>,
    pub body: Bytes,
}

/// Where to and how.
#[derive(Clone)]
pub struct Aim {
    pub port: u16,
    pub tls: Arc<ClientConfig>,
    pub shot: Shot,
}

/// Requests that go on until this is dropped.
pub struct Load {
    done: Arc<AtomicU64>,
    shooters: JoinSet<Outcome<()>>,
}

impl Load {
    /// Opens `connections` with `streams` requests in flight on each.
    pub fn keep_up(aim: &Aim, connections: usize, streams: usize) -> Self {
        let done = Arc::<AtomicU64>::default();
        let mut shooters = JoinSet::new();
        for _ in 0..connections {
            let (aim, done) = (aim.clone(), Arc::clone(&done));
            shooters.spawn(async move {
                let connection = Connection::open(&aim).await?;
                let mut in_flight = JoinSet::new();
                for _ in 0..streams {
                    let mut connection = connection.clone();
                    let (shot, done) = (aim.shot.clone(), Arc::clone(&done));
                    in_flight.spawn(async move {
                        loop {
                            connection.shoot(&shot).await?;
                            done.fetch_add(1, Ordering::Relaxed);
                        }
                    });
                }
                first_error(&mut in_flight).await
            });
        }
        Self { done, shooters }
    }

    /// Opens a connection for each request.
    pub fn reconnect(aim: &Aim, at_once: usize) -> Self {
        let done = Arc::<AtomicU64>::default();
        let mut shooters = JoinSet::new();
        for _ in 0..at_once {
            let (aim, done) = (aim.clone(), Arc::clone(&done));
            shooters.spawn(async move {
                loop {
                    Connection::open(&aim).await?.shoot(&aim.shot).await?;
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        Self { done, shooters }
    }

    /// Requests answered so far.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Lets it run for a while.
    pub async fn run(&mut self, time: Duration) -> Outcome<()> {
        match timeout(time, first_error(&mut self.shooters)).await {
            Err(_elapsed) => Ok(()),
            Ok(ended) => ended,
        }
    }
}

/// Requests at a steady rate, whatever becomes of those before (open loop): how long each took.
pub async fn steady(
    aim: &Aim,
    connections: usize,
    per_second: f64,
    time: Duration,
) -> Outcome<Vec<Duration>> {
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(Connection::open(aim).await?);
    }
    let mut open = open.into_iter().cycle();
    let mut in_flight = JoinSet::new();
    let began = Instant::now();
    let mut ticks = interval(Duration::from_millis(1));
    let mut sent = 0.0;
    while began.elapsed() < time {
        ticks.tick().await;
        // The first part only warms up.
        let counts = began.elapsed() > time / 4;
        while sent < began.elapsed().as_secs_f64() * per_second {
            sent += 1.0;
            let Some(mut connection) = open.next() else { break };
            let shot = aim.shot.clone();
            in_flight.spawn(async move {
                let began = Instant::now();
                connection.shoot(&shot).await?;
                Outcome::Ok(counts.then(|| began.elapsed()))
            });
        }
    }
    let mut taken = Vec::new();
    while let Some(ended) = in_flight.join_next().await {
        taken.extend(ended??);
    }
    Ok(taken)
}

async fn first_error(tasks: &mut JoinSet<Outcome<()>>) -> Outcome<()> {
    match tasks.join_next().await {
        Some(ended) => ended?,
        None => Ok(()),
    }
}

/// One connection to a gateway.
#[derive(Clone)]
pub enum Connection {
    One(Arc<tokio::sync::Mutex<hyper::client::conn::http1::SendRequest<Full<Bytes>>>>),
    Two(hyper::client::conn::http2::SendRequest<Full<Bytes>>),
}

impl Connection {
    pub async fn open(aim: &Aim) -> Outcome<Self> {
        timeout(PATIENCE, Self::connect(aim)).await?
    }

    async fn connect(aim: &Aim) -> Outcome<Self> {
        let stream = TcpStream::connect(("127.0.0.1", aim.port)).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from("localhost")?;
        let stream: TlsStream<TcpStream> =
            TlsConnector::from(Arc::clone(&aim.tls)).connect(name, stream).await?;
        let io = TokioIo::new(stream);
        if aim.shot.version == Version::HTTP_2 {
            let (sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await?;
            tokio::spawn(connection);
            Ok(Self::Two(sender))
        } else {
            let (sender, connection) = hyper::client::conn::http1::handshake(io).await?;
            tokio::spawn(connection);
            Ok(Self::One(Arc::new(tokio::sync::Mutex::new(sender))))
        }
    }

    /// Sends one request and wants an OK.
    pub async fn shoot(&mut self, shot: &Shot) -> Outcome<()> {
        timeout(PATIENCE, self.send(shot)).await?
    }

    async fn send(&mut self, shot: &Shot) -> Outcome<()> {
        let mut request = Request::builder().method(Method::POST).version(shot.version);
        for (name, value) in &shot.headers {
            request = request.header(*name, *value);
        }
        let response = match self {
            Self::One(sender) => {
                let request = request.uri(shot.path).header("host", "localhost");
                let mut sender = sender.lock().await;
                sender.ready().await?;
                let response = sender.send_request(request.body(Full::new(shot.body.clone()))?);
                let (head, body) = response.await?.into_parts();
                (head, body.collect().await?)
            }
            Self::Two(sender) => {
                let request = request.uri(format!("https://localhost{}", shot.path));
                sender.ready().await?;
                let response = sender.send_request(request.body(Full::new(shot.body.clone()))?);
                let (head, body) = response.await?.into_parts();
                (head, body.collect().await?)
            }
        };
        let (head, body) = response;
        let status = body.trailers().and_then(|trailers| trailers.get("grpc-status"));
        let status = status.or_else(|| head.headers.get("grpc-status"));
        let grpc = shot.path.starts_with("/opentelemetry");
        if head.status != 200 || (grpc && status.is_none_or(|status| status != "0")) {
            let trailers = body.trailers().cloned();
            return Err(format!("refused: {head:?} {trailers:?} {:?}", body.to_bytes()).into());
        }
        Ok(())
    }
}
