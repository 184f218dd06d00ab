//! Walking a request and editing the attribute lists in it.
//!
//! Guarantees that only lengths around an edit change besides the edit itself, that unknown fields
//! survive, and that repetitions of a singular message are edited as the one message that decoders
//! make of them. Recursion is as deep as the schema. Knows nothing of what an edit does.

use std::cell::OnceCell;
use std::ops::Range;

use prost::encoding::encode_varint;

use crate::batch::{Room, Rope};
use crate::otlp::wire::{Field, Source};
use crate::processor::list::{Entry, List};
use crate::processor::plan::{Child, Node, Own};
use crate::processor::splice::{NoRoom, Splices, TooLarge};
use crate::signal::Signal;

/// Why a request could not be edited.
#[derive(Debug)]
pub(super) enum EditError {
    /// It is no valid message, which the checker should have found.
    Malformed,
    /// Others hold all the bytes that there are for edited requests.
    NoRoom,
    /// It would become too large.
    TooLarge,
}

impl From<NoRoom> for EditError {
    fn from(_: NoRoom) -> Self {
        Self::NoRoom
    }
}

impl From<TooLarge> for EditError {
    fn from(_: TooLarge) -> Self {
        Self::TooLarge
    }
}

/// The request with all edits made; nothing when none applied.
pub(super) fn edit(
    signal: Signal,
    tree: &Node,
    request: &Rope,
    room: &Room,
) -> Result<Option<Rope>, EditError> {
    let source = Source::new(request);
    let strings = Strings { source: &source, signal, table: OnceCell::new() };
    let splices = Splices::new(source.len());
    let mut editor = Editor { source: &source, strings: &strings, splices, spare: Vec::new() };
    editor.message(tree, 0..source.len())?;
    let splices = editor.splices;
    if splices.is_empty() { Ok(None) } else { Ok(Some(splices.apply(&source, room)?)) }
}

/// The string table of a profiles request, which attributes may refer to.
#[derive(Debug)]
pub(super) struct Strings<'a> {
    source: &'a Source<'a>,
    signal: Signal,
    table: OnceCell<Vec<(u32, u32)>>,
}

impl<'a> Strings<'a> {
    /// The text with this index: the tables of all dictionaries, one after the other.
    pub(super) fn text(&self, index: i32) -> Option<std::borrow::Cow<'a, [u8]>> {
        let table = self.table.get_or_init(|| self.read().unwrap_or_default());
        let (start, end) = *table.get(usize::try_from(index).ok()?)?;
        Some(self.source.bytes(usize::try_from(start).ok()?..usize::try_from(end).ok()?))
    }

    fn read(&self) -> Option<Vec<(u32, u32)>> {
        const DICTIONARY: u32 = 2;
        const STRING_TABLE: u32 = 5;
        let mut table = Vec::new();
        if self.signal != Signal::Profiles {
            return None;
        }
        self.source.fields(0..self.source.len(), |field| {
            if field.number != DICTIONARY || !field.sized {
                return Some(());
            }
            self.source.fields(field.value, |text| {
                if text.number == STRING_TABLE && text.sized {
                    let Range { start, end } = text.value;
                    table.push((u32::try_from(start).ok()?, u32::try_from(end).ok()?));
                }
                Some(())
            })
        })?;
        Some(table)
    }
}

struct Editor<'a> {
    source: &'a Source<'a>,
    strings: &'a Strings<'a>,
    splices: Splices,
    /// Lists that are not in use, for their memory.
    spare: Vec<List<'a>>,
}

/// The attributes of the message that is being walked, and how far they were written.
struct Written<'l, 'a> {
    list: &'l List<'a>,
    next: usize,
}

impl<'a> Editor<'a> {
    /// Edits a message that is one by itself.
    fn message(&mut self, node: &'a Node, range: Range<usize>) -> Result<(), EditError> {
        let Some(own) = &node.own else { return self.walk(node, range, None) };
        let mut list = self.spare.pop().unwrap_or_default();
        self.read(own, range.clone(), &mut list)?;
        list.run(&own.edits, self.source, self.strings).ok_or(EditError::Malformed)?;
        if list.is_changed() {
            let mut written = Written { list: &list, next: 0 };
            self.walk(node, range.clone(), Some((own, &mut written)))?;
            self.write_added(own, range.end, &list)?;
        } else if !node.children.is_empty() {
            self.walk(node, range, None)?;
        }
        list.clear();
        self.spare.push(list);
        Ok(())
    }

