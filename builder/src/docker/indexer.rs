//! The process that indexes: this program again, by another name and with the arguments of the push. Whatever happens to it, its caller lives.
//! In: a push that succeeded. Out: whether the image has its index; the reason why not is printed.

use std::{
    env,
    ffi::OsString,
    io,
    os::fd::AsFd,
    process::{ExitCode, Stdio},
    time::Duration,
};

use tokio::{io::AsyncReadExt, net::unix::pipe::Receiver, runtime};

use super::{
    command_line::Push, engine::Engine, index, message::warn, options::Options, signals::Signals,
    start,
};

/// Its name.
pub(super) const NAME: &str = "soci-docker-indexer";

/// What it exits with where there is no index, and it has said why.
const NO_INDEX: u8 = 1;

/// How long each thread has to end. One that is blocked is left behind.
const GRACE: Duration = Duration::from_millis(500);

/// Starts the process, and waits for its end, if the push was one to ECR.
pub(super) async fn run(
    push: &Push,
    arguments: &[OsString],
    signals: &mut Signals,
) -> Result<(), ()> {
    if index::ecr_image(push).is_none() {
        return Ok(());
    }
    let reason = match spawn(arguments, signals).await {
        Ok(status) if status.success() => return Ok(()),
        Ok(status) if status.code() == Some(NO_INDEX.into()) => return Err(()),
        Ok(status) => format!("indexing failed: {status}"),
        Err(error) => format!("indexing could not start: {error}"),
    };
    let image = push.destination.display();
    warn(&format!("{image} was pushed, but has no index: {reason}"));
    Err(())
}

async fn spawn(
    arguments: &[OsString],
    signals: &mut Signals,
) -> io::Result<std::process::ExitStatus> {
    let mut child = tokio::process::Command::new(env::current_exe()?)
        .arg0(NAME)
        .args(arguments)
        // Closed when this process ends, however it does.
        .stdin(Stdio::piped())
        .spawn()?;
    let _stdin = child.stdin.take();
    signals.pass_on_until_end(&mut child).await
}

/// Is that process.
pub(super) fn main(arguments: &[OsString]) -> ExitCode {
    match index_pushed(arguments) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(())) => ExitCode::from(NO_INDEX),
        Err(error) => {
            warn(&format!("pushed without an index: cannot start: {error}"));
            ExitCode::from(NO_INDEX)
        }
    }
}

fn index_pushed(arguments: &[OsString]) -> io::Result<Result<(), ()>> {
    let push = Push::parse(arguments).ok_or(io::ErrorKind::InvalidInput)?;
    let engine = Engine::find().map_err(io::Error::other)?;
    let (runtime, mut signals) = start()?;
    let threads = runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let stop = async {
        tokio::select! {
            signal = signals.next() => format!("stopped by {}", signal.name()),
            () = caller_ends() => "stopped with its caller".to_owned(),
        }
    };
    let options = Options::from_environment();
    let indexing = index::index(&push, options, &engine, threads.handle(), stop);
    let indexed = runtime.block_on(indexing);
    threads.shutdown_timeout(GRACE);
    Ok(indexed)
}

/// Waits until standard input is closed: nothing is ever written to it.
async fn caller_ends() {
    let stdin = io::stdin().as_fd().try_clone_to_owned();
    let pipe = stdin.and_then(Receiver::from_owned_fd);
    match pipe {
        Ok(mut pipe) => drop(pipe.read_u8().await),
        // Called by hand, with another input.
        Err(_) => std::future::pending().await,
    }
}
