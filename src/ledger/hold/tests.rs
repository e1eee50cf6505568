//! Who comes and goes, and what the setting must be then.

mod shared;

use super::*;
use crate::change::{Direction, KeyStatus, Peer};
use crate::setting::{AccessKeyStatus, IngressRules};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;
const LEASE: SignedDuration = SignedDuration::from_secs(60);

fn id(n: u8) -> IncidentId {
    format!("111122223333/eu-west-1/{n}").parse().unwrap()
}

fn at() -> Place {
    let (account, region) = ("111122223333".try_into().unwrap(), "eu-west-1".try_into().unwrap());
    Place { partition: crate::id::Partition::Aws, account, region }
}

fn rule(port: i32) -> Rule {
    Rule {
        id: None,
        direction: Direction::In,
        protocol: "tcp".to_owned(),
        ports: Some((port, port)),
        peer: Peer::Unknown,
        description: None,
        tags: Vec::new(),
    }
}

fn rules(ports: &[i32]) -> Value {
    Value::Rules(ports.iter().map(|port| rule(*port)).collect())
}

fn group(from: &[i32], to: &[i32]) -> Placed {
    let setting = Setting::IngressRules(IngressRules { group: "sg-0a1b".try_into().unwrap() });
    Placed { at: at(), change: Change { setting, from: rules(from), to: rules(to) } }
}

fn key(from: KeyStatus, to: KeyStatus) -> Placed {
    let (user, key) = ("ann".try_into().unwrap(), "AKIAIOSFODNN7EXAMPLE".try_into().unwrap());
    let setting = Setting::AccessKeyStatus(AccessKeyStatus { user, key });
    Placed { at: at(), change: Change { setting, from: Value::Status(from), to: Value::Status(to) } }
}

/// The hold after each of these joined, numbered from zero, a minute after the one before.
fn held(changes: &[Placed]) -> Hold {
    let join = |hold: Option<Hold>, (n, placed): (u8, &Placed)| {
        Some(
            Hold::joined(
                hold.as_ref(),
                placed,
                &id(n),
                NOW + LEASE * i32::from(n + 1),
                NOW + LEASE * i32::from(n),
                NOW + LEASE * i32::from(n),
            )
            .unwrap(),
        )
    };
    (0..).zip(changes).fold(None, join).unwrap()
}

fn back(hold: &Hold, n: u8) -> (Value, Value) {
    match hold.release(&id(n), NOW + LEASE * 60) {
        Release::Back(change) => (change.from, change.to),
        other @ (Release::NotHeld | Release::Wait { .. } | Release::KeptBy(_)) => panic!("{other:?}"),
    }
}

#[test]
fn the_first_value_stays_and_comes_back_when_the_last_lets_go() {
    use KeyStatus::{Active, Inactive};
    let hold = held(&[key(Active, Inactive), key(Inactive, Inactive)]);
    assert_eq!(hold.original, Value::Status(Active));
    assert_eq!(hold.release(&id(1), NOW), Release::KeptBy(vec![id(0)]));
    let hold = hold.without(&id(0), NOW);
    assert_eq!(back(&hold, 1), (Value::Status(Inactive), Value::Status(Active)));
    assert_eq!(hold.release(&id(0), NOW), Release::NotHeld);
}

/// A plan that closes a port of a rule.
fn close(port: u16) -> Placed {
    let whole = Rule { ports: Some((20, 30)), ..rule(0) };
    let rest = Holes::of_tcp(&whole, [port]).rest_of(&whole);
    let mut placed = group(&[], &[]);
    placed.change.from = Value::Rules(BTreeSet::from([whole]));
    placed.change.to = Value::Rules(rest.into_iter().collect());
    placed
}

#[test]
fn a_plan_on_a_rule_that_another_is_at_is_made_again() {
    let hold = held(&[close(22)]);
    let join = |placed: &Placed, now: Timestamp| Hold::joined(Some(&hold), placed, &id(1), now + LEASE, now, now);
    assert_eq!(join(&close(25), NOW), Err(NOW + group::PLAN_AGAIN));
    assert!(join(&close(22), NOW).is_ok(), "both want the same");
    assert!(join(&group(&[4], &[5]), NOW).is_ok(), "they have nothing to do with each other");
    assert!(join(&close(25), NOW + LEASE).is_ok(), "the other is done");
    // Of its own it may close more.
    let again = |hold: &Hold, port| Hold::joined(Some(hold), &close(port), &id(0), NOW, NOW, NOW);
    assert!(again(&hold, 25).is_ok());
    let both = join(&close(25), NOW + LEASE).unwrap();
    assert!(again(&both, 22).is_ok(), "it closes nothing more");
    assert!(again(&both, 28).is_err(), "the other is at it");
    let undo = |now| both.release(&id(0), now);
    assert!(matches!(undo(NOW + LEASE), Release::Wait { .. }), "and would leave what that opens");
    let Release::Back(back) = undo(NOW + LEASE * 2) else { panic!("it is done") };
    assert_eq!(back.to, close(25).change.to);
}

