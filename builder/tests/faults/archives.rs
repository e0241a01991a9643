//! Archives as other tools write them: read where there is one way to, and rewritten without a loss.

use std::{fs, path::Path};

use soci_testing::{
    image::{Image, Layer, files_of},
    program::Program,
};
use tempfile::TempDir;

use crate::program;

/// A header with its checksum, and what follows it in whole blocks.
fn member(name: &str, flag: u8, link: &str, bytes: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    header.as_mut_bytes()[157..][..link.len()].copy_from_slice(link.as_bytes());
    header.set_entry_type(tar::EntryType::new(flag));
    header.set_size(bytes.len() as u64);
    // What a rewriting might lose.
    header.set_mode(0o4711);
    header.set_uid(4_321);
    header.set_mtime(1_234_567_890);
    header.set_cksum();
    blocks(header.as_bytes(), bytes)
}

fn blocks(header: &[u8], bytes: &[u8]) -> Vec<u8> {
    let mut member = [header, bytes].concat();
    member.resize(member.len().next_multiple_of(512), 0);
    member
}

fn pax(records: &[(&str, &str)]) -> Vec<u8> {
    let records = records.iter().map(|(key, value)| {
        let rest = format!(" {key}={value}\n");
        let length = (rest.len()..).find(|length| length.to_string().len() + rest.len() == *length);
        format!("{}{rest}", length.unwrap())
    });
    member(
        "PaxHeaders/x",
        b'x',
        "",
        records.collect::<String>().as_bytes(),
    )
}

/// A GNU sparse file whose map goes on in a block of its own.
fn gnu_sparse(name: &str) -> Vec<u8> {
    let mut header =
        tar::Header::from_byte_slice(&member(name, b'S', "", &[7; 600])[..512]).clone();
    let gnu = header.as_gnu_mut().unwrap();
    gnu.isextended = [1];
    gnu.realsize = *b"00000020000\0";
    gnu.sparse[0].offset = *b"00000010000\0";
    gnu.sparse[0].numbytes = *b"00000001130\0";
    gnu.sparse[1].offset = gnu.realsize;
    gnu.sparse[1].numbytes = *b"00000000000\0";
    header.set_cksum();
    // The map's second block: nothing more, and no third.
    blocks(&[header.as_bytes(), &[0; 512][..]].concat(), &[7; 600])
}

fn end() -> Vec<u8> {
    vec![0; 1024]
}

/// The files of a layout as members, by their paths, `index.json` last.
fn layout_members(layout: &Path) -> Vec<(String, Vec<u8>)> {
    let files = files_of(layout).into_iter();
    let mut members: Vec<_> = files
        .map(|(path, bytes)| {
            let name = path.strip_prefix(layout).unwrap().to_str().unwrap();
            (name.to_owned(), bytes.to_vec())
        })
        .collect();
    members.sort_by_key(|(name, _)| name == "index.json");
    members
}

fn files(members: &[(String, Vec<u8>)]) -> Vec<Vec<u8>> {
    members
        .iter()
        .map(|(name, bytes)| member(name, b'0', "", bytes))
        .collect()
}

fn image() -> Image {
    Image::of([&Layer::noise(1, 90_000)])
}

struct Archive {
    folder: TempDir,
}

impl Archive {
    fn of(members: &[Vec<u8>]) -> Self {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("image.tar"), members.concat()).unwrap();
        Self { folder }
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(self.folder.path().join("image.tar")).unwrap()
    }

    fn reference(&self, tag: &str) -> String {
        format!(
            "oci-archive:{}:{tag}",
            self.folder.path().join("image.tar").display()
        )
    }

    /// It can be indexed, and is whole then, also by the judgement of whoever looks again.
    fn is_indexed(&self, what: &str) {
        let result = program(&self.reference("v1")).run().exits(0).json();
        assert_eq!(result["outcome"], "indexed", "{what}");
        let verify = Program::new(["verify", &self.reference("v1-soci")]).run();
        assert_eq!(verify.code, Some(0), "{what}: {verify:?}");
        let again = program(&self.reference("v1")).run().exits(0).json();
        assert_eq!(again["outcome"], "already-there", "{what}");
        assert_eq!(fs::read_dir(self.folder.path()).unwrap().count(), 1);
    }
}

