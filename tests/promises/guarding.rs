//! What keeps Quell from acting, and the words that people get for it.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics has said what it has to say")]

use crate::attacker::Attacker;
use crate::cloud::{Fault, Refusal, Rule, breakpoint};
use crate::crash::scene;
use crate::looking_after::{HOUR, KEY_ID, refuse};
use crate::one_group::{ID as PORT_ID, OTHER_ID as OTHER_PORT_ID, probe_of};
use crate::rehearsal::Rehearsal;
use crate::stage::{CONTAIN, read};
use crate::story::{but, newer, works};
use crate::taking_back::verdict;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::time::Duration;

const KEY: &str = "access_key_used_from_tor";

/// Nothing changes, and the e-mail says why.
async fn check(quell: &Rehearsal, event: Value, expect: &str, says: &[&str]) {
    let before = quell.cloud.world().await;
    quell.cloud.forget_calls();
    let end = quell.handle(event, 0).await;
    let email = quell.email();
    assert_eq!(verdict(&end), expect, "{email}");
    for say in says {
        assert!(email.contains(say), "{say:?} is not in:\n{email}");
    }
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0], "{email}");
}

#[tokio::test]
async fn a_finding_that_guardduty_does_not_know_is_refused_and_told() {
    let quell = Rehearsal::of(CONTAIN).await;
    let made_up: Value = serde_json::from_str(&quell.account.localise(&read(KEY))).unwrap_or_default();
    let says = [
        "refused: the finding was made up: GuardDuty has no finding of this id",
        "Whoever made this finding up wants something done",
        "Find out who put this finding on Quell's event bus",
    ];
    check(&quell, made_up, "refused", &says).await;
    assert!(!quell.email().contains("aws iam update-access-key"), "{}", quell.email());

    // One that GuardDuty knows, about somebody else.
    let mut other = quell.event(&read("port_probe"));
    other["detail"]["resource"]["instanceDetails"]["instanceId"] = json!(quell.account.real("i-0c1b2c3d4e5f60718"));
    check(&quell, other, "refused", &["the finding was made up: GuardDuty has another resource"]).await;
    let mut other = quell.event(&read("instance_mines_bitcoin"));
    other["detail"]["type"] = json!("Backdoor:EC2/C&CActivity.B");
    check(&quell, other, "refused", &["the finding was made up: GuardDuty has another type"]).await;

    // Whoever makes a finding up says that GuardDuty has changed it since.
    for (path, value, says) in [
        ("/detail/resource/instanceDetails/instanceId", "i-0c1b2c3d4e5f60718", "another resource"),
        ("/detail/type", "UnauthorizedAccess:EC2/SSHBruteForce", "another type"),
        ("/detail/region", "us-west-2", "another region"),
    ] {
        let quell = Rehearsal::of(CONTAIN).await;
        let mut older = quell.event(&read("port_probe"));
        older["detail"]["updatedAt"] = json!("2026-11-01T00:00:00.000Z");
        if let Some(place) = older.pointer_mut(path) {
            *place = json!(if path.ends_with("instanceId") { quell.account.real(value) } else { value });
        }
        check(&quell, older, "refused", &[&format!("the finding was made up: GuardDuty has {says}")]).await;
        assert!(!quell.email().contains("quell approve"), "{}", quell.email());
    }

    // One that somebody has dealt with meanwhile.
    let mut archived: Value = serde_json::from_str(&read("instance_talks_to_c2")).unwrap_or_default();
    archived["detail"]["service"]["archived"] = json!(true);
    let mut sent = quell.event(&archived.to_string());
    sent["detail"]["service"]["archived"] = json!(false);
    let says = "somebody has archived the finding since it was sent";
    check(&quell, sent, "waiting-for-approval", &[says]).await;

    let trusting = Rehearsal::of(&format!("[guards]\nverify_findings = false\n{CONTAIN}")).await;
    let unknown: Value = serde_json::from_str(&trusting.account.localise(&read(KEY))).unwrap_or_default();
    assert_eq!(verdict(&trusting.handle(unknown, 0).await), "contained");
}

