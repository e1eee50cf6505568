//! What else stops, or goes on, as far as it takes too long to find out before containing: the load balancers that send
//! requests to an instance, and the other instances on a role. It is asked where somebody waits for the answer (a rule with a ceiling, a person who decides), and otherwise
//! once the containment is read back.

use crate::aws::Cloud;
use crate::change::{Rule, Value};
use crate::cloud_error::CloudError;
use crate::finding::SubjectKind;
use crate::id::{InstanceId, Region, RoleName, SessionName};
use crate::observe::{self, Budget};
use crate::observed::{Balancers, OnRole};
use crate::plan::{BlastRadius, Plan};
use crate::setting::Setting;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How long a plan waits for it.
const PATIENCE: Duration = Duration::from_secs(5);

/// So many are named.
const NAMED: usize = 8;

/// Adds to the plan's blast radius what it has to do with and is not in it yet: load balancers, instances on the role. Never
/// fails: what could not be asked is said.
pub async fn complete(cloud: &Cloud, plan: &mut Plan, budget: &Budget, until: Instant) {
    if let SubjectKind::RoleSession { role, session, .. } = &plan.subject.kind
        && !plan.blast.instances_asked
        && plan.steps().next().is_some()
    {
        let until = until.min(Instant::now() + PATIENCE);
        let (role, session) = (role.clone(), session.clone());
        let asked = tokio::time::timeout_at(until.into(), observe::instances_of(cloud, &role)).await;
        let asked = asked.unwrap_or_else(|_| Err(CloudError::out_of_time("listing the instances on the role")));
        go_on(&mut plan.blast, &role, &session, &plan.subject.at.region, asked);
    }
    let SubjectKind::Instance { id, .. } = &plan.subject.kind else { return };
    let cuts = plan.steps().any(|step| cuts_requests(&step.change.setting) && !step.change.is_already_so());
    if plan.blast.balancers_asked || !cuts {
        return;
    }
    let until = until.min(Instant::now() + PATIENCE);
    add(plan, observe::balancers(cloud, id, budget, until).await);
}

/// Who else has the role: they have sessions of their own, and lose nothing.
fn go_on(
    blast: &mut BlastRadius,
    role: &RoleName,
    session: &SessionName,
    region: &Region,
    asked: Result<OnRole, CloudError>,
) {
    blast.instances_asked = true;
    let OnRole { mut instances, more } = match asked {
        Ok(asked) => asked,
        Err(error) => {
            // They do not stop, so nothing waits for it.
            blast.says.push(format!("Which other instances have role {role}, and keep it, is not known: {error}"));
            return;
        }
    };
    instances.retain(|instance| instance.as_str() != session.as_str());
    let some: Vec<&str> = instances.iter().take(NAMED).map(InstanceId::as_str).collect();
    let left = instances.len() - some.len();
    let and = match (left, more) {
        (0, false) => String::new(),
        (0, true) => ", and maybe others".to_owned(),
        (left, false) => format!(" and {left} more"),
        (left, true) => format!(" and {left} more, and maybe others"),
    };
    blast.says.push(match (some.as_slice(), more) {
        ([], false) => format!("No other instance in {region} has role {role}."),
        ([], true) => format!("Of the instances in {region} that were listed no other has role {role}."),
        (some, _) => format!("Other instances in {region} that have role {role} keep it: {}{and}.", some.join(", ")),
    });
}

fn cuts_requests(setting: &Setting) -> bool {
    match setting {
        Setting::InterfaceGroups(_) | Setting::IngressRules(_) => true,
        Setting::AccessKeyStatus(_) | Setting::InlinePolicy(_) | Setting::QuarantineGroup(_) => false,
    }
}

