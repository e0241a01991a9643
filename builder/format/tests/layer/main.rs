//! A whole layer, one pass: the same ztoc however its bytes arrive, spans that another hand finds again, and for what
//! cannot be indexed the reason, the place, and the digest all the same.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(
    clippy::cast_possible_truncation,
    reason = "test layers are far below 4 GiB"
)]

use std::{
    error::Error,
    fs,
    io::{self, Read, Write as _},
    path::Path,
    sync::LazyLock,
};

use proptest::{prelude::*, sample::Index};
use sha2::{Digest as _, Sha256};
use soci_format::{
    layer::{self, Options, Pass, Unindexable},
    oci::LayerEncoding::{self, Gzip, Uncompressed, Unknown},
    ztoc::{Compression, DEFAULT_BUILD_TOOL, TarZinfo, Ztoc},
};

mod empty_spans;
mod limits;

const WINDOW: usize = 32 * 1024;

/// Every golden layer: name and stored bytes.
static GOLDEN: LazyLock<Vec<(String, Vec<u8>)>> = LazyLock::new(|| {
    let layers = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/layers");
    let mut found: Vec<_> = fs::read_dir(layers)
        .unwrap()
        .map(|case| case.unwrap().path())
        .map(|case| {
            let name = case.file_name().unwrap().to_str().unwrap().to_owned();
            let gzip = fs::read(case.join("layer.tar.gz"));
            (
                name,
                gzip.or_else(|_| fs::read(case.join("layer.tar"))).unwrap(),
            )
        })
        .collect();
    found.sort();
    found
});

fn pass_of(source: impl Read, declared: LayerEncoding, span_size: u64) -> Pass {
    let options = Options {
        span_size,
        build_tool: DEFAULT_BUILD_TOOL.to_owned(),
        bytes_max: 1 << 30,
    };
    layer::pass(source, declared, &options, &mut layer::no_spare_core).unwrap()
}

/// The pass over bytes in memory. Whatever it finds, their digest and their number are right.
fn checked_pass(stored: &[u8], declared: LayerEncoding, span_size: u64) -> Pass {
    let pass = pass_of(stored, declared, span_size);
    assert_eq!(pass.digest.to_string(), sha256(stored));
    assert_eq!(pass.size, stored.len() as u64);
    pass
}

fn ztoc_of(stored: &[u8], span_size: u64) -> Ztoc {
    checked_pass(stored, Unknown, span_size).ztoc.unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    let hex = Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>();
    format!("sha256:{hex}")
}

fn plain_of(stored: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    flate2::read::MultiGzDecoder::new(stored)
        .read_to_end(&mut plain)
        .unwrap();
    plain
}

fn gzip(plain: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(level));
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// A tar archive of these files.
fn archive(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, payload) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(payload.len() as u64);
        header.set_mode(0o644);
        builder
            .append_data(&mut header, name, &payload[..])
            .unwrap();
    }
    builder.into_inner().unwrap()
}

/// The error with its causes, as a program prints it.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Gives the bytes in reads of these sizes, over and over.
struct ShortReads<'a> {
    bytes: &'a [u8],
    sizes: std::iter::Cycle<std::slice::Iter<'a, usize>>,
}

impl Read for ShortReads<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let size = (*self.sizes.next().unwrap()).min(buffer.len());
        self.bytes.read(&mut buffer[..size])
    }
}

fn in_pieces(bytes: &[u8], sizes: &[usize], span_size: u64) -> Pass {
    let sizes = sizes.iter().cycle();
    pass_of(ShortReads { bytes, sizes }, Unknown, span_size)
}

