//! The clients of one listener's open connections, judged again while they are connected.
//!
//! Guarantees that each client is judged once for all of its connections, when another snapshot is
//! in force, when a certificate, list or anchor runs out and when the clock is set; and that
//! whoever connects while that goes on is not missed. Nothing of it runs where requests do.

mod connected;
mod loss;
mod told;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::metrics::Metrics;
use crate::tls::file::give_way;
use crate::tls::reload::Snapshot as _;
use crate::tls::server::ServerSnapshot;
use crate::tls::server::live::connected::{Client, Connected, Judged, Key, hash_of};
use crate::tls::server::live::told::Told;
use crate::tls::store::Watch;
use crate::tls::time;
use crate::tls::verifier::Verdict;

pub(crate) use loss::Loss;

/// Who is connected; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Live(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    snapshots: Watch<ServerSnapshot>,
    metrics: Metrics,
    connected: Mutex<Connected>,
    /// Somebody came who must be judged earlier than was planned.
    earlier: Notify,
}

/// One to be judged, and by which time.
type Due = (Key, Arc<Client>, i64);

/// One connection's place among those of its client; given up when dropped.
#[derive(Debug)]
pub(crate) struct Standing {
    live: Live,
    key: Key,
    client: Arc<Client>,
}

impl Standing {
    /// Waits until the client is not trusted any more.
    pub(crate) async fn lost(self) -> Loss {
        let mut lost = self.client.lost.subscribe();
        loop {
            if let Some(loss) = &*lost.borrow_and_update() {
                return loss.clone();
            }
            if lost.changed().await.is_err() {
                return Loss::unknown();
            }
        }
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        self.live.connected().leave(&self.key, &self.client);
    }
}

impl Live {
    /// Nobody is connected yet. [`Self::judge`] must run for anybody to lose trust.
    pub(crate) fn new(snapshots: Watch<ServerSnapshot>, metrics: Metrics) -> Self {
        Self(Arc::new(Shared {
            snapshots,
            metrics,
            connected: Mutex::default(),
            earlier: Notify::new(),
        }))
    }

