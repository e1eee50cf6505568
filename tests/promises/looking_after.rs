//! What is contained is looked after: put back when somebody opens it, ended when its time is up, decided when nobody
//! decides.

use crate::cloud::{Fault, REGION, Refusal, Rule};
use crate::rehearsal::Rehearsal;
use crate::stage::{CONTAIN, read};
use crate::story::{but, newer};
use crate::taking_back::verdict;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_sts::config::Credentials;
use quell::operator::proof::Proof;
use quell::operator::wire::Order;
use serde_json::{Value, json};

const KEY: &str = "access_key_used_from_tor";
const KEY_ID: &str = "5e8e95fc4de1f034e96967422b76b5c7";
const HOUR: i64 = 3600;

fn rule(response: &str, more: &str) -> String {
    format!("[guards]\nstale_after = '400h'\n[[rule]]\nname = 'all'\ntypes = ['*']\nresponse = '{response}'\n{more}\n")
}

#[tokio::test]
async fn the_sweep_looks_soon_then_hourly_for_a_day_and_contains_again() {
    let quell = Rehearsal::of(CONTAIN).await;
    assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "contained");
    let contained = quell.cloud.world().await;
    let iam = quell.cloud.moto().service("iam", &quell.cloud.account_id);
    let policy = [("UserName", "ann"), ("PolicyName", "QuellQuarantine")];
    for (later, looks) in [(2, false), (6, true), (8, false), (16, true), (61, true), (90, false), (HOUR + 1, true)] {
        quell.cloud.forget_calls();
        quell.tick(later).await.ok();
        let looked = quell.calls().iter().any(|call| call.operation == "ListAccessKeys");
        assert_eq!((looked, quell.told().len()), (looks, 0), "{later} seconds after");
    }
    iam.call("DeleteUserPolicy", &policy).await;
    quell.cloud.forget_calls();
    quell.tick(2 * HOUR + 1).await.ok();
    assert_eq!(quell.verdicts(), ["CONTAINED AGAIN"]);
    assert!(quell.email().contains("Somebody had set it back, and it was contained again"), "{}", quell.email());
    assert_eq!(quell.changes(&contained, &quell.cloud.world().await), [""; 0]);
    // Whoever did it may do it again: the looks begin anew.
    iam.call("DeleteUserPolicy", &policy).await;
    quell.tick(2 * HOUR + 8).await.ok();
    assert_eq!(quell.changes(&contained, &quell.cloud.world().await), [""; 0]);
    for hour in 3..30 {
        quell.tick(hour * HOUR).await.ok();
    }
    quell.cloud.forget_calls();
    quell.tick(40 * HOUR).await.ok();
    assert!(quell.calls().iter().all(|call| call.service == "dynamodb"), "after a day nobody looks any more");
}

#[tokio::test]
async fn the_invocation_itself_takes_the_first_looks() {
    let quell = Rehearsal::of(CONTAIN).await.with("QUELL_LINGER", "7");
    let event = quell.event(&read(KEY));
    let iam = quell.cloud.moto().service("iam", &quell.cloud.account_id);
    let before = quell.cloud.world().await;
    let (answer, ()) = tokio::join!(quell.handle(event, 0), async {
        while quell.told().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        iam.call("DeleteUserPolicy", &[("UserName", "ann"), ("PolicyName", "QuellQuarantine")]).await;
    });
    assert_eq!(verdict(&answer), "contained");
    assert_eq!(quell.verdicts(), ["CONTAINED", "CONTAINED AGAIN"]);
    assert!(quell.email().contains("Somebody had set it back, and it was contained again"), "{}", quell.email());
    assert_eq!(quell.changes(&before, &quell.cloud.world().await).len(), 2);
}

#[tokio::test]
async fn what_is_contained_for_a_time_is_given_back_when_it_is_over() {
    let quell = Rehearsal::of(&rule("contain", "expires = '4h'")).await;
    let before = quell.cloud.world().await;
    assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "contained");
    assert!(quell.email().contains("; then Quell gives back what it changed."), "{}", quell.email());
    quell.tick(4 * HOUR - 60).await.ok();
    assert!(!quell.changes(&before, &quell.cloud.world().await).is_empty());
    quell.cloud.forget_calls();
    quell.tick(4 * HOUR + 60).await.ok();
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
    assert_eq!(quell.verdicts(), ["RELEASED"]);
    assert!(quell.email().contains("Undone by the sweep."), "{}", quell.email());
}

