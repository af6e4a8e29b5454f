//! What stands on a line of plain YAML: keys and scalars, texts in quotes, collections in brackets, and
//! the literal block that begins on it.
//!
//! As in all of `plain`: what is not certainly of this form is `None`, and left to the other parser.

use std::borrow::Cow;

use super::Reader;
use crate::decode::scalar;
use crate::decode::tree::{self, Entry, Node, Value};

impl<'a> Reader<'a> {
    /// Where the line goes on after blanks; `None`: it ends, or a comment begins.
    pub(super) fn skip_blanks(&self, from: usize) -> Option<usize> {
        let end = self.line.end;
        let rest = self.bytes.get(from..end)?;
        let at = from + rest.iter().position(|&byte| byte != b' ')?;
        (self.bytes[at] != b'#').then_some(at)
    }

    /// The key that begins here, and where its colon ends; `None`: no key, or not for certain.
    pub(super) fn key(&self, at: usize) -> Option<(Cow<'a, str>, usize)> {
        let end = self.line.end;
        if matches!(self.bytes[at], b'"' | b'\'') {
            let (key, after) = self.quoted(at)?;
            let is_key = self.bytes.get(after) == Some(&b':')
                && (after + 1 == end || self.bytes[after + 1] == b' ');
            return (is_key && after - at <= MAX_KEY_BYTES).then_some((key, after + 1));
        }
        self.plain_start(at)?;
        let line = &self.bytes[at..end];
        let colon = (0..line.len()).find(|&colon| {
            line[colon] == b':' && matches!(line.get(colon + 1), None | Some(b' '))
        })?;
        let key = &self.text[at..at + colon];
        if key.contains(" #") || key.len() > MAX_KEY_BYTES || key == "<<" || key.ends_with(' ') {
            return None;
        }
        Some((scalar::key(Cow::Borrowed(key))?, at + colon + 1))
    }

    /// Whether a plain scalar may begin here.
    fn plain_start(&self, at: usize) -> Option<()> {
        let is_fine = match self.bytes[at] {
            b',' | b'[' | b']' | b'{' | b'}' | b'#' | b'&' | b'*' | b'!' | b'|' | b'>' | b'\''
            | b'"' | b'%' | b'@' | b'`' => false,
            b'-' | b'?' | b':' => self.bytes.get(at + 1).is_some_and(|byte| {
                !matches!(byte, b' ' | b'\n' | b'\r' | b',' | b'[' | b']' | b'{' | b'}')
            }),
            _ => true,
        };
        is_fine.then_some(())
    }

