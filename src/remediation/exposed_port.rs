//! ## When
//! A port of an instance is probed or attacked from outside, and a security group opens it to the world.
//!
//! ## Plan
//! Per group, the ingress rules by which the port is open to the world go, by rule id, IPv4 and IPv6. A rule that opens
//! more than the port is split: what it opens besides stays open.
//!
//! ## Undo
//! The rules come back with their descriptions and tags, and the parts that were kept go. Their ids are new.
//!
//! ## Not covered
//! Rules for narrower networks, other groups or prefix lists stay. Connections that are open already live on.

use super::Remediation;
use crate::change::{Change, Peer, Rule, Value};
use crate::finding::{Finding, ResourceRole, Subject, SubjectKind};
use crate::holes::Holes;
use crate::id::GroupId;
use crate::ledger::key::IncidentId;
use crate::observed::{Exposure, Interface, KeptClosed, Neighbour, Observed, View};
use crate::plan::{BlastRadius, Manual, NoSteps, Plan, Step};
use crate::setting::{IngressRules, Setting};
use ipnet::IpNet;
use std::collections::BTreeSet;

pub const REMEDIATION: Remediation = Remediation {
    name: "exposed-port",
    finding_types: &[
        "Impact:EC2/WinRMBruteForce",
        "Recon:EC2/PortProbe*",
        "UnauthorizedAccess:EC2/RDPBruteForce",
        "UnauthorizedAccess:EC2/SSHBruteForce",
    ],
    covers: |finding, subject| {
        finding.role != Some(ResourceRole::Actor) && matches!(subject, SubjectKind::Instance { .. })
    },
    view: View::Exposure,
    settings,
    plan,
};

const RESIDUAL: [&str; 3] = [
    "Connections that are open already live on, an attacker's who has got in among them.",
    "Networks that have rules of their own, other groups and prefix lists still reach the port.",
    "Whoever may change security groups can open the port by another rule: looks watch the rules that were closed.",
];

/// A network wider than any that one organisation holds is the world.
const WORLD_V4: u8 = 7;
const WORLD_V6: u8 = 15;

/// So many neighbours are named; the others are counted.
const NAMED: usize = 10;

fn plan(finding: &Finding, subject: &Subject, observed: &Observed) -> Plan {
    let plan = Plan::new(subject, REMEDIATION.name);
    let Observed::Exposure(exposure) = observed else { return plan };
    let Exposure { id, state, .. } = exposure;
    let none = |why| Plan { no_steps: Some(why), ..plan.clone() };
    if matches!(state.as_str(), "terminated" | "shutting-down") {
        return none(NoSteps::Gone(format!("instance {id} is {state}")));
    }
    if finding.ports.is_empty() {
        return none(NoSteps::NotCovered("the finding names no port".to_owned())).manual([look(exposure)]);
    }
    let steps: Vec<Step> =
        exposure.rules.iter().filter_map(|(group, rules)| step(finding, exposure, group, rules)).collect();
    let notes = prefix_lists(finding, exposure);
    if steps.is_empty() {
        let ports = listed(&finding.ports.iter().map(|local| local.port).collect());
        let why = format!("no security group of instance {id} opens port {ports} to the world");
        return Plan { notes, ..none(NoSteps::NothingToDo(why)) };
    }
    let blast = blast(exposure, &steps);
    let manual = [look(exposure), logins(finding)];
    Plan { stages: vec![steps], notes, blast, ..plan.clone() }.residual(RESIDUAL).manual(manual)
}

fn settings(subject: &SubjectKind) -> Vec<Setting> {
    let SubjectKind::Instance { groups, .. } = subject else { return Vec::new() };
    groups.iter().map(rules_of).collect()
}

/// The ingress rules of a group, as a setting.
#[must_use]
pub fn rules_of(group: &GroupId) -> Setting {
    Setting::IngressRules(IngressRules { group: group.clone() })
}

