//! What somebody opened again is contained again, people hear of it, and undo finds the way back.

use crate::attacker::{Attacker, quarantine_groups};
use crate::cloud::{Fault, Refusal, Rule, breakpoint};
use crate::looking_after::{KEY, KEY_ID, refuse};
use crate::rehearsal::Rehearsal;
use crate::stage::{CONTAIN, read};
use crate::story::newer;
use crate::taking_back::verdict;
use serde_json::json;

/// An instance with one interface, the first to be isolated in its VPC.
const MINER: &str = "instance_mines_bitcoin";
const MINER_ID: &str = "c218f816f3732196b9d69ecfe8a0f3e8";

#[tokio::test]
async fn what_cannot_be_contained_again_stays_held_and_is_told_as_open() {
    let quell = Rehearsal::of(CONTAIN).await;
    let before = quell.cloud.world().await;
    assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "contained");
    let iam = quell.cloud.moto().service("iam", &quell.cloud.account_id);
    iam.call("DeleteUserPolicy", &[("UserName", "ann"), ("PolicyName", "QuellQuarantine")]).await;
    quell.cloud.inject(Rule::on("PutUserPolicy", Fault::Refuse(Refusal::Denied)));
    quell.cloud.forget_calls();
    quell.tick(6).await.ok();
    assert_eq!(quell.verdicts(), ["PARTLY CONTAINED"], "{}", quell.email());
    assert!(quell.email().contains("and not all of it could be contained again"), "{}", quell.email());
    quell.cloud.heal();
    quell.cloud.forget_calls();
    // The next look succeeds, and nobody is accused of anything new.
    quell.tick(20).await.ok();
    assert_eq!(quell.verdicts(), ["CONTAINED"], "{}", quell.email());
    assert!(!quell.email().contains("Somebody had set it back"), "{}", quell.email());
    assert_eq!(quell.order_about("undo", KEY_ID, 40).await["ok"]["verdict"], "released");
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
}

#[tokio::test]
async fn what_somebody_opened_while_nobody_could_look_is_told_as_opened() {
    let quell = Rehearsal::of(CONTAIN).await;
    let (before, attacker) = (quell.cloud.world().await, Attacker::before(&quell).await);
    assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "contained");
    attacker.open_identities(&quell).await;
    refuse(&quell, &["ListAccessKeys", "GetUserPolicy"], Refusal::Denied);
    quell.cloud.forget_calls();
    for later in [6, 16] {
        quell.tick(later).await.ok();
    }
    assert_eq!(quell.verdicts(), ["NOT CONTAINED"], "{}", quell.email());
    assert!(quell.email().contains("was so at the last look, and cannot be read now"), "{}", quell.email());
    quell.cloud.heal();
    quell.cloud.forget_calls();
    quell.tick(70).await.ok();
    assert_eq!(quell.verdicts(), ["CONTAINED AGAIN"], "{}", quell.email());
    assert!(quell.email().contains("Somebody had set it back"), "{}", quell.email());
    assert_eq!(quell.order_about("undo", KEY_ID, 100).await["ok"]["verdict"], "released");
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
}

#[tokio::test]
async fn what_nobody_opened_while_nobody_could_look_is_told_as_contained() {
    let quell = Rehearsal::of(CONTAIN).await;
    assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "contained");
    refuse(&quell, &["ListAccessKeys"], Refusal::Denied);
    quell.tick(6).await.ok();
    quell.cloud.heal();
    quell.cloud.forget_calls();
    quell.tick(70).await.ok();
    assert_eq!(quell.verdicts(), ["CONTAINED"], "{}", quell.email());
    assert!(!quell.email().contains("Somebody had set it back"), "{}", quell.email());
}

