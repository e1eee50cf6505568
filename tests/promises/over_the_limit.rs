//! Beyond the hour's limit a person is asked, and a storm of findings is no storm of messages.

use crate::cloud::{Fault, Message, Refusal, Rule, breakpoint};
use crate::guarding::balanced;
use crate::looking_after::{GROUP, GROUP_ID, HOUR, KEY, KEY_ID, rule, without_the_instance};
use crate::one_group::{ID, open, probe_of};
use crate::rehearsal::{Rehearsal, TIMEOUT};
use crate::stage::{CONTAIN, read};
use crate::story::{but, newer};
use crate::taking_back::verdict;
use serde_json::{Value, json};
use std::time::Duration;

const PROBE: (&str, &str) = ("port_probe", "f351532bafcc77f8c3301b51d22f8d61");
const SESSION: (&str, &str) = ("instance_credentials_used_outside_aws", "c6c9af66c89db32765c152270257a69e");
const MINER: (&str, &str) = ("instance_mines_bitcoin", "c218f816f3732196b9d69ecfe8a0f3e8");
const OF_TWO: &str = "WAITING FOR APPROVAL: 2 findings beyond the hour's limit (account 111122223333)";
const TOO_MANY: &str = "more containments within an hour than the policy allows";
const MAYBE_KNOWN: &str = "You may have been told this before";

/// One key is contained, which is all that the hour allows, and three findings wait: the first of them was told.
async fn storm() -> Rehearsal {
    let quell = Rehearsal::of(&format!("[limit]\nper_hour = 1\n{CONTAIN}")).await;
    assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "contained");
    quell.cloud.forget_calls();
    for (event, _) in [PROBE, SESSION, MINER] {
        assert_eq!(verdict(&quell.deliver(&read(event)).await), "waiting-for-approval", "{}", quell.email());
    }
    assert_eq!(quell.told().len(), 1, "{:?}", quell.told());
    assert!(quell.email().contains("The limit of the hour is reached"), "{}", quell.email());
    assert!(quell.email().contains(&format!("quell approve {} --plan 1", fixed(PROBE.1))), "{}", quell.email());
    quell.cloud.forget_calls();
    quell
}

fn fixed(finding: &str) -> String {
    format!("111122223333/eu-west-1/{finding}")
}

/// What waits may have another plan by now, which cannot be seen for a moment: it comes again, and then is asked about.
#[tokio::test]
async fn a_newer_state_of_what_waits_that_cannot_be_looked_at_comes_again() {
    let quell = Rehearsal::of(&rule("approve", "")).await;
    assert_eq!(verdict(&quell.deliver(&probe_of("22", ID)).await), "waiting-for-approval", "{}", quell.email());
    quell.cloud.inject(Rule::on("ec2:DescribeInstances", Fault::Refuse(Refusal::Throttled)));
    let next = quell.event(&newer(&probe_of("25", ID)));
    let again = quell.handle(next.clone(), 30).await;
    assert!(again.is_err(), "{again:?}");
    quell.cloud.heal();
    assert_eq!(verdict(&quell.handle(next, 90).await), "waiting-for-approval", "{}", quell.email());
    assert!(quell.email().contains("--plan 2\n") && quell.email().contains("      port 25 of "), "{}", quell.email());
}

/// What waits for room names another port by now: that is what a person is asked about.
#[tokio::test]
async fn another_port_of_what_waits_beyond_the_limit_is_shown() {
    let mut quell = Rehearsal::of(&format!("[limit]\nremediation = {{ exposed-port = 0 }}\n{CONTAIN}")).await;
    let before = quell.cloud.world().await;
    assert_eq!(verdict(&quell.deliver(&probe_of("22", ID)).await), "waiting-for-approval", "{}", quell.email());
    for (limit, later) in [(0, 30), (10, 60)] {
        quell.decide(&format!("[limit]\nremediation = {{ exposed-port = {limit} }}\n{CONTAIN}"));
        let port = if limit == 0 { "25" } else { "26" };
        let state = (0..later / 30).fold(probe_of(port, ID), |state, _| newer(&state));
        let next = quell.handle(quell.event(&state), later).await;
        assert_eq!(verdict(&next), "waiting-for-approval", "{}", quell.email());
        let plan = format!("--plan {}\n", 1 + later / 30);
        assert!(
            quell.email().contains(&plan) && quell.email().contains(&format!("      port {port} of ")),
            "{}",
            quell.email()
        );
    }
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0], "{}", quell.email());
    quell.approve(ID, 3, 90).await;
    assert_eq!(open(&quell).await, [(20, 25), (27, 30)], "{}", quell.email());
}