fn step(finding: &Finding, exposure: &Exposure, group: &GroupId, rules: &BTreeSet<Rule>) -> Option<Step> {
    let ports = ports_behind(finding, exposure, group);
    let kept = exposure.kept_closed.get(group);
    let Closing { from, to, alone } = closing(rules, &ports, kept)?;
    let change = |from, to| Change { setting: rules_of(group), from: Value::Rules(from), to: Value::Rules(to) };
    let why = why(&ports, &from, &to, kept, exposure);
    let alone = alone.map(|(from, to)| change(from, to));
    Some(Step { alone, ..Step::new(change(from, to), why) })
}

/// What closes ports to the world: rules before and after; and what they would be, had no other incident closed any of these.
#[derive(Debug, Clone, PartialEq)]
pub struct Closing {
    pub from: BTreeSet<Rule>,
    pub to: BTreeSet<Rule>,
    pub alone: Option<(BTreeSet<Rule>, BTreeSet<Rule>)>,
}

/// What closes `ports` in a group of these rules; none where they are closed, and no other incident keeps them so.
#[must_use]
pub fn closing(rules: &BTreeSet<Rule>, ports: &BTreeSet<u16>, kept: Option<&KeptClosed>) -> Option<Closing> {
    let opens = |rule: &&Rule| is_world(&rule.peer) && ports.iter().any(|port| rule.lets_in_tcp(i32::from(*port)));
    let from: BTreeSet<Rule> = rules.iter().filter(opens).cloned().collect();
    // What was open before others closed it, and would be again when they are undone.
    let is_shut =
        |rule: &&Rule, kept: &KeptClosed| ports.iter().any(|port| keepers(kept, rule, *port).next().is_some());
    let first = kept.into_iter().flat_map(|kept| kept.rules.iter().filter(|rule| is_shut(rule, kept)));
    let shut: BTreeSet<Rule> = first.filter(opens).filter(|rule| !rules.contains(rule)).cloned().collect();
    if from.is_empty() && shut.is_empty() {
        return None;
    }
    let parts_of =
        |rules: &BTreeSet<Rule>| -> BTreeSet<Rule> { rules.iter().flat_map(|rule| without(rule, ports)).collect() };
    let (parts, of_shut) = (parts_of(&from), parts_of(&shut));
    // A part that a rule of its own opens already is not ours to open, nor to close when this is undone: it is before and after,
    // as it is. So is what others left open.
    let is_left = |rule: &Rule| of_shut.contains(rule) || shut.iter().any(|wide| rule.is_within(wide));
    let stays = rules.iter().filter(|rule| parts.contains(rule) || is_left(rule) && !from.contains(rule));
    let there: BTreeSet<Rule> = stays.cloned().collect();
    // Those that are there come first: they have ids.
    let (before, after) = (&there | &from, &there | &parts);
    let alone = (!shut.is_empty()).then(|| (&before | &shut, &after | &of_shut));
    Some(Closing { from: before, to: after, alone })
}

/// The incidents that keep a port of a rule closed.
fn keepers<'a>(kept: &'a KeptClosed, rule: &Rule, port: u16) -> impl Iterator<Item = &'a IncidentId> {
    let hole = Holes::of_tcp(rule, [port]);
    let is_open = rule.lets_in_tcp(i32::from(port));
    kept.by.iter().filter(move |(_, holes)| is_open && hole.is_within(holes)).map(|(incident, _)| incident)
}

