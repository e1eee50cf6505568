//! Each guard, and the message it causes.

use super::*;
use crate::change::{KeyStatus, Rule, Value};
use crate::cloud_error::CloudError;
use crate::finding::{FindingType, parse};
use crate::id::AccountId;
use crate::observed::{Exposure, Instance, Interface, Neighbour, Neighbours, Owner, Role, UserKey, Verification};
use crate::policy::Tags;
use crate::remediation::route;
use crate::setting::Principal;
use jiff::SignedDuration;
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};

/// What is known, and what the policy says beside its one rule, which contains everything.
struct Story {
    finding: Finding,
    observed: Observed,
    checks: Checks,
    own: Own,
    rule: &'static str,
    policy: &'static str,
}

const NOW: &str = "2026-11-21T12:00:00Z";

impl Story {
    fn new(kind: &str, resource: &Json, observed: Observed) -> Self {
        let finding = parse(json!({
            "id": "0a1b", "accountId": "111122223333", "region": "eu-west-1", "type": kind,
            "updatedAt": "2026-11-21T11:50:00Z", "resource": resource,
            "service": { "action": { "networkConnectionAction": { "localPortDetails": { "port": 22 } } } },
        }));
        let checks = Checks { verification: Verification::Known { updated: None }, kill_switch: KillSwitch::Open };
        let own = Own::default();
        Self { finding: finding.unwrap(), observed, checks, own, rule: "response = 'contain'", policy: "" }
    }

    /// A key that the finding says is ann's, and that is whose the account says.
    fn key_of(owner: &str) -> Self {
        let owner = Owner {
            user: owner.try_into().unwrap(),
            status: KeyStatus::Active,
            quarantine: Value::Absent,
            other_keys: vec!["AKIAI44QH8DHBEXAMPLE".try_into().unwrap()],
            path: "/staff/".to_owned(),
            tags: tags("team", "pay"),
        };
        let resource = json!({ "accessKeyDetails": {
            "userType": "IAMUser", "userName": "ann", "principalId": "AIDA1", "accessKeyId": "AKIAIOSFODNN7EXAMPLE",
        }});
        let seen = Observed::UserKey(UserKey { owner: Some(owner), last_used: Ok(None) });
        Self::new("UnauthorizedAccess:IAMUser/TorIPCaller", &resource, seen)
    }

    fn session_of(role: &str, path: &str) -> Self {
        let resource = json!({ "accessKeyDetails": {
            "userType": "AssumedRole", "userName": role, "principalId": "AROA1:deploy",
            "accessKeyId": "ASIAIOSFODNN7EXAMPLE",
        }});
        let seen = Observed::Role(Role {
            name: role.try_into().unwrap(),
            id: "AROA1".try_into().unwrap(),
            path: path.to_owned(),
            session_policy: Value::Absent,
            tags: Tags::new(),
        });
        Self::new("UnauthorizedAccess:IAMUser/TorIPCaller", &resource, seen)
    }

    fn instance(tags: Tags) -> Self {
        let (id, state) = ("i-0a".try_into().unwrap(), "running".to_owned());
        let seen = Instance { id, state, interfaces: vec![interface()], quarantine: BTreeMap::new(), tags };
        let resource = json!({ "instanceDetails": { "instanceId": "i-0a" } });
        Self::new("Backdoor:EC2/C&CActivity.B", &resource, Observed::Instance(seen))
    }

    fn exposure(neighbours: Result<Neighbours, CloudError>) -> Self {
        let world: Rule = serde_json::from_value(json!({
            "direction": "in", "protocol": "tcp", "ports": [22, 22], "peer": { "network": "0.0.0.0/0" },
        }))
        .unwrap();
        let seen = Exposure {
            id: "i-0a".try_into().unwrap(),
            state: "running".to_owned(),
            interfaces: vec![interface()],
            rules: BTreeMap::from([("sg-01".try_into().unwrap(), BTreeSet::from([world]))]),
            group_tags: BTreeMap::new(),
            kept_closed: BTreeMap::new(),
            neighbours,
            tags: Tags::new(),
        };
        let resource = json!({ "instanceDetails": { "instanceId": "i-0a" } });
        Self::new("UnauthorizedAccess:EC2/SSHBruteForce", &resource, Observed::Exposure(seen))
    }

