//! The command line, defined once: the parser, the help, the man pages and the completions all come from here.

use super::exit;
use super::wire::IncidentId;
use crate::finding::Band;
use crate::id::AccountId;
use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Error, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;
use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// See what Quell did about GuardDuty's findings, what it would do, and take it back
#[derive(Debug, Parser)]
#[command(
    name = "quell",
    version,
    styles = Styles::styled().header(AnsiColor::Green.on_default().bold()).literal(AnsiColor::Cyan.on_default()),
    after_help = exit::help(),
    long_about = "See what Quell did about GuardDuty's findings, what it would do, and take it back.\n\n\
        \"plan\", \"explain\", \"coverage\" and \"check\" work here and change nothing.\n\
        \"incidents\", \"show\", \"undo\", \"approve\" and \"reject\" ask the function: it acts with its own role,\n\
        and records who asked.",
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
pub struct Cli {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command understands.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct Common {
    /// The team's policy
    #[arg(long, global = true, value_name = "FILE", default_value = "policy.toml", value_hint = ValueHint::FilePath)]
    pub policy: PathBuf,

    /// How to print: for people, for a spreadsheet, or for a program
    #[arg(long, global = true, value_name = "FORM", value_enum, default_value_t = Output::Table)]
    pub output: Output,

    #[arg(long, global = true, value_name = "NAME")]
    #[arg(help = "The Lambda function to ask; without it $QUELL_FUNCTION, or \"quell\"")]
    pub function: Option<String>,

    /// The profile of your AWS configuration; it comes before keys in the environment
    #[arg(long, global = true, value_name = "NAME")]
    pub profile: Option<String>,

    /// The function's region; a finding is looked at in its own
    #[arg(long, global = true, value_name = "REGION")]
    pub region: Option<String>,

    /// Send AWS requests to this address
    #[arg(long, global = true, value_name = "URL", value_hint = ValueHint::Url)]
    pub endpoint_url: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the incidents
    Incidents {
        /// Only those that still hold something or wait for a person
        #[arg(long)]
        open: bool,
    },
    /// Show an incident: its steps, what they hold, and its history
    Show(One),
    /// Give back what an incident changed
    ///
    /// Gives back only what Quell changed, only where the value is still Quell's, and only what no
    /// other incident holds.
    #[command(verbatim_doc_comment)]
    Undo {
        #[command(flatten)]
        one: One,
        /// Only this step, numbered as "show" does
        #[arg(long, value_name = "N")]
        step: Option<NonZeroUsize>,
        /// Show what would be given back, and do nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Let a plan that waits for a person be carried out
    ///
    /// The resource is looked at again. If the plan is no longer the same, nothing is done: the new
    /// one waits.
    #[command(verbatim_doc_comment)]
    Approve(Read),
    /// Turn down a plan that waits for a person
    ///
    /// It is not asked about again. Of another plan that the finding comes to, a person is.
    #[command(verbatim_doc_comment)]
    Reject(Read),
    /// Look at what a finding names, and show the plan, its commands and those that undo it
    ///
    /// Changes nothing. Looks with your own credentials, which must be of the account that the finding
    /// is about; reading IAM, EC2 and load balancers is all they need to be able to.
    #[command(verbatim_doc_comment)]
    Plan(Event),
    /// Say which rule, remediation and guard decide about a finding, without asking AWS
    Explain(Event),
    /// Say what would happen for every type of finding that GuardDuty has
    Coverage(Supposed),
    /// Check a policy
    Check {
        /// Instead of --policy
        #[arg(value_name = "POLICY", value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
    },
    /// Print the completions for a shell
    Completions { shell: Shell },
    /// Print a man page: quell man | man -l -
    Man {
        /// The command whose page it is; without it that of quell
        #[arg(value_name = "COMMAND")]
        command: Option<String>,
    },
}

/// Names one incident.
#[derive(Debug, Clone, Args)]
pub struct One {
    /// ACCOUNT/REGION/FINDING, as "incidents" lists it
    #[arg(value_name = "ID")]
    pub id: IncidentId,
}

/// Names a plan that waits for a person.
#[derive(Debug, Clone, Args)]
pub struct Read {
    #[command(flatten)]
    pub one: One,
    /// The number of the plan that you read, as its message and "quell show" give it; needed where
    /// more than one was shown
    #[arg(long, value_name = "N", verbatim_doc_comment)]
    pub plan: Option<u32>,
}

/// Names a file that holds a finding.
#[derive(Debug, Clone, Args)]
pub struct Event {
    #[arg(value_name = "EVENT", value_hint = ValueHint::FilePath)]
    #[arg(help = "The finding, as EventBridge sends it or GetFindings gives it; \"-\" is standard input")]
    pub event: PathBuf,
}

/// What findings are taken to be, where only their type is known.
#[derive(Debug, Clone, Args)]
pub struct Supposed {
    /// The severity of the findings
    #[arg(long, value_name = "LEVEL", value_parser = band, default_value = "high")]
    pub severity: Band,
    /// The account of what they are about
    #[arg(long, value_name = "ACCOUNT", default_value = "123456789012", value_parser = account)]
    pub account: AccountId,
    /// A tag of what they are about; without any, a rule that asks for tags is only said to
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = tag)]
    pub tags: Vec<(String, String)>,
}

impl Cli {
    /// Reads the command line.
    ///
    /// # Errors
    /// It is wrong, or asks for help; and that is to be given to a program. People are told at once, and the process ends.
    pub fn read(line: &[OsString]) -> Result<Self, Error> {
        match Self::try_parse_from(line) {
            Err(error) if !wants_json(line) => error.exit(),
            read => read,
        }
    }
}

/// Whether a line that cannot be read is a program's.
fn wants_json(line: &[OsString]) -> bool {
    let value = |pair: &[OsString]| matches!(pair, [option, value] if option == "--output" && value == "json");
    line.windows(2).any(value) || line.iter().any(|word| word == "--output=json")
}

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    Table,
    /// For programs: one JSON value
    Json,
    /// For grep and cut: one line a row, tabs between the columns, nothing wrapped
    Text,
}

impl Common {
    /// The function's name: the option, the environment, or `quell`.
    #[must_use]
    pub fn function(&self) -> String {
        let set = || std::env::var("QUELL_FUNCTION").ok().filter(|name| !name.is_empty());
        self.function.clone().or_else(set).unwrap_or_else(|| "quell".to_owned())
    }
}

fn band(text: &str) -> Result<Band, String> {
    let all = [Band::Low, Band::Medium, Band::High, Band::Critical];
    let found = all.into_iter().find(|band| band.as_str() == text);
    found.ok_or_else(|| "there is: low, medium, high, critical".to_owned())
}

fn account(text: &str) -> Result<AccountId, String> {
    AccountId::try_from(text).map_err(|_| "an account id is twelve digits".to_owned())
}

fn tag(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("a tag is written KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_what_could() {
        let refused = |line: &str, expect: &str| {
            let error = Cli::try_parse_from(line.split(' ')).unwrap_err().to_string();
            assert!(error.contains(expect), "{line}: {error}");
        };
        refused("quell undo 0a1b", "ACCOUNT/REGION/FINDING");
        refused("quell undo 111122223333/eu-west-1/0a1b --step 0", "--step");
        refused("quell coverage --severity hihg", "there is: low, medium, high, critical");
        refused("quell coverage --tag env", "KEY=VALUE");
        refused("quell aprove 111122223333/eu-west-1/0a1b", "approve");
    }
}
