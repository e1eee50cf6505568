//! Cutting, so that what matters survives: whole entries, in order, then how many are left out.

use serde_json::Value;

/// Room for the line that says how many entries are left out.
const MORE: usize = 32;

/// The entries that fit into `room` bytes, one line or several each, then `and N more`.
///
/// Bytes are counted as they are published: the e-mail is a string in a JSON object, where a quotation mark is two.
pub(super) fn lines<T>(entries: &[T], room: usize, render: impl Fn(&T) -> Vec<String>) -> Vec<String> {
    let cost = |lines: &Vec<String>| lines.iter().map(|line| published(line)).sum();
    let (fitting, more) = fitting(entries, room.saturating_sub(MORE), render, cost);
    let mut lines = fitting.concat();
    if more > 0 {
        lines.push(format!("  and {more} more"));
    }
    lines
}

/// The values that fit into `room` bytes, and how many are left out.
///
/// The structured message is JSON inside a JSON string, so its quotation marks cost four bytes.
pub(super) fn values<T>(entries: &[T], room: usize, render: impl Fn(&T) -> Value) -> (Vec<Value>, usize) {
    fitting(entries, room, render, cost)
}

/// What this value costs in the published message.
pub(super) fn cost(value: &Value) -> usize {
    published(&value.to_string())
}

/// The first `longest` characters of a text, and a mark where more was.
pub(super) fn text(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        Some((end, _)) => text.get(..end).unwrap_or_default().to_owned() + "…",
        None => text.to_owned(),
    }
}

fn fitting<T, R>(entries: &[T], room: usize, render: impl Fn(&T) -> R, cost: impl Fn(&R) -> usize) -> (Vec<R>, usize) {
    let mut left = room;
    let mut fitting = Vec::new();
    for entry in entries {
        let rendered = render(entry);
        match left.checked_sub(cost(&rendered)) {
            Some(rest) => left = rest,
            None => break,
        }
        fitting.push(rendered);
    }
    let more = entries.len() - fitting.len();
    (fitting, more)
}

/// The length of a text as a JSON string; its quotation marks stand for the line break or comma that follows.
fn published(text: &str) -> usize {
    Value::from(text).to_string().len()
}