    fn under(self, policy: &'static str) -> Self {
        Self { policy, ..self }
    }

    fn ruled(self, rule: &'static str) -> Self {
        Self { rule, ..self }
    }

    fn verified(self, verification: Verification) -> Self {
        Self { checks: Checks { verification, ..self.checks }, ..self }
    }

    fn switched(self, kill_switch: KillSwitch) -> Self {
        Self { checks: Checks { kill_switch, ..self.checks }, ..self }
    }

    fn with(mut self, change: impl FnOnce(&mut Finding)) -> Self {
        change(&mut self.finding);
        self
    }

    fn decision(&self) -> Decision {
        let Self { finding, observed, checks, own, rule, policy } = self;
        let text = format!("{policy}\n[[rule]]\nname = 'all'\ntypes = ['*']\n{rule}");
        let policy = Policy::parse(&text, &crate::remediation::names()).unwrap_or_else(|error| panic!("{error}"));
        let routes = route(finding);
        let remediation = routes[0].remediation.unwrap();
        let plan = &(remediation.plan)(finding, routes[0].subject, observed);
        let ruling = &policy.rule_for(finding, routes[0].subject, Some(&observed.tags()));
        let observed = Some(observed);
        lowered(&Case {
            finding,
            plan,
            ruling,
            policy: &policy,
            observed,
            checks,
            own,
            now: NOW.parse().unwrap(),
            waited: SignedDuration::ZERO,
        })
    }

    /// The response, then each reason, then each note.
    #[track_caller]
    fn check(&self, expect: &[&str]) {
        let decision = self.decision();
        let refused = decision.refused.map(|refusal| format!(", refused: {refusal:?}")).unwrap_or_default();
        let notes = decision.notes.iter().map(|note| format!("note: {note}"));
        let head = format!("{}{refused}", decision.response);
        assert_eq!([head].into_iter().chain(decision.lowered.clone()).chain(notes).collect::<Vec<_>>(), expect);
    }
}

fn tags(key: &str, value: &str) -> Tags {
    Tags::from([(key.to_owned(), value.to_owned())])
}

fn interface() -> Interface {
    Interface {
        id: "eni-01".try_into().unwrap(),
        vpc: "vpc-0a".try_into().unwrap(),
        groups: BTreeSet::from(["sg-01".try_into().unwrap()]),
        addresses: Vec::new(),
        requester_managed: false,
        tags: Tags::new(),
    }
}

fn denied() -> CloudError {
    CloudError::unreadable("ec2:DescribeNetworkInterfaces", "no")
}

#[test]
fn where_no_guard_objects_the_rule_decides() {
    Story::key_of("ann").check(&["contain"]);
    Story::session_of("web", "/").check(&["contain"]);
    Story::instance(Tags::new()).check(&["contain"]);
    Story::exposure(Ok(Neighbours::default())).check(&["contain"]);
    Story::key_of("ann").ruled("response = 'plan'").check(&["plan"]);
    Story::key_of("ann").verified(Verification::NotAsked).check(&["contain"]);
}

