//! The team's policy decides how far Quell goes.

use crate::cloud::{Call, EXTERNAL_ID, Fault, Refusal, Rule};
use crate::stage::{CONTAIN, Stage, read};
use crate::story::{Story, newer};

/// What the team allows instances that say so.
const BY_TAG: &str = "
    [[rule]]
    name = 'agreed'
    types = ['*:EC2/*']
    tags = { contain = 'yes' }
    response = 'contain'
    [[rule]]
    name = 'the rest'
    types = ['*']
    response = 'plan'
";

fn policy(response: &str) -> String {
    CONTAIN.replace("'contain'", &format!("'{response}'"))
}

#[tokio::test]
async fn as_shipped_nothing_is_ever_changed() {
    let environment = [
        ("LAMBDA_TASK_ROOT", env!("CARGO_MANIFEST_DIR")),
        ("QUELL_MEMBER_ROLE", "QuellMember"),
        ("QUELL_MEMBER_EXTERNAL_ID", EXTERNAL_ID),
    ];
    let stage = Stage::set_with("", &environment).await;
    let before = stage.cloud.world().await;
    for (event, expect) in [
        ("access_key_already_inactive", "planned"),
        ("access_key_disabled_logging", "planned"),
        ("access_key_used_from_tor", "planned"),
        ("attack_sequence", "planned"),
        ("aws_service_principal", "told"),
        ("federated_user", "told"),
        ("hostile_texts", "planned"),
        ("instance_credentials_used_outside_aws", "planned"),
        ("instance_mines_bitcoin", "planned"),
        ("instance_talks_to_c2", "planned"),
        ("malware_protection_scan_result", "ignored"),
        ("member_account_access_key", "planned"),
        ("member_account_instance", "planned"),
        ("other_account_principal", "told"),
        ("port_probe", "planned"),
        ("root_credentials_used", "told"),
        ("s3_exfiltration", "planned"),
        ("sample_finding", "told"),
        ("ssh_brute_force_against_us", "planned"),
        ("ssh_brute_force_by_us", "planned"),
        ("sso_role_session_anomalous", "refused"),
        ("unknown_type", "planned"),
    ] {
        let story = stage.glance(&stage.lambda, &read(event)).await;
        assert_eq!((story.end.as_str(), story.writes()), (expect, Vec::new()), "{event}");
        assert_eq!(story.messages.len(), usize::from(expect != "ignored"), "{event}");
    }
    assert_eq!(before, stage.cloud.world().await);
}

#[tokio::test]
async fn every_event_file_is_in_the_list_above() {
    let list = include_str!("policy.rs");
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/events")).into_iter().flatten().flatten() {
        let path = file.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        assert!(list.contains(&format!("(\"{name}\", ")), "{name} has no expected verdict");
    }
}

#[tokio::test]
async fn a_plan_is_shown_with_commands_and_not_done() {
    for (response, end, says) in [
        ("plan", "planned", "the policy says plan. To let Quell do it, set response = \"contain\""),
        ("approve", "waiting-for-approval", "waits for a person"),
        ("notify", "told", "the policy wants people told, no more"),
    ] {
        let stage = Stage::set(&policy(response)).await;
        let story = stage.story("access_key_used_from_tor").await;
        let email = stage.email_of(&story);
        assert_eq!((story.told(), story.writes()), (vec![end], Vec::new()), "{email}");
        assert!(email.contains(says), "{email}");
        let command =
            "\naws iam update-access-key --user-name ann --access-key-id AKIAIOSFODNN7EXAMPLE --status Inactive\n";
        assert_eq!(email.contains(command), response == "plan", "{email}");
        let stops = email.contains("\nWHAT ELSE STOPS\n") && email.contains("All that user ann does stops");
        assert_eq!(stops, response != "notify", "{email}");
        let approve = "\nquell approve 111122223333/eu-west-1/5e8e95fc4de1f034e96967422b76b5c7 --plan 1\n";
        assert_eq!(email.contains(approve), response == "approve", "{email}");
        if response == "notify" {
            let asked: Vec<String> = story.calls.iter().map(Call::action).collect();
            let only_told = [
                "dynamodb:TransactWriteItems",
                "dynamodb:TransactWriteItems",
                "sns:Publish",
                "dynamodb:TransactWriteItems",
            ];
            assert_eq!(asked, only_told, "nothing is looked at");
        }
    }
}

