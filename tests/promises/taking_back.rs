//! Whatever was contained can be taken back, and then all is as it was.

use crate::attacker::{Attacker, quarantine_groups};
use crate::cloud::{Call, Fault, Refusal, Rule};
use crate::crash::scene::{self, Scene};
use crate::looking_after::{GROUP, GROUP_ID};
use crate::one_group::SEVERAL_SECONDS;
use crate::rehearsal::{Rehearsal, incident_in};
use crate::stage::{CONTAIN, read};
use crate::story::{but, newer};
use serde_json::{Value, json};
use std::time::Duration;

const KEY: &str = "access_key_used_from_tor";
const KEY_ID: &str = "5e8e95fc4de1f034e96967422b76b5c7";

pub fn verdict(answer: &Result<Value, String>) -> &str {
    match answer {
        Ok(answer) => answer["verdict"].as_str().or_else(|| answer["quiet"].as_str()).unwrap_or("?"),
        Err(error) => error,
    }
}

/// Each remediation, and again where it does something else.
const EACH: [Scene; 8] = [
    scene::KEY,
    scene::INACTIVE_KEY,
    scene::MEMBERS_KEY,
    scene::SESSION,
    scene::INSTANCE,
    scene::PORT,
    scene::PORT_OF_A_RANGE,
    scene::SEQUENCE,
];

/// All that can be read of both accounts, and the rules of groups with their tags, but not their ids.
async fn whole(quell: &Rehearsal) -> (Value, Vec<Value>, Vec<Value>) {
    let cloud = &quell.cloud;
    (cloud.world().await, cloud.main().rules().await, cloud.member().rules().await)
}

#[tokio::test]
async fn contained_and_undone_leaves_the_accounts_as_they_were() {
    let quell = Rehearsal::of(CONTAIN).await;
    for (scene, later) in EACH.into_iter().zip((0..).step_by(20)) {
        let before = whole(&quell).await;
        let event = quell.event(&scene.event());
        assert_eq!(verdict(&quell.handle(event, later).await), "contained", "{scene}");
        let contained = whole(&quell).await;
        assert!(!quell.changes(&before.0, &contained.0).is_empty(), "{scene}");

        let incident = incident_in(scene.account(&quell.cloud), scene.finding);
        let undo = json!({ "command": "undo", "incident": incident });
        let mut dry_run = undo.clone();
        dry_run["dry_run"] = json!(true);
        let shown = quell.order(dry_run, later + 1).await;
        assert!(shown["ok"]["text"].as_str().is_some_and(|text| text.contains("would give back: ")), "{shown}");
        assert!(whole(&quell).await == contained, "a dry run changes nothing");
        let undone = quell.order(undo.clone(), later + 2).await;
        assert_eq!(undone["ok"]["verdict"], "released", "{undone}");
        let after = whole(&quell).await;
        assert_eq!(quell.changes(&before.0, &after.0), [""; 0], "{scene}");
        assert_eq!((&after.1, &after.2), (&before.1, &before.2), "{scene}");
        assert!(after == before, "{scene}: something else is no longer as it was: {before:?} {after:?}");
        assert!(quell.email().starts_with("RELEASED: "), "{}", quell.email());
        let has_rules = scene.name.starts_with("exposed-port");
        assert_eq!(quell.email().contains("with new ids for the rules"), has_rules, "{}", quell.email());
        assert_eq!(shown.to_string().contains("(with new ids for the rules)"), has_rules, "{shown}");

        let again = quell.order(undo, later + 3).await;
        assert_eq!(again["error"], "there is nothing to undo: it is released");
    }
    // The emulated cloud does not ask what the role may do: the template grants what the code says that it calls.
    let granted = quell::permissions();
    for call in quell.calls() {
        let action = call.action();
        let needed = match action.as_str() {
            "dynamodb:TransactWriteItems" => vec!["dynamodb:PutItem", "dynamodb:UpdateItem"],
            // Nobody can be kept from that.
            "sts:GetCallerIdentity" => Vec::new(),
            other => vec![other],
        };
        assert!(needed.iter().all(|it| granted.contains(it)), "{call:?}");
    }
}

