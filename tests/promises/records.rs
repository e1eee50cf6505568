//! Every record that any release ever wrote is still read, and undone.
//!
//! `tests/records/` has one of each shape, named after its schema. Once released, a file there is never changed: a new
//! shape is a new file. `cargo test --test promises -- --ignored write_the_records` adds those that are missing.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test that panics has said what it has to say"
)]

use crate::protocol_model::world::{finding, id, planned};
use jiff::{SignedDuration, Timestamp};
use quell::change::{Change, Direction, GroupRef, KeyStatus, Peer, Rule, Value};
use quell::id::{GroupId, Place, VpcId};
use quell::incident::{News, Outcome, StepResult, Verdict};
use quell::ledger::hold::{GiveBack, Hold, Release, give_back};
use quell::ledger::key::{IncidentId, Placed};
use quell::ledger::protocol::{
    Claim, Decided, Finish, LetGo, No, Occasion, Seen, begin_undo, claim, finish, finish_undo, reject, told,
};
use quell::ledger::record::{Approval, IncidentRecord, SCHEMA, Status, What, Who, Worker};
use quell::policy::{Fallback, Response};
use quell::setting::{
    AccessKeyStatus, IngressRules, InlinePolicy, InterfaceGroups, Principal, QuarantineGroup, Setting,
};
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;
use std::path::PathBuf;

