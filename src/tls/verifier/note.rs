//! What a verifier has to say about the handshake it ran in.
//!
//! A TLS library reports a refused certificate as one word, and drops the certificate. The verifier
//! leaves the rest here; whoever drives the handshake picks it up. Bound to the task's handshake,
//! so that two of them never mix.

use std::cell::RefCell;
use std::future::Future;

use crate::tls::verifier::Fault;

/// Left behind by one handshake.
#[derive(Clone, Debug, Default)]
pub(crate) struct Note {
    /// Why the peer's certificate was refused.
    pub(crate) fault: Option<Fault>,
    /// Whether the peer asked for a certificate of ours.
    pub(crate) asked: bool,
    /// Whether ours was kept back, since the peer accepts no signature that our key can make.
    pub(crate) unfit: bool,
}

/// Runs a handshake and returns what was noted meanwhile.
pub(crate) async fn noted<F: Future>(handshake: F) -> (F::Output, Note) {
    NOTE.scope(RefCell::default(), async {
        let output = handshake.await;
        (output, NOTE.with(RefCell::take))
    })
    .await
}

/// The first fault is the cause: a chain that was not accepted may be followed by a bad proof.
pub(super) fn note_fault(fault: &Fault) {
    // Outside of a handshake of ours, such as in a test of a verifier alone, nobody asks.
    let _nobody = NOTE.try_with(|note| {
        note.borrow_mut().fault.get_or_insert_with(|| fault.clone());
    });
}

pub(in crate::tls) fn note_asked(unfit: bool) {
    let _nobody = NOTE.try_with(|note| {
        let mut note = note.borrow_mut();
        (note.asked, note.unfit) = (true, unfit);
    });
}

tokio::task_local! {
    static NOTE: RefCell<Note>;
}
