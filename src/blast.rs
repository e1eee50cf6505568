//! What else stops, as far as it takes too long to find out before containing: the load balancers that send requests to an
//! instance. It is asked where somebody waits for the answer (a rule with a ceiling, a person who decides), and otherwise
//! once the containment is read back.

use crate::aws::Cloud;
use crate::change::{Rule, Value};
use crate::cloud_error::CloudError;
use crate::finding::SubjectKind;
use crate::observe;
use crate::observed::{Balancers, Served};
use crate::plan::Plan;
use crate::setting::Setting;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How long a plan waits for it.
const PATIENCE: Duration = Duration::from_secs(5);

/// So many are named.
const NAMED: usize = 10;

/// Adds the load balancers to the plan's blast radius, if it has to do with any and they are not in it yet. Never fails:
/// what could not be asked is said.
pub async fn complete(cloud: &Cloud, plan: &mut Plan, until: Instant) {
    let SubjectKind::Instance { id, .. } = &plan.subject.kind else { return };
    let cuts = plan.steps().any(|step| cuts_requests(&step.change.setting) && !step.change.is_already_so());
    if plan.blast.is_whole || !cuts {
        return;
    }
    let until = until.min(Instant::now() + PATIENCE);
    let asked = tokio::time::timeout_at(until.into(), observe::balancers(cloud, id)).await;
    let asked = asked.unwrap_or_else(|_| Err(CloudError::out_of_time("asking load balancers for their targets")));
    add(plan, asked);
}

fn cuts_requests(setting: &Setting) -> bool {
    match setting {
        Setting::InterfaceGroups(_) | Setting::IngressRules(_) => true,
        Setting::AccessKeyStatus(_) | Setting::InlinePolicy(_) | Setting::QuarantineGroup(_) => false,
    }
}

fn add(plan: &mut Plan, asked: Result<Balancers, CloudError>) {
    plan.blast.is_whole = true;
    let Balancers { served, unasked } = match asked {
        Ok(balancers) => balancers,
        Err(error) => {
            plan.blast.unread.push(format!("which load balancers send it requests: {error}"));
            return;
        }
    };
    let lost: BTreeSet<&Served> = served.iter().filter(|served| loses(plan, served)).collect();
    let say = match lost.len() {
        0 => "No load balancer that was asked sends it requests which this stops.".to_owned(),
        all => {
            let some: Vec<String> = lost.iter().take(NAMED).map(ToString::to_string).collect();
            let more = if all > NAMED { format!(" and {} more", all - NAMED) } else { String::new() };
            format!("Load balancers send it requests, and lose it: {}{more}.", some.join(", "))
        }
    };
    let count = lost.len();
    plan.blast.add(count, say);
    if unasked > 0 {
        plan.blast.unread.push(format!("{unasked} more target groups were not asked for their targets"));
    }
}

/// Whether requests from the load balancer no longer come through. Where a port closes to the world only, those of one that
/// has a rule of its own do; that is not looked at.
fn loses(plan: &Plan, served: &Served) -> bool {
    plan.steps().filter(|step| !step.change.is_already_so()).any(|step| {
        match (&step.change.setting, &step.change.from, &step.change.to) {
            (Setting::IngressRules(_), Value::Rules(from), Value::Rules(to)) => {
                let lets_in = |rules: &BTreeSet<Rule>, port| rules.iter().any(|rule| rule.lets_in_tcp(port));
                served.port.is_none_or(|port| lets_in(from, port) && !lets_in(to, port))
            }
            (Setting::InterfaceGroups(_), _, _) => true,
            _ => false,
        }
    })
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

    fn served(balancer: &str, port: Option<i32>) -> Served {
        Served { balancer: balancer.to_owned(), group: port.map(|port| format!("tcp-{port}")), port }
    }

    fn check(mut plan: Plan, served: &[Served], unasked: usize, count: usize, expect: &[&str]) {
        add(&mut plan, Ok(Balancers { served: served.iter().cloned().collect(), unasked }));
        let told: Vec<&String> = plan.blast.says.iter().chain(&plan.blast.unread).collect();
        assert_eq!(
            (plan.blast.count, told),
            (count, expect.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>().iter().collect())
        );
        assert!(plan.blast.is_whole);
    }

    #[test]
    fn an_isolated_instance_is_lost_to_all() {
        let says = "Load balancers send it requests, and lose it: old, web (target group tcp-80, port 80).";
        check(isolated(), &[served("web", Some(80)), served("old", None)], 0, 2, &[says]);
        check(isolated(), &[], 0, 0, &["No load balancer that was asked sends it requests which this stops."]);
    }

    #[test]
    fn a_closed_port_is_lost_to_those_that_send_to_it() {
        let says = "Load balancers send it requests, and lose it: ssh (target group tcp-22, port 22).";
        let both = [served("ssh", Some(22)), served("web", Some(80))];
        check(closed(&[rule(0, 65535)], &[rule(0, 21), rule(23, 65535)]), &both, 0, 1, &[says]);
        let none = "No load balancer that was asked sends it requests which this stops.";
        check(closed(&[rule(3389, 3389)], &[]), &both, 0, 0, &[none]);
        // Where the port is not known, any may be it.
        let says = "Load balancers send it requests, and lose it: old.";
        check(closed(&[rule(22, 22)], &[]), &[served("old", None)], 0, 1, &[says]);
    }

    #[test]
    fn what_was_not_asked_is_said() {
        let many: Vec<Served> = (0..12).map(|n| served(&format!("lb-{n:02}"), None)).collect();
        let says = "Load balancers send it requests, and lose it: lb-00, lb-01, lb-02, lb-03, lb-04, lb-05, lb-06, \
                    lb-07, lb-08, lb-09 and 2 more.";
        check(isolated(), &many, 3, 12, &[says, "3 more target groups were not asked for their targets"]);
        let mut plan = isolated();
        add(&mut plan, Err(CloudError::out_of_time("asking")));
        assert!(plan.blast.unread[0].starts_with("which load balancers send it requests: "), "{:?}", plan.blast.unread);
    }
}
