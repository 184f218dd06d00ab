//! Holds one served connection to its deadlines: first request, request heads, answers that are
//! not read, idleness, age, drain.
//!
//! One timer a connection, which is only ever moved when it must ring earlier: a request costs no
//! timer operation.

use std::future::poll_fn;
use std::hash::{BuildHasher as _, RandomState};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hyper_util::server::graceful::GracefulConnection;
use tokio::time::{Instant, sleep_until};

use crate::config::sections::ServerLimits;
use crate::connection::activity::Activity;
use crate::connection::trust::Trust;
use crate::shutdown::Draining;

/// Why a connection ended.
#[derive(Debug)]
pub(super) enum End {
    /// One of our deadlines; a stable reason.
    Expired(&'static str),
    /// The peer, the protocol, or a finished drain.
    Served(hyper::Result<()>),
}

/// How long each state of a connection may last.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    first_request: Duration,
    /// From the first byte of a later head to its end; HTTP/1 only.
    head: Option<Duration>,
    /// For the peer to take an answer; HTTP/2 only, where a stream can stand still and the socket
    /// go on.
    answer: Option<Duration>,
    idle: Option<Duration>,
    age: Option<Duration>,
    grace: Duration,
    is_http1: bool,
}

impl Terms {
    pub(super) fn http1(limits: &ServerLimits) -> Self {
        Self {
            first_request: limits.header_timeout,
            head: Some(limits.header_timeout),
            answer: None,
            idle: Some(limits.idle_timeout.unwrap_or(HTTP1_IDLE)),
            age: limits.max_connection_age,
            grace: limits.max_connection_age_grace,
            is_http1: true,
        }
    }

    pub(super) fn http2(limits: &ServerLimits) -> Self {
        Self {
            head: None,
            answer: Some(limits.write_timeout),
            idle: limits.idle_timeout,
            is_http1: false,
            ..Self::http1(limits)
        }
    }
}

/// Serves until the connection ends or must end.
pub(super) async fn run<C, S: GracefulConnection<Error = hyper::Error>>(
    mut connection: Pin<&mut S>,
    activity: &Arc<Activity<C>>,
    terms: &Terms,
    mut trust: Trust,
    draining: &mut Draining,
) -> End {
    let mut clock = Clock::new(terms);
    let mut timer = std::pin::pin!(sleep_until(clock.armed));
    let mut drain = std::pin::pin!(draining.begun());
    let mut is_draining = false;
    poll_fn(move |context| {
        loop {
            if let Poll::Ready(ended) = connection.as_mut().poll(context) {
                return Poll::Ready(End::Served(ended));
            }
            if !is_draining && drain.as_mut().poll(context).is_ready() {
                is_draining = true;
                clock.drain();
                connection.as_mut().graceful_shutdown();
                timer.as_mut().reset(clock.armed);
                continue;
            }
            if let Poll::Ready(loss) = trust.poll_lost(context) {
                activity.distrust(&loss);
                let Some(grace) = loss.grace else {
                    return Poll::Ready(End::Expired(loss.reason));
                };
                match clock.distrust(grace, loss.reason) {
                    Ring::Finish => connection.as_mut().graceful_shutdown(),
                    _ => activity.close_after_answer(),
                }
                timer.as_mut().reset(clock.armed);
                continue;
            }
            if clock.observe(activity) {
                timer.as_mut().reset(clock.armed);
            }
            if timer.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            match clock.ring(activity) {
                Ring::CloseAfterAnswer => activity.close_after_answer(),
                Ring::Expired(reason) => return Poll::Ready(End::Expired(reason)),
                Ring::Finish => connection.as_mut().graceful_shutdown(),
                Ring::Later => {}
            }
            timer.as_mut().reset(clock.armed);
        }
    })
    .await
}

/// What a rung timer asks for.
#[derive(Debug, PartialEq, Eq)]
enum Ring {
    CloseAfterAnswer,
    Expired(&'static str),
    Finish,
    Later,
}

/// The deadlines of one connection.
struct Clock<'a> {
    terms: &'a Terms,
    /// When the timer rings.
    armed: Instant,
    first_request: Option<Instant>,
    /// The head that is arriving must be complete by then.
    head: Option<Instant>,
    /// Answers of the old era must be taken by then.
    answers: Option<Instant>,
    /// Idle since then; the number of requests seen until then.
    quiet: (Instant, u32),
    was_busy: bool,
    age: Option<Instant>,
    /// After this the connection is dropped, and why.
    end: Option<(Instant, &'static str)>,
    /// Asked to finish: an idle connection is dropped then, for its peer does not react.
    finishing: Option<Instant>,
    /// How often in a row `finishing` found answers that were not read and nothing else.
    unread_rings: u8,
}

impl<'a> Clock<'a> {
    fn new(terms: &'a Terms) -> Self {
        let now = Instant::now();
        let mut clock = Self {
            terms,
            armed: now,
            first_request: Some(now + terms.first_request),
            head: None,
            answers: None,
            quiet: (now, 0),
            was_busy: false,
            age: terms.age.map(|age| now + with_jitter(age)),
            end: None,
            finishing: None,
            unread_rings: 0,
        };
        clock.armed = clock.next();
        clock
    }

    /// The drain has begun. Its deadline is the worker's to keep.
    fn drain(&mut self) {
        self.age = None;
        self.finishing = Some(Instant::now() + UNRESPONSIVE);
        self.armed = self.next();
    }

    /// The client is not trusted any more: told to go, and cut after the grace.
    fn distrust(&mut self, grace: Duration, reason: &'static str) -> Ring {
        let now = Instant::now();
        let end = now + grace;
        if self.end.is_none_or(|(at, _)| end < at) {
            self.end = Some((end, reason));
        }
        self.age = None;
        let ring = self.ask_to_go(now);
        self.armed = self.next();
        ring
    }

