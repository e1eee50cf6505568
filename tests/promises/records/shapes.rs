//! One of each shape of record that this release writes.

use crate::protocol_model::world::{finding, id, planned};
use crate::stage::read;
use jiff::{SignedDuration, Timestamp};
use quell::change::{Change, Direction, GroupRef, KeyStatus, Peer, Rule, Value};
use quell::document::Document;
use quell::finding::{Finding, Subject, SubjectKind, parse};
use quell::id::{GroupId, Place, VpcId};
use quell::incident::{Incident, News, Outcome, Part, Returned, StepResult, Verdict};
use quell::ledger::hold::Hold;
use quell::ledger::key::{IncidentId, Placed};
use quell::ledger::protocol::{
    Claim, Decided, Done, Finish, LetGo, No, Occasion, Seen, begin_undo, claim, finish, finish_undo, gathered, reject,
    told,
};
use quell::ledger::record::{Approval, Entry, IncidentRecord, What, Who, Worker};
use quell::ledger::schema::SCHEMA;
use quell::plan::{Limit, Manual, NoSteps, Plan, Step};
use quell::policy::{Decision, Fallback, Refusal, Response};
use quell::setting::{
    AccessKeyStatus, IngressRules, InlinePolicy, InterfaceGroups, Principal, QuarantineGroup, Setting,
};
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;

/// The id of a write, as AWS gives them.
const WRITE: &str = "4e1f6d2a-0c7b-4b7e-9d53-2f1a8c6b9e10";

fn now() -> Timestamp {
    "2026-11-05T14:00:00Z".parse().unwrap()
}

pub fn late() -> Timestamp {
    now().checked_add(SignedDuration::from_hours(1)).unwrap()
}

pub fn worker(who: Who) -> Worker {
    let mut by = Worker::new(who, "c0ffee", late());
    "0123456789abcdef".clone_into(&mut by.lease.token);
    by.lease.until = now().checked_add(SignedDuration::from_secs(60)).unwrap();
    by
}

/// One of each shape that this release writes.
pub fn shapes() -> Vec<(String, Json)> {
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
    let mut unasked = gathered(&waiting, now()).incident.unwrap();
    unasked.incident.parts[0].decision.passing = true;
    unasked.unanswered = 2;
    unasked.incident.parts[0].plan.blast.instances_asked = true;
    let waiting = told(&waiting, now()).incident.unwrap();
    let rejected =
        reject(&waiting, &ann, No::Person, News::Rejected { by: "ann".to_owned() }, now()).unwrap().incident.unwrap();
    let held = told(&held, now()).incident.unwrap();
    let releasing = begin_undo(&held, &ann, None, now()).unwrap().incident.unwrap();
    let keys = releasing.to_give_back();
    let let_go = |let_go: LetGo| {
        let writes = if let_go == LetGo::GivenBack { vec![WRITE.to_owned()] } else { Vec::new() };
        let done: Vec<_> =
            keys.iter().map(|key| Done { writes: writes.clone(), ..Done::new(key.clone(), let_go.clone()) }).collect();
        finish_undo(&releasing, &ann, &done, undone(), now()).incident.unwrap()
    };
    let released = told(&let_go(LetGo::GivenBack), now()).incident.unwrap();
    let left =
        told(&told(&let_go(LetGo::KeptBy(vec![id(1).clone()])), now()).incident.unwrap(), late()).incident.unwrap();
    let mut all_said = left.clone();
    let entry = all_said.history[0].clone();
    all_said.history.extend(every_what().into_iter().map(|what| Entry { what, who: Who::Sweep, ..entry.clone() }));
    let of_each = of_every_setting(&policy);
    let mut beside_others = of_each.clone();
    let change = beside_others.incident.parts[0].plan.steps().next().unwrap().change.clone();
    beside_others.incident.parts[0].plan.earlier = vec![change];
    for step in beside_others.incident.parts.iter_mut().flat_map(|part| part.plan.stages.iter_mut().flatten()) {
        let Setting::IngressRules(_) = step.change.setting else { continue };
        step.narrowed = Some(Change { to: Value::Rules(BTreeSet::new()), ..step.change.clone() });
    }
    let mut closed_too = of_each.clone();
    for step in closed_too.incident.parts.iter_mut().flat_map(|part| part.plan.stages.iter_mut().flatten()) {
        let Setting::IngressRules(_) = step.change.setting else { continue };
        let alone = step.change.clone();
        *step = Step { change: Change { from: alone.to.clone(), ..alone.clone() }, alone: Some(alone), ..step.clone() };
    }
    let said = every_news().into_iter().map(|(name, news)| {
        let mut record = held.clone();
        record.incident.news = Some(news);
        (name, record)
    });
    let said: Vec<_> = said.collect();
    let named = vec![
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
        ("waiting-with-others", unasked),
        ("rejected", rejected),
        ("releasing", releasing.clone()),
        ("releasing-again", let_go(LetGo::Failed { why: "throttled".to_owned() })),
        ("left-to-people", let_go(LetGo::Refused { why: "access denied".to_owned() })),
        ("released", released),
        ("left-alone", left),
        ("history-of-years", all_said),
        ("of-every-setting", of_each),
        ("beside-others", beside_others),
        ("closed-by-another-too", closed_too),
        ("of-every-subject", of_every_subject(&policy)),
    ];
    named.into_iter().chain(said).collect()
}

