//! A finding comes in; what it is about is contained, and nothing else is touched.
//!
//! What is true is read from the cloud itself, past the library, never from Quell's own record.

#![expect(clippy::indexing_slicing, reason = "a test that panics has said what it has to say")]

use crate::cloud::EXTERNAL_ID;
use crate::stage::{CONTAIN, Stage};
use crate::story::but;

/// What reaches the member account too.
const EVERYWHERE: &[(&str, &str)] = &[("QUELL_MEMBER_ROLE", "QuellMember"), ("QUELL_MEMBER_EXTERNAL_ID", EXTERNAL_ID)];

const DENY_ALL: &str =
    r#"{"Statement":[{"Action":"*","Effect":"Deny","Resource":"*","Sid":"QuellQuarantine"}],"Version":"2012-10-17"}"#;

/// A port probe of an instance whose group, which another instance shares, opens ports 20 to 30.
const PROBE_OF_BATCH: &[(&str, &str)] = &[
    ("i-0b1b2c3d4e5f60718", "i-0c1b2c3d4e5f60718"),
    ("eni-0b1b2c3d4e5f60001", "eni-0c1b2c3d4e5f60001"),
    ("sg-0b1b2c3d4e5f60030", "sg-0c1b2c3d4e5f60030"),
    ("10.0.1.20", "10.0.1.30"),
];

/// Sends the event twice. The first time the verdict and every difference are as expected; the second time nothing
/// is written, and nobody is told again. Gives the e-mail.
async fn check(stage: &Stage, event: &str, expect: &[&str]) -> String {
    check_but(stage, event, &[], expect).await
}

async fn check_but(stage: &Stage, event: &str, replaced: &[(&str, &str)], expect: &[&str]) -> String {
    let first = stage.story_but(event, replaced).await;
    let told: Vec<String> = first.told().into_iter().map(|line| line.replace(DENY_ALL, "denies everything")).collect();
    assert_eq!(told, expect, "{event}: {}", stage.email());
    assert_eq!(first.messages.len(), usize::from(first.end != "ignored"), "{event}: people are told once");
    if let [_] = expect {
        assert_eq!(first.writes(), [""; 0], "{event}");
    }

    let again = stage.glance(&stage.lambda, &but(event, replaced)).await;
    let email = first.messages.first().map(|message| stage.account.delocalise(&message.bodies["email"]));
    let end = if first.end == "ignored" { "ignored" } else { "known" };
    assert_eq!((again.end.as_str(), again.writes()), (end, Vec::new()), "{event} once more");
    assert_eq!(again.messages.len(), 0, "{event} once more");
    email.unwrap_or_default()
}

#[tokio::test]
async fn a_stolen_key_stops_working_and_its_owner_is_denied() {
    let stage = Stage::set(CONTAIN).await;
    let [stolen, of_another] =
        ["AKIAIOSFODNN7EXAMPLE", "AKIAQUELLBUILDEXAMPL"].map(|key| stage.account.credentials(key));
    assert!(stage.works(stolen).await && stage.works(of_another).await);
    check(
        &stage,
        "access_key_used_from_tor",
        &[
            "contained",
            "+ user ann, inline policy QuellQuarantine: denies everything",
            "access key AKIAIOSFODNN7EXAMPLE of ann, status: Active -> Inactive",
        ],
    )
    .await;
    assert!(!stage.works(stolen).await && stage.works(of_another).await);
    // The owner's other key keeps its status, and the policy makes it useless.
    assert_eq!(stage.cloud.main().key_status("ann", stage.account.real("AKIAI44QH8DHBEXAMPLE")).await, "Active");
    assert!(!stage.works(stage.account.credentials("AKIAI44QH8DHBEXAMPLE")).await);

    let policy = "+ user build-pipeline, inline policy QuellQuarantine: denies everything";
    let key = "access key AKIAQUELLBUILDEXAMPL of build-pipeline, status: Active -> Inactive";
    check(&stage, "access_key_disabled_logging", &["contained", policy, key]).await;
    let policy = "+ user mallory, inline policy QuellQuarantine: denies everything";
    check(&stage, "access_key_already_inactive", &["contained", policy]).await;
    let key = "access key AKIAI44QH8DHBEXAMPLE of ann, status: Active -> Inactive";
    check(&stage, "s3_exfiltration", &["contained", key]).await;
}

