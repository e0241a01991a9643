//! One file, directory, link or device, as a table of contents has it.

use std::ops::Range;

use super::{Unpackable, shown};
use crate::{tar::Kind, ztoc::FileMetadata};

/// A directory's mode where no layer says one.
const IMPLICIT_MODE: i64 = 0o755;

/// A file, directory, link or device; several names may share one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inode {
    /// The layer that has it, from 0.
    pub layer: usize,
    /// What it is; never a hard link.
    pub kind: Kind,
    /// Size of a regular file in bytes.
    pub size: u64,
    /// Plain byte of its layer where its payload starts.
    pub payload_at: u64,
    /// Permission bits.
    pub mode: i64,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Time of the last change, RFC 3339; empty where none is known.
    pub modified: String,
    /// Target of a symbolic link.
    pub link_name: Vec<u8>,
    /// Device number: major, minor.
    pub device: (i64, i64),
}

impl Inode {
    pub(super) fn implicit_directory(layer: usize) -> Self {
        Self {
            layer,
            kind: Kind::Directory,
            size: 0,
            payload_at: 0,
            mode: IMPLICIT_MODE,
            uid: 0,
            gid: 0,
            modified: String::new(),
            link_name: Vec::new(),
            device: (0, 0),
        }
    }

    pub(super) fn of(
        layer: usize,
        kind: Kind,
        file: &FileMetadata<'_>,
    ) -> Result<Self, Unpackable> {
        // Only a regular file has a payload, whatever the others claim.
        let (payload_at, size) = match kind {
            Kind::Regular => (u64::try_from(file.offset), u64::try_from(file.size)),
            _ => (Ok(0), Ok(0)),
        };
        let (Ok(payload_at), Ok(size)) = (payload_at, size) else {
            return Err(Unpackable::Payload(shown(file.name)));
        };
        Ok(Self {
            layer,
            kind,
            size,
            payload_at,
            mode: file.mode & 0o7777,
            uid: file.uid,
            gid: file.gid,
            modified: String::from_utf8_lossy(file.modified).into_owned(),
            link_name: file.link_name.to_vec(),
            device: (file.dev_major, file.dev_minor),
        })
    }

    /// The uncompressed bytes of its layer that are its contents.
    pub fn payload(&self) -> Range<u64> {
        self.payload_at..self.payload_at + self.size
    }
}

pub(super) fn kind_of(file: &FileMetadata<'_>) -> Result<Kind, Unpackable> {
    let kinds = [
        Kind::Regular,
        Kind::HardLink,
        Kind::Symlink,
        Kind::Directory,
        Kind::Char,
        Kind::Block,
        Kind::Fifo,
    ];
    kinds
        .into_iter()
        .find(|kind| kind.as_str().as_bytes() == file.kind)
        .ok_or_else(|| Unpackable::Kind {
            path: shown(file.name),
            kind: shown(file.kind),
        })
}
