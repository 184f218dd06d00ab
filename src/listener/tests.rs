use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::Mutex;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::mpsc;

use super::*;
use crate::shutdown::Drain;

const KEY: &str = "receivers.otlp.protocols.grpc";

fn limits(max_connections: usize) -> ServerLimits {
    ServerLimits { max_connections, ..ServerLimits::default() }
}

async fn tcp(limits: &ServerLimits) -> (Listener, Metrics) {
    let metrics = Metrics::default();
    let address = ListenAddress::Tcp("127.0.0.1:0".to_owned());
    let listener = Listener::bind(KEY, &address, limits, metrics.clone()).await.unwrap();
    (listener, metrics)
}

/// Runs a listener that hands over to the returned channel, until the drain is dropped.
fn start(listener: Listener) -> (mpsc::UnboundedReceiver<Accepted>, Drain) {
    let (drain, draining) = Drain::new();
    let (sender, accepted) = mpsc::unbounded_channel();
    tokio::spawn(listener.run(draining, move |connection| {
        let _nobody_waits = sender.send(connection);
    }));
    (accepted, drain)
}

fn count(metrics: &Metrics, reason: &str) -> u64 {
    let text = metrics.render();
    let start = format!("portcullis_accept_errors_total{{reason=\"{reason}\"}} ");
    let value = text.lines().find_map(|line| line.strip_prefix(&start));
    value.map_or(0, |value| value.parse().unwrap())
}

/// Scenario: two connections are allowed and three come; then one of the first ends.
/// Guarantees: the third is closed and counted, the next one is served.
#[tokio::test]
async fn connections_are_served_up_to_the_cap_and_closed_above_it() {
    let (listener, metrics) = tcp(&limits(2)).await;
    let address = listener.address().to_owned();
    let (mut accepted, _drain) = start(listener);
    let connect = || std::net::TcpStream::connect(&address).unwrap();
    let (_first, _second) = (connect(), connect());
    let (served, _also_served) = (accepted.recv().await.unwrap(), accepted.recv().await.unwrap());
    let mut third = connect();
    let read = tokio::task::spawn_blocking(move || third.read(&mut [0; 1])).await.unwrap();
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    assert_eq!(count(&metrics, "max_connections"), 1);
    drop(served);
    let _fourth = connect();
    assert!(accepted.recv().await.is_some());
}

/// Scenario: one connection is allowed; again and again one more comes, and the first one goes.
/// Guarantees: each that is closed is counted, and the log tells it once.
#[tokio::test]
async fn a_cap_that_is_reached_again_and_again_is_told_once() {
    let log = Log::default();
    let copy = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || copy.clone()).finish();
    let _capturing = tracing::subscriber::set_default(subscriber);
    let (listener, metrics) = tcp(&limits(1)).await;
    let address = listener.address().to_owned();
    let (mut accepted, _drain) = start(listener);
    for _ in 0..5 {
        let _first = std::net::TcpStream::connect(&address).unwrap();
        let _served = accepted.recv().await.unwrap();
        let mut above = tokio::net::TcpStream::connect(&address).await.unwrap();
        let _closed = tokio::io::AsyncReadExt::read(&mut above, &mut [0]).await;
    }
    assert_eq!(count(&metrics, "max_connections"), 5);
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert_eq!(text.matches("as many are open as max_connections allows").count(), 1, "{text}");
}

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Scenario: two connections are allowed for one source; it opens three, and another source one.
/// Guarantees: only the third is closed, counted and told of; one that ends makes room.
#[tokio::test]
async fn a_source_has_as_many_connections_as_it_may_and_others_are_served() {
    let limits = ServerLimits { max_connections_per_source: Some(2), ..limits(8) };
    let (listener, metrics) = tcp(&limits).await;
    let address: SocketAddr = listener.address().parse().unwrap();
    let (mut accepted, _drain) = start(listener);
    let (_first, _second) = (connect_from(1, address), connect_from(1, address));
    let (served, _also_served) = (accepted.recv().await.unwrap(), accepted.recv().await.unwrap());
    let mut third = connect_from(1, address);
    third.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let _closed = tokio::task::spawn_blocking(move || third.read(&mut [0; 1])).await.unwrap();
    assert_eq!(count(&metrics, "max_connections_per_source"), 1);
    let _other = connect_from(2, address);
    assert!(accepted.recv().await.unwrap().peer.starts_with("127.0.0.2:"));
    drop(served);
    let _fourth = connect_from(1, address);
    assert!(accepted.recv().await.unwrap().peer.starts_with("127.0.0.1:"));
    assert_eq!(count(&metrics, "max_connections_per_source"), 1);
}

/// From `127.0.0.HOST`.
fn connect_from(host: u8, address: SocketAddr) -> std::net::TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, host], 0)).into()).unwrap();
    socket.connect(&address.into()).unwrap();
    socket.into()
}

/// Guarantees: `:port` serves both families, as in Go, with the peer's address in its own form.
#[tokio::test]
async fn an_empty_host_listens_on_both_families() {
    let address = ListenAddress::Tcp(":0".to_owned());
    let listener = Listener::bind(KEY, &address, &limits(8), Metrics::default()).await.unwrap();
    let port = listener.address().rsplit_once(':').unwrap().1.parse::<u16>().unwrap();
    let (mut accepted, _drain) = start(listener);
    let _four = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    assert!(accepted.recv().await.unwrap().peer.starts_with("127.0.0.1:"));
    if let Ok(_six) = std::net::TcpStream::connect(("::1", port)) {
        assert!(accepted.recv().await.unwrap().peer.starts_with("[::1]:"));
    }
}