/// Quell empties the group, and gives its rules back with their descriptions.
#[tokio::test]
async fn a_quarantine_group_that_had_rules_has_them_again() {
    let (quell, scene) = (Rehearsal::of(CONTAIN).await, scene::INTO_RULES);
    scene.prepare(&quell).await;
    let before = whole(&quell).await;
    assert_eq!(verdict(&quell.deliver(&scene.event()).await), "contained", "{}", quell.email());
    assert_ne!(quell.cloud.main().rules().await, before.1);
    let undo =
        |dry_run: bool| json!({ "command": "undo", "incident": quell.incident(scene.finding), "dry_run": dry_run });
    let shown = quell.order(undo(true), 9).await;
    assert!(shown.to_string().contains("(with new ids for the rules)"), "{shown}");
    assert_eq!(quell.order(undo(false), 10).await["ok"]["verdict"], "released", "{}", quell.email());
    assert!(quell.email().contains("given back, read back, with new ids for the rules"), "{}", quell.email());
    assert!(whole(&quell).await == before, "{:?}", quell.changes(&before.0, &quell.cloud.world().await));
}

#[tokio::test]
async fn one_step_is_taken_back_and_the_others_stay() {
    let quell = Rehearsal::of(CONTAIN).await;
    let before = quell.cloud.world().await;
    assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "contained");
    let contained = quell.changes(&before, &quell.cloud.world().await);
    let step = |step: usize| json!({ "command": "undo", "incident": quell.incident(KEY_ID), "step": step });
    let undone = quell.order(step(1), 1).await;
    assert_eq!(undone["ok"]["verdict"], "partly-released", "{undone}");
    let left = quell.changes(&before, &quell.cloud.world().await);
    assert_eq!((contained.len(), left.len()), (2, 1), "{left:?}");
    // The sweep leaves alone what a person gave back.
    for later in [10, 20, 70] {
        quell.tick(later).await.ok();
    }
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), left);
    let wrong = quell.order(step(9), 80).await;
    assert_eq!(wrong["error"], "there is no step 9: the incident has 2");
    assert_eq!(quell.order_about("undo", KEY_ID, 90).await["ok"]["verdict"], "released");
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
}

/// One interface of several, then the group that the others still need, then the rest.
#[tokio::test]
async fn one_setting_of_an_instance_is_taken_back_and_the_others_stay() {
    let (quell, scene) = (Rehearsal::of(CONTAIN).await, scene::INSTANCE);
    let before = whole(&quell).await;
    assert_eq!(verdict(&quell.deliver(&scene.event()).await), "contained", "{}", quell.email());
    let contained = quell.changes(&before.0, &quell.cloud.world().await);
    let shown = quell.order_about("show", scene.finding, 1).await;
    let results = shown["ok"]["incident"]["parts"][0]["results"].as_array().unwrap().clone();
    // Two interfaces are in this VPC, and one is in another.
    let of = |field: &str, id: &str| {
        let id = quell.account.real(id);
        results.iter().position(|it| it["change"]["setting"][field] == id).unwrap() + 1
    };
    let undo = async |step: usize, later: i64| {
        let order = json!({ "command": "undo", "incident": quell.incident(scene.finding), "step": step });
        (quell.order(order, later).await, quell.changes(&before.0, &quell.cloud.world().await))
    };
    let (undone, left) = undo(of("interface", "eni-0a1b2c3d4e5f60001"), 10).await;
    assert_eq!((&undone["ok"]["returned"][0]["is_back"], left.len()), (&json!(true), contained.len() - 1), "{undone}");
    let (undone, still) = undo(of("vpc", "vpc-0a1b2c3d4e5f60010"), 20).await;
    assert_eq!((&undone["ok"]["returned"][0]["is_back"], &still), (&json!(false), &left), "{undone}");
    assert_eq!(quell.order_about("undo", scene.finding, 30).await["ok"]["verdict"], "released", "{}", quell.email());
    assert!(whole(&quell).await == before, "{:?}", quell.changes(&before.0, &quell.cloud.world().await));
}

