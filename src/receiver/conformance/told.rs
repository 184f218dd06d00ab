//! What the operator reads in the log, whom no sender tells anything.

use super::requests::{call, export, framed};
use super::support::Gate;
use crate::signal::Signal;
use crate::telemetry::testing::captured;

/// Guarantees: requests for which there is no room are in the log, with the key to raise, once a
/// minute, however many they are.
#[tokio::test]
async fn a_lack_of_room_is_said_once_with_what_to_do() {
    let (sink, _capturing) = captured();
    let gate = Gate::grpc(|server| server.limits.max_in_flight_bytes = 1000);
    let message = framed(false, &export(Signal::Traces, 5));
    let mut others = gate.shared.0.budget.request().unwrap();
    others.grow(900).unwrap();
    for _ in 0..3 {
        let reply = gate.ask(call(Signal::Traces, message.clone())).await;
        assert_eq!(reply.grpc(), tonic::Code::Unavailable);
    }
    let log = sink.text();
    assert_eq!(log.matches("refused for lack of room").count(), 1, "{log}");
    assert!(log.contains("raise max_in_flight_bytes"), "{log}");
}