#[tokio::test]
async fn the_first_is_told_at_once_and_the_others_in_one_message() {
    let quell = storm().await;
    let before = quell.cloud.world().await;
    // It is known, and comes with the others.
    assert_eq!(verdict(&quell.deliver(&read(SESSION.0)).await), "known");
    assert_eq!(quell.told(), [""; 0]);
    quell.tick(60).await.ok();
    assert_eq!(quell.told(), [OF_TWO]);
    let email = quell.email();
    for (_, finding) in [SESSION, MINER] {
        for command in ["approve", "reject", "show"] {
            assert!(email.contains(&format!("\nquell {command} {}", fixed(finding))), "{email}");
        }
    }
    for says in ["deny policy QuellDeny-", "security groups of interface eni-", "GuardDuty says: "] {
        assert!(email.contains(says), "{says:?}: {email}");
    }
    assert!(!email.contains(PROBE.1) && !email.contains(MAYBE_KNOWN), "{email}");
    quell.cloud.forget_calls();
    quell.tick(130).await.ok();
    assert_eq!((quell.told(), quell.changes(&before, &quell.cloud.world().await)), (Vec::new(), Vec::new()));
    assert_eq!(quell.approve(MINER.1, 1, 200).await["ok"]["verdict"], "contained");
    assert_eq!(quell.order_about("reject", SESSION.1, 200).await["ok"]["verdict"], "rejected");
    assert_eq!(quell.order_about("undo", MINER.1, 300).await["ok"]["verdict"], "released");
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
}

#[tokio::test]
async fn what_was_decided_before_it_was_told_is_not_in_the_message() {
    let quell = storm().await;
    let (one, other) = (quell.approve(MINER.1, 1, 10).await, quell.order_about("reject", PROBE.1, 20).await);
    assert_eq!((&one["ok"]["verdict"], &other["ok"]["verdict"]), (&"contained".into(), &"rejected".into()));
    quell.cloud.forget_calls();
    quell.tick(60).await.ok();
    // One alone has its own message.
    assert_eq!(quell.verdicts(), ["WAITING FOR APPROVAL"]);
    assert!(quell.told().iter().all(|told| told.contains("of role web-")), "{:?}", quell.told());
    assert!(!quell.email().contains(MAYBE_KNOWN), "{}", quell.email());
}

#[tokio::test]
async fn a_sweep_that_dies_after_the_message_repeats_it_and_says_so() {
    for is_told in [true, false] {
        let quell = storm().await;
        let (pause, reached) = breakpoint();
        let fault = if is_told { Fault::PauseAfter(pause) } else { Fault::PauseBefore(pause) };
        quell.cloud.inject(Rule::on("sns:Publish", fault));
        assert!(quell.handle_until(json!({ "quell": "tick" }), 60, reached).await);
        quell.cloud.heal();
        quell.cloud.forget_calls();
        quell.tick(120).await.ok();
        let is_marked = |message: &Message| message.bodies["email"].contains(MAYBE_KNOWN);
        let (marked, others): (Vec<_>, Vec<_>) = quell.cloud.messages().into_iter().partition(is_marked);
        assert_eq!(marked.len(), 1, "{:?}", quell.told());
        assert_eq!(marked[0].subject.as_deref().map(|it| quell.account.delocalise(it)), Some(OF_TWO.to_owned()));
        assert!(others.len() <= 1, "only the one that went out before: {:?}", quell.told());
    }
}

#[tokio::test]
async fn what_could_not_be_told_is_told_by_the_next_sweep() {
    let quell = storm().await;
    quell.cloud.inject(Rule::on("sns:Publish", Fault::Refuse(Refusal::Throttled)));
    let failed = quell.tick(60).await;
    assert!(failed.is_err_and(|why| why.contains("people could not be told")));
    quell.cloud.heal();
    quell.cloud.forget_calls();
    quell.tick(120).await.ok();
    assert_eq!(quell.told(), [OF_TWO]);
    assert!(!quell.email().contains(MAYBE_KNOWN), "{}", quell.email());
}

