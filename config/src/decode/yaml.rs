//! YAML, and with it JSON, to a tree: what [`plain`] does not read, and the last word on errors.
//!
//! The parser's events are taken one by one, so that a limit stops a hostile document where it is
//! passed: depth, aliases, what aliases repeat, number of values. Recursion is as deep as the
//! limit of depth and no deeper.

use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;

use base64::Engine as _;
use foldhash::fast::RandomState;
use serde_saphyr::granit_parser::{
    Event, Options, Parser, ScalarStyle, ScanError, Span, StrInput, Tag,
};

use super::stream::Document;
use super::tree::{self, Entry, Fault, Node, Tree, Value, brief};
use super::{plain, scalar};
use crate::diagnostic::Code;
use crate::location::Mark;
use crate::model::Limits;

/// Parses a document; fails with what is wrong with it as a whole.
pub(super) fn parse<'a>(document: Document<'a>, limits: &Limits) -> Result<Tree<'a>, Box<Fault>> {
    match plain::parse(document, limits.max_depth.min(MAX_DEPTH)) {
        Some(tree) => Ok(tree),
        None => parse_any(document, limits),
    }
}

/// Parses a document in any form of YAML.
pub(super) fn parse_any<'a>(
    document: Document<'a>,
    limits: &Limits,
) -> Result<Tree<'a>, Box<Fault>> {
    let mut options = Options::default();
    let most_depth = limits.max_depth.min(MAX_DEPTH);
    // One more than allowed, so that it is here that depth is refused, by the setting's name.
    options.flow_nesting_limit = most_depth + 2;
    options.block_nesting_limit = most_depth + 2;
    options.simple_key_max_lookahead = MAX_KEY_CHARS;
    let mut builder = Builder {
        parser: Parser::new_from_str_with_options(document.text, options),
        document,
        limits,
        most_depth,
        anchors: HashMap::default(),
        nodes: 0,
        aliases: 0,
        replayed: 0,
        faults: Vec::new(),
    };
    let root = builder.document()?;
    Ok(Tree { root, faults: builder.faults })
}

struct Builder<'a, 'l> {
    parser: Parser<'a, StrInput<'a>>,
    document: Document<'a>,
    limits: &'l Limits,
    most_depth: usize,
    /// What anchors name, by the parser's number.
    anchors: HashMap<usize, Anchor<'a>, RandomState>,
    nodes: usize,
    aliases: usize,
    replayed: usize,
    faults: Vec<Fault>,
}

/// A finished node that aliases may repeat.
#[derive(Clone)]
struct Anchor<'a> {
    node: Rc<Node<'a>>,
    extent: Extent,
}

/// How much a node is, aliases written out.
#[derive(Clone, Copy)]
struct Extent {
    nodes: usize,
    height: usize,
}

type Failure = Box<Fault>;

