//! What another finding keeps closed, a finding that names it keeps closed too; and what runs that died left goes in the end.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics has said what it has to say")]

use crate::attacker::tcp;
use crate::cloud::{Call, Fault, Refusal, Rule, breakpoint};
use crate::looking_after::rule;
use crate::one_group::{ID, OF_BATCH, OTHER_ID, open, probe_of};
use crate::rehearsal::Rehearsal;
use crate::stage::{CONTAIN, know, read};
use crate::story::newer;
use crate::taking_back::verdict;
use serde_json::{Value, json};

/// A probe and an attack on one port come as two findings.
#[tokio::test]
async fn a_port_that_two_findings_name_stays_closed_until_both_are_given_back() {
    let quell = Rehearsal::of(CONTAIN).await;
    let before = quell.cloud.world().await;
    assert_eq!(verdict(&quell.deliver(&probe_of("22", ID)).await), "contained");
    let closed = [(20, 21), (23, 30)];
    quell.cloud.settle();
    quell.cloud.forget_calls();
    let second = quell.handle(quell.event(&probe_of("22", OTHER_ID)), 60).await;
    assert_eq!(verdict(&second), "contained", "{}", quell.email());
    let says =
        format!("port 22 is kept closed by incident {} too, and stays so when that is undone", quell.incident(ID));
    assert!(quell.email().contains(&quell.account.delocalise(&says)), "{}", quell.email());
    let writes = |call: &Call| call.operation.ends_with("SecurityGroupIngress") && call.accepted;
    assert!(!quell.calls().iter().any(writes), "nothing is written: {:?}", quell.calls());
    let undone = quell.order_about("undo", ID, 120).await;
    assert_eq!(open(&quell).await, closed, "{}", quell.email());
    let says = format!("not given back: incident {} holds it too", quell.incident(OTHER_ID));
    assert!(undone.to_string().contains(&says), "{undone}");
    quell.cloud.forget_calls();
    quell.tick(200).await.ok();
    assert_eq!(quell.told(), [""; 0], "{}", quell.email());
    assert_eq!(quell.order_about("undo", OTHER_ID, 300).await["ok"]["verdict"], "released", "{}", quell.email());
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
}

#[tokio::test]
async fn of_two_ports_the_one_that_another_finding_names_too_stays_closed() {
    let quell = Rehearsal::of(CONTAIN).await;
    let before = quell.cloud.world().await;
    assert_eq!(verdict(&quell.deliver(&probe_of("22", ID)).await), "contained");
    quell.cloud.settle();
    assert_eq!(verdict(&quell.handle(quell.event(&probe_of("25", OTHER_ID)), 60).await), "contained");
    quell.cloud.settle();
    quell.cloud.forget_calls();
    // The second goes on, and names the port that the first has closed.
    let more = quell.handle(quell.event(&newer(&probe_of("22", OTHER_ID))), 120).await;
    assert_eq!(verdict(&more), "contained", "{}", quell.email());
    assert!(!quell.email().contains("Somebody had set it back"), "{}", quell.email());
    assert_eq!(open(&quell).await, [(20, 21), (23, 24), (26, 30)]);
    let undone = quell.order_about("undo", OTHER_ID, 180).await;
    let says =
        format!("given back with new ids for the rules, but for what incident {} keeps closed too", quell.incident(ID));
    assert!(undone.to_string().contains(&says), "{undone}");
    assert_eq!(open(&quell).await, [(20, 21), (23, 30)], "the first keeps its own closed");
    assert_eq!(quell.order_about("undo", ID, 300).await["ok"]["verdict"], "released", "{}", quell.email());
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
}

