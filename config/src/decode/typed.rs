//! A tree to an API type, as `kubectl` and the API server read JSON into one.
//!
//! Null is absent, wherever it stands. A number with a fraction of zero is a whole one. Nothing is
//! turned into a text: `yes` and `80` without quotes are refused where a text belongs, with the
//! way out; but for values of annotations, which are taken as they are written and told of
//! (`ingress 2.1`). A wrong value is noted and reading goes on as if it were absent, so that everything
//! wrong with an object is told at once. Fields that a type does not hold are noted too.

use std::cell::RefCell;
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::scalar::{self, Scalar};
use super::tree::{Entry, Node, Value, brief};
use crate::diagnostic::Code;
use crate::location::{FieldPath, Mark};

/// What was found while an object was read.
#[derive(Default)]
pub(super) struct Findings {
    /// Values that cannot be used.
    pub(super) wrong: Vec<Wrong>,
    /// Values of annotations that are used and need quotes.
    pub(super) bare: Vec<Wrong>,
    /// Fields that the type does not hold, where `is_known` did not know them either.
    pub(super) unknown: Vec<(FieldPath, Mark)>,
}

/// A value that is not as it should be.
pub(super) struct Wrong {
    pub(super) code: Code,
    pub(super) field: FieldPath,
    pub(super) at: Mark,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

/// Reads an object; `is_known` says of a field that the type does not hold, by the keys that lead
/// to it, whether Kubernetes has it. `None` only with something wrong.
pub(super) fn read<T: DeserializeOwned>(
    node: &Node<'_>,
    is_known: &dyn Fn(&[&str]) -> bool,
) -> (Option<T>, Findings) {
    let context = Context { is_known, findings: RefCell::default() };
    let reader = Reader { node, path: Path::Root, at: node.at, context: &context };
    let object = T::deserialize(reader);
    let mut findings = context.findings.into_inner();
    let object = match object {
        Ok(object) if findings.wrong.is_empty() => Some(object),
        Ok(_) => None,
        Err(Failure(message)) => {
            if findings.wrong.is_empty() {
                let (code, field) = (Code::WrongType, FieldPath::default());
                findings
                    .wrong
                    .push(Wrong { code, field, at: node.at, message, help: None });
            }
            None
        }
    };
    (object, findings)
}

struct Context<'c> {
    is_known: &'c dyn Fn(&[&str]) -> bool,
    findings: RefCell<Findings>,
}

/// The way from the object's root, told only when something is found.
#[derive(Clone, Copy)]
enum Path<'p> {
    Root,
    Key(&'p Self, &'p str),
    Index(&'p Self, usize),
}

impl<'p> Path<'p> {
    fn field(&self) -> FieldPath {
        match self {
            Self::Root => FieldPath::default(),
            Self::Key(parent, key) => parent.field().key(key),
            Self::Index(parent, index) => parent.field().index(*index),
        }
    }

    fn keys(&self, keys: &mut Vec<&'p str>) {
        match self {
            Self::Root => {}
            Self::Key(parent, key) => {
                parent.keys(keys);
                keys.push(key);
            }
            Self::Index(parent, _) => parent.keys(keys),
        }
    }
}

/// One value, on its way into a type.
struct Reader<'t, 'p> {
    node: &'t Node<'t>,
    path: Path<'p>,
    /// Where the key of the value stands.
    at: Mark,
    context: &'p Context<'p>,
}