fn every_what() -> Vec<What> {
    let setting = || "access key AKIAIOSFODNN7EXAMPLE of user ann".to_owned();
    let all = vec![
        What::Claimed,
        What::Resumed,
        What::Updated { count: 2 },
        What::Finished { verdict: Verdict::NothingToDo },
        What::Reopened { settings: vec![setting()] },
        What::Asked { plan: 2 },
        What::Approved { plan: 2 },
        What::Rejected,
        What::Expired,
        What::UndoBegun,
        What::GivenBack { setting: setting() },
        What::Left { setting: setting(), why: "somebody set it to Active".to_owned() },
        What::Released,
        What::LeftOut { lines: 1_204, next_plan: 3 },
    ];
    // What is new here is missing above.
    for what in &all {
        match what {
            What::Claimed
            | What::Resumed
            | What::Updated { .. }
            | What::Finished { .. }
            | What::Reopened { .. }
            | What::Asked { .. }
            | What::Approved { .. }
            | What::Rejected
            | What::Expired
            | What::UndoBegun
            | What::GivenBack { .. }
            | What::Left { .. }
            | What::Released
            | What::LeftOut { .. } => {}
        }
    }
    all
}

fn every_news() -> Vec<(&'static str, News)> {
    let by = || "ann".to_owned();
    let returned = |is_back| Returned { setting: "a setting".to_owned(), became: "was given back".to_owned(), is_back };
    let all = [
        News::More,
        News::Reopened { settings: vec!["a setting".to_owned()] },
        News::LeftAlone,
        News::StaysGivenBack { settings: vec!["a setting".to_owned()] },
        News::AskAgain,
        News::OverLimit { counter: "111122223333/2026-11-05T14".to_owned() },
        News::HeldBack,
        News::GivenUp { tries: 12 },
        News::Approved { by: by() },
        News::Rejected { by: by() },
        News::GivenBack { by: by(), settings: vec![returned(true), returned(false)], others: 1 },
    ];
    let named = all.into_iter().map(|news| {
        let name = match &news {
            News::More => "news-of-more",
            News::Reopened { .. } => "news-of-reopening",
            News::LeftAlone => "news-of-leaving-alone",
            News::StaysGivenBack { .. } => "news-of-leaving-a-setting-alone",
            News::AskAgain => "news-of-asking-again",
            News::OverLimit { .. } => "news-of-the-limit",
            News::HeldBack => "news-of-holding-back",
            News::GivenUp { .. } => "news-of-giving-up",
            News::Approved { .. } => "news-of-approval",
            News::Rejected { .. } => "news-of-rejection",
            News::GivenBack { .. } => "news-of-giving-back",
        };
        (name, news)
    });
    named.collect()
}

