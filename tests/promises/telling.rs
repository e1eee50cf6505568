//! People are told once of every finding, in words that are ours, and the log and the numbers say the same.

use crate::cloud::{Fault, Message, Refusal, Rule};
use crate::stage::{CONTAIN, Stage, read};
use crate::story::{Story, newer};
use serde_json::Value;

#[tokio::test]
async fn hostile_texts_become_no_line_link_or_verdict_of_ours() {
    let stage = Stage::set(CONTAIN).await;
    let story = stage.story("hostile_texts").await;
    let email = stage.email_of(&story);
    assert_eq!(story.end, "contained");
    let first = "CONTAINED: access key AKIAIOSFODNN7EXAMPLE of user ann (account 111122223333, eu-west-1)";
    assert_eq!(email.lines().next().unwrap(), first);
    let subject = story.messages[0].subject.as_deref().unwrap();
    assert_eq!(stage.account.delocalise(subject), first);
    // Only headings, commands and the headline begin at the margin.
    let ours = |line: &str| {
        let heading = line.bytes().all(|b| b.is_ascii_uppercase() || b" ,".contains(&b));
        let command = ["aws ", "export ", "quell undo "].iter().any(|start| line.starts_with(start));
        line.is_empty() || line.starts_with("  ") || heading || command
    };
    let strange: Vec<&str> = email.lines().skip(1).filter(|line| !ours(line)).collect();
    assert_eq!(strange, [""; 0], "{email}");
    for (protocol, body) in &story.messages[0].bodies {
        // What machines get is one JSON value, with the finding's texts as they are.
        let for_people = protocol != "default";
        assert!(for_people || serde_json::from_str::<Value>(body).is_ok(), "{body}");
        assert!(!for_people || !body.contains("http://evil.example") && !body.contains('\u{202e}'), "{body}");
    }
}

