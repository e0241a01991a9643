//! A layer's bytes for the thread that inflates them.
//! Between the network and that thread lies a short queue: whoever is slower makes the other one wait, and memory does not
//! grow.

use std::{
    io::{self, Read},
    mem,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::{Buf, Bytes};
use tokio::sync::mpsc;

use super::pieces::BlobPieces;
use crate::registry::{LayerStream, Pieces};

/// Pieces that wait at most. The HTTP client makes them of up to 400 KiB, and makes the next one meanwhile.
const QUEUE: usize = 2;

/// The same where an upload holds pieces too.
const QUEUE_WITH_UPLOAD: usize = 1;

/// Reads one layer. Not for use on a thread that runs async tasks: it blocks.
pub struct LayerReader {
    source: Source,
    read: Arc<AtomicU64>,
}

enum Source {
    File(Box<dyn Read + Send>),
    Stream {
        pieces: mpsc::Receiver<Piece>,
        /// What is read next; the next piece, where it is empty.
        piece: Piece,
    },
}

enum Piece {
    Bytes(Bytes),
    End,
    Failed(io::Error),
    GivenUp,
}

impl Piece {
    fn is_empty(&self) -> bool {
        matches!(self, Self::Bytes(bytes) if bytes.is_empty())
    }
}

impl LayerReader {
    pub(super) fn of_file(file: Box<dyn Read + Send>) -> Self {
        Self {
            source: Source::File(file),
            read: Arc::default(),
        }
    }

    pub(super) fn streaming(stream: LayerStream) -> Self {
        Self::of_pieces(BlobPieces::Network(Box::new(stream)), None)
    }

    /// What is read goes into `upload` too, as long as that takes it: whoever of the two is slower makes the other one wait.
    pub(super) fn of_pieces(mut blob: BlobPieces, mut upload: Option<Pieces>) -> Self {
        let read = Arc::<AtomicU64>::default();
        let counter = Arc::clone(&read);
        let (sender, pieces) = mpsc::channel(match upload {
            Some(_) => QUEUE_WITH_UPLOAD,
            None => QUEUE,
        });
        tokio::spawn(async move {
            loop {
                let next = blob.next().await;
                counter.store(blob.bytes_read(), Ordering::Relaxed);
                let (piece, more) = match next {
                    Ok(Some(bytes)) => {
                        if let Some(pieces) = &upload
                            && !pieces.give(bytes.clone()).await
                        {
                            upload = None;
                        }
                        (Piece::Bytes(bytes), true)
                    }
                    Ok(None) => {
                        if let Some(pieces) = upload.take() {
                            pieces.finish();
                        }
                        (Piece::End, false)
                    }
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
                piece: Piece::Bytes(Bytes::new()),
            },
            read,
        }
    }

    /// Whether the next read has something to give without waiting for the network.
    pub fn is_ready(&mut self) -> bool {
        match &mut self.source {
            Source::File(_) => true,
            Source::Stream { pieces, piece } => {
                if piece.is_empty()
                    && let Ok(next) = pieces.try_recv()
                {
                    *piece = next;
                }
                !piece.is_empty()
            }
        }
    }

    /// Waits until it is ready.
    pub fn wait(&mut self) {
        if let Source::Stream { pieces, piece } = &mut self.source {
            while piece.is_empty() {
                *piece = pieces.blocking_recv().unwrap_or(Piece::GivenUp);
            }
        }
    }

    /// Bytes that came from the store so far, including those received twice; goes on counting.
    pub fn bytes_read(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.read)
    }
}

impl Read for LayerReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.wait();
        match &mut self.source {
            Source::File(file) => {
                let n = file.read(into)?;
                self.read.fetch_add(n as u64, Ordering::Relaxed);
                Ok(n)
            }
            Source::Stream { piece, .. } => match piece {
                Piece::Bytes(bytes) => {
                    let n = bytes.len().min(into.len());
                    bytes.copy_to_slice(&mut into[..n]);
                    Ok(n)
                }
                Piece::End => Ok(0),
                Piece::Failed(_) | Piece::GivenUp => {
                    Err(match mem::replace(piece, Piece::GivenUp) {
                        Piece::Failed(error) => error,
                        _ => io::Error::other("the run was cancelled"),
                    })
                }
            },
        }
    }
}
