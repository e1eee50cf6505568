//! JSON that can be shown anywhere.

/// The same JSON in ASCII alone: what is not, a terminal may take for an order, or turn the line around.
#[must_use]
pub fn ascii(json: &str) -> String {
    json.chars().fold(String::with_capacity(json.len()), |mut plain, c| {
        if c.is_ascii() && c != '\u{7f}' {
            plain.push(c);
        } else {
            plain.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        }
        plain
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_ascii_is_escaped_and_read_again() {
        let text = "é\u{202e}\u{9b}2J\u{7f}😀";
        let json = ascii(&serde_json::to_string(text).unwrap());
        assert_eq!(json, r#""\u00e9\u202e\u009b2J\u007f\ud83d\ude00""#);
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }
}
