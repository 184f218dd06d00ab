//! The connections of one worker to one scheme, host and port.
//!
//! Guarantees that new credentials lead to new connections once the upstream has shown that it
//! takes them, and so does a certificate of ours that is about to end: the pool of the old ones is
//! dropped, and what is in flight on them goes on to its end. See [`Handover`] for when the
//! upstream does not take them.

use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::exporter::http::Target;
use crate::exporter::http::body::Body;
use crate::exporter::http::connector::OriginConnector;
use crate::exporter::http::template::Pooling;
use crate::exporter::upstream::{ConnectError, Dialer, Handover, Heard};
use crate::tls::ClientSnapshot;
use crate::tls::UpstreamTlsError;
use crate::tls::client::Diagnosis;
use crate::tls::store::Watch;

/// An origin and its pool.
#[derive(Debug)]
pub(super) struct Origin {
    /// For the log.
    exporter: String,
    endpoint: String,
    /// With whatever credentials are in force.
    dialer: Dialer,
    to_proxy: bool,
    pooling: Pooling,
    pool: Mutex<Pool>,
    /// `max_conns_per_host`, where it is limited. A request holds one until its answer is read; on
    /// HTTP/2, where all share a connection, nobody needs one, as in the Collector.
    permits: Option<Arc<Semaphore>>,
    following: AtomicBool,
    /// Dropping them ends them.
    tasks: Mutex<JoinSet<()>>,
}

/// The connections with the credentials of one generation.
#[derive(Clone, Debug)]
struct Pool {
    connector: OriginConnector,
    client: Client<OriginConnector, Body>,
}

/// What had been heard before a request was sent.
#[derive(Debug)]
pub(super) struct Before {
    connector: OriginConnector,
    heard: u64,
    at: Instant,
}

/// A request without an answer.
#[derive(Debug)]
pub(super) enum RequestError {
    /// There is no connection; when another try makes sense.
    Connect(ConnectError, Duration),
    /// TLS broke the connection.
    Tls(UpstreamTlsError),
    /// It answered with something else than HTTP: reason, what and what to do.
    NotHttp(&'static str, String),
    /// The head of its answer is larger than is read.
    TooLarge,
    /// Its answer is not what HTTP/2 allows, or its headers are larger than is read.
    Unreadable(String),
    /// The upstream says that it did nothing.
    Unprocessed(String),
    /// It may have been processed.
    Unknown(String),
}

/// While there is no change of credentials.
const FOREVER: Duration = Duration::from_secs(24 * 3600);

impl Origin {
    pub(super) fn new(exporter: &str, target: &Target, pooling: &Pooling) -> Self {
        let (dialer, to_proxy) = (target.dialer.clone(), target.to_proxy);
        let permits = (pooling.max_conns_per_host > 0)
            .then(|| Arc::new(Semaphore::new(pooling.max_conns_per_host)));
        Self {
            exporter: exporter.to_owned(),
            endpoint: target.shown.clone(),
            pool: Mutex::new(Pool::new(dialer.pinned(), &dialer, to_proxy, pooling)),
            dialer,
            to_proxy,
            pooling: pooling.clone(),
            permits,
            following: AtomicBool::new(false),
            tasks: Mutex::default(),
        }
    }

    /// Replaces the connections when new credentials are published, also when no batches come.
    /// Must be called within a runtime.
    pub(super) fn follow(self: &Arc<Self>) {
        if self.following.swap(true, Ordering::Relaxed) {
            return;
        }
        let Some(watch) = self.dialer.watch() else { return };
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.spawn(follow(Arc::downgrade(self), watch));
    }

