//! A person said no: to that plan for good, and to no other.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics has said what it has to say")]

use crate::cloud::{Fault, Refusal};
use crate::crash::scene::group_with_rules;
use crate::looking_after::{GROUP, GROUP_ID, HOUR, KEY, KEY_ID, refuse, rule, without_the_instance};
use crate::one_group::probe_of;
use crate::rehearsal::Rehearsal;
use crate::stage::{CONTAIN, know, read};
use crate::story::{but, newer};
use crate::taking_back::verdict;
use serde_json::{Value, json};

const WAITS: &str = "\nAPPROVE OR REJECT\n";

/// A person has said no to a finding's key; and the finding as it is later, with an instance.
async fn turned_down() -> (Rehearsal, String) {
    let quell = Rehearsal::of(&rule("approve", "")).await;
    let whole = but("attack_sequence", &[GROUP]);
    quell.handle(without_the_instance(&quell, &whole), 0).await.unwrap();
    assert_eq!(quell.order_about("reject", GROUP_ID, 10).await["ok"]["verdict"], "rejected");
    (quell, whole)
}

pub fn with_another_instance(whole: &str) -> String {
    let mut whole: Value = serde_json::from_str(whole).unwrap();
    let resources = whole.pointer_mut("/detail/service/detection/sequence/resources").unwrap().as_array_mut().unwrap();
    let other = resources[1].to_string().replace("i-0a1b2c3d4e5f60718", "i-0c1b2c3d4e5f60718");
    resources.push(serde_json::from_str(&other).unwrap());
    whole.to_string()
}

/// What was contained beside it was for a time, and is over.
#[tokio::test]
async fn a_no_outlasts_what_was_contained_for_a_time() {
    let policy = CONTAIN.replace("response", "expires = '1h'\nresponse");
    let mut quell = Rehearsal::of(&format!("[limit]\nremediation = {{ compromised-instance = 0 }}\n{policy}")).await;
    let before = quell.cloud.world().await;
    let whole = but("attack_sequence", &[GROUP]);
    assert_eq!(verdict(&quell.deliver(&whole).await), "partial", "{}", quell.email());
    let contained = quell.cloud.world().await;
    quell.order_about("reject", GROUP_ID, 10).await;
    quell.tick(HOUR + 60).await.ok();
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0], "{}", quell.email());
    // The key goes on, and nothing keeps the instance from being contained by now but the no.
    quell.decide(&policy);
    let event = quell.event(&newer(&whole));
    quell.handle(event, HOUR + 120).await.ok();
    assert_eq!(quell.changes(&contained, &quell.cloud.world().await), [""; 0], "{}", quell.email());
    assert!(!quell.email().contains(WAITS), "{}", quell.email());
}

#[tokio::test]
async fn what_a_finding_names_after_a_no_is_asked() {
    for response in ["approve", "contain"] {
        let mut quell = Rehearsal::of(&rule("approve", "")).await;
        let before = quell.cloud.world().await;
        let whole = but("attack_sequence", &[GROUP]);
        let first = without_the_instance(&quell, &whole);
        assert_eq!(verdict(&quell.handle(first, 0).await), "waiting-for-approval", "{}", quell.email());
        assert_eq!(quell.order_about("reject", GROUP_ID, 10).await["ok"]["verdict"], "rejected");
        quell.decide(&rule(response, ""));
        quell.cloud.forget_calls();
        let event = quell.event(&newer(&whole));
        assert_eq!(verdict(&quell.handle(event, 20).await), "waiting-for-approval", "{}", quell.email());
        assert!(quell.email().contains("--plan 3"), "{}", quell.email());
        for later in [60, HOUR, 2 * HOUR] {
            quell.tick(later).await.ok();
        }
        assert_eq!(quell.verdicts(), ["WAITING FOR APPROVAL"], "{}", quell.email());
        assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0], "{}", quell.email());
        // The instance alone: of the key a person said no.
        assert_eq!(quell.approve(GROUP_ID, 3, 2 * HOUR + 60).await["ok"]["verdict"], "partial", "{}", quell.email());
        let changed = quell.changes(&before, &quell.cloud.world().await);
        assert!(changed.iter().all(|it| !it.contains("AKIAIOSFODNN7EXAMPLE") && !it.contains("ann")), "{changed:?}");
        quell.order_about("undo", GROUP_ID, 2 * HOUR + 120).await;
        assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0], "{}", quell.email());
    }
}

