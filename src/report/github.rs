//! Findings as workflow commands: GitHub shows each beside the line that it is about.

use portico_config::diagnostic::{Diagnostic, Position, Severity};

/// `::error file=web.yaml,line=14,col=17,title=P0304::Service default/web: …`.
pub(super) fn command(found: &Diagnostic) -> String {
    let mut properties = Vec::new();
    if let Some(file) = &found.file {
        properties.push(format!("file={}", property(&file.display().to_string())));
    }
    if let Some(Position { line, column }) = found.position {
        properties.push(format!("line={line},col={column}"));
    }
    properties.push(format!("title={} {}", found.code, property(found.code.title())));
    let command = match found.severity() {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "notice",
    };
    // The place stands in the properties already.
    let place = Diagnostic { file: None, position: None, ..found.clone() };
    format!("::{command} {}::{}", properties.join(","), data(&place.to_string()))
}

fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::command;
    use portico_config::diagnostic::{Code, Diagnostic, Position};
    use std::sync::Arc;

    #[test]
    fn what_a_manifest_holds_stays_in_its_command() {
        let found = Diagnostic {
            file: Some(Arc::new("a,b:c.yaml".into())),
            position: Some(Position { line: 1, column: 2 }),
            ..Diagnostic::new(Code::NodePortRange, "100%\n::error::x")
        };
        assert_eq!(
            command(&found),
            "::error file=a%2Cb%3Ac.yaml,line=1,col=2,title=P0304 a nodePort is outside its \
             range::error[P0304]: 100%25%0A::error::x"
        );
    }
}