#[tokio::test]
async fn a_quarantine_group_that_something_else_uses_goes_when_that_is_gone() {
    let quell = Rehearsal::of(CONTAIN).await;
    let before = quell.cloud.world().await;
    let scene = scene::SMALL_INSTANCE;
    assert_eq!(verdict(&quell.deliver(&scene.event()).await), "contained");
    let ec2 = quell.cloud.moto().service("ec2", &quell.cloud.account_id);
    let group = quarantine_groups(&quell).await.remove(0);
    let subnet = quell.account.real("subnet-0a1b2c3d4e5f60020");
    let made = ec2.call("CreateNetworkInterface", &[("SubnetId", subnet), ("SecurityGroupId.1", &group)]).await;
    let other = made["networkInterface"]["networkInterfaceId"].as_str().unwrap_or_default().to_owned();
    let undone = quell.order_about("undo", scene.finding, 10).await;
    assert_eq!(undone["ok"]["verdict"], "partly-released", "{undone}");
    assert!(quell.email().contains("still held"), "{}", quell.email());
    assert_eq!(quarantine_groups(&quell).await, [group]);
    ec2.call("DeleteNetworkInterface", &[("NetworkInterfaceId", &other)]).await;
    for later in [100, 400, 1_200] {
        quell.tick(later).await.ok();
    }
    assert_eq!(quell.verdicts().last().map(String::as_str), Some("RELEASED"), "{}", quell.email());
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
}

#[tokio::test]
async fn a_step_keeps_its_number_and_is_given_back_once() {
    let quell = Rehearsal::of(CONTAIN).await;
    let before = quell.cloud.world().await;
    assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "contained");
    let step = |step: usize| json!({ "command": "undo", "incident": quell.incident(KEY_ID), "step": step });
    assert_eq!(quell.order(step(1), 1).await["ok"]["verdict"], "partly-released");
    let left = quell.cloud.world().await;
    let update = newer(&read(KEY));
    assert_eq!(verdict(&quell.handle(quell.event(&update), 60).await), "contained");
    let said = "what a person gave back is left alone: access key AKIAIOSFODNN7EXAMPLE of user ann. This is said once";
    assert!(
        quell.email().contains(said) && quell.email().contains("The one planned change holds"),
        "{}",
        quell.email()
    );
    quell.cloud.forget_calls();
    assert_eq!(verdict(&quell.handle(quell.event(&newer(&update)), 65).await), "kept");
    assert_eq!((quell.told(), quell.changes(&left, &quell.cloud.world().await)), (Vec::new(), Vec::new()));
    quell.cloud.forget_calls();
    let again = quell.order(step(1), 70).await;
    assert_eq!(again["error"], "there is nothing to undo: the incident does not hold that");
    let mut dry_run = step(1);
    dry_run["dry_run"] = json!(true);
    assert_eq!(quell.order(dry_run, 70).await["error"], "there is nothing to undo: it is held");
    assert_eq!((quell.told(), quell.changes(&left, &quell.cloud.world().await)), (Vec::new(), Vec::new()));
    let shown = quell.order_about("show", KEY_ID, 80).await;
    let second = shown.pointer("/ok/incident/parts/0/results/1/change/setting/setting");
    assert_eq!(second.and_then(Value::as_str), Some("inline-policy"), "{shown}");
    assert_eq!(quell.order(step(2), 90).await["ok"]["verdict"], "released");
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
}

#[tokio::test]
async fn of_what_was_only_planned_there_is_nothing_to_undo() {
    let quell = Rehearsal::of(&CONTAIN.replace("'contain'", "'plan'")).await;
    assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "planned");
    quell.cloud.forget_calls();
    let undone = quell.order_about("undo", KEY_ID, 1).await;
    assert_eq!((undone["error"].as_str(), quell.told()), (Some("there is nothing to undo: it is closed"), Vec::new()));
}