    /// A value that begins on the line of its key or dash, which stands `indentation` columns in.
    pub(super) fn inline(
        &mut self,
        at: usize,
        indentation: usize,
        depth: usize,
    ) -> Option<Node<'a>> {
        if depth > self.most_depth {
            return None;
        }
        let mark = self.mark(at);
        let node = match self.bytes[at] {
            b'"' | b'\'' => {
                let (text, after) = self.quoted(at)?;
                self.finish(after)?;
                Node { at: mark, value: Value::Text(text) }
            }
            b'{' | b'[' => {
                let (node, after) = self.flow(at, depth, false)?;
                self.finish(after)?;
                node
            }
            b'|' => self.literal(at, indentation)?,
            _ => {
                let text = self.plain(at)?;
                self.advance();
                Node { at: mark, value: Value::Plain(Cow::Borrowed(text)) }
            }
        };
        // What is indented deeper would go on with the value.
        (self.is_done || self.line.indentation() <= indentation).then_some(node)
    }

    /// A scalar without quotes, to the end of its line.
    fn plain(&self, at: usize) -> Option<&'a str> {
        self.plain_start(at)?;
        let line = &self.text[at..self.line.end];
        let text = line
            .find(" #")
            .map_or(line, |comment| line[..comment].trim_end_matches(' '));
        let is_certain =
            !text.contains(": ") && !text.ends_with(':') && text.len() <= MAX_TEXT_BYTES;
        is_certain.then_some(text)
    }

    /// A text in quotes that ends on its line, and where.
    fn quoted(&self, at: usize) -> Option<(Cow<'a, str>, usize)> {
        let quote = self.bytes[at];
        if self.line.end - at > MAX_TEXT_BYTES {
            return None;
        }
        let inside = &self.text[at + 1..self.line.end];
        let close = inside
            .bytes()
            .position(|byte| byte == quote || byte == b'\\')?;
        let is_simple = inside.as_bytes()[close] == quote
            && (quote == b'"' || inside.as_bytes().get(close + 1) != Some(&b'\''));
        if is_simple {
            return Some((Cow::Borrowed(&inside[..close]), at + 1 + close + 1));
        }
        let mut text = String::with_capacity(inside.len());
        let mut characters = inside.char_indices();
        while let Some((offset, character)) = characters.next() {
            let after = at + 1 + offset + 1;
            match (quote, character) {
                (b'"', '"') => return Some((Cow::Owned(text), after)),
                (b'\'', '\'') if self.bytes.get(after) == Some(&b'\'') => {
                    characters.next();
                    text.push('\'');
                }
                (b'\'', '\'') => return Some((Cow::Owned(text), after)),
                (b'"', '\\') => text.push(match characters.next()?.1 {
                    same @ ('"' | '\\' | '/') => same,
                    'n' => '\n',
                    't' => '\t',
                    'u' => {
                        let code: String = characters
                            .by_ref()
                            .take(4)
                            .map(|(_, digit)| digit)
                            .collect();
                        let is_code =
                            code.len() == 4 && code.bytes().all(|b| b.is_ascii_hexdigit());
                        let code = u32::from_str_radix(&code, 16).ok().filter(|_| is_code)?;
                        // Halves of pairs are left to the other parser.
                        char::from_u32(code).filter(|letter| !letter.is_control())?
                    }
                    _ => return None,
                }),
                (_, character) => text.push(character),
            }
        }
        None
    }

    /// A literal block: `|`, `|-` or `|+`, the value of a key that stands `indentation` columns in.
    /// Its place is that of its text.
    fn literal(&mut self, at: usize, indentation: usize) -> Option<Node<'a>> {
        let chomping = self
            .bytes
            .get(at + 1)
            .copied()
            .filter(|byte| matches!(byte, b'-' | b'+'));
        let header = at + 1 + usize::from(chomping.is_some());
        if header != self.line.end || self.bytes.get(self.line.end) != Some(&b'\n') {
            return None;
        }
        let first = self.line_end(self.next);
        let inner = self
            .bytes
            .get(self.next..first)?
            .iter()
            .position(|&byte| byte != b' ')?;
        if inner <= indentation {
            return None;
        }
        let at = self.start.inside(self.number + 1, inner, self.next + inner);
        let mut text = String::new();
        loop {
            let start = self.next;
            if start >= self.bytes.len() {
                break;
            }
            let end = self.line_end(start);
            let line = &self.bytes[start..end];
            let spaces = line
                .iter()
                .position(|&byte| byte != b' ')
                .unwrap_or(line.len());
            if spaces < inner && spaces < line.len() {
                break;
            }
            // The last line has to end, and lines end in one way.
            if end == self.bytes.len() || line.last() == Some(&b'\r') {
                return None;
            }
            text.push_str(&self.text[(start + inner).min(end)..=end]);
            self.next = end + 1;
            self.number += 1;
        }
        let content = text.trim_end_matches('\n').len();
        match chomping {
            Some(b'+') => {}
            Some(_) => text.truncate(content),
            None => text.truncate(content + 1),
        }
        self.advance();
        (text.len() <= MAX_TEXT_BYTES).then_some(Node { at, value: Value::Text(Cow::Owned(text)) })
    }

    /// A flow collection and where it ends; only at the root may it go over lines.
    pub(super) fn flow(
        &mut self,
        at: usize,
        depth: usize,
        over_lines: bool,
    ) -> Option<(Node<'a>, usize)> {
        if depth > self.most_depth {
            return None;
        }
        let mark = self.mark(at);
        let is_mapping = self.bytes[at] == b'{';
        let close = if is_mapping { b'}' } else { b']' };
        let (mut entries, mut items) = (Vec::new(), Vec::new());
        let mut at = self.skip(at + 1, over_lines)?;
        while self.bytes[at] != close {
            self.count(1 + usize::from(is_mapping))?;
            if is_mapping {
                let key_at = self.mark(at);
                let is_quoted = matches!(self.bytes[at], b'"' | b'\'');
                let (key, after) = self.flow_scalar(at)?;
                let key = match key {
                    Value::Text(text) => text,
                    Value::Plain(text) if text != "<<" => scalar::key(text)?,
                    _ => return None,
                };
                let is_key = self.bytes.get(after) == Some(&b':')
                    && (is_quoted || self.bytes.get(after + 1) == Some(&b' '));
                if !is_key || depth >= self.most_depth {
                    return None;
                }
                let value = self.skip(after + 1, over_lines)?;
                let (value, after) = self.flow_value(value, depth + 1, over_lines)?;
                entries.push(Entry { key, at: key_at, value });
                at = after;
            } else {
                let (item, after) = self.flow_value(at, depth + 1, over_lines)?;
                items.push(item);
                at = after;
            }
            at = self.skip(at, over_lines)?;
            if self.bytes[at] == b',' {
                at = self.skip(at + 1, over_lines)?;
                if self.bytes[at] == close {
                    return None;
                }
            } else if self.bytes[at] != close {
                return None;
            }
        }
        let value = match is_mapping {
            true => tree::mapping(entries, Vec::new(), &mut self.faults),
            false => Value::Sequence(items),
        };
        Some((Node { at: mark, value }, at + 1))
    }

    fn flow_value(
        &mut self,
        at: usize,
        depth: usize,
        over_lines: bool,
    ) -> Option<(Node<'a>, usize)> {
        if matches!(self.bytes[at], b'{' | b'[') {
            return self.flow(at, depth, over_lines);
        }
        let mark = self.mark(at);
        let (value, after) = self.flow_scalar(at)?;
        (depth <= self.most_depth).then_some((Node { at: mark, value }, after))
    }

    fn flow_scalar(&self, at: usize) -> Option<(Value<'a>, usize)> {
        if matches!(self.bytes[at], b'"' | b'\'') {
            let (text, after) = self.quoted(at)?;
            return Some((Value::Text(text), after));
        }
        self.plain_start(at)?;
        let line = &self.bytes[at..self.line.end];
        let length = line
            .iter()
            .position(|byte| {
                matches!(byte, b',' | b'[' | b']' | b'{' | b'}' | b':' | b'#' | b'"' | b'\'')
            })
            .unwrap_or(line.len());
        let text = self.text[at..at + length].trim_end_matches(' ');
        // Spaces in front of a colon are left to the other parser with it.
        let after = at + text.len();
        (!text.is_empty()).then_some((Value::Plain(Cow::Borrowed(text)), after))
    }

    /// Passes blanks and, where it may, line ends; there is something left.
    fn skip(&mut self, from: usize, over_lines: bool) -> Option<usize> {
        let mut at = from;
        loop {
            match self.bytes.get(at)? {
                b' ' => at += 1,
                b'\r' if over_lines => at += 1,
                b'\n' if over_lines => {
                    self.number += 1;
                    self.line.start = at + 1;
                    self.line.end = self.line_end(at + 1);
                    let line = &self.bytes[at + 1..self.line.end];
                    self.line.end = at + 1 + line.trim_ascii_end().len();
                    at += 1;
                }
                b'\n' | b'\r' | b'#' => return None,
                _ => return Some(at),
            }
        }
    }
}

/// Longer keys and texts are left to the other parser, which knows their limits.
const MAX_KEY_BYTES: usize = 1_000;
const MAX_TEXT_BYTES: usize = 1 << 20;
