//! GuardDuty or the kill switch cannot be asked for a moment: a person is asked, and Quell asks again.

use crate::attacker::quarantine_groups;
use crate::cloud::{Fault, Refusal, Rule};
use crate::crash::scene::group_with_rules;
use crate::looking_after::{GROUP, GROUP_ID, HOUR, KEY, KEY_ID, rule, without_the_instance};
use crate::one_group::{open, probe_of};
use crate::rehearsal::Rehearsal;
use crate::stage::{CONTAIN, read};
use crate::story::{but, newer};
use crate::taking_back::verdict;
use serde_json::Value;

const SWITCH: &str = "quell-kill-switch";
const AGAIN: &str = "Quell asks again, and then does what the rule says unless a person decides first";

/// The finding waits for a person, since this cannot be asked.
async fn waiting(policy: &str, action: &str) -> Rehearsal {
    let quell = Rehearsal::of(policy).await.with("QUELL_KILL_SWITCH", SWITCH);
    quell.cloud.set_parameter(SWITCH, "contain").await;
    quell.cloud.inject(Rule::on(action, Fault::Refuse(Refusal::Unavailable)));
    let event = quell.event(&read(KEY));
    assert_eq!(verdict(&quell.handle(event, 0).await), "waiting-for-approval", "{}", quell.email());
    assert!(quell.email().contains(AGAIN) && quell.email().contains("\nAPPROVE OR REJECT\n"), "{}", quell.email());
    quell.cloud.forget_calls();
    quell
}

#[tokio::test]
async fn what_could_not_be_asked_is_asked_again_and_then_the_rule_decides() {
    for (action, says) in [
        ("guardduty:GetFindings", "GuardDuty could not be asked whether it knows the finding"),
        ("ssm:GetParameter", "the kill switch may be on: it could not be read"),
    ] {
        let quell = waiting(CONTAIN, action).await;
        assert!(quell.cloud.messages().is_empty());
        let before = quell.cloud.world().await;
        for later in [70, 200] {
            quell.tick(later).await.ok();
        }
        assert!(quell.calls().iter().any(|call| call.fault.is_some()), "it was asked again: {says}");
        assert_eq!(quell.told(), [""; 0], "{}", quell.email());
        assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
        quell.cloud.heal();
        // It is asked less often as time goes by.
        quell.tick(210).await.ok();
        assert_eq!(quell.told(), [""; 0], "{}", quell.email());
        quell.tick(600).await.ok();
        assert_eq!(quell.verdicts(), ["CONTAINED"], "{}", quell.email());
        let approved = "Approved by the policy, since what could not be asked before could be now.";
        assert!(quell.email().contains(approved), "{}", quell.email());
        assert_eq!(quell.changes(&before, &quell.cloud.world().await).len(), 2);
        let shown = quell.order_about("show", KEY_ID, 610).await["ok"]["incident"]["history"].to_string();
        assert!(shown.contains("the sweep"), "{shown}");
        assert_eq!(quell.order_about("undo", KEY_ID, 700).await["ok"]["verdict"], "released");
        assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
    }
}

#[tokio::test]
async fn a_person_may_decide_before_that() {
    let quell = waiting(CONTAIN, "guardduty:GetFindings").await;
    assert_eq!(quell.approve(KEY_ID, 1, 10).await["ok"]["verdict"], "contained", "{}", quell.email());
    let quell = waiting(CONTAIN, "guardduty:GetFindings").await;
    let before = quell.cloud.world().await;
    assert_eq!(quell.order_about("reject", KEY_ID, 10).await["ok"]["verdict"], "rejected", "{}", quell.email());
    quell.cloud.heal();
    quell.cloud.forget_calls();
    quell.tick(70).await.ok();
    assert_eq!(quell.told(), [""; 0], "{}", quell.email());
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
}

