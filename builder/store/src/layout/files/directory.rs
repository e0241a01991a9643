//! A layout in a directory. Every file appears whole, by a rename; what was added is removed unless it is committed.
//!
//! Several builders may be at work on it. Who edits `index.json` has a lock on `oci-layout` for so long. Who writes blobs shares a
//! lock on `blobs` until its end, because it counts on what others put: only who is alone there removes anything.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
};

use bytes::Bytes;

use super::lock::locked;
use crate::{
    layout::{BlobsInUse, Edit, Files, OpenFile},
    replace_file::{Readable, replace_file},
};

pub(super) struct Directory {
    root: PathBuf,
    changes: Mutex<Changes>,
}

#[derive(Default)]
struct Changes {
    /// The shared lock, while there is a transaction.
    presence: Option<File>,
    /// Files that are to go again unless they are committed.
    added: Vec<String>,
}

impl Directory {
    pub(super) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            changes: Mutex::default(),
        }
    }

    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn blobs(&self) -> io::Result<File> {
        File::open(self.root.join("blobs"))
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

    fn begin(&self) {
        // Without the lock, which not every file system has, nothing is ever removed by anybody.
        let presence = self.blobs();
        self.changes().presence = presence
            .and_then(|blobs| blobs.lock_shared().map(|()| blobs))
            .ok();
    }

    fn put(&self, name: &str, bytes: &Bytes) -> io::Result<()> {
        let path = self.root.join(name);
        let is_new = !path.exists();
        write_whole(&path, bytes)?;
        if is_new {
            self.changes().added.push(name.to_owned());
        }
        Ok(())
    }

    fn commit(&self, edit: Edit<'_>, stop: &AtomicBool) -> io::Result<bool> {
        let _lock = locked(&self.root.join("oci-layout"), stop)?;
        let path = self.root.join("index.json");
        let index = edit(&fs::read(&path)?)?;
        if let Some(index) = &index {
            write_whole(&path, index)?;
        }
        self.changes().added.clear();
        Ok(index.is_some())
    }

    fn roll_back(&self, in_use: BlobsInUse<'_>) {
        let Changes { presence, added } = std::mem::take(&mut *self.changes());
        if added.is_empty() || presence.is_none() {
            return;
        }
        drop(presence);
        // A blob that stays does no harm where another builder is at work, or where it is not known what is needed. Nobody is left to
        // tell.
        let Ok(alone) = self.blobs() else { return };
        if alone.try_lock().is_err() {
            return;
        }
        let Ok(in_use) = in_use() else { return };
        for name in added.iter().filter(|name| !in_use.contains(*name)) {
            let _ = fs::remove_file(self.root.join(name));
        }
    }
}

fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let write = |file: &mut File| {
        file.write_all(bytes)?;
        // A layout is as readable as its directory lets it be, whatever the umask.
        #[cfg(unix)]
        file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
        Ok(())
    };
    replace_file(path, Readable::Privately, write).map(drop)
}
