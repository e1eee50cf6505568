//! ## When
//! An instance behaves as one that someone else controls: it talks to command and control, mines, scans, attacks.
//!
//! ## Plan
//! Every interface the instance has now moves to the quarantine group of its VPC. Where there is none yet, it is made
//! first; where ours has rules, they are removed.
//!
//! ## Undo
//! Each interface gets its former groups. A quarantine group that we made goes when nothing uses it.
//!
//! ## Not covered
//! Security groups do not cut connections that are tracked already, and never filter the VPC's DNS resolver, instance
//! metadata or time. Interfaces that an AWS service manages cannot be moved.

use super::{Remediation, matches};
use crate::change::{Change, GroupRef, Value};
use crate::finding::{Finding, ResourceRole, Subject, SubjectKind};
use crate::id::{InterfaceId, VpcId};
use crate::observed::{Instance, Interface, Observed, View};
use crate::plan::{BlastRadius, Limit, Manual, NoSteps, Plan, Step};
use crate::policy::Response;
use crate::setting::{InterfaceGroups, QUARANTINE, QuarantineGroup, Setting};
use std::collections::{BTreeMap, BTreeSet};

pub const REMEDIATION: Remediation = Remediation {
    name: "compromised-instance",
    finding_types: &["*:EC2/*", "*:Runtime/*"],
    covers,
    view: View::Instance,
    settings,
    plan,
};

/// Types that by their own definition tell of what the instance itself does.
const ALWAYS_ACTOR: [&str; 11] = [
    "*:Runtime/*",
    "AttackSequence:EC2/*",
    "Backdoor:EC2/*",
    "CryptoCurrency:EC2/*",
    "DefenseEvasion:EC2/*",
    "Impact:EC2/*",
    "Recon:EC2/Portscan",
    "Trojan:EC2/*",
    "UnauthorizedAccess:EC2/MetadataDNSRebind",
    "UnauthorizedAccess:EC2/TorClient",
    "UnauthorizedAccess:EC2/TorRelay",
];

const RESIDUAL: [&str; 3] = [
    "Connections that are open already may live on: security groups do not cut tracked flows. Stopping the instance \
     does, and loses its memory.",
    "DNS through the VPC's resolver, instance metadata and time stay reachable: DNS tunnels go on.",
    "The credentials of the instance's role work wherever the attacker has taken them.",
];

/// The instance acts. GuardDuty leaves the role out of runtime findings, and calls the instance of some DNS findings a
/// target though it is the one that asks; those go by their type, and a contradiction lowers the response in the plan.
fn covers(finding: &Finding, subject: &SubjectKind) -> bool {
    let is_actor =
        finding.role == Some(ResourceRole::Actor) || ALWAYS_ACTOR.iter().any(|pattern| matches(pattern, &finding.kind));
    let in_container = finding.subjects.iter().any(|other| {
        matches!(
            other.kind,
            SubjectKind::Container { .. } | SubjectKind::EksCluster { .. } | SubjectKind::EcsTask { .. }
        )
    });
    is_actor && !in_container && matches!(subject, SubjectKind::Instance { .. })
}

fn plan(finding: &Finding, subject: &Subject, observed: &Observed) -> Plan {
    let plan = Plan::new(subject, REMEDIATION.name);
    let Observed::Instance(instance) = observed else { return plan };
    if matches!(instance.state.as_str(), "terminated" | "shutting-down") {
        let why = format!("instance {} is {}", instance.id, instance.state);
        return Plan { no_steps: Some(NoSteps::Gone(why)), ..plan };
    }
    let isolation = Isolation::of(instance);
    let (stages, left_out) = (isolation.stages(), isolation.left_out);
    let mut plan = Plan { stages, left_out, blast: blast(instance), ..plan }.residual(RESIDUAL);
    if plan.stages.is_empty() {
        plan.no_steps = Some(NoSteps::Refused(format!("no interface of instance {} can be moved", instance.id)));
    }
    if finding.role == Some(ResourceRole::Target) {
        plan.at_most = Some(Limit {
            response: Response::Approve,
            why: "the finding calls the instance a target, its type says that the instance acts".to_owned(),
        });
    }
    plan.notes.extend(replaced_by(instance));
    plan.manual(manual(instance))
}

