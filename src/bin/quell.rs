//! The operator's command: a line for each, the work is in the library.

use quell::operator::{
    Cli, Command, Common, Failure, Output, Read, Report, Screen, act, check, coverage, end, explain, incidents, manual,
    plan, show,
};
use std::io::{BufWriter, IsTerminal, stderr, stdout};
use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let line: Vec<_> = std::env::args_os().collect();
    let (output, done) = match Cli::read(&line) {
        Ok(Cli { common, command }) => (common.output, run(&common, command).await),
        Err(error) => (Output::Json, manual::unparsed(&error)),
    };
    let screen = Screen::new(output, stdout().is_terminal(), |name| std::env::var(name).ok());
    let exit = end(done, screen, &mut BufWriter::new(stdout().lock()), &mut stderr().lock());
    ExitCode::from(exit.code())
}

async fn run(common: &Common, command: Command) -> Result<Report, Failure> {
    match command {
        Command::Incidents { open } => incidents::incidents(common, open).await,
        Command::Show(one) => show::show(common, one.id).await,
        Command::Undo { one, step, dry_run } => act::undo(common, one.id, step, dry_run).await,
        Command::Approve(Read { one, plan }) => act::approve(common, one.id, plan).await,
        Command::Reject(Read { one, plan }) => act::reject(common, one.id, plan).await,
        Command::Plan(event) => plan::plan(common, &event).await,
        Command::Explain(event) => explain::explain(common, &event),
        Command::Coverage(supposed) => coverage::coverage(common, &supposed),
        Command::Check { file } => check::check(common, file.as_deref()),
        Command::Completions { shell } => Ok(manual::completions(shell)),
        Command::Man { command } => manual::page(command.as_deref()),
    }
}