/// Whoever may invoke the function may know an id that GuardDuty did give, and would have later states taken for older ones.
fn forged(quell: &Rehearsal) -> Vec<(Value, &'static str, &'static str)> {
    [
        (
            "/detail/type",
            json!("UnauthorizedAccess:IAMUser/MaliciousIPCaller"),
            "refused",
            "GuardDuty has another type",
        ),
        ("/detail/type", json!("Policy:S3/BucketPublicAccessGranted"), "told", "Policy:S3/BucketPublicAccessGranted"),
        ("/detail/service/additionalInfo", json!({ "sample": true }), "planned", "the finding is a sample"),
    ]
    .map(|(path, value, verdict, says)| {
        let mut event = quell.event(&newer(&read(KEY)));
        event["detail"]["updatedAt"] = json!("2099-01-01T00:00:00.000Z");
        event["detail"]["service"]["count"] = json!(1_000_000);
        *event.pointer_mut(path).unwrap() = value;
        (event, verdict, says)
    })
    .into()
}

#[tokio::test]
async fn what_is_made_up_under_a_known_findings_id_is_told_and_changes_nothing() {
    let approve = CONTAIN.replace("contain", "approve");
    for (policy, order, then) in [
        (CONTAIN, None, "kept"),
        (approve.as_str(), None, "known"),
        (approve.as_str(), Some("reject"), "rejected"),
        (CONTAIN, Some("undo"), "released"),
    ] {
        let quell = Rehearsal::of(policy).await;
        quell.deliver(&read(KEY)).await.unwrap();
        if let Some(order) = order {
            quell.order_about(order, KEY_ID, 1).await;
        }
        let record = quell.order_about("show", KEY_ID, 2).await;
        for (event, end, says) in forged(&quell) {
            check(&quell, event, end, &[says]).await;
            assert_eq!(quell.order_about("show", KEY_ID, 2).await, record, "{says}");
        }
        assert_eq!(verdict(&quell.deliver(&newer(&read(KEY))).await), then, "{order:?} {}", quell.email());
    }
}

/// A copy that claims to be of the future does not make older ones of all that GuardDuty sends.
#[tokio::test]
async fn a_time_that_lies_ahead_is_not_believed() {
    let quell = Rehearsal::of(CONTAIN).await;
    assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "contained");
    let mut copy = quell.event(&read(KEY));
    copy["detail"]["updatedAt"] = json!("2099-01-01T00:00:00.000Z");
    assert_eq!(verdict(&quell.handle(copy.clone(), 10).await), "known");
    // Nor is one that might be a clock's fault, where GuardDuty tells another time.
    copy["detail"]["updatedAt"] = json!((Timestamp::now() + SignedDuration::from_mins(10)).to_string());
    assert_eq!(verdict(&quell.handle(copy.clone(), 12).await), "known");
    assert_eq!(verdict(&quell.handle(quell.event(&newer(&read(KEY))), 20).await), "kept");

    // It says of itself what only a newer state could, and GuardDuty has none.
    let quell = Rehearsal::of(CONTAIN).await;
    let mut copy = quell.event(&probe_of("22", PORT_ID));
    let later: Timestamp = copy["detail"]["updatedAt"].as_str().unwrap().parse().unwrap();
    copy["detail"]["updatedAt"] = json!((later + SignedDuration::from_mins(1)).to_string());
    copy["detail"]["service"]["action"] =
        quell.event(&probe_of("25", OTHER_PORT_ID))["detail"]["service"]["action"].clone();
    let says = "GuardDuty has another port for the finding of this id, in an older state of it";
    check(&quell, copy, "refused", &[says]).await;
}

/// Who has taken an account over switches GuardDuty off before all else: that makes nothing of what it found made up.
#[tokio::test]
async fn where_guardduty_was_switched_off_a_person_is_asked() {
    let quell = Rehearsal::of(CONTAIN).await;
    let event = quell.event(&read(KEY));
    quell.cloud.switch_guardduty_off();
    let says = ["GuardDuty is not on in the finding's account and region; somebody may have switched it off"];
    check(&quell, event, "waiting-for-approval", &says).await;
    assert_eq!(quell.approve(KEY_ID, 1, 60).await["ok"]["verdict"], "contained", "{}", quell.email());
}

/// GuardDuty sends a state of a finding, and shows it a moment later.
#[tokio::test]
async fn a_state_that_guardduty_does_not_show_yet_is_waited_for() {
    let quell = Rehearsal::of(CONTAIN).await;
    quell.deliver(&probe_of("22", PORT_ID)).await.unwrap();
    let next = newer(&probe_of("25", PORT_ID));
    let sent: Value = serde_json::from_str(&quell.account.localise(&next)).unwrap();
    let shown = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        quell.event(&next)
    };
    let (handled, _) = tokio::join!(quell.handle(sent, 60), shown);
    assert_eq!(verdict(&handled), "contained", "{}", quell.email());
    assert!(quell.email().contains("there was more to contain"), "{}", quell.email());
}

