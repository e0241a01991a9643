//! A registry whose storage gives each connection only so much, for `scripts/bench-slow`. It holds one image in memory, and takes
//! pushes.
//!
//! In: an OCI layout with one image, MB a second for each connection, milliseconds to the first byte, `ranges` or `no-ranges`. Out: the
//! image's reference on stdout. Serves until stdin ends.

use std::{
    env, fs,
    io::{self, Read as _, Write as _},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use serde_json::Value;
use soci_testing::fake_registry::{FakeRegistry, Fault, Line, Route, Settings};

const REPOSITORY: &str = "team/app";
const TAG: &str = "v1";
/// A larger blob is no manifest.
const MANIFEST_BYTES: u64 = 4 << 20;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [layout, rate, first_byte, ranges] = &arguments[..] else {
        eprintln!("usage: slow-registry LAYOUT MB_PER_SECOND FIRST_BYTE_MS ranges|no-ranges");
        return ExitCode::from(2);
    };
    match serve(layout.as_ref(), rate, first_byte, ranges == "ranges") {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("slow-registry: {layout}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(layout: &Path, rate: &str, first_byte: &str, ranges: bool) -> Outcome<()> {
    let line = Line {
        bytes_per_second: rate.parse::<u64>()? * 1_000_000,
        first_byte: Duration::from_millis(first_byte.parse()?),
    };
    let registry = FakeRegistry::with(Settings {
        redirect_blobs: true,
        line: Some(line),
        ..Settings::default()
    });
    if !ranges {
        registry.fail(Route::Storage, Fault::IgnoreRange).always();
    }
    for blob in fs::read_dir(layout.join("blobs/sha256"))? {
        let blob = blob?;
        let bytes = fs::read(blob.path())?;
        if blob.metadata()?.len() <= MANIFEST_BYTES
            && let Ok(manifest) = serde_json::from_slice::<Value>(&bytes)
            && let Some(media_type) = manifest["mediaType"].as_str()
        {
            registry.put_manifest(REPOSITORY, None, media_type, bytes.clone());
        }
        registry.put_blob(bytes);
    }
    let index: Value = serde_json::from_slice(&fs::read(layout.join("index.json"))?)?;
    let root = &index["manifests"][0];
    let digest = root["digest"].as_str().unwrap_or_default();
    let bytes = fs::read(layout.join("blobs").join(digest.replace(':', "/")))?;
    let media_type = root["mediaType"].as_str().unwrap_or_default();
    registry.put_manifest(REPOSITORY, Some(TAG), media_type, bytes);

    let mut out = io::stdout();
    writeln!(out, "{}/{REPOSITORY}:{TAG}", registry.host())?;
    out.flush()?;
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
