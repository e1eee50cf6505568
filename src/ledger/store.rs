//! DynamoDB as a compare-and-swap over several records.
//!
//! `TransactWriteItems` takes at most 100 items and 4 MB, and gives back what stood in the way. The SDK's request token
//! makes its own retries of one call harmless for ten minutes; the conditions make all others so.

use super::error::{LedgerError, PASSING};
use super::hold::Hold;
use super::item::{self, Head, Item, Items};
use super::key::{CounterKey, HoldKey, IncidentId};
use super::protocol::{Count, Seen, Swap};
use super::record::{IncidentRecord, random};
use super::{Counted, Foreseen, Kept};
use crate::cloud_error::{CloudError, Kind};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, KeysAndAttributes, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
    Update,
};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

/// A transaction's Put and Update need the permissions of their single kin ("Using IAM with DynamoDB transactions").
pub const PERMISSIONS: &[&str] = &[
    "dynamodb:BatchGetItem",
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "dynamodb:Query",
    "dynamodb:Scan",
    "dynamodb:UpdateItem",
];

const MOST_ITEMS: usize = 100;
const LONGEST_KEY: usize = 1024;
/// DynamoDB counts 4 MB; the rest is for keys and names.
const MOST_BYTES: usize = 3_900_000;

/// How often to try where others stand in the way: ten findings that name one key at the same moment, which is as many as
/// the limit lets through, make nine losers of the first, and DynamoDB's own conflicts come on top.
pub(super) const TRIES: u32 = 20;

/// The table.
#[derive(Debug, Clone)]
pub struct Store {
    pub client: Client,
    pub table: String,
}

/// How a swap ended.
#[derive(Debug)]
pub enum Swapped {
    Done,
    /// Nothing was written; this is there instead.
    Lost(Box<Seen>),
    /// Nothing was written, and it is not known why not: others are writing.
    Disturbed,
}

impl Store {
    /// Writes all records or none.
    pub async fn swap(&self, swap: &Swap, now: Timestamp) -> Result<Swapped, LedgerError> {
        let incident = swap.incident.iter().map(item::of_incident);
        let items = incident.chain(swap.holds.iter().map(item::of_hold)).collect::<Result<Vec<Items>, _>>()?;
        let mut writes: Vec<TransactWriteItem> = Vec::new();
        for record in &items {
            fits(record)?;
            writes.extend(self.put(record)?);
        }
        for count in &swap.counters {
            writes.push(self.count(count, now)?);
        }
        if writes.len() > MOST_ITEMS {
            let what = format!("{} items, and DynamoDB takes {MOST_ITEMS}", writes.len());
            return Err(LedgerError::TooLarge { what });
        }
        let bytes: usize = items.iter().map(size).sum();
        if bytes > MOST_BYTES {
            return Err(LedgerError::TooLarge { what: format!("{bytes} bytes, and DynamoDB takes 4 MB") });
        }
        let sent = self.client.transact_write_items().set_transact_items(Some(writes)).send().await;
        let Err(error) = sent else { return Ok(Swapped::Done) };
        match error.as_service_error() {
            Some(TransactWriteItemsError::TransactionCanceledException(canceled)) => {
                self.lost(canceled.cancellation_reasons(), swap).await
            }
            Some(TransactWriteItemsError::TransactionInProgressException(_)) => Ok(Swapped::Disturbed),
            _ => Err(CloudError::new("dynamodb:TransactWriteItems", &error).into()),
        }
    }

    fn put(&self, items: &Items) -> Result<Vec<TransactWriteItem>, LedgerError> {
        let head = Put::builder().table_name(&self.table).set_item(Some(items.head.clone()));
        let head = match items.version {
            0 | 1 => head
                .condition_expression("attribute_not_exists(#pk)")
                .expression_attribute_names("#pk", item::PARTITION),
            version => head
                .condition_expression("#version = :before")
                .expression_attribute_names("#version", item::VERSION)
                .expression_attribute_values(":before", item::number(version - 1)),
        };
        let head = head.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let chunks =
            items.chunks.iter().map(|chunk| Put::builder().table_name(&self.table).set_item(Some(chunk.clone())));
        let puts = [head].into_iter().chain(chunks).map(|put| {
            let put = put.build().map_err(|error| unreadable("dynamodb:PutItem", &error))?;
            Ok(TransactWriteItem::builder().put(put).build())
        });
        puts.collect()
    }