#[tokio::test]
async fn a_finding_is_acted_on_whatever_was_made_up_under_its_id_before() {
    for case in 0..3 {
        let quell = Rehearsal::of(CONTAIN).await;
        let (mut event, end, says) = forged(&quell).remove(case);
        // A little newer than what GuardDuty sends, so that this looks older.
        event["detail"]["updatedAt"] = quell.event(&newer(&read(KEY)))["detail"]["updatedAt"].clone();
        check(&quell, event, end, &[says]).await;
        assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "contained", "{says}: {}", quell.email());
    }
}

/// Neither does it come up each minute, nor does what GuardDuty forgets keep anybody from finishing what was begun.
#[tokio::test]
async fn what_turns_out_to_be_made_up_when_it_is_tried_again_is_told_once() {
    let quell = Rehearsal::of(CONTAIN).await;
    let unknown: Value = serde_json::from_str(&quell.account.localise(&read(KEY))).unwrap();
    refuse(&quell, &["guardduty:GetFindings", "iam:ListAccessKeys"], Refusal::Throttled);
    quell.handle(unknown, 0).await.unwrap_err();
    quell.cloud.heal();
    quell.cloud.forget_calls();
    for later in [70, 130, 190] {
        quell.tick(later).await.ok();
    }
    assert_eq!(quell.verdicts(), ["REFUSED"]);
    let open = quell.order(json!({ "command": "incidents", "open": true }), 200).await;
    assert_eq!(open["ok"]["incidents"], json!([]));

    let quell = Rehearsal::of(CONTAIN).await;
    let before = quell.cloud.world().await;
    refuse(&quell, &["iam:UpdateAccessKey"], Refusal::Throttled);
    quell.deliver(&read(KEY)).await.unwrap_err();
    quell.cloud.heal();
    quell.event(&read(KEY).replace("TorIPCaller", "MaliciousIPCaller"));
    quell.tick(70).await.ok();
    assert_eq!(quell.changes(&before, &quell.cloud.world().await).len(), 2, "{}", quell.email());
}

#[tokio::test]
async fn when_guardduty_cannot_be_asked_a_person_is() {
    let quell = Rehearsal::of(CONTAIN).await;
    quell.cloud.inject(Rule::on("guardduty:*", Fault::Refuse(Refusal::Denied)));
    let event = quell.event(&read(KEY));
    let says = ["held back to approve: GuardDuty could not be asked whether it knows the finding"];
    check(&quell, event, "waiting-for-approval", &says).await;
}

#[tokio::test]
async fn an_old_finding_waits_for_a_person() {
    let quell = Rehearsal::of(&format!("[guards]\nstale_after = '1m'\n{CONTAIN}")).await;
    let event = quell.event(&read(KEY));
    let says = ["held back to approve: the finding was last updated", "the policy allows 1 minutes"];
    check(&quell, event, "waiting-for-approval", &says).await;
}

#[tokio::test]
async fn what_the_policy_protects_is_left_and_its_owner_named() {
    let protect = |what: &str| {
        format!("{CONTAIN}[[protect]]\n{what}\nowner = 'payroll@example.com'\nreason = 'wages are paid with it'\n")
    };
    for what in ["arns = ['arn:aws:iam::*:user/ann']", "tags = { Team = 'payments' }", "paths = ['/']"] {
        let quell = Rehearsal::of(&protect(what)).await;
        let event = quell.event(&read(KEY));
        let tags = [("UserName", "ann"), ("Tags.member.1.Key", "Team"), ("Tags.member.1.Value", "payments")];
        quell.cloud.moto().service("iam", &quell.cloud.account_id).call("TagUser", &tags).await;
        let says = [
            "user ann is protected (payroll@example[.]com): wages are paid with it",
            "Quell keeps off what is protected",
            "\naws iam update-access-key --user-name ann",
        ];
        check(&quell, event, "refused", &says).await;
    }
    let quell = Rehearsal::of(&protect("arns = ['arn:aws:iam::*:user/ann']\nuntil = 2026-01-31")).await;
    assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "contained");
    assert!(quell.email().contains("The protection of user ann by payroll@example[.]com ended"), "{}", quell.email());
}

