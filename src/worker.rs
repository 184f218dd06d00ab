//! The threads of the data path: each has its own runtime, pipelines and upstream connections.
//!
//! Guarantees that a connection stays on one thread for its life, that a panic ends one connection
//! and nothing else, and that every connection is joined or cut before a worker ends.

use std::any::Any;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep;
use tracing::{debug, error};

use crate::acceptor::{Acceptor, Stream};
use crate::config::Config;
use crate::config::types::ComponentId;
use crate::connection::{Endpoint, Settings, UnderWay};
use crate::listener::{Accepted, RawStream};
use crate::metrics::Metrics;
use crate::pipeline::{BuildError, Entry, Pipelines, Shared};
use crate::receiver::{self, Receiver};
use crate::shutdown::{Drain, Draining};

/// What all workers make their own copies of.
pub(crate) struct Plan {
    /// The whole configuration.
    pub(crate) config: Config,
    /// What exporters and processors share.
    pub(crate) shared: Shared,
    /// By number of the listener.
    pub(crate) endpoints: Vec<EndpointPlan>,
    /// The gateway's instruments.
    pub(crate) metrics: Metrics,
}

/// One listener, as workers see it.
pub(crate) struct EndpointPlan {
    /// The receiver it belongs to.
    pub(crate) receiver_id: ComponentId,
    /// What its receivers share.
    pub(crate) receiver: receiver::Shared,
    /// Shakes hands.
    pub(crate) acceptor: Acceptor,
    /// Limits.
    pub(crate) settings: Settings,
}

/// Every worker of a gateway.
pub(crate) struct Workers(Vec<Worker>);

struct Worker {
    sockets: mpsc::Sender<(usize, Accepted)>,
    load: Arc<AtomicUsize>,
}

/// A worker's thread, to be waited for.
pub(crate) struct Ending {
    /// Number of requests that were not answered; an error if the worker panicked.
    pub(crate) unanswered: oneshot::Receiver<usize>,
    thread: JoinHandle<()>,
}

/// Why a worker cannot work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// The system gives no thread or no runtime.
    #[error("cannot start a worker thread")]
    Thread(#[from] io::Error),
    /// Its pipelines cannot be made.
    #[error("cannot build the pipelines")]
    Pipelines(#[from] BuildError),
    /// It panicked.
    #[error("a worker ended while it started")]
    Ended,
}

impl Workers {
    /// Starts `count` threads and waits until each can serve.
    ///
    /// # Errors
    /// When one cannot; the others end by themselves.
    pub(crate) async fn start(
        count: usize,
        plan: &Arc<Plan>,
        draining: &Draining,
    ) -> Result<(Self, Vec<Ending>), StartError> {
        let mut workers = Vec::with_capacity(count);
        let mut endings = Vec::with_capacity(count);
        let mut started = Vec::with_capacity(count);
        for number in 0..count {
            let (sockets, inbox) = mpsc::channel(INBOX);
            let load = Arc::new(AtomicUsize::new(0));
            let (start, is_started) = oneshot::channel();
            let (end, unanswered) = oneshot::channel();
            let desk = Desk { plan: Arc::clone(plan), inbox, load: Arc::clone(&load), start, end };
            let draining = draining.clone();
            let thread = std::thread::Builder::new()
                .name(format!("worker-{number}"))
                .spawn(move || desk.work(draining))?;
            workers.push(Worker { sockets, load });
            endings.push(Ending { unanswered, thread });
            started.push(is_started);
        }
        for is_started in started {
            is_started.await.map_err(|_panicked| StartError::Ended)??;
        }
        Ok((Self(workers), endings))
    }

    /// Gives a connection of a listener to the worker that has the fewest.
    pub(crate) fn assign(&self, listener: usize, accepted: Accepted, metrics: &Metrics) {
        let Some(worker) = self.0.iter().min_by_key(|w| w.load.load(Ordering::Relaxed)) else {
            return;
        };
        worker.load.fetch_add(1, Ordering::Relaxed);
        if worker.sockets.try_send((listener, accepted)).is_err() {
            worker.load.fetch_sub(1, Ordering::Relaxed);
            metrics.accept_error("worker_busy");
        }
    }
}

impl Ending {
    /// Waits for the thread, which ends right after it has told `unanswered`.
    pub(crate) fn join(self) {
        // A panic was told by `unanswered` being closed.
        let _ended = self.thread.join();
    }
}

/// What a worker works with.
struct Desk {
    plan: Arc<Plan>,
    inbox: mpsc::Receiver<(usize, Accepted)>,
    load: Arc<AtomicUsize>,
    start: oneshot::Sender<Result<(), StartError>>,
    end: oneshot::Sender<usize>,
}

impl Desk {
    fn work(self, draining: Draining) {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                let _nobody_waits = self.start.send(Err(error.into()));
                return;
            }
        };
        let end =
            runtime.block_on(serve_all(self.plan, self.inbox, self.load, self.start, draining));
        // A name being resolved must not hold up the end.
        runtime.shutdown_background();
        let _nobody_waits = self.end.send(end);
    }
}