    fn count(&self, count: &Count, now: Timestamp) -> Result<TransactWriteItem, LedgerError> {
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(item::key_of(&item::counter_key(&count.counter), item::HEAD)))
            .update_expression("ADD #n :more, #minute :more SET #expires = if_not_exists(#expires, :expires)")
            .condition_expression("attribute_not_exists(#n) OR #n <= :room")
            .expression_attribute_names("#n", item::COUNT)
            .expression_attribute_names("#minute", item::minute(now))
            .expression_attribute_names("#expires", item::EXPIRES)
            .expression_attribute_values(":more", item::number(count.more))
            .expression_attribute_values(":room", item::number(count.at_most.saturating_sub(count.more)))
            .expression_attribute_values(":expires", item::counter_expires(now))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let update = update.build().map_err(|error| unreadable("dynamodb:UpdateItem", &error))?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    /// Marks a counter, and says whether it had no mark before. An answer that was lost makes it look as if it had.
    pub async fn mark(&self, counter: &CounterKey, now: Timestamp) -> Result<bool, LedgerError> {
        let call = self.client.update_item().table_name(&self.table);
        let call = call
            .set_key(Some(item::key_of(&item::counter_key(counter), item::HEAD)))
            .update_expression("SET #said = :now, #expires = if_not_exists(#expires, :expires)")
            .condition_expression("attribute_not_exists(#said)")
            .expression_attribute_names("#said", item::SAID)
            .expression_attribute_names("#expires", item::EXPIRES)
            .expression_attribute_values(":now", item::text(&item::sortable(now)))
            .expression_attribute_values(":expires", item::counter_expires(now));
        match call.send().await {
            Ok(_) => Ok(true),
            Err(error)
                if error.as_service_error().is_some_and(UpdateItemError::is_conditional_check_failed_exception) =>
            {
                Ok(false)
            }
            Err(error) => Err(CloudError::new("dynamodb:UpdateItem", &error).into()),
        }
    }

    /// Reads what stood in the way. Reasons come in the order of the writes: that of each record's items, then counters.
    async fn lost(&self, reasons: &[CancellationReason], swap: &Swap) -> Result<Swapped, LedgerError> {
        let mut seen = Seen::default();
        let mut is_lost = false;
        for reason in reasons {
            match reason.code() {
                None | Some("None") => {}
                Some("ConditionalCheckFailed") => {
                    is_lost = true;
                    self.learn(&mut seen, reason, swap).await?;
                }
                Some(code) if PASSING.contains(&code) => {}
                Some(code) => return Err(canceled(code, reason.message()).into()),
            }
        }
        Ok(if is_lost { Swapped::Lost(Box::new(seen)) } else { Swapped::Disturbed })
    }

    async fn learn(&self, seen: &mut Seen, reason: &CancellationReason, swap: &Swap) -> Result<(), LedgerError> {
        // A record that we read before and that is gone now has expired, which takes months.
        let Some(there) = reason.item().filter(|item| !item.is_empty()) else { return Err(LedgerError::Contended) };
        let key = item::text_of(there, item::PARTITION);
        if let Some(count) = swap.counters.iter().find(|count| item::counter_key(&count.counter) == key) {
            seen.full.insert(count.counter.clone());
        } else if key.starts_with(item::INCIDENT) {
            seen.incident = Some(self.whole(there).await?);
        } else {
            let hold: Hold = self.whole(there).await?;
            seen.holds.insert(hold.key.clone(), hold);
        }
        Ok(())
    }

