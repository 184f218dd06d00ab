//! One attribute list and its edits.
//!
//! Guarantees that an edit of a key is an edit of every entry with that key, so that it holds
//! whichever of them a decoder takes. Knows nothing of the messages around it.

use std::borrow::Cow;
use std::ops::{Deref, Range};
use std::rc::Rc;
use std::sync::Arc;

use prost::encoding::encode_varint;

use crate::otlp::wire::{Field, Source};
use crate::processor::editor::Strings;
use crate::processor::plan::{Action, Edit, Origin, When};
use crate::processor::splice::MOST_ADDED;
use crate::processor::value;

/// The field numbers of a `KeyValue`.
const KEY: u32 = 1;
const VALUE: u32 = 2;
const KEY_STRINDEX: u32 = 3;

/// An attribute list: what was there, then what was added.
#[derive(Debug, Default)]
pub(super) struct List<'a> {
    entries: Vec<Entry<'a>>,
    changed: bool,
}

/// One attribute.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    key: Cow<'a, [u8]>,
    /// Where it is in the request, if it was there before.
    field: Option<Field>,
    state: State<'a>,
}

#[derive(Debug)]
enum State<'a> {
    Kept,
    Removed,
    /// An encoded `AnyValue`.
    Set(Value<'a>),
}

/// Bytes of the request, of the configuration, or made by an edit. Many attributes may be given the
/// same, and a copy for each could be any multiple of the request: clones share it.
#[derive(Clone, Debug)]
enum Value<'a> {
    Borrowed(&'a [u8]),
    Made(Rc<[u8]>),
}

impl<'a> From<Cow<'a, [u8]>> for Value<'a> {
    fn from(bytes: Cow<'a, [u8]>) -> Self {
        match bytes {
            Cow::Borrowed(bytes) => Self::Borrowed(bytes),
            Cow::Owned(bytes) => Self::Made(bytes.into()),
        }
    }
}

impl Deref for Value<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Made(bytes) => bytes,
        }
    }
}

impl<'a> Entry<'a> {
    /// Reads the key of a `KeyValue`.
    pub(super) fn read(field: Field, source: &Source<'a>, strings: &Strings<'a>) -> Option<Self> {
        let mut key = Cow::Borrowed(&[][..]);
        let mut index = 0;
        source.fields(field.value.clone(), |part| {
            match part.number {
                KEY if part.sized => key = source.bytes(part.value),
                KEY_STRINDEX => index = low_bits(source.varint(part.value.start)?.0),
                _ => {}
            }
            Some(())
        })?;
        if index != 0 && key.is_empty() {
            key = strings.text(index).unwrap_or_default();
        }
        Some(Self { key, field: Some(field), state: State::Kept })
    }

    fn is_present(&self) -> bool {
        !matches!(self.state, State::Removed)
    }

    /// Its encoded value as it is now.
    fn value(&self, source: &Source<'a>) -> Option<Value<'a>> {
        match (&self.state, &self.field) {
            (State::Set(value), _) => Some(value.clone()),
            (_, Some(field)) => original(field, source).map(Value::from),
            (_, None) => None,
        }
    }

    /// What to put where, for one that was there before and changed.
    pub(super) fn replacement(&self, source: &Source<'_>) -> Option<(Range<usize>, Vec<u8>)> {
        let field = self.field.as_ref()?;
        let whole = field.at..field.value.end;
        match &self.state {
            State::Kept => None,
            State::Removed => Some((whole, Vec::new())),
            State::Set(value) => {
                let mut body = Vec::with_capacity(field.value.len() + value.len());
                source.fields(field.value.clone(), |part| {
                    if part.number != VALUE {
                        body.extend_from_slice(&source.bytes(part.at..part.value.end));
                    }
                    Some(())
                })?;
                put(VALUE, value, &mut body);
                let mut bytes = Vec::with_capacity(body.len() + 8);
                put(field.number, &body, &mut bytes);
                Some((whole, bytes))
            }
        }
    }
}

/// A varint as a decoder takes it for an `int32`.
#[expect(clippy::cast_possible_truncation, reason = "protobuf keeps the low bits")]
fn low_bits(varint: u64) -> i32 {
    varint as i32
}

/// The encoded value in a `KeyValue`. Repetitions are merged by putting them in a row.
fn original<'a>(field: &Field, source: &Source<'a>) -> Option<Cow<'a, [u8]>> {
    let mut value: Option<Cow<'a, [u8]>> = None;
    source.fields(field.value.clone(), |part| {
        if part.number == VALUE && part.sized {
            let bytes = source.bytes(part.value);
            match &mut value {
                Some(value) => value.to_mut().extend_from_slice(&bytes),
                None => value = Some(bytes),
            }
        }
        Some(())
    })?;
    Some(value.unwrap_or_default())
}

/// Writes a field that has a length.
fn put(number: u32, value: &[u8], out: &mut Vec<u8>) {
    encode_varint(u64::from(number << 3 | 2), out);
    encode_varint(value.len() as u64, out);
    out.extend_from_slice(value);
}

impl<'a> List<'a> {
    /// Whether no further attribute is read: one of two bytes takes forty times as much here.
    pub(super) fn is_full(&self) -> bool {
        self.entries.len() >= MOST_ENTRIES
    }

