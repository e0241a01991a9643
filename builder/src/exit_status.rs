//! How the program ends, and what it prints before. A command decides both; printing comes afterwards, and can make a success a failure but
//! never a failure a success.

use std::{io, process::ExitCode};

use soci_index::run::chain;

/// An error of any kind.
pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;

/// How the program ends.
pub(crate) enum ExitStatus {
    Success,
    /// An outcome that is to fail: nothing to index, or unsupported.
    NoIndex(Error),
    Failed(Error),
    UsageError(Error),
}

/// What a command comes to: its result, to be printed on stdout, and how the program ends.
pub(crate) struct Output {
    pub(crate) result: Vec<u8>,
    pub(crate) status: ExitStatus,
}

impl From<ExitStatus> for Output {
    fn from(status: ExitStatus) -> Self {
        let result = Vec::new();
        Self { result, status }
    }
}

impl ExitStatus {
    /// The status after an attempt to print the result.
    pub(crate) fn after_printing(self, printed: io::Result<()>) -> Self {
        match (self, printed) {
            // Whoever reads has seen enough: `soci-builder info … | head`.
            (Self::Success, Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => {
                Self::Failed(format!("cannot write to standard output: {error}").into())
            }
            (status, _) => status,
        }
    }

    /// The status where the program was stopped before all of the result was printed.
    pub(crate) fn stopped_while_printing(self, reason: &str) -> Self {
        match self {
            Self::Success => {
                Self::Failed(format!("{reason} before the whole result was printed").into())
            }
            failure => failure,
        }
    }

    /// What to say on stderr, in one line, and the exit code.
    pub(crate) fn code(self) -> (Option<String>, ExitCode) {
        let (error, code) = match self {
            Self::Success => return (None, ExitCode::SUCCESS),
            Self::Failed(error) => (error, 1),
            Self::UsageError(error) => (error, 2),
            Self::NoIndex(error) => (error, 3),
        };
        let line = format!("soci-builder: {}\n", chain(&*error));
        (Some(line), ExitCode::from(code))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(status: ExitStatus) -> String {
        format!("{:?}", status.code().1)
    }

    #[test]
    fn printing_never_makes_a_failure_a_success() {
        for kind in [io::ErrorKind::BrokenPipe, io::ErrorKind::StorageFull] {
            let endings: [fn(Error) -> ExitStatus; 3] = [
                ExitStatus::Failed,
                ExitStatus::UsageError,
                ExitStatus::NoIndex,
            ];
            for status in endings {
                let ended = status("the reason".into());
                let printed = status("the reason".into()).after_printing(Err(kind.into()));
                assert_eq!(code(printed), code(ended));
            }
        }
    }

    #[test]
    fn a_result_that_nobody_wants_is_no_failure_and_one_that_is_lost_is() {
        let printed =
            |kind: io::ErrorKind| code(ExitStatus::Success.after_printing(Err(kind.into())));
        assert_eq!(
            printed(io::ErrorKind::BrokenPipe),
            code(ExitStatus::Success)
        );
        assert_ne!(
            printed(io::ErrorKind::StorageFull),
            code(ExitStatus::Success)
        );
    }
}
