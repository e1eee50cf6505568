//! What waits for a person is decided by a person, or by the time that the rule gives them; and it is known by whom.

use crate::attacker::quarantine_groups;
use crate::cloud::{REGION, Refusal};
use crate::guarding::balanced;
use crate::looking_after::{GROUP, GROUP_ID, HOUR, KEY, KEY_ID, refuse, rule, without_the_instance};
use crate::one_group::OF_BATCH;
use crate::rehearsal::Rehearsal;
use crate::stage::{CONTAIN, read};
use crate::story::{but, newer};
use crate::taking_back::verdict;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_sts::config::Credentials;
use quell::operator::proof::Proof;
use quell::operator::wire::Order;
use serde_json::{Value, json};

#[tokio::test]
async fn a_plan_waits_until_a_person_approves_it_once() {
    let quell = Rehearsal::of(&rule("approve", "approval = { within = '1h' }")).await;
    let before = quell.cloud.world().await;
    assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "waiting-for-approval");
    assert!(quell.email().contains("without an answer Quell drops it and says so"), "{}", quell.email());
    assert!(quell.email().contains(&format!("\nquell approve 111122223333/eu-west-1/{KEY_ID} --plan 1\n")));
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);

    quell.cloud.forget_calls();
    let approved = quell.approve(KEY_ID, 1, 10).await;
    assert_eq!(approved["ok"]["verdict"], "contained", "{approved}");
    assert!(
        quell.email().contains(
            "Approved by somebody whom AWS does not show, who says to be \"arn:aws:iam::111122223333:user/olga\"."
        ),
        "{}",
        quell.email()
    );
    assert_eq!(quell.changes(&before, &quell.cloud.world().await).len(), 2);

    quell.cloud.forget_calls();
    let twice = quell.approve(KEY_ID, 1, 20).await;
    assert_eq!(twice["error"], "nothing waits for approval: it is held");
    let no = quell.order_about("reject", KEY_ID, 20).await;
    assert!(no["error"].as_str().is_some_and(|error| error.starts_with("nothing waits for approval")), "{no}");
    assert_eq!(quell.told(), [""; 0]);
    let shown = quell.order_about("show", KEY_ID, 30).await;
    let history = shown["ok"]["incident"]["history"].to_string();
    assert!(history.contains("approved plan 1") && history.contains("user/olga"), "{history}");
    assert_eq!(quell.order_about("undo", KEY_ID, 40).await["ok"]["verdict"], "released");
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
}

#[tokio::test]
async fn who_gives_an_order_is_shown_by_aws_and_a_proof_is_good_for_one_order() {
    let quell = Rehearsal::of(&rule("approve", "")).await;
    let olga = quell.cloud.user("olga").await;
    // A session's token, with all that must be encoded in a query.
    let token = Some("IQoJb3+JpZ2lu/X2Vj~EA==".to_owned());
    let credentials = Credentials::new(olga.key, olga.secret, token, None, "olga");
    let config = aws_config::defaults(BehaviorVersion::v2026_01_12()).region(Region::new(REGION));
    let config = config.endpoint_url(quell.cloud.url()).credentials_provider(credentials).load().await;
    let signed = async |order: Value| {
        let (mut order, parsed) = (order.clone(), serde_json::from_value::<Order>(order).unwrap());
        order["proof"] = json!(Proof::sign(&config, &format!("{}/", quell.cloud.url()), &parsed).await.unwrap());
        order
    };
    let order = |command: &str| json!({ "command": command, "incident": quell.incident(KEY_ID), "by": "ann" });
    let give = async |order: Value, later| quell.handle(json!({ "quell": order }), later).await.unwrap();
    let shown = format!("arn:aws:iam::{}:user/olga", quell.cloud.account_id);
    quell.deliver(&read(KEY)).await.ok();

    // Signed for another order.
    let mut forged = signed(order("reject")).await;
    (forged["command"], forged["plan"]) = (json!("approve"), json!(1));
    let approved = give(forged, 10).await;
    assert_eq!(approved["ok"]["verdict"], "contained", "{approved}");
    let unknown = "somebody whom AWS does not show, who says to be \"ann\".";
    assert!(quell.email().contains(&format!("Approved by {unknown}")), "{}", quell.email());

    let mut step = order("undo");
    step["step"] = json!(1);
    let undone = give(signed(step).await, 20).await;
    let said = undone["ok"]["text"].as_str().unwrap();
    assert!(said.contains(&format!("Undone by {shown}, as AWS shows, who says to be \"ann\".")), "{said}");
    let history = quell.order_about("show", KEY_ID, 30).await["ok"]["incident"]["history"].to_string();
    assert!(history.contains(&format!("{shown}, as AWS shows, who says to be")), "{history}");

    // AWS would take it for a quarter of an hour.
    let undone = give(signed(order("undo")).await, 130).await;
    assert_eq!(undone["ok"]["verdict"], "released", "{undone}");
    assert!(quell.email().contains(&format!("Undone by {unknown}")), "{}", quell.email());
}