fn settings(subject: &SubjectKind) -> Vec<Setting> {
    let SubjectKind::Instance { interfaces, vpcs, .. } = subject else { return Vec::new() };
    vpcs.iter().map(group_in).chain(interfaces.iter().map(groups_of)).collect()
}

fn group_in(vpc: &VpcId) -> Setting {
    Setting::QuarantineGroup(QuarantineGroup { vpc: vpc.clone() })
}

fn groups_of(interface: &InterfaceId) -> Setting {
    Setting::InterfaceGroups(InterfaceGroups { interface: interface.clone() })
}

/// The steps, sorted by whether interfaces must wait for them.
#[derive(Default)]
struct Isolation {
    /// Quarantine groups that must be made before anything can move into them.
    first: Vec<Step>,
    steps: Vec<Step>,
    after_first: Vec<Step>,
    left_out: Vec<String>,
}

impl Isolation {
    fn of(instance: &Instance) -> Self {
        let mut isolation = Self::default();
        for (vpc, interfaces) in by_vpc(&instance.interfaces) {
            isolation.vpc(instance, vpc, &interfaces);
        }
        for interface in instance.interfaces.iter().filter(|interface| interface.requester_managed) {
            let id = &interface.id;
            isolation.left_out.push(format!("Interface {id} is managed by an AWS service and cannot be moved."));
        }
        isolation
    }

    fn vpc(&mut self, instance: &Instance, vpc: &VpcId, interfaces: &[&Interface]) {
        let setting = group_in(vpc);
        let empty = || Value::Rules(BTreeSet::new());
        let moves = |group: &GroupRef| interfaces.iter().map(|interface| moved(interface, group)).collect::<Vec<_>>();
        match instance.quarantine.get(vpc) {
            None => {
                let change = Change { setting, from: Value::Absent, to: empty() };
                self.first.push(Step::new(change, "nothing gets in or out of a group without rules"));
                self.after_first.extend(moves(&GroupRef::QuarantineOf(vpc.clone())));
            }
            Some(group) if group.ours => {
                let change = Change { setting, from: Value::Rules(group.rules.clone()), to: empty() };
                self.steps.push(Step::new(change, "it contains only while it has no rule"));
                self.steps.extend(moves(&GroupRef::Id(group.id.clone())));
            }
            Some(group) => self.left_out.extend(interfaces.iter().map(|interface| {
                let (interface, group) = (&interface.id, &group.id);
                format!(
                    "Interface {interface} was left: group {group} of its VPC is named {QUARANTINE} but is not ours."
                )
            })),
        }
    }

    fn stages(&self) -> Vec<Vec<Step>> {
        let first = [self.first.clone(), self.steps.clone()].concat();
        [first, self.after_first.clone()].into_iter().filter(|stage| !stage.is_empty()).collect()
    }
}

fn by_vpc(interfaces: &[Interface]) -> BTreeMap<&VpcId, Vec<&Interface>> {
    let mut vpcs: BTreeMap<&VpcId, Vec<&Interface>> = BTreeMap::new();
    for interface in interfaces.iter().filter(|interface| !interface.requester_managed) {
        vpcs.entry(&interface.vpc).or_default().push(interface);
    }
    vpcs
}

fn moved(interface: &Interface, group: &GroupRef) -> Step {
    let change = Change {
        setting: groups_of(&interface.id),
        from: Value::Groups(interface.groups.iter().cloned().map(GroupRef::Id).collect()),
        to: Value::only(group.clone()),
    };
    Step::new(change, format!("nothing new reaches {} and nothing new leaves it", interface.id))
}

/// Tags by which AWS's services mark their instances; the value names the whole that the instance is a part of.
/// Of Kubernetes, the key does.
const PART_OF: [(&str, &str); 7] = [
    ("aws:autoscaling:groupName", "auto-scaling group"),
    ("aws:ec2spot:fleet-request-id", "spot fleet"),
    ("aws:ecs:clusterName", "ECS cluster"),
    ("aws:eks:cluster-name", "EKS cluster"),
    ("eks:cluster-name", "EKS cluster"),
    ("aws:elasticmapreduce:job-flow-id", "EMR cluster"),
    ("elasticbeanstalk:environment-name", "Elastic Beanstalk environment"),
];

