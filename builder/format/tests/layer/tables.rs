//! Tables of contents: of nothing, and of many files.

use soci_format::{layer::Unindexable, oci::LayerEncoding::Gzip, ztoc::Ztoc};
use soci_testing::image::tar_of;

use crate::passes::{checked_pass, gzip, ztoc_of};

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
    let plain = tar_of(files);
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
