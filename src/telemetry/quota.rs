//! Lines that strangers can bring about: so many in a while, and how many were left out.

use std::time::Duration;

use tokio::time::Instant;

/// See the module.
#[derive(Debug)]
pub(crate) struct Quota {
    lines: u32,
    window: Duration,
    /// When the window began with its first line.
    began: Option<Instant>,
    said: u32,
    unsaid: u64,
}

impl Quota {
    /// At most so many lines in a window of this length.
    pub(crate) const fn new(lines: u32, window: Duration) -> Self {
        Self { lines, window, began: None, said: 0, unsaid: 0 }
    }

    /// How many were left out since the last line, if one may be said now. Otherwise it is left out,
    /// too.
    pub(crate) fn take(&mut self, now: Instant) -> Option<u64> {
        if self.is_used_up(now) {
            self.unsaid = self.unsaid.saturating_add(1);
            return None;
        }
        if self.is_over(now) {
            self.began = Some(now);
            self.said = 0;
        }
        self.said += 1;
        Some(std::mem::take(&mut self.unsaid))
    }

    /// Whether no line may be said now.
    pub(super) fn is_used_up(&self, now: Instant) -> bool {
        self.said >= self.lines && !self.is_over(now)
    }

    /// How many were left out since the last line.
    pub(super) fn unsaid(&self) -> u64 {
        self.unsaid
    }

    fn is_over(&self, now: Instant) -> bool {
        self.began.is_none_or(|began| now.duration_since(began) >= self.window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn one_line_in_ten_seconds_with_the_number_of_the_others() {
        let (mut quota, now) = (Quota::new(1, WINDOW), Instant::now());
        assert_eq!(quota.take(now), Some(0));
        assert_eq!((quota.take(now), quota.take(now)), (None, None));
        assert_eq!(quota.take(now + WINDOW / 2), None);
        assert_eq!(quota.take(now + WINDOW), Some(3));
        assert_eq!(quota.take(now + WINDOW), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_window_has_as_many_lines_as_it_should_and_no_more() {
        let (mut quota, now) = (Quota::new(3, WINDOW), Instant::now());
        for window in [now, now + WINDOW, now + 5 * WINDOW] {
            let said = (0..4).filter(|_| quota.take(window).is_some()).count();
            assert_eq!(said, 3);
        }
    }
}
