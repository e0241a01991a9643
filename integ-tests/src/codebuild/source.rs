//! A build's source: a zip in S3.
//! In: the zip's bytes. Out: files in a clean directory.

use std::{fs, io, os::unix::fs::PermissionsExt, path::Path};

use bytes::Bytes;
use zip::ZipArchive;

/// Why the source cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("the source is not a zip")]
    Zip(#[from] zip::result::ZipError),
    #[error("cannot write the source's file {0:?}")]
    Write(String, #[source] io::Error),
    #[error("the source's file {0:?} leads out of it")]
    Astray(String),
}

/// Unpacks it, with the files' modes or without.
pub(super) fn unpack(zip: Bytes, to: &Path, with_modes: bool) -> Result<(), Error> {
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