#[tokio::test]
async fn a_plan_waits_until_a_person_approves_it_once() {
    let quell = Rehearsal::of(&rule("approve", "approval = { within = '1h' }")).await;
    let before = quell.cloud.world().await;
    assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "waiting-for-approval");
    assert!(quell.email().contains("without an answer Quell drops it and says so"), "{}", quell.email());
    assert!(quell.email().contains(&format!("\nquell approve 111122223333/eu-west-1/{KEY_ID}\n")));
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);

    quell.cloud.forget_calls();
    let approved = quell.order_about("approve", KEY_ID, 10).await;
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
    let twice = quell.order_about("approve", KEY_ID, 20).await;
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
    forged["command"] = json!("approve");
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
    let approved = quell.order_about("approve", KEY_ID, 10).await;
    assert_eq!(approved["ok"]["verdict"], "waiting-for-approval", "{approved}");
    assert!(quell.email().contains("What would be done is no longer what was shown"), "{}", quell.email());
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
    assert_eq!(quell.order_about("approve", KEY_ID, 20).await["ok"]["verdict"], "contained");
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
    let again = quell.order_about("approve", KEY_ID, 20).await;
    assert_eq!(again["error"], "nothing waits for approval: it is rejected");
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
async fn fifty_deliveries_at_once_are_one_containment_and_one_message() {
    let quell = Rehearsal::of(CONTAIN).await;
    let before = quell.cloud.world().await;
    let event = quell.event(&read(KEY));
    let all = (0..50).map(|_| quell.handle(event.clone(), 0));
    let ends = futures_util::future::join_all(all).await;
    let contained = ends.iter().filter(|end| verdict(end) == "contained").count();
    let quiet = ends.iter().filter(|end| ["busy", "known"].contains(&verdict(end))).count();
    assert_eq!((contained, quiet), (1, 49), "{ends:?}");
    assert_eq!(quell.verdicts(), ["CONTAINED"]);
    let writes = quell.calls().iter().filter(|call| call.operation == "UpdateAccessKey").count();
    assert_eq!((writes, quell.changes(&before, &quell.cloud.world().await).len()), (1, 2));
}

#[tokio::test]
async fn a_finding_that_the_administrator_and_the_member_send_is_handled_once() {
    let quell = Rehearsal::of(CONTAIN).await;
    let administrators = quell.event(&read("member_account_access_key"));
    let mut members = administrators.clone();
    members["account"] = members["detail"]["accountId"].clone();
    assert_ne!(members, administrators);
    assert_eq!(verdict(&quell.handle(administrators, 0).await), "contained");
    assert_eq!(verdict(&quell.handle(members, 1).await), "known");
    assert_eq!(quell.verdicts(), ["CONTAINED"]);
}

#[tokio::test]
async fn without_the_ledger_nothing_is_changed_and_people_are_told() {
    for refusal in [Refusal::Denied, Refusal::Failure] {
        let quell = Rehearsal::of(CONTAIN).await;
        let before = quell.cloud.world().await;
        quell.cloud.inject(Rule::on("dynamodb:*", Fault::Refuse(refusal)));
        let end = quell.deliver(&read(KEY)).await;
        assert!(end.is_err(), "{end:?}");
        assert_eq!(quell.verdicts(), ["FAILED"]);
        assert!(quell.email().contains("the ledger cannot be written, so nothing was changed"), "{}", quell.email());
        assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
        quell.cloud.heal();
        assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "contained");
    }
}

#[tokio::test]
async fn beyond_the_hours_limit_a_person_is_asked() {
    let quell = Rehearsal::of(&format!("[limit]\nper_hour = 1\n{CONTAIN}")).await;
    assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "contained");
    quell.cloud.forget_calls();
    let probe = "port_probe";
    assert_eq!(verdict(&quell.deliver(&read(probe)).await), "waiting-for-approval");
    assert!(quell.email().contains("as many containments this hour as the policy allows"), "{}", quell.email());
    let approved = quell.order_about("approve", "f351532bafcc77f8c3301b51d22f8d61", 10).await;
    assert_eq!(approved["ok"]["verdict"], "contained", "{approved}");
    // A new hour, a new count.
    let other = but("instance_mines_bitcoin", &[]);
    let event = quell.event(&other);
    assert_eq!(verdict(&quell.handle(event, HOUR).await), "contained");
}

#[tokio::test]
async fn incidents_are_listed_and_shown() {
    let quell = Rehearsal::of(CONTAIN).await;
    quell.deliver(&read(KEY)).await.ok();
    quell.deliver(&read("root_credentials_used")).await.ok();
    let listed = quell.order(json!({ "command": "incidents", "open": false }), 1).await;
    assert_eq!(listed["ok"]["incidents"].as_array().map(Vec::len), Some(2), "{listed}");
    let open = quell.order(json!({ "command": "incidents", "open": true }), 1).await;
    assert_eq!(open["ok"]["incidents"][0]["id"], quell.incident(KEY_ID), "{open}");
    assert_eq!(open["ok"]["incidents"].as_array().map(Vec::len), Some(1));
    let unknown = quell.order_about("show", "0a1b", 1).await;
    assert!(unknown["error"].as_str().is_some_and(|error| error.contains("has no incident")), "{unknown}");
}

