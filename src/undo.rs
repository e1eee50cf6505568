//! Gives back what an incident holds, last in first out, only where the value is still ours.

use crate::aws::Cloud;
use crate::change::{Change, Value};
use crate::clock;
use crate::cloud_error::{CloudError, Kind};
use crate::execute::make;
use crate::incident::{Incident, News, Outcome, Returned};
use crate::ledger::LedgerError;
use crate::ledger::hold::{GiveBack, Hold, Release, settled};
use crate::ledger::key::{HoldKey, IncidentId, listed};
use crate::ledger::protocol::{Done, LetGo, NoUndo, held_by, not_asked_any_more};
use crate::ledger::record::{IncidentRecord, What, Who};
use crate::look_again::{known_group, renamed};
use crate::respond::{Ending, Responder, Run, Story, cloud_at, repeated, tell};
use crate::setting::{OF_AWS, Setting};
use futures_util::future::join_all;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

/// How often to decide again where another run wrote the hold in between.
const TRIES: usize = 5;

/// What must be left after waiting until a setting has settled, to write it back.
const ENOUGH: Duration = Duration::from_secs(3);

/// The most that is told of what somebody says to be. An ARN of an assumed role has at most 170 characters.
const SAID: usize = 180;

/// What is said of what a person wanted back.
const REFUSED: &str = "refused, so change it by hand, and it is not contained again";
const NOT_AGAIN: &str = "not tried again, so change it by hand, and it is not contained again";

/// Gives back all that the incident holds, or only `keys`.
///
/// # Errors
/// The ledger could not be asked. The inner error says why there is nothing to undo.
pub async fn undo(
    responder: &Responder,
    run: &Run,
    id: &IncidentId,
    keys: Option<&[HoldKey]>,
) -> Result<Result<Ending, NoUndo>, LedgerError> {
    let began = clock::now();
    let record = match responder.ledger.begin_undo(id, &run.worker, keys, began).await? {
        Ok(record) => record,
        Err(why) => return Ok(Err(why)),
    };
    let is_resumed = record.history.last().is_none_or(|last| last.what != What::UndoBegun || last.at != began);
    let (mut done, mut losses) = (Vec::new(), BTreeMap::new());
    for key in record.to_give_back() {
        let mut written = Written::default();
        let became = let_go(responder, run, &record, &key, &mut written).await;
        losses.extend(written.loss.map(|loss| (key.clone(), loss)));
        done.push(Done { key, became, writes: written.requests });
    }
    let settings = names(&record);
    let by_time = record.undo.as_ref().is_some_and(|undo| undo.who == Who::Sweep);
    let (refused, failed) = match (by_time, record.is_last_try()) {
        // What was for a time ends later.
        (true, true) => ("refused", "tried again in six hours"),
        (true, false) => ("refused", "tried again"),
        (false, true) => (REFUSED, NOT_AGAIN),
        (false, false) => (REFUSED, "tried again"),
    };
    let returned = done.iter().map(|done| {
        let loss = losses.get(&done.key).copied();
        returned(done, settings.get(&done.key), loss, refused, failed)
    });
    let dropped = not_asked_any_more(&record).map(|part| Returned {
        setting: part.plan.subject.kind.to_string(),
        became: "was not contained, and nobody is asked about it any more".to_owned(),
        is_back: true,
    });
    // Nobody was told of that yet, and this takes its place.
    let reopened = match &record.incident.news {
        Some(News::Reopened { settings }) => settings.as_slice(),
        Some(_) | None => &[],
    };
    let mut returned: Vec<Returned> = returned.chain(dropped).collect();
    for one in returned.iter_mut().filter(|one| reopened.contains(&one.setting)) {
        one.became.push_str("; somebody had opened it before that, and has rights to: find out who");
    }
    let others = record.holds.iter().filter(|held| !done.iter().any(|done| done.key == **held)).count();
    let news = News::GivenBack { by: by(&record, run), settings: returned, others };
    match responder.ledger.finish_undo(&record, &run.worker, &done, &news, clock::now()).await {
        // A run before may have done it all and told people, and then could not write that down.
        Ok(record) if is_resumed && done.iter().all(may_be_done_before) => Ok(Ok(repeated(tell(record)))),
        Ok(record) => Ok(Ok(tell(record))),
        Err(error) => {
            let mut incident = Incident { news: Some(news), ..record.incident };
            let why = format!("what was given back is not written down yet, and it is tried again: {error}");
            incident.beside.failure = Some(why);
            Ok(Ok(Ending::Tell(Box::new(Story::unrecorded(incident)))))
        }
    }
}

