//! Several findings, or several states of one, want something of the same security group.

use crate::cloud::{Call, Fault, Rule, breakpoint};
use crate::looking_after::rule;
use crate::rehearsal::Rehearsal;
use crate::stage::{CONTAIN, read};
use crate::story::{but, newer};
use crate::taking_back::verdict;

/// The probed instance is the one whose group opens tcp 20-30 to the world in one rule.
pub const OF_BATCH: [(&str, &str); 4] = [
    ("i-0b1b2c3d4e5f60718", "i-0c1b2c3d4e5f60718"),
    ("eni-0b1b2c3d4e5f60001", "eni-0c1b2c3d4e5f60001"),
    ("sg-0b1b2c3d4e5f60030", "sg-0c1b2c3d4e5f60030"),
    ("10.0.1.20", "10.0.1.30"),
];
const ID: &str = "f351532bafcc77f8c3301b51d22f8d61";
const OTHER_ID: &str = "f351532bafcc77f8c3301b51d22f8d62";

fn probe_of(port: &str, id: &str) -> String {
    but("port_probe", &[&OF_BATCH[..], &[("\"port\": 22", &format!("\"port\": {port}")), (ID, id)]].concat())
}

/// The ports that the group opens to the world.
async fn open(quell: &Rehearsal) -> Vec<(i32, i32)> {
    let rules = quell.cloud.main().ingress(quell.account.real("sg-0c1b2c3d4e5f60030")).await;
    let mut ports: Vec<_> = rules.iter().map(|rule| (rule.from, rule.to)).collect();
    ports.sort_unstable();
    ports
}

#[tokio::test]
async fn two_ports_of_one_rule_stay_closed_until_both_are_given_back() {
    let quell = Rehearsal::of(CONTAIN).await;
    let before = quell.cloud.world().await;
    assert_eq!(verdict(&quell.deliver(&probe_of("22", ID)).await), "contained");
    assert_eq!(verdict(&quell.deliver(&probe_of("25", OTHER_ID)).await), "contained");
    assert_eq!(open(&quell).await, [(20, 21), (23, 24), (26, 30)]);
    // What the second closed is within what the first had left open.
    let first = quell.order_about("undo", ID, 1).await;
    assert_eq!(first["ok"]["verdict"], "partly-released", "{first}");
    assert!(quell.email().contains(&format!("{OTHER_ID} holds it")), "{}", quell.email());
    assert_eq!(open(&quell).await, [(20, 21), (23, 24), (26, 30)]);
    quell.cloud.forget_calls();
    quell.tick(20).await.ok();
    assert_eq!(quell.told(), [""; 0], "{}", quell.email());
    assert_eq!(quell.order_about("undo", OTHER_ID, 30).await["ok"]["verdict"], "released");
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
}

#[tokio::test]
async fn two_ports_of_one_rule_that_are_probed_at_once_are_both_closed() {
    let quell = Rehearsal::of(CONTAIN).await;
    let before = quell.cloud.world().await;
    let (one, other) = (quell.event(&probe_of("22", ID)), quell.event(&probe_of("25", OTHER_ID)));
    let (one, other) = tokio::join!(quell.handle(one, 0), quell.handle(other, 0));
    assert_eq!((verdict(&one), verdict(&other)), ("contained", "contained"));
    assert_eq!(open(&quell).await, [(20, 21), (23, 24), (26, 30)]);
    for (id, later) in [(ID, 70), (OTHER_ID, 90), (ID, 110)] {
        quell.order_about("undo", id, later).await;
    }
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
}

#[tokio::test]
async fn what_crashed_is_gone_on_with_and_opens_no_port_that_another_closed_meanwhile() {
    let quell = Rehearsal::of(CONTAIN).await;
    let before = quell.cloud.world().await;
    let (pause, reached) = breakpoint();
    quell.cloud.inject(Rule::on("RevokeSecurityGroupIngress", Fault::PauseAfter(pause)));
    assert!(quell.handle_until(quell.event(&probe_of("22", ID)), 0, reached).await);
    quell.cloud.heal();
    assert_eq!(verdict(&quell.handle(quell.event(&probe_of("25", OTHER_ID)), 5).await), "contained");
    assert_eq!(open(&quell).await, [(20, 21), (23, 24), (26, 30)]);
    quell.cloud.forget_calls();
    quell.tick(120).await.ok();
    assert_eq!(open(&quell).await, [(20, 21), (23, 24), (26, 30)], "{}", quell.email());
    let opens =
        |call: &Call| call.operation == "AuthorizeSecurityGroupIngress" && call.accepted && call.error.is_none();
    assert!(!quell.calls().iter().any(opens), "what is there already is not opened anew: {:?}", quell.calls());
    assert_eq!(quell.verdicts(), ["CONTAINED"], "{}", quell.email());
    quell.order_about("undo", ID, 200).await;
    assert_eq!(open(&quell).await, [(20, 21), (23, 24), (26, 30)], "the second keeps both closed");
    assert_eq!(quell.order_about("undo", OTHER_ID, 300).await["ok"]["verdict"], "released");
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
}