fn same(one: &Pass, other: &Pass) -> bool {
    let outcome = |pass: &Pass| pass.ztoc.as_ref().map_err(|error| chain(error)).cloned();
    (one.digest, one.size) == (other.digest, other.size) && outcome(one) == outcome(other)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn any_reads_give_one_ztoc(
        layer in any::<Index>(),
        sizes in prop::collection::vec(prop_oneof![1..8usize, 1..200_000usize], 1..20),
        span_size in prop_oneof![1..2_000u64, 1..300_000u64],
    ) {
        let (name, stored) = layer.get(&GOLDEN);
        // A span of a few bytes in a large plain layer is as many digests as bytes.
        let span_size = span_size.max(stored.len() as u64 / 2_000);
        let whole = pass_of(&stored[..], Unknown, span_size);
        prop_assert!(same(&in_pieces(stored, &sizes, span_size), &whole), "{name}");
    }

    #[test]
    fn any_reads_of_a_broken_layer_give_one_reason(
        layer in any::<Index>(),
        at in any::<Index>(),
        value in any::<u8>(),
        end in any::<Index>(),
        sizes in prop::collection::vec(1..100_000usize, 1..9),
    ) {
        let (name, stored) = layer.get(&GOLDEN);
        let mut broken = stored.clone();
        broken[at.index(stored.len())] = value;
        for broken in [&broken, &stored[..end.index(stored.len())]] {
            let whole = checked_pass(broken, Unknown, 65_536);
            prop_assert!(same(&in_pieces(broken, &sizes, 65_536), &whole), "{name}");
        }
    }
}

#[test]
fn byte_by_byte() {
    for (name, stored) in GOLDEN.iter() {
        let whole = pass_of(&stored[..], Unknown, 65_536);
        assert!(same(&in_pieces(stored, &[1], 65_536), &whole), "{name}");
    }
}

/// Checkpoints as the format says, read without the library: compressed offset, bits, plain offset, window.
fn checkpoints(zinfo: &[u8]) -> Vec<(usize, u8, usize, &[u8])> {
    let number = |bytes: &[u8]| i64::from_le_bytes(bytes.try_into().unwrap()) as usize;
    let count = i32::from_le_bytes(zinfo[..4].try_into().unwrap());
    let found: Vec<_> = zinfo[12..]
        .chunks(17 + WINDOW)
        .map(|one| (number(&one[..8]), one[16], number(&one[8..16]), &one[17..]))
        .collect();
    assert_eq!(count as usize, found.len());
    found
}

#[test]
fn spans_of_gzip_layers() {
    let mut shared_bytes = 0;
    for (name, stored) in GOLDEN
        .iter()
        .filter(|(_, stored)| stored.starts_with(&[0x1f, 0x8b]))
    {
        let plain = plain_of(stored);
        for span_size in [1, 10_000, 65_536, 4 << 20] {
            let ztoc = ztoc_of(stored, span_size);
            let checkpoints = checkpoints(&ztoc.checkpoints);
            assert_eq!(ztoc.checkpoints[4..12], span_size.to_le_bytes());
            assert_eq!(ztoc.max_span_id as usize, checkpoints.len() - 1);
            let mut digests = Vec::new();
            for (i, &(at, bits, out, window)) in checkpoints.iter().enumerate() {
                let start = if bits == 0 { at } else { at - 1 };
                let end = checkpoints.get(i + 1).map_or(stored.len(), |next| next.0);
                digests.push(sha256(&stored[start..end]));
                shared_bytes += usize::from(bits > 0);
                let known = out.min(WINDOW);
                assert!(
                    window[WINDOW - known..] == plain[out - known..out],
                    "{name} {i}"
                );
                assert!(
                    window[..WINDOW - known].iter().all(|&byte| byte == 0),
                    "{name} {i}"
                );
                if out > 0 {
                    assert!(
                        out - checkpoints[i - 1].2 > span_size as usize,
                        "{name} {i}"
                    );
                }
            }
            let found: Vec<_> = ztoc.span_digests.iter().map(ToString::to_string).collect();
            assert_eq!(found, digests, "{name} {span_size}");
        }
    }
    assert!(shared_bytes > 100, "{shared_bytes}");
}

#[test]
fn spans_of_uncompressed_layers() {
    let layer = archive([("a".to_owned(), vec![7; 3_000])]);
    let size = layer.len() as u64;
    for span_size in [1, 511, 512, 1_000, size - 1, size, size + 1, u64::MAX] {
        let ztoc = ztoc_of(&layer, span_size);
        let chunk = usize::try_from(span_size).unwrap();
        let digests: Vec<_> = layer.chunks(chunk).map(sha256).collect();
        let found: Vec<_> = ztoc.span_digests.iter().map(ToString::to_string).collect();
        assert_eq!(found, digests, "{span_size}");
        assert_eq!(ztoc.max_span_id as usize, digests.len() - 1);
        let zinfo = TarZinfo::parse(&ztoc.checkpoints).unwrap();
        assert_eq!((zinfo.span_size, zinfo.size), (span_size, size));
        assert_eq!(ztoc.compression, Compression::Uncompressed);
        let starts: Vec<_> = (0..digests.len() as u64).map(|id| id * span_size).collect();
        assert_eq!(ztoc.span_starts(), starts);
    }
}