#[tokio::test]
async fn an_interface_that_somebody_else_moved_is_told_and_left() {
    let quell = Rehearsal::of(CONTAIN).await;
    let id = "c218f816f3732196b9d69ecfe8a0f3e8";
    assert_eq!(verdict(&quell.deliver(&read("instance_mines_bitcoin")).await), "contained");
    let (interface, other) = (quell.account.real("eni-0c1b2c3d4e5f60001"), quell.account.real("sg-0a1b2c3d4e5f60031"));
    let moved = [("NetworkInterfaceId", interface), ("SecurityGroupId.1", other)];
    quell.cloud.moto().service("ec2", &quell.cloud.account_id).call("ModifyNetworkInterfaceAttribute", &moved).await;
    let theirs = quell.cloud.main().interface_groups(quell.account.real("i-0c1b2c3d4e5f60718")).await;
    let undone = quell.order_about("undo", id, 3).await;
    assert_eq!(undone["ok"]["verdict"], "partly-released", "{undone}");
    assert!(quell.email().contains("left alone: somebody set it to"), "{}", quell.email());
    assert_eq!(quell.cloud.main().interface_groups(quell.account.real("i-0c1b2c3d4e5f60718")).await, theirs);
}

#[tokio::test]
async fn what_two_incidents_hold_stays_until_the_last_lets_go() {
    let quell = Rehearsal::of(CONTAIN).await;
    let before = quell.cloud.world().await;
    let other_id = "5e8e95fc4de1f034e96967422b76b5c8";
    let other = but(KEY, &[(KEY_ID, other_id)]);
    assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "contained");
    assert_eq!(verdict(&quell.deliver(&other).await), "contained");
    let contained = quell.cloud.world().await;

    let first = quell.order_about("undo", KEY_ID, 1).await;
    assert_eq!(first["ok"]["verdict"], "partly-released", "{first}");
    let holder = format!("not given back: incident 111122223333/eu-west-1/{other_id} holds it too");
    assert_eq!(quell.email().matches(&holder).count(), 2, "{}", quell.email());
    assert_eq!(quell.changes(&contained, &quell.cloud.world().await), [""; 0]);

    let last = quell.order_about("undo", other_id, 2).await;
    assert_eq!(last["ok"]["verdict"], "released", "{last}");
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
}

#[tokio::test]
async fn what_was_just_given_back_is_left_to_settle_before_another_finding_changes_it() {
    let quell = Rehearsal::of(CONTAIN).await;
    let before = quell.cloud.world().await;
    let other_id = "5e8e95fc4de1f034e96967422b76b5c8";
    let other = but(KEY, &[(KEY_ID, other_id)]);
    assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "contained");
    assert_eq!(quell.order_about("undo", KEY_ID, 1).await["ok"]["verdict"], "released");
    // AWS may still show the key as inactive: that must not become the original value.
    quell.cloud.forget_calls();
    assert_eq!(verdict(&quell.handle(quell.event(&other), 5).await), "contained");
    let looks = quell.calls().into_iter().filter(|call| call.operation == "GetUser").map(|call| call.start);
    let looks: Vec<_> = looks.collect();
    let [first, again] = looks.as_slice() else { panic!("it is looked at once more: {looks:?}") };
    assert!(again.saturating_sub(*first) > Duration::from_secs(2), "{looks:?}");
    assert_eq!(quell.order_about("undo", other_id, 70).await["ok"]["verdict"], "released");
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
}

#[tokio::test]
async fn two_findings_that_name_one_key_at_the_same_moment_both_hold_it() {
    let quell = Rehearsal::of(CONTAIN).await;
    let before = quell.cloud.world().await;
    let other_id = "5e8e95fc4de1f034e96967422b76b5c8";
    let (one, other) = (quell.event(&read(KEY)), quell.event(&but(KEY, &[(KEY_ID, other_id)])));
    let (one, other) = tokio::join!(quell.handle(one, 0), quell.handle(other, 0));
    assert_eq!((verdict(&one), verdict(&other)), ("contained", "contained"));
    assert_eq!(quell.verdicts(), ["CONTAINED", "CONTAINED"]);
    let contained = quell.cloud.world().await;
    assert_eq!(quell.order_about("undo", other_id, 1).await["ok"]["verdict"], "partly-released");
    assert_eq!(quell.changes(&contained, &quell.cloud.world().await), [""; 0]);
    assert_eq!(quell.order_about("undo", KEY_ID, 2).await["ok"]["verdict"], "released");
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
}