#[tokio::test]
async fn what_crashed_before_it_closed_a_port_opens_none_that_another_closed_meanwhile() {
    let quell = Rehearsal::of(CONTAIN).await;
    let before = quell.cloud.world().await;
    let (pause, reached) = breakpoint();
    quell.cloud.inject(Rule::on("AuthorizeSecurityGroupIngress", Fault::PauseBefore(pause)));
    assert!(quell.handle_until(quell.event(&probe_of("22", ID)), 0, reached).await);
    quell.cloud.heal();
    // By now nobody waits for the first; what both leave open is less than what each does.
    assert_eq!(verdict(&quell.handle(quell.event(&probe_of("25", OTHER_ID)), 65).await), "contained");
    assert_eq!(open(&quell).await, [(26, 30)]);
    quell.tick(130).await.ok();
    assert_eq!(open(&quell).await, [(20, 21), (26, 30)], "{}", quell.email());
    quell.cloud.forget_calls();
    quell.tick(200).await.ok();
    assert_eq!((open(&quell).await, quell.told()), (vec![(20, 21), (26, 30)], Vec::new()), "{}", quell.email());
    assert_eq!(quell.order_about("undo", OTHER_ID, 300).await["ok"]["verdict"], "released");
    assert_eq!(open(&quell).await, [(20, 21), (23, 30)], "the first keeps its own closed");
    assert_eq!(quell.order_about("undo", ID, 400).await["ok"]["verdict"], "released");
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
}

#[tokio::test]
async fn a_port_that_an_update_adds_is_closed_too_and_told() {
    let quell = Rehearsal::of(CONTAIN).await;
    let before = quell.cloud.world().await;
    assert_eq!(verdict(&quell.deliver(&probe_of("22", ID)).await), "contained");
    quell.cloud.forget_calls();
    // GuardDuty names the ports that were probed of late.
    let more = newer(&probe_of("25", ID));
    assert_eq!(verdict(&quell.handle(quell.event(&more), 120).await), "contained", "{}", quell.email());
    assert_eq!(open(&quell).await, [(20, 21), (23, 24), (26, 30)]);
    assert!(quell.email().contains("there was more to contain"), "{}", quell.email());
    assert!(!quell.email().contains("Somebody had set it back"), "{}", quell.email());
    quell.cloud.forget_calls();
    quell.tick(200).await.ok();
    quell.handle(quell.event(&newer(&more)), 260).await.ok();
    assert_eq!(quell.told(), [""; 0], "{}", quell.email());
    assert_eq!(quell.order_about("undo", ID, 300).await["ok"]["verdict"], "released");
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
}

#[tokio::test]
async fn what_an_update_adds_to_what_a_person_approved_is_told_as_not_done() {
    let quell = Rehearsal::of(&rule("approve", "")).await;
    assert_eq!(verdict(&quell.deliver(&probe_of("22", ID)).await), "waiting-for-approval");
    assert_eq!(quell.approve(ID, 1, 10).await["ok"]["verdict"], "contained");
    let contained = open(&quell).await;
    quell.cloud.forget_calls();
    let more = newer(&probe_of("25", ID));
    quell.handle(quell.event(&more), 120).await.ok();
    assert!(quell.email().contains("found later, and not done, since it is held back to approve"), "{}", quell.email());
    assert_eq!(open(&quell).await, contained);
    quell.cloud.forget_calls();
    quell.handle(quell.event(&newer(&more)), 200).await.ok();
    assert_eq!(quell.told(), [""; 0], "{}", quell.email());
}

#[tokio::test]
async fn the_undo_of_a_group_that_was_deleted_ends() {
    let quell = Rehearsal::of(CONTAIN).await;
    assert_eq!(verdict(&quell.deliver(&read("port_probe")).await), "contained");
    let ec2 = quell.cloud.moto().service("ec2", &quell.cloud.account_id);
    let (interface, other) = (quell.account.real("eni-0b1b2c3d4e5f60001"), quell.account.real("sg-0c1b2c3d4e5f60030"));
    let moved = [("NetworkInterfaceId", interface), ("SecurityGroupId.1", other)];
    ec2.call("ModifyNetworkInterfaceAttribute", &moved).await;
    ec2.call("DeleteSecurityGroup", &[("GroupId", quell.account.real("sg-0b1b2c3d4e5f60030"))]).await;
    quell.cloud.forget_calls();
    quell.tick(20).await.ok();
    assert_eq!(quell.told(), [""; 0], "it needs no containing any more: {}", quell.email());
    let undone = quell.order_about("undo", ID, 30).await;
    assert_eq!(undone["ok"]["verdict"], "released", "{undone}");
    assert!(quell.email().contains("no longer exists"), "{}", quell.email());
}