#[tokio::test]
async fn what_guardduty_turns_out_not_to_know_is_refused() {
    let quell = Rehearsal::of(CONTAIN).await;
    quell.cloud.inject(Rule::on("guardduty:GetFindings", Fault::Refuse(Refusal::Unavailable)));
    let made_up: Value = serde_json::from_str(&quell.account.localise(&read(KEY))).unwrap_or_default();
    let before = quell.cloud.world().await;
    assert_eq!(verdict(&quell.handle(made_up, 0).await), "waiting-for-approval", "{}", quell.email());
    quell.cloud.heal();
    quell.cloud.forget_calls();
    quell.tick(70).await.ok();
    assert_eq!(quell.verdicts(), ["REFUSED"], "{}", quell.email());
    assert!(
        quell.email().contains("the finding was made up: GuardDuty has no finding of this id"),
        "{}",
        quell.email()
    );
    let approved = quell.approve(KEY_ID, 1, 100).await;
    assert!(approved["error"].as_str().is_some_and(|error| error.starts_with("nothing waits")), "{approved}");
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
}

#[tokio::test]
async fn what_another_guard_holds_back_by_then_goes_on_waiting_as_another_plan() {
    let quell = waiting(CONTAIN, "ssm:GetParameter").await;
    let before = quell.cloud.world().await;
    quell.cloud.heal();
    quell.cloud.set_parameter(SWITCH, "approve").await;
    quell.tick(70).await.ok();
    assert_eq!(quell.verdicts(), ["WAITING FOR APPROVAL"], "{}", quell.email());
    assert!(quell.email().contains("the kill switch says \"approve\""), "{}", quell.email());
    assert!(quell.email().contains("--plan 2\n") && !quell.email().contains(AGAIN), "{}", quell.email());
    quell.cloud.forget_calls();
    for later in [140, 4_000] {
        quell.tick(later).await.ok();
    }
    assert_eq!((quell.told(), quell.changes(&before, &quell.cloud.world().await)), (Vec::new(), Vec::new()));
}

#[tokio::test]
async fn what_may_only_be_planned_by_then_waits_on_as_the_plan_that_was_read() {
    let quell = waiting(CONTAIN, "guardduty:GetFindings").await;
    quell.cloud.heal();
    quell.cloud.set_parameter(SWITCH, "plan").await;
    for later in [70, 300] {
        quell.tick(later).await.ok();
    }
    assert_eq!(quell.told(), [""; 0], "{}", quell.email());
    quell.cloud.set_parameter(SWITCH, "contain").await;
    assert_eq!(quell.approve(KEY_ID, 1, 400).await["ok"]["verdict"], "contained", "{}", quell.email());
}

#[tokio::test]
async fn what_is_beyond_the_limit_by_then_waits_for_that() {
    let quell = waiting(&format!("[limit]\nper_hour = 1\n{CONTAIN}"), "guardduty:GetFindings").await;
    quell.cloud.heal();
    assert_eq!(verdict(&quell.deliver(&read("port_probe")).await), "contained");
    quell.cloud.forget_calls();
    quell.tick(70).await.ok();
    assert_eq!(quell.verdicts(), ["WAITING FOR APPROVAL"], "{}", quell.email());
    assert!(quell.email().contains("more containments within an hour"), "{}", quell.email());
    assert_eq!(quell.approve(KEY_ID, 2, 100).await["ok"]["verdict"], "contained", "{}", quell.email());
}

#[tokio::test]
async fn what_the_finding_does_meanwhile_is_not_lost() {
    let id = "f351532bafcc77f8c3301b51d22f8d61";
    let quell = Rehearsal::of(CONTAIN).await;
    quell.cloud.inject(Rule::on("guardduty:GetFindings", Fault::Refuse(Refusal::Unavailable)));
    assert_eq!(verdict(&quell.deliver(&probe_of("22", id)).await), "waiting-for-approval");
    let next = quell.event(&newer(&probe_of("25", id)));
    assert_eq!(verdict(&quell.handle(next, 10).await), "waiting-for-approval", "{}", quell.email());
    assert!(quell.email().contains("--plan 2\n") && quell.email().contains(AGAIN), "{}", quell.email());
    quell.cloud.heal();
    quell.tick(80).await.ok();
    assert_eq!(open(&quell).await, [(20, 24), (26, 30)], "{}", quell.email());
    // GuardDuty no longer says what it named at first, so that this cannot be told from what somebody made up.
    assert_eq!(quell.verdicts().last().map(String::as_str), Some("PARTLY CONTAINED"), "{}", quell.email());
    let says = "named by an earlier state of the finding, and not in this plan";
    assert!(quell.email().contains(says), "{}", quell.email());
}

