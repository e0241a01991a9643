//! Results on stdout.

use std::io;

use serde::Serialize;

/// `value` as one JSON object, in one line.
pub(crate) fn json(out: &mut impl io::Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    writeln!(out)
}
