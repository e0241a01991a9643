//! A layer's bytes for the thread that inflates them.
//! Between the network and that thread lies a short queue: whoever is slower makes the other one wait, and memory does not
//! grow.

use std::{
    io::{self, Read},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::{Buf, Bytes};
use tokio::sync::mpsc;

use crate::registry::{self, BlobStream};

/// Pieces that wait at most. The HTTP client makes them of up to half a megabyte.
const QUEUE: usize = 4;

/// Reads one layer. Not for use on a thread that runs async tasks: it blocks.
pub struct LayerReader {
    source: Source,
    read: Arc<AtomicU64>,
}

enum Source {
    File(Box<dyn Read + Send>),
    Stream {
        pieces: mpsc::Receiver<Piece>,
        piece: Bytes,
        ended: bool,
    },
}

enum Piece {
    Bytes(Bytes),
    End,
    Failed(registry::Error),
}

impl LayerReader {
    pub(super) fn of_file(file: Box<dyn Read + Send>) -> Self {
        Self {
            source: Source::File(file),
            read: Arc::default(),
        }
    }

    pub(super) fn streaming(mut stream: BlobStream) -> Self {
        let read = Arc::<AtomicU64>::default();
        let counter = Arc::clone(&read);
        let (sender, pieces) = mpsc::channel(QUEUE);
        tokio::spawn(async move {
            loop {
                let next = stream.next().await;
                counter.store(stream.bytes_read(), Ordering::Relaxed);
                let (piece, more) = match next {
                    Ok(Some(bytes)) => (Piece::Bytes(bytes), true),
                    Ok(None) => (Piece::End, false),
                    Err(error) => (Piece::Failed(error), false),
                };
                // Nobody listens any more when the run was given up.
                if sender.send(piece).await.is_err() || !more {
                    break;
                }
            }
        });
        Self {
            source: Source::Stream {
                pieces,
                piece: Bytes::new(),
                ended: false,
            },
            read,
        }
    }

    /// Bytes that came from the store so far, those that came twice included; goes on counting.
    pub fn bytes_read(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.read)
    }
}

impl Read for LayerReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match &mut self.source {
            Source::File(file) => {
                let n = file.read(into)?;
                self.read.fetch_add(n as u64, Ordering::Relaxed);
                Ok(n)
            }
            Source::Stream {
                pieces,
                piece,
                ended,
            } => {
                while piece.is_empty() && !*ended {
                    match pieces.blocking_recv() {
                        Some(Piece::Bytes(bytes)) => *piece = bytes,
                        Some(Piece::End) => *ended = true,
                        Some(Piece::Failed(error)) => return Err(io::Error::other(error)),
                        None => return Err(io::Error::other("the run was given up")),
                    }
                }
                let n = piece.len().min(into.len());
                piece.copy_to_slice(&mut into[..n]);
                Ok(n)
            }
        }
    }
}
