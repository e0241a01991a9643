//! `soci-builder info`: what indexes an image has, by platform and layer.

use std::io;

use bytesize::ByteSize;
use serde::Serialize;
use soci_builder::{
    digest::Digest,
    image::{self, Image, Role},
    index::{BUILD_TOOL, LAYER_DIGEST, PREFETCH, SPAN_SIZE, V1, V2, ZTOC},
    limits::Limits,
    oci::{Descriptor, ImageManifest, Manifest},
    printable::printable,
    registry::Client,
    store::{self, ReadImages, Store},
};

use super::{InfoArgs, print};
use crate::Ending;

/// What an image has.
#[derive(Serialize)]
struct Info {
    image_digest: Digest,
    platforms: Vec<PlatformInfo>,
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
    layers: Vec<LayerInfo>,
}

#[derive(Serialize)]
struct LayerInfo {
    digest: Digest,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ztoc: Option<ZtocInfo>,
    prefetch: bool,
}

#[derive(Serialize)]
struct ZtocInfo {
    digest: Digest,
    size: u64,
    span_size: String,
}

#[derive(Debug, thiserror::Error)]
#[error("cannot look at {image}")]
struct Failed {
    image: String,
    source: image::Error,
}

pub(crate) async fn run(arguments: InfoArgs, client: &Client) -> Result<Ending, Ending> {
    let info = look(&arguments, client).await.map_err(|source| {
        Ending::Failed(
            Failed {
                image: arguments.image.to_string(),
                source,
            }
            .into(),
        )
    })?;
    print::result(arguments.json, &info, text)?;
    Ok(Ending::Done)
}

async fn look(arguments: &InfoArgs, client: &Client) -> Result<Info, image::Error> {
    let store = Store::open(&arguments.image, client, Limits::default())?;
    let root = store.image(&arguments.image).await?;
    let image = Image::load(&store, root).await?;
    let mut platforms = Vec::new();
    for (_, descriptor, platform, manifest) in image.platforms() {
        let mut indexes = Vec::new();
        for entry in image
            .entries
            .iter()
            .filter(|entry| matches!(entry.role, Role::SociIndex))
        {
            if entry
                .descriptor
                .platform
                .as_ref()
                .is_some_and(|of| of.same_as(platform))
            {
                indexes.extend(index(&store, V2, &entry.descriptor, manifest).await?);
            }
        }
        for referrer in store.referrers(&descriptor.digest, V1).await? {
            indexes.extend(index(&store, V1, &referrer, manifest).await?);
        }
        platforms.push(PlatformInfo {
            platform: platform.to_string(),
            manifest_digest: descriptor.digest,
            indexes,
        });
    }
    Ok(Info {
        image_digest: image.root.descriptor.digest,
        platforms,
    })
}

async fn index(
    store: &Store,
    artifact_type: &str,
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
    let layers = image.layers.iter().map(|layer| LayerInfo {
        digest: layer.digest,
        size: layer.size,
        ztoc: blob_of(layer, ZTOC).map(|ztoc| ZtocInfo {
            digest: ztoc.digest,
            size: ztoc.size,
            span_size: ztoc.annotations.get(SPAN_SIZE).cloned().unwrap_or_default(),
        }),
        prefetch: blob_of(layer, PREFETCH).is_some(),
    });
    Ok(Some(IndexInfo {
        version: if artifact_type == V1 { "v1" } else { "v2" },
        index_digest: descriptor.digest,
        build_tool: soci_index
            .annotations
            .get(BUILD_TOOL)
            .cloned()
            .unwrap_or_default(),
        layers: layers.collect(),
    }))
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
            writeln!(
                out,
                "  SOCI index {}    {} by {}",
                index.version,
                index.index_digest,
                printable(&index.build_tool)
            )?;
            for layer in &index.layers {
                let size = ByteSize(layer.size).to_string();
                let prefetch = if layer.prefetch {
                    ", with files to prefetch"
                } else {
                    ""
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
