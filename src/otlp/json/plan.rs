//! The schema as the decoder wants it: one lookup by name says what to write.
//!
//! Guarantees, at compile time, that every field of every message is found by both of its names.

#![expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tables are made at compile time, where a wrong one is an error"
)]

use crate::otlp::schema::{Field, Kind, MESSAGES, Message, index};
use crate::signal::Signal;

/// The fields of one message type by name.
#[derive(Debug)]
pub(super) struct Plan {
    entries: [Entry; MOST_FIELDS],
    /// An open-addressing hash table of positions in `entries`.
    slots: [u8; SLOTS],
    /// The bits of the fields that exclude each other.
    pub(super) choices: u32,
}

/// One field.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) field: &'static Field,
    /// The key on the wire; of a list of numbers, that of its packed form.
    pub(super) key: u16,
    /// The index of a nested message in [`MESSAGES`].
    target: u8,
    /// One bit for each field of a message.
    pub(super) bit: u32,
}

const MOST_FIELDS: usize = 16;
const SLOTS: usize = 64;
const EMPTY: u8 = u8::MAX;

impl Plan {
    /// The plan of a signal's request.
    pub(super) fn request(signal: Signal) -> &'static Self {
        let index = match signal {
            Signal::Traces => const { index("ExportTraceServiceRequest") },
            Signal::Metrics => const { index("ExportMetricsServiceRequest") },
            Signal::Logs => const { index("ExportLogsServiceRequest") },
            Signal::Profiles => const { index("ExportProfilesServiceRequest") },
        };
        &PLANS[index as usize]
    }

    /// The field with this name, in either spelling.
    #[inline(always)]
    pub(super) fn find(&self, name: &[u8]) -> Option<&Entry> {
        let mut slot = hash(name);
        loop {
            let entry = self.entries.get(usize::from(*self.slots.get(slot)?))?;
            if entry.field.json.as_bytes() == name || entry.field.proto.as_bytes() == name {
                return Some(entry);
            }
            slot = (slot + 1) % SLOTS;
        }
    }
}

impl Entry {
    /// The plan of a nested message.
    #[inline(always)]
    pub(super) fn nested(&self) -> &'static Plan {
        PLANS.get(usize::from(self.target)).unwrap_or(&PLANS[0])
    }

    /// Whether there can be many values, and of numbers, so that they are packed.
    pub(super) fn is_packed(&self) -> bool {
        self.field.repeated && self.field.kind.wire_type() != 2
    }
}

/// Spreads names over the slots: the ends, the middle and the length tell OTLP's names apart.
#[inline(always)]
const fn hash(name: &[u8]) -> usize {
    match name {
        [] => 0,
        [first, .., last] => {
            let middle = name[name.len() / 2];
            (*first as usize * 7 + *last as usize * 3 + middle as usize * 5 + name.len() * 11)
                % SLOTS
        }
        [only] => *only as usize % SLOTS,
    }
}

static NOTHING: Field =
    Field { number: 0, json: "", proto: "", kind: Kind::Bool, repeated: false, oneof: None };

static PLANS: [Plan; MESSAGES.len()] = {
    let mut plans = [const {
        Plan {
            entries: [Entry { field: &NOTHING, key: 0, target: 0, bit: 0 }; MOST_FIELDS],
            slots: [EMPTY; SLOTS],
            choices: 0,
        }
    }; MESSAGES.len()];
    let mut at = 0;
    while at < MESSAGES.len() {
        plans[at] = plan(MESSAGES[at]);
        at += 1;
    }
    plans
};

const fn plan(message: &'static Message) -> Plan {
    let mut entries = [Entry { field: &NOTHING, key: 0, target: 0, bit: 0 }; MOST_FIELDS];
    let mut slots = [EMPTY; SLOTS];
    let mut choices = 0;
    let mut at = 0;
    while at < message.fields.len() {
        let field = &message.fields[at];
        let bit = 1 << at;
        let packed = field.repeated && field.kind.wire_type() != 2;
        let wire_type = if packed { 2 } else { field.kind.wire_type() };
        let target = match field.kind {
            Kind::Message(inner) => index(inner.name),
            _ => 0,
        };
        entries[at] = Entry { field, key: (field.number as u16) << 3 | wire_type, target, bit };
        insert(&mut slots, field.json.as_bytes(), at as u8);
        insert(&mut slots, field.proto.as_bytes(), at as u8);
        if field.oneof.is_some() {
            choices |= bit;
        }
        at += 1;
    }
    Plan { entries, slots, choices }
}

const fn insert(slots: &mut [u8; SLOTS], name: &[u8], entry: u8) {
    let mut slot = hash(name);
    while slots[slot] != EMPTY && slots[slot] != entry {
        slot = (slot + 1) % SLOTS;
    }
    slots[slot] = entry;
}
