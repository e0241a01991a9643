//! What PAX records and GNU names do to the next member.

use super::*;

fn with(records: &[(&str, &str)]) -> Archive {
    archive()
        .pax(records)
        .head(head(b'2', "name").put(157, b"link").put(265, b"user"))
        .end()
}

#[test]
fn they_override_the_header_and_are_all_kept() {
    let found = listing(with(&[
        ("path", "p"),
        ("linkpath", "l"),
        ("uname", "u"),
        ("gname", "g"),
        ("uid", "-3000000000"),
        ("gid", "+7"),
        ("size", "9"),
        ("mtime", "1700000000.25"),
        ("atime", "1"),
        ("Z", "=\n"),
    ]));
    let (entry, records) = found.split_once('\n').expect("a line");
    assert_eq!(
        entry,
        "symlink 1536+9 0 -3000000000(u) 7(g) 2023-11-14T22:13:20.25Z 0:0 p -> l"
    );
    let keys: Vec<_> = records
        .lines()
        .filter_map(|record| record.trim_start().split('=').next())
        .collect();
    let expected = [
        "Z", "atime", "gid", "gname", "linkpath", "mtime", "path", "size", "uid", "uname",
    ];
    assert_eq!(keys, expected);
    assert!(records.starts_with("    Z==\\n\n"), "{records}");
}

#[test]
fn an_empty_value_overrides_nothing_and_is_kept() {
    let keys = [
        "path", "linkpath", "uname", "gname", "uid", "gid", "size", "mtime", "atime", "ctime",
    ];
    let found = listing(with(&keys.map(|key| (key, ""))));
    let (entry, records) = found.split_once('\n').expect("a line");
    assert_eq!(
        entry,
        "symlink 1536+0 0 0(user) 0() 1970-01-01T00:00:00Z 0:0 name -> link"
    );
    assert_eq!(records.lines().count(), keys.len());
}

#[test]
fn a_wrong_number_or_time_is_refused() {
    for key in ["uid", "gid", "size", "mtime", "atime", "ctime"] {
        for value in ["x", "1x", " 1", "9223372036854775808", "0x1", "1_0"] {
            let found = error(with(&[(key, value)])).to_string();
            let expected = format!(
                r#"tar header at byte 1024: PAX record "{key}" of "name" has the value "{value}", which is not"#
            );
            assert!(found.starts_with(&expected), "{found}");
        }
    }
    assert!(toc_of(&with(&[("uid", "1.5")]).0).end.is_err());
}

#[test]
fn they_hold_for_one_member_only() {
    let archive = archive()
        .pax(&[("path", "a"), ("k", "v")])
        .member(b'L', "", b"long")
        .member(b'K', "", b"link")
        .member(b'2', "1", b"")
        .member(b'2', "2", b"");
    let last = listing(archive.end());
    assert!(last.ends_with(" 2 -> \n"), "{last}");
}

#[test]
fn the_last_header_of_a_kind_counts_alone() {
    let archive = archive()
        .pax(&[("path", "a"), ("uname", "u")])
        .pax(&[("gname", "g")])
        .member(b'L', "", b"long")
        .member(b'L', "", b"longer")
        .member(b'K', "", b"link")
        .member(b'K', "", b"")
        .head(head(b'2', "name").put(157, b"short"));
    let found = listing(archive.end());
    assert!(found.contains(" 0() 0(g) "), "{found}");
    assert!(found.contains(" longer -> short\n    gname=g\n"), "{found}");
}

#[test]
fn gnu_names_go_over_pax_names_in_any_order() {
    let long = |archive: Archive| {
        archive
            .member(b'L', "", b"gnu\0rest")
            .member(b'K', "", b"gnu link")
    };
    let pax = |archive: Archive| archive.pax(&[("path", "p"), ("linkpath", "l")]);
    for archive in [pax(long(archive())), long(pax(archive()))] {
        let found = line(archive.member(b'2', "name", b"").end());
        assert!(found.ends_with(" gnu -> gnu link"), "{found}");
    }
}

#[test]
fn an_empty_gnu_name_overrides_nothing() {
    for payload in [&b""[..], b"\0rest"] {
        let archive = archive().member(b'L', "", payload);
        let found = line(
            archive
                .pax(&[("path", "p")])
                .member(b'0', "name", b"")
                .end(),
        );
        assert!(found.ends_with(" p -> "), "{found}");
    }
}

#[test]
fn broken_ones_are_refused_with_their_place() {
    let broken = archive()
        .member(b'0', "a", b"1")
        .member(b'x', "b", b"6 k=v\nx")
        .end();
    assert_eq!(
        error(broken).to_string(),
        "PAX header at byte 1024: the record 6 bytes into its payload has no space after its length"
    );
}

#[test]
fn one_mebibyte_is_the_limit() {
    let value = "v".repeat(MIB - "1048576 k=\n".len());
    let most = archive().pax(&[("k", &value)]).member(b'0', "a", b"");
    assert_eq!(toc_of(&most.0).members, 1);
    let most = archive()
        .member(b'L', "", &[b'n'; MIB])
        .member(b'0', "a", b"");
    assert_eq!(toc_of(&most.0).members, 1);
    for (flag, kind) in [
        (b'x', "PAX records"),
        (b'L', "GNU long name"),
        (b'K', "GNU long link"),
    ] {
        let more = archive().head(head(flag, "a").size(MIB as u64 + 1));
        assert_eq!(
            error(more).to_string(),
            format!(
                "tar header at byte 0: {kind} of 1048577 bytes, more than the limit of 1048576"
            )
        );
    }
}

#[test]
fn sparse_files_are_refused() {
    for key in ["GNU.sparse.major", "GNU.sparse.map", "GNU.sparse.offset"] {
        assert_eq!(
            error(with(&[("path", "real"), (key, "1")])).to_string(),
            format!(
                r#"tar header at byte 1024: "real" is sparse (PAX record "{key}"), which cannot be indexed"#
            )
        );
    }
}

#[test]
fn a_message_cuts_a_long_name() {
    let long = "n".repeat(MIB / 4);
    let found = error(with(&[("path", &long), ("uid", &long)])).to_string();
    assert!(found.len() < 1000, "{} bytes", found.len());
    assert!(found.contains("nnn…"), "{found}");
}
