//! From an address to a stream that may carry requests.

use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, timeout_at};

use crate::config::types::Upstream;
use crate::exporter::upstream::io::Socket;
use crate::exporter::upstream::{Address, ConnectError, Io, Lifetime, Proxy};
use crate::tls::client::{Diagnosis, Standing};
use crate::tls::store::Watch;
use crate::tls::{Alpn, ClientSnapshot, Connector};

/// Connects to one upstream. Clones share credentials.
#[derive(Clone, Debug)]
pub(crate) struct Dialer {
    upstream: Upstream,
    proxy: Option<Proxy>,
    tls: Option<(Watch<ClientSnapshot>, Connector)>,
    connect_timeout: Duration,
}

/// A stream that may carry requests.
#[derive(Debug)]
pub(crate) struct Dialed {
    /// Where it leads, for messages.
    pub(crate) place: String,
    pub(crate) io: Io,
    /// [`Alpn::None`] on plaintext.
    pub(crate) alpn: Alpn,
    /// Of the credentials; 0 on plaintext.
    pub(crate) generation: u64,
    pub(crate) diagnosis: Diagnosis,
    /// `None` on plaintext.
    pub(crate) standing: Option<Standing>,
    /// `None` when it does not carry a certificate of ours.
    pub(crate) lifetime: Option<Lifetime>,
}

impl Dialer {
    /// Without `snapshots` it speaks plaintext. The certificate must be for the upstream's host.
    pub(crate) fn new(
        upstream: Upstream,
        snapshots: Option<Watch<ClientSnapshot>>,
        connect_timeout: Duration,
    ) -> Self {
        let host = match &upstream {
            Upstream::Tcp { host, .. } => host.clone(),
            Upstream::Unix(_) => "localhost".to_owned(),
        };
        let tls = snapshots.map(|watch| (watch.clone(), Connector::new(watch, host)));
        Self { upstream, proxy: None, tls, connect_timeout }
    }

    /// The same, through a proxy.
    pub(crate) fn through(mut self, proxy: Option<Proxy>) -> Self {
        self.proxy = proxy;
        self
    }

    /// The same with the credentials in force now, whatever is published later.
    pub(crate) fn pinned(&self) -> Self {
        let tls = self.tls.as_ref().map(|(watch, connector)| {
            let pinned = watch.pinned();
            (pinned.clone(), connector.with(pinned))
        });
        Self { tls, ..self.clone() }
    }

    /// Finds out whether the upstream takes our certificate, over a connection that carries nothing
    /// else and is closed again.
    ///
    /// # Errors
    /// There is no connection, or it does not.
    pub(crate) async fn prove(&self) -> Result<(), ConnectError> {
        let deadline = self.deadline();
        let addresses = self.resolve(deadline).await?;
        self.first(addresses, deadline, async |mut dialed, _, until| {
            Ok(dialed.io.welcomed(until).await?)
        })
        .await
    }

    /// There is no connection yet, and no more time.
    pub(crate) fn still_waiting(&self) -> ConnectError {
        match &self.proxy {
            None => ConnectError::still_waiting(),
            Some(proxy) => proxy.still_waiting(),
        }
    }

    /// The number of the credentials in force; 0 on plaintext.
    pub(crate) fn generation(&self) -> u64 {
        self.tls.as_ref().map_or(0, |(watch, _)| watch.current().generation)
    }

    /// Why an upstream that showed this before is not to be trusted any more; `None` if it is.
    pub(crate) fn distrusts(&self, standing: &Standing) -> Option<ConnectError> {
        let (watch, _) = self.tls.as_ref()?;
        standing.refused_by(&watch.current()).map(ConnectError::from)
    }

    /// Where new credentials are announced.
    pub(crate) fn watch(&self) -> Option<Watch<ClientSnapshot>> {
        self.tls.as_ref().map(|(watch, _)| watch.clone())
    }

