//! Archives out of pipes, and what is no OCI archive: read, or refused with what to do.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    thread,
};

use soci_testing::{
    image::{Image, Layer, files_of, gzip, tar_of},
    program::{Program, indexed},
};
use tempfile::TempDir;

/// An archive with an indexed image `v1-soci`, in a folder.
fn archive() -> (TempDir, String) {
    let layer = Layer::gzip(&tar_of([("noise", "text ".repeat(999))]));
    let (layout, image) = Image::of([&layer]).layout();
    indexed(&image, &[]);
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("image.tar");
    let mut archive = tar::Builder::new(File::create(&path).unwrap());
    archive.append_dir_all(".", layout.path()).unwrap();
    archive.finish().unwrap();
    (folder, path.display().to_string())
}

/// `arguments` with these bytes through a pipe.
fn through_a_pipe(bytes: Vec<u8>, arguments: &[&str]) -> Program {
    let (reader, mut writer) = std::io::pipe().unwrap();
    // It ends where nobody reads on.
    thread::spawn(move || writer.write_all(&bytes));
    Program::new(arguments).stdin(reader)
}

#[test]
fn commands_that_read_take_an_archive_from_standard_input() {
    let (_folder, path) = archive();
    for input in ["oci-archive:-", "oci-archive:/dev/stdin"] {
        for [command, more @ ..] in [
            ["info", "--json", "--json"],
            ["verify", "--json", "--json"],
            ["ls", "-R", "/"],
            ["cat", "/noise", "/noise"],
            ["report", "-o", "-"],
        ] {
            let more = if more[0] == more[1] {
                &more[1..]
            } else {
                &more[..]
            };
            let of = |archive: &str| {
                let image = format!("{archive}:v1-soci");
                [&[command, &image], more].concat().join(" ")
            };
            let run = |line: String| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
            let archive = format!("oci-archive:{path}");
            let direct = Program::new(run(of(&archive))).run().exits(0);
            let expected = direct.stdout.replace(&archive, input);
            let arguments = run(of(input));
            let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
            let piped = through_a_pipe(fs::read(&path).unwrap(), &arguments).run();
            assert_eq!(piped.exits(0).stdout, expected);
            let redirected = Program::new(&arguments).stdin(File::open(&path).unwrap());
            assert_eq!(redirected.run().exits(0).stdout, expected);
        }
    }
}

#[test]
fn an_index_needs_an_archive_that_it_can_be_written_into() {
    let (folder, path) = archive();
    let before = files_of(folder.path());
    for image in [
        "oci-archive:-",
        "oci-archive:-:v1",
        "oci-archive:/dev/stdin:v1",
    ] {
        let ended = through_a_pipe(fs::read(&path).unwrap(), &["index", image]).run();
        let ended = ended.exits(2);
        assert!(
            ended.stderr.contains("save it to a file first"),
            "{ended:?}"
        );
    }
    assert_eq!(files_of(folder.path()), before);
}

#[test]
fn what_comes_without_end_is_not_kept() {
    for arguments in [
        ["info", "oci-archive:/dev/zero"],
        ["info", "oci-archive:/dev/urandom"],
    ] {
        Program::new(arguments)
            .run()
            .fails_with(&["not a tar archive"]);
    }
    through_a_pipe(Vec::new(), &["info", "oci-archive:-"])
        .run()
        .fails_with(&["standard input", "not a tar archive"]);
}

#[test]
fn a_compressed_archive_is_refused_with_what_decompresses_it() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    for (name, bytes, command, to) in [
        ("a.tar.gz", &gzip(b"x")[..], "gunzip -c", "a.tar"),
        ("a.tgz", &gzip(b"x"), "gunzip -c", "a.tar"),
        ("a", &gzip(b"x"), "gunzip -c", "a.tar"),
        ("a.tar.zst", b"\x28\xb5\x2f\xfd", "zstd -dc", "a.tar"),
        ("a.txz", b"\xfd7zXZ\0", "xz -dc", "a.tar"),
        ("a.bz2", b"BZh9", "bunzip2 -c", "a"),
    ] {
        fs::write(at(name), bytes).unwrap();
        let said = format!(
            "{command} {} > {to}, and then use oci-archive:{to}",
            at(name),
            to = at(to)
        );
        for arguments in [["info"], ["index"]] {
            Program::new(arguments)
                .argument(format!("oci-archive:{}", at(name)))
                .run()
                .fails_with(&[&said]);
        }
    }
    through_a_pipe(gzip(b"x"), &["info", "oci-archive:-"])
        .run()
        .fails_with(&["gunzip -c FILE | soci-builder"]);
}

#[test]
fn what_is_no_layout_is_told_by_what_it_is() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("save.tar");
    let write = |manifest: &str| {
        fs::write(
            &path,
            tar_of([("manifest.json", manifest), ("c.json", "{}")]),
        )
        .unwrap();
    };
    let shown = path.display().to_string();
    let copied = shown.replace(".tar", "-oci.tar");
    for (manifest, from, name) in [
        (r#"[{"RepoTags":["app:1"]}]"#, ":app:1", "app:1"),
        (r#"[{"RepoTags":null}]"#, "", "latest"),
        ("not JSON", "", "latest"),
    ] {
        write(manifest);
        let said =
            format!("skopeo copy docker-archive:{shown}{from} oci-archive:{copied}:{name}, and");
        Program::new(["info", &format!("oci-archive:{shown}")])
            .run()
            .fails_with(&["docker archive without an OCI layout", &said]);
    }
    let directory = folder.path().display().to_string();
    Program::new(["info", &format!("oci:{shown}")])
        .run()
        .fails_with(&[&format!("write oci-archive:{shown}")]);
    Program::new(["info", &format!("oci-archive:{directory}")])
        .run()
        .fails_with(&[&format!("write oci:{directory}")]);
    fs::write(folder.path().join("manifest.json"), "{}").unwrap();
    Program::new(["info", &format!("oci:{directory}")])
        .run()
        .fails_with(&["unpacked docker archive"]);
    fs::write(
        Path::new(&directory).join("version"),
        "Directory Transport Version: 1.1",
    )
    .unwrap();
    Program::new(["info", &format!("oci:{directory}")])
        .run()
        .fails_with(&[&format!(
            "skopeo copy dir:{directory} oci-archive:image-oci.tar:latest"
        )]);
}
