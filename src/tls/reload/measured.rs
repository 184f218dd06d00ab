//! One `tls` block whose reloads are timed, for `benches/`.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::time::Instant;

use crate::config::sections::ServerTls;
use crate::tls::reload::subject::Event;
use crate::tls::reload::{Fingerprint, Pace, Subject};
use crate::tls::server::{self, ServerSnapshot};
use crate::tls::store::{Store, Watch};

/// A receiver's block, loaded.
pub struct Measured {
    subject: Subject,
    watch: Watch<ServerSnapshot>,
}

/// What one reload took.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// From the first look at the changed files to the publication, without the time for which
    /// files are left to settle.
    pub whole: Duration,
    /// The longest time for which the thread was held up that the reloader shares with others.
    pub held_up: Duration,
}

impl Measured {
    pub(crate) fn load(tls: ServerTls) -> Result<Self, String> {
        let files = server::files(&tls);
        let before = Fingerprint::of(&files);
        let loaded = server::load(&tls).map_err(|error| error.to_string())?;
        let (store, watch) = Store::new(loaded.snapshot);
        let load = move |before: &ServerSnapshot| server::reload(&tls, before);
        let subject = Subject::new("tls", (files, before), Arc::new(store), load);
        Ok(Self { subject, watch })
    }

    /// Takes up files that have changed.
    ///
    /// # Errors
    /// The files are the same, or cannot be used.
    pub async fn reload(&mut self) -> Result<Cost, String> {
        let pace = Pace { settle: Duration::ZERO, ..Pace::default() };
        let began = Instant::now();
        // The first look finds other bytes, the second one takes them: they have not changed since.
        let (_noticed, first) = timed(self.subject.look(&pace)).await;
        let (event, second) = timed(self.subject.look(&pace)).await;
        match event {
            Event::Published(_) => Ok(Cost { whole: began.elapsed(), held_up: first.max(second) }),
            Event::Refused(refused) => Err(format!("refused: {:?}", refused.problems)),
            Event::Quiet | Event::Restored => Err("nothing was taken up".to_owned()),
        }
    }

    /// What handshakes are done with now.
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.watch.current().config)
    }
}

/// What a future gives, and its longest turn.
async fn timed<T>(future: impl Future<Output = T>) -> (T, Duration) {
    let mut future = pin!(future);
    let mut longest = Duration::ZERO;
    let output = poll_fn(|context| {
        let began = Instant::now();
        let state = future.as_mut().poll(context);
        longest = longest.max(began.elapsed());
        state
    })
    .await;
    (output, longest)
}
