//! What a type flag stands for.

use super::*;

#[test]
fn every_flag_has_its_word() {
    for (flag, kind, word) in [
        (b'0', Kind::Regular, "reg"),
        (0, Kind::Regular, "reg"),
        (b'1', Kind::HardLink, "hardlink"),
        (b'2', Kind::Symlink, "symlink"),
        (b'3', Kind::Char, "char"),
        (b'4', Kind::Block, "block"),
        (b'5', Kind::Directory, "dir"),
        (b'6', Kind::Fifo, "fifo"),
    ] {
        assert_eq!(kind.as_str(), word);
        assert_eq!(line(one(head(flag, "a"))), format!("{word} 512+0 a -> "));
    }
}

#[test]
fn a_slash_makes_a_directory_only_of_an_old_file() {
    assert_eq!(line(one(head(0, "a/"))), "dir 512+0 a/ -> ");
    assert_eq!(line(one(head(b'0', "a/"))), "reg 512+0 a/ -> ");
    let renamed = archive().pax(&[("path", "b/")]).head(head(0, "a")).end();
    assert_eq!(line(renamed), "dir 1536+0 b/ -> ");
    let renamed = archive().member(b'L', "", b"b").head(head(0, "a/")).end();
    assert_eq!(line(renamed), "reg 1536+0 b -> ");
}

#[test]
fn only_files_have_payload_but_all_keep_their_size() {
    for flag in b'1'..=b'6' {
        let archive = archive().head(head(flag, "a").size(700));
        let listing = listing(archive.member(b'0', "b", b"").end());
        assert!(listing.contains(" 512+700 "), "{listing}");
        assert!(listing.contains(" 1024+0 "), "{listing}");
    }
    // An old directory has the size of a file in its header.
    let archive = archive().head(head(0, "a/").size(700));
    assert_eq!(toc_of(&archive.member(b'0', "b", b"").end().0).members, 2);
}

#[test]
fn other_flags_are_refused_by_name() {
    for (flag, shown) in [
        (b'g', "g"),
        (b'S', "S"),
        (b'7', "7"),
        (b'D', "D"),
        (b'X', "X"),
        (0xff, r"\xff"),
        (b'\n', r"\n"),
    ] {
        let archive = archive().member(b'0', "ok", b"1").head(head(flag, "odd\n"));
        assert_eq!(
            error(archive.end()).to_string(),
            format!(
                r#"tar header at byte 1024: "odd\n" has type flag '{shown}', which cannot be indexed"#
            )
        );
    }
}
