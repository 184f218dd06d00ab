//! Files that must be judged again, for a validity among them ends.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::task::JoinSet;

use super::*;

/// A block whose files must be judged again by now, and which are sound only if they say so. How
/// often they were judged is counted.
fn judged_again(dir: &Path) -> (Subject, Watch<Pair>, Arc<AtomicUsize>) {
    plain(dir);
    let (cert, key) = (dir.join("live/tls.crt"), dir.join("live/tls.key"));
    let files = vec![cert.clone(), key.clone()];
    let before = Fingerprint::of(&files);
    let mut first = load(&cert, &key).unwrap().snapshot;
    first.judge_again = Some(SystemTime::now());
    let (store, watch) = Store::new(first);
    let judged = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&judged);
    let subject = Subject::new("tls", (files, before), Arc::new(store), move |_before| {
        count.fetch_add(1, Ordering::SeqCst);
        let loaded = load(&cert, &key)?;
        if loaded.snapshot.text == "sound" { Ok(loaded) } else { Err(refuse("it has expired")) }
    });
    (subject, watch, judged)
}

/// Scenario: a validity ends, and the files with it cannot be used any more.
/// Guarantees: they are tried again more and more seldom, as all that is refused, and no more
/// seldom than that.
#[tokio::test(start_paused = true)]
async fn files_refused_at_the_end_of_a_validity_are_tried_again_ever_more_seldom() {
    let dir = tempfile::tempdir().unwrap();
    let (mut subject, _watch, judged) = judged_again(dir.path());
    let pace = Pace::default();
    let mut pauses = Vec::new();
    for round in 1..=8 {
        let _event = subject.look(&pace).await;
        assert_eq!(judged.load(Ordering::SeqCst), round, "each look judges them");
        let pause = subject.next_look(&pace).unwrap();
        pauses.push(pause.as_millis());
        tokio::time::advance(pause).await;
    }
    assert_eq!(pauses, [300, 600, 1200, 2400, 4800, 5000, 5000, 5000]);
}

/// Scenario: the same, and the files are mended after they were refused for long.
/// Guarantees: they are in force within a second of being told to look, and within 11 s without.
#[tokio::test(start_paused = true)]
async fn mended_files_are_taken_up_after_a_validity_ended_and_they_were_refused() {
    for (told, most) in [(true, 1), (false, 11)] {
        let dir = tempfile::tempdir().unwrap();
        let (subject, watch, judged) = judged_again(dir.path());
        let reloader = Reloader::new(vec![subject], Pace::default(), Metrics::default());
        let reloader = reloader.without_events();
        let look = reloader.force();
        let mut tasks = JoinSet::new();
        tasks.spawn(reloader.run());
        tokio::time::sleep(Duration::from_secs(30)).await;
        let tries = judged.load(Ordering::SeqCst);
        assert!((5..15).contains(&tries), "tried {tries} times within 30 s");
        fs::write(dir.path().join("live/tls.key"), "sound").unwrap();
        fs::write(dir.path().join("live/tls.crt"), "sound").unwrap();
        if told {
            look.notify_one();
        }
        let mended = Instant::now();
        while watch.current().text != "sound" {
            tokio::time::sleep(Duration::from_millis(10)).await;
            assert!(mended.elapsed() < Duration::from_secs(most), "not within {most} s");
        }
    }
}