/// The run that took the no down died before it told anybody: what the finding names meanwhile is asked about all the same.
#[tokio::test]
async fn what_a_finding_names_before_a_no_was_told_is_asked() {
    let quell = Rehearsal::of(&rule("approve", "")).await;
    let whole = but("attack_sequence", &[GROUP]);
    let first = quell.handle(without_the_instance(&quell, &whole), 0).await;
    assert_eq!(verdict(&first), "waiting-for-approval", "{}", quell.email());
    let no = json!({ "quell": { "command": "reject", "incident": quell.incident(GROUP_ID), "by": "olga" } });
    quell.killed_at("sns:Publish", Fault::PauseBefore, no, 10).await;
    quell.cloud.forget_calls();
    let event = quell.event(&newer(&whole));
    assert_eq!(verdict(&quell.handle(event.clone(), 200).await), "waiting-for-approval", "{}", quell.email());
    assert_eq!(quell.verdicts(), ["REJECTED", "WAITING FOR APPROVAL"], "{}", quell.email());
    assert!(quell.email().contains(WAITS), "{}", quell.email());
    // Lambda's second delivery finds nothing new.
    quell.handle(event, 260).await.unwrap();
    assert_eq!(quell.verdicts().len(), 2, "{}", quell.email());
}

/// Whether a newer state has something else done cannot be seen for a moment: it comes again, and then is asked about.
#[tokio::test]
async fn what_could_not_be_looked_at_after_a_no_comes_again() {
    let (quell, whole) = turned_down().await;
    let mut next = newer(&whole);
    // That it goes on is said by the first.
    for later in [20, 100] {
        refuse(&quell, &["ec2:DescribeInstances"], Refusal::Throttled);
        let again = quell.handle(quell.event(&next), later).await;
        assert!(again.is_err(), "{later}: {again:?} {}", quell.email());
        quell.cloud.heal();
        if later == 20 {
            next = newer(&next);
        }
    }
    assert_eq!(quell.verdicts().last().unwrap(), "REJECTED", "{}", quell.email());
    assert_eq!(verdict(&quell.handle(quell.event(&next), 160).await), "waiting-for-approval", "{}", quell.email());
}

/// So is what it names after that.
#[tokio::test]
async fn what_a_finding_names_after_what_it_named_after_a_no_is_asked() {
    let (mut quell, whole) = turned_down().await;
    let before = quell.cloud.world().await;
    quell.decide(CONTAIN);
    let second = quell.event(&newer(&whole));
    assert_eq!(verdict(&quell.handle(second, 20).await), "waiting-for-approval", "{}", quell.email());
    let third = quell.event(&with_another_instance(&newer(&newer(&whole))));
    assert_eq!(verdict(&quell.handle(third, 60).await), "waiting-for-approval", "{}", quell.email());
    assert!(quell.email().contains("i-0c1b2c3d4e5f60718"), "{}", quell.email());
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0], "{}", quell.email());
}

/// And so it is where a person approved what came between.
#[tokio::test]
async fn what_a_finding_names_after_a_no_and_a_yes_is_asked() {
    let (mut quell, whole) = turned_down().await;
    quell.decide(CONTAIN);
    assert_eq!(verdict(&quell.handle(quell.event(&newer(&whole)), 20).await), "waiting-for-approval");
    let plan = quell.email().split("--plan ").nth(1).unwrap().split_whitespace().next().unwrap().parse().unwrap();
    assert_eq!(quell.approve(GROUP_ID, plan, 40).await["ok"]["verdict"], "partial", "{}", quell.email());
    let before = quell.cloud.world().await;
    quell.handle(quell.event(&with_another_instance(&newer(&newer(&whole)))), 60).await.unwrap();
    let email = quell.email();
    assert!(email.contains(WAITS) && email.contains("i-0c1b2c3d4e5f60718"), "{email}");
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0], "{email}");
}

/// What a person was to decide on and the finding does not name any more is not dropped in silence.
#[tokio::test]
async fn what_is_no_longer_named_when_a_person_decides_is_said() {
    let quell = Rehearsal::of(&rule("approve", "")).await;
    let whole = but("attack_sequence", &[GROUP]);
    quell.deliver(&whole).await.unwrap();
    let mut second: Value = serde_json::from_str(&with_another_instance(&newer(&whole))).unwrap();
    second.pointer_mut("/detail/service/detection/sequence/resources").unwrap().as_array_mut().unwrap().remove(1);
    assert_eq!(verdict(&quell.handle(quell.event(&second.to_string()), 20).await), "waiting-for-approval");
    quell.approve(GROUP_ID, 2, 40).await;
    let email = quell.email();
    let said = "the newest state of the finding does not name it any more";
    assert!(email.contains(WAITS) && email.contains(said) && email.contains("i-0a1b2c3d4e5f60718"), "{email}");
}