#[tokio::test]
async fn an_undo_that_cannot_tell_whose_group_an_interface_is_in_lets_nothing_go() {
    let quell = Rehearsal::of(CONTAIN).await;
    let before = quell.cloud.world().await;
    // Killed before it wrote down which group it made.
    let event = quell.event(&read("instance_mines_bitcoin"));
    quell.killed_at("ModifyNetworkInterfaceAttribute", Fault::PauseAfter, event, 0).await;
    quell.cloud.inject(Rule::on("DescribeSecurityGroups", Fault::Refuse(Refusal::Denied)));
    let undone = quell.order_about("undo", "c218f816f3732196b9d69ecfe8a0f3e8", 400).await;
    assert_eq!(undone["ok"]["verdict"], "partly-released", "{undone}");
    quell.cloud.heal();
    let undone = quell.order_about("undo", "c218f816f3732196b9d69ecfe8a0f3e8", 500).await;
    assert_eq!(undone["ok"]["verdict"], "released", "{undone}");
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
}

#[tokio::test]
async fn what_somebody_else_set_is_told_and_left() {
    let quell = Rehearsal::of(CONTAIN).await;
    assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "contained");
    let theirs = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"s3:*","Resource":"*"}]}"#;
    let policy = [("UserName", "ann"), ("PolicyName", "QuellQuarantine"), ("PolicyDocument", theirs)];
    quell.cloud.moto().service("iam", &quell.cloud.account_id).call("PutUserPolicy", &policy).await;
    let dry_run = json!({ "command": "undo", "incident": quell.incident(KEY_ID), "dry_run": true });
    let shown = quell.order(dry_run, 1).await;
    let text = shown["ok"]["text"].as_str().unwrap_or_default();
    assert!(text.contains("would be left alone: somebody set it to") && text.contains("would give back"), "{shown}");
    let undone = quell.order_about("undo", KEY_ID, 1).await;
    assert_eq!(undone["ok"]["verdict"], "partly-released", "{undone}");
    assert!(quell.email().contains("left alone: somebody set it to"), "{}", quell.email());
    let user = quell.cloud.world().await.to_string();
    assert!(user.contains("QuellQuarantine") && user.contains(r#""Status":"Active""#));
}

#[tokio::test]
async fn an_update_contains_again_what_somebody_opened_and_leaves_what_an_operator_gave_back() {
    let quell = Rehearsal::of(CONTAIN).await;
    let before = quell.cloud.world().await;
    assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "contained");
    let contained = quell.cloud.world().await;
    let update = newer(&read(KEY));
    assert_eq!(verdict(&quell.deliver(&update).await), "kept");

    let iam = quell.cloud.moto().service("iam", &quell.cloud.account_id);
    let policy = [("UserName", "ann"), ("PolicyName", "QuellQuarantine")];
    iam.call("DeleteUserPolicy", &policy).await;
    quell.cloud.forget_calls();
    assert_eq!(verdict(&quell.deliver(&newer(&update)).await), "contained");
    assert!(quell.email().contains("Somebody had set it back, and it was contained again"), "{}", quell.email());
    assert_eq!(quell.changes(&contained, &quell.cloud.world().await), [""; 0]);

    assert_eq!(quell.order_about("undo", KEY_ID, 1).await["ok"]["verdict"], "released");
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
    quell.cloud.forget_calls();
    let third = newer(&newer(&update));
    quell.deliver(&third).await.ok();
    assert!(quell.email().starts_with("RELEASED: "), "{}", quell.email());
    assert!(quell.email().starts_with("RELEASED: "), "{}", quell.email());
    assert!(
        quell.email().contains("it is left alone, since a person gave back what was contained"),
        "{}",
        quell.email()
    );
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
    quell.cloud.forget_calls();
    quell.deliver(&newer(&third)).await.ok();
    assert_eq!(quell.told(), [""; 0], "that is said once");
}

