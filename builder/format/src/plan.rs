//! The plan: which layers of an image get a ztoc, and whether an index that exists is the one we would build.
//! Pure: no I/O. All it needs are manifests, and which layers are there.

use std::{collections::HashMap, fmt};

use crate::{
    digest::Digest,
    index::{
        BUILD_TOOL, IndexOptions, LAYER_DIGEST, SPAN_SIZE, Version, ZTOC, soci_index,
        ztoc_descriptor,
    },
    oci::{Descriptor, ImageManifest, LayerEncoding},
    plural::bytes,
};

/// What to do with a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LayerPlan {
    /// It gets a ztoc; this is how its media type says it is stored.
    Index(LayerEncoding),
    /// It gets none.
    Skip(Skip),
}

/// Why a layer gets no ztoc.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Skip {
    /// It is smaller than the minimum.
    TooSmall {
        /// The minimum, in bytes.
        minimum: u64,
    },
    /// It is not in the store, and need not be: a non-distributable layer.
    NotThere,
    /// Its media type states an encoding that cannot be indexed.
    Encoding(LayerEncoding),
    /// Its content cannot be indexed.
    Unindexable(String),
}

impl Skip {
    /// Whether the layer would have been worth indexing.
    pub fn is_unsupported(&self) -> bool {
        !matches!(self, Self::TooSmall { .. })
    }
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooSmall { minimum } => {
                write!(f, "smaller than the minimum of {}", bytes(*minimum))
            }
            Self::NotThere => f.write_str(
                "not in the registry: a non-distributable (foreign) layer, and its external URLs are not used",
            ),
            Self::Encoding(LayerEncoding::NotALayer) => {
                f.write_str("not a file system layer")
            }
            Self::Encoding(encoding) => write!(
                f,
                "compressed with {encoding}, which cannot be indexed"
            ),
            Self::Unindexable(why) => f.write_str(why),
        }
    }
}

/// What to do with `layer`, whose bytes are in the store or not.
pub fn layer_plan(layer: &Descriptor, is_there: bool, options: &IndexOptions) -> LayerPlan {
    if layer.size < options.min_layer_size {
        return LayerPlan::Skip(Skip::TooSmall {
            minimum: options.min_layer_size,
        });
    }
    if !is_there {
        return LayerPlan::Skip(Skip::NotThere);
    }
    match LayerEncoding::declared_by(&layer.media_type) {
        encoding @ (LayerEncoding::Gzip | LayerEncoding::Uncompressed | LayerEncoding::Unknown) => {
            LayerPlan::Index(encoding)
        }
        encoding => LayerPlan::Skip(Skip::Encoding(encoding)),
    }
}

/// Whether `found` is the index of `version` that we would build of an image by `plans`, one for each of its layers. It is built anew
/// from the ztocs that `found` names, and must come out with the same digest: so nothing that an index says is forgotten here. Where
/// manifests cannot tell (marks and prefetch artifacts come from the ztocs' contents), the answer is no.
pub fn is_requested_index(
    found: (Digest, &ImageManifest),
    version: Version,
    image: (&Descriptor, &ImageManifest),
    plans: &[LayerPlan],
    options: &IndexOptions,
) -> bool {
    if options.optimize_xattrs || !options.prefetch_files.is_empty() {
        return false;
    }
    let planned = image.1.layers.iter().zip(plans);
    let wanted = planned.filter(|(_, plan)| matches!(plan, LayerPlan::Index(_)));
    let ztocs: Option<Vec<_>> = wanted
        .map(|(layer, _)| {
            let digest = layer.digest.to_string();
            let mut blobs = found.1.layers.iter();
            let ztoc = blobs.find(|blob| blob.annotations.get(LAYER_DIGEST) == Some(&digest))?;
            Some(ztoc_descriptor(layer, ztoc, options.span_size, false))
        })
        .collect();
    ztocs.is_some_and(|ztocs| {
        let (built, _) = soci_index(version, ztocs, image.0, options);
        built.digest == found.0
    })
}

