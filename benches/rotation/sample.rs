//! Requests at a fixed rate, whatever became of those before, and how long each took.

use std::fmt;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::Outcome;
use crate::load::{Aim, Connection};

/// Requests in a second.
pub const RATE: u32 = 500;

/// Latencies, sorted once they are asked for.
#[derive(Clone, Debug, Default)]
pub struct Sample(Vec<Duration>);

impl Sample {
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
        self.0.sort_unstable();
    }

    /// The latency that this share of requests stays within.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "thousands of requests"
    )]
    pub fn quantile(&self, share: f64) -> Duration {
        let at = (self.0.len() as f64 * share) as usize;
        self.0.get(at.min(self.0.len().saturating_sub(1))).copied().unwrap_or_default()
    }
}

/// p50, p99, p99.9, slowest, requests, as cells of a table.
impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for share in [0.5, 0.99, 0.999, 1.0] {
            write!(f, "{:.2} | ", self.quantile(share).as_secs_f64() * 1e3)?;
        }
        write!(f, "{}", self.0.len())
    }
}

/// Sends for a while on so many connections.
pub async fn steady(aim: &Aim, connections: usize, time: Duration) -> Outcome<Sample> {
    let mut open = Vec::new();
    for _ in 0..connections {
        let mut connection = Connection::open(aim).await?;
        // So that nothing of a fresh connection is measured.
        connection.shoot(&aim.shot).await?;
        open.push(connection);
    }
    let mut pace = interval(Duration::from_secs(1) / RATE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut sample = Sample::default();
    let mut under_way = JoinSet::new();
    let until = Instant::now() + time;
    for connection in open.iter().cycle() {
        pace.tick().await;
        if Instant::now() > until {
            break;
        }
        let (mut connection, shot) = (connection.clone(), aim.shot.clone());
        under_way.spawn(async move {
            let began = Instant::now();
            connection.shoot(&shot).await.map(|()| began.elapsed())
        });
        while let Some(done) = under_way.try_join_next() {
            sample.0.push(done??);
        }
    }
    while let Some(done) = under_way.join_next().await {
        sample.0.push(done??);
    }
    Ok(sample)
}