#[tokio::test]
async fn a_quarantine_group_goes_with_the_last_instance_that_is_in_it() {
    let events = [
        ("instance_mines_bitcoin", "c218f816f3732196b9d69ecfe8a0f3e8"),
        ("instance_talks_to_c2", scene::INSTANCE.finding),
    ];
    for order in [[0, 1], [1, 0]] {
        let quell = Rehearsal::of(CONTAIN).await;
        let before = quell.cloud.world().await;
        for (event, _) in events {
            assert_eq!(verdict(&quell.deliver(&read(event)).await), "contained", "{}", quell.email());
        }
        let first = quell.order_about("undo", events[order[0]].1, 60).await;
        assert_eq!(first["ok"]["verdict"], "partly-released", "{first}");
        let kept = "quarantine group of vpc-0a1b2c3d4e5f60010: not given back: incident";
        assert!(quell.email().contains(kept), "{}", quell.email());
        quell.cloud.forget_calls();
        quell.tick(70).await.ok();
        assert_eq!(quell.told(), [""; 0], "the other is as it was left: {}", quell.email());
        assert_eq!(quell.order_about("undo", events[order[1]].1, 120).await["ok"]["verdict"], "released");
        assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
    }
}

#[tokio::test]
async fn the_history_has_the_ids_that_cloudtrail_has() {
    let is_write = |call: &Call| {
        let verbs = ["Update", "Put", "Delete", "Modify", "Create", "Authorize", "Revoke"];
        ["iam", "ec2"].contains(&call.service.as_str()) && verbs.iter().any(|verb| call.operation.starts_with(verb))
    };
    for (scene, least) in [(scene::KEY, 6), (scene::SMALL_INSTANCE, 6), (scene::PORT_OF_A_RANGE, 6)] {
        let quell = Rehearsal::of(CONTAIN).await;
        let attacker = Attacker::before(&quell).await;
        assert_eq!(verdict(&quell.deliver(&scene.event()).await), "contained", "{scene}");
        // Contained again by the sweep, too.
        if scene.service == "iam" {
            attacker.open_identities(&quell).await;
        } else {
            attacker.open_network(&quell).await;
        }
        quell.tick(20).await.ok();
        assert_eq!(quell.verdicts().last().map(String::as_str), Some("CONTAINED AGAIN"), "{scene}: {}", quell.email());
        quell.order_about("undo", scene.finding, 60).await;
        let shown = quell.order_about("show", scene.finding, 70).await;
        let history = shown["ok"]["incident"]["history"].to_string();
        let calls = quell.calls();
        let written: Vec<_> =
            calls.iter().filter(|call| is_write(call) && call.accepted && call.error.is_none()).collect();
        assert!(written.len() >= least, "{scene}: {written:?}");
        for call in &written {
            assert_eq!(history.matches(&call.request).count(), 1, "{scene}: {call:?} {history}");
        }
        let whos = ["the policy, by rule", "the sweep", "olga"];
        assert!(whos.iter().all(|who| history.contains(who)), "{scene}: {history}");
        assert!(history.contains("; AWS requests "), "{scene}: {history}");
    }
}

#[tokio::test]
async fn what_is_done_and_people_could_not_be_told_of_is_answered_as_that() {
    let quell = Rehearsal::of(CONTAIN).await;
    let before = quell.cloud.world().await;
    assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "contained");
    quell.cloud.inject(Rule::on("sns:Publish", Fault::Refuse(Refusal::Denied)));
    let undone = quell.order_about("undo", KEY_ID, 10).await;
    let warning = undone["ok"]["warning"].as_str().unwrap_or_default();
    assert!(undone["ok"]["verdict"] == "released" && warning.starts_with("people could not be told: "), "{undone}");
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
    quell.cloud.heal();
    quell.cloud.forget_calls();
    quell.tick(120).await.ok();
    assert_eq!(quell.verdicts(), ["RELEASED"], "{}", quell.email());
}

