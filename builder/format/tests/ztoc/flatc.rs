//! What FlatBuffers' own compiler reads in our ztocs, with the schemas under `schema/`.

use std::{fs, path::Path, process::Command};

use proptest::prelude::*;
use serde_json::{Value, json};
use soci_format::ztoc::{Compression, TarZinfo, Ztoc};

use crate::any;

/// The buffer as JSON, every field there.
fn flatc(schema: &str, buffer: &[u8]) -> Value {
    let schema = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("schema")
        .join(schema);
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("buffer.bin"), buffer).unwrap();
    let run = Command::new("flatc")
        .args([
            "--raw-binary",
            "--strict-json",
            "--defaults-json",
            "-t",
            "-o",
            ".",
        ])
        .arg(schema)
        .args(["--", "buffer.bin"])
        .current_dir(dir.path())
        .output()
        .expect("flatc cannot be started; `make setup` installs it");
    let said = String::from_utf8_lossy(&run.stdout) + String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "flatc: {said}");
    let json = fs::read(dir.path().join("buffer.json")).unwrap();
    serde_json::from_slice(&json)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&json)))
}

/// What flatc must say of `ztoc`.
fn expected(ztoc: &Ztoc) -> Value {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let files = ztoc.toc.iter().map(|file| {
        let xattrs = file.xattrs.iter();
        let xattrs = xattrs.map(|(key, value)| json!({"key": text(key), "value": text(value)}));
        json!({
            "name": text(file.name),
            "type": text(file.kind),
            "uncompressed_offset": file.offset,
            "uncompressed_size": file.size,
            "linkname": text(file.link_name),
            "mode": file.mode,
            "uid": file.uid,
            "gid": file.gid,
            "uname": text(file.user_name),
            "gname": text(file.group_name),
            "mod_time": text(file.modified),
            "devmajor": file.dev_major,
            "devminor": file.dev_minor,
            "xattrs": xattrs.collect::<Value>(),
        })
    });
    let digests = ztoc.span_digests.iter().map(ToString::to_string);
    json!({
        "version": "0.9",
        "build_tool_identifier": ztoc.build_tool,
        "compressed_archive_size": ztoc.compressed_size,
        "uncompressed_archive_size": ztoc.plain_size,
        "toc": {"metadata": files.collect::<Value>()},
        "compression_info": {
            "compression_algorithm": match ztoc.compression {
                Compression::Gzip => "Gzip",
                Compression::Uncompressed => "Uncompressed",
            },
            "max_span_id": ztoc.max_span_id,
            "span_digests": digests.collect::<Value>(),
            "checkpoints": ztoc.checkpoints,
        },
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn reads_what_we_write(ztoc in any::ztoc(".{0,40}")) {
        let found = flatc("ztoc.fbs", &ztoc.clone().into_bytes());
        prop_assert_eq!(found, expected(&ztoc));
    }
}

#[test]
fn reads_what_stands_for_checkpoints_of_plain_layers() {
    for (span_size, size) in [
        (1, 0),
        (4 << 20, 123_456_789),
        (i64::MAX.cast_unsigned(), 1),
    ] {
        let found = flatc("tar_zinfo.fbs", &TarZinfo { span_size, size }.into_bytes());
        assert_eq!(
            found,
            json!({"version": 2, "span_size": span_size, "size": size})
        );
    }
}
