//! What a person gave back, or wanted back, stays so, whatever the finding does next.

use crate::cloud::{Fault, Refusal};
use crate::looking_after::{GROUP, GROUP_ID, HOUR, KEY, KEY_ID, refuse, rule, without_the_instance};
use crate::rehearsal::Rehearsal;
use crate::said_no::with_another_instance;
use crate::stage::{CONTAIN, read};
use crate::story::{but, newer};
use crate::taking_back::verdict;
use serde_json::json;

/// What a person gave back is no part of what is approved later.
#[tokio::test]
async fn what_was_given_back_does_not_keep_the_rest_from_being_approved() {
    let quell = Rehearsal::of(&format!("[limit]\nremediation = {{ compromised-instance = 0 }}\n{CONTAIN}")).await;
    let before = quell.cloud.world().await;
    let whole = but("attack_sequence", &[GROUP]);
    assert_eq!(verdict(&quell.deliver(&whole).await), "partial", "{}", quell.email());
    for step in [1, 2] {
        let order = json!({ "command": "undo", "incident": quell.incident(GROUP_ID), "step": step });
        let undone = quell.order(order, 10 * step).await;
        assert!(undone["ok"].is_object(), "{undone}");
    }
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
    let another = with_another_instance(&newer(&whole));
    assert_eq!(verdict(&quell.handle(quell.event(&another), 60).await), "waiting-for-approval", "{}", quell.email());
    let plan = quell.email().split("--plan ").nth(1).unwrap().split_whitespace().next().unwrap().parse().unwrap();
    let approved = quell.approve(GROUP_ID, plan, 90).await;
    let changes = quell.changes(&before, &quell.cloud.world().await);
    let is_isolated = changes.iter().any(|change| change.contains("eni-0a1b2c3d4e5f60001"));
    assert!(is_isolated && !changes.iter().any(|change| change.contains("ann")), "{approved} {changes:?}");
}

/// What a person gave back is left alone; of what the finding names beside it after that, a person is asked.
#[tokio::test]
async fn what_a_finding_names_after_an_undo_is_asked() {
    let quell = Rehearsal::of(CONTAIN).await;
    let before = quell.cloud.world().await;
    let whole = but("attack_sequence", &[GROUP]);
    quell.handle(without_the_instance(&quell, &whole), 0).await.unwrap();
    assert_eq!(quell.order_about("undo", GROUP_ID, 10).await["ok"]["verdict"], "released", "{}", quell.email());
    assert_eq!(verdict(&quell.handle(quell.event(&newer(&whole)), 60).await), "waiting-for-approval");
    assert!(quell.email().contains("a person gave back what was contained before"), "{}", quell.email());
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
    let plan = quell.email().split("--plan ").nth(1).unwrap().split_whitespace().next().unwrap().parse().unwrap();
    let approved = quell.approve(GROUP_ID, plan, 90).await;
    let changes = quell.changes(&before, &quell.cloud.world().await);
    let is_isolated = changes.iter().any(|change| change.contains("eni-0a1b2c3d4e5f60001"));
    assert!(is_isolated && !changes.iter().any(|change| change.contains("ann")), "{approved} {changes:?}");
    assert_eq!(quell.order_about("undo", GROUP_ID, 200).await["ok"]["verdict"], "released", "{}", quell.email());
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
}

#[tokio::test]
async fn what_a_finding_names_after_an_undo_is_asked_whatever_comes_between() {
    let whole = but("attack_sequence", &[GROUP]);
    for case in ["a run dies", "more is named", "nobody decides", "a person says no"] {
        let quell = Rehearsal::of(&rule("contain", "")).await;
        let before = quell.cloud.world().await;
        quell.handle(without_the_instance(&quell, &whole), 0).await.unwrap();
        quell.order_about("undo", GROUP_ID, 10).await;
        let (second, third) = (newer(&whole), newer(&newer(&whole)));
        if case == "a run dies" {
            quell.killed_at("TransactWriteItems", Fault::PauseAfter, quell.event(&second), 60).await;
            quell.tick(300).await.ok();
        } else {
            quell.handle(quell.event(&second), 60).await.unwrap();
            assert!(quell.email().contains("a person gave back what was contained before"), "{}", quell.email());
        }
        match case {
            "more is named" => {
                quell.handle(quell.event(&with_another_instance(&third)), 90).await.unwrap();
                assert!(quell.email().contains("i-0c1b2c3d4e5f60718"), "{}", quell.email());
            }
            "nobody decides" => {
                quell.tick(25 * HOUR).await.ok();
                quell.handle(quell.event(&third), 26 * HOUR).await.unwrap();
            }
            "a person says no" => {
                quell.order_about("reject", GROUP_ID, 90).await;
                quell.handle(quell.event(&with_another_instance(&third)), 120).await.unwrap();
                assert!(!quell.email().contains("update-access-key"), "{}", quell.email());
            }
            _ => {}
        }
        assert!(quell.email().contains("\nAPPROVE OR REJECT\n"), "{case}: {}", quell.email());
        assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0], "{case}: {}", quell.email());
    }
}

