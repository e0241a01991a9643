//! `soci-builder info`: what indexes an image has, by platform and layer.

use std::io;

use bytesize::ByteSize;
use serde::Serialize;
use soci_format::{
    digest::Digest,
    image::Missing,
    index::{
        BUILD_TOOL, LAYER_DIGEST, PREFETCH, SPAN_SIZE, SpanRange, V1, Version, ZTOC,
        prefetched_spans,
    },
    oci::{Descriptor, ImageManifest, Manifest},
    printable::printable,
};
use soci_index::run::chain;
use soci_store::{
    layout,
    load::{self, load},
    store::{self, ReadImages, Store},
};

use super::{Access, InfoArgs, print};
use crate::exit_status::{ExitStatus, Output};

/// What an image has.
#[derive(Serialize)]
struct Info {
    image_digest: Digest,
    platforms: Vec<PlatformInfo>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    missing: Vec<Missing>,
}

#[derive(Serialize)]
struct PlatformInfo {
    platform: String,
    manifest_digest: Digest,
    indexes: Vec<IndexInfo>,
}

#[derive(Serialize)]
struct IndexInfo {
    version: &'static str,
    index_digest: Digest,
    build_tool: String,
    /// Why it cannot be used: it is named and not there, or is something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    layers: Vec<LayerInfo>,
}

#[derive(Serialize)]
struct LayerInfo {
    digest: Digest,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ztoc: Option<ZtocInfo>,
    /// Whether files of it are prefetched.
    prefetch: bool,
    /// The spans that they lie in; none where the list of them cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    prefetch_spans: Option<Vec<SpanRange>>,
}

#[derive(Serialize)]
struct ZtocInfo {
    digest: Digest,
    size: u64,
    span_size: String,
}

#[derive(Debug, thiserror::Error)]
#[error("cannot inspect {image}")]
struct Failed {
    image: String,
    source: load::Error,
}

pub(crate) async fn run(arguments: InfoArgs, access: &Access) -> Result<Output, ExitStatus> {
    let info = look(&arguments, access).await.map_err(|source| {
        ExitStatus::Failed(
            Failed {
                image: arguments.image.to_string(),
                source,
            }
            .into(),
        )
    })?;
    for missing in &info.missing {
        print::warn(&format!("skipped: {missing}"));
    }
    print::output(arguments.json, &info, text, ExitStatus::Success)
}

async fn look(arguments: &InfoArgs, access: &Access) -> Result<Info, load::Error> {
    let store = access.open(&arguments.image)?;
    let root = store.image(&arguments.image).await?;
    let image = load(&store, root).await?;
    let mut platforms = Vec::new();
    for (_, descriptor, platform, manifest) in image.platforms() {
        let mut indexes = Vec::new();
        for entry in image.soci_indexes_of(descriptor, platform, manifest) {
            indexes.extend(index(&store, Version::V2, entry, manifest).await?);
        }
        for referrer in store.referrers(&descriptor.digest, V1).await? {
            // A list may outlive what it names.
            match index(&store, Version::V1, &referrer, manifest).await {
                Ok(found) => indexes.extend(found),
                Err(error) => indexes.push(IndexInfo {
                    version: Version::V1.name(),
                    index_digest: referrer.digest,
                    build_tool: String::new(),
                    problem: Some(problem(error)?),
                    layers: Vec::new(),
                }),
            }
        }
        platforms.push(PlatformInfo {
            platform: platform.to_string(),
            manifest_digest: descriptor.digest,
            indexes,
        });
    }
    Ok(Info {
        image_digest: image.root.descriptor.digest,
        missing: image.missing(),
        platforms,
    })
}

/// What is wrong with an index that is named; other failures are those of the store.
fn problem(error: store::Error) -> Result<String, store::Error> {
    match &error {
        store::Error::NoManifest(_) => Ok(
            "not found, though the image's list of referrers names it; index the image again to restore it"
                .to_owned(),
        ),
        store::Error::Manifest { .. } | store::Error::Layout(layout::Error::Damaged { .. }) => {
            Ok(chain(&error))
        }
        store::Error::Registry(source) if source.is_corrupt() => Ok(chain(&error)),
        _ => Err(error),
    }
}

