//! `soci-docker`: what this program is when it is called by that name. In: the arguments of a container CLI. Out: what that CLI does with
//! them, unchanged; and after a successful push to ECR, the SOCI index of what was pushed. The index never changes the push's result, except
//! with `SOCI_DOCKER_STRICT=1`.
//!
//! ```text
//! command_line ─▶ engine ─▶ index ─▶ message
//!                 signals   └─ options, output_tag, login, reuse
//! ```

mod command_line;
mod engine;
mod index;
mod login;
mod message;
mod options;
mod output_tag;
mod reuse;
mod signals;

use std::{
    ffi::{OsStr, OsString},
    io,
    path::Path,
    process::{ExitCode, ExitStatus},
    time::Duration,
};

use tokio::runtime::{self, Runtime};

use command_line::Push;
use engine::Engine;
use message::{say, warn};
use options::Options;
use signals::Signals;

/// The name under which the program is this one.
pub(crate) const NAME: &str = "soci-docker";

/// How long each thread has to end. One that is blocked is left behind.
const GRACE: Duration = Duration::from_millis(500);

/// Whether the program was called by that name.
pub(crate) fn is_called(program: Option<&OsStr>) -> bool {
    program.map(Path::new).and_then(Path::file_name) == Some(OsStr::new(NAME))
}

/// Runs the container CLI with these arguments.
pub(crate) fn main(arguments: &[OsString]) -> ExitCode {
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
    let started = start_threads();
    let (main, threads, mut signals) = match started {
        Ok(started) => started,
        Err(error) if options.is_strict => {
            say(&format!("not pushed: cannot start threads: {error}"));
            return ExitCode::FAILURE;
        }
        Err(error) => {
            warn(&format!(
                "pushing without an index: cannot start threads: {error}"
            ));
            return engine.exec(arguments).end();
        }
    };
    let pushed = main.block_on(engine.run(arguments, &mut signals));
    let code = match pushed {
        Ok(status) if status.success() => {
            let is_strict = options.is_strict;
            let indexing = index::index(&push, options, &engine, threads.handle(), &mut signals);
            match main.block_on(indexing) {
                Err(()) if is_strict => ExitCode::FAILURE,
                Ok(()) | Err(()) => ExitCode::SUCCESS,
            }
        }
        Ok(status) => end_as(status),
        Err(error) => error.end(),
    };
    threads.shutdown_timeout(GRACE);
    code
}

/// This thread's runtime, that of the index, and what listens to signals, which needs the first.
fn start_threads() -> io::Result<(Runtime, Runtime, Signals)> {
    let main = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let threads = runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let signals = main.block_on(async { Signals::listen() })?;
    Ok((main, threads, signals))
}

/// Ends as the CLI did: with its exit code, or by the signal that ended it.
fn end_as(status: ExitStatus) -> ExitCode {
    use std::os::unix::process::ExitStatusExt;
    if let Some(signal) = status.signal() {
        signals::die_of(signal);
    }
    // Exit codes have eight bits.
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    ExitCode::from(code.unwrap_or(u8::MAX))
}