#[tokio::test]
async fn an_interface_whose_group_somebody_deleted_is_moved_to_a_new_one() {
    let quell = Rehearsal::of(CONTAIN).await;
    let (before, attacker) = (quell.cloud.world().await, Attacker::before(&quell).await);
    let event = read(MINER);
    assert_eq!(verdict(&quell.deliver(&event).await), "contained");
    let first = quarantine_groups(&quell).await;
    attacker.open_network(&quell).await;
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0], "the attacker has it all back");
    quell.cloud.forget_calls();
    quell.tick(6).await.ok();
    assert_eq!(quell.verdicts(), ["CONTAINED AGAIN"], "{}", quell.email());
    let groups = quell.cloud.main().interface_groups(quell.account.real("i-0c1b2c3d4e5f60718")).await;
    let remade = quarantine_groups(&quell).await;
    assert!(remade != first && groups.values().all(|groups| *groups == remade), "{groups:?}");
    // It stays so, whatever comes, and undo finds the way back.
    quell.cloud.forget_calls();
    quell.tick(12).await.ok();
    quell.handle(quell.event(&newer(&event)), 70).await.ok();
    assert_eq!(quell.told(), [""; 0], "{}", quell.email());
    let undone = quell.order_about("undo", MINER_ID, 100).await;
    assert_eq!(undone["ok"]["verdict"], "released", "{undone}");
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
}

#[tokio::test]
async fn a_run_that_dies_after_it_moved_an_interface_on_leaves_undo_the_way_back() {
    let quell = Rehearsal::of(CONTAIN).await;
    let (before, attacker) = (quell.cloud.world().await, Attacker::before(&quell).await);
    let event = read(MINER);
    assert_eq!(verdict(&quell.deliver(&event).await), "contained");
    let first = quarantine_groups(&quell).await;
    attacker.open_network(&quell).await;
    // The first call names the group that somebody deleted, the second the one that was made in its place.
    let (pause, reached) = breakpoint();
    quell.cloud.inject(Rule::on("ec2:ModifyNetworkInterfaceAttribute", Fault::PauseAfter(pause)).nth(2));
    assert!(quell.handle_until(json!({ "quell": "tick" }), 6, reached).await, "{:?}", quell.told());
    quell.cloud.heal();
    quell.tick(200).await.ok();
    assert_eq!(quell.verdicts().last().map(String::as_str), Some("CONTAINED AGAIN"), "{}", quell.email());
    let shown = quell.order_about("show", MINER_ID, 250).await.to_string();
    assert!(first.iter().all(|group| !shown.contains(&format!("{group:?}"))), "{first:?}: {shown}");
    quell.handle(quell.event(&newer(&event)), 300).await.ok();
    let undone = quell.order_about("undo", MINER_ID, 400).await;
    assert_eq!(undone["ok"]["verdict"], "released", "{undone}");
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
}

#[tokio::test]
async fn whoever_deletes_the_user_is_no_attacker() {
    let quell = Rehearsal::of(CONTAIN).await;
    assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "contained");
    let iam = quell.cloud.moto().service("iam", &quell.cloud.account_id);
    for key in ["AKIAIOSFODNN7EXAMPLE", "AKIAI44QH8DHBEXAMPLE"] {
        iam.call("DeleteAccessKey", &[("UserName", "ann"), ("AccessKeyId", quell.account.real(key))]).await;
    }
    for policy in ["QuellQuarantine", "reads-reports"] {
        iam.call("DeleteUserPolicy", &[("UserName", "ann"), ("PolicyName", policy)]).await;
    }
    let arn = format!("arn:aws:iam::{}:policy/developer", quell.cloud.account_id);
    iam.call("DetachUserPolicy", &[("UserName", "ann"), ("PolicyArn", &arn)]).await;
    iam.call("RemoveUserFromGroup", &[("UserName", "ann"), ("GroupName", "developers")]).await;
    iam.call("DeleteUser", &[("UserName", "ann")]).await;
    quell.cloud.forget_calls();
    for later in [6, 16, 61] {
        quell.tick(later).await.ok();
    }
    assert_eq!(quell.verdicts(), ["RESOURCE GONE"], "{}", quell.email());
    assert!(quell.email().contains("whether it was removed or only renamed"), "{}", quell.email());
    let undone = quell.order_about("undo", KEY_ID, 100).await;
    assert_eq!(undone["ok"]["verdict"], "released", "{undone}");
    assert!(quell.email().contains("no longer exists"), "{}", quell.email());
}

