//! Prints a report: laid out for people, in columns for a spreadsheet, or as JSON.

use super::cli::Output;
use super::exit::{Exit, Failure};
use super::report::{Body, Cell, Entry, Group, Report, Section, Tone};
use crate::json::ascii;
use clap::builder::styling::{AnsiColor, Style};
use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width};
use serde_json::json;
use std::io::{self, ErrorKind, Write};

/// The longest width of a page, which a terminal is expected to have; `COLUMNS` says otherwise.
const WIDTH: u16 = 100;
/// The longest name in a row of a group; a longer one gets more lines.
const NAME: usize = 32;
/// The longest word that is kept whole.
const LONGEST_WORD: usize = 64;
/// A line under the head, and nothing else.
const UNDER_THE_HEAD: &str = "     ─             ";

/// Where a report is printed.
#[derive(Debug, Clone, Copy)]
pub struct Screen {
    pub output: Output,
    pub width: u16,
    pub colour: bool,
}

impl Screen {
    /// The screen that the environment describes. Colour is for terminals, and for people who want it (`NO_COLOR`).
    #[must_use]
    pub fn new(output: Output, terminal: bool, environment: impl Fn(&str) -> Option<String>) -> Self {
        let unwanted = environment("NO_COLOR").is_some_and(|value| !value.is_empty())
            || environment("TERM").is_some_and(|term| term == "dumb");
        let columns = environment("COLUMNS").and_then(|columns| columns.parse().ok());
        let width = columns.filter(|columns| (40..=500).contains(columns)).unwrap_or(WIDTH);
        Self { output, width, colour: terminal && !unwanted }
    }
}

/// Prints what a command has to say, or why it has nothing, and gives the exit code.
pub fn end(done: Result<Report, Failure>, screen: Screen, out: &mut impl Write, complaints: &mut impl Write) -> Exit {
    match done {
        Ok(report) => match write(&report.body, screen, out).and_then(|()| out.flush()) {
            Ok(()) => report.exit,
            // Who reads only the first lines has read enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => report.exit,
            Err(error) => complain(&Failure::asked(format!("it cannot be printed: {error}")), screen, complaints),
        },
        Err(failure) => complain(&failure, screen, complaints),
    }
}

fn complain(failure: &Failure, screen: Screen, out: &mut impl Write) -> Exit {
    let Failure { exit, why, hint } = failure;
    if screen.output == Output::Json {
        let _ = writeln!(out, "{}", ascii(&json!({ "error": why, "hint": hint }).to_string()));
        return *exit;
    }
    let error = painted("error:", AnsiColor::Red.on_default().bold(), screen);
    let mut lines = vec![format!("{error} {}", shown_lines(why))];
    lines.extend(
        hint.iter().map(|hint| format!("{} {}", painted("hint:", Style::new().bold(), screen), shown_lines(hint))),
    );
    // Where not even this can be written, the exit code is left.
    let _ = writeln!(out, "{}", lines.join("\n"));
    *exit
}

fn write(body: &Body, screen: Screen, out: &mut impl Write) -> io::Result<()> {
    match (body, screen.output) {
        (Body::Made { what, text }, Output::Json) => {
            writeln!(out, "{}", ascii(&json!({ *what: String::from_utf8_lossy(text) }).to_string()))
        }
        (Body::Made { what: _, text }, Output::Table | Output::Text) => out.write_all(text),
        (Body::Told { json, .. }, Output::Json) => writeln!(out, "{}", ascii(&serde_json::to_string_pretty(json)?)),
        (Body::Told { sections, .. }, Output::Table) => {
            for (index, section) in sections.iter().enumerate() {
                let lines = laid_out(section, screen);
                let before = if index > 0 && stands_apart(section) { "\n" } else { "" };
                writeln!(out, "{before}{}", lines.join("\n"))?;
            }
            Ok(())
        }
        (Body::Told { sections, .. }, Output::Text) => {
            for line in sections.iter().flat_map(in_columns) {
                writeln!(out, "{line}")?;
            }
            Ok(())
        }
    }
}

fn stands_apart(section: &Section) -> bool {
    match section {
        Section::Said(..) | Section::Heading(_) | Section::Text(_) => true,
        Section::Facts(_) | Section::Table { .. } | Section::List(_) | Section::Commands(_) => false,
    }
}

