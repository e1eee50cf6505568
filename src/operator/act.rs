//! `quell undo`, `approve` and `reject`: orders that change something, or would.

use super::cli::Common;
use super::exit::{Exit, Failure};
use super::function::{ask, known};
use super::report::{Entry, Report, Section, Tone};
use super::wire::{Acted, Command, IncidentId};
use super::words::{exit, results, steps, tone};
use serde_json::Value;
use std::num::NonZeroUsize;

/// Gives back what an incident changed, or one step of it; or shows what would be given back.
///
/// # Errors
/// There is no such incident, or the function could not be asked.
pub async fn undo(
    common: &Common,
    incident: IncidentId,
    step: Option<NonZeroUsize>,
    dry_run: bool,
) -> Result<Report, Failure> {
    let answer = ask(common, Command::Undo { incident, step, dry_run }).await?;
    Ok(if dry_run { planned(answer) } else { acted(answer) })
}

/// Lets a waiting plan be carried out.
///
/// # Errors
/// There is no such incident, or the function could not be asked.
pub async fn approve(common: &Common, incident: IncidentId, plan: Option<u32>) -> Result<Report, Failure> {
    let answer = ask(common, Command::Approve { incident, plan }).await?;
    // What is only planned by now, since somebody pulled the kill switch, say, was not carried out.
    let is_only_shown = matches!(answer.get("verdict").and_then(Value::as_str), Some("planned" | "told"));
    let report = acted(answer);
    Ok(if is_only_shown { Report { exit: Exit::Partly, ..report } } else { report })
}

/// Turns a waiting plan down.
///
/// # Errors
/// There is no such incident, or the function could not be asked.
pub async fn reject(common: &Common, incident: IncidentId, plan: Option<u32>) -> Result<Report, Failure> {
    ask(common, Command::Reject { incident, plan }).await.map(acted)
}

/// A dry run is done whatever it shows.
fn planned(answer: Value) -> Report {
    let sections = known::<Acted>(&answer).map(|acted| {
        let Acted { plan, results: _, returned: _, verdict: _, text, warning: _ } = acted;
        let said = if plan.is_empty() { "Nothing would be given back." } else { "Nothing was changed. Undo would be:" };
        // Not numbered: `--step` counts as `show` does, and undo goes backwards.
        let entry = |entry: Entry| Entry { mark: "-".to_owned(), ..entry };
        let steps = (!plan.is_empty()).then(|| Section::List(steps(plan.iter(), 1).into_iter().map(entry).collect()));
        [Section::Text(said.to_owned())].into_iter().chain(steps).chain(in_words(text)).collect()
    });
    Report::told(Exit::Done, sections.unwrap_or_else(|as_it_came| as_it_came), answer)
}

fn acted(answer: Value) -> Report {
    match known::<Acted>(&answer) {
        Ok(acted) => {
            let Acted { plan: _, results: tried, returned, verdict, text, warning } = acted;
            // An undo is as good as what came back of what was asked for, whatever else is still held.
            let by_verdict = if returned.is_empty() { exit(&verdict) } else { Exit::Done };
            let is_whole = tried.iter().all(|it| it.outcome.holds()) && returned.iter().all(|it| it.is_back);
            let exit = if is_whole && warning.is_none() { by_verdict } else { Exit::Partly };
            let warning = warning.map(|why| Section::Said(Tone::Bad, format!("It is done, but: {why}")));
            let said = Section::Said(tone(&verdict), verdict.to_uppercase().replace('-', " "));
            let steps = (!tried.is_empty()).then(|| Section::List(results(&tried, 1)));
            Report::told(exit, [said].into_iter().chain(warning).chain(steps).chain(in_words(text)).collect(), answer)
        }
        Err(as_it_came) => Report::told(Exit::Partly, as_it_came, answer),
    }
}

fn in_words(text: String) -> Option<Section> {
    (!text.is_empty()).then_some(Section::Text(text))
}
