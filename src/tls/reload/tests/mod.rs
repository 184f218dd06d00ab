//! Files written the way people's tools write them, and what is then in force.

mod alarm;
mod boundary;
mod folders;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::*;
use crate::config::{Problem, Span};
use crate::telemetry::testing::captured;
use crate::tls::error::{CredentialsError, Loaded};
use crate::tls::store::{Store, Watch};
use crate::tls::time::testing::Shift;

/// A pair that is sound when both halves say the same.
#[derive(Debug)]
struct Pair {
    generation: u64,
    text: String,
    judge_again: Option<SystemTime>,
}

impl Snapshot for Pair {
    fn generation(&self) -> u64 {
        self.generation
    }
    fn describe(&self) -> String {
        self.text.clone()
    }
    fn judge_again(&self) -> Option<SystemTime> {
        self.judge_again
    }
    fn not_after(&self) -> Option<SystemTime> {
        None
    }
}

fn load(cert: &Path, key: &Path) -> Result<Loaded<Pair>, CredentialsError> {
    let read =
        |path: &Path| crate::tls::file::read(path).map_err(|error| refuse(&error.to_string()));
    let (cert, key) = (read(cert)?, read(key)?);
    if cert != key || cert.is_empty() {
        return Err(refuse("key and certificate differ"));
    }
    let text = String::from_utf8(cert).map_err(|error| refuse(&error.to_string()))?;
    let generation = crate::tls::error::next_generation();
    Ok(Loaded { snapshot: Pair { generation, text, judge_again: None }, warnings: Vec::new() })
}

fn refuse(message: &str) -> CredentialsError {
    CredentialsError::from(Problem {
        span: Span::default(),
        key_path: "tls.cert_file".to_owned(),
        message: message.to_owned(),
        help: None,
        reason: "key_mismatch",
    })
}

struct Scene {
    dir: TempDir,
    cert: PathBuf,
    key: PathBuf,
    watch: Watch<Pair>,
    status: ReloadStatus,
    metrics: Metrics,
    force: Arc<Notify>,
    _reloader: tokio::task::JoinSet<()>,
}

fn quick() -> Pace {
    Pace {
        poll: Duration::from_secs(60),
        settle: Duration::from_millis(60),
        most_wait: Duration::from_secs(2),
        retry: Duration::from_millis(200),
        deadline: Duration::from_secs(5),
    }
}

/// Starts a reloader over the pair that `write` makes in a fresh folder; `cert` and `key` are the
/// paths in the configuration.
async fn scene(write: impl FnOnce(&Path), pace: Pace, events: bool) -> Scene {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path());
    let (cert, key) = (dir.path().join("live/tls.crt"), dir.path().join("live/tls.key"));
    let files = vec![cert.clone(), key.clone()];
    let before = Fingerprint::of(&files);
    let (store, watch) = Store::new(load(&cert, &key).unwrap().snapshot);
    let paths = (cert.clone(), key.clone());
    let subject = Subject::new("tls", (files, before), Arc::new(store), move |_before| {
        load(&paths.0, &paths.1)
    });
    let metrics = Metrics::default();
    let mut reloader = Reloader::new(vec![subject], pace, metrics.clone());
    if !events {
        reloader = reloader.without_events();
    }
    let (status, force) = (reloader.status(), reloader.force());
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(reloader.run());
    let scene = Scene { dir, cert, key, watch, status, metrics, force, _reloader: tasks };
    if events {
        scene.until(|scene| scene.metric("portcullis_tls_watcher") == "1").await;
    } else {
        scene.until(|scene| scene.metric("portcullis_tls_watcher") == "0").await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    scene
}

fn plain(dir: &Path) {
    fs::create_dir(dir.join("live")).unwrap();
    fs::write(dir.join("live/tls.crt"), "first").unwrap();
    fs::write(dir.join("live/tls.key"), "first").unwrap();
}