/// Whether a run before may have done as much.
fn may_be_done_before(done: &Done) -> bool {
    let is_let_go = match done.became {
        LetGo::WasBack | LetGo::KeptBy(_) | LetGo::GivenBackBeside(_) => true,
        LetGo::GivenBack
        | LetGo::Gone
        | LetGo::Drifted { .. }
        | LetGo::GivenBackBut { .. }
        | LetGo::Refused { .. }
        | LetGo::Failed { .. } => false,
    };
    is_let_go && done.writes.is_empty()
}

/// What was written to give a setting back.
#[derive(Debug, Default)]
struct Written {
    /// The ids of AWS's answers.
    requests: Vec<String>,
    loss: Option<Loss>,
}

/// What does not come back just as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// Each rule that is made again has a new id.
    Ids,
    /// And not the tags that AWS itself gave it.
    TagsOfAws,
    /// And none of its tags.
    Tags,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ids => "with new ids for the rules",
            Self::TagsOfAws => "with new ids for the rules, and without the tags that AWS itself gave them (aws:...)",
            Self::Tags => "with new ids for the rules, and without their tags",
        })
    }
}

/// What people call the settings of an incident.
fn names(record: &IncidentRecord) -> BTreeMap<HoldKey, Setting> {
    held_by(&record.incident).into_iter().map(|placed| (placed.key(), placed.change.setting)).collect()
}

/// What would become of a setting.
#[derive(Debug, Clone, PartialEq)]
pub enum Would {
    GiveBack(Change),
    /// All but these rules: somebody closed a part of them.
    GiveBackBut {
        change: Change,
        rules: Value,
    },
    /// Nothing is written: it stays, in words.
    Stay(String),
}

/// What undo would do, in its order: settings are read, and nothing is marked or written.
///
/// # Errors
/// The ledger could not be asked.
pub async fn preview(
    responder: &Responder,
    run: &Run,
    record: &IncidentRecord,
    keys: Option<&[HoldKey]>,
) -> Result<Vec<(HoldKey, Would)>, LedgerError> {
    let wanted: Vec<HoldKey> =
        record.holds.iter().rev().filter(|key| keys.is_none_or(|keys| keys.contains(key))).cloned().collect();
    let holds = responder.ledger.holds(&wanted).await?;
    Ok(join_all(holds.iter().map(|hold| async { (hold.key.clone(), would(responder, run, record, hold).await) })).await)
}

async fn would(responder: &Responder, run: &Run, record: &IncidentRecord, hold: &Hold) -> Would {
    match hold.release(&record.id, clock::now()) {
        Release::NotHeld => Would::Stay("is not held any more".to_owned()),
        Release::Wait { until } => Would::Stay(format!("another incident is at it until {until}")),
        Release::KeptBy(others) => Would::Stay(format!("would stay: incident {} holds it", listed(&others))),
        Release::Back(_) => match seen(responder, run, record, hold).await {
            Ok(would) => would,
            Err(error) => Would::Stay(format!("could not be looked at: {error}")),
        },
    }
}

async fn seen(responder: &Responder, run: &Run, record: &IncidentRecord, hold: &Hold) -> Result<Would, CloudError> {
    let cloud = cloud_at(responder, &hold.at, &record.incident.finding, run.until).await?;
    let hold = known_group(&cloud, hold).await?;
    let Release::Back(change) = hold.release(&record.id, clock::now()) else {
        return Ok(Would::Stay("was decided anew meanwhile".to_owned()));
    };
    if let Some(why) = renamed(&cloud, &record.incident, &change.setting).await? {
        return Ok(Would::Stay(format!("would stay: {why}")));
    }
    let found = match change.setting.adjust().read(&cloud, &hold.seen_with(&change)).await {
        Err(error) if error.kind == Kind::Gone => return Ok(Would::Stay("no longer exists".to_owned())),
        found => found?,
    };
    Ok(match hold.give_back(&change, &found) {
        GiveBack::Already => Would::Stay("is back already".to_owned()),
        GiveBack::Drifted => Would::Stay(format!("would be left alone: somebody set it to {found}")),
        GiveBack::Write(change) => Would::GiveBack(change),
        GiveBack::WriteBut { change, rules } => Would::GiveBackBut { change, rules },
    })
}

