//! The program `soci-builder`: flags in, results on stdout, log on stderr, exit code out. Called as `soci-docker`, it is a container CLI.

mod cli;
#[cfg(unix)]
mod docker;
#[cfg(feature = "tasks")]
mod ecs;
mod exit_status;
mod memory;
mod milestones;
mod signals;
mod supervise;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;

use cli::Cli;
use exit_status::ExitStatus;

fn main() -> ExitCode {
    memory::return_large_blocks();
    #[cfg(unix)]
    {
        let mut arguments = std::env::args_os();
        if let Some(main) = docker::called(arguments.next().as_deref()) {
            return main(&arguments.collect::<Vec<_>>());
        }
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(help_or_misuse) => return print_clap(&help_or_misuse),
    };
    supervise::run(cli).unwrap_or_else(|error| {
        end(ExitStatus::Failed(
            format!("cannot start threads: {error}").into(),
        ))
    })
}

/// Prints clap's message: the help that was requested, or a usage error.
fn print_clap(answer: &clap::Error) -> ExitCode {
    let printed = answer.print().and_then(|()| io::stdout().flush());
    if answer.use_stderr() {
        return ExitCode::from(2);
    }
    end(ExitStatus::Success.after_printing(printed))
}

/// Ends where there is nothing yet that a signal would have to stop in order.
fn end(status: ExitStatus) -> ExitCode {
    let (line, code) = status.code();
    if let Some(line) = line {
        // Nothing is left to do where even stderr is gone.
        let _ = io::stderr().write_all(line.as_bytes());
    }
    code
}