#[test]
fn what_the_policy_protects_is_refused_with_its_owner_and_reason() {
    let protected =
        |by: &str| -> &'static str { format!("[[protect]]\n{by}\nowner = 'pay@example.com'\nreason = 'wages'").leak() };
    let ann = ["plan, refused: Protected", "user ann is protected (pay@example.com): wages"];
    for by in [
        "arns = ['arn:aws:iam::111122223333:user/staff/ann']",
        "arns = ['arn:aws:iam::*:user/staff/Ann']",
        "paths = ['/staff/*']",
        "tags = { team = 'pay*' }",
        "accounts = ['111122223333']",
        "accounts = ['111122223333']\npaths = ['/staff/']\ntags = { team = 'pay' }\narns = ['*/ann']",
    ] {
        Story::key_of("ann").under(protected(by)).check(&ann);
    }
    for by in [
        "arns = ['arn:aws:iam::*:user/ann']",
        "arns = ['arn:aws:iam::*:role/*']",
        "paths = ['/']",
        "tags = { team = 'pay', env = '*' }",
        "accounts = ['999999999999']",
        "accounts = ['999999999999']\npaths = ['/staff/']",
    ] {
        Story::key_of("ann").under(protected(by)).check(&["contain"]);
    }
    let web = ["plan, refused: Protected", "role web is protected (pay@example.com): wages"];
    Story::session_of("web", "/service/").under(protected("paths = ['/service/']")).check(&web);
    let instance = ["plan, refused: Protected", "instance i-0a is protected (pay@example.com): wages"];
    Story::instance(tags("team", "pay")).under(protected("tags = { team = 'pay' }")).check(&instance);
    Story::instance(Tags::new()).under(protected("accounts = ['111122223333']")).check(&instance);
    let arn = "arns = ['arn:aws:ec2:eu-west-1:111122223333:instance/i-0a']";
    Story::exposure(Ok(Neighbours::default())).under(protected(arn)).check(&instance);
}

/// The port of a group closes for all that have it.
#[test]
fn who_shares_a_group_whose_port_closes_is_protected_too() {
    let neighbour = |group: &str| Neighbour {
        id: "eni-0b".try_into().unwrap(),
        instance: Some("i-0b".try_into().unwrap()),
        kind: "interface".to_owned(),
        groups: BTreeSet::from([group.try_into().unwrap()]),
        tags: tags("team", "pay"),
    };
    let beside =
        |group: &str| Story::exposure(Ok(Neighbours { interfaces: BTreeSet::from([neighbour(group)]), more: false }));
    let refused = "is protected (ops): wages";
    let instance = format!("instance i-0b, which has the same group, {refused}");
    let interface = format!("interface eni-0b, which has the same group, {refused}");
    for (what, says) in [
        ("arns = ['*:instance/i-0b']", &instance),
        ("arns = ['*:network-interface/eni-0b']", &interface),
        ("tags = { team = 'pay' }", &interface),
    ] {
        let policy: &str = format!("[[protect]]\n{what}\nowner = 'ops'\nreason = 'wages'").leak();
        beside("sg-01").under(policy).check(&["plan, refused: Protected", says]);
        beside("sg-02").under(policy).check(&["contain"]);
    }
}

#[test]
fn a_key_is_its_true_owners_whatever_the_finding_says() {
    let protected = "[[protect]]\narns = ['*:user/*mallory']\nowner = 'ops'\nreason = 'audit'";
    let expect = ["plan, refused: Protected", "user mallory is protected (ops): audit"];
    Story::key_of("mallory").under(protected).check(&expect);
    Story::key_of("mallory").under("[[protect]]\narns = ['*/ann']\nowner = 'ops'\nreason = 'x'").check(&["contain"]);
}

#[test]
fn what_a_step_changes_beside_the_subject_is_protected_too() {
    let of = |what: &str| -> &'static str {
        format!("[[protect]]\narns = ['arn:aws:ec2:*:*:{what}']\nowner = 'net'\nreason = 'shared'").leak()
    };
    let group = ["plan, refused: Protected", "security group sg-01 is protected (net): shared"];
    Story::exposure(Ok(Neighbours::default())).under(of("security-group/sg-01")).check(&group);
    Story::instance(Tags::new()).under(of("security-group/sg-01")).check(&["contain"]);
    let interface = ["plan, refused: Protected", "interface eni-01 is protected (net): shared"];
    Story::instance(Tags::new()).under(of("network-interface/*")).check(&interface);
}

#[test]
fn a_protection_ends_with_its_day_and_that_is_told() {
    let until = |day: &str| -> &'static str {
        format!("[[protect]]\npaths = ['/staff/']\nowner = 'pay'\nreason = 'wages'\nuntil = {day}").leak()
    };
    let still = "user ann is protected until 2026-11-22T00:00:00Z (pay): wages";
    Story::key_of("ann").under(until("2026-11-21")).check(&["plan, refused: Protected", still]);
    let over = "note: The protection of user ann by pay ended at 2026-11-21T00:00:00Z: wages";
    Story::key_of("ann").under(until("2026-11-20")).check(&["contain", over]);
}