#[test]
fn empty_layers() {
    let ztoc = ztoc_of(b"", 100);
    assert_eq!(
        (ztoc.max_span_id, ztoc.plain_size, ztoc.toc.len()),
        (-1, 0, 0)
    );
    assert!(ztoc.span_digests.is_empty());
    let ztoc = ztoc_of(&gzip(b"", 6), 100);
    assert_eq!(
        (ztoc.max_span_id, ztoc.plain_size, ztoc.toc.len()),
        (0, 0, 0)
    );
    // Not even the magic is there.
    for cut in [&b""[..], b"\x1f"] {
        let refused = checked_pass(cut, Gzip, 100).ztoc.unwrap_err();
        assert!(
            matches!(refused, Unindexable::MediaTypeLies { .. }),
            "{refused}"
        );
    }
}

#[test]
fn twenty_thousand_files() {
    const FILES: usize = 20_000;
    let files = (0..FILES).map(|i| (format!("usr/{}/{i}", i % 97), i.to_string().into_bytes()));
    let plain = archive(files);
    for stored in [gzip(&plain, 1), plain.clone()] {
        let ztoc = ztoc_of(&stored, 1 << 20);
        assert_eq!(ztoc.toc.len(), FILES);
        assert_eq!(ztoc.plain_size, plain.len() as u64);
        for (i, file) in ztoc.toc.iter().enumerate() {
            assert_eq!(file.name, format!("usr/{}/{i}", i % 97).as_bytes());
            let start = file.offset as usize;
            let payload = &plain[start..start + file.size as usize];
            assert_eq!(payload, i.to_string().as_bytes());
        }
        assert!(Ztoc::parse(&ztoc.clone().into_bytes()).unwrap() == ztoc);
    }
}

#[test]
fn truncated_gzip_layers_say_where() {
    for (name, stored) in GOLDEN
        .iter()
        .filter(|(_, stored)| stored.starts_with(&[0x1f, 0x8b]))
    {
        let ends = (2..stored.len())
            .step_by(1 + stored.len() / 40)
            .chain([stored.len() - 1]);
        for end in ends {
            let refused = match checked_pass(&stored[..end], Gzip, 65_536).ztoc {
                Err(refused) => refused,
                Ok(_) => panic!("{name} cut at {end} is no layer"),
            };
            let text = chain(&refused);
            assert!(has_byte_offset(&text), "{name} cut at {end}: {text}");
            if let Unindexable::Gzip { at, .. } = refused {
                assert!(at.0 <= end as u64, "{name} cut at {end}: {text}");
            }
        }
    }
}

#[test]
fn corrupted_gzip_layers_say_where() {
    for (name, stored) in GOLDEN
        .iter()
        .filter(|(_, stored)| stored.starts_with(&[0x1f, 0x8b]))
    {
        // Only what later headers say of time and system, and the bits between data and checksum, may change.
        let plain = plain_of(stored);
        let first = stored.len() / 3;
        for at in (first..stored.len()).step_by(1 + stored.len() / 25) {
            let mut broken = stored.clone();
            broken[at] ^= 0x10;
            match checked_pass(&broken, Gzip, 65_536).ztoc {
                Ok(_) => assert!(
                    plain_of(&broken) == plain,
                    "{name} with byte {at} changed is no layer"
                ),
                Err(refused) => {
                    let text = chain(&refused);
                    assert!(has_byte_offset(&text), "{name}, byte {at}: {text}");
                }
            }
        }
    }
}

/// Whether the text says "byte" and a number.
fn has_byte_offset(text: &str) -> bool {
    text.split("byte ")
        .skip(1)
        .any(|after| after.starts_with(|c: char| c.is_ascii_digit()))
}

#[test]
fn broken_archives_in_good_gzip() {
    let mut bad_checksum = archive([("a".to_owned(), b"payload".to_vec())]);
    bad_checksum[0] ^= 1;
    let cut_payload = archive([("a".to_owned(), vec![1; 5_000])])[..2_000].to_vec();
    for plain in [bad_checksum, cut_payload] {
        for stored in [plain.clone(), gzip(&plain, 6)] {
            let refused = checked_pass(&stored, Unknown, 100).ztoc.unwrap_err();
            assert!(matches!(refused, Unindexable::Tar(_)), "{refused}");
            assert!(has_byte_offset(&chain(&refused)), "{}", chain(&refused));
        }
    }
}

