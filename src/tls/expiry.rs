//! What ends when, and the warnings before it.
//!
//! Guarantees one warning for each certificate or list at 30, 7 and 1 days before its end and when
//! it is over, and new ones for new material. One that is renewed often is not warned of whenever it
//! is new: see [`notices`].

use std::collections::{HashMap, HashSet};

use crate::metrics::End;
use crate::tls::inspect::{CertificateFacts, date, named};
use crate::tls::revocation::Revocations;
use crate::tls::time;

/// A certificate of ours or of a CA.
pub(super) fn certificate(role: &'static str, facts: &CertificateFacts) -> End {
    End {
        role,
        name: named(&facts.identity.subject),
        fingerprint: facts.identity.sha256.chars().take(8).collect(),
        not_before: facts.not_before,
        not_after: facts.not_after,
    }
}

/// Every list that ends; of several lists of one issuer the one that ends first.
pub(super) fn lists(revocations: Option<&Revocations>) -> Vec<End> {
    let mut lists = revocations.map(Revocations::lists).unwrap_or_default();
    lists.retain(|list| list.next_update.is_some());
    lists.sort_by(|a, b| (&a.issuer, a.next_update).cmp(&(&b.issuer, b.next_update)));
    lists.dedup_by(|later, first| later.issuer == first.issuer);
    let end = |facts: crate::tls::revocation::ListFacts| {
        Some(End {
            role: "crl",
            name: facts.issuer,
            fingerprint: String::new(),
            not_before: facts.this_update,
            not_after: facts.next_update?,
        })
    };
    lists.into_iter().filter_map(end).collect()
}

/// Remembers what was said.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    /// The last notice given, in seconds, by block and end.
    said: HashMap<(String, End), i64>,
}

impl Alarm {
    /// Logs what is due of one block, and forgets what is not in force any more.
    pub(super) fn judge(&mut self, block: &str, ends: &[End], now: i64) {
        for (end, notice) in self.due(block, ends, now) {
            let End { role, name, not_after, .. } = end;
            let (until, ago) = (date(*not_after), time::ago(*not_after, now));
            if notice == OVER {
                let (reason, help) = ("expired", mend(role));
                tracing::error!(
                    block,
                    role,
                    name,
                    until,
                    reason,
                    help,
                    "a certificate or list is over, {ago}"
                );
            } else {
                let (reason, help) = ("expires_soon", effect(role));
                tracing::warn!(
                    block,
                    role,
                    name,
                    until,
                    reason,
                    help,
                    "a certificate or list ends {ago}: renew it and write it to its file, which is \
                     read again by itself"
                );
            }
        }
    }

    fn due<'a>(&mut self, block: &str, ends: &'a [End], now: i64) -> Vec<(&'a End, i64)> {
        let in_force: HashSet<_> = ends.iter().collect();
        self.said.retain(|(of, end), _| of != block || in_force.contains(end));
        let mut due = Vec::new();
        for end in ends {
            let Some(notice) = reached(end.not_before, end.not_after, now) else { continue };
            // Lists live for days: for them the long warnings would always be due.
            if end.role == "crl" && notice > DAY {
                continue;
            }
            let key = (block.to_owned(), end.clone());
            if self.said.insert(key, notice) != Some(notice) {
                due.push((end, notice));
            }
        }
        due
    }
}

/// Whether a certificate is so near to its end that it should have been renewed.
pub(crate) fn is_near(not_before: i64, not_after: i64, now: i64) -> bool {
    reached(not_before, not_after, now).is_some_and(|notice| notice != OVER)
}

/// The shortest notice that is due.
fn reached(not_before: i64, not_after: i64, now: i64) -> Option<i64> {
    let left = not_after.saturating_sub(now);
    notices(not_before, not_after).into_iter().flatten().find(|notice| left <= *notice)
}

