//! Work that takes long, beside the threads that serve connections.
//!
//! Guarantees that no more of it runs at a time than the configuration says, that nobody waits for
//! it past a deadline, and that a panic stays in it. Knows nothing of the work.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

/// Where such work is done; clones share the room.
#[derive(Clone, Debug)]
pub(crate) struct Aside {
    room: Arc<Semaphore>,
    #[cfg(test)]
    faulty: Arc<std::sync::atomic::AtomicUsize>,
}

/// Why there is no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Undone {
    /// The deadline passed before there was room, or before the work was done.
    #[error("it was not done before its deadline")]
    Late,
    /// The log has where and why.
    #[error("it panicked")]
    Panicked,
}

impl Aside {
    /// Room for so much at a time.
    pub(crate) fn new(room: usize) -> Self {
        Self {
            room: Arc::new(Semaphore::new(room)),
            #[cfg(test)]
            faulty: Arc::default(),
        }
    }

    /// Runs the work on another thread, once there is room: first come, first served.
    ///
    /// The deadline, which is that of the request, is all that bounds the wait. Whoever waits holds
    /// the bytes of its request, so those who wait are as many as the listeners' limits of bytes
    /// allow. Work whose time is over before it begins never begins, and its place is free at once,
    /// as it is when the future is dropped. What has begun goes on until it is done: neither stops
    /// it, and it keeps what it owns and its room until then.
    ///
    /// # Errors
    /// It took too long, or panicked. It is not tried again.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        deadline: Instant,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Undone> {
        let done = async {
            // The semaphore is never closed.
            let place =
                Arc::clone(&self.room).acquire_owned().await.map_err(|_closed| Undone::Late)?;
            #[cfg(test)]
            let work = self.spoilt(work);
            let done = tokio::task::spawn_blocking(move || {
                let done = work();
                drop(place);
                done
            });
            done.await.map_err(|_panicked| Undone::Panicked)
        };
        timeout_at(deadline, done).await.unwrap_or(Err(Undone::Late))
    }

    /// Work on so many bytes: on this thread if they are few, else as [`Aside::run`] does it.
    ///
    /// # Errors
    /// As there.
    pub(crate) async fn on<T: Send + 'static>(
        &self,
        bytes: usize,
        deadline: Instant,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Undone> {
        if bytes > LONG {
            return Box::pin(self.run(deadline, work)).await;
        }
        // Whatever it leaves half done, it owns.
        catch_unwind(AssertUnwindSafe(work)).map_err(|_panic| Undone::Panicked)
    }
}

/// Does work on this thread; `None` if it panicked, which ends it. The log has where and why.
///
/// What it leaves half done must be its own, or be locked and right at every moment.
pub(crate) async fn contained<T>(work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
        Ok(polled) => polled.map(Some),
        Err(_panic) => Poll::Ready(None),
    })
    .await
}

/// A worker is held up for a few milliseconds by compressing so much.
const LONG: usize = 512 << 10;

#[cfg(test)]
mod testing {
    //! Room that is full, and work that breaks, when a test wants it.

    use std::sync::atomic::Ordering;

    use tokio::sync::OwnedSemaphorePermit;

    use super::*;

    impl Aside {
        /// The next work beside the workers panics.
        pub(crate) fn break_next(&self) {
            self.faulty.fetch_add(1, Ordering::SeqCst);
        }

        /// How much more may begin now.
        pub(crate) fn room(&self) -> usize {
            self.room.available_permits()
        }

        /// Takes one place until the value is dropped.
        pub(crate) async fn occupy(&self) -> OwnedSemaphorePermit {
            Arc::clone(&self.room).acquire_owned().await.unwrap()
        }