    /// Whether the new credentials are in use, or the old ones not any more.
    async fn hand_over(&self, handover: &mut Handover) -> bool {
        let next = self.dialer.pinned();
        let current = self.pool().connector;
        if current.generation() == next.generation() {
            return true;
        }
        // Who lost trust need not answer. Without connections there is nothing to lose.
        let mut failure = current.distrusted_by(&next);
        if failure.is_none() && current.open() > 0 {
            failure = next.prove().await.err();
        }
        let keeps_old =
            failure.is_some_and(|error| handover.keeps_old(&error, &self.exporter, &self.endpoint));
        if !keeps_old {
            self.renew(next);
        }
        !keeps_old
    }

    fn renew(&self, dialer: Dialer) {
        let fresh = Pool::new(dialer, &self.dialer, self.to_proxy, &self.pooling);
        *self.pool.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
    }

    /// Sends a request and reads the head of the answer; the permit is to be kept until the body is
    /// read. Cancel-safe: dropping gives it up.
    pub(super) async fn send(
        self: &Arc<Self>,
        request: Request<Body>,
    ) -> Result<(Response<Incoming>, Option<OwnedSemaphorePermit>), RequestError> {
        self.follow();
        let Pool { connector, client } = self.pool();
        if let Some((error, delay)) = connector.trouble() {
            return Err(RequestError::Connect(error, delay));
        }
        let permit = match &self.permits {
            Some(permits) if !connector.speaks_h2() => {
                Arc::clone(permits).acquire_owned().await.ok()
            }
            Some(_) | None => None,
        };
        let response = client.request(request).await;
        Ok((response.map_err(|error| explain(&error, &connector))?, permit))
    }

    /// Why a request was not sent in time.
    pub(super) fn why_not_sent(&self) -> ConnectError {
        let connector = self.pool().connector;
        match (connector.open(), connector.speaks_h2(), &self.permits) {
            (1.., true, _) => ConnectError::no_stream(),
            (1.., false, Some(_)) => ConnectError::no_connection_free(),
            _ => self.dialer.still_waiting(),
        }
    }

    /// For [`Self::suspect`].
    pub(super) fn before(&self) -> Before {
        let pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        let connector = pool.connector.clone();
        drop(pool);
        let heard = connector.latest().1.count();
        Before { connector, heard, at: Instant::now() }
    }

    /// A request had no answer in time. If nothing at all came over the connection of HTTP/2 that all
    /// requests share, further requests go over a new one: the old one may be dead, and TCP would
    /// take a quarter of an hour to find out.
    pub(super) fn suspect(&self, before: &Before) {
        let Before { connector, heard, at } = before;
        let is_silent = connector.speaks_h2() && connector.latest().1.count() == *heard;
        if !is_silent || at.elapsed() < SILENCE {
            return;
        }
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        if pool.connector.is(connector) {
            *pool = Pool::new(self.dialer.pinned(), &self.dialer, self.to_proxy, &self.pooling);
        }
    }