/// What the types themselves refuse.
#[derive(Debug)]
struct Failure(String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

impl serde::de::Error for Failure {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

impl Reader<'_, '_> {
    /// Notes that the value is not what is `wanted`.
    fn wrong(&self, wanted: &str) {
        let (code, message, help) = explain(self.node, wanted);
        let at = match self.node.value() {
            Value::Sequence(_) | Value::Mapping(_) => self.at,
            Value::Plain(_) | Value::Text(_) | Value::Shared(_) => self.node.at,
        };
        let wrong = &mut self.context.findings.borrow_mut().wrong;
        if wrong.len() < MAX_WRONG {
            wrong.push(Wrong { code, field: self.path.field(), at, message, help });
        }
    }

    /// Notes that the value of an annotation is no text and is taken for one.
    fn bare(&self) {
        let (_, message, help) = explain(self.node, "a text");
        let message = format!("{message}: it is taken as it is written");
        let (code, field, at) = (Code::BareAnnotation, self.path.field(), self.node.at);
        let bare = &mut self.context.findings.borrow_mut().bare;
        if bare.len() < MAX_WRONG {
            bare.push(Wrong { code, field, at, message, help });
        }
    }

    /// Whether this is the value of an annotation.
    fn is_annotation(&self) -> bool {
        let Path::Key(Path::Key(Path::Key(Path::Root, metadata), annotations), _) = self.path
        else {
            return false;
        };
        (*metadata, *annotations) == ("metadata", "annotations")
    }

    /// What the value is as a whole number; `None`: it is none, and that is noted.
    fn int(&self) -> Option<i64> {
        if let Value::Plain(text) = self.node.value() {
            match scalar::resolve(text) {
                Scalar::Null => return Some(0),
                Scalar::Int(value) => return Some(value),
                Scalar::Float(value) if value.fract() == 0.0 && value.abs() < EXACT => {
                    return format!("{value:.0}").parse().ok();
                }
                _ => {}
            }
        }
        self.wrong("an integer");
        None
    }

    fn is_null(&self) -> bool {
        self.node.is_null()
    }
}

/// Why a value is not what is wanted, and the way out.
fn explain(node: &Node<'_>, wanted: &str) -> (Code, String, Option<String>) {
    let plain = |message: String| (Code::WrongType, message, None);
    let with = |code, message: String, help: String| (code, message, Some(help));
    match node.value() {
        Value::Sequence(_) => plain(format!("is a sequence, not {wanted}")),
        Value::Mapping(_) => plain(format!("is a mapping, not {wanted}")),
        Value::Text(text)
            if wanted == "an integer"
                && !matches!(scalar::resolve(text), Scalar::Text | Scalar::Null) =>
        {
            with(
                Code::WrongType,
                format!("\"{}\" is a text, not {wanted}", brief(text)),
                "write it without quotes".to_owned(),
            )
        }
        Value::Text(text) if wanted == "a boolean" => with(
            Code::WrongType,
            format!("\"{}\" is a text, not {wanted}", brief(text)),
            "write true or false, without quotes".to_owned(),
        ),
        Value::Plain(text) => {
            let (shown, found) = (brief(text), scalar::resolve(text));
            let kind = match found {
                Scalar::Null => "null",
                Scalar::Bool(_) => "a boolean",
                Scalar::Int(_) | Scalar::LargeInt | Scalar::Float(_) => "a number",
                Scalar::Text => "a text",
            };
            let needs_quotes = wanted == "a text" && !matches!(found, Scalar::Text);
            match found {
                _ if needs_quotes => with(
                    Code::NeedsQuotes,
                    format!("`{shown}` without quotes is {kind}, not {wanted}"),
                    format!("write \"{shown}\""),
                ),
                Scalar::LargeInt if wanted.contains("integer") => {
                    plain(format!("{shown} is larger than any integer of 64 bits"))
                }
                Scalar::Float(_) if wanted.contains("integer") => {
                    plain(format!("{shown} is not a whole number"))
                }
                _ => plain(format!("`{shown}` is {kind}, not {wanted}")),
            }
        }
        Value::Text(text) => plain(format!("\"{}\" is a text, not {wanted}", brief(text))),
        Value::Shared(_) => plain(format!("is not {wanted}")),
    }
}

impl<'de> Deserializer<'de> for Reader<'de, '_> {
    type Error = Failure;

    /// Only [`crate::api::IntOrString`] takes more than one type.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.node.value() {
            Value::Text(text) => visitor.visit_str(text),
            Value::Plain(text) => match scalar::resolve(text) {
                Scalar::Text => visitor.visit_str(text),
                Scalar::Int(_) | Scalar::Float(_) | Scalar::LargeInt => {
                    visitor.visit_i64(self.int().unwrap_or_default())
                }
                Scalar::Null => visitor.visit_i64(0),
                Scalar::Bool(_) => {
                    self.wrong("an integer or a text");
                    visitor.visit_i64(0)
                }
            },
            Value::Sequence(_) | Value::Mapping(_) | Value::Shared(_) => {
                self.wrong("an integer or a text");
                visitor.visit_i64(0)
            }
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let value = match self.node.value() {
            Value::Plain(text) => scalar::resolve(text),
            _ => Scalar::Text,
        };
        match value {
            Scalar::Bool(value) => visitor.visit_bool(value),
            Scalar::Null => visitor.visit_bool(false),
            _ => {
                self.wrong("a boolean");
                visitor.visit_bool(false)
            }
        }
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_i64(self.int().unwrap_or_default())
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.node.value() {
            Value::Text(text) => return visitor.visit_str(text),
            Value::Plain(text) => match scalar::resolve(text) {
                Scalar::Text => return visitor.visit_str(text),
                Scalar::Null => {}
                _ if self.is_annotation() => {
                    self.bare();
                    return visitor.visit_str(text);
                }
                _ => self.wrong("a text"),
            },
            _ => self.wrong("a text"),
        }
        visitor.visit_str("")
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        if self.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let items: &[Node<'de>] = match self.node.value() {
            Value::Sequence(items) => items,
            _ => {
                if !self.is_null() {
                    self.wrong("a sequence");
                }
                &[]
            }
        };
        visitor.visit_seq(Items {
            items: items.iter(),
            next: 0,
            path: &self.path,
            context: self.context,
        })
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let entries: &[Entry<'de>] = match self.node.value() {
            Value::Mapping(entries) => entries,
            _ => {
                if !self.is_null() {
                    self.wrong("a mapping");
                }
                &[]
            }
        };
        visitor.visit_map(Entries {
            entries: entries.iter(),
            value: None,
            path: &self.path,
            context: self.context,
        })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.deserialize_map(visitor)
    }

    /// A field that the type does not hold.
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let mut keys = Vec::with_capacity(EXPECTED_DEPTH);
        self.path.keys(&mut keys);
        if !(self.context.is_known)(&keys) {
            let unknown = &mut self.context.findings.borrow_mut().unknown;
            if unknown.len() < MAX_UNKNOWN {
                unknown.push((self.path.field(), self.at));
            }
        }
        visitor.visit_unit()
    }

    /// Only [`crate::api::Quantity`] is one: a number as it is written, or a text.
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        match self.node.value() {
            Value::Text(text) => visitor.visit_str(text),
            Value::Plain(text) => match scalar::resolve(text) {
                Scalar::Null => visitor.visit_str(""),
                Scalar::Bool(_) => {
                    self.wrong("a quantity");
                    visitor.visit_str("")
                }
                Scalar::Text | Scalar::Int(_) | Scalar::Float(_) | Scalar::LargeInt => {
                    visitor.visit_str(text)
                }
            },
            Value::Sequence(_) | Value::Mapping(_) | Value::Shared(_) => {
                self.wrong("a quantity");
                visitor.visit_str("")
            }
        }
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct
        tuple tuple_struct enum identifier
    }
}