const KUBERNETES: &str = "kubernetes.io/cluster/";

/// What the instance is a part of, as its tags say. Its load balancers are found out later ([`crate::blast`]).
fn blast(instance: &Instance) -> BlastRadius {
    let mut blast = BlastRadius::default();
    let id = &instance.id;
    blast.add(0, format!("Instance {id} keeps running, but nobody reaches what it serves, and it reaches nobody."));
    let marked = PART_OF.iter().filter_map(|(tag, what)| Some((*what, instance.tags.get(*tag)?.as_str())));
    let kubernetes = instance.tags.keys().filter_map(|tag| tag.strip_prefix(KUBERNETES));
    let wholes: BTreeSet<_> = marked.chain(kubernetes.map(|name| ("EKS cluster", name))).collect();
    for (what, name) in wholes {
        blast.add(1, format!("It is a part of {what} {name}, which loses it and what it runs there."));
    }
    blast
}

/// Who will put another instance in this one's place, or end it, when it stops answering.
fn replaced_by(instance: &Instance) -> Option<String> {
    let tag = |wanted: &str| instance.tags.iter().find(|(key, _)| key.starts_with(wanted));
    let (_, group) = tag("aws:autoscaling:groupName")?;
    Some(format!(
        "The instance belongs to auto-scaling group {group}: its health check may terminate it, and with it the \
         evidence, and start another from the same launch template."
    ))
}

fn manual(instance: &Instance) -> Vec<Manual> {
    let id = &instance.id;
    let snapshot = Manual::run(
        "Keep its disks before anything else happens to it:",
        format!("aws ec2 create-snapshots --instance-specification InstanceId={id} --copy-tags-from-source volume"),
    );
    let standby = instance.tags.get("aws:autoscaling:groupName").map(|_| {
        Manual::run(
            "Take it out of its auto-scaling group without ending it:",
            format!(
                "aws autoscaling enter-standby --instance-ids {id} --no-should-decrement-desired-capacity \
                 --auto-scaling-group-name \"$(aws autoscaling describe-auto-scaling-instances --instance-ids {id} \
                 --query 'AutoScalingInstances[0].AutoScalingGroupName' --output text)\""
            ),
        )
    });
    let stop = Manual::run("To cut open connections as well:", format!("aws ec2 stop-instances --instance-ids {id}"));
    standby.into_iter().chain([snapshot, stop]).collect()
}

#[cfg(test)]
mod tests {
    use super::super::check::{check, finding, group, subject};
    use super::*;
    use crate::change::{Direction, Peer, Rule};
    use crate::id::GroupId;
    use crate::setting::QuarantineFound;

    fn interface(n: u8, vpc: &str, groups: &[&str]) -> Interface {
        Interface {
            id: InterfaceId::try_from(format!("eni-0{n}")).unwrap(),
            vpc: VpcId::try_from(vpc).unwrap(),
            groups: groups.iter().map(|id| group(id)).collect(),
            addresses: Vec::new(),
            requester_managed: false,
            tags: BTreeMap::new(),
        }
    }

    fn instance(interfaces: Vec<Interface>, quarantine: Vec<QuarantineFound>) -> Instance {
        let quarantine = quarantine.into_iter().map(|group| (group.vpc.clone(), group)).collect();
        let (id, state) = ("i-0a".try_into().unwrap(), "running".to_owned());
        Instance { id, state, interfaces, quarantine, tags: BTreeMap::new() }
    }

    fn found(vpc: &str, ours: bool, rules: &[Rule]) -> QuarantineFound {
        let (id, vpc) = (GroupId::try_from("sg-0ee").unwrap(), VpcId::try_from(vpc).unwrap());
        QuarantineFound { id, vpc, ours, rules: rules.iter().cloned().collect() }
    }

    fn all_out() -> Rule {
        let (direction, protocol) = (Direction::Out, "-1".to_owned());
        let peer = Peer::Network("::/0".parse().unwrap());
        Rule { id: None, direction, protocol, ports: None, peer, description: None, tags: Vec::new() }
    }

