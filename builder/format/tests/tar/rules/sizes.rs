//! Sizes that no file has.

use super::*;

fn negative(flag: u8) -> Head {
    head(flag, "a").put(124, &[0xff; 12])
}

#[test]
fn a_file_has_no_negative_size() {
    for flag in [b'0', 0, b'x', b'L', b'K'] {
        assert_eq!(
            error(one(negative(flag))).to_string(),
            r#"tar header at byte 0: "a" has the negative size -1"#
        );
    }
    let by_pax = archive().pax(&[("size", "-1")]).head(head(b'0', "a")).end();
    assert!(matches!(
        error(by_pax),
        Error::NegativeSize {
            at: 1024,
            size: -1,
            ..
        }
    ));
    let not_by_pax = archive().pax(&[("size", "0")]).head(negative(b'0')).end();
    assert!(matches!(
        error(not_by_pax),
        Error::NegativeSize { at: 1024, .. }
    ));
}

#[test]
fn other_kinds_may_have_one() {
    for flag in b'1'..=b'6' {
        let found = line(one(negative(flag)));
        assert!(found.ends_with(" 512+-1 a -> "), "{found}");
    }
}

#[test]
fn the_largest_size_is_skipped_without_a_slip() {
    let size = b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff";
    let cut = one(head(b'0', "a").put(124, size));
    let missing = i64::MAX.unsigned_abs() - 1024;
    let expected = Error::CutPayload {
        at: 0,
        name: "a".into(),
        missing,
    };
    assert_eq!(error(cut), expected);
}

#[test]
fn a_pax_size_moves_the_next_header() {
    let archive = archive()
        .pax(&[("size", "600")])
        .head(head(b'0', "a"))
        .payload(&[1; 600])
        .member(b'0', "b", b"");
    assert!(listing(archive.end()).contains(" b -> "));
}
