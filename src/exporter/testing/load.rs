//! Senders that notice the first failure.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::JoinSet;

use crate::exporter::Exporter;
use crate::exporter::testing::batch;
use crate::outcome::Accepted;
use crate::signal::Signal;

/// Four senders that send without pause until they are stopped, and fail at the first failure.
pub(crate) struct Load {
    senders: JoinSet<usize>,
    stop: Arc<AtomicBool>,
}

impl Load {
    pub(crate) fn start(exporter: &Arc<Exporter>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut senders = JoinSet::new();
        for _ in 0..4 {
            let (exporter, stop) = (Arc::clone(exporter), Arc::clone(&stop));
            senders.spawn(async move {
                let mut sent = 0;
                while !stop.load(Ordering::SeqCst) {
                    let outcome = exporter.export(&batch(Signal::Traces, b"x")).await;
                    assert_eq!(outcome, Ok(Accepted::default()));
                    sent += 1;
                }
                sent
            });
        }
        Self { senders, stop }
    }

    /// How many were sent.
    pub(crate) async fn stop(mut self) -> usize {
        self.stop.store(true, Ordering::SeqCst);
        let mut sent = 0;
        while let Some(ended) = self.senders.join_next().await {
            sent += ended.unwrap();
        }
        sent
    }
}
