//! Why a finding cannot be used, and where in it.

use std::fmt;

/// A place in the finding, and what is wrong there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// `resource.accessKeyDetails.userName`, spelled as the finding spells it; empty for the finding itself.
    pub path: String,
    /// Short, and quotes at most a few words of the finding.
    pub message: String,
}

impl ParseError {
    pub(super) fn new(path: &str, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), message: message.into() }
    }

    /// Puts the path under the place where the finding was found, `detail`.
    #[must_use]
    pub fn within(self, prefix: &str) -> Self {
        let path = match self.path.as_str() {
            "" => prefix.to_owned(),
            index if index.starts_with('[') => format!("{prefix}{index}"),
            path => format!("{prefix}.{path}"),
        };
        Self { path, ..self }
    }

    /// Spells the path as the API's answers are spelled, `Resource.AccessKeyDetails.UserName`.
    pub(super) fn in_pascal_case(self) -> Self {
        let mut start = true;
        let upper = |c: char| {
            let c = if start { c.to_ascii_uppercase() } else { c };
            start = c == '.';
            c
        };
        Self { path: self.path.chars().map(upper).collect(), ..self }
    }
}

impl From<serde_path_to_error::Error<serde_json::Error>> for ParseError {
    fn from(error: serde_path_to_error::Error<serde_json::Error>) -> Self {
        let path = error.path().to_string();
        Self { path: if path == "." { String::new() } else { path }, message: reword(&error.inner().to_string()) }
    }
}

/// Turns serde's "invalid type: integer `5`, expected a string" around, and quotes little of what was found.
fn reword(message: &str) -> String {
    // The last ", expected" is serde's own: what was found comes before it and may hold any text.
    let Some((found, expected)) = message.rsplit_once(", expected ") else { return cut(message, 120) };
    format!("expected {expected}, found {}", cut(found.strip_prefix("invalid type: ").unwrap_or(found), 60))
}

/// Shortens a text to a number of characters, and marks the cut.
pub(super) fn cut(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((end, _)) => text.get(..end).unwrap_or_default().to_owned() + "…",
        None => text.to_owned(),
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, message } = self;
        if path.is_empty() { f.write_str(message) } else { write!(f, "{path}: {message}") }
    }
}

impl std::error::Error for ParseError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_goes_under_the_place_it_was_found_at() {
        let within = |path| ParseError::new(path, "missing").within("detail").to_string();
        assert_eq!(within("resource.resourceType"), "detail.resource.resourceType: missing");
        assert_eq!(within(""), "detail: missing");
        assert_eq!(within("[0].id"), "detail[0].id: missing");
    }

    #[test]
    fn what_was_found_is_quoted_briefly() {
        let found = format!("invalid type: string \"{}, expected peace\", expected an object", "é".repeat(9999));
        let message = reword(&found);
        assert!(message.starts_with("expected an object, found string \"éé"), "{message}");
        assert!(message.chars().count() < 100 && message.ends_with('…'), "{message}");
    }
}
