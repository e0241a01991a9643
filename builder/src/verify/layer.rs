//! One layer and its ztoc: read once, for two readers at a time. One makes the ztoc again, the other tries every span.

use std::{
    io::{self, Read},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
};

use bytes::{Buf, Bytes};
use soci_format::{
    digest::Digest,
    index::SPAN_SIZE,
    inflate::checkpoint::Zinfo,
    layer::{self, Options, Pass},
    oci::{Descriptor, LayerEncoding, is_foreign},
    plural::bytes as bytes_of,
    ztoc::{Compression, TarZinfo, Ztoc},
};
use soci_index::run::chain;
use soci_store::store::{ReadImages, Store};
use tokio::task::spawn_blocking;

use super::{LayerReport, cut, differences, spans};
use crate::reader::Spans;

/// Bytes handed on at once, and how many such pieces may wait.
const PIECE: usize = 256 << 10;
const QUEUE: usize = 4;

/// What there is to verify: a layer, and a ztoc of it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Task {
    layer: (String, Digest, u64),
    /// Whether its bytes may be missing.
    is_foreign: bool,
    ztoc: Option<(Digest, u64, Option<String>)>,
}

impl Task {
    pub(super) fn new(layer: &Descriptor, ztoc: Option<&Descriptor>) -> Self {
        Self {
            layer: (layer.media_type.clone(), layer.digest, layer.size),
            is_foreign: is_foreign(&layer.media_type),
            ztoc: ztoc.map(|ztoc| {
                let span_size = ztoc.annotations.get(SPAN_SIZE).cloned();
                (ztoc.digest, ztoc.size, span_size)
            }),
        }
    }
}

/// Verifies one layer.
pub(super) async fn verify(store: &Store, task: &Task) -> LayerReport {
    let (media_type, digest, size) = &task.layer;
    let mut report = LayerReport {
        digest: *digest,
        size: *size,
        ztoc: task.ztoc.as_ref().map(|(digest, ..)| *digest),
        spans: 0,
        files: 0,
        problems: Vec::new(),
    };
    let ztoc = match &task.ztoc {
        Some(named) => match fetch(store, named).await {
            Ok((ztoc, problems)) => {
                report.problems.extend(problems);
                Some(ztoc)
            }
            Err(problem) => {
                report.problems.push(problem);
                None
            }
        },
        None => None,
    };
    if task.is_foreign && ztoc.is_none() && matches!(store.blob_size(digest).await, Ok(None)) {
        return report;
    }
    let limit = store.limits().problems;
    let (store, layer) = (store.clone(), Descriptor::new(media_type, *digest, *size));
    let read = spawn_blocking(move || match ztoc {
        Some(ztoc) => with_ztoc(&store, &layer, ztoc),
        None => Ok(Found {
            problems: digest_problems(&without_ztoc(&store, &layer)?, &layer),
            ..Found::default()
        }),
    });
    match read.await {
        Ok(Ok(mut found)) => {
            cut(&mut found.problems, limit);
            report.problems.extend(found.problems);
            report.spans = found.spans;
            report.files = found.files;
        }
        Ok(Err(error)) => report
            .problems
            .push(format!("it cannot be read: {}", chain(&*error))),
        Err(_) => report
            .problems
            .push("internal error, please report it: a worker thread panicked".to_owned()),
    }
    report
}

/// What reading a layer showed.
#[derive(Default)]
struct Found {
    problems: Vec<String>,
    spans: usize,
    files: usize,
}

type ReadError = Box<dyn std::error::Error + Send + Sync>;

/// The ztoc, and what its descriptor says wrongly of it.
async fn fetch(
    store: &Store,
    (digest, size, span_size): &(Digest, u64, Option<String>),
) -> Result<(Ztoc, Vec<String>), String> {
    let descriptor = Descriptor::new("", *digest, *size);
    let bytes = store.blob(&descriptor).await;
    let bytes = bytes.map_err(|error| format!("its ztoc: {}", chain(&error)))?;
    let mut problems = Vec::new();
    if bytes.len() as u64 != *size {
        problems.push(format!(
            "the ztoc {digest} has {}, but its descriptor says {size}",
            bytes_of(bytes.len())
        ));
    }
    let ztoc = Ztoc::parse(&bytes)
        .map_err(|error| format!("the ztoc {digest} cannot be read: {}", chain(&error)))?;
    if let Some(id) = ztoc.empty_span() {
        problems.push(format!(
            "span {id} of the ztoc {digest} has no bytes though others follow: the SOCI snapshotter refuses such a ztoc, and downloads the whole layer"
        ));
    }
    let own = span_size_of(&ztoc).to_string();
    if span_size.as_ref() != Some(&own) {
        problems.push(format!(
            "the ztoc {digest} has spans of {own} bytes, but its annotation {SPAN_SIZE} says {}",
            span_size.as_deref().unwrap_or("nothing")
        ));
    }
    Ok((ztoc, problems))
}