/// What a newer state names beside what a person said no to is asked about, and done, also where the rest cannot be seen.
#[tokio::test]
async fn what_is_named_beside_a_no_is_asked_though_the_rest_cannot_be_seen() {
    let (quell, whole) = turned_down().await;
    quell.cloud.forget_calls();
    refuse(&quell, &["iam:ListAccessKeys"], Refusal::Throttled);
    quell.handle(quell.event(&newer(&whole)), 20).await.ok();
    quell.cloud.heal();
    assert_eq!(quell.verdicts().last().unwrap(), "WAITING FOR APPROVAL", "{}", quell.email());
    let plan = quell.email().split("--plan ").nth(1).unwrap().split_whitespace().next().unwrap().parse().unwrap();
    let contained = quell.approve(GROUP_ID, plan, 60).await;
    assert_eq!(contained["ok"]["verdict"], "partial", "{contained} {}", quell.email());
    assert!(quell.email().contains("eni-"), "{}", quell.email());
}

/// That it goes on is told of the finding as it is by now.
#[tokio::test]
async fn what_goes_on_after_a_no_is_told_as_it_is_by_now() {
    let quell = Rehearsal::of(&rule("approve", "")).await;
    quell.deliver(&read(KEY)).await.ok();
    quell.order_about("reject", KEY_ID, 10).await;
    let graver = newer(&read(KEY)).replacen("\"severity\":5", "\"severity\":8.5", 1);
    quell.handle(quell.event(&graver), 20).await.ok();
    assert!(quell.email().contains("left alone, since a person rejected the plan"), "{}", quell.email());
    assert!(quell.email().contains("severity high (8.5)"), "{}", quell.email());
}

/// The finding does not name it for a while, or nobody may look: a no outlasts that.
#[tokio::test]
async fn a_no_outlasts_a_state_of_the_finding_that_does_not_name_it() {
    for is_named in [false, true] {
        let policy = format!("[limit]\nremediation = {{ compromised-instance = 0 }}\n{CONTAIN}");
        let mut quell = Rehearsal::of(&policy).await;
        let whole = but("attack_sequence", &[GROUP]);
        assert_eq!(verdict(&quell.deliver(&whole).await), "partial", "{}", quell.email());
        let contained = quell.cloud.world().await;
        quell.order_about("reject", GROUP_ID, 10).await;
        let second = newer(&whole);
        if is_named {
            quell.decide(&rule("notify", ""));
            quell.handle(quell.event(&second), 20).await.ok();
        } else {
            quell.handle(without_the_instance(&quell, &second), 20).await.ok();
        }
        quell.decide(CONTAIN);
        quell.handle(quell.event(&newer(&second)), 40).await.ok();
        assert_eq!(quell.changes(&contained, &quell.cloud.world().await), [""; 0], "{is_named}: {}", quell.email());
    }
}

/// The session is the same with each of its keys, and so is the no.
#[tokio::test]
async fn a_session_with_a_new_key_is_the_same_session() {
    let session = "instance_credentials_used_outside_aws";
    let quell = Rehearsal::of(&rule("approve", "approval = { within = '1h', fallback = 'contain' }")).await;
    quell.deliver(&read(session)).await.ok();
    let event: Value = serde_json::from_str(&read(session)).unwrap();
    let id = event["detail"]["id"].as_str().unwrap();
    let key = event["detail"]["resource"]["accessKeyDetails"]["accessKeyId"].as_str().unwrap();
    let other = newer(&read(session)).replace(key, "ASIAANOTHERKEYOFHERS");
    quell.cloud.forget_calls();
    quell.handle(quell.event(&other), 20).await.ok();
    assert_eq!(quell.told(), [""; 0], "{}", quell.email());
    assert_eq!(quell.approve(id, 1, 30).await["ok"]["verdict"], "contained", "{}", quell.email());
}

/// What failed for a moment, or crashed, is tried again, and asks again: nobody takes that for a yes.
#[tokio::test]
async fn a_no_outlasts_a_failure_that_passes() {
    let limit = "[limit]\nremediation = { compromised-instance = 0 }\n";
    let mut quell = Rehearsal::of(&format!("{limit}{CONTAIN}")).await;
    let whole = but("attack_sequence", &[GROUP]);
    assert_eq!(verdict(&quell.deliver(&whole).await), "partial", "{}", quell.email());
    quell.order_about("reject", GROUP_ID, 10).await;
    // By now another plan is made of the instance, and nothing but the no keeps it from being done.
    group_with_rules(&quell).await;
    quell.decide(CONTAIN);
    let contained = quell.cloud.world().await;
    let next = newer(&whole);
    refuse(&quell, &["GetUserPolicy", "ListAccessKeys"], Refusal::Throttled);
    quell.handle(quell.event(&next), 20).await.ok();
    quell.cloud.heal();
    quell.handle(quell.event(&next), 90).await.ok();
    for later in [160, 400, HOUR] {
        quell.tick(later).await.ok();
    }
    assert_eq!(quell.changes(&contained, &quell.cloud.world().await), [""; 0], "{}", quell.email());
    assert!(quell.email().contains("held back to approve: a person said no to an earlier plan"), "{}", quell.email());
}