#[tokio::test]
async fn an_account_is_protected_as_a_whole() {
    let mut quell = Rehearsal::of(CONTAIN).await;
    let (own, member) = (quell.cloud.account_id.clone(), quell.cloud.member_id.clone());
    let protect = |account: &str| {
        format!(
            "{CONTAIN}[[protect]]\naccounts = ['{account}']\nowner = 'ops@example.com'\nreason = 'it bills us all'\n"
        )
    };
    quell.decide(&protect(&own));
    for (event, thing) in [(KEY, "user ann"), ("instance_mines_bitcoin", "instance i-0c1b2c3d4e5f60718")] {
        let says = format!("{thing} is protected (ops@example[.]com): it bills us all");
        check(&quell, quell.event(&read(event)), "refused", &[&says]).await;
    }
    quell.decide(&protect(&member));
    assert_eq!(verdict(&quell.deliver(&read("port_probe")).await), "contained", "{}", quell.email());
}

#[tokio::test]
async fn roles_that_only_aws_changes_are_left() {
    let quell = Rehearsal::of(CONTAIN).await;
    let says = "role AWSReservedSSO_AdministratorAccess_0123456789abcdef belongs to IAM Identity Center: it is changed only \
                there";
    let by_hand = "\nDO NOW\n";
    let in_sso = "In IAM Identity Center, disable the access of user";
    check(&quell, quell.event(&read("sso_role_session_anomalous")), "refused", &[says, by_hand, in_sso]).await;
    let iam = quell.cloud.moto().service("iam", &quell.cloud.account_id);
    let role = iam.call("GetRole", &[("RoleName", "AWSServiceRoleForECS")]).await["Role"]["RoleId"].clone();
    let linked = read("instance_credentials_used_outside_aws").replace("web-server", "AWSServiceRoleForECS");
    let linked = quell.account.localise(&linked);
    let linked = linked.replace(quell.account.real("AROADBQP57FF2AEXAMPLE"), role.as_str().unwrap_or_default());
    let says = "role AWSServiceRoleForECS is service-linked: only the AWS service itself can change it";
    check(&quell, quell.event(&linked), "refused", &[says, by_hand]).await;
}

#[tokio::test]
async fn what_the_rule_leaves_out_is_planned_and_said() {
    let quell = Rehearsal::of(&CONTAIN.replace("response", "remediations = ['exposed-port']\nresponse")).await;
    let says = "held back to plan: the policy's rule does not use compromised-access-key";
    check(&quell, quell.event(&read(KEY)), "planned", &[says, "aws iam update-access-key --user-name ann"]).await;
    assert_eq!(verdict(&quell.deliver(&read("port_probe")).await), "contained", "{}", quell.email());
}

#[tokio::test]
async fn a_finding_that_contradicts_itself_is_left_to_a_person() {
    let quell = Rehearsal::of(CONTAIN).await;
    let target = but("instance_mines_bitcoin", &[("\"resourceRole\": \"ACTOR\"", "\"resourceRole\": \"TARGET\"")]);
    let says = "held back to approve: the finding calls the instance a target, its type says that the instance acts";
    check(&quell, quell.event(&target), "waiting-for-approval", &[says]).await;
}

/// Who has the role beside the session keeps it; people who think of the role know who.
#[tokio::test]
async fn the_other_instances_on_a_role_are_named() {
    let quell = Rehearsal::of(CONTAIN).await;
    let ec2 = quell.cloud.moto().service("ec2", &quell.cloud.account_id);
    let spare = [("InstanceId", quell.account.real("i-0b1b2c3d4e5f60718")), ("IamInstanceProfile.Name", "web-server")];
    ec2.call("AssociateIamInstanceProfile", &spare).await;
    let event = quell.event(&read("instance_credentials_used_outside_aws"));
    assert_eq!(verdict(&quell.handle(event, 0).await), "contained", "{}", quell.email());
    let says = "Other instances in eu-west-1 that have role web-server keep it: i-0b1b2c3d4e5f60718.";
    assert!(quell.email().contains(says), "{}", quell.email());
}