#[tokio::test]
async fn the_message_can_be_filtered_by_its_attributes() {
    let stage = Stage::set(CONTAIN).await;
    for (event, expect) in [
        ("access_key_used_from_tor", ["contained", "medium", r#"["compromised-access-key"]"#]),
        ("instance_talks_to_c2", ["contained", "high", r#"["compromised-instance"]"#]),
        ("root_credentials_used", ["told", "low", r#"["none"]"#]),
        ("unknown_type", ["waiting-for-approval", "high", r#"["compromised-access-key"]"#]),
    ] {
        let story = stage.story(event).await;
        let attributes = &story.messages[0].attributes;
        assert_eq!(["verdict", "severity", "remediation"].map(|name| attributes[name].as_str()), expect, "{event}");
        let place = [attributes["account"].as_str(), attributes["region"].as_str()];
        assert_eq!(place, [stage.cloud.account_id.as_str(), "eu-west-1"]);
        let body: Value = serde_json::from_str(&story.messages[0].bodies["default"]).unwrap();
        assert_eq!(body["verdict"], expect[0], "{body}");
    }
}

#[tokio::test]
async fn what_alarms_watch_is_counted_once_when_it_happens() {
    let stage = Stage::set(&format!("[limit]\nper_hour = 1\n{CONTAIN}")).await;
    let counted = |story: &Story| {
        let metrics = story.log.iter().filter(|line| line.get("_aws").is_some());
        let number = |line: &Value, name: &str| line.get(name).and_then(Value::as_u64).unwrap();
        metrics.map(|line| ["OverLimit", "Reopened", "MadeUp"].map(|name| number(line, name))).collect::<Vec<_>>()
    };
    let key = read("access_key_used_from_tor");
    assert_eq!(counted(&stage.glance(&stage.lambda, &key).await), [[0, 0, 0]]);
    let over = stage.glance(&stage.lambda, &read("port_probe")).await;
    assert_eq!((over.end.as_str(), counted(&over)), ("waiting-for-approval", vec![[1, 0, 0]]));
    let iam = stage.cloud.moto().service("iam", &stage.cloud.account_id);
    iam.call("DeleteUserPolicy", &[("UserName", "ann"), ("PolicyName", "QuellQuarantine")]).await;
    assert_eq!(counted(&stage.glance(&stage.lambda, &newer(&key)).await), [[0, 1, 0]]);
    let made_up = stage.made_up(&stage.lambda, &read("instance_credentials_used_outside_aws")).await;
    assert_eq!((made_up.end.as_str(), counted(&made_up)), ("refused", vec![[0, 0, 1]]));
}

#[tokio::test]
async fn every_line_of_the_log_carries_the_finding_and_one_has_the_numbers() {
    let stage = Stage::set(CONTAIN).await;
    check_log(
        &stage.story("access_key_used_from_tor").await,
        "5e8e95fc4de1f034e96967422b76b5c7",
        ["contained", "0", "0"],
    );
    check_log(
        &stage.story("unknown_type").await,
        "f26facba546806090cc2ecd89c8b1068",
        ["waiting-for-approval", "1", "0"],
    );
    stage.cloud.inject(Rule::on("ModifyNetworkInterfaceAttribute", Fault::Refuse(Refusal::Denied)));
    check_log(&stage.story("instance_mines_bitcoin").await, "c218f816f3732196b9d69ecfe8a0f3e8", ["partial", "0", "1"]);
}

/// Verdict, unknown types, failures.
fn check_log(story: &Story, finding: &str, expect: [&str; 3]) {
    assert!(story.log.len() >= 3, "{:#?}", story.log);
    assert!(story.log.iter().all(|line| line["finding"] == finding), "{:#?}", story.log);
    let metrics = story.metrics();
    let found = ["Verdict", "UnknownFindingTypes", "Failures"].map(|name| metrics[name].to_string().replace('"', ""));
    assert_eq!(found, expect);
    assert_eq!(metrics["Findings"], 1);
}

#[tokio::test]
async fn a_broken_finding_fails_the_invocation_and_says_where() {
    let stage = Stage::set(CONTAIN).await;
    for (event, from, to, place) in [
        (
            "access_key_used_from_tor",
            r#""userName": "ann""#,
            r#""userName": {}"#,
            "detail.resource.accessKeyDetails.userName: ",
        ),
        (
            "access_key_used_from_tor",
            r#""type": "UnauthorizedAccess:IAMUser/TorIPCaller""#,
            r#""type": 5"#,
            "detail.type: ",
        ),
        (
            "instance_talks_to_c2",
            r#""instanceId": "i-0a1b2c3d4e5f60718""#,
            r#""instanceId": ["i"]"#,
            "detail.resource.instanceDetails.instanceId: ",
        ),
    ] {
        let story = stage.story_but(event, &[(from, to)]).await;
        let start = format!("error: the finding cannot be read: {place}");
        assert!(story.end.starts_with(&start), "{}", story.end);
        assert!(story.changes.is_empty() && story.calls.is_empty(), "{story:#?}");
    }
    // The environment goes on with the next event.
    assert_eq!(stage.story("access_key_used_from_tor").await.end, "contained");
}

#[tokio::test]
async fn an_event_that_is_no_finding_is_ignored_without_a_call() {
    let stage = Stage::set(CONTAIN).await;
    let story = stage.story("malware_protection_scan_result").await;
    assert_eq!((story.end.as_str(), story.calls.len()), ("ignored", 0));
}

#[tokio::test]
async fn if_nobody_can_be_told_the_invocation_fails_and_the_retry_tells() {
    for refusal in [Refusal::Failure, Refusal::Denied, Refusal::Throttled] {
        let stage = Stage::set(CONTAIN).await;
        stage.cloud.inject(Rule::on("sns:*", Fault::Refuse(refusal)));
        let story = stage.story("access_key_used_from_tor").await;
        assert!(story.end.starts_with("error: people could not be told: sns:Publish"), "{refusal:?} {}", story.end);
        // Containment did not wait for telling.
        assert_eq!((story.changes.len(), story.messages.len()), (2, 0));
        stage.cloud.heal();
        let story = stage.story("access_key_used_from_tor").await;
        assert_eq!((story.told(), story.writes()), (vec!["contained"], Vec::new()));
        assert!(stage.email_of(&story).contains("You may have been told this before"));
    }
}

#[tokio::test]
async fn a_message_whose_answer_was_lost_is_sent_again_as_what_it_may_be() {
    let stage = Stage::set(CONTAIN).await;
    stage.cloud.inject(Rule::on("sns:Publish", Fault::LostResponse).times(1));
    let story = stage.story("access_key_used_from_tor").await;
    let marked = |message: &Message| message.bodies["email"].contains("You may have been told this before");
    assert_eq!(story.messages.iter().map(marked).collect::<Vec<_>>(), [false, true]);
    // A refusal for there being too many is none that may have gone out.
    let stage = Stage::set(CONTAIN).await;
    stage.cloud.inject(Rule::on("sns:Publish", Fault::Refuse(Refusal::Throttled)).times(2));
    let story = stage.story("access_key_used_from_tor").await;
    assert_eq!(story.messages.iter().map(marked).collect::<Vec<_>>(), [false]);
}
