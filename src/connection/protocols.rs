//! hyper's two servers with every limit spelled out, so that no update of theirs changes one.

use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::config::sections::ServerLimits;
use crate::receiver::{MAX_HEAD_BYTES, MAX_HEADERS};

/// How the two protocols are spoken on one listener.
#[derive(Clone, Debug)]
pub(super) struct Protocols {
    pub(super) http1: http1::Builder,
    pub(super) http2: http2::Builder<TokioExecutor>,
}

impl Protocols {
    /// `keep_alive`: whether an HTTP/1 connection may carry more than one request.
    pub(super) fn new(limits: &ServerLimits, keep_alive: bool) -> Self {
        let mut http1 = http1::Builder::new();
        http1
            .timer(TokioTimer::new())
            // Counts from the end of the request before, which is an idle timeout; the supervisor
            // counts from the first byte of a head.
            .header_read_timeout(None)
            .keep_alive(keep_alive)
            .half_close(false)
            .max_headers(MAX_HEADERS)
            .max_buf_size(MAX_HEAD_BYTES);
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.max_concurrent_streams)
            .max_header_list_size(HEADER_LIST_BYTES)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .adaptive_window(false)
            .max_frame_size(FRAME_BYTES)
            .max_send_buf_size(SEND_BUFFER_BYTES)
            .max_pending_accept_reset_streams(PENDING_RESETS)
            .max_local_error_reset_streams(LOCAL_RESETS)
            .keep_alive_interval(some_unless_zero(limits.keepalive.time))
            .keep_alive_timeout(limits.keepalive.timeout);
        Self { http1, http2 }
    }
}

fn some_unless_zero(duration: Duration) -> Option<Duration> {
    (!duration.is_zero()).then_some(duration)
}

const HEADER_LIST_BYTES: u32 = 16 << 10;
const FRAME_BYTES: u32 = 16 << 10;
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
/// The most that one connection makes us buffer beyond what requests are accounted for.
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;
const SEND_BUFFER_BYTES: usize = 64 << 10;
/// Above it the peer gets GOAWAY: rapid reset, CVE-2023-44487.
const PENDING_RESETS: usize = 20;
/// Above it the peer gets GOAWAY: "MadeYouReset", CVE-2025-8671.
const LOCAL_RESETS: usize = 1024;
