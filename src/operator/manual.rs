//! `quell man`, `quell completions` and the help: made from the definition of the command line.

use super::cli::Cli;
use super::exit::{Exit, Failure};
use super::report::Report;
use clap::{CommandFactory, Error};
use clap_complete::Shell;
use clap_mangen::Man;

/// Makes the man page of the command, or of one of its commands.
///
/// # Errors
/// There is no such command.
pub fn page(command: Option<&str>) -> Result<Report, Failure> {
    let mut quell = Cli::command();
    quell.build();
    let names: Vec<String> = quell.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    let command = match command {
        None => quell,
        Some(name) => quell.find_subcommand(name).cloned().ok_or_else(|| {
            Failure::asked(format!("there is no command {name:?}")).hint(format!("there is: {}", names.join(", ")))
        })?,
    };
    let mut page = Vec::new();
    Man::new(command).render(&mut page).map_err(|error| Failure::asked(error.to_string()))?;
    Ok(Report::made("man", page))
}

/// Makes the completions for a shell.
#[must_use]
pub fn completions(shell: Shell) -> Report {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "quell", &mut script);
    Report::made("completions", script)
}

/// What is wrong with a command line, or the help or the version that it asks for.
///
/// # Errors
/// What is wrong with it.
pub fn unparsed(error: &Error) -> Result<Report, Failure> {
    let text = error.to_string();
    if error.use_stderr() {
        let why = text.trim_start_matches("error: ").trim_end().to_owned();
        return Err(Failure { exit: Exit::Usage, why, hint: None });
    }
    Ok(Report::made("help", text.into_bytes()))
}