#[tokio::test]
async fn a_plan_that_is_no_longer_what_was_shown_is_shown_again() {
    let quell = Rehearsal::of(&rule("approve", "")).await;
    assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "waiting-for-approval");
    let iam = quell.cloud.moto().service("iam", &quell.cloud.account_id);
    let key = quell.account.real("AKIAIOSFODNN7EXAMPLE");
    let off = [("UserName", "ann"), ("AccessKeyId", key), ("Status", "Inactive")];
    iam.call("UpdateAccessKey", &off).await;
    let before = quell.cloud.world().await;
    quell.cloud.forget_calls();
    let approved = quell.approve(KEY_ID, 1, 10).await;
    assert_eq!(approved["ok"]["verdict"], "waiting-for-approval", "{approved}");
    assert!(quell.email().contains("What would be done is no longer what was shown"), "{}", quell.email());
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
    assert!(quell.email().contains("--plan 2\n"), "{}", quell.email());
    // The same order once more approves nothing that nobody has read.
    let replayed = quell.approve(KEY_ID, 1, 20).await;
    assert_eq!(replayed["error"], "plan 2 waits, not plan 1: read it with \"quell show\" first");
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
    quell.cloud.forget_calls();
    let (one, other) = tokio::join!(quell.approve(KEY_ID, 2, 30), quell.approve(KEY_ID, 2, 30));
    let ends = [&one, &other].map(|answer| answer["ok"]["verdict"].as_str().unwrap_or("wrong"));
    assert!(ends.contains(&"contained") && ends.contains(&"wrong"), "{one} {other}");
    assert_eq!(quell.verdicts(), ["CONTAINED"]);
}

#[tokio::test]
async fn a_plan_that_a_person_rejects_is_not_done_and_not_asked_again() {
    let quell = Rehearsal::of(&rule("approve", "approval = { within = '1h', fallback = 'contain' }")).await;
    let before = quell.cloud.world().await;
    quell.deliver(&read(KEY)).await.ok();
    let rejected = quell.order_about("reject", KEY_ID, 10).await;
    assert_eq!(rejected["ok"]["verdict"], "rejected", "{rejected}");
    assert!(
        quell.email().contains(
            "Rejected: somebody whom AWS does not show, who says to be \"arn:aws:iam::111122223333:user/olga\"."
        ),
        "{}",
        quell.email()
    );
    quell.cloud.forget_calls();
    quell.tick(HOUR + 60).await.ok();
    assert_eq!((quell.told().len(), quell.changes(&before, &quell.cloud.world().await).len()), (0, 0));
    let again = quell.approve(KEY_ID, 1, 20).await;
    assert_eq!(again["error"], "nothing waits for approval: it is rejected");
    let update = newer(&read(KEY));
    for expect in [1, 0] {
        quell.cloud.forget_calls();
        quell.handle(quell.event(&if expect == 1 { update.clone() } else { newer(&update) }), HOUR + 120).await.ok();
        assert_eq!(quell.told().len(), expect, "{}", quell.email());
        assert!(
            expect == 0 || quell.email().contains("left alone, since a person rejected the plan"),
            "{}",
            quell.email()
        );
    }
}

#[tokio::test]
async fn when_nobody_decides_the_rules_fallback_does() {
    for (fallback, end, changes) in [("contain", "CONTAINED", 2), ("abandon", "REJECTED", 0)] {
        let terms = format!("approval = {{ within = '1h', fallback = '{fallback}' }}");
        let quell = Rehearsal::of(&rule("approve", &terms)).await;
        let before = quell.cloud.world().await;
        quell.deliver(&read(KEY)).await.ok();
        quell.cloud.forget_calls();
        quell.tick(HOUR - 60).await.ok();
        assert_eq!(quell.told(), [""; 0]);
        quell.tick(HOUR + 60).await.ok();
        assert_eq!(quell.verdicts(), [end], "{}", quell.email());
        assert!(quell.email().contains("nobody decided in time"), "{}", quell.email());
        assert_eq!(quell.changes(&before, &quell.cloud.world().await).len(), changes, "{fallback}");
    }
}

#[tokio::test]
async fn the_history_names_the_rules_of_its_time() {
    let mut quell = Rehearsal::of(&CONTAIN.replace("contain all", "plan all").replace("'contain'", "'plan'")).await;
    assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "planned");
    quell.decide(CONTAIN);
    assert_eq!(verdict(&quell.handle(quell.event(&newer(&read(KEY))), 60).await), "contained");
    let shown = quell.order_about("show", KEY_ID, 90).await;
    let who = |entry: &Value| entry["who"].as_str().unwrap_or_default().to_owned();
    let history: Vec<String> = shown["ok"]["incident"]["history"].as_array().into_iter().flatten().map(who).collect();
    assert_eq!(history.first().map(String::as_str), Some("the policy, by rule \"plan all\""), "{history:?}");
    assert_eq!(history.last().map(String::as_str), Some("the policy, by rule \"contain all\""), "{history:?}");
}