#[test]
fn what_is_quells_own_or_nobodys_to_change_is_protected_without_a_word_in_the_policy() {
    let role = Principal::Role("quell-function".try_into().unwrap());
    let own = Own { principal: Some(role), stack: Some("arn:aws:stack/1".to_owned()) };
    let story = Story { own: own.clone(), ..Story::session_of("quell-function", "/") };
    story.check(&["plan, refused: Protected", "role quell-function is Quell's own"]);
    let story = Story { own: own.clone(), ..Story::instance(tags("aws:cloudformation:stack-id", "arn:aws:stack/1")) };
    story.check(&["plan, refused: Protected", "instance i-0a is Quell's own"]);
    Story { own: own.clone(), ..Story::instance(tags("stack-id", "arn:aws:stack/1")) }.check(&["contain"]);
    Story { own, ..Story::session_of("web", "/") }.check(&["contain"]);

    let linked = "role web is service-linked: only the AWS service itself can change it";
    Story::session_of("web", "/aws-service-role/ecs.amazonaws.com/").check(&["plan, refused: Protected", linked]);
    let sso = "role web belongs to IAM Identity Center: it is changed only there";
    Story::session_of("web", "/aws-reserved/sso.amazonaws.com/eu-west-1/").check(&["plan, refused: Protected", sso]);
}

#[test]
fn operators_and_break_glass_are_left_alone() {
    let policy = "[operators]\nroles = ['SecOps*']\nbreak_glass = ['user/mallory', 'role/emergency']";
    let operators = ["plan, refused: Protected", "role secops-lead is the operators' (operators in the policy)"];
    Story::session_of("secops-lead", "/").under(policy).check(&operators);
    let user = ["plan, refused: Protected", "user mallory is for emergencies (break_glass in the policy)"];
    Story::key_of("mallory").under(policy).check(&user);
    let role = ["plan, refused: Protected", "role emergency is for emergencies (break_glass in the policy)"];
    Story::session_of("emergency", "/").under(policy).check(&role);
    Story::key_of("ann").under(policy).check(&["contain"]);
    Story::session_of("mallory", "/").under(policy).check(&["contain"]);
}

#[test]
fn the_root_user_of_the_management_account_is_the_last_way_in() {
    let mut story = Story::key_of("ann").under("organization = { management_account = '111122223333' }");
    let root = json!({ "accessKeyDetails": { "userType": "Root", "userName": "Root", "principalId": "111122223333" } });
    story.finding.subjects =
        Story::new("Policy:IAMUser/RootCredentialUsage", &root, story.observed.clone()).finding.subjects;
    let policy = Policy::parse(story.policy, &[]).unwrap();
    let plan = crate::remediation::told(&story.finding, &story.finding.subjects[0]);
    let ruling =
        Ruling::Decided { response: Response::Contain, rule: None, remediations: None, terms: Terms::default() };
    let (finding, checks, own) = (&story.finding, &story.checks, &story.own);
    let now = NOW.parse().unwrap();
    let case = Case {
        finding,
        plan: &plan,
        ruling: &ruling,
        policy: &policy,
        observed: None,
        checks,
        own,
        now,
        waited: SignedDuration::ZERO,
    };
    let expect = "the root user of account 111122223333 is the last way into the organization";
    assert_eq!(lowered(&case).lowered, [expect]);
}