fn add(plan: &mut Plan, asked: Balancers) {
    plan.blast.balancers_asked = true;
    let Balancers { sending, unasked, unread } = asked;
    let cut: BTreeMap<&String, BTreeSet<i32>> =
        sending.iter().filter_map(|(name, ports)| Some((name, cut_of(plan, ports)?))).collect();
    let may = if plan.steps().any(|step| isolates(&step.change.setting)) { "" } else { "may " };
    let say = match cut.len() {
        0 => "No load balancer that was asked sends it requests which this stops.".to_owned(),
        all => {
            let some: Vec<String> = cut.iter().take(NAMED).map(|(name, ports)| named(name, ports)).collect();
            let more = if all > NAMED { format!(" and {} more", all - NAMED) } else { String::new() };
            format!("Load balancers send it requests, and {may}lose it: {}{more}.", some.join(", "))
        }
    };
    let unasked = unasked.iter().filter(|name| !cut.contains_key(name)).count();
    plan.blast.add(cut.len(), say);
    if unasked > 0 {
        plan.blast.may_be += unasked;
        let says = "Load balancers that were not asked about all ports, since they have too many target groups";
        plan.blast.says.push(format!("{says}: {unasked}."));
    }
    plan.blast.unread.extend(unread.into_iter().map(|why| format!("which load balancers send it requests: {why}")));
}

fn named(balancer: &str, ports: &BTreeSet<i32>) -> String {
    let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
    match ports.as_slice() {
        [] => balancer.to_owned(),
        [port] => format!("{balancer} (port {port})"),
        ports => format!("{balancer} (ports {})", ports.join(", ")),
    }
}

fn isolates(setting: &Setting) -> bool {
    matches!(setting, Setting::InterfaceGroups(_))
}

