//! Quell acts in the account that the finding is about, or nowhere.

use crate::cloud::{EXTERNAL_ID, Fault, Rule};
use crate::stage::{CONTAIN, Stage};
use std::time::Duration;

const ROLE: (&str, &str) = ("QUELL_MEMBER_ROLE", "QuellMember");
const EXTERNAL: (&str, &str) = ("QUELL_MEMBER_EXTERNAL_ID", EXTERNAL_ID);
const NO_ACCOUNT: (&str, &str) = ("QUELL_ACCOUNT", "");

/// Nothing is done, and the one message says why.
async fn check_refused(environment: &[(&str, &str)], event: &str, why: &str) {
    let stage = Stage::set_with(CONTAIN, environment).await;
    let story = stage.story(event).await;
    let email = stage.email_of(&story);
    assert_eq!((story.told(), story.writes()), (vec!["refused"], Vec::new()), "{event} {environment:?}\n{email}");
    assert!(email.contains(why) && email.contains("Yes, now."), "{email}");
}

#[tokio::test]
async fn a_member_account_is_reached_through_its_role() {
    let stage = Stage::set_with(CONTAIN, &[ROLE, EXTERNAL]).await;
    let stolen = stage.account.credentials("AKIAQUELLMEMBEREXAMP");
    assert!(stage.works(stolen).await);
    let story = stage.story("member_account_access_key").await;
    assert_eq!(story.end, "contained");
    assert_eq!(story.changes.len(), 2, "{:?}", story.changes);
    assert!(story.changes.iter().all(|change| change.contains("member account, ")), "{:?}", story.changes);
    assert!(!stage.works(stolen).await);

    let assumed = &story.calls.iter().find(|call| call.operation == "AssumeRole").unwrap().parameters;
    assert_eq!(assumed["ExternalId"], EXTERNAL_ID);
    assert_eq!(assumed["RoleArn"], format!("arn:aws:iam::{}:role/QuellMember", stage.cloud.member_id));
    assert_eq!(assumed["RoleSessionName"], "quell-31994af305740b924ba7c8d80e0e8466");
    // People are told by the function itself, not through the role.
    let publish = story.calls.iter().find(|call| call.operation == "Publish").unwrap();
    assert_eq!(publish.account, stage.cloud.account_id);

    let story = stage.story("member_account_instance").await;
    let expected = [
        "contained",
        "+ member account, security group quell-quarantine of vpc-0d1b2c3d4e5f60010: lets in nothing, lets out nothing",
        "member account, interface eni-0d1b2c3d4e5f60001, groups: member -> quell-quarantine",
    ];
    assert_eq!(story.told(), expected);
    // In between, our own account is still ours.
    let story = stage.story("access_key_used_from_tor").await;
    assert!(story.calls.iter().all(|call| call.account == stage.cloud.account_id), "{:#?}", story.calls);
}

#[tokio::test]
async fn the_account_of_the_finding_counts_and_not_that_of_the_envelope() {
    let stage = Stage::set_with(CONTAIN, &[ROLE, EXTERNAL]).await;
    let envelope = [("\"account\": \"111122223333\",\n  \"time\"", "\"account\": \"444455556666\",\n  \"time\"")];
    let story = stage.story_but("access_key_used_from_tor", &envelope).await;
    assert_eq!((story.end.as_str(), story.changes.len()), ("contained", 2));
    assert!(story.calls.iter().all(|call| call.account == stage.cloud.account_id), "{:#?}", story.calls);
}

#[tokio::test]
async fn without_a_way_into_the_account_nothing_is_done_and_the_reason_is_told() {
    let why = "is not our own and no member role is configured";
    check_refused(&[], "member_account_access_key", why).await;
    check_refused(&[], "member_account_instance", why).await;
}

#[tokio::test]
async fn a_role_that_lets_nobody_in_is_told_with_the_reason() {
    check_refused(&[ROLE], "member_account_access_key", "AccessDenied").await;
    check_refused(&[("QUELL_MEMBER_ROLE", "Missing"), EXTERNAL], "member_account_instance", "AccessDenied").await;
}

#[tokio::test]
async fn credentials_of_another_account_change_nothing() {
    let why = "our credentials are those of account 111122223333";
    check_refused(&[NO_ACCOUNT], "member_account_access_key", why).await;
    let wrong = [("QUELL_ACCOUNT", "123456789012")];
    check_refused(&wrong, "access_key_used_from_tor", "no member role is configured").await;
}

#[tokio::test]
async fn what_another_account_does_not_have_is_not_said_to_be_gone() {
    for event in ["member_account_instance", "member_account_access_key"] {
        let stage = Stage::set_with(CONTAIN, &[NO_ACCOUNT]).await;
        stage.cloud.inject(Rule::on("GetCallerIdentity", Fault::Delay(Duration::from_millis(300))));
        let story = stage.story(event).await;
        assert_eq!(
            (story.told(), story.writes()),
            (vec!["refused"], Vec::new()),
            "{event}\n{}",
            stage.email_of(&story)
        );
    }
}
