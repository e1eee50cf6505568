//! What other findings keep closed where this one's subject is: it is to keep that closed too.

use crate::finding::{Finding, Subject};
use crate::id::GroupId;
use crate::ledger::hold::{Hold, closes_tcp};
use crate::ledger::key::{HoldKey, IncidentId};
use crate::observed::{Exposure, KeptClosed};
use crate::plan::{NoSteps, Plan};
use crate::planning::FORESIGHT;
use crate::remediation::exposed_port::rules_of;
use crate::respond::Responder;
use crate::setting::Setting;
use std::collections::BTreeMap;

/// What other incidents keep closed of groups where the subject is.
pub fn known<'a>(
    finding: &Finding,
    subject: &Subject,
    holds: impl IntoIterator<Item = &'a Hold>,
) -> BTreeMap<GroupId, KeptClosed> {
    let id = IncidentId::of(finding);
    let of_group = |hold: &Hold| match &hold.setting {
        Setting::IngressRules(rules) if hold.key == HoldKey::of(&subject.at, &hold.setting) => {
            Some((rules.group.clone(), hold.kept_closed_beside(&id)?))
        }
        Setting::IngressRules(_)
        | Setting::AccessKeyStatus(_)
        | Setting::InlinePolicy(_)
        | Setting::InterfaceGroups(_)
        | Setting::QuarantineGroup(_) => None,
    };
    holds.into_iter().filter_map(of_group).collect()
}

/// The same as it is by now, and of groups that the finding does not name; none where the ledger does not answer in time.
pub async fn by_now(
    responder: &Responder,
    finding: &Finding,
    subject: &Subject,
    exposure: &Exposure,
) -> Option<BTreeMap<GroupId, KeptClosed>> {
    let keys: Vec<HoldKey> = exposure.rules.keys().map(|group| HoldKey::of(&subject.at, &rules_of(group))).collect();
    let holds = tokio::time::timeout(FORESIGHT, responder.ledger.holds(&keys)).await.ok()?.ok()?;
    Some(known(finding, subject, &holds))
}

/// Whether others may keep more closed than the ledger was asked about: a port is closed and the plan does not say by whom, or
/// the finding does not name a group.
#[must_use]
pub fn may_be_more(finding: &Finding, exposure: &Exposure, known: &[Setting], plan: &Plan) -> bool {
    let closes = |port: u16| plan.steps().any(|step| closes_tcp(step.held(), port));
    match plan.no_steps {
        None => {
            finding.ports.iter().any(|local| !closes(local.port))
                || exposure.rules.keys().any(|group| !known.contains(&rules_of(group)))
        }
        Some(NoSteps::NothingToDo(_)) => true,
        Some(NoSteps::Gone(_) | NoSteps::Refused(_) | NoSteps::NotCovered(_) | NoSteps::NotObserved { .. }) => false,
    }
}