#[tokio::test]
async fn what_could_not_be_looked_at_is_looked_at_by_the_sweep() {
    let quell = Rehearsal::of(CONTAIN).await;
    quell.cloud.inject(Rule::on("iam:*", Fault::Refuse(Refusal::Throttled)));
    assert!(quell.deliver(&read(KEY)).await.is_err());
    assert_eq!(quell.verdicts(), ["FAILED"]);
    quell.cloud.heal();
    quell.cloud.forget_calls();
    quell.tick(120).await.ok();
    assert_eq!(quell.verdicts(), ["CONTAINED"], "{}", quell.email());
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

    let approved = quell.order_about("approve", GROUP_ID, 20).await;
    assert_eq!(approved["ok"]["verdict"], "contained", "{approved}");
    assert_eq!(quell.order_about("undo", GROUP_ID, 30).await["ok"]["verdict"], "released");
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
}

#[tokio::test]
async fn a_failure_that_lasts_is_told_once_and_when_quell_gives_up() {
    let quell = Rehearsal::of(CONTAIN).await;
    let before = quell.cloud.world().await;
    quell.cloud.inject(Rule::on("PutUserPolicy", Fault::Refuse(Refusal::Throttled)));
    assert!(quell.deliver(&read(KEY)).await.is_err());
    assert_eq!(quell.verdicts(), ["PARTLY CONTAINED"]);
    // Lambda's own retries, and the sweep's: each fails as an invocation, and nobody is woken for it.
    quell.cloud.forget_calls();
    let event = quell.event(&read(KEY));
    assert!(quell.handle(event, 60).await.is_err());
    for minutes in [3, 8, 17, 34, 67, 130, 200, 270, 340] {
        assert!(quell.tick(minutes * 60).await.is_ok(), "after {minutes} minutes: no alarm rings for what people know");
    }
    assert_eq!(quell.told(), [""; 0]);
    assert!(quell.tick(410 * 60).await.is_ok());
    assert_eq!(quell.verdicts(), ["PARTLY CONTAINED"]);
    let says = "Quell tried it 12 times, and tries again only when it looks after what it holds.";
    assert!(quell.email().contains(says), "{}", quell.email());
    // What is held is looked after all the same, and a look makes what is missing.
    quell.cloud.forget_calls();
    for hours in [8, 9] {
        quell.tick(hours * HOUR).await.ok();
    }
    assert_eq!(quell.told(), [""; 0]);
    quell.cloud.heal();
    quell.tick(10 * HOUR).await.ok();
    assert_eq!(quell.verdicts(), ["CONTAINED"], "{}", quell.email());
    quell.cloud.inject(Rule::on("DeleteUserPolicy", Fault::Refuse(Refusal::Throttled)));
    quell.cloud.forget_calls();
    for minutes in [700, 703, 710] {
        let undone = quell.order_about("undo", KEY_ID, minutes * 60).await;
        assert_eq!(undone["ok"]["verdict"], "partly-released", "{undone}");
    }
    assert_eq!(quell.verdicts(), ["PARTLY RELEASED"], "{}", quell.email());
    quell.cloud.heal();
    quell.tick(800 * 60).await.ok();
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
}

const GROUP: (&str, &str) =
    ("AttackSequence:IAM/CompromisedCredentials", "AttackSequence:EC2/CompromisedInstanceGroup");
const GROUP_ID: &str = "485d8cb88c072a52e390bd255303de1e";

fn refuse(quell: &Rehearsal, actions: &[&str], refusal: Refusal) {
    for action in actions {
        quell.cloud.inject(Rule::on(action, Fault::Refuse(refusal)));
    }
}

#[tokio::test]
async fn what_is_new_about_a_failure_that_lasts_is_told() {
    let quell = Rehearsal::of(CONTAIN).await;
    let sequence = but("attack_sequence", &[GROUP]);
    refuse(&quell, &["PutUserPolicy", "UpdateAccessKey", "ModifyNetworkInterfaceAttribute"], Refusal::Throttled);
    assert!(quell.deliver(&sequence).await.is_err());
    let told = quell.verdicts();
    assert!(quell.handle(quell.event(&sequence), 60).await.is_err());
    assert_eq!(quell.verdicts(), told, "nothing is new");
    quell.cloud.heal();
    refuse(&quell, &["PutUserPolicy", "UpdateAccessKey"], Refusal::Denied);
    refuse(&quell, &["ModifyNetworkInterfaceAttribute"], Refusal::Throttled);
    assert!(quell.handle(quell.event(&sequence), 120).await.is_err());
    assert_eq!(quell.verdicts().len(), 2, "that a person is needed is new");
    assert!(quell.email().contains("refused: "), "{}", quell.email());
}

