//! The ledger in DynamoDB: claimed once, shared, split, limited, found again when due.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test that panics has said what it has to say"
)]

use crate::cloud::{Cloud, Fault, REGION, Refusal, Rule};
use crate::protocol_model::world::{finding, id, planned, value};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType,
};
use jiff::{SignedDuration, Timestamp};
use quell::change::{Change, GroupRef, Value};
use quell::id::{FindingId, InterfaceId, VpcId};
use quell::incident::{Incident, News, Outcome, StepResult};
use quell::ledger::hold::{GiveBack, Hold, Release};
use quell::ledger::key::CounterKey;
use quell::ledger::protocol::{Claim, Denied, Done, Finish, How, LetGo, Limit, No, Occasion};
use quell::ledger::record::{Approval, IncidentRecord, Status, Who, Worker};
use quell::ledger::schedule::Due;
use quell::ledger::schema::SCHEMA;
use quell::ledger::{Claimed, Counted, Ledger, LedgerError};
use quell::plan::Step;
use quell::policy::{Fallback, Response};
use quell::setting::{InterfaceGroups, Setting};
use std::collections::{BTreeMap, BTreeSet, HashMap};

const TABLE: &str = "quell";

/// A cloud with the ledger's table in it.
async fn ledger() -> (Cloud, Ledger, Client) {
    let cloud = Cloud::start().await;
    let operator = cloud.operator();
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .endpoint_url(cloud.url())
        .credentials_provider(Credentials::new(operator.key, operator.secret, None, None, "test"))
        .build();
    let client = Client::from_conf(config);
    let attribute = |name: &str| {
        AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S).build().unwrap()
    };
    let key = |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap();
    let due = GlobalSecondaryIndex::builder()
        .index_name("due")
        .key_schema(key("due_bucket", KeyType::Hash))
        .key_schema(key("due_at", KeyType::Range))
        .projection(Projection::builder().projection_type(ProjectionType::KeysOnly).build());
    let table = client.create_table().table_name(TABLE).billing_mode(BillingMode::PayPerRequest);
    let table = table.key_schema(key("pk", KeyType::Hash)).key_schema(key("sk", KeyType::Range));
    let attributes = ["pk", "sk", "due_bucket", "due_at"].map(attribute);
    let table = table.set_attribute_definitions(Some(attributes.to_vec()));
    table.global_secondary_indexes(due.build().unwrap()).send().await.unwrap();
    (cloud, Ledger::new(client.clone(), TABLE), client)
}

fn now() -> Timestamp {
    "2026-11-05T14:00:00.5Z".parse().unwrap()
}

fn in_seconds(seconds: i64) -> Timestamp {
    now().checked_add(SignedDuration::from_secs(seconds)).unwrap()
}

fn worker(request: &str, at: Timestamp) -> Worker {
    Worker::new(Who::Policy, request, at.checked_add(SignedDuration::from_secs(60)).unwrap())
}

fn delivery(which: usize, works: bool, by: &Worker) -> Claim {
    let incident = planned(finding(which, 1), works, now());
    Claim { incident, by: by.clone(), occasion: Occasion::Delivery, limits: Vec::new(), now: now() }
}

/// Claims a finding for the first time.
async fn won(ledger: &Ledger, claim: &Claim) -> IncidentRecord {
    match ledger.claim(claim).await.unwrap() {
        Claimed::Won(record, How::Fresh) => *record,
        other => panic!("{other:?}"),
    }
}

fn contained(record: &IncidentRecord, now: Timestamp) -> Finish {
    let mut incident = record.incident.clone();
    for part in &mut incident.parts {
        let changes: Vec<Change> = part.plan.steps().map(|step| step.change.clone()).collect();
        part.results = changes.into_iter().map(|change| StepResult::new(change, Outcome::Changed)).collect();
    }
    Finish { incident, approval: None, now }
}

