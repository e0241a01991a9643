//! One member as the table of contents needs it. Plain data.

use super::{
    error::{Error, shown},
    pax::Records,
    timestamp::Timestamp,
};

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A regular file, the only kind with payload.
    Regular,
    /// Another name of an earlier member.
    HardLink,
    /// A symbolic link.
    Symlink,
    /// A directory.
    Directory,
    /// A character device.
    Char,
    /// A block device.
    Block,
    /// A named pipe.
    Fifo,
}

impl Kind {
    /// The word that the table of contents writes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Regular => "reg",
            Self::HardLink => "hardlink",
            Self::Symlink => "symlink",
            Self::Directory => "dir",
            Self::Char => "char",
            Self::Block => "block",
            Self::Fifo => "fifo",
        }
    }

    /// What a sentence calls one.
    pub fn described(self) -> &'static str {
        match self {
            Self::Regular => "a regular file",
            Self::HardLink => "a hard link",
            Self::Symlink => "a symbolic link",
            Self::Directory => "a directory",
            Self::Char => "a character device",
            Self::Block => "a block device",
            Self::Fifo => "a named pipe",
        }
    }

    /// The kind that a header's type flag stands for. Writers older than POSIX have no flag for directories: they
    /// end the name in a slash, so the name has to be the final one.
    pub(super) fn of(flag: u8, name: &[u8]) -> Option<Self> {
        Some(match flag {
            0 if name.ends_with(b"/") => Self::Directory,
            0 | b'0' => Self::Regular,
            b'1' => Self::HardLink,
            b'2' => Self::Symlink,
            b'3' => Self::Char,
            b'4' => Self::Block,
            b'5' => Self::Directory,
            b'6' => Self::Fifo,
            _ => return None,
        })
    }
}

/// One member of the archive.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Path, as written: nothing is cleaned or checked to be UTF-8.
    pub name: &'a [u8],
    /// What it is.
    pub kind: Kind,
    /// Where in the uncompressed stream its payload starts: right after its header block, also where it has none.
    pub payload_at: u64,
    /// The size it claims. Only a regular file's is that of its payload; another kind's may be anything.
    pub size: i64,
    /// What a link points to.
    pub link_name: &'a [u8],
    /// Permission bits; whatever the header holds.
    pub mode: i64,
    /// Owner.
    pub uid: i64,
    /// Group.
    pub gid: i64,
    /// Owner's name.
    pub user_name: &'a [u8],
    /// Group's name.
    pub group_name: &'a [u8],
    /// Time of the last change.
    pub modified: Timestamp,
    /// Major number of a device.
    pub dev_major: i64,
    /// Minor number of a device.
    pub dev_minor: i64,
    /// Every PAX record of the member, whether or not it overrides a field.
    pub pax: &'a Records,
}

/// The size of something that has payload.
pub(super) fn payload_bytes(at: u64, name: &[u8], size: i64) -> Result<u64, Error> {
    u64::try_from(size).map_err(|_| Error::NegativeSize {
        at,
        name: shown(name),
        size,
    })
}
