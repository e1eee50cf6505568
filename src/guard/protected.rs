//! What is to be left alone: by the policy's word, because it is Quell's own, or because AWS lets nobody change it.

use super::{Case, Objection};
use crate::finding::SubjectKind;
use crate::id::{GroupId, InstanceId, InterfaceId, Place, RoleName, UserName};
use crate::observed::{Exposure, Neighbour, Observed};
use crate::policy::{Asked, Policy, Protection, Refusal, Tags};
use crate::setting::{Principal, Setting};
use jiff::Timestamp;
use std::collections::BTreeSet;

/// The tag that AWS puts on what a stack makes. Nobody else can: `aws:` is AWS's own.
const STACK: &str = "aws:cloudformation:stack-id";

const SERVICE_LINKED: &str = "/aws-service-role/";
const SSO_RESERVED: &str = "/aws-reserved/sso.amazonaws.com/";

/// Something that the plan changes or cuts off, as far as it can be named.
#[derive(Debug, Clone, Default)]
struct Thing {
    /// What people call it.
    name: String,
    arn: String,
    /// The user or role; none of anything else.
    principal: Option<Principal>,
    path: Option<String>,
    tags: Tags,
}

pub fn protected(case: &Case<'_>) -> Vec<Objection> {
    let things = things(case);
    let built_in = things.iter().flat_map(|thing| [own(case, thing), by_aws(thing), operators(case, thing)]);
    let built_in = built_in.chain([root(case)]).flatten().map(refused);
    let by_policy = case.policy.protections().iter().filter_map(|protection| by_policy(case, &things, protection));
    built_in.chain(by_policy).collect()
}

/// One word for each protection, however much of what is touched it is about.
fn by_policy(case: &Case<'_>, things: &[Thing], protection: &Protection) -> Option<Objection> {
    let account = &case.plan.subject.at.account;
    let asked = |thing: &Thing| {
        let Thing { name: _, arn, principal: _, path, tags } = thing;
        protection.is_about(Asked { account, arn, path: path.as_deref(), tags })
    };
    let thing = things.iter().find(|thing| asked(thing))?;
    Some(by_name(thing, protection, case.now))
}

fn by_name(thing: &Thing, protection: &Protection, now: Timestamp) -> Objection {
    let Protection { owner, reason, until, .. } = protection;
    let name = &thing.name;
    match until {
        Some(until) if !protection.counts_at(now) => {
            Objection::Note(format!("The protection of {name} by {owner} ended at {until}: {reason}"))
        }
        Some(until) => refused(format!("{name} is protected until {until} ({owner}): {reason}")),
        None => refused(format!("{name} is protected ({owner}): {reason}")),
    }
}

fn refused(why: String) -> Objection {
    Objection::Refuse(Refusal::Protected, why)
}

/// The function's role, whoever acts for it in another account, and what its stack is made of.
fn own(case: &Case<'_>, thing: &Thing) -> Option<String> {
    let own = case.own;
    let acts = own.principal.is_some() && own.principal == thing.principal;
    let made_with_it = own.stack.is_some() && own.stack.as_ref() == thing.tags.get(STACK);
    (acts || made_with_it).then(|| format!("{} is Quell's own", thing.name))
}

fn by_aws(thing: &Thing) -> Option<String> {
    let path = thing.path.as_deref()?;
    let name = &thing.name;
    if path.starts_with(SERVICE_LINKED) {
        return Some(format!("{name} is service-linked: only the AWS service itself can change it"));
    }
    path.starts_with(SSO_RESERVED).then(|| format!("{name} belongs to IAM Identity Center: it is changed only there"))
}

/// Without these, nobody is left to give back what was contained by mistake.
fn operators(case: &Case<'_>, thing: &Thing) -> Option<String> {
    let operators = case.policy.operators();
    let break_glass = match thing.principal.as_ref()? {
        Principal::User(user) => operators.break_glass_user(user),
        Principal::Role(role) => operators.break_glass_role(role),
    };
    let works = matches!(&thing.principal, Some(Principal::Role(role)) if operators.work_as(role));
    let name = &thing.name;
    if break_glass {
        return Some(format!("{name} is for emergencies (break_glass in the policy)"));
    }
    works.then(|| format!("{name} is the operators' (operators in the policy)"))
}

/// No remediation touches a root user today; the next one shall not touch this one.
fn root(case: &Case<'_>) -> Option<String> {
    last_way_in(case.policy, &case.plan.subject.kind)
}

/// Said also where no remediation is looked for.
#[must_use]
pub fn last_way_in(policy: &Policy, subject: &SubjectKind) -> Option<String> {
    let SubjectKind::Root { account } = subject else { return None };
    let is_last = policy.management_account() == Some(account);
    is_last.then(|| format!("the root user of account {account} is the last way into the organization"))
}

