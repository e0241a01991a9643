//! Signals while another program does the work. In: the signals that ask a process to stop. Out: each with whether the other program got it
//! too: a terminal sends to all processes of its foreground group, other senders to one.

use std::{
    io::{self, Write},
    os::unix::net::UnixStream,
    process::ExitStatus,
};

use tokio::{io::AsyncReadExt, process::Child};

/// What is passed on. Others, such as SIGTSTP and SIGWINCH, come from terminals.
const SIGNALS: [i32; 4] = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM];

/// A signal that was received.
#[derive(Clone, Copy)]
pub(super) struct Signal {
    number: i32,
    /// Whether it was sent to this process alone.
    is_for_us: bool,
}

/// The signals that are received from now on.
pub(super) struct Signals {
    received: tokio::net::UnixStream,
}

impl Signals {
    /// Listens; must be called within a tokio runtime. A signal that is ignored, as with `nohup`, stays ignored.
    #[allow(unsafe_code, reason = "no safe function tells who sent a signal")]
    pub(super) fn listen() -> io::Result<Self> {
        let (received, sender) = UnixStream::pair()?;
        received.set_nonblocking(true)?;
        // Many signals at once may fill the pipe: then none is lost that was not sent many times.
        sender.set_nonblocking(true)?;
        for number in SIGNALS {
            if crate::signals::is_ignored(number) {
                continue;
            }
            let sender = sender.try_clone()?;
            let send = move |info: &libc::siginfo_t| {
                // Linux has positive codes for what the kernel sent. Elsewhere two signals may become of one, which does no harm.
                let is_for_us = !cfg!(target_os = "linux") || info.si_code <= 0;
                let number = u8::try_from(number).unwrap_or_default();
                let _ = (&sender).write(&[number, u8::from(is_for_us)]);
            };
            // SAFETY: all that the handler does is write(2), which is async-signal-safe.
            unsafe { signal_hook_registry::register_sigaction(number, send) }?;
        }
        let received = tokio::net::UnixStream::from_std(received)?;
        Ok(Self { received })
    }

    /// Waits for the end of a child, and passes on to it what it does not get itself.
    pub(super) async fn pass_on_until_end(&mut self, child: &mut Child) -> io::Result<ExitStatus> {
        loop {
            tokio::select! {
                ended = child.wait() => return ended,
                signal = self.next() => if let Some(id) = child.id() {
                    signal.pass_on(id);
                },
            }
        }
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) -> Signal {
        let mut bytes = [0; 2];
        match self.received.read_exact(&mut bytes).await {
            Ok(_) => Signal {
                number: bytes[0].into(),
                is_for_us: bytes[1] != 0,
            },
            // Not possible while the handlers have the other end.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Signal {
    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self.number {
            libc::SIGHUP => "SIGHUP",
            libc::SIGINT => "SIGINT",
            libc::SIGQUIT => "SIGQUIT",
            _ => "SIGTERM",
        }
    }

    /// Sends it to a child that has not been waited for, unless the child got it, too.
    #[allow(
        unsafe_code,
        reason = "the standard library sends no signal but SIGKILL"
    )]
    fn pass_on(self, child: u32) {
        if let (true, Ok(child)) = (self.is_for_us, i32::try_from(child)) {
            // SAFETY: the call takes no pointers. The child's id is its own until it is waited for.
            unsafe { libc::kill(child, self.number) };
        }
    }
}

/// Ends this process as `signal` ended another. Returns only where the signal is blocked; then a shell's exit code says it.
#[allow(unsafe_code, reason = "the standard library raises no signals")]
pub(super) fn die_of(signal: i32) -> ! {
    let no_core = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the pointer is to a value that outlives the call; the others take none. The process ends here.
    unsafe {
        // The other's core, if there is one, is the one that is of use.
        libc::setrlimit(libc::RLIMIT_CORE, &raw const no_core);
        libc::signal(signal, libc::SIG_DFL);
        libc::raise(signal);
    }
    std::process::exit(128 + signal)
}
