//! What is wrong with a policy, and where.

use std::fmt;

/// Everything that is wrong with a policy, in the order of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyError {
    /// The file's name, or the setting's when that holds the text itself.
    pub file: String,
    pub problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Line and column, both from 1, the column in characters. None where the file could not be read at all.
    pub at: Option<(usize, usize)>,
    pub message: String,
}

/// A message, and the byte of the text that it is about.
pub(super) type Told = Vec<(usize, String)>;

impl PolicyError {
    pub(super) fn unreadable(file: &str, why: &std::io::Error) -> Self {
        let message = format!("cannot be read: {why}");
        Self { file: file.to_owned(), problems: vec![Problem { at: None, message }] }
    }

    pub(super) fn new(file: &str, text: &str, mut told: Told) -> Self {
        told.sort();
        let problem = |(byte, message)| Problem { at: Some(line_and_column(text, byte)), message };
        Self { file: file.to_owned(), problems: told.into_iter().map(problem).collect() }
    }
}

fn line_and_column(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
    (before.matches('\n').count() + 1, column)
}

/// One line a problem, `policy.toml:12:5: …`.
impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, problems } = self;
        for (index, Problem { at, message }) in problems.iter().enumerate() {
            let end_of_last = if index == 0 { "" } else { "\n" };
            match at {
                Some((line, column)) => write!(f, "{end_of_last}{file}:{line}:{column}: {message}")?,
                None => write!(f, "{end_of_last}{file}: {message}")?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for PolicyError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_counts_lines_and_characters_from_one() {
        let text = "é = 1\r\nab";
        let places = [(0, (1, 1)), (2, (1, 2)), (8, (2, 1)), (9, (2, 2)), (10, (2, 3)), (99, (2, 3))];
        for (byte, place) in places {
            assert_eq!(line_and_column(text, byte), place, "byte {byte}");
        }
    }
}