impl Scene {
    fn served(&self) -> String {
        self.watch.current().text.clone()
    }

    fn metric(&self, series: &str) -> String {
        let text = self.metrics.render();
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_default().to_owned()
    }

    async fn until(&self, condition: impl Fn(&Self) -> bool) {
        let waited = timeout(Duration::from_secs(5), async {
            while !condition(self) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        waited.await.expect("it did not happen within 5 s");
    }

    async fn until_served(&self, text: &str) {
        self.until(|scene| scene.served() == text).await;
    }
}

#[tokio::test]
async fn t16_files_written_in_place_one_after_the_other_are_taken_together() {
    let scene = scene(plain, quick(), true).await;
    for text in ["second", "third"] {
        fs::write(&scene.key, text).unwrap();
        tokio::time::sleep(Duration::from_millis(30)).await;
        fs::write(&scene.cert, text).unwrap();
        scene.until_served(text).await;
    }
    assert_eq!(scene.metric(r#"portcullis_tls_reload_failing{block="tls"}"#), "0");
}

#[tokio::test]
async fn a_file_removed_and_made_again_is_taken() {
    let scene = scene(plain, quick(), true).await;
    fs::remove_file(&scene.cert).unwrap();
    fs::remove_file(&scene.key).unwrap();
    fs::write(&scene.cert, "second").unwrap();
    fs::write(&scene.key, "second").unwrap();
    scene.until_served("second").await;
}

/// Scenario: a pair that does not match, then the mend.
/// Guarantees: the last good pair stays in force, the fault is known with its reason and is told
/// once, and the mend is taken up by itself.
#[tokio::test]
async fn t15_a_broken_pair_keeps_the_last_good_one_loudly_until_it_is_mended() {
    let scene = scene(plain, quick(), true).await;
    let failures = r#"portcullis_tls_reloads_total{block="tls",result="failure"}"#;
    fs::write(&scene.key, "broken").unwrap();
    scene.until(|scene| scene.status.blocks()["tls"].refused.is_some()).await;
    assert_eq!(
        scene.status.blocks()["tls"].refused.as_ref().unwrap().problems[0].reason,
        "key_mismatch"
    );
    assert_eq!(scene.served(), "first");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(scene.metric(failures), "1");
    fs::write(&scene.cert, "broken").unwrap();
    scene.until_served("broken").await;
    assert_eq!(scene.status.blocks()["tls"].refused, None);
}

#[tokio::test]
async fn putting_the_files_back_ends_the_alarm_without_a_new_generation() {
    let scene = scene(plain, quick(), true).await;
    let generation = scene.watch.current().generation;
    fs::write(&scene.key, "broken").unwrap();
    scene.until(|scene| scene.status.blocks()["tls"].refused.is_some()).await;
    fs::write(&scene.key, "first").unwrap();
    scene.until(|scene| scene.status.blocks()["tls"].refused.is_none()).await;
    assert_eq!(scene.watch.current().generation, generation);
}

#[tokio::test]
async fn rewriting_the_same_bytes_makes_no_new_generation() {
    let scene = scene(plain, quick(), true).await;
    let generation = scene.watch.current().generation;
    for _ in 0..5 {
        fs::write(&scene.cert, "first").unwrap();
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(scene.watch.current().generation, generation);
}

#[tokio::test]
async fn without_events_the_poll_finds_a_change_with_the_same_size_and_time() {
    let pace = Pace { poll: Duration::from_millis(100), ..quick() };
    let scene = scene(plain, pace, false).await;
    let modified = fs::metadata(&scene.cert).unwrap().modified().unwrap();
    for path in [&scene.cert, &scene.key] {
        fs::write(path, "FIRST").unwrap();
        fs::File::options().write(true).open(path).unwrap().set_modified(modified).unwrap();
    }
    scene.until_served("FIRST").await;
}

#[tokio::test]
async fn a_hangup_looks_at_once() {
    let scene = scene(plain, quick(), false).await;
    fs::write(&scene.cert, "second").unwrap();
    fs::write(&scene.key, "second").unwrap();
    scene.force.notify_one();
    scene.until_served("second").await;
}

/// Scenario: one file is rewritten without a pause, always sound.
/// Guarantees: a set that never settles is still taken up after the longest wait.
#[tokio::test]
async fn t18_files_that_never_rest_do_not_starve_the_reload() {
    let pace = Pace { most_wait: Duration::from_millis(300), ..quick() };
    let scene = scene(plain, pace, true).await;
    let live = scene.dir.path().join("live");
    let mut round = 0;
    let waited = timeout(Duration::from_secs(10), async {
        while scene.served() == "first" {
            round += 1;
            let fresh = scene.dir.path().join("fresh");
            fs::create_dir(&fresh).unwrap();
            fs::write(fresh.join("tls.crt"), round.to_string()).unwrap();
            fs::write(fresh.join("tls.key"), round.to_string()).unwrap();
            fs::rename(&live, scene.dir.path().join(format!("before-{round}"))).unwrap();
            fs::rename(&fresh, &live).unwrap();
            tokio::time::sleep(Duration::from_millis(45)).await;
        }
    });
    waited.await.expect("nothing was taken up");
}

/// Scenario: a look at half a set takes long, as on a disk that is busy; meanwhile the other half
/// is written.
/// Guarantees: the next look does not wait for a multiple of that.
#[tokio::test]
async fn a_look_that_took_long_does_not_put_off_the_next_one() {
    let dir = tempfile::tempdir().unwrap();
    plain(dir.path());
    let (cert, key) = (dir.path().join("live/tls.crt"), dir.path().join("live/tls.key"));
    let files = vec![cert.clone(), key.clone()];
    let (store, watch) = Store::new(load(&cert, &key).unwrap().snapshot);
    let (slow, mut refused) = tokio::sync::watch::channel(false);
    let paths = (cert.clone(), key.clone());
    let subject =
        Subject::new("tls", (files.clone(), Fingerprint::of(&files)), Arc::new(store), move |_| {
            let loaded = load(&paths.0, &paths.1);
            if loaded.is_err() {
                slow.send_replace(true);
                std::thread::sleep(Duration::from_millis(800));
            }
            loaded
        });
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(Reloader::new(vec![subject], quick(), Metrics::default()).run());
    fs::write(&key, "second").unwrap();
    timeout(Duration::from_secs(5), refused.wait_for(|slow| *slow)).await.unwrap().unwrap();
    fs::write(&cert, "second").unwrap();
    let waited = timeout(Duration::from_millis(2400), async {
        while watch.current().text != "second" {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    waited.await.expect("four times as long as the look took was waited");
}

/// Scenario: nothing changes on disk; the clock is set a year ahead, and back.
/// Guarantees: each is warned about once, with what to do, and the files are judged again by the
/// new time.
#[tokio::test]
async fn t46_a_clock_that_is_set_is_warned_about_once_and_all_is_judged_again() {
    let (sink, _capturing) = captured();
    let scene = scene(plain, quick(), true).await;
    let mut shifts = Vec::new();
    for (shift, way) in [(YEAR, "set forward by 365 days"), (0, "set back by 365 days")] {
        let before = scene.watch.current().generation;
        shifts.push(Shift::by(shift));
        for _ in 0..2 {
            scene.force.notify_one();
            scene.until(|scene| scene.watch.current().generation > before).await;
            tokio::task::yield_now().await;
        }
        let log = sink.text();
        let said: Vec<_> = log.lines().filter(|line| line.contains(way)).collect();
        assert_eq!(said.len(), 1, "{log}");
        assert!(said[0].contains("clock_was_set") && said[0].contains("is NTP running"), "{log}");
    }
    assert_eq!(sink.text().matches("clock_was_set").count(), 2);
}

const YEAR: i64 = 365 * 86400 + 60;
