//! The members of an archive that can be read from any place: what each is, and which bytes are its own, described or not.
//! In: an archive and its length. Out: members, from the first describing header of each to the end of its padding. No payload is
//! read, so a member may be of any size.

use std::{io, ops::Range};

use super::{
    entry::payload_bytes,
    error::{Error, shown},
    header::{BLOCK_BYTES, Block, Header},
    meta::{MetaKind, Pending},
    padding_after,
    pax::Records,
};
use crate::limits::Limits;

/// What an archive is made of.
#[derive(Debug, PartialEq, Eq)]
pub struct Members {
    /// The members, in their order.
    pub list: Vec<Member>,
    /// Where the last one ends. What follows is the end marker, if there is one, and whatever follows that.
    pub end: u64,
}

/// One member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its path, as written.
    pub name: Vec<u8>,
    /// All its bytes: headers that describe it, its own header, its payload and padding, as far as the archive has that.
    pub raw: Range<u64>,
    /// What it is.
    pub content: Content,
}

/// What a member holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A file's bytes.
    File(Range<u64>),
    /// A file with holes; its payload is not its content.
    Sparse,
    /// Another name of an earlier member.
    HardLink(Vec<u8>),
    /// A path that stands for another.
    Symlink(Vec<u8>),
    /// A directory, a device, a header for all that follows.
    Other,
}

/// An archive whose members cannot be told apart.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoMembers {
    /// It could not be read.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// It is no archive, or is cut.
    #[error(transparent)]
    Form(#[from] Error),
    /// A header for all that follows, which some readers obey and some do not.
    #[error(
        "tar header at byte {at}: the global PAX record {key:?} would change all members that follow, and not all tools honor it"
    )]
    Global {
        /// The header block.
        at: u64,
        /// The record's key.
        key: String,
    },
}

impl Members {
    /// Finds the members of an archive of `length` bytes. `read` fills a slice with the bytes from a place on, all of which are there.
    ///
    /// # Errors
    /// Where it is no archive, is cut, or could be read in two ways.
    pub fn of(
        length: u64,
        read: &mut impl FnMut(&mut [u8], u64) -> io::Result<()>,
    ) -> Result<Self, NoMembers> {
        let mut walk = Walk { length, at: 0 };
        let mut members = Self {
            list: Vec::new(),
            end: 0,
        };
        let mut pending = Pending::default();
        while let Some(block) = walk.block(read)? {
            if block.iter().all(|&byte| byte == 0) {
                break;
            }
            let at = walk.at - BLOCK_BYTES as u64;
            let header = Header::parse(&block).map_err(|problem| Error::Header { at, problem })?;
            if let Some(kind) = MetaKind::of(header.flag) {
                let records = walk.records(&header, kind.as_str(), read)?;
                pending.begin(kind);
                pending.take(kind, &records);
                pending
                    .end(kind)
                    .map_err(|problem| Error::Pax { at, problem })?;
                continue;
            }
            let (name, content) = member(&mut walk, &header, &block, &mut pending, read)?;
            members.list.push(Member {
                name,
                raw: members.end..walk.at,
                content,
            });
            members.end = walk.at;
            pending.clear();
        }
        Ok(members)
    }
}

