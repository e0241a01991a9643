//! A build's source: a zip in S3.
//! In: the zip's bytes. Out: files in a clean directory.

use std::{fs, io, os::unix::fs::PermissionsExt, path::Path, process::Command};

use bytes::Bytes;
use zip::ZipArchive;

/// Why the source cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("the source is not a zip")]
    Zip(#[from] zip::result::ZipError),
    #[error("cannot write the source's file {0:?}")]
    Write(String, #[source] io::Error),
    #[error("path {0:?} in the source leaves the source folder")]
    Astray(String),
}

/// Unpacks it, with the files' modes or without.
///
/// The files that run are written by `cp`: while this process writes a program, whatever it starts at the same moment holds
/// the file open too, and the kernel runs no file that is open for writing ("text file busy").
pub(super) fn unpack(zip: Bytes, to: &Path, with_modes: bool) -> Result<(), Error> {
    let failed = |error| Error::Write(to.display().to_string(), error);
    let written = tempfile::tempdir().map_err(failed)?;
    write(zip, written.path(), with_modes)?;
    let copied = Command::new("cp")
        .arg("-a")
        .arg(written.path().join("."))
        .arg(to)
        .status()
        .map_err(failed)?;
    if copied.success() {
        Ok(())
    } else {
        Err(failed(io::Error::other(format!("cp ended with {copied}"))))
    }
}

fn write(zip: Bytes, to: &Path, with_modes: bool) -> Result<(), Error> {
    let mut archive = ZipArchive::new(io::Cursor::new(zip))?;
    for at in 0..archive.len() {
        let mut file = archive.by_index(at)?;
        let name = file.name()?.into_owned();
        let inside = file.enclosed_name();
        let path = to.join(inside.ok_or_else(|| Error::Astray(name.clone()))?);
        let failed = |error| Error::Write(name.clone(), error);
        if file.is_dir() {
            fs::create_dir_all(&path).map_err(failed)?;
            continue;
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        let mut written = fs::File::create(&path).map_err(failed)?;
        io::copy(&mut file, &mut written).map_err(failed)?;
        let mode = file.unix_mode().filter(|_| with_modes).unwrap_or(0o644);
        let mode = fs::Permissions::from_mode(mode & 0o777);
        fs::set_permissions(&path, mode).map_err(failed)?;
    }
    Ok(())
}