/// What is contained, then contained again after an attacker, and undone at once: AWS's servers do not all know yet.
#[tokio::test]
async fn what_is_read_as_the_attacker_left_it_is_given_back_all_the_same() {
    for scene in [scene::KEY, scene::SMALL_INSTANCE] {
        let quell = Rehearsal::of(CONTAIN).await;
        let before = quell.cloud.world().await;
        let attacker = Attacker::before(&quell).await;
        assert_eq!(verdict(&quell.deliver(&scene.event()).await), "contained");
        if scene.service == "iam" {
            attacker.open_identities(&quell).await;
        } else {
            attacker.open_network(&quell).await;
        }
        quell.cloud.settle();
        quell.tick(16).await.ok();
        assert_eq!(quell.verdicts().last().map(String::as_str), Some("CONTAINED AGAIN"), "{}", quell.email());
        for reads in ["iam:ListAccessKeys", "iam:GetUserPolicy", "ec2:DescribeNetworkInterfaces"] {
            quell.cloud.inject(Rule::on(reads, Fault::Stale(SEVERAL_SECONDS)));
        }
        quell.order_about("undo", scene.finding, 17).await;
        quell.cloud.heal();
        assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0], "{scene}: {}", quell.email());
    }
}

/// An undo that failed waits, and what it marked is free meanwhile.
#[tokio::test]
async fn an_undo_that_failed_keeps_no_finding_from_its_turn() {
    let quell = Rehearsal::of(CONTAIN).await;
    assert_eq!(verdict(&quell.deliver(&scene::SMALL_INSTANCE.event()).await), "contained");
    let ec2 = quell.cloud.moto().service("ec2", &quell.cloud.account_id);
    let group = quarantine_groups(&quell).await.remove(0);
    let subnet = quell.account.real("subnet-0a1b2c3d4e5f60020");
    ec2.call("CreateNetworkInterface", &[("SubnetId", subnet), ("SecurityGroupId.1", &group)]).await;
    let undone = quell.order_about("undo", scene::SMALL_INSTANCE.finding, 20).await;
    assert_eq!(undone["ok"]["verdict"], "partly-released", "{undone}");
    let again = scene::SMALL_INSTANCE.event().replace(scene::SMALL_INSTANCE.finding, &"0".repeat(32));
    assert_eq!(verdict(&quell.handle(quell.event(&again), 32).await), "contained", "{}", quell.email());
}

/// An undo at once: AWS's servers do not all know yet of what was contained.
#[tokio::test]
async fn what_is_read_as_it_was_before_containment_is_given_back_all_the_same() {
    for scene in [scene::KEY, scene::PORT_OF_A_RANGE] {
        let quell = Rehearsal::of(CONTAIN).await;
        let before = quell.cloud.world().await;
        assert_eq!(verdict(&quell.deliver(&scene.event()).await), "contained");
        for reads in ["iam:ListAccessKeys", "iam:GetUserPolicy", "ec2:DescribeSecurityGroupRules"] {
            quell.cloud.inject(Rule::on(reads, Fault::Stale(Duration::from_secs(2))));
        }
        quell.order_about("undo", scene.finding, 1).await;
        quell.cloud.heal();
        assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0], "{scene}: {}", quell.email());
        assert_eq!(quell.verdicts().last().map(String::as_str), Some("RELEASED"), "{scene}: {}", quell.email());
    }
}

/// What waits beside it is no longer asked about, and people read so before and after.
#[tokio::test]
async fn an_undo_says_of_what_it_drops_that_nobody_is_asked_any_more() {
    let quell = Rehearsal::of(&format!("[limit]\nremediation = {{ compromised-instance = 0 }}\n{CONTAIN}")).await;
    let before = quell.cloud.world().await;
    assert_eq!(verdict(&quell.deliver(&but("attack_sequence", &[GROUP])).await), "partial", "{}", quell.email());
    let order = json!({ "command": "undo", "incident": quell.incident(GROUP_ID), "dry_run": true });
    let shown = quell.order(order, 10).await;
    assert!(shown.to_string().contains("nobody would be asked about instance i-"), "{shown}");
    assert_eq!(quell.order_about("undo", GROUP_ID, 20).await["ok"]["verdict"], "released", "{}", quell.email());
    assert!(quell.email().contains("was not contained, and nobody is asked about it any more"), "{}", quell.email());
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
}