#[tokio::test]
async fn an_undo_that_fails_is_told_however_often_containing_failed_before() {
    let quell = Rehearsal::of(CONTAIN).await;
    refuse(&quell, &["PutUserPolicy"], Refusal::Throttled);
    assert!(quell.deliver(&read(KEY)).await.is_err());
    assert!(quell.handle(quell.event(&read(KEY)), 60).await.is_err());
    quell.cloud.forget_calls();
    refuse(&quell, &["UpdateAccessKey", "GetUserPolicy"], Refusal::Throttled);
    for later in [200, 330] {
        let undone = quell.order_about("undo", KEY_ID, later).await;
        assert_eq!(undone["ok"]["verdict"], "partly-released", "{undone}");
        assert_eq!(quell.verdicts(), ["PARTLY RELEASED"], "{}", quell.email());
    }
}

/// The same finding, before it named the instance as well.
fn without_the_instance(quell: &Rehearsal, whole: &str) -> Value {
    let mut first = quell.event(whole);
    let resources = "/detail/service/detection/sequence/resources";
    if let Some(resources) = first.pointer_mut(resources).and_then(Value::as_array_mut) {
        resources.truncate(1);
    }
    first
}

#[tokio::test]
async fn what_an_update_adds_and_quell_may_not_touch_is_told_once() {
    let protect = "[[protect]]\narns = ['arn:aws:ec2:*:*:instance/*']\nowner = 'ops'\nreason = 'wages'\n";
    for (policy, end) in [
        (format!("{CONTAIN}{protect}"), "contained"),
        (format!("{}{protect}", CONTAIN.replace("response", "max_blast = 0\nresponse")), "waiting-for-approval"),
    ] {
        let quell = Rehearsal::of(&policy).await;
        let whole = but("attack_sequence", &[GROUP]);
        let first = without_the_instance(&quell, &whole);
        assert_eq!(verdict(&quell.handle(first, 0).await), end, "{}", quell.email());
        quell.cloud.forget_calls();
        quell.handle(quell.event(&newer(&whole)), 10).await.ok();
        assert_eq!(quell.told().len(), 1, "{end}");
        assert!(quell.email().contains("is protected (ops): wages"), "{}", quell.email());
        quell.handle(quell.event(&newer(&newer(&whole))), 20).await.ok();
        assert_eq!(quell.told().len(), 1, "{end}: {}", quell.email());
    }
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
    assert!(quell.email().contains("as many compromised-instance this hour as the policy allows"), "{}", quell.email());
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
    assert_eq!(quell.order_about("approve", GROUP_ID, 20).await["ok"]["verdict"], "contained");
}

#[tokio::test]
async fn what_is_refused_at_every_look_is_told_once() {
    let quell = Rehearsal::of(CONTAIN).await;
    assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "contained");
    let iam = quell.cloud.moto().service("iam", &quell.cloud.account_id);
    iam.call("DeleteUserPolicy", &[("UserName", "ann"), ("PolicyName", "QuellQuarantine")]).await;
    refuse(&quell, &["PutUserPolicy"], Refusal::Denied);
    quell.cloud.forget_calls();
    for later in [6, 16, 61, HOUR + 1, 2 * HOUR + 1] {
        quell.tick(later).await.ok();
    }
    assert_eq!(quell.verdicts(), ["PARTLY CONTAINED"], "{}", quell.email());
}

#[tokio::test]
async fn what_was_for_a_time_and_cannot_be_given_back_is_told_each_day_and_no_more() {
    let quell = Rehearsal::of(&rule("contain", "expires = '4h'")).await;
    let before = quell.cloud.world().await;
    assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "contained");
    refuse(&quell, &["UpdateAccessKey", "DeleteUserPolicy"], Refusal::Denied);
    quell.cloud.forget_calls();
    for minutes in [1, 2, 3, 60, 120] {
        quell.tick(4 * HOUR + minutes * 60).await.ok();
    }
    assert_eq!(quell.verdicts(), ["PARTLY RELEASED"], "{}", quell.email());
    quell.cloud.heal();
    quell.tick(29 * HOUR).await.ok();
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
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
async fn an_instance_whose_group_could_not_be_made_at_first_is_isolated_by_the_retry() {
    let quell = Rehearsal::of(CONTAIN).await;
    refuse(&quell, &["CreateSecurityGroup"], Refusal::Throttled);
    let event = "instance_mines_bitcoin";
    assert!(quell.deliver(&read(event)).await.is_err());
    quell.cloud.heal();
    assert_eq!(verdict(&quell.handle(quell.event(&read(event)), 70).await), "contained", "{}", quell.email());
}

