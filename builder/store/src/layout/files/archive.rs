//! A layout in a tar archive, as `skopeo copy … oci-archive:` writes it.
//! Reading goes straight to a member's bytes, in the file that was opened, whatever takes its name since. Writing makes a new archive
//! beside the old one, reads it again, and renames it, so that the old one stays whole until the new one is.

mod names;
mod place;
mod rewrite;

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Cursor, Read},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
};

use bytes::Bytes;

use names::Names;
pub use place::Places;
use place::{Part, members};
pub use rewrite::Rewrite;
use rewrite::io_error;

use super::lock::locked;
use crate::{
    layout::{BlobsInUse, Edit, Files, OpenFile},
    replace_file::{Readable, replace_file},
};

const INDEX: &str = "index.json";

pub(super) struct Archive {
    /// Where the file is, whatever links led to it.
    path: PathBuf,
    opened: Mutex<Opened>,
    added: Mutex<BTreeMap<String, Bytes>>,
}

struct Opened {
    file: Arc<File>,
    names: Names,
}

impl Opened {
    fn of(file: File) -> io::Result<Self> {
        let names = Names::of(&members(&file).map_err(io_error)?);
        Ok(Self {
            file: Arc::new(file),
            names,
        })
    }

    fn find(&self, name: &str) -> io::Result<Option<OpenFile>> {
        let found = self.names.find(name)?;
        Ok(found.map(|part| {
            let size = part.end - part.start;
            let reader = Part::of(&self.file, part);
            (size, Box::new(reader) as Box<_>)
        }))
    }
}

impl Archive {
    /// The archive in `file`, which can be read at any place. Written is to `path`, which need not be the same one for those that are
    /// only read.
    pub(super) fn of(file: File, path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()),
            opened: Mutex::new(Opened::of(file)?),
            added: Mutex::default(),
        })
    }

    fn opened(&self) -> MutexGuard<'_, Opened> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn added(&self) -> MutexGuard<'_, BTreeMap<String, Bytes>> {
        self.added.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Files for Archive {
    fn open(&self, name: &str) -> io::Result<Option<OpenFile>> {
        match self.added().get(name) {
            Some(bytes) => {
                let reader = Cursor::new(bytes.clone());
                Ok(Some((bytes.len() as u64, Box::new(reader))))
            }
            None => self.opened().find(name),
        }
    }

    fn begin(&self) {}

    fn put(&self, name: &str, bytes: &Bytes) -> io::Result<()> {
        self.added().insert(name.to_owned(), bytes.clone());
        Ok(())
    }

    fn commit(&self, edit: Edit<'_>, stop: &AtomicBool) -> io::Result<bool> {
        // Another builder may have put another archive in this one's place since it was opened: its members are the ones to keep.
        let old = Arc::new(locked(&self.path, stop)?);
        let members = members(&*old).map_err(io_error)?;
        let index = Names::of(&members)
            .find(INDEX)?
            .ok_or(io::ErrorKind::NotFound)?;
        let mut bytes = Vec::new();
        Part::of(&old, index).read_to_end(&mut bytes)?;
        let index = edit(&bytes)?;
        let mut files = self.added().clone();
        if let Some(index) = &index {
            files.insert(INDEX.to_owned(), index.clone().into());
        }
        if !files.is_empty() {
            let rewrite = Rewrite::new(&*old, &members, &files)?;
            let new = replace(&self.path, &old, &rewrite, stop)?;
            *self.opened() = Opened::of(new)?;
        }
        self.added().clear();
        Ok(index.is_some())
    }

    fn roll_back(&self, _: BlobsInUse<'_>) {
        self.added().clear();
    }
}

/// Puts the new archive in the place of the old one, once it is known to be right.
fn replace(
    path: &Path,
    old: &File,
    rewrite: &Rewrite<'_, File>,
    stop: &AtomicBool,
) -> io::Result<File> {
    replace_file(path, Readable::Privately, |new| {
        belongs_as(&old.metadata()?, new)?;
        rewrite.write(&mut *new, stop)?;
        rewrite.check(new)
    })
}

/// Gives a file the owner of another, where this user may, and its permissions.
fn belongs_as(old: &fs::Metadata, new: &File) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, fchown};
        // Only root may give files away; whoever else is left with a file of their own.
        let _ = fchown(new, Some(old.uid()), Some(old.gid()));
    }
    new.set_permissions(old.permissions())
}
