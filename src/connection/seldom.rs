//! Lines that strangers can bring about: one in a while, and how many were left out.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Seldom(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    said: Option<Instant>,
    unsaid: u64,
}

impl Seldom {
    /// How many were left out since the last one, if this one may be said.
    pub(super) fn weigh(&self) -> Option<u64> {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if memory.said.is_some_and(|said| now.duration_since(said) < AGAIN) {
            memory.unsaid += 1;
            return None;
        }
        memory.said = Some(now);
        Some(std::mem::take(&mut memory.unsaid))
    }
}

const AGAIN: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_line_in_ten_seconds_with_the_number_of_the_others() {
        let seldom = Seldom::default();
        assert_eq!(seldom.weigh(), Some(0));
        assert_eq!((seldom.weigh(), seldom.weigh()), (None, None));
        tokio::time::advance(AGAIN).await;
        assert_eq!(seldom.weigh(), Some(2));
    }
}
