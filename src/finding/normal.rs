//! One spelling for the keys of a finding.
//!
//! EventBridge writes `accountId`, the answers of `GetFindings` in most SDKs `AccountId`.

use serde_json::{Map, Value};

/// Keys whose camelCase spelling is not just a small first letter; only those that are read here.
const IRREGULAR: &[(&str, &str)] = &[("SourceIps", "sourceIPs")];

/// Gives every key a small first letter, and tells whether the finding itself was spelled with capitals.
///
/// A key that is there in both spellings keeps the value of the small one.
pub(super) fn to_camel_case(detail: &mut Value) -> bool {
    let capital = detail.as_object().is_some_and(|keys| keys.contains_key("Type") || keys.contains_key("AccountId"));
    rename(detail);
    capital
}

fn rename(value: &mut Value) {
    match value {
        Value::Object(map) => {
            rename_keys(map);
            map.values_mut().for_each(rename);
        }
        Value::Array(items) => items.iter_mut().for_each(rename),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn rename_keys(map: &mut Map<String, Value>) {
    let capital = |key: &&String| key.starts_with(|first: char| first.is_ascii_uppercase());
    let found: Vec<String> = map.keys().filter(capital).cloned().collect();
    for key in found {
        if let Some(value) = map.remove(&key) {
            map.entry(camel(&key)).or_insert(value);
        }
    }
}

fn camel(key: &str) -> String {
    if let Some((_, irregular)) = IRREGULAR.iter().find(|(pascal, _)| *pascal == key) {
        return (*irregular).to_owned();
    }
    let (first, rest) = key.split_at_checked(1).unwrap_or_default();
    first.to_ascii_lowercase() + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_get_a_small_first_letter_at_every_depth() {
        let mut finding =
            json!({"Type": "x", "Service": {"Action": [{"SourceIps": [1], "Ägypten": 2}]}, "Id": 1, "id": 2});
        assert!(to_camel_case(&mut finding));
        assert_eq!(finding, json!({"type": "x", "service": {"action": [{"sourceIPs": [1], "Ägypten": 2}]}, "id": 2}));
        assert!(!to_camel_case(&mut finding));
    }
}
