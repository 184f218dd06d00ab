//! Who is let in: rules that allow, rules that deny, and what is said to whom neither admits.
//!
//! Guarantees that a denial beats every permission, and that whoever no rule names is refused.

use super::extract::{Unfit, extract};
use super::name::{Kind, Name};
use super::pattern::Pattern;
use super::{Identity, shown};
use crate::signal::Signal;

/// The rules of one authenticator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Where they are written, such as `extensions.client_identity`.
    pub key_path: String,
    /// By which kinds of name peers are known; the first that a certificate has decides.
    pub source: Vec<Kind>,
    /// Who is let in.
    pub allow: Allow,
    /// Who is not, whatever `allow` says: held against every name of a certificate.
    pub deny: Vec<Pattern>,
}

/// Who is let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allow {
    /// Whoever holds a certificate that was verified.
    Any,
    /// Whoever one of these names.
    Rules(Vec<Rule>),
}

/// One permission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// To whom.
    pub pattern: Pattern,
    /// To send what, by [`Signal::index`].
    pub signals: [bool; 4],
}

/// What the rules say of one certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Let in.
    Admitted {
        /// Under this name; `None` when any certificate is let in and this one gives none.
        name: Option<Name>,
        /// To send what, by [`Signal::index`].
        signals: [bool; 4],
    },
    /// Refused.
    Refused(Denial),
}

/// Why a peer is refused; printed, it says who it is, why, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// A rule names it.
    #[error(
        "{who} is denied here by the rule {rule} under {key_path}.deny: use another certificate, \
         or ask the gateway's operator to remove the rule"
    )]
    Denied {
        /// The peer.
        who: String,
        /// The rule.
        rule: String,
        /// Where the rules are.
        key_path: String,
    },
    /// No rule names it.
    #[error(
        "{who} is not allowed here: no rule under {key_path}.allow names it; the gateway's operator \
         can add {needed}"
    )]
    NotAllowed {
        /// The peer.
        who: Name,
        /// The rule that would let it in.
        needed: String,
        /// Where the rules are.
        key_path: String,
    },
    /// It may send other signals only.
    #[error(
        "{who} may not send {signal} here: the rules under {key_path}.allow that name it list \
         {others} only; the gateway's operator can add {signal} to their signals"
    )]
    Signal {
        /// The peer.
        who: String,
        /// What it sent.
        signal: Signal,
        /// What it may send.
        others: String,
        /// Where the rules are.
        key_path: String,
    },
    /// The certificate gives no name.
    #[error(
        "the certificate {subject} gives no identity that {key_path} can decide by: it {why}; \
         re-issue it with one name of the kinds {kinds}, in this order"
    )]
    Unfit {
        /// Its subject, escaped.
        subject: String,
        /// A clause about it.
        why: Unfit,
        /// What is looked for.
        kinds: String,
        /// Where the rules are.
        key_path: String,
    },
}

impl Denial {
    /// Stable reason code.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Denied { .. } | Self::NotAllowed { .. } => "identity_denied",
            Self::Signal { .. } => "identity_signal",
            Self::Unfit { why, .. } => match why {
                Unfit::Missing(_) => "identity_missing",
                Unfit::Ambiguous { .. } => "identity_ambiguous",
                _ => "identity_invalid",
            },
        }
    }
}

impl Rules {
    /// What becomes of the holder of a verified leaf.
    pub fn decide(&self, leaf: &Identity) -> Decision {
        let found = extract(leaf, &self.source);
        if let Some(rule) = self.deny.iter().find(|rule| rule.matches_any(leaf)) {
            return Decision::Refused(Denial::Denied {
                who: found.map_or_else(|_unfit| subject(leaf), |name| name.to_string()),
                rule: rule.to_string(),
                key_path: self.key_path.clone(),
            });
        }
        let name = match (found, &self.allow) {
            (Ok(name), _) => name,
            (Err(why), Allow::Any) if !why.is_malformed() => {
                return Decision::Admitted { name: None, signals: [true; 4] };
            }
            (Err(why), _) => return Decision::Refused(self.unfit(leaf, why)),
        };
        let signals = match &self.allow {
            Allow::Any => [true; 4],
            Allow::Rules(rules) => {
                let mut signals = [false; 4];
                for rule in rules.iter().filter(|rule| rule.pattern.matches(&name)) {
                    for (to, from) in signals.iter_mut().zip(rule.signals) {
                        *to |= from;
                    }
                }
                signals
            }
        };
        if signals == [false; 4] {
            return Decision::Refused(Denial::NotAllowed {
                needed: format!("{{ {}: \"{}\" }}", name.kind(), name.value()),
                who: name,
                key_path: self.key_path.clone(),
            });
        }
        Decision::Admitted { name: Some(name), signals }
    }

    /// The refusal of a signal that none of the rules for a peer lists.
    pub fn wrong_signal(&self, who: &str, signal: Signal, signals: [bool; 4]) -> Denial {
        let others = Signal::ALL.into_iter().zip(signals).filter(|(_, allowed)| *allowed);
        let others: Vec<_> = others.map(|(signal, _)| signal.name()).collect();
        Denial::Signal {
            who: who.to_owned(),
            signal,
            others: others.join(", "),
            key_path: self.key_path.clone(),
        }
    }

    fn unfit(&self, leaf: &Identity, why: Unfit) -> Denial {
        let kinds: Vec<_> = self.source.iter().map(|kind| kind.name()).collect();
        Denial::Unfit {
            subject: subject(leaf),
            why,
            kinds: kinds.join(", "),
            key_path: self.key_path.clone(),
        }
    }
}

fn subject(leaf: &Identity) -> String {
    let name = if leaf.subject.is_empty() { "an empty name" } else { &leaf.subject };
    format!("{} (sha256 {})", shown(name), leaf.sha256)
}
