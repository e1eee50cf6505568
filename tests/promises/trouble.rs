//! AWS refuses, throttles, hangs and loses answers: what is said stays true, and what can be contained is.

use crate::attacker::quarantine_groups;
use crate::cloud::{Account, Fault, Refusal, Rule, breakpoint};
use crate::looking_after::HOUR;
use crate::rehearsal::Rehearsal;
use crate::stage::{self, CONTAIN, Stage, know, read};
use crate::story::{Story, but};
use crate::taking_back::verdict;
use serde_json::json;
use std::time::Duration;

const KEY: &str = "access_key_used_from_tor";
const INSTANCE: &str = "instance_talks_to_c2";
const TRY_AGAIN: &str = "error: something that may pass stood in the way; people were told, and it is tried again";

/// What an invocation under some trouble must come to.
struct Expect<'a> {
    end: &'a str,
    /// How many things are different.
    changes: usize,
    /// What the first line says.
    verdict: &'a str,
    /// What the one message has in it.
    says: &'a [&'a str],
}

async fn check(event: &str, rules: impl Fn(&Account) -> Vec<Rule>, expect: Expect<'_>) {
    let stage = Stage::set(CONTAIN).await;
    for rule in rules(&stage.account) {
        stage.cloud.inject(rule);
    }
    let story = stage.story(event).await;
    check_told(&stage, &story, &expect);
}

fn check_told(stage: &Stage, story: &Story, expect: &Expect<'_>) {
    let Expect { end, changes, verdict, says } = expect;
    let email = stage.email_of(story);
    assert_eq!(story.end, *end, "{email}");
    assert_eq!(story.changes.len(), *changes, "{:#?}\n{email}", story.changes);
    assert!(email.starts_with(&format!("{verdict}: ")), "{email}");
    for words in *says {
        assert!(email.contains(words), "no {words} in\n{email}");
    }
}

fn refuse(actions: &[&str], refusal: Refusal) -> Vec<Rule> {
    actions.iter().map(|action| Rule::on(action, Fault::Refuse(refusal))).collect()
}

#[tokio::test]
async fn denied_every_read_nothing_is_done_and_a_person_is_called() {
    let denied = |says| Expect { end: "refused", changes: 0, verdict: "REFUSED", says };
    let all = |_: &Account| refuse(&["iam:*", "ec2:*"], Refusal::Denied);
    check(KEY, all, denied(&["AccessDenied", "Yes, now."])).await;
    check(INSTANCE, all, denied(&["UnauthorizedOperation", "Yes, now."])).await;
    check("instance_credentials_used_outside_aws", all, denied(&["AccessDenied", "Yes, now."])).await;
    check("port_probe", all, denied(&["UnauthorizedOperation", "Yes, now."])).await;
}

#[tokio::test]
async fn denied_every_write_a_person_gets_the_commands() {
    let denied = |says| Expect { end: "not-contained", changes: 0, verdict: "NOT CONTAINED", says };
    let iam = |_: &Account| refuse(&["UpdateAccessKey", "PutUserPolicy", "PutRolePolicy"], Refusal::Denied);
    let commands = [
        "Yes, now.",
        "\naws iam update-access-key --user-name ann --access-key-id AKIAIOSFODNN7EXAMPLE --status Inactive\n",
        "\naws iam put-user-policy --user-name ann --policy-name QuellQuarantine --policy-document '{",
    ];
    check(KEY, iam, denied(&commands)).await;
    let commands = ["\naws iam put-role-policy --role-name web-server --policy-name QuellDeny-i-0a1b2c3d4e5f60718 "];
    check("instance_credentials_used_outside_aws", iam, denied(&commands)).await;

    let ec2 = |_: &Account| {
        let writes = ["CreateSecurityGroup", "ModifyNetworkInterfaceAttribute", "RevokeSecurityGroupIngress"];
        refuse(&writes, Refusal::Denied)
    };
    let commands = [
        "=$(aws ec2 create-security-group --vpc-id vpc-0a1b2c3d4e5f60010 ",
        "=$(aws ec2 create-security-group --vpc-id vpc-0a1b2c3d4e5f60011 ",
        "\naws ec2 modify-network-interface-attribute --network-interface-id eni-0a1b2c3d4e5f60003 ",
    ];
    check(INSTANCE, ec2, denied(&commands)).await;
    let command = "\naws ec2 revoke-security-group-ingress --group-id sg-0b1b2c3d4e5f60030 --security-group-rule-ids ";
    check("port_probe", ec2, denied(&[command])).await;
}

