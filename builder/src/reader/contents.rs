//! The contents of several files, one after the other. In: files. Out: their bytes, in order; what follows is fetched meanwhile.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;

use super::{Error, File, Shared, ahead::ReadAhead};

/// Reads files from the first byte of the first to the last of the last.
pub struct Contents {
    files: VecDeque<File>,
    ahead: ReadAhead,
}

impl Contents {
    pub(super) fn new(shared: &Arc<Shared>, files: VecDeque<File>) -> Self {
        let ahead = ReadAhead::new(shared, files.iter().flat_map(File::spans));
        Self { files, ahead }
    }

    /// The next bytes, never an empty piece; none after the last. To be dropped after an error. Where a span is too large to be
    /// kept, its bytes come before its digest is known, and the error instead of the end.
    ///
    /// # Errors
    /// Where a span cannot be fetched, or is not what its ztoc says; and where a file has another size.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        while let Some(file) = self.files.front_mut() {
            if let Some(piece) = file.next(&mut self.ahead).await? {
                return Ok(Some(piece));
            }
            self.files.pop_front();
        }
        Ok(None)
    }

    /// All bytes of all files.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub async fn read(mut self) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        while let Some(piece) = self.next().await? {
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }
}