/// For people: aligned, wrapped, with headings.
fn laid_out(section: &Section, screen: Screen) -> Vec<String> {
    match section {
        Section::Said(tone, text) => vec![painted(&shown(text), style_of(*tone), screen)],
        Section::Heading(text) => vec![painted(&shown(text), Style::new().bold(), screen)],
        Section::Facts(facts) => {
            let rows = facts.iter().map(|(name, value)| [format!("  {name}"), shown(value)]);
            aligned(rows.collect(), screen)
        }
        Section::List(entries) => {
            let row = |Entry { mark, lines }: &Entry| {
                let lines: Vec<String> = lines.iter().map(|line| shown(line)).collect();
                [format!("  {mark}"), lines.join("\n")]
            };
            aligned(entries.iter().map(row).collect(), screen)
        }
        Section::Table { head, groups } => table(head, groups, screen),
        Section::Commands(commands) => commands.iter().map(|command| pasteable(command)).collect(),
        Section::Text(text) => text.lines().map(shown).collect(),
    }
}

/// For `grep` and `cut`: one line a row, without headings.
fn in_columns(section: &Section) -> Vec<String> {
    let row = |cells: Vec<String>| cells.join("\t");
    match section {
        Section::Said(_, text) => vec![shown(text)],
        Section::Heading(_) => Vec::new(),
        Section::Facts(facts) => {
            facts.iter().map(|(name, value)| row(vec![(*name).to_owned(), shown(value)])).collect()
        }
        Section::List(entries) => {
            let cells =
                |Entry { mark, lines }: &Entry| row([mark].into_iter().chain(lines).map(|cell| shown(cell)).collect());
            entries.iter().map(cells).collect()
        }
        Section::Table { head: _, groups } => {
            let columns =
                |cells: &Vec<Cell>| cells.iter().flat_map(|Cell(lines)| lines).map(|line| shown(line)).collect();
            let of_group = |Group { name, rows }: &Group| -> Vec<String> {
                rows.iter().map(|cells| name.clone() + &row(columns(cells))).collect()
            };
            groups.iter().flat_map(of_group).collect()
        }
        Section::Commands(commands) => commands.iter().map(|command| pasteable(command)).collect(),
        Section::Text(text) => text.lines().map(shown).collect(),
    }
}

fn aligned(rows: Vec<[String; 2]>, screen: Screen) -> Vec<String> {
    let mut table = blank(screen);
    table.add_rows(rows);
    pad(&mut table);
    lines(&table)
}

fn table(head: &[&'static str], groups: &[Group], screen: Screen) -> Vec<String> {
    let mut table = blank(screen);
    table.load_preset(UNDER_THE_HEAD);
    table.set_header(head.iter().copied());
    for Group { name, rows } in groups {
        let grouped = !name.is_empty();
        if grouped {
            table.add_row([shown(name)]);
        }
        for (index, cells) in rows.iter().enumerate() {
            // Where a row has several lines, an empty one says where it ends.
            if index > 0 && cells.iter().any(|Cell(lines)| lines.len() > 1) {
                table.add_row([""]);
            }
            let below = |Cell(lines): &Cell| lines.iter().map(|line| shown(line)).collect::<Vec<_>>().join("\n");
            let first = cells.iter().take(1).map(below).map(|name| if grouped { indented(&name) } else { name });
            table.add_row(first.chain(cells.iter().skip(1).map(below)));
        }
    }
    pad(&mut table);
    keep_words(&mut table);
    let mut lines = lines(&table);
    let is_head = |line: &String| !line.starts_with('─');
    let head = lines.iter().take_while(|line| is_head(line)).count();
    for line in lines.iter_mut().take(head) {
        *line = painted(line, Style::new().bold(), screen);
    }
    lines
}

/// A name that is too long goes on below: from after its punctuation, or else from one of its capital letters on.
fn indented(name: &str) -> String {
    let pieces = name.split_inclusive(['/', '.', '!']);
    let pieces = pieces.flat_map(|piece| if piece.len() + 4 > NAME { humps(piece) } else { vec![piece.to_owned()] });
    let mut lines = vec!["  ".to_owned()];
    for piece in pieces {
        match lines.last_mut() {
            Some(line) if line.len() + piece.len() <= NAME || line.trim().is_empty() => line.push_str(&piece),
            Some(_) | None => lines.push(format!("    {piece}")),
        }
    }
    lines.join("\n")
}

fn humps(piece: &str) -> Vec<String> {
    let mut humps = Vec::new();
    let mut before = ' ';
    for c in piece.chars() {
        match humps.last_mut() {
            Some(hump) if !(before.is_lowercase() && c.is_uppercase()) => String::push(hump, c),
            Some(_) | None => humps.push(c.to_string()),
        }
        before = c;
    }
    humps
}

/// No column becomes narrower than its longest word, within reason: half an id or a name is none.
fn keep_words(table: &mut Table) {
    let columns = table.column_count();
    for column in 0..columns {
        let pad = if column + 1 == columns { 0 } else { 2 };
        let cells = table.column_cells_with_header_iter(column).flatten();
        let words = cells.filter_map(|cell| cell.content().lines().map(longest_word).max());
        let longest = u16::try_from(words.max().unwrap_or_default().min(LONGEST_WORD)).unwrap_or_default();
        if let Some(column) = table.column_mut(column) {
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(longest + pad)));
        }
    }
}

