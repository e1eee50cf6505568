//! What is contained is looked after: put back when somebody opens it, ended when its time is up, handled once however
//! often it arrives.

use crate::attacker::quarantine_groups;
use crate::cloud::{Fault, Refusal, Rule};
use crate::rehearsal::Rehearsal;
use crate::stage::{CONTAIN, read};
use crate::story::{but, newer};
use crate::taking_back::verdict;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

pub const KEY: &str = "access_key_used_from_tor";
pub const KEY_ID: &str = "5e8e95fc4de1f034e96967422b76b5c7";
pub const HOUR: i64 = 3600;

pub fn rule(response: &str, more: &str) -> String {
    format!("[guards]\nstale_after = '400h'\n[[rule]]\nname = 'all'\ntypes = ['*']\nresponse = '{response}'\n{more}\n")
}

pub const GROUP: (&str, &str) =
    ("AttackSequence:IAM/CompromisedCredentials", "AttackSequence:EC2/CompromisedInstanceGroup");
pub const GROUP_ID: &str = "485d8cb88c072a52e390bd255303de1e";

pub fn refuse(quell: &Rehearsal, actions: &[&str], refusal: Refusal) {
    for action in actions {
        quell.cloud.inject(Rule::on(action, Fault::Refuse(refusal)));
    }
}

/// The same finding, before it named the instance as well.
pub fn without_the_instance(quell: &Rehearsal, whole: &str) -> Value {
    let mut first = quell.event(whole);
    let resources = "/detail/service/detection/sequence/resources";
    if let Some(resources) = first.pointer_mut(resources).and_then(Value::as_array_mut) {
        resources.truncate(1);
    }
    first
}

#[tokio::test]
async fn the_sweep_looks_soon_then_hourly_for_a_day_and_contains_again() {
    let quell = Rehearsal::of(CONTAIN).await;
    assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "contained");
    let contained = quell.cloud.world().await;
    let iam = quell.cloud.moto().service("iam", &quell.cloud.account_id);
    let policy = [("UserName", "ann"), ("PolicyName", "QuellQuarantine")];
    for (later, looks) in [(2, false), (6, true), (8, false), (16, true), (61, true), (90, false), (HOUR + 1, true)] {
        quell.cloud.forget_calls();
        quell.tick(later).await.ok();
        let looked = quell.calls().iter().any(|call| call.operation == "ListAccessKeys");
        assert_eq!((looked, quell.told().len()), (looks, 0), "{later} seconds after");
    }
    iam.call("DeleteUserPolicy", &policy).await;
    quell.cloud.forget_calls();
    quell.tick(2 * HOUR + 1).await.ok();
    assert_eq!(quell.verdicts(), ["CONTAINED AGAIN"]);
    assert!(quell.email().contains("Somebody had set it back, and it was contained again"), "{}", quell.email());
    assert_eq!(quell.changes(&contained, &quell.cloud.world().await), [""; 0]);
    // Whoever did it may do it again: the looks begin anew.
    iam.call("DeleteUserPolicy", &policy).await;
    quell.tick(2 * HOUR + 8).await.ok();
    assert_eq!(quell.changes(&contained, &quell.cloud.world().await), [""; 0]);
    for hour in 3..30 {
        quell.tick(hour * HOUR).await.ok();
    }
    quell.cloud.forget_calls();
    quell.tick(40 * HOUR).await.ok();
    assert!(quell.calls().iter().all(|call| call.service == "dynamodb"), "after a day nobody looks any more");
}