#[tokio::test]
async fn waiting_for_a_person_makes_no_finding_old() {
    let terms = "approval = { within = '30h', fallback = 'contain' }";
    let quell = Rehearsal::of(&CONTAIN.replace("'contain'", &format!("'approve'\n{terms}"))).await;
    assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "waiting-for-approval");
    quell.cloud.forget_calls();
    quell.tick(30 * HOUR + 60).await.ok();
    assert_eq!(quell.verdicts(), ["CONTAINED"], "{}", quell.email());
    assert!(quell.email().contains("Approved by the policy, since nobody decided in time"), "{}", quell.email());
}

#[tokio::test]
async fn the_kill_switch_holds_also_for_what_a_person_or_time_approves() {
    let policy = rule("approve", "approval = { within = '1h', fallback = 'contain' }");
    for by_time in [true, false] {
        let quell = Rehearsal::of(&policy).await.with("QUELL_KILL_SWITCH", "quell-kill-switch");
        quell.cloud.set_parameter("quell-kill-switch", "contain").await;
        let before = quell.cloud.world().await;
        assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "waiting-for-approval");
        quell.cloud.set_parameter("quell-kill-switch", "plan").await;
        quell.cloud.forget_calls();
        if by_time {
            quell.tick(HOUR + 60).await.ok();
            assert!(quell.email().contains("Nobody decided in time, and what the rule says to do then is held back"));
        } else {
            quell.approve(KEY_ID, 1, 60).await;
        }
        assert!(quell.email().contains("the kill switch says \"plan\""), "{by_time}: {}", quell.email());
        assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0], "{by_time}");
    }
}

#[tokio::test]
async fn beyond_the_hours_limit_a_person_is_asked() {
    let quell = Rehearsal::of(&format!("[limit]\nper_hour = 1\n{CONTAIN}")).await;
    assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "contained");
    quell.cloud.forget_calls();
    let probe = "port_probe";
    assert_eq!(verdict(&quell.deliver(&read(probe)).await), "waiting-for-approval");
    assert!(quell.email().contains("more containments within an hour than the policy allows"), "{}", quell.email());
    let approved = quell.approve("f351532bafcc77f8c3301b51d22f8d61", 1, 10).await;
    assert_eq!(approved["ok"]["verdict"], "contained", "{approved}");
    // It is an hour from then, whenever the clock's hour turns.
    let event = quell.event(&read("instance_credentials_used_outside_aws"));
    assert_eq!(verdict(&quell.handle(event, HOUR - 60).await), "waiting-for-approval", "{}", quell.email());
    let event = quell.event(&read("instance_mines_bitcoin"));
    assert_eq!(verdict(&quell.handle(event, HOUR + 75).await), "contained");
}

#[tokio::test]
async fn of_two_things_one_is_contained_and_the_other_waits_until_it_is_decided() {
    let policy = format!(
        "[[rule]]\nname = 'keys'\ntypes = ['AttackSequence:*']\nresponse = 'contain'\n\
         remediations = ['compromised-access-key']\nmax_blast = 0\n{CONTAIN}"
    );
    let quell = Rehearsal::of(&policy).await;
    let id = "485d8cb88c072a52e390bd255303de1e";
    let end = quell.deliver(&read("attack_sequence")).await;
    assert_eq!(verdict(&end), "waiting-for-approval", "{}", quell.email());
    quell.cloud.forget_calls();
    assert_eq!(quell.order_about("reject", id, 10).await["ok"]["verdict"], "rejected", "{}", quell.email());
    // What was decided is not asked again.
    for later in [70, HOUR + 70, 25 * HOUR] {
        quell.tick(later).await.ok();
    }
    assert_eq!(quell.verdicts(), ["REJECTED"]);
}

#[tokio::test]
async fn what_is_held_is_looked_at_again_though_the_rest_still_waits() {
    // The key's owner has another key, which is more than the rule lets stop; the instance is alone.
    let quell = Rehearsal::of(&CONTAIN.replace("response", "max_blast = 0\nresponse")).await;
    let before = quell.cloud.world().await;
    let sequence = but("attack_sequence", &[GROUP]);
    let end = quell.deliver(&sequence).await;
    assert_eq!(verdict(&end), "partial", "{}", quell.email());
    let contained = quell.cloud.world().await;
    assert!(quell.email().contains("\nAPPROVE OR REJECT\n"), "{}", quell.email());

    let opened = quell.account.real("eni-0a1b2c3d4e5f60001");
    let ec2 = quell.cloud.moto().service("ec2", &quell.cloud.account_id);
    let group = quell.account.real("sg-0a1b2c3d4e5f60030");
    ec2.call("ModifyNetworkInterfaceAttribute", &[("NetworkInterfaceId", opened), ("SecurityGroupId.1", group)]).await;
    assert!(!quell.changes(&contained, &quell.cloud.world().await).is_empty());
    quell.cloud.forget_calls();
    let event = quell.event(&newer(&sequence));
    assert_eq!(verdict(&quell.handle(event, 10).await), "partial");
    assert!(quell.email().contains("Somebody had set it back"), "{}", quell.email());
    assert!(quell.email().contains("\nAPPROVE OR REJECT\n"), "{}", quell.email());
    assert_eq!(quell.changes(&contained, &quell.cloud.world().await), [""; 0]);

    let approved = quell.approve(GROUP_ID, 1, 20).await;
    assert_eq!(approved["ok"]["verdict"], "contained", "{approved}");
    assert_eq!(quell.order_about("undo", GROUP_ID, 30).await["ok"]["verdict"], "released");
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
}

