//! How the program ends, and what it prints before. A command decides both; printing comes afterwards, and can make a success a failure but
//! never a failure a success.

use std::{io, process::ExitCode};

use soci_index::run::chain;

/// An error of any kind.
pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;

/// How the program ends.
pub(crate) enum Ending {
    Done,
    /// An outcome that is to fail: nothing to index, or unsupported.
    NothingToUse(Error),
    Failed(Error),
    UsageError(Error),
}

/// What a command comes to: its result, to be printed on stdout, and how the program ends.
pub(crate) struct Answer {
    pub(crate) result: Vec<u8>,
    pub(crate) ending: Ending,
}

impl From<Ending> for Answer {
    fn from(ending: Ending) -> Self {
        let result = Vec::new();
        Self { result, ending }
    }
}

impl Ending {
    /// The ending after an attempt to print the result.
    pub(crate) fn after_printing(self, printed: io::Result<()>) -> Self {
        match (self, printed) {
            // Whoever reads has seen enough: `soci-builder info … | head`.
            (Self::Done, Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => {
                Self::Failed(format!("cannot write to standard output: {error}").into())
            }
            (ending, _) => ending,
        }
    }

    /// The ending where the program was stopped before all of the result was printed.
    pub(crate) fn stopped_while_printing(self, reason: &str) -> Self {
        match self {
            Self::Done => {
                Self::Failed(format!("{reason} before the whole result was printed").into())
            }
            failure => failure,
        }
    }

    /// What to say on stderr, in one line, and the exit code.
    pub(crate) fn code(self) -> (Option<String>, ExitCode) {
        let (error, code) = match self {
            Self::Done => return (None, ExitCode::SUCCESS),
            Self::Failed(error) => (error, 1),
            Self::UsageError(error) => (error, 2),
            Self::NothingToUse(error) => (error, 3),
        };
        let line = format!("soci-builder: {}\n", chain(&*error));
        (Some(line), ExitCode::from(code))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(ending: Ending) -> String {
        format!("{:?}", ending.code().1)
    }

    #[test]
    fn printing_never_makes_a_failure_a_success() {
        for kind in [io::ErrorKind::BrokenPipe, io::ErrorKind::StorageFull] {
            let endings: [fn(Error) -> Ending; 3] =
                [Ending::Failed, Ending::UsageError, Ending::NothingToUse];
            for ending in endings {
                let ended = ending("the reason".into());
                let printed = ending("the reason".into()).after_printing(Err(kind.into()));
                assert_eq!(code(printed), code(ended));
            }
        }
    }

    #[test]
    fn a_result_that_nobody_wants_is_no_failure_and_one_that_is_lost_is() {
        let printed = |kind: io::ErrorKind| code(Ending::Done.after_printing(Err(kind.into())));
        assert_eq!(printed(io::ErrorKind::BrokenPipe), code(Ending::Done));
        assert_ne!(printed(io::ErrorKind::StorageFull), code(Ending::Done));
    }
}