async fn index(
    store: &Store,
    version: Version,
    descriptor: &Descriptor,
    image: &ImageManifest,
) -> Result<Option<IndexInfo>, store::Error> {
    let Manifest::Image(soci_index) = store.manifest(descriptor).await?.manifest else {
        return Ok(None);
    };
    let blob_of = |layer: &Descriptor, media_type: &str| {
        let layer = layer.digest.to_string();
        soci_index.layers.iter().find(|blob| {
            blob.media_type == media_type && blob.annotations.get(LAYER_DIGEST) == Some(&layer)
        })
    };
    let mut layers = Vec::with_capacity(image.layers.len());
    for layer in &image.layers {
        let prefetch = blob_of(layer, PREFETCH);
        layers.push(LayerInfo {
            digest: layer.digest,
            size: layer.size,
            ztoc: blob_of(layer, ZTOC).map(|ztoc| ZtocInfo {
                digest: ztoc.digest,
                size: ztoc.size,
                span_size: ztoc.annotations.get(SPAN_SIZE).cloned().unwrap_or_default(),
            }),
            prefetch: prefetch.is_some(),
            prefetch_spans: match prefetch {
                Some(artifact) => spans(store, artifact).await,
                None => None,
            },
        });
    }
    Ok(Some(IndexInfo {
        version: version.name(),
        index_digest: descriptor.digest,
        build_tool: soci_index
            .annotations
            .get(BUILD_TOOL)
            .cloned()
            .unwrap_or_default(),
        problem: None,
        layers,
    }))
}

/// The spans that an artifact names; what is wrong with one is told by `verify`.
async fn spans(store: &Store, artifact: &Descriptor) -> Option<Vec<SpanRange>> {
    let blob = store.blob(artifact).await.ok()?;
    prefetched_spans(&blob).ok()
}

/// `spans 0-3, 7`.
fn listed(spans: &[SpanRange]) -> String {
    let ranges = spans.iter().map(|range| match range.end_span {
        end if end == range.start_span => end.to_string(),
        end => format!("{}-{end}", range.start_span),
    });
    let word = match spans {
        [only] if only.start_span == only.end_span => "span",
        _ => "spans",
    };
    format!("{word} {}", ranges.collect::<Vec<_>>().join(", "))
}

fn text(out: &mut impl io::Write, info: &Info) -> io::Result<()> {
    writeln!(out, "image  {}", info.image_digest)?;
    for platform in &info.platforms {
        writeln!(
            out,
            "\n{}\n  manifest         {}",
            printable(&platform.platform),
            platform.manifest_digest
        )?;
        if platform.indexes.is_empty() {
            writeln!(out, "  no SOCI index")?;
        }
        for index in &platform.indexes {
            let state = match &index.problem {
                Some(problem) => format!(": {}", printable(problem)),
                None => format!(" by {}", printable(&index.build_tool)),
            };
            writeln!(
                out,
                "  SOCI index {}    {}{state}",
                index.version, index.index_digest
            )?;
            for layer in &index.layers {
                let size = ByteSize(layer.size).to_string();
                let prefetch = match (&layer.prefetch_spans, layer.prefetch) {
                    (Some(spans), _) => format!("  prefetch {}", listed(spans)),
                    (None, true) => "  prefetch: the list of spans cannot be read".to_owned(),
                    (None, false) => String::new(),
                };
                match &layer.ztoc {
                    Some(ztoc) => {
                        let (ztoc_size, digest) = (ByteSize(ztoc.size).to_string(), ztoc.digest);
                        writeln!(
                            out,
                            "    layer {} {size:>10}  ztoc {digest} {ztoc_size:>10}{prefetch}",
                            layer.digest
                        )?;
                    }
                    None => writeln!(out, "    layer {} {size:>10}  no ztoc", layer.digest)?,
                }
            }
        }
    }
    Ok(())
}