#[tokio::test]
async fn what_is_shown_is_what_would_be_done() {
    let (shown, done) = (Stage::set(&policy("plan")).await, Stage::set(CONTAIN).await);
    for event in ["access_key_used_from_tor", "instance_credentials_used_outside_aws", "port_probe"] {
        let steps = |stage: &Stage, story: &Story| -> Vec<String> {
            let steps = story.log.iter().filter(|line| line["event"] == "step");
            steps.map(|step| stage.account.delocalise(&format!("{} {}", step["message"], step["commands"]))).collect()
        };
        let (shown, done) = (steps(&shown, &shown.story(event).await), steps(&done, &done.story(event).await));
        assert!(!shown.is_empty(), "{event}");
        assert_eq!(unnumbered(&shown), unnumbered(&done), "{event}");
    }
}

/// Ids of rules are chosen anew in every account.
fn unnumbered(lines: &[String]) -> Vec<String> {
    let word = |word: &str| if word.starts_with("sgr-") { "sgr".to_owned() } else { word.to_owned() };
    lines.iter().map(|line| line.split_inclusive([' ', '"']).map(word).collect()).collect()
}

#[tokio::test]
async fn tags_decide_by_what_they_are_now() {
    let stage = Stage::set(BY_TAG).await;
    let story = stage.story("instance_mines_bitcoin").await;
    assert_eq!((story.told(), story.writes()), (vec!["planned"], Vec::new()));

    let instance = stage.account.real("i-0c1b2c3d4e5f60718");
    let tagged = [("ResourceId.1", instance), ("Tag.1.Key", "contain"), ("Tag.1.Value", "yes")];
    stage.cloud.moto().service("ec2", &stage.cloud.account_id).call("CreateTags", &tagged).await;
    let story = stage.story_of(&stage.lambda, &newer(&read("instance_mines_bitcoin"))).await;
    let moved = "interface eni-0c1b2c3d4e5f60001, groups: batch -> quell-quarantine";
    assert!(story.end == "contained" && story.changes.iter().any(|change| change == moved), "{story:#?}");
    // Another instance of the same group, without the tag.
    let other = [
        ("i-0c1b2c3d4e5f60718", "i-0b1b2c3d4e5f60718"),
        ("c218f816f3732196b9d69ecfe8a0f3e8", "c218f816f3732196b9d69ecfe8a0f3e9"),
    ];
    let story = stage.story_but("instance_mines_bitcoin", &other).await;
    assert_eq!((story.told(), story.writes()), (vec!["planned"], Vec::new()));
}

#[tokio::test]
async fn tags_that_cannot_be_read_allow_nothing() {
    let stage = Stage::set(BY_TAG).await;
    stage.cloud.inject(Rule::on("DescribeInstances", Fault::Refuse(Refusal::Denied)));
    let story = stage.story("instance_mines_bitcoin").await;
    assert_eq!((story.told(), story.writes()), (vec!["refused"], Vec::new()), "{}", stage.email_of(&story));
}

#[tokio::test]
async fn with_a_policy_that_cannot_be_read_people_are_told_and_nothing_is_done() {
    for policy in ["[[rule]]\ntypes = ['*']\nresponse = 'contian'\n", "missing.toml"] {
        let stage = Stage::set(policy).await;
        for event in ["access_key_used_from_tor", "instance_talks_to_c2", "root_credentials_used"] {
            let story = stage.story(event).await;
            let email = stage.email_of(&story);
            assert_eq!((story.told(), story.writes()), (vec!["refused"], Vec::new()), "{event}\n{email}");
            assert!(email.contains("the policy cannot be read, so nothing is done"), "{email}");
            assert!(email.contains("Yes, now."), "{email}");
        }
    }
}