    /// Reads an incident and holds at once, those that there are, and what of these counters still counts.
    pub async fn early(
        &self,
        id: &IncidentId,
        holds: &[HoldKey],
        counters: &[CounterKey],
        now: Timestamp,
    ) -> Result<Foreseen, LedgerError> {
        let wanted = counters.iter().map(item::counter_key).chain([item::incident_key(id)]);
        let (items, is_all) = self.batch(wanted.chain(holds.iter().map(item::hold_key))).await?;
        let mut seen = Seen { is_early: true, ..Seen::default() };
        for item in &items {
            let key = item::text_of(item, item::PARTITION);
            if key.starts_with(item::INCIDENT) {
                seen.incident = Some(self.whole(item).await?);
            } else if key.starts_with(item::HOLD) {
                let hold: Hold = self.whole(item).await?;
                seen.holds.insert(hold.key.clone(), hold);
            }
        }
        let counted = if is_all { counted_in(&items, counters, now) } else { Counted::default() };
        Ok(Foreseen { seen, counted })
    }

    /// What of these counters still counts at `now`.
    pub async fn counted(&self, counters: &[CounterKey], now: Timestamp) -> Result<Counted, LedgerError> {
        for attempt in 0..TRIES {
            let (items, is_all) = self.batch(counters.iter().map(item::counter_key)).await?;
            if is_all {
                return Ok(counted_in(&items, counters, now));
            }
            pause(attempt).await;
        }
        Err(LedgerError::Contended)
    }

    /// Reads the heads of these keys, those that there are, and says whether that is all of them: what DynamoDB had no
    /// capacity for is missing.
    async fn batch(&self, keys: impl Iterator<Item = String>) -> Result<(Vec<Item>, bool), LedgerError> {
        let keys: BTreeSet<String> = keys.filter(|key| key.len() <= LONGEST_KEY).take(MOST_ITEMS).collect();
        let keys = keys.iter().map(|key| item::key_of(key, item::HEAD)).collect();
        let keys = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build();
        let keys = keys.map_err(|error| unreadable("dynamodb:BatchGetItem", &error))?;
        let answer = self.client.batch_get_item().request_items(&self.table, keys).send().await;
        let answer = answer.map_err(|error| CloudError::new("dynamodb:BatchGetItem", &error))?;
        let is_all = answer.unprocessed_keys().is_none_or(HashMap::is_empty);
        let items = answer.responses.and_then(|mut tables| tables.remove(&self.table)).unwrap_or_default();
        Ok((items, is_all))
    }

    /// Reads an incident; none if there is no such.
    pub async fn incident(&self, id: &IncidentId) -> Result<Option<IncidentRecord>, LedgerError> {
        self.read(&item::incident_key(id)).await
    }

    /// Reads a hold; none if there is no such.
    pub async fn hold(&self, key: &HoldKey) -> Result<Option<Hold>, LedgerError> {
        self.read(&item::hold_key(key)).await
    }

    async fn read<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, LedgerError> {
        let call = self.client.get_item().table_name(&self.table).set_key(Some(item::key_of(key, item::HEAD)));
        let answer = call.consistent_read(true).send().await;
        let answer = answer.map_err(|error| CloudError::new("dynamodb:GetItem", &error))?;
        match answer.item() {
            Some(item) => self.whole(item).await.map(Some),
            None => Ok(None),
        }
    }

    /// The record of a head item. Its chunks may have been written again meanwhile; then the head is read again.
    async fn whole<T: DeserializeOwned>(&self, item: &Item) -> Result<T, LedgerError> {
        let mut head = Head::read(item)?;
        for attempt in 0..TRIES {
            if head.chunks == 0 {
                return head.parse();
            }
            let mut items = self.all_of(&head.key).await?;
            // Chunks sort before the head.
            let fresh = items.pop().map_or_else(|| Err(LedgerError::Contended), |item| Head::read(&item))?;
            match fresh.clone().joined(&items) {
                Some(whole) => return whole.parse(),
                None => head = fresh,
            }
            pause(attempt).await;
        }
        Err(LedgerError::Contended)
    }

    async fn all_of(&self, key: &str) -> Result<Vec<Item>, LedgerError> {
        let call = self.client.query().table_name(&self.table).consistent_read(true);
        let call = call.key_condition_expression("#pk = :key").expression_attribute_names("#pk", item::PARTITION);
        let mut pages = call.expression_attribute_values(":key", item::text(key)).into_paginator().items().send();
        let mut items = Vec::new();
        while let Some(found) = pages.next().await {
            items.push(found.map_err(|error| CloudError::new("dynamodb:Query", &error))?);
        }
        Ok(items)
    }