/// What a person is asked to approve is to keep closed what another finding closed; undone meanwhile, it is to close it.
#[tokio::test]
async fn what_another_finding_gave_back_before_it_was_approved_is_shown_again() {
    let mut quell = Rehearsal::of(CONTAIN).await;
    let before = quell.cloud.world().await;
    assert_eq!(verdict(&quell.deliver(&probe_of("22", ID)).await), "contained");
    quell.cloud.settle();
    quell.decide(&rule("approve", ""));
    let second = quell.handle(quell.event(&probe_of("22", OTHER_ID)), 60).await;
    assert_eq!(verdict(&second), "waiting-for-approval", "{}", quell.email());
    assert_eq!(quell.order_about("undo", ID, 120).await["ok"]["verdict"], "released");
    quell.cloud.settle();
    let approved = quell.approve(OTHER_ID, 1, 180).await;
    assert_eq!(approved["ok"]["verdict"], "waiting-for-approval", "{approved}");
    assert_eq!(quell.approve(OTHER_ID, 2, 240).await["ok"]["verdict"], "contained", "{}", quell.email());
    assert_eq!(open(&quell).await, [(20, 21), (23, 30)]);
    assert_eq!(quell.order_about("undo", OTHER_ID, 300).await["ok"]["verdict"], "released");
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
}

/// An undo that died between its two calls left a rule beside its parts, and another's undo came first.
#[tokio::test]
async fn what_an_undo_that_died_has_left_goes_with_the_last_one() {
    for order in [[ID, OTHER_ID], [OTHER_ID, ID]] {
        let quell = Rehearsal::of(CONTAIN).await;
        let before = quell.cloud.world().await;
        assert_eq!(verdict(&quell.deliver(&probe_of("22", ID)).await), "contained");
        quell.cloud.settle();
        assert_eq!(verdict(&quell.handle(quell.event(&probe_of("25", OTHER_ID)), 60).await), "contained");
        quell.cloud.settle();
        let undo = json!({ "quell": { "command": "undo", "incident": quell.incident(ID), "by": "olga" } });
        quell.killed_at("RevokeSecurityGroupIngress", Fault::PauseBefore, undo, 120).await;
        quell.cloud.settle();
        assert_eq!(open(&quell).await, [(20, 21), (20, 24), (23, 24), (26, 30)]);
        for (id, later) in [(order[0], 300), (order[1], 400), (order[0], 500)] {
            quell.order_about("undo", id, later).await;
            quell.cloud.settle();
        }
        assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0], "{order:?}: {}", quell.email());
    }
}

/// A run died before it closed anything, and is undone before anybody goes on with it.
#[tokio::test]
async fn what_another_left_open_for_a_run_that_died_goes_with_the_last_undo() {
    let quell = Rehearsal::of(CONTAIN).await;
    let before = quell.cloud.world().await;
    assert_eq!(verdict(&quell.deliver(&probe_of("22", ID)).await), "contained");
    quell.cloud.settle();
    quell
        .killed_at("AuthorizeSecurityGroupIngress", Fault::PauseBefore, quell.event(&probe_of("25", OTHER_ID)), 60)
        .await;
    for (id, later) in [(ID, 400), (OTHER_ID, 500)] {
        quell.order_about("undo", id, later).await;
        quell.cloud.settle();
    }
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0], "{}", quell.email());
}

/// Contains the first finding between the second one's question to the ledger and its look at the rules: what becomes of both.
async fn first_while_second_looks(quell: &Rehearsal, second: Value) -> (Result<Value, String>, Result<Value, String>) {
    let (pause, mut looks) = breakpoint();
    quell.cloud.inject(Rule::on("ec2:DescribeSecurityGroupRules", Fault::PauseBefore(pause)).nth(1));
    let first = quell.event(&probe_of("22", ID));
    let (second, first) = tokio::join!(quell.handle(second, 0), async {
        looks.reached().await;
        let first = quell.handle(first, 0).await;
        looks.resume();
        first
    });
    (first, second)
}

