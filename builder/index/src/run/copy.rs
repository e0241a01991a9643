//! The copy of an image in another repository (`--copy-to`). In: the image and the target. Out: what has to be copied, and the copy's
//! tag.

use soci_format::{
    digest::Digest,
    image::Image,
    oci::{Descriptor, RepositoryReference, Selector, StoredManifest, is_foreign},
};
use soci_store::{
    load::{Contents, Presence, contents, load},
    registry::Client,
    store::{self, ReadImages, Store, Transaction},
};

use super::{Error, Request, publish::read_back};
use crate::{progress::Progress, report::CopyReport};

/// A copy to be made.
pub(super) struct Copy {
    /// The repository that gets it.
    pub(super) store: Store,
    repository: RepositoryReference,
    /// What it is to be named there; where there is none, it is there by its digest.
    pub(super) tag: Option<String>,
    contents: Contents,
    /// What of it the repository has already.
    pub(super) there: Presence,
}

/// How many blobs of a copy came in which way.
#[derive(Clone, Copy, Default)]
pub(super) struct Copied {
    pub(super) uploaded: usize,
    pub(super) mounted: usize,
    pub(super) bytes: u64,
}

impl Copied {
    /// A blob that is uploaded.
    pub(super) fn uploaded(bytes: u64) -> Self {
        Self {
            uploaded: 1,
            mounted: 0,
            bytes,
        }
    }

    /// A blob that the registry took over.
    pub(super) fn mounted() -> Self {
        Self {
            mounted: 1,
            ..Self::default()
        }
    }

    /// With what another job copied.
    pub(super) fn add(&mut self, other: Self) {
        self.uploaded += other.uploaded;
        self.mounted += other.mounted;
        self.bytes += other.bytes;
    }
}

/// The manifest of the platform that is asked for, where that is to be copied alone.
///
/// # Errors
/// Where the image does not have the platform, or has several images for it.
pub(super) async fn narrowed(
    source: &impl ReadImages,
    root: StoredManifest,
    request: &Request,
) -> Result<StoredManifest, Error> {
    let Some(wanted) = request.platforms.first() else {
        return Ok(root);
    };
    let image = load(source, root).await?;
    let found = image.platform(wanted)?;
    match &found[..] {
        [(_, descriptor, ..)] => Ok(source.manifest(descriptor).await?),
        several => {
            let found = several.iter().map(|(.., platform, _)| platform.to_string());
            Err(Error::CopyOfSeveral {
                wanted: wanted.to_string(),
                found: found.collect(),
            })
        }
    }
}

impl Copy {
    /// Finds out what has to be copied.
    pub(super) async fn plan(
        source: &impl ReadImages,
        image: &Image,
        request: &Request,
        (to, tag): (&RepositoryReference, Option<String>),
        client: &Client,
    ) -> Result<Self, Error> {
        let repository = client.repository(&to.host, &to.repository);
        let repository = repository.map_err(store::Error::from)?;
        let store = Store::Registry(repository.within(request.limits));
        let contents = contents(source, image).await?;
        // Foreign layers are asked for as well: who has them there gets them indexed.
        let foreign = foreign_layers(image);
        let blobs = contents.blobs.iter().chain(foreign);
        let blobs = blobs.map(|blob| blob.digest).collect();
        let there = Presence::of_blobs(&store, blobs).await;
        Ok(Self {
            store,
            repository: to.clone(),
            tag,
            contents,
            there,
        })
    }

    /// Warns about what is named and cannot be copied.
    pub(super) fn warn(&self, progress: &dyn Progress) {
        for missing in &self.contents.missing {
            progress.warn(&format!(
                "the image index lists the manifest {missing}, which does not exist; it is not copied"
            ));
        }
    }

    /// What of the image is there to be indexed: foreign layers are not copied, and so only where the repository has them.
    pub(super) fn leave_out_foreign(&self, image: &Image, presence: &mut Presence) {
        for layer in foreign_layers(image) {
            if !self.there.has_with_size(&layer.digest, layer.size) {
                presence.leave_out(&layer.digest);
            }
        }
    }

    /// The blobs that the repository does not have yet.
    pub(super) fn missing_blobs(&self) -> impl Iterator<Item = &Descriptor> {
        let blobs = self.contents.blobs.iter();
        blobs.filter(|blob| !self.there.has_with_size(&blob.digest, blob.size))
    }

    /// Whether all of it is there already, under its tag.
    pub(super) async fn is_complete(
        &self,
        images: &impl ReadImages,
        root: &StoredManifest,
    ) -> bool {
        let selector = match &self.tag {
            Some(tag) => Selector::Tag(tag.clone()),
            None => Selector::Digest(root.descriptor.digest),
        };
        let found = images.select(&selector).await;
        let is_named = matches!(
            found, Ok(Some(found)) if found.descriptor.digest == root.descriptor.digest
        );
        let manifests: Vec<_> = self.descriptors(root).collect();
        is_named && read_back(images, &manifests, &self.there).await.is_ok()
    }

    /// Puts all manifests by their digests, the root last; gives them. Tags come when all of it has been read back.
    pub(super) async fn put_manifests(
        &self,
        transaction: &Transaction,
        root: &StoredManifest,
    ) -> Result<Vec<Descriptor>, store::Error> {
        for manifest in self.contents.manifests.iter().chain([root]) {
            let bytes = manifest.bytes.clone();
            transaction
                .put_manifest(&manifest.descriptor, bytes)
                .await?;
        }
        Ok(self.descriptors(root).collect())
    }

    fn descriptors(&self, root: &StoredManifest) -> impl Iterator<Item = Descriptor> {
        let manifests = self.contents.manifests.iter();
        let manifests = manifests.map(|manifest| manifest.descriptor.clone());
        manifests.chain([root.descriptor.clone()])
    }

    /// What a report says of it where nothing had to be copied.
    pub(super) fn report(&self, root: &Digest) -> CopyReport {
        let (host, repository) = (&self.repository.host, &self.repository.repository);
        CopyReport {
            image: match &self.tag {
                Some(tag) => format!("{host}/{repository}:{tag}"),
                None => format!("{host}/{repository}@{root}"),
            },
            uploaded: 0,
            mounted: 0,
            present: self.contents.blobs.len(),
            bytes_uploaded: 0,
        }
    }
}

/// The layers that are not distributed.
fn foreign_layers(image: &Image) -> Vec<&Descriptor> {
    let platforms = image.platforms().into_iter();
    platforms
        .flat_map(|(.., manifest)| &manifest.layers)
        .filter(|layer| is_foreign(&layer.media_type))
        .collect()
}

impl CopyReport {
    /// Tells that blobs came, which were not there before.
    pub(super) fn add(&mut self, copied: Copied) {
        self.uploaded += copied.uploaded;
        self.mounted += copied.mounted;
        self.present -= copied.uploaded + copied.mounted;
        self.bytes_uploaded += copied.bytes;
    }
}