/// Pasted from the top, each command must find the group of its own VPC in the variable.
#[tokio::test]
async fn pasted_commands_move_each_interface_to_the_group_of_its_own_vpc() {
    let stage = Stage::set(CONTAIN).await;
    stage.cloud.inject(Rule::on("CreateSecurityGroup", Fault::Refuse(Refusal::Denied)));
    let email = stage.email_of(&stage.story(INSTANCE).await);
    for (interface, vpc) in [("60001", "60010"), ("60002", "60010"), ("60003", "60011")] {
        let moves =
            format!("aws ec2 modify-network-interface-attribute --network-interface-id eni-0a1b2c3d4e5f{interface}");
        let variable = email.lines().find(|line| line.starts_with(&moves)).and_then(|line| line.split('"').nth(1));
        let set = format!("{}=", variable.unwrap().trim_start_matches('$'));
        let before = email.lines().take_while(|line| !line.starts_with(&moves));
        let group = before.filter(|line| line.starts_with(&set)).last().unwrap();
        assert!(group.contains(&format!("vpc-0a1b2c3d4e5f{vpc}")), "{interface}: {group}\n{email}");
    }
}

#[tokio::test]
async fn half_a_containment_is_told_as_half() {
    let partly = |changes, says| Expect { end: "partial", changes, verdict: "PARTLY CONTAINED", says };
    let status = "\naws iam update-access-key --user-name ann --access-key-id AKIAIOSFODNN7EXAMPLE --status Inactive\n";
    let says = [status, "1 of 2 changes holds"];
    check(KEY, |_| refuse(&["UpdateAccessKey"], Refusal::Denied), partly(1, &says)).await;
    let second = |account: &Account| {
        let denied = Rule::on("ModifyNetworkInterfaceAttribute", Fault::Refuse(Refusal::Denied));
        vec![denied.containing(account.real("eni-0a1b2c3d4e5f60002"))]
    };
    let says = [
        "4 of 5 changes hold",
        "security groups of interface eni-0a1b2c3d4e5f60002",
        "\naws ec2 modify-network-interface-attribute --network-interface-id eni-0a1b2c3d4e5f60002 --groups sg-",
    ];
    check(INSTANCE, second, partly(4, &says)).await;
    // One VPC's group cannot be made; the other VPC's interface moves all the same.
    let one_vpc = |account: &Account| {
        let denied = Rule::on("CreateSecurityGroup", Fault::Refuse(Refusal::Denied));
        vec![denied.containing(account.real("vpc-0a1b2c3d4e5f60010"))]
    };
    check(INSTANCE, one_vpc, partly(2, &["2 of 5 changes hold", "eni-0a1b2c3d4e5f60001"])).await;
}

#[tokio::test]
async fn throttled_for_good_it_is_told_and_tried_again() {
    let throttled = |actions: &'static [&str]| move |_: &Account| refuse(actions, Refusal::Throttled);
    let reads = ["Throttl", "may work when tried again"];
    check(KEY, throttled(&["iam:*"]), Expect { end: TRY_AGAIN, changes: 0, verdict: "FAILED", says: &reads }).await;
    let expect = Expect { end: TRY_AGAIN, changes: 0, verdict: "FAILED", says: &["may work when tried again"] };
    check(INSTANCE, throttled(&["ec2:*"]), expect).await;
    let expect = Expect { end: TRY_AGAIN, changes: 1, verdict: "PARTLY CONTAINED", says: &["Throttling"] };
    check(KEY, throttled(&["PutUserPolicy"]), expect).await;
}

#[tokio::test]
async fn what_was_half_done_is_finished_by_the_retry() {
    let stage = Stage::set(CONTAIN).await;
    stage.cloud.inject(Rule::on("RevokeSecurityGroupEgress", Fault::Refuse(Refusal::Unavailable)));
    let story = stage.story(INSTANCE).await;
    // The groups are there, and let everything out; nothing was moved into them.
    let expect =
        Expect { end: TRY_AGAIN, changes: 2, verdict: "NOT CONTAINED", says: &["none was read back as planned"] };
    check_told(&stage, &story, &expect);
    stage.cloud.heal();
    let story = stage.story(INSTANCE).await;
    assert_eq!((story.end.as_str(), story.changes.len()), ("contained", 5), "{:#?}", story.changes);
    let created = story.calls.iter().filter(|call| call.operation == "CreateSecurityGroup" && call.error.is_none());
    assert_eq!(created.count(), 0);
}

