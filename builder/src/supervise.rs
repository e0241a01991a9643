//! One command, from flags to exit code. It runs on threads of its own, and so does whatever is printed, for either may block for as long as
//! it likes: this thread only waits for their end, for a signal, or until it is too late.

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
    exit_status::{ExitStatus, Output},
    milestones::Milestones,
    signals,
};

/// How long what was begun has to be taken back after a stop, and each thread to end. One that is blocked is left behind.
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
    let stop = stopped(cli.registry.timeout).shared();
    let (milestones, results) = Milestones::new();
    let printing = work.spawn_blocking(move || {
        let mut results = results.into_iter();
        results.try_for_each(|result| print(&mut io::stdout(), &result))
    });
    let Output { result, status } = command(cli, work, &milestones, stop.clone()).await;
    milestones.print(result);
    drop(milestones);
    let status = tokio::select! {
        printed = printing => status.after_printing(printed.unwrap_or_else(|died| Err(died.into()))),
        reason = stop.clone() => status.stopped_while_printing(&reason),
    };
    let (line, code) = status.code();
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

/// Listens for a signal from now on, and waits for it or until the command has taken too long. Gives what happened.
fn stopped(timeout: Option<Duration>) -> impl Future<Output = String> {
    let signal = signals::listen();
    let late = async move {
        match timeout {
            Some(timeout) => time::sleep(timeout).await,
            None => std::future::pending().await,
        }
    };
    async move {
        tokio::select! {
            signal = signal => format!("stopped by {signal}"),
            () = late => {
                let seconds = timeout.unwrap_or_default().as_secs_f64();
                format!("timed out after {seconds} s (--timeout)")
            }
        }
    }
}

/// Runs the command to its end, or until it is stopped.
async fn command(
    cli: Cli,
    work: &runtime::Handle,
    milestones: &Milestones,
    stop: impl Future<Output = String>,
) -> Output {
    let mut running = work.spawn(cli::run(cli, milestones.clone()));
    let (ended, reason) = tokio::select! {
        ended = &mut running => (Some(ended), None),
        reason = stop => {
            // What was begun and not committed is taken back as its owners are dropped.
            running.abort();
            (time::timeout(GRACE, running).await.ok(), Some(reason))
        }
    };
    match (ended, reason) {
        // Also where it came to its end in the moment of the signal: it says what it did.
        (Some(Ok(answer)), _) => answer,
        (Some(Err(died)), None) => {
            ExitStatus::Failed(format!("internal error, please report it: {died}").into()).into()
        }
        (_, reason) => {
            let reason = reason.unwrap_or_default();
            let why = format!("{reason}; {}", milestones.after_stop());
            ExitStatus::Failed(why.into()).into()
        }
    }
}

fn print(to: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    to.write_all(bytes)?;
    to.flush()
}
