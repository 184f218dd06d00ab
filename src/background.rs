//! Work that no request waits for: it yields the processor to the threads that serve.
//!
//! Guarantees that the work is done, also where the system gives it no thread of its own. Knows
//! nothing of the work.

use std::panic::resume_unwind;
use std::thread::{Builder, scope};

use tokio::task::JoinHandle;

/// Begins the work on a thread of lower priority than those that serve.
///
/// Dropping the handle does not stop it. Callers bound how many they have at a time.
pub(crate) fn spawn<T: Send + 'static>(
    name: &'static str,
    work: impl Fn() -> T + Send + Sync + 'static,
) -> JoinHandle<T> {
    // A thread of the runtime's waits beside it, for a priority once lowered cannot be raised again
    // and that thread serves others, too.
    tokio::task::spawn_blocking(move || {
        scope(|threads| {
            let own = Builder::new().name(name.to_owned()).spawn_scoped(threads, || {
                step_back();
                work()
            });
            match own {
                Ok(own) => own.join().unwrap_or_else(|panic| resume_unwind(panic)),
                Err(_no_thread) => work(),
            }
        })
    })
}

/// Leaves a busy processor three quarters of its time, and lets whoever wakes up on it go first.
/// Work of 40 ms still ends in 200.
#[cfg(target_os = "linux")]
const STEPS: i32 = 5;

#[cfg(target_os = "linux")]
fn step_back() {
    // On Linux a priority is a thread's own. A sandbox may forbid this: then requests wait a little
    // longer while certificates change, and nothing else happens.
    let _as_before = rustix::process::nice(STEPS);
}

/// Elsewhere a priority is that of the whole process.
#[cfg(not(target_os = "linux"))]
fn step_back() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn its_thread_steps_back_and_no_other_does() {
        let here = || rustix::process::getpriority_process(None).unwrap();
        let before = here();
        let there = spawn("test", here).await.unwrap();
        assert_eq!(there, (before + STEPS).min(19));
        assert_eq!(here(), before);
        assert_eq!(tokio::task::spawn_blocking(here).await.unwrap(), before);
    }

    #[tokio::test]
    async fn a_panic_is_an_error_of_whoever_waits() {
        assert!(spawn("test", || [0_u8; 0].first().copied().unwrap()).await.is_err());
        assert_eq!(spawn("test", || 7).await.unwrap(), 7);
    }
}
