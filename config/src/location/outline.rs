//! Finds where a field stands, by walking a document's events once more with their positions.

use serde_saphyr::granit_parser::{Event, Parser, Span};

use super::{Position, Step};

/// The position of the node at `steps`, or of the deepest parent of it that exists. `text` begins
/// behind `indentation` columns of its first line; lines count from 1 within it. `None` only if
/// there is no node.
pub(super) fn find(text: &str, indentation: u32, steps: &[Step]) -> Option<Position> {
    let direct = if indentation == 0 {
        Walk { parser: Parser::new_from_str(text), best: None }.find(steps)
    } else {
        // An item of a list: its other lines are indented, and so is its first.
        let parser = Parser::new_from_iter(blanks(indentation).chain(text.chars()));
        Walk { parser, best: None }.find(steps)
    };
    direct.or_else(|| find_in_flow(text, indentation, steps))
}

/// As [`find`], for an item of a list in flow style: what follows it can be read only inside of
/// brackets.
fn find_in_flow(text: &str, indentation: u32, steps: &[Step]) -> Option<Position> {
    let opened = blanks(indentation).chain(['[']).chain(text.chars());
    let mut walk = Walk { parser: Parser::new_from_iter(opened), best: None };
    while !matches!(walk.next()?.0, Event::SequenceStart(..)) {}
    let mut found = walk.find(steps)?;
    if found.line == 1 {
        found.column -= 1;
    }
    Some(found)
}

fn blanks(indentation: u32) -> impl Iterator<Item = char> {
    std::iter::repeat_n(' ', usize::try_from(indentation).unwrap_or(usize::MAX))
}

struct Walk<'a, I: serde_saphyr::granit_parser::BorrowedInput<'a>> {
    parser: Parser<'a, I>,
    /// The nearest parent that was reached: the answer where the text cannot be read further.
    best: Option<Position>,
}

impl<'a, I: serde_saphyr::granit_parser::BorrowedInput<'a>> Walk<'a, I> {
    fn find(mut self, steps: &[Step]) -> Option<Position> {
        loop {
            let (event, span) = self.next()?;
            if !matches!(event, Event::StreamStart | Event::DocumentStart(..)) {
                return self.descend(&event, &span, steps).or(self.best);
            }
        }
    }

    fn next(&mut self) -> Option<(Event<'a>, Span)> {
        self.parser.next_event()?.ok()
    }

    /// Goes from a node that has just begun towards `steps`.
    fn descend(&mut self, event: &Event<'a>, span: &Span, steps: &[Step]) -> Option<Position> {
        let mut here = position(span);
        self.best = Some(here);
        let Some((step, rest)) = steps.split_first() else { return Some(here) };
        match (event, step) {
            (Event::MappingStart(..), Step::Key(wanted)) => {
                let mut first = true;
                loop {
                    let (key, key_span) = self.next()?;
                    if std::mem::take(&mut first) && !matches!(key, Event::MappingEnd) {
                        here = position(&key_span);
                    }
                    match &key {
                        Event::MappingEnd => return Some(here),
                        Event::Scalar(text, ..) if **text == **wanted => {
                            let (value, value_span) = self.next()?;
                            let found = self.descend(&value, &value_span, rest)?;
                            // A block mapping begins on another line than its key, and an absent
                            // value nowhere: the key is where a person looks.
                            let is_scalar =
                                matches!(value, Event::Scalar(..)) && !value_span.is_empty();
                            return Some(match rest.is_empty() && !is_scalar {
                                true => position(&key_span),
                                false => found,
                            });
                        }
                        _ => {
                            self.skip(&key)?;
                            let (value, _) = self.next()?;
                            self.skip(&value)?;
                        }
                    }
                }
            }
            (Event::SequenceStart(..), Step::Index(wanted)) => {
                for index in 0.. {
                    let (item, item_span) = self.next()?;
                    match item {
                        Event::SequenceEnd => return Some(here),
                        item if index == *wanted => return self.descend(&item, &item_span, rest),
                        item => self.skip(&item)?,
                    }
                }
                Some(here)
            }
            _ => Some(here),
        }
    }

    /// Passes over the rest of a node that has just begun.
    fn skip(&mut self, event: &Event<'a>) -> Option<()> {
        let opens =
            |event: &Event<'_>| matches!(event, Event::MappingStart(..) | Event::SequenceStart(..));
        let mut depth = usize::from(opens(event));
        while depth > 0 {
            let (event, _) = self.next()?;
            if opens(&event) {
                depth += 1;
            } else if matches!(event, Event::MappingEnd | Event::SequenceEnd) {
                depth -= 1;
            }
        }
        Some(())
    }
}

fn position(span: &Span) -> Position {
    let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    Position { line: number(span.start.line()), column: number(span.start.col()).saturating_add(1) }
}

#[cfg(test)]
mod tests {
    use super::find;
    use crate::location::FieldPath;

    const TEXT: &str = "\
kind: Service
metadata:
  name: web
spec:
  ports:
  - port: 80
    nodePort: 31
  - {name: b, port: 81}
  selector:
";

    #[test]
    fn fields_are_found_where_they_stand() {
        for (field, line, column) in [
            ("", 1, 1),
            ("metadata.name", 3, 9),
            ("spec.ports[0].nodePort", 7, 15),
            ("spec.ports[1].port", 8, 21),
            ("spec.ports[1].absent", 8, 6),
            ("spec.ports[7].port", 6, 5),
            ("spec.absent", 5, 3),
            ("spec.selector", 9, 3),
            ("metadata", 2, 1),
        ] {
            let found = find(TEXT, 0, FieldPath::from(field).steps()).unwrap();
            assert_eq!((found.line, found.column), (line, column), "{field}");
        }
    }

    #[test]
    fn items_of_a_list_in_flow_style_are_found_too() {
        let rest = "{\"a\": {\"b\": 1}},\n  {\"a\": 2}\n ]\n}";
        for (indentation, column) in [(0, 13), (4, 17)] {
            let found = find(rest, indentation, FieldPath::from("a.b").steps()).unwrap();
            assert_eq!((found.line, found.column), (1, column));
        }
        assert_eq!(find("}", 0, &[]), None);
    }
}