    fn planned(instance: Instance, expect: &[&str]) {
        let mut finding = finding("Backdoor:EC2/C&CActivity.B", "instance");
        finding.role = Some(ResourceRole::Actor);
        check(&plan(&finding, subject(&finding), &Observed::Instance(instance)), expect);
    }

    #[test]
    fn every_interface_moves_whatever_groups_it_has() {
        let interfaces = vec![interface(1, "vpc-0a", &["sg-01"]), interface(2, "vpc-0a", &["sg-01", "sg-02"])];
        planned(
            instance(interfaces, vec![found("vpc-0a", true, &[])]),
            &[
                "1: quarantine group of vpc-0a: no rule already",
                "1: security groups of interface eni-01: sg-01 -> sg-0ee",
                "1: security groups of interface eni-02: sg-01, sg-02 -> sg-0ee",
            ],
        );
    }

    #[test]
    fn a_group_that_is_missing_is_made_first_and_one_with_rules_is_emptied() {
        let interfaces = vec![interface(1, "vpc-0a", &["sg-01"]), interface(2, "vpc-0b", &["sg-02"])];
        planned(
            instance(interfaces, vec![found("vpc-0b", true, &[all_out()])]),
            &[
                "1: quarantine group of vpc-0a: absent -> no rule",
                "1: quarantine group of vpc-0b: all traffic to ::/0 -> no rule",
                "1: security groups of interface eni-02: sg-02 -> sg-0ee",
                "2: security groups of interface eni-01: sg-01 -> the quarantine group of vpc-0a",
            ],
        );
    }

    #[test]
    fn what_cannot_be_moved_is_said() {
        let managed = Interface { requester_managed: true, ..interface(2, "vpc-0a", &["sg-02"]) };
        planned(
            instance(vec![interface(1, "vpc-0a", &["sg-01"]), managed], vec![found("vpc-0a", false, &[])]),
            &[
                "refused: no interface of instance i-0a can be moved",
                "left out: Interface eni-01 was left: group sg-0ee of its VPC is named quell-quarantine but is not ours.",
                "left out: Interface eni-02 is managed by an AWS service and cannot be moved.",
            ],
        );
        let terminated = Instance { state: "terminated".to_owned(), ..instance(Vec::new(), Vec::new()) };
        planned(terminated, &["gone: instance i-0a is terminated"]);
    }

    #[test]
    fn a_finding_that_calls_the_actor_a_target_waits_for_a_person() {
        let mut finding = finding("Trojan:EC2/DropPoint", "instance");
        finding.role = Some(ResourceRole::Target);
        assert!(covers(&finding, &subject(&finding).kind));
        let seen = instance(vec![interface(1, "vpc-0a", &["sg-01"])], Vec::new());
        let plan = plan(&finding, subject(&finding), &Observed::Instance(seen));
        let why = "the finding calls the instance a target, its type says that the instance acts".to_owned();
        assert_eq!(plan.at_most, Some(Limit { response: Response::Approve, why }));
    }

    #[test]
    fn what_the_instance_is_a_part_of_stops_with_it() {
        let tag = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        let tags = [("aws:autoscaling:groupName", "web"), ("kubernetes.io/cluster/prod", "owned"), ("Name", "web-1")];
        let seen =
            Instance { tags: tags.map(tag).into(), ..instance(vec![interface(1, "vpc-0a", &["sg-01"])], Vec::new()) };
        let finding = finding("Backdoor:EC2/C&CActivity.B", "instance");
        let plan = plan(&finding, subject(&finding), &Observed::Instance(seen));
        assert_eq!(plan.blast.count, 2);
        let says = plan.blast.sentences().join("\n");
        for expect in [
            "It is a part of EKS cluster prod, which loses it and what it runs there.",
            "It is a part of auto-scaling group web, which loses it and what it runs there.",
        ] {
            assert!(says.contains(expect), "{says}");
        }
        let (notes, manual) = (plan.notes.join("\n"), format!("{:?}", plan.manual));
        assert!(notes.contains("its health check may terminate it, and with it the evidence"), "{notes}");
        assert!(manual.contains("aws autoscaling enter-standby --instance-ids i-0a"), "{manual}");
    }
}
