//! The alarm about files that cannot be used: what it says, and that it ends.

use super::*;
use crate::tls::reload::status::Refused;

/// A block over a sound pair.
fn block(dir: &Path) -> Subject {
    plain(dir);
    let (cert, key) = (dir.join("live/tls.crt"), dir.join("live/tls.key"));
    let files = vec![cert.clone(), key.clone()];
    let before = Fingerprint::of(&files);
    let (store, _watch) = Store::new(load(&cert, &key).unwrap().snapshot);
    Subject::new("tls", (files, before), Arc::new(store), move |_before| load(&cert, &key))
}

/// Scenario: a broken file is there, then another broken one for a moment, then the first good one.
/// Guarantees: the alarm ends, though the second broken one was never refused.
#[tokio::test(start_paused = true)]
async fn files_put_back_by_way_of_other_broken_ones_end_the_alarm() {
    let dir = tempfile::tempdir().unwrap();
    let mut subject = block(dir.path());
    let key = dir.path().join("live/tls.key");
    let pace = Pace::default();
    fs::write(&key, "broken").unwrap();
    let mut alarmed = false;
    for _ in 0..5 {
        alarmed |= matches!(subject.look(&pace).await, Event::Refused(_));
        tokio::time::advance(pace.retry).await;
    }
    assert!(alarmed);
    fs::write(&key, "broken otherwise").unwrap();
    assert!(matches!(subject.look(&pace).await, Event::Quiet));
    fs::write(&key, "first").unwrap();
    assert!(matches!(subject.look(&pace).await, Event::Restored));
    assert!(matches!(subject.look(&pace).await, Event::Quiet), "said once");
}

/// Guarantees: when what is in force is over, nobody reads that the last good one is in force, and
/// the line names the block.
#[test]
fn a_certificate_that_is_over_is_not_called_the_last_good_one() {
    let (sink, _capturing) = captured();
    let status = ReloadStatus::default();
    for (until, said) in [
        (time::clock() + Duration::from_secs(60), "the last good ones stay in force"),
        (time::clock() - Duration::from_secs(60), "peers refuse this gateway"),
    ] {
        status.update("x.tls", |block| block.serving.until = Some(until));
        let refused = Refused { problems: refuse("it expired").problems, since: time::clock() };
        let before = sink.text().len();
        tell("x.tls", Event::Refused(refused), &status, &Metrics::default());
        let told = sink.text().split_off(before);
        assert!(told.contains(said) && told.contains("block=\"x.tls\""), "{told}");
        assert_eq!(told.lines().count(), 1, "{told}");
    }
}