#[tokio::test]
async fn what_an_update_adds_beyond_the_limit_is_asked() {
    let policy = format!(
        "[limit]\nremediation = {{ compromised-instance = 0 }}\n{}",
        CONTAIN.replace("response", "max_blast = 0\nresponse")
    );
    let quell = Rehearsal::of(&policy).await;
    let before = quell.cloud.world().await;
    let whole = but("attack_sequence", &[GROUP]);
    let first = without_the_instance(&quell, &whole);
    assert_eq!(verdict(&quell.handle(first, 0).await), "waiting-for-approval", "{}", quell.email());
    quell.cloud.forget_calls();
    assert_eq!(verdict(&quell.handle(quell.event(&newer(&whole)), 10).await), "waiting-for-approval");
    assert_eq!(quell.told().len(), 1);
    assert!(
        quell.email().contains("more compromised-instance within an hour than the policy allows"),
        "{}",
        quell.email()
    );
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
    assert_eq!(quell.approve(GROUP_ID, 2, 20).await["ok"]["verdict"], "contained");
}

#[tokio::test]
async fn time_does_not_approve_more_than_the_hours_limit() {
    let terms = "approval = { within = '1h', fallback = 'contain' }";
    let quell = Rehearsal::of(&format!("[limit]\nper_hour = 1\n{}", rule("approve", terms))).await;
    quell.deliver(&read(KEY)).await.ok();
    quell.deliver(&read("port_probe")).await.ok();
    quell.cloud.forget_calls();
    quell.tick(HOUR + 60).await.ok();
    let mut verdicts = quell.verdicts();
    verdicts.sort_unstable();
    assert_eq!(verdicts, ["CONTAINED", "WAITING FOR APPROVAL"], "{}", quell.email());
}

#[tokio::test]
async fn what_an_update_adds_is_contained_while_the_rest_waits() {
    let quell = Rehearsal::of(&CONTAIN.replace("response", "max_blast = 0\nresponse")).await;
    let before = quell.cloud.world().await;
    let whole = but("attack_sequence", &[GROUP]);
    let first = without_the_instance(&quell, &whole);
    assert_eq!(verdict(&quell.handle(first, 0).await), "waiting-for-approval", "{}", quell.email());
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
    quell.cloud.forget_calls();
    assert_eq!(verdict(&quell.handle(quell.event(&newer(&whole)), 10).await), "partial", "{}", quell.email());
    assert!(!quell.changes(&before, &quell.cloud.world().await).is_empty());
    assert!(quell.email().contains("GuardDuty saw it again, and there was more to contain."), "{}", quell.email());
    assert!(quell.email().contains("\nAPPROVE OR REJECT\n"), "{}", quell.email());
    assert_eq!(quell.approve(GROUP_ID, 1, 20).await["ok"]["verdict"], "contained");
    assert_eq!(quell.order_about("undo", GROUP_ID, 30).await["ok"]["verdict"], "released");
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
}

#[tokio::test]
async fn the_end_of_what_was_for_a_time_leaves_the_rest_to_whoever_decides() {
    let policy = CONTAIN.replace("response", "max_blast = 0\nexpires = '1h'\nresponse");
    let quell = Rehearsal::of(&policy).await;
    let before = quell.cloud.world().await;
    assert_eq!(verdict(&quell.deliver(&but("attack_sequence", &[GROUP])).await), "partial", "{}", quell.email());
    quell.cloud.forget_calls();
    quell.tick(HOUR + 60).await.ok();
    assert_eq!(quell.verdicts(), ["RELEASED"], "{}", quell.email());
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
    assert!(quell.email().contains("Yes, decide on the rest."), "{}", quell.email());
    assert!(quell.email().contains("\nAPPROVE OR REJECT\n"), "{}", quell.email());

    quell.cloud.forget_calls();
    let approved = quell.approve(GROUP_ID, 1, 2 * HOUR).await;
    assert_eq!(approved["ok"]["verdict"], "partial", "{approved}");
    assert!(quell.email().contains("lowered to approve: 1 other thing would stop"), "{}", quell.email());
    assert!(quell.email().contains("it was contained for a time, which is over"), "{}", quell.email());
    let contained = quell.changes(&before, &quell.cloud.world().await);
    assert!(contained.len() == 2 && contained.iter().all(|change| change.contains("ann")), "{contained:?}");
    // Nor does a look that fails and is made again.
    refuse(&quell, &["iam:ListAccessKeys"], Refusal::Unavailable);
    quell.tick(2 * HOUR + 6).await.ok();
    quell.cloud.heal();
    quell.tick(2 * HOUR + 69).await.ok();
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), contained, "{}", quell.email());
    // What was approved has the rule's time from then on.
    quell.cloud.forget_calls();
    for later in [2 * HOUR + 70, 3 * HOUR - 60] {
        quell.tick(later).await.ok();
    }
    assert_eq!(quell.told(), [""; 0], "{}", quell.email());
    quell.tick(3 * HOUR + 60).await.ok();
    assert_eq!(quell.verdicts(), ["RELEASED"], "{}", quell.email());
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
}

