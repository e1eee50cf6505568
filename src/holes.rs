//! What is closed of a security group's rules, as ranges of ports, and what stays open of a rule of which some is closed.
//!
//! Several findings may each close a port of one rule. What each of them closes does not depend on the others, nor on how
//! their plans cut the rule into pieces, so that what is to be open follows from the rules as they were and from all that is
//! closed, whoever comes and goes.

use crate::change::{Direction, Peer, Rule};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};

/// The last port of TCP and UDP.
const LAST: i32 = 65_535;

/// First and last port.
type Range = (i32, i32);

/// What is closed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holes {
    /// No range touches another; in their order.
    ports: BTreeMap<Flow, Vec<Range>>,
    /// What has no ports is closed as a whole.
    whole: BTreeSet<Rule>,
}

/// What has ports: a direction, a protocol, and a peer as it is written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Flow {
    direction: Direction,
    transport: Transport,
    peer: Peer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Transport {
    Tcp,
    Udp,
}

impl Holes {
    /// TCP ports, closed for whoever the rule is about.
    #[must_use]
    pub fn of_tcp(rule: &Rule, ports: impl IntoIterator<Item = u16>) -> Self {
        let flow = Flow { direction: rule.direction, transport: Transport::Tcp, peer: rule.peer.clone() };
        let ports = ports.into_iter().map(|port| (i32::from(port), i32::from(port)));
        Self { ports: BTreeMap::from([(flow, ports.collect())]), whole: BTreeSet::new() }.in_order()
    }

    /// What the rules before let through, and those after do not.
    #[must_use]
    pub fn between(before: &BTreeSet<Rule>, after: &BTreeSet<Rule>) -> Self {
        let mut holes = Self::default();
        for rule in before.difference(after).filter(|rule| !after.iter().any(|wide| rule.is_within(wide))) {
            for (flow, range) in flows(rule) {
                let left: Vec<Range> =
                    after.iter().flat_map(flows).filter(|(other, _)| *other == flow).map(|(_, range)| range).collect();
                holes.ports.entry(flow).or_default().extend(without(range, &left));
            }
            let rest =
                if is_all(rule) { Some(icmp(rule)) } else { Some(rule.clone()).filter(|rule| flows(rule).is_empty()) };
            holes.whole.extend(rest.filter(|rest| !after.iter().any(|wide| rest.is_within(wide))));
        }
        holes.in_order()
    }

    /// These and others.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        for (flow, ranges) in &other.ports {
            self.ports.entry(flow.clone()).or_default().extend(ranges);
        }
        self.whole.extend(other.whole.iter().cloned());
        self.in_order()
    }

    /// Whether the others close all of it.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        let is_closed = |(flow, ranges): (&Flow, &Vec<Range>)| {
            ranges.iter().all(|range| without(*range, other.ranges(flow)).is_empty())
        };
        self.ports.iter().all(is_closed) && self.whole.is_subset(&other.whole)
    }

    /// Whether the others close any of it.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        let is_closed = |(flow, ranges): (&Flow, &Vec<Range>)| {
            ranges.iter().any(|one| other.ranges(flow).iter().any(|hole| hole.0 <= one.1 && one.0 <= hole.1))
        };
        self.ports.iter().any(is_closed) || !self.whole.is_disjoint(&other.whole)
    }

    fn ranges(&self, flow: &Flow) -> &[Range] {
        self.ports.get(flow).map_or(&[], Vec::as_slice)
    }

    /// Whether the rule lets any of it through.
    #[must_use]
    pub fn is_open_in(&self, rule: &Rule) -> bool {
        let is_closed =
            |(flow, range): &(Flow, Range)| self.ranges(flow).iter().any(|hole| hole.0 <= range.1 && range.0 <= hole.1);
        let is_whole = |closed: &Rule| closed == rule || is_all(rule) && closed.is_within(rule);
        flows(rule).iter().any(is_closed) || self.whole.iter().any(is_whole)
    }

    /// What stays open of a rule, as rules with the same description and tags: itself where nothing of it is closed. "All
    /// traffic" has no ports to leave out; it becomes TCP and UDP without them, and ICMP. Other protocols close with it.
    #[must_use]
    pub fn rest_of(&self, rule: &Rule) -> Vec<Rule> {
        if !self.is_open_in(rule) {
            return vec![rule.clone()];
        }
        let rest = flows(rule).into_iter().flat_map(|(flow, range)| {
            let left = without(range, self.ranges(&flow));
            left.into_iter().map(move |range| part(rule, flow.transport.protocol(), range))
        });
        let icmp = Some(icmp(rule)).filter(|icmp| is_all(rule) && !self.whole.contains(icmp));
        rest.chain(icmp).collect()
    }

    fn in_order(mut self) -> Self {
        self.ports = self.ports.into_iter().map(|(flow, ranges)| (flow, joined(ranges))).collect();
        self.ports.retain(|_, ranges| !ranges.is_empty());
        self
    }
}