#[tokio::test]
async fn the_time_to_decide_drops_nothing_that_could_not_be_asked() {
    let policy = rule("contain", "approval = { within = '5m' }");
    let quell = waiting(&policy, "guardduty:GetFindings").await;
    for later in [70, 200, 310, 400] {
        quell.tick(later).await.ok();
    }
    assert_eq!(quell.told(), [""; 0], "{}", quell.email());
    quell.cloud.heal();
    quell.tick(1_300).await.ok();
    assert_eq!(quell.verdicts(), ["CONTAINED"], "{}", quell.email());

    let quell = waiting(&policy, "guardduty:GetFindings").await;
    for hour in 0..24 {
        quell.tick(hour * HOUR + 1_800).await.ok();
    }
    assert_eq!(quell.told(), [""; 0], "{}", quell.email());
    quell.tick(25 * HOUR).await.ok();
    assert_eq!(quell.verdicts(), ["REJECTED"], "{}", quell.email());
}

#[tokio::test]
async fn what_time_decides_is_decided_by_time_once_all_could_be_asked() {
    let policy = rule("approve", "approval = { within = '1h', fallback = 'contain' }");
    let quell = waiting(&policy, "guardduty:GetFindings").await;
    quell.cloud.heal();
    quell.tick(70).await.ok();
    assert!(quell.email().contains("without an answer Quell looks again and does it"), "{}", quell.email());
    assert!(quell.email().contains("--plan 2\n"), "{}", quell.email());
    quell.cloud.forget_calls();
    quell.tick(HOUR + 200).await.ok();
    assert_eq!(quell.verdicts(), ["CONTAINED"], "{}", quell.email());
}

/// A first part of a finding is held, and what its next state adds waits, since GuardDuty does not answer. The next state is
/// given beside.
async fn half_asked(policy: &str) -> (Rehearsal, String) {
    let quell = Rehearsal::of(policy).await;
    let whole = but("attack_sequence", &[GROUP]);
    let first = without_the_instance(&quell, &whole);
    assert_eq!(verdict(&quell.handle(first, 0).await), "contained", "{}", quell.email());
    quell.cloud.inject(Rule::on("guardduty:GetFindings", Fault::Refuse(Refusal::Unavailable)));
    let more = newer(&whole);
    assert_eq!(verdict(&quell.handle(quell.event(&more), 10).await), "partial", "{}", quell.email());
    (quell, more)
}

#[tokio::test]
async fn what_a_person_said_no_to_is_not_done_once_all_could_be_asked() {
    let (quell, more) = half_asked(CONTAIN).await;
    let held = quell.cloud.world().await;
    quell.order_about("reject", GROUP_ID, 20).await;
    quell.cloud.heal();
    for later in [90, 200] {
        quell.tick(later).await.ok();
    }
    // Nor after a state of the finding that was only planned.
    let archived = newer(&more).replacen("\"archived\": false", "\"archived\": true", 1);
    for (event, later) in [(newer(&more), 300), (newer(&archived), 400), (newer(&newer(&newer(&more))), 500)] {
        quell.handle(quell.event(&event), later).await.ok();
    }
    assert_eq!(quell.changes(&held, &quell.cloud.world().await), [""; 0], "{}", quell.email());
}

