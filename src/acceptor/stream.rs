//! The byte streams of a listener: TCP or unix socket, in clear or in TLS.

use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

use crate::tls::Recorded;
use crate::write_through::pass_through;

/// An accepted socket.
#[derive(Debug)]
pub(crate) enum Stream {
    /// TCP.
    Tcp(TcpStream),
    /// A unix socket.
    Unix(UnixStream),
}

/// What requests flow over.
#[derive(Debug)]
pub(crate) enum Transport {
    /// The bare socket.
    Plain(Stream),
    /// TLS over it.
    Tls(Box<TlsStream<Recorded<Stream>>>),
}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Self {
        Self::Tcp(stream)
    }
}

impl From<UnixStream> for Stream {
    fn from(stream: UnixStream) -> Self {
        Self::Unix(stream)
    }
}

pass_through!([] Stream { Self::Tcp(stream) => stream, Self::Unix(stream) => stream });

pass_through!([] Transport { Self::Plain(stream) => stream, Self::Tls(stream) => stream });