#[tokio::test]
async fn what_is_approved_later_has_its_whole_time() {
    let policy = CONTAIN.replace("response", "max_blast = 0\nexpires = '1h'\nresponse");
    let quell = Rehearsal::of(&policy).await;
    let before = quell.cloud.world().await;
    assert_eq!(verdict(&quell.deliver(&but("attack_sequence", &[GROUP])).await), "partial", "{}", quell.email());
    let half = HOUR / 2;
    assert_eq!(quell.approve(GROUP_ID, 1, half).await["ok"]["verdict"], "contained");
    quell.cloud.forget_calls();
    quell.tick(HOUR + 60).await.ok();
    // The instance's time is over, the key's is not.
    assert_eq!(quell.told().len(), 1, "{}", quell.email());
    let said = ["security groups of interface eni-0a1b2c3d4e5f60001: given back", "2 others were not asked for"];
    assert!(said.iter().all(|said| quell.email().contains(said)), "{}", quell.email());
    let held = quell.changes(&before, &quell.cloud.world().await);
    assert!(held.len() == 2 && held.iter().all(|change| change.contains("ann")), "{held:?}");
    quell.cloud.forget_calls();
    quell.tick(HOUR + half + 60).await.ok();
    assert_eq!(quell.verdicts(), ["RELEASED"], "{}", quell.email());
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
}

#[tokio::test]
async fn a_finding_that_grows_while_it_waits_is_judged_anew() {
    let policy = "[guards]\nstale_after = '400h'\n[[rule]]\nname = 'high'\ntypes = ['*']\nseverity = 'high'\n\
                  response = 'contain'\n[[rule]]\nname = 'rest'\ntypes = ['*']\nresponse = 'approve'\n";
    let quell = Rehearsal::of(policy).await;
    let before = quell.cloud.world().await;
    assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "waiting-for-approval");
    quell.cloud.forget_calls();
    let same = newer(&read(KEY));
    assert_eq!((verdict(&quell.deliver(&same).await), quell.told()), ("known", Vec::new()));
    let higher = newer(&same).replace("\"severity\":5", "\"severity\":8");
    assert_eq!(verdict(&quell.deliver(&higher).await), "contained", "{}", quell.email());
    assert!(
        quell.email().contains("severity high (8)") && !quell.email().contains("quell approve"),
        "{}",
        quell.email()
    );
    assert_eq!(quell.order_about("undo", KEY_ID, 40).await["ok"]["verdict"], "released");
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
}

#[tokio::test]
async fn what_a_newer_state_of_the_finding_adds_is_shown_and_approved_as_another_plan() {
    const PROBE: &str = "f351532bafcc77f8c3301b51d22f8d61";
    let quell = Rehearsal::of(&rule("approve", "")).await;
    let before = quell.cloud.world().await;
    let probe = but("port_probe", &OF_BATCH);
    assert_eq!(verdict(&quell.deliver(&probe).await), "waiting-for-approval");
    let more = newer(&probe).replace("\"port\":22", "\"port\":25");
    assert_eq!(verdict(&quell.deliver(&more).await), "waiting-for-approval");
    assert!(quell.email().contains("What would be done is no longer what was shown"), "{}", quell.email());
    assert!(quell.email().contains("--plan 2") && quell.email().contains("port 25 of"), "{}", quell.email());
    let old = quell.approve(PROBE, 1, 20).await;
    assert_eq!(old["error"], "plan 2 waits, not plan 1: read it with \"quell show\" first");
    // Nobody approved what the first plan had, nor is it in this one.
    assert_eq!(quell.approve(PROBE, 2, 30).await["ok"]["verdict"], "partial");
    assert!(
        quell.email().contains("named by an earlier state of the finding, and not in this plan"),
        "{}",
        quell.email()
    );
    let changes = quell.changes(&before, &quell.cloud.world().await).join("\n");
    assert!(changes.contains("tcp 20-24") && changes.contains("tcp 26-30"), "{changes}");
}

#[tokio::test]
async fn a_passing_fault_when_the_time_is_up_only_puts_it_off() {
    let quell = Rehearsal::of(&rule("approve", "approval = { within = '1h', fallback = 'contain' }")).await;
    assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "waiting-for-approval");
    quell.cloud.forget_calls();
    refuse(&quell, &["ListAccessKeys"], Refusal::Throttled);
    quell.tick(HOUR + 60).await.ok();
    assert_eq!(quell.told(), [""; 0], "{}", quell.email());
    quell.cloud.heal();
    quell.tick(HOUR + 130).await.ok();
    assert_eq!(quell.verdicts(), ["CONTAINED"], "{}", quell.email());
    assert!(quell.email().contains("nobody decided in time"), "{}", quell.email());
}

