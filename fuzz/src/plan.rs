//! What holds for each plan, whatever the finding says.

use jiff::SignedDuration;
use quell::change::{Change, Direction, KeyStatus, Peer, Rule, Value};
use quell::finding::{Finding, Subject, SubjectKind};
use quell::guard::{self, Case, Own};
use quell::incident::{Incident, Outcome, Part, StepResult};
use quell::ledger::key::HoldKey;
use quell::observed::{Checks, Exposure, Instance, Interface, KillSwitch, Neighbours, Observed, Owner};
use quell::observed::{Role, UserKey, Verification, View};
use quell::plan::Plan;
use quell::policy::{Policy, Response, Tags};
use quell::remediation::{self, Remediation, Route};
use std::fmt::Debug;
use std::sync::LazyLock;

/// A team that wants everything contained: what keeps Quell from it then is its own caution.
static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    Policy::parse("rule = [{ types = [\"*\"], response = \"contain\" }]", &remediation::names()).expect("a policy")
});

/// Plans for every subject of the finding, and says that what is to be done was done. Looks at each plan and decision.
pub fn incident(finding: &Finding) -> Incident {
    let routes = remediation::route(finding);
    assert!(routes.iter().map(|route| route.subject).eq(&finding.subjects), "each subject has its route");
    let parts = routes.iter().flat_map(|route| parts(finding, *route)).collect();
    Incident::new(finding.clone(), parts, crate::noon())
}

fn parts(finding: &Finding, route: Route<'_>) -> Vec<Part> {
    let Route { subject, remediation } = route;
    let Some(remediation) = remediation else {
        let plan = remediation::told(finding, subject);
        assert_eq!(plan.remediation, None);
        return vec![part(finding, subject, plan, None)];
    };
    let views = views(remediation, subject);
    let parts = views.iter().map(|view| {
        let plan = (remediation.plan)(finding, subject, view);
        assert_eq!(plan.remediation.as_deref(), Some(remediation.name));
        part(finding, subject, plan, Some(view))
    });
    parts.collect()
}

fn part(finding: &Finding, subject: &Subject, plan: Plan, observed: Option<&Observed>) -> Part {
    assert_eq!(plan.subject, *subject);
    assert_eq!(plan.stages.is_empty(), plan.no_steps.is_some(), "a plan without steps says why: {plan:?}");
    plan.steps().for_each(|step| change(subject, &step.change));
    let commands = plan.manual.iter().filter_map(|manual| manual.command.as_deref());
    commands.for_each(assert_pasteable);
    crate::is_kept(&plan);

    let checks =
        Checks { verification: Verification::Known { updated: finding.updated }, kill_switch: KillSwitch::Open };
    let ruling = POLICY.rule_for(finding, subject, Some(&Tags::new()));
    let (now, waited) = (finding.updated.unwrap_or_else(crate::noon), SignedDuration::ZERO);
    let own = Own::default();
    let case = Case {
        finding,
        plan: &plan,
        ruling: &ruling,
        policy: &POLICY,
        observed,
        checks: &checks,
        own: &own,
        now,
        waited,
    };
    let decision = guard::lowered(&case);
    let in_doubt = finding.sample || finding.archived || !finding.is_named() || !finding.kind.is_known();
    assert!(!in_doubt || decision.response < Response::Contain, "{decision:?}");
    assert!(plan.at_most.iter().all(|limit| decision.response <= limit.response), "{decision:?}");
    assert_eq!(decision.response < Response::Contain, !decision.lowered.is_empty(), "{decision:?}");

    let done = plan.steps().filter(|_| decision.response == Response::Contain);
    let results = done.map(|step| StepResult::new(step.change.clone(), Outcome::Changed)).collect();
    Part { plan, decision, results, ends: None }
}

/// It stays in the subject's account, can be taken back, and can be pasted into a terminal.
fn change(subject: &Subject, change: &Change) {
    let key = HoldKey::of(&subject.at, &change.setting);
    assert!(key.as_str().starts_with(&format!("{}/", subject.at.account)), "{key}");
    assert_eq!(change.undo().undo(), *change);
    change.commands().iter().chain(&change.undo().commands()).for_each(|command| assert_pasteable(command));
}

fn assert_pasteable(command: &str) {
    assert!(command.chars().all(|c| c == ' ' || c.is_ascii_graphic()) && !command.trim().is_empty(), "{command:?}");
}

/// The resource as AWS may show it: not there, and as it would be in need of containment.
fn views(remediation: &Remediation, subject: &Subject) -> Vec<Observed> {
    match (remediation.view, &subject.kind) {
        (View::UserKey, SubjectKind::UserKey { user, key }) => {
            let owner = Owner {
                user: user.clone(),
                status: KeyStatus::Active,
                quarantine: Value::Absent,
                other_keys: vec![key.clone()],
                path: "/".to_owned(),
                tags: Tags::new(),
            };
            [None, Some(owner)].map(|owner| Observed::UserKey(UserKey { owner, last_used: Ok(None) })).into()
        }
        (View::Role, SubjectKind::RoleSession { role, role_id, .. }) => vec![Observed::Role(Role {
            name: role.clone(),
            id: role_id.clone(),
            path: "/".to_owned(),
            session_policy: Value::Absent,
            tags: Tags::new(),
        })],
        (View::Instance, SubjectKind::Instance { id: instance, .. }) => {
            let seen = |interfaces| Instance {
                id: instance.clone(),
                state: "running".to_owned(),
                interfaces,
                quarantine: [].into(),
                tags: Tags::new(),
            };
            [Vec::new(), vec![interface()]].map(|interfaces| Observed::Instance(seen(interfaces))).into()
        }
        (View::Exposure, SubjectKind::Instance { id: instance, .. }) => {
            let rules = [open("tcp", Some((0, 65_535))), open("-1", None), open("udp", Some((53, 53)))];
            vec![Observed::Exposure(Exposure {
                id: instance.clone(),
                state: "running".to_owned(),
                interfaces: vec![interface()],
                rules: [(id("sg-0a1b"), rules.into())].into(),
                group_tags: [].into(),
                kept_closed: [].into(),
                neighbours: Ok(Neighbours::default()),
                tags: Tags::new(),
            })]
        }
        (view, kind) => panic!("{} would look at {kind} as {view:?}", remediation.name),
    }
}

fn interface() -> Interface {
    Interface {
        id: id("eni-0a1b"),
        vpc: id("vpc-0a1b"),
        groups: [id("sg-0a1b")].into(),
        addresses: vec![[10, 0, 0, 1].into()],
        requester_managed: false,
        tags: Tags::new(),
    }
}

fn open(protocol: &str, ports: Option<(i32, i32)>) -> Rule {
    Rule {
        id: Some(id("sgr-0a1b")),
        direction: Direction::In,
        protocol: protocol.to_owned(),
        ports,
        peer: Peer::Network("0.0.0.0/0".parse().expect("a network")),
        description: None,
        tags: Vec::new(),
    }
}

fn id<T: TryFrom<&'static str, Error: Debug>>(text: &'static str) -> T {
    T::try_from(text).expect("an id")
}
