//! `quell incidents`: what the ledger knows.

use super::cli::Common;
use super::exit::{Exit, Failure};
use super::function::{ask, known};
use super::report::{Cell, Group, Report, Section, Tone};
use super::wire::{Command, Incidents, Listed};
use serde_json::Value;

/// Lists the incidents.
///
/// # Errors
/// The function could not be asked.
pub async fn incidents(common: &Common, open: bool) -> Result<Report, Failure> {
    let answer = ask(common, Command::Incidents { open }).await?;
    Ok(report(answer, open))
}

fn report(answer: Value, open: bool) -> Report {
    match known::<Incidents>(&answer) {
        Ok(Incidents { incidents, unreadable, older }) => {
            let list = if incidents.is_empty() {
                let none = if open { "No incident is open." } else { "There is no incident." };
                Section::Text(none.to_owned())
            } else {
                table(&incidents)
            };
            let exit = if unreadable.is_empty() { Exit::Done } else { Exit::Partly };
            let more = unreadable.into_iter().map(|why| Section::Said(Tone::Bad, why));
            let older = Some(format!("{older} older ones are left out; --open lists those that are open."))
                .filter(|_| older > 0);
            Report::told(exit, [list].into_iter().chain(older.map(Section::Text)).chain(more).collect(), answer)
        }
        Err(sections) => Report::told(Exit::Done, sections, answer),
    }
}

fn table(incidents: &[Listed]) -> Section {
    let rows = incidents.iter().map(|listed| {
        let Listed { id, verdict, finding_type, severity, subjects, started, status } = listed;
        let started = started.strftime("%Y-%m-%d %H:%MZ").to_string();
        let about = match subjects.as_slice() {
            [] => "-".to_owned(),
            [only] => only.clone(),
            [first, more @ ..] => format!("{first} and {} more", more.len()),
        };
        let severity = severity.band().to_string();
        vec![
            Cell(vec![started, verdict.clone()]),
            Cell(vec![status.clone(), severity]),
            Cell(vec![id.to_string(), finding_type.clone(), about]),
        ]
    });
    let head = vec!["STARTED, VERDICT", "STATUS, SEVERITY", "INCIDENT"];
    Section::Table { head, groups: vec![Group { name: String::new(), rows: rows.collect() }] }
}
