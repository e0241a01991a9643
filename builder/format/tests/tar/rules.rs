//! Each rule of the format on its own, in an archive made to tell whether it is kept.

mod ends;
mod kinds;
mod records;
mod sizes;

use soci_format::tar::{Error, Kind, TarReader};

use crate::{
    archive::{Archive, BLOCK, Head, head},
    toc::toc_of,
};

const MIB: usize = 1 << 20;

/// The listing of an archive that must be valid.
fn listing(archive: Archive) -> String {
    let toc = toc_of(&archive.0);
    toc.end.expect("valid");
    toc.listing
}

/// The only member's line, from its type to its name and link, with the zeros of a plain test header left out.
fn line(archive: Archive) -> String {
    let listing = listing(archive);
    let line = listing.lines().next().expect("a member");
    line.replace(" 0 0() 0() 1970-01-01T00:00:00Z 0:0 ", " ")
}

fn error(archive: Archive) -> Error {
    toc_of(&archive.0).end.expect_err("must be refused")
}

fn archive() -> Archive {
    Archive::default()
}

fn one(head: Head) -> Archive {
    archive().head(head).end()
}
