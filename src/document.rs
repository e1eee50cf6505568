//! A policy document, as AWS has it.

use crate::json::ascii;
use serde::{Deserialize, Serialize};

/// The text of a policy, to the byte, so that undo gives back what was there. Two texts that differ only in layout are
/// the same document.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "serde_json::Value")]
pub struct Document(String);

impl Document {
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The same document on one line and in ASCII, for a command that people paste: its text may be anybody's.
    #[must_use]
    pub fn on_one_line(&self) -> String {
        self.parsed().map_or_else(|| self.0.clone(), |document| ascii(&document.to_string()))
    }

    fn parsed(&self) -> Option<serde_json::Value> {
        serde_json::from_str(&self.0).ok()
    }
}

/// A text as it is; what is parsed, as records of the first schema have it, in its shortest form.
impl From<serde_json::Value> for Document {
    fn from(document: serde_json::Value) -> Self {
        if let serde_json::Value::String(text) = document { Self(text) } else { Self(document.to_string()) }
    }
}

impl PartialEq for Document {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 || self.parsed().is_some_and(|document| other.parsed() == Some(document))
    }
}

impl Eq for Document {}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn layout_makes_no_difference_and_is_kept() {
        let text = "{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": []\n}\n";
        let theirs = Document::new(text);
        assert_eq!(theirs, Document::from(json!({ "Statement": [], "Version": "2012-10-17" })));
        assert_ne!(theirs, Document::from(json!({ "Statement": [], "Version": "2008-10-17" })));
        assert_ne!(Document::new("no policy"), Document::new("no policy "));
        let parsed: Document = serde_json::from_str(text).unwrap();
        assert_eq!(parsed, theirs, "as records of the first schema have it");
        let read: Document = serde_json::from_str(&serde_json::to_string(&theirs).unwrap()).unwrap();
        assert_eq!(read.text(), text);
        assert_eq!(read.on_one_line(), r#"{"Statement":[],"Version":"2012-10-17"}"#);
    }
}
