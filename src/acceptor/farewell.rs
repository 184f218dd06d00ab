//! The end of a refused connection, such that its peer can read what it was told.
//!
//! Closing a socket that holds unread bytes resets it, and a reset throws away what is on its way:
//! the alert, or the answer in plaintext. So the peer is read for a moment, within bounds.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use crate::acceptor::Stream;
use crate::tls::Plaintext;

/// Reads on until a plaintext request's first line is whole, for the message.
pub(super) async fn hear_out(stream: &mut Stream, first: &mut Vec<u8>, deadline: Instant) {
    let soon = deadline.min(Instant::now() + PATIENCE);
    let mut buffer = [0; 256];
    while matches!(Plaintext::recognise(first), Some(Plaintext::Http1(_)))
        && !first.contains(&b'\n')
        && first.len() < MAX_LINE
    {
        match timeout_at(soon, stream.read(&mut buffer)).await {
            Ok(Ok(count)) if count > 0 => {
                first.extend_from_slice(buffer.get(..count).unwrap_or_default());
            }
            _ => break,
        }
    }
}

/// Sends an answer, which may be empty, says that no more follows, and lets the peer finish.
pub(super) async fn say(mut stream: Stream, answer: &[u8], deadline: Instant) {
    let soon = deadline.min(Instant::now() + PATIENCE);
    let _gone = timeout_at(soon, async {
        stream.write_all(answer).await?;
        stream.shutdown().await?;
        let mut buffer = [0; 4096];
        let mut read = 0;
        while read < MAX_DRAINED {
            match stream.read(&mut buffer).await? {
                0 => break,
                count => read += count,
            }
        }
        Ok::<_, std::io::Error>(())
    })
    .await;
}

const PATIENCE: Duration = Duration::from_secs(1);
const MAX_LINE: usize = 1024;
const MAX_DRAINED: usize = 64 << 10;
