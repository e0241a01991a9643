//! The signals that ask the program to stop.

use std::future::Future;

/// Listens from now on. Gives what asked the program to stop, once something did.
#[cfg(unix)]
pub(crate) fn listen() -> impl Future<Output = &'static str> {
    use tokio::signal::unix::{SignalKind, signal};
    let interrupt = signal(SignalKind::interrupt());
    let terminate = signal(SignalKind::terminate());
    // `nohup` has it ignored, and listening would undo that.
    let hangup = (!is_ignored(libc::SIGHUP)).then(|| signal(SignalKind::hangup()));
    async {
        tokio::select! {
            () = received(Some(interrupt)) => "SIGINT",
            () = received(Some(terminate)) => "SIGTERM",
            () = received(hangup) => "SIGHUP",
        }
    }
}

#[cfg(unix)]
async fn received(signal: Option<std::io::Result<tokio::signal::unix::Signal>>) {
    match signal {
        Some(Ok(mut signal)) => drop(signal.recv().await),
        // Without a listener the default one ends the process, which is right too.
        Some(Err(_)) | None => std::future::pending().await,
    }
}

/// Whether whoever started the program has it ignored.
#[cfg(unix)]
#[allow(
    unsafe_code,
    reason = "the standard library does not tell how a signal is treated; this is the only call"
)]
pub(crate) fn is_ignored(signal: i32) -> bool {
    // SAFETY: a `sigaction` of zeros is a valid one; the call changes nothing, and writes one only.
    unsafe {
        let mut now: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &raw mut now) == 0
            && now.sa_sigaction == libc::SIG_IGN
    }
}

/// Listens from now on. Gives what asked the program to stop, once something did.
#[cfg(windows)]
pub(crate) fn listen() -> impl Future<Output = &'static str> {
    use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_shutdown};
    // The kinds have a type each. One that cannot be listened to ends the process at once, as is its default.
    macro_rules! received {
        ($listener:ident) => {
            async {
                match $listener {
                    Ok(mut listener) => drop(listener.recv().await),
                    Err(_) => std::future::pending().await,
                }
            }
        };
    }
    let (interrupt, ended) = (ctrl_c(), ctrl_break());
    let (closed, shutdown) = (ctrl_close(), ctrl_shutdown());
    async {
        tokio::select! {
            () = received!(interrupt) => "Ctrl-C",
            () = received!(ended) => "Ctrl-Break",
            () = received!(closed) => "closing the console window",
            () = received!(shutdown) => "a system shutdown",
        }
    }
}
