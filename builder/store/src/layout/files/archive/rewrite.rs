//! A new archive made of an old one: every member as it is, byte for byte, but for those whose files are new.
//! In: the old archive, and files. Out: the new one, which is then read again and compared.

use std::{
    collections::{BTreeMap, HashSet},
    io::{self, Write},
    ops::Range,
    sync::atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;
use soci_format::tar::{Content, Member, Members, NoMembers};

use super::{
    names::clean,
    place::{Places, members},
};

const BLOCK_BYTES: usize = 512;

/// Two zero blocks.
const END_MARKER_BYTES: u64 = 1024;

/// Bytes that are copied or compared at once.
const PIECE_BYTES: usize = 1 << 20;

/// What becomes of an archive.
pub struct Rewrite<'a, P: Places + ?Sized> {
    old: &'a P,
    kept: Vec<&'a Member>,
    /// What stands behind the members: the end marker, and whatever follows it.
    tail: Range<u64>,
    files: &'a BTreeMap<String, Bytes>,
}

impl<'a, P: Places + ?Sized> Rewrite<'a, P> {
    /// Of `old`, with `files` by their paths.
    ///
    /// # Errors
    /// Where the old archive cannot be read.
    pub fn new(
        old: &'a P,
        members: &'a Members,
        files: &'a BTreeMap<String, Bytes>,
    ) -> io::Result<Self> {
        // What a hard link names must stay before it, even where a later member takes the name.
        let linked: HashSet<_> = members
            .list
            .iter()
            .filter_map(|member| match &member.content {
                Content::HardLink(to) => Some(clean(to)),
                _ => None,
            })
            .collect();
        let is_kept = |member: &&Member| {
            let name = clean(&member.name);
            !files.contains_key(&name) || linked.contains(&name)
        };
        Ok(Self {
            old,
            kept: members.list.iter().filter(is_kept).collect(),
            tail: members.end..old.length()?,
            files,
        })
    }

    /// Writes the new archive.
    ///
    /// # Errors
    /// Where the old one cannot be read or the new one not be written, or after `stop`.
    pub fn write(&self, new: &mut impl Write, stop: &AtomicBool) -> io::Result<()> {
        for member in &self.kept {
            self.copy(&member.raw, new, stop)?;
            pad(member.raw.end - member.raw.start, new)?;
        }
        for (name, bytes) in self.files {
            let mut header = tar::Header::new_ustar();
            header.set_path(name)?;
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            header.set_cksum();
            new.write_all(header.as_bytes())?;
            new.write_all(bytes)?;
            pad(bytes.len() as u64, new)?;
        }
        self.copy(&self.tail, new, stop)?;
        let missing = END_MARKER_BYTES.saturating_sub(self.tail.end - self.tail.start);
        io::copy(&mut io::Read::take(io::repeat(0), missing), new)?;
        Ok(())
    }

    /// Reads the new archive, and compares it with what it should be.
    ///
    /// # Errors
    /// Where it is anything else.
    pub fn check(&self, new: &(impl Places + ?Sized)) -> io::Result<()> {
        let found = members(new).map_err(io_error)?;
        let differs = |name: &[u8]| {
            let name = String::from_utf8_lossy(name);
            io::Error::other(format!(
                "the new archive does not have {name:?} as it should; the old one was left as it was"
            ))
        };
        if found.list.len() != self.kept.len() + self.files.len() {
            return Err(differs(b"all members"));
        }
        let (old, added) = found.list.split_at(self.kept.len());
        for (was, is) in self.kept.iter().zip(old) {
            let is_same = was.name == is.name
                && is_same_kind(&was.content, &is.content)
                && is_same(self.old, &was.raw, new, is.raw.start)?;
            if !is_same {
                return Err(differs(&was.name));
            }
        }
        for ((name, bytes), is) in self.files.iter().zip(added) {
            let is_there = match &is.content {
                Content::File(range) => {
                    is.name == name.as_bytes()
                        && range.end - range.start == bytes.len() as u64
                        && is_same(&bytes[..], &(0..bytes.len() as u64), new, range.start)?
                }
                _ => false,
            };
            if !is_there {
                return Err(differs(name.as_bytes()));
            }
        }
        match is_same(self.old, &self.tail, new, found.end)? {
            true => Ok(()),
            false => Err(differs(b"the end marker")),
        }
    }

    fn copy(&self, part: &Range<u64>, new: &mut impl Write, stop: &AtomicBool) -> io::Result<()> {
        let mut piece = Vec::new();
        for at in pieces(part) {
            if stop.load(Ordering::Relaxed) {
                return Err(io::Error::other("stopped"));
            }
            piece.resize(length_of(&at), 0);
            self.old.fill(&mut piece, at.start)?;
            new.write_all(&piece)?;
        }
        Ok(())
    }
}

/// What an archive's members could not be found for, as an error of its file.
pub(super) fn io_error(error: NoMembers) -> io::Error {
    match error {
        NoMembers::Read(error) => error,
        other => io::Error::other(other),
    }
}

/// Fills up the last block.
fn pad(bytes: u64, new: &mut impl Write) -> io::Result<()> {
    let missing = bytes.wrapping_neg() % BLOCK_BYTES as u64;
    io::copy(&mut io::Read::take(io::repeat(0), missing), new).map(drop)
}

/// Whether two are of one kind, wherever their bytes are.
fn is_same_kind(one: &Content, other: &Content) -> bool {
    match (one, other) {
        (Content::File(one), Content::File(other)) => {
            one.end - one.start == other.end - other.start
        }
        _ => one == other,
    }
}

/// Whether `new` has at `at` the bytes that `old` has in `part`.
fn is_same(
    old: &(impl Places + ?Sized),
    part: &Range<u64>,
    new: &(impl Places + ?Sized),
    at: u64,
) -> io::Result<bool> {
    let (mut one, mut other) = (Vec::new(), Vec::new());
    for piece in pieces(part) {
        one.resize(length_of(&piece), 0);
        other.resize(length_of(&piece), 0);
        old.fill(&mut one, piece.start)?;
        new.fill(&mut other, at + (piece.start - part.start))?;
        if one != other {
            return Ok(false);
        }
    }
    Ok(true)
}

fn pieces(part: &Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let (start, end) = (part.start, part.end);
    let starts = (start..end).step_by(PIECE_BYTES);
    starts.map(move |at| at..end.min(at + PIECE_BYTES as u64))
}

#[allow(clippy::cast_possible_truncation, reason = "a mebibyte at most")]
fn length_of(piece: &Range<u64>) -> usize {
    (piece.end - piece.start) as usize
}