async fn let_go(
    responder: &Responder,
    run: &Run,
    record: &IncidentRecord,
    key: &HoldKey,
    written: &mut Written,
) -> LetGo {
    for _ in 0..TRIES {
        match try_let_go(responder, run, record, key, written).await {
            Ok(Some(became)) => return became,
            Ok(None) => {}
            Err(error) => return LetGo::Failed { why: error.to_string() },
        }
    }
    LetGo::Failed { why: "other runs write this hold all the time".to_owned() }
}

/// None where another run wrote the hold in between: then it must be decided again.
async fn try_let_go(
    responder: &Responder,
    run: &Run,
    record: &IncidentRecord,
    key: &HoldKey,
    written: &mut Written,
) -> Result<Option<LetGo>, LedgerError> {
    let now = clock::now();
    let Some(hold) = responder.ledger.holds(std::slice::from_ref(key)).await?.pop() else {
        return Ok(Some(LetGo::WasBack));
    };
    match hold.release(&record.id, now) {
        Release::NotHeld => Ok(Some(was_let_go(&hold, record))),
        Release::Wait { until } => Ok(Some(LetGo::Failed { why: format!("another incident is at it until {until}") })),
        Release::KeptBy(others) => left(responder, &hold, record, LetGo::KeptBy(others)).await,
        Release::Back(_) => {
            let Some(marked) = hold.marked(&record.id, &run.worker.lease, now) else {
                return Ok(Some(LetGo::Failed { why: "no time is left to write it back".to_owned() }));
            };
            match responder.ledger.swap_hold(marked, now).await? {
                Ok(marked) => {
                    let changed = record.contained.map_or(hold.touched, |contained| contained.max(hold.touched));
                    let became = back(responder, run, record, &marked, settled(changed), written).await?;
                    if became.as_ref().is_some_and(|became| !became.is_over()) {
                        // Nothing more is written now. If that cannot be said, others wait until our lease ends.
                        let now = clock::now();
                        responder.ledger.swap_hold(marked.unmarked(&record.id, now), now).await.ok();
                    }
                    Ok(became)
                }
                Err(_) => Ok(None),
            }
        }
    }
}

/// What became of a setting that a run before this one let go, and could not write down.
fn was_let_go(hold: &Hold, record: &IncidentRecord) -> LetGo {
    let planned = held_by(&record.incident).into_iter().find(|placed| placed.key() == hold.key);
    let others = planned.map(|placed| hold.others_on(&record.id, &placed.change.from, &placed.change.to));
    match others.filter(|others| !others.is_empty()) {
        None => LetGo::WasBack,
        Some(others) if matches!(hold.setting, Setting::IngressRules(_)) => LetGo::GivenBackBeside(others),
        Some(others) => LetGo::KeptBy(others),
    }
}

/// Writes the setting back, and reads it back. The hold is ours to write until our lease ends.
async fn back(
    responder: &Responder,
    run: &Run,
    record: &IncidentRecord,
    hold: &Hold,
    settled: Timestamp,
    written: &mut Written,
) -> Result<Option<LetGo>, LedgerError> {
    let cloud = match cloud_at(responder, &hold.at, &record.incident.finding, run.until).await {
        Ok(cloud) => cloud,
        Err(error) => return Ok(Some(not_back(&error))),
    };
    let hold = match known_group(&cloud, hold).await {
        Ok(hold) => hold,
        Err(error) => return Ok(Some(not_back(&error))),
    };
    let change = match hold.release(&record.id, clock::now()) {
        Release::Back(change) => change,
        Release::KeptBy(others) => return left(responder, &hold, record, LetGo::KeptBy(others)).await,
        Release::NotHeld | Release::Wait { .. } => return Ok(None),
    };
    // Under the new name it may be another incident's by now, and under the old one somebody else's.
    match renamed(&cloud, &record.incident, &change.setting).await {
        Ok(None) => {}
        Ok(Some(why)) => return Ok(Some(LetGo::Refused { why })),
        Err(error) => return Ok(Some(not_back(&error))),
    }
    let found = match read(&cloud, &hold.seen_with(&change), &change.from, settled, run.until).await {
        Ok(found) => found,
        Err(error) if error.kind == Kind::Gone => return left(responder, &hold, record, LetGo::Gone).await,
        Err(error) => return Ok(Some(not_back(&error))),
    };
    let others = hold.kept_by_others_too(&record.id);
    let others = Some(others).filter(|it| !it.is_empty() && matches!(hold.setting, Setting::IngressRules(_)));
    let became = match hold.give_back(&change, &found) {
        GiveBack::Already => others.map_or(LetGo::WasBack, LetGo::GivenBackBeside),
        GiveBack::Drifted => LetGo::Drifted { found },
        GiveBack::Write(change) => {
            let became = written_back(&cloud, change, run, written).await;
            others.filter(|_| became == LetGo::GivenBack).map_or(became, LetGo::GivenBackBeside)
        }
        GiveBack::WriteBut { change, rules } => {
            let became = written_back(&cloud, change, run, written).await;
            if became == LetGo::GivenBack { LetGo::GivenBackBut { rules } } else { became }
        }
    };
    if became.is_over() { left(responder, &hold, record, became).await } else { Ok(Some(became)) }
}

