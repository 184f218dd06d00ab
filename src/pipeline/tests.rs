//! Every batch reaches every exporter, or the sender hears of it.

use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use tokio::time::Instant;

use super::*;
use crate::batch::{Room, Rope};
use crate::config::sections::{
    AttributeAction, AttributeEdit, AttributeLevel, LiteralValue, Processor,
};
use crate::exporter::fake::Fake;
use crate::outcome::{Accepted, PartialSuccess};

fn batch(signal: Signal, items: u64) -> Batch {
    Batch {
        signal,
        items,
        decoded: Rope::from(Bytes::from_static(b"\x0a\x00")),
        encoded: None,
        identity: None,
        deadline: Instant::now() + Duration::from_secs(5),
    }
}

fn entry(pipelines: Vec<Vec<&Fake>>) -> Entry {
    let mut routes: [Vec<Arc<Pipeline>>; 4] = Default::default();
    routes[Signal::Traces.index()] = pipelines
        .into_iter()
        .map(|fakes| {
            let exporters = fakes
                .into_iter()
                .enumerate()
                .map(|(n, fake)| Arc::new(fake.exporter(&n.to_string())))
                .collect();
            let processors = Arc::new(Processors::build(&[], &Room::new(0)).unwrap());
            Arc::new(Pipeline { processors, aside: Aside::new(1), exporters })
        })
        .collect();
    Entry { routes: Arc::new(routes), metrics: Metrics::default() }
}

fn ok() -> Outcome {
    Ok(Accepted::default())
}

fn partly(rejected: i64, message: &str) -> Outcome {
    Ok(Accepted { partial_success: Some(PartialSuccess { rejected, message: message.to_owned() }) })
}

fn failure(code: Code, wait: Option<u64>, message: &str) -> Failure {
    let mut failure = Failure::new(code, Side::Upstream, "fake", message);
    failure.retry_after = wait.map(Duration::from_secs);
    failure
}

fn run(entry: &Entry, batch: Batch) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(entry.consume(batch))
}

#[test]
fn an_entry_serves_only_the_signals_of_its_pipelines() {
    let fake = Fake::new(ok());
    let entry = entry(vec![vec![&fake]]);
    assert!(entry.serves(Signal::Traces));
    assert!(!entry.serves(Signal::Logs));
    let refusal = run(&entry, batch(Signal::Logs, 1)).unwrap_err();
    assert_eq!((refusal.code, refusal.reason), (Code::Unimplemented, "no_pipeline"));
    assert!(!Entry::default().serves(Signal::Traces));
}

#[test]
fn one_failure_fails_the_whole_and_the_others_still_get_the_batch() {
    let (good, bad) = (Fake::new(ok()), Fake::new(Err(failure(Code::Unavailable, None, "down"))));
    let entry = entry(vec![vec![&bad, &good]]);
    let answer = run(&entry, batch(Signal::Traces, 3)).unwrap_err();
    assert_eq!(answer, failure(Code::Unavailable, None, "down"));
    assert_eq!(good.seen().len(), 1);
}

#[test]
fn a_permanent_failure_makes_the_whole_permanent_and_takes_no_hint_from_others() {
    let exhausted = Fake::new(Err(failure(Code::ResourceExhausted, None, "too large")));
    let busy = Fake::new(Err(failure(Code::Unavailable, Some(7), "busy")));
    let entry = entry(vec![vec![&busy, &exhausted]]);
    let answer = run(&entry, batch(Signal::Traces, 3)).unwrap_err();
    assert!(!answer.is_retryable());
    assert_eq!(answer, failure(Code::ResourceExhausted, None, "too large; busy"));
}

#[test]
fn retryable_failures_join_to_the_longest_hint() {
    let one = Fake::new(Err(failure(Code::Unavailable, Some(2), "a")));
    let two = Fake::new(Err(failure(Code::ResourceExhausted, Some(9), "b")));
    let entry = entry(vec![vec![&one], vec![&two]]);
    let answer = run(&entry, batch(Signal::Traces, 3)).unwrap_err();
    assert_eq!(answer, failure(Code::Unavailable, Some(9), "a; b"));
}

#[test]
fn partial_successes_are_summed_and_never_exceed_the_items() {
    let (one, two) = (Fake::new(partly(2, "old")), Fake::new(partly(2, "big")));
    let whole = Fake::new(ok());
    let entry = entry(vec![vec![&one, &whole, &two]]);
    assert_eq!(run(&entry, batch(Signal::Traces, 9)), partly(4, "old; big"));
    assert_eq!(run(&entry, batch(Signal::Traces, 3)), partly(3, "old; big"));
}