/// What is changed for an instance, and not the instance itself.
#[tokio::test]
async fn a_tag_protects_a_security_group_and_an_interface_too() {
    let policy = "[[protect]]\ntags = { Keep = 'yes' }\nowner = 'net@example.com'\nreason = 'shared'\n";
    for (event, tagged, says) in [
        ("port_probe", "sg-0b1b2c3d4e5f60030", "security group sg-0b1b2c3d4e5f60030 is protected (net@example[.]com)"),
        ("instance_mines_bitcoin", "eni-0c1b2c3d4e5f60001", "interface eni-0c1b2c3d4e5f60001 is protected"),
    ] {
        let quell = Rehearsal::of(&format!("{CONTAIN}{policy}")).await;
        let tag = [("ResourceId.1", quell.account.real(tagged)), ("Tag.1.Key", "Keep"), ("Tag.1.Value", "yes")];
        quell.cloud.moto().service("ec2", &quell.cloud.account_id).call("CreateTags", &tag).await;
        check(&quell, quell.event(&read(event)), "refused", &[says]).await;
    }
}

#[tokio::test]
async fn the_way_back_in_is_left_open() {
    for (policy, says) in [
        ("[operators]\nbreak_glass = ['user/an*']\n", "user ann is for emergencies (break_glass in the policy)"),
        ("[operators]\nbreak_glass = ['user/ann']\n", "user ann is for emergencies"),
    ] {
        let quell = Rehearsal::of(&format!("{policy}{CONTAIN}")).await;
        let event = quell.event(&read(KEY));
        check(&quell, event, "refused", &[says]).await;
    }
    let quell = Rehearsal::of(&format!("[operators]\nroles = ['web-*']\n{CONTAIN}")).await;
    let event = quell.event(&read("instance_credentials_used_outside_aws"));
    check(&quell, event, "refused", &["role web-server is the operators' (operators in the policy)"]).await;
}

#[tokio::test]
async fn quell_does_not_turn_against_itself() {
    let quell = Rehearsal::of(CONTAIN).await;
    let ours = read("instance_credentials_used_outside_aws").replace("web-server", "quell-function");
    let ours = ours.replace("AROADBQP57FF2AEXAMPLE", "AROAQUELLSELFEXAMPLE");
    check(&quell, quell.event(&ours), "refused", &["role quell-function is Quell's own"]).await;
}

#[tokio::test]
async fn what_its_own_stack_made_is_left_alone() {
    let stack = "arn:aws:cloudformation:eu-west-1:111122223333:stack/quell/0a1b2c3d";
    let quell = Rehearsal::of(CONTAIN).await.with("QUELL_STACK", stack);
    let host = quell.account.real("i-0c1b2c3d4e5f60718");
    let tag = [("ResourceId.1", host), ("Tag.1.Key", "aws:cloudformation:stack-id"), ("Tag.1.Value", stack)];
    quell.cloud.moto().service("ec2", &quell.cloud.account_id).call("CreateTags", &tag).await;
    let event = quell.event(&read("instance_mines_bitcoin"));
    check(&quell, event, "refused", &["Quell's own"]).await;
}

#[tokio::test]
async fn the_kill_switch_stops_looks_and_what_crashed_too_and_undo_never() {
    let quell = Rehearsal::of(CONTAIN).await.with("QUELL_KILL_SWITCH", "quell-kill-switch");
    quell.cloud.set_parameter("quell-kill-switch", "contain").await;
    let (before, attacker) = (scene::KEY.part_of_world(&quell.cloud).await, Attacker::before(&quell).await);
    assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "contained");
    let contained = scene::KEY.part_of_world(&quell.cloud).await;
    quell.cloud.set_parameter("quell-kill-switch", "plan").await;
    attacker.open_identities(&quell).await;
    quell.cloud.forget_calls();
    for later in [6, 16, 70] {
        quell.tick(later).await.ok();
    }
    assert_eq!(quell.changes(&before, &scene::KEY.part_of_world(&quell.cloud).await), [""; 0], "nothing is written");
    assert_eq!(quell.told().len(), 1, "{}", quell.email());
    let says = ["Somebody had set it back", "refused: the kill switch says \"plan\""];
    assert!(says.iter().all(|says| quell.email().contains(says)), "{}", quell.email());
    quell.cloud.set_parameter("quell-kill-switch", "contain").await;
    quell.tick(HOUR + 60).await.ok();
    assert_eq!(
        quell.changes(&contained, &scene::KEY.part_of_world(&quell.cloud).await),
        [""; 0],
        "it is contained again"
    );
    assert_eq!(quell.verdicts().last().map(String::as_str), Some("CONTAINED"), "{}", quell.email());
    quell.cloud.set_parameter("quell-kill-switch", "plan").await;
    assert_eq!(quell.order_about("undo", KEY_ID, HOUR + 90).await["ok"]["verdict"], "released");
    assert_eq!(quell.changes(&before, &scene::KEY.part_of_world(&quell.cloud).await), [""; 0]);
}