/// SNS takes the message, and never answers; each tick would end there.
#[tokio::test]
async fn a_topic_that_hangs_makes_no_storm_of_messages_and_keeps_nothing_from_its_turn() {
    let quell = storm().await;
    quell.cloud.inject(Rule::on("sns:Publish", Fault::Delay(Duration::from_mins(2))));
    // Lambda would kill it then.
    let failed = tokio::time::timeout(TIMEOUT, quell.tick(60)).await;
    assert!(failed.is_ok_and(|ended| ended.is_err_and(|why| why.contains("people could not be told"))));
    quell.cloud.heal();
    quell.cloud.forget_calls();
    quell.tick(120).await.ok();
    assert_eq!(quell.told(), [OF_TWO]);
    assert!(quell.email().contains(MAYBE_KNOWN), "{}", quell.email());
}

/// What else there is to say of a finding is not in the message of many: here that an instance may not be read.
#[tokio::test]
async fn what_there_is_more_to_say_of_is_told_by_itself() {
    let quell = Rehearsal::of(&format!("[limit]\nper_hour = 0\n{CONTAIN}")).await;
    quell.deliver(&read(PROBE.0)).await.ok();
    quell.cloud.forget_calls();
    quell.cloud.inject(Rule::on("ec2:DescribeInstances", Fault::Refuse(Refusal::Denied)));
    quell.deliver(&but("attack_sequence", &[GROUP])).await.ok();
    assert_eq!(quell.told().len(), 1, "{:?}", quell.told());
    assert!(quell.email().contains("UnauthorizedOperation"), "{}", quell.email());
    assert!(quell.email().contains(&format!("quell approve {}", fixed(GROUP_ID))), "{}", quell.email());
}

/// Whoever decides on an isolation knows which load balancers lose the instance.
#[tokio::test]
async fn what_else_stops_is_told_of_what_waits_beyond_the_limit() {
    let quell = Rehearsal::of(&format!("[limit]\nper_hour = 0\n{CONTAIN}")).await;
    balanced(&quell).await;
    let sequence = but("attack_sequence", &[GROUP]);
    assert_eq!(verdict(&quell.deliver(&sequence).await), "waiting-for-approval", "{}", quell.email());
    let says = "Load balancers send it requests, and lose it: front (port 443), inner (port 8080), old (port 80).";
    assert!(quell.email().contains(says), "{}", quell.email());
}

/// The answer is lost each time: nobody knows whether people got it.
#[tokio::test]
async fn a_message_of_several_that_may_have_gone_out_is_repeated_as_such() {
    let quell = storm().await;
    quell.cloud.inject(Rule::on("sns:Publish", Fault::LostResponse).times(1));
    quell.tick(60).await.ok();
    quell.cloud.heal();
    let messages = quell.cloud.messages();
    let marked: Vec<bool> = messages.iter().map(|message| message.bodies["email"].contains(MAYBE_KNOWN)).collect();
    assert_eq!((quell.told(), marked), (vec![OF_TWO.to_owned(); 2], vec![false, true]));
}

#[tokio::test]
async fn what_a_person_approves_counts_and_is_not_held_back() {
    let quell = Rehearsal::of(&format!("[limit]\nper_hour = 1\n{}", rule("approve", ""))).await;
    let mut contains = quell;
    for (event, _) in [(KEY, KEY_ID), PROBE] {
        assert_eq!(verdict(&contains.deliver(&read(event)).await), "waiting-for-approval");
    }
    for finding in [KEY_ID, PROBE.1] {
        assert_eq!(contains.approve(finding, 1, 10).await["ok"]["verdict"], "contained", "{}", contains.email());
    }
    contains.decide(&format!("[limit]\nper_hour = 2\n{CONTAIN}"));
    assert_eq!(verdict(&contains.deliver(&read(SESSION.0)).await), "waiting-for-approval", "{}", contains.email());
    let event = contains.event(&read(MINER.0));
    assert_eq!(verdict(&contains.handle(event, HOUR + 75).await), "contained", "{}", contains.email());
}

