//! `soci-docker`: what this program is when it is called by that name. In: the arguments of a container CLI. Out: what that CLI does with
//! them, unchanged; and after a successful push to ECR, the SOCI index of what was pushed. The index never changes the push's result, except
//! with `SOCI_DOCKER_STRICT=1`: it is built by a process of its own, for even one that runs out of memory.
//!
//! ```text
//! command_line ─▶ engine ─▶ indexer ─▶ index ─▶ message
//!                 signals              └─ options, output_tag, login, reuse
//! ```

mod command_line;
mod engine;
mod index;
mod indexer;
mod login;
mod message;
mod options;
mod output_tag;
mod reuse;
mod signals;

use std::{
    ffi::{OsStr, OsString},
    io,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{ExitCode, ExitStatus},
};

use tokio::runtime::{self, Runtime};

use command_line::Push;
use engine::Engine;
use message::{say, warn};
use options::Options;
use signals::Signals;

/// The name under which the program is this one.
const NAME: &str = "soci-docker";

/// What the program does under the name by which it was called, if that is one of these.
pub(crate) fn called(program: Option<&OsStr>) -> Option<fn(&[OsString]) -> ExitCode> {
    let name = program.map(Path::new).and_then(Path::file_name)?;
    match name.to_str()? {
        NAME => Some(main),
        indexer::NAME => Some(indexer::main),
        _ => None,
    }
}

/// Runs the container CLI with these arguments.
fn main(arguments: &[OsString]) -> ExitCode {
    let engine = match Engine::find() {
        Ok(engine) => engine,
        Err(error) => return error.end(),
    };
    let Some(push) = Push::parse(arguments) else {
        return engine.exec(arguments).end();
    };
    let options = Options::from_environment();
    if options.is_strict
        && let Err(invalid) = &options.arguments
    {
        say(&format!("not pushed: {invalid}"));
        return ExitCode::FAILURE;
    }
    let (runtime, mut signals) = match start() {
        Ok(started) => started,
        Err(error) if options.is_strict => {
            say(&format!("not pushed: cannot start: {error}"));
            return ExitCode::FAILURE;
        }
        Err(error) => {
            warn(&format!("pushing without an index: cannot start: {error}"));
            return engine.exec(arguments).end();
        }
    };
    match runtime.block_on(engine.run(arguments, &mut signals)) {
        Ok(status) if status.success() => {
            let indexed = runtime.block_on(indexer::run(&push, arguments, &mut signals));
            match indexed {
                Err(()) if options.is_strict => ExitCode::FAILURE,
                Ok(()) | Err(()) => ExitCode::SUCCESS,
            }
        }
        Ok(status) => end_as(status),
        Err(error) => error.end(),
    }
}

/// This thread's runtime, and what listens to signals.
fn start() -> io::Result<(Runtime, Signals)> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let signals = runtime.block_on(async { Signals::listen() })?;
    Ok((runtime, signals))
}

/// Ends as the CLI did: with its exit code, or by the signal that ended it.
fn end_as(status: ExitStatus) -> ExitCode {
    if let Some(signal) = status.signal() {
        signals::die_of(signal);
    }
    // Exit codes have eight bits.
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    ExitCode::from(code.unwrap_or(u8::MAX))
}