#[tokio::test]
async fn what_crashed_before_the_kill_switch_was_pulled_is_not_gone_on_with() {
    let quell = Rehearsal::of(CONTAIN).await.with("QUELL_KILL_SWITCH", "quell-kill-switch");
    quell.cloud.set_parameter("quell-kill-switch", "contain").await;
    let before = scene::KEY.part_of_world(&quell.cloud).await;
    let (pause, reached) = breakpoint();
    quell.cloud.inject(Rule::on("UpdateAccessKey", Fault::PauseBefore(pause)));
    quell.cloud.inject(Rule::on("PutUserPolicy", Fault::Refuse(Refusal::Throttled)));
    assert!(quell.handle_until(quell.event(&read(KEY)), 0, reached).await);
    quell.cloud.heal();
    quell.cloud.set_parameter("quell-kill-switch", "plan").await;
    quell.tick(120).await.ok();
    assert_eq!(quell.changes(&before, &scene::KEY.part_of_world(&quell.cloud).await), [""; 0], "nothing is written");
    assert!(quell.email().contains("refused: the kill switch says \"plan\""), "{}", quell.email());
    quell.cloud.set_parameter("quell-kill-switch", "contain").await;
    quell.tick(HOUR + 180).await.ok();
    assert_eq!(quell.verdicts().last().map(String::as_str), Some("CONTAINED"), "{}", quell.email());
    assert_eq!(quell.order_about("undo", KEY_ID, HOUR + 300).await["ok"]["verdict"], "released");
    assert_eq!(quell.changes(&before, &scene::KEY.part_of_world(&quell.cloud).await), [""; 0]);
}

#[tokio::test]
async fn the_kill_switch_says_how_far_quell_may_go() {
    for (value, end, says) in [
        ("plan", "planned", "held back to plan: the kill switch says \"plan\""),
        ("approve", "waiting-for-approval", "held back to approve: the kill switch says \"approve\""),
        ("stop!", "planned", "the kill switch says \"stop!\", which is no response, so nothing is done"),
    ] {
        let quell = Rehearsal::of(CONTAIN).await.with("QUELL_KILL_SWITCH", "quell-kill-switch");
        quell.cloud.set_parameter("quell-kill-switch", value).await;
        let event = quell.event(&read(KEY));
        check(&quell, event, end, &[says]).await;
    }
    // Who may delete it may as well set it.
    let quell = Rehearsal::of(CONTAIN).await.with("QUELL_KILL_SWITCH", "quell-kill-switch-that-is-gone");
    assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "contained");
    let quell = Rehearsal::of(CONTAIN).await.with("QUELL_KILL_SWITCH", "quell-kill-switch");
    quell.cloud.set_parameter("quell-kill-switch", "contain").await;
    assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "contained");
    quell.cloud.inject(Rule::on("ssm:*", Fault::Refuse(Refusal::Denied)));
    let event = quell.event(&read("port_probe"));
    check(&quell, event, "waiting-for-approval", &["the kill switch may be on: it could not be read"]).await;
}

#[tokio::test]
async fn what_else_would_stop_is_shown_and_more_than_the_rule_allows_is_asked() {
    let quell = Rehearsal::of(&CONTAIN.replace("response", "max_blast = 0\nresponse")).await;
    let event = quell.event(&read("port_probe"));
    let end = quell.handle(event, 0).await;
    assert!(quell.email().contains("\nWHAT ELSE STOPS\n"), "{}", quell.email());
    assert_eq!(verdict(&end), "contained", "{}", quell.email());
    // Two instances share a group, and an auto-scaling group would replace the one that is isolated.
    let batch = probe_of("22", "0b5e8e95fc4de1f034e96967422b76b5");
    check(&quell, quell.event(&batch), "waiting-for-approval", &["1 other thing would stop"]).await;
    let ec2 = quell.cloud.moto().service("ec2", &quell.cloud.account_id);
    let host = quell.account.real("i-0c1b2c3d4e5f60718");
    let tag = [("ResourceId.1", host), ("Tag.1.Key", "aws:autoscaling:groupName"), ("Tag.1.Value", "batch-fleet")];
    ec2.call("CreateTags", &tag).await;
    check(&quell, quell.event(&read("instance_mines_bitcoin")), "waiting-for-approval", &["batch-fleet"]).await;
    let event = quell.event(&read(KEY));
    check(&quell, event, "waiting-for-approval", &["other thing would stop, the rule allows 0 without a person"]).await;
}