    pub(super) fn push(&mut self, entry: Entry<'a>) {
        self.entries.push(entry);
    }

    pub(super) fn get(&self, index: usize) -> Option<&Entry<'a>> {
        self.entries.get(index)
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.changed = false;
    }

    pub(super) fn is_changed(&self) -> bool {
        self.changed
    }

    /// Writes what was not there before, each as the field with this number.
    pub(super) fn write_added(&self, number: u32, out: &mut Vec<u8>) {
        for entry in &self.entries {
            if let (None, State::Set(value)) = (&entry.field, &entry.state) {
                let mut body = Vec::with_capacity(entry.key.len() + value.len() + 8);
                put(KEY, &entry.key, &mut body);
                put(VALUE, value, &mut body);
                put(number, &body, out);
            }
        }
    }

    /// Makes edits in order; nothing when a message is malformed.
    pub(super) fn run(
        &mut self,
        edits: &'a [Arc<Edit>],
        source: &Source<'a>,
        strings: &Strings<'a>,
    ) -> Option<()> {
        for edit in edits {
            let key = edit.key.as_bytes();
            match &edit.action {
                Action::Convert(target) => self.change(key, source, |old| {
                    value::convert(value::decode(old, strings)?, *target)
                })?,
                Action::Delete => self.remove(|found| found == key),
                Action::DeletePattern(pattern) => self.remove(|found| {
                    std::str::from_utf8(found).is_ok_and(|found| pattern.is_match(found))
                }),
                Action::Extract(pattern, groups) => {
                    let Some(text) = self.first(key, source) else { continue };
                    let Some(found) =
                        value::extract(value::decode(&text, strings)?, pattern, groups)
                    else {
                        continue;
                    };
                    for (name, value) in found {
                        self.put(name.as_bytes(), When::Always, Value::Made(value.into()), source)?;
                    }
                }
                Action::Hash => {
                    self.change(key, source, |old| {
                        Some(value::hash(value::decode(old, strings)?))
                    })?;
                }
                Action::Put(when, Origin::Literal(value)) => {
                    self.put(key, *when, Value::Borrowed(value), source)?;
                }
                Action::Put(when, Origin::Key(from)) => {
                    if let Some(value) = self.first(from.as_bytes(), source) {
                        self.put(key, *when, value, source)?;
                    }
                }
            }
        }
        Some(())
    }

    /// The value of the first attribute with this key.
    fn first(&self, key: &[u8], source: &Source<'a>) -> Option<Value<'a>> {
        self.entries.iter().find(|entry| entry.is_present() && *entry.key == *key)?.value(source)
    }

    fn remove(&mut self, matches: impl Fn(&[u8]) -> bool) {
        for entry in &mut self.entries {
            if entry.is_present() && matches(&entry.key) {
                entry.state = State::Removed;
                self.changed = true;
            }
        }
    }

    /// Puts another value into every entry with this key, where there is another one.
    fn change(
        &mut self,
        key: &[u8],
        source: &Source<'a>,
        change: impl Fn(&[u8]) -> Option<Vec<u8>>,
    ) -> Option<()> {
        for entry in &mut self.entries {
            if entry.is_present() && *entry.key == *key {
                let old = entry.value(source)?;
                if let Some(new) = change(&old).filter(|new| *new != *old) {
                    entry.state = State::Set(Value::Made(new.into()));
                    self.changed = true;
                }
            }
        }
        Some(())
    }

    fn put(
        &mut self,
        key: &'a [u8],
        when: When,
        value: Value<'a>,
        source: &Source<'a>,
    ) -> Option<()> {
        let mut found = false;
        for entry in &mut self.entries {
            if entry.is_present() && *entry.key == *key {
                found = true;
                if when != When::Absent && *entry.value(source)? != *value {
                    entry.state = State::Set(value.clone());
                    self.changed = true;
                }
            }
        }
        if !found && when != When::Present {
            let state = State::Set(value);
            self.entries.push(Entry { key: Cow::Borrowed(key), field: None, state });
            self.changed = true;
        }
        Some(())
    }
}

/// Of one message: their list takes as much as may be added.
const MOST_ENTRIES: usize = MOST_ADDED / size_of::<Entry<'static>>();

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Rope;

    /// Scenario: one large value is put into many attributes.
    /// Guarantees: they share it, for a copy each could be any multiple of the request.
    #[test]
    fn attributes_that_are_given_the_same_value_share_it() {
        let rope = Rope::new();
        let source = Source::new(&rope);
        let entry = |key: &'static [u8]| Entry {
            key: Cow::Borrowed(key),
            field: None,
            state: State::Set(Value::Borrowed(b"")),
        };
        let mut list = List::default();
        (0..3).for_each(|_| list.push(entry(b"to")));
        let large = Value::from(Cow::Owned(vec![7; 100]));
        list.put(b"to", When::Always, large, &source).unwrap();
        let values: Vec<_> =
            list.entries.iter().map(|entry| entry.value(&source).unwrap().as_ptr()).collect();
        assert_eq!(values, [values[0]; 3]);
    }
}
