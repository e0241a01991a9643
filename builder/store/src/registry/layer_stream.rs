//! A layer in order, over as many connections as pay: one, unless whoever reads waits for the network most of the time. Storage
//! gives a connection 40 to 90 MB/s, and a core inflates more than three times that.
//! In: a layer, and a budget of connections. Out: its bytes in order.
//!
//! ```text
//! one connection    [================ head ============ … ================]
//! several           [== head ==][ part ][ part ][ part ] …  parts are read ahead, 2 MiB each
//! ```
//!
//! Whatever goes wrong with a part that its own resumptions do not mend, the layer goes on over one connection from there.

mod part;
mod wait;

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use bytes::Bytes;
use soci_format::oci::Descriptor;
use tokio::time::Instant;

use super::{BlobStream, Connections, Error, Repository};
use part::Part;
use wait::Wait;

/// Bytes of a part. Smaller ones spend their time on requests, larger ones take memory: up to [`PARTS_MAX`] of them are held.
const PART: u64 = 2 << 20;
/// Parts that are being read or wait for the reader at most.
const PARTS_MAX: usize = 8;
/// A layer with less left than this is read to its end over the connection that it has.
const LEFT_MIN: u64 = 64 << 20;

/// The bytes of a layer, or of a part of it.
pub struct LayerStream {
    /// The connection that reads the layer from the beginning; it ends where the parts start, if there are any.
    head: BlobStream,
    is_head_done: bool,
    /// Where more than one connection may be used.
    ahead: Option<Ahead>,
    /// Bytes that connections which are gone have brought.
    bytes_read: u64,
}

/// What is read ahead of the head.
struct Ahead {
    repository: Repository,
    descriptor: Descriptor,
    connections: Connections,
    wait: Wait,
    /// The next byte to give out.
    at: u64,
    /// Where the part after the last one starts; `None` while the head reads everything.
    next: Option<u64>,
    /// The first part, until the registry has shown that it serves parts.
    trial: Option<Part>,
    /// How far before the head it starts: the answer must come before the head gets there.
    trial_distance: u64,
    parts: VecDeque<Part>,
    bytes_read: Arc<AtomicU64>,
}

impl From<BlobStream> for LayerStream {
    fn from(head: BlobStream) -> Self {
        Self {
            head,
            is_head_done: false,
            ahead: None,
            bytes_read: 0,
        }
    }
}

impl LayerStream {
    pub(super) fn new(
        repository: Repository,
        descriptor: Descriptor,
        connections: Connections,
    ) -> Self {
        let head = repository.blob_stream(&descriptor);
        Self {
            ahead: Some(Ahead {
                repository,
                descriptor,
                connections,
                wait: Wait::default(),
                at: 0,
                next: None,
                trial: None,
                trial_distance: 2 * PART,
                parts: VecDeque::new(),
                bytes_read: Arc::default(),
            }),
            ..Self::from(head)
        }
    }

    /// The next bytes, never an empty piece; none after the last. To be dropped after an error.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let asked = Instant::now();
        let piece = self.next_piece().await?;
        if let (Some(ahead), Some(bytes)) = (&mut self.ahead, &piece) {
            ahead.at += bytes.len() as u64;
            ahead.wait.count(asked, Instant::now(), bytes.len());
        }
        Ok(piece)
    }

    /// Bytes that came over the network, those that came twice and those that were read ahead included.
    pub fn bytes_read(&self) -> u64 {
        let ahead = self.ahead.as_ref();
        let ahead = ahead.map_or(0, |ahead| ahead.bytes_read.load(Relaxed));
        self.bytes_read + self.head.bytes_read() + ahead
    }

    async fn next_piece(&mut self) -> Result<Option<Bytes>, Error> {
        if let Some(ahead) = &mut self.ahead {
            ahead.try_parts(&mut self.head);
        }
        if !self.is_head_done {
            if let Some(ahead) = &mut self.ahead {
                ahead.start_parts(true);
            }
            if let Some(bytes) = self.head.next().await? {
                return Ok(Some(bytes));
            }
            self.is_head_done = true;
        }
        let Some(ahead) = &mut self.ahead else {
            return Ok(None);
        };
        match ahead.next_piece().await {
            Ok(piece) => Ok(piece),
            Err(PartFailed) => {
                self.go_on_over_one();
                self.head.next().await
            }
        }
    }

    /// Gives up the parts, and reads what is left over one connection.
    fn go_on_over_one(&mut self) {
        self.bytes_read = self.bytes_read();
        if let Some(ahead) = self.ahead.take() {
            let left = ahead.at..ahead.descriptor.size;
            self.head = ahead.repository.blob_part(&ahead.descriptor, left);
            self.is_head_done = false;
        }
    }
}

/// A part did not come whole.
struct PartFailed;

impl Ahead {
    /// Has the first part read as a trial once the reader waits, and ends the head where it starts once it comes.
    fn try_parts(&mut self, head: &mut BlobStream) {
        if self.next.is_some() {
            return;
        }
        let Some(mut trial) = self.trial.take() else {
            let left = self.descriptor.size - self.at;
            if self.wait.connections() > 1 && left >= LEFT_MIN.max(2 * self.trial_distance) {
                let start = self.at + self.trial_distance;
                let connection = self.connections.another();
                self.trial = connection.map(|connection| self.part(start, Some(connection)));
            }
            return;
        };
        if self.at > trial.range.start {
            self.trial_distance *= 2;
            return;
        }
        match trial.look() {
            part::Look::Waiting => self.trial = Some(trial),
            part::Look::Comes => {
                head.end_at(trial.range.start);
                self.next = Some(trial.range.end);
                self.parts.push_back(trial);
            }
            part::Look::Failed => self.wait = Wait::never(),
        }
    }

    /// Starts as many parts as there are connections and memory for.
    fn start_parts(&mut self, is_head_running: bool) {
        while let Some(next) = self.next
            && next < self.descriptor.size
            && self.parts.len() < PARTS_MAX
        {
            let running = || self.parts.iter().filter(|part| part.is_running());
            if running().count() + usize::from(is_head_running) >= self.wait.connections() {
                return;
            }
            // The layer's own first connection is the head's, and after that a part's.
            let is_first_free = !is_head_running && running().all(Part::has_extra_connection);
            let connection = match is_first_free {
                true => None,
                false => match self.connections.another() {
                    Some(connection) => Some(connection),
                    None => return,
                },
            };
            let part = self.part(next, connection);
            self.next = Some(part.range.end);
            self.parts.push_back(part);
        }
    }

    fn part(&self, start: u64, connection: Option<super::Connection>) -> Part {
        let end = (start + PART).min(self.descriptor.size);
        let stream = self.repository.blob_part(&self.descriptor, start..end);
        Part::start(
            stream.without_the_rest(),
            start..end,
            connection,
            Arc::clone(&self.bytes_read),
        )
    }

    /// The next bytes behind the head.
    async fn next_piece(&mut self) -> Result<Option<Bytes>, PartFailed> {
        loop {
            self.start_parts(false);
            let Some(part) = self.parts.front_mut() else {
                return Ok(None);
            };
            match part.next().await {
                Some(Ok(bytes)) => return Ok(Some(bytes)),
                None if self.at == part.range.end => drop(self.parts.pop_front()),
                Some(Err(_)) | None => return Err(PartFailed),
            }
        }
    }
}
