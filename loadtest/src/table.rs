//! Tables in Markdown that also read well on a terminal.

use std::fmt::Write as _;

use crate::figures::Spread;

/// Rows as a Markdown table: the first column to the left, figures to the right.
pub(crate) fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        text.push('|');
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let _ = match column {
                0 => write!(text, " {cell:<width$} |"),
                _ => write!(text, " {cell:>width$} |"),
            };
        }
        text.push('\n');
        if index == 0 {
            text.push('|');
            for (column, width) in widths.iter().enumerate() {
                let line = "-".repeat(width + 1);
                let _ = match column {
                    0 => write!(text, "{line}-|"),
                    _ => write!(text, "{line}:|"),
                };
            }
            text.push('\n');
        }
    }
    text
}

/// `37.60 (37.40–37.80)`: the median with the smallest and the largest.
pub(crate) fn with_range(spread: Option<Spread>) -> String {
    match spread {
        Some(Spread { median, min, max, .. }) => format!("{median:.2} ({min:.2}–{max:.2})"),
        None => NONE.to_owned(),
    }
}

/// The same with the ends of the middle half.
pub(crate) fn with_middle_half(spread: Option<Spread>) -> String {
    match spread {
        Some(Spread { median, low, high, .. }) => format!("{median:.2} ({low:.2}–{high:.2})"),
        None => NONE.to_owned(),
    }
}

/// The median alone.
pub(crate) fn median(spread: Option<Spread>, digits: usize) -> String {
    match spread {
        Some(spread) => format!("{:.digits$}", spread.median),
        None => NONE.to_owned(),
    }
}

/// What stands where there is no figure.
const NONE: &str = "–";
