//! What holds for each setting that is kept changed, whoever comes and goes.

use crate::{is_kept, noon, worker};
use jiff::Timestamp;
use quell::change::{Change, Value};
use quell::id::GroupId;
use quell::ledger::hold::{GiveBack, Hold, Release, SETTLES};
use quell::ledger::key::{IncidentId, Placed};
use quell::ledger::record::Who;
use quell::setting::Setting;
use std::collections::BTreeSet;

/// Lets all holders go in both orders, and another one come and go.
pub fn check(hold: &Hold) {
    is_kept(hold);
    if hold.version > u64::MAX / 2 {
        return;
    }
    let giving = hold.giving_back.as_ref().map(|giving| giving.until);
    for now in [Timestamp::MIN, noon(), Timestamp::MAX].into_iter().chain(giving) {
        let mut holders: Vec<&IncidentId> = hold.holders.iter().map(|holder| &holder.incident).collect();
        goes(hold, &holders, now);
        holders.reverse();
        goes(hold, &holders, now);
        comes(hold, now);
    }
    waits(hold);
}

/// The last one gives back the first original value, in whatever order they go.
fn goes(hold: &Hold, holders: &[&IncidentId], now: Timestamp) {
    let mut hold = Hold { giving_back: None, ..hold.clone() };
    // Nobody is waited for.
    hold.holders.iter_mut().for_each(|holder| holder.busy = None);
    for incident in once(holders) {
        let after = hold.released_by(incident, now);
        assert_eq!((after.version, &after.original), (hold.version + 1, &hold.original));
        assert!(after.holders.iter().all(|holder| holder.incident != *incident));
        assert!(hold.kept_by(incident).is_some_and(|change| change.setting == hold.setting));
        match hold.release(incident, now) {
            Release::Back(back) => {
                assert_eq!((&back.from, &back.to), (&hold.wanted(), &after.wanted()));
                assert!(!after.holders.is_empty() || back.to == hold.original, "{back:?}");
                writes(&hold, &back);
            }
            Release::KeptBy(others) => {
                assert!(!others.is_empty() && !others.contains(incident));
                assert_eq!(hold.wanted(), after.wanted());
            }
            other @ (Release::NotHeld | Release::Wait { .. }) => panic!("{incident} holds it: {other:?}"),
        }
        assert_eq!((after.release(incident, now), after.kept_by(incident)), (Release::NotHeld, None));
        is_kept(&after);
        hold = after;
    }
    assert!(hold.holders.is_empty() && hold.wanted() == hold.original);
}

/// Each of them once.
fn once<'a>(incidents: &[&'a IncidentId]) -> Vec<&'a IncidentId> {
    let mut seen = BTreeSet::new();
    incidents.iter().copied().filter(|incident| seen.insert(*incident)).collect()
}

/// Where nobody died on the way, nothing is left to close beside.
fn writes(hold: &Hold, back: &Change) {
    let expected = if back.is_already_so() { GiveBack::Already } else { GiveBack::Write(back.clone()) };
    assert_eq!((hold.give_back(back, &back.to), hold.give_back(back, &back.from)), (GiveBack::Already, expected));
    let _ = (back.to_string(), back.commands());
}

/// Who comes and goes leaves what is wanted as it was; and nobody comes while another gives it back, or did just before.
fn comes(hold: &Hold, now: Timestamp) {
    let other: IncidentId = "000000000000/eu-west-1/another".parse().expect("an id");
    if hold.holders.iter().any(|holder| holder.incident == other) {
        return;
    }
    for to in [hold.wanted(), hold.original.clone(), Value::Absent] {
        let change = Change { setting: hold.setting.clone(), from: hold.wanted(), to };
        let placed = Placed { at: hold.at.clone(), change };
        match Hold::joined(Some(hold), &placed, &other, now, now, now) {
            Err(until) => {
                let is_new = hold.holders.is_empty() || matches!(hold.setting, Setting::IngressRules(_));
                let settles = is_new && hold.given_back.is_some_and(|back| back + SETTLES == until);
                assert!(until > now && (settles || hold.giving_back.as_ref().is_some_and(|it| it.until == until)));
            }
            Ok(joined) => {
                assert_eq!(joined.version, hold.version + 1);
                let one_value = !matches!(hold.setting, Setting::IngressRules(_));
                assert!(!one_value || joined.wanted() == placed.change.to, "the newest counts");
                assert_eq!(joined.without(&other, now).wanted(), hold.wanted());
                let again = Hold::joined(Some(&joined), &placed, &other, now, now, now).expect("it is ours already");
                assert_eq!((again.wanted(), again.holders.len()), (joined.wanted(), joined.holders.len()));
                is_kept(&joined);
                let by = worker(Who::Sweep, "a run", now);
                let marked = joined.marked(&other, &by.lease, now);
                assert_eq!(marked.is_some(), by.lease.is_alive(now));
                let wait = |hold: Hold| hold.holders.first().map(|holder| hold.release(&holder.incident, now));
                assert!(
                    joined.holders.len() < 2
                        || marked.and_then(wait).is_none_or(|it| matches!(it, Release::Wait { .. }))
                );
            }
        }
    }
}

/// A group that is known by now is not waited for.
fn waits(hold: &Hold) {
    let group: GroupId = "sg-0a1b".try_into().expect("an id");
    let mut hold = hold.clone();
    for _ in 0..hold.holders.len() * 16 {
        let Some(vpc) = hold.waits_for() else { break };
        let resolved = hold.resolved(&vpc, &group);
        assert_ne!(resolved.waits_for(), Some(vpc));
        assert_eq!(resolved.original, hold.original);
        hold = resolved;
    }
}
