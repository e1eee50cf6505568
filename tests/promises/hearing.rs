//! People hear what is new, and hear it once.

use crate::cloud::{Fault, Refusal, Rule};
use crate::looking_after::{GROUP, HOUR, KEY, KEY_ID, refuse, rule, without_the_instance};
use crate::one_group::{ID as PORT_ID, probe_of};
use crate::rehearsal::Rehearsal;
use crate::stage::{CONTAIN, read};
use crate::story::{but, newer};
use crate::taking_back::verdict;
use serde_json::Value;
use std::time::Duration;

#[tokio::test]
async fn without_the_ledger_nothing_is_changed_and_people_are_told() {
    for refusal in [Refusal::Denied, Refusal::Failure] {
        let quell = Rehearsal::of(CONTAIN).await;
        let before = quell.cloud.world().await;
        quell.cloud.inject(Rule::on("dynamodb:*", Fault::Refuse(refusal)));
        let end = quell.deliver(&read(KEY)).await;
        assert!(end.is_err(), "{end:?}");
        assert_eq!(quell.verdicts(), ["FAILED"]);
        assert!(
            quell.email().contains("the ledger cannot be written, so this run changed nothing"),
            "{}",
            quell.email()
        );
        assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
        quell.cloud.heal();
        assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "contained");
    }
}

#[tokio::test]
async fn a_ledger_that_does_not_answer_changes_nothing_and_leaves_time_to_tell() {
    let quell = Rehearsal::of(CONTAIN).await;
    let before = quell.cloud.world().await;
    quell.cloud.inject(Rule::on("dynamodb:*", Fault::Delay(Duration::from_mins(2))));
    assert!(quell.deliver(&read(KEY)).await.is_err());
    assert_eq!(quell.verdicts(), ["FAILED"], "{}", quell.email());
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
}

#[tokio::test]
async fn a_failure_that_lasts_is_told_once_and_when_quell_gives_up() {
    let quell = Rehearsal::of(CONTAIN).await;
    let before = quell.cloud.world().await;
    quell.cloud.inject(Rule::on("PutUserPolicy", Fault::Refuse(Refusal::Throttled)));
    assert!(quell.deliver(&read(KEY)).await.is_err());
    assert_eq!(quell.verdicts(), ["PARTLY CONTAINED"]);
    // Lambda's own retries, and the sweep's: each fails as an invocation, and nobody is woken for it.
    quell.cloud.forget_calls();
    let event = quell.event(&read(KEY));
    assert!(quell.handle(event, 60).await.is_err());
    for minutes in [3, 8, 17, 34, 67, 130, 200, 270, 340] {
        assert!(quell.tick(minutes * 60).await.is_ok(), "after {minutes} minutes: no alarm rings for what people know");
    }
    assert_eq!(quell.told(), [""; 0]);
    assert!(quell.tick(410 * 60).await.is_ok());
    assert_eq!(quell.verdicts(), ["PARTLY CONTAINED"]);
    let says = "Quell tried it 12 times, and tries again only when it looks after what it holds.";
    assert!(quell.email().contains(says), "{}", quell.email());
    // What is held is looked after all the same, and a look makes what is missing.
    quell.cloud.forget_calls();
    for hours in [8, 9] {
        quell.tick(hours * HOUR).await.ok();
    }
    assert_eq!(quell.told(), [""; 0]);
    quell.cloud.heal();
    quell.tick(10 * HOUR).await.ok();
    assert_eq!(quell.verdicts(), ["CONTAINED"], "{}", quell.email());
    quell.cloud.inject(Rule::on("DeleteUserPolicy", Fault::Refuse(Refusal::Throttled)));
    quell.cloud.forget_calls();
    for minutes in [700, 703, 710] {
        let undone = quell.order_about("undo", KEY_ID, minutes * 60).await;
        assert_eq!(undone["ok"]["verdict"], "partly-released", "{undone}");
    }
    assert_eq!(quell.verdicts(), ["PARTLY RELEASED"], "{}", quell.email());
    quell.cloud.heal();
    quell.tick(800 * 60).await.ok();
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
}