#[tokio::test]
async fn what_could_not_be_looked_at_and_is_protected_after_all_is_told() {
    let mut quell = Rehearsal::of(CONTAIN).await;
    let sequence = but("attack_sequence", &[GROUP]);
    refuse(&quell, &["DescribeInstances"], Refusal::Throttled);
    assert!(quell.deliver(&sequence).await.is_err());
    assert_eq!(quell.verdicts(), ["PARTLY CONTAINED"]);
    quell.cloud.heal();
    quell.decide(&format!(
        "{CONTAIN}[[protect]]\narns = ['arn:aws:ec2:*:*:instance/*']\nowner = 'ops'\nreason = 'wages'\n"
    ));
    quell.cloud.forget_calls();
    assert_eq!(verdict(&quell.handle(quell.event(&sequence), 60).await), "partial");
    assert_eq!(quell.verdicts(), ["PARTLY CONTAINED"]);
    assert!(quell.email().contains("is protected (ops): wages"), "{}", quell.email());
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
    assert_eq!(quell.order_about("approve", GROUP_ID, 20).await["ok"]["verdict"], "contained");
    assert_eq!(quell.order_about("undo", GROUP_ID, 30).await["ok"]["verdict"], "released");
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
}

#[tokio::test]
async fn what_cannot_be_contained_again_stays_held_and_is_told_as_open() {
    let quell = Rehearsal::of(CONTAIN).await;
    let before = quell.cloud.world().await;
    assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "contained");
    let iam = quell.cloud.moto().service("iam", &quell.cloud.account_id);
    iam.call("DeleteUserPolicy", &[("UserName", "ann"), ("PolicyName", "QuellQuarantine")]).await;
    quell.cloud.inject(Rule::on("PutUserPolicy", Fault::Refuse(Refusal::Denied)));
    quell.cloud.forget_calls();
    quell.tick(6).await.ok();
    assert_eq!(quell.verdicts(), ["PARTLY CONTAINED"], "{}", quell.email());
    assert!(quell.email().contains("and not all of it could be contained again"), "{}", quell.email());
    quell.cloud.heal();
    quell.cloud.forget_calls();
    // The next look succeeds, and nobody is accused of anything new.
    quell.tick(20).await.ok();
    assert_eq!(quell.verdicts(), ["CONTAINED"], "{}", quell.email());
    assert!(!quell.email().contains("Somebody had set it back"), "{}", quell.email());
    assert_eq!(quell.order_about("undo", KEY_ID, 40).await["ok"]["verdict"], "released");
    assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0]);
}

#[tokio::test]
async fn what_was_contained_for_a_time_is_planned_anew_when_the_finding_goes_on() {
    let mut quell = Rehearsal::of(&rule("contain", "expires = '1h'")).await;
    assert_eq!(verdict(&quell.deliver(&read(KEY)).await), "contained");
    quell.tick(HOUR + 60).await.ok();
    // Meanwhile the team has changed its mind, and somebody the key.
    quell.decide(&rule("plan", ""));
    let key = quell.account.real("AKIAIOSFODNN7EXAMPLE");
    let off = [("UserName", "ann"), ("AccessKeyId", key), ("Status", "Inactive")];
    quell.cloud.moto().service("iam", &quell.cloud.account_id).call("UpdateAccessKey", &off).await;
    let now = quell.cloud.world().await;
    quell.cloud.forget_calls();
    let event = quell.event(&newer(&read(KEY)));
    assert_eq!(verdict(&quell.handle(event, 2 * HOUR).await), "planned", "{}", quell.email());
    assert_eq!(quell.changes(&now, &quell.cloud.world().await), [""; 0]);

    quell.decide(&rule("contain", ""));
    let event = quell.event(&newer(&newer(&read(KEY))));
    assert_eq!(verdict(&quell.handle(event, 3 * HOUR).await), "contained", "{}", quell.email());
    assert_eq!(quell.order_about("undo", KEY_ID, 4 * HOUR).await["ok"]["verdict"], "released");
    assert_eq!(quell.changes(&now, &quell.cloud.world().await), [""; 0], "the key stays as somebody left it");
}