impl Transport {
    fn protocol(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// What of a rule has ports.
fn flows(rule: &Rule) -> Vec<(Flow, Range)> {
    let flow = |transport| Flow { direction: rule.direction, transport, peer: rule.peer.clone() };
    match (rule.protocol.as_str(), rule.ports) {
        ("-1", _) => [Transport::Tcp, Transport::Udp].map(|transport| (flow(transport), (0, LAST))).into(),
        ("tcp" | "6", Some(range)) => vec![(flow(Transport::Tcp), range)],
        ("udp" | "17", Some(range)) => vec![(flow(Transport::Udp), range)],
        _ => Vec::new(),
    }
}

fn is_all(rule: &Rule) -> bool {
    rule.protocol == "-1"
}

fn icmp(rule: &Rule) -> Rule {
    let is_v6 = matches!(rule.peer, Peer::Network(IpNet::V6(_)));
    part(rule, if is_v6 { "icmpv6" } else { "icmp" }, (-1, -1))
}

fn part(rule: &Rule, protocol: &str, ports: Range) -> Rule {
    Rule { id: None, protocol: protocol.to_owned(), ports: Some(ports), ..rule.clone() }
}

/// In their order, and what touches as one.
fn joined(mut ranges: Vec<Range>) -> Vec<Range> {
    ranges.sort_unstable();
    let mut joined: Vec<Range> = Vec::new();
    for (first, last) in ranges.into_iter().filter(|(first, last)| first <= last) {
        match joined.last_mut() {
            Some(known) if first <= known.1.saturating_add(1) => known.1 = known.1.max(last),
            Some(_) | None => joined.push((first, last)),
        }
    }
    joined
}

/// What is left of a range.
fn without(range: Range, holes: &[Range]) -> Vec<Range> {
    holes.iter().fold(vec![range], |left, hole| {
        let around = |(first, last): Range| {
            let (below, above) =
                ((first, last.min(hole.0.saturating_sub(1))), (first.max(hole.1.saturating_add(1)), last));
            if hole.0 <= last && first <= hole.1 { [Some(below), Some(above)] } else { [Some((first, last)), None] }
        };
        left.into_iter().flat_map(around).flatten().filter(|(first, last)| first <= last).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> Rule {
        let mut words = text.split(' ');
        let (protocol, ports, peer) =
            (words.next().unwrap(), words.next().unwrap(), words.next().unwrap_or("0.0.0.0/0"));
        let ports = ports.split_once('-').map(|(first, last)| (first.parse().unwrap(), last.parse().unwrap()));
        let (direction, protocol) = (Direction::In, protocol.to_owned());
        let peer = Peer::Network(peer.parse().unwrap());
        Rule { id: None, direction, protocol, ports, peer, description: Some("web".to_owned()), tags: Vec::new() }
    }

    fn rules(texts: &[&str]) -> BTreeSet<Rule> {
        texts.iter().map(|text| rule(text)).collect()
    }

    fn check(before: &[&str], after: &[&str], of: &str, rest: &[&str]) {
        let holes = Holes::between(&rules(before), &rules(after));
        let left: BTreeSet<Rule> = holes.rest_of(&rule(of)).into_iter().collect();
        assert_eq!(left, rules(rest), "{holes:?}");
        assert!(left.iter().all(|rule| rule.description.as_deref() == Some("web")));
        assert!(!left.iter().any(|rule| holes.is_open_in(rule)), "{left:?}");
    }

    #[test]
    fn what_is_left_of_a_rule_is_all_but_what_is_closed() {
        let split = ["tcp 20-21", "tcp 23-30"];
        check(&["tcp 20-30"], &split, "tcp 20-30", &split);
        check(&["tcp 20-30"], &split, "tcp 23-30", &["tcp 23-30"]);
        check(&["tcp 20-30"], &split, "tcp 22-22", &[]);
        check(&["tcp 20-30"], &split, "tcp 0-65535", &["tcp 0-21", "tcp 23-65535"]);
        check(&["tcp 20-30"], &split, "udp 20-30", &["udp 20-30"]);
        check(&["tcp 20-30"], &split, "tcp 20-30 ::/0", &["tcp 20-30 ::/0"]);
        check(&["tcp 20-30"], &[], "tcp 25-40", &["tcp 31-40"]);
        // Another finding had split it before, and each closes its own.
        check(&["tcp 23-30"], &["tcp 23-24", "tcp 26-30"], "tcp 20-30", &["tcp 20-24", "tcp 26-30"]);
        // What is covered by a wider rule is not closed.
        check(&["tcp 20-30", "tcp 22-22"], &["tcp 20-30"], "tcp 20-30", &["tcp 20-30"]);
    }

    #[test]
    fn all_traffic_becomes_what_has_ports_and_icmp() {
        let split = ["tcp 0-21", "tcp 23-65535", "udp 0-65535", "icmp -1--1"];
        let icmp = |texts: &[&str]| -> BTreeSet<Rule> {
            let mut rules = rules(&texts[..texts.len() - 1]);
            rules.insert(super::icmp(&rule("-1 all")));
            rules
        };
        let holes = Holes::between(&rules(&["-1 all"]), &icmp(&split));
        assert_eq!(holes.rest_of(&rule("-1 all")).into_iter().collect::<BTreeSet<_>>(), icmp(&split));
        assert_eq!(holes.rest_of(&rule("tcp 20-30")), [rule("tcp 20-21"), rule("tcp 23-30")]);
        assert_eq!(holes, Holes::of_tcp(&rule("tcp 22-22"), [22]));
        let none = Holes::between(&rules(&["-1 all"]), &BTreeSet::new());
        assert_eq!(none.rest_of(&rule("-1 all")), []);
        check(&["50 all"], &[], "50 all", &[]);
        check(&["tcp 22-22"], &[], "50 all", &["50 all"]);
    }

    #[test]
    fn holes_add_up_and_contain_each_other() {
        let hole = |ports: &[u16]| Holes::of_tcp(&rule("tcp 0-0"), ports.iter().copied());
        assert_eq!(hole(&[22]).and(&hole(&[23, 25])), hole(&[25, 22, 23]));
        assert!(hole(&[22]).is_within(&hole(&[21, 22, 23])) && !hole(&[22, 25]).is_within(&hole(&[22])));
        assert!(hole(&[22, 25]).meets(&hole(&[25, 28])) && !hole(&[22]).meets(&hole(&[21, 23])));
        assert!(Holes::default().is_within(&hole(&[])) && hole(&[]).in_order() == Holes::default());
    }
}