/// The width of the longest word of a line, and of the indentation before it.
fn longest_word(line: &str) -> usize {
    let indentation = line.len() - line.trim_start().len();
    indentation + line.split_whitespace().map(|word| word.chars().count()).max().unwrap_or_default()
}

fn blank(screen: Screen) -> Table {
    let mut table = Table::new();
    table.load_preset(comfy_table::presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(screen.width);
    table
}

/// Two spaces between columns; all but the last are as narrow as they can be.
fn pad(table: &mut Table) {
    let last = table.column_count().saturating_sub(1);
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, if index == last { 0 } else { 2 }));
    }
    if let (1, Some(first)) = (last, table.column_mut(0)) {
        first.set_constraint(ColumnConstraint::ContentWidth);
    }
}

fn lines(table: &Table) -> Vec<String> {
    table.lines().map(|line| line.trim_end().to_owned()).collect()
}

fn painted(text: &str, style: Style, screen: Screen) -> String {
    if screen.colour { format!("{style}{text}{style:#}") } else { text.to_owned() }
}

fn style_of(tone: Tone) -> Style {
    let colour = match tone {
        Tone::Good => AnsiColor::Green,
        Tone::Open => AnsiColor::Yellow,
        Tone::Bad => AnsiColor::Red,
    };
    colour.on_default().bold()
}

/// One line in which nothing is hidden: texts of findings must not speak to the terminal, nor forge a line or a column.
fn shown(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            ' '..='~' => line.push(c),
            c => line.extend(c.escape_debug()),
        }
    }
    line
}

/// Our own words, which may have several lines.
fn shown_lines(text: &str) -> String {
    text.lines().map(shown).collect::<Vec<_>>().join("\n")
}

/// A command is shown whole, or not at all: half a command does something else.
fn pasteable(command: &str) -> String {
    let plain = command.chars().all(|c| c == ' ' || c.is_ascii_graphic());
    if plain { command.to_owned() } else { "# (a command that cannot be pasted safely; see --output json)".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn printed(sections: Vec<Section>, output: Output, terminal: bool, no_colour: &str) -> String {
        let screen = Screen::new(output, terminal, |name| (name == "NO_COLOR").then(|| no_colour.to_owned()));
        let mut out = Vec::new();
        let exit = end(Ok(Report::told(Exit::Partly, sections, json!([1]))), screen, &mut out, &mut Vec::new());
        assert_eq!(exit, Exit::Partly);
        String::from_utf8(out).unwrap()
    }

    fn sections() -> Vec<Section> {
        let rows = vec![vec!["EC2/Portscan".into(), Cell(vec!["told".to_owned(), "at once".to_owned()])]];
        vec![
            Section::Said(Tone::Good, "CONTAINED".to_owned()),
            Section::Table { head: vec!["TYPE", "DOES"], groups: vec![Group { name: "Recon:".to_owned(), rows }] },
            Section::Facts(vec![("Evil", "a\n\u{1b}[2Jb\u{202e}\tc".to_owned())]),
            Section::Commands(vec!["aws iam get-user".to_owned(), "rm -rf /\n".to_owned()]),
        ]
    }

    #[test]
    fn people_get_a_page_and_spreadsheets_get_columns() {
        let page = "CONTAINED\nTYPE            DOES\n───────────────────────\nRecon:\n  EC2/Portscan  told\n                at once\n  Evil  \
                    a\\n\\u{1b}[2Jb\\u{202e}\\tc\naws iam get-user\n\
                    # (a command that cannot be pasted safely; see --output json)\n";
        assert_eq!(printed(sections(), Output::Table, false, ""), page);
        let columns = "CONTAINED\nRecon:EC2/Portscan\ttold\tat once\nEvil\ta\\n\\u{1b}[2Jb\\u{202e}\\tc\naws iam get-user\n\
                       # (a command that cannot be pasted safely; see --output json)\n";
        assert_eq!(printed(sections(), Output::Text, true, ""), columns);
        assert_eq!(printed(sections(), Output::Json, true, ""), "[\n  1\n]\n");
    }

    #[test]
    fn colour_is_for_terminals_and_for_those_who_want_it() {
        assert!(printed(sections(), Output::Table, true, "").contains("\u{1b}[1m\u{1b}[32mCONTAINED\u{1b}[0m"));
        assert!(!printed(sections(), Output::Table, true, "1").contains('\u{1b}'));
        assert!(!printed(sections(), Output::Table, false, "").contains('\u{1b}'));
    }
}