/// The second finding asks the ledger before the first is in it, and AWS after the first has closed the port.
#[tokio::test]
async fn a_port_that_another_closes_while_a_finding_looks_is_kept_closed_too() {
    let quell = Rehearsal::of(CONTAIN).await;
    let before = quell.cloud.world().await;
    let (first, second) = first_while_second_looks(&quell, quell.event(&probe_of("22", OTHER_ID))).await;
    assert_eq!((verdict(&first), verdict(&second)), ("contained", "contained"), "{}", quell.email());
    quell.cloud.settle();
    quell.order_about("undo", ID, 100).await;
    assert_eq!(open(&quell).await, [(20, 21), (23, 30)], "{}", quell.email());
    assert_eq!(quell.order_about("undo", OTHER_ID, 200).await["ok"]["verdict"], "released", "{}", quell.email());
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
}

/// The same, of one of the two ports that a finding names.
#[tokio::test]
async fn of_two_ports_the_one_that_another_closes_meanwhile_is_kept_closed_too() {
    let quell = Rehearsal::of(CONTAIN).await;
    let before = quell.cloud.world().await;
    let both = two_ports(&quell);
    let (first, second) = first_while_second_looks(&quell, both.clone()).await;
    assert_eq!(verdict(&first), "contained", "{}", quell.email());
    // A rehearsal has less time than the function: there it waits, here it comes again, as Lambda brings it.
    if second.is_err() {
        quell.cloud.settle();
        assert_eq!(verdict(&quell.handle(both, 60).await), "contained", "{}", quell.email());
    }
    quell.cloud.settle();
    assert_eq!(open(&quell).await, [(20, 21), (23, 24), (26, 30)]);
    quell.order_about("undo", ID, 200).await;
    assert_eq!(open(&quell).await, [(20, 21), (23, 24), (26, 30)], "{}", quell.email());
    assert_eq!(quell.order_about("undo", OTHER_ID, 300).await["ok"]["verdict"], "released", "{}", quell.email());
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
}

/// The second finding, on the ports 22 and 25.
fn two_ports(quell: &Rehearsal) -> Value {
    let mut event = quell.event(&probe_of("22", OTHER_ID));
    let probes = event.pointer_mut("/detail/service/action/portProbeAction/portProbeDetails").unwrap();
    let mut other = probes[0].clone();
    other["localPortDetails"]["port"] = json!(25);
    probes.as_array_mut().unwrap().push(other);
    know(&quell.cloud, &event.to_string());
    event
}

/// An undo died after it had written all, and the sweep goes on with it: who keeps the rest is said all the same.
#[tokio::test]
async fn who_keeps_a_port_is_said_also_by_an_undo_that_finds_all_done() {
    let quell = Rehearsal::of(CONTAIN).await;
    let before = quell.cloud.world().await;
    assert_eq!(verdict(&quell.handle(two_ports(&quell), 0).await), "contained", "{}", quell.email());
    quell.cloud.settle();
    assert_eq!(verdict(&quell.handle(quell.event(&probe_of("22", ID)), 60).await), "contained");
    quell.cloud.settle();
    let undo = json!({ "quell": { "command": "undo", "incident": quell.incident(OTHER_ID), "by": "olga" } });
    quell.killed_at("RevokeSecurityGroupIngress", Fault::PauseAfter, undo, 120).await;
    quell.cloud.settle();
    assert_eq!(open(&quell).await, [(20, 21), (23, 30)]);
    quell.cloud.forget_calls();
    quell.tick(300).await.ok();
    assert_eq!(quell.verdicts(), ["PARTLY RELEASED"], "{}", quell.email());
    let says = format!("given back, but for what incident {} keeps closed too", quell.incident(ID));
    assert!(quell.email().contains(&quell.account.delocalise(&says)), "{}", quell.email());
    assert_eq!(quell.order_about("undo", ID, 400).await["ok"]["verdict"], "released", "{}", quell.email());
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
}