/// What nobody decided on in time nobody turned down: a later state is asked again.
#[tokio::test]
async fn what_is_asked_after_a_no_and_not_decided_is_asked_again() {
    let quell = Rehearsal::of(&rule("approve", "approval = { within = '1h' }")).await;
    let whole = but("attack_sequence", &[GROUP]);
    quell.handle(without_the_instance(&quell, &whole), 0).await.ok();
    quell.order_about("reject", GROUP_ID, 10).await;
    let second = newer(&whole);
    assert_eq!(verdict(&quell.handle(quell.event(&second), 20).await), "waiting-for-approval", "{}", quell.email());
    quell.tick(HOUR + 90).await.ok();
    quell.cloud.forget_calls();
    let third = quell.event(&newer(&second));
    assert_eq!(verdict(&quell.handle(third, HOUR + 200).await), "waiting-for-approval", "{}", quell.email());
    assert!(quell.email().contains(WAITS), "{}", quell.email());
}

#[tokio::test]
async fn that_it_goes_on_after_a_no_is_told_though_it_could_not_be_at_first() {
    let quell = Rehearsal::of(&rule("approve", "")).await;
    quell.deliver(&read(KEY)).await.ok();
    quell.order_about("reject", KEY_ID, 10).await;
    quell.cloud.forget_calls();
    refuse(&quell, &["sns:Publish"], Refusal::Throttled);
    quell.handle(quell.event(&newer(&read(KEY))), 20).await.ok();
    quell.cloud.heal();
    quell.cloud.forget_calls();
    quell.tick(90).await.ok();
    assert!(quell.email().contains("left alone, since a person rejected the plan"), "{}", quell.email());
    quell.cloud.forget_calls();
    quell.handle(quell.event(&newer(&newer(&read(KEY)))), 160).await.ok();
    quell.tick(220).await.ok();
    assert_eq!(quell.told(), [""; 0], "once: {}", quell.email());
}

const PROBED: &str = "0d5e8e95fc4de1f034e96967422b76b5";

/// Of the third state both ports are in the plan, and nothing is left to say of the first.
#[tokio::test]
async fn what_comes_back_into_the_plan_is_not_said_to_be_missing() {
    let quell = Rehearsal::of(&rule("approve", "")).await;
    quell.deliver(&probe_of("22", PROBED)).await.ok();
    let second = newer(&probe_of("25", PROBED));
    quell.handle(quell.event(&second), 10).await.ok();
    assert!(quell.email().contains("not in this plan"), "{}", quell.email());
    let mut third = quell.event(&newer(&second));
    let probed = third.pointer_mut("/detail/service/action/portProbeAction/portProbeDetails").unwrap();
    let mut other = probed[0].clone();
    other["localPortDetails"]["port"] = 22.into();
    probed.as_array_mut().unwrap().push(other);
    know(&quell.cloud, &third.to_string());
    quell.handle(third, 20).await.ok();
    assert!(!quell.email().contains("not in this plan"), "{}", quell.email());
    assert_eq!(quell.approve(PROBED, 3, 30).await["ok"]["verdict"], "contained", "{}", quell.email());
}

/// The message that a person read may not be the last.
#[tokio::test]
async fn a_no_is_to_the_plan_that_was_read() {
    let quell = Rehearsal::of(&rule("approve", "")).await;
    let whole = but("attack_sequence", &[GROUP]);
    let first = quell.handle(without_the_instance(&quell, &whole), 0).await;
    assert_eq!(verdict(&first), "waiting-for-approval", "{}", quell.email());
    assert!(
        quell.email().contains("\nquell reject 111122223333/eu-west-1/485d8cb88c072a52e390bd255303de1e --plan 1\n")
    );
    assert_eq!(verdict(&quell.handle(quell.event(&newer(&whole)), 60).await), "waiting-for-approval");
    for (plan, says) in [(json!(1), "plan 2 waits, not plan 1"), (json!(null), "more than one plan was shown")] {
        let order = json!({ "command": "reject", "incident": quell.incident(GROUP_ID), "plan": plan });
        let answer = quell.order(order, 90).await;
        assert!(answer["error"].as_str().is_some_and(|why| why.starts_with(says)), "{answer}");
    }
    assert_eq!(quell.approve(GROUP_ID, 2, 120).await["ok"]["verdict"], "contained", "{}", quell.email());
}
