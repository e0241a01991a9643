//! Files that a command writes: whole, or not at all.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use soci_store::replace_file::{Readable, replace_file};

/// A file that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}", .path.display())]
pub(crate) struct Unwritable {
    path: PathBuf,
    source: io::Error,
}

/// Writes `path` by way of a file beside it, so that it is never seen in part. What is there and is no regular file, such as a
/// pipe, is written into.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Unwritable> {
    let written = match fs::metadata(path) {
        // Through links, so that it is the file that is replaced.
        Ok(there) if there.is_file() => {
            fs::canonicalize(path).and_then(|file| replace(&file, bytes))
        }
        Ok(_) => fs::write(path, bytes),
        Err(_) => replace(path, bytes),
    };
    written.map_err(|source| Unwritable {
        path: path.to_owned(),
        source,
    })
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_file(path, Readable::ByUmask, |file| file.write_all(bytes)).map(drop)
}
