//! Keeps one HTTP/2 connection going: its frames, its pings, its end.
//!
//! Guarantees that it does not outlive the certificate of ours that it carries.

use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use h2::client::Connection;
use h2::{Ping, PingPong};
use tokio::time::{sleep, sleep_until, timeout};

use crate::config::sections::ClientKeepalive;
use crate::exporter::payload::Payload;
use crate::exporter::upstream::cork::{Cork, Corked};
use crate::exporter::upstream::io::Heard;
use crate::exporter::upstream::link::LinkState;
use crate::exporter::upstream::{Io, Lifetime};

/// How long an unused connection may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);
/// How long a peer may take to answer the ping that follows a request without an answer.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection whose requests of one turn are written together.
pub(super) struct Driven {
    connection: Connection<Corked<Io>, Payload>,
    cork: Cork<Io>,
}

impl Driven {
    pub(super) fn new(connection: Connection<Corked<Io>, Payload>, cork: Cork<Io>) -> Self {
        cork.push_in();
        Self { connection, cork }
    }
}

impl Future for Driven {
    type Output = Result<(), h2::Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut polled = Pin::new(&mut self.connection).poll(context);
        if polled.is_pending() && self.cork.poll_release(context) {
            // It reads the error, and tells those who wait for answers.
            polled = Pin::new(&mut self.connection).poll(context);
        }
        polled
    }
}

/// Runs until the connection has ended. It ends when the peer closes it, when a ping goes
/// unanswered, before our certificate ends, or shortly after its last user is gone.
pub(super) async fn run(
    mut driven: Driven,
    state: Arc<LinkState>,
    heard: Heard,
    keepalive: Option<ClientKeepalive>,
    lifetime: Option<Lifetime>,
) {
    let pings = driven.connection.ping_pong();
    let ended = tokio::select! {
        ended = &mut driven => ended.err().map(|error| error.to_string()),
        () = watch_over(pings, &state, &heard, keepalive.as_ref()) => {
            Some("it did not answer a ping, so the connection was closed".to_owned())
        }
        () = grow_old(&state, lifetime) => Some(
            "the certificate that we showed on it is about to end, so the connection was closed"
                .to_owned(),
        ),
        () = state.abandoned() => {
            let _late = timeout(GOODBYE, &mut driven).await;
            None
        }
    };
    state.ended(ended);
}

/// Ends when the connection must.
async fn grow_old(state: &LinkState, lifetime: Option<Lifetime>) {
    let Some(lifetime) = lifetime else { return pending().await };
    sleep_until(lifetime.rest).await;
    state.close();
    sleep_until(lifetime.end).await;
}

/// Ends when the peer has not answered a ping.
async fn watch_over(
    pings: Option<PingPong>,
    state: &LinkState,
    heard: &Heard,
    keepalive: Option<&ClientKeepalive>,
) {
    let Some(mut pings) = pings else { return pending().await };
    loop {
        let before = heard.count();
        let quiet = async {
            match keepalive {
                Some(keepalive) => sleep(keepalive.time).await,
                None => pending().await,
            }
        };
        let patience = tokio::select! {
            () = quiet => match keepalive {
                Some(keepalive)
                    if heard.count() == before
                        && (keepalive.permit_without_stream || state.in_flight() > 0) =>
                {
                    keepalive.timeout
                }
                _ => continue,
            },
            () = state.suspected() => PROBE_TIMEOUT,
        };
        if !answers(&mut pings, heard, patience).await {
            return;
        }
    }
}

/// Whether the peer answers a ping, or anything at all arrives, again and again until it does.
async fn answers(pings: &mut PingPong, heard: &Heard, patience: Duration) -> bool {
    if pings.send_ping(Ping::opaque()).is_err() {
        // The connection is ending; whoever drives it will see why.
        return pending().await;
    }
    loop {
        let before = heard.count();
        match timeout(patience, std::future::poll_fn(|context| pings.poll_pong(context))).await {
            Ok(Ok(_)) => return true,
            Ok(Err(_)) => return pending().await,
            Err(_) if heard.count() == before => return false,
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_takes_no_more_requests_for_a_while_before_it_is_cut() {
        let (state, now) = (LinkState::default(), Instant::now());
        let seconds = Duration::from_secs;
        let lifetime = Lifetime { rest: now + seconds(10), end: now + seconds(40) };
        let mut age = pin!(grow_old(&state, Some(lifetime)));
        assert!(timeout(seconds(9), &mut age).await.is_err());
        assert!(!state.is_closed());
        assert!(timeout(seconds(2), &mut age).await.is_err());
        assert!(state.is_closed());
        age.await;
        assert_eq!(now.elapsed(), seconds(40));
    }
}
