//! One answer out of many.
//!
//! Guarantees that an OK means that everyone said OK, and that nothing of what they said (retry
//! hint, details, partial success) is lost. Knows nothing of who was asked.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::outcome::{Accepted, Failure, Outcome, PartialSuccess, shorten};

/// Runs all futures at the same time, to the end, and keeps the order of the answers. There are
/// as many as the configuration names exporters or pipelines, so polling all of them at each
/// wake-up costs little.
pub(super) fn all<F: Future<Output = Outcome>>(answers: impl Iterator<Item = F>) -> All<F> {
    All(answers.map(|future| Slot::Waiting(Box::pin(future))).collect())
}

/// The future of [`all`].
pub(super) struct All<F>(Vec<Slot<F>>);

enum Slot<F> {
    Done(Outcome),
    Waiting(Pin<Box<F>>),
}

impl<F: Future<Output = Outcome>> Future for All<F> {
    type Output = Vec<Outcome>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Vec<Outcome>> {
        let mut waiting = false;
        for slot in &mut self.0 {
            if let Slot::Waiting(future) = slot {
                match future.as_mut().poll(context) {
                    Poll::Ready(outcome) => *slot = Slot::Done(outcome),
                    Poll::Pending => waiting = true,
                }
            }
        }
        if waiting {
            return Poll::Pending;
        }
        let done = std::mem::take(&mut self.0).into_iter().filter_map(|slot| match slot {
            Slot::Done(outcome) => Some(outcome),
            Slot::Waiting(_) => None,
        });
        Poll::Ready(done.collect())
    }
}

/// The answer for the sender when these were the answers for each destination.
///
/// As in the Collector (contract 5.2) one failure fails the whole, and one permanent failure makes
/// the whole permanent: a retry would double the data at those who accepted, and never reach the
/// one who will not. The failure passed on is the first of the worse kind; the others are added to
/// its message. Rejected items are summed, for it is not known whether two backends rejected the
/// same ones, and never exceed `items`.
pub(super) fn join(answers: Vec<Outcome>, items: u64) -> Outcome {
    let mut accepted = Vec::new();
    let mut failures = Vec::new();
    for answer in answers {
        match answer {
            Ok(answer) => accepted.extend(answer.partial_success),
            Err(failure) => failures.push(failure),
        }
    }
    if failures.is_empty() {
        Ok(Accepted { partial_success: join_partial(accepted, items) })
    } else {
        Err(join_failures(failures))
    }
}

fn join_partial(parts: Vec<PartialSuccess>, items: u64) -> Option<PartialSuccess> {
    let most = i64::try_from(items).unwrap_or(i64::MAX);
    parts.into_iter().reduce(|mut whole, part| {
        whole.rejected = whole.rejected.saturating_add(part.rejected).min(most);
        whole.message = join_texts(whole.message, &part.message);
        whole
    })
}

fn join_failures(mut failures: Vec<Failure>) -> Failure {
    let permanent = failures.iter().position(|failure| !failure.is_retryable());
    let longest_wait = failures.iter().filter_map(|failure| failure.retry_after).max();
    let mut chosen = failures.remove(permanent.unwrap_or(0));
    if permanent.is_none() {
        // The sender comes back to all of them, so the slowest sets the pace.
        chosen.retry_after = longest_wait;
    }
    for other in failures {
        chosen.message = join_texts(chosen.message, &other.message);
    }
    chosen
}

fn join_texts(mut first: String, second: &str) -> String {
    if first.is_empty() {
        return second.to_owned();
    }
    if !second.is_empty() && first != second {
        first.push_str("; ");
        first.push_str(second);
    }
    shorten(first)
}