/// Which ports close, and which are closed by others.
fn why(
    ports: &BTreeSet<u16>,
    from: &BTreeSet<Rule>,
    to: &BTreeSet<Rule>,
    kept: Option<&KeptClosed>,
    exposure: &Exposure,
) -> String {
    let open = |port: &&u16| from.difference(to).any(|rule| rule.lets_in_tcp(i32::from(**port)));
    let closes: BTreeSet<u16> = ports.iter().filter(open).copied().collect();
    let closes = (!closes.is_empty())
        .then(|| format!("port {} of {} is no longer open to the world", listed(&closes), exposure.id));
    let others = |port: &u16| -> BTreeSet<&IncidentId> {
        let of_rule = |kept| move |rule| keepers(kept, rule, *port).collect::<Vec<_>>();
        kept.into_iter().flat_map(|kept| kept.rules.iter().flat_map(of_rule(kept))).collect()
    };
    let mut said = Vec::from_iter(closes);
    for port in ports {
        let others: Vec<String> = others(port).into_iter().map(ToString::to_string).collect();
        if !others.is_empty() {
            let by = others.join(", ");
            said.push(format!("port {port} is kept closed by incident {by} too, and stays so when that is undone"));
        }
    }
    said.join("; ")
}

/// What the rule opens besides these ports.
fn without(rule: &Rule, ports: &BTreeSet<u16>) -> Vec<Rule> {
    Holes::of_tcp(rule, ports.iter().copied()).rest_of(rule)
}

/// Who else has a group whose rules change: the port closes to the world for them as well.
fn blast(exposure: &Exposure, steps: &[Step]) -> BlastRadius {
    let mut blast = BlastRadius::default();
    let neighbours = match &exposure.neighbours {
        Ok(neighbours) => neighbours,
        Err(error) => {
            blast.unread.push(format!("who else has the security groups: {error}"));
            return blast;
        }
    };
    let writes = steps.iter().filter(|step| !step.change.is_already_so());
    let changed: BTreeSet<&GroupId> = writes.filter_map(|step| step.change.setting.group()).collect();
    let hit = |other: &&Neighbour| other.groups.iter().any(|group| changed.contains(group));
    let names: BTreeSet<String> = neighbours.interfaces.iter().filter(hit).map(name_of).collect();
    if names.is_empty() {
        blast.add(0, "Nothing else that was seen has the security groups whose rules change.");
    } else {
        let some: Vec<&str> = names.iter().take(NAMED).map(String::as_str).collect();
        let more = names.len() - some.len();
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        let say = format!("The port closes to the world for others with the same groups: {}{more}.", some.join(", "));
        blast.add(names.len(), say);
    }
    if neighbours.more {
        blast.unread.push("more interfaces have the security groups than are read at once".to_owned());
    }
    blast
}

/// The instance, so that one with two interfaces counts once.
fn name_of(other: &Neighbour) -> String {
    match &other.instance {
        Some(instance) => format!("instance {instance}"),
        None => format!("{} ({})", other.id, other.kind.replace('_', " ")),
    }
}

/// The attacked ports of the interfaces that have this group. An address that no interface has any more stands for all.
fn ports_behind(finding: &Finding, exposure: &Exposure, group: &GroupId) -> BTreeSet<u16> {
    let has = |interface: &Interface, address| interface.addresses.contains(&address);
    let behind = |address| {
        let anywhere = !exposure.interfaces.iter().any(|interface| has(interface, address));
        exposure.interfaces.iter().any(|each| each.groups.contains(group) && (anywhere || has(each, address)))
    };
    let ports = finding.ports.iter().filter(|local| local.address.is_none_or(behind));
    ports.map(|local| local.port).collect()
}

fn is_world(peer: &Peer) -> bool {
    match peer {
        Peer::Network(IpNet::V4(network)) => network.prefix_len() <= WORLD_V4,
        Peer::Network(IpNet::V6(network)) => network.prefix_len() <= WORLD_V6,
        Peer::PrefixList(_) | Peer::Group { .. } | Peer::Unknown => false,
    }
}

/// A managed prefix list may hold 0.0.0.0/0; that is for people to see.
fn prefix_lists(finding: &Finding, exposure: &Exposure) -> Vec<String> {
    let opens = |rule: &Rule| finding.ports.iter().any(|local| rule.lets_in_tcp(i32::from(local.port)));
    let lists = exposure.rules.values().flatten().filter(|rule| opens(rule)).filter_map(|rule| match &rule.peer {
        Peer::PrefixList(id) => Some(id.clone()),
        Peer::Network(_) | Peer::Group { .. } | Peer::Unknown => None,
    });
    let lists: BTreeSet<String> = lists.collect();
    lists
        .into_iter()
        .map(|id| format!("Prefix list {id} reaches the port as well: see which networks it holds."))
        .collect()
}

