//! A backend with many lives at one unix socket: it notes each span's name before it answers OK.

use std::collections::HashSet;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use bytes::{Buf as _, Bytes};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use tokio::net::UnixListener;
use tokio::sync::{oneshot, watch};

/// See the module.
pub struct Backend {
    path: PathBuf,
    names: Arc<Mutex<HashSet<String>>>,
    answers: watch::Sender<bool>,
    /// A thread with a runtime of its own, which ends with whatever it does when it is told to.
    life: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Backend {
    /// Not alive yet.
    pub fn at(path: &Path) -> Self {
        let (answers, _) = watch::channel(true);
        Self { path: path.to_owned(), names: Arc::default(), answers, life: None }
    }

    /// Listens.
    pub fn live(&mut self) {
        let _left_by_the_life_before = std::fs::remove_file(&self.path);
        let listener = std::os::unix::net::UnixListener::bind(&self.path).unwrap();
        listener.set_nonblocking(true).unwrap();
        let (names, answers) = (Arc::clone(&self.names), self.answers.subscribe());
        let (end, ended) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            runtime.enable_all().build().unwrap().block_on(async {
                tokio::select! {
                    () = serve(listener, names, answers) => {}
                    _ = ended => {}
                }
            });
        });
        self.life = Some((end, thread));
    }

    /// Cuts every connection, whatever it was doing.
    pub fn die(&mut self) {
        if let Some((end, thread)) = self.life.take() {
            drop(end);
            thread.join().unwrap();
        }
    }

    /// From now on requests are neither noted nor answered.
    pub fn hold(&self) {
        self.answers.send_replace(false);
    }

    /// Goes on.
    pub fn release(&self) {
        self.answers.send_replace(true);
    }

    /// Whether a span of this name came.
    pub fn has(&self, name: &str) -> bool {
        self.names.lock().unwrap().contains(name)
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.die();
    }
}

async fn serve(
    listener: std::os::unix::net::UnixListener,
    names: Arc<Mutex<HashSet<String>>>,
    answers: watch::Receiver<bool>,
) {
    let listener = UnixListener::from_std(listener).unwrap();
    while let Ok((stream, _)) = listener.accept().await {
        let (names, answers) = (Arc::clone(&names), answers.clone());
        let service =
            service_fn(move |request| answer(request, Arc::clone(&names), answers.clone()));
        let connection = http2::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(stream), service);
        tokio::spawn(connection);
    }
}

async fn answer(
    request: Request<Incoming>,
    names: Arc<Mutex<HashSet<String>>>,
    mut answers: watch::Receiver<bool>,
) -> Result<Response<impl http_body::Body<Data = Bytes, Error = Infallible>>, hyper::Error> {
    let mut message = request.into_body().collect().await?.to_bytes();
    let _gone = answers.wait_for(|answers| *answers).await;
    message.advance(5);
    let request = ExportTraceServiceRequest::decode(message).unwrap();
    let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
    let spans = scopes.flat_map(|scope| scope.spans);
    names.lock().unwrap().extend(spans.map(|span| span.name));
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let body = Full::new(Bytes::from_static(&[0; 5]));
    let body = body.with_trailers(std::future::ready(Some(Ok(trailers))));
    let mut response = Response::new(body);
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    Ok(response)
}