#[tokio::test]
async fn the_invocation_itself_takes_the_first_looks() {
    // Opened at once, it is seen by the look after 5 seconds; opened after that, by the one after 15.
    for (linger, opened_after) in [("7", 0), ("17", 7)] {
        let quell = Rehearsal::of(CONTAIN).await.with("QUELL_LINGER", linger);
        let event = quell.event(&read(KEY));
        let iam = quell.cloud.moto().service("iam", &quell.cloud.account_id);
        let before = quell.cloud.world().await;
        let (answer, ()) = tokio::join!(quell.handle(event, 0), async {
            while quell.told().is_empty() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            tokio::time::sleep(Duration::from_secs(opened_after)).await;
            iam.call("DeleteUserPolicy", &[("UserName", "ann"), ("PolicyName", "QuellQuarantine")]).await;
        });
        assert_eq!(verdict(&answer), "contained");
        assert_eq!(quell.verdicts(), ["CONTAINED", "CONTAINED AGAIN"]);
        assert!(quell.email().contains("Somebody had set it back, and it was contained again"), "{}", quell.email());
        assert_eq!(quell.changes(&before, &quell.cloud.world().await).len(), 2);
    }
}

#[tokio::test]
async fn what_is_contained_for_a_time_is_given_back_when_it_is_over() {
    let quell = Rehearsal::of(&rule("contain", "expires = '4h'")).await;
    let before = quell.cloud.world().await;
    assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "contained");
    assert!(quell.email().contains("; then Quell gives back what it changed."), "{}", quell.email());
    quell.tick(4 * HOUR - 60).await.ok();
    assert!(!quell.changes(&before, &quell.cloud.world().await).is_empty());
    quell.cloud.forget_calls();
    quell.tick(4 * HOUR + 60).await.ok();
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
    assert_eq!(quell.verdicts(), ["RELEASED"]);
    assert!(quell.email().contains("Undone by the sweep."), "{}", quell.email());
}

#[tokio::test]
async fn fifty_deliveries_at_once_are_one_containment_and_one_message() {
    let quell = Rehearsal::of(CONTAIN).await;
    let before = quell.cloud.world().await;
    let event = quell.event(&read(KEY));
    // DynamoDB also refuses what gets in the way of another write, which moto never does.
    let conflict = Fault::Refuse(Refusal::Conflict);
    quell.cloud.inject(Rule::on("dynamodb:TransactWriteItems", conflict).times(60));
    let all = (0..50).map(|_| quell.handle(event.clone(), 0));
    let ends = futures_util::future::join_all(all).await;
    let contained = ends.iter().filter(|end| verdict(end) == "contained").count();
    let quiet = ends.iter().filter(|end| ["busy", "known"].contains(&verdict(end))).count();
    assert_eq!((contained, quiet), (1, 49), "{ends:?}");
    assert_eq!(quell.verdicts(), ["CONTAINED"]);
    let writes = quell.calls().iter().filter(|call| call.operation == "UpdateAccessKey").count();
    assert_eq!((writes, quell.changes(&before, &quell.cloud.world().await).len()), (1, 2));
}

#[tokio::test]
async fn a_finding_that_the_administrator_and_the_member_send_is_handled_once() {
    let quell = Rehearsal::of(CONTAIN).await;
    let administrators = quell.event(&read("member_account_access_key"));
    let mut members = administrators.clone();
    members["account"] = members["detail"]["accountId"].clone();
    // Each has a detector of its own, and the ARN names it.
    let other = "0f0e0d0c0b0a09080706050403020100";
    let detector = members["detail"]["service"]["detectorId"].as_str().unwrap().to_owned();
    members["detail"]["service"]["detectorId"] = json!(other);
    members["detail"]["arn"] = json!(members["detail"]["arn"].as_str().unwrap().replace(&detector, other));
    assert_ne!(members["detail"]["arn"], administrators["detail"]["arn"]);
    let (one, two) = futures_util::join!(quell.handle(administrators.clone(), 0), quell.handle(members.clone(), 0));
    let ends = BTreeSet::from([verdict(&one), verdict(&two)]);
    assert!(
        ends == BTreeSet::from(["busy", "contained"]) || ends == BTreeSet::from(["contained", "known"]),
        "{ends:?}"
    );
    for again in [administrators, members] {
        assert_eq!(verdict(&quell.handle(again, 5).await), "known");
    }
    assert_eq!(quell.verdicts(), ["CONTAINED"]);
}