    fn connected(&self) -> MutexGuard<'_, Connected> {
        self.0.connected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a connection whose chain, leaf first, was accepted by this snapshot.
    pub(crate) fn note(&self, chain: &[CertificateDer<'_>], by: &ServerSnapshot) -> Standing {
        let hash = hash_of(chain);
        let judged = judged(by);
        let mut connected = self.connected();
        let key = (connected.era, hash);
        if let Some(entry) = connected.join(key, judged, &self.0.metrics) {
            let (client, again_at) = (Arc::clone(&entry.client), entry.again_at);
            return self.standing(key, client, again_at, connected, by);
        }
        drop(connected);
        // Reading a long chain takes a while, and nobody else should wait for it.
        let client = (Client::new(chain), by.ca_of(chain));
        let mut connected = self.connected();
        let key = (connected.era, hash);
        let entry = connected.admit(key, client, judged, &self.0.metrics);
        let (client, again_at) = (Arc::clone(&entry.client), entry.again_at);
        self.standing(key, client, again_at, connected, by)
    }

    fn standing(
        &self,
        key: Key,
        client: Arc<Client>,
        again_at: i64,
        connected: MutexGuard<'_, Connected>,
        by: &ServerSnapshot,
    ) -> Standing {
        let planned = connected.next_round;
        drop(connected);
        // Looked at last: whatever is published from now on finds the entry.
        if again_at < planned || self.0.snapshots.current().generation != by.generation {
            self.0.earlier.notify_one();
        }
        Standing { live: self.clone(), key, client }
    }

    /// Judges whenever there is a cause, until dropped. Certificates are verified on the threads
    /// for blocking work, some at a time.
    pub(crate) async fn judge(self) {
        let mut snapshots = self.0.snapshots.clone();
        let mut jumps = time::Jumps::start();
        loop {
            self.round().await;
            let wait = time::until(self.connected().next_round).clamp(LEAST_WAIT, MOST_WAIT);
            // Every branch is cancel-safe: a permit of a Notify is kept until it is taken.
            tokio::select! {
                published = snapshots.changed() => if !published {
                    // The gateway ends.
                    return std::future::pending().await;
                },
                () = self.0.earlier.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
            if jumps.noticed().is_some() {
                self.begin_era();
            }
        }
    }

    fn begin_era(&self) {
        let mut connected = self.connected();
        connected.era += 1;
        for entry in connected.clients.values_mut() {
            entry.again_at = 0;
        }
    }

    /// Judges everyone for whom there is a cause.
    async fn round(&self) {
        let snapshot = self.0.snapshots.current();
        let mut told = Told::default();
        let due = in_order(self.due(&snapshot), &snapshot).await;
        for some in due.chunks(AT_A_TIME) {
            let (clients, judge) = (some.to_vec(), Arc::clone(&snapshot));
            let judging = tokio::task::spawn_blocking(move || {
                let judged = clients.iter().map(|(_key, client, now)| {
                    give_way();
                    let verdict = judge_one(&judge, client, *now);
                    (verdict, judge.ca_of(&client.chain))
                });
                judged.collect::<Vec<_>>()
            });
            match judging.await {
                Ok(verdicts) => {
                    for ((key, client, _now), (verdict, ca)) in some.iter().zip(verdicts) {
                        self.connected().vouched(key, client, ca, &self.0.metrics);
                        self.settle(key, client, &snapshot, verdict, &mut told);
                    }
                }
                Err(_panicked) => {
                    for (key, client, _now) in some {
                        self.lose(key, client, &snapshot, Loss::unknown());
                    }
                }
            }
        }
        told.tell_rest();
    }

    /// Who must be judged now, and by which time; plans the next round.
    fn due(&self, snapshot: &ServerSnapshot) -> Vec<Due> {
        let (clock, steady) = (time::now(), Instant::now());
        let Judged { generation, again_at } = judged(snapshot);
        let mut connected = self.connected();
        let mut due = Vec::new();
        let mut next_round = i64::MAX;
        for (key, entry) in &mut connected.clients {
            let now = entry.client.now(clock, steady);
            // Those whom a newer one let in are judged by that one, which is at hand.
            let is_due = entry.generation < generation
                || entry.generation == generation && entry.again_at <= now;
            if is_due {
                entry.generation = generation;
                entry.again_at = entry.client.judge_again(again_at, now);
                due.push((*key, Arc::clone(&entry.client), now));
            }
            // In terms of the clock, which may be behind the client's own.
            next_round = next_round.min(entry.again_at.saturating_sub(now - clock));
        }
        connected.next_round = next_round;
        due
    }

    fn settle(
        &self,
        key: &Key,
        client: &Arc<Client>,
        snapshot: &ServerSnapshot,
        verdict: Verdict,
        told: &mut Told,
    ) {
        let (result, fault, grace) = match verdict {
            Verdict::Trusted => {
                self.0.metrics.live_reverified("trusted");
                return;
            }
            Verdict::Revoked(fault) => ("revoked", fault, None),
            Verdict::Expired(fault) => ("expired", fault, Some(snapshot.trust_loss_grace)),
            Verdict::Untrusted(fault) => ("untrusted", fault, Some(snapshot.trust_loss_grace)),
        };
        if snapshot.only_reports() {
            self.0.metrics.live_reverified("reported");
            told.reported(&fault);
            return;
        }
        let message = format!(
            "the certificate that opened this connection is not accepted any more: {}; {}",
            fault.why, fault.help
        );
        if self.lose(key, client, snapshot, Loss { reason: fault.reason, message, grace }) {
            self.0.metrics.live_reverified(result);
            told.lost(&fault);
        }
    }

    /// `false` if a newer snapshot has let the client in since, and that one will judge it.
    fn lose(&self, key: &Key, client: &Arc<Client>, by: &ServerSnapshot, loss: Loss) -> bool {
        let is_lost = self.connected().strike(key, client, by.generation);
        if is_lost {
            client.lost.send_replace(Some(loss));
        }
        is_lost
    }
}

/// A look at every date of its files: not to be done with a lock held, or for each client.
fn judged(snapshot: &ServerSnapshot) -> Judged {
    let again_at = snapshot.judge_again().map(time::seconds);
    Judged { generation: snapshot.generation, again_at }
}

/// However many there are, the revoked ones do not wait for the rest.
async fn in_order(due: Vec<Due>, snapshot: &Arc<ServerSnapshot>) -> Vec<Due> {
    let (clients, snapshot) = (due.clone(), Arc::clone(snapshot));
    let sorting = tokio::task::spawn_blocking(move || {
        let mut due = clients;
        due.sort_by_cached_key(|(_key, client, _now)| {
            give_way();
            !snapshot.lists(&client.chain)
        });
        due
    });
    sorting.await.unwrap_or(due)
}

fn judge_one(snapshot: &ServerSnapshot, client: &Client, now: i64) -> Verdict {
    snapshot.verdict(&client.chain, time::unix(now))
}

/// Verifications in one go, some ten milliseconds of one core.
const AT_A_TIME: usize = 64;
const LEAST_WAIT: Duration = Duration::from_millis(100);
/// The clock may be set meanwhile, which wakes nobody.
const MOST_WAIT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
