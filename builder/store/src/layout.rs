//! OCI layouts: an image as files, in a directory or in a tar archive.
//! In: tags, digests, blobs. Out: the same, checked; and a layout that is either as it was or complete. Knows nothing of
//! SOCI.

#[cfg(feature = "layouts")]
mod files;
#[cfg(not(feature = "layouts"))]
#[path = "layout/no_files.rs"]
mod files;
mod find;
pub mod image_name;
pub mod index_json;
pub mod names;
mod transaction;

use std::{
    collections::HashSet,
    io::{self, Read, Seek, SeekFrom},
    ops::Range,
    path::PathBuf,
    sync::atomic::AtomicBool,
};

use bytes::Bytes;
use soci_format::{
    digest::{Digest, Hasher},
    limits::Limits,
    oci::{Descriptor, Manifest, Place, media_type},
    plural::bytes,
};

#[cfg(feature = "layouts")]
pub use files::archive;
pub use transaction::Transaction;

use find::listed;

/// Bytes that are read and hashed at once.
const PIECE_BYTES: usize = 1 << 17;

/// A layout could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("cannot {what} {} of {}", .file, .layout.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// The file, within the layout.
        file: String,
        layout: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// No layout there.
    #[error("{} is not an OCI layout: {why}", .layout.display())]
    NotALayout {
        layout: PathBuf,
        /// What is missing or wrong.
        why: String,
    },
    /// A blob that its own name contradicts.
    #[error("blob {expected} of {} is corrupt: digest mismatch, got {found}", .layout.display())]
    Damaged {
        layout: PathBuf,
        /// By the name.
        expected: Digest,
        /// By the bytes.
        found: Digest,
    },
    /// A blob whose size is not what its descriptor says.
    #[error("blob {digest} of {} has {}, but its descriptor says {expected}", .layout.display(), bytes(*.found))]
    Size {
        layout: PathBuf,
        /// The blob.
        digest: Digest,
        /// By the descriptor.
        expected: u64,
        /// By the file.
        found: u64,
    },
    /// A blob that is named and not there.
    #[error("blob {digest} not found in {}", .layout.display())]
    Missing {
        layout: PathBuf,
        /// The blob.
        digest: Digest,
    },
    /// Several images, and nothing to choose one.
    #[error("{layout} contains {} images; use {}", .choices.len(), listed(.choices, " or "))]
    Ambiguous {
        layout: Place,
        /// What to write.
        choices: Vec<String>,
    },
    /// No image of that name or digest.
    #[error("image {wanted} not found in {layout}; it has {}", listed(.there, ", "))]
    NoImage {
        layout: Place,
        wanted: String,
        /// The names that are there.
        there: Vec<String>,
    },
    /// A layout, asked of a program that only knows registries.
    #[cfg(not(feature = "layouts"))]
    #[error("cannot open {0}: this program supports registries only")]
    NoFiles(Place),
    /// A name and a digest that do not fit.
    #[error("{name} points to {found}, not {wanted}")]
    OtherDigest {
        /// The layout and the name.
        name: String,
        /// What it names.
        found: Digest,
        /// What it was to name.
        wanted: Digest,
    },
}

/// A file of a layout, open, with its size in bytes.
type OpenFile = (u64, Box<dyn ReadSeek>);

/// What can be read from any place on.
trait ReadSeek: Read + Seek + Send {}

impl<T: Read + Seek + Send> ReadSeek for T {}

/// Makes a new `index.json` of an old one; `None` where nothing changes.
type Edit<'a> = &'a dyn Fn(&[u8]) -> io::Result<Option<Vec<u8>>>;

/// Finds out which files are needed by what `index.json` names.
type BlobsInUse<'a> = &'a dyn Fn() -> io::Result<HashSet<String>>;

