//! The bytes of a blob, piece by piece, wherever it is. In: a stream of a registry, or a file of a layout. Out: pieces in order.

use std::io::{self, Read};

use bytes::Bytes;
use tokio::task::spawn_blocking;

use crate::registry::LayerStream;

/// Bytes of a file that are read at once: about what the HTTP client gives.
const PIECE_BYTES: usize = 256 << 10;

/// The bytes of one blob.
pub(super) enum BlobPieces {
    Network(Box<LayerStream>),
    File {
        /// Taken while it is read.
        file: Option<Box<dyn Read + Send>>,
        bytes_read: u64,
    },
}

impl BlobPieces {
    pub(super) fn of_file(file: Box<dyn Read + Send>) -> Self {
        Self::File {
            file: Some(file),
            bytes_read: 0,
        }
    }

    /// The next bytes, never an empty piece; none after the last. To be dropped after an error.
    pub(super) async fn next(&mut self) -> io::Result<Option<Bytes>> {
        match self {
            Self::Network(stream) => stream.next().await.map_err(io::Error::other),
            Self::File { file, bytes_read } => {
                let Some(mut reading) = file.take() else {
                    return Ok(None);
                };
                let read = spawn_blocking(move || {
                    let mut piece = vec![0; PIECE_BYTES];
                    let length = reading.read(&mut piece)?;
                    piece.truncate(length);
                    Ok::<_, io::Error>((reading, Bytes::from(piece)))
                });
                let (reading, piece) = read.await.map_err(io::Error::other)??;
                if piece.is_empty() {
                    return Ok(None);
                }
                *file = Some(reading);
                *bytes_read += piece.len() as u64;
                Ok(Some(piece))
            }
        }
    }

    /// Bytes that came from the store, including those received twice.
    pub(super) fn bytes_read(&self) -> u64 {
        match self {
            Self::Network(stream) => stream.bytes_read(),
            Self::File { bytes_read, .. } => *bytes_read,
        }
    }
}
