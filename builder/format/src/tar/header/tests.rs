use super::*;

/// A block with these fields, and a checksum of unsigned bytes.
fn block(fields: &[(usize, &[u8])]) -> Block {
    let mut block = [0; BLOCK_BYTES];
    for (at, bytes) in fields {
        block[*at..][..bytes.len()].copy_from_slice(bytes);
    }
    seal(&mut block, i64::from);
    block
}

fn seal(block: &mut Block, of: fn(u8) -> i64) {
    block[148..156].fill(b' ');
    let sum: i64 = block.iter().map(|&byte| of(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

const USTAR: (usize, &[u8]) = (257, b"ustar\x0000");
const GNU: (usize, &[u8]) = (257, b"ustar  \0");
const STAR_END: (usize, &[u8]) = (508, b"tar\0");

/// What all layouts but v7 share, and the place where they differ.
const OWNER: [(usize, &[u8]); 5] = [
    (0, b"name"),
    (265, b"user"),
    (297, b"group"),
    (329, b"0000010\0"),
    (337, b"0000011\0"),
];

fn with_owner(fields: &[(usize, &[u8])]) -> Block {
    block(&[&OWNER[..], fields].concat())
}

fn name_of(block: &Block) -> String {
    let mut name = b"what was there before".to_vec();
    Header::parse(block).expect("valid").full_name(&mut name);
    String::from_utf8(name).expect("UTF-8")
}

#[test]
fn numbers() {
    for (field, expected) in [
        (&b""[..], Some(0)),
        (b"\0\0\0\0", Some(0)),
        (b"    ", Some(0)),
        (b"0000644\0", Some(0o644)),
        (b" 644 \0\0 ", Some(0o644)),
        (b"\0\x00644\0", Some(0o644)),
        (b"7\0garbage", Some(7)),
        (b"777777777777", Some((1 << 36) - 1)),
        (b"8", None),
        (b"-1", None),
        (b"+1", None),
        (b"1 2", None),
        (b"0x1", None),
        (b"7777777777777777777777", None),
        (b"\x80\0\0\0\0\0\0\x01", Some(1)),
        (b"\x80\0\0\0\x02\0\0\0", Some(1 << 25)),
        (b"\x81\0", Some(256)),
        (b"\xbf\xff", Some(0x3fff)),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff", Some(-1)),
        (b"\xff\xff\xff\xff\xff\xff\xff\x9c", Some(-100)),
        (b"\xc0\0", Some(-0x4000)),
        (
            b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff",
            Some(i64::MAX),
        ),
        (b"\xff\xff\xff\xff\x80\0\0\0\0\0\0\0", Some(i64::MIN)),
        (b"\x80\0\0\0\x80\0\0\0\0\0\0\0", None),
        (b"\xff\xff\xff\xff\x7f\xff\xff\xff\xff\xff\xff\xff", None),
        (b"\x80\0\0\x01\0\0\0\0\0\0\0\0", None),
        (b"\x81\0\0\0\0\0\0\0\0\0\0\0", None),
    ] {
        assert_eq!(number(field), expected, "{}", field.escape_ascii());
    }
}

#[test]
fn a_v7_header_has_no_owner_names_devices_or_prefix() {
    let block = with_owner(&[(156, b"5"), (157, b"target"), (345, b"prefix")]);
    let header = Header::parse(&block).expect("valid");
    assert_eq!((header.flag, header.link_name), (b'5', &b"target"[..]));
    assert_eq!((header.user_name, header.group_name), (&b""[..], &b""[..]));
    assert_eq!((header.dev_major, header.dev_minor), (0, 0));
    assert_eq!(name_of(&block), "name");
}

#[test]
fn a_v7_header_may_hold_anything_where_others_have_device_numbers() {
    assert!(Header::parse(&block(&[(329, b"not octal")])).is_ok());
    assert!(Header::parse(&block(&[(329, b"not octal"), USTAR])).is_err());
}

#[test]
fn the_magic_decides_where_the_prefix_ends() {
    let prefix = [b'p'; 155];
    for (layout, expected) in [
        (&[USTAR][..], 155),
        (&[(257, b"ustar\0??")], 155),
        (&[USTAR, STAR_END], 131),
        (&[(257, b"ustar  ?")], 0),
        (&[(257, b"USTAR\x0000")], 0),
        (&[STAR_END], 0),
    ] {
        let mut fields = vec![(345, &prefix[..])];
        if layout.contains(&STAR_END) {
            // Star has its times where the end of ustar's prefix is.
            fields.push((476, b"000000000017000000000017"));
        }
        let name = name_of(&with_owner(&[&fields, layout].concat()));
        let expected = match expected {
            0 => "name".to_owned(),
            bytes => format!("{}/name", "p".repeat(bytes)),
        };
        assert_eq!(name, expected, "{layout:?}");
    }
}

#[test]
fn all_layouts_but_v7_have_owner_names_and_devices() {
    for layout in [&[USTAR][..], &[GNU], &[USTAR, STAR_END]] {
        let block = with_owner(layout);
        let header = Header::parse(&block).expect("valid");
        assert_eq!(header.user_name, b"user");
        assert_eq!(header.group_name, b"group");
        assert_eq!((header.dev_major, header.dev_minor), (8, 9));
    }
}

#[test]
fn stars_times_must_be_numbers() {
    assert!(Header::parse(&block(&[USTAR, STAR_END, (476, b"1234\0")])).is_ok());
    for at in [476, 488] {
        let block = block(&[USTAR, STAR_END, (at, b"x")]);
        assert!(Header::parse(&block).is_err(), "{at}");
    }
}

#[test]
fn what_old_go_took_for_a_gnu_prefix_is_one() {
    for (field, expected) in [
        (&b"00000000017\x0000000000017\0"[..], "name"),
        (b"dir", "dir/name"),
        (b"00000000017\0not octal", "00000000017/name"),
        (b"d\xc3\xafr", "name"),
        (b"00000000017\0\0ot octal", "name"),
    ] {
        let found = name_of(&block(&[(0, b"name"), GNU, (345, field)]));
        assert_eq!(found, expected, "{}", field.escape_ascii());
    }
}

#[test]
fn both_sums_are_checksums() {
    let mut block = block(&[(0, b"caf\xc3\xa9")]);
    assert_eq!(
        Header::parse(&block).expect("unsigned").name,
        b"caf\xc3\xa9"
    );
    seal(&mut block, |byte| i64::from(byte.cast_signed()));
    assert_eq!(Header::parse(&block).expect("signed").name, b"caf\xc3\xa9");
}

#[test]
fn another_sum_is_refused_with_both_numbers() {
    let mut block = block(&[(0, b"a")]);
    block[0] = b'b';
    let problem = Header::parse(&block).expect_err("changed");
    assert_eq!(problem.to_string(), "checksum is 353, expected 354");
    block[148] = b'x';
    let problem = Header::parse(&block).expect_err("changed");
    assert_eq!(
        problem.to_string(),
        r#"checksum is "x00541\x00 ", expected 354"#
    );
}

#[test]
fn a_wrong_number_is_named() {
    for (at, field) in [
        (100, "mode"),
        (108, "uid"),
        (116, "gid"),
        (124, "size"),
        (136, "mtime"),
    ] {
        let problem = Header::parse(&block(&[(0, b"a"), (at, b"12x")])).expect_err("12x");
        let expected = format!(r#"{field} of "a" is not a valid 64-bit number: "12x"#);
        assert!(problem.to_string().starts_with(&expected), "{problem}");
    }
}

#[test]
fn full_fields_need_no_nul() {
    let block = block(&[(0, &[b'n'; 100]), (157, &[b'l'; 100]), USTAR]);
    let header = Header::parse(&block).expect("valid");
    assert_eq!((header.name.len(), header.link_name.len()), (100, 100));
}