/// What the setting is now. What was changed moments ago AWS may still show as it was before: what is not as we left it is
/// read once more when that has settled.
async fn read(
    cloud: &Cloud,
    change: &Change,
    left: &Value,
    settled: Timestamp,
    until: Instant,
) -> Result<Value, CloudError> {
    let setting = change.setting.adjust();
    let found = setting.read(cloud, change).await;
    let wait = Duration::try_from(settled.duration_since(clock::now())).unwrap_or_default();
    if wait.is_zero() || found.as_ref().is_ok_and(|found| found == left) {
        return found;
    }
    if Instant::now() + wait + ENOUGH > until {
        return Err(CloudError::out_of_time("waiting until AWS shows what was just changed"));
    }
    tokio::time::sleep(wait).await;
    setting.read(cloud, change).await
}

async fn written_back(cloud: &Cloud, change: Change, run: &Run, written: &mut Written) -> LetGo {
    written.loss = loss(&change).or(written.loss);
    let result = make(cloud, change, run.until).await;
    written.requests.extend(result.requests);
    match result.outcome {
        Outcome::Changed | Outcome::AlreadySo => LetGo::GivenBack,
        Outcome::Gone { .. } | Outcome::LetGo => LetGo::Gone,
        Outcome::Refused { why } => LetGo::Refused { why },
        Outcome::Drifted { found } => LetGo::Failed { why: format!("written, but read back as {found}") },
        Outcome::Failed { why, transient: _ } | Outcome::Unread { why, transient: _ } => LetGo::Failed { why },
    }
}

/// Takes the incident out of the hold.
async fn left(
    responder: &Responder,
    hold: &Hold,
    record: &IncidentRecord,
    became: LetGo,
) -> Result<Option<LetGo>, LedgerError> {
    let now = clock::now();
    let swapped = responder.ledger.swap_hold(hold.released_by(&record.id, now), now).await?;
    Ok(swapped.is_ok().then_some(became))
}

fn not_back(error: &CloudError) -> LetGo {
    let why = error.to_string();
    if error.kind == Kind::Refused { LetGo::Refused { why } } else { LetGo::Failed { why } }
}

/// What is lost where this is written back: AWS gives ids and tags of its own by itself.
#[must_use]
pub fn loss(back: &Change) -> Option<Loss> {
    let (Value::Rules(from), Value::Rules(to)) = (&back.from, &back.to) else { return None };
    let mut made = to.difference(from).peekable();
    made.peek()?;
    let mut tags = made.flat_map(|rule| &rule.tags);
    let is_lost = match &back.setting {
        Setting::QuarantineGroup(_) => tags.next().is_some().then_some(Loss::Tags),
        Setting::IngressRules(_) => tags.any(|(key, _)| key.starts_with(OF_AWS)).then_some(Loss::TagsOfAws),
        Setting::AccessKeyStatus(_) | Setting::InlinePolicy(_) | Setting::InterfaceGroups(_) => return None,
    };
    is_lost.or(Some(Loss::Ids))
}

fn returned(done: &Done, setting: Option<&Setting>, loss: Option<Loss>, refused: &str, failed: &str) -> Returned {
    let Done { key, became, writes: _ } = done;
    let given_back = loss.map_or_else(|| "given back".to_owned(), |loss| format!("given back {loss}"));
    let said = match became {
        LetGo::GivenBack => {
            format!("given back, read back{}", loss.map(|loss| format!(", {loss}")).unwrap_or_default())
        }
        LetGo::WasBack => "was back already".to_owned(),
        LetGo::Gone => "no longer exists".to_owned(),
        LetGo::KeptBy(others) => {
            format!("not given back: incident {} holds it too", listed(others))
        }
        LetGo::Drifted { found } => format!("left alone: somebody set it to {found}"),
        LetGo::GivenBackBut { rules } => {
            format!("{given_back}, but for {rules}: somebody closed a part of that, and it would open it again")
        }
        LetGo::GivenBackBeside(others) => {
            format!("{given_back}, but for what incident {} keeps closed too", listed(others))
        }
        LetGo::Refused { why } => format!("still held, {refused}: {why}"),
        LetGo::Failed { why } => format!("still held, {failed}: {why}"),
    };
    let is_back = match became {
        LetGo::GivenBack | LetGo::WasBack | LetGo::Gone => true,
        LetGo::KeptBy(_)
        | LetGo::Drifted { .. }
        | LetGo::GivenBackBut { .. }
        | LetGo::GivenBackBeside(_)
        | LetGo::Refused { .. }
        | LetGo::Failed { .. } => false,
    };
    let setting = setting.map_or_else(|| key.to_string(), ToString::to_string);
    Returned { setting, became: said, is_back }
}

