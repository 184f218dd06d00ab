//! The connections of one worker to one scheme, host and port.
//!
//! Guarantees that new credentials, and a certificate of ours that is about to end, lead to new
//! connections: the pool of the old ones is dropped, and what is in flight on them goes on to its
//! end.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::exporter::http::Target;
use crate::exporter::http::body::Body;
use crate::exporter::http::connector::OriginConnector;
use crate::exporter::http::template::Pooling;
use crate::exporter::upstream::ConnectError;
use crate::tls::UpstreamTlsError;
use crate::tls::client::Diagnosis;

/// An origin and its pool.
#[derive(Debug)]
pub(super) struct Origin {
    connector: OriginConnector,
    pooling: Pooling,
    /// The pool of the generation of credentials beside it.
    client: Mutex<(u64, Client<OriginConnector, Body>)>,
    /// `max_conns_per_host`, where it is limited. A request holds one on HTTP/1.1; as in the
    /// Collector the limit means little on HTTP/2.
    permits: Option<Arc<Semaphore>>,
    /// Dropping them ends them.
    tasks: Mutex<JoinSet<()>>,
}

/// A request without an answer.
#[derive(Debug)]
pub(super) enum RequestError {
    /// There is no connection; when another try makes sense.
    Connect(ConnectError, Duration),
    /// TLS broke the connection.
    Tls(UpstreamTlsError),
    /// The upstream says that it did nothing.
    Unprocessed(String),
    /// It may have been processed.
    Unknown(String),
}

impl Origin {
    pub(super) fn new(target: &Target, pooling: &Pooling) -> Self {
        let dialer = target.dialer.clone();
        let connector = OriginConnector::new(dialer, target.to_proxy);
        let client = (connector.generation(), client(&connector, pooling));
        let permits = (pooling.max_conns_per_host > 0)
            .then(|| Arc::new(Semaphore::new(pooling.max_conns_per_host)));
        let (pooling, client) = (pooling.clone(), Mutex::new(client));
        Self { connector, pooling, client, permits, tasks: Mutex::default() }
    }

    /// Lets go of the old connections when new credentials are published, also when no batches
    /// come. Must be called within a runtime.
    pub(super) fn follow(self: &Arc<Self>) {
        let Some(mut watch) = self.connector.watch() else { return };
        let origin = Arc::downgrade(self);
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        if !tasks.is_empty() {
            return;
        }
        tasks.spawn(async move {
            while watch.changed().await {
                let Some(origin) = origin.upgrade() else { return };
                drop(origin.client());
            }
        });
    }

    /// Sends a request and reads the head of the answer. Cancel-safe: dropping gives it up.
    pub(super) async fn send(
        &self,
        request: Request<Body>,
    ) -> Result<Response<Incoming>, RequestError> {
        if let Some((error, delay)) = self.connector.trouble() {
            return Err(RequestError::Connect(error, delay));
        }
        let _permit = match &self.permits {
            Some(permits) => permits.acquire().await.ok(),
            None => None,
        };
        let client = self.client();
        client.request(request).await.map_err(|error| self.explain(&error))
    }

    fn client(&self) -> Client<OriginConnector, Body> {
        let mut held = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        let generation = self.connector.generation();
        if held.0 != generation || self.connector.is_old() {
            self.connector.forget_age();
            *held = (generation, client(&self.connector, &self.pooling));
        }
        held.1.clone()
    }

    fn explain(&self, error: &ClientError) -> RequestError {
        let mut extras = http::Extensions::new();
        if let Some(info) = error.connect_info() {
            info.get_extras(&mut extras);
        }
        if let Some(error) = extras.get::<Diagnosis>().and_then(Diagnosis::get) {
            return RequestError::Tls(error);
        }
        let causes = || causes(error);
        if let Some(error) = causes().find_map(|cause| cause.downcast_ref::<ConnectError>()) {
            let delay = self.connector.trouble().map_or(Duration::from_secs(1), |(_, delay)| delay);
            return RequestError::Connect(error.clone(), delay);
        }
        let text = causes().last().map_or_else(|| error.to_string(), ToString::to_string);
        let h2 = causes().find_map(|cause| cause.downcast_ref::<h2::Error>());
        let unprocessed = h2.is_some_and(|error| {
            let refused = error.reason() == Some(h2::Reason::REFUSED_STREAM);
            error.is_remote() && (error.is_go_away() || refused)
        });
        if unprocessed { RequestError::Unprocessed(text) } else { RequestError::Unknown(text) }
    }
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

fn client(connector: &OriginConnector, pooling: &Pooling) -> Client<OriginConnector, Body> {
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
    builder.build(connector.clone())
}

/// Longest header list read, in bytes.
const MAX_HEADERS: u32 = 64 * 1024;