async fn serve_all(
    plan: Arc<Plan>,
    mut inbox: mpsc::Receiver<(usize, Accepted)>,
    load: Arc<AtomicUsize>,
    start: oneshot::Sender<Result<(), StartError>>,
    mut draining: Draining,
) -> usize {
    let pipelines = match Pipelines::build(&plan.config, &plan.shared) {
        Ok(pipelines) => pipelines,
        Err(error) => {
            let _nobody_waits = start.send(Err(error.into()));
            return 0;
        }
    };
    pipelines.connect();
    let under_way = UnderWay::default();
    let endpoints = endpoints(&plan, &pipelines, &under_way);
    let _nobody_waits = start.send(Ok(()));
    let _ends_with_the_runtime = tokio::spawn(tick());
    // A drain of this worker's own, so that its connections share no lock with another's.
    let (drain, own_draining) = Drain::new();
    let mut connections = JoinSet::new();
    loop {
        // All branches are cancel-safe.
        tokio::select! {
            Some((listener, accepted)) = inbox.recv() => {
                let Some(endpoint) = endpoints.get(listener) else { continue };
                let guard = Load(Arc::clone(&load));
                let served = serve(Arc::clone(endpoint), accepted, guard, own_draining.clone());
                connections.spawn(served);
            }
            Some(ended) = connections.join_next() => report(ended),
            () = draining.begun() => break,
            else => break,
        }
    }
    inbox.close();
    drain.begin(tokio::time::Instant::now());
    let all = async {
        while let Some(ended) = connections.join_next().await {
            report(ended);
        }
    };
    // Both branches are cancel-safe.
    tokio::select! {
        () = all => {}
        () = draining.over() => {}
    }
    let unanswered = under_way.count();
    connections.shutdown().await;
    unanswered
}

/// Keeps a timer running that rings sooner than a request's deadlines. The runtime writes to an
/// eventfd, and wakes itself up, for each timer that is to ring sooner than all others; without
/// this one, that was every second request.
async fn tick() {
    loop {
        sleep(TICK).await;
    }
}

/// So often an idle worker wakes up. Deadlines shorter than this cost a little more.
const TICK: Duration = Duration::from_secs(1);

fn endpoints(
    plan: &Plan,
    pipelines: &Pipelines,
    under_way: &UnderWay,
) -> Vec<Arc<Endpoint<Entry>>> {
    plan.endpoints
        .iter()
        .map(|endpoint| {
            let receiver =
                Receiver::new(&endpoint.receiver, pipelines.entry(&endpoint.receiver_id));
            Arc::new(Endpoint::new(
                &endpoint.settings,
                endpoint.acceptor.clone(),
                receiver,
                under_way.clone(),
                plan.metrics.clone(),
            ))
        })
        .collect()
}

async fn serve(
    endpoint: Arc<Endpoint<Entry>>,
    accepted: Accepted,
    _load: Load,
    draining: Draining,
) {
    let stream = match accepted.stream {
        RawStream::Tcp(stream) => TcpStream::from_std(stream).map(Stream::from),
        RawStream::Unix(stream) => UnixStream::from_std(stream).map(Stream::from),
    };
    match stream {
        Ok(stream) => endpoint.serve(stream, accepted.peer, draining).await,
        Err(error) => debug!(peer = %accepted.peer, %error, "cannot watch the connection"),
    }
    drop(accepted.permit);
}

/// Counts a connection of a worker for as long as it lives.
struct Load(Arc<AtomicUsize>);

impl Drop for Load {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn report(ended: Result<(), JoinError>) {
    if let Err(failure) = ended
        && failure.is_panic()
    {
        let panic = failure.into_panic();
        error!(
            error = panic_text(&*panic),
            reason = "connection_panicked",
            help = "this is a fault of the program: please report it",
            "one connection was ended by a panic; the others go on"
        );
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

/// Connections handed to a worker and not yet taken; it takes them in microseconds.
const INBOX: usize = 1024;
