//! Archives that are written anew: every member is kept that is not replaced, and another reader finds the same ones.

use std::{collections::BTreeMap, path::Path, sync::atomic::AtomicBool};

use bytes::Bytes;
use soci_format::tar::{Content, Kind, Member, Members};
use soci_store::layout::archive::{Places, Rewrite};

use super::tar::{Member as Listed, is_clear, sealed};

/// So for the bytes as they are, and with right checksums, without which nothing much would be read.
pub(crate) fn archive(bytes: &[u8]) {
    check(bytes);
    check(&sealed(bytes));
}

fn check(old: &[u8]) {
    let Some(before) = members(old) else { return };
    compare(old, &before);
    let file = |name: &str, length| (name.to_owned(), Bytes::from(vec![7; length]));
    let files = BTreeMap::from([file("blobs/sha256/00", 600), file("index.json", 1)]);
    let rewrite = Rewrite::new(old, &before, &files).expect("it is in memory");
    let mut new = Vec::new();
    rewrite
        .write(&mut new, &AtomicBool::default())
        .expect("so is the new one");
    rewrite.check(&new[..]).expect("it is what it should be");

    // And once more, by nothing that the rewriting itself relies on: the old members in their order, with the new ones behind.
    let after = members(&new).expect("an archive again");
    let (kept, added) = after.list.split_at(after.list.len() - files.len());
    let mut before_it = before.list.iter();
    for is in kept {
        let raw = slice(&new, is);
        let was = before_it.find(|was| raw.starts_with(slice(old, was)) && was.name == is.name);
        let was = was.expect("a member that was there");
        // A member may lack padding at the end of an archive.
        assert!(raw[slice(old, was).len()..].iter().all(|&byte| byte == 0));
    }
    assert!(
        added
            .iter()
            .map(|one| &one.name[..])
            .eq(files.keys().map(String::as_bytes))
    );
    let lost = before.list.len() - kept.len();
    let replaced = |member: &&Member| {
        // Slashes and dots behind the name change nothing; a path's components are without them.
        let name = String::from_utf8_lossy(&member.name);
        let path = Path::new(&*name);
        files.keys().any(|file| path.ends_with(file))
    };
    assert!(lost <= before.list.iter().filter(replaced).count());
    let tail = usize::try_from(before.end).expect("in memory");
    assert!(new[usize::try_from(after.end).expect("in memory")..].starts_with(&old[tail..]));
    compare(&new, &after);
}

fn members(archive: &[u8]) -> Option<Members> {
    let found = Members::of(archive.len() as u64, &mut |bytes, at| {
        archive.fill(bytes, at)
    })
    .ok()?;
    // One behind the other, without a gap.
    let mut end = 0;
    for member in &found.list {
        assert_eq!(member.raw.start, end);
        end = member.raw.end;
        if let Content::File(bytes) = &member.content {
            assert!(member.raw.start < bytes.start && bytes.end <= member.raw.end);
        }
    }
    assert_eq!(end, found.end);
    assert!(end <= archive.len() as u64);
    Some(found)
}

fn slice<'a>(archive: &'a [u8], member: &Member) -> &'a [u8] {
    let at = |place| usize::try_from(place).expect("in memory");
    &archive[at(member.raw.start)..at(member.raw.end)]
}

/// The members of the `tar` crate, up to the first that may be read in two ways.
fn compare(archive: &[u8], ours: &Members) {
    let mut reader = tar::Archive::new(archive);
    let theirs = reader.entries().expect("nothing is read yet");
    for (ours, theirs) in ours.list.iter().zip(theirs) {
        let Ok(mut theirs) = theirs else { return };
        let size = theirs.size().cast_signed();
        let (kind, link_name, payload_at) = match &ours.content {
            Content::File(bytes) => (Kind::Regular, Vec::new(), bytes.start),
            Content::HardLink(to) => (Kind::HardLink, to.clone(), ours.raw.end),
            Content::Symlink(to) => (Kind::Symlink, to.clone(), ours.raw.end),
            Content::Other if theirs.header().entry_type().is_dir() => {
                (Kind::Directory, Vec::new(), ours.raw.end)
            }
            Content::Other | Content::Sparse => return,
        };
        let listed = Listed {
            name: ours.name.clone(),
            link_name,
            payload_at,
            size,
            kind,
        };
        if !is_clear(archive, &listed, &mut theirs) {
            return;
        }
        assert_eq!(theirs.path_bytes().as_ref(), ours.name, "{ours:?}");
        match &ours.content {
            Content::File(bytes) => {
                assert_eq!(theirs.raw_file_position(), bytes.start, "{ours:?}");
                assert_eq!(theirs.size(), bytes.end - bytes.start, "{ours:?}");
            }
            Content::HardLink(to) | Content::Symlink(to) => {
                let link = theirs.link_name_bytes().unwrap_or_default();
                assert_eq!(link.as_ref(), to, "{ours:?}");
            }
            Content::Other | Content::Sparse => {}
        }
    }
}
