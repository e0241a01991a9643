//! What a test compares: every field of every member as lines of text, the size of the archive, the error.

use std::fmt::Write as _;

use soci_format::tar::{Entry, Error, TarReader};

/// What a reader gave for a stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Toc {
    pub(crate) members: usize,
    pub(crate) listing: String,
    pub(crate) end: Result<u64, Error>,
}

/// The stream pushed in one piece.
pub(crate) fn toc_of(stream: &[u8]) -> Toc {
    toc_in_pieces(std::iter::once(stream))
}

pub(crate) fn toc_in_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Toc {
    let mut reader = TarReader::new();
    let mut members = 0;
    let mut listing = String::new();
    let mut sink = |entry: Entry<'_>| {
        members += 1;
        list(&entry, &mut listing);
    };
    let pushed = pieces
        .into_iter()
        .try_for_each(|piece| reader.push(piece, &mut sink));
    let end = reader.finish();
    if let Err(error) = pushed {
        assert_eq!(end.as_ref(), Err(&error), "an error must stay");
    }
    Toc {
        members,
        listing,
        end,
    }
}

fn list(entry: &Entry<'_>, listing: &mut String) {
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    let line = writeln!(
        listing,
        "{} {}+{} {:o} {}({}) {}({}) {} {}:{} {} -> {}",
        entry.kind.as_str(),
        entry.payload_at,
        entry.size,
        entry.mode,
        entry.uid,
        text(entry.user_name),
        entry.gid,
        text(entry.group_name),
        entry.modified,
        entry.dev_major,
        entry.dev_minor,
        text(entry.name),
        text(entry.link_name),
    );
    line.expect("a string takes all");
    for (key, value) in entry.pax.iter() {
        writeln!(listing, "    {}={}", text(key), text(value)).expect("a string takes all");
    }
}