#[tokio::test]
async fn one_fault_at_each_write_keeps_nothing_from_being_contained() {
    for fault in [
        Fault::LostResponse,
        Fault::Truncated,
        Fault::Unreached,
        Fault::Refuse(Refusal::Failure),
        Fault::Refuse(Refusal::Throttled),
    ] {
        let stage = Stage::set(CONTAIN).await;
        for write in [
            "AuthorizeSecurityGroupIngress",
            "CreateSecurityGroup",
            "ModifyNetworkInterfaceAttribute",
            "PutRolePolicy",
            "PutUserPolicy",
            "RevokeSecurityGroupEgress",
            "RevokeSecurityGroupIngress",
            "UpdateAccessKey",
        ] {
            stage.cloud.inject(Rule::on(write, fault.clone()).nth(1));
        }
        let batch = [
            ("i-0b1b2c3d4e5f60718", "i-0c1b2c3d4e5f60718"),
            ("10.0.1.20", "10.0.1.30"),
            ("sg-0b1b2c3d4e5f60030", "sg-0c1b2c3d4e5f60030"),
        ];
        for (story, changes) in [
            (stage.story(KEY).await, 2),
            (stage.story("instance_credentials_used_outside_aws").await, 1),
            (stage.story(INSTANCE).await, 5),
            (stage.story_but("port_probe", &batch).await, 3),
        ] {
            let expect = Expect { end: "contained", changes, verdict: "CONTAINED", says: &[] };
            assert!(story.calls.iter().any(|call| call.fault.is_some()), "no fault was met");
            check_told(&stage, &story, &expect);
        }
    }
}

#[tokio::test]
async fn an_answer_that_never_comes_is_no_reason_to_say_that_nothing_was_done() {
    for fault in [Fault::LostResponse, Fault::Truncated] {
        let lost =
            |_: &Account| vec![Rule::on("UpdateAccessKey", fault.clone()), Rule::on("PutUserPolicy", fault.clone())];
        let expect = Expect { end: "contained", changes: 2, verdict: "CONTAINED", says: &["2 of 2 changes hold"] };
        check(KEY, lost, expect).await;
    }
}

#[tokio::test]
async fn stale_reads_are_waited_for() {
    let stage = Stage::set(CONTAIN).await;
    stage.cloud.inject(Rule::on("iam:*", Fault::Stale(Duration::from_secs(2))));
    let story = stage.story(KEY).await;
    check_told(
        &stage,
        &story,
        &Expect { end: "contained", changes: 2, verdict: "CONTAINED", says: &["2 of 2 changes hold"] },
    );
    assert!(story.took >= Duration::from_secs(2), "{:?}", story.took);
    let stale = story.calls.iter().filter(|call| call.fault == Some("stale") && call.operation == "ListAccessKeys");
    assert!(stale.count() > 2);
}

#[tokio::test]
async fn a_change_that_somebody_takes_back_at_once_is_not_called_contained() {
    let stage = Stage::set(CONTAIN).await;
    let (pause, mut written) = breakpoint();
    stage.cloud.inject(Rule::on("UpdateAccessKey", Fault::PauseAfter(pause)));
    let iam = stage.cloud.moto().service("iam", &stage.cloud.account_id);
    let active =
        [("UserName", "ann"), ("AccessKeyId", stage.account.real("AKIAIOSFODNN7EXAMPLE")), ("Status", "Active")];
    let (story, ()) = tokio::join!(stage.story(KEY), async {
        written.reached().await;
        iam.call("UpdateAccessKey", &active).await;
        written.resume();
    });
    let says = ["written, but read back as Active", "aws iam update-access-key --user-name ann"];
    check_told(&stage, &story, &Expect { end: "partial", changes: 1, verdict: "PARTLY CONTAINED", says: &says });
}

/// Six seconds to live, as in the function's own configuration.
const SHORT: &[(&str, &str)] = &[("AWS_LAMBDA_FUNCTION_TIMEOUT", "6")];

/// People are told before the time is up, the invocation fails, and the next one contains.
async fn check_in_time(stage: &Stage, story: &Story, verdict: &str) {
    assert_eq!(story.end, TRY_AGAIN, "after {:?}, {} messages", story.took, story.messages.len());
    assert!(stage.email_of(story).starts_with(&format!("{verdict}: ")), "{}", stage.email_of(story));
    stage.cloud.heal();
    assert_eq!(stage.story(KEY).await.end, "contained");
}

