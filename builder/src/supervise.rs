//! One command, from flags to exit code. It runs on threads of its own, and so does whatever is printed, for either may block for as long as
//! it likes: this thread only waits for their end, or for a signal.

use std::{
    future::Future,
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use futures_util::FutureExt;
use tokio::{runtime, time};

use crate::{
    cli::{self, Cli},
    ending::{Answer, Ending},
    signals,
};

/// How long what was begun has to be taken back after a signal, and each thread to end. One that is blocked is left behind.
const GRACE: Duration = Duration::from_millis(500);

/// Runs a command. Gives the exit code.
pub(crate) fn run(cli: Cli) -> io::Result<ExitCode> {
    let work = runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let watch = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let code = watch.block_on(supervise(cli, work.handle()));
    work.shutdown_timeout(GRACE);
    Ok(code)
}

async fn supervise(cli: Cli, work: &runtime::Handle) -> ExitCode {
    let stop = signals::listen().shared();
    let Answer { result, ending } = command(cli, work, stop.clone()).await;
    let printing = work.spawn_blocking(move || print(&mut io::stdout(), &result));
    let ending = tokio::select! {
        printed = printing => ending.after_printing(printed.unwrap_or_else(|died| Err(died.into()))),
        signal = stop.clone() => ending.stopped_while_printing(signal),
    };
    let (line, code) = ending.code();
    if let Some(line) = line {
        // Nothing is left to do where even stderr is gone.
        let said = work.spawn_blocking(move || print(&mut io::stderr(), line.as_bytes()));
        tokio::select! {
            _ = said => {}
            // It is full, and nobody reads it.
            () = stop.then(|_| time::sleep(GRACE)) => {}
        }
    }
    code
}

/// Runs the command to its end, or until a signal comes.
async fn command(
    cli: Cli,
    work: &runtime::Handle,
    stop: impl Future<Output = &'static str>,
) -> Answer {
    let mut running = work.spawn(cli::run(cli));
    let (ended, signal) = tokio::select! {
        ended = &mut running => (Some(ended), None),
        signal = stop => {
            // What was begun and not committed is taken back as its owners are dropped.
            running.abort();
            (time::timeout(GRACE, running).await.ok(), Some(signal))
        }
    };
    match (ended, signal) {
        // Also where it came to its end in the moment of the signal: it says what it did.
        (Some(Ok(answer)), _) => answer,
        (Some(Err(died)), None) => {
            Ending::Failed(format!("internal error, please report it: {died}").into()).into()
        }
        (_, signal) => {
            let signal = signal.unwrap_or_default();
            let why = format!("stopped by {signal}; existing tags were not changed");
            Ending::Failed(why.into()).into()
        }
    }
}

fn print(to: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    to.write_all(bytes)?;
    to.flush()
}
