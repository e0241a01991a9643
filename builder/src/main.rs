//! The program `soci-builder`: flags in, results on stdout, log on stderr, exit code out.

mod cli;
mod memory;

use std::{
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use clap::{CommandFactory, Parser};
use tokio::task::spawn_blocking;

use cli::{Cli, Command, ZtocCommand};
use soci_builder::run::chain;

/// How the program ended.
enum Ending {
    Done,
    /// An outcome that is to fail: nothing to index, or unsupported.
    NothingToUse,
    Failed(Box<dyn std::error::Error + Send + Sync>),
    Misused(Box<dyn std::error::Error + Send + Sync>),
}

/// Of a result that was written to stdout.
impl From<io::Error> for Ending {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // Whoever reads has seen enough: `soci-builder info … | head`.
            io::ErrorKind::BrokenPipe => Self::Done,
            _ => Self::Failed(format!("cannot write to standard output: {error}").into()),
        }
    }
}

fn main() -> ExitCode {
    memory::return_large_blocks();
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            return end(Ending::Failed(
                format!("cannot start threads: {error}").into(),
            ));
        }
    };
    let ending = runtime.block_on(async {
        tokio::select! {
            ending = run(cli) => ending,
            signal = stopped() => Ending::Failed(format!("stopped by {signal}; what had a tag has it still").into()),
        }
    });
    // What was begun and not committed is taken back as its owners are dropped; a thread in the middle of a layer is not
    // waited for.
    runtime.shutdown_timeout(Duration::from_millis(500));
    end(ending)
}

async fn run(cli: Cli) -> Ending {
    let client = cli.registry.client();
    let result = match cli.command {
        Command::Index(arguments) => cli::index::run(arguments, &client).await,
        Command::Info(arguments) => cli::info::run(arguments, &client).await,
        Command::Verify(arguments) => cli::verify::run(arguments, &client).await,
        Command::Ls(arguments) => cli::files::ls(arguments, &client).await,
        Command::Cat(arguments) => cli::files::cat(arguments, &client).await,
        Command::Report(arguments) => cli::report::run(arguments, &client).await,
        // On a thread of its own: here, a signal would be heard only afterwards.
        Command::Ztoc { command } => spawn_blocking(move || match command {
            ZtocCommand::Build(arguments) => cli::ztoc::build(&arguments),
            ZtocCommand::Info(arguments) => cli::ztoc::info(&arguments),
        })
        .await
        .unwrap_or_else(|died| Err(Ending::Failed(died.into()))),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "soci-builder", &mut script);
            io::stdout()
                .write_all(&script)
                .map_err(Ending::from)
                .map(|()| Ending::Done)
        }
    };
    result.unwrap_or_else(|ending| ending)
}

async fn stopped() -> &'static str {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = tokio::signal::ctrl_c() => "an interrupt",
            _ = terminate.recv() => "a request to terminate",
        },
        Err(_) => {
            // Without the handler the default one ends the process, which is right too.
            std::future::pending().await
        }
    }
}

/// Prints what went wrong, as one chain, and gives the exit code.
fn end(ending: Ending) -> ExitCode {
    let (error, code) = match ending {
        Ending::Done => return ExitCode::SUCCESS,
        Ending::NothingToUse => return ExitCode::from(3),
        Ending::Failed(error) => (error, 1),
        Ending::Misused(error) => (error, 2),
    };
    // Nothing is left to do where even stderr is gone.
    let _ = writeln!(io::stderr(), "soci-builder: {}", chain(&*error));
    ExitCode::from(code)
}
