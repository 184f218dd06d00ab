//! Work that takes long, beside the threads that serve connections.
//!
//! Guarantees that no more of it runs at a time than there are processors. Knows nothing of the
//! work.

use std::sync::LazyLock;

use tokio::sync::Semaphore;

/// For the whole process.
static ROOM: LazyLock<Semaphore> = LazyLock::new(|| {
    Semaphore::new(std::thread::available_parallelism().map_or(1, std::num::NonZero::get))
});

/// Runs the work on another thread, once there is room; `None` if it panicked.
///
/// Dropping the future does not stop work that has begun: what the work owns lives as long as it.
pub(crate) async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let permit = ROOM.acquire().await.ok()?;
    let done = tokio::task::spawn_blocking(move || {
        let done = work();
        drop(permit);
        done
    });
    done.await.ok()
}

/// Work on so many bytes: on this thread if they are few, else on another.
pub(crate) async fn on<T: Send + 'static>(
    bytes: usize,
    work: impl Fn() -> T + Clone + Send + 'static,
) -> T {
    if bytes > LONG
        && let Some(done) = Box::pin(run(work.clone())).await
    {
        return done;
    }
    work()
}

/// A worker is held up for a few milliseconds by compressing so much.
const LONG: usize = 512 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_on_few_bytes_stays_here() {
        let here = std::thread::current().id();
        assert_eq!(on(LONG, || std::thread::current().id()).await, here);
        assert_ne!(on(LONG + 1, || std::thread::current().id()).await, here);
    }

    #[tokio::test]
    async fn work_is_done_on_another_thread_and_a_panic_stays_there() {
        let here = std::thread::current().id();
        assert_ne!(run(|| std::thread::current().id()).await, Some(here));
        assert_eq!(run(|| [0_u8; 0].first().copied().unwrap()).await, None);
        for _ in 0..100 {
            assert_eq!(run(|| 7).await, Some(7), "room is given back");
        }
    }
}
