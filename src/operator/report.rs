//! What a command has to say, as data: shown to people, and given to programs.

use super::exit::Exit;
use serde_json::Value;

/// A command's answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    pub body: Body,
    pub exit: Exit,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// The same, for people and for programs.
    Told { sections: Vec<Section>, json: Value },
    /// A completion script, a man page or the help, which have one form; programs get it by the name of what it is.
    Made { what: &'static str, text: Vec<u8> },
}

/// A piece of what people read. Texts may hold anything: they are escaped where they are printed.
#[derive(Debug, Clone, PartialEq)]
pub enum Section {
    /// The answer in a line.
    Said(Tone, String),
    Heading(String),
    /// What is, and its value.
    Facts(Vec<(&'static str, String)>),
    Table {
        head: Vec<&'static str>,
        groups: Vec<Group>,
    },
    List(Vec<Entry>),
    /// To be pasted: whole lines, at the margin.
    Commands(Vec<String>),
    /// Lines that are already laid out.
    Text(String),
}

/// Rows that belong together. Where the name is not empty, it is what the first cell of each of them begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub name: String,
    pub rows: Vec<Vec<Cell>>,
}

/// What stands in a row and a column: for people its lines are below each other, in columns they are columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell(pub Vec<String>);

/// A line of a list, and lines that say more of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// `1.`, or `-`.
    pub mark: String,
    pub lines: Vec<String>,
}

/// How good the news is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Good,
    /// Somebody has to decide or look.
    Open,
    Bad,
}

impl Report {
    #[must_use]
    pub fn told(exit: Exit, sections: Vec<Section>, json: Value) -> Self {
        Self { body: Body::Told { sections, json }, exit }
    }

    #[must_use]
    pub fn made(what: &'static str, text: Vec<u8>) -> Self {
        Self { body: Body::Made { what, text }, exit: Exit::Done }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(line: T) -> Self {
        Self(vec![line.into()])
    }
}

impl Section {
    /// A list, or nothing where there is nothing to list.
    #[must_use]
    pub fn listed(heading: &str, lines: &[String]) -> Vec<Self> {
        if lines.is_empty() {
            return Vec::new();
        }
        let entries = lines.iter().map(|line| Entry { mark: "-".to_owned(), lines: vec![line.clone()] });
        vec![Self::Heading(heading.to_owned()), Self::List(entries.collect())]
    }

    /// Commands under their heading, or nothing where there are none.
    #[must_use]
    pub fn commands(heading: &str, commands: Vec<String>) -> Vec<Self> {
        if commands.is_empty() { Vec::new() } else { vec![Self::Heading(heading.to_owned()), Self::Commands(commands)] }
    }
}