/// `UpdateUser` takes keys and policies along.
#[tokio::test]
async fn renaming_the_user_lets_no_attacker_out() {
    let quell = Rehearsal::of(CONTAIN).await;
    let before = quell.cloud.world().await;
    assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "contained");
    let iam = quell.cloud.moto().service("iam", &quell.cloud.account_id);
    let key = quell.account.real("AKIAIOSFODNN7EXAMPLE");
    iam.call("UpdateUser", &[("UserName", "ann"), ("NewUserName", "bob")]).await;
    iam.call("UpdateAccessKey", &[("UserName", "bob"), ("AccessKeyId", key), ("Status", "Active")]).await;
    iam.attempt("DeleteUserPolicy", &[("UserName", "bob"), ("PolicyName", "QuellQuarantine")]).await.ok();
    quell.cloud.forget_calls();
    for later in [6, 70, 140] {
        quell.tick(later).await.ok();
    }
    let keys = iam.call("ListAccessKeys", &[("UserName", "bob")]).await.to_string();
    assert!(keys.contains("Inactive"), "the key is contained again under the new name: {keys}");
    assert_eq!(quell.verdicts(), ["PARTLY CONTAINED"], "and people hear of it once: {}", quell.email());
    let said = "user ann is called bob now: deny policy QuellQuarantine on user ann is for people to look after";
    assert!(quell.email().contains(said) && quell.email().contains("Somebody had set it back"), "{}", quell.email());
    // The next state of the finding finds the new name.
    assert_eq!(verdict(&quell.handle(quell.event(&newer(&read(KEY))), 200).await), "partial", "{}", quell.email());
    iam.call("GetUserPolicy", &[("UserName", "bob"), ("PolicyName", "QuellQuarantine")]).await;
    iam.call("UpdateUser", &[("UserName", "bob"), ("NewUserName", "ann")]).await;
    assert_eq!(quell.order_about("undo", KEY_ID, 300).await["ok"]["verdict"], "released", "{}", quell.email());
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
}

#[tokio::test]
async fn undo_does_not_call_a_renamed_user_gone() {
    let quell = Rehearsal::of(CONTAIN).await;
    assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "contained");
    let iam = quell.cloud.moto().service("iam", &quell.cloud.account_id);
    iam.call("UpdateUser", &[("UserName", "ann"), ("NewUserName", "bob")]).await;
    let dry_run = json!({ "command": "undo", "incident": quell.incident(KEY_ID), "dry_run": true });
    let shown = quell.order(dry_run, 90).await;
    assert!(shown.to_string().contains("would stay: user ann is called bob now"), "{shown}");
    let undone = quell.order_about("undo", KEY_ID, 100).await;
    assert_eq!(undone["ok"]["verdict"], "partly-released", "{undone}");
    let said = "still held, refused, so change it by hand, and it is not contained again: user ann is called bob now";
    assert!(quell.email().contains(said), "{}", quell.email());

    // What the operator wanted and Quell could not do, they do by hand: neither looks nor the finding's next states undo that.
    let key = quell.account.real("AKIAIOSFODNN7EXAMPLE");
    iam.call("UpdateAccessKey", &[("UserName", "bob"), ("AccessKeyId", key), ("Status", "Active")]).await;
    iam.call("DeleteUserPolicy", &[("UserName", "bob"), ("PolicyName", "QuellQuarantine")]).await;
    let by_hand = quell.cloud.world().await;
    quell.cloud.forget_calls();
    for later in [110, 170, 3_700] {
        quell.tick(later).await.ok();
    }
    assert_eq!(quell.told(), [""; 0]);
    let (once, twice) = (newer(&read(KEY)), newer(&newer(&read(KEY))));
    assert_eq!(verdict(&quell.deliver(&once).await), "partly-released");
    assert!(quell.email().contains("it is left alone, since a person gave back"), "{}", quell.email());
    assert!(!quell.email().contains("Make this change"), "{}", quell.email());
    quell.cloud.forget_calls();
    assert_eq!((verdict(&quell.deliver(&twice).await), quell.told().len()), ("known", 0));
    assert_eq!(quell.changes(&by_hand, &quell.cloud.world().await), [""; 0]);

    // Under the old name again, an undo finds it done, and the incident is over.
    iam.call("UpdateUser", &[("UserName", "bob"), ("NewUserName", "ann")]).await;
    assert_eq!(quell.order_about("undo", KEY_ID, 3_800).await["ok"]["verdict"], "released", "{}", quell.email());
}