/// Claims, contains and tells.
async fn held(ledger: &Ledger, which: usize, works: bool) -> IncidentRecord {
    let by = worker("request", now());
    let record = won(ledger, &delivery(which, works, &by)).await;
    let record = ledger.finish(&record, &by, &contained(&record, now())).await.unwrap();
    ledger.told(&record, now()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_deliveries_at_once_one_is_handled() {
    let (_cloud, ledger, _) = ledger().await;
    let claims = (0..50).map(|n| {
        let (ledger, by) = (ledger.clone(), worker(&format!("request-{n}"), now()));
        tokio::spawn(async move { ledger.claim(&delivery(0, true, &by)).await.unwrap() })
    });
    let answers = futures_util::future::join_all(claims).await;
    let answers: Vec<Claimed> = answers.into_iter().map(Result::unwrap).collect();
    let won = answers.iter().filter(|answer| matches!(answer, Claimed::Won(_, How::Fresh))).count();
    let busy = answers.iter().filter(|answer| matches!(answer, Claimed::Denied(Denied::Busy { .. }))).count();
    assert_eq!((won, busy), (1, 49));
    let record = ledger.get(id(0)).await.unwrap();
    assert_eq!((record.version, record.history.len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_findings_share_a_hold_and_the_last_gives_the_first_value_back() {
    let (_cloud, ledger, _) = ledger().await;
    let first = held(&ledger, 0, true).await;
    let second = held(&ledger, 1, false).await;
    assert_eq!(first.holds, second.holds);
    assert_eq!(undo(&ledger, 0).await, [LetGo::KeptBy(vec![id(1).clone()])]);
    assert_eq!(undo(&ledger, 1).await, [LetGo::GivenBack]);
    assert!(ledger.holds(&first.holds).await.unwrap()[0].holders.is_empty());
    for which in [0, 1] {
        let record = ledger.get(id(which)).await.unwrap();
        assert_eq!((record.status, record.due, record.expires().is_some()), (Status::Released, None, true));
    }
}

/// Gives back as the function does, for a key that is as it was left.
async fn undo(ledger: &Ledger, which: usize) -> Vec<LetGo> {
    let by = worker("undo", now());
    let record = ledger.begin_undo(id(which), &by, None, now()).await.unwrap().unwrap();
    let mut done = Vec::new();
    for hold in ledger.holds(&record.to_give_back()).await.unwrap() {
        let let_go = match hold.release(id(which), now()) {
            Release::KeptBy(others) => {
                ledger.swap_hold(hold.released_by(id(which), now()), now()).await.unwrap().unwrap();
                LetGo::KeptBy(others)
            }
            Release::Back(back) => {
                assert_eq!(hold.give_back(&back, &value(false)), GiveBack::Write(back.clone()));
                assert_eq!(back.to, value(true));
                let marked = hold.marked(id(which), &by.lease, now()).unwrap();
                let marked = ledger.swap_hold(marked, now()).await.unwrap().unwrap();
                let stale = ledger.swap_hold(hold.released_by(id(which), now()), now()).await.unwrap();
                assert_eq!(*stale.unwrap_err(), marked);
                let late = worker("late", now());
                let wait = ledger.claim(&delivery(7, false, &late)).await.unwrap();
                assert!(matches!(wait, Claimed::Denied(Denied::Wait { .. })), "{wait:?}");
                ledger.swap_hold(marked.released_by(id(which), now()), now()).await.unwrap().unwrap();
                LetGo::GivenBack
            }
            other => panic!("{other:?}"),
        };
        done.push(Done::new(hold.key.clone(), let_go));
    }
    let undone = News::GivenBack { by: "ann".to_owned(), settings: Vec::new(), others: 0 };
    let record = ledger.finish_undo(&record, &by, &done, &undone, now()).await.unwrap();
    ledger.told(&record, now()).await.unwrap();
    done.into_iter().map(|done| done.became).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_and_a_lost_lease_are_told_apart() {
    let (_cloud, ledger, _) = ledger().await;
    let by = worker("request", now());
    let record = won(&ledger, &delivery(0, true, &by)).await;
    let again = ledger.claim(&delivery(0, true, &by)).await.unwrap();
    assert_eq!(again, Claimed::Won(Box::new(record.clone()), How::Fresh));
    let done = contained(&record, now());
    let finished = ledger.finish(&record, &by, &done).await.unwrap();
    assert_eq!(ledger.finish(&record, &by, &done).await.unwrap(), finished);
    let later = in_seconds(61);
    let other = worker("other", later);
    let Claimed::Won(_, How::Announce) = ledger.take(id(0), &other, Occasion::Announce, later).await.unwrap() else {
        panic!("nobody is known to have been told")
    };
    assert_eq!(ledger.told(&finished, later).await, Err(LedgerError::TakenOver(id(0).to_string())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_no_item_can_hold_is_split_and_put_together() {
    let (_cloud, ledger, client) = ledger().await;
    let mut claim = delivery(0, true, &worker("request", now()));
    claim.incident.finding.description = "ü".repeat(300_000);
    let record = won(&ledger, &claim).await;
    let items = client.scan().table_name(TABLE).send().await.unwrap().count();
    assert_eq!(items, 1 + 2 + 1, "a head, two chunks and a hold");
    assert_eq!(ledger.get(id(0)).await.unwrap(), record);
    assert_eq!(ledger.incidents(true).await.unwrap().records, [record]);
    let other = ledger.claim(&delivery(0, true, &worker("other", now()))).await.unwrap();
    assert!(matches!(other, Claimed::Denied(Denied::Busy { .. })), "{other:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_transaction_can_hold_is_refused_before_anything_is_written() {
    let (_cloud, ledger, client) = ledger().await;
    let mut claim = delivery(0, true, &worker("request", now()));
    let change = |n: i32| Change {
        setting: Setting::InterfaceGroups(InterfaceGroups { interface: interface(n) }),
        from: Value::Groups(BTreeSet::new()),
        to: Value::only(GroupRef::QuarantineOf(VpcId::try_from("vpc-0a1b").unwrap())),
    };
    claim.incident.parts[0].plan.stages = vec![(0..100).map(|n| Step::new(change(n), "many")).collect()];
    let refused = ledger.claim(&claim).await;
    assert!(matches!(refused, Err(LedgerError::TooLarge { .. })), "{refused:?}");
    claim.incident.finding.description = "x".repeat(4_000_000);
    claim.incident.parts.clear();
    let refused = ledger.claim(&claim).await;
    assert!(matches!(refused, Err(LedgerError::TooLarge { .. })), "{refused:?}");
    assert_eq!(client.scan().table_name(TABLE).send().await.unwrap().count(), 0);
}

fn interface(n: i32) -> InterfaceId {
    format!("eni-{n:08x}").try_into().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_lets_only_so_many_through_in_an_hour() {
    let (_cloud, ledger, _) = ledger().await;
    let counter = CounterKey::at(&id(0).account, None, now());
    for (which, at_most, expect) in [(0, 2, true), (1, 2, true), (2, 2, false), (2, 0, false), (2, 3, true)] {
        let mut claim = delivery(which, true, &worker("request", now()));
        claim.limits = vec![Limit { counter: counter.clone(), at_most }];
        let answer = ledger.claim(&claim).await.unwrap();
        assert_eq!(matches!(answer, Claimed::Won(..)), expect, "{answer:?}");
        let full = |answer: &Claimed| match answer {
            Claimed::Denied(Denied::OverLimit { counter, .. }) => Some(counter.clone()),
            _ => None,
        };
        assert!(expect || full(&answer).as_ref() == Some(&counter), "{answer:?}");
    }
    let mut again = delivery(0, true, &worker("other", in_seconds(61)));
    again.now = in_seconds(61);
    again.limits = vec![Limit { counter, at_most: 3 }];
    let answer = ledger.claim(&again).await.unwrap();
    assert!(matches!(answer, Claimed::Won(_, How::Resumed)), "going on is not counted again: {answer:?}");
}

/// DynamoDB refuses to write an item that somebody else is writing, and all of these write one hold and one counter.
#[tokio::test(flavor = "multi_thread")]
async fn of_many_findings_at_once_no_more_than_the_limit_get_through() {
    let (cloud, ledger, _) = ledger().await;
    cloud.inject(Rule::on("dynamodb:TransactWriteItems", Fault::Refuse(Refusal::Conflict)).times(40));
    let counter = CounterKey::at(&id(0).account, None, now());
    let claims = (0..30_u32).map(|n| {
        let (ledger, by) = (ledger.clone(), worker(&format!("request-{n}"), now()));
        let mut claim = delivery(0, true, &by);
        claim.incident.finding.id = FindingId::try_from(format!("{n:032x}")).unwrap();
        claim.limits = vec![Limit { counter: counter.clone(), at_most: 10 }];
        tokio::spawn(async move { ledger.claim(&claim).await.unwrap() })
    });
    let answers = futures_util::future::join_all(claims).await;
    let answers: Vec<Claimed> = answers.into_iter().map(Result::unwrap).collect();
    let won = answers.iter().filter(|answer| matches!(answer, Claimed::Won(_, How::Fresh))).count();
    let over = answers.iter().filter(|answer| matches!(answer, Claimed::Denied(Denied::OverLimit { .. }))).count();
    assert_eq!((won, over), (10, 20), "{answers:?}");
}

/// Items as this release writes them: the names of their attributes, too, are for ever.
#[tokio::test(flavor = "multi_thread")]
async fn items_that_any_release_wrote_are_read() {
    let (_cloud, ledger, client) = ledger().await;
    let read =
        |name: &str| std::fs::read_to_string(format!("{}/tests/records/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    for schema in 1..=SCHEMA {
        for items in [format!("items/{schema}-incident-in-two.json"), format!("items/{schema}-hold.json")] {
            let items: Vec<BTreeMap<String, BTreeMap<String, String>>> = serde_json::from_str(&read(&items)).unwrap();
            for item in items {
                let value = |value: &BTreeMap<String, String>| match (value.get("S"), value.get("N")) {
                    (Some(text), None) => AttributeValue::S(text.clone()),
                    (None, Some(number)) => AttributeValue::N(number.clone()),
                    other => panic!("{other:?}"),
                };
                let item = item.iter().map(|(name, it)| (name.clone(), value(it))).collect();
                client.put_item().table_name(TABLE).set_item(Some(item)).send().await.unwrap();
            }
        }
        let kept: IncidentRecord = serde_json::from_str(&read(&format!("{schema}-incident-held.json"))).unwrap();
        assert_eq!(ledger.get(&kept.id).await.unwrap(), kept);
        let hold: Hold = serde_json::from_str(&read(&format!("{schema}-hold-access-key.json"))).unwrap();
        assert_eq!(ledger.holds(std::slice::from_ref(&hold.key)).await.unwrap(), [hold]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_was_given_back_expires() {
    let (_cloud, ledger, client) = ledger().await;
    let expiring = async || {
        let items = client.scan().table_name(TABLE).send().await.unwrap().items.unwrap_or_default();
        let number = |item: &HashMap<String, AttributeValue>| item.get("expires")?.as_n().ok()?.parse::<i64>().ok();
        let pk =
            |item: &HashMap<String, AttributeValue>| item["pk"].as_s().unwrap().split('/').next().unwrap().to_owned();
        items.iter().map(|item| (pk(item), number(item))).collect::<BTreeMap<_, _>>()
    };
    let record = held(&ledger, 0, true).await;
    assert_eq!(expiring().await, BTreeMap::from([("hold".to_owned(), None), ("incident".to_owned(), None)]));
    undo(&ledger, 0).await;
    let last = ledger.get(&record.id).await.unwrap().history.last().unwrap().at;
    let days = |from: Timestamp| from.checked_add(SignedDuration::from_hours(90 * 24)).unwrap().as_second();
    let expires = expiring().await;
    assert_eq!(expires["incident"], Some(days(last)));
    // What was rejected, or closed since nobody decided, or nothing was to be done, has its history for ever.
    for (which, no) in [(1, Some(No::Person)), (2, Some(No::Time)), (3, None)] {
        let by = worker("request", now());
        let mut asked = delivery(which, true, &by);
        asked.incident.parts[0].decision.response = if no.is_some() { Response::Approve } else { Response::Plan };
        let record = won(&ledger, &asked).await;
        let approval = no.map(|_| Approval { plan: 1, expires: now(), fallback: Fallback::Abandon });
        let done = Finish { incident: record.incident.clone(), approval, now: now() };
        let mut record = ledger.told(&ledger.finish(&record, &by, &done).await.unwrap(), now()).await.unwrap();
        if let Some(no) = no {
            let news = News::Rejected { by: "ann".to_owned() };
            let said = ledger.reject(&record, &worker("no", now()), no, news, now()).await.unwrap().unwrap();
            record = ledger.told(&said, now()).await.unwrap();
        }
        assert!(!record.status.is_open() && record.due.is_none(), "{record:?}");
        let item = client.get_item().table_name(TABLE);
        let item = item.key("pk", AttributeValue::S(format!("incident/{}", record.id)));
        let item = item.key("sk", AttributeValue::S("record".to_owned())).send().await.unwrap().item.unwrap();
        assert!(!item.contains_key("expires"), "{no:?}: {:?}", record.status);
    }
    assert!(expires["hold"].is_some_and(|hold| hold >= days(now())), "{expires:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_counted_in_the_last_sixty_minutes_counts_also_after_the_hour_has_turned() {
    let (_cloud, ledger, _) = ledger().await;
    let at = |minutes: i64| in_seconds(minutes * 60);
    let limit = |minutes| {
        let counter = CounterKey::at(&id(0).account, None, at(minutes));
        vec![Limit { counter, at_most: 2 }]
    };
    // At the hour, half past, and a minute before the next.
    for (which, minutes) in [(0, 0), (1, 30), (2, 59)] {
        let mut claim = delivery(which, true, &worker("request", at(minutes)));
        (claim.now, claim.limits) = (at(minutes), limit(minutes));
        claim.limits[0].at_most = 3;
        assert!(matches!(ledger.claim(&claim).await.unwrap(), Claimed::Won(..)));
    }
    // Of the same hour, the counter itself knows. Later the minute counts whole.
    for (minutes, left) in [(59, 2), (60, 0), (89, 0), (90, 0), (91, 1), (119, 1), (120, 2), (200, 2)] {
        let known = ledger.left_of(limit(minutes), Counted::default(), at(minutes)).await.unwrap();
        assert_eq!(known[0].at_most, left, "after {minutes} minutes");
        let counters = [known[0].counter.before(at(minutes))];
        let foreseen = ledger.foresee(id(0), &[], &counters, at(minutes)).await.unwrap();
        assert_eq!(2_u32.saturating_sub(foreseen.counted[&counters[0]]), left, "after {minutes} minutes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_due_is_found_and_what_is_not_is_left() {
    let (_cloud, ledger, _) = ledger().await;
    let by = worker("request", now());
    let record = won(&ledger, &delivery(0, true, &by)).await;
    held(&ledger, 1, true).await;
    assert_eq!(ledger.due(now(), 10).await.unwrap(), []);
    // Five seconds after containment, rounded up to whole ones.
    assert_eq!(ledger.due(in_seconds(6), 10).await.unwrap(), [id(1).clone()]);
    assert_eq!(ledger.due(in_seconds(61), 10).await.unwrap(), [id(1).clone(), id(0).clone()]);
    assert_eq!(ledger.due(in_seconds(61), 1).await.unwrap(), [id(1).clone()]);
    assert_eq!(record.is_due(in_seconds(61)), Some(Due::Resume));
    let later = in_seconds(6);
    let sweep = Worker::new(Who::Sweep, "sweep", in_seconds(66));
    let taken = ledger.take(id(1), &sweep, Occasion::Verify, later).await.unwrap();
    let Claimed::Won(record, How::Again) = taken else { panic!("{taken:?}") };
    let record = ledger.verified(&record, later).await.unwrap();
    assert_eq!((record.status, record.due), (Status::Held, Some(in_seconds(15))));
    assert_eq!(ledger.due(later, 10).await.unwrap(), []);
}

/// An incident that changes nothing is recorded too: it is told once.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_only_told_is_over_once_it_was() {
    let (_cloud, ledger, _) = ledger().await;
    let by = worker("request", now());
    let mut claim = delivery(0, true, &by);
    claim.incident = Incident { parts: Vec::new(), ..claim.incident };
    let record = won(&ledger, &claim).await;
    let record = ledger.finish(&record, &by, &contained(&record, now())).await.unwrap();
    let record = ledger.told(&record, now()).await.unwrap();
    assert_eq!((record.status, record.due), (Status::Closed, None));
    assert_eq!(ledger.incidents(true).await.unwrap().records, []);
    let other = ledger.claim(&delivery(0, true, &worker("other", now()))).await.unwrap();
    assert_eq!(other, Claimed::Denied(Denied::Known(Box::new(record))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_cannot_be_read_hides_no_other() {
    let (_cloud, ledger, client) = ledger().await;
    let record = held(&ledger, 0, true).await;
    let of_later = [("pk", "incident/111122223333/eu-west-1/of-later"), ("sk", "record"), ("body", "{\"schema\":3}")];
    let mut item: HashMap<String, AttributeValue> =
        of_later.map(|(name, text)| (name.to_owned(), AttributeValue::S(text.to_owned()))).into();
    item.insert("version".to_owned(), AttributeValue::N("1".to_owned()));
    client.put_item().table_name(TABLE).set_item(Some(item)).send().await.unwrap();
    let kept = ledger.incidents(false).await.unwrap();
    assert_eq!(kept.records, [record]);
    let why: Vec<String> = kept.unreadable.iter().map(ToString::to_string).collect();
    assert!(
        why.len() == 1 && why[0].contains("of-later") && why[0].contains("a later release wrote it (schema 3"),
        "{why:?}"
    );
}