#[tokio::test]
async fn each_remediation_has_a_limit_of_its_own_also_where_the_policy_names_none() {
    let quell = Rehearsal::of(&format!("[limit]\nper_hour = 100\n{CONTAIN}")).await;
    let contain = async |n: i64| {
        let finding = format!("{:032x}", 0x5e8e_0000 + n);
        let event = quell.event(&read(KEY).replace(KEY_ID, &finding));
        let answer = quell.handle(event, 30 * n).await;
        quell.order_about("undo", &finding, 30 * n + 1).await;
        verdict(&answer).to_owned()
    };
    for n in 0..10 {
        assert_eq!(contain(n).await, "contained", "{n}");
    }
    quell.cloud.forget_calls();
    assert_eq!(contain(10).await, "waiting-for-approval");
    let said = "more compromised-access-key within an hour than the policy allows";
    assert!(quell.email().contains(said), "{}", quell.email());
    let event = quell.event(&read("port_probe"));
    assert_eq!(verdict(&quell.handle(event, 400).await), "contained", "another remediation has its own");
}

#[tokio::test]
async fn what_was_for_a_time_and_goes_on_is_contained_again_though_the_rest_waits() {
    let policy = CONTAIN.replace("response", "max_blast = 0\nexpires = '1h'\nresponse");
    let quell = Rehearsal::of(&policy).await;
    let before = quell.cloud.world().await;
    let sequence = but("attack_sequence", &[GROUP]);
    assert_eq!(verdict(&quell.deliver(&sequence).await), "partial", "{}", quell.email());
    quell.tick(HOUR + 60).await.ok();
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
    let again = quell.handle(quell.event(&newer(&sequence)), HOUR + 600).await;
    assert_eq!(verdict(&again), "partial", "{}", quell.email());
    let contained = quell.changes(&before, &quell.cloud.world().await);
    assert!(!contained.is_empty() && !contained.iter().any(|change| change.contains("ann")), "{contained:?}");
    quell.tick(2 * HOUR + 700).await.ok();
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0], "it has its own hour: {}", quell.email());
}

/// An attacker may keep a quarantine group in use, so that it cannot be deleted.
#[tokio::test]
async fn what_cannot_be_ended_keeps_nobody_from_looking_after_the_rest() {
    let policy = CONTAIN.replace("response", "max_blast = 0\nexpires = '1h'\nresponse");
    let quell = Rehearsal::of(&policy).await;
    let sequence = but("attack_sequence", &[GROUP]);
    assert_eq!(verdict(&quell.deliver(&sequence).await), "partial", "{}", quell.email());
    assert_eq!(quell.approve(GROUP_ID, 1, HOUR / 2).await["ok"]["verdict"], "contained");
    let ec2 = quell.cloud.moto().service("ec2", &quell.cloud.account_id);
    let group = quarantine_groups(&quell).await.remove(0);
    let subnet = quell.account.real("subnet-0a1b2c3d4e5f60020");
    ec2.call("CreateNetworkInterface", &[("SubnetId", subnet), ("SecurityGroupId.1", &group)]).await;
    for later in [60, 130, 260] {
        quell.tick(HOUR + later).await.ok();
    }
    assert!(quell.email().contains("still held, tried again in six hours"), "{}", quell.email());
    let iam = quell.cloud.moto().service("iam", &quell.cloud.account_id);
    iam.call("DeleteUserPolicy", &[("UserName", "ann"), ("PolicyName", "QuellQuarantine")]).await;
    quell.cloud.forget_calls();
    quell.handle(quell.event(&newer(&sequence)), HOUR + 400).await.ok();
    assert_eq!(quell.verdicts(), ["CONTAINED AGAIN"], "{}", quell.email());
    iam.call("GetUserPolicy", &[("UserName", "ann"), ("PolicyName", "QuellQuarantine")]).await;
}

/// IAM tells apart by which ARN a function is invoked, and nothing else.
#[tokio::test]
async fn what_changes_something_is_taken_by_the_alias_for_it_alone() {
    let mut quell = Rehearsal::of(&rule("approve", "")).await.with("QUELL_OPERATE", "operate");
    let before = quell.cloud.world().await;
    assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "waiting-for-approval");
    assert_eq!(quell.order_about("show", KEY_ID, 5).await["ok"]["incident"]["status"], "waiting");
    for alias in ["", ":other", ":notoperate"] {
        quell.by(alias);
        let refused = quell.approve(KEY_ID, 1, 10).await;
        assert_eq!(refused["error"], "what changes something is taken by the function's alias \"operate\" alone");
        assert!(quell.order_about("reject", KEY_ID, 10).await["error"].is_string());
    }
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
    // A function that is called as the alias is.
    quell.called("operate");
    quell.by("");
    assert!(quell.approve(KEY_ID, 1, 10).await["error"].is_string());
    quell.by(":operate");
    assert_eq!(quell.approve(KEY_ID, 1, 20).await["ok"]["verdict"], "contained");
    quell.by("");
    assert!(quell.order_about("undo", KEY_ID, 30).await["error"].is_string());
    let dry = json!({ "command": "undo", "incident": quell.incident(KEY_ID), "dry_run": true });
    assert!(quell.order(dry, 30).await["ok"].is_object(), "a dry run changes nothing");
}