#[test]
fn a_finding_that_is_not_what_it_seems_is_not_acted_on() {
    let sample = "the finding is a sample: what it names does not exist";
    Story::key_of("ann").with(|finding| finding.sample = true).check(&["plan", sample]);
    let archived = "the finding is archived: somebody has dealt with it";
    Story::key_of("ann").with(|finding| finding.archived = true).check(&["plan", archived]);
    let nameless = "the finding has no id or no account, so GuardDuty did not send it as it is";
    Story::key_of("ann").with(|finding| finding.id = crate::id::FindingId::unknown()).check(&["plan", nameless]);
    let unknown = "this release does not know the finding's type, so a person must say what it means";
    let new_type =
        |finding: &mut Finding| finding.kind = FindingType::try_from("New:IAMUser/Thing".to_owned()).unwrap();
    Story::key_of("ann").with(new_type).check(&["approve", unknown]);
}

#[test]
fn a_finding_that_waited_too_long_waits_for_a_person() {
    let at = |time: &'static str| move |finding: &mut Finding| finding.updated = Some(time.parse().unwrap());
    Story::key_of("ann").with(at("2026-11-20T12:00:00Z")).check(&["contain"]);
    let day = "the finding was last updated 24 hours ago, the policy allows 24 hours";
    Story::key_of("ann").with(at("2026-11-20T11:59:59Z")).check(&["approve", day]);
    let minutes = "the finding was last updated 10 minutes ago, the policy allows 5 minutes";
    Story::key_of("ann").under("guards = { stale_after = '5m' }").check(&["approve", minutes]);
    let untimed = "the finding does not say when it was updated, so it may be old";
    Story::key_of("ann").with(|finding| finding.updated = None).check(&["approve", untimed]);
    let replayed = "the finding was last updated 20 days ago, the policy allows 24 hours";
    let theirs = Verification::Known { updated: Some("2026-11-01T12:00:00Z".parse().unwrap()) };
    Story::key_of("ann").verified(theirs).check(&["approve", replayed]);
}

#[test]
fn a_finding_that_guardduty_does_not_know_is_refused_and_one_that_it_cannot_be_asked_about_waits() {
    let why = || "GuardDuty has no finding of this id".to_owned();
    let made_up = "the finding was made up: GuardDuty has no finding of this id. Find out who can send events to Quell";
    let refused = ["plan, refused: MadeUp", made_up];
    Story::key_of("ann").verified(Verification::MadeUp { why: why() }).check(&refused);
    Story::key_of("ann").ruled("response = 'plan'").verified(Verification::MadeUp { why: why() }).check(&refused);
    let unreachable = "GuardDuty could not be asked whether it knows the finding (throttled)";
    let why = "throttled".to_owned();
    Story::key_of("ann").verified(Verification::Unreachable { why, transient: false }).check(&["approve", unreachable]);
    // What may pass is asked again, where nothing else is in the way.
    let passing = || Verification::Unreachable { why: "throttled".to_owned(), transient: true };
    let again =
        format!("{unreachable}; Quell asks again, and then does what the rule says unless a person decides first");
    let waits = Story::key_of("ann").verified(passing());
    waits.check(&["approve", &again]);
    assert!(waits.decision().passing);
    let unread = || KillSwitch::Unreadable { why: "throttled".to_owned(), transient: true };
    assert!(Story::key_of("ann").verified(passing()).switched(unread()).decision().passing);
    let by_time = "response = 'approve'\napproval = { within = '1h', fallback = 'contain' }";
    assert!(Story::key_of("ann").ruled(by_time).verified(passing()).decision().passing);
    for held in [
        Story::key_of("ann").ruled("response = 'approve'").verified(passing()),
        Story::key_of("ann").verified(passing()).switched(KillSwitch::AtMost(Response::Approve)),
        Story::key_of("ann").verified(passing()).with(|finding| finding.updated = None),
        Story::key_of("ann").verified(passing()).with(|finding| finding.sample = true),
    ] {
        assert!(!held.decision().passing, "{:?}", held.decision());
    }
    let overtaken = "the finding was updated after it was sent: another port";
    let why = "another port".to_owned();
    Story::key_of("ann").verified(Verification::Overtaken { why }).check(&["approve", overtaken]);
}

