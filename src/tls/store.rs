//! One writer and many readers of one immutable snapshot.
//!
//! Guarantees that a reader sees a whole snapshot or the one before it, never halves of two.
//! Knows nothing of what is in a snapshot.

use std::sync::Arc;

use tokio::sync::watch;

/// Publishes snapshots. Dropping it leaves the last one in force.
#[derive(Debug)]
pub(crate) struct Store<T>(watch::Sender<Arc<T>>);

impl<T> Store<T> {
    /// A store that already holds its first snapshot, and a reader of it.
    pub(crate) fn new(first: T) -> (Self, Watch<T>) {
        let (sender, receiver) = watch::channel(Arc::new(first));
        (Self(sender), Watch(receiver))
    }

    /// Replaces the snapshot for everyone who asks from now on; whoever holds the one before it
    /// keeps it.
    pub(crate) fn publish(&self, next: T) {
        self.0.send_replace(Arc::new(next));
    }

    /// Another reader.
    pub(crate) fn watch(&self) -> Watch<T> {
        Watch(self.0.subscribe())
    }
}

/// Reads the snapshot in force; clones read the same store.
#[derive(Debug)]
pub(crate) struct Watch<T>(watch::Receiver<Arc<T>>);

impl<T> Clone for Watch<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Watch<T> {
    /// The snapshot in force. A connection asks once and keeps what it got for its life.
    pub(crate) fn current(&self) -> Arc<T> {
        Arc::clone(&self.0.borrow())
    }

    /// A reader that keeps seeing the snapshot in force now.
    pub(crate) fn pinned(&self) -> Self {
        Self(watch::channel(self.current()).1)
    }

    /// Waits until a snapshot is published that this reader has not waited for yet; `false` when
    /// none will come any more. Cancel-safe.
    pub(crate) async fn changed(&mut self) -> bool {
        self.0.changed().await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: a reader holds a snapshot while the next one is published.
    /// Guarantees: it keeps what it has, and asking again gives the new one.
    #[test]
    fn a_reader_keeps_its_snapshot_across_a_publication() {
        let (store, watch) = Store::new("first");
        let held = watch.current();
        store.publish("second");
        assert_eq!(*held, "first");
        assert_eq!(*watch.current(), "second");
        assert_eq!(*store.watch().current(), "second");
    }

    #[tokio::test]
    async fn a_reader_is_told_of_a_publication_and_of_the_end() {
        let (store, mut watch) = Store::new(1);
        store.publish(2);
        assert!(watch.changed().await);
        drop(store);
        assert!(!watch.changed().await);
        assert_eq!(*watch.current(), 2);
    }
}
