//! Ztocs: what is written is read back, here and by the official compiler; what is broken or contradicts itself is
//! refused, and nothing makes the reader panic.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(
    clippy::cast_possible_truncation,
    reason = "test ztocs have some thousands of entries"
)]

mod any;
mod broken;
mod flatc;
mod shared;

use proptest::prelude::*;
use soci_format::ztoc::Ztoc;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_is_written_is_read_back(ztoc in any::ztoc(prop::collection::vec(any::<u8>(), 0..60))) {
        let bytes = ztoc.clone().into_bytes();
        prop_assert!(bytes.len() <= ztoc.size_max());
        prop_assert!(bytes == ztoc.clone().into_bytes(), "one ztoc, one sequence of bytes");
        prop_assert_eq!(Ztoc::parse(&bytes), Ok(ztoc));
    }
}

#[test]
fn large_tables_are_read_back() {
    let name = vec![0xff; 70_000];
    let ztoc = any::with_files(30_000, |file| {
        file.name = &name[..file.offset as usize % 90];
        file.xattrs = vec![(b"key", &name); usize::from(file.offset == 5)];
    });
    assert!(Ztoc::parse(&ztoc.clone().into_bytes()) == Ok(ztoc));
}