#[test]
fn the_kill_switch_says_how_far_quell_may_go() {
    let at_most = |response| Story::key_of("ann").switched(KillSwitch::AtMost(response));
    at_most(Response::Plan).check(&["plan", "the kill switch says \"plan\""]);
    at_most(Response::Approve).check(&["approve", "the kill switch says \"approve\""]);
    at_most(Response::Notify).check(&["notify", "the kill switch says \"notify\""]);
    at_most(Response::Approve).ruled("response = 'plan'").check(&["plan"]);
    let unclear = KillSwitch::Unclear { value: "on".to_owned() };
    let told = "the kill switch says \"on\", which is no response, so nothing is done";
    Story::key_of("ann").switched(unclear).check(&["plan", told]);
    let unreadable = KillSwitch::Unreadable { why: "denied".to_owned(), transient: false };
    let told = "the kill switch may be on: it could not be read (denied)";
    Story::key_of("ann").switched(unreadable).check(&["approve", told]);
}

#[test]
fn more_than_the_rule_lets_stop_waits_for_a_person() {
    let at_most = |most: &str| -> &'static str { format!("response = 'contain'\nmax_blast = {most}").leak() };
    Story::key_of("ann").ruled(at_most("1")).check(&["contain"]);
    let one = ["approve", "1 other thing would stop, the rule allows 0 without a person"];
    Story::key_of("ann").ruled(at_most("0")).check(&one);
    Story::instance(tags("eks:cluster-name", "shop")).ruled(at_most("0")).check(&one);
    let neighbour = |n: u8| Neighbour {
        id: format!("eni-1{n}").try_into().unwrap(),
        instance: (n > 1).then(|| "i-0b".try_into().unwrap()),
        kind: "lambda".to_owned(),
        groups: BTreeSet::from(["sg-01".try_into().unwrap()]),
        tags: Tags::new(),
    };
    let neighbours = |more| Neighbours { interfaces: (0..4).map(neighbour).collect(), more };
    Story::exposure(Ok(neighbours(false))).ruled(at_most("3")).check(&["contain"]);
    let three = "3 other things would stop, the rule allows 2 without a person";
    Story::exposure(Ok(neighbours(false))).ruled(at_most("2")).check(&["approve", three]);
    let more = "what else would stop is not known: more interfaces have the security groups than are read at once";
    Story::exposure(Ok(neighbours(true))).ruled(at_most("3")).check(&["approve", more]);
    let unread = "what else would stop is not known: who else has the security groups: \
                  ec2:DescribeNetworkInterfaces: unexpected answer: no";
    Story::exposure(Err(denied())).ruled(at_most("9")).check(&["approve", unread]);
    Story::exposure(Err(denied())).check(&["contain"]);
}

#[test]
fn a_remediation_that_the_rule_leaves_out_is_planned_and_no_more() {
    let rule = "response = 'contain'\nremediations = ['exposed-port']";
    Story::key_of("ann").ruled(rule).check(&["plan", "the policy's rule does not use compromised-access-key"]);
}

#[test]
fn all_reasons_are_told_the_one_that_wants_least_first() {
    let unreachable = Verification::Unreachable { why: "throttled".to_owned(), transient: true };
    let story = Story::key_of("ann").under("operators = { break_glass = ['user/ann'] }").verified(unreachable);
    story.with(|finding| finding.sample = true).switched(KillSwitch::AtMost(Response::Notify)).check(&[
        "notify, refused: Protected",
        "user ann is for emergencies (break_glass in the policy)",
        "the kill switch says \"notify\"",
        "the finding is a sample: what it names does not exist",
        "GuardDuty could not be asked whether it knows the finding (throttled)",
    ]);
}

#[test]
fn what_a_guard_holds_back_is_not_done_because_nobody_answered() {
    let rule = "response = 'approve'\nexpires = '4h'\napproval = { within = '1h', fallback = 'contain' }";
    let approval = |fallback| Some(Approval { within: SignedDuration::from_hours(1), fallback });
    let decision = Story::key_of("ann").ruled(rule).decision();
    assert_eq!(
        (decision.expires, decision.approval),
        (Some(SignedDuration::from_hours(4)), approval(Fallback::Contain))
    );
    let decision = Story::key_of("ann").ruled(rule).with(|finding| finding.updated = None).decision();
    assert_eq!((decision.response, decision.approval), (Response::Approve, approval(Fallback::Abandon)));
    let rule = "response = 'contain'\napproval = { within = '1h', fallback = 'contain' }";
    let decision = Story::key_of("ann").ruled(rule).decision().lowered_to(Response::Approve, "over the limit");
    assert_eq!(decision.approval, approval(Fallback::Abandon));
    assert_eq!((decision.response, decision.lowered), (Response::Approve, vec!["over the limit".to_owned()]));
}