#[tokio::test]
async fn what_is_new_about_a_failure_that_lasts_is_told() {
    let quell = Rehearsal::of(CONTAIN).await;
    let sequence = but("attack_sequence", &[GROUP]);
    refuse(&quell, &["PutUserPolicy", "UpdateAccessKey", "ModifyNetworkInterfaceAttribute"], Refusal::Throttled);
    assert!(quell.deliver(&sequence).await.is_err());
    let told = quell.verdicts();
    assert!(quell.handle(quell.event(&sequence), 60).await.is_err());
    assert_eq!(quell.verdicts(), told, "nothing is new");
    quell.cloud.heal();
    refuse(&quell, &["PutUserPolicy", "UpdateAccessKey"], Refusal::Denied);
    refuse(&quell, &["ModifyNetworkInterfaceAttribute"], Refusal::Throttled);
    assert!(quell.handle(quell.event(&sequence), 120).await.is_err());
    assert_eq!(quell.verdicts().len(), 2, "that a person is needed is new");
    assert!(quell.email().contains("refused: "), "{}", quell.email());
}

#[tokio::test]
async fn an_undo_that_fails_is_told_however_often_containing_failed_before() {
    let quell = Rehearsal::of(CONTAIN).await;
    refuse(&quell, &["PutUserPolicy"], Refusal::Throttled);
    assert!(quell.deliver(&read(KEY)).await.is_err());
    assert!(quell.handle(quell.event(&read(KEY)), 60).await.is_err());
    quell.cloud.forget_calls();
    refuse(&quell, &["UpdateAccessKey", "GetUserPolicy"], Refusal::Throttled);
    for later in [200, 330] {
        let undone = quell.order_about("undo", KEY_ID, later).await;
        assert_eq!(undone["ok"]["verdict"], "partly-released", "{undone}");
        assert_eq!(quell.verdicts(), ["PARTLY RELEASED"], "{}", quell.email());
    }
}

#[tokio::test]
async fn what_an_update_adds_and_quell_may_not_touch_is_told_once() {
    let protect = "[[protect]]\narns = ['arn:aws:ec2:*:*:instance/*']\nowner = 'ops'\nreason = 'wages'\n";
    for (policy, end) in [
        (format!("{CONTAIN}{protect}"), "contained"),
        (format!("{}{protect}", CONTAIN.replace("response", "max_blast = 0\nresponse")), "waiting-for-approval"),
    ] {
        let quell = Rehearsal::of(&policy).await;
        let whole = but("attack_sequence", &[GROUP]);
        let first = without_the_instance(&quell, &whole);
        assert_eq!(verdict(&quell.handle(first, 0).await), end, "{}", quell.email());
        quell.cloud.forget_calls();
        quell.handle(quell.event(&newer(&whole)), 10).await.ok();
        assert_eq!(quell.told().len(), 1, "{end}");
        assert!(quell.email().contains("is protected (ops): wages"), "{}", quell.email());
        quell.handle(quell.event(&newer(&newer(&whole))), 20).await.ok();
        assert_eq!(quell.told().len(), 1, "{end}: {}", quell.email());
    }
}

#[tokio::test]
async fn an_update_that_finds_what_nobody_was_told_of_is_contained_and_told_with_it() {
    let contains = "[[rule]]\nname = 'instances'\ntypes = ['AttackSequence:*']\nresponse = 'contain'\n\
                    remediations = ['compromised-instance']\n";
    for (policy, end) in [(CONTAIN, "contained"), (contains, "partial")] {
        let quell = Rehearsal::of(policy).await;
        let whole = but("attack_sequence", &[GROUP]);
        quell.killed_at("Publish", Fault::PauseBefore, without_the_instance(&quell, &whole), 0).await;
        assert_eq!(quell.told(), [""; 0]);
        let ended = quell.handle(quell.event(&newer(&whole)), 120).await;
        assert_eq!(verdict(&ended), end, "{}", quell.email());
        let said =
            ["access key AKIAIOSFODNN7EXAMPLE of user ann: ", "security groups of interface eni-0a1b2c3d4e5f60001"];
        assert!(said.iter().all(|said| quell.email().contains(said)), "{}", quell.email());
        quell.cloud.forget_calls();
        quell.tick(400).await.ok();
        assert_eq!(quell.told(), [""; 0], "{}", quell.email());
    }
}