        pub(super) fn spoilt<T, W: FnOnce() -> T>(
            &self,
            work: W,
        ) -> impl FnOnce() -> T + use<T, W> {
            let less = |left: usize| left.checked_sub(1);
            let fails = self.faulty.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok();
            move || {
                assert!(!fails, "as the test wants it");
                work()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Condvar, Mutex};
    use std::time::Duration;

    use tokio::task::JoinSet;

    use super::*;

    const IN_TIME: Duration = Duration::from_secs(20);

    fn in_time() -> Instant {
        Instant::now() + IN_TIME
    }

    #[tokio::test]
    async fn work_on_few_bytes_stays_here_and_on_more_does_not() {
        let (aside, here) = (Aside::new(1), std::thread::current().id());
        let place = || std::thread::current().id();
        assert_eq!(aside.on(LONG, in_time(), place).await, Ok(here));
        assert_ne!(aside.on(LONG + 1, in_time(), place).await, Ok(here));
    }

    /// Guarantees: work that panics is done once only, whoever waits for it is told, and the room
    /// is given back.
    #[tokio::test]
    async fn a_panic_is_told_and_the_work_is_not_done_again() {
        let aside = Aside::new(1);
        for bytes in [LONG, LONG + 1] {
            for _ in 0..3 {
                let tries = Arc::<AtomicUsize>::default();
                let work = {
                    let tries = Arc::clone(&tries);
                    move || {
                        tries.fetch_add(1, Ordering::SeqCst);
                        [0_u8; 0].first().copied().unwrap()
                    }
                };
                assert_eq!(aside.on(bytes, in_time(), work).await, Err(Undone::Panicked));
                assert_eq!(tries.load(Ordering::SeqCst), 1);
            }
        }
        assert_eq!(aside.run(in_time(), || 7).await, Ok(7), "room is given back");
    }

    #[tokio::test]
    async fn a_panic_is_contained_wherever_the_work_has_waited_before() {
        assert_eq!(contained(async { 7 }).await, Some(7));
        for waits in [false, true] {
            let broken = contained(async {
                if waits {
                    tokio::task::yield_now().await;
                }
                [0_u8; 0].first().copied().unwrap()
            });
            assert_eq!(broken.await, None, "after a wait: {waits}");
        }
    }

    /// Guarantees: as much runs at a time as there is room for, and no more.
    #[tokio::test]
    async fn as_much_runs_at_a_time_as_there_is_room_for() {
        const ROOM: usize = 3;
        let aside = Aside::new(ROOM);
        // Each waits for the others: with less room, they would not meet.
        let meeting = Arc::<(Mutex<usize>, Condvar)>::default();
        let meet = |(come, changed): &(Mutex<usize>, Condvar)| {
            let mut count = come.lock().unwrap();
            *count += 1;
            changed.notify_all();
            let missing = |count: &mut usize| *count < ROOM;
            !changed.wait_timeout_while(count, IN_TIME, missing).unwrap().1.timed_out()
        };
        let mut work = JoinSet::new();
        for _ in 0..ROOM {
            let (aside, meeting) = (aside.clone(), Arc::clone(&meeting));
            work.spawn(async move { aside.run(in_time() + IN_TIME, move || meet(&meeting)).await });
        }
        assert_eq!(work.join_all().await, [Ok(true); ROOM]);
        let mut taken = Vec::new();
        for _ in 0..ROOM - 1 {
            taken.push(aside.occupy().await);
        }
        assert_eq!(aside.run(in_time(), || 7).await, Ok(7), "there is room for one more");
        taken.push(aside.occupy().await);
        let soon = Instant::now() + Duration::from_millis(50);
        assert_eq!(aside.run(soon, || 7).await, Err(Undone::Late), "there is room for no more");
    }

    /// Guarantees: work keeps its room until it is done, also when nobody waits for it any more.
    #[tokio::test]
    async fn work_that_has_begun_keeps_its_room_until_it_is_done() {
        let aside = Aside::new(1);
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let (end, may_end) = std::sync::mpsc::channel::<()>();
        let work = move || {
            begun.send(()).unwrap();
            may_end.recv_timeout(IN_TIME)
        };
        let waits = tokio::spawn({
            let aside = aside.clone();
            async move { aside.run(in_time(), work).await }
        });
        has_begun.await.unwrap();
        let soon = || Instant::now() + Duration::from_millis(20);
        assert_eq!(aside.run(soon(), || 7).await, Err(Undone::Late));
        waits.abort();
        assert!(waits.await.unwrap_err().is_cancelled());
        assert_eq!(aside.run(soon(), || 7).await, Err(Undone::Late), "nobody waits for it");
        end.send(()).unwrap();
        assert_eq!(aside.run(in_time(), || 7).await, Ok(7));
    }

    /// Guarantees: whoever waits for room waits until its deadline and no longer, its work never
    /// begins, what it owns is let go of, and its place goes to the next.
    #[tokio::test(start_paused = true)]
    async fn a_wait_for_room_ends_with_the_deadline_and_takes_nobodys_place() {
        let aside = Aside::new(1);
        let taken = aside.occupy().await;
        let began = Instant::now();
        let begun = Arc::<AtomicUsize>::default();
        let work = {
            let begun = Arc::clone(&begun);
            move || begun.fetch_add(1, Ordering::SeqCst)
        };
        let wait = Duration::from_secs(5);
        assert_eq!(aside.run(began + wait, work).await, Err(Undone::Late));
        assert_eq!(began.elapsed(), wait);
        assert_eq!(Arc::strong_count(&begun), 1, "what it owned is let go of");
        assert_eq!(begun.load(Ordering::SeqCst), 0);
        drop(taken);
        assert_eq!(aside.run(in_time(), || 7).await, Ok(7));
    }
}