/// The web instance behind three load balancers, and one that has nothing to do with it.
pub async fn balanced(quell: &Rehearsal) {
    let real = |id: &str| quell.account.real(id).to_owned();
    let (subnet, vpc) = (real("subnet-0a1b2c3d4e5f60020"), real("vpc-0a1b2c3d4e5f60010"));
    let (web, bastion) = (real("i-0a1b2c3d4e5f60718"), real("i-0b1b2c3d4e5f60718"));
    quell.cloud.balance("front", &subnet, &vpc, 443, "instance", &[&bastion, &web]).await;
    quell.cloud.balance("inner", &subnet, &vpc, 8080, "ip", &["10.0.2.10"]).await;
    quell.cloud.balance_as_of_old("old", &subnet, &web).await;
    quell.cloud.balance("other", &subnet, &vpc, 22, "instance", &[&bastion]).await;
}

const LOST: &str = "Load balancers send it requests, and lose it: front (port 443), inner (port 8080), old (port 80).";

#[tokio::test]
async fn load_balancers_are_told_without_delaying_containment_and_count_where_the_rule_has_a_ceiling() {
    let quell = Rehearsal::of(CONTAIN).await;
    balanced(&quell).await;
    quell.cloud.forget_calls();
    assert_eq!(verdict(&quell.deliver(&read("instance_talks_to_c2")).await), "contained");
    assert!(quell.email().contains(LOST), "{}", quell.email());
    let calls = quell.calls();
    let asked = calls.iter().filter(|call| call.service == "elasticloadbalancing").map(|call| call.start).min();
    let moved = calls.iter().filter(|call| call.operation == "ModifyNetworkInterfaceAttribute").map(|call| call.end);
    assert!(asked > moved.max(), "{calls:#?}");

    // Who decides about what is protected must know it too.
    let protect = "[[protect]]\narns = ['*']\nowner = 'Payments'\nreason = 'month end'\n";
    let quell = Rehearsal::of(&format!("{protect}{CONTAIN}")).await;
    balanced(&quell).await;
    check(&quell, quell.event(&read("instance_talks_to_c2")), "refused", &["Payments", LOST]).await;

    let ceiling = |most: u8| CONTAIN.replace("response", &format!("max_blast = {most}\nresponse"));
    let quell = Rehearsal::of(&ceiling(2)).await;
    balanced(&quell).await;
    let event = quell.event(&read("instance_talks_to_c2"));
    let says = ["3 other things would stop, the rule allows 2 without a person", LOST];
    check(&quell, event, "waiting-for-approval", &says).await;
    quell.cloud.forget_calls();
    // What was looked at for the plan is not looked at again for the message.
    let approved = quell.approve("49f8ace915ec5c661c8d751b77f90ac6", 1, 10).await;
    assert_eq!(approved["ok"]["verdict"], "contained", "{approved}");
    let groups = quell.calls().iter().filter(|call| call.operation == "DescribeTargetGroups").count();
    assert_eq!((groups, quell.email().contains(LOST)), (1, true), "{}", quell.email());

    let quell = Rehearsal::of(&ceiling(3)).await;
    balanced(&quell).await;
    assert_eq!(verdict(&quell.deliver(&read("instance_talks_to_c2")).await), "contained", "{}", quell.email());
    assert_eq!(verdict(&quell.deliver(&read("ssh_brute_force_against_us")).await), "contained", "{}", quell.email());
    let lost = "Load balancers send it requests, and may lose it: other (port 22).";
    assert!(quell.email().contains(lost), "{}", quell.email());
}