fn span_size_of(ztoc: &Ztoc) -> u64 {
    match ztoc.compression {
        Compression::Gzip => Zinfo::parse(&ztoc.checkpoints).map_or(0, |zinfo| zinfo.span_size),
        Compression::Uncompressed => {
            TarZinfo::parse(&ztoc.checkpoints).map_or(0, |zinfo| zinfo.span_size)
        }
    }
}

/// Makes the ztoc again, and tries the spans of the one that is there.
fn with_ztoc(store: &Store, layer: &Descriptor, mut ztoc: Ztoc) -> Result<Found, ReadError> {
    let limits = store.limits();
    let options = Options {
        // Spans hold at least a byte.
        span_size: span_size_of(&ztoc).max(1),
        build_tool: ztoc.build_tool.clone(),
        // Others may choose smaller spans than we would.
        bytes_max: limits.ztoc_bytes_of(layer.size).max(ztoc.size_max() as u64),
    };
    // The checkpoints are nearly all of a ztoc, and there only once.
    let spans = Spans::taken_from(&mut ztoc, layer.size);
    let declared = LayerEncoding::declared_by(&layer.media_type);
    let (pass, tried) = read_twice(
        &mut store.open_layer(layer)?,
        |mut source| layer::pass(&mut source, declared, &options, &mut layer::no_spare_core),
        |mut source| match &spans {
            Ok(spans) if ztoc.compression == Compression::Gzip => {
                spans::problems(&mut source, spans)
            }
            _ => io::copy(&mut source, &mut io::sink()).map(|_| Vec::new()),
        },
    )?;
    let mut problems = digest_problems(&pass, layer);
    match spans {
        Ok(spans) if ztoc.compression == Compression::Gzip => {
            ztoc.checkpoints = spans.into_checkpoints();
        }
        Ok(_) => {}
        Err(error) => problems.push(format!("its ztoc: {}", chain(&error))),
    }
    match &pass.ztoc {
        Ok(right) => {
            problems.extend(differences(&ztoc, right, limits.problems));
        }
        Err(error) => problems.push(format!("it has a ztoc, but {}", chain(error))),
    }
    problems.extend(tried);
    Ok(Found {
        problems,
        spans: ztoc.span_digests.len(),
        files: ztoc.toc.len(),
    })
}

fn without_ztoc(store: &Store, layer: &Descriptor) -> io::Result<Pass> {
    let source = store.open_layer(layer).map_err(io::Error::other)?;
    let options = Options {
        span_size: i64::MAX.cast_unsigned(),
        build_tool: String::new(),
        bytes_max: 0,
    };
    // Only its digest is asked for; an encoding that nothing has is hashed and not inflated.
    layer::pass(
        source,
        LayerEncoding::NotALayer,
        &options,
        &mut layer::no_spare_core,
    )
}

fn digest_problems(pass: &Pass, layer: &Descriptor) -> Vec<String> {
    if pass.digest == layer.digest && pass.size == layer.size {
        return Vec::new();
    }
    vec![format!(
        "digest mismatch: expected {} ({}), got {} ({})",
        layer.digest,
        bytes_of(layer.size),
        pass.digest,
        bytes_of(pass.size)
    )]
}

/// Gives all of `source` to two readers, each on a thread of its own.
fn read_twice<A: Send, B: Send>(
    source: &mut impl Read,
    one: impl FnOnce(Pieces) -> io::Result<A> + Send,
    other: impl FnOnce(Pieces) -> io::Result<B> + Send,
) -> io::Result<(A, B)> {
    let (to_one, from_one) = sync_channel(QUEUE);
    let (to_other, from_other) = sync_channel(QUEUE);
    thread::scope(|scope| {
        let one = scope.spawn(|| one(Pieces::new(from_one)));
        let other = scope.spawn(|| other(Pieces::new(from_other)));
        let read = hand_on(source, &[&to_one, &to_other]);
        // The end of the bytes is the end of the channel.
        drop((to_one, to_other));
        let died =
            |_| io::Error::other("internal error, please report it: a worker thread panicked");
        let (one, other) = (one.join(), other.join());
        // A source that broke off is the cause of all else.
        read?;
        Ok((one.map_err(died)??, other.map_err(died)??))
    })
}

fn hand_on(source: &mut impl Read, to: &[&SyncSender<Bytes>]) -> io::Result<()> {
    let mut buffer = vec![0; PIECE];
    loop {
        let n = match source.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let piece = Bytes::copy_from_slice(&buffer[..n]);
        for reader in to {
            // One that gave up says why when it is joined.
            let _ = reader.send(piece.clone());
        }
    }
}

/// Bytes from the other thread.
struct Pieces {
    pieces: Receiver<Bytes>,
    piece: Bytes,
}

impl Pieces {
    fn new(pieces: Receiver<Bytes>) -> Self {
        Self {
            pieces,
            piece: Bytes::new(),
        }
    }
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.piece.is_empty() {
            match self.pieces.recv() {
                Ok(piece) => self.piece = piece,
                Err(_) => return Ok(0),
            }
        }
        let n = self.piece.len().min(buffer.len());
        self.piece.copy_to_slice(&mut buffer[..n]);
        Ok(n)
    }
}