#[test]
fn nobody_waits_for_a_run_that_may_have_crashed_until_lambda_gives_up() {
    let long = NOW + SignedDuration::from_mins(15);
    let hold = Hold::joined(None, &close(22), &id(0), long, NOW, NOW).unwrap();
    let join = |now: Timestamp| Hold::joined(Some(&hold), &close(25), &id(1), long, now, now);
    assert!(join(NOW + SignedDuration::from_secs(60)).is_err());
    assert!(join(NOW + SignedDuration::from_secs(180)).is_ok(), "the last time that Lambda brings it");
    let again = hold.at_work(&id(0), long, NOW + SignedDuration::from_mins(5)).unwrap();
    let join = |seconds: i64| {
        let now = NOW + SignedDuration::from_secs(seconds);
        Hold::joined(Some(&again), &close(25), &id(1), long, now, now)
    };
    assert_eq!((join(301).is_ok(), join(460).is_ok()), (false, true));
    assert_eq!(held(&[key(KeyStatus::Active, KeyStatus::Inactive)]).at_work(&id(0), long, NOW), None);
}

#[test]
fn two_plans_of_one_incident_close_what_either_closes() {
    type Ends<'a> = (&'a [(i32, i32)], &'a [(i32, i32)]);
    let some = |ports: &[(i32, i32)]| {
        let range = |(first, last): &(i32, i32)| Rule { ports: Some((*first, *last)), ..rule(0) };
        Value::Rules(ports.iter().map(range).collect())
    };
    let check = |old: Ends, new: Ends, expect: Option<&[(i32, i32)]>| {
        let ends = both((&some(old.0), &some(old.1)), (&some(new.0), &some(new.1)));
        assert_eq!(ends.map(|(_, to)| to), expect.map(some));
    };
    let old: Ends = (&[(20, 30)], &[(20, 21), (23, 30)]);
    // On what the first had left.
    check(old, (&[(23, 30)], &[(23, 24), (26, 30)]), Some(&[(20, 21), (23, 24), (26, 30)]));
    // On the rule that somebody put back, alone and beside the rest.
    check(old, (&[(20, 30)], &[(20, 24), (26, 30)]), Some(&[(20, 21), (23, 24), (26, 30)]));
    check(old, (&[(20, 30), (23, 30)], &[(20, 24), (23, 24), (26, 30)]), Some(&[(20, 21), (23, 24), (26, 30)]));
    // It closes nothing more: on the rule that is still there beside what the first has opened, since it crashed.
    check(old, (&[(20, 21), (20, 30), (23, 30)], &[(20, 21), (23, 30)]), None);
    check(old, (&[(23, 23)], &[(23, 23)]), None);
    // On another rule.
    check(old, (&[(80, 90)], &[(81, 90)]), Some(&[(20, 21), (23, 30), (81, 90)]));
}

#[test]
fn a_hold_that_nobody_holds_begins_anew_and_counts_on() {
    use KeyStatus::{Active, Inactive};
    let empty = held(&[key(Active, Inactive)]).released_by(&id(0), NOW);
    let settled = NOW + SETTLES;
    let join = |now| Hold::joined(Some(&empty), &key(Inactive, Inactive), &id(1), now, now, now);
    assert_eq!(join(settled - SignedDuration::from_nanos(1)), Err(settled), "AWS may show what it was before");
    let hold = join(settled).unwrap();
    assert_eq!((hold.version, &hold.original), (3, &Value::Status(Inactive)));
    let hold = hold.corrected(&id(1), &Value::Status(Active), NOW).unwrap();
    assert_eq!(back(&hold, 1).1, Value::Status(Active));
    assert_eq!(hold.corrected(&id(1), &Value::Status(Inactive), NOW), None);
}

