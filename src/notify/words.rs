//! The sentences that every message shares: what is true now, and whether people have to act.

use super::escape::{ascii, defanged, sentence};
use super::facts::{Tally, is_given_back, tally, worst_first};
use crate::finding::{Finding, FindingType};
use crate::id::Place;
use crate::incident::{Incident, News, Returned, Verdict};
use crate::policy::Refusal;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, HashSet};

/// SNS wants subjects below 100 characters.
const SUBJECT: usize = 99;
/// That it may be a repeat.
pub(super) const MAYBE_KNOWN: &str =
    "You may have been told this before; it is not known whether that message went out.";
/// The longest name in a headline.
const NAME: usize = 160;

/// The verdict, about what, and where.
pub(super) fn headline(incident: &Incident) -> String {
    let (what, at) = about(incident);
    format!("{}: {what} ({})", verdict(incident), place(at))
}

/// The headline, as SNS allows it in a subject: ASCII and short. What is cut is the name, not the verdict or the place.
pub(super) fn subject(incident: &Incident) -> String {
    let (what, at) = about(incident);
    let (before, after) = (verdict(incident), format!(" ({})", place(at)));
    let room = SUBJECT.saturating_sub(before.len() + 2 + after.len());
    ascii(&format!("{before}: {}{after}", ascii(&what, room)), SUBJECT)
}

/// The subject, and whether to get up.
pub(super) fn sms(incident: &Incident) -> String {
    let hint = match urgency(incident) {
        Urgency::Now => "Act now.",
        Urgency::Decide => "Decide now.",
        Urgency::Look => "Please look.",
        Urgency::None => "No need to act.",
    };
    format!("{}. {hint} See e-mail.", subject(incident))
}

/// What of the plan holds, and nothing that was not read back.
pub(super) fn standing(incident: &Incident) -> String {
    if let Some(News::GivenBack { settings, others, .. }) = &incident.news {
        return given_back(settings, *others);
    }
    let Tally { planned, tried, holding, left_to_people, already } = tally(incident);
    let changes = count(planned, "change");
    let hold = if holding == 1 { "holds" } else { "hold" };
    // Without the ledger nobody knows what a run before did.
    let who = if incident.beside.failure.is_some() { "This run" } else { "Quell" };
    let nothing = format!("{who} changed nothing.");
    let standing = match (planned, tried, holding) {
        (0, _, _) if left_to_people > 0 => String::new(),
        (_, 0, _) if left_to_people > 0 => format!("{changes} {} planned.", if planned == 1 { "is" } else { "are" }),
        (0, _, _) => nothing,
        (_, _, 0) if incident.verdict() == Verdict::Gone => "It no longer exists.".to_owned(),
        (_, 0, _) => format!("{nothing} {changes} {} planned.", if planned == 1 { "is" } else { "are" }),
        (1, _, 0) => "The one planned change was tried, and not read back as planned. Rely on nothing.".to_owned(),
        (_, _, 0) => format!("{changes} were planned, and none was read back as planned. Rely on nothing."),
        (1, _, _) => format!("The one planned change holds, read back{}{}.", read_back(incident), so_before(already)),
        _ => format!("{holding} of {changes} {hold}, read back{}{}.", read_back(incident), so_before(already)),
    };
    let left = match left_to_people {
        0 => String::new(),
        1 => "1 change that a person wanted back is left to people.".to_owned(),
        left => format!("{left} changes that a person wanted back are left to people."),
    };
    [standing, left].into_iter().filter(|said| !said.is_empty()).collect::<Vec<_>>().join(" ")
}

fn given_back(settings: &[Returned], others: usize) -> String {
    let back = settings.iter().filter(|setting| setting.is_back).count();
    let back = match (back, settings.len()) {
        (1, 1) => "The one setting is as before.".to_owned(),
        (_, 1) => "The one setting is not as before.".to_owned(),
        (back, all) => format!("{back} of {all} settings {} as before.", if back == 1 { "is" } else { "are" }),
    };
    let others = match others {
        0 => String::new(),
        1 => " 1 other was not asked for.".to_owned(),
        others => format!(" {others} others were not asked for."),
    };
    format!("{back}{others}")
}

fn so_before(already: usize) -> String {
    if already == 0 { String::new() } else { format!("; {already} had been so before") }
}

fn read_back(incident: &Incident) -> String {
    let Some(at) = incident.contained else { return String::new() };
    let since = incident.seconds_to_contain().and_then(|seconds| SignedDuration::try_from_secs_f64(seconds).ok());
    let since = since.map(|since| format!(", {} after GuardDuty last reported it", span(since)));
    format!(" at {}{}", second(at), since.unwrap_or_default())
}

