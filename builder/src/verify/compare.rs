//! Two ztocs of one layer: the one that is there, and the one that it should be. Out: every difference, by its place.

use std::fmt::{self, Display};

use soci_format::{
    inflate::checkpoint::Zinfo,
    ztoc::{Compression, FileMetadata, TarZinfo, Ztoc},
};

/// Bytes of a text, and records, that are shown.
const SHOWN: usize = 200;

/// Where `found` is not as `right`, which was made from the layer itself: the first ones, at most `limit`, and how many more.
pub fn differences(found: &Ztoc, right: &Ztoc, limit: usize) -> Vec<String> {
    let mut all = Differences {
        told: Vec::new(),
        more: 0,
        limit,
    };
    compare(&mut all, found, right);
    if all.more > 0 {
        all.told.push(format!("and {} more like this", all.more));
    }
    all.told
}

/// What was found. What is too much is counted, and never written out: a ztoc may differ in everything.
struct Differences {
    told: Vec<String>,
    more: usize,
    limit: usize,
}

impl Differences {
    fn push(&mut self, difference: impl Display) {
        if self.told.len() < self.limit {
            self.told.push(difference.to_string());
        } else {
            self.more += 1;
        }
    }

    fn differ<T: PartialEq + Display>(&mut self, what: impl Display, found: T, right: T) {
        if found != right {
            self.push(format_args!("{what} is {found}, expected {right}"));
        }
    }
}

/// Bytes as they are shown: escaped, and not all of them where they are many.
#[derive(PartialEq)]
struct Text<'a>(&'a [u8]);

impl Display for Text<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.0[..self.0.len().min(SHOWN)];
        write!(out, "\"{}\"", shown.escape_ascii())?;
        match self.0.len() - shown.len() {
            0 => Ok(()),
            more => write!(out, " and {more} bytes more"),
        }
    }
}

/// PAX records, shown alike.
#[derive(PartialEq)]
struct Records<'a>(&'a [(&'a [u8], &'a [u8])]);

impl Display for Records<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("[")?;
        for (at, (key, value)) in self.0.iter().take(SHOWN).enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(out, "{comma}{}={}", Text(key), Text(value))?;
        }
        if self.0.len() > SHOWN {
            write!(out, " and {} more", self.0.len() - SHOWN)?;
        }
        out.write_str("]")
    }
}

fn compare(all: &mut Differences, found: &Ztoc, right: &Ztoc) {
    let compression = |of: &Ztoc| format!("{:?}", of.compression);
    all.differ("the compression", compression(found), compression(right));
    all.differ(
        "the layer's size",
        found.compressed_size,
        right.compressed_size,
    );
    all.differ("the archive's size", found.plain_size, right.plain_size);
    if found.compression == right.compression {
        match found.compression {
            Compression::Gzip => checkpoints(all, &found.checkpoints, &right.checkpoints),
            Compression::Uncompressed => sizes(all, &found.checkpoints, &right.checkpoints),
        }
    }
    all.differ(
        "the number of spans",
        found.span_digests.len(),
        right.span_digests.len(),
    );
    let digests = found.span_digests.iter().zip(&right.span_digests);
    for (id, (found, right)) in digests.enumerate() {
        all.differ(format_args!("the digest of span {id}"), found, right);
    }
    all.differ("the number of entries", found.toc.len(), right.toc.len());
    for (number, (found, right)) in found.toc.iter().zip(right.toc.iter()).enumerate() {
        if found != right {
            entry(all, number, &found, &right);
        }
    }
}

fn checkpoints(all: &mut Differences, found: &[u8], right: &[u8]) {
    // Both were parsed before.
    let (Ok(found), Ok(right)) = (Zinfo::parse(found), Zinfo::parse(right)) else {
        return;
    };
    all.differ("the span size", found.span_size, right.span_size);
    for (id, (found, right)) in found.iter().zip(right.iter()).enumerate() {
        let ((found, found_window), (right, right_window)) = (found, right);
        all.differ(
            format_args!("the compressed offset of checkpoint {id}"),
            found.compressed_at,
            right.compressed_at,
        );
        all.differ(
            format_args!("the number of bits of checkpoint {id}"),
            found.bits,
            right.bits,
        );
        all.differ(
            format_args!("the uncompressed offset of checkpoint {id}"),
            found.uncompressed_at,
            right.uncompressed_at,
        );
        let mut bytes = found_window.iter().zip(right_window);
        if let Some(at) = bytes.position(|(found, right)| found != right) {
            let (found, right) = (found_window[at], right_window[at]);
            all.push(format_args!(
                "byte {at} of the window of checkpoint {id} is {found:#04x}, expected {right:#04x}"
            ));
        }
    }
}

fn sizes(all: &mut Differences, found: &[u8], right: &[u8]) {
    if let (Ok(found), Ok(right)) = (TarZinfo::parse(found), TarZinfo::parse(right)) {
        all.differ("the span size", found.span_size, right.span_size);
        all.differ("the size recorded with the spans", found.size, right.size);
    }
}

fn entry(all: &mut Differences, number: usize, found: &FileMetadata<'_>, right: &FileMetadata<'_>) {
    let name = &right.name[..right.name.len().min(SHOWN)];
    let of = format!("of entry {number} ({})", String::from_utf8_lossy(name));
    for (field, found, right) in [
        ("name", found.name, right.name),
        ("type", found.kind, right.kind),
        ("link name", found.link_name, right.link_name),
        ("owner's name", found.user_name, right.user_name),
        ("group's name", found.group_name, right.group_name),
        ("time", found.modified, right.modified),
    ] {
        all.differ(format_args!("the {field} {of}"), Text(found), Text(right));
    }
    for (field, found, right) in [
        ("offset", found.offset, right.offset),
        ("size", found.size, right.size),
        ("mode", found.mode, right.mode),
        ("owner", found.uid.into(), right.uid.into()),
        ("group", found.gid.into(), right.gid.into()),
        ("major device number", found.dev_major, right.dev_major),
        ("minor device number", found.dev_minor, right.dev_minor),
    ] {
        all.differ(format_args!("the {field} {of}"), found, right);
    }
    all.differ(
        format_args!("the PAX records {of}"),
        Records(&found.xattrs),
        Records(&right.xattrs),
    );
}
