//! Bytes that are read from any place, by many at once, whatever becomes of the name that their file had.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    ops::Range,
    sync::Arc,
};

use soci_format::tar::{Members, NoMembers};

/// What has bytes at every place up to its length.
pub trait Places: Send + Sync {
    /// How many bytes there are.
    ///
    /// # Errors
    /// Where it is not known.
    fn length(&self) -> io::Result<u64>;

    /// Reads some bytes from `at` on; none at the end only.
    ///
    /// # Errors
    /// Where they cannot be read.
    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<usize>;

    /// Fills `bytes` with those from `at` on.
    ///
    /// # Errors
    /// Where there are not so many, or they cannot be read.
    fn fill(&self, mut bytes: &mut [u8], mut at: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.read_at(bytes, at) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => {
                    bytes = &mut bytes[read..];
                    at += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Places for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    #[cfg(unix)]
    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(self, bytes, at)
    }

    #[cfg(windows)]
    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<usize> {
        std::os::windows::fs::FileExt::seek_read(self, bytes, at)
    }
}

impl Places for [u8] {
    fn length(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<usize> {
        let from = usize::try_from(at).map_or(self.len(), |at| at.min(self.len()));
        (&self[from..]).read(bytes)
    }
}

pub(super) fn members(archive: &(impl Places + ?Sized)) -> Result<Members, NoMembers> {
    Members::of(archive.length()?, &mut |bytes, at| archive.fill(bytes, at))
}

/// A reader of a part of a file.
pub(super) struct Part {
    file: Arc<File>,
    part: Range<u64>,
    /// Of the part; may be behind it.
    at: u64,
}

impl Part {
    pub(super) fn of(file: &Arc<File>, part: Range<u64>) -> Self {
        let file = Arc::clone(file);
        Self { file, part, at: 0 }
    }

    fn length(&self) -> u64 {
        self.part.end - self.part.start
    }
}

impl Read for Part {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let left = self.length().saturating_sub(self.at);
        let most = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
        let read = self
            .file
            .read_at(&mut bytes[..most], self.part.start + self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Part {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.length().checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