/// The ztocs of `soci_index` that were built with the same options, by the digest of their layer.
pub fn reusable_ztocs(
    soci_index: &ImageManifest,
    options: &IndexOptions,
) -> HashMap<Digest, Descriptor> {
    if soci_index.annotations.get(BUILD_TOOL) != Some(&options.build_tool) {
        return HashMap::new();
    }
    let span_size = options.span_size.to_string();
    let of_layer = |ztoc: &Descriptor| ztoc.annotations.get(LAYER_DIGEST)?.parse::<Digest>().ok();
    soci_index
        .layers
        .iter()
        .filter(|blob| {
            blob.media_type == ZTOC && blob.annotations.get(SPAN_SIZE) == Some(&span_size)
        })
        .filter_map(|ztoc| {
            Some((
                of_layer(ztoc)?,
                Descriptor::new(ZTOC, ztoc.digest, ztoc.size),
            ))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        index::{DISABLE_XATTRS, PREFETCH},
        oci::{media_type, to_go_json},
    };

    fn options() -> IndexOptions {
        IndexOptions {
            min_layer_size: 0,
            ..IndexOptions::default()
        }
    }

    fn image() -> ImageManifest {
        let layer = |bytes: &[u8]| Descriptor::of("application/vnd.oci.image.layer.v1.tar", bytes);
        ImageManifest {
            schema_version: 2,
            media_type: media_type::OCI_MANIFEST.to_owned(),
            artifact_type: None,
            config: Descriptor::of(media_type::OCI_CONFIG, b"config"),
            layers: vec![layer(b"one"), layer(b"two")],
            subject: None,
            annotations: Default::default(),
        }
    }

    /// The index of `image`, after `change`.
    fn index(version: Version, change: impl Fn(&mut ImageManifest)) -> ImageManifest {
        let image = image();
        let subject = Descriptor::of(media_type::OCI_MANIFEST, &to_go_json(&image));
        let ztoc = |layer| {
            let ztoc = Descriptor::of(ZTOC, b"ztoc");
            ztoc_descriptor(layer, &ztoc, options().span_size, false)
        };
        let ztocs = image.layers.iter().map(ztoc).collect();
        let (_, bytes) = soci_index(version, ztocs, &subject, &options());
        let mut index: ImageManifest = serde_json::from_slice(&bytes).unwrap();
        change(&mut index);
        index
    }

    fn is_requested(version: Version, index: &ImageManifest, options: &IndexOptions) -> bool {
        let image = image();
        let descriptor = Descriptor::of(media_type::OCI_MANIFEST, &to_go_json(&image));
        let layers = image.layers.iter();
        let plans: Vec<_> = layers
            .map(|layer| layer_plan(layer, true, options))
            .collect();
        let found = (Digest::of(&to_go_json(index)), index);
        is_requested_index(found, version, (&descriptor, &image), &plans, options)
    }

    #[test]
    fn an_index_is_wanted_as_we_would_build_it_and_not_otherwise() {
        for version in [Version::V1, Version::V2] {
            let ours = index(version, |_| {});
            assert!(is_requested(version, &ours, &options()));
            let changes: [fn(&mut ImageManifest); 8] = [
                |index| {
                    index.annotations.insert("new".to_owned(), "1".to_owned());
                },
                |index| index.annotations.clear(),
                |index| index.layers.reverse(),
                |index| index.layers.truncate(1),
                |index| index.layers.push(Descriptor::of(PREFETCH, b"{}")),
                |index| {
                    let marks = &mut index.layers[0].annotations;
                    marks.insert(DISABLE_XATTRS.to_owned(), "true".to_owned());
                },
                |index| {
                    let spans = &mut index.layers[1].annotations;
                    spans.insert(SPAN_SIZE.to_owned(), "1".to_owned());
                },
                |index| index.config.size = 3,
            ];
            for (number, change) in changes.into_iter().enumerate() {
                let changed = index(version, change);
                assert!(
                    !is_requested(version, &changed, &options()),
                    "change {number}"
                );
            }
        }
        let v1 = index(Version::V1, |_| {});
        assert!(!is_requested(Version::V2, &v1, &options()));
    }

    #[test]
    fn what_manifests_cannot_tell_is_not_wanted() {
        let ours = index(Version::V2, |_| {});
        let mut prefetching = options();
        prefetching.prefetch_files = vec!["etc/passwd".to_owned()];
        assert!(!is_requested(Version::V2, &ours, &prefetching));
        let mut marking = options();
        marking.optimize_xattrs = true;
        assert!(!is_requested(Version::V2, &ours, &marking));
    }
}