#[tokio::test]
async fn incidents_are_listed_and_shown() {
    let quell = Rehearsal::of(CONTAIN).await;
    quell.deliver(&read(KEY)).await.ok();
    quell.deliver(&read("root_credentials_used")).await.ok();
    let listed = quell.order(json!({ "command": "incidents", "open": false }), 1).await;
    assert_eq!(listed["ok"]["incidents"].as_array().map(Vec::len), Some(2), "{listed}");
    let open = quell.order(json!({ "command": "incidents", "open": true }), 1).await;
    assert_eq!(open["ok"]["incidents"][0]["id"], quell.incident(KEY_ID), "{open}");
    assert_eq!(open["ok"]["incidents"].as_array().map(Vec::len), Some(1));
    let shown = quell.order_about("show", KEY_ID, 1).await;
    let began = &shown["ok"]["incident"]["history"][0];
    assert_eq!(began["who"], "the policy, by rule \"contain all\"", "{began}");
    assert!(began["what"].as_str().is_some_and(|what| what.contains("(request ")), "{began}");
    let unknown = quell.order_about("show", "0a1b", 1).await;
    assert!(unknown["error"].as_str().is_some_and(|error| error.contains("has no incident")), "{unknown}");
}

#[tokio::test]
async fn what_could_not_be_looked_at_is_looked_at_by_the_sweep() {
    let quell = Rehearsal::of(CONTAIN).await;
    quell.cloud.inject(Rule::on("iam:*", Fault::Refuse(Refusal::Throttled)));
    assert!(quell.deliver(&read(KEY)).await.is_err());
    assert_eq!(quell.verdicts(), ["FAILED"]);
    quell.cloud.heal();
    quell.cloud.forget_calls();
    quell.tick(120).await.ok();
    assert_eq!(quell.verdicts(), ["CONTAINED"], "{}", quell.email());
}

#[tokio::test]
async fn an_instance_whose_group_could_not_be_made_at_first_is_isolated_by_the_retry() {
    let quell = Rehearsal::of(CONTAIN).await;
    refuse(&quell, &["CreateSecurityGroup"], Refusal::Throttled);
    let event = "instance_mines_bitcoin";
    assert!(quell.deliver(&read(event)).await.is_err());
    quell.cloud.heal();
    assert_eq!(verdict(&quell.handle(quell.event(&read(event)), 70).await), "contained", "{}", quell.email());
}

#[tokio::test]
async fn what_was_contained_for_a_time_is_planned_anew_when_the_finding_goes_on() {
    let mut quell = Rehearsal::of(&rule("contain", "expires = '1h'")).await;
    assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "contained");
    quell.tick(HOUR + 60).await.ok();
    // Meanwhile the team has changed its mind, and somebody the key.
    quell.decide(&rule("plan", ""));
    let key = quell.account.real("AKIAIOSFODNN7EXAMPLE");
    let off = [("UserName", "ann"), ("AccessKeyId", key), ("Status", "Inactive")];
    quell.cloud.moto().service("iam", &quell.cloud.account_id).call("UpdateAccessKey", &off).await;
    let now = quell.cloud.world().await;
    quell.cloud.forget_calls();
    let event = quell.event(&newer(&read(KEY)));
    assert_eq!(verdict(&quell.handle(event, 2 * HOUR).await), "planned", "{}", quell.email());
    assert_eq!(quell.changes(&now, &quell.cloud.world().await), [""; 0]);

    quell.decide(&rule("contain", ""));
    let event = quell.event(&newer(&newer(&read(KEY))));
    assert_eq!(verdict(&quell.handle(event, 3 * HOUR).await), "contained", "{}", quell.email());
    assert_eq!(quell.order_about("undo", KEY_ID, 4 * HOUR).await["ok"]["verdict"], "released");
    assert_eq!(quell.changes(&now, &quell.cloud.world().await), [""; 0], "the key stays as somebody left it");
}

