//! Ztocs whose offsets lead to one thing many times: refused before it is copied, whatever it is.

use soci_format::ztoc::{FileMetadata, InvalidZtoc, Toc, Ztoc};
use soci_testing::bent_ztoc::{attributes, files, share_the_first};

use crate::any;

#[track_caller]
fn refused(whole: Ztoc, vector: fn(&[u8]) -> usize) {
    let bytes = whole.into_bytes();
    assert!(Ztoc::parse(&bytes).is_ok());
    let bent = share_the_first(bytes, vector);
    assert_eq!(Ztoc::parse(&bent), Err(InvalidZtoc::SharedParts));
}

/// A ztoc with `first`, and as many small entries as make 40.
fn with_forty(first: &FileMetadata<'_>) -> Ztoc {
    let mut ztoc = any::with_files(0, |_| ());
    ztoc.toc = Toc::default();
    ztoc.toc.push(first);
    for _ in 1..40 {
        ztoc.toc.push(&FileMetadata::default());
    }
    ztoc
}

/// Offsets may all point at one long entry; what they unfold to is bounded by the file's own size.
#[test]
fn entries_that_share_their_texts() {
    let name = [b'n'; 2_000];
    let long = FileMetadata {
        name: &name,
        ..FileMetadata::default()
    };
    refused(with_forty(&long), files);
}

/// Nor need what is shared have any text: each attribute takes memory for every entry that has it.
#[test]
fn entries_that_share_empty_attributes() {
    let many = FileMetadata {
        xattrs: vec![(b"", b""); 2_000],
        ..FileMetadata::default()
    };
    refused(with_forty(&many), files);
}

/// One entry is enough: its attributes may all be one. What they unfold to does not even fit the memory.
#[test]
fn attributes_that_share_their_texts() {
    let text = vec![b'A'; 1_000_000];
    let mut xattrs = vec![(&b""[..], &b""[..]); 20_000];
    xattrs[0] = (&text, &text);
    let first = FileMetadata {
        xattrs,
        ..FileMetadata::default()
    };
    refused(with_forty(&first), attributes);
}