struct Items<'t, 'p> {
    items: std::slice::Iter<'t, Node<'t>>,
    next: usize,
    path: &'p Path<'p>,
    context: &'p Context<'p>,
}

impl<'de> SeqAccess<'de> for Items<'de, '_> {
    type Error = Failure;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Failure> {
        let Some(node) = self.items.next() else { return Ok(None) };
        let path = Path::Index(self.path, self.next);
        self.next += 1;
        seed.deserialize(Reader { node, path, at: node.at, context: self.context })
            .map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

struct Entries<'t, 'p> {
    entries: std::slice::Iter<'t, Entry<'t>>,
    value: Option<&'t Entry<'t>>,
    path: &'p Path<'p>,
    context: &'p Context<'p>,
}

impl<'de> MapAccess<'de> for Entries<'de, '_> {
    type Error = Failure;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Failure> {
        self.value = self.entries.next();
        let Some(entry) = self.value else { return Ok(None) };
        seed.deserialize(StrDeserializer::new(&entry.key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Failure> {
        let entry = self
            .value
            .take()
            .ok_or_else(|| Failure("a value without its key".to_owned()))?;
        let path = Path::Key(self.path, &entry.key);
        seed.deserialize(Reader { node: &entry.value, path, at: entry.at, context: self.context })
    }
}

/// Wrong values of one object that are told.
const MAX_WRONG: usize = 20;
/// Unknown fields of one object that are told.
const MAX_UNKNOWN: usize = 20;
/// Up to here every whole number is a float of its own.
const EXACT: f64 = 9_007_199_254_740_992.0;
/// Keys on the way to most fields.
const EXPECTED_DEPTH: usize = 8;
