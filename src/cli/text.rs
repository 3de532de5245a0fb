//! Text on the terminal: tables that fit 80 columns, and nothing that a device's name could do to
//! the terminal.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is where the CLI prints")]

use std::io::{IsTerminal, Write};

use jiff::{Timestamp, ToSpan, Unit};

/// Columns of a table row, at most.
const WIDTH: usize = 80;
/// Columns that are never cut below this.
const NARROWEST: usize = 8;

/// Prints one line. A reader that went away (`lanward leases | head`) is no reason to panic.
pub(super) fn print_line(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Prints a sentence or two, cleaned, broken between words at 80 columns.
pub(super) fn print_text(text: &str) {
    let mut line = String::new();
    for word in clean(text).split_whitespace() {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > WIDTH {
            print_line(&std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    print_line(&line);
}

/// Prints JSON, each record readable.
pub(super) fn print_json(value: &serde_json::Value) {
    print_line(&serde_json::to_string_pretty(value).unwrap_or_default());
}

/// Prints one line to standard error.
pub(super) fn complain(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Text from the network without what would steer the terminal or reorder the line.
pub(super) fn clean(text: &str) -> String {
    let harmless = |c: &char| {
        !c.is_control()
            && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
            && !matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    text.chars().filter(harmless).collect()
}

/// How a word is shown on a terminal that takes colours.
#[derive(Clone, Copy, Debug)]
pub(super) enum Tone {
    Good,
    Attention,
    Bad,
    Strong,
}

/// The word in its colour, where colours are wanted.
pub(super) fn toned(text: &str, tone: Tone) -> String {
    if !std::io::stdout().is_terminal() || !super::wants_colours() {
        return text.to_owned();
    }
    let code = match tone {
        Tone::Good => "32",
        Tone::Attention => "33",
        Tone::Bad => "31",
        Tone::Strong => "1",
    };
    format!("\u{1b}[{code}m{text}\u{1b}[0m")
}

/// A table: a head, rows of as many cells, no line longer than 80 characters. What does not fit is
/// cut in the widest column, with a mark.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| clean(cell)).collect()).collect();
    let mut widths: Vec<usize> = head.iter().map(|cell| cell.chars().count()).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let gaps = 2 * widths.len().saturating_sub(1);
    while widths.iter().sum::<usize>() + gaps > WIDTH {
        let Some(widest) = widths.iter_mut().max().filter(|widest| **widest > NARROWEST) else {
            break;
        };
        *widest -= 1;
    }
    let line = |cells: Vec<&str>| {
        let fitted = cells.iter().zip(&widths).map(|(cell, width)| fit(cell, *width));
        fitted.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let head = toned(&line(head.to_vec()), Tone::Strong);
    let body = rows.iter().map(|row| line(row.iter().map(String::as_str).collect()));
    std::iter::once(head).chain(body).collect()
}

/// The cell in exactly `width` characters.
fn fit(cell: &str, width: usize) -> String {
    let length = cell.chars().count();
    if length <= width {
        return format!("{cell}{}", " ".repeat(width - length));
    }
    cell.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// A length of time in at most two units: `3 h 12 min`.
pub(super) fn for_long(secs: u64) -> String {
    let (days, hours, minutes) = (secs / 86_400, secs % 86_400 / 3600, secs % 3600 / 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{secs} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, _, 0) => format!("{hours} h"),
        (0, _, _) => format!("{hours} h {minutes} min"),
        (_, 0, _) => format!("{days} d"),
        (_, _, _) => format!("{days} d {hours} h"),
    }
}

/// A time that the daemon gave, seen from now: `in 3 h 12 min`, `5 min ago`.
pub(super) fn from_now(time: Option<&str>) -> String {
    let Some(time) = time.and_then(|time| time.parse::<Timestamp>().ok()) else {
        return "-".to_owned();
    };
    let secs = seconds_until(time);
    match u64::try_from(secs) {
        Ok(0) => "now".to_owned(),
        Ok(secs) => format!("in {}", for_long(secs)),
        Err(_) => format!("{} ago", for_long(secs.unsigned_abs())),
    }
}

fn seconds_until(time: Timestamp) -> i64 {
    let now = Timestamp::now();
    let span = now.until((Unit::Second, time)).unwrap_or_else(|_| 0.seconds());
    span.get_seconds()
}

#[cfg(test)]
mod tests;