/// The files of a layout: what differs between a directory and an archive.
trait Files: Send + Sync {
    /// Opens the file `name`; `None` where there is none.
    fn open(&self, name: &str) -> io::Result<Option<OpenFile>>;
    /// Comes before the first change.
    fn begin(&self);
    /// Adds the file `name` or replaces it, whole or not at all.
    fn put(&self, name: &str, bytes: &Bytes) -> io::Result<()>;
    /// Keeps what was put, and replaces `index.json` by what `edit` makes of it; says whether that is another.
    /// Gives up waiting or copying where `stop` is set.
    fn commit(&self, edit: Edit<'_>, stop: &AtomicBool) -> io::Result<bool>;
    /// Comes after the last change: takes out again what was put and not committed, as far as nobody needs it.
    fn roll_back(&self, in_use: BlobsInUse<'_>);
}

/// An open layout. A [`Transaction`] changes it.
pub struct Layout {
    place: Place,
    path: PathBuf,
    files: Box<dyn Files>,
    is_read_only: bool,
    limits: Limits,
}

impl Layout {
    /// Whether it came out of a pipe, and nothing can be written into it.
    pub fn is_read_only(&self) -> bool {
        self.is_read_only
    }

    /// The same layout, read within `limits`.
    #[must_use]
    pub fn within(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// How much memory it may make this program use.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// A small blob or a manifest, whole and checked.
    pub fn blob(&self, digest: &Digest) -> Result<Option<Bytes>, Error> {
        let Some(bytes) = self.read(&blob_name(digest), self.limits.blob_bytes)? else {
            return Ok(None);
        };
        let found = Digest::of(&bytes);
        if found != *digest {
            return Err(self.damaged(digest, found));
        }
        Ok(Some(bytes))
    }

    pub fn manifest(&self, digest: &Digest) -> Result<Option<Bytes>, Error> {
        match self.blob_size(digest)? {
            Some(size) if size > Limits::MANIFEST_BYTES => Err(self.not_a_layout(&format!(
                "the manifest {digest} has {size} bytes, more than the {} that registries accept",
                Limits::MANIFEST_BYTES
            ))),
            _ => self.blob(digest),
        }
    }

    /// Size of a blob in bytes; `None` where it is not there.
    pub fn blob_size(&self, digest: &Digest) -> Result<Option<u64>, Error> {
        let name = blob_name(digest);
        let file = self
            .files
            .open(&name)
            .map_err(|source| self.file("open", &name, source))?;
        Ok(file.map(|(size, _)| size))
    }

    /// Size of a blob in bytes, all of which are compared with its digest; `None` where it is not there.
    pub fn checked_size(&self, digest: &Digest) -> Result<Option<u64>, Error> {
        let name = blob_name(digest);
        let read = || -> io::Result<Option<(u64, Digest)>> {
            let Some((size, mut reader)) = self.files.open(&name)? else {
                return Ok(None);
            };
            let mut hasher = Hasher::default();
            let mut piece = vec![0; PIECE_BYTES];
            loop {
                match reader.read(&mut piece)? {
                    0 => return Ok(Some((size, hasher.finish()))),
                    read => hasher.update(&piece[..read]),
                }
            }
        };
        match read().map_err(|source| self.file("read", &name, source))? {
            Some((_, found)) if found != *digest => Err(self.damaged(digest, found)),
            found => Ok(found.map(|(size, _)| size)),
        }
    }

    /// Opens a layer for reading. Its size is checked here, its digest by whoever reads it.
    pub fn open_blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, Error> {
        self.open_blob_part(descriptor, 0..descriptor.size)
    }

    /// Opens the bytes `range` of a layer, which must lie within it.
    pub(crate) fn open_blob_part(
        &self,
        descriptor: &Descriptor,
        range: Range<u64>,
    ) -> Result<Box<dyn Read + Send>, Error> {
        let name = blob_name(&descriptor.digest);
        let (size, mut reader) = self
            .files
            .open(&name)
            .map_err(|source| self.file("open", &name, source))?
            .ok_or_else(|| Error::Missing {
                layout: self.path.clone(),
                digest: descriptor.digest,
            })?;
        if size != descriptor.size {
            return Err(Error::Size {
                layout: self.path.clone(),
                digest: descriptor.digest,
                expected: descriptor.size,
                found: size,
            });
        }
        reader
            .seek(SeekFrom::Start(range.start))
            .map_err(|source| self.file("read", &name, source))?;
        Ok(Box::new(reader.take(range.end - range.start)))
    }

    /// The manifests of type `artifact_type` that `index.json` names and whose subject is `subject`.
    pub fn referrers(
        &self,
        subject: &Digest,
        artifact_type: &str,
    ) -> Result<Vec<Descriptor>, Error> {
        let mut referrers = Vec::new();
        let (entries, ..) = self.index()?;
        let images = entries.iter().filter(|one| one.artifact_type.is_none());
        let is_only_image = images.count() == 1;
        for entry in entries {
            if entry.artifact_type.as_deref() != Some(artifact_type) {
                continue;
            }
            let bytes = match self.manifest(&entry.digest) {
                Ok(Some(bytes)) => bytes,
                // Lost or damaged, it does not tell whose referrer it was; but of an only image it can be no other's.
                Ok(None) | Err(Error::Damaged { .. }) => {
                    if is_only_image {
                        referrers.push(entry);
                    }
                    continue;
                }
                Err(error) => return Err(error),
            };
            if let Ok(Manifest::Image(manifest)) = Manifest::parse(media_type::OCI_MANIFEST, &bytes)
                && manifest.subject.is_some_and(|of| of.digest == *subject)
            {
                referrers.push(entry);
            }
        }
        Ok(referrers)
    }

    fn index(&self) -> Result<index_json::Entries, Error> {
        let bytes = self
            .read("index.json", Limits::MANIFEST_BYTES)?
            .ok_or_else(|| self.not_a_layout("the file index.json is missing"))?;
        index_json::entries(&bytes)
            .map_err(|error| self.not_a_layout(&format!("index.json: {error}")))
    }

    /// All of a file of at most `limit` bytes.
    fn read(&self, name: &str, limit: u64) -> Result<Option<Bytes>, Error> {
        read_whole(&*self.files, name, limit).map_err(|source| self.file("read", name, source))
    }

    fn damaged(&self, expected: &Digest, found: Digest) -> Error {
        Error::Damaged {
            layout: self.path.clone(),
            expected: *expected,
            found,
        }
    }

    fn file(&self, what: &'static str, file: &str, source: io::Error) -> Error {
        Error::File {
            what,
            file: file.to_owned(),
            layout: self.path.clone(),
            source,
        }
    }

    fn not_a_layout(&self, why: &str) -> Error {
        Error::NotALayout {
            layout: self.path.clone(),
            why: why.to_owned(),
        }
    }
}

/// All of a file of at most `limit` bytes.
fn read_whole(files: &dyn Files, name: &str, limit: u64) -> io::Result<Option<Bytes>> {
    let Some((size, reader)) = files.open(name)? else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    reader
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::other(format!(
            "it has {size} bytes, more than the limit of {limit}"
        )));
    }
    Ok(Some(bytes.into()))
}

fn blob_name(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}
