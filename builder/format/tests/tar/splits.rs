//! Whatever the pieces, the result is one; and no bytes at all make the parser panic.

use std::sync::LazyLock;

use proptest::{prelude::*, sample::Index};

use crate::{
    archive::{Archive, BLOCK, head},
    golden::layers,
    toc::{toc_in_pieces, toc_of},
};

/// The golden streams and one with every kind of record, short enough to read many times.
static STREAMS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let all_records = Archive::default()
        .pax(&[("path", "pax"), ("mtime", "-1.5"), ("user.x", "\0y")])
        .member(b'L', "././@LongLink", &[b'n'; 700])
        .member(b'K', "././@LongLink", b"target\0")
        .member(b'2', "short", b"")
        .pax(&[("size", "513")])
        .head(head(b'0', "sized by pax"))
        .payload(&[1; 513])
        .pax(&[])
        .member(0, "old/", b"")
        .end()
        .raw(b"not read");
    let golden = layers().into_iter().map(|(_, stream)| stream);
    golden
        .filter(|stream| stream.len() <= 64 << 10)
        .chain([all_records.0])
        .collect()
});

fn pieces<'a>(stream: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
    cuts.sort_unstable();
    let starts = [0].into_iter().chain(cuts.iter().copied());
    let ends = cuts.iter().copied().chain([stream.len()]);
    starts
        .zip(ends)
        .map(|(start, end)| &stream[start..end])
        .collect()
}

#[test]
fn byte_by_byte() {
    for stream in STREAMS.iter() {
        assert_eq!(toc_in_pieces(stream.chunks(1)), toc_of(stream));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn any_pieces(stream: Index, cuts in prop::collection::vec(any::<Index>(), 0..40)) {
        let stream = stream.get(&STREAMS);
        prop_assert_eq!(toc_in_pieces(pieces(stream, &cuts)), toc_of(stream));
    }

    #[test]
    fn any_pieces_of_a_cut_stream(stream: Index, end: Index, cuts: [Index; 8]) {
        let stream = stream.get(&STREAMS);
        let stream = &stream[..end.index(stream.len())];
        prop_assert_eq!(toc_in_pieces(pieces(stream, &cuts)), toc_of(stream));
    }

    /// Changed bytes, with checksums made right again, or else the checksum would hide all that is behind it.
    #[test]
    fn any_pieces_of_a_changed_stream(
        stream: Index,
        changes in prop::collection::vec((any::<Index>(), 0..BLOCK, any::<u8>()), 1..12),
        sealed: bool,
        cuts: [Index; 8],
    ) {
        let mut stream = stream.get(&STREAMS).clone();
        for (block, at, byte) in changes {
            let blocks = stream.len() / BLOCK;
            let block = &mut stream[block.index(blocks) * BLOCK..][..BLOCK];
            block[at] = byte;
            if sealed {
                block[148..156].fill(b' ');
                let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
                block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            }
        }
        prop_assert_eq!(toc_in_pieces(pieces(&stream, &cuts)), toc_of(&stream));
    }

    #[test]
    fn any_header_fields(
        flag: u8,
        fields in prop::collection::vec((0..BLOCK - 12, any::<[u8; 12]>()), 0..6),
        payload in prop::collection::vec(any::<u8>(), 0..2000),
        cuts: [Index; 4],
    ) {
        let mut block = head(flag, "name").size(payload.len() as u64);
        for (at, bytes) in fields {
            block = block.put(at, &bytes);
        }
        let stream = Archive::default().head(block).payload(&payload).end().0;
        prop_assert_eq!(toc_in_pieces(pieces(&stream, &cuts)), toc_of(&stream));
    }
}