/// A member behind its own header block.
fn member(
    walk: &mut Walk,
    header: &Header<'_>,
    block: &Block,
    pending: &mut Pending,
    read: &mut impl FnMut(&mut [u8], u64) -> io::Result<()>,
) -> Result<(Vec<u8>, Content), NoMembers> {
    let at = walk.at - BLOCK_BYTES as u64;
    let name = pending.name(header);
    if header.flag == b'g' {
        let mut records = Records::default();
        records.take(&walk.records(header, "PAX records", read)?);
        records
            .parse()
            .map_err(|problem| Error::Pax { at, problem })?;
        let decides = |key: &[u8]| {
            matches!(key, b"path" | b"linkpath" | b"size") || key.starts_with(b"GNU.sparse.")
        };
        return match records.iter().find(|(key, _)| decides(key)) {
            None => Ok((name, Content::Other)),
            Some((key, _)) => Err(NoMembers::Global {
                at,
                key: shown(key),
            }),
        };
    }
    // Links, devices and directories have no payload, whatever size they claim.
    let size = match header.flag {
        b'1'..=b'6' => 0,
        _ => payload_bytes(at, &name, pending.size(header, at, &name)?)?,
    };
    if header.flag == b'S' {
        walk.sparse_map(block, &name, read)?;
    }
    let payload = walk.pass(size, &name, at)?;
    if let Some(own) = pending.sparse_name() {
        return Ok((own.unwrap_or(&name).to_vec(), Content::Sparse));
    }
    let content = match header.flag {
        b'S' => Content::Sparse,
        0 if name.ends_with(b"/") => Content::Other,
        0 | b'0' | b'7' => Content::File(payload),
        b'1' => Content::HardLink(pending.link_name(header)),
        b'2' => Content::Symlink(pending.link_name(header)),
        _ => Content::Other,
    };
    Ok((name, content))
}

/// A place in an archive.
struct Walk {
    length: u64,
    at: u64,
}

impl Walk {
    /// The next block; none at the end.
    fn block(
        &mut self,
        read: &mut impl FnMut(&mut [u8], u64) -> io::Result<()>,
    ) -> Result<Option<Block>, NoMembers> {
        let mut block = [0; BLOCK_BYTES];
        match usize::try_from(self.length - self.at) {
            Ok(0) => return Ok(None),
            Ok(have) if have < BLOCK_BYTES => {
                return Err(Error::CutHeader { at: self.at, have }.into());
            }
            _ => read(&mut block, self.at)?,
        }
        self.at += BLOCK_BYTES as u64;
        Ok(Some(block))
    }

    /// Passes over a payload and its padding, of which the end of the archive may lack some.
    fn pass(&mut self, size: u64, name: &[u8], header_at: u64) -> Result<Range<u64>, Error> {
        let left = self.length - self.at;
        if size > left {
            return Err(Error::CutPayload {
                at: header_at,
                name: shown(name),
                missing: size - left,
            });
        }
        let payload = self.at..self.at + size;
        self.at = self.length.min(payload.end + padding_after(size));
        Ok(payload)
    }

    /// The payload of a header that describes.
    fn records(
        &mut self,
        header: &Header<'_>,
        kind: &'static str,
        read: &mut impl FnMut(&mut [u8], u64) -> io::Result<()>,
    ) -> Result<Vec<u8>, NoMembers> {
        let at = self.at - BLOCK_BYTES as u64;
        let mut name = Vec::new();
        header.full_name(&mut name);
        let bytes = payload_bytes(at, &name, header.size)?;
        let max = Limits::RECORD_BYTES;
        if bytes > max {
            return Err(Error::MetaTooLarge {
                at,
                kind,
                bytes,
                max,
            }
            .into());
        }
        let payload = self.pass(bytes, &name, at)?;
        #[allow(clippy::cast_possible_truncation, reason = "a mebibyte at most")]
        let mut records = vec![0; bytes as usize];
        read(&mut records, payload.start)?;
        Ok(records)
    }

    /// Passes over the blocks that go on with the map of an old GNU sparse file.
    fn sparse_map(
        &mut self,
        header: &Block,
        name: &[u8],
        read: &mut impl FnMut(&mut [u8], u64) -> io::Result<()>,
    ) -> Result<(), NoMembers> {
        let at = self.at - BLOCK_BYTES as u64;
        if !header[257..].starts_with(b"ustar  \0") {
            return Err(Error::UnsupportedFlag {
                at,
                name: shown(name),
                flag: "S".to_owned(),
            }
            .into());
        }
        let mut goes_on = header[482] != 0;
        while goes_on {
            let Some(block) = self.block(read)? else {
                return Err(Error::CutHeader {
                    at: self.at,
                    have: 0,
                }
                .into());
            };
            goes_on = block[504] != 0;
        }
        Ok(())
    }
}