    fn pool(&self) -> Pool {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        if pool.connector.is_old() {
            *pool = Pool::new(self.dialer.pinned(), &self.dialer, self.to_proxy, &self.pooling);
        }
        pool.clone()
    }
}

async fn follow(origin: Weak<Origin>, mut watch: Watch<ClientSnapshot>) {
    let mut handover: Option<Handover> = None;
    loop {
        let pause = handover.as_ref().map_or(FOREVER, Handover::pause);
        match timeout(pause, watch.changed()).await {
            Ok(false) => return,
            Ok(true) => handover = Some(Handover::begin()),
            Err(_elapsed) => {}
        }
        let Some(origin) = origin.upgrade() else { return };
        if let Some(under_way) = &mut handover
            && origin.hand_over(under_way).await
        {
            handover = None;
        }
    }
}

/// Why a request got no answer.
fn explain(error: &ClientError, connector: &OriginConnector) -> RequestError {
    let causes = || causes(error);
    let delay = || connector.trouble().map_or(Duration::from_secs(1), |(_, delay)| delay);
    if let Some(error) = causes().find_map(|cause| cause.downcast_ref::<ConnectError>()) {
        return RequestError::Connect(error.clone(), delay());
    }
    let (diagnosis, heard) = known(error).unwrap_or_else(|| connector.latest());
    if let Some(error) = diagnosis.get() {
        if !ConnectError::refuses_us(error.reason()) {
            return RequestError::Tls(error);
        }
        // With TLS 1.3 it judges us after our handshake; it has not read a byte of the request.
        let error = ConnectError::from(error);
        connector.note(&error);
        return RequestError::Connect(error, delay());
    }
    if heard.is_tls() {
        let text = "it answered with TLS: this port wants it; write https:// into the exporter's endpoint, or use its plaintext port";
        return RequestError::NotHttp("upstream_expects_tls", text.to_owned());
    }
    if heard.is_h2() {
        let text = "it speaks HTTP/2 from its first byte, as servers of gRPC do: is this the port for OTLP over HTTP?";
        return RequestError::NotHttp("upstream_not_http", text.to_owned());
    }
    let hyper = causes().find_map(|cause| cause.downcast_ref::<hyper::Error>());
    if hyper.is_some_and(hyper::Error::is_parse_too_large) {
        return RequestError::TooLarge;
    }
    if let Some(error) = hyper.filter(|error| error.is_parse()) {
        let text = format!(
            "it answered with something that is not HTTP ({error}): is this the port for OTLP over HTTP?"
        );
        return RequestError::NotHttp("upstream_not_http", text);
    }
    let text = causes().last().map_or_else(|| error.to_string(), ToString::to_string);
    let h2 = causes().find_map(|cause| cause.downcast_ref::<h2::Error>());
    if let Some(error) = h2.filter(|error| error.is_library() && error.is_reset()) {
        return RequestError::Unreadable(error.to_string());
    }
    let unprocessed = h2.is_some_and(|error| {
        let refused = error.reason() == Some(h2::Reason::REFUSED_STREAM);
        error.is_remote() && (error.is_go_away() || refused)
    });
    if unprocessed {
        RequestError::Unprocessed(text)
    } else if heard.is_plain_silence() {
        RequestError::Unknown(format!("{text} (if this port wants TLS, write https://)"))
    } else {
        RequestError::Unknown(text)
    }
}

/// What is known of the connection that an error is of.
fn known(error: &ClientError) -> Option<(Diagnosis, Heard)> {
    let mut extras = http::Extensions::new();
    error.connect_info()?.get_extras(&mut extras);
    Some((extras.get::<Diagnosis>()?.clone(), extras.get::<Heard>()?.clone()))
}

impl From<hyper::Error> for RequestError {
    fn from(error: hyper::Error) -> Self {
        Self::Unknown(causes(&error).last().map_or_else(|| error.to_string(), ToString::to_string))
    }
}

/// What is below an error, the deepest last.
fn causes<'a>(error: &'a dyn Error) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(error.source(), |error: &&'a (dyn Error + 'static)| (*error).source())
}

impl Pool {
    /// `dialer` is pinned to one generation, `in_force` is not.
    fn new(dialer: Dialer, in_force: &Dialer, to_proxy: bool, pooling: &Pooling) -> Self {
        let most = pooling.max_conns_per_host;
        let connector = OriginConnector::new(dialer, in_force.clone(), to_proxy, most);
        let mut builder = Client::builder(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(pooling.idle_conn_timeout)
            .pool_max_idle_per_host(pooling.max_idle_per_host)
            .http2_max_header_list_size(MAX_HEADERS)
            .http2_keep_alive_interval(pooling.ping_after)
            .http2_keep_alive_timeout(pooling.ping_timeout)
            .http2_keep_alive_while_idle(true);
        let client = builder.build(connector.clone());
        Self { connector, client }
    }
}

/// Whoever sends with less patience says nothing of the upstream.
const SILENCE: Duration = Duration::from_secs(1);

/// Longest header list read, in bytes.
const MAX_HEADERS: u32 = 64 * 1024;
