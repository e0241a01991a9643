//! A layout in a directory. Every file appears whole, by a rename; what was added is removed unless it is committed.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Mutex,
};

use bytes::Bytes;

use super::{Files, OpenFile};

pub(super) struct Directory {
    root: PathBuf,
    /// Files that are to go again unless they are committed.
    added: Mutex<Vec<PathBuf>>,
}

impl Directory {
    pub(super) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            added: Mutex::default(),
        }
    }

    fn added(&self) -> std::sync::MutexGuard<'_, Vec<PathBuf>> {
        self.added
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Files for Directory {
    fn open(&self, name: &str) -> io::Result<Option<OpenFile>> {
        let file = match File::open(self.root.join(name)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        Ok(Some((metadata.len(), Box::new(file))))
    }

    fn put(&self, name: &str, bytes: &Bytes) -> io::Result<()> {
        let path = self.root.join(name);
        let is_new = !path.exists();
        write_whole(&path, bytes)?;
        if is_new {
            self.added().push(path);
        }
        Ok(())
    }

    fn commit(&self, edit: &dyn Fn(&[u8]) -> io::Result<Vec<u8>>) -> io::Result<()> {
        // Another builder may be at work on the same layout: index.json is read and replaced under a lock.
        let lock = File::open(self.root.join("oci-layout"))?;
        lock.lock()?;
        let path = self.root.join("index.json");
        write_whole(&path, &edit(&fs::read(&path)?)?)?;
        self.added().clear();
        Ok(())
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        for path in self.added().drain(..) {
            // Nobody is left to tell; a blob that no manifest names does no harm.
            let _ = fs::remove_file(path);
        }
    }
}

/// Writes `path` by way of a file beside it, so that it is never seen in part.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let mut partial = tempfile::Builder::new()
        .prefix(".partial-")
        .tempfile_in(directory)?;
    partial.write_all(bytes)?;
    partial.as_file().sync_data()?;
    // Temporary files are private by default; a layout is as readable as its directory lets it be.
    #[cfg(unix)]
    partial
        .as_file()
        .set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    partial.persist(path)?;
    Ok(())
}