/// How long before its end something is warned of, in seconds, the shortest first. Who renews
/// certificates of an hour or a week does so at half or two thirds of their life: a warning that
/// comes before that would come with each of them.
fn notices(not_before: i64, not_after: i64) -> [Option<i64>; 4] {
    let life = not_after.saturating_sub(not_before);
    let long = |days: i64| Some(days * DAY).filter(|notice| *notice <= life / 3);
    [Some(OVER), Some(DAY.min(life / 5)), long(7), long(30)]
}

/// What happens at the end of something that ends soon.
fn effect(role: &str) -> &'static str {
    match role {
        "own" => "at its end every peer that verifies refuses this gateway",
        "ca" => {
            "at its end nobody is trusted for it: put its successor into the bundle, and issue \
             certificates of that one"
        }
        _ => "at its end everybody of that CA is refused, unless `revocation` says otherwise",
    }
}

/// What to do about something that is over.
fn mend(role: &str) -> &'static str {
    match role {
        "own" => {
            "every peer that verifies refuses this gateway: renew it now and write certificate and \
             key to their files, which are read again by themselves; if it should be in force, mend \
             this machine's clock"
        }
        "ca" => {
            "nobody is trusted for it any more: put the CA's renewed certificate, or its successor, \
             into the bundle, and take this one out"
        }
        _ => {
            "everybody of that CA is refused, unless `revocation` says otherwise: fetch the CA's \
             current list and write it to the file, or mend this machine's clock"
        }
    }
}

const DAY: i64 = 86400;
const OVER: i64 = 0;

#[cfg(test)]
mod tests {
    use super::*;

    fn end(role: &'static str, not_after: i64) -> End {
        End {
            role,
            name: "CN=a".to_owned(),
            fingerprint: "12345678".to_owned(),
            not_before: 0,
            not_after,
        }
    }

    fn days(alarm: &mut Alarm, ends: &[End], now: i64) -> Vec<i64> {
        alarm.due("tls", ends, now).into_iter().map(|(_end, notice)| notice / DAY).collect()
    }

    #[test]
    fn each_threshold_is_said_once_and_again_for_new_material() {
        let mut alarm = Alarm::default();
        let old = [end("own", 100 * DAY)];
        for (now, said) in [
            (69, vec![]),
            (70, vec![30]),
            (80, vec![]),
            (93, vec![7]),
            (94, vec![]),
            (99, vec![1]),
            (100, vec![0]),
            (101, vec![]),
        ] {
            assert_eq!(days(&mut alarm, &old, now * DAY), said, "day {now}");
        }
        let new = [end("own", 131 * DAY)];
        assert_eq!(days(&mut alarm, &new, 101 * DAY), [30]);
        assert!(days(&mut alarm, &new, 102 * DAY).is_empty());
        assert_eq!(alarm.said.len(), 1, "the old one is forgotten");
    }

    #[test]
    fn a_list_is_warned_about_on_its_last_day_and_blocks_do_not_disturb_each_other() {
        let mut alarm = Alarm::default();
        let list = [end("crl", 7 * DAY)];
        assert!(days(&mut alarm, &list, DAY).is_empty());
        assert_eq!(days(&mut alarm, &list, 6 * DAY), [1]);
        assert!(alarm.due("other", &[], 6 * DAY).is_empty());
        assert!(days(&mut alarm, &list, 6 * DAY).is_empty());
    }

    #[test]
    fn short_lives_are_warned_of_when_their_renewal_is_late_and_not_when_they_begin() {
        let hour = 3600;
        for (life, quiet, late) in [
            (hour, hour / 2, hour / 6),
            (24 * hour, 8 * hour, 4 * hour),
            (7 * DAY, 7 * DAY / 2, 20 * hour),
            (90 * DAY, 31 * DAY, 29 * DAY),
        ] {
            let near = |left: i64| is_near(0, life, life - left);
            assert_eq!([near(life), near(quiet), near(late)], [false, false, true], "{life}");
        }
        assert!(!is_near(0, DAY, 2 * DAY), "what is over is another matter");
    }
}