/// A person said no to it; that somebody else has it closed by now makes it no other plan.
#[tokio::test]
async fn a_no_is_for_good_whoever_closes_the_port() {
    let mut quell = Rehearsal::of(&rule("approve", "")).await;
    assert_eq!(verdict(&quell.deliver(&probe_of("22", OTHER_ID)).await), "waiting-for-approval");
    quell.order_about("reject", OTHER_ID, 20).await;
    quell.decide(CONTAIN);
    assert_eq!(verdict(&quell.handle(quell.event(&probe_of("22", ID)), 60).await), "contained");
    quell.cloud.settle();
    quell.cloud.forget_calls();
    quell.handle(quell.event(&newer(&probe_of("22", OTHER_ID))), 120).await.unwrap();
    assert!(!quell.email().contains("APPROVE OR REJECT"), "{}", quell.email());
    let shown = quell.order_about("show", OTHER_ID, 130).await;
    assert_eq!(shown["ok"]["holds"], json!([]), "{shown}");
}

/// What waits names another port by now; that others keep it closed too makes it no less another plan.
#[tokio::test]
async fn a_port_that_others_keep_closed_is_asked_about_like_any_other() {
    let mut quell = Rehearsal::of(CONTAIN).await;
    let before = quell.cloud.world().await;
    let third = "f351532bafcc77f8c3301b51d22f8d69";
    assert_eq!(verdict(&quell.deliver(&probe_of("22", ID)).await), "contained");
    quell.cloud.settle();
    assert_eq!(verdict(&quell.handle(quell.event(&probe_of("25", OTHER_ID)), 60).await), "contained");
    quell.cloud.settle();
    quell.decide(&rule("approve", ""));
    let asked = quell.handle(quell.event(&probe_of("22", third)), 120).await;
    assert_eq!(verdict(&asked), "waiting-for-approval", "{}", quell.email());
    quell.cloud.forget_calls();
    let next = newer(&probe_of("25", third));
    assert_eq!(verdict(&quell.handle(quell.event(&next), 180).await), "waiting-for-approval", "{}", quell.email());
    assert!(quell.email().contains("--plan 2\n"), "{}", quell.email());
    // That the plan no longer has the first port is said.
    assert_eq!(quell.approve(third, 2, 240).await["ok"]["verdict"], "partial", "{}", quell.email());
    quell.order_about("undo", OTHER_ID, 300).await;
    quell.cloud.settle();
    assert_eq!(open(&quell).await, [(20, 21), (23, 24), (26, 30)], "{}", quell.email());
    for (id, later) in [(ID, 400), (third, 500)] {
        quell.order_about("undo", id, later).await;
        quell.cloud.settle();
    }
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
}

/// Nothing stops that is not running: nobody is asked, and the rule's ceiling holds nothing back.
#[tokio::test]
async fn what_is_closed_already_stops_nothing_more() {
    let mut quell = Rehearsal::of(CONTAIN).await;
    assert_eq!(verdict(&quell.deliver(&probe_of("22", ID)).await), "contained");
    assert!(quell.email().contains("The port closes to the world for others"), "{}", quell.email());
    quell.cloud.settle();
    quell.decide(&CONTAIN.replace("response", "max_blast = 0\nresponse"));
    let second = quell.handle(quell.event(&probe_of("22", OTHER_ID)), 60).await;
    assert_eq!(verdict(&second), "contained", "{}", quell.email());
}

/// A group may be gone by the time that somebody goes on with what died.
#[tokio::test]
async fn a_group_that_is_gone_when_a_run_goes_on_is_told_as_gone() {
    let quell = Rehearsal::of(CONTAIN).await;
    quell.killed_at("RevokeSecurityGroupIngress", Fault::PauseBefore, quell.event(&read("port_probe")), 0).await;
    let ec2 = quell.cloud.moto().service("ec2", &quell.cloud.account_id);
    let (interface, other) = (quell.account.real("eni-0b1b2c3d4e5f60001"), quell.account.real("sg-0c1b2c3d4e5f60030"));
    let moved = [("NetworkInterfaceId", interface), ("SecurityGroupId.1", other)];
    ec2.call("ModifyNetworkInterfaceAttribute", &moved).await;
    ec2.call("DeleteSecurityGroup", &[("GroupId", quell.account.real("sg-0b1b2c3d4e5f60030"))]).await;
    quell.tick(130).await.ok();
    // The group that the instance is in by now opens the port too.
    assert_eq!(quell.verdicts(), ["CONTAINED"], "{}", quell.email());
    assert!(quell.email().contains("tcp 22 from ::/0 -> no rule: the resource no longer exists"), "{}", quell.email());
    assert!(!quell.email().contains("Make this change"), "{}", quell.email());
}

