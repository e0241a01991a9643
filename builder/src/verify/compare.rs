//! Two ztocs of one layer: the one that is there, and the one that it should be. Out: every difference, by its place.

use crate::{
    inflate::checkpoint::Zinfo,
    ztoc::{Compression, FileMetadata, TarZinfo, Ztoc},
};

/// Where `found` is not as `right`, which was made from the layer itself.
pub fn differences(found: &Ztoc, right: &Ztoc) -> Vec<String> {
    let mut all = Vec::new();
    differ(
        &mut all,
        "the compression",
        format!("{:?}", found.compression),
        format!("{:?}", right.compression),
    );
    differ(
        &mut all,
        "the layer's size",
        found.compressed_size,
        right.compressed_size,
    );
    differ(
        &mut all,
        "the archive's size",
        found.plain_size,
        right.plain_size,
    );
    if found.compression == right.compression {
        match found.compression {
            Compression::Gzip => checkpoints(&mut all, &found.checkpoints, &right.checkpoints),
            Compression::Uncompressed => sizes(&mut all, &found.checkpoints, &right.checkpoints),
        }
    }
    differ(
        &mut all,
        "the number of spans",
        found.span_digests.len(),
        right.span_digests.len(),
    );
    let digests = found.span_digests.iter().zip(&right.span_digests);
    for (id, (found, right)) in digests.enumerate() {
        differ(&mut all, &format!("the digest of span {id}"), found, right);
    }
    differ(
        &mut all,
        "the number of entries",
        found.toc.len(),
        right.toc.len(),
    );
    for (number, (found, right)) in found.toc.iter().zip(right.toc.iter()).enumerate() {
        if found != right {
            entry(&mut all, number, &found, &right);
        }
    }
    all
}

fn differ<T: PartialEq + std::fmt::Display>(all: &mut Vec<String>, what: &str, found: T, right: T) {
    if found != right {
        all.push(format!("{what} is {found}, but must be {right}"));
    }
}

fn checkpoints(all: &mut Vec<String>, found: &[u8], right: &[u8]) {
    // Both were parsed before.
    let (Ok(found), Ok(right)) = (Zinfo::parse(found), Zinfo::parse(right)) else {
        return;
    };
    differ(all, "the span size", found.span_size, right.span_size);
    for (id, (found, right)) in found.iter().zip(right.iter()).enumerate() {
        let ((found, found_window), (right, right_window)) = (found, right);
        let what = |field: &str| format!("the {field} of checkpoint {id}");
        differ(
            all,
            &what("compressed offset"),
            found.compressed_at,
            right.compressed_at,
        );
        differ(all, &what("number of bits"), found.bits, right.bits);
        differ(all, &what("plain offset"), found.plain_at, right.plain_at);
        let mut bytes = found_window.iter().zip(right_window);
        if let Some(at) = bytes.position(|(found, right)| found != right) {
            let (found, right) = (found_window[at], right_window[at]);
            all.push(format!(
                "byte {at} of the window of checkpoint {id} is {found:#04x}, but must be {right:#04x}"
            ));
        }
    }
}

fn sizes(all: &mut Vec<String>, found: &[u8], right: &[u8]) {
    if let (Ok(found), Ok(right)) = (TarZinfo::parse(found), TarZinfo::parse(right)) {
        differ(all, "the span size", found.span_size, right.span_size);
        differ(all, "the size beside the spans", found.size, right.size);
    }
}

fn entry(all: &mut Vec<String>, number: usize, found: &FileMetadata<'_>, right: &FileMetadata<'_>) {
    let name = String::from_utf8_lossy(right.name);
    let what = |field: &str| format!("the {field} of entry {number} ({name})");
    let text = |bytes: &[u8]| format!("\"{}\"", bytes.escape_ascii());
    for (field, found, right) in [
        ("name", found.name, right.name),
        ("type", found.kind, right.kind),
        ("link name", found.link_name, right.link_name),
        ("owner's name", found.user_name, right.user_name),
        ("group's name", found.group_name, right.group_name),
        ("time", found.modified, right.modified),
    ] {
        differ(all, &what(field), text(found), text(right));
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
        differ(all, &what(field), found, right);
    }
    let records = |of: &FileMetadata<'_>| {
        let shown = of
            .xattrs
            .iter()
            .map(|(key, value)| format!("{}={}", text(key), text(value)));
        shown.collect::<Vec<_>>().join(", ")
    };
    differ(
        all,
        &what("PAX records"),
        format!("[{}]", records(found)),
        format!("[{}]", records(right)),
    );
}