/// What could not be done at first is not done after an undo, either.
#[tokio::test]
async fn what_was_refused_before_an_undo_is_not_done_after_it() {
    let quell = Rehearsal::of(CONTAIN).await;
    let before = quell.cloud.world().await;
    let whole = but("attack_sequence", &[GROUP]);
    refuse(&quell, &["iam:UpdateAccessKey"], Refusal::Denied);
    assert_eq!(verdict(&quell.handle(without_the_instance(&quell, &whole), 0).await), "partial");
    assert_eq!(quell.order_about("undo", GROUP_ID, 10).await["ok"]["verdict"], "released", "{}", quell.email());
    quell.cloud.heal();
    assert_eq!(verdict(&quell.handle(quell.event(&newer(&whole)), 60).await), "waiting-for-approval");
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0], "{}", quell.email());
}

/// What a person wanted back and did by hand is as good as given back.
#[tokio::test]
async fn what_a_person_wanted_back_stays_so_whatever_comes_later() {
    let wanted_back = async |policy: &str, first: &str| {
        let quell = Rehearsal::of(policy).await;
        let before = quell.cloud.world().await;
        let id = if first == KEY { KEY_ID } else { GROUP_ID };
        let event = if first == KEY { quell.event(&read(KEY)) } else { without_the_instance(&quell, first) };
        assert_eq!(verdict(&quell.handle(event, 0).await), "contained", "{}", quell.email());
        refuse(&quell, &["iam:UpdateAccessKey", "iam:DeleteUserPolicy"], Refusal::Denied);
        assert_eq!(quell.order_about("undo", id, 10).await["ok"]["verdict"], "partly-released");
        quell.cloud.heal();
        (quell, before)
    };
    // Its time ends, and the finding goes on.
    let (quell, before) = wanted_back(&rule("contain", "expires = '1h'"), KEY).await;
    quell.tick(HOUR + 60).await.ok();
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0], "{}", quell.email());
    let next = quell.event(&newer(&read(KEY)));
    assert_eq!(verdict(&quell.handle(next, 2 * HOUR).await), "released", "{}", quell.email());
    assert!(quell.email().contains("it is left alone"), "{}", quell.email());
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);

    // The finding names more.
    let whole = but("attack_sequence", &[GROUP]);
    let (quell, _) = wanted_back(CONTAIN, &whole).await;
    let held = quell.cloud.world().await;
    quell.handle(quell.event(&newer(&whole)), 60).await.unwrap();
    let email = quell.email();
    assert!(email.starts_with("WAITING FOR APPROVAL") && email.contains("i-0a1b2c3d4e5f60718"), "{email}");
    let now = "5 changes are planned. 2 changes that a person wanted back are left to people.";
    assert!(email.contains(now) && !email.contains("held back to notify"), "{email}");
    assert_eq!(quell.changes(&held, &quell.cloud.world().await), [""; 0], "{email}");
}

/// So is a step of it: what else is contained for a time may be contained again.
#[tokio::test]
async fn a_step_that_a_person_wanted_back_stays_so_after_its_time() {
    let quell = Rehearsal::of(&rule("contain", "expires = '1h'")).await;
    let before = quell.cloud.world().await;
    assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "contained");
    refuse(&quell, &["iam:UpdateAccessKey"], Refusal::Denied);
    let step = json!({ "command": "undo", "incident": quell.incident(KEY_ID), "step": 1 });
    assert_eq!(quell.order(step, 10).await["ok"]["verdict"], "partly-released", "{}", quell.email());
    quell.cloud.heal();
    quell.tick(HOUR + 60).await.ok();
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0], "{}", quell.email());
    quell.handle(quell.event(&newer(&read(KEY))), 2 * HOUR).await.unwrap();
    let changes = quell.changes(&before, &quell.cloud.world().await);
    assert!(changes.len() == 1 && changes[0].contains("QuellQuarantine"), "{changes:?} {}", quell.email());
}

/// Nor does it grow under a new name while something else waits.
#[tokio::test]
async fn what_a_person_wanted_back_is_not_added_to_while_something_waits() {
    let quell = Rehearsal::of(&format!("[limit]\nremediation = {{ compromised-instance = 0 }}\n{CONTAIN}")).await;
    let whole = but("attack_sequence", &[GROUP]);
    assert_eq!(verdict(&quell.deliver(&whole).await), "partial", "{}", quell.email());
    let iam = quell.cloud.moto().service("iam", &quell.cloud.account_id);
    iam.call("UpdateUser", &[("UserName", "ann"), ("NewUserName", "bob")]).await;
    for step in [1, 2] {
        let order = json!({ "command": "undo", "incident": quell.incident(GROUP_ID), "step": step });
        let undone = quell.order(order, 10 * step).await;
        assert!(undone.to_string().contains("user ann is called bob now"), "{undone}");
    }
    let key = quell.account.real("AKIAIOSFODNN7EXAMPLE");
    iam.call("UpdateAccessKey", &[("UserName", "bob"), ("AccessKeyId", key), ("Status", "Active")]).await;
    iam.call("DeleteUserPolicy", &[("UserName", "bob"), ("PolicyName", "QuellQuarantine")]).await;
    let before = quell.cloud.world().await;
    let another = with_another_instance(&newer(&whole));
    assert_eq!(verdict(&quell.handle(quell.event(&another), 60).await), "waiting-for-approval", "{}", quell.email());
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0], "{}", quell.email());
}