/// After a release was rolled back, say.
#[tokio::test]
async fn records_that_cannot_be_read_keep_no_other_from_its_turn() {
    let quell = Rehearsal::of(CONTAIN).await;
    for n in 0..40 {
        let key = format!("incident/{}", quell.incident(&format!("{n:032x}")));
        quell.cloud.put_in_ledger(&key, &json!({ "schema": 99, "version": 1 }), Some("2026-01-01T00:00:00Z")).await;
    }
    assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "contained");
    let contained = quell.cloud.world().await;
    let iam = quell.cloud.moto().service("iam", &quell.cloud.account_id);
    iam.call("DeleteUserPolicy", &[("UserName", "ann"), ("PolicyName", "QuellQuarantine")]).await;
    quell.cloud.forget_calls();
    let swept = quell.tick(6).await;
    assert!(swept.as_ref().is_err_and(|why| why.contains("a later release wrote it")), "it is an error: {swept:?}");
    assert_eq!(quell.verdicts(), ["CONTAINED AGAIN"]);
    assert_eq!(quell.changes(&contained, &quell.cloud.world().await), [""; 0]);
}

/// Somebody uses the quarantine group, so that it cannot be deleted.
#[tokio::test]
async fn what_cannot_be_ended_is_contained_again_by_the_finding_and_for_its_whole_time() {
    let quell = Rehearsal::of(&rule("contain", "expires = '12h'")).await;
    let miner = "instance_mines_bitcoin";
    assert_eq!(verdict(&quell.deliver(&read(miner)).await), "contained");
    let contained = quell.cloud.world().await;
    let ec2 = quell.cloud.moto().service("ec2", &quell.cloud.account_id);
    let group = quarantine_groups(&quell).await.remove(0);
    let subnet = quell.account.real("subnet-0a1b2c3d4e5f60020");
    let made = ec2.call("CreateNetworkInterface", &[("SubnetId", subnet), ("SecurityGroupId.1", &group)]).await;
    let made = made["networkInterface"]["networkInterfaceId"].as_str().unwrap_or_default().to_owned();
    for later in [60, 130, 260] {
        quell.tick(12 * HOUR + later).await.ok();
    }
    assert!(quell.email().contains("still held, tried again in six hours"), "{}", quell.email());
    let event = quell.event(&newer(&read(miner)));
    assert_eq!(verdict(&quell.handle(event, 12 * HOUR + 400).await), "contained", "{}", quell.email());
    ec2.call("DeleteNetworkInterface", &[("NetworkInterfaceId", &made)]).await;
    assert_eq!(quell.changes(&contained, &quell.cloud.world().await), [""; 0]);
    // The time to try again was for what could not be ended.
    for later in [600, 700] {
        quell.tick(18 * HOUR + later).await.ok();
    }
    assert_eq!(quell.changes(&contained, &quell.cloud.world().await), [""; 0], "{}", quell.email());
    quell.cloud.forget_calls();
    quell.tick(24 * HOUR + 600).await.ok();
    assert_eq!(quell.verdicts(), ["RELEASED"], "{}", quell.email());
}

#[tokio::test]
async fn what_a_person_gave_back_stays_so_after_the_rest_has_ended() {
    let quell = Rehearsal::of(&rule("contain", "expires = '1h'")).await;
    let before = quell.cloud.world().await;
    assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "contained");
    let step = json!({ "command": "undo", "incident": quell.incident(KEY_ID), "step": 1 });
    assert_eq!(quell.order(step, 10).await["ok"]["verdict"], "partly-released");
    let rest = quell.changes(&before, &quell.cloud.world().await);
    quell.tick(HOUR + 60).await.ok();
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
    quell.cloud.forget_calls();
    let event = quell.event(&newer(&read(KEY)));
    assert_eq!(verdict(&quell.handle(event, 2 * HOUR).await), "contained", "{}", quell.email());
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), rest);
    assert!(quell.email().contains("what a person gave back is left alone"), "{}", quell.email());
}

