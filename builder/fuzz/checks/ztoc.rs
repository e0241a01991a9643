//! Ztocs, the checkpoints in them, and the file system that their entries make.

use soci_builder::reader::Spans;
use soci_format::{
    inflate::{Error, Gunzip, Sink, checkpoint::WINDOW, checkpoint::Zinfo},
    tree::Tree,
    ztoc::Ztoc,
};

/// Uncompressed bytes that are decoded at most from a checkpoint that lies.
const PLAIN_MAX: usize = 1 << 20;
/// Bytes of a checkpoint but its window: two offsets and the bits.
const FIXED: usize = 17;
/// Checkpoints that are made of an input at most: each has 32 KiB.
const CHECKPOINTS_MAX: usize = 4;

/// A ztoc that parses can be used, and written so that it reads back equal. Its spans lie in its layer, and every name of its
/// file system is found again.
pub(crate) fn ztoc(bytes: &[u8]) {
    let Ok(ztoc) = Ztoc::parse(bytes) else {
        return;
    };
    assert_eq!(ztoc.span_starts().len(), ztoc.span_digests.len());
    assert!(Ztoc::parse(&ztoc.clone().into_bytes()).as_ref() == Ok(&ztoc));
    let mut tree = Tree::default();
    // Twice: its own whiteouts then hide what is its own.
    if (0..2).all(|layer| tree.apply(layer, &ztoc.toc).is_ok()) {
        let root = tree.find(b"/", true).expect("the root is always there");
        for (path, node) in tree.all(root) {
            assert_eq!(tree.find(&path, false), Ok(node));
            let payload = tree.inode(node).payload();
            assert!(payload.start <= payload.end);
        }
    }
    let layer_size = ztoc.compressed_size;
    if let Ok(spans) = Spans::of(ztoc, layer_size) {
        for span in spans.list() {
            assert!(span.stored.start <= span.stored.end && span.stored.end <= layer_size);
            assert!(!spans.holding(&span.plain).is_empty() || span.plain.is_empty());
        }
    }
}

/// Checkpoints that parse are in order, and decoding goes on from each of them, over whatever bytes, without harm.
pub(crate) fn zinfo(bytes: &[u8]) {
    resume_all(bytes, bytes);
    let Some((&count, rest)) = bytes.split_first() else {
        return;
    };
    let count = usize::from(count) % (CHECKPOINTS_MAX + 1);
    let Some((fixed, stream)) = rest.split_at_checked(count * FIXED) else {
        return;
    };
    let mut zinfo = u32::try_from(count)
        .expect("it is small")
        .to_le_bytes()
        .to_vec();
    zinfo.extend(65_536_u64.to_le_bytes());
    for fixed in fixed.chunks_exact(FIXED) {
        zinfo.extend(fixed);
        zinfo.extend([fixed[0]; WINDOW]);
    }
    resume_all(&zinfo, stream);
}

fn resume_all(zinfo: &[u8], stream: &[u8]) {
    let Ok(zinfo) = Zinfo::parse(zinfo) else {
        return;
    };
    let mut before = None;
    for (boundary, window) in zinfo.iter() {
        let place = (boundary.compressed_at, boundary.uncompressed_at);
        assert!(boundary.bits < 8 && before.is_none_or(|before| before <= place));
        before = Some(place);
        let mut source = stream;
        let decoded = Gunzip::resume(boundary, window).run(&mut source, &mut Bounded(0));
        assert!(!matches!(decoded, Err(Error::Read(_))));
    }
}

/// Takes so many uncompressed bytes and no more.
struct Bounded(usize);

struct Enough;

impl Sink for Bounded {
    type Error = Enough;

    fn compressed(&mut self, _: &[u8]) {}

    fn uncompressed(&mut self, bytes: &[u8]) -> Result<(), Enough> {
        self.0 += bytes.len();
        if self.0 > PLAIN_MAX {
            return Err(Enough);
        }
        Ok(())
    }

    fn boundary(&mut self, _: soci_format::inflate::Boundary, window: &[u8]) {
        assert_eq!(window.len(), WINDOW);
    }
}