impl<'a> Builder<'a, '_> {
    fn document(&mut self) -> Result<Node<'a>, Failure> {
        let root = loop {
            match self.next()? {
                (Event::StreamStart | Event::DocumentStart(..), _) => {}
                (event, span) => break self.node(event, &span, 1)?.0,
            }
        };
        loop {
            match self.next()? {
                (Event::DocumentEnd, _) => {}
                (Event::StreamEnd, _) => return Ok(root),
                (_, span) => {
                    let at = self.mark(&span);
                    let help = "begin it with a line `---`";
                    return Err(fault(Code::Syntax, at, "another document begins here", help));
                }
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), Failure> {
        match self.parser.next_event() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => Err(self.syntax(&error)),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    /// Builds the node that begins with `event`.
    fn node(
        &mut self,
        event: Event<'a>,
        span: &Span,
        depth: usize,
    ) -> Result<(Node<'a>, Extent), Failure> {
        let at = self.mark(span);
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            let text = format!("holds more than {MAX_NODES} values");
            return Err(fault(Code::LimitExceeded, at, text, "split it into several documents"));
        }
        self.check_depth(depth, at)?;
        let (value, anchor, height, replayed) = match event {
            Event::Alias(id) => return self.alias(id, at, depth),
            Event::Scalar(text, style, anchor, tag) => {
                (self.scalar(text, style, tag.as_deref(), at)?, anchor, 1, 0)
            }
            Event::SequenceStart(_, anchor, _) => {
                let (items, extent) = self.sequence(depth)?;
                (Value::Sequence(items), anchor, extent.height + 1, extent.nodes)
            }
            Event::MappingStart(_, anchor, _) => {
                let (value, extent) = self.mapping(depth)?;
                (value, anchor, extent.height + 1, extent.nodes)
            }
            _ => return Err(fault(Code::Syntax, at, "a value is expected here", "")),
        };
        let extent = Extent { nodes: replayed + 1, height };
        let node = Node { at, value };
        if anchor == 0 {
            return Ok((node, extent));
        }
        let node = Rc::new(node);
        self.anchors
            .insert(anchor, Anchor { node: Rc::clone(&node), extent });
        Ok((Node { at, value: Value::Shared(node) }, extent))
    }

    fn sequence(&mut self, depth: usize) -> Result<(Vec<Node<'a>>, Extent), Failure> {
        let mut items = Vec::new();
        let mut inside = Extent { nodes: 0, height: 0 };
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                return Ok((items, inside));
            }
            let (item, extent) = self.node(event, &span, depth + 1)?;
            inside = inside.and(extent);
            items.push(item);
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<(Value<'a>, Extent), Failure> {
        let (mut entries, mut merges) = (Vec::new(), Vec::new());
        let mut inside = Extent { nodes: 0, height: 0 };
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                return Ok((tree::mapping(entries, merges, &mut self.faults), inside));
            }
            let (key, key_extent) = self.node(event, &span, depth + 1)?;
            let (event, span) = self.next()?;
            let (mut value, extent) = self.node(event, &span, depth + 1)?;
            inside = inside.and(key_extent).and(extent);
            if value.is_null() && span.is_empty() {
                // What is not there is looked for at its key.
                value.at = key.at;
            }
            match key.value() {
                Value::Plain(text) if &**text == "<<" => merges.push(value),
                _ => {
                    let at = key.at;
                    let key = self.key(key)?;
                    entries.push(Entry { key, at, value });
                }
            }
        }
    }

    /// A key as JSON has it.
    fn key(&mut self, key: Node<'a>) -> Result<Cow<'a, str>, Failure> {
        let at = key.at;
        let value = match key.value {
            Value::Shared(shared) => shared.value().clone(),
            value => value,
        };
        let text = match value {
            Value::Text(text) => Some(text),
            Value::Plain(text) => scalar::key(text),
            Value::Sequence(_) | Value::Mapping(_) | Value::Shared(_) => None,
        };
        text.ok_or_else(|| {
            let help = "put it in quotes if a text is meant; `{{ … }}` of a template has to be rendered first";
            fault(Code::Syntax, at, "a key is a text", help)
        })
    }

    fn alias(&mut self, id: usize, at: Mark, depth: usize) -> Result<(Node<'a>, Extent), Failure> {
        let Some(anchor) = self.anchors.get(&id).cloned() else {
            return Err(fault(
                Code::UnknownAnchor,
                at,
                "an alias stands inside of what it repeats",
                "",
            ));
        };
        self.aliases += 1;
        self.replayed = self.replayed.saturating_add(anchor.extent.nodes);
        let over = |count: &str, setting: &str, most: usize| {
            let text = format!("{count}: `limits.{setting}` allows {most}");
            fault(Code::TooManyAliases, at, text, "write the values out, or raise the limit")
        };
        if self.aliases > self.limits.max_aliases {
            return Err(over("too many aliases", "maxAliases", self.limits.max_aliases));
        }
        if self.replayed > self.limits.max_replayed_events {
            let most = self.limits.max_replayed_events;
            return Err(over("aliases repeat too many values", "maxReplayedEvents", most));
        }
        self.check_depth(depth + anchor.extent.height - 1, at)?;
        Ok((Node { at, value: Value::Shared(anchor.node) }, anchor.extent))
    }

    fn check_depth(&self, depth: usize, at: Mark) -> Result<(), Failure> {
        if depth <= self.most_depth {
            return Ok(());
        }
        let text = format!("is nested too deep: `limits.maxDepth` allows {}", self.most_depth);
        let help = if self.most_depth < MAX_DEPTH {
            "no Kubernetes object is this deep: look for a bracket that is never closed, or raise the limit"
        } else {
            "no Kubernetes object is this deep: look for a bracket that is never closed"
        };
        Err(fault(Code::TooDeep, at, text, help))
    }

    fn scalar(
        &mut self,
        text: Cow<'a, str>,
        style: ScalarStyle,
        tag: Option<&Tag>,
        at: Mark,
    ) -> Result<Value<'a>, Failure> {
        if text.len() > MAX_SCALAR_BYTES {
            let message = format!("a text is longer than {MAX_SCALAR_BYTES} bytes");
            let help = "Kubernetes itself takes objects of 1.5 MiB at most";
            return Err(fault(Code::LimitExceeded, at, message, help));
        }
        let Some(tag) = tag else {
            return Ok(match style {
                ScalarStyle::Plain => Value::Plain(text),
                _ => Value::Text(text),
            });
        };
        Ok(match tag.suffix_in_namespace(TAGS).as_deref() {
            Some("null" | "bool" | "int" | "float") => Value::Plain(text),
            Some("binary") => {
                let packed: String = text.chars().filter(|c| !c.is_whitespace()).collect();
                let bytes = base64::engine::general_purpose::STANDARD
                    .decode(packed)
                    .map_err(|_| {
                        fault(Code::WrongType, at, "a value tagged !!binary is not base64", "")
                    })?;
                Value::Text(Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()))
            }
            // A tag that only its program knows changes nothing but that the value is a text.
            _ => Value::Text(text),
        })
    }

    fn mark(&self, span: &Span) -> Mark {
        let start = span.start;
        self.document
            .start
            .inside(start.line(), start.col(), start.byte_offset().unwrap_or(0))
    }

    /// What the parser says, with the way out where it is known.
    fn syntax(&self, error: &ScanError) -> Failure {
        let found = *error.marker();
        let at =
            self.document
                .start
                .inside(found.line(), found.col(), found.byte_offset().unwrap_or(0));
        let info = error.info();
        let line = self
            .document
            .text
            .lines()
            .nth(found.line().saturating_sub(1))
            .unwrap_or("");
        let has_tab = line[..line.len() - line.trim_start().len()].contains('\t');
        let next = self.document.text.lines().nth(found.line()).unwrap_or("");
        let tab_next = info.contains("tab") && next.starts_with('\t');
        if has_tab || tab_next || info.contains("tabs disallowed") {
            let help = "indent with spaces";
            return fault(
                Code::TabIndentation,
                at,
                "a line is indented with a tab, which YAML forbids",
                help,
            );
        }
        if info.contains("unknown anchor") {
            let help = "anchors (&name) count from where they stand to the end of their document";
            return fault(
                Code::UnknownAnchor,
                at,
                "an alias names no anchor of this document",
                help,
            );
        }
        if info.contains("recursion limit") {
            return match self.check_depth(usize::MAX, at) {
                Err(fault) => fault,
                Ok(()) => fault(Code::TooDeep, at, brief(&info), ""),
            };
        }
        let help = HELP
            .iter()
            .find(|(part, _)| info.contains(part))
            .map_or("", |(_, help)| help);
        fault(Code::Syntax, at, brief(&info).replace(['`', '\''], "\""), help)
    }
}