    /// When an attempt that begins now must be over.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.connect_timeout
    }

    /// The addresses of the upstream, or of the proxy before it.
    ///
    /// # Errors
    /// The name cannot be resolved in time.
    pub(crate) async fn resolve(&self, deadline: Instant) -> Result<Vec<Address>, ConnectError> {
        match &self.proxy {
            None => Address::resolve(&self.upstream, deadline).await.map_err(|why| {
                let next = "check the endpoint's spelling and the DNS settings of this host";
                ConnectError::new("upstream_unresolvable", format!("{why}; {next}"))
            }),
            Some(proxy) => {
                let found = Address::resolve(&proxy.at, deadline).await;
                found.map_err(|why| proxy.unreachable(&why))
            }
        }
    }

    /// Connects and shakes hands. Dropping the future gives up.
    ///
    /// # Errors
    /// Why not.
    pub(crate) async fn dial(
        &self,
        address: &Address,
        deadline: Instant,
    ) -> Result<Dialed, ConnectError> {
        let mut socket = self.connect(address, deadline).await?;
        if let Some(proxy) = &self.proxy {
            proxy.open(&mut socket, deadline).await?;
        }
        self.secure(socket, address, deadline).await
    }

    /// Tries addresses in turn, each for its share of the time, and answers the first success, or the
    /// failure that tells most, or the last of those.
    ///
    /// # Errors
    /// None of them worked.
    pub(crate) async fn first<T>(
        &self,
        addresses: Vec<Address>,
        deadline: Instant,
        mut finish: impl AsyncFnMut(Dialed, Address, Instant) -> Result<T, ConnectError>,
    ) -> Result<T, ConnectError> {
        let mut failure = None;
        let count = addresses.len();
        for (index, address) in addresses.into_iter().enumerate() {
            let left = deadline.saturating_duration_since(Instant::now());
            let until = Instant::now() + left / u32::try_from(count - index).unwrap_or(1);
            let attempt = async {
                let dialed = self.dial(&address, until).await?;
                finish(dialed, address.clone(), until).await
            };
            match attempt.await {
                Ok(done) => return Ok(done),
                Err(error) => match &failure {
                    Some(before) if ConnectError::tells(before) > error.tells() => {}
                    _ => failure = Some(error),
                },
            }
        }
        Err(failure.unwrap_or_else(|| {
            ConnectError::new("upstream_unresolvable", "every address has a connection already")
        }))
    }

    async fn connect(&self, address: &Address, deadline: Instant) -> Result<Socket, ConnectError> {
        let connecting = async {
            match address {
                Address::Tcp(address) => {
                    let stream = TcpStream::connect(address).await?;
                    // Requests are written whole; waiting for more only delays the last packet.
                    stream.set_nodelay(true)?;
                    Ok(Socket::Tcp(stream))
                }
                Address::Unix(path) => UnixStream::connect(path).await.map(Socket::Unix),
            }
        };
        match (timeout_at(deadline, connecting).await, &self.proxy) {
            (Ok(Ok(socket)), _) => Ok(socket),
            (Err(_), None) => Err(ConnectError::timeout(address)),
            (Err(_), Some(proxy)) => Err(proxy.unreachable("no answer within connect_timeout")),
            (Ok(Err(error)), None) => Err(ConnectError::connecting(address, &error)),
            (Ok(Err(error)), Some(proxy)) => Err(proxy.unreachable(&error.to_string())),
        }
    }

    async fn secure(
        &self,
        socket: Socket,
        address: &Address,
        deadline: Instant,
    ) -> Result<Dialed, ConnectError> {
        let place = self.proxy.as_ref().map_or_else(|| address.to_string(), Proxy::place);
        let Some((_, connector)) = &self.tls else {
            return Ok(Dialed {
                place,
                io: Io::plain(socket),
                alpn: Alpn::None,
                generation: 0,
                diagnosis: Diagnosis::default(),
                standing: None,
                lifetime: None,
            });
        };
        let connected = connector.connect(socket, &place, deadline).await?;
        Ok(Dialed {
            place,
            io: Io::tls(connected.io),
            alpn: connected.alpn,
            generation: connected.generation,
            diagnosis: connected.diagnosis,
            standing: Some(connected.standing),
            lifetime: connected.own_left.map(Lifetime::new),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::exporter::testing::{Backend, Reply, ServerOptions, server_config};
    use crate::tls::client;
    use crate::tls::store::Store;
    use crate::tls::testing::{TestPki, client_tls};

    /// Scenario: a name has two addresses, as `localhost` often has. At one of them nothing listens,
    /// at the other one our certificate is refused.
    /// Guarantees: in either order the answer of the one that is there is told.
    #[tokio::test]
    async fn an_address_that_answers_tells_more_than_one_where_nobody_is() {
        let pki = TestPki::new();
        let options = ServerOptions {
            alpn: vec![b"h2".to_vec()],
            client_ca: Some(pki.other_ca.pem()),
            ..ServerOptions::default()
        };
        let tls = server_config(&pki.server, options);
        let backend = Backend::start(Some(tls), |_, _| Reply::ok()).await;
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let upstream = Upstream::Tcp { host: "localhost".to_owned(), port: 0 };
        let (_store, snapshots) =
            Store::new(client::load(&client_tls(&pki), &[b"h2"]).unwrap().snapshot);
        let dialer = Dialer::new(upstream, Some(snapshots), Duration::from_secs(10));
        for order in [[nobody, backend.address], [backend.address, nobody]] {
            let addresses = order.map(|address: SocketAddr| Address::Tcp(address)).to_vec();
            let welcomed =
                async |mut dialed: Dialed, _, until| Ok(dialed.io.welcomed(until).await?);
            let error = dialer.first(addresses, dialer.deadline(), welcomed).await.unwrap_err();
            assert_eq!(error.reason(), "upstream_rejected_our_certificate", "{error}");
        }
    }
}
