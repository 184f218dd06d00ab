//! Whether a connection's client is still trusted, learned beside the connection.
//!
//! A task of its own waits for the loss, so that requests pay nothing for it.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::task::JoinHandle;

use crate::tls::{Loss, Standing};

/// Learns of a loss of trust once. The task ends with the value.
#[derive(Debug)]
pub(super) struct Trust(Option<JoinHandle<Loss>>);

impl Trust {
    /// Without a certificate there is nothing to lose.
    pub(super) fn of(standing: Option<Standing>) -> Self {
        Self(standing.map(|standing| tokio::spawn(standing.lost())))
    }

    /// Ready once, with the loss.
    pub(super) fn poll_lost(&mut self, context: &mut Context<'_>) -> Poll<Loss> {
        let Some(task) = &mut self.0 else { return Poll::Pending };
        let Poll::Ready(ended) = Pin::new(task).poll(context) else { return Poll::Pending };
        self.0 = None;
        Poll::Ready(ended.unwrap_or_else(|_panicked| Loss::unknown()))
    }
}

impl Drop for Trust {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}