#[test]
fn every_record_ever_written_is_read_whole() {
    for (name, json) in files() {
        let again = if name.contains("-hold-") {
            serde_json::to_value(read::<Hold>(&name, &json)).unwrap()
        } else {
            serde_json::to_value(read::<IncidentRecord>(&name, &json)).unwrap()
        };
        assert_eq!(lost(&json, &again), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn every_record_ever_written_is_undone() {
    for (name, json) in files() {
        if name.contains("-hold-") {
            let hold: Hold = read(&name, &json);
            let empty = hold.holders.iter().rev().fold(hold.clone(), |hold, holder| {
                let release = hold.release(&holder.incident, late());
                let back = match &release {
                    Release::Back(back) => back,
                    Release::KeptBy(others) if !others.is_empty() => return hold.without(&holder.incident, late()),
                    other => panic!("{name}: {other:?}"),
                };
                let now = give_back(back, &back.from);
                assert!(matches!(now, GiveBack::Write(_) | GiveBack::Already), "{name}: {now:?}");
                assert!(hold.holders.len() > 1 || back.to == hold.original, "{name}");
                hold.without(&holder.incident, late())
            });
            assert!(empty.holders.is_empty(), "{name}");
        } else {
            let record: IncidentRecord = read(&name, &json);
            let by = worker(Who::Sweep);
            let over = matches!(record.status, Status::Released | Status::Rejected | Status::Waiting);
            let begun = begin_undo(&record, &by, None, late());
            assert_eq!(begun.is_ok(), !over, "{name}");
            let Ok(begun) = begun else { continue };
            let begun = begun.incident.unwrap();
            let done: Vec<_> = begun.to_give_back().into_iter().map(|key| (key, LetGo::GivenBack)).collect();
            let end = finish_undo(&begun, &by, &done, undone(), late()).incident.unwrap();
            assert!(end.holds.is_empty() && !end.status.is_open(), "{name}: {:?}", end.status);
        }
    }
}

/// A shape that changes must be a new file beside the old one, and the schema goes up where old code cannot read it.
#[test]
fn the_shapes_of_this_release_are_among_them() {
    let known = files();
    for (name, json) in shapes() {
        assert!(
            known.iter().any(|(file, there)| *file == name && *there == json),
            "{name} is not as this release writes it"
        );
    }
}

#[test]
#[ignore = "writes files: for a release that has a new shape"]
fn write_the_records() {
    for (name, json) in shapes() {
        let path = directory().join(&name);
        if !path.exists() {
            std::fs::write(path, serde_json::to_string_pretty(&json).unwrap() + "\n").unwrap();
        }
    }
}

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/records")
}

fn files() -> Vec<(String, Json)> {
    let mut files: Vec<_> = std::fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    let read = |path: PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
    };
    files.into_iter().map(read).collect()
}

fn read<T: DeserializeOwned>(name: &str, json: &Json) -> T {
    serde_json::from_value(json.clone()).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// What is in the old and not in the new.
fn lost(old: &Json, new: &Json) -> Vec<String> {
    match (old, new) {
        (Json::Object(old), Json::Object(new)) => {
            let within = |(key, old): (&String, &Json)| {
                let lost = new.get(key).map_or_else(|| vec![String::new()], |new| lost(old, new));
                lost.into_iter().map(|path| format!("{key}.{path}")).collect::<Vec<_>>()
            };
            old.iter().flat_map(within).collect()
        }
        (Json::Array(old), Json::Array(new)) if old.len() == new.len() => {
            old.iter().zip(new).flat_map(|(old, new)| lost(old, new)).collect()
        }
        (old, new) if old == new => Vec::new(),
        (old, new) => vec![format!("{old} -> {new}")],
    }
}

fn now() -> Timestamp {
    "2026-11-05T14:00:00Z".parse().unwrap()
}

fn late() -> Timestamp {
    now().checked_add(SignedDuration::from_hours(1)).unwrap()
}

fn worker(who: Who) -> Worker {
    let mut by = Worker::new(who, "c0ffee", late());
    "0123456789abcdef".clone_into(&mut by.lease.token);
    by.lease.until = now().checked_add(SignedDuration::from_secs(60)).unwrap();
    by
}

/// One of each shape that this release writes.
fn shapes() -> Vec<(String, Json)> {
    let incidents = incidents().into_iter().map(|(name, record)| (format!("incident-{name}"), json!(record)));
    let holds = holds().into_iter().map(|(name, hold)| (format!("hold-{name}"), json!(hold)));
    incidents.chain(holds).map(|(name, json)| (format!("{SCHEMA}-{name}.json"), json)).collect()
}

fn incidents() -> Vec<(&'static str, IncidentRecord)> {
    let (policy, ann) = (
        worker(Who::Policy),
        worker(Who::Operator { says: "ann".to_owned(), identity: Some("AIDAEXAMPLE".to_owned()) }),
    );
    let containing = claimed(Response::Contain, &policy);
    let held = finished(&containing, &policy, &[Outcome::Changed], &[], None);
    let partial = finished(
        &containing,
        &policy,
        &[Outcome::Drifted { found: Value::Status(KeyStatus::Active) }],
        &["the key"],
        None,
    );
    let failed =
        finished(&containing, &policy, &[Outcome::Failed { why: "throttled".to_owned(), transient: true }], &[], None);
    let mut tried = containing.clone();
    tried.failures = 11;
    let given_up =
        finished(&tried, &policy, &[Outcome::Failed { why: "throttled".to_owned(), transient: true }], &[], None);
    let refused = finished(&containing, &policy, &[Outcome::Refused { why: "access denied".to_owned() }], &[], None);
    let unread = Outcome::Unread { why: "throttled".to_owned(), transient: true };
    let unread = finished(&containing, &policy, &[unread], &[], None);
    let already_so = finished(&containing, &policy, &[Outcome::AlreadySo], &[], None);
    let gone = finished(&containing, &policy, &[Outcome::Gone { why: "no such key".to_owned() }], &[], None);
    let approval = Approval { plan: 1, expires: late(), fallback: Fallback::Abandon };
    let waiting = finished(&claimed(Response::Approve, &policy), &policy, &[], &[], Some(approval));
    let waiting = told(&waiting, now()).incident.unwrap();
    let rejected =
        reject(&waiting, &ann, No::Person, News::Rejected { by: "ann".to_owned() }, now()).unwrap().incident.unwrap();
    let held = told(&held, now()).incident.unwrap();
    let releasing = begin_undo(&held, &ann, None, now()).unwrap().incident.unwrap();
    let keys = releasing.to_give_back();
    let let_go = |let_go: LetGo| {
        let done: Vec<_> = keys.iter().map(|key| (key.clone(), let_go.clone())).collect();
        finish_undo(&releasing, &ann, &done, undone(), now()).incident.unwrap()
    };
    let released = told(&let_go(LetGo::GivenBack), now()).incident.unwrap();
    let left =
        told(&told(&let_go(LetGo::KeptBy(vec![id(1).clone()])), now()).incident.unwrap(), late()).incident.unwrap();
    let mut all_said = left.clone();
    let said = [
        What::Resumed,
        What::Updated { count: 2 },
        What::Asked { plan: 2 },
        What::Approved { plan: 2 },
        What::Expired,
        What::Finished { verdict: Verdict::NothingToDo },
    ];
    let entry = all_said.history[0].clone();
    all_said.history.extend(said.map(|what| quell::ledger::record::Entry { what, who: Who::Sweep, ..entry.clone() }));
    vec![
        ("containing", containing),
        ("held", held),
        ("reopened", partial),
        ("to-be-tried-again", failed),
        ("given-up", given_up),
        ("refused", refused),
        ("gone", gone),
        ("unread", unread),
        ("already-so", already_so),
        ("waiting", waiting),
        ("rejected", rejected),
        ("releasing", releasing.clone()),
        ("releasing-again", let_go(LetGo::Failed { why: "throttled".to_owned() })),
        ("released", released),
        ("left-alone", left),
        ("long-history", all_said),
    ]
}

fn claimed(response: Response, by: &Worker) -> IncidentRecord {
    let mut incident = planned(finding(0, 1), true, now());
    incident.parts[0].decision.response = response;
    incident.parts[0].decision.rule = Some("keys".to_owned());
    let ask = Claim { incident, by: by.clone(), occasion: Occasion::Delivery, limits: Vec::new(), now: now() };
    match claim(&ask, &Seen::default()) {
        Decided::Write(swap, _) => swap.incident.unwrap(),
        other => panic!("{other:?}"),
    }
}

fn finished(
    record: &IncidentRecord,
    by: &Worker,
    outcomes: &[Outcome],
    reopened: &[&str],
    approval: Option<Approval>,
) -> IncidentRecord {
    let mut incident = record.incident.clone();
    for part in &mut incident.parts {
        let changes = part.plan.steps().map(|step| step.change.clone());
        let results = changes.zip(outcomes).map(|(change, outcome)| StepResult { change, outcome: outcome.clone() });
        part.results = results.collect();
    }
    let reopened: Vec<String> = reopened.iter().map(ToString::to_string).collect();
    let noted = quell::ledger::protocol::reopened(record, by, &reopened, now());
    let record = noted.and_then(|swap| swap.incident).unwrap_or_else(|| record.clone());
    incident.news.clone_from(&record.incident.news);
    let done = Finish { incident, approval, now: now() };
    finish(&record, by, &done, &Seen::default()).incident.unwrap()
}

fn holds() -> Vec<(&'static str, Hold)> {
    let vpc = || VpcId::try_from("vpc-0a1b").unwrap();
    let group = |id: &str| GroupId::try_from(id).unwrap();
    let rules = |rules: &[Rule]| Value::Rules(rules.iter().cloned().collect());
    let (world, office) = (rule("0.0.0.0/0"), rule("10.0.0.0/8"));
    let list = Rule {
        peer: Peer::PrefixList("pl-0a1b".to_owned()),
        description: None,
        tags: Vec::new(),
        ports: None,
        id: None,
        ..rule("::/0")
    };
    let other = Peer::Group { id: "sg-0c1d".to_owned(), account: Some("111122223333".to_owned()) };
    let other = Rule { peer: other, direction: Direction::Out, ..rule("::/0") };
    let unknown = Rule { peer: Peer::Unknown, ..rule("::/0") };
    let policy = |principal| InlinePolicy { principal, name: "quell-quarantine".try_into().unwrap() };
    let user = || "ann".try_into().unwrap();
    let key = AccessKeyStatus { user: user(), key: "AKIAIOSFODNN7EXAMPLE".try_into().unwrap() };
    let document = Value::Document(json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Deny" }] }));
    let groups = |ids: &[&str]| Value::Groups(ids.iter().map(|id| GroupRef::Id(group(id))).collect::<BTreeSet<_>>());
    let interface = InterfaceGroups { interface: "eni-0a1b".try_into().unwrap() };
    let waits = Value::only(GroupRef::QuarantineOf(vpc()));
    let hold = |setting: Setting, from: Value, to: Value| joined(None, &Change { setting, from, to }, id(0));
    let status = |status| Value::Status(status);
    let key = hold(Setting::AccessKeyStatus(key), status(KeyStatus::Active), status(KeyStatus::Inactive));
    let again =
        Change { setting: key.setting.clone(), from: status(KeyStatus::Inactive), to: status(KeyStatus::Inactive) };
    let marked = key.marked(id(0), &worker(Who::Sweep).lease, now()).unwrap();
    let ingress = Setting::IngressRules(IngressRules { group: group("sg-0a1b") });
    let open = hold(ingress.clone(), rules(&[world.clone(), list, other, unknown]), rules(&[office]));
    let more = Change { setting: ingress, from: rules(&[rule("192.0.2.0/24")]), to: rules(&[]) };
    let quarantine = Setting::QuarantineGroup(QuarantineGroup { vpc: vpc() });
    vec![
        ("access-key-joined", joined(Some(&key), &again, id(1))),
        ("access-key-giving-back", marked.clone()),
        ("access-key-unheld", marked.released_by(id(0), now())),
        ("access-key", key),
        ("user-policy", hold(Setting::InlinePolicy(policy(Principal::User(user()))), Value::Absent, document.clone())),
        (
            "role-policy",
            hold(Setting::InlinePolicy(policy(Principal::Role("web".try_into().unwrap()))), document.clone(), document),
        ),
        (
            "interface-groups",
            hold(Setting::InterfaceGroups(interface.clone()), groups(&["sg-0a1b", "sg-0c1d"]), groups(&["sg-0e1f"])),
        ),
        ("interface-groups-unresolved", hold(Setting::InterfaceGroups(interface), groups(&[]), waits)),
        ("ingress-rules-joined", joined(Some(&open), &more, id(1))),
        ("ingress-rules", open),
        ("quarantine-group", hold(quarantine, Value::Absent, rules(&[]))),
    ]
}

fn joined(hold: Option<&Hold>, change: &Change, by: &IncidentId) -> Hold {
    let at: Place = finding(0, 1).at;
    Hold::joined(hold, &Placed { at, change: change.clone() }, by, now()).unwrap()
}

fn rule(network: &str) -> Rule {
    Rule {
        id: Some("sgr-0a1b".try_into().unwrap()),
        direction: Direction::In,
        protocol: "tcp".to_owned(),
        ports: Some((22, 22)),
        peer: Peer::Network(network.parse().unwrap()),
        description: Some("from anywhere".to_owned()),
        tags: vec![("team".to_owned(), "web".to_owned())],
    }
}

/// What people are told of an undo, of which the rules know nothing.
fn undone() -> News {
    News::GivenBack { by: "ann".to_owned(), settings: Vec::new(), others: 0 }
}
