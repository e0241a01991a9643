//! Where an archive ends, and where it must not.

use super::*;

fn end(archive: Archive) -> Result<u64, String> {
    toc_of(&archive.0).end.map_err(|error| error.to_string())
}

#[test]
fn the_second_zero_block_ends_it_whatever_follows() {
    let member = archive().member(b'0', "a", b"1");
    assert_eq!(end(member.clone().end()), Ok(2048));
    assert_eq!(end(member.clone().end().raw(b"garbage")), Ok(2048));
    let after = member.end().member(b'0', "b", b"");
    assert_eq!((toc_of(&after.0).members, end(after)), (1, Ok(2048)));
}

#[test]
fn the_end_of_the_input_ends_it_between_blocks() {
    assert_eq!(end(archive()), Ok(0));
    assert_eq!(end(archive().raw(&[0; BLOCK])), Ok(512));
    assert_eq!(end(archive().member(b'0', "a", b"1")), Ok(1024));
    assert_eq!(
        end(archive().member(b'5', "a/", b"").raw(&[0; BLOCK])),
        Ok(1024)
    );
}

#[test]
fn the_end_of_the_input_may_cut_padding() {
    let head = archive().head(head(b'0', "a").size(3));
    assert_eq!(end(head.clone().raw(b"123")), Ok(515));
    assert_eq!(end(head.raw(b"123\0\0")), Ok(517));
}

#[test]
fn records_without_a_member_are_dropped() {
    let records = archive().pax(&[("path", "a")]);
    assert_eq!(end(records.clone()), Ok(1024));
    assert_eq!(end(records.clone().raw(&[0; BLOCK])), Ok(1536));
    assert_eq!(end(records.end()), Ok(2048));
    assert_eq!(end(archive().pax(&[])), Ok(512));
}

#[test]
fn a_zero_block_and_then_another_is_refused() {
    let archive = archive().raw(&[0; BLOCK]).member(b'0', "a", b"");
    assert_eq!(toc_of(&archive.0).members, 0);
    assert_eq!(
        end(archive),
        Err("tar header at byte 512: follows a zero block at byte 0, but is not one".into())
    );
}

#[test]
fn the_end_of_the_input_must_not_cut_a_block_or_payload() {
    let member = archive().member(b'0', "a", b"1");
    assert_eq!(
        end(member.clone().raw(b"b")),
        Err("tar header at byte 1024: the input ends after 1 of its 512 bytes".into())
    );
    assert_eq!(
        end(member.raw(&[0; BLOCK + 9])),
        Err("tar header at byte 1536: the input ends after 9 of its 512 bytes".into())
    );
    for (flag, name) in [(b'0', "a"), (b'x', "b"), (b'L', "c")] {
        let cut = archive().head(head(flag, name).size(9)).raw(b"12345678");
        let missing =
            format!("tar header at byte 0: the input ends 1 byte before the end of {name:?}");
        assert_eq!(end(cut), Err(missing));
    }
}

#[test]
fn nothing_helps_after_an_error() {
    let mut reader = TarReader::new();
    let mut members = 0;
    let first = reader.push(&[1; BLOCK], &mut |_| members += 1);
    let second = reader.push(&archive().member(b'0', "a", b"").0, &mut |_| members += 1);
    assert!(matches!(first, Err(Error::Header { at: 0, .. })));
    assert_eq!((first, 0), (second, members));
}
