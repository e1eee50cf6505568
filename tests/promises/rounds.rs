//! Containment takes effect after few round trips to AWS, however many things the finding names.

#![expect(clippy::unwrap_used, reason = "a test that panics has said what it has to say")]

use crate::cloud::{EXTERNAL_ID, rounds_until};
use crate::stage::{CONTAIN, Stage};
use crate::story::{Story, is_write};
use std::time::Duration;

/// So much that the machine's own noise counts for nothing.
const LATENCY: Duration = Duration::from_millis(100);

async fn stage() -> Stage {
    let environment = [
        ("QUELL_MEMBER_ROLE", "QuellMember"),
        ("QUELL_MEMBER_EXTERNAL_ID", EXTERNAL_ID),
        ("QUELL_KILL_SWITCH", "quell-kill-switch"),
    ];
    let stage = Stage::set_with(CONTAIN, &environment).await;
    stage.cloud.set_parameter("quell-kill-switch", "contain").await;
    stage.cloud.latency(LATENCY);
    stage
}

/// The last write comes after at most so many round trips, itself among them.
fn check(story: &Story, expect: usize) {
    assert_eq!(story.end, "contained");
    let writes = story.calls.iter().filter(|call| is_write(call));
    let last = writes.max_by_key(|call| call.start).unwrap();
    let rounds = rounds_until(&story.calls, last);
    assert!(rounds <= expect, "{rounds} round trips until {}: {:#?}", last.action(), story.calls);
}

#[tokio::test]
async fn one_to_look_one_to_claim_and_one_to_write() {
    let stage = stage().await;
    check(&stage.story("access_key_used_from_tor").await, 3);
    check(&stage.story("instance_credentials_used_outside_aws").await, 3);
    check(&stage.story("port_probe").await, 3);
}

#[tokio::test]
async fn two_more_where_a_quarantine_group_must_be_made() {
    let stage = stage().await;
    check(&stage.story("instance_talks_to_c2").await, 5);
    // The group is held by the first incident, which the claim knows: it was read beside looking.
    check(&stage.story("instance_mines_bitcoin").await, 3);
}

#[tokio::test]
async fn one_more_to_reach_a_member_account() {
    let stage = stage().await;
    check(&stage.story("member_account_access_key").await, 4);
}
