//! Files that cannot be judged for a while: on a mount that hangs, or because the load itself breaks.

use std::fs;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;
use tokio::time::{Instant, timeout};

use super::*;
use crate::tls::error::{CredentialsError, Loaded, next_generation};
use crate::tls::store::{Store, Watch};

#[derive(Debug)]
struct Text(u64, String);

impl Snapshot for Text {
    fn generation(&self) -> u64 {
        self.0
    }
    fn describe(&self) -> String {
        self.1.clone()
    }
    fn judge_again(&self) -> Option<SystemTime> {
        None
    }
    fn not_after(&self) -> Option<SystemTime> {
        None
    }
}

/// A block of one file of the folder; `before_load` may hang.
fn block(
    dir: &TempDir,
    name: &'static str,
    before_load: impl Fn() + Send + Sync + 'static,
) -> (Subject, Watch<Text>) {
    let path = dir.path().join(name);
    fs::write(&path, "first").unwrap();
    let files = vec![path.clone()];
    let (store, watch) = Store::new(Text(next_generation(), "first".to_owned()));
    let before = Fingerprint::of(&files);
    let subject = Subject::new(name, (files, before), Arc::new(store), move |_before| {
        before_load();
        let text = fs::read_to_string(&path).unwrap_or_default();
        let loaded = Loaded { snapshot: Text(next_generation(), text), warnings: Vec::new() };
        Ok::<_, CredentialsError>(loaded)
    });
    (subject, watch)
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let waited = timeout(Duration::from_secs(20), async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    waited.await.unwrap_or_else(|_late| panic!("not in time: {what}"));
}

/// Scenario: reading the files of one block hangs; then those of another change.
/// Guarantees: the first is said once; the second block is reloaded without waiting for the first
/// any more; and when the first can be read again, and nothing has changed, the alarm ends.
#[tokio::test]
async fn a_block_that_hangs_keeps_no_other_from_being_reloaded() {
    let dir = tempfile::tempdir().unwrap();
    let (release, gate): (Sender<()>, _) = channel();
    let gate = Mutex::new(gate);
    let hang = move || {
        let _released = gate.lock().unwrap().recv();
    };
    let (hanging, _watch) = block(&dir, "hanging", hang);
    let (other, watch) = block(&dir, "other", || {});
    let pace = Pace {
        poll: Duration::from_millis(100),
        settle: Duration::from_millis(50),
        deadline: Duration::from_secs(2),
        ..Pace::default()
    };
    let metrics = Metrics::default();
    let reloader = Reloader::new(vec![hanging, other], pace, metrics.clone());
    let status = reloader.status();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(reloader.run());
    fs::write(dir.path().join("hanging"), "second").unwrap();
    let is_told = || status.blocks()["hanging"].refused.is_some();
    until("the hanging block is told of", is_told).await;
    let start = Instant::now();
    fs::write(dir.path().join("other"), "second").unwrap();
    until("the other block is reloaded", || watch.current().1 == "second").await;
    assert!(start.elapsed() < pace.deadline, "after {:?}", start.elapsed());
    let failures = "portcullis_tls_reloads_total{block=\"hanging\",result=\"failure\"} 1\n";
    assert!(metrics.render().contains(failures), "{}", metrics.render());
    fs::write(dir.path().join("hanging"), "first").unwrap();
    drop(release);
    until("the alarm ends", || !is_told()).await;
}

/// Scenario: files change to something over which the load itself breaks, and are put back.
/// Guarantees: it is said once, tried again ever more seldom, and the alarm ends.
#[tokio::test(start_paused = true)]
async fn a_load_that_breaks_is_said_once_and_the_alarm_ends_with_the_files_put_back() {
    let dir = tempfile::tempdir().unwrap();
    let (mut subject, watch) = block(&dir, "breaking", || panic!("on purpose"));
    let pace = Pace::default();
    fs::write(dir.path().join("breaking"), "second").unwrap();
    assert!(matches!(subject.look(&pace).await, Event::Quiet), "the files have to settle");
    let mut pauses = Vec::new();
    for round in 0..6 {
        tokio::time::advance(subject.next_look(&pace).unwrap()).await;
        let event = subject.look(&pace).await;
        if let Event::Refused(refused) = &event {
            assert_eq!(refused.problems[0].reason, "reload_failed");
        }
        assert_eq!(matches!(event, Event::Refused(_)), round == 0, "round {round}");
        pauses.push(subject.next_look(&pace).unwrap().as_millis());
    }
    assert_eq!(pauses, [300, 600, 1200, 2400, 4800, 5000]);
    assert_eq!(watch.current().1, "first");
    fs::write(dir.path().join("breaking"), "first").unwrap();
    assert!(matches!(subject.look(&pace).await, Event::Restored), "the alarm stays");
}

/// Scenario: a writer changes the files while they are loaded, after they had settled.
/// Guarantees: what was read of them, which may be parts of two sets, is not published; what they
/// hold in the end is.
#[tokio::test(start_paused = true)]
async fn files_that_change_while_they_are_loaded_are_left_to_settle() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("changing");
    let (seen, writes) = (path.clone(), std::sync::Once::new());
    let (mut subject, watch) = block(&dir, "changing", move || {
        let read = fs::read_to_string(&seen).unwrap();
        writes.call_once(|| fs::write(&seen, read + " and third").unwrap());
    });
    fs::write(&path, "second").unwrap();
    let pace = Pace::default();
    for (seen, events) in [("first", "two looks and a load"), ("second and third", "at rest")] {
        for _look in 0..2 {
            let _event = subject.look(&pace).await;
            tokio::time::advance(pace.settle).await;
        }
        assert_eq!(watch.current().1, seen, "{events}");
    }
}