/// Those of the ports on which requests no longer come through; none where all still do. Where a port closes to the world
/// only, requests of one that has a rule of its own still do: that is not looked at.
fn cut_of(plan: &Plan, ports: &BTreeSet<i32>) -> Option<BTreeSet<i32>> {
    let changed = || plan.steps().map(|step| &step.change).filter(|change| !change.is_already_so());
    if changed().any(|change| isolates(&change.setting)) {
        return Some(ports.clone());
    }
    let closes = |port: i32| {
        changed().any(|change| match (&change.setting, &change.from, &change.to) {
            (Setting::IngressRules(_), Value::Rules(from), Value::Rules(to)) => {
                let lets_in = |rules: &BTreeSet<Rule>| rules.iter().any(|rule| rule.lets_in_tcp(port));
                lets_in(from) && !lets_in(to)
            }
            _ => false,
        })
    };
    let cut: BTreeSet<i32> = ports.iter().copied().filter(|port| closes(*port)).collect();
    (!cut.is_empty()).then_some(cut)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::{Change, Direction, Peer};
    use crate::finding::Subject;
    use crate::id::{Partition, Place};
    use crate::plan::Step;
    use crate::setting::{IngressRules, InterfaceGroups};

    fn rule(first: i32, last: i32) -> Rule {
        let (direction, protocol) = (Direction::In, "tcp".to_owned());
        let peer = Peer::Network("0.0.0.0/0".parse().unwrap());
        Rule { id: None, direction, protocol, ports: Some((first, last)), peer, description: None, tags: Vec::new() }
    }

    fn plan(setting: Setting, from: Value, to: Value) -> Plan {
        let (account, region) = ("111122223333".try_into().unwrap(), "eu-west-1".try_into().unwrap());
        let at = Place { partition: Partition::Aws, account, region };
        let kind = SubjectKind::Instance {
            id: "i-0a".try_into().unwrap(),
            groups: Vec::new(),
            interfaces: Vec::new(),
            vpcs: Vec::new(),
        };
        let change = Change { setting, from, to };
        Plan { stages: vec![vec![Step::new(change, "")]], ..Plan::new(&Subject { at, kind }, "") }
    }

    fn isolated() -> Plan {
        let groups = InterfaceGroups { interface: "eni-0a".try_into().unwrap() };
        plan(Setting::InterfaceGroups(groups), Value::Absent, Value::Rules(BTreeSet::new()))
    }

    fn closed(from: &[Rule], to: &[Rule]) -> Plan {
        let rules = |rules: &[Rule]| Value::Rules(rules.iter().cloned().collect());
        let setting = Setting::IngressRules(IngressRules { group: "sg-0a".try_into().unwrap() });
        plan(setting, rules(from), rules(to))
    }

    fn check(mut plan: Plan, sending: &[(&str, &[i32])], expect: (usize, &str)) {
        let sending = sending.iter().map(|(name, ports)| ((*name).to_owned(), ports.iter().copied().collect()));
        add(&mut plan, Balancers { sending: sending.collect(), ..Balancers::default() });
        assert_eq!((plan.blast.count, plan.blast.sentences()), (expect.0, vec![expect.1.to_owned()]));
        assert!(plan.blast.balancers_asked);
    }

    const NONE: (usize, &str) = (0, "No load balancer that was asked sends it requests which this stops.");

    #[test]
    fn an_isolated_instance_is_lost_to_all() {
        let says = "Load balancers send it requests, and lose it: old, web (ports 80, 443).";
        check(isolated(), &[("web", &[443, 80]), ("old", &[])], (2, says));
        check(isolated(), &[], NONE);
    }

    #[test]
    fn a_closed_port_may_be_lost_to_those_that_send_to_it() {
        let says = "Load balancers send it requests, and may lose it: all (port 22), ssh (port 22).";
        let both: &[(&str, &[i32])] = &[("all", &[22, 80]), ("ssh", &[22]), ("web", &[80])];
        check(closed(&[rule(0, 65535)], &[rule(0, 21), rule(23, 65535)]), both, (2, says));
        check(closed(&[rule(3389, 3389)], &[]), both, NONE);
    }

    #[test]
    fn who_else_has_the_role_is_told() {
        let role = |asked| {
            let mut blast = BlastRadius::default();
            let session = "i-0a".try_into().unwrap();
            go_on(&mut blast, &"web".try_into().unwrap(), &session, &"eu-west-1".try_into().unwrap(), asked);
            assert!(blast.instances_asked && blast.count == 0);
            blast.sentences()
        };
        let on = |instances: &[&str], more| {
            Ok(OnRole { instances: instances.iter().map(|id| (*id).try_into().unwrap()).collect(), more })
        };
        assert_eq!(role(on(&["i-0a"], false)), ["No other instance in eu-west-1 has role web."]);
        let keep = "Other instances in eu-west-1 that have role web keep it: i-0b, i-0c.";
        assert_eq!(role(on(&["i-0c", "i-0a", "i-0b"], false)), [keep]);
        assert_eq!(role(on(&["i-0b"], true)), [keep.replace(", i-0c", ", and maybe others")]);
        let unread = role(Err(CloudError::gone("ec2:DescribeIamInstanceProfileAssociations", "x")));
        assert!(
            unread[0].starts_with("Which other instances have role web, and keep it, is not known: ec2:"),
            "{unread:?}"
        );
    }

    #[test]
    fn what_was_not_asked_is_said_and_may_be_so_much_more() {
        let mut plan = isolated();
        let many = (0..12).map(|n| (format!("lb-{n:02}"), BTreeSet::from([80])));
        let unasked = BTreeSet::from(["more".to_owned()]);
        let unread = vec!["elasticloadbalancing:DescribeTargetHealth: Throttling: Rate exceeded".to_owned()];
        add(&mut plan, Balancers { sending: many.collect(), unasked, unread });
        assert_eq!((plan.blast.count, plan.blast.may_be), (12, 1));
        let told = plan.blast.sentences();
        assert!(told[0].ends_with("lb-06 (port 80), lb-07 (port 80) and 4 more."), "{told:?}");
        assert_eq!(
            told[1],
            "Load balancers that were not asked about all ports, since they have too many target groups: 1."
        );
        let unread = "Not known: which load balancers send it requests: elasticloadbalancing:DescribeTargetHealth: \
                      Throttling: Rate exceeded.";
        assert_eq!(told[2], unread);
    }
}
