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

use super::{Error, Layout, REF_NAME, blob_name, read_whole};
use crate::{
    digest::Digest,
    limits::Limits,
    oci::{Descriptor, ImageIndex, Manifest, to_go_json},
};

/// Changes of a layout that are not part of it yet. A layout has one at a time.
pub struct Transaction {
    layout: Arc<Layout>,
    entries: Mutex<Vec<Descriptor>>,
    has_put: AtomicBool,
}

impl Transaction {
    /// Begins one.
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

    /// Names `descriptor` in `index.json` with the commit; under `tag` it replaces what had that tag.
    pub fn name(&self, descriptor: Descriptor, tag: Option<&str>) {
        let mut descriptor = descriptor;
        descriptor.annotations.remove(REF_NAME);
        if let Some(tag) = tag {
            descriptor
                .annotations
                .insert(REF_NAME.to_owned(), tag.to_owned());
        }
        self.entries
            .lock()
            .expect("no one panics while holding it")
            .push(descriptor);
    }

    /// Makes all that was put part of the layout; says whether that changed it.
    pub fn commit(&self) -> Result<bool, Error> {
        let entries =
            std::mem::take(&mut *self.entries.lock().expect("no one panics while holding it"));
        let has_put = self.has_put.load(Ordering::Relaxed);
        if entries.is_empty() && !has_put {
            return Ok(false);
        }
        let has_named = self
            .layout
            .files
            .commit(&|index| with_entries(index, &entries))
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

/// `index.json` with `entries`; `None` where it has them all.
fn with_entries(index: &[u8], entries: &[Descriptor]) -> io::Result<Option<Vec<u8>>> {
    let mut index: ImageIndex = serde_json::from_slice(index)?;
    let mut is_new = false;
    for entry in entries {
        let replaces = |old: &Descriptor| match Layout::tag_of(entry) {
            Some(tag) => Layout::tag_of(old) == Some(tag),
            None => old.digest == entry.digest,
        };
        let mut replaced = index.manifests.iter().filter(|old| replaces(old));
        let is_there = replaced
            .next()
            .is_some_and(|old| old.digest == entry.digest)
            && replaced.next().is_none();
        if !is_there {
            index.manifests.retain(|old| !replaces(old));
            index.manifests.push(entry.clone());
            is_new = true;
        }
    }
    Ok(is_new.then(|| to_go_json(&index)))
}

/// The files of all blobs that `index.json` leads to.
fn blobs_in_use(files: &dyn super::Files) -> io::Result<HashSet<String>> {
    let mut found = HashSet::new();
    let index = read_whole(files, "index.json", Limits::MANIFEST_BYTES)?;
    let index: ImageIndex = serde_json::from_slice(&index.ok_or(io::ErrorKind::NotFound)?)?;
    let mut open = index.manifests;
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