/// Who has the key now cannot be asked for a moment.
#[tokio::test]
async fn a_renamed_user_is_not_forgotten_where_nobody_can_be_asked_for_the_new_name() {
    let quell = Rehearsal::of(CONTAIN).await;
    let before = quell.cloud.world().await;
    assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "contained");
    let iam = quell.cloud.moto().service("iam", &quell.cloud.account_id);
    iam.call("UpdateUser", &[("UserName", "ann"), ("NewUserName", "bob")]).await;
    iam.call("CreateUser", &[("UserName", "ann")]).await;
    refuse(&quell, &["GetAccessKeyLastUsed"], Refusal::Unavailable);
    quell.tick(6).await.ok();
    let decoy = iam.call("ListUserPolicies", &[("UserName", "ann")]).await.to_string();
    assert!(!decoy.contains("QuellQuarantine"), "{decoy}");
    iam.call("DeleteUser", &[("UserName", "ann")]).await;
    let undone = quell.order_about("undo", KEY_ID, 100).await;
    assert_eq!(undone["ok"]["verdict"], "partly-released", "{undone}");
    assert!(quell.email().contains("still held, tried again"), "{}", quell.email());
    quell.cloud.heal();
    iam.call("UpdateUser", &[("UserName", "bob"), ("NewUserName", "ann")]).await;
    for later in [170, 300, 600] {
        quell.tick(later).await.ok();
    }
    assert_eq!(quell.verdicts().last().map(String::as_str), Some("RELEASED"), "{}", quell.email());
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
}

/// What the attacker leaves under the old name is not the user who was contained.
#[tokio::test]
async fn a_decoy_under_the_old_name_is_not_taken_for_the_user() {
    let quell = Rehearsal::of(CONTAIN).await;
    assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "contained");
    let iam = quell.cloud.moto().service("iam", &quell.cloud.account_id);
    iam.call("UpdateUser", &[("UserName", "ann"), ("NewUserName", "bob")]).await;
    iam.call("CreateUser", &[("UserName", "ann")]).await;
    quell.cloud.forget_calls();
    quell.tick(6).await.ok();
    assert_eq!(quell.verdicts(), ["PARTLY CONTAINED"], "{}", quell.email());
    let undone = quell.order_about("undo", KEY_ID, 100).await;
    assert_eq!(undone["ok"]["verdict"], "partly-released", "{undone}");
    let keys = iam.call("ListAccessKeys", &[("UserName", "bob")]).await.to_string();
    assert!(keys.contains("Inactive"), "{keys}");
}

/// AWS may refuse to say who has a key that nobody has any more.
#[tokio::test]
async fn a_key_that_was_deleted_is_let_go_whatever_aws_says_of_it() {
    let quell = Rehearsal::of(CONTAIN).await;
    assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "contained");
    let iam = quell.cloud.moto().service("iam", &quell.cloud.account_id);
    let key = quell.account.real("AKIAIOSFODNN7EXAMPLE");
    iam.call("DeleteAccessKey", &[("UserName", "ann"), ("AccessKeyId", key)]).await;
    refuse(&quell, &["iam:GetAccessKeyLastUsed"], Refusal::Denied);
    let undone = quell.order_about("undo", KEY_ID, 100).await;
    assert_eq!(undone["ok"]["verdict"], "released", "{undone}");
}