#[test]
fn no_guard_ever_raises_a_response_and_none_of_them_undoes_what_another_lowers() {
    let why = || "because".to_owned();
    let switches = || {
        let at_most = [Response::Notify, Response::Plan, Response::Approve, Response::Contain].map(KillSwitch::AtMost);
        let others =
            [KillSwitch::Unclear { value: "x".into() }, KillSwitch::Unreadable { why: why(), transient: true }];
        at_most.into_iter().chain([KillSwitch::Open]).chain(others)
    };
    let verifications = [
        Verification::Known { updated: None },
        Verification::MadeUp { why: why() },
        Verification::Overtaken { why: why() },
        Verification::Unreachable { why: why(), transient: false },
        Verification::NotAsked,
    ];
    let findings: [fn(&mut Finding); 5] = [
        |_| {},
        |finding| finding.sample = true,
        |finding| finding.archived = true,
        |finding| finding.updated = "2026-11-01T00:00:00Z".parse().ok(),
        |finding| finding.at.account = AccountId::unknown(),
    ];
    let stories: [fn() -> Story; 4] = [
        || Story::key_of("ann"),
        || Story::key_of("bob"),
        || Story::session_of("quell", "/aws-service-role/"),
        || Story::instance(tags("aws:autoscaling:groupName", "web")),
    ];
    let policies = ["", "[operators]\nbreak_glass = ['user/ann']", "[guards]\nstale_after = '1m'"];
    let mut lowest = BTreeSet::new();
    for rule in ["response = 'notify'", "response = 'plan'", "response = 'approve'", "response = 'contain'"] {
        let most = Response::from_word(word(rule)).unwrap();
        for (story, policy) in stories.iter().flat_map(|story| policies.map(|policy| (story, policy))) {
            for change in findings {
                let told = |verification: &Verification, switch: KillSwitch| {
                    story().ruled(rule).under(policy).with(change).verified(verification.clone()).switched(switch)
                };
                for verification in &verifications {
                    let open = told(verification, KillSwitch::Open).decision();
                    for switch in switches() {
                        let decision = told(verification, switch).decision();
                        assert!(decision.response <= most.min(open.response), "{decision:?}");
                        assert!(open.lowered.iter().all(|why| decision.lowered.contains(why)), "{decision:?} {open:?}");
                        assert!(decision.response == most || !decision.lowered.is_empty(), "{decision:?}");
                        lowest.insert(decision.response);
                    }
                }
            }
        }
    }
    assert_eq!(lowest.len(), 4, "each response comes about");
}

fn word(rule: &str) -> &str {
    rule.split('\'').nth(1).unwrap()
}

#[test]
fn tags_that_the_policy_asks_for_and_nobody_could_read_leave_nothing_to_act_on() {
    let story = Story::key_of("ann");
    let routes = route(&story.finding);
    let plan = (routes[0].remediation.unwrap().plan)(&story.finding, routes[0].subject, &story.observed);
    let policy = Policy::parse("", &[]).unwrap();
    let (finding, checks, own) = (&story.finding, &story.checks, &story.own);
    let (plan, ruling, policy, now) = (&plan, &Ruling::NeedsTags, &policy, NOW.parse().unwrap());
    let decision = lowered(&Case {
        finding,
        plan,
        ruling,
        policy,
        observed: None,
        checks,
        own,
        now,
        waited: SignedDuration::ZERO,
    });
    assert_eq!(decision.response, Response::Notify);
    assert_eq!(decision.lowered, ["the policy asks for tags, and they could not be read"]);
}