/// How many parts ended how, where that differs.
pub(super) fn parts(incident: &Incident) -> Option<String> {
    let mut verdicts: BTreeMap<Verdict, usize> = BTreeMap::new();
    for part in &incident.parts {
        *verdicts.entry(part.verdict()).or_default() += 1;
    }
    let told = |(verdict, parts): (&Verdict, &usize)| format!("{parts} {}", verdict.words().to_lowercase());
    (verdicts.len() > 1).then(|| verdicts.iter().map(told).collect::<Vec<_>>().join(", "))
}

/// How soon people have to do something.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Urgency {
    Now,
    Decide,
    Look,
    None,
}

pub(super) fn urgency(incident: &Incident) -> Urgency {
    if incident.finding.sample {
        return Urgency::None;
    }
    match incident.verdict() {
        Verdict::NotContained | Verdict::Partial | Verdict::Failed | Verdict::Refused => Urgency::Now,
        Verdict::WaitingForApproval | Verdict::Planned => Urgency::Decide,
        Verdict::Contained if is_reopened(incident) => Urgency::Now,
        Verdict::Told | Verdict::PartlyReleased => Urgency::Look,
        Verdict::Contained | Verdict::Gone | Verdict::NothingToDo | Verdict::Released | Verdict::Rejected => {
            Urgency::None
        }
    }
}

/// An attacker who is at it now is worth waking people for, whatever was put back.
fn is_reopened(incident: &Incident) -> bool {
    matches!(incident.news, Some(News::Reopened { .. }))
}

/// Whether a part waits for a person, whatever became of the others.
fn waits(incident: &Incident) -> bool {
    incident.parts.iter().any(|part| part.verdict() == Verdict::WaitingForApproval)
}

/// Whether people have to act, as an answer.
pub(super) fn act(incident: &Incident, has_steps: bool) -> &'static str {
    if incident.finding.sample {
        return "No. GuardDuty made this sample finding for a test.";
    }
    // What AWS itself keeps off has no steps to begin with, and is told as any other refusal.
    let refused = incident.parts.iter().filter(|part| part.plan.no_steps.is_none());
    match refused.filter_map(|part| part.decision.refused).min() {
        Some(Refusal::MadeUp) => {
            return "Yes, now. Whoever made this finding up wants something done that nobody else does.";
        }
        Some(Refusal::Protected) => {
            return "Yes, decide now. Quell keeps off what is protected; what a person can do is below.";
        }
        None => {}
    }
    match (incident.verdict(), has_steps) {
        (Verdict::NotContained | Verdict::Partial | Verdict::Failed | Verdict::Refused, true) => {
            "Yes, now. Quell did not contain it, or not all of it; what to do is below."
        }
        (Verdict::NotContained | Verdict::Partial | Verdict::Failed | Verdict::Refused, false) => {
            "Yes, now. Quell did not contain it and has no steps to offer; start from the finding (LINKS)."
        }
        (Verdict::WaitingForApproval, _) => "Yes, decide now. Approve or reject it; the commands are below.",
        (Verdict::PartlyReleased, _) => "Look at what did not come back; why is below.",
        (Verdict::Released, _) if waits(incident) => {
            "Yes, decide on the rest. Approve or reject it; the commands are below."
        }
        (Verdict::Released, _) => "No. What Quell had changed is given back.",
        (Verdict::Rejected, _) => "No. Quell changes nothing.",
        (Verdict::Planned, _) => "Yes, decide now. Quell may only plan here; nothing happens until a person does it.",
        (Verdict::Told, _) => "Yes, look at it. Quell contains nothing here.",
        (Verdict::Contained, _) if is_reopened(incident) => {
            "Yes, now. Somebody takes the containment off, and has the rights to: find and stop them."
        }
        (Verdict::Contained, true) => "Not at once. The next steps are below.",
        (Verdict::Contained, false) => "Not at once. Find out how it came about.",
        (Verdict::Gone, _) => {
            "Not to contain it. Find out what it was used for, and whether it was removed or only renamed."
        }
        (Verdict::NothingToDo, _) => "No.",
    }
}

/// When containment ends by itself.
pub(super) fn ends(incident: &Incident) -> Option<String> {
    let ends = incident.beside.ends.filter(|_| incident.contained.is_some() && !is_given_back(incident))?;
    Some(format!("{}; then Quell gives back what it changed.", second(ends)))
}

