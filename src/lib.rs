//! Quell contains what GuardDuty finds, shows its plan first, and can take it back.
//!
//! A finding's way, and the module that each stretch of it lives in:
//!
//! ```text
//! event ─▶ request ─▶ finding ─▶ policy ─▶ observe ─▶ remediation ─▶ guard ─▶ ledger ─▶ execute ─▶ notify
//!                     (parse     (pure)    (reads)    (plan, pure)   (pure)   (claim,   (writes,   (words)
//!                      once)                                                   1 put)    reads back)
//! ```
//!
//! `respond` tells that story, and `planning` the part of it that only looks. `look_again`, `undo` and `sweep` tell what
//! comes after, `command` what operators order. Nearly all containment sets one setting of one resource from a value to
//! another, so an action is data: a [`change::Change`]. Undo is the same change with its ends swapped; a dry run is the
//! same plan, not written; a redelivery finds the value already there.

pub mod act;
pub mod aws;
pub mod blast;
pub mod change;
pub mod clock;
pub mod cloud_error;
pub mod command;
pub mod config;
pub mod document;
pub mod execute;
pub mod finding;
pub mod guard;
pub mod handler;
pub mod holes;
pub mod id;
pub mod incident;
pub mod json;
pub mod kept_closed;
pub mod ledger;
pub mod limit;
pub mod log;
pub mod look_again;
pub mod notify;
pub mod observe;
pub mod observed;
pub mod operator;
pub mod plan;
pub mod planning;
pub mod policy;
pub mod remediation;
pub mod request;
pub mod respond;
pub mod setting;
pub mod sweep;
pub mod undo;

use std::collections::BTreeSet;

/// Every IAM action that the function may take, gathered from beside the calls that need them.
#[must_use]
pub fn permissions() -> BTreeSet<&'static str> {
    let groups = [aws::PERMISSIONS, ledger::PERMISSIONS, notify::sns::PERMISSIONS];
    let all = groups.iter().chain(setting::PERMISSIONS).chain(observe::PERMISSIONS);
    all.flat_map(|group| group.iter().copied()).collect()
}