impl Extent {
    /// Both, beside each other.
    fn and(self, other: Self) -> Self {
        Self {
            nodes: self.nodes.saturating_add(other.nodes),
            height: self.height.max(other.height),
        }
    }
}

fn fault(code: Code, at: Mark, message: impl Into<String>, help: &str) -> Failure {
    let help = (!help.is_empty()).then(|| help.to_owned());
    Box::new(Fault { code, at, message: message.into(), help })
}

/// Ways out of what the parser finds most.
const HELP: &[(&str, &str)] = &[
    (
        "mapping values are not allowed",
        "put a value that holds `: ` in quotes, and indent a key like those beside it",
    ),
    ("unclosed quote", "a quote that begins here is never closed"),
    ("unclosed bracket", "a bracket that begins here is never closed"),
    (
        "BOM",
        "remove the byte order mark (U+FEFF), and begin a file that was appended with a line `---`",
    ),
    ("surrogate", "an escape \\ud800 to \\udfff counts only as one of a pair"),
    ("unexpected character", "put a value that begins with a special character in quotes"),
    ("handle", "declare the tag's handle with %TAG in front of the document, or leave the tag out"),
    (
        "did not find expected key",
        "a line is indented unlike its neighbours, or a quoted value goes on behind its quote",
    ),
    (
        "document end marker",
        "a line that begins with % in its first column is a directive: indent it",
    ),
];

/// Where YAML's own tags are.
const TAGS: &str = "tag:yaml.org,2002:";
/// No setting allows more: deeper recursion could exhaust a thread's stack.
const MAX_DEPTH: usize = 128;
/// Values of one document (`reliability 4`).
const MAX_NODES: usize = 5_000_000;
/// Bytes of one scalar (`reliability 4`).
const MAX_SCALAR_BYTES: usize = 3 << 20;
/// Characters of a key that is not marked as one by `?`.
const MAX_KEY_CHARS: usize = 1024;