/// AWS does not let the next state be looked at: people are told, once, and Lambda is not asked to try again.
#[tokio::test]
async fn what_may_not_be_looked_at_is_told_once() {
    let quell = Rehearsal::of(CONTAIN).await;
    assert_eq!(verdict(&quell.deliver(&probe_of("22", ID)).await), "contained");
    quell.cloud.settle();
    quell.cloud.forget_calls();
    let mut next = probe_of("25", ID);
    for later in [60, 120] {
        next = newer(&next);
        let denied = Rule::on("ec2:DescribeInstances", Fault::Refuse(Refusal::Denied));
        quell.cloud.inject(denied);
        quell.handle(quell.event(&next), later).await.unwrap();
        quell.cloud.heal();
    }
    assert_eq!(quell.verdicts(), ["PARTLY CONTAINED"], "{}", quell.email());
    assert!(quell.email().contains("it could not be looked at, or is refused"), "{}", quell.email());
    // Once it may be, it is contained.
    next = newer(&next);
    assert_eq!(verdict(&quell.handle(quell.event(&next), 180).await), "contained", "{}", quell.email());
    assert_eq!(open(&quell).await, [(20, 21), (23, 24), (26, 30)]);
}

/// Somebody adds, by hand, a rule like one that another finding's containment had made.
#[tokio::test]
async fn a_rule_that_somebody_made_and_called_something_else_is_not_closed_by_an_undo() {
    let quell = Rehearsal::of(CONTAIN).await;
    assert_eq!(verdict(&quell.deliver(&probe_of("22", ID)).await), "contained");
    quell.cloud.settle();
    assert_eq!(verdict(&quell.handle(quell.event(&probe_of("25", OTHER_ID)), 60).await), "contained");
    quell.cloud.settle();
    quell.order_about("undo", ID, 120).await;
    assert_eq!(open(&quell).await, [(20, 24), (26, 30)]);
    let (_, group) = OF_BATCH[2];
    let world =
        [("IpPermissions.1.IpRanges.1.CidrIp", "0.0.0.0/0"), ("IpPermissions.1.IpRanges.1.Description", "a person's")];
    let ec2 = quell.cloud.moto().service("ec2", &quell.cloud.account_id);
    ec2.call("AuthorizeSecurityGroupIngress", &tcp(quell.account.real(group), ["20", "21"], world)).await;
    quell.cloud.settle();
    quell.order_about("undo", OTHER_ID, 240).await;
    assert_eq!(open(&quell).await, [(20, 21), (20, 30)], "{}", quell.email());
}

/// A run died after it had closed the port, and a person closed more before anybody went on with it.
#[tokio::test]
async fn what_goes_on_opens_nothing_that_a_person_closed_meanwhile() {
    let quell = Rehearsal::of(CONTAIN).await;
    quell.killed_at("RevokeSecurityGroupIngress", Fault::PauseAfter, quell.event(&probe_of("22", ID)), 0).await;
    assert_eq!(open(&quell).await, [(20, 21), (23, 30)]);
    let world =
        [("IpPermissions.1.IpRanges.1.CidrIp", "0.0.0.0/0"), ("IpPermissions.1.IpRanges.1.Description", "old tools")];
    let ec2 = quell.cloud.moto().service("ec2", &quell.cloud.account_id);
    ec2.call("RevokeSecurityGroupIngress", &tcp(quell.account.real(OF_BATCH[2].1), ["20", "21"], world)).await;
    quell.cloud.settle();
    assert_eq!(open(&quell).await, [(23, 30)]);
    quell.tick(130).await.ok();
    assert_eq!(open(&quell).await, [(23, 30)], "{}", quell.email());
    assert_eq!(quell.verdicts(), ["CONTAINED"], "{}", quell.email());
}