#[tokio::test]
async fn a_read_that_hangs_leaves_time_to_tell() {
    let stage = Stage::set_with(CONTAIN, SHORT).await;
    stage.cloud.inject(Rule::on("ListAccessKeys", Fault::Delay(Duration::from_secs(20))));
    let story = stage.story(KEY).await;
    check_in_time(&stage, &story, "FAILED").await;
}

#[tokio::test]
async fn a_write_that_hangs_leaves_time_to_tell() {
    let stage = Stage::set_with(CONTAIN, SHORT).await;
    stage.cloud.inject(Rule::on("PutUserPolicy", Fault::Delay(Duration::from_secs(20))));
    let story = stage.story(KEY).await;
    check_in_time(&stage, &story, "PARTLY CONTAINED").await;
}

#[tokio::test]
async fn when_all_hangs_from_the_first_write_on_there_is_time_to_tell() {
    let stage = Stage::set_with(CONTAIN, SHORT).await;
    let (pause, mut first_write) = breakpoint();
    stage.cloud.inject(Rule::on("UpdateAccessKey", Fault::PauseBefore(pause)).nth(1));
    let (story, _held) = tokio::join!(stage.story(KEY), async {
        first_write.reached().await;
        stage.cloud.inject(Rule::on("iam:*", Fault::Delay(Duration::from_secs(20))));
        first_write
    });
    check_in_time(&stage, &story, "NOT CONTAINED").await;
}

#[tokio::test]
async fn slow_reads_and_a_hanging_write_leave_time_to_tell() {
    let stage = Stage::set_with(CONTAIN, SHORT).await;
    stage.cloud.inject(Rule::on("PutUserPolicy", Fault::Delay(Duration::from_secs(20))));
    stage.cloud.inject(Rule::on("iam:*", Fault::Delay(Duration::from_millis(700))));
    let story = stage.story(KEY).await;
    check_in_time(&stage, &story, "PARTLY CONTAINED").await;
}

/// Two findings about two instances of one VPC at the same moment, both the first there.
///
/// The slower one finds the group made, but not yet empty, and both set out to empty it.
#[tokio::test]
async fn two_at_once_share_one_quarantine_group() {
    let stage = Stage::set(CONTAIN).await;
    let other = stage::lambda(&stage.cloud, &stage.account, CONTAIN, &[]).await;
    let ((create, mut at_create), (a, mut a_empties), (b, mut b_empties)) = (breakpoint(), breakpoint(), breakpoint());
    stage.cloud.inject(Rule::on("CreateSecurityGroup", Fault::PauseBefore(create)).nth(1));
    for pause in [a, b] {
        let empties = Rule::on("RevokeSecurityGroupEgress", Fault::PauseBefore(pause));
        stage.cloud.inject(empties.containing("0.0.0.0/0").nth(1));
    }
    let other_id = ("c218f816f3732196b9d69ecfe8a0f3e8", "c218f816f3732196b9d69ecfe8a0f3e9");
    let bastion = but("instance_mines_bitcoin", &[("i-0c1b2c3d4e5f60718", "i-0b1b2c3d4e5f60718"), other_id]);
    let [slow, quick] = [stage::read("instance_mines_bitcoin"), bastion].map(|event| stage.account.localise(&event));
    know(&stage.cloud, &slow);
    know(&stage.cloud, &quick);
    let (slow, quick) = tokio::join!(stage.lambda.invoke(&slow), async {
        at_create.reached().await;
        let (quick, ()) = tokio::join!(other.invoke(&quick), async {
            a_empties.reached().await;
            at_create.resume();
            b_empties.reached().await;
            a_empties.resume();
        });
        b_empties.resume();
        quick
    });
    assert_eq!([&quick.json()["verdict"], &slow.json()["verdict"]], ["contained"; 2], "{}", stage.email());
    let mut groups = Vec::new();
    for instance in ["i-0c1b2c3d4e5f60718", "i-0b1b2c3d4e5f60718"] {
        groups.push(
            stage.cloud.main().interface_groups(stage.account.real(instance)).await.into_values().next().unwrap(),
        );
    }
    assert_eq!(groups[0], groups[1]);
}