fn every_outcome() -> Vec<Outcome> {
    let why = || "AWS says so".to_owned();
    let all = vec![
        Outcome::Changed,
        Outcome::AlreadySo,
        Outcome::LetGo,
        Outcome::Drifted { found: Value::Absent },
        Outcome::Gone { why: why() },
        Outcome::Refused { why: why() },
        Outcome::Failed { why: why(), transient: false },
        Outcome::Unread { why: why(), transient: false },
    ];
    // What is new here is missing above.
    for outcome in &all {
        match outcome {
            Outcome::Changed
            | Outcome::AlreadySo
            | Outcome::LetGo
            | Outcome::Drifted { .. }
            | Outcome::Gone { .. }
            | Outcome::Refused { .. }
            | Outcome::Failed { .. }
            | Outcome::Unread { .. } => {}
        }
    }
    all
}

/// One step for each kind of setting and of outcome, in two stages.
fn of_every_setting(by: &Worker) -> IncidentRecord {
    let steps = holds().into_iter().filter(|(name, _)| !name.contains("joined")).map(|(_, hold)| {
        let to = hold.holders.first().map_or_else(|| hold.original.clone(), |holder| holder.to.clone());
        (hold.setting.clone(), Step::new(Change { setting: hold.setting, from: hold.original, to }, "it is in the way"))
    });
    let mut seen = BTreeSet::new();
    let (early, late): (Vec<_>, Vec<_>) = steps
        .filter(|(setting, _)| seen.insert(setting.to_string()))
        .map(|(_, step)| step)
        .partition(|step| matches!(step.change.setting, Setting::QuarantineGroup(_)));
    let mut incident = planned(event("attack_sequence"), true, now());
    incident.parts[0].plan.stages = vec![early, late];
    incident.parts[0].decision.expires = Some(SignedDuration::from_hours(4));
    let containing = began(incident, by);
    finished(&containing, by, &every_outcome(), &[], None)
}

/// A part without steps for each kind of subject and of reason, and all that a plan and a decision may say.
fn of_every_subject(by: &Worker) -> IncidentRecord {
    let why = || "AWS says so".to_owned();
    let reasons = [
        NoSteps::NothingToDo(why()),
        NoSteps::Gone(why()),
        NoSteps::Refused(why()),
        NoSteps::NotCovered(why()),
        NoSteps::NotObserved { why: why(), transient: true },
    ];
    let mut incident = planned(event("port_probe"), true, now());
    let at = incident.finding.at.clone();
    let whole = &mut incident.parts[0];
    whole.plan = whole.plan.clone().residual(["what it began goes on"]);
    whole.plan.manual = vec![Manual::say("Look."), Manual::run("List.", "aws iam list-users")];
    whole.plan.notes.push("it was created today".to_owned());
    whole.plan.left_out.push("another rule: it is out of reach".to_owned());
    whole.plan.at_most = Some(Limit { response: Response::Contain, why: "the finding is in doubt".to_owned() });
    whole.plan.blast.add(2, "2 other instances use it.");
    whole.plan.blast.unread.push("the load balancers".to_owned());
    whole.plan.blast.may_be = 3;
    let approval = quell::policy::Approval { within: SignedDuration::from_hours(1), fallback: Fallback::Contain };
    whole.decision = Decision {
        response: Response::Contain,
        rule: Some("keys".to_owned()),
        lowered: vec!["the finding is old".to_owned()],
        approved: true,
        passing: false,
        refused: Some(Refusal::MadeUp),
        notes: vec!["it is the last way in".to_owned()],
        expires: Some(SignedDuration::from_hours(4)),
        approval: Some(approval),
    };
    let others = every_subject().into_iter().zip(reasons.iter().cycle()).map(|(kind, why)| {
        let subject = Subject { at: at.clone(), kind };
        let plan = Plan::without_steps(&subject, None, why.clone());
        let decision = Decision { refused: Some(Refusal::Protected), ..Decision::new(Response::Plan, None) };
        Part { plan, decision, results: Vec::new(), ends: None }
    });
    incident.parts.extend(others);
    finished(&began(incident, by), by, &[Outcome::Changed], &[], None)
}