/// A pipeline that sets an attribute and gives its batches to `fake`.
fn editing(fake: &Fake) -> Pipeline {
    let action = AttributeAction::Upsert(LiteralValue::Bool(true));
    let edit = AttributeEdit { level: AttributeLevel::Resource, key: "k".to_owned(), action };
    let processors =
        Processors::build(&[&Processor::Attributes(vec![edit])], &Room::new(4096)).unwrap();
    let exporters = vec![Arc::new(fake.exporter("a"))];
    Pipeline { processors: Arc::new(processors), aside: Aside::new(1), exporters }
}

/// An empty resource, and a long field that OTLP does not know.
fn large(patience: Duration) -> Batch {
    let unknown = [b"\x0a\x00\xea\x04\x80\x80\x20", vec![0; LONG].as_slice()].concat();
    let deadline = Instant::now() + patience;
    Batch { decoded: Rope::from(Bytes::from(unknown)), deadline, ..batch(Signal::Traces, 1) }
}

const PATIENCE: Duration = Duration::from_secs(20);

/// Scenario: a request of a megabyte and a small one; an edit applies to both. There is no room for
/// work beside the thread until the small one is answered.
/// Guarantees: the large one does not keep the thread from others, and both are edited.
#[tokio::test]
async fn a_large_request_is_edited_beside_the_thread_that_serves_others() {
    let fake = Fake::new(ok());
    let (pipeline, metrics) = (editing(&fake), Metrics::default());
    let busy = pipeline.aside.occupy().await;
    let small = async {
        let answer = pipeline.consume(batch(Signal::Traces, 2), &metrics).await;
        drop(busy);
        answer
    };
    let (one, two) = tokio::join!(pipeline.consume(large(PATIENCE), &metrics), small);
    assert_eq!((one, two), (ok(), ok()));
    let seen = fake.seen();
    assert_eq!(seen.iter().map(|batch| batch.items).collect::<Vec<_>>(), [2, 1]);
    let added = seen[0].decoded.len() - 2;
    assert!(added > 0);
    assert_eq!(seen[1].decoded.len(), LONG + 7 + added);
}

/// Scenario: a large request for whose edit there is no room until its deadline, one over which the
/// program breaks down, and one more.
/// Guarantees: each of the first two fails by itself, is counted and goes nowhere; the last is
/// edited.
#[tokio::test]
async fn an_edit_that_is_too_late_or_panics_fails_its_request_alone() {
    let fake = Fake::new(ok());
    let (pipeline, metrics) = (editing(&fake), Metrics::default());
    let busy = pipeline.aside.occupy().await;
    let late = pipeline.consume(large(Duration::from_millis(50)), &metrics).await.unwrap_err();
    assert_eq!((late.code, late.reason), (Code::DeadlineExceeded, "edit_deadline"));
    assert!(late.is_retryable());
    drop(busy);
    pipeline.aside.break_next();
    let broken = pipeline.consume(large(PATIENCE), &metrics).await.unwrap_err();
    assert_eq!((broken.code, broken.reason), (Code::Internal, "edit_panicked"));
    for reason in ["edit_deadline", "edit_panicked"] {
        let counted = format!("portcullis_requests_refused_total{{reason=\"{reason}\"}} 1\n");
        assert!(metrics.render().contains(&counted), "{}", metrics.render());
    }
    assert!(fake.seen().is_empty());
    assert_eq!(pipeline.consume(large(PATIENCE), &metrics).await, ok());
}

fn answers() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        Just(ok()),
        (0_i64..5).prop_map(|rejected| partly(rejected, "part")),
        (0_i32..17, proptest::option::of(0_u64..60))
            .prop_filter("an error", |(code, _)| *code != 0)
            .prop_map(|(code, wait)| Err(failure(Code::from_i32(code), wait, "no"))),
    ]
}

proptest! {
    /// Scenario: any pipelines with any exporters that answer anything.
    /// Guarantees: every exporter gets the batch exactly once; OK if and only if all said OK;
    /// retryable if and only if all failures are.
    #[test]
    fn a_batch_reaches_all_or_the_sender_gets_a_failure(
        plan in proptest::collection::vec(proptest::collection::vec(answers(), 1..4), 1..4)
    ) {
        let fakes: Vec<Vec<Fake>> =
            plan.iter().map(|p| p.iter().map(|a| Fake::new(a.clone())).collect()).collect();
        let entry = entry(fakes.iter().map(|p| p.iter().collect()).collect());
        let answer = run(&entry, batch(Signal::Traces, 5));
        for fake in fakes.iter().flatten() {
            prop_assert_eq!(fake.seen().len(), 1);
        }
        let failures: Vec<_> =
            plan.iter().flatten().filter_map(|a| a.as_ref().err()).collect();
        prop_assert_eq!(answer.is_ok(), failures.is_empty());
        if let Err(answer) = answer {
            prop_assert_eq!(answer.is_retryable(), failures.iter().all(|f| f.is_retryable()));
            prop_assert!(failures.iter().any(|f| f.code == answer.code));
        }
    }
}