/// Nobody looks after what is held then. A process tells it once an hour; whoever reads it is not woken each minute.
#[tokio::test]
async fn a_sweep_that_cannot_ask_the_ledger_tells_people_once_an_hour() {
    const SAID: &str = "QUELL CANNOT USE ITS LEDGER (account 111122223333, eu-west-1)";
    let quell = Rehearsal::of(CONTAIN).await;
    quell.deliver(&read(KEY)).await.unwrap();
    quell.cloud.forget_calls();
    quell.cloud.inject(Rule::on("dynamodb:*", Fault::Refuse(Refusal::Denied)));
    let process = quell.process().await;
    let tick = async |later| quell.handle_in(&process, json!({ "quell": "tick" }), later).await;
    for (later, told) in [(60, 1), (120, 1), (HOUR, 1), (HOUR + 60, 2), (HOUR + 120, 2)] {
        assert!(tick(later).await.is_err_and(|why| why.contains("AccessDenied")), "{later}");
        assert_eq!(quell.told(), vec![SAID; told], "{later}");
    }
    for says in [
        "Why:     the ledger cannot be reached: dynamodb:Query",
        "what an attacker opens again stays open",
        "aws dynamodb describe-table",
    ] {
        assert!(quell.email().contains(says), "{says:?}: {}", quell.email());
    }
    quell.cloud.heal();
    quell.cloud.forget_calls();
    assert!(tick(HOUR + 180).await.is_ok());
    assert_eq!(quell.told(), [""; 0]);
}

/// SNS is asked again in the next minute.
#[tokio::test]
async fn that_the_ledger_cannot_be_asked_is_told_until_it_is_heard() {
    let quell = Rehearsal::of(CONTAIN).await;
    quell.cloud.inject(Rule::on("dynamodb:*", Fault::Refuse(Refusal::Throttled)));
    quell.cloud.inject(Rule::on("sns:Publish", Fault::Refuse(Refusal::Throttled)).times(3));
    let process = quell.process().await;
    let tick = async |later| quell.handle_in(&process, json!({ "quell": "tick" }), later).await;
    assert!(tick(60).await.is_err_and(|why| why.contains("people could not be told")));
    assert_eq!(quell.told(), [""; 0]);
    assert!(tick(120).await.is_err());
    assert_eq!(quell.told().len(), 1);
}

/// What is due can be read, and nothing can be written: people hear of that, and not of each incident each minute.
#[tokio::test]
async fn a_ledger_that_takes_no_writes_is_told_once_an_hour_and_not_for_each_incident() {
    let quell = Rehearsal::of(CONTAIN).await;
    for event in [KEY, INSTANCE] {
        quell.killed_at("dynamodb:TransactWriteItems", Fault::PauseAfter, quell.event(&read(event)), 0).await;
    }
    let before = quell.cloud.world().await;
    quell.cloud.forget_calls();
    quell.cloud.inject(Rule::on("dynamodb:TransactWriteItems", Fault::Refuse(Refusal::Denied)));
    let process = quell.process().await;
    for later in [60, 120, 180] {
        assert!(quell.handle_in(&process, json!({ "quell": "tick" }), later).await.is_err());
    }
    assert_eq!(quell.told().len(), 1, "{:?}", quell.told());
    assert!(quell.told()[0].starts_with("QUELL CANNOT USE ITS LEDGER"), "{:?}", quell.told());
    assert!(quell.email().contains("TransactWriteItems: AccessDenied"), "{}", quell.email());
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
    quell.cloud.heal();
    quell.cloud.forget_calls();
    quell.handle_in(&process, json!({ "quell": "tick" }), 240).await.ok();
    assert_eq!(quell.verdicts(), ["CONTAINED"; 2]);
}

/// An account that hangs is no outage of the ledger: that it cannot be seen is written down, and tried less often.
#[tokio::test]
async fn an_account_that_hangs_is_not_taken_for_the_ledger() {
    let quell = Rehearsal::of(CONTAIN).await;
    quell.killed_at("dynamodb:TransactWriteItems", Fault::PauseAfter, quell.event(&read(INSTANCE)), 0).await;
    quell.cloud.forget_calls();
    quell.cloud.inject(Rule::on("ec2:*", Fault::Delay(Duration::from_mins(2))));
    quell.tick(60).await.ok();
    assert!(!quell.told().is_empty() && quell.told().iter().all(|told| !told.contains("LEDGER")), "{:?}", quell.told());
    quell.cloud.heal();
    quell.cloud.forget_calls();
    quell.tick(400).await.ok();
    assert_eq!(quell.verdicts().last().map(String::as_str), Some("CONTAINED"), "{}", quell.email());
}