/// For whom it is given back: who asked first, also when the sweep goes on with it.
fn by(record: &IncidentRecord, run: &Run) -> String {
    let who = record.undo.as_ref().map_or(&run.worker.who, |undo| &undo.who);
    said_by(who)
}

/// Who did something, in words.
#[must_use]
pub fn said_by(who: &Who) -> String {
    match who {
        Who::Policy => "the policy".to_owned(),
        // What is said is anybody's text: it comes last, short and in quotes, and cannot take AWS's word for itself.
        Who::Operator { says, identity: Some(arn) } if says == arn => format!("{arn}, as AWS shows"),
        Who::Operator { says, identity: Some(arn) } => format!("{arn}, as AWS shows, who says to be {}", quoted(says)),
        Who::Operator { says, identity: None } => {
            format!("somebody whom AWS does not show, who says to be {}", quoted(says))
        }
        Who::Sweep => "the sweep".to_owned(),
    }
}

fn quoted(says: &str) -> String {
    let says: String = says.chars().filter(|char| *char != '"').take(SAID).collect();
    format!("\"{says}\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::{Direction, Peer, Rule};
    use crate::setting::{IngressRules, QuarantineGroup};
    use std::collections::BTreeSet;

    #[test]
    fn what_is_lost_where_rules_are_made_again_is_said() {
        let rules = |tags: &[&str]| {
            let tags = tags.iter().map(|key| ((*key).to_owned(), "x".to_owned())).collect();
            let peer = Peer::Network("0.0.0.0/0".parse().unwrap());
            let (protocol, ports) = ("tcp".to_owned(), Some((22, 22)));
            Value::Rules(
                [Rule { id: None, direction: Direction::In, protocol, ports, peer, description: None, tags }].into(),
            )
        };
        let none = || Value::Rules(BTreeSet::new());
        let ports = Setting::IngressRules(IngressRules { group: "sg-0a1b".try_into().unwrap() });
        let quarantine = Setting::QuarantineGroup(QuarantineGroup { vpc: "vpc-0a1b".try_into().unwrap() });
        let said = |setting: &Setting, from, to| loss(&Change { setting: setting.clone(), from, to });
        assert_eq!(said(&ports, none(), rules(&["team"])), Some(Loss::Ids));
        assert_eq!(said(&ports, none(), rules(&["team", "aws:cloudformation:stack-id"])), Some(Loss::TagsOfAws));
        assert_eq!(said(&ports, rules(&[]), none()), None);
        assert_eq!(said(&quarantine, none(), rules(&[])), Some(Loss::Ids));
        assert_eq!(said(&quarantine, none(), rules(&["team"])), Some(Loss::Tags));
        assert_eq!(said(&quarantine, none(), Value::Absent), None);
    }

    #[test]
    fn what_somebody_says_to_be_cannot_pass_for_what_aws_shows() {
        let operator = |says: &str, identity: Option<&str>| {
            said_by(&Who::Operator { says: says.to_owned(), identity: identity.map(str::to_owned) })
        };
        let arn = "arn:aws:iam::111122223333:user/olga";
        assert_eq!(operator(arn, Some(arn)), format!("{arn}, as AWS shows"));
        assert_eq!(operator("ann", Some(arn)), format!("{arn}, as AWS shows, who says to be \"ann\""));
        let forged = format!("ann\", {arn}, as AWS shows. {}", "x".repeat(500));
        let said = operator(&forged, None);
        assert!(said.starts_with("somebody whom AWS does not show, who says to be \"ann, arn"), "{said}");
        assert!(said.matches('"').count() == 2 && said.ends_with("xxx\"") && said.len() < 240, "{said}");
    }
}
