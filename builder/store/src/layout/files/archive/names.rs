//! The files of an archive by their paths, as they would be unpacked: of members with one name the last one counts, and links lead
//! on. In: members. Out: where a file's bytes are.

use std::{collections::HashMap, io, ops::Range};

use soci_format::tar::{Content, Members};

/// Links that are followed one after the other, as Linux does.
const LINKS_MAX: usize = 40;

pub(super) struct Names(HashMap<String, Found>);

#[derive(Clone)]
enum Found {
    File(Range<u64>),
    Sparse,
    /// The path that it leads to.
    Symlink(String),
    /// A hard link to what is not before it.
    Nowhere(String),
    Other,
}

impl Names {
    pub(super) fn of(members: &Members) -> Self {
        let mut names = HashMap::new();
        for member in &members.list {
            let found = match &member.content {
                Content::File(bytes) => Found::File(bytes.clone()),
                Content::Sparse => Found::Sparse,
                Content::Symlink(to) => Found::Symlink(String::from_utf8_lossy(to).into_owned()),
                Content::HardLink(to) => {
                    let to = clean(to);
                    names.get(&to).cloned().unwrap_or(Found::Nowhere(to))
                }
                Content::Other => Found::Other,
            };
            names.insert(clean(&member.name), found);
        }
        Self(names)
    }

    /// Where the bytes of the file `path` are; `None` where there is no such file.
    pub(super) fn find(&self, path: &str) -> io::Result<Option<Range<u64>>> {
        let mut path = path.to_owned();
        for _ in 0..LINKS_MAX {
            match self.0.get(&path) {
                Some(Found::File(bytes)) => return Ok(Some(bytes.clone())),
                Some(Found::Symlink(to)) => path = beside(&path, to)?,
                Some(Found::Sparse) => {
                    return Err(io::Error::other(
                        "it is stored as a sparse file, which is not supported; pack the archive again without --sparse",
                    ));
                }
                Some(Found::Nowhere(to)) => {
                    return Err(io::Error::other(format!(
                        "it is a hard link to {to:?}, which is not in the archive before it"
                    )));
                }
                Some(Found::Other) => return Err(io::Error::other("it is not a regular file")),
                None => match self.through_a_directory(&path)? {
                    Some(real) => path = real,
                    None => return Ok(None),
                },
            }
        }
        Err(io::Error::other("too many symbolic links"))
    }

    /// `path` by the way that a symbolic link shows, where one stands for a directory of it.
    fn through_a_directory(&self, path: &str) -> io::Result<Option<String>> {
        for (slash, _) in path.match_indices('/') {
            let (directory, rest) = path.split_at(slash);
            if let Some(Found::Symlink(to)) = self.0.get(directory) {
                return Ok(Some(beside(directory, to)? + rest));
            }
        }
        Ok(None)
    }
}

/// A path without what says nothing: a slash in front or behind, empty parts, dots.
pub(super) fn clean(path: &[u8]) -> String {
    let path = String::from_utf8_lossy(path);
    let parts = path.split('/').filter(|part| !matches!(*part, "" | "."));
    parts.collect::<Vec<_>>().join("/")
}

/// Where a symbolic link at `path` leads, which must be in the archive.
fn beside(path: &str, to: &str) -> io::Result<String> {
    let outside = || {
        io::Error::other(format!(
            "it is a symbolic link to {to:?}, which is outside of the archive"
        ))
    };
    if to.starts_with('/') {
        return Err(outside());
    }
    let mut parts: Vec<_> = path.split('/').collect();
    parts.pop();
    for part in to.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop().ok_or_else(outside)?),
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}