#[test]
fn what_was_just_given_back_of_a_group_is_waited_for_whoever_else_holds_rules_of_it() {
    let hold = held(&[group(&[1], &[2]), group(&[80], &[])]).released_by(&id(0), NOW);
    let join = |now, n, rule| Hold::joined(Some(&hold), &group(&[rule], &[3]), &id(n), now, now, now);
    assert_eq!(join(NOW, 2, 2), Err(NOW + SETTLES));
    assert!(join(NOW + SETTLES, 2, 2).is_ok());
    assert!(join(NOW, 1, 80).is_ok(), "it holds that already");
    assert_eq!(join(NOW, 1, 2), Err(NOW + SETTLES), "it does not know that yet");
}

#[test]
fn a_look_opens_nothing_but_in_the_place_of_what_somebody_opened() {
    let range = |first, last| Rule { ports: Some((first, last)), ..rule(first) };
    let of = |rules: &[&Rule]| Value::Rules(rules.iter().copied().cloned().collect());
    let (whole, low, high) = (range(20, 30), range(20, 21), range(23, 30));
    let split = Change { to: of(&[&low, &high]), from: of(&[&whole]), ..group(&[], &[]).change };
    let to = |found: &[&Rule]| again(&split, &of(found)).map(|change| change.to);
    assert_eq!(to(&[&low, &high]), None);
    assert_eq!((to(&[&low]), to(&[])), (None, None), "a person closed the rest");
    assert_eq!(to(&[&whole]), Some(split.to.clone()));
    assert_eq!(to(&[&whole, &low]), Some(split.to.clone()));

    let back = split.undo();
    assert!(matches!(GiveBack::of(&back, &split.to), GiveBack::Write(_)));
    assert!(matches!(GiveBack::of(&back, &of(&[&whole, &low])), GiveBack::Write(_)), "half given back");
    assert_eq!(GiveBack::of(&back, &of(&[&whole])), GiveBack::Already);
    assert_eq!(GiveBack::of(&back, &of(&[&low])), GiveBack::Drifted);

    let other = range(3389, 3389);
    let only_other = Change { from: split.to.clone(), to: of(&[&low, &high, &other]), ..split.clone() };
    let GiveBack::Write(change) = GiveBack::of(&only_other, &of(&[&high])) else { panic!("the other one comes back") };
    assert_eq!(change.to, of(&[&high, &other]), "and not what a person closed");
    let both = Change { to: of(&[&whole, &other]), ..back };
    let GiveBack::WriteBut { change, rules } = GiveBack::of(&both, &of(&[&low])) else { panic!("one comes back") };
    assert_eq!((change.to, rules), (of(&[&low, &other]), of(&[&whole])));
}

#[test]
fn rules_come_back_one_incident_at_a_time() {
    let hold = held(&[group(&[22, 80], &[8022]), group(&[80, 3389], &[])]);
    assert_eq!((&hold.original, hold.wanted()), (&rules(&[22, 80, 3389]), rules(&[8022])));
    assert_eq!(back(&hold, 0), (rules(&[8022]), rules(&[22])));
    assert_eq!(back(&hold, 1), (rules(&[8022]), rules(&[3389, 8022])));
    assert_eq!(back(&hold.without(&id(1), NOW), 0), (rules(&[3389, 8022]), rules(&[22, 80, 3389])));
    assert_eq!(hold.kept_by(&id(1)).unwrap().to, rules(&[]));
}

#[test]
fn what_is_being_given_back_is_waited_for_while_that_may_last() {
    use KeyStatus::{Active, Inactive};
    let after = |seconds| Timestamp::from_second(seconds).unwrap();
    let lease = Lease { request: String::new(), token: String::new(), until: after(10) };
    let hold = held(&[key(Active, Inactive)]).marked(&id(0), &lease, NOW).unwrap();
    let join = |now| Hold::joined(Some(&hold), &key(Inactive, Inactive), &id(1), now, now, now);
    assert_eq!(join(after(9)), Err(after(10)));
    assert_eq!(join(after(10)).map(|hold| hold.giving_back), Ok(None));
    assert_eq!(hold.release(&id(1), after(9)), Release::Wait { until: after(10) });
    assert_eq!(hold.marked(&id(0), &lease, after(10)), None);
}

#[test]
fn a_value_of_somebody_elses_is_left() {
    let hold = held(&[key(KeyStatus::Active, KeyStatus::Inactive)]);
    let Release::Back(change) = hold.release(&id(0), NOW) else { panic!("nobody else holds it") };
    assert_eq!(GiveBack::of(&change, &change.from), GiveBack::Write(change.clone()));
    assert_eq!(GiveBack::of(&change, &change.to), GiveBack::Already);
    assert_eq!(GiveBack::of(&change, &Value::Absent), GiveBack::Drifted);
}
