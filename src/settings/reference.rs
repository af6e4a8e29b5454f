//! The generated part of `docs/settings.md`: one table for each chapter of settings.

use super::table::settings;
use super::{Group, Setting};

/// The chapters in Markdown, each with its heading.
pub fn reference() -> String {
    let mut text = String::new();
    let mut chapter: Option<Group> = None;
    for setting in settings() {
        if chapter != Some(setting.group) {
            chapter = Some(setting.group);
            text.push_str(&format!("## {}\n\n{HEAD}", setting.group.title()));
        }
        text.push_str(&row(setting));
        let is_last = settings()
            .rev()
            .find(|other| other.group == setting.group)
            .is_some_and(|last| last.key == setting.key);
        if is_last {
            text.push('\n');
        }
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn row(setting: &Setting) -> String {
    let range = setting.kind.range();
    let range = if range.is_empty() { range } else { format!(", {range}") };
    // A bar would end the cell.
    let cell = |text: &str| text.replace('|', "\\|");
    let (help, takes) = (cell(setting.help), cell(setting.value_name));
    let list = if setting.kind.is_list() { ", a list" } else { "" };
    let live = if setting.is_live { "at once" } else { "at the next start" };
    format!(
        "| `{}` | `--{}` | {help} | `{takes}`{list}{range} | {} | {live} |\n",
        setting.key,
        setting.flag(),
        setting.default_text(),
    )
}

const HEAD: &str = "\
| key | flag | what | takes | default | a change in the file counts |
|---|---|---|---|---|---|
";
