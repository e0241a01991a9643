//! Results on stdout.

use std::io::{self, StdoutLock, Write};

use serde::Serialize;

/// Prints `value`: as one JSON object in one line, or as `text` does.
pub(crate) fn result<T: Serialize>(
    json: bool,
    value: &T,
    text: impl FnOnce(&mut StdoutLock<'static>, &T) -> io::Result<()>,
) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if !json {
        return text(&mut out, value);
    }
    serde_json::to_writer(&mut out, value)?;
    writeln!(out)
}