    /// Adds the attributes of a message to a list.
    fn read(&self, own: &Own, range: Range<usize>, list: &mut List<'a>) -> Result<(), EditError> {
        let mut is_full = false;
        let read = self.source.fields(range, |field| {
            if field.number == own.attributes && field.sized {
                is_full = list.is_full();
                if is_full {
                    return None;
                }
                list.push(Entry::read(field, self.source, self.strings)?);
            }
            Some(())
        });
        match read {
            None if is_full => Err(EditError::TooLarge),
            read => read.ok_or(EditError::Malformed),
        }
    }

    /// Passes over the fields of a message, with its attributes if they changed.
    fn walk(
        &mut self,
        node: &'a Node,
        range: Range<usize>,
        mut attributes: Option<(&'a Own, &mut Written<'_, 'a>)>,
    ) -> Result<(), EditError> {
        // No message in OTLP has attributes and a merged child at the same time.
        if let Some(child) = node.children.iter().find(|child| child.merged) {
            return self.walk_merged(node, child, range);
        }
        let mut at = range.start;
        while at < range.end {
            let field = self.source.field(at, range.end).ok_or(EditError::Malformed)?;
            at = field.value.end;
            if !field.sized {
                continue;
            }
            match &mut attributes {
                Some((own, written)) if field.number == own.attributes => {
                    self.write_next(written)?;
                }
                _ => self.child(node, &field)?,
            }
        }
        Ok(())
    }

    /// Edits the message in a field, if it is one to walk into.
    fn child(&mut self, node: &'a Node, field: &Field) -> Result<(), EditError> {
        if let Some(child) = node.children.iter().find(|child| child.number == field.number) {
            let open = self.splices.open(field.length_at..field.value.start);
            self.message(&child.node, field.value.clone())?;
            self.splices.close(&open, field.value.len());
        }
        Ok(())
    }

    /// Passes over a message with a singular child that has attributes: however often that child
    /// is there, it is one list, and what is added goes to the last of them, or to a new one.
    fn walk_merged(
        &mut self,
        node: &'a Node,
        merged: &'a Child,
        range: Range<usize>,
    ) -> Result<(), EditError> {
        let Some(own) = &merged.node.own else { return Ok(()) };
        let source = self.source;
        let mut list = self.spare.pop().unwrap_or_default();
        let mut last = None;
        let mut at = range.start;
        while at < range.end {
            let field = source.field(at, range.end).ok_or(EditError::Malformed)?;
            at = field.value.end;
            if field.number == merged.number && field.sized {
                self.read(own, field.value, &mut list)?;
                last = Some(field.at);
            }
        }
        list.run(&own.edits, source, self.strings).ok_or(EditError::Malformed)?;
        let mut written = Written { list: &list, next: 0 };
        at = range.start;
        while at < range.end {
            let field = source.field(at, range.end).ok_or(EditError::Malformed)?;
            at = field.value.end;
            if !field.sized {
                continue;
            }
            if field.number != merged.number {
                self.child(node, &field)?;
            } else if list.is_changed() {
                let open = self.splices.open(field.length_at..field.value.start);
                self.walk(&merged.node, field.value.clone(), Some((own, &mut written)))?;
                if last == Some(field.at) {
                    self.write_added(own, field.value.end, &list)?;
                }
                self.splices.close(&open, field.value.len());
            }
        }
        if last.is_none() {
            self.write_message(merged.number, own, range.end, &list)?;
        }
        list.clear();
        self.spare.push(list);
        Ok(())
    }

    /// Writes the next attribute that was there before.
    fn write_next(&mut self, written: &mut Written<'_, 'a>) -> Result<(), EditError> {
        let entry = written.list.get(written.next).ok_or(EditError::Malformed)?;
        written.next += 1;
        if let Some((removed, bytes)) = entry.replacement(self.source) {
            self.splices.replace(removed, &bytes)?;
        }
        Ok(())
    }

    /// Writes the attributes that were not there before.
    fn write_added(&mut self, own: &Own, at: usize, list: &List<'_>) -> Result<(), EditError> {
        let mut bytes = Vec::new();
        list.write_added(own.attributes, &mut bytes);
        if !bytes.is_empty() {
            self.splices.replace(at..at, &bytes)?;
        }
        Ok(())
    }

    /// Writes a message with the attributes that were not there before, if there are any.
    fn write_message(
        &mut self,
        number: u32,
        own: &Own,
        at: usize,
        list: &List<'_>,
    ) -> Result<(), EditError> {
        let mut attributes = Vec::new();
        list.write_added(own.attributes, &mut attributes);
        if attributes.is_empty() {
            return Ok(());
        }
        let mut bytes = Vec::with_capacity(attributes.len() + 8);
        encode_varint(u64::from(number << 3 | 2), &mut bytes);
        encode_varint(attributes.len() as u64, &mut bytes);
        bytes.append(&mut attributes);
        Ok(self.splices.replace(at..at, &bytes)?)
    }
}