#[test]
fn every_other_member_keeps_its_bytes() {
    let (layout, _) = image().layout();
    let mut members = layout_members(layout.path());
    let index = members.pop().unwrap();
    let long = format!("blobs/sha512/{}", "0".repeat(128));
    let mut kept = vec![
        member("pax_global_header", b'g', "", b"12 comment=\n"),
        member("./", b'5', "", b""),
    ];
    kept.extend(files(&members));
    kept.extend([
        [
            member("././@LongLink", b'L', "", format!("{long}\0").as_bytes()),
            member(&long[..100], b'0', "", b"a blob of another digest"),
        ]
        .concat(),
        [
            pax(&[
                ("path", &format!("{long}-pax")),
                ("mtime", "1.5"),
                ("SCHILY.xattr.user.note", "kept"),
            ]),
            member(&long[..100], b'0', "", b"another"),
        ]
        .concat(),
        gnu_sparse("notes.img"),
        [
            pax(&[
                ("GNU.sparse.major", "1"),
                ("GNU.sparse.minor", "0"),
                ("GNU.sparse.name", "more.img"),
                ("GNU.sparse.realsize", "5000"),
            ]),
            member("GNUSparseFile.0/more.img", b'0', "", &[b'\n'; 1_000]),
        ]
        .concat(),
        [
            member("././@LongLink", b'K', "", format!("{long}\0").as_bytes()),
            member("link", b'1', &long[..100], b""),
        ]
        .concat(),
        member("soft", b'2', "nowhere", b""),
        member("fifo", b'6', "", b""),
        member("volume", b'V', "", b""),
    ]);
    let index = member(&index.0, b'0', "", &index.1);
    let tail = [end(), b"something behind the end".to_vec()];
    let (front, back) = kept.split_at(5);
    let archive =
        Archive::of(&[front.to_vec(), vec![index], back.to_vec(), tail.to_vec()].concat());
    archive.is_indexed("all kinds");
    let (bytes, kept) = (archive.bytes(), kept.concat());
    assert!(bytes.starts_with(&kept), "members have changed");
    assert!(bytes.ends_with(&tail.concat()), "the end has changed");
}

#[test]
fn layouts_in_archives_of_any_form() {
    let (layout, _) = image().layout();
    let members = layout_members(layout.path());
    let (index, blobs) = members.split_last().unwrap();
    let whole = files(&members);
    let moved = |move_one: &dyn Fn(&str, &[u8]) -> Vec<u8>| {
        let members = members.iter();
        members
            .map(|(name, bytes)| move_one(name, bytes))
            .collect::<Vec<_>>()
    };
    let no_images = br#"{"schemaVersion":2,"manifests":[]}"#;
    let at_first = [
        vec![member("index.json", b'0', "", no_images)],
        whole.clone(),
    ]
    .concat();
    let cases: Vec<(&str, Vec<Vec<u8>>)> = vec![
        ("index.json twice", [at_first, vec![end()]].concat()),
        ("no end marker", whole.clone()),
        (
            "one zero block",
            [whole.clone(), vec![vec![0; 512]]].concat(),
        ),
        (
            "many zeros",
            [whole.clone(), vec![vec![0; 300_000]]].concat(),
        ),
        (
            "no padding at the end",
            [
                files(blobs),
                vec![member("index.json", b'0', "", &index.1)[..512 + index.1.len()].to_vec()],
            ]
            .concat(),
        ),
        (
            "dots and slashes",
            moved(&|name, bytes| member(&format!("././/{name}"), b'0', "", bytes)),
        ),
        (
            "a root",
            moved(&|name, bytes| member(&format!("/{name}"), b'0', "", bytes)),
        ),
        (
            "contiguous files, old files",
            moved(&|name, bytes| {
                let flag = if name.len().is_multiple_of(2) {
                    b'7'
                } else {
                    0
                };
                member(name, flag, "", bytes)
            }),
        ),
        (
            "long names",
            moved(&|name, bytes| {
                [
                    member("././@LongLink", b'L', "", name.as_bytes()),
                    member("cut", b'0', "", bytes),
                ]
                .concat()
            }),
        ),
        (
            "names and sizes in records",
            moved(&|name, bytes| {
                let size = bytes.len().to_string();
                let mut header = tar::Header::new_ustar();
                header.set_cksum();
                [
                    pax(&[("path", name), ("size", &size)]),
                    blocks(header.as_bytes(), bytes),
                ]
                .concat()
            }),
        ),
        (
            "hard links",
            moved(&|name, bytes| {
                let other = format!("other{}", name.rsplit('/').next().unwrap());
                [
                    member(&other, b'0', "", bytes),
                    member(name, b'1', &format!("./{other}"), b""),
                ]
                .concat()
            }),
        ),
        (
            "a hard link to index.json",
            [whole.clone(), vec![member("copy", b'1', "index.json", b"")]].concat(),
        ),
        (
            "symbolic links",
            moved(&|name, bytes| {
                let other = format!("other{}", name.rsplit('/').next().unwrap());
                let up = "../".repeat(name.matches('/').count());
                [
                    member(name, b'2', &format!("{up}{other}"), b""),
                    member(&other, b'0', "", bytes),
                ]
                .concat()
            }),
        ),
        (
            "a symbolic link to the blobs",
            [
                vec![member("blobs", b'2', "./data/of/", b"")],
                moved(&|name, bytes| member(&name.replace("blobs/", "data/of/"), b'0', "", bytes)),
            ]
            .concat(),
        ),
    ];
    for (what, members) in cases {
        Archive::of(&members).is_indexed(what);
    }
}

