//! Where the files of a layer lie in its archive, as far as the table of contents and the archive's own headers tell.
//! In: a table of contents, and the header of a file that is read. Out: what contradicts them. `verify` compares everything;
//! whoever reads one file wants no file of a wrong length.

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
};

use soci_format::{
    tar::{HEADER_BYTES, regular_size},
    ztoc::{FileMetadata, Toc},
};

use super::Error;

/// What is remarkable in a layer, by the uncompressed byte where a file's payload starts; of most layers nothing is.
#[derive(Default)]
pub(super) struct Ranges {
    wrong: HashMap<u64, String>,
    /// Files that more bytes follow than their size and the next header explain.
    unexplained: HashSet<u64>,
    /// Files whose size is in a PAX record, and may be another in their header.
    in_a_record: HashSet<u64>,
}

impl Ranges {
    /// Looks at every file of an archive of `archive_bytes`.
    pub(super) fn of(toc: &Toc, archive_bytes: u64) -> Self {
        let mut ranges = Self::default();
        let mut files = toc.iter().peekable();
        while let Some(file) = files.next() {
            if file.kind == b"reg" {
                ranges.look_at(&file, files.peek(), archive_bytes);
            }
        }
        ranges
    }

    fn look_at(&mut self, file: &FileMetadata<'_>, next: Option<&FileMetadata<'_>>, archive: u64) {
        // Negative numbers make no file system, and are told where it is made.
        let number = |of: i64| u64::try_from(of).unwrap_or(0);
        let (start, end) = (number(file.offset), number(file.offset) + number(file.size));
        let mut is_wrong = |why: String| {
            self.wrong.insert(start, why);
        };
        if start < HEADER_BYTES || !start.is_multiple_of(HEADER_BYTES) {
            return is_wrong("no file can start there".to_owned());
        }
        if end > archive {
            return is_wrong(format!("the archive has {archive} bytes"));
        }
        let next_header = next.map(|next| number(next.offset).saturating_sub(HEADER_BYTES));
        if let Some(next_header) = next_header.filter(|&next_header| next_header < end) {
            return is_wrong(format!("the next header is at byte {next_header}"));
        }
        let blocks_end = end.next_multiple_of(HEADER_BYTES);
        let behind = next_header.unwrap_or(archive).saturating_sub(blocks_end);
        let explained = match next {
            // Records and long names have headers of their own.
            Some(next) if !next.xattrs.is_empty() => true,
            Some(next) => behind == 0 || next.name.len() > 100 || next.link_name.len() > 100,
            // The end marker.
            None => behind <= 2 * HEADER_BYTES,
        };
        if !explained {
            self.unexplained.insert(start);
        }
        if file.xattrs.iter().any(|(key, _)| *key == b"size") {
            self.in_a_record.insert(start);
        }
    }

    /// The bytes to fetch for the file `payload` of `layer`: with its header, where that has to be looked at.
    pub(super) fn to_fetch(&self, layer: &str, payload: &Range<u64>) -> Result<Range<u64>, Error> {
        if let Some(why) = self.wrong.get(&payload.start) {
            return Err(Error::FileRange {
                layer: layer.to_owned(),
                start: payload.start,
                end: payload.end,
                why: why.clone(),
            });
        }
        let header = match self.unexplained.contains(&payload.start) {
            true => HEADER_BYTES,
            false => 0,
        };
        Ok(payload.start - header..payload.end)
    }

    /// Compares the file `payload` of `layer` with its header.
    pub(super) fn check(
        &self,
        layer: &str,
        payload: &Range<u64>,
        header: &[u8],
    ) -> Result<(), Error> {
        let size = payload.end - payload.start;
        let found = regular_size(header);
        if found == Some(size) || found.is_some() && self.in_a_record.contains(&payload.start) {
            return Ok(());
        }
        Err(Error::FileSize {
            layer: layer.to_owned(),
            start: payload.start,
            size,
            found: found.map_or("is not that of a file".to_owned(), |size| {
                format!("says {size}")
            }),
        })
    }
}
