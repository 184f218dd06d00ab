//! Clients of HTTP/2 that open no window, or a small one, for their answers.

use super::*;

/// Five requests of a client that lets the gateway send so many bytes of each answer.
async fn narrow_window(
    stream: UnixStream,
    bytes: u32,
) -> (h2::client::SendRequest<Bytes>, h2::client::Connection<UnixStream, Bytes>) {
    let mut builder = h2::client::Builder::new();
    let handshake = builder.initial_window_size(bytes).handshake::<_, Bytes>(stream);
    let (mut sender, connection) = handshake.await.unwrap();
    for _ in 0..5 {
        let request = Request::get("http://x/").body(()).unwrap();
        let (answer, _body) = sender.send_request(request, true).unwrap();
        // Whoever drops the future resets the stream.
        tokio::spawn(async move {
            let Ok(answer) = answer.await else { return };
            let mut body = answer.into_body();
            while let Some(Ok(_)) = body.data().await {}
        });
    }
    (sender, connection)
}

/// Scenario: clients send requests and a window of zero, of one byte, of a few, and keep the
/// connection alive.
/// Guarantees: each is cut when `write_timeout` is over, and counted.
#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_no_answer_is_cut_in_time() {
    let bench = Bench::new(ServerLimits::default(), None);
    for (number, window) in [0, 1, 20].into_iter().enumerate() {
        let (near, serving) = bench.connect();
        let start = Instant::now();
        let (_sender, connection) = narrow_window(near, window).await;
        let _broken = timeout(Duration::from_secs(300), connection).await;
        let seconds = start.elapsed().as_secs();
        assert!((30..32).contains(&seconds), "window {window}: cut after {seconds} s");
        serving.await.unwrap();
        assert_eq!(bench.ended("answers_not_read"), number + 1);
    }
}

/// Guarantees: whoever reads answers through a small window gets them whole.
#[tokio::test(start_paused = true)]
async fn answers_pass_through_a_small_window() {
    let bench = Bench::new(ServerLimits::default(), None);
    let mut bodies = Vec::new();
    for window in [7, 1 << 16] {
        let (near, _serving) = bench.connect();
        let mut builder = h2::client::Builder::new();
        let handshake = builder.initial_window_size(window).handshake::<_, Bytes>(near);
        let (mut sender, connection) = handshake.await.unwrap();
        tokio::spawn(connection);
        // The settings must have arrived for the answer to be cut to them.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let request = Request::get("http://x/").body(()).unwrap();
        let (answer, _body) = sender.send_request(request, true).unwrap();
        let mut answer = answer.await.unwrap().into_body();
        let mut body = Vec::new();
        while let Some(piece) = answer.data().await {
            let piece = piece.unwrap();
            answer.flow_control().release_capacity(piece.len()).unwrap();
            body.extend_from_slice(&piece);
        }
        bodies.push(body);
    }
    assert!(bodies[0].len() > 100);
    assert_eq!(bodies[0], bodies[1]);
}

/// Scenario: the same, but the client opens its window after a while.
/// Guarantees: whoever takes its answers within `write_timeout` is not cut.
#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_its_answers_late_is_not_cut() {
    let bench = Bench::new(ServerLimits::default(), None);
    let (near, _serving) = bench.connect();
    let (_sender, mut connection) = narrow_window(near, 0).await;
    assert!(timeout(Duration::from_secs(25), &mut connection).await.is_err());
    connection.set_initial_window_size(1 << 16).unwrap();
    let closed = timeout(Duration::from_secs(300), connection).await;
    assert!(closed.is_err(), "{closed:?}");
    assert_eq!(bench.ended("answers_not_read"), 0);
}

/// Guarantees: answers that nobody reads hold up a drain for a few seconds only.
#[tokio::test(start_paused = true)]
async fn a_drain_does_not_wait_for_answers_that_nobody_reads() {
    let bench = Bench::new(ServerLimits::default(), None);
    let (near, serving) = bench.connect();
    let (_sender, connection) = narrow_window(near, 0).await;
    let driving = tokio::spawn(connection);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let start = Instant::now();
    bench.drain.begin(start + Duration::from_secs(300));
    serving.await.unwrap();
    let seconds = start.elapsed().as_secs();
    assert!((4..8).contains(&seconds), "held up for {seconds} s");
    let _cut = driving.await.unwrap();
}