/// What the plan would change or cut off. The account is believed, not the finding: a key is its true owner's.
fn things(case: &Case<'_>) -> Vec<Thing> {
    let at = &case.plan.subject.at;
    let subject = match (&case.plan.subject.kind, case.observed) {
        (_, Some(Observed::UserKey(seen))) => {
            seen.owner.iter().map(|owner| user(at, &owner.user, Some(&owner.path), &owner.tags)).collect()
        }
        (_, Some(Observed::Role(seen))) => vec![role(at, &seen.name, Some(&seen.path), &seen.tags)],
        (_, Some(Observed::Instance(seen))) => vec![instance(at, &seen.id, &seen.tags)],
        (_, Some(Observed::Exposure(seen))) => vec![instance(at, &seen.id, &seen.tags)],
        (subject, None) => as_named(at, subject),
    };
    let touched = case.plan.steps().filter_map(|step| {
        let setting = &step.change.setting;
        let tags = case.observed.map(|seen| seen.tags_of(setting)).unwrap_or_default();
        touched(at, setting).map(|thing| Thing { tags, ..thing })
    });
    subject.into_iter().chain(touched).chain(cut_off(case)).collect()
}

/// Who else has a group whose rules change, as far as that was read: the port closes for them as well.
fn cut_off(case: &Case<'_>) -> Vec<Thing> {
    let Some(Observed::Exposure(Exposure { neighbours: Ok(neighbours), .. })) = case.observed else {
        return Vec::new();
    };
    let at = &case.plan.subject.at;
    let writes = case.plan.steps().filter(|step| !step.change.is_already_so());
    let changed: BTreeSet<&GroupId> = writes.filter_map(|step| step.change.setting.group()).collect();
    let is_hit = |other: &&Neighbour| other.groups.iter().any(|group| changed.contains(group));
    let things = neighbours.interfaces.iter().filter(is_hit).flat_map(|other| {
        let interface = Thing { tags: other.tags.clone(), ..interface(at, &other.id) };
        other.instance.iter().map(|id| instance(at, id, &Tags::new())).chain([interface])
    });
    things.map(|thing| Thing { name: format!("{}, which has the same group,", thing.name), ..thing }).collect()
}

/// What was not looked at has no steps, but people may act on it by hand: they shall know.
fn as_named(at: &Place, subject: &SubjectKind) -> Vec<Thing> {
    let none = Tags::new();
    match subject {
        SubjectKind::UserKey { user: name, .. } | SubjectKind::UserSession { user: name, .. } => {
            vec![user(at, name, None, &none)]
        }
        SubjectKind::RoleSession { role: name, .. } => vec![role(at, name, None, &none)],
        SubjectKind::Instance { id, .. } => vec![instance(at, id, &none)],
        SubjectKind::Root { account } => vec![Thing {
            name: subject.to_string(),
            arn: format!("arn:{}:iam::{account}:root", at.partition),
            ..Thing::default()
        }],
        SubjectKind::FederatedUser { .. }
        | SubjectKind::AwsService { .. }
        | SubjectKind::OtherAccount { .. }
        | SubjectKind::UnknownIdentity { .. }
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
        | SubjectKind::Unknown { .. } => Vec::new(),
    }
}

/// What a step changes besides the subject. Users and roles are among what was observed, with their paths and tags; the
/// quarantine groups are ours to change.
fn touched(at: &Place, setting: &Setting) -> Option<Thing> {
    match setting {
        Setting::InterfaceGroups(groups) => Some(interface(at, &groups.interface)),
        Setting::IngressRules(rules) => Some(group(at, &rules.group)),
        Setting::AccessKeyStatus(_) | Setting::InlinePolicy(_) | Setting::QuarantineGroup(_) => None,
    }
}

fn user(at: &Place, name: &UserName, path: Option<&str>, tags: &Tags) -> Thing {
    principal(at, "user", name.as_str(), Principal::User(name.clone()), path, tags)
}

fn role(at: &Place, name: &RoleName, path: Option<&str>, tags: &Tags) -> Thing {
    principal(at, "role", name.as_str(), Principal::Role(name.clone()), path, tags)
}

fn principal(at: &Place, kind: &str, name: &str, principal: Principal, path: Option<&str>, tags: &Tags) -> Thing {
    let Place { partition, account, region: _ } = at;
    Thing {
        name: principal.to_string(),
        arn: format!("arn:{partition}:iam::{account}:{kind}{}{name}", path.unwrap_or("/")),
        principal: Some(principal),
        path: path.map(str::to_owned),
        tags: tags.clone(),
    }
}

fn instance(at: &Place, id: &InstanceId, tags: &Tags) -> Thing {
    let name = format!("instance {id}");
    Thing { name, arn: ec2(at, "instance", id.as_str()), tags: tags.clone(), ..Thing::default() }
}

fn interface(at: &Place, id: &InterfaceId) -> Thing {
    Thing { name: format!("interface {id}"), arn: ec2(at, "network-interface", id.as_str()), ..Thing::default() }
}

fn group(at: &Place, id: &GroupId) -> Thing {
    Thing { name: format!("security group {id}"), arn: ec2(at, "security-group", id.as_str()), ..Thing::default() }
}

fn ec2(at: &Place, kind: &str, id: &str) -> String {
    let Place { partition, account, region } = at;
    format!("arn:{partition}:ec2:{region}:{account}:{kind}/{id}")
}
