//! What is written of a held setting, by what is found of it.

use super::Hold;
use super::group::{only_in, rules};
use crate::change::{Change, Rule, Value};
use crate::setting::Setting;
use std::collections::BTreeSet;

/// What to do about the value that was read.
#[derive(Debug, Clone, PartialEq)]
pub enum GiveBack {
    /// It is back already.
    Already,
    Write(Change),
    /// All but these rules: somebody closed a part that we had left open of them.
    WriteBut {
        change: Change,
        rules: Value,
    },
    /// Somebody else set it to something of their own.
    Drifted,
}

/// What a look writes about `found`, read with the change that [`super::Hold::kept_by`] gave; none where it is still contained.
///
/// Of a group's rules nothing is opened but in the place of a wider one that somebody opened again: what is missing of what
/// we left open, somebody closed.
#[must_use]
pub fn again(kept: &Change, found: &Value) -> Option<Change> {
    let to = match (&kept.setting, &kept.from, &kept.to, found) {
        (Setting::IngressRules(_), Value::Rules(from), Value::Rules(to), Value::Rules(found)) => {
            let open = &(found & from) - to;
            if open.is_empty() {
                return None;
            }
            let stays = |rule: &&Rule| found.contains(rule) || open.iter().any(|wide| rule.is_within(wide));
            Value::Rules(to.iter().filter(stays).cloned().collect())
        }
        _ if *found == kept.to => return None,
        _ => kept.to.clone(),
    };
    Some(Change { setting: kept.setting.clone(), from: found.clone(), to })
}

impl Hold {
    /// What to do about `found`, read with [`Hold::seen_with`] the change that [`super::Release::Back`] gave. What runs that died
    /// left of a group's rules goes too, where it lets nothing pass that the others do not.
    #[must_use]
    pub fn give_back(&self, back: &Change, found: &Value) -> GiveBack {
        let plan = GiveBack::of(back, found);
        let left = |to: &Value| -> BTreeSet<Rule> {
            let (Value::Rules(to), Value::Rules(found)) = (to, found) else { return BTreeSet::new() };
            let original = rules(&self.original);
            let is_ours = |rule: &&Rule| {
                // One that is called otherwise is somebody's own.
                let is_it = found.get(*rule).is_some_and(|there| there.description == rule.description);
                is_it && !to.contains(rule) && original.is_none_or(|original| !original.contains(rule))
            };
            let made = self.made.iter().filter(is_ours);
            // As it was read: with its id.
            made.filter(|rule| to.iter().any(|wide| rule.is_within(wide)))
                .filter_map(|rule| found.get(rule))
                .cloned()
                .collect()
        };
        let with = |change: Change| match (left(&change.to), &change.from) {
            (left, Value::Rules(from)) => Change { from: Value::Rules(from | &left), ..change },
            _ => change,
        };
        match plan {
            GiveBack::Already => {
                let (there, _) = ours_of(back, found);
                let change = with(Change { setting: back.setting.clone(), from: there.clone(), to: there });
                if change.is_already_so() { GiveBack::Already } else { GiveBack::Write(change) }
            }
            GiveBack::Write(change) => GiveBack::Write(with(change)),
            GiveBack::WriteBut { change, rules } => GiveBack::WriteBut { change: with(change), rules },
            GiveBack::Drifted => GiveBack::Drifted,
        }
    }
}

impl GiveBack {
    /// What to do about `found` by the change alone, whatever runs that died left beside it.
    pub(super) fn of(back: &Change, found: &Value) -> Self {
        let Change { setting, from: ours, to } = back;
        let (found, beside) = &ours_of(back, found);
        let all = || rules(found).into_iter().flatten().chain(beside);
        let is_there = |rule: &Rule| all().any(|wide| rule.is_within(wide));
        let to = &still_there(ours, to, &is_there);
        if found == to {
            return Self::Already;
        }
        let write = |from: &Value| Self::Write(Change { setting: setting.clone(), from: from.clone(), to: to.clone() });
        match setting {
            Setting::IngressRules(_) => match narrowed(ours, to, found, &is_there) {
                None => write(found),
                Some((now, _)) if now == *found => Self::Drifted,
                Some((now, rules)) => {
                    let change = Change { setting: setting.clone(), from: found.clone(), to: now };
                    Self::WriteBut { change, rules }
                }
            },
            // Ours by its tag, whatever rules are in it; AWS does not delete one that anything uses.
            Setting::QuarantineGroup(_) if *to == Value::Absent => write(found),
            // Its rules come back in two calls, and a run may have ended between them.
            Setting::QuarantineGroup(_) if is_on_its_way(ours, to, found) => write(found),
            Setting::AccessKeyStatus(_)
            | Setting::InlinePolicy(_)
            | Setting::InterfaceGroups(_)
            | Setting::QuarantineGroup(_) => {
                if found == ours {
                    write(ours)
                } else {
                    Self::Drifted
                }
            }
        }
    }
}

/// Whether rules are neither as we left them nor as they were, and nothing but a part of the one and the other.
fn is_on_its_way(ours: &Value, to: &Value, found: &Value) -> bool {
    match (ours, to, found) {
        (Value::Rules(ours), Value::Rules(to), Value::Rules(found)) => {
            found.is_subset(&(ours | to)) && (ours & to).is_subset(found)
        }
        _ => false,
    }
}

/// Of what was found of a group's rules what the change speaks of, and the rest.
fn ours_of(back: &Change, found: &Value) -> (Value, BTreeSet<Rule>) {
    match (&back.setting, &back.from, &back.to, found) {
        (Setting::IngressRules(_), Value::Rules(from), Value::Rules(to), Value::Rules(found)) => {
            let ours = found & &(from | to);
            let beside = found - &ours;
            (Value::Rules(ours), beside)
        }
        _ => (found.clone(), BTreeSet::new()),
    }
}

/// What should be, without the rules that should be before and after, and that somebody else has closed.
fn still_there(ours: &Value, to: &Value, is_there: &dyn Fn(&Rule) -> bool) -> Value {
    match (ours, to) {
        (Value::Rules(ours), Value::Rules(to)) => {
            Value::Rules(to.iter().filter(|rule| !ours.contains(rule) || is_there(rule)).cloned().collect())
        }
        _ => to.clone(),
    }
}

/// What to give back, and which rules not: where somebody closed a part that we had left open of a rule, the rule would open
/// it again. None where nobody did. We open all before we close any, so a run that ended in between is none of these.
fn narrowed(ours: &Value, to: &Value, found: &Value, is_there: &dyn Fn(&Rule) -> bool) -> Option<(Value, Value)> {
    let (wanted, found) = (rules(to)?, rules(found)?);
    let left = only_in(ours, to);
    let is_closed =
        |wide: &&Rule| !found.contains(wide) && left.iter().any(|rule| rule.is_within(wide) && !is_there(rule));
    let wide: BTreeSet<Rule> = wanted.iter().filter(is_closed).cloned().collect();
    let stays = left.iter().filter(|rule| found.contains(rule) && wide.iter().any(|wide| rule.is_within(wide)));
    let now = &(wanted - &wide) | &stays.cloned().collect();
    (!wide.is_empty()).then_some((Value::Rules(now), Value::Rules(wide)))
}
