//! A document as a tree that still knows where each value stands.
//!
//! Texts are borrowed from the file wherever an escape or a fold does not forbid it. What an
//! anchor names is held once, however often aliases repeat it. Mappings keep the order of the file
//! and hold a key once: [`Entry`]s that repeat one are a [`Fault`], as are merges that cannot be
//! done.

use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;

use foldhash::fast::RandomState;
use zeroize::Zeroize as _;

use super::scalar::{self, Scalar};
use crate::diagnostic::Code;
use crate::location::Mark;

/// A document that could be parsed.
#[derive(Debug)]
pub(super) struct Tree<'a> {
    pub(super) root: Node<'a>,
    /// What is wrong with parts of it, in the order of the file: costs the object around it.
    pub(super) faults: Vec<Fault>,
}

/// A value and where it begins.
#[derive(Clone, Debug)]
pub(super) struct Node<'a> {
    pub(super) at: Mark,
    pub(super) value: Value<'a>,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(super) enum Value<'a> {
    /// Without quotes: [`scalar::resolve`] tells its type.
    Plain(Cow<'a, str>),
    /// A text for certain: quoted, a block, or tagged.
    Text(Cow<'a, str>),
    /// A sequence.
    Sequence(Vec<Node<'a>>),
    /// A mapping.
    Mapping(Vec<Entry<'a>>),
    /// What an anchor names.
    Shared(Rc<Node<'a>>),
}

/// A key and its value.
#[derive(Clone, Debug)]
pub(super) struct Entry<'a> {
    pub(super) key: Cow<'a, str>,
    /// Where the key stands.
    pub(super) at: Mark,
    pub(super) value: Node<'a>,
}

/// What is wrong at one place of a tree that is otherwise whole.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) code: Code,
    pub(super) at: Mark,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl<'a> Node<'a> {
    /// The value itself, whether anchored or not.
    pub(super) fn value(&self) -> &Value<'a> {
        let mut node = self;
        while let Value::Shared(shared) = &node.value {
            node = shared;
        }
        &node.value
    }

    /// The entries of a mapping; none for anything else.
    pub(super) fn entries(&self) -> &[Entry<'a>] {
        match self.value() {
            Value::Mapping(entries) => entries,
            _ => &[],
        }
    }

    /// A value of a mapping.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        let entry = self.entries().iter().find(|entry| entry.key == key)?;
        Some(&entry.value)
    }

    /// The text, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match self.value() {
            Value::Text(text) => Some(text),
            Value::Plain(text) if scalar::resolve(text) == Scalar::Text => Some(text),
            _ => None,
        }
    }

    /// Lets it go and writes over texts that are its own; what is borrowed is the file's.
    pub(super) fn wipe(self) {
        match self.value {
            Value::Plain(Cow::Owned(mut text)) | Value::Text(Cow::Owned(mut text)) => {
                text.zeroize();
            }
            Value::Plain(Cow::Borrowed(_)) | Value::Text(Cow::Borrowed(_)) => {}
            Value::Sequence(items) => items.into_iter().for_each(Self::wipe),
            Value::Mapping(entries) => entries.into_iter().for_each(|entry| entry.value.wipe()),
            Value::Shared(shared) => {
                if let Ok(node) = Rc::try_unwrap(shared) {
                    node.wipe();
                }
            }
        }
    }

    /// Whether this is null: as good as absent.
    pub(super) fn is_null(&self) -> bool {
        matches!(self.value(), Value::Plain(text) if scalar::resolve(text) == Scalar::Null)
    }
}

/// Makes a mapping of what was read: merges, then refuses keys that stand twice.
pub(super) fn mapping<'a>(
    mut entries: Vec<Entry<'a>>,
    merges: Vec<Node<'a>>,
    faults: &mut Vec<Fault>,
) -> Value<'a> {
    duplicates(&mut entries, faults);
    for merge in merges {
        let sources = match merge.value() {
            Value::Sequence(sources) => sources.as_slice(),
            _ => std::slice::from_ref(&merge),
        };
        for source in sources {
            let Value::Mapping(from) = source.value() else {
                refuse(
                    faults,
                    Fault {
                        code: Code::Syntax,
                        at: source.at,
                        message: "`<<` merges a mapping or a sequence of mappings".to_owned(),
                        help: None,
                    },
                );
                continue;
            };
            // What stands in the mapping itself counts, then what was merged first.
            let new: Vec<_> = {
                let have: std::collections::HashSet<&str, RandomState> =
                    entries.iter().map(|entry| &*entry.key).collect();
                from.iter()
                    .filter(|entry| !have.contains(&*entry.key))
                    .cloned()
                    .collect()
            };
            entries.extend(new);
        }
    }
    Value::Mapping(entries)
}

/// Leaves the first of each key; the others are faults.
fn duplicates(entries: &mut Vec<Entry<'_>>, faults: &mut Vec<Fault>) {
    let mut twice = Vec::new();
    if entries.len() <= FEW_KEYS {
        for (index, entry) in entries.iter().enumerate() {
            if let Some(first) = entries[..index].iter().find(|first| first.key == entry.key) {
                twice.push((index, first.at));
            }
        }
    } else {
        let mut first: HashMap<&str, Mark, RandomState> = HashMap::default();
        for (index, entry) in entries.iter().enumerate() {
            if let Some(first) = first.get(&*entry.key) {
                twice.push((index, *first));
            } else {
                first.insert(&entry.key, entry.at);
            }
        }
    }
    for &(index, first) in &twice {
        let Entry { key, at, .. } = &entries[index];
        refuse(
            faults,
            Fault {
                code: Code::DuplicateKey,
                at: *at,
                message: format!(
                    "the key `{}` stands in line {} already",
                    brief(key),
                    first.position().line
                ),
                help: Some("keep one of the two".to_owned()),
            },
        );
    }
    if !twice.is_empty() {
        let mut index = 0;
        entries.retain(|_| {
            index += 1;
            twice
                .binary_search_by_key(&(index - 1), |&(at, _)| at)
                .is_err()
        });
    }
}

/// Notes a fault, as long as there are few.
pub(super) fn refuse(faults: &mut Vec<Fault>, fault: Fault) {
    if faults.len() < MAX_FAULTS {
        faults.push(fault);
    }
}

/// A text of the file as a message shows it: short, on one line.
pub(super) fn brief(text: &str) -> String {
    let mut brief: String = text
        .chars()
        .take(MAX_SHOWN)
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect();
    if brief.len() < text.len() {
        brief.push('…');
    }
    brief
}

/// Mappings up to this size are compared key by key.
const FEW_KEYS: usize = 12;
/// Faults of one document that are told; the rest would say the same.
const MAX_FAULTS: usize = 100;
/// Characters of a text of the file that a message shows.
const MAX_SHOWN: usize = 60;
