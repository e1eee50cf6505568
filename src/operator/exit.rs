//! How the command ends.

use std::fmt;

/// The exit codes. The help and the man page are made from this list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Done,
    Asked,
    Usage,
    Aws,
    Partly,
}

impl Exit {
    pub const ALL: [Self; 5] = [Self::Done, Self::Asked, Self::Usage, Self::Aws, Self::Partly];

    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Asked => 1,
            Self::Usage => 2,
            Self::Aws => 3,
            Self::Partly => 4,
        }
    }

    fn means(self) -> &'static str {
        match self {
            Self::Done => "done, or shown",
            Self::Asked => "what was asked for is wrong: a bad policy, no finding, an unknown incident",
            Self::Usage => "the command line is wrong",
            Self::Aws => {
                "AWS or the function could not be asked, did not answer, or cannot do it now: \"show\" says whether it happened"
            }
            Self::Partly => "asked and answered, but not all of it is done: \"show\" says what is",
        }
    }
}

/// Why there is nothing to report, and what the operator can do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub exit: Exit,
    pub why: String,
    pub hint: Option<String>,
}

impl Failure {
    /// Something is wrong with what was asked.
    pub fn asked(why: impl Into<String>) -> Self {
        Self { exit: Exit::Asked, why: why.into(), hint: None }
    }

    /// AWS, or the function, could not be asked.
    pub fn aws(why: impl Into<String>) -> Self {
        Self { exit: Exit::Aws, why: why.into(), hint: None }
    }

    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for Failure {}

/// The part of the help that lists the exit codes.
#[must_use]
pub fn help() -> String {
    let line = |exit: &Exit| format!("  {}  {}\n", exit.code(), exit.means());
    format!("Exit codes:\n{}", Exit::ALL.iter().map(line).collect::<String>())
}