#[tokio::test]
async fn a_key_is_contained_at_its_true_owner() {
    let stage = Stage::set(CONTAIN).await;
    check_but(
        &stage,
        "access_key_used_from_tor",
        &[(r#""userName": "ann""#, r#""userName": "build-pipeline""#)],
        &[
            "contained",
            "+ user ann, inline policy QuellQuarantine: denies everything",
            "access key AKIAIOSFODNN7EXAMPLE of ann, status: Active -> Inactive",
        ],
    )
    .await;
}

#[tokio::test]
async fn a_stolen_session_is_denied_and_other_sessions_of_the_role_are_not() {
    let stage = Stage::set(CONTAIN).await;
    let stolen = stage.account.credentials("ASIAIOSFODNN7EXAMPLE");
    let other = stage.cloud.assume_role(&stage.cloud.account_id, "web-server", "deploy").await;
    assert!(stage.works(stolen).await && stage.works(&other).await);
    check(
        &stage,
        "instance_credentials_used_outside_aws",
        &[
            "contained",
            r#"+ role web-server, inline policy QuellDeny-i-0a1b2c3d4e5f60718: {"Statement":[{"Action":"*","Condition":{"StringEquals":{"aws:userid":"AROADBQP57FF2AEXAMPLE:i-0a1b2c3d4e5f60718"}},"Effect":"Deny","Resource":"*","Sid":"QuellDenySession"}],"Version":"2012-10-17"}"#,
        ],
    )
    .await;
    assert!(!stage.works(stolen).await && stage.works(&other).await);
    // The instance gets new credentials under the same session name; they are denied too.
    let instance = stage.account.real("i-0a1b2c3d4e5f60718");
    let renewed = stage.cloud.assume_role(&stage.cloud.account_id, "web-server", instance).await;
    assert!(!stage.works(&renewed).await);
}

#[tokio::test]
async fn every_interface_moves_to_the_quarantine_group_of_its_vpc() {
    let stage = Stage::set(CONTAIN).await;
    // The event knows neither of the third interface, in VPC B, nor the groups that the others have now.
    check(
        &stage,
        "instance_talks_to_c2",
        &[
            "contained",
            "+ security group quell-quarantine of vpc-0a1b2c3d4e5f60010: lets in nothing, lets out nothing",
            "+ security group quell-quarantine of vpc-0a1b2c3d4e5f60011: lets in nothing, lets out nothing",
            "interface eni-0a1b2c3d4e5f60001, groups: web -> quell-quarantine",
            "interface eni-0a1b2c3d4e5f60002, groups: admin, web -> quell-quarantine",
            "interface eni-0a1b2c3d4e5f60003, groups: web-elsewhere -> quell-quarantine",
        ],
    )
    .await;
    // A second instance of the VPC goes into the same group.
    let moved = "interface eni-0c1b2c3d4e5f60001, groups: batch -> quell-quarantine";
    check(&stage, "instance_mines_bitcoin", &["contained", moved]).await;
    check(&stage, "ssh_brute_force_by_us", &["contained"]).await;
}

#[tokio::test]
async fn a_hole_in_the_quarantine_group_is_closed() {
    let stage = Stage::set(CONTAIN).await;
    stage.story("instance_mines_bitcoin").await;
    let instance = stage.account.real("i-0c1b2c3d4e5f60718");
    let group = &stage.cloud.main().interface_groups(instance).await.into_values().next().unwrap()[0];
    let ec2 = stage.cloud.moto().service("ec2", &stage.cloud.account_id);
    for (direction, port) in [("Ingress", "22"), ("Egress", "443")] {
        let hole = [
            ("GroupId", group.as_str()),
            ("IpPermissions.1.IpProtocol", "tcp"),
            ("IpPermissions.1.FromPort", port),
            ("IpPermissions.1.ToPort", port),
            ("IpPermissions.1.IpRanges.1.CidrIp", "198.51.100.0/24"),
        ];
        ec2.call(&format!("AuthorizeSecurityGroup{direction}"), &hole).await;
    }
    check(
        &stage,
        "ssh_brute_force_by_us",
        &[
            "contained",
            "security group quell-quarantine of vpc-0a1b2c3d4e5f60010, lets in: tcp 22 198.51.100.0/24 -> nothing",
            "security group quell-quarantine of vpc-0a1b2c3d4e5f60010, lets out: tcp 443 198.51.100.0/24 -> nothing",
        ],
    )
    .await;
}

#[tokio::test]
async fn a_group_of_somebody_else_is_not_used_and_what_stays_open_is_told() {
    let stage = Stage::set(CONTAIN).await;
    let vpc = stage.account.real("vpc-0a1b2c3d4e5f60010");
    let group = [("VpcId", vpc), ("GroupName", "quell-quarantine"), ("GroupDescription", "somebody else's")];
    stage.cloud.moto().service("ec2", &stage.cloud.account_id).call("CreateSecurityGroup", &group).await;
    check(
        &stage,
        "instance_talks_to_c2",
        &[
            "partial",
            "+ security group quell-quarantine of vpc-0a1b2c3d4e5f60011: lets in nothing, lets out nothing",
            "interface eni-0a1b2c3d4e5f60003, groups: web-elsewhere -> quell-quarantine",
        ],
    )
    .await;
}

#[tokio::test]
async fn a_port_closes_to_the_world_and_to_nobody_else() {
    for event in ["port_probe", "ssh_brute_force_against_us"] {
        let stage = Stage::set(CONTAIN).await;
        check(
            &stage,
            event,
            &[
                "contained",
                "- security group ssh-world of vpc-0a1b2c3d4e5f60010, lets in: tcp 22 0.0.0.0/0 (temporary, remove after the move)",
                "- security group ssh-world of vpc-0a1b2c3d4e5f60010, lets in: tcp 22 ::/0 (temporary over IPv6)",
            ],
        )
        .await;
    }
}

#[tokio::test]
async fn a_rule_that_opens_more_than_the_port_keeps_the_rest_open() {
    let stage = Stage::set(CONTAIN).await;
    check_but(
        &stage,
        "port_probe",
        PROBE_OF_BATCH,
        &[
            "contained",
            "+ security group batch of vpc-0a1b2c3d4e5f60010, lets in: tcp 20-21 0.0.0.0/0 (old tools)",
            "+ security group batch of vpc-0a1b2c3d4e5f60010, lets in: tcp 23-30 0.0.0.0/0 (old tools)",
            "- security group batch of vpc-0a1b2c3d4e5f60010, lets in: tcp 20-30 0.0.0.0/0 (old tools)",
        ],
    )
    .await;
}

#[tokio::test]
async fn the_groups_that_count_are_those_of_now() {
    let stage = Stage::set(CONTAIN).await;
    let (bastion, batch) = (stage.account.real("eni-0b1b2c3d4e5f60001"), stage.account.real("sg-0c1b2c3d4e5f60030"));
    let regrouped = [("NetworkInterfaceId", bastion), ("SecurityGroupId.1", batch)];
    let ec2 = stage.cloud.moto().service("ec2", &stage.cloud.account_id);
    ec2.call("ModifyNetworkInterfaceAttribute", &regrouped).await;
    // The event still names the group ssh-world, which no interface has any more: that one stays as it is.
    check(
        &stage,
        "port_probe",
        &[
            "contained",
            "+ security group batch of vpc-0a1b2c3d4e5f60010, lets in: tcp 20-21 0.0.0.0/0 (old tools)",
            "+ security group batch of vpc-0a1b2c3d4e5f60010, lets in: tcp 23-30 0.0.0.0/0 (old tools)",
            "- security group batch of vpc-0a1b2c3d4e5f60010, lets in: tcp 20-30 0.0.0.0/0 (old tools)",
        ],
    )
    .await;
}

#[tokio::test]
async fn what_cannot_be_contained_safely_is_told_and_not_touched() {
    let stage = Stage::set_with(CONTAIN, EVERYWHERE).await;
    check(&stage, "root_credentials_used", &["told"]).await;
    check(&stage, "federated_user", &["told"]).await;
    check(&stage, "aws_service_principal", &["told"]).await;
    check(&stage, "other_account_principal", &["told"]).await;
    check(&stage, "sso_role_session_anomalous", &["refused"]).await;
    check(&stage, "sample_finding", &["told"]).await;
    check(&stage, "unknown_type", &["waiting-for-approval"]).await;
    check(&stage, "malware_protection_scan_result", &["ignored"]).await;
    let tor = "access_key_used_from_tor";
    let [sample, archived, gone] = ["c8", "c9", "ca"].map(|end| format!("5e8e95fc4de1f034e96967422b76b5{end}"));
    let id = "5e8e95fc4de1f034e96967422b76b5c7";
    check_but(
        &stage,
        tor,
        &[(r#""additionalInfo": {"#, r#""additionalInfo": { "sample": true,"#), (id, &sample)],
        &["planned"],
    )
    .await;
    check_but(&stage, tor, &[(r#""archived": false"#, r#""archived": true"#), (id, &archived)], &["planned"]).await;
    check_but(&stage, tor, &[("AKIAIOSFODNN7EXAMPLE", "AKIAQUELLNOBODYSKEY1"), (id, &gone)], &["gone"]).await;
    let service = [(r#""userName": "web-server""#, r#""userName": "AWSServiceRoleForECS""#)];
    check_but(&stage, "instance_credentials_used_outside_aws", &service, &["refused"]).await;
    // A finding without an id is told each time: no record could be its own.
    let story = stage.story_but(tor, &[(r#""id": "5e8e95fc4de1f034e96967422b76b5c7","#, "")]).await;
    assert_eq!((story.told(), story.writes(), story.messages.len()), (vec!["refused"], Vec::new(), 1));
}

#[tokio::test]
async fn of_several_things_each_is_handled_and_what_is_only_told_is_said() {
    let stage = Stage::set(CONTAIN).await;
    let email = check(
        &stage,
        "attack_sequence",
        &[
            "contained",
            "+ user ann, inline policy QuellQuarantine: denies everything",
            "access key AKIAIOSFODNN7EXAMPLE of ann, status: Active -> Inactive",
        ],
    )
    .await;
    for left in ["instance i-0a1b2c3d4e5f60718: not covered", "bucket quell-example-customers: not covered"] {
        assert!(email.contains(left), "{email}");
    }
}