#[tokio::test]
async fn load_balancers_that_cannot_all_be_asked_are_told_as_not_known() {
    let ceiling = CONTAIN.replace("response", "max_blast = 100\nresponse");
    for (policy, end, says) in [
        (CONTAIN, "contained", "Not known: which load balancers send it requests: elasticloadbalancing:Describe"),
        (ceiling.as_str(), "waiting-for-approval", "what else would stop is not known: which load balancers"),
    ] {
        let quell = Rehearsal::of(policy).await;
        quell.cloud.inject(Rule::on("elasticloadbalancing:*", Fault::Refuse(Refusal::Denied)));
        assert_eq!(verdict(&quell.deliver(&read("instance_mines_bitcoin")).await), end, "{}", quell.email());
        assert!(quell.email().contains(says), "{}", quell.email());
    }
    let quell = Rehearsal::of(CONTAIN).await;
    let real = |id: &str| quell.account.real(id).to_owned();
    let (subnet, vpc) = (real("subnet-0a1b2c3d4e5f60020"), real("vpc-0a1b2c3d4e5f60010"));
    let group = quell.cloud.balance("front", &subnet, &vpc, 443, "instance", &[]).await;
    quell.cloud.target_groups(&group, &vpc, 1000..1026).await;
    quell.cloud.forget_calls();
    assert_eq!(verdict(&quell.deliver(&read("instance_mines_bitcoin")).await), "contained");
    let asked = quell.calls().iter().filter(|call| call.operation == "DescribeTargetHealth").count();
    assert_eq!(asked, 12);
    let says = "Load balancers that were not asked about all ports, since they have too many target groups: 1.";
    assert!(quell.email().contains(says), "{}", quell.email());
    // One that was not asked is one more at the most.
    for (most, end) in [(0, "waiting-for-approval"), (1, "contained")] {
        let quell = Rehearsal::of(&CONTAIN.replace("response", &format!("max_blast = {most}\nresponse"))).await;
        let real = |id: &str| quell.account.real(id).to_owned();
        let (subnet, vpc) = (real("subnet-0a1b2c3d4e5f60020"), real("vpc-0a1b2c3d4e5f60010"));
        let group = quell.cloud.balance("front", &subnet, &vpc, 443, "instance", &[]).await;
        quell.cloud.target_groups(&group, &vpc, 1000..1026).await;
        assert_eq!(verdict(&quell.deliver(&read("instance_mines_bitcoin")).await), end, "{}", quell.email());
    }
}

#[tokio::test]
async fn the_last_use_of_a_key_is_told_with_what_else_stops() {
    let quell = Rehearsal::of(CONTAIN).await;
    let ann = quell.account.credentials("AKIAIOSFODNN7EXAMPLE");
    assert!(works(&quell.cloud, ann).await);
    let event = quell.event(&read(KEY));
    assert_eq!(verdict(&quell.handle(event, 0).await), "contained");
    let email = quell.email();
    let stops = email.split("\nWHAT ELSE STOPS\n").nth(1).unwrap_or_default();
    assert!(stops.lines().next().is_some_and(|line| line.contains("The key was last used at 20")), "{email}");
    assert!(stops.contains(", with sts in eu-west-1."), "{email}");
}

#[tokio::test]
async fn the_management_accounts_root_user_is_told_of_and_left() {
    // Which roles AWS lets nobody change is shown with containment.
    let mut quell = Rehearsal::of(CONTAIN).await;
    let account = quell.cloud.account_id.clone();
    quell.decide(&format!("[organization]\nmanagement_account = '{account}'\n{CONTAIN}"));
    let event = quell.event(&read("root_credentials_used"));
    let last = "the root user of account 111122223333 is the last way into the organization";
    check(&quell, event, "told", &[last]).await;
    let member = Rehearsal::of(&format!("[organization]\nmanagement_account = '444455556666'\n{CONTAIN}")).await;
    assert_eq!(verdict(&member.deliver(&read("root_credentials_used")).await), "told");
    assert!(!member.email().contains("last way"), "{}", member.email());
}

#[tokio::test]
async fn a_sample_an_archived_and_an_unknown_finding_are_not_acted_on() {
    let quell = Rehearsal::of(CONTAIN).await;
    for (path, value, id, says) in [
        ("/detail/service/additionalInfo/sample", json!(true), "c1", "the finding is a sample"),
        ("/detail/service/archived", json!(true), "c2", "the finding is archived"),
    ] {
        let mut event: Value = serde_json::from_str(&read(KEY)).unwrap_or_default();
        event["detail"]["id"] = json!(format!("5e8e95fc4de1f034e96967422b76b5{id}"));
        if let Some(place) = event.pointer_mut(path) {
            *place = value;
        } else {
            event["detail"]["service"]["additionalInfo"]["sample"] = value;
        }
        let event = quell.event(&event.to_string());
        check(&quell, event, "planned", &[says]).await;
    }
    let event = quell.event(&read("unknown_type"));
    check(&quell, event, "waiting-for-approval", &["this release does not know the finding's type"]).await;
}