#[tokio::test]
async fn what_is_refused_at_every_look_is_told_once() {
    let quell = Rehearsal::of(CONTAIN).await;
    assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "contained");
    let iam = quell.cloud.moto().service("iam", &quell.cloud.account_id);
    iam.call("DeleteUserPolicy", &[("UserName", "ann"), ("PolicyName", "QuellQuarantine")]).await;
    refuse(&quell, &["PutUserPolicy"], Refusal::Denied);
    quell.cloud.forget_calls();
    for later in [6, 16, 61, HOUR + 1, 2 * HOUR + 1] {
        quell.tick(later).await.ok();
    }
    assert_eq!(quell.verdicts(), ["PARTLY CONTAINED"], "{}", quell.email());
}

#[tokio::test]
async fn what_was_for_a_time_and_cannot_be_given_back_is_told_each_day_and_no_more() {
    let quell = Rehearsal::of(&rule("contain", "expires = '4h'")).await;
    let before = quell.cloud.world().await;
    assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "contained");
    refuse(&quell, &["UpdateAccessKey", "DeleteUserPolicy"], Refusal::Denied);
    quell.cloud.forget_calls();
    for minutes in [1, 2, 3, 60, 120] {
        quell.tick(4 * HOUR + minutes * 60).await.ok();
    }
    assert_eq!(quell.verdicts(), ["PARTLY RELEASED"], "{}", quell.email());
    quell.cloud.heal();
    quell.tick(29 * HOUR).await.ok();
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
}

#[tokio::test]
async fn what_could_not_be_looked_at_and_is_protected_after_all_is_told() {
    let mut quell = Rehearsal::of(CONTAIN).await;
    let sequence = but("attack_sequence", &[GROUP]);
    refuse(&quell, &["DescribeInstances"], Refusal::Throttled);
    assert!(quell.deliver(&sequence).await.is_err());
    assert_eq!(quell.verdicts(), ["PARTLY CONTAINED"]);
    quell.cloud.heal();
    quell.decide(&format!(
        "{CONTAIN}[[protect]]\narns = ['arn:aws:ec2:*:*:instance/*']\nowner = 'ops'\nreason = 'wages'\n"
    ));
    quell.cloud.forget_calls();
    assert_eq!(verdict(&quell.handle(quell.event(&sequence), 60).await), "partial");
    assert_eq!(quell.verdicts(), ["PARTLY CONTAINED"]);
    assert!(quell.email().contains("is protected (ops): wages"), "{}", quell.email());
}

#[tokio::test]
async fn what_a_person_did_by_hand_after_a_refusal_stays_after_undo() {
    let quell = Rehearsal::of(CONTAIN).await;
    refuse(&quell, &["UpdateAccessKey"], Refusal::Denied);
    assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "partial");
    quell.cloud.heal();
    let key = quell.account.real("AKIAIOSFODNN7EXAMPLE");
    let off = [("UserName", "ann"), ("AccessKeyId", key), ("Status", "Inactive")];
    quell.cloud.moto().service("iam", &quell.cloud.account_id).call("UpdateAccessKey", &off).await;
    assert_eq!(verdict(&quell.handle(quell.event(&newer(&read(KEY))), 60).await), "contained", "{}", quell.email());
    assert_eq!(quell.order_about("undo", KEY_ID, 120).await["ok"]["verdict"], "released");
    let contained = quell.cloud.world().await;
    let on = [("UserName", "ann"), ("AccessKeyId", key), ("Status", "Active")];
    quell.cloud.moto().service("iam", &quell.cloud.account_id).call("UpdateAccessKey", &on).await;
    assert_eq!(quell.changes(&contained, &quell.cloud.world().await).len(), 1, "it was inactive");
}

