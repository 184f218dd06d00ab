//! One GET of a page of the running gateway, with blocking sockets and deadlines.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

/// The body of the page at `authority` (host and port) and `path`.
///
/// # Errors
/// Nobody answers in time, or not with 200.
pub(super) fn get(authority: &str, path: &str) -> io::Result<Vec<u8>> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in authority.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, DEADLINE) {
            Ok(stream) => return exchange(stream, authority, path),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn exchange(mut stream: TcpStream, authority: &str, path: &str) -> io::Result<Vec<u8>> {
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.set_write_timeout(Some(DEADLINE))?;
    // HTTP/1.0: the answer ends with the connection and comes in one piece.
    let request = format!("GET {path} HTTP/1.0\r\nHost: {authority}\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER_BYTES).read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let Some((head, body)) = end.and_then(|end| answer.split_at_checked(end + 4)) else {
        return Err(io::Error::other("the answer is not HTTP"));
    };
    let line = String::from_utf8_lossy(head).lines().next().unwrap_or_default().to_owned();
    if line.split(' ').nth(1) != Some("200") {
        return Err(io::Error::other(format!("the answer is: {line}")));
    }
    Ok(body.to_vec())
}

const DEADLINE: Duration = Duration::from_secs(5);

/// More than the list of clients can have.
const MAX_ANSWER_BYTES: u64 = 64 << 20;
