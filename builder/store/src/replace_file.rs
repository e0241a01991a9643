//! Files that are replaced whole: written beside the old one, then renamed, so that nobody sees one in part.

use std::{fs::File, io, path::Path};

/// Who may read the new file, unless what writes it says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readable {
    /// This user only.
    Privately,
    /// Whoever the umask lets.
    ByUmask,
}

/// Puts a file at `path`, with what `write` writes into it.
///
/// # Errors
/// What `write` meets, or the file system. What was at `path` is there still.
pub fn replace_file(
    path: &Path,
    readable: Readable,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<File> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut partial = tempfile::Builder::new();
    partial.prefix(".partial-");
    #[cfg(unix)]
    if readable == Readable::ByUmask {
        partial.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    }
    #[cfg(not(unix))]
    let _ = readable;
    let mut partial = partial.tempfile_in(directory)?;
    write(partial.as_file_mut())?;
    partial.as_file().sync_data()?;
    Ok(partial.persist(path)?)
}