#[tokio::test]
async fn an_approval_while_aws_cannot_be_asked_leaves_the_plan_as_it_was_read() {
    let quell = Rehearsal::of(&rule("approve", "")).await;
    assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "waiting-for-approval");
    quell.cloud.forget_calls();
    refuse(&quell, &["sts:GetCallerIdentity"], Refusal::Unavailable);
    let not_now = quell.approve(KEY_ID, 1, 20).await;
    let why = not_now["not_now"].as_str().unwrap_or_default();
    assert!(why.starts_with("nothing was done: it cannot be looked at now, so give the order again: "), "{not_now}");
    assert_eq!(quell.told(), [""; 0]);
    quell.cloud.heal();
    assert_eq!(quell.approve(KEY_ID, 1, 30).await["ok"]["verdict"], "contained");
}

#[tokio::test]
async fn an_approval_without_a_number_is_of_the_only_plan_that_was_shown() {
    let quell = Rehearsal::of(&rule("approve", "")).await;
    assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "waiting-for-approval");
    let iam = quell.cloud.moto().service("iam", &quell.cloud.account_id);
    let key = quell.account.real("AKIAIOSFODNN7EXAMPLE");
    iam.call("UpdateAccessKey", &[("UserName", "ann"), ("AccessKeyId", key), ("Status", "Inactive")]).await;
    let before = quell.cloud.world().await;
    let shown_again = quell.order_about("approve", KEY_ID, 10).await;
    assert_eq!(shown_again["ok"]["verdict"], "waiting-for-approval", "{shown_again}");
    let which = quell.order_about("approve", KEY_ID, 20).await;
    let says = "more than one plan was shown: name the one that you read, --plan 2 if it is the newest";
    assert_eq!(which["error"], says);
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);

    let quell = Rehearsal::of(&rule("approve", "")).await;
    assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "waiting-for-approval");
    assert_eq!(quell.order_about("approve", KEY_ID, 10).await["ok"]["verdict"], "contained");
    let history = quell.order_about("show", KEY_ID, 20).await["ok"]["incident"]["history"].to_string();
    assert!(history.contains("approved plan 1"), "{history}");
}

/// The key waits; then the policy has it contained, and what waits is the instance, which nobody has read of.
#[tokio::test]
async fn what_waits_in_the_place_of_another_plan_has_a_number_of_its_own() {
    let mut quell = Rehearsal::of(&rule("approve", "approval = { within = '1h' }")).await;
    balanced(&quell).await;
    let whole = but("attack_sequence", &[GROUP]);
    let first = without_the_instance(&quell, &whole);
    assert_eq!(verdict(&quell.handle(first, 0).await), "waiting-for-approval", "{}", quell.email());
    quell.decide(&rule("contain", "max_blast = 1\napproval = { within = '1h' }"));
    let late = HOUR - 60;
    assert_eq!(verdict(&quell.handle(quell.event(&newer(&whole)), late).await), "partial", "{}", quell.email());
    assert!(quell.email().contains("3 other things would stop, the rule allows 1"), "{}", quell.email());
    assert!(quell.email().contains("--plan 2\n"), "{}", quell.email());
    let contained = quell.cloud.world().await;
    let old = quell.approve(GROUP_ID, 1, late + 10).await;
    assert_eq!(old["error"], "plan 2 waits, not plan 1: read it with \"quell show\" first");
    // Those who decide have their whole time.
    quell.cloud.forget_calls();
    quell.tick(late + 120).await.ok();
    assert_eq!(quell.told(), [""; 0], "{}", quell.email());
    assert_eq!(quell.changes(&contained, &quell.cloud.world().await), [""; 0]);
    assert_eq!(quell.approve(GROUP_ID, 2, late + 130).await["ok"]["verdict"], "contained", "{}", quell.email());
}

/// The interface is given back when its time is over, and the group cannot be: that is not over, the interface is.
async fn ended_in_part() -> Rehearsal {
    let policy = CONTAIN.replace("response", "max_blast = 0\nexpires = '1h'\nresponse");
    let quell = Rehearsal::of(&policy).await;
    assert_eq!(verdict(&quell.deliver(&but("attack_sequence", &[GROUP])).await), "partial", "{}", quell.email());
    let ec2 = quell.cloud.moto().service("ec2", &quell.cloud.account_id);
    let group = quarantine_groups(&quell).await.remove(0);
    let subnet = quell.account.real("subnet-0a1b2c3d4e5f60020");
    ec2.call("CreateNetworkInterface", &[("SubnetId", subnet), ("SecurityGroupId.1", &group)]).await;
    for later in [60, 130, 260] {
        quell.tick(HOUR + later).await.ok();
    }
    assert!(quell.email().contains("still held, tried again in six hours"), "{}", quell.email());
    quell
}