#[test]
fn what_cannot_be_read_is_refused_and_left_alone() {
    let (layout, _) = image().layout();
    let members = layout_members(layout.path());
    let whole = files(&members);
    let with = |more: Vec<u8>| [vec![more], whole.clone(), vec![end()]].concat();
    let sparse = |name: &str| {
        let others = members.iter().filter(|(other, _)| other != name);
        let others = others.map(|(name, bytes)| member(name, b'0', "", bytes));
        others.chain([gnu_sparse(name)]).collect::<Vec<_>>()
    };
    let layer = members.iter().max_by_key(|(_, bytes)| bytes.len()).unwrap();
    let cases: Vec<(Vec<Vec<u8>>, &[&str])> = vec![
        (sparse("index.json"), &["index.json", "sparse file"]),
        (sparse(&layer.0), &["sparse file", "without --sparse"]),
        (
            with(member("pax_global_header", b'g', "", b"14 path=other\n")),
            &["path", "would change all members"],
        ),
        (
            with(b"no tar header".repeat(100)),
            &["tar header at byte 0"],
        ),
        (
            [whole.clone(), vec![b"no header".to_vec()]].concat(),
            &["tar header at byte"],
        ),
        (
            vec![member("oci-layout", b'1', "nothing", b"")],
            &["oci-layout", "hard link to \"nothing\""],
        ),
        (
            vec![member("oci-layout", b'2', "/etc/hostname", b"")],
            &["oci-layout", "outside of the archive"],
        ),
        (
            vec![member("oci-layout", b'2', "../../x", b"")],
            &["oci-layout", "outside of the archive"],
        ),
        (
            vec![member("oci-layout", b'2', "oci-layout", b"")],
            &["oci-layout", "too many symbolic links"],
        ),
        (
            vec![member("oci-layout", b'5', "", b"")],
            &["oci-layout", "not a regular file"],
        ),
    ];
    for (members, words) in cases {
        let archive = Archive::of(&members);
        program(&archive.reference("v1")).run().fails_with(words);
        assert!(archive.bytes() == members.concat(), "{words:?}");
        assert_eq!(fs::read_dir(archive.folder.path()).unwrap().count(), 1);
    }
    let folder = TempDir::new().unwrap();
    program(&format!("oci-archive:{}:v1", folder.path().display()))
        .run()
        .fails_with(&["not a regular file"]);
}

#[cfg(unix)]
#[test]
fn the_file_behind_a_link_is_replaced() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    let (layout, _) = image().layout();
    let archive = Archive::of(&files(&layout_members(layout.path())));
    let file = archive.folder.path().join("image.tar");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o604)).unwrap();
    let owner = fs::metadata(&file).unwrap().uid();
    let elsewhere = TempDir::new().unwrap();
    let link = elsewhere.path().join("link.tar");
    symlink(&file, &link).unwrap();
    let result = program(&format!("oci-archive:{}:v1", link.display()));
    assert_eq!(result.run().exits(0).json()["outcome"], "indexed");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    let metadata = fs::metadata(&file).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o604);
    assert_eq!(metadata.uid(), owner);
    archive_is_whole(&archive);
}

#[cfg(unix)]
fn archive_is_whole(archive: &Archive) {
    let verify = Program::new(["verify", &archive.reference("v1-soci")]).run();
    assert_eq!(verify.code, Some(0), "{verify:?}");
}