/// The team changes its mind during the outage: then nothing is contained, and nobody is told each minute.
#[tokio::test]
async fn what_the_rule_no_longer_wants_is_left_to_a_person_and_not_asked_again() {
    let mut quell = waiting(CONTAIN, "guardduty:GetFindings").await;
    let before = quell.cloud.world().await;
    quell.cloud.heal();
    quell.decide(&rule("notify", ""));
    quell.tick(70).await.ok();
    quell.cloud.forget_calls();
    for later in [140, 300, 900] {
        quell.tick(later).await.ok();
    }
    assert!(quell.calls().iter().all(|call| call.service == "dynamodb"), "{:?}", quell.calls());
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
}

#[tokio::test]
async fn in_an_outage_one_is_asked_for_all() {
    let quell = waiting(CONTAIN, "guardduty:GetFindings").await;
    assert_eq!(verdict(&quell.deliver(&read("port_probe")).await), "waiting-for-approval");
    let asked = || quell.calls().iter().filter(|call| call.operation == "GetFindings").count();
    quell.cloud.forget_calls();
    quell.tick(70).await.ok();
    assert!((1..=4).contains(&asked()), "{:?}", quell.calls());
    quell.cloud.forget_calls();
    quell.tick(75).await.ok();
    assert_eq!(asked(), 0, "the other one is put off as well");
    quell.cloud.heal();
    quell.cloud.forget_calls();
    quell.tick(400).await.ok();
    assert_eq!(quell.verdicts(), ["CONTAINED"; 2], "{}", quell.email());
}

/// A first part of the finding is held, and by no look as it was left: the attacker has renamed the user.
#[tokio::test]
async fn what_is_held_and_cannot_be_looked_after_keeps_nothing_from_being_asked() {
    let (quell, _) = half_asked(CONTAIN).await;
    let iam = quell.cloud.moto().service("iam", &quell.cloud.account_id);
    iam.call("UpdateUser", &[("UserName", "ann"), ("NewUserName", "bob")]).await;
    quell.tick(80).await.ok();
    quell.cloud.heal();
    assert!(quarantine_groups(&quell).await.is_empty());
    for later in [150, 300, 500] {
        quell.tick(later).await.ok();
    }
    assert!(!quarantine_groups(&quell).await.is_empty(), "{}", quell.email());
}

#[tokio::test]
async fn what_is_held_is_looked_after_as_quietly_as_ever_while_something_waits_to_be_asked() {
    let (quell, _) = half_asked(CONTAIN).await;
    let history = async || {
        let shown = quell.order_about("show", GROUP_ID, 20).await;
        shown["ok"]["incident"]["history"].as_array().map_or(0, Vec::len)
    };
    let before = history().await;
    let mut asked = 0;
    for minute in 1..30 {
        quell.cloud.forget_calls();
        quell.tick(10 + minute * 61).await.ok();
        assert_eq!(quell.told(), [""; 0], "{}", quell.email());
        asked += usize::from(quell.calls().iter().any(|call| call.operation == "GetFindings"));
    }
    assert_eq!(history().await, before, "{}", quell.email());
    assert!((2..9).contains(&asked), "less often as time goes by: {asked}");
}

/// A person said no to one plan of it, and now it is another; neither time nor a late answer has that done.
#[tokio::test]
async fn what_is_planned_otherwise_after_a_no_is_for_a_person() {
    let (quell, more) = half_asked(&rule("contain", "approval = { within = '1h', fallback = 'contain' }")).await;
    quell.order_about("reject", GROUP_ID, 20).await;
    group_with_rules(&quell).await;
    let held = quell.cloud.world().await;
    quell.cloud.forget_calls();
    quell.handle(quell.event(&newer(&more)), 30).await.ok();
    assert!(quell.email().contains("\nAPPROVE OR REJECT\n"), "{}", quell.email());
    assert!(!quell.email().contains(AGAIN), "{}", quell.email());
    quell.cloud.heal();
    for later in [100, 200, HOUR + 100, HOUR + 200] {
        quell.tick(later).await.ok();
    }
    assert_eq!(quell.changes(&held, &quell.cloud.world().await), [""; 0], "{}", quell.email());
}
