//! Ztocs that are none, or that contradict themselves.

use std::{fs, sync::LazyLock};

use proptest::{prelude::*, sample::Index};
use soci_format::{
    digest::Digest,
    inflate::checkpoint::{WINDOW, ZinfoError},
    ztoc::{Compression, InvalidZtoc, TarZinfo, Ztoc},
};
use soci_testing::golden;

use crate::any;

/// The golden ztocs, smallest first, and one that is all structure.
static ZTOCS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let golden = golden::layers().into_iter();
    let golden = golden.map(|layer| fs::read(layer.ztoc()).unwrap());
    let mut ztocs: Vec<_> = golden.chain([small().into_bytes()]).collect();
    ztocs.sort_by_key(Vec::len);
    ztocs
});

fn small() -> Ztoc {
    any::with_files(3, |file| {
        file.name = b"name";
        file.xattrs = vec![(b"key", b"value"); file.offset as usize];
    })
}

/// What parses must be usable: all of it can be read, and written again.
fn try_to_use(bytes: &[u8]) {
    if let Ok(ztoc) = Ztoc::parse(bytes) {
        assert_eq!(ztoc.span_starts().len(), ztoc.span_digests.len());
        assert_eq!(ztoc.toc.iter().count(), ztoc.toc.len());
        assert!(Ztoc::parse(&ztoc.clone().into_bytes()) == Ok(ztoc));
    }
}

