//! Just enough of Rust's grammar to see names and paths: comments, strings and test modules go.

/// The identifiers, `::` and other signs of a source text, without comments and literals.
pub(crate) fn tokens(source: &str) -> Vec<String> {
    let characters: Vec<char> = source.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < characters.len() {
        let rest = &characters[at..];
        at += match rest {
            ['/', '/', ..] => rest.iter().take_while(|c| **c != '\n').count(),
            ['/', '*', ..] => block_comment(rest),
            ['"', ..] => string(rest),
            ['b' | 'c', '"', ..] => 1 + string(&rest[1..]),
            ['r', '"' | '#', ..] if raw_string(rest) > 0 => raw_string(rest),
            ['b' | 'c', 'r', '"' | '#', ..] if raw_string(&rest[1..]) > 0 => {
                1 + raw_string(&rest[1..])
            }
            ['\'', ..] => character_or_lifetime(rest),
            ['r', '#', c, ..] if is_word(*c) => 2,
            [c, ..] if c.is_whitespace() => 1,
            [':', ':', ..] => {
                tokens.push("::".to_owned());
                2
            }
            [c, ..] if is_word(*c) => {
                let word: String = rest.iter().take_while(|c| is_word(**c)).collect();
                let length = word.chars().count();
                tokens.push(word);
                length
            }
            [c, ..] => {
                tokens.push(c.to_string());
                1
            }
            [] => 1,
        };
    }
    tokens
}

/// `tokens` without the items that stand behind `#[cfg(test)]`.
pub(crate) fn without_tests(tokens: &[String]) -> Vec<String> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let starts = |words: &[&str]| {
            tokens.len() >= at + words.len() && words.iter().zip(&tokens[at..]).all(|(a, b)| a == b)
        };
        if starts(&["#", "[", "cfg", "(", "test", ")", "]"]) {
            at += item_length(&tokens[at..]);
        } else {
            kept.push(tokens[at].clone());
            at += 1;
        }
    }
    kept
}

/// Every path that begins with `crate`, `super` or a crate of ours, `use` trees spread out.
pub(crate) fn paths(tokens: &[String]) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let begins = at == 0 || tokens[at - 1] != "::";
        // A value or a method may be called portico too; a crate is named in a path or a `use`.
        let names_crate = || {
            let next = tokens.get(at + 1).map_or("", String::as_str);
            next == "::" || (at > 0 && tokens[at - 1] == "use")
        };
        let ours = matches!(token.as_str(), "crate" | "super")
            || (token.starts_with("portico") && names_crate());
        if begins && ours {
            spread(tokens, at, &[], &mut paths);
        }
    }
    paths
}

/// Reads one branch of a `use` tree from `at`; returns where it ends.
fn spread(tokens: &[String], at: usize, prefix: &[String], paths: &mut Vec<Vec<String>>) -> usize {
    let mut path = prefix.to_vec();
    let mut at = at;
    let token = |at: usize| tokens.get(at).map_or("", String::as_str);
    while token(at).starts_with(is_word) {
        path.push(token(at).to_owned());
        at += 1;
        if token(at) != "::" {
            break;
        }
        at += 1;
        if token(at) == "{" {
            at += 1;
            while !matches!(token(at), "}" | "") {
                at = spread(tokens, at, &path, paths);
                while !matches!(token(at), "," | "}" | "") {
                    at += 1; // `as name`
                }
                at += usize::from(token(at) == ",");
            }
            return at + 1;
        }
    }
    if path.len() > prefix.len() || token(at) == "*" {
        paths.push(path);
    }
    at.max(1)
}

/// How many tokens an item takes: to its closing brace, or to `;` where it has none.
fn item_length(tokens: &[String]) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        match token.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => {
                depth = depth.saturating_sub(1);
                if depth == 0 && token == "}" {
                    return at + 1;
                }
            }
            ";" if depth == 0 => return at + 1,
            _ => {}
        }
    }
    tokens.len()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn block_comment(text: &[char]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        match &text[at..] {
            ['/', '*', ..] => {
                depth += 1;
                at += 2;
            }
            ['*', '/', ..] => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    at
}

fn string(text: &[char]) -> usize {
    let mut at = 1;
    while at < text.len() {
        match text[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

/// Length of a raw string at the start of `text`; 0 if there is none.
fn raw_string(text: &[char]) -> usize {
    let hashes = text[1..].iter().take_while(|c| **c == '#').count();
    if text.get(1 + hashes) != Some(&'"') {
        return 0;
    }
    let end: Vec<char> = std::iter::once('"')
        .chain(std::iter::repeat_n('#', hashes))
        .collect();
    let body = 2 + hashes;
    let close = text[body..]
        .windows(end.len())
        .position(|window| window == end);
    close.map_or(text.len(), |close| body + close + end.len())
}

/// `'x'`, `'\n'` or `'\u{1f}'` as a whole; of a lifetime the sign alone.
fn character_or_lifetime(text: &[char]) -> usize {
    match text {
        ['\'', '\\', _, rest @ ..] => {
            3 + rest
                .iter()
                .position(|c| *c == '\'')
                .map_or(rest.len(), |end| end + 1)
        }
        ['\'', _, '\'', ..] => 3,
        _ => 1,
    }
}

#[test]
fn paths_are_found_in_use_trees_and_in_expressions() {
    let source = r##"
        //! crate::in_a_comment
        use crate::{a::b, c::{d, e as f}, g::*};
        use portico_net::bind;
        fn x<'a>(y: &'a str) { super::h(); let _ = ("crate::text", 'c', '\'', r#"crate::raw"#); }
        pub(crate) struct S;
        #[cfg(test)]
        mod tests { use crate::only_in_tests; }
        #[cfg(test)]
        use crate::only_in_tests_too;
        fn z(portico: P) { crate::i::J { k: portico.l }; m.portico() }
    "##;
    let found: Vec<String> = paths(&without_tests(&tokens(source)))
        .iter()
        .map(|path| path.join("::"))
        .filter(|path| path != "crate")
        .collect();
    let want = [
        "crate::a::b",
        "crate::c::d",
        "crate::c::e",
        "crate::g",
        "portico_net::bind",
        "super::h",
        "crate::i::J",
    ];
    assert_eq!(found, want);
}
