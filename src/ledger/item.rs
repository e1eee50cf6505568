//! Records as DynamoDB's items.
//!
//! A record is a head item with its JSON text; what does not fit goes into chunk items beside it, written in the same
//! transaction. A head's version fences its chunks. A record that shrank leaves chunks behind that nobody reads.

use super::error::LedgerError;
use super::hold::Hold;
use super::key::{CounterKey, HoldKey, IncidentId};
use super::record::{IncidentRecord, RETENTION};
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::fmt::Display;

pub type Item = HashMap<String, AttributeValue>;

/// The table's keys, and the index that feeds the sweep.
pub const PARTITION: &str = "pk";
pub const SORT: &str = "sk";
pub const DUE_INDEX: &str = "due";
pub const DUE_BUCKET: &str = "due_bucket";
pub const DUE_AT: &str = "due_at";
/// DynamoDB's time to live, in epoch seconds.
pub const EXPIRES: &str = "expires";
pub const VERSION: &str = "version";
pub const STATUS: &str = "status";
pub const COUNT: &str = "n";
/// When people were first told that a counter is at its limit.
pub const SAID: &str = "said";

pub(super) const INCIDENT: &str = "incident/";
pub(super) const HOLD: &str = "hold/";
const COUNTER: &str = "counter/";
pub(super) const HEAD: &str = "record";
pub(super) const CHUNK: &str = "chunk/";
const BODY: &str = "body";
const CHUNKS: &str = "chunks";

/// An item may have 400 KB, names and keys included.
const LARGEST: usize = 300_000;

/// A counter is of no use an hour after its own; a day leaves time to look at it.
const COUNTER_LIFE: SignedDuration = SignedDuration::from_hours(25);

/// A record's items, the head first, and the version it replaces.
#[derive(Debug, Clone, PartialEq)]
pub struct Items {
    pub head: Item,
    pub chunks: Vec<Item>,
    pub version: u64,
}

/// What a head item says.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    pub key: String,
    pub version: u64,
    body: String,
    pub chunks: usize,
}

pub fn incident_key(id: &IncidentId) -> String {
    format!("{INCIDENT}{id}")
}

pub fn hold_key(key: &HoldKey) -> String {
    format!("{HOLD}{key}")
}

pub fn counter_key(key: &CounterKey) -> String {
    format!("{COUNTER}{key}")
}

pub fn of_incident(record: &IncidentRecord) -> Result<Items, LedgerError> {
    let mut items = items(&incident_key(&record.id), record.version, record, record.expires())?;
    let status = if record.status.is_open() || record.due.is_some() { "open" } else { "over" };
    items.head.insert(STATUS.to_owned(), text(status));
    if let Some(due) = record.due {
        items.head.insert(DUE_BUCKET.to_owned(), text(DUE_INDEX));
        items.head.insert(DUE_AT.to_owned(), text(&sortable(due)));
    }
    Ok(items)
}

/// A hold that nobody holds expires: long after, so that no worker that read it before still lives.
pub fn of_hold(hold: &Hold) -> Result<Items, LedgerError> {
    let expires = hold.touched.checked_add(RETENTION).ok().filter(|_| hold.holders.is_empty());
    items(&hold_key(&hold.key), hold.version, hold, expires)
}

pub fn counter_expires(now: Timestamp) -> AttributeValue {
    number(now.saturating_add(COUNTER_LIFE).unwrap_or(Timestamp::MAX).as_second())
}

/// What a counter counts in each minute of its hour.
pub fn minute(now: Timestamp) -> String {
    now.strftime("m%M").to_string()
}

/// What a counter counted since the minute that is `now` of its own hour, that minute included.
pub fn counted_since(counter: &Item, now: Timestamp) -> u32 {
    let from = minute(now);
    let minutes =
        counter.iter().filter(|(name, _)| name.len() == from.len() && name.starts_with('m') && **name >= from);
    let counts = minutes.filter_map(|(_, count)| count.as_n().ok()?.parse::<u32>().ok());
    counts.fold(0, u32::saturating_add)
}

fn items(key: &str, version: u64, record: &impl Serialize, expires: Option<Timestamp>) -> Result<Items, LedgerError> {
    let body = serde_json::to_string(record);
    let body = body.map_err(|error| LedgerError::Unreadable { key: key.to_owned(), why: error.to_string() })?;
    let mut pieces = pieces(&body).into_iter();
    let first = pieces.next().unwrap_or_default();
    let item = |sort: &str, body: &str| {
        let mut item = key_of(key, sort);
        item.insert(VERSION.to_owned(), number(version));
        item.insert(BODY.to_owned(), text(body));
        if let Some(expires) = expires {
            item.insert(EXPIRES.to_owned(), number(expires.as_second()));
        }
        item
    };
    let chunks: Vec<Item> = pieces.enumerate().map(|(n, piece)| item(&format!("{CHUNK}{n:04}"), piece)).collect();
    let mut head = item(HEAD, first);
    head.insert(CHUNKS.to_owned(), number(chunks.len()));
    Ok(Items { head, chunks, version })
}

fn pieces(mut body: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    while let Some((piece, rest)) =
        body.split_at_checked(body.floor_char_boundary(LARGEST)).filter(|it| !it.0.is_empty())
    {
        pieces.push(piece);
        body = rest;
    }
    pieces
}

pub fn key_of(partition: &str, sort: &str) -> Item {
    HashMap::from([(PARTITION.to_owned(), text(partition)), (SORT.to_owned(), text(sort))])
}

/// Whole seconds, rounded up: texts that sort as their times do.
pub fn sortable(time: Timestamp) -> String {
    let up = i64::from(time.subsec_nanosecond() > 0);
    let second = Timestamp::from_second(time.as_second() + up).unwrap_or(time);
    second.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

pub fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

pub fn number(number: impl Display) -> AttributeValue {
    AttributeValue::N(format!("{number}"))
}

/// The text of an attribute; empty where there is none.
pub fn text_of<'a>(item: &'a Item, name: &str) -> &'a str {
    item.get(name).and_then(|value| value.as_s().ok()).map_or("", String::as_str)
}

fn number_of(item: &Item, name: &str) -> Option<u64> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

impl Head {
    pub fn read(item: &Item) -> Result<Self, LedgerError> {
        let key = text_of(item, PARTITION).to_owned();
        let unreadable = |why: &str| LedgerError::Unreadable { key: key.clone(), why: why.to_owned() };
        let version = number_of(item, VERSION).ok_or_else(|| unreadable("no version"))?;
        let chunks = number_of(item, CHUNKS).and_then(|chunks| usize::try_from(chunks).ok()).unwrap_or_default();
        Ok(Self { version, body: text_of(item, BODY).to_owned(), chunks, key })
    }

    /// Puts the chunks to the head, in their order. None if they are of another version: somebody wrote in between.
    pub fn joined(mut self, chunks: &[Item]) -> Option<Self> {
        let fit = chunks.iter().take(self.chunks);
        let all: Vec<&Item> = fit.filter(|chunk| number_of(chunk, VERSION) == Some(self.version)).collect();
        if all.len() != self.chunks {
            return None;
        }
        self.body.extend(all.into_iter().map(|chunk| text_of(chunk, BODY)));
        self.chunks = 0;
        Some(self)
    }

    /// The record, once its chunks are there.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, LedgerError> {
        serde_json::from_str(&self.body)
            .map_err(|error| LedgerError::Unreadable { key: self.key.clone(), why: error.to_string() })
    }
}
