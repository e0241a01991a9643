//! Each stage of a layer pass on its own, and the whole, in bytes of its input per second and core.
//! `cargo bench -p soci-builder`

use std::{convert::Infallible, io::Write as _, sync::LazyLock};

use divan::{Bencher, black_box, counter::BytesCount};
use soci_format::{
    digest::Digest,
    inflate::{Boundary, Gunzip, Sink, checkpoint::Checkpoints},
    layer::{self, Options},
    oci::LayerEncoding,
    tar::TarReader,
    ztoc::Ztoc,
};

fn main() {
    divan::main();
}

const SPAN: u64 = 4 << 20;
const PLAIN: usize = 24 << 20;

/// What is in a layer, and how it is compressed.
#[derive(Clone, Copy, Debug)]
enum Shape {
    /// Source code and the like: short matches.
    Text,
    /// Programs: literals and long matches in turn.
    Binary,
    /// Text in one gzip member per 128 KiB, as parallel compressors write it.
    Members,
    /// What was compressed before: stored blocks.
    Stored,
}

const SHAPES: [Shape; 4] = [Shape::Text, Shape::Binary, Shape::Members, Shape::Stored];

struct Layer {
    plain: Vec<u8>,
    stored: Vec<u8>,
}

static LAYERS: LazyLock<[Layer; 4]> = LazyLock::new(|| SHAPES.map(layer_of));

fn layer(shape: Shape) -> &'static Layer {
    &LAYERS[shape as usize]
}

fn layer_of(shape: Shape) -> Layer {
    let mut random = fastrand::Rng::with_seed(shape as u64);
    let words: Vec<Vec<u8>> = (0..4_000)
        .map(|_| {
            let letters = random.usize(2..11);
            let mut word: Vec<u8> = (0..letters).map(|_| random.lowercase() as u8).collect();
            word.push(b" \n"[usize::from(random.u8(..8) == 0)]);
            word
        })
        .collect();
    let mut builder = tar::Builder::new(Vec::with_capacity(PLAIN));
    for number in 0.. {
        if builder.get_ref().len() >= PLAIN {
            break;
        }
        let mut file = Vec::new();
        let length = random.usize(500..40_000);
        while file.len() < length {
            match shape {
                // The product makes few words frequent and most of them rare.
                Shape::Text | Shape::Members => {
                    let rank =
                        random.usize(..words.len()) * random.usize(..words.len()) / words.len();
                    file.extend(&words[rank]);
                }
                Shape::Binary if random.bool() && !file.is_empty() => {
                    let from = random.usize(..file.len());
                    let end = file.len().min(from + random.usize(3..300));
                    file.extend_from_within(from..end);
                }
                Shape::Binary => {
                    file.extend((0..random.usize(1..40)).map(|_| random.u8(..) & random.u8(..)))
                }
                Shape::Stored => file.extend(random.u64(..).to_le_bytes()),
            }
        }
        let mut header = tar::Header::new_ustar();
        header.set_size(file.len() as u64);
        let name = format!("usr/share/{}/{number}", number % 50);
        builder
            .append_data(&mut header, name, &file[..])
            .expect("memory takes it");
    }
    let plain = builder.into_inner().expect("memory takes it");
    let (level, member) = match shape {
        Shape::Text | Shape::Binary => (6, plain.len()),
        Shape::Members => (6, 128 << 10),
        Shape::Stored => (0, plain.len()),
    };
    let mut stored = Vec::new();
    for piece in plain.chunks(member) {
        let mut encoder =
            flate2::write::GzEncoder::new(&mut stored, flate2::Compression::new(level));
        encoder.write_all(piece).expect("memory takes it");
    }
    Layer { plain, stored }
}

/// Keeps the checkpoints only.
struct OnlyCheckpoints(Checkpoints);

impl Sink for OnlyCheckpoints {
    type Error = Infallible;

    fn compressed(&mut self, bytes: &[u8]) {
        black_box(bytes);
    }

    fn uncompressed(&mut self, bytes: &[u8]) -> Result<(), Infallible> {
        black_box(bytes);
        Ok(())
    }

    fn boundary(&mut self, boundary: Boundary, window: &[u8]) {
        self.0.offer(boundary, window);
    }
}

/// Gzip to uncompressed bytes and checkpoints; bytes are plain ones.
#[divan::bench(args = SHAPES, sample_count = 10)]
fn inflate(bencher: Bencher<'_, '_>, shape: Shape) {
    let Layer { plain, stored } = layer(shape);
    bencher.counter(BytesCount::new(plain.len())).bench(|| {
        let mut sink = OnlyCheckpoints(Checkpoints::new(SPAN));
        let read = Gunzip::default().run(&mut &stored[..], &mut sink);
        assert!(read.is_ok_and(|length| length.0 == plain.len() as u64));
        sink.0.finish()
    });
}

#[divan::bench(sample_count = 10)]
fn sha256(bencher: Bencher<'_, '_>) {
    let bytes = &layer(Shape::Stored).stored;
    bencher
        .counter(BytesCount::new(bytes.len()))
        .bench(|| Digest::of(black_box(bytes)));
}

/// Uncompressed bytes to entries.
#[divan::bench(sample_count = 100)]
fn tar_entries(bencher: Bencher<'_, '_>) {
    let plain = &layer(Shape::Text).plain;
    bencher.counter(BytesCount::new(plain.len())).bench(|| {
        let (mut reader, mut entries) = (TarReader::new(), 0);
        for piece in plain.chunks(256 << 10) {
            let pushed = reader.push(piece, &mut |entry| {
                entries += usize::from(black_box(entry.size) > 0)
            });
            assert!(pushed.is_ok());
        }
        entries
    });
}

/// A ztoc of many files to its bytes; bytes are written ones.
#[divan::bench(sample_count = 20)]
fn ztoc_writing(bencher: Bencher<'_, '_>) {
    let ztoc = ztoc_of(&layer(Shape::Text).stored, 64 << 10, LayerEncoding::Gzip);
    let size = ztoc.clone().into_bytes().len();
    bencher
        .counter(BytesCount::new(size))
        .with_inputs(|| ztoc.clone())
        .bench_values(Ztoc::into_bytes);
}

/// The whole pass: inflate, digests, checkpoints, tar, ztoc; bytes are stored ones.
#[divan::bench(args = SHAPES, sample_count = 10)]
fn pass(bencher: Bencher<'_, '_>, shape: Shape) {
    let stored = &layer(shape).stored;
    bencher
        .counter(BytesCount::new(stored.len()))
        .bench(|| ztoc_of(stored, SPAN, LayerEncoding::Gzip).into_bytes());
}

/// The same of a layer that is not compressed.
#[divan::bench(sample_count = 10)]
fn pass_uncompressed(bencher: Bencher<'_, '_>) {
    let plain = &layer(Shape::Text).plain;
    bencher
        .counter(BytesCount::new(plain.len()))
        .bench(|| ztoc_of(plain, SPAN, LayerEncoding::Uncompressed).into_bytes());
}

fn ztoc_of(stored: &[u8], span_size: u64, encoding: LayerEncoding) -> Ztoc {
    let options = Options {
        span_size,
        build_tool: String::new(),
        bytes_max: 1 << 30,
    };
    let pass = layer::pass(stored, encoding, &options, &mut layer::no_spare_core)
        .expect("memory can be read");
    pass.ztoc.expect("it is a good layer")
}
