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

/// Scenario: two writers fight over the files; none of what they leave can be used, and it is never
/// the same for long.
/// Guarantees: it is said once that the last good ones serve; whoever wins is served.
#[tokio::test]
async fn files_that_never_rest_and_cannot_be_used_are_told_of() {
    let pace = Pace { most_wait: Duration::from_millis(200), ..quick() };
    let scene = scene(plain, pace, true).await;
    let is_failing = || scene.metric(r#"portcullis_tls_reload_failing{block="tls"}"#) == "1";
    let mut round = 0;
    let fought = timeout(Duration::from_secs(10), async {
        let mut more = 0;
        while more < 20 {
            round += 1;
            fs::write(&scene.cert, format!("mine {round}")).unwrap();
            fs::write(&scene.key, format!("yours {round}")).unwrap();
            tokio::time::sleep(Duration::from_millis(35)).await;
            more += usize::from(is_failing());
        }
    });
    fought.await.expect("nobody was told");
    let failures = r#"portcullis_tls_reloads_total{block="tls",result="failure"}"#;
    assert_eq!(scene.metric(failures), "1");
    assert_eq!(scene.served(), "first");
    fs::write(&scene.key, format!("mine {round}")).unwrap();
    scene.until_served(&format!("mine {round}")).await;
    assert!(!is_failing());
}

/// Guarantees: what serves though it has ended is an alarm, until another one is in force; that
/// other files were broken and are back does not end it.
#[test]
fn a_certificate_that_has_ended_and_serves_is_an_alarm() {
    let (status, metrics) = (ReloadStatus::default(), Metrics::default());
    let failing = || metrics.render().contains("portcullis_tls_reload_failing{block=\"tls\"} 1\n");
    let alarm = || status.blocks()["tls"].refused.clone();
    let published = |warnings| {
        let report = status::Report {
            generation: 1,
            before: String::new(),
            after: Default::default(),
            warnings,
        };
        tell("tls", Event::Published(report), &status, &metrics);
    };
    let ended = Problem { reason: own::EXPIRED, ..refuse("it expired").problems.remove(0) };
    published(vec![ended.clone()]);
    assert!(failing() && alarm().is_some_and(|told| told.problems == [ended]));
    tell("tls", Event::Restored, &status, &metrics);
    assert!(alarm().is_some());
    published(Vec::new());
    assert!(!failing() && alarm().is_none());
}
