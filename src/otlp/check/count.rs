//! Counting items as a decoder would hold them, where a `oneof` is replaced.
//!
//! Guarantees the number of data points of a `Metric` that has several `data`: those of the last
//! choice. Knows nothing of bytes.

/// Items found so far, as a decoder would hold them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Count {
    /// All of them.
    items: u64,
    /// Those in the current choice of the current `Metric`.
    in_choice: u64,
    /// Index of that choice's message.
    choice: Option<u8>,
}

impl Count {
    /// How many there are.
    pub(super) fn items(&self) -> u64 {
        self.items
    }

    /// Adds items; they belong to the current choice, if there is one.
    pub(super) fn add(&mut self, items: u64) {
        self.items += items;
        self.in_choice += items;
    }

    /// A field of a `oneof` was found: the same choice is merged into, another one is replaced.
    pub(super) fn choose(&mut self, choice: u8) {
        if self.choice != Some(choice) {
            self.items -= self.in_choice;
            self.in_choice = 0;
            self.choice = Some(choice);
        }
    }

    /// A new `Metric` begins: what was counted so far is not in its choice.
    pub(super) fn forget_choice(&mut self) {
        self.in_choice = 0;
        self.choice = None;
    }
}