/// Scenario: a socket file that a killed process left; then one that is answered; then a file of
/// another kind.
/// Guarantees: the first is replaced, the others are refused and untouched.
#[tokio::test]
async fn a_stale_socket_file_is_replaced_and_no_other_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("otlp.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let address = ListenAddress::Unix(path.clone());
    let limits = limits(8);
    let bind = || Listener::bind(KEY, &address, &limits, Metrics::default());
    let listener = bind().await.unwrap();
    assert!(matches!(bind().await, Err(BindError::Taken { .. })));
    let (mut accepted, drain) = start(listener);
    let _near = std::os::unix::net::UnixStream::connect(&path).unwrap();
    assert_eq!(&*accepted.recv().await.unwrap().peer, "unix");
    drop(drain);
    while accepted.recv().await.is_some() {}
    assert!(!path.exists(), "the socket file is left");
    std::fs::write(&path, "text").unwrap();
    assert!(matches!(bind().await, Err(BindError::NotASocket { .. })));
    assert!(path.exists());
}

#[tokio::test]
async fn an_abstract_socket_leaves_no_file() {
    let name = format!("@portcullis-test-{}", std::process::id());
    let address = ListenAddress::Unix(PathBuf::from(&name));
    let _listener = Listener::bind(KEY, &address, &limits(8), Metrics::default()).await.unwrap();
    assert!(!std::path::Path::new(&name).exists());
    let again = Listener::bind(KEY, &address, &limits(8), Metrics::default()).await;
    assert!(matches!(again, Err(BindError::Taken { .. })));
}

/// Guarantees: an address of another host and an unknown name are refused with key and next step.
#[tokio::test]
async fn an_address_that_is_not_ours_is_refused_with_the_key() {
    for (address, reason) in [("192.0.2.1:0", "listen_not_local"), ("127.0.0.1", "listen_resolve")]
    {
        let listen = ListenAddress::Tcp(address.to_owned());
        let error = Listener::bind(KEY, &listen, &limits(8), Metrics::default()).await.unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with(&format!("{KEY}.endpoint: ")), "{text}");
        assert!(text.contains(reason) && text.contains(address), "{text}");
    }
}

/// Scenario: two listeners share what the process may have open, which is two files.
/// Guarantees: a third connection is closed on either, and taken when one of the two has ended.
#[tokio::test]
async fn connections_use_up_no_more_files_than_they_may() {
    let descriptors = Descriptors::new(2);
    let (metrics, listen) = (Metrics::default(), ListenAddress::Tcp("127.0.0.1:0".to_owned()));
    let mut inboxes = Vec::new();
    for _ in 0..2 {
        let listener = Listener::bind(KEY, &listen, &limits(8), metrics.clone()).await.unwrap();
        let address = listener.address().to_owned();
        let (accepted, drain) = start(listener.sharing(descriptors.clone()));
        inboxes.push((address, accepted, drain));
    }
    let mut taken = Vec::new();
    for (address, accepted, _drain) in &mut inboxes {
        let near = std::net::TcpStream::connect(&*address).unwrap();
        taken.push((near, accepted.recv().await.unwrap()));
    }
    for (address, accepted, _drain) in &mut inboxes {
        let mut near = tokio::net::TcpStream::connect(&*address).await.unwrap();
        assert_eq!(tokio::io::AsyncReadExt::read(&mut near, &mut [0]).await.unwrap(), 0);
        assert!(accepted.try_recv().is_err());
    }
    assert_eq!(count(&metrics, "open_files"), 2);
    taken.pop();
    let (address, accepted, _drain) = &mut inboxes[0];
    let _near = std::net::TcpStream::connect(&*address).unwrap();
    accepted.recv().await.unwrap();
}

/// Scenario: a process with few descriptors gets more connections than it can hold, then they go.
/// Guarantees: the loop lives on, turns peers away, and accepts again (threat 31). Runs in a
/// process of its own, for the limit is the process'.
#[test]
fn running_out_of_descriptors_is_survived() {
    let test = "listener::tests::running_out_of_descriptors_is_survived";
    if std::env::var_os(CHILD).is_none() {
        let program = std::env::current_exe().unwrap();
        let mut child = Command::new(program);
        child.args([test, "--exact", "--nocapture"]).env(CHILD, "1").arg0("few-descriptors");
        let output = child.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (listener, metrics) = tcp(&limits(1000)).await;
        let address: SocketAddr = listener.address().parse().unwrap();
        let (mut accepted, _drain) = start(listener);
        let mut peers: Vec<_> =
            (0..20).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
        // The peers' ends are of this process, too: no more than a few of ours fit.
        let limit = Rlimit { current: Some(40), maximum: getrlimit(Resource::Nofile).maximum };
        setrlimit(Resource::Nofile, limit).unwrap();
        let mut held = Vec::new();
        while count(&metrics, "out_of_resources") < 2 {
            if let Ok(Some(one)) = timeout(Duration::from_millis(1), accepted.recv()).await {
                held.push(one);
            }
        }
        assert!(count(&metrics, "turned_away") >= 1);
        held.clear();
        peers.clear();
        let _healthy = std::net::TcpStream::connect(address).unwrap();
        let next = timeout(Duration::from_secs(5), accepted.recv());
        assert!(next.await.unwrap().is_some());
    });
}

const CHILD: &str = "PORTCULLIS_TEST_FEW_DESCRIPTORS";