    /// The connection was polled: looks whether requests ended, whether a head begins to arrive or
    /// is complete, whether answers wait to be read. Returns whether the timer must ring earlier.
    fn observe<C>(&mut self, activity: &Activity<C>) -> bool {
        if self.terms.idle.is_some() {
            self.observe_requests(activity);
        }
        let new = self.observe_head(activity).or_else(|| self.observe_answers(activity));
        let Some(deadline) = new.filter(|deadline| *deadline < self.armed) else { return false };
        self.armed = deadline;
        true
    }

    fn observe_head<C>(&mut self, activity: &Activity<C>) -> Option<Instant> {
        let limit = self.terms.head?;
        if !activity.awaits_head() {
            self.head = None;
            return None;
        }
        if self.head.is_some() || activity.requests() == 0 {
            return None;
        }
        self.head = Some(Instant::now() + limit);
        self.head
    }

    fn observe_answers<C>(&mut self, activity: &Activity<C>) -> Option<Instant> {
        let limit = self.terms.answer?;
        if self.answers.is_some() || activity.unread().count() == 0 {
            return None;
        }
        activity.unread().turn();
        self.answers = Some(Instant::now() + limit);
        self.answers
    }

    fn observe_requests<C>(&mut self, activity: &Activity<C>) {
        let requests = activity.requests();
        if activity.is_busy() {
            self.was_busy = true;
        } else if self.was_busy || requests != self.quiet.1 {
            self.was_busy = false;
            self.quiet = (Instant::now(), requests);
        }
    }

    /// The timer has rung: what is due, and when it rings again.
    fn ring<C>(&mut self, activity: &Activity<C>) -> Ring {
        let now = Instant::now();
        let due = self.due(now, activity);
        // Never at once again, whatever the deadlines say.
        self.armed = self.next().max(now + Duration::from_millis(1));
        due
    }

    fn due<C>(&mut self, now: Instant, activity: &Activity<C>) -> Ring {
        if activity.requests() > 0 {
            self.first_request = None;
        }
        if activity.is_busy() {
            self.quiet.0 = now;
        }
        if let Some((deadline, reason)) = self.end
            && deadline <= now
        {
            return Ring::Expired(reason);
        }
        if self.first_request.is_some_and(|deadline| deadline <= now) {
            return Ring::Expired("no_request");
        }
        if self.head.is_some_and(|deadline| deadline <= now) {
            return Ring::Expired("slow_request_head");
        }
        if self.answers.is_some_and(|deadline| deadline <= now) {
            if activity.unread().old() > 0 {
                return Ring::Expired(UNREAD);
            }
            self.answers = None;
        }
        if self.finishing.is_some_and(|deadline| deadline <= now) {
            if let Some(reason) = self.has_given_up(activity) {
                return Ring::Expired(reason);
            }
            self.finishing = Some(now + UNRESPONSIVE);
        }
        if self.age.is_some_and(|deadline| deadline <= now) {
            return self.retire(now);
        }
        let idle = self.terms.idle.map(|idle| self.quiet.0 + idle);
        if self.finishing.is_none() && idle.is_some_and(|deadline| deadline <= now) {
            self.finishing = Some(now + UNRESPONSIVE);
            return Ring::Finish;
        }
        Ring::Later
    }

    /// Whether a peer that was told to go is not worth waiting for, and why.
    fn has_given_up<C>(&mut self, activity: &Activity<C>) -> Option<&'static str> {
        if !activity.is_busy() {
            return Some("unresponsive");
        }
        let waits_for_peer = self.terms.answer.is_some() && !activity.awaits_answer();
        self.unread_rings = if waits_for_peer { self.unread_rings + 1 } else { 0 };
        (self.unread_rings > UNREAD_RINGS).then_some(UNREAD)
    }

    /// Too old. HTTP/2 has GOAWAY; HTTP/1 can only say it with an answer, and a close between
    /// answers would race with a request on its way.
    fn retire(&mut self, now: Instant) -> Ring {
        self.age = None;
        self.end = Some((now + self.terms.grace, "max_connection_age"));
        self.ask_to_go(now)
    }

    fn ask_to_go(&mut self, now: Instant) -> Ring {
        if self.terms.is_http1 {
            return Ring::CloseAfterAnswer;
        }
        self.finishing = Some(now + UNRESPONSIVE);
        Ring::Finish
    }

    fn next(&self) -> Instant {
        let idle = self.terms.idle.map(|idle| self.quiet.0 + idle);
        let idle = if self.finishing.is_none() { idle } else { None };
        [
            self.first_request,
            self.head,
            self.answers,
            idle,
            self.age,
            self.end.map(|(deadline, _)| deadline),
            self.finishing,
        ]
        .into_iter()
        .flatten()
        .min()
        // Nothing is due, ever.
        .unwrap_or_else(|| Instant::now() + FAR)
    }
}

/// Ten percent more or less, so that connections opened together do not end together.
fn with_jitter(age: Duration) -> Duration {
    let random = RandomState::new().hash_one(0_u8) % 2001;
    let percent_hundredths = u32::try_from(random).unwrap_or_default() + 9000;
    age.saturating_mul(percent_hundredths) / 10_000
}

const HTTP1_IDLE: Duration = Duration::from_secs(300);
/// A peer that was told to go and does not answer even that is not waited for. Requests that were
/// on their way when it was told take less than a round trip.
const UNRESPONSIVE: Duration = Duration::from_secs(2);
/// So many times more it is waited for when it only has answers to read.
const UNREAD_RINGS: u8 = 2;
pub(super) const UNREAD: &str = "answers_not_read";
const FAR: Duration = Duration::from_secs(365 * 24 * 3600);
