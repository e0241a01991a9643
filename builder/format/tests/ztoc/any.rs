//! Ztocs of every shape.

use std::collections::BTreeMap;

use proptest::prelude::*;
use soci_format::{
    digest::Digest,
    inflate::{
        Boundary, CompressedAt, UncompressedAt,
        checkpoint::{Checkpoints, Offer, WINDOW},
    },
    ztoc::{Compression, FileMetadata, TarZinfo, Toc, Ztoc},
};

/// An entry that owns its texts.
#[derive(Clone, Debug)]
struct Owned<T> {
    texts: [T; 6],
    numbers: [i64; 5],
    ids: [u32; 2],
    xattrs: BTreeMap<T, T>,
}

impl<T: AsRef<[u8]> + Ord> Owned<T> {
    fn metadata(&self) -> FileMetadata<'_> {
        let [name, kind, link_name, user_name, group_name, modified] =
            self.texts.each_ref().map(AsRef::as_ref);
        let [offset, size, mode, dev_major, dev_minor] = self.numbers;
        let xattrs = self.xattrs.iter();
        FileMetadata {
            name,
            kind,
            offset,
            size,
            link_name,
            mode,
            uid: self.ids[0],
            gid: self.ids[1],
            user_name,
            group_name,
            modified,
            dev_major,
            dev_minor,
            xattrs: xattrs
                .map(|(key, value)| (key.as_ref(), value.as_ref()))
                .collect(),
        }
    }
}

/// Numbers at the ends of their range as often as others.
fn number() -> impl Strategy<Value = i64> {
    prop_oneof![
        Just(0),
        Just(-1),
        Just(i64::MAX),
        Just(i64::MIN),
        any::<i64>()
    ]
}

fn file<S: Strategy + Clone>(text: S) -> impl Strategy<Value = Owned<S::Value>>
where
    S::Value: Ord + Clone,
{
    let xattr_count = prop_oneof![4 => 0..3usize, 1 => 30..120usize];
    let xattrs = xattr_count.prop_flat_map({
        let text = text.clone();
        move |count| prop::collection::btree_map(text.clone(), text.clone(), count / 2..=count)
    });
    (
        prop::array::uniform6(text),
        prop::array::uniform5(number()),
        prop::array::uniform2(prop_oneof![Just(0), any::<u32>()]),
        xattrs,
    )
        .prop_map(|(texts, numbers, ids, xattrs)| Owned {
            texts,
            numbers,
            ids,
            xattrs,
        })
}

/// Compression, checkpoints, and how many spans they make.
fn spans() -> impl Strategy<Value = (Compression, Vec<u8>, usize)> {
    let gzip = (0..4usize, 0..(1u64 << 60), any::<u8>()).prop_map(|(count, span_size, byte)| {
        let mut checkpoints = Checkpoints::new(span_size);
        for i in 0..count {
            let boundary = Boundary {
                compressed_at: CompressedAt(10 + i as u64),
                bits: byte % 8,
                uncompressed_at: UncompressedAt(i as u64 * (span_size + 1)),
            };
            assert_ne!(checkpoints.offer(boundary, &[byte; WINDOW]), Offer::Left);
        }
        (Compression::Gzip, checkpoints.finish(), count)
    });
    let plain = (0..600usize, 1..(1u64 << 40), any::<u64>()).prop_map(|(count, span_size, cut)| {
        let size = (count as u64 * span_size).saturating_sub(cut % span_size);
        let zinfo = TarZinfo { span_size, size };
        (Compression::Uncompressed, zinfo.into_bytes(), count)
    });
    prop_oneof![gzip, plain]
}

/// Any ztoc whose texts are from `text`.
pub(crate) fn ztoc<S: Strategy + Clone>(text: S) -> impl Strategy<Value = Ztoc>
where
    S::Value: AsRef<[u8]> + Ord + Clone,
{
    let files = prop::collection::vec(file(text), 0..20);
    let sizes = prop::array::uniform2(prop_oneof![Just(0), 0..=i64::MAX.cast_unsigned()]);
    (files, spans(), sizes, ".{0,30}").prop_map(|(files, spans, sizes, build_tool)| {
        let (compression, checkpoints, count) = spans;
        let mut toc = Toc::default();
        for file in &files {
            toc.push(&file.metadata());
        }
        Ztoc {
            build_tool,
            compression,
            compressed_size: sizes[0],
            plain_size: sizes[1],
            toc,
            checkpoints,
            span_digests: (0..count).map(|i| Digest::of(&i.to_le_bytes())).collect(),
            max_span_id: i32::try_from(count).unwrap() - 1,
        }
    })
}

/// An uncompressed layer's ztoc with so many entries, each numbered in `offset` and then changed.
pub(crate) fn with_files<'a>(count: usize, change: impl Fn(&mut FileMetadata<'a>)) -> Ztoc {
    let mut toc = Toc::default();
    for i in 0..count {
        let mut file = FileMetadata {
            kind: b"reg",
            offset: i64::try_from(i).unwrap(),
            ..FileMetadata::default()
        };
        change(&mut file);
        toc.push(&file);
    }
    let zinfo = TarZinfo {
        span_size: 512,
        size: 1_000,
    };
    Ztoc {
        build_tool: "tool".to_owned(),
        compression: Compression::Uncompressed,
        compressed_size: 1_000,
        plain_size: 1_000,
        toc,
        checkpoints: zinfo.into_bytes(),
        span_digests: vec![Digest::of(b"0"), Digest::of(b"1")],
        max_span_id: 1,
    }
}
