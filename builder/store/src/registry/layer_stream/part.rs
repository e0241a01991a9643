//! A part of a layer that is read ahead, by a task of its own.
//! In: its stream. Out: its bytes, as they come; it may be whole before anybody asks for them.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use bytes::Bytes;
use tokio::{
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender, error::TryRecvError},
    task::JoinHandle,
};

use crate::registry::{BlobStream, Connection, Error};

/// One part; dropping it ends its task.
pub(super) struct Part {
    /// Its place in the layer.
    pub(super) range: Range<u64>,
    /// A piece that was looked at.
    seen: Option<Bytes>,
    /// Without a bound of its own: the part is small.
    pieces: UnboundedReceiver<Result<Bytes, Error>>,
    task: JoinHandle<()>,
    has_extra_connection: bool,
}

/// What came of a part so far.
pub(super) enum Look {
    /// Nothing.
    Waiting,
    /// Its first bytes.
    Comes,
    /// An error.
    Failed,
}

impl Part {
    /// Starts to read. `connection` is the one that it takes of the budget, if it takes one.
    pub(super) fn start(
        stream: BlobStream,
        range: Range<u64>,
        connection: Option<Connection>,
        bytes_read: Arc<AtomicU64>,
    ) -> Self {
        let (sender, pieces) = mpsc::unbounded_channel();
        Self {
            range,
            seen: None,
            pieces,
            has_extra_connection: connection.is_some(),
            task: tokio::spawn(async move {
                read(stream, &sender, &bytes_read).await;
                drop(connection);
            }),
        }
    }

    /// Whether its connection is in use.
    pub(super) fn is_running(&self) -> bool {
        !self.task.is_finished()
    }

    pub(super) fn has_extra_connection(&self) -> bool {
        self.has_extra_connection
    }

    /// Whether anything has come, without waiting.
    pub(super) fn look(&mut self) -> Look {
        match self.pieces.try_recv() {
            Ok(Ok(bytes)) => {
                self.seen = Some(bytes);
                Look::Comes
            }
            Ok(Err(_)) | Err(TryRecvError::Disconnected) => Look::Failed,
            Err(TryRecvError::Empty) => Look::Waiting,
        }
    }

    /// The next bytes; none after the last, and none where the task died.
    pub(super) async fn next(&mut self) -> Option<Result<Bytes, Error>> {
        match self.seen.take() {
            Some(bytes) => Some(Ok(bytes)),
            None => self.pieces.recv().await,
        }
    }
}

async fn read(
    mut stream: BlobStream,
    sender: &UnboundedSender<Result<Bytes, Error>>,
    bytes_read: &AtomicU64,
) {
    loop {
        let before = stream.bytes_read();
        let next = tokio::select! {
            next = stream.next() => next,
            () = sender.closed() => return,
        };
        bytes_read.fetch_add(stream.bytes_read() - before, Relaxed);
        let (piece, is_last) = match next {
            Ok(Some(bytes)) => (Ok(bytes), false),
            Ok(None) => return,
            Err(error) => (Err(error), true),
        };
        if sender.send(piece).is_err() || is_last {
            return;
        }
    }
}