/// EC2 may not know a group in the moments after it was made. It must not be left with the rule that lets all out.
#[tokio::test]
async fn a_quarantine_group_that_ec2_does_not_know_yet_is_closed_all_the_same() {
    let quell = Rehearsal::of(CONTAIN).await;
    let unknown = |times| Rule::on("RevokeSecurityGroupEgress", Fault::Refuse(Refusal::NoSuchGroup)).times(times);
    quell.cloud.inject(unknown(5));
    assert_eq!(verdict(&quell.deliver(&read(INSTANCE)).await), "contained", "{}", quell.email());
    assert_eq!(open_groups(&quell).await, 0, "{}", quell.email());

    // It takes longer: nothing is moved into it before it is closed, and it is tried again.
    let quell = Rehearsal::of(CONTAIN).await;
    quell.cloud.inject(unknown(usize::MAX));
    assert!(quell.deliver(&read(INSTANCE)).await.is_err());
    let email = quell.email();
    assert!(email.starts_with("NOT CONTAINED: ") && email.contains("The security group does not exist"), "{email}");
    assert!(email.contains("may work when tried again: ec2:RevokeSecurityGroupEgress"), "{email}");
    assert!(!quell.calls().iter().any(|call| call.operation == "ModifyNetworkInterfaceAttribute"), "{email}");
    quell.cloud.heal();
    assert_eq!(verdict(&quell.handle(quell.event(&read(INSTANCE)), 120).await), "contained", "{}", quell.email());
    assert_eq!(open_groups(&quell).await, 0, "{}", quell.email());
}

/// How many quarantine groups let something out.
async fn open_groups(quell: &Rehearsal) -> usize {
    let rules = quell.cloud.main().rules().await;
    let groups = quarantine_groups(quell).await;
    assert!(!groups.is_empty());
    rules.iter().filter(|rule| groups.iter().any(|group| rule["groupId"] == group.as_str())).count()
}

/// EC2 refuses to list all interfaces of a large account at once, hides what a service manages where the account wants so, and
/// shows the owner of a shared VPC the groups of others. The emulator does none of it.
#[tokio::test]
async fn ec2_is_asked_so_that_large_and_shared_accounts_answer() {
    let quell = Rehearsal::of(CONTAIN).await;
    for event in [INSTANCE, "port_probe"] {
        assert_eq!(verdict(&quell.deliver(&read(event)).await), "contained", "{}", quell.email());
    }
    let asked = |operation: &str, by: &str| -> Vec<serde_json::Value> {
        let calls = quell.calls().into_iter().filter(|call| call.operation == operation);
        calls.map(|call| call.parameters).filter(|asked| asked.to_string().contains(by)).collect()
    };
    for (operation, by, is_paged) in [
        ("DescribeNetworkInterfaces", "attachment.instance-id", true),
        ("DescribeNetworkInterfaces", "\"group-id\"", true),
        ("DescribeNetworkInterfaces", "NetworkInterfaceId.1", false),
        ("DescribeInstances", "InstanceId.1", false),
    ] {
        let asked = asked(operation, by);
        let whole = |asked: &serde_json::Value| {
            asked["IncludeManagedResources"] == "true" && (!is_paged || asked["MaxResults"] == "1000")
        };
        assert!(!asked.is_empty() && asked.iter().all(whole), "{by}: {asked:?}");
    }
    let asked = asked("DescribeSecurityGroups", "quell-quarantine");
    let own = |asked: &serde_json::Value| asked.to_string().contains("owner-id");
    assert!(!asked.is_empty() && asked.iter().all(own), "{asked:?}");
}

/// Nor does it keep what is due elsewhere, or what waits to be told, from its turn in the same tick.
#[tokio::test]
async fn an_account_that_hangs_leaves_the_tick_to_the_others() {
    let mut quell = Rehearsal::of(CONTAIN).await;
    for event in [INSTANCE, "port_probe", "instance_mines_bitcoin"] {
        assert_eq!(verdict(&quell.deliver(&read(event)).await), "contained", "{}", quell.email());
    }
    quell.decide(&format!("[limit]\nper_hour = 0\n{CONTAIN}"));
    for event in [KEY, "instance_credentials_used_outside_aws"] {
        assert_eq!(verdict(&quell.handle(quell.event(&read(event)), 10).await), "waiting-for-approval");
    }
    quell.cloud.forget_calls();
    quell.cloud.inject(Rule::on("ec2:*", Fault::Delay(Duration::from_mins(2))));
    quell.tick(70).await.ok();
    let told = quell.told();
    assert!(told.iter().any(|told| told.contains("WAITING FOR APPROVAL")), "{told:?}");
}