/// Why people hear of it once more, a sentence each.
pub(super) fn news(incident: &Incident) -> Vec<String> {
    let failure = incident.beside.failure.as_ref().map(|why| sentence(why, 600));
    let repeated = incident.beside.repeated.then(|| MAYBE_KNOWN.to_owned());
    failure.into_iter().chain(repeated).chain(incident.news.as_ref().map(|news| new(incident, news))).collect()
}

fn new(incident: &Incident, news: &News) -> String {
    match news {
        News::More => "GuardDuty saw it again, and there was more to contain.".to_owned(),
        News::Reopened { settings } => {
            let settings: Vec<String> = settings.iter().map(|setting| defanged(setting, 120)).collect();
            let all = incident.verdict() == Verdict::Contained;
            let again = if all { "and it was contained again" } else { "and not all of it could be contained again" };
            format!(
                "Somebody had set it back, {again}: {}. Whoever did it has rights to: find out who.",
                settings.join(", ")
            )
        }
        News::LeftAlone => {
            let rejected = incident.verdict() == Verdict::Rejected;
            let why = if rejected { "rejected the plan" } else { "gave back what was contained" };
            format!("GuardDuty saw it again; it is left alone, since a person {why}. This is said once.")
        }
        News::StaysGivenBack { settings } => {
            let settings: Vec<String> = settings.iter().map(|setting| defanged(setting, 120)).collect();
            format!(
                "GuardDuty saw it again; what a person gave back is left alone: {}. This is said once.",
                settings.join(", ")
            )
        }
        News::AskAgain => "What would be done is no longer what was shown; look again, and decide again.".to_owned(),
        News::OverLimit { counter } => format!(
            "The limit of the hour is reached ({}). What else waits for that is told together, up to 25 in a message.",
            defanged(counter, 120)
        ),
        News::HeldBack => "Nobody decided in time, and what the rule says to do then is held back.".to_owned(),
        News::GivenUp { tries } => {
            format!(
                "Quell tried it {tries} times, and tries again only when it looks after what it holds. What is not \
                 contained is left to you."
            )
        }
        News::Approved { by } => format!("Approved by {}.", defanged(by, 500)),
        News::Rejected { by } => format!("Rejected: {}.", defanged(by, 500)),
        News::GivenBack { by, .. } => format!("Undone by {}.", defanged(by, 500)),
    }
}

/// A verdict's words, and whether the finding is real.
pub(super) fn verdict(incident: &Incident) -> String {
    let sample = if incident.finding.sample { " (sample)" } else { "" };
    let again = if incident.verdict() == Verdict::Contained && is_reopened(incident) { " AGAIN" } else { "" };
    format!("{}{again}{sample}", incident.verdict())
}

/// The type as GuardDuty writes it; a type that nobody knows is somebody's text.
pub(super) fn kind(kind: &FindingType) -> String {
    if kind.is_known() { kind.to_string() } else { defanged(kind.as_str(), 200) }
}

pub(super) fn severity(finding: &Finding) -> String {
    format!("{} ({})", finding.severity.band(), finding.severity)
}

pub(super) fn place(at: &Place) -> String {
    format!("account {}, {}", at.account, at.region)
}

/// The finding in the console of its partition.
pub(super) fn console(finding: &Finding) -> String {
    let Place { partition, account: _, region } = &finding.at;
    format!("https://{}/guardduty/home?region={region}#/findings?search=id%3D{}", partition.console(), finding.id)
}

pub(super) fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// A time in UTC, to the second.
pub(super) fn second(time: Timestamp) -> String {
    Timestamp::from_second(time.as_second()).unwrap_or(time).to_string()
}

/// A length of time in its largest unit that still says enough.
pub(super) fn span(time: SignedDuration) -> String {
    match time.as_secs().unsigned_abs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

/// The subjects' names, the worst first, and where the first one lives.
fn about(incident: &Incident) -> (String, &Place) {
    let finding = &incident.finding;
    let parts = worst_first(incident);
    let subjects: Vec<_> = match parts.as_slice() {
        [] => finding.subjects.iter().collect(),
        parts => parts.iter().map(|part| &part.plan.subject).collect(),
    };
    let Some(first) = subjects.first() else { return (kind(&finding.kind), &finding.at) };
    let name = defanged(&first.kind.to_string(), NAME);
    let more = subjects.iter().collect::<HashSet<_>>().len() - 1;
    (if more == 0 { name } else { format!("{name} and {more} more") }, &first.at)
}