fn every_subject() -> Vec<SubjectKind> {
    let name = || "reports".to_owned();
    let user = || "ann".try_into().unwrap();
    let key = || Some("ASIAIOSFODNN7EXAMPLE".try_into().unwrap());
    let all = vec![
        SubjectKind::UserKey { user: user(), key: "AKIAIOSFODNN7EXAMPLE".try_into().unwrap() },
        SubjectKind::UserSession { user: user(), key: key() },
        SubjectKind::RoleSession {
            role: "web".try_into().unwrap(),
            role_id: "AROADBQP57FF2AEXAMPLE".try_into().unwrap(),
            session: "i-0a1b2c3d4e5f60718".try_into().unwrap(),
            key: key(),
        },
        SubjectKind::FederatedUser { name: name() },
        SubjectKind::Root { account: "111122223333".try_into().unwrap() },
        SubjectKind::AwsService { name: name() },
        SubjectKind::OtherAccount { principal: name() },
        SubjectKind::UnknownIdentity { text: name() },
        SubjectKind::Instance {
            id: "i-0a1b2c3d4e5f60718".try_into().unwrap(),
            groups: vec!["sg-0a1b".try_into().unwrap()],
            interfaces: vec!["eni-0a1b".try_into().unwrap()],
            vpcs: vec!["vpc-0a1b".try_into().unwrap()],
        },
        SubjectKind::Bucket { name: "reports".try_into().unwrap() },
        SubjectKind::Object { bucket: "reports".try_into().unwrap(), key: name() },
        SubjectKind::Container { name: name() },
        SubjectKind::EcsTask { arn: name() },
        SubjectKind::EksCluster { name: name() },
        SubjectKind::Function { name: name() },
        SubjectKind::Database { name: name() },
        SubjectKind::DatabaseUser { database: name(), user: name() },
        SubjectKind::Volume { id: name() },
        SubjectKind::Snapshot { id: name() },
        SubjectKind::Image { id: name() },
        SubjectKind::Unknown { resource_type: name() },
    ];
    // What is new here is missing above.
    for kind in &all {
        match kind {
            SubjectKind::UserKey { .. }
            | SubjectKind::UserSession { .. }
            | SubjectKind::RoleSession { .. }
            | SubjectKind::FederatedUser { .. }
            | SubjectKind::Root { .. }
            | SubjectKind::AwsService { .. }
            | SubjectKind::OtherAccount { .. }
            | SubjectKind::UnknownIdentity { .. }
            | SubjectKind::Instance { .. }
            | SubjectKind::Bucket { .. }
            | SubjectKind::Object { .. }
            | SubjectKind::Container { .. }
            | SubjectKind::EcsTask { .. }
            | SubjectKind::EksCluster { .. }
            | SubjectKind::Function { .. }
            | SubjectKind::Database { .. }
            | SubjectKind::DatabaseUser { .. }
            | SubjectKind::Volume { .. }
            | SubjectKind::Snapshot { .. }
            | SubjectKind::Image { .. }
            | SubjectKind::Unknown { .. } => {}
        }
    }
    all
}

/// A finding as it comes, with all that findings of its kind say.
fn event(name: &str) -> Finding {
    let mut event: Json = serde_json::from_str(&read(name)).unwrap();
    parse(event["detail"].take()).unwrap()
}

fn claimed(response: Response, by: &Worker) -> IncidentRecord {
    let mut incident = planned(finding(0, 1), true, now());
    incident.parts[0].decision.response = response;
    incident.parts[0].decision.rule = Some("keys".to_owned());
    began(incident, by)
}

fn began(incident: Incident, by: &Worker) -> IncidentRecord {
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
        let results = changes.zip(outcomes).map(|(change, outcome)| {
            let requests = if *outcome == Outcome::Changed { vec![WRITE.to_owned()] } else { Vec::new() };
            StepResult { requests, ..StepResult::new(change, outcome.clone()) }
        });
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
    let document = json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Deny" }] });
    let document = Value::Document(Document::from(document));
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
        ("ingress-rules-joined-and-made", joined(Some(&open), &more, id(1))),
        ("ingress-rules-and-made", open),
        ("quarantine-group", hold(quarantine, Value::Absent, rules(&[]))),
    ]
}

fn joined(hold: Option<&Hold>, change: &Change, by: &IncidentId) -> Hold {
    let at: Place = finding(0, 1).at;
    Hold::joined(hold, &Placed { at, change: change.clone() }, by, now(), now(), now()).unwrap()
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
pub fn undone() -> News {
    News::GivenBack { by: "ann".to_owned(), settings: Vec::new(), others: 0 }
}
