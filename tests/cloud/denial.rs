//! Whether a policy document denies everything to a caller: the part of policy evaluation that containment uses.

use std::slice;

use jiff::Timestamp;
use serde_json::{Map, Value};

/// What conditions can ask about a caller.
pub struct Caller<'a> {
    /// `AIDA…` of a user, `AROA…:session-name` of a role's session.
    pub userid: &'a str,
    /// When the session was issued; a long-term key has no such time.
    pub issued: Option<Timestamp>,
}

/// Says whether a statement of this document denies every action on every resource to the caller.
///
/// Statements that name actions or resources are not looked at: they contain something else.
pub fn denies(document: &Value, caller: &Caller) -> bool {
    one_or_many(&document["Statement"]).iter().any(|statement| denied_by(statement, caller))
}

fn denied_by(statement: &Value, caller: &Caller) -> bool {
    let everything = |field: &str| one_or_many(&statement[field]).iter().any(|entry| *entry == "*");
    statement["Effect"] == "Deny"
        && everything("Action")
        && everything("Resource")
        && statement["Condition"].as_object().is_none_or(|condition| holds(condition, caller))
}

/// Every operator and every key must hold; of several values, one must.
fn holds(condition: &Map<String, Value>, caller: &Caller) -> bool {
    condition.iter().all(|(operator, keys)| {
        let keys = keys.as_object().expect("a condition operator holds keys");
        keys.iter().all(|(key, values)| one_or_many(values).iter().any(|value| test(operator, key, value, caller)))
    })
}

fn test(operator: &str, key: &str, value: &Value, caller: &Caller) -> bool {
    let value = value.as_str().expect("a condition value is text");
    // Condition keys are case-insensitive.
    match (operator, key.to_ascii_lowercase().as_str()) {
        ("StringEquals", "aws:userid") => caller.userid == value,
        ("StringLike", "aws:userid") => like(value.as_bytes(), caller.userid.as_bytes()),
        ("DateLessThan", "aws:tokenissuetime") => {
            let before: Timestamp = value.parse().expect("a date condition holds a date");
            // A key that the request lacks never matches, so this statement spares long-term keys.
            caller.issued.is_some_and(|issued| issued < before)
        }
        (operator, key) => panic!("the emulated cloud cannot evaluate {operator} on {key}"),
    }
}

/// Matches `*` against any text and `?` against one character.
fn like(pattern: &[u8], text: &[u8]) -> bool {
    match pattern {
        [] => text.is_empty(),
        [b'*', rest @ ..] => (0..=text.len()).any(|skipped| like(rest, &text[skipped..])),
        [first, rest @ ..] => {
            text.split_first().is_some_and(|(next, text)| (*first == b'?' || first == next) && like(rest, text))
        }
    }
}

/// A policy may write a list of one without the list.
fn one_or_many(value: &Value) -> &[Value] {
    value.as_array().map_or(slice::from_ref(value), Vec::as_slice)
}