    /// The incidents that are due, the longest overdue first. The index follows the table with a short delay.
    pub async fn due(&self, now: Timestamp, limit: i32) -> Result<Vec<IncidentId>, LedgerError> {
        let call = self.client.query().table_name(&self.table).index_name(item::DUE_INDEX).limit(limit);
        let call = call
            .key_condition_expression("#bucket = :bucket AND #due <= :now")
            .expression_attribute_names("#bucket", item::DUE_BUCKET)
            .expression_attribute_names("#due", item::DUE_AT)
            .expression_attribute_values(":bucket", item::text(item::DUE_INDEX))
            .expression_attribute_values(":now", item::text(&item::sortable(now)));
        let answer = call.send().await.map_err(|error| CloudError::new("dynamodb:Query", &error))?;
        Ok(answer.items().iter().filter_map(incident_id).collect())
    }

    /// All incidents, or the open ones. Reads the whole table: for a person's rare question.
    pub async fn incidents(&self, open_only: bool) -> Result<Kept, LedgerError> {
        let call = self.client.scan().table_name(&self.table).consistent_read(true);
        let wanted = "begins_with(#pk, :incident) AND #sk = :head";
        let wanted = if open_only { format!("{wanted} AND #status = :open") } else { wanted.to_owned() };
        let call = call
            .filter_expression(wanted)
            .expression_attribute_names("#pk", item::PARTITION)
            .expression_attribute_names("#sk", item::SORT)
            .expression_attribute_values(":incident", item::text(item::INCIDENT))
            .expression_attribute_values(":head", item::text(item::HEAD));
        let call = if open_only {
            call.expression_attribute_names("#status", item::STATUS)
                .expression_attribute_values(":open", item::text("open"))
        } else {
            call
        };
        let mut pages = call.into_paginator().items().send();
        let mut kept = Kept::default();
        while let Some(found) = pages.next().await {
            let found = found.map_err(|error| CloudError::new("dynamodb:Scan", &error))?;
            match self.whole(&found).await {
                Ok(record) => kept.records.push(record),
                Err(why @ LedgerError::Unreadable { .. }) => kept.unreadable.push(why),
                Err(error) => return Err(error),
            }
        }
        Ok(kept)
    }
}

/// A counter that is not there counted nothing.
fn counted_in(items: &[Item], counters: &[CounterKey], now: Timestamp) -> Counted {
    let of = |counter: &CounterKey| {
        let key = item::counter_key(counter);
        let there = items.iter().find(|item| item::text_of(item, item::PARTITION) == key);
        (counter.clone(), there.map_or(0, |item| item::counted_since(item, now)))
    };
    counters.iter().map(of).collect()
}

fn incident_id(item: &Item) -> Option<IncidentId> {
    item::text_of(item, item::PARTITION).strip_prefix(item::INCIDENT)?.parse().ok()
}

fn fits(items: &Items) -> Result<(), LedgerError> {
    let key = item::text_of(&items.head, item::PARTITION);
    if key.len() <= LONGEST_KEY { Ok(()) } else { Err(LedgerError::TooLarge { what: format!("the key {key}") }) }
}

fn size(items: &Items) -> usize {
    let value = |value: &AttributeValue| value.as_s().or_else(|_| value.as_n()).map_or(0, String::len);
    let item = |item: &Item| item.iter().map(|(name, it)| name.len() + value(it)).sum::<usize>();
    items.chunks.iter().chain([&items.head]).map(item).sum()
}

fn unreadable(operation: &'static str, error: &dyn std::error::Error) -> LedgerError {
    CloudError::unreadable(operation, &error.to_string()).into()
}

fn canceled(code: &str, message: Option<&str>) -> CloudError {
    CloudError {
        operation: "dynamodb:TransactWriteItems",
        kind: Kind::Other,
        code: code.to_owned(),
        message: message.unwrap_or_default().to_owned(),
    }
}

/// Waits longer each time, and never as long as the others that wait.
pub(super) async fn pause(attempt: u32) {
    let most = 25_u64.saturating_mul(1 << attempt.min(5));
    tokio::time::sleep(Duration::from_millis(1 + random() % most)).await;
}