fn look(exposure: &Exposure) -> Manual {
    let groups: Vec<String> = exposure.rules.keys().map(ToString::to_string).collect();
    Manual::run(
        "See what the instance's groups let in:",
        format!("aws ec2 describe-security-group-rules --filters Name=group-id,Values={}", groups.join(",")),
    )
}

fn logins(finding: &Finding) -> Manual {
    let from: Vec<String> = finding.remotes.iter().take(3).map(|remote| remote.address.to_string()).collect();
    let from = if from.is_empty() { "the attacker".to_owned() } else { from.join(", ") };
    Manual::say(format!("Look in the host's own log for a login from {from} that succeeded."))
}

fn listed(ports: &BTreeSet<u16>) -> String {
    ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::check::{check, finding, group, subject};
    use super::*;
    use crate::change::Direction;
    use crate::finding::LocalPort;
    use crate::observed::Neighbours;
    use std::collections::BTreeMap;

    /// `22 0.0.0.0/0`, `20-30 ::/0`, `all 0.0.0.0/0`, `22 sg-02`, `22 pl-01`.
    fn rule(text: &str) -> Rule {
        let (ports, peer) = text.split_once(' ').unwrap();
        let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
        let all = ports == "all";
        Rule {
            id: None,
            direction: Direction::In,
            protocol: if all { "-1" } else { "tcp" }.to_owned(),
            ports: (!all).then(|| (first.parse().unwrap(), last.parse().unwrap())),
            peer: match peer.parse() {
                Ok(network) => Peer::Network(network),
                Err(_) if peer.starts_with("pl-") => Peer::PrefixList(peer.to_owned()),
                Err(_) => Peer::Group { id: peer.to_owned(), account: None },
            },
            description: Some("office".to_owned()),
            tags: Vec::new(),
        }
    }

    fn exposure(rules: &[&str]) -> Exposure {
        let interface = Interface {
            id: "eni-01".try_into().unwrap(),
            vpc: "vpc-0a".try_into().unwrap(),
            groups: BTreeSet::from([group("sg-01")]),
            addresses: vec!["10.0.1.20".parse().unwrap()],
            requester_managed: false,
            tags: BTreeMap::new(),
        };
        Exposure {
            id: "i-0a".try_into().unwrap(),
            state: "running".to_owned(),
            interfaces: vec![interface],
            rules: BTreeMap::from([(group("sg-01"), rules.iter().map(|text| rule(text)).collect())]),
            group_tags: BTreeMap::new(),
            kept_closed: BTreeMap::new(),
            neighbours: Ok(Neighbours::default()),
            tags: BTreeMap::new(),
        }
    }

    fn planned(ports: &[u16], rules: &[&str], expect: &[&str]) {
        let mut finding = finding("UnauthorizedAccess:EC2/SSHBruteForce", "instance");
        finding.ports = ports.iter().map(|port| LocalPort { port: *port, address: None }).collect();
        check(&plan(&finding, subject(&finding), &Observed::Exposure(exposure(rules))), expect);
    }

    #[test]
    fn only_what_opens_the_port_to_the_world_goes() {
        planned(
            &[22],
            &["22 0.0.0.0/0", "22 ::/0", "22 10.0.0.0/8", "22 sg-02", "443 0.0.0.0/0"],
            &["1: ingress rules of security group sg-01: tcp 22 from 0.0.0.0/0, tcp 22 from ::/0 -> no rule"],
        );
        planned(
            &[22],
            &["22 0.0.0.0/1", "22 128.0.0.0/1"],
            &["1: ingress rules of security group sg-01: tcp 22 from 0.0.0.0/1, tcp 22 from 128.0.0.0/1 -> no rule"],
        );
        let none = "nothing to do: no security group of instance i-0a opens port 22 to the world";
        planned(&[22], &["22 203.0.113.0/24", "443 0.0.0.0/0"], &[none]);
        planned(&[], &["22 0.0.0.0/0"], &["not covered: the finding names no port"]);
    }

    #[test]
    fn a_wider_range_is_split_and_keeps_its_description() {
        planned(
            &[22],
            &["20-30 0.0.0.0/0"],
            &[
                "1: ingress rules of security group sg-01: tcp 20-30 from 0.0.0.0/0 -> tcp 20-21 from 0.0.0.0/0, tcp 23-30 from 0.0.0.0/0",
            ],
        );
        planned(
            &[20, 22],
            &["20-22 ::/0"],
            &["1: ingress rules of security group sg-01: tcp 20-22 from ::/0 -> tcp 21 from ::/0"],
        );
        planned(
            &[3389],
            &["all ::/0"],
            &["1: ingress rules of security group sg-01: all traffic from ::/0 -> icmpv6 -1 from ::/0, \
               tcp 0-3388 from ::/0, tcp 3390-65535 from ::/0, udp 0-65535 from ::/0"],
        );
        assert!(
            without(&rule("20-30 ::/0"), &BTreeSet::from([22]))
                .iter()
                .all(|part| part.description.as_deref() == Some("office"))
        );
    }

    #[test]
    fn a_part_that_is_open_by_a_rule_of_its_own_is_not_opened_again() {
        planned(
            &[22],
            &["22-23 0.0.0.0/0", "23 0.0.0.0/0"],
            &[
                "1: ingress rules of security group sg-01: tcp 22-23 from 0.0.0.0/0, tcp 23 from 0.0.0.0/0 -> tcp 23 from 0.0.0.0/0",
            ],
        );
    }

    #[test]
    fn prefix_lists_are_left_and_told() {
        planned(
            &[22],
            &["22 0.0.0.0/0", "22 pl-01"],
            &[
                "1: ingress rules of security group sg-01: tcp 22 from 0.0.0.0/0 -> no rule",
                "note: Prefix list pl-01 reaches the port as well: see which networks it holds.",
            ],
        );
    }

    #[test]
    fn neighbours_lose_the_port_as_well() {
        let neighbour = |instance: Option<&str>, groups: &[&str], kind: &str| Neighbour {
            id: "eni-02".try_into().unwrap(),
            instance: instance.map(|id| id.try_into().unwrap()),
            groups: groups.iter().map(|id| group(id)).collect(),
            kind: kind.to_owned(),
            tags: crate::policy::Tags::new(),
        };
        let others = [
            neighbour(Some("i-0b"), &["sg-01"], "interface"),
            neighbour(None, &["sg-01"], "network_load_balancer"),
            neighbour(Some("i-0c"), &["sg-02"], "interface"),
        ];
        let mut finding = finding("UnauthorizedAccess:EC2/SSHBruteForce", "instance");
        finding.ports = vec![LocalPort { port: 22, address: None }];
        let blast = |neighbours| {
            let seen = Exposure { neighbours, ..exposure(&["22 0.0.0.0/0"]) };
            plan(&finding, subject(&finding), &Observed::Exposure(seen)).blast
        };
        let some = blast(Ok(Neighbours { interfaces: BTreeSet::from(others), more: true }));
        let says = some.sentences().join("\n");
        let expect = "for others with the same groups: eni-02 (network load balancer), instance i-0b.";
        assert!(some.count == 2 && says.contains(expect), "{says}");
        assert_eq!(some.unread, ["more interfaces have the security groups than are read at once"]);
        let none = blast(Ok(Neighbours::default())).sentences().join("\n");
        assert!(none.contains("Nothing else that was seen has the security groups whose rules change."), "{none}");
    }
}