/// The first answer is lost, and after that SNS takes nothing.
#[tokio::test]
async fn what_may_have_gone_out_is_marked_whatever_came_after() {
    let quell = storm().await;
    quell.cloud.inject(Rule::on("sns:Publish", Fault::LostResponse).times(1));
    quell.cloud.inject(Rule::on("sns:Publish", Fault::Refuse(Refusal::Throttled)));
    assert!(quell.tick(60).await.is_err());
    quell.cloud.heal();
    quell.cloud.forget_calls();
    quell.tick(120).await.ok();
    let is_marked = |message: &Message| message.bodies["email"].contains(MAYBE_KNOWN);
    assert_eq!(quell.cloud.messages().iter().filter(|it| is_marked(it)).count(), 1, "{:?}", quell.told());
    assert_eq!(quell.told(), [OF_TWO]);
}

/// A finding that names several resources is as many containments.
#[tokio::test]
async fn each_resource_of_a_finding_counts() {
    let limit = |per_hour: u32| format!("[limit]\nper_hour = {per_hour}\n{CONTAIN}");
    let mut quell = Rehearsal::of(&limit(1)).await;
    let before = quell.cloud.world().await;
    assert_eq!(verdict(&quell.deliver(&but("attack_sequence", &[GROUP])).await), "waiting-for-approval");
    assert!(quell.email().contains(TOO_MANY), "{}", quell.email());
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
    assert_eq!(quell.approve(GROUP_ID, 1, 10).await["ok"]["verdict"], "contained", "{}", quell.email());
    quell.decide(&limit(2));
    assert_eq!(verdict(&quell.deliver(&read(PROBE.0)).await), "waiting-for-approval", "{}", quell.email());
    quell.decide(&limit(3));
    assert_eq!(verdict(&quell.deliver(&read(SESSION.0)).await), "contained", "{}", quell.email());
}

#[tokio::test]
async fn what_an_update_adds_to_what_is_held_counts_too() {
    let quell = Rehearsal::of(&format!("[limit]\nper_hour = 1\n{CONTAIN}")).await;
    let before = quell.cloud.world().await;
    let whole = but("attack_sequence", &[GROUP]);
    assert_eq!(verdict(&quell.handle(without_the_instance(&quell, &whole), 0).await), "contained");
    let contained = quell.cloud.world().await;
    quell.cloud.forget_calls();
    assert_eq!(verdict(&quell.handle(quell.event(&newer(&whole)), 10).await), "partial", "{}", quell.email());
    for says in [TOO_MANY, "The limit of the hour is reached", "\nAPPROVE OR REJECT\n"] {
        assert!(quell.email().contains(says), "{says:?}: {}", quell.email());
    }
    assert_eq!(quell.changes(&contained, &quell.cloud.world().await), [""; 0]);
    assert_eq!(quell.approve(GROUP_ID, 1, 20).await["ok"]["verdict"], "contained", "{}", quell.email());
    assert_eq!(quell.order_about("undo", GROUP_ID, 60).await["ok"]["verdict"], "released");
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
}

/// All instances of a VPC share its quarantine group, and each is a containment of its own.
#[tokio::test]
async fn each_instance_of_a_vpc_counts() {
    let quell = Rehearsal::of(&format!("[limit]\nper_hour = 2\n{CONTAIN}")).await;
    let mut first: Value = serde_json::from_str(&but("attack_sequence", &[GROUP])).unwrap();
    let resources = |event: &mut Value| {
        let resources = event.pointer_mut("/detail/service/detection/sequence/resources").unwrap();
        resources.as_array_mut().unwrap().clone()
    };
    let instance = resources(&mut first)[1].clone();
    let other = instance.to_string().replace("i-0a1b2c3d4e5f60718", "i-0c1b2c3d4e5f60718");
    let other = other.replace("eni-0a1b2c3d4e5f60001", "eni-0c1b2c3d4e5f60001");
    let other: Value = serde_json::from_str(&other).unwrap();
    let with = |instances: &[&Value]| {
        let mut event = first.clone();
        event["detail"]["service"]["detection"]["sequence"]["resources"] = json!(instances);
        event.to_string()
    };
    // With the key of whoever acts.
    assert_eq!(verdict(&quell.deliver(&with(&[&instance])).await), "contained", "{}", quell.email());
    let contained = quell.cloud.world().await;
    let event = quell.event(&newer(&with(&[&instance, &other])));
    assert_eq!(verdict(&quell.handle(event, 10).await), "partial", "{}", quell.email());
    assert!(quell.email().contains(TOO_MANY), "{}", quell.email());
    assert!(!quell.email().contains("found later, and not done"), "{}", quell.email());
    assert_eq!(quell.changes(&contained, &quell.cloud.world().await), [""; 0]);
}
