//! How scenes are printed. Colour only helps where a person looks on, and nothing depends on it.

use crate::median;
use crate::scenes::Scene;
use crate::shown::{Claim, Shown};
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

/// Where lines are broken, and where the text beside a label begins.
const WIDTH: usize = 112;
const LABEL: usize = 11;

#[derive(Clone, Copy)]
pub struct Screen {
    colour: bool,
}

#[derive(Clone, Copy)]
enum Tone {
    Strong,
    Quiet,
    New,
    Gone,
    Plain,
}

impl Screen {
    pub fn new() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { colour: wanted && std::io::stdout().is_terminal() }
    }

    pub fn opening(self) {
        println!();
        self.prose(
            "This is the real Lambda under AWS's own runtime emulator, with real GuardDuty events. AWS is emulated: \
             every call takes 20 ms more than the emulator needs. What stands under AWS is read from there, past Quell, \
             before and after; \"-\" was, \"+\" is. Each scene has fresh accounts and a cold start.",
        );
    }

    pub fn title(self, number: usize, of: usize, scene: &Scene) {
        println!();
        println!("{}", self.toned(Tone::Quiet, &"─".repeat(WIDTH)));
        println!("{} {}", self.toned(Tone::Quiet, &format!("{number}/{of}")), self.toned(Tone::Strong, scene.title));
        self.prose(scene.about);
    }

    pub fn show(self, shown: &Shown) {
        for (label, lines) in &shown.fields {
            // A field without a label goes on with the one before it.
            if !label.is_empty() {
                println!();
            }
            self.labelled(label, lines);
        }
        println!();
        self.labelled("Checked", &shown.claims.iter().map(told).collect::<Vec<_>>());
    }

    pub fn summary(self, all: &[Shown], took: Duration) {
        let findings: usize = all.iter().map(|shown| shown.findings).sum();
        let contained: Vec<Duration> = all.iter().flat_map(|shown| shown.contained.clone()).collect();
        let number = contained.len();
        let missed: Vec<String> = all.iter().flat_map(Shown::missed).collect();
        println!("\n{}", self.toned(Tone::Quiet, &"─".repeat(WIDTH)));
        if !missed.is_empty() {
            self.labelled("Missed", &missed);
            println!();
        }
        let checks: usize = all.iter().map(|shown| shown.claims.len()).sum();
        let median = median(contained).map_or(String::new(), |time| {
            format!(" The median from the event to the last containing write was {} ms,", time.as_millis())
                + " cold start included, of a build for development."
        });
        self.prose(&format!(
            "{findings} findings in {} s. In {number} of them something was changed.{median} {} of {checks} checks hold.",
            took.as_secs(),
            checks - missed.len(),
        ));
        println!();
        let next = |label, text: &str| self.labelled(label, &[text.to_owned()]);
        next("Deploy", "make package, then sam deploy. As shipped it plans and tells; it changes nothing.");
        next("Opt in", "policy.toml: remove the # in front of a rule, and deploy again.");
        next(
            "Measure",
            "make bench: the same, of a release build, beside Python and beside a Lambda that does nothing.",
        );
        println!();
    }

    /// Says why nothing can be shown.
    pub fn stop(self, why: &str) -> ExitCode {
        eprintln!("{}", self.toned(Tone::Strong, why));
        ExitCode::FAILURE
    }

    fn prose(self, text: &str) {
        for line in broken(text, WIDTH - 2, 0) {
            println!("  {}", self.toned(Tone::Quiet, &line));
        }
    }

    /// A label at the left, and lines beside it.
    fn labelled(self, label: &str, lines: &[String]) {
        let mut label = label;
        for line in lines {
            let tone = tone_of(line);
            for line in broken(line, WIDTH - LABEL - 2, hang(line)) {
                let text =
                    format!("  {}{}", self.toned(Tone::Strong, &format!("{label:LABEL$}")), self.toned(tone, &line));
                println!("{}", text.trim_end());
                label = "";
            }
        }
    }

    fn toned(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Strong => "1",
            Tone::Quiet => "2",
            Tone::New => "32",
            Tone::Gone => "31",
            Tone::Plain => return text.to_owned(),
        };
        if self.colour && !text.trim().is_empty() { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

fn told(claim: &Claim) -> String {
    format!("{} {}", if claim.holds { "yes" } else { "NO " }, claim.what)
}

/// By what the line begins with: a change, a quotation, a check.
fn tone_of(line: &str) -> Tone {
    match line.trim_start().split(' ').next() {
        Some("+") => Tone::New,
        Some("-" | "NO") => Tone::Gone,
        _ => Tone::Plain,
    }
}

/// How far the rest of a broken line is moved in. A quotation keeps its bar.
fn hang(line: &str) -> usize {
    let text = line.trim_start_matches([' ', '|', '-', '+']);
    line.len() - text.len() + if line.starts_with('|') { 0 } else { 2 }
}

/// Breaks a line between words; a bar stands before every line.
fn broken(line: &str, width: usize, hang: usize) -> Vec<String> {
    let bar = if line.starts_with('|') { "|" } else { "" };
    let mut lines = vec![String::new()];
    for (place, piece) in line.split(' ').flat_map(|word| pieces(word, width - hang)).enumerate() {
        let Some(last) = lines.last_mut() else { continue };
        let between = if place == 0 || piece.goes_on { "" } else { " " };
        let room = width.saturating_sub(last.chars().count() + between.len());
        if piece.text.chars().count() <= room || last.trim().is_empty() {
            *last = format!("{last}{between}{}", piece.text);
        } else {
            lines.push(format!("{bar:hang$}{}", piece.text));
        }
    }
    lines
}

/// A word, or a part of one that no line has room for.
struct Piece {
    text: String,
    /// Whether it belongs to the piece before it.
    goes_on: bool,
}

fn pieces(word: &str, width: usize) -> Vec<Piece> {
    let letters: Vec<char> = word.chars().collect();
    let parts = letters.chunks(width).map(|part| part.iter().collect::<String>());
    let parts = if letters.is_empty() { vec![String::new()] } else { parts.collect() };
    (0..).zip(parts).map(|(place, text)| Piece { text, goes_on: place > 0 }).collect()
}