#[test]
fn media_types_that_lie() {
    let plain = archive([("a".to_owned(), b"payload".to_vec())]);
    let zipped = gzip(&plain, 6);
    for (stored, truth) in [(&plain, Uncompressed), (&zipped, Gzip)] {
        let other = if truth == Gzip { Uncompressed } else { Gzip };
        assert!(checked_pass(stored, truth.clone(), 100).ztoc.is_ok());
        assert!(checked_pass(stored, Unknown, 100).ztoc.is_ok());
        for declared in [other, LayerEncoding::Other("zstd".to_owned())] {
            match checked_pass(stored, declared.clone(), 100)
                .ztoc
                .unwrap_err()
            {
                Unindexable::MediaTypeLies {
                    declared: d,
                    found: f,
                } => {
                    assert_eq!((d, f), (declared, truth.clone()));
                }
                refused => panic!("{refused}"),
            }
        }
    }
}

#[test]
fn other_compressions_are_named() {
    for (magic, name) in [
        (&b"\x28\xb5\x2f\xfd"[..], "zstd"),
        (b"\xfd7zXZ\0", "xz"),
        (b"BZh91AY", "bzip2"),
    ] {
        let stored = [magic, &[9; 700_000]].concat();
        for declared in [
            Gzip,
            Uncompressed,
            Unknown,
            LayerEncoding::Other(name.to_owned()),
        ] {
            match checked_pass(&stored, declared, 100).ztoc.unwrap_err() {
                Unindexable::Compression(found) => assert_eq!(found, name),
                refused => panic!("{refused}"),
            }
        }
    }
}

/// An archive starts with a file's name, and that may begin as a compression does.
#[test]
fn names_that_begin_as_a_compression_does() {
    for name in [
        &b"BZh91AY&SY"[..],
        b"BZh.txt",
        b"\x28\xb5\x2f\xfd",
        b"\xfd7zXZ",
        b"\x04\x22\x4d\x18-frame",
        b"\x1f\x8b\x08",
        b"\x1f\x8b",
        b"PK\x03\x04",
    ] {
        let mut stored = archive([("x".repeat(name.len()), b"payload".to_vec())]);
        stored[..name.len()].copy_from_slice(name);
        let mut header = tar::Header::from_byte_slice(&stored[..512]).clone();
        header.set_cksum();
        stored[..512].copy_from_slice(header.as_bytes());
        let shown = name.escape_ascii().to_string();
        for declared in [Uncompressed, Unknown] {
            let ztoc = checked_pass(&stored, declared, 100).ztoc.unwrap();
            assert_eq!(ztoc.compression, Compression::Uncompressed, "{shown}");
            assert_eq!(ztoc.toc.iter().next().unwrap().name, name, "{shown}");
        }
        // A type that says something else: what it says is found where the bytes begin so, and else they are an archive.
        assert!(checked_pass(&stored, Gzip, 100).ztoc.is_err(), "{shown}");
        let zstd = LayerEncoding::Other("zstd".to_owned());
        assert!(checked_pass(&stored, zstd, 100).ztoc.is_err(), "{shown}");
        // Without a good checksum it is what it begins as.
        stored[100] ^= 1;
        assert!(checked_pass(&stored, Unknown, 100).ztoc.is_err(), "{shown}");
    }
}

/// Fails after some bytes.
struct Failing<'a>(&'a [u8]);

impl Read for Failing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::Error::other("connection reset")),
            n => Ok(n),
        }
    }
}

#[test]
fn a_source_that_fails_is_no_bad_layer() {
    let plain = archive([("a".to_owned(), vec![3; 600_000])]);
    let options = Options {
        span_size: 100_000,
        build_tool: String::new(),
        bytes_max: 1 << 30,
    };
    let zipped = gzip(&plain, 0);
    let broken = [&zipped[..300_000], &[0; 300_000]].concat();
    for stored in [&plain, &zipped, &broken] {
        for end in [0, 3, 20, 400_000] {
            let error = layer::pass(
                Failing(&stored[..end]),
                Unknown,
                &options,
                &mut layer::no_spare_core,
            )
            .unwrap_err();
            assert_eq!(error.to_string(), "connection reset");
        }
    }
}