#[test]
fn every_truncation_and_every_byte_of_a_small_one() {
    let bytes = small().into_bytes();
    for end in 0..bytes.len() {
        try_to_use(&bytes[..end]);
    }
    for at in 0..bytes.len() {
        for value in [
            0,
            1,
            4,
            0x7f,
            0x80,
            0xff,
            bytes[at] ^ 1,
            bytes[at].wrapping_add(4),
        ] {
            let mut bytes = bytes.clone();
            bytes[at] = value;
            try_to_use(&bytes);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn mutations(
        ztoc in any::<Index>(),
        changes in prop::collection::vec((any::<Index>(), any::<bool>(), any::<[u8; 4]>(), 1..5usize), 1..6),
        cut in prop::option::weighted(0.2, any::<Index>()),
    ) {
        // Few bytes of the larger ones are anything but windows and names.
        let mut bytes = ztoc.get(&ZTOCS[..8]).clone();
        for (at, near_the_ends, value, count) in changes {
            let mut at = at.index(bytes.len());
            if near_the_ends {
                at %= 300;
            }
            let end = bytes.len().min(at + count);
            bytes[at..end].copy_from_slice(&value[..end - at]);
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        try_to_use(&bytes);
    }

    #[test]
    fn noise(bytes in prop::collection::vec(prop_oneof![Just(0u8), 0..20u8, any::<u8>()], 0..200)) {
        try_to_use(&bytes);
    }
}

fn refused(ztoc: Ztoc) -> InvalidZtoc {
    Ztoc::parse(&ztoc.into_bytes()).expect_err("it contradicts itself")
}

/// The same ztoc with a text in it replaced by one of the same length.
fn replaced(from: &[u8], to: &[u8]) -> InvalidZtoc {
    let mut bytes = small().into_bytes();
    let at = bytes
        .windows(from.len())
        .position(|found| found == from)
        .unwrap();
    bytes[at..at + to.len()].copy_from_slice(to);
    Ztoc::parse(&bytes).expect_err("it is malformed")
}

#[test]
fn malformed_texts() {
    assert_eq!(
        replaced(b"0.9", b"1.0"),
        InvalidZtoc::Version("1.0".to_owned())
    );
    assert_eq!(
        replaced(b"tool", b"\xfftol"),
        InvalidZtoc::Text("build_tool_identifier")
    );
    assert_eq!(
        replaced(b"sha256:", b"sha512:"),
        InvalidZtoc::Text("span_digests")
    );
    assert!(matches!(Ztoc::parse(b""), Err(InvalidZtoc::Form(_))));
}

#[test]
fn unknown_compression() {
    let mut unknown = 0;
    let bytes = small().into_bytes();
    for at in 0..bytes.len() {
        let mut bytes = bytes.clone();
        bytes[at] = 77;
        unknown += usize::from(Ztoc::parse(&bytes) == Err(InvalidZtoc::Compression(77)));
    }
    assert_eq!(unknown, 1);
}

#[test]
fn span_counts_that_differ() {
    let mut ztoc = small();
    ztoc.span_digests.pop();
    assert_eq!(
        refused(ztoc),
        InvalidZtoc::Spans {
            digests: 1,
            spans: 2
        }
    );
    let mut ztoc = small();
    ztoc.max_span_id = 7;
    assert!(matches!(refused(ztoc), InvalidZtoc::Spans { .. }));
    let mut ztoc = small();
    ztoc.max_span_id = i32::MIN;
    assert!(matches!(refused(ztoc), InvalidZtoc::Spans { .. }));
    // The layer's size and the span size say how many spans a plain layer has.
    for (span_size, size) in [(512, 1_025), (512, 512), (0, 1_000), (u64::MAX, 1_000)] {
        let mut ztoc = small();
        ztoc.checkpoints = TarZinfo { span_size, size }.into_bytes();
        assert!(
            matches!(refused(ztoc), InvalidZtoc::Spans { .. }),
            "{span_size} {size}"
        );
    }
    let mut ztoc = small();
    ztoc.checkpoints = Vec::new();
    assert!(matches!(refused(ztoc), InvalidZtoc::Form(_)));
}

/// Serialized checkpoints: compressed offset, uncompressed offset, bits.
fn zinfo(checkpoints: &[(u64, u64, u8)]) -> Vec<u8> {
    let mut zinfo = u32::try_from(checkpoints.len())
        .unwrap()
        .to_le_bytes()
        .to_vec();
    zinfo.extend(1_000u64.to_le_bytes());
    for (compressed_at, uncompressed_at, bits) in checkpoints {
        zinfo.extend(compressed_at.to_le_bytes());
        zinfo.extend(uncompressed_at.to_le_bytes());
        zinfo.push(*bits);
        zinfo.extend([0; WINDOW]);
    }
    zinfo
}

fn of_gzip(checkpoints: Vec<u8>, spans: usize) -> Result<Ztoc, InvalidZtoc> {
    let ztoc = Ztoc {
        compression: Compression::Gzip,
        checkpoints,
        span_digests: vec![Digest::of(b""); spans],
        max_span_id: i32::try_from(spans).unwrap() - 1,
        ..small()
    };
    Ztoc::parse(&ztoc.into_bytes())
}

#[test]
fn checkpoints_out_of_order() {
    let good = of_gzip(zinfo(&[(10, 0, 0), (500, 2_000, 3)]), 2).unwrap();
    assert_eq!(good.span_starts(), [0, 2_000]);
    for (second, wrong) in [
        ((9, 2_000, 0), 1),
        ((500, 2_000, 8), 1),
        ((500, 2_000, 255), 1),
    ] {
        let refused = of_gzip(zinfo(&[(10, 0, 0), second]), 2).unwrap_err();
        assert_eq!(refused, InvalidZtoc::Checkpoints(ZinfoError::Order(wrong)));
    }
    let backwards = zinfo(&[(10, 5_000, 0), (20, 4_999, 0)]);
    assert_eq!(
        of_gzip(backwards, 2),
        Err(InvalidZtoc::Checkpoints(ZinfoError::Order(1)))
    );
    let nothing_before = zinfo(&[(0, 0, 1)]);
    assert_eq!(
        of_gzip(nothing_before, 1),
        Err(InvalidZtoc::Checkpoints(ZinfoError::Order(0)))
    );
}

#[test]
fn checkpoints_of_the_wrong_length() {
    let good = zinfo(&[(10, 0, 0)]);
    for bytes in [&good[..0], &good[..3], &good[..11], &good[..good.len() - 1]] {
        let refused = of_gzip(bytes.to_vec(), 1).unwrap_err();
        assert!(matches!(
            refused,
            InvalidZtoc::Checkpoints(ZinfoError::Length { .. })
        ));
    }
    let mut many = good;
    many[..4].fill(0xff);
    let refused = of_gzip(many, 1).unwrap_err();
    assert!(matches!(
        refused,
        InvalidZtoc::Checkpoints(ZinfoError::Length { .. })
    ));
}
