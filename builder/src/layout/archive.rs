//! A layout in a tar archive, as `skopeo copy … oci-archive:` writes it.
//! Reading goes straight to the member's bytes. Writing makes a new archive beside the old one and renames it, so that the
//! old one stays whole until the new one is.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::{self, Cursor, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;

use super::{BlobsInUse, Edit, Files, OpenFile, ReadSeek};

/// Where each member's bytes start, and how many there are.
type Members = HashMap<String, (u64, u64)>;

pub(super) struct Archive {
    path: PathBuf,
    members: Mutex<Members>,
    added: Mutex<BTreeMap<String, Bytes>>,
}

impl Archive {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            members: Mutex::new(members_of(path)?),
            added: Mutex::default(),
        })
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn added(&self) -> MutexGuard<'_, BTreeMap<String, Bytes>> {
        self.added.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn member(&self, name: &str) -> io::Result<Option<(u64, io::Take<File>)>> {
        let Some((at, size)) = self.members().get(name).copied() else {
            return Ok(None);
        };
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(at))?;
        Ok(Some((size, file.take(size))))
    }
}

impl Files for Archive {
    fn open(&self, name: &str) -> io::Result<Option<OpenFile>> {
        if let Some(bytes) = self.added().get(name) {
            return Ok(Some((
                bytes.len() as u64,
                Box::new(Cursor::new(bytes.clone())),
            )));
        }
        Ok(self
            .member(name)?
            .map(|(size, reader)| (size, Box::new(reader) as Box<dyn ReadSeek>)))
    }

    fn begin(&self) {}

    fn put(&self, name: &str, bytes: &Bytes) -> io::Result<()> {
        self.added().insert(name.to_owned(), bytes.clone());
        Ok(())
    }

    fn commit(&self, edit: Edit<'_>) -> io::Result<bool> {
        const INDEX: &str = "index.json";
        let mut index = Vec::new();
        self.member(INDEX)?
            .ok_or(io::ErrorKind::NotFound)?
            .1
            .read_to_end(&mut index)?;
        let edited = edit(&index)?;
        let has_changed = edited.is_some();
        let index = edited.unwrap_or(index);

        let directory = self
            .path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let partial = tempfile::Builder::new()
            .prefix(".partial-")
            .tempfile_in(directory)?;
        partial
            .as_file()
            .set_permissions(std::fs::metadata(&self.path)?.permissions())?;
        let mut new = tar::Builder::new(partial);
        let mut old = tar::Archive::new(File::open(&self.path)?);
        for entry in old.entries_with_seek()? {
            let entry = entry?;
            let path = entry.path_bytes().into_owned();
            let name = String::from_utf8_lossy(&path);
            let name = name.trim_start_matches("./");
            if name != INDEX && !self.added().contains_key(name) {
                // The size may stand in a PAX record, which is not copied; numbers as GNU writes them hold any size.
                let mut header = entry.header().clone();
                header.set_size(entry.size());
                header.set_cksum();
                new.append(&header, entry)?;
            }
        }
        let mut added = self.added();
        for (name, bytes) in &*added {
            append(&mut new, name, bytes)?;
        }
        append(&mut new, INDEX, &index)?;
        let partial = new.into_inner()?;
        partial.as_file().sync_data()?;
        partial.persist(&self.path)?;
        // From here on everything is found in the new archive, and elsewhere in it than in the old one.
        *self.members() = members_of(&self.path)?;
        added.clear();
        Ok(has_changed)
    }

    fn roll_back(&self, _: BlobsInUse<'_>) {
        self.added().clear();
    }
}

fn members_of(path: &Path) -> io::Result<Members> {
    let mut archive = tar::Archive::new(File::open(path)?);
    let mut members = Members::new();
    for entry in archive.entries_with_seek()? {
        let entry = entry?;
        let name = String::from_utf8_lossy(&entry.path_bytes())
            .trim_start_matches("./")
            .to_owned();
        members.insert(name, (entry.raw_file_position(), entry.size()));
    }
    Ok(members)
}

fn append(archive: &mut tar::Builder<impl io::Write>, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    archive.append_data(&mut header, name, bytes)
}
