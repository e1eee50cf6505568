//! What the fuzz targets share: what must hold for every finding, plan, message, record and hold.

pub mod hold;
pub mod message;
pub mod mutate;
pub mod plan;
pub mod record;

use jiff::{SignedDuration, Timestamp};
use quell::ledger::record::{Lease, Who, Worker};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

/// What is written is read back as it was, and written again as before.
///
/// The texts are compared too: two rules of a group are equal although their ids and descriptions differ.
pub fn is_kept<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    let text = serde_json::to_string(value).expect("everything kept can be written");
    let again: T = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in what we wrote: {text}"));
    assert_eq!(again, *value, "{text}");
    assert_eq!(serde_json::to_string(&again).expect("it was written before"), text);
}

/// A run that nobody else is, with a minute from now.
pub fn worker(who: Who, token: &str, now: Timestamp) -> Worker {
    let until = now.saturating_add(SignedDuration::from_mins(1)).unwrap_or(Timestamp::MAX);
    Worker { who, lease: Lease { request: "c0ffee".to_owned(), token: token.to_owned(), until } }
}

/// A moment like any other.
pub fn noon() -> Timestamp {
    Timestamp::constant(1_793_880_000, 0)
}
