//! Results, made fit to be printed; and warnings.

use std::io::{self, Write};

use serde::Serialize;
use soci_format::printable::printable;

use crate::exit_status::{ExitStatus, Output};

/// Tells what the user should know beside the result. A stderr that nobody reads changes nothing.
pub(crate) fn warn(text: &str) {
    let _ = writeln!(io::stderr(), "warning: {}", printable(text));
}

/// The answer of a command that came to `value`: as one JSON object in one line, or as `text` writes it.
pub(crate) fn output<T: Serialize>(
    json: bool,
    value: &T,
    text: impl FnOnce(&mut Vec<u8>, &T) -> io::Result<()>,
    status: ExitStatus,
) -> Result<Output, ExitStatus> {
    match written(json, value, text) {
        Ok(result) => Ok(Output { result, status }),
        Err(error) => Err(ExitStatus::Failed(
            format!("cannot write the result: {error}").into(),
        )),
    }
}

/// `value`, as one JSON object in one line, or as `text` writes it.
pub(crate) fn written<T: Serialize>(
    json: bool,
    value: &T,
    text: impl FnOnce(&mut Vec<u8>, &T) -> io::Result<()>,
) -> io::Result<Vec<u8>> {
    let mut result = Vec::new();
    if json {
        serde_json::to_writer(&mut result, value)?;
        result.push(b'\n');
    } else {
        text(&mut result, value)?;
    }
    Ok(result)
}
