//! What is put into a layout: part of it from the commit on, and taken out again where there is none.
//! In: blobs, and entries for `index.json`. Out: the layout with all of them, or as it was.

use std::{
    collections::HashSet,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use soci_format::{
    digest::Digest,
    limits::Limits,
    oci::{Descriptor, Manifest},
};

use super::{Error, Layout, blob_name, index_json, read_whole};

/// Changes of a layout that are not part of it yet. A layout has one at a time.
pub struct Transaction {
    layout: Arc<Layout>,
    entries: Mutex<Vec<(Descriptor, Option<String>)>>,
    has_put: AtomicBool,
}

impl Transaction {
    pub fn begin(layout: &Arc<Layout>) -> Self {
        layout.files.begin();
        Self {
            layout: Arc::clone(layout),
            entries: Mutex::default(),
            has_put: AtomicBool::new(false),
        }
    }

    /// Adds a blob, unless it is there with the bytes that it should have.
    pub fn put_blob(&self, digest: &Digest, bytes: &Bytes) -> Result<(), Error> {
        match self.layout.checked_size(digest) {
            Ok(Some(_)) => return Ok(()),
            Ok(None) | Err(Error::Damaged { .. }) => {}
            Err(error) => return Err(error),
        }
        let name = blob_name(digest);
        self.layout
            .files
            .put(&name, bytes)
            .map_err(|source| self.layout.file("write", &name, source))?;
        self.has_put.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Names `descriptor` in `index.json` with the commit; under `name` it replaces what had that name.
    pub fn name(&self, descriptor: Descriptor, name: Option<&str>) {
        self.entries
            .lock()
            .expect("no one panics while holding it")
            .push((descriptor, name.map(str::to_owned)));
    }

    /// Makes all that was put part of the layout; says whether that changed it. Waits while another builder does so, and gives up where
    /// `stop` is set.
    pub fn commit(&self, stop: &AtomicBool) -> Result<bool, Error> {
        let entries =
            std::mem::take(&mut *self.entries.lock().expect("no one panics while holding it"));
        let has_put = self.has_put.load(Ordering::Relaxed);
        if entries.is_empty() && !has_put {
            return Ok(false);
        }
        let has_named = self
            .layout
            .files
            .commit(
                &|index| Ok(index_json::with_entries(index, &entries)?),
                stop,
            )
            .map_err(|source| self.layout.file("write", "index.json", source))?;
        Ok(has_put || has_named)
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        self.layout
            .files
            .roll_back(&|| blobs_in_use(&*self.layout.files));
    }
}

/// The files of all blobs that `index.json` leads to.
fn blobs_in_use(files: &dyn super::Files) -> io::Result<HashSet<String>> {
    let mut found = HashSet::new();
    let index = read_whole(files, "index.json", Limits::MANIFEST_BYTES)?;
    let (mut open, ..) = index_json::entries(&index.ok_or(io::ErrorKind::NotFound)?)?;
    while let Some(next) = open.pop() {
        let name = blob_name(&next.digest);
        if !found.insert(name.clone()) {
            continue;
        }
        // What is no manifest leads to nothing. Neither does what cannot be read whole.
        let Ok(Some(bytes)) = read_whole(files, &name, Limits::MANIFEST_BYTES) else {
            continue;
        };
        match Manifest::parse("", &bytes) {
            Ok(Manifest::Index(index)) => open.extend(index.manifests),
            Ok(Manifest::Image(image)) => {
                open.extend(image.layers);
                open.push(image.config);
            }
            Err(_) => {}
        }
    }
    Ok(found)
}
