//! What a scene has to show, and what it claims.

use crate::stage::{Handled, Ordered};
use std::time::Duration;

/// The most lines of what a command printed.
const SHOWN: usize = 20;
/// The longest line of a shortened e-mail.
const LINE: usize = 280;

/// A scene's outcome, to be printed.
#[derive(Default)]
pub struct Shown {
    pub title: &'static str,
    /// A label, and lines.
    pub fields: Vec<(&'static str, Vec<String>)>,
    pub claims: Vec<Claim>,
    /// How many findings were sent.
    pub findings: usize,
    /// From the event to the last containing write, where there was one.
    pub contained: Vec<Duration>,
}

/// What a scene must show, and whether it did.
pub struct Claim {
    pub what: String,
    pub holds: bool,
}

impl Shown {
    /// What cannot be played shows nothing, and fails.
    pub fn failed(why: &str) -> Self {
        Self::default().claim(why, false)
    }

    pub fn field(mut self, label: &'static str, lines: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.fields.push((label, lines.into_iter().map(Into::into).collect()));
        self
    }

    pub fn claim(mut self, what: &str, holds: bool) -> Self {
        self.claims.push(Claim { what: what.to_owned(), holds });
        self
    }

    /// The finding in a line or two, and what Quell plans about it.
    pub fn finding(self, handled: &Handled) -> Self {
        self.field("Finding", handled.finding.clone()).field("Plan", handled.plan())
    }

    /// What became of AWS, as AWS says it.
    pub fn aws(self, handled: &Handled) -> Self {
        let lines = handled.differences.iter().flat_map(lines_of).collect::<Vec<_>>();
        let none = || vec!["nothing is different".to_owned()];
        self.field("AWS", if lines.is_empty() { none() } else { lines })
    }

    /// The subject, the first lines of the e-mail, and the sections with these headings.
    pub fn email_parts(self, handled: &Handled, headings: &[&str]) -> Self {
        let head = handled.email.lines().skip(1).take_while(|line| !line.is_empty()).map(str::to_owned);
        let section = |heading: &&str| std::iter::once(String::new()).chain(shortened(handled.section(heading)));
        let lines = head.chain(headings.iter().flat_map(section)).chain([String::new(), "...".to_owned()]);
        self.field("E-mail", std::iter::once(handled.subject.clone()).chain(lines.map(quoted)))
    }

    /// The whole e-mail.
    pub fn email(self, handled: &Handled) -> Self {
        let subject = std::iter::once(handled.subject.clone());
        self.field("E-mail", subject.chain(handled.email.lines().skip(1).map(quoted)))
    }

    /// What an operator typed, what the terminal showed, and what became of AWS.
    pub fn order(self, label: &'static str, ordered: &Ordered) -> Self {
        let lines = ordered.shown.iter().take_while(|line| *line != "WHAT HAPPENED").take(SHOWN).map(quoted);
        let lines = std::iter::once(format!("$ {}", ordered.line)).chain(lines).collect::<Vec<_>>();
        let aws = ordered.differences.iter().flat_map(lines_of).collect::<Vec<_>>();
        let aws = if aws.is_empty() { vec!["nothing is different".to_owned()] } else { aws };
        self.field(label, lines).field("AWS", aws)
    }

    /// How long it took, and what for. Ends the part of a finding.
    pub fn time(mut self, handled: &Handled) -> Self {
        self.findings += 1;
        self.contained.extend(handled.contained.map(|(after, _)| after));
        let contained = handled.contained.map(|(after, rounds)| {
            format!("contained {} ms after the event, {} calls to AWS in sequence; ", after.as_millis(), rounds)
        });
        let told = format!("people told after {} ms", handled.told.as_millis());
        self.field("Time", [contained.unwrap_or_default() + &told])
    }

    /// Whether the scene claims something, and all of it is so.
    pub fn holds(&self) -> bool {
        !self.claims.is_empty() && self.claims.iter().all(|claim| claim.holds)
    }

    /// What the scene should have shown and did not, with its title.
    pub fn missed(&self) -> impl Iterator<Item = String> {
        let missed = self.claims.iter().filter(|claim| !claim.holds);
        missed.map(|claim| format!("{}: {}", self.title, claim.what))
    }
}

/// Without what every list of commands begins with, and without the ends of very long lines.
fn shortened(section: Vec<String>) -> Vec<String> {
    let skip = section.iter().position(|line| line.starts_with("  First make sure that you are in"));
    let skip = skip.map(|from| from..from + 4);
    let kept =
        section.into_iter().enumerate().filter(|(place, _)| !skip.as_ref().is_some_and(|skip| skip.contains(place)));
    kept.map(
        |(_, line)| {
            if line.chars().count() > LINE { line.chars().take(LINE).chain("...".chars()).collect() } else { line }
        },
    )
    .collect()
}

fn quoted(line: impl AsRef<str>) -> String {
    format!("| {}", line.as_ref()).trim_end().to_owned()
}

fn lines_of(difference: &crate::cloud::Difference) -> Vec<String> {
    let crate::cloud::Difference { thing, property, before, after } = difference;
    let name = if property.is_empty() { thing.clone() } else { format!("{thing}: {property}") };
    match (before.as_slice(), after.as_slice()) {
        ([before], [after]) if !property.is_empty() => vec![format!("{name} {before} -> {after}")],
        ([], [after]) if property.is_empty() => vec![format!("+ {name}: {after}")],
        ([before], []) if property.is_empty() => vec![format!("- {name}: {before}")],
        (before, after) => {
            let gone = before.iter().map(|value| format!("  - {value}"));
            let new = after.iter().map(|value| format!("  + {value}"));
            std::iter::once(name).chain(gone).chain(new).collect()
        }
    }
}
