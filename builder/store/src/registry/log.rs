//! The log of what is exchanged with registries and asked of helpers, for whoever wants to see it.
//! In: lines without secrets. Out: the same, fit to print, to where the program wants them; nothing where nobody listens.

use std::{error::Error, fmt, sync::Arc};

use soci_format::printable::printable;

type Sink = dyn Fn(&str) + Send + Sync;

/// Where the lines go.
#[derive(Clone, Default)]
pub struct Log(Option<Arc<Sink>>);

impl Log {
    /// A log that gives each line to `sink`.
    pub fn to(sink: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(sink)))
    }

    /// Adds a line, which is made only where somebody listens.
    pub(super) fn line(&self, text: impl FnOnce() -> String) {
        if let Some(sink) = &self.0 {
            sink(&printable(&text()));
        }
    }
}

/// An error and its causes in one line.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line += &format!(": {error}");
        cause = error.source();
    }
    line
}

/// The same of an error of the AWS SDK, which lists where it looked for credentials on lines of their own.
pub(crate) fn sdk_chain(error: &dyn Error) -> String {
    let chain = chain(error);
    chain.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() {
            "Log(on)"
        } else {
            "Log(off)"
        })
    }
}