#[tokio::test]
async fn one_refused_step_does_not_keep_the_rest_from_being_given_up() {
    let quell = Rehearsal::of(&format!("[limit]\nper_hour = 2\n{CONTAIN}")).await;
    let sequence = but("attack_sequence", &[GROUP]);
    refuse(&quell, &["PutUserPolicy", "UpdateAccessKey"], Refusal::Denied);
    refuse(&quell, &["ModifyNetworkInterfaceAttribute"], Refusal::Throttled);
    assert!(quell.deliver(&sequence).await.is_err());
    for minutes in [2, 5, 10, 19, 36, 69, 132, 200, 270, 340, 410, 480] {
        quell.tick(minutes * 60).await.ok();
    }
    assert!(quell.email().contains("Quell tried it 12 times"), "{}", quell.email());
    assert!(!quell.email().contains("more containments within an hour"), "{}", quell.email());
}

/// Where Quell only shows what it would do, people hear of more that there is to do.
#[tokio::test]
async fn what_an_update_adds_to_a_plan_that_is_only_shown_is_told_once() {
    let protect = "[[protect]]\narns = ['*:instance/*']\nowner = 'ops'\nreason = 'wages'\n";
    for (policy, end) in [(rule("plan", ""), "planned"), (format!("{CONTAIN}{protect}"), "refused")] {
        let quell = Rehearsal::of(&policy).await;
        assert_eq!(verdict(&quell.deliver(&probe_of("22", PORT_ID)).await), end, "{}", quell.email());
        quell.cloud.forget_calls();
        let more = newer(&probe_of("25", PORT_ID));
        assert_eq!(verdict(&quell.handle(quell.event(&more), 60).await), end, "{}", quell.email());
        assert!(quell.email().contains("port 25"), "{}", quell.email());
        quell.cloud.forget_calls();
        // GuardDuty names the ports of late: those that come again are no news.
        for (port, later) in [("25", 120), ("22", 180), ("25", 240)] {
            let state = (0..later / 60).fold(probe_of(port, PORT_ID), |state, _| newer(&state));
            quell.handle(quell.event(&state), later).await.ok();
            assert_eq!(quell.told(), [""; 0], "{end}: {}", quell.email());
        }
    }
}

/// The same beside something that is contained.
#[tokio::test]
async fn what_an_update_adds_beside_what_is_held_and_is_only_shown_is_told_once() {
    let protect = "[[protect]]\narns = ['*:instance/*']\nowner = 'ops'\nreason = 'wages'\n";
    let quell = Rehearsal::of(&format!("{CONTAIN}{protect}")).await;
    let whole = but("attack_sequence", &[GROUP]);
    assert_eq!(verdict(&quell.deliver(&whole).await), "partial", "{}", quell.email());
    quell.cloud.forget_calls();
    let ec2 = quell.cloud.moto().service("ec2", &quell.cloud.account_id);
    let (instance, subnet) = ("i-0a1b2c3d4e5f60718", subnet_of(&quell, "eni-0a1b2c3d4e5f60001").await);
    let made = ec2.call("CreateNetworkInterface", &[("SubnetId", &subnet)]).await;
    let made =
        made.pointer("/networkInterface/networkInterfaceId").and_then(Value::as_str).unwrap_or_default().to_owned();
    let place =
        [("NetworkInterfaceId", made.as_str()), ("InstanceId", quell.account.real(instance)), ("DeviceIndex", "7")];
    ec2.call("AttachNetworkInterface", &place).await;
    let more = newer(&whole);
    quell.handle(quell.event(&more), 60).await.ok();
    assert!(quell.email().contains(&made), "{}", quell.email());
    quell.cloud.forget_calls();
    quell.handle(quell.event(&newer(&more)), 120).await.ok();
    assert_eq!(quell.told(), [""; 0], "{}", quell.email());
}

/// The subnet of an interface.
async fn subnet_of(quell: &Rehearsal, id: &str) -> String {
    let ec2 = quell.cloud.moto().service("ec2", &quell.cloud.account_id);
    let found = ec2.call("DescribeNetworkInterfaces", &[("NetworkInterfaceId.1", quell.account.real(id))]).await;
    let subnet = found.pointer("/networkInterfaceSet/0/subnetId").and_then(Value::as_str);
    subnet.unwrap_or_default().to_owned()
}