/// Somebody who keeps people from being told shall not keep Quell from looking.
#[tokio::test]
async fn what_is_held_is_looked_after_though_nobody_can_be_told() {
    let quell = Rehearsal::of(&rule("contain", "expires = '4h'")).await;
    let before = quell.cloud.world().await;
    assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "contained");
    let contained = quell.cloud.world().await;
    let iam = quell.cloud.moto().service("iam", &quell.cloud.account_id);
    refuse(&quell, &["sns:Publish"], Refusal::Denied);
    for later in [6, 70, 130] {
        iam.call("DeleteUserPolicy", &[("UserName", "ann"), ("PolicyName", "QuellQuarantine")]).await;
        quell.tick(later).await.unwrap_err();
        assert_eq!(quell.changes(&contained, &quell.cloud.world().await), [""; 0], "{later} seconds after");
    }
    quell.tick(4 * HOUR + 60).await.unwrap_err();
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
    quell.cloud.heal();
    quell.cloud.forget_calls();
    quell.tick(4 * HOUR + 120).await.unwrap();
    assert_eq!(quell.verdicts(), ["RELEASED"], "{}", quell.email());
    assert!(quell.email().contains("somebody had opened it before that"), "{}", quell.email());
}

/// What only the newer state names would be dropped.
#[tokio::test]
async fn an_older_state_of_a_finding_does_not_take_over_what_is_tried_again() {
    let quell = Rehearsal::of(CONTAIN).await;
    let before = quell.cloud.world().await;
    let whole = but("attack_sequence", &[GROUP]);
    let first = without_the_instance(&quell, &whole);
    let second = quell.event(&newer(&whole));
    refuse(&quell, &["iam:ListAccessKeys", "ec2:DescribeInstances"], Refusal::Throttled);
    quell.handle(first.clone(), 0).await.unwrap_err();
    quell.handle(second.clone(), 20).await.unwrap_err();
    quell.cloud.heal();
    quell.handle(first, 70).await.ok();
    quell.handle(second, 90).await.ok();
    for later in [150, 400] {
        quell.tick(later).await.ok();
    }
    let changes = quell.changes(&before, &quell.cloud.world().await);
    assert!(changes.iter().any(|change| change.contains("eni-")), "{changes:?} {}", quell.email());
}

/// What a run had only taken to look at, and was killed before it put it down, is nobody's business after that.
#[tokio::test]
async fn what_is_over_is_not_due_for_ever() {
    let quell = Rehearsal::of(&rule("plan", "")).await;
    assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "planned");
    let event = quell.event(&newer(&read(KEY)));
    quell.killed_at("TransactWriteItems", Fault::PauseAfter, event, 10).await;
    let open = |answer: Value| answer["ok"]["incidents"].as_array().map(Vec::len);
    let list = || quell.order(json!({ "command": "incidents", "open": true }), 200);
    assert_eq!(open(list().await), Some(1));
    quell.tick(210).await.unwrap();
    assert_eq!(open(list().await), Some(0));
}

/// Who decides on the rest reads its plan with that of which the time is over.
#[tokio::test]
async fn what_waits_beside_what_has_ended_is_shown() {
    let policy = CONTAIN.replace("response", "expires = '1h'\nresponse");
    let quell = Rehearsal::of(&format!("[limit]\nremediation = {{ compromised-instance = 0 }}\n{policy}")).await;
    assert_eq!(verdict(&quell.deliver(&but("attack_sequence", &[GROUP])).await), "partial", "{}", quell.email());
    quell.tick(HOUR + 60).await.unwrap();
    let email = quell.email();
    assert!(email.starts_with("RELEASED") && email.contains("\nAPPROVE OR REJECT\n"), "{email}");
    assert!(email.contains("security groups of interface eni-0a1b2c3d4e5f60001"), "{email}");
}