#[tokio::test]
async fn what_has_ended_in_part_is_not_contained_again_by_deciding_on_the_rest() {
    let quell = ended_in_part().await;
    let network = quell.cloud.part_of_world(&quell.cloud.account_id, "ec2").await;
    let approved = quell.approve(GROUP_ID, 1, HOUR + 300).await;
    let iam = quell.cloud.moto().service("iam", &quell.cloud.account_id);
    iam.call("GetUserPolicy", &[("UserName", "ann"), ("PolicyName", "QuellQuarantine")]).await;
    let now = quell.cloud.part_of_world(&quell.cloud.account_id, "ec2").await;
    assert_eq!(quell.changes(&network, &now), [""; 0], "{approved}");
}

/// The first approval is answered with another plan, and the second one is of that.
#[tokio::test]
async fn what_has_ended_in_part_is_not_contained_again_by_deciding_twice() {
    let quell = ended_in_part().await;
    let iam = quell.cloud.moto().service("iam", &quell.cloud.account_id);
    let key = quell.account.real("AKIAIOSFODNN7EXAMPLE");
    iam.call("UpdateAccessKey", &[("UserName", "ann"), ("AccessKeyId", key), ("Status", "Inactive")]).await;
    let network = quell.cloud.part_of_world(&quell.cloud.account_id, "ec2").await;
    quell.approve(GROUP_ID, 1, HOUR + 300).await;
    assert!(quell.email().contains("--plan 2\n"), "{}", quell.email());
    quell.approve(GROUP_ID, 2, HOUR + 320).await;
    iam.call("GetUserPolicy", &[("UserName", "ann"), ("PolicyName", "QuellQuarantine")]).await;
    let now = quell.cloud.part_of_world(&quell.cloud.account_id, "ec2").await;
    assert_eq!(quell.changes(&network, &now), [""; 0], "{}", quell.email());
}

/// The time to decide begins when people hear of it.
#[tokio::test]
async fn a_plan_that_people_could_not_be_told_of_in_time_still_waits_when_they_are() {
    for fallback in ["contain", "abandon"] {
        let approval = format!("approval = {{ within = '15m', fallback = '{fallback}' }}");
        let quell = Rehearsal::of(&rule("approve", &approval)).await;
        refuse(&quell, &["sns:Publish"], Refusal::Denied);
        quell.deliver(&read(KEY)).await.unwrap_err();
        quell.tick(20 * 60).await.ok();
        quell.cloud.heal();
        quell.tick(30 * 60).await.ok();
        assert_eq!(quell.verdicts(), ["WAITING FOR APPROVAL"], "{fallback}");
        quell.tick(44 * 60).await.ok();
        assert_eq!(quell.verdicts(), ["WAITING FOR APPROVAL"], "{fallback}");
        quell.tick(46 * 60).await.ok();
        let ended = if fallback == "contain" { "CONTAINED" } else { "REJECTED" };
        assert_eq!(quell.verdicts(), ["WAITING FOR APPROVAL", ended], "{}", quell.email());
    }
}

/// The same where something else of the finding is held, which is looked at meanwhile.
#[tokio::test]
async fn what_waits_beside_what_is_held_waits_until_people_could_be_told() {
    let approval = "approval = { within = '15m', fallback = 'abandon' }";
    let policy = format!("[limit]\nremediation = {{ compromised-instance = 0 }}\n{}", rule("contain", approval));
    let quell = Rehearsal::of(&policy.replace("[guards]\nstale_after = '400h'\n", "")).await;
    refuse(&quell, &["sns:Publish"], Refusal::Denied);
    quell.deliver(&but("attack_sequence", &[GROUP])).await.unwrap_err();
    quell.cloud.heal();
    quell.tick(14 * 60).await.ok();
    assert!(quell.email().contains("\nAPPROVE OR REJECT\n"), "{}", quell.email());
    let told = quell.told().len();
    for minutes in [16, 28] {
        quell.tick(minutes * 60).await.ok();
        assert_eq!(quell.told().len(), told, "{minutes}: {}", quell.email());
    }
}

/// `quell undo --step` goes by the numbers that `quell show` gave before.
#[tokio::test]
async fn steps_keep_their_numbers_when_what_waits_is_approved() {
    let quell = Rehearsal::of(&format!("[limit]\nremediation = {{ compromised-access-key = 0 }}\n{CONTAIN}")).await;
    assert_eq!(verdict(&quell.deliver(&but("attack_sequence", &[GROUP])).await), "partial", "{}", quell.email());
    let subjects = async |later: i64| -> Vec<Value> {
        let shown = quell.order_about("show", GROUP_ID, later).await;
        let parts = shown["ok"]["incident"]["parts"].as_array().cloned().unwrap_or_default();
        parts.iter().map(|part| part["plan"]["subject"]["kind"]["kind"].clone()).collect()
    };
    let before = subjects(10).await;
    assert!(before.len() > 1 && before[0] == "user-key", "{before:?}");
    assert_eq!(quell.approve(GROUP_ID, 1, 20).await["ok"]["verdict"], "contained", "{}", quell.email());
    assert_eq!(subjects(30).await, before);
}
