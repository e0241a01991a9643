//! Spans, found again by another hand.

use soci_format::ztoc::{Compression, TarZinfo};
use soci_testing::image::tar_of;

use crate::passes::{GOLDEN, plain_of, sha256, ztoc_of};

const WINDOW: usize = 32 * 1024;

/// Checkpoints as the format says, read without the library: compressed offset, bits, plain offset, window.
pub(crate) fn checkpoints(zinfo: &[u8]) -> Vec<(usize, u8, usize, &[u8])> {
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
    let layer = tar_of([("a".to_owned(), vec![7; 3_000])]);
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
